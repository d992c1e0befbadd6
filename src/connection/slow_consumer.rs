//! Slow consumers: where a message goes that finds its peer behind and how it comes back.
//!
//! What keeps up pays a few comparisons for each message. Above the high-water mark, or half of the messages that may wait,
//! [`Connection::decide`] looks closer; what may be dropped or replaced goes to the [`Backlog`], and from there, in order,
//! to the send queue as that empties. Only an open connection that is not within a message in fragments has one: what
//! comes after it (a fragment, a Close) frames it whole before.

use std::time::Instant;

use super::{
    Cause, Connection, Dropped, Initiator, SendStatus, State,
    backlog::{Content, Offer, Place, Sum},
    closing::{Input, Output},
    flags::Flag,
};
use crate::{
    error::SendError,
    frame::{CloseCode, CloseFrame, FrameHeader},
    message::SlowConsumer,
};

/// How the frames begin that end a message: FIN, and no control frame (RFC 6455 section 5.2).
fn ends_message(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 0x88 == 0x80)
}

impl Connection {
    /// Most sends: with this message no more than the low-water mark waits, and fewer bytes than messages may. A frame has
    /// two bytes at least, so neither a mark nor a limit is reached then, and nothing more has to be asked before or after.
    #[inline]
    pub(super) fn has_room_for(&self, payload: usize) -> bool {
        // What cannot be compressed grows a little.
        let bytes = self.queue.len().saturating_add(payload).saturating_add(FrameHeader::MAX + 32 + payload / 256);
        bytes <= self.config.low_water_mark()
            && bytes < self.config.max_send_messages() as usize
            && self.rare.backlog().is_none()
    }

    /// True while no mark and no limit is reached.
    fn keeps_up(&self) -> bool {
        let (config, bytes) = (&self.config, self.queue.len());
        self.rare.backlog().is_none()
            && bytes <= config.high_water_mark().min(config.max_send_buffer() - 1)
            && self.queue.counted_at_most() <= config.max_send_messages() as usize / 2
    }

    /// Where a message goes: `None` into the send queue, by the caller, as always. Everything else is done here.
    #[cold]
    pub(super) fn decide(&mut self, offer: Offer<'_>) -> Result<Option<SendStatus>, SendError> {
        if self.keeps_up() {
            return Ok(None);
        }
        self.refill();
        let policy = offer.own_policy().unwrap_or(self.config.slow_consumer());
        if let Some(error) = self.full_without(Sum::of(self.outdated_by(&offer))) {
            match policy {
                SlowConsumer::Refuse => return Err(self.refuse(error)),
                SlowConsumer::Close(code) => return Err(self.close_on_slow_consumer(code, error)),
                SlowConsumer::DropOldest if self.make_room(&offer) => {}
                SlowConsumer::DropNewest | SlowConsumer::DropOldest => {
                    self.flags.set(Flag::DrainOwed, true);
                    self.rare.backlog_or_default().dropped.newest += 1;
                    return Ok(Some(SendStatus::Dropped));
                }
            }
        }
        let droppable = policy == SlowConsumer::DropOldest;
        let apart = self.rare.backlog().is_some_and(|backlog| !backlog.is_empty());
        if !apart && !((droppable || offer.key().is_some()) && self.is_crowded()) {
            return Ok(None);
        }
        let place = self.outdated_by(&offer);
        let mask = self.rare.is_client().then_some([0; 4]);
        let size = offer.payload() + FrameHeader::of_message(offer.payload(), mask).encode().1;
        let content = self.content(offer);
        let backlog = self.rare.backlog_or_default();
        match place {
            Some(place) => {
                backlog.replace(place, content, size, droppable);
                backlog.dropped.replaced += 1;
                self.line_shrank(place.size.saturating_sub(size));
            }
            None => backlog.push(content, size, droppable),
        }
        self.count_waiting();
        self.flags.set(Flag::DrainOwed, true);
        Ok(Some(SendStatus::Backpressure))
    }

    #[cfg(not(feature = "deflate"))]
    fn content(&self, offer: Offer<'_>) -> Content {
        Content::from(offer)
    }

