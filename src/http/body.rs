//! Small bodies: `Content-Length`, chunked, until close (RFC 9112, section 6 and 7.1).
//!
//! Content is decoded out of the receive buffer as it arrives, into storage that grows with what has been
//! *received*, never with what was declared, and never beyond a limit.

use super::scan::LineScanner;
use crate::buffer::RecvBuffer;

/// How the end of a message's content is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyLength {
    None,
    Length(u64),
    Chunked,
    UntilClose,
}

/// Bytes of a chunk-size line, extensions included.
const MAX_CHUNK_LINE: usize = 256;
/// Bytes of all chunk extensions of a message: nobody uses them, except to spend our time.
const MAX_CHUNK_EXTENSIONS: usize = 4_096;
/// Bytes of a trailer section. It is read and dropped.
const MAX_TRAILER: usize = 4_096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// Longer than the limit. What fits was kept.
    TooLarge,
    Chunk,
    Trailer,
}

#[derive(Debug, Clone)]
enum State {
    Data { left: u64 },
    ChunkSize,
    ChunkData { left: u64 },
    ChunkEnd,
    Trailer,
    UntilClose,
    Done,
}

/// Decodes one message's content.
#[derive(Debug, Clone)]
pub(crate) struct BodyDecoder {
    state: State,
    scanner: LineScanner,
    limit: usize,
    extensions: usize,
    trailer: usize,
}

impl BodyDecoder {
    pub(crate) fn new(length: BodyLength, limit: usize) -> Self {
        let state = match length {
            BodyLength::None => State::Done,
            BodyLength::Length(left) => State::Data { left },
            BodyLength::Chunked => State::ChunkSize,
            BodyLength::UntilClose => State::UntilClose,
        };
        Self { state, scanner: LineScanner::default(), limit, extensions: 0, trailer: 0 }
    }

    /// Whether the end of the connection is the end of the content.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::UntilClose)
    }

    /// Moves content from `rx` to the end of `body`. `true` once it is complete.
    pub(crate) fn decode(&mut self, rx: &mut RecvBuffer, body: &mut Vec<u8>) -> Result<bool, BodyFault> {
        loop {
            match self.state {
                State::Done => return Ok(true),
                State::UntilClose => {
                    self.take(rx, u64::MAX, body)?;
                    return Ok(false);
                }
                State::Data { left } => {
                    let left = left - self.take(rx, left, body)?;
                    self.state = if left == 0 { State::Done } else { State::Data { left } };
                    if left > 0 {
                        return Ok(false);
                    }
                }
                State::ChunkData { left } => {
                    let left = left - self.take(rx, left, body)?;
                    self.state = if left == 0 { State::ChunkEnd } else { State::ChunkData { left } };
                    if left > 0 {
                        return Ok(false);
                    }
                }
                State::ChunkEnd => {
                    match rx.unread() {
                        [b'\r', b'\n', ..] => {}
                        [] | [b'\r'] => return Ok(false),
                        _ => return Err(BodyFault::Chunk),
                    }
                    rx.consume(2);
                    self.state = State::ChunkSize;
                }
                State::ChunkSize => {
                    let Some(line) = self.next_line(rx, MAX_CHUNK_LINE, BodyFault::Chunk)? else {
                        return Ok(false);
                    };
                    let (size, extension) = parse_chunk_size(&rx.unread()[..line])?;
                    rx.consume(line + 2);
                    self.extensions += extension;
                    if self.extensions > MAX_CHUNK_EXTENSIONS {
                        return Err(BodyFault::Chunk);
                    }
                    // A peer that may send no content learns so before it sends any.
                    if size > 0 && self.limit == 0 {
                        return Err(BodyFault::TooLarge);
                    }
                    self.state = if size == 0 { State::Trailer } else { State::ChunkData { left: size } };
                }
                State::Trailer => {
                    let Some(line) = self.next_line(rx, MAX_TRAILER - self.trailer, BodyFault::Trailer)? else {
                        return Ok(false);
                    };
                    rx.consume(line + 2);
                    self.trailer += line + 2;
                    if line == 0 {
                        self.state = State::Done;
                    }
                }
            }
        }
    }

    /// Moves at most `most` bytes, and none beyond the limit.
    fn take(&self, rx: &mut RecvBuffer, most: u64, body: &mut Vec<u8>) -> Result<u64, BodyFault> {
        let here = rx.unread().len().min(usize::try_from(most).unwrap_or(usize::MAX));
        let room = self.limit.saturating_sub(body.len());
        body.extend_from_slice(&rx.unread()[..here.min(room)]);
        rx.consume(here);
        if here > room { Err(BodyFault::TooLarge) } else { Ok(here as u64) }
    }

    /// The length of the next whole line, which then still lies at the front of `rx`.
    fn next_line(&mut self, rx: &RecvBuffer, limit: usize, fault: BodyFault) -> Result<Option<usize>, BodyFault> {
        let window = &rx.unread()[..rx.unread().len().min(limit)];
        match self.scanner.next_line(window) {
            Ok(Some(line)) => {
                self.scanner = LineScanner::default();
                Ok(Some(line.end))
            }
            Ok(None) if window.len() < limit => Ok(None),
            Ok(None) => Err(fault),
            Err(_) => Err(BodyFault::Chunk),
        }
    }
}

