//! Messages in and out, as their users see them (RFC 6455 sections 5.4, 5.6, 8.1): whole, in fragments, in parts,
//! shared, taken out of the buffer, and at the edge of each limit.

mod common;

use bytes::{BufMut, Bytes};
use common::{Cuts, Endpoint, Pair, ROLES, Role, Seen, config, frame, header, masked};
use wireroom::{Config, Event, Kind, Message, PreparedMessage, RecvBuffer, SendError};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;

fn sizes() -> impl Iterator<Item = usize> {
    [0, 1, 125, 126, 127, 4_095, 4_096, 65_535, 65_536, 300_000].into_iter()
}

#[test]
fn messages_of_any_length_pass_both_ways() {
    for reads in [Cuts::whole(), Cuts::sizes([1, 2, 3, 5, 7, 1_000])] {
        let mut pair = Pair::new().cut(reads);
        pair.server.echo();
        let mut expected = Vec::new();
        for length in sizes() {
            let text = "é".repeat(length / 2);
            let binary: Vec<u8> = (0..length).map(|i| (i % 253) as u8).collect();
            let _ = pair.client.send(&text).unwrap();
            let _ = pair.client.send(&binary).unwrap();
            pair.run();
            expected.extend([Seen::Text(text), Seen::Binary(binary)]);
        }
        let seen: Vec<_> = pair.client.take_seen().into_iter().filter(|seen| *seen != Seen::Drain).collect();
        assert!(seen == expected, "{} of {} echoes", seen.len(), expected.len());
    }
}

#[test]
fn every_way_to_send_is_the_same_to_the_peer() {
    for sender in ROLES {
        for length in sizes() {
            let text = "x".repeat(length);
            let roomy = config(|config| config.max_send_buffer(16 << 20));
            let mut pair = Pair::with(roomy.clone(), roomy);
            let end = if sender == Role::Client { &mut pair.client } else { &mut pair.server };
            let _ = end.connection.send(&text).unwrap();
            let _ = end.connection.send_bytes(Kind::Text, Bytes::from(text.clone())).unwrap();
            let _ = end.connection.send_prepared(&PreparedMessage::new(&text)).unwrap();
            let mut writer = end.connection.writer(Kind::Text).unwrap();
            for piece in text.as_bytes().chunks(1_000) {
                let _ = writer.write(piece).unwrap();
            }
            let _ = writer.finish().unwrap();
            pair.run();
            let receiver = if sender == Role::Client { &pair.server } else { &pair.client };
            assert!(receiver.seen == vec![Seen::Text(text); 4], "{sender:?}, {length} bytes");
        }
    }
}

#[test]
fn a_prepared_message_is_one_frame_for_all_and_fresh_keys_for_each_client() {
    let message = PreparedMessage::new(&[7; 5_000]);
    let mut server = Endpoint::new(Role::Server, Config::default());
    let _ = server.connection.send_prepared(&message).unwrap();
    assert_eq!(server.flush(), message.as_frame(), "a server sends it as it was encoded");
    let mut client = Endpoint::new(Role::Client, Config::default());
    let mut wire = Vec::new();
    for _ in 0..2 {
        let _ = client.connection.send_prepared(&message).unwrap();
        wire.push(client.flush());
    }
    assert_ne!(wire[0][4..8], wire[1][4..8], "5.3: a fresh masking key for each frame");
    for bytes in wire {
        assert_eq!(common::frames(Role::Client, &bytes), [(BINARY, vec![7; 5_000])]);
    }
    assert_eq!(message.payload(), [7; 5_000], "the shared payload is not masked in place");
}

#[test]
fn send_bytes_refuses_text_that_is_not_utf_8() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let bytes = Bytes::from_static(b"caf\xe9");
        assert_eq!(end.connection.send_bytes(Kind::Text, bytes.clone()), Err(SendError::InvalidUtf8));
        assert!(!end.connection.wants_write(), "{role:?}");
        assert!(end.connection.send_bytes(Kind::Binary, bytes).is_ok());
    }
}

#[test]
fn between_the_fragments_of_a_message_only_control_frames_are_sent() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let mut writer = end.connection.writer(Kind::Text).unwrap();
        let _ = writer.write("é".as_bytes()).unwrap();
        assert_eq!(writer.write(b"\xc3"), Err(SendError::InvalidUtf8), "a fragment holds whole characters");
        assert_eq!(end.send("no"), Err(SendError::UnfinishedMessage));
        assert_eq!(end.connection.send_bytes(Kind::Text, "no".into()), Err(SendError::UnfinishedMessage));
        assert_eq!(end.connection.send_prepared(&"no".into()), Err(SendError::UnfinishedMessage));
        assert!(matches!(end.connection.writer(Kind::Binary), Err(SendError::UnfinishedMessage)));
        let _ = end.connection.ping(b"!").unwrap();
        // a later turn goes on with it
        let mut writer = end.connection.writer(Kind::Text).unwrap();
        let _ = writer.write(b"!").unwrap();
        let _ = writer.finish().unwrap();
        let _ = end.send("next").unwrap();
        let expected = [
            (0x01, "é".as_bytes().to_vec()),
            (PING, b"!".to_vec()),
            (0x00, b"!".to_vec()),
            (0x80, Vec::new()),
            (TEXT, b"next".to_vec()),
        ];
        assert_eq!(end.flush_frames(), expected, "{role:?}");
    }
}

