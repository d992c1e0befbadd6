//! `NO_PROXY`: who is reached without a proxy.

use std::net::IpAddr;

use super::error::ProxyUrlError;

/// Entries of `NO_PROXY`, at most.
const MAX_ENTRIES: usize = 1_024;

/// A list of names, addresses and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NoProxy {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    host: Host,
    /// Of this port only.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    /// `*`.
    All,
    /// The name itself, and what ends in a dot and it.
    Domain(String),
    /// Only what ends in a dot and it.
    Subdomains(String),
    /// An address, or a network of them: how many leading bits count.
    Network(IpAddr, u8),
}

impl NoProxy {
    /// Entries between commas or spaces.
    pub(super) fn new(list: &str) -> Result<Self, ProxyUrlError> {
        let mut entries = Vec::new();
        for entry in list.split([',', ' ', '\t']).filter(|entry| !entry.is_empty()) {
            if entries.len() == MAX_ENTRIES {
                return Err(ProxyUrlError::TooManyEntries { limit: MAX_ENTRIES });
            }
            let parsed = Entry::new(entry).ok_or_else(|| ProxyUrlError::NoProxy { entry: entry.to_owned() })?;
            entries.push(parsed);
        }
        Ok(Self { entries })
    }

    /// `host` is a name or an address, IPv6 without brackets.
    pub(super) fn has(&self, host: &str, port: u16) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        let is_host = |entry: &Entry| match &entry.host {
            Host::All => true,
            Host::Domain(domain) => host == *domain || is_below(&host, domain),
            Host::Subdomains(domain) => is_below(&host, domain),
            Host::Network(network, bits) => address.is_some_and(|address| share(address, *network, *bits)),
        };
        self.entries.iter().any(|entry| entry.port.is_none_or(|of| of == port) && is_host(entry))
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|front| front.ends_with('.'))
}

/// Whether the first `bits` bits are the same.
fn share(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

impl Entry {
    /// `None`: not a name, an address or a network.
    fn new(entry: &str) -> Option<Self> {
        // An IPv6 address has colons of its own, so it takes brackets to have a port.
        if let Some(host) = network(entry) {
            return Some(Self { host, port: None });
        }
        let (host, port) = match entry.rsplit_once(':').filter(|_| !entry.ends_with(']')) {
            Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port != 0)?)),
            None => (entry, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(bare) => network(bare)?,
            None => network(host).or_else(|| domain(host))?,
        };
        Some(Self { host, port })
    }
}

/// An address, or one with the number of its bits that count behind a slash (RFC 4632, section 3.1).
fn network(entry: &str) -> Option<Host> {
    let (address, bits) = entry.split_once('/').map_or((entry, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    match bits {
        None => {
            let address = address.to_canonical();
            Some(Host::Network(address, if address.is_ipv4() { 32 } else { 128 }))
        }
        Some(bits) => {
            let bits: u8 = bits.parse().ok().filter(|bits| *bits <= most)?;
            // Hosts are compared in their canonical form, so a network of mapped addresses is one of IPv4.
            Some(match address.to_canonical() {
                IpAddr::V4(mapped) if address.is_ipv6() && bits >= 96 => Host::Network(mapped.into(), bits - 96),
                _ => Host::Network(address, bits),
            })
        }
    }
}

fn domain(entry: &str) -> Option<Host> {
    if entry == "*" {
        return Some(Host::All);
    }
    let name = entry.strip_suffix('.').unwrap_or(entry).to_ascii_lowercase();
    let (name, below) = match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
        Some(name) => (name.to_owned(), true),
        None => (name, false),
    };
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if !name.split('.').all(is_label) {
        return None;
    }
    Some(if below { Host::Subdomains(name) } else { Host::Domain(name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_suffixes_ports_addresses_and_networks() {
        for (list, host, port, has) in [
            ("", "h", 80, false),
            ("*", "h", 80, true),
            ("a, example.com ,b", "example.com", 80, true),
            ("example.com", "EXAMPLE.com.", 80, true),
            ("Example.COM.", "www.example.com", 80, true),
            ("example.com", "notexample.com", 80, false),
            ("example.com", "com", 80, false),
            (".example.com", "www.example.com", 80, true),
            ("*.example.com", "www.example.com", 80, true),
            (".example.com", "example.com", 80, false),
            ("h:81", "h", 81, true),
            ("h:81", "h", 80, false),
            ("*:81", "h", 80, false),
            ("127.0.0.1", "127.0.0.1", 80, true),
            ("127.0.0.1:81", "127.0.0.1", 80, false),
            ("127.0.0.1", "127.0.0.2", 80, false),
            ("10.0.0.0/8", "10.255.1.2", 80, true),
            ("10.0.0.0/8", "11.0.0.0", 80, false),
            ("10.0.0.0/8:81", "10.0.0.1", 81, true),
            ("0.0.0.0/0", "1.2.3.4", 80, true),
            ("0.0.0.0/0", "h", 80, false),
            ("0.0.0.0/0", "::1", 80, false),
            ("10.0.0.1/32", "10.0.0.1", 80, true),
            ("10.0.0.1/32", "10.0.0.0", 80, false),
            ("::1", "::1", 80, true),
            ("[::1]", "::1", 80, true),
            ("[::1]:81", "::1", 80, false),
            ("[::1]:81", "::1", 81, true),
            ("fd00::/8", "fdff::1", 80, true),
            ("fd00::/8", "fe00::1", 80, false),
            ("127.0.0.1", "::ffff:127.0.0.1", 80, true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", 80, true),
            ("::ffff:10.0.0.0/104", "::ffff:10.1.2.3", 80, true),
            ("::ffff:10.0.0.0/104", "11.1.2.3", 80, false),
        ] {
            assert_eq!(NoProxy::new(list).unwrap().has(host, port), has, "{host}:{port} in {list:?}");
        }
        for list in
            ["10.0.0.0/33", "::/129", "10.0.0.0/-1", "h:0", "h:65536", "a..b", ".", "a b,c/d", "[h]:80", "http://h"]
        {
            assert!(matches!(NoProxy::new(list), Err(ProxyUrlError::NoProxy { .. })), "{list}");
        }
    }

    #[test]
    fn so_many_entries_and_no_more() {
        assert!(NoProxy::new(&"h,".repeat(1_024)).is_ok());
        assert_eq!(NoProxy::new(&"h,".repeat(1_025)), Err(ProxyUrlError::TooManyEntries { limit: 1_024 }));
    }
}
