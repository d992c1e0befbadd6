//! UTF-8 as bytes arrive (RFC 6455 section 8.1), by the standard library or by simdutf8.

/// The text, if `bytes` are UTF-8.
pub(crate) fn check(bytes: &[u8]) -> Option<&str> {
    #[cfg(feature = "simdutf8")]
    return simdutf8::basic::from_utf8(bytes).ok();
    #[cfg(not(feature = "simdutf8"))]
    return std::str::from_utf8(bytes).ok();
}

/// Is a text below 64 bytes UTF-8? It is looked at as a whole, and no `str` is made of it: that costs who asks for one, and
/// takes most of the time off for those who pass it on. `None`: that would be no faster.
#[inline]
pub(crate) fn check_short(bytes: &[u8]) -> Option<bool> {
    if bytes.len() >= 64 {
        return None;
    }
    if bytes.is_ascii() { Some(true) } else { check_padded(bytes) }
}

/// simdutf8 hands texts below 64 bytes to the standard library. With zeros behind them they are long enough for vectors, and
/// a character that is cut off by the zeros is a fault all the same.
#[cfg(feature = "simdutf8")]
#[inline]
fn check_padded(bytes: &[u8]) -> Option<bool> {
    let mut padded = [0; 64];
    padded.get_mut(..bytes.len()).filter(|_| bytes.len() >= 16)?.copy_from_slice(bytes);
    Some(simdutf8::basic::from_utf8(&padded).is_ok())
}

#[cfg(not(feature = "simdutf8"))]
#[inline]
fn check_padded(_: &[u8]) -> Option<bool> {
    None
}

/// How many leading bytes are whole characters, where the rest can still become one; `None` when it cannot, whatever
/// follows. The rest is at most 3 bytes.
pub(crate) fn check_prefix(bytes: &[u8]) -> Option<usize> {
    // Where the fault lies nobody asks, and what does not ask is faster: so the last character is looked at apart.
    let (whole, rest) = bytes.split_at(bytes.len() - unfinished(bytes));
    check(whole)?;
    match std::str::from_utf8(rest) {
        Err(error) if error.error_len().is_some() => None,
        _ => Some(whole.len()),
    }
}

/// How many bytes at the end begin a character and do not end it.
fn unfinished(bytes: &[u8]) -> usize {
    let lead = bytes.iter().rev().take(3).position(|byte| byte & 0xC0 != 0x80);
    let Some(behind) = lead else { return 0 };
    let length = match bytes[bytes.len() - 1 - behind] {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    };
    if behind + 1 < length { behind + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_8_1_a_prefix_fails_with_the_first_byte_that_cannot_follow() {
        assert_eq!(check_prefix("aé".as_bytes()), Some(3));
        assert_eq!(check_prefix(b"a\xC3"), Some(1));
        assert_eq!(check_prefix(b"a\xF0\x9F\x98"), Some(1));
        assert_eq!(check_prefix(b"a\x80"), None);
        assert_eq!(check_prefix(b"\x80\x80\x80"), None);
        assert_eq!(check_prefix(b"\xC3\xA9\x80"), None);
        assert_eq!(check_prefix(b""), Some(0));
        // a surrogate, an overlong form, a point above U+10FFFF: known by their second byte
        assert_eq!(check_prefix(b"\xED\xA0"), None);
        assert_eq!(check_prefix(b"\xE0\x80"), None);
        assert_eq!(check_prefix(b"\xF4\x90"), None);
        assert_eq!(check_prefix(b"\xFF"), None);
        assert_eq!(check("κόσμε".as_bytes()), Some("κόσμε"));
        assert_eq!(check(b"\xC3"), None);
    }

    #[test]
    fn short_texts_are_judged_as_the_standard_library_does() {
        let text = "a\u{7f}é\u{80}κόσμε 漢字\u{7ff}\u{800}\u{ffff}\u{10000}😀\u{10ffff}ab\0".as_bytes();
        for length in 0..=text.len() {
            for from in 0..text.len() - length {
                for (place, byte) in [(0, text[from]), (length / 2, 0xFF), (length / 2, 0x80), (length, 0xC3)] {
                    let mut bytes = text[from..from + length].to_vec();
                    if let Some(at) = bytes.get_mut(place) {
                        *at = byte;
                    }
                    let short = check_short(&bytes);
                    let expected = bytes.is_ascii() || (cfg!(feature = "simdutf8") && length >= 16);
                    assert_eq!(short.is_some(), expected && length < 64);
                    assert!(short.is_none_or(|valid| valid == std::str::from_utf8(&bytes).is_ok()), "{bytes:x?}");
                }
            }
        }
    }

    #[test]
    fn any_four_bytes_are_judged_as_the_standard_library_does() {
        // One byte of each class of section 3 of RFC 3629, and the edges between them.
        let bytes = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0,
            0xF1, 0xF4, 0xF5, 0xFF,
        ];
        for n in 0..bytes.len().pow(4) {
            let all = [0, 1, 2, 3].map(|place| bytes[n / bytes.len().pow(place) % bytes.len()]);
            for length in 0..=4 {
                let expected = match std::str::from_utf8(&all[..length]) {
                    Ok(_) => Some(length),
                    Err(error) => error.error_len().is_none().then_some(error.valid_up_to()),
                };
                assert_eq!(check_prefix(&all[..length]), expected, "{:x?}", &all[..length]);
            }
        }
    }
}
