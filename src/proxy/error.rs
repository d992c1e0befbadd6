//! What can go wrong on the way through a proxy.

use std::{fmt, io};

use thiserror::Error;

use crate::http::ResponseError;

/// Why a tunnel does not stand. None of them holds a user or a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// An HTTP proxy answered 407: it wants other credentials, or some.
    #[error("the proxy wants credentials, or others: 407 {}", .reason.escape_debug())]
    AuthenticationRequired {
        /// The reason phrase, which may be empty; its first 128 bytes.
        reason: String,
    },
    /// An HTTP proxy answered with another status than 2xx.
    #[error("the proxy refused: {status} {}", .reason.escape_debug())]
    Refused {
        /// The status.
        status: u16,
        /// The reason phrase, which may be empty; its first 128 bytes.
        reason: String,
    },
    /// What an HTTP proxy answered is not HTTP as it should be, or above a limit.
    #[error("bad answer of the proxy: {0}")]
    Response(#[from] ResponseError),
    /// A SOCKS5 proxy does not connect (RFC 1928, section 6).
    #[error("the proxy refused: {0}")]
    Socks(SocksReply),
    /// A SOCKS5 proxy accepts none of our methods of authentication (RFC 1928, section 3).
    #[error("the proxy accepts none of our methods of authentication (RFC 1928, 3)")]
    NoMethod,
    /// A SOCKS5 proxy does not accept user and password (RFC 1929, section 2).
    #[error("the proxy does not accept user and password (RFC 1929, 2)")]
    WrongCredentials,
    /// Not what a SOCKS5 proxy may answer here.
    #[error("not SOCKS5: {what} is 0x{byte:02x} (RFC 1928)")]
    NotSocks5 {
        /// Which byte.
        what: &'static str,
        /// Its value.
        byte: u8,
    },
    /// The host's name has no place in a SOCKS5 request: it is empty or has more than 255 bytes.
    #[error("a SOCKS5 proxy takes names of 1 to 255 bytes, this has {length} (RFC 1928, 5)")]
    Name {
        /// Its length in bytes.
        length: usize,
    },
    /// The host is neither a name nor an address, so nothing was said of it to the proxy.
    #[error("not a host's name or address")]
    Host,
    /// The proxy closed the connection before the tunnel stood.
    #[error("the proxy closed the connection")]
    Eof,
    /// The connection to the proxy failed before the tunnel stood, such as by a reset.
    #[error("the connection to the proxy failed: {0}")]
    Io(io::ErrorKind),
}

/// What a SOCKS5 proxy says in place of connecting (RFC 1928, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocksReply {
    /// 1.
    GeneralFailure,
    /// 2.
    NotAllowed,
    /// 3.
    NetworkUnreachable,
    /// 4.
    HostUnreachable,
    /// 5.
    ConnectionRefused,
    /// 6.
    TtlExpired,
    /// 7.
    CommandNotSupported,
    /// 8.
    AddressTypeNotSupported,
    /// One that the RFC does not define.
    Unassigned(u8),
}

impl SocksReply {
    /// Of the byte on the wire, which is not 0: that is success.
    pub(crate) fn new(reply: u8) -> Self {
        match reply {
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            other => Self::Unassigned(other),
        }
    }
}

impl fmt::Display for SocksReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GeneralFailure => "general SOCKS server failure",
            Self::NotAllowed => "connection not allowed by its ruleset",
            Self::NetworkUnreachable => "network unreachable",
            Self::HostUnreachable => "host unreachable",
            Self::ConnectionRefused => "connection refused by the host",
            Self::TtlExpired => "TTL expired",
            Self::CommandNotSupported => "command not supported",
            Self::AddressTypeNotSupported => "address type not supported",
            Self::Unassigned(reply) => return write!(f, "unassigned reply {reply}"),
        })
    }
}

/// What is wrong with a proxy's URL, or with a variable of the environment that names one. The URL is not repeated: it
/// may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// It begins with none of `http://`, `socks5://`, `socks5h://`. TLS to the proxy itself is not supported.
    #[error("a proxy's URL begins with http://, socks5:// or socks5h://")]
    Scheme,
    /// The host is missing or invalid.
    #[error("invalid host in a proxy's URL")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("invalid port in a proxy's URL")]
    Port,
    /// The user information is not percent-encoded UTF-8 without control characters, or an HTTP proxy's user holds a colon (RFC
    /// 7617, section 2).
    #[error("invalid user information in a proxy's URL")]
    Userinfo,
    /// SOCKS5: a user of 1 to 255 bytes and a password of at most 255 (RFC 1929, section 2).
    #[error("user or password too long, or no user (RFC 1929, 2)")]
    Credentials,
    /// Something stands behind the host and port.
    #[error("a proxy's URL has no path")]
    Path,
    /// A variable of the environment is wrong.
    #[error("{name}: {error}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        error: Box<ProxyUrlError>,
    },
    /// An entry of `NO_PROXY` is not a name, an address or a network.
    #[error("not a name, address or network: {entry:?}")]
    NoProxy {
        /// The entry.
        entry: String,
    },
    /// `NO_PROXY` is too long.
    #[error("more than {limit} entries")]
    TooManyEntries {
        /// How many are taken.
        limit: usize,
    },
}
