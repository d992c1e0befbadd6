//! A process of clients: those of the library on one loop, and raw sockets for what they cannot do.

mod acts;
mod client;
mod faults;
mod fragments;
mod raw;
mod scripts;
mod tracks;

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use wireroom::{Config, ConnId, ConnMap, EventLoop, PermessageDeflate, handshake::ClientRequest};

use crate::{Failure, options::Part, process, random::Random, report::Report, wire::Pool};
use client::{Client, Ending};
use raw::Raw;

const TURN: Duration = Duration::from_millis(5);
const TELL: Duration = Duration::from_millis(500);
/// No connections are made while turns take so long.
const BUSY: Duration = Duration::from_millis(100);
/// New connections in one turn.
const ARRIVALS: usize = 20;

/// What every client of this process shares.
pub(crate) struct Shared {
    pub(crate) random: Random,
    pub(crate) pool: Pool,
    pub(crate) report: Report,
    pub(crate) now: Instant,
    /// How long a turn takes at present: on a busy machine less is begun, or deadlines would pass for want of a processor.
    pub(crate) turn: Duration,
    /// Rooms that most are in, and rooms with floods of large messages.
    pub(crate) rooms: usize,
    pub(crate) floods: usize,
    pub(crate) steady: bool,
}

/// What this process is doing.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Chaos,
    /// All take their leave.
    Finishing,
    /// All have come at once, and go again.
    Back,
    Nothing,
}

struct Crew {
    part: Part,
    event_loop: EventLoop,
    configs: Vec<Arc<Config>>,
    clients: ConnMap<Client>,
    alive: usize,
    due: BinaryHeap<Reverse<(Instant, ConnId)>>,
    raw: Vec<Raw>,
    numbers: u64,
    started: Instant,
    phase: Phase,
}

/// Without compression, and with some of its forms.
fn configs() -> Result<Vec<Arc<Config>>, Failure> {
    let deflate = PermessageDeflate { release_after: Some(Duration::from_secs(2)), ..PermessageDeflate::default() };
    let small = PermessageDeflate { server_max_window_bits: 10, client_max_window_bits: 9, threshold: 0, ..deflate };
    let single =
        PermessageDeflate { server_no_context_takeover: true, client_no_context_takeover: true, level: 6, ..deflate };
    let configs = [None, None, Some(deflate), Some(small), Some(single)].map(|deflate| {
        Config::builder()
            .keepalive_interval(Some(Duration::from_secs(3)))
            .keepalive_timeout(Duration::from_secs(8))
            .close_timeout(Duration::from_secs(8))
            .handshake_timeout(Duration::from_secs(8))
            .permessage_deflate(deflate)
            .build()
            .map(Arc::new)
    });
    Ok(configs.into_iter().collect::<Result<_, _>>()?)
}

pub(crate) fn run(part: Part) -> Result<bool, Failure> {
    let (sender, commands) = mpsc::channel();
    process::commands(sender);
    let mut random = Random::new(part.seed.wrapping_add(part.index << 40));
    let mut shared = Shared {
        pool: Pool::new(&mut random),
        random,
        report: Report::new(),
        now: Instant::now(),
        turn: Duration::ZERO,
        rooms: (part.clients / 5).max(2),
        floods: (part.clients / 250).max(1),
        steady: part.steady,
    };
    let mut crew = Crew {
        event_loop: EventLoop::new()?,
        configs: configs()?,
        clients: ConnMap::new(),
        alive: 0,
        due: BinaryHeap::new(),
        raw: Vec::new(),
        numbers: 0,
        started: Instant::now(),
        phase: Phase::Chaos,
        part,
    };
    let descriptors = process::descriptors();
    let mut tell_at = Instant::now();
    loop {
        crew.turn(&mut shared)?;
        if shared.now >= tell_at {
            tell_at = shared.now + TELL;
            crew.tell(&mut shared, "progress");
        }
        let turn = shared.now.elapsed();
        shared.turn = (7 * shared.turn + turn) / 8;
        shared.report.at_most("slowest_turn", turn.as_millis() as u64);
        shared.report.flush();
        match commands.try_recv().as_deref() {
            Ok("finish") => crew.finish(&shared),
            Ok("back") => crew.come_back(&mut shared)?,
            Ok("stop") => {
                crew.hold_against_stats(&mut shared, descriptors);
                crew.tell(&mut shared, "final");
                return Ok(true);
            }
            Ok("quit") => return Ok(true),
            _ => {}
        }
    }
}

