//! The fuzzer's bytes as choices, read off the front; what is left is what the peer sends.

/// An input that is used up answers 0, so that a shorter one is always a simpler one.
pub struct Choices<'i> {
    rest: &'i [u8],
}

impl<'i> Choices<'i> {
    pub fn new(input: &'i [u8]) -> Self {
        Self { rest: input }
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        first
    }

    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// One of `all`.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    /// At most 7 places, to be taken modulo the length of what they cut.
    pub fn places(&mut self) -> Vec<u16> {
        (0..self.byte() % 8).map(|_| self.short()).collect()
    }

    /// Everything that was not read.
    pub fn rest(self) -> &'i [u8] {
        self.rest
    }

    /// At most `n` bytes.
    pub fn bytes(&mut self, n: usize) -> &'i [u8] {
        let (bytes, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        bytes
    }
}

/// Places as sorted cuts of something that is `length` bytes long.
pub fn cuts(places: &[u16], length: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = places.iter().map(|place| usize::from(*place) % (length + 1)).collect();
    cuts.sort_unstable();
    cuts
}

/// After each byte.
pub fn every_byte(length: usize) -> Vec<usize> {
    (1..length).collect()
}
