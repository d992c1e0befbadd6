//! What the loop counts.

use super::Connections;
use crate::Event;

/// What the loop has seen so far. All are counts since its start, but `connections`, `open` and `buffered_amount`, which
/// are of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that exist, in any phase.
    pub connections: usize,
    /// WebSocket connections that are open.
    pub open: usize,
    /// Bytes that wait to be sent, on all WebSocket connections together.
    pub buffered_amount: usize,
    /// Connections accepted by listeners.
    pub accepted: u64,
    /// Failed calls of `accept`, such as for lack of descriptors.
    pub accept_errors: u64,
    /// The operating system's number of the last of them.
    pub last_accept_error: Option<i32>,
    /// Opening handshakes that were completed, as server and as client, and open connections that were adopted or taken
    /// over.
    pub opened: u64,
    /// Connections that ended before they were open, plain HTTP included.
    pub unopened: u64,
    /// Messages and parts received.
    pub messages_received: u64,
    /// Whole messages accepted for sending, once for each recipient: also those of a broadcast, of a handle, and those in
    /// fragments, when they are finished.
    pub messages_sent: u64,
    /// Messages of a [`Handle`](super::Handle) that a connection did not take: it had gone, or its queue was full.
    pub commands_refused: u64,
    /// Bytes read from sockets.
    pub bytes_received: u64,
    /// Bytes that sockets took.
    pub bytes_sent: u64,
    /// Turns.
    pub turns: u64,
}

impl Connections {
    /// What the loop has seen so far. Looks at each connection once.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { connections: self.len(), ..self.stats };
        for connection in self.slots.ids().filter_map(|id| self.get(id)) {
            stats.open += usize::from(connection.is_open());
            stats.buffered_amount += connection.buffered_amount();
        }
        stats
    }

    pub(super) fn count_event(&mut self, event: &Event<'_>) {
        match event {
            Event::Message(_) | Event::Part(_) => self.stats.messages_received += 1,
            Event::Open => self.stats.opened += 1,
            _ => {}
        }
    }
}
