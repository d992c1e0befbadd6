//! Compressed payloads in frames, written where they are sent from.

use super::{Compressed, Deflation, Fragment};
use crate::frame::{FrameHeader, apply_mask};

/// RSV1, the "Per-Message Compressed" bit (RFC 7692, 6).
const RSV1: u8 = 0x4;

impl Deflation {
    /// Appends a frame with the compressed form of `payload`; of `header`, the length is not known before. `seen` is told
    /// of the finished header and the payload before it is masked.
    pub(crate) fn append_frame(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        fragment: Fragment,
        out: &mut Vec<u8>,
        seen: impl FnOnce(&FrameHeader, &[u8]),
    ) -> Compressed {
        // 6: "only on the first fragment of a message"
        let rsv = if matches!(fragment, Fragment::Whole | Fragment::First) { RSV1 } else { 0 };
        let start = out.len();
        // Most often the header turns out to be as long as that of the message as it is.
        let guess = FrameHeader { payload_length: payload.len() as u64, ..header }.encode().1;
        out.extend_from_slice(&[0; FrameHeader::MAX][..guess]);
        if self.compress(payload, fragment, out) == Compressed::No {
            out.truncate(start);
            return Compressed::No;
        }
        let length = out.len() - start - guess;
        let header = FrameHeader { rsv, payload_length: length as u64, ..header };
        let (bytes, head) = header.encode();
        if head != guess {
            if head > guess {
                out.resize(start + head + length, 0);
            }
            out.copy_within(start + guess..start + guess + length, start + head);
            out.truncate(start + head + length);
        }
        out[start..start + head].copy_from_slice(&bytes[..head]);
        let payload = &mut out[start + head..];
        seen(&header, payload);
        if let Some(mask) = header.mask {
            apply_mask(payload, mask, 0);
        }
        Compressed::Yes
    }
}
