//! The binary header (section 2.2): 16 bytes, addresses, and fields of type, length and value.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Endpoints, ProxyError, ProxyHeader, ProxyVersion, tlv};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family and transport, length.
const FIXED: usize = 16;
const UNIX_PATH: usize = 108;

/// Of bytes that begin as the signature does.
pub(super) fn parse(bytes: &[u8], max_size: usize) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else { return Ok(None) };
    let (version, command) = (fixed[12] >> 4, fixed[12] & 15);
    if version != 2 {
        return Err(ProxyError::Version(version));
    }
    if command > 1 {
        return Err(ProxyError::Command(command));
    }
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let size = FIXED + length;
    if size > max_size {
        return Err(ProxyError::TooLong { size, limit: max_size });
    }
    let Some(block) = rest.get(..length) else { return Ok(None) };
    let (endpoints, tlvs) = match command {
        // "must use the real connection endpoints and discard the protocol block including the family which is ignored"
        0 => (Endpoints::Local, &[][..]),
        _ => addresses(fixed[13], block)?,
    };
    tlv::check(tlvs, &bytes[..size])?;
    Ok(Some((ProxyHeader { version: ProxyVersion::V2, endpoints, tlvs: tlvs.into() }, size)))
}

/// The addresses at the beginning of the block, and what lies behind them.
fn addresses(family_and_transport: u8, block: &[u8]) -> Result<(Endpoints, &[u8]), ProxyError> {
    let (family, transport) = (family_and_transport >> 4, family_and_transport & 15);
    // "other values are unspecified and must not be emitted in version 2 of this protocol and must be rejected as invalid by
    // receivers", of both.
    if family > 3 {
        return Err(ProxyError::Family(family));
    }
    if transport > 2 {
        return Err(ProxyError::Transport(transport));
    }
    let short = |needed| ProxyError::AddressesTooShort { length: block.len(), needed };
    Ok(match (family, transport) {
        (1, 1) => {
            let (addresses, rest) = block.split_first_chunk::<12>().ok_or(short(12))?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *addresses;
            (inet(Ipv4Addr::new(a, b, c, d), Ipv4Addr::new(e, f, g, h), ports), rest)
        }
        (2, 1) => {
            let (source, rest) = block.split_first_chunk::<16>().ok_or(short(36))?;
            let (destination, rest) = rest.split_first_chunk::<16>().ok_or(short(36))?;
            let (ports, rest) = rest.split_first_chunk::<4>().ok_or(short(36))?;
            (inet(Ipv6Addr::from(*source), Ipv6Addr::from(*destination), *ports), rest)
        }
        (3, 1) => {
            let (source, rest) = block.split_at_checked(UNIX_PATH).ok_or(short(2 * UNIX_PATH))?;
            let (destination, rest) = rest.split_at_checked(UNIX_PATH).ok_or(short(2 * UNIX_PATH))?;
            (Endpoints::Unix { source: path(source), destination: path(destination) }, rest)
        }
        // "it automatically falls back to the UNSPEC mode for the valid combinations above that it does not support": datagrams.
        // "The receiver should ignore address information." Where it ends, and fields begin, is not told.
        _ => (Endpoints::Unknown, &[][..]),
    })
}

fn inet<A: Into<std::net::IpAddr>>(source: A, destination: A, ports: [u8; 4]) -> Endpoints {
    let [a, b, c, d] = ports;
    Endpoints::Inet {
        source: SocketAddr::new(source.into(), u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination.into(), u16::from_be_bytes([c, d])),
    }
}

/// Without the zeros that fill it up.
fn path(bytes: &[u8]) -> Box<[u8]> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes[..end].into()
}
