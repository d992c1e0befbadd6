//! Messages become bytes: encoding into a queue, and broadcasts to many queues.

use wireroom::{
    ConnId, Connection, PreparedMessage, SendError, SendStatus,
    rooms::{Operation, Outlet, Recipients, Rooms},
};

use super::{
    drain,
    frames::{Content, payload},
    server,
};

/// A server that encodes the same text over and over.
#[derive(Debug)]
pub(crate) struct Sender {
    connection: Connection,
    text: String,
    count: usize,
}

impl Sender {
    /// Of `count` messages of `size` bytes in a run.
    pub(crate) fn new(count: usize, size: usize) -> Self {
        let text = String::from_utf8(payload(Content::Ascii, size)).expect("ASCII is UTF-8");
        Self::of(server(), text, count)
    }

    /// Of the same text, so many times.
    pub(crate) fn of(connection: Connection, text: String, count: usize) -> Self {
        let mut sender = Self { connection, text, count };
        assert!(sender.run() > count);
        sender
    }

    /// Queues all and takes all: answers the bytes.
    pub(crate) fn run(&mut self) -> usize {
        for _ in 0..self.count {
            let _ = self.connection.send(&self.text).expect("there is room for a run");
        }
        drain(self.connection.transmit())
    }
}

/// Connections that are told the same.
#[derive(Debug)]
pub(crate) struct Crowd {
    connections: Connections,
    rooms: Rooms,
    text: String,
}

/// Indexed as `net` does it.
#[derive(Debug)]
struct Connections(Vec<Connection>);

impl Outlet for Connections {
    fn deliver(&mut self, to: ConnId, message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.0[to.index()].send_prepared(message)
    }
}

const ROOM: &str = "lobby";

impl Crowd {
    /// So many connections in one room, and a text of `size` bytes.
    pub(crate) fn new(members: usize, size: usize) -> Self {
        let mut rooms = Rooms::default();
        for slot in 0..members {
            let id = format!("0-{slot:x}-0").parse().expect("an id in its form");
            rooms.insert(id);
            assert_eq!(rooms.join(id, ROOM), Ok(true));
        }
        let text = String::from_utf8(payload(Content::Ascii, size)).expect("ASCII is UTF-8");
        let mut crowd = Self { connections: Connections((0..members).map(|_| server()).collect()), rooms, text };
        assert_eq!(crowd.run(1), crowd.run_room(1), "everyone is in the room");
        crowd
    }

    /// `broadcasts` prepared messages, each queued for everyone; then everyone's queue is taken. Answers the bytes.
    pub(crate) fn run(&mut self, broadcasts: usize) -> usize {
        for _ in 0..broadcasts {
            let message = PreparedMessage::new(&self.text);
            for connection in &mut self.connections.0 {
                let _ = connection.send_prepared(&message).expect("there is room for a run");
            }
        }
        self.drain()
    }

    /// The same by way of a room.
    pub(crate) fn run_room(&mut self, broadcasts: usize) -> usize {
        for _ in 0..broadcasts {
            let operation = Operation::new(Recipients::to(ROOM), PreparedMessage::new(&self.text));
            let delivery = self.rooms.deliver(&operation, &mut self.connections);
            assert_eq!(delivery.queued, self.connections.0.len());
        }
        self.drain()
    }

    fn drain(&mut self) -> usize {
        self.connections.0.iter_mut().map(|connection| drain(connection.transmit())).sum()
    }
}
