//! `ConnId` to slot, generational: an id that has gone is never mistaken for the connection that took its slot.

use std::{collections::BTreeSet, fmt};

/// Names one connection of one [`EventLoop`](super::EventLoop), and none that comes later; until 2^32 others have had its slot.
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
        let mut parts = text.splitn(3, '-');
        let mut next = || parts.next().unwrap_or_default();
        let event_loop = u16::from_str_radix(next(), 16)?;
        let slot = u32::from_str_radix(next(), 16)?;
        let generation = u32::from_str_radix(next(), 16)?;
        Ok(Self { event_loop, slot, generation })
    }
}

/// Places that a list of connections keeps for the next turn: 48 KiB.
const LISTED: usize = 4 * 1024;

/// A list that has been worked through, for its storage: less of it than a turn of very many has needed.
pub(super) fn emptied(mut list: Vec<ConnId>) -> Vec<ConnId> {
    list.clear();
    list.shrink_to(LISTED);
    list
}

/// Slots in one allocation: a bit of `Page::used` each.
const PAGE: usize = u64::BITS as usize;

/// In pages: a slot pays for no allocation of its own, growing moves no slot, and what a crowd has taken up goes with it.
#[derive(Debug)]
pub(super) struct Slots<T> {
    pages: Vec<Page<T>>,
    /// Of each slot, also where its page has no storage.
    generations: Vec<u32>,
    /// Pages with room. The first is filled first, so that the last ones empty.
    roomy: BTreeSet<u32>,
    /// The one page that has storage and no connection, if there is one: a connection that comes and goes costs none.
    spare: Option<u32>,
    len: usize,
    pub(super) event_loop: u16,
}

