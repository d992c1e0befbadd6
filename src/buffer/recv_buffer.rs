//! The linear receive buffer: `[message so far | gap | unread | free]`.
//!
//! A payload is unmasked where it lies. The first fragment of a message becomes the message without a move; a
//! later one is moved down over its own header, so a message is always contiguous. The gap holds what was read
//! between the fragments: headers and control frames.
//!
//! A message that is inflated as it arrives lies in a region of its own, `[message so far | free]`: what it is made of
//! is read here and written there, and takes no room once it is read.

use std::ops::Range;
#[cfg(feature = "deflate")]
use std::ops::RangeInclusive;

use bytes::Bytes;

/// The smallest storage that is ever allocated.
const SMALLEST: usize = 256;

/// Received bytes: the message that is being assembled, and what has not been read yet.
///
/// The caller owns it and lends it to a handshake or a connection, one connection at a time. Its storage grows
/// with the bytes *received*, at most to about three times what it holds, never with a length that a peer
/// declares. It is the same buffer before and after the opening handshake, so bytes that came right behind a
/// request are simply there.
///
/// ```
/// use wireroom::RecvBuffer;
///
/// let mut rx = RecvBuffer::new();
/// rx.space(5)[..5].copy_from_slice(b"hello"); // a socket's `read` goes here
/// rx.filled(5);
/// assert_eq!(rx.unread(), b"hello");
/// ```
#[derive(Debug, Default)]
pub struct RecvBuffer {
    /// Initialised up to its length; everything below is an offset into it.
    storage: Vec<u8>,
    /// The message so far: in the storage, or in `inflated`.
    message: Range<usize>,
    /// How many leading bytes of the message have been handed out; they go when the buffer is used next.
    delivered: usize,
    unread: Range<usize>,
    /// Bytes that came in since [`RecvBuffer::take_arrived`] was last asked.
    arrived: usize,
    /// The region of inflated messages, initialised up to its length.
    inflated: Vec<u8>,
    /// The message lies there.
    is_inflated: bool,
}

