//! What a small message may become, and what memory that takes.

use flate2::{Compress, Compression, FlushCompress};
use wireroom::{Config, Connection, Event, Kind, RecvBuffer};

use crate::support::*;

const LIMIT: usize = 1 << 20;

fn limited(limit: usize, streaming: bool) -> Config {
    config(|config| config.max_message_size(limit).max_streamed_size(limit as u64).streaming(streaming))
}

/// `length` zeros, compressed.
fn zeros(length: usize) -> Vec<u8> {
    let mut compress = Compress::new_with_window_bits(Compression::new(9), false, 15);
    let mut out = Vec::with_capacity(length / 500 + 1024);
    let chunk = vec![0; 1 << 20];
    let mut left = length;
    while left > 0 {
        let n = left.min(chunk.len());
        compress.compress_vec(&chunk[..n], &mut out, FlushCompress::None).unwrap();
        left -= n;
    }
    compress.compress_vec(&[], &mut out, FlushCompress::Sync).unwrap();
    assert_eq!(compress.total_in(), length as u64);
    out.truncate(out.len() - TAIL.len());
    out
}

#[test]
fn the_limit_counts_inflated_bytes() {
    for streaming in [false, true] {
        for role in ROLES {
            for (length, passes) in [(LIMIT, true), (LIMIT + 1, false)] {
                for payload in [zeros(length), compressed(&noise(length))] {
                    let mut endpoint = endpoint(role, limited(LIMIT, streaming), takeover());
                    endpoint.receive_frame(0xc2, &payload);
                    endpoint.flush();
                    assert_eq!(!endpoint.is_closed(), passes, "{role:?}, {length} bytes, streaming: {streaming}");
                    if !passes {
                        let ending = endpoint.ending();
                        assert_eq!(ending.local_code(), Some(1009));
                        assert_eq!(ending.cause, format!("Failed(MessageTooBig {{ limit: {LIMIT} }})"));
                    }
                }
            }
        }
    }
}

#[test]
fn a_bomb_stops_while_it_is_inflated() {
    let bomb = frame(Role::Client, 0xc2, &zeros(512 << 20));
    assert!(bomb.len() < LIMIT);
    for read in [64 * 1024, usize::MAX] {
        let mut connection = connection_with(Role::Server, limited(LIMIT, false), agreed(takeover()), start());
        let mut rx = RecvBuffer::new();
        let mut received = 0;
        let mut closed = false;
        for chunk in bomb.chunks(read.min(bomb.len())) {
            rx.extend(chunk);
            received += chunk.len();
            while let Some(event) = connection.poll_event(&mut rx, start()) {
                assert!(matches!(event, Event::Open), "{event:?}");
            }
            if !connection.is_open() {
                closed = true;
                break;
            }
        }
        assert!(closed);
        assert!(rx.capacity() <= 2 * received + LIMIT + 4096, "{} bytes for {received} received", rx.capacity());
        assert!(read == usize::MAX || received == read, "failed by the first {received} bytes");
    }
}

#[test]
fn a_bomb_streams_in_constant_memory() {
    let streaming = config(|config| config.streaming(true));
    let mut connection = connection_with(Role::Server, streaming, agreed(takeover()), start());
    let bomb = frame(Role::Client, 0xc2, &zeros(64 << 20));
    let (mut rx, mut heard, mut last_seen, mut parts) = (RecvBuffer::new(), 0, false, 0);
    for chunk in bomb.chunks(4096) {
        rx.extend(chunk);
        while let Some(event) = connection.poll_event(&mut rx, start()) {
            if let Event::Part(part) = event {
                heard += part.message.as_bytes().len();
                last_seen = part.last;
                parts += 1;
            }
        }
    }
    assert_eq!((heard, last_seen), (64 << 20, true));
    assert!(rx.capacity() <= 160 * 1024, "{} bytes", rx.capacity());
    assert!(parts < 1200, "{parts} parts of 64 MiB");
}

#[test]
fn text_streams_in_constant_memory() {
    let streaming = config(|config| config.streaming(true));
    let mut connection = connection_with(Role::Server, streaming, agreed(takeover()), start());
    let text = prose(1 << 20);
    let (mut peer, mut rx, mut heard) = (Peer::new(15), RecvBuffer::new(), String::new());
    for (i, chunk) in text.as_bytes().chunks(1000).enumerate() {
        rx.extend(&frame(Role::Client, if i == 0 { 0x41 } else { 0x00 }, &peer.flush(chunk)));
        rx.extend(&frame(Role::Client, 0x89, b"between"));
        while let Some(event) = connection.poll_event(&mut rx, start()) {
            if let Event::Part(part) = event {
                heard.push_str(part.message.as_text().unwrap());
            }
        }
        bytes::Buf::advance(connection.transmit(), usize::MAX);
    }
    assert!(heard == text);
    assert!(rx.capacity() <= 16 * 1024, "{} bytes", rx.capacity());
}

