//! Request and response heads: complete or partial, limits, and the rules of framing.
//!
//! A head is parsed in place, line by line as the lines arrive. Nothing is copied or allocated: what is kept
//! are positions, those of the first line's parts and of the few fields that decide about the connection.
//! Other fields are found by walking the validated lines again, when somebody asks for them.

use std::ops::Range;

use super::Limits;
use super::body::BodyLength;
use super::error::{RequestError, ResponseError};
use super::fields::{ListItems, is_valid_host, list_has_token, trim};
use super::scan::{LineFault, LineScanner, find_byte, is_token, is_token_byte};

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
        let (known, text): (Self, &str) = match name.len() {
            4 => (Self::Host, "host"),
            6 if name[0] | 0x20 == b'o' => (Self::Origin, "origin"),
            6 => (Self::Expect, "expect"),
            7 => (Self::Upgrade, "upgrade"),
            10 => (Self::Connection, "connection"),
            14 => (Self::ContentLength, "content-length"),
            17 if name[0] | 0x20 == b't' => (Self::TransferEncoding, "transfer-encoding"),
            17 => (Self::SecWebSocketKey, "sec-websocket-key"),
            20 => (Self::SecWebSocketAccept, "sec-websocket-accept"),
            21 => (Self::SecWebSocketVersion, "sec-websocket-version"),
            22 => (Self::SecWebSocketProtocol, "sec-websocket-protocol"),
            24 => (Self::SecWebSocketExtensions, "sec-websocket-extensions"),
            _ => return None,
        };
        name.eq_ignore_ascii_case(text.as_bytes()).then_some(known)
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

impl Fields {
    fn add(&mut self, head: &[u8], line: Range<usize>) -> Result<(), FieldFault> {
        let text = &head[line.clone()];
        let name = text.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(text.len());
        match text.get(name) {
            Some(b':') if name > 0 => {}
            Some(b' ' | b'\t') if name == 0 => return Err(FieldFault::ObsFold),
            Some(b' ' | b'\t') if trim(&text[name..]).first() == Some(&b':') => return Err(FieldFault::Whitespace),
            _ => return Err(FieldFault::Name),
        }
        self.lines += 1;
        if let Some(known) = Known::from_name(&text[..name]) {
            let note = &mut self.notes[known as usize];
            if note.lines == 0 {
                let raw = &text[name + 1..];
                let ahead = raw.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count();
                let value = trim(&raw[ahead..]);
                let start = line.start + name + 1 + ahead;
                note.start = start as u32;
                note.end = (start + value.len()) as u32;
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
    pub(crate) fn has_token(&self, head: &[u8], known: Known, token: &str) -> bool {
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

/// What is known of a request once its head is complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestHead {
    pub(crate) method_end: u32,
    pub(crate) target_end: u32,
    /// Path and query, without the scheme and authority of an absolute-form target.
    pub(crate) path_start: u32,
    /// Bytes of the whole head, the empty line included.
    pub(crate) len: u32,
    pub(crate) version: Version,
    pub(crate) body: BodyLength,
    pub(crate) expects_continue: bool,
    pub(crate) keep_alive: bool,
    /// HTTP/1.1 and `Upgrade` lists `websocket`.
    pub(crate) is_upgrade: bool,
    pub(crate) fields: Fields,
}

impl RequestHead {
    const EMPTY: Self = Self {
        method_end: 0,
        target_end: 0,
        path_start: 0,
        len: 0,
        version: Version::Http11,
        body: BodyLength::None,
        expects_continue: false,
        keep_alive: false,
        is_upgrade: false,
        fields: Fields { start: 0, end: 0, lines: 0, notes: [Note { start: 0, end: 0, lines: 0 }; KNOWN] },
    };

    pub(crate) fn method<'b>(&self, head: &'b [u8]) -> &'b [u8] {
        head.get(..self.method_end as usize).unwrap_or(b"")
    }

    pub(crate) fn target<'b>(&self, head: &'b [u8]) -> &'b [u8] {
        head.get(self.method_end as usize + 1..self.target_end as usize).unwrap_or(b"")
    }

