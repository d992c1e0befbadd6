//! A hostile world on real sockets: raw peers do to the `echo` and `client` examples what `SECURITY.md` promises to
//! withstand, and the resident size, the descriptors and the processor time of the example are read from `/proc`.
//!
//! Each figure is printed beside its bound, one line each: `promise 4: declared 2^63-1: 1009, +0.1 MiB (< 2 MiB)`.
//! The examples are looked for beside this test, where `cargo test` and `cargo build --examples` put them. What takes
//! minutes or a program of its own is ignored:
//!
//! `cargo build --release --examples && cargo test --release --test hostile -- --include-ignored --nocapture`

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods)] // sockets have a clock

mod figures;
mod peer;
mod server;
mod testee;

mod accepting;
mod at_rest;
#[cfg(feature = "deflate")]
mod bombs;
mod broadcasts;
mod client;
mod cycles;
mod handshakes;
mod headers;
mod keys_and_origins;
mod lengths;
mod limits;
mod liveness;
mod policies;
mod queues;
mod resets;
mod slow_handshakes;
