//! `Sec-WebSocket-Accept`: base64(sha1(key + GUID)).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use crate::http::ByteSet;

/// RFC 6455, 1.3: the "Globally Unique Identifier" that no other protocol would append.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Base64 of the 20 bytes of SHA-1.
pub(crate) type AcceptKey = [u8; 28];

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455, section 4.2.2, item 5.4).
///
/// The handshakes here use it by themselves; it is for those who upgrade under an HTTP server of their own.
///
/// ```
/// use wireroom::handshake::accept_key;
///
/// assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
pub fn accept_key(key: &str) -> String {
    encode_accept_key(key.as_bytes()).iter().map(|&byte| char::from(byte)).collect()
}

/// The same without an allocation.
pub(crate) fn encode_accept_key(key: &[u8]) -> AcceptKey {
    let digest = match key.try_into() {
        // A key of the length that a handshake lets through: one piece is hashed faster than two.
        Ok(key) => Sha1::digest(key_and_guid(key)),
        Err(_) => Sha1::new_with_prefix(key).chain_update(GUID).finalize(),
    };
    let mut out = [0; 28];
    // 20 bytes always make 28: there is no other length to report.
    let encoded = STANDARD.encode_slice(digest, &mut out);
    debug_assert_eq!(encoded, Ok(28));
    out
}

fn key_and_guid(key: &[u8; 24]) -> [u8; 60] {
    let mut both = [0; 60];
    both[..24].copy_from_slice(key);
    both[24..].copy_from_slice(GUID);
    both
}

/// RFC 6455, 4.2.1, item 5: "a base64-encoded [..] value that, when decoded, is 16 bytes in length": 22 digits
/// and two pads. Unused bits of the last digit are not looked at (RFC 4648, 3.5 leaves that open).
pub(crate) fn is_valid_key(key: &[u8]) -> bool {
    matches!(key, [digits @ .., b'=', b'='] if digits.len() == 22 && ByteSet::BASE64.has_all(digits))
}

/// RFC 6455, 4.1: "a nonce consisting of a randomly selected 16-byte value that has been base64-encoded".
pub(crate) fn encode_nonce(nonce: [u8; 16]) -> [u8; 24] {
    let mut out = [0; 24];
    let encoded = STANDARD.encode_slice(nonce, &mut out);
    debug_assert_eq!(encoded, Ok(24));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6455_section_1_3_example() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(&encode_nonce(*b"the sample nonce"), b"dGhlIHNhbXBsZSBub25jZQ==");
    }

    #[test]
    fn rfc6455_section_4_2_1_key_is_base64_of_16_bytes() {
        assert!(is_valid_key(b"dGhlIHNhbXBsZSBub25jZQ==") && is_valid_key(b"+/+/+/+/+/+/+/+/+/+/+A=="));
        for bad in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQQ=",
            "dGhlIHNhbXBsZSBub25jZQQQ",
            "dGhlIHNhbXBsZSBub25j==",
            "dGhlIHNhbXBs-SBub25jZQ==",
            "dGhlIHNhbXBsZSBub25jZQ===",
        ] {
            assert!(!is_valid_key(bad.as_bytes()), "{bad}");
        }
    }
}
