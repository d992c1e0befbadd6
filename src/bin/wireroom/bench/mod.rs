//! `wireroom bench`: load, and how long the answers take.

mod load;
mod report;
mod ticker;

use std::time::Duration;

use clap::Args;

use crate::{
    dial::{DialOptions, seconds},
    failure::Failure,
};

const EXAMPLES: &str = "\
Examples:
  wireroom bench ws://127.0.0.1:9001/    one connection, one message at a time
  wireroom bench URL -c 100 --in-flight 16 --size 125 -d 30
  wireroom bench URL -c 100 --rate 50000 --json > result.json

The server has to answer each message of a connection with one message, in order, as `wireroom serve` does.

With --rate a message counts from the moment when it should have been sent, also while the server is slow to read or this \
program is late: what waits behind a stall is a part of the figures. Between messages this program sleeps; that \
it wakes a little late counts, too. Above 20,000 a second what falls due within 50 microseconds goes out together.

With --in-flight a connection sends its next message when an answer has come: a stalled server is asked less, and the stall \
shows as few slow answers (coordinated omission). So compare servers by throughput with --in-flight, and by latency with \
--rate.

Exit status 1: something went wrong with some connections or messages; the report says what.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(flatten)]
    dial: DialOptions,
    /// Connections.
    #[arg(short, long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    connections: u32,
    /// Messages a second, over all connections: sent when they are due, whether answers come or not.
    #[arg(short, long, value_name = "MESSAGES", value_parser = rate)]
    rate: Option<f64>,
    /// Messages that are under way on each connection at once; the next is sent when an answer comes.
    #[arg(short, long, value_name = "COUNT", default_value_t = 1, conflicts_with = "rate",
        value_parser = clap::value_parser!(u32).range(1..=65_536))]
    in_flight: u32,
    /// Bytes of each message, at most 1 GiB.
    #[arg(long, value_name = "BYTES", default_value_t = 32, value_parser = size)]
    size: usize,
    /// Seconds that are measured.
    #[arg(short, long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// Seconds before them that are not.
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = warm_up)]
    warm_up: Duration,
    /// Send texts, the default.
    #[arg(long, conflicts_with = "binary")]
    text: bool,
    /// Send binary messages.
    #[arg(short, long)]
    binary: bool,
    /// The report as one JSON object.
    #[arg(long)]
    json: bool,
    /// A line of progress each second also where standard error is no terminal.
    #[arg(long)]
    progress: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && rate <= 10_000_000.0 => Ok(rate),
        _ => Err("a number of messages a second, above 0 and at most 10,000,000".to_owned()),
    }
}

/// What one message may hold: it is made before anything is sent.
fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size) if size <= 1 << 30 => Ok(size),
        _ => Err("a number of bytes, at most 1 GiB".to_owned()),
    }
}

/// As [`seconds`], and 0.
fn warm_up(text: &str) -> Result<Duration, String> {
    if text.parse() == Ok(0.0) { Ok(Duration::ZERO) } else { seconds(text) }
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if options.size > options.dial.max_size {
        let (size, most) = (options.size, options.dial.max_size);
        return Err(Failure::usage(format_args!("--size: answers of {size} bytes are above --max-size, {most} bytes")));
    }
    let measured = load::run(options)?;
    report::print(options, &measured)
}
