//! Large messages: their storage goes round, and one that is sent on as it came is not copied. Nobody may notice but the
//! clock.

use std::{net::TcpStream, time::Duration};

use wireroom::{Config, Event, Kind, Message};

use super::support::*;

/// Text of about `length` bytes, cut between characters, and binary of exactly so many; each is like no other.
fn payload(kind: Kind, length: usize, salt: usize) -> Vec<u8> {
    match kind {
        Kind::Text => (0..length / 5).flat_map(|n| format!("é{:03}", (n * 7 + salt) % 1000).into_bytes()).collect(),
        Kind::Binary => (0..length).map(|n| ((n * 31 + n / 251 + salt * 17) % 256) as u8).collect(),
    }
}

fn opcode(kind: Kind) -> u8 {
    if kind == Kind::Text { 1 } else { 2 }
}

/// In fragments of `size` bytes with a Ping between them.
fn fragments(kind: Kind, payload: &[u8], size: usize) -> Vec<u8> {
    let count = payload.len().div_ceil(size);
    let mut bytes = Vec::new();
    for (n, part) in payload.chunks(size).enumerate() {
        let first = if n == 0 { opcode(kind) } else { 0 } | if n + 1 == count { 0x80 } else { 0 };
        bytes.extend(frame(first, part));
        bytes.extend(frame(0x89, b"between"));
    }
    bytes
}

/// Writes bit by bit, with turns in between: the kernel holds less than a message.
fn send_and_receive(world: &mut World, peers: &mut [(Peer<TcpStream>, Vec<u8>)], expected: &[Vec<(u8, Vec<u8>)>]) {
    let mut received = vec![Vec::new(); peers.len()];
    world.until("all that was sent", |_| {
        for ((peer, unsent), received) in peers.iter_mut().zip(&mut received) {
            let taken = peer.send_some(&unsent[..unsent.len().min(100_000)]);
            unsent.drain(..taken);
            peer.receive();
            received.extend(std::iter::from_fn(|| peer.take_frame()).filter(|(first, _)| *first != 0x8a));
        }
        received.iter().zip(expected).all(|(received, expected)| received.len() >= expected.len())
    });
    for (received, expected) in received.iter().zip(expected) {
        for (received, expected) in received.iter().zip(expected) {
            assert_eq!((received.0, received.1.len()), (expected.0, expected.1.len()));
            assert!(received.1 == expected.1, "{} bytes are not those that were sent", expected.1.len());
        }
        assert_eq!(received.len(), expected.len());
    }
}

#[test]
fn they_come_back_equal_whole_and_in_fragments_from_several_at_once() {
    let config = Config::builder().max_send_buffer(64 << 20).high_water_mark(32 << 20).build().unwrap();
    let (mut world, address) = World::listening(config);
    let mut peers = Vec::new();
    let mut expected = Vec::new();
    for number in 0..3 {
        let (_, peer) = world.open(address);
        let (mut bytes, mut frames) = (Vec::new(), Vec::new());
        for length in [65_535, 65_536, 300_000, 100, 1 << 20] {
            for kind in [Kind::Text, Kind::Binary] {
                let payload = payload(kind, length, number + length);
                match (length + number) % 2 {
                    0 => bytes.extend(frame(0x80 | opcode(kind), &payload)),
                    _ => bytes.extend(fragments(kind, &payload, 16_384 + number)),
                }
                frames.push((0x80 | opcode(kind), payload));
            }
        }
        peers.push((peer, bytes));
        expected.push(frames);
    }
    send_and_receive(&mut world, &mut peers, &expected);
    // A second time, with storage that has gone round.
    for (number, (_, unsent)) in peers.iter_mut().enumerate() {
        *unsent = expected[number].iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
    }
    send_and_receive(&mut world, &mut peers, &expected);
}

#[test]
fn a_part_of_one_and_several_copies_can_be_sent_on() {
    let (mut world, address) = World::listening(Config::builder().max_send_buffer(64 << 20).build().unwrap());
    world.echoes = false;
    let (id, mut peer) = world.open(address);
    let (other_id, mut other) = world.open(address);
    let text = payload(Kind::Text, 1 << 20, 1);
    let mut unsent = frame(0x81, &text);
    let mut sent_on = false;
    let patience = std::time::Instant::now();
    while !sent_on {
        assert!(patience.elapsed() < PATIENCE);
        let taken = peer.send_some(&unsent);
        unsent.drain(..taken);
        world.turn_with(|connections, from, event| {
            if let Event::Message(message) = event {
                assert_eq!(from, id);
                let bytes = message.as_bytes();
                let _ = connections.send(other_id, *message).unwrap();
                // A part of a text may end within a character: that is binary.
                let _ = connections.send(other_id, Message::Binary(&bytes[1..bytes.len() - 1])).unwrap();
                let _ = connections.send(id, "small").unwrap();
                let _ = connections.send(other_id, Message::Binary(&bytes[..100])).unwrap();
                sent_on = true;
            }
        });
    }
    assert_eq!(world.frame(&mut peer), (0x81, b"small".to_vec()));
    for expected in [(0x81, &text[..]), (0x82, &text[1..text.len() - 1]), (0x82, &text[..100])] {
        let (first, payload) = world.frame(&mut other);
        assert_eq!((first, payload.len()), (expected.0, expected.1.len()));
        assert!(payload == expected.1);
    }
}

/// A reader that stalls keeps what it has not taken, also when the storage of others goes round and is given back.
#[test]
fn what_waits_for_a_slow_reader_stays_as_it_was() {
    let (mut world, address) = World::listening(Config::default());
    let (_, mut slow) = world.open(address);
    let (_, quick) = world.open(address);
    // More than both kernels hold of it.
    let large = payload(Kind::Binary, 8 << 20, 3);
    let mut unsent = frame(0x82, &large);
    world.until("the slow one's message", |_| {
        let taken = slow.send_some(&unsent);
        unsent.drain(..taken);
        unsent.is_empty()
    });
    let messages: Vec<_> = (0..4).map(|n| (0x82, payload(Kind::Binary, 1 << 20, n))).collect();
    let bytes = messages.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
    send_and_receive(&mut world, &mut [(quick, bytes)], &[messages]);
    world.spend(Duration::from_millis(1200));
    let (first, payload) = world.frame(&mut slow);
    assert_eq!((first, payload.len()), (0x82, large.len()));
    assert!(payload == large);
}
