//! Finds the next message, part or control frame in a receive buffer.

use std::ops::Range;

#[cfg(feature = "deflate")]
mod inflated;
mod whole;

use super::{Inflation, Kind, utf8};
use crate::{
    RecvBuffer,
    error::ProtocolError,
    frame::{FrameHeader, Opcode, apply_mask},
};

/// RFC 7692, 6: the "Per-Message Compressed" bit.
const RSV1: u8 = 0x4;

/// What the decoder holds a peer to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_message_size: usize,
    pub(crate) max_streamed_size: u64,
    pub(crate) max_fragments: u32,
}

/// What was found, and where it lies in the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The buffer's delivered bytes. `checked`: a text was checked in pieces, and is UTF-8.
    Message {
        kind: Kind,
        checked: bool,
    },
    /// The buffer's delivered bytes; a text is UTF-8.
    Part {
        kind: Kind,
        first: bool,
        last: bool,
    },
    Control {
        opcode: Opcode,
        payload: Range<usize>,
    },
}

/// Is told of each frame of the peer, when somebody watches: its header, then its payload in the pieces that arrive
/// (one at least, and if it is empty), unmasked and otherwise as on the wire.
pub(crate) trait Watcher {
    fn header(&mut self, header: &FrameHeader);
    fn payload(&mut self, bytes: &[u8]);
}

/// The state between two reads. The bytes are in the [`RecvBuffer`], which comes along with each call.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// Payload bytes of the current frame that have not been read.
    remaining: u64,
    /// Bytes of the current message before its current frame, delivered parts included.
    size: u64,
    /// Frames of the current message, and of the last one until the next begins.
    fragments: u32,
    /// The current frame's masking key, turned as far as its payload has been unmasked.
    mask: [u8; 4],
    /// Bytes at the end of what there is of a text, at most 3, that begin a character.
    begun: u8,
    in_frame: bool,
    fin: bool,
    /// The current message is compressed.
    compressed: bool,
    /// The peer has to mask: we are the server.
    expects_mask: bool,
    streaming: bool,
    /// The kind of the message that is under way.
    message: Option<Kind>,
    part_delivered: bool,
}

/// Every connection has one.
const _: () = assert!(size_of::<Decoder>() <= 32);

impl Decoder {
    pub(crate) fn new(expects_mask: bool, streaming: bool) -> Self {
        Self {
            remaining: 0,
            size: 0,
            fragments: 0,
            mask: [0; 4],
            begun: 0,
            in_frame: false,
            fin: false,
            compressed: false,
            expects_mask,
            streaming,
            message: None,
            part_delivered: false,
        }
    }

    /// Whole messages or parts, from the next message on; one that is under way ends as it began.
    pub(crate) fn set_streaming(&mut self, streaming: bool) -> bool {
        if self.message.is_none() {
            self.streaming = streaming;
        }
        self.message.is_none()
    }

    /// Of how many frames the message came that was found last.
    pub(crate) fn fragments(&self) -> u32 {
        self.fragments
    }

    /// A message has begun and not ended.
    #[inline]
    pub(crate) fn is_within_message(&self) -> bool {
        self.message.is_some()
    }

