//! Headers of the PROXY protocol, written by hand.

use std::net::SocketAddr;

pub(crate) const SIGNATURE: &[u8] = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a";

pub(crate) fn v1(source: &str, destination: &str) -> Vec<u8> {
    let (source, destination): (SocketAddr, SocketAddr) = (source.parse().unwrap(), destination.parse().unwrap());
    let family = if source.is_ipv4() { 4 } else { 6 };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY TCP{family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

/// Version and command, family and transport, and what follows, with its length.
pub(crate) fn raw(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, block].concat()
}

pub(crate) fn addresses(source: &str, destination: &str) -> Vec<u8> {
    let (source, destination): (SocketAddr, SocketAddr) = (source.parse().unwrap(), destination.parse().unwrap());
    let mut block = Vec::new();
    for address in [source, destination] {
        match address {
            SocketAddr::V4(address) => block.extend(address.ip().octets()),
            SocketAddr::V6(address) => block.extend(address.ip().octets()),
        }
    }
    block.extend(source.port().to_be_bytes());
    block.extend(destination.port().to_be_bytes());
    block
}

/// A header of version 2 with these fields behind its addresses.
pub(crate) fn v2(source: &str, destination: &str, tlvs: &[u8]) -> Vec<u8> {
    let family = if source.starts_with('[') { 0x21 } else { 0x11 };
    raw(0x21, family, &[&addresses(source, destination), tlvs].concat())
}

pub(crate) fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// The same with a checksum as its last field.
pub(crate) fn with_checksum(source: &str, destination: &str, tlvs: &[u8]) -> Vec<u8> {
    let mut header = v2(source, destination, &[tlvs, &tlv(3, &[0; 4])].concat());
    let checksum = crc32c(&header);
    let at = header.len() - 4;
    header[at..].copy_from_slice(&checksum.to_be_bytes());
    header
}

/// RFC 4960, appendix B, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}
