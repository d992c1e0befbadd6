//! Who holds a context, and for how long.

use std::{sync::Arc, time::Duration};

use wireroom::{Config, DeflatePool, Kind, PermessageDeflate, PreparedMessage};

use crate::support::*;

/// "compressors: 1, decompressors: 0", as the pool tells of itself.
fn spare(pool: &DeflatePool) -> (usize, usize) {
    let told = format!("{pool:?}");
    let numbers: Vec<usize> = told.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
    (numbers[0], numbers[1])
}

fn pooled(config: impl Into<Arc<Config>>, params: wireroom::handshake::DeflateParams, pool: &DeflatePool) -> Endpoint {
    let mut endpoint = Endpoint::with(Role::Server, config, agreed(params), start());
    endpoint.connection.set_deflate_pool(pool);
    endpoint
}

#[test]
fn without_takeover_many_connections_share_one_context() {
    let pool = DeflatePool::new();
    let config = Arc::new(compressing(1));
    let mut endpoints: Vec<_> = (0..100).map(|_| pooled(config.clone(), no_takeover(), &pool)).collect();
    let text = prose(1000);
    let payload = compressed(text.as_bytes());
    assert_eq!(spare(&pool), (0, 0));
    for _ in 0..2 {
        for endpoint in &mut endpoints {
            endpoint.receive_frame(0xc1, &payload);
            assert_eq!(endpoint.take_seen(), [Seen::Text(text.clone())]);
            let _ = endpoint.send(&text).unwrap();
            let (_, payload) = endpoint.flush_frames().remove(0);
            assert_eq!(Reader::new(15).read(&payload).unwrap(), text.as_bytes());
        }
        assert_eq!(spare(&pool), (1, 1));
    }
}

/// A context that went from one connection to another must not show what the first one heard.
#[test]
fn no_window_is_seen_by_the_next_connection() {
    for params in [takeover(), no_takeover()] {
        let pool = DeflatePool::new();
        let mut first = pooled(compressing(1), params, &pool);
        first.receive_frame(0xc1, &compressed(b"Hello, secret"));
        first.receive_frame(0x41, &compressed(b"another")[..4]);
        drop(first);
        assert_eq!(spare(&pool).1, 1);
        let mut second = pooled(compressing(1), params, &pool);
        // 7.2.3.2: five bytes that refer to a message before
        second.receive_frame(0xc1, &[0xf2, 0x00, 0x11, 0x00, 0x00]);
        second.flush();
        assert_eq!(second.ending().cause, "Failed(InvalidDeflate)");
    }
}

/// What was agreed on for the server is the server's, and what for the client is the client's.
#[test]
fn each_role_takes_its_own_parameters() {
    let params = wireroom::handshake::DeflateParams {
        server_no_context_takeover: true,
        client_no_context_takeover: false,
        server_max_window_bits: 9,
        client_max_window_bits: 15,
    };
    for role in ROLES {
        let mut endpoint = endpoint(role, compressing(6), params);
        // A text that repeats itself from 2,000 bytes back.
        let text = [&noise(2000)[..], &noise(2000)].concat();
        let lengths: Vec<usize> = (0..2)
            .map(|_| {
                let _ = endpoint.connection.send_with(&text, wireroom::Compression::Always).unwrap();
                endpoint.flush_frames()[0].1.len()
            })
            .collect();
        match role {
            Role::Server => assert_eq!(lengths, [4000, 4000], "too far back for 512 bytes: as it is"),
            Role::Client => assert!(lengths[0] < 2200 && lengths[1] < 200, "{lengths:?}"),
        }
        let mut peer = Peer::new(15);
        let messages = [peer.compress(b"Hello, wire"), peer.compress(b"Hello, wire")];
        for payload in &messages {
            endpoint.receive_frame(0xc1, payload);
        }
        endpoint.flush();
        // The client's window is kept, the server's is not.
        assert_eq!(endpoint.is_closed(), role == Role::Client, "{role:?}");
    }
}

