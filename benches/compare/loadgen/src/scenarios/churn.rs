//! Each connection lives for one message: connect, upgrade, a text and its echo, the closing handshake, the end of the
//! stream. Without a protocol the same bytes are echoed.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown},
    time::{Duration, Instant},
};

use mio::{Events, Poll};
use socket2::SockRef;

use super::Outcome;
use crate::{
    connection::{Connection, Target},
    frames::{Sink, put_masked},
    measure::{Window, histogram, record},
    options::Options,
    payload::Random,
};

const TEXT: &[u8] = b"one small text message, 32 bytes";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    /// Without a protocol: the request is on its way back.
    Request,
    Message,
    Closing,
}

#[derive(Debug)]
struct Visit {
    connection: Connection,
    began: Instant,
    stage: Stage,
    /// Without a protocol: bytes that came back.
    echoed: usize,
    close_seen: bool,
}

/// What every visit sends.
#[derive(Debug)]
struct Script {
    target: Target,
    message: Vec<u8>,
    close: Vec<u8>,
}

pub fn run(options: &Options) -> Outcome {
    let mut random = Random(7);
    let mut script = Script { target: Target::new(options), message: Vec::new(), close: Vec::new() };
    put_masked(&mut script.message, 0x81, TEXT, &mut random);
    put_masked(&mut script.close, 0x88, &1000_u16.to_be_bytes(), &mut random);
    let mut sources = Sources { run: (std::process::id() % 200) as u8, begun: 0 };
    let mut poll = Poll::new()?;
    let mut scratch = vec![0; 16 << 10];
    let mut latencies = histogram();
    let mut visits = Vec::new();
    for number in 0..options.connections {
        visits.push(Visit::begin(&script, sources.next(), number, &poll)?);
    }
    let mut window = Window::new(options);
    let (mut ended, mut without_close) = (0, 0);
    let mut events = Events::with_capacity(1024);
    let mut progress = Instant::now();
    loop {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        let now = Instant::now();
        window.tick(now, ended);
        if now >= window.end {
            break;
        }
        for event in &events {
            let number = event.token().0;
            let visit = &mut visits[number];
            if visit.go_on(&script, &mut scratch) {
                if window.is_open() {
                    record(&mut latencies, visit.began.elapsed());
                }
                ended += 1;
                progress = now;
                without_close += u64::from(!visit.close_seen && !options.raw);
                // A reset leaves no TIME_WAIT behind: otherwise the ports would run out.
                SockRef::from(&visit.connection.stream).set_linger(Some(Duration::ZERO))?;
                *visit = Visit::begin(&script, sources.next(), number, &poll)?;
            }
        }
        assert!(progress.elapsed() < Duration::from_secs(5), "no visit has ended for 5 s");
    }
    let mut line = window.line(ended, &latencies);
    line.put("without_close", without_close as f64 / ended.max(1) as f64);
    Ok(line)
}

/// Where visits come from. Of who closes first a port rests for a minute, and where most ports of an address rest the system
/// takes long to find one: so each run has addresses of its own, and each of them a few thousand visits.
struct Sources {
    run: u8,
    begun: usize,
}

impl Sources {
    fn next(&mut self) -> Ipv4Addr {
        self.begun += 1;
        Ipv4Addr::new(127, 2 + self.run, (self.begun / 4000 % 250) as u8, 1)
    }
}

impl Visit {
    fn begin(script: &Script, source: Ipv4Addr, number: usize, poll: &Poll) -> std::io::Result<Self> {
        let connection = Connection::begin(&script.target, source, number, poll)?;
        Ok(Self { connection, began: Instant::now(), stage: Stage::Opening, echoed: 0, close_seen: false })
    }

    /// True when it is over.
    fn go_on(&mut self, script: &Script, scratch: &mut [u8]) -> bool {
        if self.stage == Stage::Opening {
            if !self.connection.open(&script.target, scratch) {
                return false;
            }
            let (first, stage) = if script.target.raw {
                (&script.target.request, Stage::Request)
            } else {
                (&script.message, Stage::Message)
            };
            self.connection.stream.write_all(first).expect("a fresh socket takes a small message");
            self.stage = stage;
        }
        loop {
            match self.connection.stream.read(scratch) {
                Ok(0) => {
                    assert!(self.stage == Stage::Closing, "the end of the stream in stage {:?}", self.stage);
                    return true;
                }
                Ok(n) if script.target.raw => self.hear_raw(script, n),
                Ok(n) => self.hear(script, &scratch[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if self.stage == Stage::Closing && error.kind() == ErrorKind::ConnectionReset => {
                    return true;
                }
                Err(error) => panic!("cannot read: {error}"),
            }
        }
    }

    fn hear(&mut self, script: &Script, bytes: &[u8]) {
        let mut heard = Heard::default();
        self.connection.decoder.feed(bytes, &mut heard);
        if heard.messages > 0 {
            assert!(self.stage == Stage::Message && heard.text == TEXT, "one echo, and no more");
            self.stage = Stage::Closing;
            self.connection.stream.write_all(&script.close).expect("the socket takes a Close");
        }
        self.close_seen |= heard.close;
    }

    fn hear_raw(&mut self, script: &Script, bytes: usize) {
        self.echoed += bytes;
        let (request, both) = (script.target.request.len(), script.target.request.len() + script.message.len());
        if self.stage == Stage::Request && self.echoed >= request {
            self.stage = Stage::Message;
            self.connection.stream.write_all(&script.message).expect("the socket takes a small message");
        } else if self.stage == Stage::Message && self.echoed >= both {
            self.stage = Stage::Closing;
            self.connection.stream.shutdown(Shutdown::Write).expect("the socket is open");
        }
    }
}

/// A reply so small comes in one read.
#[derive(Debug, Default)]
struct Heard {
    text: Vec<u8>,
    messages: usize,
    close: bool,
}

impl Sink for Heard {
    fn chunk(&mut self, bytes: &[u8], _: u64) {
        self.text.extend_from_slice(bytes);
    }

    fn message(&mut self, _: u64, _: bool) {
        self.messages += 1;
    }

    fn close(&mut self) {
        self.close = true;
    }
}
