//! The door to several loops for other threads.

use std::{sync::Arc, time::Duration};

use super::{ConnId, Handle, HandleError, handle::Order, siblings::Siblings};
use crate::{CloseCode, PreparedMessage, handshake::Verdict};

/// Reaches every connection of a [`Loops`](super::Loops) from any thread, those of the loops included: the loop is found by
/// the id, and told by its [`Handle`], whose limit and promises hold. Clone it freely.
///
/// Commands of one handle for one connection are carried out in order, those of its clones too.
#[derive(Clone, Debug)]
pub struct LoopsHandle {
    siblings: Arc<Siblings>,
}

impl LoopsHandle {
    pub(super) fn new(siblings: Arc<Siblings>) -> Self {
        Self { siblings }
    }

    /// How many loops there are: they are numbered from 0.
    pub fn loops(&self) -> usize {
        self.handles().len()
    }

    /// The handle of one loop.
    ///
    /// # Errors
    ///
    /// [`HandleError::UnknownLoop`].
    pub fn event_loop(&self, number: u16) -> Result<&Handle, HandleError> {
        self.siblings.handle(number).ok_or(HandleError::UnknownLoop { event_loop: number })
    }

    /// Sends to one connection; see [`Handle::send`].
    ///
    /// # Errors
    ///
    /// [`HandleError::UnknownLoop`] for an id of another loop than these, and as there.
    pub fn send(&self, id: ConnId, message: impl Into<PreparedMessage>) -> Result<(), HandleError> {
        self.event_loop(id.event_loop())?.send(id, message)
    }

    /// Sends to all open connections of all loops, encoded once.
    ///
    /// ```
    /// use wireroom::{HandleError, Loops};
    ///
    /// let loops = Loops::new(3)?;
    /// let handle = loops.handle();
    /// assert_eq!(handle.broadcast("hi"), Ok(()));
    /// while handle.event_loop(1).is_ok_and(|one| one.broadcast("hi").is_ok()) {}
    /// assert_eq!(handle.broadcast("hi"), Err(HandleError::Missed { loops: 1 }));
    /// drop(loops);
    /// assert_eq!(handle.broadcast("hi"), Err(HandleError::Gone));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HandleError::Missed`] when loops had no room for it and the others have it, [`HandleError::Full`] when none has it.
    /// Loops that have gone count only if all have.
    pub fn broadcast(&self, message: impl Into<PreparedMessage>) -> Result<(), HandleError> {
        let message = message.into();
        let (mut passed, mut full) = (0, 0);
        for handle in self.handles() {
            match handle.broadcast(message.clone()) {
                Ok(()) => passed += 1,
                Err(HandleError::Gone) => {}
                Err(_) => full += 1,
            }
        }
        match (passed, full) {
            (0, 0) => Err(HandleError::Gone),
            (_, 0) => Ok(()),
            (0, _) => Err(HandleError::Full),
            (_, loops) => Err(HandleError::Missed { loops }),
        }
    }

    /// Starts a closing handshake.
    ///
    /// # Errors
    ///
    /// As [`LoopsHandle::send`].
    pub fn close(&self, id: ConnId, code: CloseCode, reason: &str) -> Result<(), HandleError> {
        self.event_loop(id.event_loop())?.close(id, code, reason)
    }

    /// Ends a pause; see [`Connections::resume`](super::Connections::resume).
    ///
    /// # Errors
    ///
    /// As [`LoopsHandle::send`].
    pub fn resume(&self, id: ConnId) -> Result<(), HandleError> {
        self.event_loop(id.event_loop())?.resume(id)
    }

    /// Answers a request that `verify` deferred: accepts it, or responds.
    ///
    /// # Errors
    ///
    /// As [`LoopsHandle::send`].
    pub fn answer(&self, id: ConnId, verdict: impl Into<Verdict>) -> Result<(), HandleError> {
        self.event_loop(id.event_loop())?.answer(id, verdict)
    }

    /// Ends the wait of each loop.
    pub fn wake(&self) {
        self.handles().iter().for_each(Handle::wake);
    }

    /// Has all loops drain; see [`Handle::drain`]. Shared listeners stay open: plain HTTP is answered.
    pub fn drain(&self, over: Duration) {
        self.siblings.order(Order::Drain(over));
    }

    /// Closes all shared listeners, now, and has all loops shut down; see [`Handle::shut_down`].
    pub fn shut_down(&self, over: Duration, within: Duration) {
        self.siblings.close_doors();
        self.siblings.order(Order::ShutDown { over, within });
    }

    /// How many connections each loop has, in any phase, by number. Those that are on their way to it from the loop that
    /// accepted them count already.
    pub fn connections(&self) -> Vec<usize> {
        self.siblings.connections().collect()
    }

    pub(crate) fn handles(&self) -> &[Handle] {
        self.siblings.handles()
    }

    /// Whether `event_loop` is one of these.
    #[cfg(feature = "rooms")]
    pub(crate) fn has(&self, event_loop: &super::EventLoop) -> bool {
        event_loop.connections.siblings.as_ref().is_some_and(|siblings| Arc::ptr_eq(siblings, &self.siblings))
    }
}
