//! From a URL to a transport on which the opening handshake can begin: names, addresses in turn, proxies, redirects.
//!
//! ```text
//! Begin -> Resolving -> Addresses -> Tunnel -> Ready
//!   ^         (names)   (one attempt at a time)  |
//!   +---------------- a redirect ----------------+
//! ```
//!
//! A step that needs the poll (a socket more) is taken where the connection would be written to, [`step`]; what the proxy
//! says is read where the opening handshake would be, [`carry`]. The deadline of the opening handshake spans it all.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Interest, Registry, Token};

mod opening;

#[cfg(feature = "tls")]
use super::tls::Shows;
use super::{
    ConnId, ConnectOptions, Connections, EventLoop, Stream,
    phase::{Phase, Readiness, Slot},
    resolver::{self, Answer, Resolver, Ticket},
    unconnected::Unconnected,
};
use crate::{
    Cause, Config, ConnectError, FailedAttempt, RecvBuffer,
    handshake::{ClientHandshake, ClientRequest, HandshakeError},
    http::Timeouts,
    proxy::{Proxy, Tunnel},
};

/// How a client's server is reached, and how far that has come.
#[derive(Debug)]
pub(super) struct Dial {
    request: ClientRequest,
    options: Arc<ConnectOptions>,
    proxy: Option<Proxy>,
    /// The server's address, where it is looked up here and the proxy told it.
    destination: Option<SocketAddr>,
    stage: Stage,
    /// The attempt that is under way, and when it is given up.
    attempt: Option<(SocketAddr, Instant)>,
    failed: Vec<FailedAttempt>,
    redirects: u32,
    /// A redirect has led to another host than the URL's: a client's certificate is for that one.
    #[cfg(feature = "tls")]
    elsewhere: bool,
    /// Of everything, the opening handshake included.
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Stage {
    Begin,
    Resolving(Ticket),
    /// Those that have not been tried.
    Addresses(VecDeque<SocketAddr>),
    Tunnel(Box<Tunnel>),
    Ready,
}

impl EventLoop {
    /// Connects as a client to what the request's URL names: looks its name up, tries its addresses one behind the other, goes
    /// by a proxy and follows redirects as the options say. [`Event::Open`](crate::Event::Open) follows, or
    /// [`Event::Closed`](crate::Event::Closed) with the reason ([`Cause::Connect`] where the server was not reached), within
    /// `Config::handshake_timeout`, which spans all of it. The id names the connection from the beginning, and stays the same.
    ///
    /// Names are looked up by a thread that the loop starts for the first of them, one by one.
    ///
    /// ```
    /// # use wireroom::{Config, ConnectOptions, Event, EventLoop, handshake::ClientRequest};
    /// # let mut event_loop = EventLoop::new()?;
    /// # let address = event_loop.listen("127.0.0.1:0".parse()?, Config::default(), |_id, request| request.allow_any_origin())?;
    /// # let url = format!("ws://localhost:{}/", address.port());
    /// let client = event_loop.connect_to(ClientRequest::new(&url)?, ConnectOptions::new(), Config::default())?;
    /// # let mut open = false;
    /// # while !open {
    /// event_loop.turn(None, |connections, id, event| match event {
    ///     Event::Open if id == client => _ = connections.send(id, "hello"),
    /// #   Event::Message(_) => open = true,
    ///     Event::Closed(closed) => eprintln!("{closed}"),
    ///     _ => {}
    /// })?;
    /// # }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A `wss://` URL without `ConnectOptions::tls`, no randomness. Everything else is the connection's end.
    pub fn connect_to(
        &mut self,
        request: ClientRequest,
        options: impl Into<Arc<ConnectOptions>>,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<ConnId> {
        let stream = Stream::Unconnected(Unconnected::new());
        let id = self.open(stream, request, config.into(), Some(options.into()))?;
        self.prepare_resolver();
        self.connections.mark_dirty(id);
        Ok(id)
    }

    fn prepare_resolver(&mut self) {
        let notifier = &self.handle.notifier;
        self.connections.resolver.get_or_insert_with(|| Resolver::new(notifier.clone()));
    }

    /// A connection comes from another loop, whose resolver will not answer here.
    pub(super) fn take_up(&mut self, phase: &mut Phase) {
        let Phase::Opening(opening) = phase else { return };
        let Some(dial) = &mut opening.dial else { return };
        self.prepare_resolver();
        if let Stage::Resolving(_) = dial.stage {
            dial.stage = Stage::Begin;
        }
    }

    /// What the resolver has found.
    pub(super) fn take_addresses(&mut self) {
        let Some(resolver) = &self.connections.resolver else { return };
        for answer in resolver.answers() {
            let Answer { id, ticket, addresses } = answer;
            let Some(slot) = self.connections.slots.get_mut(id) else { continue };
            let Phase::Opening(opening) = &mut slot.phase else { continue };
            let Some(dial) = &mut opening.dial else { continue };
            if !matches!(&dial.stage, Stage::Resolving(awaited) if Arc::as_ptr(awaited) == ticket.as_ptr()) {
                continue;
            }
            if let Err(error) = dial.found(addresses) {
                slot.phase = Phase::Over(Some(error.into()));
            }
            self.connections.mark_dirty(id);
        }
    }
}

impl From<ConnectError> for Cause {
    fn from(error: ConnectError) -> Self {
        Cause::Connect(Box::new(error))
    }
}

impl Dial {
    pub(super) fn new(request: ClientRequest, options: Arc<ConnectOptions>, deadline: Option<Instant>) -> Self {
        Self {
            request,
            options,
            proxy: None,
            destination: None,
            stage: Stage::Begin,
            attempt: None,
            failed: Vec::new(),
            redirects: 0,
            #[cfg(feature = "tls")]
            elsewhere: false,
            deadline,
        }
    }

