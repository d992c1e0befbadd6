//! What the loop tells the `log` crate, with the feature `log`: how connections begin and end, and what they ran into, with
//! their ids. Never what they carried.
//!
//! | level | what |
//! |---|---|
//! | warn | `accept` fails, once until it succeeds again; a connection reached a limit or had a message dropped, once for each kind |
//! | info | a connection or an opening handshake was refused |
//! | debug | a connection opened; it ended, and why |

use std::{fmt::Display, io, net::SocketAddr};

use super::{ConnId, Connections};
use crate::{Cause, Closed, Event, ProtocolError, SendError, handshake::HandshakeError};

/// Without the feature a line costs nothing, and what it would say is still compiled.
macro_rules! line {
    ($level:ident, $($what:tt)*) => {{
        #[cfg(feature = "log")]
        ::log::$level!(target: "wireroom", $($what)*);
        #[cfg(not(feature = "log"))]
        if false {
            let _ = format_args!($($what)*);
        }
    }};
}

/// What a connection was warned of; the rest of its life it is quiet about that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Warned(u8);

#[derive(Clone, Copy, Debug)]
enum Kind {
    BufferFull = 1,
    QueueFull = 2,
    DroppedNewest = 4,
    DroppedOldest = 8,
}

impl Warned {
    fn is_new(&mut self, kind: Kind) -> bool {
        let before = self.0;
        self.0 |= kind as u8;
        before != self.0
    }
}

/// `accept` fails, for the first time or otherwise than before.
pub(super) fn accept_failed(listener: u16, error: &io::Error) {
    line!(warn, "listener {listener}: accepting fails: {error}");
}

pub(super) fn accepts_again(listener: u16) {
    line!(info, "listener {listener}: accepting again");
}

/// A connection was closed without an answer, and so never had an id.
pub(super) fn dropped(listener: u16, peer: Option<SocketAddr>, error: &HandshakeError) {
    line!(info, "listener {listener}: {} closed without an answer: {error}", told(peer));
}

/// A connection ended before it was open.
pub(super) fn unopened(id: ConnId, peer: Option<SocketAddr>, cause: &Cause) {
    match cause {
        Cause::Handshake(error) if error.status().is_some() => {
            line!(info, "{id}: not opened, {}: {}", told(peer), printable(error));
        }
        cause => line!(debug, "{id}: closed: {}", printable(cause)),
    }
}

impl Connections {
    pub(super) fn log_event(&mut self, id: ConnId, event: &Event<'_>) {
        match event {
            Event::Open => line!(debug, "{id}: open, {}", told(self.peer_addr(id))),
            Event::Dropped(dropped) => {
                if dropped.newest > 0 {
                    self.warn_of(id, Kind::DroppedNewest, "messages are dropped, the newest");
                }
                if dropped.oldest > 0 {
                    self.warn_of(id, Kind::DroppedOldest, "messages are dropped, the oldest");
                }
            }
            Event::Closed(closed) => log_end(id, closed),
            _ => {}
        }
    }

    /// `send` refused a message.
    #[cold]
    pub(super) fn log_refusal(&mut self, id: ConnId, error: SendError) {
        match error {
            SendError::BufferFull { .. } => self.warn_of(id, Kind::BufferFull, error),
            SendError::QueueFull { .. } => self.warn_of(id, Kind::QueueFull, error),
            _ => {}
        }
    }

    fn warn_of(&mut self, id: ConnId, kind: Kind, what: impl Display) {
        if self.slots.get_mut(id).is_some_and(|slot| slot.warned.is_new(kind)) {
            line!(warn, "{id}: {what}");
        }
    }
}

fn log_end(id: ConnId, closed: &Closed) {
    match closed.cause {
        Cause::Failed(ProtocolError::MessageTooBig { .. } | ProtocolError::TooManyFragments { .. })
        | Cause::SlowConsumer => line!(warn, "{id}: closed: {}", printable(closed)),
        _ => line!(debug, "{id}: closed: {}", printable(closed)),
    }
}

fn told(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "peer without an address".to_owned(), |peer| format!("peer {peer}"))
}

/// What a peer wrote may be among the words of an error: it must not make lines of its own, or move a terminal's cursor.
fn printable(what: impl Display) -> String {
    what.to_string().replace(char::is_control, "\u{fffd}")
}
