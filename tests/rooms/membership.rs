//! Who is in which room, and who receives what: against a naive model, and at the limits.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use wireroom::rooms::{Delivery, JoinError, Operation, Outlet, Recipients, RoomEvent, RoomLimits, Rooms, Target};
use wireroom::{ConnId, PreparedMessage, SendError, SendStatus};

use crate::id;

const SLOTS: u64 = 7;
const NAMES: [&str; 4] = ["red", "green", "blue", "grey"];

/// The model: for each open connection, its rooms.
type Model = BTreeMap<ConnId, BTreeSet<&'static str>>;

#[derive(Debug, Clone)]
enum Step {
    Open(u64),
    Close(u64),
    Join(u64, usize),
    Leave(u64, usize),
    Emit { everyone: bool, to: Vec<Choice>, except: Vec<Choice> },
}

/// A room of a step: a name, or a slot's own room (of its current life, or of the one before).
#[derive(Debug, Clone, Copy)]
enum Choice {
    Name(usize),
    Own(u64),
    Stale(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let choices = || prop::collection::vec(choice(), 0..4);
    prop_oneof![
        2 => (0..SLOTS).prop_map(Step::Open),
        1 => (0..SLOTS).prop_map(Step::Close),
        8 => (0..SLOTS, 0..NAMES.len()).prop_map(|(slot, name)| Step::Join(slot, name)),
        3 => (0..SLOTS, 0..NAMES.len()).prop_map(|(slot, name)| Step::Leave(slot, name)),
        6 => (any::<bool>(), choices(), choices()).prop_map(|(everyone, to, except)| Step::Emit { everyone, to, except }),
    ]
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        3 => (0..NAMES.len()).prop_map(Choice::Name),
        2 => (0..SLOTS).prop_map(Choice::Own),
        1 => (0..SLOTS).prop_map(Choice::Stale),
    ]
}

/// An outlet that writes down who was handed a message.
#[derive(Default)]
struct Log(Vec<ConnId>);

impl Outlet for Log {
    fn deliver(&mut self, to: ConnId, _message: &PreparedMessage) -> Result<SendStatus, SendError> {
        self.0.push(to);
        Ok(SendStatus::Queued)
    }
}

