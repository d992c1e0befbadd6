//! One lazy timer entry per connection.
//!
//! A deadline that moves later (every arrival moves the keepalive's) is not touched: its entry comes up, is held
//! against the deadline of now, and goes back. So a message costs nothing here, and no scan over all connections.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use super::ConnId;

#[derive(Debug, Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, ConnId)>>,
}

impl Deadlines {
    /// Plans a look at `id`. `planned` is where its entry stands; an entry that is early enough serves.
    pub(super) fn plan(&mut self, id: ConnId, planned: &mut Option<Instant>, at: Option<Instant>) {
        let Some(at) = at else { return };
        if planned.is_none_or(|planned| at < planned) {
            *planned = Some(at);
            self.heap.push(Reverse((at, id)));
        }
    }

    /// When the first entry comes up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out an entry that has come up.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Instant, ConnId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Entries of connections that have gone leave when they are the majority.
    pub(super) fn tidy(&mut self, live: usize, is_live: impl Fn(ConnId) -> bool) {
        if self.heap.len() > 2 * live + 1024 {
            self.heap.retain(|Reverse((_, id))| is_live(*id));
            self.heap.shrink_to(2 * live + 1024);
        }
    }
}
