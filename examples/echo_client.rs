//! A client that sends back each message with its type: the other end of an echo test. It exits with 0 only after a clean
//! Close with 1000, 1001 or no code, and else says why on standard error.
//!
//! `cargo run --release --example echo_client --features deflate -- ws://127.0.0.1:9001/ --deflate`

mod deflate;
mod reach;

use std::error::Error;

use deflate::DeflateFlags;
use lexopt::prelude::*;
use reach::ReachFlags;
use wireroom::{Cause, CloseCode, Config, Event, EventLoop, handshake::ClientRequest};

const USAGE: &str = "usage: echo_client URL [--max-message-size BYTES]";

fn main() {
    if let Err(error) = run() {
        eprintln!("echo_client: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut url, mut config) = (None, Config::builder());
    let (mut deflate, mut reach) = (DeflateFlags::default(), ReachFlags::default());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(value) if url.is_none() => url = Some(value.string()?),
            Long("max-message-size") => config = config.max_message_size(arguments.value()?.parse()?),
            Short('h') | Long("help") => {
                println!("{USAGE}\n{}\n{}", reach::USAGE, deflate::USAGE);
                return Ok(());
            }
            Long(name) => {
                let name = name.to_owned();
                if !reach.take(&name, &mut arguments)? {
                    deflate
                        .take(&name, &mut arguments)
                        .map_err(|error| format!("{error}\n\n{USAGE}\n{}\n{}", reach::USAGE, deflate::USAGE))?;
                }
            }
            other => return Err(format!("{}\n\n{USAGE}", other.unexpected()).into()),
        }
    }
    let request = ClientRequest::new(&url.ok_or(USAGE)?)?;
    let options = reach.options(request.is_secure())?;
    let mut event_loop = EventLoop::new()?;
    event_loop.connect_to(request, options, deflate.apply(config)?.build()?)?;

    let mut end = None;
    while end.is_none() {
        event_loop.turn(None, |connections, id, event| match event {
            // While its queue is full nothing more is read from a peer, so an echo has always room.
            Event::Message(message) => _ = connections.send(id, message),
            Event::Closed(closed) => end = Some(closed),
            _ => {}
        })?;
    }
    match end {
        Some(closed) => match (&closed.cause, closed.peer.as_ref().map(|frame| frame.code)) {
            (Cause::Clean, Some(None | Some(CloseCode::NORMAL | CloseCode::GOING_AWAY))) => Ok(()),
            _ => Err(closed.to_string().into()),
        },
        None => Ok(()),
    }
}
