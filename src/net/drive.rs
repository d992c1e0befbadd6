//! Reading and events of one connection, within its budget.

use std::io;

use super::{
    ConnId, EventLoop,
    accept::Listener,
    connections::Connections,
    large::LARGE,
    log,
    phase::Phase,
    slots,
    socket::Received,
    unopened::{open, serve},
};
use crate::{Closed, Event, Kind, Message, RecvBuffer};

/// Size of the loop's receive buffer.
pub(super) const READ: usize = 256 * 1024;
/// At least so much room for a read.
const ROOM: usize = 64 * 1024;
/// Bytes that one connection may bring in a turn, so that one loud peer starves nobody.
const BUDGET: usize = 1024 * 1024;
/// What is left of a read is copied while it is smaller than this; above it the buffer itself changes hands.
const COPY_BELOW: usize = 16 * 1024;

impl EventLoop {
    /// Reads and delivers what these connections have.
    pub(super) fn drive(
        &mut self,
        mut ready: Vec<ConnId>,
        on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>),
    ) {
        for id in ready.drain(..) {
            drive(&mut self.connections, id, &mut self.rx, &mut self.listeners, on_event);
        }
        self.working = slots::emptied(ready);
    }
}

/// Reads and delivers what one connection has. `rx` is the loop's buffer, empty before and after. Inlined for the reason that
/// [`flush`](super::flush::flush) gives.
#[inline(always)]
fn drive(
    connections: &mut Connections,
    id: ConnId,
    rx: &mut RecvBuffer,
    listeners: &mut [Listener],
    on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>),
) {
    let Some(slot) = connections.slots.get_mut(id) else { return };
    slot.ready.listed = false;
    let rests = slot.phase.rests();
    let rested = rests && !slot.phase.awaits_life();
    let mut spare = None;
    if let Some(leftover) = slot.leftover.take() {
        connections.large.remove_left(&leftover);
        if leftover.capacity() < COPY_BELOW {
            rx.restore(&leftover);
        } else {
            spare = Some(std::mem::replace(rx, *leftover));
        }
    }
    // Most have nothing to tell before they are read.
    let told = rests && rx.is_empty();
    read_and_deliver(connections, id, rx, listeners, told, on_event);
    if !rx.is_empty() || spare.is_some() {
        leave(connections, id, rx, spare);
    }
    rx.clear();
    connections.plan_and_soil(id, rested);
}

/// What a read left over waits with its connection. `spare`: the loop's buffer, where `rx` has been the connection's.
fn leave(connections: &mut Connections, id: ConnId, rx: &mut RecvBuffer, mut spare: Option<RecvBuffer>) {
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
    if let Some(left) = &left {
        connections.large.add_left(left);
    }
    if let Some(slot) = connections.slots.get_mut(id) {
        slot.leftover = left.map(Box::new);
    }
}

/// Hands out the events of what has been read, and reads, until there is neither or the turn's budget is used up. `told`: there is
/// nothing to hand out yet.
#[inline(always)]
fn read_and_deliver(
    connections: &mut Connections,
    id: ConnId,
    rx: &mut RecvBuffer,
    listeners: &mut [Listener],
    mut told: bool,
    on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>),
) {
    let mut budget = BUDGET;
    // Compressed bytes may stand for many more.
    let mut payload = 2 * BUDGET;
    while let Some(slot) = connections.slots.get_mut(id) {
        if !std::mem::take(&mut told) {
            let Some(connection) = slot.phase.connection_mut() else {
                told = !deliver_unopened(connections, id, rx, listeners, on_event);
                continue;
            };
            if let Some(event) = connection.poll_event_at(rx, &mut connections.moment) {
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
                payload = payload.saturating_sub(bytes);
                if payload == 0 {
                    rx.release();
                    connections.mark_ready(id);
                    return;
                }
                continue;
            }
        }
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
        match slot.receive(&mut space[..room], &mut connections.scratch, connections.now) {
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

/// What comes before the frames. Answers whether it is over, and something else may follow.
fn deliver_unopened(
    connections: &mut Connections,
    id: ConnId,
    rx: &mut RecvBuffer,
    listeners: &mut [Listener],
    on_event: &mut dyn FnMut(&mut Connections, ConnId, Event<'_>),
) -> bool {
    let (now, draining) = (connections.now, connections.draining);
    let Some(slot) = connections.slots.get_mut(id) else { return false };
    let cause = match &mut slot.phase {
        Phase::Open(_) => None,
        Phase::Preface(_) => return connections.read_preface(id, rx),
        Phase::Serving { .. } => {
            let verify = listeners.get_mut(usize::from(slot.listener)).map(|listener| &mut *listener.verify);
            serve(slot, id, rx, now, verify, draining)
        }
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
        return false;
    }
    #[cfg(feature = "deflate")]
    connections.share_contexts(id);
    connections.get(id).is_some()
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
