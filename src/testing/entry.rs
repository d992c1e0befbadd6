//! The lines of a transcript, written and read.

use std::{fmt, io, str::FromStr, time::Duration};

use thiserror::Error;

use super::{Role, Transcript, text::numbers};

const TITLE: &str = "wireroom transcript 1 ";
/// Numbers on a line.
const WIDTH: usize = 32;
/// One entry has at most so many bytes: a count in a text must not fill the memory.
const MOST: usize = 1 << 28;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    At(Duration),
    Received(Vec<u8>),
    Ended,
    Failed(io::ErrorKind),
    Timeout,
    Event(String),
    Sent { bytes: Vec<u8>, all: bool },
    Waits(usize),
    Comment(String),
}

impl Entry {
    pub(super) fn is_comment(&self) -> bool {
        matches!(self, Entry::Comment(_))
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Server => "server",
            Role::Client => "client",
        };
        writeln!(f, "{TITLE}{role}")?;
        self.entries.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Entry::At(at) => {
                let seconds = format!("{}.{:09}", at.as_secs(), at.subsec_nanos());
                write!(f, "@ {}", seconds.trim_end_matches('0').trim_end_matches('.'))
            }
            Entry::Received(bytes) => write_bytes(f, "<", bytes),
            Entry::Ended => f.write_str("< end"),
            Entry::Failed(error) => write!(f, "< error {error:?}"),
            Entry::Timeout => f.write_str("timeout"),
            Entry::Event(event) => write!(f, "= {event}"),
            Entry::Sent { bytes, all: true } => write_bytes(f, ">", bytes),
            Entry::Sent { bytes, all: false } => write_bytes(f, ">>", bytes),
            Entry::Waits(bytes) => write!(f, "waits {bytes}"),
            Entry::Comment(comment) => f.write_str(comment),
        }
    }
}

fn write_bytes(f: &mut fmt::Formatter<'_>, mark: &str, bytes: &[u8]) -> fmt::Result {
    f.write_str(mark)?;
    for (i, number) in numbers(bytes).enumerate() {
        if i > 0 && i % WIDTH == 0 {
            f.write_str("\n ")?;
        }
        write!(f, " {number}")?;
    }
    Ok(())
}

/// Why a text is no transcript.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct TranscriptError {
    /// The line.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for Transcript {
    type Err = TranscriptError;

    /// Reads a transcript. Empty lines before the title are skipped, those behind it are comments.
    fn from_str(text: &str) -> Result<Self, TranscriptError> {
        let mut transcript: Option<Transcript> = None;
        for (n, line) in text.lines().enumerate() {
            let error = |reason| TranscriptError { line: n + 1, reason };
            match &mut transcript {
                Some(transcript) => read(transcript, line).map_err(error)?,
                None if line.trim().is_empty() => {}
                None => {
                    let role = match line.strip_prefix(TITLE) {
                        Some("server") => Role::Server,
                        Some("client") => Role::Client,
                        _ => return Err(error("`wireroom transcript 1 server`, or client, comes first")),
                    };
                    transcript = Some(Transcript::new(role));
                }
            }
        }
        transcript.ok_or(TranscriptError { line: 1, reason: "no transcript" })
    }
}

fn read(transcript: &mut Transcript, line: &str) -> Result<(), &'static str> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let entry = match word {
        // Two spaces: more bytes.
        "" if rest.starts_with(' ') => {
            return match transcript.entries.last_mut() {
                Some(Entry::Received(bytes) | Entry::Sent { bytes, .. }) => read_bytes(bytes, rest),
                _ => Err("bytes go on, but none came before"),
            };
        }
        "@" => {
            let at = read_time(rest).ok_or("a time in seconds")?;
            if at < transcript.at {
                return Err("time goes back");
            }
            transcript.at = at;
            Entry::At(at)
        }
        "<" if rest == "end" => Entry::Ended,
        "<" => match rest.strip_prefix("error ") {
            Some(kind) => Entry::Failed(read_error(kind).ok_or("an error that no transport has")?),
            None => {
                let mut bytes = Vec::new();
                read_bytes(&mut bytes, rest)?;
                Entry::Received(bytes)
            }
        },
        ">" | ">>" => {
            let mut bytes = Vec::new();
            read_bytes(&mut bytes, rest)?;
            Entry::Sent { bytes, all: word == ">" }
        }
        "timeout" if rest.is_empty() => Entry::Timeout,
        "=" => Entry::Event(rest.to_owned()),
        "waits" => Entry::Waits(rest.parse().map_err(|_| "how many bytes wait")?),
        word if word.is_empty() || word.starts_with('#') => Entry::Comment(line.to_owned()),
        _ => return Err("no line of a transcript begins like this"),
    };
    transcript.entries.push(entry);
    Ok(())
}

fn read_bytes(bytes: &mut Vec<u8>, line: &str) -> Result<(), &'static str> {
    for number in line.split_whitespace() {
        let (byte, times) = match number.split_once('*') {
            Some((byte, times)) => (byte, times.parse().map_err(|_| "how often a byte comes")?),
            None => (number, 1_usize),
        };
        let is_byte = byte.len() == 2 && byte.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = u8::from_str_radix(byte, 16).ok().filter(|_| is_byte).ok_or("bytes have two hexadecimal digits")?;
        if times > MOST - bytes.len() {
            return Err("too many bytes");
        }
        bytes.resize(bytes.len() + times, byte);
    }
    Ok(())
}

/// Seconds, with up to nine digits behind the point.
fn read_time(text: &str) -> Option<Duration> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    // A hundred years at most: an `Instant` has to be able to hold it.
    let seconds = seconds.parse().ok().filter(|seconds| *seconds < 100 * 366 * 24 * 3600)?;
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds, nanoseconds))
}

/// The errors with which transports end.
fn read_error(kind: &str) -> Option<io::ErrorKind> {
    use io::ErrorKind as Kind;
    let kinds = [
        Kind::ConnectionReset,
        Kind::ConnectionAborted,
        Kind::BrokenPipe,
        Kind::TimedOut,
        Kind::NotConnected,
        Kind::UnexpectedEof,
        Kind::ConnectionRefused,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
        Kind::NetworkDown,
        Kind::PermissionDenied,
        Kind::InvalidData,
        Kind::OutOfMemory,
        Kind::Other,
    ];
    kinds.into_iter().find(|known| format!("{known:?}") == kind)
}
