//! A request as `verify` sees it.

use std::fmt;
use std::net::SocketAddr;

use super::fields::{Cookies, ListItems, basic_credentials, credentials};
use super::head::{Headers, Known, RequestHead, Version};

/// A request whose head was validated and whose content, if any, is complete. It borrows the receive buffer.
///
/// ```
/// use wireroom::http::{Request, Response};
///
/// fn page(request: &Request<'_>) -> Response {
///     match request.path() {
///         "/" => Response::html("<!doctype html><title>hello</title>"),
///         _ => Response::text(404, "not found"),
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Request<'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) body: &'b [u8],
    pub(crate) head: &'b RequestHead,
    pub(crate) peer_addr: Option<SocketAddr>,
}

impl<'b> Request<'b> {
    /// The method, in the case in which it came: methods are case-sensitive (RFC 9110, section 9.1).
    pub fn method(&self) -> &'b str {
        ascii(self.head.method(self.bytes))
    }

    /// The target as it came: `/path?query`, or `http://host/path?query` in absolute form.
    pub fn target(&self) -> &'b str {
        ascii(self.head.target(self.bytes))
    }

    /// The path, still percent-encoded: `/` if an absolute-form target has none, `*` for `OPTIONS *`.
    pub fn path(&self) -> &'b str {
        match self.path_and_query().split_once('?').map_or(self.path_and_query(), |(path, _)| path) {
            "" => "/",
            path => path,
        }
    }

    /// What follows the first `?`, still percent-encoded.
    pub fn query(&self) -> Option<&'b str> {
        self.path_and_query().split_once('?').map(|(_, query)| query)
    }

    fn path_and_query(&self) -> &'b str {
        ascii(self.bytes.get(self.head.path_start as usize..self.head.target_end as usize).unwrap_or(b""))
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The host, with its port if one was given. An absolute-form target's host wins over the `Host` field
    /// (RFC 9112, section 3.2.2). `None` only in HTTP/1.0.
    pub fn host(&self) -> Option<&'b str> {
        match self.head.target_authority(self.bytes) {
            Some(authority) => Some(ascii(authority)),
            None => self.known(Known::Host),
        }
    }

    /// All header fields, in order, as `(name, value)`. A value is bytes: it need not be UTF-8.
    pub fn headers(&self) -> Headers<'b> {
        self.head.fields.iter(self.bytes)
    }

    /// The value of the first field of this name, in any case, if it is UTF-8.
    ///
    /// [`header_bytes`](Self::header_bytes) tells a field that is missing from one that is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&'b str> {
        self.header_bytes(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The value of the first field of this name, in any case.
    pub fn header_bytes(&self, name: &str) -> Option<&'b [u8]> {
        self.header_all(name).next()
    }

    /// The values of all fields of this name, in any case, in order.
    pub fn header_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        self.headers().filter(move |(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The `Origin`: for a browser, the site whose page made this request (RFC 6454).
    ///
    /// A request with two is refused before it gets here. `Some("null")` is an origin that the browser
    /// hides. Other clients mostly send none, and can send any.
    pub fn origin(&self) -> Option<&'b str> {
        self.known(Known::Origin)
    }

    /// The same as it came.
    pub(crate) fn origin_bytes(&self) -> Option<&'b [u8]> {
        self.head.fields.first(self.bytes, Known::Origin)
    }

    /// The subprotocols that the client offers, in its order of preference (RFC 6455, section 11.3.4).
    pub fn subprotocols(&self) -> impl Iterator<Item = &'b str> + use<'b> {
        let lines = self.head.fields.all(self.bytes, Known::SecWebSocketProtocol);
        lines.flat_map(ListItems::new).filter_map(|item| std::str::from_utf8(item).ok())
    }

    /// The values of the `Sec-WebSocket-Extensions` lines as they came (RFC 6455, section 9.1).
    pub fn extensions(&self) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        self.head.fields.all(self.bytes, Known::SecWebSocketExtensions)
    }

    /// All cookies, as `(name, value)` (RFC 6265, section 5.4).
    pub fn cookies(&self) -> Cookies<'b> {
        Cookies::new(self.headers())
    }

    /// The first cookie of this name.
    pub fn cookie(&self, name: &str) -> Option<&'b str> {
        self.cookies().find(|(found, _)| *found == name).map(|(_, value)| value)
    }

    /// User and password of `Authorization: Basic` (RFC 7617).
    ///
    /// A browser cannot set this field on a WebSocket, except by a user in its URL.
    pub fn basic_auth(&self) -> Option<(String, String)> {
        basic_credentials(credentials(self.header("authorization")?, "basic")?)
    }

    /// The token of `Authorization: Bearer` (RFC 6750, section 2.1).
    pub fn bearer_token(&self) -> Option<&'b str> {
        credentials(self.header("authorization")?, "bearer").filter(|token| !token.is_empty())
    }

    /// The content, decoded, at most `max_request_body` bytes.
    pub fn body(&self) -> &'b [u8] {
        self.body
    }

    /// The peer's address, if the driver knows one: over a Unix-domain socket there is none, and behind a
    /// proxy it is the proxy's, unless that speaks the PROXY protocol; see also [`client_addr`](Self::client_addr).
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Whether this asks to become a WebSocket: HTTP/1.1, and `Upgrade` names `websocket`.
    ///
    /// Where it is true and `verify` sees the request, the rest of the opening handshake is valid too.
    pub fn is_upgrade(&self) -> bool {
        self.head.is_upgrade
    }

    /// A copy of its own, to be kept.
    pub fn to_owned(&self) -> OwnedRequest {
        OwnedRequest { bytes: self.bytes.into(), body: self.body.to_vec(), head: *self.head, peer_addr: self.peer_addr }
    }

    /// A noted field's value, if it is UTF-8.
    fn known(&self, known: Known) -> Option<&'b str> {
        self.head.fields.first(self.bytes, known).and_then(|value| std::str::from_utf8(value).ok())
    }
}

impl fmt::Debug for Request<'_> {
    /// Method and target only: headers hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .field("peer_addr", &self.peer_addr)
            .finish_non_exhaustive()
    }
}

/// A request that owns its bytes: what is kept while an answer is deferred.
#[derive(Clone)]
pub struct OwnedRequest {
    pub(crate) bytes: Box<[u8]>,
    pub(crate) body: Vec<u8>,
    pub(crate) head: RequestHead,
    pub(crate) peer_addr: Option<SocketAddr>,
}

impl OwnedRequest {
    /// The request.
    pub fn as_request(&self) -> Request<'_> {
        Request { bytes: &self.bytes, body: &self.body, head: &self.head, peer_addr: self.peer_addr }
    }
}

impl fmt::Debug for OwnedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_request().fmt(f)
    }
}

/// What the parser let through as ASCII is ASCII.
fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or("")
}
