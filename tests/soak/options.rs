//! The command line.

use std::{net::SocketAddr, time::Duration};

use lexopt::prelude::*;

use crate::{Failure, random};

pub(crate) const USAGE: &str = "\
usage: soak [soak] [--seconds N] [--clients N] [--seed N] [--processes P]
       soak idle [--connections N] [--processes P] [--rest N]

  soak   A server process with rooms and compression, and P client processes (2) with N clients (2000) in all, for N seconds
         (600) at random from the seed: they join, chat, stall, reset, vanish and break the protocol. Every message that
         is delivered is held against a model, and every connection's end against what its client did. Then all go, all
         come back at once, and go again: nothing may be left.
  idle   N connections (as many as one process has descriptors for) over P server and P client processes: memory for
         each, processor time at rest, time of a broadcast to all. --rest: the seconds of rest (10).

It exits with 1 when something differed, and says what, and the seed.
";

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Help,
    Soak(Soak),
    Idle(Idle),
    // What the program starts itself as.
    Server,
    Clients(Part),
    IdleServer,
    IdleClients(Part),
}

#[derive(Clone, Debug)]
pub(crate) struct Soak {
    pub(crate) time: Duration,
    pub(crate) clients: usize,
    pub(crate) processes: usize,
    pub(crate) seed: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Idle {
    pub(crate) connections: Option<usize>,
    pub(crate) processes: Option<usize>,
    pub(crate) rest: u64,
}

/// What one client process has to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) clients: usize,
    pub(crate) time: Duration,
    pub(crate) seed: u64,
    /// The place of the process among the others: a part of its clients' numbers.
    pub(crate) index: u64,
    /// All stay, none does harm: to be killed.
    pub(crate) steady: bool,
}

impl Part {
    /// The arguments that [`read`] makes it of.
    pub(crate) fn arguments(&self, role: &str) -> Vec<String> {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        let mut arguments = vec![role.to_owned(), "--addresses".into(), addresses.join(",")];
        for (name, value) in [
            ("--clients", self.clients as u64),
            ("--seconds", self.time.as_secs()),
            ("--seed", self.seed),
            ("--index", self.index),
        ] {
            arguments.extend([name.to_owned(), value.to_string()]);
        }
        arguments.extend(self.steady.then(|| "--steady".to_owned()));
        arguments
    }
}

pub(crate) fn read() -> Result<Command, Failure> {
    let (mut name, mut seconds, mut clients, mut seed) = (None, None, None, None);
    let (mut processes, mut idle, mut part) = (None, Idle { rest: 10, ..Idle::default() }, Part::default());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("seconds") => seconds = Some(parser.value()?.parse::<u64>()?),
            Long("clients") => clients = Some(parser.value()?.parse()?),
            Long("seed") => seed = Some(parser.value()?.parse()?),
            Long("processes") => processes = Some(parser.value()?.parse::<usize>()?.max(1)),
            Long("connections") => idle.connections = Some(parser.value()?.parse()?),
            Long("rest") => idle.rest = parser.value()?.parse()?,
            Long("addresses") => {
                let list = parser.value()?.string()?;
                part.addresses = list.split(',').map(str::parse).collect::<Result<_, _>>()?;
            }
            Long("index") => part.index = parser.value()?.parse()?,
            Long("steady") => part.steady = true,
            Value(value) if name.is_none() => name = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    part.time = Duration::from_secs(seconds.unwrap_or(600));
    part.clients = clients.unwrap_or(2_000);
    part.seed = seed.unwrap_or_else(random::seed);
    idle.processes = processes;
    Ok(match name.as_deref() {
        None | Some("soak") => {
            let Part { time, clients, seed, .. } = part;
            Command::Soak(Soak { time, clients, seed, processes: processes.unwrap_or(2) })
        }
        Some("idle") => Command::Idle(idle),
        Some("server") => Command::Server,
        Some("clients") => Command::Clients(part),
        Some("idle-server") => Command::IdleServer,
        Some("idle-clients") => Command::IdleClients(part),
        Some(other) => return Err(format!("unknown command {other:?}; see --help").into()),
    })
}
