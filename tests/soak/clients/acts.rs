//! What a client does when its time has come.

use std::time::{Duration, Instant};

use wireroom::{CloseCode, Compression, ConnId, Connections, Kind, SendError, SendStatus};

use super::{
    Shared,
    client::{Client, Ending, Membership, PATIENCE, Stage},
    fragments::{Unfinished, length},
};
use crate::wire::{self, Chat, LONGEST};

/// Between two acts, on average.
const PAUSE: Duration = Duration::from_millis(1_200);
/// After a stall it reads for so long, all that the system has kept for it and the server's Ping behind that: who stalls
/// again and again gives no sign of life, and is given up.
const READS: Duration = Duration::from_millis(2_500);
const SOON: Duration = Duration::from_millis(20);
/// Bytes that wait before it sends on.
const ENOUGH: usize = 256 * 1024;
/// Messages in a burst. All are large: more than the system holds for a peer that does not read, and its queue.
const BURST: usize = 80;

impl Client {
    /// Does something; answers when it wants to do the next.
    pub(super) fn act(&mut self, connections: &mut Connections, id: ConnId, shared: &mut Shared) -> Instant {
        let now = shared.now;
        let over = now >= self.until;
        match self.stage {
            Stage::Opening if over && self.ending == Ending::Abort => return self.end(connections, id, shared),
            Stage::Opening if over => return now + SOON,
            Stage::Opening => return self.until.min(now + 10 * SOON),
            Stage::Ending => return now + Duration::from_secs(3_600),
            Stage::Open if over && matches!(self.ending, Ending::Abort | Ending::Close) => {
                return self.end(connections, id, shared);
            }
            Stage::Open | Stage::Leaving => {}
        }
        if let Some(until) = self.paused {
            if now < until && !over {
                return until.min(self.until);
            }
            connections.resume(id);
            self.note("resume", now);
            self.paused = None;
            self.reads_until = now + READS;
            return now + SOON;
        }
        if connections.buffered_amount(id) > ENOUGH {
            return now + SOON;
        }
        if let Some(unfinished) = &mut self.unfinished {
            match unfinished.go_on(connections, id) {
                Ok(true) => {
                    self.unfinished = None;
                    self.sent += 1;
                    shared.report.add("sent", 1);
                }
                Ok(false) => {}
                Err(error) => self.refused(error, shared),
            }
            return now + shared.random.millis(1, 60);
        }
        if let Some(asked) = self.asked {
            if now > asked + PATIENCE {
                shared.report.fault(format_args!("client {}: no census came in {PATIENCE:?}", self.number));
                self.close(connections, id, CloseCode::NORMAL);
            }
            if over && self.stage == Stage::Open && self.ending == Ending::Census {
                self.stage = Stage::Leaving;
            }
            return now + 5 * SOON;
        }
        if over {
            return self.end(connections, id, shared);
        }
        if self.burst > 0 {
            self.burst -= 1;
            self.flood(connections, id, shared);
            return now + Duration::from_millis(2);
        }
        self.choose(connections, id, shared);
        let mean = if self.flood { PAUSE / 2 } else { PAUSE };
        let next = (now + shared.random.wait(mean) + 20 * shared.turn).min(self.until);
        self.paused.map_or(next, |until| until.min(self.until))
    }

    fn choose(&mut self, connections: &mut Connections, id: ConnId, shared: &mut Shared) {
        if self.rooms.is_empty() {
            return self.join(connections, id, shared);
        }
        let what = shared.random.below(100);
        let may_stall = shared.now >= self.reads_until;
        match what {
            // Stalls: for less time than a dead peer is given.
            0..35 if self.flood && may_stall => self.pause(connections, id, shared, 4_000),
            35 if self.flood => self.burst = BURST,
            0..8 if self.rooms.len() < 4 => self.join(connections, id, shared),
            0..12 => self.leave(connections, id, shared),
            12..62 => self.chat(connections, id, shared),
            62..82 => self.echo(connections, id, shared),
            82..85 => {
                self.pings += 1;
                if connections.ping(id, self.pings.to_string().as_bytes()).is_err() {
                    self.pings -= 1;
                }
            }
            85..92 => {
                if self.say(connections, id, Kind::Text, b"q", shared) {
                    self.asked = Some(shared.now);
                }
            }
            92..96 if may_stall => self.pause(connections, id, shared, 3_000),
            96..98 => {
                let millis = shared.random.between(1, 1_500);
                self.note("to be paused", shared.now);
                self.say(connections, id, Kind::Text, format!("p{millis}").as_bytes(), shared);
            }
            _ => {
                for _ in 0..shared.random.between(2, 12) {
                    self.echo(connections, id, shared);
                }
            }
        }
    }

    fn pause(&mut self, connections: &mut Connections, id: ConnId, shared: &mut Shared, most: usize) {
        connections.pause(id);
        self.note("pause", shared.now);
        self.paused = Some(shared.now + shared.random.millis(100, most));
        shared.report.add("did:stall", 1);
    }

    fn join(&mut self, connections: &mut Connections, id: ConnId, shared: &mut Shared) {
        let random = &mut shared.random;
        let room = match random.below(10) {
            _ if self.flood && self.rooms.is_empty() => format!("flood{}", random.below(shared.floods)),
            // A room that comes and goes with its few.
            0 => format!("nook{}", random.below(10 * shared.rooms)),
            _ => format!("room{}", random.below(shared.rooms)),
        };
        if !self.rooms.iter().any(|membership| membership.room == room)
            && self.say(connections, id, Kind::Text, format!("j{room}").as_bytes(), shared)
        {
            self.rooms.push(Membership { room, leaving: false });
        }
    }

