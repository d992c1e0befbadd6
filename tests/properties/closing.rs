//! The closing handshake under any sequence of inputs (RFC 6455 sections 5.5.1, 7.1).

use std::{io::ErrorKind, time::Duration};

use proptest::{prelude::*, sample::select};
use wireroom::{Config, SendError, Transport};

use crate::common::{Endpoint, ROLES, Role, Seen, close_payload, config, frame, frames};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

const CLOSE_TIMEOUT: Duration = Duration::from_millis(5_000);

#[derive(Clone, Debug)]
enum Step {
    // this end
    Send(usize),
    Fragment,
    Ping,
    Close(u16),
    CloseWithoutCode,
    Abort,
    Pause,
    Resume,
    // the peer
    Text,
    HalfText,
    PeerPing,
    PeerClose(Option<u16>),
    /// Bytes that break the protocol.
    Wrong(u8),
    // the transport
    Write(usize),
    Flush,
    End,
    Fail,
    Wait(u64),
    Oversleep(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => select(&[0, 1, 100, 700, 7_000][..]).prop_map(Step::Send),
        1 => Just(Step::Fragment),
        2 => Just(Step::Ping),
        2 => select(&[1000, 1001, 1011, 3000, 4999][..]).prop_map(Step::Close),
        1 => Just(Step::CloseWithoutCode),
        1 => Just(Step::Abort),
        2 => Just(Step::Pause),
        2 => Just(Step::Resume),
        8 => Just(Step::Text),
        1 => Just(Step::HalfText),
        4 => Just(Step::PeerPing),
        2 => select(&[None, Some(1000), Some(1001), Some(4000)][..]).prop_map(Step::PeerClose),
        1 => (0..5_u8).prop_map(Step::Wrong),
        6 => (0..1_000_usize).prop_map(Step::Write),
        4 => Just(Step::Flush),
        1 => Just(Step::End),
        1 => Just(Step::Fail),
        4 => (0..6_000_u64).prop_map(Step::Wait),
        1 => (0..20_000_u64).prop_map(Step::Oversleep),
    ]
}

/// What the user and the peer know of one history.
struct History {
    end: Endpoint,
    /// Texts that were sent to it whole, before the peer did anything else that counts.
    said: Vec<String>,
    heard: Vec<String>,
    /// The peer has sent a Close, or bytes that break the protocol, or half a message at which it stopped.
    peer_is_done: bool,
    /// The stream has ended, or failed, or was given up.
    cut_off: bool,
    /// On the wire, and not a whole frame yet.
    sent: Vec<u8>,
    /// What the peer can read of what we sent: the first bytes, and Closes with their payloads.
    opcodes: Vec<u8>,
    closes: Vec<Vec<u8>>,
    closed: usize,
    /// Since when the connection has been coming to its end.
    closing: Option<std::time::Instant>,
}

impl History {
    fn new(role: Role) -> Self {
        let limits = config(|config| {
            let config = config.high_water_mark(2_000).low_water_mark(500).max_send_buffer(100_000);
            config.close_timeout(CLOSE_TIMEOUT).keepalive_interval(Some(Duration::from_secs(30)))
        });
        Self {
            end: Endpoint::new(role, limits),
            said: Vec::new(),
            heard: Vec::new(),
            peer_is_done: false,
            cut_off: false,
            sent: Vec::new(),
            opcodes: Vec::new(),
            closes: Vec::new(),
            closed: 0,
            closing: None,
        }
    }

    fn step(&mut self, step: &Step) {
        let Self { end, .. } = self;
        let now = end.now();
        match *step {
            Step::Send(size) => {
                let open = end.connection.is_open();
                let sent = end.send(&vec![0; size]);
                assert_eq!(sent == Err(SendError::Closed), !open, "{sent:?}");
            }
            Step::Fragment => {
                if let Ok(mut writer) = end.connection.writer(wireroom::Kind::Binary) {
                    let _ = writer.write(b"fragment");
                }
            }
            Step::Ping => _ = end.connection.ping(b"are you there?"),
            Step::Close(code) => end.close(code, "because"),
            Step::CloseWithoutCode => end.connection.close_without_code(now),
            Step::Abort => {
                end.connection.abort();
                self.cut_off = true;
                assert!(!end.connection.wants_write(), "what waits is lost");
            }
            Step::Pause => end.connection.pause(),
            Step::Resume => end.connection.resume(now),
            Step::Text => {
                let text = format!("text {}", self.said.len());
                if self.peer(TEXT, text.as_bytes()) && !self.peer_is_done {
                    self.said.push(text);
                }
            }
            Step::HalfText => {
                self.peer_is_done |= self.peer(0x01, b"begun");
            }
            Step::PeerPing => _ = self.peer(PING, b"?"),
            Step::PeerClose(code) => {
                let payload = code.map(|code| close_payload(code, "bye")).unwrap_or_default();
                self.peer_is_done |= self.peer(CLOSE, &payload);
            }
            Step::Wrong(how) => {
                let (first, payload): (u8, &[u8]) = [
                    (0xc1, &b"RSV1"[..]),
                    (0x83, b"reserved opcode"),
                    (0x8b, b"reserved control opcode"),
                    (0x81, b"not UTF-8: \xff"),
                    (0x88, b"\x03\xed"), // 1005 in a Close
                ][usize::from(how)];
                self.peer_is_done |= self.peer(first, payload);
            }
            Step::Write(n) => self.sent.extend(end.write(n)),
            Step::Flush => self.sent.extend(end.flush()),
            Step::End => {
                end.end();
                self.cut_off = true;
            }
            Step::Fail => {
                end.fail(ErrorKind::ConnectionReset);
                self.cut_off = true;
            }
            Step::Wait(time) => end.advance(Duration::from_millis(time)),
            Step::Oversleep(time) => end.advance_to(now + Duration::from_millis(time)),
        }
        self.end.poll();
        self.check();
    }

