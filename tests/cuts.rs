//! Any cut, same events: however the bytes of a conversation were cut on their way, the user sees the same, the peer
//! is sent the same, and the end has the same cause.
//!
//! The conversations are random: fragmented text with characters cut anywhere, control frames between, Close frames,
//! and everything that RFC 6455 forbids. With the feature `deflate` they are held compressed, too: whole, cut off, and with
//! bits turned over.

mod common;

use std::sync::Arc;

use common::{KEY, ROLES, Role, Seen, any_cut::Reader, close_payload, config, frame, header, masked};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    test_runner::TestCaseError,
};
use wireroom::{Config, Kind};

/// Conversations per role and mode.
const CONVERSATIONS: u32 = 10_000;

/// One thing that a peer puts on the wire.
#[derive(Clone, Debug)]
enum Piece {
    /// A message, cut into fragments anywhere, with a control frame behind the first one. `compressed`: its payload is.
    Message {
        compressed: bool,
        kind: Kind,
        payload: Vec<u8>,
        cuts: Vec<Index>,
        between: Option<(u8, Vec<u8>)>,
    },
    Control {
        first: u8,
        payload: Vec<u8>,
    },
    Close {
        code: u16,
        reason: String,
    },
    /// A Close with any payload.
    CloseBytes(Vec<u8>),
    /// A frame with any first byte: reserved bits and opcodes, stray continuations, open ends.
    AnyFrame {
        first: u8,
        payload: Vec<u8>,
    },
    /// The MASK bit is wrong.
    WrongMask {
        first: u8,
        payload: Vec<u8>,
    },
    /// Two or eight length bytes where fewer would do, a top bit, a length above the limit.
    Length {
        first: u8,
        wide: bool,
        length: u64,
        payload: Vec<u8>,
    },
    /// More comes than was announced, or less: whatever follows is read as something else.
    Raw(Vec<u8>),
}

impl Piece {
    fn encode(&self, sender: Role, out: &mut Vec<u8>) {
        match self {
            Piece::Message { compressed, kind, payload, cuts, between } => {
                let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
                cuts.sort_unstable();
                let mut start = 0;
                let mut opcode = if *kind == Kind::Text { 0x1 } else { 0x2 };
                if *compressed {
                    opcode |= 0x40;
                }
                for cut in cuts {
                    out.extend(frame(sender, opcode, &payload[start..cut]));
                    start = cut;
                    opcode = 0x0;
                    if let Some((first, payload)) = between {
                        out.extend(frame(sender, *first, payload));
                    }
                }
                out.extend(frame(sender, 0x80 | opcode, &payload[start..]));
            }
            Piece::Control { first, payload } | Piece::AnyFrame { first, payload } => {
                out.extend(frame(sender, *first, payload));
            }
            Piece::Close { code, reason } => out.extend(frame(sender, 0x88, &close_payload(*code, reason))),
            Piece::CloseBytes(payload) => out.extend(frame(sender, 0x88, payload)),
            Piece::WrongMask { first, payload } => out.extend(frame(sender.peer(), *first, payload)),
            Piece::Length { first, wide, length, payload } => {
                let mask_bit = if sender == Role::Client { 0x80 } else { 0x00 };
                out.push(*first);
                if *wide {
                    out.push(mask_bit | 127);
                    out.extend(length.to_be_bytes());
                } else {
                    out.push(mask_bit | 126);
                    out.extend((*length as u16).to_be_bytes());
                }
                if sender == Role::Client {
                    out.extend(KEY);
                }
                out.extend(masked(sender, payload));
            }
            Piece::Raw(bytes) => out.extend(bytes),
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&['a', 'z', ' ', '\0', 'é', 'κ', '€', '\u{ffff}', '😀', '\u{10ffff}'][..]), 0..16)
        .prop_map(|chars| String::from_iter(chars).into_bytes())
}

/// Bytes that are almost, or not at all, UTF-8.
fn nearly_text() -> impl Strategy<Value = Vec<u8>> {
    let bad: &[&[u8]] = &[
        b"\xff",
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xf0\x9f\x98",
        b"\xe2\x82",
        b"\x80",
        b"\xc3",
        b"\xf8\x88",
    ];
    (text(), select(bad), text()).prop_map(|(before, bad, after)| [&before, bad, &after].concat())
}

