//! What waits to be written: runs of lent storage, and payloads queued by reference.
//!
//! Small units (frames, to the floors above) are appended to one run of storage, so a batch of them leaves in one
//! write. A large or shared payload is a run of its own. One run sits inline: a connection with one queued
//! broadcast has allocated nothing. Each run begins and ends at the boundary of a unit.

mod leaving;

use std::collections::VecDeque;

use bytes::Bytes;

use super::run::Run;

/// A run of storage is closed once it holds this much.
const RUN: usize = 64 * 1024;
/// Storage above this size is not kept for the next use. Twice a run: a unit of 64 KiB with its head fits, and so does a run that has grown by doubling.
pub(super) const KEEP: usize = 2 * RUN;
/// Most bytes of a head that stands before a shared payload: a frame header.
pub(crate) const MAX_HEAD: usize = 14;
/// So many urgent units wait at most; then the latest takes the place of the last.
const MAX_URGENT: usize = 8;

/// The bytes that a connection wants to send, as a [`Buf`](bytes::Buf): write what
/// [`chunks_vectored`](bytes::Buf::chunks_vectored) gives, then [`advance`](bytes::Buf::advance) by what the transport took.
#[derive(Debug, Default)]
pub struct SendQueue {
    /// Bytes that wait, here and in `rest`.
    len: usize,
    front: Run,
    /// Boxed, for it is rare: an idle connection pays for a pointer.
    rest: Option<Box<Rest>>,
    /// Counts, modulo 2^32, the bytes that the transport took: a sign of life of a peer that is not read from.
    taken: u32,
    blocked: bool,
    /// Bytes that were taken from here are still on their way to the transport.
    #[cfg(feature = "tls")]
    held: bool,
}

/// Every connection has one.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<SendQueue>() <= 72);

/// The runs behind the first, and what overtakes.
#[derive(Debug, Default)]
struct Rest {
    runs: VecDeque<Run>,
    /// The counted units in them.
    counted: usize,
    urgent: Option<Urgent>,
}

/// The figures of the guide.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Run>() <= 48 && size_of::<Rest>() <= 104);

/// Units that overtake: they leave `after` more bytes of the queue.
#[derive(Debug, Default)]
struct Urgent {
    after: usize,
    bytes: Vec<u8>,
    sent: usize,
    units: usize,
    last: usize,
    last_coalesces: bool,
}

