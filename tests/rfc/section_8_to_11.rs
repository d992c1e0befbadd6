//! Sections 8 to 11: UTF-8, extensions, security considerations, header fields that stand once.

use wireroom::Config;

use crate::handshake_support::{ACCEPTED, SAMPLE, ask, ask_offering, client_for, request, serve, with, without};
use crate::support::{BOTH, Seen, Side, frame_of, opened, opened_with, text};

// ---- 8.1 Handling Errors in UTF-8-Encoded Data

/// RFC 3629: what is not UTF-8.
const NOT_UTF_8: [&[u8]; 9] = [
    &[0x80],                   // a continuation byte that continues nothing
    &[0xc0, 0xaf],             // "/" in two bytes
    &[0xe0, 0x80, 0xaf],       // "/" in three
    &[0xed, 0xa0, 0x80],       // a surrogate
    &[0xf0, 0x80, 0x80, 0xaf], // "/" in four
    &[0xf4, 0x90, 0x80, 0x80], // above U+10FFFF
    &[0xf8, 0x88, 0x80, 0x80, 0x80],
    &[0xfe],
    &[0xe2, 0x28, 0xa1], // a continuation byte is missing
];

#[test]
fn section_8_1_invalid_utf_8_in_a_text_message_fails_the_connection() {
    for side in BOTH {
        for bytes in NOT_UTF_8 {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x81, &[b"Hello ", bytes, b" world"].concat());
            endpoint.assert_fails(1007);
            // in the second fragment
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x01, b"Hello ");
            endpoint.receive_frame(0x80, bytes);
            endpoint.assert_fails(1007);
            // split between two
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x01, &bytes[..bytes.len() / 2]);
            endpoint.receive_frame(0x80, &bytes[bytes.len() / 2..]);
            endpoint.assert_fails(1007);
        }
        // the edges of what is UTF-8
        for valid in ["\0", "\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}", "\u{d7ff}\u{e000}\u{feff}"] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x81, valid.as_bytes());
            assert_eq!(endpoint.seen(), [text(valid)]);
        }
    }
}

#[test]
fn section_8_1_invalid_utf_8_in_a_close_reason_fails_the_connection() {
    for side in BOTH {
        for bytes in NOT_UTF_8 {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x88, &[&[0x03, 0xe8], bytes].concat());
            endpoint.assert_fails(1007);
        }
    }
}

#[test]
fn section_8_1_invalid_utf_8_fails_before_its_frame_is_complete() {
    for side in BOTH {
        let mut endpoint = opened(side);
        let frame = frame_of(side.peer(), 0x81, b"Hello \xff and much that has not arrived yet");
        let header = frame.len() - 41;
        endpoint.receive(&frame[..header + 6]);
        assert_eq!(endpoint.sent(), [0; 0], "so far it is UTF-8");
        endpoint.receive(&frame[header + 6..header + 7]);
        endpoint.assert_fails(1007);
    }
}

// ---- 9.1 Negotiating Extensions

#[test]
fn section_9_1_a_malformed_offer_is_answered_400() {
    for offer in
        ["foo;", "foo; =1", "foo bar", "foo; x=", "foo; x=\"1", ";", "f@o", "foo; x=a b", "foo; x==1", "\"foo\""]
    {
        let line = format!("Sec-WebSocket-Extensions: {offer}");
        let served = serve(&request(&with(&SAMPLE, &line)));
        assert_eq!((served.status, served.upgraded), (400, false), "{offer:?}: {}", served.head);
    }
    // "extension-list = 1#extension": one at least, on all lines together
    for empty in ["", ",", " , ,"] {
        let line = format!("Sec-WebSocket-Extensions: {empty}");
        let served = serve(&request(&with(&SAMPLE, &line)));
        assert_eq!((served.status, served.upgraded), (400, false), "{empty:?}: {}", served.head);
        let served = serve(&request(&with(&with(&SAMPLE, &line), "Sec-WebSocket-Extensions: foo")));
        assert!(served.upgraded, "{empty:?} and one more line: {}", served.head);
    }
    // well-formed offers, of extensions nobody here knows, are declined by silence
    for offer in [
        "foo",
        "foo; bar",
        "foo; bar=1; baz=\"2\"",
        "foo , bar ; x = 1",
        "mux; max-channels=4; flow-control, deflate-stream",
    ] {
        let line = format!("Sec-WebSocket-Extensions: {offer}");
        let served = serve(&request(&with(&SAMPLE, &line)));
        assert!(served.upgraded, "{offer:?}: {}", served.head);
        assert!(!served.head.to_ascii_lowercase().contains("extensions"), "{}", served.head);
    }
}

