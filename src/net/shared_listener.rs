//! A listener of several loops: one of them accepts for all.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use mio::{Interest, Registry, Token};

use super::{
    accept::Listening,
    admission::{Admission, Entry, Place},
    listen_options::ListenOptions,
    siblings::Siblings,
    socket::Stream,
};
use crate::Config;

/// A listening socket for all loops of a [`Loops`](super::Loops), which made it ([`Loops::listen`](super::Loops::listen)). A
/// clone is the same one.
///
/// Each loop that is to have connections of it joins with a `verify` of its own:
/// [`EventLoop::serve`](super::EventLoop::serve). The first that does so accepts for all. It hands each connection to the loop
/// that has the fewest, and to the next in turn of those that have equally few. It keeps one itself whose loop has 4,096
/// commands waiting. Loops that serve later get fewer of a crowd that was there before; if that matters, let the threads
/// wait for one another ([`std::sync::Barrier`]) between `serve` and their first turn.
///
/// `Config::max_connections` and `Config::max_connections_per_address` hold for all loops together. What is over them is
/// answered by the loop that accepts.
///
/// The socket is closed when the loop that accepts shuts down or is dropped, by [`SharedListener::close`], and by
/// [`LoopsHandle::shut_down`](super::LoopsHandle::shut_down).
#[derive(Clone, Debug)]
pub struct SharedListener {
    pub(super) door: Arc<Door>,
}

impl SharedListener {
    /// Where it listens, for TCP.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.door.address
    }

    /// Stops listening, for all loops. Connections that exist stay.
    pub fn close(&self) {
        self.door.close();
    }

    /// Connections that were on their way to a loop when that was dropped. They were closed without an answer, and without an
    /// event.
    pub fn lost(&self) -> u64 {
        self.door.lost.load(Ordering::Relaxed)
    }
}

/// What the loops share of a listener. Its locks are taken where a connection comes or goes, and never for a message.
pub(super) struct Door {
    siblings: Arc<Siblings>,
    number: usize,
    address: Option<SocketAddr>,
    config: Arc<Config>,
    options: ListenOptions,
    socket: Mutex<Socket>,
    admission: Mutex<Admission>,
    /// Which loops take connections.
    serving: Box<[AtomicBool]>,
    lost: AtomicU64,
}

