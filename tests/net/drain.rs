//! Draining: the farewells are said while HTTP is still answered, and nobody new comes in.

use std::{
    cell::Cell,
    net::{SocketAddr, TcpStream},
    rc::Rc,
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token, Waker};
use wireroom::{
    Cause, Config, ConnId, EventLoop,
    handshake::{ClientRequest, HandshakeError, Verdict},
    http::{Request, Response},
};

use crate::support::{Peer, Seen, UPGRADE, World, any, frame, loopback};

const GOING_AWAY: [u8; 2] = [0x03, 0xe9];
const PAGE: &str = "GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// How often `verify` was asked, and about whom at last.
#[derive(Default)]
struct Asked {
    times: Cell<usize>,
    last: Cell<Option<ConnId>>,
}

/// A server of a page, of upgrades now and upgrades later.
fn serving() -> (World, SocketAddr, Rc<Asked>) {
    let mut world = World::new();
    let asked = Rc::new(Asked::default());
    let note = asked.clone();
    let verify = move |id, request: &Request<'_>| -> Verdict {
        note.times.set(note.times.get() + 1);
        note.last.set(Some(id));
        match request.path() {
            "/page" => Response::text(200, "page").into(),
            "/later" => Verdict::Defer,
            _ => request.allow_any_origin(),
        }
    };
    let address = world.event_loop.listen(loopback(), Config::default(), verify).unwrap();
    (world, address, asked)
}

/// Takes the head and the content of one answer.
fn answer(world: &mut World, peer: &mut Peer<TcpStream>) -> String {
    let mut answer = world.head(peer);
    let length = answer.lines().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
    world.until("content", |_| peer.receive().len() >= length);
    answer.extend(peer.inbox.drain(..length).map(char::from));
    answer
}

#[test]
fn while_draining_http_is_answered_and_an_upgrade_is_not() {
    let (mut world, address, asked) = serving();
    let (id, mut socket) = world.open(address);
    let mut kept_alive = Peer::connect(address);
    kept_alive.send(PAGE);
    assert!(answer(&mut world, &mut kept_alive).starts_with("HTTP/1.1 200 "));
    let mut waiting = Peer::connect(address);
    waiting.send(UPGRADE.replace("/chat", "/later"));
    let mut half = Peer::connect(address);
    half.send(&UPGRADE[..30]);
    world.until("three requests", |_| asked.times.get() == 3);
    world.spend(Duration::from_millis(20));

    world.event_loop.drain(Duration::from_millis(1_500)).unwrap();
    assert!(!world.event_loop.is_drained());

    // What was deferred is answered; what comes in, on an old connection or a new one, is not asked about.
    let refused = |head: &str| {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 503 "), "{head}");
        assert!(head.contains("\r\nretry-after: 2\r\n") && head.contains("\r\nconnection: close\r\n"), "{head}");
    };
    refused(&answer(&mut world, &mut waiting));
    half.send(&UPGRADE[30..]);
    refused(&answer(&mut world, &mut half));
    let mut new = Peer::connect(address);
    new.send(UPGRADE);
    refused(&answer(&mut world, &mut new));
    world.end_of_stream(&mut new);
    assert_eq!(asked.times.get(), 3);

    // HTTP goes on, on an old connection and on a new one.
    let mut fresh = Peer::connect(address);
    for peer in [&mut kept_alive, &mut fresh] {
        peer.send(PAGE);
        assert!(answer(&mut world, peer).ends_with("\r\n\r\npage"));
    }
    assert_eq!(asked.times.get(), 5);

    let (first, payload) = world.frame(&mut socket);
    assert_eq!((first, &payload[..2]), (0x88, &GOING_AWAY[..]));
    world.spend(Duration::from_millis(30));
    assert!(!world.event_loop.is_drained(), "the closing handshake is under way");
    socket.send(frame(0x88, GOING_AWAY));
    world.end_of_stream(&mut socket);
    drop(socket);
    world.until("the drain", |world| world.event_loop.is_drained());
    assert!(matches!(world.closed(id).cause, Cause::Clean));

    // Drained, it still serves; going down ends that.
    fresh.send(PAGE);
    assert!(answer(&mut world, &mut fresh).starts_with("HTTP/1.1 200 "));
    assert!(!world.event_loop.is_shut_down());
    world.event_loop.shut_down(Duration::ZERO, Duration::from_secs(5)).unwrap();
    assert!(TcpStream::connect(address).is_err(), "still listening");
    world.end_of_stream(&mut fresh);
    world.end_of_stream(&mut kept_alive);
    world.until("the end", |world| world.event_loop.is_shut_down());
    assert!(world.event_loop.is_drained());
    let rejected = world.seen.iter().filter(|(_, seen)| {
        matches!(seen, Seen::Closed(closed)
            if matches!(closed.cause, Cause::Handshake(HandshakeError::Rejected { status: 503 }) | Cause::Aborted))
    });
    assert!(rejected.count() >= 3);
    assert!(world.rests());
}

