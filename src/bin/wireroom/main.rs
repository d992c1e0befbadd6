//! The program `wireroom`: a WebSocket client, a server to try it on, a tap between two others, and a load generator.
//!
//! | file | what it holds |
//! |---|---|
//! | `connect` | `wireroom connect`: the client, typed at or in a pipe |
//! | `serve` | `wireroom serve`: echo and broadcast |
//! | `tap` | `wireroom tap`: a proxy that shows the frames |
//! | `bench` | `wireroom bench`: load and latency |
//! | `manual` | completions and the manual page |
//! | `dial`, `listen` | the only places that connect and listen for the commands above |
//! | `trust` | TLS as a client: roots, certificates, `--insecure` |
//! | `failure`, `reach` | the exit statuses, and what each end of a connection comes to |
//! | `show` | colours, escapes, dumps: what a peer sends never drives the terminal |
//! | `signals` | SIGINT and SIGTERM |

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // a program has a clock

mod bench;
mod connect;
mod dial;
mod failure;
mod listen;
mod manual;
mod reach;
mod serve;
mod show;
mod signals;
mod tap;
mod trust;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::{EXIT_STATUS, Status};
use show::When;

/// WebSocket on the command line: connect, serve, tap, bench.
#[derive(Debug, Parser)]
#[command(name = "wireroom", version, arg_required_else_help = true, after_long_help = EXIT_STATUS)]
struct Cli {
    /// Colours: only on a terminal and without NO_COLOR, always, or never.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", display_order = 1_000)]
    color: When,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Connect to a server: lines are sent as text, what arrives is printed.
    Connect(connect::Options),
    /// Serve: send each message back, or on to everybody.
    Serve(serve::Options),
    /// Stand between a client and a server, and show every frame that passes.
    Tap(tap::Options),
    /// Load a server that echoes, and measure how long it takes to answer.
    Bench(bench::Options),
    /// Print what a shell needs to complete this program's options.
    Completions(manual::Completions),
    /// Print the manual page.
    Manual(manual::Options),
}

fn main() -> ExitCode {
    let Cli { color, command } = Cli::parse();
    let came_to = match command {
        Command::Connect(options) => connect::run(options, color),
        Command::Serve(options) => serve::run(&options),
        Command::Tap(options) => tap::run(&options, color),
        Command::Bench(options) => bench::run(&options),
        Command::Completions(options) => manual::completions(&options),
        Command::Manual(options) => manual::run(&options),
    };
    match came_to {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            failure.status().into()
        }
    }
}
