//! A room operation as plain data: to whom, except whom, and the message.
//!
//! Every emit of this floor becomes one [`Operation`]: those of a [`Socket`](super::Socket), of [`Io`](super::Io) and, from
//! another thread, of a [`HubHandle`](super::HubHandle). Being plain data (`Clone`, `Send`, no borrow of a loop), the same
//! value can be handed to another loop or, through an [`Adapter`], to another machine.
//!
//! Knows: names of rooms, ids, a prepared message. Must not know: who is in a room, how a message leaves.

use std::sync::Arc;

use crate::message::PreparedMessage;
use crate::net::ConnId;

/// A room to send to or to leave out: a named one, or the room of a connection's own id.
///
/// It is made from `&str` or [`ConnId`], so `to("lobby")` and `to(id)` both read naturally. The two cannot be mistaken for
/// each other: no name, wherever it comes from, addresses or enters the room of somebody's id. (In Socket.IO ids and names
/// share one space of strings: who lets clients choose the name of a room lets them join another's private room.)
///
/// ```
/// use wireroom::rooms::Room;
///
/// assert_eq!(Room::from("lobby"), Room::Named("lobby"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room<'a> {
    /// A room that connections join and leave.
    Named(&'a str),
    /// The room of a connection's own id. Everybody is in theirs; it takes no entry anywhere.
    Own(ConnId),
}

impl<'a> From<&'a str> for Room<'a> {
    fn from(name: &'a str) -> Self {
        Self::Named(name)
    }
}

impl<'a> From<&'a String> for Room<'a> {
    fn from(name: &'a String) -> Self {
        Self::Named(name)
    }
}

impl<'a> From<&'a Arc<str>> for Room<'a> {
    fn from(name: &'a Arc<str>) -> Self {
        Self::Named(name)
    }
}

impl From<ConnId> for Room<'_> {
    fn from(id: ConnId) -> Self {
        Self::Own(id)
    }
}

impl<'a> From<&'a OwnedRoom> for Room<'a> {
    fn from(room: &'a OwnedRoom) -> Self {
        match room {
            OwnedRoom::Named(name) => Self::Named(name),
            OwnedRoom::Own(id) => Self::Own(*id),
        }
    }
}

/// A [`Room`] that owns its name; the name is shared by count.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OwnedRoom {
    /// A room that connections join and leave.
    Named(Arc<str>),
    /// The room of a connection's own id.
    Own(ConnId),
}

impl From<Room<'_>> for OwnedRoom {
    fn from(room: Room<'_>) -> Self {
        match room {
            Room::Named(name) => Self::Named(name.into()),
            Room::Own(id) => Self::Own(id),
        }
    }
}

/// The connections that an operation starts from, before [`Recipients::except`] is taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Every open connection.
    Everyone,
    /// Who is in at least one of these rooms, each once. No room, no recipient.
    Rooms(Vec<OwnedRoom>),
}

/// How far an operation reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// This hub, the other [`Hubs`](super::Hubs), and whatever hubs its [`Adapter`] reaches.
    #[default]
    Cluster,
    /// This hub alone (`io.local` in Socket.IO).
    Local,
}

/// Whom an operation reaches: `target` without `except`.
///
/// ```
/// use wireroom::rooms::Recipients;
///
/// let players = Recipients::to("red").and("blue").except("muted");
/// assert_eq!(players, Recipients::to("red").and("blue").except("muted"));
/// assert_ne!(players, Recipients::everyone());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipients {
    /// Where the operation starts from.
    pub target: Target,
    /// The rooms whose members are left out, whichever other rooms they are in.
    pub except: Vec<OwnedRoom>,
    /// How far it reaches.
    pub scope: Scope,
}

impl Recipients {
    /// Every open connection.
    pub fn everyone() -> Self {
        Self { target: Target::Everyone, except: Vec::new(), scope: Scope::Cluster }
    }

