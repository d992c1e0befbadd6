//! `Hubs`: rooms that span several loops, a [`Hub`] on each thread.
//!
//! A room's members are kept by the hub of the loop where they live, each on its own thread, and no hub knows those of
//! another. What goes to a room goes to all hubs: the operation is encoded once, and crosses to each other hub by one bounded
//! queue and one wake.
//!
//! Knows: operations, hubs by their handles. Must not know: who is in a room, threads.

use std::fmt;
use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use super::handle::{Command, HandleBroadcast, HubHandle, HubHandleError};
use super::hub::{Hub, HubConfig};
use super::operation::{Operation, Room};
use super::span::{Link, Span};
use crate::frame::CloseCode;
use crate::message::PreparedMessage;
use crate::net::{ConnId, EventLoop, Loops, LoopsHandle};

/// The hubs of several loops, whose rooms are one: `socket.to("lobby").emit(..)` reaches who is in the lobby, in whichever
/// loop.
///
/// ```
/// use std::{io, thread, time::Duration};
/// use wireroom::{Config, Event, Hubs, Loops};
///
/// let loops = Loops::new(2)?;
/// let listener = loops.listen("127.0.0.1:0".parse()?, Config::default())?;
/// let hubs = Hubs::new(&loops);
/// let handle = loops.handle();
/// thread::spawn(move || handle.shut_down(Duration::ZERO, Duration::ZERO)); // whenever it is time
/// loops.run(|mut event_loop| -> io::Result<()> {
///     event_loop.serve(&listener, |_id, request| request.allow_any_origin())?;
///     let mut hub = hubs.hub(event_loop)?;
///     while !hub.event_loop().is_shut_down() {
///         hub.turn(None, |socket, event| match event {
///             Event::Open => _ = socket.join("lobby"),
///             Event::Message(message) => _ = socket.to("lobby").emit(message),
///             _ => {}
///         })?;
///     }
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What is of one loop, and what of all
///
/// Every emit of a [`Socket`](super::Socket), an [`Io`](super::Io), a [`Hub`] or a [`HubHandle`] spans the loops, unless it is
/// [`local`](super::Broadcast::local). A private message (to a [`ConnId`], or several) goes to the loops of those ids alone.
/// All else is of one loop: [`Rooms`](super::Rooms) and [`Broadcast::ids`](super::Broadcast::ids) name the members here;
/// [`Io::join`](super::Io::join) and `leave` are for ids of here, and [`HubsHandle::join`] for any;
/// [`RoomLimits`](super::RoomLimits) and presence are each hub's own; a [`Delivery`](super::Delivery) counts the recipients
/// here, and what came of the rest is in the [`take_handle_delivery`](Hub::take_handle_delivery) of the other hubs;
/// [`pause_sender`](super::Broadcast::pause_sender) waits for recipients here.
///
/// # When a loop is too slow
///
/// No thread waits for another. [`HubConfig::handle_capacity`] operations wait for a hub at most, those of handles and of the
/// other hubs together. What becomes of one that finds no room is [`HubConfig::full_loop`]: it waits in its own hub and its
/// sender is not read from, or it is lost for the recipients over there. What is lost is counted where it began:
/// [`Hub::missed_elsewhere`]. A handle is told, and may try again.
///
/// # Order
///
/// What one socket, hub or handle emits arrives at each recipient in the order of the calls. See
/// [`Loops`](crate::net::Loops#order) for what is not promised.
pub struct Hubs {
    loops: LoopsHandle,
    config: HubConfig,
    handle: HubsHandle,
    /// What waits for each hub, until that is made.
    queues: Vec<Mutex<Option<Receiver<Command>>>>,
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hubs").field("loops", &self.queues.len()).field("config", &self.config).finish_non_exhaustive()
    }
}

impl Hubs {
    /// Hubs with the default [`HubConfig`].
    pub fn new(loops: &Loops) -> Self {
        Self::with_config(loops, HubConfig::default())
    }

    /// Hubs with limits of your own, which each has for itself.
    pub fn with_config(loops: &Loops, config: HubConfig) -> Self {
        let loops = loops.handle();
        let (links, queues): (Vec<_>, _) = loops
            .handles()
            .iter()
            .map(|waker| {
                let (handle, commands) = HubHandle::new(config.handle_capacity, waker.clone());
                (Link::new(handle), Mutex::new(Some(commands)))
            })
            .unzip();
        Self { loops, config, handle: HubsHandle { links: links.into() }, queues }
    }

