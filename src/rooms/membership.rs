//! `Rooms`: who is in which room, and who receives an operation.
//!
//! Two mirrored maps, room -> members and connection -> rooms, and one table that says where each membership stands in both:
//!
//! ```text
//! names   "lobby" -> 3               halls[3].members = [id, id, id, ..]     a contiguous slice: what a broadcast walks
//!                                    rooms[slot] = [3, 8, ..]                what leaves with the connection
//! places  (slot, room) -> position in both
//! ```
//!
//! - A name is hashed once per call and is a small integer from there on. Names may come from peers: the map is std's, with
//!   its keyed hash, and nothing depends on its order.
//! - Join, leave and "is it in there" cost O(1); a close costs O(rooms of that connection). A removal moves the last member
//!   to the gap.
//! - A broadcast costs O(members of the rooms named), without hashing and without allocation per member. Unions and
//!   exceptions mark the slots they have seen with the number of the operation (`marks`), so nothing needs clearing.
//! - The order of recipients depends on the calls made and on nothing else: the same calls, the same order.
//! - A room exists while somebody is in it. The room of a connection's own id has no entry at all.
//!
//! Knows: ids, names, an [`Outlet`]. Must not know: sockets, loops, who calls.

use std::collections::HashMap;
use std::sync::Arc;

use super::delivery::{Delivery, Outlet};
use super::limits::{JoinError, RoomLimits};
use super::operation::{Operation, OwnedRoom, Recipients, Room, Target};
use super::presence::{Presence, RoomEvent};
use crate::net::ConnId;

/// Who is in which room.
///
/// A [`Hub`](super::Hub) keeps one beside its loop. It also stands alone, for those who drive their connections themselves:
/// tell it of each connection that opens ([`insert`](Self::insert)) and closes ([`remove`](Self::remove)).
/// Its tables are indexed by [`ConnId::index`], as `net` numbers its slots: their size follows the largest slot in use.
///
/// ```
/// use wireroom::rooms::{Delivery, Operation, Outlet, Recipients, Rooms};
/// use wireroom::{ConnId, PreparedMessage, SendError, SendStatus};
///
/// struct Log(Vec<ConnId>);
/// impl Outlet for Log {
///     fn deliver(&mut self, to: ConnId, _: &PreparedMessage) -> Result<SendStatus, SendError> {
///         self.0.push(to);
///         Ok(SendStatus::Queued)
///     }
/// }
///
/// # fn main() -> Result<(), std::num::ParseIntError> {
/// let (ann, bob): (ConnId, ConnId) = ("0-0-1".parse()?, "0-1-1".parse()?);
/// let mut rooms = Rooms::default();
/// rooms.insert(ann);
/// rooms.insert(bob);
/// assert_eq!(rooms.join(ann, "lobby"), Ok(true));
/// assert_eq!(rooms.join(bob, "lobby"), Ok(true));
/// assert_eq!(rooms.members("lobby"), [ann, bob]);
///
/// let message = PreparedMessage::new("hi");
/// let to_the_others = Operation::new(Recipients::to("lobby").except(ann), message);
/// let mut log = Log(Vec::new());
/// let delivery = rooms.deliver(&to_the_others, &mut log);
/// assert_eq!(delivery, Delivery { queued: 1, backpressure: 0, dropped: 0 });
/// assert_eq!(log.0, [bob]);
///
/// rooms.remove(bob);
/// assert_eq!(rooms.members("lobby"), [ann]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Rooms {
    names: HashMap<Arc<str>, u32>,
    halls: Vec<Hall>,
    vacant: Vec<u32>,
    /// Of each slot: where its connection stands in `everyone`. [`NOBODY`] for none.
    seats: Vec<u32>,
    /// Of each slot, up to the last that was ever in a room: the rooms of its connection.
    rooms: Vec<Vec<u32>>,
    everyone: Vec<ConnId>,
    places: HashMap<(u32, u32), Place>,
    marks: Vec<u32>,
    epoch: u32,
    limits: RoomLimits,
    presence: Presence,
}

