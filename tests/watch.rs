//! Watching the frames of a connection: what is listed, in which order, and what it costs.

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use bytes::{Buf, Bytes};
use common::{Endpoint, ROLES, Role, config, frame};
use wireroom::{
    Connection, Direction, Kind, PreparedMessage, WatchedFrame,
    frame::{Opcode, apply_mask},
};

thread_local! {
    /// Allocations of this thread: other tests do not count.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // a thread that is ending has no counter any more
        let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn watching(role: Role, capacity: usize) -> Endpoint {
    let mut endpoint = Endpoint::new(role, config(|config| config));
    endpoint.connection.watch_frames(capacity);
    endpoint
}

fn listed(connection: &mut Connection) -> Vec<WatchedFrame> {
    std::iter::from_fn(|| connection.poll_frame()).collect()
}

/// Direction, opcode, `fin`, length and start.
type Row = (Direction, Opcode, bool, u64, Vec<u8>);

fn rows(connection: &mut Connection) -> Vec<Row> {
    let row = |frame: WatchedFrame| {
        let header = frame.header;
        (frame.direction, header.opcode, header.fin, header.payload_length, frame.start().to_vec())
    };
    listed(connection).into_iter().map(row).collect()
}

fn received(opcode: Opcode, fin: bool, payload: &[u8]) -> Row {
    (Direction::Received, opcode, fin, payload.len() as u64, payload[..payload.len().min(16)].to_vec())
}

fn sent(opcode: Opcode, fin: bool, payload: &[u8]) -> Row {
    (Direction::Sent, opcode, fin, payload.len() as u64, payload[..payload.len().min(16)].to_vec())
}

#[test]
fn it_is_off_by_default_and_can_be_stopped() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role, config(|config| config));
        endpoint.receive_frame(0x81, b"unseen");
        let _ = endpoint.send("unseen").unwrap();
        assert_eq!((endpoint.connection.poll_frame(), endpoint.connection.frames_missed()), (None, 0));
        endpoint.connection.watch_frames(1);
        assert_eq!(endpoint.connection.poll_frame(), None);
        endpoint.receive_frame(0x81, b"seen");
        endpoint.receive_frame(0x81, b"seen");
        endpoint.connection.watch_frames(0);
        endpoint.receive_frame(0x81, b"unseen");
        assert_eq!((endpoint.connection.poll_frame(), endpoint.connection.frames_missed()), (None, 0));
    }
}

#[test]
fn every_frame_of_a_conversation_is_listed_in_both_roles() {
    for role in ROLES {
        let mut endpoint = watching(role, 100);
        let connection = &mut endpoint.connection;
        let large = vec![b'x'; 100_000];
        let _ = connection.send("hello").unwrap();
        let _ = connection.send_bytes(Kind::Binary, Bytes::from(large.clone())).unwrap();
        let _ = connection.send_bytes(Kind::Text, Bytes::from_static(b"small")).unwrap();
        let _ = connection.send_prepared(&PreparedMessage::new("for many")).unwrap();
        let _ = connection.ping(b"are you there").unwrap();
        let _ = connection.pong(b"").unwrap();
        let mut writer = connection.writer(Kind::Text).unwrap();
        let _ = writer.write(b"Hel").unwrap();
        let _ = writer.write(b"lo").unwrap();
        let _ = writer.finish().unwrap();
        endpoint.receive_frame(0x89, b"ping");
        endpoint.receive_frame(0x02, b"frag");
        endpoint.receive_frame(0x8A, b"");
        endpoint.receive_frame(0x80, b"ments");
        endpoint.receive_frame(0x82, &large);
        endpoint.close(1000, "bye");
        endpoint.receive_frame(0x88, &[0x03, 0xE8]);
        use Opcode::*;
        let expected = [
            sent(Text, true, b"hello"),
            sent(Binary, true, &large),
            sent(Text, true, b"small"),
            sent(Text, true, b"for many"),
            sent(Ping, true, b"are you there"),
            sent(Pong, true, b""),
            sent(Text, false, b"Hel"),
            sent(Continuation, false, b"lo"),
            sent(Continuation, true, b""),
            received(Ping, true, b"ping"),
            sent(Pong, true, b"ping"),
            received(Binary, false, b"frag"),
            received(Pong, true, b""),
            received(Continuation, true, b"ments"),
            received(Binary, true, &large),
            sent(Close, true, b"\x03\xE8bye"),
            received(Close, true, b"\x03\xE8"),
        ];
        assert_eq!(rows(&mut endpoint.connection), expected, "{role:?}");
    }
}

