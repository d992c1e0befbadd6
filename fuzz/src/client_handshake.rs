//! Floor 3, the client: what a server answers, and what we ask. The input is a response, or a URL with a header, behind
//! a few choices.

use bytes::{Buf, BufMut};
use wireroom::{
    PermessageDeflate, RecvBuffer, Transport,
    handshake::{ClientHandshake, ClientRequest, Established, Extensions, HandshakeError, Progress, ServerHandshake},
    http::{Limits, Timeouts},
};

use crate::{
    common,
    input::{Choices, cuts, every_byte},
    printed::{printed, told},
    reference::Head,
};

/// RFC 6455, 1.3: the nonce of its example, so that a seed can hold the right answer.
pub(crate) const NONCE: [u8; 16] = *b"the sample nonce";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A client that has asked.
struct Client {
    request: ClientRequest,
    limits: Limits,
}

/// The subprotocol, the extensions, and the fields of the 101.
type Agreed = (Option<String>, Extensions, Vec<(String, Vec<u8>)>);

/// What became of a server's bytes.
#[derive(Debug, PartialEq)]
struct Answered {
    established: Option<Agreed>,
    error: Option<HandshakeError>,
    rest: Vec<u8>,
}

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let flags = choices.byte();
    if flags & 1 != 0 {
        return round_trip(&mut choices);
    }
    let limits = Limits {
        max_response_head: choices.of(&[16_384, 100, 300]),
        max_headers: choices.of(&[100, 1, 7]),
        max_response_body: choices.of(&[65_536, 0, 5, 100]),
        ..Limits::default()
    };
    let mut request = ClientRequest::new("ws://example.com/chat").expect("a URL");
    let mut offered: &[&str] = &[];
    if flags & 2 != 0 {
        offered = &["chat", "superchat"];
        request = request.subprotocols(offered).expect("tokens");
    }
    let deflate = PermessageDeflate {
        server_max_window_bits: if flags & 16 != 0 { 10 } else { 15 },
        client_no_context_takeover: flags & 32 != 0,
        ..PermessageDeflate::default()
    };
    let offers = if flags & 4 != 0 { deflate.offers() } else { Vec::new() };
    let client = Client { request: request.deflate_offers(&offers), limits };
    let places = choices.places();
    let bytes = choices.rest();
    let cuts = cuts(&places, bytes.len());
    let mut whole = client.ask(bytes, &[], flags & 8 != 0);
    let mut others =
        [client.ask(bytes, &cuts, flags & 8 != 0), client.ask(bytes, &every_byte(bytes.len()), flags & 8 != 0)];
    for answered in others.iter_mut().chain([&mut whole]) {
        check(answered, bytes, offered, !offers.is_empty());
    }
    for answered in others {
        assert_eq!(answered, whole, "cut at {cuts:?} or byte by byte");
    }
}

impl Client {
    fn ask(&self, bytes: &[u8], cuts: &[usize], times_out: bool) -> Answered {
        let now = common::start();
        let mut handshake = ClientHandshake::new(&self.request, NONCE, self.limits, Timeouts::default(), now);
        assert!(handshake.wants_write() && handshake.transport() == Transport::Open);
        handshake.transmit().advance(usize::MAX);
        assert!(!handshake.wants_write());
        let mut rx = RecvBuffer::new();
        let mut answered = Answered { established: None, error: None, rest: Vec::new() };
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let (mut start, mut largest) = (0, 0);
        for end in ends {
            let chunk = &bytes[start..end];
            start = end;
            if answered.established.is_some() {
                answered.rest.extend(chunk);
                continue;
            }
            rx.extend(chunk);
            largest = largest.max(chunk.len());
            let most = 3 * (largest + self.limits.max_response_head + 512);
            if handshake.wants_read() {
                assert!(rx.capacity() <= most, "{} bytes of storage for reads of {largest}", rx.capacity());
            }
            match handshake.poll(&mut rx) {
                Ok(Some(established)) => {
                    answered.established = Some(described(&established));
                    answered.rest.extend(rx.unread());
                    assert_eq!((handshake.poll_timeout(), handshake.outcome()), (None, None));
                    assert!(matches!(handshake.poll(&mut rx), Ok(None)), "established once");
                    handshake.handle_eof();
                    assert_eq!((handshake.outcome(), handshake.transport()), (None, Transport::Open));
                }
                Ok(None) => assert!(handshake.wants_read()),
                Err(error) => {
                    assert_eq!(handshake.transport(), Transport::Close);
                    assert_eq!(handshake.poll(&mut rx).err().as_ref(), Some(&error), "an error is final");
                    assert_eq!(handshake.outcome(), Some(&error));
                    answered.error = Some(error);
                }
            }
        }
        if answered.established.is_none() {
            match times_out {
                true => handshake.handle_timeout(handshake.poll_timeout().unwrap_or(now)),
                false => handshake.handle_eof(),
            }
            let error = handshake.outcome().expect("an end").clone();
            assert!(answered.error.is_none_or(|earlier| earlier == error));
            answered.error = Some(error);
            assert!(!handshake.wants_read() && handshake.transport() == Transport::Close);
        }
        printed(&handshake);
        answered
    }
}

fn described(established: &Established) -> Agreed {
    let fields = established.headers().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    (established.subprotocol().map(String::from), established.extensions(), fields)
}

