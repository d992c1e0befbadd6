//! How many come in: in total, from one address, in one turn.

use std::{
    cell::Cell,
    net::{SocketAddr, TcpStream},
    rc::Rc,
    time::{Duration, Instant},
};

use wireroom::{
    Cause, Config, ConfigBuilder, ConnId,
    handshake::{ClientRequest, HandshakeError},
    http::Request,
};

use crate::support::{Peer, Seen, UPGRADE, World, any, loopback};

/// A listener with these limits, and how often its `verify` was asked.
fn limited(set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> (World, SocketAddr, Rc<Cell<usize>>) {
    let mut world = World::new();
    let asked = Rc::new(Cell::new(0));
    let count = asked.clone();
    let verify = move |_: ConnId, request: &Request<'_>| {
        count.set(count.get() + 1);
        request.allow_any_origin()
    };
    let config = set(Config::builder()).build().unwrap();
    let address = world.event_loop.listen(loopback(), config, verify).unwrap();
    (world, address, asked)
}

/// Why connections were refused, so far.
fn refusals(world: &World) -> Vec<&HandshakeError> {
    let ends =
        world.seen.iter().filter_map(|(_, seen)| if let Seen::Closed(closed) = seen { Some(closed) } else { None });
    ends.filter_map(|closed| if let Cause::Handshake(error) = &closed.cause { Some(error) } else { None }).collect()
}

#[test]
fn one_connection_more_than_the_limit_is_answered_503_and_a_place_that_is_free_again_is_taken() {
    let (mut world, address, asked) = limited(|config| config.max_connections(3));
    let (first, peer) = world.open(address);
    let (_second, _other) = world.open(address);
    // In any phase: this one has said nothing yet.
    let silent = Peer::connect(address);
    world.until("three", |world| world.event_loop.connections().len() == 3);
    assert_eq!(asked.get(), 2);

    let mut late = Peer::connect(address);
    late.send(UPGRADE);
    let head = world.head(&mut late);
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("\r\nConnection: close\r\n"), "{head}");
    world.end_of_stream(&mut late);
    assert_eq!((late.error, &*late.inbox), (None, &b"3 connections are open already\n"[..]));
    // What it says after that is read, so that no RST destroys the answer, and thrown away.
    late.send(UPGRADE);
    world.spend(Duration::from_millis(20));
    assert_eq!(asked.get(), 2);
    drop(late);
    let closed = world.next_closed();
    let told = matches!(closed.cause, Cause::Handshake(HandshakeError::TooManyConnections { limit: 3 }));
    assert!(told, "{closed}");
    let stats = world.event_loop.connections().stats();
    assert_eq!((stats.accepted, stats.connections, stats.refused_by_total, stats.refused_by_address), (4, 3, 1, 0));

    drop(peer);
    world.closed(first);
    drop(silent);
    world.until("two free places", |world| world.event_loop.connections().len() == 1);
    let held: Vec<_> = (0..2).map(|_| world.open(address)).collect();
    // A connection that is taken out of the loop leaves its place, too.
    world.event_loop.detach(held[0].0).unwrap();
    world.open(address);
    assert_eq!(world.event_loop.connections().stats().refused_by_total, 1);
}

#[test]
fn each_address_has_its_own_limit_and_is_answered_429() {
    let mut world = World::new();
    let config = Config::builder().max_connections_per_address(Some(2)).build().unwrap();
    let both: SocketAddr = "[::]:0".parse().unwrap();
    // A machine without IPv6 has one loopback address to come from only.
    let (four, six) = match world.event_loop.listen(both, config.clone(), any) {
        Ok(address) => {
            (SocketAddr::new([127, 0, 0, 1].into(), address.port()), Some(format!("[::1]:{}", address.port())))
        }
        Err(_) => (world.event_loop.listen(loopback(), config, any).unwrap(), None),
    };
    let held: Vec<_> = (0..2).map(|_| world.open(four)).collect();
    let mut late = Peer::connect(four);
    let head = world.head(&mut late);
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    world.end_of_stream(&mut late);
    assert_eq!(&*late.inbox, b"2 connections are open from this address already\n");
    drop(late);
    let closed = world.next_closed();
    let told = matches!(closed.cause, Cause::Handshake(HandshakeError::TooManyConnectionsFromAddress { limit: 2 }));
    assert!(told, "{closed}");
    let others: Vec<_> = six.map(|six| (0..2).map(|_| world.open(six.parse().unwrap())).collect()).unwrap_or_default();
    drop(held);
    world.until("free places", |world| world.event_loop.connections().len() == others.len());
    world.open(four);
    let stats = world.event_loop.connections().stats();
    assert_eq!((stats.refused_by_total, stats.refused_by_address, stats.refused_unanswered), (0, 1, 0));
}

