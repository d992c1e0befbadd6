//! Keepalive, idle and closing deadlines, in 32-bit milliseconds. The clock is the caller's.
//!
//! Nothing is rescheduled on the path of a message: an arrival writes one number down, and a deadline that comes up
//! is held against it.

use std::time::{Duration, Instant};

use super::Config;

/// Milliseconds since [`Timers::epoch`].
type Tick = u32;
const NEVER: Tick = Tick::MAX;
/// Past this the epoch moves on, so that ticks and the longest configurable time add up below `NEVER`.
const REBASE: Tick = 1 << 31;
/// So much of the past is kept: more than the longest configurable time, so that no deadline moves with the epoch.
const KEPT: Tick = REBASE / 32 * 31;

#[derive(Debug)]
pub(super) struct Timers {
    epoch: Instant,
    /// The peer gave a sign of life.
    heard: Tick,
    /// Our unanswered Ping left.
    pinged: Tick,
    /// The last message arrived.
    message: Tick,
    /// The closing handshake has to be complete.
    close: Tick,
    /// The compressor has to be looked at.
    #[cfg(feature = "deflate")]
    compressor: Tick,
    /// The send queue's progress when it was last looked at.
    progress: u32,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    DeadPeer,
    Idle,
    Close,
    /// Is the compressor still in use?
    #[cfg(feature = "deflate")]
    Compressor,
}

fn ticks(time: Duration) -> Tick {
    Tick::try_from(time.as_millis()).unwrap_or(REBASE)
}

impl Timers {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            heard: 0,
            pinged: NEVER,
            message: 0,
            close: NEVER,
            #[cfg(feature = "deflate")]
            compressor: NEVER,
            progress: 0,
        }
    }

    fn tick(&mut self, now: Instant) -> Tick {
        let since = now.saturating_duration_since(self.epoch);
        if since.as_millis() > u128::from(REBASE) {
            let passed = u64::try_from(since.as_millis()).unwrap_or(u64::MAX) - u64::from(KEPT);
            self.epoch += Duration::from_millis(passed);
            let shift = Tick::try_from(passed).unwrap_or(Tick::MAX);
            let ticks_of_all = [
                &mut self.heard,
                &mut self.pinged,
                &mut self.message,
                &mut self.close,
                #[cfg(feature = "deflate")]
                &mut self.compressor,
            ];
            for tick in ticks_of_all {
                if *tick != NEVER {
                    *tick = tick.saturating_sub(shift);
                }
            }
            return KEPT;
        }
        ticks(since)
    }

    /// Our Ping has not been answered.
    #[cfg(feature = "net")]
    pub(super) fn awaits_life(&self) -> bool {
        self.pinged != NEVER
    }

    /// Bytes arrived.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = self.tick(now);
        self.pinged = NEVER;
    }

    /// A message arrived; it came with bytes, so the time is known already.
    pub(super) fn message(&mut self) {
        self.message = self.heard;
    }

    /// The closing handshake begins, once.
    pub(super) fn begin_close(&mut self, now: Instant, config: &Config) {
        if self.close == NEVER {
            self.close = self.tick(now).saturating_add(ticks(config.close_timeout()));
        }
    }

    /// A number has changed that shows the peer's system takes what we send. Only a peer that is not read from is not
    /// idle meanwhile. Answers whether it has.
    pub(super) fn note_progress(&mut self, progress: u32, withheld: bool, now: Instant) -> bool {
        let moved = std::mem::replace(&mut self.progress, progress) != progress;
        if moved {
            self.heard(now);
            if withheld {
                self.message = self.heard;
            }
        }
        moved
    }

    /// Our reading goes on after a pause, in which the peer could not be heard.
    pub(super) fn resume(&mut self, now: Instant) {
        self.heard(now);
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
        let others = alive.into_iter().chain(idle);
        #[cfg(feature = "deflate")]
        let others = others.chain(Some((self.compressor, Due::Compressor)).filter(|(tick, _)| *tick != NEVER));
        others.min_by_key(|(tick, _)| *tick)
    }

    /// There is a compressor, which is to be given up when it has not been used for `time`. A send does not tell when it
    /// is: the first look may come early, and then only notes that it was.
    #[cfg(feature = "deflate")]
    pub(super) fn watch_compressor(&mut self, time: Option<Duration>) {
        if let Some(time) = time.filter(|_| self.compressor == NEVER) {
            self.compressor = self.heard.saturating_add(ticks(time));
        }
    }

    /// Looks again after `time`, or not any more.
    #[cfg(feature = "deflate")]
    pub(super) fn watch_compressor_again(&mut self, time: Option<Duration>, now: Instant) {
        self.compressor = time.map_or(NEVER, |time| self.tick(now).saturating_add(ticks(time)));
    }

    /// When to look again. Without `keepalive` (reading is paused by the caller) only closing has a deadline.
    pub(super) fn deadline(&self, config: &Config, keepalive: bool) -> Option<Instant> {
        let (tick, _) = self.next(config, keepalive)?;
        Some(self.epoch + Duration::from_millis(u64::from(tick)))
    }

    /// A time that has come.
    pub(super) fn at_once(&self) -> Instant {
        self.epoch
    }

    /// What is due by `now`. A Ping counts as sent.
    pub(super) fn expire(&mut self, config: &Config, keepalive: bool, now: Instant) -> Option<Due> {
        let now = self.tick(now);
        let (tick, due) = self.next(config, keepalive)?;
        if now < tick {
            return None;
        }
        match due {
            Due::Ping => self.pinged = now,
            #[cfg(feature = "deflate")]
            Due::Compressor => self.compressor = NEVER,
            _ => {}
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
        let mut timers = Timers::new(start);
        assert_eq!(timers.deadline(&config, true), Some(at(30)));
        assert_eq!(timers.expire(&config, true, at(29)), None);
        timers.heard(at(29));
        assert_eq!(timers.expire(&config, true, at(30)), None);
        assert_eq!(timers.expire(&config, true, at(59)), Some(Due::Ping));
        assert_eq!(timers.deadline(&config, true), Some(at(79)));
        assert_eq!(timers.expire(&config, true, at(79)), Some(Due::DeadPeer));
        timers.heard(at(79));
        assert_eq!(timers.deadline(&config, true), Some(at(109)));
    }

    #[test]
    fn ticks_survive_a_hundred_days() {
        let start = Instant::now();
        let config = Config::default();
        let mut timers = Timers::new(start);
        for hour in 1..2400 {
            let now = start + Duration::from_secs(hour * 3600);
            timers.heard(now);
            assert_eq!(timers.deadline(&config, true), Some(now + Duration::from_secs(30)), "hour {hour}");
        }
    }
}
