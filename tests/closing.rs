//! The closing handshake as its two ends see it (RFC 6455 sections 5.5.1, 7.1): each cell of the table in
//! `connection::closing`, from outside.

mod common;

use std::{io, time::Duration};

use common::{Endpoint, Pair, ROLES, Role, Seen, close_payload, config, frame, frames, masked};
use wireroom::{CloseCode, Config, Initiator, SendError, Transport};

const CLOSE: u8 = 0x88;
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// The default `Config::close_timeout`.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

fn closing(role: Role) -> Endpoint {
    let mut endpoint = Endpoint::new(role, Config::default());
    endpoint.close(1000, "done");
    endpoint
}

/// What the driver has to do once both Close frames have passed: the server closes first (7.1.1).
fn after_both_closes(role: Role) -> Transport {
    match role {
        Role::Server => Transport::ShutdownWrite,
        Role::Client => Transport::Open,
    }
}

// --- Open ---

#[test]
fn a_local_close_sends_one_close_frame_and_nothing_behind_it() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.send("before").unwrap();
        end.close(4000, "reason");
        assert_eq!(end.send("after"), Err(SendError::Closed));
        assert_eq!(end.connection.ping(b""), Err(SendError::Closed));
        assert_eq!(end.connection.pong(b""), Err(SendError::Closed));
        end.close(4001, "again");
        let expected = [(TEXT, b"before".to_vec()), (CLOSE, close_payload(4000, "reason"))];
        assert_eq!(end.flush_frames(), expected, "{role:?}: the Close behind what was accepted, once");
        assert!(!end.connection.is_open());
        assert!(!end.is_closed(), "not before the peer's Close");
        assert_eq!(end.transport(), Transport::Open);
    }
}

#[test]
fn the_peers_close_is_echoed_with_its_code_behind_accepted_data() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.send("on its way").unwrap();
        end.receive_frame(CLOSE, &close_payload(4999, "bye"));
        assert!(!end.is_closed(), "not before our Close has left");
        assert_eq!(end.send("late"), Err(SendError::Closed));
        let expected = [(TEXT, b"on its way".to_vec()), (CLOSE, close_payload(4999, ""))];
        assert_eq!(end.flush_frames(), expected, "{role:?}");
        let ending = end.ending();
        assert_eq!(ending.cause, "Clean");
        assert_eq!(ending.peer, Some((Some(4999), "bye".to_owned())));
        assert_eq!(ending.local_code(), Some(4999));
        assert_eq!(ending.initiator, Some(Initiator::Peer));
        assert_eq!(end.transport(), after_both_closes(role));
    }
}

#[test]
fn an_empty_close_is_echoed_empty() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.receive_frame(CLOSE, &[]);
        assert_eq!(end.flush_frames(), [(CLOSE, Vec::new())]);
        let ending = end.ending();
        assert_eq!((ending.cause.as_str(), ending.peer), ("Clean", Some((None, String::new()))), "{role:?}");
    }
}

#[test]
fn a_protocol_error_sends_its_code_and_discards_what_follows() {
    for role in ROLES {
        for (bytes, code) in [
            (frame(role.peer(), 0xc1, b"x"), 1002),
            (frame(role.peer(), 0x83, b"x"), 1002),
            (frame(role, TEXT, b"x"), 1002),
            (frame(role.peer(), TEXT, b"\xff"), 1007),
            (frame(role.peer(), 0x82, &[0; 101]), 1009),
        ] {
            let mut end = Endpoint::new(role, config(|config| config.max_message_size(100)));
            end.receive(&bytes);
            end.receive_frame(TEXT, b"not delivered");
            end.receive_frame(PING, b"not answered");
            let sent = end.flush_frames();
            let [(CLOSE, payload)] = &sent[..] else { panic!("{role:?}: one Close: {sent:02x?}") };
            assert_eq!(payload[..2], u16::to_be_bytes(code), "{role:?}: {bytes:02x?}");
            assert!(std::str::from_utf8(&payload[2..]).is_ok_and(|reason| !reason.is_empty()), "it says why");
            let ending = end.ending();
            assert_eq!(end.take_seen().len(), 1, "only the end is seen");
            assert!(ending.cause.starts_with("Failed("), "{ending:?}");
            assert_eq!((ending.local_code(), ending.initiator), (Some(code), Some(Initiator::Local)));
            assert_eq!(end.transport(), after_both_closes(role));
        }
    }
}

#[test]
fn the_end_of_the_stream_delivers_what_is_whole() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let whole = frame(role.peer(), TEXT, b"whole");
        end.rx.extend(&[&whole[..], &whole[..4]].concat());
        end.end();
        let seen = end.take_seen();
        assert_eq!(seen[0], Seen::Text("whole".into()));
        assert!(matches!(&seen[1..], [Seen::Closed(ending)] if ending.cause == "Eof"), "{role:?}: {seen:?}");
        assert_eq!(end.transport(), Transport::Close);
        assert_eq!(end.connection.poll_timeout(), None);
    }
}