/// The headers are those on the wire, and a client's keys are the ones that its payloads are masked with.
#[test]
fn a_clients_frames_show_their_keys_and_the_unmasked_start() {
    let mut client = watching(Role::Client, 100);
    let _ = client.send("first").unwrap();
    let _ = client.send("second").unwrap();
    client.write(3);
    client.receive_frame(0x89, b"overtakes"); // the Pong goes past `second`, and has a key too
    let wire = client.write(usize::MAX);
    let frames = listed(&mut client.connection);
    let mut keys = Vec::new();
    for frame in frames.iter().filter(|frame| frame.direction == Direction::Sent) {
        let key = frame.header.mask.expect("a client masks");
        let (header, length) = frame.header.encode();
        let mut bytes = header[..length].to_vec();
        bytes.extend_from_slice(frame.start());
        apply_mask(&mut bytes[length..], key, 0);
        let bytes = if keys.is_empty() { &bytes[3..] } else { &bytes };
        assert!(wire.windows(bytes.len()).any(|window| window == bytes), "{frame:?} is not on the wire {wire:x?}");
        assert!(!keys.contains(&key), "a key that was used twice");
        keys.push(key);
    }
    assert_eq!(keys.len(), 3);
    let ping = frames.iter().find(|frame| frame.direction == Direction::Received).unwrap();
    assert_eq!((ping.header.mask, ping.start()), (None, &b"overtakes"[..]));

    let mut server = watching(Role::Server, 100);
    server.receive(&frame(Role::Client, 0x82, &[7; 40]));
    let frames = listed(&mut server.connection);
    assert!(frames[0].header.mask.is_some() && frames[0].start() == [7; 16], "{frames:?}");
}

/// The list that a conversation leaves when its bytes come in pieces of `step`, polled after each piece.
fn list_of(role: Role, bytes: &[u8], step: usize, streaming: bool) -> Vec<WatchedFrame> {
    let mut endpoint = Endpoint::new(role, config(|config| config.streaming(streaming)));
    endpoint.connection.watch_frames(1000);
    endpoint.echo();
    let mut list = Vec::new();
    for piece in bytes.chunks(step) {
        endpoint.receive(piece);
        list.extend(listed(&mut endpoint.connection));
        endpoint.flush();
    }
    endpoint.end();
    list.extend(listed(&mut endpoint.connection));
    list
}

#[test]
fn any_cut_gives_the_same_list() {
    for role in ROLES {
        let mut bytes = Vec::new();
        for (first, payload) in [
            (0x81, &b"hi"[..]),
            (0x82, &[]),
            (0x02, &[1; 15]),
            (0x89, b"between fragments"),
            (0x00, &[2; 16]),
            (0x80, &[3; 17]),
            (0x81, "räume, комнаты, 😀 and so on".as_bytes()),
            (0x82, &[4; 300]),
            (0x8A, b"unasked"),
            (0x88, b"\x03\xE8done"),
        ] {
            bytes.extend(frame(role.peer(), first, payload));
        }
        for streaming in [false, true] {
            // Echoes have keys of their own in the order of sending, which is the same too.
            let whole = list_of(role, &bytes, bytes.len(), streaming);
            let echoes = if streaming { 0 } else { 5 };
            assert_eq!(whole.len(), 10 + echoes + 2, "{whole:?}");
            for step in 1..40 {
                assert_eq!(list_of(role, &bytes, step, streaming), whole, "{role:?} in pieces of {step}");
            }
        }
    }
}

#[test]
fn a_frame_that_never_came_whole_is_listed_with_what_came() {
    for role in ROLES {
        let whole = frame(role.peer(), 0x82, &[9; 100]);
        for came in [0, 1, 15, 16, 17] {
            let mut endpoint = watching(role, 10);
            endpoint.receive(&whole[..whole.len() - 100 + came]);
            endpoint.end();
            assert!(endpoint.is_closed());
            let expected = (Direction::Received, Opcode::Binary, true, 100, vec![9; came.min(16)]);
            assert_eq!(rows(&mut endpoint.connection), [expected], "{came} bytes");
        }
        // Not UTF-8: the frame stands before the Close frame that answers it.
        let mut endpoint = watching(role, 10);
        let broken = frame(role.peer(), 0x81, b"ok\xFFmore than sixteen bytes");
        endpoint.receive(&broken[..broken.len() - 20]);
        let rows = rows(&mut endpoint.connection);
        assert_eq!((rows.len(), &rows[0].4[..]), (2, &b"ok\xFFmor"[..]));
        assert_eq!((rows[1].0, rows[1].1, &rows[1].4[..2]), (Direction::Sent, Opcode::Close, &[0x03, 0xEF][..]));
    }
}

