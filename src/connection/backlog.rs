//! What waits apart for a slow peer: whole messages that have not been framed, so that they can still be dropped or
//! replaced. It exists only for a connection that does not keep up.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;

use super::Dropped;
#[cfg(feature = "deflate")]
use crate::message::Compression;
use crate::message::{Kind, Message, PreparedMessage, SlowConsumer};

/// What a message apart counts against `Config::max_send_buffer` beside its frame: at least what it costs.
pub(super) const COST: usize = 128;
const _: () = assert!(size_of::<Waiting>() <= COST);

/// A message that is to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offer<'m> {
    #[cfg(not(feature = "deflate"))]
    Borrowed(Message<'m>),
    #[cfg(feature = "deflate")]
    Borrowed(Message<'m>, Compression),
    Shared(Kind, &'m Bytes),
    Prepared(&'m PreparedMessage),
}

impl<'m> Offer<'m> {
    pub(super) fn payload(&self) -> usize {
        match self {
            #[cfg(not(feature = "deflate"))]
            Offer::Borrowed(message) => message.as_bytes().len(),
            #[cfg(feature = "deflate")]
            Offer::Borrowed(message, _) => message.as_bytes().len(),
            Offer::Shared(_, payload) => payload.len(),
            Offer::Prepared(message) => message.payload().len(),
        }
    }

    pub(super) fn own_policy(&self) -> Option<SlowConsumer> {
        if let Offer::Prepared(message) = self { message.own_policy() } else { None }
    }

    pub(super) fn key(&self) -> Option<&'m Arc<str>> {
        if let Offer::Prepared(message) = self { message.key() } else { None }
    }
}

/// A message that waits apart.
#[derive(Debug)]
pub(super) enum Content {
    #[cfg(not(feature = "deflate"))]
    Plain(Kind, Bytes),
    #[cfg(feature = "deflate")]
    Plain(Kind, Bytes, Compression),
    Prepared(PreparedMessage),
}

/// Shared by count; only a borrowed payload is copied, once.
impl From<Offer<'_>> for Content {
    fn from(offer: Offer<'_>) -> Self {
        match offer {
            #[cfg(not(feature = "deflate"))]
            Offer::Borrowed(message) => Content::Plain(message.kind(), Bytes::copy_from_slice(message.as_bytes())),
            #[cfg(feature = "deflate")]
            Offer::Borrowed(message, compression) => {
                Content::Plain(message.kind(), Bytes::copy_from_slice(message.as_bytes()), compression)
            }
            #[cfg(not(feature = "deflate"))]
            Offer::Shared(kind, payload) => Content::Plain(kind, payload.clone()),
            #[cfg(feature = "deflate")]
            Offer::Shared(kind, payload) => Content::Plain(kind, payload.clone(), Compression::Auto),
            Offer::Prepared(message) => Content::Prepared(message.clone()),
        }
    }
}

impl Content {
    fn key(&self) -> Option<&Arc<str>> {
        if let Content::Prepared(message) = self { message.key() } else { None }
    }
}

/// A message's place in the line.
#[derive(Debug)]
struct Waiting {
    /// In order of the line.
    number: u64,
    /// `None`: a gap, where a message was dropped.
    content: Option<Content>,
    /// Bytes of its frame, not compressed.
    size: usize,
    /// Was it sent under `SlowConsumer::DropOldest`?
    droppable: bool,
}

/// What is known of a message in the line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    number: u64,
    pub(super) size: usize,
    droppable: bool,
}

/// How many messages, and what they count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Sum {
    pub(super) fn of(place: Option<Place>) -> Self {
        place.map_or(Sum::default(), |place| Sum { messages: 1, bytes: place.size })
    }

    /// What they count against `Config::max_send_buffer`.
    pub(super) fn held(self) -> usize {
        self.bytes + self.messages * COST
    }

    fn add(&mut self, size: usize) {
        self.messages += 1;
        self.bytes += size;
    }

    fn take(&mut self, size: usize) {
        self.messages -= 1;
        self.bytes -= size;
    }
}

