//! Sending: whole messages, shared ones, messages in fragments, control frames.

use bytes::Bytes;

use super::{Connection, State};
#[cfg(feature = "deflate")]
use crate::message::Compression;
use crate::{
    error::SendError,
    frame::{FrameHeader, Opcode, apply_mask},
    message::{Encoded, Kind, Message, PreparedMessage, utf8},
};

/// From this size on a shared payload is queued by reference; below, a copy is cheaper.
const SHARE_FROM: usize = 4 * 1024;

/// The message was accepted and will be sent in order. This says how full the queue is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum SendStatus {
    /// Go on.
    Queued,
    /// More than `Config::high_water_mark` bytes wait: better stop until [`Event::Drain`](super::Event::Drain).
    Backpressure,
}

impl Connection {
    /// Queues a message as one frame; its payload is copied.
    ///
    /// # Errors
    ///
    /// [`SendError::BufferFull`] when `Config::max_send_buffer` bytes wait already: a message is taken whole or not at
    /// all. [`SendError::Closed`] once a Close frame was sent or received. [`SendError::UnfinishedMessage`] within a
    /// message in fragments.
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<SendStatus, SendError> {
        let message = message.into();
        self.check_message()?;
        #[cfg(feature = "deflate")]
        self.append_message(message.kind().opcode(), message.as_bytes(), Compression::Auto);
        #[cfg(not(feature = "deflate"))]
        self.append_frame(message.kind().opcode(), message.as_bytes());
        Ok(self.status())
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
        #[cfg(feature = "deflate")]
        if self.compresses(payload.len(), Compression::Auto) {
            self.append_message(kind.opcode(), &payload, Compression::Auto);
            return Ok(self.status());
        }
        if self.keys.is_some() || payload.len() < SHARE_FROM {
            self.append_frame(kind.opcode(), &payload);
        } else {
            let header = self.header(kind.opcode(), payload.len(), true);
            self.watch_sent(&header, &payload);
            let (header, length) = header.encode();
            self.queue.append_shared(&header[..length], payload);
        }
        Ok(self.status())
    }

    /// Queues a message that was encoded before: a count, for a server. A client masks a copy with a fresh key.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.check_message()?;
        #[cfg(feature = "deflate")]
        if self.append_prepared(message) {
            return Ok(self.status());
        }
        self.append_encoded(message.kind().opcode(), 0, message.encoded());
        Ok(self.status())
    }

    /// Queues a frame that was encoded before, for which a client needs a new header.
    pub(super) fn append_encoded(&mut self, opcode: Opcode, rsv: u8, encoded: &Encoded) {
        if self.keys.is_some() || self.watch.is_some() {
            let header = FrameHeader { rsv, ..self.header(opcode, encoded.payload().len(), true) };
            self.watch_sent(&header, encoded.payload());
            if self.keys.is_some() {
                return self.append_encoding(&header, encoded.payload());
            }
        }
        self.queue.append_unit(encoded.frame());
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
        self.check_room()?;
        self.queue_control(opcode, payload);
        Ok(self.status())
    }

    /// Control frames are answered in order while output flows. Once it is blocked they overtake what has not been
    /// started, and more than a few coalesce to the latest (5.5.3).
    pub(super) fn queue_control(&mut self, opcode: Opcode, payload: &[u8]) {
        if !matches!(self.state, State::Open | State::AwaitingClose) {
            return;
        }
        self.control_waits &= !self.queue.is_empty();
        if self.state == State::Open && self.queue.is_blocked() && !self.control_waits {
            let mut frame = Vec::with_capacity(FrameHeader::MAX + payload.len());
            let header = self.header(opcode, payload.len(), true);
            self.watch_sent(&header, payload);
            encode(&mut frame, &header, payload);
            self.queue.overtake(&frame, opcode == Opcode::Pong, FrameHeader::frame_length);
        } else {
            self.control_waits = true;
            self.append_frame(opcode, payload);
        }
    }

    pub(super) fn append_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        self.append_fragment(opcode, payload, true);
    }

    fn append_fragment(&mut self, opcode: Opcode, payload: &[u8], fin: bool) {
        let header = self.header(opcode, payload.len(), fin);
        self.watch_sent(&header, payload);
        self.append_encoding(&header, payload);
    }

    fn append_encoding(&mut self, header: &FrameHeader, payload: &[u8]) {
        self.queue.append_with(FrameHeader::MAX + payload.len(), |out| encode(out, header, payload));
    }

    /// 5.3: each frame of a client has a fresh masking key.
    pub(super) fn header(&mut self, opcode: Opcode, payload: usize, fin: bool) -> FrameHeader {
        let mask = self.keys.as_mut().map(|keys| (keys.0)());
        FrameHeader { fin, rsv: 0, opcode, mask, payload_length: payload as u64 }
    }

    pub(super) fn check_message(&self) -> Result<(), SendError> {
        self.check_open()?;
        if self.writing.is_some() {
            return Err(SendError::UnfinishedMessage);
        }
        self.check_room()
    }

    fn check_room(&self) -> Result<(), SendError> {
        let (buffered, limit) = (self.queue.len(), self.config.max_send_buffer());
        if buffered >= limit { Err(SendError::BufferFull { buffered, limit }) } else { Ok(()) }
    }

    pub(super) fn status(&mut self) -> SendStatus {
        if self.queue.len() > self.config.high_water_mark() {
            self.drain_owed = true;
            SendStatus::Backpressure
        } else {
            SendStatus::Queued
        }
    }
}

