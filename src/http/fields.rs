//! What stands in fields: comma lists of tokens, `Host`, cookies, credentials.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::head::Headers;
use super::scan::{ByteSet, find_byte, is_in_any_case};

/// Without optional whitespace (SP, HTAB) at either end (RFC 9110, 5.6.3).
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

#[inline]
pub(crate) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

#[inline]
pub(crate) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma list. Empty ones are passed over (RFC 9110, 5.6.1.2: a recipient MUST parse
/// and ignore a reasonable number of empty list elements).
#[derive(Debug, Clone)]
pub(crate) struct ListItems<'b> {
    rest: &'b [u8],
}

impl<'b> ListItems<'b> {
    pub(crate) fn new(value: &'b [u8]) -> Self {
        Self { rest: value }
    }
}

impl<'b> Iterator for ListItems<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        while !self.rest.is_empty() {
            let (item, rest) = match find_byte(self.rest, b',') {
                Some(comma) => (&self.rest[..comma], &self.rest[comma + 1..]),
                None => (self.rest, &self.rest[self.rest.len()..]),
            };
            self.rest = rest;
            let item = trim(item);
            if !item.is_empty() {
                return Some(item);
            }
        }
        None
    }
}

/// Whether a comma list holds `token`, in any case; see [`is_in_any_case`].
#[inline]
pub(crate) fn list_has_token<const N: usize>(value: &[u8], token: &[u8; N]) -> bool {
    // Mostly the value is one token; what is shorter holds no longer one.
    is_in_any_case(value, token) || (value.len() > N && ListItems::new(value).any(|item| is_in_any_case(item, token)))
}

/// RFC 9110, 7.2: `Host = uri-host [ ":" port ]`. Empty is invalid for `http` (4.2.1).
pub(crate) fn is_valid_host(host: &[u8]) -> bool {
    let (name, port) = match host {
        [b'[', rest @ ..] => {
            let Some(end) = find_byte(rest, b']') else {
                return false;
            };
            let address = &rest[..end];
            let valid = std::str::from_utf8(address)
                .is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok() || is_future_address(text));
            if !valid {
                return false;
            }
            (address, &rest[end + 1..])
        }
        _ => {
            let end = find_byte(host, b':').unwrap_or(host.len());
            let name = &host[..end];
            if !is_registered_name(name) {
                return false;
            }
            (name, &host[end..])
        }
    };
    if name.is_empty() {
        return false;
    }
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => is_port(digits),
        _ => false,
    }
}

/// Where to connect to, of a valid host without a port. RFC 3986, 3.2.2, of an address of a future version: "If a URI containing
/// an IP-literal that starts with "v" [..] is dereferenced by an application that does not know the meaning of that version flag,
/// then the application should return an appropriate error". Without its brackets it would be a name, and be looked up.
pub(crate) fn without_brackets(host: &str) -> Option<&str> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => Some(host),
    }
}

fn is_port(digits: &[u8]) -> bool {
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0')) <= 65_535
}

/// RFC 3986, 3.2.2: `reg-name = *( unreserved / pct-encoded / sub-delims )`, of which an IPv4 address is one.
fn is_registered_name(name: &[u8]) -> bool {
    // Few names have escapes.
    let mut rest = name;
    while let Some(escape) = find_byte(rest, b'%') {
        let hex = rest.get(escape + 1..escape + 3).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        if hex.is_none() || !ByteSet::NAME.has_all(&rest[..escape]) {
            return false;
        }
        rest = &rest[escape + 3..];
    }
    ByteSet::NAME.has_all(rest)
}

/// RFC 3986, 3.2.2: `IPvFuture = "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )`.
fn is_future_address(text: &str) -> bool {
    let Some((version, address)) = text.strip_prefix(['v', 'V']).and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    !version.is_empty()
        && version.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !address.is_empty()
        && !address.contains('%')
        && address.split(':').all(|part| is_registered_name(part.as_bytes()))
}

/// The cookies of a request, as `(name, value)`; see [`Request::cookies`](super::Request::cookies).
#[derive(Debug, Clone)]
pub struct Cookies<'b> {
    headers: Headers<'b>,
    rest: &'b str,
}

impl<'b> Cookies<'b> {
    pub(crate) fn new(headers: Headers<'b>) -> Self {
        Self { headers, rest: "" }
    }
}

impl<'b> Iterator for Cookies<'b> {
    type Item = (&'b str, &'b str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while !self.rest.is_empty() {
                let (pair, rest) = self.rest.split_once(';').unwrap_or((self.rest, ""));
                self.rest = rest;
                if let Some((name, value)) = pair.split_once('=') {
                    return Some((name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t'])));
                }
            }
            let (_, value) = self.headers.find(|(name, _)| name.eq_ignore_ascii_case("cookie"))?;
            self.rest = std::str::from_utf8(value).unwrap_or("");
        }
    }
}

/// What follows `scheme` and a space in an `Authorization` field (RFC 9110, 11.4).
pub(crate) fn credentials<'b>(value: &'b str, scheme: &str) -> Option<&'b str> {
    let (found, rest) = value.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim_matches(' '))
}

/// RFC 7617, 2: base64 of `user-id ":" password`.
pub(crate) fn basic_credentials(encoded: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// RFC 3986, 2.1: what is percent-encoded in a URL's user information. RFC 7617, 2: "The user-id and password MUST NOT contain
/// any control characters".
pub(crate) fn userinfo_text(encoded: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(encoded.len() + 1);
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut hex = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
                decoded.push((hex()? * 16 + hex()?) as u8);
            }
            b'!'..=b'~' => decoded.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(decoded).ok().filter(|text| !text.contains(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_section_5_6_1_lists() {
        let items: Vec<_> = ListItems::new(b" a ,, b,\t ,c").collect();
        assert_eq!(items, [b"a", b"b", b"c"]);
        assert!(list_has_token(b"keep-alive, UpGrade", b"upgrade"));
        assert!(list_has_token(b"WebSocket", b"websocket"));
        assert!(!list_has_token(b"websockets, xwebsocket, web socket", b"websocket"));
        assert_eq!(ListItems::new(b", ,,").count(), 0);
    }

    #[test]
    fn rfc9110_section_7_2_host() {
        for good in [
            "a",
            "example.com",
            "example.com:80",
            "EXAMPLE.com:",
            "127.0.0.1:9001",
            "[::1]",
            "[::1]:80",
            "[v1.a:b]",
            "a_b",
            "a%41",
            "localhost:65535",
        ] {
            assert!(is_valid_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a/b",
            "user@host",
            "a:b",
            "a:80:80",
            "[::1",
            "[::1]x",
            "[]",
            "[zz]",
            "a%4",
            "a:65536",
            "a:123456",
            "http://a",
            "a?b",
            "a#b",
            "\u{fc}.de",
            "[v1.]",
            "::1",
            "[fe80::1%eth0]",
        ] {
            assert!(!is_valid_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn rfc7617_section_2_basic() {
        let value = credentials("bAsIc QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "basic").unwrap();
        assert_eq!(basic_credentials(value), Some(("Aladdin".into(), "open sesame".into())));
        assert_eq!(basic_credentials("!!"), None);
        assert_eq!(credentials("Basicx abc", "basic"), None);
    }
}