#[test]
fn the_farewells_are_spread_and_each_is_said_once() {
    let (mut world, address, _) = serving();
    let mut peers: Vec<_> = (0..60).map(|_| world.open(address).1).collect();
    let over = Duration::from_millis(600);
    world.event_loop.drain(over).unwrap();
    let start = Instant::now();
    let mut told = Vec::new();
    world.until("60 farewells", |_| {
        for peer in &mut peers {
            if !peer.receive().is_empty() {
                assert_eq!((peer.inbox[0], &peer.inbox[2..4]), (0x88, &GOING_AWAY[..]));
                peer.inbox.clear();
                told.push(start.elapsed());
                let _ = std::io::Write::write(&mut peer.stream, &frame(0x88, GOING_AWAY));
            }
        }
        told.len() >= 60
    });
    // By chance alone none of the thirds is nearly empty with 60 peers.
    for third in 0..3 {
        let share = told.iter().filter(|at| **at >= over * third / 3 && **at < over * (third + 1) / 3).count();
        assert!(share > 3, "{share} of 60 in third {third}: {told:?}");
    }
    for peer in &mut peers {
        world.end_of_stream(peer);
        assert!(peer.inbox.is_empty());
    }
    drop(peers);
    world.until("the drain", |world| world.event_loop.is_drained());
}

#[test]
fn a_loop_without_a_websocket_is_drained_at_once() {
    let (mut world, address, _) = serving();
    assert!(!world.event_loop.is_drained(), "nobody asked for it");
    let mut peer = Peer::connect(address);
    peer.send(PAGE);
    let _ = answer(&mut world, &mut peer);
    world.event_loop.drain(Duration::from_secs(60)).unwrap();
    assert!(world.event_loop.is_drained());
    assert!(world.rests());
    // The least that is said is one second.
    world.event_loop.drain(Duration::ZERO).unwrap();
    peer.send(UPGRADE);
    assert!(answer(&mut world, &mut peer).contains("\r\nRetry-After: 1\r\n"));
    let mut empty = World::new();
    empty.event_loop.drain(Duration::ZERO).unwrap();
    assert!(empty.event_loop.is_drained() && !empty.event_loop.is_shut_down());
}

#[test]
fn a_deferred_upgrade_is_refused_when_the_drain_begins_and_a_deferred_page_is_not() {
    let (mut world, address, asked) = serving();
    let (mut upgrade, mut page) = (Peer::connect(address), Peer::connect(address));
    upgrade.send(UPGRADE.replace("/chat", "/later"));
    world.until("the upgrade", |_| asked.times.get() == 1);
    page.send(PAGE.replace("/page", "/later"));
    world.until("the page", |_| asked.times.get() == 2);
    let id = asked.last.get().unwrap();
    world.event_loop.drain(Duration::from_secs(100_000)).unwrap();
    assert!(answer(&mut world, &mut upgrade).contains("\r\nRetry-After: 100000\r\n"));
    assert!(world.event_loop.connections().answer(id, Response::text(200, "late")));
    assert!(answer(&mut world, &mut page).ends_with("late"));
}

#[test]
fn what_the_loop_is_given_while_it_drains_goes_too() {
    let (mut world, address, asked) = serving();
    let mut down = World::new();
    let (id, mut peer) = world.open(address);
    down.event_loop.drain(Duration::from_secs(60)).unwrap();
    let adopted = down.event_loop.adopt(world.event_loop.detach(id).unwrap()).unwrap();
    assert!(!down.event_loop.is_drained());
    assert_eq!(down.frame(&mut peer).1[..2], GOING_AWAY);
    peer.send(frame(0x88, GOING_AWAY));
    drop(peer);
    assert!(matches!(down.closed(adopted).cause, Cause::Clean));
    // So does a request that waits for its answer.
    let mut waiting = Peer::connect(address);
    waiting.send(UPGRADE.replace("/chat", "/later"));
    world.until("its request", |_| asked.times.get() == 2);
    let detached = world.event_loop.detach(asked.last.get().unwrap()).unwrap();
    down.event_loop.adopt(detached).unwrap();
    assert!(answer(&mut down, &mut waiting).contains("\r\nRetry-After: 60\r\n"));
    let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    let client = down.event_loop.connect(address, request, Config::default()).unwrap();
    assert!(matches!(down.closed(client).cause, Cause::Aborted));
    down.until("the drain", |down| down.event_loop.is_drained());
}

/// It is no WebSocket any more when its end has been told, though its slot may still be there.
#[test]
fn an_outgoing_connection_that_is_aborted_holds_the_drain_up_until_its_end_is_told() {
    let listener = std::net::TcpListener::bind(loopback()).unwrap();
    let (mut world, _, _) = serving();
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let client = world.event_loop.connect(listener.local_addr().unwrap(), request, Config::default()).unwrap();
    world.turn();
    world.event_loop.connections().abort(client);
    world.event_loop.drain(Duration::from_secs(60)).unwrap();
    assert!(!world.event_loop.is_drained(), "its end has not been told");
    let start = Instant::now();
    world.until("the drain", |world| world.event_loop.is_drained());
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(matches!(world.closed(client).cause, Cause::Aborted));
    assert!(world.event_loop.is_drained() && world.rests());
}

