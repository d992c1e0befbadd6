//! `wireroom serve`: a server to try clients on.

use std::{io, num::NonZeroUsize, time::Duration};

use clap::{Args, ValueEnum};
use wireroom::{
    CloseCode, Config, ConnId, Connections, Event, EventLoop, Hub, Hubs, Loops, LoopsHandle, PermessageDeflate,
    PreparedMessage, SharedListener, SlowConsumer, handshake::Verdict, http::Request,
};

use crate::{
    failure::Failure,
    listen::{Address, Listening},
    show::{escape_line, print},
    signals,
};

/// Farewells are said over so long ..
const OVER: Duration = Duration::from_millis(500);
/// .. and so long is waited for the answers to them.
const WITHIN: Duration = Duration::from_secs(3);

const EXAMPLES: &str = "\
Examples:
  wireroom serve                                     echo on 127.0.0.1:9001
  wireroom serve 0.0.0.0:9001 --mode broadcast -v    what one sends goes to all
  wireroom serve unix:/tmp/echo.sock --compress
  wireroom serve 9001 --allow-origin http://localhost:3000

Origins: a browser says from which site a page is that connects (RFC 6455, 10.2). By default a request with an Origin is \
refused with 403, so no page can use this server; requests without one, as those of programs, are accepted. Name the \
sites with --allow-origin, or let all in with --any-origin.

SIGINT and SIGTERM close all connections with 1001, then the program ends; a second one ends it at once.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Where to listen: 127.0.0.1:9001, a port on the loopback address (0: a free one), or unix:PATH.
    #[arg(default_value = "127.0.0.1:9001")]
    address: Address,
    /// What becomes of a message.
    #[arg(short, long, value_enum, default_value_t = Mode::Echo)]
    mode: Mode,
    /// Accept compression of messages (permessage-deflate, RFC 7692).
    #[arg(short = 'z', long)]
    compress: bool,
    /// Connections at once; one more is answered 503.
    #[arg(long, value_name = "COUNT", default_value = "10000")]
    max_connections: NonZeroUsize,
    /// The largest message to take, in bytes; above it the connection fails with 1009.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    max_size: usize,
    /// Event loops, each on a thread of its own.
    #[arg(long, value_name = "COUNT", default_value = "1")]
    threads: NonZeroUsize,
    /// A site whose pages may connect, as https://example.com; may be given several times.
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    allow_origins: Vec<String>,
    /// Pages of any site may connect.
    #[arg(long, conflicts_with = "allow_origins")]
    any_origin: bool,
    /// A subprotocol that is spoken, in order of preference; may be given several times.
    #[arg(short, long = "subprotocol", value_name = "NAME")]
    subprotocols: Vec<String>,
    /// A line on standard error for each connection that comes and goes.
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Each message goes back to its sender.
    Echo,
    /// Each message goes to everybody, its sender included; who is 1 MiB behind is closed with 1013.
    Broadcast,
}

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let config = Config::builder()
        .max_connections(options.max_connections.get())
        .max_message_size(options.max_size)
        .permessage_deflate(options.compress.then(PermessageDeflate::default))
        .slow_consumer(match options.mode {
            // An echo's peer that does not read is not read from either, which comes first.
            Mode::Echo => SlowConsumer::Refuse,
            Mode::Broadcast => SlowConsumer::Close(CloseCode::TRY_AGAIN_LATER),
        })
        .build()
        .map_err(Failure::usage)?;
    let loops =
        Loops::new(options.threads.get()).map_err(|error| Failure::usage(format_args!("--threads: {error}")))?;
    let listening = Listening::on(&options.address, &loops, config)?;
    let handle: LoopsHandle = loops.handle();
    // The first has closed the listener, and a socket's file has gone with it.
    signals::watch(move || handle.shut_down(OVER, WITHIN), || {})?;
    // Nobody may read it: that is no reason not to serve.
    let _ = print(&format!("listening on {}\n", listening.address));

    let (hubs, listener) = (Hubs::new(&loops), &listening.listener);
    loops.run(|event_loop| match options.mode {
        Mode::Echo => options.echo(event_loop, listener),
        Mode::Broadcast => options.broadcast(event_loop, listener, &hubs),
    })?;
    Ok(())
}

impl Options {
    fn echo(&self, mut event_loop: EventLoop, listener: &SharedListener) -> io::Result<()> {
        event_loop.serve(listener, self.verify())?;
        while !event_loop.is_shut_down() {
            event_loop.turn(None, |connections, id, event| {
                self.tell(connections, id, &event);
                if let Event::Message(message) = event {
                    // While its queue is full nothing more is read from a peer, so an echo has always room.
                    let _ = connections.send(id, message);
                }
            })?;
        }
        Ok(())
    }

    fn broadcast(&self, mut event_loop: EventLoop, listener: &SharedListener, hubs: &Hubs) -> io::Result<()> {
        event_loop.serve(listener, self.verify())?;
        let mut hub: Hub = hubs.hub(event_loop)?;
        if self.verbose {
            hub.on_unopened(|id, closed| tell(id, &closed.to_string()));
        }
        while !hub.event_loop().is_shut_down() {
            hub.turn(None, |socket, event| {
                let id = socket.id();
                self.tell(socket.io().connections(), id, &event);
                if let Event::Message(message) = event {
                    // Who does not keep up is closed, so each one that stays has everything.
                    let _ = socket.io().emit(PreparedMessage::new(message));
                }
            })?;
        }
        Ok(())
    }

    fn verify(&self) -> impl FnMut(ConnId, &Request<'_>) -> Verdict + use<> {
        let (origins, subprotocols, any) = (self.allow_origins.clone(), self.subprotocols.clone(), self.any_origin);
        move |_id, request| {
            let verdict = if any { request.allow_any_origin() } else { request.allow_origins_or_none(&origins) };
            verdict.with_subprotocol(request.select_subprotocol(&subprotocols))
        }
    }

    fn tell(&self, connections: &Connections, id: ConnId, event: &Event<'_>) {
        if !self.verbose {
            return;
        }
        match event {
            Event::Open => {
                let peer =
                    connections.peer_addr(id).map_or_else(|| "a Unix-domain socket".to_owned(), |at| at.to_string());
                let connection = connections.get(id);
                let subprotocol = connection.and_then(|connection| connection.subprotocol());
                let subprotocol = subprotocol.map_or_else(String::new, |name| format!(", subprotocol {name}"));
                let compressed = connection.is_some_and(|connection| connection.extensions().deflate().is_some());
                tell(id, &format!("open from {peer}{subprotocol}{}", if compressed { ", compressed" } else { "" }));
            }
            Event::Closed(closed) => tell(id, &closed.to_string()),
            _ => {}
        }
    }
}

fn tell(id: ConnId, what: &str) {
    // Where standard error is closed nobody wants to know.
    let _ = io::Write::write_all(&mut io::stderr(), format!("{id}: {}\n", escape_line(what)).as_bytes());
}
