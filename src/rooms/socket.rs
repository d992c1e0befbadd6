//! `Socket` and `Io`: what a handler holds, named as in Socket.IO.
//!
//! `io` is the hub as a whole, `socket` the connection that the event is about. Both are two borrows, made anew for each event.
//!
//! Knows: the rooms and the connections of one hub. Must not know: how a turn runs.

use super::broadcast::{Broadcast, House};
use super::delivery::Delivery;
use super::limits::JoinError;
use super::membership::Rooms;
use super::operation::Room;
use crate::connection::SendStatus;
use crate::error::SendError;
use crate::frame::CloseCode;
use crate::message::{Message, PreparedMessage};
use crate::net::{ConnId, Connections};

/// The connection that an event is about (Socket.IO's `socket`).
#[derive(Debug)]
pub struct Socket<'h> {
    id: ConnId,
    io: Io<'h>,
}

impl<'h> Socket<'h> {
    pub(super) fn new(id: ConnId, connections: &'h mut Connections, house: &'h mut House) -> Self {
        Self { id, io: Io::new(connections, house) }
    }

    /// Its id; also the room that it alone is in, always.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Joins `room`. `Ok(false)` if it was in there already. Nothing goes over the wire.
    ///
    /// # Errors
    ///
    /// At one of the [`RoomLimits`](super::RoomLimits), or if the connection is not open.
    pub fn join(&mut self, room: &str) -> Result<bool, JoinError> {
        self.io.join(self.id, room)
    }

    /// Leaves `room`. False if it was not in there. Nothing goes over the wire.
    pub fn leave(&mut self, room: &str) -> bool {
        self.io.leave(self.id, room)
    }

    /// The names of the rooms it is in, still all of them in the arm of [`Event::Closed`](crate::connection::Event::Closed).
    /// That of its own id is not among them.
    pub fn rooms(&self) -> impl Iterator<Item = &str> {
        self.io.house.rooms.rooms_of(self.id)
    }

    /// Whether it is in `room`.
    pub fn in_room(&self, room: &str) -> bool {
        self.io.house.rooms.in_room(self.id, room)
    }

    /// Sends to this connection alone.
    ///
    /// # Errors
    ///
    /// Those of [`Connections::send`].
    pub fn emit<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<SendStatus, SendError> {
        self.io.connections.send(self.id, message)
    }

    /// Who is in `room` but this one. Further rooms are added with [`Broadcast::to`].
    pub fn to<'r>(&mut self, room: impl Into<Room<'r>>) -> Broadcast<'_> {
        self.broadcast().to(room)
    }

    /// Everyone but this one.
    pub fn broadcast(&mut self) -> Broadcast<'_> {
        Broadcast::new(self.io.connections, self.io.house, Some(self.id))
    }

    /// Starts the closing handshake. [`Event::Closed`](crate::connection::Event::Closed) follows.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.io.connections.close(self.id, code, reason);
    }

    /// Ends the connection without a closing handshake.
    pub fn abort(&mut self) {
        self.io.connections.abort(self.id);
    }

    /// The hub as a whole.
    pub fn io(&mut self) -> &mut Io<'h> {
        &mut self.io
    }
}

/// The hub as a whole (Socket.IO's `io`): from [`Socket::io`] within a turn, from [`Hub::io`](super::Hub::io) between turns.
#[derive(Debug)]
pub struct Io<'h> {
    connections: &'h mut Connections,
    house: &'h mut House,
}

impl<'h> Io<'h> {
    pub(super) fn new(connections: &'h mut Connections, house: &'h mut House) -> Self {
        Self { connections, house }
    }

    /// Who is in `room`, nobody left out. With a [`ConnId`] in place of a name: a private message.
    pub fn to<'r>(&mut self, room: impl Into<Room<'r>>) -> Broadcast<'_> {
        self.everyone().to(room)
    }

    /// Every open connection.
    pub fn everyone(&mut self) -> Broadcast<'_> {
        Broadcast::new(self.connections, self.house, None)
    }

    /// Sends to every open connection: `everyone().emit(message)`.
    pub fn emit(&mut self, message: impl Into<PreparedMessage>) -> Delivery {
        self.everyone().emit(message)
    }

    /// Lets `id` into `room`. `Ok(false)` if it was in there already.
    ///
    /// # Errors
    ///
    /// At one of the [`RoomLimits`](super::RoomLimits), or if the connection is not open.
    pub fn join(&mut self, id: ConnId, room: &str) -> Result<bool, JoinError> {
        self.house.rooms.join(id, room)
    }

    /// Takes `id` out of `room`. False if it was not in there.
    pub fn leave(&mut self, id: ConnId, room: &str) -> bool {
        self.house.rooms.leave(id, room)
    }

    /// Who is in which room: members of a room, rooms of an id, names.
    pub fn rooms(&self) -> &Rooms {
        &self.house.rooms
    }

    /// The floor below: every connection of the loop, for what rooms do not cover (a ping, a buffered amount).
    pub fn connections(&mut self) -> &mut Connections {
        self.connections
    }
}
