//! Several event loops, each on a thread: where they come from, and how they share a listener.

use std::{
    any::Any,
    io,
    net::SocketAddr,
    panic,
    sync::{Arc, OnceLock, mpsc::Receiver},
    thread,
};

use mio::{Poll, Registry};

use super::{
    ConnId, EventLoop, Handle, ListenOptions, LoopsHandle, SharedListener,
    accept::{Listener, Listening, Source},
    admission::Gate,
    event_loop,
    handle::{Command, Order},
    shared_listener::{Door, Membership},
    siblings::Siblings,
};
use crate::{Config, handshake::Verdict, http::Request};

/// As many as a [`ConnId`] can number, but for one number that stands for none.
const MOST: usize = u16::MAX as usize;

/// Event loops that belong together, one for each thread, and connections spread over them.
///
/// Each loop is an [`EventLoop`] like any other, with its own poll, its own connections and its own `verify` and handlers,
/// which share nothing unless you have them share it: a message that stays in its loop meets no lock and no other thread.
/// What they have in common is their numbers, which are a part of each [`ConnId`]; listeners ([`Loops::listen`]); and a
/// [`LoopsHandle`] that reaches each connection.
///
/// ```
/// use std::{io, thread, time::Duration};
/// use wireroom::{Config, Event, Loops};
///
/// let loops = Loops::new(2)?;
/// let listener = loops.listen("127.0.0.1:0".parse()?, Config::default())?;
/// let handle = loops.handle();
/// # let at_once = handle.clone();
/// // Whenever it is time; here at once.
/// thread::spawn(move || handle.shut_down(Duration::ZERO, Duration::from_secs(2)));
/// loops.run(|mut event_loop| -> io::Result<()> {
///     event_loop.serve(&listener, |_id, request| request.allow_any_origin())?;
///     while !event_loop.is_shut_down() {
///         event_loop.turn(None, |connections, id, event| match event {
///             Event::Message(message) => _ = connections.send(id, message),
///             _ => {}
///         })?;
///     }
///     Ok(())
/// })?;
/// # assert_eq!(at_once.connections(), [0, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Order
///
/// What one thread sends to one connection by one door arrives in the order of the calls. The doors are
/// [`Connections::send`](super::Connections::send) in the loop where the connection lives; a [`Handle`] or [`LoopsHandle`] and
/// their clones; a [`Hub`](crate::rooms::Hub), whose rooms may span the loops ([`Hubs`](crate::rooms::Hubs)); a
/// [`HubHandle`](crate::rooms::HubHandle) and its clones; a [`HubsHandle`](crate::rooms::HubsHandle) and its clones. For behind
/// each of them is either the connection itself, or queues one behind the other, first in, first out. A broadcast takes the same way to each of its
/// recipients as a message to that one alone.
///
/// Nothing is said about messages of different senders, or by different doors: recipients in different loops may see them in
/// different orders, and one may even see an answer before what it answers, when the two came from different loops.
#[derive(Debug)]
pub struct Loops {
    siblings: Arc<Siblings>,
    seeds: Vec<LoopSeed>,
}

