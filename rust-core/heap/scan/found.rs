//! What a scan finds: each thread a part of it, then all.

use crate::allocators::glibc;
use crate::allocators::mimalloc::Page;
use crate::heap::groups::{Groups, Key};
use crate::heap::loose::Loose;
use crate::heap::owners::{Owner, Record};
use crate::heap::reach::Reached;
use crate::heap::sizes::Pending;
use crate::heap::troubles::Troubles;
use crate::heap::window::{Tally, Window};

/// What a scan found.
#[derive(Debug, Default)]
pub struct Scanned {
    /// By type number.
    pub tallies: Vec<Tally>,
    /// In address order.
    pub windows: Vec<Window>,
    /// Objects that are in no pool, in address order.
    pub loose: Vec<Loose>,
    /// Those of them that are in static memory, in address order: where they begin and end.
    pub statics: Vec<(u64, u64)>,
    /// All exact dicts: what each thread found, in address order.
    pub dicts: Vec<Vec<Record>>,
    /// The dicts of objects: what each thread found, in order.
    pub owners: Vec<Vec<Owner>>,
    /// All objects by key, where one was given.
    pub groups: Groups,
    /// malloc's chunks; `None` where all objects are in mimalloc's pages.
    pub walked: Option<glibc::Walked>,
    /// mimalloc's pages that are no pools, in address order, and how many of their blocks are not free.
    pub large: Vec<(Page, usize)>,
    /// Mappings that were not looked at, for their size.
    pub left_out: Vec<(u64, u64)>,
    /// What is not in chunks of glibc's malloc, where that was looked for.
    pub reached: Option<Reached>,
    /// What does not fit.
    pub troubles: Troubles,
    /// The user stopped it: nothing of it holds.
    pub interrupted: bool,
}

impl Scanned {
    /// Adds what one thread found.
    pub(in crate::heap) fn add(&mut self, part: Part) {
        if self.tallies.len() < part.tallies.len() {
            self.tallies.resize(part.tallies.len(), Tally::default());
        }
        for (sum, tally) in self.tallies.iter_mut().zip(&part.tallies) {
            sum.add(tally);
        }
        self.troubles.add(&part.troubles);
        self.loose.extend(part.loose);
        self.statics.extend(part.statics);
        self.groups.merge(part.groups);
        self.dicts.push(part.records);
        self.owners.push(part.owners);
        self.walked = part.walked.or(self.walked.take());
        self.large.extend(part.large);
        self.windows.extend(part.windows);
    }

    /// Puts all in order.
    pub(in crate::heap) fn sort(&mut self) {
        self.loose.sort_unstable();
        self.loose.shrink_to_fit();
        self.statics.sort_unstable();
        self.large.sort_unstable_by_key(|(page, _)| page.addr);
        self.windows.sort_unstable_by_key(|window| window.pools.first().map(|pool| pool.addr));
    }
}

/// What one thread found.
#[derive(Default)]
pub(in crate::heap) struct Part {
    pub(in crate::heap) tallies: Vec<Tally>,
    pub(in crate::heap) windows: Vec<Window>,
    pub(in crate::heap) loose: Vec<Loose>,
    pub(in crate::heap) statics: Vec<(u64, u64)>,
    pub(in crate::heap) walked: Option<glibc::Walked>,
    pub(in crate::heap) large: Vec<(Page, usize)>,
    pub(in crate::heap) pending: Vec<Pending>,
    pub(in crate::heap) records: Vec<Record>,
    pub(in crate::heap) groups: Groups,
    pub(in crate::heap) owners: Vec<Owner>,
    pub(in crate::heap) troubles: Troubles,
}

impl Part {
    /// Keeps an object, to whose size the sizes that are pending from `first` on belong.
    pub(super) fn note(&mut self, record: Record, first: usize, key: Option<&Key<'_>>) {
        let pending = self.pending.get_mut(first..).unwrap_or(&mut []);
        if let Some(key) = key.filter(|_| pending.is_empty()) {
            self.groups.add(key, &record);
            return;
        }
        self.records.push(record);
        let number = u32::try_from(self.records.len()).unwrap_or(0);
        pending.iter_mut().for_each(|one| one.record = number);
    }
}