    /// Whose address is looked up: the proxy's behind the server's, where both are.
    fn sought(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) if !proxy.resolves_here() || self.destination.is_some() => (proxy.host(), proxy.port()),
            _ => (self.request.host(), self.request.port()),
        }
    }

    fn begin(&mut self, id: ConnId, resolver: &mut Option<Resolver>) -> Result<(), ConnectError> {
        let (secure, host, port) = (self.request.is_secure(), self.request.host(), self.request.port());
        self.proxy = self.options.proxy_for(secure, host, port);
        let (host, port) = self.sought();
        if let Some(addresses) = resolver::known(host, port) {
            return self.found(Ok(addresses));
        }
        // `connect_to` and `adopt` have seen to it.
        let Some(resolver) = resolver else { return Err(ConnectError::Io(io::ErrorKind::Unsupported)) };
        let own = self.options.resolver.clone();
        self.stage = Stage::Resolving(resolver.ask(id, (host, port), own, self.options.max_names_waiting)?);
        Ok(())
    }

    fn found(&mut self, addresses: io::Result<Vec<SocketAddr>>) -> Result<(), ConnectError> {
        let (host, _) = self.sought();
        let addresses = match addresses {
            Ok(addresses) => resolver::in_turns(addresses, self.options.max_addresses),
            Err(error) => {
                let (kind, reason) = (error.kind(), error.to_string().into());
                return Err(ConnectError::Resolve { host: host.into(), kind, reason });
            }
        };
        let Some(first) = addresses.front() else { return Err(ConnectError::NoAddress { host: host.into() }) };
        if self.destination.is_none() && self.proxy.as_ref().is_some_and(Proxy::resolves_here) {
            self.destination = Some(*first);
            self.stage = Stage::Begin;
        } else {
            self.stage = Stage::Addresses(addresses);
        }
        Ok(())
    }

    /// How long an attempt may take, with `behind` addresses behind it.
    fn time_of_attempt(&self, now: Instant, behind: usize) -> Duration {
        let share = self.deadline.map_or(Duration::MAX, |deadline| {
            deadline.saturating_duration_since(now) / u32::try_from(behind).unwrap_or(u32::MAX).saturating_add(1)
        });
        self.options.attempt_timeout.min(share)
    }

    /// What TLS shows of the client, where it is asked for.
    #[cfg(feature = "tls")]
    fn shows(&self) -> Shows {
        if self.elsewhere { Shows::Nothing } else { Shows::Certificate }
    }

    fn fail(&mut self, error: io::ErrorKind) {
        if let Some((address, _)) = self.attempt.take() {
            self.failed.push(FailedAttempt { address, error });
        }
    }
}

/// An attempt to connect has come to its end, one way or the other.
pub(super) fn attempted(slot: &mut Slot, result: io::Result<()>) {
    let Phase::Opening(opening) = &mut slot.phase else { return };
    match (result, &mut opening.dial) {
        (Err(error), None) => slot.phase.handle_io_error(error.kind()),
        (Err(error), Some(dial)) => dial.fail(error.kind()),
        (Ok(()), None) => slot.transport_ready(&[]),
        (Ok(()), Some(dial)) => {
            dial.attempt = None;
            let Some(proxy) = &dial.proxy else { return reached(slot, &[]) };
            let (host, port) = (dial.request.host(), dial.request.port());
            let address = dial.destination.map(|address| address.ip().to_string());
            let limits = opening.config.http_limits();
            match Tunnel::new(proxy, address.as_deref().unwrap_or(host), port, limits) {
                Ok(tunnel) => dial.stage = Stage::Tunnel(Box::new(tunnel)),
                Err(error) => slot.phase = Phase::Over(Some(ConnectError::from(error).into())),
            }
        }
    }
}

/// The plain transport leads to the server, by a proxy or not: here TLS begins for `wss://`, and else the opening handshake
/// does. `early`: bytes that were read behind the proxy's answer, and are TLS's then.
fn reached(slot: &mut Slot, early: &[u8]) {
    let Phase::Opening(opening) = &mut slot.phase else { return };
    let Some(dial) = &mut opening.dial else { return };
    dial.stage = Stage::Ready;
    #[cfg(feature = "tls")]
    if dial.request.is_secure() {
        let plain = std::mem::replace(&mut slot.stream, Stream::Unconnected(Unconnected::new()));
        match dial.options.wrap(plain, dial.request.host(), dial.shows()) {
            Ok(stream) => slot.stream = stream,
            Err(error) => {
                let error = match error.kind() {
                    io::ErrorKind::InvalidInput => ConnectError::ServerName { host: dial.request.host().into() },
                    kind => ConnectError::Io(kind),
                };
                slot.phase = Phase::Over(Some(error.into()));
                return;
            }
        }
    }
    slot.transport_ready(early);
}

