//! A loop that writes down what it sees, and raw peers.

use std::{
    fmt::Debug,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use wireroom::{Closed, Config, ConnId, Connections, Event, EventLoop, handshake::Verdict, http::Request};

/// Nothing here takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What the loop told of one connection.
#[allow(dead_code)] // some of it is read in the message of a failure only
#[derive(Debug)]
pub(crate) enum Seen {
    Open,
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Drain,
    Closed(Box<Closed>),
    Other,
}

pub(crate) struct World {
    pub(crate) event_loop: EventLoop,
    pub(crate) seen: Vec<(ConnId, Seen)>,
    /// Send each message back.
    pub(crate) echoes: bool,
}

pub(crate) fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

pub(crate) fn any(_: ConnId, request: &Request<'_>) -> Verdict {
    request.allow_any_origin()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::around(EventLoop::new().unwrap())
    }

    pub(crate) fn around(event_loop: EventLoop) -> Self {
        Self { event_loop, seen: Vec::new(), echoes: true }
    }

    /// An echo server at this address.
    pub(crate) fn listening(config: Config) -> (Self, SocketAddr) {
        let mut world = Self::new();
        let address = world.event_loop.listen(loopback(), config, any).unwrap();
        (world, address)
    }

    /// One turn of at most five milliseconds.
    pub(crate) fn turn(&mut self) {
        self.turn_with(|_, _, _| {});
    }

    /// The same, with a handler.
    pub(crate) fn turn_with(&mut self, mut handler: impl FnMut(&mut Connections, ConnId, &Event<'_>)) {
        let Self { event_loop, seen, echoes } = self;
        let on_event = |connections: &mut Connections, id: ConnId, event: Event<'_>| {
            handler(connections, id, &event);
            record(seen, *echoes, connections, id, event);
        };
        event_loop.turn(Some(Duration::from_millis(5)), on_event).unwrap();
    }

    /// Turns until `done`.
    pub(crate) fn until(&mut self, what: impl Debug, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "{what:?} did not come; seen: {:.2000}", format!("{:?}", self.seen));
            self.turn();
        }
    }

    /// Turns for this long, whatever comes.
    pub(crate) fn spend(&mut self, time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            self.turn();
        }
    }

    /// A raw peer on an open connection, and its id here.
    pub(crate) fn open(&mut self, address: SocketAddr) -> (ConnId, Peer<TcpStream>) {
        let before = self.seen.len();
        let mut peer = Peer::connect(address);
        peer.send(UPGRADE);
        let head = self.head(&mut peer);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let opened = self.seen[before..].iter().rfind(|(_, seen)| matches!(seen, Seen::Open));
        (opened.unwrap().0, peer)
    }

    /// Takes one HTTP head out of what the peer has received.
    pub(crate) fn head(&mut self, peer: &mut Peer<impl Socket>) -> String {
        self.until("a head", |_| peer.receive().windows(4).any(|bytes| bytes == b"\r\n\r\n"));
        let length = peer.inbox.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        String::from_utf8(peer.inbox.drain(..length).collect()).unwrap()
    }

    /// Takes one frame out of what the peer has received: first byte and payload.
    pub(crate) fn frame(&mut self, peer: &mut Peer<impl Socket>) -> (u8, Vec<u8>) {
        let mut frame = None;
        self.until("a frame", |_| {
            peer.receive();
            frame = peer.take_frame();
            frame.is_some()
        });
        frame.unwrap()
    }

    /// Until the peer has received the end of the stream.
    pub(crate) fn end_of_stream(&mut self, peer: &mut Peer<impl Socket>) {
        self.until("the end of the stream", |_| {
            peer.receive();
            peer.ended
        });
    }

    /// How this connection ended; there has to be exactly one end, and nothing behind it.
    pub(crate) fn closed(&mut self, id: ConnId) -> &Closed {
        self.until(format!("the end of {id}"), |world| world.ends(id) > 0);
        self.spend(Duration::from_millis(20));
        assert_eq!(self.ends(id), 1, "{:?}", self.seen);
        let last = self.seen.iter().rfind(|(of, _)| *of == id);
        let Some((_, Seen::Closed(closed))) = last else { panic!("behind the end: {last:?}") };
        closed
    }

    /// The last connection that came to an end.
    pub(crate) fn next_closed(&mut self) -> &Closed {
        self.until("an end", |world| world.seen.iter().any(|(_, seen)| matches!(seen, Seen::Closed(_))));
        let id = self.seen.iter().rfind(|(_, seen)| matches!(seen, Seen::Closed(_))).unwrap().0;
        self.closed(id)
    }

    pub(crate) fn ends(&self, id: ConnId) -> usize {
        self.seen.iter().filter(|(of, seen)| *of == id && matches!(seen, Seen::Closed(_))).count()
    }

    /// Until no connection is left.
    pub(crate) fn empty(&mut self) {
        self.until("an empty loop", |world| world.event_loop.connections().is_empty());
    }

    /// The turns of a loop with nothing to do all wait: true when it does not spin.
    pub(crate) fn rests(&mut self) -> bool {
        let (start, mut turns) = (Instant::now(), 0);
        while start.elapsed() < Duration::from_millis(200) {
            self.turn();
            turns += 1;
        }
        turns < 100
    }

    pub(crate) fn texts(&self, id: ConnId) -> Vec<&str> {
        let texts = self.seen.iter().filter(|(of, _)| *of == id);
        texts.filter_map(|(_, seen)| if let Seen::Text(text) = seen { Some(&**text) } else { None }).collect()
    }
}

