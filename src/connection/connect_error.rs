//! Why a client has not reached the server that its URL names.

use std::{fmt, io, net::SocketAddr};

use thiserror::Error;

use crate::{handshake::RedirectError, proxy::ProxyError};

/// Why there was no opening handshake with the server, or why a redirect was not followed. That the time for it all has run
/// out is [`HandshakeError::Timeout`](crate::handshake::HandshakeError::Timeout).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The name was not found, or the search failed.
    #[error("{host:?} was not found: {}", .reason.escape_debug())]
    Resolve {
        /// The name that was looked up: the server's, or the proxy's.
        host: Box<str>,
        /// The kind of the error.
        kind: io::ErrorKind,
        /// What the resolver said.
        reason: Box<str>,
    },
    /// The resolver answered without an address.
    #[error("{host:?} has no address")]
    NoAddress {
        /// The name that was looked up.
        host: Box<str>,
    },
    /// So many names wait for the resolver already.
    #[error("{limit} names wait to be looked up already")]
    TooManyNames {
        /// `ConnectOptions::max_names_waiting`.
        limit: usize,
    },
    /// No address could be reached. It holds all that were tried, in order.
    #[error("no address could be reached: {}", Listed(.attempts))]
    Unreachable {
        /// At most `ConnectOptions::max_addresses`.
        attempts: Vec<FailedAttempt>,
    },
    /// The proxy does not lead there.
    #[error("{0}")]
    Proxy(#[from] ProxyError),
    /// The server redirects to where we do not go.
    #[error("the server redirects, and {0}")]
    Redirect(#[from] RedirectError),
    /// More redirects than are followed.
    #[error("more than {limit} redirects, the next one to {}", .location.escape_debug())]
    TooManyRedirects {
        /// `ConnectOptions::max_redirects`.
        limit: u32,
        /// The `Location` that was not followed: a URL, or one relative to the last request's.
        location: Box<str>,
    },
    /// A redirect leads to a `wss://` URL.
    #[error("a wss:// URL needs TLS, which this event loop lacks")]
    NoTls,
    /// No certificate can be for the URL's host: it is neither a DNS name nor an address.
    #[error("{host:?} is no name that TLS could verify")]
    ServerName {
        /// The URL's host.
        host: Box<str>,
    },
    /// The operating system has no randomness, or no sockets.
    #[error("{0}")]
    Io(io::ErrorKind),
}

/// An address that was tried, of the server or of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// The address.
    pub address: SocketAddr,
    /// Why not; [`TimedOut`](io::ErrorKind::TimedOut) after `ConnectOptions::attempt_timeout` or its share.
    pub error: io::ErrorKind,
}

impl fmt::Display for FailedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.error)
    }
}

struct Listed<'a>(&'a [FailedAttempt]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, attempt) in self.0.iter().enumerate() {
            write!(f, "{}{attempt}", if place == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}