/// The room for inflated bytes is used up at every point of a message, its last byte included.
#[test]
fn the_room_may_end_anywhere() {
    for streaming in [false, true] {
        let mut endpoint = endpoint(Role::Server, limited(LIMIT, streaming), no_takeover());
        for length in (4070..4370).chain(8170..8470) {
            for level in [1, 6, 9] {
                for byte in [b'x', 0] {
                    let mut payload = Vec::with_capacity(1024);
                    let mut compress = Compress::new_with_window_bits(Compression::new(level), false, 15);
                    compress.compress_vec(&vec![byte; length], &mut payload, FlushCompress::Sync).unwrap();
                    payload.truncate(payload.len() - TAIL.len());
                    endpoint.receive_frame(0xc2, &payload);
                    let heard: usize = endpoint
                        .take_seen()
                        .into_iter()
                        .map(|seen| match seen {
                            Seen::Binary(bytes) | Seen::Part { bytes, .. } => bytes.len(),
                            other => panic!("{other:?} for {length} bytes"),
                        })
                        .sum();
                    assert_eq!(heard, length);
                }
            }
        }
    }
}

#[test]
fn what_cannot_be_compressed_may_take_more_than_the_limit() {
    let message = noise(LIMIT);
    let mut stored = Compress::new_with_window_bits(Compression::new(0), false, 9);
    let mut payload = Vec::with_capacity(2 * LIMIT);
    stored.compress_vec(&message, &mut payload, FlushCompress::Sync).unwrap();
    payload.truncate(payload.len() - TAIL.len());
    assert!(payload.len() > LIMIT);
    let mut endpoint = endpoint(Role::Server, limited(LIMIT, false), takeover());
    endpoint.receive_frame(0xc2, &payload);
    assert!(endpoint.take_seen() == [Seen::Binary(message)]);
}

#[test]
fn a_declared_length_beyond_the_allowance_fails_at_once() {
    let most = 2 * LIMIT as u64 + 1024;
    for role in ROLES {
        for (length, passes) in [(most, true), (most + 1, false)] {
            let mut endpoint = endpoint(role, limited(LIMIT, false), takeover());
            endpoint.receive(&header(role.peer(), 0xc2, length));
            endpoint.flush();
            assert_eq!(!endpoint.is_closed(), passes, "{length}");
            assert!(passes || endpoint.ending().local_code() == Some(1009));
        }
    }
}

#[test]
fn empty_blocks_without_end_come_to_an_end() {
    let blocks = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(200);
    for streaming in [false, true] {
        let mut connection = connection_with(Role::Server, limited(LIMIT, streaming), agreed(takeover()), start());
        let mut rx = RecvBuffer::new();
        let mut frames = 0;
        while connection.is_open() {
            assert!(frames < 3000, "a flood of nothing is not stopped");
            rx.extend(&frame(Role::Client, if frames == 0 { 0x42 } else { 0x00 }, &blocks));
            while connection.poll_event(&mut rx, start()).is_some() {}
            frames += 1;
        }
        assert!(frames > 2 * LIMIT / blocks.len());
        assert!(rx.capacity() < 64 * 1024);
    }
}

#[test]
fn fragments_of_a_compressed_message_are_counted() {
    let few = config(|config| config.max_fragments(3));
    let payload = compressed(b"in four");
    let mut endpoint = endpoint(Role::Server, few, takeover());
    for (i, chunk) in payload.chunks(2).take(4).enumerate() {
        assert!(!endpoint.is_closed());
        endpoint.receive_frame(if i == 0 { 0x42 } else { 0x00 }, chunk);
    }
    endpoint.flush();
    assert_eq!(endpoint.ending().local_code(), Some(1008));
}

#[test]
fn a_message_taken_in_small_reads_needs_its_size_and_little_more() {
    let text = prose(300_000);
    let bytes = frame(Role::Client, 0xc1, &compressed(text.as_bytes()));
    let mut connection: Connection = connection_with(Role::Server, Config::default(), agreed(takeover()), start());
    let mut rx = RecvBuffer::new();
    let mut heard = None;
    for chunk in bytes.chunks(1000) {
        rx.extend(chunk);
        while let Some(event) = connection.poll_event(&mut rx, start()) {
            if let Event::Message(message) = event {
                heard = message.as_text().map(str::to_owned);
            }
        }
    }
    assert!(heard.as_deref() == Some(text.as_str()));
    assert!(rx.capacity() <= 2 * text.len() + 8192, "{} bytes", rx.capacity());
}

#[test]
fn a_message_in_many_small_fragments_may_be_as_long_as_another() {
    let mut writer = endpoint(Role::Client, compressing(6), takeover());
    for _ in 0..1000 {
        let _ = writer.connection.writer(Kind::Binary).unwrap().write(b"x").unwrap();
    }
    let _ = writer.connection.writer(Kind::Binary).unwrap().finish().unwrap();
    let bytes = writer.flush();
    let mut end = endpoint(Role::Server, limited(1000, false), takeover());
    end.receive(&bytes);
    assert_eq!(end.take_seen(), [Seen::Binary(vec![b'x'; 1000])], "{} bytes", bytes.len());
}
