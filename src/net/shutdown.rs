//! Going down gracefully: drain while HTTP is still answered; then stop accepting, say 1001 to all, wait, and end what
//! is left.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use super::{
    ConnId, EventLoop,
    accept::Listener,
    connections::Connections,
    phase::{Phase, Slot},
};
use crate::{CloseCode, handshake::Verdict, http::Response};

/// Longer times count as this one.
const LONGEST: Duration = Duration::from_secs(24 * 24 * 3600);

impl EventLoop {
    /// The first half of going down, with the listeners still open: closes every WebSocket with 1001, each at a random
    /// moment within `over`, so that their clients do not all come back at once. Plain HTTP is answered as before, so that
    /// a health check can tell. A request to upgrade is answered with 503, and `verify` is not asked; so is one whose answer
    /// was deferred. Its `Retry-After` is `over` in whole seconds, rounded up, at least 1: by then the farewells are said.
    ///
    /// A loop of [`Loops`](super::Loops) that drains is handed no more connections by the others, while one of them is not
    /// draining. It accepts on for them, if it is the one that does.
    ///
    /// Who does not answer the farewell is ended after `Config::close_timeout`. Outgoing connections are closed too; one
    /// that is not open yet is ended. What is connected or adopted later goes in its first turn. Called again, it spreads
    /// anew what is left; after [`EventLoop::shut_down`] it does nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wireroom::{Config, EventLoop};
    ///
    /// let mut event_loop = EventLoop::new()?;
    /// event_loop.listen("127.0.0.1:0".parse()?, Config::default(), |_id, request| request.allow_any_origin())?;
    /// event_loop.drain(Duration::from_secs(2))?;
    /// while !event_loop.is_drained() {
    ///     event_loop.turn(None, |_connections, _id, _event| {})?;
    /// }
    /// event_loop.shut_down(Duration::ZERO, Duration::from_secs(1))?; // ends what is left: plain HTTP
    /// while !event_loop.is_shut_down() {
    ///     event_loop.turn(None, |_connections, _id, _event| {})?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn drain(&mut self, over: Duration) -> io::Result<()> {
        if !self.is_shutting_down() {
            let seeds = self.seeds()?;
            self.drain_with(over, &seeds);
        }
        Ok(())
    }

    fn drain_with(&mut self, over: Duration, seeds: &[u8]) {
        self.listeners.iter().for_each(Listener::take_no_more);
        self.schedule(over, None, seeds);
        let seconds = over.as_secs().saturating_add(u64::from(over.subsec_nanos() > 0));
        self.connections.draining = Some(seconds.max(1));
        let ids: Vec<_> = self.connections.slots.ids().collect();
        for id in ids {
            refuse_deferred(&mut self.connections, id);
        }
    }

    /// True when [`EventLoop::drain`] or [`EventLoop::shut_down`] was called and no WebSocket is left, not even one whose
    /// closing handshake is under way.
    pub fn is_drained(&self) -> bool {
        let slots = &self.connections.slots;
        self.shutdown.is_some() && !slots.ids().any(|id| slots.get(id).is_some_and(Slot::holds_websocket))
    }

    /// Goes down gracefully: accepts no more, closes all connections with 1001 (each at a random moment within `over`,
    /// so that their clients do not all come back at once), and aborts what is left `within` after that. Go on with
    /// turns until [`EventLoop::is_shut_down`]. Times above 24 days count as 24 days. A shared listener is closed, for all
    /// loops, by the one that accepts for them; see [`SharedListener`](super::SharedListener).
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn shut_down(&mut self, over: Duration, within: Duration) -> io::Result<()> {
        self.stop_listening();
        let seeds = self.seeds()?;
        self.schedule(over, Some(within), &seeds);
        Ok(())
    }

    /// True when [`EventLoop::shut_down`] was called and no connection is left.
    pub fn is_shut_down(&self) -> bool {
        self.is_shutting_down() && self.connections.is_empty()
    }

    /// As [`EventLoop::drain`], asked for by another thread, whom no error reaches: without randomness all are told at once.
    pub(super) fn begin_drain(&mut self, over: Duration) {
        if !self.is_shutting_down() {
            let seeds = self.seeds().unwrap_or_default();
            self.drain_with(over, &seeds);
        }
    }

    /// As [`EventLoop::shut_down`], asked for by another thread.
    pub(super) fn begin_shut_down(&mut self, over: Duration, within: Duration) {
        self.stop_listening();
        let seeds = self.seeds().unwrap_or_default();
        self.schedule(over, Some(within), &seeds);
    }

    fn is_shutting_down(&self) -> bool {
        self.shutdown.as_ref().is_some_and(|shutdown| shutdown.deadline.is_some())
    }

    /// Accepts no more, and does nothing else: connections that exist stay, and what has been accepted is served. For a server
    /// whose place another one takes on the same socket; see `examples/hot_restart`. Listeners are closed, shared ones for all
    /// loops by the one that accepts for them. There is no way back, but for new listeners.
    pub fn stop_listening(&mut self) {
        for listener in &mut self.listeners {
            listener.stop(&self.registry);
        }
    }

    /// Randomness for each connection.
    fn seeds(&self) -> io::Result<Vec<u8>> {
        let mut seeds = vec![0; 4 * self.connections.slots.len_all()];
        getrandom::fill(&mut seeds).map_err(io::Error::other)?;
        Ok(seeds)
    }

    fn schedule(&mut self, over: Duration, within: Option<Duration>, seeds: &[u8]) {
        let mut seeds = seeds.as_chunks().0.iter().map(|seed| u32::from_ne_bytes(*seed));
        self.shutdown = Some(Shutdown::new(&self.connections, over, within, || seeds.next().unwrap_or_default()));
    }
}

