//! The header of a frame: 2 to 14 bytes (RFC 6455 section 5.2).

use crate::error::ProtocolError;

/// What a frame is (RFC 6455 section 5.2). The other ten values are reserved and fail the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// 0x0: a further fragment of a message.
    Continuation = 0x0,
    /// 0x1: a text message, or its first fragment.
    Text = 0x1,
    /// 0x2: a binary message, or its first fragment.
    Binary = 0x2,
    /// 0x8
    Close = 0x8,
    /// 0x9
    Ping = 0x9,
    /// 0xA
    Pong = 0xA,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Close, Ping or Pong (RFC 6455 section 5.5): the most significant bit of the opcode.
    pub fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// The header of one frame.
///
/// ```
/// use wireroom::frame::{FrameHeader, Opcode};
///
/// let header = FrameHeader { fin: true, rsv: 0, opcode: Opcode::Text, mask: None, payload_length: 5 };
/// let (bytes, length) = header.encode();
/// assert_eq!(bytes[..length], [0x81, 0x05]);
/// assert_eq!(FrameHeader::parse(&[0x81, 0x05])?, Some((header, 2)));
/// # Ok::<(), wireroom::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// The last (or only) fragment of a message.
    pub fin: bool,
    /// RSV1, RSV2, RSV3 as the bits 4, 2, 1. An extension gives them meaning.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, in frames from a client.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload, at most 2^63 - 1.
    pub payload_length: u64,
}

impl FrameHeader {
    /// The longest header in bytes.
    pub const MAX: usize = 14;

    /// Reads the header at the start of `bytes` and tells its length; `None` while it is incomplete.
    ///
    /// # Errors
    ///
    /// What no extension can allow is refused with the first byte that shows it: a reserved opcode, a control frame
    /// that is fragmented or above 125 bytes (5.5), a length that is not minimal or has its top bit set (5.2).
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let Some(opcode) = Opcode::from_bits(first & 0x0F) else {
            return Err(ProtocolError::ReservedOpcode(first & 0x0F));
        };
        let fin = first & 0x80 != 0;
        // 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented."
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControlFrame);
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let short = second & 0x7F;
        if opcode.is_control() && short > 125 {
            return Err(ProtocolError::LongControlFrame);
        }
        // 5.2: "the minimal number of bytes MUST be used to encode the length"
        let (payload_length, at) = match short {
            126 => {
                let Some(&[high, low]) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
                let length = u16::from_be_bytes([high, low]);
                if length < 126 {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (u64::from(length), 4)
            }
            127 => {
                // 5.2: "the most significant bit MUST be 0"
                if bytes.get(2).is_some_and(|byte| byte & 0x80 != 0) {
                    return Err(ProtocolError::LengthOutOfRange);
                }
                let Some(eight) = bytes.get(2..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
                let length = u64::from_be_bytes(*eight);
                if length <= 0xFFFF {
                    return Err(ProtocolError::NonMinimalLength);
                }
                (length, 10)
            }
            short => (u64::from(short), 2),
        };
        let (mask, length) = if second & 0x80 != 0 {
            let Some(key) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
            (Some(*key), at + 4)
        } else {
            (None, at)
        };
        let rsv = (first >> 4) & 0x7;
        Ok(Some((Self { fin, rsv, opcode, mask, payload_length }, length)))
    }

    /// The header's bytes and how many of them count.
    #[inline]
    pub fn encode(&self) -> ([u8; Self::MAX], usize) {
        let mut bytes = [0; Self::MAX];
        bytes[0] = u8::from(self.fin) << 7 | (self.rsv & 0x7) << 4 | self.opcode as u8;
        let mut at = match self.payload_length {
            length @ 0..=125 => {
                bytes[1] = length as u8;
                2
            }
            length @ 126..=0xFFFF => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
                4
            }
            length => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&length.to_be_bytes());
                10
            }
        };
        if let Some(key) = self.mask {
            bytes[1] |= 0x80;
            bytes[at..at + 4].copy_from_slice(&key);
            at += 4;
        }
        (bytes, at)
    }

    /// The header of a whole message.
    pub(crate) fn of_message(payload: usize, mask: Option<[u8; 4]>) -> Self {
        Self { fin: true, rsv: 0, opcode: Opcode::Binary, mask, payload_length: payload as u64 }
    }

    /// The length of the frame of our own that starts `bytes`, its payload included.
    pub(crate) fn frame_length(bytes: &[u8]) -> usize {
        match Self::parse(bytes) {
            Ok(Some((header, length))) => {
                usize::try_from(header.payload_length).unwrap_or(usize::MAX).saturating_add(length)
            }
            _ => bytes.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_survives_encode_and_parse() {
        let opcodes = [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];
        for opcode in opcodes {
            for payload_length in [0, 1, 125, 126, 127, 65_535, 65_536, u64::MAX >> 1] {
                for mask in [None, Some([1, 2, 3, 4])] {
                    for (fin, rsv) in [(true, 0), (false, 4), (true, 7)] {
                        if opcode.is_control() && (!fin || payload_length > 125) {
                            continue;
                        }
                        let header = FrameHeader { fin, rsv, opcode, mask, payload_length };
                        let (bytes, length) = header.encode();
                        assert_eq!(FrameHeader::parse(&bytes[..length]), Ok(Some((header, length))));
                        for cut in 0..length {
                            assert_eq!(FrameHeader::parse(&bytes[..cut]), Ok(None), "{header:?} cut at {cut}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn section_5_2_lengths_are_minimal_and_below_2_to_the_63() {
        assert_eq!(FrameHeader::parse(&[0x82, 126, 0, 125]), Err(ProtocolError::NonMinimalLength));
        let long = [0x82, 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];
        assert_eq!(FrameHeader::parse(&long), Err(ProtocolError::NonMinimalLength));
        assert_eq!(FrameHeader::parse(&[0x82, 127, 0x80]), Err(ProtocolError::LengthOutOfRange));
    }

    #[test]
    fn section_5_2_reserved_opcodes_are_refused_by_their_first_byte() {
        for bits in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
            assert_eq!(FrameHeader::parse(&[0x80 | bits]), Err(ProtocolError::ReservedOpcode(bits)));
        }
    }

    #[test]
    fn section_5_5_control_frames_are_short_and_whole() {
        assert_eq!(FrameHeader::parse(&[0x09]), Err(ProtocolError::FragmentedControlFrame));
        assert_eq!(FrameHeader::parse(&[0x89, 126]), Err(ProtocolError::LongControlFrame));
        assert_eq!(FrameHeader::parse(&[0x88, 127]), Err(ProtocolError::LongControlFrame));
    }
}
