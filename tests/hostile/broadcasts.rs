//! Promise 7: a broadcast among readers of whom some have stalled.

use std::{
    io::{ErrorKind, Read, Write},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    figures::{below, states},
    peer::{BINARY, Peer, header},
    testee::{Echo, PATIENCE},
};

const MIB: u64 = 1 << 20;
const READERS: usize = 100;
/// The sender is ahead of the slowest of those who read by so many bytes: whoever reads is never refused a message.
const AHEAD: u64 = 256 << 10;

/// One that reads, and holds each message against its number.
struct Reader {
    stream: TcpStream,
    /// The number of the next message.
    next: u64,
    /// The start of it.
    rest: Vec<u8>,
}

impl Reader {
    fn join(echo: &Echo) -> Self {
        let stream = Peer::open(echo.address, "/broadcast").stream;
        stream.set_nonblocking(true).unwrap();
        Self { stream: TcpStream::from_std(stream), next: 0, rest: Vec::new() }
    }

    fn receive(&mut self, size: usize, buffer: &mut [u8]) {
        loop {
            let start = self.rest.len();
            buffer[..start].copy_from_slice(&self.rest);
            let end = match self.stream.read(&mut buffer[start..]) {
                Ok(0) => panic!("a reader was closed at message {}", self.next),
                Ok(read) => start + read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("a reader, at message {}: {error}", self.next),
            };
            let mut frames = buffer[..end].chunks_exact(4 + size);
            for frame in &mut frames {
                assert_eq!(frame[..4], [BINARY, 126, (size >> 8) as u8, size as u8]);
                let (first, last) = (&frame[4..12], &frame[size - 4..]);
                assert_eq!([first, last], [&self.next.to_be_bytes(); 2], "lost, doubled, or out of order");
                self.next += 1;
            }
            self.rest.clear();
            self.rest.extend_from_slice(frames.remainder());
        }
    }
}

/// The masked frame of a message that begins and ends with its number. A key of zeros leaves the payload as it is.
fn message(number: u64, size: usize) -> Vec<u8> {
    let mut frame = header(BINARY, size as u64);
    let start = frame.len();
    frame[start - 4..].fill(0);
    frame.resize(start + size, 0x5a);
    frame[start..start + 8].copy_from_slice(&number.to_be_bytes());
    frame[start + size - 8..].copy_from_slice(&number.to_be_bytes());
    frame
}

/// Broadcasts `total` bytes in messages of `size` to a hundred readers, of whom these many never read.
fn broadcast(total: u64, size: usize, stalled: usize, bound: f64) {
    let echo = Echo::start(&["--keepalive-interval", "600"]);
    let _stalled: Vec<Peer> = (0..stalled).map(|_| Peer::connect_small(echo.address).upgraded("/broadcast")).collect();
    let mut readers: Vec<Reader> = (0..READERS - stalled).map(|_| Reader::join(&echo)).collect();
    // The sender is told its own messages, too.
    let mut sender = Reader::join(&echo);
    let mut poll = Poll::new().unwrap();
    for (number, reader) in readers.iter_mut().enumerate() {
        poll.registry().register(&mut reader.stream, Token(number), Interest::READABLE).unwrap();
    }
    let both = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(&mut sender.stream, Token(READERS), both).unwrap();

    let meter = echo.testee.meter();
    let (messages, ahead) = (total / size as u64, AHEAD / size as u64);
    let (mut buffer, mut events) = (vec![0; 256 << 10], Events::with_capacity(256));
    let (mut next, mut waiting, mut slowest) = (0, Vec::new(), 0);
    let start = Instant::now();
    while slowest < messages {
        loop {
            if waiting.is_empty() && next < messages.min(slowest + ahead) {
                waiting = message(next, size);
                next += 1;
            }
            match sender.stream.write(&waiting) {
                Ok(0) => break,
                Ok(written) => _ = waiting.drain(..written),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the sender, at message {next}: {error}"),
            }
        }
        poll.poll(&mut events, Some(PATIENCE)).unwrap();
        assert!(!events.is_empty(), "all wait at message {slowest}");
        for event in &events {
            let reader = readers.get_mut(event.token().0).unwrap_or(&mut sender);
            reader.receive(size, &mut buffer);
        }
        slowest = readers.iter().chain([&sender]).map(|reader| reader.next).min().unwrap_or_default();
    }
    let took = start.elapsed();
    let what = format!("broadcast of {} MiB in messages of {size} bytes, {stalled} of 100 stalled", total / MIB);
    states(7, format_args!("{what}: {} complete and in order after {took:.1?}", readers.len()));
    below(7, &format!("{what}, growth"), meter.growth(), bound, "MiB");
    assert!(took > Duration::ZERO);
}

#[test]
fn one_stalled_reader_of_a_hundred() {
    broadcast(128 * MIB, 16 << 10, 1, 4.0);
}

#[test]
fn fifty_stalled_readers_of_a_hundred() {
    broadcast(128 * MIB, 16 << 10, 50, 16.0);
}

#[test]
fn one_stalled_reader_of_a_hundred_and_small_messages() {
    broadcast(SMALL * MIB, 1 << 10, 1, 4.0);
}

#[test]
fn fifty_stalled_readers_of_a_hundred_and_small_messages() {
    broadcast(SMALL * MIB, 1 << 10, 50, 16.0);
}

/// MiB of small messages: not optimised, 13 million deliveries would take minutes.
const SMALL: u64 = if cfg!(debug_assertions) { 16 } else { 128 };
