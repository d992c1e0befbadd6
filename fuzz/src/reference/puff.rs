//! DEFLATE (RFC 1951) a bit at a time, and the messages that RFC 7692 section 7.2.2 makes of it: slow, short, and by
//! another hand than zlib's. Named for Mark Adler's puff, whose notion of a valid code is zlib's.

/// RFC 7692, 7.2.2: what is appended to each message.
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// The receiver's side of one direction.
#[derive(Default)]
pub struct Puff {
    /// Output since the stream began, as far back as a distance reaches.
    history: Vec<u8>,
    /// Bits of the last message's tail that belong to the next one. No sender leaves any.
    carry: (u64, usize),
    /// The largest distance that was used.
    pub farthest: usize,
}

/// A message cannot be inflated.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken;

/// Where a message stands while it is read.
struct Reader<'m> {
    message: &'m [u8],
    /// Bytes of the message with its tail that are in `hold`, or were.
    loaded: usize,
    hold: u64,
    held: usize,
    most: usize,
    out: Vec<u8>,
    /// Output that took bits of the tail.
    out_of_tail: bool,
}

impl Puff {
    /// Forgets the window: the next message begins without context.
    pub fn reset(&mut self) {
        self.history.clear();
        self.carry = (0, 0);
    }

    /// Inflates one message to at most `most` bytes, or as many before it breaks; what is above is cut off, and its validity
    /// is then not known.
    pub fn message(&mut self, message: &[u8], most: usize) -> (Vec<u8>, Result<(), Broken>) {
        let carry = std::mem::take(&mut self.carry);
        if message.is_empty() {
            self.carry = carry;
            return (Vec::new(), Ok(()));
        }
        let (hold, held) = carry;
        let mut reader = Reader { message, loaded: 0, hold, held, most, out: Vec::new(), out_of_tail: false };
        let result = self.blocks(&mut reader);
        (reader.out, result)
    }

    fn blocks(&mut self, reader: &mut Reader<'_>) -> Result<(), Broken> {
        let (payload, whole) = (reader.message.len() * 8, reader.message.len() * 8 + 32);
        loop {
            let last = reader.bits(1)? == 1;
            match reader.bits(2)? {
                0 => self.stored(reader)?,
                1 => {
                    let lengths: Vec<u8> = (0..288)
                        .map(|symbol| match symbol {
                            0..144 => 8,
                            144..256 => 9,
                            256..280 => 7,
                            _ => 8,
                        })
                        .collect();
                    self.symbols(reader, &Code::new(&lengths), &Code::new(&[5; 30]))?;
                }
                2 => self.dynamic(reader)?,
                _ => return Err(Broken),
            }
            if reader.out_of_tail {
                return Err(Broken);
            }
            if reader.out.len() >= reader.most {
                return Ok(());
            }
            if last {
                // 7.2.3.4: behind a final block another stream begins, at the next byte.
                self.history.clear();
                reader.align();
                if reader.at() == payload || reader.at() == whole {
                    return Ok(());
                }
                if reader.at() > payload {
                    return Err(Broken);
                }
            } else if reader.at() > payload {
                // The tail has completed a block, and the message ends with it.
                if reader.at() <= whole - 8 {
                    return Err(Broken);
                }
                self.carry = (reader.hold, reader.held);
                return Ok(());
            }
        }
    }

    /// RFC 1951, 3.2.4.
    fn stored(&mut self, reader: &mut Reader<'_>) -> Result<(), Broken> {
        reader.align();
        let (length, complement) = (reader.bits(16)?, reader.bits(16)?);
        if length != !complement & 0xFFFF {
            return Err(Broken);
        }
        for _ in 0..length {
            let byte = reader.bits(8)? as u8;
            self.put(reader, byte);
        }
        Ok(())
    }

