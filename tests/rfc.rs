//! The compliance table of RFC 6455: each MUST that binds an endpoint is a test named by its section.
//!
//! `rfc/musts.txt` lists every such sentence of the RFC with the tests that hold it, or with the reason why it
//! binds no code here; [`table`] holds the list and the tests together. `cargo test --test rfc section_7` is
//! the chapter on closing. All inputs are bytes written by hand, so that no mistake of the encoder can hide one
//! of the decoder; what is asserted is what a peer sees (bytes) and what a user sees (events).

#[path = "rfc/support.rs"]
mod support;

#[path = "rfc/handshake_support.rs"]
mod handshake_support;

#[path = "rfc/table.rs"]
mod table;

#[path = "rfc/section_4_client.rs"]
mod section_4_client;

#[path = "rfc/section_4_server.rs"]
mod section_4_server;

#[path = "rfc/section_5_framing.rs"]
mod section_5_framing;

#[path = "rfc/section_5_control.rs"]
mod section_5_control;

#[path = "rfc/section_6.rs"]
mod section_6;

#[path = "rfc/section_7.rs"]
mod section_7;

#[path = "rfc/section_8_to_11.rs"]
mod section_8_to_11;