/// The answer to a request to upgrade while the loop drains. RFC 9110, 10.2.3: "When sent with a 503 (Service Unavailable)
/// response, Retry-After indicates how long the service is expected to be unavailable to the client."
pub(super) fn refusal(retry_after: u64) -> Verdict {
    Response::text(503, "this server is going down\n").header("Retry-After", &retry_after.to_string()).into()
}

/// A request to upgrade that came before the loop drained, and waits for its answer.
fn refuse_deferred(connections: &mut Connections, id: ConnId) {
    let upgrade = connections.deferred(id).is_some_and(|request| request.as_request().is_upgrade());
    if let Some(retry_after) = connections.draining.filter(|_| upgrade) {
        connections.answer(id, refusal(retry_after));
    }
}

/// A drain or a shutdown in progress.
#[derive(Debug)]
pub(super) struct Shutdown {
    /// When all are ended; never by a drain.
    deadline: Option<Instant>,
    /// Who is told when, soonest first.
    schedule: VecDeque<(Instant, ConnId)>,
    aborted: bool,
}

impl Shutdown {
    /// Tells everyone at a random moment within `over`, so that not all come back at once.
    fn new(
        connections: &Connections,
        over: Duration,
        within: Option<Duration>,
        mut random: impl FnMut() -> u32,
    ) -> Self {
        let (now, over) = (Instant::now(), over.min(LONGEST));
        let mut schedule: Vec<_> = connections
            .slots
            .ids()
            .map(|id| (now + over.mul_f64(f64::from(random()) / f64::from(u32::MAX)), id))
            .collect();
        schedule.sort_unstable();
        let deadline = within.map(|within| now + over + within.min(LONGEST));
        Self { deadline, schedule: schedule.into(), aborted: false }
    }

    /// One that came in meanwhile is told in this turn.
    pub(super) fn tell(&mut self, id: ConnId) {
        let now = Instant::now();
        self.schedule.push_front((self.deadline.map_or(now, |deadline| deadline.min(now)), id));
        self.aborted = false;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let first = self.schedule.front().map(|(at, _)| *at);
        first.into_iter().chain(self.deadline.filter(|_| !self.aborted)).min()
    }

    pub(super) fn run(&mut self, connections: &mut Connections) {
        while let Some((_, id)) = self.schedule.pop_front_if_due(connections.now) {
            match connections.slots.get(id).map(|slot| &slot.phase) {
                Some(Phase::Open(_)) => connections.close(id, CloseCode::GOING_AWAY, "shutting down"),
                Some(Phase::Preface(_) | Phase::Serving { .. }) if self.deadline.is_none() => {
                    refuse_deferred(connections, id)
                }
                // Not upgraded: nobody has been promised anything yet.
                Some(_) => connections.abort(id),
                None => {}
            }
        }
        if self.deadline.is_some_and(|deadline| connections.now >= deadline) && !self.aborted {
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
