//! The client's side of the opening handshake (RFC 6455, section 4.1).

use std::fmt;
use std::time::Instant;

use super::accept_key::{AcceptKey, encode_accept_key, encode_nonce};
use super::client_request::ClientRequest;
use super::deflate::{DeflateAnswer, DeflateOffer};
use super::error::{AnswerError, HandshakeError, Refusal};
use super::extensions::{ExtensionList, Extensions};
use crate::buffer::{RecvBuffer, SendQueue};
use crate::http::{
    BodyDecoder, Headers, Known, Limits, ResponseError, ResponseHead, ResponseParser, Timeouts, Transport,
};

/// Interim (1xx) responses that are passed over. One (103 or 100) has a purpose; an endless row has another.
const MAX_INTERIM: u32 = 8;

/// A client's connection before it is a WebSocket: the request goes out, the response is checked.
///
/// ```
/// use std::time::Instant;
/// use wireroom::buffer::RecvBuffer;
/// use wireroom::handshake::{ClientHandshake, ClientRequest};
/// use wireroom::http::{Limits, Timeouts};
///
/// let now = Instant::now();
/// let request = ClientRequest::new("ws://example.com/chat")?;
/// // The nonce comes from the operating system's generator; this one is the RFC's.
/// let mut handshake = ClientHandshake::new(&request, *b"the sample nonce", Limits::default(), Timeouts::default(), now);
/// // .. write `handshake.transmit()`, read into `rx` ..
/// let mut rx = RecvBuffer::new();
/// rx.extend(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
/// let established = handshake.poll(&mut rx)?.expect("the response is complete");
/// assert_eq!(established.subprotocol(), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ClientHandshake {
    limits: Limits,
    accept: AcceptKey,
    subprotocols: Vec<String>,
    deflate: Vec<DeflateOffer>,
    queue: SendQueue,
    parser: ResponseParser,
    interim: u32,
    state: State,
    deadline: Option<Instant>,
}

enum State {
    Head,
    Body(Box<Refusal>, BodyDecoder),
    Established,
    Failed(HandshakeError),
}

impl ClientHandshake {
    /// Queues the request. The deadline for the whole response runs from now.
    ///
    /// The nonce must be fresh and random for each connection (RFC 6455, section 4.1, item 7).
    pub fn new(request: &ClientRequest, nonce: [u8; 16], limits: Limits, timeouts: Timeouts, now: Instant) -> Self {
        let mut queue = SendQueue::new();
        request.encode(&mut queue, nonce);
        Self {
            limits,
            accept: encode_accept_key(&encode_nonce(nonce)),
            subprotocols: request.offered_subprotocols().to_vec(),
            deflate: request.offered_deflate().to_vec(),
            queue,
            parser: ResponseParser::new(),
            interim: 0,
            state: State::Head,
            deadline: now.checked_add(timeouts.handshake_timeout),
        }
    }

    /// Goes on with what is unread. `Some` once the response has arrived and is as it must be; what is unread
    /// then are frames. An error is final, and is given again by every further call.
    pub fn poll(&mut self, rx: &mut RecvBuffer) -> Result<Option<Established>, HandshakeError> {
        loop {
            let step = match &mut self.state {
                State::Established => return Ok(None),
                State::Failed(error) => return Err(error.clone()),
                State::Body(refusal, decoder) => match decoder.decode(rx, &mut refusal.body) {
                    Ok(false) => return Ok(None),
                    whole => {
                        refusal.truncated = whole.is_err();
                        Err(HandshakeError::Refused(std::mem::replace(refusal, Box::new(Refusal::default()))))
                    }
                },
                State::Head => match self.parser.parse(rx.unread(), &self.limits) {
                    Ok(None) => return Ok(None),
                    Ok(Some(head)) => self.response(rx, &head),
                    Err(fault) => Err(fault.into()),
                },
            };
            match step {
                Ok(None) => {}
                Ok(established) => return Ok(established),
                Err(error) => self.fail(error),
            }
        }
    }

