//! Clients that come back: what they wait for, what they say then, and what they tell of what may be lost.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    ops::Range,
    time::{Duration, Instant},
};

use wireroom::{
    CloseCode, Config, ConnectOptions, Kind, SlowConsumer,
    backoff::Backoff,
    handshake::ClientRequest,
    net::reconnecting::{Change, Comeback, ReconnectOptions, ReconnectSendError, Reconnecting, State, Stop},
};

use crate::{
    servers::{listener, nobody, upgrade},
    support::{Peer, World},
};

/// Clients and what has changed of each.
struct Rig {
    world: World,
    clients: Vec<(Reconnecting, Vec<Change>)>,
    /// The attempts of the first, as its state told them.
    attempts: Vec<u32>,
}

/// Waits of a hundredth of a second at most.
fn at_once() -> ReconnectOptions {
    ReconnectOptions::new().backoff(Backoff::new().base(Duration::from_millis(10)).cap(Duration::from_millis(10)))
}

fn client(address: SocketAddr, options: ReconnectOptions) -> Reconnecting {
    client_with(address, options, Config::default())
}

fn client_with(address: SocketAddr, options: ReconnectOptions, config: Config) -> Reconnecting {
    let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    Reconnecting::new(request, ConnectOptions::new(), config, options)
}

impl Rig {
    fn new(clients: impl IntoIterator<Item = Reconnecting>) -> Self {
        let mut world = World::new();
        world.echoes = false;
        Self { world, clients: clients.into_iter().map(|client| (client, Vec::new())).collect(), attempts: Vec::new() }
    }

    fn turn(&mut self) {
        let Self { world, clients, attempts } = self;
        for (client, _) in &mut *clients {
            client.poll(&mut world.event_loop);
        }
        if let State::Connecting { attempt, id } = clients[0].0.state()
            && attempts.last() != Some(&attempt)
        {
            assert_eq!(clients[0].0.id(), Some(id));
            attempts.push(attempt);
        }
        world.turn_with(|connections, id, event| {
            for (client, changes) in &mut *clients {
                changes.extend(client.handle(connections, id, event));
            }
        });
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < crate::support::PATIENCE, "{what} did not come: {:?}", self.clients);
            self.turn();
        }
    }

    /// A server's side of an open connection.
    fn accept(&mut self, listener: &TcpListener) -> Peer<TcpStream> {
        let mut peer = self.accept_unanswered(listener);
        let head = self.head(&mut peer);
        peer.send(upgrade(&head));
        peer
    }

    fn accept_unanswered(&mut self, listener: &TcpListener) -> Peer<TcpStream> {
        let mut accepted = None;
        self.until("a connection", |_| {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        Peer::new(accepted.unwrap().0)
    }

    fn head(&mut self, peer: &mut Peer<TcpStream>) -> String {
        self.until("a head", |_| peer.receive().ends_with(b"\r\n\r\n"));
        String::from_utf8(std::mem::take(&mut peer.inbox)).unwrap()
    }

    /// The next so many messages that the server receives.
    fn texts(&mut self, peer: &mut Peer<TcpStream>, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        self.until("texts", |_| {
            peer.receive();
            while texts.len() < count
                && let Some((first, payload)) = unmasked(peer)
            {
                assert_eq!(first, 0x81);
                texts.push(String::from_utf8(payload).unwrap());
            }
            texts.len() == count
        });
        texts
    }

    fn send(&mut self, text: &str) -> Result<u64, ReconnectSendError> {
        self.clients[0].0.send(self.world.event_loop.connections(), text)
    }

    fn client(&self) -> &Reconnecting {
        &self.clients[0].0
    }

    fn is_open(&self) -> bool {
        matches!(self.client().state(), State::Open { .. })
    }

    /// The last change, which has to be an interruption: its uncertain messages.
    fn interrupted(&mut self) -> Range<u64> {
        self.until("an interruption", |rig| matches!(rig.clients[0].1.last(), Some(Change::Interrupted { .. })));
        match self.clients[0].1.last() {
            Some(Change::Interrupted { uncertain, .. }) => uncertain.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn stopped(&mut self) -> (Stop, Range<u64>) {
        self.until("the end", |rig| rig.client().is_stopped());
        assert!(self.client().id().is_none() && self.client().deadline().is_none());
        match self.clients[0].1.last() {
            Some(Change::Stopped { why, uncertain }) => (*why, uncertain.clone()),
            other => panic!("{other:?}"),
        }
    }
}

/// Takes a client's frame out of what the peer has received.
fn unmasked(peer: &mut Peer<TcpStream>) -> Option<(u8, Vec<u8>)> {
    let bytes = &peer.inbox;
    let (header, length) = match *bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap()))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap()) as usize),
        length => (2, usize::from(length)),
    };
    let key = bytes.get(header..header + 4)?.to_vec();
    let payload = bytes.get(header + 4..header + 4 + length)?.iter().zip(key.iter().cycle());
    let (first, payload) = (bytes[0], payload.map(|(byte, key)| byte ^ key).collect());
    peer.inbox.drain(..header + 4 + length);
    Some((first, payload))
}

