//! Floor 3, the server: requests until one upgrades. The input is what a client sends, behind a few choices.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::{Buf, BufMut};
use wireroom::{
    Config, PermessageDeflate, RecvBuffer, Transport,
    handshake::{
        Acceptance, Accepted, Extensions, HandshakeError, Outcome, Progress, ServerHandshake, Verdict, accept_key,
    },
    http::{Request, Response, StreamError, StreamStatus, Version},
};

use crate::{
    common,
    input::{Choices, cuts, every_byte},
    printed::{printed, told},
    reference::{self, Head},
};

const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4);

/// What the application and its client are like.
struct Server {
    config: Config,
    deflate: bool,
    client: Client,
    /// It does not answer what it deferred, and ends what it streams late.
    is_slow: bool,
}

/// What a client does when it has said everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Ends,
    /// It takes what it is sent.
    Waits,
    /// It takes a little before each deadline.
    Drips,
    /// It has taken nothing.
    Blocks,
}

/// What became of a client's bytes.
#[derive(Debug, Default, PartialEq)]
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

/// One connection to the server.
struct Conversation<'s> {
    server: &'s Server,
    handshake: ServerHandshake,
    rx: RecvBuffer,
    /// On their way: nothing is read that is not wanted.
    waiting: Vec<u8>,
    largest: usize,
    /// How often more was said in the answer that is streamed.
    streamed: u32,
    served: Served,
    now: Instant,
}

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let flags = choices.byte();
    let config = Config::builder()
        .max_head_size(choices.of(&[16_384, 100, 256, 1024]))
        .max_target_size(choices.of(&[8_192, 1, 16]))
        .max_header_fields(choices.of(&[100, 1, 7]))
        .max_request_body(choices.of(&[0, 1, 64, 4096]))
        .max_requests(choices.of(&[1_000, 1, 2]));
    let config = config.build().expect("valid");
    let client = [Client::Ends, Client::Waits, Client::Drips, Client::Blocks][usize::from(flags >> 1 & 3)];
    let server = Server { config, deflate: flags & 1 != 0, client, is_slow: flags & 8 != 0 };
    let places = choices.places();
    let bytes = choices.rest();
    let whole = server.serve(bytes, &[]);
    for cuts in [cuts(&places, bytes.len()), every_byte(bytes.len())] {
        let served = server.serve(bytes, &cuts);
        // How much is read of one that does not take its answers depends on when it came.
        assert!(served == whole || !server.takes_all(), "cut at {cuts:?}: {served:?} in place of {whole:?}");
    }
    server.check(&whole, bytes);
}

impl Server {
    fn takes_all(&self) -> bool {
        matches!(self.client, Client::Ends | Client::Waits)
    }

    fn serve(&self, bytes: &[u8], cuts: &[usize]) -> Served {
        let now = common::start();
        let mut handshake = ServerHandshake::new(self.config.http_limits(), self.config.http_timeouts(), now);
        handshake.set_deflate(self.deflate.then(|| PermessageDeflate::default().terms()));
        handshake.set_peer_addr(Some(PEER));
        let (rx, waiting, served) = (RecvBuffer::new(), Vec::new(), Served::default());
        let mut it = Conversation { server: self, handshake, rx, waiting, largest: 0, streamed: 0, served, now };
        let mut start = 0;
        for end in cuts.iter().copied().chain([bytes.len()]) {
            it.waiting.extend(&bytes[start..end]);
            start = end;
            it.receive();
        }
        if it.served.upgraded.is_none() {
            if self.client == Client::Ends {
                it.handshake.handle_eof();
                it.turn();
            }
            it.let_time_pass();
        }
        match it.served.upgraded {
            Some(_) => it.served.rest = [it.rx.unread(), &it.waiting].concat(),
            None => it.served.outcome = Some(it.handshake.outcome().expect("an end")),
        }
        printed(&it.handshake);
        it.served
    }

