//! Floor 4: the state machine of an open connection (RFC 6455 sections 5.5 and 7), without sockets, clock or
//! randomness.
//!
//! Bytes go in by way of a [`RecvBuffer`](crate::RecvBuffer) and [`Connection::poll_event`], and come out of
//! [`Connection::transmit`]; time goes in with each call. A driver is a loop of five lines:
//!
//! ```
//! # use std::{sync::Arc, time::Instant};
//! # use wireroom::{handshake::Accepted, Config, Connection, Event, RecvBuffer};
//! # fn main() -> Result<(), wireroom::SendError> {
//! # let accepted = Accepted::upgraded_elsewhere(None, Default::default());
//! let mut connection = Connection::server(accepted, Arc::new(Config::default()), Instant::now());
//! let mut rx = RecvBuffer::new();
//! rx.extend(&[0x81, 0x82, 0, 0, 0, 0, b'h', b'i']); // 1. what a socket's read brings
//! while let Some(event) = connection.poll_event(&mut rx, Instant::now()) {
//!     match event {
//!         Event::Message(message) => {
//!             connection.send(message)?; // 2. an echo, without a copy on the way here
//!         }
//!         Event::Closed(closed) => eprintln!("{closed}"),
//!         _ => {}
//!     }
//! }
//! let mut out = Vec::new();
//! bytes::BufMut::put(&mut out, connection.transmit()); // 3. a socket's write_vectored goes here
//! assert_eq!(out, [0x81, 0x02, b'h', b'i']);
//! # Ok(()) }
//! ```
//!
//! 4. sleep until the socket is ready or [`Connection::poll_timeout`], then call [`Connection::handle_timeout`];
//! 5. do with the socket what [`Connection::transport`] says.

mod backlog;
mod backpressure;
mod closing;
mod config;
mod connect_error;
#[cfg(feature = "deflate")]
mod deflate;
mod driving;
mod ending;
mod event;
mod flags;
mod masking_keys;
#[cfg(feature = "deflate")]
mod permessage_deflate;
mod rare;
mod receive;
mod send;
mod slow_consumer;
mod stats;
mod timers;
mod watch;
mod writer;

use std::{io, num::NonZeroU32, sync::Arc, time::Instant};

use backpressure::Answers;
use closing::{Input, Output, State};
use flags::{Flag, Flags};
use rare::{Parts, Rare};
use stats::Counting;
#[cfg(feature = "net")]
pub(crate) use timers::Moment;
use timers::{Due, Timers};
use writer::Writing;

pub use crate::{http::Transport, message::SlowConsumer};
pub use config::{Config, ConfigBuilder};
pub use connect_error::{ConnectError, FailedAttempt};
pub use event::{Cause, Closed, Deadline, Dropped, Event, Initiator};
pub use masking_keys::MaskingKeys;
#[cfg(feature = "deflate")]
#[cfg_attr(docsrs, doc(cfg(feature = "deflate")))]
pub use permessage_deflate::PermessageDeflate;
pub use send::SendStatus;
pub use stats::ConnectionStats;
#[cfg_attr(not(feature = "net"), allow(unused_imports))]
pub(crate) use stats::Sent;
pub use watch::{Direction, WatchedFrame};
pub use writer::MessageWriter;

use crate::{
    buffer::SendQueue,
    error::SendError,
    frame::{CloseCode, CloseFrame},
    handshake::{Accepted, Established, Extensions},
    message::decoder::Decoder,
};

/// An open WebSocket connection.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    rare: Rare,
    queue: SendQueue,
    decoder: Decoder,
    timers: Timers,
    state: State,
    flags: Flags,
    /// Waiting bytes that were queued in answer to the peer, by the handling of its events: older ones, newer ones.
    answers: [Answers; 2],
    /// What waited when the last event was handed out.
    before: Option<NonZeroU32>,
    /// Our Pings that the peer may still answer, also behind its Close (5.5.2: "unless it already received a Close frame"). So many
    /// that they cannot be counted stay so many.
    pongs_due: u8,
    /// A message is being sent in fragments.
    writing: Option<Writing>,
}