#[test]
fn what_waits_is_sent_in_order_and_what_was_accepted_is_uncertain_and_not_sent_again() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut rig = Rig::new([client(address, at_once())]);
    assert_eq!([rig.send("a"), rig.send("b")], [Ok(0), Ok(1)]);
    assert_eq!((rig.client().queued_messages(), rig.client().queued_bytes()), (2, 2));
    let mut server = rig.accept(&listener);
    assert_eq!(rig.texts(&mut server, 2), ["a", "b"]);
    assert_eq!(rig.send("c"), Ok(2));
    assert_eq!(rig.texts(&mut server, 1), ["c"]);
    // The application's own protocol says that two have arrived.
    rig.clients[0].0.acknowledge(2);
    drop(server);
    assert_eq!(rig.interrupted(), 2..3);
    assert_eq!([rig.send("d"), rig.send("e")], [Ok(3), Ok(4)]);
    let mut server = rig.accept(&listener);
    assert_eq!(rig.texts(&mut server, 2), ["d", "e"], "c is not repeated");
    assert!(rig.is_open());
    drop(server);
    assert_eq!(rig.interrupted(), 3..5);
    let mut server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    server.send(b"\x88\x02\x03\xe9"); // 1001
    assert_eq!(rig.interrupted(), 5..5);
}

#[test]
fn states_and_attempts_are_told() {
    let address = nobody("127.0.0.1:0");
    let backoff = Backoff::new().base(Duration::from_millis(30)).cap(Duration::from_millis(30)).max_attempts(Some(4));
    let mut rig = Rig::new([client(address, ReconnectOptions::new().backoff(backoff))]);
    assert!(matches!(rig.client().state(), State::Waiting { attempt: 1, .. }));
    assert_eq!(rig.stopped(), (Stop::GivenUp, 0..0));
    assert_eq!(rig.attempts, [1, 2, 3, 4]);
    let waits = rig.clients[0].1.iter().filter(|change| match change {
        Change::Interrupted { wait, .. } => *wait <= Duration::from_millis(30),
        _ => false,
    });
    assert_eq!(waits.count(), 3);
    assert_eq!(rig.send("x"), Err(ReconnectSendError::Stopped));
}

#[test]
fn a_server_that_asks_for_time_is_given_it_and_the_loop_sleeps_meanwhile() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut rig = Rig::new([client(address, at_once())]);
    let mut server = rig.accept_unanswered(&listener);
    let _ = rig.head(&mut server);
    server.send("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
    rig.interrupted();
    let start = Instant::now();
    let mut turns = 0;
    let mut server = None;
    while server.is_none() {
        let Rig { world, clients, .. } = &mut rig;
        let (client, changes) = &mut clients[0];
        let until = client.poll(&mut world.event_loop).unwrap_or(Instant::now() + Duration::from_secs(1));
        let timeout = until.saturating_duration_since(Instant::now());
        let on_event = |connections: &mut _, id, event: wireroom::Event<'_>| {
            changes.extend(client.handle(connections, id, &event))
        };
        world.event_loop.turn(Some(timeout), on_event).unwrap();
        turns += 1;
        server = listener.accept().ok();
        assert!(start.elapsed() < crate::support::PATIENCE);
    }
    assert!(start.elapsed() >= Duration::from_millis(950), "{:?}", start.elapsed());
    assert!(turns < 30, "{turns}");
}

