//! The chat as a child process that is killed and started again on the same port and database.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use crate::Failure;

const STARTING: Duration = Duration::from_secs(10);

/// Ends its process when it is dropped.
pub(crate) struct Server {
    program: PathBuf,
    database: PathBuf,
    /// Port 0 until the first one has said where it listens.
    listen: String,
    running: Option<Child>,
}

impl Server {
    pub(crate) fn new(program: PathBuf, database: PathBuf) -> Self {
        Self { program, database, listen: "127.0.0.1:0".to_owned(), running: None }
    }

    /// Starts it, and answers where it listens once it does.
    pub(crate) fn start(&mut self) -> Result<&str, Failure> {
        let mut child = Command::new(&self.program)
            .args(["--listen", &self.listen, "--rate", "0", "--log", "warn", "--database"])
            .arg(&self.database)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        let stdout = child.stdout.take();
        self.running = Some(child);
        let lines = lines(BufReader::new(stdout.ok_or("the chat has no standard output")?));
        let authority = loop {
            let line = lines.recv_timeout(STARTING).map_err(|error| match error {
                RecvTimeoutError::Timeout => "the chat does not say where it listens",
                RecvTimeoutError::Disconnected => "the chat ended at once",
            })?;
            if let Some(url) = line.strip_prefix("listening on http://") {
                break url.trim_end_matches('/').to_owned();
            }
        };
        self.listen = authority;
        Ok(&self.listen)
    }

    /// SIGKILL: it cannot do anything about it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            // It fails only for a process that has gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// An error when it ended without being killed.
    pub(crate) fn watch(&mut self) -> Result<(), Failure> {
        match self.running.as_mut().map(Child::try_wait).transpose()?.flatten() {
            Some(status) => Err(format!("the chat ended by itself: {status}").into()),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Its lines, read to the end by a thread so that it never waits for its reader.
fn lines(stdout: impl BufRead + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}
