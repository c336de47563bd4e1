//! See `tests/fuzzing/mod.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pyext_fuzz::run("mimalloc_segment", data));
