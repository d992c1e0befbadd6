//! The head of a response.

use super::{Fields, Version};
use crate::http::Limits;
use crate::http::body::BodyLength;
use crate::http::error::ResponseError;
use crate::http::scan::LineScanner;

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
        // RFC 9110, 15.2: HTTP/1.0 defines no 1xx status, and so no switch of protocols.
        let interim_of_1_0 = (*minor, *hundreds) == (b'0', b'1');
        if !digits || interim_of_1_0 || !matches!(reason, [] | [b' ', ..]) {
            return Err(ResponseError::StatusLine);
        }
        let digit = |byte: u8| u16::from(byte - b'0');
        self.head.status = digit(*hundreds) * 100 + digit(*tens) * 10 + digit(*units);
        self.head.reason_start = (line.len() - reason.len().saturating_sub(1)) as u32;
        self.head.reason_end = line.len() as u32;
        Ok(())
    }
}
