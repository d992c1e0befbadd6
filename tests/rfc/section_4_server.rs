//! Section 4.2 to 4.4, and 7.2.2: the server's side of the opening handshake.

use crate::handshake_support::{SAMPLE, request, serve, serve_choosing, serve_origins, serve_refusing, with, without};
use crate::support::text;

/// The sample with one of its lines replaced.
fn changed(name: &str, line: &str) -> Vec<String> {
    SAMPLE.iter().map(|old| if old.starts_with(name) { line.to_owned() } else { (*old).to_owned() }).collect()
}

#[track_caller]
fn assert_refused(lines: &[String], status: u16) {
    let served = serve(&request(lines));
    assert_eq!((served.status, served.upgraded), (status, false), "{lines:?}: {}", served.head);
    assert!(served.head.starts_with(&format!("HTTP/1.1 {status} ")), "{}", served.head);
    assert!(!served.head.to_ascii_lowercase().contains("sec-websocket-accept"), "{}", served.head);
}

#[track_caller]
fn assert_upgraded(lines: &[String]) {
    let served = serve(&request(lines));
    assert_eq!((served.status, served.upgraded), (101, true), "{lines:?}: {}", served.head);
}

// ---- 3 WebSocket URIs, as a server sees them

#[test]
fn section_3_a_bare_hash_in_a_request_target_is_answered_400() {
    assert_refused(&changed("GET", "GET /chat#fragment HTTP/1.1"), 400);
    assert_refused(&changed("GET", "GET #fragment HTTP/1.1"), 400);
    assert_upgraded(&changed("GET", "GET /chat%23fragment HTTP/1.1"));
}

// ---- 4.2.1 Reading the Client's Opening Handshake

#[test]
fn section_4_2_1_a_handshake_that_does_not_match_is_answered_with_an_error() {
    for broken in [
        "GET /chat HTTP/1.1 extra",
        "GET  /chat HTTP/1.1",
        "GET /chat",
        "GET /ch at HTTP/1.1",
        "GET chat HTTP/1.1",
        "GET /chat HTTP/one",
        "/chat HTTP/1.1",
    ] {
        assert_refused(&changed("GET", broken), 400);
    }
    for line in
        ["Bad Name: x", "Space-Before-Colon : x", ": no name", "no colon", " folded: x", "Zero: a\0b", "Bare: a\rb"]
    {
        assert_refused(&with(&SAMPLE, line), 400);
    }
    // the order of the header fields is not important, and names have no case
    let mut backwards: Vec<String> = SAMPLE[1..].iter().rev().map(|line| (*line).to_owned()).collect();
    backwards.insert(0, SAMPLE[0].to_owned());
    assert_upgraded(&backwards);
    let shouted: Vec<String> = SAMPLE
        .iter()
        .map(|line| match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}", name.to_ascii_uppercase()),
            None => (*line).to_owned(),
        })
        .collect();
    assert_upgraded(&shouted);
}

#[test]
fn section_4_2_1_a_method_other_than_get_is_refused() {
    for method in ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "get"] {
        let served = serve(&request(&changed("GET", &format!("{method} /chat HTTP/1.1"))));
        assert!(matches!(served.status, 405 | 501), "{method}: {}", served.head);
        assert!(!served.upgraded);
        if served.status == 405 {
            assert!(served.head.contains("\r\nAllow: GET"), "{}", served.head);
        }
    }
}

#[test]
fn section_4_2_1_an_http_version_below_1_1_is_not_upgraded() {
    let old = serve(&request(&changed("GET", "GET /chat HTTP/1.0")));
    assert!(!old.upgraded, "{}", old.head);
    assert_ne!(old.status, 101);
    assert_refused(&changed("GET", "GET /chat HTTP/2.0"), 505);
    assert_refused(&changed("GET", "GET /chat HTTP/0.9"), 505);
}

