//! Who is here, and who is told about it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use wireroom::{CloseCode, ConnId, ConnMap, Delivery, Hub, Io, SendError, Socket, rooms::Rooms};

use crate::{
    MAX_SEND_BUFFER, REPLACED,
    limits::{Bucket, CONTROL, FLOOD, MAX_ROOMS_EACH, Rate, check_name, check_secret, same_secret},
    messages::{Code, FromServer, Present, Refusal},
};

/// The room of all who have said hello. No client can name it: it has a control character.
pub(crate) const ROOM: &str = "\0people";
/// How long the rooms of a connection that was replaced are kept for the one that took its place.
const OWED: Duration = Duration::from_secs(10);

/// A connection at `/ws`.
#[derive(Debug)]
struct Guest {
    talk: Bucket,
    control: Bucket,
    /// Refusals by rate in a row.
    refused: u32,
    person: Option<Person>,
}

/// One who has said hello.
#[derive(Debug)]
struct Person {
    name: Arc<str>,
    secret: Box<str>,
    idle: bool,
    /// Rooms that the others see them in, and they have yet to join again, until then.
    owed: Vec<String>,
    owed_until: Instant,
}

/// What the bucket says to a message.
#[derive(Debug)]
pub(crate) enum Pace {
    Fine,
    TooFast(Refusal),
    Flood(Refusal),
}

#[derive(Debug, Default)]
pub(crate) struct People {
    guests: ConnMap<Guest>,
    names: HashMap<Arc<str>, ConnId>,
}

impl People {
    pub(crate) fn opened(&mut self, id: ConnId, now: Instant) {
        let guest = Guest { talk: Bucket::new(now), control: Bucket::new(now), refused: 0, person: None };
        self.guests.insert(id, guest);
    }

    /// Whether this connection is one at `/ws`, and nobody has taken its place.
    pub(crate) fn has(&self, id: ConnId) -> bool {
        self.guests.get(id).is_some()
    }

    /// The name of a connection that has said hello.
    pub(crate) fn name(&self, id: ConnId) -> Option<&Arc<str>> {
        self.person(id).map(|person| &person.name)
    }

    pub(crate) fn is_idle(&self, id: ConnId) -> bool {
        self.person(id).is_some_and(|person| person.idle)
    }

    pub(crate) fn called(&self, name: &str) -> Option<ConnId> {
        self.names.get(name).copied()
    }

    /// How many have said hello.
    pub(crate) fn count(&self) -> usize {
        self.names.len()
    }

    /// Whether `id` said hello with this secret.
    pub(crate) fn proves(&self, id: ConnId, secret: &str) -> bool {
        self.person(id).is_some_and(|person| same_secret(&person.secret, secret))
    }

    /// A message came: is it too soon? `talk` is the rate for what is said to others, `None` for all else.
    pub(crate) fn pace(&mut self, id: ConnId, talk: Option<Rate>, now: Instant) -> Pace {
        let Some(guest) = self.guests.get_mut(id) else { return Pace::Fine };
        let taken = match talk {
            Some(rate) => guest.talk.take(rate, now),
            None => guest.control.take(CONTROL, now),
        };
        let Err(wait) = taken else {
            guest.refused = 0;
            return Pace::Fine;
        };
        guest.refused += 1;
        // A millisecond's fraction would be cut off, and the next try come too early.
        let refusal = Refusal::retry(Code::Rate, "Too fast. Wait a moment.", wait.as_millis() as u64 + 1);
        if guest.refused >= FLOOD { Pace::Flood(refusal) } else { Pace::TooFast(refusal) }
    }

    /// Lets somebody in, or says why not. In place of an older connection of theirs, they owe the others its rooms, until
    /// the moment that is given back.
    pub(crate) fn hello(
        &mut self,
        socket: &mut Socket<'_>,
        name: &str,
        secret: &str,
        now: Instant,
    ) -> Result<Option<Instant>, Refusal> {
        if self.person(socket.id()).is_some() {
            return Err(Refusal::new(Code::HelloAgain, "You have said hello already."));
        }
        check_name(name)?;
        check_secret(secret)?;
        let owed = match self.called(name) {
            Some(other) if self.proves(other, secret) => self.replace(socket, other),
            Some(_) => return Err(Refusal::new(Code::NameTaken, format!("Somebody called {name} is here already."))),
            None => {
                self.tell_others(socket, &FromServer::Arrived { name, idle: false });
                Vec::new()
            }
        };
        let Some(guest) = self.guests.get_mut(socket.id()) else { return Ok(None) };
        let name: Arc<str> = name.into();
        let (owes, owed_until) = (!owed.is_empty(), now + OWED);
        guest.person = Some(Person { name: name.clone(), secret: secret.into(), idle: false, owed, owed_until });
        self.names.insert(name, socket.id());
        // It is among the limits: one more than the rooms that are for clients to choose.
        let _ = socket.join(ROOM);
        Ok(owes.then_some(owed_until))
    }

