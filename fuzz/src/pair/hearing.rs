//! What an end reads, and what its user hears of it.

use std::time::Instant;

use wireroom::{
    Cause, Closed, Config, Connection, Dropped, Event, Kind, Message, Text, Transport, handshake::ClientHandshake,
};

use super::end::End;
use crate::{
    common,
    printed::{printed, told},
};

impl End {
    pub(super) fn read(&mut self, n: usize) -> bool {
        let wants = self.connection.as_ref().is_some_and(Connection::wants_read);
        let n = n.min(self.incoming.len());
        if !wants || n == 0 {
            return false;
        }
        self.take_from_wire(n);
        true
    }

    fn take_from_wire(&mut self, n: usize) {
        self.largest = self.largest.max(n);
        self.read += n as u64;
        let bytes: Vec<u8> = self.incoming.drain(..n).collect();
        self.rx.space(n)[..n].copy_from_slice(&bytes);
        self.rx.filled(n);
    }

    /// A client before its connection is open. Bytes behind the 101 are in the same buffer.
    pub(super) fn read_head(
        &mut self,
        handshake: &mut ClientHandshake,
        n: usize,
        now: Instant,
        config: &Config,
    ) -> bool {
        let n = n.min(self.incoming.len());
        if !handshake.wants_read() || n == 0 {
            return false;
        }
        self.take_from_wire(n);
        match handshake.poll(&mut self.rx) {
            Ok(Some(established)) => {
                let connection = Connection::client(established, common::keys(), config.clone(), now);
                assert!(connection.subprotocol() == Some("chat") || self.excused);
                self.connection = Some(connection);
                self.read = self.rx.len() as u64;
            }
            Ok(None) => {}
            Err(error) => assert!(self.excused, "nothing befell the 101: {error}"),
        }
        true
    }

    /// Takes events until there are none.
    pub(super) fn poll(&mut self, other: &mut End, now: Instant) {
        let Some(mut connection) = self.connection.take() else { return };
        let mut rx = std::mem::take(&mut self.rx);
        while let Some(event) = connection.poll_event(&mut rx, now) {
            assert!(self.closed.is_none(), "behind the last event: {event:?}");
            let mut delivered = None;
            match event {
                Event::Open => assert!(!std::mem::replace(&mut self.opened, true), "opened twice"),
                Event::Message(message) => {
                    self.messages += 1;
                    self.hears(other, message, true, true);
                    delivered = Some((message.kind(), message.as_bytes().to_vec()));
                }
                Event::Part(part) => {
                    self.messages += u64::from(part.last);
                    self.hears(other, part.message, part.first, part.last);
                }
                // Those of four bytes at most are not told apart: they are the keepalive's, or measure.
                // The Pong for such a Ping may have taken the place of all that waited (5.5.3).
                Event::Ping(payload) if payload.len() <= 4 => self.pongs_not_owed = self.pongs.len(),
                Event::Pong(payload) if payload.len() <= 4 => {}
                Event::Ping(payload) => {
                    self.pongs.push_back(payload.to_vec());
                    if !self.excused {
                        assert_eq!(other.pings.pop_front().as_deref(), Some(payload), "Pings keep their order");
                    }
                }
                Event::Pong(payload) => {
                    // 5.5.3: some may be left out, none comes twice or out of order.
                    let due = other.pongs.iter().position(|due| due == payload);
                    assert!(due.is_some() || self.excused, "a Pong for nothing: {payload:?}");
                    if let Some(due) = due {
                        other.pongs.drain(..=due);
                        other.pongs_not_owed = other.pongs_not_owed.saturating_sub(due + 1);
                    }
                }
                Event::Drain => assert!(std::mem::take(&mut self.drain_owed), "a Drain for nothing"),
                Event::Dropped(dropped) => self.was_told(dropped),
                Event::Closed(closed) => self.ends(other, closed),
                other => panic!("{other:?}"),
            }
            assert!(self.opened, "something before Open");
            let Some((kind, bytes)) = delivered else { continue };
            let taken = self.takes.then(|| rx.take_message().unwrap_or_default());
            assert!(taken.as_ref().is_none_or(|taken| *taken == bytes), "another message is taken");
            if self.echoes && bytes.len() <= connection.config().max_message_size() {
                let result = match (taken, kind) {
                    (Some(taken), kind) => connection.send_bytes(kind, taken),
                    (None, Kind::Text) => connection.send(std::str::from_utf8(&bytes).expect("8.1")),
                    (None, Kind::Binary) => connection.send(&bytes),
                };
                self.connection = Some(connection);
                let policy = self.policy();
                if self.accepted(result, policy) {
                    self.says(kind, bytes, policy, None);
                }
                connection = self.connection.take().expect("it");
            }
        }
        assert!(!connection.wants_poll(), "an event is left behind: {connection:?}");
        self.is_over |= connection.transport() == Transport::Close;
        assert!(!self.is_over || self.closed.is_some(), "the transport closes, and nobody knows");
        (self.connection, self.rx) = (Some(connection), rx);
    }

