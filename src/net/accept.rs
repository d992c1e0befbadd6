//! Listeners, and accepting that survives a lack of descriptors.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry, Token, event, net::TcpListener};

#[cfg(unix)]
use super::unix_listener::SocketFile;
use super::{
    ConnId,
    admission::{Entry, Place},
    connections::Connections,
    listen_options::ListenOptions,
    log::{self, Warned},
    phase::{Phase, Readiness, Slot},
    preface::{Begins, Preface, ProxyProtocol},
    shared_listener::Membership,
    slots::Slots,
    socket::Stream,
};
use crate::{
    Config,
    handshake::{HandshakeError, ServerHandshake, Verdict},
    http::Request,
};

/// After an error that will pass (no descriptors, no memory) the listener is left alone for this long.
const RETRY: Duration = Duration::from_millis(100);

/// So many errors in a row that concern one connection each are passed over; then they count as one that will pass, for
/// they may have another reason.
const PASSED: usize = 16;

/// Answers a request; see [`EventLoop::listen`](super::EventLoop::listen).
pub(super) type Verify = dyn FnMut(ConnId, &Request<'_>) -> Verdict;

pub(super) enum Listening {
    Tcp(TcpListener),
    #[cfg(unix)]
    /// The file is removed with it, and first: a server that finds nobody listening would put its own there meanwhile.
    Unix(#[allow(dead_code)] Option<SocketFile>, UnixListener),
}

/// Where a listener's connections come from.
pub(super) enum Source {
    Own(Listening),
    Shared(Membership),
    /// The loop has stopped to accept.
    Stopped,
}

pub(super) struct Listener {
    source: Source,
    /// The number of the [`SharedListener`](super::SharedListener) that it belongs to.
    door: Option<usize>,
    pub(super) verify: Box<Verify>,
    config: Arc<Config>,
    pub(super) options: ListenOptions,
    /// The backlog may hold more.
    pub(super) pending: bool,
    retry_at: Option<Instant>,
    /// The error of the last call of `accept`, told once.
    failing: Option<Option<i32>>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("pending", &self.pending).finish_non_exhaustive()
    }
}

impl Listening {
    pub(super) fn source(&mut self) -> &mut dyn event::Source {
        match self {
            Listening::Tcp(listener) => listener,
            #[cfg(unix)]
            Listening::Unix(_, listener) => listener,
        }
    }

    pub(super) fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Listening::Tcp(listener) => listener.accept().map(|(stream, peer)| (Stream::Tcp(stream), Some(peer))),
            #[cfg(unix)]
            Listening::Unix(_, listener) => listener.accept().map(|(stream, _)| (Stream::Unix(stream), None)),
        }
    }
}

impl Source {
    pub(super) fn own(mut listening: Listening, registry: &Registry, token: Token) -> io::Result<Self> {
        registry.register(listening.source(), token, Interest::READABLE)?;
        Ok(Source::Own(listening))
    }

    /// `None`: there is no socket here, or no more.
    fn accept(&self) -> Option<io::Result<(Stream, Option<SocketAddr>)>> {
        match self {
            Source::Own(listening) => Some(listening.accept()),
            Source::Shared(membership) => membership.accept(),
            Source::Stopped => None,
        }
    }
}

impl Listener {
    pub(super) fn new(source: Source, config: Arc<Config>, options: ListenOptions, verify: Box<Verify>) -> Self {
        let (pending, door) = match &source {
            Source::Shared(membership) => (membership.accepts(), Some(membership.door().number())),
            Source::Own(_) | Source::Stopped => (true, None),
        };
        Self { source, door, verify, config, options, pending, retry_at: None, failing: None }
    }

    /// Whether it takes the connections of this shared listener.
    pub(super) fn is_for(&self, door: usize) -> bool {
        self.door == Some(door)
    }

    /// No more connections: the socket is closed.
    pub(super) fn stop(&mut self, registry: &Registry) {
        if let Source::Own(mut listening) = std::mem::replace(&mut self.source, Source::Stopped) {
            let _ = registry.deregister(listening.source());
        }
        self.pending = false;
        self.retry_at = None;
    }

    /// The other loops hand nothing on to this one any more; the socket stays open.
    pub(super) fn take_no_more(&self) {
        if let Source::Shared(membership) = &self.source {
            membership.serve(false);
        }
    }

    /// When accepting is tried again, and whether that is at once.
    pub(super) fn wants(&self) -> (bool, Option<Instant>) {
        (self.pending && self.retry_at.is_none(), self.retry_at)
    }

