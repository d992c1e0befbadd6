#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| wireroom_fuzz::proxy::run(input));
