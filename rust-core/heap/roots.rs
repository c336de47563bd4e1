//! References from outside of the heap: pointers in the writable data of the program and its libraries, and in the
//! interpreter's state.
//!
//! C variables that hold objects lie there. A word is taken for a reference if it is the address of an object: nobody
//! says which words are references. Static objects lie there too; what they hold is not counted here.

use super::Census;
use super::index::Index;
use super::statics;
use crate::bytes::word;
use crate::error::Result;
use crate::objects::Objects;
use crate::process::Source;
use std::collections::HashMap;

/// Bytes that are read at a time.
const RUN: usize = 1 << 18;
/// What cannot be read alone.
const PAGE: u64 = 4096;

/// Counts the words that point at the objects in `wanted`, by their numbers.
///
/// # Errors
/// [`crate::error::Error::Interrupted`].
pub fn count_static(
    objects: &Objects,
    census: &Census,
    index: &Index<'_>,
    wanted: &mut HashMap<u32, u32>,
) -> Result<()> {
    let mut known = census.scanned.statics.iter().peekable();
    each_word(objects, &statics::data(objects), &mut |place, word| {
        while known.next_if(|(_, end)| *end <= place).is_some() {}
        let is_object = known.peek().is_some_and(|(start, _)| *start <= place);
        if !is_object && let Some(count) = index.number(word).and_then(|number| wanted.get_mut(&number)) {
            *count = count.saturating_add(1);
        }
    })
}

/// Calls `f` with the place of every word of `parts` that can be read, and the word.
///
/// # Errors
/// [`crate::error::Error::Interrupted`].
pub(super) fn each_word(objects: &Objects, parts: &[(u64, u64)], f: &mut dyn FnMut(u64, u64)) -> Result<()> {
    let memory = &objects.memory;
    let mut buffer = vec![0; RUN];
    for (start, end) in parts {
        let mut at = *start;
        while at < *end {
            memory.poll()?;
            let length = usize::try_from(*end - at).unwrap_or(RUN).min(RUN);
            let have = memory.read_some(at, &mut buffer[..length]);
            for (place, bytes) in (at..).step_by(8).zip(buffer[..have].chunks_exact(8)) {
                if let Some(word) = word(bytes, 0) {
                    f(place, word);
                }
            }
            // A page that cannot be read is left out.
            at = if have < length { (at + have as u64 + PAGE) / PAGE * PAGE } else { at + length as u64 };
        }
    }
    Ok(())
}
