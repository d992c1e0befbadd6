//! Peers that break TLS, or do not speak it.

use std::{
    io::Write,
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use wireroom::{
    Cause, Config, TlsError,
    handshake::HandshakeError,
    rustls::{AlertDescription, Error, version},
};

use crate::{
    kit::{TlsSocket, client, client_config, client_config_of, connect, listening, open, request, server},
    support::{PATIENCE, Peer, Seen, UPGRADE, World, frame},
};

fn quick() -> Config {
    Config::builder().handshake_timeout(Duration::from_millis(200)).build().unwrap()
}

fn told(world: &mut World) -> TlsError {
    let told = match &world.next_closed().cause {
        Cause::Tls(error) => error.clone(),
        cause => panic!("{cause}"),
    };
    world.seen.clear();
    told
}

#[test]
fn plain_http_on_the_port_is_answered_and_closed() {
    let (mut world, address) = listening(server(), Config::default());
    for step in [1, 3, usize::MAX] {
        let mut peer = Peer::connect(address);
        for bytes in UPGRADE.as_bytes().chunks(step.min(UPGRADE.len())) {
            // What comes behind the first four bytes meets a closed socket, perhaps.
            let _ = peer.stream.write_all(bytes);
            world.turn();
            if !peer.receive().is_empty() {
                break;
            }
        }
        world.end_of_stream(&mut peer);
        let answer = String::from_utf8_lossy(&peer.inbox);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{step}: {answer}");
        assert!(answer.contains("this port speaks TLS"), "{answer}");
        assert_eq!(told(&mut world), TlsError::PlainHttp);
        world.empty();
    }
}

#[test]
fn what_is_not_tls_gets_an_alert() {
    let (mut world, address) = listening(server(), Config::default());
    for garbage in [
        &b"\x00\x01\x02\x03\x04\x05"[..],
        b"get / http/1.1\r\n",
        b"SSH-2.0-x\r\n",
        &[0xff; 300],
        &vec![0xff; 600_000],
        b"\x16\x09\x09\x00\x05",
    ] {
        let mut peer = Peer::connect(address);
        let mut rest = garbage;
        while !rest.is_empty() {
            match peer.send_some(rest) {
                0 => break,
                n => rest = &rest[n..],
            }
        }
        world.end_of_stream(&mut peer);
        assert_eq!(peer.inbox.first(), Some(&21), "{:.20?} gets {:?}", garbage, peer.inbox);
        assert_eq!(peer.error, None, "a reset, behind {}", garbage.len());
        assert_eq!(told(&mut world), TlsError::NotTls);
        world.empty();
    }
}

#[test]
fn a_client_tells_that_the_server_does_not_speak_tls() {
    let mut world = World::new();
    let answers = [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9.9\r\n", &[0; 100]];
    for answer in answers {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        connect(&mut world, listener.local_addr().unwrap(), &client(), Config::default());
        let mut peer = Peer::new(listener.accept().unwrap().0);
        world.until("a ClientHello", |_| !peer.receive().is_empty());
        assert_eq!(peer.inbox[0], 22);
        peer.send(answer);
        assert_eq!(told(&mut world), TlsError::NotTls, "{answer:?}");
    }
    // A plain listener of our own answers 400, which is as clear.
    let (mut world, address) = World::listening(Config::default());
    let id = world.event_loop.connect_tls(address, request(address), &client(), Config::default()).unwrap();
    let Cause::Tls(error) = &world.closed(id).cause else { panic!() };
    assert_eq!(*error, TlsError::NotTls);
}

#[test]
fn an_end_after_any_byte_of_the_handshake_is_told() {
    let (mut world, address) = listening(server(), Config::default());
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        let mut last = TlsError::Eof;
        for length in 0.. {
            let mut peer = TlsSocket::client(address, client_config_of(versions));
            peer.stream.step = 0;
            let mut left = length;
            // As many bytes of its handshake as that, and then no more.
            let start = Instant::now();
            while left > 0 && peer.stream.tls.is_handshaking() && start.elapsed() < PATIENCE {
                peer.receive();
                let now = left.min(peer.stream.out.len());
                let bytes: Vec<u8> = peer.stream.out.drain(..now).collect();
                peer.stream.stream.write_all(&bytes).unwrap();
                left -= now;
                world.turn();
            }
            peer.receive();
            let now = left.min(peer.stream.out.len());
            let bytes: Vec<u8> = peer.stream.out.drain(..now).collect();
            peer.stream.stream.write_all(&bytes).unwrap();
            let whole = now < left;
            peer.stream.stream.shutdown(Shutdown::Write).unwrap();
            // (`next_closed` also waits for what must not follow.)
            world.until(length, |world| world.seen.iter().any(|(_, seen)| matches!(seen, Seen::Closed(_))));
            let Some((_, Seen::Closed(closed))) = world.seen.pop() else { panic!("{length}") };
            match &closed.cause {
                Cause::Tls(TlsError::Eof) => assert_eq!(last, TlsError::Eof, "{length}"),
                // The handshake was whole.
                Cause::Handshake(HandshakeError::Eof) => last = TlsError::Truncated,
                cause => panic!("{length}: {cause}"),
            }
            if whole {
                assert!(length > 200 && last == TlsError::Truncated, "{length}");
                break;
            }
        }
    }
    world.empty();
}

#[test]
fn silence_ends_at_the_deadline_on_both_sides() {
    let (mut world, address) = listening(server(), quick());
    for bytes in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01", b"GE"] {
        let mut peer = Peer::connect(address);
        peer.send(bytes);
        let start = Instant::now();
        let cause = &world.next_closed().cause;
        assert!(matches!(cause, Cause::Handshake(HandshakeError::Timeout)), "{bytes:?}: {cause}");
        let took = start.elapsed();
        assert!(took > Duration::from_millis(100) && took < Duration::from_secs(2), "{took:?}");
        world.seen.clear();
        world.empty();
    }
    // One that is slow and not silent has no more time.
    let mut peer = TlsSocket::client(address, client_config());
    peer.stream.step = 1;
    let start = Instant::now();
    while world.seen.is_empty() {
        assert!(start.elapsed() < PATIENCE);
        peer.receive();
        world.spend(Duration::from_millis(10));
    }
    assert!(matches!(world.next_closed().cause, Cause::Handshake(HandshakeError::Timeout)));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let id = connect(&mut world, listener.local_addr().unwrap(), &client(), quick());
    assert!(matches!(world.closed(id).cause, Cause::Handshake(HandshakeError::Timeout)));
    world.empty();
}

