//! Rooms, the whole journey of a byte.
//!
//! `cargo run --example rooms -- --listen 127.0.0.1:8080`, then in the consoles of two pages of a browser:
//!
//! ```text
//! ws = new WebSocket("ws://127.0.0.1:8080"); ws.onmessage = e => console.log(e.data);
//! ws.send("hello")             goes to everyone else in the lobby, where everyone starts
//! ws.send("/join kitchen")     joins a room
//! ws.send("/in kitchen hello") goes to everyone else in that room
//! ws.send("/all hello")        goes to everyone, me too
//! ws.send("/to 0-1-0 hello")   goes to one, by the id that each is told when it opens
//! ws.send("/leave lobby")
//! ```

use std::error::Error;
use std::net::SocketAddr;

use wireroom::rooms::{Delivery, Hub, JoinError, Socket};
use wireroom::{CloseCode, Config, ConnId, Event, EventLoop};

const LOBBY: &str = "lobby";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let addr: SocketAddr = match &arguments[..] {
        [] => "127.0.0.1:8080".parse()?,
        [listen, addr] if listen == "--listen" => addr.parse()?,
        _ => return Err("usage: rooms [--listen ADDR]".into()),
    };

    let mut event_loop = EventLoop::new()?;
    // Any page may connect to this example. A real server names its own: request.allow_origins(&["https://chat.example"]).
    let addr = event_loop.listen(addr, Config::default(), |_id, request| request.allow_any_origin())?;
    println!("listening on {addr}");

    let mut hub = Hub::new(event_loop);
    let mut dropped = 0;
    loop {
        hub.turn(None, |socket, event| match event {
            Event::Open => {
                let hello = format!("you are {}", socket.id());
                // An answer that is not queued: the peer reads nothing. A close tells it, and frees us.
                if socket.emit(&hello).is_err() || join(socket, LOBBY).is_err() {
                    socket.close(CloseCode::TRY_AGAIN_LATER, "");
                }
            }
            Event::Message(message) => {
                let delivery = match message.as_text() {
                    Some(text) => command(socket, text),
                    None => socket.to(LOBBY).emit(message),
                };
                dropped += delivery.dropped;
            }
            // The socket is still in its rooms here, and in none after this arm.
            Event::Closed(closed) => {
                let farewell = format!("{} has gone", socket.id());
                dropped += socket.to(LOBBY).emit(&farewell).dropped;
                println!("{}: {closed}; {dropped} messages were not queued so far", socket.id());
            }
            _ => {}
        })?;
    }
}

/// What a line asks for, and to how many it went.
fn command(socket: &mut Socket<'_>, text: &str) -> Delivery {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match (word, rest) {
        ("/join", room) => match join(socket, room) {
            Ok(delivery) => delivery,
            Err(error) => answer(socket, &error.to_string()),
        },
        ("/leave", room) => {
            let said = if socket.leave(room) { "left" } else { "not in" };
            answer(socket, &format!("{said} {room}"))
        }
        ("/all", text) => socket.io().emit(text),
        ("/to", rest) => match rest.split_once(' ').map(|(id, text)| (id.parse::<ConnId>(), text)) {
            Some((Ok(id), text)) => socket.to(id).emit(text),
            _ => answer(socket, "/to ID TEXT"),
        },
        ("/in", rest) => match rest.split_once(' ') {
            Some((room, text)) => socket.to(room).emit(text),
            None => answer(socket, "/in ROOM TEXT"),
        },
        _ => {
            let line = format!("{}: {text}", socket.id());
            socket.to(LOBBY).emit(&line)
        }
    }
}

/// Joins, and tells the others there.
fn join(socket: &mut Socket<'_>, room: &str) -> Result<Delivery, JoinError> {
    if !socket.join(room)? {
        return Ok(answer(socket, &format!("already in {room}")));
    }
    let news = format!("{} joined {room}", socket.id());
    Ok(socket.to(room).including_me().emit(&news))
}

/// A message to the sender itself: the room of its own id.
fn answer(socket: &mut Socket<'_>, text: &str) -> Delivery {
    let me = socket.id();
    socket.io().to(me).emit(text)
}
