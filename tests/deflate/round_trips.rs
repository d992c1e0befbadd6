//! Whatever is sent arrives: random messages, sent in every way, with any parameters, cut anywhere.

use proptest::{collection::vec, prelude::*, sample::select};
use wireroom::{
    Compression, Config, ConfigBuilder, Kind, Message, PermessageDeflate, PreparedMessage, handshake::DeflateParams,
};

use crate::support::*;

/// How a message is sent.
#[derive(Clone, Copy, Debug)]
enum Way {
    Send(Compression),
    Bytes,
    Prepared,
    Written(usize),
}

#[derive(Clone, Debug)]
struct Sent {
    kind: Kind,
    payload: Vec<u8>,
    way: Way,
    by_server: bool,
}

fn params() -> impl Strategy<Value = DeflateParams> {
    (any::<bool>(), any::<bool>(), 9..=15_u8, 9..=15_u8).prop_map(|(server, client, server_bits, client_bits)| {
        DeflateParams {
            server_no_context_takeover: server,
            client_no_context_takeover: client,
            server_max_window_bits: server_bits,
            client_max_window_bits: client_bits,
        }
    })
}

/// Text of a few words, which compresses, up to some windows long.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let words = vec(select(&["wire", "room", "κόσμε", "😀", "{\"id\":", "\"},", "a", " "][..]), 0..200);
    let repeated = prop_oneof![8 => 1..3_usize, 1 => 20..60_usize];
    (words, repeated).prop_map(|(words, times)| words.concat().repeat(times).into_bytes())
}

fn sent() -> impl Strategy<Value = Sent> {
    let binary = prop_oneof![3 => vec(any::<u8>(), 0..300), 1 => (1..60_000_usize).prop_map(noise)];
    let message = prop_oneof![
        3 => text().prop_map(|text| (Kind::Text, text)),
        2 => binary.prop_map(|bytes| (Kind::Binary, bytes)),
    ];
    let way = prop_oneof![
        3 => select(&[Compression::Auto, Compression::Always, Compression::Never][..]).prop_map(Way::Send),
        1 => Just(Way::Bytes),
        2 => Just(Way::Prepared),
        2 => (1..400_usize).prop_map(Way::Written),
    ];
    (message, way, any::<bool>()).prop_map(|((kind, payload), way, by_server)| Sent { kind, payload, way, by_server })
}

fn message(kind: Kind, payload: &[u8]) -> Message<'_> {
    match kind {
        Kind::Text => Message::from(std::str::from_utf8(payload).expect("text")),
        Kind::Binary => Message::from(payload),
    }
}

fn send(endpoint: &mut Endpoint, sent: &Sent) {
    let connection = &mut endpoint.connection;
    let whole = message(sent.kind, &sent.payload);
    let _ = match sent.way {
        Way::Send(compression) => connection.send_with(whole, compression).unwrap(),
        Way::Bytes => connection.send_bytes(sent.kind, sent.payload.clone().into()).unwrap(),
        Way::Prepared => connection.send_prepared(&PreparedMessage::new(whole)).unwrap(),
        Way::Written(step) => {
            let mut writer = connection.writer(sent.kind).unwrap();
            let mut rest = &sent.payload[..];
            while !rest.is_empty() {
                let mut n = step.max(sent.payload.len() / 300).min(rest.len());
                while sent.kind == Kind::Text && std::str::from_utf8(&rest[..n]).is_err() {
                    n += 1;
                }
                let _ = writer.write(&rest[..n]).unwrap();
                rest = &rest[n..];
            }
            writer.finish().unwrap()
        }
    };
}

fn settings(level: u8, threshold: usize, streaming: bool) -> impl Fn(ConfigBuilder) -> ConfigBuilder {
    let deflate = PermessageDeflate { level, threshold, ..PermessageDeflate::default() };
    move |config| config.permessage_deflate(Some(deflate)).streaming(streaming)
}

/// Messages again, of parts; that much was sent does not count here.
fn joined(seen: Vec<Seen>) -> Vec<Seen> {
    let mut messages: Vec<Seen> = Vec::new();
    let mut open = false;
    for seen in seen.into_iter().filter(|seen| *seen != Seen::Drain) {
        let Seen::Part { kind, bytes, first, last } = seen else {
            messages.push(seen);
            continue;
        };
        assert_eq!(first, !open);
        if first {
            messages.push(Seen::Binary(Vec::new()));
        }
        let Some(Seen::Binary(so_far)) = messages.last_mut() else { panic!("a part of nothing") };
        so_far.extend(bytes);
        if last && kind == Kind::Text {
            let text = String::from_utf8(std::mem::take(so_far)).expect("text");
            *messages.last_mut().expect("one") = Seen::Text(text);
        }
        open = !last;
    }
    messages
}

#[test]
fn what_is_sent_arrives_whatever_was_agreed_on() {
    let mut runner = proptest::test_runner::TestRunner::new(proptest::test_runner::Config {
        cases: 400,
        failure_persistence: None,
        ..Default::default()
    });
    let reads = prop_oneof![2 => Just(vec![]), 2 => vec(1..5000_usize, 1..10), 1 => vec(1..40_usize, 1..10)];
    let input = (params(), vec(sent(), 1..8), reads, 0..=9_u8, select(&[0, 128_usize][..]), any::<bool>());
    runner
        .run(&input, |(params, messages, reads, level, threshold, streaming)| {
            let config = || -> Config { config(settings(level, threshold, streaming)) };
            let mut pair = Pair::agreed(config(), config(), agreed(params)).cut(Cuts::sizes(reads));
            let mut expected = [Vec::new(), Vec::new()];
            for sent in &messages {
                send(if sent.by_server { &mut pair.server } else { &mut pair.client }, sent);
                expected[usize::from(sent.by_server)].push(match sent.kind {
                    Kind::Text => Seen::Text(String::from_utf8(sent.payload.clone()).expect("text")),
                    Kind::Binary => Seen::Binary(sent.payload.clone()),
                });
            }
            pair.run();
            let [to_server, to_client] = expected;
            prop_assert!(joined(pair.server.take_seen()) == to_server);
            prop_assert!(joined(pair.client.take_seen()) == to_client);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
