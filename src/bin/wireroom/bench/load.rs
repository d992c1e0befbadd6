//! The load itself: connections are opened, then messages sent and their answers timed.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use wireroom::{CloseCode, ConnId, ConnMap, Connections, Event, EventLoop, Kind, Message};

use super::{Options, ticker::Ticker};
use crate::{
    dial::Dial,
    failure::{Failure, Status},
    signals,
};

/// Connections that are being opened at once: a listener's backlog is not endless.
const OPENING: usize = 64;
/// So long is waited for answers that are still due at the end, and for Closes.
const GRACE: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);
/// Messages that are sent between two looks at what has come, however many are due.
const BATCH: usize = 1_024;

/// What came of it.
#[derive(Debug)]
pub(super) struct Measured {
    /// Nanoseconds from when a message was sent, or should have been, to its answer.
    pub(super) latency: Histogram<u64>,
    /// Connections that were open.
    pub(super) opened: usize,
    /// Messages that fell due while it was measured.
    pub(super) sent: u64,
    /// Answers that came while it was measured.
    pub(super) answers: u64,
    /// How long that was.
    pub(super) time: Duration,
    /// Messages that were due while it was measured and have no answer.
    pub(super) unanswered: u64,
    /// What went wrong, and how often.
    pub(super) errors: BTreeMap<String, u64>,
}

pub(super) fn run(options: &Options) -> Result<Measured, Failure> {
    let room = options.size.saturating_add(64).saturating_mul(options.in_flight as usize);
    let config = options.dial.config().max_send_buffer(room.max(1 << 20)).build().map_err(Failure::usage)?;
    let dial = Dial::new(&options.dial, config)?;
    let mut event_loop = EventLoop::new()?;
    let asked = signals::watch(
        {
            let handle = event_loop.handle();
            move || handle.wake()
        },
        || {},
    )?;
    let mut load = Load::new(options);

    // 1. Open all connections: the first tells whether that can be.
    let mut left = options.connections as usize;
    let mut opening = Opening::default();
    while left > 0 || opening.ids > 0 {
        while left > 0 && opening.ids < if load.opened == 0 { 1 } else { OPENING } {
            dial.connect(&mut event_loop)?;
            (left, opening.ids) = (left - 1, opening.ids + 1);
        }
        event_loop.turn(None, |connections, id, event| load.opens(connections, id, event, &mut opening))?;
        if asked.signal().is_some() {
            return Err(Failure::new(Status::Interrupted, "interrupted"));
        }
        for closed in opening.failed.drain(..) {
            let Err(failure) = options.dial.came_to(&closed, false) else { continue };
            if load.opened == 0 {
                return Err(failure);
            }
            load.error(failure.sentence());
        }
    }

    // 2. Warm up, measure, and wait for what is under way.
    load.begin(event_loop.connections());
    let ticker = options.rate.map(|rate| Ticker::start(load.begin, rate, event_loop.handle())).transpose()?;
    while !load.is_over(asked.signal().is_some())? {
        let timeout = load.timeout();
        event_loop.turn(Some(timeout), |connections, id, event| load.on_event(connections, id, event))?;
        load.send_due(event_loop.connections());
        load.progress();
    }
    drop(ticker);

    // 3. Say goodbye.
    load.finish();
    for id in std::mem::take(&mut load.ids) {
        event_loop.connections().close(id, CloseCode::NORMAL, "");
    }
    let until = Instant::now() + GRACE;
    while !event_loop.connections().is_empty() && Instant::now() < until {
        event_loop.turn(Some(SECOND / 10), |_, _, _| {})?;
    }
    Ok(load.measured())
}

/// Connections whose handshake is not over.
#[derive(Default)]
struct Opening {
    ids: usize,
    failed: Vec<wireroom::Closed>,
}

struct Load<'o> {
    options: &'o Options,
    payload: Vec<u8>,
    opened: usize,
    /// Those that are open.
    ids: Vec<ConnId>,
    connections: ConnMap<Busy>,
    /// Messages that are under way on all of them.
    under_way: usize,
    begin: Instant,
    measure: Instant,
    end: Instant,
    /// Messages that have fallen due so far.
    due: u64,
    sent: u64,
    answers: u64,
    latency: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    unanswered: u64,
    told: (Instant, u64),
    shows: bool,
}

