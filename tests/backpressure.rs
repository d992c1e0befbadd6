//! Backpressure: a return value, a number, an event, and a peer that is not read from. Nothing grows without bound, and
//! nothing that was accepted is lost.

mod common;

use common::{Cuts, Endpoint, Pair, ROLES, Seen, close_payload, config, frame, frames};
use wireroom::{Config, Kind, SendError, SendStatus};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// Marks at 1,000 and 100 bytes, room for 2,000.
fn small() -> Config {
    config(|config| config.high_water_mark(1_000).low_water_mark(100).max_send_buffer(2_000))
}

fn drains(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| **seen == Seen::Drain).count()
}

#[test]
fn a_send_answers_with_backpressure_above_the_high_water_mark() {
    for role in ROLES {
        let head = common::header(role, BINARY, 500).len();
        let mut end = Endpoint::new(role, small());
        assert_eq!(end.send(&[0; 500]), Ok(SendStatus::Queued));
        assert_eq!(end.connection.buffered_amount(), 500 + head);
        let rest = vec![0; 1_000 - end.connection.buffered_amount() - head];
        assert_eq!(end.send(&rest), Ok(SendStatus::Queued), "{role:?}: at the mark");
        assert_eq!(end.connection.buffered_amount(), 1_000);
        assert_eq!(end.send(b""), Ok(SendStatus::Backpressure), "{role:?}: above it");
        assert!(end.connection.wants_read(), "only answers to the peer hold its reading back");
    }
}

#[test]
fn drain_comes_once_at_the_low_water_mark_and_reading_goes_on() {
    for role in ROLES {
        let mut end = Endpoint::new(role, small());
        common::answer(&mut end, 1_200);
        let to_low = end.connection.buffered_amount() - 100;
        end.write(to_low - 1);
        end.poll();
        assert_eq!(end.take_seen(), [], "{role:?}: one byte above the low mark");
        assert!(!end.connection.wants_read(), "between the marks a withheld peer stays withheld");
        end.write(1);
        end.poll();
        assert_eq!(end.take_seen(), [Seen::Drain], "{role:?}");
        assert!(end.connection.wants_read());
        end.flush();
        assert_eq!(end.take_seen(), [], "{role:?}: once");
    }
}

#[test]
fn without_backpressure_there_is_no_drain() {
    for role in ROLES {
        let mut end = Endpoint::new(role, small());
        for _ in 0..100 {
            assert_eq!(end.send(&[0; 500]), Ok(SendStatus::Queued));
            end.flush();
        }
        assert_eq!(drains(&end.seen), 0, "{role:?}");
    }
}

#[test]
fn a_full_buffer_refuses_and_a_message_is_taken_whole_or_not_at_all() {
    for role in ROLES {
        let mut end = Endpoint::new(role, small());
        assert_eq!(end.send(&[1; 1_900]), Ok(SendStatus::Backpressure));
        // below the limit a message is taken whole: the overshoot is at most one message
        assert_eq!(end.send(&vec![2; 100_000]), Ok(SendStatus::Backpressure), "{role:?}");
        let buffered = end.connection.buffered_amount();
        let full = Err(SendError::BufferFull { buffered, limit: 2_000 });
        assert_eq!(end.send("no"), full);
        assert_eq!(end.connection.send_bytes(Kind::Text, "no".into()), full);
        assert_eq!(end.connection.send_prepared(&"no".into()), full);
        assert_eq!(end.connection.ping(b"no"), full);
        assert!(matches!(end.connection.writer(Kind::Text).unwrap().write(b"no"), Err(SendError::BufferFull { .. })));
        assert_eq!(end.connection.buffered_amount(), buffered, "nothing of a refused message is queued");
        let sent = frames(role, &end.write(usize::MAX));
        assert_eq!(sent.len(), 2, "{role:?}");
        assert_eq!(sent[1], (BINARY, vec![2; 100_000]));
    }
}

#[test]
fn messages_of_a_peer_that_does_not_read_are_withheld_and_not_lost() {
    for role in ROLES {
        let mut end = Endpoint::new(role, small());
        common::answer(&mut end, 1_500);
        for n in 0..10_u8 {
            end.receive_frame(TEXT, &[b'0' + n]);
        }
        assert_eq!(end.take_seen(), [], "{role:?}: while our own bytes wait");
        end.flush();
        let seen = end.take_seen();
        assert_eq!(seen[0], Seen::Drain);
        let expected: Vec<_> = (0..10).map(|n: u8| Seen::Text(n.to_string())).collect();
        assert_eq!(seen[1..], expected, "{role:?}");
    }
}