    /// The application: the end of the target says what it does, so that the fuzzer can choose.
    fn verify(&self, request: &Request<'_>, deferred: bool) -> Verdict {
        let chosen = request.select_subprotocol(&["chat", "superchat"]);
        let target = request.target();
        // What was deferred is answered as the letter before says.
        let chooses = if deferred { target.strip_suffix('d').unwrap_or(target) } else { target };
        match chooses.as_bytes().last() {
            Some(b'd') if !deferred => Verdict::Defer,
            Some(b's') => Verdict::Stream(Response::text(200, "first")),
            Some(b'r') => Response::text(200, "hello").into(),
            Some(b'c') => Response::text(404, "no").close().into(),
            Some(b'n') => Response::new(204).into(),
            Some(b'w') => Response::html(vec![b'w'; 40_000]).into(),
            Some(b'0'..=b'9') => {
                let status = target.get(target.len().saturating_sub(3)..).and_then(|end| end.parse().ok()).unwrap_or(0);
                let response = Response::text(status, "so");
                assert_eq!(response.status(), if (200..600).contains(&status) { status } else { 500 });
                response.into()
            }
            Some(b'h') => {
                let response = Response::text(200, "secret").header("X-Split", "a\r\nSet-Cookie: b");
                assert!(response.fault().is_some() && Response::new(200).try_header("X", "\n").is_err());
                response.into()
            }
            Some(b'g') => Response::new(200).try_header("X-Target", target).expect("printable").into(),
            Some(b'x') => Acceptance::new().subprotocol("not-offered").into(),
            Some(b'y') => Acceptance::new().try_header("X-Own", "1").expect("a field").without_extensions().into(),
            Some(b'z') => Acceptance::new().header("Sec-WebSocket-Accept", "forged").into(),
            Some(b'o') => {
                request.allow_origins(&["https://chat.example"]).with_subprotocol(chosen).with_header("X-Also", "2")
            }
            Some(b'p') => request.allow_origins_or_none(&["https://chat.example"]),
            _ => request.allow_any_origin().with_subprotocol(chosen).with_header("X-Also", "2"),
        }
    }
}

impl Conversation<'_> {
    fn receive(&mut self) {
        while self.served.upgraded.is_none() && self.handshake.wants_read() && !self.waiting.is_empty() {
            self.largest = self.largest.max(self.waiting.len());
            self.rx.extend(&std::mem::take(&mut self.waiting));
            // A head lies in the buffer until it is whole, a body does not.
            let most = 3 * (self.largest + self.server.config.max_head_size() + 512);
            assert!(self.rx.capacity() <= most, "{} bytes of storage, {most} may be", self.rx.capacity());
            self.turn();
        }
    }

    /// Everything that can be done with the bytes at hand.
    fn turn(&mut self) {
        loop {
            let before = (self.served.requests.len(), self.rx.unread().len());
            let (server, requests) = (self.server, &mut self.served.requests);
            let mut progress = self.handshake.poll(&mut self.rx, self.now, &mut |request| {
                requests.push(seen(request));
                server.verify(request, false)
            });
            self.take(false);
            if self.handshake.deferred().is_some() && !server.is_slow {
                progress = self.answer();
            }
            if self.handshake.is_streaming() && !server.is_slow {
                self.stream();
                self.handshake.finish(self.now).expect("it streams");
                assert_eq!(self.handshake.stream(b"late", 1, self.now), Err(StreamError::NotStreaming));
                assert_eq!(self.handshake.finish(self.now), Err(StreamError::NotStreaming));
            }
            match progress {
                Progress::Upgraded(accepted) => return self.upgrade(*accepted),
                Progress::Pending => self.take(false),
            }
            if before == (self.served.requests.len(), self.rx.unread().len()) {
                return;
            }
        }
    }

    /// What was deferred is answered after all, by one of two ways that mean the same.
    fn answer(&mut self) -> Progress {
        let owned = self.handshake.deferred().expect("a request").clone();
        let request = owned.as_request();
        printed(&owned);
        assert_eq!(self.served.requests.last(), Some(&seen(&request)), "the request is kept as it was");
        let now = self.now + Duration::from_millis(1);
        match self.server.verify(&request, true) {
            Verdict::Accept(acceptance) if request.target().len().is_multiple_of(2) => {
                self.handshake.accept(acceptance, now).map_or(Progress::Pending, Progress::Upgraded)
            }
            Verdict::Respond(response) if request.target().len().is_multiple_of(2) => {
                assert!(self.handshake.respond(response, now) && !self.handshake.respond(Response::new(200), now));
                Progress::Pending
            }
            verdict => self.handshake.answer(verdict, now),
        }
    }

    fn upgrade(&mut self, mut accepted: Accepted) {
        self.served.upgraded = Some((accepted.subprotocol().map(String::from), accepted.extensions()));
        self.served.sent.put(accepted.transmit());
    }

    /// More of an answer, as far as it may wait.
    fn stream(&mut self) {
        const LIMIT: usize = 300;
        for piece in [&b"one"[..], b"", b"three"] {
            let before = self.handshake.transmit().len();
            let streamed = self.handshake.stream(piece, LIMIT, self.now);
            let is_full = self.handshake.transmit().len() >= LIMIT;
            assert_eq!(
                streamed,
                match before {
                    LIMIT.. => Err(StreamError::BufferFull),
                    _ if is_full => Ok(StreamStatus::Backpressure),
                    _ => Ok(StreamStatus::Queued),
                }
            );
        }
    }

    fn take(&mut self, at_deadline: bool) {
        let queue = self.handshake.transmit();
        let n = match self.server.client {
            Client::Ends | Client::Waits => queue.len(),
            Client::Drips if at_deadline => queue.len().div_ceil(8),
            Client::Drips => 1,
            Client::Blocks => 0,
        };
        self.served.sent.put(queue.take(n));
        let is_empty = queue.is_empty();
        assert_eq!(self.handshake.wants_write(), !is_empty);
    }

    /// The client says no more: it ends, each step in its time.
    fn let_time_pass(&mut self) {
        let (began, mut deadlines) = (self.now, 0);
        while self.handshake.transport() != Transport::Close && self.served.upgraded.is_none() {
            match self.handshake.poll_timeout() {
                Some(deadline) => {
                    if deadline > self.now {
                        self.handshake.handle_timeout(self.now);
                        assert_eq!(self.handshake.poll_timeout(), Some(deadline), "it was too early");
                    }
                    self.now = self.now.max(deadline);
                    self.handshake.handle_timeout(self.now);
                }
                // The application's turn.
                None => assert!(self.server.is_slow && self.handshake.is_streaming(), "nothing will ever end it"),
            }
            if self.handshake.is_streaming() {
                self.streamed += 1;
                match self.streamed % 3 {
                    0 => self.handshake.finish(self.now).expect("it streams"),
                    _ => self.stream(),
                }
            }
            self.take(true);
            self.receive();
            self.turn();
            deadlines += 1;
            assert!(deadlines < 10_000, "a deadline that does not pass: {:?}", self.handshake);
        }
        let timeouts = self.server.config.http_timeouts();
        let of_one = timeouts.handshake_timeout + timeouts.response_timeout * 5 + timeouts.close_timeout;
        let most = of_one * (self.served.requests.len() as u32 + 2);
        let took = self.now - began;
        assert!(took <= most || self.server.client == Client::Drips, "it took {took:?}");
    }
}

