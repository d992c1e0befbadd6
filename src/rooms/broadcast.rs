//! `Broadcast`: choosing recipients, then one emit.
//!
//! Knows: the rooms and the connections of one hub. Must not know: events, turns.

use std::fmt;
use std::sync::Arc;

use super::delivery::{Delivery, Outlet};
use super::membership::Rooms;
use super::operation::{Adapter, Operation, OwnedRoom, Recipients, Room, Scope, Target};
use super::pauses::{Noting, Pauses};
use super::span::Span;
use crate::message::{PreparedMessage, SlowConsumer};
use crate::net::{ConnId, Connections};

/// What a hub keeps beside its loop.
#[derive(Default)]
pub(super) struct House {
    pub(super) rooms: Rooms,
    pub(super) adapter: Option<Box<dyn Adapter>>,
    span: Option<Span>,
    pauses: Pauses,
    /// The lists of the last broadcast, empty, for the next one: choosing recipients allocates nothing once warm.
    spare: [Vec<OwnedRoom>; 2],
}

impl House {
    pub(super) fn new(rooms: Rooms, span: Option<Span>) -> Self {
        Self { rooms, span, ..Self::default() }
    }

    pub(super) fn missed_elsewhere(&self) -> u64 {
        self.span.as_ref().map_or(0, Span::missed)
    }

    /// The one way of every operation: to the other hubs and the adapter, then to the members.
    pub(super) fn emit(&mut self, operation: &Operation, outlet: &mut impl Outlet) -> Delivery {
        let _ = self.pass_on(operation);
        self.rooms.deliver(operation, outlet)
    }

    /// The same for a socket, which is not read from while another hub has no room for what it said.
    fn emit_of(&mut self, sender: ConnId, operation: &Operation, connections: &mut Connections) -> Delivery {
        if self.pass_on(operation)
            && let Some(span) = &mut self.span
            && connections.is_open(sender)
        {
            span.hold(sender);
            connections.pause(sender);
        }
        self.rooms.deliver(operation, connections)
    }

    /// True when it waits for another hub.
    fn pass_on(&mut self, operation: &Operation) -> bool {
        if operation.recipients.scope != Scope::Cluster {
            return false;
        }
        let waits = self.span.as_mut().is_some_and(|span| span.pass_on(operation));
        if let Some(adapter) = &mut self.adapter {
            adapter.publish(operation);
        }
        waits
    }

    /// What waits for other hubs goes on; whoever sent it is read from again, unless they wait for recipients.
    pub(super) fn pass_on_late(&mut self, connections: &mut Connections) {
        let Some(span) = &mut self.span else { return };
        if span.pass_on_late() {
            let free = span.take_held();
            free.into_iter().filter(|id| !self.pauses.waits(*id)).for_each(|id| connections.resume(id));
        }
    }

    /// This hub has taken something from its queue.
    pub(super) fn made_room(&self) {
        if let Some(span) = &self.span {
            span.made_room();
        }
    }

    /// As [`House::emit_of`], and `sender` is not read from either until those have drained or closed that do not keep up.
    fn emit_and_pause(&mut self, sender: ConnId, operation: &Operation, connections: &mut Connections) -> Delivery {
        let waits = self.pass_on(operation);
        let mut noting = Noting { outlet: connections, slow: Vec::new() };
        let delivery = self.rooms.deliver(operation, &mut noting);
        let slow = noting.slow;
        if (waits || !slow.is_empty()) && connections.is_open(sender) {
            slow.into_iter().for_each(|recipient| self.pauses.add(sender, recipient));
            if let Some(span) = self.span.as_mut().filter(|_| waits) {
                span.hold(sender);
            }
            connections.pause(sender);
        }
        delivery
    }

    /// Whoever waited for `id`, and for no other, is read from again.
    pub(super) fn release(&mut self, id: ConnId, connections: &mut Connections) {
        for sender in self.pauses.release(id) {
            if !self.span.as_ref().is_some_and(|span| span.holds(sender)) {
                connections.resume(sender);
            }
        }
    }

