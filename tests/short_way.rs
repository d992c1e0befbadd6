//! The short way of most messages is no other way: a connection that takes it and one that does not, because it counts, are
//! given the same calls, and nobody can tell them apart.

mod common;

use bytes::Buf;
use common::{ROLES, Role, close_payload, connection_with, frame, start};
use wireroom::{
    CloseCode, Config, Connection, Event, Kind, PreparedMessage, RecvBuffer, SlowConsumer, handshake::Extensions,
};

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.roll(n) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

struct End {
    connection: Connection,
    rx: RecvBuffer,
}

fn told(event: &Event<'_>) -> String {
    match event {
        Event::Closed(closed) => format!("{closed:?}"),
        event => format!("{event:?}"),
    }
}

fn size(dice: &mut Dice) -> usize {
    let most = dice.of(&[1, 5, 130, 400]);
    match dice.roll(12) {
        0 => dice.of(&[0, 1, 124, 125, 126, 127]),
        1 => dice.of(&[65_534, 65_535, 65_536]),
        _ => dice.roll(most),
    }
}

/// A frame of the peer, mostly a good one.
fn arrival(dice: &mut Dice, peer: Role) -> Vec<u8> {
    let first = match dice.roll(40) {
        0..14 => 0x82,
        14..28 => 0x81,
        28 => 0x01,
        29 => 0x02,
        30 => 0x80,
        31 => 0x00,
        32..36 => 0x89,
        36..38 => 0x8A,
        38 if dice.one_in(20) => dice.roll(256) as u8,
        _ if dice.one_in(10) => 0x88,
        _ => 0x82,
    };
    let control = first & 8 != 0;
    let length = if control { dice.roll(126) } else { size(dice) };
    let mut payload: Vec<u8> = (0..length).map(|_| b'a' + dice.roll(26) as u8).collect();
    if first == 0x88 {
        payload = close_payload(1000, "bye");
    } else if !control && dice.one_in(40) {
        payload.extend_from_slice("é€😀".as_bytes());
        if dice.one_in(8) {
            payload.pop();
        }
    }
    let mut bytes = frame(peer, first, &payload);
    if dice.one_in(400) {
        let at = dice.roll(bytes.len());
        bytes[at] ^= 1 << dice.roll(8);
    }
    bytes
}

fn settings(dice: &mut Dice) -> (wireroom::ConfigBuilder, String) {
    let low = dice.of(&[0, 1, 2, 60, 200, 2_000, 300_000]);
    let high = (low + dice.of(&[1, 2, 50, 1_000])).max(1);
    let buffer = (high + dice.of(&[1, 100, 100_000])).max(1);
    let messages = dice.of(&[1, 2, 3, 4, 5, 8, 20, 200, 16_384]);
    let largest = dice.of(&[0, 1, 124, 125, 126, 500, 65_535, 65_536, 1 << 20]);
    let slow = dice.of(&[
        SlowConsumer::Refuse,
        SlowConsumer::Close(CloseCode::TRY_AGAIN_LATER),
        SlowConsumer::DropNewest,
        SlowConsumer::DropOldest,
    ]);
    let streaming = dice.one_in(8);
    let said = format!("{low} {high} {buffer} {messages} {largest} {slow:?} {streaming}");
    let config = Config::builder()
        .low_water_mark(low)
        .high_water_mark(high)
        .max_send_buffer(buffer)
        .max_send_messages(messages)
        .max_message_size(largest)
        .slow_consumer(slow)
        .streaming(streaming)
        .keepalive_interval(None);
    (config, said)
}

/// Every third connection may compress: what it sends takes the long way then.
fn agreed(round: u64) -> Extensions {
    #[cfg(feature = "deflate")]
    if round.is_multiple_of(3) {
        return Extensions::none().with_deflate(Default::default());
    }
    let _ = round;
    Extensions::none()
}

