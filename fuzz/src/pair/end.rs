//! One end: its connection, what its user has said, and what was heard.

use std::{collections::VecDeque, io, time::Instant};

use bytes::{Buf, Bytes};
use wireroom::{
    Cause, CloseCode, Closed, Config, Connection, Event, Kind, Message, PreparedMessage, RecvBuffer, SendStatus,
    Transport, handshake::ClientHandshake,
};

use super::Via;
use crate::common;

/// One story is not longer than this at either end, echoes apart.
const LONGEST: usize = 1 << 18;

/// A message that was accepted, or is being written.
#[derive(Debug)]
struct Said {
    kind: Kind,
    bytes: Vec<u8>,
    finished: bool,
}

pub(super) struct End {
    pub(super) connection: Option<Connection>,
    rx: RecvBuffer,
    /// Bytes on their way to it.
    pub(super) incoming: VecDeque<u8>,
    /// Accepted, and not heard by the other end.
    said: VecDeque<Said>,
    /// How much of the first of them was heard in parts.
    heard: usize,
    /// Payloads of Pings that were accepted and not heard; those of Pongs that were due, of which some may not come.
    pings: VecDeque<Vec<u8>>,
    pongs: VecDeque<Vec<u8>>,
    /// So many controls and messages were made: each is different. Their bytes.
    made: u16,
    sum: usize,
    pub(super) echoes: bool,
    /// A fault has befallen what it is to hear: from here on it need not be what was said.
    pub(super) excused: bool,
    /// What is sent to it gets lost.
    pub(super) vanished: bool,
    pub(super) heard_end: bool,
    opened: bool,
    closed: Option<Box<Closed>>,
    /// The transport is closed.
    pub(super) is_over: bool,
    drain_owed: bool,
    /// The largest read and the largest message so far.
    largest: usize,
    largest_said: usize,
}

impl std::fmt::Debug for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("End")
            .field("connection", &self.connection)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}

impl End {
    pub(super) fn new(connection: Option<Connection>) -> Self {
        Self {
            connection,
            rx: RecvBuffer::new(),
            incoming: VecDeque::new(),
            said: VecDeque::new(),
            heard: 0,
            pings: VecDeque::new(),
            pongs: VecDeque::new(),
            made: 0,
            sum: 0,
            echoes: false,
            excused: false,
            vanished: false,
            heard_end: false,
            opened: false,
            closed: None,
            is_over: false,
            drain_owed: false,
            largest: 0,
            largest_said: 0,
        }
    }

    /// A payload unlike all before it.
    fn payload(&mut self, text: bool, length: usize) -> Vec<u8> {
        let length = length.min(LONGEST - self.sum);
        self.sum += length;
        self.made = self.made.wrapping_add(1);
        let seed = usize::from(self.made);
        match text {
            // Characters of two bytes, so that cuts go through them.
            true => format!("{seed}\u{e9}").bytes().chain("\u{3b1}".repeat(length / 2).bytes()).collect(),
            false => (0..length).map(|i| (seed + i / 7) as u8).collect(),
        }
    }

    fn accepted(&mut self, result: Result<SendStatus, wireroom::SendError>) -> bool {
        let waiting = self.connection.as_ref().map_or(0, Connection::buffered_amount);
        match result {
            Ok(SendStatus::Backpressure) => self.drain_owed = true,
            Ok(SendStatus::Queued) => {}
            Err(wireroom::SendError::BufferFull { buffered, limit }) => {
                assert!(buffered >= limit && buffered == waiting)
            }
            Err(_) => {}
        }
        result.is_ok()
    }

    pub(super) fn send(&mut self, text: bool, via: Via, length: usize) {
        let bytes = self.payload(text, length);
        let kind = if text { Kind::Text } else { Kind::Binary };
        let Some(connection) = &mut self.connection else { return };
        if bytes.len() > connection.config().max_message_size() {
            return;
        }
        let message = match text {
            true => Message::from(std::str::from_utf8(&bytes).expect("text")),
            false => Message::from(&bytes),
        };
        let result = match via {
            Via::Send => connection.send(message),
            Via::Bytes => connection.send_bytes(kind, Bytes::from(bytes.clone())),
            Via::Prepared => connection.send_prepared(&PreparedMessage::new(message)),
        };
        if self.accepted(result) {
            self.largest_said = self.largest_said.max(bytes.len());
            self.said.push_back(Said { kind, bytes, finished: true });
        }
    }