    /// RFC 1951, 3.2.7.
    fn dynamic(&mut self, reader: &mut Reader<'_>) -> Result<(), Broken> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let (literals, distances) = (reader.bits(5)? + 257, reader.bits(5)? + 1);
        let count = reader.bits(4)? + 4;
        if literals > 286 || distances > 30 {
            return Err(Broken);
        }
        let mut lengths = [0; 19];
        for place in &ORDER[..count] {
            lengths[*place] = reader.bits(3)? as u8;
        }
        let code = Code::new(&lengths);
        if code.left != 0 {
            return Err(Broken);
        }
        let mut lengths: Vec<u8> = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match code.symbol(reader)? {
                16 => (*lengths.last().ok_or(Broken)?, 3 + reader.bits(2)?),
                17 => (0, 3 + reader.bits(3)?),
                18 => (0, 11 + reader.bits(7)?),
                length => (length as u8, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        if lengths.len() > literals + distances || lengths[256] == 0 {
            return Err(Broken);
        }
        let (literals, distances) = lengths.split_at(literals);
        let (literals, distances) = (Code::new(literals), Code::new(distances));
        if !literals.is_usable() || !distances.is_usable() {
            return Err(Broken);
        }
        self.symbols(reader, &literals, &distances)
    }

    /// RFC 1951, 3.2.5.
    fn symbols(&mut self, reader: &mut Reader<'_>, literals: &Code, distances: &Code) -> Result<(), Broken> {
        const LENGTHS: [usize; 29] = [
            3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
            227, 258,
        ];
        const DISTANCES: [usize; 30] = [
            1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
            4097, 6145, 8193, 12289, 16385, 24577,
        ];
        loop {
            match literals.symbol(reader)? {
                256 => return Ok(()),
                byte @ 0..256 => self.put(reader, byte as u8),
                symbol => {
                    let length = symbol - 257;
                    let extra = if (8..28).contains(&length) { length / 4 - 1 } else { 0 };
                    let length = LENGTHS.get(length).ok_or(Broken)? + reader.bits(extra)?;
                    let symbol = distances.symbol(reader)?;
                    let extra = if symbol >= 4 { symbol / 2 - 1 } else { 0 };
                    let distance = DISTANCES.get(symbol).ok_or(Broken)? + reader.bits(extra)?;
                    if distance > self.history.len().min(32_768) {
                        return Err(Broken);
                    }
                    self.farthest = self.farthest.max(distance);
                    for _ in 0..length {
                        let byte = self.history[self.history.len() - distance];
                        self.put(reader, byte);
                    }
                }
            }
            if reader.out_of_tail || reader.out.len() >= reader.most {
                return Ok(());
            }
        }
    }

    fn put(&mut self, reader: &mut Reader<'_>, byte: u8) {
        if reader.at() > reader.message.len() * 8 {
            // A message that was cut off: its tail is read as something else.
            reader.out_of_tail = true;
            return;
        }
        if self.history.len() > 100_000 {
            self.history.drain(..60_000);
        }
        self.history.push(byte);
        reader.out.push(byte);
    }
}

impl Reader<'_> {
    /// RFC 1951, 3.1.1: the least significant bit first.
    fn bits(&mut self, n: usize) -> Result<usize, Broken> {
        while self.held < n {
            let tail = self.loaded.checked_sub(self.message.len()).map(|place| TAIL.get(place));
            let byte = *tail.unwrap_or_else(|| self.message.get(self.loaded)).ok_or(Broken)?;
            self.hold |= u64::from(byte) << self.held;
            self.held += 8;
            self.loaded += 1;
        }
        let value = self.hold & ((1 << n) - 1);
        self.hold >>= n;
        self.held -= n;
        Ok(value as usize)
    }

    /// Bits of the message with its tail that were read.
    fn at(&self) -> usize {
        (self.loaded * 8).saturating_sub(self.held)
    }

    fn align(&mut self) {
        self.hold >>= self.held % 8;
        self.held -= self.held % 8;
    }
}

/// A canonical Huffman code (RFC 1951, 3.2.2).
struct Code {
    /// How many codes there are of each length.
    count: [usize; 16],
    /// Symbols in the order of their codes.
    symbols: Vec<usize>,
    /// Codes of 15 bits that stand for nothing: negative if there are more symbols than codes.
    left: isize,
}

impl Code {
    fn new(lengths: &[u8]) -> Self {
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        let mut count = [0; 16];
        for symbol in &symbols {
            count[usize::from(lengths[*symbol])] += 1;
        }
        let left = (1..16).fold(1 << 15, |left, length| left - ((count[length] as isize) << (15 - length)));
        Self { count, symbols, left }
    }

    /// zlib: a code is complete, or has one symbol of one bit, or none at all.
    fn is_usable(&self) -> bool {
        self.left == 0 || self.symbols.is_empty() || (self.left > 0 && self.symbols.len() == 1 && self.count[1] == 1)
    }

    fn symbol(&self, reader: &mut Reader<'_>) -> Result<usize, Broken> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.count[1..] {
            code = code << 1 | reader.bits(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
        }
        Err(Broken)
    }
}
