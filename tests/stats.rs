//! What a connection counts, and the time of a round trip: without sockets, on a virtual clock.

mod common;

use std::time::Duration;

use common::{Endpoint, ROLES, Role, config, frame};
use wireroom::{Config, ConnectionStats, Kind, SlowConsumer};

fn counting(role: Role) -> Endpoint {
    Endpoint::new(role, config(|config| config.statistics(true)))
}

fn stats(endpoint: &Endpoint) -> ConnectionStats {
    endpoint.connection.stats().unwrap()
}

fn measure(endpoint: &mut Endpoint) {
    let now = endpoint.now();
    let _ = endpoint.connection.measure_round_trip(now).unwrap();
}

#[test]
fn nothing_is_counted_and_nothing_costs_more_than_a_pointer_where_statistics_are_off() {
    let mut endpoint = Endpoint::new(Role::Server, Config::default());
    endpoint.receive_frame(0x81, b"hello");
    endpoint.poll();
    assert_eq!(endpoint.connection.stats(), None);
    // A Ping and no more: it cannot be measured.
    measure(&mut endpoint);
    assert_eq!(endpoint.flush(), [0x89, 4, 0, 0, 0, 0]);
    // The keepalive's Ping is as short as ever.
    endpoint.advance(Duration::from_secs(30));
    assert_eq!(endpoint.flush(), [0x89, 0]);
}

#[test]
fn messages_frames_and_bytes_are_counted_in_both_directions() {
    for role in ROLES {
        let mut endpoint = counting(role);
        let mask = if role == Role::Server { 4 } else { 0 };
        endpoint.receive_frame(0x81, b"whole");
        endpoint.receive_frame(0x02, b"in");
        endpoint.receive_frame(0x00, b"");
        endpoint.receive_frame(0x89, b"ping");
        endpoint.receive_frame(0x80, b"three");
        endpoint.receive_frame(0x8a, b"unasked");
        endpoint.poll();
        let seen = stats(&endpoint);
        assert_eq!((seen.messages_received, seen.frames_received), (2, 6));
        assert_eq!((seen.pings_received, seen.pongs_received, seen.pongs_sent), (1, 1, 1));
        let payloads = "whole".len() + "in".len() + "ping".len() + "three".len() + "unasked".len();
        assert_eq!(seen.bytes_received as usize, 6 * (2 + mask) + payloads);
        // Half a frame is a byte count, and no frame yet.
        let next = frame(role.peer(), 0x81, b"next");
        endpoint.receive(&next[..3]);
        endpoint.poll();
        assert_eq!((stats(&endpoint).bytes_received, stats(&endpoint).frames_received), (seen.bytes_received + 3, 6));

        let connection = &mut endpoint.connection;
        let _ = connection.send("one").unwrap();
        let _ = connection.send_bytes(Kind::Binary, vec![0; 10_000].into()).unwrap();
        let _ = connection.send_prepared(&"prepared".into()).unwrap();
        let _ = connection.ping(b"ping").unwrap();
        let _ = connection.pong(b"").unwrap();
        let mut writer = connection.writer(Kind::Text).unwrap();
        let _ = writer.write(b"a").unwrap();
        let _ = writer.write(b"b").unwrap();
        assert_eq!(stats(&endpoint).messages_sent, 3);
        let _ = endpoint.connection.writer(Kind::Text).unwrap().finish().unwrap();
        endpoint.close(1000, "");
        let waiting = endpoint.connection.buffered_amount();
        let sent = stats(&endpoint);
        // Three whole messages, three fragments, a Ping, two Pongs, a Close.
        assert_eq!((sent.messages_sent, sent.frames_sent, sent.pings_sent, sent.pongs_sent), (4, 10, 1, 2));
        assert_eq!((sent.bytes_sent, sent.send_buffer_high_water), (0, waiting));
        assert_eq!(endpoint.flush().len(), waiting);
        assert_eq!((stats(&endpoint).bytes_sent, stats(&endpoint).send_buffer_high_water), (waiting as u64, waiting));
    }
}

#[test]
fn a_text_that_is_none_is_no_message() {
    for role in ROLES {
        let mut endpoint = counting(role);
        endpoint.receive_frame(0x81, b"text");
        endpoint.receive_frame(0x81, b"\xff");
        let seen = stats(&endpoint);
        assert_eq!((seen.messages_received, seen.frames_received), (1, 1), "{role:?}: as when it comes in pieces");
    }
}

#[test]
fn in_the_streaming_mode_a_message_counts_with_its_last_part() {
    let mut endpoint = Endpoint::new(Role::Server, config(|config| config.statistics(true).streaming(true)));
    endpoint.receive_frame(0x01, b"first");
    endpoint.poll();
    assert_eq!((stats(&endpoint).messages_received, stats(&endpoint).frames_received), (0, 0));
    endpoint.receive_frame(0x80, b"last");
    endpoint.poll();
    assert_eq!((stats(&endpoint).messages_received, stats(&endpoint).frames_received), (1, 2));
}