#[cfg(unix)]
#[test]
fn on_a_unix_domain_socket_only_the_total_counts() {
    let path = std::env::temp_dir().join(format!("wireroom-limits-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let mut world = World::new();
    let config = Config::builder().max_connections(3).max_connections_per_address(Some(1)).build().unwrap();
    world.event_loop.listen_unix(&path, config, any).unwrap();
    let mut peers: Vec<_> =
        (0..4).map(|_| Peer::new(std::os::unix::net::UnixStream::connect(&path).unwrap())).collect();
    peers[..3].iter_mut().for_each(|peer| peer.send(UPGRADE));
    for peer in &mut peers[..3] {
        assert!(world.head(peer).starts_with("HTTP/1.1 101 "));
    }
    assert!(world.head(&mut peers[3]).starts_with("HTTP/1.1 503 "));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_crowd_beyond_the_limit_is_answered_64_at_a_time_and_holds_nothing_for_long() {
    let (mut world, address, asked) =
        limited(|config| config.max_connections(1).close_timeout(Duration::from_millis(300)));
    let (_id, mut held) = world.open(address);
    // They do not go away by themselves.
    let mut crowd: Vec<_> = (0..100).map(|_| Peer::connect(address)).collect();
    world.until("all are accepted", |world| world.event_loop.connections().stats().accepted == 101);
    world.until("all are answered or closed", |_| {
        crowd.iter_mut().for_each(|peer| _ = peer.receive());
        crowd.iter().all(|peer| peer.ended)
    });
    let answered = crowd.iter().filter(|peer| peer.inbox.starts_with(b"HTTP/1.1 503 ")).count();
    let unanswered = crowd.iter().filter(|peer| peer.inbox.is_empty()).count();
    assert_eq!((answered, unanswered), (64, 36));
    let stats = world.event_loop.connections().stats();
    assert_eq!((stats.connections, stats.refused_by_total, stats.refused_unanswered), (65, 64, 36));
    // The linger has a deadline.
    let start = Instant::now();
    world.until("one connection", |world| world.event_loop.connections().len() == 1);
    assert!(start.elapsed() < Duration::from_secs(3));
    let limit = HandshakeError::TooManyConnections { limit: 1 };
    assert_eq!(refusals(&world), vec![&limit; 64]);
    let mut late = Peer::connect(address);
    assert!(world.head(&mut late).starts_with("HTTP/1.1 503 "));
    assert_eq!(asked.get(), 1);
    held.send(crate::support::frame(0x81, "still here"));
    assert_eq!(world.frame(&mut held), (0x81, b"still here".to_vec()));
}

#[test]
fn a_client_is_told_the_status_of_its_refusal() {
    let (mut world, address, _) = limited(|config| config.max_connections(1));
    let _held = world.open(address);
    let request = ClientRequest::new(&format!("ws://{address}/")).unwrap();
    let client = world.event_loop.connect(address, request, Config::default()).unwrap();
    let closed = world.closed(client);
    let told = matches!(&closed.cause, Cause::Handshake(HandshakeError::Refused(refusal)) if refusal.status() == 503);
    assert!(told, "{closed}");
    // Its own connections out are not the listener's.
    world.until("the refused one has gone", |world| world.event_loop.connections().len() == 1);
}

#[test]
fn a_turn_accepts_no_more_than_its_budget() {
    let (mut world, address, _) = limited(|config| config.accept_budget(3));
    let mut peers: Vec<_> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut accepted = Vec::new();
    for _ in 0..3 {
        world.turn();
        accepted.push(world.event_loop.connections().stats().accepted);
    }
    assert_eq!(accepted, [3, 6, 8]);
    peers.clear();
    world.empty();
    assert!(world.rests());
}

#[test]
fn who_is_refused_and_resets_the_connection_is_told_as_refused() {
    let (mut world, address, _) = limited(|config| config.max_connections(1));
    let reset = |peer: Peer<TcpStream>| {
        socket2::SockRef::from(&peer.stream).set_linger(Some(Duration::ZERO)).unwrap();
    };
    let held = world.open(address);
    let mut late = Peer::connect(address);
    assert!(world.head(&mut late).starts_with("HTTP/1.1 503 "));
    reset(late);
    let cause = &world.next_closed().cause;
    assert!(matches!(cause, Cause::Handshake(HandshakeError::TooManyConnections { limit: 1 })), "{cause}");
    drop(held);
    world.empty();
    world.seen.clear();
    let mut bad = Peer::connect(address);
    bad.send("no request\r\n\r\n");
    assert!(world.head(&mut bad).starts_with("HTTP/1.1 400 "));
    reset(bad);
    let cause = &world.next_closed().cause;
    assert!(matches!(cause, Cause::Handshake(HandshakeError::Request(_))), "{cause}");
    world.seen.clear();
    // Who is not refused has no other end than that.
    let mut early = Peer::connect(address);
    early.send("GET / HT");
    world.until("it", |world| !world.event_loop.connections().is_empty());
    world.spend(Duration::from_millis(20));
    reset(early);
    let cause = &world.next_closed().cause;
    assert!(matches!(cause, Cause::Io(std::io::ErrorKind::ConnectionReset)), "{cause}");
    let stats = world.event_loop.connections().stats();
    assert_eq!([503, 400].map(|status| stats.handshakes_refused.of(status)), [1, 1]);
}
