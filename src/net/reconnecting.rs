//! A client that comes back: one logical connection to a URL, over as many connections as it takes.
//!
//! It is a value of the caller's, beside the loop, and needs neither a thread nor a place in the loop: [`Reconnecting::poll`]
//! before each turn, [`Reconnecting::handle`] with each event. Any number of them live with one loop.
//!
//! ```no_run
//! use std::time::Instant;
//! use wireroom::{Config, ConnectOptions, Event, EventLoop, handshake::ClientRequest};
//! use wireroom::net::reconnecting::{Change, Reconnecting, ReconnectOptions};
//!
//! let mut event_loop = EventLoop::new()?;
//! let request = ClientRequest::new("ws://chat.example/")?;
//! let mut client = Reconnecting::new(request, ConnectOptions::new(), Config::default(), ReconnectOptions::new());
//! while !client.is_stopped() {
//!     // 1. Connects when it is time to, and says how long the turn may wait.
//!     let until = client.poll(&mut event_loop);
//!     let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
//!     event_loop.turn(timeout, |connections, id, event| {
//!         // 2. Each event goes by it; what it does not answer is as without it.
//!         match client.handle(connections, id, &event) {
//!             Some(Change::Opened) => _ = client.send(connections, "hello again"),
//!             Some(Change::Interrupted { uncertain, .. }) if !uncertain.is_empty() => {
//!                 eprintln!("messages {uncertain:?} may have arrived, or not");
//!             }
//!             _ => {}
//!         }
//!         if let Event::Message(message) = event {
//!             println!("{:?}", message.as_text());
//!         }
//!     })?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What becomes of messages
//!
//! [`Reconnecting::send`] numbers them, from 0 on. What no connection has accepted waits in its queue, which is bounded, and is
//! sent when one is open. What a connection *has* accepted is no longer here. When that connection ends, the peer may have seen
//! it, or not: WebSocket has no acknowledgement. Such messages are told by their numbers (`uncertain`) and never sent again
//! by themselves, for the peer would see some of them twice. A protocol with acknowledgements of its own says what has
//! arrived, [`Reconnecting::acknowledge`], and sends the others again, as new messages. After a closing handshake that we began
//! nothing is uncertain: the peer's Close is its answer to ours, which was behind everything. Two things limit that. A Close of the
//! peer's own that crosses ours and has the same code looks like an answer. And what
//! [`SlowConsumer::DropOldest`](crate::SlowConsumer::DropOldest) has dropped makes all that is not acknowledged uncertain. What is
//! sent on the connection by other ways than this has no number.
//!
//! The connection is the client's: behind [`EventLoop::detach`] no event tells of it, and the client neither ends nor comes back.
//!
//! # When it comes back, and when not
//!
//! Behind each end it waits as [`Backoff`] says. [`Comeback::after`] has the table of what ends it for good; a closure may
//! decide otherwise.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    io,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{ConnId, ConnectOptions, Connections, EventLoop};
use crate::{
    CloseCode, Closed, Config, Event, Message, SendError, SendStatus,
    backoff::{Backoff, RetryAfter},
    handshake::ClientRequest,
};

mod comeback;
mod options;
mod outbox;

pub use comeback::Comeback;
pub use options::ReconnectOptions;
pub use outbox::Unsent;

use outbox::Outbox;

/// One logical connection; see the [module](self).
pub struct Reconnecting {
    request: ClientRequest,
    connect: Arc<ConnectOptions>,
    config: Arc<Config>,
    options: ReconnectOptions,
    backoff: Backoff,
    state: State,
    outbox: Outbox,
    /// [`Reconnecting::close`] was called.
    closes: bool,
}

/// Where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It connects when this time has come, with the next [`Reconnecting::poll`].
    Waiting {
        /// When.
        until: Instant,
        /// Which attempt in a row that will be, from 1 on.
        attempt: u32,
    },
    /// The opening handshake, and all before it, is under way.
    Connecting {
        /// The connection.
        id: ConnId,
        /// Which attempt in a row.
        attempt: u32,
    },
    /// The connection is open.
    Open {
        /// The connection.
        id: ConnId,
    },
    /// It will not connect again.
    Stopped(Stop),
}

