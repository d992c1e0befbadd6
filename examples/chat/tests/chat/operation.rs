//! Starting, failing to start, and going down.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{Directory, PATIENCE, Server, header, program, request, say, upgrade};

/// What a server says that does not start: its exit status and standard error.
fn fails(listen: &str, database: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut program = program(listen, database, arguments);
    let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    // One that does start after all does not outlive this.
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_keeps_it_from_starting_is_one_sentence() {
    let directory = Directory::new();
    let server = Server::start(&[]);
    let (code, said) = fails(&server.address.to_string(), &directory.file("chat.db"), &[]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with(&format!("wireroom-chat: cannot listen on {}: ", server.address)), "{said}");
    assert!(!directory.file("chat.db").exists(), "no file for a server that does not run");

    let text = directory.file("notes.txt");
    std::fs::write(&text, "Not a database at all, and longer than the header of one would have to be. ".repeat(20))
        .unwrap();
    let foreign = directory.file("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE cake (layers INTEGER)").unwrap();
    let newer = directory.file("newer.db");
    Server::with_database(&newer, &[]).kill();
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let missing = directory.file("missing").join("chat.db");
    let itself = directory.file("");
    for (path, why) in [
        (&text, "is not a database of this chat"),
        (&foreign, "is not a database of this chat"),
        (&newer, "is from a newer version of this chat: it has schema 2, this one knows up to 1"),
        (&missing, "unable to open database file"),
        (&itself, "unable to open database file"),
    ] {
        let before = std::fs::read(path).ok();
        let (code, said) = fails("127.0.0.1:0", path, &[]);
        assert_eq!(code, Some(1), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("wireroom-chat: ") && said.contains(why), "{said}");
        assert!(said.contains(&path.display().to_string()), "{said}");
        assert_eq!(std::fs::read(path).ok(), before, "it stays as it was");
    }
    let (code, said) = fails("127.0.0.1:0", Path::new(":memory:"), &["--log", "loud"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("one of off, error, warn, info, debug") && said.contains("usage: "), "{said}");
}

#[test]
fn the_journal_is_a_wal_and_the_database_says_whose_it_is() {
    let directory = Directory::new();
    let database = directory.file("chat.db");
    let _server = Server::with_database(&database, &[]);
    let connection = rusqlite::Connection::open(&database).unwrap();
    let text = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, String>(0)).unwrap();
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).unwrap();
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!((number("application_id"), number("user_version")), (0x5772_6d63, 1));
}

/// Until the health check tells that the server goes down.
fn drains(address: SocketAddr) {
    let start = Instant::now();
    let mut health = request(address, "GET", "/healthz", "");
    while health.0 == 200 {
        assert!(start.elapsed() < PATIENCE, "it does not go down");
        health = request(address, "GET", "/healthz", "");
    }
    assert_eq!((health.0, health.2.as_str()), (503, "draining\n"));
}

#[test]
fn everybody_is_sent_away_and_everything_is_stored() {
    let directory = Directory::new();
    let database = directory.file("chat.db");
    let mut server = Server::with_database(&database, &["--drain", "0.6"]);
    let address = server.address;
    let mut ann = server.member("Ann", "red");
    let mut dashboard = server.connect("/live/ws");
    let others: Vec<_> = (0..8).map(|n| server.person(&format!("Bob {n}"))).collect();
    say(&mut ann, "red", "ann-00000001", "before");
    let start = Instant::now();
    server.signal("TERM");
    drains(address);
    assert_eq!(request(address, "HEAD", "/healthz", "").0, 503);
    let (status, head, _) = upgrade(address, "/ws", &format!("Origin: http://{address}\r\n"));
    assert_eq!((status, header(&head, "Retry-After")), (503, Some("1")));

    // All are told to go, and nobody of the others' going.
    assert_eq!(dashboard.until_closed(), (1001, "shutting down".to_owned()));
    drop(dashboard);
    for mut other in others {
        let mut told = other.frame();
        while told.0 == 0x81 {
            assert!(told.1.starts_with(b"{\"type\":\"arrived\""), "{:?}", String::from_utf8_lossy(&told.1));
            told = other.frame();
        }
        assert_eq!((told.0, &told.1[..2]), (0x88, &1001_u16.to_be_bytes()[..]));
    }
    assert_eq!(ann.until_closed(), (1001, "shutting down".to_owned()));
    drop(ann);
    assert_eq!(server.ends().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    // The last to go has put the journal away.
    assert!(!directory.file("chat.db-wal").exists());
    let kept: i64 = rusqlite::Connection::open(&database)
        .unwrap()
        .query_row("SELECT count(*) FROM message", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 1);
}

#[test]
fn what_was_taken_before_the_end_is_stored() {
    let directory = Directory::new();
    let database = directory.file("chat.db");
    let mut server = Server::with_database(&database, &["--drain", "0", "--rate", "0"]);
    let mut ann = server.member("Ann", "red");
    // Nothing can be stored for now. The shout's acknowledgement says that all before it was taken.
    let other = rusqlite::Connection::open(&database).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for n in 0..50 {
        ann.send(json!({"type": "say", "id": format!("ann-{n:08}"), "room": "red", "text": "x"}));
    }
    ann.send(json!({"type": "shout", "id": "shout-001", "text": "that was it"}));
    assert_eq!(ann.expect("ack")["id"], "shout-001");
    server.signal("INT");
    assert_eq!(ann.closed().0, 1001);
    drop(ann);
    std::thread::sleep(Duration::from_millis(200));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(server.ends().code(), Some(0));
    let kept: i64 = other.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, 50);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--drain", "60"]);
    let address = server.address;
    let _ann = server.person("Ann");
    server.signal("INT");
    drains(address);
    server.signal("INT");
    assert_eq!(server.ends().code(), Some(130));
}

#[test]
fn with_nobody_there_it_ends_at_once() {
    let mut server = Server::start(&["--drain", "60"]);
    server.signal("TERM");
    assert_eq!(server.ends().code(), Some(0));
}
