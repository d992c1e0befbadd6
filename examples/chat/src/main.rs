//! A chat in rooms: the page at `/`, `/healthz` and the WebSocket at `/ws` on one port.
//!
//! `cargo run --release -p wireroom-chat`, then open the address it prints in two browsers. `PROTOCOL.md` lists the
//! messages; `chat.rs` answers them.

#![forbid(unsafe_code)]

mod chat;
mod files;

use std::{cell::OnceCell, error::Error, net::SocketAddr, rc::Rc};

use lexopt::prelude::*;
use wireroom::{Config, EventLoop, Hub, http::Request};

const USAGE: &str = "\
usage: wireroom-chat [--listen ADDRESS] [--allow-origin ORIGIN]...

  --listen ADDRESS        where to listen (default 127.0.0.1:8080; port 0 takes a free one)
  --allow-origin ORIGIN   lets pages of this origin in, beside the server's own (repeatable); needed behind a proxy,
                          and for pages that reach the server under a name";

struct Arguments {
    listen: SocketAddr,
    allow_origin: Vec<String>,
}

fn arguments() -> Result<Option<Arguments>, lexopt::Error> {
    let mut arguments = Arguments { listen: ([127, 0, 0, 1], 8080).into(), allow_origin: Vec::new() };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("listen") => arguments.listen = parser.value()?.parse()?,
            Long("allow-origin") => arguments.allow_origin.push(parser.value()?.string()?),
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(arguments))
}

fn main() {
    match arguments() {
        Err(error) => fail(&format!("{error}\n\n{USAGE}")),
        Ok(None) => println!("{USAGE}"),
        Ok(Some(arguments)) => {
            if let Err(error) = serve(arguments) {
                fail(&error.to_string());
            }
        }
    }
}

fn fail(message: &str) -> ! {
    eprintln!("wireroom-chat: {message}");
    std::process::exit(1)
}

fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { listen, allow_origin } = arguments;
    let mut event_loop = EventLoop::new()?;
    let config = Config::builder().max_message_size(16 * 1024).build()?;
    // Our own page's Origin. It is not read off the request's Host: whoever points a name of theirs at this address
    // chooses that (DNS rebinding).
    let own = Rc::new(OnceCell::new());
    let own_origins = own.clone();
    let address = event_loop
        .listen(listen, config, move |_id, request: &Request<'_>| {
            if !request.is_upgrade() {
                return files::answer(request).into();
            }
            if request.path() != "/ws" {
                return files::not_found().into();
            }
            let own: &Vec<String> = own_origins.get_or_init(Vec::new);
            let named: Vec<&String> = allow_origin.iter().chain(own).collect();
            request.allow_origins(&named)
        })
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let mut origins = vec![format!("http://{address}")];
    if address.ip().is_loopback() {
        origins.push(format!("http://localhost:{}", address.port()));
    }
    own.set(origins).map_err(|_| "a request came before the address was known")?;
    println!("listening on http://{address}/");

    let mut hub = Hub::new(event_loop);
    let mut chat = chat::Chat::default();
    loop {
        hub.turn(None, |socket, event| chat.handle(socket, event))?;
    }
}
