//! What RFC 6455 requires of a request to upgrade, beyond HTTP.

use super::accept_key::is_valid_key;
use super::error::UpgradeError;
use super::extensions;
use crate::http::{Known, Request, is_token, trim};

/// RFC 6455, 4.2.1: the requirements on a client's request that are beyond HTTP. Gives the key.
pub(super) fn check_upgrade<'b>(request: &Request<'b>) -> Result<&'b [u8], UpgradeError> {
    let fields = &request.head.fields;
    let bytes = request.bytes;
    // Item 1: "An HTTP/1.1 or higher GET request".
    if request.head.method(bytes) != b"GET" {
        return Err(UpgradeError::Method);
    }
    // Item 4: "A |Connection| header field that includes the token "Upgrade"".
    if !fields.has_token(bytes, Known::Connection, b"upgrade") {
        return Err(UpgradeError::Connection);
    }
    // 11.3.5: "MUST NOT appear more than once in an HTTP request". 4.4: another version is told ours.
    if fields.lines(Known::SecWebSocketVersion) > 1 {
        return Err(UpgradeError::DuplicateVersion);
    }
    if fields.first(bytes, Known::SecWebSocketVersion) != Some(b"13") {
        return Err(UpgradeError::Version);
    }
    // Item 5; 11.3.1: "MUST NOT appear more than once in an HTTP request".
    let key = fields.first(bytes, Known::SecWebSocketKey).ok_or(UpgradeError::MissingKey)?;
    if fields.lines(Known::SecWebSocketKey) > 1 {
        return Err(UpgradeError::DuplicateKey);
    }
    if !is_valid_key(key) {
        return Err(UpgradeError::InvalidKey);
    }
    // 4.1, item 10: "The elements that comprise this value MUST be non-empty strings with characters in the
    // range U+0021 to U+007E not including separator characters".
    if fields.lines(Known::SecWebSocketProtocol) > 0 {
        let mut items =
            fields.all(bytes, Known::SecWebSocketProtocol).flat_map(|line| line.split(|&byte| byte == b','));
        let tokens = items.all(|item| matches!(trim(item), item if item.is_empty() || is_token(item)));
        // 4.3: "Sec-WebSocket-Protocol-Client = 1#token": one at least.
        if !tokens || request.subprotocols().next().is_none() {
            return Err(UpgradeError::Subprotocols);
        }
    }
    if fields.lines(Known::SecWebSocketExtensions) > 0 {
        // 9.1: "extension-list = 1#extension": one at least, on all lines together.
        let mut offers = false;
        for line in fields.all(bytes, Known::SecWebSocketExtensions) {
            offers |= extensions::validate(line)?;
        }
        if !offers {
            return Err(extensions::ExtensionsError.into());
        }
    }
    Ok(key)
}