#[test]
fn a_corrupt_record_gets_an_alert_behind_the_messages_before_it() {
    let (mut world, address) = listening(server(), Config::default());
    world.echoes = false;
    for versions in [&[&version::TLS12][..], &[&version::TLS13]] {
        for spoilt in [0, 5, 12, 20] {
            let mut peer = TlsSocket::client(address, client_config_of(versions));
            let id = open(&mut world, &mut peer);
            peer.stream.step = 0;
            peer.send(frame(0x81, "whole"));
            let whole = peer.stream.out.len();
            peer.send(frame(0x81, "spoilt"));
            peer.stream.out[whole + spoilt] ^= 0x40;
            peer.send(frame(0x81, "behind"));
            peer.stream.step = usize::MAX;
            world.end_of_stream(&mut peer);
            let Some(Error::AlertReceived(alert)) = peer.stream.fault else { panic!("{:?}", peer.stream.fault) };
            let closed = world.closed(id);
            match (&closed.cause, spoilt) {
                (Cause::Tls(TlsError::Corrupt), 1..) => assert_eq!(alert, AlertDescription::BadRecordMac),
                (Cause::Tls(TlsError::Misbehaved(_)), 0) => assert_eq!(alert, AlertDescription::DecodeError),
                (cause, _) => panic!("{spoilt}: {cause}"),
            }
            assert_eq!(world.texts(id), ["whole"]);
        }
    }
}

/// Sends records until the connection ends, or so many bytes.
fn flood(world: &mut World, address: SocketAddr, first: &[u8], again: &[u8], most: usize) -> (TlsError, usize) {
    let mut peer = Peer::connect(address);
    peer.send(first);
    let again = again.repeat(1000);
    let (mut at, mut sent) = (0, 0);
    let start = Instant::now();
    while world.seen.is_empty() && sent < most {
        assert!(start.elapsed() < PATIENCE, "{sent} bytes");
        at += peer.stream.write(&again[at..]).unwrap_or(0);
        if at == again.len() {
            (at, sent) = (0, sent + at);
        }
        world.turn();
    }
    (told(world), sent)
}

#[test]
fn a_handshake_message_has_a_limit() {
    let (mut world, address) = listening(server(), Config::default());
    // A ClientHello of 64 KiB and more, by its own words.
    let (error, _) =
        flood(&mut world, address, b"\x16\x03\x01\x00\x04\x01\x01\x00\x00", b"\x16\x03\x01\x00\x01x", 1 << 20);
    assert!(matches!(error, TlsError::Misbehaved(_)), "{error}");
    // One below it, byte by byte, each in a record of its own: the records count.
    let (error, sent) =
        flood(&mut world, address, b"\x16\x03\x01\x00\x04\x01\x00\xff\xf0", b"\x16\x03\x01\x00\x01x", 4 << 20);
    assert_eq!(error, TlsError::HandshakeTooLarge { limit: 96 << 10 });
    assert!(sent < 2 << 20, "{sent}");
    // Nothing, over and over.
    let (error, _) = flood(&mut world, address, b"", b"\x16\x03\x01\x00\x00", 1 << 20);
    assert!(matches!(error, TlsError::Misbehaved(_) | TlsError::NotTls), "{error}");
    world.empty();
}

#[test]
fn keys_can_be_changed_and_a_flood_of_that_ends() {
    let (mut world, address) = listening(server(), Config::default());
    let mut peer = TlsSocket::client(address, client_config());
    let id = open(&mut world, &mut peer);
    for _ in 0..100 {
        peer.stream.tls.refresh_traffic_keys().unwrap();
        peer.send(frame(0x81, "with new keys"));
        assert_eq!(world.frame(&mut peer), (0x81, b"with new keys".to_vec()));
    }
    for _ in 0..40 {
        peer.stream.tls.refresh_traffic_keys().unwrap();
        peer.stream.pump();
    }
    let closed = world.closed(id);
    assert!(matches!(&closed.cause, Cause::Tls(TlsError::Misbehaved(what)) if what.contains("KeyUpdate")), "{closed}");
}

#[test]
fn a_full_house_is_told_inside_tls() {
    let config = Config::builder().max_connections(1).build().unwrap();
    let (mut world, address) = listening(server(), config);
    let mut first = TlsSocket::client(address, client_config());
    open(&mut world, &mut first);
    let mut second = TlsSocket::client(address, client_config());
    second.send(UPGRADE);
    let head = world.head(&mut second);
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    second.stream.tls.send_close_notify();
    world.end_of_stream(&mut second);
    assert_eq!(second.error, None);
    // Who does not even begin holds its place for the close timeout only, and there are 64 such places.
    let silent: Vec<TcpStream> = (0..70).map(|_| TcpStream::connect(address).unwrap()).collect();
    world.until("some of them", |world| world.event_loop.connections().stats().refused_unanswered > 0);
    assert!(world.event_loop.connections().len() <= 65);
    drop(silent);
}
