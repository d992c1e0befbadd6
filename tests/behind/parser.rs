//! The PROXY protocol's headers, by section of `proxy-protocol.txt`, without sockets.

use wireroom::proxy_protocol::{DEFAULT_MAX_SIZE, Endpoints, ProxyError, ProxyHeader, ProxyVersion, parse};

use crate::headers::{SIGNATURE, addresses, raw, tlv, v1, v2, with_checksum};

const CLIENT: &str = "192.0.2.7:56324";
const SERVER: &str = "198.51.100.1:443";
const CLIENT6: &str = "[2001:db8::7]:56324";
const SERVER6: &str = "[2001:db8::1]:443";

/// What is made of these bytes with others behind them, the same for every cut.
fn read(bytes: &[u8]) -> Result<(ProxyHeader, usize), ProxyError> {
    read_within(bytes, DEFAULT_MAX_SIZE)
}

fn read_within(bytes: &[u8], limit: usize) -> Result<(ProxyHeader, usize), ProxyError> {
    let all = [bytes, b"GET / HTTP/1.1\r\n\r\n"].concat();
    let whole = parse(&all, limit);
    let mut first = None;
    for cut in 0..=all.len() {
        let result = parse(&all[..cut], limit);
        match (&result, &first) {
            (Ok(None), None) => {}
            (_, None) => first = Some(result),
            (result, Some(first)) => assert_eq!(&result, &first, "cut at {cut}"),
        }
    }
    assert_eq!(first.as_ref(), Some(&whole), "{bytes:?}");
    whole.map(|header| header.unwrap_or_else(|| panic!("not complete: {bytes:?}")))
}

fn header(bytes: &[u8]) -> ProxyHeader {
    let (header, length) = read(bytes).unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
    assert_eq!(length, bytes.len());
    header
}

#[test]
fn section_2_1_addresses_of_both_families() {
    for (source, destination) in [(CLIENT, SERVER), (CLIENT6, SERVER6), ("0.0.0.0:0", "255.255.255.255:65535")] {
        let header = header(&v1(source, destination));
        assert_eq!(header.version(), ProxyVersion::V1);
        assert_eq!((header.source(), header.destination()), (source.parse().ok(), destination.parse().ok()));
        assert_eq!(header.tlvs().count(), 0);
    }
}

#[test]
fn section_2_1_unknown_is_taken_whatever_follows() {
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16));
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN  \r\r\n", "PROXY UNKNOWN \u{ff}? 1\r\n", &longest] {
        assert_eq!(*header(line.as_bytes()).endpoints(), Endpoints::Unknown, "{line:?}");
    }
    assert_eq!(longest.len(), 107);
}

#[test]
fn section_2_1_107_bytes_at_most() {
    let long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(108 - 16));
    assert_eq!(read(long.as_bytes()), Err(ProxyError::LineTooLong));
    assert_eq!(read(&[b"PROXY TCP4 ", &[b'1'; 200][..]].concat()), Err(ProxyError::LineTooLong));
    // The CR is the last byte that counts, and its LF is one too many.
    let split = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 15));
    assert_eq!(read(split.as_bytes()), Err(ProxyError::LineTooLong));
}

#[test]
fn section_2_1_each_fault_has_its_error() {
    use ProxyError as E;
    let cases: &[(&str, E)] = &[
        ("GET / HTTP/1.1\r\n", E::Missing),
        ("proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", E::Missing),
        ("PROXY\tTCP4 1.1.1.1 2.2.2.2 1 2\r\n", E::Missing),
        ("PROXY\r\n", E::Missing),
        (" PROXY UNKNOWN\r\n", E::Missing),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", E::BareLf),
        ("PROXY UNKNOWN\n", E::BareLf),
        ("PROXY \r\n", E::Protocol),
        ("PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", E::Protocol),
        ("PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", E::Protocol),
        ("PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", E::Protocol),
        ("PROXY UNKNOWNS\r\n", E::Protocol),
        ("PROXY TCP4\r\n", E::Fields),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", E::Fields),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", E::Fields),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", E::Fields),
        ("PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", E::Fields),
        ("PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n", E::SourceAddress),
        ("PROXY TCP4 01.1.1.1 2.2.2.2 1 2\r\n", E::SourceAddress),
        ("PROXY TCP4 256.1.1.1 2.2.2.2 1 2\r\n", E::SourceAddress),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", E::SourceAddress),
        ("PROXY TCP4 \u{661}.1.1.1 2.2.2.2 1 2\r\n", E::SourceAddress),
        ("PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", E::SourceAddress),
        ("PROXY TCP6 ::1%lo ::1 1 2\r\n", E::SourceAddress),
        ("PROXY TCP6 [::1] ::1 1 2\r\n", E::SourceAddress),
        ("PROXY TCP4 1.1.1.1 ::1 1 2\r\n", E::DestinationAddress),
        ("PROXY TCP6 ::1 1::1::1 1 2\r\n", E::DestinationAddress),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", E::SourcePort),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", E::SourcePort),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", E::SourcePort),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", E::DestinationPort),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n", E::DestinationPort),
    ];
    for (line, error) in cases {
        assert_eq!(read(line.as_bytes()), Err(*error), "{line:?}");
    }
}