/// A page that is served has nothing to do with the drain, also when it ends in another way.
#[test]
fn plain_http_that_is_aborted_does_not_hold_the_drain_up() {
    let (mut world, address, asked) = serving();
    let mut page = Peer::connect(address);
    page.send(PAGE.replace("/page", "/later"));
    world.until("the page", |_| asked.times.get() == 1);
    world.event_loop.drain(Duration::ZERO).unwrap();
    assert!(world.event_loop.is_drained());
    world.event_loop.connections().abort(asked.last.get().unwrap());
    assert!(world.event_loop.is_drained(), "it was drained already");
    world.end_of_stream(&mut page);
}

#[test]
fn shutting_down_goes_on_where_draining_is() {
    let (mut world, address, _) = serving();
    let mut peers: Vec<_> = (0..3).map(|_| world.open(address)).collect();
    world.event_loop.drain(Duration::from_secs(3_600)).unwrap();
    world.spend(Duration::from_millis(20));
    world.event_loop.shut_down(Duration::ZERO, Duration::from_millis(200)).unwrap();
    // Draining is over: it does not take the deadline back.
    world.event_loop.drain(Duration::from_secs(3_600)).unwrap();
    for (_, peer) in &mut peers {
        assert_eq!(world.frame(peer).1[..2], GOING_AWAY);
    }
    let start = Instant::now();
    world.until("the end", |world| world.event_loop.is_shut_down());
    assert!(start.elapsed() < Duration::from_secs(3));
    for (id, _) in peers {
        assert!(matches!(world.closed(id).cause, Cause::Aborted));
    }
}

#[test]
fn who_does_not_answer_the_farewell_is_ended_at_the_close_deadline() {
    let config = Config::builder().close_timeout(Duration::from_millis(200)).build().unwrap();
    let (mut world, address) = World::listening(config);
    let (id, _silent) = world.open(address);
    world.event_loop.drain(Duration::ZERO).unwrap();
    let start = Instant::now();
    world.until("the drain", |world| world.event_loop.is_drained());
    assert!(start.elapsed() >= Duration::from_millis(190) && start.elapsed() < Duration::from_secs(3));
    assert!(matches!(world.closed(id).cause, Cause::Timeout(_)));
}

/// Nothing happens on the sockets: the farewells come because `next_deadline` says when.
#[test]
fn in_the_callers_poll_the_next_deadline_is_the_next_farewell() {
    const WAKER: Token = Token(0);
    let mut poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), WAKER).unwrap();
    let mut event_loop = EventLoop::in_poll(poll.registry(), 1_000, move || _ = waker.wake()).unwrap();
    let address = event_loop.listen(loopback(), Config::default(), any).unwrap();
    let mut events = Events::with_capacity(64);
    let mut turn = |event_loop: &mut EventLoop, least: Duration| {
        let wait = event_loop.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        poll.poll(&mut events, wait.map(|wait| wait + Duration::from_millis(1)).into_iter().chain([least]).min())
            .unwrap();
        for event in &events {
            event_loop.process(event);
        }
        event_loop.finish_turn(|_, _, _| {});
    };
    let mut peers: Vec<_> = (0..3).map(|_| Peer::connect(address)).collect();
    for peer in &mut peers {
        peer.send(UPGRADE);
    }
    let start = Instant::now();
    while event_loop.connections().stats().open < 3 || event_loop.next_deadline().is_none_or(|at| at <= Instant::now())
    {
        turn(&mut event_loop, Duration::from_millis(5));
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    let over = Duration::from_millis(500);
    let drained_at = Instant::now();
    event_loop.drain(over).unwrap();
    assert!(event_loop.next_deadline().unwrap() <= drained_at + over + Duration::from_millis(50));
    let mut told = 0;
    let mut turns = 0;
    while told < 3 {
        turn(&mut event_loop, Duration::from_secs(10));
        turns += 1;
        for peer in &mut peers {
            peer.receive();
            if let Some(head) = peer.inbox.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                peer.inbox.drain(..head + 4);
            }
            if let Some((0x88, _)) = peer.take_frame() {
                told += 1;
                peer.send(frame(0x88, GOING_AWAY));
                peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
            }
        }
        assert!(drained_at.elapsed() < Duration::from_secs(3), "{told} of 3");
    }
    while !event_loop.is_drained() {
        turn(&mut event_loop, Duration::from_secs(10));
        assert!(drained_at.elapsed() < Duration::from_secs(3));
    }
    assert!(turns < 100, "{turns} turns for three farewells: it spins");
    assert!(event_loop.next_deadline().is_none_or(|at| at > Instant::now()));
}
