//! What `verify` answers, and the helpers on [`Request`] that make the answer.

use crate::http::{FieldLines, HeaderError, Request, Response};

/// The answer to a request.
///
/// ```
/// use wireroom::handshake::Verdict;
/// use wireroom::http::{Request, Response};
///
/// fn verify(request: &Request<'_>) -> Verdict {
///     match request.path() {
///         "/ws" => request.allow_origins(&["https://chat.example"]),
///         "/healthz" => Response::text(200, "ok").into(),
///         _ => request.reject(404, "not found"),
///     }
/// }
/// ```
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Upgrade. A request that did not ask for it is answered 426.
    Accept(Acceptance),
    /// A plain HTTP answer. A request that asked to upgrade is thereby refused, and the connection closed.
    Respond(Response),
    /// The answer comes later, within `response_timeout`. Until then nothing more is read.
    Defer,
    /// The response's head now, its content piece by piece: chunked, or until close in HTTP/1.0.
    Stream(Response),
}

impl Verdict {
    /// Selects a subprotocol, if this accepts; see [`Request::select_subprotocol`].
    pub fn with_subprotocol(self, subprotocol: Option<&str>) -> Self {
        match (self, subprotocol) {
            (Self::Accept(acceptance), Some(subprotocol)) => Self::Accept(acceptance.subprotocol(subprotocol)),
            (other, _) => other,
        }
    }

    /// Adds a header to the 101, if this accepts; see [`Acceptance::header`].
    pub fn with_header(self, name: &str, value: &str) -> Self {
        match self {
            Self::Accept(acceptance) => Self::Accept(acceptance.header(name, value)),
            other => other,
        }
    }
}

impl From<Acceptance> for Verdict {
    fn from(acceptance: Acceptance) -> Self {
        Self::Accept(acceptance)
    }
}

impl From<Response> for Verdict {
    fn from(response: Response) -> Self {
        Self::Respond(response)
    }
}

/// What goes into the 101: a subprotocol, and headers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acceptance {
    subprotocol: Option<Box<str>>,
    fields: FieldLines,
    fault: Option<HeaderError>,
    declines_extensions: bool,
}

impl Acceptance {
    /// Without a subprotocol or further headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects a subprotocol. It must be one that the client offers: another one is answered 500.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: &str) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// Adds a header.
    ///
    /// An invalid one, or one that belongs to the handshake, is never sent: the request is answered 500 in
    /// place of 101, and [`fault`](Self::fault) says why.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Err(fault) = push_handshake_field(&mut self.fields, name, value) {
            self.fault.get_or_insert(fault);
        }
        self
    }

    /// Declines every extension, for this connection alone: what it carries is not to be compressed.
    #[must_use]
    pub fn without_extensions(mut self) -> Self {
        self.declines_extensions = true;
        self
    }

    /// Adds a header, or says what is wrong with it.
    pub fn try_header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        push_handshake_field(&mut self.fields, name, value)?;
        Ok(self)
    }

    /// What makes this acceptance one that cannot be sent.
    pub fn fault(&self) -> Option<HeaderError> {
        self.fault
    }

    /// The subprotocol that was selected.
    pub fn selected_subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    pub(crate) fn takes_extensions(&self) -> bool {
        !self.declines_extensions
    }

    pub(crate) fn field_lines(&self) -> &[u8] {
        self.fields.as_bytes()
    }

    pub(crate) fn into_subprotocol(self) -> Option<Box<str>> {
        self.subprotocol
    }
}

/// The `Sec-WebSocket-` fields are the handshake's own.
pub(crate) fn push_handshake_field(fields: &mut FieldLines, name: &str, value: &str) -> Result<(), HeaderError> {
    let prefix = "sec-websocket-";
    if name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)) {
        return Err(HeaderError::Reserved);
    }
    fields.push(name, value)
}

impl<'b> Request<'b> {
    /// Accepts, whatever the `Origin`: the caller has looked at it, or does not serve browsers with
    /// credentials. See [`allow_origins`](Self::allow_origins).
    pub fn accept(&self) -> Acceptance {
        Acceptance::new()
    }

