//! TLS behind the header of a proxy, and answers to those for whom there is no place.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use wireroom::{
    Cause, Config, ConfigBuilder, ListenOptions, ProxyProtocol, TlsError,
    handshake::HandshakeError,
    http::Network,
    rustls::version::{TLS12, TLS13},
};

use crate::{
    headers::{tlv, v1, v2, with_checksum},
    kit::{TlsPeer, TlsSocket, client_config, client_config_of, listening, opened, server},
    support::{Peer, Seen, UPGRADE, World, any, frame, loopback},
};

const CLIENT: &str = "192.0.2.7:56324";
const SERVER: &str = "198.51.100.1:443";

fn local() -> Network {
    "127.0.0.0/8".parse().unwrap()
}

fn elsewhere() -> Network {
    "192.0.2.0/24".parse().unwrap()
}

/// An echo server with TLS behind such proxies.
fn behind(proxies: ProxyProtocol, set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> (World, SocketAddr) {
    let mut world = World::new();
    let options = ListenOptions::new().proxy_protocol(proxies).tls(server());
    let config = set(Config::builder()).build().unwrap();
    let address = world.event_loop.listen_with(loopback(), options, config, any).unwrap();
    (world, address)
}

fn trusting(set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> (World, SocketAddr) {
    behind(ProxyProtocol::from_sources([local()]), set)
}

fn headers() -> [Vec<u8>; 3] {
    [v1(CLIENT, SERVER), v2(CLIENT, SERVER, &[]), with_checksum(CLIENT, SERVER, &tlv(2, b"a.example"))]
}

/// A proxy that sends this header, and passes on what a client of TLS says.
fn proxy(address: SocketAddr, header: &[u8]) -> TlsPeer {
    let mut peer = TlsSocket::client(address, client_config());
    peer.stream.out.extend_from_slice(header);
    peer
}

fn is_accepted(peer: &mut TlsPeer) -> bool {
    let bytes = peer.receive();
    bytes.starts_with(b"HTTP/1.1 101 ") && bytes.ends_with(b"\r\n\r\n")
}

/// What it is answered, over TLS, up to the end.
fn answer(world: &mut World, peer: &mut TlsPeer) -> String {
    peer.send(UPGRADE);
    world.end_of_stream(peer);
    assert_eq!(peer.stream.fault, None);
    String::from_utf8_lossy(&peer.inbox).into_owned()
}

#[test]
fn the_client_is_whom_the_header_names_and_tls_is_echoed() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        for header in headers() {
            let (mut world, address) = trusting(|config| config);
            let mut peer = TlsSocket::client(address, client_config_of(versions));
            peer.stream.out.extend_from_slice(&header);
            peer.send([UPGRADE.as_bytes(), &frame(0x81, "early")].concat());
            assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
            assert_eq!(world.frame(&mut peer), (0x81, b"early".to_vec()));
            let id = opened(&world)[0];
            let connections = world.event_loop.connections();
            assert_eq!(connections.peer_addr(id), CLIENT.parse().ok());
            assert!(connections.tls(id).is_some());
            assert_eq!(connections.proxy_header(id).unwrap().destination(), SERVER.parse().ok());
            let large = vec![7; 300_000];
            peer.send(frame(0x82, &large));
            assert!(world.frame(&mut peer) == (0x82, large));
        }
    }
}

/// The header and the ClientHello, cut at each byte of both; and the same in single bytes.
#[test]
fn any_cut_of_header_and_hello_is_the_same() {
    for header in headers() {
        let (mut world, address) = trusting(|config| config);
        let mut probe = proxy(address, &header);
        probe.stream.step = 0;
        probe.receive();
        let length = probe.stream.out.len();
        assert!(length > header.len() + 100, "there is a hello");
        drop(probe);
        let mut open = Vec::new();
        // Some at a time, as the listener's backlog is not endless.
        for cuts in (1..=length).collect::<Vec<_>>().chunks(50) {
            let mut some: Vec<_> = cuts.iter().map(|cut| (*cut, proxy(address, &header))).collect();
            for (cut, peer) in &mut some {
                peer.stream.step = *cut;
                peer.receive();
                peer.stream.step = 0;
            }
            world.spend(Duration::from_millis(10));
            for (_, peer) in &mut some {
                peer.stream.step = usize::MAX;
                peer.send(UPGRADE);
            }
            for (cut, peer) in &mut some {
                world.until(format!("101 behind a cut at {cut}"), |_| is_accepted(peer));
            }
            open.extend(some);
        }
        assert_eq!(opened(&world).len(), length);
        for id in opened(&world) {
            assert_eq!(world.event_loop.connections().peer_addr(id), CLIENT.parse().ok());
        }
        let mut bytewise = proxy(address, &header);
        bytewise.stream.step = 1;
        bytewise.send(UPGRADE);
        world.until("101 to single bytes", |_| is_accepted(&mut bytewise));
    }
}

