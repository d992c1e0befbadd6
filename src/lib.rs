#![forbid(unsafe_code)]
#![deny(missing_docs)]
//! wip

pub mod buffer;
pub mod error;
pub mod frame;
pub mod message;

pub use buffer::{RecvBuffer, SendQueue};
pub use error::{ConfigError, ProtocolError, SendError};
pub use frame::{CloseCode, CloseFrame};
pub use message::{Kind, Message, Part, PreparedMessage, Text};
