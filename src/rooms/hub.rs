//! `Hub`: an [`EventLoop`] whose connections have rooms.
//!
//! The hub adds three things to a turn of the loop. Each event comes with a [`Socket`] in place of an id; a connection is one of
//! everyone from its `Open` to its `Closed`, and leaves its rooms when the handler has seen `Closed`; and what
//! [`HubHandle`]s asked for is carried out before the turn ends.
//!
//! Knows: the loop, rooms. Must not know: bytes, sockets, time.

use std::fmt;
use std::io;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::broadcast::{Broadcast, House};
use super::delivery::Delivery;
use super::handle::{Command, HubHandle};
use super::limits::RoomLimits;
use super::membership::Rooms;
use super::operation::{Adapter, Operation, Room};
use super::presence::RoomEvent;
use super::socket::{Io, Socket};
use super::span::{Farewell, FullLoop, Span};
use crate::connection::{Closed, Event};
use crate::message::PreparedMessage;
use crate::net::{ConnId, Connections, EventLoop};

/// What a hub holds at most.
///
/// ```
/// use wireroom::rooms::HubConfig;
///
/// let config = HubConfig { presence_capacity: 10_000, ..HubConfig::default() };
/// assert_eq!(config.handle_capacity, 1_024);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubConfig {
    /// Limits of rooms and memberships.
    pub limits: RoomLimits,
    /// How many calls of [`HubHandle`]s may wait for the loop, and operations of the other [`Hubs`](super::Hubs), together.
    /// Default: 1,024. With 0 every call is refused as `Full`.
    pub handle_capacity: usize,
    /// How many [`RoomEvent`]s may wait for [`Hub::poll_room_event`]. Default: 0, which records none.
    pub presence_capacity: usize,
    /// What becomes of an operation for which another of the [`Hubs`](super::Hubs) has no room. Default:
    /// [`FullLoop::HoldSender`].
    pub full_loop: FullLoop,
}

impl Default for HubConfig {
    fn default() -> Self {
        Self {
            limits: RoomLimits::default(),
            handle_capacity: 1_024,
            presence_capacity: 0,
            full_loop: FullLoop::default(),
        }
    }
}

/// An event loop with rooms.
///
/// ```no_run
/// use wireroom::rooms::Hub;
/// use wireroom::{Config, Event, EventLoop};
///
/// # fn main() -> std::io::Result<()> {
/// let mut event_loop = EventLoop::new()?;
/// let addr = "127.0.0.1:8080".parse().expect("an address");
/// event_loop.listen(addr, Config::default(), |_id, request| request.allow_origins(&["https://chat.example"]))?;
/// let mut hub = Hub::new(event_loop);
/// let mut unseen = 0;
/// loop {
///     hub.turn(None, |socket, event| match event {
///         Event::Open => _ = socket.join("lobby"),
///         Event::Message(message) => unseen += socket.to("lobby").emit(message).dropped,
///         _ => {}
///     })?;
/// }
/// # }
/// ```
pub struct Hub {
    event_loop: EventLoop,
    house: House,
    commands: Receiver<Command>,
    handle: HubHandle,
    handle_capacity: usize,
    handle_delivery: Delivery,
    on_unopened: OnUnopened,
    /// Behind `commands`: when the others are woken by it, they find that this hub has gone.
    _farewell: Option<Farewell>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("event_loop", &self.event_loop).field("house", &self.house).finish_non_exhaustive()
    }
}

impl Hub {
    /// A hub with the default [`HubConfig`].
    pub fn new(event_loop: EventLoop) -> Self {
        Self::with_config(event_loop, HubConfig::default())
    }

    /// A hub with limits of your own. Connections that the loop has already are among everyone.
    pub fn with_config(event_loop: EventLoop, config: HubConfig) -> Self {
        let door = HubHandle::new(config.handle_capacity, event_loop.handle());
        Self::assemble(event_loop, config, door, None)
    }

