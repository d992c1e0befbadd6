//! The loop's door for other threads.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    time::Duration,
};

use super::{ConnId, Detached, shared_listener::HandOver};
use crate::{CloseCode, PreparedMessage, handshake::Verdict};

/// Commands that wait at most.
pub(super) const CAPACITY: usize = 4096;

/// What another thread asks for.
#[derive(Debug)]
pub(super) enum Command {
    Send(ConnId, PreparedMessage),
    Broadcast(PreparedMessage),
    Close(ConnId, CloseCode, Box<str>),
    Resume(ConnId),
    Answer(ConnId, Box<Verdict>),
    Adopt(Box<Detached>),
    HandOver(Box<HandOver>),
}

/// What does not stand in the queue: a loop can be told to go down however much it has to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Drain(Duration),
    ShutDown {
        over: Duration,
        within: Duration,
    },
    /// Another loop's thread has failed: down at once, and turns end with an error.
    Abandon,
}

impl Order {
    /// How grave it is.
    fn rank(self) -> u8 {
        match self {
            Order::Drain(_) => 0,
            Order::ShutDown { .. } => 1,
            Order::Abandon => 2,
        }
    }
}

/// Why a [`Handle`] could not pass something on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandleError {
    /// 4,096 commands wait already: the loop does not keep up. Try again later.
    #[error("the event loop has {CAPACITY} commands waiting")]
    Full,
    /// The event loop has gone.
    #[error("the event loop has gone")]
    Gone,
    /// A [`LoopsHandle`](super::LoopsHandle) was given the id of a loop that is none of its own.
    #[error("none of these event loops has the number {event_loop}")]
    UnknownLoop {
        /// The loop's number.
        event_loop: u16,
    },
    /// What was for all loops of a [`LoopsHandle`](super::LoopsHandle) has reached the others, but not these.
    #[error("{loops} of the event loops have {CAPACITY} commands waiting")]
    Missed {
        /// How many loops.
        loops: usize,
    },
}

/// How a loop is woken, once however often it is asked before it runs.
pub(super) struct Notifier {
    pub(super) pending: AtomicBool,
    notify: Box<dyn Fn() + Send + Sync>,
    order: Mutex<Option<Order>>,
}

impl Notifier {
    pub(super) fn take_order(&self) -> Option<Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn wake(&self) {
        if !self.pending.swap(true, Ordering::AcqRel) {
            (self.notify)();
        }
    }
}

/// Reaches an [`EventLoop`](super::EventLoop) from other threads: a bounded queue and a wake. Clone it freely.
///
/// Commands of one handle are carried out in order. That a command was accepted does not say that the connection still
/// exists when it is carried out.
#[derive(Clone)]
pub struct Handle {
    pub(super) commands: SyncSender<Command>,
    pub(super) notifier: Arc<Notifier>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    /// A door to a loop, and the loop's side of it.
    pub(super) fn new(notify: impl Fn() + Send + Sync + 'static) -> (Self, Receiver<Command>) {
        let (commands, receiver) = mpsc::sync_channel(CAPACITY);
        let notifier = Notifier { pending: AtomicBool::new(false), notify: Box::new(notify), order: Mutex::default() };
        (Self { commands, notifier: Arc::new(notifier) }, receiver)
    }

    /// Ends the loop's wait for events.
    pub fn wake(&self) {
        self.notifier.wake();
    }

    /// Sends to one connection. A message that finds it gone, or its queue full, is lost and counted in
    /// [`Stats::commands_refused`](super::Stats::commands_refused). Answers that take this way do not hold back the reading
    /// of the peer as those do that its handler sends: the handler [pauses](super::Connections::pause) a peer that is owed
    /// many, and the thread that answers [resumes](Handle::resume) it.
    ///
    /// # Errors
    ///
    /// [`HandleError::Full`], [`HandleError::Gone`]: nothing was queued.
    pub fn send(&self, id: ConnId, message: impl Into<PreparedMessage>) -> Result<(), HandleError> {
        self.pass(Command::Send(id, message.into()))
    }

    /// Sends to all open connections.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`].
    pub fn broadcast(&self, message: impl Into<PreparedMessage>) -> Result<(), HandleError> {
        self.pass(Command::Broadcast(message.into()))
    }

    /// Starts a closing handshake.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`].
    pub fn close(&self, id: ConnId, code: CloseCode, reason: &str) -> Result<(), HandleError> {
        self.pass(Command::Close(id, code, reason.into()))
    }

    /// Ends a pause; see [`Connections::resume`](super::Connections::resume).
    ///
    /// # Errors
    ///
    /// As [`Handle::send`].
    pub fn resume(&self, id: ConnId) -> Result<(), HandleError> {
        self.pass(Command::Resume(id))
    }

    /// Answers a request that `verify` deferred: accepts it, or responds.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`].
    pub fn answer(&self, id: ConnId, verdict: impl Into<Verdict>) -> Result<(), HandleError> {
        self.pass(Command::Answer(id, Box::new(verdict.into())))
    }

    /// Hands a connection over to this loop.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`]; the connection is closed then.
    pub fn adopt(&self, detached: Detached) -> Result<(), HandleError> {
        self.pass(Command::Adopt(Box::new(detached)))
    }

    /// Has the loop [drain](super::EventLoop::drain), from its next turn on. It does not stand in the queue of commands, so it
    /// is not refused, and may overtake what was asked for before.
    pub fn drain(&self, over: Duration) {
        self.order(Order::Drain(over));
    }

    /// Has the loop [shut down](super::EventLoop::shut_down), from its next turn on; as [`Handle::drain`], and for good: it
    /// takes the place of a drain, and not the other way round. Its thread goes on with turns until
    /// [`EventLoop::is_shut_down`](super::EventLoop::is_shut_down).
    pub fn shut_down(&self, over: Duration, within: Duration) {
        self.order(Order::ShutDown { over, within });
    }

    /// Leaves an order where the loop looks when it is woken. The graver stays.
    pub(super) fn order(&self, order: Order) {
        let mut waiting = self.notifier.order.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.is_none_or(|waiting| waiting.rank() <= order.rank()) {
            *waiting = Some(order);
        }
        drop(waiting);
        self.wake();
    }

    /// Passes a connection on that another loop accepted; gives it back if there is no room, or nobody.
    pub(super) fn hand_over(&self, connection: HandOver) -> Result<(), HandOver> {
        match self.commands.try_send(Command::HandOver(Box::new(connection))) {
            Ok(()) => {
                self.wake();
                Ok(())
            }
            Err(TrySendError::Full(Command::HandOver(back)) | TrySendError::Disconnected(Command::HandOver(back))) => {
                Err(*back)
            }
            // What comes back is what went in.
            Err(_) => Ok(()),
        }
    }

    fn pass(&self, command: Command) -> Result<(), HandleError> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => HandleError::Full,
            TrySendError::Disconnected(_) => HandleError::Gone,
        })?;
        self.wake();
        Ok(())
    }
}
