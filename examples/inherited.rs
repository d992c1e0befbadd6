//! An echo on the sockets that it was started with, such as systemd's; on a port of its own without any.
//!
//! `cargo run --features inherit --example inherited`, or
//! `systemd-socket-activate -l 127.0.0.1:9008 --fdname=web target/debug/examples/inherited`

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use wireroom::{Config, Event, EventLoop, Inherited, ListenOptions, http::Request};

    // First of all, before there are threads: it takes the variables out of the environment.
    let mut inherited = Inherited::from_env()?;
    let names: Vec<_> = inherited.names().map(str::to_owned).collect();
    let mut event_loop = EventLoop::new()?;
    let verify = |_id, request: &Request<'_>| request.allow_any_origin();
    for (number, name) in names.iter().enumerate() {
        let Some(listener) = inherited.take(number)? else { continue };
        let address = event_loop.listen_on(listener, ListenOptions::new(), Config::default(), verify)?;
        println!("{name}: {}", address.map_or("a Unix-domain socket".to_owned(), |address| address.to_string()));
    }
    if names.is_empty() {
        println!("its own: {}", event_loop.listen(([127, 0, 0, 1], 9008).into(), Config::default(), verify)?);
    }
    loop {
        event_loop.turn(None, |connections, id, event| {
            if let Event::Message(message) = event {
                let _ = connections.send(id, message);
            }
        })?;
    }
}

#[cfg(not(unix))]
fn main() {
    eprintln!("sockets are handed over on Unix");
}
