//! glibc's malloc: the chunks in use, without any symbol.
//!
//! Chunks lie side by side: the size of one says where the next begins, and the next one's `PREV_INUSE`
//! whether it is in use (`malloc/malloc.c`, "Malloc chunk internals"). A heap is believed if such a chain
//! holds from where a heap can begin. Free ones that look in use are told at the end: those on the short lists
//! of threads (tcache) and on fast bins.
//!
//! - The main heap begins where the program break was: a mapping of its own.
//! - Heaps of threads' arenas are aligned to 64 MiB and begin with `heap_info`; the first heap of an arena
//!   has its `malloc_state` behind it, whose size depends on the release: the chain decides.
//! - Large requests are mappings of their own, often side by side: the header stands at a page's start.

use super::lists::{Lists, may_be_lists};
use crate::bytes::word;
use crate::limits;
use crate::process::Source;

const PAGE: u64 = 4096;
/// Bytes of a chunk's header, and what chunks are aligned to.
const HEADER: u64 = 16;
/// `HEAP_MAX_SIZE`: what heaps of threads' arenas are aligned to.
const HEAP_ALIGNMENT: u64 = 64 << 20;
const PREV_INUSE: u64 = 1;
const IS_MMAPPED: u64 = 2;
const NON_MAIN_ARENA: u64 = 4;
/// Where the first chunk of a thread's heap can begin: after `heap_info` (32 bytes, 48 since 2.35), and in
/// the first heap after `malloc_state` (0x888 to 0x898 bytes, 0x840 since 2.43), aligned to 16.
const FIRST_CHUNKS: [u64; 7] = [0x20, 0x30, 0x860, 0x870, 0x8b0, 0x8c0, 0x8d0];
/// Bytes within which the main heap's first chunk begins: a static program has its thread's variables
/// before it (`__libc_setup_tls`).
const FIRST_CHUNK_WITHIN: u64 = 0x2000;
/// Where an arena has the pointer to its topmost chunk (`malloc_state.top`): until 2.26, 2.42, and since 2.43.
const TOPS: [u64; 3] = [0x58, 0x60, 8];
/// Bytes of an image's data in which the main arena is looked for.
const DATA: u64 = 16 << 20;
/// Chunks that must follow each other for a heap to be believed.
const CHAIN: usize = 16;
/// Bytes that are read at a time.
const WINDOW: usize = 1 << 20;
/// Bytes that are read at a time of what a doubtful chunk leads to, and such chunks between two questions to the user.
const AHEAD: usize = 1 << 12;
const TOLD: u64 = 1 << 10;
/// Bytes of a chunk that are shown at most: enough for the fixed part of every object.
pub const HEAD: usize = 1280;

/// A chunk in use.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    /// What malloc returned.
    pub addr: u64,
    /// Bytes that the program may use there.
    pub size: u64,
    /// The first of them, at most [`HEAD`].
    pub head: &'a [u8],
}

/// Where malloc's memory is.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Anonymous and writable mappings, in address order.
    pub mappings: &'a [(u64, u64)],
    /// What of them was ever touched, in address order: all headers of chunks were. Reading more would map pages into
    /// a process.
    pub touched: &'a [(u64, u64)],
    /// The data of images: the main arena is in the C library's.
    pub data: &'a [(u64, u64)],
}

/// What a walk met.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Heaps, mappings of large chunks not counted.
    pub heaps: u64,
    /// Where a chain of chunks breaks, and how many bytes were skipped there.
    pub breaks: Vec<(u64, u64)>,
    /// Chunks that were visited and are free, in address order: what malloc had returned for them, and the bytes
    /// that could be used there.
    pub free: Vec<(u64, u64)>,
    /// The lists of free chunks have more links than there are chunks: some of these are in none of `free`.
    pub is_cut: bool,
}

/// Where lists of free chunks begin.
#[derive(Default)]
struct Roots {
    /// What may be the lists of threads: chunks, and their sizes.
    threads: Vec<(u64, u64)>,
    /// Arenas.
    arenas: Vec<u64>,
    /// Topmost chunks of heaps that are not aligned.
    tops: Vec<u64>,
    /// Bytes of all heaps.
    bytes: u64,
}

impl Roots {
    /// Adds all free chunks on the lists to what was `walked`, in address order.
    fn free(mut self, source: &dyn Source, data: &[(u64, u64)], go_on: &dyn Fn() -> bool, walked: &mut Walked) {
        let mut lists = Lists::new(source, self.bytes, go_on);
        for (addr, size) in &self.threads {
            lists.thread(*addr, *size);
        }
        self.tops.sort_unstable();
        let mut found = Vec::new();
        for (start, end) in data {
            if go_on() {
                lists.pointers((*start, (*end).min(start.saturating_add(DATA))), &self.tops, &mut found);
            }
        }
        self.arenas.sort_unstable();
        self.arenas.dedup();
        found.extend(self.arenas.iter().flat_map(|arena| TOPS.map(|top| arena.wrapping_add(top))));
        for top in found {
            if go_on() {
                lists.arena(top);
            }
        }
        lists.free.sort_unstable();
        lists.free.dedup();
        (walked.free, walked.is_cut) = (lists.free, lists.is_cut);
    }
}