/// A server may have a hundred thousand of them, of which most are at rest. What few need is for [`Rare`].
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Connection>() <= if cfg!(feature = "deflate") { 176 } else { 168 });

impl Connection {
    /// The server's end of a connection whose opening handshake was accepted. The response waits to be sent.
    pub fn server(accepted: Accepted, config: impl Into<Arc<Config>>, now: Instant) -> Self {
        let subprotocol = accepted.subprotocol().map(Box::from);
        let (queue, extensions) = accepted.into_queue();
        Self::new(None, queue, subprotocol, extensions, config.into(), now)
    }

    /// The client's end of a connection whose opening handshake is complete.
    pub fn client(established: Established, keys: MaskingKeys, config: impl Into<Arc<Config>>, now: Instant) -> Self {
        let subprotocol = established.subprotocol().map(Box::from);
        let (queue, extensions) = established.into_queue();
        Self::new(Some(Box::new(keys)), queue, subprotocol, extensions, config.into(), now)
    }

    fn new(
        keys: Option<Box<MaskingKeys>>,
        mut queue: SendQueue,
        subprotocol: Option<Box<str>>,
        extensions: Extensions,
        config: Arc<Config>,
        now: Instant,
    ) -> Self {
        queue.seal();
        let mut flags = Flags::default();
        // Nothing overtakes what was queued before the connection was open.
        flags.set(Flag::ControlWaits, !queue.is_empty());
        let counting = config.statistics().then(|| Counting::new(&queue));
        #[cfg(not(feature = "deflate"))]
        let _ = extensions; // nobody could speak them
        Self {
            queue,
            decoder: Decoder::new(keys.is_none(), config.streaming()),
            rare: Rare::new(Parts {
                #[cfg(feature = "deflate")]
                deflate: deflate::Deflate::new(extensions, keys.is_some(), &config),
                keys,
                subprotocol,
                counting,
                ..Parts::default()
            }),
            timers: Timers::new(now, &config),
            state: State::Open,
            flags,
            answers: Default::default(),
            before: None,
            pongs_due: 0,
            writing: None,
            config,
        }
    }

    /// The stream has ended: what came before it is still delivered, then [`Event::Closed`] follows.
    pub fn handle_eof(&mut self) {
        self.flags.set(Flag::Eof, true);
        match self.state {
            State::Open | State::AwaitingClose => {}
            // What was accepted, and our Close, still leave: the peer may have closed its side only.
            State::Flushing if !self.queue.is_empty() => _ = self.step(Input::HalfClosed),
            _ => self.end(Input::EndOfStream, Cause::Eof),
        }
    }

    /// The transport failed: nothing more can be sent or received.
    pub fn handle_io_error(&mut self, error: io::ErrorKind) {
        self.end(Input::Abort, Cause::Io(error));
    }

