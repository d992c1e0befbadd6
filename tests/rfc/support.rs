//! One endpoint under test, and the bytes a peer would send it, made by hand.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Buf;
use wireroom::handshake::{Accepted, Established};
use wireroom::{
    Cause, CloseCode, Config, Connection, Event, Kind, MaskingKeys, Message, RecvBuffer, SendError, Transport,
};

/// Which side the endpoint under test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
}

pub(crate) const BOTH: [Side; 2] = [Side::Server, Side::Client];

impl Side {
    pub(crate) fn peer(self) -> Self {
        match self {
            Side::Server => Side::Client,
            Side::Client => Side::Server,
        }
    }

    /// The MASK bit of the frames that this side receives.
    pub(crate) fn peers_mask_bit(self) -> u8 {
        match self {
            Side::Server => 0x80,
            Side::Client => 0x00,
        }
    }
}

/// What the user of the connection saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Closed(Ending),
}

/// The last event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) clean: bool,
    /// The peer broke the protocol or a limit.
    pub(crate) failed: bool,
    pub(crate) local: Option<u16>,
    pub(crate) peer: Option<(Option<u16>, String)>,
}

pub(crate) fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

/// A frame as it was found on the wire; its payload is unmasked.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload: Vec<u8>,
}

/// The masking key of the examples of section 5.7.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// The masking keys that a client under test is given: the one of section 5.7 first, no two alike.
pub(crate) fn nth_key(n: u32) -> [u8; 4] {
    u32::from_be_bytes(KEY).wrapping_add(n.wrapping_mul(0x9e37_79b9)).to_be_bytes()
}

pub(crate) fn keys() -> MaskingKeys {
    let mut n = 0;
    MaskingKeys::new(move || {
        n += 1;
        nth_key(n - 1)
    })
}

/// The bytes of a frame that `sender` sends (section 5.2): masked by a client, not masked by a server.
pub(crate) fn frame_of(sender: Side, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if sender == Side::Client { 0x80 } else { 0x00 };
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(mask_bit | length as u8),
        length @ 126..=0xffff => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(mask_bit | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    match sender {
        Side::Client => {
            bytes.extend(KEY);
            bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        }
        Side::Server => bytes.extend(payload),
    }
    bytes
}

/// Reads what an endpoint sent; it must be whole frames.
#[track_caller]
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut take = |n: usize| {
        let (head, rest) = bytes.split_at_checked(n)?;
        bytes = rest;
        Some(head.to_vec())
    };
    let mut frames = Vec::new();
    while let Some(head) = take(2) {
        let whole = "a whole frame";
        let length = match head[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes(take(2).expect(whole).try_into().expect("two bytes"))),
            127 => u64::from_be_bytes(take(8).expect(whole).try_into().expect("eight bytes")),
            length => u64::from(length),
        };
        let key: Option<[u8; 4]> = (head[1] & 0x80 != 0).then(|| take(4).expect(whole).try_into().expect("four bytes"));
        let mut payload = take(usize::try_from(length).expect("a length that fits")).expect(whole);
        for (byte, key) in payload.iter_mut().zip(key.unwrap_or_default().iter().cycle()) {
            *byte ^= key;
        }
        frames.push(Frame { first: head[0], key, payload });
    }
    assert!(bytes.is_empty(), "half a header at the end: {bytes:02x?}");
    frames
}

/// A connection, its receive buffer, and a clock that only [`Endpoint::until_the_transport_closes`] moves.
pub(crate) struct Endpoint {
    pub(crate) connection: Connection,
    /// All events but `Open`, the ones that [`Endpoint::seen`] has taken included.
    pub(crate) history: Vec<Seen>,
    side: Side,
    rx: RecvBuffer,
    now: Instant,
    taken: usize,
}

/// Where the clock of a test begins; nothing but a deadline moves it on.
#[expect(clippy::disallowed_methods, reason = "there is no other way to make the first Instant")]
pub(crate) fn beginning() -> Instant {
    Instant::now()
}

/// An open connection with the default limits.
pub(crate) fn opened(side: Side) -> Endpoint {
    opened_with(side, Config::default())
}

pub(crate) fn opened_with(side: Side, config: Config) -> Endpoint {
    let now = beginning();
    let rx = RecvBuffer::new();
    let config = Arc::new(config);
    let connection = match side {
        Side::Server => Connection::server(Accepted::upgraded_elsewhere(None, Default::default()), config, now),
        Side::Client => {
            Connection::client(Established::upgraded_elsewhere(None, Default::default()), keys(), config, now)
        }
    };
    Endpoint::new(side, connection, rx, now)
}

impl Endpoint {
    pub(crate) fn new(side: Side, connection: Connection, rx: RecvBuffer, now: Instant) -> Self {
        let mut endpoint = Self { connection, history: Vec::new(), side, rx, now, taken: 0 };
        assert!(
            matches!(endpoint.connection.poll_event(&mut endpoint.rx, now), Some(Event::Open)),
            "the first event is Open"
        );
        endpoint.poll();
        endpoint
    }

