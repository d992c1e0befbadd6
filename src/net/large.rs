//! Large messages: their storage goes round instead of back and forth between us and the system, and one that is sent on
//! as it came is not copied.
//!
//! A page that is new to the process costs a fault and its clearing, more than the bytes in it are worth; so storage that a
//! large message has left is kept for the next one, up to a limit, and for a second.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::drive::READ;
use crate::{Kind, RecvBuffer};

/// From this size on a whole message is taken out of the receive buffer while it is handled.
pub(super) const LARGE: usize = 64 * 1024;
/// Storage that is kept, in bytes, at most.
const MOST: usize = 256 << 20;
/// For how long without a large message.
const KEEP: Duration = Duration::from_secs(1);
/// Leftovers of reads, in bytes of their storage together, that may keep more than three times what they hold.
const ROOMY: usize = 64 << 20;

/// Storage between two large messages.
#[derive(Debug, Default)]
pub(super) struct Large {
    /// Initialised up to their length.
    free: Vec<Vec<u8>>,
    /// Messages that somebody may still hold: a send queue, or the caller.
    lent: Vec<Bytes>,
    /// Bytes of both.
    bytes: usize,
    /// When all that is free is given back.
    until: Option<Instant>,
    /// The message that is being handled, and the size of its storage.
    current: Option<(Kind, Bytes, usize)>,
    /// Bytes of the leftovers' storage.
    left: usize,
}

impl Large {
    /// A receive buffer of at least `at_least` bytes; of what is kept, the smallest that will do.
    pub(super) fn buffer(&mut self, at_least: usize, now: Instant) -> RecvBuffer {
        match self.take_up_to(4 * at_least, at_least, now) {
            Some(storage) => RecvBuffer::with_storage(storage),
            None => RecvBuffer::with_capacity(at_least),
        }
    }

    /// Room for `at_least` more bytes: in kept storage, if there is any that will do, and otherwise the buffer grows by itself.
    pub(super) fn make_room(&mut self, rx: &mut RecvBuffer, at_least: usize, now: Instant) {
        if let Some(needed) = rx.growth(at_least)
            && needed > READ
            && let Some(storage) = self.take(needed, now)
        {
            let outgrown = rx.move_to(storage);
            self.give(outgrown, now);
        }
    }

    /// Takes back a buffer that holds nothing.
    pub(super) fn give_back(&mut self, rx: RecvBuffer, now: Instant) {
        self.give(rx.into_storage(), now);
    }

    /// A large message that was delivered is taken out of `rx`, to be handled, perhaps sent on.
    pub(super) fn begin(&mut self, rx: &mut RecvBuffer, kind: Kind, now: Instant) -> Option<Bytes> {
        if !rx.fills_its_storage() {
            return None;
        }
        let replacement = self.take_up_to(4 * READ, READ, now).unwrap_or_else(|| vec![0; READ]);
        let (storage, message) = match rx.take_storage(replacement) {
            Ok(taken) => taken,
            Err(replacement) => {
                self.give(replacement, now);
                return None;
            }
        };
        let message = storage.slice(message);
        self.current = Some((kind, message.clone(), storage.len()));
        self.bytes += storage.len();
        self.lent.push(storage);
        self.until = Some(now + KEEP);
        Some(message)
    }

    /// It has been handled.
    pub(super) fn end(&mut self) {
        self.current = None;
        while self.bytes > MOST && !self.lent.is_empty() {
            self.bytes -= self.lent.remove(0).len();
        }
    }

    /// `payload` by reference, if it is the message that is being handled, or a part of it. Its storage waits with it, and is
    /// not counted by a send queue's limit: so at most twice as much as is sent.
    #[inline]
    pub(super) fn same(&self, kind: Kind, payload: &[u8]) -> Option<Bytes> {
        let (current_kind, current, storage) = self.current.as_ref()?;
        if payload.len() < LARGE || payload.len() < storage / 2 {
            return None;
        }
        let start = (payload.as_ptr() as usize).checked_sub(current.as_ptr() as usize)?;
        let end = start.checked_add(payload.len())?;
        // A part of a text may be cut within a character; nobody has looked.
        let whole = end - start == current.len() && *current_kind == kind;
        (end <= current.len() && (whole || kind == Kind::Binary)).then(|| current.slice(start..end))
    }

