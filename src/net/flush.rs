//! Writing of one connection, once a turn, and what follows from that for its stream.

use std::io::{self, IoSlice};

use bytes::Buf;
use mio::{Interest, Registry, Token};

use super::{
    ConnId, Connections, dial,
    phase::{Phase, Slot},
    slots::Slots,
    socket::Stream,
};
use crate::{SendQueue, http::Transport};

/// Slices in one `writev`.
const SLICES: usize = 64;

/// As [`flush`], where a call more does not matter.
#[inline(never)]
pub(super) fn flush_called(connections: &mut Connections, id: ConnId, registry: &Registry, token: Token) {
    flush(connections, id, registry, token);
}

/// Writes what waits, once, and does with the stream what its phase says.
///
/// Inlined with all that lies around the system call: that clears the processor's predictions of returns, so behind it each return
/// to a caller from before costs as much as some hundred instructions.
#[inline(always)]
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
                    let awaited_life = connection.awaits_life();
                    connection.note_progress(now);
                    if awaited_life && !connection.awaits_life() {
                        connections.deadlines.plan(id.index(), connection.poll_timeout());
                    }
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
    // A message was compressed, outside of this connection's own events perhaps, and its compressor is to be given up.
    if slot.phase.has_compressor() {
        connections.deadlines.plan(id.index(), slot.phase.poll_timeout());
    }
    if !slot.phase.rests() {
        return go_on(connections, id, registry, resumes);
    }
    if let Some(storage) = slot.phase.reclaim() {
        connections.pool.give(storage);
    }
}

/// Behind a write, does with the stream what its phase says. `resumes`: something was written.
fn go_on(connections: &mut Connections, id: ConnId, registry: &Registry, mut resumes: bool) {
    let Some(slot) = connections.slots.get_mut(id) else { return };
    // Requests wait while too many answers do.
    resumes &= matches!(slot.phase, Phase::Serving { .. }) && (slot.leftover.is_some() || slot.ready.readable);
    if slot.phase.wants_poll() || (resumes && slot.phase.wants_read()) {
        return connections.mark_ready(id);
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
    if let Some(storage) = slot.phase.reclaim() {
        connections.pool.give(storage);
    }
}

fn close(connections: &mut Connections, id: ConnId, registry: &Registry) {
    if let Some(mut slot) = connections.remove(id) {
        slot.stream.end(&mut connections.scratch);
        // Dropping the stream closes it, whatever this says.
        let _ = registry.deregister(slot.stream.source());
    }
}

/// One write: what the kernel does not take waits for its word.
#[inline(always)]
pub(super) fn write(slot: &mut Slot) -> io::Result<usize> {
    let mut total = 0;
    // Asked again each time: what waits apart joins the queue as that empties.
    while let Some(queue) = slot.phase.queue() {
        slot.ready.blocked = queue.has_remaining();
        if !slot.ready.blocked {
            break;
        }
        let (result, offered) = match queue.only_chunk() {
            Some(bytes) => (slot.stream.write(bytes), bytes.len()),
            None => write_slices(&mut slot.stream, queue),
        };
        match result {
            Ok(n) => {
                queue.advance(n);
                total += n;
                if n < offered {
                    break;
                }
                if !slot.phase.may_have_more() {
                    slot.ready.blocked = false;
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

/// Of what waits in pieces, as many as one call takes. Also answers how many bytes these were.
#[inline(never)]
fn write_slices(stream: &mut Stream, queue: &SendQueue) -> (io::Result<usize>, usize) {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let count = queue.chunks_vectored(&mut slices);
    let offered = slices[..count].iter().map(|slice| slice.len()).sum();
    (stream.write_vectored(&slices[..count]), offered)
}

impl<T> Slots<T> {
    pub(super) fn token(base: usize, id: ConnId) -> Token {
        Token(base + id.index())
    }
}
