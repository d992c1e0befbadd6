//! Messages in fragments (RFC 6455 section 5.4).

use super::{Connection, SendStatus, Sent, flags::Flag};
#[cfg(feature = "deflate")]
use crate::message::Compression;
use crate::{
    error::SendError,
    frame::Opcode,
    message::{Kind, utf8},
};

/// A message that is being sent in fragments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writing {
    pub(super) kind: Kind,
    /// Whether it is compressed; settled with its first frame.
    #[cfg(feature = "deflate")]
    pub(super) compression: Compression,
}

impl Writing {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            #[cfg(feature = "deflate")]
            compression: Compression::Always,
        }
    }
}

/// Writes one message in fragments; made by [`Connection::writer`]. Dropping it does not finish the message:
/// `writer` goes on with it, in this turn or a later one.
#[derive(Debug)]
#[must_use]
pub struct MessageWriter<'c> {
    pub(super) connection: &'c mut Connection,
    pub(super) kind: Kind,
    /// Counts for a loop.
    pub(super) sent: Option<&'c mut Sent>,
}

#[cfg(feature = "net")]
impl<'c> MessageWriter<'c> {
    pub(crate) fn counted(mut self, sent: &'c mut Sent) -> Self {
        self.sent = Some(sent);
        self
    }
}

impl MessageWriter<'_> {
    /// Queues one fragment. A fragment of a text holds whole characters.
    ///
    /// # Errors
    ///
    /// [`SendError::BufferFull`], and for the first fragment [`SendError::QueueFull`]: a message in fragments is never
    /// dropped, whatever [`SlowConsumer`](super::SlowConsumer) says, but it may close. [`SendError::Closed`],
    /// [`SendError::InvalidUtf8`]. Nothing was queued, and the message goes on.
    pub fn write(&mut self, payload: &[u8]) -> Result<SendStatus, SendError> {
        self.connection.check_open()?;
        self.connection.check_fragment()?;
        if self.kind == Kind::Text && utf8::check(payload).is_none() {
            return Err(SendError::InvalidUtf8);
        }
        let status = self.fragment(payload, false);
        if let Some(sent) = &mut self.sent {
            sent.frames += 1;
        }
        Ok(status)
    }

    /// Ends the message. Only now can the next one be sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`]. A message of which no fragment was queued meets the limits as any other: `BufferFull` or
    /// `QueueFull`, and it is over, nothing of it was sent. One that has begun is always ended.
    pub fn finish(mut self) -> Result<SendStatus, SendError> {
        self.connection.check_open()?;
        if !self.connection.flags.has(Flag::Begun) {
            let checked = self.connection.check_fragment();
            if checked.is_err() {
                self.connection.end_writing();
            }
            checked?;
        }
        let status = self.fragment(&[], true);
        self.connection.end_writing();
        if let Some(sent) = &mut self.sent {
            sent.whole(status);
        }
        Ok(status)
    }

    fn fragment(&mut self, payload: &[u8], fin: bool) -> SendStatus {
        let begun = self.connection.flags.has(Flag::Begun);
        let opcode = if begun { Opcode::Continuation } else { self.kind.opcode() };
        if !begun {
            // Nothing may come between the fragments.
            self.connection.frame_all();
        }
        #[cfg(feature = "deflate")]
        let compressed = {
            let writing = self.connection.writing.unwrap_or(Writing::new(self.kind));
            self.connection.append_compressed_fragment(writing, payload, fin)
        };
        #[cfg(not(feature = "deflate"))]
        let compressed = false;
        if !compressed {
            self.connection.append_fragment(opcode, payload, fin);
        }
        if fin {
            self.connection.queue.count_last();
        }
        self.connection.flags.set(Flag::Begun, true);
        self.connection.status()
    }
}

impl Connection {
    fn end_writing(&mut self) {
        self.writing = None;
        self.flags.set(Flag::Begun, false);
    }
}
