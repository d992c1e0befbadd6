//! The room for dashboards.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Directory, Server, say};

const FIELDS: [&str; 15] = [
    "time",
    "uptime",
    "connections",
    "people",
    "rooms",
    "messages_in",
    "messages_out",
    "bytes_in",
    "bytes_out",
    "queued",
    "stored",
    "waiting",
    "commit_us",
    "group",
    "turns",
];

#[test]
fn counters_come_by_themselves() {
    let directory = Directory::new();
    let server = Server::with_database(&directory.file("chat.db"), &[]);
    let mut dashboard = server.connect("/live/ws");
    let start = Instant::now();
    let first = dashboard.expect("counters");
    assert_eq!((&first["connections"], &first["people"], &first["rooms"]), (&json!(1), &json!(0), &json!(0)));
    let fields = first.as_object().unwrap();
    assert_eq!(fields.len(), 1 + FIELDS.len());
    for field in FIELDS {
        assert!(fields[field].is_u64(), "{field}: {first}");
    }
    let mut ann = server.member("Ann", "red");
    say(&mut ann, "red", "ann-00000001", "hello");
    let second = loop {
        let counters = dashboard.expect("counters");
        if counters["stored"] == 1 {
            break counters;
        }
    };
    assert_eq!((&second["connections"], &second["people"], &second["rooms"]), (&json!(2), &json!(1), &json!(1)));
    assert_eq!((&second["group"], &second["waiting"]), (&json!(1), &json!(0)));
    assert!(second["commit_us"].as_u64().unwrap() > 0);
    for field in ["uptime", "messages_in", "messages_out", "bytes_in", "bytes_out", "turns"] {
        assert!(second[field].as_u64() > first[field].as_u64(), "{field}: {second}");
    }
    // Text is not for it, and does not disturb it.
    dashboard.send(json!({"type": "hello", "name": "Eve", "secret": "0123456789abcdef"}));
    (0..2).for_each(|_| _ = dashboard.expect("counters"));
    assert!(start.elapsed() > Duration::from_millis(600), "each 250 ms");
}

#[test]
fn nobody_watches_and_nothing_ticks() {
    let server = Server::start(&[]);
    let mut dashboard = server.connect("/live/ws");
    dashboard.expect("counters");
    drop(dashboard);
    // One tick to notice. Then the turns are those that somebody causes.
    std::thread::sleep(Duration::from_millis(600));
    let turns = || {
        let mut dashboard = server.connect("/live/ws");
        dashboard.expect("counters")["turns"].as_u64().unwrap()
    };
    let before = turns();
    std::thread::sleep(Duration::from_millis(1500));
    let after = turns();
    assert!(after - before <= 15, "{before} turns, then {after}");
}
