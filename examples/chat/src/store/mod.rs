//! The history in SQLite. Nothing of it runs on the event loop's thread: a writer commits in groups, a reader reads
//! pages, and both answer through the hub's handle. What waits for them is bounded; beyond that it is refused as `busy`.

mod reader;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rusqlite::Connection;
use wireroom::{ConnId, HubHandle, HubHandleError, PreparedMessage, rooms::Room};

use crate::messages::{Code, Refusal};
use writer::Writer;

pub(crate) use writer::now;

/// Messages that wait to be stored, at most.
const SAYS: usize = 4096;
/// Pages that wait to be read, at most.
const ASKS: usize = 1024;
/// When something that found a queue full may be sent again, in milliseconds.
const RETRY: u64 = 500;
/// How long the writer and the reader wait for a loop that is behind.
const LOOP_IS_BEHIND: Duration = Duration::from_millis(1);

/// A message to be stored, and then told.
#[derive(Debug)]
pub(crate) struct Say {
    /// The connection that is to have the acknowledgement.
    pub(crate) by: ConnId,
    pub(crate) id: String,
    pub(crate) room: String,
    pub(crate) from: Arc<str>,
    pub(crate) text: String,
}

/// A page of history, asked for.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) by: ConnId,
    pub(crate) room: String,
    pub(crate) page: Page,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    Last,
    Before(u64),
    After(u64),
}

impl Page {
    /// `before` and `after`, as a message has them.
    fn bounds(self) -> (Option<u64>, Option<u64>) {
        match self {
            Self::Last => (None, None),
            Self::Before(seq) => (Some(seq), None),
            Self::After(seq) => (None, Some(seq)),
        }
    }
}

/// Where the writer and the reader say what came of it.
pub(crate) trait Outbox: Clone + Send + 'static {
    fn to_room(&self, room: &str, message: &str);
    fn to_one(&self, id: ConnId, message: &str);
}

impl Outbox for HubHandle {
    fn to_room(&self, room: &str, message: &str) {
        deliver(self, room.into(), message);
    }

    fn to_one(&self, id: ConnId, message: &str) {
        deliver(self, id.into(), message);
    }
}

/// Nothing is skipped: when the loop is behind, its store waits, and then its clients are told `busy`.
fn deliver(handle: &HubHandle, room: Room<'_>, message: &str) {
    let message = PreparedMessage::new(message);
    while handle.to(room).emit(message.clone()) == Err(HubHandleError::Full) {
        thread::sleep(LOOP_IS_BEHIND);
    }
}

/// What the store has done so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    waiting: AtomicU64,
    stored: AtomicU64,
    commit_us: AtomicU64,
    group: AtomicU64,
}

impl Counters {
    /// Messages that wait for a commit.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Messages committed since the start.
    pub(crate) fn messages(&self) -> u64 {
        self.stored.load(Relaxed)
    }

    /// How long the last commit took, in microseconds, and how many messages it held.
    pub(crate) fn last_commit(&self) -> (u64, u64) {
        (self.commit_us.load(Relaxed), self.group.load(Relaxed))
    }

    fn stored(&self, messages: u64) {
        self.stored.fetch_add(messages, Relaxed);
    }

    fn committed(&self, group: usize, took: Duration) {
        self.waiting.fetch_sub(group as u64, Relaxed);
        self.commit_us.store(took.as_micros() as u64, Relaxed);
        self.group.store(group as u64, Relaxed);
    }
}

/// One connection to the database. A file has two of them, one for each thread; a database in memory exists in its one
/// connection only, and the threads take turns.
type Shared = Arc<Mutex<Connection>>;

fn lock(database: &Shared) -> MutexGuard<'_, Connection> {
    database.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The loop's side of the store.
#[derive(Debug)]
pub(crate) struct Store {
    queues: Option<(SyncSender<Say>, SyncSender<Ask>)>,
    threads: [JoinHandle<()>; 2],
    counters: Arc<Counters>,
}

