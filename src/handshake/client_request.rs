//! What a client asks for: a `ws://` URL (RFC 6455, section 3), headers, subprotocols.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::accept_key::encode_nonce;
use super::deflate::DeflateOffer;
use super::error::ClientRequestError;
use super::verdict::push_handshake_field;
use crate::buffer::SendQueue;
use crate::http::{FieldLines, HeaderError, is_token, is_valid_host, userinfo_text, without_brackets};

/// A client's request to open a WebSocket. It can be used for any number of handshakes.
///
/// ```
/// use wireroom::handshake::ClientRequest;
///
/// let request = ClientRequest::new("ws://[::1]:9001/chat?room=lobby")?
///     .origin("https://chat.example")?
///     .subprotocols(&["chat.v2", "chat.v1"])?
///     .header("Authorization", "Bearer 0123")?;
/// assert_eq!((request.host(), request.port(), request.target()), ("::1", 9001, "/chat?room=lobby"));
/// # Ok::<(), wireroom::handshake::ClientRequestError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientRequest {
    pub(super) secure: bool,
    /// As in the `Host` field: brackets around IPv6, the port unless it is the default.
    pub(super) authority: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) target: String,
    /// From the URL's user information.
    pub(super) basic: Option<String>,
    pub(super) fields: FieldLines,
    pub(super) subprotocols: Vec<String>,
    pub(super) deflate: Vec<DeflateOffer>,
}

