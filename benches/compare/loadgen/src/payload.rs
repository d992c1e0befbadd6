//! What messages are made of.

/// xorshift64*: random enough for payloads and masking keys, and the same in every run.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Binary,
    Ascii,
    Mixed,
    Json,
}

impl Content {
    pub fn parse(word: &str) -> Result<Self, String> {
        Ok(match word {
            "binary" => Self::Binary,
            "ascii" => Self::Ascii,
            "mixed" => Self::Mixed,
            "json" => Self::Json,
            other => return Err(format!("binary, ascii, mixed or json, and not {other:?}")),
        })
    }

    /// RFC 6455 section 5.2.
    pub fn opcode(self) -> u8 {
        if self == Self::Binary { 0x2 } else { 0x1 }
    }

    /// A message of exactly `size` bytes.
    pub fn make(self, size: usize, random: &mut Random) -> Vec<u8> {
        let mut payload = Vec::with_capacity(size + 128);
        match self {
            Self::Binary => {
                while payload.len() < size {
                    payload.extend_from_slice(&random.next().to_le_bytes());
                }
                payload.truncate(size);
            }
            Self::Ascii => payload.extend((0..size).map(|_| b'a' + (random.next() % 26) as u8)),
            Self::Mixed => mixed(&mut payload, size, random),
            Self::Json => json(&mut payload, size, random),
        }
        payload
    }
}

const MIXED: &str = "Привет, мир! Съешь ещё этих мягких французских булок. \
    漢字かな交じり文の試験です。你好，世界！한국어 시험 👋🌍🚀😀 naïve café ";

fn mixed(payload: &mut Vec<u8>, size: usize, random: &mut Random) {
    let skip = random.next() as usize % MIXED.chars().count();
    for character in MIXED.chars().cycle().skip(skip) {
        if payload.len() + character.len_utf8() > size {
            break;
        }
        payload.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    payload.resize(size, b'.');
}

/// Events as a feed would send them; what does not fit any more is filled with spaces.
fn json(payload: &mut Vec<u8>, size: usize, random: &mut Random) {
    payload.push(b'[');
    loop {
        let r = random.next();
        let item = format!(
            "{{\"id\":{},\"user\":\"user{}\",\"event\":\"{}\",\"price\":{}.{:02},\"active\":{}}},",
            r % 1_000_000,
            (r >> 20) % 5000,
            ["message", "join", "leave", "typing"][(r >> 40) as usize % 4],
            (r >> 8) % 10_000,
            (r >> 33) % 100,
            r & 1 == 0
        );
        if payload.len() + item.len() >= size {
            break;
        }
        payload.extend_from_slice(item.as_bytes());
    }
    if payload.len() > 1 {
        payload.pop();
    }
    payload.push(b']');
    payload.resize(size, b' ');
}
