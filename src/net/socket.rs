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
    /// None yet: a client's name is being looked up, or the next address is about to be tried.
    Unconnected(Unconnected),
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

macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self {
            Stream::Tcp($stream) => $call,
            #[cfg(unix)]
            Stream::Unix($stream) => $call,
            Stream::Unconnected($stream) => $call,
        }
    };
}

impl Stream {
    pub(super) fn source(&mut self) -> &mut dyn Source {
        either!(self, stream => stream)
    }

    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        retried(|| either!(self, stream => stream.read(space)))
    }

    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // One slice is the usual case, and `send` is cheaper than `sendmsg`.
        match slices {
            [one] => retried(|| either!(self, stream => stream.write(one))),
            many => retried(|| either!(self, stream => stream.write_vectored(many))),
        }
    }

    pub(super) fn shutdown_write(&self) {
        // It fails where the peer is gone already, which the next read tells.
        let _ = either!(self, stream => stream.shutdown(Shutdown::Write));
    }

    /// The error that waits on the socket, if any.
    pub(super) fn take_error(&self) -> Option<io::Error> {
        either!(self, stream => stream.take_error()).ok().flatten()
    }

    /// Has a connection that was begun succeeded (`Some(Ok)`), failed, or not come to an end yet (`None`)?
    pub(super) fn connected(&self) -> Option<io::Result<()>> {
        match either!(self, stream => stream.take_error()) {
            Ok(Some(error)) | Err(error) => return Some(Err(error)),
            Ok(None) => {}
        }
        let peer = match self {
            Stream::Tcp(stream) => stream.peer_addr().map(|_| ()),
            #[cfg(unix)]
            Stream::Unix(stream) => stream.peer_addr().map(|_| ()),
            Stream::Unconnected(_) => return None,
        };
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
            Stream::Unconnected(_) => None,
        }
    }

    /// Small messages are not held back (Nagle's algorithm would wait for the peer's acknowledgement).
    pub(super) fn prepare(&self) {
        if let Stream::Tcp(stream) = self {
            let _ = stream.set_nodelay(true);
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
fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
