//! Errors by culprit: [`ProtocolError`] is the peer's, [`SendError`] and [`ConfigError`] are the caller's.
//! What goes wrong in the opening handshake is a [`HandshakeError`](crate::handshake::HandshakeError).

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
pub use tls::TlsError;

use crate::frame::CloseCode;

/// The peer broke RFC 6455, or a limit of ours. The connection fails (section 7.1.7): a Close frame with
/// [`ProtocolError::close_code`] is sent, then the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// 5.2: a reserved bit without an extension that gives it meaning, or on a frame where it gives it none.
    #[error("reserved bits {0:#05b} are set and no negotiated extension uses them here (RFC 6455 section 5.2)")]
    ReservedBits(u8),
    /// 5.2: opcodes 3 to 7 and 11 to 15.
    #[error("opcode {0:#x} is reserved (RFC 6455 section 5.2)")]
    ReservedOpcode(u8),
    /// 5.2: a length in more bytes than it needs.
    #[error("the payload length is not encoded in the fewest bytes (RFC 6455 section 5.2)")]
    NonMinimalLength,
    /// 5.2: a length with its top bit set.
    #[error("the payload length is above 2^63 - 1 (RFC 6455 section 5.2)")]
    LengthOutOfRange,
    /// 5.1: a client must mask.
    #[error("a client's frame is not masked (RFC 6455 section 5.1)")]
    UnmaskedFrame,
    /// 5.1: a server must not mask.
    #[error("a server's frame is masked (RFC 6455 section 5.1)")]
    MaskedFrame,
    /// 5.5: a control frame in fragments.
    #[error("a control frame is fragmented (RFC 6455 section 5.5)")]
    FragmentedControlFrame,
    /// 5.5: a control frame above 125 bytes.
    #[error("a control frame has more than 125 bytes (RFC 6455 section 5.5)")]
    LongControlFrame,
    /// 5.4: a continuation frame outside of a message.
    #[error("a continuation frame without a message to continue (RFC 6455 section 5.4)")]
    UnexpectedContinuation,
    /// 5.4: a new message inside of a fragmented one.
    #[error("a new message before the fragmented one is finished (RFC 6455 section 5.4)")]
    InterruptedMessage,
    /// 8.1: a text, or the reason of a Close, that is not UTF-8.
    #[error("text is not valid UTF-8 (RFC 6455 section 8.1)")]
    InvalidUtf8,
    /// RFC 7692, 7.2.2: a compressed message that is not DEFLATE data, or not all of it.
    #[error("a compressed message cannot be decompressed (RFC 7692 section 7.2.2)")]
    InvalidDeflate,
    /// 5.5.1: a Close frame with a payload of one byte.
    #[error("a Close frame with half a status code (RFC 6455 section 5.5.1)")]
    TruncatedCloseCode,
    /// 7.4: a status code that must not be sent.
    #[error("close code {0} must not be sent (RFC 6455 section 7.4)")]
    InvalidCloseCode(u16),
    /// A message above the limit.
    #[error("a message is bigger than the limit of {limit} bytes")]
    MessageTooBig {
        /// `Config::max_message_size`, or `Config::max_streamed_size` in the streaming mode.
        limit: u64,
    },
    /// A message of too many fragments.
    #[error("a message has more than {limit} fragments")]
    TooManyFragments {
        /// `Config::max_fragments`.
        limit: u32,
    },
}

impl ProtocolError {
    /// The status code that tells the peer (section 7.4.1).
    pub fn close_code(self) -> CloseCode {
        match self {
            // RFC 7692 names no code. 7.4.1: "data within a message that was not consistent with the type of the message".
            Self::InvalidUtf8 | Self::InvalidDeflate => CloseCode::INVALID_PAYLOAD,
            Self::MessageTooBig { .. } => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyFragments { .. } => CloseCode::POLICY_VIOLATION,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}

/// The caller asked to send what cannot be sent. Nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// A Close frame was queued or received, or the connection ended: "The application MUST NOT send any
    /// more data frames after sending a Close frame" (5.5.1).
    #[error("the connection is closing or closed")]
    Closed,
    /// The send queue has reached its limit; wait for `Event::Drain`, or give up on this peer.
    #[error("{buffered} bytes wait already, the limit is {limit}")]
    BufferFull {
        /// Bytes that wait; those of messages apart (see [`SlowConsumer`](crate::SlowConsumer)) with 128 more for each.
        buffered: usize,
        /// `Config::max_send_buffer`.
        limit: usize,
    },
    /// So many messages wait that no more are taken, however small they are; as [`SendError::BufferFull`].
    #[error("{limit} messages wait already")]
    QueueFull {
        /// `Config::max_send_messages`.
        limit: u32,
    },
    /// The payload of a Ping or Pong is above 125 bytes (5.5).
    #[error("a control frame holds at most 125 bytes, not {0} (RFC 6455 section 5.5)")]
    LongControlFrame(usize),
    /// A message in fragments is being written; only control frames may stand between its frames (5.4).
    #[error("a message in fragments is not finished yet (RFC 6455 section 5.4)")]
    UnfinishedMessage,
    /// Text that is not UTF-8 (8.1).
    #[error("text is not valid UTF-8 (RFC 6455 section 8.1)")]
    InvalidUtf8,
    /// No open connection has this id.
    #[error("no open connection has this id")]
    UnknownConnection,
}

/// A value that [`Config`](crate::Config) cannot work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Config::{field}: {reason}")]
pub struct ConfigError {
    /// The field's name.
    pub field: &'static str,
    /// What it has to be.
    pub reason: &'static str,
}
