//! One lazy deadline per slot.
//!
//! A deadline that moves later (every arrival moves the keepalive's) is not touched: it comes up, is held against the
//! deadline of now, and goes back. So a message costs nothing here, and no scan over all connections: each block of slots is
//! in order by its first deadline, and only the block whose turn it is is looked through.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

/// Slots in a block.
const BLOCK: usize = 64;
/// No deadline. Times are milliseconds from [`Deadlines::base`].
const NEVER: u32 = u32::MAX;
/// The last time there is; a deadline beyond it, 49 days ahead, comes up too early.
const LAST: u32 = NEVER - 1;

#[derive(Debug)]
pub(super) struct Deadlines {
    epoch: Instant,
    /// Milliseconds from the epoch.
    base: u64,
    /// The time to which the loop has come, the same way, rounded down.
    reached: u64,
    /// 4 bytes a slot. Boxed, so that growing moves none.
    #[allow(clippy::vec_box)]
    blocks: Vec<Box<[u32; BLOCK]>>,
    /// The first deadline of each block that has one.
    firsts: BTreeSet<(u32, u32)>,
}

/// Of one block: the first deadline, and its slot.
fn first_of(block: &[u32; BLOCK]) -> Option<(u32, usize)> {
    let first = block.iter().copied().min().filter(|time| *time != NEVER)?;
    block.iter().position(|time| *time == first).map(|slot| (first, slot))
}

impl Deadlines {
    pub(super) fn new(now: Instant) -> Self {
        Self { epoch: now, base: 0, reached: 0, blocks: Vec::new(), firsts: BTreeSet::new() }
    }

    /// Plans a look at `slot`, if there is none that is early enough.
    pub(super) fn plan(&mut self, slot: usize, at: Option<Instant>) {
        let Some(at) = at else { return };
        // Rounded up: what comes up is due.
        let at = at.saturating_duration_since(self.epoch);
        let at = at.as_secs().saturating_mul(1_000).saturating_add(u64::from(at.subsec_nanos().div_ceil(1_000_000)));
        // What has passed comes up once more, and not before the next millisecond: were a deadline not moved by its coming,
        // the loop would not end its turn, or never sleep.
        let at = at.max(self.reached.saturating_add(1));
        if at.saturating_sub(self.base) > u64::from(LAST) {
            self.rebase();
        }
        let time = u32::try_from(at.saturating_sub(self.base)).map_or(LAST, |time| time.min(LAST));
        let (number, place) = (slot / BLOCK, slot % BLOCK);
        while self.blocks.len() <= number {
            self.blocks.push(Box::new([NEVER; BLOCK]));
        }
        let block = &mut self.blocks[number];
        if time >= block[place] {
            return;
        }
        let first = first_of(block).map_or(NEVER, |(first, _)| first);
        block[place] = time;
        if time < first {
            self.firsts.remove(&(first, number as u32));
            self.firsts.insert((time, number as u32));
        }
    }

    /// Is there a look at `slot` that is early enough?
    pub(super) fn covers(&self, slot: usize, at: Option<Instant>) -> bool {
        let planned = self.blocks.get(slot / BLOCK).map_or(NEVER, |block| block[slot % BLOCK]);
        // A millisecond for the rounding, and one for those that have passed.
        let planned = self.epoch + Duration::from_millis(self.base + u64::from(planned));
        at.is_none_or(|at| {
            planned <= at.max(self.epoch + Duration::from_millis(self.reached)) + Duration::from_millis(2)
        })
    }

    /// Moves the base to now, or to the first deadline if that has passed. About once a month.
    #[cold]
    fn rebase(&mut self) {
        let now = self.reached.saturating_sub(self.base);
        let passed = self.firsts.first().map_or(now, |(first, _)| now.min(u64::from(*first)));
        self.base += passed;
        // As much as 32 bits, or there is no deadline to be moved.
        let passed = u32::try_from(passed).unwrap_or(0);
        if passed > 0 {
            for time in self.blocks.iter_mut().flat_map(|block| &mut **block).filter(|time| **time != NEVER) {
                *time -= passed;
            }
            let firsts = std::mem::take(&mut self.firsts);
            self.firsts = firsts.into_iter().map(|(time, block)| (time - passed, block)).collect();
        }
    }

    /// When the first deadline comes up.
    pub(super) fn next(&self) -> Option<Instant> {
        let (first, _) = self.firsts.first()?;
        Some(self.epoch + Duration::from_millis(self.base + u64::from(*first)))
    }

