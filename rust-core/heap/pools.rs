//! Where the pools are: found by reading nothing but the places where their headers would be.
//!
//! In free-threaded builds they are the pages of mimalloc, which [`super::segments`] finds.

use super::reader::{Reader, Share};
use super::segments::Segments;
use crate::allocators::mimalloc::Page;
use crate::allocators::pymalloc;
use crate::bytes::uint;
use crate::error::{Error, Result};
use crate::process::Source;
use std::ops::Range;

/// Where a header has the number of the pool's arena (`arenaindex`).
const ARENA_INDEX: usize = 32;
/// Headers that are read at a time.
const BATCH: u64 = 2048;

/// Places of pools that have their bits together: 64 GiB of 4 KiB each.
const POOLS: u64 = 1 << 24;
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
    /// `go_on` is asked between reads, on the calling thread.
    ///
    /// # Errors
    /// What `go_on` says.
    pub fn find(
        reader: &Reader<'_>,
        memory: &[(u64, u64)],
        mapped: impl Iterator<Item = (u64, u64)>,
        size: usize,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Pools> {
        let mut pools = Pools::none(size, mapped);
        let places = memory.iter().filter_map(|(start, end)| {
            let first = start.checked_next_multiple_of(pools.size)?;
            // The last pages of a pool may never have been touched.
            Some((first, end.saturating_sub(first).div_ceil(pools.size)))
        });
        let some = |(first, count): (u64, u64)| {
            (0..count).step_by(POOLS as usize).map(move |i| (first + i * size as u64, (count - i).min(POOLS)))
        };
        let places: Vec<_> = places.flat_map(some).collect();
        let mut headers = headers(reader, &places, size, go_on)?.into_iter().peekable();
        for (first, count) in places {
            let mut bits = vec![0u64; (count as usize).div_ceil(64)];
            let mut any = false;
            // The last pool, and the places behind it where there are only zeros.
            let mut last = (0, None);
            let mut zeros = Vec::new();
            let end = first + count * pools.size;
            while let Some((place, header)) = headers.next_if(|(place, _)| *place < end) {
                match header {
                    Header::Zeros if last.1.is_some() && place - last.0 < pymalloc::ARENA => zeros.push(place),
                    Header::Zeros => {}
                    Header::Pool { arena } => {
                        // An arena's pools are taken in address order: before one that is in use none was never used.
                        if last.1 == Some(arena) && place - last.0 < pymalloc::ARENA {
                            pools.blank.append(&mut zeros);
                        }
                        zeros.clear();
                        last = (place, Some(arena));
                        let i = ((place - first) / pools.size) as usize;
                        bits[i / 64] |= 1 << (i % 64);
                        pools.addresses.push(place);
                        any = true;
                    }
                }
            }
            if any {
                pools.parts.push(Part { start: first, end, bits });
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

/// What is where a pool's header can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Header {
    Zeros,
    Pool { arena: u32 },
}

impl Header {
    fn new(bytes: &[u8], size: usize) -> Option<Header> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Some(Header::Zeros);
        }
        pymalloc::header(bytes, size)?;
        Some(Header::Pool { arena: uint(bytes, ARENA_INDEX, 4)? as u32 })
    }
}

/// The headers at all `places`, each a run of so many of them, `size` bytes apart; in address order, without what is
/// none.
fn headers(
    reader: &Reader<'_>,
    places: &[(u64, u64)],
    size: usize,
    go_on: &dyn Fn() -> Result<()>,
) -> Result<Vec<(u64, Header)>> {
    let batches = places.iter().flat_map(|(first, count)| {
        let batch = move |i: u64| (first + i * size as u64, (count - i).min(BATCH));
        (0..*count).step_by(BATCH as usize).map(batch)
    });
    let batches: Vec<(u64, u64)> = batches.collect();
    let work = |source: &dyn Source, share: &Share<'_>| {
        let mut bytes = vec![0u8; BATCH as usize * pymalloc::OVERHEAD];
        let mut addresses = Vec::with_capacity(BATCH as usize);
        let mut found = Vec::new();
        while let Some(number) = share.next() {
            let Some((first, count)) = batches.get(number) else { break };
            addresses.clear();
            addresses.extend((0..*count).map(|i| first + i * size as u64));
            let bytes = &mut bytes[..addresses.len() * pymalloc::OVERHEAD];
            source.gather(&addresses, pymalloc::OVERHEAD, bytes);
            let headers = addresses.iter().zip(bytes.chunks_exact(pymalloc::OVERHEAD));
            // Zeros say something in an arena only, which may have begun in the batch before.
            let mut near = *first;
            let headers = headers.filter_map(|(place, bytes)| {
                let header = Header::new(bytes, size)?;
                near = if header == Header::Zeros { near } else { *place };
                (place - near < pymalloc::ARENA).then_some((*place, header))
            });
            found.push((number, headers.collect::<Vec<_>>()));
        }
        found
    };
    let made = reader.share(batches.len(), &work, &|| go_on().is_ok());
    if made.stopped {
        go_on()?;
        return Err(Error::Interrupted);
    }
    let mut found: Vec<_> = made.parts.into_iter().flatten().collect();
    found.sort_unstable_by_key(|(number, _)| *number);
    Ok(found.into_iter().flat_map(|(_, headers)| headers).collect())
}

/// Reads the pools of `pool` bytes at `addresses`, which lie in a part of memory as large as `buffer`, together, and
/// gives `f` what can be read of each; which parts of the buffer were read, in order.
pub(super) fn read_pools(
    source: &dyn Source,
    addresses: impl Iterator<Item = u64>,
    pool: usize,
    buffer: &mut [u8],
    f: &mut dyn FnMut(u64, &[u8]),
) -> Vec<Range<usize>> {
    let mut addresses = addresses.peekable();
    let Some(first) = addresses.peek().copied() else { return Vec::new() };
    let mut have = source.read_some(first, buffer);
    let mut read: Vec<Range<usize>> = std::iter::once(0..have).collect();
    for addr in addresses {
        let at = (addr - first) as usize;
        if at + pool > have {
            // A gap before it: read what comes behind the gap.
            have = at + source.read_some(addr, &mut buffer[at..]);
            read.push(at..have);
        }
        f(addr, &buffer[at..(at + pool).min(have)]);
    }
    read
}

/// Which of the parts that were read, in order, has what is `at` bytes from the start.
pub(super) fn part_with(read: &[Range<usize>], at: u64) -> Option<Range<usize>> {
    let at = usize::try_from(at).ok()?;
    let after = read.partition_point(|part| part.start <= at);
    read.get(after.checked_sub(1)?).filter(|part| at < part.end).cloned()
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
        let read = read_pools(&memory, [0x1000, 0x3000].into_iter(), 0x1000, &mut buffer, &mut |addr, bytes| {
            found.push((addr, bytes.len(), bytes.first().copied()));
        });
        assert_eq!(found, [(0x1000, 0x1000, Some(1)), (0x3000, 0x1000, Some(2))]);
        assert_eq!(read, [0..0x1000, 0x2000..0x3000]);
        let parts = [0, 0xfff, 0x1000, 0x1fff, 0x2000, 0x3000, u64::MAX].map(|at| part_with(&read, at));
        let (first, last) = (Some(0..0x1000), Some(0x2000..0x3000));
        assert_eq!(parts, [first.clone(), first, None, None, last, None, None]);
    }
}
