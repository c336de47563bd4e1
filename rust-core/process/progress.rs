//! How much the work on one answer has dealt with, for somebody who waits.

use super::{Bulk, Source};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that threads share.
#[derive(Debug, Default)]
pub struct Progress {
    objects: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Objects of a census.
    pub fn add_objects(&self, count: u64) {
        self.objects.fetch_add(count, Ordering::Relaxed);
    }

    /// Bytes that were read of the target.
    pub fn add_bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Objects and bytes so far.
    pub fn so_far(&self) -> (u64, u64) {
        (self.objects.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// Begins anew.
    pub fn start(&self) {
        self.objects.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}

/// A source that counts what is read.
pub(super) struct Counted {
    pub(super) source: Arc<dyn Bulk>,
    pub(super) progress: Arc<Progress>,
}

impl Source for Counted {
    fn read_some(&self, addr: u64, buffer: &mut [u8]) -> usize {
        let done = self.source.read_some(addr, buffer);
        self.progress.add_bytes(done);
        done
    }

    fn gather(&self, addresses: &[u64], size: usize, out: &mut [u8]) {
        self.progress.add_bytes(out.len());
        self.source.gather(addresses, size, out);
    }
}
