//! Promise 6: a peer that never reads cannot make the outgoing queue grow past its limit, and one that reads gets every
//! answer.

use std::thread;

use crate::{
    figures::{below, states},
    peer::{BINARY, FIRST, MIDDLE, PING, PONG, Peer, TEXT, frame, unmasked},
    testee::Echo,
};

const MIB: usize = 1 << 20;
/// `Config::max_send_buffer` in MiB, and what may be above it.
const BOUND: f64 = 1.0 + 1.0;

/// A peer that sends these bytes again and again, and never reads: how far the testee grows.
fn never_reads(echo: &Echo, what: &str, bytes: &[u8], most: usize) {
    let mut peer = Peer::connect_small(echo.address).upgraded("/");
    peer.echoes();
    let meter = echo.testee.meter();
    let sent = peer.flood(bytes, most);
    let what = format!("{what}, never read, {:.1} MiB sent, growth", sent as f64 / MIB as f64);
    below(6, &what, meter.growth(), BOUND, "MiB");
    Peer::open(echo.address, "/").echoes();
}

#[test]
fn a_peer_that_never_reads_is_bounded() {
    let echo = Echo::start(&[]);
    Peer::open(echo.address, "/").echoes();
    let repeated = |frame: Vec<u8>| frame.repeat((MIB / frame.len()).max(1));
    never_reads(&echo, "pings of 125 bytes", &repeated(frame(PING, [b'p'; 125])), 48 * MIB);
    never_reads(&echo, "empty pings", &repeated(frame(PING, "")), 24 * MIB);
    never_reads(&echo, "empty messages", &repeated(frame(TEXT, "")), 24 * MIB);
    never_reads(&echo, "messages of 125 bytes", &repeated(frame(BINARY, [7; 125])), 48 * MIB);
    never_reads(&echo, "messages of 16 KiB", &repeated(frame(BINARY, [7; 16 << 10])), 48 * MIB);
    let mixed = [frame(PING, "p"), frame(TEXT, ""), frame(PING, [b'p'; 125]), frame(BINARY, [7; 1000])].concat();
    never_reads(&echo, "pings and messages in turn", &repeated(mixed), 48 * MIB);
}

#[test]
fn pings_between_large_echoes_do_not_add_up() {
    let echo = Echo::start(&[]);
    Peer::open(echo.address, "/").echoes();
    let mut peer = Peer::connect_small(echo.address).upgraded("/");
    // Output is blocked first, by less than would hold back reading; then come the pings.
    let meter = echo.testee.meter();
    let mut filled = 0;
    while filled < 4 * MIB {
        peer.send(frame(BINARY, [7; 16 << 10]));
        filled += 16 << 10;
    }
    let pings = [frame(PING, "one"), frame(PING, "two")].concat().repeat(10_000);
    let sent = peer.flood(&pings, 24 * MIB) + filled;
    let what = format!("pings behind blocked echoes, {:.1} MiB sent, growth", sent as f64 / MIB as f64);
    below(6, &what, meter.growth(), BOUND, "MiB");
}

#[test]
fn a_message_without_end_of_a_peer_that_never_reads_is_bounded() {
    let echo = Echo::start(&["--streaming"]);
    let mut peer = Peer::connect_small(echo.address).upgraded("/");
    let meter = echo.testee.meter();
    peer.send(frame(FIRST, "begun"));
    let sent = peer.flood(&frame(MIDDLE, [7; 16 << 10]), 48 * MIB);
    let what = format!("a streamed message, never read, {:.1} MiB sent, growth", sent as f64 / MIB as f64);
    below(6, &what, meter.growth(), BOUND, "MiB");
}

#[test]
fn ten_thousand_honest_pings_get_ten_thousand_pongs() {
    let echo = Echo::start(&[]);
    let mut peer = Peer::open(echo.address, "/");
    let mut writer = Peer::new(peer.stream.try_clone().unwrap());
    let pings: Vec<u8> = (0..10_000_u32).flat_map(|number| frame(PING, number.to_be_bytes())).collect();
    thread::scope(|scope| {
        scope.spawn(|| writer.send(&pings));
        for number in 0..10_000_u32 {
            peer.gets(PONG, number.to_be_bytes());
        }
    });
    peer.echoes();
    states(6, "10,000 pings in one burst of a reader that reads: 10,000 pongs, in order");
}

#[test]
fn a_late_reader_loses_no_echo() {
    let echo = Echo::start(&[]);
    let mut peer = Peer::open(echo.address, "/");
    let mut writer = Peer::new(peer.stream.try_clone().unwrap());
    let messages: Vec<Vec<u8>> =
        (0..20_000_u32).map(|number| number.to_be_bytes().repeat(number as usize % 300)).collect();
    let meter = echo.testee.meter();
    thread::scope(|scope| {
        scope.spawn(|| messages.iter().for_each(|message| writer.send(frame(BINARY, message))));
        thread::sleep(std::time::Duration::from_millis(500));
        messages.iter().for_each(|message| peer.gets(BINARY, message));
    });
    below(6, "20,000 messages read late: none lost, growth", meter.growth(), BOUND, "MiB");
}

#[test]
fn a_late_reader_loses_no_empty_echo() {
    // Bytes do not hold them back: all together they are below the high-water mark, and more than may wait.
    const COUNT: usize = 3_000_000;
    let echo = Echo::start(&[]);
    let mut peer = Peer::connect_small(echo.address).upgraded("/");
    let mut writer = Peer::new(peer.stream.try_clone().unwrap());
    let batch = frame(TEXT, "").repeat(10_000);
    thread::scope(|scope| {
        scope.spawn(|| writer.flood_for(&batch, COUNT * 6, std::time::Duration::from_secs(10)));
        thread::sleep(std::time::Duration::from_secs(1));
        peer.gets_many(&unmasked(TEXT, ""), COUNT);
    });
    states(6, format_args!("{COUNT} empty messages read late: none lost"));
}

#[test]
fn pongs_coalesce_once_output_is_blocked() {
    let echo = Echo::start(&["--stats", "0.1"]);
    let mut stalled = Peer::connect_small(echo.address).upgraded("/broadcast");
    let mut sender = Peer::open(echo.address, "/broadcast");
    let message = [7; 16 << 10];
    for _ in 0..400 {
        sender.send(frame(BINARY, message));
        sender.gets(BINARY, message);
    }
    let queued = || {
        thread::sleep(std::time::Duration::from_millis(300));
        echo.stat("buffered_amount").unwrap().parse::<f64>().unwrap() / 1024.0
    };
    let before = queued();
    stalled.send(frame(PING, [b'p'; 125]).repeat(10_000));
    below(6, "10,000 pings while output is blocked: the queue grows by", queued() - before, 2.0, "KiB");
}
