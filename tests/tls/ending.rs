//! Every way to come to an end, with close_notify in its place.

use std::{
    io::Write,
    net::{Shutdown, TcpListener},
    time::{Duration, Instant},
};

use wireroom::{
    Cause, CloseCode, Config, ConnId, Deadline, ListenOptions, TlsError,
    http::{Request, Response},
};

use crate::{
    kit::{
        TlsPeer, TlsSocket, client, client_config, connect, is_open, listening, open, opened, server, server_config,
    },
    support::{Seen, World, frame, loopback},
};

/// The peer's stream has ended with a close_notify, and not with a reset.
fn ends_cleanly(world: &mut World, peer: &mut TlsPeer) {
    world.end_of_stream(peer);
    assert_eq!((peer.error, peer.stream.fault.clone()), (None, None));
}

#[test]
fn both_sides_close_cleanly_whoever_begins() {
    let (mut world, address) = listening(server(), Config::default());
    for begins_here in [true, false] {
        let mut peer = TlsSocket::client(address, client_config());
        let id = open(&mut world, &mut peer);
        if begins_here {
            world.event_loop.connections().close(id, CloseCode::NORMAL, "bye");
            assert_eq!(world.frame(&mut peer), (0x88, b"\x03\xe8bye".to_vec()));
        }
        peer.send(frame(0x88, b"\x03\xe8"));
        if !begins_here {
            assert_eq!(world.frame(&mut peer), (0x88, b"\x03\xe8".to_vec()));
        }
        ends_cleanly(&mut world, &mut peer);
        assert!(matches!(world.closed(id).cause, Cause::Clean));
        drop(peer);
        world.empty();
    }
}

#[test]
fn our_own_client_and_server_close_cleanly() {
    let (mut world, address) = listening(server(), Config::default());
    for begins in [0, 1] {
        let id = connect(&mut world, address, &client(), Config::default());
        world.until("open", |world| opened(world).len() == 2);
        let there = opened(&world).into_iter().find(|other| *other != id).unwrap();
        world.event_loop.connections().close([id, there][begins], CloseCode::NORMAL, "");
        for id in [id, there] {
            let closed = world.closed(id);
            assert!(matches!(closed.cause, Cause::Clean), "{closed}");
        }
        world.empty();
        world.seen.clear();
    }
}

/// A server in the peer's hands, behind the opening handshake.
fn served(world: &mut World) -> (ConnId, TlsPeer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let id = connect(world, listener.local_addr().unwrap(), &client(), Config::default());
    let mut peer = TlsSocket::server(listener.accept().unwrap().0, server_config());
    let head = world.head(&mut peer);
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = wireroom::handshake::accept_key(key);
    peer.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ));
    world.until("open", |world| {
        peer.receive();
        is_open(world, id)
    });
    (id, peer)
}

#[test]
fn a_client_says_close_notify_too() {
    let mut world = World::new();
    let (id, mut peer) = served(&mut world);
    world.event_loop.connections().close(id, CloseCode::NORMAL, "");
    world.until("its Close", |_| !peer.receive().is_empty());
    peer.send([0x88, 0x02, 0x03, 0xe8]);
    peer.stream.tls.send_close_notify();
    ends_cleanly(&mut world, &mut peer);
    assert!(matches!(world.closed(id).cause, Cause::Clean));
    world.empty();
}

#[test]
fn an_end_with_close_notify_is_an_end_and_one_without_was_cut_off() {
    let (mut world, address) = listening(server(), Config::default());
    for (says_so, within_a_frame) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut peer = TlsSocket::client(address, client_config());
        let id = open(&mut world, &mut peer);
        peer.send(frame(0x81, "before"));
        if within_a_frame {
            peer.send(&frame(0x81, "behind")[..4]);
        }
        if says_so {
            peer.stream.tls.send_close_notify();
        }
        peer.receive();
        peer.stream.stream.shutdown(Shutdown::Write).unwrap();
        let closed = world.closed(id);
        match &closed.cause {
            Cause::Eof if says_so => {}
            Cause::Tls(TlsError::Truncated) if !says_so => {}
            cause => panic!("{says_so} {within_a_frame}: {cause}"),
        }
        assert_eq!(world.texts(id), ["before"]);
        drop(peer);
        world.empty();
    }
}

#[test]
fn a_client_tells_a_stream_that_was_cut_off() {
    let mut world = World::new();
    let (id, peer) = served(&mut world);
    peer.stream.stream.shutdown(Shutdown::Write).unwrap();
    assert!(matches!(world.closed(id).cause, Cause::Tls(TlsError::Truncated)));
    world.empty();
    let (id, mut peer) = served(&mut world);
    peer.stream.tls.send_close_notify();
    peer.receive();
    assert!(matches!(world.closed(id).cause, Cause::Eof));
}

#[test]
fn behind_both_closes_nobody_asks_for_a_close_notify() {
    let (mut world, address) = listening(server(), Config::default());
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    peer.send(frame(0x88, b"\x03\xe8"));
    peer.stream.stream.shutdown(Shutdown::Write).unwrap();
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Clean), "{closed}");
}

