//! All objects of the target, whether the garbage collector knows them or not.
//!
//! [`pools`] finds where small objects are, [`scan`] which they are, [`types`] and [`sizes`] what of,
//! [`own_sizeof`] whose size is not known exactly, [`owners`] whose attributes a dict holds, [`kinds`] puts both
//! together. [`one`] and [`contents`] look at single objects of a census and into many of them; [`owned`] follows them
//! to memory elsewhere; [`waste`] and [`slots`] ask what of their memory nobody needs; [`snapshot`] keeps all in a file.
//! [`edges`] tells which object refers to which, with the numbers of [`index`]; [`reach`] finds by references what no
//! list of blocks has, [`statics`] what no allocator holds. [`usage`] says how full the pools are.

mod area;
pub mod check;
pub mod contents;
pub mod edges;
pub mod equal;
mod extension_sizes;
pub mod groups;
mod holders;
pub mod index;
pub mod kinds;
mod loose;
pub mod one;
pub mod own_sizeof;
pub mod owned;
pub mod owners;
mod plan;
pub mod pools;
pub mod reach;
mod reader;
mod roots;
pub mod scan;
mod segments;
pub mod sizes;
pub mod slots;
pub mod snapshot;
pub mod statics;
mod tables;
pub mod troubles;
pub mod types;
pub mod usage;
mod walk;
pub mod waste;
mod window;

use crate::allocators::glibc;
use crate::bytes::Addr;
use crate::diag::Diagnostic;
use crate::error::{Error, Result};
use crate::limits;
use crate::objects::Objects;
use crate::process::{Region, maps};
use groups::Key;
use loose::Loose;
use owners::{DictAt, Owner, Owners};
use pools::Pools;
use reach::{Known, Reached};
use scan::{Plan, Pool, Reader, Scanned, Tally, Window};
use segments::Segments;
use std::time::{Duration, Instant};
use types::{Info, TypeId, Types};

/// Instances of Python 2's old classes, and those classes: their dicts are no `tp_dictoffset`'s.
fn old_dicts(objects: &Objects) -> Vec<(u64, DictAt)> {
    let (located, memory, layout) = (&objects.located, &objects.memory, &objects.layout);
    let all = [("instance", &layout.instance.in_dict), ("classobj", &layout.class.cl_dict)];
    let all = all.iter().filter(|_| layout.rules.python2);
    all.filter_map(|(name, slot)| Some((located.static_type(name, memory)?.0, DictAt::Start(slot.at().ok()? as i64))))
        .collect()
}

