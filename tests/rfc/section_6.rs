//! Section 6: sending and receiving data.

use crate::support::{BOTH, Seen, Side, frame_of, frames, opened, text};

// ---- 6.1 Sending Data

#[test]
fn section_6_1_a_message_is_one_frame_with_fin_and_its_opcode() {
    let mut server = opened(Side::Server);
    server.send("Hello");
    assert_eq!(server.sent(), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]); // 5.7, FIN and text
    server.send(&b"Hello"[..]);
    assert_eq!(server.sent(), [0x82, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]); // FIN and binary
    server.send("");
    assert_eq!(server.sent(), [0x81, 0x00]);

    let mut client = opened(Side::Client);
    client.send("Hello");
    client.send(&b"Hello"[..]);
    client.send("");
    assert_eq!(client.sent_plain(), [(0x81, b"Hello".to_vec()), (0x82, b"Hello".to_vec()), (0x81, vec![])]);
}

#[test]
fn section_6_1_a_message_of_unknown_length_is_a_series_of_frames() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.send_fragment("Hel", false);
        endpoint.send_fragment("lo", false);
        endpoint.send_fragment("", true);
        let frames = endpoint.sent_plain();
        assert!(frames.len() >= 2, "{frames:02x?}");
        let (last, before) = frames.split_last().expect("frames");
        assert_eq!(before[0].0, 0x01, "the first names the type and is not the last");
        assert!(before[1..].iter().all(|(first, _)| *first == 0x00), "{frames:02x?}");
        assert_eq!(last.0, 0x80, "FIN on the last, and opcode 0");
        let joined: Vec<u8> = frames.iter().flat_map(|(_, payload)| payload.clone()).collect();
        assert_eq!(joined, b"Hello");
    }
}

#[test]
fn section_6_1_a_message_is_refused_unless_the_connection_is_open() {
    for side in BOTH {
        // CLOSING, by either side
        let mut endpoint = opened(side);
        endpoint.close(1000, "");
        assert!(endpoint.connection.send("late").is_err());
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x88, b"");
        assert!(endpoint.connection.send("late").is_err());
        // CLOSED
        let mut endpoint = opened(side);
        endpoint.end();
        assert!(endpoint.connection.send("late").is_err());
        assert_eq!(endpoint.sent(), [0; 0]);
        // "If at any point the state of the WebSocket connection changes": in the middle of a series as well
        let mut endpoint = opened(side);
        endpoint.send_fragment("part", false);
        endpoint.receive_frame(0x88, &[0x03, 0xe8]);
        assert!(endpoint.try_send_fragment("late", true).is_err());
        let sent = endpoint.sent_plain();
        assert_eq!(sent.last(), Some(&(0x88, vec![0x03, 0xe8])));
        assert!(sent.iter().all(|(_, payload)| payload != b"late"), "{sent:02x?}");
    }
}

#[test]
fn section_6_1_frames_accepted_before_a_close_are_transmitted_before_it() {
    for side in BOTH {
        let mut endpoint = opened(side);
        for number in 0..100u8 {
            endpoint.send(&[number][..]);
        }
        endpoint.receive_frame(0x88, &[0x03, 0xe8]); // the peer's Close finds them queued
        let sent = endpoint.sent_plain();
        assert_eq!(sent.len(), 101);
        for (number, frame) in (0..100u8).zip(&sent) {
            assert_eq!(*frame, (0x82, vec![number]));
        }
        assert_eq!(sent[100], (0x88, vec![0x03, 0xe8]));
    }
}

#[test]
fn section_6_1_a_control_frame_never_cuts_another_frame() {
    for side in BOTH {
        for taken in (0..400).chain([69_999, 70_000, 70_200, 70_400]) {
            let mut endpoint = opened(side);
            endpoint.send(&[1; 10]);
            endpoint.send(&[2; 200]);
            endpoint.send(&[3; 70_000]);
            endpoint.send(&[4; 10]);
            let mut wire = endpoint.sent_at_most(taken); // the transport is full after so many bytes
            endpoint.receive_frame(0x89, b"one");
            wire.extend(endpoint.sent_at_most(1));
            endpoint.receive_frame(0x89, b"two");
            wire.extend(endpoint.sent());
            let frames = frames(&wire);
            let (control, data): (Vec<_>, Vec<_>) = frames.iter().partition(|frame| frame.first & 0x08 != 0);
            let data: Vec<_> = data.iter().map(|frame| (frame.first, frame.payload[0], frame.payload.len())).collect();
            assert_eq!(data, [(0x82, 1, 10), (0x82, 2, 200), (0x82, 3, 70_000), (0x82, 4, 10)], "{side:?}, {taken}");
            let mut control: Vec<_> = control.iter().map(|frame| (frame.first, &frame.payload[..])).collect();
            control.sort_unstable(); // which Pong comes first is not the matter here
            assert_eq!(control, [(0x8a, &b"one"[..]), (0x8a, b"two")], "{side:?}, {taken}");
        }
    }
}

