//! What can be wrong with HTTP, sorted by culprit: the peer's request, the peer's response, the caller's header.

use thiserror::Error;

/// What is wrong with a request. Each has the status that answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A line feed without a carriage return before it.
    #[error("a line ends in a bare LF (RFC 9112, 2.2)")]
    BareLf,
    /// A carriage return without a line feed behind it.
    #[error("a bare CR in the head (RFC 9112, 2.2)")]
    BareCr,
    /// NUL or another control byte in the head.
    #[error("control byte 0x{0:02x} in the head (RFC 9110, 5.5)")]
    ControlByte(u8),
    /// The first line is not `method SP target SP version`.
    #[error("malformed request line (RFC 9112, 3)")]
    RequestLine,
    /// The target is in none of the forms of RFC 9112, section 3.2.
    #[error("malformed request target (RFC 9112, 3.2)")]
    Target,
    /// The target is longer than `max_request_target`.
    #[error("the request target is longer than {limit} bytes")]
    TargetTooLong {
        /// `max_request_target`.
        limit: usize,
    },
    /// The head is longer than `max_request_head`.
    #[error("the request head is longer than {limit} bytes")]
    HeadTooLarge {
        /// `max_request_head`.
        limit: usize,
    },
    /// More fields than `max_headers`.
    #[error("the request has more than {limit} header fields")]
    TooManyHeaders {
        /// `max_headers`.
        limit: usize,
    },
    /// A major version other than 1.
    #[error("HTTP version not supported: this is HTTP/1.1")]
    Version,
    /// CONNECT, which only a proxy serves.
    #[error("method not implemented")]
    Method,
    /// A field line without a colon, or whose name is not a token.
    #[error("malformed header field name (RFC 9110, 5.1)")]
    FieldName,
    /// Whitespace between a field's name and its colon.
    #[error("whitespace before the colon of a header field (RFC 9112, 5.1)")]
    WhitespaceBeforeColon,
    /// A field line that begins with whitespace.
    #[error("folded header field (RFC 9112, 5.2)")]
    ObsFold,
    /// No `Host` in an HTTP/1.1 request.
    #[error("no Host header field (RFC 9112, 3.2)")]
    MissingHost,
    /// More than one `Host`.
    #[error("more than one Host header field (RFC 9112, 3.2)")]
    DuplicateHost,
    /// A `Host` that is not `host [":" port]`.
    #[error("invalid Host header field (RFC 9112, 3.2)")]
    InvalidHost,
    /// More than one `Origin`: which one would be the truth?
    #[error("more than one Origin header field (RFC 6454, 7.3)")]
    DuplicateOrigin,
    /// A `Content-Length` that is not one number.
    #[error("invalid Content-Length (RFC 9110, 8.6)")]
    ContentLength,
    /// A `Transfer-Encoding` that repeats itself, or in HTTP/1.0.
    #[error("invalid Transfer-Encoding (RFC 9112, 6.1)")]
    TransferEncoding,
    /// `Content-Length` and `Transfer-Encoding` at once.
    #[error("both Content-Length and Transfer-Encoding (RFC 9112, 6.3)")]
    LengthAndCoding,
    /// A transfer coding other than `chunked`.
    #[error("unknown transfer coding (RFC 9112, 6.1)")]
    UnknownCoding,
    /// Content longer than `max_request_body`.
    #[error("the request's content is longer than {limit} bytes")]
    BodyTooLarge {
        /// `max_request_body`.
        limit: usize,
    },
    /// A request that asks to upgrade and has content.
    #[error("a request that upgrades must have no content")]
    BodyOnUpgrade,
    /// Chunked content that is malformed, or spends too much on chunk extensions.
    #[error("malformed chunked content (RFC 9112, 7.1)")]
    Chunk,
    /// Trailer fields over the bound.
    #[error("the trailer section is too large")]
    TrailerTooLarge,
    /// An `Expect` other than `100-continue`.
    #[error("unknown expectation (RFC 9110, 10.1.1)")]
    Expectation,
}

impl RequestError {
    /// The status that answers this request.
    pub fn status(self) -> u16 {
        match self {
            Self::BodyTooLarge { .. } => 413,
            Self::TargetTooLong { .. } => 414,
            Self::Expectation => 417,
            Self::HeadTooLarge { .. } | Self::TooManyHeaders { .. } | Self::TrailerTooLarge => 431,
            Self::Method | Self::UnknownCoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }
}

/// What is wrong with a response, seen by a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// The first line is not `HTTP/1.x SP status [SP reason]`.
    #[error("malformed status line (RFC 9112, 4)")]
    StatusLine,
    /// A bare CR, a bare LF, NUL or another control byte.
    #[error("control byte 0x{0:02x} in the response head")]
    ControlByte(u8),
    /// A malformed field line.
    #[error("malformed response header field (RFC 9112, 5)")]
    Field,
    /// The head is longer than `max_response_head`.
    #[error("the response head is longer than {limit} bytes")]
    HeadTooLarge {
        /// `max_response_head`.
        limit: usize,
    },
    /// More fields than `max_headers`.
    #[error("the response has more than {limit} header fields")]
    TooManyHeaders {
        /// `max_headers`.
        limit: usize,
    },
    /// More interim (1xx) responses than a server has reason to send.
    #[error("more than {limit} interim responses")]
    TooManyInterim {
        /// How many are passed over.
        limit: u32,
    },
}

/// A header that cannot be sent. Nothing of it reaches the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is not a token (RFC 9110, section 5.1).
    #[error("a header's name is not a token (RFC 9110, 5.1)")]
    Name,
    /// The value holds CR, LF, NUL or another control byte (RFC 9110, section 5.5).
    #[error("a header's value holds a control byte (RFC 9110, 5.5)")]
    Value,
    /// The field is one that is set here: `Connection`, `Content-Length`, `Transfer-Encoding`, `Upgrade`,
    /// and in a handshake `Host` and the `Sec-WebSocket-` fields.
    #[error("this header is set by the library")]
    Reserved,
    /// The status is not one of a final response (200 to 599).
    #[error("not the status of a final response")]
    Status,
}

/// Why a connection's request -> response cycles ended without an upgrade, other than cleanly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// No whole request within `handshake_timeout`, or an answer that the peer did not take.
    #[error("timed out")]
    Timeout,
    /// A deferred answer was not given within `response_timeout`; the peer was answered 503.
    #[error("no answer was given in time")]
    ResponseTimeout,
    /// The peer closed in the middle of a request, or before it had its answer.
    #[error("the peer closed the connection")]
    Eof,
    /// The request was refused.
    #[error(transparent)]
    Request(#[from] RequestError),
}

/// Why bytes given to a streamed response were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The queue is at its limit. Nothing was taken: try again when it has drained.
    #[error("the outgoing queue is at its limit")]
    BufferFull,
    /// No response is being streamed (any more).
    #[error("no response is being streamed")]
    NotStreaming,
}
