//! No allocation per message, neither on receive nor on send, once the buffers are warm. A counting allocator watches;
//! `cargo test --test no_alloc -- --nocapture` shows the figures.

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    io::IoSlice,
};

use bytes::{Buf, Bytes};
use common::{ROLES, Role, frame};
use wireroom::{Config, Connection, Event, Kind, Message, PreparedMessage, RecvBuffer, SlowConsumer};

thread_local! {
    /// Allocations of this thread: other tests do not count.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes of those that are large.
    static LARGE: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count(size: usize) {
    if size >= 32 * 1024 {
        let _ = LARGE.try_with(|large| large.set(large.get() + size));
    }
    // a thread that is ending has no counter any more
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(f: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    f();
    ALLOCATIONS.get() - before
}

const WARM_UP: usize = 8;
const MESSAGES: usize = 200;

/// A driver with a socket that takes everything: it copies nothing and allocates nothing.
fn drain(connection: &mut Connection) -> usize {
    let queue = connection.transmit();
    let mut total = 0;
    while queue.has_remaining() {
        let mut slices = [IoSlice::new(&[]); 16];
        let count = queue.chunks_vectored(&mut slices);
        let n = slices[..count].iter().map(|slice| slice.len()).sum();
        queue.advance(n);
        total += n;
    }
    total
}

/// One read brings `bytes`; each message is sent back in the same match arm.
fn echo(connection: &mut Connection, rx: &mut RecvBuffer, bytes: &[u8]) -> usize {
    let now = common::start();
    let mut messages = 0;
    for read in bytes.chunks(64 * 1024) {
        rx.extend(read);
        while let Some(event) = connection.poll_event(rx, now) {
            match event {
                Event::Message(message) => {
                    messages += 1;
                    let _ = connection.send(message).unwrap();
                }
                Event::Part(part) => messages += usize::from(part.last),
                Event::Closed(closed) => panic!("{closed}"),
                _ => {}
            }
        }
        drain(connection);
    }
    messages
}

fn payload(kind: Kind, length: usize) -> Vec<u8> {
    match kind {
        Kind::Text => "wire, räume, комнаты 😀 ".bytes().cycle().take(length - 4).chain(*b"ende").collect(),
        Kind::Binary => (0..length).map(|i| i as u8).collect(),
    }
}

/// Text of whole characters, `length` bytes or a few less.
fn whole_text(length: usize) -> Vec<u8> {
    let bytes = payload(Kind::Text, length);
    let valid = match std::str::from_utf8(&bytes) {
        Ok(text) => text.len(),
        Err(error) => error.valid_up_to(),
    };
    let mut text = bytes[..valid].to_vec();
    text.resize(length, b'.');
    text
}

fn message(sender: Role, kind: Kind, length: usize, fragments: usize) -> Vec<u8> {
    let payload = if kind == Kind::Text { whole_text(length) } else { payload(kind, length) };
    let opcode = if kind == Kind::Text { 0x1 } else { 0x2 };
    let mut bytes = Vec::new();
    let pieces: Vec<&[u8]> = payload.chunks(length.div_ceil(fragments)).collect();
    for (i, piece) in pieces.iter().enumerate() {
        let fin = if i + 1 == pieces.len() { 0x80 } else { 0x00 };
        bytes.extend(frame(sender, fin | if i == 0 { opcode } else { 0x0 }, piece));
        if fragments > 1 {
            bytes.extend(frame(sender, 0x89, b"still there?"));
        }
    }
    bytes
}

fn assert_echo_allocates_nothing(length: usize) {
    for role in ROLES {
        for kind in [Kind::Text, Kind::Binary] {
            for fragments in [1, 5] {
                let bytes = message(role.peer(), kind, length, fragments);
                let mut connection = common::connection(role, Config::default(), common::start());
                let mut rx = RecvBuffer::new();
                let rounds = |connection: &mut Connection, rx: &mut RecvBuffer, n: usize| {
                    for _ in 0..n {
                        assert_eq!(echo(connection, rx, &bytes), 1);
                    }
                };
                let cold = allocations(|| rounds(&mut connection, &mut rx, WARM_UP));
                let warm = allocations(|| rounds(&mut connection, &mut rx, MESSAGES));
                println!(
                    "{role:?}, echo of {length} bytes, {kind:?}, {fragments} fragment(s): {cold} allocations in the first \
                     {WARM_UP} messages, {warm} in the next {MESSAGES}"
                );
                assert_eq!(warm, 0, "{role:?}, {length} bytes, {kind:?}, {fragments} fragment(s)");
            }
        }
    }
}

#[test]
fn an_echo_of_32_bytes_allocates_nothing() {
    assert_echo_allocates_nothing(32);
}

#[test]
fn an_echo_of_125_bytes_allocates_nothing() {
    assert_echo_allocates_nothing(125);
}

#[test]
fn an_echo_of_4_kib_allocates_nothing() {
    assert_echo_allocates_nothing(4 * 1024);
}

#[test]
fn an_echo_of_64_kib_allocates_nothing() {
    assert_echo_allocates_nothing(64 * 1024);
}

#[test]
fn a_read_with_many_messages_and_half_of_the_next_allocates_nothing() {
    for role in ROLES {
        let one = message(role.peer(), Kind::Text, 100, 1);
        let many: Vec<u8> = one.iter().copied().cycle().take(one.len() * 100).collect();
        let (first, second) = many.split_at(one.len() * 50 + one.len() / 2);
        let mut connection = common::connection(role, Config::default(), common::start());
        let mut rx = RecvBuffer::new();
        let mut rounds = |n: usize| {
            for _ in 0..n {
                assert_eq!(echo(&mut connection, &mut rx, first) + echo(&mut connection, &mut rx, second), 100);
            }
        };
        rounds(WARM_UP);
        let warm = allocations(|| rounds(10));
        println!("{role:?}, 100 messages in two reads: {warm} allocations in 1,000 messages");
        assert_eq!(warm, 0, "{role:?}");
    }
}

#[test]
fn statistics_cost_two_allocations_for_each_connection_and_none_for_each_message() {
    let role = Role::Server;
    let [without, with] = [false, true].map(|on| std::sync::Arc::new(common::config(|config| config.statistics(on))));
    let new = |config: &std::sync::Arc<Config>| common::connection(role, config.clone(), common::start());
    let [mut off, mut on] = [None, None];
    assert_eq!(allocations(|| off = Some(new(&without))), 0);
    assert_eq!(allocations(|| on = Some(new(&with))), 2);
    assert!(off.is_some_and(|connection| connection.stats().is_none()));
    let mut connection = on.unwrap();
    let bytes = message(role.peer(), Kind::Text, 1_000, 3);
    let mut rx = RecvBuffer::new();
    let mut rounds = |n: usize| (0..n).for_each(|_| assert_eq!(echo(&mut connection, &mut rx, &bytes), 1));
    rounds(WARM_UP);
    assert_eq!(allocations(|| rounds(MESSAGES)), 0);
    let stats = connection.stats().unwrap();
    let messages = (WARM_UP + MESSAGES) as u64;
    assert_eq!((stats.messages_received, stats.messages_sent, stats.pongs_sent), (messages, messages, 3 * messages));
}

#[test]
fn streaming_allocates_nothing() {
    for role in ROLES {
        let config = common::config(|config| config.streaming(true));
        let bytes = message(role.peer(), Kind::Text, 200 * 1024, 3);
        let mut connection = common::connection(role, config, common::start());
        let mut rx = RecvBuffer::new();
        for _ in 0..WARM_UP {
            assert_eq!(echo(&mut connection, &mut rx, &bytes), 1);
        }
        let warm = allocations(|| {
            for _ in 0..20 {
                assert_eq!(echo(&mut connection, &mut rx, &bytes), 1);
            }
        });
        println!("{role:?}, streaming 200 KiB: {warm} allocations in 20 messages");
        assert_eq!(warm, 0, "{role:?}");
    }
}

#[test]
fn a_prepared_message_to_many_queues_allocates_nothing_per_member() {
    const MEMBERS: usize = 500;
    for role in ROLES {
        for length in [32, 125, 4 * 1024, 32 * 1024] {
            let text = String::from_utf8(whole_text(length)).unwrap();
            let mut members: Vec<_> =
                (0..MEMBERS).map(|_| common::connection(role, Config::default(), common::start())).collect();
            let broadcast = |members: &mut [Connection], message: &PreparedMessage| {
                for member in members.iter_mut() {
                    let _ = member.send_prepared(message).unwrap();
                }
                for member in members.iter_mut() {
                    assert!(drain(member) > length);
                }
            };
            broadcast(&mut members, &PreparedMessage::new(&text));
            let mut prepared = None;
            let encoding = allocations(|| prepared = Some(PreparedMessage::new(&text)));
            let prepared = prepared.unwrap();
            let first = allocations(|| broadcast(&mut members[..1], &prepared));
            let others = allocations(|| broadcast(&mut members[1..], &prepared));
            println!(
                "{role:?}, broadcast of {length} bytes: {encoding} allocations to encode, {first} for the first member, \
                 {others} for {} more",
                MEMBERS - 1
            );
            assert_eq!(others, 0, "{role:?}, {length} bytes");
            assert!(encoding + first <= 2, "{role:?}, {length} bytes: one buffer, and its count");
        }
    }
}

/// Several broadcasts of one turn, with storage lent as the loop lends it.
#[test]
fn several_broadcasts_before_a_write_allocate_nothing_per_member() {
    const MEMBERS: usize = 20;
    let messages = ["one", "two", "three"].map(PreparedMessage::new);
    let mut members: Vec<_> =
        (0..MEMBERS).map(|_| common::connection(Role::Server, Config::default(), common::start())).collect();
    let mut turn = || {
        for message in &messages {
            for member in &mut members {
                let _ = member.send_prepared(message).unwrap();
            }
        }
        for member in &mut members {
            assert_eq!(drain(member), 5 + 5 + 7);
        }
    };
    turn();
    let warm = allocations(|| (0..MESSAGES).for_each(|_| turn()));
    println!("Server, three broadcasts a turn: {warm} allocations in {MESSAGES} turns of {MEMBERS} members");
    assert_eq!(warm, 0);
}

#[test]
fn shared_bytes_are_sent_by_reference() {
    let mut connection = common::connection(Role::Server, Config::default(), common::start());
    let bytes = Bytes::from(vec![7; 1 << 20]);
    let shared = bytes.clone();
    let sent = allocations(|| {
        for _ in 0..MESSAGES {
            let _ = connection.send_bytes(Kind::Binary, shared.clone()).unwrap();
            assert!(drain(&mut connection) > bytes.len());
        }
    });
    println!("Server, send_bytes of 1 MiB: {sent} allocations in {MESSAGES} messages");
    assert_eq!(sent, 0);
}

#[test]
fn own_messages_between_broadcasts_allocate_nothing() {
    let prepared = PreparedMessage::new("to all");
    let mut connection = common::connection(Role::Server, Config::default(), common::start());
    let mut rounds = |n: usize| {
        for _ in 0..n {
            let _ = connection.send_prepared(&prepared).unwrap();
            let _ = connection.send(Message::from("to you")).unwrap();
            drain(&mut connection);
            let _ = connection.send("to you, too").unwrap();
            drain(&mut connection);
        }
    };
    rounds(WARM_UP);
    let warm = allocations(|| rounds(MESSAGES));
    println!("Server, own messages between broadcasts: {warm} allocations in {MESSAGES} rounds of three messages");
    assert_eq!(warm, 0);
}

#[test]
fn a_policy_and_a_key_cost_nothing_where_the_peer_keeps_up() {
    for role in ROLES {
        let policy = SlowConsumer::DropOldest;
        let config = common::config(|config| config.slow_consumer(policy));
        let mut connection = common::connection(role, config, common::start());
        let prepared = PreparedMessage::new("a price").latest_of("EURUSD").slow_consumer(policy);
        let mut rounds = |n: usize| {
            for _ in 0..n {
                let _ = connection.send_prepared(&prepared).unwrap();
                let _ = connection.send("a message").unwrap();
                drain(&mut connection);
            }
        };
        rounds(WARM_UP);
        let warm = allocations(|| rounds(MESSAGES));
        println!("{role:?}, sends with a policy and a key: {warm} allocations in {MESSAGES} rounds of two messages");
        assert_eq!(warm, 0, "{role:?}");
    }
}

#[test]
fn what_waits_apart_for_many_slow_peers_is_shared_by_count() {
    const MEMBERS: usize = 100;
    let large = PreparedMessage::new(&vec![7; 64 * 1024]).slow_consumer(SlowConsumer::DropOldest);
    let mut members: Vec<_> =
        (0..MEMBERS).map(|_| common::connection(Role::Server, Config::default(), common::start())).collect();
    let broadcast = |members: &mut [Connection]| {
        for member in members {
            let _ = member.send_prepared(&large).unwrap();
        }
    };
    // Above the high-water mark from the fifth on; at the limit from the sixteenth on.
    (0..16).for_each(|_| broadcast(&mut members));
    let warm = allocations(|| (0..MESSAGES).for_each(|_| broadcast(&mut members)));
    println!("broadcasts to {MEMBERS} slow peers that drop the oldest: {warm} allocations in {MESSAGES} broadcasts");
    assert!(warm <= 2 * MEMBERS as u64, "the line of each has grown to its size: {warm}");
}

/// Through sockets: the storage of a large message goes round, and its echo is not a copy.
#[cfg(feature = "net")]
#[test]
#[allow(clippy::disallowed_methods)] // a socket has a clock
fn an_echo_of_1_mib_through_the_loop_needs_no_new_storage() {
    use std::{
        io::{ErrorKind, Read, Write},
        net::TcpStream,
        time::{Duration, Instant},
    };
    use wireroom::EventLoop;

    const LENGTH: usize = 1 << 20;
    let mut event_loop = EventLoop::new().unwrap();
    let verify = |_, request: &wireroom::http::Request<'_>| request.allow_any_origin();
    let address = event_loop.listen(([127, 0, 0, 1], 0).into(), Config::default(), verify).unwrap();
    let mut peer = TcpStream::connect(address).unwrap();
    peer.set_nonblocking(true).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let message = frame(Role::Client, 0x82, &vec![7; LENGTH]);
    let mut inbox = vec![0; 256 * 1024];
    // Sends `bytes`, and takes turns until `expected` bytes have come back, or a whole head.
    let mut exchange = |bytes: &[u8], expected: Option<usize>| {
        let (mut unsent, mut received, began) = (bytes, 0, Instant::now());
        loop {
            assert!(began.elapsed() < Duration::from_secs(20), "{received} bytes have come back");
            match peer.write(unsent) {
                Ok(taken) => unsent = &unsent[taken..],
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            let echo = |connections: &mut wireroom::Connections, id, event: Event<'_>| {
                if let Event::Message(message) = event {
                    let _ = connections.send(id, message).unwrap();
                }
            };
            event_loop.turn(Some(Duration::from_millis(1)), echo).unwrap();
            match peer.read(&mut inbox) {
                Ok(n) => received += n,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            match expected {
                Some(expected) if received >= expected => return,
                None if inbox[..received].ends_with(b"\r\n\r\n") => return,
                _ => {}
            }
        }
    };
    exchange(request.as_bytes(), None);
    for _ in 0..WARM_UP {
        exchange(&message, Some(LENGTH + 10));
    }
    let before = LARGE.get();
    for _ in 0..20 {
        exchange(&message, Some(LENGTH + 10));
    }
    let bytes = LARGE.get() - before;
    println!("Server, echo of 1 MiB through the loop: {bytes} bytes of new storage in 20 messages");
    // A copy of one message would be more. How the kernel cuts them is not ours, so a little may be needed.
    assert!(bytes < LENGTH, "{bytes} bytes");
}

#[cfg(feature = "deflate")]
mod compressed {
    use flate2::{Compress, Compression, FlushCompress};
    use wireroom::{
        DeflatePool, PermessageDeflate,
        handshake::{DeflateParams, Extensions},
    };

    use super::*;

    /// An echo of compressed messages, in one fragment or in five, cut by reads.
    fn assert_echo_allocates_nothing(length: usize, takeover: bool, pool: Option<&DeflatePool>) {
        for role in ROLES {
            for fragments in [1, 5] {
                let deflate = PermessageDeflate {
                    server_no_context_takeover: !takeover,
                    client_no_context_takeover: !takeover,
                    ..PermessageDeflate::default()
                };
                let config = common::config(|config| config.permessage_deflate(Some(deflate)));
                let extensions = Extensions::none().with_deflate(deflate.terms());
                let mut connection = common::connection_with(role, config, extensions, common::start());
                if let Some(pool) = pool {
                    connection.set_deflate_pool(pool);
                }
                let text = whole_text(length);
                // Begins with an empty window: the peer may do so at any time.
                let mut payload = Vec::with_capacity(2 * length + 1024);
                let mut compress = Compress::new(Compression::new(6), false);
                compress.compress_vec(&text, &mut payload, FlushCompress::Sync).unwrap();
                payload.truncate(payload.len() - 4);
                let mut bytes = Vec::new();
                let pieces: Vec<&[u8]> = payload.chunks(payload.len().div_ceil(fragments)).collect();
                for (i, piece) in pieces.iter().enumerate() {
                    let fin = if i + 1 == pieces.len() { 0x80 } else { 0x00 };
                    bytes.extend(frame(role.peer(), fin | if i == 0 { 0x41 } else { 0x00 }, piece));
                }
                let mut rx = RecvBuffer::new();
                let mut rounds = |n: usize| {
                    for _ in 0..n {
                        assert_eq!(echo(&mut connection, &mut rx, &bytes), 1);
                    }
                };
                rounds(WARM_UP);
                let warm = allocations(|| rounds(MESSAGES));
                println!(
                    "{role:?}, compressed echo of {length} bytes, {fragments} fragment(s), takeover: {takeover}, pool: {}: \
                     {warm} allocations in {MESSAGES} messages",
                    pool.is_some()
                );
                assert_eq!(warm, 0, "{role:?}, {length} bytes, {fragments} fragment(s), takeover: {takeover}");
            }
        }
    }

    #[test]
    fn a_compressed_echo_allocates_nothing_with_a_window_that_is_kept() {
        for length in [125, 1024, 64 * 1024] {
            assert_echo_allocates_nothing(length, true, None);
        }
    }

    #[test]
    fn a_compressed_echo_allocates_nothing_with_pooled_contexts() {
        let pool = DeflatePool::new();
        for length in [125, 1024, 64 * 1024] {
            assert_echo_allocates_nothing(length, false, Some(&pool));
            assert_echo_allocates_nothing(length, false, None);
        }
    }

    #[test]
    fn a_compressed_broadcast_allocates_nothing_per_member() {
        const MEMBERS: usize = 200;
        let deflate = PermessageDeflate::default();
        let config = std::sync::Arc::new(common::config(|config| config.permessage_deflate(Some(deflate))));
        for role in ROLES {
            for length in [1024, 32 * 1024] {
                let extensions = Extensions::none().with_deflate(DeflateParams::default());
                let text = String::from_utf8(whole_text(length)).unwrap();
                let mut members: Vec<_> = (0..MEMBERS)
                    .map(|_| common::connection_with(role, config.clone(), extensions, common::start()))
                    .collect();
                let broadcast = |members: &mut [Connection], message: &PreparedMessage| {
                    for member in members.iter_mut() {
                        let _ = member.send_prepared(message).unwrap();
                    }
                    for member in members.iter_mut() {
                        assert!(drain(member) < length / 2);
                    }
                };
                broadcast(&mut members, &PreparedMessage::new(&text));
                let prepared = PreparedMessage::new(&text);
                broadcast(&mut members[..1], &prepared);
                let others = allocations(|| broadcast(&mut members[1..], &prepared));
                println!(
                    "{role:?}, compressed broadcast of {length} bytes: {others} allocations for {MEMBERS} members"
                );
                assert_eq!(others, 0, "{role:?}, {length} bytes");
            }
        }
    }
}
