//! Floor 2: frames become messages (RFC 6455 sections 5.4, 5.5, 8.1).
//!
//! The decoder finds the next message or control frame in a receive buffer: it unmasks, joins
//! fragments and checks text as the bytes arrive. [`PreparedMessage`] is a frame that was encoded once, for many.

pub(crate) mod decoder;
#[cfg(feature = "deflate")]
pub(crate) mod deflate;
mod prepared;
mod slow_consumer;
pub(crate) mod utf8;

use std::{fmt, ops::Deref};

#[cfg(feature = "deflate")]
pub(crate) use deflate::Inflation;
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use deflate::{Compression, DeflatePool};
pub(crate) use prepared::Encoded;
pub use prepared::PreparedMessage;
pub use slow_consumer::SlowConsumer;

/// Nobody inflates.
#[cfg(not(feature = "deflate"))]
#[derive(Debug)]
pub(crate) enum Inflation {}

use crate::frame::Opcode;

/// Text or binary (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

impl Kind {
    /// The opcode of a message's first frame.
    pub fn opcode(self) -> Opcode {
        match self {
            Kind::Text => Opcode::Text,
            Kind::Binary => Opcode::Binary,
        }
    }
}

/// A whole message, borrowed: to send one, anything that turns into it will do.
///
/// ```
/// use wireroom::Message;
///
/// assert_eq!(Message::from("hello"), Message::Text("hello".into()));
/// assert_eq!(Message::from(&[1, 2, 3][..]).as_bytes(), [1, 2, 3]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(Text<'a>),
    /// Bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// `payload` has been found to be what `kind` says, piece by piece.
    pub(crate) fn known_valid(kind: Kind, payload: &'a [u8]) -> Self {
        match kind {
            Kind::Text => Message::Text(Text::known_valid(payload)),
            Kind::Binary => Message::Binary(payload),
        }
    }

    /// A text that is known as a `str` already.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn is_str(&self) -> bool {
        matches!(self, Message::Text(Text(Checked::Whole(_))))
    }

    /// Text or binary.
    pub fn kind(&self) -> Kind {
        match self {
            Message::Text(_) => Kind::Text,
            Message::Binary(_) => Kind::Binary,
        }
    }

    /// The payload. Free for either kind.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&'a str> {
        match self {
            Message::Text(text) => Some(text.as_str()),
            Message::Binary(_) => None,
        }
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Text(text) => f.debug_tuple("Text").field(&text.as_str()).finish(),
            Message::Binary(bytes) => f.debug_tuple("Binary").field(bytes).finish(),
        }
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Message::Text(Text::from(text))
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Message::Text(Text::from(text.as_str()))
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Message::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Message::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Message::Binary(bytes)
    }
}

/// Bytes that are known to be UTF-8: a `str`, for which a received text that is short, or came in pieces, pays only when asked.
///
/// Text of 64 bytes or more that came in one piece was checked as a `str`, and [`Text::as_str`] is free. Shorter text was
/// checked in a way that makes no `str`; text that came in pieces was checked piece by piece, to fail as early as possible
/// (section 8.1). The type system knows nothing of either, so `as_str` looks over the bytes once more, each time that it is
/// asked, and so does what is used of a `str` by dereferencing. [`Text::as_bytes`] is always free, for those who only pass it on.
#[derive(Clone, Copy)]
pub struct Text<'a>(Checked<'a>);

#[derive(Clone, Copy)]
enum Checked<'a> {
    Whole(&'a str),
    Bytes(&'a [u8]),
}

impl<'a> Text<'a> {
    /// `bytes` have been found to be UTF-8, and no `str` was made of them.
    pub(crate) fn known_valid(bytes: &'a [u8]) -> Self {
        Self(Checked::Bytes(bytes))
    }

    /// The text's bytes.
    pub fn as_bytes(&self) -> &'a [u8] {
        match self.0 {
            Checked::Whole(text) => text.as_bytes(),
            Checked::Bytes(bytes) => bytes,
        }
    }

    /// The text.
    pub fn as_str(&self) -> &'a str {
        match self.0 {
            Checked::Whole(text) => text,
            // The decoder has seen every byte, so the default is never taken.
            Checked::Bytes(bytes) => utf8::check(bytes).unwrap_or_default(),
        }
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Checked::Whole(text))
    }
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text<'_> {}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A piece of a message, in the streaming mode: as much as has arrived. A frame of any length passes in constant
/// memory. Text is cut between characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The kind of the message and this piece of it.
    pub message: Message<'a>,
    /// This is the message's first piece.
    pub first: bool,
    /// This is the message's last piece.
    pub last: bool,
}
