//! `HubHandle`: the same from another thread, through a bounded channel.
//!
//! Knows: operations as plain data. Must not know: the rooms or the connections, which stay on the thread of the loop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::hubs::HubsHandle;
use super::operation::{Operation, Recipients, Room};
use crate::frame::CloseCode;
use crate::message::{PreparedMessage, SlowConsumer};
use crate::net::{ConnId, Handle};

/// Reaches a [`Hub`](super::Hub) from other threads. Clones share one queue of
/// [`HubConfig::handle_capacity`](super::HubConfig::handle_capacity) calls; the loop is woken and carries them out, in the
/// order of the queue, before its turn ends.
///
/// `Ok` means: it will be done. What it came to is known on the loop's side:
/// [`Hub::take_handle_delivery`](super::Hub::take_handle_delivery) has the tally.
///
/// # Errors
///
/// Every call that returns a `Result` fails with a [`HubHandleError`] if it could not be queued, and for no other reason.
///
/// ```
/// use wireroom::rooms::{HubHandle, HubHandleError};
///
/// fn from_any_thread(handle: &HubHandle, price: &str) -> Result<(), HubHandleError> {
///     handle.to("prices").except("paused").emit(price)?;
///     handle.emit("tick")
/// }
/// ```
#[derive(Debug, Clone)]
pub struct HubHandle {
    commands: SyncSender<Command>,
    waker: Handle,
}

/// Why a call was not queued. Nothing has happened, but for [`Missed`](Self::Missed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubHandleError {
    /// The loop is behind by [`HubConfig::handle_capacity`](super::HubConfig::handle_capacity) calls.
    #[error("the queue of the hub's handles is full (handle_capacity)")]
    Full,
    /// The hub is gone.
    #[error("the hub is gone")]
    Gone,
    /// A [`HubsHandle`] was given the id of a loop that has none of its hubs.
    #[error("none of these hubs is that of the event loop {event_loop}")]
    UnknownLoop {
        /// The loop's number.
        event_loop: u16,
    },
    /// The queues of some hubs of a [`HubsHandle`] are full. The others have what was sent.
    #[error("the queues of {hubs} of the hubs are full (handle_capacity)")]
    Missed {
        /// How many hubs.
        hubs: usize,
    },
}

/// One call on its way to the loop.
#[derive(Debug)]
pub(super) enum Command {
    Emit(Operation),
    /// From another hub, or for several: for the members here.
    Deliver(Arc<Operation>),
    Join(ConnId, Arc<str>),
    Leave(ConnId, Arc<str>),
    Close(ConnId, CloseCode, String),
    Abort(ConnId),
}

impl HubHandle {
    /// A handle with room for so many calls, and the hub's side of it.
    pub(super) fn new(capacity: usize, waker: Handle) -> (Self, Receiver<Command>) {
        let (commands, receiver) = sync_channel(capacity);
        (Self { commands, waker }, receiver)
    }

