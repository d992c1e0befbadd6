//! Our direction: messages are compressed into the storage of the send queue.

use std::fmt;

use flate2::{Compress, CompressError, FlushCompress};

use super::{Compression, DeflatePool, TAIL};
use crate::frame::FrameHeader;

/// Room for the compressed form that is reserved at once, at most.
const ROOM: usize = 32 * 1024;

/// Which part of a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragment {
    /// All of it.
    Whole,
    /// A fragment that others follow.
    First,
    /// Neither the first nor the last.
    Middle,
    /// The end, behind its last bytes.
    End,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compressed {
    /// The compressed bytes were appended.
    Yes,
    /// Nothing was appended: as it is, it is shorter.
    No,
}

/// The compressor of one connection.
#[derive(Debug)]
pub(crate) struct Deflation {
    compressor: Option<Box<Compressor>>,
    bits: u8,
    level: u8,
    /// The window is kept from message to message.
    takeover: bool,
    threshold: usize,
    pool: Option<DeflatePool>,
    /// Since [`Deflation::release_if_idle`] was last asked.
    used: bool,
}

impl Deflation {
    pub(crate) fn new(bits: u8, level: u8, takeover: bool, threshold: usize) -> Self {
        Self { compressor: None, bits, level, takeover, threshold, pool: None, used: false }
    }

    pub(crate) fn set_pool(&mut self, pool: &DeflatePool) {
        self.pool = Some(pool.clone());
    }

    /// Is a message of `length` bytes to be compressed? With a window of 8 bits none is: zlib has none so small, and
    /// every message may go as it is (6: "An endpoint MAY [..] send uncompressed").
    pub(crate) fn wants(&self, length: usize, compression: Compression) -> bool {
        let wants = match compression {
            Compression::Auto => length >= self.threshold,
            Compression::Always => true,
            Compression::Never => false,
        };
        wants && self.bits >= 9
    }

    /// Room that most messages of `length` bytes have enough of: the fixed codes have at most 9 bits for a byte, and a
    /// stored block is shorter. A long one takes more as it needs it.
    pub(crate) fn room(length: usize) -> usize {
        (length + length / 8 + 32).min(ROOM)
    }

    pub(crate) fn window_bits(&self) -> u8 {
        self.bits
    }

    pub(crate) fn has_compressor(&self) -> bool {
        self.compressor.is_some()
    }

    /// Appends the compressed form of `payload` to `out`.
    pub(crate) fn compress(&mut self, payload: &[u8], fragment: Fragment, out: &mut Vec<u8>) -> Compressed {
        // 7.2.3.6, and the end of a message in fragments, whose last one was flushed: an empty block without its tail.
        if fragment == Fragment::End || (fragment == Fragment::Whole && payload.is_empty()) {
            out.push(0);
            if fragment == Fragment::End {
                self.end_message();
            }
            return Compressed::Yes;
        }
        let start = out.len();
        let compressor = self.compressor();
        let whole = compressor.append(payload, out).is_ok();
        let ends = fragment == Fragment::Whole;
        let valid = whole && (!ends || out[start..].ends_with(&TAIL));
        if valid && ends {
            out.truncate(out.len() - TAIL.len());
        }
        // With a window that is kept, ours has the message now and the peer's must have it, too.
        if !valid || (ends && !self.takeover && out.len() - start >= payload.len()) {
            out.truncate(start);
            self.reset_next();
            self.end_message();
            return Compressed::No;
        }
        if ends {
            self.end_message();
        }
        Compressed::Yes
    }

    /// Appends a frame for any connection with such a window: from a fresh context, which is fresh again behind it.
    pub(crate) fn append_prepared(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        out: &mut Vec<u8>,
        seen: impl FnOnce(&FrameHeader, &[u8]),
    ) -> Compressed {
        self.reset_next();
        let takeover = std::mem::replace(&mut self.takeover, false);
        let compressed = self.append_frame(header, payload, Fragment::Whole, out, seen);
        self.takeover = takeover;
        compressed
    }

    /// The next message begins with a fresh window. That is always allowed; it must be so after a message that did not
    /// go through our compressor, for the peer's window has it and ours has not.
    pub(crate) fn reset_next(&mut self) {
        if let Some(compressor) = &mut self.compressor {
            compressor.stale = true;
        }
    }

    /// Gives the compressor up if it was not used since this was last asked. Answers whether it did.
    pub(crate) fn release_if_idle(&mut self) -> bool {
        if std::mem::take(&mut self.used) {
            return false;
        }
        self.release();
        true
    }

    /// The next message begins with an empty window.
    pub(crate) fn release(&mut self) {
        if let (Some(mut compressor), Some(pool)) = (self.compressor.take(), &self.pool) {
            compressor.stale = true;
            pool.put_compressor(compressor);
        }
    }

    fn compressor(&mut self) -> &mut Compressor {
        let (bits, level, pool) = (self.bits, self.level, self.pool.as_ref());
        self.used = true;
        self.compressor.get_or_insert_with(|| {
            let spare = pool.and_then(|pool| pool.take_compressor(bits, level));
            spare.unwrap_or_else(|| Box::new(Compressor::new(bits, level)))
        })
    }

    fn end_message(&mut self) {
        if !self.takeover {
            self.reset_next();
            if self.pool.is_some() {
                self.release();
            }
        }
    }
}

impl Drop for Deflation {
    fn drop(&mut self) {
        self.release();
    }
}

/// What compresses, with its window.
pub(super) struct Compressor {
    compress: Compress,
    bits: u8,
    level: u8,
    /// To be reset before it is used again.
    stale: bool,
}

impl Compressor {
    fn new(bits: u8, level: u8) -> Self {
        // flate2 panics outside of 9 to 15; `Deflation::wants` sees to it that 8 does not come here.
        let (bits, level) = (bits.clamp(9, 15), level.min(9));
        let compress = Compress::new_with_window_bits(flate2::Compression::new(level.into()), false, bits);
        Self { compress, bits, level, stale: false }
    }

    pub(super) fn fits(&self, bits: u8, level: u8) -> bool {
        self.bits == bits && self.level == level
    }

    /// 7.2.1: "Compress all the octets of the payload of the message using DEFLATE", to the boundary of a byte.
    fn append(&mut self, mut payload: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
        if std::mem::take(&mut self.stale) {
            self.compress.reset();
        }
        out.reserve(Deflation::room(payload.len()));
        loop {
            let before = self.compress.total_in();
            self.compress.compress_vec(payload, out, FlushCompress::Sync)?;
            payload = &payload[(self.compress.total_in() - before) as usize..];
            // zlib's manual, on deflate(): the flush is complete when room is left.
            // Of more than 4 GiB zlib takes a part at a time.
            if payload.is_empty() && out.len() < out.capacity() {
                return Ok(());
            }
            out.reserve((payload.len() / 2).max(ROOM));
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("bits", &self.bits).field("level", &self.level).finish_non_exhaustive()
    }
}
