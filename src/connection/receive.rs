//! Receiving: what has arrived becomes events.

use std::time::Instant;

use super::{
    Connection, Event,
    closing::{Input, Output, State},
    flags::Flag,
    timers::Moment,
};
use crate::{
    buffer::RecvBuffer,
    error::ProtocolError,
    frame::{CloseFrame, Opcode},
    message::{Kind, Message, Part, Text, decoder::Found, utf8},
};

impl Connection {
    /// The next event, or `None` until more bytes have come in, the queue has drained, or time has passed. Call it
    /// after each of these until it answers `None`.
    #[inline]
    pub fn poll_event<'b>(&mut self, rx: &'b mut RecvBuffer, now: Instant) -> Option<Event<'b>> {
        self.poll_event_at(rx, &mut Moment::new(now))
    }

    /// As [`Connection::poll_event`], for who drives many connections at one time.
    #[inline]
    pub(crate) fn poll_event_at<'b>(&mut self, rx: &'b mut RecvBuffer, moment: &mut Moment) -> Option<Event<'b>> {
        let arrived = rx.take_arrived();
        if arrived > 0 {
            self.timers.heard_at(moment, &self.config);
            self.count_arrived(arrived);
        }
        if self.is_undisturbed() {
            self.count_answers();
            if rx.unread().is_empty() && !self.decoder.is_within_message() {
                rx.release();
                self.before = None;
                return None;
            }
            self.note_waiting();
            match self.decoder.decode_whole(rx, self.config.max_message_size()) {
                Some(Kind::Binary) => {
                    self.timers.message();
                    return Some(Event::Message(Message::Binary(rx.delivered())));
                }
                Some(Kind::Text) => return self.deliver_text(rx, moment.now()),
                None => {}
            }
        }
        self.poll_closely(rx, moment.now())
    }

    /// A whole text that has not been checked.
    #[inline]
    fn deliver_text<'b>(&mut self, rx: &'b mut RecvBuffer, now: Instant) -> Option<Event<'b>> {
        self.timers.message();
        let text = match utf8::check_short(rx.delivered()) {
            None => utf8::check(rx.delivered()).map(Text::from),
            Some(valid) => valid.then(|| Text::known_valid(rx.delivered())),
        };
        match text {
            Some(text) => Some(Event::Message(Message::Text(text))),
            None => self.refuse_text(now),
        }
    }

    #[cold]
    fn refuse_text(&mut self, now: Instant) -> Option<Event<'static>> {
        self.uncount_message();
        self.fail(ProtocolError::InvalidUtf8, now);
        self.closed().map(Event::Closed)
    }

    /// Most connections, most of the time: all that can happen is that something arrives.
    #[inline]
    pub(super) fn is_undisturbed(&self) -> bool {
        self.flags.let_receive() && self.state == State::Open && self.rare.lets_receive() && self.has_little_to_say()
    }

    /// What `poll_event` does besides.
    fn poll_closely<'b>(&mut self, rx: &'b mut RecvBuffer, now: Instant) -> Option<Event<'b>> {
        if !self.flags.replace(Flag::Opened, true) {
            return Some(Event::Open);
        }
        self.count_answers();
        if self.rare.backlog().is_some()
            && let Some(dropped) = self.look_at_backlog(now)
        {
            self.count_dropped(dropped);
            return Some(Event::Dropped(dropped));
        }
        self.settle();
        if self.drain_is_due() {
            self.flags.set(Flag::DrainOwed, false);
            return Some(Event::Drain);
        }
        loop {
            if self.step(Input::Data) == Output::Discard {
                rx.clear();
                return self.closed().map(Event::Closed);
            }
            if self.flags.has(Flag::Paused) || self.withholds() {
                return None;
            }
            self.note_waiting();
            let parts = self.rare.parts();
            #[cfg(feature = "deflate")]
            let (watch, inflation) = parts.map_or((None, None), |parts| {
                (parts.watch.as_deref_mut(), parts.deflate.as_deref_mut().map(|deflate| &mut deflate.inflation))
            });
            #[cfg(not(feature = "deflate"))]
            let (watch, inflation) = (parts.and_then(|parts| parts.watch.as_deref_mut()), None);
            let watcher = watch.map(|watch| watch as _);
            let found = self.decoder.decode(rx, &self.config.decoder_limits(), inflation, watcher);
            if self.rare.counting().is_some() {
                self.count_found(&found, rx, now);
            }
            match found {
                Ok(Some(Found::Message { kind: Kind::Text, checked: false })) => return self.deliver_text(rx, now),
                Ok(Some(Found::Message { kind, .. })) => {
                    self.timers.message();
                    return Some(Event::Message(Message::known_valid(kind, rx.delivered())));
                }
                Ok(Some(Found::Part { kind, first, last })) => {
                    self.timers.message();
                    let message = Message::known_valid(kind, rx.delivered());
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
                    self.pongs_due -= u8::from((1..u8::MAX).contains(&self.pongs_due));
                    return Some(Event::Pong(rx.slice(payload)));
                }
                Ok(None) if self.flags.has(Flag::Eof) => self.peer_is_silent(now),
                Ok(None) => {
                    self.before = None;
                    return None;
                }
                Err(error) => self.fail(error, now),
            }
        }
    }
}
