//! The types that a scan meets: which words are pointers to types, and what such a type says of its
//! objects.
//!
//! Unlike [`crate::objects`] this reads raw words and can be shared by threads. A word is a type if it
//! leads over `ob_type` to a type that is its own type within a few steps, all of them ready types.

use super::owners::DictAt;
use super::pools::Pools;
use super::sizes::Rule;
use crate::layout::own_sizes::{OwnSize, Start};
use crate::layout::{Fields, Rules};
use crate::limits;
use crate::objects::datetime::struct_size;
use crate::objects::{Kind, flag};
use crate::process::Source;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Steps from a type over its metaclasses to `type`.
const METACLASSES: usize = 4;

/// Bytes of a name that are looked at: more than any has that is known.
const NAME: usize = 48;

/// Number of a type among those that a scan met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub u32);

impl From<TypeId> for usize {
    fn from(id: TypeId) -> usize {
        id.0 as usize
    }
}

impl TryFrom<usize> for TypeId {
    type Error = std::num::TryFromIntError;

    fn try_from(place: usize) -> Result<TypeId, Self::Error> {
        u32::try_from(place).map(TypeId)
    }
}

/// What a type says of its objects.
#[derive(Debug, Clone, Copy)]
pub struct Info {
    /// The type object.
    pub addr: u64,
    /// `tp_flags`.
    pub flags: u64,
    /// `tp_basicsize`.
    pub basicsize: u64,
    /// `tp_itemsize`.
    pub itemsize: u64,
    /// Bytes that an object has at least, of what `basicsize` counts.
    pub least: u64,
    /// Bytes between the start of a block and the object in it.
    pub before: u32,
    /// How the size of an object is found.
    pub rule: Rule,
    /// The type whose `__sizeof__` that rule is, if it is not that of `object`.
    pub sized_as: Option<u64>,
    /// Where `tp_flags` are, in types.
    pub flags_at: u32,
    /// Where an object has the pointer to its dict.
    pub dict: DictAt,
    /// It is `dict` itself.
    pub is_dict: bool,
}

impl Info {
    /// Whether objects can be in the garbage collector's lists.
    pub fn has_gc(&self) -> bool {
        self.flags & flag::HAVE_GC != 0
    }

    /// Bytes of an object without its items and without what is apart from it.
    pub fn fixed(&self) -> u64 {
        self.basicsize + u64::from(self.before)
    }
}

/// Offsets that a scan uses, resolved once.
#[derive(Debug, Clone, Copy)]
struct Places {
    ob_type: u64,
    flags: u64,
    basicsize: u64,
    itemsize: u64,
    name: u64,
    base: u64,
    dictoffset: u64,
    /// `ht_name`, and where the text lies in a `str`.
    heap_name: Option<(u64, u64)>,
    /// Where the structs of extension types begin: behind `PyObject`, and in classes.
    starts: [u64; 2],
}

/// The types, shared by the threads of a scan.
pub struct Types {
    known: Mutex<Known>,
    places: Places,
    rules: Rules,
    families: Vec<(u64, Rule)>,
    /// `dict`.
    dict: u64,
    /// Types without `tp_dictoffset` whose objects have a dict, and where.
    old: Vec<(u64, DictAt)>,
    header: u64,
}

#[derive(Default)]
struct Known {
    ids: HashMap<u64, Option<TypeId>>,
    infos: Vec<Info>,
}

impl Types {
    /// None known. `families` are the built-in types whose objects' sizes have a rule of their own; `old`
    /// those without `tp_dictoffset` whose objects have a dict, and where.
    ///
    /// # Errors
    /// [`crate::error::Error::NoField`].
    pub fn new(
        fields: &Fields,
        rules: Rules,
        families: Vec<(u64, Rule)>,
        old: Vec<(u64, DictAt)>,
    ) -> crate::error::Result<Types> {
        let ty = &fields.ty;
        let places = Places {
            ob_type: fields.object.ob_type.at()?,
            flags: ty.tp_flags.at()?,
            basicsize: ty.tp_basicsize.at()?,
            itemsize: ty.tp_itemsize.at()?,
            name: ty.tp_name.at()?,
            base: ty.tp_base.at()?,
            dictoffset: ty.tp_dictoffset.at()?,
            heap_name: {
                let text = if rules.python2 { &fields.str2.ob_sval } else { &fields.ascii.size };
                fields.heap_type.ht_name.at().ok().zip(text.at().ok())
            },
            starts: [fields.object.size.at()?, fields.heap_type.size.at().unwrap_or(0).next_multiple_of(16)],
        };
        let dict = families.iter().find(|(_, rule)| *rule == Rule::Dict).map_or(0, |(dict, _)| *dict);
        Ok(Types { known: Mutex::default(), places, rules, families, dict, old, header: fields.object.size.at()? })
    }

