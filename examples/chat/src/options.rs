//! The command line.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use lexopt::prelude::*;
use log::LevelFilter;
use wireroom::http::Network;

pub(crate) const USAGE: &str = "\
usage: wireroom-chat [OPTION]...

  --listen ADDRESS        where to listen (default 127.0.0.1:8080; port 0 takes a free one)
  --database FILE         where the history is kept (default wireroom-chat.db; :memory: forgets it at the end);
                          one server for each file
  --allow-origin ORIGIN   lets pages of this origin in, beside the server's own (repeatable); needed behind a proxy,
                          for pages that reach the server under a name, and when it listens on all addresses
  --proxy-protocol NETWORK
                          connections from there begin with a header of the PROXY protocol, which tells the client's
                          address, and others are refused: 10.0.0.0/8, ::1 (repeatable)
  --trust-forwarded NETWORK
                          proxies from there tell the client's address in X-Forwarded-For (repeatable); both are shown by
                          --log debug
  --tls                   https and wss, with a certificate that is made for this run; its fingerprint is logged
                          (needs a build with --features tls, as do the next two)
  --cert FILE, --key FILE https and wss, with this certificate chain and its key, in PEM
  --log LEVEL             off, error, warn, info (default) or debug, on standard error
  --rate N                messages a second that one connection may send to others, four times as many at once
                          (default 5; 0 is no limit)
  --keep N                messages that are kept, the newest (default 1000000)
  --max-connections N     WebSockets that may be open (default 10000)
  --drain SECONDS         on SIGINT or SIGTERM, pages are sent away over so long (default 2; a second signal ends it)";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) database: PathBuf,
    pub(crate) allow_origin: Vec<String>,
    pub(crate) proxy_protocol: Vec<Network>,
    pub(crate) trust_forwarded: Vec<Network>,
    pub(crate) tls: bool,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) log: LevelFilter,
    pub(crate) rate: u32,
    pub(crate) keep: u64,
    pub(crate) max_connections: usize,
    pub(crate) drain: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            database: "wireroom-chat.db".into(),
            allow_origin: Vec::new(),
            proxy_protocol: Vec::new(),
            trust_forwarded: Vec::new(),
            tls: false,
            cert: None,
            key: None,
            log: LevelFilter::Info,
            rate: 5,
            keep: 1_000_000,
            max_connections: 10_000,
            drain: Duration::from_secs(2),
        }
    }
}

impl Options {
    /// `None`: the usage was asked for.
    pub(crate) fn read(mut parser: lexopt::Parser) -> Result<Option<Self>, lexopt::Error> {
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("listen") => options.listen = parser.value()?.parse()?,
                Long("database") => options.database = parser.value()?.parse_with(database)?,
                Long("allow-origin") => options.allow_origin.push(parser.value()?.string()?),
                Long("proxy-protocol") => options.proxy_protocol.push(parser.value()?.parse()?),
                Long("trust-forwarded") => options.trust_forwarded.push(parser.value()?.parse()?),
                Long("tls") => options.tls = true,
                Long("cert") => options.cert = Some(parser.value()?.into()),
                Long("key") => options.key = Some(parser.value()?.into()),
                Long("log") => options.log = parser.value()?.parse_with(level)?,
                Long("rate") => options.rate = parser.value()?.parse_with(|value| up_to(value, 0, 1_000_000))?,
                Long("keep") => options.keep = parser.value()?.parse_with(|value| up_to(value, 1, 1 << 53))?,
                Long("max-connections") => {
                    options.max_connections = parser.value()?.parse_with(|value| up_to(value, 1, 1 << 24))?;
                }
                Long("drain") => options.drain = parser.value()?.parse_with(seconds)?,
                Short('h') | Long("help") => return Ok(None),
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(options))
    }

    pub(crate) fn speaks_tls(&self) -> bool {
        self.tls || self.cert.is_some() || self.key.is_some()
    }
}

/// SQLite takes an empty name for a file of its own that is gone at the end.
fn database(value: &str) -> Result<PathBuf, &'static str> {
    if value.is_empty() { Err("a file") } else { Ok(value.into()) }
}

fn level(value: &str) -> Result<LevelFilter, &'static str> {
    match value {
        "off" => Ok(LevelFilter::Off),
        "error" => Ok(LevelFilter::Error),
        "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        _ => Err("one of off, error, warn, info, debug"),
    }
}

fn up_to<T: TryFrom<u64>>(value: &str, at_least: u64, at_most: u64) -> Result<T, String> {
    let number = value.parse().ok().filter(|number| (at_least..=at_most).contains(number));
    number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| format!("a number from {at_least} to {at_most}"))
}

fn seconds(value: &str) -> Result<Duration, &'static str> {
    let seconds = value.parse().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or("seconds, from 0 to 3600")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Options, String> {
        let parser = lexopt::Parser::from_iter(["wireroom-chat"].iter().chain(arguments));
        Options::read(parser).map_err(|error| error.to_string()).map(Option::unwrap)
    }

    #[test]
    fn without_arguments_all_is_set() {
        let options = read(&[]).unwrap();
        assert_eq!((options.listen.port(), options.rate, options.keep), (8080, 5, 1_000_000));
        assert_eq!((options.max_connections, options.drain), (10_000, Duration::from_secs(2)));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for arguments in [
            ["--listen", "localhost"],
            ["--database", ""],
            ["--proxy-protocol", "10.0.0.1/8"],
            ["--trust-forwarded", "localhost"],
            ["--log", "loud"],
            ["--rate", "-1"],
            ["--keep", "0"],
            ["--max-connections", "0"],
            ["--drain", "NaN"],
            ["--drain", "3601"],
            ["--unknown", "x"],
        ] {
            let error = read(&arguments).unwrap_err();
            assert!(error.contains(arguments[0]) || error.contains(arguments[1]), "{arguments:?}: {error}");
        }
        assert_eq!(read(&["--rate", "0", "--drain", "0.5"]).unwrap().drain, Duration::from_millis(500));
    }
}