#[test]
fn section_9_1_a_malformed_answer_fails_the_handshake() {
    for answer in ["foo;", "foo; =1", "foo bar", "foo; x=", "foo; x=\"1", "f@o", "", ","] {
        let line = format!("Sec-WebSocket-Extensions: {answer}");
        assert!(ask(&with(&ACCEPTED, &line)).is_err(), "{answer:?}");
    }
}

// ---- 10.3 Attacks On Infrastructure (Masking)

#[test]
fn section_10_3_a_payload_is_fixed_once_it_was_accepted() {
    let mut client = opened(Side::Client);
    let mut payload = vec![b'a'; 70_000];
    client.send(&payload[..]);
    let first = client.sent_at_most(100); // the key is on the wire
    payload.fill(b'b'); // what the application does with its memory now changes nothing
    client.send(&payload[..]);
    let mut wire = first;
    wire.extend(client.sent());
    let frames = crate::support::frames(&wire);
    assert_eq!(frames.len(), 2);
    assert!(frames[0].payload.iter().all(|byte| *byte == b'a'));
    assert!(frames[1].payload.iter().all(|byte| *byte == b'b'));
    // "new or changed data must be sent in a new frame and thus with a new masking key"
    assert_ne!(frames[0].key, frames[1].key);
}

// ---- 10.4 Implementation-Specific Limits

fn small() -> Config {
    Config::builder().max_message_size(1_000).build().expect("a valid limit")
}

#[test]
fn section_10_4_a_message_beyond_the_limit_fails_with_1009() {
    for side in BOTH {
        let mut endpoint = opened_with(side, small());
        endpoint.receive_frame(0x82, &[7; 1_000]);
        assert_eq!(endpoint.seen(), [Seen::Binary(vec![7; 1_000])]);
        endpoint.receive_frame(0x82, &[7; 1_001]);
        endpoint.assert_fails(1009);
    }
}