#[test]
fn an_open_connection_has_no_closing_deadline() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.keepalive_interval(None)));
        assert_eq!(end.connection.poll_timeout(), None);
        end.advance(Duration::from_secs(1_000_000));
        assert_eq!(end.transport(), Transport::Open);
        assert!(end.connection.is_open());
    }
}

#[test]
fn abort_loses_what_waits_and_ends_at_once() {
    for role in ROLES {
        for prepare in [Endpoint::new(role, Config::default()), closing(role)] {
            let mut end = prepare;
            let _ = end.send("lost");
            end.connection.abort();
            end.poll();
            assert_eq!(end.ending().cause, "Aborted");
            assert!(!end.connection.wants_write() && !end.connection.wants_read());
            assert_eq!(end.transport(), Transport::Close);
        }
    }
}

#[test]
fn a_transport_error_is_the_cause() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.connection.handle_io_error(io::ErrorKind::ConnectionReset);
        end.poll();
        assert_eq!(end.ending().cause, "Io(ConnectionReset)");
        assert_eq!(end.transport(), Transport::Close);
        end.connection.handle_io_error(io::ErrorKind::BrokenPipe);
        end.connection.abort();
        end.end();
        assert_eq!(end.ending().cause, "Io(ConnectionReset)", "it ends once");
    }
}

// --- AwaitingClose ---

#[test]
fn data_still_arrives_and_pings_are_answered_until_the_peers_close() {
    for role in ROLES {
        let mut end = closing(role);
        assert_eq!(end.flush_frames(), [(CLOSE, close_payload(1000, "done"))]);
        end.receive_frame(TEXT, b"was on its way");
        end.receive_frame(PING, b"?");
        assert_eq!(end.take_seen(), [Seen::Text("was on its way".into()), Seen::Ping(b"?".to_vec())]);
        assert_eq!(end.flush_frames(), [(PONG, b"?".to_vec())], "{role:?}: 5.5.2, no Close was received yet");
        end.receive_frame(CLOSE, &close_payload(1000, ""));
        assert_eq!(end.flush_frames(), [], "the Close was sent already");
        let ending = end.ending();
        assert_eq!((ending.cause.as_str(), ending.initiator), ("Clean", Some(Initiator::Local)));
        assert_eq!(ending.local, Some((Some(1000), "done".into())));
    }
}

#[test]
fn a_protocol_error_after_our_close_sends_no_second_close() {
    for role in ROLES {
        let mut end = closing(role);
        end.flush();
        end.receive_frame(0x83, b"");
        assert_eq!(end.flush_frames(), []);
        let ending = end.ending();
        assert_eq!(ending.cause, "Failed(ReservedOpcode(3))", "{role:?}");
        assert_eq!(ending.local_code(), Some(1000));
    }
}

#[test]
fn a_text_that_is_not_utf_8_after_our_close_ends_it_too() {
    for role in ROLES {
        let mut end = closing(role);
        end.flush();
        end.receive_frame(TEXT, b"\xff");
        assert_eq!(end.ending().cause, "Failed(InvalidUtf8)", "{role:?}");
    }
}

#[test]
fn the_end_of_the_stream_instead_of_the_peers_close_is_not_clean() {
    for role in ROLES {
        let mut end = closing(role);
        end.flush();
        end.end();
        let ending = end.ending();
        assert_eq!((ending.cause.as_str(), ending.peer), ("Eof", None), "{role:?}");
        assert_eq!(end.transport(), Transport::Close);
    }
}

#[test]
fn a_peer_that_never_closes_is_given_up_at_the_deadline() {
    for role in ROLES {
        let mut end = closing(role);
        end.flush();
        // its data does not move the deadline: it is absolute
        for _ in 0..4 {
            end.advance(CLOSE_TIMEOUT / 4 - Duration::from_millis(1));
            end.receive_frame(TEXT, b"and another thing");
            assert!(!end.is_closed(), "{role:?}: too early");
        }
        end.advance(Duration::from_millis(4));
        assert_eq!(end.ending().cause, "Timeout(Close)");
        assert_eq!(end.transport(), Transport::Close);
    }
}

// --- Flushing ---

