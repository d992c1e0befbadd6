//! Floor 6: who is in which room and who receives what, against a naive model; also at the limits, and with presence that
//! nobody reads.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Arbitrary, Unstructured};
use wireroom::{
    ConnId, PreparedMessage, SendError, SendStatus,
    rooms::{Delivery, JoinError, Operation as Emit, Outlet, Recipients, RoomEvent, RoomLimits, Rooms, Target},
};

const SLOTS: u8 = 6;
/// The last one is longer than any limit of this target allows.
const NAMES: [&str; 6] = ["red", "green", "blue", "grey", "", "a-longer-name"];

/// The model: for each open connection, its rooms.
type Model = BTreeMap<ConnId, BTreeSet<&'static str>>;

#[derive(Arbitrary, Debug)]
enum Operation {
    Open(u8),
    Close(u8),
    Join(u8, u8),
    Leave(u8, u8),
    Emit {
        everyone: bool,
        to: Vec<Choice>,
        except: Vec<Choice>,
        names_only: bool,
    },
    /// Presence is read.
    Events,
}

/// A room of an operation: a name, or a slot's own room, of its current life or of the one before.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Choice {
    Name(u8),
    Own(u8),
    Stale(u8),
}

/// Writes down who was handed a message; some do not take it.
#[derive(Default)]
struct Log(Vec<ConnId>);

impl Outlet for Log {
    fn deliver(&mut self, to: ConnId, _message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.0.push(to);
        match to.index() % 4 {
            0 => Ok(SendStatus::Queued),
            1 => Ok(SendStatus::Backpressure),
            2 => Ok(SendStatus::Dropped),
            _ => Err(SendError::Closed),
        }
    }
}

struct Table {
    rooms: Rooms,
    model: Model,
    limits: RoomLimits,
    generations: [u64; SLOTS as usize],
    /// Who is where as the events tell it, and whether they still can be believed.
    told: Model,
    missed: bool,
    /// Events that were not read.
    pending: usize,
    capacity: usize,
}

pub fn run(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let _ = history(&mut input);
}

fn history(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let limits = RoomLimits {
        max_rooms_per_socket: *input.choose(&[1024, 1, 2])?,
        max_room_name: *input.choose(&[12, 4, 0])?,
        max_rooms: *input.choose(&[1000, 1, 3])?,
    };
    let capacity = *input.choose(&[1000, 0, 3])?;
    let mut rooms = Rooms::new(limits);
    rooms.watch(capacity);
    let generations = [1; SLOTS as usize];
    let (model, told) = (Model::new(), Model::new());
    let mut table = Table { rooms, model, limits, generations, told, missed: false, pending: 0, capacity };
    let mut steps = 0;
    while !input.is_empty() && steps < 300 {
        table.step(Operation::arbitrary(input)?);
        table.mirror();
        steps += 1;
    }
    Ok(())
}

impl Table {
    fn id(&self, slot: u8, age: u64) -> ConnId {
        let slot = slot % SLOTS;
        format!("0-{slot:x}-{:x}", self.generations[usize::from(slot)] - age).parse().expect("an id")
    }

    fn step(&mut self, operation: Operation) {
        match operation {
            Operation::Open(slot) => {
                let id = self.id(slot, 0);
                assert_eq!(self.rooms.insert(id), !self.model.contains_key(&id));
                self.model.entry(id).or_default();
            }
            Operation::Close(slot) => {
                let id = self.id(slot, 0);
                self.rooms.remove(id);
                self.pending += self.model.remove(&id).map_or(0, |joined| joined.len());
                self.generations[usize::from(slot % SLOTS)] += 1;
            }
            Operation::Join(slot, name) => {
                let (id, name) = (self.id(slot, 0), NAMES[usize::from(name) % NAMES.len()]);
                let expected = self.join(id, name);
                assert_eq!(self.rooms.join(id, name), expected);
                self.pending += usize::from(expected == Ok(true));
            }
            Operation::Leave(slot, name) => {
                let (id, name) = (self.id(slot, 0), NAMES[usize::from(name) % NAMES.len()]);
                let expected = self.model.get_mut(&id).is_some_and(|joined| joined.remove(name));
                assert_eq!(self.rooms.leave(id, name), expected);
                self.pending += usize::from(expected);
            }
            Operation::Emit { everyone, to, except, names_only } => self.emit(everyone, &to, &except, names_only),
            Operation::Events => self.events(),
        }
    }

    /// Joins the model, or says which limit is in the way.
    fn join(&mut self, id: ConnId, name: &'static str) -> Result<bool, JoinError> {
        let existing: BTreeSet<&str> = self.model.values().flatten().copied().collect();
        let joined = self.model.get_mut(&id).ok_or(JoinError::NotOpen)?;
        let RoomLimits { max_rooms_per_socket, max_room_name, max_rooms } = self.limits;
        if joined.contains(name) {
            return Ok(false);
        }
        if joined.len() >= max_rooms_per_socket {
            return Err(JoinError::TooManyRoomsOfSocket { limit: max_rooms_per_socket });
        }
        if !existing.contains(name) {
            if name.len() > max_room_name {
                return Err(JoinError::NameTooLong { len: name.len(), limit: max_room_name });
            }
            if existing.len() >= max_rooms {
                return Err(JoinError::TooManyRooms { limit: max_rooms });
            }
        }
        Ok(joined.insert(name))
    }

