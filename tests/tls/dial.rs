//! `connect_to` with `wss://`: by name, through proxies written by hand.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use wireroom::{
    Cause, ClientTls, Config, ConnId, ConnectError, ConnectOptions, TlsError,
    handshake::{ClientRequest, HandshakeError},
    proxy::{Proxy, ProxyError},
    rustls,
};

use crate::{
    kit::{TlsPeer, TlsSocket, client, is_open, listening, server, server_config, trusting},
    servers::{dead, listener, nobody, upgrade},
    support::{Peer, World},
};

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

pub(crate) fn options() -> ConnectOptions {
    ConnectOptions::new().tls(client())
}

pub(crate) fn by(scheme: &str, proxy: SocketAddr) -> ConnectOptions {
    let proxy = Proxy::from_url(&format!("{scheme}://{proxy}")).unwrap();
    // Whoever is asked for the server's address is the proxy.
    options().proxy(proxy).resolver(|host, _| panic!("{host} was looked up"))
}

/// Why TLS came to nothing here.
fn failed(world: &mut World, id: ConnId) -> TlsError {
    match &world.closed(id).cause {
        Cause::Tls(error) => error.clone(),
        cause => panic!("{cause}"),
    }
}

/// Speaks TLS as the server from here on.
pub(crate) fn secure(peer: Peer<TcpStream>) -> TlsPeer {
    assert!(peer.inbox.is_empty(), "the client does not speak before it was answered: {:?}", peer.inbox);
    TlsSocket::server(peer.stream, server_config())
}

/// Answers the opening handshake over TLS, and says hello.
pub(crate) fn serves(world: &mut World, peer: &mut TlsPeer, id: ConnId) -> String {
    let head = world.head(peer);
    peer.send([upgrade(&head).as_bytes(), b"\x81\x05hello"].concat());
    world.until("hello", |world| {
        peer.receive();
        world.texts(id) == ["hello"]
    });
    assert!(world.event_loop.connections().tls(id).is_some());
    head
}

/// Whom the client took this server for.
fn asked_for(peer: &TlsPeer) -> Option<String> {
    let rustls::Connection::Server(tls) = &peer.stream.tls else { panic!("a client") };
    tls.server_name().map(str::to_owned)
}

/// Answers as a proxy that connects, once it was asked to lead to `host`.
pub(crate) fn tunnels(world: &mut World, scheme: &str, peer: &mut Peer<TcpStream>, host: &str, port: u16) {
    if scheme == "http" {
        let head = world.head(peer);
        assert!(head.starts_with(&format!("CONNECT {host}:{port} HTTP/1.1\r\n")), "{head}");
        peer.send(ESTABLISHED);
        return;
    }
    assert_eq!(world.bytes(peer, 3), b"\x05\x01\x00");
    peer.send(b"\x05\x00");
    let length = u8::try_from(host.len()).unwrap();
    let asked = [&[5, 1, 0, 3, length], host.as_bytes(), &port.to_be_bytes()].concat();
    assert_eq!(world.bytes(peer, asked.len()), asked);
    peer.send(b"\x05\x00\x00\x01\0\0\0\0\0\0");
}

#[test]
fn by_name_by_address_and_by_a_resolver_of_ones_own() {
    let (mut world, address) = listening(server(), Config::default());
    let port = address.port();
    // Nobody listens on ::1, which is tried first.
    for host in ["localhost", "LOCALHOST", "127.0.0.1"] {
        let id = world.connect_to(&format!("wss://{host}:{port}/"), options());
        world.until(host, |world| is_open(world, id));
        let _ = world.event_loop.connections().send(id, "who is there").unwrap();
        world.until("an echo", |world| world.texts(id).contains(&"who is there"));
        assert!(world.event_loop.connections().tls(id).is_some());
    }
    let resolver = move |host: &str, port: u16| {
        assert_eq!((host, port), ("chat.test", address.port()));
        Ok(vec![nobody("127.0.0.1:0"), address])
    };
    // The certificate is held against the URL's name, not against what the resolver says, unless the client is told another.
    let url = format!("wss://chat.test:{port}/");
    let id = world.connect_to(&url, options().resolver(resolver));
    let TlsError::WrongHost { expected, .. } = failed(&mut world, id) else { panic!() };
    assert_eq!(expected, "chat.test");
    let told = client().server_name("localhost").unwrap();
    let id = world.connect_to(&url, ConnectOptions::new().tls(told).resolver(resolver));
    world.until("open", |world| is_open(world, id));
}

