//! Benchmarks of our own code without sockets: `cargo bench`, or a part of it with `cargo bench -- parse`.
//!
//! `memcpy` stands beside what touches every byte, as its limit. Comparisons with other libraries are in `compare`,
//! instruction counts in `guard`.

#[path = "../workload/mod.rs"]
mod workload;

use std::hint::black_box;

use divan::{
    Bencher,
    counter::{BytesCount, ItemsCount},
};
use workload::{
    frames::{Content, payload},
    opening::Opening,
    receive::Receiver,
    send::{Crowd, Sender},
};

fn main() {
    divan::main();
}

/// Sizes of payloads, in bytes.
const SIZES: [usize; 5] = [16, 128, 1024, 64 << 10, 1 << 20];

/// A payload lies behind a header of 6 bytes: it is not aligned.
const HEADER: usize = 6;

#[divan::bench_group]
mod mask {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn memcpy(bencher: Bencher<'_, '_>, size: usize) {
        // As a frame's payload is copied out: from behind its header to the start of a buffer.
        let (source, mut target) = (vec![9; HEADER + size], vec![7; size]);
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            black_box(&mut target[..]).copy_from_slice(black_box(&source[HEADER..]));
        });
    }

    #[divan::bench(args = SIZES)]
    fn apply_mask(bencher: Bencher<'_, '_>, size: usize) {
        let mut payload = vec![7; HEADER + size];
        bencher.counter(BytesCount::new(size)).bench_local(|| {
            wireroom::frame::apply_mask(black_box(&mut payload[HEADER..]), black_box([0x12, 0x9a, 0x5c, 0xf3]), 0);
        });
    }
}

/// What validation alone costs; its cost where it happens is the difference between `parse::text` and `parse::binary`.
#[divan::bench_group]
mod utf8 {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn std_ascii(bencher: Bencher<'_, '_>, size: usize) {
        validate(bencher, Content::Ascii, size, |bytes| std::str::from_utf8(bytes).is_ok());
    }

    #[divan::bench(args = SIZES)]
    fn std_mixed(bencher: Bencher<'_, '_>, size: usize) {
        validate(bencher, Content::Mixed, size, |bytes| std::str::from_utf8(bytes).is_ok());
    }

    #[cfg(feature = "simdutf8")]
    #[divan::bench(args = SIZES)]
    fn simdutf8_ascii(bencher: Bencher<'_, '_>, size: usize) {
        validate(bencher, Content::Ascii, size, |bytes| simdutf8::basic::from_utf8(bytes).is_ok());
    }

    #[cfg(feature = "simdutf8")]
    #[divan::bench(args = SIZES)]
    fn simdutf8_mixed(bencher: Bencher<'_, '_>, size: usize) {
        validate(bencher, Content::Mixed, size, |bytes| simdutf8::basic::from_utf8(bytes).is_ok());
    }

    fn validate(bencher: Bencher<'_, '_>, content: Content, size: usize, is_text: fn(&[u8]) -> bool) {
        let text = payload(content, size);
        bencher.counter(BytesCount::new(size)).bench_local(|| assert!(is_text(black_box(&text))));
    }
}

/// Messages of one frame each, about 32 KiB to 1 MiB of them in a run; the time is that of a run, its items are messages.
#[divan::bench_group]
mod parse {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn memcpy(bencher: Bencher<'_, '_>, size: usize) {
        let source = workload::frames::masked(Content::Binary, count(size), size, usize::MAX);
        let mut target = source.clone();
        let bencher = bencher.counter(BytesCount::new(source.len())).counter(ItemsCount::new(count(size)));
        bencher.bench_local(|| black_box(&mut target[..]).copy_from_slice(black_box(&source)));
    }

    #[divan::bench(args = SIZES)]
    fn binary(bencher: Bencher<'_, '_>, size: usize) {
        receive(bencher, Receiver::new(Content::Binary, count(size), size), count(size));
    }

    #[divan::bench(args = SIZES)]
    fn text_ascii(bencher: Bencher<'_, '_>, size: usize) {
        receive(bencher, Receiver::new(Content::Ascii, count(size), size), count(size));
    }

