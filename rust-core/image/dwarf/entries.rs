//! Reading entries of `.debug_info`, of one file and its supplementary file.
//!
//! What it does: loads the sections, finds the unit of an offset, reads the attributes of an entry
//! that describe types. What it does not do: it gives no meaning to entries.
//!
//! Invariant: every entry that is read costs fuel, so that any sequence of calls ends; offsets from
//! the file are only ever looked up, never trusted.

use std::cell::{Cell, OnceCell};
use std::collections::HashMap;
use std::path::Path;

use gimli::{
    Abbreviation, Abbreviations, AttributeSpecification, AttributeValue, DebugAbbrev, DebugInfo, EndianSlice,
    EntriesRaw, Format, LittleEndian, Reader, UnitHeader, UnitOffset, UnitType,
};

use super::DwarfError;
use crate::image::debug_file::{DebugElf, ElfError};

/// Attributes and entries that a call may pass over while it looks for names. A 46 MB `.debug_info`
/// with 1.8 million entries, read whole, costs about 10 million. (The size of the section alone is
/// no bound: an abbreviation may list thousands of attributes that take no bytes.)
const WALK_FUEL: u64 = 1 << 27;
/// Attributes, entries and members that a call may read to make out types, which costs more time
/// each. 86 structs of Python 3.13, its runtime state among them, cost 106 thousand.
const READ_FUEL: u64 = 1 << 23;
/// Bytes of all sections that are loaded of one file (after inflating).
const MAX_SECTIONS: u64 = 1 << 30;
/// Largest `.debug_abbrev`: parsed tables take about 25 times their size in memory.
const MAX_ABBREV: u64 = 16 << 20;
/// Most units in one file.
const MAX_UNITS: usize = 1 << 18;
/// Longest identifier, in bytes; longer ones are treated as damage.
const MAX_NAME: usize = 255;

pub(super) type Slice<'a> = EndianSlice<'a, LittleEndian>;
pub(super) type Cursor<'a, 'r> = EntriesRaw<'r, Slice<'a>>;

/// What stops the reading of a unit, a type or the whole search.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Dwarf(gimli::Error),
    Broken(&'static str),
    Limit(&'static str),
}

impl From<gimli::Error> for Fault {
    fn from(error: gimli::Error) -> Self {
        Self::Dwarf(error)
    }
}

impl Fault {
    pub(super) fn into_error(self, path: &Path) -> DwarfError {
        let path = path.to_owned();
        match self {
            Self::Dwarf(error) => DwarfError::Malformed { path, what: error.to_string() },
            Self::Broken(what) => DwarfError::Malformed { path, what: what.to_owned() },
            Self::Limit(what) => DwarfError::Limit { path, what },
        }
    }
}

/// The sections that types need. `.debug_line`, `.debug_loclists` and `.debug_rnglists` are left
/// alone: inflating them costs more than the search itself.
pub(super) struct Sections {
    info: Vec<u8>,
    abbrev: Vec<u8>,
    strings: Vec<u8>,
    line_strings: Vec<u8>,
    string_offsets: Vec<u8>,
}

impl Sections {
    pub(super) fn load(elf: &mut DebugElf) -> Result<Option<Self>, ElfError> {
        let mut room = MAX_SECTIONS;
        let mut load = |name: &str, most: u64| -> Result<Vec<u8>, ElfError> {
            let section = elf.section(name, most.min(room))?.unwrap_or_default();
            room = room.saturating_sub(section.len() as u64);
            Ok(section)
        };
        let info = load(".debug_info", MAX_SECTIONS)?;
        if info.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            info,
            abbrev: load(".debug_abbrev", MAX_ABBREV)?,
            strings: load(".debug_str", MAX_SECTIONS)?,
            line_strings: load(".debug_line_str", MAX_SECTIONS)?,
            string_offsets: load(".debug_str_offsets", MAX_SECTIONS)?,
        }))
    }
}

/// An entry of `.debug_info`: which file, and the offset in its section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TypeRef {
    pub(super) side: usize,
    pub(super) offset: usize,
}

const MAIN: usize = 0;
const SUP: usize = 1;

