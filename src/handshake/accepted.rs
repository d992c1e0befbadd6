//! What a server's opening handshake comes to.

use super::extensions::Extensions;
use crate::buffer::SendQueue;

/// The proof that a server's opening handshake succeeded.
///
/// It carries what is still to be written, the 101 above all.
#[derive(Debug)]
pub struct Accepted {
    queue: SendQueue,
    subprotocol: Option<Box<str>>,
    extensions: Extensions,
}

impl Accepted {
    pub(super) fn new(queue: SendQueue, subprotocol: Option<Box<str>>, extensions: Extensions) -> Self {
        Self { queue, subprotocol, extensions }
    }

    /// For those who have answered the handshake by an HTTP server of their own, with
    /// [`accept_key`](super::accept_key) among others. The 101 must have been sent.
    pub fn upgraded_elsewhere(subprotocol: Option<&str>, extensions: Extensions) -> Self {
        Self { queue: SendQueue::new(), subprotocol: subprotocol.map(Into::into), extensions }
    }

    /// The subprotocol that was selected.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The extensions that were agreed on.
    pub fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// What waits to be written.
    pub fn transmit(&mut self) -> &mut SendQueue {
        &mut self.queue
    }

    /// For the connection that begins with it.
    pub(crate) fn into_queue(self) -> (SendQueue, Extensions) {
        (self.queue, self.extensions)
    }
}
