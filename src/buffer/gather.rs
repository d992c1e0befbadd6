//! What a queue holds, in the order in which it leaves.

use std::io::IoSlice;

/// Collects slices of the runs, the urgent bytes in their place.
pub(super) struct Gather<'s, 'd> {
    pub(super) slices: &'d mut [IoSlice<'s>],
    pub(super) count: usize,
    /// Bytes to go before the urgent ones, and those.
    pub(super) urgent: Option<(usize, &'s [u8])>,
}

impl<'s> Gather<'s, '_> {
    pub(super) fn put(&mut self, bytes: &'s [u8]) {
        if !bytes.is_empty() && self.count < self.slices.len() {
            self.slices[self.count] = IoSlice::new(bytes);
            self.count += 1;
        }
    }

    pub(super) fn put_run(&mut self, bytes: &'s [u8]) {
        match self.urgent {
            Some((after, urgent)) if after < bytes.len() => {
                self.urgent = None;
                let (before, behind) = bytes.split_at(after);
                self.put(before);
                self.put(urgent);
                self.put(behind);
            }
            Some((after, urgent)) => {
                self.urgent = Some((after - bytes.len(), urgent));
                self.put(bytes);
            }
            None => self.put(bytes),
        }
    }
}
