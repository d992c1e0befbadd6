//! What the fuzz targets do with the fuzzer's bytes: each `run` drives the library and panics when a promise is broken.
//!
//! | target | promise |
//! |---|---|
//! | [`frame_header`] | a header is read as RFC 6455 section 5.2 says, and `parse` and `encode` are each other's reverse |
//! | [`recv_cuts`] | however the bytes were cut on their way, the user and the peer see the same |
//! | [`server_handshake`] | only a valid request upgrades; answers are HTTP; what lies behind is neither lost nor misread |
//! | [`client_handshake`] | only a valid 101 establishes; our requests are ones that our server takes |
//! | [`proxy`] | a tunnel stands only where the RFCs say so; what comes through it is all there; nothing shows credentials |
//! | [`extensions`] | the grammar of RFC 6455 section 9.1; both sides of RFC 7692 section 7.1 come to the same parameters |
//! | [`inflate`] | compressed messages mean what another implementation of DEFLATE reads in them, within the limits |
//! | [`deflate`] | what was compressed here is inflated there, whatever the windows, fragments and cuts |
//! | [`pair`] | two connections through time and faults: one `Closed` each, nothing lost or reordered, memory bounded |
//! | [`rooms`] | the rooms against a naive model |
//! | [`proxy_protocol`] | a header is read the same for any cut; what a client writes does not reach beyond its place |
//! | [`differential`] | received bytes against tungstenite; where verdicts differ, the RFC's section is listed there |
//! | [`differential_handshake`] | the same for requests and responses |
//!
//! The functions know nothing of libFuzzer: `tests/seeds.rs` runs the committed seeds through them.

/// The tests' own pair, clock, frames by hand, and "any cut, same events".
#[path = "../../tests/common/mod.rs"]
pub mod common;

mod input;
mod printed;
mod reference;

pub mod client_handshake;
pub mod deflate;
pub mod differential;
pub mod differential_handshake;
pub mod extensions;
pub mod frame_header;
pub mod inflate;
pub mod pair;
pub mod proxy;
pub mod proxy_protocol;
pub mod recv_cuts;
pub mod rooms;
pub mod server_handshake;

/// What a target does with an input.
pub type Run = fn(&[u8]);

/// Each target by its name.
pub const TARGETS: [(&str, Run); 13] = [
    ("frame_header", frame_header::run),
    ("recv_cuts", recv_cuts::run),
    ("server_handshake", server_handshake::run),
    ("client_handshake", client_handshake::run),
    ("proxy", proxy::run),
    ("extensions", extensions::run),
    ("inflate", inflate::run),
    ("deflate", deflate::run),
    ("pair", pair::run),
    ("rooms", rooms::run),
    ("proxy_protocol", proxy_protocol::run),
    ("differential", differential::run),
    ("differential_handshake", differential_handshake::run),
];
