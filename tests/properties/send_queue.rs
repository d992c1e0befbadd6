//! The send queue: random sends, short writes, Pings of both sides; what the peer reads, beside what was accepted.

use proptest::{prelude::*, sample::select};
use wireroom::{Kind, PreparedMessage, SendError, SendStatus};

use crate::common::{Endpoint, ROLES, Role, Seen, config, frame, frames, header};

const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

const HIGH: usize = 4_000;
const LOW: usize = 500;
const FULL: usize = 20_000;
/// So many control frames leave in their own right while output is blocked, before Pongs give way to later ones.
const FEW: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    SendBytes(usize),
    Prepared(usize),
    /// A fragment, and the end of its message.
    Fragments(usize),
    Ping,
    /// So many Pings come in one read.
    PeerPings(u8),
    Write(usize),
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![4 => 0..200_usize, 2 => 0..2_000_usize, 1 => 4_090..5_000_usize];
    prop_oneof![
        4 => size().prop_map(Step::Send),
        2 => size().prop_map(Step::SendBytes),
        2 => size().prop_map(Step::Prepared),
        1 => size().prop_map(Step::Fragments),
        2 => Just(Step::Ping),
        6 => (1..12_u8).prop_map(Step::PeerPings),
        8 => prop_oneof![0..20_usize, 0..300_usize, 0..5_000_usize].prop_map(Step::Write),
        1 => Just(Step::Flush),
    ]
}

/// A control frame that was queued while output was blocked, and none stood in line: so it may overtake.
#[derive(Clone, Debug)]
struct Urgent {
    frame: (u8, Vec<u8>),
    /// Bytes that had left.
    left: usize,
    /// How many waited like this already since output was last free: of Pongs above a few, only the latest is promised.
    before: usize,
}

/// Everything that was accepted, in the order of the calls.
struct Model {
    role: Role,
    line: Vec<(u8, Vec<u8>)>,
    urgent: Vec<Urgent>,
    left: Vec<u8>,
    waits: bool,
    /// The last write was not taken whole, and the queue has not been empty since.
    blocked: bool,
    /// A control frame stands in line.
    control_in_line: bool,
    urgent_since: usize,
    drain_owed: bool,
    drains: usize,
    controls: u32,
}

impl Model {
    fn control(&mut self, first: u8, payload: Vec<u8>) {
        let frame = (first, payload);
        self.control_in_line &= self.waits;
        if self.blocked && !self.control_in_line {
            self.urgent.push(Urgent { frame, left: self.left.len(), before: self.urgent_since });
            self.urgent_since += 1;
        } else {
            self.control_in_line = true;
            self.line.push(frame);
        }
        self.waits = true;
    }

