//! One end: a connection, its receive buffer, its clock, and what its user does and sees.

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Clock, Ending, Role, Seen, Transcript, connection, frames, wire};
use crate::{
    CloseCode, Config, Connection, Event, Message, RecvBuffer, SendError, SendStatus, Transport, handshake::Extensions,
};

pub(super) type OnEvent<'h> = Box<dyn FnMut(&mut Connection, Event<'_>, Instant) + 'h>;

/// What the user does with an event.
enum Handler<'h> {
    Listen,
    Echo,
    Custom(OnEvent<'h>),
}

/// One connection with its receive buffer and its clock, a handler, and the list of what its user has seen.
///
/// Alone it is driven by hand: bytes in by [`receive`](Self::receive), out by [`write`](Self::write) or
/// [`flush`](Self::flush), time by [`advance`](Self::advance). In a [`Pair`](super::Pair) the pair does that.
///
/// ```
/// use wireroom::{Config, Event, testing::{Endpoint, Role, Seen}};
///
/// let mut server = Endpoint::new(Role::Server, Config::default());
/// server.on_event(|connection, event, _now| {
///     if let Event::Message(message) = event {
///         let _ = connection.send(message);
///     }
/// });
/// server.receive_frame(0x81, b"hi");
/// assert_eq!(server.take_seen(), [Seen::Text("hi".into())]);
/// assert_eq!(server.flush_frames(), [(0x81, b"hi".to_vec())]);
/// ```
pub struct Endpoint<'h> {
    /// Which side it is.
    pub role: Role,
    /// The connection, to send on it and to ask it.
    pub connection: Connection,
    /// What has come in and is not read. Bytes that are put here by hand are in no [`Transcript`].
    pub rx: RecvBuffer,
    /// What was seen since [`take_seen`](Self::take_seen).
    pub seen: Vec<Seen>,
    /// Echoes that `send` refused; see [`echo`](Self::echo).
    pub refused: usize,
    clock: Clock,
    handler: Handler<'h>,
    /// The end of the stream was told.
    ended: bool,
    ending: Option<Ending>,
    recording: Option<Box<Transcript>>,
}

impl<'h> Endpoint<'h> {
    /// An open connection, as if an opening handshake had been. [`Event::Open`] has been seen and taken.
    pub fn new(role: Role, config: impl Into<Arc<Config>>) -> Self {
        Self::with(role, config, Extensions::none(), Clock::new())
    }

    /// The same with `extensions` agreed on, and a clock of the caller's (or a moment, at which its own begins).
    pub fn with(role: Role, config: impl Into<Arc<Config>>, extensions: Extensions, clock: impl Into<Clock>) -> Self {
        let clock = clock.into();
        Self::of(role, connection(role, config, extensions, clock.now()), RecvBuffer::new(), clock)
    }

    /// The end of a connection that was made elsewhere, and what has come in for it. Its events so far but
    /// [`Event::Open`] are in [`seen`](Self::seen).
    pub fn of(role: Role, connection: Connection, rx: RecvBuffer, clock: Clock) -> Self {
        let mut endpoint = Self {
            role,
            connection,
            rx,
            seen: Vec::new(),
            refused: 0,
            clock,
            handler: Handler::Listen,
            ended: false,
            ending: None,
            recording: None,
        };
        endpoint.poll();
        endpoint.seen.retain(|seen| *seen != Seen::Open);
        endpoint
    }

    /// Hands each event to `handler`, with the connection and the time on this end's clock. It is told [`Event::Open`] at
    /// once, as each new owner of a connection is.
    pub fn on_event(&mut self, mut handler: impl FnMut(&mut Connection, Event<'_>, Instant) + 'h) {
        let now = self.now();
        handler(&mut self.connection, Event::Open, now);
        self.handler = Handler::Custom(Box::new(handler));
    }

    /// Sends each message back, and counts in [`refused`](Self::refused) what `send` refuses.
    pub fn echo(&mut self) {
        self.handler = Handler::Echo;
    }

    /// Does nothing with the events but to list them: what an endpoint does at first.
    pub fn listen(&mut self) {
        self.handler = Handler::Listen;
    }

    /// Takes events until there are none. Everything below does it after each step, as a driver has to.
    ///
    /// # Panics
    ///
    /// If the connection does not keep its word: `wants_poll` is true when there is no event.
    #[track_caller]
    pub fn poll(&mut self) {
        while self.poll_one() {}
        assert!(!self.connection.wants_poll(), "{:?}: an event is left behind: {:?}", self.role, self.connection);
    }

    /// Takes one event, if there is one.
    ///
    /// # Panics
    ///
    /// On an event behind [`Event::Closed`], which is the last.
    #[track_caller]
    pub fn poll_one(&mut self) -> bool {
        let now = self.now();
        let Some(event) = self.connection.poll_event(&mut self.rx, now) else { return false };
        let seen = Seen::from(&event);
        assert!(self.ending.is_none(), "{:?}: behind Closed: {seen:?}", self.role);
        if let Seen::Closed(ending) = &seen {
            self.ending = Some(ending.clone());
        }
        if let Some(recording) = &mut self.recording {
            recording.event(self.clock.elapsed(), &seen);
        }
        self.seen.push(seen);
        match (&mut self.handler, event) {
            (Handler::Listen, _) => {}
            (Handler::Echo, Event::Message(message)) => {
                self.refused += usize::from(self.connection.send(message).is_err());
            }
            (Handler::Echo, _) => {}
            (Handler::Custom(handler), event) => handler(&mut self.connection, event, now),
        }
        true
    }

    /// Bytes arrive in one read.
    #[track_caller]
    pub fn receive(&mut self, bytes: &[u8]) {
        if let Some(recording) = &mut self.recording {
            recording.received(self.clock.elapsed(), bytes);
        }
        self.rx.extend(bytes);
        self.poll();
    }

    /// A frame arrives, as a correct peer makes it; see [`frame`](super::frame).
    #[track_caller]
    pub fn receive_frame(&mut self, first: u8, payload: &[u8]) {
        self.receive(&super::frame(self.role.peer(), first, payload));
    }

    /// The peer ends the stream.
    #[track_caller]
    pub fn end(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.ended(self.clock.elapsed());
        }
        self.ended = true;
        self.connection.handle_eof();
        self.poll();
    }

