//! The reader: pages of history, beside the writer and without waiting for it.

use std::sync::mpsc::Receiver;

use rusqlite::{Connection, Row, params};

use super::{Ask, Outbox, Page, Shared, lock};
use crate::messages::{Code, FromServer, Kept, Refusal};

/// Messages on one page.
pub(crate) const PAGE: usize = 50;
/// Rooms that are remembered from the history at the start.
pub(super) const ROOMS: usize = 1000;
/// When a page that could not be read may be asked for again, in milliseconds.
const RETRY: u64 = 2000;

/// Until all who could ask have gone.
pub(super) fn run(database: &Shared, outbox: &impl Outbox, asks: &Receiver<Ask>) {
    for Ask { by, room, page } in asks {
        let read = read(&lock(database), &room, page);
        let answer = match read {
            Ok((messages, more)) => {
                let (before, after) = page.bounds();
                FromServer::History { room: &room, before, after, messages, more }.json()
            }
            Err(error) => {
                log::error!("history could not be read: {error}");
                Refusal::retry(Code::Storage, "The history could not be read.", RETRY).json(None, Some(&room))
            }
        };
        outbox.to_one(by, &answer);
    }
}

/// A page in order of `seq`, and whether there is more in its direction.
pub(super) fn read(database: &Connection, room: &str, page: Page) -> rusqlite::Result<(Vec<Kept>, bool)> {
    let (bound, newer) = match page {
        Page::Last => (i64::MAX, false),
        // No seq is above what SQLite can count.
        Page::Before(seq) => (i64::try_from(seq).unwrap_or(i64::MAX), false),
        Page::After(seq) => (i64::try_from(seq).unwrap_or(i64::MAX), true),
    };
    let mut statement = database.prepare(if newer {
        "SELECT seq, id, sender, text, time FROM message WHERE room = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"
    } else {
        "SELECT seq, id, sender, text, time FROM message WHERE room = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
    })?;
    let mut messages: Vec<Kept> =
        statement.query_map(params![room, bound, PAGE + 1], kept)?.collect::<rusqlite::Result<_>>()?;
    let more = messages.len() > PAGE;
    messages.truncate(PAGE);
    if !newer {
        messages.reverse();
    }
    Ok((messages, more))
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept { seq: row.get(0)?, id: row.get(1)?, from: row.get(2)?, text: row.get(3)?, time: row.get(4)? })
}

/// The rooms with history, the one with the latest message first. From name to name through the index, not message by
/// message.
pub(super) fn rooms(database: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = database.prepare(
        "WITH RECURSIVE name (room) AS (
             SELECT min(room) FROM message
             UNION ALL
             SELECT (SELECT min(room) FROM message WHERE room > name.room) FROM name WHERE name.room IS NOT NULL
         )
         SELECT room FROM name WHERE room IS NOT NULL
         ORDER BY (SELECT max(seq) FROM message WHERE message.room = name.room) DESC LIMIT ?1",
    )?;
    statement.query_map([ROOMS], |row| row.get(0))?.collect()
}
