//! Pauses: senders that are not read from until the recipients that were too slow for them have drained or closed.
//!
//! Two mirrored maps, as small as what they are about: a pair for each sender and recipient of which a message of the one
//! waits for the other. When the last pair of a connection has gone, nothing is kept of it.
//!
//! Knows: ids, an [`Outlet`]. Must not know: rooms, how a connection is paused.

use std::collections::{HashMap, HashSet};

use super::delivery::Outlet;
use crate::connection::SendStatus;
use crate::error::SendError;
use crate::message::PreparedMessage;
use crate::net::ConnId;

/// Who waits for whom.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    waits_for: HashMap<ConnId, HashSet<ConnId>>,
    awaited_by: HashMap<ConnId, HashSet<ConnId>>,
}

impl Pauses {
    /// `sender` waits for `recipient`, too.
    pub(super) fn add(&mut self, sender: ConnId, recipient: ConnId) {
        self.waits_for.entry(sender).or_default().insert(recipient);
        self.awaited_by.entry(recipient).or_default().insert(sender);
    }

    /// Nobody has to wait for `recipient` any more. Answers who waits for no other either.
    pub(super) fn release(&mut self, recipient: ConnId) -> Vec<ConnId> {
        let senders = self.awaited_by.remove(&recipient).unwrap_or_default();
        senders.into_iter().filter(|sender| take(&mut self.waits_for, *sender, recipient)).collect()
    }

    /// Whether `sender` waits for somebody.
    pub(super) fn waits(&self, sender: ConnId) -> bool {
        self.waits_for.contains_key(&sender)
    }

    /// `sender` waits for nobody any more. Answers whether it did.
    pub(super) fn forget(&mut self, sender: ConnId) -> bool {
        let recipients = self.waits_for.remove(&sender).unwrap_or_default();
        for recipient in &recipients {
            take(&mut self.awaited_by, *recipient, sender);
        }
        !recipients.is_empty()
    }
}

/// Takes `member` out of the set of `id`. Answers whether it was the last.
fn take(sets: &mut HashMap<ConnId, HashSet<ConnId>>, id: ConnId, member: ConnId) -> bool {
    let Some(set) = sets.get_mut(&id) else { return false };
    set.remove(&member);
    set.is_empty() && sets.remove(&id).is_some()
}

/// Notes who did not keep up.
pub(super) struct Noting<'o, O> {
    pub(super) outlet: &'o mut O,
    pub(super) slow: Vec<ConnId>,
}

impl<O: Outlet> Outlet for Noting<'_, O> {
    fn deliver(&mut self, to: ConnId, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        let outcome = self.outlet.deliver(to, message);
        // Each of these is followed by a `Drain` or the end.
        if let Ok(SendStatus::Backpressure | SendStatus::Dropped)
        | Err(SendError::BufferFull { .. } | SendError::QueueFull { .. }) = outcome
        {
            self.slow.push(to);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids<const N: usize>() -> [ConnId; N] {
        std::array::from_fn(|slot| format!("0-{slot:x}-1").parse().expect("an id"))
    }

    fn is_empty(pauses: &Pauses) -> bool {
        pauses.waits_for.is_empty() && pauses.awaited_by.is_empty()
    }

    #[test]
    fn a_sender_waits_for_all_of_its_recipients_and_nothing_is_kept() {
        let [ann, bob, cat, dan] = ids();
        let mut pauses = Pauses::default();
        for (sender, recipient) in [(ann, bob), (ann, cat), (ann, cat), (dan, cat)] {
            pauses.add(sender, recipient);
        }
        assert_eq!(pauses.release(bob), []);
        assert_eq!(pauses.release(bob), []);
        let mut free = pauses.release(cat);
        free.sort_unstable();
        assert_eq!(free, [ann, dan]);
        assert!(is_empty(&pauses));
    }

    #[test]
    fn nothing_is_kept_of_a_sender_that_has_gone() {
        let [ann, bob, cat, dan] = ids();
        let mut pauses = Pauses::default();
        for _ in 0..3 {
            for (sender, recipient) in [(ann, bob), (ann, ann), (dan, cat)] {
                pauses.add(sender, recipient);
            }
            pauses.forget(ann);
            pauses.forget(dan);
            assert!(is_empty(&pauses));
        }
        assert_eq!(pauses.release(cat), []);
    }
}
