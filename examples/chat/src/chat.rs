//! Who is here, and what they say: `PROTOCOL.md` in code.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use wireroom::{CloseCode, ConnId, Event, Message, Socket};

const MAX_NAME: usize = 32;
const MAX_TEXT: usize = 2000;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum FromClient {
    Hello { name: String },
    Join { room: String },
    Leave { room: String },
    Say { room: String, text: String },
    Whisper { to: String, text: String },
    Shout { text: String },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum FromServer<'a> {
    Welcome { id: String, name: &'a str, rooms: Vec<&'a str>, people: Vec<Named> },
    Joined { room: &'a str, name: &'a str, people: Vec<String> },
    Left { room: &'a str, name: &'a str, people: Vec<String> },
    Said { room: &'a str, from: &'a str, text: &'a str, time: u64 },
    Whispered { from: &'a str, to: &'a str, text: &'a str, time: u64 },
    Shouted { from: &'a str, text: &'a str, time: u64 },
    People { people: Vec<Named> },
    Error { message: &'a str },
}

#[derive(Serialize)]
struct Named {
    id: String,
    name: String,
}

impl FromServer<'_> {
    fn json(&self) -> String {
        // Strings and numbers only: there is nothing that JSON cannot hold.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Everyone who has said hello, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    people: Vec<(ConnId, String)>,
}

impl Chat {
    pub(crate) fn handle(&mut self, socket: &mut Socket<'_>, event: Event<'_>) {
        match event {
            Event::Message(Message::Text(text)) => {
                let done = match serde_json::from_str(&text) {
                    Ok(message) => self.answer(socket, message),
                    Err(error) => Err(format!("this is no message of the chat: {error}")),
                };
                if let Err(message) = done {
                    emit(socket, &FromServer::Error { message: &message });
                }
            }
            Event::Message(Message::Binary(_)) => {
                socket.close(CloseCode::UNSUPPORTED_DATA, "the chat speaks text");
            }
            Event::Closed(_) => self.leaves(socket),
            // Open: nobody is anybody before hello. Ping is answered below us. Drain: the chat sends no streams.
            _ => {}
        }
    }

    fn answer(&mut self, socket: &mut Socket<'_>, message: FromClient) -> Result<(), String> {
        if let FromClient::Hello { name } = message {
            return self.hello(socket, name);
        }
        let me = self.name_of(socket.id()).ok_or("say hello first")?.to_owned();
        match message {
            FromClient::Hello { .. } => Ok(()),
            FromClient::Join { room } => {
                check_name(&room, "a room's name")?;
                if !socket.join(&room).map_err(|error| error.to_string())? {
                    return Err(format!("you are in {room} already"));
                }
                let people = self.members(socket, &room);
                to_room(socket, &room, &FromServer::Joined { room: &room, name: &me, people });
                Ok(())
            }
            FromClient::Leave { room } => {
                if !socket.leave(&room) {
                    return Err(format!("you are not in {room}"));
                }
                let people = self.members(socket, &room);
                let left = FromServer::Left { room: &room, name: &me, people };
                to_room(socket, &room, &left);
                emit(socket, &left);
                Ok(())
            }
            FromClient::Say { room, text } => {
                check_text(&text)?;
                if !socket.in_room(&room) {
                    return Err(format!("you are not in {room}"));
                }
                let said = FromServer::Said { room: &room, from: &me, text: &text, time: now() };
                to_room(socket, &room, &said);
                Ok(())
            }
            FromClient::Whisper { to, text } => {
                check_text(&text)?;
                let there = self.people.iter().find(|(_, name)| *name == to).map(|(id, _)| *id);
                let there = there.ok_or_else(|| format!("nobody here is called {to}"))?;
                let whispered = FromServer::Whispered { from: &me, to: &to, text: &text, time: now() };
                // Everybody is alone in the room of their own id.
                let delivery = socket.to(there).emit(&whispered.json());
                if delivery.dropped > 0 {
                    return Err(format!("{to} does not keep up and has missed it"));
                }
                emit(socket, &whispered);
                Ok(())
            }
            FromClient::Shout { text } => {
                check_text(&text)?;
                let shouted = FromServer::Shouted { from: &me, text: &text, time: now() };
                self.to_others(socket, &shouted);
                Ok(())
            }
        }
    }

    fn hello(&mut self, socket: &mut Socket<'_>, name: String) -> Result<(), String> {
        if self.name_of(socket.id()).is_some() {
            return Err("you have said hello already".to_owned());
        }
        check_name(&name, "a name")?;
        if self.people.iter().any(|(_, taken)| *taken == name) {
            return Err(format!("the name {name} is taken"));
        }
        self.people.push((socket.id(), name.clone()));
        let id = socket.id().to_string();
        let io = socket.io();
        let mut rooms: Vec<&str> = io.rooms().names().collect();
        rooms.sort_unstable();
        let welcome = FromServer::Welcome { id, name: &name, rooms, people: self.everyone() }.json();
        dropped_is_closed(socket, welcome);
        self.to_others(socket, &FromServer::People { people: self.everyone() });
        Ok(())
    }

    /// The connection has closed; its rooms are still known.
    fn leaves(&mut self, socket: &mut Socket<'_>) {
        let Some(index) = self.people.iter().position(|(id, _)| *id == socket.id()) else { return };
        let (_, name) = self.people.remove(index);
        let rooms: Vec<String> = socket.rooms().map(str::to_owned).collect();
        for room in rooms {
            let people = self.members(socket, &room);
            count(socket.to(&room).emit(&FromServer::Left { room: &room, name: &name, people }.json()));
        }
        self.to_others(socket, &FromServer::People { people: self.everyone() });
    }

    fn name_of(&self, id: ConnId) -> Option<&str> {
        self.people.iter().find(|(person, _)| *person == id).map(|(_, name)| name.as_str())
    }

    fn everyone(&self) -> Vec<Named> {
        self.people.iter().map(|(id, name)| Named { id: id.to_string(), name: name.clone() }).collect()
    }

    /// The people of a room, in order of arrival.
    fn members(&self, socket: &mut Socket<'_>, room: &str) -> Vec<String> {
        let rooms = socket.io();
        let here = self.people.iter().filter(|(id, _)| rooms.rooms().in_room(*id, room));
        here.map(|(_, name)| name.clone()).collect()
    }

    /// To everyone who has said hello, but this one. Who has not ignores it.
    fn to_others(&self, socket: &mut Socket<'_>, message: &FromServer<'_>) {
        count(socket.broadcast().emit(&message.json()));
    }
}

fn emit(socket: &mut Socket<'_>, message: &FromServer<'_>) {
    dropped_is_closed(socket, message.json());
}

/// Someone who does not read what they are told is let go: a chat with holes in it is worse than none.
fn dropped_is_closed(socket: &mut Socket<'_>, message: String) {
    if let Err(wireroom::SendError::BufferFull { .. }) = socket.emit(&message) {
        socket.close(CloseCode::TRY_AGAIN_LATER, "too slow");
    }
}

fn to_room(socket: &mut Socket<'_>, room: &str, message: &FromServer<'_>) {
    count(socket.to(room).including_me().emit(&message.json()));
}

fn count(delivery: wireroom::Delivery) {
    if delivery.dropped > 0 {
        eprintln!("{} of {} did not keep up and missed a message", delivery.dropped, delivery.recipients());
    }
}

fn check_name(name: &str, what: &str) -> Result<(), String> {
    let fits = (1..=MAX_NAME).contains(&name.chars().count());
    if !fits || name.chars().any(char::is_control) || name.trim() != name {
        return Err(format!("{what} has 1 to {MAX_NAME} characters, without spaces at its ends"));
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), String> {
    match text.chars().count() {
        1..=MAX_TEXT => Ok(()),
        count => Err(format!("a text has 1 to {MAX_TEXT} characters, not {count}")),
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
