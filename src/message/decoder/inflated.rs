//! The frames of a compressed message (RFC 7692, section 6.2).
//!
//! Their payload is unmasked where it lies and inflated from there, as much as has arrived. Faults are found in the order
//! of the bytes that make them, whatever the pieces in which they came: text that is not UTF-8, then output above the
//! limit, then a broken stream, for each stretch of output.

use super::{Decoder, Found, Limits, Watcher};
use crate::{
    RecvBuffer,
    error::ProtocolError,
    frame::apply_mask,
    message::{Kind, deflate::Inflation},
};

/// A part is delivered when it has come to this much: the memory that streaming takes.
const PART: usize = 64 * 1024;
/// Less room than this is not worth a call.
const ROOM: usize = 4 * 1024;

impl Decoder {
    /// Goes on with a frame of a compressed message. `None`: what has arrived of it was used, or all of it was and other
    /// frames follow.
    pub(super) fn inflate_frame(
        &mut self,
        rx: &mut RecvBuffer,
        limits: &Limits,
        inflation: &mut Inflation,
        watcher: &mut Option<&mut dyn Watcher>,
    ) -> Result<Option<Found>, ProtocolError> {
        let available = rx.unread().len();
        let n = usize::try_from(self.remaining).map_or(available, |remaining| remaining.min(available));
        let new = inflation.unmasked.min(n)..n;
        if self.expects_mask {
            apply_mask(&mut rx.unread_mut()[new.clone()], self.mask, 0);
            self.mask.rotate_left(new.len() % 4);
        }
        if let Some(watcher) = watcher {
            watcher.payload(&rx.unread()[new]);
        }
        inflation.unmasked = n;
        let kind = self.message.unwrap_or(Kind::Binary);
        let limit = self.limit(limits);
        // As of a plain frame: a text in one piece is checked where it becomes a `str`.
        let whole_at_once = self.fragments == 1 && self.fin && n as u64 == self.remaining && inflation.size == 0;
        let defer_check = whole_at_once && !self.streaming;
        loop {
            // One byte above the limit is enough to know.
            let most = limit.saturating_add(1).saturating_sub(inflation.size);
            let mut most = usize::try_from(most).unwrap_or(usize::MAX);
            let mut least = ROOM;
            if self.streaming {
                most = most.min(PART.saturating_sub(rx.message().len()));
                // Where one part was not enough, the next are large.
                least = if inflation.full { PART } else { ROOM };
            }
            // Of what was not checked piece by piece nothing has been.
            let held = if defer_check { 0 } else { rx.message().len() };
            let unmasked = inflation.unmasked;
            let mut inflated = inflation.inflate(rx, unmasked, least..=most);
            self.remaining -= (unmasked - inflation.unmasked) as u64;
            self.in_frame = self.remaining > 0 || inflation.full;
            let above = inflation.size > limit;
            let last = self.fin && !self.in_frame;
            if last && inflated.is_ok() {
                inflated = inflation.finish();
            }
            if kind == Kind::Text && (!defer_check || above || inflated.is_err()) {
                self.check_text(rx.message(), held, last && inflated.is_ok())?;
            }
            if above {
                return Err(ProtocolError::MessageTooBig { limit });
            }
            inflated?;
            if self.streaming {
                if let Some(part) = self.part(rx, kind, last) {
                    return Ok(Some(part));
                }
            } else if last {
                rx.deliver(rx.message().len());
                self.end_message();
                return Ok(Some(Found::Message { kind, checked: !defer_check }));
            }
            if !inflation.full {
                return Ok(None);
            }
        }
    }
}
