//! The core without sockets: a client and a server talk through two byte vectors. Everything here works with
//! `--no-default-features`.
//!
//! `cargo run --example sans_io --no-default-features`

#![allow(clippy::disallowed_methods)] // an example has a clock

use std::{error::Error, time::Instant};

use bytes::BufMut;
use wireroom::{
    CloseCode, Config, Connection, Event, MaskingKeys, RecvBuffer,
    handshake::{ClientHandshake, ClientRequest, Progress, ServerHandshake},
};

fn main() -> Result<(), Box<dyn Error>> {
    let now = Instant::now(); // time is the caller's
    let config = Config::default();
    let (limits, timeouts) = (config.http_limits(), config.http_timeouts());
    let (mut server_rx, mut client_rx) = (RecvBuffer::new(), RecvBuffer::new());

    // 1. The client asks. Its nonce has to be random in the real world.
    let request = ClientRequest::new("ws://example.com/chat")?;
    let mut client = ClientHandshake::new(&request, *b"the sample nonce", limits, timeouts, now);
    carry("client", client.transmit(), &mut server_rx);

    // 2. The server answers.
    let mut server = ServerHandshake::new(limits, timeouts, now);
    let Progress::Upgraded(accepted) = server.poll(&mut server_rx, now, &mut |request| request.allow_any_origin())
    else {
        return Err("the request is complete and asks to upgrade".into());
    };
    let mut server = Connection::server(*accepted, config.clone(), now);
    carry("server", server.transmit(), &mut client_rx);

    // 3. The client checks the answer: only now is there a connection.
    let established = client.poll(&mut client_rx)?.ok_or("the response is complete")?;
    let keys = MaskingKeys::new(|| [0x37, 0xfa, 0x21, 0x3d]); // random, in the real world
    let mut client = Connection::client(established, keys, config, now);

    // 4. A message there, an echo back, and the closing handshake.
    let _ = client.send("Hello")?;
    client.close(CloseCode::NORMAL, "that was all", now);
    for _ in 0..3 {
        carry("client", client.transmit(), &mut server_rx);
        while let Some(event) = server.poll_event(&mut server_rx, now) {
            println!("server: {event:?}");
            if let Event::Message(message) = event {
                let _ = server.send(message)?;
            }
        }
        carry("server", server.transmit(), &mut client_rx);
        while let Some(event) = client.poll_event(&mut client_rx, now) {
            println!("client: {event:?}");
        }
    }
    Ok(())
}

/// What a socket would do.
fn carry(from: &str, queue: &mut wireroom::SendQueue, to: &mut RecvBuffer) {
    let mut bytes = Vec::new();
    bytes.put(queue);
    if !bytes.is_empty() {
        println!("{from} sends {:?}", bytes.escape_ascii().to_string());
    }
    to.extend(&bytes);
}
