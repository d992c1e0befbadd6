//! Promise 8, its second half: connections on which nothing happens cost nothing.

use std::{thread, time::Duration};

use crate::{
    figures::below,
    peer::{BINARY, PING, Peer, frame, header, upgrade},
    testee::Echo,
};

const COUNT: usize = 200;

/// Holds the load of the testee below 1 % for three seconds, while it has these 200.
fn rests(echo: &Echo, what: &str, peers: &[Peer]) {
    // What is still under way settles.
    thread::sleep(Duration::from_millis(500));
    let held = || echo.stat("connections").unwrap().parse::<usize>().unwrap();
    assert!(held() >= COUNT && peers.len() == COUNT, "{what}: {} are held", held());
    let load = echo.testee.load(1.0);
    let queued = echo.stat("buffered_amount").unwrap().parse::<usize>().unwrap() / COUNT;
    below(8, &format!("{COUNT} connections, {what}, {queued} bytes queued for each"), load, 1.0, "% CPU");
    assert!(held() >= COUNT, "{what}: some have gone");
}

fn two_hundred(bring: impl FnMut(usize) -> Peer) -> Vec<Peer> {
    (0..COUNT).map(bring).collect()
}

/// The statistics that this needs cost a thousandth.
fn echo() -> Echo {
    let long = ["--handshake-timeout", "60", "--close-timeout", "60", "--keepalive-interval", "600"];
    Echo::start(&[&["--stats", "0.2"], &long[..]].concat())
}

#[test]
fn idle_connections_cost_nothing() {
    let echo = echo();
    rests(&echo, "idle", &two_hundred(|_| Peer::open(echo.address, "/")));
    let in_a_request = two_hundred(|_| {
        let mut peer = Peer::connect(echo.address);
        peer.send(&upgrade("/", "")[..50]);
        peer
    });
    rests(&echo, "in the midst of a request", &in_a_request);
    let in_a_frame = two_hundred(|_| {
        let mut peer = Peer::open(echo.address, "/");
        peer.send([header(BINARY, 60_000), vec![0; 20_000]].concat());
        peer
    });
    rests(&echo, "in the midst of a frame", &in_a_frame);
}

#[test]
fn blocked_and_half_closed_connections_cost_nothing() {
    let echo = echo();
    // Members of a broadcast who do not read it.
    let mut peers = two_hundred(|_| Peer::connect_small(echo.address).upgraded("/broadcast"));
    let mut sender = Peer::open(echo.address, "/broadcast");
    let message = [7; 16 << 10];
    for _ in 0..400 {
        sender.send(frame(BINARY, message));
        sender.gets(BINARY, message);
    }
    rests(&echo, "output blocked by a broadcast", &peers);
    let pings = frame(PING, [b'p'; 125]).repeat(100);
    peers.iter_mut().for_each(|peer| peer.send(&pings));
    rests(&echo, "output blocked by a broadcast and pongs", &peers);
    // Their side is closed: what they were promised still waits for them.
    peers.iter_mut().for_each(Peer::end);
    rests(&echo, "closed by the peer alone, with output blocked", &peers);
}

#[test]
fn connections_blocked_by_echoes_cost_nothing() {
    let echo = echo();
    let message = frame(BINARY, vec![7; 64 << 10]);
    let peers = two_hundred(|_| {
        let mut peer = Peer::connect_small(echo.address).upgraded("/");
        peer.flood_for(&message, 16 << 20, Duration::from_millis(10));
        peer
    });
    rests(&echo, "output blocked by echoes", &peers);
}

#[test]
fn connections_that_we_alone_have_closed_cost_nothing() {
    let echo = echo();
    // Each has been failed, and is waited for.
    let peers = two_hundred(|_| {
        let mut peer = Peer::open(echo.address, "/");
        peer.send(frame(0x83, ""));
        assert_eq!(peer.close_frame().0, 1002);
        peer
    });
    rests(&echo, "closed by us alone", &peers);
}
