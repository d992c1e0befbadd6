//! What the loop counts, and the frames that it watches.

use std::{
    net::{Shutdown, TcpListener},
    time::Duration,
};

use wireroom::{
    CloseCode, Config, ConnId, Direction, Event, Kind, SlowConsumer, WatchedFrame, frame::Opcode,
    handshake::ClientRequest,
};

use crate::support::{PATIENCE, Peer, Seen, UPGRADE, World, frame, loopback};

#[test]
fn every_whole_message_that_was_accepted_counts_once_for_each_recipient() {
    let config = Config::builder().max_send_buffer(1 << 20).build().unwrap();
    let (mut world, address) = World::listening(config);
    let mut peers: Vec<_> = (0..3).map(|_| world.open(address)).collect();
    let id = peers[0].0;
    let sent = |world: &mut World| world.event_loop.connections().stats().messages_sent;
    assert_eq!(sent(&mut world), 0);
    let connections = world.event_loop.connections();
    let _ = connections.send(id, "one").unwrap();
    let _ = connections.send_bytes(id, Kind::Binary, bytes::Bytes::from(vec![0; 10_000])).unwrap();
    let _ = connections.send_prepared(id, &"prepared".into()).unwrap();
    let _ = connections.ping(id, b"no message").unwrap();
    assert_eq!(sent(&mut world), 3);
    // In fragments: when it is whole, wherever its writers were.
    let _ = world.event_loop.connections().writer(id, Kind::Text).unwrap().write(b"frag").unwrap();
    assert_eq!(sent(&mut world), 3);
    assert!(world.event_loop.connections().send(id, "not between fragments").is_err());
    let _ = world.event_loop.connections().writer(id, Kind::Text).unwrap().finish().unwrap();
    assert_eq!(sent(&mut world), 4);
    assert_eq!(world.event_loop.connections().broadcast("to all"), (3, 0));
    assert_eq!(sent(&mut world), 7);
    let handle = world.event_loop.handle();
    handle.broadcast("to all").unwrap();
    handle.send(id, "to one").unwrap();
    peers[0].1.send(frame(0x81, "echo"));
    world.until("the commands and the echo", |world| sent(world) == 12);
    // What was refused does not count.
    while world.event_loop.connections().send(id, &vec![0; 100_000]).is_ok() {}
    let before = sent(&mut world);
    assert!(world.event_loop.connections().send(id, "full").is_err());
    let (gone, _) = peers.pop().unwrap();
    world.closed(gone);
    assert!(world.event_loop.connections().send(gone, "nobody").is_err());
    assert_eq!(sent(&mut world), before);
}

#[test]
fn turns_and_waiting_bytes_are_counted() {
    let (mut world, address) = World::listening(Config::default());
    let (id, _peer) = world.open(address);
    let before = world.event_loop.connections().stats();
    assert_eq!(before.buffered_amount, 0);
    for _ in 0..3 {
        world.turn();
    }
    let _ = world.event_loop.connections().send(id, &[0; 1_000]).unwrap();
    let after = world.event_loop.connections().stats();
    assert_eq!((after.turns - before.turns, after.buffered_amount, after.open), (3, 1_004, 1));
}