    /// May a leftover of `held` bytes keep storage of `capacity`?
    pub(super) fn keeps(&self, held: usize, capacity: usize) -> bool {
        held >= capacity / 3 || self.left + capacity <= ROOMY
    }

    pub(super) fn add_left(&mut self, rx: &RecvBuffer) {
        self.left += rx.capacity();
    }

    pub(super) fn remove_left(&mut self, rx: &RecvBuffer) {
        self.left -= rx.capacity().min(self.left);
    }

    /// When [`Large::release`] wants to be called.
    pub(super) fn next(&self) -> Option<Instant> {
        self.until
    }

    /// Gives everything back to the system that has not been used for a while.
    pub(super) fn release(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            *self = Self { current: self.current.take(), left: self.left, ..Self::default() };
        }
    }

    fn take(&mut self, at_least: usize, now: Instant) -> Option<Vec<u8>> {
        self.take_up_to(usize::MAX, at_least, now)
    }

    fn take_up_to(&mut self, at_most: usize, at_least: usize, now: Instant) -> Option<Vec<u8>> {
        self.collect();
        let fits = self.free.iter().enumerate().filter(|(_, storage)| (at_least..=at_most).contains(&storage.len()));
        let (smallest, _) = fits.min_by_key(|(_, storage)| storage.len())?;
        let storage = self.free.swap_remove(smallest);
        self.bytes -= storage.len();
        self.until = Some(now + KEEP);
        Some(storage)
    }

    fn give(&mut self, storage: Vec<u8>, now: Instant) {
        if storage.len() >= READ && self.bytes + storage.len() <= MOST {
            self.bytes += storage.len();
            self.free.push(storage);
            self.until = Some(now + KEEP);
        }
    }

    /// What nobody else holds any more is free again.
    fn collect(&mut self) {
        let mut index = 0;
        while index < self.lent.len() {
            if self.lent[index].is_unique() {
                self.free.push(Vec::from(self.lent.swap_remove(index)));
            } else {
                index += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(length: usize, capacity: usize) -> RecvBuffer {
        let mut rx = RecvBuffer::with_capacity(capacity);
        rx.extend(&vec![7; length]);
        rx.append_to_message(length);
        rx.deliver(length);
        rx
    }

    #[test]
    fn storage_goes_round_once_nobody_holds_the_message() {
        let (mut large, now) = (Large::default(), Instant::now());
        let mut rx = received(1 << 20, 2 << 20);
        let address = rx.delivered().as_ptr();
        let message = large.begin(&mut rx, Kind::Binary, now).expect("taken");
        assert_eq!((message.as_ptr(), message.len()), (address, 1 << 20));
        let queued = large.same(Kind::Binary, &message).expect("sent on by reference");
        assert_eq!(queued.as_ptr(), address);
        drop(message);
        large.end();
        assert!(large.take(1 << 20, now).is_none(), "it waits to be sent");
        drop(queued);
        let storage = large.take(1 << 20, now).expect("it is free again");
        assert_eq!((storage.as_ptr(), storage.len()), (address, 2 << 20));
        assert_eq!(large.bytes, 0);
    }

    #[test]
    fn only_what_is_being_handled_is_sent_on_by_reference() {
        let (mut large, now) = (Large::default(), Instant::now());
        let mut rx = received(1 << 20, 1 << 20);
        let message = large.begin(&mut rx, Kind::Text, now).expect("taken");
        assert!(large.same(Kind::Text, &vec![7; 1 << 20]).is_none(), "it only says the same");
        assert!(large.same(Kind::Text, &message[1..]).is_none(), "a part may begin within a character");
        assert!(large.same(Kind::Binary, &message[1..]).is_some());
        assert!(large.same(Kind::Binary, &message[..LARGE - 1]).is_none(), "a small part would hold all of it");
        large.end();
        assert!(large.same(Kind::Text, &message).is_none());
    }

    #[test]
    fn a_message_does_not_take_along_storage_of_more_than_twice_its_size() {
        let (mut large, now) = (Large::default(), Instant::now());
        assert!(large.begin(&mut received(LARGE, 2 * LARGE), Kind::Binary, now).is_some());
        let mut rx = received(LARGE, 2 * LARGE + 8);
        assert!(large.begin(&mut rx, Kind::Binary, now).is_none());
        assert_eq!(rx.delivered().len(), LARGE, "it is still there");
    }

    #[test]
    fn what_is_kept_has_a_limit_and_is_given_back_after_a_second() {
        let (mut large, now) = (Large::default(), Instant::now());
        for _ in 0..5 {
            large.give(vec![0; MOST / 4], now);
        }
        assert_eq!((large.free.len(), large.bytes), (4, MOST));
        assert!(large.take(READ, now).is_some());
        large.release(now + KEEP - Duration::from_millis(1));
        assert_eq!(large.free.len(), 3);
        large.release(now + KEEP);
        assert_eq!((large.free.len(), large.bytes, large.next()), (0, 0, None));
    }

    #[test]
    fn roomy_leftovers_have_a_limit_of_their_own() {
        let mut large = Large::default();
        let rx = RecvBuffer::with_capacity(1 << 20);
        for _ in 0..ROOMY >> 20 {
            assert!(large.keeps(1, 1 << 20));
            large.add_left(&rx);
        }
        assert!(!large.keeps(1, 1 << 20), "all the room is used up");
        assert!(large.keeps(400_000, 1 << 20), "it is not roomy");
        large.remove_left(&rx);
        assert!(large.keeps(1, 1 << 20));
    }

    #[test]
    fn storage_of_a_message_that_was_sent_on_is_given_back_after_a_second() {
        let (mut large, now) = (Large::default(), Instant::now());
        let held: Vec<_> = (0..40)
            .map(|_| {
                let mut rx = received(1 << 20, 1 << 20);
                let message = large.begin(&mut rx, Kind::Binary, now).expect("taken");
                let queued = large.same(Kind::Binary, &message).expect("sent on by reference");
                large.end();
                queued
            })
            .collect();
        drop(held);
        assert_eq!((large.bytes, large.next()), (40 << 20, Some(now + KEEP)));
        large.release(now + KEEP);
        assert_eq!((large.bytes, large.lent.len(), large.next()), (0, 0, None));
    }

    #[test]
    fn a_part_does_not_hold_storage_of_more_than_twice_its_size() {
        let (mut large, now) = (Large::default(), Instant::now());
        let mut rx = received(1 << 20, 1 << 20);
        let message = large.begin(&mut rx, Kind::Binary, now).expect("taken");
        assert!(large.same(Kind::Binary, &message[1 << 19..]).is_some());
        assert!(large.same(Kind::Binary, &message[..LARGE]).is_none(), "1 MiB would wait for 64 KiB");
    }

    #[test]
    fn the_loops_own_buffer_is_not_a_large_one() {
        let (mut large, now) = (Large::default(), Instant::now());
        for _ in 0..2 {
            large.give(vec![0; 8 << 20], now);
        }
        assert_eq!(
            large.buffer(READ, now).capacity(),
            READ,
            "or it is exchanged in each turn, and nothing ever given back"
        );
        let mut rx = received(READ, READ);
        assert!(large.begin(&mut rx, Kind::Binary, now).is_some());
        assert_eq!(rx.capacity(), READ);
        assert!(large.take(2 * READ, now).is_some(), "for a message that grows it will do");
    }
}
