//! Time, the CPU time and memory of the server and of ourselves, and the line that is printed.

use std::{
    fmt::{self, Display},
    fs,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::options::Options;

/// CPU time of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// Seconds on a CPU: the scheduler's count of nanoseconds.
    pub total: f64,
    /// Seconds, in ticks of mostly 10 ms.
    pub user: f64,
    pub system: f64,
}

impl Cpu {
    /// Of all threads; nothing without a process.
    pub fn of(pid: Option<u32>) -> Self {
        let Some(pid) = pid else { return Self::default() };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name of the process, in parentheses, may hold anything; what follows it begins with field 3.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let seconds =
            |field: usize| fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or(0.0) / ticks;
        let (user, system) = (seconds(11), seconds(12));
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let nanoseconds: f64 = threads
            .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
            .filter_map(|schedstat| schedstat.split_whitespace().next()?.parse::<f64>().ok())
            .sum();
        Self { total: if nanoseconds > 0.0 { nanoseconds / 1e9 } else { user + system }, user, system }
    }

    pub fn since(self, before: Self) -> Self {
        Self { total: self.total - before.total, user: self.user - before.user, system: self.system - before.system }
    }
}

/// Resident bytes of a process.
pub fn resident(pid: Option<u32>) -> u64 {
    let status = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/status")).ok()).unwrap_or_default();
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Latencies in nanoseconds, to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds in order")
}

/// A run's warm-up, and the part of it that is measured.
#[derive(Debug)]
pub struct Window {
    pid: Option<u32>,
    begin: Instant,
    pub end: Instant,
    started: Option<Start>,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    at: Instant,
    server: Cpu,
    own: Cpu,
    messages: u64,
}

impl Window {
    pub fn new(options: &Options) -> Self {
        let begin = Instant::now() + options.warm_up;
        Self { pid: options.server_pid, begin, end: begin + options.seconds, started: None }
    }

    pub fn is_open(&self) -> bool {
        self.started.is_some()
    }

    /// Begins to measure, when it is time to. So many messages have come by now.
    pub fn tick(&mut self, now: Instant, messages: u64) {
        if self.started.is_none() && now >= self.begin {
            let own = Cpu::of(Some(std::process::id()));
            self.started = Some(Start { at: Instant::now(), server: Cpu::of(self.pid), own, messages });
        }
    }

    /// What was measured until now.
    pub fn line(&self, messages: u64, latencies: &Histogram<u64>) -> Line {
        let Some(start) = self.started else { return Line::default() };
        let elapsed = start.at.elapsed().as_secs_f64();
        let server = Cpu::of(self.pid).since(start.server);
        let own = Cpu::of(Some(std::process::id())).since(start.own);
        let messages = messages - start.messages;
        let each = |seconds: f64| seconds * 1e6 / messages.max(1) as f64;
        let mut line = Line::default();
        line.put("seconds", elapsed);
        line.put("messages", messages);
        line.put("messages_per_second", messages as f64 / elapsed);
        line.put("messages_per_cpu_second", if server.total > 0.0 { messages as f64 / server.total } else { 0.0 });
        line.put("cpu_us", each(server.total));
        // Ticks tell how the time divides, the scheduler's count how much it is.
        let ticks = (server.user + server.system).max(f64::MIN_POSITIVE);
        line.put("user_us", each(server.total * server.user / ticks));
        line.put("system_us", each(server.total * server.system / ticks));
        line.put("server_busy", server.total / elapsed);
        line.put("client_busy", own.total / elapsed);
        for (name, quantile) in
            [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999), ("max_us", 1.0)]
        {
            line.put(name, latencies.value_at_quantile(quantile) as f64 / 1e3);
        }
        line
    }
}

pub fn record(latencies: &mut Histogram<u64>, latency: Duration) {
    // Above a minute it counts as one.
    latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
}

/// An object of JSON with numbers in it.
#[derive(Debug, Default)]
pub struct Line(String);

impl Line {
    pub fn put(&mut self, name: &str, value: impl Display) {
        let comma = if self.0.is_empty() { "" } else { ", " };
        self.0 += &format!("{comma}\"{name}\": {value:.4}");
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0)
    }
}
