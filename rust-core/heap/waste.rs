//! What is allocated and unused: room for items that lists, bytearrays, sets and dicts do not have.
//!
//! Wasted are those bytes of `sys.getsizeof` that a copy would not take which is made anew from the items. Hash
//! tables need slots without items: a table counts only as far as a smaller one would do. Keys that the
//! instances of a class share are the class's, and no waste of any of them.

use super::Census;
use super::contents::{Seen, source};
use super::owned::dict_tables;
use super::sizes::{MOST, Rule, SET_ENTRY};
use super::types::TypeId;
use crate::bytes::Addr;
use crate::error::Result;
use crate::layout::DictKeys;
use crate::objects::Objects;
use crate::objects::keys::{ENTRY, HEAD, KeysHead, index_width};
use serde::Serialize;

/// Tables of keys that are read at a time.
const BATCH: usize = 4096;
/// Slots of the smallest table of a dict (`PyDict_MINSIZE`).
const LEAST_SLOTS: u64 = 8;

/// What can have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names are those of Python's types
pub enum Container {
    List,
    Bytearray,
    Dict,
    Set,
}

impl Container {
    /// All of them.
    pub const ALL: [Container; 4] = [Container::List, Container::Dict, Container::Set, Container::Bytearray];

    fn of(rule: Rule) -> Option<Container> {
        match rule {
            Rule::List => Some(Container::List),
            Rule::Bytearray => Some(Container::Bytearray),
            Rule::Dict | Rule::OrderedDict => Some(Container::Dict),
            Rule::Set => Some(Container::Set),
            _ => None,
        }
    }
}

/// How full an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fill {
    items: u64,
    room: u64,
    wasted: u64,
}

/// An object with room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roomy {
    /// What it is.
    pub container: Container,
    /// Where it is.
    pub addr: Addr,
    /// The number of its type.
    pub id: TypeId,
    /// How many items it has.
    pub items: u64,
    /// For how many it has memory.
    pub room: u64,
    /// Bytes that a copy would not take.
    pub wasted: u64,
}

/// All objects of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Those that were looked at.
    pub looked_at: u64,
    /// Those that waste something.
    pub objects: u64,
    /// What they waste.
    pub wasted: u64,
}

/// What a search for waste found.
#[derive(Debug, Default)]
pub struct Waste {
    /// By kind, in the order of [`Container::ALL`].
    pub sums: [Sum; Container::ALL.len()],
    /// Those that waste most, in that order.
    pub worst: Vec<Roomy>,
    /// Objects that could not be read, or contradict themselves.
    pub unreadable: u64,
}

/// A dict whose table of keys is still to be read.
#[derive(Clone, Copy)]
struct Pending {
    keys: u64,
    addr: Addr,
    id: TypeId,
    items: u64,
}

impl Waste {
    /// Looks at all objects of the types that `wanted` has at their number, and keeps the `limit` worst.
    ///
    /// # Errors
    /// [`crate::error::Error::Interrupted`].
    pub fn find(objects: &Objects, census: &Census, wanted: &[bool], limit: usize) -> Result<Waste> {
        let containers: Vec<Option<Container>> =
            census.types.iter().map(|(info, _)| Container::of(info.rule)).collect();
        let wanted: Vec<bool> = containers.iter().zip(wanted).map(|(kind, wanted)| kind.is_some() && *wanted).collect();
        let open = objects.layout.rules.keys == DictKeys::OpenTable;
        let mut found = Waste::default();
        let mut pending: Vec<Pending> = Vec::with_capacity(BATCH);
        let missed = census.read_each(objects, &wanted, &mut |seen| {
            let Some(container) = containers.get(usize::from(seen.id)).copied().flatten() else { return true };
            let fill = match container {
                Container::List => list(objects, seen),
                Container::Bytearray => bytearray(objects, seen),
                Container::Set => set(objects, seen),
                Container::Dict if open => open_table(objects, seen),
                Container::Dict => {
                    match dict(objects, seen) {
                        Some(one) => pending.push(one),
                        None => found.unreadable += 1,
                    }
                    if pending.len() == BATCH {
                        found.tables(objects, &mut pending, limit);
                    }
                    return true;
                }
            };
            found.add(container, (seen.addr, seen.id), fill, limit);
            true
        })?;
        found.tables(objects, &mut pending, limit);
        found.unreadable += missed;
        found.keep(limit);
        Ok(found)
    }

    fn add(&mut self, container: Container, (addr, id): (Addr, TypeId), fill: Option<Fill>, limit: usize) {
        let Some(Fill { items, room, wasted }) = fill.filter(|fill| fill.items <= fill.room) else {
            self.unreadable += 1;
            return;
        };
        let place = Container::ALL.iter().position(|one| *one == container);
        let Some(sum) = place.and_then(|place| self.sums.get_mut(place)) else { return };
        sum.looked_at += 1;
        if wasted == 0 {
            return;
        }
        sum.objects += 1;
        sum.wasted = sum.wasted.saturating_add(wasted);
        self.worst.push(Roomy { container, addr, id, items, room, wasted });
        if self.worst.len() >= limit.saturating_mul(2).max(1 << 12) {
            self.keep(limit);
        }
    }