    /// Takes an older connection of the same person out, and gives the rooms it was in. Nobody is told of it.
    fn replace(&mut self, socket: &mut Socket<'_>, other: ConnId) -> Vec<String> {
        let Some(mut replaced) = self.guests.remove(other) else { return Vec::new() };
        let Some(person) = replaced.person.take() else { return Vec::new() };
        // Nobody gets round the rates by coming in anew.
        if let Some(guest) = self.guests.get_mut(socket.id()) {
            (guest.talk, guest.control) = (replaced.talk, replaced.control);
        }
        let io = socket.io();
        let mut owed = person.owed;
        owed.extend(io.rooms().rooms_of(other).filter(|room| *room != ROOM).map(str::to_owned));
        for room in &owed {
            io.leave(other, room);
        }
        io.leave(other, ROOM);
        io.connections().close(other, REPLACED, "replaced");
        // No more than one can be in: the oldest are left now.
        let over = owed.len().saturating_sub(MAX_ROOMS_EACH);
        for room in owed.drain(..over) {
            self.tell_room(socket, &room, &FromServer::Left { room: &room, name: &person.name });
        }
        if person.idle {
            self.tell_others(socket, &FromServer::Presence { name: &person.name, idle: false });
        }
        owed
    }

    /// They are in `room` again: nothing is owed for it.
    pub(crate) fn joined(&mut self, id: ConnId, room: &str) {
        if let Some(person) = self.person_mut(id) {
            person.owed.retain(|owed| owed != room);
        }
    }

    /// A moment that [`People::hello`] gave has come: who is not back in a room by then has left it.
    pub(crate) fn settle(&mut self, hub: &mut Hub, id: ConnId, now: Instant) {
        let Some(person) = self.person_mut(id).filter(|person| person.owed_until <= now) else { return };
        let (name, owed) = (person.name.clone(), std::mem::take(&mut person.owed));
        for room in &owed {
            let delivery = hub.to(room).emit(&FromServer::Left { room, name: &name }.json());
            some_missed(delivery, &mut hub.io());
        }
    }

    /// Notes whether somebody looks; the others are told of a change.
    pub(crate) fn set_idle(&mut self, socket: &mut Socket<'_>, idle: bool) {
        let Some(person) = self.person_mut(socket.id()).filter(|person| person.idle != idle) else { return };
        person.idle = idle;
        let name = person.name.clone();
        self.tell_others(socket, &FromServer::Presence { name: &name, idle });
    }

    /// The connection has closed; its rooms are still known. `quietly`: when all are sent away, nobody is told of each.
    pub(crate) fn closed(&mut self, socket: &mut Socket<'_>, quietly: bool) {
        let Some(person) = self.guests.remove(socket.id()).and_then(|guest| guest.person) else { return };
        self.names.remove(&person.name);
        if quietly {
            return;
        }
        let mut rooms = person.owed;
        rooms.extend(socket.rooms().filter(|room| *room != ROOM).map(str::to_owned));
        for room in &rooms {
            self.tell_room(socket, room, &FromServer::Left { room, name: &person.name });
        }
        self.tell_others(socket, &FromServer::Gone { name: &person.name });
    }

    /// Everyone who has said hello, in no order.
    pub(crate) fn everyone(&self) -> Vec<Present<'_>> {
        self.names.values().filter_map(|id| self.present(*id)).collect()
    }

    /// The people of a room, in no order.
    pub(crate) fn members(&self, rooms: &Rooms, room: &str) -> Vec<Present<'_>> {
        rooms.members(room).iter().filter_map(|id| self.present(*id)).collect()
    }

    fn present(&self, id: ConnId) -> Option<Present<'_>> {
        self.person(id).map(|person| Present { name: &person.name, idle: person.idle })
    }

    fn person(&self, id: ConnId) -> Option<&Person> {
        self.guests.get(id)?.person.as_ref()
    }

    fn person_mut(&mut self, id: ConnId) -> Option<&mut Person> {
        self.guests.get_mut(id)?.person.as_mut()
    }

    /// To everyone else who has said hello.
    pub(crate) fn tell_others(&mut self, socket: &mut Socket<'_>, message: &FromServer<'_>) {
        self.tell_room(socket, ROOM, message);
    }

    /// To the others in a room.
    pub(crate) fn tell_room(&mut self, socket: &mut Socket<'_>, room: &str, message: &FromServer<'_>) {
        let delivery = socket.to(room).emit(&message.json());
        some_missed(delivery, socket.io());
    }
}

/// A chat with holes in it is worse than none: whoever has missed a message for want of room is sent away, to come back and
/// read what they missed. At once, since in a moment there may be room again.
pub(crate) fn some_missed(delivery: Delivery, io: &mut Io<'_>) {
    if delivery.dropped == 0 {
        return;
    }
    for id in io.rooms().everyone().to_vec() {
        let connections = io.connections();
        if connections.is_open(id) && connections.buffered_amount(id) >= MAX_SEND_BUFFER {
            log::warn!("{id} does not keep up and is let go");
            connections.close(id, CloseCode::TRY_AGAIN_LATER, "too slow");
        }
    }
}

/// Answers the one who asked.
pub(crate) fn tell(socket: &mut Socket<'_>, message: &str) {
    if let Err(SendError::BufferFull { .. }) = socket.emit(message) {
        socket.close(CloseCode::TRY_AGAIN_LATER, "too slow");
    }
}
