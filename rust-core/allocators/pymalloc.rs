//! CPython's allocator for small blocks (`Objects/obmalloc.c`): pools of blocks of one size.
//!
//! Pools are found without any symbol. A pool's header says the same thing several times: the size
//! class, the offset of the last block, how many blocks were ever handed out, how many are in use.
//! Memory that is no pool does not agree with itself so often. The chain of free blocks must fit too; where
//! it does not, the pool is damaged.
//!
//! The header is the same in all versions, its place too: the start of an aligned pool. Pools are 4 KiB,
//! since 3.10 16 KiB (bpo-37448). Sizes are multiples of 16, before 2.7.17, 3.6.9 and 3.7.4 of 8
//! (bpo-27987).

use crate::bytes::{uint, word};

/// Bytes of `struct pool_header`, rounded up as the allocator does it (`POOL_OVERHEAD`).
pub const OVERHEAD: usize = 48;
/// Bytes of the largest block (`SMALL_REQUEST_THRESHOLD`).
pub const LARGEST: usize = 512;
/// Bytes of the largest pool.
pub const LARGEST_POOL: usize = 16384;
/// Bytes of the largest arena (`ARENA_SIZE`): 1 MiB since 3.10, 256 KiB before.
pub const ARENA: u64 = 1 << 20;
/// Blocks that one pool can have: a page of mimalloc is the largest.
const MOST_BLOCKS: usize = super::mimalloc::SLICE / 8;

/// What the header of a pool says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of a block.
    pub size: usize,
    /// Blocks that were ever handed out: those behind them are untouched.
    pub carved: usize,
    /// Blocks in use (`ref.count`).
    pub count: usize,
    /// Address of the first free block, or 0.
    pub free: u64,
}

/// The header of a pool of `pool` bytes that begins with `bytes`, [`OVERHEAD`] at least; `None` if no pool
/// with a block in use is there.
pub fn header(bytes: &[u8], pool: usize) -> Option<Header> {
    let field = |at| uint(bytes, at, 4).map(|value| value as usize);
    let (count, class, next, last) = (field(0)?, field(36)?, field(40)?, field(44)?);
    if count == 0 || last >= pool || last < pool - LARGEST || next < OVERHEAD || next > pool {
        return None;
    }
    let size = pool - last;
    if (class + 1) * 16 != size && (class + 1) * 8 != size {
        return None;
    }
    let carved = (next - OVERHEAD) / size;
    if !(next - OVERHEAD).is_multiple_of(size) || carved > (pool - OVERHEAD) / size || count > carved {
        return None;
    }
    // Where the free blocks are does not decide: that list is what programs damage.
    Some(Header { size, carved, count, free: word(bytes, 8)? })
}

/// Which block of the pool at `pool` begins at `addr`.
fn index(addr: u64, pool: u64, size: usize) -> Option<usize> {
    let at = usize::try_from(addr.checked_sub(pool)?.checked_sub(OVERHEAD as u64)?).ok()?;
    at.is_multiple_of(size).then_some(at / size)
}

/// A set of blocks of one pool.
#[derive(Clone)]
pub struct Blocks([u64; MOST_BLOCKS / 64]);

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks([0; MOST_BLOCKS / 64])
    }
}

impl Blocks {
    /// Takes out all of the first `blocks` blocks. A pool has few of the blocks that there is room for.
    pub fn clear(&mut self, blocks: usize) {
        let words = blocks.div_ceil(64).min(self.0.len());
        self.0[..words].fill(0);
    }

    /// Adds block `i`; whether it was new.
    #[inline]
    pub fn insert(&mut self, i: usize) -> bool {
        let (place, bit) = (i / 64 % self.0.len(), 1 << (i % 64));
        let new = self.0[place] & bit == 0;
        self.0[place] |= bit;
        new
    }

    /// Whether block `i` is in it.
    #[inline]
    pub fn contains(&self, i: usize) -> bool {
        self.0[i / 64 % self.0.len()] & (1 << (i % 64)) != 0
    }

    /// The first words of the set, enough for `blocks` blocks.
    pub fn words(&self, blocks: usize) -> &[u64] {
        &self.0[..blocks.div_ceil(64).min(self.0.len())]
    }
}

