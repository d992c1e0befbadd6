//! What the loop counts, and the frames that it watches.

use wireroom::{Config, ConnId, Direction, Event, Kind, WatchedFrame, frame::Opcode};

use crate::support::{PATIENCE, Peer, UPGRADE, World, frame};

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
