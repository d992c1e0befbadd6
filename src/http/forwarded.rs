//! Who the client is behind proxies that say so in a header: `Forwarded` (RFC 7239), or `X-Forwarded-For`.
//!
//! Anyone can send these headers. They are read from the right, where the nearest proxy has written, and no further than
//! proxies are trusted: what stands left of that was written by nobody knows whom.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fields::{is_valid_host, trim};
use super::network::Network;
use super::request::Request;
use super::scan::{is_token, is_token_byte};

/// Which proxies are believed, and which of the two headers they write. The other one is never looked at: a proxy passes on
/// what it does not know, and a client may have written that.
///
/// ```
/// use wireroom::{handshake::Verdict, http::{ForwardedHeader, Request, TrustedProxies}};
///
/// let proxies = TrustedProxies::networks(ForwardedHeader::XForwardedFor, ["10.0.0.0/8".parse()?, "::1".parse()?]);
/// let verify = move |request: &Request<'_>| -> Verdict {
///     match request.client_addr(&proxies).ip() {
///         Some(client) => { println!("from {client}"); request.allow_any_origin() }
///         None => wireroom::http::Response::text(403, "who are you?\n").into(),
///     }
/// };
/// # let _ = verify;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    header: ForwardedHeader,
    trust: Trust,
}

/// The header in which a proxy says for whom it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `Forwarded: for=192.0.2.7;proto=https` (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For: 192.0.2.7`, with `X-Forwarded-Proto` and `X-Forwarded-Host`, which no standard describes.
    XForwardedFor,
}

#[derive(Clone, Debug)]
enum Trust {
    Networks(Box<[Network]>),
    Hops(usize),
}

impl TrustedProxies {
    /// Proxies at these addresses. A proxy on a Unix-domain socket is [`Network::UNIX`].
    pub fn networks(header: ForwardedHeader, networks: impl IntoIterator<Item = Network>) -> Self {
        Self { header, trust: Trust::Networks(networks.into_iter().collect()) }
    }

    /// So many proxies, wherever they are: the peer is the first, if there is one. Right only where nobody can reach the
    /// server past them; otherwise whoever does is believed.
    pub fn hops(header: ForwardedHeader, hops: usize) -> Self {
        Self { header, trust: Trust::Hops(hops) }
    }

    /// Whether the one who was reached after so many steps is a proxy of ours. `None`: it is not known to have an address.
    fn trusts(&self, who: Who, steps: usize) -> bool {
        match (&self.trust, who) {
            (Trust::Hops(hops), _) => steps < *hops,
            (Trust::Networks(networks), Who::At(ip)) => networks.iter().any(|network| network.contains(Some(ip))),
            (Trust::Networks(networks), Who::OnUnixSocket) => networks.iter().any(|network| network.contains(None)),
            (Trust::Networks(_), Who::Nobody) => false,
        }
    }
}

enum Who {
    At(IpAddr),
    /// The peer, without an address.
    OnUnixSocket,
    Nobody,
}

/// What [`Request::client_addr`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAddr<'r> {
    node: ClientNode<'r>,
    port: Option<u16>,
    proxies: usize,
    proto: Option<Cow<'r, str>>,
    host: Option<Cow<'r, str>>,
}

/// Who the client is, as the last proxy that is trusted says (RFC 7239, section 6).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientNode<'r> {
    /// Its address.
    Ip(IpAddr),
    /// That proxy does not say, or says `unknown`; or the peer is on a Unix-domain socket.
    Unknown,
    /// It hides the client behind a name of its own (section 6.3), `_` included: the same client has the same name at most.
    Obfuscated(Cow<'r, str>),
    /// What stands there is none of these.
    Malformed,
}

impl<'r> ClientAddr<'r> {
    /// The client's address, if it is known.
    pub fn ip(&self) -> Option<IpAddr> {
        if let ClientNode::Ip(ip) = self.node { Some(ip) } else { None }
    }

    /// The client's port, which proxies mostly leave out.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Who it is, or why that is not known.
    pub fn node(&self) -> &ClientNode<'r> {
        &self.node
    }

    /// How many proxies lie between; 0 if the peer is the client.
    pub fn proxies(&self) -> usize {
        self.proxies
    }

    /// `http` or `https`: how the client asked the last proxy that is trusted, if that says so (section 5.4). With
    /// `X-Forwarded-For` it is the last value of `X-Forwarded-Proto`: of a proxy that does not set that, what the client wrote.
    pub fn proto(&self) -> Option<&str> {
        self.proto.as_deref()
    }

    /// The `Host` with which it asked, if that proxy says so (section 5.3). With `X-Forwarded-For` it is the last value of
    /// `X-Forwarded-Host`. The client chose it.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }
}

