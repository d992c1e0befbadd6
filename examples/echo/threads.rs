//! The same on several threads: a loop on each, and rooms that span them.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use wireroom::{Config, Event, Hubs, ListenOptions, Loops, PreparedMessage};

use super::{Policy, echo_part};

pub(super) fn run(
    threads: usize,
    (listen, options): (SocketAddr, ListenOptions),
    config: Config,
    policy: &Policy,
    latest: bool,
    stats_every: Option<Duration>,
) -> Result<(), Box<dyn Error>> {
    // 1. Listen for all loops. The first that serves accepts, and hands connections to the one with the fewest.
    let loops = Loops::new(threads)?;
    let listener =
        loops.listen_with(listen, options, config).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let hubs = Hubs::new(&loops);
    println!("listening on {}", listener.local_addr().unwrap_or(listen));

    // 2. Each thread turns its own for ever. The first that fails ends all.
    loops.run(|mut event_loop| -> io::Result<()> {
        let number = event_loop.number();
        let (wants_broadcast, verify) = policy.verify();
        event_loop.serve(&listener, verify)?;
        let mut hub = hubs.hub(event_loop)?;
        let mut told = Instant::now();
        loop {
            hub.turn(stats_every, |socket, event| {
                let (id, in_broadcast) = (socket.id(), wants_broadcast.borrow().get(socket.id()).is_some());
                match event {
                    // Into a new room with a short name: no limit is in the way.
                    Event::Open if in_broadcast => _ = socket.join("broadcast"),
                    Event::Message(message) if in_broadcast => {
                        let message = PreparedMessage::new(message);
                        let message = if latest { message.latest_of("broadcast") } else { message };
                        // What one misses that does not keep up is a matter of --slow-consumer and --latest.
                        let _ = socket.to("broadcast").including_me().emit(message);
                    }
                    // While its queue is full nothing more is read from a peer, so an echo has always room.
                    Event::Message(message) => _ = socket.emit(message),
                    Event::Part(part) => _ = echo_part(socket.io().connections(), id, part),
                    Event::Closed(_) if in_broadcast => _ = wants_broadcast.borrow_mut().remove(id),
                    _ => {}
                }
            })?;
            if stats_every.is_some_and(|every| told.elapsed() >= every) {
                let missed = hub.missed_elsewhere();
                eprintln!(
                    "stats of loop {number}: {:?}, missed elsewhere: {missed}",
                    hub.event_loop().connections().stats()
                );
                told = Instant::now();
            }
        }
    })?;
    Ok(())
}
