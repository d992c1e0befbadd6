//! Client processes that are killed: all their connections end in one moment, by the kernel.

use std::{
    collections::BTreeMap,
    io,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use crate::{
    options::{Part, Soak},
    process::{Line, Role},
};

/// Clients of a process that is killed.
const CLIENTS: usize = 50;
/// Between two such processes.
const EVERY: Duration = Duration::from_secs(12);
/// So long it lives once all of its clients are open.
const LIFE: Duration = Duration::from_secs(3);

pub(super) struct Victims {
    part: Part,
    until: Instant,
    next: Instant,
    alive: Option<(Role, usize, Option<Instant>)>,
    /// Made by those that were killed, which do not tell.
    pub(super) connections: u64,
}

impl Victims {
    pub(super) fn new(soak: &Soak, part: Part, began: Instant) -> Self {
        let first = soak.processes as u64 + 1;
        let part = Part { clients: CLIENTS.min(soak.clients), steady: true, index: first, ..part };
        Self { part, until: began + soak.time, next: began + EVERY / 3, alive: None, connections: 0 }
    }

    pub(super) fn go_on(
        &mut self,
        counts: &BTreeMap<usize, BTreeMap<String, u64>>,
        lines: &Sender<Line>,
    ) -> io::Result<()> {
        let now = Instant::now();
        match &mut self.alive {
            None if now >= self.next && now + EVERY < self.until => {
                let index = self.part.index as usize;
                let role = Role::start(&self.part.arguments("clients"), index, lines.clone())?;
                self.connections += self.part.clients as u64;
                self.part.index += 1;
                self.alive = Some((role, index, None));
                self.next = now + EVERY;
            }
            None => {}
            Some((_, index, dies)) if dies.is_none() => {
                let open = counts.get(index).and_then(|counts| counts.get("open")).copied();
                if open == Some(self.part.clients as u64) {
                    *dies = Some(now + LIFE);
                }
            }
            Some((role, _, Some(dies))) if now >= *dies => {
                role.kill();
                self.alive = None;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The last one dies with the rest of the run, and not before it was whole.
    pub(super) fn finish(&mut self, counts: &BTreeMap<usize, BTreeMap<String, u64>>) -> Option<String> {
        let (_, index, dies) = self.alive.take()?;
        let open = counts.get(&index).and_then(|counts| counts.get("open")).copied();
        dies.is_none().then(|| format!("of a process to be killed only {open:?} clients opened"))
    }
}