    fn keep(&mut self, limit: usize) {
        self.worst.sort_unstable_by(|a, b| b.wasted.cmp(&a.wasted).then(a.addr.cmp(&b.addr)));
        self.worst.truncate(limit);
    }

    /// Looks at the tables of keys of the dicts in `pending`, which are in as many places.
    fn tables(&mut self, objects: &Objects, pending: &mut Vec<Pending>, limit: usize) {
        let bulk = objects.memory.bulk();
        let places: Vec<u64> = pending.iter().map(|one| one.keys).collect();
        let mut heads = vec![0; places.len() * HEAD];
        source(bulk.as_ref(), &objects.memory).gather(&places, HEAD, &mut heads);
        for (one, head) in pending.drain(..).zip(heads.chunks_exact(HEAD)) {
            self.add(Container::Dict, (one.addr, one.id), keys(objects, head, one.items), limit);
        }
    }
}

/// An array of items of `each` bytes. Lengths in hostile memory are claims.
fn array(items: u64, room: u64, each: u64) -> Option<Fill> {
    let unused = room.checked_sub(items).filter(|_| room < MOST)?;
    Some(Fill { items, room, wasted: unused * each })
}

fn list(objects: &Objects, seen: &Seen<'_>) -> Option<Fill> {
    let fields = &objects.layout.list;
    let items = objects.layout.var.ob_size.get(seen.bytes)?;
    let allocated = fields.allocated.get(seen.bytes)?;
    // While a list is being sorted it has no items, and -1 stands there.
    let none = fields.ob_item.get(seen.bytes)? == 0 || allocated == u64::MAX;
    array(items, if none { 0 } else { allocated }, 8)
}

fn bytearray(objects: &Objects, seen: &Seen<'_>) -> Option<Fill> {
    let items = objects.layout.var.ob_size.get(seen.bytes)?;
    let allocated = objects.layout.bytearray.ob_alloc.get(seen.bytes)?;
    // The 0 at the end; since 3.15 it belongs to the `bytes`.
    let (end, around) = match objects.layout.rules.bytearray_of_bytes {
        true => (0, objects.layout.bytes.ob_sval.at().ok()? + 1),
        false => (1, 0),
    };
    let fill = array(items, allocated.saturating_sub(end), 1)?;
    let empty = items == 0 && allocated > 0;
    Some(Fill { wasted: fill.wasted + if empty { end + around } else { 0 }, ..fill })
}

/// Slots of a table of Python 2's dicts, and of sets in all versions, that is made for a copy of `items`: none
/// where the table in the object does. `set_merge` in `Objects/setobject.c`, `PyDict_Merge` in 2.7.
fn open_slots(objects: &Objects, items: u64) -> u64 {
    let small = if objects.layout.rules.python2 { 5 } else { 4 };
    if items <= small { 0 } else { (items.min(MOST) * 2 + 1).next_power_of_two() }
}

fn open(objects: &Objects, items: u64, mask: u64, apart: bool, each: u64) -> Option<Fill> {
    let slots = mask.checked_add(1).filter(|slots| slots.is_power_of_two() && *slots < MOST)?;
    let needed = open_slots(objects, items);
    Some(Fill { items, room: slots, wasted: if apart { slots.saturating_sub(needed) * each } else { 0 } })
}

fn set(objects: &Objects, seen: &Seen<'_>) -> Option<Fill> {
    let fields = &objects.layout.set;
    let apart = fields.table.get(seen.bytes)? != (seen.addr + fields.smalltable.at().ok()?).0;
    open(objects, fields.used.get(seen.bytes)?, fields.mask.get(seen.bytes)?, apart, SET_ENTRY)
}

fn open_table(objects: &Objects, seen: &Seen<'_>) -> Option<Fill> {
    let fields = &objects.layout.dict;
    let apart = dict_tables(objects, seen.addr, seen.bytes)?[0].is_some();
    open(objects, fields.ma_used.get(seen.bytes)?, fields.ma_mask.get(seen.bytes)?, apart, ENTRY)
}

fn dict(objects: &Objects, seen: &Seen<'_>) -> Option<Pending> {
    let fields = &objects.layout.dict;
    let items = fields.ma_used.get(seen.bytes)?;
    Some(Pending { keys: fields.ma_keys.get(seen.bytes)?, addr: seen.addr, id: seen.id, items })
}

/// A dict's table of keys, which begins with `head`.
fn keys(objects: &Objects, head: &[u8], items: u64) -> Option<Fill> {
    let keys = KeysHead::read(&objects.layout.keys, objects.layout.rules.keys, head)?;
    if keys.references == 0 {
        return None;
    }
    if keys.references != 1 {
        return Some(Fill { items, room: items, wasted: 0 });
    }
    let (slots, indices) = (keys.slots, objects.layout.keys.dk_indices.at().ok()?);
    // USABLE_FRACTION of Objects/dictobject.c.
    let room = |slots: u64| slots * 2 / 3;
    let bytes = |slots: u64| slots * index_width(slots) + room(slots) * keys.entry;
    let mut least = LEAST_SLOTS;
    while room(least) < items && least < slots {
        least *= 2;
    }
    let needed = if items == 0 { 0 } else { indices + bytes(least) };
    Some(Fill { items, room: room(slots), wasted: (indices + bytes(slots)).saturating_sub(needed) })
}