#[test]
fn section_2_2_addresses_of_both_families() {
    for (source, destination) in [(CLIENT, SERVER), (CLIENT6, SERVER6)] {
        let header = header(&v2(source, destination, &[]));
        assert_eq!(header.version(), ProxyVersion::V2);
        assert_eq!((header.source(), header.destination()), (source.parse().ok(), destination.parse().ok()));
    }
}

#[test]
fn section_2_2_paths_of_unix_sockets() {
    let mut block = vec![0; 216];
    block[..9].copy_from_slice(b"/run/a.so");
    block[108..].copy_from_slice(&[b'b'; 108]);
    let unix = header(&raw(0x21, 0x31, &[&block[..], &tlv(2, b"a.example")].concat()));
    let Endpoints::Unix { source, destination } = unix.endpoints() else { panic!("{unix:?}") };
    assert_eq!((&**source, &**destination), (&b"/run/a.so"[..], &[b'b'; 108][..]));
    assert_eq!((unix.source(), unix.authority()), (None, Some("a.example")));
    // An abstract one begins with a zero.
    block[..9].copy_from_slice(b"\0abstract");
    let header = header(&raw(0x21, 0x31, &block));
    assert!(matches!(header.endpoints(), Endpoints::Unix { source, .. } if **source == *b"\0abstract"));
}

#[test]
fn section_2_2_local_discards_the_block_and_ignores_the_family() {
    for family in [0, 0x11, 0x21, 0xff] {
        for block in [&[][..], &[1, 2, 3], &addresses(CLIENT, SERVER), &tlv(3, b"not a checksum")] {
            assert_eq!(*header(&raw(0x20, family, block)).endpoints(), Endpoints::Local);
        }
    }
}

#[test]
fn section_2_2_what_is_unspecified_or_not_supported_is_unknown() {
    for family in [0x00, 0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x32] {
        for block in [&[][..], &addresses(CLIENT, SERVER)] {
            assert_eq!(*header(&raw(0x21, family, block)).endpoints(), Endpoints::Unknown, "{family:02x}");
        }
    }
}

#[test]
fn section_2_2_each_fault_has_its_error() {
    use ProxyError as E;
    let block = addresses(CLIENT, SERVER);
    let six = addresses(CLIENT6, SERVER6);
    let short = |length, needed| E::AddressesTooShort { length, needed };
    let cases: &[(Vec<u8>, E)] = &[
        ([&SIGNATURE[..11], b"X", &[0x21, 0x11, 0, 12], &block].concat(), E::Missing),
        (raw(0x11, 0x11, &block), E::Version(1)),
        (raw(0x31, 0x11, &block), E::Version(3)),
        (raw(0x22, 0x11, &block), E::Command(2)),
        (raw(0x2f, 0x11, &block), E::Command(15)),
        (raw(0x21, 0x41, &block), E::Family(4)),
        (raw(0x21, 0xf0, &block), E::Family(15)),
        (raw(0x21, 0x13, &block), E::Transport(3)),
        (raw(0x21, 0x0f, &block), E::Transport(15)),
        (raw(0x21, 0x11, &[]), short(0, 12)),
        (raw(0x21, 0x11, &block[..11]), short(11, 12)),
        (raw(0x21, 0x21, &six[..35]), short(35, 36)),
        (raw(0x21, 0x21, &six[..15]), short(15, 36)),
        (raw(0x21, 0x31, &[b'/'; 215]), short(215, 216)),
    ];
    for (bytes, error) in cases {
        assert_eq!(read(bytes), Err(*error), "{bytes:02x?}");
    }
}

#[test]
fn a_length_is_taken_up_to_the_limit_and_told_before_it_has_come() {
    let fits = v2(CLIENT, SERVER, &tlv(4, &vec![0; 4096 - 16 - 12 - 3]));
    assert_eq!(header(&fits).source(), CLIENT.parse().ok());
    let beyond = v2(CLIENT, SERVER, &tlv(4, &vec![0; 4096 - 16 - 12 - 2]));
    assert_eq!(read(&beyond), Err(ProxyError::TooLong { size: 4097, limit: 4096 }));
    assert_eq!(parse(&beyond[..16], 4096), Err(ProxyError::TooLong { size: 4097, limit: 4096 }));
    // LOCAL, too. The limit has always room for the addresses of any family.
    assert_eq!(read(&raw(0x20, 0, &[0; 5000])), Err(ProxyError::TooLong { size: 5016, limit: 4096 }));
    assert!(read_within(&raw(0x21, 0x31, &[b'/'; 216]), 0).is_ok());
    assert_eq!(read_within(&raw(0x21, 0x31, &[0; 217]), 0).unwrap_err(), ProxyError::TooLong { size: 233, limit: 232 });
}

