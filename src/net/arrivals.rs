//! Connections that the caller brings in, and takes out: connect, take over, detach, adopt.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use super::{
    ConnId, ConnectOptions, Detached, EventLoop, Stream,
    accept::{self, Arrival},
    admission::Place,
    dial::Dial,
    phase::{OUTGOING, Opening, Phase},
    shared_listener::HandOver,
};
use crate::{
    Config, Connection, MaskingKeys, RecvBuffer,
    handshake::{Accepted, ClientHandshake, ClientRequest},
};

impl EventLoop {
    /// Connects as a client. [`Event::Open`](crate::Event::Open) follows, or [`Event::Closed`](crate::Event::Closed) with the reason, within
    /// `Config::handshake_timeout`.
    ///
    /// # Errors
    ///
    /// What the operating system says at once, such as an address without a route.
    pub fn connect(
        &mut self,
        address: SocketAddr,
        request: ClientRequest,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<ConnId> {
        let stream = mio::net::TcpStream::connect(address)?;
        self.open(stream.into(), request, config.into(), None)
    }

    /// Connects as a client to a Unix-domain socket; the request names a host all the same.
    ///
    /// # Errors
    ///
    /// As [`EventLoop::connect`].
    #[cfg(unix)]
    pub fn connect_unix(
        &mut self,
        path: impl AsRef<std::path::Path>,
        request: ClientRequest,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<ConnId> {
        let stream = mio::net::UnixStream::connect(path)?;
        self.open(stream.into(), request, config.into(), None)
    }

    /// With options the stream is none yet.
    pub(super) fn open(
        &mut self,
        stream: Stream,
        request: ClientRequest,
        config: Arc<Config>,
        options: Option<Arc<ConnectOptions>>,
    ) -> io::Result<ConnId> {
        // 4.1: "If /secure/ is true, the client MUST perform a TLS handshake": what is meant to be secret stays here.
        if request.is_secure() && !options.as_ref().is_some_and(|options| options.speaks_tls()) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a wss:// URL needs TLS: with the feature tls, connect_tls or ConnectOptions::tls",
            ));
        }
        self.open_on(stream, request, config, options)
    }

    /// On a stream that speaks what the URL asks for, or will.
    pub(super) fn open_on(
        &mut self,
        stream: Stream,
        request: ClientRequest,
        config: Arc<Config>,
        options: Option<Arc<ConnectOptions>>,
    ) -> io::Result<ConnId> {
        #[cfg(feature = "deflate")]
        let request = match config.permessage_deflate() {
            Some(deflate) => request.deflate_offers(&deflate.offers()),
            None => request,
        };
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        let keys = Some(masking_keys()?);
        let (limits, timeouts) = (config.http_limits(), config.http_timeouts());
        let handshake = ClientHandshake::new(&request, nonce, limits, timeouts, Instant::now());
        let dial = options.map(|options| Box::new(Dial::new(request, options, handshake.poll_timeout())));
        let opening = Opening { handshake, config, keys, connected: false, dial };
        let phase = Phase::Opening(Box::new(opening));
        let base = self.first_slot();
        let arrival = Arrival { stream, phase, listener: OUTGOING, place: Place::NONE };
        self.connections.came();
        let id = accept::adopt(&mut self.connections, arrival, &self.registry, base)?;
        self.tell_of_shutdown(id);
        Ok(id)
    }

    /// Takes over a stream on which the opening handshake is complete, as the server, with bytes that were read behind
    /// it.
    ///
    /// # Errors
    ///
    /// The operating system's, when the stream cannot be registered.
    pub fn take_over(
        &mut self,
        stream: impl Into<Stream>,
        accepted: Accepted,
        received: &[u8],
        config: impl Into<Arc<Config>>,
    ) -> io::Result<ConnId> {
        let phase = Phase::Open(Connection::server(accepted, config, Instant::now()));
        let mut buffer = RecvBuffer::new();
        buffer.extend(received);
        self.adopt(Detached { stream: stream.into(), phase, received: buffer, listener: OUTGOING, header: None })
    }

    /// Takes a connection out of the loop, in whatever phase it is. Its id names nobody from then on, and no event
    /// follows. It counts no longer for the limits of the listener that accepted it, nor for those of where it is adopted.
    pub fn detach(&mut self, id: ConnId) -> Option<Detached> {
        let header = self.connections.take_proxied(id);
        let mut slot = self.connections.remove(id)?;
        let _ = self.registry.deregister(slot.stream.source());
        let received = slot.leftover.map(|leftover| *leftover).unwrap_or_default();
        Some(Detached { stream: slot.stream, phase: slot.phase, received, listener: slot.listener, header })
    }

    /// Puts a connection that was detached from this or another loop into this one. Requests on one that has not been
    /// upgraded are answered by the listener of the same rank as in its old loop, so set the loops up alike. One that is
    /// open announces itself under its new id with [`Event::Open`](crate::Event::Open).
    ///
    /// # Errors
    ///
    /// The operating system's; the connection is closed then.
    pub fn adopt(&mut self, detached: Detached) -> io::Result<ConnId> {
        let Detached { stream, mut phase, received, listener, header } = detached;
        if let Some(connection) = phase.connection_mut() {
            connection.announce();
        }
        self.take_up(&mut phase);
        let base = self.first_slot();
        let arrival = Arrival { stream, phase, listener, place: Place::NONE };
        self.connections.came();
        let id = accept::adopt(&mut self.connections, arrival, &self.registry, base)?;
        self.connections.proxied.extend(header.map(|header| (id, header)));
        if !received.is_empty() {
            self.connections.large.add_left(&received);
        }
        if let Some(slot) = self.connections.slots.get_mut(id) {
            slot.leftover = (!received.is_empty()).then(|| Box::new(received));
            slot.ready.readable = true;
        }
        #[cfg(feature = "deflate")]
        self.connections.share_contexts(id);
        self.connections.mark_ready(id);
        self.connections.mark_dirty(id);
        self.tell_of_shutdown(id);
        Ok(id)
    }

    /// A connection that another loop of the same [`Loops`](super::Loops) accepted. What meets a loop without its listener is
    /// closed, and counted by that listener; but a loop is handed nothing before it serves, and keeps its listeners.
    pub(super) fn take_in(&mut self, connection: HandOver) {
        let HandOver { stream, peer, ticket } = connection;
        let Some(number) = self.listeners.iter().position(|listener| listener.is_for(ticket.door())) else { return };
        let listener = &self.listeners[number];
        let phase = listener.first_phase(peer, None, self.connections.now);
        let stream = match listener.options.wrap(stream, &phase) {
            Ok(stream) => stream,
            Err(error) => return self.connections.stats.count_accept_error(&error),
        };
        let arrival = Arrival { stream, phase, listener: number as u16, place: ticket.redeem() };
        let base = self.first_slot();
        match accept::adopt(&mut self.connections, arrival, &self.registry, base) {
            Ok(id) => {
                self.connections.stats.handed_in += 1;
                self.tell_of_shutdown(id);
            }
            Err(error) => self.connections.stats.count_accept_error(&error),
        }
    }

    fn tell_of_shutdown(&mut self, id: ConnId) {
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.tell(id);
        }
    }
}

/// Masking keys from the operating system (RFC 6455 section 10.3), fetched 64 at a time.
fn masking_keys() -> io::Result<MaskingKeys> {
    let mut keys = Box::new([0; 256]);
    getrandom::fill(&mut keys[..]).map_err(io::Error::other)?;
    let mut used = 0;
    Ok(MaskingKeys::new(move || {
        if used == keys.len() {
            used = 0;
            if getrandom::fill(&mut keys[..]).is_err() {
                // It worked a moment ago. Keys that the peer has seen must not come again: these come from SipHash
                // under a key that the standard library got from the same source.
                for key in keys.as_chunks_mut::<8>().0 {
                    *key = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), *key).to_ne_bytes();
                }
            }
        }
        used += 4;
        [keys[used - 4], keys[used - 3], keys[used - 2], keys[used - 1]]
    }))
}
