//! mimalloc, as CPython bundles it (`Objects/mimalloc/`) and free-threaded builds use it for all that Python code
//! allocates: segments of 32 MiB whose header describes pages of blocks of one size.
//!
//! Segments are found without any symbol. A header lies at a multiple of 32 MiB; its slices follow each other without
//! a gap up to the end; as many of them are pages in use as it says; and its cookie is its own address, changed by a
//! number that all segments of a process share (`_mi_ptr_cookie`). Releases of mimalloc differ in where the fields
//! are: the layout is the one with which the header agrees with itself.
//!
//! Not read: builds that encode their lists of free blocks (`MI_DEBUG`, `MI_SECURE`). Their pages have two words more,
//! so that no layout here fits them.

use super::pymalloc::{Blocks, Chain};
use crate::bytes::{uint, word};

/// Bytes of a segment, and what its address is a multiple of (`MI_SEGMENT_SIZE`).
pub const SEGMENT: u64 = 32 << 20;
/// Bytes of a slice (`MI_SEGMENT_SLICE_SIZE`): a page has one or several.
pub const SLICE: usize = 64 << 10;
/// Bytes of a segment that are to be read for [`Layout::key`].
pub const PREFIX: usize = 288;
/// Slices that a header describes (`MI_SLICES_PER_SEGMENT`).
const SLICES: usize = 512;
/// The largest block of a page of one slice (`MI_SMALL_OBJ_SIZE_MAX`).
const SMALL: u64 = SLICE as u64 / 4;
/// The largest block of a page that has more of them (`MI_MEDIUM_OBJ_SIZE_MAX`).
const MEDIUM: u64 = 8 * SMALL;
/// More slices than a segment can have: a tebibyte.
const MOST_SLICES: u64 = 1 << 24;
/// What stands for the size of larger blocks (`MI_HUGE_BLOCK_SIZE`).
const HUGE: u64 = 2 << 30;

/// What the blocks of a heap are for (`_Py_mimalloc_heap_id`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `PyMem_Malloc`: no objects.
    Memory,
    /// Objects that begin with their block.
    Objects,
    /// Objects with two words before them.
    ObjectsBehindWords,
}

/// Where the fields are, all in bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    segment_used: usize,
    cookie: usize,
    segment_slices: usize,
    info_slices: usize,
    kind: usize,
    slice_entries: usize,
    slices: usize,
    /// `sizeof(mi_page_t)`.
    page: usize,
    /// The tag of a page: its byte, and bits to the right of it.
    tag: (usize, u32),
    /// `used` and `xblock_size` or `block_size`, and their widths.
    used: (usize, usize),
    block_size: (usize, usize),
    page_start: Option<usize>,
    local_free: usize,
    xthread_free: usize,
    xheap: usize,
    /// `thread_delayed_free` of `mi_heap_t`.
    pub delayed_free: u64,
}

/// `slice_count`, `slice_offset`, `capacity`, `reserved` and `free` of `mi_page_t`, the same in all releases.
const COUNT: usize = 0;
const OFFSET: usize = 4;
const CAPACITY: usize = 10;
const RESERVED: usize = 12;
const FREE: usize = 16;

/// mimalloc 2.1.2, which CPython has had since 3.13 (gh-90815), with its words for free-threaded builds
/// (gh-112529, gh-115103).
const V2_1: Layout = Layout {
    segment_used: 208,
    cookie: 216,
    segment_slices: 224,
    info_slices: 232,
    kind: 240,
    slice_entries: 248,
    slices: 264,
    page: 96,
    tag: (8, 3),
    used: (24, 4),
    block_size: (28, 4),
    page_start: None,
    local_free: 32,
    xthread_free: 40,
    xheap: 48,
    delayed_free: 2840,
};

/// The layouts that are known.
pub const LAYOUTS: [&Layout; 1] = [&V2_1];

