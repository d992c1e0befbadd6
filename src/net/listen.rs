//! Listeners with options, and listeners that were made elsewhere.

use std::{io, net::SocketAddr, sync::Arc};

use mio::net::TcpListener;

use super::{
    ConnId, EventLoop, ListenOptions, Loops, SharedListener,
    accept::{Listener, Listening, Source, Verify},
    admission::{Admission, Gate},
};
use crate::{Config, handshake::Verdict, http::Request};

/// A listening socket that was made elsewhere: bound with options of its own, inherited, handed over. From one of the standard
/// library or of mio, over TCP or, on Unix, on a Unix-domain socket; it is set not to block.
#[derive(Debug)]
pub struct ReadyListener(Made);

#[derive(Debug)]
enum Made {
    Tcp(std::net::TcpListener),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

impl ReadyListener {
    /// Where it listens, for TCP.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Made::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Made::Unix(_) => None,
        }
    }

    /// It is a connection, and no listener at all.
    #[cfg(all(feature = "inherit", unix))]
    pub(super) fn is_connected(&self) -> io::Result<bool> {
        use std::os::{fd::OwnedFd, unix::net::UnixStream};
        Ok(match &self.0 {
            Made::Tcp(listener) => std::net::TcpStream::from(OwnedFd::from(listener.try_clone()?)).peer_addr().is_ok(),
            Made::Unix(listener) => UnixStream::from(OwnedFd::from(listener.try_clone()?)).peer_addr().is_ok(),
        })
    }

    pub(super) fn listening(self) -> io::Result<Listening> {
        Ok(match self.0 {
            Made::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Listening::Tcp(TcpListener::from_std(listener))
            }
            #[cfg(unix)]
            Made::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Listening::Unix(None, mio::net::UnixListener::from_std(listener))
            }
        })
    }
}

impl From<std::net::TcpListener> for ReadyListener {
    fn from(listener: std::net::TcpListener) -> Self {
        Self(Made::Tcp(listener))
    }
}

impl From<TcpListener> for ReadyListener {
    fn from(listener: TcpListener) -> Self {
        Self(Made::Tcp(listener.into()))
    }
}

#[cfg(unix)]
impl From<std::os::unix::net::UnixListener> for ReadyListener {
    fn from(listener: std::os::unix::net::UnixListener) -> Self {
        Self(Made::Unix(listener))
    }
}

#[cfg(unix)]
impl From<mio::net::UnixListener> for ReadyListener {
    fn from(listener: mio::net::UnixListener) -> Self {
        Self(Made::Unix(listener.into()))
    }
}

impl EventLoop {
    /// As [`EventLoop::listen`], with options.
    ///
    /// # Errors
    ///
    /// As there.
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

    /// As [`EventLoop::listen_unix`], with options: [`UnixSocket`](super::UnixSocket) says what is done about the file.
    ///
    /// # Errors
    ///
    /// As [`EventLoop::listen`], and as [`UnixSocket`](super::UnixSocket) says.
    #[cfg(unix)]
    pub fn listen_unix_with(
        &mut self,
        path: impl AsRef<std::path::Path>,
        options: ListenOptions,
        config: impl Into<Arc<Config>>,
        verify: impl FnMut(ConnId, &Request<'_>) -> Verdict + 'static,
    ) -> io::Result<()> {
        let listening = super::unix_listener::bind(path.as_ref(), &options.unix)?;
        self.add_listener(listening, options, config.into(), Box::new(verify))
    }

    /// Takes connections of a listening socket that was made elsewhere. Answers where it listens, for TCP. All else is as with
    /// [`EventLoop::listen`].
    ///
    /// ```
    /// use std::net::TcpListener;
    /// use wireroom::{Config, EventLoop, ListenOptions};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let for_the_next = listener.try_clone()?; // the same socket, for a process that is to follow this one
    /// let mut event_loop = EventLoop::new()?;
    /// let verify = |_id, request: &wireroom::http::Request<'_>| request.allow_any_origin();
    /// let address = event_loop.listen_on(listener, ListenOptions::new(), Config::default(), verify)?;
    /// assert_eq!(address, for_the_next.local_addr().ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The operating system's; more than 63 listeners. That a socket does not listen is seen only by accepting: see
    /// [`Stats::accept_errors`](super::Stats::accept_errors).
    pub fn listen_on(
        &mut self,
        listener: impl Into<ReadyListener>,
        options: ListenOptions,
        config: impl Into<Arc<Config>>,
        verify: impl FnMut(ConnId, &Request<'_>) -> Verdict + 'static,
    ) -> io::Result<Option<SocketAddr>> {
        let listener = listener.into();
        let address = listener.local_addr();
        self.add_listener(listener.listening()?, options, config.into(), Box::new(verify))?;
        Ok(address)
    }

    fn add_listener(
        &mut self,
        listening: Listening,
        options: ListenOptions,
        config: Arc<Config>,
        verify: Box<Verify>,
    ) -> io::Result<()> {
        let token = self.next_listener()?;
        let gate = Gate::Own(Admission::new(&config));
        let source = Source::own(listening, &self.registry, token)?;
        self.put_listener(Listener::new(source, config, options, verify), gate);
        Ok(())
    }
}

impl Loops {
    /// As [`Loops::listen`], with options.
    ///
    /// # Errors
    ///
    /// As there.
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

    /// As [`Loops::listen_unix`], with options.
    ///
    /// # Errors
    ///
    /// As [`EventLoop::listen_unix_with`].
    #[cfg(unix)]
    pub fn listen_unix_with(
        &self,
        path: impl AsRef<std::path::Path>,
        options: ListenOptions,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<SharedListener> {
        let listening = super::unix_listener::bind(path.as_ref(), &options.unix)?;
        Ok(self.share(listening, None, options, config.into()))
    }

    /// Shares a listening socket that was made elsewhere; see [`EventLoop::listen_on`].
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn listen_on(
        &self,
        listener: impl Into<ReadyListener>,
        options: ListenOptions,
        config: impl Into<Arc<Config>>,
    ) -> io::Result<SharedListener> {
        let listener = listener.into();
        let address = listener.local_addr();
        Ok(self.share(listener.listening()?, address, options, config.into()))
    }
}