impl Crew {
    fn turn(&mut self, shared: &mut Shared) -> Result<(), Failure> {
        shared.now = Instant::now();
        if self.phase == Phase::Chaos && (shared.turn < BUSY || shared.steady) {
            self.arrive(shared)?;
        }
        while let Some(Reverse((at, id))) = self.due.peek().copied().filter(|Reverse((at, _))| *at <= shared.now) {
            self.due.pop();
            let Some(client) = self.clients.get_mut(id) else { continue };
            let next = client.act(self.event_loop.connections(), id, shared);
            self.due.push(Reverse((next.max(at + Duration::from_millis(1)), id)));
        }
        self.raw.retain_mut(|raw| raw.wake > shared.now || raw.step(shared));
        let Self { clients, alive, .. } = self;
        self.event_loop.turn(Some(TURN), |connections, id, event| {
            let Some(client) = clients.get_mut(id) else {
                return shared.report.fault(format_args!("an event of a client that has ended: {event:?}"));
            };
            if client.on_event(connections, id, event, shared) {
                clients.remove(id);
                *alive -= 1;
            }
        })?;
        if matches!(self.phase, Phase::Finishing | Phase::Back) && self.alive == 0 && self.raw.is_empty() {
            self.phase = Phase::Nothing;
            shared.report.line("gone");
        }
        Ok(())
    }

    /// Keeps as many connections as were asked for, of which one in ten is raw.
    fn arrive(&mut self, shared: &mut Shared) -> Result<(), Failure> {
        let raw = if self.part.steady { 0 } else { self.part.clients / 10 };
        let elapsed = shared.now.duration_since(self.started);
        let left = self.part.time.saturating_sub(elapsed);
        for _ in 0..ARRIVALS {
            if self.raw.len() < raw {
                let number = self.number();
                let address = *shared.random.pick(&self.part.addresses);
                match scripts::choose(number, address, left, shared) {
                    Ok(raw) => self.raw.push(raw),
                    Err(error) => shared.report.fault(format_args!("a raw connection: {error}")),
                }
            }
            if self.alive < self.part.clients - raw {
                self.connect(shared, None)?;
            }
        }
        Ok(())
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        (self.part.index << 40) | self.numbers
    }

    fn connect(&mut self, shared: &mut Shared, ending: Option<Ending>) -> Result<(), Failure> {
        let number = self.number();
        let address = *shared.random.pick(&self.part.addresses);
        let client = Client::new(number, ending, shared);
        let request = ClientRequest::new(&format!("ws://{address}{}?n={number}", client.path()))?;
        let config = shared.random.pick(&self.configs).clone();
        shared.report.add("connects", 1);
        let id = self.event_loop.connect(address, request, config)?;
        self.clients.insert(id, client);
        self.alive += 1;
        self.due.push(Reverse((shared.now + shared.random.millis(1, 1_000), id)));
        Ok(())
    }

    fn finish(&mut self, shared: &Shared) {
        self.phase = Phase::Finishing;
        self.hurry(shared);
        for raw in &mut self.raw {
            raw.hurry(shared.now);
        }
    }

    /// Everybody at once; each says something, and goes.
    fn come_back(&mut self, shared: &mut Shared) -> Result<(), Failure> {
        self.phase = Phase::Back;
        for _ in 0..self.part.clients {
            self.connect(shared, Some(Ending::Census))?;
        }
        self.hurry(shared);
        Ok(())
    }

    fn hurry(&mut self, shared: &Shared) {
        let ids: Vec<_> = self.clients.iter().map(|(id, _)| id).collect();
        for id in ids {
            if let Some(client) = self.clients.get_mut(id) {
                client.hurry(shared.now);
                self.due.push(Reverse((shared.now, id)));
            }
        }
    }

    fn tell(&mut self, shared: &mut Shared, word: &str) {
        let (resident, threads) = process::memory_and_threads();
        let stats = self.event_loop.connections().stats();
        shared.report.tell_counts(
            word,
            &[
                ("alive", (self.alive + self.raw.len()) as u64),
                ("open", stats.open as u64),
                ("resident", resident as u64),
                ("threads", threads as u64),
                ("descriptors", process::descriptors() as u64),
                ("bytes_received", stats.bytes_received),
                ("bytes_sent", stats.bytes_sent),
            ],
        );
    }

    fn hold_against_stats(&mut self, shared: &mut Shared, descriptors: usize) {
        let stats = self.event_loop.connections().stats();
        let report = &mut shared.report;
        for (name, told, counted) in [
            ("connections", stats.connections as u64, 0),
            ("buffered_amount", stats.buffered_amount as u64, 0),
            ("opened", stats.opened, report.count("opened")),
            ("unopened", stats.unopened, report.count("unopened")),
            ("messages_received", stats.messages_received, report.count("received")),
            ("messages_sent", stats.messages_sent, report.count("sent")),
            ("accepted", stats.accepted, 0),
            ("descriptors", process::descriptors() as u64, descriptors as u64),
        ] {
            report.check(told == counted, || format!("of a client's loop, {name} is {told}, counted were {counted}"));
        }
    }
}
