//! The opening handshake and the HTTP before it, through the public API: RFC 6455 section 4, RFC 9110, RFC 9112.

// Where a virtual clock starts makes no difference.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use bytes::Buf;
use wireroom::buffer::{RecvBuffer, SendQueue};
use wireroom::handshake::{
    Acceptance, AcceptanceError, Accepted, AnswerError, ClientHandshake, ClientRequest, Established, Extensions,
    HandshakeError, Outcome, Progress, ServerHandshake, UpgradeError, Verdict,
};
use wireroom::http::{Limits, Request, RequestError, Response, ResponseError, StreamError, StreamStatus};
use wireroom::http::{Timeouts, Transport, Version};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn drain(queue: &mut SendQueue) -> String {
    String::from_utf8(queue.copy_to_bytes(queue.remaining()).to_vec()).unwrap()
}

/// A server's connection with a virtual clock, whose output is taken at once.
struct Server {
    handshake: ServerHandshake,
    rx: RecvBuffer,
    now: Instant,
    wire: String,
    accepted: Option<Box<Accepted>>,
}

impl Server {
    fn new(limits: Limits) -> Self {
        let now = Instant::now();
        let handshake = ServerHandshake::new(limits, Timeouts::default(), now);
        Self { handshake, rx: RecvBuffer::new(), now, wire: String::new(), accepted: None }
    }

