//! What objects have beside their own blocks, and nobody else has.
//!
//! *Tables* hold references of lists, dicts, sets, classes and instances, and other forms of a string's text.
//! *Native* is raw memory behind objects: the bytes of a bytearray or an array, a deque's blocks, a mapping.
//! Both are counted in whole blocks, a mapping by its length. Each byte is counted once: keys that instances
//! share are their class's, and the `bytes` in which a bytearray of 3.15 has its own count as the bytearray's.

use super::Census;
use super::contents::Seen;
use super::sizes::{MOST, Rule};
use super::slots::{is_written, values_block};
use super::types::{Info, TypeId};
use crate::allocators::glibc::HEAD;
use crate::bytes::{Addr, word};
use crate::error::Result;
use crate::layout::own_sizes::Term;
use crate::layout::{DictKeys, InstanceDict, Slot};
use crate::objects::keys::ENTRY;
use crate::objects::{Objects, flag};
use crate::process::cache::Regions;
use crate::process::{Source, maps};
use std::cell::Cell;

/// What the objects of one kind have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owned {
    /// Bytes of the blocks of tables.
    pub tables: u64,
    /// Bytes of raw memory.
    pub native: u64,
    /// Bytes of these objects' own blocks that count as another object's native memory.
    pub lent: u64,
}

/// What there is to look at in the objects of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Nothing,
    List,
    Dict,
    OrderedDict,
    Set,
    Bytearray,
    Str,
    Unicode2,
    Class,
    /// Values apart from the instance (3.11, 3.12).
    Instance,
    Array,
    /// Where its length and `leftindex` are, items in a block, and whether spare blocks belong to it.
    Deque {
        len: u16,
        first: u16,
        each: u16,
        spare: bool,
    },
    Mapping,
    Ndarray,
}

/// Where `ob_item` of `array.array` is behind `PyObject`, and `numfreeblocks` of a deque that has spare blocks.
const ARRAY_ITEMS: u64 = 8;
const SPARE_BLOCKS: u64 = 56;
/// Bytes of a deque with spare blocks behind `PyObject` (3.11).
const WITH_SPARE: u16 = 200;
/// Objects that are named.
const SHOWN: usize = 4;
/// `NPY_ARRAY_OWNDATA`.
const OWNDATA: u64 = 4;

/// Objects that say that they have memory where there is none.
#[derive(Debug, Default)]
pub struct Astray {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub places: Vec<Addr>,
}

/// By the number of their kind, what all objects have; and those whose memory is nowhere.
///
/// # Errors
/// [`crate::error::Error::Interrupted`].
pub fn find(objects: &Objects, census: &Census) -> Result<(Vec<Owned>, Astray)> {
    let whats: Vec<What> = census.types.iter().map(|(info, _)| what(objects, info)).collect();
    let wanted: Vec<bool> = whats.iter().map(|what| *what != What::Nothing).collect();
    let mut all = vec![Owned::default(); census.kind_numbers()];
    let mut search = Search::new(objects, census);
    census.read_each(objects, &wanted, &mut |seen| {
        let sum = all.get_mut(census.kind_of(seen.addr, seen.id));
        if let (Some(what), Some(sum)) = (whats.get(usize::from(seen.id)), sum) {
            let one = search.look(*what, seen);
            sum.tables = sum.tables.saturating_add(one.tables);
            sum.native = sum.native.saturating_add(one.native);
        }
        true
    })?;
    for addr in search.lent {
        let Some(id) = census.find(addr) else { continue };
        if let (Some(block), Some(sum)) = (census.block(objects, addr, id), all.get_mut(usize::from(id))) {
            sum.lent = sum.lent.saturating_add(block.size);
        }
    }
    Ok((all, search.astray))
}

/// What each of `some` objects has, in their order; and those whose memory is nowhere. Those that the census does not
/// have have no type number, and nothing.
pub fn of_some(objects: &Objects, census: &Census, some: &[(Addr, Option<TypeId>)]) -> (Vec<Owned>, Astray) {
    let mut search = Search::new(objects, census);
    let mut bytes = [0; HEAD];
    let mut all = vec![Owned::default(); some.len()];
    for ((addr, id), one) in some.iter().zip(&mut all) {
        let Some((id, info)) = id.and_then(|id| Some((id, census.info(id)?))) else { continue };
        let have = objects.memory.read_some(addr.0, &mut bytes);
        *one = search.look(what(objects, info), &Seen { addr: *addr, id, bytes: &bytes[..have], pool: false });
    }
    for ((addr, id), one) in some.iter().zip(&mut all).filter(|((addr, _), _)| search.lent.contains(addr)) {
        one.lent = id.and_then(|id| census.block(objects, *addr, id)).map_or(0, |block| block.size);
    }
    (all, search.astray)
}

