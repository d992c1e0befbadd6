//! Floor 3, the server: requests until one upgrades. The input is what a client sends, behind a few choices.

use std::time::Duration;

use bytes::BufMut;
use wireroom::{
    PermessageDeflate, RecvBuffer, Transport,
    handshake::{Acceptance, Extensions, Outcome, Progress, ServerHandshake, Verdict, accept_key},
    http::{Limits, Request, Response, StreamStatus, Timeouts, Version},
};

use crate::{
    common,
    input::{Choices, cuts, every_byte},
    reference::{self, Head},
};

/// What the application is like.
struct Server {
    limits: Limits,
    deflate: bool,
}

/// What became of a client's bytes.
#[derive(Debug, PartialEq)]
struct Served {
    /// Each request as `verify` saw it.
    requests: Vec<Seen>,
    sent: Vec<u8>,
    upgraded: Option<(Option<String>, Extensions)>,
    outcome: Option<Outcome>,
    /// What is left for the WebSocket connection, or nothing.
    rest: Vec<u8>,
}

#[derive(Debug, PartialEq, Clone)]
struct Seen {
    method: String,
    target: String,
    path: String,
    query: Option<String>,
    host: Option<String>,
    version: Version,
    fields: Vec<(String, Vec<u8>)>,
    subprotocols: Vec<String>,
    cookies: Vec<(String, String)>,
    body: Vec<u8>,
    is_upgrade: bool,
}

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let flags = choices.byte();
    let limits = Limits {
        max_request_head: choices.of(&[16_384, 100, 256, 1024]),
        max_request_target: choices.of(&[8_192, 1, 16]),
        max_headers: choices.of(&[100, 1, 7]),
        max_request_body: choices.of(&[0, 1, 64, 4096]),
        max_requests: choices.of(&[1_000, 1, 2]),
        ..Limits::default()
    };
    let server = Server { limits, deflate: flags & 1 != 0 };
    let places = choices.places();
    let bytes = choices.rest();
    let whole = server.serve(bytes, &[]);
    let cuts = cuts(&places, bytes.len());
    assert_eq!(server.serve(bytes, &cuts), whole, "cut at {cuts:?}");
    assert_eq!(server.serve(bytes, &every_byte(bytes.len())), whole, "byte by byte");
    check(&whole, bytes);
}

impl Server {
    fn serve(&self, bytes: &[u8], cuts: &[usize]) -> Served {
        let mut now = common::start();
        let mut handshake = ServerHandshake::new(self.limits, Timeouts::default(), now);
        handshake.set_deflate(self.deflate.then(|| PermessageDeflate::default().terms()));
        let mut rx = RecvBuffer::new();
        let mut served =
            Served { requests: Vec::new(), sent: Vec::new(), upgraded: None, outcome: None, rest: Vec::new() };
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let (mut start, mut largest) = (0, 0);
        for end in ends {
            let chunk = &bytes[start..end];
            start = end;
            if served.upgraded.is_some() {
                served.rest.extend(chunk);
                continue;
            }
            rx.extend(chunk);
            largest = largest.max(chunk.len());
            // A head lies in the buffer until it is whole, a body does not.
            let most = 3 * (largest + self.limits.max_request_head + 512);
            assert!(rx.capacity() <= most, "{} bytes of storage for reads of {largest}", rx.capacity());
            self.turn(&mut handshake, &mut rx, &mut served, now);
            if served.upgraded.is_some() {
                served.rest.extend(rx.unread());
            }
        }
        if served.upgraded.is_none() {
            handshake.handle_eof();
            self.turn(&mut handshake, &mut rx, &mut served, now);
            let mut deadlines = 0;
            while handshake.transport() != Transport::Close {
                now = handshake.poll_timeout().unwrap_or_else(|| panic!("nothing will ever end it: {handshake:?}"));
                handshake.handle_timeout(now);
                served.sent.put(handshake.transmit());
                deadlines += 1;
                assert!(deadlines < 10, "a deadline that does not pass: {handshake:?}");
            }
            served.outcome = handshake.outcome();
            assert!(served.outcome.is_some());
            assert!(rx.is_empty() || handshake.outcome().is_some());
        }
        served
    }

    /// Everything that can be done with the bytes at hand.
    fn turn(&self, handshake: &mut ServerHandshake, rx: &mut RecvBuffer, served: &mut Served, now: std::time::Instant) {
        loop {
            let before = (served.requests.len(), served.sent.len(), rx.unread().len());
            let requests = &mut served.requests;
            let mut progress = handshake.poll(rx, now, &mut |request| {
                requests.push(seen(request));
                verify(request, false)
            });
            if let Some(request) = handshake.deferred() {
                let request = request.clone();
                assert_eq!(served.requests.last(), Some(&seen(&request.as_request())), "the request is kept as it was");
                progress = handshake.answer(verify(&request.as_request(), true), now + Duration::from_millis(1));
            }
            if handshake.is_streaming() {
                for piece in [&b"one"[..], b"", b"three"] {
                    assert_eq!(handshake.stream(piece, 1 << 20, now), Ok(StreamStatus::Queued));
                }
                handshake.finish(now).expect("it streams");
            }
            match progress {
                Progress::Upgraded(mut accepted) => {
                    served.upgraded = Some((accepted.subprotocol().map(String::from), accepted.extensions()));
                    served.sent.put(accepted.transmit());
                    return;
                }
                Progress::Pending => served.sent.put(handshake.transmit()),
            }
            if before == (served.requests.len(), served.sent.len(), rx.unread().len()) {
                return;
            }
        }
    }
}

