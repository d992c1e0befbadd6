//! A client, and a test client: it sends a text on open and prints what arrives. The text `bye` starts a close with
//! 1000. It exits with 0 only after a clean Close with 1000, 1001 or no code, and else says why on standard error.
//!
//! `cargo run --release --example client -- ws://127.0.0.1:9001/ --message hello`, and
//! `cargo run --release --example client --features tls -- wss://chat.example/ --proxy socks5://127.0.0.1:1080`

mod deflate;
mod reach;

use std::{error::Error, time::Duration};

use deflate::DeflateFlags;
use lexopt::prelude::*;
use reach::ReachFlags;
use wireroom::{Cause, CloseCode, Config, Event, EventLoop, Message, handshake::ClientRequest};

const USAGE: &str = "\
usage: client URL [--message TEXT] [--subprotocol NAME]... [--max-message-size BYTES] [--handshake-timeout SECONDS]
              [--close-timeout SECONDS] [--keepalive-interval SECONDS] [--keepalive-timeout SECONDS]";

fn main() {
    if let Err(error) = run() {
        eprintln!("client: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut url, mut message, mut subprotocols) = (None, None, Vec::new());
    let (mut config, mut deflate, mut reach) = (Config::builder(), DeflateFlags::default(), ReachFlags::default());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(value) if url.is_none() => url = Some(value.string()?),
            Long("message") => message = Some(arguments.value()?.string()?),
            Long("subprotocol") => subprotocols.push(arguments.value()?.string()?),
            Long("max-message-size") => config = config.max_message_size(arguments.value()?.parse()?),
            Long("handshake-timeout") => config = config.handshake_timeout(seconds(&mut arguments)?),
            Long("close-timeout") => config = config.close_timeout(seconds(&mut arguments)?),
            Long("keepalive-interval") => config = config.keepalive_interval(Some(seconds(&mut arguments)?)),
            Long("keepalive-timeout") => config = config.keepalive_timeout(seconds(&mut arguments)?),
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
    let url = url.ok_or(USAGE)?;

    // 1. Connect: the loop looks the name up, tries its addresses, goes by a proxy, and speaks TLS for wss://.
    let mut request = ClientRequest::new(&url)?;
    if !subprotocols.is_empty() {
        request = request.subprotocols(&subprotocols)?;
    }
    let options = reach.options(request.is_secure())?;
    let mut event_loop = EventLoop::new()?;
    event_loop.connect_to(request, options, deflate.apply(config)?.build()?)?;

    // 2. Turn until the one connection is gone: behind its end it lingers, so that the server gets our Close.
    let mut end = None;
    while !event_loop.connections().is_empty() {
        event_loop.turn(None, |connections, id, event| match event {
            Event::Open => {
                if let Some(text) = &message {
                    // A queue that is empty takes any message.
                    let _ = connections.send(id, text);
                }
            }
            Event::Message(Message::Text(text)) => {
                println!("{text}");
                if text == "bye" {
                    connections.close(id, CloseCode::NORMAL, "");
                }
            }
            Event::Message(Message::Binary(bytes)) => println!("binary, {} bytes", bytes.len()),
            Event::Closed(closed) => end = Some(closed),
            _ => {}
        })?;
    }

    // 3. Clean is a matter of both: how it ended, and what the peer said.
    match end {
        Some(closed) => match (&closed.cause, closed.peer.as_ref().map(|frame| frame.code)) {
            (Cause::Clean, Some(None | Some(CloseCode::NORMAL | CloseCode::GOING_AWAY))) => Ok(()),
            _ => Err(closed.to_string().into()),
        },
        None => Ok(()),
    }
}

fn seconds(arguments: &mut lexopt::Parser) -> Result<Duration, Box<dyn Error>> {
    Ok(Duration::try_from_secs_f64(arguments.value()?.parse()?)?)
}