    /// Who is in `room`, nobody left out. With a [`ConnId`] in place of a name: a private message.
    pub fn to<'r>(&self, room: impl Into<Room<'r>>) -> HandleBroadcast<'_> {
        self.everyone().to(room)
    }

    /// Every open connection.
    pub fn everyone(&self) -> HandleBroadcast<'_> {
        HandleBroadcast::new(Way::One(self))
    }

    /// Sends to every open connection: `everyone().emit(message)`.
    pub fn emit(&self, message: impl Into<PreparedMessage>) -> Result<(), HubHandleError> {
        self.everyone().emit(message)
    }

    /// Delivers an operation that began elsewhere to the members here. It is not published again.
    pub fn deliver(&self, mut operation: Operation) -> Result<(), HubHandleError> {
        operation.recipients = operation.recipients.local();
        self.queue(Command::Emit(operation))
    }

    /// Lets `id` into `room`. A refusal is told by [`RoomEvent::Refused`](super::RoomEvent::Refused).
    pub fn join(&self, id: ConnId, room: &str) -> Result<(), HubHandleError> {
        self.queue(Command::Join(id, room.into()))
    }

    /// Takes `id` out of `room`.
    pub fn leave(&self, id: ConnId, room: &str) -> Result<(), HubHandleError> {
        self.queue(Command::Leave(id, room.into()))
    }

    /// Starts the closing handshake of `id`, if that is one of this hub's: of several, [`HubsHandle`](super::HubsHandle) finds
    /// the one.
    pub fn close(&self, id: ConnId, code: CloseCode, reason: &str) -> Result<(), HubHandleError> {
        self.queue(Command::Close(id, code, reason.into()))
    }

    /// Ends `id` without a closing handshake.
    pub fn abort(&self, id: ConnId) -> Result<(), HubHandleError> {
        self.queue(Command::Abort(id))
    }

    /// The same for an operation that several hubs share.
    pub(super) fn pass(&self, operation: Arc<Operation>) -> Result<(), HubHandleError> {
        self.queue(Command::Deliver(operation))
    }

    pub(super) fn wake(&self) {
        self.waker.wake();
    }

    fn queue(&self, command: Command) -> Result<(), HubHandleError> {
        let queued = self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => HubHandleError::Full,
            TrySendError::Disconnected(_) => HubHandleError::Gone,
        });
        // Also when full: whoever comes back for a second try needs the loop awake.
        self.waker.wake();
        queued
    }
}

/// Recipients being chosen on another thread; ends with [`emit`](Self::emit), which encodes on that thread.
#[must_use = "nothing is sent before `emit`"]
#[derive(Debug, Clone)]
pub struct HandleBroadcast<'h> {
    way: Way<'h>,
    recipients: Recipients,
    slow_consumer: Option<SlowConsumer>,
    latest_of: Option<Arc<str>>,
}

#[derive(Debug, Clone, Copy)]
enum Way<'h> {
    /// By one hub, and on from there.
    One(&'h HubHandle),
    /// To each hub.
    All(&'h HubsHandle),
}

impl<'h> HandleBroadcast<'h> {
    fn new(way: Way<'h>) -> Self {
        Self { way, recipients: Recipients::everyone(), slow_consumer: None, latest_of: None }
    }

    pub(super) fn of_all(handle: &'h HubsHandle) -> Self {
        Self::new(Way::All(handle))
    }

    /// Also who is in `room`. Of everyone, only who is in `room`.
    pub fn to<'r>(mut self, room: impl Into<Room<'r>>) -> Self {
        self.recipients = self.recipients.and(room);
        self
    }

    /// Leaves out who is in `room`.
    pub fn except<'r>(mut self, room: impl Into<Room<'r>>) -> Self {
        self.recipients = self.recipients.except(room);
        self
    }

    /// Reaches the connections of this hub alone, past its [`Adapter`](super::Adapter) and the other [`Hubs`](super::Hubs). On
    /// a [`HubsHandle`], which goes to all of them, it changes nothing.
    pub fn local(mut self) -> Self {
        self.recipients = self.recipients.local();
        self
    }

    /// As [`Broadcast::slow_consumer`](super::Broadcast::slow_consumer).
    pub fn slow_consumer(mut self, policy: SlowConsumer) -> Self {
        self.slow_consumer = Some(policy);
        self
    }

    /// As [`Broadcast::latest_of`](super::Broadcast::latest_of).
    pub fn latest_of(mut self, key: impl Into<Arc<str>>) -> Self {
        self.latest_of = Some(key.into());
        self
    }

    /// Encodes `message` once, here, unless it is a [`PreparedMessage`] already, and has the loop queue that encoding for
    /// each recipient.
    pub fn emit(self, message: impl Into<PreparedMessage>) -> Result<(), HubHandleError> {
        let message = message.into().with_wishes(self.slow_consumer, self.latest_of);
        let operation = Operation::new(self.recipients, message);
        match self.way {
            Way::One(handle) => handle.queue(Command::Emit(operation)),
            Way::All(handle) => handle.deliver(operation),
        }
    }
}