    /// The next message or control frame, or `None` when the buffer does not hold one whole. Reads each byte once,
    /// whatever the pieces in which it comes. With `inflation` messages may be compressed.
    pub(crate) fn decode(
        &mut self,
        rx: &mut RecvBuffer,
        limits: &Limits,
        inflation: Option<&mut Inflation>,
        mut watcher: Option<&mut dyn Watcher>,
    ) -> Result<Option<Found>, ProtocolError> {
        let compresses = inflation.is_some();
        #[cfg(feature = "deflate")]
        let mut inflation = inflation;
        rx.release();
        loop {
            if !self.in_frame {
                let (header, length) = match FrameHeader::parse(rx.unread()) {
                    Ok(Some(header)) => header,
                    Ok(None) => return self.check_start(rx.unread(), compresses).map(|()| None),
                    Err(error) => return self.check_start(rx.unread(), compresses).and(Err(error)),
                };
                self.check(header.rsv, header.opcode, compresses)?;
                self.check_mask(header.mask.is_some())?;
                if header.opcode.is_control() {
                    let payload = header.payload_length as usize;
                    if rx.unread().len() < length + payload {
                        return Ok(None);
                    }
                    rx.consume(length);
                    if let Some(mask) = header.mask {
                        apply_mask(&mut rx.unread_mut()[..payload], mask, 0);
                    }
                    if let Some(watcher) = watcher {
                        watcher.header(&header);
                        watcher.payload(&rx.unread()[..payload]);
                    }
                    return Ok(Some(Found::Control { opcode: header.opcode, payload: rx.locate(payload) }));
                }
                self.begin_frame(&header, limits)?;
                rx.consume(length);
                if let Some(watcher) = &mut watcher {
                    watcher.header(&header);
                }
            }
            #[cfg(feature = "deflate")]
            if self.compressed
                && let Some(inflation) = inflation.as_deref_mut()
            {
                match self.inflate_frame(rx, limits, inflation, &mut watcher)? {
                    None if !self.in_frame => continue,
                    found => return Ok(found),
                }
            }
            let available = rx.unread().len();
            let n = usize::try_from(self.remaining).map_or(available, |remaining| remaining.min(available));
            let whole_at_once =
                self.fragments == 1 && self.fin && n as u64 == self.remaining && rx.message().is_empty();
            if self.expects_mask {
                apply_mask(&mut rx.unread_mut()[..n], self.mask, 0);
                self.mask.rotate_left(n % 4);
            }
            if let Some(watcher) = &mut watcher {
                watcher.payload(&rx.unread()[..n]);
            }
            let held = rx.message().len();
            rx.append_to_message(n);
            self.remaining -= n as u64;
            self.in_frame = self.remaining > 0;
            let last = self.fin && !self.in_frame;
            let kind = self.message.unwrap_or(Kind::Binary);
            // A text in one piece is checked where it becomes a `str`, and only there.
            let defer_check = whole_at_once && !self.streaming;
            if kind == Kind::Text && !defer_check {
                self.check_text(rx.message(), held, last)?;
            }
            if self.streaming {
                if let Some(part) = self.part(rx, kind, last) {
                    return Ok(Some(part));
                }
            } else if last {
                rx.deliver(rx.message().len());
                self.end_message();
                return Ok(Some(Found::Message { kind, checked: !defer_check }));
            }
            if self.in_frame {
                return Ok(None);
            }
        }
    }

    /// What the first two bytes show need not wait for the rest of the header. Rules are checked in the order of the
    /// bytes that break them, so that the verdict does not depend on how the bytes were cut.
    fn check_start(&self, start: &[u8], compresses: bool) -> Result<(), ProtocolError> {
        let Some((header, _)) = start.first().and_then(|first| FrameHeader::parse(&[*first, 0]).ok().flatten()) else {
            return match start.first() {
                Some(first) if first & 0x70 != 0 => Err(ProtocolError::ReservedBits(first >> 4 & 0x7)),
                _ => Ok(()),
            };
        };
        self.check(header.rsv, header.opcode, compresses)?;
        start.get(1).map_or(Ok(()), |second| self.check_mask(second & 0x80 != 0))
    }