    #[divan::bench(args = SIZES)]
    fn text_mixed(bencher: Bencher<'_, '_>, size: usize) {
        receive(bencher, Receiver::new(Content::Mixed, count(size), size), count(size));
    }

    /// A text of 1 MiB in fragments of so many bytes.
    #[divan::bench(args = [1024, 16 << 10])]
    fn text_in_fragments(bencher: Bencher<'_, '_>, fragment: usize) {
        receive(bencher, Receiver::fragmented(Content::Mixed, 1, 1 << 20, fragment), 1);
    }

    fn count(size: usize) -> usize {
        ((256 << 10) / size).clamp(1, 1000)
    }

    fn receive(bencher: Bencher<'_, '_>, mut receiver: Receiver, messages: usize) {
        let bencher = bencher.counter(BytesCount::new(receiver.bytes())).counter(ItemsCount::new(messages));
        bencher.bench_local(|| receiver.run());
    }
}

/// 64 messages queued, then taken in one go.
#[divan::bench(args = [32, 1024, 64 << 10])]
fn encode(bencher: Bencher<'_, '_>, size: usize) {
    let mut sender = Sender::new(64, size);
    bencher.counter(ItemsCount::new(64_usize)).bench_local(|| sender.run());
}

/// A browser's request to upgrade, answered.
#[divan::bench]
fn handshake(bencher: Bencher<'_, '_>) {
    let mut opening = Opening::new();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| opening.run());
}

/// Broadcasts to 1,000 queues: prepared once, queued for each member, taken from each. The items are deliveries.
#[divan::bench_group]
mod broadcast {
    use super::*;

    const MEMBERS: usize = 1000;

    #[divan::bench(args = [128, 16 << 10])]
    fn prepared(bencher: Bencher<'_, '_>, size: usize) {
        let mut crowd = Crowd::new(MEMBERS, size);
        bencher.counter(ItemsCount::new(MEMBERS)).bench_local(|| crowd.run(1));
    }

    /// Four of them before anything is taken, as when several arrive in one turn.
    #[divan::bench(args = [128, 16 << 10])]
    fn four_prepared(bencher: Bencher<'_, '_>, size: usize) {
        let mut crowd = Crowd::new(MEMBERS, size);
        bencher.counter(ItemsCount::new(4 * MEMBERS)).bench_local(|| crowd.run(4));
    }

    /// By way of a room.
    #[divan::bench(args = [128, 16 << 10])]
    fn room(bencher: Bencher<'_, '_>, size: usize) {
        let mut crowd = Crowd::new(MEMBERS, size);
        bencher.counter(ItemsCount::new(MEMBERS)).bench_local(|| crowd.run_room(1));
    }
}

/// permessage-deflate on 64 messages of 1 KiB of JSON: `--features deflate`.
#[cfg(feature = "deflate")]
#[divan::bench_group]
mod deflate {
    use super::*;
    use crate::workload::deflate::{Takeover, compressing, inflating};

    const MESSAGES: usize = 64;
    const SIZE: usize = 1024;

    #[divan::bench(args = [1, 6])]
    fn compress_with_takeover(bencher: Bencher<'_, '_>, level: u8) {
        let mut sender = compressing(Takeover::Kept, level, MESSAGES, SIZE);
        bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| sender.run());
    }

    #[divan::bench(args = [1, 6])]
    fn compress(bencher: Bencher<'_, '_>, level: u8) {
        let mut sender = compressing(Takeover::Not, level, MESSAGES, SIZE);
        bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| sender.run());
    }

    #[divan::bench]
    fn inflate_with_takeover(bencher: Bencher<'_, '_>) {
        let mut receiver = inflating(Takeover::Kept, MESSAGES, SIZE);
        bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| receiver.run());
    }

    #[divan::bench]
    fn inflate(bencher: Bencher<'_, '_>) {
        let mut receiver = inflating(Takeover::Not, MESSAGES, SIZE);
        bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| receiver.run());
    }
}