#[test]
fn a_writer_that_writes_nothing_sends_an_empty_message() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.connection.writer(Kind::Binary).unwrap().finish().unwrap();
        assert_eq!(end.flush_frames(), [(BINARY, Vec::new())], "{role:?}");
    }
}

#[test]
fn a_message_of_the_largest_size_passes_and_one_byte_more_is_refused_by_its_header() {
    for role in ROLES {
        let limits = || config(|config| config.max_message_size(1_000));
        let mut end = Endpoint::new(role, limits());
        end.receive_frame(BINARY, &[1; 1_000]);
        end.receive_frame(0x02, &[2; 600]);
        end.receive_frame(0x80, &[2; 400]);
        assert_eq!(end.take_seen(), [Seen::Binary(vec![1; 1_000]), Seen::Binary(vec![2; 1_000])], "{role:?}");

        // the header alone is enough: no byte of the payload need come
        end.receive(&header(role.peer(), BINARY, 1_001));
        let sent = end.flush_frames();
        assert_eq!(sent[0].1[..2], 1009_u16.to_be_bytes());
        assert_eq!(end.ending().cause, "Failed(MessageTooBig { limit: 1000 })");

        let mut end = Endpoint::new(role, limits());
        end.receive_frame(0x02, &[2; 600]);
        end.receive(&header(role.peer(), 0x80, 401));
        assert_eq!(end.flush_frames()[0].1[..2], 1009_u16.to_be_bytes(), "{role:?}: the fragments together");
    }
}

#[test]
fn an_empty_message_passes_a_limit_of_zero() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.max_message_size(0)));
        end.receive_frame(TEXT, b"");
        assert_eq!(end.take_seen(), [Seen::Text(String::new())]);
        end.receive_frame(TEXT, b"x");
        end.flush();
        assert_eq!(end.ending().local_code(), Some(1009), "{role:?}");
    }
}

#[test]
fn the_most_fragments_pass_and_one_more_is_refused_with_1008() {
    for role in ROLES {
        for streaming in [false, true] {
            let limits = config(|config| config.max_fragments(5).streaming(streaming));
            let mut end = Endpoint::new(role, limits);
            for _ in 0..2 {
                for first in [0x01, 0x00, 0x00, 0x00, 0x80] {
                    end.receive_frame(first, b"x");
                    end.receive_frame(PING, b"control frames are no fragments");
                }
            }
            assert!(end.connection.is_open(), "{role:?}: exactly the limit, twice");
            end.flush();
            for first in [0x01, 0x00, 0x00, 0x00, 0x00] {
                end.receive_frame(first, b"x");
            }
            assert!(end.connection.is_open());
            end.receive_frame(0x80, b"");
            assert_eq!(end.flush_frames()[0].1[..2], 1008_u16.to_be_bytes(), "{role:?}");
            assert_eq!(end.ending().cause, "Failed(TooManyFragments { limit: 5 })");
        }
    }
}

#[test]
fn a_frame_of_70_gb_streams_in_constant_memory() {
    const LENGTH: u64 = 70_000_000_000;
    const FEED: usize = 200_000_000;
    for role in ROLES {
        let now = common::start();
        let config = config(|config| config.streaming(true));
        let mut connection = common::connection(role, config, now);
        let mut rx = RecvBuffer::new();
        rx.extend(&header(role.peer(), BINARY, LENGTH));
        // a multiple of the masking key's length, so that each read looks the same
        let read = masked(role.peer(), &[b'x'; 64 * 1024]);
        let mut fed = 0;
        let mut received = 0;
        let mut largest = 0;
        while fed < FEED {
            rx.extend(&read);
            fed += read.len();
            while let Some(event) = connection.poll_event(&mut rx, now) {
                match event {
                    Event::Open => {}
                    Event::Part(part) => {
                        let bytes = part.message.as_bytes();
                        assert_eq!((part.first, part.last), (received == 0, false));
                        assert!(bytes.first() == Some(&b'x') && bytes.last() == Some(&b'x'));
                        received += bytes.len();
                    }
                    other => panic!("{role:?}: {other:?}"),
                }
            }
            largest = largest.max(rx.capacity());
        }
        assert_eq!(received, fed, "{role:?}: nothing is held back");
        assert!(largest <= 256 * 1024, "{role:?}: {largest} bytes of storage");
    }
}

#[test]
fn streamed_text_is_cut_between_characters() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.streaming(true)));
        let text = "aé€😀".repeat(10);
        for byte in frame(role.peer(), TEXT, text.as_bytes()) {
            end.receive(&[byte]);
        }
        let mut joined = String::new();
        let seen = end.take_seen();
        let count = seen.len();
        for (i, seen) in seen.into_iter().enumerate() {
            let Seen::Part { kind: Kind::Text, bytes, first, last } = seen else { panic!("{seen:?}") };
            assert_eq!((first, last), (i == 0, i + 1 == count), "{role:?}");
            joined += std::str::from_utf8(&bytes).expect("whole characters");
        }
        assert_eq!(joined, text, "{role:?}");
        assert_eq!(count, 40, "each character as soon as it is whole");
    }
}

