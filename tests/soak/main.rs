//! Hours of a hostile day in minutes: a server and its clients as processes of their own, at random from a printed seed.
//!
//! ```text
//! cargo test --release --features deflate --test soak -- [soak] [--seconds 600] [--clients 2000] [--seed N]
//! cargo test --release --features deflate --test soak -- idle [--connections N] [--processes P]
//! ```
//!
//! `soak`: `run` starts the processes, prints the progress and gives the verdict; `server` is a hub with a model of its own
//! beside it; `clients` are clients of the library and raw sockets for what a correct client cannot do; `referee` holds what
//! each of them did against how the server says it ended. `wire` is what they say to each other. `idle`: as many connections
//! as descriptors allow, and what they cost.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // a program with a clock

mod clients;
mod idle;
mod label;
mod options;
mod process;
mod random;
mod referee;
mod report;
mod run;
mod server;
mod wire;

use std::{error::Error, process::ExitCode};

use options::Command;

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match options::read().and_then(carry_out) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::from(2)
        }
    }
}

/// True: nothing differed.
fn carry_out(command: Command) -> Result<bool, Failure> {
    match command {
        Command::Help => {
            print!("{}", options::USAGE);
            Ok(true)
        }
        Command::Soak(soak) => run::run(&soak),
        Command::Idle(asked) => idle::run(&asked),
        Command::Server => server::run(),
        Command::Clients(part) => clients::run(part),
        Command::IdleServer => idle::server::run(),
        Command::IdleClients(part) => idle::clients::run(&part),
    }
}