/// From the first frame to the last: watched in the arm of `Open`, polled for the last time in the arm of `Closed`.
#[test]
fn the_frames_of_a_connection_are_watched_from_open_to_closed() {
    let (mut world, address) = World::listening(Config::default());
    let (other, _peer) = world.open(address);
    let mut peer = Peer::connect(address);
    peer.send(UPGRADE);
    peer.send(frame(0x81, "right behind the request"));
    let (mut watched, mut frames, mut over) = (None::<ConnId>, Vec::<WatchedFrame>::new(), false);
    let start = std::time::Instant::now();
    while !over {
        assert!(start.elapsed() < PATIENCE);
        world.turn_with(|connections, id, event| match event {
            Event::Open => {
                assert!(connections.watch_frames(id, 256));
                watched = Some(id);
            }
            Event::Closed(_) => {
                frames.extend(std::iter::from_fn(|| connections.poll_frame(id)));
                over = true;
            }
            _ => {}
        });
        if peer.receive().ends_with(b"request") {
            peer.inbox.clear();
            peer.send(frame(0x88, [0x03, 0xe8]));
        }
    }
    let rows: Vec<_> = frames.iter().map(|frame| (frame.direction, frame.header.opcode, frame.start())).collect();
    use {Direction::*, Opcode::*};
    let start = &b"right behind the"[..];
    assert_eq!(
        rows,
        [
            (Received, Text, start),
            (Sent, Text, start),
            (Received, Close, &[0x03, 0xe8][..]),
            (Sent, Close, &[0x03, 0xe8][..])
        ]
    );
    drop(peer);
    let gone = watched.unwrap();
    world.until("its end", |world| world.event_loop.connections().len() == 1);
    let connections = world.event_loop.connections();
    assert!(!connections.watch_frames(gone, 256));
    assert_eq!((connections.poll_frame(gone), connections.frames_missed(gone)), (None, 0));
    assert_eq!((connections.poll_frame(other), connections.frames_missed(other)), (None, 0));
    assert!(connections.watch_frames(other, 1));
    for _ in 0..3 {
        let _ = connections.send(other, "text").unwrap();
    }
    assert_eq!(connections.frames_missed(other), 2);
}

#[test]
fn frames_pings_and_closes_are_counted_in_both_directions() {
    let (mut world, address) = World::listening(Config::default());
    world.echoes = false;
    let (id, mut peer) = world.open(address);
    peer.send(frame(0x81, "whole"));
    peer.send(frame(0x01, "in"));
    peer.send(frame(0x89, "ping"));
    peer.send(frame(0x00, "three"));
    peer.send(frame(0x80, ""));
    peer.send(frame(0x8a, "unasked"));
    world.until("all", |world| world.event_loop.connections().stats().pongs_received == 1);
    let stats = world.event_loop.connections().stats();
    assert_eq!((stats.messages_received, stats.frames_received), (2, 6));
    assert_eq!((stats.pings_received, stats.pongs_sent, stats.frames_sent), (1, 1, 1));
    let connections = world.event_loop.connections();
    let _ = connections.send(id, "one").unwrap();
    let _ = connections.ping(id, b"").unwrap();
    let _ = connections.measure_round_trip(id).unwrap();
    let mut writer = connections.writer(id, Kind::Text).unwrap();
    let _ = writer.write(b"two ").unwrap();
    let _ = writer.write(b"in three").unwrap();
    let _ = writer.finish().unwrap();
    connections.close(id, CloseCode::NORMAL, "");
    // A Pong, a message, two Pings, three fragments; the Close counts when it is over.
    let stats = world.event_loop.connections().stats();
    assert_eq!((stats.messages_sent, stats.pings_sent, stats.frames_sent), (2, 2, 7));
    peer.send(frame(0x88, b"\x0b\xb8"));
    world.end_of_stream(&mut peer);
    world.closed(id);
    let stats = world.event_loop.connections().stats();
    assert_eq!((stats.frames_sent, stats.frames_received), (8, 7));
    assert_eq!((stats.closes_sent.of(1000), stats.closes_received.others(), stats.causes.clean), (1, 1, 1));
}

#[test]
fn ends_are_counted_by_code_and_cause() {
    let config = Config::builder()
        .close_timeout(Duration::from_millis(100))
        .keepalive_interval(Some(Duration::from_millis(100)))
        .keepalive_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let (mut world, address) = World::listening(config);
    // Told apart by how they end.
    let (_, vanishes) = world.open(address);
    drop(vanishes);
    world.next_closed();
    let (_, mut breaks) = world.open(address);
    breaks.send([0xff]);
    world.next_closed();
    let (_, mut without_code) = world.open(address);
    without_code.send(frame(0x88, ""));
    world.next_closed();
    let (id, _aborted) = world.open(address);
    world.event_loop.connections().abort(id);
    world.closed(id);
    let (id, _silent) = world.open(address);
    world.closed(id);
    let (id, _unanswered) = world.open(address);
    world.event_loop.connections().close(id, CloseCode::GOING_AWAY, "");
    world.closed(id);
    let stats = world.event_loop.connections().stats();
    let causes = stats.causes;
    assert_eq!((causes.eof, causes.failed, causes.clean, causes.aborted), (1, 1, 1, 1), "{causes:?}");
    assert_eq!((causes.keepalive, causes.close_timeout, causes.handshake, causes.io), (1, 1, 0, 0), "{causes:?}");
    let ours = stats.closes_sent;
    assert_eq!([1001, 1002, 1005, 1006, 1011].map(|code| ours.of(code)), [1, 1, 1, 2, 1], "{ours:?}");
    assert_eq!((stats.closes_received.of(1005), stats.closes_received.of(1006)), (1, 5));
    assert_eq!(stats.pings_sent, 1);
}

