//! The pages of `wireroom::guide` say what the code does.

mod pages;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use wireroom::Config;

const LIMITS: &str = include_str!("../src/guide/limits.rs");

/// The rows under "Fixed", and where the value stands in the source.
const FIXED: &[(&str, &str, &str)] = &[
    ("payload of a control frame received (5.5)", "125 bytes", "opcode.is_control() && short > 125"),
    ("payload of a control frame sent (5.5)", "125 bytes", "if payload.len() > 125 {"),
    ("the reason of a Close (5.5.1)", "123 bytes", "const MAX_REASON: usize = 123;"),
    ("a time in `Config`", "24 days", "const MAX_TIME: Duration = Duration::from_secs(24 * 24 * 3600);"),
    ("control frames that overtake blocked output", "8", "const MAX_URGENT: usize = 8;"),
    ("a message that waits apart for a slow peer", "128 bytes", "const COST: usize = 128;"),
    ("frames that `watch_frames` keeps", "65,536", "const MOST: usize = 65_536;"),
    ("bytes of a payload that it keeps", "16 bytes", "const START: usize = 16;"),
    ("a part of a message that is inflated", "64 KiB", "const PART: usize = 64 * 1024;"),
    ("compressors kept by a [`DeflatePool`]", "4", "const COMPRESSORS: usize = 4;"),
    ("decompressors kept by it", "16", "const DECOMPRESSORS: usize = 16;"),
    ("a line of a chunk's size", "256 bytes", "const MAX_CHUNK_LINE: usize = 256;"),
    ("chunk extensions of a body", "4 KiB", "const MAX_CHUNK_EXTENSIONS: usize = 4_096;"),
    ("the trailer of a body", "4 KiB", "const MAX_TRAILER: usize = 4_096;"),
    ("HTTP answers that wait, in bytes", "64 KiB", "const OUTPUT_HIGH_WATER: usize = 65_536;"),
    ("interim responses to a client", "8", "const MAX_INTERIM: u32 = 8;"),
    (
        "TLS: records that are kept of a handshake message, or of one that is not whole",
        "96 KiB",
        "const PARTIAL: usize = 96 * 1024;",
    ),
    ("TLS: plaintext that is encrypted for one write", "64 KiB", "const WRITE: usize = 64 * 1024;"),
    ("a `Location` that is followed", "8 KiB", "const MAX_LOCATION: usize = 8_192;"),
    ("bytes kept of an HTTP proxy's reason", "128 bytes", "const MAX_REASON: usize = 128;"),
    ("entries of `NO_PROXY`", "1,024", "const MAX_ENTRIES: usize = 1_024;"),
    ("a header of version 1 of the PROXY protocol", "107 bytes", "const MAX_LINE: usize = 107;"),
    ("a unique id in one of version 2", "128 bytes", "const MAX_UNIQUE_ID: usize = 128;"),
    ("sockets that a process is started with", "1,024", "const MOST: usize = 1024;"),
    ("listeners of a loop", "63", "const LISTENERS: usize = 63;"),
    ("refusals over `max_connections` that are answered at once", "64", "const REFUSED: usize = 64;"),
    (
        "the pause after `accept` has failed, such as for want of descriptors",
        "100 ms",
        "const RETRY: Duration = Duration::from_millis(100);",
    ),
    ("connections in a row that fail while they are accepted", "16", "const PASSED: usize = 16;"),
    ("events taken from the kernel in one poll", "1,024", "const EVENTS: usize = 1024;"),
    ("one read", "256 KiB", "const READ: usize = 256 * 1024;"),
    ("bytes read between the writes of a turn, then no more are", "64 KiB", "const READ_BETWEEN: u64 = 64 * 1024;"),
    (
        "commands that are carried out between the writes of a turn",
        "4,096",
        "const COMMANDS_BETWEEN: usize = handle::CAPACITY;",
    ),
    ("bytes that one connection brings in a turn", "1 MiB", "const BUDGET: usize = 1024 * 1024;"),
    ("payload that it hands out in a turn", "2 MiB", "= 2 * BUDGET;"),
    ("slices in one write", "64", "const SLICES: usize = 64;"),
    ("commands that wait, of a [`Handle`]", "4,096", "const CAPACITY: usize = 4096;"),
    ("storage for sending that a loop keeps", "128 KiB", "const POOLED: usize = 128 * 1024;"),
    ("storage of large messages that a loop keeps", "256 MiB", "const MOST: usize = 256 << 20;"),
    ("how long without a large message", "1 s", "const KEEP: Duration = Duration::from_secs(1);"),
    (
        "storage of unfinished messages above three times what they hold, of a loop",
        "64 MiB",
        "const ROOMY: usize = 64 << 20;",
    ),
];

