//! The house stands: a floor uses only floors below it, files stay readable, and only `net` looks at the clock.
//!
//! Read from the source, `use crate::` line by `use crate::` line: the code before each file's `#[cfg(test)]`, without
//! its comments.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What each floor may use beside itself. `error` is everyone's.
const MAY_USE: &[(&str, &[&str])] = &[
    ("buffer", &[]),
    ("frame", &["buffer"]),
    ("message", &["buffer", "frame"]),
    ("http", &["buffer"]),
    ("proxy_protocol", &[]),
    ("handshake", &["buffer", "http", "proxy_protocol"]),
    ("proxy", &["buffer", "http"]),
    ("connection", &["buffer", "frame", "message", "http", "handshake", "proxy"]),
    // beside them: numbers only
    ("backoff", &[]),
    ("net", &["buffer", "frame", "message", "http", "proxy_protocol", "handshake", "proxy", "connection", "backoff"]),
    ("rooms", &["buffer", "frame", "message", "http", "handshake", "connection", "net"]),
    // beside the house: it shows what floors 0 to 4 do, and nobody there knows of it
    ("testing", &["buffer", "frame", "message", "http", "handshake", "connection"]),
    // pages
    ("guide", &[]),
    // an error of the peer's names the close code that follows
    ("error", &["frame"]),
];

/// No file of code grows past about so many lines.
const LINES: usize = 400;

/// Where the programs live: their files stay readable, and they have a clock.
const PROGRAM: &str = "bin";

struct File {
    path: PathBuf,
    /// The module of the crate root that it belongs to.
    floor: String,
    /// Everything before its tests.
    source: String,
}

fn files() -> Vec<File> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    assert!(paths.len() > 20, "the source is here: {paths:?}");
    let file = |path: PathBuf| {
        let source = fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
        let relative = path.strip_prefix(&root).unwrap();
        let floor = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        File { floor: floor.trim_end_matches(".rs").to_owned(), path: relative.to_owned(), source: code }
    };
    paths.into_iter().map(file).collect()
}

/// The library's floors. The program is a crate of its own, above them all, that uses what everybody may.
fn floors() -> Vec<File> {
    files().into_iter().filter(|file| file.floor != PROGRAM).collect()
}

fn without_comments(source: &str) -> String {
    source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The first segment of each path that follows `prefix`, the ones in braces included.
fn first_segments(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(segment(rest));
            continue;
        };
        let mut depth = 0;
        let mut start = true;
        for (i, character) in list.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ if start && !character.is_whitespace() => {
                    names.push(segment(&list[i..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    names
}

fn segment(path: &str) -> String {
    path.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// The names at the crate root, and the floor each comes from: what `lib.rs` re-exports.
fn reexports(lib: &str) -> BTreeMap<String, String> {
    let mut floors = BTreeMap::new();
    for statement in without_comments(lib).split(';') {
        let Some((_, path)) = statement.split_once("pub use ") else { continue };
        let floor = segment(path);
        for name in first_segments(path, &format!("{floor}::")) {
            floors.insert(name, floor.clone());
        }
    }
    floors
}

#[test]
fn a_floor_uses_only_floors_below_it() {
    let files = floors();
    let lib = files.iter().find(|file| file.floor == "lib").unwrap();
    let reexports = reexports(&lib.source);
    assert_eq!(reexports.get("RecvBuffer").map(String::as_str), Some("buffer"), "{reexports:?}");
    let mut offences = Vec::new();
    let mut uses = 0;
    for file in files.iter().filter(|file| file.floor != "lib") {
        let Some((_, allowed)) = MAY_USE.iter().find(|(floor, _)| *floor == file.floor) else {
            offences.push(format!("{}: a module that has no floor", file.path.display()));
            continue;
        };
        let code = without_comments(&file.source);
        let mut names = first_segments(&code, "crate::");
        // directly below the crate root `super` is the crate root
        if file.path.ends_with("mod.rs") && file.path.components().count() == 2 {
            names.extend(first_segments(&code, "super::"));
        }
        for name in names {
            uses += 1;
            let used = reexports.get(&name).unwrap_or(&name);
            if used != &file.floor && used != "error" && !allowed.contains(&used.as_str()) {
                offences.push(format!("{}: `{}` may not use `{used}` ({name})", file.path.display(), file.floor));
            }
        }
    }
    assert!(uses > 30, "only {uses} uses found: this test reads the source wrongly");
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn no_file_of_code_grows_past_400_lines() {
    let long: Vec<_> = files()
        .iter()
        .filter(|file| file.source.lines().count() > LINES)
        .map(|file| format!("{}: {} lines", file.path.display(), file.source.lines().count()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn only_the_net_floor_has_a_clock_and_entropy() {
    for file in floors().iter().filter(|file| file.floor != "net") {
        let mut code = without_comments(&file.source);
        if file.path.ends_with("testing/clock.rs") {
            // where virtual clocks start: an `Instant` can be had in no other way
            assert_eq!(code.matches("Instant::now").count(), 1, "the kit looks at the clock once");
            code = code.replace("Instant::now", "");
        }
        for ambient in ["Instant::now", "SystemTime", "getrandom", "std::net::Tcp", "mio::"] {
            let at = code.lines().position(|line| line.contains(ambient));
            assert!(at.is_none(), "{}:{}: {ambient}", file.path.display(), at.unwrap_or_default() + 1);
        }
    }
}