    /// Each recipient of the model exactly once, and nobody else.
    fn emit(&mut self, everyone: bool, to: &[Choice], except: &[Choice], names_only: bool) {
        let selects = |choice: &Choice, id: ConnId, joined: &BTreeSet<&str>| match *choice {
            Choice::Name(name) => joined.contains(NAMES[usize::from(name) % NAMES.len()]),
            Choice::Own(slot) => !names_only && id == self.id(slot, 0),
            Choice::Stale(slot) => !names_only && id == self.id(slot, 1),
        };
        let mut expected = BTreeSet::new();
        for (&id, joined) in &self.model {
            let targeted = everyone || to.iter().any(|choice| selects(choice, id, joined));
            if targeted && !except.iter().any(|choice| selects(choice, id, joined)) {
                expected.insert(id);
            }
        }
        let mut recipients = Recipients::everyone();
        if !everyone {
            recipients.target = Target::Rooms(Vec::new());
            for choice in to {
                recipients = match *choice {
                    Choice::Name(name) => recipients.and(NAMES[usize::from(name) % NAMES.len()]),
                    Choice::Own(slot) => recipients.and(self.id(slot, 0)),
                    Choice::Stale(slot) => recipients.and(self.id(slot, 1)),
                };
            }
        }
        for choice in except {
            recipients = match *choice {
                Choice::Name(name) => recipients.except(NAMES[usize::from(name) % NAMES.len()]),
                Choice::Own(slot) => recipients.except(self.id(slot, 0)),
                Choice::Stale(slot) => recipients.except(self.id(slot, 1)),
            };
        }
        if names_only {
            recipients = recipients.names_only();
        }
        let listed = self.rooms.recipients(&recipients);
        let mut log = Log::default();
        let delivery = self.rooms.deliver(&Emit::new(recipients, PreparedMessage::new("hi")), &mut log);
        let of = |outcome: usize| expected.iter().filter(|id| id.index() % 4 == outcome).count();
        assert_eq!(delivery, Delivery { queued: of(0), backpressure: of(1), dropped: of(2) + of(3) });
        assert_eq!(log.0, listed, "the list and the delivery have one order");
        assert_eq!(log.0.len(), expected.len(), "each once");
        assert_eq!(log.0.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    /// Presence tells the same story, or says how much of it is missing.
    fn events(&mut self) {
        let mut read = 0;
        while let Some(event) = self.rooms.poll_event() {
            match event {
                RoomEvent::Joined { room, id } => {
                    let name = NAMES.into_iter().find(|name| **name == *room).expect("a known name");
                    assert!(self.told.entry(id).or_default().insert(name) || self.missed);
                    read += 1;
                }
                RoomEvent::Left { room, id } => {
                    assert!(self.told.entry(id).or_default().remove(&*room) || self.missed);
                    read += 1;
                }
                RoomEvent::Missed { count } => {
                    self.missed = true;
                    read += count as usize;
                }
                other => panic!("{other:?}"),
            }
        }
        if self.capacity > 0 {
            assert_eq!(read, std::mem::take(&mut self.pending), "each change was told or counted");
        }
        if self.capacity > 0 && !self.missed {
            self.told.retain(|_, joined| !joined.is_empty());
            let joined = self.model.clone().into_iter().filter(|(_, joined)| !joined.is_empty()).collect::<Model>();
            assert_eq!(self.told, joined, "presence told another story");
        }
    }

    /// Both maps say what the model says, and an empty room is no room.
    fn mirror(&self) {
        let rooms = &self.rooms;
        assert_eq!(rooms.everyone().iter().copied().collect::<BTreeSet<_>>(), self.model.keys().copied().collect());
        assert_eq!(rooms.everyone().len(), self.model.len());
        for name in NAMES {
            let expected: BTreeSet<_> =
                self.model.iter().filter(|(_, joined)| joined.contains(name)).map(|(&id, _)| id).collect();
            assert_eq!(rooms.members(name).len(), expected.len());
            assert_eq!(rooms.members(name).iter().copied().collect::<BTreeSet<_>>(), expected);
            assert_eq!(rooms.names().any(|known| known == name), !expected.is_empty());
        }
        for (&id, joined) in &self.model {
            assert_eq!(rooms.rooms_of(id).count(), joined.len());
            assert_eq!(&rooms.rooms_of(id).collect::<BTreeSet<_>>(), joined);
            assert!(NAMES.into_iter().all(|name| rooms.in_room(id, name) == joined.contains(name)));
        }
        assert_eq!(rooms.count(), rooms.names().count());
    }
}
