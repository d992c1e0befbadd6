//! What was seen, as lines for people or as JSON for programs.

use std::{
    fmt::Write as _,
    io,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};
use wireroom::{CloseCode, frame::CloseFrame};

use super::{
    head,
    observer::{Frame, From, Seen},
};
use crate::show::{Paint, escape_bytes, escape_line, hex, json_line, print};

/// Prints lines; an error is that nobody reads any more.
#[derive(Debug)]
pub(super) struct Printer {
    pub(super) json: bool,
    pub(super) paint: Paint,
    pub(super) began: Instant,
    /// The first error.
    pub(super) broken: Option<io::Error>,
}

impl Printer {
    /// Something that happened to a client's connection.
    pub(super) fn note(&mut self, client: Option<usize>, event: &str, text: &str) {
        if self.json {
            return self.object(client, None, event, json!({ "text": text }));
        }
        let text = escape_line(text);
        let text = self.paint.faint(&text).into_owned();
        self.line(client, " ", &text);
    }

    pub(super) fn seen(&mut self, client: usize, from: From, seen: &Seen<'_>) {
        let (client, mark) = (Some(client), if from == From::Client { ">" } else { "<" });
        match seen {
            Seen::Head(bytes) if self.json => {
                let (event, lines) = (if from == From::Client { "request" } else { "response" }, lines(bytes));
                let first = lines.first().cloned().unwrap_or_default();
                let fields: Vec<_> = lines.iter().skip(1).collect();
                self.object(client, Some(from), event, json!({ "line": first, "fields": fields }));
            }
            Seen::Head(bytes) => {
                for line in lines(bytes) {
                    let line = self.colour(from, &line);
                    self.line(client, mark, &line);
                }
            }
            Seen::Frame(frame) if self.json => {
                let fields = json!({
                    "opcode": frame.opcode, "name": name(frame.opcode), "fin": frame.fin, "rsv": frame.rsv,
                    "masked": frame.mask.is_some(), "mask": frame.mask.map(|key| hex(&key)), "length": frame.length,
                    "compressed": frame.compressed, "payload": escape_bytes(&frame.start), "hex": hex(&frame.start),
                    "invalid": frame.invalid, "cut_off": frame.cut_off,
                });
                self.object(client, Some(from), "frame", fields);
            }
            Seen::Frame(frame) => {
                let text = self.colour(from, &describe(frame));
                let invalid = frame.invalid.as_ref().map(|rule| format!(" INVALID: {rule}")).unwrap_or_default();
                let invalid = self.paint.bad(&invalid).into_owned();
                self.line(client, mark, &format!("{text}{invalid}"));
            }
            Seen::Late(error) if self.json => {
                self.object(client, Some(from), "invalid", json!({ "invalid": error.to_string() }));
            }
            Seen::Late(error) => {
                let text = self.paint.bad(&format!("INVALID: {error}")).into_owned();
                self.line(client, mark, &text);
            }
            Seen::Other(what) if self.json => self.object(client, Some(from), "other", json!({ "text": what })),
            Seen::Other(what) => {
                let what = self.paint.faint(what).into_owned();
                self.line(client, mark, &what);
            }
        }
    }

    fn colour(&self, from: From, text: &str) -> String {
        if from == From::Client { self.paint.outgoing(text) } else { self.paint.incoming(text) }.into_owned()
    }

    fn line(&mut self, client: Option<usize>, mark: &str, text: &str) {
        let time = self.began.elapsed().as_secs_f64();
        let client = client.map(|client| format!("#{client}")).unwrap_or_default();
        self.print(&format!("{time:11.6} {client} {mark} {text}\n"));
    }

    fn object(&mut self, client: Option<usize>, from: Option<From>, event: &str, fields: Value) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let mut object = Map::new();
        object.insert("time".to_owned(), json!(time as f64 / 1e6));
        object.insert("client".to_owned(), json!(client));
        object
            .insert("from".to_owned(), json!(from.map(|from| if from == From::Client { "client" } else { "server" })));
        object.insert("event".to_owned(), event.into());
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        self.print(&json_line(&Value::Object(object)));
    }

    fn print(&mut self, text: &str) {
        if self.broken.is_none() {
            self.broken = print(text).err();
        }
    }
}

fn lines(head: &[u8]) -> Vec<String> {
    head::lines(head).map(escape_bytes).collect()
}

fn name(opcode: u8) -> &'static str {
    match opcode {
        0 => "continuation",
        1 => "text",
        2 => "binary",
        8 => "close",
        9 => "ping",
        10 => "pong",
        _ => "reserved",
    }
}

/// `text fin mask=37fa213d 5 bytes "Hello"`
fn describe(frame: &Frame) -> String {
    let mut text = match name(frame.opcode) {
        "reserved" => format!("opcode {:#x}", frame.opcode),
        name => name.to_owned(),
    };
    if frame.fin {
        text.push_str(" fin");
    }
    for (bit, name) in [(4, " rsv1"), (2, " rsv2"), (1, " rsv3")] {
        if frame.rsv & bit != 0 {
            text.push_str(name);
        }
    }
    if frame.compressed {
        text.push_str(" compressed");
    }
    if let Some(key) = frame.mask {
        _ = write!(text, " mask={}", hex(&key));
    }
    _ = write!(text, " {} {}", frame.length, if frame.length == 1 { "byte" } else { "bytes" });
    let more = if (frame.start.len() as u64) < frame.length { ".." } else { "" };
    match frame.opcode {
        8 => text.push_str(&close(frame)),
        _ if frame.length == 0 => {}
        // Bytes that are not meant to be read are shown as such.
        2 => _ = write!(text, " {}{more}", hex(&frame.start)),
        _ if frame.compressed => _ = write!(text, " {}{more}", hex(&frame.start)),
        _ => _ = write!(text, " \"{}\"{more}", escape_bytes(&frame.start)),
    }
    if frame.cut_off {
        text.push_str(", cut off");
    }
    text
}

/// The code and the reason of a Close, also those that may not be sent.
fn close(frame: &Frame) -> String {
    match (CloseFrame::parse(&frame.start), frame.start.as_slice()) {
        (Ok(CloseFrame { code: Some(code), reason }), _) if reason.is_empty() => format!(" {code}"),
        (Ok(CloseFrame { code: Some(code), reason }), _) => format!(" {code} \"{}\"", escape_line(&reason)),
        (Ok(_), _) => String::new(),
        (Err(_), [high, low, reason @ ..]) => {
            let number = u16::from_be_bytes([*high, *low]);
            let meaning = CloseCode::new(number).map_or_else(|| number.to_string(), |code| code.to_string());
            format!(" {meaning} \"{}\"", escape_bytes(reason))
        }
        (Err(_), bytes) => format!(" {}", hex(bytes)),
    }
}