#[test]
fn an_echo_of_10_000_messages_that_came_in_one_read_loses_none() {
    for role in ROLES {
        for limits in [small(), Config::default()] {
            let largest = limits.high_water_mark() + 1_000;
            let messages: Vec<String> = (0..10_000).map(|n| format!("{n} {}", "x".repeat(n % 150))).collect();
            let read: Vec<u8> =
                messages.iter().flat_map(|message| frame(role.peer(), TEXT, message.as_bytes())).collect();
            let mut end = Endpoint::new(role, limits);
            end.echo();
            end.receive(&read);
            let mut echoes = Vec::new();
            while end.connection.wants_write() {
                assert!(end.connection.buffered_amount() <= largest, "{role:?}: the queue stays below its marks");
                echoes.extend(end.write(777));
                end.poll();
            }
            assert_eq!(end.refused, 0, "{role:?}: no send was refused");
            let echoes: Vec<_> = frames(role, &echoes).into_iter().map(|(_, payload)| payload).collect();
            assert!(echoes.iter().eq(messages.iter().map(|message| message.as_bytes())), "{role:?}: all, in order");
            assert!(end.rx.is_empty());
        }
    }
}

/// The client sends while `may_send` allows, the server echoes, both over a wire that holds 300 bytes.
fn echoes_over_a_narrow_wire(mut may_send: impl FnMut(&mut Endpoint) -> bool) -> Pair {
    let mut pair =
        Pair::with(small(), small()).narrow(300).short_writes(Cuts::sizes([97])).cut(Cuts::sizes([1, 2, 50, 3]));
    pair.server.echo();
    let mut sent = 0;
    for _ in 0..1_000 {
        while sent < 500 && may_send(&mut pair.client) {
            let _ = pair.client.send(&format!("{sent} {}", "é".repeat(sent % 60))).unwrap();
            sent += 1;
        }
        pair.run();
    }
    pair
}

#[track_caller]
fn assert_500_echoes(pair: &Pair) {
    let echoes: Vec<_> = pair.client.seen.iter().filter(|seen| matches!(seen, Seen::Text(_))).cloned().collect();
    let expected: Vec<_> = (0..500).map(|n| Seen::Text(format!("{n} {}", "é".repeat(n % 60)))).collect();
    assert!(echoes == expected, "{} echoes, not 500, or not in order", echoes.len());
    assert_eq!(pair.server.refused, 0);
}

#[test]
fn an_echo_over_a_narrow_wire_loses_nothing() {
    let pair = echoes_over_a_narrow_wire(|client| client.connection.buffered_amount() < 500);
    assert_500_echoes(&pair);
}

#[test]
fn an_end_that_only_sends_still_reads() {
    let pair = echoes_over_a_narrow_wire(|client| client.connection.buffered_amount() < 1_900);
    assert_500_echoes(&pair);
}

#[test]
fn ten_thousand_pings_while_output_flows_get_ten_thousand_pongs() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let mut sent = Vec::new();
        for chunk in 0..100_u32 {
            let read: Vec<u8> =
                (0..100).flat_map(|n| frame(role.peer(), PING, &(chunk * 100 + n).to_be_bytes())).collect();
            end.receive(&read);
            sent.extend(end.flush());
        }
        let expected: Vec<_> = (0..10_000_u32).map(|n| (PONG, n.to_be_bytes().to_vec())).collect();
        assert_eq!(frames(role, &sent), expected, "{role:?}: in order, each its Ping's");
    }
}

#[test]
fn ten_thousand_pings_in_one_read_get_ten_thousand_pongs() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let pings: Vec<u8> = (0..10_000_u32)
            .flat_map(|n| frame(role.peer(), PING, &[&n.to_be_bytes()[..], &[b'.'; 100]].concat()))
            .collect();
        end.receive(&pings);
        assert!(end.connection.buffered_amount() <= Config::default().high_water_mark() + 200, "{role:?}: bounded");
        let sent = end.flush_frames();
        assert_eq!(sent.len(), 10_000, "{role:?}");
        assert!(sent.iter().enumerate().all(|(n, (_, payload))| payload[..4] == (n as u32).to_be_bytes()));
    }
}

