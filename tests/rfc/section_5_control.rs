//! Section 5.5 to 5.8: Close, Ping, Pong, the kinds of data, extensibility.

use crate::support::{BOTH, Seen, Side, frames, opened, text};

// ---- 5.5 Control Frames

#[test]
fn section_5_5_a_control_frame_above_125_bytes_fails_the_connection() {
    for side in BOTH {
        for first in [0x88, 0x89, 0x8a] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(first, &[0x03; 126]);
            endpoint.assert_fails(1002);
            // the length alone is enough: nothing of the payload is waited for
            for length in [0x7e, 0x7f] {
                let mut endpoint = opened(side);
                endpoint.receive(&[first, side.peers_mask_bit() | length, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
                endpoint.assert_fails(1002);
            }
        }
    }
}

#[test]
fn section_5_5_a_control_frame_of_125_bytes_is_handled() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x89, &[0x70; 125]);
        endpoint.receive_frame(0x8a, &[0x71; 125]);
        assert_eq!(endpoint.seen(), [Seen::Ping(vec![0x70; 125]), Seen::Pong(vec![0x71; 125])]);
        assert_eq!(endpoint.sent_plain(), [(0x8a, vec![0x70; 125])]);
        let mut close = vec![0x03, 0xe8];
        close.extend([0x72; 123]);
        endpoint.receive_frame(0x88, &close);
        let sent = endpoint.sent_plain();
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].0, &sent[0].1[..2]), (0x88, &[0x03, 0xe8][..]));
        endpoint.end();
        endpoint.assert_closed_cleanly(Some(1000));
    }
}

#[test]
fn section_5_5_no_control_frame_above_125_bytes_is_sent() {
    for side in BOTH {
        let mut endpoint = opened(side);
        let refused = endpoint.connection.ping(&[0; 126]);
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(endpoint.sent(), [0; 0]);
        endpoint.ping(&[0; 125]);
        assert_eq!(endpoint.sent_plain(), [(0x89, vec![0; 125])]);
        // a reason has room for 123 bytes behind the code; what is cut is cut at a code point
        endpoint.close(1000, &"é".repeat(100));
        let sent = endpoint.sent_plain();
        assert_eq!(sent.len(), 1);
        let (first, payload) = &sent[0];
        assert_eq!((*first, &payload[..2]), (0x88, &[0x03, 0xe8][..]));
        assert!(payload.len() <= 125, "{} bytes", payload.len());
        let reason = std::str::from_utf8(&payload[2..]).expect("a reason is UTF-8");
        assert!(reason.chars().all(|character| character == 'é'), "{reason}");
    }
}

// ---- 5.5.1 Close

#[test]
fn section_5_5_1_a_close_body_of_one_byte_fails_the_connection() {
    for side in BOTH {
        for byte in [0x00, 0x03, 0xff] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x88, &[byte]);
            endpoint.assert_fails(1002);
        }
    }
}

#[test]
fn section_5_5_1_a_close_carries_its_code_in_network_byte_order() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.close(4660, ""); // 0x1234
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![0x12, 0x34])]);
        // the peer's as well: 0x0bb9 is 3001, the other way round no code at all
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, &[0x0b, 0xb9]);
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![0x0b, 0xb9])]);
        endpoint.end();
        endpoint.assert_closed_cleanly(Some(3001));
    }
}

#[test]
fn section_5_5_1_an_invalid_close_code_fails_the_connection() {
    // 7.4: 0-999 are not used, 1004 is reserved, 1016-2999 are not defined, 5000 and above do not exist
    for side in BOTH {
        for code in [0u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x88, &code.to_be_bytes());
            endpoint.assert_fails(1002);
        }
        for code in [1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x88, &code.to_be_bytes());
            assert_eq!(endpoint.sent_plain(), [(0x88, code.to_be_bytes().to_vec())], "{code} is echoed");
            endpoint.end();
            endpoint.assert_closed_cleanly(Some(code));
        }
    }
}

#[test]
fn section_5_5_1_a_close_of_a_client_is_masked() {
    // one of its own
    let mut client = opened(Side::Client);
    client.close(1000, "");
    let sent = client.sent();
    assert_eq!(sent.len(), 2 + 4 + 2);
    assert_eq!(sent[..2], [0x88, 0x82]);
    assert_eq!([sent[6] ^ sent[2], sent[7] ^ sent[3]], [0x03, 0xe8]);
    // an empty one in answer to an empty one: the key is there, with nothing to mask
    let mut client = opened(Side::Client);
    client.receive(&[0x88, 0x00]);
    let sent = client.sent();
    assert_eq!(sent.len(), 2 + 4);
    assert_eq!(sent[..2], [0x88, 0x80]);
    // one that fails the connection
    let mut client = opened(Side::Client);
    client.receive(&[0x83, 0x00]);
    let sent = client.sent();
    assert_eq!([sent[6] ^ sent[2], sent[7] ^ sent[3]], [0x03, 0xea]);
}

