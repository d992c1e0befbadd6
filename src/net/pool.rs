//! Storage for sending, lent to the connections that have something to say.

/// Bytes of it that are kept for the next ones.
const POOLED: usize = 128 * 1024;

#[derive(Debug, Default)]
pub(super) struct Pool {
    free: Vec<Vec<u8>>,
    /// Bytes in it.
    bytes: usize,
}

impl Pool {
    #[inline]
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let storage = self.free.pop()?;
        self.bytes -= storage.capacity();
        Some(storage)
    }

    /// Beyond the limit it goes back to the system.
    #[inline]
    pub(super) fn give(&mut self, storage: Vec<u8>) {
        if self.bytes + storage.capacity() <= POOLED {
            self.bytes += storage.capacity();
            self.free.push(storage);
        }
    }
}
