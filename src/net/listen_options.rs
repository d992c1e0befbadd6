//! What a listener does beside listening.

use super::preface::ProxyProtocol;
#[cfg(unix)]
use super::unix_listener::UnixSocket;

/// How a listener takes its connections in, for [`EventLoop::listen_with`](super::EventLoop::listen_with) and its kind. The
/// default is that of [`EventLoop::listen`](super::EventLoop::listen): HTTP from the first byte on.
///
/// ```
/// use wireroom::{Config, EventLoop, ListenOptions, ProxyProtocol};
///
/// let proxies = ProxyProtocol::from_sources(["10.0.0.0/8".parse()?]);
/// let options = ListenOptions::new().proxy_protocol(proxies);
/// let mut event_loop = EventLoop::new()?;
/// event_loop.listen_with("127.0.0.1:0".parse()?, options, Config::default(), |_id, request| {
///     println!("{:?}", request.peer_addr()); // the client's, as the proxy says
///     request.allow_any_origin()
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ListenOptions {
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    #[cfg(unix)]
    pub(super) unix: UnixSocket,
}

impl ListenOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Connections begin with a header of the PROXY protocol, those of the proxies that are named.
    #[must_use]
    pub fn proxy_protocol(mut self, proxies: ProxyProtocol) -> Self {
        self.proxy_protocol = Some(proxies);
        self
    }

    /// What is done about the file of a Unix-domain socket. Without meaning for TCP, and for listeners made elsewhere.
    #[cfg(unix)]
    #[must_use]
    pub fn unix(mut self, socket: UnixSocket) -> Self {
        self.unix = socket;
        self
    }
}
