//! What can be wrong with a header. All of it is the sender's fault.

use thiserror::Error;

/// Why a header of the PROXY protocol is not one. Section numbers are those of `proxy-protocol.txt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// The connection begins with something else.
    #[error("the connection does not begin with a PROXY protocol header")]
    Missing,
    /// Version 1: no CRLF within 107 bytes.
    #[error("the line has no CRLF within its first 107 bytes (2.1)")]
    LineTooLong,
    /// Version 1: a line feed without a carriage return before it.
    #[error("the line ends in a bare LF (2.1)")]
    BareLf,
    /// Version 1: a protocol other than `TCP4`, `TCP6` and `UNKNOWN`.
    #[error("neither TCP4, TCP6 nor UNKNOWN (2.1)")]
    Protocol,
    /// Version 1: not two addresses and two ports, one space between each.
    #[error("not two addresses and two ports with single spaces between them (2.1)")]
    Fields,
    /// Version 1: the source is not an address of the family, in its canonical form.
    #[error("the source address is not one of the announced family (2.1)")]
    SourceAddress,
    /// Version 1: the same of the destination.
    #[error("the destination address is not one of the announced family (2.1)")]
    DestinationAddress,
    /// Version 1: the source port is not a number from 0 to 65535 without zeros in front.
    #[error("the source port is not a number from 0 to 65535 (2.1)")]
    SourcePort,
    /// Version 1: the same of the destination's.
    #[error("the destination port is not a number from 0 to 65535 (2.1)")]
    DestinationPort,
    /// The binary header's version is not 2.
    #[error("version {0} of the binary header: only 2 is known (2.2)")]
    Version(u8),
    /// Version 2: a command other than `LOCAL` and `PROXY`.
    #[error("unknown command {0} (2.2)")]
    Command(u8),
    /// Version 2: an address family that is not assigned.
    #[error("unknown address family {0} (2.2)")]
    Family(u8),
    /// Version 2: a transport protocol that is not assigned.
    #[error("unknown transport protocol {0} (2.2)")]
    Transport(u8),
    /// Version 2: longer than the limit.
    #[error("a header of {size} bytes: at most {limit} are taken")]
    TooLong {
        /// Its size as declared, its first 16 bytes included.
        size: usize,
        /// `ProxyProtocol::max_header_size`.
        limit: usize,
    },
    /// Version 2: shorter than the addresses of its family.
    #[error("{length} bytes behind the fixed part: the addresses of this family take {needed} (2.2)")]
    AddressesTooShort {
        /// Bytes behind the first 16.
        length: usize,
        /// What the family's addresses take.
        needed: usize,
    },
    /// Version 2: a type-length-value field that is not whole, or reaches beyond the header.
    #[error("a field (TLV) reaches beyond the header (2.2)")]
    Tlv,
    /// Version 2: an authority that is not UTF-8.
    #[error("the authority is not UTF-8 (2.2.2)")]
    Authority,
    /// Version 2: a checksum field that is not four bytes.
    #[error("the checksum is not four bytes (2.2.3)")]
    ChecksumLength,
    /// Version 2: the header's checksum is another.
    #[error("the header's checksum is {told:08x}, and should be {computed:08x} (2.2.3)")]
    Checksum {
        /// What the header says.
        told: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// Version 2: a unique id above 128 bytes.
    #[error("a unique id of {length} bytes: at most 128 are allowed (2.2.5)")]
    UniqueId {
        /// Its length.
        length: usize,
    },
    /// Version 2: an SSL field below five bytes, or whose own fields are not whole.
    #[error("the SSL field is not whole (2.2.6)")]
    Ssl,
}