#[test]
fn control_frames_overtake_at_a_frame_boundary_while_output_is_blocked() {
    for role in ROLES {
        for taken in [0, 1, 5, 300, 308, 309, 700] {
            let mut end = Endpoint::new(role, Config::default());
            for n in 1..=9 {
                let _ = end.send(&[n; 300]).unwrap();
            }
            let mut sent = end.write(taken);
            end.receive_frame(PING, b"urgent");
            let _ = end.connection.ping(b"mine").unwrap();
            sent.extend(end.flush());
            let sent = frames(role, &sent);
            let messages: Vec<_> = sent.iter().filter(|(first, _)| *first == BINARY).collect();
            assert!(messages.iter().map(|(_, payload)| payload).eq(&(1..=9).map(|n| vec![n; 300]).collect::<Vec<_>>()));
            let pong = sent.iter().position(|frame| *frame == (PONG, b"urgent".to_vec())).expect("a Pong");
            let frame = common::header(role, BINARY, 300).len() + 300;
            assert_eq!(pong, taken.div_ceil(frame), "{role:?}, {taken} bytes taken: right behind the started frame");
            assert_eq!(sent[pong + 1], (PING, b"mine".to_vec()), "{role:?}: in order");
        }
    }
}

#[test]
fn a_control_frame_that_has_left_does_not_keep_the_next_one_in_line() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        // There is storage then, and the messages take the short way.
        assert_eq!(end.send(&[0; 500]), Ok(SendStatus::Queued));
        let _ = end.connection.ping(b"first").unwrap();
        end.flush();
        for byte in [1, 2] {
            assert_eq!(end.send(&[byte; 50]), Ok(SendStatus::Queued));
        }
        let mut out = end.write(10);
        let _ = end.connection.ping(b"second").unwrap();
        out.extend(end.flush());
        let order: Vec<_> = frames(role, &out).into_iter().map(|(first, _)| first).collect();
        assert_eq!(order, [BINARY, PING, BINARY], "{role:?}");
    }
}

#[test]
fn control_frames_overtake_between_fragments_and_shared_payloads() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let mut writer = end.connection.writer(Kind::Binary).unwrap();
        let _ = writer.write(&[1; 10_000]).unwrap();
        let _ = writer.write(&[2; 10_000]).unwrap();
        let _ = writer.finish().unwrap();
        let _ = end.connection.send_bytes(Kind::Binary, vec![3; 10_000].into()).unwrap();
        let mut sent = end.write(100);
        end.receive_frame(PING, b"1");
        sent.extend(end.write(10_100));
        end.poll();
        end.receive_frame(PING, b"2");
        sent.extend(end.write(12_000));
        end.poll();
        end.receive_frame(PING, b"3");
        sent.extend(end.flush());
        let order: Vec<_> =
            frames(role, &sent).iter().map(|(first, payload)| (*first, payload.first().copied())).collect();
        let expected = [
            (0x02, Some(1)),
            (PONG, Some(b'1')),
            (0x00, Some(2)),
            (PONG, Some(b'2')),
            (0x80, None),
            (BINARY, Some(3)),
            (PONG, Some(b'3')),
        ];
        assert_eq!(order, expected, "{role:?}");
    }
}

#[test]
fn pongs_coalesce_to_the_latest_once_output_is_blocked() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.send(&vec![0; 100_000]).unwrap();
        let mut sent = end.write(10);
        let before = end.connection.buffered_amount();
        for n in 0..10_000_u32 {
            end.receive_frame(PING, &n.to_be_bytes());
        }
        assert!(end.connection.buffered_amount() < before + 200, "{role:?}: bounded, whatever the peer sends");
        sent.extend(end.flush());
        let sent = frames(role, &sent);
        assert_eq!(sent[0], (BINARY, vec![0; 100_000]));
        assert!(sent.len() > 2, "a few are answered each");
        // 5.5.3: "MAY elect to send a Pong frame for only the most recently processed Ping frame"
        assert_eq!(sent.last(), Some(&(PONG, 9_999_u32.to_be_bytes().to_vec())), "{role:?}");
    }
}

