//! Objects in static memory: in the writable data of the program and its libraries, which no allocator holds.
//!
//! Static types are there, `None` and its like, small ints, the strings and bytes of `_PyRuntime`, the code of frozen
//! modules (3.11, 3.12), definitions of modules. Nobody lists them: a place is taken for an object if it has the
//! address of a type where an object has its type, a possible reference count before that, and what objects of that
//! type have besides. Where all of that could be chance, as in the 16 bytes of `None`, something has to be known in
//! addition: that the object is immortal, that static data refers to it, that it is one of several in a row.
//!
//! Objects do not overlap: what lies in one that is certain is looked at no more. Types are full of what looks like
//! an object: `tp_base` behind a null pointer or a number.

use super::loose::Loose;
use super::scan::{Held, Plan, Worker};
use super::sizes::Rule;
use super::types::{Info, Local, TypeId, Types};
use crate::bytes::{Addr, uint, word};
use crate::image::{Module, mapped, modules};
use crate::layout::{Fields, Ints, RefCount, Rules};
use crate::limits;
use crate::locate::statics::SINGLETONS;
use crate::objects::{Objects, flag};
use crate::process::{Region, Source, maps};
use std::collections::HashSet;

/// What cannot be read alone.
const PAGE: u64 = 4096;
/// Bytes that are read at a time.
const RUN: usize = 1 << 20;

/// The largest `.bss` of a library whose headers cannot be read.
const ZEROS: u64 = 1 << 16;

/// `_PyObject_IMMORTAL_REFCNT` of 3.11, which changes as other counts do.
const FROZEN: u64 = 999_999_999;

/// Places in a table that rules out addresses, a power of two.
const BITS: usize = 1 << 16;

/// Digits of an int that a compiler wrote down.
const DIGITS: u64 = 64;

/// Where static objects can be, and what has to be known to tell them.
pub struct Places {
    /// In address order, without overlaps, and whether objects can be there: what is constant only refers to them, or
    /// is a copy of them (`initial` in `Python/pylifecycle.c`, 3.12).
    parts: Vec<(u64, u64, bool)>,
    /// What is mapped so low that an address can be taken for a reference count.
    low: Vec<(u64, u64)>,
    known: Vec<u64>,
    module_def: u64,
    fields: Fields,
    rules: Rules,
}

impl Places {
    /// Those of the target.
    pub fn new(objects: &Objects) -> Places {
        let (memory, located) = (&objects.memory, &objects.located);
        let known = SINGLETONS.iter().filter_map(|name| Some(located.image.symbol(name)?.0)).collect();
        let regions = memory.regions();
        let mut parts = Vec::new();
        for (start, end) in data(objects) {
            let Some(region) = maps::find(&regions, start) else { continue };
            if region.path.starts_with('/') {
                parts.push((start, end, region.writable));
            } else {
                // Zeros that were never touched.
                let touched = memory.populated_of(region).into_iter();
                parts.extend(touched.map(|(a, b)| (a.max(start), b.min(end), true)).filter(|(a, b, _)| a < b));
            }
        }
        // A file's last page and the zeros behind it are two mappings, and an object can be in both.
        parts.dedup_by(|next: &mut (u64, u64, bool), part| {
            let together = next.0 == part.1 && next.2 == part.2;
            part.1 = if together { next.1 } else { part.1 };
            together
        });
        let module_def = located.static_type("moduledef", memory).map_or(0, |ty| ty.0);
        let low =
            regions.iter().filter(|region| region.start < 1 << 32).map(|region| (region.start, region.end)).collect();
        Places { parts, low, known, module_def, fields: objects.layout.fields, rules: objects.layout.rules }
    }
}

