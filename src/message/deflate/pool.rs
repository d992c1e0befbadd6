//! Contexts that wait for their next message.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{deflation::Compressor, inflation::Inflater};

/// Compressors kept by default: 1.5 MiB at most.
const COMPRESSORS: usize = 4;
/// Decompressors kept by default: 750 KiB.
const DECOMPRESSORS: usize = 16;

/// Compression contexts that connections share: one takes a context for a message and puts it back behind it, where the
/// window is not kept from message to message. So ten thousand connections need no more contexts than messages are under
/// way at once.
///
/// An event loop has one of its own. With a loop of your own, make one for each thread, and give it to each
/// [`Connection`](crate::Connection) by `set_deflate_pool`. A clone is the same pool. At most 4 compressors and 16
/// decompressors are kept, of about 380 and 47 KiB; those above are freed.
#[derive(Clone, Default)]
pub struct DeflatePool(Arc<Mutex<Spare>>);

#[derive(Default)]
#[allow(clippy::vec_box)] // they go in and out by pointer
struct Spare {
    compressors: Vec<Box<Compressor>>,
    inflaters: Vec<Box<Inflater>>,
}

impl DeflatePool {
    /// An empty pool.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn take_compressor(&self, bits: u8, level: u8) -> Option<Box<Compressor>> {
        let mut spare = self.spare();
        let at = spare.compressors.iter().rposition(|compressor| compressor.fits(bits, level))?;
        Some(spare.compressors.remove(at))
    }

    pub(super) fn put_compressor(&self, compressor: Box<Compressor>) {
        let mut spare = self.spare();
        // The oldest goes: it may be of a kind that nobody asks for any more.
        let oldest = (spare.compressors.len() == COMPRESSORS).then(|| spare.compressors.remove(0));
        spare.compressors.push(compressor);
        drop(spare);
        drop(oldest);
    }

    pub(super) fn take_inflater(&self) -> Option<Box<Inflater>> {
        self.spare().inflaters.pop()
    }

    pub(super) fn put_inflater(&self, inflater: Box<Inflater>) {
        let mut spare = self.spare();
        if spare.inflaters.len() < DECOMPRESSORS {
            spare.inflaters.push(inflater);
        }
    }

    /// Contexts are whole whatever became of a thread that held the lock.
    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for DeflatePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spare = self.spare();
        f.debug_struct("DeflatePool")
            .field("compressors", &spare.compressors.len())
            .field("decompressors", &spare.inflaters.len())
            .finish()
    }
}
