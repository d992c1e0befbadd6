//! Reading, events and writing of one connection, within its budget.

use std::io::{self, IoSlice};

use bytes::Buf;
use mio::{Interest, Registry, Token};

use super::{
    ConnId, EventLoop,
    accept::Verify,
    connections::Connections,
    dial,
    large::LARGE,
    log,
    phase::{Phase, Slot},
    slots::{self, Slots},
    socket::Received,
    unopened::{open, serve},
};
use crate::{Closed, Event, Kind, Message, RecvBuffer, http::Transport};

/// Size of the loop's receive buffer.
pub(super) const READ: usize = 256 * 1024;
/// At least so much room for a read.
const ROOM: usize = 64 * 1024;
/// Bytes that one connection may bring in a turn, so that one loud peer starves nobody.
const BUDGET: usize = 1024 * 1024;
/// What is left of a read is copied while it is smaller than this; above it the buffer itself changes hands.
const COPY_BELOW: usize = 16 * 1024;
/// Slices in one `writev`.
const SLICES: usize = 64;

impl EventLoop {
    /// Reads and delivers what these connections have.
    pub(super) fn drive(
        &mut self,
        mut ready: Vec<ConnId>,
        on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>),
    ) {
        for id in ready.drain(..) {
            let listener = self.connections.slots.get(id).map(|slot| slot.listener as usize);
            let listener = listener.and_then(|number| self.listeners.get_mut(number));
            let verify = listener.map(|listener| &mut *listener.verify);
            drive(&mut self.connections, id, &mut self.rx, verify, on_event);
        }
        self.working = slots::emptied(ready);
    }
}

/// Reads and delivers what one connection has. `rx` is the loop's buffer, empty before and after.
fn drive(
    connections: &mut Connections,
    id: ConnId,
    rx: &mut RecvBuffer,
    verify: Option<&mut Verify>,
    on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>),
) {
    let Some(slot) = connections.slots.get_mut(id) else { return };
    slot.ready.listed = false;
    let mut spare = None;
    if let Some(leftover) = slot.leftover.take() {
        connections.large.remove_left(&leftover);
        if leftover.capacity() < COPY_BELOW {
            rx.restore(&leftover);
        } else {
            spare = Some(std::mem::replace(rx, *leftover));
        }
    }
    read_and_deliver(connections, id, rx, verify, on_event);
    let now = connections.now;
    let left = (!rx.is_empty()).then(|| {
        // A buffer costs at most about three times what it holds, also one that changes hands.
        if rx.len() < COPY_BELOW || !connections.large.keeps(rx.len(), rx.capacity()) {
            let small = rx.right_sized();
            rx.clear();
            small
        } else {
            let next = spare.take().unwrap_or_else(|| connections.large.buffer(READ, now));
            std::mem::replace(rx, next)
        }
    });
    if let Some(spare) = spare {
        connections.large.give_back(std::mem::replace(rx, spare), now);
    }
    rx.clear();
    if let Some(left) = &left {
        connections.large.add_left(left);
    }
    if let Some(slot) = connections.slots.get_mut(id) {
        slot.leftover = left.map(Box::new);
    }
    connections.plan(id);
    connections.mark_dirty(id);
}

