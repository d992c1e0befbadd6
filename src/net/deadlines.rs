//! One lazy timer entry per connection.
//!
//! A deadline that moves later (every arrival moves the keepalive's) is not touched: its entry comes up, is held
//! against the deadline of now, and goes back. So a message costs nothing here, and no scan over all connections.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    time::{Duration, Instant},
};

use super::ConnId;

/// Where a slot's entry stands, in microseconds of the loop's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned(u64);

impl Planned {
    pub(super) const NEVER: Self = Self(u64::MAX);
}

#[derive(Debug)]
pub(super) struct Deadlines {
    epoch: Instant,
    /// Time and slot: 16 bytes a connection.
    heap: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Deadlines {
    pub(super) fn new(now: Instant) -> Self {
        Self { epoch: now, heap: BinaryHeap::new() }
    }

    /// Plans a look at `id`. `planned` is where its entry stands; an entry that is early enough serves.
    pub(super) fn plan(&mut self, id: ConnId, planned: &mut Planned, at: Option<Instant>) {
        let Some(at) = at else { return };
        // Rounded up: what comes up is due.
        let at = at.saturating_duration_since(self.epoch).as_nanos().div_ceil(1000);
        let at = u64::try_from(at).unwrap_or(u64::MAX - 1);
        if at < planned.0 {
            *planned = Planned(at);
            self.heap.push(Reverse((at, id.index() as u32)));
        }
    }

    /// When the first entry comes up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| self.epoch + Duration::from_micros(*at))
    }

    /// Takes out an entry that has come up: its slot counts only if its plan is still this one.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Planned, usize)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((at, slot))| (Planned(at), slot as usize))
    }

    /// Entries of connections that have gone leave when they are the majority.
    pub(super) fn tidy(&mut self, live: usize, is_live: impl Fn(Planned, usize) -> bool) {
        if self.heap.len() > 2 * live + 1024 {
            self.heap.retain(|Reverse((at, slot))| is_live(Planned(*at), *slot as usize));
            self.heap.shrink_to(2 * live + 1024);
        }
    }
}
