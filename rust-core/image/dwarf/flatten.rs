//! From the entry of a struct to its layout.
//!
//! What it does: reads the members of a struct or union, follows their types for sizes, and flattens
//! nested structs and unions. What it does not do: it finds nothing by name.
//!
//! Invariant: nesting is a worklist with caps on depth, on paths and on the number of members; each
//! struct and type is parsed once per call.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::entries::{Entries, Entry, Fault, Sections, TypeRef};
use super::{Member, StructLayout};

/// Most member entries parsed per call.
const MAX_MEMBERS: usize = 1 << 20;
/// Most flattened members over all structs of a call; 86 structs of Python 3.13 have 3,069.
const MAX_FLAT: usize = 1 << 17;
/// Names in a member path: `a.b.c.d`.
const MAX_PATH_NAMES: usize = 4;
/// Nesting of anonymous and named structs together.
const MAX_NESTING: usize = 16;
/// Typedefs, qualifiers and array levels in a row.
pub(super) const MAX_TYPE_CHAIN: usize = 64;
/// Dimensions of one array type.
const MAX_DIMENSIONS: usize = 16;
/// The targets are 64-bit; DWARF producers may leave the size of a pointer out.
const POINTER_SIZE: u64 = 8;

/// A member before flattening; `offset` counts from its own struct.
struct RawMember<'a> {
    name: Option<&'a [u8]>,
    offset: u64,
    size: u32,
    bit: Option<(u8, u8)>,
    nested: Option<TypeRef>,
}

/// What a member needs to know of its type: size in bytes (0 unknown), and the struct or union to
/// flatten.
type Resolved = (u32, Option<TypeRef>);

/// Reads types from a file and its supplementary file.
pub(super) struct TypeReader<'a> {
    pub(super) entries: Entries<'a>,
    parsed_members: Cell<usize>,
    flat_members: Cell<usize>,
    /// The first thing that went wrong: the reason to give if nothing is found.
    pub(super) fault: Cell<Option<Fault>>,
    resolved: RefCell<HashMap<TypeRef, Resolved>>,
    members: RefCell<HashMap<TypeRef, Rc<Vec<RawMember<'a>>>>>,
}

impl<'a> TypeReader<'a> {
    pub(super) fn new(main: &'a Sections, sup: Option<&'a Sections>) -> Self {
        let entries = Entries::new(main, sup);
        let fault = entries.sides.iter().find_map(|s| s.fault);
        Self {
            entries,
            parsed_members: Cell::new(0),
            flat_members: Cell::new(0),
            fault: Cell::new(fault),
            resolved: RefCell::default(),
            members: RefCell::default(),
        }
    }

    pub(super) fn note(&self, fault: Fault) {
        self.fault.set(self.fault.get().or(Some(fault)));
    }

    /// Flattens a struct or union. `None` (and a note) if any part of it cannot be read.
    pub(super) fn layout(&self, root: TypeRef) -> Option<StructLayout> {
        self.flatten(root).map_err(|fault| self.note(fault)).ok()
    }

    fn flatten(&self, root: TypeRef) -> Result<StructLayout, Fault> {
        struct Job {
            at: TypeRef,
            base: u64,
            /// What the paths of the members start with: `outer.`.
            prefix: Rc<str>,
            names: usize,
            nesting: usize,
        }
        let too_big = Fault::Broken("a struct beyond 4 GiB");
        let size = self.entries.entry(root)?.byte_size.unwrap_or(0);
        let size = u32::try_from(size).map_err(|_| too_big)?;
        let mut members = BTreeMap::new();
        let mut jobs = vec![Job { at: root, base: 0, prefix: Rc::from(""), names: 0, nesting: 0 }];
        while let Some(job) = jobs.pop() {
            for member in self.members(job.at)?.iter() {
                self.entries.spend_reading(1)?;
                let base = job.base.checked_add(member.offset).ok_or(too_big)?;
                let path = member.name.map(|name| {
                    let name = String::from_utf8_lossy(name);
                    format!("{}{name}", job.prefix)
                });
                let names = job.names + usize::from(path.is_some());
                if let Some(at) = member.nested
                    && names < MAX_PATH_NAMES
                {
                    let nesting = job.nesting + 1;
                    if nesting > MAX_NESTING || jobs.len() > MAX_FLAT {
                        return Err(Fault::Limit("structs nested too deeply"));
                    }
                    let prefix = match &path {
                        Some(path) => Rc::from(format!("{path}.")),
                        None => Rc::clone(&job.prefix),
                    };
                    jobs.push(Job { at, base, prefix, names, nesting });
                }
                if let Some(path) = path {
                    let count = self.flat_members.get() + 1;
                    self.flat_members.set(count);
                    if count > MAX_FLAT {
                        return Err(Fault::Limit("too many struct members"));
                    }
                    let offset = u32::try_from(base).map_err(|_| too_big)?;
                    let (size, bit) = (member.size, member.bit);
                    members.entry(path).or_insert(Member { offset, size, bit });
                }
            }
        }
        Ok(StructLayout { size, members })
    }

