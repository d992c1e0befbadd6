//! Floor 3: the PROXY protocol, versions 1 and 2 (HAProxy's specification, `proxy-protocol.txt`): who a connection really
//! comes from, told by a proxy in a few bytes before everything else.
//!
//! It knows bytes, and nothing of sockets or of HTTP. Whether a header is believed is not decided here: [`parse`] reads what
//! it is given. The [`net`](crate::net) floor asks it only about connections whose source is named as a proxy.
//!
//! | file | what it holds |
//! |---|---|
//! | `v1` | the line, section 2.1 |
//! | `v2` | the binary header, section 2.2 |
//! | `tlv` | what more a binary header tells: 2.2.1 to 2.2.7 |
//! | `crc32c` | its checksum, 2.2.3 |
//! | `error` | what can be wrong with it |

mod crc32c;
mod error;
mod tlv;
mod v1;
mod v2;

use std::net::SocketAddr;

pub use error::ProxyError;
pub use tlv::{Ssl, Tlvs};

/// The longest version 2 header, in bytes, if nothing else is said. HAProxy's own, with all it can tell, take some hundreds.
pub const DEFAULT_MAX_SIZE: usize = 4096;
/// What any limit has room for: the addresses of `AF_UNIX` (section 2.2). A version 1 line takes 107 bytes at most.
pub const LEAST_MAX_SIZE: usize = 232;

/// What a proxy said about a connection.
///
/// ```
/// use wireroom::proxy_protocol::{self, DEFAULT_MAX_SIZE};
///
/// let bytes = b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\nGET / HTTP/1.1\r\n";
/// let (header, length) = proxy_protocol::parse(bytes, DEFAULT_MAX_SIZE)?.expect("it is whole");
/// assert_eq!(header.source(), Some("192.0.2.7:56324".parse()?));
/// assert!(bytes[length..].starts_with(b"GET "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    version: ProxyVersion,
    endpoints: Endpoints,
    /// Checked when they were read.
    tlvs: Box<[u8]>,
}

/// Each connection behind a header keeps one: the figure of the guide.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<ProxyHeader>() <= 88);

/// The form of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyVersion {
    /// The line of section 2.1.
    V1,
    /// The binary header of section 2.2.
    V2,
}

/// Between whom the connection is that a proxy passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoints {
    /// `LOCAL`: it is the proxy's own, such as a health check. The sender and the receiver are the endpoints.
    Local,
    /// `UNKNOWN`, or an unspecified or unsupported family: the proxy does not say. What is known is the proxy itself.
    Unknown,
    /// Over IP.
    Inet {
        /// The client.
        source: SocketAddr,
        /// What the client connected to.
        destination: SocketAddr,
    },
    /// On a Unix-domain socket of the proxy's machine: paths, without the zeros behind them.
    Unix {
        /// The client.
        source: Box<[u8]>,
        /// What the client connected to.
        destination: Box<[u8]>,
    },
}

/// Reads the header at the beginning of `bytes`: with its length, behind which the connection's own bytes begin. `None`: it is
/// not complete. The result for a header is the same however it is cut.
///
/// `max_size` bounds a version 2 header, its first 16 bytes included; below [`LEAST_MAX_SIZE`] it counts as that.
///
/// # Errors
///
/// What is wrong with it, as soon as that can be told. "Any sequence which does not exactly match the protocol must be
/// discarded and cause the receiver to abort the connection."
pub fn parse(bytes: &[u8], max_size: usize) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(byte, expected)| byte == expected);
    if begins(v2::SIGNATURE) {
        v2::parse(bytes, max_size.max(LEAST_MAX_SIZE))
    } else if begins(v1::SIGNATURE) {
        v1::parse(bytes)
    } else {
        Err(ProxyError::Missing)
    }
}

impl ProxyHeader {
    /// Which form it had.
    pub fn version(&self) -> ProxyVersion {
        self.version
    }

    /// Between whom the connection is.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The client's address, if it has one and the proxy tells it.
    pub fn source(&self) -> Option<SocketAddr> {
        if let Endpoints::Inet { source, .. } = self.endpoints { Some(source) } else { None }
    }

    /// The address to which the client connected.
    pub fn destination(&self) -> Option<SocketAddr> {
        if let Endpoints::Inet { destination, .. } = self.endpoints { Some(destination) } else { None }
    }
}