#[test]
fn all_that_was_accepted_leaves_before_the_end() {
    let config = Config::builder().max_send_buffer(8 << 20).build().unwrap();
    let (mut world, address) = listening(server(), config);
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    let payload = vec![7; 6 << 20];
    let _ = world.event_loop.connections().send(id, &payload[..]).unwrap();
    world.event_loop.connections().close(id, CloseCode::NORMAL, "");
    world.spend(Duration::from_millis(50));
    assert_eq!(world.ends(id), 0);
    let (first, received) = world.frame(&mut peer);
    assert!(first == 0x82 && received == payload);
    assert_eq!(world.frame(&mut peer).0, 0x88);
    peer.send(frame(0x88, b"\x03\xe8"));
    ends_cleanly(&mut world, &mut peer);
    assert!(matches!(world.closed(id).cause, Cause::Clean));
}

#[test]
fn a_large_page_reaches_a_slow_reader_that_has_closed_its_side() {
    let mut world = World::new();
    let page = "x".repeat(4 << 20);
    let body = page.clone();
    let verify = move |_: ConnId, _: &Request<'_>| Response::text(200, body.clone()).into();
    let options = ListenOptions::new().tls(server());
    let address = world.event_loop.listen_with(loopback(), options, Config::default(), verify).unwrap();
    for says_so in [true, false] {
        let mut peer = TlsSocket::client(address, client_config());
        peer.send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        world.until("something", |_| {
            peer.stream.pump();
            peer.stream.tls.process_new_packets().unwrap().plaintext_bytes_to_read() > 0
        });
        if says_so {
            peer.stream.tls.send_close_notify();
            peer.stream.pump();
        }
        peer.stream.stream.shutdown(Shutdown::Write).unwrap();
        world.spend(Duration::from_millis(50));
        world.end_of_stream(&mut peer);
        assert_eq!(peer.error, None);
        assert!(peer.inbox.ends_with(page.as_bytes()), "{} bytes", peer.inbox.len());
        drop(peer);
        world.empty();
    }
}

#[test]
fn an_abort_ends_it_at_once() {
    let (mut world, address) = listening(server(), Config::default());
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    let _ = world.event_loop.connections().send(id, &vec![7; 4 << 20][..]).unwrap();
    world.turn();
    world.event_loop.connections().abort(id);
    assert!(matches!(world.closed(id).cause, Cause::Aborted));
    world.empty();
    world.end_of_stream(&mut peer);
    // In the handshake, too.
    let peer = std::net::TcpStream::connect(address).unwrap();
    world.until("it", |world| world.event_loop.connections().len() == 1);
    let id = world.event_loop.connect_tls(address, crate::kit::request(address), &client(), Config::default()).unwrap();
    world.event_loop.connections().abort(id);
    assert!(matches!(world.closed(id).cause, Cause::Aborted));
    drop(peer);
    world.empty();
}

#[test]
fn who_reads_nothing_is_given_up_at_the_deadline() {
    let config = Config::builder().close_timeout(Duration::from_millis(200)).max_send_buffer(32 << 20).build().unwrap();
    let (mut world, address) = listening(server(), config);
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    let _ = world.event_loop.connections().send(id, &vec![7; 16 << 20][..]).unwrap();
    world.event_loop.connections().close(id, CloseCode::NORMAL, "");
    let start = Instant::now();
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Timeout(Deadline::Close)), "{closed}");
    assert!(start.elapsed() > Duration::from_millis(150));
    world.empty();
}

#[test]
fn pings_keep_a_connection_and_a_dead_peer_is_noticed() {
    let config = || {
        let builder = Config::builder().keepalive_interval(Some(Duration::from_millis(100)));
        builder.keepalive_timeout(Duration::from_millis(200)).build().unwrap()
    };
    let (mut world, address) = listening(server(), config());
    let id = connect(&mut world, address, &client(), Config::default());
    world.until("open", |world| opened(world).len() == 2);
    world.until("two Pings", |world| {
        let pings = world.seen.iter().filter(|(of, seen)| *of == id && matches!(seen, Seen::Ping(_)));
        pings.count() >= 2
    });
    let mut peer = TlsSocket::client(address, client_config());
    let dead = open(&mut world, &mut peer);
    let closed = world.closed(dead);
    assert!(matches!(closed.cause, Cause::Timeout(Deadline::Keepalive)), "{closed}");
    assert!(is_open(&world, id) && world.ends(id) == 0);
}

#[test]
fn what_comes_behind_our_close_notify_is_thrown_away_whatever_it_is() {
    let (mut world, address) = listening(server(), Config::default());
    let garbage = [b"\x17\x03\x03\x00\x20".as_slice(), &[7; 32]].concat();
    for bytes in [b"not a record".to_vec(), garbage, vec![22; 600_000]] {
        let mut peer = TlsSocket::client(address, client_config());
        let id = open(&mut world, &mut peer);
        peer.send(frame(0x88, b"\x03\xe8"));
        ends_cleanly(&mut world, &mut peer);
        let mut sent = 0;
        world.until("all of it is taken", |_| {
            sent += peer.stream.stream.write(&bytes[sent..]).unwrap_or(0);
            sent == bytes.len()
        });
        world.spend(Duration::from_millis(10));
        assert_eq!(world.event_loop.connections().len(), 1, "it waits for the end of the stream");
        assert!(world.rests());
        drop(peer);
        world.empty();
        assert!(matches!(world.closed(id).cause, Cause::Clean));
    }
}
