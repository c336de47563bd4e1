//! glibc's free chunks that look in use: those on the lists of threads (tcache) and on fast bins.
//!
//! No symbol is needed. A thread's lists begin in a chunk of their own (`tcache_perthread_struct`), which is
//! believed if all that it says holds. An arena (`malloc_state`) is believed if its ordinary bins are lists; its
//! fast bins lie before the pointer to its topmost chunk. The main arena is in the C library's data: there that
//! pointer is looked for.
//!
//! Since 2.32 a link is kept with the address of its place over it (`PROTECT_PTR`); since 2.43 there are no
//! fast bins.

use crate::bytes::{uint, word};
use crate::limits;
use crate::process::Source;

/// Bytes of a chunk's header, and what chunks are aligned to.
const HEADER: u64 = 16;
/// Bytes of the smallest chunk.
const LEAST: u64 = 32;
/// Bins of a thread that have chunks of one size each (`TCACHE_SMALL_BINS`).
const SMALL_BINS: usize = 64;
/// Bins that may be wrong: the thread may have been stopped while it changed one.
const CHANGING: usize = 1;
/// Fast bins, of which the last three are never used (`NFASTBINS`).
const FAST_BINS: u64 = 10;
/// Lists of an arena (`NBINS`, of which the first is none).
const BINS: u64 = 127;
/// Of an arena's lists, those that must be as they can be for it to be believed, and those that must be empty.
const SOUND: (usize, usize) = (120, 8);
/// Links between two questions to the user.
const TOLD: u64 = 1 << 12;
/// Bytes of the C library's data that are read at a time.
const RUN: usize = 1 << 16;

/// How the lists of a thread are laid out, by the size of the chunk that has them.
#[derive(Debug, Clone, Copy)]
struct Shape {
    chunk: u64,
    bins: usize,
    /// Bytes of a count.
    width: usize,
    /// The counts say how many chunks there are, not how much room there is.
    counted: bool,
}

/// Before 2.30, until 2.41, and since 2.42.
const SHAPES: [Shape; 3] = [
    Shape { chunk: 0x250, bins: 64, width: 1, counted: true },
    Shape { chunk: 0x290, bins: 64, width: 2, counted: true },
    Shape { chunk: 0x300, bins: 76, width: 2, counted: false },
];

impl Shape {
    fn of(size: u64) -> Option<Shape> {
        // Malloc keeps no rest that is smaller than the smallest chunk.
        SHAPES.into_iter().find(|shape| (shape.chunk..shape.chunk + LEAST).contains(&size))
    }

    fn count(&self, lists: &[u8], bin: usize) -> Option<u64> {
        uint(lists, bin * self.width, self.width)
    }

    fn first(&self, lists: &[u8], bin: usize) -> Option<u64> {
        word(lists, self.bins * self.width + bin * 8)
    }
}

/// Whether a chunk of `size` bytes that has `contents` can be the lists of a thread. Cheap: what they lead to is not
/// looked at.
pub fn may_be_lists(size: u64, contents: &[u8]) -> bool {
    let Some(shape) = Shape::of(size) else { return false };
    let mut any = false;
    (0..shape.bins).all(|bin| {
        let (Some(count), Some(first)) = (shape.count(contents, bin), shape.first(contents, bin)) else {
            return false;
        };
        any |= first != 0;
        first.is_multiple_of(HEADER) && (!shape.counted || (count == 0) == (first == 0))
    }) && any
}

/// Follows lists of free chunks.
pub struct Lists<'a> {
    source: &'a dyn Source,
    go_on: &'a dyn Fn() -> bool,
    /// Links that may still be followed: none when the user has stopped it.
    room: u64,
    /// There were more.
    pub is_cut: bool,
    /// What malloc returned for them, and the bytes that could be used there.
    pub free: Vec<(u64, u64)>,
}

/// A link, as it is kept at `place`.
fn reveal(link: u64, place: u64, protected: bool) -> u64 {
    if protected { link ^ place >> 12 } else { link }
}