/// A page: blocks of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Its first slice.
    pub addr: u64,
    /// Bytes of its slices.
    pub bytes: u64,
    /// Bytes from there to the first block.
    pub start: u64,
    /// Bytes of a block.
    pub size: u64,
    /// Blocks that were ever handed out.
    pub capacity: usize,
    /// Those of them that are in neither `free` nor `local_free`.
    pub used: usize,
    /// What they are for.
    pub purpose: Purpose,
    /// The first blocks of `free`, `local_free` and `xthread_free`, or 0.
    pub free: [u64; 3],
    /// The `mi_heap_t` that it belongs to, or 0 where its thread has ended.
    pub heap: u64,
}

impl Page {
    /// Whether it has one slice.
    pub fn is_small(&self) -> bool {
        self.bytes == SLICE as u64 && self.size <= SMALL
    }

    /// The address of one of its blocks.
    pub fn block(&self, i: usize) -> u64 {
        self.addr + self.start + i as u64 * self.size
    }

    /// Which block begins at `addr`.
    fn index(&self, addr: u64) -> Option<usize> {
        let at = addr.checked_sub(self.addr)?.checked_sub(self.start)?;
        let i = usize::try_from(at / self.size).ok()?;
        (at.is_multiple_of(self.size) && i < self.capacity).then_some(i)
    }
}

impl Layout {
    /// The number by which the addresses of segments become their cookies, if at `addr` is a segment that begins with
    /// `bytes`, [`PREFIX`] of them.
    pub fn key(&self, addr: u64, bytes: &[u8]) -> Option<u64> {
        let field = |at| word(bytes, at);
        let (kind, all, entries) =
            (uint(bytes, self.kind, 4)?, field(self.segment_slices)?, field(self.slice_entries)?);
        let own = (self.bytes().div_ceil(SLICE)) as u64;
        // MI_SEGMENT_NORMAL, and MI_SEGMENT_HUGE of one block.
        let fits = match kind {
            0 => all == SLICES as u64,
            1 => all > own && all < MOST_SLICES,
            _ => false,
        };
        (fits && entries == all.min(SLICES as u64) && field(self.info_slices)? == own)
            .then_some(field(self.cookie)? ^ addr)
    }

    /// Bytes of the header of a segment.
    pub fn bytes(&self) -> usize {
        self.slices + (SLICES + 1) * self.page
    }

    /// The pages that are in use of the segment at `addr` whose header is `bytes`, and how many have a description
    /// that is impossible. `None` if it does not agree with itself.
    pub fn pages(&self, addr: u64, bytes: &[u8]) -> Option<(Vec<Page>, usize)> {
        let entries = word(bytes, self.slice_entries)?.min(SLICES as u64);
        let all = word(bytes, self.segment_slices)?;
        let (mut at, mut in_use, mut broken) = (0, 0, 0);
        let mut pages = Vec::new();
        while at < entries {
            let slice = bytes.get(self.slices + at as usize * self.page..)?;
            let count = uint(slice, COUNT, 4)?;
            let end = at + count;
            if count == 0 || uint(slice, OFFSET, 4)? != 0 || end > all || (end > entries && end != all) {
                return None;
            }
            let size = uint(slice, self.block_size.0, self.block_size.1)?;
            // The first ones hold the header.
            if at > 0 && size > 0 {
                in_use += 1;
                match self.page(addr + at * SLICE as u64, slice, count * SLICE as u64, size) {
                    Some(page) if page.used > 0 => pages.push(page),
                    Some(_) => {}
                    None => broken += 1,
                }
            }
            at = end;
        }
        // One that is being made or freed may be counted or not.
        (word(bytes, self.segment_used)?.abs_diff(in_use) <= 1).then_some((pages, broken))
    }