    fn check(&self, rsv: u8, opcode: Opcode, compresses: bool) -> Result<(), ProtocolError> {
        // 5.2: reserved bits "MUST be 0 unless an extension is negotiated that defines meanings". RFC 7692, 6: RSV1 means
        // compressed, "only on the first fragment of a message", and "MUST NOT" be set on control frames.
        let first = matches!(opcode, Opcode::Text | Opcode::Binary);
        if rsv != 0 && !(compresses && first && rsv == RSV1) {
            return Err(ProtocolError::ReservedBits(rsv));
        }
        // 5.4: fragments of one message "MUST NOT be interleaved between the fragments of another message"
        match (opcode, self.message) {
            (Opcode::Continuation, None) => Err(ProtocolError::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(ProtocolError::InterruptedMessage),
            _ => Ok(()),
        }
    }

    fn check_mask(&self, masked: bool) -> Result<(), ProtocolError> {
        match (self.expects_mask, masked) {
            // 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
            (true, false) => Err(ProtocolError::UnmaskedFrame),
            // 5.1: "A client MUST close a connection if it detects a masked frame."
            (false, true) => Err(ProtocolError::MaskedFrame),
            _ => Ok(()),
        }
    }

    /// A declared length is compared, never allocated.
    fn begin_frame(&mut self, header: &FrameHeader, limits: &Limits) -> Result<(), ProtocolError> {
        match header.opcode {
            Opcode::Text => self.message = Some(Kind::Text),
            Opcode::Binary => self.message = Some(Kind::Binary),
            _ => {}
        }
        if header.opcode != Opcode::Continuation {
            self.compressed = header.rsv == RSV1;
            self.fragments = 0;
        }
        let limit = self.limit(limits);
        // What it is inflated to counts then, as it comes. Compressed it may be longer, if its sender gains nothing by it;
        // but an endless row of empty blocks has an end.
        let most = if self.compressed {
            // Each fragment may have been flushed.
            limit.saturating_mul(2).saturating_add(1024 + 16 * u64::from(self.fragments))
        } else {
            limit
        };
        self.size = self.size.saturating_add(header.payload_length);
        if self.size > most {
            return Err(ProtocolError::MessageTooBig { limit });
        }
        self.fragments = self.fragments.saturating_add(1);
        if self.fragments > limits.max_fragments {
            return Err(ProtocolError::TooManyFragments { limit: limits.max_fragments });
        }
        self.remaining = header.payload_length;
        self.mask = header.mask.unwrap_or_default();
        self.fin = header.fin;
        self.in_frame = true;
        Ok(())
    }

    fn limit(&self, limits: &Limits) -> u64 {
        if self.streaming { limits.max_streamed_size } else { limits.max_message_size as u64 }
    }

    /// 8.1: fail as soon as a byte cannot be part of UTF-8, inside an unfinished frame too. The first `held` bytes were
    /// checked before, but for a character that they begin.
    fn check_text(&mut self, message: &[u8], held: usize, last: bool) -> Result<(), ProtocolError> {
        let new = &message[held.saturating_sub(usize::from(self.begun))..];
        let whole = utf8::check_prefix(new).ok_or(ProtocolError::InvalidUtf8)?;
        if last && whole < new.len() {
            return Err(ProtocolError::InvalidUtf8);
        }
        self.begun = (new.len() - whole) as u8;
        Ok(())
    }

    /// Hands out what has arrived, up to the last whole character.
    fn part(&mut self, rx: &mut RecvBuffer, kind: Kind, last: bool) -> Option<Found> {
        // Of a binary message no byte begins a character.
        let ready = rx.message().len().saturating_sub(usize::from(self.begun));
        if ready == 0 && !last {
            return None;
        }
        rx.deliver(ready);
        let first = !std::mem::replace(&mut self.part_delivered, !last);
        if last {
            self.end_message();
        }
        Some(Found::Part { kind, first, last })
    }

    fn end_message(&mut self) {
        self.message = None;
        self.size = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_message_size: 1000, max_streamed_size: u64::MAX, max_fragments: 100 };

    fn found(decoder: &mut Decoder, rx: &mut RecvBuffer) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        loop {
            match decoder.decode(rx, &LIMITS, None, None) {
                Ok(Some(found)) => {
                    let bytes = match &found {
                        Found::Control { payload, .. } => rx.slice(payload.clone()).to_vec(),
                        _ => rx.delivered().to_vec(),
                    };
                    let name = match found {
                        Found::Message { kind, .. } => format!("{kind:?}"),
                        Found::Part { kind, first, last } => format!("{kind:?} part {first} {last}"),
                        Found::Control { opcode, .. } => format!("{opcode:?}"),
                    };
                    all.push((name, bytes));
                }
                Ok(None) => return all,
                Err(error) => {
                    all.push((format!("{error:?}"), Vec::new()));
                    return all;
                }
            }
        }
    }

    #[test]
    fn section_5_4_control_frames_stand_between_fragments() {
        let mut decoder = Decoder::new(false, false);
        let mut rx = RecvBuffer::new();
        rx.extend(b"\x01\x03Hel\x89\x01!\x80\x02lo\x82\x00");
        let all = found(&mut decoder, &mut rx);
        assert_eq!(all[0], ("Ping".into(), b"!".to_vec()));
        assert_eq!(all[1], ("Text".into(), b"Hello".to_vec()));
        assert_eq!(all[2], ("Binary".into(), b"".to_vec()));
        assert!(rx.is_empty());
    }

    #[test]
    fn streaming_cuts_text_between_characters() {
        let mut decoder = Decoder::new(false, true);
        let mut rx = RecvBuffer::new();
        let mut all = Vec::new();
        for byte in "\x01\x03aé\u{80}".as_bytes().iter().take(5).chain(b"\x80\x04\xF0\x9F\x98\x80") {
            rx.extend(&[*byte]);
            all.extend(found(&mut decoder, &mut rx));
        }
        let texts: Vec<_> = all.iter().map(|(_, bytes)| std::str::from_utf8(bytes).unwrap()).collect();
        assert_eq!(texts, ["a", "é", "😀"]);
        assert_eq!(all[0].0, "Text part true false");
        assert_eq!(all[2].0, "Text part false true");
    }

    #[test]
    fn section_8_1_fails_inside_an_unfinished_frame() {
        let mut decoder = Decoder::new(false, false);
        let mut rx = RecvBuffer::new();
        rx.extend(b"\x81\x7Dok\xFF");
        assert_eq!(found(&mut decoder, &mut rx)[0].0, "InvalidUtf8");
    }

    #[test]
    fn a_declared_length_allocates_nothing() {
        let mut decoder = Decoder::new(false, true);
        let mut rx = RecvBuffer::new();
        rx.extend(&[0x82, 127, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        rx.extend(b"data");
        assert_eq!(found(&mut decoder, &mut rx)[0], ("Binary part true false".into(), b"data".to_vec()));
        assert!(rx.capacity() <= 512);
    }
}
