//! The writes of a turn. A long row of them is interleaved with reading.
//!
//! A broadcast to many is many writes, and while they go on the next messages arrive. So the poll is looked at in between:
//! who has not been written to yet gets those messages in the same write, and nobody waits to be read until everyone has been
//! written to.

use std::time::Duration;

use super::{
    ConnId, Connections, EventLoop, flush, handle,
    phase::Slot,
    slots::{self, Slots},
};
use crate::Event;

/// So many writes between two looks at the poll: a look costs about a twentieth of them, and saves more.
const LOOK: usize = 8;
/// From so many writes for each connection that was read on, a turn is one that fans out.
const FANS_OUT: usize = 4;

/// When so many bytes have been read between the writes of a turn, no more are: whoever is written to last is not to find all of a
/// loud peer's messages in its queue at once, of which that would refuse some. One look may bring more, up to a turn's budget of
/// each connection.
const READ_BETWEEN: u64 = 64 * 1024;
/// So many commands are carried out between the writes of a turn, for the same reason: as many again as at its beginning.
const COMMANDS_BETWEEN: usize = handle::CAPACITY;

type OnEvent<'h> = dyn FnMut(&mut Connections, ConnId, Event<'_>) + 'h;

impl EventLoop {
    /// Writes once to each connection that has something to say, behind reading on `driven` of them, and tells what a write has
    /// brought to its end at once, not behind another wait.
    pub(super) fn write_and_look(&mut self, driven: usize, on_event: &mut OnEvent<'_>) {
        // Who has used up its budget waits for the next turn.
        let mut waits = self.connections.ready.len();
        let base = self.first_slot();
        let dirty = std::mem::replace(&mut self.connections.dirty, std::mem::take(&mut self.writing));
        let fans_out = dirty.len() >= FANS_OUT * driven.max(1);
        let enough = self.connections.stats.bytes_received + READ_BETWEEN;
        let mut commands = COMMANDS_BETWEEN;
        for (written, id) in dirty.iter().enumerate() {
            let may_look = commands > 0 && self.connections.stats.bytes_received < enough;
            if fans_out && written % LOOK == LOOK - 1 && may_look {
                commands -= self.look(commands);
                waits = self.drive_new(waits, on_event);
            }
            flush::flush(&mut self.connections, *id, &self.registry, Slots::<Slot>::token(base, *id));
        }
        self.writing = slots::emptied(dirty);
        if self.connections.ready.len() > waits {
            self.drive_new(waits, on_event);
        }
        // What was answered between the writes to who had been written to.
        self.flush();
    }

    /// What the loop's own poll has by now, and up to `commands` commands. Answers how many it were.
    fn look(&mut self, commands: usize) -> usize {
        let Some((mut poll, mut events)) = self.poll.take() else { return 0 };
        // If it fails, it does so again when the next turn begins.
        if poll.poll(&mut events, Some(Duration::ZERO)).is_ok() {
            for event in &events {
                self.process(event);
            }
        }
        self.poll = Some((poll, events));
        // The wake of their sender may have been among them.
        self.run_commands(commands)
    }

    /// Reads and delivers what those have that are on the ready list behind the first `waits`. Answers how many are left on it.
    fn drive_new(&mut self, waits: usize, on_event: &mut OnEvent<'_>) -> usize {
        if self.connections.ready.len() > waits {
            let mut new = std::mem::take(&mut self.working);
            new.extend(self.connections.ready.drain(waits..));
            self.drive(new, on_event);
        }
        self.connections.ready.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_that_has_written_to_very_many_does_not_keep_the_list() {
        let mut event_loop = EventLoop::new().unwrap();
        event_loop.connections.dirty = vec!["0-0-1".parse().unwrap(); 100_000];
        event_loop.write_and_look(100_000, &mut |_, _, _| {});
        let lists = [&event_loop.connections.dirty, &event_loop.writing, &event_loop.working];
        assert!(lists.iter().all(|list| list.is_empty() && list.capacity() < 10_000));
    }
}