#[test]
fn refusals_and_close_codes_that_end_it_and_a_policy_that_decides_otherwise() {
    let (listener, address) = listener("127.0.0.1:0");
    for (answer, stops) in [
        ("HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 404 What\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 302 There\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 502 Later\r\nContent-Length: 0\r\n\r\n", false),
        ("SSH-2.0\r\n", false),
    ] {
        let mut rig = Rig::new([client(address, at_once())]);
        let mut server = rig.accept_unanswered(&listener);
        let _ = rig.head(&mut server);
        server.send(answer);
        if stops {
            assert_eq!(rig.stopped(), (Stop::Refused, 0..0), "{answer}");
        } else {
            rig.interrupted();
        }
    }
    for (code, stops) in [(1000_u16, true), (1008, true), (1001, false), (1012, false), (4000, false)] {
        let mut rig = Rig::new([client(address, at_once())]);
        let mut server = rig.accept(&listener);
        rig.until("open", |rig| rig.is_open());
        server.send([&[0x88, 2], &code.to_be_bytes()[..]].concat());
        if stops {
            assert_eq!(rig.stopped().0, Stop::Refused, "{code}");
        } else {
            rig.interrupted();
        }
    }
    let options = at_once().policy(|closed| match closed.peer.as_ref().and_then(|frame| frame.code) {
        Some(CloseCode::NORMAL) => Comeback::RetryAfter(Duration::from_millis(100)),
        _ => Comeback::Stop,
    });
    let mut rig = Rig::new([client(address, options)]);
    let mut server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    server.send(b"\x88\x02\x03\xe8");
    rig.interrupted();
    assert!(
        matches!(rig.clients[0].1.last(), Some(Change::Interrupted { wait, .. }) if *wait >= Duration::from_millis(100))
    );
    let server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    drop(server);
    assert_eq!(rig.stopped().0, Stop::Refused);
}

#[test]
fn closed_in_each_state_it_stops() {
    let (listener, address) = listener("127.0.0.1:0");
    fn close(rig: &mut Rig) {
        rig.clients[0].0.close(rig.world.event_loop.connections(), CloseCode::NORMAL, "bye");
    }
    // Waiting.
    let mut rig = Rig::new([client(address, at_once())]);
    assert_eq!(rig.send("never"), Ok(0));
    close(&mut rig);
    assert_eq!(rig.client().state(), State::Stopped(Stop::Closed));
    rig.turn();
    assert!(rig.world.event_loop.connections().is_empty());
    let unsent = rig.clients[0].0.take_unsent();
    assert_eq!(
        (unsent.len(), unsent[0].number, unsent[0].kind, &unsent[0].payload[..]),
        (1, 0, Kind::Text, &b"never"[..])
    );
    // Connecting.
    let mut rig = Rig::new([client(address, at_once())]);
    let mut server = rig.accept_unanswered(&listener);
    let start = Instant::now();
    close(&mut rig);
    assert_eq!(rig.stopped(), (Stop::Closed, 0..0));
    assert!(start.elapsed() < Duration::from_secs(3), "at once, not with the handshake timeout");
    rig.until("the end of the stream", |_| {
        server.receive();
        server.ended
    });
    // Open: the peer's answer says that all has arrived.
    let mut rig = Rig::new([client(address, at_once())]);
    let mut server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    assert_eq!(rig.send("a"), Ok(0));
    close(&mut rig);
    assert_eq!(rig.send("b"), Err(ReconnectSendError::Stopped));
    assert_eq!(rig.texts(&mut server, 1), ["a"]);
    server.send(b"\x88\x02\x03\xe8");
    assert_eq!(rig.stopped(), (Stop::Closed, 1..1));
    // Open, and the peer does not answer.
    let mut rig = Rig::new([client(address, at_once())]);
    let server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    assert_eq!(rig.send("a"), Ok(0));
    close(&mut rig);
    rig.turn();
    drop(server);
    assert_eq!(rig.stopped(), (Stop::Closed, 0..1));
}

