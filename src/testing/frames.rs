//! Frames made and read by hand (RFC 6455 section 5.2): what a correct peer sends, and what a hostile one does.
//!
//! Nothing here is the library's own code: a fault there is not repeated here.

use super::Role;

/// The masking key of the examples of RFC 6455, section 5.7.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame that `sender` sends: masked by a client, not masked by a server. `first` is the first byte as it is on the wire:
/// FIN 0x80, RSV1 to 3 0x40, 0x20, 0x10, and the opcode.
///
/// ```
/// use wireroom::testing::{Endpoint, Role, close_payload, frame};
///
/// let mut server = Endpoint::new(Role::Server, wireroom::Config::default());
/// server.receive(&frame(Role::Client, 0xc1, b"a reserved bit is set"));
/// let [(first, payload)] = &server.flush_frames()[..] else { panic!("one frame") };
/// assert_eq!((*first, &payload[..2]), (0x88, &1002_u16.to_be_bytes()[..]));
/// assert_eq!(server.ending().local_code(), Some(1002));
/// ```
pub fn frame(sender: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(sender, first, payload.len() as u64);
    bytes.extend(masked(sender, payload));
    bytes
}

/// The header of a frame that `sender` sends, with a declared length that no payload has to keep.
///
/// ```
/// use wireroom::testing::{Role, header};
///
/// assert_eq!(header(Role::Server, 0x82, 1 << 62), b"\x82\x7f\x40\0\0\0\0\0\0\0");
/// ```
pub fn header(sender: Role, first: u8, length: u64) -> Vec<u8> {
    let mask_bit = if sender == Role::Client { 0x80 } else { 0x00 };
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(mask_bit | length as u8),
        126..=0xffff => {
            bytes.push(mask_bit | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    if sender == Role::Client {
        bytes.extend(KEY);
    }
    bytes
}

/// `payload` as `sender` puts it on the wire, from its first byte on: a client masks it with [`KEY`].
pub fn masked(sender: Role, payload: &[u8]) -> Vec<u8> {
    match sender {
        Role::Client => payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect(),
        Role::Server => payload.to_vec(),
    }
}

/// The payload of a Close frame (section 5.5.1).
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.as_bytes());
    payload
}

/// Reads whole frames that `sender` sent: the first byte of each, and the payload, unmasked.
///
/// # Panics
///
/// On half a frame at the end, and where the sender did not mask as it must (section 5.1).
#[track_caller]
pub fn frames(sender: Role, mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let Some((frame, rest)) = first_frame(sender, bytes) else {
            panic!("half a frame at the end: {bytes:02x?}");
        };
        all.push(frame);
        bytes = rest;
    }
    all
}

/// Its first byte and its payload.
type Frame = (u8, Vec<u8>);

/// The first frame, and what lies behind it.
#[track_caller]
fn first_frame(sender: Role, bytes: &[u8]) -> Option<(Frame, &[u8])> {
    let (&[first, second], rest) = bytes.split_first_chunk::<2>()?;
    assert_eq!(second & 0x80 != 0, sender == Role::Client, "masking by a {sender:?}");
    let (length, rest) = match second & 0x7f {
        126 => rest.split_first_chunk::<2>().map(|(length, rest)| (u64::from(u16::from_be_bytes(*length)), rest))?,
        127 => rest.split_first_chunk::<8>().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
        length => (u64::from(length), rest),
    };
    let (key, rest) = match sender {
        Role::Client => rest.split_first_chunk::<4>()?,
        Role::Server => (&[0; 4], rest),
    };
    let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    Some(((first, payload), rest))
}
