//! Promises 3 and 12: the `client` example and a server that is hostile. It ends within its deadline, says which rule was
//! broken, and its memory is bounded.

use std::{
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Socket, Type};

use crate::{
    figures::{below, states},
    peer::{BINARY, CLOSE, FIRST, LAST, MIDDLE, PING, Peer, TEXT, frame, unmasked, unmasked_header},
    server::{Server, switch},
    testee::{PATIENCE, Testee},
};

/// A client of this server.
pub(crate) fn client(server: &Server, flags: &[&str]) -> Testee {
    Testee::start(&[], "client", &[&[&*server.url()], flags].concat())
}

/// It ends by itself, as a failure, with one line that holds this sentence. Answers after how long.
pub(crate) fn fails(client: &mut Testee, what: &str, sentence: &str) -> f64 {
    let (status, took) = client.finish();
    let said = client.errors();
    assert_eq!(status.code(), Some(1), "{what}: {said}");
    assert!(said.starts_with("client: ") && said.lines().count() == 1, "{what}: {said}");
    assert!(said.contains(sentence), "{what}: {said:?} does not say {sentence:?}");
    took.as_secs_f64()
}

#[test]
fn an_answer_that_breaks_a_rule_fails_with_the_rule() {
    let good = switch("ACCEPT", "");
    let with = |lines: &str| switch("ACCEPT", lines);
    let instead = |old: &str, new: &str| good.replacen(old, new, 1);
    let status = |line: &str| instead("HTTP/1.1 101 Switching Protocols", line);
    let answers = [
        (
            "a wrong accept key",
            instead("ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "Sec-WebSocket-Accept does not answer the key",
        ),
        ("the nonce itself", instead("ACCEPT", "NONCE"), "Sec-WebSocket-Accept does not answer the key"),
        ("no accept key", instead("Sec-WebSocket-Accept: ACCEPT\r\n", ""), "no Sec-WebSocket-Accept"),
        ("two accept keys", with("Sec-WebSocket-Accept: ACCEPT\r\n"), "more than one Sec-WebSocket-Accept"),
        ("200", status("HTTP/1.1 200 OK"), "the server refused the upgrade: 200 OK"),
        (
            "404",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into(),
            "the server refused the upgrade: 404 Not Found",
        ),
        ("204, which has no body", "HTTP/1.1 204 No Content\r\n\r\n".into(), "the server refused the upgrade: 204"),
        (
            "302",
            "HTTP/1.1 302 Found\r\nLocation: ws://localhost/\r\n\r\n".into(),
            "the server redirects (302) to ws://localhost/",
        ),
        ("no Upgrade", instead("Upgrade: websocket\r\n", ""), "Upgrade is not websocket"),
        ("another protocol", instead("Upgrade: websocket", "Upgrade: h2c"), "Upgrade is not websocket"),
        ("no Connection", instead("Connection: Upgrade\r\n", ""), "Connection does not list Upgrade"),
        ("Connection: close", instead("Connection: Upgrade", "Connection: close"), "Connection does not list Upgrade"),
        (
            "an extension",
            with("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
            "the extension \"permessage-deflate\", which was not offered",
        ),
        (
            "extensions against the grammar",
            with("Sec-WebSocket-Extensions: ;;\r\n"),
            "malformed Sec-WebSocket-Extensions",
        ),
        ("a subprotocol", with("Sec-WebSocket-Protocol: chat\r\n"), "the subprotocol \"chat\", which was not offered"),
        (
            "two subprotocols",
            with("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n"),
            "more than one Sec-WebSocket-Protocol",
        ),
        ("a status of two digits", status("HTTP/1.1 10 Switching"), "malformed status line"),
        ("HTTP/2", status("HTTP/2 101 Switching Protocols"), "malformed status line"),
        ("another protocol's greeting", "SSH-2.0-OpenSSH_9.2\r\n\r\n".into(), "malformed status line"),
        ("a control byte", with("X-Bad: a\0b\r\n"), "control byte 0x00"),
        ("a field without a colon", with("X-Bad\r\n"), "malformed response header field"),
        ("a folded field", with("X-Bad: a\r\n b\r\n"), "malformed response header field"),
        ("101 fields", with(&"X-Many: 1\r\n".repeat(98)), "more than 100 header fields"),
        (
            "16 KiB of header and more",
            with(&format!("X-Long: {}\r\n", "a".repeat(16 << 10))),
            "longer than 16384 bytes",
        ),
        (
            "interim answers without end",
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100),
            "more than 8 interim responses",
        ),
    ];
    for (what, answer, sentence) in &answers {
        let server = Server::bind();
        let mut client = client(&server, &["--message", "hello"]);
        let (mut peer, request, accept) = server.request();
        let nonce = crate::server::field(&request, "sec-websocket-key");
        let answer = answer.replace("ACCEPT", &accept).replace("NONCE", nonce);
        // Frames behind it change nothing.
        peer.send([answer.as_bytes(), &unmasked(TEXT, "not to be seen")].concat());
        peer.end();
        fails(&mut client, what, sentence);
        assert_eq!(client.output(), "", "{what}");
        let mut sent = Vec::new();
        let _ = std::io::Read::read_to_end(&mut peer.stream, &mut sent);
        assert_eq!(sent, b"", "{what}: frames were sent");
    }
    states(12, format_args!("{} bad answers: each fails with its rule, and no frame is sent or seen", answers.len()));
}

#[test]
fn an_end_where_more_is_due_fails() {
    let ends = [
        ("in the answer", "HTTP/1.1 101 Swit", "the peer closed the connection during the opening handshake"),
        (
            "in the body of a refusal",
            "HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nx",
            "the server refused the upgrade: 403",
        ),
    ];
    for (what, answer, sentence) in ends {
        let server = Server::bind();
        let mut client = client(&server, &[]);
        let (mut peer, ..) = server.request();
        peer.send(answer);
        drop(peer);
        fails(&mut client, what, sentence);
    }
    let server = Server::bind();
    let mut client = client(&server, &[]);
    server.accept().reset();
    fails(&mut client, "a reset", "transport: connection reset");
}

#[test]
fn a_subprotocol_that_was_not_among_those_offered_fails() {
    let server = Server::bind();
    let mut client = client(&server, &["--subprotocol", "a", "--subprotocol", "b"]);
    let _peer = server.accept_with("Sec-WebSocket-Protocol: A\r\n");
    fails(&mut client, "case", "the subprotocol \"A\", which was not offered");
}

#[test]
fn a_frame_that_breaks_a_rule_fails_with_the_rule_on_both_sides() {
    let frames = [
        ("a masked frame", frame(TEXT, "hello"), 1002, "a server's frame is masked (RFC 6455 section 5.1)"),
        ("a masked ping", frame(PING, "hello"), 1002, "a server's frame is masked"),
        ("a reserved bit", unmasked(0xc1, "x"), 1002, "reserved bits 0b100"),
        ("a reserved opcode", unmasked(0x8b, ""), 1002, "opcode 0xb is reserved"),
        ("a ping of 126 bytes", unmasked(PING, [0; 126]), 1002, "more than 125 bytes"),
        ("a ping in fragments", unmasked(0x09, ""), 1002, "a control frame is fragmented"),
        ("a continuation of nothing", unmasked(LAST, "x"), 1002, "a continuation frame without a message"),
        ("a message in another", [unmasked(FIRST, ""), unmasked(TEXT, "")].concat(), 1002, "a new message before"),
        ("a length of 2^63", unmasked_header(BINARY, 1 << 63), 1002, "above 2^63 - 1"),
        ("half a close code", unmasked(CLOSE, [3]), 1002, "half a status code"),
        ("close code 1006", unmasked(CLOSE, [3, 238]), 1002, "close code 1006 must not be sent"),
        ("text that is not UTF-8", unmasked(TEXT, [0xff]), 1007, "not valid UTF-8"),
        (
            "a declared length of 2^62",
            unmasked_header(BINARY, 1 << 62),
            1009,
            "bigger than the limit of 16777216 bytes",
        ),
    ];
    for (what, bytes, code, sentence) in &frames {
        let server = Server::bind();
        let mut client = client(&server, &[]);
        let mut peer = server.accept();
        peer.send(bytes);
        assert_eq!(peer.close_frame().0, *code, "{what}");
        drop(peer);
        fails(&mut client, what, sentence);
    }
    states(12, format_args!("{} broken frames: the close code to the server, the rule to the caller", frames.len()));
}

/// A server that goes on like this until the client has had enough: the client's end is due after 5 s, the default.
fn outlasts(what: &str, sentence: &str, go_on: impl FnOnce(&Server) + Send) {
    let server = Server::bind();
    let mut client = client(&server, &[]);
    thread::scope(|scope| {
        scope.spawn(|| go_on(&server));
        let took = fails(&mut client, what, sentence);
        assert!(took > 4.5, "{what}: too soon, {took}");
        below(12, &format!("{what}: the client ends after"), took, 6.5, "s");
    });
}

/// Sends one of these every so often, for as long as they are taken.
fn drips(mut peer: Peer, every: Duration, drop: &[u8]) {
    let start = Instant::now();
    while peer.try_send(drop).is_ok() {
        assert!(start.elapsed() < PATIENCE);
        thread::sleep(every);
    }
}

#[test]
fn a_server_that_takes_its_time_is_not_waited_for() {
    let timed_out = "the opening handshake timed out";
    let brief = Duration::from_millis(100);
    thread::scope(|scope| {
        scope.spawn(|| outlasts("a server that says nothing", timed_out, |server| _ = server.request().0.ended()));
        scope.spawn(|| {
            outlasts("an answer, a byte every 100 ms", timed_out, |server| {
                let (mut peer, ..) = server.request();
                peer.send("HTTP/1.1 101 Switching Protocols\r\nX-Drip: ");
                drips(peer, brief, b"x");
            });
        });
        scope.spawn(|| {
            outlasts("an interim answer every 0.8 s", timed_out, |server| {
                drips(server.request().0, Duration::from_millis(800), b"HTTP/1.1 103 Early Hints\r\n\r\n");
            });
        });
        scope.spawn(|| {
            outlasts("a refusal whose body drips", "the server refused the upgrade: 403", |server| {
                let (mut peer, ..) = server.request();
                peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 100000\r\n\r\n");
                drips(peer, brief, b"x");
            });
        });
        scope.spawn(|| {
            outlasts("a Close without an answer", "not complete within the close timeout", |server| {
                let mut peer = server.accept();
                peer.send(unmasked(TEXT, "bye"));
                assert_eq!(peer.close_frame().0, 1000);
                peer.ended();
            });
        });
        scope.spawn(|| {
            // It has failed at once, and lingers so that its Close arrives.
            outlasts("a fault, and no end of the stream", "a server's frame is masked", |server| {
                let mut peer = server.accept();
                peer.send(frame(TEXT, "x"));
                assert_eq!(peer.close_frame().0, 1002);
                drips(peer, brief, &unmasked(TEXT, "more"));
            });
        });
        scope.spawn(|| {
            outlasts("messages without end behind our Close", "not complete within the close timeout", |server| {
                let mut peer = server.accept();
                peer.send(unmasked(TEXT, "bye"));
                drips(peer, brief, &unmasked(TEXT, "one more"));
            });
        });
    });
}

#[test]
fn a_server_that_does_not_even_accept_is_not_waited_for() {
    // A backlog that is full: further SYNs are dropped.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let brief = Duration::from_millis(200);
    let in_the_backlog: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, brief).ok()).collect();
    assert!(in_the_backlog.len() < 10);
    let flags = [&*format!("ws://{address}/"), "--handshake-timeout", "1"];
    let mut client = Testee::start(&[], "client", &flags);
    let took = fails(&mut client, "no SYN-ACK", "the opening handshake timed out");
    below(12, "a server that does not accept, handshake timeout 1 s: the client ends after", took, 2.0, "s");
}

