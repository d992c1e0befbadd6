//! Where a redirect leads (RFC 3986, section 5), and what may go along (RFC 9110, section 15.4).

use thiserror::Error;

use super::client_request::ClientRequest;
use super::error::ClientRequestError;

/// The longest `Location` that is followed, in bytes: as long as a request's target may be by default.
const MAX_LOCATION: usize = 8_192;

/// Fields that are for one origin only.
const PRIVATE: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// From `wss://` to a URL without TLS.
    #[error("it leads from wss:// to a URL without TLS")]
    Downgrade,
    /// To a scheme other than `ws`, `wss`, `http`, `https`.
    #[error("it leads to a scheme that is none of ws, wss, http and https")]
    Scheme,
    /// User information in the `Location`. RFC 9110, 4.2.4: "a recipient SHOULD parse for userinfo and treat its presence as an
    /// error; it is likely being used to obscure the authority for the sake of phishing attacks".
    #[error("its Location holds user information (RFC 9110, 4.2.4)")]
    Userinfo,
    /// A `Location` of more than 8,192 bytes.
    #[error("its Location has more than {limit} bytes")]
    TooLong {
        /// 8,192.
        limit: usize,
    },
    /// The `Location` is no URL.
    #[error("its Location is no URL: {0}")]
    Location(#[from] ClientRequestError),
}

impl ClientRequest {
    /// The request that follows a redirect to `location`, a URL or one relative to this request's: `http` means `ws`, `https`
    /// means `wss`, and a fragment is left out. Where scheme, host or port change, `Authorization`, `Cookie`,
    /// `Proxy-Authorization` and the URL's user information stay behind. All other headers go along, and so do the subprotocols:
    /// who keeps a token in one of those follows redirects only where it may be seen.
    ///
    /// ```
    /// use wireroom::handshake::{ClientRequest, RedirectError};
    ///
    /// let request = ClientRequest::new("ws://example.com/a/b?c")?;
    /// assert_eq!(request.redirected("../d")?.target(), "/d");
    /// assert!(request.redirected("https://example.com/a/b")?.is_secure());
    /// let request = ClientRequest::new("wss://example.com/")?;
    /// assert_eq!(request.redirected("http://example.com/"), Err(RedirectError::Downgrade));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Why it is not to be followed.
    pub fn redirected(&self, location: &str) -> Result<Self, RedirectError> {
        if location.len() > MAX_LOCATION {
            return Err(RedirectError::TooLong { limit: MAX_LOCATION });
        }
        let location = location.split('#').next().unwrap_or_default();
        let (scheme, rest) = split_scheme(location);
        let secure = match scheme.map(str::to_ascii_lowercase).as_deref() {
            None => self.secure,
            Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            Some(_) => return Err(RedirectError::Scheme),
        };
        if self.secure && !secure {
            return Err(RedirectError::Downgrade);
        }
        let (authority, target) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
                if authority.contains('@') {
                    return Err(RedirectError::Userinfo);
                }
                (authority, without_dots(target))
            }
            // A scheme without an authority is none of ours.
            None if scheme.is_some() => return Err(ClientRequestError::Host.into()),
            None => (self.authority.as_str(), self.resolved(rest)),
        };
        let mut request = Self::with_authority(secure, authority, target)?;
        request.subprotocols.clone_from(&self.subprotocols);
        request.deflate.clone_from(&self.deflate);
        let is_same_origin =
            request.secure == self.secure && request.port == self.port && request.host.eq_ignore_ascii_case(&self.host);
        if is_same_origin {
            request.fields = self.fields.clone();
            request.basic.clone_from(&self.basic);
        } else {
            request.fields =
                self.fields.without(|name| PRIVATE.iter().any(|private| private.eq_ignore_ascii_case(name)));
        }
        Ok(request)
    }

    /// RFC 3986, 5.2.2 and 5.2.3, for a reference without scheme and authority.
    fn resolved(&self, reference: &str) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        match reference.as_bytes().first() {
            None => self.target.clone(),
            Some(b'/') => without_dots(reference),
            Some(b'?') => format!("{path}{reference}"),
            Some(_) => {
                let folder = &path[..path.rfind('/').map_or(0, |slash| slash + 1)];
                without_dots(&format!("{folder}{reference}"))
            }
        }
    }
}

/// RFC 3986, 3.1: `scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`, before the first colon.
fn split_scheme(reference: &str) -> (Option<&str>, &str) {
    let Some((scheme, rest)) = reference.split_once(':') else { return (None, reference) };
    let mut bytes = scheme.bytes();
    let is_scheme = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    if is_scheme { (Some(scheme), rest) } else { (None, reference) }
}