    fn read(&mut self, input: &[u8], verify: &mut dyn FnMut(&Request<'_>) -> Verdict) {
        self.rx.extend(input);
        // As a driver does: poll, write, and poll again as long as writing made room.
        while self.accepted.is_none() {
            let progress = self.handshake.poll(&mut self.rx, self.now, verify);
            self.progress(progress);
            let wrote = self.write();
            if !wrote {
                break;
            }
        }
    }

    fn progress(&mut self, progress: Progress) {
        if let Progress::Upgraded(mut accepted) = progress {
            self.wire.push_str(&drain(accepted.transmit()));
            self.accepted = Some(accepted);
        }
    }

    fn write(&mut self) -> bool {
        let text = drain(self.handshake.transmit());
        self.wire.push_str(&text);
        !text.is_empty()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.handshake.handle_timeout(self.now);
    }

    fn failure(&self) -> HandshakeError {
        match self.handshake.outcome() {
            Some(Outcome::Failed(error)) => error,
            other => panic!("{other:?}, wire: {}", self.wire),
        }
    }
}

type Verify = fn(&Request<'_>) -> Verdict;

fn accept(request: &Request<'_>) -> Verdict {
    request.allow_any_origin()
}

/// Plain requests get their path, requests to upgrade are accepted.
fn serve(request: &Request<'_>) -> Verdict {
    if request.is_upgrade() { accept(request) } else { Response::text(200, request.path().to_owned()).into() }
}

fn upgrade(line: &str, fields: &[(&str, &str)]) -> String {
    fields.iter().fold(format!("{line}\r\n"), |text, (name, value)| format!("{text}{name}: {value}\r\n")) + "\r\n"
}

const GOOD: [(&str, &str); 5] = [
    ("Host", "example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
];

/// A good request with one field replaced, or added if there is none of the name.
fn with(name: &str, value: &str) -> String {
    let mut fields = GOOD.to_vec();
    match fields.iter_mut().find(|field| field.0 == name) {
        Some(field) => field.1 = value,
        None => fields.push((name, value)),
    }
    upgrade("GET /chat HTTP/1.1", &fields)
}

fn without(name: &str) -> String {
    let fields: Vec<_> = GOOD.into_iter().filter(|field| field.0 != name).collect();
    upgrade("GET /chat HTTP/1.1", &fields)
}

fn good() -> String {
    upgrade("GET /chat HTTP/1.1", &GOOD)
}

fn status(wire: &str) -> u16 {
    wire.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status: {wire:?}"))
}

/// Whole, and in pieces of several sizes: the same bytes come out, and the same bytes are left.
fn converse(input: &str, limits: Limits, verify: Verify) -> Server {
    let run = |step: usize| {
        let mut server = Server::new(limits);
        for piece in input.as_bytes().chunks(step) {
            if server.accepted.is_some() {
                server.rx.extend(piece);
            } else {
                server.read(piece, &mut { verify });
            }
        }
        server
    };
    let whole = run(input.len().max(1));
    for step in [1, 2, 3, 5, 8, 13, 64] {
        let cut = run(step);
        assert_eq!(cut.wire, whole.wire, "{input:?} in steps of {step}");
        assert_eq!(cut.rx.unread(), whole.rx.unread(), "{input:?} in steps of {step}");
        assert_eq!(cut.handshake.outcome(), whole.handshake.outcome(), "{input:?} in steps of {step}");
        assert_eq!(cut.handshake.transport(), whole.handshake.transport(), "{input:?} in steps of {step}");
    }
    whole
}

fn assert_refused(input: &str, expected: u16) -> Server {
    // What lies behind a refused request must not be interpreted, even if it would be a good one.
    let server = converse(&format!("{input}{}", good()), Limits::default(), accept);
    assert!(server.accepted.is_none(), "{input:?}");
    assert_eq!(status(&server.wire), expected, "{input:?}: {}", server.wire);
    assert_eq!(server.wire.matches("HTTP/1.1 ").count(), 1, "{input:?}: {}", server.wire);
    let close = if expected == 426 { "\r\nConnection: Upgrade, close\r\n" } else { "\r\nConnection: close\r\n" };
    assert!(server.wire.contains(close), "{input:?}: {}", server.wire);
    assert_eq!(server.handshake.transport(), Transport::ShutdownWrite);
    assert!(server.handshake.wants_read(), "lingers");
    assert!(server.rx.unread().is_empty(), "reads and throws away");
    assert_eq!(server.failure().status(), Some(expected));
    server
}

#[test]
fn section_4_2_2_switching_protocols() {
    let server = converse(&good(), Limits::default(), accept);
    assert_eq!(server.wire, format!("{SWITCH}\r\n"));
    let accepted = server.accepted.unwrap();
    assert_eq!((accepted.subprotocol(), accepted.extensions()), (None, Extensions::none()));
}

#[test]
fn section_4_2_1_upgrade_and_connection_are_lists_of_tokens_in_any_case_over_several_lines() {
    for input in [
        with("Upgrade", "WebSocket"),
        with("Upgrade", "h2c , WEBSOCKET,"),
        with("Connection", "keep-alive, Upgrade"),
        with("Connection", "uPGRADE"),
        with("Host", "[::1]:9001"),
        with("Content-Length", "0"),
        with("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x; y=\"z\""),
        with("Sec-WebSocket-Protocol", "chat, superchat"),
        with("User-Agent", "\u{fc}ber"),
        good().replace("Connection: Upgrade", "Connection: keep-alive\r\nX: y\r\nConnection:upgrade"),
        good().replace("Upgrade: websocket", "Upgrade: h2c\r\nUPGRADE:\t websocket \t"),
        good().replace("GET /chat", "GET http://example.org/chat?x=y"),
        good().replace("HTTP/1.1", "HTTP/1.2"),
        good().to_uppercase().replace(&KEY.to_uppercase(), KEY),
        format!("\r\n{}", good()),
    ] {
        let server = converse(&input, Limits::default(), accept);
        assert_eq!(server.wire, format!("{SWITCH}\r\n"), "{input:?}");
    }
}

#[test]
fn section_4_2_1_each_broken_rule_has_its_status() {
    use UpgradeError as U;
    for (input, status, fault) in [
        (without("Connection"), 400, U::Connection),
        (with("Connection", "keep-alive"), 400, U::Connection),
        (without("Sec-WebSocket-Key"), 400, U::MissingKey),
        (with("Sec-WebSocket-Key", "short"), 400, U::InvalidKey),
        (with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZSEh"), 400, U::InvalidKey),
        (with("Sec-WebSocket-Key", &format!("{KEY}, {KEY}")), 400, U::InvalidKey),
        (good().replace("Sec-WebSocket-V", "Sec-WebSocket-Key: x\r\nSec-WebSocket-V"), 400, U::DuplicateKey),
        (with("Sec-WebSocket-Version", "8"), 426, U::Version),
        (with("Sec-WebSocket-Version", "13, 8"), 426, U::Version),
        (without("Sec-WebSocket-Version"), 426, U::Version),
        (
            format!("{}Sec-WebSocket-Version: 13\r\n\r\n", good().trim_end_matches("\r\n").to_owned() + "\r\n"),
            400,
            U::DuplicateVersion,
        ),
        (without("Upgrade"), 426, U::NotAnUpgrade),
        (with("Upgrade", "h2c"), 426, U::NotAnUpgrade),
        (good().replace("GET", "POST"), 405, U::Method),
        (good().replace("GET", "HEAD"), 405, U::Method),
        (good().replace("GET", "get"), 405, U::Method),
        (good().replace("HTTP/1.1", "HTTP/1.0"), 426, U::NotAnUpgrade),
        (with("Sec-WebSocket-Protocol", "a b"), 400, U::Subprotocols),
    ] {
        let server = assert_refused(&input, status);
        assert_eq!(server.failure(), HandshakeError::Upgrade(fault), "{input}");
    }
    for malformed in ["foo; a=\"b c\"", "", ","] {
        assert_refused(&with("Sec-WebSocket-Extensions", malformed), 400);
    }
    assert_refused(&with("Sec-WebSocket-Protocol", ", "), 400);
}

#[test]
fn section_4_4_426_says_which_version_is_spoken() {
    let wire = assert_refused(&with("Sec-WebSocket-Version", "12"), 426).wire;
    for line in
        ["\r\nSec-WebSocket-Version: 13\r\n", "\r\nUpgrade: websocket\r\n", "\r\nConnection: Upgrade, close\r\n"]
    {
        assert!(wire.contains(line), "{wire}");
    }
    let wire = assert_refused(&good().replace("GET", "PUT"), 405).wire;
    assert!(wire.contains("\r\nAllow: GET\r\n"), "{wire}");
}

#[test]
fn rfc9112_malformed_requests_are_answered_400() {
    for input in [
        without("Host"),
        with("Host", ""),
        with("Host", "a b"),
        with("Host", "user@example.com"),
        good().replace("Host: example.com", "Host: example.com\r\nHost: example.com"),
        with("Content-Length", "1"),
        with("Content-Length", "x"),
        with("Content-Length", "5, 5"),
        with("Transfer-Encoding", "chunked"),
        good().replace("Host", "Content-Length: 0\r\nContent-Length: 0\r\nHost"),
        good().replace("Host", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\nHost"),
        good().replace("Host:", "Host :"),
        good().replace("Upgrade: websocket", "Upgrade: x,\r\n websocket"),
        good().replace("example.com", "example.com\0"),
        good().replace("example.com\r\n", "example.com\n"),
        good().replace("example.com\r\n", "example.com\rX: y\r\n"),
        good().replace("Host", "no colon\r\nHost"),
        good().replace("GET /chat", "GET  /chat"),
        good().replace("/chat", "chat"),
        good().replace("/chat", "/chat#fragment"),
        good().replace(" HTTP/1.1", ""),
        with("Origin", "https://a\r\nOrigin: https://b"),
        format!("\r\n\r\n{}", good()),
        format!("\n{}", good()),
        "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03".to_owned(),
    ] {
        assert_refused(&input, 400);
    }
}

#[test]
fn limits_and_other_faults_have_their_status() {
    let many = "X: y\r\n".repeat(100);
    for (input, expected) in [
        (good().replace("/chat", &format!("/{}", "a".repeat(8_192))), 414),
        (with("X-Large", &"a".repeat(16_384)), 431),
        (good().replace("Host", &format!("{many}Host")), 431),
        (good().replace("HTTP/1.1", "HTTP/2.0"), 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
        ("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n".to_owned(), 501),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 501),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx".to_owned(), 413),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n".to_owned(), 413),
        (with("Expect", "200-ok"), 417),
    ] {
        assert_refused(&input, expected);
    }
}

#[test]
fn a_head_over_the_limit_is_refused_without_buffering_beyond_it() {
    let mut server = Server::new(Limits::default());
    server.read(b"GET / HTTP/1.1\r\n", &mut accept);
    let mut most = 0;
    for _ in 0..20_000 {
        server.read(&[b'a'; 1_000], &mut accept);
        most = most.max(server.rx.unread().len());
    }
    assert_eq!(status(&server.wire), 431);
    assert!(most <= 16_384, "{most}");
    assert_eq!(server.failure(), HandshakeError::Request(RequestError::HeadTooLarge { limit: 16_384 }));
}

#[test]
fn answers_before_the_101_are_written_before_it_in_one_piece() {
    let mut server = Server::new(Limits::default());
    let input = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3) + &good();
    server.rx.extend(input.as_bytes());
    let progress = server.handshake.poll(&mut server.rx, server.now, &mut |request| match request.is_upgrade() {
        true => accept(request),
        false => Response::html(vec![b'x'; 20_000]).into(),
    });
    let Progress::Upgraded(mut accepted) = progress else { panic!() };
    let queue = accepted.transmit();
    assert_eq!(queue.chunk().len(), queue.remaining());
    let wire = drain(queue);
    assert_eq!(wire.matches("HTTP/1.1 200").count(), 3);
    assert!(wire.ends_with(&format!("x{SWITCH}\r\n")));
}

#[test]
fn bytes_behind_the_upgrade_stay_unread() {
    let server = converse(&format!("{}\u{1}GET / HTTP/1.1\r\n\r\n", good()), Limits::default(), accept);
    assert!(server.accepted.is_some());
    assert_eq!(server.rx.unread(), b"\x01GET / HTTP/1.1\r\n\r\n");
}

#[test]
fn section_10_2_origins_are_allowed_by_name() {
    let allow: Verify = |request| request.allow_origins(&["https://a.example", "null"]);
    let or_none: Verify = |request| request.allow_origins_or_none(&["https://a.example"]);
    for (verify, origin, expected) in [
        (allow, Some("https://a.example"), 101),
        (allow, Some("null"), 101),
        (allow, Some("http://a.example"), 403),
        (allow, Some("https://a.example.evil"), 403),
        // RFC 6454, 5: the port that the scheme has anyway.
        (allow, Some("https://a.example:443"), 101),
        (allow, Some("https://a.example:80"), 403),
        (allow, Some(""), 403),
        (allow, None, 403),
        (or_none, None, 101),
        (or_none, Some("https://b.example"), 403),
        (or_none, Some("\u{fc}"), 403),
    ] {
        let input = origin.map_or_else(good, |origin| with("Origin", origin));
        let server = converse(&input, Limits::default(), verify);
        assert_eq!(status(&server.wire), expected, "{origin:?}");
        if expected == 403 {
            assert_eq!(server.failure(), HandshakeError::Rejected { status: 403 });
            assert_eq!(server.handshake.transport(), Transport::ShutdownWrite);
        }
    }
}

#[test]
fn section_4_2_2_subprotocol_and_headers_of_the_acceptance() {
    let offers = with("Sec-WebSocket-Protocol", "v1, v2").replace("13\r\n", "13\r\nSec-WebSocket-Protocol: v3\r\n");
    let server = converse(&offers, Limits::default(), |request| {
        assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["v3", "v1", "v2"]);
        let selected = request.select_subprotocol(&["v9", "v2", "v1"]);
        request.allow_any_origin().with_subprotocol(selected).with_header("Set-Cookie", "a=b")
    });
    assert_eq!(server.wire, format!("{SWITCH}Sec-WebSocket-Protocol: v2\r\nSet-Cookie: a=b\r\n\r\n"));
    assert_eq!(server.accepted.unwrap().subprotocol(), Some("v2"));

    let refused: [(Verify, bool); 3] = [
        (|request| request.accept().subprotocol("v4").into(), true),
        (|request| request.accept().header("X", "a\r\nY: b").into(), false),
        (|request| request.accept().header("Sec-WebSocket-Accept", "x").into(), false),
    ];
    for (verify, is_subprotocol) in refused {
        let server = converse(&offers, Limits::default(), verify);
        assert_eq!(status(&server.wire), 500);
        let HandshakeError::Acceptance(fault) = server.failure() else { panic!() };
        assert_eq!(fault == AcceptanceError::SubprotocolNotOffered, is_subprotocol);
    }
}

#[test]
fn verify_sees_the_request() {
    let input = "GET http://h.example:81/p%20q?a=b?c HTTP/1.1\r\nHost: other\r\nCookie: a=1; b=\"2\";c\r\nX-Y: z\r\n\
                 Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\ncookie: d=4\r\nx-y: \u{fc}\r\n\r\n";
    let mut server = Server::new(Limits::default());
    server.handshake.set_peer_addr(Some("127.0.0.1:5".parse().unwrap()));
    server.read(input.as_bytes(), &mut |request| {
        assert_eq!((request.method(), request.version(), request.is_upgrade()), ("GET", Version::Http11, false));
        assert_eq!(request.target(), "http://h.example:81/p%20q?a=b?c");
        assert_eq!((request.path(), request.query()), ("/p%20q", Some("a=b?c")));
        assert_eq!(request.host(), Some("h.example:81"));
        assert_eq!(request.header("X-y"), Some("z"));
        assert_eq!(request.header_all("x-y").collect::<Vec<_>>(), [b"z".as_slice(), "\u{fc}".as_bytes()]);
        assert_eq!(request.headers().count(), 6);
        assert_eq!((request.header("none"), request.origin(), request.extensions().count()), (None, None, 0));
        assert_eq!(request.cookies().collect::<Vec<_>>(), [("a", "1"), ("b", "\"2\""), ("d", "4")]);
        assert_eq!((request.cookie("d"), request.cookie("c")), (Some("4"), None));
        assert_eq!(request.basic_auth(), Some(("Aladdin".to_owned(), "open sesame".to_owned())));
        assert_eq!(request.bearer_token(), None);
        assert_eq!(request.peer_addr(), Some("127.0.0.1:5".parse().unwrap()));
        assert!(request.body().is_empty());
        Response::new(204).into()
    });
    assert_eq!(server.wire, "HTTP/1.1 204 No Content\r\n\r\n");
    let mut seen = false;
    server.read(b"OPTIONS * HTTP/1.1\r\nHost: x\r\nAuthorization: bearer abc\r\n\r\n", &mut |request| {
        seen = true;
        assert_eq!((request.path(), request.query(), request.bearer_token()), ("*", None, Some("abc")));
        Response::new(204).into()
    });
    assert!(seen);
}

#[test]
fn rfc9112_section_9_3_keep_alive_and_pipelining_then_upgrade() {
    let input = format!(
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\n\r\nHEAD /bb HTTP/1.1\r\nHost: x\r\n\r\nGET /c HTTP/1.0\r\n\
         Connection: keep-alive\r\n\r\n{}frames",
        good()
    );
    let server = converse(&input, Limits::default(), serve);
    let head = |length: usize, more: &str| {
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n{more}\r\n")
    };
    let keep = "Connection: keep-alive\r\n";
    let plain = format!("{}/a{}{}/c", head(2, ""), head(3, ""), head(2, keep));
    assert_eq!(server.wire, format!("{plain}{SWITCH}\r\n"));
    assert_eq!(server.rx.unread(), b"frames");
}

#[test]
fn rfc9112_section_9_6_close_is_obeyed_and_lingers() {
    for input in ["GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let mut server = converse(&format!("{input}GET /behind HTTP/1.1\r\nHost: x\r\n\r\n"), Limits::default(), serve);
        assert!(
            server.wire.contains("\r\nConnection: close\r\n") && server.wire.ends_with("\r\n\r\n/"),
            "{}",
            server.wire
        );
        assert_eq!(server.handshake.transport(), Transport::ShutdownWrite);
        assert_eq!(server.handshake.outcome(), Some(Outcome::Served));
        server.handshake.handle_eof();
        assert_eq!(server.handshake.transport(), Transport::Close);
    }
}

#[test]
fn a_lingering_close_ends_at_its_deadline_and_not_before_the_answer_is_flushed() {
    let mut server = Server::new(Limits::default());
    server.rx.extend(b"BAD\r\n\r\n");
    let _ = server.handshake.poll(&mut server.rx, server.now, &mut accept);
    assert_eq!(server.handshake.transport(), Transport::Open);
    assert!(server.handshake.wants_write());
    server.handshake.transmit().advance(1);
    server.pass(Duration::from_secs(5));
    assert_eq!(server.handshake.transport(), Transport::Open, "the peer takes it, slowly");
    server.write();
    assert_eq!(server.handshake.transport(), Transport::ShutdownWrite);
    server.read(b"whatever", &mut accept);
    assert!(server.rx.unread().is_empty());
    server.pass(Duration::from_secs(5));
    server.pass(Duration::from_secs(5));
    assert_eq!(server.handshake.transport(), Transport::Close);
    assert_eq!(server.handshake.poll_timeout(), None);
    assert_eq!(server.failure().status(), Some(400));
}

#[test]
fn a_refusal_that_was_flushed_lingers_no_longer_than_close_timeout() {
    let mut server = assert_refused(&without("Host"), 400);
    server.pass(Duration::from_millis(4_999));
    assert_eq!(server.handshake.transport(), Transport::ShutdownWrite);
    server.pass(Duration::from_millis(1));
    assert_eq!(server.handshake.transport(), Transport::Close);
}

#[test]
fn bodies_by_length_and_chunked() {
    let limits = Limits { max_request_body: 10, ..Limits::default() };
    let echo: Verify = |request| Response::new(200).body(request.body().to_vec()).into();
    let input = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloPUT / HTTP/1.1\r\nHost: x\r\n\
                 Transfer-Encoding: chunked\r\n\r\n6;x=y\r\nhello \r\n4\r\nyou!\r\n0\r\nTrailer: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let server = converse(input, limits, echo);
    let answer = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(server.wire, answer("hello") + &answer("hello you!") + &answer(""));
    for (input, expected) in [
        ("Content-Length: 11\r\n\r\n", 413),
        ("Transfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nyou!!\r\n", 413),
        ("Transfer-Encoding: chunked\r\n\r\nz\r\n", 400),
        ("Transfer-Encoding: chunked\r\n\r\n1\nx", 400),
    ] {
        let server = converse(&format!("POST / HTTP/1.1\r\nHost: x\r\n{input}{}", good()), limits, accept);
        assert_eq!(status(&server.wire), expected, "{input}");
        assert_eq!(server.wire.matches("HTTP/1.1").count(), 1);
    }
    let trailer =
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}", "A: b\r\n".repeat(1_000));
    assert_eq!(status(&converse(&trailer, limits, accept).wire), 431);
}

#[test]
fn rfc9110_section_10_1_1_expect_100_continue() {
    let limits = Limits { max_request_body: 10, ..Limits::default() };
    let request = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut server = Server::new(limits);
    server.read(request.as_bytes(), &mut serve);
    assert_eq!(server.wire, "HTTP/1.1 100 Continue\r\n\r\n");
    server.read(b"ok", &mut serve);
    assert!(server.wire.ends_with("\r\n\r\n/"));
    assert_eq!(status(&converse(request, Limits::default(), serve).wire), 413);
}

#[test]
fn requests_per_connection_are_bounded() {
    let limits = Limits { max_requests: 2, ..Limits::default() };
    let server = converse(&"GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3), limits, serve);
    assert_eq!(server.wire.matches("HTTP/1.1 200").count(), 2);
    assert_eq!(server.wire.matches("Connection: close").count(), 1);
    assert_eq!(server.handshake.outcome(), Some(Outcome::Served));
}

#[test]
fn pipelined_requests_wait_while_many_answers_are_queued() {
    let page = |_: &Request<'_>| Response::html(vec![b'x'; 20_000]).into();
    let mut server = Server::new(Limits::default());
    server.rx.extend("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100).as_bytes());
    let _ = server.handshake.poll(&mut server.rx, server.now, &mut { page });
    assert!(server.handshake.transmit().remaining() < 100_000);
    assert!(!server.handshake.wants_read());
    server.handshake.handle_eof();
    assert_eq!(server.handshake.outcome(), None, "what was asked is answered");
    server.read(b"", &mut { page });
    assert_eq!(server.wire.matches("HTTP/1.1 200").count(), 100);
    assert_eq!(server.handshake.outcome(), Some(Outcome::Served));
    assert_eq!(server.handshake.transport(), Transport::Close);
}

#[test]
fn the_deadline_is_total_and_a_begun_request_is_answered_408() {
    let mut server = Server::new(Limits::default());
    for byte in "GET / HTTP/1.1\r\nX: yyyyyyyyyyyyyy".bytes() {
        server.pass(Duration::from_millis(200));
        server.read(&[byte], &mut accept);
    }
    assert_eq!(status(&server.wire), 408);
    assert!(server.wire.contains("\r\nConnection: close\r\n"));
    assert_eq!(server.failure(), HandshakeError::Timeout);

    let mut server = Server::new(Limits::default());
    assert_eq!(server.handshake.poll_timeout(), Some(server.now + Duration::from_secs(5)));
    server.pass(Duration::from_secs(5));
    assert_eq!((server.handshake.transport(), server.failure()), (Transport::Close, HandshakeError::Timeout));
    assert!(!server.handshake.wants_write(), "nothing was asked, nothing is answered");

    let mut server = Server::new(Limits { max_request_body: 10, ..Limits::default() });
    server.read(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx", &mut accept);
    server.pass(Duration::from_secs(5));
    server.write();
    assert_eq!(status(&server.wire), 408);
}

#[test]
fn the_end_of_plain_http_is_told_from_a_failure() {
    let ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut server = Server::new(Limits::default());
    server.read(ask, &mut serve);
    server.handshake.handle_eof();
    assert_eq!(server.handshake.outcome(), Some(Outcome::Served));
    assert_eq!(server.handshake.transport(), Transport::Close);

    let mut server = Server::new(Limits::default());
    server.read(ask, &mut serve);
    server.pass(Duration::from_secs(5));
    assert_eq!(server.handshake.outcome(), Some(Outcome::Served), "idle after an answer");
    assert_eq!(server.handshake.transport(), Transport::Close);

    for input in [&b""[..], b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /"] {
        let mut server = Server::new(Limits::default());
        server.read(input, &mut serve);
        server.handshake.handle_eof();
        assert_eq!(server.failure(), HandshakeError::Eof, "{input:?}");
        assert_eq!(server.handshake.transport(), Transport::Close);
    }

    // The answer to a request that came with the end of the connection is still written.
    let mut server = Server::new(Limits::default());
    server.rx.extend(ask);
    let _ = server.handshake.poll(&mut server.rx, server.now, &mut serve);
    server.handshake.handle_eof();
    assert_eq!(server.handshake.transport(), Transport::Open);
    server.write();
    assert_eq!(status(&server.wire), 200);
    assert_eq!(server.handshake.transport(), Transport::Close);
}

#[test]
fn a_deferred_upgrade_is_accepted_later_and_nothing_behind_it_is_lost() {
    let mut server = Server::new(Limits::default());
    let offers = with("Sec-WebSocket-Protocol", "chat");
    server.read(format!("{offers}frames").as_bytes(), &mut |_| Verdict::Defer);
    assert!(server.wire.is_empty() && !server.handshake.wants_read());
    assert_eq!(server.handshake.poll_timeout(), Some(server.now + Duration::from_secs(30)));
    let owned = server.handshake.deferred().unwrap().clone();
    assert_eq!((owned.as_request().path(), owned.as_request().is_upgrade()), ("/chat", true));
    server.pass(Duration::from_secs(29));
    let accepted = server.handshake.accept(Acceptance::new().subprotocol("chat"), server.now).unwrap();
    server.progress(Progress::Upgraded(accepted));
    assert_eq!(server.wire, format!("{SWITCH}Sec-WebSocket-Protocol: chat\r\n\r\n"));
    assert_eq!(server.rx.unread(), b"frames");
    assert_eq!(server.handshake.poll_timeout(), None);
}

#[test]
fn a_deferred_answer_can_refuse_respond_time_out_or_come_too_late() {
    let defer = |_: &Request<'_>| Verdict::Defer;
    let mut server = Server::new(Limits::default());
    server.read(good().as_bytes(), &mut { defer });
    assert!(server.handshake.respond(Response::text(401, "who are you?"), server.now));
    server.write();
    assert_eq!((status(&server.wire), server.failure()), (401, HandshakeError::Rejected { status: 401 }));
    assert!(!server.handshake.respond(Response::new(200), server.now), "once");

    // A plain request: the connection goes on, with what came meanwhile.
    let mut server = Server::new(Limits::default());
    let ask = "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n";
    server.read(ask.as_bytes(), &mut { defer });
    assert!(server.handshake.respond(Response::text(200, "late"), server.now));
    server.read(b"", &mut serve);
    assert!(server.wire.contains("late") && server.wire.ends_with("/next"));

    // An acceptance of what never asked to upgrade.
    let mut server = Server::new(Limits::default());
    server.read(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &mut { defer });
    assert!(server.handshake.accept(Acceptance::new(), server.now).is_none());
    server.write();
    assert_eq!(status(&server.wire), 426);

    let mut server = Server::new(Limits::default());
    server.read(good().as_bytes(), &mut { defer });
    server.pass(Duration::from_secs(30));
    server.write();
    assert_eq!((status(&server.wire), server.failure()), (503, HandshakeError::ResponseTimeout));
    assert!(server.handshake.accept(Acceptance::new(), server.now).is_none());

    let mut server = Server::new(Limits::default());
    server.read(good().as_bytes(), &mut { defer });
    server.handshake.handle_eof();
    assert_eq!((server.failure(), server.handshake.transport()), (HandshakeError::Eof, Transport::Close));
    assert!(!server.handshake.respond(Response::new(200), server.now));
}

#[test]
fn a_streamed_response_is_chunked_bounded_and_keeps_the_connection() {
    let stream: Verify = |_| Verdict::Stream(Response::new(200).header("Content-Type", "text/event-stream"));
    let mut server = Server::new(Limits::default());
    server.read(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n", &mut { stream });
    assert!(server.handshake.is_streaming() && !server.handshake.wants_read());
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(server.wire, head);
    assert_eq!(server.handshake.stream(b"data: 1\n\n", 20, server.now), Ok(StreamStatus::Queued));
    assert_eq!(server.handshake.stream(b"", 20, server.now), Ok(StreamStatus::Queued));
    assert_eq!(server.handshake.stream(b"data: 2\n\n", 20, server.now), Ok(StreamStatus::Backpressure));
    assert_eq!(server.handshake.stream(b"data: 3\n\n", 20, server.now), Err(StreamError::BufferFull));
    server.write();
    assert_eq!(server.handshake.finish(server.now), Ok(()));
    assert_eq!(server.handshake.finish(server.now), Err(StreamError::NotStreaming));
    server.read(b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n", &mut serve);
    assert!(server.wire.starts_with(&format!("{head}9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\nHTTP/1.1 200")));

    // HTTP/1.0: until close.
    let mut server = Server::new(Limits::default());
    server.read(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &mut { stream });
    let _ = server.handshake.stream(b"data", 20, server.now);
    let _ = server.handshake.finish(server.now);
    server.write();
    assert!(server.wire.ends_with("\r\nConnection: close\r\n\r\ndata"), "{}", server.wire);
    assert_eq!(server.handshake.transport(), Transport::ShutdownWrite);

    // HEAD: the head alone.
    let mut server = Server::new(Limits::default());
    server.read(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", &mut { stream });
    let _ = server.handshake.stream(b"data", 20, server.now);
    let _ = server.handshake.finish(server.now);
    server.write();
    assert_eq!(server.wire, head);
}

#[test]
fn a_streamed_response_ends_with_its_reader() {
    let stream = |_: &Request<'_>| Verdict::Stream(Response::new(200));
    let ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut server = Server::new(Limits::default());
    server.read(ask, &mut { stream });
    server.pass(Duration::from_secs(3_600));
    assert_eq!(server.handshake.transport(), Transport::Open, "silence of the application is no fault of the reader");
    let _ = server.handshake.stream(b"one", 1_000, server.now);
    server.pass(Duration::from_secs(29));
    let _ = server.handshake.stream(b"two", 1_000, server.now);
    server.pass(Duration::from_secs(1));
    assert_eq!((server.handshake.transport(), server.failure()), (Transport::Close, HandshakeError::Timeout));

    let mut server = Server::new(Limits::default());
    server.read(ask, &mut { stream });
    server.handshake.handle_eof();
    assert_eq!((server.handshake.transport(), server.failure()), (Transport::Close, HandshakeError::Eof));
    assert_eq!(server.handshake.stream(b"x", 100, server.now), Err(StreamError::NotStreaming));
}

// ---------------------------------------------------------------------------------------------- client

fn client(request: ClientRequest) -> ClientHandshake {
    ClientHandshake::new(&request, *b"the sample nonce", Limits::default(), Timeouts::default(), Instant::now())
}

fn request() -> ClientRequest {
    ClientRequest::new("ws://example.com/chat").unwrap().subprotocols(&["a", "b"]).unwrap()
}

/// The response whole and byte by byte; the end of the connection follows.
fn respond(response: &str) -> (Result<Established, HandshakeError>, Vec<u8>) {
    let run = |step: usize| {
        let mut handshake = client(request());
        let mut rx = RecvBuffer::new();
        let mut established = None;
        for piece in response.as_bytes().chunks(step) {
            rx.extend(piece);
            if established.is_none() {
                match handshake.poll(&mut rx) {
                    Ok(done) => established = done,
                    Err(error) => return (Err(error), Vec::new()),
                }
            }
        }
        if let Some(established) = established {
            return (Ok(established), rx.unread().to_vec());
        }
        handshake.handle_eof();
        assert_eq!(handshake.transport(), Transport::Close);
        (Err(handshake.poll(&mut rx).unwrap_err()), Vec::new())
    };
    let whole = run(response.len().max(1));
    for step in [1, 7] {
        let cut = run(step);
        assert_eq!(cut.1, whole.1);
        match (&cut.0, &whole.0) {
            (Ok(cut), Ok(whole)) => assert_eq!(cut.subprotocol(), whole.subprotocol()),
            (Err(cut), Err(whole)) => assert_eq!(cut, whole, "{response:?}"),
            other => panic!("{response:?}: {other:?}"),
        }
    }
    whole
}

#[test]
fn section_4_1_a_good_response_is_established() {
    let (established, rest) = respond(&format!("{SWITCH}Server: x\r\n\r\nframes"));
    let established = established.unwrap();
    assert_eq!((established.subprotocol(), rest.as_slice()), (None, &b"frames"[..]));
    assert_eq!(established.headers().last(), Some(("Server", &b"x"[..])));
    for response in [
        format!("{SWITCH}Sec-WebSocket-Protocol: b\r\n\r\n"),
        format!("{SWITCH}sec-websocket-protocol:b\r\n\r\n"),
        format!("{SWITCH}Sec-WebSocket-Protocol: b\r\n\r\n").replace("Connection: U", "Connection: keep-alive, u"),
        format!("{SWITCH}Sec-WebSocket-Protocol: b\r\n\r\n").replace(" Switching Protocols", ""),
        format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{SWITCH}Sec-WebSocket-Protocol: b\r\n\r\n"),
    ] {
        assert_eq!(respond(&response).0.unwrap().subprotocol(), Some("b"), "{response}");
    }
}

#[test]
fn section_4_1_each_broken_rule_of_the_response_fails() {
    use AnswerError as A;
    let replaced = |from: &str, to: &str| format!("{SWITCH}\r\n").replace(from, to);
    let added = |line: &str| format!("{SWITCH}{line}\r\n\r\n");
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    for (response, fault) in [
        (replaced("Upgrade: websocket\r\n", ""), A::Upgrade),
        (replaced("websocket\r\n", "h2c, websocket\r\n"), A::Upgrade),
        (added("Upgrade: h2c"), A::Upgrade),
        (replaced("Connection: Upgrade\r\n", ""), A::Connection),
        (replaced("Connection: Upgrade", "Connection: close"), A::Connection),
        (replaced(accept, ""), A::MissingAccept),
        (added(accept.trim_end()), A::DuplicateAccept),
        (replaced("s3pP", "S3pP"), A::WrongAccept),
        (replaced("xOo=", "xOo"), A::WrongAccept),
        (added("Sec-WebSocket-Extensions: permessage-deflate"), A::UnofferedExtension("permessage-deflate".into())),
        (added("Sec-WebSocket-Extensions: a b"), A::Extensions),
        (added("Sec-WebSocket-Extensions:"), A::Extensions),
        (added("Sec-WebSocket-Extensions: \r\nSec-WebSocket-Extensions: "), A::Extensions),
        (added("Sec-WebSocket-Protocol: c"), A::UnofferedSubprotocol("c".into())),
        (added("Sec-WebSocket-Protocol: A"), A::UnofferedSubprotocol("A".into())),
        (added("Sec-WebSocket-Protocol: a, b"), A::UnofferedSubprotocol("a, b".into())),
        (added("Sec-WebSocket-Protocol:"), A::UnofferedSubprotocol("".into())),
        (added("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a"), A::DuplicateSubprotocol),
    ] {
        assert_eq!(respond(&response).0.unwrap_err(), HandshakeError::Answer(fault), "{response}");
    }
    use ResponseError as R;
    for (response, fault) in [
        ("HTTP/2 101\r\n\r\n".to_owned(), R::StatusLine),
        ("SSH-2.0-x\r\n".to_owned(), R::StatusLine),
        (format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(17_000)), R::HeadTooLarge { limit: 16_384 }),
        (format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101)), R::TooManyHeaders { limit: 100 }),
        ("HTTP/1.1 100 Continue\r\n\r\n".repeat(9), R::TooManyInterim { limit: 8 }),
        ("HTTP/1.1 101 X\nUpgrade: websocket\n\n".to_owned(), R::ControlByte(b'\n')),
        (replaced("Upgrade: ", "Upgrade : "), R::Field),
    ] {
        assert_eq!(respond(&response).0.unwrap_err(), HandshakeError::Response(fault), "{response}");
    }
    assert_eq!(respond("").0.unwrap_err(), HandshakeError::Eof);
    assert_eq!(respond("HTTP/1.1 101").0.unwrap_err(), HandshakeError::Eof);
}

#[test]
fn a_refusal_reaches_the_caller_with_a_bounded_body() {
    for (response, body, truncated) in [
        ("HTTP/1.1 403 No\r\nContent-Length: 5\r\nX-Why: so\r\n\r\nhello", "hello", false),
        ("HTTP/1.1 403 No\r\nX-Why: so\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", false),
        ("HTTP/1.0 403 No\r\nX-Why: so\r\n\r\nhello", "hello", false),
        ("HTTP/1.1 403 No\r\nX-Why: so\r\nContent-Length: 9\r\n\r\nhello", "hello", true),
        ("HTTP/1.1 403 No\r\nX-Why: so\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "he", true),
        ("HTTP/1.1 403 No\r\nX-Why: so\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", "", true),
        ("HTTP/1.1 403 No\r\nX-Why: so\r\nContent-Length: 0\r\n\r\n", "", false),
    ] {
        let HandshakeError::Refused(refusal) = respond(response).0.unwrap_err() else { panic!("{response}") };
        assert_eq!((refusal.status(), refusal.reason(), refusal.header("x-why")), (403, "No", Some("so")));
        assert_eq!((refusal.body(), refusal.is_truncated()), (body.as_bytes(), truncated), "{response}");
    }
    let large = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(100_000));
    let HandshakeError::Refused(refusal) = respond(&large).0.unwrap_err() else { panic!() };
    assert_eq!((refusal.body().len(), refusal.is_truncated()), (65_536, true));
}

#[test]
fn a_redirect_is_reported() {
    let (result, _) = respond("HTTP/1.1 302 Found\r\nLocation: wss://other/\r\nContent-Length: 100\r\n\r\n");
    assert_eq!(result.unwrap_err(), HandshakeError::Redirect { status: 302, location: "wss://other/".to_owned() });
    let (result, _) = respond("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(result, Err(HandshakeError::Refused(_))));
}

#[test]
fn the_clients_deadline_is_total() {
    let mut handshake = client(request());
    let start = handshake.poll_timeout().unwrap() - Duration::from_secs(5);
    let mut rx = RecvBuffer::new();
    for second in 0..5 {
        handshake.handle_timeout(start + Duration::from_secs(second));
        rx.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
        assert!(handshake.poll(&mut rx).unwrap().is_none());
    }
    handshake.handle_timeout(start + Duration::from_secs(5));
    assert_eq!(handshake.outcome(), Some(&HandshakeError::Timeout));
    assert_eq!(handshake.poll(&mut rx).unwrap_err(), HandshakeError::Timeout);
    assert!(!handshake.wants_read() && !handshake.wants_write() && handshake.poll_timeout().is_none());
}

#[test]
fn client_and_server_shake_hands() {
    let request = ClientRequest::new("ws://user:pass@[::1]:9001/chat?room=lobby").unwrap();
    let request = request.origin("https://a.example").unwrap().header("X-Own", "1").unwrap();
    let request = request.subprotocols(&["v2", "v1"]).unwrap();
    let mut client = client(request);
    let mut server = Server::new(Limits::default());
    let hello = drain(client.transmit());
    for byte in hello.bytes() {
        server.read(&[byte], &mut |request| {
            assert_eq!(
                (request.host(), request.path(), request.query()),
                (Some("[::1]:9001"), "/chat", Some("room=lobby"))
            );
            assert_eq!((request.origin(), request.header("x-own")), (Some("https://a.example"), Some("1")));
            assert_eq!(request.basic_auth(), Some(("user".to_owned(), "pass".to_owned())));
            let selected = request.select_subprotocol(&["v1"]);
            request.allow_origins(&["https://a.example"]).with_subprotocol(selected).with_header("X-Node", "7")
        });
    }
    let mut rx = RecvBuffer::new();
    rx.extend(server.wire.as_bytes());
    let established = client.poll(&mut rx).unwrap().unwrap();
    assert_eq!(established.subprotocol(), Some("v1"));
    assert_eq!(server.accepted.unwrap().subprotocol(), Some("v1"));
    assert!(established.headers().any(|header| header == ("X-Node", b"7")));
    assert!(rx.unread().is_empty());

    // And a refusal.
    let mut client = self::client(ClientRequest::for_target("localhost", "/").unwrap());
    let mut server = Server::new(Limits::default());
    server.read(drain(client.transmit()).as_bytes(), &mut |request| request.allow_origins(&["https://a.example"]));
    rx.extend(server.wire.as_bytes());
    let HandshakeError::Refused(refusal) = client.poll(&mut rx).unwrap_err() else { panic!() };
    assert_eq!((refusal.status(), refusal.body()), (403, &b"origin not allowed\n"[..]));
}

#[test]
fn upgraded_elsewhere_carries_nothing_to_write() {
    let mut accepted = Accepted::upgraded_elsewhere(Some("chat"), Extensions::none());
    assert_eq!(accepted.transmit().remaining(), 0);
    assert_eq!(accepted.subprotocol(), Some("chat"));
    assert_eq!(Established::upgraded_elsewhere(None, Extensions::none()).subprotocol(), None);
}

/// xorshift: the same bytes in every run.
fn noise(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn damaged_requests_have_the_same_end_for_every_cut() {
    let base = with("Sec-WebSocket-Protocol", "a, b").replace("Host", "Connection: keep-alive\r\nHost");
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let interesting = b"\r\n :,\t\0;=\"ab/#\xff";
    for _ in 0..20_000 {
        let mut bytes = base.clone().into_bytes();
        for _ in 0..1 + noise(&mut seed) % 3 {
            let place = noise(&mut seed) as usize % bytes.len();
            let byte = interesting[noise(&mut seed) as usize % interesting.len()];
            match noise(&mut seed) % 3 {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => drop(bytes.remove(place)),
            }
        }
        let mut whole = Server::new(Limits::default());
        whole.read(&bytes, &mut serve);
        let mut cut = Server::new(Limits::default());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(1 + noise(&mut seed) as usize % 9));
            rest = behind;
            if cut.accepted.is_some() { cut.rx.extend(piece) } else { cut.read(piece, &mut serve) }
        }
        assert_eq!(cut.wire, whole.wire, "{:?}", String::from_utf8_lossy(&bytes));
        assert_eq!(cut.rx.unread(), whole.rx.unread());
    }
}