    fn page(&self, addr: u64, slice: &[u8], bytes: u64, size: u64) -> Option<Page> {
        // _mi_segment_page_start_from_slice
        let start = match self.page_start {
            Some(at) => word(slice, at)?.checked_sub(addr)?,
            None => match size {
                8..=64 => 3 * size,
                65..=512 => size,
                _ => 0,
            },
        };
        let size = if size >= HUGE { bytes } else { size };
        let (capacity, reserved) = (uint(slice, CAPACITY, 2)?, uint(slice, RESERVED, 2)?);
        let used = uint(slice, self.used.0, self.used.1)?;
        let end = start.checked_add(capacity.checked_mul(size)?)?;
        // Small blocks have a page of one slice.
        let of_one_slice = size > SMALL || bytes == SLICE as u64;
        if capacity > reserved || used > capacity || end > bytes || !size.is_multiple_of(8) || !of_one_slice {
            return None;
        }
        let purpose = match uint(slice, self.tag.0, 1)? >> self.tag.1 & 0xf {
            0 => Purpose::Memory,
            1 | 2 => Purpose::Objects,
            3 => Purpose::ObjectsBehindWords,
            _ => return None,
        };
        // The low bits of `xthread_free` are flags (`mi_delayed_t`).
        let free = [word(slice, FREE)?, word(slice, self.local_free)?, word(slice, self.xthread_free)? & !3];
        let (capacity, used, heap) = (capacity as usize, used as usize, word(slice, self.xheap)?);
        Some(Page { addr, bytes, start, size, capacity, used, purpose, free, heap })
    }
}

/// The free blocks of `page`, `next` being the word at an address. `delayed` are those blocks of all pages, in order,
/// that other threads have given back to a heap (`thread_delayed_free`). Of a broken chain, those before the break.
pub fn free_blocks(page: &Page, delayed: &[u64], next: &dyn Fn(u64) -> Option<u64>, free: &mut Blocks) -> Chain {
    free.clear(page.capacity);
    let mut lengths = [0; 3];
    for (length, first) in lengths.iter_mut().zip(page.free) {
        let mut at = first;
        while at != 0 {
            match page.index(at) {
                Some(i) if free.insert(i) => *length += 1,
                _ => return Chain::Broken,
            }
            match next(at) {
                Some(word) => at = word,
                None => return Chain::Broken,
            }
        }
    }
    let after = delayed.partition_point(|block| *block < page.addr);
    for block in delayed.get(after..).unwrap_or(&[]).iter().take_while(|block| **block < page.addr + page.bytes) {
        page.index(*block).map(|i| free.insert(i));
    }
    // Blocks in `xthread_free` still count as used.
    if page.capacity == page.used + lengths[0] + lengths[1] { Chain::Sound } else { Chain::Miscounted }
}

