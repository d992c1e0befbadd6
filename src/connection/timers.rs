//! Keepalive, idle and closing deadlines, in 32-bit milliseconds. The clock is the caller's, and one time that all
//! connections of a [`Config`] share gives those milliseconds their place in it.
//!
//! Nothing is rescheduled on the path of a message: an arrival writes one number down, and a deadline that comes up
//! is held against it.

use std::time::{Duration, Instant};

use super::{Config, config::MAX_TIME};

/// Milliseconds since [`Timers::base`].
type Tick = u32;
const NEVER: Tick = Tick::MAX;
/// The base counts 2^16 ms, 66 s: 32 bits of it are 8,900 years.
const UNIT: u32 = 16;
/// Past this the base moves on, so that ticks and the longest configurable time add up below `NEVER`.
const REBASE: Tick = 1 << 31;
/// So much of the past is kept: more than the longest configurable time, so that no deadline moves with the base.
const KEPT: Tick = REBASE / 32 * 31;
const _: () = assert!(REBASE as u64 + MAX_TIME.as_secs() * 1000 < NEVER as u64);
const _: () = assert!(MAX_TIME.as_secs() * 1000 < KEPT as u64);

/// Every connection has one: an `Instant` would take up 16 bytes.
#[derive(Debug)]
pub(super) struct Timers {
    /// Where the ticks begin, in units from [`Config::epoch`].
    base: i32,
    /// The peer gave a sign of life.
    heard: Tick,
    /// Our unanswered Ping left.
    pinged: Tick,
    /// The last message arrived.
    message: Tick,
    /// The closing handshake has to be complete.
    close: Tick,
    /// The send queue's progress when it was last looked at.
    progress: u32,
}

/// A time, and where it is in the ticks of the connections that were last asked about it: most of a driver's share a
/// [`Config`], and it is worked out once for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    now: Instant,
    /// An epoch, and the milliseconds since then.
    since: Option<(Instant, i64)>,
}

impl Moment {
    #[inline]
    pub(crate) fn new(now: Instant) -> Self {
        Self { now, since: None }
    }

    #[inline]
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    #[inline]
    fn since(&mut self, epoch: Instant) -> i64 {
        match self.since {
            Some((known, since)) if known == epoch => since,
            _ => self.work_out(epoch),
        }
    }

    #[cold]
    fn work_out(&mut self, epoch: Instant) -> i64 {
        let since = millis(epoch, self.now);
        self.since = Some((epoch, since));
        since
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    DeadPeer,
    Idle,
    Close,
}

/// Rounded up: a time that was configured is never none.
fn ticks(time: Duration) -> Tick {
    let millis =
        time.as_secs().saturating_mul(1_000).saturating_add(u64::from(time.subsec_nanos().div_ceil(1_000_000)));
    Tick::try_from(millis).unwrap_or(REBASE)
}

/// Milliseconds from one time to another, later or earlier, rounded down.
#[inline]
fn millis(from: Instant, to: Instant) -> i64 {
    let whole = |time: Duration| time.as_secs().min(1 << 50) as i64 * 1_000 + i64::from(time.subsec_millis());
    match to.checked_duration_since(from) {
        Some(time) => whole(time),
        None => -whole(from.saturating_duration_since(to) + Duration::from_nanos(999_999)),
    }
}

impl Timers {
    pub(super) fn new(now: Instant, config: &Config) -> Self {
        let base = millis(config.epoch(now), now) >> UNIT;
        let base = i32::try_from(base).unwrap_or(if base < 0 { i32::MIN } else { i32::MAX });
        let mut timers = Self { base, heard: 0, pinged: NEVER, message: 0, close: NEVER, progress: 0 };
        timers.resume(now, config);
        timers
    }

    #[inline]
    fn tick(&mut self, now: Instant, config: &Config) -> Tick {
        self.tick_at(&mut Moment::new(now), config)
    }

    #[inline]
    fn tick_at(&mut self, moment: &mut Moment, config: &Config) -> Tick {
        let since = moment.since(config.epoch(moment.now)) - (i64::from(self.base) << UNIT);
        match Tick::try_from(since) {
            Ok(tick) if tick <= REBASE => tick,
            _ if since < 0 => 0,
            _ => self.rebase(since),
        }
    }

    /// Moves the base on; `since` is the time since the old one.
    #[cold]
    fn rebase(&mut self, since: i64) -> Tick {
        let units = (since - i64::from(KEPT)) >> UNIT;
        let shift = Tick::try_from(units << UNIT).unwrap_or(Tick::MAX);
        for tick in [&mut self.heard, &mut self.pinged, &mut self.message, &mut self.close] {
            if *tick != NEVER {
                *tick = tick.saturating_sub(shift);
            }
        }
        self.base = self.base.saturating_add(i32::try_from(units).unwrap_or(i32::MAX));
        Tick::try_from(since - (units << UNIT)).unwrap_or(REBASE)
    }

