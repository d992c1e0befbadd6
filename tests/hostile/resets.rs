//! Promise 9: half-close, reset and the plain end of the stream at any moment leave nothing behind.

use crate::{
    figures::{below, states},
    peer::{BINARY, CLOSE, FIRST, MIDDLE, PING, Peer, TEXT, frame, header, upgrade},
    testee::{Echo, until},
};

/// Moments of a conversation, each with the bytes that lead to it, and whether what comes back is read.
fn moments() -> Vec<(&'static str, Vec<u8>, bool)> {
    let request = upgrade("/", "").into_bytes();
    let open = |bytes: Vec<u8>| [&request[..], &bytes].concat();
    let large = frame(BINARY, vec![7; 300 << 10]);
    vec![
        ("before a byte", Vec::new(), false),
        ("in the request", request[..60].to_vec(), false),
        ("behind a bad request", b"GET / HTTP/1.1\r\n\r\n".to_vec(), false),
        ("behind the request", request.clone(), false),
        ("behind the answer", request.clone(), true),
        ("in a header", open(vec![0x82]), true),
        ("in a payload", open([header(BINARY, 70_000), vec![0; 30_000]].concat()), true),
        ("in a message", open([frame(FIRST, "a"), frame(MIDDLE, "b")].concat()), true),
        ("behind a message", open(frame(TEXT, "hello")), false),
        ("in a large echo", open(large), false),
        ("behind pings", open(frame(PING, "p").repeat(1000)), false),
        ("behind a fault", open(frame(0x83, "")), false),
        ("behind a Close", open(frame(CLOSE, [3, 232])), false),
        ("behind the Close of both", open(frame(CLOSE, [3, 232])), true),
    ]
}

type Leave = fn(Peer);

/// How a peer leaves.
const LEAVES: [(&str, Leave); 3] = [
    ("a reset", Peer::reset),
    ("the end of the stream", drop),
    ("half-close, then the end", |mut peer| {
        peer.end();
        drop(peer);
    }),
];

#[test]
fn leaving_at_any_moment_leaves_nothing_behind() {
    let echo = Echo::start(&["--stats", "0.1"]);
    Peer::open(echo.address, "/").echoes();
    until("no connection in the statistics", || echo.stat("connections").as_deref() == Some("0"));
    let empty = echo.testee.descriptors();
    let moments = moments();
    for round in 0..20 {
        for (what, bytes, reads) in &moments {
            for (how, leave) in LEAVES {
                let mut peer = Peer::connect(echo.address);
                peer.send(bytes);
                if *reads {
                    assert_eq!(peer.status(), 101, "{what}, {how}, round {round}");
                }
                leave(peer);
            }
        }
    }
    let freed = echo.testee.descriptors_fall_to(empty).as_secs_f64();
    let count = 20 * moments.len() * LEAVES.len();
    below(
        9,
        &format!("{count} peers that left at {} moments in 3 ways, all freed after", moments.len()),
        freed,
        1.0,
        "s",
    );
    until("no connection in the statistics", || echo.stat("connections").as_deref() == Some("0"));
    Peer::open(echo.address, "/").echoes();
}

#[test]
fn a_half_closed_peer_still_gets_what_it_was_promised() {
    let echo = Echo::start(&["--stats", "0.1", "--close-timeout", "30"]);
    let mut peer = Peer::open(echo.address, "/broadcast");
    let mut other = Peer::open(echo.address, "/broadcast");
    // More than its system takes: the rest is queued.
    const COUNT: u32 = 1000;
    let message = |number: u32| number.to_be_bytes().repeat(4096);
    for number in 0..COUNT {
        other.send(frame(BINARY, message(number)));
        other.gets(BINARY, message(number));
    }
    echo.stat_becomes("messages_received", &COUNT.to_string());
    let promised = echo.stat("messages_sent").unwrap().parse::<u32>().unwrap() - COUNT;
    assert!(echo.stat("buffered_amount").unwrap().parse::<usize>().unwrap() > 100_000);
    peer.end();
    (0..promised).for_each(|number| peer.gets(BINARY, message(number)));
    assert_eq!(peer.rest(), b"");
    states(
        9,
        format_args!(
            "a peer that has closed its side gets all {promised} messages that were queued for it, and the end"
        ),
    );
}

#[test]
fn a_half_closed_peer_that_does_not_read_is_freed_at_the_close_deadline() {
    let echo = Echo::start(&["--close-timeout", "1"]);
    let empty = echo.testee.descriptors();
    let mut peer = Peer::connect_small(echo.address).upgraded("/broadcast");
    let mut other = Peer::open(echo.address, "/broadcast");
    for _ in 0..400 {
        other.send(frame(BINARY, [7; 16 << 10]));
        other.gets(BINARY, [7; 16 << 10]);
    }
    peer.end();
    let freed = echo.testee.descriptors_fall_to(empty + 1).as_secs_f64();
    below(9, "half-closed with output blocked, close timeout 1 s, freed after", freed, 2.0, "s");
}
