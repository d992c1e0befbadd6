//! The caller's data per connection.

use super::ConnId;

/// A map from connection to `T`, indexed by slot: no hashing. An entry of a connection that has gone is replaced by
/// the next one in its slot; remove it on [`Event::Closed`](crate::Event::Closed).
#[derive(Clone, Debug)]
pub struct ConnMap<T> {
    entries: Vec<Option<(ConnId, T)>>,
}

impl<T> Default for ConnMap<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> ConnMap<T> {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `value` in and gives back what this very connection had.
    pub fn insert(&mut self, id: ConnId, value: T) -> Option<T> {
        if self.entries.len() <= id.index() {
            self.entries.resize_with(id.index() + 1, || None);
        }
        let old = self.entries[id.index()].replace((id, value));
        old.filter(|(owner, _)| *owner == id).map(|(_, value)| value)
    }

    /// This connection's value.
    pub fn get(&self, id: ConnId) -> Option<&T> {
        self.entries.get(id.index())?.as_ref().filter(|(owner, _)| *owner == id).map(|(_, value)| value)
    }

    /// This connection's value, to change.
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        self.entries.get_mut(id.index())?.as_mut().filter(|(owner, _)| *owner == id).map(|(_, value)| value)
    }

    /// Takes this connection's value out.
    pub fn remove(&mut self, id: ConnId) -> Option<T> {
        self.get(id)?;
        self.entries.get_mut(id.index())?.take().map(|(_, value)| value)
    }

    /// All that is in it, in order of slots.
    pub fn iter(&self) -> impl Iterator<Item = (ConnId, &T)> {
        self.entries.iter().flatten().map(|(id, value)| (*id, value))
    }
}