#[test]
fn while_the_close_frame_is_blocked_bytes_are_read_and_thrown_away() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.send(&vec![0; 100_000]).unwrap();
        end.write(10);
        end.receive_frame(CLOSE, &close_payload(1000, ""));
        assert!(end.connection.wants_read(), "{role:?}: a peer blocked in its own write must not hold us");
        let capacity = end.rx.capacity();
        for _ in 0..100 {
            end.receive_frame(TEXT, &[b'x'; 1000]);
        }
        assert!(end.rx.capacity() <= capacity.max(2048), "{} bytes of storage", end.rx.capacity());
        assert_eq!(end.take_seen(), []);
        assert_eq!(end.transport(), Transport::Open, "the Close has not left yet");
        end.flush();
        assert_eq!(end.ending().cause, "Clean");
        assert_eq!(end.transport(), after_both_closes(role));
    }
}

#[test]
fn a_close_frame_that_cannot_leave_ends_at_the_deadline() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.send(&vec![0; 100_000]).unwrap();
        end.write(10);
        end.receive_frame(CLOSE, &close_payload(1000, ""));
        end.advance(CLOSE_TIMEOUT - Duration::from_millis(1));
        assert!(!end.is_closed());
        end.advance(Duration::from_millis(1));
        let ending = end.ending();
        assert_eq!(ending.peer_code(), Some(1000), "{role:?}");
        assert_eq!(ending.cause, "Timeout(Close)", "{role:?}: our Close never left, so it is not clean");
        assert_eq!(end.transport(), Transport::Close);
    }
}

#[test]
fn the_end_of_the_stream_while_flushing_cuts_nothing_off() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.send(&vec![0; 100_000]).unwrap();
        let mut sent = end.write(10);
        end.receive_frame(CLOSE, &close_payload(1000, ""));
        end.end();
        assert!(!end.is_closed(), "{role:?}: our Close waits");
        sent.extend(end.flush());
        assert_eq!(frames(role, &sent).last(), Some(&(CLOSE, close_payload(1000, ""))), "{role:?}");
        assert_eq!(end.ending().cause, "Clean", "{role:?}");
        assert_eq!(end.transport(), Transport::Close);
    }
}

// --- AwaitingEof ---

#[test]
fn the_server_shuts_down_first_and_lingers_until_the_clients_end() {
    let mut server = Endpoint::new(Role::Server, Config::default());
    server.receive_frame(CLOSE, &close_payload(1000, ""));
    server.flush();
    assert_eq!(server.transport(), Transport::ShutdownWrite);
    assert!(server.connection.wants_read(), "it lingers, and throws away");
    server.receive(b"anything at all");
    assert_eq!(server.transport(), Transport::ShutdownWrite);
    server.end();
    assert_eq!(server.transport(), Transport::Close);
    assert_eq!(server.ending().cause, "Clean", "one Closed in all");
}

#[test]
fn the_client_waits_for_the_servers_end() {
    let mut client = Endpoint::new(Role::Client, Config::default());
    client.receive_frame(CLOSE, &close_payload(1000, ""));
    client.flush();
    assert_eq!(client.transport(), Transport::Open, "7.1.1: the server closes first");
    assert!(client.connection.wants_read());
    client.end();
    assert_eq!(client.transport(), Transport::Close);
}

#[test]
fn a_peer_that_lingers_for_ever_is_left_at_the_deadline() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.receive_frame(CLOSE, &close_payload(1000, ""));
        end.flush();
        let deadline = end.connection.poll_timeout().expect("a deadline");
        assert_eq!(deadline, end.now() + CLOSE_TIMEOUT, "{role:?}");
        for _ in 0..10 {
            end.receive(&[0; 1000]);
        }
        end.advance(CLOSE_TIMEOUT);
        assert_eq!(end.transport(), Transport::Close);
        assert_eq!(end.connection.poll_timeout(), None);
        assert_eq!(end.ending().cause, "Clean", "the handshake itself was complete");
    }
}

#[test]
fn a_close_and_the_end_of_the_stream_in_one_read_need_no_lingering() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.rx.extend(&frame(role.peer(), CLOSE, &close_payload(1000, "")));
        end.end();
        assert_eq!(end.flush_frames(), [(CLOSE, close_payload(1000, ""))], "{role:?}");
        assert_eq!(end.ending().cause, "Clean");
        assert_eq!(end.transport(), Transport::Close, "{role:?}: the peer has ended its side already");
    }
}

// --- both ends ---

#[test]
fn two_ends_close_cleanly_whoever_begins_and_however_bytes_are_cut() {
    for byte_by_byte in [false, true] {
        for beginner in [Some(Role::Client), Some(Role::Server), None] {
            let mut pair = Pair::new();
            if byte_by_byte {
                pair = pair.byte_by_byte();
            }
            let _ = pair.client.send("last words").unwrap();
            let _ = pair.server.send("last words").unwrap();
            if beginner != Some(Role::Server) {
                pair.client.close(1000, "client");
            }
            if beginner != Some(Role::Client) {
                pair.server.close(1001, "server");
            }
            pair.run();
            for end in [&pair.client, &pair.server] {
                assert_eq!(end.seen[0], Seen::Text("last words".into()));
                let ending = end.ending();
                assert_eq!(ending.cause, "Clean");
                assert_eq!(end.transport(), Transport::Close, "{:?}: without waiting for a deadline", end.role);
                let initiator =
                    if beginner.is_none_or(|role| role == end.role) { Initiator::Local } else { Initiator::Peer };
                assert_eq!(ending.initiator, Some(initiator), "{:?}", end.role);
            }
            let code = if beginner == Some(Role::Server) { 1001 } else { 1000 };
            assert_eq!(pair.server.ending().peer_code(), Some(code));
        }
    }
}

