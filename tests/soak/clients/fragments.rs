//! Messages in fragments, with time between them.

use wireroom::{ConnId, Connections, Kind, SendError};

use super::Shared;

/// A message whose fragments are still being sent.
#[derive(Debug)]
pub(super) struct Unfinished {
    kind: Kind,
    bytes: Vec<u8>,
    from: usize,
    /// Fragments that are left.
    left: usize,
}

impl Unfinished {
    pub(super) fn new(kind: Kind, bytes: Vec<u8>, fragments: usize) -> Self {
        Self { kind, bytes, from: 0, left: fragments }
    }

    /// Sends one more; `Ok(true)` when that was the last.
    pub(super) fn go_on(&mut self, connections: &mut Connections, id: ConnId) -> Result<bool, SendError> {
        let mut writer = connections.writer(id, self.kind)?;
        if self.left == 0 {
            let _ = writer.finish()?;
            return Ok(true);
        }
        let mut to = self.from + (self.bytes.len() - self.from) / self.left;
        // A fragment of a text holds whole characters.
        while to < self.bytes.len() && self.bytes[to] & 0xc0 == 0x80 {
            to += 1;
        }
        let _ = writer.write(&self.bytes[self.from..to])?;
        (self.from, self.left) = (to, self.left - 1);
        Ok(false)
    }
}

/// How long a message is: mostly short.
pub(super) fn length(shared: &mut Shared, longest: usize) -> usize {
    let random = &mut shared.random;
    let most = match random.below(1_000) {
        0..600 => 125,
        600..880 => 2_000,
        880..980 => 20_000,
        _ => longest,
    };
    random.below(most.min(longest) + 1)
}
