//! What comes before HTTP on an accepted connection: the header of the PROXY protocol.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Instant};

use super::{
    ConnId, Connections, accept,
    admission::{Entry, Place},
    phase::Phase,
};
use crate::{
    Cause, Config, RecvBuffer,
    handshake::HandshakeError,
    http::Network,
    proxy_protocol::{self, DEFAULT_MAX_SIZE, Endpoints, LEAST_MAX_SIZE, ProxyHeader},
};

/// Which proxies tell by the PROXY protocol whom a connection comes from, version 1 or 2
/// ([HAProxy's specification](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt)).
///
/// From these sources the header is *required*: what does not begin with one is answered 400, or closed without an answer
/// where the listener speaks TLS, which has not begun then. A source that says nothing is
/// ended after `Config::handshake_timeout`, which is for header and request together (over TLS, one for which there is no place
/// after `Config::close_timeout`, which is for header and answer, if that is less). Others are answered 403, or, with
/// [`serve_others`](Self::serve_others), served without: to them a header is bytes like any others, 400. The specification:
/// "The receiver [...] MUST not try to guess whether the protocol header is present or not."
///
/// The address in the header takes the place of the peer's: for `verify` ([`Request::peer_addr`](crate::http::Request::peer_addr)),
/// [`Connections::peer_addr`], the log, and `Config::max_connections_per_address`. There a connection from a proxy counts in the
/// total at once, and at its address when that is known; over the limit it is answered 429. A proxy that asks for itself
/// (`LOCAL`, a health check) or does not say for whom (`UNKNOWN`) is there with its own address. What else a header tells:
/// [`Connections::proxy_header`].
///
/// ```
/// use std::io::Write;
/// use std::time::Duration;
/// use wireroom::{Config, EventLoop, Event, ListenOptions, ProxyProtocol};
///
/// let options = ListenOptions::new().proxy_protocol(ProxyProtocol::from_sources(["127.0.0.0/8".parse()?]));
/// let mut event_loop = EventLoop::new()?;
/// let address = event_loop.listen_with("127.0.0.1:0".parse()?, options, Config::default(), |_id, request| {
///     assert_eq!(request.peer_addr(), "192.0.2.7:56324".parse().ok());
///     request.allow_any_origin()
/// })?;
/// let mut proxy = std::net::TcpStream::connect(address)?;
/// proxy.write_all(b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\nGET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")?;
/// let mut open = false;
/// while !open {
///     event_loop.turn(Some(Duration::from_secs(5)), |connections, id, event| {
///         open = matches!(event, Event::Open);
///         assert_eq!(connections.peer_addr(id), "192.0.2.7:56324".parse().ok());
///     })?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProxyProtocol {
    sources: Arc<[Network]>,
    others: Others,
    max_header_size: usize,
}

#[derive(Clone, Copy, Debug)]
enum Others {
    Refused,
    Served,
}

/// What the first bytes of a connection have to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begins {
    /// HTTP.
    AsItIs,
    /// A header of at most so many bytes.
    WithHeader(usize),
    /// Whatever it is, it is not wanted.
    Refused,
}

impl ProxyProtocol {
    /// Connections from these networks begin with a header; others are refused. [`Network::UNIX`] is whoever connects to a
    /// Unix-domain socket.
    pub fn from_sources(sources: impl IntoIterator<Item = Network>) -> Self {
        Self { sources: sources.into_iter().collect(), others: Others::Refused, max_header_size: DEFAULT_MAX_SIZE }
    }

    /// Connections from elsewhere are served, without a header, as if there were no proxies: in a network where clients and
    /// proxies come to the same port.
    #[must_use]
    pub fn serve_others(mut self) -> Self {
        self.others = Others::Served;
        self
    }

    /// The most that a version 2 header may take up, in bytes: one more is answered 400. Default 4 KiB; at least 232, which
    /// every header without further fields fits in, and less counts as that.
    #[must_use]
    pub fn max_header_size(mut self, bytes: usize) -> Self {
        self.max_header_size = bytes.max(LEAST_MAX_SIZE);
        self
    }

    pub(super) fn begins(&self, peer: Option<SocketAddr>) -> Begins {
        let peer = peer.map(|peer| peer.ip());
        match self.others {
            _ if self.sources.iter().any(|source| source.contains(peer)) => Begins::WithHeader(self.max_header_size),
            Others::Refused => Begins::Refused,
            Others::Served => Begins::AsItIs,
        }
    }
}

/// What proxies have told, by connection. Apart from the slots, which are of one size: most servers have none of it.
pub(super) type Proxied = HashMap<ConnId, Box<ProxyHeader>>;

/// A connection whose header has not come yet.
#[derive(Debug)]
pub(super) struct Preface {
    pub(super) config: Arc<Config>,
    /// The proxy.
    pub(super) sender: Option<SocketAddr>,
    pub(super) max_header_size: usize,
    /// When it was accepted.
    pub(super) since: Instant,
    /// There is no place for it, which only TLS can tell: the header comes before that.
    pub(super) refusal: Option<HandshakeError>,
}