    fn accepted(&mut self, end: &Endpoint, sent: Result<SendStatus, SendError>, before: usize) -> bool {
        let waiting = end.connection.buffered_amount();
        match sent {
            Ok(status) => {
                assert_eq!(status == SendStatus::Backpressure, waiting > HIGH, "{waiting} wait");
                self.drain_owed |= waiting > HIGH;
            }
            Err(SendError::BufferFull { buffered, limit }) => {
                assert_eq!((buffered, limit, waiting), (before, FULL, before), "refused as a whole");
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(sent.is_err(), before >= FULL, "taken whole below the limit, and only there");
        // The control frames that stood in line have left with the rest.
        self.control_in_line &= self.waits;
        self.waits |= sent.is_ok();
        sent.is_ok()
    }

    /// `rest` waited when the write was done.
    fn wrote(&mut self, end: &mut Endpoint, bytes: &[u8], rest: usize) {
        self.left.extend(bytes);
        // Events were taken behind the write: the answers to Pings that were held back are queued by now.
        let seen = end.take_seen();
        self.heard(end, seen, rest);
    }

    /// Events at one end: the peer's Pings are answered, and a Drain comes when it is owed. `least` waited before them: the
    /// answers to Pings can lift what waits above the mark again, behind the Drain.
    fn heard(&mut self, end: &Endpoint, seen: Vec<Seen>, least: usize) {
        for seen in seen {
            match seen {
                Seen::Ping(payload) => self.control(PONG, payload),
                Seen::Drain => self.drains += 1,
                other => panic!("{other:?}"),
            }
        }
        let may = self.drain_owed && least.min(end.connection.buffered_amount()) <= LOW;
        let must = self.drain_owed && end.connection.buffered_amount() <= LOW;
        assert!(self.drains >= usize::from(must), "a Drain at the low-water mark");
        assert!(self.drains <= usize::from(may), "once, and not above it");
        self.drain_owed &= self.drains == 0;
        self.drains = 0;
    }
}

fn run(role: Role, steps: &[Step]) {
    let mut end =
        Endpoint::new(role, config(|config| config.high_water_mark(HIGH).low_water_mark(LOW).max_send_buffer(FULL)));
    let mut model = Model {
        role,
        line: Vec::new(),
        urgent: Vec::new(),
        left: Vec::new(),
        waits: false,
        blocked: false,
        control_in_line: false,
        urgent_since: 0,
        drain_owed: false,
        drains: 0,
        controls: 0,
    };
    let mut pinged = 0_u32;
    for (n, step) in steps.iter().chain([&Step::Flush]).enumerate() {
        let before = end.connection.buffered_amount();
        let payload = |size: usize| -> Vec<u8> { (0..size).map(|i| (n + i / 5) as u8).collect() };
        match *step {
            Step::Send(size) => {
                let sent = end.send(&payload(size));
                if model.accepted(&end, sent, before) {
                    model.line.push((BINARY, payload(size)));
                }
            }
            Step::SendBytes(size) => {
                let sent = end.connection.send_bytes(Kind::Binary, payload(size).into());
                if model.accepted(&end, sent, before) {
                    model.line.push((BINARY, payload(size)));
                }
            }
            Step::Prepared(size) => {
                let sent = end.connection.send_prepared(&PreparedMessage::new(&payload(size)));
                if model.accepted(&end, sent, before) {
                    model.line.push((BINARY, payload(size)));
                }
            }
            Step::Fragments(size) => {
                let mut writer = end.connection.writer(Kind::Binary).unwrap();
                let sent = writer.write(&payload(size));
                let begun = sent.is_ok();
                let ended = writer.finish();
                assert_eq!(ended.is_ok(), begun, "what was begun can be ended, and only that");
                model.drain_owed |= ended != Ok(SendStatus::Queued) || sent != Ok(SendStatus::Queued);
                if begun {
                    model.control_in_line &= model.waits;
                    model.line.extend([(0x02, payload(size)), (0x80, Vec::new())]);
                    model.waits = true;
                }
            }
            Step::Ping => {
                let payload = model.controls.to_be_bytes();
                model.controls += 1;
                let sent = end.connection.ping(&payload);
                if model.accepted(&end, sent, before) {
                    model.control(PING, payload.to_vec());
                }
            }
            Step::PeerPings(count) => {
                // One that is not read from sends nothing.
                if end.connection.wants_read() {
                    let read: Vec<u8> = (0..count)
                        .flat_map(|_| {
                            pinged += 1;
                            frame(role.peer(), PING, format!("{pinged:40}").as_bytes())
                        })
                        .collect();
                    end.receive(&read);
                    let seen = end.take_seen();
                    model.heard(&end, seen, before);
                }
            }
            Step::Write(_) | Step::Flush => {
                let n = if let Step::Write(n) = *step { n } else { before };
                // What the write leaves behind blocks, before anything is queued in answer.
                let rest = before.saturating_sub(n);
                if before > 0 {
                    model.blocked = rest > 0;
                    model.waits = rest > 0;
                    if rest == 0 {
                        model.urgent_since = 0;
                    }
                }
                let bytes = end.write(n);
                assert_eq!(bytes.len(), before.min(n));
                model.wrote(&mut end, &bytes, rest);
            }
        }
    }
    let bytes = end.flush();
    model.wrote(&mut end, &bytes, 0);
    check(&model);
}

fn check(model: &Model) {
    let sent = frames(model.role, &model.left);
    let is_urgent = |frame: &&(u8, Vec<u8>)| model.urgent.iter().any(|urgent| urgent.frame == **frame);
    let line: Vec<_> = sent.iter().filter(|frame| !is_urgent(frame)).collect();
    assert_eq!(line, model.line.iter().collect::<Vec<_>>(), "what stood in line leaves in order, whole, once");

    // What overtakes leaves in order, too; of many Pongs the latest.
    let overtook: Vec<_> = sent.iter().filter(is_urgent).collect();
    let mut expected = model.urgent.iter().enumerate().peekable();
    for frame in &overtook {
        let found = expected.find(|(_, urgent)| urgent.frame == **frame);
        assert!(found.is_some(), "{frame:02x?} out of order or twice");
    }
    for (n, urgent) in model.urgent.iter().enumerate() {
        let came = overtook.contains(&&urgent.frame);
        let last_of_pongs = model.urgent.get(n + 1).is_none_or(|next| next.frame.0 != PONG || next.before == 0);
        let may_give_way = urgent.frame.0 == PONG && !last_of_pongs && urgent.before + 1 >= FEW;
        assert!(came || may_give_way, "{urgent:02x?} is lost");
    }

    // It leaves with the next boundary of a frame: only others that overtake are before it.
    let ends: Vec<usize> = sent
        .iter()
        .scan(0, |end, (first, payload)| {
            *end += header(model.role, *first, payload.len() as u64).len() + payload.len();
            Some(*end)
        })
        .collect();
    for urgent in &model.urgent {
        let Some(at) = sent.iter().position(|frame| *frame == urgent.frame) else { continue };
        let started = ends.iter().filter(|end| **end <= urgent.left).count();
        // The frame of which a part had left; at a boundary there is none.
        let begun = urgent.left > started.checked_sub(1).map_or(0, |last| ends[last]);
        let between = &sent[(started + usize::from(begun)).min(at)..at];
        assert!(between.iter().all(|frame| is_urgent(&frame)), "{urgent:02x?} waited behind {between:02x?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn what_was_accepted_leaves_once_in_order_and_control_frames_overtake_between_frames(
        role in select(&ROLES[..]),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        run(role, &steps);
    }
}
