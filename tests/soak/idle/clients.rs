//! Minimal clients: a socket each, which answers Pings and notes when a broadcast has come.

use std::{
    io::{self, ErrorKind, Read, Write},
    sync::mpsc,
    time::{Duration, SystemTime},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{Failure, options::Part, process, report::Report};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// Handshakes under way at once.
const AT_ONCE: usize = 256;

#[derive(Debug)]
struct Crew {
    poll: Poll,
    sockets: Vec<TcpStream>,
    open: usize,
    /// Of the broadcast under way: who has it, and when the first and the last had it, in nanoseconds after it was sent.
    reached: usize,
    first: u64,
    last: u64,
    report: Report,
}

pub(crate) fn run(part: &Part) -> Result<bool, Failure> {
    let (sender, commands) = mpsc::channel();
    process::commands(sender);
    if commands.recv()? != "go" {
        return Ok(true);
    }
    let before = process::memory_and_threads().0;
    let mut crew = Crew {
        poll: Poll::new()?,
        sockets: Vec::with_capacity(part.clients),
        open: 0,
        reached: 0,
        first: u64::MAX,
        last: 0,
        report: Report::new(),
    };
    let mut events = Events::with_capacity(1_024);
    while crew.open < part.clients {
        while crew.sockets.len() < part.clients && crew.sockets.len() < crew.open + AT_ONCE {
            let address = part.addresses[crew.sockets.len() % part.addresses.len()];
            crew.connect(std::net::TcpStream::connect(address)?)?;
        }
        crew.turn(&mut events, Duration::from_secs(1))?;
    }
    crew.report.line(format_args!("open {}", crew.open));
    crew.report.flush();
    let grown = process::memory_and_threads().0 - before;
    crew.report.line(format_args!("grown {grown}"));
    crew.report.flush();
    loop {
        crew.turn(&mut events, Duration::from_secs(1))?;
        if crew.reached == part.clients {
            crew.report.line(format_args!("reached first={} last={}", crew.first, crew.last));
            crew.report.flush();
            (crew.reached, crew.first, crew.last) = (0, u64::MAX, 0);
        }
        if commands.try_recv().is_ok() {
            return Ok(true);
        }
    }
}

impl Crew {
    fn connect(&mut self, stream: std::net::TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        stream.write_all(REQUEST)?;
        self.poll.registry().register(&mut stream, Token(self.sockets.len()), Interest::READABLE)?;
        self.sockets.push(stream);
        Ok(())
    }

    fn turn(&mut self, events: &mut Events, time: Duration) -> Result<(), Failure> {
        match self.poll.poll(events, Some(time)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in &*events {
            let mut bytes = [0; 1_024];
            let socket = &mut self.sockets[event.token().0];
            let n = match socket.read(&mut bytes) {
                Ok(0) => return Err("the server has ended a connection".into()),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            };
            // Each of these is small and comes alone, and so in one piece.
            match &bytes[..n] {
                [b'H', ..] => self.open += 1,
                // 5.5.2: a Ping without payload; masked with zeros, the Pong has none either.
                [0x89, 0] => socket.write_all(&[0x8a, 0x80, 0, 0, 0, 0])?,
                [0x81, 20, text @ ..] => {
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as u64;
                    let sent: u64 = std::str::from_utf8(text)?.parse()?;
                    let time = now.saturating_sub(sent);
                    (self.first, self.last) = (self.first.min(time), self.last.max(time));
                    self.reached += 1;
                }
                other => return Err(format!("what is {other:?}?").into()),
            }
        }
        Ok(())
    }
}