#[test]
fn what_a_full_connection_refuses_waits_and_follows_in_order() {
    let (listener, address) = listener("127.0.0.1:0");
    let config = Config::builder().max_send_buffer(64 * 1024).high_water_mark(32 * 1024).low_water_mark(16 * 1024);
    let config = config.build().unwrap();
    let options = at_once().max_queue_bytes(64 << 20);
    let mut rig = Rig::new([client_with(address, options, config)]);
    let mut server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    let text = |n: usize| format!("{n}:{}", "x".repeat(60_000));
    let count = 150;
    for n in 0..count {
        assert_eq!(rig.send(&text(n)), Ok(n as u64));
        rig.turn_now();
    }
    assert!(rig.client().queued_messages() > 10, "more than the system's buffers hold");
    assert_eq!(rig.texts(&mut server, count), (0..count).map(text).collect::<Vec<_>>());
    assert_eq!((rig.client().queued_messages(), rig.client().queued_bytes()), (0, 0));
}

impl Rig {
    /// A turn that does not wait.
    fn turn_now(&mut self) {
        let Self { world, clients, .. } = self;
        let on_event = |connections: &mut _, id, event: wireroom::Event<'_>| {
            for (client, changes) in &mut *clients {
                changes.extend(client.handle(connections, id, &event));
            }
        };
        world.event_loop.turn(Some(Duration::ZERO), on_event).unwrap();
    }
}

#[test]
fn what_a_policy_for_slow_consumers_would_drop_waits() {
    let (listener, address) = listener("127.0.0.1:0");
    let config = Config::builder().max_send_buffer(64 * 1024).high_water_mark(32 * 1024).low_water_mark(16 * 1024);
    let config = config.slow_consumer(SlowConsumer::DropNewest).build().unwrap();
    let mut rig = Rig::new([client_with(address, at_once().max_queue_bytes(64 << 20), config)]);
    let mut server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    let text = |n: usize| format!("{n}:{}", "x".repeat(60_000));
    for n in 0..120 {
        assert_eq!(rig.send(&text(n)), Ok(n as u64));
    }
    assert_eq!(rig.texts(&mut server, 120), (0..120).map(text).collect::<Vec<_>>());
}

#[test]
fn several_in_one_loop_do_not_mind_each_other() {
    let (listener, address) = listener("127.0.0.1:0");
    let gone = nobody("127.0.0.1:0");
    let never = ReconnectOptions::new().backoff(Backoff::new().max_attempts(Some(1)));
    let clients = [client(address, at_once()), client(gone, never), client(address, at_once())];
    let mut rig = Rig::new(clients);
    let mut servers = [rig.accept(&listener), rig.accept(&listener)];
    let open = |rig: &mut Rig, at: usize| matches!(rig.clients[at].0.state(), State::Open { .. });
    rig.until("both open", |rig| open(rig, 0) && open(rig, 2));
    rig.until("the other stopped", |rig| rig.clients[1].0.is_stopped());
    for (at, text) in [(0, "first"), (2, "third")] {
        let Rig { world, clients, .. } = &mut rig;
        clients[at].0.send(world.event_loop.connections(), text).unwrap();
    }
    let mut heard: Vec<_> = servers.iter_mut().flat_map(|server| rig.texts(server, 1)).collect();
    heard.sort_unstable();
    assert_eq!(heard, ["first", "third"]);
    assert_ne!(rig.clients[0].0.id(), rig.clients[2].0.id());
}

#[test]
fn what_can_never_be_stops_at_once() {
    let request = ClientRequest::new("wss://chat.test/").unwrap();
    let client = Reconnecting::new(request, ConnectOptions::new(), Config::default(), ReconnectOptions::new());
    let mut rig = Rig::new([client]);
    rig.turn();
    assert_eq!(rig.client().state(), State::Stopped(Stop::Unsupported));
}