impl<'a> Lists<'a> {
    /// None known, in heaps of so many bytes.
    pub fn new(source: &'a dyn Source, heaps: u64, go_on: &'a dyn Fn() -> bool) -> Lists<'a> {
        // A chunk is on one list, which is followed twice if its links are not protected.
        let room = (heaps / LEAST).saturating_mul(2).saturating_add(limits::FREE_LINKS);
        Lists { source, go_on, room, is_cut: false, free: Vec::new() }
    }

    /// Adds what is on the lists of a thread, which begin at `addr` in a chunk of `size` bytes, if that is what they
    /// are.
    pub fn thread(&mut self, addr: u64, size: u64) {
        let Some(shape) = Shape::of(size) else { return };
        let mut lists = vec![0u8; (size - 8) as usize];
        if self.source.read_some(addr, &mut lists) < lists.len() {
            return;
        }
        for protected in [true, false] {
            let before = self.free.len();
            let mut wrong = 0;
            for bin in 0..shape.bins {
                let good = self.free.len();
                if self.thread_bin(&shape, &lists, bin, protected).is_none() {
                    self.free.truncate(good);
                    wrong += 1;
                    // Tables of dicts are as large, there are many of them, and what they lead to is a read each.
                    if wrong > CHANGING {
                        break;
                    }
                }
            }
            if wrong <= CHANGING && self.free.len() > before {
                return;
            }
            self.free.truncate(before);
        }
    }

    fn thread_bin(&mut self, shape: &Shape, lists: &[u8], bin: usize, protected: bool) -> Option<()> {
        let first = shape.first(lists, bin)?;
        // Larger ones (2.42) are together with others up to twice as large.
        let size = (bin < SMALL_BINS).then_some(LEAST + bin as u64 * HEADER);
        let count = shape.count(lists, bin).filter(|_| shape.counted);
        let fits = |found| size.is_none_or(|size| size == found);
        let length = self.list(first, 0, (protected, count.unwrap_or(u64::MAX)), &fits)?;
        count.is_none_or(|count| count == length).then_some(())
    }

    /// Follows a list from the chunk whose link to the next is at `at`; `forward` bytes lie between what a link says
    /// and the link there. How long it is; `None` if it is no list of at most so many.
    fn list(
        &mut self,
        mut at: u64,
        forward: u64,
        (protected, most): (bool, u64),
        fits: &dyn Fn(u64) -> bool,
    ) -> Option<u64> {
        let mut length = 0u64;
        // Where the list was at the last power of two: one that leads back comes there again.
        let mut mark = 0;
        let mut head = [0u8; 16];
        while at != 0 {
            self.is_cut |= self.room == 0;
            self.room = self.room.checked_sub(1)?;
            if self.room.is_multiple_of(TOLD) && !(self.go_on)() {
                self.room = 0;
            }
            if !at.is_multiple_of(HEADER) || at == mark || length == most {
                return None;
            }
            if length.is_power_of_two() {
                mark = at;
            }
            if self.source.read_some(at.wrapping_sub(8), &mut head) < head.len() {
                return None;
            }
            let size = word(&head, 0)? & !7;
            if size < LEAST || !fits(size) {
                return None;
            }
            self.free.push((at, size - 8));
            length += 1;
            at = match reveal(word(&head, 8)?, at, protected) {
                0 => 0,
                next => next.wrapping_add(forward),
            };
        }
        Some(length)
    }

    /// Adds what is on the fast bins of the arena whose pointer to its topmost chunk is at `top`, if there is one.
    /// Of a damaged list, what comes before the damage.
    pub fn arena(&mut self, top: u64) {
        let mut state = [0u8; (8 * (FAST_BINS + 2 + 2 * BINS)) as usize];
        let start = top.wrapping_sub(8 * FAST_BINS);
        if self.source.read_some(start, &mut state) < state.len() || !is_arena(start, &state) {
            return;
        }
        for bin in 0..FAST_BINS {
            let Some(first) = word(&state, bin as usize * 8).filter(|first| *first != 0) else { continue };
            let fits = |size| size == LEAST + bin * HEADER;
            let first = first.wrapping_add(HEADER);
            let before = self.free.len();
            if self.list(first, HEADER, (true, u64::MAX), &fits).is_none() {
                let damaged = self.free.split_off(before);
                if self.list(first, HEADER, (false, u64::MAX), &fits).is_none()
                    && self.free.len() - before < damaged.len()
                {
                    self.free.truncate(before);
                    self.free.extend(damaged);
                }
            }
        }
    }

    /// Where in the memory `start..end` there is a pointer to one of the `chunks`, which are in order.
    pub fn pointers(&self, (start, end): (u64, u64), chunks: &[u64], found: &mut Vec<u64>) {
        let mut bytes = vec![0u8; RUN];
        let mut at = start;
        while at < end {
            let length = (end - at).min(RUN as u64) as usize;
            let have = self.source.read_some(at, &mut bytes[..length]);
            let words = bytes[..have].chunks_exact(8).zip((at..).step_by(8));
            found.extend(
                words
                    .filter(|(bytes, _)| word(bytes, 0).is_some_and(|word| chunks.binary_search(&word).is_ok()))
                    .map(|(_, place)| place),
            );
            if have < length {
                return;
            }
            at += length as u64;
        }
    }
}

