//! `wireroom tap`: a proxy between a client and a server that shows every frame and changes none.

mod head;
mod observer;
mod pair;
mod print;
mod relay;
mod resolve;
mod secure;
mod wire;

use std::time::Duration;

use clap::Args;
use wireroom::handshake::ClientRequest;

use self::{relay::Upstream, resolve::resolve, secure::Secure};
use crate::{
    dial::{seconds, shown},
    failure::Failure,
    listen::Address,
    show::When,
    trust::TlsOptions,
};

const EXAMPLES: &str = "\
Examples:
  wireroom tap 9002 ws://127.0.0.1:9001    then connect the client to ws://127.0.0.1:9002
  wireroom tap 9002 wss://chat.example --rewrite-host    the client comes without TLS; frames are shown decrypted
  wireroom tap 9002 ws://127.0.0.1:9001 --json | jq 'select(.invalid)'
  wireroom tap 9002 ws://chat.example --rewrite-host

Bytes are passed on as they come, each way, those of the opening handshake too; the path is the client's. Servers that \
answer only to their own name need --rewrite-host. A slow side holds the other one back, and who reads this output \
slowly holds back all. An end of one side's stream, and a reset, are carried over. > is from the client, < from the \
server. What breaks a rule is shown as INVALID with the section of RFC 6455, and passed on all the same.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Where to listen for clients: 127.0.0.1:9002, a port on the loopback address (0: a free one), or unix:PATH.
    #[arg(value_name = "LISTEN")]
    listen: Address,
    /// The server: ws://host[:port], or wss://, to which clients come as to ws:// all the same; a path is not needed, for the client's is passed on.
    #[arg(value_name = "URL")]
    url: String,
    /// One JSON object for each line.
    #[arg(long)]
    json: bool,
    /// Bytes of each payload that are shown.
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=65_536))]
    payload: u32,
    /// Put the URL's host into the Host field of requests: the one thing that is changed.
    #[arg(long)]
    rewrite_host: bool,
    /// Clients at once; one more is closed as it comes.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    max_clients: usize,
    /// Seconds until the connection to the server has to be open.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,
    #[command(flatten)]
    tls: TlsOptions,
}

pub(crate) fn run(options: &Options, color: When) -> Result<(), Failure> {
    let target = ClientRequest::new(&options.url)
        .map_err(|error| Failure::usage(format_args!("{}: {error}", shown(&options.url))))?;
    let secure = if target.is_secure() {
        let trust = options.tls.trust()?;
        Some(Secure { name: trust.name_of(target.host())?, config: trust.config })
    } else {
        None
    };
    let addresses = resolve(target.host(), target.port(), options.timeout)?;
    relay::run(options, Upstream { authority: target.authority(), addresses, secure }, color)
}