/// An open connection.
#[derive(Debug)]
struct Busy {
    /// Its place among the ids: many may end at once, and none of them is searched for.
    place: usize,
    /// When its messages that are under way were sent, or should have been, in order.
    under_way: VecDeque<Instant>,
}

impl<'o> Load<'o> {
    fn new(options: &'o Options) -> Self {
        let now = Instant::now();
        // Like the JSON that mostly is carried, so that compression has something to do.
        let pattern = br#"{"id":12345,"name":"wireroom","price":67.89,"tags":["a","b"],"open":true},"#;
        Self {
            options,
            payload: pattern.iter().copied().cycle().take(options.size).collect(),
            opened: 0,
            ids: Vec::new(),
            connections: ConnMap::default(),
            under_way: 0,
            begin: now,
            measure: now,
            end: now,
            due: 0,
            sent: 0,
            answers: 0,
            latency: histogram(),
            errors: BTreeMap::new(),
            unanswered: 0,
            told: (now, 0),
            shows: options.progress || io::stderr().is_terminal(),
        }
    }

    fn opens(&mut self, connections: &mut Connections, id: ConnId, event: Event<'_>, opening: &mut Opening) {
        match event {
            Event::Open => {
                opening.ids -= 1;
                self.opened += 1;
                self.connections.insert(id, Busy { place: self.ids.len(), under_way: VecDeque::new() });
                self.ids.push(id);
            }
            Event::Closed(closed) if self.connections.get(id).is_none() => {
                opening.ids -= 1;
                opening.failed.push(*closed);
            }
            event => self.on_event(connections, id, event),
        }
    }

    fn begin(&mut self, connections: &mut Connections) {
        self.begin = Instant::now();
        self.measure = self.begin + self.options.warm_up;
        self.end = self.measure + self.options.duration;
        self.told = (self.begin, 0);
        if self.options.rate.is_none() {
            for id in self.ids.clone() {
                for _ in 0..self.options.in_flight {
                    self.send(connections, id, Instant::now());
                }
            }
        }
    }

    fn on_event(&mut self, connections: &mut Connections, id: ConnId, event: Event<'_>) {
        match event {
            Event::Message(message) => self.answer(connections, id, message),
            Event::Closed(closed) => {
                self.remove(id);
                self.error(&format!("a connection ended: {closed}"));
            }
            _ => {}
        }
    }

    /// The last one takes its place.
    fn remove(&mut self, id: ConnId) {
        let Some(Busy { place, under_way }) = self.connections.remove(id) else { return };
        self.ids.swap_remove(place);
        if let Some(moved) = self.ids.get(place).and_then(|moved| self.connections.get_mut(*moved)) {
            moved.place = place;
        }
        self.under_way -= under_way.len();
        self.unanswered += under_way.iter().filter(|at| self.is_measured(**at)).count() as u64;
    }

    fn answer(&mut self, connections: &mut Connections, id: ConnId, message: Message<'_>) {
        let now = Instant::now();
        let Some(since) = self.connections.get_mut(id).and_then(|busy| busy.under_way.pop_front()) else {
            return self.error("a message that answers none");
        };
        self.under_way -= 1;
        let kind = if self.options.binary { Kind::Binary } else { Kind::Text };
        if message.kind() != kind || message.as_bytes().len() != self.payload.len() {
            self.error("an answer of another kind or length");
        }
        if self.is_measured(since) {
            self.latency.saturating_record(now.saturating_duration_since(since).as_nanos() as u64);
        }
        self.answers += u64::from(self.is_measured(now));
        self.told.1 += 1;
        if self.options.rate.is_none() && now < self.end {
            self.send(connections, id, now);
        }
    }

    /// Sends what has fallen due by now.
    fn send_due(&mut self, connections: &mut Connections) {
        let Some(rate) = self.options.rate else { return };
        for _ in 0..BATCH {
            let due = self.next_due(rate).filter(|at| *at <= Instant::now());
            let Some(at) = due.filter(|_| !self.ids.is_empty()) else { return };
            let id = self.ids[self.due as usize % self.ids.len()];
            self.due += 1;
            self.send(connections, id, at);
        }
    }

