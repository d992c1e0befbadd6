//! The writer: everything that waits becomes one transaction, and is told when it is on the disk.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::{Counters, Outbox, Say, Shared, lock};
use crate::messages::{Code, FromServer, Refusal};

/// Messages in one transaction, at most.
pub(super) const GROUP: usize = 512;
/// Old messages that one transaction deletes, beside as many as it adds.
const PRUNE: u64 = 256;
/// After a failure to delete, nothing is deleted for so long.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// When a message that could not be stored may be sent again, in milliseconds.
const RETRY: u64 = 2000;

pub(super) struct Writer<O> {
    database: Shared,
    outbox: O,
    counters: Arc<Counters>,
    /// Messages that are kept, at most.
    keep: u64,
    /// Messages in the database.
    count: u64,
}

/// What became of one message of a group.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored {
        seq: u64,
        time: u64,
    },
    /// It was stored before.
    Known {
        seq: u64,
    },
    /// Its id is that of another message.
    Reused,
}

enum Next {
    Say(Say),
    Prune,
    End,
}

impl<O: Outbox> Writer<O> {
    pub(super) fn new(database: Shared, outbox: O, counters: Arc<Counters>, keep: u64) -> rusqlite::Result<Self> {
        let count = lock(&database).query_row("SELECT count(*) FROM message", [], |row| row.get(0))?;
        Ok(Self { database, outbox, counters, keep, count })
    }

    /// Until all who could say something have gone, and all they said is stored.
    pub(super) fn run(&mut self, says: &Receiver<Say>) {
        let mut group = Vec::with_capacity(GROUP);
        let mut prune_from = None;
        loop {
            match self.next(says, prune_from) {
                Next::Say(say) => group.push(say),
                Next::Prune => {
                    prune_from = self.prune().err().map(|error| {
                        log::error!("old messages could not be deleted: {error}");
                        Instant::now() + AFTER_FAILURE
                    });
                    continue;
                }
                Next::End => return,
            }
            while group.len() < GROUP
                && let Ok(say) = says.try_recv()
            {
                group.push(say);
            }
            self.commit_and_tell(&group);
            group.clear();
        }
    }

    fn next(&self, says: &Receiver<Say>, prune_from: Option<Instant>) -> Next {
        if self.count <= self.keep {
            return says.recv().map_or(Next::End, Next::Say);
        }
        match prune_from.map(|at| at.saturating_duration_since(Instant::now())) {
            Some(wait) => match says.recv_timeout(wait) {
                Ok(say) => Next::Say(say),
                Err(RecvTimeoutError::Timeout) => Next::Prune,
                Err(RecvTimeoutError::Disconnected) => Next::End,
            },
            None => match says.try_recv() {
                Ok(say) => Next::Say(say),
                Err(TryRecvError::Empty) => Next::Prune,
                Err(TryRecvError::Disconnected) => Next::End,
            },
        }
    }

    /// Nobody is told of anything before the commit, and everybody of everything after it.
    pub(super) fn commit_and_tell(&mut self, group: &[Say]) {
        let began = Instant::now();
        let committed = self.commit(group);
        self.counters.committed(group.len(), began.elapsed());
        match committed {
            Ok(outcomes) => {
                for (say, outcome) in group.iter().zip(outcomes) {
                    self.tell(say, &outcome);
                }
            }
            Err(error) => {
                log::error!("{} messages could not be stored: {error}", group.len());
                let refusal = Refusal::retry(Code::Storage, "The message could not be stored.", RETRY);
                for say in group {
                    self.outbox.to_one(say.by, &refusal.json(Some(&say.id), Some(&say.room)));
                }
            }
        }
    }

    pub(super) fn commit(&mut self, group: &[Say]) -> rusqlite::Result<Vec<Outcome>> {
        let mut database = lock(&self.database);
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let outcomes = store(&transaction, group)?;
        let stored = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Stored { .. })).count() as u64;
        let mut count = self.count + stored;
        count = count.saturating_sub(delete_oldest(&transaction, count.saturating_sub(self.keep).min(stored + PRUNE))?);
        transaction.commit()?;
        self.count = count;
        self.counters.stored(stored);
        Ok(outcomes)
    }

    /// What is too much, when nobody says anything.
    pub(super) fn prune(&mut self) -> rusqlite::Result<()> {
        let mut database = lock(&self.database);
        let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let deleted = delete_oldest(&transaction, self.count.saturating_sub(self.keep).min(PRUNE))?;
        transaction.commit()?;
        // Nothing to delete where there should be: somebody else has been at the database.
        self.count = if deleted == 0 { self.keep } else { self.count.saturating_sub(deleted) };
        Ok(())
    }

    fn tell(&self, say: &Say, outcome: &Outcome) {
        let Say { by, id, room, from, text } = say;
        let seq = match *outcome {
            Outcome::Stored { seq, time } => {
                self.outbox.to_room(room, &FromServer::Said { room, seq, id, from, text, time }.json());
                seq
            }
            Outcome::Known { seq } => seq,
            Outcome::Reused => {
                let refusal = Refusal::new(Code::IdReused, "This id is that of another message.");
                return self.outbox.to_one(*by, &refusal.json(Some(id), Some(room)));
            }
        };
        self.outbox.to_one(*by, &FromServer::Ack { id, seq: Some(seq) }.json());
    }
}

fn store(transaction: &Transaction<'_>, group: &[Say]) -> rusqlite::Result<Vec<Outcome>> {
    let mut insert = transaction.prepare(
        "INSERT INTO message (id, room, sender, text, time) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO NOTHING RETURNING seq",
    )?;
    let mut known = transaction.prepare("SELECT seq, room = ?2 AND text = ?3 FROM message WHERE id = ?1")?;
    let mut outcomes = Vec::with_capacity(group.len());
    for Say { id, room, from, text, .. } in group {
        let time = now();
        let seq = insert.query_row(params![id, room, &**from, text, time], |row| row.get(0)).optional()?;
        outcomes.push(match seq {
            Some(seq) => Outcome::Stored { seq, time },
            None => known.query_row(params![id, room, text], |row| {
                Ok(if row.get(1)? { Outcome::Known { seq: row.get(0)? } } else { Outcome::Reused })
            })?,
        });
    }
    Ok(outcomes)
}

/// Answers how many there were.
fn delete_oldest(database: &Connection, count: u64) -> rusqlite::Result<u64> {
    if count == 0 {
        return Ok(0);
    }
    let deleted = database
        .execute("DELETE FROM message WHERE seq IN (SELECT seq FROM message ORDER BY seq LIMIT ?1)", [count])?;
    Ok(deleted as u64)
}

/// Milliseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
