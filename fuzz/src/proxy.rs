//! The way through a proxy, and where a redirect leads. The input is what a proxy answers, or a text that names a proxy, an
//! exception or a place, behind a few choices.

use bytes::Buf;
use wireroom::{
    RecvBuffer,
    handshake::ClientRequest,
    http::Limits,
    proxy::{Proxy, ProxyError, ProxyRules, Tunnel},
};

use crate::{
    input::{Choices, cuts, every_byte},
    printed::{printed, told},
    reference::Head,
};

/// What no error and no line may show.
const SECRETS: [&str; 2] = ["mallory", "sesame"];

/// What became of a proxy's bytes.
#[derive(Debug, PartialEq)]
struct Led {
    error: Option<ProxyError>,
    /// Of a tunnel that stands: what came through it, and what we had said.
    rest: Vec<u8>,
    sent: Vec<u8>,
}

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let flags = choices.byte();
    match flags & 3 {
        0 | 1 => answers(flags, &mut choices),
        2 => names(&mut choices),
        _ => redirects(&mut choices),
    }
}

fn answers(flags: u8, choices: &mut Choices<'_>) {
    let (is_socks, has_credentials) = (flags & 1 != 0, flags & 4 != 0);
    let who = if has_credentials { "mallory:sesame@" } else { "" };
    let scheme = if is_socks { "socks5" } else { "http" };
    let proxy = Proxy::from_url(&format!("{scheme}://{who}proxy.example")).expect("a URL");
    let host = choices.of(&["chat.example", "127.0.0.1", "::1", "h"]);
    let limits = Limits {
        max_response_head: choices.of(&[16_384, 100, 300]),
        max_headers: choices.of(&[100, 1, 7]),
        ..Limits::default()
    };
    let places = choices.places();
    let bytes = std::mem::replace(choices, Choices::new(&[])).rest();
    let whole = lead(&proxy, host, limits, bytes, &[]);
    for cuts in [cuts(&places, bytes.len()), every_byte(bytes.len())] {
        assert_eq!(lead(&proxy, host, limits, bytes, &cuts), whole, "cut at {cuts:?}");
    }
    match &whole.error {
        Some(error) => {
            told(error);
            let text = format!("{error} {error:?}");
            // What a proxy makes up itself is not ours to keep.
            let is_ours = |secret: &&&str| !bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(SECRETS.iter().filter(is_ours).all(|secret| !text.contains(*secret)), "{text}");
        }
        None if is_socks => {
            let consumed = bytes.len() - whole.rest.len();
            assert_eq!(socks_reply(bytes, has_credentials), Some(consumed));
        }
        None => {
            let consumed = bytes.len() - whole.rest.len();
            let mut heads =
                bytes[..consumed].windows(7).enumerate().filter(|(_, window)| window.starts_with(b"HTTP/1."));
            let stands = heads.any(|(start, _)| {
                Head::response(&bytes[start..consumed])
                    .is_some_and(|head| start + head.length == consumed && (200..300).contains(&head.status))
            });
            assert!(stands, "no 2xx ends at {consumed}");
        }
    }
}

/// Where a conversation of SOCKS5 that leads to a tunnel ends, as RFC 1928 and 1929 have it.
fn socks_reply(bytes: &[u8], has_credentials: bool) -> Option<usize> {
    let reply = match bytes {
        [5, 0, ..] => 2,
        [5, 2, 1, 0, ..] if has_credentials => 4,
        _ => return None,
    };
    let length = match bytes.get(reply..)? {
        [5, 0, _, 1, ..] => 10,
        [5, 0, _, 4, ..] => 22,
        [5, 0, _, 3, length, ..] => 7 + usize::from(*length),
        _ => return None,
    };
    Some(reply + length)
}

fn lead(proxy: &Proxy, host: &str, limits: Limits, bytes: &[u8], cuts: &[usize]) -> Led {
    let mut tunnel = Tunnel::new(proxy, host, 443, limits).expect("a name that fits");
    printed(&tunnel);
    let mut led = Led { error: None, rest: Vec::new(), sent: Vec::new() };
    let mut rx = RecvBuffer::new();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let (mut start, mut stands) = (0, false);
    for end in ends {
        let queue = tunnel.transmit();
        led.sent.extend(queue.copy_to_bytes(queue.remaining()));
        let chunk = &bytes[start..end];
        start = end;
        if stands {
            led.rest.extend(chunk);
            continue;
        }
        if led.error.is_some() {
            continue;
        }
        rx.extend(chunk);
        match tunnel.poll(&mut rx) {
            Ok(true) => {
                stands = true;
                led.rest.extend(rx.unread());
                assert!(!tunnel.wants_read() && tunnel.poll(&mut rx) == Ok(true), "it stands once");
            }
            Ok(false) => assert!(tunnel.wants_read()),
            Err(error) => {
                assert_eq!(tunnel.poll(&mut rx).err().as_ref(), Some(&error), "an error is final");
                assert!(!tunnel.wants_read() && tunnel.transmit().is_empty());
                led.error = Some(error);
            }
        }
    }
    if !stands && led.error.is_none() {
        tunnel.handle_eof();
        led.error = tunnel.poll(&mut rx).err();
        assert_eq!(led.error, Some(ProxyError::Eof));
    }
    let queue = tunnel.transmit();
    led.sent.extend(queue.copy_to_bytes(queue.remaining()));
    if led.error.is_some() {
        // How much was said before an error depends on the cuts.
        led.sent.clear();
    }
    printed(&tunnel);
    led
}

