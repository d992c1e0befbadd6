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
    Shared { head: [u8; MAX_HEAD], head_len: u8, head_sent: u8, started: bool, payload: Bytes },
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
        let head = &head[..head.len().min(MAX_HEAD)];
        let mut inline = [0; MAX_HEAD];
        inline[..head.len()].copy_from_slice(head);
        let head_len = head.len() as u8;
        Run::Shared { head: inline, head_len, head_sent: 0, started: false, payload }
    }

    #[inline]
    pub(super) fn remaining(&self) -> usize {
        match self {
            Run::Lent { storage, sent, .. } => storage.len() - *sent as usize,
            Run::Shared { head_len, head_sent, payload, .. } => (head_len - head_sent) as usize + payload.len(),
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
            Run::Shared { head_len, head_sent, started, payload, .. } => {
                *started |= n > 0;
                let of_head = n.min((*head_len - *head_sent) as usize);
                *head_sent += of_head as u8;
                payload.advance(n - of_head);
            }
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
            Run::Shared { started: true, .. } => self.remaining(),
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

    /// Its bytes as at most two slices.
    #[inline]
    pub(super) fn slices(&self) -> [&[u8]; 2] {
        match self {
            Run::Lent { storage, sent, .. } => [&storage[*sent as usize..], &[]],
            Run::Shared { head, head_len, head_sent, payload, .. } => {
                [&head[*head_sent as usize..*head_len as usize], payload]
            }
        }
    }
}