/// Hands the proxy's answer to the tunnel. True once the opening handshake has the transport, or has failed.
pub(super) fn carry(slot: &mut Slot, rx: &mut RecvBuffer) -> Result<bool, Cause> {
    let Phase::Opening(opening) = &mut slot.phase else { return Ok(false) };
    if opening.connected || opening.handshake.outcome().is_some() {
        return Ok(true);
    }
    let Some(dial) = &mut opening.dial else { return Ok(false) };
    let Stage::Tunnel(tunnel) = &mut dial.stage else { return Ok(false) };
    let stands = tunnel.poll(rx).map_err(ConnectError::from)?;
    if stands {
        let secure = dial.request.is_secure();
        reached(slot, if secure { rx.unread() } else { &[] });
        if secure {
            rx.clear();
        }
    }
    Ok(stands)
}

/// The opening handshake has failed: by a redirect, which is followed perhaps.
pub(super) fn redirect(slot: &mut Slot, rx: &mut RecvBuffer, error: HandshakeError, now: Instant) -> Option<Cause> {
    let Phase::Opening(opening) = &mut slot.phase else { return None };
    match (&mut opening.dial, &error) {
        (Some(dial), HandshakeError::Redirect { location, .. }) if dial.options.max_redirects > 0 => {
            let until = dial.deadline;
            if let Err(error) = dial.follow(location) {
                return Some(error.into());
            }
            let mut nonce = [0; 16];
            if getrandom::fill(&mut nonce).is_err() {
                return Some(ConnectError::Io(io::ErrorKind::Other).into());
            }
            let (limits, timeouts) = (opening.config.http_limits(), opening.config.http_timeouts());
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
            let timeouts = Timeouts { handshake_timeout: left, ..timeouts };
            opening.handshake = ClientHandshake::new(&dial.request, nonce, limits, timeouts, now);
            opening.connected = false;
            slot.stream = Stream::Unconnected(Unconnected::new());
            slot.ready.readable = false;
            rx.clear();
            None
        }
        _ => Some(Cause::Handshake(error)),
    }
}

impl Dial {
    fn follow(&mut self, location: &str) -> Result<(), ConnectError> {
        if self.redirects >= self.options.max_redirects {
            return Err(ConnectError::TooManyRedirects {
                limit: self.options.max_redirects,
                location: location.into(),
            });
        }
        let request = self.request.redirected(location)?;
        if request.is_secure() && !self.options.speaks_tls() {
            return Err(ConnectError::NoTls);
        }
        self.redirects += 1;
        #[cfg(feature = "tls")]
        {
            self.elsewhere |= !request.host().eq_ignore_ascii_case(self.request.host());
        }
        self.request = request;
        (self.stage, self.destination) = (Stage::Begin, None);
        self.failed.clear();
        Ok(())
    }
}

/// Takes the next step of a client that has no transport yet, if it is the loop's turn.
pub(super) fn step(connections: &mut Connections, id: ConnId, registry: &Registry, token: Token) {
    let Connections { slots, resolver, .. } = connections;
    let Some(Slot { phase, stream, ready, .. }) = slots.get_mut(id) else { return };
    let Phase::Opening(opening) = phase else { return };
    if opening.connected || opening.handshake.outcome().is_some() {
        return;
    }
    let Some(dial) = &mut opening.dial else { return };
    loop {
        let stepped = match &mut dial.stage {
            Stage::Begin => dial.begin(id, resolver),
            Stage::Addresses(addresses) if dial.attempt.is_none() => match addresses.pop_front() {
                Some(address) => {
                    let (now, behind) = (Instant::now(), addresses.len());
                    dial.attempt = Some((address, now + dial.time_of_attempt(now, behind)));
                    if let Err(error) = connect(address, stream, registry, token) {
                        dial.fail(error.kind());
                        continue;
                    }
                    *ready =
                        Readiness { listed: ready.listed, dirty: ready.dirty, writable: true, ..Readiness::default() };
                    break;
                }
                None => Err(ConnectError::Unreachable { attempts: std::mem::take(&mut dial.failed) }),
            },
            _ => break,
        };
        if let Err(error) = stepped {
            *phase = Phase::Over(Some(error.into()));
            break;
        }
    }
    connections.plan(id);
}

/// Puts a new socket in the place of the old one.
fn connect(address: SocketAddr, stream: &mut Stream, registry: &Registry, token: Token) -> io::Result<()> {
    // Dropping it closes it, whatever this says.
    let _ = registry.deregister(stream.source());
    *stream = Stream::Unconnected(Unconnected::new());
    let mut socket = Stream::Tcp(mio::net::TcpStream::connect(address)?);
    socket.prepare();
    socket.register(registry, token, Interest::READABLE | Interest::WRITABLE)?;
    *stream = socket;
    Ok(())
}
