//! The rooms that a newcomer is offered: those with people or with history, most recently used first.

use std::collections::HashMap;

use wireroom::rooms::Rooms;

/// Rooms that are remembered, whether or not there is anything in them any more.
const REMEMBERED: usize = 1000;
/// Rooms that are offered.
const OFFERED: usize = 100;

#[derive(Debug, Default)]
pub(crate) struct RecentRooms {
    rooms: HashMap<String, Use>,
    /// Counts uses: the later, the larger.
    uses: u64,
}

#[derive(Debug)]
struct Use {
    last: u64,
    has_history: bool,
}

impl RecentRooms {
    /// From the history: the one with the latest message first.
    pub(crate) fn new(with_history: Vec<String>) -> Self {
        let mut recent = Self::default();
        for room in with_history.into_iter().take(REMEMBERED).rev() {
            recent.said_in(&room);
        }
        recent
    }

    /// Somebody went in.
    pub(crate) fn joined(&mut self, room: &str) {
        self.used(room, false);
    }

    /// Somebody said something there.
    pub(crate) fn said_in(&mut self, room: &str) {
        self.used(room, true);
    }

    pub(crate) fn offered<'r>(&'r self, rooms: &Rooms) -> Vec<&'r str> {
        let mut offered: Vec<_> = self
            .rooms
            .iter()
            .filter(|(name, room)| room.has_history || !rooms.members(name).is_empty())
            .map(|(name, room)| (room.last, name.as_str()))
            .collect();
        offered.sort_unstable_by(|one, other| other.cmp(one));
        offered.into_iter().take(OFFERED).map(|(_, name)| name).collect()
    }

    fn used(&mut self, room: &str, has_history: bool) {
        self.uses += 1;
        if let Some(known) = self.rooms.get_mut(room) {
            known.last = self.uses;
            known.has_history |= has_history;
            return;
        }
        if self.rooms.len() >= REMEMBERED {
            let oldest = self.rooms.iter().min_by_key(|(_, room)| room.last).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.rooms.remove(&name));
        }
        self.rooms.insert(room.to_owned(), Use { last: self.uses, has_history });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_first_and_only_what_has_something_in_it() {
        let mut rooms = Rooms::default();
        let ann = "0-0-1".parse().unwrap();
        rooms.insert(ann);
        rooms.join(ann, "green").unwrap();
        let mut recent = RecentRooms::new(vec!["red".to_owned(), "blue".to_owned()]);
        assert_eq!(recent.offered(&rooms), ["red", "blue"]);
        recent.joined("green");
        recent.joined("empty");
        recent.joined("blue");
        assert_eq!(recent.offered(&rooms), ["blue", "green", "red"]);
        recent.said_in("red");
        rooms.leave(ann, "green");
        assert_eq!(recent.offered(&rooms), ["red", "blue"]);
    }

    #[test]
    fn what_is_remembered_and_what_is_offered_is_bounded() {
        let mut recent = RecentRooms::default();
        for n in 0..2 * REMEMBERED {
            recent.said_in(&n.to_string());
        }
        assert_eq!(recent.rooms.len(), REMEMBERED);
        let offered = recent.offered(&Rooms::default());
        assert_eq!((offered.len(), offered[0], offered[99]), (OFFERED, "1999", "1900"));
    }
}
