//! Numbers for the objects of a census, in the order of [`Census::each`]: what is kept of every object then needs
//! no table of addresses.
//!
//! An address becomes a number by its place in its pool: the objects before it there are counted in the pool's
//! bits.

use super::Census;
use super::scan::{Pool, Window};
use super::types::TypeId;

/// Pools closer together than this are looked up in one table.
const GAP: u64 = 1 << 24;

/// No pool.
const NONE: u32 = u32::MAX;

/// Pools that lie close together.
#[derive(Debug)]
struct Run {
    start: u64,
    /// By place: which pool is there.
    pools: Vec<u32>,
}

/// The numbers of the objects of a census.
#[derive(Debug)]
pub struct Index<'a> {
    census: &'a Census,
    /// Bytes of a pool, as a power of two.
    shift: u32,
    runs: Vec<Run>,
    /// Of every pool: its window, its place there, and the number of its first object.
    pools: Vec<(u32, u32, u32)>,
    /// The number of the first object that is in no pool.
    loose: u32,
}

impl<'a> Index<'a> {
    /// Numbers for the objects of `census`, whose pools have `pool` bytes. `None` for more objects than numbers.
    pub fn new(census: &'a Census, pool: usize) -> Option<Index<'a>> {
        let shift = pool.trailing_zeros();
        let mut index = Index { census, shift, runs: Vec::new(), pools: Vec::new(), loose: 0 };
        let mut first = 0u32;
        for (w, window) in census.scanned.windows.iter().enumerate() {
            for (p, pool) in window.pools.iter().enumerate() {
                let number = u32::try_from(index.pools.len()).ok().filter(|n| *n != NONE)?;
                index.pools.push((u32::try_from(w).ok()?, u32::try_from(p).ok()?, first.checked_add(pool.object)?));
                let near = index.runs.last().is_some_and(|run| pool.addr - (run.start + run.bytes(shift)) < GAP);
                if !near {
                    index.runs.push(Run { start: pool.addr, pools: Vec::new() });
                }
                if let Some(run) = index.runs.last_mut() {
                    run.pools.resize(((pool.addr - run.start) >> shift) as usize, NONE);
                    run.pools.push(number);
                }
            }
            first = first.checked_add(u32::try_from(window.types.len()).ok()?)?;
        }
        index.loose = first;
        first.checked_add(u32::try_from(census.scanned.loose.len()).ok()?)?;
        Some(index)
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.loose as usize + self.census.scanned.loose.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the first object in the window with this place among the windows.
    pub fn first_of(&self, window: usize) -> u32 {
        let after = self.pools.partition_point(|(w, ..)| (*w as usize) < window);
        self.pools.get(after).map_or(self.loose, |(_, _, first)| *first)
    }

    /// The number of the first object that is in no pool.
    pub fn first_loose(&self) -> u32 {
        self.loose
    }

    fn place(&self, addr: u64) -> Option<(&Window, &Pool, u32)> {
        let after = self.runs.partition_point(|run| run.start <= addr);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let number = *run.pools.get(((addr - run.start) >> self.shift) as usize)?;
        let (window, pool, first) = *self.pools.get(number as usize)?;
        let window = self.census.scanned.windows.get(window as usize)?;
        Some((window, window.pools.get(pool as usize)?, first))
    }

    /// The number of the object that begins at `addr`, if one does.
    pub fn number(&self, addr: u64) -> Option<u32> {
        if !addr.is_multiple_of(8) {
            return None;
        }
        let Some((window, pool, first)) = self.place(addr) else {
            let at = self.census.scanned.loose.binary_search_by_key(&addr, |one| one.addr()).ok()?;
            return Some(self.loose + at as u32);
        };
        let (rank, id) = window.object_in(pool, addr)?;
        (self.census.object_at(pool, rank.block, id).0 == addr).then_some(first + rank.before)
    }
}

impl Run {
    /// Bytes from its start to the end of its last pool.
    fn bytes(&self, shift: u32) -> u64 {
        (self.pools.len() as u64) << shift
    }
}

/// The place of an object in its pool.
pub(super) struct Rank {
    /// Its block.
    pub block: usize,
    /// Objects before it.
    pub before: u32,
}

impl Window {
    /// Which object of `pool` is in the block at `addr`, and its type.
    #[inline]
    pub(super) fn object_in(&self, pool: &Pool, addr: u64) -> Option<(Rank, TypeId)> {
        let block = addr.checked_sub(pool.block(0))? as usize / usize::from(pool.size);
        let words = self.words_of(pool);
        let (word, bit) = (words.get(block / 64)?, 1u64 << (block % 64));
        if word & bit == 0 {
            return None;
        }
        let before = words[..block / 64].iter().map(|w| w.count_ones()).sum::<u32>() + (word & (bit - 1)).count_ones();
        let id = self.types.get(pool.object as usize + before as usize)?;
        Some((Rank { block, before }, id))
    }
}