impl ClientRequest {
    /// Reads a URL: `ws://host[:port][/path][?query]`, or `wss://`.
    ///
    /// The default ports are 80 and 443. `user:password@` before the host becomes `Authorization: Basic`,
    /// unless a header of that name is given. A fragment is an error, as are bytes that are not
    /// percent-encoded.
    pub fn new(url: &str) -> Result<Self, ClientRequestError> {
        let (scheme, rest) = url.split_once("://").ok_or(ClientRequestError::Scheme)?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("ws") => false,
            _ if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(ClientRequestError::Scheme),
        };
        // RFC 6455, 3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be
        // used on these URIs."
        if rest.contains('#') {
            return Err(ClientRequestError::Fragment);
        }
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (userinfo, authority) = match authority.rsplit_once('@') {
            Some((userinfo, authority)) => (Some(userinfo), authority),
            None => (None, authority),
        };
        // RFC 6455, 3: resource-name: `"/" if the path component is empty`.
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let mut request = Self::with_authority(secure, authority, target)?;
        request.basic = userinfo.map(basic_from_userinfo).transpose()?;
        Ok(request)
    }

    /// From a host, with `:port` unless it is 80, and a target: path and query.
    pub fn for_target(authority: &str, target: &str) -> Result<Self, ClientRequestError> {
        Self::with_authority(false, authority, target.to_owned())
    }

    pub(super) fn with_authority(secure: bool, authority: &str, target: String) -> Result<Self, ClientRequestError> {
        let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match authority[after_brackets..].find(':') {
            Some(colon) => authority.split_at(after_brackets + colon),
            None => (authority, ""),
        };
        if !is_valid_host(host.as_bytes()) {
            return Err(ClientRequestError::Host);
        }
        let default = if secure { 443 } else { 80 };
        let port = match port.strip_prefix(':').unwrap_or("") {
            "" => default,
            digits if !digits.bytes().all(|byte| byte.is_ascii_digit()) => return Err(ClientRequestError::Port),
            digits => digits.parse().ok().filter(|&port| port != 0).ok_or(ClientRequestError::Port)?,
        };
        let valid = target.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'#');
        if !target.starts_with('/') || !valid {
            return Err(ClientRequestError::Target);
        }
        // RFC 6455, 4.1, item 4: a Host field "whose value contains /host/ plus optionally ":" followed by /port/
        // (when not using the default port)".
        let authority = if port == default { host.to_owned() } else { format!("{host}:{port}") };
        let host = without_brackets(host).ok_or(ClientRequestError::Host)?.to_owned();
        let (fields, subprotocols, deflate) = (FieldLines::default(), Vec::new(), Vec::new());
        Ok(Self { secure, authority, host, port, target, basic: None, fields, subprotocols, deflate })
    }

    /// Adds a header. The fields of the handshake cannot be replaced: an error says so.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, ClientRequestError> {
        if name.eq_ignore_ascii_case("host") {
            return Err(HeaderError::Reserved.into());
        }
        push_handshake_field(&mut self.fields, name, value)?;
        Ok(self)
    }

    /// Sets the `Origin`, which browsers send and servers may look at. Others need none.
    pub fn origin(self, origin: &str) -> Result<Self, ClientRequestError> {
        self.header("Origin", origin)
    }

    /// Offers subprotocols, in order of preference (RFC 6455, section 1.9).
    pub fn subprotocols(mut self, subprotocols: &[impl AsRef<str>]) -> Result<Self, ClientRequestError> {
        for subprotocol in subprotocols.iter().map(AsRef::as_ref) {
            // 4.1, item 10: "MUST be non-empty strings [..] and MUST all be unique strings".
            let repeated = self.subprotocols.iter().any(|offered| offered == subprotocol);
            if repeated || !is_token(subprotocol.as_bytes()) {
                return Err(ClientRequestError::Subprotocol);
            }
            self.subprotocols.push(subprotocol.to_owned());
        }
        Ok(self)
    }

    /// Offers permessage-deflate, in order of preference (RFC 7692, section 7.1): the server takes one or none. In place
    /// of what was offered before. An event loop does it as its `Config::permessage_deflate` says.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate_offers(mut self, offers: &[DeflateOffer]) -> Self {
        self.deflate = offers.to_vec();
        self
    }

    /// Whether the URL is `wss://`: the handshake must run inside TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host to connect to, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands in the `Host` field.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The subprotocols that are offered.
    pub fn offered_subprotocols(&self) -> &[String] {
        &self.subprotocols
    }

    pub(crate) fn offered_deflate(&self) -> &[DeflateOffer] {
        &self.deflate
    }

    /// RFC 6455, 4.1: the client's opening handshake.
    pub(crate) fn encode(&self, queue: &mut SendQueue, nonce: [u8; 16]) {
        let length = self.target.len() + self.authority.len() + self.fields.as_bytes().len();
        queue.append_with(256 + length, |out| {
            let mut push = |text: &[u8]| out.extend_from_slice(text);
            for part in ["GET ", &self.target, " HTTP/1.1\r\nHost: ", &self.authority] {
                push(part.as_bytes());
            }
            push(b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
            push(&encode_nonce(nonce));
            push(b"\r\nSec-WebSocket-Version: 13\r\n");
            for (place, subprotocol) in self.subprotocols.iter().enumerate() {
                push(if place == 0 { b"Sec-WebSocket-Protocol: " } else { b", " });
                push(subprotocol.as_bytes());
            }
            if !self.subprotocols.is_empty() {
                push(b"\r\n");
            }
            for (place, offer) in self.deflate.iter().enumerate() {
                push(if place == 0 { b"Sec-WebSocket-Extensions: " } else { b", " });
                push(offer.to_string().as_bytes());
            }
            if !self.deflate.is_empty() {
                push(b"\r\n");
            }
            if let Some(basic) = &self.basic
                && !self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            {
                for part in ["Authorization: Basic ", basic, "\r\n"] {
                    push(part.as_bytes());
                }
            }
            push(self.fields.as_bytes());
            push(b"\r\n");
        });
    }
}

