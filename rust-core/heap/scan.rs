//! All objects in pools and chunks: which blocks hold one, of which type, how large.
//!
//! Several threads share the pools in windows of memory and read each window once. A block in use is an
//! object if, at the place where objects of that type begin, it has a pointer to that type and a
//! possible reference count. All else is memory of objects: tables of keys, values, lists' items.

mod found;
mod freed;

use super::groups::Key;
use super::loose::Loose;
use super::owners::{Owner, Record};
pub use super::plan::Plan;
use super::pools::{Pools, part_with, read_pools};
pub use super::reader::Reader;
use super::reader::Share;
use super::sizes::{HEAD, Pending};
use super::statics;
use super::troubles::Trouble;
use super::types::{Local, TypeId, Types};
pub use super::window::{Pool, Tally, Window};
use crate::allocators::glibc;
use crate::allocators::mimalloc::{self, Page, Purpose};
use crate::allocators::pymalloc::{self, Blocks, Chain};
use crate::bytes::word;
use crate::limits;
use crate::process::Source;
use crate::process::progress::Progress;
pub(super) use found::Part;
pub use found::Scanned;
use std::ops::Range;

/// Bytes that are read at a time.
pub(super) const WINDOW: u64 = 1 << 20;

/// Places of pending sizes that are read at a time.
const BATCH: usize = 4096;

/// What one thread looks at in one go.
#[derive(Clone, Copy)]
enum Piece {
    /// malloc's chunks, or mimalloc's pages that are no pools.
    Chunks,
    Statics,
    /// Pools that are read together: the first, and one past the last, by their places.
    Pools(usize, usize),
}

/// Scans all pools, and malloc's chunks, of a process that has `memory` bytes in all. With a `key`, objects are counted
/// by it, and whose dicts are is not looked at. `go_on` is asked on the calling thread; objects are counted in
/// `progress`.
pub fn scan(
    (pools, static_places): (&Pools, &statics::Places),
    (places, memory): (glibc::Places<'_>, u64),
    (types, plan): (&Types, &Plan),
    key: Option<&Key<'_>>,
    source: &Reader<'_>,
    progress: &Progress,
    go_on: &dyn Fn() -> bool,
) -> Scanned {
    // The chunks take the longest.
    let mut pieces = vec![Piece::Chunks, Piece::Statics];
    pieces.extend(units(&pools.addresses, plan.pool as u64).into_iter().map(|(first, last)| Piece::Pools(first, last)));
    let work = |source: &dyn Source, share: &Share<'_>| {
        let go_on = || share.goes_on();
        let mut worker = Worker::new((pools, plan), key, Local::new(types, pools, source), source, memory);
        let mut parts = Vec::new();
        while let Some(piece) = share.next().and_then(|number| pieces.get(number)) {
            match *piece {
                Piece::Pools(first, last) => {
                    let found = worker.window((first, last));
                    progress.add_objects(found as u64);
                }
                Piece::Chunks => match &pools.segments {
                    Some(segments) => worker.large(&segments.large, &go_on),
                    None => worker.chunks(places, &go_on),
                },
                Piece::Statics => {
                    let data = statics::Data::read(static_places, source, &go_on);
                    let mut worker = Worker::new((pools, plan), key, Local::new(types, pools, &data), &data, memory);
                    worker.statics(static_places, &data, types);
                    parts.push(worker.finish(&go_on));
                }
            }
        }
        parts.push(worker.finish(&go_on));
        parts
    };
    let made = source.share(pieces.len(), &work, go_on);
    let mut scanned = Scanned { interrupted: made.stopped, ..Scanned::default() };
    made.parts.into_iter().flatten().for_each(|part| scanned.add(part));
    if let Some(segments) = &pools.segments {
        scanned.troubles.add(&segments.troubles);
    }
    pools.blank.iter().for_each(|place| scanned.troubles.note(Trouble::Blank, *place));
    scanned.sort();
    scanned
}

