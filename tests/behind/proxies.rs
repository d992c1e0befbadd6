//! The PROXY protocol on real sockets: who is believed, what is refused, where the address shows.

use std::{
    cell::RefCell,
    io::Write,
    net::{SocketAddr, TcpStream},
    rc::Rc,
    time::{Duration, Instant},
};

use wireroom::{
    Cause, Config, ConfigBuilder, ConnId, ListenOptions, ProxyProtocol,
    handshake::HandshakeError,
    http::{Network, Request},
    proxy_protocol::{Endpoints, ProxyError},
};

use crate::{
    headers::{raw, tlv, v1, v2, with_checksum},
    support::{PATIENCE, Peer, Seen, UPGRADE, World, frame, loopback},
};

const CLIENT: &str = "192.0.2.7:56324";
const SERVER: &str = "198.51.100.1:443";

fn local() -> Network {
    "127.0.0.0/8".parse().unwrap()
}

fn elsewhere() -> Network {
    "192.0.2.0/24".parse().unwrap()
}

/// The peers' addresses, as `verify` saw them.
type Asked = Rc<RefCell<Vec<Option<SocketAddr>>>>;

fn behind(proxies: ProxyProtocol, set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> (World, SocketAddr, Asked) {
    let mut world = World::new();
    let asked = Asked::default();
    let tell = asked.clone();
    let verify = move |_: ConnId, request: &Request<'_>| {
        tell.borrow_mut().push(request.peer_addr());
        request.allow_any_origin()
    };
    let options = ListenOptions::new().proxy_protocol(proxies);
    let config = set(Config::builder()).build().unwrap();
    let address = world.event_loop.listen_with(loopback(), options, config, verify).unwrap();
    (world, address, asked)
}

fn trusting(set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> (World, SocketAddr, Asked) {
    behind(ProxyProtocol::from_sources([local()]), set)
}

/// Sends this, and answers the head of the answer.
fn answer_to(world: &mut World, address: SocketAddr, bytes: &[u8]) -> (String, Peer<TcpStream>) {
    let mut peer = Peer::connect(address);
    peer.send(bytes);
    (world.head(&mut peer), peer)
}

fn last_opened(world: &World) -> ConnId {
    world.seen.iter().rfind(|(_, seen)| matches!(seen, Seen::Open)).unwrap().0
}

#[test]
fn the_address_in_the_header_is_the_peers_everywhere() {
    let (mut world, address, asked) = trusting(|config| config);
    for header in [v1(CLIENT, SERVER), v2(CLIENT, SERVER, &[]), with_checksum(CLIENT, SERVER, &tlv(2, b"a.example"))] {
        // With a first message right behind the request.
        let bytes = [&header[..], UPGRADE.as_bytes(), &frame(0x81, "early")].concat();
        let (head, mut peer) = answer_to(&mut world, address, &bytes);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(world.frame(&mut peer), (0x81, b"early".to_vec()));
        let id = last_opened(&world);
        assert_eq!(asked.borrow_mut().pop(), Some(CLIENT.parse().ok()));
        let connections = world.event_loop.connections();
        assert_eq!(connections.peer_addr(id), CLIENT.parse().ok());
        let told = connections.proxy_header(id).unwrap();
        assert_eq!(told.destination(), SERVER.parse().ok());
        drop(peer);
        world.closed(id);
        assert!(world.event_loop.connections().proxy_header(id).is_none());
    }
}

#[test]
fn a_header_may_come_in_two_pieces_cut_anywhere() {
    let (mut world, address, asked) = trusting(|config| config);
    for header in [v1("[2001:db8::7]:1", "[::1]:2"), with_checksum("[2001:db8::7]:1", "[::1]:2", &tlv(5, b"id"))] {
        let all = [&header[..], UPGRADE.as_bytes()].concat();
        for cut in 1..header.len() + 2 {
            let mut peer = Peer::connect(address);
            peer.send(&all[..cut]);
            // The first piece is read by itself.
            let received = world.event_loop.connections().stats().bytes_received;
            world.until("the first piece", |world| {
                world.event_loop.connections().stats().bytes_received == received + cut as u64
            });
            peer.send(&all[cut..]);
            assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "), "cut at {cut}");
            assert_eq!(asked.borrow_mut().pop(), Some("[2001:db8::7]:1".parse().ok()), "cut at {cut}");
        }
    }
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let (mut world, address, _) = trusting(|config| config);
    let mut peer = Peer::connect(address);
    for byte in [&v2(CLIENT, SERVER, &tlv(2, b"a.example"))[..], UPGRADE.as_bytes()].concat() {
        peer.send([byte]);
        world.turn();
    }
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
    let id = last_opened(&world);
    assert_eq!(world.event_loop.connections().proxy_header(id).unwrap().authority(), Some("a.example"));
}

#[test]
fn a_proxy_that_asks_for_itself_is_there_with_its_own_address() {
    let (mut world, address, asked) = trusting(|config| config);
    for header in [raw(0x20, 0, &[]), raw(0x21, 0, &[]), b"PROXY UNKNOWN\r\n".to_vec()] {
        let (head, peer) = answer_to(&mut world, address, &[&header[..], UPGRADE.as_bytes()].concat());
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let own = peer.stream.local_addr().ok();
        let id = last_opened(&world);
        assert_eq!(asked.borrow_mut().pop(), Some(own));
        assert_eq!(world.event_loop.connections().peer_addr(id), own);
        let endpoints = world.event_loop.connections().proxy_header(id).unwrap().endpoints();
        assert!(matches!(endpoints, Endpoints::Local | Endpoints::Unknown));
    }
}

#[test]
fn a_client_on_the_proxys_unix_socket_has_no_address() {
    let (mut world, address, asked) = trusting(|config| config.max_connections_per_address(Some(1)));
    let mut block = [0; 216];
    block[..6].copy_from_slice(b"/run/a");
    let header = raw(0x21, 0x31, &block);
    let held: Vec<_> = (0..3)
        .map(|_| answer_to(&mut world, address, &[&header[..], UPGRADE.as_bytes()].concat()))
        .inspect(|(head, _)| assert!(head.starts_with("HTTP/1.1 101 "), "{head}"))
        .collect();
    assert_eq!(*asked.borrow(), [None, None, None]);
    let id = last_opened(&world);
    assert_eq!(world.event_loop.connections().peer_addr(id), None);
    drop(held);
}

#[test]
fn from_a_proxy_the_header_is_required() {
    let (mut world, address, asked) = trusting(|config| config);
    let (head, mut peer) = answer_to(&mut world, address, UPGRADE.as_bytes());
    assert!(head.starts_with("HTTP/1.1 400 ") && head.contains("\r\nConnection: close\r\n"), "{head}");
    world.end_of_stream(&mut peer);
    let told = String::from_utf8(peer.inbox.clone()).unwrap();
    assert_eq!(told, "bad PROXY protocol header: the connection does not begin with a PROXY protocol header\n");
    drop(peer);
    let closed = world.next_closed();
    assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Proxy(ProxyError::Missing))), "{closed}");
    assert!(asked.borrow().is_empty());
    assert_eq!(world.event_loop.connections().stats().handshakes_refused.of(400), 1);
}

