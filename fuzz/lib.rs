//! The fuzzers' targets. They are those of the tests: `tests/fuzzing/mod.rs`.

#[path = "../tests/synthetic/counting.rs"]
mod counting;
#[path = "../tests/synthetic/elf.rs"]
mod elf;
#[path = "../tests/fuzzing/mod.rs"]
mod fuzzing;

pub use fuzzing::run;
