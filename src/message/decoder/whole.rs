//! The short way of most messages.

use super::Decoder;
use crate::{RecvBuffer, frame::apply_mask, message::Kind};

impl Decoder {
    /// Most messages: one frame without extensions that is here as a whole, of at most 64 KiB. It is delivered; a text has not
    /// been checked. Everything else, and every frame that breaks a rule, stays as it is for [`Decoder::decode`].
    #[inline]
    pub(crate) fn decode_whole(&mut self, rx: &mut RecvBuffer, max_message_size: usize) -> Option<Kind> {
        if self.message.is_some() || self.streaming {
            return None;
        }
        rx.release();
        let unread = rx.unread_mut();
        let [first, second, ..] = *unread else { return None };
        let kind = match first {
            0x81 => Kind::Text,
            0x82 => Kind::Binary,
            _ => return None,
        };
        let (n, at) = match second & 0x7F {
            126 => match *unread {
                [_, _, high, low, ..] if high > 0 || low >= 126 => (usize::from(u16::from_be_bytes([high, low])), 4),
                _ => return None,
            },
            127 => return None,
            n => (usize::from(n), 2),
        };
        if n > max_message_size || (second & 0x80 != 0) != self.expects_mask {
            return None;
        }
        let behind = if self.expects_mask {
            let (key, rest) = unread.get_mut(at..)?.split_first_chunk_mut()?;
            apply_mask(rest.get_mut(..n)?, *key, 0);
            at + 4
        } else {
            unread.get(..at + n)?;
            at
        };
        rx.deliver_whole(behind, n);
        self.fragments = 1;
        Some(kind)
    }
}