/// All of the source but the guide itself.
fn source() -> String {
    fn walk(path: PathBuf, source: &mut String) {
        if path.ends_with("src/guide") {
            return;
        }
        if path.is_dir() {
            fs::read_dir(path).unwrap().for_each(|entry| walk(entry.unwrap().path(), source));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            source.push_str(&fs::read_to_string(path).unwrap());
        }
    }
    let mut source = String::new();
    walk(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut source);
    source
}

#[test]
fn every_limit_of_config_is_on_the_page_with_its_default() {
    let left_over = pages::hold(LIMITS, "Config", &format!("{:?}", Config::default()));
    // Without the feature `deflate` its one row is left over.
    assert!(left_over <= usize::from(cfg!(not(feature = "deflate"))), "{left_over} rows have no field");
}

#[test]
fn the_limit_on_a_proxys_header_is_on_the_page() {
    let debug = format!("ProxyProtocol {{ max_header_size: {} }}", wireroom::proxy_protocol::DEFAULT_MAX_SIZE);
    assert_eq!(pages::hold(LIMITS, "ProxyProtocol", &debug), 0, "rows without a field");
    assert!(LIMITS.contains(&format!("at least {}", wireroom::proxy_protocol::LEAST_MAX_SIZE)));
}

#[cfg(feature = "deflate")]
#[test]
fn every_setting_of_compression_is_on_the_page_with_its_default() {
    let deflate = format!("{:?}", wireroom::PermessageDeflate::default());
    assert_eq!(pages::hold(LIMITS, "PermessageDeflate", &deflate), 0, "rows without a field");
}

#[cfg(feature = "rooms")]
#[test]
fn every_limit_of_rooms_is_on_the_page_with_its_default() {
    let config = wireroom::HubConfig::default();
    let limits = format!("{:?}", config.limits);
    assert_eq!(pages::hold(LIMITS, "RoomLimits", &limits), 0, "rows without a field");
    let hub = format!("{config:?}").replace(&format!("limits: {limits}, "), "");
    assert_eq!(pages::hold(LIMITS, "HubConfig", &hub), 0, "rows without a field");
}

#[cfg(feature = "net")]
#[test]
fn every_limit_of_clients_is_on_the_page_with_its_default() {
    use wireroom::{ConnectOptions, backoff::Backoff, net::reconnecting::ReconnectOptions};
    let connect = format!("{:?}", ConnectOptions::default());
    assert_eq!(pages::hold(LIMITS, "ConnectOptions", &connect), 0, "rows without a field");
    let backoff = format!("{:?}", Backoff::default());
    // Behind its limits it prints where it is.
    let limits = backoff.split(", failures").next().unwrap();
    assert_eq!(pages::hold(LIMITS, "Backoff", &format!("{limits} }}")), 0, "rows without a field");
    let reconnect = format!("{:?}", ReconnectOptions::default()).replace(&format!("backoff: {backoff}, "), "");
    assert_eq!(pages::hold(LIMITS, "ReconnectOptions", &reconnect), 0, "rows without a field");
}

#[test]
fn every_fixed_limit_on_the_page_stands_in_the_source() {
    let (rows, source) = (pages::rows(LIMITS, "fixed"), source());
    for (name, value, code) in FIXED {
        assert_eq!(rows.get(*name).map(String::as_str), Some(*value), "{name}");
        assert!(source.contains(code), "{name}, {value}: not in the source: {code}");
    }
    assert_eq!(rows.len(), FIXED.len(), "a row that nothing holds: {rows:?}");
}

#[test]
fn the_table_beside_others_has_the_scenarios_that_are_run() {
    let scenarios = include_str!("../benches/compare/scenarios.py").lines();
    let titles = scenarios.filter_map(|line| line.trim().strip_prefix("Scenario(")?.split('"').nth(3));
    let titles: Vec<_> = titles.collect();
    assert!(titles.len() > 10, "{titles:?}");
    let rows = pages::rows(include_str!("../src/guide/speed.rs"), "scenario");
    let missing: Vec<_> = titles.iter().filter(|title| !rows.contains_key(**title)).collect();
    assert!(missing.is_empty() && rows.len() == titles.len(), "not on the page: {missing:?}");
}

