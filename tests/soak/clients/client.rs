//! One client of the library: what it has in mind, what it is in, and what it makes of its events.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use wireroom::{CloseCode, Closed, ConnId, Connections, Event, Message};

use super::{Shared, fragments::Unfinished, tracks::Tracks};
use crate::{
    label,
    wire::{Census, Chat},
};

/// No answer takes longer, unless it is lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// Acts that are remembered.
const HISTORY: usize = 8;

/// How it means to go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    /// With a last census, then a Close.
    Census,
    /// With a Close, whatever is under way.
    Close,
    /// Without one, at any moment.
    Abort,
    /// The server is asked to close with this code.
    Kicked(u16),
    /// The server is asked to abort.
    Killed,
    /// It asks for a path that is refused.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    Opening,
    Open,
    /// Nothing more is begun; the last census is awaited.
    Leaving,
    /// Its end has begun.
    Ending,
}

#[derive(Debug)]
pub(super) struct Membership {
    pub(super) room: String,
    /// Said to leave, and the server has not said that it has.
    pub(super) leaving: bool,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) number: u64,
    pub(super) ending: Ending,
    pub(super) until: Instant,
    pub(super) stage: Stage,
    opened: bool,
    path: &'static str,
    /// In a room of floods, and stalling often.
    pub(super) flood: bool,
    pub(super) rooms: Vec<Membership>,
    pub(super) numbers: HashMap<String, u64>,
    pub(super) tracks: Tracks,
    pub(super) sent: u64,
    /// A census was asked for, then.
    pub(super) asked: Option<Instant>,
    pub(super) paused: Option<Instant>,
    pub(super) reads_until: Instant,
    pub(super) unfinished: Option<Unfinished>,
    /// Large messages still to be sent.
    pub(super) burst: usize,
    pub(super) pings: u64,
    /// What it did last, for the message of a fault.
    history: VecDeque<(Instant, &'static str)>,
}

impl Client {
    pub(super) fn new(number: u64, ending: Option<Ending>, shared: &mut Shared) -> Self {
        let random = &mut shared.random;
        let flood = ending.is_none() && !shared.steady && random.chance(20);
        let chosen = match random.below(100) {
            _ if shared.steady => Ending::Census,
            0..40 => Ending::Census,
            40..60 => Ending::Close,
            60..75 => Ending::Abort,
            75..86 => Ending::Kicked([1000, 1008, 1013, 3000, 4999][random.below(5)]),
            86..94 => Ending::Killed,
            _ => Ending::Refused,
        };
        let ending = ending.unwrap_or(chosen);
        let mean = match ending {
            // Many of them before they are open.
            Ending::Abort if random.chance(300) => Duration::from_millis(2),
            _ if shared.steady => Duration::from_secs(3_600),
            _ if flood => Duration::from_secs(30),
            _ => Duration::from_secs(12),
        };
        let until = shared.now + if shared.steady { mean } else { random.wait(mean) };
        let path = match ending {
            Ending::Refused => "/no",
            _ => ["/soak", "/soak", "/soak", "/bare", "/later"][random.below(5)],
        };
        Self {
            number,
            ending,
            until,
            stage: Stage::Opening,
            opened: false,
            path,
            flood,
            rooms: Vec::new(),
            numbers: HashMap::new(),
            tracks: Tracks::new(number),
            sent: 0,
            asked: None,
            paused: None,
            reads_until: shared.now,
            unfinished: None,
            burst: 0,
            pings: 0,
            history: VecDeque::new(),
        }
    }

    pub(super) fn note(&mut self, what: &'static str, now: Instant) {
        self.history.truncate(HISTORY - 1);
        self.history.push_front((now, what));
    }

    /// What it did last, the latest first, and how many milliseconds ago.
    fn history(&self, now: Instant) -> String {
        let told = self.history.iter().map(|(at, what)| format!("{what} {}", now.duration_since(*at).as_millis()));
        told.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn path(&self) -> &'static str {
        self.path
    }

