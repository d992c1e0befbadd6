//! A client and the server's side of it: two flows of bytes.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Registry, Token, event::Event};

use super::{
    head,
    observer::{From, Handshake, Observer, Seen},
    secure::Secure,
    wire::Wire,
};
use crate::dial::plain;

/// Reads of one flow before others have their turn.
const ROUNDS: usize = 16;

/// How a pair ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both streams came to their ends.
    Ended,
    /// One side broke, by a reset if there is no word about it, and the other is reset.
    Reset(From, Option<String>),
    /// The server could not be reached.
    NoServer(String),
}

#[derive(Debug)]
pub(super) struct Pair {
    client: Wire,
    server: Option<Wire>,
    /// Addresses of the server that have not been tried.
    addresses: VecDeque<SocketAddr>,
    secure: Option<Secure>,
    tokens: [Token; 2],
    /// The connection to the server has to be open by then, whatever addresses it has.
    deadline: Instant,
    /// It is not open yet, and the address that is tried has to answer by then.
    opens_by: Option<Instant>,
    handshake: Handshake,
    up: Flow,
    down: Flow,
    /// What the `Host` of requests becomes; until the first head is whole it is held back.
    host: Option<String>,
    broken: Option<Broken>,
    busy: bool,
}

/// Which side, and what the system or TLS says of it.
type Broken = (From, io::Error);

/// One direction.
#[derive(Debug)]
struct Flow {
    from: From,
    observer: Observer,
    /// What the other side has not taken yet: one read at most.
    pending: Vec<u8>,
    /// A request's head that is not whole, which is to be changed.
    held: Vec<u8>,
    ended: bool,
    shut: bool,
}

impl Flow {
    fn new(from: From, shown: usize) -> Self {
        Self {
            from,
            observer: Observer::new(from, shown),
            pending: Vec::new(),
            held: Vec::new(),
            ended: false,
            shut: false,
        }
    }
}

