//! Accepting when there are no descriptors, and nothing left behind. Both are counted per process, so each of these
//! tests runs again in one of its own.

#![cfg(target_os = "linux")]

use std::{
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use wireroom::Config;

use crate::support::{PATIENCE, Peer, World, alone, descriptors, frame, is_alone};

#[test]
fn no_connection_leaves_anything_behind() {
    if !is_alone() {
        return alone("accept::no_connection_leaves_anything_behind", "").succeeds();
    }
    let (mut world, address) = World::listening(Config::default());
    world.open(address);
    world.empty();
    let before = descriptors();
    for round in 0..2_000 {
        let (_, mut peer) = world.open(address);
        match round % 4 {
            0 => {
                peer.send(frame(0x88, b"\x03\xe8"));
                world.end_of_stream(&mut peer);
            }
            1 => peer.send(frame(0x81, "hello")),
            2 => peer.send(b"\x81\x01x"),
            _ => {}
        }
        drop(peer);
        world.seen.clear();
        if round % 50 == 0 {
            world.empty();
        }
    }
    world.empty();
    assert_eq!(descriptors(), before);
    // Slots are used again: the newest one is among the first.
    assert!(world.open(address).0.index() < 60);
    let stats = world.event_loop.connections().stats();
    assert_eq!((stats.accepted, stats.connections), (2_002, 1));
}

#[test]
fn accepting_survives_a_lack_of_descriptors_without_spinning() {
    if is_alone() {
        return serve_until_told();
    }
    let mut child = alone("accept::accepting_survives_a_lack_of_descriptors_without_spinning", "ulimit -n 24;");
    let mut said = BufReader::new(child.0.stdout.take().unwrap());
    let address: SocketAddr = loop {
        let mut line = String::new();
        assert!(said.read_line(&mut line).unwrap() > 0, "the child did not listen");
        // The test harness may have begun the line.
        if let Some((_, address)) = line.split_once("listening on ") {
            break address.trim().parse().unwrap();
        }
    };
    // More than it has descriptors for: the rest waits in the backlog.
    let mut peers: Vec<Peer<TcpStream>> = (0..40).map(|_| Peer::connect(address)).collect();
    peers.iter_mut().for_each(|peer| peer.send(crate::support::UPGRADE));
    let answered = |peers: &mut [Peer<TcpStream>]| {
        let mut count = 0;
        peers.iter_mut().for_each(|peer| count += usize::from(!peer.receive().is_empty()));
        count
    };
    std::thread::sleep(Duration::from_millis(500));
    let first = answered(&mut peers);
    assert!(first > 0 && first < 40, "{first} were served");
    let before = cpu_ticks(child.0.id());
    std::thread::sleep(Duration::from_secs(1));
    let spent = cpu_ticks(child.0.id()) - before;
    assert!(spent <= 10, "{spent} hundredths of a second in one second");
    // Relief: those who were served go, and the others get their turn.
    peers.retain_mut(|peer| peer.receive().is_empty());
    let waiting = peers.len();
    let start = Instant::now();
    while answered(&mut peers) < waiting.min(first) {
        assert!(start.elapsed() < PATIENCE, "{} of {waiting}", answered(&mut peers));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// The child's part: an echo server, until it is killed or nobody comes any more.
fn serve_until_told() {
    let (mut world, address) = World::listening(Config::default());
    println!("listening on {address}");
    let start = Instant::now();
    while start.elapsed() < 3 * PATIENCE {
        world.event_loop.turn(Some(PATIENCE), |_, _, _| {}).unwrap();
    }
}

/// Processor time of a process in hundredths of a second.
fn cpu_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
