//! Who a proxy says the client is: the PROXY protocol's headers, and `Forwarded` and `X-Forwarded-For`, which the client may
//! have begun and a proxy goes on with.

use std::net::{IpAddr, SocketAddr};

use wireroom::{
    RecvBuffer,
    handshake::ServerHandshake,
    http::{ClientAddr, ClientNode, ForwardedHeader, Limits, Network, Response, Timeouts, TrustedProxies},
    proxy_protocol::{DEFAULT_MAX_SIZE, Endpoints, LEAST_MAX_SIZE, ProxyHeader, ProxyVersion, parse},
};

use crate::{
    common,
    input::{Choices, every_byte},
    printed::{printed, told},
};

const PROXY: &str = "10.0.0.1:4000";

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    match choices.byte() % 3 {
        0 => header(choices.of(&[DEFAULT_MAX_SIZE, 0, 512, 70_000]), choices.rest()),
        1 => forwarded(ForwardedHeader::Forwarded, choices.rest()),
        _ => forwarded(ForwardedHeader::XForwardedFor, choices.rest()),
    }
}

/// The same for any cut: from the byte on that decides it.
fn header(limit: usize, bytes: &[u8]) {
    let whole = parse(bytes, limit);
    let mut decided = None;
    for end in every_byte(bytes.len()).into_iter().chain([bytes.len()]) {
        let result = parse(&bytes[..end], limit);
        match decided {
            None if result == Ok(None) => {
                assert!(end < limit.max(LEAST_MAX_SIZE), "{end} bytes are waited behind");
            }
            None => {
                // Not a byte later than must be.
                if let Ok(Some((_, length))) = result {
                    assert_eq!(length, end);
                }
                decided = Some(result);
            }
            Some(ref decided) => assert_eq!(result, *decided, "with {end} bytes"),
        }
    }
    assert!(bytes.is_empty() || decided.unwrap_or(Ok(None)) == whole);
    match whole {
        Ok(Some((header, length))) => check(&header, &bytes[..length]),
        Ok(None) => {}
        Err(error) => told(&error),
    }
}

/// A header that was taken, against what was sent.
fn check(header: &ProxyHeader, bytes: &[u8]) {
    printed(header);
    let fields: usize = header.tlvs().map(|(_, value)| 3 + value.len()).sum();
    if let Endpoints::Inet { source, destination } = header.endpoints() {
        assert_eq!((header.source(), header.destination()), (Some(*source), Some(*destination)));
        match header.version() {
            ProxyVersion::V1 => {
                let again = line(*source, *destination);
                let (reread, length) = parse(again.as_bytes(), 0).expect("valid").expect("whole");
                assert_eq!((&reread, length), (header, again.len()));
            }
            ProxyVersion::V2 => {
                let mut block = Vec::new();
                for ip in [source.ip(), destination.ip()] {
                    match ip {
                        IpAddr::V4(ip) => block.extend(ip.octets()),
                        IpAddr::V6(ip) => block.extend(ip.octets()),
                    }
                }
                block.extend([source.port().to_be_bytes(), destination.port().to_be_bytes()].concat());
                assert!(bytes[16..].starts_with(&block));
                assert_eq!(16 + block.len() + fields, bytes.len(), "every byte is an address or a field");
            }
        }
    } else {
        assert_eq!((header.source(), header.destination()), (None, None));
    }
    for (kind, value) in header.tlvs() {
        assert!(bytes.windows(value.len() + 3).any(|window| window[0] == kind && window[3..] == *value));
        assert!(kind != 5 || value.len() <= 128);
    }
    assert_eq!(header.unique_id().is_some(), header.tlvs().any(|(kind, _)| kind == 5));
    assert_eq!(header.authority().is_some(), header.tlvs().any(|(kind, _)| kind == 2));
    if let Some(ssl) = header.ssl() {
        printed(&(ssl.version(), ssl.cipher(), ssl.common_name(), ssl.is_tls(), ssl.is_verified()));
    }
}