/// What is known of one room. A vacant one has no name and no members.
#[derive(Debug, Default)]
struct Hall {
    name: Option<Arc<str>>,
    members: Vec<ConnId>,
}

const NOBODY: u32 = u32::MAX;

/// Where a membership stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    in_members: u32,
    in_rooms: u32,
}

impl Rooms {
    /// No connections, no rooms.
    pub fn new(limits: RoomLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Keeps up to `capacity` [`RoomEvent`]s for [`poll_event`](Self::poll_event). 0, the default, keeps none.
    pub fn watch(&mut self, capacity: usize) {
        self.presence = Presence::new(capacity);
    }

    /// The next change of membership.
    pub fn poll_event(&mut self) -> Option<RoomEvent> {
        self.presence.poll()
    }

    /// A connection has opened: it is one of everyone, and in the room of its own id. False if it was so already.
    ///
    /// An older connection of the same slot that was never removed leaves now.
    pub fn insert(&mut self, id: ConnId) -> bool {
        let slot = id.index();
        if self.seats.len() <= slot {
            self.seats.resize(slot + 1, NOBODY);
        }
        match self.everyone.get(self.seats[slot] as usize).copied() {
            Some(known) if known == id => return false,
            Some(stale) => self.remove(stale),
            None => {}
        }
        self.seats[slot] = as_u32(self.everyone.len());
        self.everyone.push(id);
        true
    }

    /// A connection has closed: it leaves all its rooms.
    pub fn remove(&mut self, id: ConnId) {
        if !self.contains(id) {
            return;
        }
        for room in self.rooms.get_mut(id.index()).map(std::mem::take).unwrap_or_default() {
            if let Some(place) = self.places.remove(&(slot(id), room)) {
                self.vacate(id, room, place.in_members);
            }
        }
        let seat = std::mem::replace(&mut self.seats[id.index()], NOBODY);
        self.everyone.swap_remove(seat as usize);
        if let Some(moved) = self.everyone.get(seat as usize) {
            self.seats[moved.index()] = seat;
        }
    }

    /// Lets `id` into `room`, which begins to exist if it is the first. `Ok(false)` if it is in there already.
    ///
    /// # Errors
    ///
    /// If the connection was not inserted, or at one of the [`RoomLimits`].
    pub fn join(&mut self, id: ConnId, room: &str) -> Result<bool, JoinError> {
        if !self.contains(id) {
            return Err(JoinError::NotOpen);
        }
        let known = self.names.get(room).copied();
        if known.is_some_and(|room| self.places.contains_key(&(slot(id), room))) {
            return Ok(false);
        }
        let limit = self.limits.max_rooms_per_socket;
        if self.rooms.len() <= id.index() {
            self.rooms.resize_with(id.index() + 1, Vec::new);
        }
        if self.rooms[id.index()].len() >= limit {
            return Err(JoinError::TooManyRoomsOfSocket { limit });
        }
        let room = match known {
            Some(room) => room,
            None => self.open(room)?,
        };
        let (hall, rooms) = (&mut self.halls[room as usize], &mut self.rooms[id.index()]);
        let place = Place { in_members: as_u32(hall.members.len()), in_rooms: as_u32(rooms.len()) };
        self.places.insert((slot(id), room), place);
        hall.members.push(id);
        rooms.push(room);
        if let Some(name) = &hall.name {
            self.presence.joined(name, id);
        }
        Ok(true)
    }

    /// Takes `id` out of `room`, which ceases to exist if it was the last. False if it was not in there.
    pub fn leave(&mut self, id: ConnId, room: &str) -> bool {
        let Some(&room) = self.names.get(room) else { return false };
        if !self.contains(id) {
            return false;
        }
        let Some(place) = self.places.remove(&(slot(id), room)) else { return false };
        let rooms = &mut self.rooms[id.index()];
        rooms.swap_remove(place.in_rooms as usize);
        let moved = rooms.get(place.in_rooms as usize).copied();
        if let Some(moved) = moved.and_then(|moved| self.places.get_mut(&(slot(id), moved))) {
            moved.in_rooms = place.in_rooms;
        }
        self.vacate(id, room, place.in_members);
        true
    }

    /// Whether `id` is one of everyone.
    pub fn contains(&self, id: ConnId) -> bool {
        self.seats.get(id.index()).is_some_and(|seat| self.everyone.get(*seat as usize) == Some(&id))
    }

    /// Whether `id` is in `room`.
    pub fn in_room(&self, id: ConnId, room: &str) -> bool {
        self.contains(id) && self.names.get(room).is_some_and(|&room| self.places.contains_key(&(slot(id), room)))
    }

    /// Who is in `room`.
    pub fn members(&self, room: &str) -> &[ConnId] {
        self.names.get(room).map_or(&[], |&room| &self.halls[room as usize].members)
    }

    /// Every open connection.
    pub fn everyone(&self) -> &[ConnId] {
        &self.everyone
    }

    /// The names of the rooms that `id` is in; that of its own id is not among them.
    pub fn rooms_of(&self, id: ConnId) -> impl Iterator<Item = &str> {
        let rooms = self.rooms.get(id.index()).filter(|_| self.contains(id));
        rooms.into_iter().flatten().filter_map(|&room| self.halls[room as usize].name.as_deref())
    }

    /// The names of the rooms that exist.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.halls.iter().filter_map(|hall| hall.name.as_deref())
    }

