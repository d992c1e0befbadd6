//! Peers that do not speak TLS, told by their first bytes.

/// What a client gets that speaks HTTP to a port of TLS.
pub(super) const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\nContent-Length: 59\r\n\r\nthis port speaks TLS: the address begins with https or wss\n";

/// What the first bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// A request.
    Http,
    /// Too few to tell.
    Undecided,
    /// TLS, or what TLS itself refuses.
    Other,
}

/// Looks at the first bytes that a server was sent. (As a client we leave it to TLS.)
pub(super) fn look(bytes: &[u8], is_server: bool) -> Seen {
    /// The shortest: `GET ` and `PUT `.
    const METHOD: usize = 4;
    // RFC 8446, 5.1: a record begins with its type, which is 22 here: no letter.
    if !is_server || !bytes.first().is_some_and(u8::is_ascii_uppercase) {
        return Seen::Other;
    }
    let method = &bytes[..bytes.len().min(METHOD)];
    match method.iter().position(|byte| !byte.is_ascii_uppercase()) {
        Some(at) if at + 1 < METHOD || method[at] != b' ' => Seen::Other,
        None if method.len() < METHOD => Seen::Undecided,
        _ => Seen::Http,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_first_four_bytes() {
        for (bytes, seen) in [
            (&b"GET / HTTP/1.1"[..], Seen::Http),
            (b"GET ", Seen::Http),
            (b"POST", Seen::Http),
            (b"PRI * HTTP/2.0", Seen::Http),
            (b"OPTIONS *", Seen::Http),
            (b"GET", Seen::Undecided),
            (b"G", Seen::Undecided),
            (b"", Seen::Other),
            (b"GE\x00", Seen::Other),
            (b"GET\x00", Seen::Other),
            (b"get ", Seen::Other),
            (b"\x16\x03\x01\x02", Seen::Other),
        ] {
            assert_eq!(look(bytes, true), seen, "{bytes:?}");
            assert_eq!(look(bytes, false), Seen::Other);
        }
    }

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let text = std::str::from_utf8(ANSWER).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}, {}", body.len());
    }
}
