//! What one end has said and the other has not heard yet: all of it, in order, but for what a policy lets go.

use std::collections::VecDeque;

use wireroom::Kind;

/// A message that was accepted, or is being written.
#[derive(Debug)]
struct Said {
    kind: Kind,
    bytes: Vec<u8>,
    finished: bool,
    /// It may be dropped for a later one.
    droppable: bool,
    /// A later one of the same key may take its place.
    key: Option<u8>,
}

impl Said {
    fn is(&self, kind: Kind, bytes: &[u8]) -> bool {
        self.finished && self.kind == kind && self.bytes == bytes
    }
}

#[derive(Debug, Default)]
pub(super) struct Line {
    said: VecDeque<Said>,
    /// What was heard of a message in parts.
    heard: Option<(Kind, Vec<u8>)>,
    /// So many were dropped or replaced, as far as what was heard behind them shows.
    gone: u64,
}

impl Line {
    pub(super) fn say(&mut self, kind: Kind, bytes: Vec<u8>, droppable: bool, key: Option<u8>) {
        self.said.push_back(Said { kind, bytes, finished: true, droppable, key });
    }

    pub(super) fn begin(&mut self, kind: Kind) {
        self.said.push_back(Said { kind, bytes: Vec::new(), finished: false, droppable: false, key: None });
    }

    /// The message in fragments that is not finished.
    pub(super) fn unfinished(&self) -> Option<(Kind, usize)> {
        self.said.back().filter(|said| !said.finished).map(|said| (said.kind, said.bytes.len()))
    }

    pub(super) fn go_on(&mut self, bytes: &[u8]) {
        self.said.back_mut().expect("an unfinished one").bytes.extend(bytes);
    }

    pub(super) fn finish(&mut self) {
        self.said.back_mut().expect("an unfinished one").finished = true;
    }

    pub(super) fn len(&self) -> usize {
        self.said.len()
    }

    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    /// A message or a part of one is heard.
    pub(super) fn hear(&mut self, kind: Kind, bytes: &[u8], first: bool, last: bool) {
        assert_eq!(first, self.heard.is_none(), "a part that begins or continues nothing");
        let front = self.said.front().filter(|said| !said.droppable && said.key.is_none());
        let (begun, heard) = self.heard.get_or_insert_with(|| (kind, Vec::new()));
        assert_eq!(*begun, kind);
        if let Some(front) = front {
            let rest = front.bytes.get(heard.len()..).unwrap_or_default();
            assert!(front.kind == kind && rest.starts_with(bytes), "{bytes:?} in place of {rest:?}");
        }
        heard.extend_from_slice(bytes);
        if last {
            let (kind, bytes) = self.heard.take().expect("it");
            self.hear_whole(kind, &bytes);
        }
    }

    /// The first place where it can stand: its own, or that of an earlier one of its key. What stands before was dropped.
    fn hear_whole(&mut self, kind: Kind, bytes: &[u8]) {
        let (mut at, mut by) = (0, None);
        while by.is_none() {
            let Some(said) = self.said.get(at) else { panic!("nobody said {}", bytes.escape_ascii()) };
            let later =
                |key| (at + 1..self.said.len()).find(|&i| self.said[i].key == key && self.said[i].is(kind, bytes));
            by = if said.is(kind, bytes) { Some(at) } else { said.key.and_then(|_| later(said.key)) };
            if by.is_none() {
                assert!(self.may_go(at), "{} in place of {said:?}", bytes.escape_ascii());
                at += 1;
            }
        }
        let (by, key) = (by.expect("found"), self.said[at].key);
        for i in (at..=by).rev().filter(|&i| i == by || self.said[i].key == key).collect::<Vec<_>>() {
            self.said.remove(i);
            self.gone += u64::from(i != by);
        }
        self.said.drain(..at);
        self.gone += at as u64;
    }

    /// It was dropped, or replaced by one that was.
    fn may_go(&self, at: usize) -> bool {
        let said = &self.said[at];
        let later = || self.said.range(at + 1..).any(|later| later.key == said.key && later.droppable);
        said.droppable || (said.key.is_some() && later())
    }

    /// What will still come, however slow the other was. The rest was dropped, and is no longer waited for.
    pub(super) fn missing(&mut self) -> Vec<String> {
        for at in (0..self.said.len()).rev().filter(|&at| self.may_go(at)).collect::<Vec<_>>() {
            self.said.remove(at);
            self.gone += 1;
        }
        self.said.iter().filter(|said| said.finished).map(|said| format!("{said:?}")).collect()
    }
}
