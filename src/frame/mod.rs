//! Floor 1: one frame (RFC 6455 section 5.2). Knows its bytes, not the messages that frames make.
//!
//! ```text
//!  0               1               2               3
//!  7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0 ...
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| payload len |  extended payload length      |
//! |I|S|S|S|  (4)  |A|     (7)     |  (16 bits if 126, 64 if 127)  |
//! |N|V|V|V|       |S|             |                               |
//! | |1|2|3|       |K|             |  masking key (32, if MASK)    |
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! ```

mod close;
mod header;
mod mask;

pub use close::{CloseCode, CloseFrame, MAX_REASON};
pub use header::{FrameHeader, Opcode};
pub use mask::apply_mask;
