//! References from outside of the heap: pointers in the writable data of the program and its libraries, and in the
//! interpreter's state.
//!
//! Static types, and C variables that hold objects, lie there. A word is taken for a reference if it is the address
//! of an object: nobody says which words are references.

use super::index::Index;
use crate::bytes::{Addr, word};
use crate::error::Result;
use crate::objects::Objects;
use crate::process::{Region, Source};
use std::collections::{HashMap, HashSet};

/// Bytes that are read at a time.
const RUN: usize = 1 << 18;
/// The largest `.bss` of a library.
const ZEROS: u64 = 1 << 16;
/// What cannot be read alone.
const PAGE: u64 = 4096;

/// Counts the words that point at the objects in `wanted`, by their numbers.
///
/// # Errors
/// [`crate::error::Error::Interrupted`].
pub fn count_static(objects: &Objects, index: &Index<'_>, wanted: &mut HashMap<u32, u32>) -> Result<()> {
    each_word(objects, &parts(objects), &mut |word| {
        if let Some(count) = index.number(word).and_then(|number| wanted.get_mut(&number)) {
            *count = count.saturating_add(1);
        }
    })
}

/// Where C variables are, and the state of interpreters, in address order.
pub(super) fn parts(objects: &Objects) -> Vec<(u64, u64)> {
    let mut parts = data(&objects.memory.regions());
    parts.extend(objects.located.image.data());
    parts.sort_unstable();
    parts.dedup_by(|next, part| {
        let together = next.0 < part.1;
        part.1 = if together { part.1.max(next.1) } else { part.1 };
        together
    });
    // Before 3.12 (gh-91058) the interpreter's state is a chunk of malloc's.
    let size = objects.layout.interp.size.at().unwrap_or(0);
    for Addr(state) in objects.interpreters() {
        if !parts.iter().any(|(start, end)| (*start..*end).contains(&state)) {
            parts.push((state, state.saturating_add(size)));
        }
    }
    parts.sort_unstable();
    parts
}

/// Calls `f` with every word of `parts` that can be read.
///
/// # Errors
/// [`crate::error::Error::Interrupted`].
pub(super) fn each_word(objects: &Objects, parts: &[(u64, u64)], f: &mut dyn FnMut(u64)) -> Result<()> {
    let memory = &objects.memory;
    let mut buffer = vec![0; RUN];
    for (start, end) in parts {
        let mut at = *start;
        while at < *end {
            memory.poll()?;
            let length = usize::try_from(*end - at).unwrap_or(RUN).min(RUN);
            let have = memory.read_some(at, &mut buffer[..length]);
            buffer[..have].chunks_exact(8).filter_map(|bytes| word(bytes, 0)).for_each(&mut *f);
            // A page that cannot be read is left out.
            at = if have < length { (at + have as u64 + PAGE) / PAGE * PAGE } else { at + length as u64 };
        }
    }
    Ok(())
}

/// The writable data of files with code. The zeros behind it (`.bss`) are a mapping of their own, which nothing
/// tells from other memory beside it but its size.
fn data(regions: &[Region]) -> Vec<(u64, u64)> {
    let code: HashSet<&str> = regions.iter().filter(|r| r.executable).map(|r| r.path.as_str()).collect();
    let mut parts = Vec::new();
    let mut file_end = 0;
    for region in regions {
        let is_file = region.path.starts_with('/') && code.contains(region.path.as_str());
        let is_zeros = region.path.is_empty() && region.start == file_end && region.end - region.start <= ZEROS;
        if region.writable && (is_file || is_zeros) {
            parts.push((region.start, region.end));
        }
        if is_file {
            file_end = region.end;
        }
    }
    parts
}
