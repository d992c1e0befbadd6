//! HTTP before the upgrade: refusals that arrive, keep-alive, deferred and streamed answers.

use std::{
    cell::Cell,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use wireroom::{
    Cause, Config, ConnId,
    handshake::{HandshakeError, Verdict},
    http::{Request, Response, StreamError},
};

use crate::support::{Peer, UPGRADE, World, frame, loopback};

/// A server of a few pages, and who asked last.
fn serving(config: Config) -> (World, SocketAddr, Rc<Cell<Option<ConnId>>>) {
    let mut world = World::new();
    let last = Rc::new(Cell::new(None));
    let note = last.clone();
    let verify = move |id, request: &Request<'_>| -> Verdict {
        note.set(Some(id));
        match request.path() {
            "/chat" => request.allow_origins_or_none(&["https://chat.example"]),
            "/later" => Verdict::Defer,
            "/stream" => Verdict::Stream(Response::new(200)),
            "/large" => Response::text(200, vec![b'x'; 20_000]).into(),
            path => Response::text(200, path.to_owned()).into(),
        }
    };
    let address = world.event_loop.listen(loopback(), config, verify).unwrap();
    (world, address, last)
}

/// An answer whose content has a length.
fn answer(world: &mut World, peer: &mut Peer<std::net::TcpStream>) -> (String, String) {
    let head = world.head(peer);
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |n| n.parse().unwrap());
    world.until("content", |_| peer.receive().len() >= length);
    let content = peer.inbox.drain(..length).collect();
    (head, String::from_utf8(content).unwrap())
}

#[test]
fn a_bad_request_is_answered_although_more_bytes_come_behind_it() {
    let cases = [
        ("GET /chat HTTP/1.1\r\n\r\n", 400),
        ("GET /chat HTTP/1.1\nHost: a\r\n\r\n", 400),
        ("GET /chat HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (&UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400),
        (&UPGRADE.replace("\r\n\r\n", "\r\nOrigin: https://evil.example\r\n\r\n"), 403),
        (&UPGRADE.replace("GET", "POST"), 405),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 413),
        (&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9_000)), 414),
        (&UPGRADE.replace("Version: 13", "Version: 8"), 426),
        ("GET /chat HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 101-please\r\n\r\n", 417),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(20_000)), 431),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(100)), 431),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ];
    for (request, status) in cases {
        let (mut world, address, _) = serving(Config::default());
        let mut peer = Peer::connect(address);
        peer.send(request);
        // Unread bytes, for which a plain close would answer with RST, and destroy the refusal on its way.
        peer.send(vec![b'z'; 100_000]);
        let (head, _) = answer(&mut world, &mut peer);
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{request:.80?}: {head}");
        assert!(head.to_ascii_lowercase().contains("close\r\n"), "{head}");
        // The write side is shut down, and the server lingers.
        world.end_of_stream(&mut peer);
        assert_eq!(peer.error, None);
        assert!(world.seen.is_empty() && world.event_loop.connections().len() == 1);
        peer.send("and more");
        world.spend(Duration::from_millis(20));
        drop(peer);
        let closed = world.next_closed();
        let Cause::Handshake(error) = &closed.cause else { panic!("{closed}") };
        assert_eq!(error.status(), Some(status), "{error}");
        let stats = world.event_loop.connections().stats();
        assert_eq!((stats.handshakes_refused.of(status), stats.handshakes_refused.total()), (1, 1));
        world.empty();
    }
}

#[test]
fn a_peer_that_keeps_a_refused_connection_open_is_closed_in_time() {
    let config = Config::builder().close_timeout(Duration::from_millis(100)).build().unwrap();
    let (mut world, address, _) = serving(config);
    let mut peer = Peer::connect(address);
    peer.send("nonsense\r\n\r\n");
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 400 "));
    let start = Instant::now();
    let closed = world.next_closed();
    assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Request(_))), "{closed}");
    world.empty();
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_request_that_does_not_come_to_its_end_is_answered_408() {
    let config = Config::builder().handshake_timeout(Duration::from_millis(100)).build().unwrap();
    let (mut world, address, _) = serving(config);
    let (mut dripping, mut silent) = (Peer::connect(address), Peer::connect(address));
    let start = Instant::now();
    while !dripping.receive().starts_with(b"HTTP/1.1 408 ") {
        assert!(start.elapsed() < Duration::from_secs(5));
        let _ = std::io::Write::write(&mut dripping.stream, b"G");
        world.spend(Duration::from_millis(20));
    }
    world.end_of_stream(&mut silent);
    drop((silent, dripping));
    world.empty();
    for (id, seen) in &world.seen {
        let crate::support::Seen::Closed(closed) = seen else { panic!("{id}: {seen:?}") };
        assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Timeout)), "{closed}");
    }
    assert_eq!(world.seen.len(), 2);
}

