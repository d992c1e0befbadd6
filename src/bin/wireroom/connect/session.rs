//! One connection from its dial to its end.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use wireroom::{CloseCode, Closed, ConnId, Connections, Event, EventLoop, Handle, SendError, SendStatus};

use super::{
    Options,
    commands::{self, Command, HELP},
    editor::{self, Asker},
    input::{self, Input, Inputs},
    output::Output,
};
use crate::{
    dial::Dial,
    failure::{self, Failure, Status},
    show::When,
    signals::{self, Signal},
};

/// Pings whose Pongs are waited for at once: beyond them the oldest is forgotten.
const PINGS: usize = 64;
/// How long behind its end a connection may linger for the server to end the stream (RFC 6455 section 7.1.1).
const LINGER: Duration = Duration::from_secs(1);

pub(super) fn run(options: &Options, color: When) -> Result<(), Failure> {
    editor::check_history(options)?;
    let config = options.dial.config().build().map_err(Failure::usage)?;
    let mut dial = Dial::new(&options.dial, config)?;
    let mut event_loop = EventLoop::new()?;
    let handle = event_loop.handle();
    let asked = signals::watch(
        {
            let handle = handle.clone();
            move || handle.wake()
        },
        editor::restore_terminal,
    )?;
    let mut id = dial.connect(&mut event_loop)?;
    let mut session = Session::new(options, color);

    // 1. Turn until the connection has gone: behind its end it lingers, so that the server gets our Close.
    while session.closed.is_none() || (session.lingers() && !event_loop.connections().is_empty()) {
        let timeout = session.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
        event_loop.turn(timeout, |connections, id, event| session.on_event(connections, id, event))?;

        // 2. Begin once it is open, or try the host's next address.
        if session.begins {
            session.begin(&handle, &mut event_loop, id)?;
        }
        if let Some(closed) = session.closed.take_if(|closed| session.inputs.is_none() && dial.has_another(closed)) {
            drop(closed);
            id = dial.connect(&mut event_loop)?;
        }

        // 3. Send what was typed meanwhile, and what is due.
        match asked.signal() {
            Some(_) if session.inputs.is_none() || session.interrupted_by_key => {
                return Err(Failure::new(Status::Interrupted, "interrupted"));
            }
            Some(signal) => session.interrupted(event_loop.connections(), id, signal),
            None => {}
        }
        session.feed(event_loop.connections(), id);
        session.flush(event_loop.connections(), id);
    }
    session.end()
}

/// What is known of the connection.
struct Session<'o> {
    options: &'o Options,
    color: When,
    output: Output,
    /// Once it is open.
    inputs: Option<Inputs>,
    /// Asks for the next line, where lines are edited.
    asker: Option<Asker>,
    takes_commands: bool,
    /// It has opened in this turn.
    begins: bool,
    /// The queue is full enough: the input waits.
    held_back: bool,
    input_ended: bool,
    received: u64,
    /// When something was last sent or received.
    active: Instant,
    next_ping: Option<Instant>,
    pinged: u32,
    /// Payloads of the Pings that were asked for, and when they were sent.
    pings: VecDeque<(Vec<u8>, Instant)>,
    closing: bool,
    /// Ctrl-C while typing, which counts as a first signal.
    interrupted_by_key: bool,
    /// Why we have closed, if that was no good reason.
    why: Option<Failure>,
    closed: Option<Box<Closed>>,
    lingers_until: Option<Instant>,
}

impl<'o> Session<'o> {
    fn new(options: &'o Options, color: When) -> Self {
        Self {
            options,
            color,
            output: Output::new(options, color, None),
            inputs: None,
            asker: None,
            takes_commands: options.takes_commands(),
            interrupted_by_key: false,
            begins: false,
            held_back: false,
            input_ended: false,
            received: 0,
            active: Instant::now(),
            next_ping: None,
            pinged: 0,
            pings: VecDeque::new(),
            closing: false,
            why: None,
            closed: None,
            lingers_until: None,
        }
    }

