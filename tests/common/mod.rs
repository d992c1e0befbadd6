//! A client and a server joined by byte queues, with a clock that only the test moves.
//!
//! [`Endpoint`] is one connection with its receive buffer and a log of what its user saw; [`Pair`] is two of them and
//! the bytes between. Frames of a peer are made and read by hand: [`frame`], [`frames`].
#![allow(dead_code)] // each test binary uses a part of it
#![allow(unreachable_pub)]
#![allow(clippy::disallowed_methods)] // the virtual clock has to start somewhere

pub mod any_cut;

use std::{
    collections::VecDeque,
    io::IoSlice,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Buf;
use wireroom::{
    CloseFrame, Config, ConfigBuilder, Connection, Event, Initiator, Kind, MaskingKeys, Message, RecvBuffer, SendError,
    Transport,
    handshake::{Accepted, Established, Extensions},
};

/// The moment at which the virtual clock stands at first.
pub fn start() -> Instant {
    Instant::now()
}

/// Which side of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

pub const ROLES: [Role; 2] = [Role::Server, Role::Client];

impl Role {
    pub fn peer(self) -> Self {
        match self {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        }
    }
}

/// What the user of a connection saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Open,
    Text(String),
    Binary(Vec<u8>),
    Part { kind: Kind, bytes: Vec<u8>, first: bool, last: bool },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Drain,
    Closed(Ending),
}

/// The last event. The cause is its `Debug` form: `Clean`, `Failed(InvalidUtf8)`, `Timeout(Close)`, ...
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub cause: String,
    pub local: Option<(Option<u16>, String)>,
    pub peer: Option<(Option<u16>, String)>,
    pub initiator: Option<Initiator>,
}

impl Ending {
    pub fn local_code(&self) -> Option<u16> {
        self.local.as_ref().and_then(|(code, _)| *code)
    }

    pub fn peer_code(&self) -> Option<u16> {
        self.peer.as_ref().and_then(|(code, _)| *code)
    }
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        let close = |frame: Option<CloseFrame>| {
            frame.map(|frame| (frame.code.map(|code| code.as_u16()), frame.reason.into_string()))
        };
        match event {
            Event::Open => Seen::Open,
            Event::Message(Message::Text(text)) => Seen::Text(text.as_str().to_owned()),
            Event::Message(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
            Event::Part(part) => Seen::Part {
                kind: part.message.kind(),
                bytes: part.message.as_bytes().to_vec(),
                first: part.first,
                last: part.last,
            },
            Event::Ping(payload) => Seen::Ping(payload.to_vec()),
            Event::Pong(payload) => Seen::Pong(payload.to_vec()),
            Event::Drain => Seen::Drain,
            Event::Closed(closed) => Seen::Closed(Ending {
                cause: format!("{:?}", closed.cause),
                local: close(closed.local),
                peer: close(closed.peer),
                initiator: closed.initiator,
            }),
            other => panic!("an event that this harness does not know: {other:?}"),
        }
    }
}

/// What the user does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    Listen,
    /// Sends it back in the same match arm.
    Echo,
}

/// One connection, its receive buffer, and what its user saw.
pub struct Endpoint {
    pub role: Role,
    pub connection: Connection,
    pub rx: RecvBuffer,
    pub now: Instant,
    pub habit: Habit,
    /// What was seen since [`Endpoint::take_seen`].
    pub seen: Vec<Seen>,
    /// Echoes that `send` refused.
    pub refused: usize,
    /// The end of the stream was told.
    pub ended: bool,
}

/// Masking keys that are all different, and made by hand.
pub fn keys() -> MaskingKeys {
    let mut n = 0x37fa_213d_u32;
    MaskingKeys::new(move || {
        n = n.wrapping_mul(0x9e37_79b1).wrapping_add(0x1234_567b);
        n.to_be_bytes()
    })
}

pub fn connection(role: Role, config: impl Into<Arc<Config>>, now: Instant) -> Connection {
    connection_with(role, config, Extensions::none(), now)
}

/// A connection on which `extensions` were agreed on.
pub fn connection_with(role: Role, config: impl Into<Arc<Config>>, extensions: Extensions, now: Instant) -> Connection {
    match role {
        Role::Server => Connection::server(Accepted::upgraded_elsewhere(None, extensions), config, now),
        Role::Client => Connection::client(Established::upgraded_elsewhere(None, extensions), keys(), config, now),
    }
}

