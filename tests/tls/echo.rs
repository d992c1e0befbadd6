//! Messages both ways, however they are cut.

use std::time::Duration;

use wireroom::{
    Config, ConnId, Event, ListenOptions,
    http::{Request, Response},
    rustls::version,
};

use crate::{
    kit::{
        TlsSocket, client, client_config, client_config_of, connect, is_open, listening, open, opened, server,
        server_config_of,
    },
    support::{Seen, UPGRADE, World, frame, loopback},
};

#[test]
fn a_text_goes_to_the_server_and_back() {
    let (mut world, address) = listening(server(), Config::default());
    let id = connect(&mut world, address, &client(), Config::default());
    world.until("open", |world| opened(world).len() == 2);
    let other = opened(&world).into_iter().find(|other| *other != id).unwrap();
    world.echoes = false;
    let sent = world.event_loop.connections().send(id, "hello").unwrap();
    assert_eq!(sent, wireroom::SendStatus::Queued);
    world.until("the text", |world| world.texts(other) == ["hello"]);
    let _ = world.event_loop.connections().send(other, "and back").unwrap();
    world.until("the answer", |world| world.texts(id) == ["and back"]);
    assert!(world.rests());
}

#[test]
fn a_peer_that_sends_byte_by_byte_is_understood() {
    let (mut world, address) = listening(server(), Config::default());
    for step in [1, 2, 5, 100] {
        for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
            let mut peer = TlsSocket::client(address, client_config_of(versions));
            peer.stream.step = step;
            open(&mut world, &mut peer);
            for text in ["one", "", "three"] {
                peer.send(frame(0x81, text));
            }
            peer.send(frame(0x89, "are you there"));
            for expected in [(0x81, "one"), (0x81, ""), (0x81, "three"), (0x8a, "are you there")] {
                let (first, payload) = world.frame(&mut peer);
                assert_eq!((first, &*payload), (expected.0, expected.1.as_bytes()));
            }
        }
    }
}

#[test]
fn a_server_that_sends_byte_by_byte_is_understood() {
    for step in [1, 3, 64] {
        for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
            let mut world = World::new();
            world.echoes = false;
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let id = connect(&mut world, listener.local_addr().unwrap(), &client(), Config::default());
            let mut peer = TlsSocket::server(listener.accept().unwrap().0, server_config_of(versions));
            peer.stream.step = step;
            let head = world.head(&mut peer);
            let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            let accept = wireroom::handshake::accept_key(key);
            let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
            peer.send(format!("{head}Sec-WebSocket-Accept: {accept}\r\n\r\n"));
            peer.send(b"\x01\x02on\x80\x01e\x81\x00");
            world.until("open", |world| {
                peer.receive();
                is_open(world, id) && world.texts(id) == ["one", ""]
            });
        }
    }
}

#[test]
fn sixteen_mebibytes_go_both_ways_past_a_slow_reader() {
    const LENGTH: usize = 16 << 20;
    let large = || Config::builder().max_message_size(LENGTH + 1).max_send_buffer(LENGTH + 1).build().unwrap();
    let (mut world, address) = listening(server(), large());
    world.echoes = false;
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    let payload: Vec<u8> = (0..LENGTH).map(|at| (at / 251 + at) as u8).collect();
    peer.send(frame(0x82, &payload));
    world.until("the message", |world| {
        peer.stream.pump();
        world.seen.iter().any(|(_, seen)| matches!(seen, Seen::Binary(_)))
    });
    let Some((_, Seen::Binary(received))) = world.seen.pop() else { panic!() };
    assert!(received == payload, "it came otherwise");
    let _ = world.event_loop.connections().send(id, &payload[..]).unwrap();
    // Nobody reads, and nothing spins.
    world.spend(Duration::from_millis(50));
    assert!(world.rests());
    let waits = world.event_loop.connections().buffered_amount(id);
    assert!(waits > LENGTH / 2, "only {waits} bytes wait");
    let (first, echoed) = world.frame(&mut peer);
    assert_eq!(first, 0x82);
    assert!(echoed == payload, "it left otherwise");
    assert_eq!(world.event_loop.connections().buffered_amount(id), 0);
}

#[test]
fn twenty_thousand_small_frames_come_back_in_order() {
    let (mut world, address) = listening(server(), Config::default());
    let mut peer = TlsSocket::client(address, client_config());
    open(&mut world, &mut peer);
    let texts: Vec<String> = (0..20_000).map(|n| format!("{n}")).collect();
    let frames: Vec<u8> = texts.iter().flat_map(|text| frame(0x81, text)).collect();
    peer.send(frames);
    for text in &texts {
        let (first, payload) = world.frame(&mut peer);
        assert_eq!((first, &*payload), (0x81, text.as_bytes()));
    }
}

#[test]
fn a_paused_connection_does_not_hand_out_what_was_decrypted() {
    let (mut world, address) = listening(server(), Config::default());
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    world.event_loop.connections().pause(id);
    world.turn();
    peer.send([frame(0x81, "one"), frame(0x81, "two")].concat());
    world.spend(Duration::from_millis(50));
    assert!(world.texts(id).is_empty());
    world.event_loop.connections().resume(id);
    world.until("both", |world| world.texts(id) == ["one", "two"]);
}

#[test]
fn a_loud_peer_starves_nobody() {
    let (mut world, address) = listening(server(), Config::default());
    let mut loud = TlsSocket::client(address, client_config());
    let mut quiet = TlsSocket::client(address, client_config());
    open(&mut world, &mut loud);
    let id = open(&mut world, &mut quiet);
    world.echoes = false;
    // 8 MiB in messages of 1 KiB; a turn takes about one of them.
    let noise: Vec<u8> = (0..8 << 10).flat_map(|_| frame(0x82, [7; 1024])).collect();
    loud.send(noise);
    quiet.send(frame(0x81, "me too"));
    let mut most = 0;
    world.until("the quiet one", |world| {
        let before = world.event_loop.connections().stats().bytes_received;
        loud.stream.pump();
        world.turn_with(|_, _, event| assert!(!matches!(event, Event::Closed(_))));
        most = most.max(world.event_loop.connections().stats().bytes_received - before);
        world.texts(id) == ["me too"]
    });
    // The budget, and a read more; and the other's.
    assert!(most < 3 << 19, "{most} bytes in a turn");
}

#[test]
fn plain_http_is_served_and_kept_alive() {
    let mut world = World::new();
    let options = ListenOptions::new().tls(server());
    let verify = |_: ConnId, request: &Request<'_>| match request.is_upgrade() {
        true => request.allow_any_origin(),
        false => Response::text(200, request.target().len().to_string()).into(),
    };
    let address = world.event_loop.listen_with(loopback(), options, Config::default(), verify).unwrap();
    let mut peer = TlsSocket::client(address, client_config());
    for target in ["/", "/page", "/pages"] {
        peer.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let head = world.head(&mut peer);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        world.until("the body", |_| !peer.receive().is_empty());
        assert_eq!(std::mem::take(&mut peer.inbox), target.len().to_string().as_bytes());
    }
    let mut peer = TlsSocket::client(address, client_config());
    peer.send([UPGRADE.as_bytes(), &frame(0x81, "behind it")].concat());
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
    assert_eq!(world.frame(&mut peer), (0x81, b"behind it".to_vec()));
}
