//! Section 5.1 to 5.4: masking, the header of a frame, fragmentation.

use wireroom::PreparedMessage;

use crate::support::{BOTH, Seen, Side, nth_key, opened, text};

// ---- 5.1 Overview

#[test]
fn section_5_1_a_client_masks_every_frame_it_sends() {
    let mut client = opened(Side::Client);
    client.send("Hello");
    client.send(&b"\x00\x01"[..]);
    client.ping(b"p");
    client.receive(&[0x89, 0x01, 0x71]); // a Ping "q": the Pong is masked as well
    client.close(1000, "bye");
    let frames = client.sent_frames();
    let plain: Vec<_> = frames.iter().map(|frame| (frame.first, frame.payload.as_slice())).collect();
    assert_eq!(plain.len(), 5, "{frames:?}");
    for expected in [(0x81, &b"Hello"[..]), (0x82, b"\x00\x01"), (0x89, b"p"), (0x8a, b"q"), (0x88, b"\x03\xe8bye")] {
        assert!(plain.contains(&expected), "{expected:02x?} is missing in {frames:?}");
    }
    for frame in &frames {
        assert!(frame.key.is_some(), "not masked: {frame:?}");
    }
}

#[test]
fn section_5_1_a_server_closes_upon_an_unmasked_frame() {
    let mut server = opened(Side::Server);
    // 5.7: a single-frame unmasked text message, "Hello"
    server.receive(&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
    let sent = server.sent();
    assert_eq!((sent[0], &sent[2..4]), (0x88, &[0x03, 0xea][..])); // Close 1002, and a reason
    assert_eq!(sent.len(), 2 + usize::from(sent[1]), "one frame");
    server.assert_failed(1002);
    assert_eq!(server.history.len(), 1, "the message is not delivered: {:?}", server.history);

    // an empty frame has nothing to mask, and must still have its bit
    let mut server = opened(Side::Server);
    server.receive(&[0x81, 0x00]);
    server.assert_fails(1002);
}

#[test]
fn section_5_1_a_server_masks_no_frame_it_sends() {
    let mut server = opened(Side::Server);
    server.send("Hello");
    server.send(&b"\x00\x01"[..]);
    assert_eq!(server.sent(), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x82, 0x02, 0x00, 0x01]);
    server.receive(&[0x89, 0x81, 0x00, 0x00, 0x00, 0x00, 0x71]); // a Ping "q"
    assert_eq!(server.sent(), [0x8a, 0x01, 0x71]);
    server.ping(b"p");
    assert_eq!(server.sent(), [0x89, 0x01, 0x70]);
    server.close(1000, "bye");
    assert_eq!(server.sent(), [0x88, 0x05, 0x03, 0xe8, 0x62, 0x79, 0x65]);
}

#[test]
fn section_5_1_a_client_closes_upon_a_masked_frame() {
    let mut client = opened(Side::Client);
    // 5.7: a single-frame masked text message, "Hello"
    client.receive(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    client.assert_fails(1002);

    // a masking key of zeros changes nothing in the payload, but the bit is set
    let mut client = opened(Side::Client);
    client.receive(&[0x81, 0x80, 0x00, 0x00, 0x00, 0x00]);
    client.assert_fails(1002);
}

// ---- 5.2 Base Framing Protocol

#[test]
fn section_5_2_reserved_bits_are_zero_in_frames_sent() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.send("text");
        endpoint.send(&[0xff; 70_000][..]);
        endpoint.ping(b"");
        endpoint.receive_frame(0x89, b"q");
        endpoint.close(1000, "");
        let frames = endpoint.sent_frames();
        assert_eq!(frames.len(), 5);
        for frame in frames {
            assert_eq!(frame.first & 0x70, 0, "{side:?}: RSV bits in {:#04x}", frame.first);
        }
    }
}

#[test]
fn section_5_2_a_reserved_bit_fails_the_connection() {
    for side in BOTH {
        for rsv in [0x40, 0x20, 0x10, 0x70] {
            for first in [0x81, 0x82, 0x01, 0x88, 0x89, 0x8a] {
                let mut endpoint = opened(side);
                endpoint.receive_frame(first | rsv, &[]);
                endpoint.assert_fails(1002);
            }
        }
        // on the continuation of a message as well
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x01, b"a");
        endpoint.receive_frame(0xc0, b"b");
        endpoint.assert_fails(1002);
    }
}

#[test]
fn section_5_2_an_unknown_opcode_fails_the_connection() {
    for side in BOTH {
        for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            for first in [0x80 | opcode, opcode] {
                let mut endpoint = opened(side);
                endpoint.receive_frame(first, b"x");
                endpoint.assert_fails(1002);
            }
        }
    }
}

#[test]
fn section_5_2_a_64_bit_length_with_the_top_bit_set_fails_the_connection() {
    for side in BOTH {
        for top in [0x80, 0xff] {
            let mut endpoint = opened(side);
            // FIN, binary; 127: eight bytes of length follow, the top bit of the first is set
            endpoint.receive(&[0x82, side.peers_mask_bit() | 0x7f, top, 0, 0, 0, 0, 1, 0, 0]);
            endpoint.receive(&[0, 0, 0, 0]); // the masking key, or the first bytes of the payload
            endpoint.assert_fails(1002);
        }
    }
}