#[test]
fn a_message_under_way_keeps_its_context() {
    let pool = DeflatePool::new();
    let config = Arc::new(compressing(1));
    let mut endpoints: Vec<_> = (0..3).map(|_| pooled(config.clone(), no_takeover(), &pool)).collect();
    let payload = compressed(b"in two frames, in two frames");
    for endpoint in &mut endpoints {
        endpoint.receive_frame(0x41, &payload[..5]);
    }
    assert_eq!(spare(&pool), (0, 0));
    for endpoint in &mut endpoints {
        endpoint.receive_frame(0x80, &payload[5..]);
        assert_eq!(endpoint.take_seen(), [Seen::Text("in two frames, in two frames".into())]);
    }
    assert_eq!(spare(&pool), (0, 3));
}

#[test]
fn a_pool_is_bounded_and_gets_the_contexts_of_those_who_leave() {
    let pool = DeflatePool::new();
    let config = Arc::new(compressing(1));
    let mut endpoints: Vec<_> = (0..30).map(|_| pooled(config.clone(), takeover(), &pool)).collect();
    for endpoint in &mut endpoints {
        endpoint.receive_frame(0xc1, &compressed(b"Hello"));
        let _ = endpoint.send("Hello, Hello, Hello").unwrap();
    }
    assert_eq!(spare(&pool), (0, 0), "each needs its own");
    drop(endpoints);
    assert_eq!(spare(&pool), (4, 16));
    // What those left behind is not what the next one begins with.
    let mut endpoint = pooled(config, takeover(), &pool);
    let _ = endpoint.send("Hello, Hello, Hello").unwrap();
    let (_, payload) = endpoint.flush_frames().remove(0);
    assert_eq!(Reader::new(15).read(&payload).unwrap(), b"Hello, Hello, Hello");
    endpoint.receive_frame(0xc1, &compressed(b"Hello"));
    assert_eq!(endpoint.take_seen(), [Seen::Text("Hello".into())]);
    assert_eq!(spare(&pool), (3, 15));
}

/// Nothing is compressed behind our Close, and the peer may take its time to answer.
#[test]
fn the_compressor_is_given_up_with_the_close() {
    let pool = DeflatePool::new();
    let mut endpoint = pooled(compressing(1), takeover(), &pool);
    let _ = endpoint.send("Hello, Hello, Hello").unwrap();
    endpoint.receive_frame(0xc1, &compressed(b"Hello"));
    assert_eq!(spare(&pool), (0, 0));
    endpoint.connection.close(wireroom::CloseCode::GOING_AWAY, "", endpoint.now());
    assert_eq!(spare(&pool), (1, 0), "what the peer still says has to be read");
    endpoint.receive_frame(0xc1, &compressed(b"Hello"));
    assert_eq!(endpoint.take_seen(), [Seen::Text("Hello".into()), Seen::Text("Hello".into())]);
}

#[test]
fn an_idle_compressor_is_given_up_and_the_next_message_is_read_all_the_same() {
    let deflate = PermessageDeflate {
        level: 6,
        threshold: 0,
        release_after: Some(Duration::from_secs(10)),
        ..PermessageDeflate::default()
    };
    let config = Arc::new(config(|config| config.permessage_deflate(Some(deflate)).keepalive_interval(None)));
    let pool = DeflatePool::new();
    let mut endpoint = pooled(config, takeover(), &pool);
    assert_eq!(endpoint.connection.poll_timeout(), None, "nothing to give up");
    let mut reader = Reader::new(15);
    let mut say = |endpoint: &mut Endpoint| {
        let _ = endpoint.send(&prose(300)).unwrap();
        let (_, payload) = endpoint.flush_frames().remove(0);
        assert_eq!(reader.read(&payload).unwrap(), prose(300).as_bytes());
        payload.len()
    };
    let first = say(&mut endpoint);
    for _ in 0..10 {
        endpoint.advance(Duration::from_secs(8));
        assert!(say(&mut endpoint) < first / 4, "in use, it is kept");
        assert_eq!(spare(&pool).0, 0);
    }
    endpoint.advance(Duration::from_secs(20));
    assert_eq!(spare(&pool).0, 1, "at most twice the time");
    assert_eq!(endpoint.connection.poll_timeout(), None);
    assert_eq!(say(&mut endpoint), first, "a fresh window");
    assert!(say(&mut endpoint) < first / 4);
    endpoint.advance(Duration::from_secs(5));
    assert_eq!(spare(&pool).0, 0);
}

