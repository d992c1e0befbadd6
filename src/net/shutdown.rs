//! Going down gracefully: stop accepting, say 1001 to all, wait, and end what is left.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{ConnId, connections::Connections};
use crate::CloseCode;

/// A shutdown in progress.
#[derive(Debug)]
pub(super) struct Shutdown {
    deadline: Instant,
    /// Who is told when, soonest first.
    schedule: VecDeque<(Instant, ConnId)>,
    aborted: bool,
}

impl Shutdown {
    /// Tells everyone at a random moment within `over`, so that not all come back at once.
    pub(super) fn new(
        connections: &Connections,
        over: Duration,
        within: Duration,
        mut random: impl FnMut() -> u32,
    ) -> Self {
        let now = Instant::now();
        let mut schedule: Vec<_> = connections
            .slots
            .ids()
            .map(|id| (now + over.mul_f64(f64::from(random()) / f64::from(u32::MAX)), id))
            .collect();
        schedule.sort_unstable();
        Self { deadline: now + over + within, schedule: schedule.into(), aborted: false }
    }

    /// One that came in meanwhile is told in this turn.
    pub(super) fn tell(&mut self, id: ConnId) {
        self.schedule.push_front((self.deadline.min(Instant::now()), id));
        self.aborted = false;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let first = self.schedule.front().map(|(at, _)| *at);
        let deadline = (!self.aborted).then_some(self.deadline);
        first.into_iter().chain(deadline).min()
    }

    pub(super) fn run(&mut self, connections: &mut Connections) {
        while let Some((_, id)) = self.schedule.pop_front_if_due(connections.now) {
            if connections.is_open(id) {
                connections.close(id, CloseCode::GOING_AWAY, "shutting down");
            } else if connections.get(id).is_none() {
                // Not upgraded: nobody has been promised anything yet.
                connections.abort(id);
            }
        }
        if connections.now >= self.deadline && !self.aborted {
            self.aborted = true;
            let left: Vec<_> = connections.slots.ids().collect();
            for id in left {
                connections.abort(id);
            }
        }
    }
}

trait PopIfDue {
    fn pop_front_if_due(&mut self, now: Instant) -> Option<(Instant, ConnId)>;
}

impl PopIfDue for VecDeque<(Instant, ConnId)> {
    fn pop_front_if_due(&mut self, now: Instant) -> Option<(Instant, ConnId)> {
        if self.front()?.0 > now { None } else { self.pop_front() }
    }
}
