//! The server's side of the opening handshake (RFC 6455, section 4.2).

use std::fmt;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::BufMut as _;

use super::accept_key::{AcceptKey, encode_accept_key};
use super::accepted::Accepted;
use super::deflate::{DeflateAnswer, DeflateOffer, DeflateParams};
use super::error::{AcceptanceError, HandshakeError, UpgradeError};
use super::extensions::{ExtensionList, Extensions};
use super::requirements::check_upgrade;
use super::verdict::{Acceptance, Verdict};
use crate::buffer::{RecvBuffer, SendQueue};
use crate::http::{
    Answer, Exchange, Known, Limits, OwnedRequest, Polled, Request, Response, StreamError, StreamStatus, Timeouts,
    Transport,
};

/// A server's connection before it is a WebSocket: HTTP requests and answers, until one of them upgrades.
///
/// Bytes come in by [`poll`](Self::poll), leave by [`transmit`](Self::transmit); the driver obeys
/// [`wants_read`](Self::wants_read), [`wants_write`](Self::wants_write), [`transport`](Self::transport) and
/// [`poll_timeout`](Self::poll_timeout).
///
/// ```
/// use std::time::Instant;
/// use bytes::Buf;
/// use wireroom::buffer::RecvBuffer;
/// use wireroom::handshake::{Progress, ServerHandshake};
/// use wireroom::http::{Limits, Timeouts};
///
/// let now = Instant::now();
/// let mut handshake = ServerHandshake::new(Limits::default(), Timeouts::default(), now);
/// let mut rx = RecvBuffer::new();
/// rx.extend(b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Origin: https://example.com\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
/// let progress = handshake.poll(&mut rx, now, &mut |request| request.allow_origins(&["https://example.com"]));
/// let Progress::Upgraded(accepted) = progress else { panic!("not upgraded") };
/// assert_eq!(accepted.subprotocol(), None);
/// ```
pub struct ServerHandshake {
    exchange: Exchange,
    /// What ended it, where that is more than HTTP knows.
    failure: Option<HandshakeError>,
    /// What permessage-deflate is accepted with; without it every offer is declined.
    deflate: Option<DeflateParams>,
}

/// A request that was accepted: its key, what goes into the 101, and the extensions.
struct Switch {
    key: AcceptKey,
    acceptance: Acceptance,
    deflate: Option<(DeflateAnswer, DeflateParams)>,
}

/// What a step of a [`ServerHandshake`] came to.
#[must_use]
#[derive(Debug)]
pub enum Progress {
    /// Write what is queued, and come back with more bytes, or when the queue has drained.
    Pending,
    /// The connection is a WebSocket. What is unread in the receive buffer are its frames.
    Upgraded(Box<Accepted>),
}

/// How a connection ended that did not become a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was plain HTTP, every request was answered, and it was closed between requests.
    Served,
    /// It failed.
    Failed(HandshakeError),
}

impl ServerHandshake {
    /// A connection that has just been opened. The deadline of its first request runs from now.
    #[inline]
    pub fn new(limits: Limits, timeouts: Timeouts, now: Instant) -> Self {
        Self { exchange: Exchange::new(limits, timeouts, now), failure: None, deflate: None }
    }

