//! Lines and control bytes: one pass over the bytes, whatever their chunking.
//!
//! [`LineScanner`] remembers how far it has looked, so that a byte that arrives alone costs a constant,
//! and looks at eight bytes at a time otherwise. What it hands out ends in CRLF and holds no control byte
//! but HTAB, which makes the rules behind it short.

use std::ops::Range;

/// A byte that no head may hold, or CR and LF out of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineFault {
    BareLf,
    BareCr,
    Control(u8),
}

impl LineFault {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::BareLf => b'\n',
            Self::BareCr => b'\r',
            Self::Control(byte) => byte,
        }
    }
}

/// Cuts bytes into lines. Positions count from the start of the bytes it is given each time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LineScanner {
    line: usize,
    scanned: usize,
}

impl LineScanner {
    /// Where the current line starts: everything before it has been handed out.
    pub(crate) fn line_start(&self) -> usize {
        self.line
    }

    /// The next whole line, without its CRLF; `None` until it has arrived.
    #[inline(always)]
    pub(crate) fn next_line(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, LineFault> {
        let mut at = self.scanned;
        loop {
            at = find_control(bytes, at);
            match bytes.get(at) {
                None => {
                    self.scanned = bytes.len();
                    return Ok(None);
                }
                Some(b'\t') => at += 1,
                Some(b'\r') => match bytes.get(at + 1) {
                    // The LF may come with the next segment: look at this CR again then.
                    None => {
                        self.scanned = at;
                        return Ok(None);
                    }
                    Some(b'\n') => {
                        let line = self.line..at;
                        self.line = at + 2;
                        self.scanned = at + 2;
                        return Ok(Some(line));
                    }
                    Some(_) => return Err(LineFault::BareCr),
                },
                Some(b'\n') => return Err(LineFault::BareLf),
                Some(&byte) => return Err(LineFault::Control(byte)),
            }
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The first byte at or behind `from` that is below 0x20 or is 0x7f, or the length.
#[inline]
fn find_control(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    // Without a branch per byte, this becomes a few vector instructions.
    let is_clean = |block: &[u8; 16]| !block.iter().fold(false, |hit, &byte| hit | (byte < 0x20) | (byte == 0x7f));
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        if is_clean(block) {
            at += 16;
            continue;
        }
        let (words, _) = block.as_chunks();
        let first = controls(words[0]);
        if first != 0 {
            return at + first.trailing_zeros() as usize / 8;
        }
        return at + 8 + controls(words[1]).trailing_zeros() as usize / 8;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    at + tail.iter().position(|&byte| byte < 0x20 || byte == 0x7f).unwrap_or(tail.len())
}

/// The highest bit of each byte that is below 0x20 or is 0x7f, and perhaps of bytes behind the first of them.
#[inline]
fn controls(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    // Exact in its lowest set bit: a borrow only reaches bytes above a true hit.
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    (below_space | (delete.wrapping_sub(ONES) & !delete)) & HIGHS
}

/// The first `needle` in `bytes`, eight bytes at a time.
#[inline]
pub(crate) fn find_byte(bytes: &[u8], needle: u8) -> Option<usize> {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(needle));
        let hits = word.wrapping_sub(ONES) & !word & HIGHS;
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|&byte| byte == needle).map(|found| at + found)
}

/// Some of the 256 bytes: to look one up costs a load, whatever the rule.
#[derive(Debug)]
pub(crate) struct ByteSet([bool; 256]);

impl ByteSet {
    /// RFC 9110, 5.6.2: `tchar`.
    pub(crate) const TOKEN: &'static Self = &Self::alphanumeric_and(b"!#$%&'*+-.^_`|~");
    /// RFC 4648, 4: the digits of base64.
    pub(crate) const BASE64: &'static Self = &Self::alphanumeric_and(b"+/");
    /// RFC 3986, 2.2 and 2.3: `unreserved / sub-delims`.
    pub(crate) const NAME: &'static Self = &Self::alphanumeric_and(b"-._~!$&'()*+,;=");

    const fn alphanumeric_and(others: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            table[others[at] as usize] = true;
            at += 1;
        }
        Self(table)
    }

    #[inline]
    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    /// Without a branch for each.
    #[inline]
    pub(crate) fn has_all(&self, bytes: &[u8]) -> bool {
        bytes.iter().fold(true, |all, &byte| all & self.has(byte))
    }
}

#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    ByteSet::TOKEN.has(byte)
}

/// RFC 9110, 5.6.2: `token = 1*tchar`.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    // Names are mostly letters and hyphens: eight of them need no table. The last eight may overlap those before.
    let is_plain =
        |chunk: &[u8; 8]| chunk.iter().fold(true, |all, &byte| all & (byte.is_ascii_alphabetic() | (byte == b'-')));
    match bytes.last_chunk() {
        Some(last) if is_plain(last) && bytes.as_chunks().0.iter().all(is_plain) => true,
        _ => !bytes.is_empty() && ByteSet::TOKEN.has_all(bytes),
    }
}

/// Whether `text` is `lower` in any case.
///
/// `lower` is of lower case, `text` without control bytes but HTAB: then whatever is `lower` with the bit of lower case set is
/// it in either case.
#[inline]
pub(crate) fn is_in_any_case<const N: usize>(text: &[u8], lower: &[u8; N]) -> bool {
    match text.first_chunk::<N>() {
        // Without a branch per byte.
        Some(first) if text.len() == N => (0..N).fold(0, |other, at| other | ((first[at] | 0x20) ^ lower[at])) == 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], step: usize) -> Result<Vec<Vec<u8>>, LineFault> {
        let mut scanner = LineScanner::default();
        let mut found = Vec::new();
        let mut end = 0;
        while end < input.len() {
            end = input.len().min(end + step);
            while let Some(line) = scanner.next_line(&input[..end])? {
                found.push(input[line].to_vec());
            }
        }
        Ok(found)
    }

    #[test]
    fn lines_are_the_same_for_every_chunking() {
        let input = b"one\r\n\r\n\ttwo is a longer line than eight bytes\r\n\xff\x80three\r\nrest";
        let whole = lines(input, input.len()).unwrap();
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[3], b"\xff\x80three");
        for step in 1..20 {
            assert_eq!(lines(input, step).unwrap(), whole);
        }
    }

    #[test]
    fn every_control_byte_is_found_at_every_place() {
        for control in (0..0x20).chain([0x7f]) {
            for place in 0..40 {
                let mut input = vec![b'\xff'; 40];
                input[place] = control;
                input.extend_from_slice(b"\r\n");
                let expected = match control {
                    b'\t' => Ok(vec![input[..40].to_vec()]),
                    b'\r' => Err(LineFault::BareCr),
                    b'\n' => Err(LineFault::BareLf),
                    other => Err(LineFault::Control(other)),
                };
                for step in [1, 3, 8, 64] {
                    let seen = lines(&input, step);
                    // CR before the CRLF is a bare CR as well: "\r\r\n".
                    assert_eq!(seen, expected, "0x{control:02x} at {place} in steps of {step}");
                }
            }
        }
    }

    #[test]
    fn find_byte_is_exact() {
        for length in 0..40 {
            for place in 0..length {
                let mut bytes = vec![b':' + 1; length];
                bytes[place] = b':';
                assert_eq!(find_byte(&bytes, b':'), Some(place));
            }
            assert_eq!(find_byte(&vec![b';'; length], b':'), None);
        }
    }

    #[test]
    fn rfc9110_section_5_6_2_token() {
        assert!(is_token(b"Sec-WebSocket-Key") && is_token(b"!#$%&'*+-.^_`|~09azAZ"));
        for bad in ["", "a b", "a:b", "(a)", "a\"", "a/b", "a,b", "\u{e9}"] {
            assert!(!is_token(bad.as_bytes()), "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_one_by_every_byte_at_every_place() {
        for length in 1..26 {
            for place in 0..length {
                for byte in 0..=255 {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    assert_eq!(is_token(&bytes), is_token_byte(byte), "0x{byte:02x} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn a_word_in_any_case_is_no_other_word() {
        let word = b"keep-alive, 100";
        for place in 0..word.len() {
            for byte in (0x20..=255).chain([b'\t']) {
                let mut text = *word;
                text[place] = byte;
                assert_eq!(is_in_any_case(&text, word), text.eq_ignore_ascii_case(word), "0x{byte:02x} at {place}");
            }
        }
        for other in [&b""[..], b"keep-alive, 10", b"keep-alive, 1000"] {
            assert!(!is_in_any_case(other, word));
        }
    }
}