/// The writable data of the program and its libraries, what they have made read-only after its start included, and
/// the interpreters' states: since 3.12 they have objects in them, and before gh-91058 they are memory of malloc's.
/// In address order, without overlaps, each in one mapping.
pub fn data(objects: &Objects) -> Vec<(u64, u64)> {
    let memory = &objects.memory;
    let regions = memory.regions();
    let code: HashSet<&str> = regions.iter().filter(|r| r.executable).map(|r| r.path.as_str()).collect();
    let mut parts = from_mappings(&regions, &code);
    // GDB's cores do not say which mappings had code. A file that was mapped to be read is mapped in one piece.
    let is_program = |module: &&Module| module.end > module.first_end || code.contains(module.path.as_str());
    for module in modules::modules(&regions).iter().filter(is_program) {
        parts.extend(mapped::data(module, memory));
    }
    parts.extend(objects.located.image.data());
    let size = objects.layout.interp.size.at().unwrap_or(0).min(limits::INTERPRETER);
    parts.extend(objects.interpreters().into_iter().map(|state| (state.0, state.0.saturating_add(size))));
    parts.sort_unstable();
    parts.dedup_by(|next, part| {
        let together = next.0 <= part.1;
        part.1 = if together { part.1.max(next.1) } else { part.1 };
        together
    });
    // What a module's headers say is a claim.
    let mapped = |(start, end): (u64, u64)| {
        let first = regions.partition_point(|region| region.end <= start);
        let regions = regions[first..].iter().take_while(move |region| region.start < end.min(Loose::END));
        regions.map(|region| (region.start.max(start), region.end.min(end).min(Loose::END))).collect::<Vec<_>>()
    };
    parts.into_iter().filter(|(start, end)| start < end).flat_map(mapped).collect()
}

/// The writable data of files with code, as far as the mappings show it. The zeros behind it (`.bss`) are a mapping of
/// their own, which nothing tells from other memory beside it but its size.
fn from_mappings(regions: &[Region], code: &HashSet<&str>) -> Vec<(u64, u64)> {
    let mut parts = Vec::new();
    let mut file_end = 0;
    for region in regions {
        let is_file = region.path.starts_with('/') && code.contains(region.path.as_str());
        let is_zeros = region.path.is_empty() && region.start == file_end && region.end - region.start <= ZEROS;
        if region.writable && (is_file || is_zeros) {
            parts.push((region.start, region.end));
        }
        if is_file {
            file_end = region.end;
        }
    }
    parts
}

/// The bytes of the parts, read once.
pub(super) struct Data<'a> {
    parts: Vec<(u64, bool, Vec<u8>)>,
    beyond: &'a dyn Source,
}

impl<'a> Data<'a> {
    /// Those of `places`, as far as they can be read and [`limits::STATIC_BYTES`] go.
    pub fn read(places: &Places, source: &'a dyn Source, go_on: &dyn Fn() -> bool) -> Data<'a> {
        let mut data = Data { parts: Vec::new(), beyond: source };
        let mut buffer = vec![0; RUN];
        let mut room = limits::STATIC_BYTES;
        for (start, end, writable) in &places.parts {
            let mut at = *start;
            let mut bytes = Vec::new();
            while at < *end && room > 0 && go_on() {
                let length = (end - at).min(room).min(RUN as u64) as usize;
                let have = source.read_some(at, &mut buffer[..length]);
                bytes.extend_from_slice(&buffer[..have]);
                at += have as u64;
                room -= have as u64;
                if have < length {
                    // A page that cannot be read is left out.
                    data.add(at, *writable, std::mem::take(&mut bytes));
                    at = at / PAGE * PAGE + PAGE;
                    room = room.saturating_sub(PAGE);
                }
            }
            data.add(at, *writable, bytes);
        }
        data
    }

    /// Adds bytes that end at `end`.
    fn add(&mut self, end: u64, writable: bool, mut bytes: Vec<u8>) {
        if !bytes.is_empty() {
            bytes.shrink_to_fit();
            self.parts.push((end - bytes.len() as u64, writable, bytes));
        }
    }

    fn from(&self, addr: u64) -> Option<&[u8]> {
        let after = self.parts.partition_point(|(start, ..)| *start <= addr);
        let (start, _, bytes) = self.parts.get(after.checked_sub(1)?)?;
        bytes.get((addr - start) as usize..).filter(|rest| !rest.is_empty())
    }
}

impl Source for Data<'_> {
    fn read_some(&self, addr: u64, buffer: &mut [u8]) -> usize {
        match self.from(addr).and_then(|rest| rest.get(..buffer.len())) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                bytes.len()
            }
            None => self.beyond.read_some(addr, buffer),
        }
    }
}

