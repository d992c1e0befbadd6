//! What can happen to the two, and what it does.

use std::time::Duration;

use arbitrary::Arbitrary;
use wireroom::{CloseCode, SlowConsumer};

use super::Pair;

/// The first field says at which end.
#[derive(Arbitrary, Debug)]
pub(super) enum Operation {
    Send {
        client: bool,
        text: bool,
        via: Via,
        length: u16,
    },
    /// A prepared message that says what becomes of it when its peer is slow.
    Wish {
        client: bool,
        text: bool,
        policy: Option<Policy>,
        key: Option<u8>,
        length: u16,
    },
    /// A fragment, or the end of the message.
    Fragment {
        client: bool,
        text: bool,
        length: u16,
    },
    Finish {
        client: bool,
    },
    Ping {
        client: bool,
        length: u8,
    },
    Pong {
        client: bool,
        length: u8,
    },
    Measure {
        client: bool,
    },
    Close {
        client: bool,
        code: u16,
    },
    Pause {
        client: bool,
    },
    Resume {
        client: bool,
    },
    Streaming {
        client: bool,
        on: bool,
    },
    Echo {
        client: bool,
        on: bool,
    },
    /// Messages are taken out of the buffer.
    Take {
        client: bool,
        on: bool,
    },
    /// At most so many bytes are written by one end and read by the other.
    Move {
        client: bool,
        written: u16,
        read: u16,
    },
    Flow,
    Wait {
        milliseconds: u16,
    },
    WaitLong {
        seconds: u8,
    },
    WaitDays {
        days: u8,
    },
    Watch {
        client: bool,
        frames: u8,
    },
    // Faults.
    Abort {
        client: bool,
    },
    /// What is on its way to this end is lost, and so is all that follows.
    Vanish {
        client: bool,
    },
    HalfClose {
        client: bool,
    },
    Reset {
        client: bool,
    },
    Corrupt {
        client: bool,
        at: u16,
        with: u8,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(super) enum Via {
    Send,
    Bytes,
    Prepared,
    /// Text that is none.
    Broken,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
pub(super) enum Policy {
    Refuse,
    Close,
    DropNewest,
    DropOldest,
}

impl From<Policy> for SlowConsumer {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Refuse => SlowConsumer::Refuse,
            Policy::Close => SlowConsumer::Close(CloseCode::TRY_AGAIN_LATER),
            Policy::DropNewest => SlowConsumer::DropNewest,
            Policy::DropOldest => SlowConsumer::DropOldest,
        }
    }
}

/// Mostly small, sometimes above what a run of the send queue holds.
fn size(length: u16) -> usize {
    let length = usize::from(length);
    match length {
        0..0xC000 => length % 300,
        0xC000..0xF000 => length % 5000,
        _ => (length & 0xFFF) * 16,
    }
}

impl Pair {
    pub(super) fn perform(&mut self, operation: Operation) {
        use Operation as O;
        let (now, most) = (self.now, self.config.max_message_size());
        match operation {
            O::Send { client, text, via, length } => self.end(client).send(text, via, size(length).min(most)),
            O::Wish { client, text, policy, key, length } => {
                let key = key.map(|key| key % 4);
                self.end(client).send_wish(text, policy.map(SlowConsumer::from), key, size(length).min(most));
            }
            O::Fragment { client, text, length } => self.end(client).fragment(text, size(length), most),
            O::Finish { client } => self.end(client).finish(),
            O::Ping { client, length } => self.end(client).control(true, length),
            O::Pong { client, length } => self.end(client).control(false, length),
            O::Measure { client } => self.end(client).measure(now),
            O::Close { client, code } => self.end(client).close(code, now),
            O::Pause { client } => self.end(client).pause(),
            O::Resume { client } => self.end(client).resume(now),
            O::Streaming { client, on } => self.end(client).set_streaming(on),
            O::Echo { client, on } => {
                // Not both at once: a message would go to and fro for ever.
                self.end(!client).echoes &= !on;
                self.end(client).echoes = on;
            }
            O::Take { client, on } => self.end(client).takes = on,
            O::Move { client, written, read } => {
                self.carry(client, written.into(), read.into());
            }
            O::Flow => self.flow(),
            O::Wait { milliseconds } => self.wait(Duration::from_millis(milliseconds.into())),
            O::WaitLong { seconds } => self.wait(Duration::from_secs(seconds.into())),
            O::WaitDays { days } => self.wait(Duration::from_secs(24 * 3600) * days.into()),
            O::Watch { client, frames } => self.end(client).watch(frames.into()),
            O::Abort { client } => {
                self.end(!client).excused = true;
                self.end(client).abort();
            }
            O::Vanish { client } => {
                self.end(client).excused = true;
                self.end(client).vanished = true;
                self.end(client).incoming.clear();
            }
            O::HalfClose { client } => self.end(client).hears_the_end(),
            O::Reset { client } => {
                self.end(!client).excused = true;
                self.end(client).is_reset();
            }
            O::Corrupt { client, at, with } => self.end(client).corrupt(at.into(), with),
        }
        for client in [true, false] {
            self.poll(client);
        }
    }
}