    /// The type at `addr`, if there is one.
    pub fn find(&self, addr: u64, source: &dyn Source) -> Option<(TypeId, Info)> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = known.ids.get(&addr) {
            return id.and_then(|id| Some((id, *known.infos.get(usize::from(id))?)));
        }
        let info = self.read(addr, source);
        let id = match info {
            Some(info) if known.infos.len() < limits::COUNTED_TYPES => {
                known.infos.push(info);
                TypeId::try_from(known.infos.len() - 1).ok()
            }
            _ => None,
        };
        if id.is_some() || known.ids.len() < limits::SCANNED_WORDS {
            known.ids.insert(addr, id);
        }
        Some((id?, info?))
    }

    /// Those that were met, from this number on.
    pub fn from(&self, first: usize) -> Vec<Info> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.infos.get(first..).unwrap_or(&[]).to_vec()
    }

    /// All that were met, by their number.
    pub fn into_infos(self) -> Vec<Info> {
        self.known.into_inner().unwrap_or_else(PoisonError::into_inner).infos
    }

    /// `tp_flags`, `tp_basicsize` and `tp_itemsize` of the type at `addr`, if there is one.
    pub(super) fn sizes(&self, addr: u64, source: &dyn Source) -> Option<(u64, u64, u64)> {
        let word = |at: u64, offset: u64| source.word(at.wrapping_add(offset));
        // Some static types are used without PyType_Ready: method_descriptor in Python 2,
        // functools._lru_list_elem in 3.6.
        let ready =
            |ty: u64| word(ty, self.places.flags).filter(|f| f & (flag::READY | flag::HEAPTYPE) != flag::HEAPTYPE);
        let flags = ready(addr)?;
        let mut meta = word(addr, self.places.ob_type)?;
        let mut steps = 0;
        loop {
            if !meta.is_multiple_of(8) || ready(meta)? & flag::TYPE_SUBCLASS == 0 || steps == METACLASSES {
                return None;
            }
            let above = word(meta, self.places.ob_type)?;
            if above == meta {
                break;
            }
            (meta, steps) = (above, steps + 1);
        }
        let (basicsize, itemsize) = (word(addr, self.places.basicsize)?, word(addr, self.places.itemsize)?);
        let name = word(addr, self.places.name)?;
        let mut first = [0];
        let named = source.read_some(name, &mut first) == 1 && first[0] > b' ';
        if !named || basicsize < self.header || basicsize > limits::BASICSIZE || itemsize > limits::BASICSIZE {
            return None;
        }
        Some((flags, basicsize, itemsize))
    }

    fn read(&self, addr: u64, source: &dyn Source) -> Option<Info> {
        let (flags, basicsize, itemsize) = self.sizes(addr, source)?;
        let before = if flags & flag::HAVE_GC == 0 { 0 } else { self.rules.before.gc_head }
            + if flags & self.rules.before.words_flags == 0 { 0 } else { 16 };
        let plain = if itemsize == 0 { Rule::Fixed } else { Rule::Items };
        let (rule, sized_as) = self.rule(addr, source).map_or((plain, None), |(rule, of)| (rule, Some(of)));
        let flags_at = self.places.flags as u32;
        let dict = self.old.iter().find(|(known, _)| *known == addr).map(|(_, dict)| *dict);
        let dict = match dict {
            Some(dict) => dict,
            None => {
                let offset = source.word(addr.wrapping_add(self.places.dictoffset))?;
                DictAt::new(flags, offset as i64, self.rules.attributes)
            }
        };
        let (before, is_dict) = (before as u32, addr == self.dict);
        let least = basicsize - if self.is_zoned(addr, basicsize, source) { 8 } else { 0 };
        Some(Info { addr, flags, basicsize, itemsize, least, before, rule, sized_as, flags_at, dict, is_dict })
    }

    /// The rule of the first type with one that this one is or comes from, and that type.
    fn rule(&self, addr: u64, source: &dyn Source) -> Option<(Rule, u64)> {
        let mut at = addr;
        for _ in 0..limits::BASES {
            if let Some((_, rule)) = self.families.iter().find(|(known, _)| *known == at) {
                return Some((*rule, at));
            }
            if let Some(own) = self.extension(at, source) {
                return Some((Rule::Own(own), at));
            }
            match source.word(at.wrapping_add(self.places.base)) {
                Some(base) if base != 0 => at = base,
                _ => break,
            }
        }
        None
    }

    /// What is known of the type at `addr` as one of an extension module: it has the name, the size that the
    /// name promises, and is no class of Python that somebody called so.
    fn extension(&self, addr: u64, source: &dyn Source) -> Option<&'static OwnSize> {
        let size = source.word(addr.wrapping_add(self.places.basicsize))?;
        let mut text = [0; NAME];
        let name = self.name(addr, source, &mut text)?;
        let start = |own: &OwnSize| self.places.starts[usize::from(own.start == Start::HeapType)];
        let fits = |own: &&OwnSize| own.name.as_bytes() == name && start(own) + u64::from(own.size) == size;
        self.rules.own_sizes.each().find(fits).filter(|_| self.is_written_in_c(addr, source))
    }

    /// Whether the type at `addr` is one of those that allocate their objects without the last field, the zone,
    /// where they have none (`time_alloc` and `datetime_alloc` in `Modules/_datetimemodule.c`, in all versions). What
    /// `sys.getsizeof` says counts that field. Classes that come from them allocate it always.
    fn is_zoned(&self, addr: u64, size: u64, source: &dyn Source) -> bool {
        let kind = match self.name(addr, source, &mut [0; NAME]) {
            Some(b"datetime.time") => Kind::Time,
            Some(b"datetime.datetime") => Kind::DateTime,
            _ => return false,
        };
        struct_size(kind, self.header) == Some(size) && self.is_written_in_c(addr, source)
    }

    /// `tp_name` of the type at `addr`, cut if it is long.
    fn name<'t>(&self, addr: u64, source: &dyn Source, text: &'t mut [u8; NAME]) -> Option<&'t [u8]> {
        let name = source.word(addr.wrapping_add(self.places.name))?;
        let have = source.read_some(name, text);
        text[..have].split(|byte| *byte == 0).next()
    }

    /// A class of Python has its name from the text of its `ht_name`; one in C has a name of its own.
    fn is_written_in_c(&self, addr: u64, source: &dyn Source) -> bool {
        let word = |offset: u64| source.word(addr.wrapping_add(offset));
        let Some((flags, name)) = word(self.places.flags).zip(word(self.places.name)) else { return false };
        let from_text = |(at, inside): (u64, u64)| word(at).is_none_or(|of| of.wrapping_add(inside) == name);
        flags & flag::HEAPTYPE == 0 || !self.places.heap_name.is_none_or(from_text)
    }
}

