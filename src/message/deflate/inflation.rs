//! The peer's direction: messages are inflated as their bytes arrive.

use std::{fmt, ops::RangeInclusive};

use zlib_rs::{Inflate, InflateFlush, Status};

use super::{DeflatePool, TAIL};
use crate::{RecvBuffer, error::ProtocolError};

/// zlib-rs keeps 32 KiB of window for any size, and a larger window reads the stream of a smaller one: a peer's window
/// of 8 to 15 bits is read with 15. (A reset of it means 15 bits, too.)
const WINDOW_BITS: u8 = 15;

/// The contexts of one direction and the compressed message that is under way.
#[derive(Debug)]
pub(crate) struct Inflation {
    context: Option<Box<Inflater>>,
    /// The window is kept from message to message.
    takeover: bool,
    pool: Option<DeflatePool>,
    /// Bytes that the message has come to, those that were delivered included.
    pub(crate) size: u64,
    /// Unread bytes of the frame that are unmasked already.
    pub(crate) unmasked: usize,
    /// The room for output was used up: more may wait behind it.
    pub(crate) full: bool,
}

impl Inflation {
    pub(crate) fn new(takeover: bool) -> Self {
        Self { context: None, takeover, pool: None, size: 0, unmasked: 0, full: false }
    }

    pub(crate) fn set_pool(&mut self, pool: &DeflatePool) {
        self.pool = Some(pool.clone());
    }

    /// Inflates up to `n` unread bytes, to at most so many as there is `room` for. The bytes that a broken stream had before it broke are there.
    pub(crate) fn inflate(
        &mut self,
        rx: &mut RecvBuffer,
        n: usize,
        room: RangeInclusive<usize>,
    ) -> Result<(), ProtocolError> {
        if n == 0 && !self.full {
            return Ok(());
        }
        let pool = self.pool.as_ref();
        let context = self.context.get_or_insert_with(|| pool.and_then(DeflatePool::take_inflater).unwrap_or_default());
        let (read, written, full, ok) = rx.inflate(n, room, |input, output| {
            let (read, written, ok) = context.inflate(input, output);
            (read, written, (read, written, written == output.len(), ok))
        });
        self.unmasked -= read.min(self.unmasked);
        self.size += written as u64;
        self.full = full;
        // A call that has bytes and room and uses neither would be made for ever.
        let stuck = read == 0 && written == 0 && n > 0;
        if ok && !stuck { Ok(()) } else { Err(ProtocolError::InvalidDeflate) }
    }

    /// The message's last byte has been inflated.
    pub(crate) fn finish(&mut self) -> Result<(), ProtocolError> {
        self.size = 0;
        let Some(context) = &mut self.context else { return Ok(()) };
        if !context.finish() {
            return Err(ProtocolError::InvalidDeflate);
        }
        if !self.takeover {
            context.reset();
            if let Some(pool) = &self.pool
                && let Some(context) = self.context.take()
            {
                pool.put_inflater(context);
            }
        }
        Ok(())
    }
}

impl Drop for Inflation {
    fn drop(&mut self) {
        if let (Some(pool), Some(mut context)) = (&self.pool, self.context.take()) {
            context.reset();
            pool.put_inflater(context);
        }
    }
}

/// One window.
pub(super) struct Inflater {
    inflate: Inflate,
    /// Bytes of this message went into the stream.
    begun: bool,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { inflate: Inflate::new(false, WINDOW_BITS), begun: false }
    }
}

impl Inflater {
    fn reset(&mut self) {
        self.inflate.reset(false);
        self.begun = false;
    }

    /// Bytes read and written, and whether they were valid.
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> (usize, usize, bool) {
        let (mut read, mut written) = (0, 0);
        loop {
            let before = (self.inflate.total_in(), self.inflate.total_out());
            let result = self.inflate.decompress(&input[read..], &mut output[written..], InflateFlush::SyncFlush);
            let used = (self.inflate.total_in() - before.0) as usize;
            read += used;
            written += (self.inflate.total_out() - before.1) as usize;
            self.begun |= used > 0;
            match result {
                // 7.2.3.4: a message may have blocks "with BFINAL set to 1": behind them, another stream begins.
                Ok(Status::StreamEnd) => self.reset(),
                Ok(_) => return (read, written, true),
                Err(_) => return (read, written, false),
            }
            if read == input.len() || written == output.len() {
                return (read, written, true);
            }
        }
    }

    /// 7.2.2: "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of the message." Answers whether the
    /// message ends where a block does. One that came to an end by a final block, or of no bytes at all, is complete
    /// without them.
    fn finish(&mut self) -> bool {
        if !std::mem::take(&mut self.begun) {
            return true;
        }
        // `Block` stops behind a block. If it stops behind the tail, before the octet that follows here, then the tail
        // has completed a block; if the message was cut off, it is read as something else.
        let [a, b, c, d] = TAIL;
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let result = self.inflate.decompress(&[a, b, c, d, 0], &mut [0; 8], InflateFlush::Block);
        let used = (self.inflate.total_in() - before.0, self.inflate.total_out() - before.1);
        matches!(result, Ok(Status::Ok)) && used == (4, 0)
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("begun", &self.begun).finish_non_exhaustive()
    }
}
