//! Floor 3, beside the opening handshake: a way to the server through a proxy, without I/O.
//!
//! ```text
//! Proxy::from_url, ProxyRules    which proxy, if any
//! Tunnel                         our bytes out, the proxy's in, until the tunnel stands: HTTP CONNECT or SOCKS5
//! ```
//!
//! What comes behind the proxy's answer stays unread: it is the first that the server said. A tunnel has no clock; the
//! caller's deadline for the opening handshake spans it. Names travel to the proxy, which looks them up, unless
//! [`Proxy::resolve_here`] says otherwise.
//!
//! | answer of the proxy | what becomes of it |
//! |---|---|
//! | HTTP 2xx (RFC 9110, 9.3.6) | the tunnel stands |
//! | HTTP 1xx | passed over, 8 at most |
//! | HTTP 407 | [`ProxyError::AuthenticationRequired`] |
//! | any other status | [`ProxyError::Refused`], with it and the reason |
//! | SOCKS5 reply 0 (RFC 1928, 6) | the tunnel stands |
//! | SOCKS5 reply 1 to 8, or another | [`ProxyError::Socks`], with its meaning |
//! | SOCKS5 without a method that we have (3) | [`ProxyError::NoMethod`] |
//! | SOCKS5 does not take user and password (RFC 1929, 2) | [`ProxyError::WrongCredentials`] |
//! | anything else, a head above `max_response_head`, the end of the stream | an error that says so |
//!
//! Neither [`Proxy`] nor an error shows a user or a password when it is printed.
//!
//! It knows bytes ([`crate::buffer`]) and heads of responses ([`crate::http`]), and nothing of WebSocket.

mod connect;
mod error;
mod no_proxy;
mod rules;
mod socks5;
mod tunnel;
mod url;

pub use error::{ProxyError, ProxyUrlError, SocksReply};
pub use rules::ProxyRules;
pub use tunnel::Tunnel;
pub use url::Proxy;

pub(crate) use url::{Credentials, Protocol};