    /// What was said first is heard first, and is what was said.
    fn hears(&mut self, other: &mut End, message: Message<'_>, first: bool, last: bool) {
        assert_eq!(message.as_text().is_some(), message.kind() == Kind::Text);
        if message.as_bytes().len() < 1000 {
            printed(&message);
        }
        if let Message::Text(text) = message {
            assert_eq!(std::str::from_utf8(message.as_bytes()), Ok(text.as_str()), "8.1");
            printed(&text);
            assert!(
                text == Text::from(text.as_str())
                    && text == *text
                    && text == message.as_text().unwrap_or("no")
                    && format!("{text}") == text.as_ref()
            );
        }
        if !self.excused {
            other.line.hear(message.kind(), message.as_bytes(), first, last);
        }
    }

    fn ends(&mut self, other: &mut End, closed: Box<Closed>) {
        told(&closed);
        told(&closed.cause);
        if !self.excused {
            // An honest peer breaks no rule, and what it said before its Close was heard before it.
            assert!(!matches!(closed.cause, Cause::Failed(_) | Cause::Handshake(_) | Cause::Served), "{closed:?}");
            if closed.peer.is_some() {
                let lost = other.line.missing();
                assert!(lost.is_empty(), "lost before the Close: {lost:?}");
                assert!(other.pings.is_empty(), "Pings lost before the Close: {:?}", other.pings);
            }
        }
        if let Cause::Clean = closed.cause {
            assert!(closed.local.is_some() && closed.peer.is_some(), "7.1.4: {closed:?}");
        }
        assert_eq!(self.too_slow.is_some(), matches!(closed.cause, Cause::SlowConsumer), "{closed:?}");
        if let (Some(code), Some(local)) = (self.too_slow, &closed.local) {
            assert_eq!(local.code, Some(code));
        }
        closed.local.iter().chain(&closed.peer).filter_map(|frame| frame.code).for_each(|code| told(&code));
        self.closed = Some(closed);
    }

    pub(super) fn was_told(&mut self, dropped: Dropped) {
        assert_ne!(dropped, Dropped::default(), "news of nothing");
        self.told.newest += dropped.newest;
        self.told.oldest += dropped.oldest;
        self.told.replaced += dropped.replaced;
        self.burst = self.burst.saturating_sub(dropped.oldest + dropped.replaced);
    }

    /// Memory within the limits, and counters that say what happened.
    pub(super) fn check(&self, now: Instant) {
        let Some(connection) = &self.connection else { return };
        let config = connection.config();
        // A message is taken whole below the limit. Beyond it only control frames: answers to Pings, of which reading stops at
        // the high-water mark, and eight that overtake; and the 101.
        let most =
            config.max_send_buffer() + self.largest_said + config.high_water_mark() + self.largest + 16 * 140 + 512;
        assert!(connection.buffered_amount() <= most, "{} bytes wait, {most} may", connection.buffered_amount());
        assert!(self.burst <= u64::from(config.max_send_messages()), "{} messages wait", self.burst);
        // A message, the reads that have not been looked at yet, and what the buffers take for growing.
        let most = 3 * (config.max_message_size() + 2 * self.largest + 1024) + 3 * (64 << 10);
        assert!(self.rx.capacity() <= most, "{} bytes of storage, {most} may be", self.rx.capacity());
        assert_eq!(self.told.newest, self.dropped, "each drop is told");
        assert!(self.line.gone() <= self.told.oldest + self.told.replaced, "something is lost that was accepted");
        let Some(stats) = connection.stats() else { return };
        assert_eq!((stats.messages_received, stats.bytes_received), (self.messages, self.read));
        assert_eq!(
            (stats.dropped_newest, stats.dropped_oldest, stats.replaced),
            (self.told.newest, self.told.oldest, self.told.replaced)
        );
        assert_eq!(stats.bytes_sent, self.written);
        assert!(stats.pings_sent + stats.pongs_sent <= stats.frames_sent);
        assert!(stats.round_trip.is_none_or(|time| now.checked_sub(time).is_some()));
    }

    /// Everything has come to rest: `other` has heard all, if nothing was in the way.
    pub(super) fn nothing_is_missing_at(&mut self, other: &End) {
        let (Some(connection), Some(receiver)) = (&self.connection, &other.connection) else { return };
        let open = connection.is_open() && receiver.is_open();
        if !open || other.excused || other.vanished {
            return;
        }
        let missing = self.line.missing();
        assert!(missing.is_empty(), "not heard: {missing:?}");
        assert_eq!(self.line.gone(), self.told.oldest + self.told.replaced, "accepted = arrived + dropped + replaced");
        let pongs_heard = self.pongs.len() <= self.pongs_not_owed;
        assert!(self.pings.is_empty() && pongs_heard, "not heard: {:?} {:?}", self.pings, self.pongs);
        assert_eq!(connection.buffered_amount(), 0);
        assert!(!self.drain_owed, "a Drain is owed");
    }
}
