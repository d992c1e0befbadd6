//! The opening handshake against tungstenite: a request that one of them upgrades is upgraded by the other, a response that
//! establishes one establishes the other.
//!
//! Where the two differ, the RFC decides. [`stricter_here`] and [`stricter_there`] are the differences; any other is a
//! failure.

use std::io::{self, Read, Write};

use bytes::BufMut;
use tungstenite::{
    Error,
    handshake::{HandshakeError as Interrupted, machine::TryParse, server},
};
use wireroom::{
    RecvBuffer,
    handshake::{
        AnswerError, ClientHandshake, ClientRequest, HandshakeError, Outcome, Progress, ServerHandshake, UpgradeError,
    },
    http::{Limits, RequestError, ResponseError, Timeouts},
};

use crate::{client_handshake::NONCE, common, input::Choices, reference::Head};

/// What each makes of a head: how much of the bytes it takes, and the key or subprotocol that it answers with.
type Verdict<E> = Result<(usize, String), E>;

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let flags = choices.byte();
    match flags & 1 {
        0 => request(choices.rest()),
        _ => response(choices.rest(), flags & 2 != 0),
    }
}

fn request(bytes: &[u8]) {
    match (our_server(bytes), their_server(bytes)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "two readings of one request"),
        (Err(error), Ok(_)) => assert!(stricter_here(bytes, &error), "refused here alone: {error:?}"),
        (Ok((length, _)), Err(error)) => {
            assert!(stricter_there(&bytes[..length], &error), "refused there alone: {error:?}")
        }
        (Err(_), Err(_)) => {}
    }
}

/// What tungstenite lets through. RFC 9112, unless said.
fn stricter_here(bytes: &[u8], error: &HandshakeError) -> bool {
    use {RequestError as R, UpgradeError as U};
    match error {
        // 2.2: "a recipient of such a bare CR MUST consider that element to be invalid"; a single LF MAY be recognised as a
        // line's end, and whoever sits in front of us may not have.
        HandshakeError::Request(R::BareLf | R::BareCr) => true,
        // RFC 9110, 5.5: "a recipient of CR, LF, or NUL within a field value MUST either reject the message or replace" them;
        // "Field values containing other CTL characters are also invalid".
        HandshakeError::Request(R::ControlByte(_)) => true,
        // 3: the request line has single spaces, and 3.2 four forms of target, of which a fragment is not a part.
        HandshakeError::Request(R::RequestLine | R::Target) => true,
        // 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host
        // header field", has more than one, or an invalid one.
        HandshakeError::Request(R::MissingHost | R::DuplicateHost | R::InvalidHost) => true,
        // RFC 6454, 7.3: "the user agent MUST NOT include more than one Origin header field".
        HandshakeError::Request(R::DuplicateOrigin) => true,
        // 6.3: faulty lengths, and content on a request that upgrades, behind which no frame can be found.
        HandshakeError::Request(
            R::ContentLength | R::TransferEncoding | R::LengthAndCoding | R::UnknownCoding | R::BodyOnUpgrade,
        ) => true,
        HandshakeError::Request(R::Expectation) => true,
        // Limits of ours: 16 KiB, 100 fields, 8 KiB of target.
        HandshakeError::Request(R::HeadTooLarge { .. } | R::TooManyHeaders { .. } | R::TargetTooLong { .. }) => true,
        // RFC 6455, 11.3.1 and 11.3.5: "MUST NOT appear more than once in an HTTP request".
        HandshakeError::Upgrade(U::DuplicateKey | U::DuplicateVersion) => true,
        // RFC 9110, 7.6.1: options are tokens between commas, which it cuts at spaces, too.
        HandshakeError::Upgrade(U::Connection) => Head::request(bytes).is_some_and(|head| {
            let options = head.tokens("connection");
            options.iter().any(|option| option.split(' ').any(|word| word == "upgrade"))
        }),
        // RFC 6455, 4.1, item 10, and 9.1: tokens, and the grammar of extensions.
        HandshakeError::Upgrade(U::Subprotocols | U::Extensions(_)) => true,
        _ => false,
    }
}

/// What tungstenite does not let through although it may be.
fn stricter_there(head: &[u8], error: &Error) -> bool {
    use tungstenite::error::ProtocolError as P;
    let Some(head) = Head::request(head) else {
        // httparse itself does not: a target or version that it does not know.
        return matches!(error, Error::Protocol(P::HttparseError(_)));
    };
    let ascii = |name: &str| head.all(name).iter().all(|value| value.is_ascii());
    match error {
        // RFC 9110, 5.3: several lines are one list, of which it reads the first; 7.8: `Upgrade` is a list, too.
        Error::Protocol(P::MissingConnectionUpgradeHeader) => {
            head.all("connection").len() > 1 || !ascii("connection") || head.all("connection").concat().contains(&b'\t')
        }
        Error::Protocol(P::MissingUpgradeWebSocketHeader) => {
            head.tokens("upgrade").len() > 1 || head.all("upgrade") != [b"websocket"]
        }
        // RFC 9110, 2.5: a higher minor version is to be read as 1.1.
        Error::Protocol(P::HttparseError(httparse::Error::Version)) => head.version > 1,
        // RFC 4648, 3.5: whether unused bits have to be 0 is left open.
        Error::Protocol(P::InvalidSecWebSocketKey) => true,
        // RFC 9112, 3.2: targets that the crate `http` does not take.
        Error::HttpFormat(_) => true,
        // More than 124 fields cannot be: our limit is 100.
        _ => false,
    }
}

