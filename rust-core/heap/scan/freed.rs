//! Chunks of malloc's that looked in use and are free: what was counted in them is taken back.
//!
//! Which they are is known when all chunks were seen: the lists that they are on may begin in any chunk. They are
//! few, and are scanned a second time, into sums of their own. Nothing else may have been counted by then.

use super::{Part, Worker};
use crate::allocators::glibc::{Chunk, HEAD};
use std::collections::HashSet;

impl Worker<'_> {
    /// Takes back what was counted in the chunks that are `free`: addresses and sizes.
    pub(super) fn take_back(&mut self, free: &[(u64, u64)]) {
        let mut counted = std::mem::take(&mut self.part);
        counted.loose.sort_unstable();
        let mut head = vec![0u8; HEAD];
        for (addr, size) in free {
            let after = counted.loose.partition_point(|one| one.addr() < *addr);
            // Of a chunk that nothing was counted in, nothing is taken back.
            if counted.loose.get(after).is_none_or(|one| one.addr() >= addr.saturating_add(*size)) {
                continue;
            }
            let length = usize::try_from(*size).unwrap_or(HEAD).min(HEAD);
            let have = self.source.read_some(*addr, &mut head[..length]);
            self.chunk(&Chunk { addr: *addr, size: *size, head: &head[..have] });
        }
        let freed = std::mem::replace(&mut self.part, counted);
        if !freed.loose.is_empty() {
            self.part.subtract(&freed);
        }
    }
}

impl Part {
    fn subtract(&mut self, freed: &Part) {
        let gone: HashSet<u64> = freed.loose.iter().map(|one| one.addr()).collect();
        self.loose.retain(|one| !gone.contains(&one.addr()));
        self.owners.retain(|owner| !gone.contains(&owner.owner));
        for (tally, part) in self.tallies.iter_mut().zip(&freed.tallies) {
            tally.subtract(part);
        }
        self.groups.subtract(&freed.groups);
        self.troubles.subtract(&freed.troubles);
        // What is pending has the numbers of records, which move up.
        let mut numbers = vec![0u32];
        let mut kept = 0;
        self.records.retain(|record| {
            let keep = !gone.contains(&record.addr);
            kept += u32::from(keep);
            numbers.push(if keep { kept } else { 0 });
            keep
        });
        self.pending.retain(|one| !gone.contains(&one.of));
        for one in &mut self.pending {
            one.record = numbers.get(one.record as usize).copied().unwrap_or(0);
        }
    }
}