    /// The members of a struct or union, in declaration order.
    fn members(&self, at: TypeRef) -> Result<Rc<Vec<RawMember<'a>>>, Fault> {
        if let Some(known) = self.members.borrow().get(&at) {
            return Ok(Rc::clone(known));
        }
        let mut members = Vec::new();
        self.entries.children(at, |entry| {
            if entry.tag == gimli::DW_TAG_member {
                self.parsed_members.set(self.parsed_members.get() + 1);
                if self.parsed_members.get() > MAX_MEMBERS {
                    return Err(Fault::Limit("too many struct members"));
                }
                members.push(self.member(&entry)?);
            }
            Ok(())
        })?;
        let members = Rc::new(members);
        self.members.borrow_mut().insert(at, Rc::clone(&members));
        Ok(members)
    }

    fn member(&self, entry: &Entry<'a>) -> Result<RawMember<'a>, Fault> {
        let broken = Fault::Broken("a member outside all bounds");
        let (size, nested) = match entry.target {
            Some(target) => self.resolve(target)?,
            None => (0, None),
        };
        let mut offset = entry.location.unwrap_or(0);
        let mut bit = None;
        if let Some(width) = entry.bit_size {
            let base = offset.checked_mul(8).ok_or(broken)?;
            let lowest = match (entry.data_bit_offset, entry.bit_offset) {
                // DWARF 4 and 5: from the start of the struct.
                (Some(from_start), _) => base.checked_add(from_start),
                // DWARF 2 and 3: from the most significant bit of the storage unit.
                (None, Some(from_top)) => {
                    let unit = entry.byte_size.unwrap_or(u64::from(size)).checked_mul(8);
                    (unit.and_then(|unit| unit.checked_sub(from_top)?.checked_sub(width)))
                        .and_then(|low| base.checked_add(low))
                }
                (None, None) => Some(base),
            };
            let lowest = lowest.ok_or(broken)?;
            offset = lowest / 8;
            let within = u8::try_from(lowest % 8).map_err(|_| broken)?;
            bit = Some((within, u8::try_from(width).map_err(|_| broken)?));
        }
        Ok(RawMember { name: entry.name, offset, size, bit, nested })
    }

    /// The size of a type, and the struct or union it is (through typedefs, not through arrays).
    fn resolve(&self, start: TypeRef) -> Result<Resolved, Fault> {
        if let Some(known) = self.resolved.borrow().get(&start) {
            return Ok(*known);
        }
        let mut at = start;
        let mut elements = 1_u64;
        let mut array = false;
        for _ in 0..MAX_TYPE_CHAIN {
            let entry = self.entries.entry(at)?;
            if let Some(target) = entry.stands_for() {
                at = target;
                continue;
            }
            let is_array = entry.tag == gimli::DW_TAG_array_type;
            let is_pointer = entry.tag == gimli::DW_TAG_pointer_type;
            array |= is_array;
            let size = match (entry.byte_size, entry.target) {
                (Some(size), _) => size,
                (None, _) if is_pointer => POINTER_SIZE,
                (None, Some(element)) if is_array => {
                    elements = elements.saturating_mul(self.elements(at)?);
                    at = element;
                    continue;
                }
                // An enumeration may leave its size to its underlying type.
                (None, Some(underlying)) => {
                    at = underlying;
                    continue;
                }
                (None, None) if entry.declaration => {
                    return Err(Fault::Broken("a member of a type that is only declared"));
                }
                (None, None) => 0,
            };
            let nested = (entry.is_struct() && !array).then_some(at);
            // What does not fit is as good as unknown.
            let size = u32::try_from(size.saturating_mul(elements)).unwrap_or(0);
            self.resolved.borrow_mut().insert(start, (size, nested));
            return Ok((size, nested));
        }
        Err(Fault::Broken("a type that refers to itself"))
    }

    /// The number of elements of an array over all its dimensions; 0 for a flexible array.
    fn elements(&self, array: TypeRef) -> Result<u64, Fault> {
        let mut product = 1_u64;
        let mut dimensions = 0;
        self.entries.children(array, |entry| {
            if entry.tag == gimli::DW_TAG_subrange_type {
                dimensions += 1;
                product = product.saturating_mul(entry.count.unwrap_or(0));
            }
            if dimensions > MAX_DIMENSIONS {
                return Err(Fault::Limit("an array of too many dimensions"));
            }
            Ok(())
        })?;
        Ok(if dimensions == 0 { 0 } else { product })
    }
}
