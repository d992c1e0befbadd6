//! Floor 5 over loopback sockets: peers are raw streams with bytes written by hand, in the same thread as the loop.
//! Every wait is bounded: what does not come within ten seconds is a failure.

#![allow(clippy::disallowed_methods)] // sockets have a clock

#[path = "net/support.rs"]
mod support;

#[path = "net/accept.rs"]
mod accept;

#[cfg(unix)]
#[path = "net/any_order.rs"]
mod any_order;

#[path = "net/backpressure.rs"]
mod backpressure;

#[path = "net/client.rs"]
mod client;

#[path = "net/clock.rs"]
mod clock;

#[path = "net/closing.rs"]
mod closing;

#[path = "net/detach.rs"]
mod detach;

#[path = "net/drain.rs"]
mod drain;

#[path = "net/echo.rs"]
mod echo;

#[path = "net/fan_out.rs"]
mod fan_out;

#[path = "net/handle.rs"]
mod handle;

#[path = "net/http.rs"]
mod http;

#[path = "net/keepalive.rs"]
mod keepalive;

#[path = "net/large.rs"]
mod large;

#[path = "net/limits.rs"]
mod limits;

#[path = "net/loops.rs"]
mod loops;

#[path = "net/shutdown.rs"]
mod shutdown;

#[path = "net/stats.rs"]
mod stats;
