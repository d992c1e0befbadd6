//! The interactive mode in a pseudo-terminal: `terminal.py` has the scenarios.

use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A scenario gives up by itself before that.
const LIMIT: Duration = Duration::from_secs(120);

fn scenario(name: &str) {
    // `tcsetwinsize` is of Python 3.11.
    let able = Command::new("python3").args(["-c", "import pty, termios; termios.tcsetwinsize"]).output();
    if !able.is_ok_and(|able| able.status.success()) {
        println!("skipped: no python3 of 3.11 or later, with the module pty");
        return;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/terminal.py");
    let mut python = Command::new("python3")
        .args([script, env!("CARGO_BIN_EXE_wireroom"), name])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = Instant::now() + LIMIT;
    while python.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            python.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(10));
    }
    let output = python.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.trim() == "ok", "{out}{err}");
}

#[test]
fn lines_are_sent_and_messages_are_printed_above_the_prompt() {
    scenario("talk");
}

#[test]
fn a_peer_does_not_drive_the_terminal() {
    scenario("hostile");
}

#[test]
fn pings_help_and_mistakes_in_commands() {
    scenario("commands");
}

#[test]
fn lines_are_remembered_unless_that_is_turned_off() {
    scenario("history");
}

#[test]
fn an_interrupt_closes_and_leaves_the_terminal_as_it_was() {
    scenario("interrupts");
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    scenario("twice");
}

#[test]
fn a_stopped_terminal_does_not_keep_it_from_its_end() {
    scenario("stopped");
}

#[test]
fn what_is_typed_ahead_is_sent_line_by_line() {
    scenario("ahead");
}

#[test]
fn a_terminal_without_a_cursor_has_lines_too() {
    scenario("dumb");
}

#[test]
fn a_server_that_goes_leaves_the_terminal_as_it_was() {
    scenario("server_ends");
}

#[test]
fn colours_only_where_they_are_wanted() {
    scenario("colours");
}

#[test]
fn of_a_flood_nothing_is_lost() {
    scenario("many");
}
