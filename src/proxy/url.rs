//! A proxy, as its URL says.

use std::fmt;

use super::error::ProxyUrlError;
use crate::http::{is_valid_host, userinfo_text, without_brackets};

/// The longest user and password (RFC 1929, section 2).
const MAX_SOCKS_FIELD: usize = 255;

/// A proxy: where it is, how it is spoken to, as whom.
///
/// ```
/// use wireroom::proxy::Proxy;
///
/// let proxy = Proxy::from_url("http://user:secret@proxy.example:3128")?;
/// assert_eq!((proxy.host(), proxy.port()), ("proxy.example", 3128));
/// assert!(!format!("{proxy:?} {proxy}").contains("secret"));
/// let proxy = Proxy::from_url("socks5://127.0.0.1")?;
/// assert_eq!(proxy.port(), 1080);
/// # Ok::<(), wireroom::proxy::ProxyUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) protocol: Protocol,
    host: String,
    port: u16,
    pub(super) credentials: Option<Credentials>,
    resolves_here: bool,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP CONNECT (RFC 9110, section 9.3.6).
    Connect,
    /// SOCKS5 (RFC 1928).
    Socks5,
}

/// Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl Proxy {
    /// Reads `http://`, `socks5://` or `socks5h://`, then `[user[:password]@]host[:port]`. User and password may be
    /// percent-encoded. The default port is 80 for `http`, else 1080. `socks5` and `socks5h` mean the same: the proxy looks
    /// names up.
    ///
    /// # Errors
    ///
    /// Which part is wrong; the URL is not repeated.
    pub fn from_url(url: &str) -> Result<Self, ProxyUrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(ProxyUrlError::Scheme)?;
        let (protocol, default) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Protocol::Connect, 80),
            "socks5" | "socks5h" => (Protocol::Socks5, 1080),
            _ => return Err(ProxyUrlError::Scheme),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if !matches!(path, "" | "/") {
            return Err(ProxyUrlError::Path);
        }
        let (userinfo, authority) = match authority.rsplit_once('@') {
            Some((userinfo, authority)) => (Some(userinfo), authority),
            None => (None, authority),
        };
        let (host, port) = host_and_port(authority)?;
        let port = if port == 0 { default } else { port };
        let credentials = userinfo.map(Credentials::from_userinfo).transpose()?;
        if let (Protocol::Socks5, Some(Credentials { user, password })) = (protocol, &credentials)
            && (user.is_empty() || user.len() > MAX_SOCKS_FIELD || password.len() > MAX_SOCKS_FIELD)
        {
            return Err(ProxyUrlError::Credentials);
        }
        // RFC 7617, 2: "a user-id containing a colon character is invalid, as the first colon in a user-pass string separates
        // user-id and password from one another".
        if protocol == Protocol::Connect && credentials.as_ref().is_some_and(|who| who.user.contains(':')) {
            return Err(ProxyUrlError::Userinfo);
        }
        Ok(Self { protocol, host: host.to_owned(), port, credentials, resolves_here: false })
    }

    /// Whether the server's name is looked up here, and the proxy told an address. By default the proxy is told the name,
    /// also where it has an address that is known here only.
    #[must_use]
    pub fn resolve_here(mut self, here: bool) -> Self {
        self.resolves_here = here;
        self
    }

    /// The proxy's host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The proxy's port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// See [`Proxy::resolve_here`].
    pub fn resolves_here(&self) -> bool {
        self.resolves_here
    }
}

/// `host[:port]`, without brackets; port 0 where there is none.
fn host_and_port(authority: &str) -> Result<(&str, u16), ProxyUrlError> {
    let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
    let (host, port) = match authority[after_brackets..].find(':') {
        Some(colon) => authority.split_at(after_brackets + colon),
        None => (authority, ""),
    };
    if !is_valid_host(host.as_bytes()) {
        return Err(ProxyUrlError::Host);
    }
    let port = match port.strip_prefix(':').unwrap_or("") {
        "" => 0,
        digits if !digits.bytes().all(|byte| byte.is_ascii_digit()) => return Err(ProxyUrlError::Port),
        digits => digits.parse().ok().filter(|&port| port != 0).ok_or(ProxyUrlError::Port)?,
    };
    Ok((without_brackets(host).ok_or(ProxyUrlError::Host)?, port))
}

