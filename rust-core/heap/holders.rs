//! Where objects of a type keep their references: in which words of their own, and in which tables elsewhere.
//!
//! The words of an object count as references where they are the address of an object, except for those that
//! [`crate::layout::borrowed`] knows to be none. That covers types that nobody has described: a C struct keeps its
//! references in words.

use super::edges::at;
use super::owners::DictAt;
use super::sizes::Rule;
use super::types::{Info, TypeId};
use crate::bytes::Addr;
use crate::layout::borrowed::{borrowed, half, only};
use crate::layout::{DictKeys, Fields, Frames, InstanceDict};
use crate::limits;
use crate::objects::datetime::struct_size;
use crate::objects::{Kind, Objects, flag};

/// Bytes of `f_blockstack` (`CO_MAXBLOCKS` of three ints), before `f_localsplus`: what is unused of it is not set.
const BLOCKS: usize = 20 * 12;

/// What objects of a type have beside references in words of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Not even such words.
    Leaf,
    /// Nothing.
    Words,
    List,
    Dict,
    OrderedDict,
    Set,
    Deque,
    /// What `functools.lru_cache` makes.
    LruCache,
    Type,
    Code,
    /// A frame with its variables in it (3.10 and older).
    Frame,
    /// A frame object that may have its frame in it (3.11 and later).
    FrameObject,
    /// A generator with its frame in it (3.11 and later).
    Generator,
    /// A module, which may have memory of its own (3.0 and later).
    Module,
    /// A `datetime.time` or `datetime`, which has its zone at this place, if `hastzinfo` says that it has one.
    Zoned(usize),
}

/// Where an object's attributes are that are in no dict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    Nowhere,
    /// 3.11: a word before the pointer to the dict leads to so many.
    Apart(u64),
    /// 3.12: so many in place of the dict, where its pointer has the low bit set.
    Tagged(u64),
    /// 3.13: behind the object.
    Inline,
}

/// Where objects of one type keep their references.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub shape: Shape,
    /// The bytes of the object whose words count.
    pub words: (usize, usize),
    /// Its items are words that count too.
    pub items: bool,
    /// Words that do not count.
    pub borrowed: Vec<usize>,
    /// The pointer to the dict, where it is none of the words.
    pub dict: DictAt,
    pub values: Values,
    pub info: Info,
}

impl Holder {
    fn leaf(info: &Info) -> Holder {
        Holder {
            shape: Shape::Leaf,
            words: (0, 0),
            items: false,
            borrowed: Vec::new(),
            dict: DictAt::Nowhere,
            values: Values::Nowhere,
            info: *info,
        }
    }
}

/// The holder of the type with this `info`.
pub(super) fn holder(objects: &Objects, info: &Info) -> Holder {
    let mut holder = Holder::leaf(info);
    let Ok(ty) = objects.type_at(Addr(info.addr)) else { return holder };
    let (fields, rules) = (&objects.layout.fields, &objects.layout.rules);
    let header = at(&fields.object.size).unwrap_or(16);
    holder.shape = match ty.kind {
        Kind::Str | Kind::Str2 | Kind::Bytes | Kind::Int | Kind::Int2 | Kind::Float | Kind::Complex if ty.exact => {
            return holder;
        }
        Kind::List => Shape::List,
        Kind::Dict if ty.ordered => Shape::OrderedDict,
        Kind::Dict => Shape::Dict,
        // `frozendict` (3.15, PEP 814).
        _ if info.rule == Rule::Dict => Shape::Dict,
        Kind::Set | Kind::Frozenset => Shape::Set,
        Kind::Deque => Shape::Deque,
        Kind::Type => Shape::Type,
        Kind::Code => Shape::Code,
        Kind::Module if fields.module.md_name.exists() => Shape::Module,
        Kind::Time | Kind::DateTime => {
            let end = struct_size(ty.kind, header as u64).and_then(|size| usize::try_from(size).ok());
            Shape::Zoned(end.unwrap_or(header).saturating_sub(8))
        }
        _ if objects.c_name(&ty) == "functools._lru_cache_wrapper" => Shape::LruCache,
        Kind::Frame if rules.frames == Frames::Objects => Shape::Frame,
        Kind::Frame => Shape::FrameObject,
        Kind::Generator if fields.generator.gi_iframe.exists() => Shape::Generator,
        _ => Shape::Words,
    };
    let basicsize = usize::try_from(info.basicsize).unwrap_or(0);
    holder.words = (header, basicsize);
    holder.items = info.itemsize == 8;
    if ty.kind == Kind::Generator && at(&fields.generator.gi_code) == Some(header + 16) {
        // gi_running, a char and nothing (3.9 and older).
        holder.borrowed.push(header + 8);
    }
    if ty.kind == Kind::Code {
        // An int, behind which nobody sets four bytes in 2.7 and 3.8 to 3.10.
        holder.borrowed.extend(at(&fields.code.co_firstlineno).map(|line| line / 8 * 8));
    }
    inside(&mut holder, fields, rules.keys == DictKeys::OpenTable);
    if let Some(state) = at(&fields.generator.gi_frame_state).filter(|_| ty.tp_name == "generator") {
        // gi_origin_or_finalizer before four chars, which is set in coroutines and asynchronous generators only.
        // Of the chars a generator sets the last only: with a heap below 4 GiB the word can look like an address.
        holder.borrowed.extend([state.saturating_sub(3 + 8), state / 8 * 8]);
    }
    for known in objects.bases(&ty) {
        let name = objects.c_name(&known);
        if let Some(only) = only(name, rules.python2) {
            let end = usize::try_from(known.basicsize).unwrap_or(0).min(header + limits::KNOWN_STRUCT);
            let is_reference = |at: &usize| only.iter().any(|word| header + *word as usize == *at);
            holder.borrowed.extend((header..end).step_by(8).filter(|at| !is_reference(at)));
            holder.items = false;
        }
        let half = half(name, known.basicsize.saturating_sub(header as u64));
        holder.borrowed.extend(half.and_then(|at| usize::try_from(at).ok()).map(|at| header + at));
        let words = borrowed(name);
        holder.borrowed.extend(words.iter().map(|word| header + *word as usize));
        // Each base with a place for weak references has its own.
        if let Ok(weak) = objects.int(known.addr, &fields.ty.tp_weaklistoffset) {
            holder.borrowed.extend(usize::try_from(weak).ok().filter(|weak| *weak > 0));
        }
    }
    holder.borrowed.sort_unstable();
    holder.borrowed.dedup();
    holder.values = values(objects, info, rules.attributes);
    holder.dict = match info.dict {
        DictAt::Start(place) if place > 0 => DictAt::Nowhere,
        DictAt::End(_) if info.itemsize == 8 => DictAt::Nowhere,
        DictAt::End(before) => {
            // It can lie where the type's own struct ends.
            holder.words.1 = holder.words.1.saturating_sub(before as usize);
            info.dict
        }
        other => other,
    };
    holder
}

