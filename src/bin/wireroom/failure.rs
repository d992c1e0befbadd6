//! The exit statuses, and which of them each end of a connection comes to.

use std::{borrow::Cow, fmt, io, process::ExitCode};

use wireroom::{
    Cause, CloseCode, Closed, Deadline, Initiator, ProtocolError,
    handshake::{HandshakeError, Refusal},
};

use crate::{dial::plain, show::escape_line};

pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0    clean: closed with 1000, 1001 or no code, or by ourselves
  1    something here: a file, an address in use, the terminal; errors that `bench` has counted
  2    usage: an option or URL that makes no sense
  3    could not connect: unknown host, closed port, hung up before an answer
  4    refused by HTTP: the server answered with a status other than 101
  5    protocol failure: the server speaks no WebSocket, or broke a rule or --max-size
  6    abnormal end: no closing handshake, or a Close before --count messages had come
  7    timeout: no answer within --timeout, too few messages within --wait, no Close in time
  8    closed by the server with another code than 1000 and 1001
  130  interrupted a second time, or before the connection was open";

/// What this program exits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    Here = 1,
    Usage = 2,
    Unreachable = 3,
    Refused = 4,
    Protocol = 5,
    Abnormal = 6,
    Timeout = 7,
    OtherCode = 8,
    Interrupted = 130,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status as u8)
    }
}

/// One sentence for standard error, and the exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    status: Status,
    sentence: String,
}

impl Failure {
    pub(crate) fn new(status: Status, sentence: impl fmt::Display) -> Self {
        // It may hold what a peer said.
        Self { status, sentence: escape_line(&sentence.to_string()).into_owned() }
    }

    pub(crate) fn here(sentence: impl fmt::Display) -> Self {
        Self::new(Status::Here, sentence)
    }

    pub(crate) fn usage(sentence: impl fmt::Display) -> Self {
        Self::new(Status::Usage, sentence)
    }

    pub(crate) fn status(&self) -> Status {
        self.status
    }

    pub(crate) fn sentence(&self) -> &str {
        &self.sentence
    }

    pub(crate) fn tell(&self) {
        // Where standard error is closed the status has to do.
        let _ = io::Write::write_all(&mut io::stderr(), format!("wireroom: {}\n", self.sentence).as_bytes());
    }
}

/// The loop's own errors, such as those of its poll.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::here(format_args!("the event loop: {error}"))
    }
}

/// What standard output's error comes to: that nobody reads it any more is the reader's choice; of a full disk somebody has to
/// be told.
pub(crate) fn of_stdout(error: &io::Error) -> Result<(), Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(Failure::here(format_args!("standard output: {}", plain(error)))),
    }
}

/// What the end of a client's connection comes to. `url` stands in the sentence.
pub(crate) fn of_end(closed: &Closed, opened: bool, url: &str, timeout: f64) -> Result<(), Failure> {
    let fail = |status, sentence: String| Err(Failure::new(status, sentence));
    match &closed.cause {
        Cause::Clean => of_close(closed),
        Cause::Handshake(error) => of_handshake(error, url, timeout),
        Cause::Failed(error @ ProtocolError::MessageTooBig { .. }) => {
            fail(Status::Protocol, format!("{error}, --max-size"))
        }
        Cause::Failed(error) => fail(Status::Protocol, format!("the server broke the protocol: {error}")),
        Cause::Eof => fail(Status::Abnormal, "the connection ended without a closing handshake".to_owned()),
        Cause::Io(kind) if !opened => fail(Status::Unreachable, format!("cannot connect to {url}: {kind}")),
        Cause::Io(kind) => fail(Status::Abnormal, format!("the connection broke: {kind}")),
        Cause::Timeout(Deadline::Close) => {
            fail(Status::Timeout, "the server did not answer our Close in time".to_owned())
        }
        Cause::Timeout(deadline) => fail(Status::Timeout, deadline.to_string()),
        other => fail(Status::Abnormal, other.to_string()),
    }
}

/// Both Close frames were exchanged.
fn of_close(closed: &Closed) -> Result<(), Failure> {
    let code = closed.peer.as_ref().and_then(|frame| frame.code);
    let ours = closed.initiator == Some(Initiator::Local);
    if ours || matches!(code, None | Some(CloseCode::NORMAL | CloseCode::GOING_AWAY)) {
        return Ok(());
    }
    Err(Failure::new(Status::OtherCode, describe_close(closed)))
}

/// Who closed, and with what.
pub(crate) fn describe_close(closed: &Closed) -> String {
    let (who, frame) = match closed.initiator {
        Some(Initiator::Local) => ("closed by us", closed.local.as_ref()),
        Some(Initiator::Peer) => ("closed by the server", closed.peer.as_ref()),
        None => return closed.to_string(),
    };
    match frame.map(|frame| (frame.code, &frame.reason)) {
        Some((Some(code), reason)) if reason.is_empty() => format!("{who}: {code}"),
        Some((Some(code), reason)) => format!("{who}: {code}: {reason}"),
        _ => format!("{who}, without a code"),
    }
}

fn of_handshake(error: &HandshakeError, url: &str, timeout: f64) -> Result<(), Failure> {
    let (status, sentence) = match error {
        HandshakeError::Timeout => (Status::Timeout, format!("no answer from {url} within {timeout} s")),
        HandshakeError::Eof => (Status::Unreachable, format!("{url} hung up before it answered")),
        HandshakeError::Refused(refusal) => (Status::Refused, describe_refusal(refusal)),
        HandshakeError::Redirect { status, location } => {
            (Status::Refused, format!("the server redirects ({status}) to {}", cut(location)))
        }
        HandshakeError::Response(error) => {
            (Status::Protocol, format!("{url} does not speak HTTP: {}", cut(&error.to_string())))
        }
        other => (Status::Protocol, format!("{url} does not speak WebSocket: {}", cut(&other.to_string()))),
    };
    Err(Failure::new(status, sentence))
}

/// The status, the reason, and the first line of what the server says about it.
fn describe_refusal(refusal: &Refusal) -> String {
    let line = refusal.body().split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| !line.trim_ascii().is_empty());
    let line = line.unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let text = cut(line.trim());
    let reason = match refusal.reason() {
        "" => String::new(),
        reason => format!(" {}", cut(reason)),
    };
    let hint = if refusal.status() == 200 { ", as to a plain HTTP request" } else { "" };
    match &*text {
        "" => format!("the server answered {}{reason}{hint}", refusal.status()),
        text => format!("the server answered {}{reason}{hint}: {text}", refusal.status()),
    }
}

/// What a peer has chosen, as long as a sentence can be.
fn cut(text: &str) -> Cow<'_, str> {
    /// Characters.
    const SHOWN: usize = 200;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}..", &text[..end]).into(),
        None => text.into(),
    }
}
