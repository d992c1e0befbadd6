//! Events that outlive the buffer they came in.

use std::fmt;

use super::text::{Bytes, Quoted};
use crate::{CloseFrame, Dropped, Event, Initiator, Kind, Message};

/// What the user of a connection saw: an [`Event`] with its payload, to compare and to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// [`Event::Open`].
    Open,
    /// A text.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// [`Event::Part`], in the streaming mode.
    Part {
        /// Of which kind the message is.
        kind: Kind,
        /// The bytes of this part.
        bytes: Vec<u8>,
        /// The message begins with it.
        first: bool,
        /// The message ends with it.
        last: bool,
    },
    /// A Ping's payload.
    Ping(Vec<u8>),
    /// A Pong's payload.
    Pong(Vec<u8>),
    /// [`Event::Drain`].
    Drain,
    /// [`Event::Dropped`].
    Dropped(Dropped),
    /// [`Event::Closed`].
    Closed(Ending),
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The `Debug` form of the [`Cause`](crate::Cause): `Clean`, `Failed(InvalidUtf8)`, `Timeout(Close)`, ..
    pub cause: String,
    /// Code and reason of our Close frame.
    pub local: Option<(Option<u16>, String)>,
    /// Code and reason of the peer's.
    pub peer: Option<(Option<u16>, String)>,
    /// Who closed first.
    pub initiator: Option<Initiator>,
}

impl Ending {
    /// The code of our Close frame.
    pub fn local_code(&self) -> Option<u16> {
        self.local.as_ref().and_then(|(code, _)| *code)
    }

    /// The code of the peer's.
    pub fn peer_code(&self) -> Option<u16> {
        self.peer.as_ref().and_then(|(code, _)| *code)
    }
}

impl From<&Event<'_>> for Seen {
    fn from(event: &Event<'_>) -> Self {
        let close = |frame: &Option<CloseFrame>| {
            frame.as_ref().map(|frame| (frame.code.map(|code| code.as_u16()), frame.reason.to_string()))
        };
        match event {
            Event::Open => Seen::Open,
            Event::Message(Message::Text(text)) => Seen::Text(text.as_str().to_owned()),
            Event::Message(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
            Event::Part(part) => Seen::Part {
                kind: part.message.kind(),
                bytes: part.message.as_bytes().to_vec(),
                first: part.first,
                last: part.last,
            },
            Event::Ping(payload) => Seen::Ping(payload.to_vec()),
            Event::Pong(payload) => Seen::Pong(payload.to_vec()),
            Event::Drain => Seen::Drain,
            Event::Dropped(dropped) => Seen::Dropped(*dropped),
            Event::Closed(closed) => Seen::Closed(Ending {
                cause: format!("{:?}", closed.cause),
                local: close(&closed.local),
                peer: close(&closed.peer),
                initiator: closed.initiator,
            }),
        }
    }
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        Self::from(&event)
    }
}

/// One line, as in a [`Transcript`](super::Transcript): a long payload by its start, its length and a checksum.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Open => f.write_str("Open"),
            Seen::Text(text) => write!(f, "Text {}", Quoted(text)),
            Seen::Binary(bytes) => write!(f, "Binary {}", Bytes(bytes)),
            Seen::Part { kind, bytes, first, last } => {
                let place = match (first, last) {
                    (true, true) => " first last",
                    (true, false) => " first",
                    (false, true) => " last",
                    (false, false) => "",
                };
                write!(f, "Part {kind:?}{place} {}", Bytes(bytes))
            }
            Seen::Ping(payload) => write!(f, "Ping {}", Bytes(payload)),
            Seen::Pong(payload) => write!(f, "Pong {}", Bytes(payload)),
            Seen::Drain => f.write_str("Drain"),
            Seen::Dropped(Dropped { newest, oldest, replaced }) => {
                write!(f, "Dropped newest {newest}, oldest {oldest}, replaced {replaced}")
            }
            Seen::Closed(ending) => write!(f, "Closed {ending}"),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        for (whose, frame) in [("local", &self.local), ("peer", &self.peer)] {
            match frame {
                Some((Some(code), reason)) => write!(f, ", {whose} {code} {}", Quoted(reason))?,
                Some((None, _)) => write!(f, ", {whose} empty")?,
                None => {}
            }
        }
        match self.initiator {
            Some(initiator) => write!(f, ", begun by {initiator:?}"),
            None => Ok(()),
        }
    }
}