/// RFC 3986, 3.2.2, without brackets: an address, or `1*( unreserved / pct-encoded / sub-delims )`.
fn is_host(host: &str) -> bool {
    let mut bytes = host.bytes();
    let mut is_name = !host.is_empty();
    while let Some(byte) = bytes.next() {
        is_name &= match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte),
        };
    }
    is_name || host.parse::<std::net::IpAddr>().is_ok()
}

/// A proxy's URL, and a list of exceptions.
fn names(choices: &mut Choices<'_>) {
    let mut texts = [0; 3].map(|_| {
        let length = usize::from(choices.byte());
        String::from_utf8_lossy(choices.bytes(length)).into_owned()
    });
    let [url, list, host] = &mut texts;
    match Proxy::from_url(url) {
        Ok(proxy) => {
            assert!(!proxy.host().is_empty() && proxy.port() != 0);
            printed(&proxy);
            let bare = Proxy::from_url(&proxy.to_string()).expect("what is printed is a URL");
            assert_eq!((bare.host(), bare.port()), (proxy.host(), proxy.port()));
            match Tunnel::new(&proxy, host, 80, Limits::default()) {
                Ok(_) => assert!(is_host(host), "{host:?}"),
                Err(error) => {
                    told(&error);
                    assert!(!is_host(host) || host.len() > 255, "{host:?}: {error}");
                }
            }
        }
        Err(error) => told(&error),
    }
    let rules = ProxyRules::from_variables(|name| match name {
        "all_proxy" => Some("http://proxy".to_owned()),
        "no_proxy" => Some(list.clone()),
        _ => None,
    });
    match rules {
        Ok(rules) => {
            printed(&rules);
            let is_taken = rules.proxy_for(false, host, 80).is_some();
            // Schemes, letters' case and a dot at the end make no difference.
            assert_eq!(rules.proxy_for(true, host, 80).is_some(), is_taken);
            assert_eq!(rules.proxy_for(false, &host.to_ascii_uppercase(), 80).is_some(), is_taken);
            // A name is an exception for itself.
            let is_name = |entry: &&str| !entry.is_empty() && !entry.contains([':', '/', '[']);
            let mut names = list.split([',', ' ', '\t']).filter(is_name);
            assert!(!is_taken || !names.any(|entry| entry == "*" || entry == host.as_str()));
        }
        Err(error) => told(&error),
    }
}

/// A request, and a `Location`.
fn redirects(choices: &mut Choices<'_>) {
    let mut texts = [0; 2].map(|_| {
        let length = usize::from(choices.byte());
        String::from_utf8_lossy(choices.bytes(length)).into_owned()
    });
    let [url, location] = &mut texts;
    let Ok(request) = ClientRequest::new(url) else { return };
    match request.redirected(location) {
        Ok(next) => {
            assert!(next.is_secure() || !request.is_secure(), "never less secure");
            assert!(next.target().starts_with('/') && !next.host().is_empty() && next.port() != 0);
            let path = next.target().split('?').next().unwrap_or_default();
            // A reference that is a query alone, or nothing, leaves the path as it was.
            let changes = !matches!(location.split('#').next(), None | Some("")) && !location.starts_with('?');
            let has_dots = path.split('/').any(|segment| matches!(segment, "." | ".."));
            assert!(!changes || !has_dots, "{path}");
            // To where one is already leads nowhere else.
            let scheme = if next.is_secure() { "wss" } else { "ws" };
            let absolute = format!("{scheme}://{}{}", next.authority(), next.target());
            let again = next.redirected(&absolute).expect("a URL that was followed can be");
            assert_eq!((again.authority(), again.is_secure()), (next.authority(), next.is_secure()));
            if !has_dots {
                assert_eq!(again.target(), next.target());
            }
        }
        Err(error) => told(&error),
    }
}