#[test]
fn section_4_2_1_host_is_required_exactly_once() {
    assert_refused(&without(&SAMPLE, "Host"), 400);
    assert_refused(&with(&SAMPLE, "Host: server.example.com"), 400);
    assert_refused(&with(&SAMPLE, "Host: other.example.com"), 400);
    for host in ["a b", "server.example.com, other", "user@server.example.com", "server.example.com/x", "[::1", "a:b"] {
        assert_refused(&changed("Host", &format!("Host: {host}")), 400);
    }
    for host in ["server.example.com:8080", "127.0.0.1", "[::1]:9000"] {
        assert_upgraded(&changed("Host", &format!("Host: {host}")));
    }
}

#[test]
fn section_4_2_1_upgrade_is_compared_without_case_as_a_list() {
    for value in ["websocket", "WebSocket", "WEBSOCKET", "h2c, websocket", "websocket , h2c", "a/1.0,websocket"] {
        assert_upgraded(&changed("Upgrade", &format!("Upgrade: {value}")));
    }
    assert_upgraded(&with(&changed("Upgrade", "Upgrade: h2c"), "Upgrade: websocket"));
    for value in ["websockets", "web socket", "h2c", ""] {
        let served = serve(&request(&changed("Upgrade", &format!("Upgrade: {value}"))));
        assert!(!served.upgraded && (400..500).contains(&served.status), "{value:?}: {}", served.head);
    }
    let served = serve(&request(&without(&SAMPLE, "Upgrade")));
    assert!(!served.upgraded && (400..500).contains(&served.status), "{}", served.head);
}

#[test]
fn section_4_2_1_connection_is_compared_without_case_as_a_list() {
    for value in ["Upgrade", "upgrade", "UPGRADE", "keep-alive, Upgrade", "Upgrade,keep-alive", "keep-alive ,\tupgrade"]
    {
        assert_upgraded(&changed("Connection", &format!("Connection: {value}")));
    }
    assert_upgraded(&with(&changed("Connection", "Connection: keep-alive"), "Connection: Upgrade"));
    for value in ["keep-alive", "upgraded", "keep-alive upgrade", ""] {
        let served = serve(&request(&changed("Connection", &format!("Connection: {value}"))));
        assert!(!served.upgraded && (400..500).contains(&served.status), "{value:?}: {}", served.head);
    }
    let served = serve(&request(&without(&SAMPLE, "Connection")));
    assert!(!served.upgraded && (400..500).contains(&served.status), "{}", served.head);
}

#[test]
fn section_4_2_1_the_key_decodes_to_16_bytes() {
    assert_refused(&without(&SAMPLE, "Sec-WebSocket-Key"), 400);
    for key in [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",       // the padding is missing
        "dGhlIHNhbXBsZSBub25jZQ=",      // half of it
        "dGhlIHNhbXBsZSBub25j",         // 15 bytes
        "dGhlIHNhbXBsZSBub25jZSE=",     // 17 bytes
        "dGhlIHNhbXBsZQ==",             // 10 bytes
        "dGhlIHNhbXBsZSBub25jZSEhIQ==", // 19 bytes
        "dGhlIHNhbXBsZSBub25jZQ==AAAA", // data behind the padding
        "dGhlIHNhbXBsZSBub25jZ-==",     // not in the alphabet of section 4 of RFC 4648
        "dGhlIHNhbXBs ZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        assert_refused(&changed("Sec-WebSocket-Key", &format!("Sec-WebSocket-Key: {key}")), 400);
    }
    // "It is not necessary for the server to base64-decode" it: the example of 4.1 has bits that decode to nothing
    assert_upgraded(&changed("Sec-WebSocket-Key", "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC=="));
    assert_upgraded(&changed("Sec-WebSocket-Key", "Sec-WebSocket-Key:AQIDBAUGBwgJCgsMDQ4PEA== \t"));
}

