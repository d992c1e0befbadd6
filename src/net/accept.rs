//! Listeners, and accepting that survives a lack of descriptors.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Registry, Token, event::Source, net::TcpListener};

use super::{
    ConnId,
    connections::Connections,
    deadlines::Planned,
    phase::{Phase, Readiness, Slot},
    slots::Slots,
    socket::Stream,
};
use crate::{
    Config,
    handshake::{ServerHandshake, Verdict},
    http::Request,
};

/// Connections accepted by one listener in one turn: the others are served in between.
const BUDGET: usize = 128;
/// After an error that will pass (no descriptors, no memory) the listener is left alone for this long.
const RETRY: Duration = Duration::from_millis(100);

/// Answers a request; see [`EventLoop::listen`](super::EventLoop::listen).
pub(super) type Verify = dyn FnMut(ConnId, &Request<'_>) -> Verdict;

pub(super) enum Listening {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

pub(super) struct Listener {
    /// `None` once the loop has stopped to accept.
    listening: Option<Listening>,
    pub(super) verify: Box<Verify>,
    config: Arc<Config>,
    /// The backlog may hold more.
    pub(super) pending: bool,
    retry_at: Option<Instant>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("pending", &self.pending).finish_non_exhaustive()
    }
}

impl Listening {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Listening::Tcp(listener) => listener,
            #[cfg(unix)]
            Listening::Unix(listener) => listener,
        }
    }

    fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Listening::Tcp(listener) => listener.accept().map(|(stream, peer)| (Stream::Tcp(stream), Some(peer))),
            #[cfg(unix)]
            Listening::Unix(listener) => listener.accept().map(|(stream, _)| (Stream::Unix(stream), None)),
        }
    }
}

impl Listener {
    pub(super) fn new(
        mut listening: Listening,
        config: Arc<Config>,
        verify: Box<Verify>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        registry.register(listening.source(), token, Interest::READABLE)?;
        Ok(Self { listening: Some(listening), verify, config, pending: true, retry_at: None })
    }

    /// No more connections: the socket is closed.
    pub(super) fn stop(&mut self, registry: &Registry) {
        if let Some(mut listening) = self.listening.take() {
            let _ = registry.deregister(listening.source());
        }
        self.pending = false;
        self.retry_at = None;
    }

    /// When accepting is tried again, and whether that is at once.
    pub(super) fn wants(&self) -> (bool, Option<Instant>) {
        (self.pending && self.retry_at.is_none(), self.retry_at)
    }

    /// Takes connections from the backlog, up to the budget of a turn.
    pub(super) fn accept(&mut self, number: u16, connections: &mut Connections, registry: &Registry, base: usize) {
        let now = connections.now;
        if !self.pending || self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        self.retry_at = None;
        let Some(listening) = &self.listening else { return };
        for _ in 0..BUDGET {
            match listening.accept() {
                Ok((stream, peer)) => {
                    connections.stats.accepted += 1;
                    let mut handshake =
                        ServerHandshake::new(self.config.http_limits(), self.config.http_timeouts(), now);
                    handshake.set_peer_addr(peer);
                    #[cfg(feature = "deflate")]
                    handshake.set_deflate(self.config.permessage_deflate().map(|deflate| deflate.terms()));
                    let phase = Phase::Serving { handshake: Box::new(handshake), config: self.config.clone() };
                    if let Err(error) = adopt(connections, stream, phase, number, registry, base) {
                        self.failed(error, connections);
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.pending = false;
                    return;
                }
                // The one at the head of the backlog has gone; the next may be well.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                    connections.stats.accept_errors += 1;
                    connections.stats.last_accept_error = error.raw_os_error();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed(error, connections);
                    return;
                }
            }
        }
    }

    /// The edge has been used up, and the backlog is not empty: only a timer brings us back, without spinning.
    fn failed(&mut self, error: io::Error, connections: &mut Connections) {
        connections.stats.accept_errors += 1;
        connections.stats.last_accept_error = error.raw_os_error();
        self.retry_at = Some(connections.now + RETRY);
    }
}

/// Gives a stream a slot.
pub(super) fn adopt(
    connections: &mut Connections,
    stream: Stream,
    phase: Phase,
    listener: u16,
    registry: &Registry,
    base: usize,
) -> io::Result<ConnId> {
    stream.prepare();
    let mut stream = stream;
    let connecting = matches!(phase, Phase::Opening(_));
    let id = connections.slots.next_id();
    let interest = if connecting { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
    stream.register(registry, Slots::<Slot>::token(base, id), interest)?;
    let ready = Readiness { readable: !connecting, writable: connecting, ..Readiness::default() };
    let slot = Slot { stream, phase, leftover: None, planned: Planned::NEVER, listener, ready };
    let id = connections.slots.insert(slot);
    connections.plan(id);
    if !connecting {
        connections.mark_ready(id);
    }
    Ok(id)
}
