//! One end: its connection, and what its user says and does.

use std::{collections::VecDeque, io, time::Instant};

use bytes::{Buf, Bytes};
use wireroom::{
    CloseCode, Closed, Compression, Connection, Dropped, Kind, Message, PreparedMessage, RecvBuffer, SendError,
    SendStatus, SlowConsumer, Transport, frame::FrameHeader,
};

use super::{line::Line, operation::Via};

/// One story is not longer than this at either end, echoes apart.
const LONGEST: usize = 1 << 18;

pub(super) struct End {
    pub(super) connection: Option<Connection>,
    pub(super) rx: RecvBuffer,
    /// Bytes on their way to it.
    pub(super) incoming: VecDeque<u8>,
    /// Accepted, and not heard by the other end.
    pub(super) line: Line,
    /// Payloads of Pings that were accepted and not heard; those of Pongs that were due, of which some may not come.
    pub(super) pings: VecDeque<Vec<u8>>,
    pub(super) pongs: VecDeque<Vec<u8>>,
    /// So many of them, the oldest, need not be heard.
    pub(super) pongs_not_owed: usize,
    /// So many controls and messages were made: each is different. Their bytes.
    made: u32,
    sum: usize,
    pub(super) echoes: bool,
    pub(super) takes: bool,
    /// A fault has befallen what it is to hear: from here on it need not be what was said.
    pub(super) excused: bool,
    /// What is sent to it gets lost.
    pub(super) vanished: bool,
    pub(super) heard_end: bool,
    pub(super) opened: bool,
    pub(super) closed: Option<Box<Closed>>,
    /// The transport is closed.
    pub(super) is_over: bool,
    pub(super) drain_owed: bool,
    /// A policy has closed it, with this code.
    pub(super) too_slow: Option<CloseCode>,
    /// So many sends answered that they dropped; what `Event::Dropped` has told in all.
    pub(super) dropped: u64,
    pub(super) told: Dropped,
    /// Messages that were accepted since the last byte left, and are still there.
    pub(super) burst: u64,
    pub(super) written: u64,
    pub(super) read: u64,
    pub(super) messages: u64,
    /// The largest read and the largest message so far.
    pub(super) largest: usize,
    pub(super) largest_said: usize,
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
            rx: RecvBuffer::with_capacity(16),
            incoming: VecDeque::new(),
            line: Line::default(),
            pings: VecDeque::new(),
            pongs: VecDeque::new(),
            pongs_not_owed: 0,
            made: 0,
            sum: 0,
            echoes: false,
            takes: false,
            excused: false,
            vanished: false,
            heard_end: false,
            opened: false,
            closed: None,
            is_over: false,
            drain_owed: false,
            too_slow: None,
            dropped: 0,
            told: Dropped::default(),
            burst: 0,
            written: 0,
            read: 0,
            messages: 0,
            largest: 0,
            largest_said: 0,
        }
    }

    /// A payload unlike all before it; if it need not be, it may be shorter than what tells it apart.
    fn payload(&mut self, text: bool, length: usize, unique: bool) -> Vec<u8> {
        let length = length.min(LONGEST - self.sum);
        self.sum += length;
        self.made += 1;
        let seed = self.made;
        match text {
            // Characters of two bytes, so that cuts go through them.
            true => format!("{seed}\u{e9}").bytes().chain("\u{3b1}".repeat(length / 2).bytes()).collect(),
            false => {
                let length = if unique { length.max(5) } else { length };
                seed.to_be_bytes()
                    .into_iter()
                    .chain((4..length).map(|i| (i / 7) as u8 ^ seed as u8))
                    .take(length)
                    .collect()
            }
        }
    }

    /// What an answer says about itself, under the policy that was in force.
    pub(super) fn accepted(&mut self, result: Result<SendStatus, SendError>, policy: SlowConsumer) -> bool {
        let Some(connection) = &self.connection else { return false };
        let (waiting, is_open) = (connection.buffered_amount(), connection.is_open());
        let config = connection.config();
        match result {
            Ok(SendStatus::Queued) => {}
            Ok(SendStatus::Backpressure) => self.drain_owed = true,
            Ok(SendStatus::Dropped) => {
                assert!(matches!(policy, SlowConsumer::DropNewest | SlowConsumer::DropOldest));
                self.dropped += 1;
                self.drain_owed = true;
            }
            Err(error @ (SendError::BufferFull { .. } | SendError::QueueFull { .. })) => {
                match error {
                    SendError::BufferFull { buffered, limit } => {
                        // What waits apart counts for a little more than its bytes.
                        assert!(limit == config.max_send_buffer() && buffered >= limit.max(waiting.min(limit)));
                        assert!(is_open <= (buffered >= waiting && buffered <= waiting + 128 * self.line.len()));
                    }
                    SendError::QueueFull { limit } => {
                        let let_go = self.told.oldest + self.told.replaced
                            - self.line.gone().min(self.told.oldest + self.told.replaced);
                        assert_eq!(limit, config.max_send_messages());
                        assert!(self.line.len() as u64 >= u64::from(limit) + let_go, "refused, and nothing waits");
                    }
                    _ => {}
                }
                match policy {
                    SlowConsumer::Close(code) => {
                        assert!(!is_open, "a slow consumer is closed");
                        self.too_slow = Some(code);
                    }
                    SlowConsumer::Refuse => {
                        assert!(is_open);
                        self.drain_owed = true;
                    }
                    other => panic!("refused under {other:?}"),
                }
            }
            Err(_) => {}
        }
        result.is_ok_and(|status| status != SendStatus::Dropped)
    }

    /// The policy of what says nothing of its own.
    pub(super) fn policy(&self) -> SlowConsumer {
        self.connection.as_ref().map_or(SlowConsumer::Refuse, |connection| connection.config().slow_consumer())
    }

    pub(super) fn says(&mut self, kind: Kind, bytes: Vec<u8>, policy: SlowConsumer, key: Option<u8>) {
        self.largest_said = self.largest_said.max(bytes.len());
        self.burst += 1;
        self.line.say(kind, bytes, policy == SlowConsumer::DropOldest, key);
    }

    pub(super) fn send(&mut self, text: bool, via: Via, length: usize) {
        let policy = self.policy();
        let bytes = self.payload(text, length, policy == SlowConsumer::DropOldest);
        let kind = if text { Kind::Text } else { Kind::Binary };
        let Some(connection) = &mut self.connection else { return };
        if bytes.len() > connection.config().max_message_size() {
            return;
        }
        let message = message(kind, &bytes);
        let result = match via {
            Via::Send => connection.send(message),
            Via::Bytes => connection.send_bytes(kind, Bytes::from(bytes.clone())),
            Via::Prepared => connection.send_prepared(&message.into()),
            Via::Broken => {
                let before = connection.buffered_amount();
                let result = connection.send_bytes(Kind::Text, Bytes::from([&bytes[..], b"\xff"].concat()));
                assert!(result.is_err() && connection.buffered_amount() == before, "8.1");
                return;
            }
        };
        if self.accepted(result, policy) {
            self.says(kind, bytes, policy, None);
        }
    }

    /// A prepared message with a policy and a key of its own.
    pub(super) fn send_wish(&mut self, text: bool, policy: Option<SlowConsumer>, key: Option<u8>, length: usize) {
        let bytes = self.payload(text, length, true);
        let kind = if text { Kind::Text } else { Kind::Binary };
        let in_force = policy.unwrap_or(self.policy());
        let Some(connection) = &mut self.connection else { return };
        if bytes.len() > connection.config().max_message_size() {
            return;
        }
        let plain = PreparedMessage::new(message(kind, &bytes));
        let mut prepared = match length % 3 {
            0 => plain.clone(),
            1 => PreparedMessage::with_compression(message(kind, &bytes), Compression::Always),
            _ => PreparedMessage::with_compression(message(kind, &bytes), Compression::Never),
        };
        if let Some(policy) = policy {
            prepared = prepared.slow_consumer(policy);
        }
        if let Some(key) = key {
            prepared = prepared.latest_of(format!("key {key}"));
        }
        assert!(prepared == plain && prepared.payload() == bytes && prepared.kind() == kind);
        let header = FrameHeader::parse(prepared.as_frame()).expect("a frame").expect("a whole one");
        assert_eq!(prepared.as_frame()[header.1..], bytes);
        let result = connection.send_prepared(&prepared);
        if self.accepted(result, in_force) {
            self.says(kind, bytes, in_force, key);
        }
    }

    pub(super) fn fragment(&mut self, text: bool, length: usize, most: usize) {
        let bytes = self.payload(text, length, false);
        let kind = if text { Kind::Text } else { Kind::Binary };
        let before = self.line.unfinished();
        let size = before.map_or(0, |(_, size)| size) + bytes.len();
        // A fragment cannot be dropped: it is refused in place of that.
        let policy = Some(self.policy()).filter(|policy| matches!(policy, SlowConsumer::Close(_)));
        let Some(connection) = self.connection.as_mut().filter(|_| size <= most) else { return };
        // Now and then it is cut through a character.
        let broken = text && length % 8 == 7;
        let bytes = if broken { &bytes[..bytes.len() - 1] } else { &bytes[..] };
        let result = connection.writer(kind).and_then(|mut writer| writer.write(bytes));
        assert!(result.is_err() || !broken, "8.1");
        assert!(result.is_err() || before.is_none_or(|(before, _)| before == kind), "5.4: one message at a time");
        if self.accepted(result, policy.unwrap_or_default()) {
            self.largest_said = self.largest_said.max(bytes.len());
            if before.is_none() {
                self.line.begin(kind);
                self.burst += 1;
            }
            self.line.go_on(bytes);
        }
    }

    pub(super) fn finish(&mut self) {
        let (Some((kind, _)), Some(connection)) = (self.line.unfinished(), &mut self.connection) else { return };
        let result = connection.writer(kind).and_then(|writer| writer.finish());
        if self.accepted(result, SlowConsumer::Refuse) {
            self.line.finish();
        }
    }

    pub(super) fn control(&mut self, ping: bool, length: u8) {
        // Unlike the keepalive's, and those that measure: those have four bytes at most.
        let payload = self.payload(false, usize::from(length).max(5), true);
        let Some(connection) = &mut self.connection else { return };
        let result = if ping { connection.ping(&payload) } else { connection.pong(&payload) };
        assert!(payload.len() <= 125 || result.is_err(), "5.5");
        // Control frames are bounded in bytes alone, and have no policy.
        assert!(!matches!(result, Err(SendError::QueueFull { .. })));
        if self.accepted(result, SlowConsumer::Refuse) {
            if ping { self.pings.push_back(payload) } else { self.pongs.push_back(payload) }
        }
    }

    pub(super) fn measure(&mut self, now: Instant) {
        let Some(connection) = &mut self.connection else { return };
        let result = connection.measure_round_trip(now);
        self.accepted(result, SlowConsumer::Refuse);
    }

    pub(super) fn close(&mut self, code: u16, now: Instant) {
        let Some(connection) = &mut self.connection else { return };
        match CloseCode::new(code) {
            Some(code) => connection.close(code, "bye", now),
            None => connection.close_without_code(now),
        }
        assert!(!connection.is_open() && connection.send("late") == Err(SendError::Closed), "5.5.1");
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
            assert!(frame.start().len() as u64 <= frame.header.payload_length.min(16));
        }
        connection.frames_missed();
        connection.watch_frames(frames);
    }

    pub(super) fn abort(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.abort();
            assert_eq!(connection.transport(), Transport::Close);
        }
    }

    pub(super) fn is_reset(&mut self) {
        self.excused = true;
        self.incoming.clear();
        if let Some(connection) = &mut self.connection {
            connection.handle_io_error(io::ErrorKind::ConnectionReset);
        }
    }

    pub(super) fn hears_the_end(&mut self) {
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
        if !bytes.is_empty() {
            self.burst = 0;
            self.written += bytes.len() as u64;
        }
        bytes
    }

    /// Nothing more will come from it.
    pub(super) fn is_done_writing(&self) -> bool {
        let done = |connection: &Connection| connection.transport() != Transport::Open && !connection.wants_write();
        self.is_over || self.connection.as_ref().is_some_and(done)
    }
}

fn message(kind: Kind, bytes: &[u8]) -> Message<'_> {
    match kind {
        Kind::Text => Message::from(std::str::from_utf8(bytes).expect("text")),
        Kind::Binary => Message::from(bytes),
    }
}
