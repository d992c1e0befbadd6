//! What one connection counts, where `Config::statistics` is on, and the time of a Ping's round trip.

use std::time::{Duration, Instant};

use super::{Connection, Dropped, SendStatus};
use crate::{
    buffer::{RecvBuffer, SendQueue},
    error::{ProtocolError, SendError},
    frame::Opcode,
    message::decoder::Found,
};

/// What has passed on one connection since it was open; see [`Connection::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// Whole messages, and in the streaming mode messages of which the last part came.
    pub messages_received: u64,
    /// Messages that were framed for sending; those in fragments, when they were finished.
    pub messages_sent: u64,
    /// Frames received: of such messages, and control frames.
    pub frames_received: u64,
    /// Frames queued. One of many Pongs for a peer that does not read gives way to the next (RFC 6455 section 5.5.3), and is
    /// counted all the same.
    pub frames_sent: u64,
    /// Bytes received, those of the frames' headers included.
    pub bytes_received: u64,
    /// Bytes that the transport took, the response to the opening handshake included.
    pub bytes_sent: u64,
    /// Pings received.
    pub pings_received: u64,
    /// Pings queued, those of the keepalive included.
    pub pings_sent: u64,
    /// Pongs received.
    pub pongs_received: u64,
    /// Pongs queued.
    pub pongs_sent: u64,
    /// From the moment at which a Ping was queued to that at which its Pong was read: of the last Ping that was answered, be
    /// it the keepalive's or that of [`Connection::measure_round_trip`].
    pub round_trip: Option<Duration>,
    /// The most bytes that waited to be sent at once.
    pub send_buffer_high_water: usize,
    /// Messages that were dropped when they were sent: the policy [`SlowConsumer::DropNewest`](crate::SlowConsumer::DropNewest).
    pub dropped_newest: u64,
    /// Messages that were dropped for later ones: [`SlowConsumer::DropOldest`](crate::SlowConsumer::DropOldest).
    pub dropped_oldest: u64,
    /// Messages in whose place a later one of the same key was sent.
    pub replaced: u64,
}

/// What a loop has sent on its connections, the large and the small of it.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) messages: u64,
    pub(crate) frames: u64,
}

impl Sent {
    /// A message was sent whole, or dropped, or its last fragment was.
    pub(crate) fn whole(&mut self, status: SendStatus) {
        let taken = u64::from(status != SendStatus::Dropped);
        self.messages += taken;
        self.frames += taken;
    }
}

/// Boxed: a connection without it pays nothing.
#[derive(Debug, Default)]
pub(super) struct Counting {
    stats: ConnectionStats,
    /// The send queue's progress up to which `bytes_sent` is counted.
    taken: u32,
    /// The payload of our last Ping, and when it was queued, until its Pong comes.
    measuring: Option<(u32, Instant)>,
    /// Payloads of such Pings so far: each has its own.
    measured: u32,
}

impl Counting {
    /// What `queue` has sent before the connection was open does not count.
    pub(super) fn new(queue: &SendQueue) -> Box<Self> {
        Box::new(Self { taken: queue.progress(), ..Self::default() })
    }

    /// A Pong: ours, or one that answers another Ping, or none.
    fn pong(&mut self, payload: &[u8], now: Instant) {
        if let Some((_, since)) = self.measuring.filter(|(ours, _)| payload == ours.to_be_bytes()) {
            self.measuring = None;
            self.stats.round_trip = Some(now.saturating_duration_since(since));
        }
    }
}

impl Connection {
    /// What has passed so far, where [`Config::statistics`](crate::Config::statistics) is on; otherwise nothing is counted.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Instant};
    /// # use wireroom::{handshake::Accepted, Config, Connection, RecvBuffer};
    /// # let accepted = Accepted::upgraded_elsewhere(None, Default::default());
    /// # let now = Instant::now();
    /// let config = Config::builder().statistics(true).build()?;
    /// let mut connection = Connection::server(accepted, config, now);
    /// # let mut rx = RecvBuffer::new();
    /// rx.extend(b"\x81\x82\x01\x02\x03\x04ik"); // a masked text, "hi"
    /// while connection.poll_event(&mut rx, now).is_some() {}
    /// let stats = connection.stats().unwrap();
    /// assert_eq!((stats.messages_received, stats.frames_received, stats.bytes_received), (1, 1, 8));
    /// # Ok::<(), wireroom::ConfigError>(())
    /// ```
    pub fn stats(&self) -> Option<ConnectionStats> {
        let counting = self.rare.counting()?;
        let sent = self.queue.progress().wrapping_sub(counting.taken);
        Some(ConnectionStats { bytes_sent: counting.stats.bytes_sent + u64::from(sent), ..counting.stats })
    }

