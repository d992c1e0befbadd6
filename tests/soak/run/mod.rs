//! The soak: starts the processes, listens to what they tell, and gives the verdict.

mod flat;
mod victims;

use std::{
    collections::BTreeMap,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use crate::{
    Failure,
    options::{Part, Soak},
    process::{Line, Role},
    referee::Referee,
    report,
};
use flat::Flat;
use victims::Victims;

const SERVER: usize = 0;
/// Between two lines of progress.
const TELL: Duration = Duration::from_secs(5);
/// When all clients have gone, the server has to have noticed in this time.
const LINGERING: Duration = Duration::from_secs(15);
/// All clients have to be gone in this time.
const PATIENCE: Duration = Duration::from_secs(45);

/// A run of this length with so many clients has to have seen everything.
const LONG: Duration = Duration::from_secs(60);
const MANY: usize = 1_000;
const KINDS: [&str; 20] = [
    "abort",
    "bad-request",
    "close",
    "drip",
    "early",
    "fault",
    "fin",
    "half-close",
    "half-frame",
    "half-request",
    "kicked",
    "killed",
    "mute",
    "plain",
    "refused",
    "reset",
    "silent",
    "stall",
    "vanish",
    "census",
];

type Counts = BTreeMap<String, u64>;

struct Run {
    lines: Receiver<Line>,
    sender: Sender<Line>,
    server: Role,
    clients: Vec<Role>,
    referee: Referee,
    flat: Flat,
    /// The latest counts of each process.
    counts: BTreeMap<usize, Counts>,
    /// The word that was last said by each process, but for what is handled at once.
    said: BTreeMap<usize, String>,
    faults: Vec<String>,
    started: Instant,
    told: (Instant, u64),
    /// Processes end because they were told to.
    stopping: bool,
}

pub(crate) fn run(soak: &Soak) -> Result<bool, Failure> {
    let again = format!("--seconds {} --clients {} --seed {}", soak.time.as_secs(), soak.clients, soak.seed);
    println!("soak: {again}, {} client processes", soak.processes);
    let (sender, lines) = mpsc::channel();
    let now = Instant::now();
    let mut run = Run {
        server: Role::start(&["server".to_owned()], SERVER, sender.clone())?,
        lines,
        sender,
        clients: Vec::new(),
        referee: Referee::new(soak.processes as u64 + 1),
        flat: Flat::default(),
        counts: BTreeMap::new(),
        said: BTreeMap::new(),
        faults: Vec::new(),
        started: now,
        told: (now, 0),
        stopping: false,
    };
    let whole = run.go(soak);
    if let Err(error) = &whole {
        run.faults.push(error.to_string());
    }
    run.faults.append(&mut run.referee.faults);
    for fault in run.faults.iter().take(40) {
        println!("DIFFERS: {fault}");
    }
    let elapsed = run.started.elapsed().as_secs_f64();
    if run.faults.is_empty() {
        println!("soak: passed in {elapsed:.1} s; {again}");
        return Ok(true);
    }
    println!("soak: FAILED in {elapsed:.1} s: {} differences; again with {again}", run.faults.len());
    Ok(false)
}

impl Run {
    fn go(&mut self, soak: &Soak) -> Result<(), Failure> {
        let addresses = self.until(SERVER, "addresses")?;
        let addresses = addresses.split(',').map(str::parse).collect::<Result<Vec<_>, _>>()?;
        let before = self.ask_server()?;
        let part = Part { addresses, time: soak.time, seed: soak.seed, ..Part::default() };
        for index in 1..=soak.processes {
            let clients = soak.clients * index / soak.processes - soak.clients * (index - 1) / soak.processes;
            let part = Part { clients, index: index as u64, ..part.clone() };
            self.clients.push(Role::start(&part.arguments("clients"), index, self.sender.clone())?);
        }
        let began = Instant::now();
        let mut victims = Victims::new(soak, part, began);
        while began.elapsed() < soak.time {
            self.listen(Duration::from_millis(50))?;
            self.flat.sample(self.counts.get(&SERVER), began.elapsed().as_secs_f64() / soak.time.as_secs_f64());
            victims.go_on(&self.counts, &self.sender)?;
        }
        self.faults.extend(victims.finish(&self.counts));
        self.say_all("finish", "gone")?;
        self.nothing_left(&before, "when all had gone")?;
        self.say_all("back", "gone")?;
        let after = self.nothing_left(&before, "when all had come back and gone again")?;
        self.faults.extend(self.flat.verdict(&after));
        self.stopping = true;
        self.server.tell("stop");
        let server = report::read_counts(&self.until(SERVER, "final")?);
        let mut clients = Counts::new();
        for index in 1..=self.clients.len() {
            self.clients[index - 1].tell("stop");
            for (name, value) in report::read_counts(&self.until(index, "final")?) {
                *clients.entry(name).or_default() += value;
            }
        }
        self.hold_against(soak, &server, &clients, victims.connections);
        Ok(())
    }

    /// The counts of the server and of its clients.
    fn hold_against(&mut self, soak: &Soak, server: &Counts, clients: &Counts, victims: u64) {
        let of = |counts: &Counts, name: &str| counts.get(name).copied().unwrap_or(0);
        let expected = clients.iter().filter_map(|(name, n)| Some((name.strip_prefix("expect:")?.to_owned(), *n)));
        let unseen = self.referee.finish(&expected.collect());
        let (connects, accepts) = (of(clients, "connects") + victims, of(server, "accepts"));
        if connects != accepts + unseen {
            self.faults
                .push(format!("{connects} connections were made, {accepts} accepted, {unseen} given up before that"));
        }
        // What a killed client took is not known, and what was under way may be lost.
        if of(server, "bytes_sent") < of(clients, "bytes_received") {
            self.faults.push("clients received more bytes than the server sent".into());
        }
        for (who, counts) in [("the server", server), ("clients", clients)] {
            if of(counts, "faults") > 0 {
                self.faults.push(format!("{who}: {} faults, of which the first were told above", of(counts, "faults")));
            }
        }
        let whole = soak.time >= LONG && soak.clients >= MANY;
        for kind in KINDS.iter().filter(|kind| whole && of(clients, &format!("did:{kind}")) == 0) {
            self.faults.push(format!("no client did {kind:?}"));
        }
        if whole && of(server, "dropped") == 0 {
            self.faults.push("no queue was ever full".into());
        }
        let kinds = clients.iter().filter_map(|(name, n)| Some(format!("{} {n}", name.strip_prefix("did:")?)));
        println!(
            "in all: {accepts} connections ({} opened, {} judged), messages: {} to the server, {} from it of which {} by \
             {} broadcasts; {} dropped for full queues, and {} ticks",
            of(server, "opened"),
            self.referee.judged,
            of(server, "heard"),
            of(server, "accepted"),
            of(server, "accepted") - of(server, "accepted").min(of(server, "heard")),
            of(server, "passed_on"),
            of(server, "dropped"),
            of(server, "ticks_dropped"),
        );
        println!("what the clients did: {}", kinds.collect::<Vec<_>>().join(", "));
    }

    /// Waits until the server has no connection, and holds the rest against the beginning.
    fn nothing_left(&mut self, before: &Counts, when: &str) -> Result<Counts, Failure> {
        let deadline = Instant::now() + LINGERING;
        loop {
            let now = self.ask_server()?;
            let of = |name: &str| (now.get(name).copied(), before.get(name).copied());
            let gone = of("connections") == of("left") && of("connections").0 == Some(0);
            if !gone && Instant::now() < deadline {
                self.listen(Duration::from_millis(100))?;
                continue;
            }
            for name in ["connections", "open", "rooms", "left", "arriving", "descriptors", "threads"] {
                if of(name).0 != of(name).1 {
                    self.faults.push(format!("{when}, {name}: {:?}, at the start {:?}", of(name).0, of(name).1));
                }
            }
            println!(
                "{when}: {} connections, {} rooms, {} descriptors, {} threads, {:.1} MiB resident",
                now["connections"],
                now["rooms"],
                now["descriptors"],
                now["threads"],
                now["resident"] as f64 / 1_048_576.0
            );
            return Ok(now);
        }
    }

    fn ask_server(&mut self) -> Result<Counts, Failure> {
        self.server.tell("report");
        Ok(report::read_counts(&self.until(SERVER, "report")?))
    }

    fn say_all(&mut self, command: &str, answer: &str) -> Result<(), Failure> {
        for client in &mut self.clients {
            client.tell(command);
        }
        for index in 1..=self.clients.len() {
            self.until(index, answer)?;
        }
        Ok(())
    }

    /// Listens until this process says `word`, and answers the rest of the line.
    fn until(&mut self, index: usize, word: &str) -> Result<String, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.said.remove(&index)
                && let Some(rest) = line.strip_prefix(word)
            {
                return Ok(rest.trim_start().to_owned());
            }
            if Instant::now() > deadline {
                return Err(format!("process {index} did not say {word:?} in {PATIENCE:?}").into());
            }
            self.listen(Duration::from_millis(50))?;
        }
    }

    /// Takes what the processes have said; waits up to `time` for the first of it.
    fn listen(&mut self, time: Duration) -> Result<(), Failure> {
        let mut line = self.lines.recv_timeout(time);
        while let Ok((index, said)) = line {
            match said {
                Some(said) => self.hear(index, &said),
                None if index <= self.clients.len() && !self.stopping => {
                    return Err(format!("process {index} has died").into());
                }
                None => {}
            }
            // What was asked for is looked at before anything else is.
            line =
                if self.said.is_empty() { self.lines.try_recv().map_err(|_| RecvTimeoutError::Timeout) } else { break };
        }
        self.progress();
        Ok(())
    }

    fn hear(&mut self, index: usize, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbered = || rest.split_once(' ').and_then(|(number, what)| Some((number.parse().ok()?, what)));
        match word {
            "closed" => match numbered() {
                Some((number, label)) => self.referee.ended(number, label),
                None => self.faults.push(format!("process {index}: {line:?}")),
            },
            "end" => match numbered() {
                Some((number, did)) => self.referee.did(number, did),
                None => self.faults.push(format!("process {index}: {line:?}")),
            },
            "unopened" => self.referee.unopened(rest),
            "progress" => _ = self.counts.insert(index, report::read_counts(rest)),
            "fault" => self.faults.push(format!("process {index}: {rest}")),
            _ => _ = self.said.insert(index, line.to_owned()),
        }
    }

    fn progress(&mut self) {
        let Some(server) = self.counts.get(&SERVER) else { return };
        let of = |name: &str| server.get(name).copied().unwrap_or(0);
        let (since, messages) = self.told;
        let elapsed = since.elapsed();
        if elapsed < TELL {
            return;
        }
        let now = of("heard") + of("accepted");
        let mut did = Counts::new();
        for counts in self.counts.iter().filter(|(index, _)| (1..=self.clients.len()).contains(*index)).map(|(_, c)| c)
        {
            for (name, n) in counts {
                if let Some(name) = name.strip_prefix("did:") {
                    *did.entry(name.to_owned()).or_default() += n;
                }
            }
        }
        let did: Vec<_> = did.iter().map(|(name, n)| format!("{name} {n}")).collect();
        println!(
            "{:4.0} s: {} connections, {} so far, {:.0} messages/s, {} dropped, {:.1} MiB, {} descriptors, slowest turn \
             {} ms, {} differences; {}",
            self.started.elapsed().as_secs_f64(),
            of("connections"),
            of("accepts"),
            (now - messages.min(now)) as f64 / elapsed.as_secs_f64(),
            of("dropped"),
            of("resident") as f64 / 1_048_576.0,
            of("descriptors"),
            self.counts.values().filter_map(|counts| counts.get("slowest_turn")).max().copied().unwrap_or(0),
            self.faults.len() + self.referee.faults.len(),
            did.join(", "),
        );
        self.told = (Instant::now(), now);
    }
}
