//! Carries the bytes: one thread, one poll, any number of clients. What a slow side has not taken is at most one read, and
//! until it has gone nothing more is read from the other.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Registry, Token, Waker, event::Event};

use super::{
    Options,
    observer::From,
    pair::{End, Pair},
    print::Printer,
    secure::Secure,
    wire::{Door, Wire},
};
use crate::{
    dial::{plain, shown},
    failure::{Failure, of_stdout},
    listen::{SocketFile, cannot_listen},
    show::{Paint, When, print},
    signals,
};

/// Tokens of the poll: what wakes it, the listener, and two for each client.
const WAKER: Token = Token(0);
const DOOR: Token = Token(1);
const FIRST: usize = 2;
/// One read.
const READ: usize = 64 << 10;
/// So long after accepting failed, for lack of descriptors mostly, it is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// The server.
#[derive(Debug)]
pub(super) struct Upstream<'u> {
    /// What `--rewrite-host` puts into the Host field.
    pub(super) authority: &'u str,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) secure: Option<Secure>,
}

pub(super) fn run(options: &Options, upstream: Upstream<'_>, color: When) -> Result<(), Failure> {
    let mut poll = Poll::new()?;
    // Kept until the end: a waker that is dropped takes its word with it.
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let wakes = waker.clone();
    let (mut door, address) = Door::open(&options.listen).map_err(|error| cannot_listen(&options.listen, &error))?;
    let file = RemovedAtEnd(SocketFile::of(&address));
    poll.registry().register(door.source(), DOOR, Interest::READABLE)?;
    let asked = signals::watch(move || _ = wakes.wake(), {
        let file = file.0.clone();
        move || file.remove()
    })?;
    // In JSON the lines are what is seen, and nothing else.
    let greeting = format!("listening on {address}, for {}\n", shown(&options.url));
    let said = if options.json {
        // Where standard error is closed nobody wants to know.
        let _ = io::stderr().write_all(greeting.as_bytes());
        Ok(())
    } else {
        print(&greeting)
    };
    let printer =
        Printer { json: options.json, paint: Paint::for_stdout(color), began: Instant::now(), broken: said.err() };
    let mut relay = Relay {
        options,
        upstream,
        printer,
        pairs: BTreeMap::new(),
        clients: 0,
        space: vec![0; READ].into(),
        retry_at: None,
        failing: None,
    };
    let mut events = Events::with_capacity(1024);
    while asked.signal().is_none() && relay.printer.broken.is_none() {
        match poll.poll(&mut events, relay.timeout()) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        let mut comes = relay.retry_at.is_some_and(|at| at <= Instant::now());
        for event in &events {
            comes |= event.token() == DOOR;
            relay.ready(event);
        }
        if comes {
            relay.accept(&door, poll.registry());
        }
        relay.carry(poll.registry());
    }
    drop((file, waker));
    relay.printer.broken.as_ref().map_or(Ok(()), of_stdout)
}

struct RemovedAtEnd(SocketFile);

impl Drop for RemovedAtEnd {
    fn drop(&mut self) {
        self.0.remove();
    }
}

struct Relay<'o> {
    options: &'o Options,
    upstream: Upstream<'o>,
    printer: Printer,
    /// By the number of the client.
    pairs: BTreeMap<usize, Pair>,
    /// Clients so far.
    clients: usize,
    space: Box<[u8]>,
    retry_at: Option<Instant>,
    /// The error of the last call of `accept`, told once.
    failing: Option<io::ErrorKind>,
}

impl Relay<'_> {
    fn accept(&mut self, door: &Door, registry: &Registry) {
        self.retry_at = None;
        loop {
            match door.accept() {
                Ok((client, who)) => {
                    self.failing = None;
                    self.admit(client, &who, registry);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {
                }
                Err(error) => {
                    if self.failing.replace(error.kind()) != Some(error.kind()) {
                        self.printer.note(None, "error", &format!("cannot accept: {}", plain(&error)));
                    }
                    self.retry_at = Some(Instant::now() + RETRY);
                    return;
                }
            }
        }
    }

    fn admit(&mut self, client: Wire, who: &str, registry: &Registry) {
        self.clients += 1;
        let number = self.clients;
        if self.pairs.len() >= self.options.max_clients {
            let text = format!("{who} is turned away: {} clients are connected already", self.pairs.len());
            return self.printer.note(Some(number), "refused", &text);
        }
        self.printer.note(Some(number), "connected", &format!("from {who}"));
        let host = self.options.rewrite_host.then(|| self.upstream.authority.to_owned());
        let tokens = [Token(FIRST + number * 2), Token(FIRST + number * 2 + 1)];
        let how = (self.options.payload as usize, host, self.options.timeout);
        let server = (self.upstream.addresses.as_slice(), self.upstream.secure.as_ref());
        match Pair::new(client, server, registry, tokens, how) {
            Ok(pair) => _ = self.pairs.insert(number, pair),
            Err(error) => self.ended(number, &End::NoServer(plain(&error))),
        }
    }

    /// Notes what the poll says of one socket.
    fn ready(&mut self, event: &Event) {
        let Some(number) = event.token().0.checked_sub(FIRST) else { return };
        let side = if number % 2 == 0 { From::Client } else { From::Server };
        if let Some(pair) = self.pairs.get_mut(&(number / 2)) {
            pair.ready(side, event);
        }
    }

    /// Gives each client that has something to carry its turn.
    fn carry(&mut self, registry: &Registry) {
        let now = Instant::now();
        let mut ended = Vec::new();
        let Self { pairs, printer, space, .. } = self;
        let due = |pair: &Pair| pair.is_busy() || pair.opens_by().is_some_and(|at| at <= now);
        for (number, pair) in pairs.iter_mut().filter(|(_, pair)| due(pair)) {
            if let Some(end) = pair.carry(registry, space, &mut |from, seen| printer.seen(*number, from, seen)) {
                ended.push((*number, end));
            }
        }
        for (number, end) in ended {
            if let Some(mut pair) = self.pairs.remove(&number) {
                pair.deregister(registry);
            }
            self.ended(number, &end);
        }
    }

    fn ended(&mut self, number: usize, end: &End) {
        let text = match end {
            End::Ended => "both streams have ended".to_owned(),
            End::Reset(From::Client, None) => "reset by the client, and so is the server".to_owned(),
            End::Reset(From::Server, None) => "reset by the server, and so is the client".to_owned(),
            End::Reset(From::Client, Some(why)) => format!("the client's side broke: {why}; the server is reset"),
            End::Reset(From::Server, Some(why)) => format!("the server's side broke: {why}; the client is reset"),
            End::NoServer(error) => format!("cannot connect to the server: {error}; the client is reset"),
        };
        self.printer.note(Some(number), "closed", &text);
    }

    /// How long the poll may wait.
    fn timeout(&self) -> Option<Duration> {
        if self.pairs.values().any(Pair::is_busy) {
            return Some(Duration::ZERO);
        }
        let next = self.pairs.values().filter_map(Pair::opens_by).chain(self.retry_at).min()?;
        // A millisecond's fraction would be cut off, and the poll return too early.
        Some(next.saturating_duration_since(Instant::now()) + Duration::from_millis(1))
    }
}