    pub(super) fn assemble(
        mut event_loop: EventLoop,
        config: HubConfig,
        (handle, commands): (HubHandle, Receiver<Command>),
        span: Option<Span>,
    ) -> Self {
        let mut rooms = Rooms::new(config.limits);
        rooms.watch(config.presence_capacity);
        for id in event_loop.connections().ids() {
            rooms.insert(id);
        }
        Self {
            _farewell: span.as_ref().map(Span::farewell),
            house: House::new(rooms, span),
            commands,
            handle,
            handle_capacity: config.handle_capacity,
            handle_delivery: Delivery::default(),
            on_unopened: None,
            event_loop,
        }
    }

    /// One turn of the loop ([`EventLoop::turn`]), with a [`Socket`] for each event.
    ///
    /// A socket's first event is [`Event::Open`], its last [`Event::Closed`]. In the arm of `Closed` its rooms are still joined,
    /// so that the others can be told; it leaves them when the arm is done. A join in that arm does not outlive it.
    /// Connections that end without having opened are no sockets: see [`on_unopened`](Self::on_unopened).
    ///
    /// # Errors
    ///
    /// Those of the loop's own poll; what happens to a connection is an event.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        mut on_event: impl FnMut(&mut Socket<'_>, Event<'_>),
    ) -> io::Result<()> {
        let Self { event_loop, house, on_unopened, .. } = self;
        event_loop.turn(timeout, |connections, id, event| {
            dispatch(house, connections, id, event, &mut on_event, on_unopened);
        })?;
        self.carry_out_commands();
        Ok(())
    }

    /// Everything of a turn but the wait, for a loop in the caller's poll: after [`EventLoop::process`], in place of
    /// [`EventLoop::finish_turn`].
    pub fn finish_turn(&mut self, mut on_event: impl FnMut(&mut Socket<'_>, Event<'_>)) {
        let Self { event_loop, house, on_unopened, .. } = self;
        event_loop.finish_turn(|connections, id, event| {
            dispatch(house, connections, id, event, &mut on_event, on_unopened);
        });
        self.carry_out_commands();
    }

    /// Tells of connections that end without having opened: plain HTTP requests, refused handshakes, and outgoing connections
    /// that failed. Nobody else is told of them, but [`Stats::unopened`](crate::net::Stats::unopened) counts them.
    pub fn on_unopened(&mut self, on_unopened: impl FnMut(ConnId, &Closed) + 'static) {
        self.on_unopened = Some(Box::new(on_unopened));
    }

    /// The hub as a whole, between turns. What is emitted leaves when the next turn begins, or with [`EventLoop::flush`].
    pub fn io(&mut self) -> Io<'_> {
        Io::new(self.event_loop.connections(), &mut self.house)
    }

    /// Who is in `room`, nobody left out. With a [`ConnId`] in place of a name: a private message.
    pub fn to<'r>(&mut self, room: impl Into<Room<'r>>) -> Broadcast<'_> {
        self.everyone().to(room)
    }

    /// Every open connection.
    pub fn everyone(&mut self) -> Broadcast<'_> {
        Broadcast::new(self.event_loop.connections(), &mut self.house, None)
    }

    /// Sends to every open connection: `everyone().emit(message)`.
    pub fn emit(&mut self, message: impl Into<PreparedMessage>) -> Delivery {
        self.everyone().emit(message)
    }

    /// Delivers an operation that began elsewhere to the members here. It is not published again.
    pub fn deliver(&mut self, operation: &Operation) -> Delivery {
        self.house.rooms.deliver(operation, self.event_loop.connections())
    }

    /// Who is in which room: members of a room, rooms of an id, names.
    pub fn rooms(&self) -> &Rooms {
        &self.house.rooms
    }

    /// The next join or leave, in order, if [`HubConfig::presence_capacity`] is not 0. Call it after each turn until `None`.
    pub fn poll_room_event(&mut self) -> Option<RoomEvent> {
        self.house.rooms.poll_event()
    }

    /// Publishes every operation that begins here, and is not local, to `adapter` as well.
    pub fn set_adapter(&mut self, adapter: impl Adapter + 'static) {
        self.house.adapter = Some(Box::new(adapter));
    }

    /// A handle for other threads.
    pub fn handle(&self) -> HubHandle {
        self.handle.clone()
    }

    /// What the emits of handles, and those of the other [`Hubs`](super::Hubs), came to here since this was last asked.
    pub fn take_handle_delivery(&mut self) -> Delivery {
        std::mem::take(&mut self.handle_delivery)
    }

    /// Operations of this hub that were lost because another of the [`Hubs`](super::Hubs) had no room for them, once for each
    /// such hub: its members have not got them. See [`HubConfig::full_loop`]; a larger [`HubConfig::handle_capacity`] bridges
    /// longer turns of theirs.
    pub fn missed_elsewhere(&self) -> u64 {
        self.house.missed_elsewhere()
    }

    /// The loop, to listen, to connect or to flush. Before a connection is detached from it, [`forget`](Self::forget) it:
    /// otherwise it keeps its rooms, a pause by [`Broadcast::pause_sender`] goes along with it, and who waits for it waits on.
    pub fn event_loop(&mut self) -> &mut EventLoop {
        &mut self.event_loop
    }

    /// Counts `id` among everyone without waiting for an event of it: a connection that the loop adopted.
    pub fn admit(&mut self, id: ConnId) {
        if self.event_loop.connections().is_open(id) {
            self.house.rooms.insert(id);
        }
    }

    /// Takes `id` out of all rooms and out of everyone, as its `Closed` would. Pauses by [`Broadcast::pause_sender`] end, its
    /// own and those for its sake.
    pub fn forget(&mut self, id: ConnId) {
        let Self { event_loop, house, .. } = self;
        house.remove(id, event_loop.connections());
    }

    /// Carries out what handles asked for. At most one full queue per turn, so that a busy thread does not hold up the
    /// connections; what is left has the loop come back without waiting.
    fn carry_out_commands(&mut self) {
        self.house.pass_on_late(self.event_loop.connections());
        let mut budget = self.handle_capacity;
        let mut delivery = Delivery::default();
        while budget > 0 {
            let Ok(command) = self.commands.try_recv() else { break };
            budget -= 1;
            let connections = self.event_loop.connections();
            match command {
                Command::Emit(operation) => delivery += self.house.emit(&operation, connections),
                Command::Deliver(operation) => delivery += self.house.rooms.deliver(&operation, connections),
                Command::Join(id, room) => self.house.rooms.join_or_tell(id, &room),
                Command::Leave(id, room) => _ = self.house.rooms.leave(id, &room),
                Command::Close(id, code, reason) => connections.close(id, code, &reason),
                Command::Abort(id) => connections.abort(id),
            }
        }
        if budget < self.handle_capacity {
            self.house.made_room();
        }
        if budget == 0 && self.handle_capacity > 0 {
            self.event_loop.handle().wake();
        }
        // Who did not take something is known by their full queue: it stays full until the next turn begins.
        if budget < self.handle_capacity && delivery.dropped == 0 {
            self.event_loop.flush();
        }
        self.handle_delivery += delivery;
    }
}

type OnUnopened = Option<Box<dyn FnMut(ConnId, &Closed)>>;

/// One event: what is open is one of everyone, and what was not is no socket.
fn dispatch(
    house: &mut House,
    connections: &mut Connections,
    id: ConnId,
    event: Event<'_>,
    on_event: &mut impl FnMut(&mut Socket<'_>, Event<'_>),
    on_unopened: &mut OnUnopened,
) {
    match event {
        Event::Closed(closed) if !house.rooms.contains(id) => {
            if let Some(on_unopened) = on_unopened {
                on_unopened(id, &closed);
            }
        }
        Event::Closed(closed) => {
            on_event(&mut Socket::new(id, connections, house), Event::Closed(closed));
            house.remove(id, connections);
        }
        event => {
            house.rooms.insert(id);
            if let Event::Drain = event {
                house.release(id, connections);
            }
            on_event(&mut Socket::new(id, connections, house), event);
        }
    }
}