impl Credentials {
    fn from_userinfo(userinfo: &str) -> Result<Self, ProxyUrlError> {
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let decoded = |text| userinfo_text(text).ok_or(ProxyUrlError::Userinfo);
        Ok(Self { user: decoded(user)?, password: decoded(password)? })
    }
}

impl fmt::Display for Proxy {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.protocol {
            Protocol::Connect => "http",
            Protocol::Socks5 => "socks5",
        };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Proxy {
    /// Without user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self}")?;
        if self.credentials.is_some() {
            f.write_str(", with credentials")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_what_is_wrong_is_told() {
        for (url, protocol, host, port, credentials) in [
            ("http://proxy.example", Protocol::Connect, "proxy.example", 80, None),
            ("HTTP://proxy.example:3128/", Protocol::Connect, "proxy.example", 3128, None),
            ("socks5://[::1]:9050", Protocol::Socks5, "::1", 9050, None),
            ("socks5h://h:", Protocol::Socks5, "h", 1080, None),
            ("http://u@h", Protocol::Connect, "h", 80, Some(("u", ""))),
            ("http://u:p%40%3a:x@h:1", Protocol::Connect, "h", 1, Some(("u", "p@::x"))),
            ("socks5://a%3ab:c@h", Protocol::Socks5, "h", 1080, Some(("a:b", "c"))),
        ] {
            let proxy = Proxy::from_url(url).unwrap();
            let who = proxy.credentials.as_ref().map(|who| (who.user.as_str(), who.password.as_str()));
            assert_eq!((proxy.protocol, proxy.host(), proxy.port(), who), (protocol, host, port, credentials), "{url}");
        }
        use ProxyUrlError as E;
        for (url, error) in [
            ("proxy:80", E::Scheme),
            ("https://proxy", E::Scheme),
            ("socks4://proxy", E::Scheme),
            ("http://", E::Host),
            ("http://a b", E::Host),
            ("http://::1", E::Host),
            ("http://[v1.example.com]", E::Host),
            ("http://[fe80::1%25eth0]", E::Host),
            ("http://h:0", E::Port),
            ("http://h:65536", E::Port),
            ("http://h:+1", E::Port),
            ("http://h/x", E::Path),
            ("http://h?x", E::Path),
            ("http://%0a@h", E::Userinfo),
            ("http://%ff@h", E::Userinfo),
            ("http://%z@h", E::Userinfo),
            ("http://a%3ab:c@h", E::Userinfo),
            ("socks5://:p@h", E::Credentials),
        ] {
            assert_eq!(Proxy::from_url(url), Err(error), "{url}");
        }
        for (length, taken) in [(255, true), (256, false)] {
            let text = "x".repeat(length);
            assert_eq!(Proxy::from_url(&format!("socks5://{text}:p@h")).is_ok(), taken, "user of {length}");
            assert_eq!(Proxy::from_url(&format!("socks5://u:{text}@h")).is_ok(), taken, "password of {length}");
            assert!(Proxy::from_url(&format!("http://{text}:{text}@h")).is_ok());
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        let proxy = Proxy::from_url("socks5://mallory:sesame@[::1]").unwrap();
        assert_eq!(format!("{proxy} {proxy:?}"), "socks5://[::1]:1080 Proxy(socks5://[::1]:1080, with credentials)");
        for url in ["http://mallory:sesame%zz@h", "http://mallory:sesame@h:x", "mallory:sesame@h"] {
            let error = Proxy::from_url(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("sesame"), "{error}");
        }
    }
}
