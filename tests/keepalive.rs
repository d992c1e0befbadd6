//! Keepalive and idle timers on a virtual clock (RFC 6455 section 5.5.2: a Ping "may serve either as a keepalive or as
//! a means to verify that the remote endpoint is still responsive").

mod common;

use std::time::Duration;

use common::{Endpoint, Pair, ROLES, Role, Seen, close_payload, config, frame};
use wireroom::{Config, Initiator, Transport};

const CLOSE: u8 = 0x88;
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

const MILLISECOND: Duration = Duration::from_millis(1);
/// The defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(20);

fn pings(end: &mut Endpoint) -> usize {
    let frames = end.flush_frames();
    assert!(frames.iter().all(|(first, _)| *first == PING), "{frames:02x?}");
    frames.len()
}

#[test]
fn a_silent_peer_is_pinged_once_then_given_up_with_1011() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        assert_eq!(end.connection.poll_timeout(), Some(end.now() + INTERVAL));
        end.advance(INTERVAL - MILLISECOND);
        assert_eq!(pings(&mut end), 0, "{role:?}");
        end.advance(MILLISECOND);
        assert_eq!(pings(&mut end), 1, "{role:?}");
        end.advance(TIMEOUT - MILLISECOND);
        assert_eq!(pings(&mut end), 0, "one Ping is enough");
        assert!(!end.is_closed());
        end.advance(MILLISECOND);
        let ending = end.ending();
        assert_eq!(ending.cause, "Timeout(Keepalive)");
        assert_eq!((ending.local_code(), ending.initiator), (Some(1011), Some(Initiator::Local)));
        assert_eq!(end.transport(), Transport::Close);
        let frames = end.flush_frames();
        assert!(
            matches!(&frames[..], [(CLOSE, payload)] if payload[..2] == 1011_u16.to_be_bytes()),
            "one attempt to say why: {frames:02x?}"
        );
        assert_eq!(end.connection.poll_timeout(), None);
    }
}

#[test]
fn a_pong_gives_the_peer_another_interval() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        for round in 0..100 {
            end.advance(INTERVAL);
            assert_eq!(pings(&mut end), 1, "{role:?}, round {round}");
            end.advance(TIMEOUT - MILLISECOND);
            end.receive_frame(PONG, b"");
            assert_eq!(end.take_seen(), [Seen::Pong(Vec::new())]);
        }
    }
}

#[test]
fn any_bytes_count_as_life_half_a_frame_too() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let bytes = frame(role.peer(), TEXT, &[b'x'; 100]);
        for byte in &bytes[..20] {
            end.advance(INTERVAL - MILLISECOND);
            end.receive(&[*byte]);
        }
        assert_eq!(pings(&mut end), 0, "{role:?}: it was never silent for so long");
        end.advance(INTERVAL);
        assert_eq!(pings(&mut end), 1);
        end.advance(TIMEOUT - MILLISECOND);
        end.receive(&bytes[20..21]);
        end.advance(INTERVAL - MILLISECOND);
        assert!(!end.is_closed(), "{role:?}: a byte answers the Ping");
        assert_eq!(end.connection.poll_timeout(), Some(end.now() + MILLISECOND));
    }
}

#[test]
fn a_pause_suspends_the_deadlines_of_a_peer_that_is_not_listened_to() {
    for role in ROLES {
        for pinged in [false, true] {
            let mut end = Endpoint::new(role, Config::default());
            if pinged {
                end.advance(INTERVAL);
                assert_eq!(pings(&mut end), 1);
            }
            end.connection.pause();
            assert!(!end.connection.wants_read());
            assert_eq!(end.connection.poll_timeout(), None, "{role:?}, pinged: {pinged}");
            end.advance(INTERVAL * 100);
            assert_eq!(pings(&mut end), 0);
            assert!(!end.is_closed());
            end.connection.resume(end.now());
            end.poll();
            assert!(end.connection.wants_read());
            assert!(end.connection.is_open(), "{role:?}: the pause is not held against the peer");
            end.advance(INTERVAL - MILLISECOND);
            assert_eq!(pings(&mut end), 0, "{role:?}: the interval begins with the resume");
            end.advance(MILLISECOND);
            assert_eq!(pings(&mut end), 1);
        }
    }
}