impl SendQueue {
    /// An empty queue without storage.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes that wait, those that overtake included.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        #[cfg(feature = "tls")]
        if self.held {
            return false;
        }
        self.len == 0
    }

    /// Whether what was taken from here has reached the transport: until it has, the queue does not count as empty.
    #[cfg(feature = "tls")]
    pub(crate) fn hold(&mut self, held: bool) {
        self.held = held;
        self.blocked = !self.is_empty();
    }

    /// The same, for somebody who knows nothing of that.
    #[cfg(feature = "tls")]
    pub(crate) fn released(mut self) -> Self {
        self.hold(false);
        self
    }

    /// True from a write that was not taken whole until the queue is empty again.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Copies `bytes`, a whole number of units, to the end.
    pub fn append(&mut self, bytes: &[u8]) {
        self.append_with(bytes.len(), |storage| storage.extend_from_slice(bytes));
    }

    /// Lets `write` append a whole number of units, of about `additional` bytes, to the storage.
    pub fn append_with(&mut self, additional: usize, write: impl FnOnce(&mut Vec<u8>)) {
        if !self.last_run_takes(additional) {
            self.push(Run::lent(Vec::with_capacity(additional.max(256))));
        }
        let last = self.rest.as_mut().and_then(|rest| rest.runs.back_mut()).unwrap_or(&mut self.front);
        if let Run::Lent { storage, .. } = last {
            let before = storage.len();
            // A little more, so that the answers to Pings behind a large message share its run.
            storage.reserve(additional + additional / 16);
            write(storage);
            self.len += storage.len().saturating_sub(before);
        }
    }

    /// Queues and counts one unit, copied, if the only run has room for it: most small units do, and cost no more than
    /// their bytes. False: nothing was queued.
    #[inline]
    pub(crate) fn append_to_front<const N: usize>(&mut self, head: [u8; N], payload: &[u8]) -> bool {
        let Run::Lent { storage, counted, .. } = &mut self.front else { return false };
        let length = N + payload.len();
        if self.rest.is_some() || storage.capacity() - storage.len() < length {
            return false;
        }
        storage.extend_from_slice(&head);
        storage.extend_from_slice(payload);
        *counted += 1;
        self.len += length;
        true
    }

    /// Queues one unit: `head` (at most 14 bytes, copied) and `payload` by reference.
    #[inline]
    pub fn append_shared(&mut self, head: &[u8], payload: Bytes) {
        let run = Run::shared(head, payload);
        self.len += run.remaining();
        self.push(run);
    }

    /// Queues and counts a shared unit: copied into storage that is there already if it is small, by reference otherwise.
    #[inline]
    pub(crate) fn append_unit(&mut self, unit: &Bytes) {
        const COPY_BELOW: usize = 4 * 1024;
        /// Once so much waits, what costs more than a run of its own is shared: copies for many recipients add up.
        const COPY_UP_TO: usize = 4 * 1024;
        let copied = self.len < COPY_UP_TO || unit.len() <= 4 * size_of::<Run>();
        if !self.wants_storage() && unit.len() < COPY_BELOW && copied {
            self.append(unit);
            self.count_last();
        } else {
            self.append_shared(&[], unit.clone());
        }
    }

    /// Queues one unit ahead of all that has not been started. `length_of` tells a unit's length from its first
    /// bytes. Once more than a few wait, a unit that `coalesces` takes the place of the last one, if that does too and
    /// has not been started.
    pub(crate) fn overtake(&mut self, unit: &[u8], coalesces: bool, length_of: fn(&[u8]) -> usize) {
        let urgent = self.rest.get_or_insert_default().urgent.get_or_insert_with(|| {
            let after = self.front.started_remains(length_of);
            Urgent { after, ..Urgent::default() }
        });
        let replaces = coalesces && urgent.last_coalesces && urgent.units >= MAX_URGENT;
        if replaces && urgent.last >= urgent.sent {
            self.len -= urgent.bytes.len() - urgent.last;
            urgent.bytes.truncate(urgent.last);
            urgent.units -= 1;
        }
        urgent.last = urgent.bytes.len();
        urgent.last_coalesces = coalesces;
        urgent.units += 1;
        urgent.bytes.extend_from_slice(unit);
        self.len += unit.len();
    }

    /// All that waits now is one unit: bytes without the boundaries that `overtake` looks for.
    pub(crate) fn seal(&mut self) {
        if let Run::Lent { storage, base, .. } = &mut self.front {
            *base = u32::try_from(storage.len()).unwrap_or(u32::MAX);
        }
    }

    /// Counts the unit that was appended last, until all its bytes have left. One that is queued by reference is counted
    /// without it.
    #[inline]
    pub(crate) fn count_last(&mut self) {
        match &mut self.rest {
            None => self.front.count_last(),
            Some(rest) => rest.count_last(&mut self.front),
        }
    }

    /// At least as many as there are counted units that wait: what has left of a run is forgotten with the run, or by
    /// [`SendQueue::forget_sent`].
    #[inline]
    pub(crate) fn counted_at_most(&self) -> usize {
        self.front.counted() + self.rest.as_ref().map_or(0, |rest| rest.counted)
    }

    /// Counted units that wait. `counts` knows them by how they begin.
    pub(crate) fn counted(&self, length_of: fn(&[u8]) -> usize, counts: fn(&[u8]) -> bool) -> usize {
        self.counted_at_most().saturating_sub(self.front.sent_units(length_of, counts).0)
    }

    /// From here on no unit that has left is looked at again to tell what [`SendQueue::counted`] is.
    pub(crate) fn forget_sent(&mut self, length_of: fn(&[u8]) -> usize, counts: fn(&[u8]) -> bool) {
        self.front.forget_sent(length_of, counts);
    }

    /// All that waits, if it lies in one piece, as most of it does.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    #[inline]
    pub(crate) fn only_chunk(&self) -> Option<&[u8]> {
        if self.rest.is_some() { None } else { self.front.only_slice() }
    }

    /// A number that changes when the transport takes bytes.
    #[inline]
    pub(crate) fn progress(&self) -> u32 {
        self.taken
    }

    /// Does the queue lack storage for small units?
    #[inline]
    pub(crate) fn wants_storage(&self) -> bool {
        self.len == 0 && matches!(&self.front, Run::Lent { storage, .. } if storage.capacity() == 0)
    }

    /// Lends storage for small units to a queue that lacks it.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    #[inline]
    pub(crate) fn lend(&mut self, mut storage: Vec<u8>) {
        if self.wants_storage() {
            storage.clear();
            self.front = Run::lent(storage);
        }
    }

    /// An empty queue gives all its storage back and owns nothing any more.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn reclaim(&mut self) -> Option<Vec<u8>> {
        if self.len > 0 {
            return None;
        }
        self.rest = None;
        match std::mem::take(&mut self.front) {
            Run::Lent { storage, .. } if storage.capacity() > 0 => Some(storage),
            _ => None,
        }
    }

    /// Forgets everything that waits.
    pub(crate) fn clear(&mut self) {
        *self = Self { taken: self.taken, ..Self::default() };
    }

    fn last_run_takes(&self, additional: usize) -> bool {
        let last = self.rest.as_ref().and_then(|rest| rest.runs.back()).unwrap_or(&self.front);
        match last {
            Run::Lent { storage, .. } => {
                storage.is_empty() || storage.len() + additional <= RUN.max(storage.capacity())
            }
            Run::Shared { .. } => false,
        }
    }

    #[inline]
    fn push(&mut self, run: Run) {
        let waits = self.rest.as_ref().is_some_and(|rest| !rest.runs.is_empty());
        if self.front.remaining() == 0 && !waits {
            self.front = run;
        } else {
            let rest = self.rest.get_or_insert_default();
            rest.counted += run.counted();
            rest.runs.push_back(run);
        }
    }

    fn urgent(&self) -> Option<&Urgent> {
        self.rest.as_ref()?.urgent.as_ref()
    }
}