#[test]
fn behind_the_header_plain_http_is_told_that_this_is_tls() {
    let (mut world, address) = trusting(|config| config);
    for header in headers() {
        for is_cut in [false, true] {
            let mut peer = Peer::connect(address);
            if is_cut {
                peer.send(&header);
                world.spend(Duration::from_millis(10));
                peer.send(UPGRADE);
            } else {
                peer.send([&header, UPGRADE.as_bytes()].concat());
            }
            world.end_of_stream(&mut peer);
            let answer = String::from_utf8_lossy(&peer.inbox);
            assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("speaks TLS"), "{answer}");
            assert!(matches!(world.next_closed().cause, Cause::Tls(TlsError::PlainHttp)));
            world.seen.clear();
            world.empty();
        }
    }
}

#[test]
fn a_bad_header_ends_it_without_a_plain_word_to_a_client_of_tls() {
    let (mut world, address) = trusting(|config| config);
    let mut damaged = with_checksum(CLIENT, SERVER, &tlv(2, b"a.example"));
    *damaged.last_mut().unwrap() ^= 1;
    for header in [&b""[..], b"PROXY TCP4 192.0.2.7\r\n", &damaged] {
        let mut peer = proxy(address, header);
        peer.receive();
        let closed = world.next_closed();
        assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Proxy(_))), "{closed}");
        world.until("the end", |_| {
            peer.receive();
            peer.ended
        });
        // Plain text would tell it that the server speaks no TLS.
        assert_eq!(peer.stream.fault, None, "{header:?}");
        world.seen.clear();
        world.empty();
    }
}

#[test]
fn others_are_served_at_once_or_refused_as_the_listener_says() {
    let (mut world, address) = behind(ProxyProtocol::from_sources([elsewhere()]).serve_others(), |config| config);
    let mut peer = proxy(address, b"");
    peer.send(UPGRADE);
    world.until("101", |_| is_accepted(&mut peer));
    // A header is no TLS.
    let mut liar = Peer::connect(address);
    liar.send(v2(CLIENT, SERVER, &[]));
    assert!(matches!(world.next_closed().cause, Cause::Tls(TlsError::NotTls)));

    let (mut world, address) = behind(ProxyProtocol::from_sources([elsewhere()]), |config| config);
    let mut peer = proxy(address, b"");
    let answer = answer(&mut world, &mut peer);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[test]
fn one_time_spans_header_tls_and_request() {
    // Nothing, half a header, a header, half a hello, a hello alone, TLS without a request.
    let header = v2(CLIENT, SERVER, &[]);
    let length = header.len();
    for step in [0, length / 2, length, length + 50, length + 10_000, usize::MAX] {
        let (mut world, address) = trusting(|config| config.handshake_timeout(Duration::from_millis(300)));
        let start = Instant::now();
        let mut peer = proxy(address, &header);
        peer.stream.step = step;
        peer.receive();
        if step != usize::MAX {
            peer.stream.step = 0;
        }
        world.until("the end", |world| {
            peer.receive();
            world.seen.iter().any(|(_, seen)| matches!(seen, Seen::Closed(_)))
        });
        let closed = world.next_closed();
        assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Timeout)), "{step}: {closed}");
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_millis(290) && elapsed < Duration::from_secs(3), "{step}: {elapsed:?}");
        world.empty();
    }
}

#[test]
fn too_many_of_an_address_are_answered_429_over_tls() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let limited = Config::builder().max_connections_per_address(Some(1)).build().unwrap();
        let (mut world, address) = listening(server(), limited);
        let connect = || TlsSocket::client(address, client_config_of(versions));
        let mut first = connect();
        first.send(UPGRADE);
        world.until("101", |_| is_accepted(&mut first));
        let told = answer(&mut world, &mut connect());
        assert!(told.starts_with("HTTP/1.1 429 ") && told.contains("from this address"), "{told}");
        assert_eq!(world.event_loop.connections().stats().refused_by_address, 1);
        drop(first);
        world.empty();
        let mut again = connect();
        again.send(UPGRADE);
        world.until("101 again", |_| is_accepted(&mut again));
    }
}