    /// The authority of an absolute-form target: between `//` and the path.
    pub(crate) fn target_authority<'b>(&self, head: &'b [u8]) -> Option<&'b [u8]> {
        let start = self.method_end as usize + 1;
        let before = head.get(start..self.path_start as usize)?;
        find_byte(before, b'/').and_then(|slash| before.get(slash + 2..))
    }

    /// RFC 9112, 3: `method SP request-target SP HTTP-version`.
    fn parse_request_line(&mut self, line: &[u8], limits: &Limits) -> Result<(), RequestError> {
        let method_end = find_byte(line, b' ').ok_or(RequestError::RequestLine)?;
        let rest = &line[method_end + 1..];
        let target_len = find_byte(rest, b' ').ok_or(RequestError::RequestLine)?;
        let method = &line[..method_end];
        let target = &rest[..target_len];
        if !is_token(method) || target.is_empty() {
            return Err(RequestError::RequestLine);
        }
        self.version = match &rest[target_len + 1..] {
            b"HTTP/1.1" => Version::Http11,
            b"HTTP/1.0" => Version::Http10,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
                match major {
                    b'1' => Version::Http11,
                    _ => return Err(RequestError::Version),
                }
            }
            _ => return Err(RequestError::RequestLine),
        };
        if target.len() > limits.max_request_target {
            return Err(RequestError::TargetTooLong { limit: limits.max_request_target });
        }
        if method == b"CONNECT" {
            return Err(RequestError::Method);
        }
        let path = parse_target(method, target)?;
        self.method_end = method_end as u32;
        self.target_end = (method_end + 1 + target_len) as u32;
        self.path_start = (method_end + 1 + path) as u32;
        Ok(())
    }

    /// The rules that need all fields.
    fn complete(&mut self, head: &[u8], limits: &Limits) -> Result<(), RequestError> {
        let fields = &self.fields;
        // RFC 9112, 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request
        // message that lacks a Host header field and to any request message that contains more than one
        // Host header field line or a Host header field with an invalid field value."
        match (fields.lines(Known::Host), self.version) {
            (0, Version::Http11) => return Err(RequestError::MissingHost),
            (0 | 1, _) => {}
            _ => return Err(RequestError::DuplicateHost),
        }
        if fields.first(head, Known::Host).is_some_and(|host| !is_valid_host(host)) {
            return Err(RequestError::InvalidHost);
        }
        // RFC 6454, 7.3: a user agent MUST NOT include more than one Origin header field.
        if fields.lines(Known::Origin) > 1 {
            return Err(RequestError::DuplicateOrigin);
        }
        self.body = fields.body_length(head, self.version)?.unwrap_or(BodyLength::None);
        // RFC 9110, 7.8: "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request".
        self.is_upgrade = self.version == Version::Http11 && fields.has_token(head, Known::Upgrade, "websocket");
        if self.is_upgrade && self.body != BodyLength::None {
            return Err(RequestError::BodyOnUpgrade);
        }
        if let BodyLength::Length(length) = self.body
            && length > limits.max_request_body as u64
        {
            return Err(RequestError::BodyTooLarge { limit: limits.max_request_body });
        }
        self.keep_alive = match self.version {
            _ if fields.has_token(head, Known::Connection, "close") => false,
            Version::Http11 => true,
            Version::Http10 => fields.has_token(head, Known::Connection, "keep-alive"),
        };
        // RFC 9110, 10.1.1: a server MUST ignore 100-continue in HTTP/1.0, and MAY answer others with 417.
        if fields.lines(Known::Expect) > 0 && self.version == Version::Http11 {
            if !fields.all(head, Known::Expect).all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
                return Err(RequestError::Expectation);
            }
            self.expects_continue = self.body != BodyLength::None;
        }
        Ok(())
    }
}

/// Checks a target (RFC 9112, 3.2) and gives the place at which its path begins.
fn parse_target(method: &[u8], target: &[u8]) -> Result<usize, RequestError> {
    // The scanner let no control byte through, and the line was cut at spaces.
    // RFC 6455, 3: "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used".
    if target.iter().fold(false, |bad, &byte| bad | (byte >= 0x80) | (byte == b'#') | (byte == b'\t')) {
        return Err(RequestError::Target);
    }
    match target {
        [b'/', ..] => Ok(0),
        b"*" if method == b"OPTIONS" => Ok(0),
        _ => {
            let colon = find_byte(target, b':').ok_or(RequestError::Target)?;
            let known = [&b"http"[..], b"https", b"ws", b"wss"];
            if !known.iter().any(|scheme| scheme.eq_ignore_ascii_case(&target[..colon])) {
                return Err(RequestError::Target);
            }
            let authority = target[colon + 1..].strip_prefix(b"//").ok_or(RequestError::Target)?;
            let end = authority.iter().position(|&byte| matches!(byte, b'/' | b'?')).unwrap_or(authority.len());
            if !is_valid_host(&authority[..end]) {
                return Err(RequestError::InvalidHost);
            }
            Ok(colon + 3 + end)
        }
    }
}

/// The longest method and version that a request line may carry beside its target.
const REQUEST_LINE_SLACK: usize = 64;

/// Parses one request head, in as many steps as it arrives in.
#[derive(Debug, Clone)]
pub(crate) struct RequestParser {
    scanner: LineScanner,
    head: RequestHead,
}

impl RequestParser {
    pub(crate) fn new() -> Self {
        Self { scanner: LineScanner::default(), head: RequestHead::EMPTY }
    }

