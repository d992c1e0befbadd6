//! Wakes the event loop when messages fall due: its poll counts whole milliseconds, and waiting for them without sleep would
//! take a processor of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use wireroom::Handle;

use crate::failure::Failure;

/// Seconds. What falls due within them goes out together: a thread that slept for less would hardly sleep at all.
const SHORTEST: f64 = 50e-6;
/// Seconds. So often it is looked at least whether it is still wanted.
const LONGEST: f64 = 1.0;

/// A thread that lasts as long as this.
#[derive(Debug)]
pub(super) struct Ticker(Arc<AtomicBool>);

impl Ticker {
    /// Wakes the loop `rate` times a second from `begin` on, 20,000 times at most.
    pub(super) fn start(begin: Instant, rate: f64, handle: Handle) -> Result<Self, Failure> {
        let interval = (1.0 / rate).max(SHORTEST);
        let ended = Arc::new(AtomicBool::new(false));
        let ends = ended.clone();
        let tick = move || {
            sleep_exactly();
            while !ends.load(Ordering::Relaxed) {
                let left = interval - begin.elapsed().as_secs_f64() % interval;
                thread::sleep(Duration::from_secs_f64(left.min(LONGEST)));
                if left <= LONGEST {
                    handle.wake();
                }
            }
        };
        let thread = thread::Builder::new().name("ticker".to_owned()).spawn(tick);
        thread.map(|_| Self(ended)).map_err(|error| Failure::here(format_args!("no thread for the rate: {error}")))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// prctl(2), PR_SET_TIMERSLACK: by default a thread may sleep 50 microseconds longer than it wanted to.
#[cfg(target_os = "linux")]
fn sleep_exactly() {
    // Where that is not allowed it is late.
    let _ = nix::sys::prctl::set_timerslack(1);
}

#[cfg(not(target_os = "linux"))]
fn sleep_exactly() {}
