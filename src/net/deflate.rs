//! permessage-deflate in a loop: the contexts that its connections share.

use super::{ConnId, Connections};
use crate::{Compression, Kind, Message, MessageWriter, SendError, SendStatus};

#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
impl Connections {
    /// Sends a message with a say in whether it is compressed; see [`Connection::send_with`](crate::Connection::send_with).
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::UnknownConnection`].
    pub fn send_with<'m>(
        &mut self,
        id: ConnId,
        message: impl Into<Message<'m>>,
        compression: Compression,
    ) -> Result<SendStatus, SendError> {
        let status = self.sender(id)?.0.send_with(message, compression);
        self.took(id, status)
    }

    /// Begins, or goes on with, a message in fragments; see [`Connection::writer_with`](crate::Connection::writer_with).
    ///
    /// # Errors
    ///
    /// As there, and [`SendError::UnknownConnection`].
    pub fn writer_with(
        &mut self,
        id: ConnId,
        kind: Kind,
        compression: Compression,
    ) -> Result<MessageWriter<'_>, SendError> {
        let (connection, sent) = self.sender(id)?;
        Ok(connection.writer_with(kind, compression)?.counted(sent))
    }

    /// A connection is new in this loop: its contexts are this loop's.
    pub(super) fn share_contexts(&mut self, id: ConnId) {
        let Self { slots, contexts, .. } = self;
        if let Some(connection) = slots.get_mut(id).and_then(|slot| slot.phase.connection_mut()) {
            connection.set_deflate_pool(contexts);
        }
    }
}
