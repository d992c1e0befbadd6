//! A connection on its way from one loop to another, or out of the house.

use super::{phase::Phase, socket::Stream};
use crate::{Connection, RecvBuffer, SendQueue, proxy_protocol::ProxyHeader};

/// A connection that was taken out of its loop, in whatever phase: its stream, its state, and the bytes that were read
/// and not used. It can be sent to another thread and be adopted there.
#[derive(Debug)]
pub struct Detached {
    pub(super) stream: Stream,
    pub(super) phase: Phase,
    pub(super) received: RecvBuffer,
    pub(super) listener: u16,
    /// What its proxy has told.
    pub(super) header: Option<Box<ProxyHeader>>,
}

impl Detached {
    /// The WebSocket connection, once it is open.
    pub fn connection(&self) -> Option<&Connection> {
        self.phase.connection()
    }

    /// The stream, the bytes that were read and not used, and what waits to be sent: for those who go on by
    /// themselves. Of a connection that speaks TLS the stream is a `Stream::Tls`, which keeps what was encrypted already and
    /// not taken by the kernel, and the bytes are plaintext.
    pub fn into_parts(self) -> (Stream, RecvBuffer, SendQueue) {
        let Self { stream, phase, received, .. } = self;
        let queue = match phase {
            Phase::Open(connection) => connection.into_parts(),
            mut phase => phase.queue().map(std::mem::take).unwrap_or_default(),
        };
        #[cfg(feature = "tls")]
        let queue = queue.released();
        (stream, received, queue)
    }
}