/// A window of the target's memory.
struct Window<'a> {
    source: &'a dyn Source,
    /// What was ever touched.
    touched: &'a [(u64, u64)],
    start: u64,
    bytes: Vec<u8>,
    have: usize,
    /// How often it was filled.
    fills: u64,
}

impl<'a> Window<'a> {
    fn new(source: &'a dyn Source, touched: &'a [(u64, u64)], size: usize) -> Window<'a> {
        Window { source, touched, start: 0, bytes: vec![0; size], have: 0, fills: 0 }
    }

    /// The first part from `addr` on that was touched.
    fn touched_from(&self, addr: u64) -> Option<(u64, u64)> {
        let after = self.touched.partition_point(|(_, end)| *end <= addr);
        self.touched.get(after).map(|(start, end)| (addr.max(*start), *end))
    }

    /// `length` bytes at `addr`, fewer where memory ends.
    fn get(&mut self, addr: u64, length: usize) -> &[u8] {
        let inside = |this: &Self| addr.checked_sub(this.start).map(|at| at as usize).filter(|at| *at < this.have);
        let whole = inside(self).is_some_and(|at| at + length <= self.have);
        if !whole {
            // Where a chunk begins its header was written.
            let Some((_, end)) = self.touched_from(addr).filter(|(start, _)| *start == addr) else { return &[] };
            self.start = addr;
            self.fills += 1;
            let most = usize::try_from(end - addr).unwrap_or(usize::MAX).max(length).min(self.bytes.len());
            self.have = self.source.read_some(addr, &mut self.bytes[..most]);
        }
        match inside(self) {
            Some(at) => &self.bytes[at..self.have.min(at + length)],
            None => &[],
        }
    }

    /// The size and flags of the chunk at `at` of a heap that ends at `end`, if there can be one.
    fn chunk(&mut self, at: u64, end: u64) -> Option<(u64, u64)> {
        let raw = word(self.get(at, HEADER as usize), 8)?;
        let (size, flags) = (raw & !7, raw & 7);
        let fits = size >= 2 * HEADER && size % HEADER == 0 && at.checked_add(size)? <= end;
        (fits && flags & IS_MMAPPED == 0).then_some((size, flags))
    }

    /// Whether chunks follow each other from `start`. Free ones of a thread's heap have no `NON_MAIN_ARENA`: the
    /// first becomes free when the thread ends.
    fn is_chain(&mut self, start: u64, end: u64, flags: u64) -> bool {
        let mut at = start;
        for i in 0..CHAIN {
            match self.chunk(at, end) {
                Some((size, found)) if i > 0 || found & PREV_INUSE != 0 && found & NON_MAIN_ARENA & !flags == 0 => {
                    at += size
                }
                _ => return false,
            }
            if end - at < 2 * HEADER {
                // One chunk alone proves nothing: any word could be its size.
                return i > 0;
            }
        }
        true
    }
}

/// Calls `visit` with every chunk that looks in use. Pages of which `elsewhere` is true belong to another allocator.
pub fn walk(
    source: &dyn Source,
    places: Places<'_>,
    elsewhere: &dyn Fn(u64) -> bool,
    go_on: &dyn Fn() -> bool,
    visit: &mut dyn FnMut(Chunk<'_>),
) -> Walked {
    let mappings = places.mappings;
    let (mut walked, mut roots) = (Walked::default(), Roots::default());
    let mut window = Window::new(source, places.touched, WINDOW);
    let mut done = 0;
    // The first mapping behind those that lie side by side.
    let mut behind = 0;
    for (i, (start, end)) in mappings.iter().enumerate() {
        if i >= behind {
            behind = i + 1 + mappings[i..].windows(2).take_while(|two| two[0].1 == two[1].0).count();
        }
        let start = done.max(*start);
        if start >= *end {
            continue;
        }
        if !go_on() {
            break;
        }
        let run = &mappings[i..behind];
        match heap_at(&mut window, start, run, elsewhere) {
            Some((first, end)) => {
                let mut visit = |chunk: Chunk<'_>| {
                    if may_be_lists(chunk.size + 8, chunk.head) {
                        roots.threads.push((chunk.addr, chunk.size + 8));
                    }
                    visit(chunk);
                };
                let (end, top) = heap(&mut window, first, end, run, go_on, &mut walked, &mut visit);
                done = end;
                roots.bytes = roots.bytes.saturating_add(end.saturating_sub(first));
                // heap_info.ar_ptr is the first word of a heap that is aligned.
                let arena = word(window.get(start, 8), 0).filter(|_| start.is_multiple_of(HEAP_ALIGNMENT));
                roots.arenas.extend(arena);
                roots.tops.extend(top.filter(|_| arena.is_none()));
            }
            None => mapped(&mut window, start, *end, elsewhere, go_on, visit),
        }
    }
    roots.free(source, places.data, go_on, &mut walked);
    walked
}

