//! Every way to come to an end: exactly one `Event::Closed`, with the right cause, and no slot left behind.

use std::io::Read;
use std::{
    io::Write,
    net::Shutdown,
    time::{Duration, Instant},
};

use wireroom::{Cause, CloseCode, Config, Deadline, Event, Initiator, ProtocolError};

use crate::support::{PATIENCE, Peer, UPGRADE, World, frame};

type IsExpected = fn(&ProtocolError) -> bool;

fn quick() -> Config {
    Config::builder()
        .close_timeout(Duration::from_millis(150))
        .handshake_timeout(Duration::from_millis(150))
        .build()
        .unwrap()
}

#[test]
fn a_peer_that_vanishes_is_eof() {
    let (mut world, address) = World::listening(Config::default());
    let (id, peer) = world.open(address);
    drop(peer);
    assert!(matches!(world.closed(id).cause, Cause::Eof));
    world.empty();
    // In the middle of a frame it is the same.
    let (id, mut peer) = world.open(address);
    peer.send(&frame(0x81, "hello")[..4]);
    drop(peer);
    assert!(matches!(world.closed(id).cause, Cause::Eof));
    world.empty();
}

#[test]
fn a_reset_is_a_fault_of_the_transport() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    peer.send(frame(0x81, "never read"));
    world.until("the echo", |world| world.texts(id).len() == 1 && peer.stream.peek(&mut [0]).is_ok_and(|n| n == 1));
    // A close with unread bytes sends RST.
    drop(peer);
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Io(std::io::ErrorKind::ConnectionReset)), "{closed}");
    world.empty();
    assert!(world.rests());
}

#[test]
fn a_reset_while_output_is_blocked_ends_once_and_leaves_no_slot() {
    let (mut world, address) = World::listening(Config::default());
    for messages in [1, 3] {
        let (id, peer) = world.open(address);
        for _ in 0..messages {
            let _ = world.event_loop.connections().send(id, &vec![0; 8 << 20]);
        }
        world.spend(Duration::from_millis(30));
        assert!(world.event_loop.connections().buffered_amount(id) > 0);
        drop(peer);
        let closed = world.closed(id);
        assert!(matches!(closed.cause, Cause::Io(_)), "{closed}");
        world.empty();
        assert!(world.rests());
    }
}

#[test]
fn a_reset_of_a_peer_that_closes_does_not_end_it_twice() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    let _ = world.event_loop.connections().send(id, &vec![0; 8 << 20]).unwrap();
    world.spend(Duration::from_millis(20));
    peer.send(frame(0x88, b"\x03\xe8"));
    world.spend(Duration::from_millis(20));
    drop(peer);
    world.closed(id);
    world.empty();
    assert!(world.rests());
}

#[test]
fn a_broken_frame_is_answered_with_its_code_and_fails() {
    let big = Config::builder().max_message_size(1_000).build().unwrap();
    let cases: [(Vec<u8>, u16, IsExpected); 4] = [
        (b"\x81\x01x".to_vec(), 1002, |error| *error == ProtocolError::UnmaskedFrame),
        (frame(0x81, b"\xff\xfe"), 1007, |error| *error == ProtocolError::InvalidUtf8),
        (b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff".to_vec(), 1009, |error| {
            matches!(error, ProtocolError::MessageTooBig { limit: 1_000 })
        }),
        (frame(0x80, ""), 1002, |error| *error == ProtocolError::UnexpectedContinuation),
    ];
    let (mut world, address) = World::listening(big);
    for (bytes, code, expected) in cases {
        let (id, mut peer) = world.open(address);
        peer.send([bytes, vec![0; 100_000]].concat());
        let (first, payload) = world.frame(&mut peer);
        assert_eq!((first, &payload[..2]), (0x88, &code.to_be_bytes()[..]));
        world.end_of_stream(&mut peer);
        assert_eq!(peer.error, None, "a reset could have destroyed the Close frame");
        drop(peer);
        let closed = world.closed(id);
        assert!(matches!(&closed.cause, Cause::Failed(error) if expected(error)), "{closed}");
        world.empty();
    }
}

#[test]
fn an_unanswered_close_ends_at_the_deadline() {
    let (mut world, address) = World::listening(quick());
    let (id, mut peer) = world.open(address);
    let start = Instant::now();
    world.event_loop.connections().close(id, CloseCode::NORMAL, "bye");
    world.event_loop.connections().close(id, CloseCode::GOING_AWAY, "twice");
    assert_eq!(world.frame(&mut peer), (0x88, b"\x03\xe8bye".to_vec()));
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Timeout(Deadline::Close)), "{closed}");
    assert_eq!(closed.initiator, Some(Initiator::Local));
    assert!(start.elapsed() >= Duration::from_millis(150));
    world.empty();
    world.end_of_stream(&mut peer);
}