    /// Goes on with `bytes`, which begin at the same byte each time. `Some` once the head is complete.
    pub(crate) fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<RequestHead>, RequestError> {
        let too_large = RequestError::HeadTooLarge { limit: limits.max_request_head };
        // Positions are kept in 32 bits.
        let max_head = limits.max_request_head.min(u32::MAX as usize);
        if self.scanner.line_start() == 0 {
            let max_line = limits.max_request_target.saturating_add(REQUEST_LINE_SLACK);
            let window = &bytes[..bytes.len().min(max_line).min(max_head)];
            match self.scanner.next_line(window)? {
                Some(line) => {
                    self.head.parse_request_line(&window[line], limits)?;
                    self.head.fields.start = self.scanner.line_start() as u32;
                }
                None if window.len() < max_line.min(max_head) => return Ok(None),
                None if max_head < max_line => return Err(too_large),
                None => return Err(RequestError::TargetTooLong { limit: limits.max_request_target }),
            }
        }
        let window = &bytes[..bytes.len().min(max_head)];
        while let Some(line) = self.scanner.next_line(window)? {
            if line.is_empty() {
                self.head.fields.end = line.start as u32;
                self.head.len = self.scanner.line_start() as u32;
                self.head.complete(&window[..self.head.len as usize], limits)?;
                return Ok(Some(self.head));
            }
            self.head.fields.add(window, line).map_err(|fault| match fault {
                FieldFault::Name => RequestError::FieldName,
                FieldFault::Whitespace => RequestError::WhitespaceBeforeColon,
                FieldFault::ObsFold => RequestError::ObsFold,
            })?;
            if self.head.fields.lines as usize > limits.max_headers {
                return Err(RequestError::TooManyHeaders { limit: limits.max_headers });
            }
        }
        if window.len() < max_head { Ok(None) } else { Err(too_large) }
    }
}

impl From<LineFault> for RequestError {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::BareLf => Self::BareLf,
            LineFault::BareCr => Self::BareCr,
            LineFault::Control(byte) => Self::ControlByte(byte),
        }
    }
}

/// What is known of a response once its head is complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    reason_start: u32,
    reason_end: u32,
    pub(crate) len: u32,
    pub(crate) fields: Fields,
}

impl ResponseHead {
    pub(crate) fn reason<'b>(&self, head: &'b [u8]) -> &'b [u8] {
        head.get(self.reason_start as usize..self.reason_end as usize).unwrap_or(b"")
    }

    /// The validated field lines, to be kept.
    pub(crate) fn field_lines<'b>(&self, head: &'b [u8]) -> &'b [u8] {
        head.get(self.fields.start as usize..self.fields.end as usize).unwrap_or(b"")
    }

    /// RFC 9112, 6.3, for a response to GET. A faulty length means: until close, bounded by the reader.
    pub(crate) fn body_length(&self, head: &[u8]) -> BodyLength {
        if self.status == 204 || self.status == 304 {
            return BodyLength::None;
        }
        match self.fields.body_length(head, Version::Http11) {
            Ok(Some(length)) => length,
            Ok(None) | Err(_) => BodyLength::UntilClose,
        }
    }
}

/// Parses one response head, in as many steps as it arrives in.
#[derive(Debug, Clone)]
pub(crate) struct ResponseParser {
    scanner: LineScanner,
    head: ResponseHead,
}

impl ResponseParser {
    pub(crate) fn new() -> Self {
        let head = ResponseHead { status: 0, reason_start: 0, reason_end: 0, len: 0, fields: Fields::default() };
        Self { scanner: LineScanner::default(), head }
    }

    /// Goes on with `bytes`, which begin at the same byte each time. `Some` once the head is complete.
    pub(crate) fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<ResponseHead>, ResponseError> {
        let max_head = limits.max_response_head.min(u32::MAX as usize);
        let window = &bytes[..bytes.len().min(max_head)];
        while let Some(line) =
            self.scanner.next_line(window).map_err(|fault| ResponseError::ControlByte(fault.byte()))?
        {
            if line.start == 0 {
                self.parse_status_line(&window[line])?;
                self.head.fields.start = self.scanner.line_start() as u32;
                continue;
            }
            if line.is_empty() {
                self.head.fields.end = line.start as u32;
                self.head.len = self.scanner.line_start() as u32;
                return Ok(Some(self.head));
            }
            self.head.fields.add(window, line).map_err(|_| ResponseError::Field)?;
            if self.head.fields.lines as usize > limits.max_headers {
                return Err(ResponseError::TooManyHeaders { limit: limits.max_headers });
            }
        }
        if window.len() < max_head {
            Ok(None)
        } else {
            Err(ResponseError::HeadTooLarge { limit: limits.max_response_head })
        }
    }

    /// RFC 9112, 4: `HTTP-version SP status-code SP [ reason-phrase ]`; the last SP is often left out.
    fn parse_status_line(&mut self, line: &[u8]) -> Result<(), ResponseError> {
        let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, b' ', rest @ ..] = line else {
            return Err(ResponseError::StatusLine);
        };
        let [hundreds @ b'1'..=b'5', tens, units, reason @ ..] = rest else {
            return Err(ResponseError::StatusLine);
        };
        let digits = [minor, tens, units].iter().all(|digit| digit.is_ascii_digit());
        if !digits || !matches!(reason, [] | [b' ', ..]) {
            return Err(ResponseError::StatusLine);
        }
        let digit = |byte: u8| u16::from(byte - b'0');
        self.head.status = digit(*hundreds) * 100 + digit(*tens) * 10 + digit(*units);
        self.head.reason_start = (line.len() - reason.len().saturating_sub(1)) as u32;
        self.head.reason_end = line.len() as u32;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
