//! What the loop counts.

use std::{io, iter::Sum, ops::AddAssign};

use super::{
    ConnId, Connections,
    counts::{CauseCounts, CloseCounts, StatusCounts},
};
use crate::{Cause, ConnectionStats, Event, handshake::HandshakeError};

/// What the loop has seen so far. All are counts since its start, but `connections`, `open` and `buffered_amount`, which
/// are of now. Those of several loops can be added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that exist, in any phase.
    pub connections: usize,
    /// WebSocket connections that are open.
    pub open: usize,
    /// Bytes that wait to be sent, on all WebSocket connections together.
    pub buffered_amount: usize,
    /// Connections accepted by listeners, those included that were then refused.
    pub accepted: u64,
    /// Of those, connections that were handed on to other loops of the same [`Loops`](super::Loops).
    pub handed_on: u64,
    /// Connections that another loop accepted, and that came in here.
    pub handed_in: u64,
    /// Connections that were answered 503 because their listener held `Config::max_connections`.
    pub refused_by_total: u64,
    /// Connections that were answered 429 because their address had `Config::max_connections_per_address`.
    pub refused_by_address: u64,
    /// Connections over one of these limits that were closed without an answer, because 64 others of their listener were being
    /// answered; and without an event, unless a proxy had to say first whom they come from.
    pub refused_unanswered: u64,
    /// Failed calls of `accept`, such as for lack of descriptors.
    pub accept_errors: u64,
    /// The operating system's number of the last of them.
    pub last_accept_error: Option<i32>,
    /// Opening handshakes that were completed, as server and as client, and open connections that were adopted or taken
    /// over.
    pub opened: u64,
    /// Connections that ended before they were open, plain HTTP included.
    pub unopened: u64,
    /// As server, opening handshakes and bad requests that were refused, by the status that was answered; counted when the
    /// connection has ended. Those over the limits on connections are among them.
    pub handshakes_refused: StatusCounts,
    /// Opening handshakes that were not complete within `Config::handshake_timeout`. A server answers 408 if a request has
    /// begun.
    pub handshakes_timed_out: u64,
    /// Opening handshakes in which the peer ended its stream. (A reset is one of [`causes`](Self::causes), `io`.)
    pub handshakes_cut_off: u64,
    /// As client, opening handshakes that the server refused or answered against the rules.
    pub handshakes_failed: u64,
    /// Messages and parts received.
    pub messages_received: u64,
    /// Whole messages accepted for sending, once for each recipient: also those of a broadcast, of a handle, and those in
    /// fragments, when they are finished.
    pub messages_sent: u64,
    /// Frames received: of messages that came to their end, and control frames.
    pub frames_received: u64,
    /// Frames accepted for sending: of messages, of their fragments, and control frames.
    pub frames_sent: u64,
    /// Pings received.
    pub pings_received: u64,
    /// Pings sent, those of the keepalive included.
    pub pings_sent: u64,
    /// Pongs received.
    pub pongs_received: u64,
    /// Pongs sent. While a peer does not read, one of many gives way to the next (RFC 6455 section 5.5.3), and counts here.
    pub pongs_sent: u64,
    /// Messages that were dropped when they were sent, by the policy [`SlowConsumer::DropNewest`](crate::SlowConsumer).
    pub dropped_newest: u64,
    /// Messages that were dropped for later ones, by [`SlowConsumer::DropOldest`](crate::SlowConsumer).
    pub dropped_oldest: u64,
    /// Messages in whose place a later one of the same key was sent.
    pub replaced: u64,
    /// Messages of a [`Handle`](super::Handle) that a connection did not take: it had gone, or its queue was full.
    pub commands_refused: u64,
    /// The most bytes that one connection had waiting when it was written to.
    pub send_buffer_high_water: usize,
    /// WebSocket connections that ended, by the code of our Close frame.
    pub closes_sent: CloseCounts,
    /// The same by the code of the peer's.
    pub closes_received: CloseCounts,
    /// Connections that ended, by cause; those that never opened included.
    pub causes: CauseCounts,
    /// Bytes read from sockets.
    pub bytes_received: u64,
    /// Bytes that sockets took.
    pub bytes_sent: u64,
    /// Turns.
    pub turns: u64,
}

impl Stats {
    pub(super) fn count_accept_error(&mut self, error: &io::Error) {
        self.accept_errors += 1;
        self.last_accept_error = error.raw_os_error();
    }
}

