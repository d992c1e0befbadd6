//! Compressed messages of a hostile peer: what they mean, and that the limits hold. The input is the payloads of up to
//! four messages, in frames and reads of any size.

use std::sync::Arc;

use bytes::BufMut;
use wireroom::{
    RecvBuffer,
    handshake::{DeflateParams, Extensions},
};

use crate::{
    common::{self, ROLES, Role, Seen, frame},
    input::{Choices, cuts},
    reference::Puff,
};

/// More input than this makes no other messages, only longer ones.
const LONGEST: usize = 8192;

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let flags = choices.byte();
    let role = ROLES[usize::from(flags & 1)];
    let takeover = flags & 2 != 0;
    let limit = choices.of(&[1000_usize, 0, 1, 65_536, 300_000]);
    let read = choices.of(&[usize::MAX, 1, 2, 7, 100]);
    let (messages, fragments) = (choices.places(), choices.places());
    let bytes = choices.bytes(LONGEST);

    // Reads that end where a frame does not.
    let params = DeflateParams {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        ..DeflateParams::default()
    };
    let config = common::config(|config| config.max_message_size(limit));
    let extensions = Extensions::none().with_deflate(params);
    let mut connection = common::connection_with(role, Arc::new(config), extensions, common::start());
    let mut rx = RecvBuffer::new();
    let mut puff = Puff::default();
    assert!(matches!(connection.poll_event(&mut rx, common::start()).map(Seen::from), Some(Seen::Open)));

    let mut ends = cuts(&messages[..messages.len().min(3)], bytes.len());
    ends.push(bytes.len());
    let mut start = 0;
    for end in ends {
        let message = &bytes[start..end];
        start = end;
        if !takeover {
            puff.reset();
        }
        let expected = expected(&mut puff, message, &fragments, limit);
        let mut seen = Vec::new();
        for bytes in frames(role.peer(), message, &fragments).chunks(read.min(LONGEST * 2)) {
            rx.extend(bytes);
            while let Some(event) = connection.poll_event(&mut rx, common::start()) {
                seen.push(event.into());
            }
            // What has arrived, and the message with as much again for growing.
            let most = 3 * (LONGEST + 512) + 3 * limit + 16 * 1024;
            assert!(rx.capacity() <= most, "{} bytes of storage, the limit is {limit}", rx.capacity());
        }
        match (&seen[..], expected) {
            ([Seen::Binary(bytes)], Ok(expected)) => assert_eq!(*bytes, expected),
            ([], Err(cause)) => {
                let mut sent = Vec::new();
                sent.put(connection.transmit());
                let close = common::frames(role, &sent).pop().expect("a Close");
                let event = connection.poll_event(&mut rx, common::start()).map(Seen::from);
                let Some(Seen::Closed(ending)) = event else { panic!("{event:?} in place of a Closed") };
                assert!(ending.cause.contains(cause), "{ending:?} in place of {cause}");
                let code: u16 = if ending.cause.contains("TooBig") { 1009 } else { 1007 };
                assert_eq!((close.0, &close.1[..2]), (0x88, &code.to_be_bytes()[..]), "{ending:?}");
                return;
            }
            (seen, expected) => panic!("{seen:?} in place of {expected:?}"),
        }
    }
}

/// RFC 7692, 6: RSV1 on the first frame alone.
fn frames(sender: Role, message: &[u8], fragments: &[u16]) -> Vec<u8> {
    let (mut out, mut start, mut first) = (Vec::new(), 0, 0x42);
    for cut in cuts(fragments, message.len()) {
        out.extend(frame(sender, first, &message[start..cut]));
        (start, first) = (cut, 0x00);
    }
    out.extend(frame(sender, 0x80 | first, &message[start..]));
    out
}

/// The message, or what the connection fails with. Compressed, a message may be twice as long as the limit and 1 KiB.
fn expected(puff: &mut Puff, message: &[u8], fragments: &[u16], limit: usize) -> Result<Vec<u8>, &'static str> {
    let (inflated, result) = puff.message(message, limit + 1);
    let mut ends = cuts(fragments, message.len());
    ends.push(message.len());
    if ends.iter().any(|end| *end > 2 * limit + 1024) {
        // The header of such a frame is refused before its bytes come: what came before it may have failed already.
        return Err("");
    }
    match result {
        _ if inflated.len() > limit => Err("MessageTooBig"),
        Ok(()) => Ok(inflated),
        Err(_) => Err("InvalidDeflate"),
    }
}
