//! Request and response heads: complete or partial, limits, and the rules of framing.
//!
//! A head is parsed in place, line by line as the lines arrive. Nothing is copied or allocated: what is kept
//! are positions, those of the first line's parts and of the few fields that decide about the connection.
//! Other fields are found by walking the validated lines again, when somebody asks for them.

use std::ops::Range;

use super::body::BodyLength;
use super::error::RequestError;
use super::fields::{ListItems, list_has_token, trim, trim_end, trim_start};
use super::scan::{find_byte, is_in_any_case as is, is_token, is_token_byte};

mod request;
mod response;

pub(crate) use request::{RequestHead, RequestParser};
pub(crate) use response::{ResponseHead, ResponseParser};

/// The version of a request, as far as it makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: no upgrade, no chunked content, `Host` optional, closed unless asked to keep alive.
    Http10,
    /// HTTP/1.1, or a higher minor version, which is treated as the highest that is known here (RFC 9110, 2.5).
    Http11,
}

/// The fields whose positions are noted while a head is parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Host,
    Origin,
    Expect,
    Upgrade,
    Connection,
    ContentLength,
    TransferEncoding,
    SecWebSocketKey,
    SecWebSocketAccept,
    SecWebSocketVersion,
    SecWebSocketProtocol,
    SecWebSocketExtensions,
}

const KNOWN: usize = 12;

impl Known {
    /// By length first: at most two comparisons for any name.
    #[inline]
    fn from_name(name: &[u8]) -> Option<Self> {
        let (known, is_it) = match name.len() {
            4 => (Self::Host, is(name, b"host")),
            6 if name[0] | 0x20 == b'o' => (Self::Origin, is(name, b"origin")),
            6 => (Self::Expect, is(name, b"expect")),
            7 => (Self::Upgrade, is(name, b"upgrade")),
            10 => (Self::Connection, is(name, b"connection")),
            14 => (Self::ContentLength, is(name, b"content-length")),
            17 if name[0] | 0x20 == b't' => (Self::TransferEncoding, is(name, b"transfer-encoding")),
            17 => (Self::SecWebSocketKey, is(name, b"sec-websocket-key")),
            20 => (Self::SecWebSocketAccept, is(name, b"sec-websocket-accept")),
            21 => (Self::SecWebSocketVersion, is(name, b"sec-websocket-version")),
            22 => (Self::SecWebSocketProtocol, is(name, b"sec-websocket-protocol")),
            24 => (Self::SecWebSocketExtensions, is(name, b"sec-websocket-extensions")),
            _ => return None,
        };
        is_it.then_some(known)
    }

    fn is_named(self, name: &str) -> bool {
        Self::from_name(name.as_bytes()) == Some(self)
    }
}

/// Where the value of a field's first line lies, and on how many lines the field stands.
#[derive(Debug, Clone, Copy, Default)]
struct Note {
    start: u32,
    end: u32,
    lines: u32,
}

/// The fields of a head: their extent, and the notes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fields {
    start: u32,
    end: u32,
    lines: u32,
    notes: [Note; KNOWN],
}

enum FieldFault {
    Name,
    Whitespace,
    ObsFold,
}

/// What is wrong with a field line that is not `token ":"`.
#[cold]
fn name_fault(text: &[u8]) -> FieldFault {
    let name = text.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(text.len());
    match text.get(name) {
        Some(b' ' | b'\t') if name == 0 => FieldFault::ObsFold,
        Some(b' ' | b'\t') if trim(&text[name..]).first() == Some(&b':') => FieldFault::Whitespace,
        _ => FieldFault::Name,
    }
}

impl Fields {
    fn add(&mut self, head: &[u8], line: Range<usize>) -> Result<(), FieldFault> {
        let text = &head[line.clone()];
        let name = find_byte(text, b':').unwrap_or(text.len());
        let known = Known::from_name(&text[..name]);
        // A name that is known is a token.
        if name == text.len() || (known.is_none() && !is_token(&text[..name])) {
            return Err(name_fault(text));
        }
        self.lines += 1;
        if let Some(known) = known {
            let note = &mut self.notes[known as usize];
            if note.lines == 0 {
                let value = trim_start(&text[name + 1..]);
                let start = line.end - value.len();
                note.start = start as u32;
                note.end = (start + trim_end(value).len()) as u32;
            }
            note.lines += 1;
        }
        Ok(())
    }

