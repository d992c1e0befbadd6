//! What an operation needs from the floor below, and what it came to.
//!
//! Knows: how one message is handed to one connection. Must not know: rooms.

use std::ops::{Add, AddAssign};

use crate::connection::SendStatus;
use crate::error::SendError;
use crate::message::PreparedMessage;
use crate::net::{ConnId, Connections};

/// Who takes a prepared message for one connection: [`Connections`], or whatever a test or another loop puts there.
pub trait Outlet {
    /// Queues `message` for `to`, by reference to its encoded bytes.
    ///
    /// # Errors
    ///
    /// If the message was not queued; the recipient counts as dropped.
    fn deliver(&mut self, to: ConnId, message: &PreparedMessage) -> Result<SendStatus, SendError>;
}

impl Outlet for Connections {
    fn deliver(&mut self, to: ConnId, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.send_prepared(to, message)
    }
}

/// The tally of one operation: each recipient counts in exactly one of the three.
///
/// "Queued" is the sender's side of the story: that a peer has *received* a message is known only from an answer of its own
/// (an acknowledgement, which Socket.IO numbers and which here is a message of the application).
///
/// ```
/// use wireroom::rooms::Delivery;
///
/// let delivery = Delivery { queued: 97, backpressure: 2, dropped: 1 };
/// assert_eq!(delivery.recipients(), 100);
/// ```
#[must_use = "`dropped` counts the recipients that will not see the message"]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Recipients for which the message was queued.
    pub queued: usize,
    /// Recipients for which it was queued behind a backlog that is above the high-water mark: they read too slowly.
    pub backpressure: usize,
    /// Recipients for which it was not queued: a limit is reached, and it was refused or dropped
    /// ([`SlowConsumer`](crate::SlowConsumer)), or the connection is already closing. What a connection drops later, or
    /// replaces, is told by its [`Event::Dropped`](crate::Event::Dropped).
    pub dropped: usize,
}

impl Delivery {
    /// How many connections the operation selected.
    pub fn recipients(&self) -> usize {
        self.queued + self.backpressure + self.dropped
    }

    pub(super) fn count(&mut self, outcome: Result<SendStatus, SendError>) {
        match outcome {
            Ok(SendStatus::Queued) => self.queued += 1,
            Ok(SendStatus::Backpressure) => self.backpressure += 1,
            Ok(SendStatus::Dropped) | Err(_) => self.dropped += 1,
        }
    }
}

impl Add for Delivery {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            queued: self.queued + other.queued,
            backpressure: self.backpressure + other.backpressure,
            dropped: self.dropped + other.dropped,
        }
    }
}

impl AddAssign for Delivery {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
