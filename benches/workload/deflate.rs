//! permessage-deflate: messages of JSON are compressed, and those of a client inflated.

use std::{fmt::Write, time::Instant};

use flate2::{Compress, Compression, FlushCompress};
use wireroom::{
    Config, Connection, PermessageDeflate,
    handshake::{Accepted, DeflateParams, Extensions},
};

use super::{frames::put_masked, receive::Receiver, send::Sender};

/// Whether windows are kept from message to message (RFC 7692 section 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takeover {
    Kept,
    Not,
}

/// The level that our settings begin with.
pub(crate) fn default_level() -> u8 {
    PermessageDeflate::default().level
}

/// A server that compresses `count` messages of `size` bytes in a run.
pub(crate) fn compressing(takeover: Takeover, level: u8, count: usize, size: usize) -> Sender {
    Sender::of(server(takeover, level), json(size, 0), count)
}

/// A server that inflates `count` messages of `size` bytes in a run, which a client compressed at level 6.
pub(crate) fn inflating(takeover: Takeover, count: usize, size: usize) -> Receiver {
    let mut compress = Compress::new(Compression::new(6), false);
    let mut input = Vec::new();
    for seed in 0..count {
        if takeover == Takeover::Not {
            compress.reset();
        }
        let mut payload = Vec::with_capacity(size + 64);
        let text = json(size, seed);
        compress.compress_vec(text.as_bytes(), &mut payload, FlushCompress::Sync).expect("room for all of it");
        // 7.2.1: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end"
        payload.truncate(payload.len() - 4);
        put_masked(&mut input, 0xC1, &payload, (seed as u32 ^ 0x5A5A_1234).to_ne_bytes());
    }
    Receiver::of(server(takeover, default_level()), input, count)
}

fn server(takeover: Takeover, level: u8) -> Connection {
    let not = takeover == Takeover::Not;
    let params =
        DeflateParams { server_no_context_takeover: not, client_no_context_takeover: not, ..DeflateParams::default() };
    let deflate = PermessageDeflate {
        server_no_context_takeover: not,
        client_no_context_takeover: not,
        level,
        ..PermessageDeflate::default()
    };
    let config = Config::builder().permessage_deflate(Some(deflate)).max_send_buffer(64 << 20).build();
    let accepted = Accepted::upgraded_elsewhere(None, Extensions::none().with_deflate(params));
    Connection::server(accepted, config.expect("settings in order"), Instant::now())
}

/// Events as a feed sends them; spaces fill what is left.
fn json(size: usize, seed: usize) -> String {
    let mut text = String::from("[");
    let mut number = seed as u32;
    while text.len() + 80 < size {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (id, user, price) = (number % 1_000_000, (number >> 8) % 5000, (number >> 4) % 100_000);
        let event = ["message", "join", "leave", "typing"][(number >> 28) as usize % 4];
        write!(text, "{{\"id\":{id},\"user\":\"user{user}\",\"event\":\"{event}\",\"price\":{price},\"on\":true}},")
            .expect("a String takes all");
    }
    text.pop();
    text.push(']');
    text.extend(std::iter::repeat_n(' ', size.saturating_sub(text.len())));
    text
}
