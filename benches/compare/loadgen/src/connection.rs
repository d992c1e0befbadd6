//! One connection of a client: it connects, asks for the upgrade, writes from the ring, reads frames.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    check::{Check, Expectation},
    frames::Decoder,
    options::{Deflate, Options},
    ring::Ring,
};

/// The key of RFC 6455 section 1.3 and what a server makes of it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// One read at most brings so much.
pub const READ: usize = 256 << 10;

/// Where to connect, and what to ask for.
#[derive(Debug)]
pub struct Target {
    pub address: SocketAddr,
    pub raw: bool,
    pub request: Vec<u8>,
}

impl Target {
    pub fn new(options: &Options) -> Self {
        // Without client_max_window_bits: a server that answered it could ask for a window other than that of the ring.
        let extensions = match options.deflate {
            Deflate::Off => "",
            Deflate::NoTakeover => {
                "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
            }
            Deflate::Takeover => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        };
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: loadgen\r\nOrigin: http://localhost\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n",
            options.path, options.address
        );
        Self { address: options.address, raw: options.raw, request: request.into_bytes() }
    }

    /// Begins to connect, from one of our addresses.
    fn connect(&self, source: Ipv4Addr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.bind(&SocketAddrV4::new(source, 0).into())?;
        match socket.connect(&self.address.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Connecting,
    Upgrading,
    Open,
    Closed,
}

#[derive(Debug)]
pub struct Connection {
    pub stream: TcpStream,
    pub state: State,
    pub decoder: Decoder,
    pub expectation: Expectation,
    /// What the server agreed to.
    pub deflate: Deflate,
    /// Messages to be written, the next one in the ring, and how many of its bytes are written.
    pub owed: usize,
    next: usize,
    written: usize,
    request_written: usize,
    response: Vec<u8>,
}

impl Connection {
    pub fn begin(target: &Target, source: Ipv4Addr, number: usize, poll: &Poll) -> io::Result<Self> {
        let mut stream = target.connect(source)?;
        poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            state: State::Connecting,
            decoder: Decoder::default(),
            expectation: Expectation::default(),
            deflate: Deflate::Off,
            owed: 0,
            next: 0,
            written: 0,
            request_written: 0,
            response: Vec::new(),
        })
    }

    /// The next message to write, and so the next to come back.
    pub fn start_at(&mut self, message: usize) {
        self.next = message;
        self.written = 0;
        self.expectation.start_at(message);
    }

    /// Goes on with connecting and the upgrade; true once it is open.
    pub fn open(&mut self, target: &Target, scratch: &mut [u8]) -> bool {
        if self.state == State::Connecting && !self.ask(target) {
            return false;
        }
        while self.state == State::Upgrading {
            match self.stream.read(scratch) {
                Ok(0) => panic!("the end of the stream during the upgrade, after {:?}", self.response.escape_ascii()),
                Ok(n) => self.hear(&scratch[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) => panic!("during the upgrade: {error}"),
            }
        }
        self.state == State::Open
    }

    fn ask(&mut self, target: &Target) -> bool {
        if target.raw {
            if let Ok(Some(error)) | Err(error) = self.stream.take_error() {
                panic!("cannot connect: {error}");
            }
            if self.stream.peer_addr().is_err() {
                return false;
            }
            self.state = State::Open;
            return true;
        }
        while self.request_written < target.request.len() {
            match self.stream.write(&target.request[self.request_written..]) {
                Ok(n) => self.request_written += n,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected) => return false,
                Err(error) => panic!("cannot connect: {error}"),
            }
        }
        self.state = State::Upgrading;
        true
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.response.extend_from_slice(bytes);
        let Some(end) = self.response.windows(4).position(|four| four == b"\r\n\r\n") else { return };
        assert!(self.response.len() == end + 4, "the server speaks first");
        let head = String::from_utf8_lossy(&self.response[..end]);
        assert!(head.starts_with("HTTP/1.1 101"), "not upgraded: {head}");
        assert!(head.contains(ACCEPT), "a wrong Sec-WebSocket-Accept: {head}");
        self.deflate = match head.to_ascii_lowercase() {
            head if !head.contains("permessage-deflate") => Deflate::Off,
            head if head.contains("no_context_takeover") => Deflate::NoTakeover,
            _ => Deflate::Takeover,
        };
        self.response = Vec::new();
        self.state = State::Open;
    }

    /// Writes what is owed, until the socket takes no more.
    pub fn flush(&mut self, ring: &Ring) {
        while self.owed > 0 {
            let last = (self.next + self.owed).min(ring.len());
            let from = ring.offsets[self.next] + self.written;
            let written = match self.stream.write(&ring.bytes[from..ring.offsets[last]]) {
                Ok(n) => from + n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("cannot write: {error}"),
            };
            while self.next < last && ring.offsets[self.next + 1] <= written {
                self.next += 1;
                self.owed -= 1;
            }
            self.written = written - ring.offsets[self.next];
            if self.next == ring.len() {
                self.next = 0;
            }
        }
    }

    /// Reads all there is and checks it: answers how many messages came. At the end of the stream, and after a Close, the
    /// connection is closed.
    pub fn drain(&mut self, ring: &Ring, scratch: &mut [u8]) -> u64 {
        let mut check = Check::new(&mut self.expectation, ring);
        let ended = loop {
            match self.stream.read(scratch) {
                Ok(0) => break true,
                Ok(n) => {
                    if ring.raw {
                        self.decoder.feed_raw(&scratch[..n], ring.expected[0].len(), &mut check);
                    } else {
                        self.decoder.feed(&scratch[..n], &mut check);
                    }
                    // A short read has drained the socket.
                    if n < scratch.len() {
                        break false;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break false,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break true,
                Err(error) => panic!("cannot read: {error}"),
            }
        };
        if ended || check.closed {
            self.state = State::Closed;
        }
        check.messages
    }
}

/// Opens all connections, not too many at a time, and tells how long it took.
pub fn connect_all(target: &Target, count: usize, poll: &mut Poll) -> io::Result<(Vec<Connection>, Duration)> {
    const AT_A_TIME: usize = 256;
    let mut scratch = vec![0; 16 << 10];
    let mut connections: Vec<Connection> = Vec::with_capacity(count);
    let mut events = Events::with_capacity(1024);
    let began = Instant::now();
    let mut open = 0;
    while open < count {
        while connections.len() < count && connections.len() - open < AT_A_TIME {
            // An address of ours has about 28,000 ports, so some thousands of connections share one.
            let number = connections.len();
            let source = Ipv4Addr::new(127, 1, (number / 4000) as u8, 1);
            connections.push(Connection::begin(target, source, number, poll)?);
        }
        poll.poll(&mut events, Some(Duration::from_secs(5)))?;
        assert!(!events.is_empty(), "nothing happened for 5 s, with {open} of {count} connections open");
        for event in &events {
            let connection = &mut connections[event.token().0];
            if connection.state != State::Open && connection.open(target, &mut scratch) {
                open += 1;
            }
        }
    }
    Ok((connections, began.elapsed()))
}
