//! Classes whose instances keep their attributes in dicts, or in values for a dict, and could have `__slots__`:
//! all instances have the same attributes. What that would save is counted in blocks, as they are allocated.

use super::Census;
use super::owned::dict_tables;
use super::types::{Info, TypeId};
use crate::allocators::mimalloc::good_size;
use crate::allocators::pymalloc::LARGEST;
use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::objects::attributes::Storage;
use crate::objects::{Kind, Objects, Type, flag};
use std::collections::HashMap;
use std::rc::Rc;

/// Instances of one class that are looked at.
const SAMPLE: u64 = 1000;
/// Attributes of one instance, at most: CPython shares the keys of no more than 30.
const ATTRIBUTES: usize = 64;
/// Names of attributes that are remembered.
const NAMES: usize = 1 << 16;

/// A class that could have `__slots__`.
#[derive(Debug)]
pub struct Slottable {
    /// The number of the type.
    pub id: TypeId,
    /// How many instances there are.
    pub instances: u64,
    /// How many of them were looked at.
    pub looked_at: u64,
    /// Names of the attributes, as the first of them has them.
    pub names: Vec<Rc<str>>,
    /// Bytes of all instances now, with their attributes' memory.
    pub now: u64,
    /// Bytes of them with `__slots__`.
    pub slots: u64,
}

/// A class while its instances are looked at.
struct Class {
    ty: Rc<Type>,
    /// Bytes that an instance would take with `__slots__`, but for the slots of what is in dicts now.
    fixed: u64,
    /// Of the instances met, each of so many is looked at.
    stride: u64,
    met: u64,
    looked_at: u64,
    now: u64,
    names: Vec<Rc<str>>,
    /// Addresses of the names of the last instance, in order.
    keys: Vec<Addr>,
    sorted: Vec<Rc<str>>,
}

/// Looks for such classes among those that `wanted` has at their number.
///
/// # Errors
/// [`Error::Interrupted`].
pub fn find(objects: &Objects, census: &Census, wanted: &[bool]) -> Result<Vec<Slottable>> {
    let sizing = Blocks::of(census);
    let mut classes: Vec<Option<Class>> = census
        .types
        .iter()
        .zip(wanted)
        .map(|((info, tally), wanted)| {
            if !wanted || tally.count == 0 {
                return None;
            }
            let (ty, fixed) = fixed(objects, info)?;
            Some(Class {
                ty,
                fixed,
                stride: tally.count.div_ceil(SAMPLE),
                met: 0,
                looked_at: 0,
                now: 0,
                names: Vec::new(),
                keys: Vec::new(),
                sorted: Vec::new(),
            })
        })
        .collect();
    let mut texts = Texts { objects, known: HashMap::new() };
    let mut looked_at = 0u64;
    census.each(&mut |addr, id| {
        let Some(place) = classes.get_mut(usize::from(id)) else { return true };
        let Some(class) = place else { return true };
        class.met += 1;
        if !(class.met - 1).is_multiple_of(class.stride) {
            return true;
        }
        looked_at += 1;
        if looked_at.is_multiple_of(1 << 8) && objects.memory.poll().is_err() {
            return false;
        }
        match class.look(census, &mut texts, addr, id) {
            Ok(true) => {}
            Ok(false) => *place = None,
            // What is left of an object behind memory that is used again can look like one.
            Err(_) => {}
        }
        true
    });
    objects.memory.poll()?;
    let found = classes.into_iter().zip(&census.types).enumerate().filter_map(|(i, (class, (_, tally)))| {
        let class = class.filter(|class| class.looked_at > 0)?;
        let slots = class.names.len() as u64;
        let each = sizing.block(class.fixed.saturating_add(slots * 8));
        let now = u128::from(class.now) * u128::from(tally.count) / u128::from(class.looked_at);
        Some(Slottable {
            id: TypeId::try_from(i).ok()?,
            instances: tally.count,
            looked_at: class.looked_at,
            names: class.names,
            now: u64::try_from(now).unwrap_or(u64::MAX),
            slots: each.saturating_mul(tally.count),
        })
    });
    Ok(found.filter(|class| class.now > class.slots).collect())
}

