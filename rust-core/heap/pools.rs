//! Where the pools are: found by reading nothing but the places where their headers would be.
//!
//! In free-threaded builds they are the pages of mimalloc, which [`super::segments`] finds.

use super::segments::Segments;
use crate::allocators::mimalloc::Page;
use crate::allocators::pymalloc;
use crate::bytes::uint;
use crate::error::Result;
use crate::limits;
use crate::process::Source;

/// Where a header has the number of the pool's arena (`arenaindex`).
const ARENA_INDEX: usize = 32;
/// Headers that are read at a time.
const BATCH: usize = 16384;

/// Pages of mimalloc that are closer together are in one part.
const NEAR: u64 = 1 << 30;

/// A part of memory that has pools.
struct Part {
    start: u64,
    end: u64,
    /// One bit for each place of a pool.
    bits: Vec<u64>,
}

/// All pools of the target.
pub struct Pools {
    size: u64,
    parts: Vec<Part>,
    /// What is mapped, in address order, without gaps that are none.
    mapped: Vec<(u64, u64)>,
    /// Addresses, in order.
    pub addresses: Vec<u64>,
    /// Of mimalloc: what its segments say of each of them, and of larger pages.
    pub segments: Option<Segments>,
    /// Places of pools whose headers were overwritten with zeros.
    pub blank: Vec<u64>,
}

impl Pools {
    /// Looks for pools of `size` bytes in `memory`, parts of what is `mapped`, both in address order.
    /// `go_on` is asked between reads.
    ///
    /// # Errors
    /// What `go_on` says.
    pub fn find(
        source: &dyn Source,
        memory: &[(u64, u64)],
        mapped: impl Iterator<Item = (u64, u64)>,
        size: usize,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Pools> {
        let mut pools = Pools::none(size, mapped);
        let mut headers = vec![0u8; BATCH * pymalloc::OVERHEAD];
        let mut places = Vec::with_capacity(BATCH);
        for (start, end) in memory {
            let Some(first) = start.checked_next_multiple_of(pools.size) else { continue };
            // The last pages of a pool may never have been touched.
            let count = end.saturating_sub(first).div_ceil(pools.size);
            if count == 0 || count > limits::POOLS {
                continue;
            }
            let mut bits = vec![0u64; (count as usize).div_ceil(64)];
            let mut any = false;
            // The last pool, and the places behind it where there are only zeros.
            let mut last = (0, u64::MAX);
            let mut zeros = Vec::new();
            for batch in (0..count).step_by(BATCH) {
                go_on()?;
                places.clear();
                places.extend((batch..count.min(batch + BATCH as u64)).map(|i| first + i * pools.size));
                let headers = &mut headers[..places.len() * pymalloc::OVERHEAD];
                source.gather(&places, pymalloc::OVERHEAD, headers);
                for (i, (place, header)) in places.iter().zip(headers.chunks_exact(pymalloc::OVERHEAD)).enumerate() {
                    if header.iter().all(|byte| *byte == 0) {
                        if last.1 != u64::MAX && place - last.0 < pymalloc::ARENA {
                            zeros.push(*place);
                        }
                    } else if pymalloc::header(header, size).is_some() {
                        // An arena's pools are taken in address order: before one that is in use none was never used.
                        let arena = uint(header, ARENA_INDEX, 4).unwrap_or(0);
                        if last.1 == arena && place - last.0 < pymalloc::ARENA {
                            pools.blank.append(&mut zeros);
                        }
                        zeros.clear();
                        last = (*place, arena);
                        let i = batch as usize + i;
                        bits[i / 64] |= 1 << (i % 64);
                        pools.addresses.push(*place);
                        any = true;
                    }
                }
            }
            if any {
                pools.parts.push(Part { start: first, end: first + count * pools.size, bits });
            }
        }
        Ok(pools)
    }

    /// Those that are pages of `segments`.
    pub fn of(segments: Segments, mapped: impl Iterator<Item = (u64, u64)>, size: usize) -> Pools {
        let mut pools = Pools::none(size, mapped);
        pools.addresses = segments.small.iter().map(|page| page.addr).collect();
        for run in pools.addresses.chunk_by(|a, b| b - a < NEAR) {
            let (Some(start), Some(last)) = (run.first(), run.last()) else { continue };
            let end = last + pools.size;
            let mut bits = vec![0u64; ((end - start) / pools.size).div_ceil(64) as usize];
            for i in run.iter().map(|addr| ((addr - start) / pools.size) as usize) {
                bits[i / 64] |= 1 << (i % 64);
            }
            pools.parts.push(Part { start: *start, end, bits });
        }
        pools.segments = Some(segments);
        pools
    }

    fn none(size: usize, mapped: impl Iterator<Item = (u64, u64)>) -> Pools {
        let mut all: Vec<(u64, u64)> = Vec::new();
        for (start, end) in mapped {
            match all.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => all.push((start, end)),
            }
        }
        let (parts, addresses, blank) = (Vec::new(), Vec::new(), Vec::new());
        Pools { size: size as u64, parts, mapped: all, addresses, segments: None, blank }
    }

