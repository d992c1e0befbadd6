//! What can go wrong in an opening handshake, and whose fault it is.

use thiserror::Error;

use super::extensions::ExtensionsError;
use crate::http::{ExchangeError, HeaderError, Headers, RequestError, ResponseError};
use crate::proxy_protocol::ProxyError;

/// Why an opening handshake did not lead to a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The handshake did not finish within `handshake_timeout`.
    #[error("the opening handshake timed out")]
    Timeout,
    /// Server: a deferred answer was not given within `response_timeout`. The peer was answered 503.
    #[error("no answer was given to a deferred request in time")]
    ResponseTimeout,
    /// The peer closed before the handshake was over.
    #[error("the peer closed the connection during the opening handshake")]
    Eof,
    /// Server: the peer's request was not acceptable HTTP.
    #[error("bad request ({}): {}", .0.status(), .0)]
    Request(#[from] RequestError),
    /// Server: the peer's request breaks a rule of the opening handshake.
    #[error("bad upgrade request ({}): {}", .0.status(), .0)]
    Upgrade(#[from] UpgradeError),
    /// Server: `verify` answered a request to upgrade with this status.
    #[error("the request was answered with status {status}")]
    Rejected {
        /// The status of the answer.
        status: u16,
    },
    /// Server: the listener held as many connections as it may. The peer was answered 503, without being asked what it
    /// wanted; over TLS, if it came so far.
    #[error("{limit} connections are open already")]
    TooManyConnections {
        /// `Config::max_connections`.
        limit: usize,
    },
    /// Server: the peer's address (of IPv6 its /64) had as many connections as it may. The peer was answered 429, without
    /// being asked what it wanted; over TLS, if it came so far. Behind 64 other refusals it was not answered.
    #[error("{limit} connections are open from this address already")]
    TooManyConnectionsFromAddress {
        /// `Config::max_connections_per_address`.
        limit: usize,
    },
    /// Server: the peer is named as a proxy, and what it sent is no header of the PROXY protocol. It was answered 400,
    /// or, where the listener speaks TLS, which had not begun, not at all.
    #[error("bad PROXY protocol header: {0}")]
    Proxy(#[from] ProxyError),
    /// Server: the listener takes connections only from proxies that are named, and the peer is none. It was answered 403.
    #[error("this server is reached by way of its proxy")]
    NotFromProxy,
    /// Server: what `verify` accepted with cannot be sent. The peer was answered 500.
    #[error("invalid acceptance: {0}")]
    Acceptance(#[from] AcceptanceError),
    /// Client: the server's response is not HTTP as it should be.
    #[error("bad response: {0}")]
    Response(#[from] ResponseError),
    /// Client: the server switched protocols against the rules of the opening handshake.
    #[error("bad upgrade response: {0}")]
    Answer(#[from] AnswerError),
    /// Client: the server answered with something other than 101.
    #[error("the server refused the upgrade: {} {}", .0.status(), .0.reason().escape_debug())]
    Refused(Box<Refusal>),
    /// Client: the server answered with a redirect. Whether to follow it is up to the caller.
    #[error("the server redirects ({status}) to {}", .location.escape_debug())]
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`: a URL, or one relative to the request's.
        location: String,
    },
}

impl HandshakeError {
    /// The HTTP status of the answer, where there is one: some go unanswered, as is said of each. (Not of
    /// [`Timeout`](Self::Timeout), which a server answers with 408 if a request has begun.)
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Request(fault) => Some(fault.status()),
            Self::Upgrade(fault) => Some(fault.status()),
            Self::Rejected { status } | Self::Redirect { status, .. } => Some(*status),
            Self::Proxy(_) => Some(400),
            Self::NotFromProxy => Some(403),
            Self::Acceptance(_) => Some(500),
            Self::ResponseTimeout | Self::TooManyConnections { .. } => Some(503),
            Self::TooManyConnectionsFromAddress { .. } => Some(429),
            Self::Refused(refusal) => Some(refusal.status()),
            Self::Timeout | Self::Eof | Self::Response(_) | Self::Answer(_) => None,
        }
    }
}

impl From<ExchangeError> for HandshakeError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Timeout => Self::Timeout,
            ExchangeError::ResponseTimeout => Self::ResponseTimeout,
            ExchangeError::Eof => Self::Eof,
            ExchangeError::Request(fault) => Self::Request(fault),
        }
    }
}

/// Which rule of RFC 6455, section 4.2.1 a request to upgrade breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UpgradeError {
    /// A plain request was accepted as if it had asked to upgrade: the path requires it. Status 426.
    #[error("not a request to upgrade to websocket")]
    NotAnUpgrade,
    /// The method is not GET. Status 405.
    #[error("the method of an upgrade must be GET")]
    Method,
    /// `Connection` does not list `Upgrade`. Status 400.
    #[error("Connection does not list Upgrade")]
    Connection,
    /// `Sec-WebSocket-Version` is not 13. Status 426.
    #[error("Sec-WebSocket-Version is not 13")]
    Version,
    /// More than one `Sec-WebSocket-Version`. Status 400.
    #[error("more than one Sec-WebSocket-Version")]
    DuplicateVersion,
    /// No `Sec-WebSocket-Key`. Status 400.
    #[error("no Sec-WebSocket-Key")]
    MissingKey,
    /// More than one `Sec-WebSocket-Key`. Status 400.
    #[error("more than one Sec-WebSocket-Key")]
    DuplicateKey,
    /// The `Sec-WebSocket-Key` is not base64 of 16 bytes. Status 400.
    #[error("Sec-WebSocket-Key is not base64 of 16 bytes")]
    InvalidKey,
    /// `Sec-WebSocket-Protocol` is not a list of tokens. Status 400.
    #[error("Sec-WebSocket-Protocol is not a list of tokens")]
    Subprotocols,
    /// `Sec-WebSocket-Extensions` does not follow its grammar. Status 400.
    #[error(transparent)]
    Extensions(#[from] ExtensionsError),
}

impl UpgradeError {
    /// The status that answers this request.
    pub fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::NotAnUpgrade | Self::Version => 426,
            _ => 400,
        }
    }
}

/// What is wrong with an [`Acceptance`](super::Acceptance): a mistake of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcceptanceError {
    /// A subprotocol was selected that the client did not offer (RFC 6455, section 4.2.2).
    #[error("the selected subprotocol was not offered")]
    SubprotocolNotOffered,
    /// A header cannot be sent.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// Which rule of RFC 6455, section 4.1 a 101 response breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// `Upgrade` is missing or is not `websocket`.
    #[error("Upgrade is not websocket")]
    Upgrade,
    /// `Connection` does not list `Upgrade`.
    #[error("Connection does not list Upgrade")]
    Connection,
    /// No `Sec-WebSocket-Accept`.
    #[error("no Sec-WebSocket-Accept")]
    MissingAccept,
    /// More than one `Sec-WebSocket-Accept`.
    #[error("more than one Sec-WebSocket-Accept")]
    DuplicateAccept,
    /// `Sec-WebSocket-Accept` does not answer our key.
    #[error("Sec-WebSocket-Accept does not answer the key")]
    WrongAccept,
    /// An extension that was not offered.
    #[error("the server selected the extension {0:?}, which was not offered")]
    UnofferedExtension(String),
    /// `Sec-WebSocket-Extensions` on several lines, or against its grammar.
    #[error("malformed Sec-WebSocket-Extensions")]
    Extensions,
    /// An answer to our offer of permessage-deflate that RFC 7692, section 7.1 does not allow: a parameter that is
    /// unknown, invalid, repeated, or beyond what was offered.
    #[error("{0:?} is no answer to what was offered (RFC 7692, 7.1)")]
    Deflate(String),
    /// A subprotocol that was not offered.
    #[error("the server selected the subprotocol {0:?}, which was not offered")]
    UnofferedSubprotocol(String),
    /// More than one `Sec-WebSocket-Protocol`.
    #[error("more than one Sec-WebSocket-Protocol")]
    DuplicateSubprotocol,
}

/// What is wrong with a request that a client would send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ClientRequestError {
    /// The URL does not begin with `ws://` or `wss://`.
    #[error("not a ws:// or wss:// URL")]
    Scheme,
    /// The URL has a fragment (RFC 6455, section 3).
    #[error("a WebSocket URL must not have a fragment (RFC 6455, 3)")]
    Fragment,
    /// The host is missing or invalid.
    #[error("invalid host")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("invalid port")]
    Port,
    /// The user information is not percent-encoded UTF-8 without control characters, or the user holds a colon (RFC 7617, section
    /// 2).
    #[error("invalid user information")]
    Userinfo,
    /// The path or query holds a space, a control byte or a byte beyond ASCII: it must be percent-encoded.
    #[error("invalid path or query: it must be percent-encoded")]
    Target,
    /// A subprotocol that is not a token, or stands there twice (RFC 6455, section 4.1, item 10).
    #[error("subprotocols must be tokens, each of them once (RFC 6455, 4.1)")]
    Subprotocol,
    /// A header cannot be sent.
    #[error(transparent)]
    Header(#[from] HeaderError),
}

/// A response other than 101, bounded by the limits of the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refusal {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) fields: Box<[u8]>,
    pub(crate) body: Vec<u8>,
    pub(crate) truncated: bool,
}

impl Refusal {
    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, which may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The header fields, in order.
    pub fn headers(&self) -> Headers<'_> {
        Headers::new(&self.fields)
    }

    /// The value of the first field of this name, in any case, if it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The content, decoded, at most `max_response_body` bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether the content is not whole: it was longer than the limit, or did not arrive in time.
    pub fn is_truncated(&self) -> bool {
        self.truncated
    }
}
