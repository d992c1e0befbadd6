//! SIGINT and SIGTERM: the first asks, the second ends the program at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

/// Which signal asked, if one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Interrupt,
    Terminate,
}

/// What the first signal was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<AtomicU8>);

impl Asked {
    pub(crate) fn signal(&self) -> Option<Signal> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Signal::Interrupt),
            _ => Some(Signal::Terminate),
        }
    }
}

/// Watches for signals on a thread. With the first, `wake` is called; before the second ends the program, `at_end`.
#[cfg(unix)]
pub(crate) fn watch(wake: impl FnOnce() + Send + 'static, at_end: impl FnOnce() + Send + 'static) -> io::Result<Asked> {
    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        iterator::Signals,
    };

    use crate::Status;

    let asked = Asked::default();
    let told = asked.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut signals = signals.forever();
        if let Some(signal) = signals.next() {
            told.0.store(if signal == SIGINT { 1 } else { 2 }, Ordering::Release);
            wake();
        }
        if signals.next().is_some() {
            at_end();
            std::process::exit(Status::Interrupted as i32);
        }
    })?;
    Ok(asked)
}

/// Elsewhere the system's own way ends the program.
#[cfg(not(unix))]
pub(crate) fn watch(
    _wake: impl FnOnce() + Send + 'static,
    _at_end: impl FnOnce() + Send + 'static,
) -> io::Result<Asked> {
    Ok(Asked::default())
}
