//! The fuzzers' targets on random inputs, the same ones in each run, on their seeds, and on every
//! input that once found a bug. `fuzz/README.md` tells how to look for more.
#![allow(unsafe_code)] // an allocator that counts, files in memory, and calls across the boundary

#[path = "synthetic/counting.rs"]
mod counting;
#[path = "synthetic/elf.rs"]
mod elf;
#[path = "fuzzing/mod.rs"]
mod fuzzing;

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// Inputs of each target; `PYEXT_FUZZ_CASES` for more.
const CASES: u32 = 12_000;
/// When an input counts as hanging, however busy the machine is.
const HANGS: Duration = Duration::from_secs(60);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs inputs on a thread with a small stack; says which one fails.
fn run(target: &'static str, inputs: impl Iterator<Item = (String, Vec<u8>)> + Send + 'static) {
    let (sender, receiver) = mpsc::channel();
    let all = move || {
        for (name, input) in inputs {
            let _ = sender.send((name, input.clone()));
            fuzzing::run(target, &input);
        }
    };
    let thread = std::thread::Builder::new().stack_size(512 << 10).spawn(all).expect("a thread starts");
    let mut last = (String::new(), Vec::new());
    loop {
        match receiver.recv_timeout(HANGS) {
            Ok(next) => last = next,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("{target}: {} does not end: {:?}", last.0, last.1),
        }
    }
    assert!(thread.join().is_ok(), "{target}: {} fails: {:?}", last.0, last.1);
}

fn files(directory: PathBuf) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut all: Vec<_> = entries
        .flatten()
        .map(|entry| (entry.path().display().to_string(), std::fs::read(entry.path()).expect("an input can be read")))
        .collect();
    all.sort();
    all
}

/// Seeds with a few bytes changed, cut off or put in, and bytes of no meaning at all.
fn inputs(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds = fuzzing::seeds(target);
    let changes = vec((any::<proptest::sample::Index>(), any::<u8>(), 0..4u8), 0..24);
    let longer = vec(any::<u8>(), 0..256);
    (proptest::sample::select(seeds), changes, longer, 0..8u8).prop_map(|(mut input, changes, longer, form)| {
        if form == 0 {
            return longer;
        }
        input.extend_from_slice(&longer);
        for (at, byte, what) in changes {
            if input.is_empty() {
                break;
            }
            let at = at.index(input.len());
            match what {
                0 | 1 => input[at] = byte,
                2 => input.insert(at, byte),
                _ => drop(input.remove(at)),
            }
        }
        input
    })
}

/// Random inputs, always the same.
fn random(target: &'static str) {
    let cases = std::env::var("PYEXT_FUZZ_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES);
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let strategy = inputs(target);
    let generated = (0..cases).map(move |i| {
        let tree = strategy.new_tree(&mut runner).expect("an input");
        (format!("input {i}"), tree.current())
    });
    run(target, generated.collect::<Vec<_>>().into_iter());
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                let name = stringify!($name);
                run(name, fuzzing::seeds(name).into_iter().map(|seed| ("a seed".to_owned(), seed)));
                run(name, files(root().join("tests/fuzzing/regressions").join(name)).into_iter());
                run(name, files(root().join("fuzz/seeds").join(name)).into_iter());
                random(name);
            }
        )*

        #[test]
        fn every_target_is_tested_and_has_its_fuzzer() {
            let known: Vec<&str> = fuzzing::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(known, [$(stringify!($name)),*]);
            let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("the fuzzers' manifest");
            for name in known {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} is not in fuzz/Cargo.toml");
                assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).exists(), "{name} has no fuzzer");
            }
        }
    };
}

targets!(core_file elf_image dwarf debug_offsets line_tables value_stack object_repr dicts_and_sets frame_walk request snapshot
    mimalloc_segment);

#[test]
fn made_up_interpreters_are_read_as_they_were_made() {
    fuzzing::stacks::worlds_are_sound();
}

#[test]
fn cores_with_very_many_mapped_files() {
    fuzzing::large::many_mapped_files();
}

#[test]
fn mapped_files_that_are_no_files() {
    fuzzing::large::names_that_are_no_files();
}

#[test]
fn sparse_files_that_claim_to_be_large() {
    fuzzing::large::sparse_files();
}

#[test]
fn lists_of_long_ints() {
    fuzzing::large::long_ints();
}

#[test]
fn as_many_threads_as_are_looked_at() {
    fuzzing::large::many_threads();
}

/// Writes the seeds to `fuzz/seeds`, where the fuzzers begin: `make fuzz` runs it.
#[test]
#[ignore = "writes files"]
fn write_seeds() {
    for (name, _) in fuzzing::TARGETS {
        let directory = root().join("fuzz/seeds").join(name);
        std::fs::create_dir_all(&directory).expect("the directory is made");
        for (i, seed) in fuzzing::seeds(name).iter().enumerate() {
            std::fs::write(directory.join(format!("{i:02}")), seed).expect("the seed is written");
        }
    }
}