#[test]
fn what_waits_behind_a_message_in_fragments_follows_it() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut rig = Rig::new([client(address, at_once())]);
    let mut server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    let id = rig.client().id().unwrap();
    let mut writer = rig.world.event_loop.connections().writer(id, Kind::Text).unwrap();
    let _ = writer.write(b"half").unwrap();
    assert_eq!(rig.send("next"), Ok(0));
    rig.turn();
    assert_eq!(rig.client().queued_messages(), 1);
    let writer = rig.world.event_loop.connections().writer(id, Kind::Text).unwrap();
    let _ = writer.finish().unwrap();
    rig.until("both", |rig| {
        server.receive();
        rig.client().queued_messages() == 0 && server.inbox.len() >= 2 * 6 + 2 + 8
    });
    let frames: Vec<_> = std::iter::from_fn(|| unmasked(&mut server)).collect();
    assert_eq!(frames.last(), Some(&(0x81, b"next".to_vec())), "{frames:?}");
}

#[test]
fn what_a_policy_for_slow_consumers_has_dropped_is_uncertain_even_behind_an_answered_close() {
    let (listener, address) = listener("127.0.0.1:0");
    let config = Config::builder().max_send_buffer(64 * 1024).high_water_mark(32 * 1024).low_water_mark(16 * 1024);
    let config = config.slow_consumer(SlowConsumer::DropOldest).build().unwrap();
    let mut rig = Rig::new([client_with(address, at_once(), config)]);
    let mut server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    let text = "x".repeat(20_000);
    let mut sent = 0;
    // Nothing is written meanwhile.
    while sent < 20 {
        assert_eq!(rig.send(&text), Ok(sent));
        sent += 1;
    }
    assert_eq!(rig.client().queued_messages(), 0, "all were accepted");
    rig.clients[0].0.close(rig.world.event_loop.connections(), CloseCode::NORMAL, "");
    let mut heard = 0;
    rig.until("our Close", |_| {
        server.receive();
        while let Some((first, _)) = unmasked(&mut server) {
            if first == 0x88 {
                return true;
            }
            heard += 1;
        }
        false
    });
    assert!(heard < sent, "{heard} of {sent} were dropped");
    server.send(b"\x88\x02\x03\xe8");
    assert_eq!(rig.stopped(), (Stop::Closed, 0..sent));
}

#[test]
fn a_wait_that_has_no_end_is_told_as_the_end() {
    let (listener, address) = listener("127.0.0.1:0");
    let backoff = Backoff::new().max_retry_after(Duration::MAX);
    let mut rig = Rig::new([client(address, ReconnectOptions::new().backoff(backoff))]);
    let mut server = rig.accept_unanswered(&listener);
    let _ = rig.head(&mut server);
    server.send("HTTP/1.1 503 Busy\r\nRetry-After: 99999999999999999999\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(rig.stopped(), (Stop::GivenUp, 0..0));
}

#[test]
fn what_was_taken_back_does_not_hide_what_is_uncertain() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut rig = Rig::new([client(address, at_once())]);
    let mut server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    assert_eq!(rig.send("a"), Ok(0));
    // Within a message in fragments another waits.
    let id = rig.client().id().unwrap();
    let _ = rig.world.event_loop.connections().writer(id, Kind::Text).unwrap().write(b"half").unwrap();
    assert_eq!(rig.send("b"), Ok(1));
    let unsent = rig.clients[0].0.take_unsent();
    assert_eq!(unsent.iter().map(|unsent| unsent.number).collect::<Vec<_>>(), [1]);
    assert_eq!(rig.texts(&mut server, 1), ["a"]);
    drop(server);
    let uncertain = rig.interrupted();
    assert!(uncertain.contains(&0), "{uncertain:?}");
    // Once only.
    let mut server = rig.accept(&listener);
    rig.until("open", |rig| rig.is_open());
    assert_eq!(rig.send("c"), Ok(2));
    assert_eq!(rig.texts(&mut server, 1), ["c"]);
    drop(server);
    assert_eq!(rig.interrupted(), 2..3);
}