#[test]
fn section_10_4_a_declared_length_beyond_the_limit_fails_at_its_header() {
    for side in BOTH {
        // "a single big frame (e.g., of size 2**60)"
        let mut endpoint = opened_with(side, small());
        endpoint.receive(&[0x82, side.peers_mask_bit() | 0x7f, 0x10, 0, 0, 0, 0, 0, 0, 0]);
        endpoint.receive(&[0; 4]);
        endpoint.assert_fails(1009);
        // with the default limits, too
        let mut endpoint = opened(side);
        endpoint.receive(&[0x82, side.peers_mask_bit() | 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        endpoint.receive(&[0; 4]);
        endpoint.assert_fails(1009);
        // the sum with the fragments before it cannot overflow
        let mut endpoint = opened_with(side, small());
        endpoint.receive_frame(0x02, &[7; 999]);
        endpoint.receive(&[0x80, side.peers_mask_bit() | 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        endpoint.receive(&[0; 4]);
        endpoint.assert_fails(1009);
    }
}

#[test]
fn section_10_4_fragments_beyond_the_limit_fail_with_1009() {
    for side in BOTH {
        // "a long stream of small frames that are a part of a fragmented message"
        let mut endpoint = opened_with(side, small());
        endpoint.receive_frame(0x02, &[7; 100]);
        for _ in 0..9 {
            endpoint.receive_frame(0x00, &[7; 100]);
        }
        assert_eq!(endpoint.sent(), [0; 0], "1000 bytes are within the limit");
        endpoint.receive_frame(0x00, &[7; 1]);
        endpoint.assert_fails(1009);
        // text as well
        let mut endpoint = opened_with(side, small());
        endpoint.receive_frame(0x01, &[b'a'; 600]);
        endpoint.receive_frame(0x80, &[b'b'; 600]);
        endpoint.assert_fails(1009);
    }
}

// ---- 10.7 Handling of Invalid Data

#[test]
fn section_10_7_invalid_data_ends_in_a_status_or_a_close_code() {
    // bytes of no meaning, from a generator that is the same each time
    let mut state = 1u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    for side in BOTH {
        for _ in 0..500 {
            let mut endpoint = opened_with(side, small());
            for _ in 0..20 {
                let noise: Vec<u8> = (0..100).map(|_| next()).collect();
                endpoint.receive(&noise);
            }
            endpoint.end();
            endpoint.sent(); // a Close of ours leaves before the end is told
            endpoint.closed(); // exactly one, whatever came
        }
    }
    for _ in 0..200 {
        let mut noise: Vec<u8> = (0..300).map(|_| next()).collect();
        noise.extend(b"\r\n\r\n");
        let served = serve(&noise);
        assert!((400..=599).contains(&served.status), "{}", served.head);
        assert!(!served.upgraded);
    }
}

// ---- 11 IANA Considerations: URIs, header fields

#[test]
fn section_11_1_1_a_url_that_is_not_ascii_is_refused() {
    // "MUST be converted from Unicode to ASCII": the caller's task, and not skipped in silence
    for url in ["ws://bücher.example/", "ws://server.example.com/grün", "ws://server.example.com/?q=grün"] {
        assert!(client_for(url).is_err(), "{url}");
    }
    for url in ["ws://xn--bcher-kva.example/", "ws://server.example.com/gr%C3%BCn?q=gr%C3%BCn"] {
        assert!(client_for(url).is_ok(), "{url}");
    }
}

#[test]
fn section_11_3_1_a_second_key_is_answered_400() {
    for second in ["dGhlIHNhbXBsZSBub25jZQ==", "AQIDBAUGBwgJCgsMDQ4PEA=="] {
        let line = format!("Sec-WebSocket-Key: {second}");
        let served = serve(&request(&with(&SAMPLE, &line)));
        assert_eq!((served.status, served.upgraded), (400, false), "{}", served.head);
    }
}

#[test]
fn section_11_3_2_extensions_are_not_answered_twice() {
    // a server here answers no extension at all
    let offers = with(&with(&SAMPLE, "Sec-WebSocket-Extensions: foo"), "Sec-WebSocket-Extensions: bar; baz=2");
    let served = serve(&request(&offers));
    assert!(served.upgraded);
    assert_eq!(served.head.to_ascii_lowercase().matches("sec-websocket-extensions").count(), 0);
    // a client refuses two
    let twice = with(&with(&ACCEPTED, "Sec-WebSocket-Extensions: foo"), "Sec-WebSocket-Extensions: foo");
    assert!(ask(&twice).is_err());
}

#[test]
fn section_11_3_3_a_second_accept_value_fails() {
    assert!(ask(&with(&ACCEPTED, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")).is_err());
    assert!(ask(&with(&ACCEPTED, "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=")).is_err());
    // a server answers one
    let served = serve(&request(&SAMPLE));
    assert_eq!(served.head.to_ascii_lowercase().matches("sec-websocket-accept").count(), 1);
}

#[test]
fn section_11_3_4_a_second_subprotocol_in_the_answer_fails() {
    let offered = ["chat", "superchat"];
    let one = with(&ACCEPTED, "Sec-WebSocket-Protocol: chat");
    assert_eq!(ask_offering(&offered, &one).expect("one is right").as_deref(), Some("chat"));
    assert!(ask_offering(&offered, &with(&one, "Sec-WebSocket-Protocol: superchat")).is_err());
    assert!(ask_offering(&offered, &with(&one, "Sec-WebSocket-Protocol: chat")).is_err());
    assert!(ask_offering(&offered, &with(&ACCEPTED, "Sec-WebSocket-Protocol: chat, superchat")).is_err());
}

#[test]
fn section_11_3_5_a_second_version_is_answered_400() {
    for second in ["13", "8"] {
        let served = serve(&request(&with(&SAMPLE, &format!("Sec-WebSocket-Version: {second}"))));
        assert!(matches!(served.status, 400 | 426), "{}", served.head);
        assert!(!served.upgraded);
    }
    let lone = without(&SAMPLE, "Sec-WebSocket-Version");
    assert!(!serve(&request(&with(&lone, "Sec-WebSocket-Version: 13, 8"))).upgraded);
}
