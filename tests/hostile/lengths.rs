//! Promises 4 and 5: what is declared allocates nothing, and fragments cost what they hold.

use crate::{
    figures::{below, states},
    peer::{BINARY, CLOSE, FIRST, LAST, MIDDLE, PING, Peer, TEXT, frame, header},
    testee::Echo,
};

#[test]
fn a_declared_length_allocates_nothing() {
    let echo = Echo::start(&[]);
    Peer::open(echo.address, "/").echoes();
    let lengths =
        [("2^63-1", i64::MAX as u64), ("2^62", 1 << 62), ("2^32+5", (1 << 32) + 5), ("16 MiB + 1", (16 << 20) + 1)];
    for (what, length) in lengths {
        let meter = echo.testee.meter();
        for bytes in [
            header(BINARY, length),
            [header(TEXT, length), b"some of it".to_vec()].concat(),
            [frame(FIRST, "a"), header(LAST, length)].concat(),
        ] {
            let mut peer = Peer::open(echo.address, "/");
            peer.send(bytes);
            let (code, reason) = peer.close_frame();
            assert_eq!(code, 1009, "{what}: {reason}");
            assert_eq!(peer.rest(), b"");
        }
        below(4, &format!("declared {what}: 1009, growth"), meter.growth(), 2.0, "MiB");
    }
}

#[test]
fn a_hundred_that_declare_what_is_allowed_allocate_nothing() {
    let echo = Echo::start(&[]);
    Peer::open(echo.address, "/").echoes();
    let meter = echo.testee.meter();
    let mut peers: Vec<Peer> = (0..100).map(|_| Peer::open(echo.address, "/")).collect();
    for peer in &mut peers {
        peer.send([header(BINARY, 16 << 20), b"the first bytes".to_vec()].concat());
    }
    Peer::open(echo.address, "/").echoes();
    below(4, "100 connections declare 16 MiB each and send 15 bytes, growth", meter.growth(), 2.0, "MiB");
}

/// A message in this many fragments, as long as they are taken: the code of the Close that comes, or `None` when the echo
/// does.
fn fragments(echo: &Echo, count: usize, payload: &[u8]) -> Option<u16> {
    let mut peer = Peer::open(echo.address, "/");
    peer.send(frame(FIRST, payload));
    let middle = frame(MIDDLE, payload);
    let batch = middle.repeat(10_000);
    peer.flood(&batch, (count - 2) * middle.len());
    // It may have been given up already.
    let _ = peer.try_send(frame(LAST, payload));
    let echoed = peer.frame();
    if echoed.first == CLOSE {
        assert!(String::from_utf8_lossy(&echoed.payload).contains("fragments"));
        peer.end();
        peer.rest();
        return Some(u16::from_be_bytes([echoed.payload[0], echoed.payload[1]]));
    }
    assert_eq!((echoed.first, echoed.payload), (BINARY, payload.repeat(count)));
    None
}

#[test]
fn fragments_without_end_meet_their_limit() {
    let echo = Echo::start(&[]);
    Peer::open(echo.address, "/").echoes();
    for (what, count, payload) in [("600,000 of one byte", 600_000, &b"x"[..]), ("700,000 empty ones", 700_000, b"")] {
        let meter = echo.testee.meter();
        assert_eq!(fragments(&echo, count, payload), Some(1008), "{what}");
        below(5, &format!("fragments, {what}: 1008, growth"), meter.growth(), 2.0, "MiB");
    }
    let meter = echo.testee.meter();
    assert_eq!(fragments(&echo, 65_536, &[0x5a; 64]), None);
    states(5, format_args!("4 MiB in 64-byte fragments: echoed, +{:.2} MiB", meter.growth()));
    // To the fragment.
    assert_eq!(fragments(&echo, 131_072, b""), None);
    assert_eq!(fragments(&echo, 131_073, b""), Some(1008));
    states(5, "131,072 fragments: echoed; one more: 1008");
}

#[test]
fn fragments_cost_what_they_hold_also_without_their_limit() {
    let echo = Echo::start(&["--max-fragments", "1000000"]);
    Peer::open(echo.address, "/").echoes();
    for (what, count, payload) in [("600,000 of one byte", 600_000, &b"x"[..]), ("700,000 empty ones", 700_000, b"")] {
        let meter = echo.testee.meter();
        assert_eq!(fragments(&echo, count, payload), None, "{what}");
        below(5, &format!("fragments, {what}, with the limit raised: echoed, growth"), meter.growth(), 2.0, "MiB");
    }
}

#[test]
fn pings_inside_a_message_without_end_do_not_add_up() {
    let echo = Echo::start(&[]);
    let mut peer = Peer::open(echo.address, "/");
    peer.echoes();
    let meter = echo.testee.meter();
    peer.send(frame(FIRST, "begun"));
    let pings = frame(PING, [b'p'; 125]).repeat(1000);
    for _ in 0..100 {
        peer.send(&pings);
        for _ in 0..1000 {
            assert_eq!(peer.frame().payload.len(), 125);
        }
    }
    peer.send(frame(LAST, ", ended"));
    peer.gets(BINARY, "begun, ended");
    below(5, "100,000 pings inside one message, growth", meter.growth(), 2.0, "MiB");
}
