//! Section 3 and 4.1: WebSocket URIs, and the client's side of the opening handshake.

use crate::handshake_support::{ACCEPTED, answer, ask, ask_offering, client_for, client_with, with, without};
use crate::support::text;

/// The accepting answer with one of its lines replaced.
fn changed(name: &str, line: &str) -> Vec<String> {
    ACCEPTED.iter().map(|old| if old.starts_with(name) { line.to_owned() } else { (*old).to_owned() }).collect()
}

// ---- 3 WebSocket URIs

#[test]
fn section_3_a_url_with_a_fragment_is_refused() {
    for url in ["ws://server.example.com/chat#part", "ws://server.example.com#", "ws://server.example.com/?q#part"] {
        assert!(client_for(url).is_err(), "{url}");
    }
}

#[test]
fn section_3_an_escaped_hash_stays_in_the_resource_name() {
    let client = client_for("ws://server.example.com/a%23b?c=%23").expect("a valid URL");
    assert!(client.request.starts_with("GET /a%23b?c=%23 HTTP/1.1\r\n"), "{}", client.request);
}

// ---- 4.1 Client Requirements

#[test]
fn section_4_1_a_client_sends_its_handshake_and_reads_the_answer() {
    let mut client = client_for("ws://server.example.com/chat").expect("a valid URL");
    assert!(client.request.starts_with("GET /chat HTTP/1.1\r\n"));
    // the answer, byte by byte, with a frame right behind it
    let mut bytes = answer(&ACCEPTED);
    bytes.extend([0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    for byte in bytes {
        client.receive(&[byte]).expect("a valid answer");
    }
    let mut endpoint = client.endpoint.expect("an open connection");
    endpoint.receive(&[]);
    assert_eq!(endpoint.seen(), [text("Hello")]);
}

#[test]
fn section_4_1_an_invalid_url_is_refused() {
    for url in [
        "",
        "ws",
        "ws:",
        "ws://",
        "ws:///chat",
        "http://server.example.com/",
        "ftp://server.example.com/",
        "//server.example.com/",
        "ws:/server.example.com/",
        "ws://server.example.com:port/",
        "ws://server.example.com:65536/",
        "ws://server.example.com:-1/",
        "ws://server example.com/",
        "ws://server.example.com/a b",
        "ws://server.example.com/a\r\nX-Injected: 1",
        "ws://server.example.com/a\tb",
        "ws://[::1/",
    ] {
        assert!(client_for(url).is_err(), "{url:?}");
    }
}

#[test]
fn section_4_1_a_connection_lost_before_the_answer_fails() {
    let whole = answer(&ACCEPTED);
    for cut in [0, 1, 12, whole.len() - 1] {
        let mut client = client_for("ws://server.example.com/chat").expect("a valid URL");
        client.receive(&whole[..cut]).expect("right so far");
        assert!(client.endpoint.is_none());
        assert!(client.end().is_err(), "after {cut} bytes");
    }
}

#[test]
fn section_4_1_a_secure_url_says_that_it_needs_tls() {
    for (url, secure, port) in [
        ("wss://server.example.com/", true, 443),
        ("WSS://server.example.com:8443/", true, 8443),
        ("ws://server.example.com/", false, 80),
        ("ws://server.example.com:443/", false, 443),
    ] {
        let request = wireroom::handshake::ClientRequest::new(url).expect(url);
        assert_eq!((request.is_secure(), request.port()), (secure, port), "{url}");
    }
}

#[test]
#[cfg(feature = "net")]
fn section_4_1_a_secure_url_is_not_sent_in_the_clear() {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 9)); // never reached: it is refused before
    let request = wireroom::handshake::ClientRequest::new("wss://server.example.com/").expect("a valid URL");
    let mut event_loop = wireroom::EventLoop::new().expect("an event loop");
    let refused = event_loop.connect(address, request, wireroom::Config::default());
    assert!(refused.is_err(), "without TLS a `wss` URL must not be connected to: {refused:?}");
}

