//! Request -> response cycles on a connection before it upgrades.
//!
//! ```text
//!            +--------------------- keep-alive ---------------------+
//!            v                                                      |
//!   Head -> (Body) -> answer: Respond ------------------------------+--> Closing -> Ended
//!                             Defer -> Deferred -> respond ---------+
//!                             Stream -> Streaming -> finish --------+
//!                             Switch -> Switched: the rest of the bytes is another protocol's
//! ```
//!
//! Closing is RFC 9112, 9.6: flush, shut the write side down, read and throw away until the peer closes or
//! the deadline passes. What lies behind a request that was refused is never interpreted.

use std::net::SocketAddr;
use std::time::Instant;

use super::body::{BodyDecoder, BodyFault, BodyLength};
use super::error::{ExchangeError, RequestError, StreamError};
use super::head::{RequestHead, RequestParser, Version};
use super::request::{OwnedRequest, Request};
use super::response::{Content, Encoding, Response, append_chunk};
use super::{Limits, StreamStatus, Timeouts};
use crate::buffer::{RecvBuffer, SendQueue};

mod ending;

/// Above this many bytes of queued answers, further pipelined requests wait.
const OUTPUT_HIGH_WATER: usize = 65_536;

/// What becomes of a request.
pub(crate) enum Answer {
    /// Answered; the connection is kept if request and response allow it.
    Respond(Response),
    /// Answered, and the connection is closed: nothing behind this request is interpreted.
    Refuse(Response),
    /// The answer comes later, by [`Exchange::respond`].
    Defer,
    /// The head now, the content later, by [`Exchange::stream`].
    Stream(Response),
    /// The connection stops being HTTP. The caller writes the 101.
    Switch,
}

/// What [`Exchange::poll`] came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nothing more to do with the bytes at hand.
    Pending,
    /// A request was answered with [`Answer::Switch`]; the bytes behind it are still unread.
    Switched,
}

enum State {
    Head,
    Body(Box<Receiving>),
    Deferred(Box<OwnedRequest>),
    Streaming(Streaming),
    Closing,
    Ended,
    Switched,
}

struct Receiving {
    request: OwnedRequest,
    decoder: BodyDecoder,
}

#[derive(Clone, Copy)]
struct Streaming {
    chunked: bool,
    /// A HEAD request, 204 or 304: there is no content, whatever is given.
    discards: bool,
    keep_alive: bool,
}

/// What of a request decides about the form of its answer.
#[derive(Clone, Copy)]
struct Cycle {
    version: Version,
    head_only: bool,
    keep_alive: bool,
}

pub(crate) struct Exchange {
    limits: Limits,
    timeouts: Timeouts,
    peer_addr: Option<SocketAddr>,
    parser: RequestParser,
    state: State,
    queue: SendQueue,
    deadline: Option<Instant>,
    /// Bytes that entered the queue since the beginning, and how many had left it when the deadline was set:
    /// a peer that takes a large answer slowly, but takes it, is given time.
    queued: u64,
    flushed_at_deadline: u64,
    served: u32,
    /// A request has begun to arrive.
    started: bool,
    /// Requests lie unread because too many answers are queued.
    paused: bool,
    skipped_empty_line: bool,
    eof: bool,
    outcome: Option<Result<(), ExchangeError>>,
}

impl Exchange {
    // Inlined, it is made where it will be.
    #[inline]
    pub(crate) fn new(limits: Limits, timeouts: Timeouts, now: Instant) -> Self {
        Self {
            limits,
            timeouts,
            peer_addr: None,
            parser: RequestParser::new(),
            state: State::Head,
            queue: SendQueue::new(),
            deadline: now.checked_add(timeouts.handshake_timeout),
            queued: 0,
            flushed_at_deadline: 0,
            served: 0,
            started: false,
            paused: false,
            skipped_empty_line: false,
            eof: false,
            outcome: None,
        }
    }

    pub(crate) fn set_peer_addr(&mut self, peer_addr: Option<SocketAddr>) {
        self.peer_addr = peer_addr;
    }

