//! What a connection has in place of a stream while it has none.

use std::{
    io::{self, IoSlice, Read, Write},
    net::Shutdown,
};

use mio::{Interest, Registry, Token, event::Source};

/// In place of a stream, while a client's name is looked up: reads and writes fail with
/// [`NotConnected`](io::ErrorKind::NotConnected), and a poll never hears of it.
#[derive(Debug)]
pub struct Unconnected(());

impl Unconnected {
    pub(super) fn new() -> Self {
        Self(())
    }

    pub(super) fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn peer_addr(&self) -> io::Result<()> {
        Err(io::ErrorKind::NotConnected.into())
    }

    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        Ok(None)
    }
}

impl Read for Unconnected {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::NotConnected.into())
    }
}

impl Write for Unconnected {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn write_vectored(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Source for Unconnected {
    fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}
