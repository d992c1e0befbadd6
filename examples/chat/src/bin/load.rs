//! Load for the chat: many members on one thread, by the library's own client. Three questions, three subcommands.
//!
//! `cargo run --release -p wireroom-chat --bin wireroom-chat-load -- latency --url http://127.0.0.1:8080/`

#![forbid(unsafe_code)]

#[path = "../load/commits.rs"]
mod commits;
#[path = "../load/crowd.rs"]
mod crowd;
#[path = "../load/cursor.rs"]
mod cursor;
#[path = "../load/figures.rs"]
mod figures;
#[path = "../load/latency.rs"]
mod latency;
#[path = "../load/messages.rs"]
mod messages;
#[path = "../load/random.rs"]
mod random;
#[path = "../load/reading.rs"]
mod reading;
#[path = "../load/restart.rs"]
mod restart;
#[path = "../load/server.rs"]
mod server;
#[path = "../load/verdict.rs"]
mod verdict;

use std::{error::Error, process::ExitCode, time::Duration};

use lexopt::prelude::*;

use crowd::Target;
use random::Random;

const USAGE: &str = "\
usage: wireroom-chat-load latency (--url URL | --address ADDRESS) [--members N] [--rate N] [--seconds N]
       wireroom-chat-load commits (--url URL | --address ADDRESS) [--writers N,N,..] [--seconds N]
       wireroom-chat-load restart --server PROGRAM --database FILE [--messages N] [--writers N] [--window N]
                                  [--kills N] [--seed N]

  latency   N members (200) of one room talk in turn, N messages a second in total (50), for N seconds (30), whether or
            not answers come. Each message has to reach every member once, in the order of seq.
  commits   N writers, each in a room of its own, send the next message when the last is acknowledged: 1, then 10, then
            100, each for N seconds (10). Start the server with --rate 0.
  restart   Starts the chat, lets N writers (20) send N messages (10000) with up to N (4) under way each, kills the
            chat N times (5) at random moments and once more behind the last acknowledgement, and then reads the
            history: every acknowledged message once, as acknowledged, in the order a listening member saw.

  --url URL          where the chat is, as it prints it: http://127.0.0.1:8080/
  --address ADDRESS  the same, as 127.0.0.1:8080

It exits with 1 when a message is lost, doubled, out of order or refused.";

type Failure = Box<dyn Error>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("wireroom-chat-load: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether everything was as it has to be.
fn run() -> Result<bool, Failure> {
    let mut parser = lexopt::Parser::from_env();
    let subcommand = match parser.next()? {
        Some(Value(value)) => value.string()?,
        Some(Short('h') | Long("help")) => {
            println!("{USAGE}");
            return Ok(true);
        }
        _ => return Err(USAGE.into()),
    };
    let Some(arguments) = Arguments::parse(parser)? else {
        println!("{USAGE}");
        return Ok(true);
    };
    match subcommand.as_str() {
        "latency" => latency::run(&latency::Plan {
            target: arguments.target()?,
            members: at_least("members", 2, arguments.members.unwrap_or(200))?,
            rate: at_least("rate", 1, arguments.rate.unwrap_or(50))?,
            time: arguments.time(30)?,
        }),
        "commits" => {
            let writers = arguments.writers.as_deref().unwrap_or("1,10,100");
            let writers: Vec<usize> = writers.split(',').map(str::parse).collect::<Result<_, _>>()?;
            for &count in &writers {
                at_least("writers", 1, count)?;
            }
            commits::run(&arguments.target()?, &writers, arguments.time(10)?)
        }
        "restart" => restart::run(restart::Plan {
            server: arguments.server.ok_or("which chat? --server PROGRAM")?.into(),
            database: arguments.database.ok_or("which database? --database FILE")?.into(),
            messages: at_least("messages", 1, arguments.messages.unwrap_or(10_000))?,
            writers: at_least("writers", 1, arguments.writers.as_deref().unwrap_or("20").parse()?)?,
            window: at_least("window", 1, arguments.window.unwrap_or(4))?,
            kills: arguments.kills.unwrap_or(5),
            seed: arguments.seed.unwrap_or_else(|| Random::from_system().next() >> 32),
        }),
        other => Err(format!("no subcommand {other:?}\n\n{USAGE}").into()),
    }
}

#[derive(Default)]
struct Arguments {
    authority: Option<String>,
    members: Option<usize>,
    rate: Option<u32>,
    seconds: Option<f64>,
    writers: Option<String>,
    server: Option<String>,
    database: Option<String>,
    messages: Option<usize>,
    window: Option<usize>,
    kills: Option<usize>,
    seed: Option<u64>,
}

impl Arguments {
    fn parse(mut parser: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        let mut arguments = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("url") => {
                    let url = parser.value()?.string()?;
                    let authority = url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').to_owned());
                    arguments.authority = Some(authority.ok_or("the URL has to begin with http://")?);
                }
                Long("address") => arguments.authority = Some(parser.value()?.string()?),
                Long("members") => arguments.members = Some(parser.value()?.parse()?),
                Long("rate") => arguments.rate = Some(parser.value()?.parse()?),
                Long("seconds") => arguments.seconds = Some(parser.value()?.parse()?),
                Long("writers") => arguments.writers = Some(parser.value()?.string()?),
                Long("server") => arguments.server = Some(parser.value()?.string()?),
                Long("database") => arguments.database = Some(parser.value()?.string()?),
                Long("messages") => arguments.messages = Some(parser.value()?.parse()?),
                Long("window") => arguments.window = Some(parser.value()?.parse()?),
                Long("kills") => arguments.kills = Some(parser.value()?.parse()?),
                Long("seed") => arguments.seed = Some(parser.value()?.parse()?),
                Short('h') | Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(arguments))
    }

    fn target(&self) -> Result<Target, Failure> {
        Target::new(self.authority.as_ref().ok_or("where is the chat? --url URL, or --address ADDRESS")?)
    }

    fn time(&self, default: u32) -> Result<Duration, Failure> {
        Ok(Duration::try_from_secs_f64(self.seconds.unwrap_or(f64::from(default)))?)
    }
}

fn at_least<N: PartialOrd + std::fmt::Display>(name: &str, least: N, given: N) -> Result<N, Failure> {
    if given < least {
        return Err(format!("--{name} is {given}, and has to be at least {least}").into());
    }
    Ok(given)
}
