//! One direction of a connection: what was written, and has not been read.

use std::{collections::VecDeque, io::IoSlice};

use bytes::Buf;

use super::Cuts;
use crate::{SendQueue, http::Transport};

/// The bytes on their way to one end of a [`Pair`](super::Pair), and what becomes of them.
///
/// By default everything that is written is there at once, whole and unharmed.
#[derive(Clone, Debug)]
pub struct Wire {
    /// How the reader finds the bytes cut.
    pub reads: Cuts,
    /// How many bytes the writer gets rid of at once.
    pub writes: Cuts,
    /// So many bytes are on the way at most: then the writer is blocked.
    pub capacity: usize,
    bytes: VecDeque<u8>,
    /// Bytes that were put on it since the beginning.
    put: u64,
    alterations: Vec<(u64, u8)>,
    fate: Fate,
}

/// What becomes of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Arrives,
    /// The writer has closed its side: behind what is on the wire lies the end of the stream.
    Ended,
    /// It gets lost, and nobody is told. So many bytes were.
    Lost(usize),
    /// The connection was reset: nothing is taken any more.
    Reset,
}

impl Default for Wire {
    fn default() -> Self {
        Self {
            reads: Cuts::whole(),
            writes: Cuts::whole(),
            capacity: usize::MAX,
            bytes: VecDeque::new(),
            put: 0,
            alterations: Vec::new(),
            fate: Fate::Arrives,
        }
    }
}

impl Wire {
    /// A wire that holds everything and harms nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts bytes behind those that are on the way, as if the writer had sent them: a hostile writer's frames.
    pub fn inject(&mut self, bytes: &[u8]) {
        match &mut self.fate {
            Fate::Arrives => {
                let alterations = &self.alterations;
                self.bytes.extend((self.put..).zip(bytes).map(|(position, byte)| {
                    alterations.iter().filter(|(at, _)| *at == position).fold(*byte, |byte, (_, mask)| byte ^ mask)
                }));
            }
            Fate::Ended | Fate::Reset => {}
            Fate::Lost(lost) => *lost += bytes.len(),
        }
        self.put += bytes.len() as u64;
    }

    /// The byte at `position`, counted from the first that is ever put on this wire, arrives with these bits flipped. To be
    /// said before it is written; [`Wire::put`] tells how far that is.
    pub fn alter(&mut self, position: u64, mask: u8) {
        self.alterations.push((position, mask));
    }

    /// The writer's side is closed: the reader gets what is on the way, and the end of the stream. What is written from
    /// here on goes nowhere.
    pub fn end(&mut self) {
        self.fate = Fate::Ended;
    }

    /// From here on what is written gets lost, and nobody is told: the cable is cut. What is on the way still arrives. Lost
    /// bytes fill the wire, for no reader takes them off.
    pub fn lose(&mut self) {
        self.fate = Fate::Lost(0);
    }

    /// How many bytes were put on it since the beginning.
    pub fn put(&self) -> u64 {
        self.put
    }

    /// How many bytes are on the way.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Is nothing on the way?
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Throws away what is on the way, and takes nothing more.
    pub(super) fn reset(&mut self) {
        self.bytes.clear();
        self.fate = Fate::Reset;
    }

    /// How many of `waiting` bytes the writer gets rid of now.
    pub(super) fn takes(&mut self, waiting: usize) -> usize {
        match self.room() {
            0 => 0,
            room => self.writes.take(waiting).min(room),
        }
    }

    /// How many more bytes it holds.
    pub(super) fn room(&self) -> usize {
        let lost = match self.fate {
            Fate::Arrives | Fate::Ended => 0,
            Fate::Lost(lost) => lost,
            Fate::Reset => return 0,
        };
        self.capacity.saturating_sub(self.bytes.len().saturating_add(lost))
    }

    /// Takes what the next read brings.
    pub(super) fn read(&mut self) -> Vec<u8> {
        let n = self.reads.take(self.bytes.len());
        self.bytes.drain(..n).collect()
    }

    /// Has the reader come to the end of the stream? `writer` says what the writer's end wants of its transport, once all
    /// that it had to write is here.
    pub(super) fn is_at_end(&self, writer: Option<Transport>) -> bool {
        let closed = writer.is_some_and(|transport| transport != Transport::Open);
        self.bytes.is_empty() && (self.fate == Fate::Ended || closed && self.fate == Fate::Arrives)
    }
}

/// Takes at most `n` bytes, as a driver does: vectored writes, and the news that the transport is full.
pub(super) fn take(queue: &mut SendQueue, n: usize) -> Vec<u8> {
    let mut taken = Vec::new();
    while queue.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = queue.chunks_vectored(&mut slices);
        let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        let here = offered.min(n - taken.len());
        let mut left = here;
        for slice in &slices[..count] {
            let (bytes, _) = slice.split_at(left.min(slice.len()));
            taken.extend_from_slice(bytes);
            left -= bytes.len();
        }
        queue.advance(here);
        if here < offered {
            break;
        }
    }
    taken
}
