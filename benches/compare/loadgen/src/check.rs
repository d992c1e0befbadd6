//! Is what comes back what it has to be? Every message is counted and its length checked; the content of the first two of
//! a connection, and of one in sixteen after them, byte by byte. Compressed replies are inflated: all of those of the
//! first connection, and the first one of each other, for inflating all would cost the load generator its time.

use flate2::{Decompress, FlushDecompress};

use crate::{
    frames::Sink,
    options::Deflate,
    ring::{Ring, TAIL},
};

/// Where a connection stands in the ring.
#[derive(Debug, Default)]
pub struct Expectation {
    first: usize,
    pub received: u64,
    /// Payload bytes on the wire.
    pub wire: u64,
    /// Compressed bytes of the message under way.
    body: Vec<u8>,
    /// Inflates every reply.
    inflater: Option<Box<Decompress>>,
}

impl Expectation {
    /// The message that comes next.
    pub fn start_at(&mut self, message: usize) {
        self.first = message;
        self.received = 0;
    }

    pub fn inflate_all(&mut self) {
        self.inflater = Some(Box::new(Decompress::new(false)));
    }
}

#[derive(Debug)]
pub struct Check<'c> {
    expectation: &'c mut Expectation,
    ring: &'c Ring,
    pub messages: u64,
    pub closed: bool,
}

impl<'c> Check<'c> {
    pub fn new(expectation: &'c mut Expectation, ring: &'c Ring) -> Self {
        Self { expectation, ring, messages: 0, closed: false }
    }

    fn expected(&self) -> &'c [u8] {
        let number = self.expectation.first as u64 + self.expectation.received;
        &self.ring.expected[(number % self.ring.len() as u64) as usize]
    }

    fn inflates(&self) -> bool {
        self.ring.deflate != Deflate::Off && (self.expectation.inflater.is_some() || self.expectation.received == 0)
    }

    fn check_inflated(&mut self, compressed: bool) {
        let (expected, received) = (self.expected(), self.expectation.received);
        let mut body = std::mem::take(&mut self.expectation.body);
        if compressed {
            body.extend_from_slice(&TAIL);
            let mut once = Decompress::new(false);
            let inflater = self.expectation.inflater.as_deref_mut().unwrap_or(&mut once);
            if self.ring.deflate == Deflate::NoTakeover {
                inflater.reset(false);
            }
            let mut plain = Vec::with_capacity(expected.len() + 1024);
            inflater.decompress_vec(&body, &mut plain, FlushDecompress::Sync).expect("a reply that can be inflated");
            assert!(plain == expected, "reply {received} inflates to something else");
            body.clear();
        } else {
            assert!(body == expected, "reply {received} differs, and is not compressed");
            body.clear();
        }
        self.expectation.body = body;
    }
}

impl Sink for Check<'_> {
    fn chunk(&mut self, bytes: &[u8], offset: u64) {
        let received = self.expectation.received;
        if self.ring.deflate != Deflate::Off {
            if self.inflates() {
                self.expectation.body.extend_from_slice(bytes);
            }
        } else if received < 2 || received % 16 == 0 {
            let offset = offset as usize;
            let same = self.expected().get(offset..offset + bytes.len()) == Some(bytes);
            assert!(same, "reply {received} differs between {offset} and {}", offset + bytes.len());
        }
    }

    fn message(&mut self, length: u64, compressed: bool) {
        if self.inflates() {
            self.check_inflated(compressed);
        } else if self.ring.deflate == Deflate::Off {
            assert!(!compressed, "RSV1 without an extension");
            let expected = self.expected().len() as u64;
            assert!(length == expected, "a reply of {length} bytes in place of {expected}");
        }
        self.expectation.wire += length;
        self.expectation.received += 1;
        self.messages += 1;
    }

    fn close(&mut self) {
        self.closed = true;
    }
}
