//! Addresses in turn.

use std::{
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use wireroom::{Cause, ConnectError, ConnectOptions, FailedAttempt, handshake::HandshakeError};

use crate::{
    servers::{dead, listener, nobody},
    support::{Peer, World},
};

fn resolves_to(addresses: Vec<SocketAddr>) -> ConnectOptions {
    ConnectOptions::new().resolver(move |host, _| {
        assert_eq!(host, "chat.test");
        Ok(addresses.clone())
    })
}

#[test]
fn an_address_needs_no_resolver_and_the_id_is_the_same_from_the_beginning() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let options = ConnectOptions::new().resolver(|_, _| panic!("asked"));
    let id = world.connect_to(&format!("ws://{address}/chat?x"), options);
    assert_eq!(world.event_loop.connections().len(), 1);
    let mut server = world.accept(&listener);
    let head = world.serves(&mut server, id);
    assert!(head.starts_with("GET /chat?x HTTP/1.1\r\n"), "{head}");
    assert_eq!(world.event_loop.connections().peer_addr(id), Some(address));
    drop(server);
    world.closed(id);
    world.empty();
    assert!(world.rests());
}

#[test]
fn rfc8305_ipv6_first_and_ipv4_when_it_refuses() {
    let (first, v6) = listener("[::1]:0");
    let (second, v4) = listener("127.0.0.1:0");
    let mut world = World::new();
    let id = world.connect_to("ws://chat.test/", resolves_to(vec![v4, v6]));
    let mut server = world.accept(&first);
    world.serves(&mut server, id);
    assert!(second.accept().is_err(), "nobody came by IPv4");
    drop(first);
    let id = world.connect_to("ws://chat.test/", resolves_to(vec![v4, v6]));
    let mut server = world.accept(&second);
    let head = world.serves(&mut server, id);
    assert!(head.contains("Host: chat.test\r\n"), "{head}");
}

#[test]
fn localhost_is_both_families() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let id = world.connect_to(&format!("ws://localhost:{}/", address.port()), ConnectOptions::new());
    let mut server = world.accept(&listener);
    world.serves(&mut server, id);
}

#[test]
fn when_all_fail_the_error_tells_of_each() {
    let (v6, v4) = (nobody("[::1]:0"), nobody("127.0.0.1:0"));
    let mut world = World::new();
    let id = world.connect_to("ws://chat.test/", resolves_to(vec![v4, v6]));
    let error = io::ErrorKind::ConnectionRefused;
    let attempts = [v6, v4].map(|address| FailedAttempt { address, error }).to_vec();
    assert_eq!(world.unreached(id), ConnectError::Unreachable { attempts });
    let told = world.closed(id).to_string();
    assert_eq!(
        told,
        format!("connecting: no address could be reached: {v6}: connection refused; {v4}: connection refused")
    );
    assert_eq!(world.event_loop.connections().stats().causes.connect, 1);
    world.empty();
    assert!(world.rests());
}

#[test]
fn a_dead_address_has_its_time_and_then_the_next_is_tried() {
    let (dead, _held) = dead();
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let options = resolves_to(vec![dead, address]).attempt_timeout(Duration::from_millis(200));
    let start = Instant::now();
    let id = world.connect_to("ws://chat.test/", options);
    let mut server = world.accept(&listener);
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(200) && elapsed < Duration::from_millis(1_500), "{elapsed:?}");
    world.serves(&mut server, id);
}

#[test]
fn an_address_has_no_more_than_its_share_of_the_time() {
    let (dead, _held) = dead();
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let start = Instant::now();
    let id = world.connect_within("ws://chat.test/", resolves_to(vec![dead, address]), 1_000);
    let mut server = world.accept(&listener);
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(490) && elapsed < Duration::from_millis(900), "{elapsed:?}");
    world.serves(&mut server, id);
}

#[test]
fn dead_addresses_end_with_the_handshake_timeout_and_each_is_told() {
    let (dead, _held) = dead();
    let mut world = World::new();
    let id = world.connect_within("ws://chat.test/", resolves_to(vec![dead]), 300);
    let elapsed = world.time_to_end(id);
    assert!(elapsed >= Duration::from_millis(290) && elapsed < Duration::from_millis(1_000), "{elapsed:?}");
    // Its share is all of the time: whichever comes first.
    match &world.closed(id).cause {
        Cause::Handshake(HandshakeError::Timeout) => {}
        Cause::Connect(error) => {
            let error = ConnectError::clone(error);
            let attempts = vec![FailedAttempt { address: dead, error: io::ErrorKind::TimedOut }];
            assert_eq!(error, ConnectError::Unreachable { attempts });
        }
        other => panic!("{other}"),
    }
    world.empty();
}

#[test]
fn so_many_addresses_are_tried_and_no_more() {
    for most in [1, 2, 3] {
        let refusing: Vec<_> = (0..2).map(|_| nobody("127.0.0.1:0")).collect();
        let (listener, address) = listener("127.0.0.1:0");
        let mut world = World::new();
        let options = resolves_to([&refusing[..], &[address]].concat()).max_addresses(most);
        let id = world.connect_to("ws://chat.test/", options);
        if most == 3 {
            let mut server = world.accept(&listener);
            world.serves(&mut server, id);
        } else {
            match world.unreached(id) {
                ConnectError::Unreachable { attempts } => assert_eq!(attempts.len(), most),
                other => panic!("{other}"),
            }
        }
    }
}

#[test]
fn an_abort_and_a_shutdown_end_an_attempt_that_is_under_way() {
    let (dead, _held) = dead();
    let mut world = World::new();
    let aborted = world.connect_to("ws://chat.test/", resolves_to(vec![dead]));
    world.spend(Duration::from_millis(50));
    world.event_loop.connections().abort(aborted);
    assert!(matches!(world.closed(aborted).cause, Cause::Aborted));
    world.empty();
    let id = world.connect_to("ws://chat.test/", resolves_to(vec![dead]));
    world.spend(Duration::from_millis(50));
    world.event_loop.shut_down(Duration::ZERO, Duration::from_secs(1)).unwrap();
    assert!(matches!(world.closed(id).cause, Cause::Aborted));
    world.until("the shutdown", |world| world.event_loop.is_shut_down());
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up_in_time() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let id = world.connect_within(&format!("ws://{address}/"), ConnectOptions::new(), 200);
    let _server: Peer<_> = world.accept(&listener);
    assert!(matches!(world.closed(id).cause, Cause::Handshake(HandshakeError::Timeout)));
    world.empty();
}
