//! What the loop asks of TLS, in a build that has none: answers that cost nothing.

use std::{io, time::Instant};

use super::{
    ConnId, Connections, flush,
    phase::Slot,
    socket::{Received, Stream},
};
use crate::{Cause, Event};

#[derive(Debug, Default)]
pub(super) struct Scratch {}

impl Slot {
    #[inline]
    pub(super) fn speaks_tls(&self) -> bool {
        false
    }

    #[inline]
    pub(super) fn wants_read(&self) -> bool {
        self.phase.wants_read()
    }

    #[inline(always)]
    pub(super) fn receive(&mut self, space: &mut [u8], _scratch: &mut Scratch, _now: Instant) -> io::Result<Received> {
        self.stream.read(space).map(|n| Received { bytes: n, cost: n, drained: n < space.len() })
    }

    #[inline]
    pub(super) fn tell(&self, cause: Cause) -> Cause {
        cause
    }

    #[inline(always)]
    pub(super) fn write(&mut self, _scratch: &mut Scratch) -> io::Result<usize> {
        flush::write(self)
    }
}

impl Connections {
    #[inline]
    pub(super) fn tell<'b>(&self, _id: ConnId, event: Event<'b>) -> Event<'b> {
        event
    }
}

impl Stream {
    #[inline]
    pub(super) fn begin(&mut self, _early: &[u8]) {}

    #[inline]
    pub(super) fn end(&mut self, _scratch: &mut Scratch) {}
}