/// A search for what objects have.
struct Search<'a> {
    owner: Owner<'a>,
    /// Objects that are another object's native memory.
    lent: Vec<Addr>,
    astray: Astray,
}

impl Search<'_> {
    fn new<'a>(objects: &'a Objects, census: &'a Census) -> Search<'a> {
        let owner = Owner { objects, census, regions: objects.memory.regions(), wild: Cell::new(false) };
        Search { owner, lent: Vec::new(), astray: Astray::default() }
    }

    fn look(&mut self, what: What, seen: &Seen<'_>) -> Owned {
        // What cannot be read has nothing.
        let one = self.owner.look(what, seen, &mut self.lent).unwrap_or_default();
        if self.owner.wild.take() {
            self.astray.count += 1;
            if self.astray.places.len() < SHOWN {
                self.astray.places.push(seen.addr);
            }
        }
        one
    }
}

fn what(objects: &Objects, info: &Info) -> What {
    let rules = &objects.layout.rules;
    match info.rule {
        Rule::List => What::List,
        Rule::Dict => What::Dict,
        Rule::OrderedDict => What::OrderedDict,
        Rule::Set => What::Set,
        Rule::Bytearray => What::Bytearray,
        Rule::Str => What::Str,
        Rule::Unicode2 => What::Unicode2,
        Rule::Type => What::Class,
        Rule::Own(own) => match own.terms {
            [Term::Array { .. }] => What::Array,
            [Term::Blocks { len, first, each }] => {
                What::Deque { len: *len, first: *first, each: *each, spare: own.size == WITH_SPARE }
            }
            _ => What::Nothing,
        },
        _ => {
            let apart = matches!(rules.attributes, InstanceDict::Words311 | InstanceDict::Word312);
            let Ok(ty) = objects.type_at(Addr(info.addr)) else { return What::Nothing };
            match ty.tp_name.as_str() {
                "mmap.mmap" if !is_written(objects, &ty) => What::Mapping,
                "numpy.ndarray" if !is_written(objects, &ty) => What::Ndarray,
                _ if apart && info.flags & flag::MANAGED_DICT != 0 => What::Instance,
                _ => What::Nothing,
            }
        }
    }
}

struct Owner<'a> {
    objects: &'a Objects,
    census: &'a Census,
    regions: Regions<'a>,
    /// The object that is looked at has a pointer to where nothing is mapped.
    wild: Cell<bool>,
}