#[test]
fn section_4_1_the_request_is_valid_http_byte_for_byte() {
    let client = client_for("ws://server.example.com/chat").expect("a valid URL");
    let (first, rest) = client.request.split_once("\r\n").expect("a request line");
    assert_eq!(first, "GET /chat HTTP/1.1");
    let mut fields: Vec<&str> =
        rest.strip_suffix("\r\n\r\n").expect("an empty line at the end").split("\r\n").collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "Connection: Upgrade",
            "Host: server.example.com",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "Upgrade: websocket",
        ]
    );
}

#[test]
fn section_4_1_the_request_target_is_the_resource_name() {
    for (url, target) in [
        ("ws://server.example.com", "/"), // "/" if the path component is empty
        ("ws://server.example.com/", "/"),
        ("ws://server.example.com/chat", "/chat"),
        ("ws://server.example.com/chat?room=1&x=%20", "/chat?room=1&x=%20"),
        ("ws://server.example.com?room=1", "/?room=1"),
        ("ws://server.example.com//a//b/", "//a//b/"),
        ("WS://server.example.com:8080/Chat", "/Chat"),
    ] {
        let client = client_for(url).expect(url);
        assert!(client.request.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{url}: {}", client.request);
    }
}

#[test]
fn section_4_1_host_names_the_port_unless_it_is_the_default() {
    for (url, host) in [
        ("ws://server.example.com/", "server.example.com"),
        ("ws://server.example.com:80/", "server.example.com"),
        ("ws://server.example.com:8080/", "server.example.com:8080"),
        ("ws://server.example.com:443/", "server.example.com:443"),
        ("ws://127.0.0.1:9001/", "127.0.0.1:9001"),
        ("ws://[::1]:9001/", "[::1]:9001"),
        ("ws://[::1]/", "[::1]"),
        ("wss://server.example.com:443/", "server.example.com"),
        ("wss://server.example.com:80/", "server.example.com:80"),
    ] {
        let client = client_for(url).expect(url);
        assert!(client.request.contains(&format!("\r\nHost: {host}\r\n")), "{url}: {}", client.request);
    }
}

#[test]
fn section_4_1_the_key_is_the_base64_of_the_nonce_given() {
    // the core draws nothing at random: "randomly selected" is on the side of whoever gives the nonce
    for (nonce, key) in [
        (*b"the sample nonce", "dGhlIHNhbXBsZSBub25jZQ=="),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], "AQIDBAUGBwgJCgsMDQ4PEA=="),
        ([0xff; 16], "/////////////////////w=="),
    ] {
        let client = client_with("ws://server.example.com/", nonce, &[]).expect("a valid URL");
        assert!(client.request.contains(&format!("\r\nSec-WebSocket-Key: {key}\r\n")), "{}", client.request);
        assert_eq!(client.request.matches("Sec-WebSocket-Key").count(), 1);
    }
}

