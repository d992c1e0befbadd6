//! Sending: whole messages, shared ones, messages in fragments, control frames.

use bytes::Bytes;

use super::{
    Connection, MessageWriter, State,
    backlog::{Content, Offer},
    flags::Flag,
    writer::Writing,
};
#[cfg(feature = "deflate")]
use crate::message::Compression;
use crate::{
    error::SendError,
    frame::{FrameHeader, Opcode, apply_mask},
    message::{Encoded, Kind, Message, PreparedMessage, utf8},
};

/// From this size on a shared payload is queued by reference; below, a copy is cheaper.
const SHARE_FROM: usize = 4 * 1024;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum SendStatus {
    /// It was accepted and will be sent in order. Go on.
    Queued,
    /// It was accepted. More than `Config::high_water_mark` bytes wait, or half of `Config::max_send_messages`: better stop
    /// until [`Event::Drain`](super::Event::Drain).
    Backpressure,
    /// It will not be sent: a limit was reached, and [`SlowConsumer`](super::SlowConsumer) says that it is dropped.
    /// [`Event::Dropped`](super::Event::Dropped) counts it, and [`Event::Drain`](super::Event::Drain) follows.
    Dropped,
}

impl Connection {
    /// Queues a message as one frame; its payload is copied.
    ///
    /// # Errors
    ///
    /// [`SendError::BufferFull`] when `Config::max_send_buffer` bytes wait already, [`SendError::QueueFull`] when
    /// `Config::max_send_messages` messages do, unless [`Config::slow_consumer`](super::Config::slow_consumer) says what to
    /// do then: a message is taken whole or not at all. [`SendError::Closed`] once a Close frame was sent or received.
    /// [`SendError::UnfinishedMessage`] within a message in fragments.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<SendStatus, SendError> {
        let message = message.into();
        if self.append_plainly(message) {
            return Ok(SendStatus::Queued);
        }
        #[cfg(feature = "deflate")]
        return self.send_with(message, Compression::Auto);
        #[cfg(not(feature = "deflate"))]
        self.send_closely(message)
    }

    /// Most messages: there is room for a small one, and nothing to do but to put two or four bytes before it. False:
    /// nothing was done.
    fn append_plainly(&mut self, message: Message<'_>) -> bool {
        let payload = message.as_bytes();
        let is_plain = self.rare.lets_send();
        let may_send = self.state == State::Open && self.writing.is_none();
        if !is_plain || !may_send || !self.has_room_for(payload.len()) {
            return false;
        }
        self.note_empty();
        let first = 0x80 | message.kind().opcode() as u8;
        match u16::try_from(payload.len()) {
            Ok(length @ 0..=125) => self.queue.append_to_front([first, length as u8], payload),
            Ok(length) => {
                let [high, low] = length.to_be_bytes();
                self.queue.append_to_front([first, 126, high, low], payload)
            }
            Err(_) => false,
        }
    }

    #[cfg(not(feature = "deflate"))]
    fn send_closely(&mut self, message: Message<'_>) -> Result<SendStatus, SendError> {
        self.check_message()?;
        let room = self.has_room_for(message.as_bytes().len());
        if !room && let Some(status) = self.decide(Offer::Borrowed(message))? {
            return Ok(status);
        }
        self.append_frame(message.kind().opcode(), message.as_bytes());
        self.queue.count_last();
        Ok(self.status_with(room))
    }

    /// Queues a message by reference: a large payload is not copied (a client masks a copy, for it must).
    ///
    /// # Errors
    ///
    /// As [`Connection::send`], and [`SendError::InvalidUtf8`] for a text that is not UTF-8.
    pub fn send_bytes(&mut self, kind: Kind, payload: Bytes) -> Result<SendStatus, SendError> {
        self.check_message()?;
        if kind == Kind::Text && utf8::check(&payload).is_none() {
            return Err(SendError::InvalidUtf8);
        }
        self.take_shared(kind, payload)
    }

    /// As [`Connection::send_bytes`], for a payload that is known to be what `kind` says.
    #[cfg(feature = "net")]
    pub(crate) fn send_checked(&mut self, kind: Kind, payload: Bytes) -> Result<SendStatus, SendError> {
        self.check_message()?;
        self.take_shared(kind, payload)
    }

    fn take_shared(&mut self, kind: Kind, payload: Bytes) -> Result<SendStatus, SendError> {
        let room = self.has_room_for(payload.len());
        if !room && let Some(status) = self.decide(Offer::Shared(kind, &payload))? {
            return Ok(status);
        }
        self.append_shared(kind, payload);
        Ok(self.status_with(room))
    }

    /// Queues a message that was encoded before: a count, for a server. A client masks a copy with a fresh key.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.check_message()?;
        let room = self.has_room_for(message.payload().len());
        if !room && let Some(status) = self.decide(Offer::Prepared(message))? {
            return Ok(status);
        }
        self.append_prepared(message);
        Ok(self.status_with(room))
    }

    fn append_shared(&mut self, kind: Kind, payload: Bytes) {
        #[cfg(feature = "deflate")]
        if self.compresses(payload.len(), Compression::Auto) {
            return self.append_message(kind.opcode(), &payload, Compression::Auto);
        }
        if self.rare.is_client() || payload.len() < SHARE_FROM {
            self.append_frame(kind.opcode(), &payload);
            self.queue.count_last();
        } else {
            let header = self.header(kind.opcode(), payload.len(), true);
            self.watch_sent(&header, &payload);
            let (header, length) = header.encode();
            self.queue.append_shared(&header[..length], payload);
            self.count_frame(kind.opcode(), true);
        }
    }

    // A second, rare caller would have it called, on the path of every broadcast.
    #[inline(always)]
    fn append_prepared(&mut self, message: &PreparedMessage) {
        #[cfg(feature = "deflate")]
        let compressed = self.append_deflated(message);
        #[cfg(not(feature = "deflate"))]
        let compressed = false;
        if !compressed {
            self.append_encoded(message.kind().opcode(), 0, message.encoded());
        }
    }

    /// Frames a message that waited apart.
    pub(super) fn append_content(&mut self, content: &Content) {
        self.note_empty();
        match content {
            Content::Prepared(message) => self.append_prepared(message),
            #[cfg(feature = "deflate")]
            Content::Plain(kind, payload, Compression::Auto) => self.append_shared(*kind, payload.clone()),
            #[cfg(feature = "deflate")]
            Content::Plain(kind, payload, compression) => self.append_message(kind.opcode(), payload, *compression),
            #[cfg(not(feature = "deflate"))]
            Content::Plain(kind, payload) => self.append_shared(*kind, payload.clone()),
        }
    }

    /// Queues a frame that was encoded before, for which a client needs a new header.
    #[inline(always)]
    pub(super) fn append_encoded(&mut self, opcode: Opcode, rsv: u8, encoded: &Encoded) {
        if self.rare.is_client() || self.rare.watch().is_some() {
            let header = FrameHeader { rsv, ..self.header(opcode, encoded.payload().len(), true) };
            self.watch_sent(&header, encoded.payload());
            if self.rare.is_client() {
                self.append_encoding(&header, encoded.payload());
                self.queue.count_last();
                return self.count_frame(opcode, true);
            }
        }
        self.queue.append_unit(encoded.frame());
        self.count_frame(opcode, true);
    }

    /// Queues a Ping with up to 125 bytes of payload. It overtakes messages that wait.
    ///
    /// # Errors
    ///
    /// [`SendError::LongControlFrame`], [`SendError::Closed`], [`SendError::BufferFull`].
    pub fn ping(&mut self, payload: &[u8]) -> Result<SendStatus, SendError> {
        self.control(Opcode::Ping, payload)
    }

    /// Queues a Pong that nobody asked for (RFC 6455 section 5.5.3). Pings are answered without it.
    ///
    /// # Errors
    ///
    /// [`SendError::LongControlFrame`], [`SendError::Closed`], [`SendError::BufferFull`].
    pub fn pong(&mut self, payload: &[u8]) -> Result<SendStatus, SendError> {
        self.control(Opcode::Pong, payload)
    }

    /// Begins a message of unknown length, to be sent in fragments (section 5.4), or goes on with the one that was
    /// begun and not finished. Between its fragments only control frames can be sent.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Instant};
    /// # use wireroom::{handshake::Accepted, Config, Connection, Kind};
    /// # fn main() -> Result<(), wireroom::SendError> {
    /// # let accepted = Accepted::upgraded_elsewhere(None, Default::default());
    /// # let mut connection = Connection::server(accepted, Config::default(), Instant::now());
    /// let mut writer = connection.writer(Kind::Text)?;
    /// writer.write(b"Hel")?;
    /// writer.write(b"lo")?;
    /// writer.finish()?;
    /// let mut out = Vec::new();
    /// bytes::BufMut::put(&mut out, connection.transmit());
    /// assert_eq!(out, b"\x01\x03Hel\x00\x02lo\x80\x00");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`]; [`SendError::UnfinishedMessage`] when a message of the other kind is unfinished.
    pub fn writer(&mut self, kind: Kind) -> Result<MessageWriter<'_>, SendError> {
        self.check_open()?;
        match self.writing {
            Some(writing) if writing.kind != kind => return Err(SendError::UnfinishedMessage),
            Some(_) => {}
            None => self.writing = Some(Writing::new(kind)),
        }
        Ok(MessageWriter { connection: self, kind, sent: None })
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<SendStatus, SendError> {
        self.check_open()?;
        // 5.5: "All control frames MUST have a payload length of 125 bytes or less"
        if payload.len() > 125 {
            return Err(SendError::LongControlFrame(payload.len()));
        }
        self.check_control()?;
        self.queue_control(opcode, payload);
        Ok(self.status())
    }

    /// Control frames are answered in order while output flows. Once it is blocked they overtake what has not been
    /// started, and more than a few coalesce to the latest (5.5.3).
    pub(super) fn queue_control(&mut self, opcode: Opcode, payload: &[u8]) {
        if !matches!(self.state, State::Open | State::AwaitingClose) {
            return;
        }
        self.pongs_due = self.pongs_due.saturating_add(u8::from(opcode == Opcode::Ping));
        self.note_empty();
        if self.state == State::Open && self.queue.is_blocked() && !self.flags.has(Flag::ControlWaits) {
            let mut frame = Vec::with_capacity(FrameHeader::MAX + payload.len());
            let header = self.header(opcode, payload.len(), true);
            self.watch_sent(&header, payload);
            encode(&mut frame, &header, payload);
            self.queue.overtake(&frame, opcode == Opcode::Pong, FrameHeader::frame_length);
            self.count_frame(opcode, true);
        } else {
            self.flags.set(Flag::ControlWaits, true);
            self.append_frame(opcode, payload);
        }
    }

    pub(super) fn append_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        self.append_fragment(opcode, payload, true);
    }

    pub(super) fn append_fragment(&mut self, opcode: Opcode, payload: &[u8], fin: bool) {
        let header = self.header(opcode, payload.len(), fin);
        self.watch_sent(&header, payload);
        self.append_encoding(&header, payload);
        self.count_frame(opcode, fin);
    }

    fn append_encoding(&mut self, header: &FrameHeader, payload: &[u8]) {
        self.queue.append_with(FrameHeader::MAX + payload.len(), |out| encode(out, header, payload));
    }

    /// 5.3: each frame of a client has a fresh masking key.
    pub(super) fn header(&mut self, opcode: Opcode, payload: usize, fin: bool) -> FrameHeader {
        let mask = self.rare.next_mask();
        FrameHeader { fin, rsv: 0, opcode, mask, payload_length: payload as u64 }
    }

    /// Data is about to be queued. The control frames that stood in line have left with the rest, also where none has come
    /// since.
    #[inline]
    pub(super) fn note_empty(&mut self) {
        if self.queue.is_empty() {
            self.flags.set(Flag::ControlWaits, false);
        }
    }

    pub(super) fn check_message(&mut self) -> Result<(), SendError> {
        self.check_open()?;
        self.note_empty();
        if self.writing.is_some() { Err(SendError::UnfinishedMessage) } else { Ok(()) }
    }
}

/// Appends one frame.
fn encode(out: &mut Vec<u8>, header: &FrameHeader, payload: &[u8]) {
    let (bytes, length) = header.encode();
    out.extend_from_slice(&bytes[..length]);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = header.mask {
        apply_mask(&mut out[start..], mask, 0);
    }
}
