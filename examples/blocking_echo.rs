//! An echo server on blocking sockets with a thread for each connection: the core in a loop of your own. Everything here
//! works with `--no-default-features`.
//!
//! `--one-byte` hands the core one byte at a time, whatever arrives; `--streaming` echoes each message part by part. Both
//! are there to be tested: no cut of the stream and no mode may change what a peer sees.
//!
//! `cargo run --release --example blocking_echo --no-default-features -- --listen 127.0.0.1:9001`

#![allow(clippy::disallowed_methods)] // an example has a clock

mod deflate;

use std::{
    error::Error,
    io::{self, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Buf;
use deflate::DeflateFlags;
use lexopt::prelude::*;
use wireroom::{
    Config, Connection, Event, Part, RecvBuffer, SendError, SendQueue, Transport,
    handshake::{Accepted, Progress, ServerHandshake},
};

const USAGE: &str = "usage: blocking_echo [--listen ADDRESS] [--one-byte] [--streaming]";

fn main() {
    if let Err(error) = run() {
        eprintln!("blocking_echo: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut listen: SocketAddr = ([127, 0, 0, 1], 9001).into();
    let (mut config, mut at_most, mut deflate) = (Config::builder(), usize::MAX, DeflateFlags::default());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("listen") => listen = arguments.value()?.parse()?,
            Long("one-byte") => at_most = 1,
            Long("streaming") => config = config.streaming(true),
            Short('h') | Long("help") => {
                println!("{USAGE}\n{}", deflate::USAGE);
                return Ok(());
            }
            Long(name) => {
                let name = name.to_owned();
                deflate
                    .take(&name, &mut arguments)
                    .map_err(|error| format!("{error}\n\n{USAGE}\n{}", deflate::USAGE))?;
            }
            other => return Err(format!("{}\n\n{USAGE}", other.unexpected()).into()),
        }
    }
    let config = Arc::new(deflate.apply(config)?.build()?);
    let listener = TcpListener::bind(listen).map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        let config = config.clone();
        thread::spawn(move || {
            // That a peer has gone is no concern of the others.
            let _ = Wire::new(stream, at_most).and_then(|mut wire| wire.serve(config));
        });
    }
}

/// A socket, and what was received on it.
struct Wire {
    stream: BufReader<TcpStream>,
    rx: RecvBuffer,
    /// How many bytes the core is given at a time.
    at_most: usize,
}

impl Wire {
    fn new(stream: TcpStream, at_most: usize) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        // To block for ever in a write is to wait for a peer that itself waits to be read.
        stream.set_write_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self { stream: BufReader::new(stream), rx: RecvBuffer::new(), at_most })
    }

    fn serve(&mut self, config: Arc<Config>) -> io::Result<()> {
        match self.accept(&config)? {
            Some(accepted) => self.converse(Connection::server(*accepted, config, Instant::now())),
            None => Ok(()),
        }
    }

    /// HTTP, until a request upgrades or the connection is over.
    fn accept(&mut self, config: &Config) -> io::Result<Option<Box<Accepted>>> {
        let mut handshake = ServerHandshake::new(config.http_limits(), config.http_timeouts(), Instant::now());
        #[cfg(feature = "deflate")]
        handshake.set_deflate(config.permessage_deflate().map(|deflate| deflate.terms()));
        loop {
            let verify = &mut |request: &wireroom::http::Request<'_>| request.allow_any_origin();
            if let Progress::Upgraded(accepted) = handshake.poll(&mut self.rx, Instant::now(), verify) {
                return Ok(Some(accepted));
            }
            self.write(handshake.transmit())?;
            if self.obey(handshake.transport()) {
                return Ok(None);
            }
            match self.read(handshake.poll_timeout())? {
                Arrived::Bytes => {}
                Arrived::End => handshake.handle_eof(),
                Arrived::Deadline => handshake.handle_timeout(Instant::now()),
            }
        }
    }

    fn converse(&mut self, mut connection: Connection) -> io::Result<()> {
        loop {
            // 1. Every event that the bytes so far amount to.
            while let Some(event) = connection.poll_event(&mut self.rx, Instant::now()) {
                let echoed = match event {
                    Event::Message(message) => connection.send(message).map(drop),
                    Event::Part(part) => echo_part(&mut connection, part),
                    _ => Ok(()),
                };
                // The queue is emptied before each read, so only a connection that is closing takes no more.
                debug_assert!(matches!(echoed, Ok(()) | Err(SendError::Closed)), "{echoed:?}");
            }
            // 2. All that is to be sent, then what is to be done with the socket.
            self.write(connection.transmit())?;
            if self.obey(connection.transport()) {
                return Ok(());
            }
            if connection.wants_poll() {
                continue;
            }
            // 3. Sleep until bytes come or time is up.
            match self.read(connection.poll_timeout())? {
                Arrived::Bytes => {}
                Arrived::End => connection.handle_eof(),
                Arrived::Deadline => connection.handle_timeout(Instant::now()),
            }
        }
    }

    fn write(&mut self, queue: &mut SendQueue) -> io::Result<()> {
        while queue.has_remaining() {
            let written = self.stream.get_mut().write(queue.chunk())?;
            queue.advance(written);
        }
        Ok(())
    }

    /// Is the connection over?
    fn obey(&mut self, transport: Transport) -> bool {
        if transport == Transport::ShutdownWrite {
            // It fails where the peer has gone already, which the next read tells.
            let _ = self.stream.get_ref().shutdown(Shutdown::Write);
        }
        transport == Transport::Close
    }

    fn read(&mut self, deadline: Option<Instant>) -> io::Result<Arrived> {
        if self.stream.buffer().is_empty() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // A timeout of zero would mean none.
            self.stream.get_ref().set_read_timeout(left.map(|left| left.max(Duration::from_millis(1))))?;
        }
        let space = self.rx.space(self.at_most.min(4096));
        let room = space.len().min(self.at_most);
        match self.stream.read(&mut space[..room]) {
            Ok(0) => Ok(Arrived::End),
            Ok(n) => {
                self.rx.filled(n);
                Ok(Arrived::Bytes)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(Arrived::Deadline),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Arrived::Bytes),
            Err(error) => Err(error),
        }
    }
}

enum Arrived {
    Bytes,
    End,
    Deadline,
}

/// A part becomes a fragment; one without bytes only ends its message.
fn echo_part(connection: &mut Connection, part: Part<'_>) -> Result<(), SendError> {
    let mut writer = connection.writer(part.message.kind())?;
    if !part.message.as_bytes().is_empty() {
        let _ = writer.write(part.message.as_bytes())?;
    }
    if part.last {
        let _ = writer.finish()?;
    }
    Ok(())
}