impl Owner<'_> {
    /// Bytes of the block at `addr`; none at the null pointer.
    fn block(&self, addr: u64) -> u64 {
        let size =
            if addr == 0 { Some(0) } else { self.census.memory(self.objects, Addr(addr)).map(|block| block.size) };
        if size.is_none() && maps::find(&self.regions, addr).is_none() {
            self.wild.set(true);
        }
        size.unwrap_or(0)
    }

    fn look(&self, what: What, seen: &Seen<'_>, lent: &mut Vec<Addr>) -> Option<Owned> {
        let layout = &self.objects.layout;
        let header = layout.object.size.at().ok()?;
        let at = |offset: u64| word(seen.bytes, usize::try_from(header + offset).ok()?);
        let get = |slot: &Slot| slot.get(seen.bytes);
        let tables = |tables: u64| Some(Owned { tables, ..Owned::default() });
        let native = |native: u64| Some(Owned { native, ..Owned::default() });
        // What is in the object itself while it is small.
        let apart = |pointer: u64, small: u64| if pointer == (seen.addr + small).0 { 0 } else { self.block(pointer) };
        match what {
            What::Nothing => None,
            What::List => tables(self.block(get(&layout.list.ob_item)?)),
            What::Set => tables(apart(get(&layout.set.table)?, layout.set.smalltable.at().ok()?)),
            What::Dict => tables(self.dict(seen)?),
            What::OrderedDict => {
                let nodes =
                    self.block(get(&layout.odict.od_first)?).saturating_mul(get(&layout.dict.ma_used)?.min(MOST));
                // od_first, od_last, od_fast_nodes
                let fast = word(seen.bytes, layout.odict.od_first.at().ok()? as usize + 16)?;
                tables(self.dict(seen)?.saturating_add(nodes.min(MOST)).saturating_add(self.block(fast)))
            }
            What::Bytearray if layout.rules.bytearray_of_bytes => {
                if get(&layout.bytearray.ob_alloc)? == 0 {
                    return None;
                }
                let bytes = Addr(get(&layout.bytearray.ob_bytes)?) - layout.bytes.ob_sval.at().ok()?;
                lent.push(bytes);
                native(self.block(bytes.0))
            }
            What::Bytearray => native(self.block(get(&layout.bytearray.ob_bytes)?)),
            What::Str if get(&layout.ascii.compact)? == 0 => tables(self.block(get(&layout.unicode2.data)?)),
            What::Str if get(&layout.ascii.ascii)? != 0 => None,
            What::Str => tables(apart(get(&layout.compact.utf8)?, layout.compact.size.at().ok()?)),
            What::Unicode2 => tables(self.block(get(&layout.unicode2.str)?)),
            What::Class => {
                let flags = get(&layout.ty.tp_flags)?;
                let keys = if flags & flag::HEAPTYPE == 0 { 0 } else { get(&layout.heap_type.ht_cached_keys)? };
                tables(self.block(keys))
            }
            What::Instance => {
                let values = match layout.rules.attributes {
                    InstanceDict::Words311 => self.objects.memory.pointer(seen.addr - 32).ok()?,
                    // A dict, or values with the low bit set.
                    _ => match self.objects.memory.pointer(seen.addr - 24).ok()? {
                        word if word.0 & 1 != 0 => word + 1,
                        _ => return None,
                    },
                };
                tables(self.block(values_block(self.objects, values.non_null()?).ok()?.0))
            }
            What::Array => native(self.block(at(ARRAY_ITEMS)?)),
            What::Deque { len, first, each, spare } => {
                let slots = at(u64::from(first))?.min(MOST) + at(u64::from(len))?.min(MOST);
                let spare = if spare { at(SPARE_BLOCKS)?.min(16) } else { 0 };
                // leftblock, rightblock, leftindex
                let block = self.block(at(u64::from(first).checked_sub(16)?)?);
                native(block.saturating_mul(slots.div_ceil(u64::from(each)) + spare).min(MOST))
            }
            What::Mapping => {
                let (data, size) = (at(0)?, at(8)?);
                // A length is a claim. One mapping may be shown as several.
                maps::find(&self.regions, data)?;
                maps::find(&self.regions, data.checked_add(size.checked_sub(1)?)?)?;
                native(size)
            }
            What::Ndarray => {
                // data; nd; dimensions; strides; base; descr; flags.
                let own = at(32)? == 0 && at(48)? & OWNDATA != 0;
                native(if own { self.block(at(0)?) } else { 0 })
            }
        }
    }

    /// Bytes of the tables of a dict.
    fn dict(&self, seen: &Seen<'_>) -> Option<u64> {
        let tables = dict_tables(self.objects, seen.addr, seen.bytes)?;
        Some(tables.into_iter().flatten().map(|table| self.block(table.0)).fold(0, u64::saturating_add))
    }
}

/// Where the tables are that the dict at `addr`, which begins with `bytes`, has alone: neither in the dict itself, nor
/// shared, nor in the instance whose attributes they are.
pub(super) fn dict_tables(objects: &Objects, addr: Addr, bytes: &[u8]) -> Option<[Option<Addr>; 2]> {
    let layout = &objects.layout;
    let fields = &layout.dict;
    if layout.rules.keys == DictKeys::OpenTable {
        // `ma_smalltable` is the last member.
        let small = addr + fields.size.at().ok()?.checked_sub(8 * ENTRY)?;
        let table = Addr(fields.ma_table.get(bytes)?);
        return Some([(table != small).then_some(table), None]);
    }
    let keys = Addr(fields.ma_keys.get(bytes)?);
    let own = objects.uint(keys, &layout.keys.dk_refcnt).ok()? == 1;
    let values = Addr(fields.ma_values.get(bytes)?).non_null();
    // capacity, size, embedded, valid: since 3.13 values can be in the instance.
    let is_embedded = |values: Addr| match layout.values.valid.at() {
        Ok(valid) => objects.memory.uint(values + valid - 1, 1).map(|embedded| embedded != 0),
        Err(_) => Ok(false),
    };
    let values = match values {
        Some(values) if !is_embedded(values).ok()? => Some(values_block(objects, values).ok()?),
        _ => None,
    };
    Some([own.then_some(keys), values])
}
