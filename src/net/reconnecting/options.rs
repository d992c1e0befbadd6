//! How a client comes back.

use std::{fmt, sync::Arc};

use super::Comeback;
use crate::{Closed, backoff::Backoff};

/// Decides whether a client comes back.
type Policy = dyn Fn(&Closed) -> Comeback + Send + Sync;

/// When a [`Reconnecting`](super::Reconnecting) comes back, and how much waits meanwhile.
///
/// | limit | default | what happens at it |
/// |---|---|---|
/// | [`max_queue_bytes`](Self::max_queue_bytes) | 1 MiB | [`TooManyBytes`](super::ReconnectSendError::TooManyBytes) |
/// | [`max_queue_messages`](Self::max_queue_messages) | 1,024 | [`TooManyMessages`](super::ReconnectSendError::TooManyMessages) |
/// | those of [`Backoff`] | | |
///
/// ```
/// use std::time::Duration;
/// use wireroom::{CloseCode, backoff::Backoff};
/// use wireroom::net::reconnecting::{Comeback, ReconnectOptions};
///
/// let options = ReconnectOptions::new()
///     .backoff(Backoff::new().cap(Duration::from_secs(20)).max_total(Some(Duration::from_secs(3600))))
///     .max_queue_messages(100)
///     .policy(|closed| match closed.peer.as_ref().and_then(|frame| frame.code) {
///         Some(code) if code.as_u16() == 4001 => Comeback::Stop, // this application's "logged in elsewhere"
///         _ => Comeback::after(closed),
///     });
/// ```
#[derive(Clone)]
pub struct ReconnectOptions {
    pub(super) backoff: Backoff,
    pub(super) max_queue_bytes: usize,
    pub(super) max_queue_messages: usize,
    pub(super) policy: Option<Arc<Policy>>,
}

impl Default for ReconnectOptions {
    fn default() -> Self {
        let backoff = Backoff::default();
        Self { backoff, max_queue_bytes: 1 << 20, max_queue_messages: 1_024, policy: None }
    }
}

impl ReconnectOptions {
    /// The defaults: it comes back for ever, unless [`Comeback::after`] says otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long it waits, and when it gives up.
    #[must_use]
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Bytes of payload that wait for a connection. Default 1 MiB. A message that would go beyond is not taken.
    #[must_use]
    pub fn max_queue_bytes(mut self, bytes: usize) -> Self {
        self.max_queue_bytes = bytes;
        self
    }

    /// Messages that wait for a connection. Default 1,024; 0: none, it sends only while a connection takes them.
    #[must_use]
    pub fn max_queue_messages(mut self, messages: usize) -> Self {
        self.max_queue_messages = messages;
        self
    }

    /// Decides in place of [`Comeback::after`] whether a connection's end, or a failed attempt, is the last. It is not asked
    /// behind [`Reconnecting::close`](super::Reconnecting::close).
    #[must_use]
    pub fn policy(mut self, policy: impl Fn(&Closed) -> Comeback + Send + Sync + 'static) -> Self {
        self.policy = Some(Arc::new(policy));
        self
    }
}

impl fmt::Debug for ReconnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReconnectOptions")
            .field("backoff", &self.backoff)
            .field("max_queue_bytes", &self.max_queue_bytes)
            .field("max_queue_messages", &self.max_queue_messages)
            .field("policy", &self.policy.as_ref().map(|_| "own"))
            .finish()
    }
}