/// A configuration that differs from the default by `set`.
pub fn config(set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Config {
    set(Config::builder()).build().unwrap()
}

impl Endpoint {
    /// The peer sends a message of `size` bytes, and the answer to it, as large, waits.
    pub fn answer(&mut self, size: usize) {
        let habit = std::mem::replace(&mut self.habit, Habit::Echo);
        self.receive_frame(0x82, &vec![0; size]);
        self.poll();
        self.habit = habit;
        self.take_seen();
    }

    /// An open connection; its `Open` has been seen and taken.
    pub fn new(role: Role, config: impl Into<Arc<Config>>) -> Self {
        Self::at(role, config, start())
    }

    pub fn at(role: Role, config: impl Into<Arc<Config>>, now: Instant) -> Self {
        Self::with(role, config, Extensions::none(), now)
    }

    /// An open connection on which `extensions` were agreed on.
    pub fn with(role: Role, config: impl Into<Arc<Config>>, extensions: Extensions, now: Instant) -> Self {
        let connection = connection_with(role, config, extensions, now);
        let rx = RecvBuffer::new();
        let mut endpoint =
            Self { role, connection, rx, now, habit: Habit::Listen, seen: Vec::new(), refused: 0, ended: false };
        endpoint.poll();
        assert_eq!(endpoint.take_seen(), [Seen::Open]);
        endpoint
    }

    /// Takes events until there are none, and holds the connection to its word: what `wants_poll` says.
    pub fn poll(&mut self) {
        while self.poll_one() {}
        assert!(!self.connection.wants_poll(), "{:?}: an event is left behind: {:?}", self.role, self.connection);
    }

    pub fn poll_one(&mut self) -> bool {
        let Some(event) = self.connection.poll_event(&mut self.rx, self.now) else { return false };
        if let (Event::Message(message), Habit::Echo) = (&event, self.habit) {
            self.refused += usize::from(self.connection.send(*message).is_err());
        }
        self.seen.push(event.into());
        true
    }

    /// Bytes arrive in one read.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.rx.extend(bytes);
        self.poll();
    }

    /// A frame arrives, as a correct peer makes it.
    pub fn receive_frame(&mut self, first: u8, payload: &[u8]) {
        let bytes = frame(self.role.peer(), first, payload);
        self.receive(&bytes);
    }

    /// The peer ends the stream.
    pub fn end(&mut self) {
        self.ended = true;
        self.connection.handle_eof();
        self.poll();
    }

    /// Takes at most `n` bytes, as a driver does: vectored writes, and the news that the transport is full.
    pub fn write(&mut self, n: usize) -> Vec<u8> {
        let queue = self.connection.transmit();
        let mut out = Vec::new();
        while queue.has_remaining() {
            let mut slices = [IoSlice::new(&[]); 16];
            let count = queue.chunks_vectored(&mut slices);
            let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
            let taken = offered.min(n - out.len());
            let mut left = taken;
            for slice in &slices[..count] {
                let here = left.min(slice.len());
                out.extend_from_slice(&slice[..here]);
                left -= here;
            }
            queue.advance(taken);
            if taken < offered {
                break;
            }
        }
        out
    }

    /// Everything that waits leaves, and what follows from it.
    pub fn flush(&mut self) -> Vec<u8> {
        let mut out = self.write(usize::MAX);
        self.poll();
        while self.connection.wants_write() {
            out.extend(self.write(usize::MAX));
            self.poll();
        }
        out
    }

    /// The same as frames: the first bytes and the payloads.
    #[track_caller]
    pub fn flush_frames(&mut self) -> Vec<(u8, Vec<u8>)> {
        let bytes = self.flush();
        frames(self.role, &bytes)
    }

    /// Time passes. Every deadline on the way is kept, as by a driver that sleeps until it.
    pub fn advance(&mut self, time: Duration) {
        let target = self.now + time;
        let mut rounds = 0;
        while let Some(deadline) = self.connection.poll_timeout().filter(|deadline| *deadline <= target) {
            self.now = self.now.max(deadline);
            self.connection.handle_timeout(self.now);
            self.poll();
            rounds += 1;
            assert!(rounds < 10_000, "{:?}: a deadline that does not pass", self.role);
        }
        self.now = target;
        self.connection.handle_timeout(target);
        self.poll();
    }

    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// The one `Closed`, which is the last event.
    #[track_caller]
    pub fn ending(&self) -> Ending {
        let count = self.seen.iter().filter(|seen| matches!(seen, Seen::Closed(_))).count();
        match self.seen.last() {
            Some(Seen::Closed(ending)) if count == 1 => ending.clone(),
            _ => panic!("{:?}: one Closed, and nothing behind it: {:?}", self.role, self.seen),
        }
    }

    pub fn is_closed(&self) -> bool {
        self.seen.iter().any(|seen| matches!(seen, Seen::Closed(_)))
    }

    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<wireroom::SendStatus, SendError> {
        self.connection.send(message)
    }

    pub fn close(&mut self, code: u16, reason: &str) {
        let code = wireroom::CloseCode::new(code).expect("a code that can be sent");
        self.connection.close(code, reason, self.now);
        self.poll();
    }

    pub fn transport(&self) -> Transport {
        self.connection.transport()
    }
}

/// A client and a server, and what is on the wire between them.
pub struct Pair {
    pub client: Endpoint,
    pub server: Endpoint,
    /// The sizes of successive reads; the last one repeats. Empty: as much as there is.
    pub reads: Vec<usize>,
    /// Bytes that a write takes at most.
    pub writes: usize,
    /// Bytes that the wire holds in each direction: a full one blocks the writer.
    pub wire: usize,
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    read: usize,
}

impl Pair {
    pub fn new() -> Self {
        Self::with(Config::default(), Config::default())
    }

