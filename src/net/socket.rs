//! Read and write on a stream of either family.

use std::{
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr},
};

#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token, event::Source, net::TcpStream};

use super::unconnected::Unconnected;

/// A connected stream that does not block.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// A Unix-domain socket.
    #[cfg(unix)]
    Unix(UnixStream),
    /// TLS on either.
    #[cfg(feature = "tls")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tls")))]
    Tls(Box<super::TlsStream>),
    /// None yet: a client's name is being looked up, or the next address is about to be tried.
    Unconnected(Unconnected),
}

/// What a read brought. Nothing that cost nothing is the end of the stream.
pub(super) struct Received {
    pub(super) bytes: usize,
    /// What it took of the turn's budget.
    pub(super) cost: usize,
    /// The socket has no more for now, on systems that tell.
    pub(super) drained: bool,
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Stream::Tcp(stream)
    }
}

#[cfg(unix)]
impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Stream::Unix(stream)
    }
}

/// The last part is for the stream below TLS.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr, $below:ident => $there:expr) => {
        match $self {
            Stream::Tcp($stream) => $call,
            #[cfg(unix)]
            Stream::Unix($stream) => $call,
            Stream::Unconnected($stream) => $call,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => {
                let $below = &tls.stream;
                $there
            }
        }
    };
}

impl Stream {
    pub(super) fn source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            #[cfg(unix)]
            Stream::Unix(stream) => stream,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.stream.source(),
            Stream::Unconnected(none) => none,
        }
    }

    #[inline(always)]
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => retried(|| stream.read(space)),
            #[cfg(unix)]
            Stream::Unix(stream) => retried(|| stream.read(space)),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => Read::read(&mut **tls, space),
            Stream::Unconnected(none) => none.read(space),
        }
    }

    /// One slice is the usual case, and `send` is cheaper than `sendmsg`.
    #[inline(always)]
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => retried(|| stream.write(bytes)),
            #[cfg(unix)]
            Stream::Unix(stream) => retried(|| stream.write(bytes)),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => retried(|| tls.write(bytes)),
            Stream::Unconnected(none) => none.write(bytes),
        }
    }

    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [one] = slices {
            return self.write(one);
        }
        match self {
            Stream::Tcp(stream) => retried(|| stream.write_vectored(slices)),
            #[cfg(unix)]
            Stream::Unix(stream) => retried(|| stream.write_vectored(slices)),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => retried(|| tls.write_vectored(slices)),
            Stream::Unconnected(none) => none.write_vectored(slices),
        }
    }

    pub(super) fn shutdown_write(&self) {
        // It fails where the peer is gone already, which the next read tells.
        either!(self, stream => _ = stream.shutdown(Shutdown::Write), below => below.shutdown_write());
    }

    /// The error that waits on the socket, if any.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        either!(self, stream => stream.take_error().ok().flatten(), below => below.take_error())
    }

    /// Has a connection that was begun succeeded (`Some(Ok)`), failed, or not come to an end yet (`None`)?
    pub(super) fn connected(&self) -> Option<io::Result<()>> {
        match either!(self, stream => stream.take_error(), below => return below.connected()) {
            Ok(Some(error)) | Err(error) => return Some(Err(error)),
            Ok(None) => {}
        }
        let peer = either!(self, stream => stream.peer_addr().map(|_| ()), below => return below.connected());
        match peer {
            Ok(()) => Some(Ok(())),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) => Some(Err(error)),
        }
    }

    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Stream::Unix(_) => None,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.stream.peer_addr(),
            Stream::Unconnected(_) => None,
        }
    }

    /// Small messages are not held back (Nagle's algorithm would wait for the peer's acknowledgement).
    pub(super) fn prepare(&self) {
        match self {
            Stream::Tcp(stream) => _ = stream.set_nodelay(true),
            #[cfg(unix)]
            Stream::Unix(_) => {}
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.stream.prepare(),
            Stream::Unconnected(_) => {}
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.register(self.source(), token, interest)
    }

    pub(super) fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.reregister(self.source(), token, interest)
    }
}

/// A signal's interruption is no answer.
#[inline(always)]
fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
