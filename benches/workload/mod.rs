//! The work that is measured, without sockets. `in_process` times it and `guard` counts its instructions: both include this
//! folder, so they speak of the same.
//!
//! Each workload is made once, with its storage warm, and then run again and again: `run` answers how much it did.

#![allow(dead_code, clippy::disallowed_methods)] // each of the two uses a part; and here is a clock

#[cfg(feature = "deflate")]
pub(crate) mod deflate;
pub(crate) mod frames;
pub(crate) mod opening;
pub(crate) mod receive;
pub(crate) mod send;

use std::{hint::black_box, io::IoSlice, time::Instant};

use bytes::Buf;
use wireroom::{Config, Connection, SendQueue, handshake::Accepted};

/// A server's connection that is open, with limits that no workload reaches.
fn server() -> Connection {
    let config = Config::builder().max_message_size(64 << 20).max_send_buffer(64 << 20);
    let config = config.build().expect("a larger limit is valid");
    Connection::server(Accepted::upgraded_elsewhere(None, Default::default()), config, Instant::now())
}

/// Takes what waits, as a socket does that takes all: answers how many bytes.
fn drain(queue: &mut SendQueue) -> usize {
    let mut sent = 0;
    while queue.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 64];
        let count = queue.chunks_vectored(&mut slices);
        let offered = black_box(&slices[..count]).iter().map(|slice| slice.len()).sum();
        queue.advance(offered);
        sent += offered;
    }
    sent
}