    /// What mimalloc says of the pool with this place among the addresses.
    pub fn page(&self, i: usize) -> Option<&Page> {
        self.segments.as_ref()?.small.get(i)
    }

    /// Whether a type object can be at `addr`: one is larger than the largest block of a pool of pymalloc's.
    #[inline]
    pub fn can_be_type(&self, addr: u64) -> bool {
        self.is_mapped(addr) && (self.segments.is_some() || !self.contains(addr))
    }

    /// Whether `addr` is mapped for writing.
    #[inline]
    pub fn is_mapped(&self, addr: u64) -> bool {
        let after = self.mapped.partition_point(|(start, _)| *start <= addr);
        self.mapped[..after].last().is_some_and(|(_, end)| addr < *end)
    }

    /// Whether `addr` is mapped for writing, and in no pool.
    #[inline]
    pub fn is_outside(&self, addr: u64) -> bool {
        self.is_mapped(addr) && !self.contains(addr)
    }

    /// Whether `addr` lies in a pool.
    #[inline]
    pub fn contains(&self, addr: u64) -> bool {
        let after = self.parts.partition_point(|p| p.start <= addr);
        let Some(part) = self.parts[..after].last().filter(|p| addr < p.end) else { return false };
        let i = ((addr - part.start) / self.size) as usize;
        part.bits[i / 64] & (1 << (i % 64)) != 0
    }
}

/// Reads the pools of `pool` bytes at `addresses`, which lie in a part of memory as large as `buffer`, together, and
/// gives `f` what can be read of each; how many bytes were read, up to the last gap and behind it.
pub(super) fn read_pools(
    source: &dyn Source,
    addresses: impl Iterator<Item = u64>,
    pool: usize,
    buffer: &mut [u8],
    f: &mut dyn FnMut(u64, &[u8]),
) -> usize {
    let mut addresses = addresses.peekable();
    let Some(first) = addresses.peek().copied() else { return 0 };
    let mut have = source.read_some(first, buffer);
    for addr in addresses {
        let at = (addr - first) as usize;
        if at + pool > have {
            // A gap before it: read what comes behind the gap. What an earlier window had there is no memory of this one.
            buffer[have.min(at)..at].fill(0);
            have = at + source.read_some(addr, &mut buffer[at..]);
        }
        f(addr, &buffer[at..(at + pool).min(have)]);
    }
    have
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Cache;
    use crate::process::fake::Fake;

    /// A mapped page of ones, one that is not, one of twos.
    #[test]
    fn a_gap_has_nothing_of_an_earlier_window() {
        let mut fake = Fake::default();
        fake.add(0x1000, vec![1; 0x1000]).add(0x3000, vec![2; 0x1000]);
        let memory = Cache::new(Box::new(fake), None);
        let mut buffer = vec![9u8; 0x3000];
        let mut found = Vec::new();
        let have = read_pools(&memory, [0x1000, 0x3000].into_iter(), 0x1000, &mut buffer, &mut |addr, bytes| {
            found.push((addr, bytes.len(), bytes.first().copied()));
        });
        assert_eq!(found, [(0x1000, 0x1000, Some(1)), (0x3000, 0x1000, Some(2))]);
        assert_eq!(have, 0x3000);
        assert!(buffer[0x1000..0x2000].iter().all(|byte| *byte == 0));
    }
}