    fn leave(&mut self, connections: &mut Connections, id: ConnId, shared: &mut Shared) {
        let place = shared.random.below(self.rooms.len());
        let command = format!("l{}", self.rooms[place].room);
        if !self.rooms[place].leaving && self.say(connections, id, Kind::Text, command.as_bytes(), shared) {
            self.rooms[place].leaving = true;
        }
    }

    fn chat(&mut self, connections: &mut Connections, id: ConnId, shared: &mut Shared) {
        let mine: Vec<_> = self.rooms.iter().filter(|membership| !membership.leaving).collect();
        let Some(first) = (!mine.is_empty()).then(|| shared.random.pick(&mine).room.clone()) else { return };
        let second = &shared.random.pick(&mine).room;
        let both = shared.random.chance(150) && *second != first;
        let rooms = if both { format!("{first}+{second}") } else { first };
        let longest = if shared.random.chance(100) { LONGEST } else { 8_000 };
        self.chat_to(connections, id, shared, rooms, longest, 0);
    }

    fn flood(&mut self, connections: &mut Connections, id: ConnId, shared: &mut Shared) {
        let room = self.rooms.iter().find(|membership| !membership.leaving && membership.room.starts_with("flood"));
        match room.map(|membership| membership.room.clone()) {
            Some(room) => self.chat_to(connections, id, shared, room, LONGEST, LONGEST - 100),
            None => self.burst = 0,
        }
    }

    fn chat_to(
        &mut self,
        connections: &mut Connections,
        id: ConnId,
        shared: &mut Shared,
        rooms: String,
        longest: usize,
        shortest: usize,
    ) {
        let kind = wire::kind(&mut shared.random);
        let length = length(shared, longest).max(shortest);
        let including_me = shared.random.chance(200);
        let number = self.numbers.get(&rooms).copied().unwrap_or(0) + 1;
        let body = shared.pool.body(&mut shared.random, kind, length);
        let bytes = Chat { including_me, rooms: &rooms, sender: self.number, number, body }.encode();
        if self.say(connections, id, kind, &bytes, shared) {
            self.numbers.insert(rooms, number);
        }
    }

    fn echo(&mut self, connections: &mut Connections, id: ConnId, shared: &mut Shared) {
        let kind = wire::kind(&mut shared.random);
        let mut bytes = Vec::new();
        if self.unfinished.is_some() {
            return;
        }
        if shared.random.chance(850) {
            let length = length(shared, LONGEST);
            bytes.push(b'e');
            bytes.extend_from_slice(shared.pool.body(&mut shared.random, kind, length));
        }
        if self.say(connections, id, kind, &bytes, shared) {
            self.tracks.asked_for_echo(kind, &bytes);
        }
    }

    /// Sends in one of the ways that there are. True: it was taken.
    fn say(
        &mut self,
        connections: &mut Connections,
        id: ConnId,
        kind: Kind,
        bytes: &[u8],
        shared: &mut Shared,
    ) -> bool {
        if self.unfinished.is_some() {
            return false;
        }
        let message = wire::message(kind, bytes);
        let sent = match shared.random.below(20) {
            0 if !shared.steady => {
                let fragments = shared.random.between(1, 5);
                self.unfinished = Some(Unfinished::new(kind, bytes.to_vec(), fragments));
                return true;
            }
            1 => connections.send_with(id, message, Compression::Always),
            2 => connections.send_with(id, message, Compression::Never),
            3..6 => connections.send_bytes(id, kind, bytes.to_vec().into()),
            _ => connections.send(id, message),
        };
        self.count(sent, shared)
    }

    /// Sends in the plainest way.
    fn tell(&mut self, connections: &mut Connections, id: ConnId, text: &str, shared: &mut Shared) -> bool {
        let sent = connections.send(id, text);
        self.count(sent, shared)
    }

    fn count(&mut self, sent: Result<SendStatus, SendError>, shared: &mut Shared) -> bool {
        match sent {
            Ok(_) => {
                self.sent += 1;
                shared.report.add("sent", 1);
                self.note("send", shared.now);
                true
            }
            Err(error) => {
                self.refused(error, shared);
                false
            }
        }
    }

    fn refused(&mut self, error: SendError, shared: &mut Shared) {
        let full = matches!(error, SendError::BufferFull { .. } | SendError::QueueFull { .. });
        shared.report.check(full, || format!("client {} cannot send: {error}", self.number));
    }

    /// Begins its end; some have to say something first.
    fn end(&mut self, connections: &mut Connections, id: ConnId, shared: &mut Shared) -> Instant {
        let said = match self.ending {
            Ending::Abort => {
                connections.abort(id);
                true
            }
            Ending::Close => {
                let code = [1000, 1001, 3999, 4000][shared.random.below(4)];
                self.close(connections, id, CloseCode::new(code).unwrap_or(CloseCode::NORMAL));
                true
            }
            Ending::Census | Ending::Refused => {
                if self.say(connections, id, Kind::Text, b"q", shared) {
                    self.asked = Some(shared.now);
                    self.stage = Stage::Leaving;
                }
                false
            }
            Ending::Kicked(code) => self.tell(connections, id, &format!("k{code}"), shared),
            Ending::Killed => self.tell(connections, id, "a", shared),
        };
        if said {
            self.stage = Stage::Ending;
        }
        shared.now + SOON
    }
}
