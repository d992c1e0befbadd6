//! `Broadcast`: choosing recipients, then one emit.
//!
//! Knows: the rooms and the connections of one hub. Must not know: events, turns.

use std::fmt;

use super::delivery::Delivery;
use super::membership::Rooms;
use super::operation::{Adapter, Operation, OwnedRoom, Recipients, Room, Scope, Target};
use crate::message::PreparedMessage;
use crate::net::{ConnId, Connections};

/// What a hub keeps beside its loop.
#[derive(Default)]
pub(super) struct House {
    pub(super) rooms: Rooms,
    pub(super) adapter: Option<Box<dyn Adapter>>,
    /// The lists of the last broadcast, empty, for the next one: choosing recipients allocates nothing once warm.
    spare: [Vec<OwnedRoom>; 2],
}

impl House {
    pub(super) fn new(rooms: Rooms) -> Self {
        Self { rooms, ..Self::default() }
    }

    /// The one way of every operation: to the adapter, then to the members.
    pub(super) fn emit(&mut self, operation: &Operation, connections: &mut Connections) -> Delivery {
        if operation.recipients.scope == Scope::Cluster
            && let Some(adapter) = &mut self.adapter
        {
            adapter.publish(operation);
        }
        self.rooms.deliver(operation, connections)
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House")
            .field("rooms", &self.rooms)
            .field("adapter", &self.adapter.is_some())
            .finish_non_exhaustive()
    }
}

/// Recipients being chosen; ends with [`emit`](Self::emit).
///
/// It comes from [`Socket::to`](super::Socket::to) and [`Socket::broadcast`](super::Socket::broadcast), which leave the socket
/// itself out, and from [`Io::to`](super::Io::to) and [`Io::everyone`](super::Io::everyone), which leave out nobody.
///
/// ```
/// use wireroom::rooms::{Delivery, Socket};
///
/// fn announce(socket: &mut Socket<'_>) -> Delivery {
///     // Who is in red or blue, each once, without the muted and without the sender; encoded once.
///     socket.to("red").to("blue").except("muted").emit("the round begins")
/// }
/// ```
#[must_use = "nothing is sent before `emit`"]
#[derive(Debug)]
pub struct Broadcast<'h> {
    connections: &'h mut Connections,
    house: &'h mut House,
    recipients: Recipients,
    sender: Option<ConnId>,
}

impl<'h> Broadcast<'h> {
    pub(super) fn new(connections: &'h mut Connections, house: &'h mut House, sender: Option<ConnId>) -> Self {
        let except = std::mem::take(&mut house.spare[1]);
        let recipients = Recipients { target: Target::Everyone, except, scope: Scope::Cluster };
        Self { connections, house, recipients, sender }
    }

    /// Also who is in `room`: several rooms are a union, in which everybody counts once. Of everyone, only who is in `room`.
    pub fn to<'r>(mut self, room: impl Into<Room<'r>>) -> Self {
        let room = self.house.rooms.owned(room.into());
        if self.recipients.target == Target::Everyone {
            self.recipients.target = Target::Rooms(std::mem::take(&mut self.house.spare[0]));
        }
        self.recipients.add(room);
        self
    }

    /// Leaves out who is in `room`, whichever other rooms they are in.
    pub fn except<'r>(mut self, room: impl Into<Room<'r>>) -> Self {
        self.recipients.except.push(self.house.rooms.owned(room.into()));
        self
    }

    /// Does not leave the sender out. The sender still has to be in one of the rooms.
    pub fn including_me(mut self) -> Self {
        self.sender = None;
        self
    }

    /// Reaches the connections of this hub alone, past its [`Adapter`].
    pub fn local(mut self) -> Self {
        self.recipients.scope = Scope::Local;
        self
    }

    /// Encodes `message` once, unless it is a [`PreparedMessage`] already, and queues that one encoding for each recipient.
    /// It leaves at the end of the turn.
    pub fn emit(self, message: impl Into<PreparedMessage>) -> Delivery {
        let Self { connections, house, mut recipients, sender } = self;
        recipients.except.extend(sender.map(OwnedRoom::Own));
        let operation = Operation::new(recipients, message.into());
        let delivery = house.emit(&operation, connections);
        let Recipients { target, mut except, .. } = operation.recipients;
        if let Target::Rooms(mut rooms) = target {
            rooms.clear();
            house.spare[0] = rooms;
        }
        except.clear();
        house.spare[1] = except;
        delivery
    }

    /// The connections of this hub that [`emit`](Self::emit) would reach, in its order (Socket.IO's `fetchSockets`).
    pub fn ids(mut self) -> Vec<ConnId> {
        self.recipients.except.extend(self.sender.map(OwnedRoom::Own));
        self.house.rooms.recipients(&self.recipients)
    }
}