    /// Accepts if the `Origin` is one of these; else 403.
    ///
    /// RFC 6455, 10.2: a browser opens a WebSocket for any page, with the cookies of *this* site, and only the
    /// `Origin` tells whose page it was. Origins are `scheme://host[:port]`, without a path, and the same with
    /// the scheme's own port as without one; `null` can be named. A request without an `Origin`, as most clients other than browsers send it, is refused: see
    /// [`allow_origins_or_none`](Self::allow_origins_or_none).
    pub fn allow_origins(&self, origins: &[impl AsRef<str>]) -> Verdict {
        // What is not UTF-8 is like no text that can be allowed.
        match self.origin_bytes() {
            Some(origin) if origins.iter().any(|allowed| is_same_origin(allowed.as_ref().as_bytes(), origin)) => {
                Acceptance::new().into()
            }
            _ => self.reject(403, "origin not allowed\n"),
        }
    }

    /// Accepts if the `Origin` is one of these, or if there is none: browsers by name, other clients as they
    /// come. Those must then prove themselves by other means, if they must.
    pub fn allow_origins_or_none(&self, origins: &[impl AsRef<str>]) -> Verdict {
        match self.header_bytes("origin") {
            None => Acceptance::new().into(),
            Some(_) => self.allow_origins(origins),
        }
    }

    /// Accepts every `Origin`: the pages of all sites may connect, with the cookies of this one. An explicit
    /// choice, for services that know nobody, or know them by a token.
    pub fn allow_any_origin(&self) -> Verdict {
        Acceptance::new().into()
    }

    /// The first of `ours`, in our order of preference, that the client offers. Subprotocols are compared
    /// byte by byte.
    ///
    /// `request.allow_origins(..).with_subprotocol(request.select_subprotocol(&["chat"]))`
    pub fn select_subprotocol(&self, ours: &[impl AsRef<str>]) -> Option<&'b str> {
        ours.iter().find_map(|ours| self.subprotocols().find(|offered| *offered == ours.as_ref()))
    }

    /// Refuses, with a status and a text.
    pub fn reject(&self, status: u16, body: impl Into<bytes::Bytes>) -> Verdict {
        Response::text(status, body).into()
    }
}

/// RFC 6454, 5: the same scheme, host and port. 4: "If there is no port component [..] let /uri-port/ be the default port for
/// the protocol given by /uri-scheme/", which browsers leave out, and people may write.
fn is_same_origin(a: &[u8], b: &[u8]) -> bool {
    // Mostly they are written alike.
    a == b || without_default_port(a).eq_ignore_ascii_case(without_default_port(b))
}

fn without_default_port(origin: &[u8]) -> &[u8] {
    let is =
        |scheme: &str| origin.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()));
    let default = if is("http://") || is("ws://") {
        ":80"
    } else if is("https://") || is("wss://") {
        ":443"
    } else {
        return origin;
    };
    origin.strip_suffix(default.as_bytes()).unwrap_or(origin)
}

#[cfg(test)]
mod tests {
    use super::is_same_origin;

    #[test]
    fn rfc6454_section_5_origins_are_the_same_with_the_default_port_and_without() {
        for (a, b) in [
            ("http://host", "http://host"),
            ("http://host:80", "http://host"),
            ("HTTPS://Host", "https://hOST:443"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://[::80]", "http://[::80]:80"),
            ("wss://host:443", "wss://host"),
            ("null", "null"),
            ("app://host:80", "app://host:80"),
        ] {
            assert!(
                is_same_origin(a.as_bytes(), b.as_bytes()) && is_same_origin(b.as_bytes(), a.as_bytes()),
                "{a} {b}"
            );
        }
        for (a, b) in [
            ("http://host", "https://host"),
            ("http://host:443", "http://host"),
            ("https://host:80", "https://host"),
            ("http://host:8080", "http://host:80"),
            ("http://host.evil", "http://host"),
            ("http://host:80:80", "http://host"),
            ("http://host", "http://host/"),
            ("app://host:80", "app://host"),
            ("http://[::80]", "http://[:]"),
            ("http://h\u{f6}st", "http://h\u{d6}st"),
            ("", "null"),
        ] {
            assert!(
                !is_same_origin(a.as_bytes(), b.as_bytes()) && !is_same_origin(b.as_bytes(), a.as_bytes()),
                "{a} {b}"
            );
        }
        assert!(!is_same_origin("http://h\u{f6}st".as_bytes(), b"http://h\xf6st"));
    }
}