fn seen(request: &Request<'_>) -> Seen {
    let _ = (request.origin(), request.basic_auth(), request.bearer_token(), request.cookie("a"), request.peer_addr());
    Seen {
        method: request.method().into(),
        target: request.target().into(),
        path: request.path().into(),
        query: request.query().map(String::from),
        host: request.host().map(String::from),
        version: request.version(),
        fields: request.headers().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        subprotocols: request.subprotocols().map(String::from).collect(),
        cookies: request.cookies().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: request.body().to_vec(),
        is_upgrade: request.is_upgrade(),
    }
}

/// The application: the last byte of the target says what it does, so that the fuzzer can choose.
fn verify(request: &Request<'_>, deferred: bool) -> Verdict {
    let chosen = request.select_subprotocol(&["chat", "superchat"]);
    match request.target().as_bytes().last() {
        Some(b'd') if !deferred => Verdict::Defer,
        Some(b's') => Verdict::Stream(Response::text(200, "first")),
        Some(b'r') => Response::text(200, "hello").into(),
        Some(b'c') => Response::text(404, "no").close().into(),
        Some(b'n') => Response::new(204).into(),
        Some(b'h') => Response::text(200, "secret").header("X-Split", "a\r\nSet-Cookie: b").into(),
        Some(b'x') => Acceptance::new().subprotocol("not-offered").into(),
        Some(b'y') => Acceptance::new().header("X-Own", "1").without_extensions().into(),
        Some(b'o') => request.allow_origins(&["https://chat.example"]).with_subprotocol(chosen),
        Some(b'p') => request.allow_origins_or_none(&["https://chat.example"]),
        _ => request.allow_any_origin().with_subprotocol(chosen).with_header("X-Also", "2"),
    }
}

fn check(served: &Served, bytes: &[u8]) {
    let methods: Vec<String> = served.requests.iter().map(|request| request.method.clone()).collect();
    let (responses, behind) = reference::responses(&served.sent, &methods);
    assert_eq!(behind, b"", "nothing is sent behind the 101 here");
    assert!(responses.len() <= methods.len() + 1, "at most one answer that no request asked for, a refusal");
    for response in &responses {
        assert!(matches!(response.status, 200..=599));
        assert!(response.all("set-cookie").is_empty(), "a forged field");
    }
    for request in &served.requests {
        // Nothing of one request's head gets into another place.
        assert!(request.fields.iter().all(|(name, value)| !name.is_empty() && !value.contains(&b'\n')));
        assert!(request.target.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    let Some((subprotocol, extensions)) = &served.upgraded else {
        // Every request that was shown was answered, and a connection that ends badly has said why.
        assert!(responses.len() >= methods.len());
        if let Some(Outcome::Failed(error)) = &served.outcome
            && let Some(status) = error.status()
        {
            assert_eq!(responses.last().map(|response| response.status), Some(status), "{error}");
        }
        return;
    };
    // "bytes behind a good request are never lost": the rest begins where the request ends.
    let consumed = bytes.len() - served.rest.len();
    assert_eq!(bytes[consumed..], served.rest);
    let request = served.requests.last().expect("the request that upgraded");
    let line = format!("{} {} HTTP/1.", request.method, request.target);
    let head = (0..consumed)
        .rev()
        .filter(|start| bytes[*start..consumed].starts_with(line.as_bytes()))
        .find_map(|start| Head::request(&bytes[start..consumed]).filter(|head| start + head.length == consumed));
    let head = head.unwrap_or_else(|| panic!("no request ends at {consumed}"));
    assert_eq!(head.upgrade_fault(), None);
    assert!(request.is_upgrade && request.body.is_empty());
    assert_eq!(head.fields, request.fields);
    // 4.2.2, item 5.
    let key = String::from_utf8_lossy(head.only("sec-websocket-key").expect("one key")).into_owned();
    let switch = served.sent.windows(12).rposition(|window| window == b"HTTP/1.1 101").expect("a 101");
    let switch = Head::response(&served.sent[switch..]).expect("a response");
    let offered: Vec<&str> = request.subprotocols.iter().map(String::as_str).collect();
    assert_eq!(tungstenite::handshake::derive_accept_key(key.as_bytes()), accept_key(&key));
    assert_eq!(switch.switch_fault(&accept_key(&key), &offered), None);
    assert_eq!(subprotocol.as_ref().map(|name| name.as_bytes()), switch.only("sec-websocket-protocol"));
    assert_eq!(extensions.deflate().is_some(), !switch.all("sec-websocket-extensions").is_empty());
}
