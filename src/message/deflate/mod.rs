//! permessage-deflate (RFC 7692): the payload of a message compressed by DEFLATE (RFC 1951), frame by frame.
//!
//! Knows: contexts, and how their bytes are framed. Must not know: how the extension was negotiated; that it was is
//! said in plain numbers.
//!
//! Each direction is independent. [`Inflation`] is the peer's, [`Deflation`] is ours. Their contexts (the windows, and
//! what compresses) are large, so they are made for the first compressed message, and come from a [`DeflatePool`] where
//! one is given.

mod deflation;
mod frame;
mod inflation;
mod pool;

pub(crate) use deflation::{Compressed, Deflation, Fragment};
pub(crate) use inflation::Inflation;
pub use pool::DeflatePool;

/// RFC 7692, 7.2.1: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end." 7.2.2: "Append" them.
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Whether a message is to be compressed, where permessage-deflate was agreed on; elsewhere it makes no difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// If it has `PermessageDeflate::threshold` bytes or more; a message in fragments, whose length is not known, always.
    #[default]
    Auto,
    /// Whatever its length.
    Always,
    /// Not. For what is compressed already, and for secrets beside what an attacker can choose.
    Never,
}
