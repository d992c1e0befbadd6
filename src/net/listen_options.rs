//! What a listener does beside listening.

use std::io;

#[cfg(feature = "tls")]
use super::ServerTls;
#[cfg(unix)]
use super::unix_listener::UnixSocket;
use super::{phase::Phase, preface::ProxyProtocol, socket::Stream};

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
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
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

    /// Speaks TLS: https and wss. A plain HTTP request is answered with 400 and a line that says so.
    ///
    /// The handle is shared: [`ServerTls::replace`] on any clone of it holds for the connections that come later.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    pub(super) fn speaks_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// An accepted stream, as its connection is to speak. TLS begins at once, or behind the header of a proxy.
    pub(super) fn wrap(&self, stream: Stream, phase: &Phase) -> io::Result<Stream> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let mut stream = tls.wrap(stream)?;
            if !matches!(phase, Phase::Preface(_)) {
                stream.begin(&[]);
            }
            return Ok(stream);
        }
        let _ = phase;
        Ok(stream)
    }
}
