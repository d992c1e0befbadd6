//! The answer to a request, and its encoding.

use bytes::Bytes;

use super::error::HeaderError;
use super::head::{Headers, Version};
use super::scan::is_token;
use crate::buffer::SendQueue;

/// Field lines that were checked, encoded as they go on the wire: one allocation for any number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldLines {
    bytes: Vec<u8>,
}

/// Fields that say how a message is framed or what becomes of the connection.
pub(crate) const FRAMING_FIELDS: [&str; 4] = ["connection", "content-length", "transfer-encoding", "upgrade"];

impl FieldLines {
    /// Adds a line. CR, LF and NUL cannot get into it: a value taken from elsewhere cannot forge a field.
    pub(crate) fn push(&mut self, name: &str, value: &str) -> Result<(), HeaderError> {
        if !is_token(name.as_bytes()) {
            return Err(HeaderError::Name);
        }
        if FRAMING_FIELDS.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(HeaderError::Reserved);
        }
        if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
            return Err(HeaderError::Value);
        }
        for part in [name, ": ", value, "\r\n"] {
            self.bytes.extend_from_slice(part.as_bytes());
        }
        Ok(())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn iter(&self) -> Headers<'_> {
        Headers::new(&self.bytes)
    }

    /// The lines but those of some names.
    pub(crate) fn without(&self, mut leaves: impl FnMut(&str) -> bool) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for (name, value) in self.iter().filter(|(name, _)| !leaves(name)) {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        Self { bytes }
    }
}

/// A plain HTTP answer: status, headers, content.
///
/// `Content-Length`, `Connection`, `Transfer-Encoding` and `Upgrade` are set here, as the request and the
/// state of the connection need them. There is no `Date`: this floor has no clock (RFC 9110, section 6.6.1).
///
/// ```
/// use wireroom::http::Response;
///
/// let page = Response::html("<!doctype html><title>hello</title>").header("Cache-Control", "no-store");
/// let missing = Response::text(404, "not found");
/// let moved = Response::new(308).header("Location", "/elsewhere");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    fields: FieldLines,
    body: Bytes,
    close: bool,
    fault: Option<HeaderError>,
}

impl Response {
    /// An answer without headers or content. The status is one of a final response: 200 to 599.
    ///
    /// Another status, like an invalid [`header`](Self::header), makes it a plain 500 on the wire.
    pub fn new(status: u16) -> Self {
        let fault = (!(200..600).contains(&status)).then_some(HeaderError::Status);
        Self { status, fields: FieldLines::default(), body: Bytes::new(), close: false, fault }
    }

    /// `text/plain` in UTF-8.
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::new(status).header("Content-Type", "text/plain; charset=utf-8").body(body)
    }

    /// 200 with `text/html` in UTF-8.
    pub fn html(body: impl Into<Bytes>) -> Self {
        Self::new(200).header("Content-Type", "text/html; charset=utf-8").body(body)
    }

    /// Adds a header.
    ///
    /// An invalid one (a name that is no token, a value with CR, LF, NUL or another control byte, a field that
    /// is set here) is never sent, nor is the answer without it: the peer gets a bare 500 in its place, and
    /// [`fault`](Self::fault) says why. Where values come from outside, use [`try_header`](Self::try_header).
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Err(fault) = self.fields.push(name, value) {
            self.fault.get_or_insert(fault);
        }
        self
    }

    /// Adds a header, or says what is wrong with it.
    pub fn try_header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        self.fields.push(name, value)?;
        Ok(self)
    }

    /// Sets the content. It is shared, not copied, if it is large.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Closes the connection after this answer.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.close = true;
        self
    }

    /// The status that goes on the wire.
    pub fn status(&self) -> u16 {
        if self.fault.is_some() { 500 } else { self.status }
    }

    /// What turned this answer into a 500.
    pub fn fault(&self) -> Option<HeaderError> {
        self.fault
    }

    pub(crate) fn closes(&self) -> bool {
        self.close
    }

    pub(crate) fn must_close(&mut self) {
        self.close = true;
    }

    /// Puts head and content into the queue. `head_only`: the request was a HEAD (RFC 9110, 9.3.2).
    pub(crate) fn encode(self, queue: &mut SendQueue, options: Encoding) {
        let this = if self.fault.is_some() { Self { close: self.close, ..Self::new(500) } } else { self };
        let length = match this.status {
            // RFC 9110, 8.6: "A server MUST NOT send a Content-Length header field in any response with a
            // status code of 1xx (Informational) or 204 (No Content)"; 15.4.5: 304 has no content.
            204 | 304 => Length::Absent,
            _ if options.content == Content::Stream => match options.version {
                Version::Http11 => Length::Chunked,
                Version::Http10 => Length::Absent,
            },
            _ => Length::Known(this.body.len()),
        };
        queue.append_with(128 + this.fields.bytes.len(), |out| {
            out.extend_from_slice(b"HTTP/1.1 ");
            push_decimal(out, usize::from(this.status));
            out.push(b' ');
            out.extend_from_slice(reason(this.status).as_bytes());
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(&this.fields.bytes);
            match length {
                Length::Known(length) => {
                    out.extend_from_slice(b"Content-Length: ");
                    push_decimal(out, length);
                    out.extend_from_slice(b"\r\n");
                }
                Length::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
                Length::Absent => {}
            }
            if this.status == 426 {
                // RFC 9110, 15.5.22: "The server MUST send an Upgrade header field in a 426 response"; there
                // is one protocol to upgrade to here. RFC 6455, 4.4: and one version of it.
                out.extend_from_slice(b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
            }
            out.extend_from_slice(match (this.status, options.keep_alive, options.version) {
                (426, true, _) => b"Connection: Upgrade\r\n\r\n",
                (426, false, _) => b"Connection: Upgrade, close\r\n\r\n",
                (_, false, _) => b"Connection: close\r\n\r\n",
                (_, true, Version::Http10) => b"Connection: keep-alive\r\n\r\n",
                (_, true, Version::Http11) => b"\r\n",
            });
        });
        if options.head_only || matches!(this.status, 204 | 304) || this.body.is_empty() {
            return;
        }
        match options.content {
            Content::Whole => append_content(queue, this.body),
            Content::Stream => append_chunk(queue, &this.body, length == Length::Chunked),
        }
    }
}

