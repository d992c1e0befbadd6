//! What the loops of one [`Loops`](super::Loops) know of one another.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicUsize, Ordering},
};

use super::{Connections, Handle, handle::Order, shared_listener::Door};

/// One for all the loops of a `Loops`, each of which is named by its number.
#[derive(Debug)]
pub(super) struct Siblings {
    handles: Box<[Handle]>,
    /// Connections in any phase, those on their way included.
    connections: Box<[AtomicUsize]>,
    doors: Mutex<Vec<Weak<Door>>>,
}

impl Siblings {
    pub(super) fn new(handles: Vec<Handle>) -> Self {
        let connections = handles.iter().map(|_| AtomicUsize::new(0)).collect();
        Self { handles: handles.into(), connections, doors: Mutex::default() }
    }

    pub(super) fn handles(&self) -> &[Handle] {
        &self.handles
    }

    pub(super) fn handle(&self, event_loop: u16) -> Option<&Handle> {
        self.handles.get(usize::from(event_loop))
    }

    /// One door more; `make` is told its number.
    pub(super) fn add_door(&self, make: impl FnOnce(usize) -> Door) -> Arc<Door> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let door = Arc::new(make(doors.len()));
        doors.push(Arc::downgrade(&door));
        door
    }

    /// One connection more, here or on its way here.
    pub(super) fn came(&self, event_loop: u16) {
        if let Some(count) = self.connections.get(usize::from(event_loop)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn went(&self, event_loop: u16, connections: usize) {
        if let Some(count) = self.connections.get(usize::from(event_loop)) {
            count.fetch_sub(connections, Ordering::Relaxed);
        }
    }

    pub(super) fn connections(&self) -> impl Iterator<Item = usize> + '_ {
        self.connections.iter().map(|count| count.load(Ordering::Relaxed))
    }

    /// Nobody new comes in by a shared listener.
    pub(super) fn close_doors(&self) {
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        doors.iter().filter_map(Weak::upgrade).for_each(|door| door.close());
    }

    pub(super) fn order(&self, order: Order) {
        self.handles.iter().for_each(|handle| handle.order(order));
    }
}

impl Connections {
    /// One connection more is in this loop, or about to be.
    pub(super) fn came(&self) {
        if let Some(siblings) = &self.siblings {
            siblings.came(self.slots.event_loop);
        }
    }

    pub(super) fn went(&self) {
        if let Some(siblings) = &self.siblings {
            siblings.went(self.slots.event_loop, 1);
        }
    }
}

impl Drop for Connections {
    /// What they held at a listener that goes on without this loop is free again.
    fn drop(&mut self) {
        let Some(siblings) = self.siblings.take() else { return };
        siblings.went(self.slots.event_loop, self.len());
        for slot in 0..self.slots.len_all() {
            let held = self.slots.id_at(slot).and_then(|id| self.slots.get(id));
            if let Some((listener, place)) = held.map(|slot| (slot.listener, slot.place)) {
                self.give_back(listener, place);
            }
        }
    }
}
