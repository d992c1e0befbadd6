//! TLS to the server: what the tap shows are the frames, not the records.

use std::{
    io::{self, ErrorKind, Read, Write},
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, InvalidMessage, pki_types::ServerName};

/// What a connection to a `wss://` server begins with.
#[derive(Clone, Debug)]
pub(super) struct Secure {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// The records of one connection. Of what was read it holds a read of rustls at most, of what is written a read of the tap.
#[derive(Debug)]
pub(super) struct Records(ClientConnection);

impl Records {
    pub(super) fn new(secure: &Secure) -> io::Result<Self> {
        let client = ClientConnection::new(secure.config.clone(), secure.name.clone()).map_err(failed)?;
        Ok(Self(client))
    }

    /// Carries the TLS handshake on. True when it is over.
    pub(super) fn shake(&mut self, mut socket: impl Read + Write) -> io::Result<bool> {
        while self.0.is_handshaking() {
            if !self.flush(&mut socket)? {
                return Ok(false);
            }
            match self.0.is_handshaking().then(|| self.take(&mut socket)).transpose() {
                Ok(Some(0)) => return Err(io::Error::other("TLS: the server hung up during the handshake")),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                taken => _ = taken?,
            }
        }
        self.flush(&mut socket)?;
        Ok(true)
    }

    /// As of a socket; the end of the stream is one with and without a close_notify.
    pub(super) fn read(&mut self, mut socket: impl Read + Write, space: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.reader().read(space) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.take(&mut socket)?;
        }
    }

    /// As of a socket. What was taken and has not gone yet goes by [`Records::flush`].
    pub(super) fn write(&mut self, mut socket: impl Read + Write, bytes: &[u8]) -> io::Result<usize> {
        if !self.flush(&mut socket)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let taken = self.0.writer().write(bytes)?;
        self.flush(&mut socket)?;
        Ok(taken)
    }

    /// True when nothing is left that the socket has not taken.
    pub(super) fn flush(&mut self, mut socket: impl Read + Write) -> io::Result<bool> {
        while self.0.wants_write() {
            match self.0.write_tls(&mut socket) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Says that no more comes.
    pub(super) fn end(&mut self) {
        self.0.send_close_notify();
    }

    fn take(&mut self, mut socket: impl Read + Write) -> io::Result<usize> {
        let n = self.0.read_tls(&mut socket)?;
        if let Err(error) = self.0.process_new_packets() {
            // Our alert says why, if it goes at all.
            let _ = self.flush(&mut socket);
            return Err(failed(error));
        }
        self.flush(&mut socket)?;
        Ok(n)
    }
}

fn failed(error: rustls::Error) -> io::Error {
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            io::Error::other("it does not speak TLS; it may be a ws:// server")
        }
        error => io::Error::other(format!("TLS: {error}")),
    }
}