impl Class {
    /// Looks at one instance; whether the class can still have `__slots__`.
    fn look(&mut self, census: &Census, texts: &mut Texts<'_>, addr: Addr, id: TypeId) -> Result<bool> {
        let objects = texts.objects;
        let mut keys = Vec::new();
        objects.attributes_each(addr, &self.ty, &mut |key, _| {
            keys.push(key);
            keys.len() <= ATTRIBUTES
        })?;
        if keys.len() > ATTRIBUTES {
            return Ok(false);
        }
        let now = cost(objects, census, addr, id, &self.ty)?;
        if self.looked_at == 0 || keys != self.keys {
            let names: Option<Vec<_>> = keys.iter().map(|key| texts.identifier(*key)).collect();
            let Some(names) = names else { return Ok(false) };
            let mut sorted = names.clone();
            sorted.sort_unstable();
            if self.looked_at > 0 && sorted != self.sorted {
                return Ok(false);
            }
            self.keys = keys;
            if self.looked_at == 0 {
                (self.names, self.sorted) = (names, sorted);
            }
        }
        self.looked_at += 1;
        self.now = self.now.saturating_add(now);
        Ok(true)
    }
}

/// The texts of attributes' names.
struct Texts<'a> {
    objects: &'a Objects,
    known: HashMap<Addr, Option<Rc<str>>>,
}

impl Texts<'_> {
    /// The text of a name, if it is one that `__slots__` can have.
    fn identifier(&mut self, key: Addr) -> Option<Rc<str>> {
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let is_text = self.objects.type_of(key).is_ok_and(|ty| ty.exact && matches!(ty.kind, Kind::Str | Kind::Str2));
        let name = self.objects.name(key).ok().filter(|_| is_text);
        // Names such as __doc__ are those of class variables.
        let name = name.filter(|name| !(name.starts_with("__") && name.ends_with("__"))).filter(|name| {
            !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(|c| c == '_' || c.is_alphanumeric())
        });
        let name = name.map(Rc::from);
        if self.known.len() < NAMES {
            self.known.insert(key, name.clone());
        }
        name
    }
}

/// Bytes that an instance of a class would take with `__slots__`, but for these, if that is possible: it and its
/// bases that have a place for a dict are written in Python, and its objects have no items (`type_new` refuses
/// slots then).
fn fixed(objects: &Objects, info: &Info) -> Option<(Rc<Type>, u64)> {
    let ty = objects.type_at(Addr(info.addr)).ok()?;
    if !ty.heap || ty.dictoffset == 0 || ty.itemsize != 0 || !is_written(objects, &ty) {
        return None;
    }
    let mut weak = false;
    for class in objects.classes(ty.addr).ok()? {
        let base = objects.type_at(class).ok()?;
        if is_written(objects, &base) {
            let dict = objects.class_dict(class).ok()??;
            weak |= objects.dict_get(dict, "__weakref__").ok()?.is_some();
        } else if base.dictoffset != 0 {
            return None;
        }
    }
    let mut base = Rc::clone(&ty);
    for _ in 0..crate::limits::BASES {
        if !is_written(objects, &base) {
            break;
        }
        base = objects.type_at(base.base?).ok()?;
    }
    let before = &objects.layout.rules.before;
    // Two of the words that the class has added are in the object only where they are not before it.
    let dict = ty.dictoffset > 0;
    let weak = weak && ty.flags & flag::MANAGED_WEAKREF & before.words_flags == 0;
    let fixed = ty.basicsize.checked_sub(8 * (u64::from(dict) + u64::from(weak)))?;
    let words = if base.flags & before.words_flags == 0 { 0 } else { 16 };
    // Since 3.8 even those without a slot are the garbage collector's.
    Some((ty, before.gc_head + words + fixed))
}