#[test]
fn a_host_that_no_certificate_can_be_for_is_told_as_such() {
    let (listener, address) = listener("127.0.0.1:0");
    let mut world = World::new();
    let id = world.connect_to("wss://a!b/", options().resolver(move |_, _| Ok(vec![address])));
    let mut peer = world.accept(&listener);
    assert_eq!(world.unreached(id), ConnectError::ServerName { host: "a!b".into() });
    world.end_of_stream(&mut peer);
    assert_eq!(peer.inbox, b"", "nothing was said without TLS");
}

#[test]
fn without_tls_in_the_options_wss_is_an_error_at_once() {
    let mut world = World::new();
    let proxy = Proxy::from_url("http://127.0.0.1:9").unwrap();
    for options in [ConnectOptions::new(), ConnectOptions::new().proxy(proxy)] {
        let request = ClientRequest::new("wss://localhost:1/").unwrap();
        let error = world.event_loop.connect_to(request, options, Config::default()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    }
    assert!(world.event_loop.connections().is_empty());
}

#[test]
fn whom_we_do_not_trust_is_told_by_each_way() {
    let strangers = || ClientTls::builder().no_platform_roots().root_pem(crate::kit::cert!("unknown_ca.pem"));
    let tls = strangers().build().unwrap();
    let (mut world, address) = listening(server(), Config::default());
    let id = world.connect_to(&format!("wss://localhost:{}/", address.port()), ConnectOptions::new().tls(tls.clone()));
    assert_eq!(failed(&mut world, id), TlsError::UnknownIssuer);
    for scheme in ["http", "socks5"] {
        let (proxies, proxy) = listener("127.0.0.1:0");
        let mut world = World::new();
        let id = world.connect_to("wss://localhost:7/", by(scheme, proxy).tls(tls.clone()));
        let mut peer = world.accept(&proxies);
        tunnels(&mut world, scheme, &mut peer, "localhost", 7);
        let mut peer = secure(peer);
        world.until("the alert", |_| {
            peer.receive();
            peer.stream.fault.is_some()
        });
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
        assert_eq!(peer.stream.fault, Some(alert));
        assert_eq!(failed(&mut world, id), TlsError::UnknownIssuer);
        world.empty();
    }
}

#[test]
fn tls_begins_behind_a_proxys_answer_in_any_pieces() {
    for scheme in ["http", "socks5"] {
        for step in [1, 7, usize::MAX] {
            let (proxies, proxy) = listener("127.0.0.1:0");
            let mut world = World::new();
            world.echoes = false;
            let id = world.connect_to("wss://localhost:4443/x", by(scheme, proxy));
            let mut peer = world.accept(&proxies);
            tunnels(&mut world, scheme, &mut peer, "localhost", 4443);
            let mut peer = secure(peer);
            peer.stream.step = step;
            let head = serves(&mut world, &mut peer, id);
            assert!(head.starts_with("GET /x HTTP/1.1\r\nHost: localhost:4443\r\n"), "{head}");
            // The server's name, and not the proxy's.
            assert_eq!(asked_for(&peer).as_deref(), Some("localhost"));
        }
    }
}

/// Passes on what has come, in single bytes, and so few in a turn that there are many.
fn pass(from: &mut Peer<TcpStream>, to: &mut Peer<TcpStream>) {
    from.receive();
    for byte in from.inbox.drain(..from.inbox.len().min(64)) {
        to.send([byte]);
    }
}

#[test]
fn our_server_through_a_proxy_that_passes_single_bytes() {
    for scheme in ["http", "socks5"] {
        let (mut world, address) = listening(server(), Config::default());
        let (proxies, proxy) = listener("127.0.0.1:0");
        let id = world.connect_to(&format!("wss://localhost:{}/", address.port()), by(scheme, proxy));
        let mut near = world.accept(&proxies);
        tunnels(&mut world, scheme, &mut near, "localhost", address.port());
        let mut far = Peer::connect(address);
        let mut sent = false;
        world.until("an echo", |world| {
            pass(&mut near, &mut far);
            pass(&mut far, &mut near);
            if !sent && is_open(world, id) {
                let _ = world.event_loop.connections().send(id, "all the way").unwrap();
                sent = true;
            }
            world.texts(id) == ["all the way"]
        });
        assert_eq!(world.event_loop.connections().len(), 2);
    }
}

#[test]
fn what_comes_in_one_piece_with_the_proxys_answer_is_tls() {
    // An alert, handshake_failure, and what is none.
    for (early, expected) in [
        (&b"\x15\x03\x03\x00\x02\x02\x28"[..], TlsError::Alert(40)),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", TlsError::NotTls),
        (b"SSH-2.0-OpenSSH\r\n", TlsError::NotTls),
    ] {
        for scheme in ["http", "socks5"] {
            let (proxies, proxy) = listener("127.0.0.1:0");
            let mut world = World::new();
            let id = world.connect_to("wss://localhost:7/", by(scheme, proxy));
            let mut peer = world.accept(&proxies);
            if scheme == "http" {
                let _ = world.head(&mut peer);
                peer.send([ESTABLISHED.as_bytes(), early].concat());
            } else {
                let _ = world.bytes(&mut peer, 3);
                peer.send(b"\x05\x00");
                let _ = world.bytes(&mut peer, 16);
                peer.send([b"\x05\x00\x00\x01\0\0\0\0\0\0", early].concat());
            }
            assert_eq!(failed(&mut world, id), expected, "{scheme} {early:?}");
            world.empty();
        }
    }
}

#[test]
fn a_proxys_refusal_is_its_own_and_no_byte_of_tls_comes_before_it() {
    for (scheme, asks, answer, expected) in [
        ("http", 0, &b"HTTP/1.1 403 No\r\n\r\n"[..], ProxyError::Refused { status: 403, reason: "No".to_owned() }),
        ("http", 0, b"", ProxyError::Eof),
        ("http", 0, b"\x16\x03\x03\x00\x02\x02\x28\r\n\r\n", wireroom::http::ResponseError::ControlByte(0x16).into()),
        ("socks5", 3, b"\x05\xff", ProxyError::NoMethod),
        ("socks5", 3, b"\x05\x00\x05\x00\x00", ProxyError::Eof),
    ] {
        let (proxies, proxy) = listener("127.0.0.1:0");
        let mut world = World::new();
        let id = world.connect_to("wss://localhost:7/", by(scheme, proxy));
        let mut peer = world.accept(&proxies);
        if asks == 0 {
            drop(world.head(&mut peer))
        } else {
            drop(world.bytes(&mut peer, asks))
        }
        peer.send(answer);
        world.spend(Duration::from_millis(20));
        assert!(!peer.receive().contains(&0x16), "{:?}", peer.inbox);
        peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(world.unreached(id), ConnectError::Proxy(expected), "{scheme} {answer:?}");
    }
}

#[test]
fn one_time_spans_the_tunnel_tls_and_the_opening_handshake() {
    // Where it stands still: before the proxy's answer, before TLS, in the midst of it, before the server's answer.
    for still in ["proxy", "silence", "tls", "server"] {
        let (proxies, proxy) = listener("127.0.0.1:0");
        let mut world = World::new();
        let start = Instant::now();
        let id = world.connect_within("wss://localhost:7/", by("http", proxy), 300);
        let mut peer = world.accept(&proxies);
        let mut held = None;
        if still == "proxy" {
            let _ = world.head(&mut peer);
        } else {
            tunnels(&mut world, "http", &mut peer, "localhost", 7);
            let mut peer = secure(peer);
            peer.stream.step = if still == "tls" { 1 } else { usize::MAX };
            if still != "silence" {
                for _ in 0..20 {
                    peer.receive();
                    world.turn();
                }
            }
            held = Some(peer);
        }
        let closed = world.closed(id);
        assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Timeout)), "{still}: {closed}");
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_millis(300) && elapsed < Duration::from_secs(3), "{still}: {elapsed:?}");
        world.empty();
        drop(held);
    }
}

#[test]
fn a_dead_address_leaves_the_next_one_its_time() {
    let (mut world, address) = listening(server(), Config::default());
    let (dead, _held) = dead();
    let resolver = move |_: &str, _: u16| Ok(vec![dead, address]);
    let tls = trusting().server_name("localhost").build().unwrap();
    let options = ConnectOptions::new().tls(tls).resolver(resolver).attempt_timeout(Duration::from_millis(200));
    let id = world.connect_to("wss://chat.test/", options);
    world.until("open", |world| is_open(world, id));
}

#[test]
fn a_server_that_hangs_up_instead_of_tls_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let mut world = World::new();
    let id = world.connect_to(&format!("wss://localhost:{}/", listener.local_addr().unwrap().port()), options());
    let mut peer = world.accept(&listener);
    world.until("a hello", |_| !peer.receive().is_empty());
    drop(peer);
    assert_eq!(failed(&mut world, id), TlsError::Eof);
}