/// What can be an object.
#[derive(Debug, Clone, Copy)]
struct Found {
    at: u64,
    end: u64,
    id: TypeId,
    /// Nothing else has to be known.
    sure: bool,
    /// That of a small int.
    value: Option<i64>,
}

impl Worker<'_> {
    /// Counts the objects in static memory, whose bytes are in `data`.
    pub(super) fn statics(&mut self, places: &Places, data: &Data<'_>, types: &Types) {
        let mut all = Vec::new();
        let local = &mut self.local;
        let (metatypes, others) = (Vec::new(), HashSet::new());
        let mut finder = Finder { places, plan: self.plan, data, types, local, metatypes, others };
        for (start, _, bytes) in data.parts.iter().filter(|(_, writable, _)| *writable) {
            finder.part(*start, bytes, &mut all);
        }
        confirm(&mut all, places, data);
        let mut end = 0;
        for (i, one) in all.iter().enumerate() {
            if !one.sure || one.at < end {
                continue;
            }
            let next = all[i + 1..].iter().find(|next| next.sure).map_or(u64::MAX, |next| next.at);
            if one.end > next {
                continue;
            }
            if let Some(bytes) = data.from(one.at) {
                self.count(one.id, (one.at, 0), bytes, (bytes.len() as u64, Held::Static));
                self.part.loose.push(Loose::new(one.at, one.id));
                self.part.statics.push((one.at, one.end));
                end = one.end;
            }
        }
    }
}

/// Makes sure of those that static data refers to, and of ints in a row.
fn confirm(all: &mut [Found], places: &Places, data: &Data<'_>) {
    let row = |a: &Found, b: &Found| {
        let next = a.value.zip(b.value).is_some_and(|(a, b)| a + 1 == b);
        next && a.id == b.id && a.end.next_multiple_of(16) == b.at
    };
    let rows: Vec<usize> = (1..all.len()).filter(|i| row(&all[i - 1], &all[*i])).flat_map(|i| [i - 1, i]).collect();
    rows.into_iter().for_each(|i| all[i].sure = true);
    let doubtful: Vec<u64> = all.iter().filter(|one| !one.sure).map(|one| one.at).collect();
    // Most words are ruled out by a few of their bits.
    let place = |addr: u64| (addr >> 3) as usize % BITS;
    let mut bits = vec![false; BITS];
    doubtful.iter().for_each(|addr| bits[place(*addr)] = true);
    let mut referred: HashSet<u64> = places.known.iter().copied().collect();
    for (_, _, bytes) in &data.parts {
        for value in bytes.chunks_exact(8).filter_map(|bytes| word(bytes, 0)) {
            if bits[place(value)] && doubtful.binary_search(&value).is_ok() {
                referred.insert(value);
            }
        }
    }
    all.iter_mut().for_each(|one| one.sure |= referred.contains(&one.at));
}

struct Finder<'a, 'l> {
    places: &'a Places,
    plan: &'a Plan,
    data: &'a Data<'a>,
    types: &'a Types,
    local: &'a mut Local<'l>,
    /// Types of types that were met, and what is none.
    metatypes: Vec<u64>,
    others: HashSet<u64>,
}

impl Finder<'_, '_> {
    fn part(&mut self, start: u64, bytes: &[u8], all: &mut Vec<Found>) {
        let mut at = start.next_multiple_of(8);
        while let Some(object) = bytes.get((at - start) as usize..).filter(|rest| rest.len() >= 16) {
            let found = self.object(at, object);
            all.extend(found);
            at = found.filter(|found| found.sure).map_or(at + 8, |found| found.end.next_multiple_of(8));
        }
    }

