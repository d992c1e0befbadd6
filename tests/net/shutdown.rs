//! Going down: nobody new, 1001 to all, and an end to those who do not go.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use wireroom::{Cause, Config, Initiator};

use crate::support::{Peer, UPGRADE, World, frame, loopback};

const GOING_AWAY: [u8; 2] = [0x03, 0xe9];

#[test]
fn all_are_told_1001_and_nobody_new_comes_in() {
    let (mut world, address) = World::listening(Config::default());
    let mut peers: Vec<_> = (0..5).map(|_| world.open(address)).collect();
    let mut pending = Peer::connect(address);
    pending.send(&UPGRADE[..20]);
    world.until("the half request", |world| world.event_loop.connections().len() == 6);
    let _ = world.event_loop.connections().send(peers[0].0, "accepted before").unwrap();
    assert!(!world.event_loop.is_shut_down());
    world.event_loop.shut_down(Duration::ZERO, Duration::from_secs(5)).unwrap();
    assert!(!world.event_loop.is_shut_down());
    let start = Instant::now();
    assert_eq!(world.frame(&mut peers[0].1), (0x81, b"accepted before".to_vec()));
    for (_, peer) in &mut peers {
        let (first, payload) = world.frame(peer);
        assert_eq!((first, &payload[..2]), (0x88, &GOING_AWAY[..]));
    }
    assert!(TcpStream::connect(address).is_err(), "still listening");
    world.end_of_stream(&mut pending);
    for (_, peer) in &mut peers {
        peer.send(frame(0x88, GOING_AWAY));
        world.end_of_stream(peer);
    }
    let ids: Vec<_> = peers.iter().map(|(id, _)| *id).collect();
    drop(peers);
    world.until("the end", |world| world.event_loop.is_shut_down());
    assert!(start.elapsed() < Duration::from_secs(3));
    for id in ids {
        let closed = world.closed(id);
        assert!(matches!(closed.cause, Cause::Clean), "{closed}");
        assert_eq!(closed.initiator, Some(Initiator::Local));
    }
    assert_eq!(world.seen.iter().filter(|(_, seen)| matches!(seen, crate::support::Seen::Closed(_))).count(), 6);
    assert!(world.rests());
}

#[test]
fn those_who_do_not_go_are_ended_at_the_deadline() {
    let (mut world, address) = World::listening(Config::default());
    let (silent, _peer) = world.open(address);
    let (blocked, _other) = world.open(address);
    let _ = world.event_loop.connections().send(blocked, &vec![0; 8 << 20]).unwrap();
    world.spend(Duration::from_millis(20));
    world.event_loop.shut_down(Duration::ZERO, Duration::from_millis(200)).unwrap();
    let start = Instant::now();
    world.until("the end", |world| world.event_loop.is_shut_down());
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(200) && took < Duration::from_secs(2), "{took:?}");
    for id in [silent, blocked] {
        let closed = world.closed(id);
        assert!(matches!(closed.cause, Cause::Aborted), "{closed}");
        assert_eq!(closed.local.as_ref().unwrap().code.unwrap().as_u16(), 1001);
    }
}

#[test]
fn the_farewells_are_spread_over_the_time_given() {
    let (mut world, address) = World::listening(Config::default());
    let mut peers: Vec<_> = (0..60).map(|_| world.open(address).1).collect();
    let over = Duration::from_millis(600);
    world.event_loop.shut_down(over, Duration::from_secs(5)).unwrap();
    let start = Instant::now();
    let mut told = Vec::new();
    world.until("60 farewells", |_| {
        for peer in &mut peers {
            if !peer.receive().is_empty() {
                peer.inbox.clear();
                told.push(start.elapsed());
                let _ = std::io::Write::write(&mut peer.stream, &frame(0x88, GOING_AWAY));
            }
        }
        told.len() >= 60
    });
    // A third of the time each holds its share; by chance alone none is empty with 60 peers.
    for third in 0..3 {
        let share = told.iter().filter(|at| **at >= over * third / 3 && **at < over * (third + 1) / 3).count();
        assert!(share > 3, "{share} of 60 in third {third}: {told:?}");
    }
    drop(peers);
    world.until("the end", |world| world.event_loop.is_shut_down());
}

#[test]
fn a_loop_without_connections_is_shut_down_at_once() {
    let mut world = World::new();
    let address = world.event_loop.listen(loopback(), Config::default(), crate::support::any).unwrap();
    world.event_loop.shut_down(Duration::ZERO, Duration::ZERO).unwrap();
    assert!(world.event_loop.is_shut_down());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn who_comes_in_after_the_farewells_is_ended_at_the_deadline_too() {
    let (mut world, address) = World::listening(Config::default());
    let mut down = World::new();
    let (id, mut peer) = world.open(address);
    down.event_loop.shut_down(Duration::ZERO, Duration::from_millis(100)).unwrap();
    down.turn();
    down.event_loop.adopt(world.event_loop.detach(id).unwrap()).unwrap();
    down.until("the end", |down| down.event_loop.is_shut_down());
    down.end_of_stream(&mut peer);
    let (id, mut peer) = world.open(address);
    down.event_loop.adopt(world.event_loop.detach(id).unwrap()).unwrap();
    down.until("the end", |down| down.event_loop.is_shut_down());
    down.end_of_stream(&mut peer);
}
