//! A raw socket that goes through a script: what a correct client cannot do.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use super::Shared;

/// Between two looks at a socket.
const LOOK: Duration = Duration::from_millis(20);
/// A script that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(35);

#[derive(Debug)]
pub(super) enum Step {
    Send(Vec<u8>),
    /// A byte at a time, with so long in between.
    Drip(Vec<u8>, Duration),
    /// A response with this status.
    Status(u16),
    /// A message of these bytes.
    Echo(Vec<u8>),
    /// A Close frame with this code.
    Close(u16),
    /// The end of the stream.
    Eof,
    /// The end of the connection, in whatever way.
    Gone,
    /// Nothing is read.
    Wait(Duration),
    ShutdownWrite,
    /// Waits for bytes and closes without reading them: the kernel sends a RST.
    Reset,
}

#[derive(Debug)]
pub(super) struct Raw {
    number: u64,
    /// What the referee is told when the script is done; `None` when it never was a WebSocket.
    did: &'static str,
    /// How the server has to say that it ended, for those that never were one.
    unopened: Option<&'static str>,
    stream: TcpStream,
    script: VecDeque<Step>,
    inbox: Vec<u8>,
    /// Fragments of a message.
    message: Vec<u8>,
    ended: bool,
    began: Instant,
    pub(super) wake: Instant,
}

impl Raw {
    pub(super) fn new(
        number: u64,
        address: SocketAddr,
        did: &'static str,
        unopened: Option<&'static str>,
        script: Vec<Step>,
        now: Instant,
    ) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let (script, inbox, message) = (script.into(), Vec::new(), Vec::new());
        Ok(Self { number, did, unopened, stream, script, inbox, message, ended: false, began: now, wake: now })
    }

    /// Waits no longer than it must.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.wake = self.wake.min(now);
    }

    /// One step as far as it goes; false when the script is done.
    pub(super) fn step(&mut self, shared: &mut Shared) -> bool {
        while let Some(step) = self.script.pop_front() {
            match self.take(step, shared.now) {
                Ok(None) => {}
                Ok(Some((step, wake))) => {
                    let hangs = shared.now > self.began + PATIENCE;
                    self.script.push_front(step);
                    self.wake = wake;
                    if hangs {
                        let at = self.script.front();
                        shared.report.fault(format_args!("raw {} ({}) hangs at {at:?}", self.number, self.did));
                        break;
                    }
                    return true;
                }
                Err(what) => {
                    shared.report.fault(format_args!("raw {} ({}): {what}", self.number, self.did));
                    break;
                }
            }
        }
        shared.report.add(&format!("did:{}", self.did.split(':').next().unwrap_or_default()), 1);
        match self.unopened {
            Some(label) => shared.report.add(&format!("expect:{label}"), 1),
            None => shared.report.line(format_args!("end {} {}", self.number, self.did)),
        }
        false
    }

    /// `Some`: the same step again, or what is left of it, at that time.
    fn take(&mut self, step: Step, now: Instant) -> Result<Option<(Step, Instant)>, String> {
        let again = |step| Ok(Some((step, now + LOOK)));
        match step {
            Step::Send(mut bytes) => {
                let n = self.write(&bytes)?;
                bytes.drain(..n);
                if bytes.is_empty() { Ok(None) } else { again(Step::Send(bytes)) }
            }
            Step::Drip(mut bytes, pause) => {
                // As many as are due, each in a segment of its own: this process may be late.
                let mut wake = self.wake;
                while wake <= now && !bytes.is_empty() {
                    let n = self.write(&bytes[..1])?;
                    bytes.drain(..n);
                    wake += pause;
                }
                if bytes.is_empty() { Ok(None) } else { Ok(Some((Step::Drip(bytes, pause), wake))) }
            }
            Step::Status(status) => {
                self.read()?;
                let end = self.inbox.windows(4).position(|bytes| bytes == b"\r\n\r\n");
                let Some(end) = end else {
                    return if self.ended { Err("the end instead of a response".into()) } else { again(step) };
                };
                let head: Vec<_> = self.inbox.drain(..end + 4).collect();
                let line = String::from_utf8_lossy(&head);
                let told = line.split(' ').nth(1).and_then(|status| status.parse().ok());
                if told == Some(status) { Ok(None) } else { Err(format!("{line:?} instead of {status}")) }
            }
            Step::Echo(expected) => {
                self.read()?;
                while let Some((opcode, payload)) = self.frame() {
                    match opcode {
                        0x0..=0x2 if payload == expected => return Ok(None),
                        0x0..=0x2 if payload.first() == Some(&b't') => {}
                        0x9 => {}
                        _ => return Err(format!("opcode {opcode}, {} bytes instead of an echo", payload.len())),
                    }
                }
                if self.ended { Err("the end instead of an echo".into()) } else { again(Step::Echo(expected)) }
            }
            Step::Close(code) => {
                self.read()?;
                while let Some((opcode, payload)) = self.frame() {
                    if opcode == 0x8 {
                        let told = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                        return if told == Some(code) { Ok(None) } else { Err(format!("{told:?} instead of {code}")) };
                    }
                }
                if self.ended { Err(format!("the end instead of a Close with {code}")) } else { again(step) }
            }
            Step::Eof => {
                self.read()?;
                if self.ended { Ok(None) } else { again(step) }
            }
            Step::Gone => {
                if self.read().is_err() || self.ended {
                    Ok(None)
                } else {
                    again(step)
                }
            }
            Step::Wait(time) => Ok(Some((Step::Wait(Duration::ZERO), now + time)).filter(|_| !time.is_zero())),
            Step::ShutdownWrite => {
                self.stream.shutdown(Shutdown::Write).map_err(|error| error.to_string())?;
                Ok(None)
            }
            Step::Reset => match self.stream.peek(&mut [0]) {
                Ok(1) => Ok(None),
                Err(error) if error.kind() == ErrorKind::WouldBlock => again(step),
                other => Err(format!("{other:?} before the reset")),
            },
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, String> {
        match self.stream.write(bytes) {
            Ok(n) => Ok(n),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) => Err(format!("writing: {error}")),
        }
    }

    fn read(&mut self) -> Result<(), String> {
        let mut bytes = [0; 16 * 1024];
        while !self.ended {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(n) => self.inbox.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(format!("reading: {error}")),
            }
        }
        Ok(())
    }

    /// The next control frame, or message with its fragments joined: a server's frames are not masked.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            let (&[first, second], rest) = self.inbox.split_first_chunk()?;
            let (length, header) = match second & 0x7f {
                126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
                127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
                short => (usize::from(short), 2),
            };
            if self.inbox.len() < header + length {
                return None;
            }
            let payload: Vec<_> = self.inbox.drain(..header + length).skip(header).collect();
            let opcode = first & 0xf;
            if opcode >= 0x8 {
                return Some((opcode, payload));
            }
            self.message.extend_from_slice(&payload);
            if first & 0x80 != 0 {
                return Some((opcode, std::mem::take(&mut self.message)));
            }
        }
    }
}
