//! The core of `wireroom` in loops that know nothing of it: what is common to all of them.

#![forbid(unsafe_code)]

use std::{
    io::{self, IoSlice, Read, Write},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Buf;
use wireroom::{
    Config, Connection, Event, RecvBuffer, SendQueue, Transport,
    handshake::{Progress, ServerHandshake},
};

/// One peer of an echo server, without its socket.
pub struct Peer {
    rx: RecvBuffer,
    phase: Phase,
    config: Arc<Config>,
}

enum Phase {
    Handshake(Box<ServerHandshake>),
    Open(Connection),
}

impl Peer {
    /// The time for its opening handshake runs from now.
    pub fn new(config: Arc<Config>, now: Instant) -> Self {
        let handshake = ServerHandshake::new(config.http_limits(), config.http_timeouts(), now);
        Self { rx: RecvBuffer::new(), phase: Phase::Handshake(handshake.into()), config }
    }

    /// Everything that the bytes so far amount to. To be called when bytes have come, when output has left, and behind
    /// `handle_eof` and `handle_timeout`.
    pub fn poll(&mut self, now: Instant) {
        if let Phase::Handshake(handshake) = &mut self.phase {
            // Of whom you serve: `request.allow_origins(&["https://chat.example"])`.
            let progress = handshake.poll(&mut self.rx, now, &mut |request| request.allow_any_origin());
            if let Progress::Upgraded(accepted) = progress {
                self.phase = Phase::Open(Connection::server(*accepted, self.config.clone(), now));
            }
        }
        if let Phase::Open(connection) = &mut self.phase {
            // What came right behind the request is in the same buffer.
            while let Some(event) = connection.poll_event(&mut self.rx, now) {
                match event {
                    // Messages are withheld while too many answers wait, so an echo is never refused for want of room.
                    Event::Message(message) => _ = connection.send(message),
                    Event::Closed(closed) => eprintln!("{closed}"),
                    _ => {}
                }
            }
        }
        if self.rx.is_empty() {
            // At rest it owns no buffer.
            self.rx = RecvBuffer::new();
        }
    }

    /// Room for the next bytes; then `received`.
    pub fn space(&mut self) -> &mut [u8] {
        self.rx.space(READ)
    }

    /// So many bytes are in the space; none are the end of the stream.
    pub fn received(&mut self, n: usize) {
        match &mut self.phase {
            _ if n > 0 => self.rx.filled(n),
            Phase::Handshake(handshake) => handshake.handle_eof(),
            Phase::Open(connection) => connection.handle_eof(),
        }
    }

    /// The stream has failed. Before the handshake is complete there is nobody to be told.
    pub fn handle_io_error(&mut self, error: io::ErrorKind) {
        if let Phase::Open(connection) = &mut self.phase {
            connection.handle_io_error(error);
        }
    }

    /// What waits to be sent.
    pub fn transmit(&mut self) -> &mut SendQueue {
        match &mut self.phase {
            Phase::Handshake(handshake) => handshake.transmit(),
            Phase::Open(connection) => connection.transmit(),
        }
    }

    pub fn wants_read(&self) -> bool {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.wants_read(),
            Phase::Open(connection) => connection.wants_read(),
        }
    }

    pub fn wants_write(&self) -> bool {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.wants_write(),
            Phase::Open(connection) => connection.wants_write(),
        }
    }

    /// What to do with the socket, once nothing waits to be sent.
    pub fn transport(&self) -> Transport {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.transport(),
            Phase::Open(connection) => connection.transport(),
        }
    }

    /// When to call `handle_timeout`. To be asked anew before each sleep.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.poll_timeout(),
            Phase::Open(connection) => connection.poll_timeout(),
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::Handshake(handshake) => handshake.handle_timeout(now),
            Phase::Open(connection) => connection.handle_timeout(now),
        }
    }
}

/// What one read brings at most.
pub const READ: usize = 16 * 1024;

/// One read, from a socket that does not block.
pub fn read(peer: &mut Peer, mut socket: impl Read) -> io::Result<()> {
    let n = socket.read(peer.space())?;
    peer.received(n);
    Ok(())
}

/// One vectored write, to a socket that does not block.
pub fn write(peer: &mut Peer, mut socket: impl Write) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); 16];
    let queue = peer.transmit();
    let count = queue.chunks_vectored(&mut slices);
    let written = socket.write_vectored(&slices[..count])?;
    queue.advance(written);
    Ok(())
}

/// `--listen ADDRESS`, `--handshake-timeout SECONDS`.
pub fn arguments() -> Result<(SocketAddr, Arc<Config>), Box<dyn std::error::Error>> {
    let (mut listen, mut config) = (SocketAddr::from(([127, 0, 0, 1], 9001)), Config::builder());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.next()) {
            ("--listen", Some(address)) => listen = address.parse()?,
            ("--handshake-timeout", Some(seconds)) => {
                config = config.handshake_timeout(Duration::try_from_secs_f64(seconds.parse()?)?);
            }
            _ => return Err("usage: [--listen ADDRESS] [--handshake-timeout SECONDS]".into()),
        }
    }
    Ok((listen, Arc::new(config.build()?)))
}
