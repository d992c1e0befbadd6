//! What is printed of a connection: above the prompt, as lines, or as JSON.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use wireroom::{Closed, Connection, Initiator, Message};

use super::{Options, editor::Above};
use crate::{
    failure::{Failure, describe_close, of_stdout},
    show::{Paint, When, escape_bytes, escape_line, escape_text, hex, hexdump, json_line},
};

/// Bytes of a binary message that a terminal shows.
const SHOWN: usize = 1_024;

/// Where the events of a connection are printed, and how.
#[derive(Debug)]
pub(super) struct Output {
    above: Option<Above>,
    form: Form,
    paint: Paint,
    verbose: bool,
    began: Instant,
    /// Why standard output takes no more: mostly nobody reads it.
    broken: Option<io::Error>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// For a person: control characters escaped, long dumps cut.
    Terminal,
    /// For a program: texts as they came, dumps whole.
    Lines,
    Raw,
    Json,
}

impl Output {
    pub(super) fn new(options: &Options, color: When, above: Option<Above>) -> Self {
        let form = match () {
            () if options.json => Form::Json,
            () if options.raw => Form::Raw,
            () if above.is_some() || io::stdout().is_terminal() => Form::Terminal,
            () => Form::Lines,
        };
        let paint = Paint::for_stdout(color);
        Self { above, form, paint, verbose: options.verbose, began: Instant::now(), broken: None }
    }

    pub(super) fn opened(&mut self, url: &str, connection: Option<&Connection>) {
        let subprotocol = connection.and_then(Connection::subprotocol);
        let compressed = connection.is_some_and(|connection| connection.extensions().deflate().is_some());
        if self.form == Form::Json {
            return self.json("open", json!({ "url": url, "subprotocol": subprotocol, "compressed": compressed }));
        }
        let subprotocol = subprotocol.map_or_else(String::new, |name| format!(", subprotocol {name}"));
        let compressed = if compressed { ", compressed" } else { "" };
        self.aside(&format!("connected to {url}{subprotocol}{compressed}"));
    }

    pub(super) fn message(&mut self, message: Message<'_>) {
        match (message, self.form) {
            (Message::Text(text), Form::Json) => self.json("message", json!({ "type": "text", "text": text.as_str() })),
            (Message::Binary(bytes), Form::Json) => {
                self.json("message", json!({ "type": "binary", "hex": hex(bytes) }))
            }
            (Message::Text(text), Form::Raw | Form::Lines) => self.write(&[text.as_bytes(), b"\n"].concat()),
            (Message::Binary(bytes), Form::Raw) => self.write(bytes),
            (Message::Text(text), Form::Terminal) => {
                let text = escape_text(text.as_str());
                let (mark, text) = (self.mark("<"), self.paint.incoming(&text).into_owned());
                self.line(format!("{mark}{text}\n"));
            }
            (Message::Binary(bytes), form) => {
                let shown = if form == Form::Terminal { &bytes[..bytes.len().min(SHOWN)] } else { bytes };
                let title = format!("binary, {} bytes", bytes.len());
                let mut dump = hexdump(shown);
                if shown.len() < bytes.len() {
                    dump.push_str(&format!("  .. {} bytes more\n", bytes.len() - shown.len()));
                }
                let title = self.paint.incoming(&title).into_owned();
                self.line(format!("{}{title}\n{dump}", self.mark("<")));
            }
        }
    }

    pub(super) fn ping(&mut self, payload: &[u8]) {
        match self.form {
            Form::Json => self.json("ping", json!({ "hex": hex(payload) })),
            _ if payload.is_empty() => self.aside("Ping"),
            _ => self.aside(&format!("Ping {}", escape_bytes(payload))),
        }
    }

    /// A Pong: `round_trip` if it answers a Ping that was asked for.
    pub(super) fn pong(&mut self, payload: &[u8], round_trip: Option<Duration>) {
        let milliseconds = round_trip.map(|time| time.as_secs_f64() * 1e3);
        match (self.form, milliseconds) {
            (Form::Json, _) => self.json("pong", json!({ "hex": hex(payload), "round_trip_ms": milliseconds })),
            (_, Some(milliseconds)) => self.note(&format!("Pong after {milliseconds:.3} ms")),
            (_, None) => self.aside("Pong, not asked for"),
        }
    }

    pub(super) fn closed(&mut self, closed: &Closed, came_to: &Result<(), Failure>) {
        if self.form == Form::Json {
            let frame = if closed.initiator == Some(Initiator::Local) { &closed.local } else { &closed.peer };
            let code = frame.as_ref().and_then(|frame| frame.code).map(|code| code.as_u16());
            let reason = frame.as_ref().map(|frame| &*frame.reason);
            let by = closed.initiator.map(|who| if who == Initiator::Local { "us" } else { "server" });
            let error = came_to.as_ref().err().map(Failure::sentence);
            let status = came_to.as_ref().err().map_or(0, |failure| failure.status() as u8);
            let closed = json!({ "by": by, "code": code, "reason": reason, "status": status, "error": error });
            self.json("closed", closed);
        } else if came_to.is_ok() {
            let text = describe_close(closed);
            self.aside(&escape_line(&text));
        }
    }

    /// What a person wants to know and a program does not: above the prompt, or on standard error with `--verbose`.
    fn aside(&mut self, text: &str) {
        if self.above.is_some() || self.verbose {
            self.note(text);
        }
    }

    /// Something that is not a message: above the prompt, or on standard error.
    pub(super) fn note(&mut self, text: &str) {
        let text = escape_text(text);
        if self.above.is_some() {
            let text = self.paint.faint(&text).into_owned();
            self.line(format!("{text}\n"));
        } else if self.form != Form::Json {
            let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
        }
    }

    /// What is wrong with a line that was typed.
    pub(super) fn complain(&mut self, text: &str) {
        let text = self.paint.bad(&escape_line(text)).into_owned();
        if self.above.is_some() {
            self.line(format!("{text}\n"));
        } else {
            let _ = io::stderr().write_all(format!("wireroom: {text}\n").as_bytes());
        }
    }

    /// Everything is on the terminal, or with whoever reads.
    pub(super) fn flush(&mut self) {
        match &self.above {
            Some(above) => above.flush(),
            None => self.keep(io::stdout().flush()),
        }
    }

    fn mark(&self, mark: &str) -> String {
        if self.above.is_some() { format!("{} ", self.paint.faint(mark)) } else { String::new() }
    }

    fn json(&mut self, event: &str, mut fields: Value) {
        if let Some(fields) = fields.as_object_mut() {
            fields.insert("event".to_owned(), event.into());
            fields.insert("time".to_owned(), json!((self.began.elapsed().as_secs_f64() * 1e6).round() / 1e6));
        }
        self.write(json_line(&fields).as_bytes());
    }

    fn line(&mut self, text: String) {
        match &self.above {
            Some(above) => above.print(text),
            None => self.write(text.as_bytes()),
        }
    }

    /// Standard output holds lines back until they end, and no longer.
    fn write(&mut self, bytes: &[u8]) {
        self.keep(io::stdout().write_all(bytes));
    }

    fn keep(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.broken.get_or_insert(error);
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// What was received and could not be written is lost: a failure, unless nobody wanted it.
    pub(super) fn came_to(&self) -> Result<(), Failure> {
        self.broken.as_ref().map_or(Ok(()), of_stdout)
    }
}