    /// A response whose head is complete.
    fn response(&mut self, rx: &mut RecvBuffer, head: &ResponseHead) -> Result<Option<Established>, HandshakeError> {
        let len = head.len as usize;
        let bytes = rx.unread().get(..len).unwrap_or(b"");
        match head.status {
            101 => {
                let established = self.check_switch(bytes, head);
                rx.consume(len);
                let established = established?;
                self.state = State::Established;
                self.deadline = None;
                Ok(Some(established))
            }
            100..200 => {
                // RFC 9110, 15.2: "A client MUST be able to parse one or more 1xx responses received prior to
                // a final response".
                rx.consume(len);
                self.interim += 1;
                if self.interim > MAX_INTERIM {
                    return Err(ResponseError::TooManyInterim { limit: MAX_INTERIM }.into());
                }
                self.parser = ResponseParser::new();
                Ok(None)
            }
            status => {
                let refusal = Refusal {
                    status,
                    reason: String::from_utf8_lossy(head.reason(bytes)).into_owned(),
                    fields: head.field_lines(bytes).into(),
                    body: Vec::new(),
                    truncated: false,
                };
                let decoder = BodyDecoder::new(head.body_length(bytes), self.limits.max_response_body);
                rx.consume(len);
                match (status, refusal.header("location")) {
                    (301 | 302 | 303 | 307 | 308, Some(location)) => {
                        Err(HandshakeError::Redirect { status, location: location.to_owned() })
                    }
                    _ => {
                        self.state = State::Body(Box::new(refusal), decoder);
                        Ok(None)
                    }
                }
            }
        }
    }

    /// RFC 6455, 4.1: "the client MUST validate the server's response as follows".
    fn check_switch(&mut self, bytes: &[u8], head: &ResponseHead) -> Result<Established, AnswerError> {
        let fields = &head.fields;
        // Item 2: "If the response lacks an |Upgrade| header field or the |Upgrade| header field contains a value
        // that is not an ASCII case-insensitive match for the value "websocket"".
        let mut upgrade = fields.all(bytes, Known::Upgrade).peekable();
        if upgrade.peek().is_none() || !upgrade.all(|value| value.eq_ignore_ascii_case(b"websocket")) {
            return Err(AnswerError::Upgrade);
        }
        // Item 3: "doesn't contain a token that is an ASCII case-insensitive match for the value "Upgrade"".
        if !fields.has_token(bytes, Known::Connection, b"upgrade") {
            return Err(AnswerError::Connection);
        }
        // Item 4; 11.3.3: "MUST NOT appear more than once in an HTTP response".
        match (fields.first(bytes, Known::SecWebSocketAccept), fields.lines(Known::SecWebSocketAccept)) {
            (None, _) => return Err(AnswerError::MissingAccept),
            (Some(accept), 1) if accept == self.accept => {}
            (Some(_), 1) => return Err(AnswerError::WrongAccept),
            _ => return Err(AnswerError::DuplicateAccept),
        }
        // 11.3.2: "MUST NOT appear more than once in an HTTP response".
        if fields.lines(Known::SecWebSocketExtensions) > 1 {
            return Err(AnswerError::Extensions);
        }
        let extensions = match fields.first(bytes, Known::SecWebSocketExtensions) {
            None => Extensions::none(),
            Some(value) => self.check_extensions(value)?,
        };
        // Item 6: "the use of a subprotocol that was not present in the client's handshake".
        // 11.3.4: "MUST NOT appear more than once in an HTTP response".
        if fields.lines(Known::SecWebSocketProtocol) > 1 {
            return Err(AnswerError::DuplicateSubprotocol);
        }
        let subprotocol = match fields.first(bytes, Known::SecWebSocketProtocol) {
            None => None,
            Some(value) => match self.subprotocols.iter().find(|offered| offered.as_bytes() == value) {
                Some(offered) => Some(offered.as_str().into()),
                None => return Err(AnswerError::UnofferedSubprotocol(String::from_utf8_lossy(value).into_owned())),
            },
        };
        Ok(Established {
            // A server may have answered before the whole request was written.
            queue: std::mem::take(&mut self.queue),
            subprotocol,
            extensions,
            fields: head.field_lines(bytes).into(),
        })
    }

