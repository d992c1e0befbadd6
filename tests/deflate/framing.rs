//! Sections 6 and 7.2: the bit, the fragments, and the octets of the RFC's examples.

use wireroom::{Compression, Kind, Message, RecvBuffer};

use crate::support::*;

/// First octets and payloads.
type Frames = Vec<(u8, &'static [u8])>;

/// "Hello" in each form that section 7.2.3 shows, as frames.
fn hellos() -> Vec<(&'static str, Frames)> {
    vec![
        ("7.2.3.1 one block", vec![(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])]),
        ("7.2.3.1 in fragments", vec![(0x41, &[0xf2, 0x48, 0xcd]), (0x80, &[0xc9, 0xc9, 0x07, 0x00])]),
        ("7.2.3.3 no compression", vec![(0xc1, &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00])]),
        ("7.2.3.4 BFINAL", vec![(0xc1, &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00])]),
        (
            "7.2.3.5 two blocks",
            vec![(0xc1, &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00])],
        ),
    ]
}

#[test]
fn section_7_2_3_every_example_is_read() {
    for role in ROLES {
        for (what, frames) in hellos() {
            let mut endpoint = endpoint(role, Default::default(), takeover());
            for round in 0..3 {
                for (first, payload) in &frames {
                    endpoint.receive_frame(*first, payload);
                }
                assert_eq!(endpoint.take_seen(), [Seen::Text("Hello".into())], "{role:?}, {what}, round {round}");
            }
        }
    }
}

#[test]
fn section_7_2_3_1_the_example_is_what_is_sent() {
    for role in ROLES {
        let mut endpoint = endpoint(role, compressing(6), no_takeover());
        // As it is, "Hello" is shorter: the example is of a message that was to be compressed whatever becomes of it.
        let _ = endpoint.send("Hello").unwrap();
        assert_eq!(endpoint.flush_frames(), [(0x81, b"Hello".to_vec())]);
        let mut endpoint = self::endpoint(role, compressing(6), takeover());
        let _ = endpoint.send("Hello").unwrap();
        assert_eq!(endpoint.flush_frames(), [(0xc1, vec![0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00])]);
    }
}

#[test]
fn section_7_2_3_2_the_window_is_shared_from_message_to_message() {
    let second = [0xf2, 0x00, 0x11, 0x00, 0x00];
    for role in ROLES {
        let mut endpoint = endpoint(role, compressing(6), takeover());
        endpoint.receive_frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
        endpoint.receive_frame(0xc1, &second);
        assert_eq!(endpoint.take_seen(), [Seen::Text("Hello".into()), Seen::Text("Hello".into())]);
        // Ours is as short: one match that reaches into the first message.
        for _ in 0..2 {
            let _ = endpoint.send("Hello").unwrap();
        }
        let frames = endpoint.flush_frames();
        assert!(frames[1].1.len() <= second.len() && frames[1].0 == 0xc1, "{frames:02x?}");

        let mut endpoint = self::endpoint(role, compressing(6), no_takeover());
        endpoint.receive_frame(0xc1, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
        endpoint.receive_frame(0xc1, &second);
        endpoint.flush();
        assert_eq!(endpoint.ending().cause, "Failed(InvalidDeflate)", "{role:?}: a distance into what was forgotten");
    }
}

#[test]
fn section_7_2_3_6_an_empty_message_is_one_octet() {
    for role in ROLES {
        for params in [takeover(), no_takeover()] {
            let mut endpoint = endpoint(role, compressing(1), params);
            for _ in 0..3 {
                let _ = endpoint.send("").unwrap();
                assert_eq!(endpoint.flush_frames(), [(0xc1, vec![0x00])]);
                endpoint.receive_frame(0xc1, &[0x00]);
                // Compressors that flush twice produce nothing, and some peers send that.
                endpoint.receive_frame(0xc2, &[]);
                assert_eq!(endpoint.take_seen(), [Seen::Text(String::new()), Seen::Binary(Vec::new())]);
            }
        }
    }
}

#[test]
fn section_6_rsv1_is_for_the_first_frame_of_a_message() {
    let hello = compressed(b"Hello");
    for role in ROLES {
        for (first, payload, follows) in [
            (0xc9_u8, &b"ping"[..], None),                   // a Ping
            (0xca, b"pong", None),                           // a Pong
            (0xc8, &[0x03, 0xe8], None),                     // a Close
            (0x41, &hello[..2], Some((0xc0, &hello[2..]))),  // a continuation
            (0x01, &b"plain"[..], Some((0xc0, &hello[..]))), // of a message that is not compressed
            (0xa1, &b"RSV2"[..], None),                      //
            (0x91, &b"RSV3"[..], None),                      //
            (0xe1, &hello[..], None),                        // RSV1 and RSV2
            (0xd2, &hello[..], None),                        // RSV1 and RSV3
        ] {
            let mut endpoint = endpoint(role, Default::default(), takeover());
            endpoint.receive_frame(first, payload);
            if let Some((first, payload)) = follows {
                assert!(!endpoint.is_closed());
                endpoint.receive_frame(first, payload);
            }
            endpoint.flush();
            let ending = endpoint.ending();
            assert!(ending.cause.starts_with("Failed(ReservedBits"), "{role:?}, {first:#x}: {}", ending.cause);
            assert_eq!(ending.local_code(), Some(1002));
        }
    }
}

#[test]
fn section_6_the_first_octet_alone_fails_the_connection() {
    for first in [0xc9_u8, 0xc0, 0xa1, 0x91] {
        let mut endpoint = endpoint(Role::Server, Default::default(), takeover());
        endpoint.receive(&[first]);
        endpoint.flush();
        assert_eq!(endpoint.ending().local_code(), Some(1002), "{first:#x}");
    }
}

#[test]
fn section_6_without_agreement_rsv1_fails_the_connection() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role, compressing(1));
        endpoint.receive_frame(0xc1, &compressed(b"Hello"));
        endpoint.flush();
        assert_eq!(endpoint.ending().local_code(), Some(1002));
        let mut endpoint = Endpoint::new(role, compressing(1));
        let _ = endpoint.connection.send_with("Hello", Compression::Always).unwrap();
        assert_eq!(endpoint.flush_frames(), [(0x81, b"Hello".to_vec())]);
    }
}

