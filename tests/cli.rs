//! The program `wireroom`, run as a user runs it: with arguments, pipes and signals, against the library's own servers and
//! against some that were written by hand to be wrong. Each wait has a limit.

#![cfg(unix)] // signals, and pseudo-terminals
#![allow(clippy::disallowed_methods)] // a program has a clock

#[path = "cli/support.rs"]
mod support;

#[path = "cli/bench.rs"]
mod bench;

#[path = "cli/connect.rs"]
mod connect;

#[path = "cli/mistakes.rs"]
mod mistakes;

#[path = "cli/pages.rs"]
mod pages;

#[path = "cli/reach.rs"]
mod reach;

#[path = "cli/secure.rs"]
mod secure;

#[path = "cli/secure_tap.rs"]
mod secure_tap;

#[path = "cli/serve.rs"]
mod serve;

#[path = "cli/tap.rs"]
mod tap;

#[path = "cli/tap_cuts.rs"]
mod tap_cuts;

#[path = "cli/terminal.rs"]
mod terminal;
