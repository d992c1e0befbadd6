//! One connection of the loop, from its socket's first byte to its last.

use std::{io, net::SocketAddr, sync::Arc, time::Instant};

use super::{ConnId, admission::Place, dial::Dial, log::Warned, preface::Preface, socket::Stream};
use crate::{
    Cause, Config, Connection, MaskingKeys, RecvBuffer, SendQueue,
    handshake::{ClientHandshake, HandshakeError, ServerHandshake},
    http::Transport,
};

/// In place of a listener: the connection is ours, or was a WebSocket when it came.
pub(super) const OUTGOING: u16 = u16::MAX;

/// What a slot holds.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) stream: Stream,
    pub(super) phase: Phase,
    /// What a read left over: half a frame, or what came in while reading was paused.
    pub(super) leftover: Option<Box<RecvBuffer>>,
    /// Which listener's `verify` answers its requests, or `OUTGOING`.
    pub(super) listener: u16,
    /// What it takes up there.
    pub(super) place: Place,
    pub(super) ready: Readiness,
    pub(super) warned: Warned,
}

/// Every connection has one, in a page of [`Slots`](super::slots::Slots).
#[cfg(all(target_pointer_width = "64", not(debug_assertions)))]
const _: () = {
    let tls = if cfg!(feature = "tls") { 8 } else { 0 };
    assert!(size_of::<Slot>() <= tls + if cfg!(feature = "deflate") { 208 } else { 200 });
};

impl Slot {
    /// It is a WebSocket, or would be one, or its end as such has not been told. Plain HTTP is none.
    pub(super) fn holds_websocket(&self) -> bool {
        match &self.phase {
            Phase::Open(_) | Phase::Opening(_) => true,
            Phase::Over(cause) => cause.is_some() && self.listener == OUTGOING,
            Phase::Serving { .. } | Phase::Preface(_) => false,
        }
    }

    /// Both Close frames have passed, little can be on its way in either direction, and everything that came was read.
    pub(super) fn is_done(&self) -> bool {
        // Behind TLS the peer's close_notify may follow.
        self.phase.connection().is_some_and(Connection::has_both_closes)
            && !self.speaks_tls()
            && !self.ready.readable
            && self.leftover.is_none()
    }

    /// The transport is ready for what it is to carry: connected, and through whatever stands before the server. `early`: bytes
    /// of the server that were read behind that.
    pub(super) fn transport_ready(&mut self, early: &[u8]) {
        if let Phase::Opening(opening) = &mut self.phase {
            opening.connected = true;
            self.stream.begin(early);
            // They came without an edge of their own.
            self.ready.readable |= !early.is_empty();
        }
    }

    /// Where the peer is; of a connection that has not been upgraded also after a reset, when its socket has forgotten.
    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        match &self.phase {
            Phase::Serving { handshake, .. } => handshake.peer_addr(),
            Phase::Preface(preface) => preface.sender,
            _ => self.stream.peer_addr(),
        }
    }
}

/// What the slot's socket has told, and which lists the slot is on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Readiness {
    /// The socket may have bytes.
    pub(super) readable: bool,
    /// The peer will send no more: read until the end even where a short read says that the socket is drained.
    pub(super) read_closed: bool,
    /// On the ready list.
    pub(super) listed: bool,
    /// On the dirty list.
    pub(super) dirty: bool,
    /// Registered for writable.
    pub(super) writable: bool,
    /// The kernel did not take everything; writing waits for its word.
    pub(super) blocked: bool,
    /// The write side has been shut down.
    pub(super) shut: bool,
}

impl Readiness {
    /// Puts it on the ready list, once.
    #[inline]
    pub(super) fn list(&mut self, id: ConnId, ready: &mut Vec<ConnId>) {
        if !std::mem::replace(&mut self.listed, true) {
            ready.push(id);
        }
    }

    /// Puts it on the dirty list, once.
    #[inline]
    pub(super) fn soil(&mut self, id: ConnId, dirty: &mut Vec<ConnId>) {
        if !std::mem::replace(&mut self.dirty, true) {
            dirty.push(id);
        }
    }
}

// The slot is boxed, and most connections are open: a box more would cost what it saves.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(super) enum Phase {
    /// A server's connection that begins with something else than HTTP.
    Preface(Box<Preface>),
    /// A server's connection that has not been upgraded: HTTP.
    Serving { handshake: Box<ServerHandshake>, config: Arc<Config> },
    /// A client's connection that is not open yet.
    Opening(Box<Opening>),
    /// The WebSocket connection.
    Open(Connection),
    /// Over before it was open; the cause until it has been told.
    Over(Option<Cause>),
}

#[derive(Debug)]
pub(super) struct Opening {
    pub(super) handshake: ClientHandshake,
    pub(super) config: Arc<Config>,
    pub(super) keys: Option<MaskingKeys>,
    /// The transport is ready for it; see [`Slot::transport_ready`].
    pub(super) connected: bool,
    /// How the server is reached, where that is up to the loop.
    pub(super) dial: Option<Box<Dial>>,
}

impl Phase {
    pub(super) fn connection(&self) -> Option<&Connection> {
        if let Phase::Open(connection) = self { Some(connection) } else { None }
    }