    /// Queues a Ping whose Pong gives [`ConnectionStats::round_trip`]. Of several that are under way the last one counts.
    /// Its payload, four bytes, counts up; its Pong is an [`Event::Pong`](crate::Event::Pong) like any other. Where
    /// `Config::statistics` is off it is a Ping and no more.
    ///
    /// # Errors
    ///
    /// As [`Connection::ping`].
    pub fn measure_round_trip(&mut self, now: Instant) -> Result<SendStatus, SendError> {
        let number = self.next_measure();
        let status = self.ping(&number.to_be_bytes())?;
        self.begin_measure(number, now);
        Ok(status)
    }

    /// The keepalive's Ping. It has a payload only where somebody wants to know its round trip.
    pub(super) fn keepalive_ping(&mut self, now: Instant) {
        if self.rare.counting().is_none() {
            return self.queue_control(Opcode::Ping, &[]);
        }
        let number = self.next_measure();
        self.queue_control(Opcode::Ping, &number.to_be_bytes());
        self.begin_measure(number, now);
    }

    /// The keepalive's Ping was sent, and nothing has come since.
    #[cfg(feature = "net")]
    pub(crate) fn awaits_life(&self) -> bool {
        self.timers.awaits_life()
    }

    /// Of how many frames the message came that was handed out last.
    #[cfg(feature = "net")]
    pub(crate) fn frames_of_message(&self) -> u32 {
        self.decoder.fragments()
    }

    fn next_measure(&self) -> u32 {
        self.rare.counting().map_or(0, |counting| counting.measured.wrapping_add(1))
    }

    fn begin_measure(&mut self, number: u32, now: Instant) {
        if let Some(counting) = self.rare.counting_mut() {
            (counting.measured, counting.measuring) = (number, Some((number, now)));
        }
    }

    /// So many bytes came in.
    pub(super) fn count_arrived(&mut self, bytes: usize) {
        if let Some(counting) = self.rare.counting_mut() {
            counting.stats.bytes_received += bytes as u64;
        }
    }

    /// The message that was counted last was not one: its text is not UTF-8.
    pub(super) fn uncount_message(&mut self) {
        if let Some(counting) = self.rare.counting_mut() {
            counting.stats.messages_received -= 1;
            counting.stats.frames_received -= 1;
        }
    }

    /// The decoder found something, or nothing.
    pub(super) fn count_found(&mut self, found: &Result<Option<Found>, ProtocolError>, rx: &RecvBuffer, now: Instant) {
        let (Some(counting), Ok(Some(found))) = (self.rare.counting_mut(), found) else { return };
        let stats = &mut counting.stats;
        match found {
            Found::Message { .. } | Found::Part { last: true, .. } => {
                stats.messages_received += 1;
                stats.frames_received += u64::from(self.decoder.fragments());
            }
            Found::Part { .. } => {}
            Found::Control { opcode, payload } => {
                stats.frames_received += 1;
                match opcode {
                    Opcode::Ping => stats.pings_received += 1,
                    Opcode::Pong => {
                        stats.pongs_received += 1;
                        counting.pong(rx.slice(payload.clone()), now);
                    }
                    _ => {}
                }
            }
        }
    }

    /// A frame was queued.
    pub(super) fn count_frame(&mut self, opcode: Opcode, fin: bool) {
        let Some(Counting { stats, .. }) = self.rare.counting_mut() else { return };
        stats.frames_sent += 1;
        match opcode {
            Opcode::Ping => stats.pings_sent += 1,
            Opcode::Pong => stats.pongs_sent += 1,
            Opcode::Close => {}
            Opcode::Continuation | Opcode::Text | Opcode::Binary => stats.messages_sent += u64::from(fin),
        }
        stats.send_buffer_high_water = stats.send_buffer_high_water.max(self.queue.len());
    }

    /// Messages may wait apart, too.
    pub(super) fn count_waiting(&mut self) {
        let waiting = self.waiting();
        if let Some(Counting { stats, .. }) = self.rare.counting_mut() {
            stats.send_buffer_high_water = stats.send_buffer_high_water.max(waiting);
        }
    }

    pub(super) fn count_dropped(&mut self, dropped: Dropped) {
        if let Some(Counting { stats, .. }) = self.rare.counting_mut() {
            stats.dropped_newest += dropped.newest;
            stats.dropped_oldest += dropped.oldest;
            stats.replaced += dropped.replaced;
        }
    }

    /// The transport may have taken bytes; before the counter of them wraps.
    pub(super) fn count_taken(&mut self) {
        if let Some(counting) = self.rare.counting_mut() {
            let taken = self.queue.progress();
            counting.stats.bytes_sent += u64::from(taken.wrapping_sub(counting.taken));
            counting.taken = taken;
        }
    }
}
