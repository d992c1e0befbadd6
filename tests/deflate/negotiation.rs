//! Section 7.1: what is offered, what is answered, and what is refused.

use std::time::Instant;

use bytes::{Buf, BufMut};
use wireroom::{
    Config, Connection, PermessageDeflate, RecvBuffer,
    handshake::{
        AnswerError, ClientHandshake, ClientRequest, DeflateParams, HandshakeError, Progress, ServerHandshake, Verdict,
    },
    http::{Limits, Request, Timeouts},
};

use crate::support::*;

const NAME: &str = "permessage-deflate";

fn params(server: bool, client: bool, server_bits: u8, client_bits: u8) -> DeflateParams {
    DeflateParams {
        server_no_context_takeover: server,
        client_no_context_takeover: client,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits,
    }
}

fn ours(server: bool, client: bool, server_bits: u8, client_bits: u8) -> PermessageDeflate {
    PermessageDeflate {
        server_no_context_takeover: server,
        client_no_context_takeover: client,
        server_max_window_bits: server_bits,
        client_max_window_bits: client_bits,
        ..PermessageDeflate::default()
    }
}

/// What a server with these terms answers to these lines: the header of its 101, and what it then holds to.
fn answer_with(
    terms: Option<PermessageDeflate>,
    lines: &[&str],
    verify: &mut dyn FnMut(&Request<'_>) -> Verdict,
) -> (Option<String>, Option<DeflateParams>) {
    let now = start();
    let mut handshake = ServerHandshake::new(Limits::default(), Timeouts::default(), now);
    handshake.set_deflate(terms.map(|deflate| deflate.terms()));
    let mut rx = RecvBuffer::new();
    rx.extend(
        b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
    );
    for line in lines {
        rx.extend(format!("Sec-WebSocket-Extensions: {line}\r\n").as_bytes());
    }
    rx.extend(b"\r\n");
    let Progress::Upgraded(mut accepted) = handshake.poll(&mut rx, now, verify) else { panic!("{lines:?}") };
    let mut wire = Vec::new();
    wire.put(accepted.transmit());
    let wire = String::from_utf8(wire).unwrap();
    let header = wire.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: ")).map(str::to_owned);
    assert_eq!(header.is_some(), accepted.extensions().deflate().is_some());
    (header, accepted.extensions().deflate())
}

fn answer(terms: PermessageDeflate, line: &str) -> (Option<String>, Option<DeflateParams>) {
    answer_with(Some(terms), &[line], &mut |request| request.allow_any_origin())
}

#[test]
fn section_7_1_a_server_answers_each_offer_as_it_must() {
    let any = ours(false, false, 15, 15);
    let strict = ours(true, true, 10, 11);
    for (terms, offer, expected, agreed) in [
        (any, "", "", params(false, false, 15, 15)),
        (any, "; client_max_window_bits", "", params(false, false, 15, 15)),
        // 7.1.1.1: accepted by including it
        (any, "; server_no_context_takeover", "; server_no_context_takeover", params(true, false, 15, 15)),
        // 7.1.1.2: a hint, which is confirmed
        (any, "; client_no_context_takeover", "; client_no_context_takeover", params(false, true, 15, 15)),
        // 7.1.2.1: "with the same or smaller value as the offer"
        (any, "; server_max_window_bits=10", "; server_max_window_bits=10", params(false, false, 10, 15)),
        (any, "; server_max_window_bits=15", "; server_max_window_bits=15", params(false, false, 15, 15)),
        (any, "; server_max_window_bits=\"9\"", "; server_max_window_bits=9", params(false, false, 9, 15)),
        // 7.1.2.2: a hint of what the client will use
        (any, "; client_max_window_bits=10", "; client_max_window_bits=10", params(false, false, 15, 10)),
        (any, "; client_max_window_bits=8", "; client_max_window_bits=8", params(false, false, 15, 8)),
        // What the server wants
        (
            strict,
            "; client_max_window_bits",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
             client_max_window_bits=11",
            params(true, true, 10, 11),
        ),
        (
            strict,
            "; client_max_window_bits=9; server_max_window_bits=12",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
             client_max_window_bits=9",
            params(true, true, 10, 9),
        ),
        // 7.1.2.2: not offered, so it MUST NOT be answered
        (
            strict,
            "",
            "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
            params(true, true, 10, 15),
        ),
    ] {
        let (header, params) = answer(terms, &format!("{NAME}{offer}"));
        assert_eq!(header, Some(format!("{NAME}{expected}")), "{offer}");
        assert_eq!(params, Some(agreed), "{offer}");
    }
}

#[test]
fn section_5_1_an_offer_that_cannot_be_accepted_is_declined_and_the_next_one_looked_at() {
    let any = ours(false, false, 15, 15);
    for declined in [
        "; unknown",
        "; server_max_window_bits",
        "; server_max_window_bits=7",
        "; server_max_window_bits=16",
        "; server_max_window_bits=09",
        "; client_max_window_bits=7",
        "; client_max_window_bits=16",
        "; client_max_window_bits=\"\\0\\8\"",
        "; server_no_context_takeover=true",
        "; client_no_context_takeover=1",
        "; client_no_context_takeover; client_no_context_takeover",
        "; server_max_window_bits=9; server_max_window_bits=9",
        // zlib cannot compress with 256 bytes
        "; server_max_window_bits=8",
    ] {
        assert_eq!(answer(any, &format!("{NAME}{declined}")), (None, None), "{declined}");
        let (header, params) = answer(any, &format!("{NAME}{declined}, {NAME}; server_max_window_bits=12"));
        assert_eq!(header, Some(format!("{NAME}; server_max_window_bits=12")), "{declined}");
        assert_eq!(params.map(|params| params.server_max_window_bits), Some(12));
    }
    let others = "x-webkit-deflate-frame, permessage-bzip2; a=\"b\"";
    assert_eq!(answer(any, others), (None, None));
    assert_eq!(answer(any, &format!("{others}, {NAME}")).0, Some(NAME.into()));
    assert_eq!(
        answer(any, &format!("{NAME}; client_max_window_bits=12, {NAME}")).1,
        Some(params(false, false, 15, 12))
    );
    // RFC 6455, 9.1: several lines are one list.
    let verify = &mut |request: &Request<'_>| request.allow_any_origin();
    let lines = answer_with(Some(any), &["foo", &format!("{NAME}; nonsense"), NAME], verify);
    assert_eq!(lines.0, Some(NAME.into()));
}

#[test]
fn every_offer_is_declined_unless_the_server_turned_it_on() {
    let verify = &mut |request: &Request<'_>| request.allow_any_origin();
    assert_eq!(answer_with(None, &[NAME], verify), (None, None));
    let never = &mut |request: &Request<'_>| Verdict::from(request.accept().without_extensions());
    assert_eq!(answer_with(Some(PermessageDeflate::default()), &[NAME], never), (None, None));
}

/// What a client that makes these offers thinks of a server's answer.
fn validate(deflate: Option<PermessageDeflate>, header: &str) -> Result<Option<DeflateParams>, HandshakeError> {
    let (mut handshake, mut rx) = client(deflate);
    let extensions = if header.is_empty() { String::new() } else { format!("Sec-WebSocket-Extensions: {header}\r\n") };
    rx.extend(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{extensions}\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        )
        .as_bytes(),
    );
    handshake.poll(&mut rx).map(|established| established.expect("it is complete").extensions().deflate())
}

