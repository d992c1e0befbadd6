//! A kit to test what you build on a [`Connection`], without sockets, threads or sleeping.
//!
//! With the feature `testing`, as a dependency of your tests alone; it works without `net`, too:
//!
//! ```toml
//! [dev-dependencies]
//! wireroom = { version = "0.1", features = ["testing"] }
//! ```
//!
//! # A handler, tested in five lines
//!
//! A handler is a function of a connection and an event. Give it to one end of a [`Pair`], and be the other end:
//!
//! ```
//! use wireroom::{Connection, Event, Message, testing::{Pair, Seen}};
//! # use std::time::Instant;
//!
//! fn shout(connection: &mut Connection, event: Event<'_>, _now: Instant) {
//!     if let Event::Message(Message::Text(text)) = event {
//!         let _ = connection.send(text.to_uppercase().as_str());
//!     }
//! }
//!
//! let mut pair = Pair::new();
//! pair.server.on_event(shout);
//! let _ = pair.client.send("hi")?;
//! pair.run();
//! assert_eq!(pair.client.take_seen(), [Seen::Text("HI".into())]);
//! # Ok::<(), wireroom::SendError>(())
//! ```
//!
//! # What to test, and with what
//!
//! | what happens | how |
//! |---|---|
//! | the opening handshake: origins, subprotocols, refusals | [`Pair::open`]; an answer that comes later: [`Opening`] |
//! | time: keepalive, idle and closing deadlines | [`Pair::advance`], on a [`Clock`] that only the test moves |
//! | bytes arrive in any pieces | [`Pair::cut`] with [`Cuts`]: byte by byte, of given sizes, at given points, by a seed |
//! | the peer reads slowly | [`Pair::narrow`], [`Pair::short_writes`]: backpressure, `Drain`, refusals |
//! | the connection is reset, one side is closed, the peer vanishes | [`Pair::reset`], [`Pair::half_close`], [`Pair::vanish`], between two [`Pair::step`]s at any byte |
//! | bytes are altered on the way | [`Wire::alter`] |
//! | the peer is hostile | [`frame`], [`header`] and [`masked`] make its frames; [`Endpoint::receive`] or [`Wire::inject`] deliver them |
//! | what happened once must not happen again | [`Transcript`]: recorded, committed as text, replayed |
//!
//! One end alone is an [`Endpoint`]: the test is its peer, its transport and its clock.
//!
//! # Deterministic
//!
//! There is no clock and no randomness in here: the same test does the same each time. Clocks begin at [`start`] or where
//! you say, masking keys come from [`keys`], the handshake's nonce is the one of RFC 6455 section 1.3, and what looks random
//! follows from a seed. So a client of this kit must never be let out to a network: section 10.3 wants keys that nobody can
//! predict.
//!
//! Rooms need no kit: [`Rooms`](../rooms/struct.Rooms.html) knows no sockets, and delivers to any
//! [`Outlet`](../rooms/trait.Outlet.html).

mod clock;
mod cuts;
mod endpoint;
mod entry;
mod frames;
mod opening;
mod pair;
mod seen;
mod text;
mod transcript;
mod wire;

use std::{sync::Arc, time::Instant};

pub use clock::{Clock, start};
pub use cuts::Cuts;
pub use endpoint::Endpoint;
pub use entry::TranscriptError;
pub use frames::{KEY, close_payload, frame, frames, header, masked};
pub use opening::Opening;
pub use pair::Pair;
pub use seen::{Ending, Seen};
pub use transcript::{Mismatch, Transcript};
pub use wire::Wire;

use crate::{
    Config, Connection, MaskingKeys,
    handshake::{Accepted, Established, Extensions},
};

/// Which side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The one that was connected to.
    Server,
    /// The one that connected: it masks its frames.
    Client,
}

/// Both, for a test that holds for either.
pub const ROLES: [Role; 2] = [Role::Server, Role::Client];

impl Role {
    /// The other side.
    pub fn peer(self) -> Self {
        match self {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        }
    }
}

/// An open connection on which `extensions` were agreed on, as if an opening handshake had been.
pub fn connection(role: Role, config: impl Into<Arc<Config>>, extensions: Extensions, now: Instant) -> Connection {
    match role {
        Role::Server => Connection::server(Accepted::upgraded_elsewhere(None, extensions), config, now),
        Role::Client => Connection::client(Established::upgraded_elsewhere(None, extensions), keys(), config, now),
    }
}

/// Masking keys that are all different, and the same in each run: for tests alone (RFC 6455 section 10.3).
pub fn keys() -> MaskingKeys {
    let mut n = 0x37fa_213d_u32;
    MaskingKeys::new(move || {
        n = n.wrapping_mul(0x9e37_79b1).wrapping_add(0x1234_567b);
        n.to_be_bytes()
    })
}
