//! The sockets of the tap: listening, reading, writing, and the two ways in which a connection ends.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr},
};

#[cfg(unix)]
use mio::net::{UnixListener, UnixStream};
use mio::{
    Interest, Registry, Token,
    event::Source,
    net::{TcpListener, TcpStream},
};

use super::secure::{Records, Secure};
use crate::listen::Address;

/// Where clients come in.
#[derive(Debug)]
pub(super) enum Door {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Door {
    pub(super) fn open(address: &Address) -> io::Result<(Self, Address)> {
        match address {
            Address::Tcp(address) => {
                let listener = TcpListener::bind(*address)?;
                let address = listener.local_addr()?;
                Ok((Self::Tcp(listener), Address::Tcp(address)))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok((Self::Unix(UnixListener::bind(path)?), address.clone())),
        }
    }

    pub(super) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(listener) => listener,
            #[cfg(unix)]
            Self::Unix(listener) => listener,
        }
    }

    /// A client, and who it is.
    pub(super) fn accept(&self) -> io::Result<(Wire, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok((Wire::new(Stream::Tcp(stream)), peer.to_string()))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                Ok((Wire::new(Stream::Unix(stream)), "a Unix-domain socket".to_owned()))
            }
        }
    }
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// One side's socket, and what the poll has last said of it.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    /// On it, where the server speaks TLS.
    records: Option<Box<Records>>,
    pub(super) readable: bool,
    pub(super) writable: bool,
}

macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &mut $socket {
            Stream::Tcp($stream) => $call,
            #[cfg(unix)]
            Stream::Unix($stream) => $call,
        }
    };
}

impl Read for Stream {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        either!(*self, stream => stream.read(space))
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        either!(*self, stream => stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Wire {
    fn new(stream: Stream) -> Self {
        let wire = Self { stream, records: None, readable: false, writable: false };
        if let Stream::Tcp(stream) = &wire.stream {
            // What comes in pieces goes on in pieces.
            let _ = stream.set_nodelay(true);
        }
        wire
    }

    /// TLS begins when it is connected, see [`Wire::connected`].
    pub(super) fn connect(address: SocketAddr, secure: Option<&Secure>) -> io::Result<Self> {
        let mut wire = Self::new(Stream::Tcp(TcpStream::connect(address)?));
        wire.records = secure.map(|secure| Records::new(secure).map(Box::new)).transpose()?;
        Ok(wire)
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        either!(self.stream, stream => registry.register(stream, token, interest))
    }

    pub(super) fn deregister(&mut self, registry: &Registry) {
        // It is about to be closed.
        let _ = either!(self.stream, stream => registry.deregister(stream));
    }

    /// `None`: nothing is there.
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<Option<usize>> {
        let Self { stream, records, .. } = self;
        let read = without_waiting(|| match records {
            Some(records) => records.read(&mut *stream, space),
            None => stream.read(space),
        });
        self.readable = !matches!(read, Ok(None));
        read
    }

    /// How much was taken.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { stream, records, .. } = self;
        let written = without_waiting(|| match records {
            Some(records) => records.write(&mut *stream, bytes),
            None => stream.write(bytes),
        })?;
        self.writable = written.is_some();
        Ok(written.unwrap_or(0))
    }

    /// Sends records that the socket had no room for. True when none are left.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        let flushed = self.records.as_mut().map_or(Ok(true), |records| records.flush(&mut self.stream))?;
        self.writable &= flushed;
        Ok(flushed)
    }

    /// Has a connection that was begun succeeded (`Some(Ok)`), with TLS too, failed, or not come to an end yet?
    pub(super) fn connected(&mut self) -> Option<io::Result<()>> {
        if let Some(error) = self.take_error() {
            return Some(Err(error));
        }
        match either!(self.stream, stream => stream.peer_addr().map(|_| ())) {
            Ok(()) => match &mut self.records {
                None => Some(Ok(())),
                Some(records) => match records.shake(&mut self.stream) {
                    Ok(true) => {
                        // It may have come with the last records of the TLS handshake.
                        self.readable = true;
                        Some(Ok(()))
                    }
                    Ok(false) => None,
                    Err(error) => Some(Err(error)),
                },
            },
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) => Some(Err(error)),
        }
    }

    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        either!(self.stream, stream => stream.take_error()).ok().flatten()
    }

    /// The end of the stream, carried over. False while records wait for the socket, which come before.
    pub(super) fn shut_down(&mut self) -> bool {
        if let Some(records) = &mut self.records {
            records.end();
        }
        // Both fail where the peer has gone, which reading tells.
        if matches!(self.flush(), Ok(false)) {
            return false;
        }
        let _ = either!(self.stream, stream => stream.shutdown(Shutdown::Write));
        true
    }

    /// A reset, carried over: closing the socket then sends one.
    #[cfg(unix)]
    pub(super) fn reset_when_closed(&mut self) {
        use nix::{
            libc::linger,
            sys::socket::{setsockopt, sockopt::Linger},
        };

        if let Stream::Tcp(stream) = &self.stream {
            let _ = setsockopt(stream, Linger, &linger { l_onoff: 1, l_linger: 0 });
        }
    }

    #[cfg(not(unix))]
    pub(super) fn reset_when_closed(&mut self) {}
}

/// `None` where the call would wait. A signal's interruption is no answer.
fn without_waiting(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(n) => return Ok(Some(n)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}
