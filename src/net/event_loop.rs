//! The event loop: `turn` with a poll of its own, or `process` and `finish_turn` in the caller's.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, mpsc::Receiver},
    time::{Duration, Instant},
};

use mio::{Events, Poll, Registry, Token, Waker};

use super::{
    ConnId, Connections, Handle, ListenOptions,
    accept::Listener,
    admission::Gate,
    dial, drive, flush,
    handle::{self, Command},
    phase::{Phase, Slot},
    shutdown::Shutdown,
    slots::{self, Slots},
};
use crate::{Config, Event, RecvBuffer, handshake::Verdict, http::Request};

/// Tokens below a loop's connections: its waker and its listeners.
const LISTENERS: usize = 63;
const FIRST_SLOT: usize = 1 + LISTENERS;
/// Events taken from the kernel at once.
const EVENTS: usize = 1024;

/// Serves WebSocket connections, as server and as client, on mio.
///
/// ```
/// use std::time::Duration;
/// use wireroom::{Config, Event, EventLoop, handshake::ClientRequest};
///
/// let mut event_loop = EventLoop::new()?;
/// let address = event_loop.listen("127.0.0.1:0".parse()?, Config::default(), |_id, request| request.allow_any_origin())?;
/// let client = event_loop.connect(address, ClientRequest::new(&format!("ws://{address}/"))?, Config::default())?;
/// let mut heard = String::new();
/// while heard.is_empty() {
///     event_loop.turn(Some(Duration::from_secs(5)), |connections, id, event| match event {
///         Event::Open if id == client => _ = connections.send(id, "hello"),
///         Event::Message(message) if id == client => heard = message.as_text().unwrap_or_default().to_owned(),
///         Event::Message(message) => _ = connections.send(id, message), // the server echoes
///         _ => {}
///     })?;
/// }
/// assert_eq!(heard, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventLoop {
    /// Its own poll; without one it lives in the caller's.
    pub(super) poll: Option<(Poll, Events)>,
    pub(super) registry: Registry,
    base: usize,
    pub(super) listeners: Vec<Listener>,
    pub(super) connections: Connections,
    /// The one large receive buffer.
    pub(super) rx: RecvBuffer,
    pub(super) commands: Receiver<Command>,
    pub(super) handle: Handle,
    pub(super) shutdown: Option<Shutdown>,
    /// The thread of another loop of the same [`Loops`](super::Loops) has failed.
    pub(super) abandoned: bool,
    /// Lists that are being worked through, kept for their storage.
    pub(super) working: Vec<ConnId>,
    pub(super) writing: Vec<ConnId>,
}

impl EventLoop {
    /// A loop with a poll of its own.
    ///
    /// # Errors
    ///
    /// The operating system's, such as too many open files.
    pub fn new() -> io::Result<Self> {
        let (poll, waker) = own_poll()?;
        let registry = poll.registry().try_clone()?;
        Ok(Self::assemble(Some(poll), registry, 0, Handle::new(waker)))
    }

    /// A loop in the caller's poll. It uses the tokens from `base` on, so give it the upper end: `base` to `base + 63`
    /// for itself and its listeners, the rest for connections. `notify` ends the poll's wait from any thread, as a
    /// [`mio::Waker`] does (a poll has only one of those, which is the caller's).
    ///
    /// Hand each event of the poll to [`EventLoop::process`], then call [`EventLoop::finish_turn`]; wait no longer than
    /// until [`EventLoop::next_deadline`].
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn in_poll(registry: &Registry, base: usize, notify: impl Fn() + Send + Sync + 'static) -> io::Result<Self> {
        Ok(Self::assemble(None, registry.try_clone()?, base, Handle::new(notify)))
    }

    pub(super) fn assemble(
        poll: Option<Poll>,
        registry: Registry,
        base: usize,
        (handle, commands): (Handle, Receiver<Command>),
    ) -> Self {
        Self {
            poll: poll.map(|poll| (poll, Events::with_capacity(EVENTS))),
            registry,
            base,
            listeners: Vec::new(),
            connections: Connections::new(),
            rx: RecvBuffer::with_capacity(drive::READ),
            commands,
            handle,
            shutdown: None,
            abandoned: false,
            working: Vec::new(),
            writing: Vec::new(),
        }
    }

    /// Numbers this loop among several, before it has connections: the number is a part of every [`ConnId`]. A loop of
    /// [`Loops`](super::Loops) keeps the number that it has there.
    pub fn set_number(&mut self, number: u16) {
        if self.connections.siblings.is_none() {
            self.connections.slots.event_loop = number;
        }
    }