/// Why it does not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// [`Reconnecting::close`] was called.
    Closed,
    /// The way in which the last connection ended says so: [`Comeback::Stop`].
    Refused,
    /// [`Backoff::max_attempts`] or [`Backoff::max_total`] was reached.
    GivenUp,
    /// [`EventLoop::connect_to`] answered that it never can: a `wss://` URL without TLS.
    Unsupported,
}

/// What an event has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A connection is open. What waited is on its way.
    Opened,
    /// The connection has ended, or an attempt has failed: the state is [`State::Waiting`].
    Interrupted {
        /// How long until the next attempt.
        wait: Duration,
        /// The numbers of the messages that the connection had accepted, and whose fate is not known.
        uncertain: Range<u64>,
    },
    /// The last connection has ended: the state is [`State::Stopped`].
    Stopped {
        /// Why.
        why: Stop,
        /// As in [`Change::Interrupted`].
        uncertain: Range<u64>,
    },
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReconnectSendError {
    /// So many bytes wait to be sent, and no connection takes them.
    #[error("{limit} bytes wait already, or would with this message")]
    TooManyBytes {
        /// [`ReconnectOptions::max_queue_bytes`].
        limit: usize,
    },
    /// So many messages wait to be sent, and no connection takes them.
    #[error("{limit} messages wait already")]
    TooManyMessages {
        /// [`ReconnectOptions::max_queue_messages`].
        limit: usize,
    },
    /// It has stopped.
    #[error("the client has stopped")]
    Stopped,
    /// No connection would take it.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Reconnecting {
    /// A client of what the request's URL names. It connects with the first [`Reconnecting::poll`].
    pub fn new(
        request: ClientRequest,
        connect: impl Into<Arc<ConnectOptions>>,
        config: impl Into<Arc<Config>>,
        options: ReconnectOptions,
    ) -> Self {
        Self {
            request,
            connect: connect.into(),
            config: config.into(),
            backoff: options.backoff.clone(),
            outbox: Outbox::new(options.max_queue_bytes, options.max_queue_messages),
            options,
            state: State::Waiting { until: Instant::now(), attempt: 1 },
            closes: false,
        }
    }

    /// Connects if it is time to. Answers when it is to be called again at the latest: wait no longer in
    /// [`EventLoop::turn`]. `None`: an event comes first, or it has stopped.
    pub fn poll(&mut self, event_loop: &mut EventLoop) -> Option<Instant> {
        if let State::Open { id } = self.state {
            self.outbox.look(event_loop.connections(), id);
        }
        let State::Waiting { until, attempt } = self.state else { return None };
        let now = Instant::now();
        if until > now {
            return Some(until);
        }
        match event_loop.connect_to(self.request.clone(), self.connect.clone(), self.config.clone()) {
            Ok(id) => {
                self.state = State::Connecting { id, attempt };
                None
            }
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                self.state = State::Stopped(Stop::Unsupported);
                None
            }
            // Without randomness or memory: those may come back, too.
            Err(_) => {
                self.wait(now, None);
                self.deadline()
            }
        }
    }

    /// When [`Reconnecting::poll`] is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        if let State::Waiting { until, .. } = self.state { Some(until) } else { None }
    }

    /// Takes note of an event of the loop, before or behind the caller. `None`: it is not its own, or has changed nothing.
    pub fn handle(&mut self, connections: &mut Connections, id: ConnId, event: &Event<'_>) -> Option<Change> {
        if self.id() != Some(id) {
            return None;
        }
        match event {
            Event::Open => {
                self.backoff.opened(Instant::now());
                self.state = State::Open { id };
                self.outbox.pass_on(connections, id);
                Some(Change::Opened)
            }
            Event::Drain => {
                self.outbox.pass_on(connections, id);
                None
            }
            Event::Dropped(dropped) => {
                if dropped.oldest > 0 {
                    self.outbox.has_dropped();
                }
                None
            }
            Event::Closed(closed) => Some(self.ended(closed)),
            _ => None,
        }
    }

    fn ended(&mut self, closed: &Closed) -> Change {
        let uncertain = self.outbox.settle(comeback::is_answered(closed));
        let comeback = match (&self.options.policy, self.closes) {
            (_, true) => None,
            (Some(policy), _) => Some(policy(closed)),
            (None, _) => Some(Comeback::after(closed)),
        };
        let after = match comeback {
            None => return self.stop(Stop::Closed, uncertain),
            Some(Comeback::Stop) => return self.stop(Stop::Refused, uncertain),
            Some(Comeback::Retry) => None,
            Some(Comeback::RetryAfter(after)) => Some(after),
        };
        match self.wait(Instant::now(), after) {
            Some(wait) => Change::Interrupted { wait, uncertain },
            None => self.stop(Stop::GivenUp, uncertain),
        }
    }

    fn stop(&mut self, why: Stop, uncertain: Range<u64>) -> Change {
        self.state = State::Stopped(why);
        Change::Stopped { why, uncertain }
    }

    /// How long, unless it gives up.
    fn wait(&mut self, now: Instant, after: Option<Duration>) -> Option<Duration> {
        // A time that the clock does not know never comes.
        let wait = self.backoff.failed(now, random(), after);
        let until = wait.and_then(|wait| now.checked_add(wait));
        self.state = match until {
            Some(until) => State::Waiting { until, attempt: self.backoff.failures().saturating_add(1) },
            None => State::Stopped(Stop::GivenUp),
        };
        until.and(wait)
    }

    /// Sends a message now, or when a connection is open. Answers its number.
    ///
    /// # Errors
    ///
    /// The queue is full, it has stopped, or the message is none that could be sent. Nothing was taken then.
    pub fn send<'m>(
        &mut self,
        connections: &mut Connections,
        message: impl Into<Message<'m>>,
    ) -> Result<u64, ReconnectSendError> {
        let message = message.into();
        match self.state {
            State::Stopped(_) => return Err(ReconnectSendError::Stopped),
            _ if self.closes => return Err(ReconnectSendError::Stopped),
            State::Open { id } if self.outbox.is_empty() => match connections.send(id, message) {
                Ok(SendStatus::Queued | SendStatus::Backpressure) => return Ok(self.outbox.passed()),
                // What a policy for slow consumers would drop waits here.
                Ok(SendStatus::Dropped) => {}
                Err(error) if !outbox::may_pass(error) => return Err(error.into()),
                Err(SendError::UnfinishedMessage) => self.outbox.look_again(),
                Err(_) => {}
            },
            _ => {}
        }
        self.outbox.push(message)
    }

    /// The peer has acknowledged, in a way of the application's own, all messages with numbers below `number`: they are not
    /// uncertain any more.
    pub fn acknowledge(&mut self, number: u64) {
        self.outbox.acknowledge(number);
    }

    /// Ends it: an open connection by a closing handshake, an attempt at once. What waits here is not sent; see
    /// [`Reconnecting::take_unsent`]. [`Change::Stopped`] follows where there is a connection.
    pub fn close(&mut self, connections: &mut Connections, code: CloseCode, reason: &str) {
        self.closes = true;
        match self.state {
            State::Open { id } => connections.close(id, code, reason),
            State::Connecting { id, .. } => connections.abort(id),
            State::Waiting { .. } => self.state = State::Stopped(Stop::Closed),
            State::Stopped(_) => {}
        }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// It will not connect again.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped(_))
    }

    /// The connection that it has now, open or not.
    pub fn id(&self) -> Option<ConnId> {
        match self.state {
            State::Connecting { id, .. } | State::Open { id } => Some(id),
            State::Waiting { .. } | State::Stopped(_) => None,
        }
    }

    /// Bytes that wait for a connection to take them.
    pub fn queued_bytes(&self) -> usize {
        self.outbox.bytes()
    }

    /// Messages that wait for a connection to take them.
    pub fn queued_messages(&self) -> usize {
        self.outbox.len()
    }

    /// Takes out what waits: after it has stopped, that is what was never sent. Before, their numbers may lie among the uncertain
    /// ones that are told later.
    pub fn take_unsent(&mut self) -> Vec<Unsent> {
        self.outbox.take()
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnecting")
            .field("request", &self.request)
            .field("state", &self.state)
            .field("queued_messages", &self.queued_messages())
            .finish_non_exhaustive()
    }
}

/// Of a refusal: how long the server wants to be left alone.
fn retry_after(refusal: &crate::handshake::Refusal) -> Option<Duration> {
    RetryAfter::parse(refusal.header("retry-after")?)?.wait(refusal.header("date"))
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // It has to differ between clients only: the standard library's keys do.
        Err(_) => RandomState::new().hash_one(0),
    }
}