    fn on_event(&mut self, connections: &mut Connections, id: ConnId, event: Event<'_>) {
        match event {
            // What came right behind the handshake waits until there is somewhere to print it.
            Event::Open => {
                connections.pause(id);
                self.begins = true;
            }
            Event::Message(message) => {
                let wanted = self.options.wanted();
                if wanted.is_some_and(|wanted| self.received >= wanted) {
                    return;
                }
                self.received += 1;
                self.active = Instant::now();
                self.output.message(message);
                if wanted == Some(self.received) {
                    self.close(connections, id, CloseCode::NORMAL, "");
                }
            }
            Event::Ping(payload) => self.output.ping(payload),
            Event::Pong(payload) => {
                let asked = self.pings.iter().position(|(sent, _)| sent == payload);
                let round_trip = asked.and_then(|at| self.pings.remove(at)).map(|(_, sent)| sent.elapsed());
                self.output.pong(payload, round_trip);
            }
            Event::Drain => self.held_back = false,
            Event::Closed(closed) => {
                self.closed = Some(closed);
                self.lingers_until = Some(Instant::now() + LINGER);
            }
            _ => {}
        }
    }

    /// Opens the input, and lets messages in.
    fn begin(&mut self, handle: &Handle, event_loop: &mut EventLoop, id: ConnId) -> Result<(), Failure> {
        self.begins = false;
        let options = self.options;
        let inputs = if options.is_interactive() {
            let (inputs, above, asker) = editor::start(options, handle.clone())?;
            self.output = Output::new(options, self.color, Some(above));
            asker.ask();
            self.asker = Some(asker);
            inputs
        } else if options.send.is_empty() {
            input::standard(handle.clone())?
        } else {
            input::given(&options.send, handle.clone())?
        };
        self.inputs = Some(inputs);
        self.active = Instant::now();
        self.next_ping = options.ping.map(|every| self.active + every);
        self.output.opened(&options.dial.shown(), event_loop.connections().get(id));
        if self.closed.is_none() {
            event_loop.connections().resume(id);
        }
        Ok(())
    }

    /// Sends what has been typed, as long as the queue takes it.
    fn feed(&mut self, connections: &mut Connections, id: ConnId) {
        while !self.held_back && !self.closing && self.closed.is_none() {
            let Some(input) = self.inputs.as_mut().and_then(Inputs::next) else { break };
            match input {
                Input::Line(line) => self.line(connections, id, line),
                Input::End if self.asker.is_some() => self.close(connections, id, CloseCode::NORMAL, ""),
                Input::End => {
                    self.input_ended = true;
                    self.active = Instant::now();
                }
                Input::Interrupted => {
                    self.interrupted_by_key = true;
                    self.interrupted(connections, id, Signal::Interrupt);
                }
                Input::Broken(failure) => self.give_up(connections, id, failure),
            }
            if let Some(asker) = self.asker.as_ref().filter(|_| !self.closing) {
                asker.ask();
            }
        }
        if self.closing || self.closed.is_some() {
            return;
        }
        let now = Instant::now();
        if connections.buffered_amount(id) > 0 {
            self.active = now;
        }
        // Behind that: a Ping of our own does not keep the connection.
        if self.next_ping.is_some_and(|at| at <= now) {
            self.next_ping = self.options.ping.map(|every| now + every);
            self.pinged += 1;
            self.ping(connections, id, self.pinged.to_be_bytes().to_vec());
        }
        if self.quiet_at().is_some_and(|at| at <= now) {
            match self.options.wanted() {
                Some(wanted) => {
                    let sentence = format!("only {} of {wanted} messages came in time", self.received);
                    self.give_up(connections, id, Failure::new(Status::Timeout, sentence));
                }
                None => self.close(connections, id, CloseCode::NORMAL, ""),
            }
        }
    }

