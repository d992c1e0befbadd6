//! What a client has to say and no connection has accepted yet, and the numbers of what one has.

use std::{collections::VecDeque, ops::Range};

use bytes::Bytes;

use super::ReconnectSendError;
use crate::{
    Kind, Message, SendError, SendStatus,
    net::{ConnId, Connections},
};

/// A message that no connection has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Its number.
    pub number: u64,
    /// Text or binary.
    pub kind: Kind,
    /// What it says.
    pub payload: Bytes,
}

/// Messages in order of their numbers: `settled <= passed <= next`.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: VecDeque<(Kind, Bytes)>,
    bytes: usize,
    max_bytes: usize,
    max_messages: usize,
    /// Below it, all is known: acknowledged, or told as uncertain.
    settled: u64,
    /// Below it, a connection has accepted all.
    passed: u64,
    /// The connection has dropped some of what it had accepted.
    dropped: bool,
    /// A message in fragments is unfinished, and no event will tell when it has been finished.
    looks: bool,
}

impl Outbox {
    pub(super) fn new(max_bytes: usize, max_messages: usize) -> Self {
        let (waiting, dropped, looks) = (VecDeque::new(), false, false);
        Self { waiting, bytes: 0, max_bytes, max_messages, settled: 0, passed: 0, dropped, looks }
    }

    /// Puts a message behind those that wait.
    pub(super) fn push(&mut self, message: Message<'_>) -> Result<u64, ReconnectSendError> {
        let payload = message.as_bytes();
        if self.waiting.len() >= self.max_messages {
            return Err(ReconnectSendError::TooManyMessages { limit: self.max_messages });
        }
        if self.bytes.saturating_add(payload.len()) > self.max_bytes {
            return Err(ReconnectSendError::TooManyBytes { limit: self.max_bytes });
        }
        let number = self.passed + self.waiting.len() as u64;
        self.bytes += payload.len();
        self.waiting.push_back((message.kind(), Bytes::copy_from_slice(payload)));
        Ok(number)
    }

    /// A connection has accepted a message that did not wait here. Answers its number.
    pub(super) fn passed(&mut self) -> u64 {
        self.passed += 1;
        self.passed - 1
    }

    /// Sends what waits, as much as the connection takes without a jam.
    pub(super) fn pass_on(&mut self, connections: &mut Connections, id: ConnId) {
        self.looks = false;
        while let Some((kind, payload)) = self.waiting.front() {
            let status = connections.send_bytes(id, *kind, payload.clone());
            if !matches!(status, Ok(SendStatus::Queued | SendStatus::Backpressure)) {
                self.looks = status == Err(SendError::UnfinishedMessage);
                return;
            }
            self.bytes -= payload.len();
            self.waiting.pop_front();
            self.passed += 1;
            if status == Ok(SendStatus::Backpressure) {
                return;
            }
        }
    }

    /// As [`Outbox::pass_on`], where no event comes when it is time to.
    pub(super) fn look(&mut self, connections: &mut Connections, id: ConnId) {
        if self.looks {
            self.pass_on(connections, id);
        }
    }

    /// No event will tell when what waits can be passed on.
    pub(super) fn look_again(&mut self) {
        self.looks = true;
    }

    /// The connection has dropped some of what it had accepted: its end answers to the others only.
    pub(super) fn has_dropped(&mut self) {
        self.dropped = true;
    }

    pub(super) fn acknowledge(&mut self, number: u64) {
        self.settled = self.settled.max(number.min(self.passed));
    }

    /// The connection has ended: which messages are uncertain, if its end is not an answer to all of them.
    pub(super) fn settle(&mut self, is_answered: bool) -> Range<u64> {
        let is_whole = !std::mem::take(&mut self.dropped);
        let first = if is_answered && is_whole { self.passed } else { self.settled };
        self.settled = self.passed;
        first..self.passed
    }

    pub(super) fn take(&mut self) -> Vec<Unsent> {
        let first = self.passed;
        self.bytes = 0;
        // Their numbers are not given again. What a connection has accepted before them may still become uncertain.
        self.passed += self.waiting.len() as u64;
        if self.settled == first {
            self.settled = self.passed;
        }
        let waiting = self.waiting.drain(..).zip(first..);
        waiting.map(|((kind, payload), number)| Unsent { number, kind, payload }).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Whether a later connection, or this one later, may take what was refused.
pub(super) fn may_pass(error: SendError) -> bool {
    match error {
        SendError::Closed
        | SendError::BufferFull { .. }
        | SendError::QueueFull { .. }
        | SendError::UnfinishedMessage
        | SendError::UnknownConnection => true,
        SendError::LongControlFrame(_) | SendError::InvalidUtf8 => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_waits_and_no_more() {
        let mut outbox = Outbox::new(10, 3);
        assert_eq!(outbox.push("12345".into()), Ok(0));
        assert_eq!(outbox.push("123456".into()), Err(ReconnectSendError::TooManyBytes { limit: 10 }));
        assert_eq!(outbox.push("12345".into()), Ok(1));
        assert_eq!(outbox.push("".into()), Ok(2));
        assert_eq!(outbox.push("".into()), Err(ReconnectSendError::TooManyMessages { limit: 3 }));
        assert_eq!((outbox.len(), outbox.bytes()), (3, 10));
        let unsent = outbox.take();
        assert_eq!(unsent.iter().map(|message| message.number).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((unsent[0].kind, &unsent[0].payload[..]), (Kind::Text, &b"12345"[..]));
        assert_eq!((outbox.push("".into()), outbox.bytes()), (Ok(3), 0));
        assert_eq!(Outbox::new(10, 0).push("".into()), Err(ReconnectSendError::TooManyMessages { limit: 0 }));
    }

    #[test]
    fn what_is_uncertain_is_told_once() {
        let mut outbox = Outbox::new(10, 3);
        let numbers: Vec<_> = (0..5).map(|_| outbox.passed()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4]);
        outbox.acknowledge(2);
        outbox.acknowledge(1);
        assert_eq!(outbox.settle(false), 2..5);
        assert_eq!(outbox.settle(false), 5..5);
        outbox.passed();
        assert_eq!(outbox.settle(true), 6..6);
        // Nobody can have seen what has not been sent.
        assert_eq!(outbox.push("".into()), Ok(6));
        outbox.acknowledge(u64::MAX);
        assert_eq!(outbox.settle(false), 6..6);
        assert_eq!(outbox.len(), 1);
    }
}
