//! A message that is encoded once and shared by count.

use std::sync::Arc;
#[cfg(feature = "deflate")]
use std::sync::OnceLock;

use bytes::Bytes;

#[cfg(feature = "deflate")]
use super::{
    Compression,
    deflate::{Compressed, Deflation},
};
use super::{Kind, Message, slow_consumer::Wishes};
use crate::frame::{FrameHeader, Opcode};

/// A message framed once, to be sent to many. A clone is a count.
///
/// A server sends its bytes as they are. A client takes the payload and masks a copy with a fresh key (5.3).
///
/// Connections that agreed on permessage-deflate share a compressed form, one for each size of window, made by the first
/// of them that sends it. It begins with an empty window, so their compressors begin anew behind it.
///
/// ```
/// use wireroom::{Message, PreparedMessage};
///
/// let prepared = PreparedMessage::new("hi");
/// assert_eq!(prepared.payload(), "hi".as_bytes());
/// assert_eq!(prepared.as_frame(), [0x81, 0x02, b'h', b'i']);
/// ```
#[derive(Clone, Debug)]
pub struct PreparedMessage {
    encoded: Encoded,
    kind: Kind,
    pub(super) wishes: Option<Arc<Wishes>>,
    #[cfg(feature = "deflate")]
    deflated: Deflated,
}

/// A whole frame, unmasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    frame: Bytes,
    header: u8,
}

impl Encoded {
    pub(crate) fn frame(&self) -> &Bytes {
        &self.frame
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.frame[self.header as usize..]
    }
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
        Self {
            encoded: Encoded { frame: frame.into(), header: length as u8 },
            kind: message.kind(),
            wishes: None,
            #[cfg(feature = "deflate")]
            deflated: Deflated::default(),
        }
    }

    /// As [`PreparedMessage::new`], with a say in whether it is compressed for those who agreed on that.
    #[cfg(feature = "deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
    pub fn with_compression<'m>(message: impl Into<Message<'m>>, compression: Compression) -> Self {
        let mut prepared = Self::new(message);
        prepared.deflated.compression = compression;
        prepared
    }

    /// Text or binary.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        self.encoded.payload()
    }

    /// The whole frame, unmasked and not compressed.
    pub fn as_frame(&self) -> &[u8] {
        &self.encoded.frame
    }

    pub(crate) fn encoded(&self) -> &Encoded {
        &self.encoded
    }
}

/// Two are equal that say the same.
impl PartialEq for PreparedMessage {
    fn eq(&self, other: &Self) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for PreparedMessage {}

impl<'m, M: Into<Message<'m>>> From<M> for PreparedMessage {
    fn from(message: M) -> Self {
        Self::new(message)
    }
}

/// The compressed forms, made when they are asked for.
#[cfg(feature = "deflate")]
#[derive(Debug, Default)]
struct Deflated {
    compression: Compression,
    /// Allocated when it is used or shared: a message that nobody compresses has none.
    forms: OnceLock<Arc<Forms>>,
}

/// For windows of 9 to 15 bits. `None`: as it is, it is shorter.
#[cfg(feature = "deflate")]
type Forms = [OnceLock<Option<Encoded>>; 7];

#[cfg(feature = "deflate")]
impl Clone for Deflated {
    fn clone(&self) -> Self {
        let forms = self.forms.get_or_init(Arc::default).clone();
        Self { compression: self.compression, forms: forms.into() }
    }
}

#[cfg(feature = "deflate")]
impl PreparedMessage {
    /// A clone that does not share compressed forms, for a connection that has no use for them.
    pub(crate) fn plain(&self) -> Self {
        let deflated = Deflated { compression: self.deflated.compression, forms: OnceLock::new() };
        Self { encoded: self.encoded.clone(), kind: self.kind, wishes: self.wishes.clone(), deflated }
    }

    pub(crate) fn compression(&self) -> Compression {
        self.deflated.compression
    }

    /// The form for the window of `deflation`, which makes it if it is the first to ask, at its level. `None`: as it is,
    /// the message is shorter.
    pub(crate) fn compressed(&self, deflation: &mut Deflation) -> Option<&Encoded> {
        let forms = self.deflated.forms.get_or_init(Arc::default);
        let form = forms.get(usize::from(deflation.window_bits()).checked_sub(9)?)?;
        form.get_or_init(|| {
            let (opcode, mut frame) = (self.kind.opcode(), Vec::new());
            let plain = FrameHeader { fin: true, rsv: 0, opcode, mask: None, payload_length: 0 };
            let mut length = 0;
            let compressed = deflation.append_prepared(plain, self.payload(), &mut frame, |_, payload| {
                length = payload.len();
            });
            frame.shrink_to_fit();
            let header = (frame.len() - length) as u8;
            (compressed == Compressed::Yes).then(|| Encoded { frame: frame.into(), header })
        })
        .as_ref()
    }
}

/// The header of a whole, unmasked message.
fn unmasked_header(opcode: Opcode, payload: usize) -> ([u8; FrameHeader::MAX], usize) {
    FrameHeader { fin: true, rsv: 0, opcode, mask: None, payload_length: payload as u64 }.encode()
}