/// What a pool's chain of free blocks is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// As the header says.
    Sound,
    /// Whole, and its length is not what the header says: the process was stopped in the allocator, or
    /// the header was overwritten.
    Miscounted,
    /// It leaves the pool or loops.
    Broken,
}

/// The free blocks of the pool at `addr` with the contents `bytes`. Of a broken chain, those before the
/// break.
pub fn free_blocks(bytes: &[u8], addr: u64, header: &Header, free: &mut Blocks) -> Chain {
    free.clear(header.carved);
    let (mut at, mut length) = (header.free, 0);
    while at != 0 {
        match index(at, addr, header.size) {
            Some(i) if i < header.carved && free.insert(i) => {}
            _ => return Chain::Broken,
        }
        length += 1;
        match word(bytes, (at - addr) as usize) {
            Some(next) => at = next,
            None => return Chain::Broken,
        }
    }
    if header.carved - length == header.count { Chain::Sound } else { Chain::Miscounted }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 0x7f00_0000_4000;

    /// A pool of 64-byte blocks of which `carved` were handed out and those in `free` given back.
    fn pool(size: usize, class: u32, carved: usize, free: &[usize]) -> Vec<u8> {
        let mut bytes = vec![0u8; 16384];
        let place = |i: usize| AT + (48 + i * size) as u64;
        let mut next = 0u64;
        for i in free {
            bytes[48 + i * size..][..8].copy_from_slice(&next.to_le_bytes());
            next = place(*i);
        }
        bytes[0..4].copy_from_slice(&((carved - free.len()) as u32).to_le_bytes());
        bytes[8..16].copy_from_slice(&next.to_le_bytes());
        bytes[36..40].copy_from_slice(&class.to_le_bytes());
        bytes[40..44].copy_from_slice(&((48 + carved * size) as u32).to_le_bytes());
        bytes[44..48].copy_from_slice(&((16384 - size) as u32).to_le_bytes());
        bytes
    }

    #[test]
    fn a_pool_and_its_free_blocks() {
        let bytes = pool(64, 3, 10, &[2, 7, 3]);
        let found = header(&bytes, 16384).unwrap();
        assert_eq!(found, Header { size: 64, carved: 10, count: 7, free: AT + 48 + 3 * 64 });
        let mut free = Blocks::default();
        assert_eq!(free_blocks(&bytes, AT, &found, &mut free), Chain::Sound);
        assert_eq!((0..10).filter(|i| free.contains(*i)).collect::<Vec<_>>(), [2, 3, 7]);
        assert_eq!(free.words(10), [0b1000_1100]);
    }

    #[test]
    fn multiples_of_eight() {
        assert_eq!(header(&pool(24, 2, 5, &[1]), 16384).unwrap().size, 24);
    }

    #[test]
    fn what_is_no_pool() {
        let with = |at: usize, value: u32| {
            let mut bytes = pool(64, 3, 10, &[2]);
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            header(&bytes, 16384)
        };
        assert_eq!(with(0, 0), None); // nothing in use
        assert_eq!(with(0, 11), None); // more in use than were handed out
        assert_eq!(with(36, 5), None); // another size class
        assert_eq!(with(40, 48 + 65), None); // between two blocks
        assert_eq!(with(44, 16384), None); // blocks of size 0
        assert_eq!(header(&[0; 20], 16384), None);
    }

    #[test]
    fn broken_chains_end() {
        let mut free = Blocks::default();
        let mut bytes = pool(64, 3, 10, &[2, 7]);
        let found = header(&bytes, 16384).unwrap();
        // Block 2 points back at block 7.
        bytes[48 + 2 * 64..][..8].copy_from_slice(&(AT + 48 + 7 * 64).to_le_bytes());
        assert_eq!(free_blocks(&bytes, AT, &found, &mut free), Chain::Broken);
        bytes[48 + 2 * 64..][..8].copy_from_slice(&3u64.to_le_bytes());
        assert_eq!(free_blocks(&bytes, AT, &found, &mut free), Chain::Broken);
        let between = Header { free: AT + 48 + 65, ..found };
        assert_eq!(free_blocks(&bytes, AT, &between, &mut free), Chain::Broken);
        let found = Header { count: 5, ..found };
        let bytes = pool(64, 3, 10, &[2, 7]);
        assert_eq!(free_blocks(&bytes, AT, &found, &mut free), Chain::Miscounted);
    }
}
