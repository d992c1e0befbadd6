//! What one connection is answered: echoes, and replies that have to arrive sooner or later.

use bytes::Bytes;
use wireroom::{ConnId, Connections, Message, SendError, SendStatus, Socket};

use super::Server;

#[derive(Clone, Debug)]
pub(super) enum Reply {
    Left(String),
    /// Its numbers are those of the moment in which it is queued.
    Census,
}

impl Server {
    /// Sends a message back in one of the ways that there are.
    pub(super) fn echo(&mut self, socket: &mut Socket<'_>, message: Message<'_>) {
        let id = socket.id();
        let Some(seat) = self.model.seat_mut(id) else { return };
        seat.echoes += 1;
        let (bytes, kind) = (message.as_bytes(), message.kind());
        let connections = socket.io().connections();
        let sent = match seat.echoes % 4 {
            _ if bytes.first() != Some(&b'e') => connections.send(id, message),
            0 => in_fragments(connections, id, message),
            1 => connections.send_bytes(id, kind, Bytes::copy_from_slice(bytes)),
            _ => connections.send(id, message),
        };
        match sent {
            Ok(status) => {
                seat.pressed |= status == SendStatus::Backpressure;
                self.report.add("accepted", 1);
            }
            Err(SendError::BufferFull { .. } | SendError::QueueFull { .. }) => seat.echoes_refused += 1,
            Err(SendError::Closed) => {}
            Err(error) => self.report.fault(format_args!("an echo: {error}")),
        }
    }

    pub(super) fn reply(&mut self, socket: &mut Socket<'_>, reply: Reply) {
        if let Some(seat) = self.model.seat_mut(socket.id()) {
            seat.owed.push(reply);
        }
        self.pay(socket);
    }

    /// Says what is owed, as far as the queue takes it.
    pub(super) fn pay(&mut self, socket: &mut Socket<'_>) {
        let Some(seat) = self.model.seat_mut(socket.id()) else { return };
        while let Some(reply) = seat.owed.first() {
            let text = match reply {
                Reply::Left(room) => format!("L{room}"),
                Reply::Census => seat.census().encode(),
            };
            match socket.emit(text.as_str()) {
                Ok(status) => {
                    seat.pressed |= status == SendStatus::Backpressure;
                    self.report.add("accepted", 1);
                }
                // `Event::Drain` follows.
                Err(SendError::BufferFull { .. } | SendError::QueueFull { .. }) => return,
                Err(SendError::Closed) => {}
                Err(error) => self.report.fault(format_args!("a reply: {error}")),
            }
            seat.owed.remove(0);
        }
    }
}

/// In three fragments, cut between characters.
fn in_fragments(connections: &mut Connections, id: ConnId, message: Message<'_>) -> Result<SendStatus, SendError> {
    let bytes = message.as_bytes();
    // Refused as a whole, or not at all.
    let full =
        connections.get(id).is_some_and(|peer| peer.buffered_amount() + bytes.len() >= peer.config().max_send_buffer());
    if full {
        return connections.send(id, message);
    }
    let mut writer = connections.writer(id, message.kind())?;
    let mut from = 0;
    for part in 1..=3 {
        let mut to = bytes.len() * part / 3;
        while to < bytes.len() && bytes[to] & 0xc0 == 0x80 {
            to += 1;
        }
        let _ = writer.write(&bytes[from..to.max(from)])?;
        from = to.max(from);
    }
    writer.finish()
}