/// What the request and the connection say about the encoding of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    pub(crate) version: Version,
    pub(crate) head_only: bool,
    pub(crate) keep_alive: bool,
    pub(crate) content: Content,
}

/// Whether the content is in the response, or follows piece by piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Whole,
    Stream,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(usize),
    Chunked,
    Absent,
}

/// Below this, a copy behind the head is cheaper than a run of its own in the vectored write.
const SHARED_FROM: usize = 2_048;

fn append_content(queue: &mut SendQueue, body: Bytes) {
    if body.len() < SHARED_FROM {
        queue.append(&body);
    } else {
        queue.append_shared(&[], body);
    }
}

/// RFC 9112, 7.1: one chunk. An empty one would be the end, so there is none.
pub(crate) fn append_chunk(queue: &mut SendQueue, bytes: &[u8], chunked: bool) {
    if bytes.is_empty() {
        return;
    }
    if !chunked {
        return queue.append(bytes);
    }
    queue.append_with(bytes.len() + 20, |out| {
        let mut shift = (usize::BITS - bytes.len().leading_zeros()).div_ceil(4) * 4;
        while shift > 0 {
            shift -= 4;
            out.push(b"0123456789abcdef"[bytes.len() >> shift & 15]);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    });
}

fn push_decimal(out: &mut Vec<u8>, mut number: usize) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// RFC 9110, section 15. A reason phrase is for people; an unknown status has none.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf;

    fn wire(response: Response, options: Encoding) -> String {
        let mut queue = SendQueue::new();
        response.encode(&mut queue, options);
        let bytes = queue.copy_to_bytes(queue.remaining());
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    const PLAIN: Encoding =
        Encoding { version: Version::Http11, head_only: false, keep_alive: true, content: Content::Whole };

    #[test]
    fn an_answer_has_its_length_and_says_close_when_due() {
        assert_eq!(
            wire(Response::text(200, "hi").header("X-A", "b"), PLAIN),
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi"
        );
        let closing = Encoding { keep_alive: false, ..PLAIN };
        assert_eq!(
            wire(Response::new(400), closing),
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let old = Encoding { version: Version::Http10, ..PLAIN };
        assert_eq!(
            wire(Response::new(200), old),
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
        );
        assert!(wire(Response::html(vec![b'x'; 5_000]), PLAIN).ends_with("x"));
    }

    #[test]
    fn rfc9110_section_9_3_2_head_has_no_content() {
        let head = Encoding { head_only: true, ..PLAIN };
        assert_eq!(wire(Response::new(200).body("hello"), head), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    }

    #[test]
    fn rfc9110_section_8_6_no_length_in_204_and_304() {
        assert_eq!(wire(Response::new(204).body("x"), PLAIN), "HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(wire(Response::new(304).body("x"), PLAIN), "HTTP/1.1 304 Not Modified\r\n\r\n");
    }

    #[test]
    fn rfc9110_section_15_5_22_426_names_the_protocol() {
        let closing = Encoding { keep_alive: false, ..PLAIN };
        assert_eq!(
            wire(Response::new(426), closing),
            "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade, close\r\n\r\n"
        );
    }

    #[test]
    fn an_invalid_header_never_reaches_the_wire() {
        let bare = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n";
        for (name, value, fault) in [
            ("X-A", "b\r\nSet-Cookie: c", HeaderError::Value),
            ("X-A", "\0", HeaderError::Value),
            ("X A", "b", HeaderError::Name),
            ("", "b", HeaderError::Name),
            ("X-A:", "b", HeaderError::Name),
            ("content-LENGTH", "5", HeaderError::Reserved),
        ] {
            let response = Response::html("secret").header("X-Ok", "1").header(name, value);
            assert_eq!((response.fault(), response.status()), (Some(fault), 500));
            assert_eq!(wire(response, PLAIN), bare);
            assert_eq!(Response::new(200).try_header(name, value), Err(fault));
        }
        assert_eq!(wire(Response::new(101), PLAIN), bare);
        assert_eq!(wire(Response::new(999), PLAIN), bare);
    }

    #[test]
    fn rfc9112_section_7_1_chunks() {
        let mut queue = SendQueue::new();
        for length in [1, 15, 16, 255, 256, 4_096] {
            append_chunk(&mut queue, &vec![b'x'; length], true);
            let bytes = queue.copy_to_bytes(queue.remaining());
            let head = format!("{length:x}\r\n");
            assert!(bytes.starts_with(head.as_bytes()) && bytes.ends_with(b"x\r\n"));
            assert_eq!(bytes.len(), head.len() + length + 2);
        }
        append_chunk(&mut queue, b"", true);
        assert!(queue.is_empty());
    }
}
