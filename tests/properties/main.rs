//! Properties: random histories against the promises, each beside a model that is too simple to be wrong.
//!
//! | file | what a user would notice |
//! |---|---|
//! | `backoff` | waits between attempts stay below their limits, and begin anew only behind a connection that lasted |
//! | `closing` | whatever happens, one `Closed`, in time, and nothing behind a Close (RFC 6455 section 7) |
//! | `timers` | Pings, idle and dead peers' ends come when they are due, not before and not after |
//! | `send_queue` | everything that was accepted is sent once, in order; only control frames overtake, between frames |
//! | `opening` | both ends of an opening handshake come to the same, or the client is told why not |
//! | `frame` | a header is read as it was written, and only the shortest form is read |
//!
//! "Any cut, same events" is in `tests/cuts.rs`, the rooms' two maps are in `tests/rooms`, slow consumers in
//! `tests/slow_consumers`.

#[path = "../common/mod.rs"]
mod common;

mod backoff;
mod closing;
mod frame;
mod opening;
mod send_queue;
mod timers;
