//! Second opinions: HTTP heads as `httparse` reads them with the RFCs' rules taken one by one, and DEFLATE in [`puff`].

mod puff;

pub use puff::Puff;

/// A head and where it ends.
pub struct Head {
    pub method: String,
    /// The minor version of HTTP/1, as it stands there.
    pub version: u8,
    /// 0 for a request.
    pub status: u16,
    pub fields: Vec<(String, Vec<u8>)>,
    pub length: usize,
}

impl Head {
    /// The request at the start of `bytes`, if it is whole and valid.
    pub fn request(bytes: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; 256];
        let (bytes, minor) = &as_http11(bytes);
        let mut request = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = request.parse(bytes) else { return None };
        Some(Self {
            method: request.method?.to_owned(),
            version: minor.or(request.version)?,
            status: 0,
            fields: owned(request.headers),
            length,
        })
    }

    /// The response at the start of `bytes`, if it is whole and valid.
    pub fn response(bytes: &[u8]) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; 256];
        let (bytes, minor) = &as_http11(bytes);
        let mut response = httparse::Response::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = response.parse(bytes) else { return None };
        Some(Self {
            method: String::new(),
            version: minor.or(response.version)?,
            status: response.code?,
            fields: owned(response.headers),
            length,
        })
    }

    /// The values of the fields of this name.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..]).collect()
    }

    /// The value of the only field of this name.
    pub fn only(&self, name: &str) -> Option<&[u8]> {
        match self.all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// The elements of a comma list, in lower case (RFC 9110, 5.6.1).
    pub fn tokens(&self, name: &str) -> Vec<String> {
        let lines = self.all(name).into_iter().map(|value| String::from_utf8_lossy(value).to_ascii_lowercase());
        let items = lines
            .flat_map(|line| line.split(',').map(|item| item.trim_matches([' ', '\t']).to_owned()).collect::<Vec<_>>());
        items.filter(|item| !item.is_empty()).collect()
    }

    /// Which requirement of RFC 6455, 4.2.1 a request does not meet.
    pub fn upgrade_fault(&self) -> Option<&'static str> {
        let key_is_16_bytes = |key: &[u8]| {
            // RFC 4648, 4: 22 digits of 6 bits and two pads are 132 bits, of which 4 are left over.
            let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
            key.len() == 24 && key[..22].iter().all(digit) && key[22..] == *b"=="
        };
        let rules = [
            (self.method == "GET", "item 1: GET"),
            (self.version >= 1, "item 1: HTTP/1.1 or higher"),
            (self.all("host").len() == 1, "item 2: Host"),
            (self.tokens("upgrade").contains(&"websocket".into()), "item 3: Upgrade"),
            (self.tokens("connection").contains(&"upgrade".into()), "item 4: Connection"),
            (self.only("sec-websocket-key").is_some_and(key_is_16_bytes), "item 5: Sec-WebSocket-Key"),
            (self.only("sec-websocket-version") == Some(b"13"), "item 6: Sec-WebSocket-Version"),
            (self.all("transfer-encoding").is_empty(), "RFC 9112, 6.3: content"),
            (
                self.all("content-length")
                    .iter()
                    .all(|value| !value.is_empty() && value.iter().all(|byte| *byte == b'0')),
                "RFC 9112, 6.3: content",
            ),
        ];
        rules.into_iter().find(|(met, _)| !met).map(|(_, rule)| rule)
    }

    /// Which requirement of RFC 6455, 4.1 on a server's answer a response does not meet, but for extensions.
    pub fn switch_fault(&self, accept: &str, offered: &[&str]) -> Option<&'static str> {
        let upgrade = self.all("upgrade");
        let rules = [
            (self.version >= 1 && self.status == 101, "item 1: 101"),
            (
                !upgrade.is_empty() && upgrade.iter().all(|value| value.eq_ignore_ascii_case(b"websocket")),
                "item 2: Upgrade",
            ),
            (self.tokens("connection").contains(&"upgrade".into()), "item 3: Connection"),
            (self.only("sec-websocket-accept") == Some(accept.as_bytes()), "item 4: Sec-WebSocket-Accept"),
            (
                self.all("sec-websocket-protocol").is_empty()
                    || self
                        .only("sec-websocket-protocol")
                        .is_some_and(|value| offered.iter().any(|offered| offered.as_bytes() == value)),
                "item 6: Sec-WebSocket-Protocol",
            ),
        ];
        rules.into_iter().find(|(met, _)| !met).map(|(_, rule)| rule)
    }
}

/// RFC 9110, 2.5: a higher minor version is read as the highest that is known, which `httparse` leaves to others.
fn as_http11(bytes: &[u8]) -> (Vec<u8>, Option<u8>) {
    let mut bytes = bytes.to_vec();
    let line = bytes.iter().position(|byte| *byte == b'\r').unwrap_or(0);
    let version = match bytes.starts_with(b"HTTP/1.") {
        true => Some(7),
        false => line.checked_sub(1).filter(|at| bytes[..*at].ends_with(b" HTTP/1.")),
    };
    let minor = version.and_then(|at| bytes.get_mut(at)).filter(|minor| (b'2'..=b'9').contains(*minor));
    let higher = minor.map(|minor| std::mem::replace(minor, b'1') - b'0');
    (bytes, higher)
}

fn owned(fields: &[httparse::Header<'_>]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect()
}

/// Reads everything that a server sent (RFC 9112, 6.3) in answer to requests of `methods`, the 101 apart; answers what lies
/// behind the last response. Bytes that are not what they must be panic.
pub fn responses(mut bytes: &[u8], methods: &[String]) -> (Vec<Head>, Vec<u8>) {
    let mut all = Vec::new();
    let mut methods = methods.iter();
    while !bytes.is_empty() {
        let head = Head::response(bytes).unwrap_or_else(|| panic!("not a response: {}", bytes.escape_ascii()));
        bytes = &bytes[head.length..];
        if head.status == 100 {
            continue;
        }
        if head.status == 101 {
            return (all, bytes.to_vec());
        }
        // A request that was refused before it was shown may have been a HEAD, too.
        let head_only = methods.next().map_or(bytes.is_empty(), |method| method == "HEAD");
        let closes = head.tokens("connection").contains(&"close".into());
        match (head.only("content-length"), head.only("transfer-encoding")) {
            _ if head_only || matches!(head.status, 204 | 304) => {}
            (Some(length), None) => {
                let length: usize = String::from_utf8_lossy(length).parse().expect("a length");
                bytes = &bytes[length..];
            }
            (None, Some(b"chunked")) => skip_chunks(&mut bytes),
            (None, None) => {
                assert!(closes, "no length, and the connection stays");
                bytes = &[];
            }
            _ => panic!("both or a strange framing"),
        }
        all.push(head);
        assert!(!closes || bytes.is_empty(), "something behind the last response: {}", bytes.escape_ascii());
    }
    (all, Vec::new())
}

/// RFC 9112, 7.1.
fn skip_chunks(bytes: &mut &[u8]) {
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(bytes) else {
            panic!("not a chunk: {}", bytes.escape_ascii());
        };
        let end = start + size as usize;
        assert_eq!(bytes[end..end + 2], *b"\r\n");
        *bytes = &bytes[end + 2..];
        if size == 0 {
            return;
        }
    }
}
