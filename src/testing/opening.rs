//! The opening handshake between two ends (RFC 6455 section 4).

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Clock, Cuts, Endpoint, Pair, Role, Wire, endpoint::OnEvent, keys, pair, wire};
use crate::{
    Config, Connection, Event, RecvBuffer,
    handshake::{
        ClientHandshake, ClientRequest, Established, HandshakeError, Outcome, Progress, ServerHandshake, Verdict,
    },
    http::{Request, Transport},
};

/// The nonce of the example of RFC 6455, section 1.3.
const NONCE: [u8; 16] = *b"the sample nonce";

/// A client and a server before their connection is open: a [`Pair`] comes of it, or an error.
///
/// ```
/// use std::time::Duration;
/// use wireroom::{handshake::{ClientRequest, Verdict}, testing::{Cuts, Opening, Seen}};
///
/// let request = ClientRequest::new("ws://chat.example/room")?.subprotocols(&["chat"])?;
/// let mut opening = Opening::new(&request, |_| Verdict::Defer).cut(Cuts::byte_by_byte());
/// assert!(opening.run().is_none(), "who it is has to be looked up");
/// let answer = Verdict::Accept(Default::default()).with_subprotocol(Some("chat"));
/// let mut pair = opening.answer(answer).expect("an answer")?;
/// assert_eq!(pair.client.connection.subprotocol(), Some("chat"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Its clock, wires and cuts go on in the pair.
pub struct Opening<'h> {
    request: ClientRequest,
    verify: Box<dyn FnMut(&Request<'_>) -> Verdict + 'h>,
    handler: Option<OnEvent<'h>>,
    configs: [Arc<Config>; 2],
    peer_addr: Option<SocketAddr>,
    clock: Clock,
    client: ClientHandshake,
    client_rx: RecvBuffer,
    server: Server<'h>,
    server_rx: RecvBuffer,
    to_server: Wire,
    to_client: Wire,
}

enum Server<'h> {
    Handshake(Box<ServerHandshake>),
    Open(Box<Endpoint<'h>>),
    /// It has become a part of the pair.
    Gone,
}