    pub(super) fn fragment(&mut self, text: bool, length: usize, most: usize) {
        let bytes = self.payload(text, length);
        let kind = if text { Kind::Text } else { Kind::Binary };
        let before = self.said.back().filter(|said| !said.finished).map(|said| (said.kind, said.bytes.len()));
        let size = before.map_or(0, |(_, size)| size) + bytes.len();
        let Some(connection) = self.connection.as_mut().filter(|_| size <= most) else { return };
        let result = connection.writer(kind).and_then(|mut writer| writer.write(&bytes));
        assert!(result.is_err() || before.is_none_or(|(before, _)| before == kind), "5.4: one message at a time");
        if self.accepted(result) {
            self.largest_said = self.largest_said.max(bytes.len());
            match before {
                Some(_) => self.said.back_mut().expect("it").bytes.extend(bytes),
                None => self.said.push_back(Said { kind, bytes, finished: false }),
            }
        }
    }

    pub(super) fn finish(&mut self) {
        let unfinished = self.said.back().filter(|said| !said.finished).map(|said| said.kind);
        let (Some(kind), Some(connection)) = (unfinished, &mut self.connection) else { return };
        let result = connection.writer(kind).and_then(|writer| writer.finish());
        if self.accepted(result) {
            self.said.back_mut().expect("it").finished = true;
        }
    }

    pub(super) fn control(&mut self, ping: bool, length: u8) {
        // An empty Ping is the keepalive's.
        let payload = self.payload(false, usize::from(length).max(3));
        let payload = [&self.made.to_be_bytes()[..], &payload].concat();
        let Some(connection) = &mut self.connection else { return };
        let result = if ping { connection.ping(&payload) } else { connection.pong(&payload) };
        assert!(payload.len() <= 125 || result.is_err(), "5.5");
        if self.accepted(result) {
            if ping { self.pings.push_back(payload) } else { self.pongs.push_back(payload) }
        }
    }

    pub(super) fn close(&mut self, code: u16, now: Instant) {
        let Some(connection) = &mut self.connection else { return };
        match CloseCode::new(code) {
            Some(code) => connection.close(code, "bye", now),
            None => connection.close_without_code(now),
        }
        assert!(!connection.is_open() && connection.send("late").is_err(), "5.5.1: nothing behind the Close");
    }

