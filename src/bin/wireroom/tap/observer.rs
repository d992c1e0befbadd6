//! Looks at the bytes of one direction as they pass, however they are cut: heads, then frames.

use wireroom::{
    ProtocolError,
    frame::{CloseFrame, FrameHeader, apply_mask},
};

use super::head::{self, Agreed};

/// A control frame's payload is shown whole.
const CONTROL: usize = 125;

/// From whom bytes come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Client,
    Server,
}

/// What both directions of a connection know of its opening handshake.
#[derive(Debug, Default)]
pub(super) struct Handshake {
    asked: bool,
    /// The response has come: whether it is 101.
    upgraded: Option<bool>,
    agreed: Agreed,
}

/// What was seen.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// A request or a response, without its content.
    Head(&'a [u8]),
    Frame(&'a Frame),
    /// A rule that the payload of a frame breaks which was shown already.
    Late(ProtocolError),
    /// From here on it is something else than WebSocket, which is passed on and not shown.
    Other(&'static str),
}

/// One frame, as its first bytes tell it.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) fin: bool,
    pub(super) rsv: u8,
    pub(super) opcode: u8,
    pub(super) mask: Option<[u8; 4]>,
    pub(super) length: u64,
    /// Its message is compressed.
    pub(super) compressed: bool,
    /// How its payload starts, unmasked.
    pub(super) start: Vec<u8>,
    /// Which rule it breaks.
    pub(super) invalid: Option<String>,
    /// The stream ended within it.
    pub(super) cut_off: bool,
    shown: bool,
    /// Bytes of payload that have passed.
    passed: u64,
}

impl Frame {
    pub(super) fn is_control(&self) -> bool {
        self.opcode & 0x8 != 0
    }

    fn broke(&mut self, rule: impl ToString) {
        self.invalid.get_or_insert_with(|| rule.to_string());
    }
}

/// One direction.
#[derive(Debug)]
pub(super) struct Observer {
    from: From,
    /// Bytes of payload that are shown.
    shown: usize,
    state: State,
    /// The message of which fragments have come.
    message: Option<Message>,
    closed: bool,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    /// Up to 14 bytes of a header.
    Header(Vec<u8>),
    Payload(Box<Frame>),
    Other,
}

#[derive(Debug)]
struct Message {
    compressed: bool,
    /// Of a text: the bytes of a character that is not whole yet.
    text: Option<Vec<u8>>,
    /// That it is no UTF-8 was told.
    told: bool,
}

impl Observer {
    pub(super) fn new(from: From, shown: usize) -> Self {
        Self { from, shown, state: State::Head(Vec::new()), message: None, closed: false }
    }

    /// The first head is not whole yet.
    pub(super) fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_))
    }

    /// Looks at what has come.
    pub(super) fn see(&mut self, mut bytes: &[u8], handshake: &mut Handshake, tell: &mut dyn FnMut(Seen<'_>)) {
        // The response has shown that the requests were for something else.
        if handshake.upgraded == Some(false) && !matches!(self.state, State::Head(_)) {
            self.state = State::Other;
        }
        while !bytes.is_empty() {
            bytes = match &mut self.state {
                State::Head(_) => self.head(bytes, handshake, tell),
                State::Header(_) => self.header(bytes, handshake, tell),
                State::Payload(_) => self.payload(bytes, tell),
                State::Other => return,
            };
        }
    }

    /// The stream has ended: a frame of which only a part came is shown as it is.
    pub(super) fn end(&mut self, tell: &mut dyn FnMut(Seen<'_>)) {
        match std::mem::replace(&mut self.state, State::Other) {
            State::Payload(mut frame) if !frame.shown => {
                frame.cut_off = true;
                tell(Seen::Frame(&frame));
            }
            State::Payload(_) => tell(Seen::Other("the stream ended within a frame")),
            State::Header(bytes) if !bytes.is_empty() => {
                tell(Seen::Other("the stream ended within the header of a frame"))
            }
            State::Head(bytes) if !bytes.is_empty() => tell(Seen::Other("the stream ended within a head")),
            _ => {}
        }
    }

    fn head<'b>(&mut self, bytes: &'b [u8], handshake: &mut Handshake, tell: &mut dyn FnMut(Seen<'_>)) -> &'b [u8] {
        let State::Head(head) = &mut self.state else { return bytes };
        let before = head.len();
        head.extend_from_slice(&bytes[..bytes.len().min(head::LONGEST - before)]);
        let Some(end) = head::end(head, before) else {
            if head.len() == head::LONGEST {
                self.other("a head above 64 KiB: what follows is not shown", tell);
                return &[];
            }
            return &bytes[head.len() - before..];
        };
        head.truncate(end);
        let (head, rest) = (std::mem::take(head), &bytes[end - before..]);
        match (self.from, head::status(&head)) {
            (From::Server, None) => self.other("no HTTP response: what follows is not shown", tell),
            (From::Client, _) => {
                tell(Seen::Head(&head));
                handshake.asked = head::asks_to_upgrade(&head);
                match handshake.asked {
                    true => self.state = State::Header(Vec::new()),
                    false => self.other("plain HTTP: what follows is not shown", tell),
                }
            }
            (From::Server, Some(status)) => {
                tell(Seen::Head(&head));
                match status {
                    101 if handshake.asked => {
                        *handshake = Handshake { upgraded: Some(true), agreed: head::agreed(&head), ..*handshake };
                        self.state = State::Header(Vec::new());
                    }
                    // Interim responses come before the one that counts (RFC 9110, 15.2).
                    100 | 102..=199 => self.state = State::Head(Vec::new()),
                    _ => {
                        handshake.upgraded = Some(false);
                        self.other("plain HTTP: what follows is not shown", tell);
                    }
                }
            }
        }
        rest
    }

    fn other(&mut self, why: &'static str, tell: &mut dyn FnMut(Seen<'_>)) {
        self.state = State::Other;
        tell(Seen::Other(why));
    }

    fn header<'b>(&mut self, bytes: &'b [u8], handshake: &Handshake, tell: &mut dyn FnMut(Seen<'_>)) -> &'b [u8] {
        let State::Header(header) = &mut self.state else { return bytes };
        let before = header.len();
        header.extend_from_slice(&bytes[..bytes.len().min(FrameHeader::MAX - before)]);
        let Some((mut frame, length)) = read_header(header) else { return &bytes[header.len() - before..] };
        if let Err(error) = FrameHeader::parse(header) {
            frame.broke(error);
        }
        self.check(&mut frame, handshake);
        self.state = State::Payload(Box::new(frame));
        // An empty payload is complete at once.
        self.payload(&bytes[length - before..], tell)
    }

    /// The rules that its header tells, beside those of its form.
    fn check(&mut self, frame: &mut Frame, handshake: &Handshake) {
        match (self.from, frame.mask) {
            (From::Client, None) => frame.broke(ProtocolError::UnmaskedFrame),
            (From::Server, Some(_)) => frame.broke(ProtocolError::MaskedFrame),
            _ => {}
        }
        if self.closed {
            frame.broke("a frame behind the Close (RFC 6455 section 5.5.1)");
        }
        let agreed = handshake.agreed;
        let compressed = agreed.deflate && frame.rsv & 4 != 0 && matches!(frame.opcode, 1 | 2);
        let known = agreed.unknown || handshake.upgraded.is_none() || frame.rsv == if compressed { 4 } else { 0 };
        if !known {
            frame.broke(ProtocolError::ReservedBits(frame.rsv));
        }
        match frame.opcode {
            0 if self.message.is_none() => frame.broke(ProtocolError::UnexpectedContinuation),
            1 | 2 => {
                if self.message.is_some() {
                    frame.broke(ProtocolError::InterruptedMessage);
                }
                let text = (frame.opcode == 1 && !compressed).then(Vec::new);
                self.message = Some(Message { compressed, text, told: false });
            }
            8 => self.closed = true,
            _ => {}
        }
        frame.compressed = !frame.is_control() && self.message.as_ref().is_some_and(|message| message.compressed);
    }

    fn payload<'b>(&mut self, bytes: &'b [u8], tell: &mut dyn FnMut(Seen<'_>)) -> &'b [u8] {
        let State::Payload(frame) = &mut self.state else { return bytes };
        let left = frame.length - frame.passed;
        let (mine, rest) = bytes.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()));
        let most = if frame.is_control() { self.shown.max(CONTROL) } else { self.shown };
        let text = self.message.as_mut().filter(|_| !frame.is_control()).filter(|message| message.text.is_some());

        // Only what is shown or checked is unmasked, in a copy.
        let wanted = if text.is_some() { mine.len() } else { mine.len().min(most - frame.start.len()) };
        let mut plain = mine[..wanted].to_vec();
        if let Some(key) = frame.mask {
            apply_mask(&mut plain, key, (frame.passed % 4) as usize);
        }
        frame.start.extend_from_slice(&plain[..plain.len().min(most - frame.start.len())]);
        frame.passed += mine.len() as u64;
        let whole = frame.passed == frame.length;

        let mut late = None;
        if let Some(message) = text
            && !is_utf8_so_far(message, &plain, whole && frame.fin)
        {
            late = Some(ProtocolError::InvalidUtf8);
        }
        if let (Some(error), false) = (late, frame.shown) {
            frame.broke(error);
            late = None;
        }
        if frame.opcode == 8
            && whole
            && let Err(error) = CloseFrame::parse(&frame.start)
        {
            frame.broke(error);
        }
        if !frame.shown && (whole || frame.start.len() == most) {
            frame.shown = true;
            tell(Seen::Frame(frame));
        }
        if let Some(error) = late {
            tell(Seen::Late(error));
        }
        if whole {
            if frame.fin && !frame.is_control() {
                self.message = None;
            }
            self.state = State::Header(Vec::new());
        }
        rest
    }
}

/// Reads a header whatever rules it breaks, and its length; `None` while it is incomplete.
fn read_header(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (length, at) = match second & 0x7F {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let mask = if second & 0x80 != 0 { Some(*bytes.get(at..)?.first_chunk()?) } else { None };
    let end = at + if mask.is_some() { 4 } else { 0 };
    let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 0x7, first & 0xF);
    Some((Frame { fin, rsv, opcode, mask, length, ..Frame::default() }, end))
}

/// Whether the text is UTF-8 up to here; told once.
fn is_utf8_so_far(message: &mut Message, bytes: &[u8], last: bool) -> bool {
    let Some(tail) = &mut message.text else { return true };
    if message.told {
        return true;
    }
    tail.extend_from_slice(bytes);
    let (rest, broken) = match std::str::from_utf8(tail) {
        Ok(_) => (Vec::new(), false),
        Err(error) => (tail[error.valid_up_to()..].to_vec(), error.error_len().is_some() || last),
    };
    *tail = if broken { Vec::new() } else { rest };
    message.told = broken;
    !broken
}

#[cfg(test)]
mod tests;