    /// The object that can begin at `at`, where memory goes on with `object`.
    #[inline]
    fn object(&mut self, at: u64, object: &[u8]) -> Option<Found> {
        let pointer = word(object, self.plan.type_place()).filter(|pointer| *pointer != 0)?;
        if !self.plan.alive(object) || self.plan.is_counted_by_threads(object) {
            return None;
        }
        if !self.has_metatype(pointer) {
            return None;
        }
        let id = self.local.get(pointer)?;
        let info = *self.local.info(id)?;
        let (length, sure, value) = self.kind(at, object, &info)?;
        // A heap can lie where the count of 3.11's static objects would be an address.
        let (is_immortal, is_low) = (self.is_immortal(object, &info), self.is_low(at, object));
        let fits = length >= self.plan.type_place() as u64 + 8 && length <= object.len() as u64;
        (fits && (sure || is_immortal || !is_low)).then(|| Found {
            at,
            end: at + length,
            id,
            sure: sure || is_immortal && !is_low,
            value,
        })
    }

    /// Whether what is at `pointer` can be a type: if it is static too, its own type has to be one of the few that
    /// types have. To look at each word that is no type as at one that may be takes most of the time.
    #[inline]
    fn has_metatype(&mut self, pointer: u64) -> bool {
        if !pointer.is_multiple_of(8) {
            return false;
        }
        let Some(object) = self.data.from(pointer) else { return true };
        let Some(meta) = word(object, self.plan.type_place()) else { return false };
        if self.metatypes.contains(&meta) {
            return true;
        }
        let is_metatype = !self.others.contains(&meta)
            && self.types.sizes(meta, self.data).is_some_and(|(flags, ..)| flags & flag::TYPE_SUBCLASS != 0);
        if is_metatype {
            self.metatypes.push(meta);
        } else {
            self.others.insert(meta);
        }
        is_metatype
    }

    /// Whether its count can be an address, as in a table of types.
    fn is_low(&self, at: u64, object: &[u8]) -> bool {
        let count = self.plan.mortal(object).unwrap_or(0);
        let is_mapped = self.places.low.iter().any(|(start, end)| (*start..*end).contains(&count));
        is_mapped && !self.places.known.contains(&at)
    }

    /// Whether its count is one that static objects are made with and that nothing else has: they are immortal
    /// (3.12, PEP 683), or begin with 999999999 (3.11, bpo-45953).
    fn is_immortal(&self, object: &[u8], info: &Info) -> bool {
        match self.plan.mortal(object) {
            None => true,
            Some(count) => {
                let near = self.places.rules.refcount == RefCount::Word && count.abs_diff(FROZEN) < 1 << 26;
                near && info.flags & flag::HEAPTYPE == 0
            }
        }
    }

    /// Bytes of the object, if it has what objects of its type have; whether that is enough to be sure; the value of
    /// a small int.
    fn kind(&mut self, at: u64, object: &[u8], info: &Info) -> Option<(u64, bool, Option<i64>)> {
        let Places { fields, rules, .. } = self.places;
        let header = fields.object.size.at().ok()?;
        if info.flags & flag::TYPE_SUBCLASS != 0 {
            return self.class(at).map(|length| (length, true, None));
        }
        match info.rule {
            Rule::Int => return self.int(object).map(|(length, value)| (length, false, value)),
            Rule::Str => return self.string(object),
            Rule::Code => {
                let constants = fields.code.co_consts.get(object)?;
                let ty = self.data.word(constants.checked_add(fields.object.ob_type.at().ok()?)?)?;
                let ty = self.local.get(ty)?;
                let is_tuple = self.local.info(ty)?.flags & flag::TUPLE_SUBCLASS != 0;
                let items = if info.itemsize > 0 { fields.var.ob_size.get(object)? } else { 0 };
                let length = info.basicsize.checked_add(items.checked_mul(info.itemsize)?)?;
                return is_tuple.then_some((length, true, None));
            }
            _ => {}
        }
        if info.addr == self.places.module_def && self.places.module_def != 0 {
            // m_init, m_index, m_copy; m_name, m_doc, m_size.
            let get = |place: u64| word(object, (header + place) as usize);
            let name = self.text(get(24)?)?;
            let fits = (name.is_ascii_alphanumeric() || name == b'_') && (-1..1 << 32).contains(&(get(40)? as i64));
            return (fits && get(8)? < 1 << 32).then_some((info.basicsize, true, None));
        }
        if info.itemsize == 0 {
            return Some((info.basicsize, false, None));
        }
        let items = fields.var.ob_size.get(object)?;
        if info.flags & flag::BYTES_SUBCLASS != 0 {
            let text = if rules.python2 { &fields.str2.ob_sval } else { &fields.bytes.ob_sval }.at().ok()?;
            let end = text.checked_add(items)?;
            return (*object.get(usize::try_from(end).ok()?)? == 0).then_some((end + 1, items > 1, None));
        }
        if info.flags & flag::TUPLE_SUBCLASS != 0 {
            let first = fields.tuple.ob_item.at().ok()? as usize;
            let length = first.checked_add(usize::try_from(items.checked_mul(8)?).ok()?)?;
            let is_object = |item: &[u8]| word(item, 0).is_some_and(|item| item % 8 == 0 && item < 1 << 47);
            return object.get(first..length)?.chunks_exact(8).all(is_object).then_some((length as u64, false, None));
        }
        // Some types have items and no `ob_size`.
        let items = items.checked_mul(info.itemsize).filter(|bytes| *bytes < limits::BASICSIZE).unwrap_or(0);
        Some((info.basicsize + items, false, None))
    }