    fn line(&mut self, connections: &mut Connections, id: ConnId, line: Vec<u8>) {
        let options = self.options;
        let is_command = line.starts_with(b"/") && self.takes_commands;
        if options.binary && !is_command {
            return self.took(connections.send(id, &line));
        }
        let text = match String::from_utf8(line) {
            Ok(text) => text,
            Err(_) => {
                let sentence = "the input is not UTF-8, as a text has to be: --binary sends bytes";
                return self.give_up(connections, id, Failure::here(sentence));
            }
        };
        if !is_command {
            return self.took(connections.send(id, &text));
        }
        match commands::parse(text) {
            Ok(Command::Text(text)) if options.binary => self.took(connections.send(id, text.as_bytes())),
            Ok(Command::Text(text)) => self.took(connections.send(id, &text)),
            Ok(Command::Binary(bytes)) => self.took(connections.send(id, &bytes)),
            Ok(Command::Ping(payload)) => {
                self.pinged += 1;
                let counted = || self.pinged.to_be_bytes().to_vec();
                let payload = if payload.is_empty() { counted() } else { payload };
                self.ping(connections, id, payload);
            }
            Ok(Command::Close(code, reason)) => self.close(connections, id, code, &reason),
            Ok(Command::Help) => HELP.lines().for_each(|line| self.output.note(line)),
            Err(sentence) => self.output.complain(&sentence),
        }
    }

    fn ping(&mut self, connections: &mut Connections, id: ConnId, payload: Vec<u8>) {
        let sent = connections.ping(id, &payload);
        if sent.is_ok() {
            if self.pings.len() == PINGS {
                self.pings.pop_front();
            }
            self.pings.push_back((payload, Instant::now()));
        }
        self.took(sent);
    }

    fn took(&mut self, sent: Result<SendStatus, SendError>) {
        match sent {
            Ok(status) => self.held_back |= status == SendStatus::Backpressure,
            Err(error) => self.output.complain(&format!("not sent: {error}")),
        }
    }

    fn close(&mut self, connections: &mut Connections, id: ConnId, code: CloseCode, reason: &str) {
        self.closing = true;
        connections.close(id, code, reason);
    }

    fn give_up(&mut self, connections: &mut Connections, id: ConnId, why: Failure) {
        self.why.get_or_insert(why);
        self.close(connections, id, CloseCode::NORMAL, "");
    }

    fn interrupted(&mut self, connections: &mut Connections, id: ConnId, signal: Signal) {
        if !self.closing {
            let code = if signal == Signal::Interrupt { CloseCode::NORMAL } else { CloseCode::GOING_AWAY };
            self.close(connections, id, code, "");
        }
    }

    /// Behind each turn: what was printed is there. Where nobody reads it any more, nobody needs the connection.
    fn flush(&mut self, connections: &mut Connections, id: ConnId) {
        if self.asker.is_none() {
            self.output.flush();
        }
        if self.output.is_broken() && !self.closing {
            self.close(connections, id, CloseCode::NORMAL, "");
        }
    }

    /// When we close because nothing comes any more.
    fn quiet_at(&self) -> Option<Instant> {
        let patience = self.options.patience().filter(|_| self.input_ended)?;
        self.active.checked_add(patience)
    }

    fn lingers(&self) -> bool {
        self.lingers_until.is_none_or(|until| Instant::now() < until)
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.closing || self.closed.is_some() {
            return self.lingers_until;
        }
        self.quiet_at().into_iter().chain(self.next_ping).min()
    }

    fn end(mut self) -> Result<(), Failure> {
        let Some(closed) = self.closed.take() else { return Ok(()) };
        let dial = &self.options.dial;
        let came_to = match self.why.take() {
            Some(why) => Err(why),
            None => failure::of_end(&closed, self.inputs.is_some(), &dial.shown(), dial.timeout.as_secs_f64()),
        };
        let came_to = match self.options.wanted() {
            // Where nobody wanted more it is clean.
            _ if self.output.is_broken() => self.output.came_to(),
            Some(wanted) if came_to.is_ok() && !self.closing => {
                let sentence = format!("the server closed after {} of {wanted} messages", self.received);
                Err(Failure::new(Status::Abnormal, sentence))
            }
            _ => came_to,
        };
        self.output.closed(&closed, &came_to);
        self.output.flush();
        came_to.and_then(|()| self.output.came_to())
    }
}
