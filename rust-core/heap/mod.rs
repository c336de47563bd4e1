//! All objects of the target, whether the garbage collector knows them or not.
//!
//! [`pools`] finds where small objects are, [`scan`] which they are, [`types`] and [`sizes`] what of.

pub mod pools;
pub mod scan;
pub mod sizes;
pub mod types;

use crate::bytes::Addr;
use crate::diag::Diagnostic;
use crate::error::{Error, Result};
use crate::objects::Objects;
use pools::Pools;
use scan::{Plan, Pool, Reader, Scanned, Tally, Troubles, Window};
use std::time::{Duration, Instant};
use types::{Info, TypeId, Types};

/// All objects, counted by type.
#[derive(Debug)]
pub struct Census {
    /// The types, and what was counted of each.
    pub types: Vec<(Info, Tally)>,
    /// Where the objects are.
    pub scanned: Scanned,
    /// Pools.
    pub pools: usize,
    /// How long it took.
    pub time: Duration,
}

impl Census {
    /// Counts all objects.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::NoField`].
    pub fn take(objects: &Objects) -> Result<Census> {
        let start = Instant::now();
        let memory = &objects.memory;
        let (layout, rules) = (&objects.layout, &objects.layout.rules);
        let plan = Plan::new(&layout.fields, rules)?;
        let own = sizes::own_rules(rules).iter();
        let own = own.filter_map(|(name, rule)| Some((objects.located.static_type(name, memory)?.0, *rule))).collect();
        let types = Types::new(&layout.fields, *rules, own)?;
        let bulk = memory.bulk();
        let reader = bulk.as_deref().map_or(Reader::Single(&**memory), Reader::Shared);
        let mapped = memory.regions().iter().filter(|r| r.writable).map(|r| (r.start, r.end));
        let pools = Pools::find(reader.source(), &memory.populated(), mapped, rules.pool, &|| memory.poll())?;
        let scanned = scan::scan(&pools, &types, &plan, &reader, &|| memory.poll().is_ok());
        if scanned.interrupted {
            return Err(Error::Interrupted);
        }
        let infos = types.into_infos();
        let tally = |i: usize| scanned.tallies.get(i).copied().unwrap_or_default();
        let types = infos.into_iter().enumerate().map(|(i, info)| (info, tally(i))).collect();
        Ok(Census { types, pools: pools.addresses.len(), scanned, time: start.elapsed() })
    }

    /// Bytes of our memory that the places and types of all objects take.
    pub fn footprint(&self) -> usize {
        let of = |window: &Window| {
            size_of::<Window>()
                + window.pools.capacity() * size_of::<Pool>()
                + window.words.capacity() * size_of::<u64>()
                + window.types.capacity() * size_of::<TypeId>()
        };
        self.scanned.windows.iter().map(of).sum()
    }

    /// What does not fit, for the user.
    pub fn remarks(&self) -> Vec<Diagnostic> {
        let troubles = &self.scanned.troubles;
        let places = |kind: &str| {
            let all = troubles.places.iter().filter(|(what, _)| *what == kind);
            all.map(|(_, addr)| Addr(*addr).to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut remarks = Vec::new();
        let mut say = |count: u64, kind: &str, what: String| {
            if count > 0 {
                remarks.push(Diagnostic { what, at: places(kind) });
            }
        };
        let Troubles { broken, miscounted, unreadable, .. } = troubles;
        say(
            *broken,
            "broken",
            format!("{broken} pools have a broken list of free blocks: some of these may be counted as objects"),
        );
        say(*miscounted, "miscounted", format!("{miscounted} pools have another number of free blocks than they say"));
        say(*unreadable, "unreadable", format!("{unreadable} pools cannot be read: their objects are missing"));
        remarks
    }
}
