//! Backpressure: how much waits to be sent decides how much is read.

use std::num::NonZeroU32;

use super::{Connection, flags::Flag};

impl Connection {
    /// An event is about to be handed out: what is queued from here on answers it.
    #[inline]
    pub(super) fn note_waiting(&mut self) {
        self.before = NonZeroU32::new(clamp(self.waiting()).saturating_add(1));
    }

    /// What was queued since an event was handed out is the answer to it.
    #[inline]
    pub(super) fn count_answers(&mut self) {
        let Some(before) = self.before.take() else { return };
        let (waiting, before) = (clamp(self.waiting()), before.get() - 1);
        if waiting > before {
            self.forget_answers();
            let [_, newer] = &mut self.answers;
            newer.bytes = newer.bytes.saturating_add(waiting - before);
            newer.end = self.queue.progress().wrapping_add(waiting);
        }
    }

    /// Answers that have left do not count. Two sums suffice: when the last of the older ones has left, the newer ones
    /// are the older ones. Called before each write, so that the counter's wrap is never taken for progress.
    #[inline]
    pub(super) fn forget_answers(&mut self) {
        let taken = self.queue.progress();
        for _ in 0..2 {
            if self.answers[0].ahead(taken) == 0 {
                self.answers = [self.answers[1], Answers::default()];
            }
        }
    }

    /// Backpressure works both ways: while more answers than the high-water mark wait, and down to the low one, nothing is
    /// read from the peer. Only answers count: two ends that both stopped to read because of what they wanted to say
    /// would wait for each other for ever.
    pub(super) fn withholds(&mut self) -> bool {
        self.look_at_sent();
        let withheld = self.is_withheld();
        self.flags.set(Flag::Withheld, withheld);
        withheld
    }

    pub(super) fn is_withheld(&self) -> bool {
        let taken = self.queue.progress();
        let answers = self.answers.map(|answers| answers.bytes.min(answers.ahead(taken)) as usize);
        let answers = self.waiting().min(answers[0] + answers[1]);
        let mark =
            if self.flags.has(Flag::Withheld) { self.config.low_water_mark() } else { self.config.high_water_mark() };
        // Small answers reach the limit of messages first. What else waits is not the peer's doing.
        answers > mark || (answers > self.waiting() / 2 && self.is_long())
    }

    /// So little waits to be sent that it cannot hold back what is read: no more than the high-water mark, and few messages.
    #[inline]
    pub(super) fn has_little_to_say(&self) -> bool {
        let waiting = self.queue.len();
        waiting == 0
            || (waiting <= self.config.high_water_mark() && self.queue.counted_at_most() <= self.few_messages())
    }

    /// More messages wait than half of those that may, and down to a quarter.
    fn is_long(&self) -> bool {
        let most = if self.flags.has(Flag::Withheld) { self.few_messages() } else { self.many_messages() };
        self.messages_at_most() > most && self.messages() > most
    }

    /// So many bytes less wait apart than were counted, for they were dropped, replaced or compressed: what is behind them
    /// leaves sooner.
    pub(super) fn line_shrank(&mut self, bytes: usize) {
        let (taken, queued) = (self.queue.progress(), clamp(self.queue.len()));
        for answers in &mut self.answers {
            let apart = answers.ahead(taken).saturating_sub(queued);
            answers.end = answers.end.wrapping_sub(apart.min(clamp(bytes)));
        }
        self.before =
            self.before.map(|before| NonZeroU32::MIN.saturating_add((before.get() - 1).saturating_sub(clamp(bytes))));
    }
}

/// Bytes of answers, and what `SendQueue::progress` says when the last of them has left.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answers {
    bytes: u32,
    end: u32,
}

impl Answers {
    /// Bytes to go until the last of them has left.
    fn ahead(self, taken: u32) -> u32 {
        let ahead = self.end.wrapping_sub(taken);
        if self.bytes == 0 || ahead > MOST { 0 } else { ahead }
    }
}

/// Half of what 32 bits count, so that what is ahead and what has passed are told apart.
const MOST: u32 = u32::MAX / 2;

fn clamp(bytes: usize) -> u32 {
    u32::try_from(bytes).map_or(MOST, |bytes| bytes.min(MOST))
}