    /// Answers at once with the status and the words of `failure`, whatever the request will be, then closes.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn turn_away(&mut self, failure: HandshakeError, now: Instant) {
        self.exchange.turn_away(failure.status().unwrap_or(503), &failure.to_string(), now);
        self.failure = Some(failure);
    }

    /// Tells the peer's address, which `verify` then sees.
    pub fn set_peer_addr(&mut self, peer_addr: Option<SocketAddr>) {
        self.exchange.set_peer_addr(peer_addr);
    }

    /// Where the peer was when it came; a socket that was reset does not tell any more.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        self.exchange.peer_addr()
    }

    /// Accepts the first offer of permessage-deflate that can be (RFC 7692, section 7.1), with these parameters or
    /// stricter ones; see `Config::permessage_deflate`. Without this call every offer is declined.
    #[cfg(feature = "deflate")]
    pub fn set_deflate(&mut self, terms: Option<DeflateParams>) {
        self.deflate = terms;
    }

    /// Goes on with what is unread, request by request; each is shown to `verify`, unless it is invalid.
    ///
    /// To be called when bytes have arrived, when a deferred or streamed answer is complete, and when the
    /// queue has drained: with many answers queued, further requests wait in the receive buffer.
    pub fn poll(
        &mut self,
        rx: &mut RecvBuffer,
        now: Instant,
        verify: &mut dyn FnMut(&Request<'_>) -> Verdict,
    ) -> Progress {
        let mut switch = None;
        let (failure, deflate) = (&mut self.failure, self.deflate);
        let polled = self.exchange.poll(rx, now, &mut |request| {
            if !request.is_upgrade() {
                return decide(request, verify(request), None, deflate, &mut switch, failure);
            }
            match check_upgrade(request) {
                Ok(key) => {
                    let key = encode_accept_key(key);
                    decide(request, verify(request), Some(key), deflate, &mut switch, failure)
                }
                Err(fault) => {
                    *failure = Some(fault.into());
                    Answer::Refuse(refusal(fault))
                }
            }
        });
        self.progress(polled, switch)
    }

    fn progress(&mut self, polled: Polled, switch: Option<Switch>) -> Progress {
        match (polled, switch) {
            (Polled::Switched, Some(switch)) => {
                let mut queue = std::mem::take(self.exchange.queue());
                encode_switch(&mut queue, &switch);
                let subprotocol = switch.acceptance.into_subprotocol();
                let extensions = switch.deflate.map(|(_, params)| Extensions::none().with_deflate(params));
                let extensions = extensions.unwrap_or_default();
                Progress::Upgraded(Box::new(Accepted::new(queue, subprotocol, extensions)))
            }
            _ => Progress::Pending,
        }
    }

    /// The request whose answer was deferred.
    pub fn deferred(&self) -> Option<&OwnedRequest> {
        self.exchange.deferred()
    }

    /// Gives the answer that was deferred. Without one this does nothing: the peer may have gone, or the
    /// deadline may have passed. Afterwards, [`poll`](Self::poll) goes on with what is unread.
    pub fn answer(&mut self, verdict: impl Into<Verdict>, now: Instant) -> Progress {
        let Some(deferred) = self.exchange.deferred() else {
            return Progress::Pending;
        };
        let request = deferred.as_request();
        let key = if request.is_upgrade() { check_upgrade(&request).ok().map(encode_accept_key) } else { None };
        let mut switch = None;
        let answer = decide(&request, verdict.into(), key, self.deflate, &mut switch, &mut self.failure);
        let _ = self.exchange.respond(answer, now);
        let polled = if switch.is_some() { Polled::Switched } else { Polled::Pending };
        self.progress(polled, switch)
    }

    /// [`answer`](Self::answer) with a plain response. `false` if no answer was due.
    pub fn respond(&mut self, response: Response, now: Instant) -> bool {
        let due = self.exchange.deferred().is_some();
        let _ = self.answer(response, now);
        due
    }

    /// [`answer`](Self::answer) with an acceptance. `None` if no answer was due, or it could not be accepted.
    pub fn accept(&mut self, acceptance: Acceptance, now: Instant) -> Option<Box<Accepted>> {
        match self.answer(acceptance, now) {
            Progress::Upgraded(accepted) => Some(accepted),
            Progress::Pending => None,
        }
    }

    /// Whether a response is being streamed: [`stream`](Self::stream) and [`finish`](Self::finish) are due.
    pub fn is_streaming(&self) -> bool {
        self.exchange.is_streaming()
    }

    /// Sends a piece of a streamed response. It is taken whole if the queue is below `limit` bytes: the
    /// queue exceeds it by at most one piece.
    pub fn stream(&mut self, bytes: &[u8], limit: usize, now: Instant) -> Result<StreamStatus, StreamError> {
        self.exchange.stream(bytes, limit, now)
    }

    /// Ends a streamed response. Afterwards, [`poll`](Self::poll) goes on with what is unread.
    pub fn finish(&mut self, now: Instant) -> Result<(), StreamError> {
        self.exchange.finish(now)
    }

    /// The peer will send no more. To be called after `poll` has seen the last bytes.
    ///
    /// Whoever waits for a deferred or streamed answer is taken to have hung up.
    pub fn handle_eof(&mut self) {
        self.exchange.handle_eof();
    }

    /// The transport has failed. Whether the peer had been refused by then: that is how it ended, and not by a reset of whoever did
    /// not wait for the answer.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn handle_io_error(&mut self) -> bool {
        let refused = matches!(self.outcome(), Some(Outcome::Failed(_)));
        if refused {
            self.exchange.cut_off();
        }
        refused
    }

    /// To be called when the time of [`poll_timeout`](Self::poll_timeout) has come; harmless earlier.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.exchange.handle_timeout(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. It may change with every call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.exchange.poll_timeout()
    }

    /// Whether to read. It pauses while an answer is deferred or streamed, or many are queued.
    pub fn wants_read(&self) -> bool {
        self.exchange.wants_read()
    }

    /// Whether there is something to write.
    pub fn wants_write(&self) -> bool {
        self.exchange.wants_write()
    }

    /// What to write.
    pub fn transmit(&mut self) -> &mut SendQueue {
        self.exchange.queue()
    }

    /// What was taken from the queue before moves on its way to the peer.
    #[cfg(feature = "tls")]
    pub(crate) fn records_left(&mut self) {
        self.exchange.records_left();
    }

    /// What to do with the transport.
    pub fn transport(&self) -> Transport {
        self.exchange.transport()
    }

    /// How it ended, known as soon as no further request will be served: the last answer may still be queued.
    pub fn outcome(&self) -> Option<Outcome> {
        let outcome = self.exchange.outcome()?;
        Some(match (&self.failure, outcome) {
            (Some(failure), _) => Outcome::Failed(failure.clone()),
            (None, Ok(())) => Outcome::Served,
            (None, Err(error)) => Outcome::Failed(error.into()),
        })
    }
}