#[test]
fn section_6_messages_that_are_not_compressed_may_come_between() {
    for role in ROLES {
        let mut peer = Peer::new(15);
        let mut endpoint = endpoint(role, Default::default(), takeover());
        for text in ["one, compressed", "two, plain", "one, compressed", "two, plain"] {
            match text.ends_with("plain") {
                true => endpoint.receive_frame(0x81, text.as_bytes()),
                false => endpoint.receive_frame(0xc1, &peer.compress(text.as_bytes())),
            }
            assert_eq!(endpoint.take_seen(), [Seen::Text(text.into())]);
        }
    }
}

#[test]
fn section_6_1_control_frames_between_compressed_fragments() {
    for role in ROLES {
        let text = prose(3000);
        let payload = compressed(text.as_bytes());
        let mut endpoint = endpoint(role, Default::default(), takeover());
        let cuts: Vec<&[u8]> = payload.chunks(100).collect();
        for (i, chunk) in cuts.iter().enumerate() {
            let first = if i == 0 {
                0x41
            } else if i + 1 == cuts.len() {
                0x80
            } else {
                0x00
            };
            endpoint.receive_frame(first, chunk);
            if i + 1 < cuts.len() {
                endpoint.receive_frame(0x89, b"between");
            }
        }
        let seen = endpoint.take_seen();
        assert_eq!(seen.iter().filter(|seen| matches!(seen, Seen::Ping(_))).count(), cuts.len() - 1);
        assert_eq!(seen.last(), Some(&Seen::Text(text)));
        // The Pongs are not compressed.
        assert!(endpoint.flush_frames().iter().all(|(first, payload)| *first == 0x8a && payload == b"between"));
    }
}

#[test]
fn section_6_1_a_message_written_in_fragments_has_rsv1_on_the_first() {
    for role in ROLES {
        for params in [takeover(), no_takeover()] {
            let mut endpoint = endpoint(role, compressing(6), params);
            let mut reader = Reader::new(15);
            for _ in 0..2 {
                let mut writer = endpoint.connection.writer(Kind::Text).unwrap();
                for part in ["Hello, ", "", "wire", "room"] {
                    let _ = writer.write(part.as_bytes()).unwrap();
                }
                let _ = writer.finish().unwrap();
                let frames = endpoint.flush_frames();
                let firsts: Vec<u8> = frames.iter().map(|(first, _)| *first).collect();
                assert_eq!(firsts, [0x41, 0x00, 0x00, 0x00, 0x80]);
                let payload = frames.into_iter().flat_map(|(_, payload)| payload).collect::<Vec<u8>>();
                assert_eq!(reader.read(&payload).unwrap(), b"Hello, wireroom", "{role:?}");
            }
        }
    }
}