    fn next_due(&self, rate: f64) -> Option<Instant> {
        // Of a rate that is next to none the second message is due beyond all times.
        let at =
            Duration::try_from_secs_f64(self.due as f64 / rate).ok().and_then(|after| self.begin.checked_add(after));
        at.filter(|at| *at < self.end)
    }

    fn send(&mut self, connections: &mut Connections, id: ConnId, at: Instant) {
        self.sent += u64::from(self.is_measured(at));
        let sent = match std::str::from_utf8(&self.payload) {
            Ok(text) if !self.options.binary => connections.send(id, text),
            _ => connections.send(id, self.payload.as_slice()),
        };
        match (sent, self.connections.get_mut(id)) {
            (Ok(_), Some(busy)) => {
                busy.under_way.push_back(at);
                self.under_way += 1;
            }
            (Ok(_), None) => {}
            (Err(error), _) => {
                self.unanswered += u64::from(self.is_measured(at));
                self.error(&format!("not sent: {error}"));
            }
        }
    }

    fn is_measured(&self, at: Instant) -> bool {
        self.measure <= at && at < self.end
    }

    /// Over when the time is, or somebody asks for it, and what is under way has come or is late.
    fn is_over(&mut self, asked: bool) -> Result<bool, Failure> {
        let now = Instant::now();
        if self.ids.is_empty() {
            let why = self.errors.keys().next_back().cloned().unwrap_or_default();
            return Err(Failure::new(Status::Abnormal, format_args!("no connection is left: {why}")));
        }
        if asked {
            // What has been measured by now is told.
            self.end = self.end.min(now);
            self.measure = self.measure.min(now);
        }
        Ok(now >= self.end && (now >= self.end + GRACE || self.under_way == 0))
    }

    /// How long the poll may wait. What falls due meanwhile is the [`Ticker`]'s.
    fn timeout(&self) -> Duration {
        let now = Instant::now();
        if self.options.rate.and_then(|rate| self.next_due(rate)).is_some_and(|at| at <= now) {
            return Duration::ZERO;
        }
        let until = if now < self.end { self.end } else { self.end + GRACE };
        until.min(self.told.0 + SECOND).saturating_duration_since(now)
    }

    /// A line each second.
    fn progress(&mut self) {
        let now = Instant::now();
        let (since, answers) = self.told;
        let passed = now.saturating_duration_since(since);
        if passed < SECOND {
            return;
        }
        self.told = (now, 0);
        if !self.shows {
            return;
        }
        let phase = if now < self.measure { ", warming up" } else { "" };
        let p99 = self.latency.value_at_quantile(0.99) as f64 / 1e6;
        let line = format!(
            "{:4.0} s  {:9.0} answers/s  p99 {p99:.3} ms  {} open{phase}",
            now.saturating_duration_since(self.begin).as_secs_f64(),
            answers as f64 / passed.as_secs_f64(),
            self.ids.len(),
        );
        let end = if self.options.progress { "\n" } else { "\r" };
        // Where standard error is closed nobody wants to know.
        let _ = io::stderr().write_all(format!("{line}{end}").as_bytes());
    }

    fn error(&mut self, what: &str) {
        /// Kinds of errors that are told apart: peers choose the words of some.
        const KINDS: usize = 20;
        let what = if self.errors.len() < KINDS || self.errors.contains_key(what) { what } else { "others" };
        *self.errors.entry(what.to_owned()).or_default() += 1;
    }

    fn finish(&mut self) {
        let late = self.connections.iter().flat_map(|(_, busy)| &busy.under_way);
        self.unanswered += late.filter(|at| self.is_measured(**at)).count() as u64;
    }

    fn measured(self) -> Measured {
        Measured {
            latency: self.latency,
            opened: self.opened,
            sent: self.sent,
            answers: self.answers,
            time: self.end.saturating_duration_since(self.measure),
            unanswered: self.unanswered,
            errors: self.errors,
        }
    }
}

/// Three significant digits, from a nanosecond to an hour, as which what is longer counts.
fn histogram() -> Histogram<u64> {
    const HOUR: u64 = 3_600_000_000_000;
    match Histogram::new_with_bounds(1, HOUR, 3) {
        Ok(histogram) => histogram,
        Err(error) => unreachable!("these bounds are allowed: {error}"),
    }
}