    /// Time has passed; call it when [`Connection::poll_timeout`] is due. Too early or too often does no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.begin_late_close(now);
        self.note_progress(now);
        match self.timers.expire(&self.config, !self.flags.has(Flag::Paused), now) {
            None => {
                #[cfg(feature = "deflate")]
                self.look_at_compressor(now);
            }
            Some(Due::Ping) => {
                self.flags.set(Flag::PingWaits, self.queue.is_blocked());
                self.keepalive_ping(now);
            }
            Some(Due::Idle) => self.close(CloseCode::GOING_AWAY, "idle", now),
            Some(Due::DeadPeer) => {
                let frame = CloseFrame::new(CloseCode::INTERNAL_ERROR, "keepalive timeout");
                if self.step(Input::DeadPeer) == Output::SendClose {
                    self.queue_close(frame, Initiator::Local);
                }
                self.ending().cause.get_or_insert(Cause::Timeout(Deadline::Keepalive));
            }
            Some(Due::Close) => self.end(Input::Deadline, Cause::Timeout(Deadline::Close)),
        }
    }

    /// While the peer's Pong waits behind what we do not read, or our Ping behind what it does not, the bytes that its system
    /// takes from us are its sign of life. To be called behind a write; or else it is noticed at the next deadline only, and
    /// a peer that died in between is given up one `Config::keepalive_interval` later.
    pub(crate) fn note_progress(&mut self, now: Instant) {
        // A Ping that waited may have left with all the rest: output is no longer blocked, and the peer's time begins now.
        let withheld = self.flags.has(Flag::Withheld);
        if (withheld || self.queue.is_blocked() || self.flags.has(Flag::PingWaits))
            && self.timers.note_progress(self.queue.progress(), withheld, now, &self.config)
        {
            self.flags.set(Flag::PingWaits, false);
        }
    }

    /// Records of what the queue no longer holds have left: progress, like bytes of the queue's own. Before
    /// [`Connection::note_progress`].
    #[cfg(feature = "tls")]
    pub(crate) fn records_left(&mut self) {
        self.timers.moves_on(self.queue.progress());
    }

    /// A part of a record has come, of which nothing can be told yet: a sign of life.
    #[cfg(feature = "tls")]
    pub(crate) fn records_came(&mut self, now: Instant) {
        self.timers.heard(now, &self.config);
    }

    /// When [`Connection::handle_timeout`] wants to be called. It may move later, as bytes arrive, without notice;
    /// it moves earlier only by a call of `close`, `resume`, `poll_event` or `handle_timeout`, and by what sends, where
    /// permessage-deflate was agreed on or [`SlowConsumer::Close`] closes.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            _ if self.closes_late() => self.timers.last_heard(&self.config),
            _ => {
                let deadline = self.timers.deadline(&self.config, !self.flags.has(Flag::Paused));
                #[cfg(feature = "deflate")]
                let deadline = deadline.into_iter().chain(self.compressor_deadline()).min();
                deadline
            }
        }
    }

    /// Starts the closing handshake (RFC 6455 section 7.1.2): the Close frame leaves behind what was accepted before,
    /// then nothing more can be sent. Messages of the peer arrive until its own Close. The second call, or one after
    /// the peer's Close, does nothing. A reason above 123 bytes is cut at a character's boundary.
    pub fn close(&mut self, code: CloseCode, reason: &str, now: Instant) {
        self.close_with(CloseFrame::new(code, reason), now);
    }

    /// As [`Connection::close`], with an empty Close frame.
    pub fn close_without_code(&mut self, now: Instant) {
        self.close_with(CloseFrame::default(), now);
    }

    /// Ends the connection at once, without a closing handshake. What waits to be sent is lost.
    pub fn abort(&mut self) {
        self.end(Input::Abort, Cause::Aborted);
        self.queue.clear();
    }

    /// Hands out no more messages until [`Connection::resume`]. The keepalive deadline is suspended with it: a peer
    /// that is not listened to cannot show that it lives. [`Connection::close`] ends the pause.
    pub fn pause(&mut self) {
        self.flags.set(Flag::Paused, true);
    }

    /// Takes [`Connection::pause`] back; call [`Connection::poll_event`] then, for what has come in may be whole.
    pub fn resume(&mut self, now: Instant) {
        if self.flags.replace(Flag::Paused, false) {
            self.timers.resume(now, &self.config);
        }
    }

    /// Whole messages, or parts as they arrive, from the next message on. Answers whether that is now: within a
    /// message the mode does not change.
    pub fn set_streaming(&mut self, streaming: bool) -> bool {
        self.decoder.set_streaming(streaming)
    }

    /// True until a Close frame is queued or received, or the connection ends: the caller may send.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The subprotocol that was agreed on.
    pub fn subprotocol(&self) -> Option<&str> {
        self.rare.subprotocol()
    }

    /// The configuration.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Gives back what waits to be sent, for those who go on with the stream in another way.
    pub fn into_parts(mut self) -> SendQueue {
        self.frame_all();
        self.queue
    }

    /// The connection has a new owner, who is told with [`Event::Open`].
    #[cfg_attr(not(feature = "net"), allow(dead_code))]
    pub(crate) fn announce(&mut self) {
        let told = self.rare.ending().is_some_and(|ending| ending.reported);
        self.flags.set(Flag::Opened, told);
    }

    fn check_open(&self) -> Result<(), SendError> {
        // 5.5.1: "The application MUST NOT send any more data frames after sending a Close frame."
        if self.state == State::Open { Ok(()) } else { Err(SendError::Closed) }
    }
}