/// RFC 3986, 5.2.4: removes the dot segments of a path that begins with a slash; the query stays as it is.
fn without_dots(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                // The folder that is left ends in a slash.
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use bytes::Buf as _;

    use super::*;
    use crate::buffer::SendQueue;

    fn wire(request: &ClientRequest) -> String {
        let mut queue = SendQueue::new();
        request.encode(&mut queue, *b"the sample nonce");
        String::from_utf8(queue.copy_to_bytes(queue.remaining()).to_vec()).unwrap()
    }

    #[test]
    fn rfc3986_section_5_4_examples() {
        let base = ClientRequest::new("ws://a/b/c/d;p?q").unwrap();
        for (reference, target) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("#s", "/b/c/d;p?q"),
            ("g#s", "/b/c/g"),
            ("g?y#s", "/b/c/g?y"),
            (";x", "/b/c/;x"),
            ("g;x", "/b/c/g;x"),
            ("", "/b/c/d;p?q"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../", "/b/"),
            ("../g", "/b/g"),
            ("../..", "/"),
            ("../../", "/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("../../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g.", "/b/c/g."),
            (".g", "/b/c/.g"),
            ("g..", "/b/c/g.."),
            ("..g", "/b/c/..g"),
            ("./../g", "/b/g"),
            ("./g/.", "/b/c/g/"),
            ("g/./h", "/b/c/g/h"),
            ("g/../h", "/b/c/h"),
            ("g;x=1/./y", "/b/c/g;x=1/y"),
            ("g;x=1/../y", "/b/c/y"),
            ("g?y/./x", "/b/c/g?y/./x"),
            ("g?y/../x", "/b/c/g?y/../x"),
        ] {
            let redirected = base.redirected(reference).unwrap();
            assert_eq!((redirected.target(), redirected.authority()), (target, "a"), "{reference}");
        }
        let elsewhere = base.redirected("//g").unwrap();
        assert_eq!((elsewhere.authority(), elsewhere.target()), ("g", "/"));
    }

    #[test]
    fn schemes_are_those_of_the_web_and_never_less_secure() {
        let plain = ClientRequest::new("ws://h:81/").unwrap();
        let secure = ClientRequest::new("wss://h/").unwrap();
        for (base, location, expected) in [
            (&plain, "http://x/y", Ok((false, "x", 80))),
            (&plain, "WS://x:82", Ok((false, "x", 82))),
            (&plain, "https://x", Ok((true, "x", 443))),
            (&plain, "/y", Ok((false, "h", 81))),
            (&plain, "//x", Ok((false, "x", 80))),
            (&secure, "wss://x:1/y", Ok((true, "x", 1))),
            (&secure, "//x", Ok((true, "x", 443))),
            (&secure, "ws://h/", Err(RedirectError::Downgrade)),
            (&secure, "http://h/", Err(RedirectError::Downgrade)),
            (&plain, "ftp://h/", Err(RedirectError::Scheme)),
            (&plain, "javascript:alert(1)", Err(RedirectError::Scheme)),
            (&plain, "http:/y", Err(ClientRequestError::Host.into())),
            (&plain, "http://", Err(ClientRequestError::Host.into())),
            (&plain, "http://u:p@x/", Err(RedirectError::Userinfo)),
            (&plain, "http://x:0/", Err(ClientRequestError::Port.into())),
            (&plain, "/a b", Err(ClientRequestError::Target.into())),
            (&plain, "/\u{e9}", Err(ClientRequestError::Target.into())),
        ] {
            let redirected = base.redirected(location);
            let seen = redirected.as_ref().map(|to| (to.is_secure(), to.host(), to.port())).map_err(|error| *error);
            assert_eq!(seen, expected, "{location}");
        }
        assert!(plain.redirected(&format!("/{}", "x".repeat(8_191))).is_ok());
        let long = plain.redirected(&format!("/{}", "x".repeat(8_192)));
        assert_eq!(long, Err(RedirectError::TooLong { limit: 8_192 }));
    }

    #[test]
    fn secrets_stay_at_the_origin_that_they_are_for() {
        let request = ClientRequest::new("ws://u:p@h:81/").unwrap();
        let request = request.header("Cookie", "a=b").unwrap().header("X-Own", "1").unwrap();
        let request = request.header("Proxy-Authorization", "x").unwrap().subprotocols(&["chat"]).unwrap();
        let private = |request: &ClientRequest| {
            let wire = wire(request).to_ascii_lowercase();
            assert!(wire.contains("x-own: 1\r\n") && wire.contains("sec-websocket-protocol: chat\r\n"), "{wire}");
            ["\r\nauthorization:", "\r\ncookie:", "\r\nproxy-authorization:"].map(|field| wire.contains(field))
        };
        for same in ["/y", "ws://H:81/y", "http://h:81"] {
            assert_eq!(private(&request.redirected(same).unwrap()), [true; 3], "{same}");
        }
        for other in ["ws://h/", "ws://h:82/", "wss://h:81/", "ws://x:81/", "ws://a.h:81/"] {
            assert_eq!(private(&request.redirected(other).unwrap()), [false; 3], "{other}");
        }
        let request = ClientRequest::new("ws://h/").unwrap().header("authorization", "x").unwrap();
        assert!(!wire(&request.redirected("//x").unwrap()).contains("uthorization"));
        assert!(wire(&request.redirected("/x").unwrap()).contains("authorization: x"));
    }
}