/// Where what was seen goes.
pub(super) type Tell<'t> = &'t mut dyn FnMut(From, &Seen<'_>);

impl Pair {
    /// Begins to connect to the first address that answers at all.
    pub(super) fn new(
        mut client: Wire,
        (addresses, secure): (&[SocketAddr], Option<&Secure>),
        registry: &Registry,
        tokens: [Token; 2],
        (shown, host, timeout): (usize, Option<String>, Duration),
    ) -> io::Result<Self> {
        client.register(registry, tokens[0])?;
        let mut pair = Self {
            client,
            server: None,
            addresses: addresses.iter().copied().collect(),
            secure: secure.cloned(),
            tokens,
            deadline: Instant::now() + timeout,
            opens_by: None,
            handshake: Handshake::default(),
            up: Flow::new(From::Client, shown),
            down: Flow::new(From::Server, shown),
            host,
            broken: None,
            busy: false,
        };
        match pair.connect(registry, io::ErrorKind::AddrNotAvailable.into()) {
            Ok(()) => Ok(pair),
            Err(error) => {
                pair.client.reset_when_closed();
                Err(error)
            }
        }
    }

    /// Tries the next address; `error` is what became of the last.
    fn connect(&mut self, registry: &Registry, mut error: io::Error) -> io::Result<()> {
        if let Some(mut server) = self.server.take() {
            server.deregister(registry);
        }
        while let Some(address) = self.addresses.pop_front() {
            let connected = Wire::connect(address, self.secure.as_ref()).and_then(|mut server| {
                server.register(registry, self.tokens[1])?;
                Ok(server)
            });
            match connected {
                Ok(server) => {
                    self.server = Some(server);
                    // Those behind it have their share of the time: one may be out of reach, and silent.
                    let (now, behind) = (Instant::now(), u32::try_from(self.addresses.len()).unwrap_or(u32::MAX));
                    let share = self.deadline.saturating_duration_since(now) / behind.saturating_add(1);
                    self.opens_by = Some(now + share);
                    return Ok(());
                }
                Err(next) => error = next,
            }
        }
        Err(error)
    }

    /// Notes what the poll says of one of the sockets.
    pub(super) fn ready(&mut self, of: From, event: &Event) {
        let wire = match (of, &mut self.server) {
            (From::Client, _) => &mut self.client,
            (From::Server, Some(server)) => server,
            (From::Server, None) => return,
        };
        wire.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        wire.writable |= event.is_writable();
        // Nobody may read for a while, so a reset is looked for here.
        let connecting = of == From::Server && self.opens_by.is_some();
        if event.is_error()
            && !connecting
            && let Some(error) = wire.take_error()
        {
            self.broken = Some((of, error));
        }
        self.busy = true;
    }

    /// Carries what is there. Answers how the pair ended, if it did.
    pub(super) fn carry(&mut self, registry: &Registry, space: &mut [u8], tell: Tell<'_>) -> Option<End> {
        self.busy = false;
        if self.opens_by.is_some() {
            match self.open(registry) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.client.reset_when_closed();
                    return Some(End::NoServer(plain(&error)));
                }
            }
        }
        let server = self.server.as_mut()?;
        let mut carried = self.broken.take().map_or(Ok(false), Err);
        if carried.is_ok() {
            let up = self.up.carry((&mut self.client, server), self.host.as_deref(), &mut self.handshake, space, tell);
            carried = up.and_then(|busy| {
                let down = self.down.carry((server, &mut self.client), None, &mut self.handshake, space, tell);
                down.map(|more| busy || more)
            });
        }
        match carried {
            Ok(busy) => self.busy = busy,
            Err((side, error)) => {
                // What it had said before is there all the same.
                let (host, handshake) = (self.host.as_deref(), &mut self.handshake);
                let last = match side {
                    From::Client => self.up.rest((&mut self.client, server), host, handshake, space, tell),
                    From::Server => self.down.rest((server, &mut self.client), None, handshake, space, tell),
                };
                // An alert of TLS that came with a reset says more than that.
                let why = [error, last].into_iter().find(|error| !is_reset(error)).map(|error| plain(&error));
                self.client.reset_when_closed();
                server.reset_when_closed();
                for flow in [&mut self.up, &mut self.down] {
                    let from = flow.from;
                    flow.observer.end(&mut |seen| tell(from, &seen));
                }
                return Some(End::Reset(side, why));
            }
        }
        (self.up.shut && self.down.shut).then_some(End::Ended)
    }

    /// Whether the connection to the server is open.
    fn open(&mut self, registry: &Registry) -> io::Result<bool> {
        let Some(server) = &mut self.server else { return Ok(false) };
        match server.connected() {
            Some(Ok(())) => {
                self.opens_by = None;
                server.writable = true;
                Ok(true)
            }
            Some(Err(error)) => self.connect(registry, error).map(|()| false),
            None if self.opens_by.is_some_and(|at| at <= Instant::now()) => {
                self.connect(registry, io::ErrorKind::TimedOut.into()).map(|()| false)
            }
            None => Ok(false),
        }
    }

    /// There is more to do without another word of the poll.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    pub(super) fn opens_by(&self) -> Option<Instant> {
        self.opens_by
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        self.client.deregister(registry);
        if let Some(server) = &mut self.server {
            server.deregister(registry);
        }
    }
}

impl Flow {
    /// Answers whether there is more.
    fn carry(
        &mut self,
        (source, sink): (&mut Wire, &mut Wire),
        host: Option<&str>,
        handshake: &mut Handshake,
        space: &mut [u8],
        tell: Tell<'_>,
    ) -> Result<bool, Broken> {
        let from = self.from;
        // Of what rustls has taken a part may wait, with nothing behind it that would push it on.
        sink.flush().map_err(|error| (self.to(), error))?;
        for _ in 0..ROUNDS {
            if !self.send_pending(sink)? {
                return Ok(false);
            }
            if self.ended {
                self.shut = self.shut || sink.shut_down();
                return Ok(false);
            }
            if !source.readable {
                return Ok(false);
            }
            let Some(n) = source.read(space).map_err(|error| (from, error))? else { return Ok(false) };
            if n == 0 {
                self.ended = true;
                self.pending = std::mem::take(&mut self.held);
                self.observer.end(&mut |seen| tell(from, &seen));
                continue;
            }
            self.pass(&space[..n], sink, host, handshake, tell)?;
        }
        Ok(true)
    }

    /// The last words of a source that is broken, as far as the other side takes them at once. Nothing more comes, so they have
    /// an end; that end is a reset, and no end of the stream. Answers the error behind them.
    fn rest(
        &mut self,
        (source, sink): (&mut Wire, &mut Wire),
        host: Option<&str>,
        handshake: &mut Handshake,
        space: &mut [u8],
        tell: Tell<'_>,
    ) -> io::Error {
        while !self.ended && matches!(self.send_pending(sink), Ok(true)) {
            match source.read(space) {
                Ok(Some(n @ 1..)) if self.pass(&space[..n], sink, host, handshake, tell).is_ok() => {}
                Err(error) => return error,
                Ok(_) => break,
            }
        }
        io::ErrorKind::ConnectionReset.into()
    }

