//! UTF-8 as bytes arrive (RFC 6455 section 8.1), by the standard library or by simdutf8.

/// The text, if `bytes` are UTF-8.
pub(crate) fn check(bytes: &[u8]) -> Option<&str> {
    #[cfg(feature = "simdutf8")]
    return simdutf8::basic::from_utf8(bytes).ok();
    #[cfg(not(feature = "simdutf8"))]
    return std::str::from_utf8(bytes).ok();
}

/// How many leading bytes are whole characters, where the rest can still become one; `None` when it cannot, whatever
/// follows. The rest is at most 3 bytes.
pub(crate) fn check_prefix(bytes: &[u8]) -> Option<usize> {
    #[cfg(feature = "simdutf8")]
    let (valid, error_len) = match simdutf8::compat::from_utf8(bytes) {
        Ok(_) => return Some(bytes.len()),
        Err(error) => (error.valid_up_to(), error.error_len()),
    };
    #[cfg(not(feature = "simdutf8"))]
    let (valid, error_len) = match std::str::from_utf8(bytes) {
        Ok(_) => return Some(bytes.len()),
        Err(error) => (error.valid_up_to(), error.error_len()),
    };
    error_len.is_none().then_some(valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_8_1_a_prefix_fails_with_the_first_byte_that_cannot_follow() {
        assert_eq!(check_prefix("aé".as_bytes()), Some(3));
        assert_eq!(check_prefix(b"a\xC3"), Some(1));
        assert_eq!(check_prefix(b"a\xF0\x9F\x98"), Some(1));
        // a surrogate, an overlong form, a point above U+10FFFF: known by their second byte
        assert_eq!(check_prefix(b"\xED\xA0"), None);
        assert_eq!(check_prefix(b"\xE0\x80"), None);
        assert_eq!(check_prefix(b"\xF4\x90"), None);
        assert_eq!(check_prefix(b"\xFF"), None);
        assert_eq!(check("κόσμε".as_bytes()), Some("κόσμε"));
        assert_eq!(check(b"\xC3"), None);
    }
}