/// What is between "[`" and "`]", where no address follows.
fn links(text: &str) -> BTreeSet<&str> {
    let ends = text.split("[`").skip(1).filter_map(|rest| rest.split_once("`]"));
    ends.filter(|(_, behind)| !behind.starts_with('(')).map(|(name, _)| name).collect()
}

/// Rustdoc finds a broken link only in the build that has it.
#[test]
fn every_name_on_a_page_leads_somewhere_in_every_build() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide");
    let read = |name: &str| fs::read_to_string(guide.join(name)).unwrap();
    let mut pages = 0;
    for entry in fs::read_dir(&guide).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".rs") || name == "mod.rs" {
            continue;
        }
        let page = read(&name);
        // A page may have other files between its lines: configurations, for one.
        let (text, attributes): (Vec<_>, Vec<_>) = page.lines().partition(|line| line.starts_with("//!"));
        let text = text.join("\n");
        for with in [true, false] {
            // An attribute has a file for every build, for those with a feature, or for those without it.
            let mine = |line: &&&str| with != line.contains("(not(feature") || !line.contains("feature");
            let files =
                attributes.iter().filter(mine).filter_map(|line| line.split_once("(\"links/")?.1.split_once('"'));
            let known: String = files.map(|(file, _)| read(&format!("links/{file}"))).collect();
            let missing: Vec<_> = links(&text).difference(&links(&known)).map(|name| name.to_string()).collect();
            assert!(missing.is_empty(), "{name}, with features {with}: {missing:?}");
        }
        pages += 1;
    }
    assert!(pages >= 8, "only {pages} pages");
}

const KEEPALIVE: &str = include_str!("../src/guide/keepalive.rs");
const EMBEDDING: &str = include_str!("../src/guide/embedding.rs");
const MIGRATING: &str = include_str!("../src/guide/migrating.rs");

#[test]
fn every_time_on_the_page_of_keepalive_has_its_default() {
    let (told, limits) = (pages::rows(KEEPALIVE, "`Config`"), pages::rows(LIMITS, "`Config`"));
    for (name, default) in &told {
        assert_eq!(limits.get(name), Some(default), "{name}");
    }
    // The limits are held against the code; whatever is a time there has to be here.
    let times: BTreeSet<_> =
        limits.keys().filter(|name| name.ends_with("_timeout") || name.ends_with("_interval")).collect();
    assert_eq!(told.keys().collect::<BTreeSet<_>>(), times);

    let backoff = format!("{:?}", wireroom::backoff::Backoff::default());
    let settings = backoff.split(", failures: ").next().unwrap();
    assert_eq!(pages::hold(KEEPALIVE, "Backoff", &format!("{settings} }}")), 0, "rows without a setting");
}

#[test]
fn what_is_quoted_from_the_embedding_programs_stands_in_them() {
    let programs = [
        include_str!("../examples/embedding/src/bin/tokio_echo.rs"),
        include_str!("../examples/embedding/src/bin/io_uring_echo.rs"),
    ];
    let programs: String =
        programs.iter().flat_map(|text| text.lines()).map(|line| format!("{}\n", line.trim())).collect();
    let blocks: Vec<_> =
        EMBEDDING.split("//! ```ignore\n").skip(1).filter_map(|rest| rest.split_once("//! ```")).collect();
    assert_eq!(blocks.len(), 3);
    for (block, _) in blocks {
        let lines = block.lines().map(|line| format!("{}\n", line.trim_start_matches("//!").trim()));
        let quoted: String = lines.collect();
        assert!(programs.contains(&quoted), "not in the programs:\n{block}");
    }
}

#[test]
fn our_defaults_beside_those_of_other_libraries_are_ours() {
    let limits = pages::rows(LIMITS, "`Config`");
    for (name, theirs) in [("max_message_size", "64 MiB"), ("max_send_buffer", "unlimited")] {
        let ours = format!("| {theirs} | `{name}` | {} |", limits[name]);
        assert!(MIGRATING.contains(&ours), "{ours}");
    }
    for name in ["keepalive_interval", "keepalive_timeout", "max_message_size", "handshake_timeout"] {
        let ours = format!("`{name}` ({})", limits[name]);
        assert!(MIGRATING.contains(&ours), "{ours}");
    }
}
