//! The database file: whose it is, which version, and how it is written.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// `PRAGMA application_id` of a database of this chat: "Wrmc".
const APPLICATION: i32 = 0x5772_6d63;
/// `PRAGMA user_version`: what this program reads and writes.
const VERSION: i32 = 1;
/// How long a statement waits for another program that has the database locked.
const BUSY: Duration = Duration::from_secs(5);

/// AUTOINCREMENT: a `seq` is never given twice, even when the messages behind it have been deleted.
const SCHEMA: &str = "
    CREATE TABLE message (
        seq    INTEGER PRIMARY KEY AUTOINCREMENT,
        id     TEXT NOT NULL UNIQUE,
        room   TEXT NOT NULL,
        sender TEXT NOT NULL,
        text   TEXT NOT NULL,
        time   INTEGER NOT NULL
    );
    CREATE INDEX message_room_seq ON message (room, seq);
";

/// Opens the database to write, and makes it if there is none. The error is one sentence for people.
pub(super) fn open(path: &Path) -> Result<Connection, String> {
    let shown = path.display();
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => format!("{shown} is not a database of this chat"),
        _ => format!("cannot open the database {shown}: {error}"),
    };
    // Without SQLITE_OPEN_URI: a file may be called anything.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut database = Connection::open_with_flags(path, flags).map_err(failed)?;
    database.busy_timeout(BUSY).map_err(failed)?;
    // A file that may only be read is opened all the same, to be read.
    if database.is_readonly("main").map_err(failed)? {
        return Err(format!("cannot open the database {shown}: it may not be written"));
    }
    let found = Found::look(&database).map_err(failed)?;
    match found {
        // Before anything is written: a stranger's file stays as it is.
        Found::Foreign => return Err(format!("{shown} is not a database of this chat")),
        Found::Version(version) if version > VERSION => {
            return Err(format!(
                "{shown} is from a newer version of this chat: it has schema {version}, this one knows up to {VERSION}"
            ));
        }
        Found::Empty | Found::Version(_) => {}
    }
    let journal: String =
        database.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(failed)?;
    if journal != "wal" && journal != "memory" {
        return Err(format!("cannot open the database {shown}: it keeps a journal of the kind {journal}, not wal"));
    }
    // FULL: a commit is on the disk when it is acknowledged, also when the power fails.
    database.pragma_update(None, "synchronous", "full").map_err(failed)?;
    if found == Found::Empty {
        create(&mut database).map_err(failed)?;
    }
    Ok(database)
}

/// A second connection to a database that is open, to read.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .and_then(|database| database.busy_timeout(BUSY).map(|()| database))
        .map_err(|error| format!("cannot open the database {} to read: {error}", path.display()))
}

#[derive(Debug, PartialEq, Eq)]
enum Found {
    Empty,
    Foreign,
    Version(i32),
}

impl Found {
    fn look(database: &Connection) -> rusqlite::Result<Self> {
        let number = |pragma| database.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        let (application, version) = (number("application_id")?, number("user_version")?);
        let tables: i64 = database.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok(match (application, version, tables) {
            (APPLICATION, version, _) => Self::Version(version),
            (0, 0, 0) => Self::Empty,
            _ => Self::Foreign,
        })
    }
}

fn create(database: &mut Connection) -> rusqlite::Result<()> {
    let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another program may have been first, while this one waited for the lock.
    if Found::look(&transaction)? == Found::Empty {
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}
