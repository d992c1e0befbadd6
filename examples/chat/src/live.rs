//! The room for dashboards: the server's own counters, each 250 ms, while somebody is in it.

use std::time::{Duration, Instant};

use serde::Serialize;
use wireroom::Hub;

use crate::{
    messages::json,
    store::{Counters, now},
};

const EACH: Duration = Duration::from_millis(250);
/// A room that no client can name: it has a control character.
pub(crate) const ROOM: &str = "\0live";

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "counters")]
struct Told {
    time: u64,
    uptime: u64,
    connections: u64,
    people: u64,
    rooms: u64,
    messages_in: u64,
    messages_out: u64,
    bytes_in: u64,
    bytes_out: u64,
    queued: u64,
    stored: u64,
    waiting: u64,
    commit_us: u64,
    group: u64,
    turns: u64,
}

#[derive(Debug)]
pub(crate) struct Live {
    started: Instant,
    next: Option<Instant>,
}

impl Live {
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, next: None }
    }

    /// Somebody has come in: the first one is told at once.
    pub(crate) fn entered(&mut self, now: Instant) {
        self.next.get_or_insert(now);
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Tells the counters if it is time. Without anybody there is no next time.
    pub(crate) fn tick(&mut self, at: Instant, hub: &mut Hub, people: usize, store: &Counters) {
        if self.next.is_none_or(|next| next > at) {
            return;
        }
        if hub.rooms().members(ROOM).is_empty() {
            self.next = None;
            return;
        }
        self.next = Some(at + EACH);
        let rooms = hub.rooms().names().filter(|name| !name.starts_with('\0')).count();
        let stats = hub.event_loop().connections().stats();
        let (commit_us, group) = store.last_commit();
        let told = Told {
            time: now(),
            uptime: (at - self.started).as_millis() as u64,
            connections: stats.open as u64,
            people: people as u64,
            rooms: rooms as u64,
            messages_in: stats.messages_received,
            messages_out: stats.messages_sent,
            bytes_in: stats.bytes_received,
            bytes_out: stats.bytes_sent,
            queued: stats.buffered_amount as u64,
            stored: store.messages(),
            waiting: store.waiting(),
            commit_us,
            group,
            turns: stats.turns,
        };
        // A dashboard that misses one has the next.
        let _ = hub.to(ROOM).emit(&json(&told));
    }
}