fn control() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let payload = prop_oneof![5 => vec(any::<u8>(), 0..8), 1 => vec(any::<u8>(), 120..=125)];
    (select(&[0x89_u8, 0x8a][..]), payload)
}

fn message(payload: impl Strategy<Value = (Kind, Vec<u8>)>) -> impl Strategy<Value = Piece> {
    let cuts =
        prop_oneof![3 => vec(any::<Index>(), 0..1), 4 => vec(any::<Index>(), 1..5), 1 => vec(any::<Index>(), 5..9)];
    (payload, cuts, proptest::option::of(control())).prop_map(|((kind, payload), cuts, between)| Piece::Message {
        compressed: false,
        kind,
        payload,
        cuts,
        between,
    })
}

/// Pieces that a correct peer sends.
fn good_piece() -> impl Strategy<Value = Piece> {
    let binary = prop_oneof![6 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 120..135)];
    prop_oneof![
        3 => message(text().prop_map(|text| (Kind::Text, text))),
        2 => message(binary.prop_map(|bytes| (Kind::Binary, bytes))),
        2 => control().prop_map(|(first, payload)| Piece::Control { first, payload }),
    ]
}

fn close_piece() -> impl Strategy<Value = Piece> {
    let code = prop_oneof![4 => 1000..1016_u16, 1 => 2990..3010_u16, 1 => 4990..5010_u16, 1 => any::<u16>()];
    let reason = text().prop_map(|text| String::from_utf8(text).expect("text"));
    prop_oneof![
        4 => (code, reason).prop_map(|(code, reason)| Piece::Close { code, reason }),
        1 => Just(Piece::CloseBytes(Vec::new())),
        1 => any::<u8>().prop_map(|byte| Piece::CloseBytes(vec![byte])),
        1 => nearly_text().prop_map(|reason| Piece::CloseBytes([&[0x03, 0xe8], &reason[..]].concat())),
    ]
}

fn bad_piece() -> impl Strategy<Value = Piece> {
    let payload = || vec(any::<u8>(), 0..12);
    let lengths =
        prop_oneof![0..126_u64, 126..300_u64, 395..405_u64, Just(0xffff), Just(0x1_0000), Just(1 << 63), any::<u64>()];
    prop_oneof![
        4 => message(nearly_text().prop_map(|bytes| (Kind::Text, bytes))),
        3 => (prop_oneof![any::<u8>(), select(&[0x00_u8, 0x01, 0x02, 0x80, 0x81, 0x82][..])], payload())
            .prop_map(|(first, payload)| Piece::AnyFrame { first, payload }),
        1 => (select(&[0x81_u8, 0x82, 0x89, 0x88, 0xc1, 0x83][..]), payload())
            .prop_map(|(first, payload)| Piece::WrongMask { first, payload }),
        3 => (select(&[0x81_u8, 0x82, 0x01, 0x00, 0x89, 0x88][..]), any::<bool>(), lengths, payload())
            .prop_map(|(first, wide, length, payload)| Piece::Length { first, wide, length, payload }),
        1 => payload().prop_map(Piece::Raw),
        // a message above the limit of this test, in one frame or in two
        1 => vec(any::<u8>(), 390..410).prop_map(|payload| {
            Piece::Message { compressed: false, kind: Kind::Binary, payload, cuts: Vec::new(), between: None }
        }),
    ]
}

fn conversation() -> impl Strategy<Value = Vec<Piece>> {
    vec(prop_oneof![12 => good_piece(), 3 => bad_piece(), 1 => close_piece()], 0..7)
}

fn limits(streaming: bool) -> Arc<Config> {
    Arc::new(config(|config| config.max_message_size(400).max_streamed_size(400).max_fragments(7).streaming(streaming)))
}

fn same_for_any_cut(
    pieces: &[Piece],
    cuts: &[Index],
    role: Role,
    config: &Arc<Config>,
    closing: bool,
) -> Result<(), TestCaseError> {
    let mut bytes = Vec::new();
    for piece in pieces {
        piece.encode(role.peer(), &mut bytes);
    }
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    Reader { role, config: config.clone(), closing, watched: 64 }.same_for_any_cut(&bytes, &cuts);
    Ok(())
}