    /// Compressed forms cost more than a small message.
    #[cfg(feature = "deflate")]
    fn content(&self, offer: Offer<'_>) -> Content {
        match (offer, self.rare.deflate()) {
            (Offer::Prepared(message), None) => Content::Prepared(message.plain()),
            (offer, _) => Content::from(offer),
        }
    }

    /// May a fragment be queued? It is refused, or closes; a part of a message cannot be dropped.
    pub(super) fn check_fragment(&mut self) -> Result<(), SendError> {
        self.note_empty();
        if self.keeps_up() {
            return Ok(());
        }
        self.refill();
        match (self.full_without(Sum::default()), self.config.slow_consumer()) {
            (None, _) => Ok(()),
            (Some(error), SlowConsumer::Close(code)) => Err(self.close_on_slow_consumer(code, error)),
            (Some(error), _) => Err(self.refuse(error)),
        }
    }

    /// Control frames are not counted as messages.
    pub(super) fn check_control(&mut self) -> Result<(), SendError> {
        match self.full_without(Sum::default()) {
            Some(error @ SendError::BufferFull { .. }) => Err(self.refuse(error)),
            _ => Ok(()),
        }
    }

    /// How full the queue is, with a message for which there was room or not.
    #[inline]
    pub(super) fn status_with(&mut self, room: bool) -> SendStatus {
        if room { SendStatus::Queued } else { self.status() }
    }

    /// How full the queue is now.
    #[cold]
    pub(super) fn status(&mut self) -> SendStatus {
        if self.keeps_up() || !self.is_crowded() {
            return SendStatus::Queued;
        }
        self.flags.set(Flag::DrainOwed, true);
        SendStatus::Backpressure
    }

    /// Is `Event::Drain` due?
    pub(super) fn drain_is_due(&self) -> bool {
        let low = self.config.low_water_mark();
        let few = self.few_messages();
        self.flags.has(Flag::DrainOwed)
            && self.state == State::Open
            && self.waiting() <= low
            && (self.messages_at_most() <= few || self.messages() <= few)
    }

    /// Messages that wait, apart or not, or a few more: those that have left are not looked at.
    pub(super) fn messages_at_most(&self) -> usize {
        self.queue.counted_at_most() + self.apart().messages
    }

    /// Messages that wait, apart or not.
    pub(super) fn messages(&self) -> usize {
        self.queue.counted(FrameHeader::frame_length, ends_message) + self.apart().messages
    }

    /// Looks at the frames that have left, each once, where there are so many that it matters.
    pub(super) fn look_at_sent(&mut self) {
        if self.queue.counted_at_most() > self.few_messages() {
            self.queue.forget_sent(FrameHeader::frame_length, ends_message);
        }
    }

    /// What waits apart joins the queue when little is left in it.
    #[inline]
    pub(super) fn refill(&mut self) {
        if self.rare.backlog().is_some() {
            self.refill_from_backlog();
        }
    }

    #[cold]
    fn refill_from_backlog(&mut self) {
        while self.queue.len() <= self.config.low_water_mark() && !self.queue_has_more_than(self.few_messages()) {
            let Some((content, size)) = self.rare.backlog_mut().and_then(|backlog| backlog.pop()) else { break };
            self.frame(&content, size);
        }
        if self.rare.backlog().is_some_and(|backlog| backlog.is_empty() && !backlog.has_news()) {
            self.rare.remove_backlog();
        }
    }

    /// What waits apart is framed, whatever that comes to: something has to follow it that cannot wait apart.
    pub(super) fn frame_all(&mut self) {
        while let Some((content, size)) = self.rare.backlog_mut().and_then(|backlog| backlog.pop()) {
            self.frame(&content, size);
        }
    }

    fn frame(&mut self, content: &Content, size: usize) {
        let before = self.queue.len();
        self.append_content(content);
        // Compressed it may be shorter.
        self.line_shrank(size.saturating_sub(self.queue.len() - before));
    }

    /// What waits apart is lost with its connection.
    pub(super) fn forget_backlog(&mut self) {
        if let Some(backlog) = self.rare.backlog_mut() {
            backlog.forget();
        }
    }

