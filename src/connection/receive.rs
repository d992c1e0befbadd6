//! Receiving: what has arrived becomes events.

use std::time::Instant;

use super::{
    Connection, Event,
    closing::{Input, Output, State},
};
use crate::{
    buffer::RecvBuffer,
    error::ProtocolError,
    frame::{CloseFrame, Opcode},
    message::{Kind, Message, Part, decoder::Found, utf8},
};

impl Connection {
    /// The next event, or `None` until more bytes have come in, the queue has drained, or time has passed. Call it
    /// after each of these until it answers `None`.
    pub fn poll_event<'b>(&mut self, rx: &'b mut RecvBuffer, now: Instant) -> Option<Event<'b>> {
        let arrived = rx.take_arrived();
        if arrived > 0 {
            self.timers.heard(now);
            self.count_arrived(arrived);
        }
        if self.is_undisturbed() {
            self.count_answers();
            self.note_waiting();
            match self.decoder.decode_whole(rx, self.config.max_message_size()) {
                Some(Kind::Binary) => {
                    self.timers.message();
                    return Some(Event::Message(Message::Binary(rx.delivered())));
                }
                Some(Kind::Text) => return self.deliver_text(rx, now),
                None if rx.is_empty() && !self.decoder.is_within_message() => {
                    self.before = None;
                    return None;
                }
                None => {}
            }
        }
        self.poll_closely(rx, now)
    }

    /// A whole text that has not been checked.
    #[inline]
    fn deliver_text<'b>(&mut self, rx: &'b mut RecvBuffer, now: Instant) -> Option<Event<'b>> {
        self.timers.message();
        match utf8::check(rx.delivered()) {
            Some(text) => Some(Event::Message(Message::from(text))),
            None => {
                self.uncount_message();
                self.fail(ProtocolError::InvalidUtf8, now);
                self.closed().map(Event::Closed)
            }
        }
    }

    /// Most connections, most of the time: all that can happen is that something arrives.
    #[inline]
    fn is_undisturbed(&self) -> bool {
        let is_plain = self.opened && self.state == State::Open && self.watch.is_none() && self.counting.is_none();
        let is_read = !(self.paused || self.withheld || self.eof);
        is_plain && is_read && !self.drain_owed && self.has_little_to_say()
    }

    /// What `poll_event` does besides.
    fn poll_closely<'b>(&mut self, rx: &'b mut RecvBuffer, now: Instant) -> Option<Event<'b>> {
        if !std::mem::replace(&mut self.opened, true) {
            return Some(Event::Open);
        }
        self.count_answers();
        if self.backlog.is_some()
            && let Some(dropped) = self.look_at_backlog(now)
        {
            self.count_dropped(dropped);
            return Some(Event::Dropped(dropped));
        }
        self.settle();
        if self.drain_is_due() {
            self.drain_owed = false;
            return Some(Event::Drain);
        }
        loop {
            if self.step(Input::Data) == Output::Discard {
                rx.clear();
                return self.closed().map(Event::Closed);
            }
            if self.paused || self.withholds() {
                return None;
            }
            self.note_waiting();
            let watcher = self.watch.as_deref_mut().map(|watch| watch as _);
            #[cfg(feature = "deflate")]
            let inflation = self.deflate.as_deref_mut().map(|deflate| &mut deflate.inflation);
            #[cfg(not(feature = "deflate"))]
            let inflation = None;
            let found = self.decoder.decode(rx, &self.config.decoder_limits(), inflation, watcher);
            if self.counting.is_some() {
                self.count_found(&found, rx, now);
            }
            match found {
                Ok(Some(Found::Message { kind: Kind::Text, checked: false })) => return self.deliver_text(rx, now),
                Ok(Some(Found::Message { kind, .. })) => {
                    self.timers.message();
                    return Some(Event::Message(Message::checked_in_pieces(kind, rx.delivered())));
                }
                Ok(Some(Found::Part { kind, first, last })) => {
                    self.timers.message();
                    let message = Message::checked_in_pieces(kind, rx.delivered());
                    return Some(Event::Part(Part { message, first, last }));
                }
                Ok(Some(Found::Control { opcode: Opcode::Close, payload })) => {
                    match CloseFrame::parse(rx.slice(payload)) {
                        Ok(frame) => self.peer_closes(frame, now),
                        Err(error) => self.fail(error, now),
                    }
                }
                Ok(Some(Found::Control { opcode: Opcode::Ping, payload })) => {
                    // 5.5.2: "Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response"
                    self.queue_control(Opcode::Pong, rx.slice(payload.clone()));
                    return Some(Event::Ping(rx.slice(payload)));
                }
                Ok(Some(Found::Control { payload, .. })) => {
                    self.pongs_due = self.pongs_due.saturating_sub(1);
                    return Some(Event::Pong(rx.slice(payload)));
                }
                Ok(None) if self.eof => self.peer_is_silent(now),
                Ok(None) => {
                    self.before = None;
                    return None;
                }
                Err(error) => self.fail(error, now),
            }
        }
    }
}