/// Measures a client while a server that it is connected to does something, and until it says that it has done it.
fn measured(what: &str, flags: &[&str], bound: f64, attack: impl FnOnce(&mut Peer)) -> Testee {
    let server = Server::bind();
    let client = client(&server, flags);
    let mut peer = server.accept();
    // It is up and has run the code of its answers.
    peer.send([unmasked(PING, "up?"), unmasked(BINARY, vec![0; 70_000])].concat());
    assert_eq!(peer.frame().payload, b"up?");
    let meter = client.meter();
    attack(&mut peer);
    below(12, &format!("{what}, growth of the client"), meter.growth(), bound, "MiB");
    peer.end();
    client
}

#[test]
fn floods_leave_the_client_bounded() {
    let pings = unmasked(PING, [b'p'; 125]).repeat(1000);
    measured("pings whose pongs are never read", &[], 2.0, |peer| {
        let sent = peer.flood(&pings, 48 << 20);
        states(12, format_args!("{} MiB of pings were taken", sent >> 20));
    });
    for (what, bytes) in [("one-byte fragments", unmasked(MIDDLE, "x")), ("empty fragments", unmasked(MIDDLE, ""))] {
        let mut client = measured(&format!("600,000 {what}"), &[], 2.0, |peer| {
            peer.send(unmasked(FIRST, ""));
            peer.flood(&bytes.repeat(1000), 600_000 * bytes.len());
            assert_eq!(peer.close_frame().0, 1008);
        });
        fails(&mut client, what, "a message has more than 131072 fragments");
    }
    let mut client = measured("a declared length of 2^63 - 1", &[], 2.0, |peer| {
        peer.send(unmasked_header(BINARY, i64::MAX as u64));
        assert_eq!(peer.close_frame().0, 1009);
    });
    fails(&mut client, "a declared length", "bigger than the limit");
    let mut client = measured("16 MiB declared, of which 15 bytes come", &[], 2.0, |peer| {
        // Answered in the midst of the message.
        let started = [unmasked_header(FIRST, 5), b"begun".to_vec(), unmasked(PING, "there?")].concat();
        peer.send([started, unmasked_header(MIDDLE, 15 << 20), b"the first bytes".to_vec()].concat());
        assert_eq!(peer.frame().payload, b"there?");
    });
    fails(&mut client, "half a frame", "the stream ended without a closing handshake");
}

#[test]
fn heads_and_bodies_without_end_leave_the_client_bounded() {
    let heads: [(&str, &str, &str); 3] = [
        ("one field", "HTTP/1.1 101 Switching Protocols\r\nX-Long: ", "the response head is longer than 16384 bytes"),
        ("a status line", "HTTP/1.1 101 ", "the response head is longer than 16384 bytes"),
        ("a body of a refusal", "HTTP/1.1 200 OK\r\n\r\n", "the server refused the upgrade: 200 OK"),
    ];
    for (what, start, sentence) in heads {
        let server = Server::bind();
        let mut client = client(&server, &[]);
        let (mut peer, ..) = server.request();
        let meter = client.meter();
        let mut growth = 0.0;
        thread::scope(|scope| {
            scope.spawn(|| {
                peer.send(start);
                peer.flood(&[b'x'; 64 << 10], 20 << 20);
            });
            // The kernel keeps the peak; it is gone with the process.
            while let Some(now) = meter.try_growth() {
                growth = now;
            }
        });
        fails(&mut client, what, sentence);
        below(12, &format!("20 MiB of {what}, growth of the client"), growth, 1.0, "MiB");
    }
}
