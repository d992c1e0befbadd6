//! The instructions of our own code without sockets, counted by callgrind. `run` compares them with `baseline.txt`.
//!
//! Each workload is set up, and run once, outside of what is counted: storage is warm and nothing allocates but what does
//! so in every run.

#[path = "../workload/mod.rs"]
mod workload;

use std::hint::black_box;

#[cfg(not(feature = "deflate"))]
use gungraun::library_benchmark_group;
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, main};
use workload::{
    frames::Content::{self, Ascii, Binary, Mixed},
    opening::Opening,
    receive::Receiver,
    send::{Crowd, Sender},
};

/// Which `memcpy` glibc takes depends on the CPU, and callgrind counts some by the byte: one and the same for every CPU.
const ONE_MEMCPY: &str = "glibc.cpu.hwcaps=-SSSE3,-AVX2,-AVX_Fast_Unaligned_Load,-AVX512F,-AVX512VL,-ERMS,-FSRM:\
    glibc.cpu.x86_non_temporal_threshold=0x10000000";

/// Payloads lie behind a header of 6 bytes.
fn behind_a_header(size: usize) -> Vec<u8> {
    vec![7; 6 + size]
}

#[library_benchmark(setup = behind_a_header)]
#[bench::times_100_of_16(16)]
#[bench::times_100_of_1024(1024)]
#[bench::times_100_of_65536(65_536)]
fn apply_mask(mut payload: Vec<u8>) -> Vec<u8> {
    for _ in 0..100 {
        wireroom::frame::apply_mask(black_box(&mut payload[6..]), black_box([0x12, 0x9a, 0x5c, 0xf3]), 0);
    }
    payload
}

// What is received is handed back, so that it is dropped outside of what is counted.
#[library_benchmark(setup = Receiver::new)]
#[bench::binary_1000_of_32(Binary, 1000, 32)]
#[bench::ascii_1000_of_32(Ascii, 1000, 32)]
#[bench::mixed_1000_of_32(Mixed, 1000, 32)]
#[bench::ascii_100_of_1024(Ascii, 100, 1024)]
#[bench::mixed_100_of_1024(Mixed, 100, 1024)]
#[bench::mixed_4_of_65536(Mixed, 4, 65_536)]
#[bench::binary_1_of_1048576(Binary, 1, 1_048_576)]
fn parse(mut receiver: Receiver) -> (Receiver, usize) {
    let messages = receiver.run();
    (receiver, messages)
}

#[library_benchmark(setup = fragments)]
#[bench::mixed_in_1024(Mixed, 1024)]
#[bench::mixed_in_16384(Mixed, 16_384)]
fn parse_fragments(mut receiver: Receiver) -> (Receiver, usize) {
    let messages = receiver.run();
    (receiver, messages)
}

/// One message of 256 KiB.
fn fragments(content: Content, fragment: usize) -> Receiver {
    Receiver::fragmented(content, 1, 256 << 10, fragment)
}

#[library_benchmark(setup = Sender::new)]
#[bench::count_1000_of_32(1000, 32)]
#[bench::count_64_of_1024(64, 1024)]
#[bench::count_4_of_65536(4, 65_536)]
fn encode(mut sender: Sender) -> (Sender, usize) {
    let bytes = sender.run();
    (sender, bytes)
}

#[library_benchmark(setup = Opening::new)]
fn handshake(mut opening: Opening) -> (Opening, usize) {
    let bytes = opening.run();
    (opening, bytes)
}

#[library_benchmark(setup = Crowd::new)]
#[bench::to_1000_of_128(1000, 128)]
#[bench::to_1000_of_16384(1000, 16_384)]
fn broadcast(mut crowd: Crowd) -> (Crowd, usize) {
    let bytes = crowd.run(1);
    (crowd, bytes)
}

// Four before anything is taken, as when several arrive in one turn.
#[library_benchmark(setup = Crowd::new)]
#[bench::to_1000_of_128(1000, 128)]
#[bench::to_1000_of_16384(1000, 16_384)]
fn four_broadcasts(mut crowd: Crowd) -> (Crowd, usize) {
    let bytes = crowd.run(4);
    (crowd, bytes)
}

#[library_benchmark(setup = Crowd::new)]
#[bench::to_1000_of_128(1000, 128)]
fn room(mut crowd: Crowd) -> (Crowd, usize) {
    let bytes = crowd.run_room(1);
    (crowd, bytes)
}

/// A build of its own, for the feature changes more than what is compressed.
#[cfg(feature = "deflate")]
mod deflate {
    use gungraun::{library_benchmark, library_benchmark_group};

    use crate::workload::{
        deflate::{Takeover, compressing, default_level, inflating},
        receive::Receiver,
        send::Sender,
    };

    fn compresses(takeover: Takeover) -> Sender {
        compressing(takeover, default_level(), 16, 1024)
    }

    fn inflates(takeover: Takeover) -> Receiver {
        inflating(takeover, 16, 1024)
    }

    #[library_benchmark(setup = compresses)]
    #[bench::takeover_16_of_1024(Takeover::Kept)]
    #[bench::no_takeover_16_of_1024(Takeover::Not)]
    fn deflate_compress(mut sender: Sender) -> (Sender, usize) {
        let bytes = sender.run();
        (sender, bytes)
    }

    #[library_benchmark(setup = inflates)]
    #[bench::takeover_16_of_1024(Takeover::Kept)]
    #[bench::no_takeover_16_of_1024(Takeover::Not)]
    fn deflate_inflate(mut receiver: Receiver) -> (Receiver, usize) {
        let messages = receiver.run();
        (receiver, messages)
    }

    library_benchmark_group!(name = compression, benchmarks = [deflate_compress, deflate_inflate]);
}
#[cfg(feature = "deflate")]
use deflate::compression;

#[cfg(not(feature = "deflate"))]
library_benchmark_group!(
    name = instructions,
    benchmarks = [apply_mask, parse, parse_fragments, encode, handshake, broadcast, four_broadcasts, room]
);

#[cfg(not(feature = "deflate"))]
main!(
    config = LibraryBenchmarkConfig::default()
        .env("GLIBC_TUNABLES", ONE_MEMCPY)
        .tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = instructions
);

#[cfg(feature = "deflate")]
main!(
    config = LibraryBenchmarkConfig::default()
        .env("GLIBC_TUNABLES", ONE_MEMCPY)
        .tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = compression
);
