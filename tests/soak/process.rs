//! What the system knows of this process, and processes that this one starts.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::Sender,
    thread,
    time::Duration,
};

/// The limit on open files of this process.
pub(crate) fn descriptor_limit() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
}

/// Open descriptors, less the one that counts them.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

/// Resident memory in bytes, and threads.
pub(crate) fn memory_and_threads() -> (usize, usize) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    (number("VmRSS:") * 1024, number("Threads:"))
}

/// Processor time of all threads: the first field of `schedstat`, in nanoseconds.
pub(crate) fn processor_time() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let of_one = |task: fs::DirEntry| -> Option<u64> {
        fs::read_to_string(task.path().join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()
    };
    Duration::from_nanos(tasks.filter_map(of_one).sum())
}

/// This program once more, in another role. Its lines come in by a channel, commands go to it as lines.
#[derive(Debug)]
pub(crate) struct Role {
    child: Child,
    stdin: ChildStdin,
}

/// A line of the process with this index; `None` when it has ended.
pub(crate) type Line = (usize, Option<String>);

impl Role {
    pub(crate) fn start(arguments: &[String], index: usize, lines: Sender<Line>) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a child without pipes"));
        };
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { break };
                if lines.send((index, Some(line))).is_err() {
                    return;
                }
            }
            let _ = lines.send((index, None));
        });
        Ok(Self { child, stdin })
    }

    /// What a dead process is told is lost; its end comes in as a line.
    pub(crate) fn tell(&mut self, command: &str) {
        let _ = writeln!(self.stdin, "{command}").and_then(|()| self.stdin.flush());
    }

    /// SIGKILL: the kernel closes its sockets.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The lines on standard input, as they come; `quit` at its end, for whoever started us has gone.
pub(crate) fn commands(sender: Sender<String>) {
    commands_with(sender, || {});
}

/// The same for one who waits for something else, and is woken.
pub(crate) fn commands_with(sender: Sender<String>, wake: impl Fn() + Send + 'static) {
    thread::spawn(move || {
        let lines = io::stdin().lines().map_while(Result::ok);
        for line in lines.chain(["quit".to_owned()]) {
            if sender.send(line).is_err() {
                return;
            }
            wake();
        }
    });
}