/// All objects, counted by type.
#[derive(Debug)]
pub struct Census {
    /// The types, and what was counted of each.
    pub types: Vec<(Info, Tally)>,
    /// Where the objects are.
    pub scanned: Scanned,
    /// Whose the dicts are.
    pub owners: Owners,
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
        let (types, mut scanned) = Census::scan(objects, None)?;
        let mut classes = Vec::new();
        objects.static_types_each(&mut |class, dict| {
            let meta = objects.pointer(class, &objects.layout.object.ob_type).ok();
            if let Some((id, _)) = meta.and_then(|meta| types.find(meta.0, &**memory)) {
                classes.push(Owner { dict: dict.0, owner: class.0, id });
            }
        });
        classes.sort_unstable();
        scanned.owners.push(classes);
        let owners = Owners::join(std::mem::take(&mut scanned.dicts), std::mem::take(&mut scanned.owners));
        memory.poll()?;
        let infos = types.into_infos();
        let tally = |i: usize| scanned.tallies.get(i).copied().unwrap_or_default();
        let types = infos.into_iter().enumerate().map(|(i, info)| (info, tally(i))).collect();
        Ok(Census { types, scanned, owners, time: start.elapsed() })
    }

    /// Scans all memory that objects can be in.
    fn scan(objects: &Objects, key: Option<&Key<'_>>) -> Result<(Types, Scanned)> {
        let memory = &objects.memory;
        let (layout, rules) = (&objects.layout, &objects.layout.rules);
        let plan = Plan::new(&layout.fields, rules)?;
        let own = sizes::own_rules(rules).into_iter();
        let own = own.filter_map(|(name, rule)| Some((objects.located.static_type(name, memory)?.0, rule))).collect();
        let types = Types::new(&layout.fields, *rules, own, old_dicts(objects))?;
        let bulk = memory.bulk();
        let reader = bulk.as_deref().map_or(Reader::Single(&**memory), Reader::Shared);
        let regions = memory.regions();
        let mapped = regions.iter().filter(|r| r.writable).map(|r| (r.start, r.end));
        let poll = || memory.poll();
        let is_possible = |(_, end): &(u64, u64)| *end <= Loose::END;
        let largest = if memory.is_slow() { limits::SLOW_MAPPING } else { limits::MAPPING };
        let (populated, mut left_out): (Vec<_>, Vec<_>) =
            memory.populated().into_iter().partition(|part| is_possible(part) && part.1 - part.0 <= largest);
        // Files and shared memory have no objects.
        left_out.retain(|(start, _)| maps::find(&regions, *start).is_some_and(Region::is_anonymous));
        let pools = if rules.free_threaded {
            let segments = Segments::find(objects, reader.source(), &populated, &poll)?;
            Pools::of(segments, mapped, rules.pool)
        } else {
            Pools::find(&reader, &populated, mapped, rules.pool, &poll)?
        };
        let anonymous = regions.iter().filter(|r| r.writable && r.is_anonymous());
        let mut mappings: Vec<_> = anonymous.map(|r| (r.start, r.end)).filter(is_possible).collect();
        let data = regions.iter().filter(|r| r.writable && r.path.starts_with('/') && !r.path.starts_with("/dev/"));
        let data: Vec<_> = data.map(|r| (r.start, r.end)).collect();
        let go_on = || memory.poll().is_ok();
        let allocator = reach::allocator(&regions).filter(|_| !rules.free_threaded);
        if allocator.is_some() {
            // Another allocator's memory can look like some chunks, but not to the end.
            let places = glibc::Places { mappings: &mappings, touched: &populated, data: &data };
            let walked = glibc::walk(reader.source(), places, &|page| pools.contains(page), &go_on, &mut |_| ());
            if walked.heaps == 0 || !walked.breaks.is_empty() {
                mappings.clear();
            }
        }
        let places = glibc::Places { mappings: &mappings, touched: &populated, data: &data };
        let bytes = regions.iter().fold(0u64, |sum, r| sum.saturating_add(r.end.saturating_sub(r.start)));
        let progress = memory.progress();
        let statics = statics::Places::new(objects);
        let found = (&pools, &statics);
        let mut scanned = scan::scan(found, (places, bytes), (&types, &plan), key, &reader, progress, &go_on);
        scanned.left_out = left_out;
        if scanned.interrupted {
            return Err(Error::Interrupted);
        }
        let known = Known { pools: &pools, types: &types, plan: &plan, key, memory: bytes, progress, allocator };
        reach::complete(objects, known, &reader, &mut scanned)?;
        Ok((types, scanned))
    }

    /// Calls `f` with the address and the type of every object: those in pools in address order, then all
    /// others, until it returns false.
    pub fn each(&self, f: &mut dyn FnMut(Addr, TypeId) -> bool) {
        for window in &self.scanned.windows {
            for pool in &window.pools {
                for (block, id) in window.objects_of(pool) {
                    if !f(self.object_at(pool, block, id), id) {
                        return;
                    }
                }
            }
        }
        for one in &self.scanned.loose {
            if !f(Addr(one.addr()), one.id()) {
                return;
            }
        }
    }

    /// Every object in address order, with its type.
    pub fn in_order(&self) -> impl Iterator<Item = (Addr, TypeId)> + '_ {
        let of = move |(window, pool): (&'_ Window, &'_ Pool)| -> Vec<(Addr, TypeId)> {
            window.objects_of(pool).map(|(block, id)| (self.object_at(pool, block, id), id)).collect()
        };
        let pools = self.scanned.windows.iter().flat_map(|window| window.pools.iter().map(move |pool| (window, pool)));
        let mut pooled = pools.flat_map(of).peekable();
        let mut loose = self.scanned.loose.iter().map(|one| (Addr(one.addr()), one.id())).peekable();
        std::iter::from_fn(move || match (pooled.peek(), loose.peek()) {
            (Some(a), Some(b)) if b.0 < a.0 => loose.next(),
            (Some(_), _) => pooled.next(),
            _ => loose.next(),
        })
    }

    /// The object in a block of a pool.
    fn object_at(&self, pool: &Pool, block: usize, id: TypeId) -> Addr {
        let before = self.types.get(usize::from(id)).map_or(0, |(info, _)| u64::from(info.before));
        Addr(pool.block(block) + u64::from(pool.marks) + before)
    }

    /// The type of the object at `addr`, if one begins there.
    pub fn find(&self, addr: Addr) -> Option<TypeId> {
        if let Ok(i) = self.scanned.loose.binary_search_by_key(&addr.0, |one| one.addr()) {
            return self.scanned.loose.get(i).map(|one| one.id());
        }
        let (window, pool) = self.pool(addr)?;
        let (rank, id) = window.object_in(pool, addr.0)?;
        (self.object_at(pool, rank.block, id) == addr).then_some(id)
    }

    /// What is known of the type with this number.
    pub fn info(&self, id: TypeId) -> Option<&Info> {
        self.types.get(usize::from(id)).map(|(info, _)| info)
    }

    /// Bytes of our memory that the places and types of all objects take.
    pub fn footprint(&self) -> usize {
        let of = |window: &Window| {
            size_of::<Window>()
                + window.pools.capacity() * size_of::<Pool>()
                + window.words.capacity() * size_of::<u64>()
                + window.types.footprint()
        };
        let loose = self.scanned.loose.capacity() * size_of::<Loose>()
            + self.scanned.statics.capacity() * size_of::<(u64, u64)>();
        self.scanned.windows.iter().map(of).sum::<usize>() + loose + self.owners.footprint()
    }

    /// What does not fit, for the user.
    pub fn remarks(&self) -> Vec<Diagnostic> {
        let walked = self.scanned.walked.as_ref();
        let breaks = walked.map_or(&[][..], |walked| &walked.breaks);
        let skipped: u64 = breaks.iter().map(|(_, bytes)| bytes).sum();
        let list = |all: &mut dyn Iterator<Item = u64>| {
            all.take(4).map(|addr| Addr(addr).to_string()).collect::<Vec<_>>().join(", ")
        };
        let mut remarks = Vec::new();
        remarks.extend(self.scanned.reached.as_ref().and_then(Reached::remark));
        let mut say = |count: u64, what: String, at: String| {
            if count > 0 {
                remarks.push(Diagnostic { what, at });
            }
        };
        for (what, places) in self.scanned.troubles.sentences() {
            say(1, what, list(&mut places.into_iter()));
        }
        say(
            breaks.len() as u64,
            format!("malloc's chunks do not follow each other: {skipped} bytes were not looked at"),
            list(&mut breaks.iter().map(|(addr, _)| *addr)),
        );
        if walked.is_some_and(|walked| walked.is_cut) {
            let what = "malloc's lists of free chunks are damaged: some of these may be counted as objects";
            say(1, what.to_owned(), "malloc".to_owned());
        }
        let types = self.types.len();
        say(
            u64::from(types >= limits::COUNTED_TYPES),
            format!("there are more than {types} types: the objects of the others are missing"),
            list(&mut self.types.last().iter().map(|(info, _)| info.addr)),
        );
        let left_out = self.scanned.left_out.iter();
        let (beyond, left_out): (Vec<_>, Vec<_>) = left_out.partition(|(_, end)| *end > Loose::END);
        let (huge, large): (Vec<_>, Vec<_>) =
            left_out.into_iter().partition(|(start, end)| end - start > limits::MAPPING);
        let large_why = "are too large to be read through this connection were not looked at: a core has them";
        let huge_why = format!("have more than {} GiB were not looked at", limits::MAPPING >> 30);
        let beyond_why = "lie where Linux gives memory only to who asks for it were not looked at";
        for (parts, why) in [(large, large_why), (huge, &huge_why), (beyond, beyond_why)] {
            let bytes = maps::total(&parts);
            let what = format!("{bytes} bytes of mappings that {why}");
            say(parts.len() as u64, what, list(&mut parts.iter().map(|(start, _)| *start)));
        }
        remarks
    }
}