fn line(source: SocketAddr, destination: SocketAddr) -> String {
    let family = if source.is_ipv4() { 4 } else { 6 };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY TCP{family} {from} {to} {} {}\r\n", source.port(), destination.port())
}

/// What a client may write is there in any case; behind it our proxy appends.
fn forwarded(header: ForwardedHeader, bytes: &[u8]) {
    // What HTTP lets pass; a line feed begins another line of the same name.
    let passes = |byte: &u8| matches!(byte, b'\t' | b'\n' | 0x20..=0x7e | 0x80..);
    let bytes: Vec<u8> = bytes.iter().copied().filter(passes).take(4096).collect();
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').take(20).map(<[u8]>::to_vec).collect();
    let networks: Vec<Network> = vec!["10.0.0.0/8".parse().expect("a network"), "fd00::/8".parse().expect("a network")];
    let trusted = TrustedProxies::networks(header, networks);
    let Some(mine) = ask(header, &lines, &trusted) else { return };
    // As far as it is trusted, and no further: one hop is the last element.
    let one = ask(header, &lines, &TrustedProxies::hops(header, 1)).expect("it was served");
    let nobody = ask(header, &lines, &TrustedProxies::hops(header, 0)).expect("it was served");
    assert_eq!((nobody.0, nobody.1), (PROXY.parse::<SocketAddr>().ok().map(|proxy| proxy.ip()), 0));
    assert!(one.1 <= 1);
    if mine.1 == 1 {
        assert_eq!(mine, one);
    }
    // The proxy's word is the last one, whatever stands before it: on the same line, or on one of its own.
    let (word, client) = match header {
        ForwardedHeader::Forwarded => ("for=\"[2001:db8::66]:5\";proto=https", "2001:db8::66"),
        ForwardedHeader::XForwardedFor => ("192.0.2.66", "192.0.2.66"),
    };
    let last = lines.last_mut().expect("there is a line");
    let begun = last.clone();
    last.extend([b", ", word.as_bytes()].concat());
    assert_eq!(ask(header, &lines, &trusted), Some((client.parse().ok(), 1)));
    *lines.last_mut().expect("there is a line") = begun;
    lines.push(word.as_bytes().to_vec());
    assert_eq!(ask(header, &lines, &trusted), Some((client.parse().ok(), 1)));
}

/// The client's address, and behind how many proxies; `None` when HTTP does not let the request pass.
fn ask(header: ForwardedHeader, lines: &[Vec<u8>], proxies: &TrustedProxies) -> Option<(Option<IpAddr>, usize)> {
    let now = common::start();
    let name = match header {
        ForwardedHeader::Forwarded => "Forwarded",
        ForwardedHeader::XForwardedFor => "X-Forwarded-For",
    };
    let mut handshake = ServerHandshake::new(Limits::default(), Timeouts::default(), now);
    handshake.set_peer_addr(PROXY.parse().ok());
    let mut rx = RecvBuffer::new();
    rx.extend(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n");
    for line in lines {
        rx.extend(&[name.as_bytes(), b": ", line, b"\r\n"].concat());
    }
    rx.extend(b"\r\n");
    let mut client = None;
    let _ = handshake.poll(&mut rx, now, &mut |request| {
        let told = request.client_addr(proxies);
        assert_eq!(request.to_owned().as_request().client_addr(proxies), told);
        checked(&told);
        client = Some((told.ip(), told.proxies()));
        Response::new(204).into()
    });
    client
}

fn checked(client: &ClientAddr<'_>) {
    printed(client);
    match client.node() {
        ClientNode::Ip(ip) => assert_eq!(*ip, ip.to_canonical()),
        ClientNode::Obfuscated(name) => {
            assert!(
                name.starts_with('_')
                    && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
            )
        }
        ClientNode::Malformed => assert!(client.port().is_none() && client.proto().is_none()),
        _ => {}
    }
    assert!(client.ip().is_some() || !matches!(client.node(), ClientNode::Ip(_)));
    assert!(client.host().is_none_or(|host| !host.contains([' ', '/', '"'])), "{client:?}");
}