/// Whether the words from the fast bins on are those of an arena at `start`: its ordinary bins are rings.
fn is_arena(start: u64, state: &[u8]) -> bool {
    let first = FAST_BINS + 2;
    let (mut sound, mut empty) = (0, 0);
    for bin in 0..BINS {
        let place = first + 2 * bin;
        // A bin is the links of a chunk of which the header lies before it.
        let itself = start.wrapping_add(8 * place).wrapping_sub(HEADER);
        let link = |i: u64| word(state, (8 * (place + i)) as usize).unwrap_or(0);
        let (forward, back) = (link(0), link(1));
        sound += usize::from(forward != 0 && back != 0 && (forward == itself) == (back == itself));
        empty += usize::from(forward == itself);
    }
    sound >= SOUND.0 && empty >= SOUND.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Cache;
    use crate::process::fake::Fake;

    /// Memory in one piece, to be written to.
    struct Piece {
        start: u64,
        bytes: Vec<u8>,
    }

    impl Piece {
        fn put(&mut self, addr: u64, word: u64) {
            let at = (addr - self.start) as usize;
            self.bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }

        fn memory(&self) -> Cache {
            let mut fake = Fake::default();
            fake.add(self.start, self.bytes.clone());
            Cache::new(Box::new(fake), None)
        }
    }

    const AT: u64 = 0x7f12_3456_0000;

    /// Two chunks of 48 bytes on the list of a thread of glibc 2.30 to 2.41.
    fn lists(protected: bool, count: u8) -> Piece {
        let mut piece = Piece { start: AT, bytes: vec![0; 0x2000] };
        let (one, two) = (AT + 0x1010, AT + 0x1040);
        piece.bytes[0x12] = count;
        piece.put(AT + 0x10 + 128 + 8, one);
        for (chunk, next) in [(one, two), (two, 0)] {
            piece.put(chunk - 8, 0x31);
            piece.put(chunk, if protected { next ^ chunk >> 12 } else { next });
        }
        piece
    }

    fn free(piece: &Piece) -> Vec<(u64, u64)> {
        let memory = piece.memory();
        let mut lists = Lists::new(&memory, 1 << 20, &|| true);
        lists.thread(AT + 0x10, 0x290);
        lists.free
    }

    #[test]
    fn lists_of_a_thread() {
        let found = [(AT + 0x1010, 0x28), (AT + 0x1040, 0x28)];
        assert!(may_be_lists(0x290, &lists(true, 2).bytes[0x10..0x290]));
        assert_eq!(free(&lists(true, 2)), found);
        assert_eq!(free(&lists(false, 2)), found);
    }

    #[test]
    fn what_is_no_list() {
        // Another number of chunks.
        assert_eq!(free(&lists(true, 1)), []);
        // Chunks of another size.
        let mut piece = lists(true, 2);
        piece.put(AT + 0x1038, 0x41);
        assert_eq!(free(&piece), []);
        // One that leads back.
        let mut piece = lists(false, 2);
        piece.put(AT + 0x1040, AT + 0x1010);
        assert_eq!(free(&piece), []);
        // A count and no chunk; nothing at all; another size of lists.
        piece.put(AT + 0x10 + 128 + 8, 0);
        assert!(!may_be_lists(0x290, &piece.bytes[0x10..0x290]));
        assert!(!may_be_lists(0x290, &[0; 0x280]));
        assert!(!may_be_lists(0x2b0, &lists(true, 2).bytes[0x10..0x2a0]));
    }

    /// Full of pointers to what is no chunk, as a dict's table: each that is followed is a read.
    #[test]
    fn what_looks_like_lists_is_given_up_soon() {
        let mut piece = Piece { start: AT, bytes: vec![0; 0x2000] };
        for word in (0..0x300).step_by(8) {
            piece.put(AT + 0x10 + word, AT + 0x1000);
        }
        assert!(may_be_lists(0x300, &piece.bytes[0x10..0x308]));
        let memory = piece.memory();
        let mut lists = Lists::new(&memory, 1 << 20, &|| true);
        lists.thread(AT + 0x10, 0x300);
        assert_eq!((lists.free.len(), memory.counters().reads), (0, 5));
    }

    #[test]
    fn fast_bins_of_an_arena() {
        let mut piece = lists(true, 2);
        // The second fast bin; `top` follows the ten.
        piece.put(AT + 8, AT + 0x1000);
        piece.put(AT + 0x1010, (AT + 0x1030) ^ (AT + 0x1010) >> 12);
        let top = AT + 80;
        let memory = piece.memory();
        let mut lists = Lists::new(&memory, 1 << 20, &|| true);
        lists.arena(top);
        assert_eq!(lists.free, []);
        for bin in 0..BINS {
            for link in [0, 8] {
                piece.put(top + 16 + 16 * bin + link, top + 16 * bin);
            }
        }
        let memory = piece.memory();
        let mut lists = Lists::new(&memory, 1 << 20, &|| true);
        lists.arena(top);
        assert_eq!(lists.free, [(AT + 0x1010, 0x28), (AT + 0x1040, 0x28)]);
    }
}