#[test]
fn section_5_2_a_length_not_in_its_minimal_form_fails_the_connection() {
    for side in BOTH {
        let mask = side.peers_mask_bit();
        let not_minimal: [&[u8]; 6] = [
            &[0x82, mask | 0x7e, 0x00, 0x00],
            &[0x82, mask | 0x7e, 0x00, 0x7c], // "can't be encoded as the sequence 126, 0, 124"
            &[0x82, mask | 0x7e, 0x00, 0x7d],
            &[0x82, mask | 0x7f, 0, 0, 0, 0, 0, 0, 0, 0x00],
            &[0x82, mask | 0x7f, 0, 0, 0, 0, 0, 0, 0, 0x7d],
            &[0x82, mask | 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
        ];
        for header in not_minimal {
            let mut endpoint = opened(side);
            endpoint.receive(header);
            endpoint.receive(&[0; 4 + 125]);
            endpoint.assert_fails(1002);
        }
        // the least length of each form is received
        for length in [0, 125, 126, 0xffff, 0x1_0000] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x82, &vec![7; length]);
            assert_eq!(endpoint.seen(), [Seen::Binary(vec![7; length])]);
        }
    }
}

#[test]
fn section_5_2_lengths_are_sent_in_their_minimal_form() {
    let headers: [(usize, &[u8]); 8] = [
        (0, &[0x82, 0x00]),
        (124, &[0x82, 0x7c]),
        (125, &[0x82, 0x7d]),
        (126, &[0x82, 0x7e, 0x00, 0x7e]),
        (256, &[0x82, 0x7e, 0x01, 0x00]), // 5.7: 256 bytes, 0x82 0x7E 0x0100
        (65_535, &[0x82, 0x7e, 0xff, 0xff]),
        (65_536, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]), // 5.7: 64KiB
        (65_537, &[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 1]),
    ];
    for (length, header) in headers {
        let mut server = opened(Side::Server);
        server.send(&vec![7; length][..]);
        let sent = server.sent();
        assert_eq!(sent[..header.len()], *header, "{length} bytes from a server");
        assert_eq!(sent.len(), header.len() + length);

        let mut client = opened(Side::Client);
        client.send(&vec![7; length][..]);
        let sent = client.sent();
        let mut masked = header.to_vec();
        masked[1] |= 0x80;
        assert_eq!(sent[..header.len()], masked, "{length} bytes from a client");
        assert_eq!(sent.len(), header.len() + 4 + length);
    }
}

// ---- 5.3 Client-to-Server Masking

#[test]
fn section_5_3_a_masked_frame_has_the_mask_bit_and_its_key() {
    let mut client = opened(Side::Client);
    client.send("Hello");
    // 5.7: a single-frame masked text message; FIN, text; MASK, 5 bytes: the length does not count the key
    assert_eq!(client.sent(), [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    // octet i is transformed by octet "i modulo 4 of the masking key", in payloads of every length
    for length in 0..200 {
        let payload: Vec<u8> = (0..length).map(|n| n as u8).collect();
        client.send(&payload);
        let sent = client.sent();
        let start = sent.len() - payload.len();
        let key = &sent[start - 4..start];
        for (i, octet) in payload.iter().enumerate() {
            assert_eq!(sent[start + i], octet ^ key[i % 4], "octet {i} of {length}");
        }
    }
}

#[test]
fn section_5_3_each_frame_has_a_fresh_masking_key() {
    // The core has no entropy of its own (10.3): it takes one key of the source it was given for each frame.
    let mut client = opened(Side::Client);
    client.send("same");
    client.send("same");
    client.ping(b"");
    client.receive(&[0x89, 0x00]);
    client.send_fragment("a", false);
    client.send_fragment("b", true);
    let prepared = PreparedMessage::new("same");
    for _ in 0..2 {
        let _ = client.connection.send_prepared(&prepared).expect("room in the queue");
    }
    client.close(1000, "");
    let keys: Vec<_> = client.sent_frames().iter().map(|frame| frame.key).collect();
    assert!(keys.len() >= 9, "{keys:02x?}");
    let given: Vec<_> = (0..keys.len() as u32).map(|n| Some(nth_key(n))).collect();
    assert_eq!(keys, given);
}

// ---- 5.4 Fragmentation

#[test]
fn section_5_4_frame_boundaries_carry_no_meaning() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x81, b"Hello");
        endpoint.receive_frame(0x01, b"Hel");
        endpoint.receive_frame(0x80, b"lo");
        endpoint.receive_frame(0x01, b"");
        endpoint.receive_frame(0x00, b"");
        for byte in b"Hello" {
            endpoint.receive_frame(0x00, &[*byte]);
        }
        endpoint.receive_frame(0x80, b"");
        assert_eq!(endpoint.seen(), [text("Hello"), text("Hello"), text("Hello")], "{side:?}");
    }
}