    /// How many rooms exist.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Hands the message of `operation` to each recipient that is known here, once, and counts what became of it.
    pub fn deliver(&mut self, operation: &Operation, outlet: &mut impl Outlet) -> Delivery {
        let mut delivery = Delivery::default();
        self.visit(&operation.recipients, |id| delivery.count(outlet.deliver(id, &operation.message)));
        delivery
    }

    /// The connections that an operation for `recipients` would reach, in its order.
    pub fn recipients(&mut self, recipients: &Recipients) -> Vec<ConnId> {
        let mut ids = Vec::new();
        self.visit(recipients, |id| ids.push(id));
        ids
    }

    /// [`join`](Self::join) for a caller that is not there to see a refusal: presence tells it.
    pub(super) fn join_or_tell(&mut self, id: ConnId, room: &Arc<str>) {
        if let Err(error) = self.join(id, room) {
            self.presence.refused(room, id, error);
        }
    }

    /// `room` with its name shared, if it exists, instead of copied.
    pub(super) fn owned(&self, room: Room<'_>) -> OwnedRoom {
        match room {
            Room::Named(name) => {
                OwnedRoom::Named(self.names.get_key_value(name).map_or_else(|| name.into(), |(name, _)| name.clone()))
            }
            Room::Own(id) => OwnedRoom::Own(id),
        }
    }

    fn visit(&mut self, recipients: &Recipients, mut visit: impl FnMut(ConnId)) {
        // The usual broadcast is one slice with at most one connection left out: no mark is needed.
        let slice = match &recipients.target {
            Target::Everyone => Some(&self.everyone[..]),
            Target::Rooms(rooms) => match &rooms[..] {
                [OwnedRoom::Named(name)] => Some(self.members(name)),
                _ => None,
            },
        };
        let without = match &recipients.except[..] {
            [] => Some(None),
            [OwnedRoom::Own(id)] => Some(Some(*id)),
            _ => None,
        };
        if let (Some(slice), Some(without)) = (slice, without) {
            return slice.iter().filter(|&&id| Some(id) != without).for_each(|&id| visit(id));
        }

        let epoch = self.next_epoch();
        let mut marks = std::mem::take(&mut self.marks);
        let mut unseen = |id: ConnId| std::mem::replace(&mut marks[id.index()], epoch) != epoch;
        for room in &recipients.except {
            for &id in self.connections_in(room) {
                unseen(id);
            }
        }
        let mut pass = |ids: &[ConnId]| ids.iter().filter(|&&id| unseen(id)).for_each(|&id| visit(id));
        match &recipients.target {
            Target::Everyone => pass(&self.everyone),
            Target::Rooms(rooms) => rooms.iter().for_each(|room| pass(self.connections_in(room))),
        }
        self.marks = marks;
    }