#[test]
fn opening_handshakes_that_fail_are_counted_by_reason() {
    let config = Config::builder().handshake_timeout(Duration::from_millis(100)).build().unwrap();
    let (mut world, address) = World::listening(config.clone());
    let mut slow = Peer::connect(address);
    slow.send("GET /");
    world.end_of_stream(&mut slow);
    drop(slow);
    let gone = Peer::connect(address);
    gone.stream.shutdown(Shutdown::Write).unwrap();
    let unanswered = TcpListener::bind(loopback()).unwrap();
    let request = || ClientRequest::new("ws://localhost/").unwrap();
    world.event_loop.connect(unanswered.local_addr().unwrap(), request(), config).unwrap();
    let refuses = TcpListener::bind(loopback()).unwrap();
    world.event_loop.connect(refuses.local_addr().unwrap(), request(), Config::default()).unwrap();
    let mut server = Peer::new(refuses.accept().unwrap().0);
    server.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let mut teapot = Peer::connect(address);
    teapot.send("GET / HTTP/1.1\r\n\r\n");
    drop(teapot);
    let ends = |world: &World| world.seen.iter().filter(|(_, seen)| matches!(seen, Seen::Closed(_))).count();
    world.until("five ends", |world| ends(world) == 5);
    let stats = world.event_loop.connections().stats();
    assert_eq!((stats.handshakes_timed_out, stats.handshakes_cut_off, stats.handshakes_failed), (2, 1, 1), "{stats:?}");
    assert_eq!((stats.handshakes_refused.of(400), stats.handshakes_refused.total()), (1, 1));
    assert_eq!((stats.causes.handshake, stats.unopened), (5, 5));
}

#[test]
fn the_high_water_and_what_was_dropped_are_counted() {
    let config = Config::builder()
        .low_water_mark(1_000)
        .high_water_mark(100_000)
        .max_send_buffer(1 << 20)
        .slow_consumer(SlowConsumer::DropNewest)
        .statistics(true)
        .build()
        .unwrap();
    let (mut world, address) = World::listening(config);
    let (id, _stalled) = world.open(address);
    let mut dropped = 0;
    for _ in 0..200 {
        let status = world.event_loop.connections().send(id, &vec![0; 100_000]).unwrap();
        dropped += u64::from(status == wireroom::SendStatus::Dropped);
        world.event_loop.flush();
    }
    assert!(dropped > 0);
    world.until("the event", |world| world.event_loop.connections().stats().dropped_newest == dropped);
    let stats = world.event_loop.connections().stats();
    assert!(stats.send_buffer_high_water > 1 << 20, "{stats:?}");
    assert_eq!(stats.messages_sent + dropped, 200);
    // The same, of the connection itself.
    let own = world.event_loop.connections().stats_of(id).unwrap();
    assert_eq!((own.dropped_newest, own.messages_sent, own.bytes_sent > 0), (dropped, stats.messages_sent, true));
}

#[test]
fn the_round_trip_of_a_connection_is_measured_over_its_socket() {
    let (mut world, address) = World::listening(Config::builder().statistics(true).build().unwrap());
    let (id, mut peer) = world.open(address);
    let _ = world.event_loop.connections().measure_round_trip(id).unwrap();
    let (first, payload) = world.frame(&mut peer);
    assert_eq!((first, payload.len()), (0x89, 4));
    std::thread::sleep(Duration::from_millis(50));
    peer.send(frame(0x8a, payload));
    let round_trip = |world: &mut World| world.event_loop.connections().stats_of(id).unwrap().round_trip;
    world.until("the pong", |world| round_trip(world).is_some());
    let took = round_trip(&mut world).unwrap();
    assert!(took >= Duration::from_millis(50) && took < PATIENCE, "{took:?}");
    assert!(world.event_loop.connections().measure_round_trip(id).is_ok());
}