/// Words that one thread remembers, a power of two: all types of most programs.
const SLOTS: usize = 1 << 13;

/// What one thread knows of the types: no lock for those that it has met.
pub struct Local<'a> {
    types: &'a Types,
    pools: &'a Pools,
    source: &'a dyn Source,
    /// (word, number), by the word's low bits. A place is taken over by the next word that needs it.
    slots: Vec<(u64, Option<TypeId>)>,
    infos: Vec<Option<Info>>,
}

impl<'a> Local<'a> {
    /// Nothing known yet.
    pub fn new(types: &'a Types, pools: &'a Pools, source: &'a dyn Source) -> Local<'a> {
        Local { types, pools, source, slots: vec![(0, None); SLOTS], infos: Vec::new() }
    }

    /// The type that `word` points at.
    #[inline]
    pub fn get(&mut self, word: u64) -> Option<TypeId> {
        let slot = (word >> 4) as usize % SLOTS;
        let (known, id) = self.slots[slot];
        if known == word { id } else { self.look_up(word, slot) }
    }

    fn look_up(&mut self, word: u64, slot: usize) -> Option<TypeId> {
        if !word.is_multiple_of(8) || word >= 1 << 47 || !self.pools.can_be_type(word) {
            return None;
        }
        let found = self.types.find(word, self.source);
        self.slots[slot] = (word, found.map(|(id, _)| id));
        let (id, info) = found?;
        if self.infos.len() <= usize::from(id) {
            self.infos.resize(usize::from(id) + 1, None);
        }
        self.infos[usize::from(id)] = Some(info);
        Some(id)
    }

    /// Whether `addr` can be that of something of the garbage collector's.
    pub fn is_pointer(&self, addr: u64) -> bool {
        addr.is_multiple_of(8) && self.pools.is_mapped(addr)
    }

    /// Whether `addr` is mapped, and in no pool.
    #[inline]
    pub fn is_outside(&self, addr: u64) -> bool {
        self.pools.is_outside(addr)
    }

    /// What the type of this number says.
    #[inline]
    pub fn info(&self, id: TypeId) -> Option<&Info> {
        self.infos.get(usize::from(id))?.as_ref()
    }
}
