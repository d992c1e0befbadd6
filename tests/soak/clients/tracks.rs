//! What one client has received, and what must come next.

use std::collections::{HashMap, VecDeque};

use wireroom::{Kind, Message};

use crate::wire::{Census, Chat, digest};

/// What comes back, if it comes.
#[derive(Debug, PartialEq)]
struct Echo {
    kind: Kind,
    digest: u64,
}

#[derive(Debug, Default)]
pub(super) struct Tracks {
    /// By rooms, then by sender, the last number.
    last: HashMap<String, HashMap<u64, u64>>,
    /// Its own number: of its own messages, it gets those that are for all.
    me: u64,
    received: u64,
    /// Numbers that were left out.
    gaps: u64,
    echoes: VecDeque<Echo>,
    echoes_missing: u64,
    tick: Option<u64>,
    ticks: u64,
}

impl Tracks {
    pub(super) fn new(me: u64) -> Self {
        Self { me, ..Self::default() }
    }

    /// A chat message came in. `rooms`: those that this client has joined and not left.
    pub(super) fn chat(&mut self, chat: &Chat<'_>, rooms: &[&str]) -> Result<(), String> {
        let Chat { rooms: to, sender, number, .. } = *chat;
        self.received += 1;
        if !to.split('+').any(|room| rooms.contains(&room)) {
            return Err(format!("a message to {to:?}, in which it is not: it is in {rooms:?}"));
        }
        if !self.last.contains_key(to) {
            self.last.insert(to.to_owned(), HashMap::new());
        }
        let Some(last) = self.last.get_mut(to).and_then(|senders| senders.insert(sender, number)) else {
            return Ok(());
        };
        if number <= last {
            return Err(format!("from {sender} to {to:?} number {number} behind {last}: doubled or out of order"));
        }
        // Of two rooms, it may have been in none for a while.
        if !to.contains('+') && sender != self.me {
            self.gaps += number - last - 1;
        }
        Ok(())
    }

    /// It has left: who speaks there while it is away is not missed.
    pub(super) fn left(&mut self, room: &str) {
        self.last.remove(room);
    }

    pub(super) fn tick(&mut self, number: u64) -> Result<(), String> {
        self.ticks += 1;
        match self.tick.replace(number) {
            Some(last) if number <= last => Err(format!("tick {number} behind {last}: doubled or out of order")),
            _ => Ok(()),
        }
    }

    pub(super) fn asked_for_echo(&mut self, kind: Kind, bytes: &[u8]) {
        self.echoes.push_back(Echo { kind, digest: digest(bytes) });
    }

    /// Something came back. What was asked for before it and did not come was refused: the census has to say so.
    pub(super) fn echo(&mut self, message: Message<'_>) -> Result<(), String> {
        let came = Echo { kind: message.kind(), digest: digest(message.as_bytes()) };
        while let Some(expected) = self.echoes.pop_front() {
            if expected == came {
                return Ok(());
            }
            self.echoes_missing += 1;
        }
        Err(format!("{} bytes came back that it did not send, or not in this order", message.as_bytes().len()))
    }

    /// Everything before this has arrived, or is counted as missed.
    pub(super) fn census(&mut self, census: &Census, sent: u64) -> Result<(), String> {
        self.echoes_missing += self.echoes.drain(..).count() as u64;
        let ticks_missing = census.ticks.wrapping_sub(self.ticks);
        let holds = census.heard == sent
            && self.received + census.missed == census.meant
            && self.gaps <= census.missed
            && ticks_missing <= census.ticks_missed
            && self.echoes_missing == census.echoes_refused;
        if holds {
            return Ok(());
        }
        let Self { received, gaps, ticks, echoes_missing, .. } = self;
        Err(format!(
            "{census:?}, but it sent {sent} and received {received} chat messages with {gaps} gaps, {ticks} ticks, and \
             {echoes_missing} echoes did not come"
        ))
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }
}
