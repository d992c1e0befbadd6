//! An echo server, and a test server. The path `/broadcast` sends each message to all connections there, the sender
//! included; every other path sends each message back with its type. With `--streaming` it does so part by part, in
//! constant memory, and `/broadcast` is nothing special. With `--threads` there are several event loops, and `/broadcast`
//! spans them.
//!
//! `cargo run --release --example echo -- --listen 127.0.0.1:9001`, and for compression
//! `cargo run --release --example echo --features deflate -- --deflate`, and for wss
//! `cargo run --release --example echo --features tls -- --tls-cert chain.pem --tls-key key.pem`

#![allow(clippy::disallowed_methods)] // an example has a clock

mod deflate;
#[path = "echo/threads.rs"]
mod threads;
mod tls;

use std::{
    cell::RefCell,
    error::Error,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use deflate::DeflateFlags;
use lexopt::prelude::*;
use tls::TlsFlags;
use wireroom::{
    CloseCode, Config, ConnId, ConnMap, Connections, Event, EventLoop, Part, PreparedMessage, SendError, SlowConsumer,
    handshake::Verdict, http::Request,
};

const USAGE: &str = "\
usage: echo [--listen ADDRESS] [--max-message-size BYTES] [--handshake-timeout SECONDS] [--close-timeout SECONDS]
            [--keepalive-interval SECONDS] [--keepalive-timeout SECONDS] [--allow-origin ORIGIN]... [--subprotocol NAME]...
            [--streaming] [--max-fragments COUNT] [--max-send-buffer BYTES] [--max-send-messages COUNT]
            [--slow-consumer refuse|close|drop-newest|drop-oldest] [--latest] [--max-connections COUNT]
            [--max-connections-per-address COUNT] [--accept-budget COUNT] [--stats SECONDS] [--threads COUNT]

Any Origin is accepted unless --allow-origin names some; `null` can be named too. --latest: of what waits for a slow
member of /broadcast only the latest is kept. --stats prints what each loop has counted to standard error, every so often.
--threads: so many event loops, each on a thread; 1 if not given.";

fn main() {
    if let Err(error) = run() {
        eprintln!("echo: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut listen: SocketAddr = ([127, 0, 0, 1], 9001).into();
    let mut config = Config::builder();
    let (mut origins, mut subprotocols, mut deflate) = (Vec::new(), Vec::new(), DeflateFlags::default());
    let (mut latest, mut stats_every, mut threads, mut tls) = (false, None, 1, TlsFlags::default());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("listen") => listen = arguments.value()?.parse()?,
            Long("max-message-size") => config = config.max_message_size(arguments.value()?.parse()?),
            Long("handshake-timeout") => config = config.handshake_timeout(seconds(&mut arguments)?),
            Long("close-timeout") => config = config.close_timeout(seconds(&mut arguments)?),
            Long("keepalive-interval") => config = config.keepalive_interval(Some(seconds(&mut arguments)?)),
            Long("keepalive-timeout") => config = config.keepalive_timeout(seconds(&mut arguments)?),
            Long("allow-origin") => origins.push(arguments.value()?.string()?),
            Long("streaming") => config = config.streaming(true),
            Long("max-fragments") => config = config.max_fragments(arguments.value()?.parse()?),
            Long("max-send-buffer") => config = config.max_send_buffer(arguments.value()?.parse()?),
            Long("max-send-messages") => config = config.max_send_messages(arguments.value()?.parse()?),
            Long("slow-consumer") => config = config.slow_consumer(arguments.value()?.parse_with(slow_consumer)?),
            Long("max-connections") => config = config.max_connections(arguments.value()?.parse()?),
            Long("max-connections-per-address") => {
                config = config.max_connections_per_address(Some(arguments.value()?.parse()?));
            }
            Long("accept-budget") => config = config.accept_budget(arguments.value()?.parse()?),
            Long("latest") => latest = true,
            Long("stats") => stats_every = Some(seconds(&mut arguments)?),
            Long("threads") => threads = arguments.value()?.parse()?,
            Long("subprotocol") => subprotocols.push(arguments.value()?.string()?),
            Short('h') | Long("help") => {
                println!("{USAGE}\n{}\n{}", deflate::USAGE, tls::USAGE);
                return Ok(());
            }
            Long(name) => {
                let name = name.to_owned();
                if !tls.take(&name, &mut arguments)? {
                    deflate
                        .take(&name, &mut arguments)
                        .map_err(|error| format!("{error}\n\n{USAGE}\n{}\n{}", deflate::USAGE, tls::USAGE))?;
                }
            }
            other => return Err(format!("{}\n\n{USAGE}", other.unexpected()).into()),
        }
    }

    let (config, policy) = (deflate.apply(config)?.build()?, Policy { origins, subprotocols });
    if threads != 1 {
        return threads::run(threads, (listen, tls.options()?), config, &policy, latest, stats_every);
    }

    // 1. Listen. `verify` sees each request before anything is promised; here it also notes who asked for /broadcast.
    let mut event_loop = EventLoop::new()?;
    let (wants_broadcast, verify) = policy.verify();
    let address = event_loop
        .listen_with(listen, tls.options()?, config, verify)
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    println!("listening on {address}");

    // 2. Turn for ever. What is queued in a turn leaves at its end, in one write per connection.
    let mut broadcast = Vec::new();
    let mut told = Instant::now();
    loop {
        event_loop.turn(stats_every, |connections, id, event| match event {
            Event::Open if wants_broadcast.borrow().get(id).is_some() => broadcast.push(id),
            Event::Message(message) if wants_broadcast.borrow().get(id).is_some() => {
                let message = PreparedMessage::new(message);
                let message = if latest { message.latest_of("broadcast") } else { message };
                for member in &broadcast {
                    // What one misses that does not keep up is a matter of --slow-consumer and --latest.
                    let _ = connections.send_prepared(*member, &message);
                }
            }
            // While its queue is full nothing more is read from a peer, so an echo has always room.
            Event::Message(message) => _ = connections.send(id, message),
            Event::Part(part) => _ = echo_part(connections, id, part),
            Event::Closed(_) if wants_broadcast.borrow_mut().remove(id).is_some() => {
                broadcast.retain(|member| *member != id);
            }
            _ => {}
        })?;
        if stats_every.is_some_and(|every| told.elapsed() >= every) {
            eprintln!("stats: {:?}", event_loop.connections().stats());
            told = Instant::now();
        }
    }
}

/// Who may come in.
#[derive(Clone)]
struct Policy {
    origins: Vec<String>,
    subprotocols: Vec<String>,
}

/// The connections that asked for /broadcast.
type WantBroadcast = Rc<RefCell<ConnMap<()>>>;

impl Policy {
    fn verify(&self) -> (WantBroadcast, impl FnMut(ConnId, &Request<'_>) -> Verdict + use<>) {
        let wants_broadcast = WantBroadcast::default();
        let (note, Self { origins, subprotocols }) = (wants_broadcast.clone(), self.clone());
        let verify = move |id, request: &Request<'_>| {
            if request.path() == "/broadcast" {
                note.borrow_mut().insert(id, ());
            }
            let ours: Vec<&str> = subprotocols.iter().map(String::as_str).collect();
            let chosen = request.select_subprotocol(&ours);
            let named: Vec<&str> = origins.iter().map(String::as_str).collect();
            let verdict = if named.is_empty() { request.allow_any_origin() } else { request.allow_origins(&named) };
            match (verdict, chosen) {
                (Verdict::Accept(acceptance), Some(subprotocol)) => acceptance.subprotocol(subprotocol).into(),
                (verdict, _) => verdict,
            }
        };
        (wants_broadcast, verify)
    }
}

fn slow_consumer(name: &str) -> Result<SlowConsumer, String> {
    match name {
        "refuse" => Ok(SlowConsumer::Refuse),
        "close" => Ok(SlowConsumer::Close(CloseCode::TRY_AGAIN_LATER)),
        "drop-newest" => Ok(SlowConsumer::DropNewest),
        "drop-oldest" => Ok(SlowConsumer::DropOldest),
        _ => Err(format!("no such policy: {name}")),
    }
}

/// A part becomes a fragment; one without bytes only ends its message.
fn echo_part(connections: &mut Connections, id: ConnId, part: Part<'_>) -> Result<(), SendError> {
    let mut writer = connections.writer(id, part.message.kind())?;
    if !part.message.as_bytes().is_empty() {
        let _ = writer.write(part.message.as_bytes())?;
    }
    if part.last {
        let _ = writer.finish()?;
    }
    Ok(())
}

fn seconds(arguments: &mut lexopt::Parser) -> Result<Duration, Box<dyn Error>> {
    Ok(Duration::try_from_secs_f64(arguments.value()?.parse()?)?)
}
