//! Slow consumers: the limits on what waits to be sent, and what happens at them by policy. A message is sent, refused,
//! dropped or replaced; each is told, and what was accepted otherwise arrives in order.

mod common;

#[path = "slow_consumers/model.rs"]
mod model;

#[path = "slow_consumers/apart.rs"]
mod apart;

use std::time::Duration;

use bytes::Buf;
use common::{Cuts, Endpoint, Pair, ROLES, Role, Seen, close_payload, config, frames};
use wireroom::{CloseCode, Config, ConfigBuilder, Dropped, Kind, PreparedMessage, SendError, SendStatus, SlowConsumer};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Marks at 1,000 and 100 bytes, room for 4,000.
fn small(set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Config {
    config(|config| set(config.high_water_mark(1_000).low_water_mark(100).max_send_buffer(4_000)))
}

/// A text that begins with `name` and has 200 bytes: 204 as a server's frame, 208 as a client's.
fn text(name: &str) -> String {
    format!("{name:-<200}")
}

/// The names of the texts that left, and the first bytes of what was no text.
fn names(role: Role, bytes: &[u8]) -> Vec<String> {
    let name = |(first, payload): (u8, Vec<u8>)| match first {
        TEXT => String::from_utf8(payload).unwrap().trim_end_matches('-').to_owned(),
        first => format!("{first:x}"),
    };
    frames(role, bytes).into_iter().map(name).collect()
}

fn sent(end: &mut Endpoint) -> Vec<String> {
    let bytes = end.flush();
    names(end.role, &bytes)
}

/// What `Event::Dropped` told: newest, oldest, replaced.
fn dropped(end: &mut Endpoint) -> Vec<[u64; 3]> {
    let counts = |seen: Seen| match seen {
        Seen::Dropped(Dropped { newest, oldest, replaced, .. }) => Some([newest, oldest, replaced]),
        _ => None,
    };
    end.take_seen().into_iter().filter_map(counts).collect()
}

/// Sends `name` as it is prepared by `prepare`.
fn send_as(
    end: &mut Endpoint,
    name: &str,
    prepare: impl FnOnce(PreparedMessage) -> PreparedMessage,
) -> Result<SendStatus, SendError> {
    end.connection.send_prepared(&prepare(PreparedMessage::new(&text(name))))
}

fn full(end: &Endpoint) -> Result<SendStatus, SendError> {
    Err(SendError::BufferFull { buffered: end.connection.buffered_amount(), limit: 4_000 })
}

const QUEUE_FULL: Result<SendStatus, SendError> = Err(SendError::QueueFull { limit: 4 });

#[test]
fn messages_that_wait_are_limited_in_number_and_each_that_has_left_makes_room_for_one() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.max_send_messages(4)));
        let statuses: Vec<_> = (0..4).map(|n| end.send(&n.to_string())).collect();
        let (queued, pressure) = (Ok(SendStatus::Queued), Ok(SendStatus::Backpressure));
        assert_eq!(statuses, [queued, queued, pressure, pressure], "{role:?}: above half of them there is pressure");
        assert_eq!(end.send("4"), QUEUE_FULL, "{role:?}");
        assert_eq!(end.connection.send_bytes(Kind::Binary, vec![0; 5_000].into()), QUEUE_FULL);
        assert_eq!(end.connection.send_prepared(&"4".into()), QUEUE_FULL);
        let frame = end.connection.buffered_amount() / 4;
        let mut bytes = end.write(frame - 1);
        assert_eq!(end.send("4"), QUEUE_FULL, "{role:?}: half a frame has left");
        bytes.extend(end.write(1));
        assert_eq!(end.send("4"), Ok(SendStatus::Backpressure), "{role:?}");
        assert_eq!(end.send("5"), QUEUE_FULL);
        bytes.extend(end.flush());
        assert_eq!(names(role, &bytes), ["0", "1", "2", "3", "4"], "{role:?}: nothing of a refused message is sent");
        assert_eq!(end.take_seen(), [Seen::Drain]);
    }
}

#[test]
fn the_limit_on_messages_holds_for_the_very_first() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.max_send_messages(1)));
        for _ in 0..3 {
            assert_eq!(end.send(""), Ok(SendStatus::Backpressure), "{role:?}");
            assert_eq!(end.send(""), Err(SendError::QueueFull { limit: 1 }));
            end.flush();
            assert_eq!(end.take_seen(), [Seen::Drain]);
        }
    }
}