    /// `id` has gone, or goes: whoever has it next would not know of a pause.
    pub(super) fn remove(&mut self, id: ConnId, connections: &mut Connections) {
        let held = self.span.as_mut().is_some_and(|span| span.forget(id));
        if self.pauses.forget(id) || held {
            connections.resume(id);
        }
        self.release(id, connections);
        self.rooms.remove(id);
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House")
            .field("rooms", &self.rooms)
            .field("adapter", &self.adapter.is_some())
            .field("span", &self.span.is_some())
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
    including_me: bool,
    pause_sender: bool,
    slow_consumer: Option<SlowConsumer>,
    latest_of: Option<Arc<str>>,
}

impl<'h> Broadcast<'h> {
    pub(super) fn new(connections: &'h mut Connections, house: &'h mut House, sender: Option<ConnId>) -> Self {
        let except = std::mem::take(&mut house.spare[1]);
        let recipients = Recipients { target: Target::Everyone, except, scope: Scope::Cluster };
        Self {
            connections,
            house,
            recipients,
            sender,
            including_me: false,
            pause_sender: false,
            slow_consumer: None,
            latest_of: None,
        }
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
        self.including_me = true;
        self
    }

    /// Reaches the connections of this hub alone, past its [`Adapter`] and the other [`Hubs`](super::Hubs).
    pub fn local(mut self) -> Self {
        self.recipients.scope = Scope::Local;
        self
    }

    /// What happens for a recipient that reads too slowly, in place of its [`Config::slow_consumer`](crate::Config::slow_consumer);
    /// see [`PreparedMessage::slow_consumer`]. [`SlowConsumer`] says which policy is for what.
    ///
    /// ```
    /// use wireroom::SlowConsumer;
    /// use wireroom::rooms::{Delivery, Socket};
    ///
    /// fn is_typing(socket: &mut Socket<'_>) -> Delivery {
    ///     socket.to("lobby").slow_consumer(SlowConsumer::DropNewest).emit("ann is typing")
    /// }
    /// ```
    pub fn slow_consumer(mut self, policy: SlowConsumer) -> Self {
        self.slow_consumer = Some(policy);
        self
    }

    /// For a recipient that reads too slowly this replaces what waits of the same `key`; see [`PreparedMessage::latest_of`].
    pub fn latest_of(mut self, key: impl Into<Arc<str>>) -> Self {
        self.latest_of = Some(key.into());
        self
    }

    /// The socket that this began at is not read from ([`Connections::pause`]) while a recipient has not kept up: from its
    /// [`Backpressure`](crate::SendStatus::Backpressure), or a limit, to its [`Event::Drain`](crate::Event::Drain) or its
    /// end. The slowest recipient sets the pace, and nothing is missing: for those who all need everything, such as the two
    /// ends of a transfer. One that reads a little for ever holds up the sender for ever, whose keepalive is suspended
    /// meanwhile; a [`resume`](Connections::resume) of your own ends this pause too, and the end of this one ends yours.
    ///
    /// From [`Io`](super::Io) and [`Hub`](super::Hub) it does nothing: there is no sender. Recipients in other loops are not
    /// waited for; other loops are, see [`FullLoop`](super::FullLoop).
    ///
    /// ```
    /// use wireroom::rooms::Socket;
    /// use wireroom::{Event, rooms::Hub};
    ///
    /// fn pass_on(socket: &mut Socket<'_>, event: Event<'_>) {
    ///     if let Event::Message(message) = event {
    ///         let delivery = socket.to("mirrors").pause_sender().emit(message);
    ///         println!("{} mirrors are behind", delivery.backpressure);
    ///     }
    /// }
    /// # let _: fn(&mut Hub) = |hub| hub.turn(None, |socket, event| pass_on(socket, event)).unwrap();
    /// ```
    pub fn pause_sender(mut self) -> Self {
        self.pause_sender = true;
        self
    }

    /// Encodes `message` once, unless it is a [`PreparedMessage`] already, and queues that one encoding for each recipient.
    /// It leaves at the end of the turn.
    pub fn emit(self, message: impl Into<PreparedMessage>) -> Delivery {
        let excluded = self.excluded();
        let Self { connections, house, mut recipients, sender, pause_sender, slow_consumer, latest_of, .. } = self;
        recipients.except.extend(excluded);
        let message = message.into().with_wishes(slow_consumer, latest_of);
        let operation = Operation::new(recipients, message);
        let delivery = match sender {
            Some(sender) if pause_sender => house.emit_and_pause(sender, &operation, connections),
            Some(sender) => house.emit_of(sender, &operation, connections),
            None => house.emit(&operation, connections),
        };
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
        self.recipients.except.extend(self.excluded());
        self.house.rooms.recipients(&self.recipients)
    }

    fn excluded(&self) -> Option<OwnedRoom> {
        self.sender.filter(|_| !self.including_me).map(OwnedRoom::Own)
    }
}