/// Pools that are read together: (first, one past the last), by their places in `addresses`.
fn units(addresses: &[u64], pool: u64) -> Vec<(usize, usize)> {
    let mut units: Vec<(usize, usize)> = Vec::new();
    for (i, addr) in addresses.iter().enumerate() {
        match units.last_mut() {
            Some((first, last)) if addr + pool - addresses[*first] <= WINDOW => *last = i + 1,
            _ => units.push((i, i + 1)),
        }
    }
    units
}

/// Bytes that `PYTHONMALLOC=debug` and debug builds put before what the program gets: its size, and a letter
/// and marks (`_PyMem_DebugRawAlloc`; 0xFB before 3.8, bpo-36389).
pub(super) fn debug_marks(block: &[u8]) -> usize {
    match block.get(8..16) {
        Some([b'o' | b'm' | b'r', rest @ ..]) if [0xfd; 7] == *rest || [0xfb; 7] == *rest => 16,
        _ => 0,
    }
}

/// Whether that can lie before an object: pointers or nulls, some of them with flags, or one of the small negative
/// numbers that `gc_refs` has in what the garbage collector does not look at (up to 3.7; nothing else is set there
/// then). Text that ends in the word where an object would have its count has none, and behind it, where nothing was
/// written since, can be the type of an object that is gone.
#[inline]
fn can_lead(before: &[u8]) -> bool {
    let mut words = before.chunks_exact(8).filter_map(|bytes| word(bytes, 0));
    before.is_empty() || words.any(|word| word < Loose::END || word.wrapping_add(16) < 16)
}

/// What holds an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// A block of so many bytes.
    Block(u64),
    /// A block of an allocator that is not known.
    Unknown,
    /// Static memory.
    Static,
}

/// What one thread does of a scan.
pub(super) struct Worker<'a> {
    pub(super) plan: &'a Plan,
    pools: &'a Pools,
    /// Where in the blocks at hand an object can begin.
    positions: &'a [usize],
    /// Bytes of marks before the block at hand: they are the object's too.
    marks: u64,
    key: Option<&'a Key<'a>>,
    pub(super) local: Local<'a>,
    pub(super) source: &'a dyn Source,
    buffer: Vec<u8>,
    free: Blocks,
    /// The blocks of the pool at hand that hold an object.
    objects: Blocks,
    pub(super) part: Part,
    /// Of the pending ones, those that are in no window that was read so far.
    settled: usize,
    /// Bytes that may still be read of what has no size but an end.
    effort: usize,
    /// Bytes that the process has: no object is larger.
    pub(super) memory: u64,
}

