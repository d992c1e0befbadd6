//! A client that comes back. Once a second it sends a number to an echo server; the echo is its acknowledgement. Stop the
//! server, start it again: what was said meanwhile follows, and what may have been lost is told.
//!
//! `cargo run --release --example echo`, and beside it
//! `cargo run --release --example reconnect -- ws://localhost:9001/`

#![allow(clippy::disallowed_methods)] // an example has a clock

use std::{
    error::Error,
    time::{Duration, Instant},
};

use lexopt::prelude::*;
use wireroom::{
    CloseCode, Config, ConnectOptions, Event, EventLoop,
    backoff::Backoff,
    handshake::ClientRequest,
    net::reconnecting::{Change, ReconnectOptions, Reconnecting, State},
    proxy::{Proxy, ProxyRules},
};

const USAGE: &str = "\
usage: reconnect URL [--proxy URL | --proxy-from-env] [--max-redirects NUMBER] [--base SECONDS] [--cap SECONDS]
                 [--ticks NUMBER]";

fn main() {
    if let Err(error) = run() {
        eprintln!("reconnect: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut url, mut connect, mut backoff, mut ticks) = (None, ConnectOptions::new(), Backoff::new(), u64::MAX);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Value(value) if url.is_none() => url = Some(value.string()?),
            Long("proxy") => connect = connect.proxy(Proxy::from_url(&arguments.value()?.string()?)?),
            Long("proxy-from-env") => connect = connect.proxy_rules(ProxyRules::from_env()?),
            Long("max-redirects") => connect = connect.max_redirects(arguments.value()?.parse()?),
            Long("base") => backoff = backoff.base(Duration::try_from_secs_f64(arguments.value()?.parse()?)?),
            Long("cap") => backoff = backoff.cap(Duration::try_from_secs_f64(arguments.value()?.parse()?)?),
            Long("ticks") => ticks = arguments.value()?.parse()?,
            Short('h') | Long("help") => {
                println!("{USAGE}");
                return Ok(());
            }
            other => return Err(format!("{}\n\n{USAGE}", other.unexpected()).into()),
        }
    }
    let request = ClientRequest::new(&url.ok_or(USAGE)?)?;

    // 1. The client is beside the loop, and knows when it wants to connect.
    let mut event_loop = EventLoop::new()?;
    let options = ReconnectOptions::new().backoff(backoff);
    let mut client = Reconnecting::new(request, connect, Config::default(), options);
    let (mut tick, mut next) = (0, Instant::now());
    while !(client.is_stopped() && event_loop.connections().is_empty()) {
        // 2. What there is to say is said at any time: it waits where no connection takes it.
        let talks = tick <= ticks && !client.is_stopped();
        if talks && next <= Instant::now() {
            next += Duration::from_secs(1);
            if tick == ticks {
                client.close(event_loop.connections(), CloseCode::NORMAL, "done");
            } else {
                match client.send(event_loop.connections(), tick.to_string().as_str()) {
                    Ok(number) => println!("message {number}: {tick}"),
                    Err(error) => println!("not taken: {tick}: {error}"),
                }
            }
            tick += 1;
        }

        // 3. The turn waits no longer than the client, or what there is to say.
        let until = client.poll(&mut event_loop).into_iter().chain(talks.then_some(next)).min();
        let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
        event_loop.turn(timeout, |connections, id, event| {
            // 4. Each event goes by the client, and tells what has changed.
            match client.handle(connections, id, &event) {
                Some(Change::Opened) => println!("open, {} messages behind", client.queued_messages()),
                Some(Change::Interrupted { wait, uncertain }) => {
                    if let State::Waiting { attempt, .. } = client.state() {
                        println!("attempt {attempt} in {wait:.1?}; may be lost: {uncertain:?}");
                    }
                }
                Some(change) => println!("{change:?}"),
                None => {}
            }
            match event {
                // 5. Messages are numbered as they were sent, and so are the ticks, while all are taken.
                Event::Message(message) => {
                    if let Some(echoed) = message.as_text().and_then(|text| text.parse::<u64>().ok()) {
                        client.acknowledge(echoed + 1);
                        println!("echo: {echoed}");
                    }
                }
                Event::Closed(closed) => println!("{closed}"),
                _ => {}
            }
        })?;
    }
    Ok(())
}
