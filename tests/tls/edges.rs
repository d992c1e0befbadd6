//! Ends of one direction in every phase: the loop rests, and nothing is lost.

use std::{
    net::Shutdown,
    time::{Duration, Instant},
};

use wireroom::{
    Cause, Config, ListenOptions, TlsError,
    handshake::{HandshakeError, Verdict},
    http::{Request, Response},
    rustls,
};

use crate::{
    kit::{TlsSocket, client_config, listening, open, server},
    support::{PATIENCE, Peer, World, frame, loopback},
};

#[test]
fn whoever_has_closed_its_side_gets_an_answer_that_was_deferred() {
    let mut world = World::new();
    let verify = |_: wireroom::ConnId, _: &Request<'_>| Verdict::Defer;
    let options = ListenOptions::new().tls(server());
    let address = world.event_loop.listen_with(loopback(), options, Config::default(), verify).unwrap();
    let mut peer = TlsSocket::client(address, client_config());
    peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    world.until("TLS", |_| {
        peer.receive();
        !peer.stream.tls.is_handshaking()
    });
    peer.stream.tls.send_close_notify();
    let id = "0-0-0".parse().unwrap();
    world.until("a request", |world| {
        peer.receive();
        world.event_loop.connections().deferred(id).is_some()
    });
    assert!(world.rests());
    world.event_loop.connections().answer(id, Response::text(200, "late\n"));
    world.end_of_stream(&mut peer);
    assert!(peer.inbox.ends_with(b"late\n"), "{:?}", String::from_utf8_lossy(&peer.inbox));
    assert_eq!(peer.error, None);
}

#[test]
fn whoever_says_goodbye_during_the_handshake_has_closed_the_connection() {
    let (mut world, address) = listening(server(), Config::default());
    let mut hello = Vec::new();
    let mut client = rustls::ClientConnection::new(client_config().into(), "localhost".try_into().unwrap()).unwrap();
    client.write_tls(&mut hello).unwrap();
    let mut peer = Peer::connect(address);
    peer.send(hello);
    world.until("the server's answer", |_| !peer.receive().is_empty());
    // close_notify, in plain: there are no keys yet.
    peer.send(b"\x15\x03\x03\x00\x02\x01\x00");
    let cause = &world.next_closed().cause;
    assert!(matches!(cause, Cause::Tls(TlsError::Eof)), "{cause}");
}

#[test]
fn who_is_refused_and_hangs_up_during_the_handshake_gives_its_place_back() {
    let config = Config::builder().max_connections(1).close_timeout(Duration::from_secs(60)).build().unwrap();
    let (mut world, address) = listening(server(), config);
    let mut first = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut first);
    for step in [0, 50, usize::MAX] {
        let mut peer = TlsSocket::client(address, client_config());
        peer.stream.step = step;
        peer.receive();
        world.until("it", |world| world.event_loop.connections().len() == 2);
        peer.stream.stream.shutdown(Shutdown::Write).unwrap();
        world.until("its end", |world| world.event_loop.connections().len() == 1);
        let cause = &world.next_closed().cause;
        assert!(matches!(cause, Cause::Handshake(HandshakeError::TooManyConnections { .. })), "{cause}");
        world.seen.clear();
    }
    assert!(world.event_loop.connections().is_open(id));
}

#[test]
fn a_blocked_or_paused_connection_rests_whatever_the_peer_has_closed() {
    for (notify, fin, paused) in
        [(true, false, false), (true, true, false), (false, true, false), (true, true, true), (false, true, true)]
    {
        let config = Config::builder().max_send_buffer(64 << 20).build().unwrap();
        let (mut world, address) = listening(server(), config);
        let mut peer = TlsSocket::client(address, client_config());
        let id = open(&mut world, &mut peer);
        if paused {
            world.event_loop.connections().pause(id);
        }
        let payload = vec![7; 32 << 20];
        let _ = world.event_loop.connections().send(id, &payload[..]).unwrap();
        world.spend(Duration::from_millis(20));
        let word = frame(0x81, "last words");
        std::io::Write::write_all(&mut peer.stream.tls.writer(), &word).unwrap();
        if notify {
            peer.stream.tls.send_close_notify();
        }
        while peer.stream.tls.wants_write() {
            peer.stream.tls.write_tls(&mut peer.stream.stream).unwrap();
        }
        if fin {
            peer.stream.stream.shutdown(Shutdown::Write).unwrap();
        }
        assert!(world.rests(), "{notify} {fin} {paused}");
        // All of what was accepted leaves.
        let start = Instant::now();
        let (first, received) = loop {
            assert!(start.elapsed() < PATIENCE);
            world.turn();
            peer.receive();
            if let Some(frame) = peer.take_frame() {
                break frame;
            }
        };
        assert!(first == 0x82 && received == payload, "{notify} {fin} {paused}");
        if paused {
            assert!(world.texts(id).is_empty());
            world.event_loop.connections().resume(id);
        }
        world.until("the last words", |world| world.texts(id) == ["last words"]);
        let cause = &world.closed(id).cause;
        assert!(matches!(cause, Cause::Eof | Cause::Tls(TlsError::Truncated)), "{cause}");
        assert!(world.rests());
        drop(peer);
        world.empty();
    }
}
