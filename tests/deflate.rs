//! permessage-deflate (RFC 7692), by section. Frames of a peer are made by hand, and compressed by flate2.

#![allow(clippy::disallowed_methods)] // sockets have a clock

mod common;

#[path = "deflate/support.rs"]
mod support;

#[cfg(feature = "net")]
#[path = "deflate/any_order.rs"]
mod any_order;
#[path = "deflate/contexts.rs"]
mod contexts;
#[cfg(feature = "net")]
#[path = "deflate/event_loop.rs"]
mod event_loop;
#[path = "deflate/framing.rs"]
mod framing;
#[path = "deflate/inflation.rs"]
mod inflation;
#[path = "deflate/limits.rs"]
mod limits;
#[path = "deflate/negotiation.rs"]
mod negotiation;
#[path = "deflate/prepared.rs"]
mod prepared;
#[path = "deflate/round_trips.rs"]
mod round_trips;
