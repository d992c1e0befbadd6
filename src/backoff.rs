//! When a client comes back: exponential backoff with full jitter, and `Retry-After`. No clock, no randomness: both are
//! passed in.
//!
//! After a server restarts, everybody is gone at the same moment. Were each to come back after the same time, so would
//! all; and those that are refused then, again. So each waits a random part of a time that doubles with each failure: *full
//! jitter*, between nothing and all of it. The time falls back to its beginning only after a connection that has lasted:
//! a server that accepts and drops at once is none the better for it.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use wireroom::backoff::Backoff;
//!
//! let mut backoff = Backoff::new().base(Duration::from_secs(1)).cap(Duration::from_secs(30));
//! let (now, random) = (Instant::now(), 0x8000_0000_0000_0000); // the middle of all
//! assert_eq!(backoff.failed(now, random, None), Some(Duration::from_millis(500)));
//! assert_eq!(backoff.failed(now, random, None), Some(Duration::from_secs(1)));
//! assert_eq!(backoff.failed(now, random, None), Some(Duration::from_secs(2)));
//! // The server names a time: a random part comes on top, so that not all come at once.
//! let after = Some(Duration::from_secs(10));
//! assert_eq!(backoff.failed(now, random, after), Some(Duration::from_secs(14)));
//! ```

use std::time::{Duration, Instant};

mod retry_after;

pub use retry_after::RetryAfter;

/// How long to wait before the next attempt.
///
/// | limit | default | what happens at it |
/// |---|---|---|
/// | [`base`](Self::base) | 1 s | the first wait is a random part of it, and each that follows of twice as much |
/// | [`cap`](Self::cap) | 60 s | no wait is longer, but for `Retry-After` |
/// | [`max_retry_after`](Self::max_retry_after) | 300 s | a server that asks for more is given this |
/// | [`stable_after`](Self::stable_after) | 10 s | a connection that was open so long begins anew |
/// | [`max_attempts`](Self::max_attempts) | none | [`Backoff::failed`] answers `None` |
/// | [`max_total`](Self::max_total) | none | the same |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    max_retry_after: Duration,
    stable_after: Duration,
    max_attempts: Option<u32>,
    max_total: Option<Duration>,
    /// Failures in a row.
    failures: u32,
    /// When the first of them was.
    since: Option<Instant>,
    opened: Option<Instant>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(300),
            stable_after: Duration::from_secs(10),
            max_attempts: None,
            max_total: None,
            failures: 0,
            since: None,
            opened: None,
        }
    }
}

impl Backoff {
    /// The defaults: attempts go on for ever.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first wait is a random part of this; it doubles with each failure. Default 1 s.
    #[must_use]
    pub fn base(mut self, base: Duration) -> Self {
        self.base = base;
        self
    }

    /// The longest wait. Default 60 s. With many clients of one server it is what spreads them: `n` clients come back at about
    /// `n / cap` in a second.
    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Self {
        self.cap = cap;
        self
    }

    /// What is waited at most for a server's `Retry-After`, the random part not counted. Default 300 s.
    #[must_use]
    pub fn max_retry_after(mut self, time: Duration) -> Self {
        self.max_retry_after = time;
        self
    }

    /// How long a connection has to be open before its end counts as the first failure. Default 10 s.
    #[must_use]
    pub fn stable_after(mut self, time: Duration) -> Self {
        self.stable_after = time;
        self
    }

    /// After so many failures in a row it gives up: 1 allows none. Default `None`: never.
    #[must_use]
    pub fn max_attempts(mut self, attempts: Option<u32>) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// It gives up rather than to wait until later than this behind the first failure of a row. Default `None`.
    #[must_use]
    pub fn max_total(mut self, time: Option<Duration>) -> Self {
        self.max_total = time;
        self
    }

    /// The connection is open.
    pub fn opened(&mut self, now: Instant) {
        self.opened = Some(now);
    }