pub(super) struct Unit<'a> {
    pub(super) header: UnitHeader<Slice<'a>>,
    pub(super) start: usize,
    table: usize,
    /// `DW_AT_str_offsets_base`, read on first use.
    string_base: OnceCell<usize>,
}

/// One abbreviation table, parsed on first use.
struct Table {
    start: usize,
    end: usize,
    parsed: OnceCell<Result<Abbreviations, gimli::Error>>,
}

/// One file: the main one or its supplementary file.
pub(super) struct Side<'a> {
    sections: &'a Sections,
    pub(super) units: Vec<Unit<'a>>,
    tables: Vec<Table>,
    pub(super) fault: Option<Fault>,
    signatures: OnceCell<HashMap<u64, usize>>,
}

impl<'a> Side<'a> {
    fn new(sections: &'a Sections) -> Self {
        let mut headers = DebugInfo::new(&sections.info, LittleEndian).units();
        let mut units = Vec::new();
        let mut fault = None;
        loop {
            match headers.next() {
                Ok(Some(_)) if units.len() >= MAX_UNITS => {
                    fault = Some(Fault::Limit("too many units"));
                    break;
                }
                Ok(Some(header)) => {
                    units.push(Unit { header, start: header.offset().0, table: 0, string_base: OnceCell::new() })
                }
                Ok(None) => break,
                Err(error) => {
                    fault = Some(error.into());
                    break;
                }
            }
        }
        // Tables start where some unit says so and end before the next one starts. Cutting them
        // there makes parsing all of them linear in the section, whatever the offsets claim.
        let mut starts: Vec<usize> = units.iter().map(|u| u.header.debug_abbrev_offset().0).collect();
        starts.sort_unstable();
        starts.dedup();
        for unit in &mut units {
            unit.table = starts.partition_point(|&s| s < unit.header.debug_abbrev_offset().0);
        }
        let size = sections.abbrev.len();
        let ends = starts.iter().skip(1).copied().chain([size]);
        let tables = (starts.iter().zip(ends))
            .map(|(&start, end)| Table { start, end: end.min(size), parsed: OnceCell::new() })
            .collect();
        Self { sections, units, tables, fault, signatures: OnceCell::new() }
    }

    pub(super) fn abbreviations(&self, unit: &Unit<'a>) -> Result<&Abbreviations, Fault> {
        let table = self.tables.get(unit.table).ok_or(Fault::Broken("no abbreviation table"))?;
        let parse = || {
            let bytes = self.sections.abbrev.get(..table.end).unwrap_or_default();
            DebugAbbrev::new(bytes, LittleEndian).abbreviations(gimli::DebugAbbrevOffset(table.start))
        };
        table.parsed.get_or_init(parse).as_ref().map_err(|e| Fault::Dwarf(*e))
    }

    /// The unit that holds an offset of `.debug_info`.
    fn unit_at(&self, offset: usize) -> Option<&Unit<'a>> {
        self.units.get(self.units.partition_point(|u| u.start <= offset).checked_sub(1)?)
    }

    /// The type that a type unit of this signature defines.
    fn by_signature(&self, signature: u64) -> Option<usize> {
        let build = || {
            let entry = |unit: &Unit<'a>| match unit.header.type_() {
                UnitType::Type { type_signature, type_offset } => {
                    Some((type_signature.0, unit.start.checked_add(type_offset.0)?))
                }
                _ => None,
            };
            self.units.iter().filter_map(entry).collect()
        };
        self.signatures.get_or_init(build).get(&signature).copied()
    }
}

/// The attributes of an entry that matter for layouts.
pub(super) struct Entry<'a> {
    pub(super) tag: gimli::DwTag,
    pub(super) has_children: bool,
    pub(super) name: Option<&'a [u8]>,
    pub(super) declaration: bool,
    pub(super) byte_size: Option<u64>,
    pub(super) target: Option<TypeRef>,
    pub(super) location: Option<u64>,
    pub(super) bit_size: Option<u64>,
    pub(super) data_bit_offset: Option<u64>,
    pub(super) bit_offset: Option<u64>,
    pub(super) count: Option<u64>,
}