#[test]
fn section_4_2_1_a_missing_version_is_refused() {
    let served = serve(&request(&without(&SAMPLE, "Sec-WebSocket-Version")));
    assert!(!served.upgraded);
    assert!(matches!(served.status, 400 | 426), "{}", served.head);
}

#[test]
fn section_4_2_1_offered_subprotocols_are_a_list_of_tokens() {
    for value in ["a b", "a;b", "a/b", "\"a\"", "chat, a=b", "gr\u{fc}n"] {
        assert_refused(&with(&SAMPLE, &format!("Sec-WebSocket-Protocol: {value}")), 400);
    }
    // "Sec-WebSocket-Protocol-Client = 1#token" (4.3): one at least
    for value in ["", ",", " , "] {
        assert_refused(&with(&SAMPLE, &format!("Sec-WebSocket-Protocol: {value}")), 400);
    }
    for value in ["chat", "chat,superchat", "chat ,\t superchat", ",chat,,"] {
        assert_upgraded(&with(&SAMPLE, &format!("Sec-WebSocket-Protocol: {value}")));
    }
}

#[test]
fn section_4_2_1_unknown_header_fields_are_ignored() {
    let lines = with(&with(&SAMPLE, "X-Unknown: \"anything\""), "Sec-WebSocket-Unknown: 1");
    assert_upgraded(&with(&lines, "Cookie: a=b; c=d"));
}

// ---- 4.2.2 Sending the Server's Opening Handshake

