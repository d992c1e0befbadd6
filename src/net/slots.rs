//! `ConnId` to slot, generational: an id that has gone is never mistaken for the connection that took its slot.

use std::fmt;

/// Names one connection of one [`EventLoop`](super::EventLoop), for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    generation: u32,
    event_loop: u16,
    slot: u32,
}

impl ConnId {
    /// The slot: small, dense, used again by later connections. An index for tables such as
    /// [`ConnMap`](super::ConnMap).
    pub fn index(self) -> usize {
        self.slot as usize
    }

    /// The number of the event loop that it lives in, see [`EventLoop::set_number`](super::EventLoop::set_number).
    pub fn event_loop(self) -> u16 {
        self.event_loop
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.event_loop, self.slot, self.generation)
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnId({self})")
    }
}

impl std::str::FromStr for ConnId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, '-').map(|part| u32::from_str_radix(part, 16));
        let mut next = || parts.next().unwrap_or_else(|| u32::from_str_radix("", 16));
        let (event_loop, slot, generation) = (next()?, next()?, next()?);
        // A loop's number has 16 bits; a larger one names no connection.
        Ok(Self { event_loop: u16::try_from(event_loop).unwrap_or(u16::MAX), slot, generation })
    }
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<Box<T>>,
}

#[derive(Debug)]
pub(super) struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    pub(super) event_loop: u16,
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new(), event_loop: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Slots in use and free.
    pub(super) fn len_all(&self) -> usize {
        self.entries.len()
    }

    /// The id that the next [`Slots::insert`] gives.
    pub(super) fn next_id(&self) -> ConnId {
        let slot = self.free.last().copied().unwrap_or(self.entries.len() as u32);
        let generation = self.entries.get(slot as usize).map_or(0, |entry| entry.generation);
        ConnId { generation, event_loop: self.event_loop, slot }
    }

    pub(super) fn insert(&mut self, value: T) -> ConnId {
        let id = self.next_id();
        let value = Some(Box::new(value));
        match self.free.pop() {
            Some(slot) => self.entries[slot as usize].value = value,
            None => self.entries.push(Entry { generation: 0, value }),
        }
        id
    }

    pub(super) fn remove(&mut self, id: ConnId) -> Option<T> {
        self.get(id)?;
        let entry = &mut self.entries[id.index()];
        let value = entry.value.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(id.slot);
        Some(*value)
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&T> {
        let entry = self.entries.get(id.index())?;
        if entry.generation == id.generation && id.event_loop == self.event_loop {
            entry.value.as_deref()
        } else {
            None
        }
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        let entry = self.entries.get_mut(id.index())?;
        if entry.generation == id.generation && id.event_loop == self.event_loop {
            entry.value.as_deref_mut()
        } else {
            None
        }
    }

    /// The connection that is in this slot now.
    pub(super) fn id_at(&self, slot: usize) -> Option<ConnId> {
        let entry = self.entries.get(slot)?;
        entry.value.as_ref()?;
        Some(ConnId { generation: entry.generation, event_loop: self.event_loop, slot: slot as u32 })
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        (0..self.entries.len()).filter_map(|slot| self.id_at(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_has_gone_names_nobody() {
        let mut slots = Slots::new();
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        let second = slots.insert("second");
        assert_eq!(first.index(), second.index());
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
        assert_eq!(second.to_string().parse(), Ok(second));
    }
}