/// Where the last of mappings side by side ends.
fn reach(run: &[(u64, u64)]) -> u64 {
    run.last().map_or(0, |(_, end)| *end)
}

/// The first chunk of the heap that begins at `start` in the first mapping of `run`, and the heap's end.
fn heap_at(
    window: &mut Window<'_>,
    start: u64,
    run: &[(u64, u64)],
    elsewhere: &dyn Fn(u64) -> bool,
) -> Option<(u64, u64)> {
    let (_, end) = *run.first()?;
    // A heap begins with a header.
    window.touched_from(start).filter(|(first, _)| *first == start)?;
    if !start.is_multiple_of(HEAP_ALIGNMENT) {
        return (start..end.min(start + FIRST_CHUNK_WITHIN))
            .step_by(HEADER as usize)
            // Numbers in objects can look like a chain: the pools of an arena that the kernel has put behind a
            // library's zeros are not far from the mapping's start.
            .find(|first| !elsewhere(*first) && window.is_chain(*first, end, 0))
            .map(|first| (first, end));
    }
    // heap_info: ar_ptr, prev, size.
    let size = word(window.get(start, 24), 16)?;
    if !size.is_multiple_of(PAGE) || size > reach(run) - start || size < PAGE {
        return None;
    }
    let end = start + size;
    FIRST_CHUNKS
        .into_iter()
        .map(|offset| start + offset)
        .find(|first| window.is_chain(*first, end, NON_MAIN_ARENA))
        .map(|first| (first, end))
}

/// Where a heap ends that does not end with its first mapping: what it grows by after a fork is a mapping of its
/// own (`is_mergeable_anon_vma` in Linux), into which a chunk leads from `at`.
fn grown(window: &mut Window<'_>, at: u64, end: u64, run: &[(u64, u64)]) -> Option<u64> {
    let (size, _) = window.chunk(at, reach(run)).filter(|(size, _)| at + size > end)?;
    let next = at + size;
    let end = run.iter().map(|(_, end)| *end).find(|end| next <= *end)?;
    (end - next < 2 * HEADER || window.is_chain(next, end, 0)).then_some(end)
}

/// Walks the heap from its first chunk to its end, which is given back with the topmost chunk.
fn heap(
    window: &mut Window<'_>,
    first: u64,
    mut end: u64,
    run: &[(u64, u64)],
    go_on: &dyn Fn() -> bool,
    walked: &mut Walked,
    visit: &mut dyn FnMut(Chunk<'_>),
) -> (u64, Option<u64>) {
    walked.heaps += 1;
    let mut at = first;
    let mut next_poll = at;
    let mut chains = None;
    while end - at >= 2 * HEADER {
        if at >= next_poll {
            if !go_on() {
                return (end, None);
            }
            next_poll = at + WINDOW as u64;
        }
        let Some((size, _)) = window.chunk(at, end) else {
            if let Some(more) = grown(window, at, end, run) {
                end = more;
                continue;
            }
            let chains = chains.get_or_insert_with(|| Chains::new(window, end - first));
            let resumed = chains.resume(window, at, end, go_on);
            walked.breaks.push((at, resumed - at));
            at = resumed;
            continue;
        };
        let next = at + size;
        if end - next < 2 * HEADER {
            // The top: what was never handed out; or the marks at the end of a heap that grew elsewhere.
            return (end, Some(at));
        }
        let used = word(window.get(next, HEADER as usize), 8).is_some_and(|raw| raw & PREV_INUSE != 0);
        if used {
            // The last word is the next one's prev_size.
            let usable = size - 8;
            let head = window.get(at + HEADER, (usable as usize).min(HEAD));
            visit(Chunk { addr: at + HEADER, size: usable, head });
        }
        at = next;
    }
    (end, None)
}

/// The search for where chunks follow each other again in a heap, after places where they do not.
struct Chains<'a> {
    /// What chunks lead to: looked at apart, so that the window stays where it is.
    ahead: Window<'a>,
    /// How often that may still be looked at: of damage there can be much.
    room: u64,
}