#[test]
fn a_peer_that_does_not_close_tcp_is_let_go_at_the_deadline() {
    let (mut world, address) = World::listening(quick());
    let (id, mut peer) = world.open(address);
    peer.send(frame(0x88, b"\x0f\xa0"));
    assert_eq!(world.frame(&mut peer), (0x88, b"\x0f\xa0".to_vec()));
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Clean), "{closed}");
    assert_eq!(closed.initiator, Some(Initiator::Peer));
    world.empty();
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up_with_1011() {
    let config = Config::builder()
        .keepalive_interval(Some(Duration::from_millis(100)))
        .keepalive_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let (mut world, address) = World::listening(config);
    let (id, mut peer) = world.open(address);
    for _ in 0..3 {
        assert_eq!(world.frame(&mut peer), (0x89, Vec::new()));
        peer.send(frame(0x8a, ""));
    }
    assert_eq!(world.frame(&mut peer), (0x89, Vec::new()));
    let (first, payload) = world.frame(&mut peer);
    assert_eq!((first, &payload[..2]), (0x88, &1011_u16.to_be_bytes()[..]));
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Timeout(Deadline::Keepalive)), "{closed}");
    world.empty();
    assert!(world.rests());
}

/// The loop has one buffer for all: what came of others must not count as a sign of life.
#[test]
fn the_bytes_of_others_do_not_keep_a_dead_peer_alive() {
    let config = Config::builder()
        .keepalive_interval(Some(Duration::from_millis(100)))
        .keepalive_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let (mut world, address) = World::listening(config);
    let (id, _dead) = world.open(address);
    let mut asks = Peer::connect(address);
    let start = Instant::now();
    while world.ends(id) == 0 {
        assert!(start.elapsed() < Duration::from_secs(2), "it is alive by the requests of another");
        // Plain HTTP: these bytes are no WebSocket's.
        if asks.stream.write_all(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n").is_err() || asks.ended {
            asks = Peer::connect(address);
        }
        asks.receive();
        world.turn();
    }
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Timeout(Deadline::Keepalive)), "{closed}");
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let config = Config::builder()
        .keepalive_interval(Some(Duration::from_millis(150)))
        .keepalive_timeout(Duration::from_millis(150))
        .build()
        .unwrap();
    let (mut world, address) = World::listening(config);
    let (id, mut peer) = world.open(address);
    for byte in frame(0x81, "slow but alive") {
        peer.send([byte]);
        world.spend(Duration::from_millis(50));
    }
    assert_eq!(world.texts(id), ["slow but alive"]);
    assert!(!peer.receive().contains(&0x89), "it was pinged");
}

