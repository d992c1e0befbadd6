//! The loop's door for other threads.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, TrySendError},
    },
};

use super::{ConnId, Detached};
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
}

/// How a loop is woken, once however often it is asked before it runs.
pub(super) struct Notifier {
    pub(super) pending: AtomicBool,
    pub(super) notify: Box<dyn Fn() + Send + Sync>,
}

impl Notifier {
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

    fn pass(&self, command: Command) -> Result<(), HandleError> {
        self.commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => HandleError::Full,
            TrySendError::Disconnected(_) => HandleError::Gone,
        })?;
        self.wake();
        Ok(())
    }
}