impl Store {
    /// Opens the database, and gives the rooms it knows, the one with the latest message first. It keeps at most `keep`
    /// messages. The error is one sentence for people.
    pub(crate) fn open(path: &Path, keep: u64, outbox: impl Outbox) -> Result<(Self, Vec<String>), String> {
        let counters = Arc::new(Counters::default());
        let (say, says) = sync_channel(SAYS);
        let (ask, asks) = sync_channel(ASKS);
        let (opened, ready) = sync_channel(1);
        let (reader_runs, reader_ended) = sync_channel::<()>(0);
        let (owned, of_writer, counted) = (path.to_owned(), outbox.clone(), counters.clone());
        let writer = spawn("writer", move || {
            let parts = prepare(&owned).and_then(|(to_write, to_read, rooms)| {
                let writer = Writer::new(to_write, of_writer, counted, keep);
                Ok((writer.map_err(|error| unreadable(&owned, &error))?, to_read, rooms))
            });
            match parts {
                Ok((mut writer, to_read, rooms)) => {
                    // Nobody takes it only if `open` itself has gone.
                    let _ = opened.send(Ok((to_read, rooms)));
                    writer.run(&says);
                    // The last to close a database puts its journal away, if it may write.
                    let _ = reader_ended.recv();
                }
                Err(error) => _ = opened.send(Err(error)),
            }
        })?;
        let (to_read, rooms) = ready.recv().map_err(|_| "the writer of the database ended at once".to_owned())??;
        let reader = spawn("reader", move || {
            reader::run(&to_read, &outbox, &asks);
            drop(to_read);
            drop(reader_runs);
        })?;
        Ok((Self { queues: Some((say, ask)), threads: [writer, reader], counters }, rooms))
    }

    /// Has a message stored and told.
    pub(crate) fn say(&self, say: Say) -> Result<(), Refusal> {
        self.counters.waiting.fetch_add(1, Relaxed);
        let queued = queue(self.queues.as_ref().map(|(says, _)| says), say);
        if queued.is_err() {
            self.counters.waiting.fetch_sub(1, Relaxed);
        }
        queued
    }

    /// Has a page of history read and sent.
    pub(crate) fn ask(&self, ask: Ask) -> Result<(), Refusal> {
        queue(self.queues.as_ref().map(|(_, asks)| asks), ask)
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes nothing more. What was taken is still done; see [`Store::has_ended`].
    pub(crate) fn finish(&mut self) {
        self.queues = None;
    }

    /// Both threads have come to their end: after [`Store::finish`] all is done, else something is badly wrong.
    pub(crate) fn has_ended(&self) -> bool {
        match self.queues {
            None => self.threads.iter().all(JoinHandle::is_finished),
            Some(_) => self.threads.iter().any(JoinHandle::is_finished),
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, String> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error: io::Error| format!("cannot start the {name} of the database: {error}"))
}

fn queue<T>(queue: Option<&SyncSender<T>>, job: T) -> Result<(), Refusal> {
    match queue.map(|queue| queue.try_send(job)) {
        Some(Ok(())) => Ok(()),
        Some(Err(TrySendError::Full(_))) => {
            Err(Refusal::retry(Code::Busy, "The database is behind. This will be tried again.", RETRY))
        }
        Some(Err(TrySendError::Disconnected(_))) | None => {
            Err(Refusal::retry(Code::Storage, "The database is closed.", RETRY))
        }
    }
}

/// The connection to write, the one to read, and the rooms with history.
fn prepare(path: &Path) -> Result<(Shared, Shared, Vec<String>), String> {
    let database = schema::open(path)?;
    let rooms = reader::rooms(&database).map_err(|error| unreadable(path, &error))?;
    let to_write = Arc::new(Mutex::new(database));
    let to_read = if path == Path::new(":memory:") {
        to_write.clone()
    } else {
        Arc::new(Mutex::new(schema::open_to_read(path)?))
    };
    Ok((to_write, to_read, rooms))
}

fn unreadable(path: &Path, error: &rusqlite::Error) -> String {
    format!("cannot read the database {}: {error}", path.display())
}