impl<'b> Request<'b> {
    /// Who asks, behind proxies. From the peer on, whoever is trusted is asked for whom it asked, in the one header that is
    /// believed, from the right to the left; the first who is not trusted is the client. So is the last one, if all are
    /// trusted: a proxy may ask for itself.
    ///
    /// It stops at what it cannot read, [`ClientNode::Malformed`]: what a client has written cannot reach beyond its place.
    ///
    /// With `Config::max_connections_per_address` the peer's address counts, which is known without a request. Behind a proxy
    /// that speaks the PROXY protocol, that is the client's.
    pub fn client_addr(&self, proxies: &TrustedProxies) -> ClientAddr<'b> {
        let peer = self.peer_addr;
        let mut client = ClientAddr {
            node: peer.map_or(ClientNode::Unknown, |peer| ClientNode::Ip(peer.ip().to_canonical())),
            port: peer.map(|peer| peer.port()),
            proxies: 0,
            proto: None,
            host: None,
        };
        let mut who = client.ip().map_or(Who::OnUnixSocket, Who::At);
        let mut elements = FromRight::new(self, proxies.header);
        while proxies.trusts(who, client.proxies) {
            let Some(element) = elements.next() else { break };
            let read = match proxies.header {
                ForwardedHeader::Forwarded => forwarded_element(element),
                ForwardedHeader::XForwardedFor => self.x_forwarded(element),
            };
            let malformed = ClientAddr { node: ClientNode::Malformed, port: None, proxies: 0, proto: None, host: None };
            let is_malformed = read.is_none();
            client = ClientAddr { proxies: client.proxies + 1, ..read.unwrap_or(malformed) };
            if is_malformed {
                break;
            }
            who = client.ip().map_or(Who::Nobody, Who::At);
        }
        client
    }

    fn x_forwarded(&self, element: &'b [u8]) -> Option<ClientAddr<'b>> {
        let element = std::str::from_utf8(element).ok()?;
        // Without the brackets, as most write it.
        let (node, port) = match element.parse::<Ipv6Addr>() {
            Ok(ip) => (ClientNode::Ip(IpAddr::V6(ip).to_canonical()), None),
            Err(_) => node(Cow::Borrowed(element))?,
        };
        let last = |name| {
            let value = self.header_all(name).last()?;
            let value = value.rsplit(|byte| *byte == b',').next().map(trim)?;
            std::str::from_utf8(value).ok().map(Cow::Borrowed)
        };
        let proto = last("x-forwarded-proto").filter(|proto| is_scheme(proto));
        let host = last("x-forwarded-host").filter(|host| is_valid_host(host.as_bytes()));
        Some(ClientAddr { node, port, proxies: 0, proto, host })
    }
}

/// The elements of all lines of a header, the last one first.
///
/// From the right also within a line: where an element begins is then decided by what the nearest proxy has written, and not
/// by a quotation mark that the client left open.
///
/// `X-Forwarded-For` has no quotation marks: an element with one is malformed, wherever it ends.
struct FromRight<'b> {
    lines: Vec<&'b [u8]>,
}

impl<'b> FromRight<'b> {
    fn new(request: &Request<'b>, header: ForwardedHeader) -> Self {
        let name = match header {
            ForwardedHeader::Forwarded => "forwarded",
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
        };
        Self { lines: request.header_all(name).collect() }
    }

