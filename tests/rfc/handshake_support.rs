//! Opening handshakes, made of lines; what a server answers, and what a client makes of an answer.

use bytes::Buf;
use wireroom::handshake::{Acceptance, ClientHandshake, ClientRequest, Progress, ServerHandshake, Verdict};
use wireroom::http::{Limits, Request, Timeouts, Transport};
use wireroom::{Config, Connection, RecvBuffer};

use crate::support::{Endpoint, Side, beginning, keys};

/// The client's opening handshake of section 1.3, without its optional lines.
pub(crate) const SAMPLE: [&str; 6] = [
    "GET /chat HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// The server's answer to it.
pub(crate) const ACCEPTED: [&str; 4] = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

/// The nonce whose key is that of the sample.
const NONCE: [u8; 16] = *b"the sample nonce";

/// The bytes of a head: each line with its CRLF, and an empty line.
pub(crate) fn request(lines: &[impl AsRef<str>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines {
        bytes.extend(line.as_ref().as_bytes());
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"\r\n");
    bytes
}

pub(crate) fn answer(lines: &[impl AsRef<str>]) -> Vec<u8> {
    request(lines)
}

/// The lines and one more.
pub(crate) fn with(lines: &[impl AsRef<str>], line: &str) -> Vec<String> {
    lines.iter().map(|line| line.as_ref().to_owned()).chain([line.to_owned()]).collect()
}

/// The lines without the field of this name.
pub(crate) fn without(lines: &[impl AsRef<str>], name: &str) -> Vec<String> {
    let lines = lines.iter().map(AsRef::as_ref);
    lines.filter(|line| !line.starts_with(&format!("{name}:"))).map(str::to_owned).collect()
}

/// What a server made of a request.
pub(crate) struct Served {
    /// 0 if nothing was answered.
    pub(crate) status: u16,
    /// The head of the answer, its empty line included.
    pub(crate) head: String,
    pub(crate) upgraded: bool,
    /// Once the answer has left, the connection is shut down.
    pub(crate) closes: bool,
    pub(crate) endpoint: Option<Endpoint>,
}

/// A server that accepts every request.
#[track_caller]
pub(crate) fn serve(bytes: &[u8]) -> Served {
    serve_with(bytes, &mut |request| request.allow_any_origin())
}

/// One that accepts these origins.
#[track_caller]
pub(crate) fn serve_origins(origins: &[&str], bytes: &[u8]) -> Served {
    serve_with(bytes, &mut |request| request.allow_origins(origins))
}

/// One that answers every request with this status.
#[track_caller]
pub(crate) fn serve_refusing(status: u16, bytes: &[u8]) -> Served {
    serve_with(bytes, &mut |request| request.reject(status, "no\n"))
}

/// One that insists on a subprotocol.
#[track_caller]
pub(crate) fn serve_choosing(subprotocol: &str, bytes: &[u8]) -> Served {
    serve_with(bytes, &mut |_| Acceptance::new().subprotocol(subprotocol).into())
}

/// The same answer must come whether the request arrives at once or byte by byte.
#[track_caller]
fn serve_with(bytes: &[u8], verify: &mut dyn FnMut(&Request<'_>) -> Verdict) -> Served {
    let slowly = serve_in_pieces(bytes, 1, verify);
    let served = serve_in_pieces(bytes, bytes.len().max(1), verify);
    assert_eq!(slowly.head, served.head, "the answer depends on the cuts");
    assert_eq!((slowly.upgraded, slowly.closes), (served.upgraded, served.closes));
    served
}

fn serve_in_pieces(bytes: &[u8], step: usize, verify: &mut dyn FnMut(&Request<'_>) -> Verdict) -> Served {
    let now = beginning();
    let mut rx = RecvBuffer::new();
    let mut handshake = ServerHandshake::new(Limits::default(), Timeouts::default(), now);
    for piece in bytes.chunks(step) {
        rx.extend(piece);
        if let Progress::Upgraded(accepted) = handshake.poll(&mut rx, now, verify) {
            let connection = Connection::server(*accepted, Config::default(), now);
            let mut endpoint = Endpoint::new(Side::Server, connection, rx, now);
            let (status, head) = status_and_head(endpoint.sent());
            return Served { status, head, upgraded: true, closes: false, endpoint: Some(endpoint) };
        }
    }
    let queue = handshake.transmit();
    let sent = queue.copy_to_bytes(queue.remaining()).to_vec();
    let (status, head) = status_and_head(sent);
    let closes = handshake.transport() != Transport::Open;
    Served { status, head, upgraded: false, closes, endpoint: None }
}

fn status_and_head(sent: Vec<u8>) -> (u16, String) {
    let text = String::from_utf8(sent).expect("an answer in ASCII");
    let end = text.find("\r\n\r\n").map_or(text.len(), |end| end + 4);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, text[..end].to_owned())
}

/// A client whose request has left.
pub(crate) struct Asking {
    pub(crate) request: String,
    pub(crate) subprotocol: Option<String>,
    /// There once the answer was accepted.
    pub(crate) endpoint: Option<Endpoint>,
    handshake: ClientHandshake,
    rx: RecvBuffer,
}

pub(crate) fn client_for(url: &str) -> Result<Asking, String> {
    client_with(url, NONCE, &[])
}

pub(crate) fn client_with(url: &str, nonce: [u8; 16], subprotocols: &[&str]) -> Result<Asking, String> {
    let text = |error: wireroom::handshake::ClientRequestError| error.to_string();
    let request = ClientRequest::new(url).and_then(|request| request.subprotocols(subprotocols)).map_err(text)?;
    let (limits, timeouts) = (Limits::default(), Timeouts::default());
    let mut handshake = ClientHandshake::new(&request, nonce, limits, timeouts, beginning());
    let queue = handshake.transmit();
    let bytes = queue.copy_to_bytes(queue.remaining()).to_vec();
    let request = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    Ok(Asking { request, subprotocol: None, endpoint: None, handshake, rx: RecvBuffer::new() })
}

impl Asking {
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.receive(bytes);
            return Ok(());
        }
        self.rx.extend(bytes);
        match self.handshake.poll(&mut self.rx).map_err(|error| error.to_string())? {
            None => assert!(!self.handshake.wants_write(), "there is nothing to send before the answer"),
            Some(established) => {
                self.subprotocol = established.subprotocol().map(str::to_owned);
                let now = beginning();
                let connection = Connection::client(established, keys(), Config::default(), now);
                let rx = std::mem::take(&mut self.rx);
                self.endpoint = Some(Endpoint::new(Side::Client, connection, rx, now));
            }
        }
        Ok(())
    }

    /// The peer's end of the stream.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        self.handshake.handle_eof();
        self.receive(&[])
    }
}

/// A client of the sample's nonce gets this answer, and the end of the stream; `Ok` with the subprotocol.
#[track_caller]
pub(crate) fn ask(lines: &[impl AsRef<str>]) -> Result<Option<String>, String> {
    ask_offering(&[], lines)
}

/// The same answer must be judged alike whether it arrives at once or byte by byte.
#[track_caller]
pub(crate) fn ask_offering(subprotocols: &[&str], lines: &[impl AsRef<str>]) -> Result<Option<String>, String> {
    let bytes = answer(lines);
    let in_pieces = |step| {
        let mut client = client_with("ws://server.example.com/chat", NONCE, subprotocols)?;
        bytes.chunks(step).try_for_each(|piece| client.receive(piece))?;
        if client.endpoint.is_none() {
            client.end()?;
        }
        assert!(client.endpoint.is_some(), "neither accepted nor refused");
        Ok::<_, String>(client.subprotocol)
    };
    let verdict = in_pieces(bytes.len());
    assert_eq!(in_pieces(1).is_ok(), verdict.is_ok(), "the verdict depends on the cuts");
    verdict
}
