//! Help, completions, the manual: what is generated.

use std::fs;

use super::support::{run, succeeds};

const COMMANDS: [&str; 6] = ["connect", "serve", "tap", "bench", "completions", "manual"];

#[test]
fn the_version_and_help_with_examples() {
    assert_eq!(succeeds(&["--version"], b""), concat!("wireroom ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = succeeds(&["--help"], b"");
    assert!(COMMANDS.iter().all(|command| help.contains(command)), "{help}");
    assert!(help.contains("Exit status:"), "{help}");
    for command in ["connect", "serve", "tap", "bench"] {
        let help = succeeds(&[command, "--help"], b"");
        assert!(help.contains("Examples:") && help.contains(&format!("  wireroom {command} ")), "{help}");
    }
    let nothing = run(&[], b"");
    assert_eq!(nothing.status, 2, "{nothing:?}");
    assert!(nothing.err.contains("Usage: wireroom"), "{nothing:?}");
}

#[test]
fn the_table_of_exit_statuses_has_each_once() {
    let help = succeeds(&["connect", "--help"], b"");
    let table = help.split("Exit status:").nth(1).unwrap();
    for status in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "130"] {
        let lines = table.lines().filter(|line| line.split_whitespace().next() == Some(status));
        assert_eq!(lines.count(), 1, "{status}: {table}");
    }
}

#[test]
fn completions_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeeds(&["completions", shell], b"");
        assert!(script.contains("wireroom") && script.contains("subprotocol"), "{shell}");
    }
}

#[test]
fn the_manual_as_a_page_and_as_files() {
    let page = succeeds(&["manual"], b"");
    assert!(page.contains(".TH wireroom 1") && page.contains("Exit status"), "{page}");
    assert!(succeeds(&["manual", "tap"], b"").contains("INVALID"));
    let directory = std::env::temp_dir().join(format!("wireroom-manual-{}", std::process::id()));
    fs::create_dir(&directory).unwrap();
    succeeds(&["manual", "--directory", directory.to_str().unwrap()], b"");
    for page in ["wireroom.1".to_owned()].into_iter().chain(COMMANDS.map(|command| format!("wireroom-{command}.1"))) {
        assert!(directory.join(&page).exists(), "{page}");
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn no_line_of_the_help_has_to_be_broken_on_a_hundred_columns() {
    for command in ["connect", "serve", "tap", "bench"] {
        let help = succeeds(&[command, "--help"], b"");
        let examples = help.split("Examples:\n").nth(1).unwrap().split("\n\n").next().unwrap();
        for line in examples.lines() {
            assert!(line.starts_with("  ") && line.len() <= 100, "{line:?}");
        }
    }
}
