//! Watching the frames of a connection: what [`Event`](crate::Event)s leave out, for a view of the wire.
//!
//! Off by default, and then one test for each frame. When on, frames are copied into a ring that was allocated once:
//! the header, and the first bytes of the payload.

use std::collections::VecDeque;

use super::Connection;
use crate::{frame::FrameHeader, message::decoder::Watcher};

/// The most frames that a ring keeps: about 2.5 MiB.
const MOST: usize = 65_536;
/// Bytes kept of each payload.
const START: usize = 16;

/// Which way a frame goes, as this endpoint sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the peer.
    Received,
    /// To the peer.
    Sent,
}

/// One frame that was seen by [`Connection::watch_frames`]: its header as it is on the wire, and how its payload starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedFrame {
    /// Which way it went.
    pub direction: Direction,
    /// Its header. A client's frames have a masking key.
    pub header: FrameHeader,
    start: [u8; START],
    length: u8,
}

impl WatchedFrame {
    fn new(direction: Direction, header: &FrameHeader) -> Self {
        Self { direction, header: *header, start: [0; START], length: 0 }
    }

    /// The first bytes of its payload, unmasked: at most 16. Of a frame that its connection's end cut off, what came.
    pub fn start(&self) -> &[u8] {
        &self.start[..usize::from(self.length)]
    }

    fn extend(&mut self, payload: &[u8]) {
        let at = usize::from(self.length);
        let n = payload.len().min(START - at);
        self.start[at..at + n].copy_from_slice(&payload[..n]);
        self.length += n as u8;
    }

    fn is_complete(&self) -> bool {
        u64::from(self.length) == self.header.payload_length.min(START as u64)
    }
}

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Watch {
    frames: VecDeque<WatchedFrame>,
    capacity: usize,
    missed: u64,
    /// A received frame whose first bytes have not all come. No other frame of the peer can come before they have.
    arriving: Option<WatchedFrame>,
}

impl Watch {
    fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        while self.frames.len() > capacity {
            self.frames.pop_front();
            self.missed += 1;
        }
        self.frames.reserve_exact(capacity - self.frames.len());
        self.frames.shrink_to(capacity);
    }

    fn push(&mut self, frame: WatchedFrame) {
        if self.frames.len() == self.capacity {
            self.frames.pop_front();
            self.missed += 1;
        }
        self.frames.push_back(frame);
    }

    pub(super) fn sent(&mut self, header: &FrameHeader, payload: &[u8]) {
        let mut frame = WatchedFrame::new(Direction::Sent, header);
        frame.extend(payload);
        self.push(frame);
    }

    fn cut_off(&mut self) {
        if let Some(frame) = self.arriving.take() {
            self.push(frame);
        }
    }
}

impl Watcher for Watch {
    fn header(&mut self, header: &FrameHeader) {
        self.arriving = Some(WatchedFrame::new(Direction::Received, header));
    }

    fn payload(&mut self, bytes: &[u8]) {
        // `None`: its start is known already, or its header came before anybody watched.
        let Some(frame) = &mut self.arriving else { return };
        frame.extend(bytes);
        if frame.is_complete() {
            self.cut_off();
        }
    }
}

impl Connection {
    /// Keeps the last `capacity` frames, received and sent, for [`Connection::poll_frame`]; at most 65,536. 0 stops, and
    /// forgets what was kept. Off until it is called; with [`Event::Open`](crate::Event::Open) it sees the first frame.
    ///
    /// A frame counts as received when its header and the first 16 bytes of its payload have come, and as sent when it is
    /// queued: a Ping or a Pong may overtake on the wire, one of many Pongs for a peer that does not read gives way to the
    /// next (5.5.3), and what an [`abort`](Connection::abort) left unsent is listed all the same. A frame that is refused
    /// by its header is not; the Close frame that says why is.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Instant};
    /// # use wireroom::{handshake::Accepted, Config, Connection, RecvBuffer};
    /// use wireroom::{Direction, frame::Opcode};
    ///
    /// # let accepted = Accepted::upgraded_elsewhere(None, Default::default());
    /// # let now = Instant::now();
    /// # let mut connection = Connection::server(accepted, Arc::new(Config::default()), now);
    /// # let mut rx = RecvBuffer::new();
    /// connection.watch_frames(256);
    /// rx.extend(b"\x89\x82\x01\x02\x03\x04ik"); // a masked Ping, "hi"
    /// while connection.poll_event(&mut rx, now).is_some() {}
    ///
    /// let ping = connection.poll_frame().unwrap();
    /// assert_eq!((ping.direction, ping.header.opcode), (Direction::Received, Opcode::Ping));
    /// assert_eq!((ping.header.mask, ping.start()), (Some([1, 2, 3, 4]), &b"hi"[..]));
    /// let pong = connection.poll_frame().unwrap(); // that nobody had to write
    /// assert_eq!((pong.direction, pong.header.opcode), (Direction::Sent, Opcode::Pong));
    /// assert_eq!((pong.header.mask, pong.start()), (None, &b"hi"[..]));
    /// assert!(connection.poll_frame().is_none());
    /// ```
    pub fn watch_frames(&mut self, capacity: usize) {
        match capacity.min(MOST) {
            0 => self.rare.remove_watch(),
            capacity => self.rare.watch_or_default().set_capacity(capacity),
        }
    }

    /// Takes the oldest frame that is kept. After [`Event::Closed`](crate::Event::Closed) the last ones are there.
    pub fn poll_frame(&mut self) -> Option<WatchedFrame> {
        self.rare.watch()?.frames.pop_front()
    }

    /// How many frames gave way to later ones since this was last asked: they are older than all that are kept.
    pub fn frames_missed(&mut self) -> u64 {
        self.rare.watch().map_or(0, |watch| std::mem::take(&mut watch.missed))
    }

    pub(super) fn watch_sent(&mut self, header: &FrameHeader, payload: &[u8]) {
        if let Some(watch) = self.rare.watch() {
            watch.sent(header, payload);
        }
    }

    /// Nothing more is read from the peer: a frame of which only a part came is listed as it is.
    pub(super) fn watch_cut_off(&mut self) {
        if let Some(watch) = self.rare.watch() {
            watch.cut_off();
        }
    }
}