#[test]
fn section_4_1_offered_subprotocols_are_unique_tokens() {
    let offer = |subprotocols: &[&str]| client_with("ws://server.example.com/", *b"the sample nonce", subprotocols);
    let client = offer(&["chat", "superchat", "v2.chat!"]).expect("three tokens");
    assert!(client.request.contains("\r\nSec-WebSocket-Protocol: chat, superchat, v2.chat!\r\n"), "{}", client.request);
    for wrong in [
        &[""][..],
        &["chat", ""],
        &["chat", "chat"],
        &["two words"],
        &["a,b"],
        &["a;b"],
        &["a/b"],
        &["a\r\nX: 1"],
        &["grün"],
    ] {
        assert!(offer(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn section_4_1_nothing_follows_the_request_before_the_answer() {
    let mut client = client_for("ws://server.example.com/chat").expect("a valid URL");
    assert!(client.request.ends_with("\r\n\r\n"));
    let whole = answer(&ACCEPTED);
    for byte in &whole[..whole.len() - 1] {
        client.receive(&[*byte]).expect("right so far");
        // there is no connection to send on: it is made from the finished handshake
        assert!(client.endpoint.is_none());
    }
    client.receive(&whole[whole.len() - 1..]).expect("a valid answer");
    let mut endpoint = client.endpoint.expect("an open connection");
    assert_eq!(endpoint.sent(), [0; 0]);
    endpoint.send("now");
    assert_eq!(endpoint.sent_plain(), [(0x81, b"now".to_vec())]);
}

#[test]
fn section_4_1_a_status_other_than_101_opens_no_websocket() {
    for status in [
        "200 OK",
        "100 Continue",
        "102 Processing",
        "301 Moved Permanently",
        "401 Unauthorized",
        "404 Not Found",
        "503 Nope",
    ] {
        let refused = ask(&changed("HTTP/1.1", &format!("HTTP/1.1 {status}")));
        assert!(refused.is_err(), "{status}");
    }
}

#[test]
fn section_4_1_an_answer_without_upgrade_websocket_fails() {
    assert!(ask(&ACCEPTED).is_ok());
    assert!(ask(&without(&ACCEPTED, "Upgrade")).is_err());
    for value in ["h2c", "websockets", "", "web socket", "websocket, h2c"] {
        assert!(ask(&changed("Upgrade", &format!("Upgrade: {value}"))).is_err(), "{value:?}");
    }
    for value in ["WebSocket", "WEBSOCKET"] {
        assert!(ask(&changed("Upgrade", &format!("Upgrade: {value}"))).is_ok(), "{value:?}");
    }
}

#[test]
fn section_4_1_an_answer_without_connection_upgrade_fails() {
    assert!(ask(&without(&ACCEPTED, "Connection")).is_err());
    for value in ["close", "keep-alive", "upgraded", ""] {
        assert!(ask(&changed("Connection", &format!("Connection: {value}"))).is_err(), "{value:?}");
    }
    for value in ["upgrade", "UPGRADE", "keep-alive, Upgrade"] {
        assert!(ask(&changed("Connection", &format!("Connection: {value}"))).is_ok(), "{value:?}");
    }
}

#[test]
fn section_4_1_an_answer_with_a_wrong_accept_value_fails() {
    assert!(ask(&without(&ACCEPTED, "Sec-WebSocket-Accept")).is_err());
    for value in [
        "",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo",  // the padding is missing
        "S3pPLMBiTxaQ9kYGzzhZRbK+xOo=", // base64 has case
        "dGhlIHNhbXBsZSBub25jZQ==",     // the key itself
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", // the same 20 bytes, but not the same value
    ] {
        let line = format!("Sec-WebSocket-Accept: {value}");
        assert!(ask(&changed("Sec-WebSocket-Accept", &line)).is_err(), "{value:?}");
    }
    // "but ignoring any leading and trailing whitespace"
    assert!(ask(&changed("Sec-WebSocket-Accept", "Sec-WebSocket-Accept: \t s3pPLMBiTxaQ9kYGzzhZRbK+xOo= \t")).is_ok());
    assert!(ask(&changed("Sec-WebSocket-Accept", "sec-websocket-accept:s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")).is_ok());
}

#[test]
fn section_4_1_an_extension_that_was_not_offered_fails() {
    for value in ["permessage-deflate", "foo; bar=1", "a, b"] {
        assert!(ask(&with(&ACCEPTED, &format!("Sec-WebSocket-Extensions: {value}"))).is_err(), "{value}");
    }
}

#[test]
fn section_4_1_a_subprotocol_that_was_not_offered_fails() {
    let chat = with(&ACCEPTED, "Sec-WebSocket-Protocol: chat");
    assert!(ask(&chat).is_err(), "nothing was offered");
    assert_eq!(ask_offering(&["chat", "superchat"], &chat).expect("offered").as_deref(), Some("chat"));
    assert!(ask_offering(&["superchat"], &chat).is_err());
    for value in ["Chat", "", "chat, superchat", "cha"] {
        let answer = with(&ACCEPTED, &format!("Sec-WebSocket-Protocol: {value}"));
        assert!(ask_offering(&["chat", "superchat"], &answer).is_err(), "{value:?}");
    }
    // the server may choose none
    assert_eq!(ask_offering(&["chat"], &ACCEPTED).expect("none chosen"), None);
}

#[test]
fn section_4_1_a_response_that_is_not_http_fails() {
    for line in ["HTTP/2.0 101 Switching Protocols", "101", "HTTP/1.1 1O1 No", "HTTP/1.1 101x"] {
        assert!(ask(&changed("HTTP/1.1", line)).is_err(), "{line}");
    }
    for line in ["no colon", "Space-Before-Colon : x", " folded", "Zero: \0"] {
        assert!(ask(&with(&ACCEPTED, line)).is_err(), "{line:?}");
    }
}
