//! A broadcast to many: what arrives while it is written is read, and goes along.

use std::time::{Duration, Instant};

use wireroom::{Config, ConnId, Event, PreparedMessage};

use crate::support::{PATIENCE, Peer, World, frame};

const MEMBERS: usize = 100;

/// A loop of which all peers are members; the first publishes.
fn crowd() -> (World, Vec<ConnId>, Vec<Peer<std::net::TcpStream>>) {
    crowd_with(Config::default())
}

fn crowd_with(config: Config) -> (World, Vec<ConnId>, Vec<Peer<std::net::TcpStream>>) {
    let (mut world, address) = World::listening(config);
    world.echoes = false;
    let (ids, peers) = (0..MEMBERS).map(|_| world.open(address)).unzip();
    world.spend(Duration::from_millis(20));
    (world, ids, peers)
}

#[test]
fn what_arrives_while_a_broadcast_is_written_is_in_the_same_turn_and_in_order() {
    let (mut world, ids, mut peers) = crowd();
    peers[0].send(frame(0x81, "0"));
    let mut heard = Vec::new();
    let publisher = &mut peers[0];
    world
        .event_loop
        .turn(Some(PATIENCE), |connections, id, event| {
            let Event::Message(message) = event else { return };
            assert_eq!(id, ids[0]);
            heard.push(message.as_text().unwrap().to_owned());
            connections.broadcast_prepared(&PreparedMessage::new(message));
            // It is in the loop's socket before the first write of this turn.
            if heard.len() < 4 {
                publisher.send(frame(0x81, heard.len().to_string()));
            }
        })
        .unwrap();
    assert_eq!(heard, ["0", "1", "2", "3"], "read between the writes");
    for peer in &mut peers {
        for text in &heard {
            assert_eq!(world.frame(peer), (0x81, text.clone().into_bytes()));
        }
    }
    world.spend(Duration::from_millis(20));
    assert!(peers.iter_mut().all(|peer| peer.receive().is_empty()), "each once");
}

#[test]
fn between_the_writes_of_a_turn_so_much_is_read_and_no_more() {
    let (mut world, ids, mut peers) = crowd();
    let large = vec![b'a'; 40 * 1024];
    let publisher = &mut peers[0];
    publisher.send(frame(0x82, &large));
    let mut heard = 0;
    world
        .event_loop
        .turn(Some(PATIENCE), |connections, id, event| {
            let Event::Message(message) = event else { return };
            assert_eq!((id, message.as_bytes().len()), (ids[0], large.len()));
            heard += 1;
            connections.broadcast_prepared(&PreparedMessage::new(message));
            if heard < 8 {
                publisher.send(frame(0x82, &large));
            }
        })
        .unwrap();
    // One before the writes, and between them until 64 KiB are reached.
    assert_eq!(heard, 3);
}

#[test]
fn a_wake_that_comes_while_a_broadcast_is_written_is_not_lost() {
    let (mut world, ids, mut peers) = crowd();
    let handle = world.event_loop.handle();
    peers[0].send(frame(0x81, "all"));
    world
        .event_loop
        .turn(Some(PATIENCE), |connections, _, event| {
            if let Event::Message(message) = event {
                connections.broadcast_prepared(&PreparedMessage::new(message));
                handle.send(ids[MEMBERS - 1], "one").unwrap();
            }
        })
        .unwrap();
    // The look that took the wake has carried out what it was for; no other turn comes.
    let (start, last) = (Instant::now(), &mut peers[MEMBERS - 1]);
    while last.receive().len() < 10 && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(last.receive(), b"\x81\x03all\x81\x03one");
}

#[test]
fn what_is_answered_while_a_broadcast_is_written_leaves_in_the_same_turn() {
    let (mut world, ids, mut peers) = crowd();
    peers[0].send(frame(0x81, "all"));
    let publisher = &mut peers[0];
    world
        .event_loop
        .turn(Some(PATIENCE), |connections, id, event| match event {
            Event::Message(message) if message.as_bytes() == b"all" => {
                connections.broadcast_prepared(&PreparedMessage::new(message));
                publisher.send(frame(0x81, "one"));
            }
            // Who asks stands first in the row, and has been written to.
            Event::Message(message) => _ = connections.send(id, message),
            _ => {}
        })
        .unwrap();
    assert_eq!(world.event_loop.connections().buffered_amount(ids[0]), 0);
    let (start, first) = (Instant::now(), &mut peers[0]);
    while first.receive().len() < 10 && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(first.receive(), b"\x81\x03all\x81\x03one", "no other turn comes");
}

#[test]
fn commands_that_come_while_a_broadcast_is_written_do_not_fill_the_queues_of_the_last() {
    // A turn's commands and as many between its writes have room.
    let (mut world, _, mut peers) = crowd_with(Config::builder().max_send_messages(3 * 4096).build().unwrap());
    let handle = world.event_loop.handle();
    peers[0].send(frame(0x81, "all"));
    let publisher = &mut peers[0];
    let (mut heard, mut accepted) = (0, 0);
    world
        .event_loop
        .turn(Some(PATIENCE), |connections, _, event| {
            let Event::Message(message) = event else { return };
            let message = PreparedMessage::new(message);
            connections.broadcast_prepared(&message);
            while handle.broadcast(message.clone()).is_ok() {
                accepted += 1;
            }
            heard += 1;
            publisher.send(frame(0x81, "all"));
        })
        .unwrap();
    assert!(heard > 1 && accepted >= 4096, "{heard} {accepted}");
    assert_eq!(world.event_loop.connections().stats().commands_refused, 0);
}
