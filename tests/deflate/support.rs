//! Endpoints that have agreed on permessage-deflate, and a peer made by hand.

use std::time::Instant;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use wireroom::{
    Config, PermessageDeflate,
    handshake::{DeflateParams, Extensions},
};

pub(crate) use crate::common::*;

pub(crate) const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

pub(crate) fn agreed(params: DeflateParams) -> Extensions {
    Extensions::none().with_deflate(params)
}

pub(crate) fn takeover() -> DeflateParams {
    DeflateParams::default()
}

pub(crate) fn no_takeover() -> DeflateParams {
    DeflateParams { server_no_context_takeover: true, client_no_context_takeover: true, ..takeover() }
}

pub(crate) fn windows(bits: u8) -> DeflateParams {
    DeflateParams { server_max_window_bits: bits, client_max_window_bits: bits, ..takeover() }
}

/// Everything is compressed, at `level`.
pub(crate) fn compressing(level: u8) -> Config {
    config(|config| {
        config.permessage_deflate(Some(PermessageDeflate { level, threshold: 0, ..PermessageDeflate::default() }))
    })
}

pub(crate) fn endpoint(role: Role, config: Config, params: DeflateParams) -> Endpoint {
    let now: Instant = start();
    Endpoint::with(role, config, agreed(params), now)
}

/// A compressor as a correct peer has it.
pub(crate) struct Peer(pub(crate) Compress);

impl Peer {
    pub(crate) fn new(bits: u8) -> Self {
        Self(Compress::new_with_window_bits(Compression::new(6), false, bits))
    }

    /// The payload of a compressed message.
    pub(crate) fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        let mut bytes = self.flush(message);
        assert!(bytes.ends_with(&TAIL));
        bytes.truncate(bytes.len() - TAIL.len());
        bytes
    }

    /// Its bytes so far, to a boundary.
    pub(crate) fn flush(&mut self, message: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 * message.len() + 1024);
        self.0.compress_vec(message, &mut bytes, FlushCompress::Sync).unwrap();
        assert!(bytes.len() < bytes.capacity());
        bytes
    }
}

/// The payload of one message, compressed by itself.
pub(crate) fn compressed(message: &[u8]) -> Vec<u8> {
    Peer::new(15).compress(message)
}

/// What a peer makes of messages whose compressed payloads these are, with a window that it keeps.
pub(crate) struct Reader(Decompress);

impl Reader {
    pub(crate) fn new(bits: u8) -> Self {
        Self(Decompress::new_with_window_bits(false, bits))
    }

    pub(crate) fn read(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let input = [payload, &TAIL].concat();
        let (mut read, mut out) = (0, Vec::new());
        loop {
            // Little room, so that what lies further back is in the window or nowhere.
            let mut room = [0; 64];
            let before = (self.0.total_in(), self.0.total_out());
            let status = self.0.decompress(&input[read..], &mut room, FlushDecompress::Sync);
            let status = status.map_err(|error| error.to_string())?;
            read += (self.0.total_in() - before.0) as usize;
            let written = (self.0.total_out() - before.1) as usize;
            out.extend_from_slice(&room[..written]);
            match status {
                Status::StreamEnd => return Err("the end of the stream".into()),
                _ if written == room.len() => {}
                _ if read == input.len() => return Ok(out),
                _ => return Err(format!("{status:?} at {read} of {}", input.len())),
            }
        }
    }
}

/// Text that compresses as text does.
pub(crate) fn prose(length: usize) -> String {
    let words = ["wire", "room", "frame", "message", "window", "räume", "комната", "😀", "1951", "7692"];
    let mut state = 7692_u32;
    let mut text = String::new();
    while text.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(words[(state >> 16) as usize % words.len()]);
        text.push(' ');
    }
    while text.len() > length {
        text.pop();
    }
    text.extend(std::iter::repeat_n('.', length - text.len()));
    text
}

/// Bytes that do not compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x7692_1951_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
