//! Requests and frames that break a rule, and how each is answered.

pub(super) const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
pub(super) const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// A request to upgrade with these fields.
pub(super) fn request(line: &str, fields: &str) -> Vec<u8> {
    format!("{line}\r\nHost: soak\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{fields}\r\n").into_bytes()
}

/// A good one, for this client.
pub(super) fn upgrade(path: &str, number: u64, more: &str) -> Vec<u8> {
    request(&format!("GET {path}?n={number} HTTP/1.1"), &format!("{KEY}{VERSION}{more}"))
}

/// Bad requests: the request, the status that answers it, and how the server names the end.
pub(super) fn bad_requests() -> Vec<(Vec<u8>, u16, &'static str)> {
    let get = "GET /soak?n=1 HTTP/1.1";
    let both = format!("{KEY}{VERSION}");
    vec![
        (request(get, VERSION), 400, "http:400"),
        (request(get, &format!("{KEY}{KEY}{VERSION}")), 400, "http:400"),
        (request(get, &format!("Sec-WebSocket-Key: short\r\n{VERSION}")), 400, "http:400"),
        (request(get, &format!("{KEY}Sec-WebSocket-Version: 8\r\n")), 426, "http:426"),
        (request("POST /soak?n=1 HTTP/1.1", &both), 405, "http:405"),
        (request("GET /soak?n=1 HTTP/2.0", &both), 505, "http:505"),
        (request("GET /nowhere HTTP/1.1", &both), 403, "http:403"),
        (request(&format!("GET /{} HTTP/1.1", "x".repeat(9_000)), &both), 414, "http:414"),
        (request(get, &format!("{both}{}", "A: b\r\n".repeat(120))), 431, "http:431"),
        (request(get, &format!("{both}A: {}\r\n", "x".repeat(20_000))), 431, "http:431"),
        (request(get, &format!("{both}Bad Name: x\r\n")), 400, "http:400"),
        (request(get, &format!("{both}Host: other\r\n")), 400, "http:400"),
        (request(get, &format!("{both}Content-Length: 5\r\n")), 400, "http:400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS\r\n\r\n".to_vec(), 400, "http:400"),
    ]
}

/// One masked frame; `first` is the byte with FIN, the reserved bits and the opcode.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let key = [0x12, 0x34, 0x56, 0x78];
    frame.extend_from_slice(&key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Frames that break the protocol: the bytes, the code that answers them, and how the server names the end. The last one
/// needs compression.
pub(super) fn bad_frames() -> Vec<(Vec<u8>, u16, &'static str)> {
    let together = |frames: [Vec<u8>; 2]| frames.concat();
    vec![
        (vec![0x82, 0x01, b'x'], 1002, "fault:UnmaskedFrame"),
        (frame(0xc2, b"x"), 1002, "fault:ReservedBits"),
        (frame(0x83, b"x"), 1002, "fault:ReservedOpcode"),
        (frame(0x8b, b""), 1002, "fault:ReservedOpcode"),
        (vec![0x82, 0xfe, 0x00, 0x05, 1, 2, 3, 4, 5], 1002, "fault:NonMinimalLength"),
        (vec![0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], 1002, "fault:LengthOutOfRange"),
        (vec![0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], 1009, "fault:MessageTooBig"),
        (frame(0x09, b"x"), 1002, "fault:FragmentedControlFrame"),
        (frame(0x89, &[b'x'; 126]), 1002, "fault:LongControlFrame"),
        (frame(0x80, b"x"), 1002, "fault:UnexpectedContinuation"),
        (together([frame(0x01, b"e"), frame(0x81, b"x")]), 1002, "fault:InterruptedMessage"),
        (frame(0x81, b"e\xff\xfe"), 1007, "fault:InvalidUtf8"),
        (together([frame(0x01, b"e\xc3"), frame(0x80, b"x")]), 1007, "fault:InvalidUtf8"),
        (frame(0x88, b"\x03"), 1002, "fault:TruncatedCloseCode"),
        (frame(0x88, b"\x03\xed"), 1002, "fault:InvalidCloseCode"),
        (frame(0xc2, b"\xff\xff\xff\xff\xff"), 1007, "fault:InvalidDeflate"),
    ]
}
