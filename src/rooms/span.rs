//! `Span`: the way from one hub to the others.
//!
//! Each hub takes operations from one bounded queue. What finds a queue full waits here, in order, for as many as the queue
//! holds; the socket that sent it is not read from meanwhile. Whoever makes room in a queue that is waited for wakes the others.
//!
//! Knows: operations, hubs by their handles. Must not know: who is in a room, how a connection is paused.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use super::handle::{HubHandle, HubHandleError};
use super::hub::HubConfig;
use super::operation::Operation;
use crate::net::ConnId;

/// What becomes of an operation for which the hub of another loop has no room: [`HubConfig::handle_capacity`] wait for it
/// already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FullLoop {
    /// It waits in its own hub until there is room, and the socket that sent it is not read from
    /// ([`Connections::pause`](crate::Connections::pause)) until nothing waits there any more. So a burst that the other loop
    /// cannot swallow at once sets its senders the pace of that loop, and nothing is missing. One that does not turn at all
    /// holds them for ever, their keepalive suspended. As many wait as the queue holds: those beyond, which only come from
    /// others than sockets or from very many of them, are lost as with `Miss`; their socket is not read from either, and loses
    /// no more. A [`resume`](crate::Connections::resume) of your own ends the pause, and its end ends a pause of yours.
    #[default]
    HoldSender,
    /// It is lost for the recipients over there, and counted: [`Hub::missed_elsewhere`](super::Hub::missed_elsewhere). No
    /// loop ever sets another's pace.
    Miss,
}

/// One hub, as the others see it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) handle: HubHandle,
    /// A hub takes from the queue.
    pub(super) taken: AtomicBool,
    /// Somebody waits for room in it.
    awaited: AtomicBool,
}

impl Link {
    pub(super) fn new(handle: HubHandle) -> Self {
        Self { handle, taken: AtomicBool::new(false), awaited: AtomicBool::new(false) }
    }

    /// False: it is full. In a hub that has gone nobody is left to miss anything.
    fn pass(&self, operation: &Arc<Operation>) -> bool {
        self.handle.pass(operation.clone()) != Err(HubHandleError::Full)
    }

    /// The same; if it is full, whoever makes room will wake us.
    fn pass_or_wait(&self, operation: &Arc<Operation>) -> bool {
        if self.pass(operation) {
            return true;
        }
        self.awaited.store(true, Ordering::Relaxed);
        // Either this second try finds the room that was made meanwhile, or who made it finds that we wait.
        fence(Ordering::SeqCst);
        self.pass(operation)
    }
}

/// The other hubs, as one sees them.
pub(super) struct Span {
    links: Arc<[Link]>,
    mine: usize,
    policy: FullLoop,
    capacity: usize,
    /// For each hub what waits for room.
    late: Vec<VecDeque<Arc<Operation>>>,
    held: HashSet<ConnId>,
    missed: u64,
}

impl Span {
    pub(super) fn new(links: Arc<[Link]>, mine: usize, config: &HubConfig) -> Self {
        links[mine].taken.store(true, Ordering::Relaxed);
        let late = links.iter().map(|_| VecDeque::new()).collect();
        let (policy, capacity) = (config.full_loop, config.handle_capacity);
        Self { links, mine, policy, capacity, late, held: HashSet::new(), missed: 0 }
    }

    /// To the hubs where somebody may be whom it is for. One copy is shared by them all. True when something waits there, this or what
    /// was said before.
    pub(super) fn pass_on(&mut self, operation: &Operation) -> bool {
        let (mut shared, mut waits) = (None, false);
        for (number, (link, late)) in self.links.iter().zip(&mut self.late).enumerate() {
            if number == self.mine || !operation.recipients.may_be_in(number) {
                continue;
            }
            let shared = shared.get_or_insert_with(|| Arc::new(operation.clone()));
            // A loop that has no hub yet makes no room.
            let may_wait = self.policy == FullLoop::HoldSender && link.taken.load(Ordering::Relaxed);
            let passed = late.is_empty() && if may_wait { link.pass_or_wait(shared) } else { link.pass(shared) };
            if passed {
                continue;
            }
            if may_wait && late.len() < self.capacity {
                late.push_back(shared.clone());
            } else {
                self.missed += 1;
            }
            // Also what was lost has a sender: what that one says next need not be lost.
            waits |= !late.is_empty();
        }
        waits
    }

    /// What waits goes on, as far as there is room. True when nothing waits any more, and something did.
    pub(super) fn pass_on_late(&mut self) -> bool {
        if self.late.iter().all(VecDeque::is_empty) {
            return false;
        }
        for (link, late) in self.links.iter().zip(&mut self.late) {
            while late.front().is_some_and(|operation| link.pass_or_wait(operation)) {
                late.pop_front();
            }
        }
        self.late.iter().all(VecDeque::is_empty)
    }

    /// This hub has taken something from its queue.
    pub(super) fn made_room(&self) {
        wake_who_waits(&self.links, self.mine);
    }

    /// `sender` is not read from while something waits.
    pub(super) fn hold(&mut self, sender: ConnId) {
        self.held.insert(sender);
    }

    pub(super) fn holds(&self, sender: ConnId) -> bool {
        self.held.contains(&sender)
    }

    /// `sender` goes. Answers whether it was held.
    pub(super) fn forget(&mut self, sender: ConnId) -> bool {
        self.held.remove(&sender)
    }

    pub(super) fn take_held(&mut self) -> HashSet<ConnId> {
        std::mem::take(&mut self.held)
    }

    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    /// To be dropped when the hub's queue has been.
    pub(super) fn farewell(&self) -> Farewell {
        Farewell { links: self.links.clone(), mine: self.mine }
    }
}

fn wake_who_waits(links: &[Link], mine: usize) {
    fence(Ordering::SeqCst);
    let awaited = &links[mine].awaited;
    if awaited.load(Ordering::Relaxed) && awaited.swap(false, Ordering::Relaxed) {
        links.iter().enumerate().filter(|(number, _)| *number != mine).for_each(|(_, link)| link.handle.wake());
    }
}

/// Nobody waits for a hub that has gone.
pub(super) struct Farewell {
    links: Arc<[Link]>,
    mine: usize,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        wake_who_waits(&self.links, self.mine);
    }
}