#[test]
fn what_is_wrong_with_a_header_is_answered_400_and_told() {
    let (mut world, address, asked) = trusting(|config| config);
    let mut broken = with_checksum(CLIENT, SERVER, &[]);
    broken[20] ^= 1;
    let cases = [
        (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n".to_vec(), "destination port"),
        ([b"PROXY TCP4 ", &[b'1'; 100][..]].concat(), "107 bytes"),
        (v2(CLIENT, SERVER, &tlv(4, &[0; 5000])), "at most 4096"),
        (broken, "checksum"),
        (raw(0x21, 0x11, &[0; 11]), "take 12"),
        (raw(0x2e, 0x11, &[0; 12]), "unknown command 14"),
    ];
    for (bytes, told) in cases {
        let (head, mut peer) = answer_to(&mut world, address, &[&bytes, UPGRADE.as_bytes()].concat());
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        world.end_of_stream(&mut peer);
        assert!(String::from_utf8_lossy(&peer.inbox).contains(told), "{told}");
        drop(peer);
        world.empty();
    }
    assert!(asked.borrow().is_empty(), "nothing behind a broken header is served");
}

#[test]
fn the_limit_on_the_headers_size_can_be_moved() {
    let proxies = ProxyProtocol::from_sources([local()]).max_header_size(8192);
    let (mut world, address, _) = behind(proxies, |config| config);
    for (padding, status) in [(8192 - 16 - 12 - 3, 101), (8192 - 16 - 12 - 2, 400)] {
        let header = v2(CLIENT, SERVER, &tlv(4, &vec![0; padding]));
        let (head, _peer) = answer_to(&mut world, address, &[&header, UPGRADE.as_bytes()].concat());
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[test]
fn who_is_not_named_is_refused_whatever_it_says() {
    let (mut world, address, asked) = behind(ProxyProtocol::from_sources([elsewhere()]), |config| config);
    for bytes in [UPGRADE.as_bytes().to_vec(), [&v1(CLIENT, SERVER)[..], UPGRADE.as_bytes()].concat(), Vec::new()] {
        let (head, mut peer) = answer_to(&mut world, address, &bytes);
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        world.end_of_stream(&mut peer);
        assert_eq!(&*peer.inbox, b"this server is reached by way of its proxy\n");
        drop(peer);
        let closed = world.next_closed();
        assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::NotFromProxy)), "{closed}");
        world.empty();
    }
    assert!(asked.borrow().is_empty());
    assert_eq!(world.event_loop.connections().stats().handshakes_refused.of(403), 3);
}

