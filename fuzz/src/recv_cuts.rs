//! Floors 0 to 4: any cut, same events. The input is what a peer sends, good or bad, behind a few choices.

use std::sync::Arc;

use wireroom::{PermessageDeflate, frame::FrameHeader};

use crate::{
    common::{self, KEY, ROLES, Role, any_cut::Reader},
    input::{Choices, cuts},
};

/// Byte by byte, longer conversations cost more than they find.
const LONGEST: usize = 4096;

pub fn run(input: &[u8]) {
    let mut choices = Choices::new(input);
    let flags = choices.byte();
    let role = ROLES[usize::from(flags & 1)];
    let (streaming, closing, compressed) = (flags & 2 != 0, flags & 4 != 0, flags & 8 != 0);
    let size = choices.of(&[400_usize, 0, 1, 130, 3000, 70_000]);
    let fragments = choices.of(&[7_u32, 1, 2, 131_072]);
    let places = choices.places();
    let mut bytes = choices.bytes(LONGEST).to_vec();
    if role == Role::Server && flags & 16 == 0 {
        bytes = masked(&bytes);
    }
    let deflate = PermessageDeflate {
        server_no_context_takeover: flags & 32 != 0,
        client_no_context_takeover: flags & 32 != 0,
        ..PermessageDeflate::default()
    };
    let config = common::config(|config| {
        let config = config.max_message_size(size).max_streamed_size(size as u64).max_fragments(fragments);
        config.streaming(streaming).permessage_deflate(compressed.then_some(deflate))
    });
    let watched = if flags & 64 != 0 { 8 } else { 0 };
    let reader = Reader { role, config: Arc::new(config), closing, watched };
    reader.same_for_any_cut(&bytes, &cuts(&places, bytes.len()));
}

/// A client's form of the unmasked frames at the start of `bytes`: so the fuzzer need not mask. Behind the first that is
/// none, everything is as it was.
pub(crate) fn masked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 16);
    let mut rest = bytes;
    while let Ok(Some((header, length))) = FrameHeader::parse(rest)
        && header.mask.is_none()
    {
        let (head, encoded) = FrameHeader { mask: Some(KEY), ..header }.encode();
        out.extend(&head[..encoded]);
        let payload = usize::try_from(header.payload_length).unwrap_or(usize::MAX).min(rest.len() - length);
        out.extend(common::masked(Role::Client, &rest[length..length + payload]));
        rest = &rest[length + payload..];
    }
    out.extend(rest);
    out
}