#[test]
fn the_short_way_cannot_be_told_from_the_long_one() {
    let rounds = std::env::var("ROUNDS").map_or(60, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    for round in seed..seed + rounds {
        for role in ROLES {
            compare(round, role);
        }
    }
}

fn compare(round: u64, role: Role) {
    let mut dice = Dice(round.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let (config, said) = settings(&mut dice);
    let peer = if role == Role::Server { Role::Client } else { Role::Server };
    let Ok(quiet) = config.clone().build() else { return };
    let counting = config.statistics(true).build().unwrap();
    let mut now = start();
    let mut ends = [quiet, counting]
        .map(|config| End { connection: connection_with(role, config, agreed(round), now), rx: RecvBuffer::new() });
    let mut bytes_out = [Vec::new(), Vec::new()];
    let steps = 10 + dice.roll(150);
    let echoes = dice.one_in(2);
    let mut ended = [false; 2];
    for step in 0..steps {
        let what = dice.roll(34);
        let context = format!("round {round} {role:?} step {step} what {what}: {said}");
        now += std::time::Duration::from_millis(dice.roll(3) as u64);
        let saved = dice.0;
        let mut outcomes: [Vec<String>; 2] = Default::default();
        for (n, end) in ends.iter_mut().enumerate() {
            let (outcome, out) = (&mut outcomes[n], &mut bytes_out[n]);
            dice.0 = saved;
            let End { connection, rx } = end;
            let note = &mut |what: String| outcome.push(what);
            match what {
                0..10 => {
                    let mut bytes = Vec::new();
                    let most = dice.of(&[1, 4, 30]);
                    for _ in 0..=dice.roll(most) {
                        bytes.extend(arrival(&mut dice, peer));
                    }
                    let mut rest = &bytes[..];
                    let cut = if dice.one_in(3) { dice.roll(bytes.len()) } else { bytes.len() };
                    if !ended[n] {
                        rx.extend(&rest[..cut]);
                        rest = &rest[cut..];
                        if dice.one_in(2) {
                            poll(connection, rx, now, &mut dice, echoes, note);
                        }
                        rx.extend(rest);
                    }
                }
                10..18 => poll(connection, rx, now, &mut dice, echoes, note),
                18..22 => {
                    for _ in 0..=dice.roll(6) {
                        send(connection, &mut dice, note);
                    }
                }
                22..26 => {
                    let most = if dice.one_in(2) { usize::MAX } else { dice.roll(300) };
                    write(connection, out, most);
                }
                26 => note(format!("{:?}", connection.ping(&vec![7; dice.roll(127)]))),
                27 => note(format!("{:?}", connection.pong(b"x"))),
                28 => connection.pause(),
                29 => connection.resume(now),
                30 => note(format!("{}", connection.set_streaming(dice.one_in(2)))),
                31 if dice.one_in(6) => connection.close(CloseCode::NORMAL, "done", now),
                32 if dice.one_in(8) => {
                    connection.handle_eof();
                    ended[n] = true;
                }
                33 => connection.handle_timeout(now),
                _ => poll(connection, rx, now, &mut dice, echoes, note),
            }
            outcome.push(format!(
                "{} {} {} {} {:?} {:?} {} {}",
                connection.wants_read(),
                connection.wants_write(),
                connection.wants_poll(),
                connection.buffered_amount(),
                connection.transport(),
                connection.poll_timeout(),
                connection.is_open(),
                rx.len(),
            ));
        }
        assert_eq!(outcomes[0], outcomes[1], "{context}");
        assert!(bytes_out[0] == bytes_out[1], "{context}");
    }
    for ((end, out), mut dice) in ends.iter_mut().zip(&mut bytes_out).zip([Dice(round), Dice(round)]) {
        for _ in 0..3 {
            end.connection.resume(now);
            poll(&mut end.connection, &mut end.rx, now, &mut dice, echoes, &mut |_| ());
            write(&mut end.connection, out, usize::MAX);
        }
    }
    assert!(bytes_out[0] == bytes_out[1], "round {round} {role:?}: {said}");
}

fn write(connection: &mut Connection, out: &mut Vec<u8>, mut n: usize) {
    while n > 0 && connection.wants_write() {
        let queue = connection.transmit();
        let chunk = queue.chunk();
        let taken = chunk.len().min(n);
        out.extend_from_slice(&chunk[..taken]);
        queue.advance(taken);
        n -= taken;
    }
    if connection.wants_write() {
        connection.transmit().advance(0);
    }
}

fn send(connection: &mut Connection, dice: &mut Dice, note: &mut impl FnMut(String)) {
    let payload = "x".repeat(size(dice));
    let status = match dice.roll(12) {
        0 => connection.send_prepared(&PreparedMessage::new(&*payload)),
        1 => connection.send_prepared(&PreparedMessage::new(&*payload).latest_of("key")),
        2 => connection.send_prepared(&PreparedMessage::new(&*payload).slow_consumer(SlowConsumer::DropOldest)),
        3 => connection.send_bytes(Kind::Binary, payload.into()),
        4 if dice.one_in(2) => match connection.writer(Kind::Text) {
            Ok(mut writer) => {
                let written = writer.write(payload.as_bytes());
                if dice.one_in(2) {
                    note(format!("{:?}", writer.finish()));
                }
                written
            }
            Err(error) => Err(error),
        },
        5..8 => connection.send(payload.as_bytes()),
        _ => connection.send(&*payload),
    };
    note(format!("{status:?}"));
}

fn poll(
    connection: &mut Connection,
    rx: &mut RecvBuffer,
    now: std::time::Instant,
    dice: &mut Dice,
    echoes: bool,
    note: &mut impl FnMut(String),
) {
    while let Some(event) = connection.poll_event(rx, now) {
        note(told(&event));
        if echoes && let Event::Message(message) = event {
            note(format!("{:?}", connection.send(message)));
        }
        match dice.roll(60) {
            0 => connection.pause(),
            1 => send(connection, dice, note),
            2 => note(format!("{}", connection.set_streaming(dice.one_in(2)))),
            3 if dice.one_in(5) => connection.close(CloseCode::NORMAL, "done", now),
            4 => note(format!("{:?}", rx.take_message().map(|message| message.len()))),
            5 => return,
            _ => {}
        }
    }
}
