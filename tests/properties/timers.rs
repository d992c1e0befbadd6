//! Keepalive, idle and closing deadlines on the virtual clock, beside a model that looks at every deadline each time.

use std::time::Duration;

use proptest::{prelude::*, sample::select};
use wireroom::Config;

use crate::common::{Endpoint, ROLES, Role, Seen, close_payload, config, frame};

const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;

/// The times of a configuration, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    interval: Option<u64>,
    timeout: u64,
    idle: Option<u64>,
    close: u64,
}

impl Times {
    fn config(self) -> Config {
        let time = Duration::from_millis;
        config(|config| {
            let config = config.keepalive_interval(self.interval.map(time)).keepalive_timeout(time(self.timeout));
            config.idle_timeout(self.idle.map(time)).close_timeout(time(self.close))
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    /// The driver is late: it comes back when more than one deadline may have passed.
    Oversleep(u64),
    Message,
    Pong,
    HalfAFrame,
    Pause,
    Resume,
    Close,
    PeerClose,
}

/// What a user or the peer notices, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    Pinged,
    /// A Close frame left, with this code.
    Closing(u16),
    Over(&'static str),
}

#[derive(Debug)]
struct Model {
    times: Times,
    now: u64,
    heard: u64,
    message: u64,
    pinged: Option<u64>,
    closes_by: Option<u64>,
    paused: bool,
    over: bool,
    noticed: Vec<(u64, Notice)>,
}

impl Model {
    fn new(times: Times) -> Self {
        Self {
            times,
            now: 0,
            heard: 0,
            message: 0,
            pinged: None,
            closes_by: None,
            paused: false,
            over: false,
            noticed: Vec::new(),
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.noticed.push((self.now, notice));
    }

    /// The earliest deadline, and what happens then.
    fn next(&self) -> Option<(u64, Notice)> {
        if self.over {
            return None;
        }
        if let Some(by) = self.closes_by {
            return Some((by, Notice::Over("Timeout(Close)")));
        }
        if self.paused {
            return None;
        }
        let alive = self.times.interval.map(|interval| match self.pinged {
            None => (self.heard + interval, Notice::Pinged),
            Some(pinged) => (pinged + self.times.timeout, Notice::Over("Timeout(Keepalive)")),
        });
        let idle = self.times.idle.map(|idle| (self.message + idle, Notice::Closing(1001)));
        alive.into_iter().chain(idle).min_by_key(|(at, _)| *at)
    }

    fn fire(&mut self) {
        while let Some((_, notice)) = self.next().filter(|(at, _)| *at <= self.now) {
            match notice {
                Notice::Pinged => self.pinged = Some(self.now),
                Notice::Closing(_) => self.closes_by = Some(self.now + self.times.close),
                Notice::Over(cause) => {
                    self.over = true;
                    if cause == "Timeout(Keepalive)" {
                        // One attempt to say why.
                        self.notice(Notice::Closing(1011));
                    }
                }
            }
            self.notice(notice);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Wait(time) => {
                let target = self.now + time;
                while let Some((at, _)) = self.next().filter(|(at, _)| *at <= target) {
                    self.now = at;
                    self.fire();
                }
                self.now = target;
            }
            Step::Oversleep(time) => {
                self.now += time;
                self.fire();
            }
            _ if self.over => {}
            Step::Message | Step::Pong | Step::HalfAFrame | Step::PeerClose if self.paused => {}
            Step::Message => {
                (self.heard, self.pinged, self.message) = (self.now, None, self.now);
            }
            Step::Pong | Step::HalfAFrame => (self.heard, self.pinged) = (self.now, None),
            Step::Pause => self.paused = true,
            Step::Resume if self.paused => {
                self.paused = false;
                (self.heard, self.pinged, self.message) = (self.now, None, self.now);
            }
            Step::Resume => {}
            Step::Close if self.closes_by.is_none() => {
                self.closes_by = Some(self.now + self.times.close);
                self.paused = false;
                self.notice(Notice::Closing(1000));
            }
            Step::Close => {}
            Step::PeerClose => {
                if self.closes_by.is_none() {
                    self.notice(Notice::Closing(1000));
                }
                self.notice(Notice::Over("Clean"));
                self.over = true;
            }
        }
    }
}

/// The connection with a driver that sleeps until `poll_timeout`, writes down what it notices, and when.
struct Real {
    end: Endpoint,
    noticed: Vec<(u64, Notice)>,
    /// Half a frame has come, so nothing whole can any more.
    halved: bool,
}

impl Real {
    fn now(&self) -> u64 {
        self.end.clock().elapsed().as_millis() as u64
    }

    fn note(&mut self) {
        let now = self.now();
        // The last deadlines lie behind `Closed`: a lingering server's transport.
        for (first, payload) in self.end.flush_frames() {
            let code = payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code));
            match first {
                PING => self.noticed.push((now, Notice::Pinged)),
                CLOSE => self.noticed.push((now, Notice::Closing(code))),
                other => panic!("{other:02x} was sent"),
            }
        }
        for seen in self.end.take_seen() {
            if let Seen::Closed(ending) = seen {
                let causes = ["Clean", "Timeout(Close)", "Timeout(Keepalive)"];
                let cause = causes.into_iter().find(|cause| *cause == ending.cause);
                self.noticed.push((now, Notice::Over(cause.unwrap_or_else(|| panic!("{ending:?}")))));
            }
        }
    }

    fn receive(&mut self, first: u8, payload: &[u8]) {
        if self.end.connection.wants_read() {
            self.end.receive(&frame(self.end.role.peer(), first, payload));
        }
    }

    fn step(&mut self, step: Step) {
        let now = self.end.now();
        match step {
            Step::Wait(time) => {
                let target = now + Duration::from_millis(time);
                while let Some(at) = self.end.connection.poll_timeout().filter(|at| *at <= target) {
                    assert!(at >= self.end.now(), "a deadline in the past that was not kept");
                    self.end.advance_to(at);
                    self.note();
                }
                self.end.advance_to(target);
            }
            Step::Oversleep(time) => {
                self.end.advance_to(now + Duration::from_millis(time));
                self.note();
                while self.end.connection.poll_timeout().is_some_and(|at| at <= self.end.now()) {
                    self.end.advance_to(self.end.now());
                    self.note();
                }
            }
            Step::Message => self.receive(0x82, b"message"),
            Step::Pong => self.receive(0x8a, b""),
            Step::HalfAFrame if self.end.connection.wants_read() => {
                self.halved = true;
                self.end.receive(&frame(self.end.role.peer(), 0x82, &[0; 100])[..7]);
            }
            Step::HalfAFrame => {}
            Step::Pause => self.end.connection.pause(),
            Step::Resume => self.end.connection.resume(now),
            Step::Close => self.end.close(1000, ""),
            Step::PeerClose => self.receive(CLOSE, &close_payload(1000, "")),
        }
        self.end.poll();
        self.note();
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..400_u64).prop_map(Step::Wait),
        1 => (0..100_000_u64).prop_map(Step::Wait),
        1 => (0..2_000_u64).prop_map(Step::Oversleep),
        5 => Just(Step::Message),
        5 => Just(Step::Pong),
        1 => Just(Step::HalfAFrame),
        2 => Just(Step::Pause),
        3 => Just(Step::Resume),
        1 => Just(Step::Close),
        1 => Just(Step::PeerClose),
    ]
}

fn times() -> impl Strategy<Value = Times> {
    (prop::option::weighted(0.8, 1..300_u64), 1..300_u64, prop::option::of(1..900_u64), 1..300_u64)
        .prop_map(|(interval, timeout, idle, close)| Times { interval, timeout, idle, close })
}

fn run(role: Role, times: Times, steps: &[Step]) {
    let mut model = Model::new(times);
    let mut real = Real { end: Endpoint::new(role, times.config()), noticed: Vec::new(), halved: false };
    let peer_speaks = |step: &Step| matches!(step, Step::Message | Step::Pong | Step::PeerClose);
    for (n, step) in steps.iter().enumerate() {
        // Behind half a frame nothing whole can come; and a deadline that has passed closes for good.
        if real.halved && (peer_speaks(step) || matches!(step, Step::HalfAFrame)) {
            continue;
        }
        model.step(*step);
        real.step(*step);
        assert_eq!(real.noticed, model.noticed, "after step {n}: {step:?} of {steps:?}, {times:?}");
        let deadline = |at: u64| real.end.clock().now() + Duration::from_millis(at) - Duration::from_millis(model.now);
        if !model.over {
            let expected = model.next().map(|(at, _)| deadline(at));
            assert_eq!(real.end.connection.poll_timeout(), expected, "step {n}: {step:?} of {steps:?}, {times:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn pings_idle_ends_and_dead_peers_come_when_they_are_due(
        role in select(&ROLES[..]),
        times in times(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        run(role, times, &steps);
    }

    /// Ticks are 32 bits of milliseconds, 49 days: years pass between the same steps.
    #[test]
    fn they_do_so_for_years(
        role in select(&ROLES[..]),
        times in times(),
        steps in prop::collection::vec(prop_oneof![
            3 => step(),
            2 => (0..24 * 3_600_000_u64).prop_map(Step::Oversleep),
            1 => (0..60 * 24 * 3_600_000_u64).prop_map(Step::Oversleep),
        ], 1..80),
    ) {
        // Without keepalive, for a peer that is silent for a day is given up.
        let times = Times { interval: None, idle: times.idle.map(|idle| idle * 1_000_000), ..times };
        run(role, times, &steps);
    }
}
