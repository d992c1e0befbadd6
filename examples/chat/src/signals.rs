//! The first SIGINT or SIGTERM asks the server to go down, the second ends it at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Exit status of a program that was interrupted.
#[cfg(unix)]
const INTERRUPTED: i32 = 130;

/// Becomes true with the first signal; then `wake` is called.
#[cfg(unix)]
pub(crate) fn watch(wake: impl FnOnce() + Send + 'static) -> io::Result<Arc<AtomicBool>> {
    use signal_hook::{
        consts::{SIGINT, SIGTERM},
        iterator::Signals,
    };
    let asked = Arc::new(AtomicBool::new(false));
    let told = asked.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_some() {
            told.store(true, Ordering::Release);
            wake();
        }
        if signals.next().is_some() {
            std::process::exit(INTERRUPTED);
        }
    })?;
    Ok(asked)
}

/// Elsewhere there are no such signals: the system's own way ends the program.
#[cfg(not(unix))]
pub(crate) fn watch(_wake: impl FnOnce() + Send + 'static) -> io::Result<Arc<AtomicBool>> {
    Ok(Arc::new(AtomicBool::new(false)))
}