    /// The value of a field's first line.
    #[inline]
    pub(crate) fn first<'b>(&self, head: &'b [u8], known: Known) -> Option<&'b [u8]> {
        let note = self.notes[known as usize];
        if note.lines == 0 {
            return None;
        }
        head.get(note.start as usize..note.end as usize)
    }

    /// On how many lines a field stands.
    #[inline]
    pub(crate) fn lines(&self, known: Known) -> u32 {
        self.notes[known as usize].lines
    }

    /// The values of all lines of a field. Only a field on several lines costs a walk.
    pub(crate) fn all<'b>(&self, head: &'b [u8], known: Known) -> impl Iterator<Item = &'b [u8]> + Clone + use<'b> {
        let first = self.first(head, known);
        let others = match self.lines(known) {
            0 | 1 => Headers { rest: b"" },
            _ => self.iter(head),
        };
        let others = others.filter(move |(name, _)| known.is_named(name)).skip(1).map(|(_, value)| value);
        first.into_iter().chain(others)
    }

    /// Whether a comma list, on one line or several, holds `token`.
    #[inline]
    pub(crate) fn has_token<const N: usize>(&self, head: &[u8], known: Known, token: &[u8; N]) -> bool {
        match self.lines(known) {
            0 => false,
            1 => self.first(head, known).is_some_and(|value| list_has_token(value, token)),
            _ => self.all(head, known).any(|value| list_has_token(value, token)),
        }
    }

    pub(crate) fn iter<'b>(&self, head: &'b [u8]) -> Headers<'b> {
        Headers { rest: head.get(self.start as usize..self.end as usize).unwrap_or(b"") }
    }

    /// RFC 9112, 6.3: how long the content is. More than one line of either field, a list, or both are
    /// faults: whoever sits in front of us may have chosen the other one (request smuggling).
    fn body_length(&self, head: &[u8], version: Version) -> Result<Option<BodyLength>, RequestError> {
        let length = self.first(head, Known::ContentLength);
        let coding = self.first(head, Known::TransferEncoding);
        match (length, coding) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(RequestError::LengthAndCoding),
            (Some(digits), None) => {
                if self.lines(Known::ContentLength) > 1 || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return Err(RequestError::ContentLength);
                }
                let length = digits
                    .iter()
                    .fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
                Ok(Some(if length == 0 { BodyLength::None } else { BodyLength::Length(length) }))
            }
            (None, Some(coding)) => {
                // 6.1: "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding
                // header field MUST treat the message as if the framing is faulty".
                if self.lines(Known::TransferEncoding) > 1 || version == Version::Http10 {
                    return Err(RequestError::TransferEncoding);
                }
                let mut codings = ListItems::new(coding);
                match (codings.next(), codings.next()) {
                    (Some(only), None) if only.eq_ignore_ascii_case(b"chunked") => Ok(Some(BodyLength::Chunked)),
                    (None, _) => Err(RequestError::TransferEncoding),
                    (Some(first), Some(_)) if first.eq_ignore_ascii_case(b"chunked") => {
                        Err(RequestError::TransferEncoding)
                    }
                    _ => Err(RequestError::UnknownCoding),
                }
            }
        }
    }
}

/// The fields of a head in order, as `(name, value)`; values are without surrounding whitespace.
#[derive(Debug, Clone)]
pub struct Headers<'b> {
    rest: &'b [u8],
}

impl<'b> Headers<'b> {
    /// Walks lines that were validated: `name ":" value CRLF`, repeated.
    pub(crate) fn new(lines: &'b [u8]) -> Self {
        Self { rest: lines }
    }
}

impl<'b> Iterator for Headers<'b> {
    type Item = (&'b str, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = find_byte(self.rest, b'\n')?;
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = find_byte(line, b':')?;
        // A validated name is a token, and so is ASCII.
        let name = std::str::from_utf8(&line[..colon]).ok()?;
        Some((name, trim(&line[colon + 1..])))
    }
}

#[cfg(test)]
mod tests;
