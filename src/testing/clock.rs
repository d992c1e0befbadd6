//! Time that only a test moves.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Where virtual clocks start: the moment at which this process first asked.
///
/// An [`Instant`] can be had from a real clock alone, so the kit looks at it here, once, and nowhere else. Nothing depends
/// on the value. [`Clock::at`] takes another.
#[allow(clippy::disallowed_methods)] // the one look
pub fn start() -> Instant {
    static START: OnceLock<Instant> = OnceLock::new();
    *START.get_or_init(Instant::now)
}

/// A clock that stands until it is moved.
///
/// ```
/// use std::time::Duration;
/// use wireroom::testing::Clock;
///
/// let mut clock = Clock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(30));
/// assert_eq!(clock.now() - before, Duration::from_secs(30));
/// assert_eq!(clock.elapsed(), Duration::from_secs(30));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    start: Instant,
    now: Instant,
}

impl Clock {
    /// A clock that stands at [`start`].
    pub fn new() -> Self {
        Self::at(start())
    }

    /// A clock that stands at a moment of the caller's.
    pub fn at(start: Instant) -> Self {
        Self { start, now: start }
    }

    /// Where it stands.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// How far it was moved since it was made.
    pub fn elapsed(&self) -> Duration {
        self.now.saturating_duration_since(self.start)
    }

    /// Moves it on.
    pub fn advance(&mut self, time: Duration) {
        self.now += time;
    }

    /// Moves it on to `now`; it never goes back.
    pub fn advance_to(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// When it was made.
    pub(super) fn start(&self) -> Instant {
        self.start
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Instant> for Clock {
    fn from(start: Instant) -> Self {
        Self::at(start)
    }
}