    /// Takes out a slot whose deadline has come up, that of a connection which has gone perhaps.
    pub(super) fn due(&mut self, now: Instant) -> Option<usize> {
        let now_from_epoch = now.saturating_duration_since(self.epoch);
        self.reached =
            now_from_epoch.as_secs().saturating_mul(1_000).saturating_add(u64::from(now_from_epoch.subsec_millis()));
        if self.next()? > now {
            return None;
        }
        let (_, number) = self.firsts.pop_first()?;
        let block = &mut self.blocks[number as usize];
        let (_, place) = first_of(block)?;
        block[place] = NEVER;
        if let Some((first, _)) = first_of(block) {
            self.firsts.insert((first, number));
        }
        Some(number as usize * BLOCK + place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_up_in_order_and_none_is_lost() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start);
        let mut model = std::collections::BTreeMap::new();
        let (mut random, mut now) = (1_u64, start);
        let mut looks = 0;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let slot = (random >> 33) as usize % 300;
            let at = now + Duration::from_micros((random >> 40) % 40_000_000);
            deadlines.plan(slot, Some(at));
            let planned = model.entry(slot).or_insert(at);
            *planned = at.min(*planned);
            now += Duration::from_micros(500 + (random >> 50));
            while let Some(slot) = deadlines.due(now) {
                let at = model.remove(&slot);
                assert!(at.is_some_and(|at| at <= now), "slot {slot}");
                looks += 1;
            }
            // At most a millisecond late.
            assert!(model.values().all(|at| *at + Duration::from_millis(1) > now));
            let next = deadlines.next().zip(model.values().min().copied());
            assert!(next.is_none_or(|(next, first)| next >= first && next < first + Duration::from_millis(1)));
        }
        assert!(looks > 1_000);
    }

    #[test]
    fn one_that_does_not_move_is_looked_at_once_in_a_millisecond() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start);
        let now = start + Duration::from_micros(5_700);
        deadlines.plan(1, Some(start));
        assert_eq!(deadlines.due(now), Some(1));
        // What the loop does with one whose phase has not moved it.
        deadlines.plan(1, Some(start));
        assert_eq!(deadlines.due(now), None, "the turn would not end");
        assert!(deadlines.next().is_some_and(|next| next > now), "the loop would not sleep");
        assert_eq!(deadlines.due(start + Duration::from_millis(6)), Some(1));
    }

    #[test]
    fn a_loop_lives_for_years_and_may_not_turn_for_months() {
        let start = Instant::now();
        let mut deadlines = Deadlines::new(start);
        let days = |days: u64| start + Duration::from_secs(days * 24 * 3600);
        for day in 0..20_000 {
            deadlines.plan(1, Some(days(day + 24)));
            deadlines.plan(70, Some(days(day + 1)));
            assert_eq!(deadlines.due(days(day)), None, "day {day}");
            if day % 24 == 23 {
                assert_eq!(deadlines.due(days(day + 1)), Some(1));
            }
            assert_eq!(deadlines.due(days(day + 1)), Some(70));
        }
        // A deadline more than 49 days behind the first comes up too early, and is planned again then.
        deadlines.plan(1, Some(days(20_010)));
        deadlines.plan(2, Some(days(20_100)));
        assert_eq!(deadlines.due(days(20_099)), Some(1));
        assert_eq!(deadlines.due(days(20_099)), Some(2));
        deadlines.plan(2, Some(days(20_100)));
        assert_eq!(deadlines.due(days(20_099)), None);
        assert_eq!(deadlines.due(days(20_100)), Some(2));
        // Nothing planned for years.
        assert_eq!(deadlines.due(days(29_976)), None);
        deadlines.plan(3, Some(days(30_000)));
        assert_eq!(deadlines.next(), Some(days(30_000)));
        assert_eq!(deadlines.due(days(30_000)), Some(3));
        // The base moves while one is overdue.
        deadlines.plan(4, Some(days(30_001)));
        deadlines.plan(5, Some(days(30_002)));
        assert_eq!(deadlines.due(days(30_060)), Some(4));
        deadlines.plan(70, Some(days(30_070)));
        assert_eq!(deadlines.next(), Some(days(30_002)));
        assert_eq!(deadlines.due(days(30_060)), Some(5));
    }
}
