//! Section 7: closing the connection.

use crate::support::{BOTH, Seen, Side, frame_of, opened, text};

// ---- 7.1 Definitions

#[test]
fn section_7_1_2_a_close_carries_the_code_and_reason_given() {
    let mut server = opened(Side::Server);
    server.close(1001, "bye");
    assert_eq!(server.sent(), [0x88, 0x05, 0x03, 0xe9, 0x62, 0x79, 0x65]);
    let mut client = opened(Side::Client);
    client.close(4000, "κόσμε");
    let body = [&[0x0f, 0xa0], "κόσμε".as_bytes()].concat(); // 4000
    assert_eq!(client.sent_plain(), [(0x88, body)]);
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.close(1000, "");
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![0x03, 0xe8])]);
    }
}

#[test]
fn section_7_1_5_a_close_without_a_code_is_told_as_such() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, b"");
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![])], "1005 is never on the wire");
        endpoint.end();
        let closed = endpoint.closed();
        assert!(closed.clean, "{closed:?}");
        assert_eq!(closed.peer, Some((None, String::new())), "the peer's Close had no code");

        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, b"\x0f\xa0why");
        endpoint.sent();
        endpoint.end();
        assert_eq!(endpoint.closed().peer, Some((Some(4000), "why".to_owned())));
    }
}

#[test]
fn section_7_1_5_an_end_without_a_close_is_told_as_such() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.end();
        let closed = endpoint.closed();
        assert!(!closed.clean, "{closed:?}");
        assert_eq!(closed.peer, None);
        // a Close of which the end is missing is none
        let mut endpoint = opened(side);
        let close = frame_of(side.peer(), 0x88, &[0x03, 0xe8]);
        endpoint.receive(&close[..close.len() - 1]);
        endpoint.end();
        let closed = endpoint.closed();
        assert!(!closed.clean, "{closed:?}");
        assert_eq!(closed.peer, None);
    }
}

#[test]
fn section_7_1_7_a_failed_connection_sends_its_code_and_closes() {
    for side in BOTH {
        for (first, payload, code) in [
            (0x83, &b""[..], 1002u16), // an opcode that is reserved
            (0x81, b"\xff", 1007),     // not UTF-8
        ] {
            let mut endpoint = opened(side);
            endpoint.send("before");
            endpoint.receive_frame(first, payload);
            let sent = endpoint.sent_plain();
            assert_eq!(sent.len(), 2, "{sent:02x?}");
            assert_eq!(sent[0], (0x81, b"before".to_vec()));
            assert_eq!((sent[1].0, &sent[1].1[..2]), (0x88, &code.to_be_bytes()[..]));
            // the peer does not answer, and does not hang up: the deadline closes the connection
            endpoint.until_the_transport_closes();
            endpoint.assert_failed(code);
        }
    }
}

#[test]
fn section_7_1_7_nothing_is_processed_after_failing() {
    for side in BOTH {
        let mut endpoint = opened(side);
        let mut bytes = frame_of(side.peer(), 0x81, b"whole");
        bytes.extend(frame_of(side.peer(), 0x83, b"")); // fails here
        bytes.extend(frame_of(side.peer(), 0x81, b"after"));
        bytes.extend(frame_of(side.peer(), 0x89, b"ping"));
        bytes.extend(frame_of(side.peer(), 0x88, &[0x03, 0xe8]));
        endpoint.receive(&bytes); // in the same read
        endpoint.receive_frame(0x89, b"ping"); // and in later ones
        endpoint.receive_frame(0x88, &[0x03, 0xe8]);
        endpoint.receive(&[0xff; 1_000]);
        let sent = endpoint.sent_plain();
        assert_eq!(sent.len(), 1, "one Close, no Pong: {sent:02x?}");
        assert_eq!((sent[0].0, &sent[0].1[..2]), (0x88, &[0x03, 0xea][..]));
        endpoint.end();
        assert_eq!(endpoint.seen()[0], text("whole"));
        endpoint.assert_failed(1002);
        let messages = endpoint.history.iter().filter(|seen| !matches!(seen, Seen::Closed(_))).count();
        assert_eq!(messages, 1, "{:?}", endpoint.history);
    }
}

#[test]
fn section_7_1_7_what_fails_after_our_close_sends_no_second_one() {
    for side in BOTH {
        for (first, payload) in [(0x83, &b""[..]), (0x81, b"\xff"), (0x88, b"\x03")] {
            let mut endpoint = opened(side);
            endpoint.close(1000, "");
            assert_eq!(endpoint.sent_plain(), [(0x88, vec![0x03, 0xe8])]);
            endpoint.receive_frame(first, payload);
            // our Close has left long ago, so nothing is waited for: the user knows at once
            let closed = endpoint.closed();
            assert!(closed.failed && !closed.clean, "{closed:?}");
            assert_eq!((closed.local, closed.peer), (Some(1000), None));
            assert_eq!(endpoint.sent(), [0; 0]);
            assert_eq!(endpoint.transport_is_open(), side == Side::Client);
            endpoint.until_the_transport_closes();
            assert_eq!(endpoint.history.len(), 1, "{:?}", endpoint.history);
        }
    }
}

// ---- 7.2 Abnormal Closures

#[test]
fn section_7_2_1_a_lost_connection_is_told_once() {
    for side in BOTH {
        // between two messages
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x81, b"whole");
        endpoint.end();
        assert_eq!(endpoint.history[0], text("whole"));
        assert!(!endpoint.closed().clean);
        // inside a header, inside a payload, between two fragments: what is not whole is not delivered
        let frame = frame_of(side.peer(), 0x81, b"Hello");
        for cut in 1..frame.len() {
            let mut endpoint = opened(side);
            endpoint.receive(&frame[..cut]);
            endpoint.end();
            assert!(!endpoint.closed().clean);
            assert_eq!(endpoint.history.len(), 1, "{:?}", endpoint.history);
        }
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x01, b"Hel");
        endpoint.end();
        assert!(!endpoint.closed().clean);
        assert_eq!(endpoint.history.len(), 1, "{:?}", endpoint.history);
        // while our Close is not answered
        let mut endpoint = opened(side);
        endpoint.close(1000, "");
        endpoint.sent();
        endpoint.end();
        let closed = endpoint.closed();
        assert!(!closed.clean, "{closed:?}");
        assert_eq!((closed.local, closed.peer), (Some(1000), None));
    }
}

// ---- 7.4 Status Codes

/// "[..] is a reserved value and MUST NOT be set as a status code in a Close control frame by an endpoint."
#[track_caller]
fn is_neither_sent_nor_accepted(code: u16) {
    assert!(wireroom::CloseCode::new(code).is_none(), "{code} can be sent");
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, &code.to_be_bytes());
        endpoint.assert_fails(1002);
    }
}

#[test]
fn section_7_4_1_code_1005_is_neither_sent_nor_accepted() {
    is_neither_sent_nor_accepted(1005);
}

#[test]
fn section_7_4_1_code_1006_is_neither_sent_nor_accepted() {
    is_neither_sent_nor_accepted(1006);
}

#[test]
fn section_7_4_1_code_1015_is_neither_sent_nor_accepted() {
    is_neither_sent_nor_accepted(1015);
}