#[test]
fn a_lie_of_somebody_who_is_served_as_it_is_is_bytes_that_are_no_http() {
    let proxies = ProxyProtocol::from_sources([elsewhere()]).serve_others();
    let (mut world, address, asked) = behind(proxies, |config| config);
    for header in [v1(CLIENT, SERVER), v2(CLIENT, SERVER, &[])] {
        let (head, peer) = answer_to(&mut world, address, &[&header[..], UPGRADE.as_bytes()].concat());
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        drop(peer);
        world.empty();
    }
    assert!(asked.borrow().is_empty(), "{asked:?}");
    let (head, peer) = answer_to(&mut world, address, UPGRADE.as_bytes());
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(*asked.borrow(), [peer.stream.local_addr().ok()]);
}

#[test]
fn header_and_request_have_one_time_together() {
    let limit = Duration::from_millis(300);
    let (mut world, address, _) = trusting(|config| config.handshake_timeout(limit));
    // Silent; begun; a header and no request; and a request that comes slowly behind a slow header.
    for (bytes, answered) in [
        (Vec::new(), false),
        (b"PROXY TC".to_vec(), false),
        (v2(CLIENT, SERVER, &[])[..20].to_vec(), false),
        (v1(CLIENT, SERVER), false),
        ([&v1(CLIENT, SERVER)[..], b"GET / HT"].concat(), true),
    ] {
        let (half, start) = (bytes.len() / 2, Instant::now());
        let mut peer = Peer::connect(address);
        peer.send(&bytes[..half]);
        world.spend(limit / 2);
        peer.send(&bytes[half..]);
        world.end_of_stream(&mut peer);
        let took = start.elapsed();
        assert!(took >= limit && took < limit + Duration::from_secs(5), "{took:?} for {bytes:?}");
        assert_eq!(peer.inbox.starts_with(b"HTTP/1.1 408 "), answered, "{bytes:?}: {:?}", peer.inbox);
        drop(peer);
        let closed = world.next_closed();
        assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Timeout)), "{closed}");
        world.empty();
    }
    assert_eq!(world.event_loop.connections().stats().handshakes_timed_out, 5);
}

#[test]
fn behind_a_slow_header_the_time_does_not_begin_anew() {
    let (limit, wait) = (Duration::from_millis(1_000), Duration::from_millis(900));
    let (mut world, address, _) = trusting(|config| config.handshake_timeout(limit));
    let mut peer = Peer::connect(address);
    world.until("a connection", |world| world.event_loop.connections().len() == 1);
    let accepted = Instant::now();
    world.spend(wait);
    peer.send([&v1(CLIENT, SERVER)[..], b"GET / HT"].concat());
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 408 "));
    let took = accepted.elapsed();
    assert!(took < wait + limit - Duration::from_millis(300), "{took:?} in place of {limit:?}");
}

#[test]
fn a_proxy_that_goes_in_the_header_is_told_and_leaves_nothing() {
    let (mut world, address, _) = trusting(|config| config);
    for bytes in [&b""[..], b"PROXY TCP4", &v2(CLIENT, SERVER, &[])[..17], &v1(CLIENT, SERVER)] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
        drop(stream);
        let before = world.seen.len();
        world.until("an end", |world| world.seen.len() > before);
        let closed = world.next_closed();
        assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Eof)), "{bytes:?}: {closed}");
        world.empty();
    }
}

#[test]
fn the_clients_address_is_the_one_that_counts_and_is_answered_429() {
    let (mut world, address, _) = trusting(|config| config.max_connections_per_address(Some(2)));
    let from = |n: u8| format!("192.0.2.{n}:56324");
    let ask = |world: &mut World, from: &str| {
        answer_to(world, address, &[&v2(from, SERVER, &[])[..], UPGRADE.as_bytes()].concat())
    };
    // Many clients by way of one proxy.
    let mut held: Vec<_> = (0..10).flat_map(|n| [from(n), from(n)]).map(|from| ask(&mut world, &from)).collect();
    assert!(held.iter().all(|(head, _)| head.starts_with("HTTP/1.1 101 ")), "{:?}", held[0].0);
    let (head, mut late) = ask(&mut world, &from(3));
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    world.end_of_stream(&mut late);
    assert_eq!(&*late.inbox, b"2 connections are open from this address already\n");
    drop(late);
    let closed = world.next_closed();
    let told = HandshakeError::TooManyConnectionsFromAddress { limit: 2 };
    assert!(matches!(&closed.cause, Cause::Handshake(error) if *error == told), "{closed}");
    assert_eq!(world.event_loop.connections().stats().refused_by_address, 1);
    // A place that is free again is taken, by the same address only.
    held.remove(6);
    world.until("a free place", |world| world.event_loop.connections().len() == 19);
    assert!(ask(&mut world, &from(4)).0.starts_with("HTTP/1.1 429 "));
    assert!(ask(&mut world, &from(3)).0.starts_with("HTTP/1.1 101 "));
    drop(held);
    world.empty();
    let again = ask(&mut world, &from(3));
    assert!(again.0.starts_with("HTTP/1.1 101 "));
}