#[test]
fn a_header_that_breaks_a_rule_is_answered_with_a_close_that_is_listed() {
    for role in ROLES {
        let mut endpoint = watching(role, 10);
        endpoint.receive_frame(0xC1, b"a reserved bit");
        let rows = rows(&mut endpoint.connection);
        assert_eq!((rows.len(), rows[0].1, &rows[0].4[..2]), (1, Opcode::Close, &[0x03, 0xEA][..]));
    }
}

#[test]
fn a_frame_under_way_when_watching_begins_is_not_listed() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role, config(|config| config));
        let bytes = frame(role.peer(), 0x82, &[5; 50]);
        endpoint.receive(&bytes[..20]);
        endpoint.connection.watch_frames(10);
        endpoint.receive(&bytes[20..]);
        endpoint.receive_frame(0x81, b"next");
        assert_eq!(rows(&mut endpoint.connection), [received(Opcode::Text, true, b"next")]);
    }
}

#[test]
fn the_ring_keeps_the_latest_and_counts_what_gave_way() {
    for role in ROLES {
        let mut endpoint = watching(role, 3);
        let texts = |rows: Vec<Row>| rows.into_iter().map(|row| String::from_utf8(row.4).unwrap()).collect::<Vec<_>>();
        for n in 0..3 {
            endpoint.receive_frame(0x81, n.to_string().as_bytes());
        }
        assert_eq!(endpoint.connection.frames_missed(), 0);
        for n in 3..10 {
            endpoint.receive_frame(0x81, n.to_string().as_bytes());
        }
        assert_eq!(endpoint.connection.frames_missed(), 7);
        assert_eq!(endpoint.connection.frames_missed(), 0);
        assert_eq!(texts(rows(&mut endpoint.connection)), ["7", "8", "9"]);
        for n in 10..13 {
            endpoint.receive_frame(0x81, n.to_string().as_bytes());
        }
        endpoint.connection.watch_frames(2);
        assert_eq!(endpoint.connection.frames_missed(), 1);
        endpoint.connection.watch_frames(usize::MAX);
        endpoint.receive_frame(0x81, b"13");
        assert_eq!(texts(rows(&mut endpoint.connection)), ["11", "12", "13"]);
        for n in 0..65_537_u32 {
            endpoint.receive_frame(0x82, &n.to_be_bytes());
        }
        assert_eq!((endpoint.connection.frames_missed(), rows(&mut endpoint.connection).len()), (1, 65_536));
    }
}

#[test]
fn the_last_frames_are_there_after_the_end() {
    for role in ROLES {
        let mut endpoint = watching(role, 10);
        endpoint.receive_frame(0x88, b"\x03\xE9gone");
        endpoint.flush();
        endpoint.end();
        assert!(endpoint.is_closed());
        let expected = [received(Opcode::Close, true, b"\x03\xE9gone"), sent(Opcode::Close, true, &[0x03, 0xE9])];
        assert_eq!(rows(&mut endpoint.connection), expected);
    }
}

#[test]
fn watching_allocates_once_and_not_for_each_frame() {
    for role in ROLES {
        let mut endpoint = Endpoint::new(role, config(|config| config));
        let now = endpoint.now();
        let Endpoint { connection, rx, .. } = &mut endpoint;
        let bytes = [frame(role.peer(), 0x82, &[1; 100]), frame(role.peer(), 0x89, b"ping")].concat();
        let mut allocations = 0;
        for round in 0..110 {
            if round == 10 {
                connection.watch_frames(8); // the buffers are warm
            }
            let before = ALLOCATIONS.get();
            rx.extend(&bytes);
            while let Some(event) = connection.poll_event(rx, now) {
                if let wireroom::Event::Message(message) = event {
                    let _ = connection.send(message).unwrap();
                }
            }
            let waits = connection.transmit().remaining();
            connection.transmit().advance(waits);
            if round >= 10 {
                allocations += ALLOCATIONS.get() - before;
            }
        }
        // Four frames a round: two of ours, two of the peer's.
        assert_eq!((allocations, connection.frames_missed()), (0, 4 * 100 - 8), "{role:?}");
    }
}