impl<'a> Chains<'a> {
    /// For a heap of so many bytes.
    fn new(window: &Window<'a>, bytes: u64) -> Chains<'a> {
        let (each, least) = limits::CHAINS_TRIED;
        let room = (bytes / WINDOW as u64).saturating_mul(each).saturating_add(least);
        Chains { ahead: Window::new(window.source, window.touched, AHEAD), room }
    }

    /// The first place behind `broken` where they do; the heap's end if there is none, or looking for it takes too long.
    fn resume(&mut self, window: &mut Window<'_>, broken: u64, end: u64, go_on: &dyn Fn() -> bool) -> u64 {
        let mut at = broken + HEADER;
        let mut touched = at;
        let mut fills = window.fills;
        while at < end {
            if at >= touched {
                let Some((next, to)) = window.touched_from(at) else { return end };
                (at, touched) = (next.next_multiple_of(HEADER), to);
                continue;
            }
            if window.fills != fills {
                fills = window.fills;
                if !go_on() {
                    return end;
                }
            }
            if let Some((size, _)) = window.chunk(at, end)
                && size < WINDOW as u64
            {
                if self.room == 0 || self.room.is_multiple_of(TOLD) && !go_on() {
                    return end;
                }
                self.room -= 1;
                let ahead = &mut self.ahead;
                if ahead.is_chain(at + size, end, 0) || ahead.is_chain(at + size, end, NON_MAIN_ARENA) {
                    return at;
                }
            }
            at += HEADER;
        }
        end
    }
}

/// Large chunks: each a mapping of its own once, though the kernel shows neighbours as one.
fn mapped(
    window: &mut Window<'_>,
    start: u64,
    end: u64,
    elsewhere: &dyn Fn(u64) -> bool,
    go_on: &dyn Fn() -> bool,
    visit: &mut dyn FnMut(Chunk<'_>),
) {
    const BATCH: u64 = 1024;
    const SHORT: usize = 16;
    let mut heads = vec![0u8; BATCH as usize * SHORT];
    let mut places = Vec::new();
    let mut skip = start;
    let mut at = start;
    let mut touched = (0, 0);
    while at < end {
        if !go_on() {
            return;
        }
        places.clear();
        while places.len() < BATCH as usize && at < end {
            if at >= touched.1 {
                let Some(next) = window.touched_from(at) else { break };
                touched = next;
            }
            at = touched.0.next_multiple_of(PAGE).max(at);
            if at < end && !elsewhere(at) {
                places.push(at);
            }
            at += PAGE;
        }
        if places.is_empty() {
            return;
        }
        let heads = &mut heads[..places.len() * SHORT];
        window.source.gather(&places, SHORT, heads);
        for (place, head) in places.iter().zip(heads.chunks_exact(SHORT)) {
            if *place < skip {
                continue;
            }
            let (Some(before), Some(raw)) = (word(head, 0), word(head, 8)) else { continue };
            let size = raw & !7;
            let whole = before.wrapping_add(size);
            // Since 2.43 the size leaves out the header.
            let Some(whole) = [whole, whole.wrapping_add(HEADER)].into_iter().find(|w| w.is_multiple_of(PAGE)) else {
                continue;
            };
            if raw & 7 != IS_MMAPPED || before >= PAGE || whole < PAGE || whole > end - place {
                continue;
            }
            let usable = whole - HEADER;
            let head = window.get(place + HEADER, (usable as usize).min(HEAD));
            visit(Chunk { addr: place + HEADER, size: usable, head });
            skip = place + whole;
            at = at.max(skip);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Cache;
    use crate::process::fake::Fake;

    /// Zeros, and from 0x1000 on what looks like chunks of 32 bytes in use.
    #[test]
    fn a_chain_in_memory_of_another_allocator_is_no_heap() {
        let mut bytes = vec![0u8; 0x4000];
        for chunk in bytes[0x1000..].chunks_exact_mut(32) {
            chunk[8] = 32 | PREV_INUSE as u8;
        }
        let (start, end) = (0x7000_1000, 0x7000_5000);
        let mut fake = Fake::default();
        fake.add(start, bytes);
        let source = Cache::new(Box::new(fake), None);
        let all = [(start, end)];
        let places = Places { mappings: &all, touched: &all, data: &[] };
        let walked = |elsewhere: &dyn Fn(u64) -> bool| {
            let mut chunks = 0;
            (walk(&source, places, elsewhere, &|| true, &mut |_| chunks += 1).heaps, chunks)
        };
        // The last one is the top.
        assert_eq!(walked(&|_| false), (1, 0x3000 / 32 - 1));
        assert_eq!(walked(&|page| page >= start + 0x1000), (0, 0));
    }
}