fn any_cut_same_events(role: Role, streaming: bool) {
    let config = limits(streaming);
    let mut runner = proptest::test_runner::TestRunner::new(proptest::test_runner::Config {
        cases: CONVERSATIONS,
        failure_persistence: None,
        ..Default::default()
    });
    let input = (conversation(), vec(any::<Index>(), 0..12), proptest::bool::weighted(0.2));
    runner
        .run(&input, |(pieces, cuts, closing)| same_for_any_cut(&pieces, &cuts, role, &config, closing))
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_server_sees_the_same_messages_for_any_cut() {
    any_cut_same_events(Role::Server, false);
}

#[test]
fn a_client_sees_the_same_messages_for_any_cut() {
    any_cut_same_events(Role::Client, false);
}

#[test]
fn a_streaming_server_sees_the_same_bytes_for_any_cut() {
    any_cut_same_events(Role::Server, true);
}

#[test]
fn a_streaming_client_sees_the_same_bytes_for_any_cut() {
    any_cut_same_events(Role::Client, true);
}

#[cfg(feature = "deflate")]
mod compressed {
    use flate2::{Compress, Compression, FlushCompress};
    use wireroom::PermessageDeflate;

    use super::*;

    /// What becomes of a compressed payload on its way here.
    #[derive(Clone, Debug)]
    enum Fate {
        Whole,
        CutOff(Index),
        Turned(Index, u8),
        Followed(Vec<u8>),
    }

    /// Flushed here and there, at any level; some with a final block.
    fn compress(message: &[u8], level: u32, flushes: &[Index], ends: bool) -> Vec<u8> {
        let mut compress = Compress::new_with_window_bits(Compression::new(level), false, 9);
        let mut out = Vec::with_capacity(2 * message.len() + 1024);
        let mut flushes: Vec<usize> = flushes.iter().map(|flush| flush.index(message.len() + 1)).collect();
        flushes.sort_unstable();
        let mut start = 0;
        for flush in flushes {
            compress.compress_vec(&message[start..flush], &mut out, FlushCompress::Sync).unwrap();
            start = flush;
        }
        let end = if ends { FlushCompress::Finish } else { FlushCompress::Sync };
        compress.compress_vec(&message[start..], &mut out, end).unwrap();
        match ends {
            true => out.push(0),
            false => out.truncate(out.len().saturating_sub(4)),
        }
        out
    }

    fn piece() -> impl Strategy<Value = Piece> {
        let payload = prop_oneof![
            4 => text().prop_map(|text| (Kind::Text, text)),
            1 => (text(), 1..12_usize).prop_map(|(text, times)| (Kind::Text, text.repeat(times))),
            2 => nearly_text().prop_map(|bytes| (Kind::Text, bytes)),
            2 => vec(any::<u8>(), 0..40).prop_map(|bytes| (Kind::Binary, bytes)),
            // around the limit of this test
            1 => (390..410_usize, any::<u8>()).prop_map(|(length, byte)| (Kind::Binary, vec![byte; length])),
            1 => (0..100_000_usize).prop_map(|length| (Kind::Text, vec![b'b'; length])),
        ];
        let fate = prop_oneof![
            6 => Just(Fate::Whole),
            1 => any::<Index>().prop_map(Fate::CutOff),
            2 => (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Fate::Turned(at, bit)),
            1 => vec(any::<u8>(), 1..10).prop_map(Fate::Followed),
        ];
        let way = (0..=9_u32, vec(any::<Index>(), 0..4), proptest::bool::weighted(0.2));
        let payload = (payload, way, fate).prop_map(|((kind, message), (level, flushes, ends), fate)| {
            let mut payload = compress(&message, level, &flushes, ends);
            match fate {
                Fate::Whole => {}
                Fate::CutOff(at) => payload.truncate(at.index(payload.len() + 1)),
                Fate::Turned(at, bit) => {
                    let at = at.index(payload.len());
                    payload[at] ^= 1 << bit;
                }
                Fate::Followed(bytes) => payload.extend(bytes),
            }
            (kind, payload)
        });
        message(payload).prop_map(|piece| match piece {
            Piece::Message { kind, payload, cuts, between, .. } => {
                Piece::Message { compressed: true, kind, payload, cuts, between }
            }
            other => other,
        })
    }

    fn any_cut_same_events(role: Role, streaming: bool) {
        let mut runner = proptest::test_runner::TestRunner::new(proptest::test_runner::Config {
            cases: CONVERSATIONS,
            failure_persistence: None,
            ..Default::default()
        });
        let conversation =
            vec(prop_oneof![6 => piece(), 5 => good_piece(), 1 => bad_piece(), 1 => close_piece()], 0..7);
        let input = (conversation, vec(any::<Index>(), 0..12), proptest::bool::weighted(0.2), any::<bool>());
        runner
            .run(&input, |(pieces, cuts, closing, no_takeover)| {
                let deflate = PermessageDeflate {
                    server_no_context_takeover: no_takeover,
                    client_no_context_takeover: no_takeover,
                    ..PermessageDeflate::default()
                };
                let config = config(|config| {
                    let config = config.max_message_size(400).max_streamed_size(400).max_fragments(7);
                    config.streaming(streaming).permessage_deflate(Some(deflate))
                });
                same_for_any_cut(&pieces, &cuts, role, &Arc::new(config), closing)
            })
            .unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn a_server_sees_the_same_messages_for_any_cut() {
        any_cut_same_events(Role::Server, false);
    }

    #[test]
    fn a_client_sees_the_same_messages_for_any_cut() {
        any_cut_same_events(Role::Client, false);
    }

    #[test]
    fn a_streaming_server_sees_the_same_bytes_for_any_cut() {
        any_cut_same_events(Role::Server, true);
    }

    #[test]
    fn a_streaming_client_sees_the_same_bytes_for_any_cut() {
        any_cut_same_events(Role::Client, true);
    }
}

/// What a correct peer said is what the user sees: the comparison above would not notice events that are the same
/// for any cut, and wrong.
fn heard(pieces: &[Piece]) -> Vec<Seen> {
    let mut seen = vec![Seen::Open];
    let control = |first: u8, payload: &Vec<u8>| match first {
        0x89 => Seen::Ping(payload.clone()),
        _ => Seen::Pong(payload.clone()),
    };
    for piece in pieces {
        match piece {
            Piece::Message { kind, payload, cuts, between, .. } => {
                for (first, payload) in cuts.iter().filter_map(|_| between.as_ref()) {
                    seen.push(control(*first, payload));
                }
                seen.push(match kind {
                    Kind::Text => Seen::Text(String::from_utf8(payload.clone()).expect("text")),
                    Kind::Binary => Seen::Binary(payload.clone()),
                });
            }
            Piece::Control { first, payload } => seen.push(control(*first, payload)),
            other => panic!("{other:?} is not what a correct peer sends"),
        }
    }
    seen
}

#[test]
fn what_a_correct_peer_says_arrives_for_any_cut() {
    let config = Arc::new(Config::default());
    let mut runner = proptest::test_runner::TestRunner::new(proptest::test_runner::Config {
        cases: 500,
        failure_persistence: None,
        ..Default::default()
    });
    let input = (vec(good_piece(), 0..7), vec(any::<Index>(), 0..12), select(&ROLES[..]));
    runner
        .run(&input, |(pieces, cuts, role)| {
            let mut bytes = Vec::new();
            for piece in &pieces {
                piece.encode(role.peer(), &mut bytes);
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let outcome = Reader { role, config: config.clone(), closing: false, watched: 0 }.read(&bytes, &cuts);
            let (closed, seen) = outcome.seen.split_last().expect("a Closed");
            prop_assert_eq!(seen, heard(&pieces));
            prop_assert!(matches!(closed, Seen::Closed(ending) if ending.cause == "Eof"), "{:?}", closed);
            // 5.5.3: each Pong is its Ping's
            let pings = seen.iter().filter_map(|seen| match seen {
                Seen::Ping(payload) => Some((0x8a, payload.clone())),
                _ => None,
            });
            prop_assert_eq!(common::frames(role, &outcome.sent), pings.collect::<Vec<_>>());
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn long_frames_arrive_for_any_cut_of_their_header() {
    for role in ROLES {
        for length in [126, 65_535, 65_536, 200_000] {
            let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let bytes = frame(role.peer(), 0x82, &payload);
            let head = header(role.peer(), 0x82, length as u64).len();
            for cut in 1..head + 6 {
                let reader = Reader { role, config: Arc::default(), closing: false, watched: 0 };
                let outcome = reader.read(&bytes, &[cut, bytes.len() - 1]);
                assert_eq!(outcome.seen[1], Seen::Binary(payload.clone()), "{role:?}, {length} bytes, cut at {cut}");
            }
        }
    }
}