enum Socket {
    /// No loop serves yet: who connects waits in the backlog.
    Bound(Listening),
    /// Registered with the loop that accepts.
    Accepting(Listening, Registry),
    Closed,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("number", &self.number).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Door {
    pub(super) fn new(
        siblings: &Arc<Siblings>,
        listening: Listening,
        address: Option<SocketAddr>,
        options: ListenOptions,
        config: Arc<Config>,
    ) -> Arc<Self> {
        siblings.add_door(|number| Self {
            siblings: siblings.clone(),
            number,
            address,
            socket: Mutex::new(Socket::Bound(listening)),
            admission: Mutex::new(Admission::new(&config)),
            config,
            options,
            serving: siblings.handles().iter().map(|_| AtomicBool::new(false)).collect(),
            lost: AtomicU64::new(0),
        })
    }

    pub(super) fn is_of(&self, siblings: Option<&Arc<Siblings>>) -> bool {
        siblings.is_some_and(|siblings| Arc::ptr_eq(siblings, &self.siblings))
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(super) fn options(&self) -> &ListenOptions {
        &self.options
    }

    pub(super) fn enter(&self, peer: Option<SocketAddr>) -> Entry {
        self.admission().enter(peer)
    }

    pub(super) fn locate(&self, place: Place, peer: Option<SocketAddr>) -> Entry {
        self.admission().locate(place, peer)
    }

    pub(super) fn leave(&self, place: Place) {
        self.admission().leave(place);
    }

    pub(super) fn close(&self) {
        if let Socket::Accepting(mut listening, registry) = std::mem::replace(&mut *self.socket(), Socket::Closed) {
            let _ = registry.deregister(listening.source());
        }
    }

    // A thread that panicked while it held one of these did so in none of our steps: what is inside is whole.
    fn socket(&self) -> MutexGuard<'_, Socket> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One loop's part in a shared listener, from `serve` on; dropped, it takes part no longer.
#[derive(Debug)]
pub(super) struct Membership {
    door: Arc<Door>,
    event_loop: u16,
    accepts: bool,
    /// Where the search for the next loop begins: those with equally few connections take turns.
    next: usize,
}

impl Membership {
    pub(super) fn new(door: Arc<Door>, event_loop: u16, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut socket = door.socket();
        let accepts = match std::mem::replace(&mut *socket, Socket::Closed) {
            Socket::Bound(mut listening) => {
                let registered = registry
                    .try_clone()
                    .and_then(|mine| registry.register(listening.source(), token, Interest::READABLE).map(|()| mine));
                match registered {
                    Ok(registry) => *socket = Socket::Accepting(listening, registry),
                    Err(error) => {
                        *socket = Socket::Bound(listening);
                        return Err(error);
                    }
                }
                true
            }
            other => {
                *socket = other;
                false
            }
        };
        drop(socket);
        let membership = Self { door, event_loop, accepts, next: 0 };
        membership.serve(true);
        Ok(membership)
    }

    pub(super) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    pub(super) fn accepts(&self) -> bool {
        self.accepts
    }

    /// Whether others hand connections to this loop.
    pub(super) fn serve(&self, serving: bool) {
        if let Some(flag) = self.door.serving.get(usize::from(self.event_loop)) {
            flag.store(serving, Ordering::Relaxed);
        }
    }

    /// `None`: the socket has been closed.
    pub(super) fn accept(&self) -> Option<io::Result<(Stream, Option<SocketAddr>)>> {
        match &*self.door.socket() {
            Socket::Accepting(listening, _) => Some(listening.accept()),
            Socket::Bound(_) | Socket::Closed => None,
        }
    }

    /// Passes a connection to the loop that is to have it; gives it back if that is this one.
    pub(super) fn hand_on(
        &mut self,
        stream: Stream,
        peer: Option<SocketAddr>,
        place: Place,
    ) -> Result<(), (Stream, Place)> {
        let to = self.choose();
        let Some(handle) = self.door.siblings.handle(to).filter(|_| to != self.event_loop) else {
            return Err((stream, place));
        };
        self.door.siblings.came(to);
        let ticket = Ticket { door: self.door.clone(), to, place };
        handle.hand_over(HandOver { stream, peer, ticket }).map_err(|HandOver { stream, ticket, .. }| {
            self.door.siblings.went(to, 1);
            (stream, ticket.redeem())
        })
    }

    /// The loop with the fewest connections of those that serve; this one if none does.
    fn choose(&mut self) -> u16 {
        let (door, next) = (&self.door, self.next);
        let serving = |at: usize| door.serving[at].load(Ordering::Relaxed);
        let loops = door.siblings.connections().enumerate().filter(|(at, _)| serving(*at));
        let count = door.serving.len();
        match loops.min_by_key(|(at, connections)| (*connections, (at + count - next) % count)) {
            Some((at, _)) => {
                self.next = (at + 1) % count;
                // As many as a `u16` numbers.
                at as u16
            }
            None => self.event_loop,
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.serve(false);
        if self.accepts {
            self.door.close();
        }
    }
}

/// An accepted connection on its way to another loop.
#[derive(Debug)]
pub(super) struct HandOver {
    pub(super) stream: Stream,
    pub(super) peer: Option<SocketAddr>,
    pub(super) ticket: Ticket,
}

/// Its place at the listener, given back if it does not arrive.
#[derive(Debug)]
pub(super) struct Ticket {
    door: Arc<Door>,
    to: u16,
    place: Place,
}

impl Ticket {
    pub(super) fn door(&self) -> usize {
        self.door.number
    }

    /// It has arrived: whoever holds the place gives it back.
    pub(super) fn redeem(mut self) -> Place {
        std::mem::replace(&mut self.place, Place::NONE)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.place != Place::NONE {
            self.door.leave(self.place);
            self.door.siblings.went(self.to, 1);
            self.door.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
