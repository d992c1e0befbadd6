//! What the event loop writes to the `log` crate: collected here by thread, for a test and its loop are in the same one.

#![allow(clippy::disallowed_methods)] // sockets have a clock

#[path = "net/support.rs"]
#[allow(dead_code)]
mod support;

use std::{cell::RefCell, net::TcpListener, sync::Once, time::Duration};

use log::{Level, LevelFilter, Log, Metadata, Record};
use support::{Peer, UPGRADE, World, frame, loopback};
use wireroom::{CloseCode, Config, ListenOptions, ProxyProtocol, SendError, SlowConsumer, handshake::ClientRequest};

thread_local! {
    static LINES: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

struct Collector;

impl Log for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "wireroom"
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.with_borrow_mut(|lines| lines.push((record.level(), record.args().to_string())));
        }
    }

    fn flush(&self) {}
}

fn collect() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_logger(&Collector).unwrap();
        log::set_max_level(LevelFilter::Trace);
    });
}

/// The lines since this was last asked.
fn lines() -> Vec<(Level, String)> {
    LINES.take()
}

#[test]
fn a_connection_has_a_line_at_its_beginning_and_one_at_its_end_and_none_of_what_it_carried() {
    collect();
    let (mut world, address) = World::listening(Config::default());
    let (id, mut peer) = world.open(address);
    let from = peer.stream.local_addr().unwrap();
    assert_eq!(lines(), [(Level::Debug, format!("{id}: open, peer {from}"))]);
    peer.send(frame(0x81, "a secret"));
    assert_eq!(world.frame(&mut peer), (0x81, b"a secret".to_vec()));
    assert_eq!(lines(), []);
    world.event_loop.connections().close(id, CloseCode::NORMAL, "done");
    // What the peer says cannot begin a line of its own.
    peer.send(frame(0x88, b"\x03\xe8bye\nfaked"));
    world.closed(id);
    let end = format!(
        "{id}: closed: closed cleanly, we sent 1000 (normal closure) \"done\", the peer sent 1000 (normal closure) \
         \"bye\\nfaked\""
    );
    assert_eq!(lines(), [(Level::Debug, end)]);
}

#[test]
fn a_refusal_names_the_peer_and_the_reason() {
    collect();
    let (mut world, address) = World::listening(Config::builder().max_connections(1).build().unwrap());
    let mut bad = Peer::connect(address);
    bad.send("GET / HTTP/1.1\r\nCookie: secret\r\n\r\n");
    world.end_of_stream(&mut bad);
    let from = bad.stream.local_addr().unwrap();
    drop(bad);
    world.next_closed();
    let (id, _) = world.seen[0];
    let told = format!("{id}: not opened, peer {from}: bad request (400): no Host header field (RFC 9112, 3.2)");
    assert_eq!(lines(), [(Level::Info, told)]);

    let _held = world.open(address);
    let mut late: Vec<_> = (0..65).map(|_| Peer::connect(address)).collect();
    world.until("all refused", |_| {
        late.iter_mut().for_each(|peer| _ = peer.receive());
        late.iter().all(|peer| peer.ended)
    });
    drop(late);
    world.until("one is left", |world| world.event_loop.connections().len() == 1);
    let seen = lines();
    let count =
        |level: Level, words: &str| seen.iter().filter(|line| line.0 == level && line.1.contains(words)).count();
    assert_eq!(count(Level::Info, "closed without an answer: 1 connections are open already"), 1, "{seen:?}");
    assert_eq!(count(Level::Info, ": 1 connections are open already"), 65, "{seen:?}");
}

#[test]
fn behind_a_proxy_it_is_the_clients_address_that_is_named() {
    collect();
    let mut world = World::new();
    let options = ListenOptions::new().proxy_protocol(ProxyProtocol::from_sources(["127.0.0.1".parse().unwrap()]));
    let config = Config::builder().max_connections_per_address(Some(1)).build().unwrap();
    let address = world.event_loop.listen_with(loopback(), options, config, support::any).unwrap();
    let header = "PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n";
    let mut peers: Vec<_> = (0..66).map(|_| Peer::connect(address)).collect();
    for peer in &mut peers {
        peer.send([header, UPGRADE].concat());
    }
    world.until("all answered, or closed", |_| {
        peers.iter_mut().for_each(|peer| _ = peer.receive());
        peers.iter().filter(|peer| peer.ended).count() == 65
    });
    drop(peers);
    world.empty();
    let seen = lines();
    let count = |words: &str| seen.iter().filter(|line| line.1.contains(words)).count();
    assert_eq!(count(": open, peer 192.0.2.7:56324"), 1, "{seen:?}");
    assert_eq!(count(": not opened, peer 192.0.2.7:56324: 1 connections are open from this address"), 65, "{seen:?}");
}

