//! The client of the Autobahn testsuite's fuzzing server: asks for the number of cases, runs each of them, and has the
//! reports written. In a case it echoes every message; the fuzzing server alone judges how the case went.
//!
//! `cargo run --release --example autobahn_client --features deflate -- ws://127.0.0.1:9001 --agent wireroom --deflate`

mod deflate;

use std::{
    error::Error,
    net::{SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use deflate::DeflateFlags;
use lexopt::prelude::*;
use wireroom::{Cause, Closed, Config, Event, EventLoop, Message, handshake::ClientRequest};

const USAGE: &str = "usage: autobahn_client URL [--agent NAME]";

fn main() {
    if let Err(error) = run() {
        eprintln!("autobahn_client: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut url, mut agent, mut deflate) = (None, String::from("wireroom"), DeflateFlags::default());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(value) if url.is_none() => url = Some(value.string()?),
            Long("agent") => agent = arguments.value()?.string()?,
            Short('h') | Long("help") => {
                println!("{USAGE}\n{}", deflate::USAGE);
                return Ok(());
            }
            Long(name) => {
                let name = name.to_owned();
                deflate
                    .take(&name, &mut arguments)
                    .map_err(|error| format!("{error}\n\n{USAGE}\n{}", deflate::USAGE))?;
            }
            other => return Err(format!("{}\n\n{USAGE}", other.unexpected()).into()),
        }
    }
    let url = url.ok_or(USAGE)?;
    let url = url.trim_end_matches('/');
    let request = ClientRequest::new(url)?;
    let address = (request.host(), request.port()).to_socket_addrs()?.next().ok_or("the host has no address")?;
    let config = Arc::new(deflate.apply(Config::builder())?.build()?);
    let mut driver = Driver { event_loop: EventLoop::new()?, address, config };

    // 1. How many cases does the server's spec select?
    let mut count = None;
    let closed = driver.session(&format!("{url}/getCaseCount"), |message| {
        if let Message::Text(text) = message {
            count = text.parse::<u32>().ok();
        }
        Answer::None
    })?;
    if !matches!(closed.cause, Cause::Clean) {
        return Err(format!("getCaseCount: {closed}").into());
    }
    let count = count.filter(|count| *count > 0).ok_or("getCaseCount: no case")?;

    // 2. Run each. Most cases that misbehave end in a failed connection: that is what they are for.
    for case in 1..=count {
        driver.session(&format!("{url}/runCase?case={case}&agent={agent}"), |_| Answer::Echo)?;
    }

    // 3. Have the reports written.
    let closed = driver.session(&format!("{url}/updateReports?agent={agent}"), |_| Answer::None)?;
    if !matches!(closed.cause, Cause::Clean) {
        return Err(format!("updateReports: {closed}").into());
    }
    println!("{count} cases run");
    Ok(())
}

enum Answer {
    Echo,
    None,
}

struct Driver {
    event_loop: EventLoop,
    address: SocketAddr,
    config: Arc<Config>,
}

impl Driver {
    /// One connection from its handshake to its end. That it never opened is an error; how it ended is the caller's.
    fn session(
        &mut self,
        url: &str,
        mut on_message: impl FnMut(&Message<'_>) -> Answer,
    ) -> Result<Closed, Box<dyn Error>> {
        self.event_loop.connect(self.address, ClientRequest::new(url)?, self.config.clone())?;
        let (mut opened, mut end) = (false, None);
        while end.is_none() {
            self.event_loop.turn(None, |connections, id, event| match event {
                Event::Open => opened = true,
                Event::Message(message) => {
                    if let Answer::Echo = on_message(&message) {
                        // While its queue is full nothing more is read from a peer, so an echo has always room.
                        let _ = connections.send(id, message);
                    }
                }
                Event::Closed(closed) => end = Some(closed),
                _ => {}
            })?;
        }
        match end {
            Some(closed) if opened => Ok(*closed),
            Some(closed) => Err(format!("{url} did not open: {closed}").into()),
            None => Err("the loop ended before the connection".into()),
        }
    }
}