    /// The part of `poll_event` that only a slow peer's connection has.
    #[cold]
    pub(super) fn look_at_backlog(&mut self, now: Instant) -> Option<Dropped> {
        self.begin_late_close(now);
        let dropped = self.rare.backlog_mut().map(|backlog| std::mem::take(&mut backlog.dropped));
        self.refill();
        dropped.filter(|dropped| *dropped != Dropped::default())
    }

    /// `send` knows no time: the closing deadline of a Close that it queued is counted from here.
    pub(super) fn begin_late_close(&mut self, now: Instant) {
        if self.closes_late() {
            self.timers.begin_close(now, &self.config);
            if let Some(backlog) = self.rare.backlog_mut() {
                backlog.closes = false;
            }
        }
    }

    pub(super) fn closes_late(&self) -> bool {
        self.rare.backlog().is_some_and(|backlog| backlog.closes)
    }

    fn refuse(&mut self, error: SendError) -> SendError {
        self.flags.set(Flag::DrainOwed, true);
        error
    }

    fn close_on_slow_consumer(&mut self, code: CloseCode, error: SendError) -> SendError {
        if self.step(Input::LocalClose) == Output::SendClose {
            // The peer's answer has to be read.
            self.flags.set(Flag::Paused, false);
            self.ending().cause.get_or_insert(Cause::SlowConsumer);
            self.queue_close(CloseFrame::new(code, "slow consumer"), Initiator::Local);
            self.rare.backlog_or_default().closes = true;
        }
        error
    }

    /// Drops the oldest that may go until `offer` fits. None is dropped if that would not do.
    fn make_room(&mut self, offer: &Offer<'_>) -> bool {
        let could_go = self.rare.backlog().map(|backlog| backlog.could_go(self.outdated_by(offer)));
        if self.full_without(could_go.unwrap_or_default()).is_some() {
            return false;
        }
        while self.full_without(Sum::of(self.outdated_by(offer))).is_some() {
            let Some(backlog) = self.rare.backlog_mut() else { return false };
            let Some(size) = backlog.drop_oldest() else { return false };
            backlog.dropped.oldest += 1;
            self.line_shrank(size);
        }
        true
    }

    /// What waits apart and is replaced by `offer`.
    fn outdated_by(&self, offer: &Offer<'_>) -> Option<Place> {
        self.rare.backlog()?.find(offer.key()?)
    }

    /// The limit that is reached, were it not for `gone`.
    fn full_without(&mut self, gone: Sum) -> Option<SendError> {
        let (apart, limit) = (self.apart(), self.config.max_send_buffer());
        let buffered = self.queue.len() + apart.held();
        if buffered - gone.held() >= limit {
            return Some(SendError::BufferFull { buffered, limit });
        }
        let limit = self.config.max_send_messages();
        let apart = apart.messages - gone.messages;
        let is_full = apart >= limit as usize || self.queue_has_more_than(limit as usize - apart - 1);
        is_full.then_some(SendError::QueueFull { limit })
    }

    /// Above the marks, at which a peer counts as slow.
    fn is_crowded(&mut self) -> bool {
        let (apart, many) = (self.apart().messages, self.many_messages());
        self.waiting() > self.config.high_water_mark() || apart > many || self.queue_has_more_than(many - apart)
    }

    /// The high mark of messages.
    pub(super) fn many_messages(&self) -> usize {
        self.config.max_send_messages() as usize / 2
    }

    /// The low mark of messages.
    pub(super) fn few_messages(&self) -> usize {
        self.config.max_send_messages() as usize / 4
    }

    /// Frames that have left are looked at once at most.
    fn queue_has_more_than(&mut self, messages: usize) -> bool {
        if self.queue.counted_at_most() <= messages {
            return false;
        }
        self.queue.forget_sent(FrameHeader::frame_length, ends_message);
        self.queue.counted_at_most() > messages
    }

    fn apart(&self) -> Sum {
        self.rare.backlog().map_or(Sum::default(), |backlog| backlog.all())
    }

    /// Bytes that wait to be sent, apart or not.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.queue.len() + self.rare.backlog().map_or(0, |backlog| backlog.all().bytes)
    }
}