fn our_server(bytes: &[u8]) -> Verdict<HandshakeError> {
    let now = common::start();
    let mut handshake = ServerHandshake::new(Limits::default(), Timeouts::default(), now);
    let mut rx = RecvBuffer::new();
    rx.extend(bytes);
    let (mut key, mut requests) = (String::new(), 0);
    let progress = handshake.poll(&mut rx, now, &mut |request| {
        requests += 1;
        key = request.header("sec-websocket-key").unwrap_or_default().to_owned();
        // One request: what is behind a plain one is not looked at.
        if request.is_upgrade() { request.accept().into() } else { request.reject(404, "no") }
    });
    match progress {
        Progress::Upgraded(mut accepted) if requests == 1 => {
            let mut sent = Vec::new();
            sent.put(accepted.transmit());
            let head = Head::response(&sent).expect("a 101");
            let accept = head.only("sec-websocket-accept").expect("one");
            Ok((bytes.len() - rx.unread().len(), String::from_utf8_lossy(accept).into()))
        }
        _ => {
            handshake.handle_eof();
            match handshake.outcome() {
                Some(Outcome::Failed(error)) if requests == 0 => Err(error),
                _ => Err(HandshakeError::Rejected { status: 404 }),
            }
        }
    }
}

fn their_server(bytes: &[u8]) -> Verdict<Error> {
    let Some((length, request)) = server::Request::try_parse(bytes)? else { return Err(Error::ConnectionClosed) };
    let response = server::create_response(&request)?;
    let accept = response.headers().get("sec-websocket-accept").expect("one");
    Ok((length, accept.to_str().expect("base64").into()))
}

fn response(bytes: &[u8], offers: bool) {
    match (our_client(bytes, offers), their_client(bytes, offers)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs, "two readings of one response"),
        (Err(error), Ok(_)) => assert!(client_stricter_here(&error), "refused here alone: {error:?}"),
        (Ok((length, _)), Err(error)) => {
            assert!(client_stricter_there(&bytes[..length], &error), "refused there alone: {error:?}");
        }
        (Err(_), Err(_)) => {}
    }
}

/// What tungstenite's client lets through.
fn client_stricter_here(error: &HandshakeError) -> bool {
    match error {
        // As of requests.
        HandshakeError::Response(ResponseError::ControlByte(_) | ResponseError::Field | ResponseError::StatusLine) => {
            true
        }
        HandshakeError::Response(ResponseError::HeadTooLarge { .. } | ResponseError::TooManyHeaders { .. }) => true,
        // RFC 6455, 4.1, item 2: a second `Upgrade` line with another value; 11.3.3 and 11.3.4: "MUST NOT appear more than once".
        HandshakeError::Answer(
            AnswerError::Upgrade | AnswerError::DuplicateAccept | AnswerError::DuplicateSubprotocol,
        ) => true,
        // Item 5: "the client MUST _Fail the WebSocket Connection_"; 9.1: so it must if the grammar is broken.
        HandshakeError::Answer(AnswerError::UnofferedExtension(_) | AnswerError::Extensions) => true,
        _ => false,
    }
}

/// What tungstenite's client does not let through although it may be.
fn client_stricter_there(head: &[u8], error: &Error) -> bool {
    use tungstenite::error::{ProtocolError as P, SubProtocolError as S};
    // RFC 9110, 15.2: interim responses before it.
    let Some(head) = Head::response(head).filter(|found| found.length == head.len()) else { return true };
    match error {
        // RFC 9110, 2.5: a higher minor version is to be read as 1.1.
        Error::Protocol(P::HttparseError(httparse::Error::Version)) => head.version > 1,
        // RFC 6455, 4.1, item 3: a list that has the token.
        Error::Protocol(P::MissingConnectionUpgradeHeader) => head.all("connection") != [b"Upgrade"],
        // Item 6 lets a server select none; 4.2.2: "if the server does not wish to agree to one of the suggested subprotocols".
        Error::Protocol(P::SecWebSocketSubProtocolError(S::NoSubProtocol)) => {
            head.all("sec-websocket-protocol").is_empty()
        }
        _ => false,
    }
}

fn our_client(bytes: &[u8], offers: bool) -> Verdict<HandshakeError> {
    let now = common::start();
    let request = ClientRequest::new("ws://example.com/chat").expect("a URL");
    let offered: &[&str] = if offers { &["chat", "superchat"] } else { &[] };
    let request = request.subprotocols(offered).expect("tokens");
    let mut handshake = ClientHandshake::new(&request, NONCE, Limits::default(), Timeouts::default(), now);
    let mut rx = RecvBuffer::new();
    rx.extend(bytes);
    if let Some(established) = handshake.poll(&mut rx)? {
        return Ok((bytes.len() - rx.unread().len(), established.subprotocol().unwrap_or_default().into()));
    }
    handshake.handle_eof();
    Err(handshake.outcome().expect("an end").clone())
}

struct Wire<'b>(&'b [u8]);

impl Read for Wire<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn their_client(bytes: &[u8], offers: bool) -> Verdict<Error> {
    let mut request = tungstenite::http::Request::get("ws://example.com/chat")
        .header("Host", "example.com")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    if offers {
        request = request.header("Sec-WebSocket-Protocol", "chat, superchat");
    }
    match tungstenite::client(request.body(()).expect("a request"), Wire(bytes)) {
        Ok((_, response)) => {
            let length = httparse_length(bytes);
            let subprotocol = response.headers().get("sec-websocket-protocol").map(|value| value.as_bytes().to_vec());
            Ok((length, String::from_utf8_lossy(&subprotocol.unwrap_or_default()).into()))
        }
        Err(Interrupted::Failure(error)) => Err(error),
        Err(Interrupted::Interrupted(_)) => panic!("the wire never blocks"),
    }
}

fn httparse_length(bytes: &[u8]) -> usize {
    Head::response(bytes).map_or(0, |head| head.length)
}