    fn to(&self) -> From {
        if self.from == From::Client { From::Server } else { From::Client }
    }

    /// Whether nothing waits any more.
    fn send_pending(&mut self, sink: &mut Wire) -> Result<bool, Broken> {
        while !self.pending.is_empty() && sink.writable {
            let taken = sink.write(&self.pending).map_err(|error| (self.to(), error))?;
            self.pending.drain(..taken);
        }
        if self.pending.is_empty() {
            // What waited for a slow side takes no memory any more.
            self.pending = Vec::new();
        }
        Ok(self.pending.is_empty())
    }

    /// Shows bytes, and passes them on: what is not taken waits.
    fn pass(
        &mut self,
        bytes: &[u8],
        sink: &mut Wire,
        host: Option<&str>,
        handshake: &mut Handshake,
        tell: Tell<'_>,
    ) -> Result<(), Broken> {
        let (from, first) = (self.from, self.observer.is_in_head());
        self.observer.see(bytes, handshake, &mut |seen| tell(from, &seen));
        match host {
            Some(host) if first => self.pending = self.rewritten(bytes, host),
            _ => {
                let taken = if sink.writable { sink.write(bytes).map_err(|error| (self.to(), error))? } else { 0 };
                self.pending.extend_from_slice(&bytes[taken..]);
            }
        }
        Ok(())
    }

    /// The request with another host, when its head is whole; nothing before.
    fn rewritten(&mut self, bytes: &[u8], host: &str) -> Vec<u8> {
        let seen = self.held.len();
        self.held.extend_from_slice(bytes);
        match head::end(&self.held, seen) {
            Some(end) => {
                let held = std::mem::take(&mut self.held);
                let mut changed = head::with_host(&held[..end], host);
                changed.extend_from_slice(&held[end..]);
                changed
            }
            None if self.held.len() >= head::LONGEST => std::mem::take(&mut self.held),
            None => Vec::new(),
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_address_of_the_server_is_tried_when_one_refuses() {
        let mut poll = mio::Poll::new().unwrap();
        let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (clients, server, closed) = (listen(), listen(), listen().local_addr().unwrap());
        let client = Wire::connect(clients.local_addr().unwrap(), None).unwrap();
        let addresses = [closed, server.local_addr().unwrap()];
        let how = (0, None, Duration::from_secs(5));
        let mut pair = Pair::new(client, (&addresses, None), poll.registry(), [Token(0), Token(1)], how).unwrap();
        let mut events = mio::Events::with_capacity(8);
        while pair.opens_by().is_some() {
            poll.poll(&mut events, Some(Duration::from_secs(5))).unwrap();
            assert!(!events.is_empty(), "neither address");
            for event in &events {
                pair.ready(if event.token() == Token(0) { From::Client } else { From::Server }, event);
            }
            assert_eq!(pair.carry(poll.registry(), &mut [0; 64], &mut |_, _| {}), None);
        }
        server.accept().unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_silent_address_has_its_share_of_the_time() {
        // One whose backlog is full answers nothing.
        let silent = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        silent.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        silent.listen(0).unwrap();
        let at = silent.local_addr().unwrap().as_socket().unwrap();
        let _full: Vec<_> = (0..3).map(|_| mio::net::TcpStream::connect(at).unwrap()).collect();

        let mut poll = mio::Poll::new().unwrap();
        let listen = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (clients, server) = (listen(), listen());
        let client = Wire::connect(clients.local_addr().unwrap(), None).unwrap();
        let (began, addresses) = (Instant::now(), [at, server.local_addr().unwrap()]);
        let how = (0, None, Duration::from_secs(4));
        let mut pair = Pair::new(client, (&addresses, None), poll.registry(), [Token(0), Token(1)], how).unwrap();
        let mut events = mio::Events::with_capacity(8);
        while let Some(by) = pair.opens_by() {
            poll.poll(&mut events, Some(by.saturating_duration_since(Instant::now()))).unwrap();
            assert_eq!(pair.carry(poll.registry(), &mut [0; 64], &mut |_, _| {}), None);
        }
        server.accept().unwrap();
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
    }
}
