//! What one end received and when, as text: recorded once, kept beside the code, and replayed against it.

use std::{fmt, io, time::Duration};

use super::{Endpoint, Role, Seen, entry::Entry};

/// What happened at one end of a connection, in order: what it received and when, what its user saw, what it sent.
///
/// An [`Endpoint`] makes one ([`Endpoint::record`]), in a [`Pair`](super::Pair) too; a driver of real sockets can make one by
/// calling the methods below. Its text (by [`Display`](fmt::Display) and [`str::parse`]) is made to be committed: a
/// regression test is a file and three lines.
///
/// ```
/// use wireroom::{Config, Event, testing::{Endpoint, Role, Transcript}};
///
/// let recorded = r#"
/// wireroom transcript 1 server
/// ## a text in two fragments, which came in three reads, a Ping between them
/// < 01 83 37 fa 21 3d
/// < 7f 9f 4d 89 80 37 fa 21 3d
/// = Ping -
/// @ 0.25
/// < 80 82 37 fa 21 3d 5b 95
/// = Text "Hello"
/// > 8a 00 81 05 48 65 6c 6c 6f
/// @ 30.25
/// timeout
/// > 89 00
/// "#;
/// let transcript: Transcript = recorded.parse()?;
/// let mut server = Endpoint::new(Role::Server, Config::default());
/// server.echo(); // the handler under test
/// transcript.replay(&mut server)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # The text
///
/// One line is one thing that happened, at the time that the last `@` told:
///
/// | line | what |
/// |---|---|
/// | `wireroom transcript 1 server` | the first line: which side this end is |
/// | `@ 30.25` | the time, in seconds since the beginning |
/// | `< 81 85 37` | bytes came in, in one read |
/// | `< end` | the stream ended |
/// | `< error ConnectionReset` | the transport failed |
/// | `timeout` | `Connection::handle_timeout` was called |
/// | `= Text "Hello"` | an event, as [`Seen`] writes it |
/// | `> 81 05 48` | the transport took these bytes, and with them all that waited |
/// | `>> 81 05` | the transport took these bytes, and more waits: a short write |
/// | `waits 3` | at the end so many bytes were left |
/// | `# ..` | a comment |
///
/// A line that begins with two spaces goes on with the bytes of the line before; `00*4096` is a byte that often.
///
/// # What is the same again
///
/// The connection is deterministic: what it does depends on the bytes, on where they were cut, on the time, and on what its
/// handler does. What somebody else sends, closes or pauses between two events is not in a transcript; a handler can do it
/// on an event. A client's bytes are the same if its masking keys are ([`keys`](super::keys)); compressed bytes are if the
/// compressor is the same version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    pub(super) role: Role,
    pub(super) entries: Vec<Entry>,
    /// The time that the last entry of a time told.
    pub(super) at: Duration,
}

impl Transcript {
    /// An empty transcript of what happens at `role`'s end.
    pub fn new(role: Role) -> Self {
        Self { role, entries: Vec::new(), at: Duration::ZERO }
    }

    /// Which end it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Bytes came in, in one read, `at` so long after the beginning. Afterwards all events were taken.
    pub fn received(&mut self, at: Duration, bytes: &[u8]) {
        self.push(at, Entry::Received(bytes.to_vec()));
    }

    /// The stream ended.
    pub fn ended(&mut self, at: Duration) {
        self.push(at, Entry::Ended);
    }

    /// The transport failed.
    pub fn failed(&mut self, at: Duration, error: io::ErrorKind) {
        self.push(at, Entry::Failed(error));
    }

    /// `Connection::handle_timeout` was called.
    pub fn timed_out(&mut self, at: Duration) {
        self.push(at, Entry::Timeout);
    }

    /// An event was handed out.
    pub fn event(&mut self, at: Duration, event: &Seen) {
        self.push(at, Entry::Event(event.to_string()));
    }

    /// The transport took these bytes, and `waiting` more are left.
    pub fn sent(&mut self, at: Duration, bytes: &[u8], waiting: usize) {
        self.push(at, Entry::Sent { bytes: bytes.to_vec(), all: waiting == 0 });
    }

    /// The end of the recording: so many bytes wait to be sent.
    pub fn finish(&mut self, waiting: usize) {
        if waiting > 0 {
            self.entries.push(Entry::Waits(waiting));
        }
    }

    pub(super) fn push(&mut self, at: Duration, entry: Entry) {
        if at != self.at {
            self.at = at;
            self.entries.push(Entry::At(at));
        }
        self.entries.push(entry);
    }

    /// Tells a fresh endpoint, its handler in place, what was recorded: it has to see the same events and to send the same
    /// bytes.
    ///
    /// # Errors
    ///
    /// The first line that differs.
    pub fn replay(&self, endpoint: &mut Endpoint<'_>) -> Result<(), Mismatch> {
        let now = self.record_again(endpoint);
        let line_of = |transcript: &Transcript, at: usize| transcript.entries.get(at).map(Entry::to_string);
        let expected: Vec<_> = self.entries.iter().enumerate().filter(|(_, entry)| !entry.is_comment()).collect();
        for (n, (at, entry)) in expected.iter().enumerate() {
            if now.entries.get(n) != Some(*entry) {
                return Err(Mismatch {
                    line: self.line(*at),
                    expected: Some(entry.to_string()),
                    found: line_of(&now, n),
                });
            }
        }
        match line_of(&now, expected.len()) {
            None => Ok(()),
            found => Err(Mismatch { line: self.line(self.entries.len()), expected: None, found }),
        }
    }

    /// Tells an endpoint what was recorded, and writes down what happens: the transcript to keep after a change that was
    /// meant.
    ///
    /// # Panics
    ///
    /// If the endpoint is of the other role.
    #[track_caller]
    pub fn record_again(&self, endpoint: &mut Endpoint<'_>) -> Transcript {
        assert_eq!(endpoint.role, self.role, "the transcript is the other end's");
        endpoint.record();
        for entry in &self.entries {
            match entry {
                Entry::At(at) => endpoint.set_elapsed(*at),
                Entry::Received(bytes) => endpoint.receive(bytes),
                Entry::Ended => endpoint.end(),
                Entry::Failed(error) => endpoint.fail(*error),
                Entry::Timeout => endpoint.advance_to(endpoint.now()),
                Entry::Sent { all: true, .. } => _ = endpoint.write(usize::MAX),
                Entry::Sent { bytes, all: false } => _ = endpoint.write(bytes.len()),
                Entry::Event(_) | Entry::Waits(_) | Entry::Comment(_) => {}
            }
        }
        endpoint.transcript()
    }

    /// On which line of the text the entry stands; the first line is the title.
    fn line(&self, at: usize) -> usize {
        let before = self.entries[..at].iter();
        2 + before.map(|entry| entry.to_string().lines().count().max(1)).sum::<usize>()
    }
}

/// A replay that went another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The line of the transcript's text, as [`Transcript`] writes it.
    pub line: usize,
    /// What stands there; `None` behind its end.
    pub expected: Option<String>,
    /// What happened; `None` if nothing more did.
    pub found: Option<String>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |line: &Option<String>| line.clone().unwrap_or_else(|| "nothing more".to_owned());
        write!(
            f,
            "line {} of the transcript:\n  {}\nhappened now:\n  {}",
            self.line,
            line(&self.expected),
            line(&self.found)
        )
    }
}

impl std::error::Error for Mismatch {}
