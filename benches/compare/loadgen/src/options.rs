//! The command line.

use std::{error::Error, net::SocketAddr, time::Duration};

use lexopt::prelude::*;

use crate::payload::Content;

pub const USAGE: &str = "\
usage: loadgen SCENARIO --address IP:PORT [options]

  echo        each connection keeps --depth messages under way; each reply is answered by the next message
  rate        --rate messages a second, spread over the connections, whatever the server does: latency
  broadcast   one connection publishes, with --depth broadcasts under way; all of them, itself included, receive
  churn       each connection lives for one message: connect, upgrade, message, closing handshake, end of stream
  idle        opens --connections and says nothing: memory of the server; then --touch messages of these sizes

  --path PATH           the request's target (/)
  --connections N       (64)
  --size BYTES          of a message's payload (125)
  --depth N             (1)
  --content KIND        binary, ascii, mixed (a text in several scripts) or json (binary)
  --fragment BYTES      sends messages in fragments of at most this (whole)
  --deflate MODE        off, no-takeover or takeover (off)
  --raw                 no protocol: the same sizes through a TCP echo
  --rate N              messages a second of the scenario rate (20000)
  --touch BYTES,...     of the scenario idle
  --server-pid PID      whose CPU time and memory are read
  --seconds S           to measure (3), after --warm-up S (0.3)
  --hold S              of the scenario idle: how long to wait before each look at the memory (1)";

/// Whether and how permessage-deflate is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deflate {
    Off,
    NoTakeover,
    Takeover,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub scenario: String,
    pub address: SocketAddr,
    pub path: String,
    pub connections: usize,
    pub size: usize,
    pub depth: usize,
    pub content: Content,
    pub fragment: usize,
    pub deflate: Deflate,
    pub raw: bool,
    pub rate: f64,
    pub touch: Vec<usize>,
    pub server_pid: Option<u32>,
    pub seconds: Duration,
    pub warm_up: Duration,
    pub hold: Duration,
}

impl Options {
    /// `None`: help was asked for.
    pub fn from_arguments() -> Result<Option<Self>, Box<dyn Error>> {
        let mut options = Self {
            scenario: String::new(),
            address: ([127, 0, 0, 1], 9001).into(),
            path: "/".into(),
            connections: 64,
            size: 125,
            depth: 1,
            content: Content::Binary,
            fragment: usize::MAX,
            deflate: Deflate::Off,
            raw: false,
            rate: 20_000.0,
            touch: Vec::new(),
            server_pid: None,
            seconds: Duration::from_secs(3),
            warm_up: Duration::from_millis(300),
            hold: Duration::from_secs(1),
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Short('h') | Long("help") => return Ok(None),
                Value(scenario) if options.scenario.is_empty() => options.scenario = scenario.string()?,
                Long("address") => options.address = arguments.value()?.parse()?,
                Long("path") => options.path = arguments.value()?.string()?,
                Long("connections") => options.connections = arguments.value()?.parse()?,
                Long("size") => options.size = arguments.value()?.parse()?,
                Long("depth") => options.depth = arguments.value()?.parse()?,
                Long("content") => options.content = arguments.value()?.parse_with(Content::parse)?,
                Long("fragment") => options.fragment = arguments.value()?.parse()?,
                Long("deflate") => options.deflate = arguments.value()?.parse_with(deflate)?,
                Long("raw") => options.raw = true,
                Long("rate") => options.rate = arguments.value()?.parse()?,
                Long("touch") => options.touch = arguments.value()?.parse_with(sizes)?,
                Long("server-pid") => options.server_pid = Some(arguments.value()?.parse()?),
                Long("seconds") => options.seconds = seconds(&mut arguments)?,
                Long("warm-up") => options.warm_up = seconds(&mut arguments)?,
                Long("hold") => options.hold = seconds(&mut arguments)?,
                other => return Err(format!("{}\n\n{USAGE}", other.unexpected()).into()),
            }
        }
        if options.connections == 0 || options.depth == 0 || options.fragment == 0 {
            return Err("--connections, --depth and --fragment are at least 1".into());
        }
        if !(options.rate > 0.0 && options.rate.is_finite()) {
            return Err("--rate is above 0".into());
        }
        Ok(Some(options))
    }
}

fn deflate(word: &str) -> Result<Deflate, String> {
    match word {
        "off" => Ok(Deflate::Off),
        "no-takeover" => Ok(Deflate::NoTakeover),
        "takeover" => Ok(Deflate::Takeover),
        other => Err(format!("off, no-takeover or takeover, and not {other:?}")),
    }
}

fn sizes(list: &str) -> Result<Vec<usize>, std::num::ParseIntError> {
    list.split(',').map(str::parse).collect()
}

fn seconds(arguments: &mut lexopt::Parser) -> Result<Duration, Box<dyn Error>> {
    Ok(Duration::try_from_secs_f64(arguments.value()?.parse()?)?)
}
