//! As many connections as there are descriptors for, and what they cost.
//!
//! A process holds at most its limit of descriptors, less a few. So each server has a client process of its own, with
//! minimal sockets: what they cost is no concern of ours.

pub(crate) mod clients;
pub(crate) mod server;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use crate::{
    Failure,
    options::{Idle, Part},
    process::{self, Line, Role},
    report::read_counts,
};

/// Descriptors that a process needs for itself.
const RESERVE: usize = 64;
const BROADCASTS: usize = 5;
/// A little more than `Config::keepalive_interval`, in seconds.
const WHOLE: u64 = 31;
/// Connections are made one after another.
const PATIENCE: Duration = Duration::from_secs(300);

struct Run {
    lines: Receiver<Line>,
    /// Servers have the even places.
    roles: Vec<Role>,
    said: BTreeMap<usize, VecDeque<String>>,
}

pub(crate) fn run(idle: &Idle) -> Result<bool, Failure> {
    let limit = process::descriptor_limit().ok_or("no limit on open files in /proc/self/limits")?;
    let one = limit.saturating_sub(RESERVE);
    let connections = idle.connections.unwrap_or(one * idle.processes.unwrap_or(1));
    let processes = idle.processes.unwrap_or(connections.div_ceil(one)).max(1);
    if connections > processes * one {
        let needed = connections.div_ceil(one);
        return Err(format!("a process has descriptors for {one} connections: {needed} processes are needed").into());
    }
    println!("idle: {connections} connections over {processes} server and {processes} client processes");
    let (sender, lines) = mpsc::channel();
    let mut run = Run { lines, roles: Vec::new(), said: BTreeMap::new() };
    for index in 0..processes {
        run.roles.push(Role::start(&["idle-server".to_owned()], 2 * index, sender.clone())?);
        let addresses = run.until(2 * index, "addresses")?;
        let addresses = addresses.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let clients = connections * (index + 1) / processes - connections * index / processes;
        let part = Part { addresses, clients, ..Part::default() };
        run.roles.push(Role::start(&part.arguments("idle-clients"), 2 * index + 1, sender.clone())?);
    }
    let began = Instant::now();
    let before = run.ask_servers(&BTreeMap::new())?;
    for role in run.roles.iter_mut().skip(1).step_by(2) {
        role.tell("go");
    }
    run.clients(processes, "open")?;
    let opening = began.elapsed();
    let after = run.ask_servers(&before)?;
    let per = |counts: &BTreeMap<String, u64>, name: &str| counts[name] as f64 / connections as f64;
    println!(
        "open: {} connections after {:.1} s, {} descriptors in the servers; resident memory of the servers grew by {:.0} bytes \
         for each connection, that of the clients by {:.0}",
        after["open"],
        opening.as_secs_f64(),
        after["descriptors"],
        per(&after, "grown"),
        run.clients(processes, "grown")? as f64 / connections as f64,
    );
    run.broadcasts(processes)?;
    // The second time at least one keepalive interval long: every client is pinged once.
    for seconds in [idle.rest, WHOLE] {
        let from = run.ask_servers(&before)?;
        std::thread::sleep(Duration::from_secs(seconds));
        let to = run.ask_servers(&before)?;
        println!(
            "at rest for {seconds} s: {:.2} % of a processor in all servers together, {} bytes sent (Pings), {} connections",
            (to["processor"] - from["processor"]) as f64 / seconds as f64 / 1e7,
            to["bytes_sent"] - from["bytes_sent"],
            to["open"],
        );
    }
    let end = run.ask_servers(&before)?;
    Ok(end["open"] == connections as u64 && after["open"] == connections as u64)
}

impl Run {
    /// The counts of all servers together; `grown` is the growth of their resident size.
    fn ask_servers(&mut self, before: &BTreeMap<String, u64>) -> Result<BTreeMap<String, u64>, Failure> {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for index in (0..self.roles.len()).step_by(2) {
            self.roles[index].tell("report");
            for (name, n) in read_counts(&self.until(index, "report")?) {
                *sums.entry(name).or_default() += n;
            }
        }
        let grown = sums["resident"].saturating_sub(before.get("resident").copied().unwrap_or(0));
        sums.insert("grown".into(), grown);
        Ok(sums)
    }

    /// Waits for every client process to say `word` and a number; answers the sum.
    fn clients(&mut self, processes: usize, word: &str) -> Result<u64, Failure> {
        let mut sum = 0;
        for index in 0..processes {
            sum += self.until(2 * index + 1, word)?.parse::<u64>()?;
        }
        Ok(sum)
    }

    /// One message to everyone, several times: when the first and the last client has it.
    fn broadcasts(&mut self, processes: usize) -> Result<(), Failure> {
        let mut times = Vec::new();
        for _ in 0..BROADCASTS {
            for role in self.roles.iter_mut().step_by(2) {
                role.tell("broadcast");
            }
            let (mut first, mut last) = (u64::MAX, 0);
            for index in 0..processes {
                let counts = read_counts(&self.until(2 * index + 1, "reached")?);
                first = first.min(counts["first"]);
                last = last.max(counts["last"]);
            }
            times.push((last, first));
        }
        times.sort_unstable();
        let (last, first) = times[times.len() / 2];
        let millis = |nanos: u64| nanos as f64 / 1e6;
        println!(
            "a broadcast to everyone: the first has it after {:.1} ms, the last after {:.1} ms (median of {BROADCASTS} by the \
             last, which was {:.1} to {:.1} ms)",
            millis(first),
            millis(last),
            millis(times[0].0),
            millis(times[BROADCASTS - 1].0),
        );
        Ok(())
    }

    /// Listens until this process says `word`, and answers the rest of the line.
    fn until(&mut self, index: usize, word: &str) -> Result<String, Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = self.said.get_mut(&index).and_then(VecDeque::pop_front) {
                let rest = line.strip_prefix(word).ok_or(format!("process {index} said {line:?}, not {word:?}"))?;
                return Ok(rest.trim_start().to_owned());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left)? {
                (from, Some(line)) if line.starts_with("fault") => return Err(format!("process {from}: {line}").into()),
                (from, Some(line)) => self.said.entry(from).or_default().push_back(line),
                (from, None) => return Err(format!("process {from} has died").into()),
            }
        }
    }
}