impl Entry<'_> {
    /// The type that this one merely stands for: of a typedef, a qualifier, or a declaration that
    /// names its definition.
    pub(super) fn stands_for(&self) -> Option<TypeRef> {
        let transparent = matches!(
            self.tag,
            gimli::DW_TAG_typedef
                | gimli::DW_TAG_const_type
                | gimli::DW_TAG_volatile_type
                | gimli::DW_TAG_restrict_type
                | gimli::DW_TAG_atomic_type
        );
        self.target.filter(|_| transparent || self.declaration)
    }

    pub(super) fn is_struct(&self) -> bool {
        matches!(self.tag, gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type)
    }

    fn new(abbrev: &Abbreviation) -> Self {
        Self {
            tag: abbrev.tag(),
            has_children: abbrev.has_children(),
            name: None,
            declaration: false,
            byte_size: None,
            target: None,
            location: None,
            bit_size: None,
            data_bit_offset: None,
            bit_offset: None,
            count: None,
        }
    }
}

/// The units of a file and of its supplementary file, and the fuel for reading them.
pub(super) struct Entries<'a> {
    pub(super) sides: Vec<Side<'a>>,
    walk_fuel: Cell<u64>,
    read_fuel: Cell<u64>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(main: &'a Sections, sup: Option<&'a Sections>) -> Self {
        Self {
            sides: std::iter::once(main).chain(sup).map(Side::new).collect(),
            walk_fuel: Cell::new(WALK_FUEL),
            read_fuel: Cell::new(READ_FUEL),
        }
    }

    /// The abbreviations of a unit of the file `side`.
    pub(super) fn abbreviations(&self, side: usize, unit: &Unit<'a>) -> Result<&Abbreviations, Fault> {
        let side = self.sides.get(side).ok_or(Fault::Broken("no such file"))?;
        side.abbreviations(unit)
    }

    /// Pays for passing over an entry; an error when the fuel is gone.
    pub(super) fn spend_walking(&self, abbrev: &Abbreviation) -> Result<(), Fault> {
        take(&self.walk_fuel, 1 + abbrev.attributes().len())
    }

    /// Pays for reading an entry or using a member; an error when the fuel is gone.
    pub(super) fn spend_reading(&self, amount: usize) -> Result<(), Fault> {
        take(&self.read_fuel, amount)
    }

    /// Reads an entry's attributes for its name (if `named`) and its sibling.
    pub(super) fn name_and_sibling(
        &self,
        side: usize,
        unit: &Unit<'a>,
        cursor: &mut Cursor<'a, '_>,
        abbrev: &Abbreviation,
        named: bool,
    ) -> Result<(Option<&'a [u8]>, Option<UnitOffset>), Fault> {
        let (mut name, mut sibling) = (None, None);
        let mut rest = abbrev.attributes();
        let useful = |spec: &AttributeSpecification| match spec.name() {
            gimli::DW_AT_name => named,
            gimli::DW_AT_sibling => abbrev.has_children(),
            _ => false,
        };
        while let Some(next) = rest.iter().position(useful) {
            let (before, after) = rest.split_at(next);
            let Some((spec, after)) = after.split_first() else {
                break;
            };
            skip(cursor, before)?;
            let attribute = cursor.read_attribute(*spec)?;
            match (spec.name(), attribute.raw_value()) {
                (gimli::DW_AT_sibling, AttributeValue::UnitRef(to)) => sibling = Some(to),
                (gimli::DW_AT_name, value) => name = self.string(side, unit, &value),
                _ => {}
            }
            rest = after;
        }
        skip(cursor, rest)?;
        Ok((name, sibling))
    }

    /// Calls `each` with the direct children of an entry.
    pub(super) fn children(
        &self,
        at: TypeRef,
        mut each: impl FnMut(Entry<'a>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (unit, mut cursor) = self.cursor(at)?;
        match self.read_entry(at.side, unit, &mut cursor)? {
            Some(parent) if parent.has_children => {}
            _ => return Ok(()),
        }
        let mut depth = 0_usize;
        // Running out of input before the closing null entry is an error of `read_entry`.
        loop {
            match self.read_entry(at.side, unit, &mut cursor)? {
                Some(entry) => {
                    let nested = usize::from(entry.has_children);
                    if depth == 0 {
                        each(entry)?;
                    }
                    depth += nested;
                }
                None => match depth.checked_sub(1) {
                    Some(up) => depth = up,
                    None => return Ok(()),
                },
            }
        }
    }

    pub(super) fn entry(&self, at: TypeRef) -> Result<Entry<'a>, Fault> {
        let (unit, mut cursor) = self.cursor(at)?;
        self.read_entry(at.side, unit, &mut cursor)?.ok_or(Fault::Broken("a reference to nothing"))
    }

    pub(super) fn cursor(&self, at: TypeRef) -> Result<(&Unit<'a>, Cursor<'a, '_>), Fault> {
        let outside = Fault::Broken("a reference outside the section");
        let side = self.sides.get(at.side).ok_or(outside)?;
        let unit = side.unit_at(at.offset).ok_or(outside)?;
        let within = UnitOffset(at.offset.checked_sub(unit.start).ok_or(outside)?);
        Ok((unit, unit.header.entries_raw(side.abbreviations(unit)?, Some(within))?))
    }

    /// Reads the next entry; `None` is the null entry that ends a list of children.
    pub(super) fn read_entry(
        &self,
        side: usize,
        unit: &Unit<'a>,
        cursor: &mut Cursor<'a, '_>,
    ) -> Result<Option<Entry<'a>>, Fault> {
        let Some(abbrev) = cursor.read_abbreviation()? else {
            self.spend_reading(1)?;
            return Ok(None);
        };
        self.spend_reading(1 + abbrev.attributes().len())?;
        let mut entry = Entry::new(abbrev);
        for spec in abbrev.attributes() {
            let attribute = cursor.read_attribute(*spec)?;
            let value = attribute.raw_value();
            // Constants may come in any form; DWARF 2 and 3 give a member's place as an expression.
            let number = || attribute.udata_value().or_else(|| plus_constant(&value));
            match spec.name() {
                gimli::DW_AT_name => {
                    let name = self.string(side, unit, &value);
                    entry.name = Some(name.ok_or(Fault::Broken("a name outside its section"))?);
                }
                gimli::DW_AT_declaration => entry.declaration = value == AttributeValue::Flag(true),
                gimli::DW_AT_byte_size => entry.byte_size = number(),
                gimli::DW_AT_type => entry.target = Some(self.reference(side, unit, &value)?),
                // A declaration whose definition is in a type unit (`-fdebug-types-section`). Those of
                // DWARF 4 are in another section, which is not read.
                gimli::DW_AT_signature => entry.target = self.reference(side, unit, &value).ok(),
                gimli::DW_AT_data_member_location => {
                    entry.location = Some(number().ok_or(Fault::Broken("a member with no place"))?);
                }
                gimli::DW_AT_bit_size => entry.bit_size = number(),
                gimli::DW_AT_data_bit_offset => entry.data_bit_offset = number(),
                gimli::DW_AT_bit_offset => entry.bit_offset = number(),
                gimli::DW_AT_count => entry.count = number(),
                // A bound of -1 (an array of length zero) is no number or overflows: no elements.
                gimli::DW_AT_upper_bound => {
                    entry.count = number().and_then(|bound| bound.checked_add(1));
                }
                _ => {}
            }
        }
        Ok(Some(entry))
    }

    fn reference(&self, side: usize, unit: &Unit<'a>, value: &AttributeValue<Slice<'a>>) -> Result<TypeRef, Fault> {
        let target = match *value {
            AttributeValue::UnitRef(to) => unit.start.checked_add(to.0).map(|to| (side, to)),
            // Links between units: LTO, and the partial units of dwz.
            AttributeValue::DebugInfoRef(to) => Some((side, to.0)),
            AttributeValue::DebugInfoRefSup(to) if side == MAIN => Some((SUP, to.0)),
            AttributeValue::DebugTypesRef(signature) => {
                (self.sides.get(side)).and_then(|s| s.by_signature(signature.0)).map(|to| (side, to))
            }
            _ => None,
        };
        let (side, offset) = target.ok_or(Fault::Broken("a reference to an unknown type"))?;
        Ok(TypeRef { side, offset })
    }

    fn string(&self, side: usize, unit: &Unit<'a>, value: &AttributeValue<Slice<'a>>) -> Option<&'a [u8]> {
        let sections = self.sides.get(side)?.sections;
        match *value {
            AttributeValue::String(s) => Some(s.slice()).filter(|s| s.len() <= MAX_NAME),
            AttributeValue::DebugStrRef(at) => c_string(&sections.strings, at.0),
            AttributeValue::DebugLineStrRef(at) => c_string(&sections.line_strings, at.0),
            AttributeValue::DebugStrRefSup(at) if side == MAIN => {
                c_string(&self.sides.get(SUP)?.sections.strings, at.0)
            }
            AttributeValue::DebugStrOffsetsIndex(index) => {
                let base = *unit.string_base.get_or_init(|| self.string_base(side, unit));
                let width = usize::from(unit.header.format().word_size());
                let at = base.checked_add(index.0.checked_mul(width)?)?;
                let bytes = sections.string_offsets.get(at..at.checked_add(width)?)?;
                let offset = bytes.iter().rev().fold(0_u64, |sum, &b| (sum << 8) | u64::from(b));
                c_string(&sections.strings, usize::try_from(offset).ok()?)
            }
            _ => None,
        }
    }

    /// `DW_AT_str_offsets_base` of the unit's root, else the place after the table's header.
    fn string_base(&self, side: usize, unit: &Unit<'a>) -> usize {
        let default = if unit.header.format() == Format::Dwarf64 { 16 } else { 8 };
        let read = || {
            let abbrevs = self.sides.get(side)?.abbreviations(unit).ok()?;
            let mut cursor = unit.header.entries_raw(abbrevs, None).ok()?;
            let root = cursor.read_abbreviation().ok()??;
            self.spend_reading(root.attributes().len()).ok()?;
            for spec in root.attributes() {
                let value = cursor.read_attribute(*spec).ok()?.raw_value();
                if let (gimli::DW_AT_str_offsets_base, AttributeValue::SecOffset(base)) = (spec.name(), value) {
                    return Some(base);
                }
            }
            None
        };
        read().unwrap_or(default)
    }
}