impl<'h> Opening<'h> {
    /// A client that is about to send `request`, and a server that shows it to `verify`; both with the default
    /// configuration.
    pub fn new(request: &ClientRequest, verify: impl FnMut(&Request<'_>) -> Verdict + 'h) -> Self {
        let config = Arc::<Config>::default();
        let clock = Clock::new();
        Self {
            request: request.clone(),
            verify: Box::new(verify),
            handler: None,
            client: client(request, &config, clock),
            client_rx: RecvBuffer::new(),
            server: Server::Handshake(Box::new(server(&config, clock))),
            server_rx: RecvBuffer::new(),
            configs: [config.clone(), config],
            peer_addr: None,
            clock,
            to_server: Wire::new(),
            to_client: Wire::new(),
        }
    }

    /// With these configurations of the client and the server; with permessage-deflate, where they say so.
    #[must_use]
    pub fn with(mut self, client: impl Into<Arc<Config>>, server: impl Into<Arc<Config>>) -> Self {
        self.configs = [client.into(), server.into()];
        self.begin()
    }

    /// On a clock of the caller's.
    #[must_use]
    pub fn at(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self.begin()
    }

    /// The server's handler, from the first moment on: what it sends on `Event::Open` is right behind the response.
    #[must_use]
    pub fn on_event(mut self, handler: impl FnMut(&mut Connection, Event<'_>, Instant) + 'h) -> Self {
        self.handler = Some(Box::new(handler));
        self
    }

    /// The client comes from this address.
    #[must_use]
    pub fn peer_addr(mut self, peer_addr: SocketAddr) -> Self {
        self.peer_addr = Some(peer_addr);
        self.begin()
    }

    /// What arrives at both ends is cut in this way.
    #[must_use]
    pub fn cut(mut self, reads: Cuts) -> Self {
        self.to_server.reads = reads.clone();
        self.to_client.reads = reads;
        self
    }

    fn begin(mut self) -> Self {
        let [for_client, for_server] = &self.configs;
        self.client = client(&self.request, for_client, self.clock);
        let mut handshake = server(for_server, self.clock);
        handshake.set_peer_addr(self.peer_addr);
        self.server = Server::Handshake(Box::new(handshake));
        self
    }

    /// The wire to the server, to make it a bad one.
    pub fn to_server(&mut self) -> &mut Wire {
        &mut self.to_server
    }

    /// The wire to the client.
    pub fn to_client(&mut self) -> &mut Wire {
        &mut self.to_client
    }

    /// Moves bytes until both ends are open, or the client's handshake has failed. `None`: nothing moves any more, and the
    /// client waits, for an answer that was deferred or for bytes that were lost (or it took a response that was not the
    /// server's). Afterwards this is spent.
    pub fn run(&mut self) -> Option<Result<Pair<'h>, HandshakeError>> {
        loop {
            let mut moved = self.write();
            moved |= self.read_at_server();
            match self.read_at_client() {
                Ok(Some(established)) => return Some(Ok(self.pair(established)?)),
                Ok(None) if !moved && self.to_client.is_empty() && !self.server_waits() => return None,
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Gives the answer that was deferred, and goes on.
    pub fn answer(&mut self, verdict: impl Into<Verdict>) -> Option<Result<Pair<'h>, HandshakeError>> {
        if let Server::Handshake(handshake) = &mut self.server {
            let progress = handshake.answer(verdict, self.clock.now());
            self.progress(progress);
        }
        self.run()
    }

    /// Time passes for both, from deadline to deadline.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) -> Option<Result<Pair<'h>, HandshakeError>> {
        let target = self.clock.now() + time;
        if let Some(opened) = self.run() {
            return Some(opened);
        }
        let mut rounds = 0;
        while let Some(deadline) = self.poll_timeout().filter(|deadline| *deadline <= target) {
            if let Some(opened) = self.advance_to(deadline) {
                return Some(opened);
            }
            rounds += 1;
            assert!(rounds < 10_000, "a deadline that does not pass");
        }
        self.advance_to(target)
    }

    /// What the server's handshake came to, if it came to its end and the connection was not upgraded.
    pub fn server_outcome(&self) -> Option<Outcome> {
        match &self.server {
            Server::Handshake(handshake) => handshake.outcome(),
            Server::Open(_) | Server::Gone => None,
        }
    }

    /// The next deadline of the two.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let server = match &self.server {
            Server::Handshake(handshake) => handshake.poll_timeout(),
            Server::Open(endpoint) => endpoint.connection.poll_timeout(),
            Server::Gone => None,
        };
        [self.client.poll_timeout(), server].into_iter().flatten().min()
    }