impl<'a> Worker<'a> {
    /// One that has found nothing, in a process that has `memory` bytes.
    pub(super) fn new(
        (pools, plan): (&'a Pools, &'a Plan),
        key: Option<&'a Key<'a>>,
        local: Local<'a>,
        source: &'a dyn Source,
        memory: u64,
    ) -> Worker<'a> {
        Worker {
            plan,
            pools,
            positions: &plan.positions,
            marks: 0,
            key,
            local,
            source,
            buffer: vec![0; WINDOW as usize],
            free: Blocks::default(),
            objects: Blocks::default(),
            part: Part::default(),
            settled: 0,
            effort: limits::SIZE_EFFORT,
            memory,
        }
    }

    /// Adds what is pending, and gives what was found.
    pub(super) fn finish(mut self, go_on: &dyn Fn() -> bool) -> Part {
        self.rest(go_on);
        self.group();
        self.part.records.sort_unstable_by_key(|dict| dict.addr);
        self.part.owners.sort_unstable();
        self.part
    }

    /// Walks malloc's chunks: what is too large for a pool, or everything where there is no pool.
    fn chunks(&mut self, places: glibc::Places<'_>, go_on: &dyn Fn() -> bool) {
        let pools = self.pools;
        let small = if pools.addresses.is_empty() { 0 } else { pymalloc::LARGEST as u64 };
        let source = self.source;
        let elsewhere = |page| pools.contains(page);
        let walked = glibc::walk(source, places, &elsewhere, go_on, &mut |chunk| {
            if chunk.size > small && !pools.contains(chunk.addr) {
                self.chunk(&chunk);
            }
        });
        self.take_back(&walked.free);
        self.part.walked = Some(walked);
    }

    /// Counts what is in a chunk.
    fn chunk(&mut self, chunk: &glibc::Chunk<'_>) {
        // What pymalloc passes on is marked by the raw allocator once more.
        let marks = debug_marks(chunk.head);
        let marks = marks + chunk.head.get(marks..).filter(|_| marks > 0).map_or(0, debug_marks);
        let (start, head) = (chunk.addr + marks as u64, &chunk.head[marks.min(chunk.head.len())..]);
        self.marks = marks as u64;
        if let Some((before, id)) = self.block(start, head, chunk.size - marks as u64) {
            self.part.loose.push(Loose::new(start + before as u64, id));
        } else if self.plan.python2 {
            self.marks = 0;
            self.numbers(chunk);
        }
    }

    /// 2.7 keeps ints and floats in blocks of 41, which malloc gave (`PyIntBlock` in `Objects/intobject.c`):
    /// a link, then the objects. Free ones have the next free one as their type.
    fn numbers(&mut self, chunk: &glibc::Chunk<'_>) {
        const BLOCK: u64 = 8 + 41 * NUMBER as u64;
        const NUMBER: usize = 24;
        if !(BLOCK..BLOCK + 32).contains(&chunk.size) {
            return;
        }
        for (i, slot) in chunk.head.get(8..BLOCK as usize).into_iter().flat_map(|b| b.chunks_exact(NUMBER)).enumerate()
        {
            let at = chunk.addr + 8 + (i * NUMBER) as u64;
            if let Some((_, id)) = self.block(at, slot, NUMBER as u64) {
                self.part.loose.push(Loose::new(at, id));
            }
        }
    }

    /// Looks into mimalloc's pages that are no pools: what is too large for one.
    fn large(&mut self, pages: &[Page], go_on: &dyn Fn() -> bool) {
        let mut head = [0; glibc::HEAD];
        for page in pages {
            if !go_on() {
                return;
            }
            self.positions = self.plan.positions_for(page.purpose);
            let source = self.source;
            let next = |at: u64| source.word(at);
            let chain = mimalloc::free_blocks(page, self.delayed(), &next, &mut self.free);
            self.note(chain, page.addr);
            let used: Vec<_> = (0..page.capacity).filter(|i| !self.free.contains(*i)).collect();
            self.part.large.push((*page, used.len()));
            for i in used.into_iter().filter(|_| page.purpose != Purpose::Memory) {
                let start = page.block(i);
                let most = usize::try_from(page.size).unwrap_or(glibc::HEAD).min(glibc::HEAD);
                let have = source.read_some(start, &mut head[..most]);
                let marks = debug_marks(&head[..have]);
                self.marks = marks as u64;
                let (at, block) = (start + marks as u64, &head[marks.min(have)..have]);
                if let Some((before, id)) = self.block(at, block, page.size - marks as u64) {
                    self.part.loose.push(Loose::new(at + before as u64, id));
                }
            }
        }
    }

    fn delayed(&self) -> &'a [u64] {
        self.pools.segments.as_ref().map_or(&[], |segments| &segments.delayed)
    }

    fn note(&mut self, chain: Chain, addr: u64) {
        match chain {
            Chain::Sound => {}
            Chain::Miscounted => self.part.troubles.note(Trouble::Miscounted, addr),
            Chain::Broken => self.part.troubles.note(Trouble::Broken, addr),
        }
    }

    /// Reads and scans the pools from the one with this place up to another, which lie in one window; how many
    /// objects they have.
    fn window(&mut self, (from, to): (usize, usize)) -> usize {
        let pools = self.pools;
        let addresses = &pools.addresses[from..to];
        let (Some(first), Some(last)) = (addresses.first(), addresses.last()) else { return 0 };
        let pool = self.plan.pool;
        let mut i = from;
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut window = Window::default();
        let together = &mut buffer[..(last - first) as usize + pool];
        let read = read_pools(self.source, addresses.iter().copied(), pool, together, &mut |addr, bytes| {
            match pools.page(i) {
                Some(page) => self.page(page, bytes, &mut window),
                None if bytes.len() < pool => self.part.troubles.note(Trouble::Unreadable, addr),
                None => self.pool(addr, bytes, &mut window),
            }
            i += 1;
        });
        self.near(*first, &buffer, &read);
        self.buffer = buffer;
        window.types.shrink_to_fit();
        window.words.shrink_to_fit();
        let objects = window.types.len();
        if !window.pools.is_empty() {
            self.part.windows.push(window);
        }
        objects
    }

    fn pool(&mut self, addr: u64, bytes: &[u8], window: &mut Window) {
        let Some(header) = pymalloc::header(bytes, self.plan.pool) else { return };
        let chain = pymalloc::free_blocks(bytes, addr, &header, &mut self.free);
        self.note(chain, addr);
        self.blocks((addr, bytes), (pymalloc::OVERHEAD, header.size, header.carved), window);
    }

    fn page(&mut self, page: &Page, bytes: &[u8], window: &mut Window) {
        let (start, size) = (page.start as usize, page.size as usize);
        if bytes.len() < start + page.capacity * size {
            self.part.troubles.note(Trouble::Unreadable, page.addr);
            return;
        }
        let next = |at: u64| word(bytes, (at - page.addr) as usize);
        let chain = mimalloc::free_blocks(page, self.delayed(), &next, &mut self.free);
        self.note(chain, page.addr);
        self.positions = self.plan.positions_for(page.purpose);
        self.blocks((page.addr, bytes), (start, size, page.capacity), window);
    }

    /// Looks into those blocks of a pool that are not free. It has so many, of this size, and the first is so many
    /// bytes into it.
    fn blocks(
        &mut self,
        (addr, bytes): (u64, &[u8]),
        (start, size, carved): (usize, usize, usize),
        window: &mut Window,
    ) {
        self.objects.clear(carved);
        let (mut marks, mut used) = (None, 0);
        let first = window.types.len();
        for i in 0..carved {
            if self.free.contains(i) {
                continue;
            }
            used += 1;
            let at = start + i * size;
            let block = &bytes[at..at + size];
            // All blocks of a pool have them or none has.
            let marks = *marks.get_or_insert_with(|| debug_marks(block));
            self.marks = marks as u64;
            let (at, block) = (at + marks, &block[marks.min(block.len())..]);
            if let Some((_, id)) = self.block(addr + at as u64, block, block.len() as u64) {
                self.objects.insert(i);
                window.types.push(id);
            }
        }
        window.pools.push(Pool {
            addr,
            start: start as u16,
            size: size as u16,
            carved: carved as u16,
            used,
            marks: marks.unwrap_or(0) as u16,
            word: window.words.len() as u32,
            object: first as u32,
        });
        window.words.extend_from_slice(self.objects.words(carved));
    }

    /// Counts the object in the block at `addr` of `length` bytes that begins with `block`, if there is one;
    /// its place in the block, and its type.
    #[inline(always)]
    fn block(&mut self, addr: u64, block: &[u8], length: u64) -> Option<(usize, TypeId)> {
        for before in self.positions {
            let Some(object) = block.get(*before..) else { break };
            let Some(pointer) = word(object, self.plan.ob_type) else { break };
            // The count first: it rules out most that is no object.
            if !self.plan.alive(object) {
                continue;
            }
            let Some(id) = self.local.get(pointer) else { continue };
            if self.doubtful(object) && !self.linked(addr + *before as u64, block, *before) {
                continue;
            }
            let Some(info) = self.local.info(id) else { continue };
            let room = length - *before as u64;
            if info.before as usize != *before || self.plan.sizes.least(info) > room || !can_lead(&block[..*before]) {
                continue;
            }
            self.count(id, (addr, *before), block, (room, Held::Block(length + self.marks)));
            return Some((*before, id));
        }
        self.untyped(addr, block);
        None
    }

    /// Counts the object `before` bytes into the memory at `addr` that begins with `block`. Behind its start are `room`
    /// bytes.
    #[inline(always)]
    pub(super) fn count(&mut self, id: TypeId, (addr, before): (u64, usize), block: &[u8], (room, held): (u64, Held)) {
        let (Some(info), Some(object)) = (self.local.info(id), block.get(before..)) else { return };
        let is_static = held == Held::Static;
        let tracked = !is_static && info.has_gc() && self.plan.tracked(block, before);
        let at = addr + before as u64;
        let first = self.part.pending.len();
        let mut size = self.plan.sizes.size((id, info), at, object, room, &mut self.part.pending);
        if size > self.memory {
            self.part.troubles.note(Trouble::Impossible, at);
            size = info.fixed();
        }
        let (allocated, length) = match held {
            Held::Block(length) => (length, length),
            Held::Unknown | Held::Static => (0, u64::MAX),
        };
        let frozen = self.plan.frozen(object);
        let record = Record { addr: at, id, size, allocated, tracked, frozen, is_static };
        if info.is_dict || self.key.is_some() {
            self.part.note(record, first, self.key);
        }
        if self.key.is_none()
            && let Some(place) = info.dict.place(|| self.plan.sizes.end(info, object))
            && let Some(dict) = self.pointer(block, before as i64 + place, addr, length)
        {
            self.part.owners.push(Owner { dict, owner: at, id });
        }
        if self.part.tallies.len() <= usize::from(id) {
            self.part.tallies.resize(usize::from(id) + 1, Tally::default());
        }
        self.part.tallies[usize::from(id)].add(&record.tally());
    }

    /// The pointer `place` bytes into the block at `addr` of `length` bytes that begins with `block`.
    #[inline]
    fn pointer(&self, block: &[u8], place: i64, addr: u64, length: u64) -> Option<u64> {
        let at = u64::try_from(place).ok().filter(|at| *at < length)?;
        let pointer = word(block, at as usize).or_else(|| self.source.word(addr.wrapping_add(at)))?;
        // 3.12 has other values of the same word, which it marks in the low bit.
        (pointer != 0 && pointer.is_multiple_of(8)).then_some(pointer)
    }

    /// Notes a block that the garbage collector has in its lists and that has no type: it was overwritten.
    fn untyped(&mut self, addr: u64, block: &[u8]) {
        for before in self.plan.positions.iter().filter(|before| **before > 0) {
            let Some(object) = block.get(*before..) else { return };
            let at = addr + *before as u64;
            // Both neighbours: memory that was not written since it was handed out keeps the links of objects that it
            // had, and those behind it may do so too (values of 3.11, before which there is room).
            let linked = || self.linked(at, block, *before) && self.follows(at, block, *before);
            if self.plan.alive(object) && self.plan.count(object) < 1 << 20 && linked() {
                self.part.troubles.note(Trouble::Untyped, addr + *before as u64);
            }
        }
    }

    /// Whether the reference count could as well be a pointer: a program that is not position-independent
    /// has its heap below 4 GiB. A list of classes then has words that look like an object; so has a dict or
    /// set of classes, freed ones too, where the count is the hash of a class (`_Py_HashPointer`).
    #[inline]
    pub(super) fn doubtful(&mut self, object: &[u8]) -> bool {
        let count = self.plan.count(object);
        count >= 0x10000 && self.is_doubtful(count)
    }

    #[cold]
    fn is_doubtful(&mut self, count: u64) -> bool {
        // mimalloc's pages tell what their blocks are for.
        self.pools.segments.is_none()
            && (count.is_multiple_of(8) && self.local.is_outside(count)
                || self.local.get(count.rotate_left(4)).is_some())
    }

    /// Whether the next object in the garbage collector's list points back at this one.
    #[cold]
    pub(super) fn linked(&self, addr: u64, block: &[u8], before: usize) -> bool {
        let head = self.plan.gc_head;
        let Some(next) = before.checked_sub(head).filter(|_| head > 0).and_then(|at| word(block, at)) else {
            return false;
        };
        // A read costs more than all else here.
        if !self.local.is_pointer(next & !3) {
            return false;
        }
        // The low bits are flags (3.8 and later).
        let back = self.source.word((next & !3).wrapping_add(8));
        back.is_some_and(|back| back & !3 == addr.wrapping_sub(head as u64))
    }

    /// Whether the object before this one in the garbage collector's list points at it.
    #[cold]
    fn follows(&self, addr: u64, block: &[u8], before: usize) -> bool {
        let head = self.plan.gc_head;
        let place = before.checked_sub(head).filter(|_| head > 0);
        let Some(back) = place.and_then(|at| word(block, at + 8)).map(|back| back & !3) else { return false };
        self.local.is_pointer(back)
            && self.source.word(back).is_some_and(|next| next & !3 == addr.wrapping_sub(head as u64))
    }

    /// Adds those pending sizes that the window that was just read tells: most, as a dict's table of keys was
    /// allocated together with it. These parts of `bytes` were read.
    fn near(&mut self, start: u64, bytes: &[u8], read: &[Range<usize>]) {
        let mut i = self.settled;
        while let Some(one) = self.part.pending.get(i) {
            let at = one.at.wrapping_sub(start);
            match part_with(read, at).and_then(|part| bytes[at as usize..part.end].get(..HEAD)) {
                Some(head) => {
                    let one = self.part.pending.swap_remove(i);
                    self.settle(&one, head);
                }
                None => i += 1,
            }
        }
        self.settled = self.part.pending.len();
    }

    /// Adds a pending size to those of its type.
    #[inline]
    fn settle(&mut self, one: &Pending, head: &[u8]) {
        let Part { pending, tallies, records, troubles, .. } = &mut self.part;
        let more = self.plan.sizes.more(one, head, self.source, &mut self.effort, pending);
        let Some(more) = more.filter(|more| *more <= self.memory) else {
            troubles.note(Trouble::Impossible, one.of);
            return;
        };
        if let Some(tally) = tallies.get_mut(usize::from(one.id)) {
            tally.size = tally.size.saturating_add(more);
        }
        if let Some(record) = (one.record as usize).checked_sub(1).and_then(|i| records.get_mut(i)) {
            record.size = record.size.saturating_add(more);
        }
    }

    /// Counts by key those objects whose sizes were pending.
    fn group(&mut self) {
        let Some(key) = self.key else { return };
        let records = std::mem::take(&mut self.part.records);
        records.iter().for_each(|record| self.part.groups.add(key, record));
    }

    /// Adds the other pending sizes, which lie anywhere.
    fn rest(&mut self, go_on: &dyn Fn() -> bool) {
        let mut heads = vec![0u8; BATCH * HEAD];
        let mut places = Vec::with_capacity(BATCH);
        // What is found leads to something else at most once: a frame to its code.
        while !self.part.pending.is_empty() {
            let mut pending = std::mem::take(&mut self.part.pending);
            pending.sort_unstable_by_key(|one| one.at);
            for batch in pending.chunks(BATCH) {
                if !go_on() {
                    return;
                }
                places.clear();
                places.extend(batch.iter().map(|one| one.at));
                let heads = &mut heads[..places.len() * HEAD];
                self.source.gather(&places, HEAD, heads);
                for (one, head) in batch.iter().zip(heads.chunks_exact(HEAD)) {
                    self.settle(one, head);
                }
            }
        }
    }
}