#[test]
fn a_ping_of_ours_is_not_replaced_by_the_pongs_that_coalesce() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.send(&vec![0; 100_000]).unwrap();
        let mut sent = end.write(10);
        for n in 0..20_u32 {
            end.receive_frame(PING, &n.to_be_bytes());
        }
        assert!(end.connection.ping(b"are you there?").is_ok());
        for n in 20..40_u32 {
            end.receive_frame(PING, &n.to_be_bytes());
        }
        sent.extend(end.flush());
        let sent = frames(role, &sent);
        assert!(sent.contains(&(PING, b"are you there?".to_vec())), "{role:?}: `ping` answered Ok: {sent:02x?}");
        assert!(sent.contains(&(PONG, 39_u32.to_be_bytes().to_vec())), "{role:?}");
    }
}

#[test]
fn a_close_waits_behind_accepted_data_and_pongs_do_not_follow_it() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.send(&vec![1; 50_000]).unwrap();
        let mut sent = end.write(10);
        let _ = end.send(&vec![2; 50_000]).unwrap();
        end.receive_frame(PING, b"?");
        end.receive_frame(CLOSE, &close_payload(1000, ""));
        end.receive_frame(PING, b"too late");
        sent.extend(end.flush());
        let order: Vec<_> = frames(role, &sent).into_iter().map(|(first, _)| first).collect();
        assert_eq!(order, [BINARY, PONG, BINARY, CLOSE], "{role:?}");
    }
}

#[test]
fn no_drain_once_the_connection_is_closing() {
    for role in ROLES {
        let mut end = Endpoint::new(role, small());
        assert_eq!(end.send(&[0; 1_500]), Ok(SendStatus::Backpressure));
        end.close(1000, "");
        end.flush();
        assert_eq!(drains(&end.seen), 0, "{role:?}: there is nothing more to send");
    }
}

/// Tops up what `end` pushes to 1,800 bytes, lets the peer send one message, which is answered with one byte.
fn push_and_answer(end: &mut Endpoint) {
    while end.connection.buffered_amount() < 1_800 {
        let _ = end.send(&[b'p'; 50]).unwrap();
    }
    end.echo();
    end.receive_frame(BINARY, b"a");
    end.listen();
}

#[test]
fn answers_that_have_left_do_not_hold_back_reading() {
    for role in ROLES {
        let mut end = Endpoint::new(role, small());
        for round in 0..1_000 {
            push_and_answer(&mut end);
            end.write(300);
            end.poll();
            assert!(end.connection.wants_read(), "{role:?}, round {round}: at most 6 answers of 8 bytes wait");
        }
        assert_eq!(end.take_seen().iter().filter(|seen| matches!(seen, Seen::Binary(_))).count(), 1_000);
    }
}

#[test]
fn a_withheld_peer_is_read_again_when_its_answers_have_left_whatever_is_pushed_behind_them() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.high_water_mark(1_000).low_water_mark(100)));
        common::answer(&mut end, 1_500);
        let answers = end.connection.buffered_amount();
        let _ = end.send(&[b'p'; 10_000]).unwrap();
        end.write(answers - 101);
        end.poll();
        assert!(!end.connection.wants_read(), "{role:?}: one byte above the low mark");
        end.write(1);
        end.poll();
        assert!(end.connection.wants_read(), "{role:?}");
    }
}

/// An empty message is two bytes: the limit of messages comes long before the high-water mark.
#[test]
fn an_echo_of_messages_without_content_loses_none() {
    for role in ROLES {
        let limits = config(|config| config.max_send_messages(1_000));
        let mut end = Endpoint::new(role, limits);
        end.echo();
        let read: Vec<u8> = (0..10_000).flat_map(|_| frame(role.peer(), TEXT, b"")).collect();
        end.receive(&read);
        assert!(!end.connection.wants_read(), "{role:?}: half of them wait");
        let mut echoes = Vec::new();
        while end.connection.wants_write() {
            echoes.extend(end.write(333));
            end.poll();
        }
        assert_eq!(end.refused, 0, "{role:?}");
        assert_eq!(frames(role, &echoes).len(), 10_000, "{role:?}");
        assert!(end.connection.wants_read());
    }
}

/// Two ends that push much and answer little must not wait for each other.
#[test]
fn many_messages_that_are_no_answers_do_not_hold_back_reading() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.max_send_messages(1_000)));
        common::answer(&mut end, 1);
        for _ in 0..900 {
            let _ = end.send(b"").unwrap();
        }
        end.receive_frame(TEXT, b"heard");
        assert_eq!(end.take_seen(), [Seen::Text("heard".into())], "{role:?}");
        assert!(end.connection.wants_read(), "{role:?}");
    }
}