    /// It goes now, and properly.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.until = now;
        self.burst = 0;
        if self.ending == Ending::Abort {
            self.ending = Ending::Census;
        }
    }

    /// True: that was its last.
    pub(super) fn on_event(
        &mut self,
        connections: &mut Connections,
        id: ConnId,
        event: Event<'_>,
        shared: &mut Shared,
    ) -> bool {
        match event {
            Event::Open => {
                shared.report.add("opened", 1);
                self.note("open", shared.now);
                let opening = self.stage == Stage::Opening && !std::mem::replace(&mut self.opened, true);
                shared.report.check(opening, || format!("{} opened twice, or too late", self.number));
                self.stage = Stage::Open;
            }
            Event::Message(message) => {
                shared.report.add("received", 1);
                if let Err(what) = self.on_message(connections, id, message, shared) {
                    let history = self.history(shared.now);
                    shared.report.fault(format_args!("client {} ({history}): {what}", self.number));
                }
            }
            Event::Pong(payload) => {
                // Of several, a blocked peer answers the latest; those of the keepalive are empty.
                let number = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
                let known = payload.is_empty() || number.is_some_and(|number: u64| number <= self.pings);
                shared.report.check(known, || format!("{}: a Pong of {payload:?}", self.number));
            }
            Event::Closed(closed) => {
                self.on_closed(&closed, shared);
                return true;
            }
            Event::Ping(_) | Event::Drain => {}
            other => shared.report.fault(format_args!("{}: {other:?}, which nobody asked for", self.number)),
        }
        false
    }

    fn on_message(
        &mut self,
        connections: &mut Connections,
        id: ConnId,
        message: Message<'_>,
        shared: &mut Shared,
    ) -> Result<(), String> {
        let bytes = message.as_bytes();
        let text = message.as_text().unwrap_or_default();
        match bytes.first() {
            None | Some(b'e' | b'E') => self.tracks.echo(message),
            Some(b'c') => {
                let chat = Chat::parse(bytes).ok_or("a chat message that was damaged")?;
                let rooms: Vec<_> = self.rooms.iter().map(|membership| membership.room.as_str()).collect();
                self.tracks.chat(&chat, &rooms)
            }
            Some(b't') => self.tracks.tick(text[1..].parse().map_err(|_| "half a tick")?),
            Some(b'L') => {
                let place = self.rooms.iter().position(|room| room.leaving && room.room == text[1..]);
                let membership = self.rooms.swap_remove(place.ok_or(format!("it has not left {text}"))?);
                self.tracks.left(&membership.room);
                Ok(())
            }
            Some(b'Q') => {
                let census = Census::parse(text).ok_or("half a census")?;
                if self.asked.take().is_none() {
                    return Err("a census that it did not ask for".into());
                }
                shared.report.add("did:census", 1);
                let held = self.tracks.census(&census, self.sent);
                if self.stage == Stage::Leaving {
                    self.close(connections, id, CloseCode::NORMAL);
                }
                held
            }
            _ => Err(format!("{} bytes that the server does not send", bytes.len())),
        }
    }

    /// Says how many messages it has sent, all told.
    pub(super) fn close(&mut self, connections: &mut Connections, id: ConnId, code: CloseCode) {
        connections.close(id, code, &format!("sent={}", self.sent));
        self.stage = Stage::Ending;
    }

    /// The last event: as it was meant to be?
    fn on_closed(&mut self, closed: &Closed, shared: &mut Shared) {
        let label = label::of(&closed.cause);
        let report = &mut shared.report;
        let code = closed.peer.as_ref().and_then(|peer| peer.code);
        let (did, meant) = match (self.stage, self.ending) {
            (Stage::Opening, Ending::Refused) => ("refused", label == "http:403"),
            (Stage::Ending, Ending::Abort) if !self.opened => ("early", label == "aborted"),
            (Stage::Ending, Ending::Abort) => ("abort", label == "aborted"),
            (Stage::Ending, Ending::Census | Ending::Close) => ("close", label == "clean"),
            (Stage::Ending, Ending::Kicked(asked)) => {
                ("kicked", label == "clean" && code.map(CloseCode::as_u16) == Some(asked))
            }
            (Stage::Ending, Ending::Killed) => ("killed", label == "eof" || label.starts_with("io:")),
            _ => ("unasked", false),
        };
        report.check(meant, || {
            format!(
                "client {} ({:?}, {:?}, {} received, {}): {closed}",
                self.number,
                self.ending,
                self.stage,
                self.tracks.received(),
                self.history(shared.now)
            )
        });
        match did {
            "refused" => report.add("expect:http:403", 1),
            _ => report.line(format_args!("end {} {did}", self.number)),
        }
        report.add(&format!("did:{did}"), 1);
        if matches!(did, "refused" | "early") {
            report.add("unopened", 1);
        }
    }
}
