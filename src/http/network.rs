//! A set of addresses in one piece, as whom to trust is written: `10.0.0.0/8`, `::1`, `unix`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// The addresses that begin with the same bits; or whoever is at the other end of a Unix-domain socket, who has none.
///
/// ```
/// use wireroom::http::Network;
///
/// let inside: Network = "10.0.0.0/8".parse()?;
/// assert!(inside.contains(Some("10.1.2.3".parse()?)));
/// assert!(!inside.contains(Some("192.0.2.1".parse()?)) && !inside.contains(None));
/// let proxy: Network = "::1".parse()?; // this one address
/// assert_eq!(proxy.to_string(), "::1/128");
/// assert!("unix".parse::<Network>()?.contains(None));
/// assert!("10.1.2.3/8".parse::<Network>().is_err()); // is it the address that is meant, or its network?
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// An IPv4 address in IPv6 form (`::ffff:10.1.2.3`), which a listener on `[::]` sees, counts as the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    V4(Ipv4Addr, u8),
    V6(Ipv6Addr, u8),
    Unix,
}

impl Network {
    /// Every peer on a Unix-domain socket.
    pub const UNIX: Self = Self(Kind::Unix);

    /// The addresses that have their first `prefix` bits in common with `address`.
    ///
    /// # Errors
    ///
    /// When there are not so many bits, and when bits behind them are set.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, NetworkError> {
        let (bits, most) = match address {
            IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        if prefix > most {
            return Err(NetworkError::Prefix { most });
        }
        if bits & !mask(prefix) != 0 {
            return Err(NetworkError::HostBits { prefix });
        }
        Ok(Self(match address {
            IpAddr::V4(address) => Kind::V4(address, prefix),
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) if prefix >= 96 => Kind::V4(address, prefix - 96),
                _ => Kind::V6(address, prefix),
            },
        }))
    }

    /// Whether a peer is in it; `None` is one on a Unix-domain socket.
    pub fn contains(&self, peer: Option<IpAddr>) -> bool {
        match (self.0, peer.map(|peer| peer.to_canonical())) {
            (Kind::Unix, None) => true,
            (Kind::V4(network, prefix), Some(IpAddr::V4(peer))) => {
                u128::from(network.to_bits() ^ peer.to_bits()) << 96 & mask(prefix) == 0
            }
            (Kind::V6(network, prefix), Some(IpAddr::V6(peer))) => {
                (network.to_bits() ^ peer.to_bits()) & mask(prefix) == 0
            }
            _ => false,
        }
    }
}

/// The first so many of 128 bits.
fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl From<IpAddr> for Network {
    /// This one address.
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => Kind::V4(address, 32),
            IpAddr::V6(address) => Kind::V6(address, 128),
        })
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        if text == "unix" {
            return Ok(Self::UNIX);
        }
        let Some((address, prefix)) = text.split_once('/') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| NetworkError::Address);
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        // `u8::from_str` takes a plus sign.
        let is_number = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = prefix.parse().ok().filter(|_| is_number).ok_or(NetworkError::Prefix { most })?;
        Self::new(address, prefix)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::V4(address, prefix) => write!(f, "{address}/{prefix}"),
            Kind::V6(address, prefix) => write!(f, "{address}/{prefix}"),
            Kind::Unix => f.write_str("unix"),
        }
    }
}

/// What is wrong with a [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Not an address in front of the slash, nor `unix`.
    #[error("neither an IP address, ADDRESS/PREFIX nor \"unix\"")]
    Address,
    /// Not a number of bits that the address has.
    #[error("the prefix is not a number from 0 to {most}")]
    Prefix {
        /// 32, or 128 for IPv6.
        most: u8,
    },
    /// The address goes on behind the prefix.
    #[error("bits behind the first {prefix} are set: write the network's own address, or no prefix")]
    HostBits {
        /// The prefix.
        prefix: u8,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn holds(text: &str, peer: &str) -> bool {
        network(text).contains(Some(peer.parse().unwrap()))
    }

    #[test]
    fn a_network_ends_where_its_prefix_says() {
        assert!(holds("10.0.0.0/8", "10.255.255.255") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("192.0.2.128/25", "192.0.2.128") && !holds("192.0.2.128/25", "192.0.2.127"));
        assert!(holds("0.0.0.0/0", "255.255.255.255") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("::/0", "ffff::") && !holds("::/0", "10.0.0.1"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("::1", "::1") && !holds("::1", "::2") && holds("192.0.2.1/32", "192.0.2.1"));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_on_either_side() {
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3") && holds("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(holds("::ffff:10.1.2.3", "10.1.2.3") && !holds("::ffff:10.0.0.0/104", "11.1.2.3"));
    }

    #[test]
    fn only_unix_holds_a_peer_without_an_address() {
        assert!(Network::UNIX.contains(None) && !holds("unix", "127.0.0.1"));
        assert!(!network("0.0.0.0/0").contains(None) && !network("::/0").contains(None));
    }

    #[test]
    fn what_may_be_a_mistake_is_refused() {
        let error = |text: &str| text.parse::<Network>().unwrap_err();
        for text in ["", "10.0.0", "/8", "10.0.0.0.0/8", "localhost", "Unix", "fe80::1%eth0", "[::1]", "010.0.0.1"] {
            assert_eq!(error(text), NetworkError::Address, "{text}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/256"] {
            assert_eq!(error(text), NetworkError::Prefix { most: 32 }, "{text}");
        }
        assert_eq!(error("::/129"), NetworkError::Prefix { most: 128 });
        assert_eq!(error("10.0.0.1/8"), NetworkError::HostBits { prefix: 8 });
        assert_eq!(error("::1/127"), NetworkError::HostBits { prefix: 127 });
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::/0", "unix", "192.0.2.1/32"] {
            assert_eq!(network(text).to_string(), text);
        }
    }
}
