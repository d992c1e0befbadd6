//! What a handler may touch: every connection of the loop.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use super::{
    ConnId, Scratch, Stats,
    admission::{Gate, Place},
    deadlines::Deadlines,
    large::Large,
    phase::{Phase, Slot},
    pool::Pool,
    preface::Proxied,
    resolver::Resolver,
    siblings::Siblings,
    slots::Slots,
};
use crate::{
    CloseCode, Connection, Kind, Message, MessageWriter, PreparedMessage, SendError, SendStatus, WatchedFrame,
    connection::{Moment, Sent},
    handshake::{Progress, Verdict},
    http::{OwnedRequest, StreamError, StreamStatus},
};

/// All connections of an [`EventLoop`](super::EventLoop): a handler may send to, close or pause any of them.
#[derive(Debug)]
pub struct Connections {
    pub(super) slots: Slots<Slot>,
    /// What each listener holds.
    pub(super) gates: Vec<Gate>,
    /// The loop is one of several.
    pub(super) siblings: Option<Arc<Siblings>>,
    /// Something waits to be written, or the transport has to change.
    pub(super) dirty: Vec<ConnId>,
    /// To be read or polled, without another word from the kernel.
    pub(super) ready: Vec<ConnId>,
    pub(super) deadlines: Deadlines,
    /// Since a client's URL was first given.
    pub(super) resolver: Option<Resolver>,
    pub(super) pool: Pool,
    pub(super) large: Large,
    /// Contexts of permessage-deflate.
    #[cfg(feature = "deflate")]
    pub(super) contexts: crate::DeflatePool,
    pub(super) scratch: Scratch,
    pub(super) stats: Stats,
    pub(super) sent: Sent,
    /// What proxies have told of their connections.
    pub(super) proxied: Proxied,
    /// Upgrades are refused, with this `Retry-After` in seconds.
    pub(super) draining: Option<u64>,
    /// The time of this turn.
    pub(super) now: Instant,
    /// The same, for the timers.
    pub(super) moment: Moment,
}