    pub(super) fn advance_to(&mut self, now: Instant) -> Option<Result<Pair<'h>, HandshakeError>> {
        self.clock.advance_to(now);
        self.client.handle_timeout(now);
        match &mut self.server {
            Server::Handshake(handshake) => handshake.handle_timeout(now),
            Server::Open(endpoint) => endpoint.advance_to(now),
            Server::Gone => {}
        }
        self.run()
    }

    fn write(&mut self) -> bool {
        let n = self.to_server.takes(self.client.transmit().len());
        let request = wire::take(self.client.transmit(), n);
        self.to_server.inject(&request);
        let answered = match &mut self.server {
            Server::Handshake(handshake) => {
                let n = self.to_client.takes(handshake.transmit().len());
                let answer = wire::take(handshake.transmit(), n);
                self.to_client.inject(&answer);
                !answer.is_empty()
            }
            Server::Open(endpoint) => pair::write(endpoint, &mut self.to_client),
            Server::Gone => false,
        };
        answered || !request.is_empty()
    }

    fn read_at_server(&mut self) -> bool {
        match &mut self.server {
            Server::Handshake(handshake) => {
                let mut moved = false;
                if handshake.wants_read() {
                    let bytes = self.to_server.read();
                    self.server_rx.extend(&bytes);
                    moved = !bytes.is_empty();
                    let client = (!self.client.wants_write()).then(|| self.client.transport());
                    if !moved && self.to_server.is_at_end(client) {
                        handshake.handle_eof();
                    }
                }
                let progress = handshake.poll(&mut self.server_rx, self.clock.now(), &mut self.verify);
                self.progress(progress);
                moved
            }
            Server::Open(_) | Server::Gone => false,
        }
    }

    fn progress(&mut self, progress: Progress) {
        if let Progress::Upgraded(accepted) = progress {
            let connection = Connection::server(*accepted, self.configs[1].clone(), self.clock.now());
            let rx = std::mem::take(&mut self.server_rx);
            let mut endpoint = Endpoint::of(Role::Server, connection, rx, self.clock);
            if let Some(handler) = self.handler.take() {
                endpoint.on_event(handler);
            }
            self.server = Server::Open(Box::new(endpoint));
        }
    }

    /// Has the server bytes that it can get rid of, now that others have left?
    fn server_waits(&self) -> bool {
        let waits = match &self.server {
            Server::Handshake(handshake) => handshake.wants_write(),
            Server::Open(endpoint) => endpoint.connection.wants_write(),
            Server::Gone => false,
        };
        waits && self.to_client.room() > 0
    }

    fn read_at_client(&mut self) -> Result<Option<Established>, HandshakeError> {
        if self.client.wants_read() {
            let bytes = self.to_client.read();
            self.client_rx.extend(&bytes);
            let polled = self.client.poll(&mut self.client_rx);
            let server = match &self.server {
                Server::Handshake(handshake) if !handshake.wants_write() => Some(handshake.transport()),
                Server::Handshake(_) | Server::Open(_) => None,
                Server::Gone => Some(Transport::Close),
            };
            match polled {
                Ok(None) if self.to_client.is_at_end(server) => self.client.handle_eof(),
                polled => return polled,
            }
        }
        match self.client.outcome() {
            Some(error) => Err(error.clone()),
            None => Ok(None),
        }
    }

    /// Both ends are open. What has come in behind the response is the connection's.
    fn pair(&mut self, established: Established) -> Option<Pair<'h>> {
        let Server::Open(server) = std::mem::replace(&mut self.server, Server::Gone) else { return None };
        let connection = Connection::client(established, keys(), self.configs[0].clone(), self.clock.now());
        let rx = std::mem::take(&mut self.client_rx);
        let client = Endpoint::of(Role::Client, connection, rx, self.clock);
        let (to_server, to_client) = (std::mem::take(&mut self.to_server), std::mem::take(&mut self.to_client));
        Some(Pair { client, server: *server, to_server, to_client })
    }
}

fn client(request: &ClientRequest, config: &Config, clock: Clock) -> ClientHandshake {
    #[cfg(feature = "deflate")]
    let request = &match config.permessage_deflate() {
        Some(deflate) => request.clone().deflate_offers(&deflate.offers()),
        None => request.clone(),
    };
    ClientHandshake::new(request, NONCE, config.http_limits(), config.http_timeouts(), clock.now())
}

fn server(config: &Config, clock: Clock) -> ServerHandshake {
    #[allow(unused_mut)]
    let mut handshake = ServerHandshake::new(config.http_limits(), config.http_timeouts(), clock.now());
    #[cfg(feature = "deflate")]
    handshake.set_deflate(config.permessage_deflate().map(|deflate| deflate.terms()));
    handshake
}

impl fmt::Debug for Opening<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("client", &self.client)
            .field("to_server", &self.to_server.len())
            .field("to_client", &self.to_client.len())
            .finish_non_exhaustive()
    }
}