    /// An attempt has failed, or an open connection has ended: how long to wait, or `None` to give up. `random` is uniform over
    /// all of its values, and unpredictable from one client to the other.
    pub fn failed(&mut self, now: Instant, random: u64, retry_after: Option<Duration>) -> Option<Duration> {
        let lasted = self.opened.take().map(|opened| now.saturating_duration_since(opened));
        if lasted.is_some_and(|lasted| lasted >= self.stable_after) {
            (self.failures, self.since) = (0, None);
        }
        let since = *self.since.get_or_insert(now);
        // After 94 doublings a nanosecond is the longest time there is.
        let ceiling = (0..self.failures.min(94)).fold(self.base, |time, _| time.saturating_mul(2));
        self.failures = self.failures.saturating_add(1);
        if self.max_attempts.is_some_and(|most| self.failures >= most) {
            return None;
        }
        let jitter = part(ceiling.min(self.cap), random);
        let wait = retry_after.unwrap_or_default().min(self.max_retry_after).saturating_add(jitter);
        let total = now.saturating_duration_since(since).saturating_add(wait);
        (self.max_total.is_none_or(|most| total <= most)).then_some(wait)
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// `whole * random / 2^64`.
fn part(whole: Duration, random: u64) -> Duration {
    // Below 2^64 seconds times 2^64 is below 2^128; nanoseconds apart, for those would not fit.
    let scaled = |value: u64| u128::from(value) * u128::from(random);
    let seconds = scaled(whole.as_secs());
    // What is left of a second is below 2^64 parts of it.
    let rest = ((seconds & u128::from(u64::MAX)) * 1_000_000_000) >> 64;
    let nanoseconds = rest as u64 + (scaled(u64::from(whole.subsec_nanos())) >> 64) as u64;
    Duration::from_secs((seconds >> 64) as u64).saturating_add(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn waits_double_up_to_the_cap_and_jitter_is_full() {
        let now = start();
        let mut longest = Backoff::new().cap(5 * SECOND);
        let mut shortest = longest.clone();
        for seconds in [1, 2, 4, 5, 5, 5] {
            let wait = longest.failed(now, u64::MAX, None).unwrap();
            assert!(wait <= seconds * SECOND && wait + Duration::from_micros(1) > seconds * SECOND, "{wait:?}");
            assert_eq!(shortest.failed(now, 0, None), Some(Duration::ZERO));
        }
        assert_eq!(longest.failures(), 6);
    }

    #[test]
    fn only_a_connection_that_has_lasted_begins_anew() {
        let mut now = start();
        let mut backoff = Backoff::new().stable_after(10 * SECOND);
        let middle = 1 << 63;
        assert_eq!(backoff.failed(now, middle, None), Some(SECOND / 2));
        backoff.opened(now);
        now += 10 * SECOND - Duration::from_nanos(1);
        assert_eq!(backoff.failed(now, middle, None), Some(SECOND), "it did not last");
        // One that never opened counts as a failure, however long it took.
        now += 100 * SECOND;
        assert_eq!(backoff.failed(now, middle, None), Some(2 * SECOND));
        backoff.opened(now);
        now += 10 * SECOND;
        assert_eq!(backoff.failed(now, middle, None), Some(SECOND / 2));
        assert_eq!(backoff.failures(), 1);
    }

    #[test]
    fn the_server_is_given_the_time_that_it_asks_for_and_not_more_than_the_limit() {
        let now = start();
        let failed = |after: u64| Backoff::new().failed(now, 1 << 63, Some(Duration::from_secs(after)));
        assert_eq!(failed(0), Some(SECOND / 2));
        assert_eq!(failed(7), Some(7 * SECOND + SECOND / 2));
        assert_eq!(failed(300), Some(300 * SECOND + SECOND / 2));
        assert_eq!(failed(301), Some(300 * SECOND + SECOND / 2));
        assert_eq!(failed(u64::MAX), Some(300 * SECOND + SECOND / 2));
    }

    #[test]
    fn it_gives_up_after_so_many_attempts_or_so_much_time() {
        let mut now = start();
        let mut backoff = Backoff::new().max_attempts(Some(3));
        assert!(backoff.failed(now, 0, None).is_some() && backoff.failed(now, 0, None).is_some());
        assert_eq!(backoff.failed(now, 0, None), None);
        assert_eq!(backoff.failed(now, 0, None), None);
        assert_eq!(Backoff::new().max_attempts(Some(1)).failed(now, 0, None), None);

        let mut backoff = Backoff::new().max_total(Some(10 * SECOND));
        assert!(backoff.failed(now, 0, Some(10 * SECOND)).is_some(), "at the edge");
        assert_eq!(backoff.failed(now, 1 << 63, Some(10 * SECOND)), None);
        now += 10 * SECOND;
        assert_eq!(backoff.failed(now, 0, None), Some(Duration::ZERO));
        now += Duration::from_nanos(1);
        assert_eq!(backoff.failed(now, 0, None), None);
        // A new row.
        backoff.opened(now);
        now += 10 * SECOND;
        assert!(backoff.failed(now, 0, None).is_some());
    }

    #[test]
    fn extremes_do_not_overflow() {
        let now = start();
        let mut backoff = Backoff::new().base(Duration::MAX).cap(Duration::MAX).max_retry_after(Duration::MAX);
        for _ in 0..100 {
            let wait = backoff.failed(now, u64::MAX, Some(Duration::MAX)).unwrap();
            assert_eq!(wait, Duration::MAX);
            assert!(backoff.failed(now, u64::MAX, None).unwrap() < Duration::MAX);
        }
        // Nothing stays nothing, however often it is doubled.
        let mut backoff = Backoff::new().base(Duration::ZERO);
        assert!((0..200).all(|_| backoff.failed(now, u64::MAX, None) == Some(Duration::ZERO)));
        assert_eq!(part(Duration::MAX, 0), Duration::ZERO);
        assert_eq!(part(3 * SECOND, 1 << 62), Duration::from_millis(750));
        assert_eq!(part(Duration::from_nanos(7), 1 << 63), Duration::from_nanos(3));
    }
}