#[test]
fn behind_a_proxy_the_clients_address_is_the_one_that_counts() {
    for header in headers() {
        let (mut world, address) = trusting(|config| config.max_connections_per_address(Some(1)));
        let mut first = proxy(address, &header);
        first.send(UPGRADE);
        world.until("101", |_| is_accepted(&mut first));
        let told = answer(&mut world, &mut proxy(address, &header));
        assert!(told.starts_with("HTTP/1.1 429 "), "{told}");
        let mut other = proxy(address, &v1("192.0.2.8:1", SERVER));
        other.send(UPGRADE);
        world.until("101 for another client", |_| is_accepted(&mut other));
    }
}

#[test]
fn one_more_than_the_most_connections_is_answered_503_over_tls() {
    for proxied in [false, true] {
        let (mut world, address) = if proxied {
            trusting(|config| config.max_connections(1))
        } else {
            listening(server(), Config::builder().max_connections(1).build().unwrap())
        };
        let header = if proxied { v1(CLIENT, SERVER) } else { Vec::new() };
        let mut first = proxy(address, &header);
        first.send(UPGRADE);
        world.until("101", |_| is_accepted(&mut first));
        let told = answer(&mut world, &mut proxy(address, &header));
        assert!(told.starts_with("HTTP/1.1 503 "), "{proxied}: {told}");
    }
}

/// Before the header of its proxy has come nothing can be said to it, for that is said over TLS.
#[test]
fn who_is_refused_behind_a_header_has_the_time_of_a_refusal_and_not_that_of_a_request() {
    let header = v2(CLIENT, SERVER, &[]);
    let length = header.len();
    // Nothing, half a header, a header, half a hello.
    for step in [0, length / 2, length, length + 50] {
        let time = Duration::from_millis(300);
        let (mut world, address) =
            trusting(|config| config.max_connections(1).close_timeout(time).handshake_timeout(Duration::from_secs(60)));
        let mut first = proxy(address, &header);
        first.send(UPGRADE);
        world.until("101", |_| is_accepted(&mut first));
        let start = Instant::now();
        let mut peer = proxy(address, &header);
        peer.stream.step = step;
        peer.receive();
        peer.stream.step = 0;
        let closed = world.next_closed();
        assert!(
            matches!(closed.cause, Cause::Handshake(HandshakeError::TooManyConnections { .. })),
            "{step}: {closed}"
        );
        let elapsed = start.elapsed();
        assert!(elapsed >= time - Duration::from_millis(10) && elapsed < 4 * time, "{step}: {elapsed:?}");
        let stats = world.event_loop.connections().stats();
        assert_eq!((stats.connections, stats.refused_by_total, stats.handshakes_timed_out), (1, 1, 0));
    }
}

#[test]
fn the_time_of_a_refusal_is_not_given_anew_behind_the_header() {
    let time = Duration::from_millis(600);
    let (mut world, address) = trusting(|config| config.max_connections(1).close_timeout(time));
    let header = v1(CLIENT, SERVER);
    let mut first = proxy(address, &header);
    first.send(UPGRADE);
    world.until("101", |_| is_accepted(&mut first));
    let start = Instant::now();
    let mut peer = proxy(address, &header);
    peer.stream.step = 0;
    peer.receive();
    world.spend(time * 2 / 3);
    peer.stream.step = header.len();
    peer.receive();
    peer.stream.step = 0;
    let closed = world.next_closed();
    assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::TooManyConnections { .. })), "{closed}");
    assert!(start.elapsed() < time * 3 / 2, "{:?}", start.elapsed());
}

#[test]
fn who_is_refused_and_hangs_up_before_its_header_is_told_as_refused() {
    let (mut world, address) = trusting(|config| config.max_connections(1));
    let mut first = proxy(address, &v1(CLIENT, SERVER));
    first.send(UPGRADE);
    world.until("101", |_| is_accepted(&mut first));
    for by_reset in [false, true] {
        let peer = Peer::connect(address);
        world.until("it", |world| world.event_loop.connections().len() == 2);
        let linger = by_reset.then_some(Duration::ZERO);
        socket2::SockRef::from(&peer.stream).set_linger(linger).unwrap();
        drop(peer);
        let closed = world.next_closed();
        assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::TooManyConnections { .. })), "{closed}");
        world.seen.clear();
    }
    let stats = world.event_loop.connections().stats();
    // Nothing was answered.
    assert_eq!((stats.refused_by_total, stats.handshakes_cut_off, stats.handshakes_refused.of(503)), (2, 0, 0));
}
