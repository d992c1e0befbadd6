//! Slow consumers: what happens to messages for a peer that does not read them.

use crate::frame::CloseCode;

/// What happens to a message once `Config::max_send_buffer` or `Config::max_send_messages` is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// `send` refuses it and says so; the connection goes on.
    #[default]
    Refuse,
    /// The connection is closed with this code, such as [`CloseCode::TRY_AGAIN_LATER`] (1013).
    Close(CloseCode),
    /// The new message is dropped.
    DropNewest,
    /// The oldest messages that have not been started are dropped, until it fits.
    DropOldest,
}
