//! Slow consumers: what happens to messages for a peer that does not read them.

use std::sync::Arc;

use super::PreparedMessage;
use crate::frame::CloseCode;

/// What happens to a message once `Config::max_send_buffer` or `Config::max_send_messages` is reached.
///
/// [`Config::slow_consumer`](crate::Config::slow_consumer) says it for all messages of a connection, and
/// [`PreparedMessage::slow_consumer`] for one, wherever that is sent: to one, to all, to a room, by a handle.
///
/// # Which one, when
///
/// | what is sent | choose | what the slow peer sees |
/// |---|---|---|
/// | answers, orders, chat: each counts, and whoever sends can wait | [`Refuse`](Self::Refuse) | nothing is missing; the sender goes on at [`Event::Drain`](crate::Event::Drain) |
/// | a stream that is worthless with a gap, and can be begun anew | [`Close`](Self::Close), 1013 | a Close behind what was accepted; it comes back and catches up |
/// | events that lose their worth at once: typing, cursors, sounds | [`DropNewest`](Self::DropNewest) | what was earlier, then a gap |
/// | a log or a picture stream: the present counts more than the past | [`DropOldest`](Self::DropOldest) | a gap, then what is latest |
/// | states: prices, positions, presence | [`PreparedMessage::latest_of`] with a key for each state | of each key its latest, and less often |
/// | what one peer produces for others, who all need it | `Broadcast::pause_sender` of the rooms | nothing is missing; the producer is read from more slowly |
///
/// [`Config::high_water_mark`](crate::Config::high_water_mark) and half of `max_send_messages` are where a peer begins to be
/// slow: up to there messages are framed at once, and nothing can be dropped or replaced any more. Only above it, what was sent
/// under `DropOldest` or with a key is kept apart, whole, and so is all that follows, in order, until the bytes before it have
/// left down to the low-water mark. So leave room between the marks and the limits, and set the high-water mark low where
/// what is fresh counts. A message that is kept apart counts 128 bytes more against `max_send_buffer`: that is what keeping
/// it costs.
///
/// What is accepted under one policy is never dropped for a message with another. A message that was started, one that is
/// sent in fragments, and control frames are neither dropped nor replaced. Each drop and each replacement is counted, and
/// told by [`Event::Dropped`](crate::Event::Dropped).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SlowConsumer {
    /// `send` refuses it and says so; the connection goes on, and [`Event::Drain`](crate::Event::Drain) follows.
    #[default]
    Refuse,
    /// The connection is closed with this code, such as [`CloseCode::TRY_AGAIN_LATER`] (1013), behind what was accepted. `send`
    /// answers as with `Refuse`, and [`Cause::SlowConsumer`](crate::Cause::SlowConsumer) is why the connection ended. A
    /// fragment closes, too.
    Close(CloseCode),
    /// The new message is dropped: [`SendStatus::Dropped`](crate::SendStatus::Dropped). A fragment is refused.
    DropNewest,
    /// The oldest messages that were sent under this policy and have not been framed are dropped, until the new one fits. If
    /// it would not fit without any of them, it is dropped itself, as with `DropNewest`. A fragment is refused.
    DropOldest,
}

/// What a prepared message says about its own delivery. Shared by count, and apart, for most say nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    slow_consumer: Option<SlowConsumer>,
    latest_of: Option<Arc<str>>,
}

impl PreparedMessage {
    /// What happens to this message when a peer reads too slowly, in place of `Config::slow_consumer`.
    ///
    /// ```
    /// use wireroom::{PreparedMessage, SlowConsumer};
    ///
    /// let typing = PreparedMessage::new("ann is typing").slow_consumer(SlowConsumer::DropNewest);
    /// # let _ = typing;
    /// ```
    #[must_use]
    pub fn slow_consumer(mut self, policy: SlowConsumer) -> Self {
        self.wishes_mut().slow_consumer = Some(policy);
        self
    }

    /// Conflation: this message makes those of the same `key` out of date. Where one of them waits for a slow peer and has
    /// not been framed, this takes its place in the line, and `send` answers
    /// [`SendStatus::Backpressure`](crate::SendStatus::Backpressure). What happens at the limits is not changed by it.
    ///
    /// ```
    /// use wireroom::PreparedMessage;
    ///
    /// let price = PreparedMessage::new(r#"{"EURUSD":1.0817}"#).latest_of("EURUSD");
    /// # let _ = price;
    /// ```
    #[must_use]
    pub fn latest_of(mut self, key: impl Into<Arc<str>>) -> Self {
        self.wishes_mut().latest_of = Some(key.into());
        self
    }

    /// What is `None` stays as it is.
    #[cfg(feature = "rooms")]
    pub(crate) fn with_wishes(mut self, policy: Option<SlowConsumer>, key: Option<Arc<str>>) -> Self {
        self = policy.into_iter().fold(self, Self::slow_consumer);
        key.into_iter().fold(self, Self::latest_of)
    }

    pub(crate) fn own_policy(&self) -> Option<SlowConsumer> {
        self.wishes.as_ref()?.slow_consumer
    }

    pub(crate) fn key(&self) -> Option<&Arc<str>> {
        self.wishes.as_ref()?.latest_of.as_ref()
    }

    fn wishes_mut(&mut self) -> &mut Wishes {
        Arc::make_mut(self.wishes.get_or_insert_default())
    }
}
