//! The example under test as a child process, and what `/proc` says of it.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Nothing here takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

const MIB: f64 = 1024.0 * 1024.0;

/// A process of ours, which does not outlive its test.
pub(crate) struct Testee {
    child: Child,
    /// What it has written to standard output and standard error so far.
    output: Arc<Mutex<String>>,
    errors: Arc<Mutex<String>>,
}

/// The echo example, and where it listens.
pub(crate) struct Echo {
    pub(crate) testee: Testee,
    pub(crate) address: SocketAddr,
}

/// Where cargo has put an example: beside the directory of this test.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    let release = if cfg!(debug_assertions) { "" } else { " --release" };
    let features = if cfg!(feature = "deflate") { " --features deflate" } else { "" };
    assert!(path.exists(), "{} is not there: run `cargo build{release} --examples{features}` first", path.display());
    path
}

impl Testee {
    /// Starts an example, by way of these words where there are some (such as `strace -D`).
    pub(crate) fn start(by: &[&str], name: &str, flags: &[&str]) -> Self {
        let program = example(name);
        let mut command = match by {
            [] => Command::new(program),
            [first, others @ ..] => {
                let mut command = Command::new(first);
                command.args(others).arg(program);
                command
            }
        };
        let child = command.args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{by:?} {name}: {error}"));
        let output = collect(child.stdout.take().unwrap());
        let errors = collect(child.stderr.take().unwrap());
        Self { child, output, errors }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn output(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    pub(crate) fn errors(&self) -> String {
        self.errors.lock().unwrap().clone()
    }

    /// Waits for its end: how it ended, and after how long.
    pub(crate) fn finish(&mut self) -> (ExitStatus, Duration) {
        let start = Instant::now();
        let mut status = None;
        until("the end of the process", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let took = start.elapsed();
        // Its last words are on their way through a thread of ours, which ends when they have all come.
        until("its last words", || Arc::strong_count(&self.output) + Arc::strong_count(&self.errors) == 2);
        (status.unwrap(), took)
    }

    /// Bytes in these lines of `/proc/PID/status`; `None` when the process has ended.
    fn memory<const N: usize>(&self, names: [&str; N]) -> Option<[f64; N]> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let mut bytes = [0.0; N];
        for (name, bytes) in names.iter().zip(&mut bytes) {
            let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            *bytes = value.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0;
        }
        Some(bytes)
    }

    /// User and system time. `schedstat` has what `stat` rounds to hundredths of a second.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let spent = tasks.map(|task| {
            let spent = fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            spent.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        });
        Duration::from_nanos(spent.sum())
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count()
    }

    /// Until it has no more descriptors than this: every connection is gone. Answers how long that took.
    pub(crate) fn descriptors_fall_to(&self, count: usize) -> Duration {
        let start = Instant::now();
        until(format!("{count} descriptors"), || self.descriptors() <= count);
        start.elapsed()
    }

    /// Resident memory now in MiB, without the pages of the program's own file.
    pub(crate) fn resident(&self) -> f64 {
        let [anonymous] = self.memory(["RssAnon"]).expect("the process has ended");
        anonymous / MIB
    }

    /// Processor time in percent of three seconds. On a machine that has more to do,
    /// what came before may still be under way, and a process is charged for more than its own: of up to three times the
    /// first below `bound`, or else the least. What spins does so each time.
    pub(crate) fn load(&self, bound: f64) -> f64 {
        let mut least = f64::INFINITY;
        for _ in 0..3 {
            let (before, start) = (self.cpu(), Instant::now());
            std::thread::sleep(Duration::from_secs(3));
            least = least.min(100.0 * (self.cpu() - before).as_secs_f64() / start.elapsed().as_secs_f64());
            if least < bound {
                break;
            }
        }
        least
    }

    /// Measures from here on.
    pub(crate) fn meter(&self) -> Meter<'_> {
        // proc(5): 5 sets the peak of the resident size to the size of now.
        fs::write(format!("/proc/{}/clear_refs", self.id()), "5").unwrap();
        Meter { testee: self, resident: self.resident(), cpu: self.cpu() }
    }
}

impl Drop for Testee {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.output() + &self.errors();
            let lines: Vec<&str> = said.lines().collect();
            eprintln!("the last words of the testee: {:#?}", &lines[lines.len().saturating_sub(3)..]);
        }
    }
}

impl Echo {
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_by(&[], flags)
    }

    /// By way of another program, or under a limit.
    pub(crate) fn start_by(by: &[&str], flags: &[&str]) -> Self {
        let testee = Testee::start(by, "echo", &[&["--listen", "127.0.0.1:0"], flags].concat());
        let mut address = None;
        until("the address of echo", || {
            assert!(testee.errors().is_empty(), "{}", testee.errors());
            let output = testee.output();
            address = output.strip_prefix("listening on ").and_then(|line| line.strip_suffix('\n')?.parse().ok());
            address.is_some()
        });
        Self { testee, address: address.unwrap() }
    }

    /// The last value under this name in what `--stats` prints.
    pub(crate) fn stat(&self, name: &str) -> Option<String> {
        let errors = self.testee.errors();
        let line = errors.lines().rfind(|line| line.starts_with("stats: "))?;
        let value = line.split_once(&format!(" {name}: "))?.1;
        let end = if value.starts_with('{') { value.find('}')? + 1 } else { value.find([',', ' '])? };
        Some(value[..end].to_owned())
    }

    /// The same, once it has this value.
    pub(crate) fn stat_becomes(&self, name: &str, wanted: &str) {
        until(format!("{name}: {wanted}; it is {:?}", self.stat(name)), || self.stat(name).as_deref() == Some(wanted));
    }
}

/// What a process uses while something is done to it.
pub(crate) struct Meter<'t> {
    testee: &'t Testee,
    resident: f64,
    cpu: Duration,
}

impl Meter<'_> {
    /// By how many MiB the resident size has grown at its peak. What the program's own file has of it is left out: a page
    /// of code that runs for the first time is no hold that a peer has.
    pub(crate) fn growth(&self) -> f64 {
        self.try_growth().expect("the process has ended")
    }

    /// The same; `None` when the process has ended.
    pub(crate) fn try_growth(&self) -> Option<f64> {
        let [peak, file] = self.testee.memory(["VmHWM", "RssFile"])?;
        Some(((peak - file) / MIB - self.resident).max(0.0))
    }

    /// Seconds of processor time.
    pub(crate) fn cpu(&self) -> f64 {
        (self.testee.cpu() - self.cpu).as_secs_f64()
    }
}

/// Waits until `done`.
pub(crate) fn until(what: impl std::fmt::Debug, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what:?} did not come in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Reads a stream to its end in a thread, line by line.
fn collect(stream: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let collected = Arc::new(Mutex::new(String::new()));
    let into = collected.clone();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
            into.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
    collected
}