fn take(fuel: &Cell<u64>, amount: usize) -> Result<(), Fault> {
    let left = fuel.get().checked_sub(amount as u64);
    fuel.set(left.unwrap_or(0));
    left.map(drop).ok_or(Fault::Limit("too many entries"))
}

/// The bytes of a name in a string section, without the final zero.
fn c_string(section: &[u8], at: usize) -> Option<&[u8]> {
    let rest = section.get(at..)?;
    let rest = rest.get(..=MAX_NAME).unwrap_or(rest);
    rest.get(..rest.iter().position(|&b| b == 0)?)
}

/// The operand of a `DW_OP_plus_uconst` that is the whole expression.
fn plus_constant(value: &AttributeValue<Slice<'_>>) -> Option<u64> {
    let mut bytes = match *value {
        AttributeValue::Exprloc(expression) => expression.0,
        AttributeValue::Block(block) => block,
        _ => return None,
    };
    (bytes.read_u8().ok()? == gimli::DW_OP_plus_uconst.0).then(|| bytes.read_uleb128().ok())?
}

/// Skips attributes.
///
/// `EntriesRaw::skip_attributes` adds the length that a block claims to the size of what follows
/// (gimli 0.34), which overflows for a length near 2^64: blocks are read, which checks it.
pub(super) fn skip(cursor: &mut Cursor<'_, '_>, specs: &[AttributeSpecification]) -> Result<(), Fault> {
    let mut rest = specs;
    let has_length = |spec: &AttributeSpecification| {
        matches!(spec.form(), gimli::DW_FORM_exprloc | gimli::DW_FORM_block | gimli::DW_FORM_indirect)
    };
    while let Some(next) = rest.iter().position(has_length) {
        let (before, after) = rest.split_at(next);
        let Some((spec, after)) = after.split_first() else {
            break;
        };
        cursor.skip_attributes(before)?;
        cursor.read_attribute(*spec)?;
        rest = after;
    }
    Ok(cursor.skip_attributes(rest)?)
}
