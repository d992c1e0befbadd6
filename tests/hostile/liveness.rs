//! Promise 9, its first half: dead peers are freed in time, slow ones that live are kept.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    figures::{below, states},
    peer::{BINARY, FIRST, PING, Peer, TEXT, frame, header},
    server::Server,
    testee::{Echo, Testee},
};

type Death = fn(&Echo) -> Peer;

/// How peers die.
const DEATHS: [(&str, Death); 6] = [
    ("idle", open),
    ("in the midst of a frame's header", |echo| with(echo, &[0x82])),
    ("in the midst of a payload", |echo| with(echo, &[header(BINARY, 100_000), vec![0; 50_000]].concat())),
    ("in the midst of a message", |echo| with(echo, &frame(FIRST, "begun"))),
    ("with output blocked by echoes", |echo| {
        let mut peer = open(echo);
        peer.flood_for(&frame(BINARY, vec![7; 64 << 10]), 64 << 20, Duration::from_millis(200));
        peer
    }),
    ("with output blocked by pongs", |echo| {
        let mut peer = open(echo);
        peer.flood_for(&frame(PING, [b'p'; 125]).repeat(1000), 64 << 20, Duration::from_millis(200));
        peer
    }),
];

fn open(echo: &Echo) -> Peer {
    Peer::connect_small(echo.address).upgraded("/")
}

fn with(echo: &Echo, bytes: &[u8]) -> Peer {
    let mut peer = open(echo);
    peer.send(bytes);
    peer
}

/// Each dies on a server of its own, and is gone within so many seconds.
fn die(flags: &[&str], limits: &str, within: f64) {
    thread::scope(|scope| {
        for (what, death) in DEATHS {
            scope.spawn(move || {
                let echo = Echo::start(flags);
                let empty = echo.testee.descriptors();
                let peer = death(&echo);
                let start = Instant::now();
                while echo.testee.descriptors() > empty && start.elapsed().as_secs_f64() < within + 60.0 {
                    thread::sleep(Duration::from_millis(5));
                }
                let freed = start.elapsed().as_secs_f64();
                below(9, &format!("a peer that dies {what}, keepalive {limits}, freed after"), freed, within, "s");
                drop(peer);
            });
        }
    });
}

#[test]
fn dead_peers_are_freed_within_the_keepalive_limits() {
    die(&["--keepalive-interval", "2", "--keepalive-timeout", "1"], "2 + 1 s", 4.0);
}

#[test]
#[ignore = "takes a minute: the default limits"]
fn dead_peers_are_freed_within_the_default_keepalive_limits() {
    die(&[], "30 + 20 s, the default", 53.0);
}

#[test]
fn an_unanswered_close_ends_at_its_deadline() {
    let echo = Echo::start(&["--close-timeout", "1"]);
    let before = echo.testee.descriptors();
    // It gets a Close for its fault, reads it or not, and neither closes nor ends.
    let mut reads = Peer::open(echo.address, "/");
    reads.send(frame(0x83, ""));
    assert_eq!(reads.close_frame().0, 1002);
    let mut blocked = Peer::connect_small(echo.address).upgraded("/broadcast");
    let mut other = Peer::open(echo.address, "/broadcast");
    for _ in 0..400 {
        other.send(frame(BINARY, [7; 16 << 10]));
        other.gets(BINARY, [7; 16 << 10]);
    }
    let before = before + 1;
    blocked.send(frame(0x83, ""));
    let freed = echo.testee.descriptors_fall_to(before).as_secs_f64();
    below(9, "an unanswered Close, close timeout 1 s, freed after", freed, 2.0, "s");
    // The same at the default of 5 s, and for one that goes on sending.
    let echo = Echo::start(&[]);
    let before = echo.testee.descriptors();
    let mut peer = Peer::open(echo.address, "/");
    peer.send(frame(0x83, ""));
    let start = Instant::now();
    while echo.testee.descriptors() > before {
        let _ = peer.try_send(frame(TEXT, "not listening"));
        thread::sleep(Duration::from_millis(20));
        assert!(start.elapsed() < crate::testee::PATIENCE);
    }
    let freed = start.elapsed().as_secs_f64();
    assert!(freed > 4.5, "too soon: {freed}");
    below(9, "an unanswered Close, default of 5 s, the peer goes on sending, freed after", freed, 6.0, "s");
}

#[test]
fn a_slow_sender_that_lives_is_kept() {
    let echo = Echo::start(&["--keepalive-interval", "1", "--keepalive-timeout", "1"]);
    let mut peer = Peer::open(echo.address, "/");
    // One byte of a message every 700 ms; Pongs it does not send.
    for byte in frame(TEXT, "slowly") {
        peer.send([byte]);
        thread::sleep(Duration::from_millis(700));
    }
    loop {
        let next = peer.frame();
        if next.first != PING {
            assert_eq!((next.first, &next.payload[..]), (TEXT, &b"slowly"[..]));
            break;
        }
    }
    states(9, "a sender of one byte every 0.7 s, keepalive 1 + 1 s: kept for 8 s, and echoed");
}

#[test]
fn a_slow_reader_that_lives_is_kept() {
    let echo = Echo::start(&["--keepalive-interval", "3", "--keepalive-timeout", "3"]);
    let mut peer = Peer::open(echo.address, "/");
    let sent = peer.flood(&frame(BINARY, vec![7; 16 << 10]), 64 << 20);
    // It sends nothing any more, and takes a little now and then. (The testee's system tells of what was taken only when a
    // third of its own buffer is free again.)
    let start = Instant::now();
    let mut taken = 0;
    while start.elapsed() < Duration::from_secs(10) {
        let mut bytes = [0; 16 << 10];
        // 600 KiB a second.
        if taken < start.elapsed().as_millis() as usize * 600 {
            taken += std::io::Read::read(&mut peer.stream, &mut bytes).unwrap();
        } else {
            thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(taken < sent, "all was there at once");
    states(9, format_args!("a reader of {} KiB in 10 s, keepalive 3 + 3 s: kept", taken >> 10));
}

#[test]
fn a_dead_server_is_given_up_by_the_client() {
    let server = Server::bind();
    let flags = ["--keepalive-interval", "1", "--keepalive-timeout", "1", "--close-timeout", "1"];
    let mut client = Testee::start(&[], "client", &[&[&*server.url()], &flags[..]].concat());
    let mut peer = server.accept();
    peer.send(crate::peer::unmasked_header(BINARY, 1000));
    let (status, took) = client.finish();
    assert_eq!(status.code(), Some(1));
    assert!(client.errors().contains("no sign of life within the keepalive timeout"), "{}", client.errors());
    below(
        9,
        "a server that dies in the midst of a frame, keepalive 1 + 1 s: the client ends after",
        took.as_secs_f64(),
        4.0,
        "s",
    );
}