    pub(super) fn connection_mut(&mut self) -> Option<&mut Connection> {
        if let Phase::Open(connection) = self { Some(connection) } else { None }
    }

    pub(super) fn wants_read(&self) -> bool {
        match self {
            Phase::Preface(_) => true,
            Phase::Serving { handshake, .. } => handshake.wants_read(),
            Phase::Opening(opening) => opening.wants_read(),
            Phase::Open(connection) => connection.wants_read(),
            Phase::Over(_) => false,
        }
    }

    /// An answer is deferred or streamed: nothing is read, and the peer waits.
    pub(super) fn owes_an_answer(&self) -> bool {
        match self {
            Phase::Serving { handshake, .. } => handshake.deferred().is_some() || handshake.is_streaming(),
            _ => false,
        }
    }

    pub(super) fn wants_poll(&self) -> bool {
        match self {
            Phase::Serving { handshake, .. } => handshake.transport() == Transport::Close,
            Phase::Opening(_) | Phase::Preface(_) => false,
            Phase::Open(connection) => connection.wants_poll(),
            Phase::Over(cause) => cause.is_some(),
        }
    }

    /// Without new bytes there is nothing to tell.
    #[inline]
    pub(super) fn rests(&self) -> bool {
        self.connection().is_some_and(Connection::rests)
    }

    /// Behind what was just written out of [`Phase::queue`], more may wait.
    #[inline]
    pub(super) fn may_have_more(&self) -> bool {
        self.connection().is_none_or(Connection::wants_write)
    }

    pub(super) fn queue(&mut self) -> Option<&mut SendQueue> {
        match self {
            Phase::Serving { handshake, .. } => Some(handshake.transmit()),
            Phase::Opening(opening) => opening.queue(),
            Phase::Open(connection) => Some(connection.transmit()),
            Phase::Preface(_) | Phase::Over(_) => None,
        }
    }

    /// Takes back the storage of a queue that has drained.
    #[inline]
    pub(super) fn reclaim(&mut self) -> Option<Vec<u8>> {
        match self {
            Phase::Open(connection) => connection.reclaim(),
            other => other.queue()?.reclaim(),
        }
    }

    pub(super) fn transport(&self) -> Transport {
        match self {
            Phase::Serving { handshake, .. } => handshake.transport(),
            Phase::Opening(_) | Phase::Preface(_) => Transport::Open,
            Phase::Open(connection) => connection.transport(),
            Phase::Over(_) => Transport::Close,
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Phase::Preface(preface) => preface.deadline(),
            Phase::Serving { handshake, .. } => handshake.poll_timeout(),
            Phase::Opening(opening) => opening.poll_timeout(),
            Phase::Open(connection) => connection.poll_timeout(),
            Phase::Over(_) => None,
        }
    }

    /// Records of what its queue no longer holds have left: the peer takes what it is sent.
    #[cfg(feature = "tls")]
    pub(super) fn records_left(&mut self) {
        match self {
            Phase::Serving { handshake, .. } => handshake.records_left(),
            Phase::Open(connection) => connection.records_left(),
            Phase::Preface(_) | Phase::Opening(_) | Phase::Over(_) => {}
        }
    }

    /// A compressor is to be given up, for which its flush plans a look: the send that began with it did not.
    #[inline]
    pub(super) fn has_compressor(&self) -> bool {
        #[cfg(feature = "deflate")]
        return self.connection().is_some_and(Connection::has_compressor);
        #[cfg(not(feature = "deflate"))]
        false
    }

    /// The keepalive's Ping was sent, and nothing has come since.
    pub(super) fn awaits_life(&self) -> bool {
        self.connection().is_some_and(Connection::awaits_life)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Phase::Preface(preface) => *self = preface.ended(Cause::Handshake(HandshakeError::Timeout)),
            Phase::Serving { handshake, .. } => handshake.handle_timeout(now),
            Phase::Opening(opening) => opening.handle_timeout(now),
            Phase::Open(connection) => connection.handle_timeout(now),
            Phase::Over(_) => {}
        }
    }

    pub(super) fn handle_eof(&mut self) {
        match self {
            Phase::Preface(preface) => *self = preface.ended(Cause::Handshake(HandshakeError::Eof)),
            Phase::Serving { handshake, .. } => handshake.handle_eof(),
            Phase::Opening(opening) => opening.handle_eof(),
            Phase::Open(connection) => connection.handle_eof(),
            Phase::Over(_) => {}
        }
    }

    pub(super) fn handle_io_error(&mut self, error: io::ErrorKind) {
        match self {
            Phase::Open(connection) => connection.handle_io_error(error),
            Phase::Opening(opening) => *self = Phase::Over(Some(opening.lost(error))),
            Phase::Serving { handshake, .. } => {
                if !handshake.handle_io_error() {
                    *self = Phase::Over(Some(Cause::Io(error)));
                }
            }
            Phase::Preface(preface) => *self = preface.ended(Cause::Io(error)),
            Phase::Over(_) => {}
        }
    }

    pub(super) fn abort(&mut self) {
        match self {
            Phase::Open(connection) => connection.abort(),
            Phase::Preface(_) | Phase::Serving { .. } | Phase::Opening(_) => {
                *self = Phase::Over(Some(Cause::Aborted));
            }
            Phase::Over(_) => {}
        }
    }
}
