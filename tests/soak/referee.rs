//! What each client did, against how the server says that it ended.

use std::collections::{BTreeMap, HashMap};

/// Numbers of client processes are the upper bits of their clients' numbers.
const PROCESS: u32 = 40;

#[derive(Debug, Default)]
pub(crate) struct Referee {
    did: HashMap<u64, String>,
    ended: HashMap<u64, String>,
    unopened: BTreeMap<String, u64>,
    pub(crate) faults: Vec<String>,
    pub(crate) judged: u64,
    early: u64,
    /// From this process on, clients were killed: they tell nothing.
    killed_from: u64,
}

impl Referee {
    pub(crate) fn new(killed_from: u64) -> Self {
        Self { killed_from, ..Self::default() }
    }

    pub(crate) fn did(&mut self, number: u64, did: &str) {
        if number >> PROCESS >= self.killed_from {
            return;
        }
        self.early += u64::from(did == "early");
        match self.ended.remove(&number) {
            Some(label) => self.judge(number, did, &label),
            None => _ = self.did.insert(number, did.to_owned()),
        }
    }

    pub(crate) fn ended(&mut self, number: u64, label: &str) {
        if number >> PROCESS >= self.killed_from {
            self.judged += 1;
            return;
        }
        match self.did.remove(&number) {
            Some(did) => self.judge(number, &did, label),
            None => {
                if self.ended.insert(number, label.to_owned()).is_some() {
                    self.faults.push(format!("{number} ended twice, by the server"));
                }
            }
        }
    }

    /// A connection that never opened.
    pub(crate) fn unopened(&mut self, label: &str) {
        *self.unopened.entry(label.to_owned()).or_default() += 1;
    }

    fn judge(&mut self, number: u64, did: &str, label: &str) {
        self.judged += 1;
        let reset = label.starts_with("io:");
        let right = match did {
            "close" | "kicked" | "drip" => label == "clean",
            "killed" => label == "aborted",
            "abort" | "early" | "fin" => label == "eof" || reset,
            "half-close" | "half-frame" => label == "eof",
            "reset" => reset,
            "vanish" => label == "timeout:keepalive",
            "mute" => label == "timeout:close",
            _ => did.strip_prefix("fault:").is_some_and(|fault| label.strip_prefix("failed:") == Some(fault)),
        };
        if !right {
            self.faults.push(format!("{number} did {did:?}, and by the server ended {label:?}"));
        }
    }

    /// Nothing is left over: `expected` are the clients' counts of connections that never opened.
    /// Answers how many the server never saw.
    pub(crate) fn finish(&mut self, expected: &BTreeMap<String, u64>) -> u64 {
        for (number, label) in self.ended.drain() {
            self.faults.push(format!("{number} ended {label:?}, by the server; its client never said so"));
        }
        let missing: Vec<_> = self.did.drain().collect();
        let mut early = 0;
        for (number, did) in missing {
            match did.as_str() {
                // Before the server had answered.
                "early" => early += 1,
                _ => self.faults.push(format!("{number} did {did:?}, and by the server never ended")),
            }
        }
        let mut more = 0;
        for label in expected.keys().chain(self.unopened.keys()).collect::<std::collections::BTreeSet<_>>() {
            let count = |map: &BTreeMap<String, u64>| map.get(label).copied().unwrap_or(0);
            let (told, meant) = (count(&self.unopened), count(expected));
            let may_be_early = label == "handshake:eof" || label.starts_with("io:");
            if told < meant || (told > meant && !may_be_early) {
                self.faults.push(format!("{told} ended unopened with {label}, {meant} should have"));
            }
            more += told.saturating_sub(meant);
        }
        if more > early {
            self.faults.push(format!("{more} unopened connections ended early, {early} should have"));
        }
        // The others were given up by their clients while they waited to be accepted.
        early.saturating_sub(more)
    }
}
