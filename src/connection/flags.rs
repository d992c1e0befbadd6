//! What is so of a connection, or is not: a bit each, and one comparison for most of them.

/// One of them.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Flag {
    /// `Event::Open` was handed out.
    Opened = 1 << 0,
    /// The caller wants no more messages for now.
    Paused = 1 << 1,
    /// Too many answers wait to be sent: nothing more is read from this peer.
    Withheld = 1 << 2,
    /// A send answered with backpressure: `Event::Drain` is owed.
    DrainOwed = 1 << 3,
    /// The stream has ended.
    Eof = 1 << 4,
    /// The keepalive's Ping was queued while output was blocked, and nothing has left since.
    PingWaits = 1 << 5,
    /// A control frame waits in line: the next one must not overtake it.
    ControlWaits = 1 << 6,
    /// Of the message that is being sent in fragments a frame was queued.
    Begun = 1 << 7,
}

/// All of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    #[inline]
    pub(super) fn has(self, flag: Flag) -> bool {
        self.0 & flag as u8 != 0
    }

    #[inline]
    pub(super) fn set(&mut self, flag: Flag, is: bool) {
        self.0 = self.0 & !(flag as u8) | if is { flag as u8 } else { 0 };
    }

    /// Sets one, and answers what it was.
    #[inline]
    pub(super) fn replace(&mut self, flag: Flag, is: bool) -> bool {
        let was = self.has(flag);
        self.set(flag, is);
        was
    }

    /// Opened, and nothing holds back what is read or is to be told.
    #[inline]
    pub(super) fn let_receive(self) -> bool {
        use Flag::{DrainOwed, Eof, Opened, Paused, Withheld};
        let held = Paused as u8 | Withheld as u8 | DrainOwed as u8 | Eof as u8;
        self.0 & (Opened as u8 | held) == Opened as u8
    }
}

#[cfg(test)]
mod tests {
    use super::{Flag::*, *};

    #[test]
    fn each_is_a_bit_of_its_own() {
        let all = [Opened, Paused, Withheld, DrainOwed, Eof, PingWaits, ControlWaits, Begun];
        for flag in all {
            let mut flags = Flags::default();
            assert!(!flags.replace(flag, true) && flags.replace(flag, true));
            assert_eq!(all.iter().filter(|other| flags.has(**other)).count(), 1);
            assert_eq!(flags.let_receive(), matches!(flag, Opened));
            flags.set(Opened, true);
            assert_eq!(flags.let_receive(), matches!(flag, Opened | PingWaits | ControlWaits | Begun), "{flag:?}");
            flags.set(Opened, false);
            flags.set(flag, false);
            assert_eq!(flags, Flags::default());
        }
    }
}
