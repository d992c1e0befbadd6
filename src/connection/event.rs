//! What a connection tells its owner.

use std::{fmt, io};

use super::ConnectError;
use crate::{
    error::ProtocolError,
    frame::CloseFrame,
    handshake::HandshakeError,
    message::{Message, Part},
};

/// What happened. It borrows the receive buffer, not the connection: `connection.send(message)` type-checks in the
/// same match arm.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'b> {
    /// The opening handshake is complete: always the first event.
    Open,
    /// A whole message.
    Message(Message<'b>),
    /// A part of a message, in the streaming mode only.
    Part(Part<'b>),
    /// A Ping, at most 125 bytes. Its Pong is queued already (RFC 6455 section 5.5.2).
    Ping(&'b [u8]),
    /// A Pong, at most 125 bytes, asked for or not (section 5.5.3).
    Pong(&'b [u8]),
    /// The send queue has fallen to `Config::low_water_mark` after a send that answered with backpressure.
    Drain,
    /// Messages were dropped or replaced, for the peer reads too slowly: see [`SlowConsumer`](crate::SlowConsumer).
    Dropped(Dropped),
    /// The end: always the last event, and there is always one.
    Closed(Box<Closed>),
}

/// What was not sent to a slow peer since this was last told; once for many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Messages that were dropped when they were to be sent: `send` answered [`SendStatus::Dropped`](crate::SendStatus).
    pub newest: u64,
    /// Messages that had been accepted under [`SlowConsumer::DropOldest`](crate::SlowConsumer::DropOldest), and were dropped
    /// for later ones.
    pub oldest: u64,
    /// Messages that had been accepted, and were replaced by the next of the same key.
    pub replaced: u64,
}

/// How a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Closed {
    /// Why.
    pub cause: Cause,
    /// The Close frame that we sent, if it could still be queued.
    pub local: Option<CloseFrame>,
    /// The Close frame that the peer sent.
    pub peer: Option<CloseFrame>,
    /// Who sent the first Close frame.
    pub initiator: Option<Initiator>,
}

impl Closed {
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn without_frames(cause: Cause) -> Box<Self> {
        Box::new(Self { cause, local: None, peer: None, initiator: None })
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        for (who, frame) in [("we", &self.local), ("the peer", &self.peer)] {
            match frame {
                Some(CloseFrame { code: Some(code), reason }) if reason.is_empty() => write!(f, ", {who} sent {code}")?,
                Some(CloseFrame { code: Some(code), reason }) => write!(f, ", {who} sent {code} {reason:?}")?,
                Some(CloseFrame { code: None, .. }) => write!(f, ", {who} sent a Close without a code")?,
                None => {}
            }
        }
        Ok(())
    }
}

/// Why a connection ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// Both Close frames were exchanged (RFC 6455 section 7.1.4).
    Clean,
    /// The peer broke the protocol or a limit (section 7.1.7).
    Failed(ProtocolError),
    /// The opening handshake did not succeed.
    Handshake(HandshakeError),
    /// A client: the server was not reached, so there was no opening handshake with it, or a redirect was not followed.
    Connect(Box<ConnectError>),
    /// The stream ended without a closing handshake.
    Eof,
    /// The transport failed.
    Io(io::ErrorKind),
    /// A deadline passed.
    Timeout(Deadline),
    /// The peer read too slowly, and [`SlowConsumer::Close`](crate::SlowConsumer::Close) was in force. Whether it answered
    /// our Close is told by [`Closed::peer`].
    SlowConsumer,
    /// [`Connection::abort`](crate::Connection::abort) was called.
    Aborted,
    /// Plain HTTP: every request was answered, and none of them upgraded.
    Served,
    /// TLS was not agreed on, was broken off, or its stream was cut off.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    Tls(crate::TlsError),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Clean => f.write_str("closed cleanly"),
            Cause::Failed(error) => write!(f, "failed: {error}"),
            Cause::Handshake(error) => write!(f, "opening handshake: {error}"),
            Cause::Connect(error) => write!(f, "connecting: {error}"),
            Cause::Eof => f.write_str("the stream ended without a closing handshake"),
            Cause::Io(kind) => write!(f, "transport: {kind}"),
            Cause::Timeout(deadline) => write!(f, "{deadline}"),
            Cause::SlowConsumer => f.write_str("the peer read too slowly"),
            Cause::Aborted => f.write_str("aborted"),
            Cause::Served => f.write_str("plain HTTP, served"),
            #[cfg(feature = "tls")]
            Cause::Tls(error) => write!(f, "TLS: {error}"),
        }
    }
}

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deadline {
    /// No byte came within `Config::keepalive_timeout` after a Ping.
    Keepalive,
    /// The closing handshake took longer than `Config::close_timeout`.
    Close,
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Deadline::Keepalive => "the peer gave no sign of life within the keepalive timeout",
            Deadline::Close => "the closing handshake was not complete within the close timeout",
        })
    }
}

/// Who began the closing handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// This endpoint.
    Local,
    /// The peer.
    Peer,
}