fn record(seen: &mut Vec<(ConnId, Seen)>, echoes: bool, connections: &mut Connections, id: ConnId, event: Event<'_>) {
    let told = match event {
        Event::Open => Seen::Open,
        Event::Message(message) => {
            if echoes {
                let _ = connections.send(id, message);
            }
            match message.as_text() {
                Some(text) => Seen::Text(text.to_owned()),
                None => Seen::Binary(message.as_bytes().to_vec()),
            }
        }
        Event::Ping(payload) => Seen::Ping(payload.to_vec()),
        Event::Pong(payload) => Seen::Pong(payload.to_vec()),
        Event::Drain => Seen::Drain,
        Event::Closed(closed) => Seen::Closed(closed),
        _ => Seen::Other,
    };
    seen.push((id, told));
}

pub(crate) trait Socket: Read + Write {
    fn do_not_block(&self);
}

impl Socket for TcpStream {
    fn do_not_block(&self) {
        self.set_nonblocking(true).unwrap();
    }
}

#[cfg(unix)]
impl Socket for std::os::unix::net::UnixStream {
    fn do_not_block(&self) {
        self.set_nonblocking(true).unwrap();
    }
}

/// The other end of a socket, of which nothing is hidden.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    /// Received and not taken yet.
    pub(crate) inbox: Vec<u8>,
    /// The stream has ended, one way or the other.
    pub(crate) ended: bool,
    pub(crate) error: Option<io::ErrorKind>,
}

impl Peer<TcpStream> {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::new(stream)
    }
}

impl<S: Socket> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        stream.do_not_block();
        Self { stream, inbox: Vec::new(), ended: false, error: None }
    }

    /// Sends what the kernel's buffers have room for.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends as much of `bytes` as the kernel has room for, and answers how much that was.
    pub(crate) fn send_some(&mut self, bytes: &[u8]) -> usize {
        match self.stream.write(bytes) {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Reads what is there.
    pub(crate) fn receive(&mut self) -> &[u8] {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(n) => {
                    self.inbox.extend_from_slice(&bytes[..n]);
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => (self.ended, self.error) = (true, Some(error.kind())),
            }
            return &self.inbox;
        }
    }

    pub(crate) fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let bytes = &self.inbox;
        let (header, length) = match *bytes.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize),
            length => (2, usize::from(length)),
        };
        let payload = bytes.get(header..header + length)?.to_vec();
        let first = bytes[0];
        self.inbox.drain(..header + length);
        Some((first, payload))
    }
}

/// A client's frame. The masking key is such that a mistake in it shows.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let payload = payload.as_ref();
    let mut frame = vec![first];
    match payload.len() {
        0..=125 => frame.push(0x80 | payload.len() as u8),
        126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Runs the test of this name alone in a process of its own, where it finds `WIREROOM_ALONE` set: for what is counted
/// per process. `limit` is a shell command that comes first. Answers the child, to be waited for.
#[cfg(target_os = "linux")]
pub(crate) fn alone(test: &str, limit: &str) -> Alone {
    let exe = std::env::current_exe().unwrap();
    let child = std::process::Command::new("sh")
        .args(["-c", &format!("{limit} exec \"$0\" --exact {test} --nocapture --test-threads 1")])
        .arg(exe)
        .env("WIREROOM_ALONE", "1")
        .stdout(std::process::Stdio::piped())
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    Alone(child)
}

#[cfg(target_os = "linux")]
pub(crate) fn is_alone() -> bool {
    std::env::var_os("WIREROOM_ALONE").is_some()
}

/// A child process that does not outlive its test.
#[cfg(target_os = "linux")]
pub(crate) struct Alone(pub(crate) std::process::Child);

#[cfg(target_os = "linux")]
impl Alone {
    pub(crate) fn succeeds(mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                let mut said = String::new();
                let _ = self.0.stdout.take().unwrap().read_to_string(&mut said);
                assert!(status.success(), "{said}");
                return;
            }
            assert!(start.elapsed() < 6 * PATIENCE, "the child does not come to an end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Descriptors of this process.
#[cfg(target_os = "linux")]
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
