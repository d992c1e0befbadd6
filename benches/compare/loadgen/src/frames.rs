//! Frames of RFC 6455 from the client's side: masked ones out, a streaming decoder for what the server sends.

use crate::payload::Random;

/// Appends one masked frame; `first` is its first byte.
pub fn put_masked(out: &mut Vec<u8>, first: u8, payload: &[u8], random: &mut Random) {
    let key = (random.next() as u32).to_ne_bytes();
    out.push(first);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Bytes of one unmasked frame.
pub fn server_frame_length(payload: usize) -> usize {
    let header = match payload {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    };
    header + payload
}

/// What the decoder reports.
pub trait Sink {
    /// Payload bytes of a data message, which begin at `offset` of the message.
    fn chunk(&mut self, bytes: &[u8], offset: u64);
    /// A data message has ended; `length` is its payload on the wire.
    fn message(&mut self, length: u64, compressed: bool);
    fn close(&mut self);
}

/// Decodes frames as they come and buffers no more than a header. It panics at what no server may send, for then there
/// is nothing to measure.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; 10],
    have: usize,
    remaining: u64,
    offset: u64,
    fin: bool,
    opcode: u8,
    compressed: bool,
    in_frame: bool,
    /// Without a protocol: bytes of the current message seen so far.
    raw_seen: u64,
}

impl Decoder {
    /// Without a protocol: messages of `length` bytes.
    pub fn feed_raw(&mut self, mut bytes: &[u8], length: usize, sink: &mut impl Sink) {
        while !bytes.is_empty() {
            let n = bytes.len().min(length - self.raw_seen as usize);
            let (here, rest) = bytes.split_at(n);
            sink.chunk(here, self.raw_seen);
            self.raw_seen += n as u64;
            bytes = rest;
            if self.raw_seen == length as u64 {
                self.raw_seen = 0;
                sink.message(length as u64, false);
            }
        }
    }

    pub fn feed(&mut self, mut bytes: &[u8], sink: &mut impl Sink) {
        while !bytes.is_empty() {
            if !self.in_frame {
                let before = self.have;
                let take = bytes.len().min(self.header.len() - before);
                self.header[before..before + take].copy_from_slice(&bytes[..take]);
                self.have += take;
                let Some(length) = self.begin() else { return };
                bytes = &bytes[length - before..];
                self.have = 0;
            }
            let n = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(bytes.len());
            let (body, rest) = bytes.split_at(n);
            if self.opcode < 8 {
                if n > 0 {
                    sink.chunk(body, self.offset);
                }
                self.offset += n as u64;
            }
            self.remaining -= n as u64;
            bytes = rest;
            if self.remaining == 0 {
                self.in_frame = false;
                if self.opcode == 8 {
                    sink.close();
                } else if self.opcode < 8 && self.fin {
                    sink.message(std::mem::take(&mut self.offset), self.compressed);
                }
            }
        }
    }

    /// The header's length, once it is there.
    fn begin(&mut self) -> Option<usize> {
        if self.have < 2 {
            return None;
        }
        let [first, second, ..] = self.header;
        let length = match second & 0x7F {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        if self.have < length {
            return None;
        }
        self.remaining = match length {
            2 => u64::from(second & 0x7F),
            4 => u64::from(u16::from_be_bytes([self.header[2], self.header[3]])),
            _ => self.header[2..].iter().fold(0, |value, byte| value << 8 | u64::from(*byte)),
        };
        assert!(second & 0x80 == 0, "the server masked a frame");
        assert!(first & 0x30 == 0, "the server set RSV2 or RSV3");
        self.opcode = first & 0x0F;
        assert!(matches!(self.opcode, 0 | 1 | 2 | 8 | 9 | 10), "the server sent opcode {}", self.opcode);
        self.fin = first & 0x80 != 0;
        if matches!(self.opcode, 1 | 2) {
            self.compressed = first & 0x40 != 0;
        }
        self.in_frame = true;
        Some(length)
    }
}
