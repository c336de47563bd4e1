//! Which places of memory were met: one bit for each word, where any was.
//!
//! Invariant: a place is claimed once, however many threads meet it; what the bits take is bounded.

use crate::limits;
use crate::process::maps;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that one bit stands for: objects lie at multiples of it.
const STEP: u64 = 8;
/// The smallest piece of memory that has its bits together, as a power of two.
const PIECE: u32 = 18;
/// Gaps that are smaller are taken for memory too.
const GAP: u64 = 1 << 16;

struct Range {
    start: u64,
    end: u64,
    /// The first of its pieces.
    piece: usize,
}

/// Memory in which places are claimed.
pub(super) struct Area {
    ranges: Vec<Range>,
    shift: u32,
    pieces: Vec<OnceLock<Box<[AtomicU64]>>>,
    /// Bytes that the bits may still take.
    room: AtomicU64,
}

impl Area {
    /// `memory` without what is in `others`, both in address order.
    pub fn new(memory: &[(u64, u64)], others: &[(u64, u64)]) -> Area {
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (start, end) in memory {
            match joined.last_mut() {
                Some(last) if start.saturating_sub(last.1) < GAP => last.1 = last.1.max(*end),
                _ => joined.push((*start, *end)),
            }
        }
        let mut parts = Vec::new();
        let mut others = others.iter().peekable();
        for (mut start, end) in joined {
            while others.next_if(|other| other.1 <= start).is_some() {}
            while let Some(other) = others.peek().filter(|other| other.0 < end) {
                parts.push((start, other.0));
                start = other.1.min(end);
                if other.1 > end {
                    break;
                }
                others.next();
            }
            parts.push((start, end));
        }
        parts.retain(|(start, end)| start < end);
        let total = maps::total(&parts);
        let mut shift = PIECE;
        while total >> shift > limits::AREA {
            shift += 1;
        }
        let mut area = Area { ranges: Vec::new(), shift, pieces: Vec::new(), room: limits::AREA_BITS.into() };
        let mut piece = 0;
        for (start, end) in parts {
            area.ranges.push(Range { start, end, piece });
            piece += ((end - start).div_ceil(1 << shift)) as usize;
        }
        area.pieces.resize_with(piece, OnceLock::new);
        area
    }

    fn range(&self, addr: u64) -> Option<&Range> {
        let after = self.ranges.partition_point(|range| range.start <= addr);
        self.ranges.get(after.checked_sub(1)?).filter(|range| addr < range.end)
    }

    /// Where the memory ends that `addr` lies in.
    pub fn end(&self, addr: u64) -> u64 {
        self.range(addr).map_or(addr, |range| range.end)
    }

    /// Whether `addr` is a place for an object that was not claimed before.
    #[inline]
    pub fn claim(&self, addr: u64) -> bool {
        if !addr.is_multiple_of(STEP) {
            return false;
        }
        let Some(range) = self.range(addr) else { return false };
        let at = addr - range.start;
        let Some(piece) = self.pieces.get(range.piece + (at >> self.shift) as usize) else { return false };
        let bits = piece.get_or_init(|| self.bits());
        let bit = (at & ((1 << self.shift) - 1)) / STEP;
        let Some(word) = bits.get((bit / 64) as usize) else { return false };
        let bit = 1 << (bit % 64);
        // Most places were met before: a read alone is cheaper.
        word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    fn bits(&self) -> Box<[AtomicU64]> {
        let bytes = (1u64 << self.shift) / STEP / 8;
        let fits = |left: u64| left.checked_sub(bytes);
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            return Box::default();
        }
        (0..bytes / 8).map(|_| AtomicU64::new(0)).collect()
    }

    /// Whether places were not claimed for want of room.
    pub fn is_full(&self) -> bool {
        self.pieces.iter().any(|piece| piece.get().is_some_and(|bits| bits.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_once() {
        let area =
            Area::new(&[(0x1000, 0x3000), (0x100_0000, 0x200_0000)], &[(0x1800, 0x2000), (0x1f0_0000, 0x300_0000)]);
        for addr in [0x1000, 0x17f8, 0x2000, 0x2ff8, 0x100_0000, 0x1ef_fff8, 0x1008] {
            assert!(area.claim(addr), "{addr:#x}");
            assert!(!area.claim(addr), "{addr:#x}");
        }
        for addr in [0, 0xff8, 0x1004, 0x1800, 0x1ff8, 0x3000, 0xff_fff8, 0x1f0_0000, 0x200_0000, u64::MAX] {
            assert!(!area.claim(addr), "{addr:#x}");
        }
        assert_eq!((area.end(0x1000), area.end(0x2008), area.end(0x100_0008)), (0x1800, 0x3000, 0x1f0_0000));
        assert!(!area.is_full());
    }

    #[test]
    fn huge_memory_costs_little() {
        let area = Area::new(&[(0x1000, 1 << 46)], &[]);
        assert!(area.pieces.len() as u64 <= limits::AREA + 1);
        let claimed = (0..1000).filter(|i| area.claim(0x1000 + (i << 36))).count();
        assert!(claimed > 100);
        assert!(area.room.load(Ordering::Relaxed) < limits::AREA_BITS);
    }
}