#[test]
fn section_2_2_fields() {
    let ssl = [
        &[0b101, 0, 0, 0, 0][..],
        &tlv(0x21, b"TLSv1.3"),
        &tlv(0x22, "Jürgen".as_bytes()),
        &tlv(0x23, b"TLS_AES_128_GCM_SHA256"),
        &tlv(0x26, b"later"),
    ];
    let fields = [
        tlv(1, b"http/1.1"),
        tlv(2, b"chat.example"),
        tlv(4, b"padding"),
        tlv(5, &[7; 128]),
        tlv(0x20, &ssl.concat()),
        tlv(0xe0, b"my own"),
        tlv(2, b"a second one"),
    ];
    let header = header(&with_checksum(CLIENT, SERVER, &fields.concat()));
    assert_eq!(header.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!((header.authority(), header.unique_id()), (Some("chat.example"), Some(&[7; 128][..])));
    let ssl = header.ssl().unwrap();
    assert!(ssl.is_tls() && ssl.is_verified());
    assert_eq!((ssl.version(), ssl.common_name()), (Some("TLSv1.3"), Some("Jürgen")));
    assert_eq!(ssl.cipher(), Some("TLS_AES_128_GCM_SHA256"));
    let kinds: Vec<_> = header.tlvs().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [1, 2, 4, 5, 0x20, 0xe0, 2, 3]);
}

#[test]
fn section_2_2_6_a_certificate_is_verified_only_if_there_was_one() {
    for (client, verify, verified) in [(0b001, 0, false), (0b011, 0, true), (0b111, 1, false), (0b101, 0, true)] {
        let header = header(&v2(CLIENT, SERVER, &tlv(0x20, &[client, 0, 0, 0, verify])));
        assert_eq!(header.ssl().unwrap().is_verified(), verified, "{client:b} {verify}");
    }
    let plain = header(&v2(CLIENT, SERVER, &tlv(0x20, &[0; 5])));
    assert!(!plain.ssl().unwrap().is_tls());
    assert!(header(&v2(CLIENT, SERVER, &[])).ssl().is_none());
}

#[test]
fn section_2_2_fields_that_are_not_whole_or_not_allowed() {
    use ProxyError as E;
    let ssl = |value: &[u8]| tlv(0x20, value);
    let cases: &[(Vec<u8>, E)] = &[
        (vec![1], E::Tlv),
        (vec![1, 0], E::Tlv),
        (vec![1, 0, 1], E::Tlv),
        ([tlv(1, b"h2"), vec![2, 0, 4, b'a', b'b', b'c']].concat(), E::Tlv),
        (vec![4, 0xff, 0xff, 0], E::Tlv),
        (tlv(2, b"\xff"), E::Authority),
        (tlv(3, &[0; 3]), E::ChecksumLength),
        (tlv(3, &[]), E::ChecksumLength),
        (tlv(5, &[0; 129]), E::UniqueId { length: 129 }),
        (ssl(&[]), E::Ssl),
        (ssl(&[1, 0, 0, 0]), E::Ssl),
        (ssl(&[1, 0, 0, 0, 0, 0x21]), E::Ssl),
        (ssl(&[1, 0, 0, 0, 0, 0x21, 0, 9, b'T']), E::Ssl),
    ];
    for (fields, error) in cases {
        assert_eq!(read(&v2(CLIENT, SERVER, fields)), Err(*error), "{fields:02x?}");
    }
}

#[test]
fn section_2_2_3_a_bit_that_changes_is_seen() {
    let whole = with_checksum(CLIENT6, SERVER6, &tlv(2, b"chat.example"));
    assert!(read(&whole).is_ok());
    for at in 16..whole.len() {
        for bit in 0..8 {
            let mut broken = whole.clone();
            broken[at] ^= 1 << bit;
            let read = parse(&broken, DEFAULT_MAX_SIZE);
            // Where the length or type of a field is changed, the checksum may no longer be found.
            let is_field_head = (52..55).contains(&at) || (67..70).contains(&at);
            assert!(read.is_err() || is_field_head, "byte {at}, bit {bit}: {read:?}");
            if !is_field_head && at < 52 {
                assert!(matches!(read, Err(ProxyError::Checksum { .. })), "byte {at}, bit {bit}: {read:?}");
            }
        }
    }
}
