//! Peers that do not read, and owners that do not want to.

use std::time::{Duration, Instant};

use wireroom::{Cause, Config, Deadline, Event, SendError, SendStatus};

use crate::support::{Seen, World, frame};

#[test]
fn a_peer_that_does_not_read_costs_no_more_than_the_limit_and_drains_when_it_reads() {
    let config =
        Config::builder().max_send_buffer(1 << 20).high_water_mark(256 << 10).low_water_mark(64 << 10).build().unwrap();
    let (mut world, address) = World::listening(config);
    let (id, mut peer) = world.open(address);
    let message = vec![b'm'; 100_000];
    let (mut sent, mut pressure) = (0, false);
    let error = loop {
        match world.event_loop.connections().send(id, &message) {
            Ok(status) => pressure |= status == SendStatus::Backpressure,
            Err(error) => break error,
        }
        sent += 1;
        assert!(sent < 1_000, "not bounded");
        world.turn();
        assert!(world.event_loop.connections().buffered_amount(id) <= (1 << 20) + 100_010);
    };
    assert!(matches!(error, SendError::BufferFull { limit: 1_048_576, .. }), "{error}");
    assert!(pressure && !world.seen.iter().any(|(_, seen)| matches!(seen, Seen::Drain)));
    // A loop with a blocked peer rests.
    assert!(world.rests());
    for _ in 0..sent {
        assert_eq!(world.frame(&mut peer), (0x82, message.clone()));
    }
    world.until("a drain", |world| world.seen.iter().any(|(_, seen)| matches!(seen, Seen::Drain)));
    assert_eq!(world.seen.iter().filter(|(_, seen)| matches!(seen, Seen::Drain)).count(), 1);
    assert_eq!(world.event_loop.connections().send(id, "again"), Ok(SendStatus::Queued));
}

#[test]
fn an_echo_to_a_peer_that_does_not_read_loses_nothing_and_is_bounded() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    // More than the kernel's buffers and the high-water mark together.
    let (count, payload) = (4_000_u32, vec![b'e'; 8_000]);
    let mut bytes = Vec::new();
    for n in 0..count {
        bytes.extend(frame(0x82, [&n.to_be_bytes()[..], &payload].concat()));
    }
    let (mut given, mut stalled) = (0, 0);
    while stalled < 20 {
        match std::io::Write::write(&mut peer.stream, &bytes[given..]) {
            Ok(n) => (given, stalled) = (given + n, 0),
            Err(_) => stalled += 1,
        }
        world.turn();
        let waiting = world.event_loop.connections().buffered_amount(id);
        assert!(waiting <= (256 << 10) + 8_100, "{waiting} bytes wait");
        if given == bytes.len() {
            break;
        }
    }
    assert!(given < bytes.len(), "it was never withheld");
    // Now it reads, and writes the rest.
    let mut next = 0;
    world.until("all echoes", |_| {
        if let Ok(n) = std::io::Write::write(&mut peer.stream, &bytes[given..]) {
            given += n;
        }
        peer.receive();
        while let Some((first, echoed)) = peer.take_frame() {
            assert_eq!((first, &echoed[..4], echoed.len()), (0x82, &u32::to_be_bytes(next)[..], 8_004));
            next += 1;
        }
        next == count
    });
}

#[test]
fn ten_thousand_messages_in_one_read_are_all_echoed() {
    let (mut world, address) = World::listening(Config::default());
    let (_, mut peer) = world.open(address);
    let burst: Vec<u8> = (0..10_000_u16).flat_map(|n| frame(0x82, n.to_be_bytes())).collect();
    peer.send(burst);
    for n in 0..10_000_u16 {
        assert_eq!(world.frame(&mut peer), (0x82, n.to_be_bytes().to_vec()));
    }
}

#[test]
fn a_paused_connection_hears_nothing_until_it_is_resumed() {
    let config = Config::builder()
        .keepalive_interval(Some(Duration::from_millis(50)))
        .keepalive_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let (mut world, address) = World::listening(config);
    let (id, mut peer) = world.open(address);
    world.event_loop.connections().pause(id);
    peer.send([frame(0x81, "one"), frame(0x81, "two"), frame(0x81, "three")[..4].to_vec()].concat());
    world.spend(Duration::from_millis(300));
    assert!(world.texts(id).is_empty() && peer.receive().is_empty(), "{:?}", world.seen);
    world.event_loop.connections().resume(id);
    peer.send(&frame(0x81, "three")[4..]);
    for text in ["one", "two", "three"] {
        assert_eq!(world.frame(&mut peer), (0x81, text.as_bytes().to_vec()));
    }
    // The keepalive goes on.
    assert_eq!(world.frame(&mut peer), (0x89, Vec::new()));
}

#[test]
fn a_handler_may_pause_within_a_message_and_what_came_with_it_waits() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    peer.send([frame(0x81, "one"), frame(0x81, "two"), frame(0x81, "three")].concat());
    let mut heard = Vec::new();
    for _ in 0..3 {
        world.event_loop.connections().resume(id);
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(100) {
            world.turn_with(|connections, id, event| {
                if let Event::Message(message) = event {
                    heard.push(message.as_text().unwrap_or_default().to_owned());
                    connections.pause(id);
                }
            });
        }
    }
    assert_eq!(heard, ["one", "two", "three"]);
    // Its echo is not held back by the pause.
    assert_eq!(world.frame(&mut peer), (0x81, b"one".to_vec()));
}

#[test]
fn a_blocked_peer_is_given_up_by_the_keepalive() {
    let config = Config::builder()
        .keepalive_interval(Some(Duration::from_millis(100)))
        .keepalive_timeout(Duration::from_millis(100))
        .build()
        .unwrap();
    let (mut world, address) = World::listening(config);
    let (id, _peer) = world.open(address);
    let _ = world.event_loop.connections().send(id, &vec![0; 8 << 20]).unwrap();
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Timeout(Deadline::Keepalive)), "{closed}");
    world.empty();
    assert!(world.rests());
}

#[test]
fn a_paused_connection_that_drains_rests() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    // Echoes that wait, and something to withhold behind them.
    let mut echoes = 0;
    while world.event_loop.connections().buffered_amount(id) <= 256 << 10 {
        peer.send(frame(0x82, vec![0; 64 << 10]));
        echoes += 1;
        world.spend(Duration::from_millis(2));
    }
    peer.send(frame(0x81, "withheld"));
    world.spend(Duration::from_millis(30));
    world.event_loop.connections().pause(id);
    for _ in 0..echoes {
        assert_eq!(world.frame(&mut peer), (0x82, vec![0; 64 << 10]));
    }
    assert!(world.rests());
    assert!(world.texts(id).is_empty());
    world.event_loop.connections().resume(id);
    assert_eq!(world.frame(&mut peer), (0x81, b"withheld".to_vec()));
}

#[test]
fn a_paused_connection_whose_peer_has_reset_ends() {
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    peer.send(frame(0x81, "never read"));
    world.until("the echo", |world| world.texts(id).len() == 1 && peer.stream.peek(&mut [0]).is_ok());
    world.event_loop.connections().pause(id);
    drop(peer);
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Io(_)), "{closed}");
    world.empty();
}
