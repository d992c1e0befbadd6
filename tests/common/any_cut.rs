//! Any cut, same events: however the bytes of a conversation were cut on their way, the user sees the same, the peer
//! is sent the same, and the end has the same cause. For `tests/cuts.rs` and for the fuzzer.

use std::sync::Arc;

use bytes::BufMut;
use wireroom::{CloseCode, Config, Direction, RecvBuffer, Transport, WatchedFrame, handshake::Extensions};

use super::{Role, Seen};

/// The endpoint that reads.
pub struct Reader {
    pub role: Role,
    /// What it asks for was agreed on.
    pub config: Arc<Config>,
    /// It has sent a Close frame of its own before.
    pub closing: bool,
    /// So many frames are kept for who watches them.
    pub watched: usize,
}

/// What one endpoint did with the bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub seen: Vec<Seen>,
    pub sent: Vec<u8>,
    pub watched: Vec<WatchedFrame>,
    pub transport: Transport,
}

#[cfg(not(feature = "deflate"))]
fn extensions(_: &Config) -> Extensions {
    Extensions::none()
}

#[cfg(feature = "deflate")]
fn extensions(config: &Config) -> Extensions {
    let deflate = config.permessage_deflate();
    deflate.map(|deflate| Extensions::none().with_deflate(deflate.terms())).unwrap_or_default()
}

impl Reader {
    /// Reads `bytes`, cut at each of `cuts`, then the end of the stream.
    pub fn read(&self, bytes: &[u8], cuts: &[usize]) -> Outcome {
        let now = super::start();
        let mut connection = super::connection_with(self.role, self.config.clone(), extensions(&self.config), now);
        let mut rx = RecvBuffer::new();
        let (seen, sent, watched) = (Vec::new(), Vec::new(), Vec::new());
        let mut outcome = Outcome { seen, sent, watched, transport: Transport::Open };
        connection.watch_frames(self.watched);
        if self.closing {
            connection.close(CloseCode::GOING_AWAY, "bye", now);
        }
        let ends = cuts.iter().copied().chain([bytes.len()]);
        let mut start = 0;
        for (end, eof) in ends.map(|end| (end, false)).chain([(bytes.len(), true)]) {
            rx.extend(&bytes[start..end]);
            start = end;
            if eof {
                connection.handle_eof();
            }
            loop {
                while let Some(event) = connection.poll_event(&mut rx, now) {
                    outcome.seen.push(event.into());
                }
                outcome.sent.put(connection.transmit());
                if !connection.wants_poll() {
                    break;
                }
            }
        }
        outcome.watched.extend(std::iter::from_fn(|| connection.poll_frame()));
        outcome.transport = connection.transport();
        outcome
    }

    /// Reads `bytes` whole, cut at `cuts`, and byte by byte: the outcome is the same, and ends in one `Closed`.
    pub fn same_for_any_cut(&self, bytes: &[u8], cuts: &[usize]) -> Outcome {
        let every_byte: Vec<usize> = (1..bytes.len()).collect();
        let whole = self.read(bytes, &[]).join_parts(&self.config);
        let closed = whole.seen.iter().filter(|seen| matches!(seen, Seen::Closed(_))).count();
        assert!(closed == 1 && matches!(whole.seen.last(), Some(Seen::Closed(_))), "one Closed: {whole:?}");
        assert_eq!(whole.transport, Transport::Close);
        assert_eq!(self.read(bytes, cuts).join_parts(&self.config), whole, "cut at {cuts:?}");
        assert_eq!(self.read(bytes, &every_byte).join_parts(&self.config), whole, "byte by byte");
        whole
    }
}

impl Outcome {
    /// Parts are cut where the bytes were: adjacent ones become one. What was handed out of a text before the bytes that
    /// are not UTF-8 is as long as the reads made it, so there it does not count; nor does what was inflated before data
    /// that are broken, or too much.
    pub fn join_parts(mut self, config: &Config) -> Self {
        let mut joined: Vec<Seen> = Vec::new();
        for seen in self.seen {
            match (joined.last_mut(), seen) {
                (
                    Some(Seen::Part { kind, bytes, last: last @ false, .. }),
                    Seen::Part { kind: next, bytes: more, first, last: ends },
                ) => {
                    assert!(!first && *kind == next, "a part that does not continue its message");
                    bytes.extend(more);
                    *last = ends;
                }
                (_, seen) => joined.push(seen),
            }
        }
        if let [.., part, Seen::Closed(ending)] = &mut joined[..]
            && (ending.cause == "Failed(InvalidUtf8)"
                || ending.cause == "Failed(InvalidDeflate)"
                || (extensions(config).deflate().is_some() && ending.cause.starts_with("Failed(MessageTooBig")))
            && matches!(part, Seen::Part { last: false, .. })
        {
            let at = joined.len() - 2;
            joined.remove(at);
        }
        // The frame that breaks a rule may be seen to do so before the bytes have come of which a watcher is told.
        let failed = matches!(joined.last(), Some(Seen::Closed(ending)) if ending.cause.starts_with("Failed"));
        if let Some(at) = self.watched.iter().rposition(|frame| failed && frame.direction == Direction::Received) {
            self.watched.remove(at);
        }
        self.seen = joined;
        self
    }
}
