//! How a client reaches the server that its URL names.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

#[cfg(feature = "tls")]
use super::{ClientTls, Stream, tls::Shows};
use crate::proxy::{Proxy, ProxyRules};

/// As the times of a `Config`.
const MAX_TIME: Duration = Duration::from_secs(24 * 24 * 3600);

/// Looks a name up, on a thread where it may block.
pub(super) type Resolve = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// How [`EventLoop::connect_to`](super::EventLoop::connect_to) reaches a server: which addresses, how long, by which proxy,
/// behind how many redirects. All of it has to happen within `Config::handshake_timeout`.
///
/// | limit | default | what happens at it |
/// |---|---|---|
/// | [`attempt_timeout`](Self::attempt_timeout) | 5 s | the next address is tried |
/// | [`max_addresses`](Self::max_addresses) | 8 | those behind are not tried |
/// | [`max_names_waiting`](Self::max_names_waiting) | 256 | [`ConnectError::TooManyNames`](crate::ConnectError::TooManyNames) |
/// | [`max_redirects`](Self::max_redirects) | 0 | [`HandshakeError::Redirect`](crate::handshake::HandshakeError::Redirect), or [`ConnectError::TooManyRedirects`](crate::ConnectError::TooManyRedirects) |
///
/// ```
/// use std::time::Duration;
/// use wireroom::{ConnectOptions, proxy::Proxy};
///
/// let options = ConnectOptions::new()
///     .attempt_timeout(Duration::from_secs(2))
///     .max_redirects(3)
///     .proxy(Proxy::from_url("http://proxy.example:3128")?);
/// # Ok::<(), wireroom::proxy::ProxyUrlError>(())
/// ```
#[derive(Clone)]
pub struct ConnectOptions {
    pub(super) attempt_timeout: Duration,
    pub(super) max_addresses: usize,
    pub(super) max_names_waiting: usize,
    pub(super) max_redirects: u32,
    pub(super) route: Route,
    pub(super) resolver: Option<Arc<Resolve>>,
    #[cfg(feature = "tls")]
    tls: Option<ClientTls>,
}

/// By which proxy.
#[derive(Clone)]
pub(super) enum Route {
    Direct,
    Proxy(Arc<Proxy>),
    Rules(Arc<ProxyRules>),
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(5),
            max_addresses: 8,
            max_names_waiting: 256,
            max_redirects: 0,
            route: Route::Direct,
            resolver: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl ConnectOptions {
    /// The defaults: without a proxy, also if the environment names one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long one address may take to accept. Default 5 s, at most 24 days. An address that others stand behind has no more
    /// than its share of the time that is left: with the default `Config::handshake_timeout` of 5 s, the first of two has
    /// 2.5 s.
    #[must_use]
    pub fn attempt_timeout(mut self, time: Duration) -> Self {
        self.attempt_timeout = time.min(MAX_TIME);
        self
    }

    /// How many addresses of a name are tried, one behind the other: IPv6 and IPv4 in turns, IPv6 first (RFC 8305, section
    /// 4). Default 8; 0 counts as 1.
    #[must_use]
    pub fn max_addresses(mut self, addresses: usize) -> Self {
        self.max_addresses = addresses.max(1);
        self
    }

    /// How many names may wait for the event loop's resolver, which looks them up one by one; those of connections that have
    /// gone do not count. Default 256; 0 counts as 1.
    #[must_use]
    pub fn max_names_waiting(mut self, names: usize) -> Self {
        self.max_names_waiting = names.max(1);
        self
    }

    /// How many redirects are followed; see [`ClientRequest::redirected`](crate::handshake::ClientRequest::redirected) for where
    /// they lead and what goes along. A client's certificate is shown to the URL's host alone: behind a redirect to another one, to
    /// none. Default 0: a redirect is a
    /// [`HandshakeError::Redirect`](crate::handshake::HandshakeError::Redirect).
    #[must_use]
    pub fn max_redirects(mut self, redirects: u32) -> Self {
        self.max_redirects = redirects;
        self
    }

    /// Every connection takes this proxy.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.route = Route::Proxy(Arc::new(proxy));
        self
    }

    /// The rules say which proxy to take, such as those of the environment: [`ProxyRules::from_env`].
    #[must_use]
    pub fn proxy_rules(mut self, rules: ProxyRules) -> Self {
        self.route = Route::Rules(Arc::new(rules));
        self
    }

    /// Looks names up in place of the operating system, with the host and the port, on the event loop's resolver thread: it may
    /// block, and those behind wait. Addresses and `localhost` (RFC 6761, section 6.3) do not come here.
    #[must_use]
    pub fn resolver(
        mut self,
        resolve: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        self.resolver = Some(Arc::new(resolve));
        self
    }

    /// How `wss://` URLs are spoken to. Without it they are an error.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn tls(mut self, tls: ClientTls) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(super) fn speaks_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// A stream to `host`, on which TLS is about to begin.
    #[cfg(feature = "tls")]
    pub(super) fn wrap(&self, stream: Stream, host: &str, shows: Shows) -> io::Result<Stream> {
        let tls = self.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        tls.wrap(stream, host, shows)
    }

    pub(super) fn proxy_for(&self, secure: bool, host: &str, port: u16) -> Option<Proxy> {
        match &self.route {
            Route::Direct => None,
            Route::Proxy(proxy) => Some(Proxy::clone(proxy)),
            Route::Rules(rules) => rules.proxy_for(secure, host, port).cloned(),
        }
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Route::Direct => f.write_str("None"),
            Route::Proxy(proxy) => proxy.fmt(f),
            Route::Rules(rules) => rules.fmt(f),
        }
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("attempt_timeout", &self.attempt_timeout)
            .field("max_addresses", &self.max_addresses)
            .field("max_names_waiting", &self.max_names_waiting)
            .field("max_redirects", &self.max_redirects)
            .field("proxy", &self.route)
            .field("resolver", &self.resolver.as_ref().map(|_| "own"))
            .field("tls", &self.speaks_tls().then_some("own"))
            .finish()
    }
}