/// Takes out of the words what is not always references: tables and frames in the object.
fn inside(holder: &mut Holder, fields: &Fields, open_table: bool) {
    let local = at(&fields.iframe.localsplus).unwrap_or(0);
    match holder.shape {
        // A small table in it is stale when there is a larger one elsewhere.
        Shape::Set => holder.words.0 = at(&fields.set.size).unwrap_or(holder.words.1),
        // A hash and packed numbers are before the zone.
        Shape::Zoned(zone) => holder.words.0 = zone + 8,
        Shape::Dict if open_table => holder.words.0 = at(&fields.dict.size).unwrap_or(holder.words.1),
        Shape::Type => {
            let start = at(&fields.heap_type.spec_cache);
            let end = at(&fields.heap_type.size).unwrap_or(0);
            holder.borrowed.extend(start.into_iter().flat_map(|start| (start..end).step_by(8)));
        }
        Shape::Code => {
            // Behind are pointers that are none to objects, and a word that is not set (co_unique_id, 3.14).
            let end = at(&fields.code.co_cached).or_else(|| at(&fields.code.co_code_adaptive));
            holder.words.1 = end.unwrap_or(holder.words.1);
            holder.items = false;
        }
        Shape::Frame => {
            holder.words.1 = at(&fields.frame.f_localsplus).map_or(0, |at| at.saturating_sub(BLOCKS));
            holder.borrowed.extend(at(&fields.frame.f_gen));
            holder.items = false;
        }
        Shape::FrameObject => {
            holder.words.1 = holder.words.1.saturating_sub(local);
            holder.items = false;
        }
        Shape::Generator => {
            holder.words.1 = at(&fields.generator.gi_iframe).unwrap_or(0);
            holder.items = false;
        }
        _ => {}
    }
}

fn values(objects: &Objects, info: &Info, rule: InstanceDict) -> Values {
    let has = |flag: u64| info.flags & flag != 0;
    let count = || {
        let keys = objects.pointer(Addr(info.addr), &objects.layout.heap_type.ht_cached_keys).ok()?;
        objects.uint(keys.non_null()?, &objects.layout.keys.dk_nentries).ok()
    };
    match rule {
        _ if !has(flag::MANAGED_DICT) => Values::Nowhere,
        InstanceDict::Offset => Values::Nowhere,
        InstanceDict::Words311 => Values::Apart(count().unwrap_or(0)),
        InstanceDict::Word312 => Values::Tagged(count().unwrap_or(0)),
        InstanceDict::Inline { .. } if has(flag::INLINE_VALUES) => Values::Inline,
        InstanceDict::Inline { .. } => Values::Nowhere,
    }
}

/// The holder of a type.
#[inline]
pub(super) fn of(holders: &[Holder], id: TypeId) -> Option<&Holder> {
    holders.get(usize::from(id))
}
