//! What a role tells the one who started it: lines of words.

use std::{
    collections::BTreeMap,
    fmt::Display,
    io::{self, BufWriter, Stdout, Write},
};

/// More differences than these are only counted: one fault may show a million times.
const TOLD: usize = 20;

#[derive(Debug)]
pub(crate) struct Report {
    out: BufWriter<Stdout>,
    faults: usize,
    counts: BTreeMap<String, u64>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { out: BufWriter::new(io::stdout()), faults: 0, counts: BTreeMap::new() }
    }

    pub(crate) fn line(&mut self, line: impl Display) {
        // Nobody listens any more: `quit` follows.
        let _ = writeln!(self.out, "{line}");
    }

    pub(crate) fn flush(&mut self) {
        let _ = self.out.flush();
    }

    /// Something differs from what it has to be.
    pub(crate) fn fault(&mut self, what: impl Display) {
        self.faults += 1;
        if self.faults <= TOLD {
            self.line(format_args!("fault {what}"));
            self.flush();
        }
    }

    pub(crate) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fault(what());
        }
    }

    pub(crate) fn add(&mut self, name: &str, n: u64) {
        match self.counts.get_mut(name) {
            Some(count) => *count += n,
            None => _ = self.counts.insert(name.to_owned(), n),
        }
    }

    /// Keeps the largest of what was told under this name.
    pub(crate) fn at_most(&mut self, name: &str, n: u64) {
        let most = self.count(name).max(n);
        self.counts.insert(name.to_owned(), most);
    }

    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Of all names that begin like this.
    pub(crate) fn sum(&self, beginning: &str) -> u64 {
        self.counts.iter().filter(|(name, _)| name.starts_with(beginning)).map(|(_, n)| n).sum()
    }

    /// `word` and every count as `name=value`.
    pub(crate) fn tell_counts(&mut self, word: &str, more: &[(&str, u64)]) {
        let mut line = word.to_owned();
        let counts = self.counts.iter().map(|(name, value)| (name.as_str(), *value));
        for (name, value) in counts.chain(more.iter().copied()).chain([("faults", self.faults as u64)]) {
            line.push_str(&format!(" {name}={value}"));
        }
        self.line(line);
        self.flush();
    }
}

/// The counts of such a line.
pub(crate) fn read_counts(line: &str) -> BTreeMap<String, u64> {
    let pairs = line.split(' ').filter_map(|word| word.split_once('='));
    pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}
