//! Floor 6: membership against a naive model, and hubs over loopback sockets.
//!
//! `table` has a test for each line of the table of `wireroom::rooms`. The clients are plain `TcpStream`s that write frames by
//! hand: what is compared is bytes.

#![allow(clippy::disallowed_methods)] // sockets have a clock
#![cfg(feature = "rooms")]

#[path = "rooms/stage.rs"]
mod stage;

#[path = "rooms/membership.rs"]
mod membership;

#[path = "rooms/slow_consumers.rs"]
mod slow_consumers;

#[path = "rooms/table.rs"]
mod table;

#[path = "rooms/hub.rs"]
mod hub;

#[path = "rooms/hubs.rs"]
mod hubs;

/// The id of a slot in its `generation`th life.
fn id(slot: u64, generation: u64) -> wireroom::ConnId {
    format!("0-{slot:x}-{generation:x}").parse().expect("an id")
}
