//! A server and a client over a Unix-domain socket, in one loop.
//!
//! `cargo run --example unix_socket`

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use wireroom::{CloseCode, Config, Event, EventLoop, handshake::ClientRequest};

    let path = std::env::temp_dir().join(format!("wireroom-{}.sock", std::process::id()));
    let mut event_loop = EventLoop::new()?;
    event_loop.listen_unix(&path, Config::default(), |_id, request| request.allow_any_origin())?;

    // The URL names a host all the same: a server may tell several apart by it.
    let client = event_loop.connect_unix(&path, ClientRequest::new("ws://localhost/")?, Config::default())?;
    let mut closed = false;
    while !closed {
        event_loop.turn(None, |connections, id, event| match event {
            Event::Open if id == client => _ = connections.send(id, "hello over a file"),
            Event::Message(message) if id == client => {
                println!("the server sent back {message:?}");
                connections.close(id, CloseCode::NORMAL, "");
            }
            Event::Message(message) => _ = connections.send(id, message),
            Event::Closed(end) if id == client => {
                println!("{end}");
                closed = true;
            }
            _ => {}
        })?;
    }
    std::fs::remove_file(path)?;
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("there are no Unix-domain sockets here");
}