    /// Bytes arrive.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.rx.extend(bytes);
        self.poll();
    }

    /// A frame arrives, as a correct peer would frame it.
    pub(crate) fn receive_frame(&mut self, first: u8, payload: &[u8]) {
        self.receive(&frame_of(self.side.peer(), first, payload));
    }

    /// The peer's end of the stream.
    pub(crate) fn end(&mut self) {
        self.connection.handle_eof();
        self.poll();
    }

    pub(crate) fn send<'m>(&mut self, message: impl Into<Message<'m>>) {
        let _ = self.connection.send(message).expect("room in the queue");
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) {
        let _ = self.connection.ping(payload).expect("room in the queue");
    }

    /// One fragment of a text message.
    pub(crate) fn send_fragment(&mut self, fragment: &str, last: bool) {
        self.try_send_fragment(fragment, last).expect("room in the queue");
    }

    pub(crate) fn try_send_fragment(&mut self, fragment: &str, last: bool) -> Result<(), SendError> {
        let mut writer = self.connection.writer(Kind::Text)?;
        let _ = writer.write(fragment.as_bytes())?;
        if last {
            let _ = writer.finish()?;
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        let code = CloseCode::new(code).expect("a code that can be sent");
        self.connection.close(code, reason, self.now);
        self.poll();
    }

    /// The bytes that left since the last call.
    pub(crate) fn sent(&mut self) -> Vec<u8> {
        self.sent_at_most(usize::MAX)
    }

    /// The same, through a transport that takes only so many.
    pub(crate) fn sent_at_most(&mut self, n: usize) -> Vec<u8> {
        let queue = self.connection.transmit();
        let n = queue.remaining().min(n);
        let bytes = queue.copy_to_bytes(n).to_vec();
        self.poll();
        bytes
    }

    #[track_caller]
    pub(crate) fn sent_frames(&mut self) -> Vec<Frame> {
        frames(&self.sent())
    }

    /// First bytes and payloads; the masking is checked here.
    #[track_caller]
    pub(crate) fn sent_plain(&mut self) -> Vec<(u8, Vec<u8>)> {
        let client = self.side == Side::Client;
        let frames = self.sent_frames();
        assert!(frames.iter().all(|frame| frame.key.is_some() == client), "masking: {frames:02x?}");
        frames.into_iter().map(|frame| (frame.first, frame.payload)).collect()
    }

    /// What the user saw since the last call.
    pub(crate) fn seen(&mut self) -> Vec<Seen> {
        let seen = self.history[self.taken..].to_vec();
        self.taken = self.history.len();
        seen
    }

    /// The one `Closed`, which is the last event.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> Ending {
        let closed = self.history.iter().filter(|seen| matches!(seen, Seen::Closed(_))).count();
        match self.history.last() {
            Some(Seen::Closed(ending)) if closed == 1 => ending.clone(),
            _ => panic!("{:?}: one Closed, at the end: {:?}", self.side, self.history),
        }
    }

    #[track_caller]
    pub(crate) fn assert_closed_cleanly(&mut self, peers_code: Option<u16>) {
        let closed = self.closed();
        assert!(closed.clean, "{closed:?}");
        let code = closed.peer.as_ref().map(|(code, _)| *code);
        assert_eq!(code, Some(peers_code), "{closed:?}");
    }

    /// The user was told once that the peer is to blame, with the code that was sent.
    #[track_caller]
    pub(crate) fn assert_failed(&mut self, code: u16) {
        self.end();
        let closed = self.closed();
        assert!(closed.failed && !closed.clean, "{:?}: {closed:?}", self.side);
        assert_eq!(closed.local, Some(code), "{:?}: {closed:?}", self.side);
    }

    /// What arrived last has failed the connection (7.1.7): the peer sees a Close with this code as the last frame,
    /// and the user one `Closed`.
    #[track_caller]
    pub(crate) fn assert_fails(mut self, code: u16) {
        let sent = self.sent_plain();
        let closes = sent.iter().filter(|(first, _)| *first == 0x88).count();
        match sent.last() {
            Some((0x88, payload)) if closes == 1 && payload.len() >= 2 => {
                assert_eq!(u16::from_be_bytes([payload[0], payload[1]]), code, "{:?}: {sent:02x?}", self.side);
                std::str::from_utf8(&payload[2..]).expect("a reason is UTF-8");
            }
            _ => panic!("{:?}: one Close {code}, at the end: {sent:02x?}", self.side),
        }
        self.assert_failed(code);
        assert_eq!(self.sent(), [0; 0], "nothing follows the Close");
    }

    /// Nothing more arrives; time passes, until the driver is told to close or to shut down.
    #[track_caller]
    pub(crate) fn until_the_transport_closes(&mut self) {
        for _ in 0..100 {
            self.sent();
            if self.connection.transport() == Transport::Close {
                return;
            }
            let Some(deadline) = self.connection.poll_timeout() else {
                panic!("{:?}: neither closed nor waiting: {:?}", self.side, self.history);
            };
            self.now = deadline.max(self.now + Duration::from_millis(1));
            self.connection.handle_timeout(self.now);
            self.poll();
        }
        panic!("{:?}: still open after 100 deadlines", self.side);
    }

    pub(crate) fn transport_is_open(&self) -> bool {
        self.connection.transport() == Transport::Open
    }

    fn poll(&mut self) {
        while let Some(event) = self.connection.poll_event(&mut self.rx, self.now) {
            let seen = match event {
                Event::Open => panic!("Open comes once"),
                Event::Message(Message::Text(text)) => Seen::Text(text.as_str().to_owned()),
                Event::Message(Message::Binary(bytes)) => Seen::Binary(bytes.to_vec()),
                Event::Ping(payload) => Seen::Ping(payload.to_vec()),
                Event::Pong(payload) => Seen::Pong(payload.to_vec()),
                Event::Drain => continue,
                Event::Closed(closed) => Seen::Closed(Ending {
                    clean: matches!(closed.cause, Cause::Clean),
                    failed: matches!(closed.cause, Cause::Failed(_)),
                    local: closed.local.and_then(|close| close.code).map(CloseCode::as_u16),
                    peer: closed.peer.map(|close| (close.code.map(CloseCode::as_u16), close.reason.into())),
                }),
                other => panic!("{other:?} was not asked for"),
            };
            self.history.push(seen);
        }
    }
}
