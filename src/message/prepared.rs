//! A message that is encoded once and shared by count.

use bytes::Bytes;

use super::{Kind, Message};
use crate::frame::{FrameHeader, Opcode};

/// A message framed once, to be sent to many. A clone is a count.
///
/// A server sends its bytes as they are. A client takes the payload and masks a copy with a fresh key (5.3).
///
/// ```
/// use wireroom::{Message, PreparedMessage};
///
/// let prepared = PreparedMessage::new("hi");
/// assert_eq!(prepared.payload(), "hi".as_bytes());
/// assert_eq!(prepared.as_frame(), [0x81, 0x02, b'h', b'i']);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedMessage {
    frame: Bytes,
    header: u8,
    kind: Kind,
}

impl PreparedMessage {
    /// Copies `message` behind its frame header: the one allocation of a broadcast.
    pub fn new<'m>(message: impl Into<Message<'m>>) -> Self {
        let message = message.into();
        let payload = message.as_bytes();
        let (header, length) = unmasked_header(message.kind().opcode(), payload.len());
        let mut frame = Vec::with_capacity(length + payload.len());
        frame.extend_from_slice(&header[..length]);
        frame.extend_from_slice(payload);
        Self { frame: frame.into(), header: length as u8, kind: message.kind() }
    }

    /// Text or binary.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.frame[self.header as usize..]
    }

    /// The whole frame, unmasked.
    pub fn as_frame(&self) -> &[u8] {
        &self.frame
    }

    pub(crate) fn frame(&self) -> &Bytes {
        &self.frame
    }
}

impl<'m, M: Into<Message<'m>>> From<M> for PreparedMessage {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}

/// The header of a whole, unmasked message.
fn unmasked_header(opcode: Opcode, payload: usize) -> ([u8; FrameHeader::MAX], usize) {
    FrameHeader { fin: true, rsv: 0, opcode, mask: None, payload_length: payload as u64 }.encode()
}