    /// Takes connections from the backlog, up to `Config::accept_budget`: the others are served in between.
    pub(super) fn accept(&mut self, number: u16, connections: &mut Connections, registry: &Registry, base: usize) {
        let now = connections.now;
        if !self.pending || self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        self.retry_at = None;
        let mut passed = 0;
        for _ in 0..self.config.accept_budget() {
            let Some(accepted) = self.source.accept() else {
                self.pending = false;
                return;
            };
            match accepted {
                Ok((stream, peer)) => {
                    passed = 0;
                    connections.stats.accepted += 1;
                    if self.failing.take().is_some() {
                        log::accepts_again(number);
                    }
                    let begins = self.begins(peer);
                    // Whom a proxy asks for is not known yet.
                    let counted = peer.filter(|_| !matches!(begins, Begins::WithHeader(_)));
                    let Some((place, refusal)) = enter(connections, number, counted) else { continue };
                    let refusal = refusal.or(matches!(begins, Begins::Refused).then_some(HandshakeError::NotFromProxy));
                    // A refusal is answered here, where it was found.
                    let (stream, place) = match &mut self.source {
                        Source::Shared(membership) if refusal.is_none() => {
                            let Err(mine) = membership.hand_on(stream, peer, place) else {
                                connections.stats.handed_on += 1;
                                continue;
                            };
                            mine
                        }
                        _ => (stream, place),
                    };
                    let is_refused = refusal.is_some();
                    let phase = self.first_phase(peer, refusal, now);
                    let stream = match self.options.wrap(stream, &phase) {
                        Ok(stream) => stream,
                        Err(error) => {
                            connections.give_back(number, place);
                            connections.stats.count_accept_error(&error);
                            continue;
                        }
                    };
                    connections.came();
                    let arrival = Arrival { stream, phase, listener: number, place };
                    match adopt(connections, arrival, registry, base) {
                        // Its answer waits.
                        Ok(id) if is_refused => connections.mark_dirty(id),
                        // The poll tells when its request is there; mostly it comes a moment later.
                        Ok(_) => {}
                        Err(error) => {
                            self.failed(number, &error, connections);
                            return;
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.pending = false;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted && passed < PASSED => passed += 1,
                Err(error) if is_of_one(&error) && passed < PASSED => {
                    passed += 1;
                    connections.stats.count_accept_error(&error);
                }
                Err(error) => {
                    self.failed(number, &error, connections);
                    return;
                }
            }
        }
    }

    fn begins(&self, peer: Option<SocketAddr>) -> Begins {
        self.options.proxy_protocol.as_ref().map_or(Begins::AsItIs, |proxies: &ProxyProtocol| proxies.begins(peer))
    }

    /// A connection's first phase; with a refusal its only one.
    pub(super) fn first_phase(&self, peer: Option<SocketAddr>, refusal: Option<HandshakeError>, now: Instant) -> Phase {
        match self.begins(peer) {
            Begins::WithHeader(max_header_size) if refusal.is_none() || self.options.speaks_tls() => {
                let config = self.config.clone();
                Phase::Preface(Box::new(Preface { config, sender: peer, max_header_size, since: now, refusal }))
            }
            _ => serving(&self.config, peer, refusal, now),
        }
    }

    /// The edge has been used up, and the backlog is not empty: only a timer brings us back, without spinning.
    fn failed(&mut self, number: u16, error: &io::Error, connections: &mut Connections) {
        if self.failing.replace(error.raw_os_error()) != Some(error.raw_os_error()) {
            log::accept_failed(number, error);
        }
        connections.stats.count_accept_error(error);
        self.retry_at = Some(connections.now + RETRY);
    }
}

/// A connection that is HTTP; with a refusal nothing but that.
pub(super) fn serving(
    config: &Arc<Config>,
    peer: Option<SocketAddr>,
    refusal: Option<HandshakeError>,
    now: Instant,
) -> Phase {
    let mut handshake = ServerHandshake::new(config.http_limits(), config.http_timeouts(), now);
    handshake.set_peer_addr(peer);
    #[cfg(feature = "deflate")]
    handshake.set_deflate(config.permessage_deflate().map(|deflate| deflate.terms()));
    if let Some(refusal) = refusal {
        handshake.turn_away(refusal, now);
    }
    Phase::Serving { handshake: Box::new(handshake), config: config.clone() }
}

/// The connection at the head of the backlog has failed, and the next may be well. accept(2): "Linux accept() passes
/// already-pending network errors on the new socket as an error code from accept()."
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind as E;
    /// On Linux, which has no `ErrorKind` for it.
    const EPROTO: i32 = 71;
    let kinds = [E::ConnectionAborted, E::ConnectionReset, E::HostUnreachable, E::NetworkUnreachable, E::NetworkDown];
    kinds.contains(&error.kind()) || (cfg!(target_os = "linux") && error.raw_os_error() == Some(EPROTO))
}

/// A place for a new connection, and why it is refused, if it is. `None`: it is closed without an answer.
fn enter(
    connections: &mut Connections,
    listener: u16,
    peer: Option<SocketAddr>,
) -> Option<(Place, Option<HandshakeError>)> {
    let Connections { gates, stats, .. } = connections;
    match gates.get_mut(usize::from(listener)).map(|gate| gate.enter(peer)) {
        Some(Entry::Admitted(place)) => Some((place, None)),
        Some(Entry::Refused(place, error)) => {
            match error {
                HandshakeError::TooManyConnections { .. } => stats.refused_by_total += 1,
                _ => stats.refused_by_address += 1,
            }
            Some((place, Some(error)))
        }
        Some(Entry::Dropped(error)) => {
            stats.refused_unanswered += 1;
            log::dropped(listener, peer, &error);
            None
        }
        None => Some((Place::NONE, None)),
    }
}

/// A connection that is new in the loop.
pub(super) struct Arrival {
    pub(super) stream: Stream,
    pub(super) phase: Phase,
    pub(super) listener: u16,
    pub(super) place: Place,
}

/// Gives it a slot; if that fails it is closed, and its place given back. The caller has counted it ([`Connections::came`]).
pub(super) fn adopt(
    connections: &mut Connections,
    arrival: Arrival,
    registry: &Registry,
    base: usize,
) -> io::Result<ConnId> {
    let Arrival { mut stream, phase, listener, place } = arrival;
    stream.prepare();
    let connecting = matches!(phase, Phase::Opening(_));
    let id = connections.slots.next_id();
    let interest = if connecting { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
    if let Err(error) = stream.register(registry, Slots::<Slot>::token(base, id), interest) {
        connections.give_back(listener, place);
        connections.went();
        return Err(error);
    }
    let ready = Readiness { writable: connecting, ..Readiness::default() };
    let slot = Slot { stream, phase, leftover: None, listener, place, ready, warned: Warned::default() };
    let id = connections.slots.insert(slot);
    connections.plan(id);
    Ok(id)
}
