//! Masking keys (RFC 6455 sections 5.3 and 10.3): the caller's entropy.

use std::fmt;

/// Where a client's masking keys come from: "a strong source of entropy" (RFC 6455 section 10.3) that the peer
/// cannot predict. The core has none of its own.
pub struct MaskingKeys(pub(super) Box<dyn FnMut() -> [u8; 4] + Send>);

impl MaskingKeys {
    /// `next` makes a fresh, unpredictable key for each frame.
    pub fn new(next: impl FnMut() -> [u8; 4] + Send + 'static) -> Self {
        Self(Box::new(next))
    }
}

impl fmt::Debug for MaskingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskingKeys")
    }
}