impl std::fmt::Debug for ClientRequest {
    /// Without headers and user information: they hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientRequest")
            .field("secure", &self.secure)
            .field("authority", &self.authority)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// RFC 7617, 2: base64 of `user:password`, decoded from the URL.
fn basic_from_userinfo(userinfo: &str) -> Result<String, ClientRequestError> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let decoded = |text| userinfo_text(text).ok_or(ClientRequestError::Userinfo);
    let (user, password) = (decoded(user)?, decoded(password)?);
    // "a user-id containing a colon character is invalid": the server would take what follows for the password.
    if user.contains(':') {
        return Err(ClientRequestError::Userinfo);
    }
    Ok(STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;

    fn wire(request: &ClientRequest) -> String {
        let mut queue = SendQueue::new();
        request.encode(&mut queue, *b"the sample nonce");
        String::from_utf8(queue.copy_to_bytes(queue.remaining()).to_vec()).unwrap()
    }

    #[test]
    fn rfc6455_section_3_urls() {
        for (url, secure, host, port, authority, target) in [
            ("ws://example.com", false, "example.com", 80, "example.com", "/"),
            ("WS://example.com:80/", false, "example.com", 80, "example.com", "/"),
            ("wss://example.com/a/b?c=d", true, "example.com", 443, "example.com", "/a/b?c=d"),
            ("wss://example.com:80?q", true, "example.com", 80, "example.com:80", "/?q"),
            ("ws://[::1]:9001/x", false, "::1", 9001, "[::1]:9001", "/x"),
            ("ws://[::1]", false, "::1", 80, "[::1]", "/"),
            ("ws://127.0.0.1:/", false, "127.0.0.1", 80, "127.0.0.1", "/"),
            ("ws://u:p@h:81/@", false, "h", 81, "h:81", "/@"),
        ] {
            let request = ClientRequest::new(url).unwrap();
            assert_eq!(
                (request.is_secure(), request.host(), request.port(), request.authority(), request.target()),
                (secure, host, port, authority, target),
                "{url}"
            );
        }
        use ClientRequestError as E;
        for (url, error) in [
            ("example.com", E::Scheme),
            ("http://example.com", E::Scheme),
            ("ws:example.com", E::Scheme),
            ("ws://h/#f", E::Fragment),
            ("ws://h#", E::Fragment),
            ("ws://", E::Host),
            ("ws:///path", E::Host),
            ("ws://:80/", E::Host),
            ("ws://a b/", E::Host),
            ("ws://::1/", E::Host),
            ("ws://[::1/", E::Host),
            ("ws://[::1]x/", E::Host),
            ("ws://[v1.example.com]/", E::Host),
            ("ws://[fe80::1%25eth0]/", E::Host),
            ("ws://h:0/", E::Port),
            ("ws://h:65536/", E::Port),
            ("ws://h:+80/", E::Port),
            ("ws://h:a/", E::Port),
            ("ws://h/a b", E::Target),
            ("ws://h/\r\nX: y", E::Target),
            ("ws://h/\u{fc}", E::Target),
            ("ws://%zz@h/", E::Userinfo),
            ("ws://u%0a:p@h/", E::Userinfo),
            ("ws://a%3ab:c@h/", E::Userinfo),
        ] {
            assert_eq!(ClientRequest::new(url), Err(error), "{url}");
        }
        assert_eq!(ClientRequest::for_target("h:81", "/x").unwrap().authority(), "h:81");
        assert_eq!(ClientRequest::for_target("h", "x"), Err(E::Target));
    }

    #[test]
    fn rfc6455_section_4_1_request() {
        let request = ClientRequest::new("ws://h:81/x?y").unwrap();
        let request =
            request.subprotocols(&["a", "b"]).unwrap().header("X-Own", "1").unwrap().origin("http://o").unwrap();
        assert_eq!(
            wire(&request),
            "GET /x?y HTTP/1.1\r\nHost: h:81\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: a, b\r\nX-Own: 1\r\nOrigin: http://o\r\n\r\n"
        );
    }

    #[test]
    fn userinfo_becomes_basic_authorization_unless_given() {
        let request = ClientRequest::new("ws://Aladdin:open%20sesame@h/").unwrap();
        assert!(wire(&request).contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"));
        let request = request.header("authorization", "Bearer x").unwrap();
        assert_eq!(wire(&request).matches("uthorization").count(), 1);
    }

    #[test]
    fn own_headers_cannot_replace_the_required_ones() {
        for name in ["Host", "upgrade", "Connection", "SEC-WEBSOCKET-KEY", "Sec-WebSocket-Protocol", "Content-Length"] {
            let request = ClientRequest::new("ws://h/").unwrap();
            assert_eq!(request.header(name, "x"), Err(ClientRequestError::Header(HeaderError::Reserved)), "{name}");
        }
        let request = ClientRequest::new("ws://h/").unwrap();
        assert_eq!(request.clone().header("A", "b\r\nC: d"), Err(ClientRequestError::Header(HeaderError::Value)));
        assert_eq!(request.clone().subprotocols(&["a b"]), Err(ClientRequestError::Subprotocol));
        assert_eq!(request.subprotocols(&["a", "a"]), Err(ClientRequestError::Subprotocol));
    }
}