fn client(deflate: Option<PermessageDeflate>) -> (ClientHandshake, RecvBuffer) {
    let request = ClientRequest::new("ws://h/").unwrap();
    let request = match deflate {
        Some(deflate) => request.deflate_offers(&deflate.offers()),
        None => request,
    };
    let now: Instant = start();
    let handshake = ClientHandshake::new(&request, *b"the sample nonce", Limits::default(), Timeouts::default(), now);
    (handshake, RecvBuffer::new())
}

fn offered(deflate: PermessageDeflate) -> String {
    let (mut handshake, _) = client(Some(deflate));
    let wire = taken(handshake.transmit());
    let wire = String::from_utf8(wire.to_vec()).unwrap();
    wire.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: ")).expect("offers").to_owned()
}

#[test]
fn section_7_1_what_a_client_offers() {
    assert_eq!(offered(ours(false, false, 15, 15)), "permessage-deflate; client_max_window_bits");
    assert_eq!(
        offered(ours(false, true, 15, 10)),
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=10"
    );
    // What is asked of the server may be declined: a second offer does without.
    assert_eq!(
        offered(ours(true, true, 10, 12)),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
         client_max_window_bits=12, permessage-deflate; client_no_context_takeover; client_max_window_bits=12"
    );
    let strict = PermessageDeflate { offer_fallback: false, ..ours(false, false, 9, 15) };
    assert_eq!(offered(strict), "permessage-deflate; server_max_window_bits=9; client_max_window_bits");
}

#[test]
fn section_7_1_a_client_takes_an_answer_to_one_of_its_offers() {
    let any = ours(false, false, 15, 15);
    let asks = ours(true, false, 10, 12);
    let hints = ours(false, true, 15, 15);
    for (deflate, header, agreed) in [
        (any, NAME, params(false, false, 15, 15)),
        (any, "PERMESSAGE-deflate", params(false, false, 15, 15)),
        // The server may limit what was not asked of it (7.1.1.1, 7.1.2.1), and the client, which offered to be limited.
        (any, "permessage-deflate; server_no_context_takeover", params(true, false, 15, 15)),
        (any, "permessage-deflate; client_no_context_takeover", params(false, true, 15, 15)),
        (any, "permessage-deflate; server_max_window_bits=8", params(false, false, 8, 15)),
        (any, "permessage-deflate; client_max_window_bits=8", params(false, false, 15, 8)),
        (any, "permessage-deflate; client_max_window_bits=\"15\"", params(false, false, 15, 15)),
        (asks, "permessage-deflate; server_no_context_takeover; server_max_window_bits=9", params(true, false, 9, 12)),
        // To the second offer
        (asks, "permessage-deflate; client_max_window_bits=9", params(false, false, 15, 9)),
        // 7.1.1.2: what the client said of itself holds though the answer is silent
        (hints, NAME, params(false, true, 15, 15)),
    ] {
        assert_eq!(validate(Some(deflate), header), Ok(Some(agreed)), "{header}");
    }
    assert_eq!(validate(Some(any), ""), Ok(None), "declined");
}