#[test]
fn messages_of_all_kinds_and_sizes_are_counted_and_control_frames_are_not() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.max_send_messages(8).high_water_mark(100_000)));
        let large = vec![7; 10_000];
        for round in 0..3 {
            let connection = &mut end.connection;
            let _ = connection.send("small").unwrap();
            let _ = connection.send_bytes(Kind::Binary, large.clone().into()).unwrap();
            let _ = connection.ping(b"not counted").unwrap();
            let _ = connection.send_prepared(&PreparedMessage::new(&large)).unwrap();
            let _ = connection.send_prepared(&"prepared".into()).unwrap();
            let _ = connection.send_bytes(Kind::Binary, large.clone().into()).unwrap();
            end.receive_frame(PING, b"?");
            let mut writer = end.connection.writer(Kind::Text).unwrap();
            for _ in 0..20 {
                let _ = writer.write(b"fragment").unwrap();
            }
            let _ = writer.finish().unwrap();
            let _ = end.send(&large).unwrap();
            assert_eq!(end.send("8th"), Ok(SendStatus::Backpressure), "{role:?}, round {round}");
            assert_eq!(end.send("9th"), Err(SendError::QueueFull { limit: 8 }), "{role:?}, round {round}");
            assert!(end.connection.ping(b"still").is_ok(), "{role:?}: control frames are exempt");
            end.receive_frame(PING, b"?");
            let mut writer = end.connection.writer(Kind::Text).unwrap();
            assert_eq!(writer.write(b"9th"), Err(SendError::QueueFull { limit: 8 }));
            let ended = end.connection.writer(Kind::Text).unwrap().finish();
            assert_eq!(ended, Err(SendError::QueueFull { limit: 8 }), "nothing has begun");
            let sent = end.flush_frames();
            assert_eq!(sent.iter().filter(|(first, _)| *first == PONG).count(), 2, "{role:?}");
        }
    }
}

#[test]
fn a_message_in_fragments_that_was_begun_goes_on_whatever_waits() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.max_send_messages(2)));
        let _ = end.send("1").unwrap();
        let mut writer = end.connection.writer(Kind::Text).unwrap();
        for _ in 0..10 {
            assert!(writer.write(b"2").is_ok(), "{role:?}");
        }
        assert!(writer.finish().is_ok());
        assert_eq!(end.send("3"), Err(SendError::QueueFull { limit: 2 }), "{role:?}");
    }
}

#[test]
fn empty_messages_to_a_peer_that_never_reads_end_at_the_default_limit() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let accepted = (0..1_000_000).take_while(|_| end.send("").is_ok()).count();
        assert_eq!(accepted, 65_536, "{role:?}");
        assert_eq!(end.send(""), Err(SendError::QueueFull { limit: 65_536 }));
        let most = 65_536 * (2 + if role == Role::Client { 4 } else { 0 });
        assert_eq!(end.connection.buffered_amount(), most, "{role:?}");
        assert_eq!(end.flush_frames().len(), 65_536, "{role:?}: all of them arrive");
    }
}

#[test]
fn a_refusal_is_followed_by_a_drain_also_where_no_send_told_of_pressure() {
    for role in ROLES {
        let limits = config(|config| config.high_water_mark(1_000).low_water_mark(100).max_send_buffer(1_000));
        let mut end = Endpoint::new(role, limits);
        let head = common::header(role, TEXT, 500).len();
        assert_eq!(end.send(&vec![0; 500 - head]), Ok(SendStatus::Queued));
        assert_eq!(end.send(&vec![0; 500 - head]), Ok(SendStatus::Queued), "{role:?}: at the mark, which is the limit");
        assert_eq!(end.send(""), Err(SendError::BufferFull { buffered: 1_000, limit: 1_000 }));
        end.flush();
        assert_eq!(end.take_seen(), [Seen::Drain], "{role:?}");
    }
}

