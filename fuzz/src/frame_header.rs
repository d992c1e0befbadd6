//! Floor 1: frame headers, masks and the payload of Close frames, each against a reading of the RFC that takes no
//! shortcut.

use wireroom::{
    CloseCode, CloseFrame, ProtocolError,
    frame::{FrameHeader, Opcode, apply_mask},
};

use crate::{input::Choices, printed::told};

pub fn run(input: &[u8]) {
    header_of_bytes(input);
    let mut choices = Choices::new(input);
    bytes_of_header(&mut choices);
    mask(&mut choices);
    close(choices.rest());
}

/// `encode` gives the bytes back that `parse` took, and the verdict does not depend on what has arrived besides.
fn header_of_bytes(bytes: &[u8]) {
    let verdict = FrameHeader::parse(bytes);
    // Every start of the bytes is undecided, up to the one that decides, and from there on the verdict stands.
    let decides = (0..=bytes.len()).find(|n| FrameHeader::parse(&bytes[..*n]) != Ok(None));
    for n in decides.unwrap_or(bytes.len())..=bytes.len() {
        assert_eq!(FrameHeader::parse(&bytes[..n]), verdict, "after {n} bytes");
    }
    match verdict {
        Ok(Some((header, length))) => {
            assert_eq!(decides, Some(length));
            let (encoded, n) = header.encode();
            assert_eq!(encoded[..n], bytes[..length]);
            assert_eq!(naive(bytes), Some(Ok((header, length))));
        }
        Err(error) => {
            told(&error);
            assert_eq!(error.close_code(), CloseCode::PROTOCOL_ERROR);
            // A whole header is enough for the naive reading, which sees the same fault.
            let mut whole = bytes.to_vec();
            whole.resize(bytes.len().max(FrameHeader::MAX), 0);
            assert_eq!(naive(&whole), Some(Err(error)));
        }
        Ok(None) => assert!(bytes.len() < FrameHeader::MAX),
    }
}

/// RFC 6455, 5.2, in the order of its fields, for a header that is there whole.
fn naive(bytes: &[u8]) -> Option<Result<(FrameHeader, usize), ProtocolError>> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let opcode = match first % 16 {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        reserved => return Some(Err(ProtocolError::ReservedOpcode(reserved))),
    };
    let (fin, rsv) = (first >= 128, first / 16 % 8);
    let control = first % 16 >= 8;
    if control && !fin {
        return Some(Err(ProtocolError::FragmentedControlFrame));
    }
    let (short, masked) = (second % 128, second >= 128);
    if control && short > 125 {
        return Some(Err(ProtocolError::LongControlFrame));
    }
    let extended = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mut payload_length = u64::from(short);
    if extended > 0 {
        payload_length = bytes.get(2..2 + extended)?.iter().fold(0, |sum, byte| sum * 256 + u64::from(*byte));
    }
    if payload_length >= 1 << 63 {
        return Some(Err(ProtocolError::LengthOutOfRange));
    }
    if (extended == 2 && payload_length < 126) || (extended == 8 && payload_length < 65_536) {
        return Some(Err(ProtocolError::NonMinimalLength));
    }
    let mut length = 2 + extended;
    let mut mask = None;
    if masked {
        mask = Some(bytes.get(length..length + 4)?.try_into().ok()?);
        length += 4;
    }
    Some(Ok((FrameHeader { fin, rsv, opcode, mask, payload_length }, length)))
}

/// Any header that may be sent survives.
fn bytes_of_header(choices: &mut Choices<'_>) {
    let opcodes = [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];
    let (flags, opcode) = (choices.byte(), choices.of(&opcodes));
    let bits = choices.byte() % 64;
    let wide = (0..4).fold(0_u64, |sum, _| sum << 16 | u64::from(choices.short()));
    let (fin, payload_length) = match opcode.is_control() {
        true => (true, wide % 126),
        false => (flags & 1 != 0, wide >> bits >> 1),
    };
    let key = [choices.byte(), choices.byte(), choices.byte(), choices.byte()];
    let mask = (flags & 2 != 0).then_some(key);
    let header = FrameHeader { fin, rsv: flags >> 2 & 7, opcode, mask, payload_length };
    let (bytes, length) = header.encode();
    assert_eq!(FrameHeader::parse(&bytes[..length]), Ok(Some((header, length))));
}

/// RFC 6455, 5.3: octet i of the payload by octet i mod 4 of the key, in pieces or at once.
fn mask(choices: &mut Choices<'_>) {
    let key = [choices.byte(), choices.byte(), choices.byte(), choices.byte()];
    let (offset, cut) = (usize::from(choices.byte()), usize::from(choices.byte()));
    let plain = choices.bytes(200);
    let expected: Vec<u8> = plain.iter().enumerate().map(|(i, byte)| byte ^ key[(i + offset) % 4]).collect();
    let mut masked = plain.to_vec();
    let cut = cut % (plain.len() + 1);
    let (before, behind) = masked.split_at_mut(cut);
    apply_mask(before, key, offset);
    apply_mask(behind, key, offset + cut);
    assert_eq!(masked, expected);
}

/// RFC 6455, 5.5.1 and 7.4.
fn close(payload: &[u8]) {
    let parsed = CloseFrame::parse(payload);
    match payload {
        [] => assert_eq!(parsed, Ok(CloseFrame::default())),
        [_] => assert_eq!(parsed, Err(ProtocolError::TruncatedCloseCode)),
        [high, low, reason @ ..] => {
            let code = u16::from(*high) * 256 + u16::from(*low);
            // 7.4.1 and the IANA registry: what is neither reserved nor undefined.
            let allowed =
                (1000..=1014).contains(&code) && ![1004, 1005, 1006].contains(&code) || (3000..5000).contains(&code);
            assert_eq!(CloseCode::new(code).is_some(), allowed, "{code}");
            match (allowed, String::from_utf8(reason.to_vec())) {
                (false, _) => assert_eq!(parsed, Err(ProtocolError::InvalidCloseCode(code))),
                (true, Err(_)) => assert_eq!(parsed, Err(ProtocolError::InvalidUtf8)),
                (true, Ok(reason)) => {
                    let frame = parsed.expect("a valid Close");
                    told(&frame.code.expect("its code"));
                    assert_eq!((frame.code.map(CloseCode::as_u16), &*frame.reason), (Some(code), &*reason));
                    let cut = CloseFrame::new(frame.code.expect("its code"), &reason);
                    assert!(reason.starts_with(&*cut.reason) && cut.reason.len() <= 123);
                    assert!(cut.reason.len() == reason.len() || cut.reason.len() > 119, "cut at a character");
                }
            }
        }
    }
}
