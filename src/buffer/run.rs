//! A run of the send queue: storage with many small units, or one unit by reference.

use bytes::{Buf, Bytes};

use super::send_queue::{KEEP, MAX_HEAD};

/// Begins and ends at the boundary of a unit. Counted are the units that the floor above wants to have counted.
#[derive(Debug)]
pub(super) enum Run {
    /// `base`: up to here the storage is one unit (an HTTP head), or has been looked at; there are no boundaries inside that
    /// matter.
    Lent { storage: Vec<u8>, sent: u32, base: u32, counted: u32 },
    /// One unit, which is counted.
    Shared { head: Head, payload: Bytes },
}

/// What stands before a shared payload. In 15 bytes, for every connection has a run.
#[derive(Debug)]
pub(super) struct Head {
    bytes: [u8; MAX_HEAD],
    /// The lower half: how many they are. The upper half: how many of them have left, or 1 where there are none and the
    /// payload has begun to leave.
    counts: u8,
}

impl Head {
    #[inline]
    fn new(head: &[u8]) -> Self {
        let head = &head[..head.len().min(MAX_HEAD)];
        let mut bytes = [0; MAX_HEAD];
        bytes[..head.len()].copy_from_slice(head);
        Self { bytes, counts: head.len() as u8 }
    }

    fn is_started(&self) -> bool {
        self.counts >> 4 > 0
    }

    #[inline]
    fn remaining(&self) -> usize {
        usize::from((self.counts & 0xF).saturating_sub(self.counts >> 4))
    }

    #[inline]
    fn unsent(&self) -> &[u8] {
        self.bytes[..usize::from(self.counts & 0xF)].get(usize::from(self.counts >> 4)..).unwrap_or_default()
    }

    /// `n` bytes of the unit have left. Answers how many of them are the head's.
    #[inline]
    fn advance(&mut self, n: usize) -> usize {
        let here = n.min(self.remaining());
        self.counts += (here as u8) << 4;
        if n > 0 && !self.is_started() {
            self.counts |= 1 << 4;
        }
        here
    }
}

impl Default for Run {
    fn default() -> Self {
        Run::lent(Vec::new())
    }
}

impl Run {
    #[inline]
    pub(super) fn lent(storage: Vec<u8>) -> Self {
        Run::Lent { storage, sent: 0, base: 0, counted: 0 }
    }

    #[inline]
    pub(super) fn shared(head: &[u8], payload: Bytes) -> Self {
        Run::Shared { head: Head::new(head), payload }
    }

    #[inline]
    pub(super) fn remaining(&self) -> usize {
        match self {
            Run::Lent { storage, sent, .. } => storage.len() - *sent as usize,
            Run::Shared { head, payload } => head.remaining() + payload.len(),
        }
    }

    #[inline]
    pub(super) fn advance(&mut self, n: usize) {
        match self {
            // A run is far below 4 GiB unless one unit is: then `sent` is counted by cutting the front off.
            Run::Lent { storage, sent, base, .. } => {
                let total = *sent as usize + n;
                match u32::try_from(total) {
                    Ok(total) => *sent = total,
                    Err(_) => {
                        storage.drain(..total);
                        (*sent, *base) = (0, u32::try_from(storage.len()).unwrap_or(u32::MAX));
                    }
                }
            }
            Run::Shared { head, payload } => payload.advance(n - head.advance(n)),
        }
    }

    /// Empty again; storage of a modest size stays for the next units.
    #[inline]
    pub(super) fn reset(&mut self) {
        match self {
            Run::Lent { storage, sent, base, counted } if storage.capacity() <= KEEP => {
                storage.clear();
                (*sent, *base, *counted) = (0, 0, 0);
            }
            _ => *self = Run::default(),
        }
    }

    /// Bytes until the end of the unit that has been started, 0 at a boundary.
    pub(super) fn started_remains(&self, length_of: fn(&[u8]) -> usize) -> usize {
        match self {
            Run::Lent { storage, sent, base, .. } => {
                let sent = *sent as usize;
                // An unsent sealed head is one unit too: nothing overtakes the response that opens the connection.
                let mut boundary = (*base as usize).min(storage.len());
                while boundary < sent {
                    boundary += length_of(&storage[boundary..]).max(1);
                }
                boundary.min(storage.len()) - sent
            }
            Run::Shared { head, .. } if head.is_started() => self.remaining(),
            Run::Shared { .. } => 0,
        }
    }

    /// The unit that was appended last is to be counted.
    #[inline]
    pub(super) fn count_last(&mut self) {
        if let Run::Lent { counted, .. } = self {
            *counted += 1;
        }
    }

    /// Counted units, those included that have left since [`Run::forget_sent`].
    #[inline]
    pub(super) fn counted(&self) -> usize {
        match self {
            Run::Lent { counted, .. } => *counted as usize,
            Run::Shared { .. } => 1,
        }
    }

    /// How many of the counted units have left, and where the next one begins.
    pub(super) fn sent_units(&self, length_of: fn(&[u8]) -> usize, counts: fn(&[u8]) -> bool) -> (usize, u32) {
        let Run::Lent { storage, sent, base, .. } = self else { return (0, 0) };
        let (mut units, mut boundary) = (0, *base);
        while boundary < *sent {
            let unit = &storage[boundary as usize..];
            let length = length_of(unit).max(1);
            if length > (*sent - boundary) as usize {
                break;
            }
            units += usize::from(counts(unit));
            boundary += length as u32;
        }
        (units, boundary)
    }

    /// Counts no longer what has left. Each unit is looked at once, however often this is called.
    pub(super) fn forget_sent(&mut self, length_of: fn(&[u8]) -> usize, counts: fn(&[u8]) -> bool) {
        let (units, boundary) = self.sent_units(length_of, counts);
        if let Run::Lent { base, counted, .. } = self {
            *base = boundary;
            *counted = counted.saturating_sub(units as u32);
        }
    }

    /// Its bytes, if they lie in one piece.
    #[inline]
    pub(super) fn only_slice(&self) -> Option<&[u8]> {
        match self {
            Run::Lent { storage, sent, .. } => storage.get(*sent as usize..),
            Run::Shared { head, payload } => (head.remaining() == 0).then_some(payload),
        }
    }

    /// Its bytes as at most two slices.
    #[inline]
    pub(super) fn slices(&self) -> [&[u8]; 2] {
        match self {
            Run::Lent { storage, sent, .. } => [&storage[*sent as usize..], &[]],
            Run::Shared { head, payload } => [head.unsent(), payload],
        }
    }
}
