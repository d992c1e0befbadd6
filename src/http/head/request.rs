//! The head of a request: its first line, and the rules that need all fields.

use super::{FieldFault, Fields, KNOWN, Known, Note, Version};
use crate::http::Limits;
use crate::http::body::BodyLength;
use crate::http::error::RequestError;
use crate::http::fields::is_valid_host;
use crate::http::scan::{LineFault, LineScanner, find_byte, is_token};

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
        self.is_upgrade = self.version == Version::Http11 && fields.has_token(head, Known::Upgrade, b"websocket");
        if self.is_upgrade && self.body != BodyLength::None {
            return Err(RequestError::BodyOnUpgrade);
        }
        if let BodyLength::Length(length) = self.body
            && length > limits.max_request_body as u64
        {
            return Err(RequestError::BodyTooLarge { limit: limits.max_request_body });
        }
        self.keep_alive = match self.version {
            _ if fields.has_token(head, Known::Connection, b"close") => false,
            Version::Http11 => true,
            Version::Http10 => fields.has_token(head, Known::Connection, b"keep-alive"),
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
    #[inline]
    pub(crate) fn new() -> Self {
        Self { scanner: LineScanner::default(), head: RequestHead::EMPTY }
    }

    /// What is known so far.
    pub(crate) fn head(&self) -> &RequestHead {
        &self.head
    }

    /// Goes on with `bytes`, which begin at the same byte each time. `Some` once the head is complete.
    pub(crate) fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<&RequestHead>, RequestError> {
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
                return Ok(Some(&self.head));
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