proptest! {
    #[test]
    fn any_history_reaches_the_same_connections_as_a_naive_model(steps in prop::collection::vec(step(), 1..120)) {
        let mut rooms = Rooms::default();
        rooms.watch(1_000);
        let mut model = Model::new();
        let mut generations = [1; SLOTS as usize];
        let mut told = Model::new();
        for step in steps {
            let current = |slot: u64| id(slot, generations[slot as usize]);
            match step {
                Step::Open(slot) => {
                    prop_assert_eq!(rooms.insert(current(slot)), !model.contains_key(&current(slot)));
                    model.entry(current(slot)).or_default();
                }
                Step::Close(slot) => {
                    rooms.remove(current(slot));
                    model.remove(&current(slot));
                    generations[slot as usize] += 1;
                }
                Step::Join(slot, name) => {
                    let expected = match model.get_mut(&current(slot)) {
                        Some(joined) => Ok(joined.insert(NAMES[name])),
                        None => Err(JoinError::NotOpen),
                    };
                    prop_assert_eq!(rooms.join(current(slot), NAMES[name]), expected);
                }
                Step::Leave(slot, name) => {
                    let expected = model.get_mut(&current(slot)).is_some_and(|joined| joined.remove(NAMES[name]));
                    prop_assert_eq!(rooms.leave(current(slot), NAMES[name]), expected);
                }
                Step::Emit { everyone, to, except } => emit(&mut rooms, &model, &generations, everyone, &to, &except)?,
            }
            mirror(&rooms, &model)?;
            while let Some(event) = rooms.poll_event() {
                match event {
                    RoomEvent::Joined { room, id } => {
                        let name = NAMES.into_iter().find(|name| **name == *room).expect("a known name");
                        prop_assert!(told.entry(id).or_default().insert(name));
                    }
                    RoomEvent::Left { room, id } => prop_assert!(told.entry(id).or_default().remove(&*room)),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            told.retain(|_, joined| !joined.is_empty());
            let joined = model.clone().into_iter().filter(|(_, joined)| !joined.is_empty()).collect::<Model>();
            prop_assert_eq!(&told, &joined, "presence told another story");
        }
    }
}

/// Each recipient of the model exactly once, and nobody else.
fn emit(
    rooms: &mut Rooms,
    model: &Model,
    generations: &[u64],
    everyone: bool,
    to: &[Choice],
    except: &[Choice],
) -> Result<(), TestCaseError> {
    let own = |slot: u64, age: u64| id(slot, generations[slot as usize] - age);
    let selects = |choice: &Choice, id: ConnId, joined: &BTreeSet<&str>| match *choice {
        Choice::Name(name) => joined.contains(NAMES[name]),
        Choice::Own(slot) => id == own(slot, 0),
        Choice::Stale(slot) => id == own(slot, 1),
    };
    let mut expected = BTreeSet::new();
    for (&id, joined) in model {
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
                Choice::Name(name) => recipients.and(NAMES[name]),
                Choice::Own(slot) => recipients.and(own(slot, 0)),
                Choice::Stale(slot) => recipients.and(own(slot, 1)),
            };
        }
    }
    for choice in except {
        recipients = match *choice {
            Choice::Name(name) => recipients.except(NAMES[name]),
            Choice::Own(slot) => recipients.except(own(slot, 0)),
            Choice::Stale(slot) => recipients.except(own(slot, 1)),
        };
    }
    let listed = rooms.recipients(&recipients);
    let mut log = Log::default();
    let delivery = rooms.deliver(&Operation::new(recipients, PreparedMessage::new("hi")), &mut log);
    prop_assert_eq!(delivery, Delivery { queued: expected.len(), ..Delivery::default() });
    prop_assert_eq!(&log.0, &listed, "the list and the delivery have one order");
    prop_assert_eq!(log.0.len(), expected.len(), "each once");
    prop_assert_eq!(log.0.into_iter().collect::<BTreeSet<_>>(), expected);
    Ok(())
}

/// Both maps say what the model says, and an empty room is no room.
fn mirror(rooms: &Rooms, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(rooms.everyone().iter().copied().collect::<BTreeSet<_>>(), model.keys().copied().collect());
    prop_assert_eq!(rooms.everyone().len(), model.len());
    for name in NAMES {
        let expected: BTreeSet<_> =
            model.iter().filter(|(_, joined)| joined.contains(name)).map(|(&id, _)| id).collect();
        prop_assert_eq!(rooms.members(name).len(), expected.len());
        prop_assert_eq!(rooms.members(name).iter().copied().collect::<BTreeSet<_>>(), expected.clone());
        prop_assert_eq!(rooms.names().any(|known| known == name), !expected.is_empty());
    }
    for (&id, joined) in model {
        prop_assert_eq!(rooms.rooms_of(id).count(), joined.len());
        prop_assert_eq!(&rooms.rooms_of(id).collect::<BTreeSet<_>>(), joined);
        prop_assert!(NAMES.into_iter().all(|name| rooms.in_room(id, name) == joined.contains(name)));
    }
    prop_assert_eq!(rooms.count(), rooms.names().count());
    Ok(())
}

#[test]
fn the_same_calls_reach_the_same_connections_in_the_same_order() {
    let run = || {
        let mut rooms = Rooms::default();
        for slot in 0..50 {
            rooms.insert(id(slot, 1));
            for (n, name) in NAMES.into_iter().enumerate() {
                if slot % (n as u64 + 2) == 0 {
                    rooms.join(id(slot, 1), name).expect("within the limits");
                }
            }
        }
        rooms.remove(id(12, 1));
        rooms.leave(id(20, 1), "red");
        rooms.recipients(&Recipients::to("blue").and("red").except("grey"))
    };
    assert_eq!(run(), run());
    assert_eq!(run().len(), 24 - 5, "the even slots but 12, without those of grey");
}

