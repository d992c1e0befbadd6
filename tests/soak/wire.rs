//! What the clients and the server say to each other, in messages of either kind.
//!
//! | from | message | |
//! |---|---|---|
//! | client | empty, or `e..`, `E..` | to be sent back; `E` in one frame |
//! | client | `jROOM`, `lROOM` | joins, leaves; leaving is answered with `LROOM` |
//! | client | `c..` | a [`Chat`], passed on as it is to the others in its rooms, or to all |
//! | client | `q` | answered with `Q` and a [`Census`] |
//! | client | `kCODE`, `a` | is closed, aborted |
//! | client | `pMILLIS` | is not read for so long |
//! | server | `tN` | the N-th tick, to everyone |

use wireroom::{Kind, Message};

use crate::random::Random;

/// Of each kind, what bodies are cut from.
const POOL: usize = 512 * 1024;
/// Longest body.
pub(crate) const LONGEST: usize = 110 * 1024;

/// A message for rooms: `c`, `+` for all or `-` for all but the sender, rooms, sender, number, digest, `|`, body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Chat<'m> {
    pub(crate) including_me: bool,
    /// One name, or two with a `+` between them.
    pub(crate) rooms: &'m str,
    pub(crate) sender: u64,
    /// Counts the messages of this sender with these `rooms`.
    pub(crate) number: u64,
    pub(crate) body: &'m [u8],
}

impl<'m> Chat<'m> {
    /// `None` when it is none, or its digest is not that of its content.
    pub(crate) fn parse(bytes: &'m [u8]) -> Option<Self> {
        let head = bytes.iter().take(100).position(|byte| *byte == b'|')?;
        let (head, body) = (std::str::from_utf8(&bytes[..head]).ok()?, &bytes[head + 1..]);
        let mut words = head.strip_prefix('c')?.split(' ');
        let rooms = words.next()?;
        let sender = words.next()?.parse().ok()?;
        let number = words.next()?.parse().ok()?;
        let digest = u64::from_str_radix(words.next()?, 16).ok()?;
        let chat = Self { including_me: rooms.starts_with('+'), rooms: rooms.get(1..)?, sender, number, body };
        (chat.digest() == digest).then_some(chat)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let Self { including_me, rooms, sender, number, body } = self;
        let sign = if *including_me { '+' } else { '-' };
        let mut bytes = format!("c{sign}{rooms} {sender} {number} {:x}|", self.digest()).into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }

    fn digest(&self) -> u64 {
        digest(self.body) ^ digest(self.rooms.as_bytes()) ^ self.sender.rotate_left(17) ^ self.number
    }
}

/// What the server knows of one connection, up to this message.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Census {
    /// Messages that came from it.
    pub(crate) heard: u64,
    /// Chat messages that it was among the recipients of.
    pub(crate) meant: u64,
    /// Of those, what its full queue refused.
    pub(crate) missed: u64,
    /// Ticks since it opened.
    pub(crate) ticks: u64,
    /// Of those, at most so many were refused.
    pub(crate) ticks_missed: u64,
    /// Messages that were not sent back to it, for its queue was full.
    pub(crate) echoes_refused: u64,
}

impl Census {
    pub(crate) fn encode(&self) -> String {
        let Self { heard, meant, missed, ticks, ticks_missed, echoes_refused } = self;
        format!("Q{heard} {meant} {missed} {ticks} {ticks_missed} {echoes_refused}")
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix('Q')?.split(' ').map(str::parse);
        let mut next = || words.next()?.ok();
        Some(Self {
            heard: next()?,
            meant: next()?,
            missed: next()?,
            ticks: next()?,
            ticks_missed: next()?,
            echoes_refused: next()?,
        })
    }
}

/// FNV's idea, eight bytes at a time.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| step(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)));
    step(hash, bytes.len() as u64)
}

/// `bytes` as a message. What is said to be text is text.
pub(crate) fn message(kind: Kind, bytes: &[u8]) -> Message<'_> {
    match std::str::from_utf8(bytes) {
        Ok(text) if kind == Kind::Text => Message::from(text),
        _ => Message::from(bytes),
    }
}

/// What messages are filled with: text that compresses, of characters of one to four bytes, and bytes that do not.
#[derive(Debug)]
pub(crate) struct Pool {
    text: String,
    bytes: Vec<u8>,
}

impl Pool {
    pub(crate) fn new(random: &mut Random) -> Self {
        const WORDS: [&str; 12] =
            ["room", "wire", "the quick ", "fox", " ", "über", "ñandú ", "żółw", "日本語", "мир ", "😀", "🦀 "];
        let mut text = String::with_capacity(POOL + 16);
        while text.len() < POOL {
            text.push_str(random.pick::<&str>(&WORDS));
        }
        let bytes = (0..POOL).map(|_| random.next() as u8).collect();
        Self { text, bytes }
    }

    /// About `length` bytes from anywhere.
    pub(crate) fn body(&self, random: &mut Random, kind: Kind, length: usize) -> &[u8] {
        let from = random.below(POOL - length);
        match kind {
            Kind::Text => {
                let boundary = |at: usize| (0..=at).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
                &self.text.as_bytes()[boundary(from)..boundary(from + length)]
            }
            Kind::Binary => &self.bytes[from..from + length],
        }
    }
}

pub(crate) fn kind(random: &mut Random) -> Kind {
    if random.chance(500) { Kind::Text } else { Kind::Binary }
}
