//! Going down gracefully: no new connections, 1001 to everyone within a second, and two more seconds for their goodbyes.
//!
//! `cargo run --example shutdown`; it serves for five seconds.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use wireroom::{Config, Event, EventLoop};

fn main() -> Result<(), Box<dyn Error>> {
    let mut event_loop = EventLoop::new()?;
    let address = event_loop
        .listen(([127, 0, 0, 1], 9005).into(), Config::default(), |_id, request| request.allow_any_origin())?;
    println!("listening on {address}");

    // 1. Another thread says when; a signal handler would do the same.
    let stop = Arc::new(AtomicBool::new(false));
    let (handle, stopper) = (event_loop.handle(), stop.clone());
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(5));
        stopper.store(true, Ordering::Release);
        handle.wake();
    });

    // 2. Serve, and once told to stop go on until nobody is left.
    let mut stopping = false;
    while !event_loop.is_shut_down() {
        if stop.load(Ordering::Acquire) && !std::mem::replace(&mut stopping, true) {
            println!("shutting down with {} connections", event_loop.connections().len());
            event_loop.shut_down(Duration::from_secs(1), Duration::from_secs(2))?;
        }
        event_loop.turn(None, |connections, id, event| match event {
            Event::Message(message) => _ = connections.send(id, message),
            Event::Closed(closed) => println!("{id}: {closed}"),
            _ => {}
        })?;
    }
    Ok(())
}