    /// The first byte of a text.
    fn text(&self, at: u64) -> Option<u8> {
        let mut bytes = [0];
        (self.data.read_some(at, &mut bytes) == 1).then_some(bytes[0])
    }

    /// Bytes of the static type at `at`, if there is one.
    fn class(&self, at: u64) -> Option<u64> {
        let (flags, ..) = self.types.sizes(at, self.data)?;
        (flags & flag::HEAPTYPE == 0).then_some(self.places.fields.ty.size.at().ok()?)
    }

    fn int(&self, object: &[u8]) -> Option<(u64, Option<i64>)> {
        let Places { fields, rules, .. } = self.places;
        let (negative, digits) = match rules.ints {
            Ints::SignedSize => {
                let size = fields.var.ob_size.get(object)? as i64;
                (size < 0, size.unsigned_abs())
            }
            Ints::Tagged => {
                let tag = fields.long.lv_tag.get(object)?;
                // SIGN_ZERO is 1.
                let (sign, digits) = (tag & 3, tag >> 3);
                if sign == 3 || (sign == 1) != (digits == 0) {
                    return None;
                }
                (sign == 2, digits)
            }
        };
        let first = fields.long.ob_digit.at().ok()? as usize;
        let digit = |i: u64| uint(object, first + 4 * i as usize, 4);
        let is_digit = |i: u64| digit(i).is_some_and(|digit| digit < 1 << 30);
        let fits = digits <= DIGITS && (0..digits).all(is_digit) && (digits == 0 || digit(digits - 1)? > 0);
        let value = match digits {
            0 => Some(0),
            1 => digit(0).map(|digit| digit as i64),
            _ => None,
        };
        let value = value.map(|value| if negative { -value } else { value });
        fits.then(|| (first as u64 + 4 * digits.max(1), value))
    }

    /// A compact string: nobody writes down another one.
    fn string(&self, object: &[u8]) -> Option<(u64, bool, Option<i64>)> {
        let fields = &self.places.fields;
        let (length, width) = (fields.ascii.length.get(object)?, fields.ascii.kind.get(object)?);
        let ascii = fields.ascii.ascii.get(object)? != 0;
        let fits = matches!((width, ascii), (1, _) | (2 | 4, false)) && fields.ascii.compact.get(object)? != 0;
        let first = if ascii { &fields.ascii.size } else { &fields.compact.size }.at().ok()?;
        let end = first.checked_add(length.checked_mul(width).filter(|_| fits)?)?;
        let zero = uint(object, usize::try_from(end).ok()?, width as usize)?;
        (zero == 0).then_some((end + width, length > 0, None))
    }
}

impl super::Census {
    /// The bytes of the object at `addr`, if it is in static memory.
    pub fn in_static(&self, addr: Addr) -> Option<u64> {
        length(&self.scanned.statics, addr.0)
    }
}

/// The bytes of the object at `addr`, if it is one of those that begin and end there, in address order.
pub(super) fn length(all: &[(u64, u64)], addr: u64) -> Option<u64> {
    let i = all.binary_search_by_key(&addr, |(start, _)| *start).ok()?;
    all.get(i).map(|(start, end)| end - start)
}