#[test]
fn a_compressor_can_be_kept_for_ever() {
    let deflate = PermessageDeflate { threshold: 0, release_after: None, ..PermessageDeflate::default() };
    let config = config(|config| config.permessage_deflate(Some(deflate)).keepalive_interval(None));
    let pool = DeflatePool::new();
    let mut endpoint = pooled(config, takeover(), &pool);
    let _ = endpoint.send(&prose(300)).unwrap();
    assert_eq!(endpoint.connection.poll_timeout(), None);
    endpoint.advance(Duration::from_secs(24 * 3600));
    assert_eq!(spare(&pool).0, 0);
}

#[test]
fn where_a_message_takes_the_compressor_along_there_is_nothing_to_look_at() {
    let deflate = PermessageDeflate { threshold: 0, ..PermessageDeflate::default() };
    let config = Arc::new(config(|config| config.permessage_deflate(Some(deflate)).keepalive_interval(None)));
    let pool = DeflatePool::new();
    // A message in fragments that has ended; prepared ones, compressed and not.
    let mut ended = pooled(config.clone(), no_takeover(), &pool);
    let mut writer = ended.connection.writer(Kind::Text).unwrap();
    let _ = writer.write(prose(1000).as_bytes()).unwrap();
    let _ = writer.finish().unwrap();
    let mut prepared = pooled(config.clone(), takeover(), &pool);
    let _ = prepared.send(&prose(300)).unwrap();
    let _ = prepared.connection.send_prepared(&PreparedMessage::new(&*prose(300))).unwrap();
    let mut noisy = pooled(config, takeover(), &pool);
    let _ = noisy.send(&prose(300)).unwrap();
    let _ = noisy.connection.send_prepared(&PreparedMessage::new(&*noise(300))).unwrap();
    let looks = [ended, prepared, noisy].map(|endpoint| endpoint.connection.poll_timeout());
    assert_eq!((spare(&pool).0, looks), (1, [None; 3]));
}

#[test]
fn giving_up_does_not_disturb_keepalive() {
    let deflate = PermessageDeflate { threshold: 0, ..PermessageDeflate::default() };
    let config = config(|config| config.permessage_deflate(Some(deflate)));
    let pool = DeflatePool::new();
    let mut endpoint = pooled(config, takeover(), &pool);
    let _ = endpoint.send(&prose(300)).unwrap();
    endpoint.flush();
    endpoint.advance(Duration::from_secs(29));
    assert_eq!(spare(&pool).0, 1);
    assert!(endpoint.flush().is_empty());
    endpoint.advance(Duration::from_secs(1));
    assert_eq!(endpoint.flush_frames(), [(0x89, Vec::new())], "the Ping, in its time");
}

#[test]
fn impossible_settings_are_refused_by_name() {
    let bad = |deflate| Config::builder().permessage_deflate(Some(deflate)).build().unwrap_err().field;
    let good = PermessageDeflate::default();
    for deflate in [
        PermessageDeflate { server_max_window_bits: 8, ..good },
        PermessageDeflate { client_max_window_bits: 16, ..good },
        PermessageDeflate { level: 10, ..good },
        PermessageDeflate { release_after: Some(Duration::ZERO), ..good },
    ] {
        assert_eq!(bad(deflate), "permessage_deflate", "{deflate:?}");
    }
    assert!(Config::builder().permessage_deflate(Some(good)).build().is_ok());
    assert_eq!(Config::default().permessage_deflate(), None, "off by default");
}
