//! The heads of the opening handshake: where they end, what they say, and a `Host` that is put in.

use wireroom::handshake::ExtensionList;

/// The longest head in bytes that is shown. What is longer is passed on, and not shown.
pub(super) const LONGEST: usize = 64 << 10;

/// Where the head at the start of `bytes` ends, its empty line included. It does not end in the first `seen` of them. RFC 9112,
/// 2.2: "a recipient MAY recognize a single LF as a line terminator".
pub(super) fn end(bytes: &[u8], seen: usize) -> Option<usize> {
    let from = seen.saturating_sub(2);
    let mut feeds = (from..bytes.len()).filter(|at| bytes[*at] == b'\n');
    feeds.find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// The lines of a head, without the empty one at its end.
pub(super) fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.is_empty())
}

/// The values of the fields of this name.
fn values<'h>(head: &'h [u8], name: &str) -> impl Iterator<Item = &'h [u8]> {
    lines(head).skip(1).filter_map(move |line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| line[colon + 1..].trim_ascii())
    })
}

/// A request that asks to upgrade to websocket.
pub(super) fn asks_to_upgrade(head: &[u8]) -> bool {
    values(head, "upgrade")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

/// The status of a response.
pub(super) fn status(head: &[u8]) -> Option<u16> {
    let mut words = lines(head).next()?.split(|byte| *byte == b' ');
    words.next().filter(|version| version.starts_with(b"HTTP/"))?;
    std::str::from_utf8(words.next()?).ok()?.parse().ok()
}

/// What the extensions of a response do to the reserved bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreed {
    /// permessage-deflate: RSV1 means compressed.
    pub(super) deflate: bool,
    /// Another one: nobody here knows what its bits mean.
    pub(super) unknown: bool,
}

pub(super) fn agreed(head: &[u8]) -> Agreed {
    let mut agreed = Agreed::default();
    for extension in values(head, "sec-websocket-extensions").flat_map(ExtensionList::new) {
        match extension {
            Ok(extension) if extension.name() == "permessage-deflate" => agreed.deflate = true,
            _ => agreed.unknown = true,
        }
    }
    agreed
}

/// The same request for another host.
pub(super) fn with_host(head: &[u8], host: &str) -> Vec<u8> {
    let mut changed = Vec::with_capacity(head.len() + host.len());
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        if line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case(b"host:")) {
            let end: &[u8] = if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
            changed.extend_from_slice(&[b"Host: ", host.as_bytes(), end].concat());
        } else {
            changed.extend_from_slice(line);
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: a:1\r\nUpgrade: h2c, WebSocket\r\n\r\n";

    #[test]
    fn a_head_is_read_and_its_host_changed() {
        for seen in 0..REQUEST.len() {
            assert_eq!(end(REQUEST, seen), Some(REQUEST.len()));
        }
        assert_eq!(end(&REQUEST[..REQUEST.len() - 1], 0), None);
        assert!(asks_to_upgrade(REQUEST));
        let feeds: Vec<u8> = REQUEST.iter().copied().filter(|byte| *byte != b'\r').collect();
        for seen in 0..feeds.len() {
            assert_eq!(end(&feeds, seen), Some(feeds.len()));
        }
        assert_eq!(with_host(&feeds, "b:2"), b"GET / HTTP/1.1\nHost: b:2\nUpgrade: h2c, WebSocket\n\n");
        let changed = with_host(REQUEST, "b:2");
        assert_eq!(changed, b"GET / HTTP/1.1\r\nHost: b:2\r\nUpgrade: h2c, WebSocket\r\n\r\n");
    }

    #[test]
    fn a_response_tells_its_status_and_what_was_agreed_on() {
        let head = b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n\r\n";
        assert_eq!(status(head), Some(101));
        assert_eq!(agreed(head), Agreed { deflate: true, unknown: false });
        assert_eq!(
            agreed(b"HTTP/1.1 101 x\r\nSec-WebSocket-Extensions: own\r\n\r\n"),
            Agreed { deflate: false, unknown: true }
        );
        assert_eq!(status(b"SSH-2.0-x\r\n\r\n"), None);
    }
}
