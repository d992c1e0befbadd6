//! SOCKS5 proxies by hand.

use std::{net::Shutdown, time::Duration};

use wireroom::{
    Cause, ConnectError, ConnectOptions,
    handshake::HandshakeError,
    proxy::{Proxy, ProxyError},
};

use crate::{
    servers::{listener, upgrade},
    support::World,
};

fn by(url: &str) -> ConnectOptions {
    ConnectOptions::new().proxy(Proxy::from_url(url).unwrap()).resolver(|host, _| panic!("{host} was looked up"))
}

#[test]
fn a_tunnel_by_name_with_user_and_password_in_single_bytes_and_with_early_ones() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    world.echoes = false;
    let id = world.connect_to("ws://chat.test:8080/", by(&format!("socks5h://us:pass@{address}")));
    let mut proxy = world.accept(&listener);
    assert_eq!(world.bytes(&mut proxy, 4), b"\x05\x02\x00\x02");
    proxy.send(b"\x05");
    world.spend(Duration::from_millis(5));
    assert!(proxy.receive().is_empty(), "it waits for the rest");
    proxy.send(b"\x02");
    assert_eq!(world.bytes(&mut proxy, 9), b"\x01\x02us\x04pass");
    proxy.send(b"\x01\x00");
    assert_eq!(world.bytes(&mut proxy, 16), b"\x05\x01\x00\x03\x09chat.test\x1f\x90");
    for byte in b"\x05\x00\x00\x03\x04name\x12\x34" {
        proxy.send([*byte]);
        world.spend(Duration::from_millis(1));
    }
    let head = world.head(&mut proxy);
    assert!(head.starts_with("GET / HTTP/1.1\r\nHost: chat.test:8080\r\n"), "{head}");
    proxy.send([upgrade(&head).as_bytes(), b"\x81\x05hello"].concat());
    world.until("hello", |world| world.texts(id) == ["hello"]);

    let id = world.connect_to("ws://[::1]:8080/", by(&format!("socks5://{address}")));
    let mut proxy = world.accept(&listener);
    assert_eq!(world.bytes(&mut proxy, 3), b"\x05\x01\x00");
    proxy.send(b"\x05\x00");
    assert_eq!(world.bytes(&mut proxy, 22), b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1f\x90");
    proxy.send(b"\x05\x00\x00\x01\0\0\0\0\0\0HTTP/1.1 404 Gone\r\nContent-Length: 0\r\n\r\n");
    match &world.closed(id).cause {
        Cause::Handshake(HandshakeError::Refused(refusal)) => assert_eq!(refusal.status(), 404),
        other => panic!("{other}"),
    }
}

#[test]
fn every_reply_code_is_an_error_with_its_meaning() {
    let meanings = [
        "general SOCKS server failure",
        "connection not allowed by its ruleset",
        "network unreachable",
        "host unreachable",
        "connection refused by the host",
        "TTL expired",
        "command not supported",
        "address type not supported",
        "unassigned reply 9",
    ];
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    for (code, meaning) in (1_u8..).zip(meanings) {
        let id = world.connect_to("ws://chat.test/", by(&format!("socks5://{address}")));
        let mut proxy = world.accept(&listener);
        let _ = world.bytes(&mut proxy, 3);
        proxy.send(b"\x05\x00");
        let _ = world.bytes(&mut proxy, 16);
        proxy.send([5, code, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(world.closed(id).to_string(), format!("connecting: the proxy refused: {meaning}"));
    }
    world.empty();
    assert!(world.rests());
}

#[test]
fn what_else_a_proxy_may_say_and_what_is_none() {
    let (listener, address) = listener("127.0.0.1:0");
    for (answer, expected) in [
        (&b"\x05\xff"[..], ProxyError::NoMethod),
        (b"\x05\x02\x01\x01", ProxyError::WrongCredentials),
        (b"\x05\x01", ProxyError::NotSocks5 { what: "the method", byte: 1 }),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ProxyError::NotSocks5 { what: "the version", byte: b'H' }),
        (b"", ProxyError::Eof),
        (b"\x05\x00\x05\x00\x00\x03\xff", ProxyError::Eof),
    ] {
        let mut world = World::new();
        let id = world.connect_to("ws://chat.test/", by(&format!("socks5://mallory:sesame@{address}")));
        let mut proxy = world.accept(&listener);
        let _ = world.bytes(&mut proxy, 4);
        proxy.send(answer);
        // It reads what we have to say, so that its end is one of the stream and no reset.
        world.spend(Duration::from_millis(20));
        proxy.receive();
        proxy.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(world.unreached(id), ConnectError::Proxy(expected), "{answer:?}");
        let closed = world.closed(id);
        let told = format!("{closed} {closed:?}");
        assert!(!told.contains("sesame") && !told.contains("mallory"), "{told}");
    }
}

#[test]
fn a_proxy_that_hangs_is_given_up_in_time() {
    let (listener, address) = listener("127.0.0.1:0");
    for answer in [&b""[..], b"\x05\x00", b"\x05\x00\x05\x00\x00"] {
        let mut world = World::new();
        let id = world.connect_within("ws://chat.test/", by(&format!("socks5://{address}")), 200);
        let mut proxy = world.accept(&listener);
        proxy.send(answer);
        assert!(matches!(world.closed(id).cause, Cause::Handshake(HandshakeError::Timeout)), "{answer:?}");
        world.empty();
    }
}