    pub(super) fn pause(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.pause();
        }
    }

    pub(super) fn resume(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.resume(now);
        }
    }

    pub(super) fn set_streaming(&mut self, on: bool) {
        if let Some(connection) = &mut self.connection {
            connection.set_streaming(on);
        }
    }

    pub(super) fn watch(&mut self, frames: usize) {
        let Some(connection) = &mut self.connection else { return };
        while let Some(frame) = connection.poll_frame() {
            assert!(frame.start().len() <= 16);
        }
        connection.frames_missed();
        connection.watch_frames(frames);
    }

    pub(super) fn abort(&mut self, _now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.abort();
            assert_eq!(connection.transport(), Transport::Close);
        }
    }

    pub(super) fn is_reset(&mut self, _now: Instant) {
        self.excused = true;
        self.incoming.clear();
        if let Some(connection) = &mut self.connection {
            connection.handle_io_error(io::ErrorKind::ConnectionReset);
        }
    }

    pub(super) fn hears_the_end(&mut self, _now: Instant) {
        // What is still on its way is lost.
        self.excused |= !self.incoming.is_empty();
        self.vanished = true;
        self.incoming.clear();
        self.heard_end = true;
        if let Some(connection) = &mut self.connection {
            connection.handle_eof();
        }
    }

    pub(super) fn corrupt(&mut self, at: usize, with: u8) {
        if !self.incoming.is_empty() {
            let at = at % self.incoming.len();
            self.excused |= with != 0;
            self.incoming[at] ^= with;
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(connection) = &mut self.connection {
            connection.handle_timeout(now);
        }
    }

    /// Writes at most `n` bytes, as a driver does that is told when the transport is full.
    pub(super) fn write(&mut self, n: usize) -> Vec<u8> {
        let Some(connection) = &mut self.connection else { return Vec::new() };
        let queue = connection.transmit();
        let mut slices = [io::IoSlice::new(&[]); 3];
        let count = queue.chunks_vectored(&mut slices);
        let mut bytes = Vec::new();
        for slice in &slices[..count] {
            bytes.extend_from_slice(&slice[..slice.len().min(n - bytes.len())]);
        }
        assert!(count > 0 || queue.is_empty());
        queue.advance(bytes.len());
        bytes
    }

    /// Nothing more will come from it.
    pub(super) fn is_done_writing(&self) -> bool {
        let done = |connection: &Connection| connection.transport() != Transport::Open && !connection.wants_write();
        self.is_over || self.connection.as_ref().is_some_and(done)
    }

    pub(super) fn read(&mut self, n: usize) -> bool {
        let wants = self.connection.as_ref().is_some_and(Connection::wants_read);
        let n = n.min(self.incoming.len());
        if !wants || n == 0 {
            return false;
        }
        self.largest = self.largest.max(n);
        let bytes: Vec<u8> = self.incoming.drain(..n).collect();
        self.rx.space(n)[..n].copy_from_slice(&bytes);
        self.rx.filled(n);
        true
    }

    /// A client before its connection is open. Bytes behind the 101 are in the same buffer.
    pub(super) fn read_head(
        &mut self,
        handshake: &mut ClientHandshake,
        n: usize,
        now: Instant,
        config: &Config,
    ) -> bool {
        let n = n.min(self.incoming.len());
        if !handshake.wants_read() || n == 0 {
            return false;
        }
        let bytes: Vec<u8> = self.incoming.drain(..n).collect();
        self.largest = self.largest.max(n);
        self.rx.extend(&bytes);
        match handshake.poll(&mut self.rx) {
            Ok(Some(established)) => {
                self.connection = Some(Connection::client(established, common::keys(), config.clone(), now));
            }
            Ok(None) => {}
            Err(error) => assert!(self.excused, "nothing befell the 101: {error}"),
        }
        true
    }

    /// Takes events until there are none.
    pub(super) fn poll(&mut self, other: &mut End, now: Instant) {
        let Some(mut connection) = self.connection.take() else { return };
        let mut rx = std::mem::take(&mut self.rx);
        while let Some(event) = connection.poll_event(&mut rx, now) {
            assert!(self.closed.is_none(), "behind the last event: {event:?}");
            match event {
                Event::Open => assert!(!std::mem::replace(&mut self.opened, true), "opened twice"),
                Event::Message(message) => {
                    if self.echoes && message.as_bytes().len() <= connection.config().max_message_size() {
                        let result = connection.send(message);
                        if self.accepted(result) {
                            let (kind, bytes) = (message.kind(), message.as_bytes().to_vec());
                            self.largest_said = self.largest_said.max(bytes.len());
                            self.said.push_back(Said { kind, bytes, finished: true });
                        }
                    }
                    self.hears(other, message, true, true);
                }
                Event::Part(part) => self.hears(other, part.message, part.first, part.last),
                Event::Ping(payload) => {
                    self.pongs.push_back(payload.to_vec());
                    if !payload.is_empty() && !self.excused {
                        assert_eq!(other.pings.pop_front().as_deref(), Some(payload), "Pings keep their order");
                    }
                }
                Event::Pong(payload) => {
                    // 5.5.3: some may be left out, none comes twice or out of order.
                    let due = other.pongs.iter().position(|due| due == payload);
                    assert!(due.is_some() || self.excused, "a Pong for nothing: {payload:?}");
                    due.map(|due| other.pongs.drain(..=due));
                }
                Event::Drain => assert!(std::mem::take(&mut self.drain_owed), "a Drain for nothing"),
                Event::Closed(closed) => self.ends(other, closed),
                other => panic!("{other:?}"),
            }
            assert!(self.opened, "something before Open");
        }
        assert!(!connection.wants_poll(), "an event is left behind: {connection:?}");
        self.is_over |= connection.transport() == Transport::Close;
        assert!(!self.is_over || self.closed.is_some(), "the transport closes, and nobody knows");
        (self.connection, self.rx) = (Some(connection), rx);
    }

    /// What was said first is heard first, and is what was said.
    fn hears(&mut self, other: &mut End, message: Message<'_>, first: bool, last: bool) {
        if message.kind() == Kind::Text {
            assert!(std::str::from_utf8(message.as_bytes()).is_ok(), "8.1");
        }
        if self.excused {
            return;
        }
        let said = other.said.front_mut().unwrap_or_else(|| panic!("nobody said {message:?}"));
        let heard = other.heard;
        assert_eq!((said.kind, heard == 0), (message.kind(), first || heard == 0));
        let rest = &said.bytes[heard..];
        assert!(rest.starts_with(message.as_bytes()), "{message:?} in place of {rest:?}");
        other.heard += message.as_bytes().len();
        if last {
            assert!(said.finished && other.heard == said.bytes.len(), "cut off: {message:?} of {said:?}");
            other.said.pop_front();
            other.heard = 0;
        }
    }

    fn ends(&mut self, other: &mut End, closed: Box<Closed>) {
        if !self.excused {
            // An honest peer breaks no rule, and what it said before its Close was heard before it.
            assert!(!matches!(closed.cause, Cause::Failed(_) | Cause::Handshake(_) | Cause::Served), "{closed:?}");
            if closed.peer.is_some() {
                let lost: Vec<_> = other.said.iter().filter(|said| said.finished).collect();
                assert!(lost.is_empty(), "lost before the Close: {lost:?}");
                assert!(other.pings.is_empty(), "Pings lost before the Close: {:?}", other.pings);
            }
        }
        if let Cause::Clean = closed.cause {
            assert!(closed.local.is_some() && closed.peer.is_some(), "7.1.4: {closed:?}");
        }
        self.closed = Some(closed);
    }

    /// Memory within the limits.
    pub(super) fn check(&self, config: &Config) {
        let Some(connection) = &self.connection else { return };
        // A message is taken whole below the limit. Beyond it only control frames: answers to Pings, of which reading stops at
        // the high-water mark, and eight that overtake; and the 101.
        let most =
            config.max_send_buffer() + self.largest_said + config.high_water_mark() + self.largest + 16 * 140 + 512;
        assert!(connection.buffered_amount() <= most, "{} bytes wait, {most} may", connection.buffered_amount());
        // A message, the reads that have not been looked at yet, and what the buffers take for growing.
        let most = 3 * (config.max_message_size() + 2 * self.largest + 1024) + 3 * (64 << 10);
        assert!(self.rx.capacity() <= most, "{} bytes of storage, {most} may be", self.rx.capacity());
    }

    /// Everything has come to rest: `other` has heard all, if nothing was in the way.
    pub(super) fn nothing_is_missing_at(&self, other: &End) {
        let (Some(connection), Some(receiver)) = (&self.connection, &other.connection) else { return };
        let open = connection.is_open() && receiver.is_open();
        if !open || other.excused || other.vanished {
            return;
        }
        let missing: Vec<_> = self.said.iter().filter(|said| said.finished).collect();
        assert!(missing.is_empty(), "not heard: {missing:?}");
        assert!(self.pings.is_empty() && self.pongs.is_empty(), "not heard: {:?} {:?}", self.pings, self.pongs);
        assert_eq!(connection.buffered_amount(), 0);
        assert!(!self.drain_owed, "a Drain is owed");
    }
}
