//! Where bytes of the target come from.
//!
//! [`Memory`] is the one trait: a live process, a core file, the debugger's own read, or a fake of
//! the tests. Nothing here knows what the bytes mean. Every other layer reads through [`Cache`],
//! which reads whole pages and counts.

pub mod cache;
pub mod chain;
pub mod copy;
pub mod core_file;
pub mod fake;
pub mod files;
pub mod host;
#[allow(unsafe_code)]
pub mod live;
pub mod maps;
pub mod output;
pub mod progress;
pub mod workers;

pub use cache::{Cache, Counters};
pub use maps::Region;

use crate::bytes::Addr;
use crate::error::Result;
use std::sync::Arc;

/// A source of bytes of the target. Reads never change the target.
pub trait Memory {
    /// Fills `buffer` from `addr`.
    ///
    /// # Errors
    /// [`crate::error::Error::Fault`] if not every byte can be had; `buffer` is then unspecified.
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()>;

    /// What was mapped when it was opened, in address order. Empty where that cannot be known.
    fn regions(&self) -> &[Region];

    /// What is mapped now; `None` where that cannot change.
    fn mapped_now(&self) -> Option<Vec<Region>> {
        None
    }

    /// Bytes that are best read together, a multiple of a page: more than that where each read is a
    /// round trip.
    fn block(&self) -> u64 {
        4096
    }

    /// The same bytes for several threads at a time; `None` where only the calling thread can read.
    fn bulk(&self) -> Option<Arc<dyn Bulk>> {
        None
    }

    /// The parts of `region` that can hold anything: pages that were never touched are left out
    /// where that is known.
    fn populated(&self, region: &Region) -> Vec<(u64, u64)> {
        vec![(region.start, region.end)]
    }
}

/// Bytes of the target for scans: many at a time, where a gap is no error.
pub trait Source {
    /// Fills `buffer` from `addr`, as far as bytes can be had without a gap; returns how many.
    fn read_some(&self, addr: u64, buffer: &mut [u8]) -> usize;

    /// The word at `addr`.
    fn word(&self, addr: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        (self.read_some(addr, &mut bytes) == 8).then_some(u64::from_le_bytes(bytes))
    }

    /// Fills `out` with `size` bytes from each of `addresses`; with zeros where they cannot be had.
    fn gather(&self, addresses: &[u64], size: usize, out: &mut [u8]) {
        for (addr, part) in addresses.iter().zip(out.chunks_exact_mut(size)) {
            if self.read_some(*addr, part) < size {
                part.fill(0);
            }
        }
    }
}

/// A [`Source`] that threads can share.
pub trait Bulk: Source + Send + Sync {}
impl<T: Source + Send + Sync> Bulk for T {}