impl Preface {
    /// The request has to be here by then, too. Who is refused has no longer than others who are, answer included.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let (header, answer) = (self.config.handshake_timeout(), self.config.close_timeout());
        self.since.checked_add(if self.refusal.is_some() { header.min(answer) } else { header })
    }

    /// Why it ends before its header has come: what it was refused for, or else this.
    pub(super) fn ended(&mut self, otherwise: Cause) -> Phase {
        Phase::Over(Some(self.refusal.take().map_or(otherwise, Cause::Handshake)))
    }
}

impl Connections {
    /// Where the peer is, for TCP; behind a proxy that speaks the [PROXY protocol](ProxyProtocol), where that says.
    pub fn peer_addr(&self, id: ConnId) -> Option<SocketAddr> {
        let slot = self.slots.get(id)?;
        self.proxied_addr(id).unwrap_or_else(|| slot.peer_addr())
    }

    /// What a proxy has said about this connection by the PROXY protocol, in the header's first bytes. `None` where there was no
    /// header.
    pub fn proxy_header(&self, id: ConnId) -> Option<&ProxyHeader> {
        self.proxied.get(&id).map(|header| &**header)
    }

    /// The address in the header, if there was one with an address to tell: `Some(None)` is a client without any.
    pub(super) fn proxied_addr(&self, id: ConnId) -> Option<Option<SocketAddr>> {
        match self.proxied.get(&id)?.endpoints() {
            Endpoints::Inet { source, .. } => Some(Some(*source)),
            Endpoints::Unix { .. } => Some(None),
            Endpoints::Local | Endpoints::Unknown => None,
        }
    }

    pub(super) fn take_proxied(&mut self, id: ConnId) -> Option<Box<ProxyHeader>> {
        // Without a hash where there are none.
        if self.proxied.is_empty() {
            return None;
        }
        let header = self.proxied.remove(&id);
        // What a crowd has made large goes with its last one.
        if self.proxied.is_empty() {
            self.proxied = Proxied::new();
        }
        header
    }

    /// Reads the header of a connection that begins with one. Whether that is over: there is another phase now.
    #[cold]
    pub(super) fn read_preface(&mut self, id: ConnId, rx: &mut RecvBuffer) -> bool {
        let Some(slot) = self.slots.get_mut(id) else { return false };
        let Phase::Preface(preface) = &slot.phase else { return false };
        match proxy_protocol::parse(rx.unread(), preface.max_header_size) {
            Ok(None) => return false,
            Ok(Some((header, length))) => {
                rx.consume(length);
                self.proxied.insert(id, Box::new(header));
                self.transport_is_ready(id);
                self.begin_tls(id, rx);
            }
            // Over TLS nothing can be said before that has begun, and a plain answer would tell a client of TLS that the
            // server does not speak it.
            Err(error) if slot.speaks_tls() => slot.phase = Phase::Over(Some(Cause::Handshake(error.into()))),
            Err(error) => self.serve(id, Some(error.into())),
        }
        true
    }

    /// The one way from what comes before the connection's own bytes to these: they are what is unread. It is known now whom
    /// they come from, so it is counted at that address, and served, or answered 429.
    fn transport_is_ready(&mut self, id: ConnId) {
        let told = self.proxied_addr(id);
        let Some(slot) = self.slots.get_mut(id) else { return };
        let Phase::Preface(preface) = &mut slot.phase else { return };
        if preface.refusal.is_some() {
            return self.serve(id, None);
        }
        let peer = told.unwrap_or(preface.sender);
        let gate = self.gates.get_mut(usize::from(slot.listener));
        let refusal = match gate.map(|gate| gate.locate(slot.place, peer)) {
            None => None,
            Some(Entry::Admitted(place)) => {
                slot.place = place;
                None
            }
            Some(Entry::Refused(place, error)) => {
                slot.place = place;
                self.stats.refused_by_address += 1;
                Some(error)
            }
            Some(Entry::Dropped(error)) => {
                slot.place = Place::NONE;
                self.stats.refused_unanswered += 1;
                slot.phase = Phase::Over(Some(Cause::Handshake(error)));
                return;
            }
        };
        self.serve(id, refusal);
    }

    /// What is unread is TLS's, if the listener speaks that.
    fn begin_tls(&mut self, id: ConnId, rx: &mut RecvBuffer) {
        if let Some(slot) = self.slots.get_mut(id).filter(|slot| slot.speaks_tls()) {
            slot.stream.begin(rx.unread());
            // They came without an edge of their own.
            slot.ready.readable |= !rx.unread().is_empty();
            rx.clear();
        }
    }

    /// HTTP from here on; with a refusal, this or an earlier one, only that. The time that was spent is not given anew.
    fn serve(&mut self, id: ConnId, refusal: Option<HandshakeError>) {
        let (now, told) = (self.now, self.proxied_addr(id));
        let Some(slot) = self.slots.get_mut(id) else { return };
        if let Phase::Preface(preface) = &mut slot.phase {
            let peer = told.unwrap_or(preface.sender);
            let began = if refusal.is_some() { now } else { preface.since };
            let refusal = refusal.or(preface.refusal.take());
            slot.phase = accept::serving(&preface.config, peer, refusal, began);
        }
    }
}
