//! What a client would send.

/// What a payload is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A text without any byte above 0x7F.
    Ascii,
    /// A text that is ASCII but for one word in each line.
    Sparse,
    /// A text in several scripts: characters of 1 to 4 bytes.
    Mixed,
    /// Bytes that are not UTF-8.
    Binary,
}

const SPARSE: &str = "hello, мир! 32 bytes of a text....";
const MIXED: &str = "Съешь ещё этих мягких булок, 漢字かな交じり文 你好，世界！한국어 👋🌍🚀 naïve café. ";
const ASCII: &str = "The quick brown fox jumps over the lazy dog; 0123456789 times. ";

/// Exactly `size` bytes.
pub(crate) fn payload(content: Content, size: usize) -> Vec<u8> {
    match content {
        Content::Ascii => ASCII.bytes().cycle().take(size).collect(),
        Content::Binary => (0..size).map(|i| (i * 167 + 128) as u8 | 0x80).collect(),
        Content::Sparse => text(SPARSE, size),
        Content::Mixed => text(MIXED, size),
    }
}

/// `line` over and over; where a character would be cut, dots take its place.
fn text(line: &str, size: usize) -> Vec<u8> {
    let mut text = String::with_capacity(size + 3);
    for character in line.chars().cycle() {
        if text.len() + character.len_utf8() > size {
            break;
        }
        text.push(character);
    }
    let mut bytes = text.into_bytes();
    bytes.resize(size, b'.');
    bytes
}

/// `count` masked messages of `size` bytes, each in fragments of at most `fragment` bytes.
pub(crate) fn masked(content: Content, count: usize, size: usize, fragment: usize) -> Vec<u8> {
    let payload = payload(content, size);
    let opcode = if content == Content::Binary { 0x2 } else { 0x1 };
    let mut bytes = Vec::new();
    let mut seed = 0x1234_5678_u32;
    for _ in 0..count {
        let fragments = payload.len().div_ceil(fragment).max(1);
        for (i, part) in payload.chunks(fragment).enumerate() {
            let fin = if i + 1 == fragments { 0x80 } else { 0 };
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            put_masked(&mut bytes, fin | if i == 0 { opcode } else { 0 }, part, seed.to_ne_bytes());
        }
    }
    bytes
}

/// Appends one masked frame; `first` is its first byte.
pub(crate) fn put_masked(out: &mut Vec<u8>, first: u8, payload: &[u8], key: [u8; 4]) {
    out.push(first);
    match payload.len() {
        length @ 0..126 => out.push(0x80 | length as u8),
        length @ 126..65_536 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}
