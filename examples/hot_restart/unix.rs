//! A restart that refuses nobody: on SIGHUP the program starts itself anew, with its listening socket as the other's standard
//! input, and when that one serves, sends its own clients there.
//!
//! `cargo run --example hot_restart -- 127.0.0.1:9007`, then `kill -HUP` the process that `curl http://127.0.0.1:9007/` names.
//! The socket is one and the same all the time, so who connects meanwhile waits in its backlog, at most.

#![allow(clippy::disallowed_methods)] // a program has a clock

use std::{
    env,
    error::Error,
    ffi::OsString,
    io::{self, BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd as _, OwnedFd},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use wireroom::{Config, Event, EventLoop, Handle, ListenOptions, http::Response};

/// Set for a program whose standard input is a listening socket.
const HANDED_OVER: &str = "WIREROOM_HANDED_OVER";
/// The new one has so long until it serves. Otherwise the old one goes on.
const START: Duration = Duration::from_secs(10);
/// Those who were accepted by the old one and have not said what they want have so long.
const OPENING: Duration = Duration::from_millis(200);
/// The others are sent away over so long, that not all of them come to the new one at once, and have so long to go.
const OVER: Duration = Duration::from_millis(500);
const WITHIN: Duration = Duration::from_secs(5);

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let address = arguments.first().and_then(|address| address.to_str()).unwrap_or("127.0.0.1:9007");
    run(address.parse()?, &arguments)
}

/// What other threads tell the loop.
enum Told {
    Restart,
    Stop,
    Serves,
    /// With the reason.
    Fails(Child, String),
}

/// `arguments`: those with which the new one is started.
pub(crate) fn run(address: SocketAddr, arguments: &[OsString]) -> Result<(), Box<dyn Error>> {
    // 1. The listener: ours, or the one that we were given.
    let listener = match env::var_os(HANDED_OVER) {
        Some(_) => TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?),
        None => TcpListener::bind(address)?,
    };
    let address = listener.local_addr()?;
    let mut event_loop = EventLoop::new()?;
    let verify = |_id, request: &wireroom::http::Request<'_>| match request.is_upgrade() {
        true => request.allow_any_origin(),
        false => Response::text(200, format!("{}\n", std::process::id())).into(),
    };
    event_loop.listen_on(listener.try_clone()?, ListenOptions::new(), Config::default(), verify)?;

    // 2. Who has started us waits for this word.
    writeln!(io::stdout(), "ready {address}")?;
    io::stdout().flush()?;
    eprintln!("{}: serving {address}", std::process::id());

    // 3. Serve, until it is time to go. The loop never waits for the new one.
    let (tell, told) = channel();
    let handle = event_loop.handle();
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let (teller, waker) = (tell.clone(), handle.clone());
    thread::spawn(move || {
        for signal in signals.forever() {
            let word = if signal == SIGHUP { Told::Restart } else { Told::Stop };
            let _ = teller.send(word);
            waker.wake();
        }
    });
    let mut starting = false;
    loop {
        match told.try_recv() {
            Ok(Told::Restart) if starting => {}
            Ok(Told::Restart) => {
                starting = true;
                match start(&listener, arguments) {
                    Ok(new) => watch(new, tell.clone(), handle.clone()),
                    Err(error) => (starting, _) = (false, eprintln!("the new one does not start: {error}")),
                }
            }
            Ok(Told::Fails(mut new, why)) => {
                eprintln!("the new one fails, the old one goes on: {why}");
                let _ = new.kill();
                let _ = new.wait();
                starting = false;
            }
            Ok(Told::Serves) => break,
            Ok(Told::Stop) => break,
            Err(_) => turn(&mut event_loop, None)?,
        }
    }

    // 4. The other one accepts from here on. Those who are half in come in, then all are sent away.
    event_loop.stop_listening();
    drop(listener);
    let opened = Instant::now() + OPENING;
    while Instant::now() < opened {
        turn(&mut event_loop, Some(opened.saturating_duration_since(Instant::now())))?;
    }
    eprintln!("{}: going, with {} connections", std::process::id(), event_loop.connections().len());
    event_loop.shut_down(OVER, WITHIN)?;
    while !event_loop.is_shut_down() {
        turn(&mut event_loop, None)?;
    }
    Ok(())
}

/// An echo.
fn turn(event_loop: &mut EventLoop, timeout: Option<Duration>) -> io::Result<()> {
    event_loop.turn(timeout, |connections, id, event| {
        if let Event::Message(message) = event {
            let _ = connections.send(id, message);
        }
    })
}

/// The program as it is on the disk now, by the name under which it was called.
fn start(listener: &TcpListener, arguments: &[OsString]) -> io::Result<Child> {
    let program = env::args_os().next().ok_or(io::ErrorKind::NotFound)?;
    Command::new(program)
        .args(arguments)
        .env(HANDED_OVER, "1")
        .stdin(OwnedFd::from(listener.try_clone()?))
        .stdout(Stdio::piped())
        .spawn()
}

/// Waits for the word of the new one, on a thread of its own.
fn watch(mut new: Child, tell: std::sync::mpsc::Sender<Told>, handle: Handle) {
    thread::spawn(move || {
        let (said, heard) = channel();
        let lines = new.stdout.take();
        thread::spawn(move || {
            let lines = lines.into_iter().flat_map(|lines| BufReader::new(lines).lines());
            let ready = lines.map_while(Result::ok).find(|line| line.starts_with("ready "));
            let _ = said.send(ready.is_some());
        });
        let _ = tell.send(verdict(new, &heard));
        handle.wake();
    });
}

fn verdict(new: Child, heard: &Receiver<bool>) -> Told {
    match heard.recv_timeout(START) {
        Ok(true) => Told::Serves,
        Ok(false) => Told::Fails(new, "it has ended".to_owned()),
        Err(_) => Told::Fails(new, format!("not ready within {START:?}")),
    }
}