/// A message that is being sent in fragments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    pub(super) kind: Kind,
    /// Its first frame was queued.
    pub(super) begun: bool,
    /// Whether it is compressed; settled with its first frame.
    #[cfg(feature = "deflate")]
    pub(super) compression: Compression,
}

impl Writing {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            begun: false,
            #[cfg(feature = "deflate")]
            compression: Compression::Always,
        }
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

/// Writes one message in fragments; made by [`Connection::writer`]. Dropping it does not finish the message:
/// `writer` goes on with it, in this turn or a later one.
#[derive(Debug)]
#[must_use]
pub struct MessageWriter<'c> {
    connection: &'c mut Connection,
    kind: Kind,
    /// Counts whole messages, for a loop's statistics.
    sent: Option<&'c mut u64>,
}

#[cfg(feature = "net")]
impl<'c> MessageWriter<'c> {
    pub(crate) fn counted(mut self, sent: &'c mut u64) -> Self {
        self.sent = Some(sent);
        self
    }
}

impl MessageWriter<'_> {
    /// Queues one fragment. A fragment of a text holds whole characters.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`], and [`SendError::InvalidUtf8`]; nothing was queued, and the message goes on.
    pub fn write(&mut self, payload: &[u8]) -> Result<SendStatus, SendError> {
        self.connection.check_open()?;
        self.connection.check_room()?;
        if self.kind == Kind::Text && utf8::check(payload).is_none() {
            return Err(SendError::InvalidUtf8);
        }
        Ok(self.fragment(payload, false))
    }

    /// Ends the message. Only now can the next one be sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub fn finish(mut self) -> Result<SendStatus, SendError> {
        self.connection.check_open()?;
        let status = self.fragment(&[], true);
        self.connection.writing = None;
        if let Some(sent) = &mut self.sent {
            **sent += 1;
        }
        Ok(status)
    }

    fn fragment(&mut self, payload: &[u8], fin: bool) -> SendStatus {
        let mut writing = self.connection.writing.unwrap_or(Writing::new(self.kind));
        let opcode = if writing.begun { Opcode::Continuation } else { self.kind.opcode() };
        #[cfg(feature = "deflate")]
        let compressed = self.connection.append_compressed_fragment(&mut writing, payload, fin);
        #[cfg(not(feature = "deflate"))]
        let compressed = false;
        if !compressed {
            self.connection.append_fragment(opcode, payload, fin);
        }
        writing.begun = true;
        self.connection.writing = Some(writing);
        self.connection.status()
    }
}