#[test]
fn section_5_4_a_fragmented_control_frame_fails_the_connection() {
    for side in BOTH {
        for opcode in [0x8, 0x9, 0xa] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(opcode, b""); // FIN is clear
            endpoint.assert_fails(1002);
        }
    }
}

#[test]
fn section_5_4_fragments_are_joined_in_the_order_sent() {
    let mut client = opened(Side::Client);
    // 5.7: a fragmented unmasked text message
    client.receive(&[0x01, 0x03, 0x48, 0x65, 0x6c]); // "Hel"
    assert_eq!(client.seen(), []);
    client.receive(&[0x80, 0x02, 0x6c, 0x6f]); // "lo"
    assert_eq!(client.seen(), [text("Hello")]);

    let mut server = opened(Side::Server);
    let payload: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    for (index, fragment) in payload.chunks(999).enumerate() {
        let first = if index == 0 { 0x02 } else { 0x00 };
        server.receive_frame(first, fragment);
    }
    server.receive_frame(0x80, b"");
    assert_eq!(server.seen(), [Seen::Binary(payload)]);
}

#[test]
fn section_5_4_a_new_message_inside_a_fragmented_one_fails_the_connection() {
    for side in BOTH {
        for first in [0x81, 0x82, 0x01, 0x02] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x01, b"one ");
            endpoint.receive_frame(first, b"two");
            endpoint.assert_fails(1002);
        }
    }
}

#[test]
fn section_5_4_a_message_cannot_be_sent_inside_a_fragmented_one() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.send_fragment("one ", false);
        let refused = endpoint.connection.send("two");
        assert!(refused.is_err(), "{side:?}: {refused:?}");
        endpoint.ping(b"p"); // a control frame may stand between fragments
        endpoint.send_fragment("more", true);
        endpoint.send("two");
        let frames: Vec<_> = endpoint.sent_plain();
        let data: Vec<_> = frames.iter().filter(|(first, _)| first & 0x08 == 0).collect();
        let joined: Vec<u8> = data[..data.len() - 1].iter().flat_map(|(_, payload)| payload.clone()).collect();
        assert_eq!(joined, b"one more");
        assert_eq!(data.last(), Some(&&(0x81, b"two".to_vec())));
        assert!(frames.contains(&(0x89, b"p".to_vec())));
    }
}

#[test]
fn section_5_4_control_frames_between_fragments_are_handled() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x01, b"Hel");
        endpoint.receive_frame(0x89, b"ping");
        assert_eq!(endpoint.sent_plain(), [(0x8a, b"ping".to_vec())], "the Pong does not wait for the message");
        endpoint.receive_frame(0x8a, b"pong");
        endpoint.receive_frame(0x80, b"lo");
        assert_eq!(endpoint.seen(), [Seen::Ping(b"ping".to_vec()), Seen::Pong(b"pong".to_vec()), text("Hello")]);

        let mut endpoint = opened(side);
        endpoint.receive_frame(0x01, b"Hel");
        endpoint.receive_frame(0x88, &[0x03, 0xe8]);
        assert_eq!(endpoint.sent_plain(), [(0x88, vec![0x03, 0xe8])]);
        endpoint.end();
        endpoint.assert_closed_cleanly(Some(1000));
    }
}

#[test]
fn section_5_4_fragmented_and_unfragmented_messages_are_received() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x02, &[1]);
        endpoint.receive_frame(0x00, &[2]);
        endpoint.receive_frame(0x80, &[3]);
        endpoint.receive_frame(0x82, &[1, 2, 3]);
        assert_eq!(endpoint.seen(), [Seen::Binary(vec![1, 2, 3]), Seen::Binary(vec![1, 2, 3])]);
    }
}

#[test]
fn section_5_4_all_fragments_have_the_type_of_the_first() {
    for side in BOTH {
        let mut endpoint = opened(side);
        endpoint.receive_frame(0x01, b"a");
        endpoint.receive_frame(0x80, b"b");
        endpoint.receive_frame(0x02, b"a");
        endpoint.receive_frame(0x80, b"b");
        assert_eq!(endpoint.seen(), [text("ab"), Seen::Binary(b"ab".to_vec())]);
        // what we send: only the first fragment names the type
        endpoint.send_fragment("a", false);
        endpoint.send_fragment("b", true);
        let sent = endpoint.sent_plain();
        assert_eq!(sent[0].0, 0x01);
        assert!(sent[1..].iter().all(|(first, _)| first & 0x0f == 0), "{sent:02x?}");
    }
}

#[test]
fn section_5_4_a_continuation_of_nothing_fails_the_connection() {
    for side in BOTH {
        for first in [0x00, 0x80] {
            let mut endpoint = opened(side);
            endpoint.receive_frame(first, b"lo");
            endpoint.assert_fails(1002);
            // after a whole message there is nothing to continue either
            let mut endpoint = opened(side);
            endpoint.receive_frame(0x81, b"");
            assert_eq!(endpoint.seen(), [text("")]);
            endpoint.receive_frame(first, b"lo");
            endpoint.assert_fails(1002);
        }
    }
}
