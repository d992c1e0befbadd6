//! Payloads as text on one line.

use std::fmt::{self, Write as _};

/// Above so many characters of text, or numbers, a payload is told by its start.
const LONGEST: usize = 96;
/// The start.
const START: usize = 32;
/// From so many equal bytes on they are counted.
const RUN: usize = 8;

/// Bytes as hexadecimal numbers, or the first of them, the length and a checksum.
pub(super) struct Bytes<'b>(pub(super) &'b [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bytes(bytes) = self;
        let is_long = numbers(bytes).nth(LONGEST).is_some();
        let shown = if is_long { START } else { LONGEST };
        for (i, number) in numbers(bytes).take(shown).enumerate() {
            write!(f, "{}{number}", if i == 0 { "" } else { " " })?;
        }
        match bytes.len() {
            0 => f.write_str("-"),
            length if is_long => write!(f, " .. {length} bytes, fnv {:016x}", fnv(bytes)),
            _ => Ok(()),
        }
    }
}

/// A byte, and how often it comes.
pub(super) struct Number(u8, usize);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number(byte, 1) => write!(f, "{byte:02x}"),
            Number(byte, times) => write!(f, "{byte:02x}*{times}"),
        }
    }
}

pub(super) fn numbers(mut bytes: &[u8]) -> impl Iterator<Item = Number> + use<'_> {
    std::iter::from_fn(move || {
        let first = *bytes.first()?;
        let run = bytes.iter().take_while(|byte| **byte == first).count();
        let times = if run >= RUN { run } else { 1 };
        bytes = &bytes[times..];
        Some(Number(first, times))
    })
}

/// Text in quotation marks, the rest as with [`Bytes`]. What would break the line is escaped.
pub(super) struct Quoted<'t>(pub(super) &'t str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Quoted(text) = self;
        let end = if text.len() > LONGEST { START } else { text.len() };
        let end = (0..=end).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        f.write_char('"')?;
        for character in text[..end].chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                character if character.is_control() => write!(f, "\\u{{{:x}}}", u32::from(character))?,
                character => f.write_char(character)?,
            }
        }
        f.write_char('"')?;
        match text.len() {
            length if length > LONGEST => write!(f, " .. {length} bytes, fnv {:016x}", fnv(text.as_bytes())),
            _ => Ok(()),
        }
    }
}

/// FNV-1a, 64 bits: tells payloads apart whose starts and lengths are the same.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
