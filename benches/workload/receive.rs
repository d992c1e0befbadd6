//! Bytes become messages: header, unmasking in place, joining, UTF-8.

use std::{hint::black_box, time::Instant};

use wireroom::{Connection, Event, RecvBuffer};

use super::{
    frames::{self, Content},
    server,
};

/// Room for a read, and the most that one read brings, as in `net`.
const ROOM: usize = 64 * 1024;
const READ: usize = 256 * 1024;

/// A server that receives the same bytes in each run. They are copied into its buffer first, for that is what a read does.
#[derive(Debug)]
pub(crate) struct Receiver {
    connection: Connection,
    rx: RecvBuffer,
    input: Vec<u8>,
    now: Instant,
}

impl Receiver {
    /// Of `count` messages of `size` bytes in one frame each.
    pub(crate) fn new(content: Content, count: usize, size: usize) -> Self {
        Self::fragmented(content, count, size, usize::MAX)
    }

    /// The same in fragments of at most `fragment` bytes.
    pub(crate) fn fragmented(content: Content, count: usize, size: usize, fragment: usize) -> Self {
        Self::of(server(), frames::masked(content, count, size, fragment), count)
    }

    /// Of bytes that hold so many messages.
    pub(crate) fn of(connection: Connection, input: Vec<u8>, count: usize) -> Self {
        let rx = RecvBuffer::with_capacity(READ);
        let mut receiver = Self { connection, rx, input, now: Instant::now() };
        assert_eq!(receiver.run(), count, "every message arrives");
        receiver
    }

    /// Bytes of a run, the headers of the frames included.
    pub(crate) fn bytes(&self) -> usize {
        self.input.len()
    }

    /// Answers how many messages came.
    pub(crate) fn run(&mut self) -> usize {
        let mut messages = 0;
        let mut unsent = &self.input[..];
        while !unsent.is_empty() {
            let space = self.rx.space(ROOM);
            let n = unsent.len().min(space.len()).min(READ);
            let (read, rest) = unsent.split_at(n);
            space[..n].copy_from_slice(read);
            self.rx.filled(n);
            unsent = rest;
            while let Some(event) = self.connection.poll_event(&mut self.rx, self.now) {
                match event {
                    Event::Open => {}
                    Event::Message(message) => {
                        black_box(message.as_bytes());
                        messages += 1;
                    }
                    other => panic!("a workload of messages alone, and not {other:?}"),
                }
            }
        }
        messages
    }
}