#[test]
fn a_fragment_can_be_read_before_the_next_is_written() {
    let mut writer = endpoint(Role::Server, compressing(6), takeover());
    let streaming = config(|config| config.streaming(true));
    let mut reader = endpoint(Role::Client, streaming, takeover());
    for part in ["now", "this"] {
        let _ = writer.connection.writer(Kind::Text).unwrap().write(part.as_bytes()).unwrap();
        let bytes = writer.flush();
        reader.receive(&bytes);
        assert!(matches!(&reader.take_seen()[..], [Seen::Part { bytes, .. }] if bytes == part.as_bytes()));
    }
}

#[test]
fn a_message_in_fragments_that_came_to_nothing() {
    let mut pair = Pair::agreed(compressing(6), compressing(6), agreed(takeover()));
    let _ = pair.server.connection.writer(Kind::Text).unwrap().finish().unwrap();
    let _ = pair.server.send("next").unwrap();
    pair.run();
    assert_eq!(pair.client.take_seen(), [Seen::Text(String::new()), Seen::Text("next".into())]);
}

#[test]
fn each_message_can_be_chosen_to_be_compressed() {
    let long = prose(500);
    let config = || config(|config| config.permessage_deflate(Some(Default::default())));
    for role in ROLES {
        let mut endpoint = endpoint(role, config(), takeover());
        let mut firsts = |message: Message<'_>, compression| {
            let _ = endpoint.connection.send_with(message, compression).unwrap();
            endpoint.flush_frames()[0].0
        };
        assert_eq!(firsts(Message::from(&long), Compression::Auto), 0xc1);
        assert_eq!(firsts(Message::from(&long), Compression::Never), 0x81);
        assert_eq!(firsts(Message::from("short"), Compression::Auto), 0x81);
        assert_eq!(firsts(Message::from("short"), Compression::Always), 0xc1);
        assert_eq!(firsts(Message::from(&long.as_bytes()[..128]), Compression::Auto), 0xc2, "the threshold itself");
        assert_eq!(firsts(Message::from(&long.as_bytes()[..127]), Compression::Auto), 0x82, "one byte below it");

        let _ = endpoint.connection.send_bytes(Kind::Text, long.clone().into()).unwrap();
        assert_eq!(endpoint.flush_frames()[0].0, 0xc1);
        let mut writer = endpoint.connection.writer_with(Kind::Text, Compression::Never).unwrap();
        let _ = writer.write(b"plain").unwrap();
        let _ = writer.finish().unwrap();
        assert_eq!(endpoint.flush_frames(), [(0x01, b"plain".to_vec()), (0x80, Vec::new())]);
    }
}

#[test]
fn what_does_not_get_shorter_is_sent_as_it_is() {
    for role in ROLES {
        for length in [1, 100, 125, 126, 1000, 65_535, 70_000] {
            let noise = noise(length);
            let mut endpoint = endpoint(role, compressing(6), no_takeover());
            let _ = endpoint.send(&noise).unwrap();
            assert_eq!(endpoint.flush_frames(), [(0x82, noise.clone())]);
            // With a window that is kept, ours has it: the peer's must have it, too.
            let mut pair = Pair::agreed(compressing(6), compressing(6), agreed(takeover()));
            for _ in 0..2 {
                let _ = pair.server.send(&noise).unwrap();
                pair.run();
                assert_eq!(pair.client.take_seen(), [Seen::Binary(noise.clone())]);
            }
        }
    }
}

#[test]
fn a_large_message_is_taken_out_of_its_region_without_a_copy() {
    let bytes = noise(100_000);
    let mut connection = connection_with(Role::Server, compressing(1), agreed(takeover()), start());
    let mut rx = RecvBuffer::new();
    let mut peer = Peer::new(15);
    for _ in 0..2 {
        rx.extend(&frame(Role::Client, 0xc2, &peer.compress(&bytes)));
        rx.extend(&frame(Role::Client, 0xc1, &peer.compress(b"small")));
        let mut taken = Vec::new();
        while let Some(event) = connection.poll_event(&mut rx, start()) {
            if let wireroom::Event::Message(message) = event {
                let address = message.as_bytes().as_ptr();
                let message = rx.take_message().unwrap();
                assert_eq!(message.as_ptr() == address, message.len() > 16 * 1024);
                assert!(rx.take_message().is_none());
                taken.push(message);
            }
        }
        assert_eq!(taken, [&bytes[..], b"small"]);
    }
}
