//! The messages of a run, encoded before it: sending one costs the load generator a `write` and nothing else.

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::{
    frames::{put_masked, server_frame_length},
    options::{Deflate, Options},
    payload::Random,
};

/// The end of a flushed deflate block, which RFC 7692 section 7.2.1 has removed.
pub const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Messages back to back as they go out, and what each has to come back as. The last is followed by the first.
#[derive(Debug)]
pub struct Ring {
    pub bytes: Vec<u8>,
    /// Where each message begins, and where the last one ends.
    pub offsets: Vec<usize>,
    pub expected: Vec<Vec<u8>>,
    pub deflate: Deflate,
    pub raw: bool,
}

impl Ring {
    pub fn new(options: &Options, deflate: Deflate) -> Self {
        const BYTES: usize = 8 << 20;
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        let mut compress = Compress::new(Compression::new(6), false);
        let mut ring = Self { bytes: Vec::new(), offsets: vec![0], expected: Vec::new(), deflate, raw: options.raw };
        for _ in 0..(BYTES / (options.size + 16)).clamp(2, 1024) {
            let payload = options.content.make(options.size, &mut random);
            if options.raw {
                // As many bytes as a server's frame has.
                let mut whole = vec![0x55; server_frame_length(options.size) - options.size];
                whole.extend_from_slice(&payload);
                ring.bytes.extend_from_slice(&whole);
                ring.expected.push(whole);
            } else if deflate == Deflate::Off {
                put_fragments(&mut ring.bytes, options, &payload, &mut random);
                ring.expected.push(payload);
            } else {
                // With takeover a message refers to those before it, as every connection begins with the first one. That
                // one, when its turn comes again, just makes no use of what came before.
                if deflate == Deflate::NoTakeover {
                    compress.reset();
                }
                let compressed = squeeze(&mut compress, &payload);
                put_masked(&mut ring.bytes, 0xC0 | options.content.opcode(), &compressed, &mut random);
                ring.expected.push(payload);
            }
            ring.offsets.push(ring.bytes.len());
        }
        ring
    }

    pub fn len(&self) -> usize {
        self.expected.len()
    }

    /// The message a connection begins with: not the same for all, unless messages depend on each other.
    pub fn first_of(&self, connection: usize) -> usize {
        if self.deflate == Deflate::Takeover { 0 } else { connection * 7 % self.len() }
    }
}

fn put_fragments(out: &mut Vec<u8>, options: &Options, payload: &[u8], random: &mut Random) {
    let count = payload.len().div_ceil(options.fragment).max(1);
    let mut rest = payload;
    for i in 0..count {
        let (part, behind) = rest.split_at(rest.len().min(options.fragment));
        rest = behind;
        let opcode = if i == 0 { options.content.opcode() } else { 0x0 };
        let fin = if i + 1 == count { 0x80 } else { 0x00 };
        put_masked(out, fin | opcode, part, random);
    }
}

fn squeeze(compress: &mut Compress, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 64);
    let status = compress.compress_vec(payload, &mut out, FlushCompress::Sync);
    assert!(matches!(status, Ok(Status::Ok)), "{status:?}");
    assert!(out.ends_with(&TAIL), "the flush fitted");
    out.truncate(out.len() - TAIL.len());
    out
}
