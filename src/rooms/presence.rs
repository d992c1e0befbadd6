//! Presence: who joined and who left, as a bounded queue that is off unless asked for.
//!
//! Knows: ids, names of rooms. Must not know: who is in a room now.

use std::collections::VecDeque;
use std::sync::Arc;

use super::limits::JoinError;
use crate::net::ConnId;

/// A change of membership, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RoomEvent {
    /// `id` joined `room`.
    Joined {
        /// The room's name.
        room: Arc<str>,
        /// Who joined.
        id: ConnId,
    },
    /// `id` left `room`, by a call or because its connection closed.
    Left {
        /// The room's name.
        room: Arc<str>,
        /// Who left.
        id: ConnId,
    },
    /// `id` was not let into `room` when a [`HubHandle`](super::HubHandle) asked for it.
    Refused {
        /// The room's name.
        room: Arc<str>,
        /// Who was not let in.
        id: ConnId,
        /// Why.
        error: JoinError,
    },
    /// The queue was full and `count` events were not kept. What is told about presence must be read anew from
    /// [`Rooms::members`](super::Rooms::members).
    Missed {
        /// How many.
        count: u64,
    },
}

/// The queue of [`RoomEvent`]s.
#[derive(Debug, Default)]
pub(super) struct Presence {
    queue: VecDeque<RoomEvent>,
    capacity: usize,
    missed: u64,
}

impl Presence {
    /// Keeps at most `capacity` events; 0 keeps none and reports none as missed.
    pub(super) fn new(capacity: usize) -> Self {
        Self { queue: VecDeque::new(), capacity, missed: 0 }
    }

    pub(super) fn joined(&mut self, room: &Arc<str>, id: ConnId) {
        self.push(|| RoomEvent::Joined { room: room.clone(), id });
    }

    pub(super) fn left(&mut self, room: &Arc<str>, id: ConnId) {
        self.push(|| RoomEvent::Left { room: room.clone(), id });
    }

    pub(super) fn refused(&mut self, room: &Arc<str>, id: ConnId, error: JoinError) {
        self.push(|| RoomEvent::Refused { room: room.clone(), id, error });
    }

    pub(super) fn poll(&mut self) -> Option<RoomEvent> {
        self.queue.pop_front().or_else(|| match std::mem::take(&mut self.missed) {
            0 => None,
            count => Some(RoomEvent::Missed { count }),
        })
    }

    /// Once one event was missed, so are all until the gap was reported: `Missed` stands where the gap is.
    fn push(&mut self, event: impl FnOnce() -> RoomEvent) {
        if self.capacity == 0 {
            return;
        }
        if self.missed > 0 || self.queue.len() >= self.capacity {
            self.missed += 1;
        } else {
            self.queue.push_back(event());
        }
    }
}
