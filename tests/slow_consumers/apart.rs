//! What waits apart above the high-water mark: dropped from the front, replaced by key, and everything else in order.

use super::*;

/// The first five texts are framed: the fifth goes above the mark of 1,000 bytes. What is sent then waits apart, if one of it
/// may be dropped or replaced.
const FRAMED: usize = 5;

/// An end at which `FRAMED` texts wait to be sent: "0" to "4".
fn crowded(role: Role, set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Endpoint {
    let mut end = Endpoint::new(role, small(set));
    for n in 0..FRAMED {
        let _ = end.send(&text(&n.to_string())).unwrap();
    }
    let mark = PreparedMessage::new("mark").slow_consumer(SlowConsumer::Refuse);
    assert_eq!(end.connection.send_prepared(&mark), Ok(SendStatus::Backpressure));
    end
}

fn oldest(message: PreparedMessage) -> PreparedMessage {
    message.slow_consumer(SlowConsumer::DropOldest)
}

fn expected(names: &[&str]) -> Vec<String> {
    ["0", "1", "2", "3", "4", "mark"].iter().chain(names).map(|name| (*name).to_owned()).collect()
}

/// Frames apart that fit before the limit, each with 128 bytes.
fn room(end: &Endpoint) -> usize {
    let frame = common::header(end.role, TEXT, 200).len() + 200;
    (4_000 - end.connection.buffered_amount()).div_ceil(frame + 128)
}

#[test]
fn drop_oldest_drops_what_has_not_been_framed_until_the_new_one_fits() {
    for role in ROLES {
        let mut end = crowded(role, |config| config.slow_consumer(SlowConsumer::DropOldest));
        let room = room(&end);
        for n in 0..50 {
            let status = if n % 2 == 0 {
                end.send(&text(&format!("n{n}")))
            } else {
                end.connection.send_bytes(Kind::Text, text(&format!("n{n}")).into())
            };
            assert_eq!(status, Ok(SendStatus::Backpressure), "{role:?}, {n}");
        }
        let held = end.connection.buffered_amount() + 128 * room;
        assert!((4_000..4_000 + 400).contains(&held), "{role:?}: at the limit: {held}");
        end.poll();
        assert_eq!(dropped(&mut end), [[0, 50 - room as u64, 0]], "{role:?}: told once");
        let left: Vec<_> = (50 - room..50).map(|n| format!("n{n}")).collect();
        assert_eq!(sent(&mut end), expected(&left.iter().map(String::as_str).collect::<Vec<_>>()), "{role:?}");
        assert_eq!(end.take_seen(), [Seen::Drain]);
        assert_eq!(end.connection.buffered_amount(), 0);
    }
}

#[test]
fn drop_oldest_holds_at_the_limit_on_messages() {
    for role in ROLES {
        let policy = SlowConsumer::DropOldest;
        let mut end = Endpoint::new(role, config(|config| config.max_send_messages(8).slow_consumer(policy)));
        for n in 0..20 {
            assert!(matches!(end.send(&n.to_string()), Ok(SendStatus::Queued | SendStatus::Backpressure)), "{n}");
        }
        end.poll();
        assert_eq!(dropped(&mut end), [[0, 12, 0]], "{role:?}");
        let left: Vec<_> = (0..5).chain(17..20).map(|n| n.to_string()).collect();
        assert_eq!(sent(&mut end), left, "{role:?}: the first five were framed below the mark of four");
    }
}

#[test]
fn a_large_message_drops_as_many_as_it_needs_and_none_where_that_would_not_do() {
    for role in ROLES {
        let mut end = crowded(role, |config| config.slow_consumer(SlowConsumer::DropOldest));
        for n in 0..4 {
            let _ = end.send(&text(&n.to_string())).unwrap();
        }
        assert_eq!(
            send_as(&mut end, "safe", |safe| safe.slow_consumer(SlowConsumer::Refuse)),
            Ok(SendStatus::Backpressure)
        );
        assert_eq!(
            end.send(&vec![b'l'; 10_000]),
            Ok(SendStatus::Backpressure),
            "{role:?}: taken whole below the limit"
        );
        // Without the large one, all fits again.
        assert_eq!(end.send(&text("next")), Ok(SendStatus::Backpressure), "{role:?}");
        end.poll();
        assert_eq!(dropped(&mut end), [[0, 5, 0]], "{role:?}");
        assert_eq!(sent(&mut end), expected(&["safe", "next"]), "{role:?}: what was accepted otherwise is safe");

        let mut end = crowded(role, |config| config.slow_consumer(SlowConsumer::DropOldest));
        let _ = end.send(&text("kept")).unwrap();
        let large = PreparedMessage::new(&vec![b'l'; 4_000]).slow_consumer(SlowConsumer::Refuse);
        assert_eq!(end.connection.send_prepared(&large), Ok(SendStatus::Backpressure), "{role:?}");
        assert_eq!(end.send(&text("late")), Ok(SendStatus::Dropped), "{role:?}: there is no room without any of them");
        end.poll();
        assert_eq!(dropped(&mut end), [[1, 0, 0]], "{role:?}");
        assert_eq!(frames(role, &end.flush()).len(), FRAMED + 3, "{role:?}");
    }
}

#[test]
fn where_the_mark_is_the_limit_there_is_nothing_that_can_be_dropped_but_the_new_one() {
    for role in ROLES {
        let limits = |config: ConfigBuilder| config.high_water_mark(1_000).low_water_mark(100).max_send_buffer(1_000);
        let mut end = Endpoint::new(role, config(|config| limits(config).slow_consumer(SlowConsumer::DropOldest)));
        let statuses: Vec<_> = (0..6).map(|n| end.send(&text(&n.to_string())).unwrap()).collect();
        assert_eq!(statuses[4..], [SendStatus::Backpressure, SendStatus::Dropped], "{role:?}");
    }
}

#[test]
fn of_a_key_only_the_latest_is_sent_in_the_place_of_the_older() {
    for role in ROLES {
        let mut end = crowded(role, |config| config);
        for round in 0..100 {
            for key in ["EURUSD", "EURGBP"] {
                let status = send_as(&mut end, &format!("{key} {round}"), |price| price.latest_of(key));
                assert_eq!(status, Ok(SendStatus::Backpressure), "{role:?}");
            }
            if round == 50 {
                assert_eq!(end.send("between"), Ok(SendStatus::Backpressure));
            }
        }
        end.poll();
        assert_eq!(dropped(&mut end), [[0, 0, 198]], "{role:?}");
        assert_eq!(sent(&mut end), expected(&["EURUSD 99", "EURGBP 99", "between"]), "{role:?}");
        // What has left is not replaced.
        assert_eq!(send_as(&mut end, "new", |price| price.latest_of("EURUSD")), Ok(SendStatus::Queued));
        assert_eq!(send_as(&mut end, "newer", |price| price.latest_of("EURUSD")), Ok(SendStatus::Queued));
        assert_eq!(sent(&mut end), ["new", "newer"], "{role:?}: below the mark messages are framed at once");
        assert_eq!(end.take_seen(), [Seen::Drain]);
    }
}

#[test]
fn what_is_framed_is_never_replaced_or_dropped() {
    for role in ROLES {
        let mut end = crowded(role, |config| config.slow_consumer(SlowConsumer::DropOldest));
        let _ = send_as(&mut end, "a1", |a| a.latest_of("a")).unwrap();
        let _ = send_as(&mut end, "b1", |b| b.latest_of("b")).unwrap();
        // Down to the low-water mark: "a1" is framed, and a part of it may have left.
        let mut bytes = end.write(end.connection.buffered_amount() - 450);
        end.poll();
        let _ = send_as(&mut end, "a2", |a| a.latest_of("a")).unwrap();
        let _ = send_as(&mut end, "b2", |b| b.latest_of("b")).unwrap();
        bytes.extend(end.flush());
        assert_eq!(names(role, &bytes), expected(&["a1", "b2", "a2"]), "{role:?}");
    }
}

#[test]
fn a_replacement_needs_no_room_and_one_that_is_too_large_is_treated_as_any_message() {
    for role in ROLES {
        let policy = SlowConsumer::Refuse;
        let mut end = crowded(role, |config| config);
        let keyed = |name: &str, size: usize| {
            let text = format!("{name:-<size$}");
            PreparedMessage::new(&text).latest_of(name.split(' ').next().unwrap()).slow_consumer(policy)
        };
        let (mut sent_of, room) = (0, room(&end));
        while end.connection.send_prepared(&keyed(&format!("{sent_of} old"), 200)).is_ok() {
            sent_of += 1;
        }
        assert_eq!(sent_of, room, "{role:?}: full");
        for n in 0..sent_of {
            let replaced = end.connection.send_prepared(&keyed(&format!("{n} new"), 200));
            assert_eq!(replaced, Ok(SendStatus::Backpressure), "{role:?}: {n}");
        }
        assert_eq!(end.connection.send_prepared(&keyed("0 large", 5_000)), Ok(SendStatus::Backpressure));
        let refused = end.connection.send_prepared(&keyed("1 larger", 5_000));
        assert!(
            matches!(refused, Err(SendError::BufferFull { .. })),
            "{role:?}: one message is above the limit already"
        );
        end.poll();
        assert_eq!(dropped(&mut end), [[0, 0, sent_of as u64 + 1]], "{role:?}");
        let names = sent(&mut end);
        let expected = |n: usize| if n == 0 { "0 large".to_owned() } else { format!("{n} new") };
        assert!(names[FRAMED + 1..].iter().eq(&(0..sent_of).map(expected).collect::<Vec<_>>()), "{role:?}: {names:?}");
    }
}

#[test]
fn many_replacements_cost_no_memory_and_little_time() {
    for role in ROLES {
        let mut end = crowded(role, |config| config);
        let before = end.connection.buffered_amount();
        let message = PreparedMessage::new(&text("state"));
        for n in 0..50_000_u32 {
            let _ = end.connection.send_prepared(&message.clone().latest_of(["a", "b", "c"][n as usize % 3])).unwrap();
        }
        assert!(end.connection.buffered_amount() <= before + 3 * 210, "{role:?}");
    }
}

#[test]
fn many_drops_behind_one_that_is_safe_cost_little_time() {
    for role in ROLES {
        let mut end = crowded(role, |config| config.max_send_buffer(1 << 20).slow_consumer(SlowConsumer::DropOldest));
        let key = |safe: PreparedMessage| safe.latest_of("safe").slow_consumer(SlowConsumer::Refuse);
        assert_eq!(send_as(&mut end, "safe", key), Ok(SendStatus::Backpressure));
        for n in 0..50_000_u32 {
            let _ = end.send(&n.to_be_bytes()[..]).unwrap();
        }
        let sent = frames(role, &end.flush());
        assert!(sent[FRAMED + 1].1.starts_with(b"safe"), "{role:?}");
        assert_eq!(sent.last().unwrap().1, 49_999_u32.to_be_bytes(), "{role:?}");
        assert!(sent.len() > 5_000, "{role:?}: {} were kept", sent.len());
    }
}

#[test]
fn fragments_and_a_close_come_behind_what_waits_apart() {
    for role in ROLES {
        let mut end = crowded(role, |config| config);
        let _ = send_as(&mut end, "a1", |a| a.latest_of("a")).unwrap();
        let mut writer = end.connection.writer(Kind::Text).unwrap();
        let _ = writer.write(b"fragment").unwrap();
        let _ = writer.finish().unwrap();
        let _ = send_as(&mut end, "a2", |a| a.latest_of("a")).unwrap();
        let _ = send_as(&mut end, "a3", |a| a.latest_of("a")).unwrap();
        let amount = end.connection.buffered_amount();
        end.close(1000, "");
        assert!(end.connection.buffered_amount() > amount, "{role:?}");
        let order = starts(role, &end.flush());
        let expected = [(TEXT, "a1"), (0x01, "fr"), (0x80, ""), (TEXT, "a3"), (CLOSE, "\u{3}\u{fffd}")];
        assert!(
            order[FRAMED + 1..].iter().map(|(first, start)| (*first, start.as_str())).eq(expected),
            "{role:?}: {order:?}"
        );
    }
}

/// The first byte of each frame, and the first two of its payload.
fn starts(role: Role, bytes: &[u8]) -> Vec<(u8, String)> {
    let start = |payload: &[u8]| String::from_utf8_lossy(&payload[..payload.len().min(2)]).into_owned();
    frames(role, bytes).iter().map(|(first, payload)| (*first, start(payload))).collect()
}

/// An end at which "a1" and "b1" wait apart.
fn apart(role: Role) -> Endpoint {
    let mut end = crowded(role, |config| config);
    let _ = send_as(&mut end, "a1", |a| a.latest_of("a")).unwrap();
    let _ = send_as(&mut end, "b1", oldest).unwrap();
    end
}

#[test]
fn the_peers_close_is_answered_behind_what_waits_apart() {
    for role in ROLES {
        let mut end = apart(role);
        end.receive_frame(CLOSE, &close_payload(1000, ""));
        assert_eq!(sent(&mut end), expected(&["a1", "b1", "88"]), "{role:?}");
        end.end();
        assert_eq!(end.ending().cause, "Clean");
    }
}

#[test]
fn what_waits_apart_leaves_after_the_end_of_the_peers_stream() {
    for role in ROLES {
        for close in [false, true] {
            let mut end = apart(role);
            if close {
                end.close(1000, "");
            }
            end.end();
            assert!(!end.is_closed(), "{role:?}: the peer may have closed its side only");
            let mut bytes = Vec::new();
            while end.connection.wants_write() {
                assert_eq!(
                    end.transport(),
                    wireroom::Transport::Open,
                    "{role:?}: nobody shuts down what is still written"
                );
                let queue = end.connection.transmit();
                let at = bytes.len();
                bytes.resize(at + queue.len(), 0);
                queue.copy_to_slice(&mut bytes[at..]);
            }
            end.poll();
            assert_eq!(names(role, &bytes)[..8], expected(&["a1", "b1"]), "{role:?}");
            assert_eq!(end.ending().cause, "Eof", "{role:?}");
        }
    }
}

#[test]
fn what_waits_apart_is_lost_with_an_abort_and_what_was_dropped_is_told_before() {
    for role in ROLES {
        for failed in [false, true] {
            let mut end = apart(role);
            let _ = send_as(&mut end, "a2", |a| a.latest_of("a")).unwrap();
            if failed {
                end.connection.handle_io_error(std::io::ErrorKind::BrokenPipe);
                end.connection.transmit().advance(usize::MAX);
            } else {
                end.connection.abort();
            }
            assert!(!end.connection.wants_write(), "{role:?}: nothing can leave");
            end.poll();
            assert!(matches!(&end.seen[..], [Seen::Dropped(_), Seen::Closed(_)]), "{role:?}: {:?}", end.seen);
            assert_eq!(dropped(&mut end), [[0, 0, 1]]);
        }
    }
}

#[test]
fn what_waits_apart_is_among_what_is_handed_over() {
    for role in ROLES {
        let end = apart(role);
        let amount = end.connection.buffered_amount();
        let mut queue = end.connection.into_parts();
        assert_eq!(queue.len(), amount, "{role:?}");
        let mut bytes = vec![0; amount];
        queue.copy_to_slice(&mut bytes);
        assert_eq!(names(role, &bytes), expected(&["a1", "b1"]));
    }
}

#[test]
fn a_driver_that_writes_while_the_connection_wants_it_sends_all() {
    for role in ROLES {
        for low in [0, 100, 999] {
            let marks = |config: ConfigBuilder| config.low_water_mark(low).max_send_buffer(100_000);
            let mut end = crowded(role, |config| marks(config).slow_consumer(SlowConsumer::DropOldest));
            for n in 0..100 {
                let _ = end.send(&text(&n.to_string())).unwrap();
            }
            let mut bytes = Vec::new();
            let mut before = end.connection.buffered_amount() + 1;
            while end.connection.wants_write() {
                assert!(end.connection.buffered_amount() < before, "{role:?}: each write takes something");
                before = end.connection.buffered_amount();
                // A transport that takes all at once, and nobody polls in between.
                let queue = end.connection.transmit();
                let at = bytes.len();
                bytes.resize(at + queue.len(), 0);
                queue.copy_to_slice(&mut bytes[at..]);
            }
            assert_eq!(frames(role, &bytes).len(), FRAMED + 101, "{role:?}");
            end.poll();
            assert_eq!(end.take_seen(), [Seen::Drain], "{role:?}");
        }
    }
}

#[test]
fn a_drain_comes_only_when_what_waits_apart_is_below_the_mark_too() {
    for role in ROLES {
        let mut end = crowded(role, |config| config.slow_consumer(SlowConsumer::DropOldest));
        for n in 0..5 {
            let _ = end.send(&text(&n.to_string())).unwrap();
        }
        while end.connection.buffered_amount() > 100 {
            end.poll();
            assert_eq!(end.take_seen(), [], "{role:?}: {} wait", end.connection.buffered_amount());
            end.write(7);
        }
        end.poll();
        assert_eq!(end.take_seen(), [Seen::Drain], "{role:?}");
    }
}

#[test]
fn control_frames_do_not_wait_behind_what_waits_apart() {
    for role in ROLES {
        let mut end = apart(role);
        let mut bytes = end.write(10);
        end.receive_frame(PING, b"?");
        let _ = end.connection.ping(b"!").unwrap();
        bytes.extend(end.flush());
        let order: Vec<_> = starts(role, &bytes).into_iter().map(|(first, _)| first).collect();
        assert_eq!(order[..4], [TEXT, PONG, PING, TEXT], "{role:?}");
        assert_eq!(order.len(), FRAMED + 5);
    }
}

#[test]
fn answers_that_wait_apart_hold_back_reading_until_they_have_left() {
    for role in ROLES {
        let mut end = crowded(role, |config| config.max_send_buffer(100_000));
        let _ = send_as(&mut end, "feed", |feed| feed.latest_of("feed")).unwrap();
        end.echo();
        for n in 0..20 {
            end.receive_frame(TEXT, text(&n.to_string()).as_bytes());
        }
        assert!(!end.connection.wants_read(), "{role:?}: more answers than the high-water mark wait");
        for n in 0..1_000 {
            let _ = send_as(&mut end, &format!("feed {n}"), |feed| feed.latest_of("feed")).unwrap();
        }
        assert!(!end.connection.wants_read(), "{role:?}: replacements change nothing about that");
        let names = sent(&mut end);
        let echoes: Vec<_> = (0..20).map(|n| n.to_string()).collect();
        assert_eq!(names, expected(&["feed 999"]).into_iter().chain(echoes).collect::<Vec<_>>(), "{role:?}");
        assert!(end.connection.wants_read());
    }
}

#[test]
fn answers_behind_what_was_dropped_hold_back_reading_no_longer_than_they_wait() {
    for role in ROLES {
        let mut end = crowded(role, |config| config.max_send_buffer(8_000));
        let framed = end.connection.buffered_amount();
        for n in 0..10 {
            assert_eq!(send_as(&mut end, &n.to_string(), oldest), Ok(SendStatus::Backpressure));
        }
        let before = end.connection.buffered_amount();
        end.echo();
        for _ in 0..5 {
            end.receive_frame(TEXT, text("answer").as_bytes());
        }
        let answers = end.connection.buffered_amount() - before;
        assert!(!end.connection.wants_read(), "{role:?}");
        for n in 0..20 {
            assert_eq!(send_as(&mut end, &n.to_string(), oldest), Ok(SendStatus::Backpressure));
        }
        // The first ten have been dropped.
        let bytes: Vec<u8> = std::iter::repeat_with(|| end.write(1)).take(framed + answers).flatten().collect();
        assert_eq!(names(role, &bytes), expected(&["answer"; 5]), "{role:?}");
        assert!(end.connection.buffered_amount() > 2_000, "{role:?}: other messages wait");
        assert!(end.connection.wants_read(), "{role:?}: but no answers");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn what_waits_apart_is_compressed_in_the_order_of_the_line() {
    use wireroom::{
        Compression, PermessageDeflate,
        handshake::{DeflateParams, Extensions},
    };
    let limits = || {
        let deflate = PermessageDeflate { threshold: 0, ..PermessageDeflate::default() };
        small(|config| config.max_send_buffer(100_000).permessage_deflate(Some(deflate)))
    };
    let mut pair =
        Pair::agreed(limits(), limits(), Extensions::none().with_deflate(DeflateParams::default())).narrow(50);
    let mut said = Vec::new();
    for n in 0..200_u32 {
        // Hardly compressible, but by what came before.
        let text: String = (0..40).map(|i| format!("{:x}", (n * 40 + i).wrapping_mul(0x9e37_79b1))).collect();
        let prepared = PreparedMessage::new(&text).slow_consumer(SlowConsumer::DropOldest);
        let connection = &mut pair.server.connection;
        let status = match n % 4 {
            0 => connection.send(&text),
            1 => connection.send_bytes(Kind::Text, text.clone().into()),
            2 => connection.send_with(&text, Compression::Never),
            _ => connection.send_prepared(&prepared),
        };
        assert!(status.is_ok(), "{n}: {status:?}");
        said.push(Seen::Text(text));
    }
    pair.run();
    let heard: Vec<_> = pair.client.take_seen();
    assert!(heard == said, "{} of {}", heard.len(), said.len());
    assert_eq!(pair.server.connection.buffered_amount(), 0);
}
