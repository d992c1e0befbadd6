//! Outgoing connections: in the loop of the server they talk to, refused, unanswered, answered badly.

use std::{
    net::{Shutdown, TcpListener},
    time::{Duration, Instant},
};

use wireroom::{
    Cause, CloseCode, Config,
    handshake::{ClientRequest, HandshakeError},
};

use crate::support::{Peer, World, loopback};

type IsExpected = fn(&HandshakeError) -> bool;

fn request() -> ClientRequest {
    ClientRequest::new("ws://localhost/").unwrap()
}

#[test]
fn a_client_talks_to_a_server_in_the_same_loop() {
    let mut world = World::new();
    let verify = |_, request: &wireroom::http::Request<'_>| {
        request.allow_any_origin().with_subprotocol(request.select_subprotocol(&["chat"]))
    };
    let address = world.event_loop.listen(loopback(), Config::default(), verify).unwrap();
    let request = request().subprotocols(&["superchat", "chat"]).unwrap();
    let client = world.event_loop.connect(address, request, Config::default()).unwrap();
    world.until("both open", |world| world.event_loop.connections().stats().open == 2);
    assert_eq!(world.event_loop.connections().get(client).unwrap().subprotocol(), Some("chat"));
    let server = world.event_loop.connections().ids().find(|id| *id != client).unwrap();
    world.echoes = false;
    for text in ["", "hello", &"long ".repeat(50_000)] {
        let _ = world.event_loop.connections().send(client, text).unwrap();
        let _ = world.event_loop.connections().send(server, text).unwrap();
    }
    world.until("all", |world| world.texts(server).len() == 3 && world.texts(client).len() == 3);
    world.event_loop.connections().close(client, CloseCode::NORMAL, "done");
    world.empty();
    for id in [client, server] {
        let closed = world.closed(id);
        assert!(matches!(closed.cause, Cause::Clean), "{closed}");
    }
    assert!(world.rests());
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    let address = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let mut world = World::new();
    let id = world.event_loop.connect(address, request(), Config::default()).unwrap();
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Io(std::io::ErrorKind::ConnectionRefused)), "{closed}");
    world.empty();
    assert!(world.rests());
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let config = Config::builder().handshake_timeout(Duration::from_millis(150)).build().unwrap();
    let mut world = World::new();
    let start = Instant::now();
    let id = world.event_loop.connect(listener.local_addr().unwrap(), request(), config).unwrap();
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Timeout)), "{closed}");
    assert!(start.elapsed() >= Duration::from_millis(150));
    world.empty();
}

#[test]
fn a_bad_answer_is_told_and_the_body_of_a_refusal_is_kept() {
    let cases: [(&str, IsExpected); 5] = [
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \
             s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            |error| matches!(error, HandshakeError::Answer(_)),
        ),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nnot us", |error| match error {
            HandshakeError::Refused(refusal) => refusal.status() == 403 && refusal.body() == b"not us",
            _ => false,
        }),
        ("HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nContent-Length: 0\r\n\r\n", |error| {
            matches!(error, HandshakeError::Redirect { status: 302, .. })
        }),
        ("SSH-2.0-OpenSSH_9.6\r\n", |error| matches!(error, HandshakeError::Response(_))),
        ("", |error| matches!(error, HandshakeError::Eof)),
    ];
    let listener = TcpListener::bind(loopback()).unwrap();
    for (answer, expected) in cases {
        let mut world = World::new();
        let id = world.event_loop.connect(listener.local_addr().unwrap(), request(), Config::default()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let mut server = Peer::new(stream);
        assert!(world.head(&mut server).starts_with("GET / HTTP/1.1\r\n"));
        server.send(answer);
        server.stream.shutdown(Shutdown::Write).unwrap();
        let closed = world.closed(id);
        assert!(matches!(&closed.cause, Cause::Handshake(error) if expected(error)), "{answer:?}: {closed}");
        world.empty();
    }
}

#[test]
fn frames_right_behind_the_101_are_read_and_a_clean_close_waits_for_the_server() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let mut world = World::new();
    world.echoes = false;
    let id = world.event_loop.connect(listener.local_addr().unwrap(), request(), Config::default()).unwrap();
    let mut server = Peer::new(listener.accept().unwrap().0);
    let head = world.head(&mut server);
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let mut answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        wireroom::handshake::accept_key(key)
    )
    .into_bytes();
    answer.extend(b"\x81\x05hello\x88\x02\x03\xe8");
    server.send(answer);
    world.until("the end", |world| world.ends(id) == 1);
    assert_eq!(world.texts(id), ["hello"]);
    assert!(matches!(world.closed(id).cause, Cause::Clean));
    // 7.1.1: the client waits for the server to close first.
    assert_eq!(world.event_loop.connections().len(), 1);
    assert!(!server.ended);
    drop(server);
    world.empty();
}

#[test]
fn an_abort_before_it_is_open_ends_it_at_once() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let mut world = World::new();
    let id = world.event_loop.connect(listener.local_addr().unwrap(), request(), Config::default()).unwrap();
    world.event_loop.connections().abort(id);
    assert!(matches!(world.closed(id).cause, Cause::Aborted));
    assert_eq!(world.seen.len(), 1);
    world.empty();
    let mut server = Peer::new(listener.accept().unwrap().0);
    world.end_of_stream(&mut server);
}

#[test]
fn an_answer_whose_end_comes_with_the_connection_is_told_at_once() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let mut world = World::new();
    let id = world.event_loop.connect(listener.local_addr().unwrap(), request(), Config::default()).unwrap();
    // All of it is there before the loop looks for the first time.
    let (stream, _) = listener.accept().unwrap();
    let mut server = Peer::new(stream);
    server.send("HTTP/1.1 503 Service Unavailable\r\n\r\nfull");
    server.stream.shutdown(Shutdown::Write).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    let closed = world.closed(id);
    let told = matches!(&closed.cause, Cause::Handshake(HandshakeError::Refused(refusal)) if refusal.body() == b"full");
    assert!(told, "{closed}");
    assert!(began.elapsed() < Duration::from_secs(2), "not by the deadline of the handshake: {:?}", began.elapsed());
}

#[test]
fn a_refusal_is_told_though_the_connection_is_reset_within_it() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let mut world = World::new();
    let id = world.event_loop.connect(listener.local_addr().unwrap(), request(), Config::default()).unwrap();
    let mut server = Peer::new(listener.accept().unwrap().0);
    let _ = world.head(&mut server);
    server.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nnot us");
    world.spend(Duration::from_millis(20));
    socket2::SockRef::from(&server.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    match &world.closed(id).cause {
        Cause::Handshake(HandshakeError::Refused(refusal)) => {
            assert_eq!((refusal.status(), refusal.body(), refusal.is_truncated()), (403, &b"not us"[..], true));
        }
        other => panic!("{other}"),
    }
    world.empty();
}