#[test]
fn a_pause_suspends_the_idle_timeout_too() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.idle_timeout(Some(INTERVAL / 2))));
        end.connection.pause();
        end.advance(INTERVAL * 100);
        end.connection.resume(end.now());
        end.poll();
        end.advance(INTERVAL / 2 - MILLISECOND);
        assert!(end.connection.is_open(), "{role:?}: it had no chance to be heard");
        end.advance(MILLISECOND);
        assert!(!end.connection.is_open());
    }
}

#[test]
fn a_peer_whose_messages_are_withheld_is_not_idle() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.idle_timeout(Some(INTERVAL))));
        common::answer(&mut end, 1_000_000);
        end.receive_frame(TEXT, b"not idle at all");
        for _ in 0..20 {
            end.advance(INTERVAL - MILLISECOND);
            end.write(1000);
            end.poll();
        }
        assert!(end.connection.is_open(), "{role:?}: it takes our bytes, and its own wait");
        end.flush();
        assert!(end.take_seen().contains(&Seen::Text("not idle at all".into())));
    }
}

#[test]
fn messages_that_came_before_a_pause_arrive_after_it() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        end.connection.pause();
        end.receive_frame(TEXT, b"one");
        end.receive_frame(PING, b"two");
        assert_eq!(end.take_seen(), []);
        end.connection.resume(end.now());
        end.poll();
        assert_eq!(end.take_seen(), [Seen::Text("one".into()), Seen::Ping(b"two".to_vec())], "{role:?}");
    }
}

#[test]
fn bytes_that_the_peer_takes_count_as_life_while_it_is_not_read_from() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        common::answer(&mut end, 1_000_000);
        assert!(!end.connection.wants_read(), "above the high-water mark");
        for round in 0..20 {
            end.advance(INTERVAL + TIMEOUT / 2);
            assert!(!end.is_closed(), "{role:?}, round {round}: it is slow, not dead");
            assert_eq!(end.write(1000).len(), 1000);
            end.poll();
        }
        end.advance(INTERVAL + TIMEOUT + INTERVAL + TIMEOUT);
        assert_eq!(end.ending().cause, "Timeout(Keepalive)", "{role:?}: it takes nothing any more");
    }
}

#[test]
fn without_an_interval_a_silent_peer_may_stay() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.keepalive_interval(None)));
        end.advance(INTERVAL * 10_000);
        assert_eq!(end.flush(), [0; 0], "{role:?}");
        assert!(end.connection.is_open());
    }
}

#[test]
fn a_peer_without_messages_is_closed_with_1001_though_it_answers_pings() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.idle_timeout(Some(Duration::from_secs(100)))));
        for _ in 0..9 {
            end.advance(Duration::from_secs(10));
            end.receive_frame(PONG, b"");
        }
        end.receive_frame(TEXT, b"a message");
        for _ in 0..9 {
            end.advance(Duration::from_secs(10));
            end.receive_frame(PONG, b"");
            assert!(end.connection.is_open(), "{role:?}");
        }
        end.flush();
        end.advance(Duration::from_secs(10));
        assert!(!end.connection.is_open());
        assert_eq!(end.flush_frames(), [(CLOSE, close_payload(1001, "idle"))], "{role:?}");
        end.receive_frame(CLOSE, &close_payload(1001, ""));
        assert_eq!(end.ending().cause, "Clean");
    }
}

#[test]
fn a_closing_connection_is_not_pinged() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.close_timeout(INTERVAL * 4)));
        end.close(1000, "");
        assert_eq!(end.flush_frames().len(), 1);
        end.advance(INTERVAL * 4 - MILLISECOND);
        assert_eq!(end.flush(), [0; 0], "{role:?}");
        end.advance(MILLISECOND);
        assert_eq!(end.ending().cause, "Timeout(Close)");
    }
}