/// Of several loops together: the sum of each count, of [`send_buffer_high_water`](Stats::send_buffer_high_water) the most, of
/// [`last_accept_error`](Stats::last_accept_error) any.
impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        // Field by field, so that one that is new cannot be forgotten.
        let Self {
            connections,
            open,
            buffered_amount,
            accepted,
            handed_on,
            handed_in,
            refused_by_total,
            refused_by_address,
            refused_unanswered,
            accept_errors,
            last_accept_error,
            opened,
            unopened,
            handshakes_refused,
            handshakes_timed_out,
            handshakes_cut_off,
            handshakes_failed,
            messages_received,
            messages_sent,
            frames_received,
            frames_sent,
            pings_received,
            pings_sent,
            pongs_received,
            pongs_sent,
            dropped_newest,
            dropped_oldest,
            replaced,
            commands_refused,
            send_buffer_high_water,
            closes_sent,
            closes_received,
            causes,
            bytes_received,
            bytes_sent,
            turns,
        } = other;
        self.connections += connections;
        self.open += open;
        self.buffered_amount += buffered_amount;
        self.accepted += accepted;
        self.handed_on += handed_on;
        self.handed_in += handed_in;
        self.refused_by_total += refused_by_total;
        self.refused_by_address += refused_by_address;
        self.refused_unanswered += refused_unanswered;
        self.accept_errors += accept_errors;
        self.last_accept_error = last_accept_error.or(self.last_accept_error);
        self.opened += opened;
        self.unopened += unopened;
        self.handshakes_refused += handshakes_refused;
        self.handshakes_timed_out += handshakes_timed_out;
        self.handshakes_cut_off += handshakes_cut_off;
        self.handshakes_failed += handshakes_failed;
        self.messages_received += messages_received;
        self.messages_sent += messages_sent;
        self.frames_received += frames_received;
        self.frames_sent += frames_sent;
        self.pings_received += pings_received;
        self.pings_sent += pings_sent;
        self.pongs_received += pongs_received;
        self.pongs_sent += pongs_sent;
        self.dropped_newest += dropped_newest;
        self.dropped_oldest += dropped_oldest;
        self.replaced += replaced;
        self.commands_refused += commands_refused;
        self.send_buffer_high_water = send_buffer_high_water.max(self.send_buffer_high_water);
        self.closes_sent += closes_sent;
        self.closes_received += closes_received;
        self.causes += causes;
        self.bytes_received += bytes_received;
        self.bytes_sent += bytes_sent;
        self.turns += turns;
    }
}

impl Sum for Stats {
    fn sum<I: Iterator<Item = Self>>(stats: I) -> Self {
        stats.fold(Self::default(), |mut sum, stats| {
            sum += stats;
            sum
        })
    }
}

impl Connections {
    /// What the loop has seen so far. Looks at each connection once, for `open` and `buffered_amount`.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats { connections: self.len(), messages_sent: self.sent.messages, ..self.stats };
        stats.frames_sent += self.sent.frames + stats.pings_sent + stats.pongs_sent;
        for connection in self.slots.ids().filter_map(|id| self.get(id)) {
            stats.open += usize::from(connection.is_open());
            stats.buffered_amount += connection.buffered_amount();
        }
        stats
    }

    /// What one connection has counted, where [`Config::statistics`](crate::Config::statistics) is on; see
    /// [`Connection::stats`](crate::Connection::stats). In the arm of [`Event::Closed`] for the last time.
    pub fn stats_of(&self, id: ConnId) -> Option<ConnectionStats> {
        self.get(id)?.stats()
    }

    /// `frames`: of how many the message came.
    #[inline]
    pub(super) fn count_message(&mut self, frames: u32) {
        self.stats.messages_received += 1;
        self.stats.frames_received += u64::from(frames);
    }

    /// `frames`: of how many the message came.
    pub(super) fn count_event(&mut self, event: &Event<'_>, frames: u32) {
        let stats = &mut self.stats;
        match event {
            Event::Message(_) => self.count_message(frames),
            Event::Part(part) => {
                stats.messages_received += 1;
                stats.frames_received += if part.last { u64::from(frames) } else { 0 };
            }
            Event::Ping(_) => {
                stats.frames_received += 1;
                stats.pings_received += 1;
                // It was answered before it was told.
                stats.pongs_sent += 1;
            }
            Event::Pong(_) => {
                stats.frames_received += 1;
                stats.pongs_received += 1;
            }
            Event::Open => stats.opened += 1,
            Event::Dropped(dropped) => {
                stats.dropped_newest += dropped.newest;
                stats.dropped_oldest += dropped.oldest;
                stats.replaced += dropped.replaced;
            }
            Event::Closed(closed) => {
                stats.frames_sent += u64::from(closed.local.is_some());
                stats.frames_received += u64::from(closed.peer.is_some());
                stats.closes_sent.count(closed.local.as_ref());
                stats.closes_received.count(closed.peer.as_ref());
                stats.causes.count(&closed.cause);
            }
            Event::Drain => {}
        }
    }

    pub(super) fn count_unopened(&mut self, cause: &Cause, unanswered: bool) {
        let stats = &mut self.stats;
        stats.unopened += 1;
        stats.causes.count(cause);
        let Cause::Handshake(error) = cause else { return };
        match (error, error.status()) {
            (HandshakeError::Timeout, _) => stats.handshakes_timed_out += 1,
            (HandshakeError::Eof, _) => stats.handshakes_cut_off += 1,
            // These came from the server, and we are the client.
            (HandshakeError::Refused(_) | HandshakeError::Redirect { .. }, _) | (_, None) => {
                stats.handshakes_failed += 1
            }
            // Counted as such already, when its place was asked for.
            (_, Some(_)) if unanswered => {}
            (_, Some(status)) => stats.handshakes_refused.count(status),
        }
    }
}