#[test]
fn an_idle_connection_is_closed_with_1001() {
    let config = Config::builder().idle_timeout(Some(Duration::from_millis(100))).build().unwrap();
    let (mut world, address) = World::listening(config);
    let (id, mut peer) = world.open(address);
    let (first, payload) = world.frame(&mut peer);
    assert_eq!((first, &payload[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    peer.send(frame(0x88, b"\x03\xe9"));
    assert!(matches!(world.closed(id).cause, Cause::Clean));
}

#[test]
fn an_abort_ends_it_at_once_in_any_phase() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    let _ = world.event_loop.connections().send(id, "lost").unwrap();
    world.event_loop.connections().abort(id);
    world.event_loop.connections().abort(id);
    assert!(matches!(world.closed(id).cause, Cause::Aborted));
    world.end_of_stream(&mut peer);
    let (id, mut peer) = world.open(address);
    world.event_loop.connections().close(id, CloseCode::NORMAL, "");
    world.event_loop.connections().abort(id);
    assert!(matches!(world.closed(id).cause, Cause::Aborted));
    world.end_of_stream(&mut peer);
    world.empty();
}

#[test]
fn a_handler_may_end_others_and_itself() {
    let (mut world, address) = World::listening(Config::default());
    let (first, mut a) = world.open(address);
    let (second, mut b) = world.open(address);
    let (third, mut c) = world.open(address);
    a.send(frame(0x81, "all"));
    let start = Instant::now();
    while !world.event_loop.connections().is_empty() && start.elapsed() < PATIENCE {
        world.turn_with(|connections, id, event| match event {
            Event::Message(_) => [second, third, first].into_iter().for_each(|id| connections.abort(id)),
            Event::Closed(_) => assert!(!connections.is_open(id)),
            _ => {}
        });
    }
    for id in [first, second, third] {
        assert!(matches!(world.closed(id).cause, Cause::Aborted));
    }
    for peer in [&mut a, &mut b, &mut c] {
        world.end_of_stream(peer);
    }
    world.empty();
}

#[test]
fn what_ends_before_it_opened_is_told_too() {
    let (mut world, address) = World::listening(quick());
    // Nothing at all, half a head and then silence, half a head and then the end, a reset.
    let silent = Peer::connect(address);
    let mut slow = Peer::connect(address);
    slow.send(&UPGRADE[..40]);
    let mut gone = Peer::connect(address);
    gone.send(&UPGRADE[..40]);
    gone.stream.shutdown(Shutdown::Write).unwrap();
    world.until("408", |_| slow.receive().starts_with(b"HTTP/1.1 408 "));
    drop((silent, slow, gone));
    world.empty();
    assert_eq!(world.seen.len(), 3, "{:?}", world.seen);
    for (id, seen) in &world.seen {
        let crate::support::Seen::Closed(closed) = seen else { panic!("{id}: {seen:?}") };
        assert!(matches!(closed.cause, Cause::Handshake(_)), "{closed}");
    }
    assert_eq!(world.event_loop.connections().stats().unopened, 3);
    assert!(world.rests());
}

#[test]
fn a_peer_that_closes_and_ends_its_side_still_gets_what_waits() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    let message = vec![b'm'; 12 << 20];
    let _ = world.event_loop.connections().send(id, &message).unwrap();
    world.spend(Duration::from_millis(20));
    peer.send(frame(0x88, b"\x03\xe8"));
    peer.stream.shutdown(Shutdown::Write).unwrap();
    world.spend(Duration::from_millis(50));
    assert_eq!(world.ends(id), 0);
    assert!(world.rests());
    assert!(world.frame(&mut peer) == (0x82, message));
    assert_eq!(world.frame(&mut peer), (0x88, b"\x03\xe8".to_vec()));
    world.end_of_stream(&mut peer);
    assert!(matches!(world.closed(id).cause, Cause::Clean));
    world.empty();
}

/// The message, our Close and the end of the stream, without a reset.
fn arrives_whole(world: &mut World, mut peer: Peer<std::net::TcpStream>, message: Vec<u8>) {
    assert_eq!(world.frame(&mut peer), (0x82, message));
    assert_eq!(world.frame(&mut peer), (0x88, b"\x03\xe8".to_vec()));
    world.end_of_stream(&mut peer);
    assert_eq!(peer.error, None);
    drop(peer);
    world.empty();
}

#[test]
fn section_5_5_2_a_pong_behind_the_peers_close_destroys_nothing() {
    for size in [10, 1 << 20] {
        let (mut world, address) = World::listening(Config::default());
        let (id, mut peer) = world.open(address);
        // The peer has not seen our Ping when it closes, so it has to answer it all the same: its Close is not the last of it.
        let message = vec![7; size];
        let connections = world.event_loop.connections();
        let _ = connections.ping(id, b"?").unwrap();
        let _ = connections.send(id, &message).unwrap();
        peer.send(frame(0x88, b"\x03\xe8"));
        assert!(matches!(world.closed(id).cause, Cause::Clean));
        let mut ping = [0; 3];
        peer.stream.read_exact(&mut ping).unwrap();
        assert_eq!(&ping, b"\x89\x01?");
        for _ in 0..2 {
            // A second one would be refused after a reset.
            peer.send(frame(0x8A, b"?"));
            world.spend(Duration::from_millis(10));
        }
        arrives_whole(&mut world, peer, message);
    }
}

#[test]
fn section_5_5_3_a_pong_that_nobody_asked_for_destroys_nothing_behind_the_peers_close() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    let large = vec![7; 1 << 20];
    let _ = world.event_loop.connections().send(id, &large).unwrap();
    peer.send(frame(0x88, b"\x03\xe8"));
    assert!(matches!(world.closed(id).cause, Cause::Clean));
    peer.send(frame(0x8A, b"a heartbeat"));
    arrives_whole(&mut world, peer, large);
}

#[test]
fn where_little_was_sent_the_server_does_not_linger() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    peer.send(frame(0x81, b"hi"));
    assert_eq!(world.frame(&mut peer), (0x81, b"hi".to_vec()));
    peer.send(frame(0x88, b"\x03\xe8"));
    assert!(matches!(world.closed(id).cause, Cause::Clean));
    assert!(world.event_loop.connections().is_empty(), "the peer has not closed its side");
    assert_eq!(world.frame(&mut peer), (0x88, b"\x03\xe8".to_vec()));
    world.end_of_stream(&mut peer);
}
