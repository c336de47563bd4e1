//! How full the pools are, by size of their blocks: what `sys._debugmallocstats()` tells from inside.

use super::Census;
use std::collections::BTreeMap;

/// Pools whose blocks have one size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizeClass {
    /// Bytes of a block.
    pub size: u64,
    /// Pools that have a block in use.
    pub pools: u64,
    /// Blocks in use, by objects or by what belongs to them.
    pub used: u64,
    /// Blocks of these pools that are free, those included that were never handed out.
    pub available: u64,
}

impl Census {
    /// How full the pools are, the smallest blocks first. Pools that could not be read are left out.
    pub fn usage(&self, pool_bytes: usize) -> Vec<SizeClass> {
        let mut classes: BTreeMap<u64, SizeClass> = BTreeMap::new();
        for pool in self.scanned.windows.iter().flat_map(|window| &window.pools) {
            let size = u64::from(pool.size);
            let class = classes.entry(size).or_insert(SizeClass { size, ..SizeClass::default() });
            let blocks = (pool_bytes.saturating_sub(usize::from(pool.start)) as u64).checked_div(size).unwrap_or(0);
            class.pools += 1;
            class.used += u64::from(pool.used);
            class.available += blocks.saturating_sub(u64::from(pool.used));
        }
        for (page, used) in &self.scanned.large {
            let class = classes.entry(page.size).or_insert(SizeClass { size: page.size, ..SizeClass::default() });
            class.pools += 1;
            class.used += *used as u64;
            class.available += ((page.bytes - page.start) / page.size).saturating_sub(*used as u64);
        }
        classes.into_values().collect()
    }
}