/// Bytes of the block for `bytes` (`mi_good_size`, and whole slices for blocks that have pages of their own).
pub fn good_size(bytes: u64) -> u64 {
    if bytes > MEDIUM {
        return bytes.checked_next_multiple_of(SLICE as u64).unwrap_or(u64::MAX);
    }
    let words = bytes.div_ceil(8).max(1);
    8 * match words {
        1 => 1,
        2..=8 => words.next_multiple_of(2),
        // Four sizes from one power of two to the next (`_mi_bin`).
        _ => words.next_multiple_of(1 << ((words - 1).ilog2() - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 0x7f00_0000_0000;
    const KEY: u64 = 0x1234_5678_9abc_def1;

    /// A segment of 3.13 with pages of (first slice, slices, bytes of a block, blocks, blocks in use, tag).
    fn segment(pages: &[(u64, u64, u64, u64, u64, u8)]) -> Vec<u8> {
        let mut bytes = vec![0u8; 264 + 513 * 96];
        let mut put = |at: usize, value: u64, width: usize| {
            bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        };
        for (at, value) in [(208, pages.len() as u64), (216, AT ^ KEY), (224, 512), (232, 1), (248, 512)] {
            put(at, value, 8);
        }
        let slice = |i: u64| 264 + i as usize * 96;
        // The header's own, which has a size too.
        put(slice(0), 1, 4);
        put(slice(0) + 28, 65536, 4);
        let mut next = 1;
        for (first, count, size, capacity, used, tag) in pages.iter().copied() {
            if first > next {
                put(slice(next), first - next, 4);
            }
            let at = slice(first);
            put(at, count, 4);
            put(at + 8, u64::from(tag) << 3 | 1, 1);
            put(at + 10, capacity, 2);
            put(at + 12, capacity, 2);
            put(at + 24, used, 4);
            put(at + 28, size, 4);
            put(at + 40, 2, 8);
            next = first + count;
        }
        if next < 512 {
            put(slice(next), 512 - next, 4);
        }
        bytes
    }

    #[test]
    fn pages_of_a_segment() {
        let bytes =
            segment(&[(1, 1, 48, 100, 99, 2), (3, 8, 20480, 25, 1, 3), (11, 1, 512, 1, 0, 1), (12, 1, 80, 9, 9, 0)]);
        assert_eq!(V2_1.key(AT, &bytes[..PREFIX]), Some(KEY));
        assert_eq!(V2_1.key(AT + SEGMENT, &bytes[..PREFIX]).filter(|key| *key == KEY), None);
        let (pages, broken) = V2_1.pages(AT, &bytes).unwrap();
        assert_eq!(broken, 0);
        let shown: Vec<_> = pages.iter().map(|p| ((p.addr - AT) >> 16, p.start, p.size, p.capacity, p.used)).collect();
        assert_eq!(shown, [(1, 144, 48, 100, 99), (3, 0, 20480, 25, 1), (12, 80, 80, 9, 9)]);
        let purposes: Vec<_> = pages.iter().map(|p| p.purpose).collect();
        assert_eq!(purposes, [Purpose::Objects, Purpose::ObjectsBehindWords, Purpose::Memory]);
        assert_eq!(pages.iter().map(Page::is_small).collect::<Vec<_>>(), [true, false, true]);
        assert_eq!(pages[0].free, [0; 3]);
    }

    #[test]
    fn what_is_no_segment() {
        let with = |at: usize, value: u64| {
            let mut bytes = segment(&[(1, 1, 48, 100, 99, 2), (2, 1, 48, 100, 99, 2)]);
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            V2_1.key(AT, &bytes).and_then(|_| V2_1.pages(AT, &bytes)).map(|(pages, broken)| (pages.len(), broken))
        };
        assert_eq!(with(216, 1), Some((2, 0))); // another key
        assert_eq!(with(224, 511), None); // too short
        assert_eq!(with(240, 2), None); // a kind that is none
        assert_eq!(with(208, 4), None); // more pages than there are
        assert_eq!(with(264 + 3 * 96, 508), None); // slices that end before the segment does
        assert_eq!(with(264 + 3 * 96, 510), None); // or behind it
        assert_eq!(with(264 + 96 + 24, 101 | 48 << 32), Some((1, 1))); // more in use than there are
        assert_eq!(with(264 + 96 + 24, 99 | 49 << 32), Some((1, 1))); // blocks between words
    }

    #[test]
    fn free_blocks_of_all_lists() {
        let (mut pages, _) = V2_1.pages(AT, &segment(&[(1, 1, 48, 100, 97, 2)])).unwrap();
        let page = &mut pages[0];
        let block = |i: u64| AT + 65536 + 144 + i * 48;
        page.free = [block(5), block(7), block(9)];
        let next = |at: u64| Some(if at == block(5) { block(6) } else { 0 });
        let mut free = Blocks::default();
        // Blocks of other pages, too.
        let delayed = [block(0) - 65536, block(11), block(0) + 65536];
        assert_eq!(free_blocks(page, &delayed, &next, &mut free), Chain::Sound);
        assert_eq!((0..100).filter(|i| free.contains(*i)).collect::<Vec<_>>(), [5, 6, 7, 9, 11]);
        page.used = 98;
        assert_eq!(free_blocks(page, &delayed, &next, &mut free), Chain::Miscounted);
        assert_eq!(free_blocks(page, &[], &|_| Some(block(5)), &mut free), Chain::Broken);
        assert_eq!(free_blocks(page, &[], &|_| Some(block(5) + 8), &mut free), Chain::Broken);
        assert_eq!(free_blocks(page, &[], &|_| None, &mut free), Chain::Broken);
    }

    #[test]
    fn sizes_of_blocks() {
        let all = [1, 8, 9, 24, 64, 65, 81, 128, 129, 161, 1024, 1025, 131_072, 131_073].map(good_size);
        assert_eq!(all, [8, 8, 16, 32, 64, 80, 96, 128, 160, 192, 1024, 1280, 131_072, 196_608]);
    }
}