#[test]
fn echoes_of_what_came_before_the_close_still_leave() {
    let mut pair = Pair::new();
    pair.server.echo();
    for n in 0..100 {
        let _ = pair.client.send(&n.to_string()).unwrap();
    }
    pair.client.close(1000, "");
    pair.run();
    let echoes = pair.client.seen.iter().filter(|seen| matches!(seen, Seen::Text(_))).count();
    assert_eq!(echoes, 100);
    assert_eq!(pair.client.ending().cause, "Clean");
}

#[test]
fn a_long_reason_is_cut_at_a_character() {
    let mut end = Endpoint::new(Role::Server, Config::default());
    end.close(1000, &"€".repeat(100));
    let frames = end.flush_frames();
    assert_eq!(frames, [(CLOSE, close_payload(1000, &"€".repeat(41)))]);
}

#[test]
fn close_without_a_code_is_an_empty_frame() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.connection.close_without_code(end.now());
        assert_eq!(end.flush_frames(), [(CLOSE, Vec::new())]);
        end.receive_frame(CLOSE, &[]);
        assert_eq!(end.ending().local, Some((None, String::new())), "{role:?}");
    }
}

#[test]
fn a_close_stands_behind_an_unfinished_message() {
    let mut end = Endpoint::new(Role::Server, Config::default());
    let mut writer = end.connection.writer(wireroom::Kind::Text).unwrap();
    let _ = writer.write(b"half").unwrap();
    end.close(1011, "");
    assert_eq!(end.flush_frames(), [(0x01, b"half".to_vec()), (CLOSE, close_payload(1011, ""))]);
    assert!(matches!(end.connection.writer(wireroom::Kind::Text), Err(SendError::Closed)));
}

#[test]
fn a_paused_connection_still_meets_its_closing_deadline() {
    for role in ROLES {
        let mut end = closing(role);
        end.connection.pause();
        end.flush();
        end.receive_frame(CLOSE, &close_payload(1000, ""));
        assert!(!end.is_closed(), "{role:?}: paused, it does not listen");
        end.advance(CLOSE_TIMEOUT);
        assert_eq!(end.ending().cause, "Timeout(Close)");
        assert_eq!(end.transport(), Transport::Close);
    }
}

#[test]
fn only_codes_that_may_be_sent_exist() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        assert_eq!(CloseCode::new(code), None);
        for role in ROLES {
            let mut end = Endpoint::new(role, Config::default());
            end.receive_frame(CLOSE, &close_payload(code, ""));
            let sent = end.flush_frames();
            assert_eq!(sent[0].1[..2], 1002_u16.to_be_bytes(), "{role:?}: {code} must not be sent");
        }
    }
}

#[test]
fn a_half_received_close_is_no_close() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let bytes = frame(role.peer(), CLOSE, &close_payload(1000, "bye"));
        end.receive(&bytes[..bytes.len() - 1]);
        assert_eq!(end.flush(), [0; 0]);
        assert!(end.connection.is_open());
        end.end();
        assert_eq!(end.ending().cause, "Eof");
        // the harness itself: a server's payload is plain
        assert_eq!(masked(Role::Server, b"bye"), b"bye");
    }
}

#[test]
fn what_cuts_off_our_close_is_the_cause() {
    for role in ROLES {
        for closes in [true, false] {
            let blocked = || {
                let mut end = Endpoint::new(role, Config::default());
                let _ = end.send(&vec![0; 100_000]).unwrap();
                end.write(10);
                if closes {
                    end.receive_frame(CLOSE, &close_payload(1000, ""));
                } else {
                    end.end();
                }
                end
            };
            let mut end = blocked();
            end.connection.handle_io_error(io::ErrorKind::ConnectionReset);
            end.poll();
            assert_eq!(end.ending().cause, "Io(ConnectionReset)", "{role:?}");
            let mut end = blocked();
            end.connection.abort();
            end.poll();
            assert_eq!(end.ending().cause, "Aborted", "{role:?}");
            let mut end = blocked();
            end.advance(CLOSE_TIMEOUT);
            assert_eq!(end.ending().cause, "Timeout(Close)", "{role:?}");
        }
    }
}