#[test]
fn section_7_1_a_client_fails_the_handshake_on_any_other_answer() {
    let any = ours(false, false, 15, 15);
    let strict = PermessageDeflate { offer_fallback: false, ..ours(true, false, 10, 12) };
    for (deflate, header) in [
        (any, "permessage-deflate; unknown"),
        (any, "permessage-deflate; server_max_window_bits"),
        (any, "permessage-deflate; client_max_window_bits"),
        (any, "permessage-deflate; server_max_window_bits=7"),
        (any, "permessage-deflate; server_max_window_bits=16"),
        (any, "permessage-deflate; client_max_window_bits=010"),
        (any, "permessage-deflate; server_no_context_takeover=1"),
        (any, "permessage-deflate; server_no_context_takeover; server_no_context_takeover"),
        (any, "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9"),
        (any, "permessage-deflate, permessage-deflate"),
        // less than was asked
        (strict, "permessage-deflate; server_max_window_bits=10"),
        (strict, "permessage-deflate; server_no_context_takeover"),
        (strict, "permessage-deflate; server_no_context_takeover; server_max_window_bits=11"),
        // more than was offered
        (strict, "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=13"),
    ] {
        let error = validate(Some(deflate), header).unwrap_err();
        assert_eq!(error, HandshakeError::Answer(AnswerError::Deflate(header.into())), "{header}");
        assert!(error.to_string().contains("RFC 7692, 7.1"));
    }
    let unoffered = |name: &str| Err(HandshakeError::Answer(AnswerError::UnofferedExtension(name.into())));
    assert_eq!(validate(None, NAME), unoffered(NAME));
    assert_eq!(validate(Some(any), "permessage-bzip2"), unoffered("permessage-bzip2"));
    assert_eq!(validate(Some(any), "permessage-deflate, x-mux"), unoffered("x-mux"));
    for malformed in ["permessage-deflate;", "permessage-deflate; a b", ","] {
        assert_eq!(validate(Some(any), malformed), Err(HandshakeError::Answer(AnswerError::Extensions)));
    }
}

/// The whole way: a client's request, a server's answer, and a message in each direction.
#[test]
fn both_ends_come_to_the_same() {
    let settings = [
        ours(false, false, 15, 15),
        ours(true, false, 15, 15),
        ours(false, true, 15, 15),
        ours(true, true, 9, 9),
        ours(false, false, 10, 12),
    ];
    for client_settings in settings {
        for server_settings in settings {
            let now = start();
            let (mut client, mut rx) = client(Some(client_settings));
            let mut server = ServerHandshake::new(Limits::default(), Timeouts::default(), now);
            server.set_deflate(Some(server_settings.terms()));
            let mut server_rx = RecvBuffer::new();
            server_rx.extend(&taken(client.transmit()));
            let progress = server.poll(&mut server_rx, now, &mut |request| request.allow_any_origin());
            let Progress::Upgraded(mut accepted) = progress else { panic!("not upgraded") };
            let answer = taken(accepted.transmit());
            rx.extend(&answer);
            let established = client.poll(&mut rx).unwrap().expect("complete");
            assert_eq!(established.extensions(), accepted.extensions());
            let config = |deflate: PermessageDeflate| -> Config {
                config(|config| config.permessage_deflate(Some(PermessageDeflate { threshold: 0, ..deflate })))
            };
            let mut server = Connection::server(*accepted, config(server_settings), now);
            let mut client = Connection::client(established, keys(), config(client_settings), now);
            assert_eq!(server.extensions(), client.extensions());
            assert!(server.extensions().deflate().is_some());
            for _ in 0..2 {
                exchange(&mut server, &mut client);
                exchange(&mut client, &mut server);
            }
        }
    }
}

fn taken(queue: &mut wireroom::SendQueue) -> bytes::Bytes {
    queue.copy_to_bytes(queue.remaining())
}

fn exchange(from: &mut Connection, to: &mut Connection) {
    let text = prose(3000);
    let _ = from.send(&text).unwrap();
    let bytes = taken(from.transmit());
    assert!(bytes.len() < 1500 && bytes[0] == 0xc1);
    let mut rx = RecvBuffer::new();
    rx.extend(&bytes);
    let mut heard = None;
    while let Some(event) = to.poll_event(&mut rx, start()) {
        if let wireroom::Event::Message(message) = event {
            heard = message.as_text().map(str::to_owned);
        }
    }
    assert_eq!(heard, Some(text));
}
