//! What is printed: colours, escapes, dumps. What a peer sends never drives the terminal.

use std::{
    borrow::Cow,
    env,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use clap::ValueEnum;

/// When there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal that is not dumb, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// For standard output.
    pub(crate) fn for_stdout(when: When) -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self(match when {
            When::Always => true,
            When::Never => false,
            // https://no-color.org: "when present and not an empty string (regardless of its value)"
            When::Auto => io::stdout().is_terminal() && !is_set("NO_COLOR") && !dumb,
        })
    }

    fn wrap<'t>(self, code: &str, text: &'t str) -> Cow<'t, str> {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m").into() } else { text.into() }
    }

    pub(crate) fn faint(self, text: &str) -> Cow<'_, str> {
        self.wrap("2", text)
    }

    pub(crate) fn incoming(self, text: &str) -> Cow<'_, str> {
        self.wrap("36", text)
    }

    pub(crate) fn outgoing(self, text: &str) -> Cow<'_, str> {
        self.wrap("33", text)
    }

    pub(crate) fn bad(self, text: &str) -> Cow<'_, str> {
        self.wrap("31", text)
    }
}

/// True of what a terminal acts on, shows where it does not stand, or does not show: control characters, those that turn the
/// direction of writing, separators of lines, and characters without a width, with which one text passes for another. (The
/// joiner of emoji and their variations are among them: they are shown one by one, and plainly.)
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// On one line: what a terminal would act on is escaped as in Rust. The backslash is left, so that paths and JSON can be
/// read: whether `\n` was one line feed or two characters is told by `--json`.
pub(crate) fn escape_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        push_escaped(&mut escaped, character);
    }
    escaped.into()
}

fn push_escaped(escaped: &mut String, character: char) {
    match character {
        '\n' => escaped.push_str("\\n"),
        '\r' => escaped.push_str("\\r"),
        '\t' => escaped.push_str("\\t"),
        _ if is_unsafe(character) => _ = write!(escaped, "\\u{{{:x}}}", u32::from(character)),
        _ => escaped.push(character),
    }
}

/// A message on its lines: line feeds and tabs stay, all else is escaped, and each line but the first is set in, so that none
/// can pass for another message.
pub(crate) fn escape_text(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\n  "),
            '\t' => escaped.push('\t'),
            _ => push_escaped(&mut escaped, character),
        }
    }
    escaped.into()
}

/// Bytes as text on one line; those that are no UTF-8 as `\xff`.
pub(crate) fn escape_bytes(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|character| push_escaped(&mut escaped, character));
        for byte in chunk.invalid() {
            _ = write!(escaped, "\\x{byte:02x}");
        }
    }
    escaped
}

/// Lines of 16 bytes: offset, hexadecimal, ASCII.
pub(crate) fn hexdump(bytes: &[u8]) -> String {
    let mut dump = String::with_capacity(bytes.len() * 5);
    for (row, line) in bytes.chunks(16).enumerate() {
        _ = write!(dump, "  {:08x} ", row * 16);
        for place in 0..16 {
            dump.push_str(if place == 8 { "  " } else { " " });
            match line.get(place) {
                Some(byte) => _ = write!(dump, "{byte:02x}"),
                None => dump.push_str("  "),
            }
        }
        dump.push_str("  |");
        dump.extend(line.iter().map(|byte| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' }));
        dump.push_str("|\n");
    }
    dump
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The bytes of hexadecimal digits, between which spaces may stand.
pub(crate) fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut digits = Vec::with_capacity(text.len());
    for character in text.chars().filter(|character| !character.is_whitespace()) {
        digits.push(character.to_digit(16).ok_or_else(|| format!("{character:?} is no hexadecimal digit"))? as u8);
    }
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("half a byte: hexadecimal digits come in pairs".to_owned());
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// A line of JSON that a terminal may show, too: what it would act on is escaped. JSON leaves some of that as it is.
pub(crate) fn json_line(value: &serde_json::Value) -> String {
    let mut line = String::new();
    for character in value.to_string().chars() {
        match is_unsafe(character) {
            true => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    _ = write!(line, "\\u{unit:04x}");
                }
            }
            false => line.push(character),
        }
    }
    line.push('\n');
    line
}

/// Writes to standard output and flushes. An error is mostly that nobody reads any more.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_passes() {
        assert_eq!(escape_line("a\x1b[2Jb\u{9b}c\u{202e}d\r\n\t"), "a\\u{1b}[2Jb\\u{9b}c\\u{202e}d\\r\\n\\t");
        assert_eq!(escape_text("a\nb\tc\x07"), "a\n  b\tc\\u{7}");
        assert_eq!(escape_bytes(b"ok\xff\x1b"), "ok\\xff\\u{1b}");
        assert_eq!(escape_line("grüße"), "grüße");
        let json = serde_json::json!("\x1b[m\u{9b}m\u{7f}\u{202e}\u{e0041}ü\n");
        assert_eq!(json_line(&json), "\"\\u001b[m\\u009bm\\u007f\\u202e\\udb40\\udc41ü\\n\"\n");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json_line(&json)).unwrap(), json);
    }

    #[test]
    fn nothing_turns_the_direction_of_writing_or_breaks_a_line() {
        let turning = ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}').chain(['\u{200e}', '\u{200f}']);
        // Of no width: U+00AD and U+061C too, which turns the direction of Arabic.
        let hidden =
            ('\u{200b}'..='\u{200d}').chain(['\u{ad}', '\u{61c}', '\u{180e}', '\u{2060}', '\u{3164}', '\u{e0041}']);
        let formats = ('\u{fe00}'..='\u{fe0f}').chain('\u{1bca0}'..='\u{1bca3}').chain('\u{1d173}'..='\u{1d17a}');
        let other = ['\u{2028}', '\u{2029}', '\u{feff}', '\u{85}', '\u{7f}'];
        for character in turning.chain(hidden).chain(formats).chain(other) {
            let escaped = format!("\\u{{{:x}}}", u32::from(character));
            assert_eq!(escape_line(&character.to_string()), escaped);
            assert_eq!(escape_text(&character.to_string()), escaped);
            assert_eq!(escape_bytes(character.to_string().as_bytes()), escaped);
        }
    }

    #[test]
    fn a_dump_has_lines_of_sixteen_bytes() {
        let bytes: Vec<u8> = (b'A'..=b'Q').collect();
        assert_eq!(
            hexdump(&bytes),
            "  00000000  41 42 43 44 45 46 47 48  49 4a 4b 4c 4d 4e 4f 50  |ABCDEFGHIJKLMNOP|\n\
             \x20 00000010  51                                                |Q|\n"
        );
    }

    #[test]
    fn hexadecimal_there_and_back() {
        assert_eq!(from_hex("00 ff7F"), Ok(vec![0, 255, 127]));
        assert_eq!(hex(&[0, 255, 127]), "00ff7f");
        assert!(from_hex("0").is_err());
        assert!(from_hex("0g").is_err());
    }
}