fn read_and_deliver(
    connections: &mut Connections,
    id: ConnId,
    rx: &mut RecvBuffer,
    mut verify: Option<&mut Verify>,
    on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>),
) {
    let mut budget = BUDGET;
    // Compressed bytes may stand for many more.
    let mut payload = 2 * BUDGET;
    loop {
        if !deliver(connections, id, rx, verify.as_deref_mut(), on_event, &mut payload) {
            return;
        }
        let Some(slot) = connections.slots.get_mut(id) else { return };
        if slot.ready.read_closed && slot.phase.owes_an_answer() {
            // Whoever hangs up while an answer is due, or is streamed, is told of here: nothing is read then.
            slot.phase.handle_eof();
            slot.ready.read_closed = false;
            continue;
        }
        if !slot.ready.readable || !slot.wants_read() {
            return;
        }
        if budget == 0 {
            connections.mark_ready(id);
            return;
        }
        connections.large.make_room(rx, ROOM, connections.now);
        let space = rx.space(ROOM);
        let room = space.len().min(budget.max(ROOM));
        match slot.receive(&mut space[..room], &mut connections.scratch) {
            Ok(Received { bytes: 0, cost: 0, .. }) => {
                slot.ready.readable = false;
                slot.phase.handle_eof();
            }
            Ok(Received { bytes, cost, drained }) => {
                rx.filled(bytes);
                // A short read has drained the socket; the end of the stream would be another edge, or is known.
                if cfg!(unix) && drained && !slot.ready.read_closed {
                    slot.ready.readable = false;
                }
                budget = budget.saturating_sub(cost);
                connections.stats.bytes_received += bytes as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => slot.ready.readable = false,
            Err(error) => {
                slot.ready.readable = false;
                slot.phase.handle_io_error(error.kind());
            }
        }
    }
}

/// Hands out the events of what has been read, up to `budget` bytes of payload. False: the rest is for the next turn.
fn deliver(
    connections: &mut Connections,
    id: ConnId,
    rx: &mut RecvBuffer,
    verify: Option<&mut Verify>,
    on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>),
    budget: &mut usize,
) -> bool {
    let (now, draining) = (connections.now, connections.draining);
    let Some(slot) = connections.slots.get_mut(id) else { return true };
    #[cfg(feature = "deflate")]
    let was_open = slot.phase.connection().is_some();
    let cause = match &mut slot.phase {
        Phase::Open(_) => None,
        Phase::Preface(_) => {
            return !connections.read_preface(id, rx) || deliver(connections, id, rx, verify, on_event, budget);
        }
        Phase::Serving { .. } => serve(slot, id, rx, now, verify, draining),
        Phase::Opening(_) => open(slot, rx, now),
        Phase::Over(cause) => cause.take(),
    };
    if let Some(cause) = cause {
        // What was over by now has been sent nothing.
        let unanswered = matches!(slot.phase, Phase::Over(_));
        let cause = slot.tell(cause);
        let peer = connections.peer_addr(id);
        if let Some(slot) = connections.slots.get_mut(id) {
            slot.phase = Phase::Over(None);
            slot.ready.readable = false;
        }
        rx.clear();
        connections.count_unopened(&cause, unanswered);
        log::unopened(id, peer, &cause);
        on_event(connections, id, Event::Closed(Closed::without_frames(cause)));
        return true;
    }
    #[cfg(feature = "deflate")]
    if !was_open {
        connections.share_contexts(id);
    }
    while let Some(connection) = connections.slots.get_mut(id).and_then(|slot| slot.phase.connection_mut()) {
        let Some(event) = connection.poll_event(rx, now) else { return true };
        let frames = connection.frames_of_message();
        let bytes = match event {
            Event::Message(message) => {
                connections.count_message(frames);
                let (kind, bytes) = (message.kind(), message.as_bytes().len());
                if bytes >= LARGE && !message.is_str() {
                    deliver_large(connections, id, rx, kind, on_event);
                } else {
                    on_event(connections, id, event);
                }
                bytes
            }
            event => {
                let event = connections.tell(id, event);
                let bytes = if let Event::Part(part) = &event { part.message.as_bytes().len() } else { 0 };
                connections.count_event(&event, frames);
                connections.log_event(id, &event);
                on_event(connections, id, event);
                bytes
            }
        };
        *budget = budget.saturating_sub(bytes);
        if *budget == 0 {
            rx.release();
            connections.mark_ready(id);
            return false;
        }
    }
    true
}

