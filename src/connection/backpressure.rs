//! Backpressure: how much waits to be sent decides how much is read.

use std::num::NonZeroU32;

use super::{Connection, State};

impl Connection {
    /// An event is about to be handed out: what is queued from here on answers it.
    pub(super) fn note_waiting(&mut self) {
        self.before = NonZeroU32::new(clamp(self.queue.len()).saturating_add(1));
    }

    /// What was queued since an event was handed out is the answer to it.
    pub(super) fn count_answers(&mut self) {
        let waiting = clamp(self.queue.len());
        let before = self.before.take().map_or(waiting, |before| before.get() - 1);
        self.answers = self.answers.saturating_add(waiting.saturating_sub(before)).min(waiting);
    }

    /// Backpressure works both ways: while more answers than the high-water mark wait, and down to the low one, nothing is
    /// read from the peer. Only answers count: two ends that both stopped to read because of what they wanted to say
    /// would wait for each other for ever.
    pub(super) fn withholds(&mut self) -> bool {
        self.withheld = self.is_withheld();
        self.withheld
    }

    pub(super) fn is_withheld(&self) -> bool {
        let waiting = self.queue.len().min(self.answers as usize);
        let mark = if self.withheld { self.config.low_water_mark() } else { self.config.high_water_mark() };
        waiting > mark
    }

    pub(super) fn drain_is_due(&self) -> bool {
        self.drain_owed && self.state == State::Open && self.queue.len() <= self.config.low_water_mark()
    }
}

fn clamp(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