#[test]
fn section_5_5_1_no_data_frame_follows_a_close() {
    for side in BOTH {
        // after a Close of our own
        let mut endpoint = opened(side);
        endpoint.close(1000, "");
        assert!(endpoint.connection.send("late").is_err());
        assert!(endpoint.connection.send(&b"late"[..]).is_err());
        let sent = endpoint.sent_plain();
        assert_eq!(sent, [(0x88, vec![0x03, 0xe8])]);
        assert!(endpoint.connection.send("later").is_err());
        assert_eq!(endpoint.sent(), [0; 0]);
        // after a Close in answer to the peer's
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, &[0x03, 0xe8]);
        assert!(endpoint.connection.send("late").is_err());
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![0x03, 0xe8])]);
        // after one that fails the connection
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x83, b"");
        assert!(endpoint.connection.send("late").is_err());
        let sent = endpoint.sent_plain();
        assert_eq!(sent.len(), 1, "{sent:02x?}");
        assert_eq!((sent[0].0, &sent[0].1[..2]), (0x88, &[0x03, 0xea][..]));
        // what was accepted before it is sent before it
        let mut endpoint = opened(side);
        endpoint.send("in time");
        endpoint.close(1000, "");
        endpoint.close(1001, "again"); // there is one Close
        assert_eq!(endpoint.sent_plain(), [(0x81, b"in time".to_vec()), (0x88, vec![0x03, 0xe8])]);
    }
}

#[test]
fn section_5_5_1_a_close_is_answered_with_a_close() {
    for side in BOTH {
        // "the endpoint typically echos the status code it received"
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, b"\x03\xe9going away");
        let sent = endpoint.sent_plain();
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].0, &sent[0].1[..2]), (0x88, &[0x03, 0xe9][..]));
        endpoint.end();
        endpoint.assert_closed_cleanly(Some(1001));
        // no code: none comes back
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, b"");
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![])]);
        endpoint.end();
        endpoint.assert_closed_cleanly(None);
        // a Close was sent before: there is no second one
        let mut endpoint = opened(side);
        endpoint.close(1000, "");
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![0x03, 0xe8])]);
        endpoint.receive_frame(0x88, &[0x03, 0xe9]);
        assert_eq!(endpoint.sent(), [0; 0]);
        endpoint.end();
        endpoint.assert_closed_cleanly(Some(1001));
    }
}

#[test]
fn section_5_5_1_after_both_closes_the_connection_is_closed() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, &[0x03, 0xe8]);
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![0x03, 0xe8])]);
        // a client may wait for the server's end, but not for ever: the deadline ends it
        endpoint.until_the_transport_closes();
        endpoint.assert_closed_cleanly(Some(1000));

        let mut endpoint = opened(side);
        endpoint.close(1000, "");
        endpoint.sent();
        endpoint.receive_frame(0x88, &[0x03, 0xe8]);
        endpoint.until_the_transport_closes();
        endpoint.assert_closed_cleanly(Some(1000));
    }
}

#[test]
fn section_5_5_1_a_server_closes_the_tcp_connection_first() {
    let mut server = opened(Side::Server);
    server.receive_frame(0x88, &[0x03, 0xe8]);
    assert!(server.transport_is_open(), "the Close is still to be written");
    server.sent();
    assert!(!server.transport_is_open(), "the server shuts down once its Close has left");

    let mut server = opened(Side::Server);
    server.close(1000, "");
    server.sent();
    assert!(server.transport_is_open(), "the client's Close is still to come");
    server.receive_frame(0x88, &[0x03, 0xe8]);
    assert!(!server.transport_is_open());

    // "the client SHOULD wait for the server to close the connection"
    let mut client = opened(Side::Client);
    client.receive_frame(0x88, &[0x03, 0xe8]);
    client.sent();
    assert!(client.transport_is_open(), "the client waits for the end of the stream");
    client.end();
    assert!(!client.transport_is_open());
    client.assert_closed_cleanly(Some(1000));
}

// ---- 5.5.2 Ping, 5.5.3 Pong