/// Hands out a large message so that it can be sent on without a copy.
fn deliver_large(
    connections: &mut Connections,
    id: ConnId,
    rx: &mut RecvBuffer,
    kind: Kind,
    on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>),
) {
    let now = connections.now;
    match connections.large.begin(rx, kind, now) {
        Some(payload) => on_event(connections, id, Event::Message(Message::known_valid(kind, &payload))),
        None => on_event(connections, id, Event::Message(Message::known_valid(kind, rx.delivered()))),
    }
    connections.large.end();
}

/// Writes what waits, once, and does with the stream what its phase says.
pub(super) fn flush(connections: &mut Connections, id: ConnId, registry: &Registry, token: Token) {
    let now = connections.now;
    let Some(mut slot) = connections.slots.get_mut(id) else { return };
    slot.ready.dirty = false;
    if let Some(connection) = slot.phase.connection() {
        let most = &mut connections.stats.send_buffer_high_water;
        *most = connection.buffered_amount().max(*most);
    } else {
        dial::step(connections, id, registry, token);
        let Some(stepped) = connections.slots.get_mut(id) else { return };
        slot = stepped;
    }
    let mut resumes = false;
    if !slot.ready.blocked || slot.phase.transport() == Transport::Close {
        match slot.write(&mut connections.scratch) {
            Ok(n) => {
                connections.stats.bytes_sent += n as u64;
                resumes = n > 0;
                if let Some(connection) = slot.phase.connection_mut() {
                    connection.note_progress(now);
                }
            }
            Err(error) => {
                slot.ready.readable = false;
                slot.phase.handle_io_error(error.kind());
                // Nothing can leave any more; the end is told, or has been.
                if let Some(queue) = slot.phase.queue() {
                    queue.clear();
                }
            }
        }
        if slot.ready.blocked && !slot.ready.writable {
            slot.ready.writable = true;
            let both = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = slot.stream.reregister(registry, token, both) {
                slot.phase.handle_io_error(error.kind());
            }
        }
    }
    // Requests wait while too many answers do.
    resumes &= matches!(slot.phase, Phase::Serving { .. }) && (slot.leftover.is_some() || slot.ready.readable);
    if slot.phase.wants_poll() || (resumes && slot.phase.wants_read()) {
        connections.mark_ready(id);
        return;
    }
    match slot.phase.transport() {
        Transport::Open => {}
        // Nothing lies unread, and nothing may follow: closing it destroys nothing.
        Transport::ShutdownWrite if slot.is_done() => return close(connections, id, registry),
        Transport::ShutdownWrite if !slot.ready.shut => {
            slot.ready.shut = true;
            slot.stream.shutdown_write();
        }
        Transport::ShutdownWrite => {}
        Transport::Close => return close(connections, id, registry),
    }
    #[cfg(feature = "deflate")]
    connections.plan_release(id);
    connections.reclaim(id);
}

fn close(connections: &mut Connections, id: ConnId, registry: &Registry) {
    if let Some(mut slot) = connections.remove(id) {
        slot.stream.end(&mut connections.scratch);
        // Dropping the stream closes it, whatever this says.
        let _ = registry.deregister(slot.stream.source());
    }
}

/// One write: what the kernel does not take waits for its word.
#[inline]
pub(super) fn write(slot: &mut Slot) -> io::Result<usize> {
    let mut total = 0;
    // Asked again each time: what waits apart joins the queue as that empties.
    while let Some(queue) = slot.phase.queue() {
        slot.ready.blocked = queue.has_remaining();
        if !slot.ready.blocked {
            break;
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = queue.chunks_vectored(&mut slices);
        let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        match slot.stream.write_vectored(&slices[..count]) {
            Ok(n) => {
                queue.advance(n);
                total += n;
                if n < offered {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                queue.advance(0);
                break;
            }
            Err(error) => {
                slot.ready.blocked = false;
                return Err(error);
            }
        }
    }
    Ok(total)
}

impl<T> Slots<T> {
    pub(super) fn token(base: usize, id: ConnId) -> Token {
        Token(base + id.index())
    }
}