/// RFC 9112, 7.1: `chunk-size [ chunk-ext ]`. Gives the size and the length of the extension.
///
/// "A recipient MUST [..] prevent parsing errors due to integer conversion overflows": at most 15 digits.
fn parse_chunk_size(line: &[u8]) -> Result<(u64, usize), BodyFault> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let extension = &line[digits..];
    // 7.1.1: *( BWS ";" BWS chunk-ext-name .. )
    let extension_is_fine = matches!(super::fields::trim(extension), [] | [b';', ..]);
    if digits == 0 || digits > 15 || !extension_is_fine {
        return Err(BodyFault::Chunk);
    }
    let size = line[..digits]
        .iter()
        .fold(0u64, |sum, digit| sum << 4 | u64::from(char::from(*digit).to_digit(16).unwrap_or(0)));
    Ok((size, extension.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome, the content, and what was left behind it.
    fn decode(
        length: BodyLength,
        limit: usize,
        input: &[u8],
        step: usize,
    ) -> (Result<bool, BodyFault>, Vec<u8>, Vec<u8>) {
        let mut decoder = BodyDecoder::new(length, limit);
        let mut rx = RecvBuffer::new();
        let mut body = Vec::new();
        let mut outcome = Ok(false);
        let mut chunks = input.chunks(step);
        while outcome == Ok(false) {
            let Some(chunk) = chunks.next() else { break };
            rx.extend(chunk);
            outcome = decoder.decode(&mut rx, &mut body);
        }
        chunks.for_each(|chunk| rx.extend(chunk));
        (outcome, body, rx.unread().to_vec())
    }

    #[test]
    fn rfc9112_section_7_1_chunked() {
        let input = b"5\r\nhello\r\n006;a=b;c\r\n world\r\n0 ; x\r\nTrailer: x\r\n\r\nnext";
        for step in 1..input.len() + 1 {
            let (outcome, body, rest) = decode(BodyLength::Chunked, 100, input, step);
            assert_eq!((outcome, &body[..], &rest[..]), (Ok(true), &b"hello world"[..], &b"next"[..]), "step {step}");
        }
    }

    #[test]
    fn rfc9112_section_7_1_malformed_chunks() {
        for bad in [
            "x\r\n",
            "\r\n",
            " 5\r\n",
            "5 5\r\n",
            "-1\r\n",
            "0x5\r\n",
            "5\nhello",
            "5\r\nhelloxx",
            "ffffffffffffffff\r\n",
            "5\r\nhello\r5\r\n",
        ] {
            for step in [1, 64] {
                let (outcome, ..) = decode(BodyLength::Chunked, 100, bad.as_bytes(), step);
                assert_eq!(outcome, Err(BodyFault::Chunk), "{bad:?}");
            }
        }
    }

    #[test]
    fn rfc9112_section_7_1_1_extensions_and_trailers_are_bounded() {
        let long = format!("5;{}\r\n", "x".repeat(300));
        assert_eq!(decode(BodyLength::Chunked, 100, long.as_bytes(), 7).0, Err(BodyFault::Chunk));
        let many = format!("1;{}\r\nx\r\n", "x".repeat(200)).repeat(30);
        assert_eq!(decode(BodyLength::Chunked, 100, many.as_bytes(), 7).0, Err(BodyFault::Chunk));
        let trailer = format!("0\r\n{}", "Trailer: x\r\n".repeat(500));
        assert_eq!(decode(BodyLength::Chunked, 100, trailer.as_bytes(), 7).0, Err(BodyFault::Trailer));
    }

    #[test]
    fn rfc9112_section_6_2_content_length() {
        let (outcome, body, rest) = decode(BodyLength::Length(5), 5, b"hellonext", 1);
        assert_eq!((outcome, &body[..], &rest[..]), (Ok(true), &b"hello"[..], &b"next"[..]));
        assert_eq!(decode(BodyLength::Length(6), 10, b"hello", 1).0, Ok(false));
        assert_eq!(decode(BodyLength::None, 0, b"x", 1).0, Ok(true));
    }

    #[test]
    fn content_beyond_the_limit_is_cut_off() {
        for step in [1, 64] {
            let (outcome, body, _) = decode(BodyLength::UntilClose, 4, b"hello", step);
            assert_eq!((outcome, &body[..]), (Err(BodyFault::TooLarge), &b"hell"[..]));
            let (outcome, body, _) = decode(BodyLength::Chunked, 4, b"3\r\nhel\r\n2\r\nlo\r\n", step);
            assert_eq!((outcome, &body[..]), (Err(BodyFault::TooLarge), &b"hell"[..]));
        }
        assert_eq!(decode(BodyLength::Chunked, 0, b"1\r\n", 1).0, Err(BodyFault::TooLarge));
    }
}
