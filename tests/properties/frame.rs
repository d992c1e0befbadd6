//! Frame headers (RFC 6455 section 5.2) and masking (5.3).

use proptest::{prelude::*, sample::select};
use wireroom::{
    SendQueue,
    frame::{FrameHeader, Opcode, apply_mask},
};

const OPCODES: [Opcode; 6] =
    [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];

fn header() -> impl Strategy<Value = FrameHeader> {
    let length = prop_oneof![0..300_u64, 65_500..65_600_u64, 0..=i64::MAX as u64, Just(i64::MAX as u64)];
    (any::<bool>(), 0..8_u8, select(&OPCODES[..]), any::<Option<[u8; 4]>>(), length).prop_map(
        |(fin, rsv, opcode, mask, length)| {
            // 5.5: "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented."
            let (fin, length) = if opcode.is_control() { (true, length % 126) } else { (fin, length) };
            FrameHeader { fin, rsv, opcode, mask, payload_length: length }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn a_header_is_read_as_it_was_written_and_not_before_it_is_whole(header in header(), behind in any::<[u8; 4]>()) {
        let (bytes, length) = header.encode();
        let bytes = [&bytes[..length], &behind].concat();
        prop_assert_eq!(FrameHeader::parse(&bytes), Ok(Some((header, length))));
        for n in 0..length {
            prop_assert_eq!(FrameHeader::parse(&bytes[..n]), Ok(None), "{} bytes of {}", n, length);
        }
    }

    #[test]
    fn what_is_read_as_a_header_is_the_only_form_of_it(
        first in any::<u8>(),
        short in prop_oneof![any::<u8>(), select(&[126, 127, 254, 255_u8][..])],
        rest in prop::collection::vec(prop_oneof![5 => Just(0), 4 => select(&[1, 100, 125, 126, 0x80, 255][..]), 1 => any::<u8>()], 0..14),
    ) {
        let bytes = [&[first, short][..], &rest].concat();
        if let Ok(Some((header, length))) = FrameHeader::parse(&bytes) {
            let (encoded, encoded_length) = header.encode();
            prop_assert_eq!(&encoded[..encoded_length], &bytes[..length], "5.2: the minimal number of bytes");
        }
    }

    #[test]
    fn masking_twice_is_nothing_and_pieces_are_masked_as_the_whole(
        payload in prop::collection::vec(any::<u8>(), 0..400),
        key in any::<[u8; 4]>(),
        cuts in any::<u64>(),
    ) {
        let by_hand: Vec<u8> = payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
        let mut masked = Vec::new();
        for piece in wireroom::testing::Cuts::seeded(cuts).pieces(&payload) {
            let offset = masked.len();
            masked.extend_from_slice(piece);
            apply_mask(&mut masked[offset..], key, offset);
        }
        prop_assert_eq!(&masked, &by_hand, "transformed-octet-i = original-octet-i XOR masking-key-octet-j, j = i MOD 4");
        apply_mask(&mut masked, key, 0);
        prop_assert_eq!(masked, payload);
    }

    /// The queue that everybody writes from: units in, vectored writes of any size out.
    #[test]
    fn a_send_queue_gives_its_bytes_back_in_order(
        steps in prop::collection::vec((any::<bool>(), 0..6_000_usize, 0..9_000_usize), 0..20),
    ) {
        use bytes::Buf;
        let mut queue = SendQueue::new();
        let (mut put, mut taken) = (Vec::new(), Vec::new());
        for (n, (shared, size, take)) in steps.into_iter().enumerate() {
            let unit: Vec<u8> = (0..size).map(|i| (n + i) as u8).collect();
            put.extend(&unit);
            match shared {
                true => queue.append_shared(&unit[..size.min(14)], unit[size.min(14)..].to_vec().into()),
                false => queue.append(&unit),
            }
            let take = take.min(queue.len());
            let mut piece = vec![0; take];
            queue.copy_to_slice(&mut piece);
            taken.extend(piece);
            prop_assert_eq!(queue.len(), put.len() - taken.len());
        }
        let mut rest = vec![0; queue.len()];
        queue.copy_to_slice(&mut rest);
        taken.extend(rest);
        prop_assert!(queue.is_empty() && taken == put);
    }
}