fn check(answered: &mut Answered, bytes: &[u8], offered: &[&str], offers_deflate: bool) {
    match (&answered.established, &mut answered.error) {
        (Some((subprotocol, extensions, fields)), None) => {
            let consumed = bytes.len() - answered.rest.len();
            assert_eq!(bytes[consumed..], answered.rest);
            // The 101 may stand behind interim responses: it begins where a response does that ends here.
            let heads = bytes[..consumed].windows(9).enumerate().filter(|(_, window)| window.starts_with(b"HTTP/1."));
            let mut heads = heads.filter_map(|(start, _)| {
                Head::response(&bytes[start..consumed]).filter(|head| start + head.length == consumed)
            });
            let head = heads.find(|head| head.switch_fault(ACCEPT, offered).is_none());
            let head = head.unwrap_or_else(|| panic!("no 101 ends at {consumed}"));
            assert_eq!(head.fields, *fields);
            assert_eq!(subprotocol.as_ref().map(|name| name.as_bytes()), head.only("sec-websocket-protocol"));
            let answers = !head.all("sec-websocket-extensions").is_empty();
            assert_eq!(extensions.deflate().is_some(), answers);
            assert!(!answers || offers_deflate, "an extension that was not offered");
        }
        (None, Some(error)) => {
            told(error);
            if let HandshakeError::Refused(refusal) = error {
                assert!((200..600).contains(&refusal.status()));
                assert!(refusal.body().len() <= 65_536 && !refusal.reason().contains(['\r', '\n']));
                // Where the length is none, or said twice, a refusal lasts until the stream ends.
                let lengths = || refusal.headers().filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                let is_one = |length: &&str| !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
                let length =
                    refusal.header("content-length").filter(|_| !refusal.is_truncated() && lengths().count() == 1);
                let length = length.filter(is_one);
                // Also where its value is no text.
                let chunked = refusal.headers().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
                let whole = |length: &str| length.trim().parse() == Ok(refusal.body().len());
                let is_empty = matches!(refusal.status(), 204 | 304);
                assert!(is_empty || chunked || length.is_none_or(whole), "not whole: {refusal:?}");
                assert!(refusal.headers().all(|(name, _)| !name.is_empty()));
            }
        }
        other => panic!("one of both: {other:?}"),
    }
}

/// A URL and what stands beside it, good or bad: a request that can be made is one that a server takes, and it says what
/// was asked for and nothing else.
fn round_trip(choices: &mut Choices<'_>) {
    let mut texts = [0; 4].map(|_| {
        let length = usize::from(choices.byte());
        String::from_utf8_lossy(choices.bytes(length)).into_owned()
    });
    let [url, name, value, subprotocol] = &mut texts;
    let Ok(request) = ClientRequest::new(url) else { return };
    assert!(url.to_ascii_lowercase().starts_with("ws") && !url.contains(['\r', '\n', '#']));
    assert!(request.port() != 0 && !request.host().is_empty());
    assert_eq!(request.is_secure(), url.to_ascii_lowercase().starts_with("wss:"));
    printed(&request);
    if !url.contains('@') && !request.is_secure() {
        assert_eq!(ClientRequest::for_target(request.authority(), request.target()).as_ref(), Ok(&request));
    }
    assert_eq!(request.clone().origin(value), request.clone().header("Origin", value));
    let request = match request.clone().header(name, value) {
        Ok(request) => request,
        Err(_) => request,
    };
    let request = match request.clone().subprotocols(&[&*subprotocol]) {
        Ok(request) => request,
        Err(_) => request,
    };
    let deflate = PermessageDeflate::default();
    let request = if choices.byte() & 1 != 0 { request.deflate_offers(&deflate.offers()) } else { request };

    let now = common::start();
    let limits = Limits::default();
    let mut client = ClientHandshake::new(&request, NONCE, limits, Timeouts::default(), now);
    let mut server = ServerHandshake::new(limits, Timeouts::default(), now);
    server.set_deflate(Some(deflate.terms()));
    let (mut to_server, mut to_client) = (RecvBuffer::new(), RecvBuffer::new());
    let mut asked = Vec::new();
    asked.put(client.transmit());
    to_server.extend(&asked);
    let progress = server.poll(&mut to_server, now, &mut |asked| {
        assert_eq!(asked.target(), request.target());
        assert_eq!(asked.host(), Some(request.authority()));
        let names: Vec<_> = asked.headers().map(|(name, _)| name.to_ascii_lowercase()).collect();
        let known = ["host", "upgrade", "connection", "sec-websocket-key", "sec-websocket-version"];
        let more = ["sec-websocket-protocol", "sec-websocket-extensions", "authorization"];
        let others = names.iter().filter(|name| !known.contains(&&***name) && !more.contains(&&***name)).count();
        assert!(others <= 1 && known.iter().all(|known| names.iter().filter(|name| name == known).count() == 1));
        assert!(asked.subprotocols().eq(request.offered_subprotocols().iter().map(String::as_str)));
        asked.accept().into()
    });
    let Progress::Upgraded(mut accepted) = progress else { panic!("refused: {:?}", server.outcome()) };
    assert!(to_server.is_empty());
    let mut answer = Vec::new();
    answer.put(accepted.transmit());
    to_client.extend(&answer);
    let established = client.poll(&mut to_client).expect("a good answer").expect("a whole one");
    assert_eq!(established.extensions(), accepted.extensions());
}
