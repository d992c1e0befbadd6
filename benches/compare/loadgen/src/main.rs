//! A load generator for WebSocket servers on Linux: one thread on epoll, frames of its own, replies checked. It knows no
//! WebSocket library, so it favours none, and what it sends was encoded before the run.
//!
//! Each scenario prints one line of JSON. What a server gets wrong ends the run with an error.

mod check;
mod connection;
mod frames;
mod measure;
mod options;
mod payload;
mod ring;
mod scenarios;

use std::error::Error;

use options::Options;

fn main() {
    if let Err(error) = run() {
        eprintln!("loadgen: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::from_arguments()? else {
        println!("{}", options::USAGE);
        return Ok(());
    };
    let line = match options.scenario.as_str() {
        "echo" => scenarios::echo::run(&options),
        "rate" => scenarios::rate::run(&options),
        "broadcast" => scenarios::broadcast::run(&options),
        "churn" => scenarios::churn::run(&options),
        "idle" => scenarios::idle::run(&options),
        other => Err(format!("no scenario {other:?}\n\n{}", options::USAGE).into()),
    }?;
    println!("{line}");
    Ok(())
}
