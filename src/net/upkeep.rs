//! What the loop does for a connection behind its reading and writing: lists and deadline.

use std::time::Instant;

use super::{ConnId, Connections};
use crate::connection::Moment;

impl Connections {
    /// The turn goes on at this time, for the timers too.
    pub(super) fn set_now(&mut self, now: Instant) {
        (self.now, self.moment) = (now, Moment::new(now));
    }

    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.ready.soil(id, &mut self.dirty);
        }
    }

    pub(super) fn mark_ready(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.ready.list(id, &mut self.ready);
        }
    }

    pub(super) fn plan(&mut self, id: ConnId) {
        if let Some(slot) = self.slots.get(id) {
            self.deadlines.plan(id.index(), slot.phase.poll_timeout());
        }
    }

    /// Behind reading. `rested`: the connection did before, and no answer to a Ping was due; then its deadline has come no
    /// nearer if it rests again, but for that of a compressor, which the flush plans that follows.
    #[inline]
    pub(super) fn plan_and_soil(&mut self, id: ConnId, rested: bool) {
        let Self { slots, deadlines, dirty, .. } = self;
        let Some(slot) = slots.get_mut(id) else { return };
        if !rested || !slot.phase.rests() {
            deadlines.plan(id.index(), slot.phase.poll_timeout());
        }
        debug_assert!(
            slot.phase.has_compressor() || deadlines.covers(id.index(), slot.phase.poll_timeout()),
            "a deadline came nearer unnoticed"
        );
        slot.ready.soil(id, dirty);
    }
}
