//! The human-readable header (section 2.1): `PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\n`.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use super::{Endpoints, ProxyError, ProxyHeader, ProxyVersion};

/// With "exactly one space".
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// "If the CRLF sequence is not found in the first 107 characters, the receiver should declare the line invalid."
const MAX_LINE: usize = 107;

/// Of bytes that begin as the signature does.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyError> {
    let first = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = first.iter().position(|byte| *byte == b'\n') else {
        return if first.len() < MAX_LINE { Ok(None) } else { Err(ProxyError::LineTooLong) };
    };
    // "The receiver must not tolerate a single CR or LF character to end the line".
    let line = first[..end].strip_suffix(b"\r").ok_or(ProxyError::BareLf)?;
    let endpoints = endpoints(line.strip_prefix(SIGNATURE).ok_or(ProxyError::Missing)?)?;
    Ok(Some((ProxyHeader { version: ProxyVersion::V1, endpoints, tlvs: Box::default() }, end + 1)))
}

fn endpoints(line: &[u8]) -> Result<Endpoints, ProxyError> {
    let mut fields = line.split(|byte| *byte == b' ');
    match fields.next().unwrap_or_default() {
        // "the receiver must ignore anything presented before the CRLF is found"
        b"UNKNOWN" => Ok(Endpoints::Unknown),
        b"TCP4" => inet::<Ipv4Addr>(fields),
        b"TCP6" => inet::<Ipv6Addr>(fields),
        _ => Err(ProxyError::Protocol),
    }
}

/// Addresses of one family, which "the advertised protocol family dictates".
fn inet<'a, A: FromStr + Into<IpAddr>>(mut fields: impl Iterator<Item = &'a [u8]>) -> Result<Endpoints, ProxyError> {
    let parts = [fields.next(), fields.next(), fields.next(), fields.next()];
    let ([Some(source), Some(destination), Some(source_port), Some(destination_port)], None) = (parts, fields.next())
    else {
        return Err(ProxyError::Fields);
    };
    let source = address::<A>(source).ok_or(ProxyError::SourceAddress)?;
    let destination = address::<A>(destination).ok_or(ProxyError::DestinationAddress)?;
    let source_port = port(source_port).ok_or(ProxyError::SourcePort)?;
    let destination_port = port(destination_port).ok_or(ProxyError::DestinationPort)?;
    Ok(Endpoints::Inet {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// "Heading zeroes are not permitted in front of numbers": the standard library refuses them in an IPv4 address, too.
fn address<A: FromStr + Into<IpAddr>>(field: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(field).ok()?.parse::<A>().ok().map(Into::into)
}

fn port(field: &[u8]) -> Option<u16> {
    let is_canonical = field.iter().all(u8::is_ascii_digit) && (field.len() == 1 || !field.starts_with(b"0"));
    std::str::from_utf8(field).ok().filter(|_| is_canonical)?.parse().ok()
}