#[test]
fn section_4_2_2_the_sample_handshake_is_answered_byte_for_byte() {
    let mut served = serve(&request(&SAMPLE));
    let (first, rest) = served.head.split_once("\r\n").expect("a status line");
    assert_eq!(first, "HTTP/1.1 101 Switching Protocols");
    let mut fields: Vec<&str> =
        rest.strip_suffix("\r\n\r\n").expect("an empty line at the end").split("\r\n").collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["Connection: Upgrade", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Upgrade: websocket"]
    );
    // "the WebSocket connection is in the OPEN state. At this point, the server may begin sending (and receiving)"
    let server = served.endpoint.as_mut().expect("an open connection");
    server.receive(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    assert_eq!(server.seen(), [text("Hello")]);
    server.send("Hello");
    assert_eq!(server.sent(), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
}

#[test]
fn section_4_2_2_an_unwanted_origin_is_answered_403() {
    for origin in [
        "http://evil.example",
        "null",
        "https://example.com",
        "http://example.com:8080",
        "http://example.com.evil.example",
    ] {
        let served = serve_origins(&["http://example.com"], &request(&with(&SAMPLE, &format!("Origin: {origin}"))));
        assert_eq!((served.status, served.upgraded), (403, false), "{origin}: {}", served.head);
    }
    let served = serve_origins(&["http://example.com"], &request(&with(&SAMPLE, "Origin: http://example.com")));
    assert!(served.upgraded, "{}", served.head);
}

#[test]
fn section_4_2_2_an_unknown_version_is_answered_with_the_version_understood() {
    for version in ["8", "0", "12", "14", "25", "255"] {
        let served = serve(&request(&changed("Sec-WebSocket-Version", &format!("Sec-WebSocket-Version: {version}"))));
        assert_eq!((served.status, served.upgraded), (426, false), "{version}: {}", served.head);
        assert!(served.head.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{}", served.head);
        // RFC 9110 15.5.22: "The server MUST send an Upgrade header field in a 426 response"
        assert!(served.head.contains("\r\nUpgrade: websocket\r\n"), "{}", served.head);
    }
    // not a version at all: "DIGIT | (NZDIGIT DIGIT) | ..", no leading zeros (4.3)
    for version in ["", "013", "13.0", "thirteen", "-13", "256", "1300"] {
        let served = serve(&request(&changed("Sec-WebSocket-Version", &format!("Sec-WebSocket-Version: {version}"))));
        assert!(matches!(served.status, 400 | 426), "{version:?}: {}", served.head);
        assert!(!served.upgraded);
    }
}

#[test]
fn section_4_2_2_a_service_that_is_not_available_is_answered_404() {
    let served = serve_refusing(404, &request(&SAMPLE));
    assert_eq!((served.status, served.upgraded), (404, false), "{}", served.head);
    assert!(served.head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{}", served.head);
}

#[test]
fn section_4_2_2_the_subprotocol_is_one_of_those_offered() {
    let offer = with(&SAMPLE, "Sec-WebSocket-Protocol: chat, superchat");
    for chosen in ["chat", "superchat"] {
        let served = serve_choosing(chosen, &request(&offer));
        assert!(served.upgraded, "{}", served.head);
        assert!(served.head.contains(&format!("\r\nSec-WebSocket-Protocol: {chosen}\r\n")), "{}", served.head);
    }
    // a choice that is none of the offers does not reach the wire
    for chosen in ["other", "Chat", "cha", "chat, superchat", ""] {
        let served = serve_choosing(chosen, &request(&offer));
        assert!(!served.head.contains("Sec-WebSocket-Protocol"), "{chosen:?}: {}", served.head);
    }
    let split = with(&with(&SAMPLE, "Sec-WebSocket-Protocol: chat"), "Sec-WebSocket-Protocol: superchat");
    let served = serve_choosing("superchat", &request(&split));
    assert!(served.head.contains("\r\nSec-WebSocket-Protocol: superchat\r\n"), "{}", served.head);
}

#[test]
fn section_4_2_2_without_an_agreed_subprotocol_there_is_no_such_header() {
    let served = serve(&request(&with(&SAMPLE, "Sec-WebSocket-Protocol: chat, superchat")));
    assert!(served.upgraded, "{}", served.head);
    assert!(!served.head.to_ascii_lowercase().contains("sec-websocket-protocol"), "{}", served.head);
    let served = serve_choosing("chat", &request(&SAMPLE)); // nothing was offered
    assert!(!served.head.to_ascii_lowercase().contains("sec-websocket-protocol"), "{}", served.head);
}

#[test]
fn section_4_2_2_no_extension_is_answered_that_was_not_offered() {
    for lines in [
        with(&SAMPLE, "Sec-WebSocket-Extensions: unheard-of; x=1"),
        with(&SAMPLE, "Sec-WebSocket-Protocol: chat"),
        with(&SAMPLE, "X-Other: permessage-deflate"),
    ] {
        let served = serve(&request(&lines));
        assert!(served.upgraded, "{}", served.head);
        assert!(!served.head.to_ascii_lowercase().contains("sec-websocket-extensions"), "{}", served.head);
    }
}

// ---- 4.3 Collected ABNF

#[test]
fn section_4_3_a_quoted_parameter_that_is_no_token_is_malformed() {
    for value in ["\"a b\"", "\"a,b\"", "\"\"", "\"a;b\"", "\"a\\\"b\"", "\"a=b\""] {
        assert_refused(&with(&SAMPLE, &format!("Sec-WebSocket-Extensions: foo; x={value}")), 400);
    }
    for value in ["\"ab\"", "\"a\\b\"", "ab"] {
        assert_upgraded(&with(&SAMPLE, &format!("Sec-WebSocket-Extensions: foo; x={value}")));
    }
}

// ---- 7.2.2 Server-Initiated Closure, in the opening handshake

#[test]
fn section_7_2_2_a_refused_handshake_is_answered_and_then_closed() {
    for served in [serve(&request(&without(&SAMPLE, "Sec-WebSocket-Key"))), serve_refusing(403, &request(&SAMPLE))] {
        assert!(!served.upgraded);
        assert!(served.closes, "{}", served.head);
        let head = served.head.to_ascii_lowercase();
        assert!(head.lines().any(|line| line.starts_with("connection:") && line.contains("close")), "{head}");
    }
}