#[test]
fn words_of_a_server_cannot_move_the_terminals_cursor() {
    collect();
    let listener = TcpListener::bind(loopback()).unwrap();
    let mut world = World::new();
    let request = ClientRequest::new("ws://localhost/").unwrap();
    let id = world.event_loop.connect(listener.local_addr().unwrap(), request, Config::default()).unwrap();
    let mut server = Peer::new(listener.accept().unwrap().0);
    // U+0085 ends a line, U+009B begins a control sequence.
    server.send("HTTP/1.1 403 no\u{85}faked\u{9b}2J\r\nContent-Length: 0\r\n\r\n");
    world.closed(id);
    let seen = lines();
    let [(Level::Info, line)] = &seen[..] else { panic!("{seen:?}") };
    assert!(line.ends_with(r"403 no\u{85}faked\u{9b}2J"), "{line:?}");
    assert!(!line.contains(char::is_control), "{line:?}");
}

#[test]
fn limits_are_warned_of_once_for_each_connection_and_kind() {
    collect();
    let config = |policy| {
        let config = Config::builder().low_water_mark(100).high_water_mark(1_000).max_send_buffer(10_000);
        config.max_message_size(100).slow_consumer(policy).build().unwrap()
    };
    let (mut world, address) = World::listening(config(SlowConsumer::Refuse));
    let dropping = world.event_loop.listen(loopback(), config(SlowConsumer::DropNewest), support::any).unwrap();
    let (full, mut peer) = world.open(address);
    let (slow, _stalled) = world.open(dropping);
    lines();
    for id in [full, slow] {
        for _ in 0..100 {
            let sent = world.event_loop.connections().send(id, &vec![0; 1_000]);
            assert!(sent.is_ok() || matches!(sent, Err(SendError::BufferFull { .. })), "{sent:?}");
        }
    }
    world.spend(Duration::from_millis(50));
    peer.receive();
    peer.send(frame(0x82, vec![0; 101]));
    world.closed(full);
    let seen = lines();
    let of = |words: &str| seen.iter().filter(|(level, line)| *level == Level::Warn && line.contains(words)).count();
    assert_eq!(of(&format!("{full}: ")), 2, "{seen:?}");
    assert_eq!(
        (of("bytes wait already, the limit is 10000"), of("a message is bigger than the limit of 100 bytes")),
        (1, 1)
    );
    assert_eq!(
        (of(&format!("{slow}: messages are dropped, the newest")), of(&format!("{slow}: "))),
        (1, 1),
        "{seen:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn accept_that_fails_is_told_once_and_so_is_its_recovery() {
    collect();
    if !support::is_alone() {
        return support::alone("accept_that_fails_is_told_once_and_so_is_its_recovery", "ulimit -n 24;").succeeds();
    }
    let (mut world, address) = World::listening(Config::default());
    // This process has the descriptors of both ends: the last ones that connect leave none to accept with.
    let mut peers = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect(address) {
        peers.push(Peer::new(stream));
        peers.last_mut().unwrap().send(UPGRADE);
    }
    world.spend(Duration::from_millis(500));
    assert!(world.event_loop.connections().stats().accept_errors > 2);
    let seen = lines();
    let [(Level::Warn, fails)] = &seen[..] else { panic!("{seen:?}") };
    assert!(fails.starts_with("listener 0: accepting fails: Too many open files"), "{fails}");
    peers.truncate(1);
    world.until("it is accepted", |world| world.event_loop.connections().stats().open == 1);
    let seen = lines();
    let told: Vec<_> = seen.iter().filter(|(level, _)| *level <= Level::Info).map(|(_, line)| &**line).collect();
    assert_eq!(told[0], "listener 0: accepting again");
    // It may fail again while it works through what has gathered, and says so in turn.
    assert!(told.windows(2).all(|pair| (pair[0] == told[0]) != (pair[1] == told[0])), "{told:?}");
}
