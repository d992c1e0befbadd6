//! Where a stream of bytes is cut: TCP promises no boundaries, so what one write sent may come in any pieces.

/// How bytes are cut into pieces: those that arrive in one read, or that one write takes.
///
/// ```
/// use wireroom::testing::Cuts;
///
/// let pieces = |cuts: Cuts| cuts.pieces(b"wireroom").map(|piece| piece.len()).collect::<Vec<_>>();
/// assert_eq!(pieces(Cuts::whole()), [8]);
/// assert_eq!(pieces(Cuts::byte_by_byte()), [1; 8]);
/// assert_eq!(pieces(Cuts::sizes([3, 2])), [3, 2, 2, 1]); // the last one repeats
/// assert_eq!(pieces(Cuts::at([1, 6])), [1, 5, 2]);
/// assert_eq!(pieces(Cuts::seeded(7)), pieces(Cuts::seeded(7)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cuts(Rule);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Rule {
    #[default]
    Whole,
    /// `next` is the place of the next size.
    Sizes {
        sizes: Vec<usize>,
        next: usize,
    },
    /// Sorted, the next one last.
    At {
        positions: Vec<u64>,
        passed: u64,
    },
    Seeded(u64),
}

impl Cuts {
    /// No cuts: as much as there is.
    pub fn whole() -> Self {
        Self::default()
    }

    /// A cut after each byte.
    pub fn byte_by_byte() -> Self {
        Self::sizes([1])
    }

    /// Pieces of these sizes, one after the other; the last one repeats. A size of 0 counts as 1.
    pub fn sizes(sizes: impl Into<Vec<usize>>) -> Self {
        Self(Rule::Sizes { sizes: sizes.into(), next: 0 })
    }

    /// Cuts at these positions of the stream, counted from its first byte.
    pub fn at(positions: impl Into<Vec<u64>>) -> Self {
        let mut positions = positions.into();
        positions.sort_unstable_by(|a, b| b.cmp(a));
        Self(Rule::At { positions, passed: 0 })
    }

    /// Pieces of one byte, a few, some thousand, or all that there is, as a seed decides: the same for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Rule::Seeded(seed))
    }

    /// How many of `available` bytes the next piece has: at least 1, unless there are none.
    pub fn take(&mut self, available: usize) -> usize {
        if available == 0 {
            return 0;
        }
        let wanted = match &mut self.0 {
            Rule::Whole => available,
            Rule::Sizes { sizes, next } => {
                let size = sizes.get(*next).or(sizes.last()).copied().unwrap_or(available);
                *next = (*next + 1).min(sizes.len());
                size
            }
            Rule::At { positions, passed } => {
                while positions.last().is_some_and(|position| *position <= *passed) {
                    positions.pop();
                }
                let to_cut = positions.last().map_or(u64::MAX, |position| position - *passed);
                usize::try_from(to_cut).unwrap_or(usize::MAX)
            }
            Rule::Seeded(state) => {
                let random = split_mix(state);
                let size = (random >> 8) as usize;
                match random % 4 {
                    0 => 1,
                    1 => 1 + size % 16,
                    2 => 1 + size % 4096,
                    _ => available,
                }
            }
        };
        let n = wanted.clamp(1, available);
        if let Rule::At { passed, .. } = &mut self.0 {
            *passed += n as u64;
        }
        n
    }

    /// `bytes` in pieces.
    pub fn pieces<'b>(mut self, mut bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        std::iter::from_fn(move || {
            let (piece, rest) = bytes.split_at(self.take(bytes.len()));
            bytes = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the next of a row of numbers that a seed determines.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
