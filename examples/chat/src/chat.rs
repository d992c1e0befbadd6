//! `PROTOCOL.md` in code: what comes in on the three WebSockets, and what is due between turns.

use std::{
    borrow::Cow,
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use wireroom::{CloseCode, ConnId, ConnMap, Event, Hub, Message, Socket, rooms::JoinError};

use crate::{
    FLOODING, NOTHING_SAID, NOTHING_TO_WATCH,
    limits::{MAX_NAME, MAX_TEXT, Rate, check_id, check_room, check_text},
    live::{self, Live},
    messages::{Code, FromClient, FromServer, FromViewer, Limits, Refusal},
    people::{Pace, People, some_missed, tell},
    port::{Door, Port},
    rooms::RecentRooms,
    store::{Ask, Page, Say, Store, now},
    wire::Wire,
};

/// Within this time a connection says who it is.
const PATIENCE: Duration = Duration::from_secs(10);

type Done = Result<(), Refusal>;

/// All that the server knows beside its sockets.
#[derive(Debug)]
pub(crate) struct Chat {
    port: Rc<Port>,
    pub(crate) store: Store,
    rate: Rate,
    people: People,
    recent: RecentRooms,
    /// Who watches, and whom, once they have said it.
    viewers: ConnMap<Option<ConnId>>,
    wire: Wire,
    live: Live,
    /// When to look after a connection, soonest first: all waits are equally long, so the last is always the latest. One entry
    /// for each connection and each hello of the last ten seconds.
    due: VecDeque<(Instant, ConnId)>,
}

impl Chat {
    pub(crate) fn new(port: Rc<Port>, store: Store, recent: RecentRooms, rate: Rate) -> Self {
        Self {
            port,
            store,
            rate,
            people: People::default(),
            recent,
            viewers: ConnMap::new(),
            wire: Wire::default(),
            live: Live::new(Instant::now()),
            due: VecDeque::new(),
        }
    }

    pub(crate) fn handle(&mut self, socket: &mut Socket<'_>, event: Event<'_>) {
        let now = Instant::now();
        match event {
            Event::Open => self.opened(socket, now),
            // Behind our own Close there is nobody to answer.
            Event::Message(_) if !is_open(socket) => {}
            Event::Message(Message::Text(text)) => self.heard(socket, text.as_str(), now),
            Event::Message(Message::Binary(_)) => socket.close(CloseCode::UNSUPPORTED_DATA, "text only"),
            Event::Closed(closed) => {
                log::debug!("{}: {closed}", socket.id());
                self.closed(socket);
            }
            // Ping is answered below us. Drain: the chat sends no streams.
            _ => {}
        }
        self.wire.stir(now);
    }

    fn opened(&mut self, socket: &mut Socket<'_>, now: Instant) {
        let id = socket.id();
        match self.port.opened(id) {
            Some(Door::Chat(kept)) => {
                self.people.opened(id, now);
                if let Some(handshake) = kept {
                    self.wire.keep(id, handshake, socket.io().connections());
                }
            }
            Some(Door::Wire) => _ = self.viewers.insert(id, None),
            Some(Door::Live) => {
                if socket.join(live::ROOM).is_err() {
                    return socket.close(CloseCode::TRY_AGAIN_LATER, "full");
                }
                return self.live.entered(now);
            }
            None => return socket.abort(),
        }
        self.due.push_back((now + PATIENCE, id));
    }

    fn heard(&mut self, socket: &mut Socket<'_>, text: &str, now: Instant) {
        if self.people.has(socket.id()) {
            self.message(socket, text, now);
        } else if let Some(watched) = self.viewers.get_mut(socket.id())
            && watched.is_none()
        {
            *watched = watch(&mut self.wire, &self.people, socket, text);
            if watched.is_none() {
                socket.close(NOTHING_TO_WATCH, "nothing to watch");
            }
        }
    }

    fn closed(&mut self, socket: &mut Socket<'_>) {
        let id = socket.id();
        self.port.closed();
        self.people.closed(socket, self.port.is_draining());
        self.wire.end(id, socket.io().connections());
        if let Some(watched) = self.viewers.remove(id).flatten() {
            self.wire.leave(watched, id);
        }
    }

    /// A message on `/ws`, done or refused.
    fn message(&mut self, socket: &mut Socket<'_>, text: &str, now: Instant) {
        let message = serde_json::from_str::<FromClient<'_>>(text);
        let talk = match message {
            Ok(FromClient::Say { .. } | FromClient::Whisper { .. } | FromClient::Shout { .. }) => Some(self.rate),
            _ => None,
        };
        let (done, flood) = match self.people.pace(socket.id(), talk, now) {
            Pace::TooFast(refusal) => (Err(refusal), false),
            Pace::Flood(refusal) => (Err(refusal), true),
            Pace::Fine => (self.answer(socket, &message, now), false),
        };
        if let Err(refusal) = done {
            let about = message.as_ref().ok();
            tell(socket, &refusal.json(about.and_then(FromClient::id), about.and_then(FromClient::room)));
        }
        if flood {
            log::warn!("{} does not stop to send too fast", socket.id());
            socket.close(FLOODING, "flood");
        }
    }

    fn answer(
        &mut self,
        socket: &mut Socket<'_>,
        message: &Result<FromClient<'_>, serde_json::Error>,
        now: Instant,
    ) -> Done {
        let message = message
            .as_ref()
            .map_err(|error| Refusal::new(Code::BadMessage, format!("This is no message of the chat: {error}.")))?;
        if let FromClient::Hello { name, secret } = message {
            return self.hello(socket, name, secret, now);
        }
        if self.people.name(socket.id()).is_none() {
            return Err(Refusal::new(Code::HelloFirst, "Say hello first."));
        }
        match message {
            FromClient::Hello { .. } => Ok(()),
            FromClient::Join { room, after } => self.join(socket, room, *after),
            FromClient::Leave { room } => self.leave(socket, room),
            FromClient::Say { id, room, text } => self.say(socket, id, room, text),
            FromClient::History { room, before, after } => self.history(socket, room, *before, *after),
            FromClient::Whisper { id, to, text } => self.whisper(socket, id, to, text),
            FromClient::Shout { id, text } => self.shout(socket, id, text),
            FromClient::Typing { room } => self.typing(socket, room),
            FromClient::Idle { idle } => {
                self.people.set_idle(socket, *idle);
                Ok(())
            }
        }
    }

    fn hello(&mut self, socket: &mut Socket<'_>, name: &str, secret: &str, at: Instant) -> Done {
        let owed_until = self.people.hello(socket, name, secret, at)?;
        self.due.extend(owed_until.map(|until| (until, socket.id())));
        log::debug!("{} is {name:?}", socket.id());
        let welcome = FromServer::Welcome {
            id: socket.id().to_string(),
            name,
            rooms: self.recent.offered(socket.io().rooms()),
            people: self.people.everyone(),
            limits: Limits {
                text: MAX_TEXT,
                name: MAX_NAME,
                room: MAX_NAME,
                rate: self.rate.per_second,
                burst: self.rate.burst,
            },
            time: now(),
        };
        tell(socket, &welcome.json());
        Ok(())
    }

    /// A member first, then the history is read: what is said in between comes both ways, and nothing comes neither way.
    fn join(&mut self, socket: &mut Socket<'_>, room: &str, after: Option<u64>) -> Done {
        check_room(room)?;
        match socket.join(room) {
            Ok(true) => {}
            Ok(false) => return Err(Refusal::new(Code::AlreadyIn, format!("You are in {room} already."))),
            Err(JoinError::TooManyRoomsOfSocket { .. }) => {
                return Err(Refusal::new(Code::RoomsFull, "You are in as many rooms as one can be in."));
            }
            Err(_) => return Err(Refusal::new(Code::RoomsFull, "There are as many rooms as there can be.")),
        }
        self.people.joined(socket.id(), room);
        self.recent.joined(room);
        let people = self.people.members(socket.io().rooms(), room);
        let joined = FromServer::Joined { room, people }.json();
        tell(socket, &joined);
        let (name, idle) = (self.name_of(socket), self.people.is_idle(socket.id()));
        self.people.tell_room(socket, room, &FromServer::Entered { room, name: &name, idle });
        self.ask(socket, room, after.map_or(Page::Last, Page::After))
    }

    fn leave(&mut self, socket: &mut Socket<'_>, room: &str) -> Done {
        check_in(socket, room)?;
        socket.leave(room);
        let name = self.name_of(socket);
        let left = FromServer::Left { room, name: &name };
        self.people.tell_room(socket, room, &left);
        tell(socket, &left.json());
        Ok(())
    }

    fn history(&mut self, socket: &mut Socket<'_>, room: &str, before: Option<u64>, after: Option<u64>) -> Done {
        check_in(socket, room)?;
        let page = match (before, after) {
            (None, None) => Page::Last,
            (Some(seq), None) => Page::Before(seq),
            (None, Some(seq)) => Page::After(seq),
            (Some(_), Some(_)) => {
                return Err(Refusal::new(Code::BadMessage, "History goes before a message or after one, not both."));
            }
        };
        self.ask(socket, room, page)
    }

    fn ask(&mut self, socket: &mut Socket<'_>, room: &str, page: Page) -> Done {
        self.store.ask(Ask { by: socket.id(), room: room.to_owned(), page })
    }

    fn say(&mut self, socket: &mut Socket<'_>, id: &str, room: &str, text: &str) -> Done {
        check_id(id)?;
        check_in(socket, room)?;
        check_text(text)?;
        let from = self.name_of(socket);
        let (by, id, text) = (socket.id(), id.to_owned(), text.to_owned());
        self.store.say(Say { by, id, room: room.to_owned(), from, text })?;
        self.recent.said_in(room);
        Ok(())
    }

    fn whisper(&mut self, socket: &mut Socket<'_>, id: &str, to: &str, text: &str) -> Done {
        check_id(id)?;
        check_text(text)?;
        let there = self.people.called(to);
        let there = there.ok_or_else(|| Refusal::new(Code::Nobody, format!("Nobody here is called {to}.")))?;
        let from = self.name_of(socket);
        let whispered = FromServer::Whispered { id, from: &from, to, text, time: now() }.json();
        // Everybody is alone in the room of their own id; the sender is not among the others there.
        let delivery = socket.to(there).emit(&whispered);
        some_missed(delivery, socket.io());
        if delivery.dropped > 0 {
            return Err(Refusal::new(Code::TooSlow, format!("The connection of {to} takes no more at present.")));
        }
        tell(socket, &whispered);
        Ok(())
    }

    fn shout(&mut self, socket: &mut Socket<'_>, id: &str, text: &str) -> Done {
        check_id(id)?;
        check_text(text)?;
        let from = self.name_of(socket);
        self.people.tell_others(socket, &FromServer::Shouted { id, from: &from, text, time: now() });
        tell(socket, &FromServer::Ack { id, seq: None }.json());
        Ok(())
    }

    fn typing(&mut self, socket: &mut Socket<'_>, room: &str) -> Done {
        check_in(socket, room)?;
        let name = self.name_of(socket);
        self.people.tell_room(socket, room, &FromServer::Typing { room, name: &name });
        Ok(())
    }

    /// Of somebody who has said hello.
    fn name_of(&self, socket: &Socket<'_>) -> Arc<str> {
        self.people.name(socket.id()).cloned().unwrap_or_default()
    }

    /// What is due between two turns. Answers when it next is.
    pub(crate) fn after_turn(&mut self, hub: &mut Hub) -> Option<Instant> {
        let now = Instant::now();
        while let Some(&(_, id)) = self.due.front().filter(|(at, _)| *at <= now) {
            self.due.pop_front();
            self.look_after(hub, id, now);
        }
        let by_threads = hub.take_handle_delivery();
        if by_threads.recipients() > 0 {
            self.wire.stir(now);
        }
        self.wire.step(now, hub.event_loop().connections());
        some_missed(by_threads, &mut hub.io());
        self.live.tick(now, hub, self.people.count(), self.store.counters());
        let due = self.due.front().map(|(at, _)| *at);
        [due, self.wire.next(), self.live.next()].into_iter().flatten().min()
    }

    fn look_after(&mut self, hub: &mut Hub, id: ConnId, now: Instant) {
        if self.people.name(id).is_some() {
            self.people.settle(hub, id, now);
        } else if self.people.has(id) {
            hub.event_loop().connections().close(id, NOTHING_SAID, "no hello");
        } else if self.viewers.get(id) == Some(&None) {
            hub.event_loop().connections().close(id, NOTHING_SAID, "no watch");
        }
    }
}

fn is_open(socket: &mut Socket<'_>) -> bool {
    let id = socket.id();
    socket.io().connections().is_open(id)
}

/// First whether it can be a room of clients at all: all who have said hello are in another one.
fn check_in(socket: &Socket<'_>, room: &str) -> Done {
    check_room(room)?;
    socket.in_room(room).then_some(()).ok_or_else(|| Refusal::new(Code::NotInRoom, format!("You are not in {room}.")))
}

/// The connection that a viewer may watch and has named.
fn watch(wire: &mut Wire, people: &People, viewer: &mut Socket<'_>, text: &str) -> Option<ConnId> {
    let FromViewer::Watch { id, secret } = serde_json::from_str(text).ok()?;
    let id: ConnId = Cow::as_ref(&id).parse().ok()?;
    let viewer_id = viewer.id();
    (people.proves(id, &secret) && wire.watch(id, viewer_id, viewer.io().connections())).then_some(id)
}