    /// Its number among several; 0 if it was given none.
    pub fn number(&self) -> u16 {
        self.connections.slots.event_loop
    }

    /// Listens on a TCP address and answers where: port 0 takes a free one. `verify` answers each request, to upgrade
    /// or not, before anything is promised; there is no default that lets any `Origin` in (RFC 6455 section 10.2). A
    /// refused or broken request is answered with its HTTP status; [`Event::Open`] follows an upgrade, and
    /// [`Event::Closed`] ends every connection, also one that never opened.
    ///
    /// One more than `Config::max_connections` is answered 503, one more than `Config::max_connections_per_address` 429,
    /// without `verify`; while 64 such answers are on their way, those beyond are closed without one, and without an event.
    ///
    /// # Errors
    ///
    /// The operating system's, such as an address in use; more than 63 listeners.
    pub fn listen(
        &mut self,
        address: SocketAddr,
        config: impl Into<Arc<Config>>,
        verify: impl FnMut(ConnId, &Request<'_>) -> Verdict + 'static,
    ) -> io::Result<SocketAddr> {
        self.listen_with(address, ListenOptions::new(), config, verify)
    }

    /// Listens on a Unix-domain socket. The file must not exist yet, and is the caller's to remove.
    ///
    /// # Errors
    ///
    /// As [`EventLoop::listen`].
    #[cfg(unix)]
    pub fn listen_unix(
        &mut self,
        path: impl AsRef<std::path::Path>,
        config: impl Into<Arc<Config>>,
        verify: impl FnMut(ConnId, &Request<'_>) -> Verdict + 'static,
    ) -> io::Result<()> {
        self.listen_unix_with(path, ListenOptions::new(), config, verify)
    }

    /// The token of one listener more.
    pub(super) fn next_listener(&self) -> io::Result<Token> {
        if self.listeners.len() == LISTENERS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "at most 63 listeners in one event loop"));
        }
        Ok(Token(self.base + 1 + self.listeners.len()))
    }

    pub(super) fn put_listener(&mut self, listener: Listener, gate: Gate) {
        self.listeners.push(listener);
        self.connections.gates.push(gate);
    }

    /// One turn: waits up to `timeout` (`None`: until something happens) and hands each event to `on_event`, which may
    /// send to, close or pause any connection. What it queued leaves at the end of the turn, in one write for each
    /// connection, or two where many are written to: what arrives meanwhile is handed out between the writes.
    ///
    /// # Errors
    ///
    /// The poll's own. What goes wrong with a connection is its [`Event::Closed`]. In a loop of [`Loops`](super::Loops) also,
    /// when the thread of another has failed and this one is shut down for it.
    pub fn turn(
        &mut self,
        timeout: Option<Duration>,
        on_event: impl FnMut(&mut Connections, ConnId, Event<'_>),
    ) -> io::Result<()> {
        if self.abandoned && self.is_shut_down() {
            return Err(io::Error::other("the thread of another event loop has failed"));
        }
        self.flush();
        let Some((mut poll, mut events)) = self.poll.take() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "this loop lives in another poll: use finish_turn",
            ));
        };
        let now = Instant::now();
        let until = self.next_deadline().map(|at| at.saturating_duration_since(now));
        // A millisecond's fraction would be cut off, and the poll return too early, again and again.
        let until = until.map(|wait| if wait.is_zero() { wait } else { wait + Duration::from_millis(1) });
        let timeout = timeout.into_iter().chain(until).min();
        let polled = match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            polled => polled,
        };
        for event in &events {
            self.process(event);
        }
        self.poll = Some((poll, events));
        polled?;
        self.finish_turn(on_event);
        Ok(())
    }

    /// Notes one event of the caller's poll. Answers whether it was for this loop.
    pub fn process(&mut self, event: &mio::event::Event) -> bool {
        let Some(number) = event.token().0.checked_sub(self.base) else { return false };
        if number == 0 {
            return true;
        }
        if number < FIRST_SLOT {
            if let Some(listener) = self.listeners.get_mut(number - 1) {
                listener.pending = true;
            }
            return true;
        }
        let Connections { slots, ready, dirty, .. } = &mut self.connections;
        let Some((id, slot)) = slots.at_mut(number - FIRST_SLOT) else { return true };
        if let Phase::Opening(opening) = &mut slot.phase
            && opening.is_connecting()
        {
            match slot.stream.connected() {
                None => return true,
                Some(result) => dial::attempted(slot, result),
            }
            slot.ready.readable = true;
            slot.ready.read_closed |= event.is_read_closed();
            slot.ready.list(id, ready);
            slot.ready.soil(id, dirty);
            return true;
        }
        if event.is_error() && !slot.phase.wants_read() {
            // A reset, which nobody would learn of by reading while reading is paused.
            let error = slot.stream.take_error().map_or(io::ErrorKind::ConnectionReset, |error| error.kind());
            slot.phase.handle_io_error(error);
            slot.ready.list(id, ready);
            slot.ready.soil(id, dirty);
            return true;
        }
        if event.is_writable() && slot.ready.blocked {
            slot.ready.blocked = false;
            slot.ready.soil(id, dirty);
        }
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            slot.ready.readable = true;
            slot.ready.read_closed |= event.is_read_closed();
            slot.ready.list(id, ready);
        }
        true
    }

    /// Does everything of a turn but the wait: for a loop in the caller's poll, after [`EventLoop::process`].
    pub fn finish_turn(&mut self, mut on_event: impl FnMut(&mut Connections, ConnId, Event<'_>)) {
        let on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>) = &mut on_event;
        self.connections.set_now(Instant::now());
        self.connections.stats.turns += 1;
        let base = self.first_slot();
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            listener.accept(number as u16, &mut self.connections, &self.registry, base);
        }
        self.run_commands(handle::CAPACITY);
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.run(&mut self.connections);
        }
        self.run_deadlines();
        let ready = std::mem::replace(&mut self.connections.ready, std::mem::take(&mut self.working));
        let driven = ready.len();
        self.drive(ready, on_event);
        self.write_and_look(driven, on_event);
        let now = self.connections.now;
        if self.rx.capacity() > 4 * drive::READ {
            let next = self.connections.large.buffer(drive::READ, now);
            self.connections.large.give_back(std::mem::replace(&mut self.rx, next), now);
        }
        self.connections.large.release(now);
    }

    /// Writes what was queued outside of a turn. A turn begins with it.
    pub fn flush(&mut self) {
        let base = self.first_slot();
        let mut dirty = std::mem::replace(&mut self.connections.dirty, std::mem::take(&mut self.working));
        for id in dirty.drain(..) {
            flush::flush_called(&mut self.connections, id, &self.registry, Slots::<Slot>::token(base, id));
        }
        self.working = slots::emptied(dirty);
    }

    /// The token of the first slot.
    pub(super) fn first_slot(&self) -> usize {
        self.base + FIRST_SLOT
    }

    /// When [`EventLoop::finish_turn`] wants to be called even without an event.
    pub fn next_deadline(&self) -> Option<Instant> {
        let wants = self.listeners.iter().map(Listener::wants);
        let (pending, retry) = wants.fold((false, None), |(pending, retry), (now, at): (bool, Option<Instant>)| {
            (pending | now, retry.into_iter().chain(at).min())
        });
        if pending || !self.connections.ready.is_empty() || !self.connections.dirty.is_empty() {
            return Some(self.connections.now);
        }
        let shutdown = self.shutdown.as_ref().and_then(Shutdown::next);
        self.connections
            .deadlines
            .next()
            .into_iter()
            .chain(self.connections.large.next())
            .chain(retry)
            .chain(shutdown)
            .min()
    }

    /// The connections, between turns. What is queued here leaves with [`EventLoop::flush`] or the next turn.
    pub fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }

    /// A door for other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    fn run_deadlines(&mut self) {
        let now = self.connections.now;
        while let Some(slot) = self.connections.deadlines.due(now) {
            let Some(id) = self.connections.slots.id_at(slot) else { continue };
            let Some(slot) = self.connections.slots.get_mut(id) else { continue };
            if slot.phase.poll_timeout().is_some_and(|at| at <= now) {
                let pinged = slot.phase.awaits_life();
                slot.phase.handle_timeout(now);
                self.connections.stats.pings_sent += u64::from(!pinged && slot.phase.awaits_life());
                self.connections.mark_ready(id);
                self.connections.mark_dirty(id);
            }
            self.connections.plan(id);
        }
    }
}

/// A poll, and what ends its wait.
pub(super) fn own_poll() -> io::Result<(Poll, impl Fn() + Send + Sync + 'static)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), Token(0))?;
    let wake = move || {
        // It fails only when the poll has gone, and then nobody waits.
        let _ = waker.wake();
    };
    Ok((poll, wake))
}