#[derive(Debug, Default)]
pub(super) struct Backlog {
    line: VecDeque<Waiting>,
    gaps: usize,
    next: u64,
    all: Sum,
    droppable: Sum,
    /// Nothing before this number can be dropped.
    oldest: u64,
    keys: HashMap<Arc<str>, u64>,
    /// What has not been told yet.
    pub(super) dropped: Dropped,
    /// A Close of ours was queued at a moment that nobody told.
    pub(super) closes: bool,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.all.messages == 0
    }

    /// Is there something to tell or to do at the next `poll_event`?
    pub(super) fn has_news(&self) -> bool {
        self.closes || self.dropped != Dropped::default()
    }

    pub(super) fn all(&self) -> Sum {
        self.all
    }

    /// What could be dropped, or replaced at `place`.
    pub(super) fn could_go(&self, place: Option<Place>) -> Sum {
        let mut sum = self.droppable;
        if let Some(place) = place.filter(|place| !place.droppable) {
            sum.add(place.size);
        }
        sum
    }

    /// Where the message of `key` waits.
    pub(super) fn find(&self, key: &str) -> Option<Place> {
        let at = self.position(*self.keys.get(key)?)?;
        let Waiting { number, size, droppable, .. } = *self.line.get(at)?;
        Some(Place { number, size, droppable })
    }

    pub(super) fn push(&mut self, content: Content, size: usize, droppable: bool) {
        let number = self.next;
        self.next += 1;
        if let Some(key) = content.key() {
            self.keys.insert(key.clone(), number);
        }
        self.count(size, droppable);
        self.line.push_back(Waiting { number, content: Some(content), size, droppable });
    }

    /// Puts another message of the same key in its place.
    pub(super) fn replace(&mut self, place: Place, content: Content, size: usize, droppable: bool) {
        let Some(waiting) = self.position(place.number).and_then(|at| self.line.get_mut(at)) else { return };
        *waiting = Waiting { number: place.number, content: Some(content), size, droppable };
        self.discount(place.size, place.droppable);
        self.count(size, droppable);
        // It may be the oldest that can be dropped now.
        if droppable {
            self.oldest = self.oldest.min(place.number);
        }
    }

    /// Drops the oldest that can be. Answers the size of its frame.
    pub(super) fn drop_oldest(&mut self) -> Option<usize> {
        let from = self.line.partition_point(|waiting| waiting.number < self.oldest);
        let waiting = self.line.range_mut(from..).find(|waiting| waiting.droppable && waiting.content.is_some())?;
        let (number, size, content) = (waiting.number, waiting.size, waiting.content.take()?);
        self.oldest = number;
        self.forget_key(&content, number);
        self.discount(size, true);
        self.gaps += 1;
        if self.gaps > 16 && 2 * self.gaps > self.line.len() {
            self.line.retain(|waiting| waiting.content.is_some());
            self.gaps = 0;
        }
        Some(size)
    }

    /// The next message to be framed, and the size that it was counted with.
    pub(super) fn pop(&mut self) -> Option<(Content, usize)> {
        while let Some(Waiting { number, content, size, droppable }) = self.line.pop_front() {
            let Some(content) = content else {
                self.gaps -= 1;
                continue;
            };
            self.forget_key(&content, number);
            self.discount(size, droppable);
            return Some((content, size));
        }
        None
    }

    /// What waits is lost; what was dropped before is still to be told.
    pub(super) fn forget(&mut self) {
        *self = Self { dropped: self.dropped, ..Self::default() };
    }

    fn position(&self, number: u64) -> Option<usize> {
        self.line.binary_search_by_key(&number, |waiting| waiting.number).ok()
    }

    fn forget_key(&mut self, content: &Content, number: u64) {
        if let Some(key) = content.key()
            && self.keys.get(key) == Some(&number)
        {
            self.keys.remove(key);
        }
    }

    fn count(&mut self, size: usize, droppable: bool) {
        self.all.add(size);
        if droppable {
            self.droppable.add(size);
        }
    }

    fn discount(&mut self, size: usize, droppable: bool) {
        self.all.take(size);
        if droppable {
            self.droppable.take(size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(n: usize) -> Content {
        Content::Prepared(PreparedMessage::new(&*n.to_string()).latest_of(n.to_string()))
    }

    #[test]
    fn gaps_and_keys_of_what_was_dropped_do_not_pile_up() {
        let mut backlog = Backlog::default();
        backlog.push(content(0), 10, false);
        for n in 1..10_000 {
            backlog.push(content(n), 10, true);
            if n > 20 {
                assert_eq!(backlog.drop_oldest(), Some(10));
            }
        }
        assert_eq!((backlog.all.messages, backlog.droppable.messages, backlog.keys.len()), (21, 20, 21));
        assert!(backlog.line.len() <= 2 * 21 + 17, "{} places for 21 messages", backlog.line.len());
        assert!(backlog.find("0").is_some() && backlog.find("9979").is_none() && backlog.find("9980").is_some());
        while backlog.pop().is_some() {}
        assert_eq!((backlog.all.held(), backlog.droppable.held(), backlog.gaps), (0, 0, 0));
        assert!(backlog.line.is_empty() && backlog.keys.is_empty());
    }
}
