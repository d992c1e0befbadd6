//! `wireroom connect`: the client.

mod commands;
mod editor;
mod input;
mod output;
mod session;

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use clap::Args;

use crate::{
    dial::{DialOptions, seconds},
    failure::Failure,
    show::When,
};

const EXAMPLES: &str = "\
Examples:
  wireroom connect ws://127.0.0.1:9001/                 type lines; /help lists the commands
  echo hello | wireroom connect ws://127.0.0.1:9001/    each line is a message
  wireroom connect URL --send '{\"op\":\"time\"}' --once    one question, one answer
  wireroom connect URL --count 10 --json < /dev/null    the next ten messages, as JSON
  wireroom connect wss://127.0.0.1:9443/ --ca ca.pem    TLS, with a root of one's own
  wireroom connect URL -H 'Authorization: Bearer 0123' --subprotocol chat --ping 5

In a terminal a line that begins with / is a command (elsewhere with --commands): /ping, /close [CODE] [REASON], \
/binary HEX, /help; a line that begins with // is sent with one of them. On a terminal control characters that the server \
sends are escaped; elsewhere a text is as it came.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = [EXAMPLES, "\n\n", crate::failure::EXIT_STATUS].concat())]
pub(crate) struct Options {
    #[command(flatten)]
    dial: DialOptions,
    /// Send this as soon as the connection is open, in place of standard input; may be given several times.
    #[arg(short = 'x', long = "send", value_name = "TEXT")]
    send: Vec<String>,
    /// Send lines as binary messages.
    #[arg(short, long)]
    binary: bool,
    /// Close after so many messages have come.
    #[arg(short = 'n', long, value_name = "COUNT")]
    count: Option<u64>,
    /// Close after the first message: --count 1.
    #[arg(short = '1', long, conflicts_with = "count")]
    once: bool,
    /// After the end of the input, close when nothing has come for so many seconds [default: 1; with --count: no limit].
    #[arg(short, long, value_name = "SECONDS", value_parser = wait)]
    wait: Option<Duration>,
    /// Send a Ping every so many seconds, and show how long its Pong took.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    ping: Option<Duration>,
    /// Lines that begin with / are commands also where the input is no terminal.
    #[arg(long)]
    commands: bool,
    /// One JSON object for each event, one on each line.
    #[arg(long)]
    json: bool,
    /// Payloads as they came, also on a terminal; a line feed only behind texts.
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Tell on standard error what else happens: open, Ping, Pong, Close.
    #[arg(short, long)]
    verbose: bool,
    /// Remember no lines; by default in $XDG_STATE_HOME/wireroom/history, or ~/.local/state.
    #[arg(long)]
    no_history: bool,
    /// Remember lines in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "no_history")]
    history: Option<PathBuf>,
}

/// As [`seconds`], and 0.
fn wait(text: &str) -> Result<Duration, String> {
    if text.parse() == Ok(0.0) { Ok(Duration::ZERO) } else { seconds(text) }
}

impl Options {
    /// How many messages are waited for.
    fn wanted(&self) -> Option<u64> {
        if self.once { Some(1) } else { self.count }
    }

    /// How long is waited for them behind the end of the input; `None`: as long as it takes.
    fn patience(&self) -> Option<Duration> {
        match (self.wait, self.wanted()) {
            (Some(wait), _) => Some(wait),
            (None, Some(_)) => None,
            (None, None) => Some(Duration::from_secs(1)),
        }
    }

    /// Lines are edited, and what comes is printed above them.
    fn is_interactive(&self) -> bool {
        let terminals = io::stdin().is_terminal() && io::stdout().is_terminal();
        terminals && self.send.is_empty() && !self.json && !self.raw && editor::is_possible()
    }

    /// A line that is typed is a command, those in a pipe are not unless that is asked for.
    fn takes_commands(&self) -> bool {
        self.commands || (self.send.is_empty() && io::stdin().is_terminal())
    }
}

pub(crate) fn run(options: Options, color: When) -> Result<(), Failure> {
    if options.wanted() == Some(0) {
        return Err(Failure::usage("--count: at least 1"));
    }
    let came_to = session::run(&options, color);
    editor::restore_terminal();
    came_to
}