impl Connections {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            slots: Slots::new(),
            gates: Vec::new(),
            siblings: None,
            dirty: Vec::new(),
            ready: Vec::new(),
            deadlines: Deadlines::new(now),
            resolver: None,
            pool: Pool::default(),
            large: Large::default(),
            #[cfg(feature = "deflate")]
            contexts: crate::DeflatePool::new(),
            scratch: Scratch::default(),
            stats: Stats::default(),
            sent: Sent::default(),
            proxied: Proxied::new(),
            draining: None,
            now,
            moment: Moment::new(now),
        }
    }

    /// Sends a message; see [`Connection::send`]. It leaves at the end of the turn.
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::UnknownConnection`].
    #[inline]
    pub fn send<'m>(&mut self, id: ConnId, message: impl Into<Message<'m>>) -> Result<SendStatus, SendError> {
        let message = message.into();
        // What is sent on as it came is not copied, if it is large.
        let status = match self.large.same(message.kind(), message.as_bytes()) {
            Some(payload) => self.sender(id)?.0.send_checked(message.kind(), payload),
            None => self.sender(id)?.0.send(message),
        };
        self.took(id, status)
    }

    /// Sends a payload by reference; see [`Connection::send_bytes`].
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::UnknownConnection`].
    pub fn send_bytes(&mut self, id: ConnId, kind: Kind, payload: Bytes) -> Result<SendStatus, SendError> {
        let status = self.sender(id)?.0.send_bytes(kind, payload);
        self.took(id, status)
    }

    /// Sends a message that was encoded before; see [`Connection::send_prepared`].
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::UnknownConnection`].
    pub fn send_prepared(&mut self, id: ConnId, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        // With storage: the next small ones of this turn join the first in it.
        let status = self.sender(id)?.0.send_prepared(message);
        self.took(id, status)
    }

    /// Sends `message` to every open connection, encoded once. Answers how many took it and how many did not.
    pub fn broadcast<'m>(&mut self, message: impl Into<Message<'m>>) -> (usize, usize) {
        self.broadcast_prepared(&PreparedMessage::new(message))
    }

    /// As [`Connections::broadcast`].
    pub fn broadcast_prepared(&mut self, message: &PreparedMessage) -> (usize, usize) {
        let (mut taken, mut refused) = (0, 0);
        for slot in 0..self.slots.len_all() {
            let Some(id) = self.slots.id_at(slot).filter(|id| self.is_open(*id)) else { continue };
            match self.send_prepared(id, message) {
                Ok(SendStatus::Queued | SendStatus::Backpressure) => taken += 1,
                Ok(SendStatus::Dropped) | Err(_) => refused += 1,
            }
        }
        (taken, refused)
    }

    /// Begins, or goes on with, a message in fragments; see [`Connection::writer`].
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::UnknownConnection`].
    pub fn writer(&mut self, id: ConnId, kind: Kind) -> Result<MessageWriter<'_>, SendError> {
        let (connection, sent) = self.sender(id)?;
        Ok(connection.writer(kind)?.counted(sent))
    }

    /// Sends a Ping; see [`Connection::ping`].
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::UnknownConnection`].
    pub fn ping(&mut self, id: ConnId, payload: &[u8]) -> Result<SendStatus, SendError> {
        let status = self.sender(id)?.0.ping(payload)?;
        self.stats.pings_sent += 1;
        Ok(status)
    }

    /// Sends a Ping whose Pong gives the time of a round trip; see [`Connection::measure_round_trip`].
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::UnknownConnection`].
    pub fn measure_round_trip(&mut self, id: ConnId) -> Result<SendStatus, SendError> {
        let now = Instant::now();
        let status = self.sender(id)?.0.measure_round_trip(now)?;
        self.stats.pings_sent += 1;
        Ok(status)
    }

    /// Starts the closing handshake; see [`Connection::close`]. Without such a connection nothing happens.
    pub fn close(&mut self, id: ConnId, code: CloseCode, reason: &str) {
        let now = Instant::now();
        if let Some(connection) = self.touch(id) {
            connection.close(code, reason, now);
        }
    }

    /// Ends a connection in any phase at once; its [`Event::Closed`](crate::Event::Closed) follows in the next turn at the
    /// latest.
    pub fn abort(&mut self, id: ConnId) {
        self.mark_ready(id);
        self.mark_dirty(id);
        if let Some(slot) = self.slots.get_mut(id) {
            slot.phase.abort();
        }
    }

    /// Stops the messages of a connection; see [`Connection::pause`].
    pub fn pause(&mut self, id: ConnId) {
        if let Some(connection) = self.touch(id) {
            connection.pause();
        }
    }

    /// Takes [`Connections::pause`] back.
    pub fn resume(&mut self, id: ConnId) {
        // The turn goes on from here: were what arrives in it still heard when it began, that would take time back from the
        // peer, behind the back of what is planned.
        let now = Instant::now();
        self.set_now(now);
        if let Some(connection) = self.touch(id) {
            connection.resume(now);
            self.plan(id);
        }
    }

    /// Whole messages or parts, from the next message on; see [`Connection::set_streaming`].
    pub fn set_streaming(&mut self, id: ConnId, streaming: bool) -> bool {
        self.touch(id).is_some_and(|connection| connection.set_streaming(streaming))
    }

    /// Keeps the last frames of a connection; see [`Connection::watch_frames`]. False when it is not upgraded.
    pub fn watch_frames(&mut self, id: ConnId, capacity: usize) -> bool {
        let connection = self.slots.get_mut(id).and_then(|slot| slot.phase.connection_mut());
        connection.map(|connection| connection.watch_frames(capacity)).is_some()
    }

    /// Takes the oldest frame that is kept. A connection's last ones are there in the arm of
    /// [`Event::Closed`](crate::Event::Closed), and no longer after it.
    pub fn poll_frame(&mut self, id: ConnId) -> Option<WatchedFrame> {
        self.slots.get_mut(id)?.phase.connection_mut()?.poll_frame()
    }

    /// How many frames gave way to later ones since this was last asked.
    pub fn frames_missed(&mut self, id: ConnId) -> u64 {
        let connection = self.slots.get_mut(id).and_then(|slot| slot.phase.connection_mut());
        connection.map_or(0, Connection::frames_missed)
    }

    /// The request whose answer `verify` deferred, while it waits.
    pub fn deferred(&self, id: ConnId) -> Option<&OwnedRequest> {
        match &self.slots.get(id)?.phase {
            Phase::Serving { handshake, .. } => handshake.deferred(),
            _ => None,
        }
    }

    /// Answers a request that `verify` deferred: accepts it, or responds. False when none waits under this id.
    pub fn answer(&mut self, id: ConnId, verdict: impl Into<Verdict>) -> bool {
        let now = Instant::now();
        if self.deferred(id).is_none() {
            return false;
        }
        self.mark_ready(id);
        self.mark_dirty(id);
        let Some(slot) = self.slots.get_mut(id) else { return false };
        let Phase::Serving { handshake, config } = &mut slot.phase else { return false };
        if let Progress::Upgraded(accepted) = handshake.answer(verdict, now) {
            slot.phase = Phase::Open(Connection::server(*accepted, config.clone(), now));
            #[cfg(feature = "deflate")]
            self.share_contexts(id);
        }
        true
    }

    /// Appends to the streamed body of a plain HTTP response, such as Server-Sent Events. Bounded by
    /// `Config::max_send_buffer`.
    ///
    /// # Errors
    ///
    /// When the connection has gone, streams nothing, or its queue is full.
    pub fn stream(&mut self, id: ConnId, bytes: &[u8]) -> Result<StreamStatus, StreamError> {
        let now = Instant::now();
        self.mark_dirty(id);
        let streamed = match self.slots.get_mut(id).map(|slot| &mut slot.phase) {
            Some(Phase::Serving { handshake, config }) => handshake.stream(bytes, config.max_send_buffer(), now),
            _ => Err(StreamError::NotStreaming),
        };
        self.plan(id);
        streamed
    }

    /// Ends a streamed body.
    ///
    /// # Errors
    ///
    /// When nothing is streamed under this id.
    pub fn finish(&mut self, id: ConnId) -> Result<(), StreamError> {
        let now = Instant::now();
        self.mark_ready(id);
        self.mark_dirty(id);
        match self.slots.get_mut(id).map(|slot| &mut slot.phase) {
            Some(Phase::Serving { handshake, .. }) => handshake.finish(now),
            _ => Err(StreamError::NotStreaming),
        }
    }

    /// True while messages can be sent.
    pub fn is_open(&self, id: ConnId) -> bool {
        self.get(id).is_some_and(Connection::is_open)
    }

    /// Bytes that wait to be sent on this connection.
    pub fn buffered_amount(&self, id: ConnId) -> usize {
        self.get(id).map_or(0, Connection::buffered_amount)
    }

    /// The state machine of an upgraded connection.
    pub fn get(&self, id: ConnId) -> Option<&Connection> {
        self.slots.get(id)?.phase.connection()
    }

    /// The open WebSocket connections, in order of slots.
    pub fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.slots.ids().filter(|id| self.is_open(*id))
    }

    /// Connections in any phase.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True without any connection.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a connection out of its slot and its place.
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Slot> {
        let slot = self.slots.remove(id)?;
        self.take_proxied(id);
        if let Some(leftover) = &slot.leftover {
            self.large.remove_left(leftover);
        }
        self.give_back(slot.listener, slot.place);
        self.went();
        Some(slot)
    }

    pub(super) fn give_back(&mut self, listener: u16, place: Place) {
        if let Some(gate) = self.gates.get_mut(usize::from(listener)) {
            gate.leave(place);
        }
    }

    /// A connection about to send, with storage to do it, and where what it sends is counted.
    #[inline(always)]
    pub(super) fn sender(&mut self, id: ConnId) -> Result<(&mut Connection, &mut Sent), SendError> {
        let slot = self.slots.get_mut(id).ok_or(SendError::UnknownConnection)?;
        slot.ready.soil(id, &mut self.dirty);
        let connection = slot.phase.connection_mut().ok_or(SendError::UnknownConnection)?;
        connection.lend(|| self.pool.take());
        Ok((connection, &mut self.sent))
    }

    /// What became of a whole message.
    #[inline]
    pub(super) fn took(&mut self, id: ConnId, sent: Result<SendStatus, SendError>) -> Result<SendStatus, SendError> {
        match sent {
            Ok(status) => self.sent.whole(status),
            Err(error) => self.log_refusal(id, error),
        }
        sent
    }

    /// A connection whose events, deadline or queue are about to change.
    fn touch(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.mark_ready(id);
        self.mark_dirty(id);
        self.slots.get_mut(id)?.phase.connection_mut()
    }
}
