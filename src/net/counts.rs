//! Counts by kind: of refusals by status, of Close frames by code, of ends by cause.

use std::{fmt, ops::AddAssign};

use crate::{Cause, CloseFrame, Deadline};

/// The statuses that are counted one by one: those that the library answers with, and what `verify` often does.
const STATUSES: [u16; 17] = [400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 426, 429, 431, 500, 501, 503, 505];

/// How often a server refused an opening handshake, by the HTTP status that it answered.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts {
    counts: [u64; STATUSES.len()],
    others: u64,
}

impl StatusCounts {
    /// Of this status: 400, 401, 403, 404, 405, 408, 413, 414, 417, 421, 426, 429, 431, 500, 501, 503 and 505 are counted
    /// one by one. 0 for all [`others`](Self::others).
    pub fn of(&self, status: u16) -> u64 {
        STATUSES.iter().position(|known| *known == status).map_or(0, |at| self.counts[at])
    }

    /// Of all other statuses together, which only `verify` answers.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Of all statuses together.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.others
    }

    /// Each status that is counted by itself, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        STATUSES.into_iter().zip(self.counts)
    }

    pub(super) fn count(&mut self, status: u16) {
        match STATUSES.iter().position(|known| *known == status) {
            Some(at) => self.counts[at] += 1,
            None => self.others += 1,
        }
    }
}

impl AddAssign for StatusCounts {
    fn add_assign(&mut self, other: Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.others += other.others;
    }
}

impl fmt::Debug for StatusCounts {
    /// Without the zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        seen(f, self.iter(), self.others)
    }
}

/// The codes that are counted one by one.
const FIRST_CODE: u16 = 1000;
const CODES: usize = 16;

/// How often connections ended with each close code (RFC 6455 section 7.4), on one side: ours or the peer's.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct CloseCounts {
    counts: [u64; CODES],
    others: u64,
}

impl CloseCounts {
    /// Of this code, 1000 to 1015. As sections 7.1.5 and 7.4.1 have it, 1005 stands for a Close frame without a code, and
    /// 1006 for none at all. 0 for all [`others`](Self::others).
    pub fn of(&self, code: u16) -> u64 {
        code.checked_sub(FIRST_CODE).and_then(|at| self.counts.get(usize::from(at))).copied().unwrap_or(0)
    }

    /// Of the codes of libraries and applications, 3000 to 4999.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// Of all codes together, and none.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum::<u64>() + self.others
    }

    /// Each code that is counted by itself, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        (FIRST_CODE..).zip(self.counts)
    }

    pub(super) fn count(&mut self, frame: Option<&CloseFrame>) {
        let code = frame.map_or(1006, |frame| frame.code.map_or(1005, |code| code.as_u16()));
        match code.checked_sub(FIRST_CODE).and_then(|at| self.counts.get_mut(usize::from(at))) {
            Some(count) => *count += 1,
            None => self.others += 1,
        }
    }
}

impl AddAssign for CloseCounts {
    fn add_assign(&mut self, other: Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.others += other.others;
    }
}

impl fmt::Debug for CloseCounts {
    /// Without the zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        seen(f, self.iter(), self.others)
    }
}

fn seen(f: &mut fmt::Formatter<'_>, counts: impl Iterator<Item = (u16, u64)>, others: u64) -> fmt::Result {
    let mut map = f.debug_map();
    map.entries(counts.filter(|(_, count)| *count > 0));
    if others > 0 {
        map.entry(&format_args!("others"), &others);
    }
    map.finish()
}

/// How often connections ended for each [`Cause`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CauseCounts {
    /// [`Cause::Clean`].
    pub clean: u64,
    /// [`Cause::Failed`]: the peer broke the protocol or a limit.
    pub failed: u64,
    /// [`Cause::Handshake`].
    pub handshake: u64,
    /// [`Cause::Connect`].
    pub connect: u64,
    /// [`Cause::Eof`].
    pub eof: u64,
    /// [`Cause::Io`].
    pub io: u64,
    /// [`Cause::Timeout`]: the keepalive's.
    pub keepalive: u64,
    /// [`Cause::Timeout`]: the closing handshake's.
    pub close_timeout: u64,
    /// [`Cause::SlowConsumer`].
    pub slow_consumer: u64,
    /// [`Cause::Aborted`].
    pub aborted: u64,
    /// [`Cause::Served`].
    pub served: u64,
    /// `Cause::Tls`, with the feature `tls`; without it always 0.
    pub tls: u64,
}

impl AddAssign for CauseCounts {
    fn add_assign(&mut self, other: Self) {
        // Field by field, so that one that is new cannot be forgotten.
        let Self {
            clean,
            failed,
            handshake,
            connect,
            eof,
            io,
            keepalive,
            close_timeout,
            slow_consumer,
            aborted,
            served,
            tls,
        } = other;
        self.clean += clean;
        self.failed += failed;
        self.handshake += handshake;
        self.connect += connect;
        self.eof += eof;
        self.io += io;
        self.keepalive += keepalive;
        self.close_timeout += close_timeout;
        self.slow_consumer += slow_consumer;
        self.aborted += aborted;
        self.served += served;
        self.tls += tls;
    }
}

impl CauseCounts {
    pub(super) fn count(&mut self, cause: &Cause) {
        *match cause {
            Cause::Clean => &mut self.clean,
            Cause::Failed(_) => &mut self.failed,
            Cause::Handshake(_) => &mut self.handshake,
            Cause::Connect(_) => &mut self.connect,
            Cause::Eof => &mut self.eof,
            Cause::Io(_) => &mut self.io,
            Cause::Timeout(Deadline::Keepalive) => &mut self.keepalive,
            Cause::Timeout(Deadline::Close) => &mut self.close_timeout,
            Cause::SlowConsumer => &mut self.slow_consumer,
            Cause::Aborted => &mut self.aborted,
            Cause::Served => &mut self.served,
            #[cfg(feature = "tls")]
            Cause::Tls(_) => &mut self.tls,
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CloseCode;

    #[test]
    fn each_status_and_code_is_counted_in_its_place() {
        let mut statuses = StatusCounts::default();
        for status in [400, 505, 505, 418, 599] {
            statuses.count(status);
        }
        assert_eq!((statuses.of(400), statuses.of(505), statuses.of(418), statuses.others()), (1, 2, 0, 2));
        assert_eq!((statuses.total(), statuses.iter().map(|(_, count)| count).sum::<u64>()), (5, 3));
        assert_eq!(format!("{statuses:?}"), "{400: 1, 505: 2, others: 2}");

        let mut codes = CloseCounts::default();
        codes.count(None);
        codes.count(Some(&CloseFrame::default()));
        for code in [1000, 1014, 3000, 4999] {
            codes.count(Some(&CloseFrame::new(CloseCode::new(code).unwrap(), "")));
        }
        assert_eq!((codes.total(), codes.others(), codes.of(999), codes.of(1016), codes.of(3000)), (6, 2, 0, 0, 0));
        assert_eq!(format!("{codes:?}"), "{1000: 1, 1005: 1, 1006: 1, 1014: 1, others: 2}");
    }
}