#[test]
fn calling_too_early_or_too_often_does_no_harm() {
    let mut end = Endpoint::new(Role::Server, Config::default());
    for _ in 0..1000 {
        end.connection.handle_timeout(end.now());
    }
    assert_eq!(pings(&mut end), 0);
    end.advance(INTERVAL);
    for _ in 0..1000 {
        end.connection.handle_timeout(end.now());
    }
    assert_eq!(pings(&mut end), 1);
}

#[test]
fn two_idle_ends_keep_each_other_alive_for_10_days() {
    let mut pair = Pair::new();
    for _ in 0..10 {
        pair.advance(Duration::from_secs(24 * 3600));
    }
    for end in [&pair.client, &pair.server] {
        assert!(end.connection.is_open());
        let pongs = end.seen.iter().filter(|seen| matches!(seen, Seen::Pong(_))).count();
        let pings = end.seen.iter().filter(|seen| matches!(seen, Seen::Ping(_))).count();
        assert!(pongs + pings > 10_000, "{:?}: {pings} Pings, {pongs} Pongs", end.role);
    }
}

#[test]
fn the_smallest_times_work() {
    let smallest = config(|config| config.keepalive_interval(Some(MILLISECOND)).keepalive_timeout(MILLISECOND));
    let mut end = Endpoint::new(Role::Server, smallest);
    end.advance(MILLISECOND);
    assert_eq!(pings(&mut end), 1);
    end.advance(MILLISECOND);
    assert_eq!(end.ending().cause, "Timeout(Keepalive)");
    // below the timers' resolution, and so rounded up to it: a deadline at once, again and again, would hang a driver
    let nanosecond = Duration::from_nanos(1);
    let below = config(|config| config.keepalive_interval(Some(nanosecond)).keepalive_timeout(nanosecond));
    let mut end = Endpoint::new(Role::Server, below);
    end.advance(MILLISECOND);
    assert_eq!(pings(&mut end), 1);
    end.advance(MILLISECOND);
    assert_eq!(end.ending().cause, "Timeout(Keepalive)");
}

#[test]
fn a_peer_that_takes_our_bytes_and_sends_no_message_is_idle() {
    for role in ROLES {
        let mut end = Endpoint::new(role, config(|config| config.idle_timeout(Some(2 * INTERVAL))));
        let _ = end.send(&vec![0; 1_000_000]).unwrap();
        for _ in 0..4 {
            end.write(1000);
            end.poll();
            assert!(end.connection.wants_read() && end.connection.is_open());
            end.advance(INTERVAL / 2);
        }
        assert!(!end.connection.is_open(), "{role:?}: it was read from all the time");
    }
}

/// The time for an answer begins when the Ping leaves, also when it leaves with all that it waited behind.
#[test]
fn a_ping_that_waited_for_a_slow_reader_is_given_its_time() {
    for role in ROLES {
        let mut end = Endpoint::new(role, Config::default());
        let _ = end.send(&vec![0; 500_000]).unwrap();
        end.write(1);
        end.advance(2 * INTERVAL);
        end.advance(TIMEOUT - MILLISECOND);
        end.write(usize::MAX);
        end.advance(TIMEOUT - MILLISECOND);
        assert!(end.connection.is_open(), "{role:?}: that its system has taken it counts as life");
        end.advance(INTERVAL + 2 * MILLISECOND);
        assert!(!end.connection.is_open(), "{role:?}: it has not answered the next");
    }
}

#[test]
fn an_idle_time_that_spans_the_25th_day_is_kept_to_the_millisecond() {
    // Timers count milliseconds in 32 bits, and start anew before they overflow.
    const DAY: Duration = Duration::from_secs(24 * 3600);
    for role in ROLES {
        let limits = config(|config| config.keepalive_interval(None).idle_timeout(Some(10 * DAY)));
        let mut end = Endpoint::new(role, limits);
        for _ in 0..4 {
            end.advance(5 * DAY);
            end.receive_frame(TEXT, b"here");
        }
        end.advance(5 * DAY);
        end.receive_frame(PING, b"no message");
        end.advance(5 * DAY - MILLISECOND);
        assert!(end.connection.is_open(), "{role:?}: day 30 has not come");
        end.advance(MILLISECOND);
        assert!(!end.connection.is_open(), "{role:?}: 10 days without a message");
    }
}
