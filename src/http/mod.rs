//! Floor 3: just enough HTTP/1.1 (RFC 9110, RFC 9112) for what comes before a WebSocket.
//!
//! A connection begins as HTTP: requests are read, bounded and answered until one of them upgrades. This
//! module parses [`Request`]s in place, encodes [`Response`]s, and runs the request -> response cycles
//! with keep-alive, pipelining, small bodies, deferred and streamed answers, and a lingering close.
//!
//! It knows bytes ([`crate::buffer`]) and nothing of WebSocket frames. It notes where the fields of an
//! opening handshake lie, because it passes them anyway, but what they mean is the matter of
//! [`crate::handshake`]. It has no clock: `now` is passed in.
//!
//! | file | what it holds |
//! |---|---|
//! | `scan` | lines and control bytes: one pass over the bytes, whatever their chunking |
//! | `head` | request and response heads: complete or partial, limits, framing rules |
//! | `forwarded` | [`Request::client_addr`]: who asks, behind proxies |
//! | `network` | [`Network`]: whom to trust |
//! | `fields` | comma lists, `Host`, cookies, credentials |
//! | `request` | [`Request`]: what `verify` sees |
//! | `response` | [`Response`]: what it answers |
//! | `body` | small bodies: `Content-Length`, chunked, until close |
//! | `exchange` | request -> response cycles on a connection before it upgrades |

mod body;
mod error;
mod exchange;
mod fields;
mod forwarded;
mod head;
mod network;
mod request;
mod response;
mod scan;

use std::time::Duration;

pub use error::{ExchangeError, HeaderError, RequestError, ResponseError, StreamError};
pub use fields::Cookies;
pub use forwarded::{ClientAddr, ClientNode, ForwardedHeader, TrustedProxies};
pub use head::{Headers, Version};
pub use network::{Network, NetworkError};
pub use request::{OwnedRequest, Request};
pub use response::Response;

pub(crate) use body::BodyDecoder;
pub(crate) use exchange::{Answer, Exchange, Polled};
pub(crate) use fields::{is_valid_host, trim, userinfo_text, without_brackets};
pub(crate) use head::{Known, ResponseHead, ResponseParser};
pub(crate) use response::FieldLines;
pub(crate) use scan::{ByteSet, is_token, is_token_byte};

/// The bounds on what HTTP may cost before a connection upgrades.
///
/// Each one has an answer on the wire, named below, so that the peer learns which limit it met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request head: request line, fields and the empty line. Default 16,384; beyond it 431.
    pub max_request_head: usize,
    /// Bytes of a request target. Default 8,192; beyond it 414.
    pub max_request_target: usize,
    /// Fields in a head, of a request or a response. Default 100; beyond it 431.
    pub max_headers: usize,
    /// Bytes of a request's content, decoded. Default 0: a request with content is answered 413.
    pub max_request_body: usize,
    /// Client: bytes of a response head. Default 16,384; beyond it the handshake fails.
    pub max_response_head: usize,
    /// Client: bytes kept of the content of a refusal. Default 65,536; the rest is cut off.
    pub max_response_body: usize,
    /// Requests answered on one connection before it is closed. Default 1,000.
    pub max_requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_request_head: 16_384,
            max_request_target: 8_192,
            max_headers: 100,
            max_request_body: 0,
            max_response_head: 16_384,
            max_response_body: 65_536,
            max_requests: 1_000,
        }
    }
}

/// How long HTTP may take before a connection upgrades. All are totals, not idle timers, unless said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Server: from the connection, or the last answer, until a request has arrived whole. Client: from
    /// the start until the response has. Default 5 seconds; a request that was begun is answered 408.
    pub handshake_timeout: Duration,
    /// From the moment an answer was deferred until it is given, and the longest time a peer may take
    /// nothing of a streamed answer. Default 30 seconds; a deferred request is answered 503.
    pub response_timeout: Duration,
    /// From the last answer until the connection is closed, should the peer not close it first, as long
    /// as it does not go on taking a large answer. Default 5 seconds.
    pub close_timeout: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
        }
    }
}

/// What a driver has to do with its transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Carry bytes.
    Open,
    /// Everything was written: shut the write side down, and go on reading until the peer has closed.
    ///
    /// A close with unread bytes would send RST, which can destroy the answer on its way (RFC 9112 9.6).
    ShutdownWrite,
    /// Close it. Nothing more is read or written.
    Close,
}

/// The answer to bytes given to a streamed response.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamStatus {
    /// The bytes were queued, and there is room for more.
    Queued,
    /// The bytes were queued, and the queue is now at or above its limit: wait until it has drained.
    Backpressure,
}
