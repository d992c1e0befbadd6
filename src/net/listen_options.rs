//! What stands between a listener's socket and HTTP.

use std::{io, net::SocketAddr, sync::Arc};

use mio::net::TcpListener;

#[cfg(feature = "tls")]
use super::ServerTls;
use super::{ConnId, EventLoop, Loops, SharedListener, Stream, accept::Listening};
use crate::{Config, handshake::Verdict, http::Request};

/// What a listener's connections speak below HTTP; by default nothing. For [`EventLoop::listen_with`] and
/// [`Loops::listen_with`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListenOptions {
    #[cfg(feature = "tls")]
    tls: Option<ServerTls>,
}

impl ListenOptions {
    /// Plain HTTP and WebSocket.
    pub fn new() -> Self {
        Self::default()
    }

    /// Speaks TLS: https and wss. A plain HTTP request is answered with 400 and a line that says so.
    ///
    /// The handle is shared: [`ServerTls::replace`] on any clone of it holds for the connections that come later.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// An accepted stream, as its connection is to speak. What stands before TLS makes an end of it with
    /// [`Stream::begin`]; nothing does, so that is here.
    pub(super) fn wrap(&self, stream: Stream) -> io::Result<Stream> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let mut stream = tls.wrap(stream)?;
            stream.begin(&[]);
            return Ok(stream);
        }
        Ok(stream)
    }
}

impl EventLoop {
    /// As [`EventLoop::listen`], with what its connections speak below HTTP.
    ///
    /// ```
    /// use wireroom::{Config, EventLoop, ListenOptions};
    ///
    /// let mut event_loop = EventLoop::new()?;
    /// let options = ListenOptions::new(); // with the feature `tls`: .tls(ServerTls::from_pem_files("chain.pem", "key.pem")?)
    /// let address = event_loop.listen_with("127.0.0.1:0".parse()?, options, Config::default(), |_id, request| {
    ///     request.allow_origins(&["https://chat.example"])
    /// })?;
    /// assert_ne!(address.port(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`EventLoop::listen`].
    pub fn listen_with(
        &mut self,
        address: SocketAddr,
        options: ListenOptions,
        config: impl Into<Arc<Config>>,
        verify: impl FnMut(ConnId, &Request<'_>) -> Verdict + 'static,
    ) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        self.add_listener(Listening::Tcp(listener), options, config.into(), Box::new(verify))?;
        Ok(address)
    }

    /// As [`EventLoop::listen_unix`], with what its connections speak below HTTP.
    ///
    /// # Errors
    ///
    /// As [`EventLoop::listen`].
    #[cfg(unix)]
    pub fn listen_unix_with(
        &mut self,
        path: impl AsRef<std::path::Path>,
        options: ListenOptions,
        config: impl Into<Arc<Config>>,
        verify: impl FnMut(ConnId, &Request<'_>) -> Verdict + 'static,
    ) -> io::Result<()> {
        let listener = mio::net::UnixListener::bind(path)?;
        self.add_listener(Listening::Unix(listener), options, config.into(), Box::new(verify))
    }
}

impl Loops {
    /// As [`Loops::listen`], with what its connections speak below HTTP. A connection is handed to its loop before that begins.
    ///
    /// # Errors
    ///
    /// As [`Loops::listen`].
    pub fn listen_with(
        &self,
        address: SocketAddr,
        options: ListenOptions,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<SharedListener> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        Ok(self.share(Listening::Tcp(listener), Some(address), options, config.into()))
    }

    /// As [`Loops::listen_unix`], with what its connections speak below HTTP.
    ///
    /// # Errors
    ///
    /// As [`Loops::listen`].
    #[cfg(unix)]
    pub fn listen_unix_with(
        &self,
        path: impl AsRef<std::path::Path>,
        options: ListenOptions,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<SharedListener> {
        Ok(self.share(Listening::Unix(mio::net::UnixListener::bind(path)?), None, options, config.into()))
    }
}