#[derive(Debug)]
struct Page<T> {
    /// Empty, or all of them.
    values: Vec<Option<T>>,
    used: u64,
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        let (pages, generations, roomy) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { pages, generations, roomy, spare: None, len: 0, event_loop: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Slots in use and free.
    pub(super) fn len_all(&self) -> usize {
        self.generations.len()
    }

    /// The id that the next [`Slots::insert`] gives.
    pub(super) fn next_id(&self) -> ConnId {
        let page = self.roomy.first().map_or(self.pages.len(), |page| *page as usize);
        let bit = self.pages.get(page).map_or(0, |page| page.used.trailing_ones());
        let slot = (page * PAGE) as u32 + bit;
        let generation = self.generations.get(slot as usize).copied().unwrap_or(0);
        ConnId { generation, event_loop: self.event_loop, slot }
    }

    pub(super) fn insert(&mut self, value: T) -> ConnId {
        let id = self.next_id();
        let (at, bit) = (id.index() / PAGE, id.index() % PAGE);
        if at == self.pages.len() {
            self.pages.push(Page { values: Vec::new(), used: 0 });
            self.roomy.insert(at as u32);
        }
        if id.index() == self.generations.len() {
            self.generations.push(0);
        }
        let page = &mut self.pages[at];
        if page.values.is_empty() {
            page.values.reserve_exact(PAGE);
            page.values.resize_with(PAGE, || None);
        }
        page.values[bit] = Some(value);
        page.used |= 1 << bit;
        if page.used == u64::MAX {
            self.roomy.remove(&(at as u32));
        }
        self.spare = self.spare.filter(|spare| *spare as usize != at);
        self.len += 1;
        id
    }

    pub(super) fn remove(&mut self, id: ConnId) -> Option<T> {
        let value = self.place(id)?.take()?;
        let (at, bit) = (id.index() / PAGE, id.index() % PAGE);
        self.generations[id.index()] = id.generation.wrapping_add(1);
        let page = &mut self.pages[at];
        if page.used == u64::MAX {
            self.roomy.insert(at as u32);
        }
        page.used &= !(1 << bit);
        self.len -= 1;
        if page.used == 0 {
            // Of two the first stays, which is filled first.
            let emptied = at as u32;
            let spare = self.spare.unwrap_or(emptied);
            self.spare = Some(spare.min(emptied));
            if spare != emptied {
                self.pages[spare.max(emptied) as usize].values = Vec::new();
            }
        }
        Some(value)
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&T> {
        if self.generations.get(id.index()) != Some(&id.generation) || id.event_loop != self.event_loop {
            return None;
        }
        self.pages.get(id.index() / PAGE)?.values.get(id.index() % PAGE)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        self.place(id)?.as_mut()
    }

    #[inline]
    fn place(&mut self, id: ConnId) -> Option<&mut Option<T>> {
        if self.generations.get(id.index()) != Some(&id.generation) || id.event_loop != self.event_loop {
            return None;
        }
        self.pages.get_mut(id.index() / PAGE)?.values.get_mut(id.index() % PAGE)
    }

    /// Who is in this slot now.
    #[inline]
    pub(super) fn at_mut(&mut self, slot: usize) -> Option<(ConnId, &mut T)> {
        let generation = *self.generations.get(slot)?;
        let value = self.pages.get_mut(slot / PAGE)?.values.get_mut(slot % PAGE)?.as_mut()?;
        Some((ConnId { generation, event_loop: self.event_loop, slot: slot as u32 }, value))
    }

    /// The connection that is in this slot now.
    pub(super) fn id_at(&self, slot: usize) -> Option<ConnId> {
        let generation = *self.generations.get(slot)?;
        let is_used = self.pages.get(slot / PAGE)?.used >> (slot % PAGE) & 1 != 0;
        is_used.then_some(ConnId { generation, event_loop: self.event_loop, slot: slot as u32 })
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        (0..self.len_all()).filter_map(|slot| self.id_at(slot))
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

    #[test]
    fn what_is_no_id_is_refused_and_not_taken_for_another() {
        let mut slots = Slots::new();
        slots.event_loop = u16::MAX;
        let last = slots.insert(());
        assert_eq!("ffff-0-0".parse(), Ok(last));
        for text in ["10000-0-0", "0-100000000-0", "0-0-100000000", "", "0", "0-0", "0-0-", "0-0-0-0", "0-0-g"] {
            assert!(text.parse::<ConnId>().is_err(), "{text}");
        }
    }

    #[test]
    fn slots_are_those_of_a_naive_model_and_empty_pages_go() {
        let mut slots = Slots::new();
        let mut live: Vec<(ConnId, u32)> = Vec::new();
        let mut gone = Vec::new();
        let mut random = 1_u32;
        for round in 0..20_000_u32 {
            // Waves of up to some hundreds, down to none.
            let grows = round % 2_000 < 1_000;
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if live.is_empty() || (random >> 16) % 100 < if grows { 80 } else { 15 } {
                let next = slots.next_id();
                let id = slots.insert(round);
                assert_eq!(id, next);
                let lowest = (0..).find(|slot| live.iter().all(|(id, _)| id.index() != *slot));
                assert_eq!(Some(id.index()), lowest);
                live.push((id, round));
            } else {
                let (id, value) = live.swap_remove((random >> 8) as usize % live.len());
                assert_eq!(slots.remove(id), Some(value));
                gone.push(id);
            }
            assert_eq!(slots.len(), live.len());
            if round % 100 == 0 {
                assert!(live.iter().all(|(id, value)| slots.get(*id) == Some(value)));
                assert!(live.iter().all(|(id, _)| slots.id_at(id.index()) == Some(*id)));
                assert!(gone.iter().all(|id| slots.get(*id).is_none()));
                assert_eq!(slots.ids().count(), live.len());
            }
            let used: std::collections::HashSet<_> = live.iter().map(|(id, _)| id.index() / PAGE).collect();
            let held = slots.pages.iter().filter(|page| !page.values.is_empty()).count();
            assert!(held <= used.len() + 1, "{held} pages for {}", used.len());
        }
        assert!(slots.pages.len() > 5);
        for (id, value) in live {
            assert_eq!(slots.remove(id), Some(value));
        }
        assert_eq!(slots.pages.iter().filter(|page| !page.values.is_empty()).count(), 1);
    }

    #[test]
    fn what_is_removed_is_dropped_at_once() {
        let mut slots = Slots::new();
        let value = std::rc::Rc::new(());
        let id = slots.insert(value.clone());
        drop(slots.remove(id));
        assert_eq!(std::rc::Rc::strong_count(&value), 1);
    }
}