// ---- 6.2 Receiving Data

#[test]
fn section_6_2_incoming_data_is_parsed_as_frames_whatever_the_cuts() {
    for side in BOTH {
        let mut bytes = Vec::new();
        bytes.extend(frame_of(side.peer(), 0x81, b"Hello"));
        bytes.extend(frame_of(side.peer(), 0x02, &[0xaa; 200]));
        bytes.extend(frame_of(side.peer(), 0x89, b"p"));
        bytes.extend(frame_of(side.peer(), 0x80, &[0xbb; 70_000]));
        bytes.extend(frame_of(side.peer(), 0x82, b""));
        let mut joined = vec![0xaa; 200];
        joined.extend([0xbb; 70_000]);
        let expected = [text("Hello"), Seen::Ping(b"p".to_vec()), Seen::Binary(joined), Seen::Binary(Vec::new())];
        for step in [1, 2, 3, 7, 1_000, bytes.len()] {
            let mut endpoint = opened(side);
            for piece in bytes.chunks(step) {
                endpoint.receive(piece);
            }
            assert!(endpoint.seen() == expected, "{side:?} in pieces of {step} bytes");
        }
    }
}

#[test]
fn section_6_2_control_frames_are_told_apart_from_messages() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x89, b"a");
        endpoint.receive_frame(0x8a, b"a");
        endpoint.receive_frame(0x82, b"a");
        endpoint.receive_frame(0x81, b"a");
        assert_eq!(
            endpoint.seen(),
            [Seen::Ping(b"a".to_vec()), Seen::Pong(b"a".to_vec()), Seen::Binary(b"a".to_vec()), text("a")]
        );
        assert_eq!(endpoint.sent_plain(), [(0x8a, b"a".to_vec())], "only the Ping is answered");
    }
}

#[test]
fn section_6_2_the_type_of_a_message_is_its_opcode() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x81, b"same bytes");
        assert_eq!(endpoint.seen(), [text("same bytes")]);
        endpoint.receive_frame(0x82, b"same bytes");
        assert_eq!(endpoint.seen(), [Seen::Binary(b"same bytes".to_vec())]);
    }
}

#[test]
fn section_6_2_the_next_data_frame_belongs_to_a_new_message() {
    for side in BOTH {
        let mut endpoint = opened(side);
        let mut bytes = frame_of(side.peer(), 0x01, b"o");
        bytes.extend(frame_of(side.peer(), 0x80, b"ne"));
        bytes.extend(frame_of(side.peer(), 0x02, b"tw"));
        bytes.extend(frame_of(side.peer(), 0x80, b"o"));
        bytes.extend(frame_of(side.peer(), 0x81, b"three"));
        endpoint.receive(&bytes); // all in one read
        assert_eq!(endpoint.seen(), [text("one"), Seen::Binary(b"two".to_vec()), text("three")]);
    }
}

#[test]
fn section_6_2_a_server_removes_the_mask() {
    let mut server = opened(Side::Server);
    // 5.7: a single-frame masked text message, "Hello"
    server.receive(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    // each fragment has a key of its own, and each starts with the first octet of it
    server.receive(&[0x01, 0x83, 0x01, 0x02, 0x03, 0x04, 0x48 ^ 0x01, 0x65 ^ 0x02, 0x6c ^ 0x03]); // "Hel"
    server.receive(&[0x80, 0x82, 0xff, 0x00, 0xff, 0x00, 0x6c ^ 0xff, 0x6f]); // "lo"
    assert_eq!(server.seen(), [text("Hello"), text("Hello")]);
}
