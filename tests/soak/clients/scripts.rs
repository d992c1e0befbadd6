//! What raw sockets do: each script has a name, and the referee knows how its connection has to end.

use std::{io, net::SocketAddr, time::Duration};

use wireroom::Kind;

use super::{
    Shared,
    faults::{self, frame, upgrade},
    raw::{Raw, Step},
};
use crate::{random::Random, wire::LONGEST};

/// The longest time until a silent peer is given up, and a script around it.
const VANISHING: Duration = Duration::from_secs(15);

/// The same where a flood may fill the system's buffers first, which counts as life.
const FILLING: Duration = Duration::from_secs(24);

/// A script at random that is done within `left`, where that can be.
pub(super) fn choose(number: u64, address: SocketAddr, left: Duration, shared: &mut Shared) -> io::Result<Raw> {
    let mut what = shared.random.below(100);
    // Slow ones are at the front.
    if left < 2 * VANISHING {
        what = what.max(20);
    }
    let random = &mut shared.random;
    let soon = random.millis(0, 400);
    let greet = || vec![Step::Send(upgrade("/soak", number, "")), Step::Status(101)];
    let length = random.below(3_000);
    let bytes: Vec<u8> = [&b"E"[..], shared.pool.body(random, Kind::Binary, length)].concat();
    let echo = || vec![Step::Send(frame(0x82, &bytes)), Step::Echo(bytes.clone())];
    let large =
        |random: &mut Random| -> Vec<u8> { [&b"E"[..], shared.pool.body(random, Kind::Binary, LONGEST)].concat() };
    // Says farewell, having sent so many messages.
    let goodbye = |sent: u64| {
        let payload = [&[0x03, 0xe8], format!("sent={sent}").as_bytes()].concat();
        vec![Step::Send(frame(0x88, &payload)), Step::Close(1000), Step::Eof]
    };
    let (did, unopened, script): (&'static str, Option<&'static str>, Vec<Vec<Step>>) = match what {
        0..5 => ("vanish", None, vec![greet(), echo(), vec![Step::Wait(VANISHING), Step::Gone]]),
        // In a room of floods, with a queue that fills.
        5..11 => {
            let join = format!("jflood{}", random.below(shared.floods));
            let join = vec![Step::Send(frame(0x81, join.as_bytes())), Step::Wait(FILLING), Step::Gone];
            ("vanish", None, vec![greet(), join])
        }
        // Wants to be closed, and does not answer.
        11..14 => ("mute", None, vec![greet(), vec![Step::Send(frame(0x81, b"k1000")), Step::Close(1000), Step::Eof]]),
        14..16 => ("silent", Some("handshake:timeout"), vec![vec![Step::Gone]]),
        16..18 => (
            "silent",
            Some("handshake:timeout"),
            vec![vec![Step::Send(b"GET /soak HTTP/1.1\r\nHos".to_vec()), Step::Gone]],
        ),
        18..20 => {
            let drip = Step::Drip(upgrade("/soak", number, ""), Duration::from_millis(4));
            ("drip", None, vec![vec![drip, Step::Status(101)], echo(), goodbye(1)])
        }
        20..40 => {
            let (bytes, status, label) = random.pick(&faults::bad_requests()).clone();
            ("bad-request", Some(label), vec![vec![Step::Send(bytes), Step::Status(status), Step::Eof]])
        }
        40..43 => {
            let half = vec![Step::Send(b"GET /soak HTTP/1.1\r\nHos".to_vec()), Step::ShutdownWrite, Step::Gone];
            ("half-request", Some("handshake:eof"), vec![half])
        }
        43..45 => {
            let plain = b"GET /plain HTTP/1.1\r\nHost: soak\r\n\r\n".to_vec();
            ("plain", Some("served"), vec![vec![Step::Send(plain), Step::Status(200), Step::ShutdownWrite, Step::Gone]])
        }
        45..49 => {
            let mut bytes = upgrade("/later", number, "");
            bytes.extend(frame(0x82, b"Ebehind"));
            (
                "close",
                None,
                vec![vec![Step::Send(bytes), Step::Status(101), Step::Echo(b"Ebehind".to_vec())], goodbye(1)],
            )
        }
        49..65 => {
            let (bytes, code, did) = random.pick(&faults::bad_frames()).clone();
            let bad = vec![Step::Wait(soon), Step::Send(bytes), Step::Close(code), Step::Eof];
            if did == "fault:InvalidDeflate" {
                let offer = upgrade("/soak", number, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
                (did, None, vec![vec![Step::Send(offer), Step::Status(101)], bad])
            } else {
                (did, None, vec![greet(), echo(), bad])
            }
        }
        65..75 => {
            ("reset", None, vec![greet(), echo(), vec![Step::Wait(soon), Step::Send(frame(0x82, &bytes)), Step::Reset]])
        }
        75..82 => {
            // Asks for much, says that it is done, and reads on: what was accepted still comes.
            let much = large(random);
            let ask = Step::Send([frame(0x82, &much), frame(0x82, &bytes)].concat());
            let halfclose = vec![
                ask,
                Step::ShutdownWrite,
                Step::Wait(soon),
                Step::Echo(much),
                Step::Echo(bytes.clone()),
                Step::Eof,
            ];
            ("half-close", None, vec![greet(), halfclose])
        }
        82..88 => ("fin", None, vec![greet(), echo(), vec![Step::Wait(soon)]]),
        // In the middle of a frame.
        88..92 => {
            let mut half = frame(0x82, &large(random));
            half.truncate(LONGEST / 2);
            ("half-frame", None, vec![greet(), vec![Step::Send(half), Step::ShutdownWrite, Step::Gone]])
        }
        92..97 => {
            let drip = vec![Step::Drip(frame(0x82, &bytes[..bytes.len().min(300)]), Duration::from_millis(3))];
            let back = vec![Step::Echo(bytes[..bytes.len().min(300)].to_vec())];
            ("drip", None, vec![greet(), drip, back, goodbye(1)])
        }
        _ => ("close", None, vec![greet(), echo(), echo(), vec![Step::Wait(soon)], goodbye(2)]),
    };
    shared.report.add("connects", 1);
    Raw::new(number, address, did, unopened, script.into_iter().flatten().collect(), shared.now)
}
