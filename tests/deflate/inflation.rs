//! Section 7.2.2: what is read, as it arrives, and what is not DEFLATE data.

use wireroom::Config;

use crate::support::*;

fn streaming() -> Config {
    config(|config| config.streaming(true))
}

#[track_caller]
fn assert_fails(endpoint: &mut Endpoint, cause: &str, code: u16) {
    endpoint.flush();
    let ending = endpoint.ending();
    assert_eq!((ending.cause.as_str(), ending.local_code()), (cause, Some(code)));
}

#[test]
fn section_7_2_2_a_message_that_is_cut_off_is_not_taken_for_a_whole_one() {
    let payload = compressed(prose(400).as_bytes());
    for role in ROLES {
        for params in [takeover(), no_takeover()] {
            for cut in 1..payload.len() {
                let mut endpoint = endpoint(role, Default::default(), params);
                endpoint.receive_frame(0xc1, &payload[..cut]);
                endpoint.flush();
                let cause = endpoint.ending().cause;
                // A character that is cut in two, or the data: the one or the other is what came first.
                assert!(
                    cause == "Failed(InvalidDeflate)" || cause == "Failed(InvalidUtf8)",
                    "{role:?}, {cut} of {}: {cause}",
                    payload.len()
                );
                assert_eq!(endpoint.ending().local_code(), Some(1007));
            }
        }
    }
}

#[test]
fn section_7_2_2_what_is_not_deflate_data_fails_the_connection_with_1007() {
    let whole = compressed(b"Hello");
    let unstripped = [&whole[..], &TAIL].concat();
    let garbage_behind = [&whole[..], b"garbage"].concat();
    for payload in [&[0xff_u8; 8][..], &[0x07], b"not compressed", &unstripped, &garbage_behind, &[0x00, 0x00]] {
        for role in ROLES {
            let mut endpoint = endpoint(role, Default::default(), takeover());
            endpoint.receive_frame(0xc2, payload);
            assert_fails(&mut endpoint, "Failed(InvalidDeflate)", 1007);
        }
    }
}

#[test]
fn section_7_2_2_broken_data_fails_before_its_frame_is_whole() {
    for config in [Config::default(), streaming()] {
        let mut endpoint = endpoint(Role::Server, config, takeover());
        let frame = frame(Role::Client, 0xc2, &[&compressed(b"Hello")[..], &[0xff; 1000]].concat());
        endpoint.receive(&frame[..50]);
        assert_fails(&mut endpoint, "Failed(InvalidDeflate)", 1007);
    }
}

#[test]
fn section_7_2_3_4_a_final_block_ends_a_message_or_stands_within_one() {
    let fin = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let messages: [(Vec<u8>, &str); 4] = [
        ([&fin[..], &[0x00]].concat(), "Hello"),
        // Some compressors end so, without the octet that 7.2.3.4 adds.
        (fin.to_vec(), "Hello"),
        ([&fin[..], &fin, &[0x00]].concat(), "HelloHello"),
        ([&fin[..], &compressed(b", wire")].concat(), "Hello, wire"),
    ];
    for role in ROLES {
        for params in [takeover(), no_takeover()] {
            let mut endpoint = endpoint(role, Default::default(), params);
            for (payload, text) in &messages {
                endpoint.receive_frame(0xc1, payload);
                assert_eq!(endpoint.take_seen(), [Seen::Text((*text).into())], "{role:?}");
            }
        }
    }
}

#[test]
fn section_8_1_text_fails_with_the_first_octet_that_is_not_utf_8() {
    let payload = [b"ok \xce\xba\xff".as_slice(), &[b'x'; 5000]].concat();
    for config in [Config::default(), streaming()] {
        for role in ROLES {
            // The compressed octets up to the bad one are enough.
            let mut peer = Peer::new(15);
            let start = peer.flush(&payload[..6]);
            let frame = header(role.peer(), 0xc1, 4000);
            let mut endpoint = endpoint(role, config.clone(), takeover());
            endpoint.receive(&[&frame[..], &masked(role.peer(), &start)].concat());
            assert_fails(&mut endpoint, "Failed(InvalidUtf8)", 1007);
            // In one piece, too, and before the broken data that follow it.
            let mut endpoint = self::endpoint(role, config.clone(), takeover());
            endpoint.receive_frame(0xc1, &[&start[..], &[0xff; 20]].concat());
            assert_fails(&mut endpoint, "Failed(InvalidUtf8)", 1007);
        }
    }
}

#[test]
fn a_character_may_be_cut_by_frames_and_by_parts() {
    let text = prose(300_000);
    for role in ROLES {
        let payload = compressed(text.as_bytes());
        let mut endpoint = endpoint(role, streaming(), takeover());
        let mut chunks = payload.chunks(7);
        let first = chunks.next().unwrap();
        endpoint.receive_frame(0x41, first);
        for chunk in chunks {
            endpoint.receive_frame(0x00, chunk);
        }
        endpoint.receive_frame(0x80, &[]);
        let mut heard = String::new();
        let seen = endpoint.take_seen();
        let count = seen.len();
        for (i, part) in seen.into_iter().enumerate() {
            let Seen::Part { bytes, first, last, .. } = part else { panic!("{part:?}") };
            assert_eq!((first, last), (i == 0, i + 1 == count));
            heard.push_str(std::str::from_utf8(&bytes).expect("cut between characters"));
        }
        assert!(heard == text, "{role:?}");
    }
}

#[test]
fn windows_of_every_size_are_read_and_written() {
    let texts: Vec<String> = (0..6).map(|i| prose(700 * (i + 1))).collect();
    for bits in 9..=15 {
        for role in ROLES {
            for level in [0, 1, 2, 6, 9] {
                let mut peer = Peer::new(bits);
                let mut endpoint = endpoint(role, compressing(level), windows(bits));
                let mut reader = Reader::new(bits);
                for text in texts.iter().chain(&texts) {
                    endpoint.receive_frame(0xc1, &peer.compress(text.as_bytes()));
                    assert_eq!(endpoint.take_seen(), [Seen::Text(text.clone())]);
                    let _ = endpoint.send(text.as_str()).unwrap();
                    let (first, payload) = endpoint.flush_frames().remove(0);
                    assert_eq!(first, 0xc1);
                    let read = reader.read(&payload);
                    assert!(read.as_deref() == Ok(text.as_bytes()), "{bits} bits, {role:?}, level {level}: {read:?}");
                }
            }
        }
    }
}

#[test]
fn section_7_1_2_a_window_of_8_bits_is_read_and_never_written() {
    for role in ROLES {
        let mut endpoint = endpoint(role, compressing(6), windows(8));
        endpoint.receive_frame(0xc1, &compressed(b"Hello"));
        assert_eq!(endpoint.take_seen(), [Seen::Text("Hello".into())]);
        let text = prose(1000);
        let _ = endpoint.connection.send_with(&text, wireroom::Compression::Always).unwrap();
        let _ = endpoint.connection.send_prepared(&wireroom::PreparedMessage::new(&text)).unwrap();
        let plain = (0x81, text.into_bytes());
        assert_eq!(endpoint.flush_frames(), [plain.clone(), plain]);
    }
}