impl Rest {
    fn count_last(&mut self, front: &mut Run) {
        match self.runs.back_mut() {
            None => front.count_last(),
            Some(last) => {
                last.count_last();
                self.counted += 1;
            }
        }
    }

    fn pop_front(&mut self) -> Option<Run> {
        let run = self.runs.pop_front()?;
        self.counted -= run.counted();
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use bytes::Buf;

    use super::*;

    /// Units of this test: the first byte is the unit's length.
    fn length_of(unit: &[u8]) -> usize {
        unit[0] as usize
    }

    fn drain(queue: &mut SendQueue, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while queue.has_remaining() {
            let mut slices = [IoSlice::new(&[]); 4];
            let count = queue.chunks_vectored(&mut slices);
            let all: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
            assert!(all.starts_with(queue.chunk()) && !queue.chunk().is_empty());
            let n = all.len().min(step);
            out.extend_from_slice(&all[..n]);
            queue.advance(n);
        }
        out
    }

    #[test]
    fn small_units_share_a_run_and_large_ones_are_not_copied() {
        for step in [1, 3, 1000] {
            let mut queue = SendQueue::new();
            queue.append(b"abc");
            queue.append(b"def");
            queue.append_shared(b"HH", Bytes::from_static(b"payload"));
            queue.append(b"ghi");
            assert_eq!(queue.len(), 18);
            assert_eq!(drain(&mut queue, step), b"abcdefHHpayloadghi");
            assert!(queue.is_empty() && !queue.is_blocked());
        }
    }

    #[test]
    fn one_shared_unit_sits_inline() {
        let mut queue = SendQueue::new();
        queue.append_unit(&Bytes::from(vec![1; 100]));
        assert!(queue.rest.is_none());
        assert_eq!(drain(&mut queue, 7).len(), 100);
    }

    #[test]
    fn small_shared_units_cost_their_bytes_and_no_run_each() {
        let mut queue = SendQueue::new();
        let unit = Bytes::from_static(b"\x03ab");
        for _ in 0..10_000 {
            queue.append_unit(&unit);
        }
        assert_eq!(queue.len(), 30_000);
        assert_eq!(queue.rest.as_ref().map_or(0, |rest| rest.runs.len()), 1);
        assert_eq!(drain(&mut queue, 999), b"\x03ab".repeat(10_000));
    }

    #[test]
    fn urgent_units_leave_at_the_boundary_of_the_started_unit() {
        for sent in 0..=12 {
            let mut queue = SendQueue::new();
            queue.append(b"\x03ab\x04cde\x05fghi");
            queue.advance(sent);
            queue.overtake(b"\x02!", true, length_of);
            queue.overtake(b"\x02?", true, length_of);
            let out = drain(&mut queue, 2);
            let boundary = [0, 3, 7, 12].into_iter().find(|at| *at >= sent).unwrap();
            let mut expected = b"\x03ab\x04cde\x05fghi".to_vec();
            expected.splice(boundary..boundary, *b"\x02!\x02?");
            assert_eq!(out, expected[sent..], "after {sent} bytes");
        }
    }

    #[test]
    fn urgent_units_do_not_cut_a_shared_payload_or_a_sealed_head() {
        let mut queue = SendQueue::new();
        queue.append_shared(b"HH", Bytes::from_static(b"payload"));
        queue.advance(1);
        queue.overtake(b"\x02!", true, length_of);
        assert_eq!(drain(&mut queue, 3), b"Hpayload\x02!");

        queue.append(b"HTTP/1.1");
        queue.seal();
        queue.append(b"\x02a");
        queue.advance(3);
        queue.overtake(b"\x02!", true, length_of);
        assert_eq!(drain(&mut queue, 3), b"P/1.1\x02!\x02a");

        queue.append(b"HTTP/1.1");
        queue.seal();
        queue.advance(0);
        queue.overtake(b"\x02!", true, length_of);
        assert_eq!(drain(&mut queue, 3), b"HTTP/1.1\x02!");
    }

    #[test]
    fn more_than_a_few_urgent_units_coalesce_to_the_latest() {
        let mut queue = SendQueue::new();
        queue.append(b"\x03ab");
        queue.advance(1);
        for i in 0..100_000u32 {
            queue.overtake(&[2, i as u8], true, length_of);
        }
        assert_eq!(queue.len(), 2 + 2 * MAX_URGENT);
        assert!(drain(&mut queue, 5).ends_with(&[2, (99_999u32) as u8]));
    }

    #[test]
    fn storage_is_lent_and_reclaimed() {
        let mut queue = SendQueue::new();
        assert!(queue.wants_storage());
        queue.lend(Vec::with_capacity(4096));
        queue.append(b"abc");
        assert!(queue.reclaim().is_none());
        assert_eq!(drain(&mut queue, 10), b"abc");
        assert_eq!(queue.reclaim().map(|storage| storage.capacity()), Some(4096));
        assert!(queue.wants_storage());
    }
}