    /// The transport fails.
    #[track_caller]
    pub fn fail(&mut self, error: io::ErrorKind) {
        if let Some(recording) = &mut self.recording {
            recording.failed(self.clock.elapsed(), error);
        }
        self.connection.handle_io_error(error);
        self.poll();
    }

    /// The transport takes at most `n` of the bytes that wait: fewer than there are is a short write, 0 a blocked one.
    #[track_caller]
    pub fn write(&mut self, n: usize) -> Vec<u8> {
        let waited = self.connection.wants_write();
        let taken = wire::take(self.connection.transmit(), n);
        if let Some(recording) = self.recording.as_mut().filter(|_| waited) {
            recording.sent(self.clock.elapsed(), &taken, self.connection.buffered_amount());
        }
        self.poll();
        taken
    }

    /// Everything that waits leaves, and what follows from it.
    #[track_caller]
    pub fn flush(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.poll();
        while self.connection.wants_write() {
            all.extend(self.write(usize::MAX));
        }
        all
    }

    /// The same as frames: their first bytes and their payloads; see [`frames`](super::frames()).
    #[track_caller]
    pub fn flush_frames(&mut self) -> Vec<(u8, Vec<u8>)> {
        let bytes = self.flush();
        frames::frames(self.role, &bytes)
    }

    /// Time passes. Every deadline on the way is kept, as by a driver that sleeps until it.
    #[track_caller]
    pub fn advance(&mut self, time: Duration) {
        let target = self.now() + time;
        let mut rounds = 0;
        while let Some(deadline) = self.connection.poll_timeout().filter(|deadline| *deadline <= target) {
            self.advance_to(deadline);
            rounds += 1;
            assert!(rounds < 10_000, "{:?}: a deadline that does not pass", self.role);
        }
        self.advance_to(target);
    }

    /// Time has passed, and this end is told so, whatever deadlines lay on the way: a driver that has slept too long.
    #[track_caller]
    pub fn advance_to(&mut self, now: Instant) {
        self.clock.advance_to(now);
        if let Some(recording) = &mut self.recording {
            recording.timed_out(self.clock.elapsed());
        }
        self.connection.handle_timeout(self.now());
        self.poll();
    }

    /// The time on its clock.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Its clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What was seen since this was last asked.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// How it ended.
    ///
    /// # Panics
    ///
    /// If it has not: [`Event::Closed`] was not handed out.
    #[track_caller]
    pub fn ending(&self) -> Ending {
        let Some(ending) = &self.ending else { panic!("{:?}: not closed: {:?}", self.role, self.seen) };
        ending.clone()
    }

    /// Was [`Event::Closed`] handed out?
    pub fn is_closed(&self) -> bool {
        self.ending.is_some()
    }

    /// As [`Connection::send`].
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<SendStatus, SendError> {
        self.connection.send(message)
    }

    /// As [`Connection::close`].
    ///
    /// # Panics
    ///
    /// On a code that must not be sent (RFC 6455 section 7.4).
    #[track_caller]
    pub fn close(&mut self, code: u16, reason: &str) {
        let code = CloseCode::new(code).unwrap_or_else(|| panic!("{code} is no code to send"));
        self.connection.close(code, reason, self.now());
        self.poll();
    }

    /// What its driver has to do with the transport.
    pub fn transport(&self) -> Transport {
        self.connection.transport()
    }

    /// Writes down from here on what comes in, what leaves and when: [`Endpoint::transcript`] hands it out. To be called
    /// before anything has happened, so that a fresh endpoint can be told the same.
    ///
    /// ```
    /// # use wireroom::{Config, testing::{Cuts, Endpoint, Pair, Role}};
    /// let mut pair = Pair::new().cut(Cuts::seeded(7));
    /// pair.server.echo();
    /// pair.server.record();
    /// let _ = pair.client.send("hello")?;
    /// pair.run();
    /// let transcript = pair.server.transcript().to_string(); // to be committed as a file
    ///
    /// let mut server = Endpoint::new(Role::Server, Config::default());
    /// server.echo();
    /// transcript.parse::<wireroom::testing::Transcript>()?.replay(&mut server)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record(&mut self) {
        self.recording = Some(Box::new(Transcript::new(self.role)));
    }

    /// Ends the recording. Without one the transcript is empty.
    pub fn transcript(&mut self) -> Transcript {
        let Some(mut transcript) = self.recording.take() else { return Transcript::new(self.role) };
        transcript.finish(self.connection.buffered_amount());
        *transcript
    }

    /// Does it read?
    pub(super) fn wants_read(&self) -> bool {
        !self.ended && self.connection.wants_read()
    }

    /// What its peer's end of the stream depends on, once everything has been written.
    pub(super) fn written(&self) -> Option<Transport> {
        (!self.connection.wants_write()).then(|| self.transport())
    }

    /// Moves the clock and nothing else.
    pub(super) fn set_elapsed(&mut self, elapsed: Duration) {
        self.clock.advance_to(self.clock.start() + elapsed);
    }
}

impl fmt::Debug for Endpoint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("role", &self.role)
            .field("connection", &self.connection)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