impl fmt::Debug for ServerHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandshake")
            .field("transport", &self.transport())
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}

/// The answer to a request that breaks a rule.
fn refusal(fault: UpgradeError) -> Response {
    let response = Response::text(fault.status(), format!("{fault}\n"));
    match fault {
        // RFC 9110, 15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
        UpgradeError::Method => response.header("Allow", "GET"),
        _ => response,
    }
}

/// Turns a verdict into what HTTP does. `key` is there if the request validly asked to upgrade.
#[inline]
fn decide(
    request: &Request<'_>,
    verdict: Verdict,
    key: Option<AcceptKey>,
    deflate: Option<DeflateParams>,
    switch: &mut Option<Switch>,
    failure: &mut Option<HandshakeError>,
) -> Answer {
    match (verdict, key) {
        (Verdict::Accept(acceptance), Some(key)) => match check_acceptance(request, &acceptance) {
            Ok(()) => {
                let deflate = deflate.filter(|_| acceptance.takes_extensions());
                let deflate = deflate.and_then(|terms| negotiate(request, &terms));
                *switch = Some(Switch { key, acceptance, deflate });
                Answer::Switch
            }
            Err(fault) => {
                *failure = Some(fault.into());
                Answer::Refuse(Response::new(500))
            }
        },
        (Verdict::Accept(_), None) => {
            *failure = Some(UpgradeError::NotAnUpgrade.into());
            Answer::Refuse(refusal(UpgradeError::NotAnUpgrade))
        }
        (Verdict::Respond(response), Some(_)) => {
            *failure = Some(HandshakeError::Rejected { status: response.status() });
            Answer::Refuse(response)
        }
        (Verdict::Respond(response), None) => Answer::Respond(response),
        (Verdict::Defer, _) => Answer::Defer,
        (Verdict::Stream(response), _) => Answer::Stream(response),
    }
}

/// RFC 6455, 4.2.2: the subprotocol's "value chosen MUST be derived from the client's handshake".
fn check_acceptance(request: &Request<'_>, acceptance: &Acceptance) -> Result<(), AcceptanceError> {
    if let Some(fault) = acceptance.fault() {
        return Err(fault.into());
    }
    match acceptance.selected_subprotocol() {
        Some(selected) if !request.subprotocols().any(|offered| offered == selected) => {
            Err(AcceptanceError::SubprotocolNotOffered)
        }
        _ => Ok(()),
    }
}

/// RFC 7692, 5: the first offer that can be accepted, in the client's order of preference. 5.1: an offer that cannot is
/// declined, and the next one looked at; with none accepted the connection goes on without the extension.
fn negotiate(request: &Request<'_>, terms: &DeflateParams) -> Option<(DeflateAnswer, DeflateParams)> {
    let lines = request.head.fields.all(request.bytes, Known::SecWebSocketExtensions);
    lines.flat_map(ExtensionList::new).filter_map(Result::ok).find_map(|extension| {
        let offer = DeflateOffer::from_extension(&extension)?;
        let answer = offer.answer(terms)?;
        Some((answer, offer.params(&answer)?))
    })
}

/// RFC 6455, 4.2.2, item 5: the server's response.
fn encode_switch(queue: &mut SendQueue, switch: &Switch) {
    let Switch { key, acceptance, deflate } = switch;
    // Answers to pipelined requests become one run with the 101, into which no control frame can cut.
    let answers = (!queue.is_empty()).then(|| std::mem::take(queue));
    let before = answers.as_ref().map_or(0, SendQueue::len);
    queue.append_with(192 + before + acceptance.field_lines().len(), |out| {
        if let Some(answers) = answers {
            out.put(answers);
        }
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(key);
        if let Some(subprotocol) = acceptance.selected_subprotocol() {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(subprotocol.as_bytes());
        }
        if let Some((answer, _)) = deflate {
            out.extend_from_slice(format!("\r\nSec-WebSocket-Extensions: {answer}").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(acceptance.field_lines());
        out.extend_from_slice(b"\r\n");
    });
}
