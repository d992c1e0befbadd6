//! What one member has seen of a room, over any number of connections: each message once, in the order of seq.

use std::collections::BTreeMap;

use crate::{
    Failure,
    messages::{FromServer, Stored},
};

/// A message as a member keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) seq: u64,
    pub(crate) id: String,
    pub(crate) from: String,
    pub(crate) text: String,
}

impl From<&Stored<'_>> for Seen {
    fn from(stored: &Stored<'_>) -> Self {
        let Stored { seq, id, from, text } = stored;
        Self { seq: *seq, id: id.to_string(), from: from.to_string(), text: text.to_string() }
    }
}

/// The page does the same: history pages move what one has without a gap until there are no more, and from then on
/// what is said live does.
#[derive(Default)]
pub(crate) struct Cursor {
    pub(crate) seen: Vec<Seen>,
    catching_up: bool,
    /// Said live while the history is still read.
    waiting: BTreeMap<u64, Seen>,
    /// The last seq said live on this connection.
    last_live: u64,
}

impl Cursor {
    /// The seq of the last message without a gap.
    pub(crate) fn have(&self) -> u64 {
        self.seen.last().map_or(0, |seen| seen.seq)
    }

    /// True when nothing is missing up to what was said last.
    pub(crate) fn is_up_to_date(&self) -> bool {
        !self.catching_up
    }

    /// A new connection is in the room.
    pub(crate) fn joined(&mut self) {
        self.catching_up = true;
        self.last_live = 0;
    }

    /// Takes a `said` or a `history`; answers true when the next page has to be asked for, after [`Cursor::have`].
    pub(crate) fn handle(&mut self, message: &FromServer<'_>) -> Result<bool, Failure> {
        if message.kind == "said" {
            let FromServer { seq, id, from, text, .. } = message;
            if *seq <= self.last_live {
                return Err(format!("{seq} was said behind {}", self.last_live).into());
            }
            self.last_live = *seq;
            let seen = Seen { seq: *seq, id: id.to_string(), from: from.to_string(), text: text.to_string() };
            if self.catching_up {
                self.waiting.insert(*seq, seen);
            } else {
                self.keep(seen);
            }
            return Ok(false);
        }
        if message.kind != "history" {
            return Ok(false);
        }
        if let Some(pair) = message.messages.windows(2).find(|pair| pair[0].seq >= pair[1].seq) {
            return Err(format!("a page of the history has {} behind {}", pair[1].seq, pair[0].seq).into());
        }
        let before = self.have();
        for stored in &message.messages {
            self.keep(stored.into());
        }
        if message.more && self.have() == before {
            return Err("a page of the history promises more, and holds nothing new".into());
        }
        if !message.more {
            self.catching_up = false;
            for seen in std::mem::take(&mut self.waiting).into_values() {
                self.keep(seen);
            }
        }
        Ok(message.more)
    }

    /// What came by both ways is kept once.
    fn keep(&mut self, seen: Seen) {
        if seen.seq > self.have() {
            self.seen.push(seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(cursor: &mut Cursor, json: &str) -> Result<bool, String> {
        cursor.handle(&serde_json::from_str(json).unwrap()).map_err(|error| error.to_string())
    }

    fn seqs(cursor: &Cursor) -> Vec<u64> {
        cursor.seen.iter().map(|seen| seen.seq).collect()
    }

    #[test]
    fn what_is_said_while_history_is_read_comes_behind_it_once() {
        let mut cursor = Cursor::default();
        cursor.joined();
        assert_eq!(handle(&mut cursor, r#"{"type":"said","seq":9,"id":"i"}"#), Ok(false));
        assert_eq!(handle(&mut cursor, r#"{"type":"history","messages":[{"seq":2},{"seq":4}],"more":true}"#), Ok(true));
        assert_eq!(seqs(&cursor), [2, 4]);
        assert!(!cursor.is_up_to_date());
        assert_eq!(
            handle(&mut cursor, r#"{"type":"history","messages":[{"seq":8},{"seq":9}],"more":false}"#),
            Ok(false)
        );
        assert_eq!(handle(&mut cursor, r#"{"type":"said","seq":12}"#), Ok(false));
        assert_eq!(seqs(&cursor), [2, 4, 8, 9, 12]);
        assert!(cursor.is_up_to_date());
    }

    #[test]
    fn what_is_said_out_of_order_is_an_error_but_on_a_new_connection() {
        let mut cursor = Cursor::default();
        handle(&mut cursor, r#"{"type":"said","seq":9}"#).unwrap();
        assert_eq!(handle(&mut cursor, r#"{"type":"said","seq":7}"#), Err("7 was said behind 9".to_owned()));
        cursor.joined();
        assert_eq!(handle(&mut cursor, r#"{"type":"said","seq":7}"#), Ok(false));
    }

    #[test]
    fn a_page_out_of_order_is_an_error_and_so_is_one_that_promises_more_and_holds_nothing() {
        let mut cursor = Cursor::default();
        assert!(handle(&mut cursor, r#"{"type":"history","messages":[{"seq":2},{"seq":1}],"more":true}"#).is_err());
        assert!(handle(&mut cursor, r#"{"type":"history","messages":[],"more":true}"#).is_err());
    }
}
