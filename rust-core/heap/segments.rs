//! Where mimalloc's pages are, in free-threaded builds: those of all threads, those of threads that have ended too
//! (abandoned segments, which are in no thread's list).
//!
//! `sys.modules` is an object, so it lies in a segment: that one tells the layout and the number that the cookies of
//! all others have in common. Then every place where a segment can be is asked for its cookie.

use super::troubles::{Trouble, Troubles};
use crate::allocators::mimalloc::{LAYOUTS, Layout, PREFIX, Page, SEGMENT};
use crate::error::{Error, Result};
use crate::limits;
use crate::objects::Objects;
use crate::process::Source;
use std::collections::HashSet;

/// Headers whose first bytes are read at a time.
const BATCH: u64 = 4096;

/// mimalloc's pages that are in use.
#[derive(Debug, Default)]
pub struct Segments {
    /// Pages of one slice, in address order.
    pub small: Vec<Page>,
    /// Larger ones, in address order.
    pub large: Vec<Page>,
    /// Blocks that other threads have given back and that are in no page's list yet, in address order.
    pub delayed: Vec<u64>,
    /// What does not fit.
    pub troubles: Troubles,
}

impl Segments {
    /// Looks for segments in `memory`, in address order. `go_on` is asked between reads.
    ///
    /// # Errors
    /// [`Error::User`] if mimalloc's segments are none that are known; what `go_on` says.
    pub fn find(
        objects: &Objects,
        source: &dyn Source,
        memory: &[(u64, u64)],
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Segments> {
        let (layout, key) = of_modules(objects, source).ok_or_else(|| {
            let what = "The heap cannot be read: sys.modules is in no segment of a mimalloc that is known here: \
                        debug builds and later releases have others.";
            Error::User(what.to_owned())
        })?;
        let mut segments = Segments::default();
        let mut heaps = HashSet::new();
        let (mut prefixes, mut header) = (vec![0u8; BATCH as usize * PREFIX], vec![0u8; layout.bytes()]);
        let mut behind = 0;
        for (start, end) in memory {
            let Some(first) = start.max(&behind).checked_next_multiple_of(SEGMENT) else { continue };
            let count = end.saturating_sub(first).div_ceil(SEGMENT);
            if count > limits::SEGMENTS {
                continue;
            }
            behind = first + count * SEGMENT;
            for batch in (0..count).step_by(BATCH as usize) {
                go_on()?;
                let places: Vec<_> = (batch..count.min(batch + BATCH)).map(|i| first + i * SEGMENT).collect();
                let prefixes = &mut prefixes[..places.len() * PREFIX];
                source.gather(&places, PREFIX, prefixes);
                for (place, prefix) in places.iter().zip(prefixes.chunks_exact(PREFIX)) {
                    if layout.key(*place, prefix) != Some(key) {
                        continue;
                    }
                    let have = source.read_some(*place, &mut header);
                    match layout.pages(*place, &header[..have]) {
                        Some((pages, 0)) => segments.add(pages, &mut heaps),
                        Some((pages, _)) => {
                            segments.troubles.note(Trouble::Unreadable, *place);
                            segments.add(pages, &mut heaps);
                        }
                        None => segments.troubles.note(Trouble::Unreadable, *place),
                    }
                }
            }
        }
        for heap in heaps {
            go_on()?;
            segments.given_back(source, heap, layout);
        }
        segments.delayed.sort_unstable();
        Ok(segments)
    }

    fn add(&mut self, pages: Vec<Page>, heaps: &mut HashSet<u64>) {
        for page in pages {
            if page.heap != 0 {
                heaps.insert(page.heap);
            }
            if page.is_small() { &mut self.small } else { &mut self.large }.push(page);
        }
    }

    /// Follows the chain of those blocks of a heap that other threads have given back.
    fn given_back(&mut self, source: &dyn Source, heap: u64, layout: &Layout) {
        let word = |at: u64| source.word(at);
        let mut at = word(heap.wrapping_add(layout.delayed_free)).unwrap_or(0);
        let mut seen = HashSet::new();
        while at != 0 && self.delayed.len() < limits::DELAYED_BLOCKS && seen.insert(at) {
            self.delayed.push(at);
            at = word(at).unwrap_or(0);
        }
    }
}

/// The layout of the segment that a dict of the interpreter's is in, and what its cookie is made with.
fn of_modules(objects: &Objects, source: &dyn Source) -> Option<(&'static Layout, u64)> {
    let mut header = Vec::new();
    let interp = &objects.layout.interp;
    for state in objects.interpreters() {
        for slot in [&interp.modules, &interp.sysdict, &interp.builtins] {
            let Ok(dict) = objects.pointer(state, slot) else { continue };
            let segment = dict.0 / SEGMENT * SEGMENT;
            for layout in LAYOUTS {
                header.resize(layout.bytes(), 0);
                let have = source.read_some(segment, &mut header);
                let Some(key) = layout.key(segment, &header[..have]) else { continue };
                let holds = |page: &Page| dict.0.checked_sub(page.addr).is_some_and(|at| at < page.bytes);
                if layout.pages(segment, &header[..have]).is_some_and(|(pages, _)| pages.iter().any(holds)) {
                    return Some((layout, key));
                }
            }
        }
    }
    None
}
