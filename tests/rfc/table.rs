//! Holds `musts.txt` and the tests together: no sentence without a test or a reason, no test without a sentence.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One sentence of the RFC, as listed.
#[derive(Debug, Default)]
struct Entry {
    id: String,
    section: String,
    who: String,
    sentence: String,
    tests: Vec<String>,
    reason: String,
}

const WHO: [&str; 5] = ["server", "client", "both", "intermediary", "extension"];

/// The groups of lines between empty lines; comments start with `#`.
fn entries(list: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut group: Vec<&str> = Vec::new();
    for line in list.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if !line.trim().is_empty() {
            group.push(line);
        } else if !group.is_empty() {
            entries.push(entry(&group));
            group.clear();
        }
    }
    entries
}

fn entry(group: &[&str]) -> Entry {
    let mut columns = group[0].split(" | ");
    let mut column = || columns.next().unwrap_or_default().to_owned();
    let mut entry = Entry { id: column(), section: column(), who: column(), ..Entry::default() };
    entry.section = entry.section.replace("section ", "");
    let mut in_reason = false;
    for line in &group[1..] {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("test: ") {
            entry.tests.push(name.trim().to_owned());
        } else if let Some(reason) = line.strip_prefix("reason: ") {
            entry.reason.push_str(reason.trim());
            in_reason = true;
        } else if in_reason {
            entry.reason.push_str(line);
        } else {
            entry.sentence.push_str(line);
        }
    }
    entry
}

/// What is wrong with the list, given the names of the tests that exist. Nothing, if it is sound.
fn complaints(list: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut named = BTreeSet::new();
    let mut ids = BTreeSet::new();
    let mut before = (Vec::new(), 0);
    for entry in entries(list) {
        let id = &entry.id;
        if !ids.insert(id.clone()) {
            complaints.push(format!("{id}: listed twice"));
        }
        let (section, number) = id.rsplit_once('-').unwrap_or((id, ""));
        let place: Vec<u32> = section.split('.').filter_map(|part| part.parse().ok()).collect();
        let place = (place, number.parse().unwrap_or(0));
        if place <= before {
            complaints.push(format!("{id}: not in document order"));
        }
        before = place;
        if section != entry.section {
            complaints.push(format!("{id}: the section is given as {}", entry.section));
        }
        if !WHO.contains(&entry.who.as_str()) {
            complaints.push(format!("{id}: nobody is called {:?}", entry.who));
        }
        if !entry.sentence.starts_with('"') || !entry.sentence.ends_with('"') {
            complaints.push(format!("{id}: no quoted sentence"));
        }
        match (entry.tests.is_empty(), entry.reason.is_empty()) {
            (true, true) => complaints.push(format!("{id}: neither a test nor a reason")),
            (false, false) => complaints.push(format!("{id}: a test and a reason not to have one")),
            _ => {}
        }
        for name in entry.tests {
            if !tests.contains(&name) {
                complaints.push(format!("{id}: there is no test {name}"));
            }
            named.insert(name);
        }
    }
    for name in tests.difference(&named) {
        complaints.push(format!("{name}: a test that no entry names"));
    }
    complaints
}

/// The names of the functions of a source file that the test harness runs: `#[test]` and not `#[ignore]`.
fn tests_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut is_test, mut is_ignored) = (false, false);
    for line in source.lines().map(str::trim) {
        if line.starts_with("#[test]") {
            is_test = true;
        } else if line.starts_with("#[ignore") {
            is_ignored = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if is_test && !is_ignored {
                names.extend(rest.split('(').next().map(str::to_owned));
            }
            (is_test, is_ignored) = (false, false);
        }
    }
    names
}

#[test]
fn every_must_has_a_test_or_a_reason_and_every_test_a_must() {
    let tests_directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let root = fs::read_to_string(tests_directory.join("rfc.rs")).expect("tests/rfc.rs");
    let mut tests = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in fs::read_dir(tests_directory.join("rfc")).expect("tests/rfc") {
        let path = file.expect("an entry of tests/rfc").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".rs") {
            continue;
        }
        if !root.contains(&format!("\n#[path = \"rfc/{name}\"]\nmod ")) {
            wrong.push(format!("{name}: not a module of tests/rfc.rs, its tests do not run"));
        }
        if name.starts_with("section_") {
            let source = fs::read_to_string(&path).expect("a source file");
            tests.extend(tests_in(&source));
        }
    }
    wrong.extend(
        tests
            .iter()
            .filter(|name| !name.starts_with("section_"))
            .map(|name| format!("{name}: not named by its section")),
    );
    wrong.extend(complaints(include_str!("musts.txt"), &tests));
    assert!(wrong.is_empty(), "the compliance table has gaps:\n{}", wrong.join("\n"));
}

#[test]
fn the_list_covers_every_section_that_binds_an_endpoint() {
    let listed: BTreeSet<String> = entries(include_str!("musts.txt")).into_iter().map(|entry| entry.section).collect();
    for section in [
        "3", "4.1", "4.2.1", "4.2.2", "4.3", "4.4", "5.1", "5.2", "5.3", "5.4", "5.5", "5.5.1", "5.5.2", "5.5.3",
        "5.6", "5.8", "6.1", "6.2", "7.1.2", "7.1.7", "7.2.1", "7.2.2", "7.4.1", "8.1", "9", "9.1", "10.1", "10.3",
        "10.4", "10.6", "10.7", "11.1.1", "11.1.2", "11.3.1", "11.3.2", "11.3.3", "11.3.4", "11.3.5",
    ] {
        assert!(listed.contains(section), "no entry of section {section}");
    }
}

#[test]
fn a_gap_in_the_table_is_found() {
    let tests: BTreeSet<String> = ["section_1_a".to_owned()].into();
    let sound = "1-1 | section 1 | both\n  \"A MUST.\"\n  test: section_1_a\n";
    assert_eq!(complaints(sound, &tests), [""; 0]);

    let missing = "1-1 | section 1 | both\n  \"A MUST.\"\n  test: section_1_b\n";
    assert_eq!(
        complaints(missing, &tests),
        ["1-1: there is no test section_1_b", "section_1_a: a test that no entry names"]
    );
    let empty = format!("{sound}\n1-2 | section 1 | client\n  \"Another MUST.\"\n");
    assert_eq!(complaints(&empty, &tests), ["1-2: neither a test nor a reason"]);
    let twice = format!("{sound}\n{sound}");
    assert_eq!(complaints(&twice, &tests), ["1-1: listed twice", "1-1: not in document order"]);

    let source = "#[test]\nfn runs() {}\n#[test]\n#[ignore]\nfn sleeps() {}\nfn helper() {}\n";
    assert_eq!(tests_in(source), ["runs"]);
}