#[test]
fn section_5_5_2_a_ping_is_answered_with_a_pong() {
    let mut client = opened(Side::Client);
    client.receive(&[0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]); // 5.7: an unmasked Ping, "Hello"
    let pong = client.sent();
    assert_eq!(pong.len(), 2 + 4 + 5);
    assert_eq!(pong[..2], [0x8a, 0x85]);
    assert_eq!(client.seen(), [Seen::Ping(b"Hello".to_vec())]);

    let mut server = opened(Side::Server);
    server.receive(&[0x89, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    assert_eq!(server.sent(), [0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    assert_eq!(server.seen(), [Seen::Ping(b"Hello".to_vec())]);
}

#[test]
fn section_5_5_2_a_ping_after_a_close_is_not_answered() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, &[0x03, 0xe8]);
        endpoint.receive_frame(0x89, b"late");
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![0x03, 0xe8])]);
        endpoint.end();
        endpoint.assert_closed_cleanly(Some(1000));
        assert_eq!(endpoint.history.len(), 1, "the Ping is not told: {:?}", endpoint.history);
    }
}

#[test]
fn section_5_5_2_a_ping_is_answered_while_our_close_is_unanswered() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.close(1000, "");
        endpoint.sent();
        endpoint.receive_frame(0x89, b"alive?"); // it has not received our Close, and we none of its
        assert_eq!(endpoint.sent_plain(), [(0x8a, b"alive?".to_vec())]);
        endpoint.receive_frame(0x81, b"under way");
        assert_eq!(endpoint.seen(), [Seen::Ping(b"alive?".to_vec()), text("under way")]);
    }
}

#[test]
fn section_5_5_3_a_pong_has_the_application_data_of_its_ping() {
    for side in BOTH {
        let all: Vec<u8> = (0..125).map(|n| n * 2).collect();
        for payload in [&b""[..], b"\x00", b"Hello", b"\xff\xfe not text", &all] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x89, payload);
            assert_eq!(endpoint.sent_plain(), [(0x8a, payload.to_vec())]);
        }
        // in order, and at least the latest
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x89, b"1");
        endpoint.receive_frame(0x89, b"2");
        assert_eq!(endpoint.sent_plain(), [(0x8a, b"1".to_vec()), (0x8a, b"2".to_vec())]);
        // "the endpoint MAY elect to send a Pong frame for only the most recently processed Ping frame"
        let mut endpoint = opened(side);
        endpoint.send(&[7; 1_000]);
        let mut wire = endpoint.sent_at_most(10); // and then the transport takes nothing
        for number in 0..100u8 {
            endpoint.receive_frame(0x89, &[number]);
        }
        wire.extend(endpoint.sent());
        let frames = frames(&wire);
        let pongs: Vec<_> = frames.iter().filter(|frame| frame.first == 0x8a).map(|frame| frame.payload[0]).collect();
        assert_eq!(pongs.last(), Some(&99));
        assert!(pongs.is_sorted() && frames.len() == pongs.len() + 1, "{pongs:?}");
        // "A response to an unsolicited Pong frame is not expected."
        endpoint.receive_frame(0x8a, b"heartbeat");
        assert_eq!(endpoint.sent(), [0; 0]);
    }
}

// ---- 5.6 Data Frames

#[test]
fn section_5_6_a_code_point_may_be_cut_between_frames() {
    for side in BOTH {
        let mut endpoint = opened(side);
        for (index, byte) in "κόσμε 𝄞".bytes().enumerate() {
            endpoint.receive_frame(if index == 0 { 0x01 } else { 0x00 }, &[byte]);
        }
        endpoint.receive_frame(0x80, b"");
        assert_eq!(endpoint.seen(), [text("κόσμε 𝄞")]);
        // binary data is not interpreted
        endpoint.receive_frame(0x82, b"\xc3\x28\xff");
        assert_eq!(endpoint.seen(), [Seen::Binary(b"\xc3\x28\xff".to_vec())]);
    }
}

#[test]
fn section_5_6_a_text_message_that_ends_inside_a_code_point_fails() {
    for side in BOTH {
        for cut in [&b"\xce"[..], b"ok \xe2\x82", b"ok \xf0\x9d\x84"] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x81, cut);
            endpoint.assert_fails(1007);
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x01, cut);
            assert_eq!(endpoint.sent(), [0; 0], "the next frame may complete it");
            endpoint.receive_frame(0x80, b"");
            endpoint.assert_fails(1007);
        }
    }
}

// ---- 5.8 Extensibility

#[test]
fn section_5_8_what_no_handshake_negotiated_is_not_in_use() {
    for side in BOTH {
        // RSV1 is what permessage-deflate would use: "Hello" compressed, RFC 7692 section 7.2.3.1
        let mut endpoint = opened(side);
        endpoint.receive_frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
        endpoint.assert_fails(1002);
        // and what we send is as plain as its bytes
        let mut endpoint = opened(side);
        endpoint.send("Hello");
        assert_eq!(endpoint.sent_plain(), [(0x81, b"Hello".to_vec())]);
    }
}
