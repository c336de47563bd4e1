//! One function for each decoder of hostile bytes: any input must end soon, in little memory and
//! without a panic. `cargo fuzz` (in `fuzz/`) and the tests (`tests/fuzzing.rs`) call the same ones.
//!
//! Inputs are not only damaged files: most are a list of changes to something valid, so that they
//! get past the first magic number.

mod bounds;
mod files;
mod images;
mod input;
mod kinds;
#[cfg(test)]
pub mod large;
mod requests;
mod segments;
mod snapshots;
pub mod stacks;
mod values;
mod world;

/// A function that takes the fuzzer's bytes.
pub type Target = fn(&[u8]);

/// The targets and their names.
pub const TARGETS: &[(&str, Target)] = &[
    ("core_file", images::core_file),
    ("elf_image", images::elf_image),
    ("dwarf", images::dwarf),
    ("debug_offsets", stacks::debug_offsets),
    ("line_tables", values::line_tables),
    ("value_stack", values::value_stack),
    ("object_repr", values::object_repr),
    ("dicts_and_sets", values::dicts_and_sets),
    ("frame_walk", stacks::frame_walk),
    ("request", requests::request),
    ("snapshot", snapshots::snapshot),
    ("mimalloc_segment", segments::mimalloc_segment),
];

/// Runs the target `name` on `data`.
///
/// # Panics
/// If there is no such target; if the decoder panics, or takes too long or too much memory.
pub fn run(name: &str, data: &[u8]) {
    let (name, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target");
    bounds::bounded(name, || target(data));
}

/// Small valid inputs of a target: what a corpus begins with.
#[cfg(test)]
pub fn seeds(name: &str) -> Vec<Vec<u8>> {
    match name {
        "core_file" => images::core_seeds(),
        "elf_image" => images::elf_seeds(),
        "dwarf" => images::dwarf_seeds(),
        "debug_offsets" => stacks::offsets_seeds(),
        "line_tables" => values::line_seeds(),
        "value_stack" => values::code_seeds(),
        "request" => requests::seeds(),
        "snapshot" => snapshots::seeds(),
        "mimalloc_segment" => segments::seeds(),
        _ => values::world_seeds(),
    }
}
