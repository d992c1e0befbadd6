//! Promise 1: every bad opening handshake is answered with its status before the end, nothing behind it is taken for
//! frames, and nothing behind a good one is lost.

use crate::{
    figures::states,
    peer::{BINARY, CLOSE, LAST, MIDDLE, PING, PONG, Peer, TEXT, frame, header, upgrade},
    testee::Echo,
};

/// What is wrong, the request, and the status that must come.
fn bad_requests() -> Vec<(&'static str, String, u16)> {
    let good = upgrade("/", "");
    let with = |extra: &str| upgrade("/", extra);
    let without = |name: &str| -> String {
        good.split_inclusive("\r\n").filter(|line| !line.starts_with(&format!("{name}: "))).collect()
    };
    let instead = |old: &str, new: &str| good.replacen(old, new, 1);
    let line = |line: &str| instead("GET / HTTP/1.1", line);
    vec![
        ("garbage", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".into(), 400),
        ("frames at once", "hello\r\n\r\n".into(), 400),
        ("no target", line("GET HTTP/1.1"), 400),
        ("two spaces", line("GET  / HTTP/1.1"), 400),
        ("a space in the target", line("GET /a b HTTP/1.1"), 400),
        ("a target without a slash", line("GET chat HTTP/1.1"), 400),
        ("a word that is no version", line("GET / HTPP/1.1"), 400),
        ("HTTP/2.0", line("GET / HTTP/2.0"), 505),
        ("HTTP/0.9", line("GET / HTTP/0.9"), 505),
        ("CONNECT", line("CONNECT example.com:80 HTTP/1.1"), 501),
        ("POST", line("POST / HTTP/1.1"), 405),
        ("HEAD", line("HEAD / HTTP/1.1"), 405),
        ("no Host", without("Host"), 400),
        ("two Hosts", with("Host: other\r\n"), 400),
        ("a Host with a path", instead("Host: localhost", "Host: local/host"), 400),
        ("no Upgrade", without("Upgrade"), 426),
        ("another protocol", instead("Upgrade: websocket", "Upgrade: h2c"), 426),
        ("HTTP/1.0, which cannot upgrade", line("GET / HTTP/1.0"), 426),
        ("no Connection", without("Connection"), 400),
        ("Connection: close", instead("Connection: Upgrade", "Connection: close"), 400),
        ("no version", without("Sec-WebSocket-Version"), 426),
        ("version 8", instead("Version: 13", "Version: 8"), 426),
        ("version 013", instead("Version: 13", "Version: 013"), 426),
        ("two versions", with("Sec-WebSocket-Version: 13\r\n"), 400),
        ("no key", without("Sec-WebSocket-Key"), 400),
        ("two keys", with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
        ("a key of 15 bytes", instead("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), 400),
        ("a key that is not base64", instead("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!=="), 400),
        ("an empty key", instead("dGhlIHNhbXBsZSBub25jZQ==", ""), 400),
        ("a subprotocol that is no token", with("Sec-WebSocket-Protocol: a b\r\n"), 400),
        ("an empty list of subprotocols", with("Sec-WebSocket-Protocol: ,\r\n"), 400),
        ("extensions against their grammar", with("Sec-WebSocket-Extensions: a;;b\r\n"), 400),
        ("two Origins", with("Origin: https://a\r\nOrigin: https://b\r\n"), 400),
        ("a field without a colon", with("X-Bad\r\n"), 400),
        ("a field name with a space", with("X Bad: 1\r\n"), 400),
        ("whitespace before a colon", with("X-Bad : 1\r\n"), 400),
        ("a folded field", with("X-Bad: 1\r\n 2\r\n"), 400),
        ("NUL in a field", with("X-Bad: a\0b\r\n"), 400),
        ("a bare CR", with("X-Bad: a\rb\r\n"), 400),
        ("a bare LF", with("X-Bad: a\nb: c\r\n"), 400),
        ("a length that is no number", with("Content-Length: 1x\r\n"), 400),
        ("a negative length", with("Content-Length: -1\r\n"), 400),
        ("two lengths that differ", with("Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
        ("a length above 2^64", with("Content-Length: 99999999999999999999\r\n"), 400),
        ("a length and a coding", with("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400),
        ("chunked twice", with("Transfer-Encoding: chunked, chunked\r\n"), 400),
        ("an unknown coding", with("Transfer-Encoding: gzip\r\n"), 501),
        ("an expectation that nobody knows", with("Expect: 200-maybe\r\n"), 417),
        ("a target of 8,193 bytes", line(&format!("GET /{} HTTP/1.1", "a".repeat(8_192))), 414),
        ("16 KiB of header and more", with(&format!("X-Long: {}\r\n", "a".repeat(16 << 10))), 431),
        ("101 fields", with(&"X-Many: 1\r\n".repeat(96)), 431),
    ]
}

#[test]
fn bad_handshakes_are_answered_before_the_end_and_nothing_behind_them_is_read_as_frames() {
    let echo = Echo::start(&[]);
    let requests = bad_requests();
    // Each alone, and with frames right behind it: they change nothing.
    for (what, request, status) in &requests {
        let bare = refused(&echo, what, request.as_bytes(), *status);
        let frames = [frame(TEXT, "hello"), frame(PING, "p"), frame(CLOSE, [3, 232])].concat();
        let followed = [request.as_bytes(), &frames].concat();
        assert_eq!(refused(&echo, what, &followed, *status), bare, "{what}, with frames behind it");
    }
    Peer::open(echo.address, "/").echoes();
    states(1, format_args!("{} bad handshakes: each has its status, then the end of the stream", requests.len()));
}

/// Sends a request that is refused: `Connection: close`, a whole body, and the proper end of the stream. Answers all that
/// came.
fn refused(echo: &Echo, what: &str, request: &[u8], status: u16) -> String {
    let mut peer = Peer::connect(echo.address);
    peer.send(request);
    let head = peer.head();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {head}");
    let fields = head.to_ascii_lowercase();
    let connection = fields.split("\r\nconnection: ").nth(1).and_then(|rest| rest.split('\r').next());
    assert!(connection.is_some_and(|tokens| tokens.contains("close")), "{what}: {head}");
    match status {
        405 => assert!(fields.contains("\r\nallow: get"), "{what}: {head}"),
        426 => assert!(fields.contains("\r\nupgrade: websocket"), "{what}: {head}"),
        _ => {}
    }
    let length = fields.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next()?.parse().ok());
    let body = peer.rest();
    let wanted = if request.starts_with(b"HEAD ") { 0 } else { length.unwrap_or(0) };
    assert_eq!(body.len(), wanted, "{what}: {head}{:?}", String::from_utf8_lossy(&body));
    head + str::from_utf8(&body).unwrap()
}

#[test]
fn a_body_is_never_read_as_frames_nor_as_a_request() {
    let echo = Echo::start(&[]);
    // Behind each head there is a body which is a good request with a frame behind it.
    let hidden = [upgrade("/", "").as_bytes(), &frame(TEXT, "hello")].concat();
    let length = hidden.len();
    let chunked = [format!("{length:x}\r\n").as_bytes(), &hidden, b"\r\n0\r\n\r\n"].concat();
    let sized = format!("Content-Length: {length}\r\n");
    let coded = "Transfer-Encoding: chunked\r\n";
    let plain = |method: &str, extra: &str| format!("{method} / HTTP/1.1\r\nHost: localhost\r\n{extra}\r\n");
    let requests: Vec<(&str, String, &[u8], u16)> = vec![
        ("an upgrade with a length", upgrade("/", &sized), &hidden, 400),
        ("an upgrade with chunks", upgrade("/", coded), &chunked, 400),
        ("a GET with a length", plain("GET", &sized), &hidden, 413),
        ("a GET with chunks", plain("GET", coded), &chunked, 413),
        ("a POST with a length", plain("POST", &sized), &hidden, 413),
        ("a PUT with chunks", plain("PUT", coded), &chunked, 413),
        ("a POST that waits for 100", plain("POST", &format!("{sized}Expect: 100-continue\r\n")), &hidden, 413),
    ];
    for (what, head, body, status) in &requests {
        refused(&echo, what, &[head.as_bytes(), body].concat(), *status);
    }
    states(1, format_args!("{} bodies that hide a request and a frame: neither is seen", requests.len()));
}

#[test]
fn a_refusal_arrives_while_the_peer_still_sends() {
    let echo = Echo::start(&[]);
    let mut peer = Peer::connect(echo.address);
    peer.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388608\r\n\r\n");
    for _ in 0..128 {
        peer.send([b'x'; 64 * 1024]);
    }
    peer.end();
    assert_eq!(peer.status(), 413);
    // A close with unread bytes would be a reset, which can destroy the answer.
    assert!(String::from_utf8(peer.rest()).unwrap().contains("longer than 0 bytes"));
    states(1, "413 arrives whole behind 8 MiB that nobody wanted");
}

#[test]
fn bytes_behind_a_good_request_are_never_lost() {
    let echo = Echo::start(&[]);
    let messages: Vec<String> = (0..1000).map(|number| format!("message {number}")).collect();
    let mut conversation = upgrade("/", "").into_bytes();
    messages.iter().for_each(|message| conversation.extend(frame(TEXT, message)));
    conversation.extend(frame(CLOSE, [3, 232]));
    let converse = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut peer = Peer::connect(echo.address);
        pieces.for_each(|piece| peer.send(piece));
        assert_eq!(peer.status(), 101);
        messages.iter().for_each(|message| peer.gets(TEXT, message));
        assert_eq!(peer.close_frame().0, 1000);
        peer.end();
        assert_eq!(peer.rest(), b"");
    };
    converse(&mut std::iter::once(&conversation[..]));
    let request = upgrade("/", "").len();
    // Cut near the end of the request, in the blank line and in the first frames.
    for cut in request - 5..request + 40 {
        let (before, behind) = conversation.split_at(cut);
        converse(&mut [before, behind].into_iter());
    }
    states(1, "1,000 messages in one segment with the request, and at 45 cuts around its end: none lost");
}

#[test]
fn one_byte_segments_are_accepted() {
    let echo = Echo::start(&[]);
    let mut peer = Peer::connect(echo.address);
    let big = vec![7; 200];
    let conversation = [
        upgrade("/", "X-Other: something\r\n").into_bytes(),
        frame(0x01, "Grü"),
        frame(PING, "between"),
        frame(MIDDLE, ""),
        frame(LAST, "ße"),
        frame(BINARY, &big),
        frame(CLOSE, [3, 232, b'b', b'y', b'e']),
    ]
    .concat();
    for byte in &conversation {
        peer.send([*byte]);
    }
    assert_eq!(peer.status(), 101);
    peer.gets(PONG, "between");
    peer.gets(TEXT, "Grüße");
    peer.gets(BINARY, &big);
    assert_eq!(peer.close_frame().0, 1000);
    states(2, format_args!("{} segments of one byte: request, fragments, ping and Close", conversation.len()));
}

#[test]
fn a_frame_that_breaks_the_protocol_is_answered_by_its_close_code() {
    let echo = Echo::start(&[]);
    let unmasked = crate::peer::unmasked(TEXT, "hello");
    let broken: Vec<(&str, Vec<u8>, u16)> = vec![
        ("an unmasked frame", unmasked, 1002),
        ("a reserved bit", frame(0xc1, "x"), 1002),
        ("a reserved opcode", frame(0x83, "x"), 1002),
        ("a ping of 126 bytes", frame(PING, [b'x'; 126]), 1002),
        ("a ping in fragments", frame(0x09, "x"), 1002),
        ("a continuation of nothing", frame(LAST, "x"), 1002),
        ("a message inside another", [frame(0x01, "a"), frame(TEXT, "b")].concat(), 1002),
        ("a length of 2^63", header(BINARY, 1 << 63), 1002),
        ("half a close code", frame(CLOSE, [3]), 1002),
        ("close code 1005", frame(CLOSE, [3, 237]), 1002),
        ("text that is not UTF-8", frame(TEXT, [0xff]), 1007),
        ("a reason that is not UTF-8", frame(CLOSE, [3, 232, 0xff]), 1007),
    ];
    for (what, bytes, code) in &broken {
        let mut peer = Peer::open(echo.address, "/");
        peer.send(bytes);
        let (seen, reason) = peer.close_frame();
        assert_eq!(seen, *code, "{what}: {reason}");
        assert!(reason.contains("RFC 6455"), "{what}: {reason:?} names no rule");
        assert_eq!(peer.rest(), b"", "{what}: behind the Close");
    }
    states(1, format_args!("{} broken frames: a Close with the code and the rule, then the end", broken.len()));
}