impl RecvBuffer {
    /// An empty buffer without storage.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with `capacity` bytes of storage.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { storage: vec![0; capacity], ..Self::default() }
    }

    /// The free room behind the unread bytes, at least `at_least` bytes: read into it, then call
    /// [`RecvBuffer::filled`]. What an event has borrowed is released first.
    #[inline]
    pub fn space(&mut self, at_least: usize) -> &mut [u8] {
        self.release();
        if self.is_empty() {
            self.clear();
        }
        if self.storage.len() - self.unread.end < at_least {
            self.make_room(at_least);
        }
        &mut self.storage[self.unread.end..]
    }

    /// The first `n` bytes of the space were written. More than there is room for counts as all of it.
    #[inline]
    pub fn filled(&mut self, n: usize) {
        self.unread.end = self.storage.len().min(self.unread.end.saturating_add(n));
        self.arrived = self.arrived.saturating_add(n);
    }

    /// Copies `bytes` behind the unread ones.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// The bytes that nothing has read yet.
    #[inline]
    pub fn unread(&self) -> &[u8] {
        &self.storage[self.unread.clone()]
    }

    /// Marks the first `n` unread bytes as read. More than there are counts as all of them.
    pub fn consume(&mut self, n: usize) {
        self.unread.start = self.unread.end.min(self.unread.start.saturating_add(n));
    }

    /// True when the buffer holds neither unread bytes nor a part of a message.
    pub fn is_empty(&self) -> bool {
        self.unread.is_empty() && self.message.len() == self.delivered
    }

    /// Bytes held: the message so far and what is unread.
    pub fn len(&self) -> usize {
        self.unread.len() + self.message.len() - self.delivered
    }

    /// Size of the storage in bytes, that of inflated messages included.
    pub fn capacity(&self) -> usize {
        self.storage.len() + self.inflated.len()
    }

    /// Forgets everything and keeps the storage.
    pub fn clear(&mut self) {
        self.message = 0..0;
        self.unread = 0..0;
        self.delivered = 0;
        self.is_inflated = false;
    }

    /// The message that the last event delivered, taken out without a copy when it is large: its storage goes
    /// with it, and what was unread moves to new storage. A message below 16 KiB is copied instead.
    /// `None` when there is none (or it was taken already).
    ///
    /// ```
    /// # use std::{sync::Arc, time::Instant};
    /// # use wireroom::{handshake::Accepted, Config, Connection, Event, RecvBuffer};
    /// # let mut rx = RecvBuffer::new();
    /// # let accepted = Accepted::upgraded_elsewhere(None, Default::default());
    /// # let mut connection = Connection::server(accepted, Arc::new(Config::default()), Instant::now());
    /// # rx.extend(&[0x82, 0x81, 0, 0, 0, 0, b'!']);
    /// while let Some(event) = connection.poll_event(&mut rx, Instant::now()) {
    ///     if let Event::Message(_) = event {
    ///         let payload: bytes::Bytes = rx.take_message().unwrap();
    ///         assert_eq!(payload, "!");
    ///     }
    /// }
    /// ```
    pub fn take_message(&mut self) -> Option<Bytes> {
        const COPY_BELOW: usize = 16 * 1024;
        if self.delivered == 0 {
            return None;
        }
        let taken = self.message.start..self.message.start + self.delivered;
        // Nor does a small part of the region take all of it along, which an earlier message may have made large.
        if taken.len() < COPY_BELOW || (self.is_inflated && taken.len() < self.inflated.len() / 4) {
            let copy = Bytes::copy_from_slice(self.delivered());
            self.release();
            return Some(copy);
        }
        if self.is_inflated {
            let rest = self.message().to_vec();
            (self.message, self.delivered) = (0..rest.len(), 0);
            let storage = Bytes::from(std::mem::replace(&mut self.inflated, rest));
            self.release();
            return Some(storage.slice(taken));
        }
        self.release();
        let rest = self.right_sized();
        let storage = Bytes::from(std::mem::take(&mut self.storage));
        self.storage = rest.storage;
        self.message = rest.message;
        self.unread = rest.unread;
        Some(storage.slice(taken))
    }

    /// An empty buffer in `storage`, which is initialised up to its length.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn with_storage(storage: Vec<u8>) -> Self {
        Self { storage, ..Self::default() }
    }

    /// The storage of a buffer whose content is not needed any more.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn into_storage(self) -> Vec<u8> {
        self.storage
    }

    /// To what size the storage would have to grow for a space of `at_least` bytes, if it would.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn growth(&self, at_least: usize) -> Option<usize> {
        if self.storage.len() - self.unread.end >= at_least {
            return None;
        }
        let used = if self.is_inflated { 0 } else { self.message.len() - self.delivered } + self.unread.len();
        Self::needed(used, at_least).filter(|needed| *needed > self.storage.len())
    }

    /// Moves what is held to other `storage`, which is large enough, and answers the old one.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn move_to(&mut self, mut storage: Vec<u8>) -> Vec<u8> {
        self.release();
        let front = if self.is_inflated { 0..0 } else { self.message.clone() };
        let (length, end) = (front.len(), front.len() + self.unread.len());
        storage[..length].copy_from_slice(&self.storage[front]);
        storage[length..end].copy_from_slice(&self.storage[self.unread.clone()]);
        if !self.is_inflated {
            self.message = 0..length;
        }
        self.unread = length..end;
        std::mem::replace(&mut self.storage, storage)
    }

    /// Does the message that was delivered fill half of the storage, which it would take along?
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn fills_its_storage(&self) -> bool {
        // An inflated message lies in a region of its own.
        !self.is_inflated && self.delivered > 0 && self.delivered >= self.storage.len() / 2
    }

    /// The storage, and where in it the message lies that was delivered; what else was held moves to the `replacement`.
    /// Gives that back when what else is held does not fit.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn take_storage(&mut self, replacement: Vec<u8>) -> Result<(Bytes, Range<usize>), Vec<u8>> {
        if self.len() > replacement.len() {
            return Err(replacement);
        }
        let taken = self.message.start..self.message.start + self.delivered;
        Ok((self.move_to(replacement).into(), taken))
    }

    /// What is held, in storage of just its size; this buffer is as it was.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn right_sized(&self) -> Self {
        let (message, unread, arrived) = (self.message(), self.unread(), self.arrived);
        let length = message.len();
        if self.is_inflated {
            let (inflated, storage) = (message.to_vec(), unread.to_vec());
            let unread = 0..storage.len();
            return Self { storage, message: 0..length, delivered: 0, unread, arrived, inflated, is_inflated: true };
        }
        let mut storage = Vec::with_capacity(self.len());
        storage.extend_from_slice(message);
        storage.extend_from_slice(unread);
        let unread = length..storage.len();
        Self { storage, message: 0..length, unread, arrived, ..Self::default() }
    }

    /// Copies what `other` holds into this buffer, which must be empty.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn restore(&mut self, other: &Self) {
        debug_assert!(self.is_empty());
        let message = other.message();
        let length = message.len();
        let start = if other.is_inflated {
            self.inflated.resize(self.inflated.len().max(length), 0);
            self.inflated[..length].copy_from_slice(message);
            0
        } else {
            self.space(other.len())[..length].copy_from_slice(message);
            length
        };
        self.space(start + other.unread.len())[start..start + other.unread.len()].copy_from_slice(other.unread());
        self.message = 0..length;
        self.unread = start..start + other.unread.len();
        self.arrived = other.arrived;
        self.is_inflated = other.is_inflated;
    }

    /// Bytes that came in since this was last asked, of those that are held. (The keepalive timer wants to know.)
    #[inline]
    pub(crate) fn take_arrived(&mut self) -> usize {
        match std::mem::take(&mut self.arrived) {
            0 => 0,
            arrived => arrived.min(self.len()),
        }
    }

    #[inline]
    pub(crate) fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.unread.clone()]
    }

    /// Reads `n` bytes and says where they lie, for [`RecvBuffer::slice`] until the buffer is used again.
    pub(crate) fn locate(&mut self, n: usize) -> Range<usize> {
        let start = self.unread.start;
        self.consume(n);
        start..self.unread.start
    }

    pub(crate) fn slice(&self, located: Range<usize>) -> &[u8] {
        self.storage.get(located).unwrap_or_default()
    }

    /// The unread bytes behind the first `skipped` are a whole message of `n` bytes, and handed out: nothing else may be held
    /// of one.
    #[inline]
    pub(crate) fn deliver_whole(&mut self, skipped: usize, n: usize) {
        let start = self.unread.start + skipped;
        self.unread.start = start + n;
        self.message = start..start + n;
        self.delivered = n;
    }

    /// Moves the first `n` unread bytes to the end of the message. Only a fragment behind a gap costs a move.
    pub(crate) fn append_to_message(&mut self, n: usize) {
        let from = self.locate(n);
        if self.message.is_empty() {
            self.message = from;
            self.is_inflated = false;
        } else if self.message.end == from.start {
            self.message.end = from.end;
        } else {
            let n = from.len();
            self.storage.copy_within(from, self.message.end);
            self.message.end += n;
        }
    }

    /// Lets `inflate` read the first `n` unread bytes and write to the end of the message, where there is room for `room`
    /// bytes at least, and at most. It answers how many it read and wrote, and more if it likes. The region grows with what
    /// was written to it, by doubling, and never for more than the most.
    #[cfg(feature = "deflate")]
    pub(crate) fn inflate<R>(
        &mut self,
        n: usize,
        room: RangeInclusive<usize>,
        inflate: impl FnOnce(&[u8], &mut [u8]) -> (usize, usize, R),
    ) -> R {
        let (least, most) = room.into_inner();
        if self.message.is_empty() {
            self.message = 0..0;
            self.is_inflated = true;
        }
        if self.inflated.len() - self.message.end < most.min(least) {
            self.inflated.copy_within(self.message.clone(), 0);
            self.message = 0..self.message.len();
            let needed = self.message.end.saturating_add(most);
            if self.inflated.len() < needed.min(self.message.end + least) {
                let more = (self.inflated.len() * 2).max(self.message.end + least).min(needed);
                self.inflated.reserve_exact(more - self.inflated.len());
                self.inflated.resize(more, 0);
            }
        }
        let end = self.inflated.len().min(self.message.end.saturating_add(most));
        let unread = self.unread.start..self.unread.end.min(self.unread.start.saturating_add(n));
        let (read, written, more) = inflate(&self.storage[unread], &mut self.inflated[self.message.end..end]);
        self.consume(read.min(n));
        self.message.end = end.min(self.message.end + written);
        more
    }

    /// The message so far, without what was delivered of it.
    pub(crate) fn message(&self) -> &[u8] {
        &self.region()[self.message.start + self.delivered..self.message.end]
    }

    /// Where the message lies.
    #[inline]
    fn region(&self) -> &[u8] {
        if self.is_inflated { &self.inflated } else { &self.storage }
    }

    /// The first `n` bytes of the message are handed out now and go when the buffer is used next.
    pub(crate) fn deliver(&mut self, n: usize) {
        self.delivered = n.min(self.message.len());
    }

    #[inline]
    pub(crate) fn delivered(&self) -> &[u8] {
        &self.region()[self.message.start..self.message.start + self.delivered]
    }

    /// Drops what was handed out.
    #[inline]
    pub(crate) fn release(&mut self) {
        self.message.start += std::mem::take(&mut self.delivered);
        if self.message.is_empty() {
            self.message = self.unread.start..self.unread.start;
            self.is_inflated = false;
        }
    }

    /// Closes **both** gaps: shifting only the front would let pings inside a message that never ends grow the
    /// buffer. A buffer more than two thirds full grows, so that each byte is moved a bounded number of times.
    fn make_room(&mut self, at_least: usize) {
        let front = if self.is_inflated { 0..0 } else { self.message.clone() };
        self.storage.copy_within(front.clone(), 0);
        if !self.is_inflated {
            self.message = 0..front.len();
        }
        self.storage.copy_within(self.unread.clone(), front.len());
        self.unread = front.len()..front.len() + self.unread.len();
        if let Some(needed) = Self::needed(self.unread.end, at_least).filter(|needed| *needed > self.storage.len()) {
            self.storage.resize(needed, 0);
        }
    }

    /// The least storage that a buffer which holds `used` bytes goes on with.
    fn needed(used: usize, at_least: usize) -> Option<usize> {
        let needed = used.saturating_add(at_least.max(used / 2));
        needed.max(SMALLEST).checked_next_multiple_of(SMALLEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_inside_a_message_that_never_ends_do_not_grow_the_buffer() {
        let mut rx = RecvBuffer::new();
        rx.extend(b"start");
        rx.append_to_message(5);
        for _ in 0..100_000 {
            rx.extend(&[b'p'; 131]);
            rx.consume(131);
        }
        assert_eq!(rx.message(), b"start");
        assert!(rx.capacity() <= 512, "{} bytes of storage for a message of 5", rx.capacity());
    }

    #[test]
    fn fragments_join_over_their_headers() {
        let mut rx = RecvBuffer::new();
        rx.extend(b"HHabcHHdefHHghi");
        for _ in 0..3 {
            rx.consume(2);
            rx.append_to_message(3);
        }
        assert_eq!(rx.message(), b"abcdefghi");
        rx.deliver(9);
        assert_eq!(rx.delivered(), b"abcdefghi");
        rx.release();
        assert!(rx.is_empty());
    }

    #[test]
    fn growth_is_amortised_and_keeps_the_bytes() {
        let mut rx = RecvBuffer::new();
        let mut sent = Vec::new();
        for i in 0..10_000u32 {
            let bytes = i.to_be_bytes();
            rx.extend(&bytes);
            sent.extend_from_slice(&bytes);
            if i % 3 == 0 {
                rx.append_to_message(rx.unread().len());
            }
        }
        let mut held = rx.message().to_vec();
        held.extend_from_slice(rx.unread());
        assert_eq!(held, sent);
        assert!(rx.capacity() <= 3 * sent.len());
    }

    #[test]
    fn a_large_message_is_taken_without_a_copy() {
        let mut rx = RecvBuffer::new();
        rx.extend(&[7; 40_000]);
        rx.extend(b"next");
        rx.append_to_message(40_000);
        rx.deliver(40_000);
        let address = rx.delivered().as_ptr();
        let taken = rx.take_message().unwrap();
        assert_eq!(taken.as_ptr(), address);
        assert_eq!(taken.len(), 40_000);
        assert_eq!(rx.unread(), b"next");
        assert!(rx.take_message().is_none());
    }

    #[test]
    fn what_is_left_fits_a_buffer_of_its_size() {
        let mut rx = RecvBuffer::with_capacity(65_536);
        rx.extend(b"messagegap..unread");
        rx.append_to_message(7);
        rx.consume(5);
        let small = rx.right_sized();
        assert_eq!(small.capacity(), 13);
        let mut back = RecvBuffer::new();
        back.restore(&small);
        assert_eq!((back.message(), back.unread()), (&b"message"[..], &b"unread"[..]));
    }
}