    /// The peer sends a frame, unless it has closed its side in one way or another, or is not read from.
    fn peer(&mut self, first: u8, payload: &[u8]) -> bool {
        let reads = !self.cut_off && self.end.connection.wants_read();
        if reads {
            self.end.receive(&frame(self.end.role.peer(), first, payload));
        }
        reads
    }

    fn check(&mut self) {
        self.read();
        for seen in self.end.take_seen() {
            assert_eq!(self.closed, 0, "{seen:?} behind Closed");
            match seen {
                Seen::Text(text) => self.heard.push(text),
                Seen::Closed(ending) => {
                    self.closed += 1;
                    if ending.cause == "Clean" {
                        assert!(ending.local.is_some() && ending.peer.is_some(), "7.1.4: both were seen: {ending:?}");
                        assert_eq!(self.heard, self.said, "what the peer said before its Close was delivered");
                        assert!(!self.end.connection.wants_write(), "our Close has left");
                        assert_eq!(self.closes.len(), 1);
                    }
                    if let (Some((code, _)), [payload]) = (&ending.local, &self.closes[..]) {
                        let sent = payload.first_chunk::<2>().map(|code| u16::from_be_bytes(*code));
                        assert_eq!(sent, *code, "the code that was sent is the code that is told");
                    }
                }
                _ => {}
            }
        }
        assert!(self.said.starts_with(&self.heard), "{:?} of {:?}", self.heard, self.said);
        let now = self.end.now();
        if !self.end.connection.is_open() {
            let since = *self.closing.get_or_insert(now);
            let late = now >= since + CLOSE_TIMEOUT;
            assert!(!late || self.closed == 1, "no Closed within the close timeout: {:?}", self.end.connection);
            if late {
                assert_eq!(self.end.transport(), Transport::Close, "the socket is freed");
                assert_eq!(self.end.connection.poll_timeout(), None, "and its timer");
                assert!(!self.end.connection.wants_read());
            }
        }
        // 5.5.1: nothing but control frames behind a Close of ours, and no second one.
        let behind = self.opcodes.iter().skip_while(|first| **first != CLOSE).skip(1);
        for first in behind {
            assert!(matches!(*first, PING | PONG), "{first:02x} behind our Close");
        }
    }

    /// The peer reads what is whole of what we sent.
    fn read(&mut self) {
        while let Ok(Some((header, length))) = wireroom::frame::FrameHeader::parse(&self.sent) {
            let length = length + header.payload_length as usize;
            if length > self.sent.len() {
                break;
            }
            for (first, payload) in frames(self.end.role, &self.sent[..length]) {
                self.opcodes.push(first);
                if first == CLOSE {
                    self.closes.push(payload);
                }
            }
            self.sent.drain(..length);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn whatever_happens_it_ends_once_in_time_and_says_nothing_behind_its_close(
        role in select(&ROLES[..]),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut history = History::new(role);
        for step in &steps {
            history.step(step);
        }
        // A user who has had enough, and a peer that does nothing any more.
        history.step(&Step::Close(1000));
        history.step(&Step::Write(300));
        prop_assert!(!history.end.connection.is_open());
        history.end.advance(CLOSE_TIMEOUT);
        history.check();
        prop_assert_eq!(history.closed, 1);
        // Nothing that comes later is heard, and nothing changes.
        history.cut_off = false;
        for step in &steps {
            history.step(step);
        }
        prop_assert_eq!(history.closed, 1);
        prop_assert_eq!(history.end.transport(), Transport::Close);
    }

    #[test]
    fn two_ends_that_both_close_come_to_a_clean_end(
        steps in prop::collection::vec((select(&ROLES[..]), 0..4_u8, 1..2_000_usize), 0..20),
        codes in (select(&[1000, 1001, 3000][..]), select(&[1000, 1002, 4000][..])),
        (cuts, narrow) in (any::<u64>(), 1..3_000_usize),
        both in any::<bool>(),
    ) {
        use crate::common::{Cuts, Pair};
        let mut pair = Pair::with(Config::default(), Config::default()).cut(Cuts::seeded(cuts)).narrow(narrow);
        let mut said = [Vec::new(), Vec::new()];
        for (role, what, size) in steps {
            let end = pair.end(role);
            match what {
                0 => pair.run(),
                1 => _ = pair.step(),
                2 => _ = end.connection.ping(b"?").unwrap(),
                _ => {
                    let message = vec![size as u8; size];
                    let _ = end.send(&message).unwrap();
                    said[usize::from(role == Role::Client)].push(Seen::Binary(message));
                }
            }
        }
        pair.client.close(codes.0, "mine");
        if both {
            pair.server.close(codes.1, "mine, too");
        }
        pair.run();
        let messages = |seen: &[Seen]| seen.iter().filter(|seen| matches!(seen, Seen::Binary(_))).cloned().collect();
        let heard: [Vec<Seen>; 2] = [messages(&pair.client.seen), messages(&pair.server.seen)];
        prop_assert!(heard == said, "everything that was accepted before a Close arrives");
        let (client, server) = (pair.client.ending(), pair.server.ending());
        prop_assert_eq!((&*client.cause, &*server.cause), ("Clean", "Clean"));
        prop_assert_eq!((&client.local, &client.peer), (&server.peer, &server.local), "both tell the same");
        prop_assert_eq!(client.local_code(), Some(codes.0));
        prop_assert_eq!(server.local_code(), Some(if both { codes.1 } else { codes.0 }), "5.5.1: the echo has the code");
        prop_assert_eq!((pair.client.transport(), pair.server.transport()), (Transport::Close, Transport::Close));
    }
}
