//! Promise 2: a header block is bounded, and one without end costs next to nothing.

use crate::{
    figures::{below, states},
    peer::{Peer, upgrade},
    testee::Echo,
};

const MIB: usize = 1 << 20;

/// 20 MiB, in pieces of 64 KiB.
fn endless(start: &str, repeated: &str) -> (String, String) {
    (start.to_owned(), repeated.repeat((64 << 10) / repeated.len()))
}

#[test]
fn twenty_mib_of_header_cost_nothing() {
    let echo = Echo::start(&[]);
    let attacks = [
        ("one field", endless("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ", "a"), 431),
        ("fields without end", endless("GET / HTTP/1.1\r\nHost: localhost\r\n", "A: b\r\n"), 431),
        ("a target", endless("GET /", "a"), 414),
        ("empty lines", endless("", "\r\n"), 400),
    ];
    Peer::open(echo.address, "/").echoes();
    for (what, bytes, status) in &attacks {
        let meter = echo.testee.meter();
        attack(&echo, bytes, *status);
        below(2, &format!("20 MiB of header, {what}, answered {status}"), meter.growth(), 1.0, "MiB");
        below(2, &format!("20 MiB of header, {what}"), meter.cpu(), 0.05, "s of CPU");
    }
}

fn attack(echo: &Echo, (start, repeated): &(String, String), status: u16) {
    let mut peer = Peer::connect(echo.address);
    peer.send(start);
    assert_eq!(peer.flood(repeated.as_bytes(), 20 * MIB) / MIB, 20, "it was not let to say what it wanted");
    peer.end();
    assert_eq!(peer.status(), status);
    peer.rest();
}

#[test]
fn the_limits_are_16_kib_and_100_fields_to_the_byte() {
    let echo = Echo::start(&[]);
    let asks = |request: String| {
        let mut peer = Peer::connect(echo.address);
        peer.send(request);
        peer.status()
    };
    let padded = |size: usize| {
        let bare = upgrade("/", "X-Pad: \r\n").len();
        upgrade("/", &format!("X-Pad: {}\r\n", "a".repeat(size - bare)))
    };
    assert_eq!([padded(16 << 10), padded((16 << 10) + 1)].map(asks), [101, 431]);
    let fields = |count: usize| upgrade("/", &"X-Many: 1\r\n".repeat(count - 5));
    assert_eq!([fields(100), fields(101)].map(asks), [101, 431]);
    states(2, "16,384 bytes and 100 fields: 101; one more: 431");
}
