//! A chat in rooms: the page, its history in SQLite, `/healthz` and the WebSockets on one port.
//!
//! `cargo run --release -p wireroom-chat`, then open the address it prints in two browsers. `PROTOCOL.md` lists the
//! messages; `chat.rs` answers them.

#![forbid(unsafe_code)]

mod chat;
mod files;
mod limits;
mod live;
mod messages;
mod options;
mod people;
mod port;
mod rooms;
mod signals;
mod store;
mod tls;
mod wire;

use std::{
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
    rc::Rc,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use wireroom::{CloseCode, Config, EventLoop, Hub, HubConfig, ProxyProtocol, RoomLimits};

use chat::Chat;
use limits::{MAX_ROOMS, MAX_ROOMS_EACH, Rate};
use options::{Options, USAGE};
use port::Port;
use rooms::RecentRooms;
use store::Store;

/// The largest message of a client, in bytes: the longest text fits, as `JSON.stringify` writes it.
const MAX_MESSAGE: usize = 16 * 1024;
/// What may wait for one connection: with so much, the next message ends it.
const MAX_SEND_BUFFER: usize = 4 << 20;
/// Calls of the store's threads that may wait for the loop.
const HANDLE_CAPACITY: usize = 4096;
/// While the store finishes, the loop looks after it so often.
const WHILE_FINISHING: Duration = Duration::from_millis(10);
/// Plain HTTP that is still under way at the end has so long.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

// The chat's own close codes, of those for private use (RFC 6455, section 7.4.2).
const REPLACED: CloseCode = private(4001);
const FLOODING: CloseCode = private(4002);
const NOTHING_SAID: CloseCode = private(4003);
const NOTHING_TO_WATCH: CloseCode = private(4004);

const fn private(code: u16) -> CloseCode {
    match CloseCode::new(code) {
        Some(code) => code,
        None => CloseCode::NORMAL,
    }
}

fn main() -> ExitCode {
    let outcome = match Options::read(lexopt::Parser::from_env()) {
        Err(error) => Err(format!("{error}\n\n{USAGE}").into()),
        Ok(None) => writeln!(io::stdout(), "{USAGE}").map_err(Into::into),
        Ok(Some(options)) => run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wireroom-chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    env_logger::Builder::new().filter_level(options.log).format_target(false).init();
    let mut event_loop = EventLoop::new()?;
    let port = Rc::new(Port::new(options.allow_origin.clone(), &options.trust_forwarded, options.max_connections));
    let address = listen(&mut event_loop, options, port.clone())?;
    // One room more than clients can choose: that of everyone who has said hello.
    let limits = RoomLimits { max_rooms_per_socket: MAX_ROOMS_EACH + 1, max_rooms: MAX_ROOMS, ..RoomLimits::default() };
    let config = HubConfig { limits, handle_capacity: HANDLE_CAPACITY, ..HubConfig::default() };
    let mut hub = Hub::with_config(event_loop, config);
    let (store, rooms) = Store::open(&options.database, options.keep, hub.handle())?;
    let rate = Rate { per_second: options.rate, burst: options.rate * 4 };
    let chat = Chat::new(port.clone(), store, RecentRooms::new(rooms), rate);
    let waker = hub.event_loop().handle();
    let asked_to_end = signals::watch(move || waker.wake())?;
    log::info!("the history is in {}", options.database.display());
    writeln!(io::stdout(), "listening on {}://{address}/", tls::scheme(options).0)?;
    serve(&mut hub, chat, &port, options.drain, || asked_to_end.load(Ordering::Acquire))
}

fn listen(event_loop: &mut EventLoop, options: &Options, port: Rc<Port>) -> Result<SocketAddr, Box<dyn Error>> {
    let listen = options.listen;
    let config = Config::builder().max_message_size(MAX_MESSAGE).max_send_buffer(MAX_SEND_BUFFER).build()?;
    let mut how = tls::listen_options(options)?;
    if !options.proxy_protocol.is_empty() {
        how = how.proxy_protocol(ProxyProtocol::from_sources(options.proxy_protocol.iter().copied()));
    }
    let answers = port.clone();
    let address = event_loop
        .listen_with(listen, how, config, move |id, request| answers.answer(id, request))
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let (scheme, own_port) = tls::scheme(options);
    let mut origins = vec![format!("{scheme}://{address}")];
    if address.ip().is_loopback() {
        origins.push(format!("{scheme}://localhost:{}", address.port()));
    }
    // An origin leaves out its scheme's own port (RFC 6454, section 4).
    if address.port() == own_port {
        for origin in &mut origins {
            origin.truncate(origin.len() - format!(":{own_port}").len());
        }
    }
    port.set_own_origins(origins);
    Ok(address)
}

/// Turn after turn; once it is asked to end: sends everybody away, has the store finish, and ends.
fn serve(
    hub: &mut Hub,
    mut chat: Chat,
    port: &Port,
    drain: Duration,
    asked_to_end: impl Fn() -> bool,
) -> Result<(), Box<dyn Error>> {
    let mut due: Option<Instant> = None;
    loop {
        if asked_to_end() && !port.is_draining() {
            log::info!("going down: everybody is sent away over {drain:?}");
            port.drain();
            hub.event_loop().drain(drain)?;
        }
        // While it drains, that nobody is left is seen only between turns.
        if port.is_draining() && hub.event_loop().is_drained() {
            break;
        }
        let timeout = due.map(|at| at.saturating_duration_since(Instant::now()));
        hub.turn(timeout, |socket, event| chat.handle(socket, event))?;
        due = chat.after_turn(hub);
        if chat.store.has_ended() {
            return Err("the store of the history has failed".into());
        }
    }
    // The loop goes on meanwhile: what is committed now still wants to be told, if only to nobody.
    chat.store.finish();
    while !chat.store.has_ended() {
        hub.turn(Some(WHILE_FINISHING), |socket, event| chat.handle(socket, event))?;
    }
    hub.event_loop().shut_down(Duration::ZERO, LAST_ANSWERS)?;
    while !hub.event_loop().is_shut_down() {
        hub.turn(None, |socket, event| chat.handle(socket, event))?;
    }
    log::info!("down: all that was said is stored");
    Ok(())
}

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
