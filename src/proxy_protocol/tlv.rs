//! What a binary header tells beside addresses: fields of one byte of type, two of length, and a value.

use super::{ProxyError, ProxyHeader, crc32c::crc32c};

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CRC32C: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_CN: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;

/// 2.2.5: "an opaque byte sequence of up to 128 bytes".
const MAX_UNIQUE_ID: usize = 128;

/// The fields of a header as `(type, value)`, in order.
#[derive(Clone, Debug)]
pub struct Tlvs<'h> {
    rest: &'h [u8],
}

impl<'h> Iterator for Tlvs<'h> {
    type Item = (u8, &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (head, rest) = self.rest.split_first_chunk::<3>()?;
        let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([head[1], head[2]])))?;
        self.rest = rest;
        Some((head[0], value))
    }
}

/// Whether all fields are whole, and those that are known say what they may. `header` is all of it, for the checksum.
pub(super) fn check(tlvs: &[u8], header: &[u8]) -> Result<(), ProxyError> {
    whole(tlvs).ok_or(ProxyError::Tlv)?;
    let mut at = header.len() - tlvs.len();
    for (kind, value) in (Tlvs { rest: tlvs }) {
        at += 3 + value.len();
        match kind {
            AUTHORITY if std::str::from_utf8(value).is_err() => return Err(ProxyError::Authority),
            CRC32C => {
                let told = u32::from_be_bytes(value.try_into().map_err(|_| ProxyError::ChecksumLength)?);
                // "replace the 32 bits of the checksum field in the received PROXY header with all '0's"
                let computed = crc32c(&[&header[..at - 4], &[0; 4], &header[at..]]);
                if computed != told {
                    return Err(ProxyError::Checksum { told, computed });
                }
            }
            UNIQUE_ID if value.len() > MAX_UNIQUE_ID => return Err(ProxyError::UniqueId { length: value.len() }),
            SSL => {
                value.get(5..).and_then(whole).ok_or(ProxyError::Ssl)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// `None` if bytes are left behind the last whole field.
fn whole(tlvs: &[u8]) -> Option<()> {
    let mut fields = Tlvs { rest: tlvs };
    while fields.next().is_some() {}
    fields.rest.is_empty().then_some(())
}

impl ProxyHeader {
    /// All fields of a version 2 header, also those that have no method here.
    pub fn tlvs(&self) -> Tlvs<'_> {
        Tlvs { rest: &self.tlvs }
    }

    /// What the client negotiated as the protocol above (ALPN), section 2.2.1.
    pub fn alpn(&self) -> Option<&[u8]> {
        first(self.tlvs(), ALPN)
    }

    /// The host name that the client asked for, over TLS its SNI, section 2.2.2.
    pub fn authority(&self) -> Option<&str> {
        text(self.tlvs(), AUTHORITY)
    }

    /// What the proxy calls this connection, at most 128 bytes, section 2.2.5.
    pub fn unique_id(&self) -> Option<&[u8]> {
        first(self.tlvs(), UNIQUE_ID)
    }

    /// How the client spoke TLS with the proxy, section 2.2.6.
    pub fn ssl(&self) -> Option<Ssl<'_>> {
        let (head, rest) = first(self.tlvs(), SSL)?.split_first_chunk::<5>()?;
        let [client, verify @ ..] = *head;
        Some(Ssl { client, verify: u32::from_be_bytes(verify), fields: Tlvs { rest } })
    }
}

/// What a proxy that ends TLS says of it, section 2.2.6.
#[derive(Clone, Debug)]
pub struct Ssl<'h> {
    client: u8,
    verify: u32,
    fields: Tlvs<'h>,
}

impl<'h> Ssl<'h> {
    /// The client connected over TLS.
    pub fn is_tls(&self) -> bool {
        self.client & 1 != 0
    }

    /// The client presented a certificate in this session, and the proxy verified it.
    pub fn is_verified(&self) -> bool {
        self.client & 6 != 0 && self.verify == 0
    }

    /// The version of TLS, such as `TLSv1.3`.
    pub fn version(&self) -> Option<&'h str> {
        text(self.fields.clone(), SSL_VERSION)
    }

    /// The cipher, such as `ECDHE-RSA-AES128-GCM-SHA256`.
    pub fn cipher(&self) -> Option<&'h str> {
        text(self.fields.clone(), SSL_CIPHER)
    }

    /// The Common Name of the client's certificate. Whether that was verified is another question:
    /// [`is_verified`](Self::is_verified).
    pub fn common_name(&self) -> Option<&'h str> {
        text(self.fields.clone(), SSL_CN)
    }
}

fn first(mut fields: Tlvs<'_>, kind: u8) -> Option<&[u8]> {
    fields.find(|(found, _)| *found == kind).map(|(_, value)| value)
}

fn text(fields: Tlvs<'_>, kind: u8) -> Option<&str> {
    first(fields, kind).and_then(|value| std::str::from_utf8(value).ok())
}
