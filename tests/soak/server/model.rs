//! The model: who is open, who is in which room, and what each was sent. Two maps and loops over them.

use std::collections::{BTreeMap, BTreeSet};

use wireroom::{ConnId, ConnMap};

use super::replies::Reply;
use crate::wire::Census;

/// What is known of one open connection.
#[derive(Debug, Default)]
pub(super) struct Seat {
    /// The number that its client gave itself.
    pub(super) number: u64,
    pub(super) rooms: BTreeSet<String>,
    pub(super) heard: u64,
    pub(super) echoes: u64,
    pub(super) echoes_refused: u64,
    /// Replies that its full queue refused, to be said when it has drained.
    pub(super) owed: Vec<Reply>,
    /// A send was answered with backpressure, so `Event::Drain` is owed to us; and looks at it since its queue is empty.
    pub(super) pressed: bool,
    pub(super) looks: u32,
    /// A tick was answered with backpressure, by this one or another.
    pub(super) may_drain: bool,
    meant: u64,
    missed: u64,
    ticks: u64,
    ticks_missed: u64,
}

impl Seat {
    pub(super) fn census(&self) -> Census {
        Census {
            heard: self.heard,
            meant: self.meant,
            missed: self.missed,
            ticks: self.ticks,
            ticks_missed: self.ticks_missed,
            echoes_refused: self.echoes_refused,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Model {
    seats: ConnMap<Seat>,
    open: BTreeSet<ConnId>,
    rooms: BTreeMap<String, BTreeSet<ConnId>>,
}

impl Model {
    pub(super) fn opened(&mut self, id: ConnId, number: u64) {
        self.seats.insert(id, Seat { number, ..Seat::default() });
        self.open.insert(id);
    }

    pub(super) fn closed(&mut self, id: ConnId) {
        self.open.remove(&id);
        for room in self.seats.remove(id).into_iter().flat_map(|seat| seat.rooms) {
            self.remove(id, &room);
        }
    }

    pub(super) fn seat_mut(&mut self, id: ConnId) -> Option<&mut Seat> {
        self.seats.get_mut(id)
    }

    /// True when it was not in there.
    pub(super) fn join(&mut self, id: ConnId, room: &str) -> bool {
        self.rooms.entry(room.to_owned()).or_default().insert(id);
        self.seats.get_mut(id).is_some_and(|seat| seat.rooms.insert(room.to_owned()))
    }

    /// True when it was in there.
    pub(super) fn leave(&mut self, id: ConnId, room: &str) -> bool {
        self.remove(id, room);
        self.seats.get_mut(id).is_some_and(|seat| seat.rooms.remove(room))
    }

    fn remove(&mut self, id: ConnId, room: &str) {
        if let Some(members) = self.rooms.get_mut(room) {
            members.remove(&id);
            if members.is_empty() {
                self.rooms.remove(room);
            }
        }
    }

    /// Who is in one of the rooms, each once.
    pub(super) fn recipients(&self, rooms: &str, without: Option<ConnId>) -> BTreeSet<ConnId> {
        let members = rooms.split('+').filter_map(|room| self.rooms.get(room)).flatten();
        members.copied().filter(|id| Some(*id) != without).collect()
    }

    /// These were among the recipients of a chat message.
    pub(super) fn meant(&mut self, ids: &[&ConnId], missed: bool) {
        for id in ids {
            if let Some(seat) = self.seats.get_mut(**id) {
                seat.meant += 1;
                seat.missed += u64::from(missed);
            }
        }
    }

    pub(super) fn ticked(&mut self, ticks: u64, mut full: impl FnMut(ConnId) -> bool) {
        for id in &self.open {
            if let Some(seat) = self.seats.get_mut(*id) {
                seat.ticks += ticks;
                seat.ticks_missed += if full(*id) { ticks } else { 0 };
            }
        }
    }

    /// A tick was answered with backpressure by some, of whom these are above the high-water mark still.
    pub(super) fn press(&mut self, high: impl Fn(ConnId) -> bool) {
        for id in &self.open {
            if let Some(seat) = self.seats.get_mut(*id) {
                seat.pressed |= high(*id);
                seat.may_drain = true;
            }
        }
    }

    /// Who was answered with backpressure, and has not drained though nothing waits any more; looks twice. `empty`: nothing
    /// waits, or it is closing.
    pub(super) fn undrained(&mut self, empty: impl Fn(ConnId) -> bool) -> Vec<u64> {
        let mut undrained = Vec::new();
        for id in &self.open {
            let Some(seat) = self.seats.get_mut(*id).filter(|seat| seat.pressed) else { continue };
            seat.looks = if empty(*id) { seat.looks + 1 } else { 0 };
            if seat.looks == 3 {
                undrained.push(seat.number);
            }
        }
        undrained
    }

    /// Open connections.
    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    pub(super) fn rooms(&self) -> usize {
        self.rooms.len()
    }
}