#[test]
fn pipelined_requests_are_answered_in_order_and_the_last_one_upgrades() {
    let (mut world, address, _) = serving(Config::default());
    let mut peer = Peer::connect(address);
    let mut bytes = Vec::new();
    for path in ["/a", "/b", "/c"] {
        bytes.extend(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").bytes());
    }
    bytes.extend(UPGRADE.bytes());
    bytes.extend(frame(0x81, "hello"));
    peer.send(bytes);
    for path in ["/a", "/b", "/c"] {
        let (head, content) = answer(&mut world, &mut peer);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(content, path);
    }
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 101 "));
    assert_eq!(world.frame(&mut peer), (0x81, b"hello".to_vec()));
}

#[test]
fn many_pipelined_requests_with_large_answers_are_all_answered() {
    let (mut world, address, _) = serving(Config::default());
    let mut peer = Peer::connect(address);
    peer.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200));
    // The peer is slow at first: the kernel's buffers fill up, and answers wait here.
    world.spend(Duration::from_millis(50));
    for n in 0..200 {
        let (head, content) = answer(&mut world, &mut peer);
        assert!(head.starts_with("HTTP/1.1 200 ") && content.len() == 20_000, "{n}: {head}");
    }
    drop(peer);
    assert!(matches!(world.next_closed().cause, Cause::Served));
}

#[test]
fn requests_before_the_end_of_the_stream_are_all_answered() {
    let config = Config::builder().max_requests(100_000).build().unwrap();
    let (mut world, address, _) = serving(config);
    let mut peer = Peer::connect(address);
    // More than one read takes, and more answers than may wait.
    let count = 12_000;
    peer.send("GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(count));
    peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
    world.end_of_stream(&mut peer);
    let answers = peer.inbox.windows(13).filter(|bytes| bytes == b"HTTP/1.1 200 ").count();
    assert_eq!(answers, count);
    assert!(matches!(world.next_closed().cause, Cause::Served));
    world.empty();
}

#[test]
fn plain_http_ends_as_served() {
    let (mut world, address, _) = serving(Config::default());
    let mut peer = Peer::connect(address);
    for _ in 0..3 {
        peer.send("GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(answer(&mut world, &mut peer).1, "/page");
    }
    peer.send("GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(answer(&mut world, &mut peer).1, "/page");
    world.end_of_stream(&mut peer);
    drop(peer);
    assert!(matches!(world.next_closed().cause, Cause::Served));
    world.empty();
}

#[test]
fn a_deferred_answer_comes_from_the_loop_or_from_another_thread() {
    let (mut world, address, last) = serving(Config::default());
    let mut peer = Peer::connect(address);
    // The next request and the upgrade wait behind it.
    peer.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /later?2 HTTP/1.1\r\nHost: a\r\n\r\n");
    peer.send(UPGRADE.replace("/chat", "/later"));
    peer.send(frame(0x81, "hello"));
    world.until("a deferred request", |world| {
        last.get().is_some_and(|id| world.event_loop.connections().deferred(id).is_some())
    });
    let id = last.get().unwrap();
    world.spend(Duration::from_millis(30));
    assert!(peer.receive().is_empty());
    assert!(world.event_loop.connections().answer(id, Response::text(200, "from the loop")));
    assert!(!world.event_loop.connections().answer(id, Response::text(200, "twice")));
    assert_eq!(answer(&mut world, &mut peer).1, "from the loop");

    let handle = world.event_loop.handle();
    let thread = std::thread::spawn(move || handle.answer(id, Response::text(200, "from a thread")).unwrap());
    assert_eq!(answer(&mut world, &mut peer).1, "from a thread");
    thread.join().unwrap();

    world.until("the upgrade request", |world| {
        let deferred = world.event_loop.connections().deferred(id);
        deferred.is_some_and(|request| request.as_request().is_upgrade())
    });
    let handle = world.event_loop.handle();
    handle.answer(id, wireroom::handshake::Acceptance::new().header("X-Who", "a thread")).unwrap();
    assert!(world.head(&mut peer).contains("X-Who: a thread\r\n"));
    assert_eq!(world.frame(&mut peer), (0x81, b"hello".to_vec()));
}

#[test]
fn a_deferred_answer_that_never_comes_is_503() {
    let config = Config::builder().response_timeout(Duration::from_millis(100)).build().unwrap();
    let (mut world, address, _) = serving(config);
    let mut peer = Peer::connect(address);
    peer.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 503 "));
    drop(peer);
    let closed = world.next_closed();
    assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::ResponseTimeout)), "{closed}");
}

