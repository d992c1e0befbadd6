//! How what waits leaves: in order, but for what overtakes.

use std::io::IoSlice;

use bytes::Buf;

use super::SendQueue;
use crate::buffer::gather::Gather;

impl Buf for SendQueue {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        let mut first = [IoSlice::new(&[])];
        self.chunks_vectored(&mut first);
        // `IoSlice` borrows what it was made of only for as long as itself; find the same bytes again.
        let length = first[0].len();
        if let Some(urgent) = self.urgent().filter(|urgent| urgent.after == 0) {
            return &urgent.bytes[urgent.sent..];
        }
        let [head, payload] = self.front.slices();
        let bytes = if head.is_empty() { payload } else { head };
        &bytes[..length.min(bytes.len())]
    }

    fn chunks_vectored<'s>(&'s self, slices: &mut [IoSlice<'s>]) -> usize {
        let urgent = self.urgent().map(|urgent| (urgent.after, &urgent.bytes[urgent.sent..]));
        let mut gather = Gather { slices, count: 0, urgent };
        for run in std::iter::once(&self.front).chain(self.rest.iter().flat_map(|rest| rest.runs.iter())) {
            if gather.count == gather.slices.len() {
                return gather.count;
            }
            for bytes in run.slices().into_iter().filter(|bytes| !bytes.is_empty()) {
                gather.put_run(bytes);
            }
        }
        if let Some((_, urgent)) = gather.urgent.take() {
            gather.put(urgent);
        }
        gather.count
    }

    /// `n` bytes were sent. More than there are counts as all of them.
    #[inline]
    fn advance(&mut self, n: usize) {
        if self.rest.is_none() && n >= self.len {
            // Most writes take all of the only run.
            self.taken = self.taken.wrapping_add(self.len as u32);
            self.len = 0;
            self.blocked = !self.is_empty();
            return self.front.reset();
        }
        self.advance_by_part(n);
    }
}

impl SendQueue {
    fn advance_by_part(&mut self, n: usize) {
        let mut n = n.min(self.len);
        self.len -= n;
        self.taken = self.taken.wrapping_add(n as u32);
        if let Some(urgent) = self.rest.as_mut().and_then(|rest| rest.urgent.as_mut()) {
            let before = n.min(urgent.after);
            let of_urgent = (n - before).min(urgent.bytes.len() - urgent.sent);
            urgent.after -= before;
            urgent.sent += of_urgent;
            n -= of_urgent;
            if urgent.sent == urgent.bytes.len() {
                self.forget_urgent();
            }
        }
        self.advance_runs(n);
        self.blocked = !self.is_empty();
    }

    /// Takes `n` bytes from the runs.
    fn advance_runs(&mut self, mut n: usize) {
        loop {
            let here = n.min(self.front.remaining());
            self.front.advance(here);
            n -= here;
            if self.front.remaining() > 0 {
                return;
            }
            match self.rest.as_mut().and_then(|rest| rest.pop_front()) {
                Some(next) => self.front = next,
                None => return self.front.reset(),
            }
        }
    }

    /// All of them have left. What is still needed stays, with its storage.
    #[cold]
    fn forget_urgent(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.urgent = None;
            self.rest.take_if(|rest| rest.runs.capacity() == 0);
        }
    }
}