/// Whether a class was made by a `class` statement, or by a call of `type`: its name is that of its `ht_name`.
pub(super) fn is_written(objects: &Objects, ty: &Type) -> bool {
    let layout = &objects.layout;
    let name = || -> Result<bool> {
        let name = objects.pointer(ty.addr, &layout.ty.tp_name)?;
        let text = objects.pointer(ty.addr, &layout.heap_type.ht_name)?;
        if layout.rules.python2 {
            return Ok(name == text + layout.str2.ob_sval.at()?);
        }
        // In ASCII, or, of other names, in UTF-8 apart from the object.
        Ok(name == text + layout.ascii.size.at()? || name == objects.pointer(text, &layout.compact.utf8)?)
    };
    ty.heap && name().unwrap_or(false)
}

/// Bytes of the blocks of an instance, its dict, and the dict's own tables.
fn cost(objects: &Objects, census: &Census, addr: Addr, id: TypeId, ty: &Type) -> Result<u64> {
    let unknown = |addr| Error::Corrupt { what: "a block of memory", addr };
    let own = census.block(objects, addr, id).ok_or(unknown(addr))?;
    let mut bytes = own.size;
    let mut parts = Vec::new();
    match objects.storage(addr, ty)? {
        Storage::Nowhere => {}
        Storage::Values(values) => parts.push(values_block(objects, values)?),
        Storage::Dict(dict) => {
            let id = census.find(dict).ok_or(unknown(dict))?;
            bytes = bytes.saturating_add(census.block(objects, dict, id).ok_or(unknown(dict))?.size);
            let head = objects.memory.bytes(dict, objects.layout.dict.size.at()? as usize)?;
            parts.extend(dict_tables(objects, dict, &head).ok_or(unknown(dict))?.into_iter().flatten());
        }
    }
    // Since 3.13 values can be in the instance.
    for part in parts.into_iter().filter(|part| *part < own.addr || part.0 - own.addr.0 >= own.size) {
        bytes = bytes.saturating_add(census.memory(objects, part).ok_or(unknown(part))?.size);
    }
    Ok(bytes)
}

/// Where the block begins that values are in which are not in their object.
pub(super) fn values_block(objects: &Objects, values: Addr) -> Result<Addr> {
    let layout = &objects.layout;
    if layout.rules.values_in_key_order || layout.values.capacity.exists() {
        return Ok(values);
    }
    // 3.11, 3.12: the byte before them says how many bytes there are.
    Ok(values - objects.memory.uint(values - 1, 1)?)
}

/// How large the blocks are that this process gets.
enum Blocks {
    /// pymalloc's sizes are multiples of this; larger ones are malloc's.
    Pymalloc(u64),
    Malloc,
    Mimalloc,
}

impl Blocks {
    fn of(census: &Census) -> Blocks {
        if census.scanned.walked.is_none() {
            return Blocks::Mimalloc;
        }
        let mut pools = census.scanned.windows.iter().flat_map(|window| &window.pools).peekable();
        if pools.peek().is_none() {
            return Blocks::Malloc;
        }
        Blocks::Pymalloc(if pools.any(|pool| !pool.size.is_multiple_of(16)) { 8 } else { 16 })
    }

    /// Bytes of the block for `bytes`.
    fn block(&self, bytes: u64) -> u64 {
        match self {
            Blocks::Pymalloc(step) if bytes <= LARGEST as u64 => bytes.next_multiple_of(*step),
            Blocks::Mimalloc => good_size(bytes),
            // A chunk of glibc's malloc has a word before it, and 32 bytes at least.
            _ => bytes.saturating_add(8).checked_next_multiple_of(16).unwrap_or(u64::MAX).max(32) - 8,
        }
    }
}
