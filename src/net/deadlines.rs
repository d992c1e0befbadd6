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

/// Where a slot's entry stands, in milliseconds of the loop's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned(u64);

impl Planned {
    pub(super) const NEVER: Self = Self(u64::MAX);
}

#[derive(Debug)]
pub(super) struct Deadlines {
    epoch: Instant,
    /// The times of the entries count from here, in milliseconds of the loop's life.
    base: u64,
    /// Time and slot, 32 bits each: 8 bytes a connection.
    heap: BinaryHeap<Reverse<u64>>,
}

fn entry(time: u32, slot: u32) -> Reverse<u64> {
    Reverse(u64::from(time) << 32 | u64::from(slot))
}

fn time_and_slot(Reverse(entry): Reverse<u64>) -> (u64, u32) {
    (entry >> 32, entry as u32)
}

impl Deadlines {
    pub(super) fn new(now: Instant) -> Self {
        Self { epoch: now, base: 0, heap: BinaryHeap::new() }
    }

    /// Plans a look at `id`. `planned` is where its entry stands; an entry that is early enough serves.
    pub(super) fn plan(&mut self, id: ConnId, planned: &mut Planned, at: Option<Instant>) {
        let Some(at) = at else { return };
        // Rounded up: what comes up is due.
        let at = at.saturating_duration_since(self.epoch).as_nanos().div_ceil(1_000_000);
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        if at >= planned.0 {
            return;
        }
        if self.base > at || at - self.base > u64::from(u32::MAX) {
            self.rebase(at);
        }
        // Where another entry is 49 days older, which only a loop that does not turn has, this one comes up too early.
        let time = u32::try_from(at - self.base).unwrap_or(u32::MAX);
        *planned = Planned(self.base + u64::from(time));
        // By a quarter, not by doubling: most loops hold about as many connections for long.
        if self.heap.len() == self.heap.capacity() {
            self.heap.reserve_exact(self.heap.len() / 4 + 64);
        }
        self.heap.push(entry(time, id.index() as u32));
    }

    /// Moves the base to the first entry, or to `at` if that is earlier. About once a month.
    #[cold]
    fn rebase(&mut self, at: u64) {
        let base = self.heap.peek().map_or(at, |first| at.min(self.base + time_and_slot(*first).0));
        let old = std::mem::replace(&mut self.base, base);
        let entries = std::mem::take(&mut self.heap).into_vec();
        let moved = entries.into_iter().map(|moved| {
            let (time, slot) = time_and_slot(moved);
            entry(u32::try_from(old + time - base).unwrap_or(u32::MAX), slot)
        });
        self.heap = moved.collect();
    }

    /// When the first entry comes up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|first| self.epoch + Duration::from_millis(self.base + time_and_slot(*first).0))
    }

    /// Takes out an entry that has come up: its slot counts only if its plan is still this one.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Planned, usize)> {
        if self.next()? > now {
            return None;
        }
        let (time, slot) = time_and_slot(self.heap.pop()?);
        Some((Planned(self.base + time), slot as usize))
    }

    /// Entries of connections that have gone leave when they are the majority.
    pub(super) fn tidy(&mut self, live: usize, is_live: impl Fn(Planned, usize) -> bool) {
        if self.heap.len() > 2 * live + 1024 {
            self.heap.retain(|at| {
                let (time, slot) = time_and_slot(*at);
                is_live(Planned(self.base + time), slot as usize)
            });
            self.heap.shrink_to(2 * live + 1024);
        }
    }
}