#[test]
fn who_hangs_up_before_a_deferred_answer_is_told_of() {
    let (mut world, address, last) = serving(Config::default());
    let mut peer = Peer::connect(address);
    peer.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /pipelined HTTP/1.1\r\nHost: a\r\n\r\n");
    world.until("the request", |_| last.get().is_some());
    drop(peer);
    let closed = world.next_closed();
    assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Eof) | Cause::Io(_)), "{closed}");
    world.empty();
}

#[test]
fn who_hangs_up_on_a_quiet_stream_is_told_of() {
    let (mut world, address, last) = serving(Config::default());
    let mut peer = Peer::connect(address);
    peer.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 200 "));
    assert!(last.get().is_some());
    drop(peer);
    let closed = world.next_closed();
    assert!(matches!(closed.cause, Cause::Handshake(HandshakeError::Eof) | Cause::Io(_)), "{closed}");
    world.empty();
}

#[test]
fn a_streamed_answer_arrives_piece_by_piece_and_is_bounded() {
    let config = Config::builder().max_send_buffer(1 << 20).build().unwrap();
    let (mut world, address, last) = serving(config);
    let mut peer = Peer::connect(address);
    peer.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(world.head(&mut peer).contains("Transfer-Encoding: chunked\r\n"));
    let id = last.get().unwrap();
    for piece in ["one", "two"] {
        let _ = world.event_loop.connections().stream(id, piece.as_bytes()).unwrap();
        let chunk = format!("3\r\n{piece}\r\n");
        world.until("a chunk", |_| peer.receive() == chunk.as_bytes());
        peer.inbox.clear();
    }
    let mut given = 0;
    let piece = vec![b'x'; 100_000];
    let error = loop {
        match world.event_loop.connections().stream(id, &piece) {
            Ok(_) => given += 1,
            Err(error) => break error,
        }
        world.event_loop.flush();
        assert!(given < 1_000, "not bounded");
    };
    assert_eq!(error, StreamError::BufferFull);
    let whole = given * (piece.len() + "186a0\r\n\r\n".len());
    world.until("all chunks", |_| peer.receive().len() >= whole);
    assert_eq!(peer.inbox.len(), whole);
    peer.inbox.clear();
    world.event_loop.connections().finish(id).unwrap();
    world.until("the last chunk", |_| peer.receive().len() >= 5);
    assert_eq!(peer.inbox.drain(..5).collect::<Vec<_>>(), b"0\r\n\r\n");
    assert_eq!(answer(&mut world, &mut peer).1, "/next");
    assert_eq!(world.event_loop.connections().finish(id), Err(StreamError::NotStreaming));
}

#[test]
fn the_bytes_of_a_request_that_was_refused_are_no_frames() {
    let (mut world, address, _) = serving(Config::default());
    let mut peer = Peer::connect(address);
    peer.send(UPGRADE.replace("\r\n\r\n", "\r\nContent-Length: 4\r\n\r\n"));
    peer.send(frame(0x81, "frame"));
    peer.send(UPGRADE);
    assert!(world.head(&mut peer).starts_with("HTTP/1.1 400 "));
    drop(peer);
    world.next_closed();
    assert_eq!(world.seen.len(), 1);
}

#[test]
fn a_streamed_answer_that_nobody_takes_ends_at_its_deadline() {
    let config = Config::builder().response_timeout(Duration::from_millis(200)).build().unwrap();
    let (mut world, address, last) = serving(config);
    let mut peer = Peer::connect(address);
    peer.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    world.until("the request", |_| last.get().is_some());
    let id = last.get().unwrap();
    world.spend(Duration::from_millis(300)); // quiet for longer than the deadline, and nothing is owed
    // More than the kernel holds, to a peer that does not read.
    for _ in 0..240 {
        let _ = world.event_loop.connections().stream(id, &[b'x'; 65_536]);
        world.spend(Duration::from_millis(1));
    }
    let closed = world.closed(id);
    assert!(matches!(closed.cause, Cause::Handshake(_)), "{closed}");
    world.empty();
}