    /// The time of a tick.
    fn instant(&self, tick: Tick, config: &Config) -> Option<Instant> {
        let since = (i64::from(self.base) << UNIT) + i64::from(tick);
        // There is an epoch: `new` has set it.
        let epoch = config.known_epoch()?;
        let time = Duration::from_millis(since.unsigned_abs());
        if since < 0 { epoch.checked_sub(time) } else { epoch.checked_add(time) }
    }

    /// Our Ping has not been answered.
    #[cfg(feature = "net")]
    pub(super) fn awaits_life(&self) -> bool {
        self.pinged != NEVER
    }

    /// Bytes arrived.
    #[inline]
    pub(super) fn heard(&mut self, now: Instant, config: &Config) {
        self.heard_at(&mut Moment::new(now), config);
    }

    #[inline]
    pub(super) fn heard_at(&mut self, moment: &mut Moment, config: &Config) {
        self.heard = self.tick_at(moment, config);
        self.pinged = NEVER;
    }

    /// A message arrived; it came with bytes, so the time is known already.
    pub(super) fn message(&mut self) {
        self.message = self.heard;
    }

    /// The closing handshake begins, once.
    pub(super) fn begin_close(&mut self, now: Instant, config: &Config) {
        if self.close == NEVER {
            self.close = self.tick(now, config).saturating_add(ticks(config.close_timeout()));
        }
    }

    /// A number has changed that shows the peer's system takes what we send. Only a peer that is not read from is not
    /// idle meanwhile. Answers whether it has.
    pub(super) fn note_progress(&mut self, progress: u32, withheld: bool, now: Instant, config: &Config) -> bool {
        let moved = std::mem::replace(&mut self.progress, progress) != progress;
        if moved {
            self.heard(now, config);
            if withheld {
                self.message = self.heard;
            }
        }
        moved
    }

    /// What was taken from the queue before moves on its way: the next look, at `progress`, counts that.
    #[cfg(feature = "tls")]
    pub(super) fn moves_on(&mut self, progress: u32) {
        self.progress = progress.wrapping_sub(1);
    }

    /// Our reading goes on after a pause, in which the peer could not be heard.
    pub(super) fn resume(&mut self, now: Instant, config: &Config) {
        self.heard(now, config);
        self.message = self.heard;
    }

    fn next(&self, config: &Config, keepalive: bool) -> Option<(Tick, Due)> {
        if self.close != NEVER {
            return Some((self.close, Due::Close));
        }
        let alive = config.keepalive_interval().filter(|_| keepalive).map(|interval| match self.pinged {
            NEVER => (self.heard.saturating_add(ticks(interval)), Due::Ping),
            pinged => (pinged.saturating_add(ticks(config.keepalive_timeout())), Due::DeadPeer),
        });
        let idle = config.idle_timeout().filter(|_| keepalive);
        let idle = idle.map(|time| (self.message.saturating_add(ticks(time)), Due::Idle));
        alive.into_iter().chain(idle).min_by_key(|(tick, _)| *tick)
    }

    /// When to look again. Without `keepalive` (reading is paused by the caller) only closing has a deadline.
    pub(super) fn deadline(&self, config: &Config, keepalive: bool) -> Option<Instant> {
        let (tick, _) = self.next(config, keepalive)?;
        self.instant(tick, config)
    }

    /// The closing handshake has begun: no other time counts.
    #[cfg(feature = "deflate")]
    pub(super) fn is_closing(&self) -> bool {
        self.close != NEVER
    }

    /// When the peer was heard last: a time that has come.
    pub(super) fn last_heard(&self, config: &Config) -> Option<Instant> {
        self.instant(self.heard, config)
    }

