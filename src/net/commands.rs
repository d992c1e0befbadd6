//! What other threads ask of the loop, carried out.

use std::{sync::atomic::Ordering, time::Duration};

use super::{
    EventLoop,
    handle::{Command, Order},
};
use crate::SendStatus;

/// How long the connections of the other loops have for their goodbyes when one loop's thread has failed.
const FAREWELL: Duration = Duration::from_secs(1);

impl EventLoop {
    /// Carries out up to `most` commands and answers how many it were. What is left has woken the loop again.
    pub(super) fn run_commands(&mut self, most: usize) -> usize {
        // Looked at before it is taken: a turn without a command leaves the line in the caches of other threads alone.
        let pending = &self.handle.notifier.pending;
        if !pending.load(Ordering::Acquire) || !pending.swap(false, Ordering::AcqRel) {
            return 0;
        }
        if let Some(order) = self.handle.notifier.take_order() {
            self.carry_out(order);
        }
        self.take_addresses();
        for carried_out in 0..most {
            let Ok(command) = self.commands.try_recv() else { return carried_out };
            match command {
                // The thread that asked is not there to be told, so what is refused is counted.
                Command::Send(id, message) => {
                    let taken = self.connections.send_prepared(id, &message);
                    let refused = matches!(taken, Ok(SendStatus::Dropped) | Err(_));
                    self.connections.stats.commands_refused += u64::from(refused);
                }
                Command::Broadcast(message) => {
                    let (_, refused) = self.connections.broadcast_prepared(&message);
                    self.connections.stats.commands_refused += refused as u64;
                }
                Command::Close(id, code, reason) => self.connections.close(id, code, &reason),
                Command::Resume(id) => self.connections.resume(id),
                Command::Answer(id, verdict) => _ = self.connections.answer(id, *verdict),
                Command::Adopt(detached) => _ = self.adopt(*detached),
                Command::HandOver(connection) => self.take_in(*connection),
            }
        }
        self.handle.wake();
        most
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Drain(over) => self.begin_drain(over),
            Order::ShutDown { over, within } => self.begin_shut_down(over, within),
            Order::Abandon => {
                self.abandoned = true;
                self.begin_shut_down(Duration::ZERO, FAREWELL);
            }
        }
    }
}