#[test]
fn drop_newest_drops_what_does_not_fit_and_tells_it_once() {
    for role in ROLES {
        let mut end = Endpoint::new(role, small(|config| config.slow_consumer(SlowConsumer::DropNewest)));
        let statuses: Vec<_> = (0..30).map(|n| end.send(&text(&n.to_string())).unwrap()).collect();
        let accepted = statuses.iter().filter(|status| **status != SendStatus::Dropped).count();
        assert!(statuses[accepted..].iter().all(|status| *status == SendStatus::Dropped), "{role:?}: {statuses:?}");
        assert_eq!(accepted, 20, "{role:?}");
        assert_eq!(end.connection.send_bytes(Kind::Text, text("30").into()), Ok(SendStatus::Dropped));
        assert_eq!(end.connection.send_prepared(&PreparedMessage::new(&text("31"))), Ok(SendStatus::Dropped));
        let mut writer = end.connection.writer(Kind::Text).unwrap();
        assert!(matches!(writer.write(b"32"), Err(SendError::BufferFull { .. })), "a fragment is not dropped");
        assert!(matches!(end.connection.writer(Kind::Text).unwrap().finish(), Err(SendError::BufferFull { .. })));
        assert!(end.connection.wants_poll(), "{role:?}: there is something to tell");
        end.poll();
        assert_eq!(dropped(&mut end), [[12, 0, 0]], "{role:?}: once for many");
        let expected: Vec<_> = (0..20).map(|n| n.to_string()).collect();
        assert_eq!(sent(&mut end), expected, "{role:?}");
        assert_eq!(end.take_seen(), [Seen::Drain], "{role:?}: the caller can go on");
        assert_eq!(end.send(&text("again")), Ok(SendStatus::Queued));
        end.flush();
        assert_eq!(end.take_seen(), [], "{role:?}: nothing more to tell");
    }
}

#[test]
fn drop_newest_holds_at_the_limit_on_messages() {
    for role in ROLES {
        let limits = config(|config| config.max_send_messages(3).slow_consumer(SlowConsumer::DropNewest));
        let mut end = Endpoint::new(role, limits);
        for n in 0..10 {
            let status = end.send(&n.to_string());
            assert_eq!(status == Ok(SendStatus::Dropped), n >= 3, "{role:?}, {n}");
        }
        end.poll();
        assert_eq!(dropped(&mut end), [[7, 0, 0]]);
        assert_eq!(sent(&mut end), ["0", "1", "2"], "{role:?}");
    }
}

#[test]
fn a_message_may_have_a_policy_of_its_own() {
    for role in ROLES {
        let mut end = Endpoint::new(role, small(|config| config.slow_consumer(SlowConsumer::DropNewest)));
        let _ = end.send(&vec![b'.'; 4_000]).unwrap();
        assert_eq!(send_as(&mut end, "a", |a| a), Ok(SendStatus::Dropped));
        let refused = send_as(&mut end, "b", |b| b.slow_consumer(SlowConsumer::Refuse));
        assert_eq!(refused, full(&end), "{role:?}");
        let mut end = Endpoint::new(role, small(|config| config));
        let _ = end.send(&vec![b'.'; 4_000]).unwrap();
        let lost = send_as(&mut end, "c", |c| c.slow_consumer(SlowConsumer::DropNewest));
        assert_eq!(lost, Ok(SendStatus::Dropped), "{role:?}");
        assert_eq!(end.send("d"), full(&end), "{role:?}");
    }
}

/// An end that was closed by its policy, with its last message.
fn closed_as_slow(role: Role) -> Endpoint {
    let policy = SlowConsumer::Close(CloseCode::TRY_AGAIN_LATER);
    let mut end = Endpoint::new(role, small(|config| config.slow_consumer(policy)));
    while end.connection.buffered_amount() < 4_000 {
        let _ = end.send(&text("accepted")).unwrap();
    }
    let full = full(&end);
    assert_eq!(end.send(&text("too much")), full, "{role:?}");
    assert_eq!(end.send("more"), Err(SendError::Closed), "{role:?}: the closing handshake has begun");
    assert!(!end.connection.is_open());
    end
}

#[test]
fn close_says_1013_behind_what_was_accepted_and_the_cause_is_kept() {
    for role in ROLES {
        let mut end = closed_as_slow(role);
        end.poll();
        let bytes = end.write(usize::MAX);
        let sent = frames(role, &bytes);
        assert!(sent[..sent.len() - 1].iter().all(|(first, payload)| *first == TEXT && payload.starts_with(b"acc")));
        assert_eq!(sent.last(), Some(&(CLOSE, close_payload(1013, "slow consumer"))), "{role:?}");
        end.receive_frame(CLOSE, &close_payload(1013, ""));
        end.end();
        let ending = end.ending();
        assert_eq!((ending.cause.as_str(), ending.local_code()), ("SlowConsumer", Some(1013)), "{role:?}");
        assert_eq!((ending.peer_code(), ending.initiator), (Some(1013), Some(wireroom::Initiator::Local)));
    }
}