#[test]
fn a_round_trip_is_that_of_the_last_ping_of_ours_that_was_answered() {
    for role in ROLES {
        let mut endpoint = counting(role);
        let pong = |endpoint: &mut Endpoint, payload: &[u8], after: u64| {
            endpoint.advance(Duration::from_millis(after));
            endpoint.receive_frame(0x8a, payload);
            endpoint.poll();
            stats(endpoint).round_trip
        };
        measure(&mut endpoint);
        assert_eq!(stats(&endpoint).round_trip, None);
        // One that nobody asked for, or that answers another Ping.
        assert_eq!(pong(&mut endpoint, b"", 5), None);
        assert_eq!(pong(&mut endpoint, b"\x00\x00\x00\x02", 5), None);
        assert_eq!(pong(&mut endpoint, b"\x00\x00\x00\x01", 5), Some(Duration::from_millis(15)));
        // The same again is none.
        assert_eq!(pong(&mut endpoint, b"\x00\x00\x00\x01", 5), Some(Duration::from_millis(15)));
        // Of two under way the last counts.
        measure(&mut endpoint);
        endpoint.advance(Duration::from_millis(100));
        measure(&mut endpoint);
        assert_eq!(pong(&mut endpoint, b"\x00\x00\x00\x02", 1), Some(Duration::from_millis(15)));
        assert_eq!(pong(&mut endpoint, b"\x00\x00\x00\x03", 1), Some(Duration::from_millis(2)));
        // The keepalive measures, too.
        let _ = endpoint.flush();
        endpoint.advance(Duration::from_secs(30));
        assert_eq!(pong(&mut endpoint, b"\x00\x00\x00\x04", 70), Some(Duration::from_millis(70)));
        assert_eq!(stats(&endpoint).pings_sent, 4);
        endpoint.close(1000, "");
        let now = endpoint.now();
        assert!(endpoint.connection.measure_round_trip(now).is_err());
    }
}

#[test]
fn what_was_dropped_and_what_waited_for_a_slow_peer_is_counted() {
    let limits = |config: wireroom::ConfigBuilder| {
        config.statistics(true).low_water_mark(100).high_water_mark(1_000).max_send_buffer(4_000)
    };
    for policy in [SlowConsumer::DropNewest, SlowConsumer::DropOldest] {
        let mut endpoint = Endpoint::new(Role::Server, config(|config| limits(config).slow_consumer(policy)));
        for _ in 0..20 {
            let _ = endpoint.connection.send(&[0; 500]).unwrap();
        }
        let waiting = endpoint.connection.buffered_amount();
        endpoint.poll();
        let _ = endpoint.flush();
        endpoint.poll();
        let seen = stats(&endpoint);
        assert!(seen.send_buffer_high_water >= waiting && waiting > 1_000, "{seen:?}");
        let dropped = seen.dropped_newest + seen.dropped_oldest;
        assert!(dropped > 0 && seen.messages_sent + dropped == 20, "{seen:?}");
        assert_eq!(seen.dropped_newest > 0, policy == SlowConsumer::DropNewest);
    }
}

#[test]
fn what_had_left_is_counted_after_an_abort() {
    let mut endpoint = counting(Role::Server);
    let _ = endpoint.connection.send("leaves").unwrap();
    assert_eq!(endpoint.flush().len(), 8);
    let _ = endpoint.connection.send("is lost").unwrap();
    endpoint.connection.abort();
    assert_eq!((stats(&endpoint).bytes_sent, stats(&endpoint).messages_sent), (8, 2));
}

#[cfg(feature = "deflate")]
#[test]
fn compressed_messages_count_like_others_and_bytes_as_they_are_on_the_wire() {
    use wireroom::{Compression, PermessageDeflate, PreparedMessage, handshake::DeflateParams};

    let deflate = PermessageDeflate { threshold: 0, ..PermessageDeflate::default() };
    let config = config(|config| config.statistics(true).permessage_deflate(Some(deflate)));
    let agreed = wireroom::handshake::Extensions::none().with_deflate(DeflateParams::default());
    let mut ends = ROLES.map(|role| Endpoint::with(role, config.clone(), agreed, common::start()));
    let text = "again and ".repeat(1_000);
    let [server, client] = &mut ends;
    let _ = server.connection.send(&*text).unwrap();
    let _ = server.connection.send_with(&*text, Compression::Never).unwrap();
    let _ = server.connection.send_prepared(&PreparedMessage::new(&*text)).unwrap();
    let mut writer = server.connection.writer(Kind::Text).unwrap();
    let _ = writer.write(text.as_bytes()).unwrap();
    let _ = writer.finish().unwrap();
    let wire = server.flush();
    client.receive(&wire);
    client.poll();
    let (sent, received) = (stats(server), stats(client));
    assert_eq!((sent.messages_sent, sent.frames_sent, sent.bytes_sent), (4, 5, wire.len() as u64));
    assert_eq!(
        (received.messages_received, received.frames_received, received.bytes_received),
        (4, 5, wire.len() as u64)
    );
    assert!(wire.len() < 2 * text.len());
}