impl Loops {
    /// So many loops, numbered from 0. No thread is started before [`Loops::run`], and none at all with
    /// [`Loops::into_seeds`].
    ///
    /// # Errors
    ///
    /// The operating system's, such as too many open files: each loop takes three. `InvalidInput` for no loop, and for more
    /// than 65,535.
    pub fn new(loops: usize) -> io::Result<Self> {
        if loops == 0 || loops > MOST {
            let error = format!("{loops} event loops: at least 1 and at most {MOST} can be numbered");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        let (mut parts, mut handles) = (Vec::new(), Vec::new());
        for _ in 0..loops {
            let (poll, waker) = event_loop::own_poll()?;
            let registry = poll.registry().try_clone()?;
            let (handle, commands) = Handle::new(waker);
            handles.push(handle.clone());
            parts.push((poll, registry, (handle, commands)));
        }
        let siblings = Arc::new(Siblings::new(handles));
        let seeds = parts.into_iter().zip(0..).map(|((poll, registry, door), number)| LoopSeed {
            poll,
            registry,
            door,
            number,
            siblings: siblings.clone(),
        });
        Ok(Self { seeds: seeds.collect(), siblings })
    }

    /// Listens on a TCP address for all loops; port 0 takes a free one. Who connects waits until a loop
    /// [serves](EventLoop::serve) the listener. [`SharedListener`] says how connections are spread.
    ///
    /// # Errors
    ///
    /// The operating system's, such as an address in use.
    pub fn listen(&self, address: SocketAddr, config: impl Into<Arc<Config>>) -> io::Result<SharedListener> {
        self.listen_with(address, ListenOptions::new(), config)
    }

    /// Listens on a Unix-domain socket for all loops. The file must not exist yet, and is the caller's to remove.
    ///
    /// # Errors
    ///
    /// As [`Loops::listen`].
    #[cfg(unix)]
    pub fn listen_unix(
        &self,
        path: impl AsRef<std::path::Path>,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<SharedListener> {
        self.listen_unix_with(path, ListenOptions::new(), config)
    }

    pub(super) fn share(
        &self,
        listening: Listening,
        address: Option<SocketAddr>,
        options: ListenOptions,
        config: Arc<Config>,
    ) -> SharedListener {
        SharedListener { door: Door::new(&self.siblings, listening, address, options, config) }
    }

    /// A door to all of them, for any thread.
    pub fn handle(&self) -> LoopsHandle {
        LoopsHandle::new(self.siblings.clone())
    }

    /// Runs `serve` with each loop on a thread of its own, `wireroom-0` and so on, and waits for all of them. Answers what
    /// each came to, in order of their numbers.
    ///
    /// The first that fails ends all, be it with an error or by a panic: their shared listeners are closed, the connections of
    /// the others are sent away with 1001 and have a second, and then [`EventLoop::is_shut_down`] is true and
    /// [`EventLoop::turn`] is an error. So `serve` should turn its loop until either, and come back. One that comes back with
    /// `Ok` ends only itself.
    ///
    /// # Errors
    ///
    /// The one with which the first failed; the operating system's, when it has no more threads.
    ///
    /// # Panics
    ///
    /// If the first that failed did so by a panic: with the same.
    pub fn run<T, E>(self, serve: impl Fn(EventLoop) -> Result<T, E> + Sync) -> Result<Vec<T>, E>
    where
        T: Send,
        E: From<io::Error> + Send,
    {
        let Self { siblings, seeds } = self;
        let (serve, siblings) = (&serve, &*siblings);
        let first: &OnceLock<u16> = &OnceLock::new();
        thread::scope(|scope| {
            let (mut running, mut no_thread) = (Vec::new(), None);
            for seed in seeds {
                let number = seed.number;
                let thread = thread::Builder::new().name(format!("wireroom-{number}"));
                let spawned = thread.spawn_scoped(scope, move || {
                    let mut alarm = Alarm { siblings, first, number, failed: true };
                    let came_to = serve(seed.build());
                    alarm.failed = came_to.is_err();
                    came_to
                });
                match spawned {
                    Ok(thread) => running.push((number, thread)),
                    Err(error) => {
                        no_thread = Some((number, error));
                        drop(Alarm { siblings, first, number, failed: true });
                        break;
                    }
                }
            }
            let ends: Vec<_> = running.into_iter().map(|(number, thread)| (number, thread.join())).collect();
            match no_thread {
                Some((number, error)) if first.get() == Some(&number) => Err(error.into()),
                _ => outcome(ends, first.get().copied()),
            }
        })
    }

    /// The loops, for threads of your own.
    ///
    /// ```
    /// use std::{io, thread};
    /// use wireroom::Loops;
    ///
    /// let threads: Vec<_> = Loops::new(2)?.into_seeds().into_iter().map(|seed| {
    ///     thread::spawn(move || seed.build().number())
    /// }).collect();
    /// let numbers: Vec<u16> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    /// assert_eq!(numbers, [0, 1]);
    /// # Ok::<(), io::Error>(())
    /// ```
    pub fn into_seeds(self) -> Vec<LoopSeed> {
        self.seeds
    }
}

/// What the threads came to: what the first to fail did, if one did.
fn outcome<T, E>(ends: Vec<(u16, thread::Result<Result<T, E>>)>, first: Option<u16>) -> Result<Vec<T>, E> {
    let mut panicked: Option<Box<dyn Any + Send>> = None;
    let (mut values, mut failed) = (Vec::new(), None);
    for (number, end) in ends {
        match end {
            Ok(Ok(value)) => values.push(value),
            Ok(Err(error)) if first == Some(number) => return Err(error),
            Ok(Err(error)) => failed = failed.or(Some(error)),
            Err(panic) if first == Some(number) => panic::resume_unwind(panic),
            Err(panic) => panicked = panicked.or(Some(panic)),
        }
    }
    match (panicked, failed) {
        (Some(panic), _) => panic::resume_unwind(panic),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(values),
    }
}

/// Dropped, also by a panic, it tells the others if this thread has failed.
struct Alarm<'a> {
    siblings: &'a Siblings,
    first: &'a OnceLock<u16>,
    number: u16,
    failed: bool,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if !self.failed {
            return;
        }
        let _ = self.first.set(self.number);
        self.siblings.close_doors();
        self.siblings.order(Order::Abandon);
    }
}

/// One of several loops, before it is on its thread: an [`EventLoop`] holds what cannot be sent to another, such as the
/// `verify` of its listeners. Dropped, it leaves its number to nobody: whoever asks for it is told
/// [`Gone`](super::HandleError::Gone).
#[derive(Debug)]
pub struct LoopSeed {
    poll: Poll,
    registry: Registry,
    door: (Handle, Receiver<Command>),
    number: u16,
    siblings: Arc<Siblings>,
}

impl LoopSeed {
    /// The number that the loop will have.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The loop, to stay on this thread.
    pub fn build(self) -> EventLoop {
        let Self { poll, registry, door, number, siblings } = self;
        let mut event_loop = EventLoop::assemble(Some(poll), registry, 0, door);
        event_loop.set_number(number);
        event_loop.connections.siblings = Some(siblings);
        event_loop
    }
}

impl EventLoop {
    /// Takes connections of a listener that this loop shares with others, with a `verify` of its own; all else is as with
    /// [`EventLoop::listen`]. The first loop that serves a listener accepts for all; see [`SharedListener`].
    ///
    /// # Errors
    ///
    /// The operating system's. `InvalidInput` when the listener is not of the [`Loops`] that this loop is one of, when it is
    /// served here already, and for more than 63 listeners.
    pub fn serve(
        &mut self,
        listener: &SharedListener,
        verify: impl FnMut(ConnId, &Request<'_>) -> Verdict + 'static,
    ) -> io::Result<()> {
        let door = &listener.door;
        let refused = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        if !door.is_of(self.connections.siblings.as_ref()) {
            return refused("this listener is not of the Loops that this event loop is one of");
        }
        if self.listeners.iter().any(|listener| listener.is_for(door.number())) {
            return refused("this event loop serves this listener already");
        }
        let token = self.next_listener()?;
        let membership = Membership::new(door.clone(), self.number(), &self.registry, token)?;
        let (config, options) = (door.config().clone(), door.options().clone());
        let listener = Listener::new(Source::Shared(membership), config, options, Box::new(verify));
        self.put_listener(listener, Gate::Shared(door.clone()));
        Ok(())
    }
}
