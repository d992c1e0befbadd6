//! What a driver asks a connection, and does: bytes out, and when to call again.

use super::{Connection, closing::State, flags::Flag};
use crate::{buffer::SendQueue, http::Transport};

impl Connection {
    /// What waits to be sent: write [`bytes::Buf::chunks_vectored`], then [`bytes::Buf::advance`]. While
    /// [`Connection::wants_write`], there is more behind it: what waits apart for a slow peer joins in here.
    #[inline]
    pub fn transmit(&mut self) -> &mut SendQueue {
        self.forget_answers();
        self.count_taken();
        self.look_at_sent();
        self.refill();
        &mut self.queue
    }

    /// Lends storage for small messages to a queue that lacks it: about to send, not to write.
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn lend(&mut self, storage: impl FnOnce() -> Option<Vec<u8>>) {
        if self.queue.wants_storage()
            && let Some(storage) = storage()
        {
            self.queue.lend(storage);
        }
    }

    /// Does the connection want bytes from the stream?
    pub fn wants_read(&self) -> bool {
        self.is_undisturbed() || self.wants_read_now()
    }

    fn wants_read_now(&self) -> bool {
        match self.state {
            State::Open | State::AwaitingClose => {
                !self.flags.has(Flag::Eof) && !self.flags.has(Flag::Paused) && !self.is_withheld()
            }
            State::Flushing | State::AwaitingEof => !self.flags.has(Flag::Eof),
            State::Closed => false,
        }
    }

    /// Does anything wait to be sent?
    pub fn wants_write(&self) -> bool {
        !self.queue.is_empty() || self.rare.backlog().is_some_and(|backlog| !backlog.is_empty())
    }

    /// Would [`Connection::poll_event`] have something to do without new bytes?
    pub fn wants_poll(&self) -> bool {
        let flushed = self.state == State::Flushing && self.queue.is_empty();
        let ended = matches!(self.state, State::AwaitingEof | State::Closed)
            && !self.rare.ending().is_some_and(|ending| ending.reported);
        let reading = matches!(self.state, State::Open | State::AwaitingClose) && !self.flags.has(Flag::Paused);
        let released = reading && self.flags.has(Flag::Withheld) && !self.is_withheld();
        let told = !self.rare.backlog().is_some_and(|backlog| backlog.has_news());
        !self.flags.has(Flag::Opened) || !told || flushed || ended || released || self.drain_is_due()
    }

    /// Without new bytes [`Connection::poll_event`] would do nothing at all. (It may do nothing, too, where this is false.)
    /// Between two times at which this is so, [`Connection::poll_timeout`] has only moved later, unless
    /// [`Connection::awaits_life`] was so at the first, there was a pause, or there is a compressor at the second.
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn rests(&self) -> bool {
        self.before.is_none() && self.is_undisturbed()
    }

    /// Takes back what was lent, of a queue that is empty.
    #[cfg(feature = "net")]
    #[inline]
    pub(crate) fn reclaim(&mut self) -> Option<Vec<u8>> {
        self.queue.reclaim()
    }

    /// What the driver has to do with its stream.
    pub fn transport(&self) -> Transport {
        match self.state {
            State::Closed => Transport::Close,
            State::AwaitingEof if !self.rare.is_client() => Transport::ShutdownWrite,
            State::Flushing if self.queue.is_empty() && !self.rare.is_client() => Transport::ShutdownWrite,
            _ => Transport::Open,
        }
    }

    /// Bytes that wait to be sent, as the W3C's `bufferedAmount`, with the bytes of the frames.
    pub fn buffered_amount(&self) -> usize {
        self.waiting()
    }
}