    /// The hub of this loop, on its thread. What was sent to it before waits for it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the loop is not of the [`Loops`] that these hubs are for.
    pub fn hub(&self, event_loop: EventLoop) -> io::Result<Hub> {
        let number = usize::from(event_loop.number());
        let queue = self.queues.get(number).filter(|_| self.loops.has(&event_loop));
        // A loop is moved into its hub, so it does not come a second time unless it was taken apart.
        let queue = queue.and_then(|queue| queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let Some(commands) = queue else {
            let why = "this event loop is not of the Loops that these hubs are for";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        };
        let links = &self.handle.links;
        let (handle, span) = (links[number].handle.clone(), Span::new(links.clone(), number, &self.config));
        Ok(Hub::assemble(event_loop, self.config, (handle, commands), Some(span)))
    }

    /// A handle for other threads, that reaches all hubs.
    pub fn handle(&self) -> HubsHandle {
        self.handle.clone()
    }
}

/// Reaches all [`Hubs`] from any thread: what is sent goes to each of them directly, encoded once. Clone it freely.
///
/// It does not pass through an [`Adapter`](super::Adapter) that a hub was given besides; that is the way of a [`HubHandle`].
///
/// # Errors
///
/// Every call that returns a `Result` fails with a [`HubHandleError`] if it could not be queued: with
/// [`Missed`](HubHandleError::Missed) when some hubs have it and some had no room, and otherwise nothing has happened. Hubs
/// that have gone count only if all have.
///
/// ```
/// use wireroom::ConnId;
/// use wireroom::rooms::{HubHandleError, HubsHandle};
///
/// fn from_any_thread(handle: &HubsHandle, price: &str, ann: ConnId) -> Result<(), HubHandleError> {
///     handle.join(ann, "prices")?; // in whichever loop she is
///     handle.to("prices").except("paused").emit(price)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct HubsHandle {
    links: Arc<[Link]>,
}

impl HubsHandle {
    /// The handle of the hub of one loop.
    pub fn hub(&self, event_loop: u16) -> Result<&HubHandle, HubHandleError> {
        let link = self.links.get(usize::from(event_loop));
        link.map(|link| &link.handle).ok_or(HubHandleError::UnknownLoop { event_loop })
    }

    /// Who is in `room`, in all loops. With a [`ConnId`] in place of a name: a private message.
    pub fn to<'r>(&self, room: impl Into<Room<'r>>) -> HandleBroadcast<'_> {
        self.everyone().to(room)
    }

    /// Every open connection of all loops.
    pub fn everyone(&self) -> HandleBroadcast<'_> {
        HandleBroadcast::of_all(self)
    }

    /// Sends to every open connection of all loops: `everyone().emit(message)`.
    pub fn emit(&self, message: impl Into<PreparedMessage>) -> Result<(), HubHandleError> {
        self.everyone().emit(message)
    }

    /// Delivers an operation that began elsewhere, such as on another machine, to the members of all loops.
    pub fn deliver(&self, operation: Operation) -> Result<(), HubHandleError> {
        let operation = Arc::new(operation);
        let (mut passed, mut full, mut gone) = (0, 0, 0);
        let links = self.links.iter().enumerate().filter(|(number, _)| operation.recipients.may_be_in(*number));
        for (_, link) in links {
            match link.handle.pass(operation.clone()) {
                Ok(()) => passed += 1,
                Err(HubHandleError::Gone) => gone += 1,
                Err(_) => full += 1,
            }
        }
        match (passed, full, gone) {
            (0, 0, 0) => operation
                .recipients
                .first_id()
                .map_or(Ok(()), |id| Err(HubHandleError::UnknownLoop { event_loop: id.event_loop() })),
            (0, 0, _) => Err(HubHandleError::Gone),
            (_, 0, _) => Ok(()),
            (0, ..) => Err(HubHandleError::Full),
            (_, hubs, _) => Err(HubHandleError::Missed { hubs }),
        }
    }

    /// Lets `id` into `room`. A refusal is told by [`RoomEvent::Refused`](super::RoomEvent::Refused) of its hub.
    pub fn join(&self, id: ConnId, room: &str) -> Result<(), HubHandleError> {
        self.hub(id.event_loop())?.join(id, room)
    }

    /// Takes `id` out of `room`.
    pub fn leave(&self, id: ConnId, room: &str) -> Result<(), HubHandleError> {
        self.hub(id.event_loop())?.leave(id, room)
    }

    /// Starts the closing handshake of `id`.
    pub fn close(&self, id: ConnId, code: CloseCode, reason: &str) -> Result<(), HubHandleError> {
        self.hub(id.event_loop())?.close(id, code, reason)
    }

    /// Ends `id` without a closing handshake.
    pub fn abort(&self, id: ConnId) -> Result<(), HubHandleError> {
        self.hub(id.event_loop())?.abort(id)
    }
}