    /// What is due by `now`. A Ping counts as sent.
    pub(super) fn expire(&mut self, config: &Config, keepalive: bool, now: Instant) -> Option<Due> {
        let now = self.tick(now, config);
        let (tick, due) = self.next(config, keepalive)?;
        if now < tick {
            return None;
        }
        if due == Due::Ping {
            self.pinged = now;
        }
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_pinged_then_given_up_and_any_byte_counts() {
        let start = Instant::now();
        let config = Config::default();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::new(start, &config);
        assert_eq!(timers.deadline(&config, true), Some(at(30)));
        assert_eq!(timers.expire(&config, true, at(29)), None);
        timers.heard(at(29), &config);
        assert_eq!(timers.expire(&config, true, at(30)), None);
        assert_eq!(timers.expire(&config, true, at(59)), Some(Due::Ping));
        assert_eq!(timers.deadline(&config, true), Some(at(79)));
        assert_eq!(timers.expire(&config, true, at(79)), Some(Due::DeadPeer));
        timers.heard(at(79), &config);
        assert_eq!(timers.deadline(&config, true), Some(at(109)));
    }

    #[test]
    fn a_time_below_a_millisecond_is_not_over_at_once() {
        let start = Instant::now();
        let time = Duration::from_micros(1);
        let config = Config::builder().keepalive_timeout(time).idle_timeout(Some(time)).close_timeout(time);
        let config = config.build().unwrap();
        let mut timers = Timers::new(start, &config);
        assert_eq!(timers.expire(&config, true, start), None);
        assert_eq!(timers.expire(&config, true, start + Duration::from_millis(1)), Some(Due::Idle));
        timers.begin_close(start, &config);
        assert_eq!(timers.expire(&config, true, start), None);
        assert_eq!(timers.expire(&config, true, start + Duration::from_millis(1)), Some(Due::Close));
    }

    #[test]
    fn a_moment_is_the_same_for_connections_of_several_configs() {
        let start = Instant::now() + Duration::from_secs(1_000);
        let configs = [0, 1, 700_000].map(|birth| {
            let config = Config::default();
            let timers = Timers::new(start + Duration::from_millis(birth), &config);
            (config, timers)
        });
        let mut configs: Vec<_> = configs.into_iter().collect();
        // Later ones, and one from before the last two began, by turns.
        for time in [800_000, 800_001, 500, 1 << 33] {
            let now = start + Duration::from_millis(time);
            let mut moment = Moment::new(now);
            for turn in 0..7 {
                let (config, timers) = &mut configs[turn * 2 % 3];
                timers.heard_at(&mut moment, config);
                let heard = timers.heard;
                timers.heard(now, config);
                assert_eq!((timers.heard, timers.tick(now, config)), (heard, heard), "{time}");
            }
        }
    }

    #[test]
    fn ticks_survive_a_hundred_days() {
        let start = Instant::now();
        let config = Config::default();
        let mut timers = Timers::new(start, &config);
        for hour in 1..2400 {
            let now = start + Duration::from_secs(hour * 3600);
            timers.heard(now, &config);
            assert_eq!(timers.deadline(&config, true), Some(now + Duration::from_secs(30)), "hour {hour}");
        }
    }

    #[test]
    fn connections_of_a_config_may_begin_before_and_long_after_its_first() {
        let start = Instant::now() + Duration::from_secs(1 << 20);
        let config = Config::default();
        let mut first = Timers::new(start, &config);
        let years = Duration::from_secs(1_000 * 365 * 24 * 3600);
        let births = [start - Duration::from_millis(1), start - Duration::from_secs(1 << 20), start + years];
        for birth in births {
            for part in [0, 1, 65_535, 65_536] {
                let birth = birth + Duration::from_millis(part);
                let mut timers = Timers::new(birth, &config);
                let due = birth + Duration::from_secs(30);
                assert_eq!(timers.deadline(&config, true), Some(due));
                assert_eq!(timers.expire(&config, true, due - Duration::from_millis(1)), None);
                assert_eq!(timers.expire(&config, true, due), Some(Due::Ping));
                assert_eq!(timers.deadline(&config, true), Some(due + Duration::from_secs(20)));
            }
        }
        // What has rested all the while is pinged at once, and its peer has time to answer.
        let now = start + years;
        assert_eq!(first.expire(&config, true, now), Some(Due::Ping));
        assert_eq!(first.expire(&config, true, now), None);
        assert_eq!(first.deadline(&config, true), Some(now + Duration::from_secs(20)));
    }

    #[test]
    fn a_deadline_outlives_a_move_of_the_base() {
        let start = Instant::now();
        let longest = Config::builder().keepalive_interval(None).idle_timeout(Some(MAX_TIME)).build().unwrap();
        let mut timers = Timers::new(start, &longest);
        let hours = |hours: u64| start + Duration::from_secs(hours * 3600);
        for hour in 1..=600 {
            timers.heard(hours(hour), &longest);
        }
        timers.message();
        // 50 days after it began; the base has moved.
        timers.heard(hours(1_176 - 1), &longest);
        assert_eq!(timers.deadline(&longest, true), Some(hours(600) + MAX_TIME));
        assert_eq!(timers.expire(&longest, true, hours(1_176) - Duration::from_millis(1)), None);
        assert_eq!(timers.expire(&longest, true, hours(1_176)), Some(Due::Idle));
    }
}
