//! Masking (RFC 6455 section 5.3): octet i of the payload is XORed with octet i mod 4 of the key.

/// Masks or unmasks `payload` in place; the two are the same operation. `offset` is the position of its first byte
/// in the frame's payload, so that a payload can be unmasked in the pieces in which it arrives.
///
/// ```
/// use wireroom::frame::apply_mask;
///
/// let mut hello = [0x7f, 0x9f, 0x4d, 0x51, 0x58]; // the example of section 5.7
/// apply_mask(&mut hello, [0x37, 0xfa, 0x21, 0x3d], 0);
/// assert_eq!(&hello, b"Hello");
/// ```
#[inline]
pub fn apply_mask(payload: &mut [u8], key: [u8; 4], offset: usize) {
    let key = u32::from_le_bytes(key).rotate_right(offset as u32 % 4 * 8);
    let wide = u64::from(key) << 32 | u64::from(key);
    let mask = |word: &mut [u8; 8]| *word = (u64::from_le_bytes(*word) ^ wide).to_le_bytes();
    // Blocks of 32 bytes become vector instructions; the tail is at most 31 bytes.
    let (blocks, tail) = payload.as_chunks_mut::<32>();
    for block in blocks {
        block.as_chunks_mut::<8>().0.iter_mut().for_each(mask);
    }
    let (words, tail) = tail.as_chunks_mut::<8>();
    words.iter_mut().for_each(mask);
    for (byte, key) in tail.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_5_3_each_octet_by_key_octet_i_mod_4() {
        let key = [0x11, 0x22, 0x33, 0x44];
        for length in 0..100 {
            for offset in 0..8 {
                let plain: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
                let mut masked = plain.clone();
                apply_mask(&mut masked, key, offset);
                for (i, byte) in masked.iter().enumerate() {
                    assert_eq!(*byte, plain[i] ^ key[(i + offset) % 4]);
                }
            }
        }
    }
}
