//! A raw peer: bytes written by hand on a socket that nothing guards.

use std::{
    fmt::Debug,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use socket2::{Domain, SockRef, Socket, Type};

use crate::testee::PATIENCE;

pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
/// The first bytes of a message in fragments, of one in their midst, and of the last.
pub(crate) const FIRST: u8 = 0x02;
pub(crate) const MIDDLE: u8 = 0x00;
pub(crate) const LAST: u8 = 0x80;

/// The masking key of all our frames: such that a mistake in it shows.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    /// Received and not taken yet.
    inbox: Vec<u8>,
}

/// A frame as it was on the wire, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

/// A request to upgrade.
pub(crate) fn upgrade(path: &str, extra: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extra}\r\n"
    )
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect(address).unwrap())
    }

    /// With a receive buffer as small as the system allows: it is full at once.
    pub(crate) fn connect_small(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::new(socket.into())
    }

    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, inbox: Vec::new() }
    }

    /// On an open connection.
    pub(crate) fn open(address: SocketAddr, path: &str) -> Self {
        Self::connect(address).upgraded(path)
    }

    /// Through the opening handshake.
    pub(crate) fn upgraded(mut self, path: &str) -> Self {
        self.send(upgrade(path, ""));
        let head = self.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        self
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends what may not arrive: the other end may have had enough.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends `bytes` again and again, until `most` bytes have gone, or the other end has taken nothing for a second, or
    /// has ended. Answers how many have gone.
    pub(crate) fn flood(&mut self, bytes: &[u8], most: usize) -> usize {
        self.flood_for(bytes, most, Duration::from_secs(1))
    }

    /// The same with another patience.
    pub(crate) fn flood_for(&mut self, bytes: &[u8], most: usize, patience: Duration) -> usize {
        self.stream.set_write_timeout(Some(patience)).unwrap();
        let mut sent = 0;
        while sent < most {
            let rest = &bytes[sent % bytes.len()..];
            match self.stream.write(&rest[..rest.len().min(most - sent)]) {
                Ok(0) | Err(_) => break,
                Ok(written) => sent += written,
            }
        }
        self.stream.set_write_timeout(Some(PATIENCE)).unwrap();
        sent
    }

    /// The end of our side of the stream.
    pub(crate) fn end(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Gone, with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Reads once. False: the stream has ended.
    fn receive(&mut self, what: impl Debug) -> bool {
        let mut bytes = [0; 64 * 1024];
        let received = self.stream.read(&mut bytes).unwrap_or_else(|error| panic!("waiting for {what:?}: {error}"));
        self.inbox.extend_from_slice(&bytes[..received]);
        received > 0
    }

    /// Takes one HTTP head out of what has been received.
    pub(crate) fn head(&mut self) -> String {
        loop {
            if let Some(at) = self.inbox.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                return String::from_utf8(self.inbox.drain(..at + 4).collect()).unwrap();
            }
            assert!(self.receive("a head"), "the stream ended in a head: {:?}", String::from_utf8_lossy(&self.inbox));
        }
    }

    /// The status in a head.
    pub(crate) fn status(&mut self) -> u16 {
        let head = self.head();
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{head}"))
    }

    pub(crate) fn frame(&mut self) -> Frame {
        loop {
            if let Some((frame, length)) = parse(&self.inbox) {
                self.inbox.drain(..length);
                return frame;
            }
            assert!(self.receive("a frame"), "the stream ended where a frame was due");
        }
    }

    /// The next frame, if one comes so soon.
    pub(crate) fn try_frame(&mut self, patience: Duration) -> Option<Frame> {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; 64 * 1024];
        let frame = loop {
            if let Some((frame, length)) = parse(&self.inbox) {
                self.inbox.drain(..length);
                break Some(frame);
            }
            match self.stream.read(&mut bytes) {
                Ok(0) | Err(_) => break None,
                Ok(received) => self.inbox.extend_from_slice(&bytes[..received]),
            }
        };
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        frame
    }

    /// The next message has to be this one.
    pub(crate) fn gets(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let (frame, wanted) = (self.frame(), payload.as_ref());
        let short = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let same = frame.first == first && frame.payload == wanted;
        assert!(same, "{:#x} {:?}, not {:#x} {:?}", frame.first, short(&frame.payload), first, short(wanted));
    }

    /// The same small frame comes so many times, and nothing else.
    pub(crate) fn gets_many(&mut self, frame: &[u8], count: usize) {
        let mut left = count * frame.len();
        while left > 0 {
            let at = count * frame.len() - left;
            let wanted = frame.iter().cycle().skip(at % frame.len());
            let due = self.inbox.len().min(left);
            let other = self.inbox[..due].iter().zip(wanted).position(|(byte, wanted)| byte != wanted);
            assert_eq!(other.map(|other| &self.inbox[other..due.min(other + 80)]), None, "another frame");
            self.inbox.drain(..due);
            left -= due;
            assert!(left == 0 || self.receive(format!("{} more frames", left / frame.len())), "the stream ended");
        }
    }

    /// An echo shows that the other end is well.
    pub(crate) fn echoes(&mut self) {
        self.send(frame(TEXT, "well?"));
        self.gets(TEXT, "well?");
    }

    /// Skips to the Close frame: its code and reason.
    pub(crate) fn close_frame(&mut self) -> (u16, String) {
        loop {
            let frame = self.frame();
            if frame.first == CLOSE {
                let code = frame.payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                return (code, String::from_utf8(frame.payload[frame.payload.len().min(2)..].to_vec()).unwrap());
            }
        }
    }

    /// All that comes until the end of the stream, which has to be a proper one.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.receive("the end of the stream") {}
        std::mem::take(&mut self.inbox)
    }

    /// The stream ends, one way or the other; answers after how long.
    pub(crate) fn ended(&mut self) -> Duration {
        let (start, mut bytes) = (Instant::now(), [0; 64 * 1024]);
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return start.elapsed(),
                Ok(_) => assert!(start.elapsed() < PATIENCE, "still sending"),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("it does not end"),
                Err(_) => return start.elapsed(),
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (mut at, length) = match bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        length => (2, usize::from(length)),
    };
    let mask = (bytes[1] >= 0x80).then(|| bytes.get(at..at + 4)?.try_into().ok());
    let mask: Option<[u8; 4]> = match mask {
        Some(mask) => Some(mask?),
        None => None,
    };
    at += if mask.is_some() { 4 } else { 0 };
    let key = mask.unwrap_or_default();
    let payload = bytes.get(at..at + length)?;
    let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some((Frame { first: bytes[0], mask, payload }, at + length))
}

/// A client's frame.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut frame = header(first, payload.len() as u64);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The header of a client's frame, which may promise what does not follow.
pub(crate) fn header(first: u8, length: u64) -> Vec<u8> {
    let mut header = unmasked_header(first, length);
    header[1] |= 0x80;
    header.extend_from_slice(&KEY);
    header
}

/// A server's frame.
pub(crate) fn unmasked(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let mut frame = unmasked_header(first, payload.as_ref().len() as u64);
    frame.extend_from_slice(payload.as_ref());
    frame
}

/// The header of a server's frame.
pub(crate) fn unmasked_header(first: u8, length: u64) -> Vec<u8> {
    let mut header = vec![first];
    match length {
        0..=125 => header.push(length as u8),
        126..=0xffff => {
            header.push(126);
            header.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend_from_slice(&length.to_be_bytes());
        }
    }
    header
}