    /// Who is in `room`.
    pub fn to<'r>(room: impl Into<Room<'r>>) -> Self {
        Self::everyone().and(room)
    }

    /// Also who is in `room`; of everyone, only who is in `room`.
    #[must_use]
    pub fn and<'r>(mut self, room: impl Into<Room<'r>>) -> Self {
        self.add(room.into().into());
        self
    }

    /// Leaves out who is in `room`.
    #[must_use]
    pub fn except<'r>(mut self, room: impl Into<Room<'r>>) -> Self {
        self.except.push(room.into().into());
        self
    }

    /// Reaches the connections of this hub alone.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.scope = Scope::Local;
        self
    }

    /// The same without ids: what is left is true on another machine, whose ids name other connections.
    ///
    /// Where a broadcast of a socket leaves that socket out, this leaves out nobody: the sender is not over there. A private
    /// message reaches nobody.
    ///
    /// ```
    /// use wireroom::ConnId;
    /// use wireroom::rooms::Recipients;
    ///
    /// # fn main() -> Result<(), std::num::ParseIntError> {
    /// let sender: ConnId = "0-7-1".parse()?;
    /// let the_others = Recipients::to("lobby").except("muted").except(sender);
    /// assert_eq!(the_others.names_only(), Recipients::to("lobby").except("muted"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn names_only(&self) -> Self {
        let names = |rooms: &[OwnedRoom]| {
            rooms.iter().filter(|room| matches!(room, OwnedRoom::Named(_))).cloned().collect::<Vec<_>>()
        };
        let target = match &self.target {
            Target::Everyone => Target::Everyone,
            Target::Rooms(rooms) => Target::Rooms(names(rooms)),
        };
        Self { target, except: names(&self.except), scope: self.scope }
    }

    /// Whether somebody of this loop may be among them. Names may have members anywhere; an id says where it is.
    pub(super) fn may_be_in(&self, event_loop: usize) -> bool {
        match &self.target {
            Target::Everyone => true,
            Target::Rooms(rooms) => rooms.iter().any(|room| match room {
                OwnedRoom::Named(_) => true,
                OwnedRoom::Own(id) => usize::from(id.event_loop()) == event_loop,
            }),
        }
    }

    /// An id that it names as a recipient.
    pub(super) fn first_id(&self) -> Option<ConnId> {
        let Target::Rooms(rooms) = &self.target else { return None };
        rooms.iter().find_map(|room| if let OwnedRoom::Own(id) = room { Some(*id) } else { None })
    }

    pub(super) fn add(&mut self, room: OwnedRoom) {
        match &mut self.target {
            Target::Everyone => self.target = Target::Rooms(vec![room]),
            Target::Rooms(rooms) => rooms.push(room),
        }
    }
}

/// One emit: a message, encoded once, and whom it is for.
///
/// ```
/// use wireroom::rooms::{Operation, Recipients};
///
/// fn is_send_and_clone<T: Clone + Send + 'static>(_: &T) {}
///
/// let operation = Operation::new(Recipients::to("players").except("muted"), "the round begins");
/// is_send_and_clone(&operation);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Operation {
    /// Whom the message is for.
    pub recipients: Recipients,
    /// The message.
    pub message: PreparedMessage,
}

impl Operation {
    /// `message` for `recipients`, encoded now unless it is a [`PreparedMessage`] already.
    pub fn new(recipients: Recipients, message: impl Into<PreparedMessage>) -> Self {
        Self { recipients, message: message.into() }
    }
}

/// Where the operations of a hub go besides its own connections: other loops, other machines.
///
/// One method out. The way in exists already: whoever receives an operation elsewhere hands it to
/// [`Hub::deliver`](super::Hub::deliver), or from another thread to [`HubHandle::deliver`](super::HubHandle::deliver); neither
/// publishes it again, so operations do not circle. Membership is not published: every hub knows its own members, and an
/// operation names rooms.
///
/// Ids are another matter. Within a process they tell the loops apart if each loop was given a number of its own
/// ([`EventLoop::set_number`](crate::net::EventLoop::set_number)); across machines they do not, and an adapter that goes there
/// passes on [`Recipients::names_only`].
///
/// ```
/// use std::sync::mpsc::SyncSender;
/// use wireroom::rooms::{Adapter, Operation};
///
/// /// Hands every operation to one other thread, and counts what that one was too slow for.
/// struct ToThread { queue: SyncSender<Operation>, lost: u64 }
///
/// impl Adapter for ToThread {
///     fn publish(&mut self, operation: &Operation) {
///         if self.queue.try_send(operation.clone()).is_err() {
///             self.lost += 1;
///         }
///     }
/// }
/// ```
pub trait Adapter {
    /// Called once for each operation that began at this hub and is not [`Scope::Local`], before the hub delivers it itself.
    ///
    /// It runs on the thread of the loop: it must not block, and what it queues must be bounded.
    fn publish(&mut self, operation: &Operation);
}