    pub fn with(client: impl Into<Arc<Config>>, server: impl Into<Arc<Config>>) -> Self {
        Self::agreed(client, server, Extensions::none())
    }

    /// Both ends have agreed on `extensions`.
    pub fn agreed(client: impl Into<Arc<Config>>, server: impl Into<Arc<Config>>, extensions: Extensions) -> Self {
        let now = start();
        Self {
            client: Endpoint::with(Role::Client, client, extensions, now),
            server: Endpoint::with(Role::Server, server, extensions, now),
            reads: Vec::new(),
            writes: usize::MAX,
            wire: usize::MAX,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            read: 0,
        }
    }

    /// Reads of one byte.
    pub fn byte_by_byte(mut self) -> Self {
        self.reads = vec![1];
        self
    }

    /// Moves bytes until nothing moves any more, at one moment of the clock.
    pub fn run(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            let Self { client, server, to_server, to_client, .. } = self;
            moved |= transfer_out(client, to_server, self.writes, self.wire);
            moved |= transfer_out(server, to_client, self.writes, self.wire);
            let n = self.reads.get(self.read).or(self.reads.last()).copied().unwrap_or(usize::MAX);
            self.read += 1;
            let client_done = client.transport() != Transport::Open && !client.connection.wants_write();
            let server_done = server.transport() != Transport::Open && !server.connection.wants_write();
            moved |= transfer_in(server, to_server, n, client_done);
            moved |= transfer_in(client, to_client, n, server_done);
        }
    }

    /// Time passes for both, from deadline to deadline.
    pub fn advance(&mut self, time: Duration) {
        let target = self.client.now + time;
        self.run();
        loop {
            let deadlines = [self.client.connection.poll_timeout(), self.server.connection.poll_timeout()];
            let Some(next) = deadlines.into_iter().flatten().min().filter(|next| *next <= target) else { break };
            self.set_now(next.max(self.client.now));
        }
        self.set_now(target);
    }

    fn set_now(&mut self, now: Instant) {
        for endpoint in [&mut self.client, &mut self.server] {
            endpoint.now = now;
            endpoint.connection.handle_timeout(now);
            endpoint.poll();
        }
        self.run();
    }
}

fn transfer_out(from: &mut Endpoint, wire: &mut VecDeque<u8>, writes: usize, capacity: usize) -> bool {
    let room = writes.min(capacity.saturating_sub(wire.len()));
    let bytes = from.write(room);
    wire.extend(&bytes);
    from.poll();
    !bytes.is_empty()
}

fn transfer_in(to: &mut Endpoint, wire: &mut VecDeque<u8>, n: usize, peer_done: bool) -> bool {
    if to.ended || !to.connection.wants_read() {
        return false;
    }
    if wire.is_empty() && peer_done {
        to.end();
        return true;
    }
    let n = n.min(wire.len());
    let bytes: Vec<u8> = wire.drain(..n).collect();
    if n > 0 {
        to.receive(&bytes);
    }
    n > 0
}

/// The masking key of the examples of RFC 6455, section 5.7.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The header of a frame that `sender` sends, with a declared length.
pub fn header(sender: Role, first: u8, length: u64) -> Vec<u8> {
    let mask_bit = if sender == Role::Client { 0x80 } else { 0x00 };
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(mask_bit | length as u8),
        126..=0xffff => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    if sender == Role::Client {
        bytes.extend(KEY);
    }
    bytes
}

/// `payload` as `sender` puts it on the wire, from its first byte on.
pub fn masked(sender: Role, payload: &[u8]) -> Vec<u8> {
    match sender {
        Role::Client => payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect(),
        Role::Server => payload.to_vec(),
    }
}

/// A frame that `sender` sends (section 5.2): masked by a client, not masked by a server.
pub fn frame(sender: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(sender, first, payload.len() as u64);
    bytes.extend(masked(sender, payload));
    bytes
}

/// The payload of a Close frame.
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.as_bytes());
    payload
}

/// Reads whole frames that `sender` sent, and checks that it masked as it must (5.1).
#[track_caller]
pub fn frames(sender: Role, mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    let mut take = |n: usize| {
        assert!(n <= bytes.len(), "half a frame at the end: {bytes:02x?}");
        let (head, rest) = bytes.split_at(n);
        bytes = rest;
        (head.to_vec(), rest.is_empty())
    };
    let mut end = take(0).1;
    while !end {
        let first = take(1).0[0];
        let second = take(1).0[0];
        assert_eq!(second & 0x80 != 0, sender == Role::Client, "masking by a {sender:?}");
        let length = match second & 0x7f {
            126 => take(2).0.iter().fold(0, |length, byte| length << 8 | *byte as usize),
            127 => take(8).0.iter().fold(0, |length, byte| length << 8 | *byte as usize),
            length => length as usize,
        };
        let key = if sender == Role::Client { take(4).0 } else { vec![0] };
        let (mut payload, last) = take(length);
        for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
            *byte ^= key;
        }
        all.push((first, payload));
        end = last;
    }
    all
}