#[test]
fn a_slow_peer_that_does_not_answer_the_close_is_given_up_at_the_close_deadline() {
    for role in ROLES {
        for polled in [true, false] {
            let mut end = closed_as_slow(role);
            assert!(end.connection.wants_poll(), "{role:?}: the deadline is to be set");
            assert!(end.connection.poll_timeout().is_some_and(|at| at <= end.now()), "at once");
            if polled {
                end.poll();
            } else {
                end.connection.handle_timeout(end.now());
            }
            assert_eq!(end.connection.poll_timeout(), Some(end.now() + Config::default().close_timeout()), "{role:?}");
            end.advance(Config::default().close_timeout() - Duration::from_millis(1));
            assert!(!end.is_closed());
            end.advance(Duration::from_millis(1));
            assert_eq!(end.ending().cause, "SlowConsumer", "{role:?}: whatever ends it");
        }
    }
}

#[test]
fn the_cause_is_a_slow_consumer_whatever_else_ends_it() {
    for role in ROLES {
        let mut reset = closed_as_slow(role);
        reset.connection.handle_io_error(std::io::ErrorKind::ConnectionReset);
        reset.poll();
        assert_eq!(reset.ending().cause, "SlowConsumer", "{role:?}");
        let mut gone = closed_as_slow(role);
        gone.end();
        gone.flush();
        assert_eq!(gone.ending().cause, "SlowConsumer", "{role:?}");
        let mut broken = closed_as_slow(role);
        broken.receive(&[0x83]);
        broken.flush();
        broken.end();
        assert_eq!(broken.ending().cause, "SlowConsumer", "{role:?}");
    }
}

#[test]
fn close_holds_for_the_limit_on_messages_for_one_message_and_for_fragments() {
    for role in ROLES {
        let policy = SlowConsumer::Close(CloseCode::POLICY_VIOLATION);
        let mut end = Endpoint::new(role, config(|config| config.max_send_messages(4)));
        for n in 0..4 {
            let _ = end.send(&n.to_string()).unwrap();
        }
        assert_eq!(send_as(&mut end, "5", |message| message.slow_consumer(policy)), QUEUE_FULL, "{role:?}");
        assert_eq!(sent(&mut end), ["0", "1", "2", "3", "88"], "{role:?}");

        let mut end = Endpoint::new(role, small(|config| config.slow_consumer(policy)));
        let mut writer = end.connection.writer(Kind::Binary).unwrap();
        while writer.write(&[0; 500]).is_ok() {}
        assert_eq!(writer.write(b""), Err(SendError::Closed), "{role:?}");
        assert_eq!(frames(role, &end.flush()).last().map(|frame| &frame.1[..2]), Some(&1008_u16.to_be_bytes()[..]));
    }
}

#[test]
fn a_paused_peer_that_is_closed_as_slow_is_heard_again() {
    for role in ROLES {
        let policy = SlowConsumer::Close(CloseCode::TRY_AGAIN_LATER);
        let mut end = Endpoint::new(role, small(|config| config.slow_consumer(policy)));
        end.connection.pause();
        while end.send(&text("x")).is_ok() {}
        end.flush();
        assert!(end.connection.wants_read(), "{role:?}: its Close has to be read");
        end.receive_frame(CLOSE, &close_payload(1013, ""));
        end.end();
        assert_eq!(end.ending().peer_code(), Some(1013), "{role:?}");
    }
}

#[test]
fn an_echo_loses_nothing_whatever_the_policy() {
    for policy in [SlowConsumer::Refuse, SlowConsumer::DropNewest, SlowConsumer::DropOldest] {
        let mut pair = Pair::with(small(|config| config), small(|config| config.slow_consumer(policy)));
        pair = pair.narrow(300).short_writes(Cuts::sizes([97]));
        pair.server.echo();
        for n in 0..300 {
            while pair.client.send(&text(&n.to_string())).is_err() {
                pair.run();
            }
        }
        pair.run();
        let echoes: Vec<_> = pair.client.take_seen().into_iter().filter(|seen| *seen != Seen::Drain).collect();
        let expected: Vec<_> = (0..300).map(|n| Seen::Text(text(&n.to_string()))).collect();
        assert!(echoes == expected, "{policy:?}: {} echoes", echoes.len());
    }
}