#[test]
fn before_its_header_a_connection_counts_in_the_total_and_behind_64_refusals_none_is_answered() {
    let (mut world, address, _) = trusting(|config| config.max_connections(70).max_connections_per_address(Some(1)));
    let silent: Vec<_> = (0..3).map(|_| Peer::connect(address)).collect();
    world.until("three", |world| world.event_loop.connections().len() == 3);
    let hello = [&v1(CLIENT, SERVER)[..], UPGRADE.as_bytes()].concat();
    let (head, _first) = answer_to(&mut world, address, &hello);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // Refused, and held open by their clients: those beyond 64 are ended at once, and their places are free.
    let mut late: Vec<_> = (0..66).map(|_| Peer::connect(address)).collect();
    world.until("seventy", |world| world.event_loop.connections().len() == 70);
    for peer in &mut late {
        peer.send(&hello);
    }
    world.until("the refusals", |world| world.event_loop.connections().stats().refused_unanswered == 2);
    assert_eq!(world.event_loop.connections().stats().refused_by_address, 64);
    // They have ended: by no status, for none was answered.
    assert_eq!(world.event_loop.connections().stats().handshakes_refused.of(429), 0);
    let mut answered = 0;
    for peer in &mut late {
        world.end_of_stream(peer);
        answered += usize::from(peer.inbox.starts_with(b"HTTP/1.1 429 "));
    }
    assert_eq!(answered, 64);
    drop((silent, late));
    world.until("one", |world| world.event_loop.connections().len() == 1);
}

#[test]
fn detached_and_adopted_it_keeps_what_was_told() {
    let (mut world, address, _) = trusting(|config| config);
    let bytes = [&v2(CLIENT, SERVER, &tlv(2, b"a.example"))[..], UPGRADE.as_bytes()].concat();
    let (_, mut peer) = answer_to(&mut world, address, &bytes);
    let id = last_opened(&world);
    let detached = world.event_loop.detach(id).unwrap();
    assert_eq!(world.event_loop.connections().peer_addr(id), None);
    let mut other = World::new();
    let id = other.event_loop.adopt(detached).unwrap();
    assert_eq!(other.event_loop.connections().peer_addr(id), CLIENT.parse().ok());
    assert_eq!(other.event_loop.connections().proxy_header(id).unwrap().authority(), Some("a.example"));
    peer.send(frame(0x81, "still there"));
    assert_eq!(other.frame(&mut peer).1, b"still there");
}

#[test]
fn a_drain_leaves_a_header_that_is_on_its_way_and_a_shutdown_does_not() {
    let (mut world, address, _) = trusting(|config| config);
    let mut peers: Vec<_> = (0..2).map(|_| Peer::connect(address)).collect();
    world.until("two", |world| world.event_loop.connections().len() == 2);
    world.event_loop.drain(Duration::ZERO).unwrap();
    world.spend(Duration::from_millis(20));
    assert!(world.event_loop.is_drained());
    peers[0].send([&v1(CLIENT, SERVER)[..], UPGRADE.as_bytes()].concat());
    assert!(world.head(&mut peers[0]).starts_with("HTTP/1.1 503 "));
    world.event_loop.shut_down(Duration::ZERO, PATIENCE).unwrap();
    world.end_of_stream(&mut peers[1]);
}

#[cfg(unix)]
#[test]
fn a_proxy_on_a_unix_domain_socket_is_named_unix() {
    let path = std::env::temp_dir().join(format!("wireroom-proxied-{}.sock", std::process::id()));
    let mut world = World::new();
    let asked = Asked::default();
    let tell = asked.clone();
    let options = ListenOptions::new()
        .proxy_protocol(ProxyProtocol::from_sources([Network::UNIX]))
        .unix(wireroom::UnixSocket::new().remove_on_stop());
    let verify = move |_: ConnId, request: &Request<'_>| {
        tell.borrow_mut().push(request.peer_addr());
        request.allow_any_origin()
    };
    world.event_loop.listen_unix_with(&path, options, Config::default(), verify).unwrap();
    let mut peer = Peer::new(std::os::unix::net::UnixStream::connect(&path).unwrap());
    peer.send([&v1(CLIENT, SERVER)[..], UPGRADE.as_bytes()].concat());
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
    assert_eq!(*asked.borrow(), [CLIENT.parse().ok()]);
    drop(world);
    assert!(!path.exists());
}
