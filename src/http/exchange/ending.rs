//! What ends a cycle or the connection from outside: the peer's end, time; and what the driver is to do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Buf as _;

use super::{Exchange, OUTPUT_HIGH_WATER, State};
use crate::buffer::SendQueue;
use crate::http::Transport;
use crate::http::error::ExchangeError;

impl Exchange {
    /// The peer sends no more.
    pub(crate) fn handle_eof(&mut self) {
        self.eof = true;
        match self.state {
            State::Head | State::Body(_) => self.end_if_eof(),
            // Whoever waits for an answer keeps the connection open.
            State::Deferred(_) | State::Streaming(_) => self.end(Err(ExchangeError::Eof)),
            State::Closing if self.queue.is_empty() => self.end(Ok(())),
            State::Closing | State::Ended | State::Switched => {}
        }
    }

    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Answers before there is a request, and closes: none is read.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn turn_away(&mut self, status: u16, text: &str, now: Instant) {
        self.refuse_with(status, text, ExchangeError::Eof, now);
    }

    /// Nothing can be sent or read any more; what it came to is known.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn cut_off(&mut self) {
        self.end(Ok(()));
    }

    pub(super) fn end_if_eof(&mut self) {
        // Requests that wait for the queue to drain are still served.
        if !self.eof || self.paused {
            return;
        }
        let in_request = self.started || matches!(self.state, State::Body(_));
        let outcome = if in_request || self.served == 0 { Err(ExchangeError::Eof) } else { Ok(()) };
        if self.queue.is_empty() {
            self.end(outcome);
        } else {
            self.outcome.get_or_insert(outcome);
            self.state = State::Closing;
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        let takes_its_answer = !self.queue.is_empty() && self.flushed() > self.flushed_at_deadline;
        match self.state {
            State::Head if !self.started && takes_its_answer => {
                self.set_deadline(now, self.timeouts.handshake_timeout);
            }
            // RFC 9110, 15.5.9: the request was not complete within the time that we wait.
            State::Head if self.started => {
                self.refuse_with(408, "no whole request in time", ExchangeError::Timeout, now)
            }
            State::Body(_) => self.refuse_with(408, "no whole request in time", ExchangeError::Timeout, now),
            // An idle connection that was served ends cleanly.
            State::Head if self.served > 0 && self.queue.is_empty() => self.end(Ok(())),
            State::Head => self.end(Err(ExchangeError::Timeout)),
            State::Deferred(_) => {
                self.refuse_with(503, "no answer in time", ExchangeError::ResponseTimeout, now);
            }
            State::Streaming(_) if self.queue.is_empty() => self.deadline = None,
            State::Streaming(_) if takes_its_answer => self.set_deadline(now, self.timeouts.response_timeout),
            State::Streaming(_) => self.end(Err(ExchangeError::Timeout)),
            State::Closing if takes_its_answer => self.set_deadline(now, self.timeouts.close_timeout),
            State::Closing => self.end(Err(ExchangeError::Timeout)),
            State::Ended | State::Switched => self.deadline = None,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn set_deadline(&mut self, now: Instant, after: Duration) {
        self.deadline = now.checked_add(after);
        self.flushed_at_deadline = self.flushed();
    }

    fn flushed(&self) -> u64 {
        self.queued.saturating_sub(self.queue.remaining() as u64)
    }

    /// What was taken from the queue before moves on its way to the peer, who so takes its answer. Without an answer in there
    /// it was none.
    #[cfg(feature = "tls")]
    pub(crate) fn records_left(&mut self) {
        self.flushed_at_deadline = self.flushed_at_deadline.min(self.flushed().saturating_sub(1));
    }

    pub(crate) fn wants_read(&self) -> bool {
        !self.eof
            && match self.state {
                State::Head => self.queue.len() <= OUTPUT_HIGH_WATER,
                State::Body(_) | State::Closing => true,
                State::Deferred(_) | State::Streaming(_) | State::Ended | State::Switched => false,
            }
    }

    pub(crate) fn wants_write(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(crate) fn queue(&mut self) -> &mut SendQueue {
        &mut self.queue
    }

    pub(crate) fn transport(&self) -> Transport {
        match self.state {
            State::Ended => Transport::Close,
            State::Closing if !self.queue.is_empty() => Transport::Open,
            State::Closing if self.eof => Transport::Close,
            State::Closing => Transport::ShutdownWrite,
            _ => Transport::Open,
        }
    }

    /// How the cycles ended. It is known before the last answer is flushed.
    pub(crate) fn outcome(&self) -> Option<Result<(), ExchangeError>> {
        self.outcome
    }
}