    /// Goes on with what is unread, request by request.
    pub(crate) fn poll(
        &mut self,
        rx: &mut RecvBuffer,
        now: Instant,
        serve: &mut dyn FnMut(&Request<'_>) -> Answer,
    ) -> Polled {
        loop {
            match &mut self.state {
                State::Head => {
                    self.paused = self.queue.len() > OUTPUT_HIGH_WATER && !rx.unread().is_empty();
                    if self.paused {
                        self.started = false;
                        return Polled::Pending;
                    }
                    // RFC 9112, 2.2: "a server that is expecting to receive and parse a request-line SHOULD
                    // ignore at least one empty line (CRLF) received prior to the request-line."
                    if !self.skipped_empty_line && rx.unread().starts_with(b"\r\n") {
                        rx.consume(2);
                        self.skipped_empty_line = true;
                    }
                    self.started = !rx.unread().is_empty();
                    match self.parser.parse(rx.unread(), &self.limits) {
                        Ok(None) => {
                            self.end_if_eof();
                            return Polled::Pending;
                        }
                        Err(fault) => self.refuse(fault, now),
                        Ok(Some(_)) => {
                            if self.request(rx, now, serve) == Polled::Switched {
                                return Polled::Switched;
                            }
                        }
                    }
                }
                State::Body(receiving) => match receiving.decoder.decode(rx, &mut receiving.request.body) {
                    Ok(false) => {
                        self.end_if_eof();
                        return Polled::Pending;
                    }
                    Ok(true) => {
                        let State::Body(receiving) = std::mem::replace(&mut self.state, State::Head) else {
                            return Polled::Pending;
                        };
                        let answer = serve(&receiving.request.as_request());
                        let cycle = self.cycle(&receiving.request.as_request());
                        let owned = |_: &RequestHead| Box::new(receiving.request);
                        if self.answer(answer, cycle, owned, now) == Polled::Switched {
                            return Polled::Switched;
                        }
                    }
                    Err(fault) => self.refuse(
                        match fault {
                            BodyFault::TooLarge => RequestError::BodyTooLarge { limit: self.limits.max_request_body },
                            BodyFault::Chunk => RequestError::Chunk,
                            BodyFault::Trailer => RequestError::TrailerTooLarge,
                        },
                        now,
                    ),
                },
                State::Closing | State::Ended => {
                    let rest = rx.unread().len();
                    rx.consume(rest);
                    return Polled::Pending;
                }
                State::Deferred(_) | State::Streaming(_) | State::Switched => return Polled::Pending,
            }
        }
    }

    /// A request whose head is complete.
    fn request(&mut self, rx: &mut RecvBuffer, now: Instant, serve: &mut dyn FnMut(&Request<'_>) -> Answer) -> Polled {
        let (head, peer_addr) = (self.parser.head(), self.peer_addr);
        let len = head.len as usize;
        let bytes = rx.unread().get(..len).unwrap_or(b"");
        let request = Request { bytes, body: b"", head, peer_addr };
        if head.body != BodyLength::None {
            // The head makes room for the content, which is decoded beside it.
            let request = request.to_owned();
            rx.consume(len);
            let decoder = BodyDecoder::new(head.body, self.limits.max_request_body);
            if head.expects_continue {
                self.append(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            self.state = State::Body(Box::new(Receiving { request, decoder }));
            return Polled::Pending;
        }
        let answer = serve(&request);
        let cycle = self.cycle(&request);
        let owned = |head: &_| Box::new(Request { bytes, body: b"", head, peer_addr }.to_owned());
        let polled = self.answer(answer, cycle, owned, now);
        rx.consume(len);
        polled
    }

    fn cycle(&self, request: &Request<'_>) -> Cycle {
        Cycle {
            version: request.head.version,
            head_only: request.head.method(request.bytes) == b"HEAD",
            keep_alive: request.head.keep_alive && self.served.saturating_add(1) < self.limits.max_requests,
        }
    }

    fn answer(
        &mut self,
        answer: Answer,
        cycle: Cycle,
        owned: impl FnOnce(&RequestHead) -> Box<OwnedRequest>,
        now: Instant,
    ) -> Polled {
        self.served = self.served.saturating_add(1);
        match answer {
            Answer::Respond(response) => self.queue_response(response, cycle, now),
            Answer::Refuse(mut response) => {
                response.must_close();
                self.queue_response(response, cycle, now);
            }
            Answer::Defer => {
                self.state = State::Deferred(owned(self.parser.head()));
                self.set_deadline(now, self.timeouts.response_timeout);
            }
            Answer::Stream(response) => self.queue_stream_head(response, cycle, now),
            Answer::Switch => {
                self.state = State::Switched;
                self.deadline = None;
                return Polled::Switched;
            }
        }
        Polled::Pending
    }

    fn queue_response(&mut self, response: Response, cycle: Cycle, now: Instant) {
        let keep_alive = cycle.keep_alive && !response.closes();
        let before = self.queue.len();
        let Cycle { version, head_only, .. } = cycle;
        response.encode(&mut self.queue, Encoding { version, head_only, keep_alive, content: Content::Whole });
        self.queued += (self.queue.len() - before) as u64;
        self.cycle_done(keep_alive, now);
    }

    fn queue_stream_head(&mut self, response: Response, cycle: Cycle, now: Instant) {
        let chunked = cycle.version == Version::Http11;
        let keep_alive = cycle.keep_alive && !response.closes() && chunked;
        let discards = cycle.head_only || matches!(response.status(), 204 | 304);
        let before = self.queue.len();
        let Cycle { version, head_only, .. } = cycle;
        response.encode(&mut self.queue, Encoding { version, head_only, keep_alive, content: Content::Stream });
        self.queued += (self.queue.len() - before) as u64;
        self.state = State::Streaming(Streaming { chunked, discards, keep_alive });
        self.set_deadline(now, self.timeouts.response_timeout);
    }

    /// After an answer: the next request, or the end.
    fn cycle_done(&mut self, keep_alive: bool, now: Instant) {
        if keep_alive {
            self.parser = RequestParser::new();
            self.state = State::Head;
            self.started = false;
            self.skipped_empty_line = false;
            self.set_deadline(now, self.timeouts.handshake_timeout);
        } else {
            self.close_after_flush(Ok(()), now);
        }
    }

    /// The last answer is queued.
    fn close_after_flush(&mut self, outcome: Result<(), ExchangeError>, now: Instant) {
        self.outcome.get_or_insert(outcome);
        self.state = State::Closing;
        self.set_deadline(now, self.timeouts.close_timeout);
    }

    fn refuse(&mut self, fault: RequestError, now: Instant) {
        self.refuse_with(fault.status(), &fault.to_string(), ExchangeError::Request(fault), now);
    }

    fn refuse_with(&mut self, status: u16, text: &str, outcome: ExchangeError, now: Instant) {
        self.outcome.get_or_insert(Err(outcome));
        let cycle = Cycle { version: Version::Http11, head_only: false, keep_alive: false };
        self.queue_response(Response::text(status, format!("{text}\n")), cycle, now);
    }

    /// Nothing more is sent or read.
    fn end(&mut self, outcome: Result<(), ExchangeError>) {
        self.outcome.get_or_insert(outcome);
        self.state = State::Ended;
        self.queue = SendQueue::new();
        self.deadline = None;
    }

    /// The request whose answer is deferred.
    pub(crate) fn deferred(&self) -> Option<&OwnedRequest> {
        match &self.state {
            State::Deferred(request) => Some(request),
            _ => None,
        }
    }

    /// Answers the deferred request. `false` if there is none (any more).
    pub(crate) fn respond(&mut self, answer: Answer, now: Instant) -> bool {
        let State::Deferred(request) = &self.state else {
            return false;
        };
        if matches!(answer, Answer::Defer) {
            return true;
        }
        // Counted when it was deferred.
        self.served = self.served.saturating_sub(1);
        let cycle = self.cycle(&request.as_request());
        let State::Deferred(request) = std::mem::replace(&mut self.state, State::Head) else {
            return false;
        };
        let _ = self.answer(answer, cycle, |_| request, now);
        true
    }

    pub(crate) fn stream(&mut self, bytes: &[u8], limit: usize, now: Instant) -> Result<StreamStatus, StreamError> {
        let State::Streaming(streaming) = self.state else {
            return Err(StreamError::NotStreaming);
        };
        let before = self.queue.len();
        if before >= limit {
            return Err(StreamError::BufferFull);
        }
        if !streaming.discards {
            append_chunk(&mut self.queue, bytes, streaming.chunked);
        }
        self.queued += (self.queue.len() - before) as u64;
        if before == 0 || self.deadline.is_none() {
            self.set_deadline(now, self.timeouts.response_timeout);
        }
        Ok(if self.queue.len() < limit { StreamStatus::Queued } else { StreamStatus::Backpressure })
    }

    pub(crate) fn is_streaming(&self) -> bool {
        matches!(self.state, State::Streaming(_))
    }

    /// Ends the streamed response.
    pub(crate) fn finish(&mut self, now: Instant) -> Result<(), StreamError> {
        let State::Streaming(streaming) = self.state else {
            return Err(StreamError::NotStreaming);
        };
        if streaming.chunked && !streaming.discards {
            // RFC 9112, 7.1: last-chunk and an empty trailer section.
            self.append(b"0\r\n\r\n");
        }
        self.cycle_done(streaming.keep_alive, now);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) {
        self.queue.append(bytes);
        self.queued += bytes.len() as u64;
    }
}