    /// The comma from which on the last element of `line` goes.
    fn last_comma(line: &[u8]) -> Option<usize> {
        let mut quoted = false;
        for (at, byte) in line.iter().enumerate().rev() {
            match byte {
                b',' if !quoted => return Some(at),
                b'"' => {
                    let escapes = line[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
                    // RFC 9110, 5.6.4: `\"` within a quoted string is a part of it.
                    quoted = !quoted || escapes % 2 == 1;
                }
                _ => {}
            }
        }
        None
    }
}

impl<'b> Iterator for FromRight<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        loop {
            let line = self.lines.pop()?;
            let comma = Self::last_comma(line);
            if let Some(comma) = comma {
                self.lines.push(&line[..comma]);
            }
            let element = trim(&line[comma.map_or(0, |comma| comma + 1)..]);
            // RFC 9110, 5.6.1.2: empty elements are passed over.
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// RFC 7239, 4: `forwarded-element = [ forwarded-pair ] *( ";" [ forwarded-pair ] )`. Blanks around the semicolons are let
/// pass. `None`: it is malformed.
fn forwarded_element(element: &[u8]) -> Option<ClientAddr<'_>> {
    let (mut seen, mut who, mut proto, mut host) = (Vec::new(), None, None, None);
    let mut rest = element;
    loop {
        rest = trim(rest);
        if !rest.is_empty() && !rest.starts_with(b";") {
            let name_end = rest.iter().position(|byte| !is_token_byte(*byte))?;
            let (name, value) = (&rest[..name_end], rest[name_end..].strip_prefix(b"=")?);
            let (value, behind) = value_of(value)?;
            // "Each parameter MUST NOT occur more than once per field-value." That is, in one element.
            if name.is_empty() || seen.iter().any(|other: &&[u8]| other.eq_ignore_ascii_case(name)) {
                return None;
            }
            seen.push(name);
            match () {
                () if name.eq_ignore_ascii_case(b"for") => who = Some(node(value)?),
                () if name.eq_ignore_ascii_case(b"proto") => proto = Some(value).filter(|proto| is_scheme(proto)),
                () if name.eq_ignore_ascii_case(b"host") => {
                    host = Some(value).filter(|host| is_valid_host(host.as_bytes()));
                }
                () => {}
            }
            rest = trim(behind);
        }
        match rest.split_first() {
            None => break,
            Some((b';', behind)) => rest = behind,
            Some(_) => return None,
        }
    }
    let (node, port) = who.unwrap_or((ClientNode::Unknown, None));
    Some(ClientAddr { node, port, proxies: 0, proto, host })
}

/// `value = token / quoted-string`, and what lies behind it.
fn value_of(bytes: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let Some(quoted) = bytes.strip_prefix(b"\"") else {
        let end = bytes.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(bytes.len());
        let (token, behind) = bytes.split_at(end);
        return is_token(token).then_some((Cow::Borrowed(std::str::from_utf8(token).ok()?), behind));
    };
    let mut escaped = false;
    let end = quoted.iter().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => *byte == b'"',
    })?;
    let text = std::str::from_utf8(&quoted[..end]).ok()?;
    let behind = &quoted[end + 1..];
    if !text.contains('\\') {
        return Some((Cow::Borrowed(text), behind));
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    Some((Cow::Owned(plain), behind))
}

/// RFC 7239, 6: `node = nodename [ ":" node-port ]`.
fn node(text: Cow<'_, str>) -> Option<(ClientNode<'_>, Option<u16>)> {
    let (name, port) = match text.strip_prefix('[') {
        // 6.1: "Note that the IPv6address is always enclosed in square brackets."
        Some(rest) => {
            let (address, behind) = rest.split_once(']')?;
            let ip = IpAddr::V6(address.parse::<Ipv6Addr>().ok()?);
            let port = if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) };
            return Some((ClientNode::Ip(ip.to_canonical()), port.map_or(Some(None), node_port)?));
        }
        None => text.split_once(':').map_or((&*text, None), |(name, port)| (name, Some(port))),
    };
    let port = port.map_or(Some(None), node_port)?;
    if let Ok(ip) = name.parse::<Ipv4Addr>() {
        return Some((ClientNode::Ip(ip.into()), port));
    }
    if name.eq_ignore_ascii_case("unknown") {
        return Some((ClientNode::Unknown, port));
    }
    let length = name.len();
    is_obfuscated(name).then(|| {
        let name = match text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[..length]),
            Cow::Owned(mut text) => {
                text.truncate(length);
                Cow::Owned(text)
            }
        };
        (ClientNode::Obfuscated(name), port)
    })
}

/// `node-port = port / obfport`, `port = 1*5DIGIT`. `None`: neither; `Some(None)`: a name for one.
fn node_port(text: &str) -> Option<Option<u16>> {
    if is_obfuscated(text) {
        return Some(None);
    }
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok().map(Some) } else { None }
}

/// 6.3: `obfnode = "_" 1*( ALPHA / DIGIT / "." / "_" / "-")`.
fn is_obfuscated(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(allowed))
}

/// RFC 3986, 3.1, which RFC 7239, 5.4 refers to.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}