#[test]
fn a_new_connection_of_a_slot_inherits_no_room() {
    let mut rooms = Rooms::default();
    rooms.insert(id(3, 1));
    rooms.join(id(3, 1), "red").expect("within the limits");
    // Its close was never told: the next connection of the slot ends it.
    rooms.insert(id(3, 2));
    assert_eq!(rooms.members("red"), []);
    assert_eq!(rooms.everyone(), [id(3, 2)]);
    assert_eq!(rooms.join(id(3, 1), "red"), Err(JoinError::NotOpen));
    assert!(!rooms.leave(id(3, 1), "red"));
}

#[test]
fn each_limit_refuses_the_next_one_and_changes_nothing() {
    let limits = RoomLimits { max_rooms_per_socket: 2, max_room_name: 4, max_rooms: 3 };
    let mut rooms = Rooms::new(limits);
    let (ann, bob) = (id(0, 1), id(1, 1));
    rooms.insert(ann);
    rooms.insert(bob);
    assert_eq!(rooms.join(ann, "12345"), Err(JoinError::NameTooLong { len: 5, limit: 4 }));
    assert_eq!(rooms.join(ann, "1234"), Ok(true));
    assert_eq!(rooms.join(ann, "b"), Ok(true));
    assert_eq!(rooms.join(ann, "b"), Ok(false), "already in there: no new room is asked for");
    assert_eq!(rooms.join(ann, "c"), Err(JoinError::TooManyRoomsOfSocket { limit: 2 }));
    assert_eq!(rooms.join(bob, "c"), Ok(true));
    assert_eq!(rooms.join(bob, "d"), Err(JoinError::TooManyRooms { limit: 3 }));
    assert_eq!(rooms.join(bob, "b"), Ok(true), "the third room exists already");
    assert_eq!(rooms.count(), 3);
    rooms.remove(bob);
    assert_eq!(rooms.count(), 2, "a room goes with its last member");
    assert!(JoinError::TooManyRooms { limit: 3 }.to_string().contains("max_rooms"));
}

#[test]
fn presence_beyond_its_capacity_is_counted_where_the_gap_is() {
    let mut rooms = Rooms::default();
    rooms.watch(2);
    rooms.insert(id(0, 1));
    for name in NAMES {
        rooms.join(id(0, 1), name).expect("within the limits");
    }
    assert!(matches!(rooms.poll_event(), Some(RoomEvent::Joined { room, .. }) if &*room == "red"));
    rooms.leave(id(0, 1), "red");
    assert!(matches!(rooms.poll_event(), Some(RoomEvent::Joined { room, .. }) if &*room == "green"));
    assert_eq!(rooms.poll_event(), Some(RoomEvent::Missed { count: 3 }));
    assert_eq!(rooms.poll_event(), None);
    rooms.leave(id(0, 1), "blue");
    assert_eq!(rooms.poll_event(), Some(RoomEvent::Left { room: "blue".into(), id: id(0, 1) }));
}

#[test]
fn the_tally_counts_each_recipient_once() {
    struct Thirds(usize);
    impl Outlet for Thirds {
        fn deliver(&mut self, _: ConnId, _: &PreparedMessage) -> Result<SendStatus, SendError> {
            self.0 += 1;
            match self.0 % 3 {
                0 => Err(SendError::Closed),
                1 => Ok(SendStatus::Queued),
                _ => Ok(SendStatus::Backpressure),
            }
        }
    }
    let mut rooms = Rooms::default();
    for slot in 0..10 {
        rooms.insert(id(slot, 1));
    }
    let operation = Operation::new(Recipients::everyone(), PreparedMessage::new("hi"));
    let delivery = rooms.deliver(&operation, &mut Thirds(0));
    assert_eq!(delivery, Delivery { queued: 4, backpressure: 3, dropped: 3 });
    assert_eq!(delivery.recipients(), 10);
}