    /// Item 5: "the use of an extension that was not present in the client's handshake" fails the connection, and so does
    /// what RFC 7692, 7.1 does not allow as an answer to one of our offers.
    fn check_extensions(&self, value: &[u8]) -> Result<Extensions, AnswerError> {
        let mut agreed = None;
        for extension in ExtensionList::new(value) {
            let extension = extension.map_err(|_| AnswerError::Extensions)?;
            let name = extension.name();
            if self.deflate.is_empty() || !name.eq_ignore_ascii_case(DeflateOffer::NAME) {
                return Err(AnswerError::UnofferedExtension(name.to_owned()));
            }
            let answer = DeflateAnswer::from_extension(&extension);
            // 5: the answer is to one of the offers, and does not say to which. So each hint about ourselves is kept that
            // may have been taken at its word (7.1.1.2, 7.1.2.2).
            let params = answer.and_then(|answer| {
                self.deflate.iter().filter_map(|offer| offer.params(&answer)).reduce(|mut all, one| {
                    all.client_no_context_takeover |= one.client_no_context_takeover;
                    all.client_max_window_bits = all.client_max_window_bits.min(one.client_max_window_bits);
                    all
                })
            });
            match params {
                Some(params) if agreed.is_none() => agreed = Some(params),
                _ => return Err(AnswerError::Deflate(String::from_utf8_lossy(value).into_owned())),
            }
        }
        agreed.map(|params| Extensions::none().with_deflate(params)).ok_or(AnswerError::Extensions)
    }

    fn fail(&mut self, error: HandshakeError) {
        self.state = State::Failed(error);
        self.queue = SendQueue::new();
        self.deadline = None;
    }

    /// The server will send no more. To be called after `poll` has seen the last bytes.
    pub fn handle_eof(&mut self) {
        self.cut_off(HandshakeError::Eof);
    }

    /// To be called when the time of [`poll_timeout`](Self::poll_timeout) has come; harmless earlier.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            self.cut_off(HandshakeError::Timeout);
        }
    }

    /// The transport has failed. What the server had answered by then, if it refused.
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn refused(&mut self) -> Option<HandshakeError> {
        if !matches!(self.state, State::Body(..)) {
            return None;
        }
        // Whatever the reason: the content is not whole.
        self.cut_off(HandshakeError::Timeout);
        self.outcome().cloned()
    }

    /// A refusal is a better answer than the reason for which its content is not whole.
    fn cut_off(&mut self, reason: HandshakeError) {
        match &mut self.state {
            State::Head => self.fail(reason),
            State::Body(refusal, decoder) => {
                refusal.truncated = !(decoder.ends_with_connection() && reason == HandshakeError::Eof);
                let refusal = std::mem::replace(refusal, Box::new(Refusal::default()));
                self.fail(HandshakeError::Refused(refusal));
            }
            State::Established | State::Failed(_) => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: the total time for the response.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether to read.
    pub fn wants_read(&self) -> bool {
        matches!(self.state, State::Head | State::Body(..))
    }

    /// Whether there is something to write.
    pub fn wants_write(&self) -> bool {
        !self.queue.is_empty()
    }

    /// What to write.
    pub fn transmit(&mut self) -> &mut SendQueue {
        &mut self.queue
    }

    /// What to do with the transport: it is closed once the handshake has failed.
    pub fn transport(&self) -> Transport {
        match self.state {
            State::Failed(_) => Transport::Close,
            _ => Transport::Open,
        }
    }

    /// Why the handshake failed, once it has.
    pub fn outcome(&self) -> Option<&HandshakeError> {
        match &self.state {
            State::Failed(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Debug for ClientHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandshake").field("outcome", &self.outcome()).finish_non_exhaustive()
    }
}

/// The proof that a client's opening handshake succeeded.
#[derive(Debug)]
pub struct Established {
    queue: SendQueue,
    subprotocol: Option<Box<str>>,
    extensions: Extensions,
    fields: Box<[u8]>,
}

impl Established {
    /// For those who have done the handshake by an HTTP client of their own, and checked the response.
    pub fn upgraded_elsewhere(subprotocol: Option<&str>, extensions: Extensions) -> Self {
        let subprotocol = subprotocol.map(Into::into);
        Self { queue: SendQueue::new(), subprotocol, extensions, fields: Box::default() }
    }

    /// The subprotocol that the server selected, one of those offered.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// The extensions that were agreed on.
    pub fn extensions(&self) -> Extensions {
        self.extensions
    }

    /// The header fields of the response.
    pub fn headers(&self) -> Headers<'_> {
        Headers::new(&self.fields)
    }

    /// For the connection that begins with it.
    pub(crate) fn into_queue(self) -> (SendQueue, Extensions) {
        (self.queue, self.extensions)
    }
}