#[test]
fn the_streaming_limit_is_a_limit_of_its_own() {
    for role in ROLES {
        let limits = config(|config| config.streaming(true).max_message_size(10).max_streamed_size(1_000));
        let mut end = Endpoint::new(role, limits);
        end.receive_frame(BINARY, &[1; 1_000]);
        assert!(matches!(&end.take_seen()[..], [Seen::Part { first: true, last: true, .. }]), "{role:?}");
        end.receive(&header(role.peer(), BINARY, 1_001));
        end.flush();
        assert_eq!(end.ending().cause, "Failed(MessageTooBig { limit: 1000 })");
    }
}

#[test]
fn the_mode_changes_between_messages_and_not_within() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.receive_frame(0x01, b"half ");
        assert!(!end.connection.set_streaming(true), "within a message");
        end.receive_frame(0x80, b"whole");
        assert_eq!(end.take_seen(), [Seen::Text("half whole".into())]);
        assert!(end.connection.set_streaming(true));
        end.receive_frame(0x01, b"part");
        let part = Seen::Part { kind: Kind::Text, bytes: b"part".to_vec(), first: true, last: false };
        assert_eq!(end.take_seen(), [part], "{role:?}");
    }
}

#[test]
fn a_message_is_taken_out_of_the_buffer_to_be_kept() {
    for role in ROLES {
        for length in [10, 100_000] {
            let now = common::start();
            let mut connection = common::connection(role, Config::default(), now);
            let mut rx = RecvBuffer::new();
            for byte in [1, 2, 3] {
                rx.extend(&frame(role.peer(), BINARY, &vec![byte; length]));
            }
            let mut kept = Vec::new();
            while let Some(event) = connection.poll_event(&mut rx, now) {
                if let Event::Message(message) = event {
                    let address = message.as_bytes().as_ptr();
                    let taken = rx.take_message().expect("the message");
                    assert_eq!(taken.as_ptr() == address, length == 100_000, "a large one is not copied");
                    assert_eq!(rx.take_message(), None, "once");
                    kept.push(taken);
                }
            }
            assert_eq!(kept, [vec![1; length], vec![2; length], vec![3; length]], "{role:?}");
            for message in kept {
                let _ = connection.send_bytes(Kind::Binary, message).unwrap();
            }
            let mut wire = Vec::new();
            wire.put(connection.transmit());
            assert_eq!(common::frames(role, &wire).len(), 3);
        }
    }
}

#[test]
fn a_ping_is_answered_with_its_payload_within_a_fragmented_message() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.receive_frame(0x01, "€".as_bytes().split_at(1).0);
        end.receive_frame(PING, &[9; 125]);
        assert_eq!(end.flush_frames(), [(0x8a, vec![9; 125])], "{role:?}: before the message is whole");
        end.receive_frame(0x80, "€".as_bytes().split_at(1).1);
        assert_eq!(end.take_seen(), [Seen::Ping(vec![9; 125]), Seen::Text("€".into())]);
    }
}

#[test]
fn pings_inside_a_message_that_never_ends_cost_no_memory() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.receive_frame(0x02, b"begun");
        let ping = frame(role.peer(), PING, &[0; 125]);
        for _ in 0..20_000 {
            end.receive(&ping);
            end.write(usize::MAX);
            end.seen.clear();
        }
        assert!(end.rx.capacity() <= 1024, "{role:?}: {} bytes of storage", end.rx.capacity());
    }
}

#[test]
fn text_fails_with_the_first_bad_byte_of_an_unfinished_frame() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.receive(&header(role.peer(), TEXT, 10_000));
        end.receive(&masked(role.peer(), b"fine so far"));
        assert!(end.connection.is_open());
        end.receive(&masked(role.peer(), b"fine so far\xf5")[11..]);
        assert_eq!(end.flush_frames()[0].1[..2], 1007_u16.to_be_bytes(), "{role:?}: without the other 9,988 bytes");
    }
}

#[test]
fn a_declared_length_is_not_allocated() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.max_message_size(usize::MAX)));
        end.receive(&header(role.peer(), BINARY, (1 << 63) - 1));
        end.receive(&[1; 100]);
        assert!(end.connection.is_open());
        assert!(end.rx.capacity() <= 1024, "{role:?}: {} bytes of storage", end.rx.capacity());
    }
}

#[test]
fn ping_payloads_above_125_bytes_are_refused() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        assert!(end.connection.ping(&[0; 125]).is_ok());
        assert_eq!(end.connection.ping(&[0; 126]), Err(SendError::LongControlFrame(126)));
        assert_eq!(end.connection.pong(&[0; 126]), Err(SendError::LongControlFrame(126)));
        assert_eq!(end.flush_frames().len(), 1, "{role:?}");
        assert_eq!(Message::from("é").as_bytes(), "é".as_bytes());
    }
}