    /// The members of `room`; of an id's own room that connection, if it is here.
    fn connections_in<'r>(&'r self, room: &'r OwnedRoom) -> &'r [ConnId] {
        match room {
            OwnedRoom::Named(name) => self.members(name),
            OwnedRoom::Own(id) if self.contains(*id) => std::slice::from_ref(id),
            OwnedRoom::Own(_) => &[],
        }
    }

    /// A number that no mark carries. Each seat has a mark from here on.
    fn next_epoch(&mut self) -> u32 {
        self.marks.resize(self.seats.len(), 0);
        self.epoch = self.epoch.checked_add(1).unwrap_or_else(|| {
            self.marks.fill(0);
            1
        });
        self.epoch
    }

    fn open(&mut self, name: &str) -> Result<u32, JoinError> {
        let RoomLimits { max_room_name, max_rooms, .. } = self.limits;
        if name.len() > max_room_name {
            return Err(JoinError::NameTooLong { len: name.len(), limit: max_room_name });
        }
        if self.names.len() >= max_rooms {
            return Err(JoinError::TooManyRooms { limit: max_rooms });
        }
        let room = self.vacant.pop().unwrap_or_else(|| {
            self.halls.push(Hall::default());
            as_u32(self.halls.len() - 1)
        });
        let name: Arc<str> = name.into();
        self.halls[room as usize].name = Some(name.clone());
        self.names.insert(name, room);
        Ok(room)
    }

    /// Removes the member at `position` of `room`, and with the last one the room.
    fn vacate(&mut self, id: ConnId, room: u32, position: u32) {
        let hall = &mut self.halls[room as usize];
        hall.members.swap_remove(position as usize);
        let moved = hall.members.get(position as usize).copied();
        let name = if hall.members.is_empty() { std::mem::take(hall).name } else { hall.name.clone() };
        if let Some(name) = &name {
            self.presence.left(name, id);
            if self.halls[room as usize].name.is_none() {
                self.names.remove(name);
                self.vacant.push(room);
            }
        }
        if let Some(place) = moved.and_then(|moved| self.places.get_mut(&(slot(moved), room))) {
            place.in_members = position;
        }
    }
}

fn slot(id: ConnId) -> u32 {
    as_u32(id.index())
}

/// Slots, rooms and members are counted in 32 bits: more than 2^32 of them would need 100 GB before.
fn as_u32(n: usize) -> u32 {
    debug_assert!(u32::try_from(n).is_ok());
    n as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_operations_long_ago_leave_nobody_out() {
        let ids: Vec<ConnId> = ["0-0-1", "0-1-1"].map(|id| id.parse().expect("an id")).into();
        let mut rooms = Rooms::default();
        for &id in &ids {
            rooms.insert(id);
            rooms.join(id, "red").expect("within the limits");
        }
        let union = Recipients::to("red").and("blue");
        // The first operation leaves marks of 1; the numbers begin again at 1 after the last.
        assert_eq!(rooms.recipients(&union), ids);
        rooms.epoch = u32::MAX - 1;
        for _ in 0..3 {
            assert_eq!(rooms.recipients(&union), ids);
        }
        assert_eq!(rooms.epoch, 2);
    }

    #[test]
    fn nothing_of_a_room_or_a_connection_stays_behind() {
        let mut rooms = Rooms::default();
        for generation in 1..100 {
            for slot in 0..10 {
                let id = format!("0-{slot:x}-{generation:x}").parse().expect("an id");
                rooms.insert(id);
                for room in 0..10 {
                    rooms.join(id, &format!("{generation} {room}")).expect("within the limits");
                }
                rooms.leave(id, &format!("{generation} 3"));
            }
            for id in rooms.everyone().to_vec() {
                rooms.remove(id);
            }
            assert!(rooms.names.is_empty() && rooms.places.is_empty() && rooms.everyone.is_empty());
            assert_eq!((rooms.halls.len(), rooms.vacant.len(), rooms.seats.len()), (10, 10, 10));
            assert!(rooms.halls.iter().all(|hall| hall.name.is_none() && hall.members.capacity() == 0));
            assert!(rooms.seats.iter().all(|seat| *seat == NOBODY));
            assert!(rooms.rooms.iter().all(|rooms| rooms.capacity() == 0));
        }
    }
}