fn seen(request: &Request<'_>) -> Seen {
    printed(request);
    let _ = (request.basic_auth(), request.bearer_token(), request.cookie("a"));
    assert_eq!(request.peer_addr(), Some(PEER));
    assert!(request.extensions().eq(request.header_all("sec-websocket-extensions")));
    assert!(request.origin().is_none_or(|origin| request.header("ORIGIN") == Some(origin)));
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

impl Server {
    fn check(&self, served: &Served, bytes: &[u8]) {
        for request in &served.requests {
            // Nothing of one request's head gets into another place.
            assert!(request.fields.iter().all(|(name, value)| !name.is_empty() && !value.contains(&b'\n')));
            assert!(request.target.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        let error = match &served.outcome {
            Some(Outcome::Failed(error)) => Some(error),
            _ => None,
        };
        error.map(told);
        // Only a client that takes nothing, or goes while its answer is made, has it cut off.
        let is_cut_off = self.client == Client::Blocks || self.is_slow && error == Some(&HandshakeError::Eof);
        if served.upgraded.is_none() && is_cut_off {
            return;
        }
        let methods: Vec<String> = served.requests.iter().map(|request| request.method.clone()).collect();
        let (responses, behind) = reference::responses(&served.sent, &methods);
        assert_eq!(behind, b"", "nothing is sent behind the 101 here");
        assert!(responses.len() <= methods.len() + 1, "at most one answer that no request asked for, a refusal");
        for response in &responses {
            assert!(matches!(response.status, 200..=599));
            assert!(response.all("set-cookie").is_empty(), "a forged field");
        }
        if served.upgraded.is_some() {
            return check_upgrade(served, bytes);
        }
        // Every request that was shown was answered, and a connection that ends badly has said why.
        assert!(responses.len() >= methods.len());
        if let Some(status) = error.and_then(|error| error.status()) {
            assert_eq!(responses.last().map(|response| response.status), Some(status), "{error:?}");
        }
    }
}

fn check_upgrade(served: &Served, bytes: &[u8]) {
    let (subprotocol, extensions) = served.upgraded.as_ref().expect("it upgraded");
    // "bytes behind a good request are never lost": the rest begins where the request ends.
    let consumed = bytes.len() - served.rest.len();
    assert_eq!(bytes[consumed..], served.rest);
    let request = served.requests.last().expect("the request that upgraded");
    let line = format!("{} {} HTTP/1.", request.method, request.target);
    let head = (0..consumed)
        .rev()
        .filter(|start| bytes[*start..consumed].starts_with(line.as_bytes()))
        .filter_map(|start| Head::request(&bytes[start..consumed]).filter(|head| start + head.length == consumed))
        // A value may hold what looks like a request, too.
        .find(|head| head.fields == request.fields);
    let head = head.unwrap_or_else(|| panic!("no such request ends at {consumed}: {request:?}"));
    assert_eq!(head.upgrade_fault(), None);
    assert!(request.is_upgrade && request.body.is_empty());
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
