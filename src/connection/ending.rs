//! How a connection comes to its end: the table's outputs carried out (RFC 6455 section 7.1).

use std::time::Instant;

use super::{
    Cause, Closed, Connection, Initiator,
    closing::{Input, Output, State},
    flags::Flag,
};
use crate::{
    error::ProtocolError,
    frame::{CloseFrame, Opcode},
};

/// What leaves our system at once on a connection that is new: RFC 6928 section 2. (What counts the bytes goes round at 4 GiB.)
#[cfg(feature = "net")]
const FIRST_WINDOW: u32 = 14_600;

/// The rare part of the state: how it comes to an end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) cause: Option<Cause>,
    pub(super) local: Option<CloseFrame>,
    pub(super) peer: Option<CloseFrame>,
    pub(super) initiator: Option<Initiator>,
    pub(super) reported: bool,
    /// The peer's Close came, and ours, its echo or not, has been queued.
    both: bool,
}

impl Connection {
    pub(super) fn close_with(&mut self, frame: CloseFrame, now: Instant) {
        if self.step(Input::LocalClose) == Output::SendClose {
            // The peer's answer has to be read.
            self.flags.set(Flag::Paused, false);
            self.timers.begin_close(now, &self.config);
            self.queue_close(frame, Initiator::Local);
        }
    }

    /// 5.5.1: "If an endpoint receives a Close frame and did not previously send a Close frame, the endpoint MUST send
    /// a Close frame in response", with the status code it received.
    pub(super) fn peer_closes(&mut self, frame: CloseFrame, now: Instant) {
        self.timers.begin_close(now, &self.config);
        if self.step(Input::PeerClose) == Output::EchoClose {
            self.queue_close(CloseFrame { code: frame.code, reason: Box::default() }, Initiator::Peer);
        }
        let ending = self.ending();
        ending.cause.get_or_insert(Cause::Clean);
        ending.peer = Some(frame);
        ending.both = true;
        self.settle();
    }

    /// 5.5.1: "After both sending and receiving a Close message, an endpoint considers the WebSocket connection closed and MUST
    /// close the underlying TCP connection. The server MUST close the underlying TCP connection immediately".
    /// But a Pong that is due may follow the peer's Close, or one that nobody asked for (5.5.3). To what meets a closed socket
    /// the system answers with a reset, which destroys what is still on its way: so not where that may be much.
    #[cfg(feature = "net")]
    pub(crate) fn has_both_closes(&self) -> bool {
        let both = self.rare.ending().is_some_and(|ending| ending.both && ending.reported);
        self.state == State::AwaitingEof && both && self.pongs_due == 0 && self.queue.progress() <= FIRST_WINDOW
    }

    /// 7.1.7: fail the connection.
    pub(super) fn fail(&mut self, error: ProtocolError, now: Instant) {
        self.watch_cut_off();
        self.timers.begin_close(now, &self.config);
        if self.step(Input::ProtocolError) == Output::SendClose {
            self.queue_close(CloseFrame::new(error.close_code(), &error.to_string()), Initiator::Local);
        }
        self.ending().cause.get_or_insert(Cause::Failed(error));
        self.settle();
    }

    /// The stream has ended and its last message was delivered. What waits still leaves, within the closing deadline:
    /// the peer may have closed its side only.
    pub(super) fn peer_is_silent(&mut self, now: Instant) {
        if !self.wants_write() {
            return self.end(Input::EndOfStream, Cause::Eof);
        }
        self.frame_all();
        self.timers.begin_close(now, &self.config);
        self.step(Input::HalfClosed);
        self.ending().cause.get_or_insert(Cause::Eof);
    }

    pub(super) fn end(&mut self, input: Input, cause: Cause) {
        if self.state != State::Closed {
            self.forget_backlog();
            let cut_off = self.state == State::Flushing && !self.queue.is_empty();
            self.step(input);
            match &mut self.ending().cause {
                // Our Close has not left (7.1.4), or what the half-closed peer still waits for: neither is the whole story.
                Some(told @ (Cause::Clean | Cause::Eof)) if cut_off => *told = cause,
                told => _ = told.get_or_insert(cause),
            }
        }
    }

    pub(super) fn step(&mut self, input: Input) -> Output {
        let (state, output) = self.state.next(input);
        self.state = state;
        output
    }

    /// Everything that was queued has left.
    pub(super) fn settle(&mut self) {
        if self.queue.is_empty() {
            self.step(Input::Flushed);
            // The peer's end was told already: there is nothing to linger for.
            if self.flags.has(Flag::Eof) && self.state == State::AwaitingEof {
                self.step(Input::EndOfStream);
            }
        }
    }

    pub(super) fn queue_close(&mut self, frame: CloseFrame, initiator: Initiator) {
        // What was accepted leaves before it.
        self.frame_all();
        let (payload, length) = frame.encode();
        self.append_frame(Opcode::Close, &payload[..length]);
        // 5.5.1: "The application MUST NOT send any more data frames": nothing is compressed any more.
        #[cfg(feature = "deflate")]
        if let Some(deflate) = self.rare.deflate_mut() {
            deflate.deflation.release();
        }
        let ending = self.ending();
        ending.local = Some(frame);
        ending.initiator.get_or_insert(initiator);
    }

    pub(super) fn ending(&mut self) -> &mut Ending {
        self.rare.ending_or_default()
    }

    /// The last event, once, when our Close has left or can no longer leave.
    pub(super) fn closed(&mut self) -> Option<Box<Closed>> {
        if !matches!(self.state, State::AwaitingEof | State::Closed) {
            return None;
        }
        self.watch_cut_off();
        let ending = self.ending();
        if std::mem::replace(&mut ending.reported, true) {
            return None;
        }
        Some(Box::new(Closed {
            cause: ending.cause.take().unwrap_or(Cause::Eof),
            local: ending.local.take(),
            peer: ending.peer.take(),
            initiator: ending.initiator,
        }))
    }
}
