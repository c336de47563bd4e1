//! Struct layouts from DWARF: where the members of named C structs are.
//!
//! What it does: reads the few DWARF sections that describe types, finds the wanted struct tags and
//! typedef names among the top-level entries of the units, and flattens each struct into a map from
//! member path to offset. What it does not do: it builds no index, keeps no cache, knows no name
//! of Python's, and reads no line tables, location lists or split DWARF (`.dwo`).
//!
//! Invariant: the file is hostile input. No recursion; every loop over entries consumes fuel;
//! every allocation is bounded by a section that was really read or by a constant below.
//! A struct is reported whole or not at all.
//!
//! Past 600 lines because it is four modules in one file: `entries` reads, `search` finds names,
//! `flatten` makes layouts, and their tests.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use thiserror::Error;

use self::entries::Sections;
use self::flatten::TypeReader;
use super::debug_file::{DebugElf, DebugSearch, ElfError, find_alt_file};

/// One member of a C struct as DWARF describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the start of the outermost struct. For a bit-field: the byte of its lowest bit.
    pub offset: u32,
    /// Bytes, 0 if unknown or a flexible array. For a bit-field: the size of its declared type.
    pub size: u32,
    /// For a bit-field: its lowest bit counted from bit 0 of byte `offset` (0 to 7, little-endian),
    /// and its width in bits.
    pub bit: Option<(u8, u8)>,
}

/// The layout of one C struct or union.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StructLayout {
    /// `sizeof`, in bytes.
    pub size: u32,
    /// Members by path. Members of anonymous structs and unions appear under their own names, those
    /// of a named struct member as `outer.inner`, up to four names; `outer` itself is there too.
    /// Arrays are not expanded.
    pub members: BTreeMap<String, Member>,
}

/// Why a file gave no struct layouts.
#[derive(Debug, Error)]
pub enum DwarfError {
    /// The file cannot be read or is not a little-endian ELF64 file.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// The file has no `.debug_info` with contents.
    #[error("{} has no debug information (.debug_info)", path.display())]
    NoDwarf {
        /// The file.
        path: PathBuf,
    },
    /// The file refers to a supplementary file (`dwz -m`) that was not found. Layouts without it
    /// would lack members, so none are given.
    #[error("{} needs the supplementary debug file {name}, which was not found", path.display())]
    NoSupplementary {
        /// The file with the reference.
        path: PathBuf,
        /// The name in its `.gnu_debugaltlink` or `.debug_sup`.
        name: String,
    },
    /// The DWARF contradicts itself where it was needed, and nothing was found.
    #[error("{}: damaged DWARF: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A cap of this module was reached and nothing was found.
    #[error("{}: gave up on the DWARF: {what}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// Which cap.
        what: &'static str,
    },
}

/// Finds structs by struct tag, union tag or typedef name (`_ts`, `PyThreadState`), the
/// supplementary file of a `dwz -m` build being looked for in the default places.
///
/// See [`struct_layouts_with`].
///
/// # Errors
/// As [`struct_layouts_with`].
pub fn struct_layouts(path: &Path, wanted: &[&str]) -> Result<HashMap<String, StructLayout>, DwarfError> {
    struct_layouts_with(path, wanted, &DebugSearch::default())
}

/// Finds structs by struct tag, union tag or typedef name in the DWARF 2 to 5 of one ELF file.
///
/// Names that the file does not define are absent from the map: a forward declaration is not a
/// definition, a typedef of a scalar is not a struct. Where several units define the name
/// differently the first one wins. A damaged unit costs that unit; a struct with a damaged member
/// is left out. `search` says where a supplementary file may be.
///
/// # Errors
/// When the file cannot be read, has no DWARF, or its supplementary file is missing; when damage or
/// a cap of this module stopped the search before anything was found.
pub fn struct_layouts_with(
    path: &Path,
    wanted: &[&str],
    search: &DebugSearch,
) -> Result<HashMap<String, StructLayout>, DwarfError> {
    let mut elf = DebugElf::open(path)?;
    let main = Sections::load(&mut elf)?.ok_or_else(|| DwarfError::NoDwarf { path: path.to_owned() })?;
    let sup = match elf.alt_link() {
        None => None,
        Some(link) => {
            let missing = || DwarfError::NoSupplementary {
                path: path.to_owned(),
                name: String::from_utf8_lossy(&link.name).escape_debug().to_string(),
            };
            let file = find_alt_file(path, &link, search).ok_or_else(missing)?;
            Some(Sections::load(&mut DebugElf::open(&file)?)?.ok_or_else(missing)?)
        }
    };
    let reader = TypeReader::new(&main, sup.as_ref());
    let found = reader.find(wanted);
    let layouts: HashMap<String, StructLayout> =
        wanted.iter().zip(found).filter_map(|(name, at)| Some(((*name).to_owned(), reader.layout(at?)?))).collect();
    match reader.fault.take() {
        Some(fault) if layouts.is_empty() && !wanted.is_empty() => Err(fault.into_error(path)),
        _ => Ok(layouts),
    }
}

mod entries {
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
    /// Largest section that is loaded (after inflating).
    const MAX_SECTION: u64 = 1 << 30;
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
            let Some(info) = elf.section(".debug_info", MAX_SECTION)?.filter(|s| !s.is_empty()) else {
                return Ok(None);
            };
            Ok(Some(Self {
                info,
                abbrev: elf.section(".debug_abbrev", MAX_ABBREV)?.unwrap_or_default(),
                strings: elf.section(".debug_str", MAX_SECTION)?.unwrap_or_default(),
                line_strings: elf.section(".debug_line_str", MAX_SECTION)?.unwrap_or_default(),
                string_offsets: elf.section(".debug_str_offsets", MAX_SECTION)?.unwrap_or_default(),
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
                    gimli::DW_AT_declaration => {
                        entry.declaration = value == AttributeValue::Flag(true);
                    }
                    gimli::DW_AT_byte_size => entry.byte_size = number(),
                    gimli::DW_AT_type => entry.target = Some(self.reference(side, unit, &value)?),
                    // A declaration whose definition is in a type unit (`-fdebug-types-section`). Those of
                    // DWARF 4 are in another section, which is not read.
                    gimli::DW_AT_signature => {
                        entry.target = self.reference(side, unit, &value).ok();
                    }
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
}

mod search {
    //! Finding the definitions of names.
    //!
    //! What it does: goes over the units until every wanted name has a definition. What it does not do:
    //! it looks at no member, and only at entries directly below a unit's root (C has no others).
    //!
    //! Invariant: within a unit the walk only goes forwards, and each unit is walked at most twice.

    use std::collections::HashMap;

    use super::entries::{Fault, TypeRef, Unit, skip};
    use super::flatten::{MAX_TYPE_CHAIN, TypeReader};

    /// The wanted names of one pass over the units.
    struct Names<'n> {
        indices: HashMap<&'n [u8], Vec<usize>>,
        /// Bit n: some name is n bytes long (63 and more share a bit). Most names fail here, before
        /// any hashing.
        lengths: u64,
    }

    impl<'n> Names<'n> {
        fn new(names: impl Iterator<Item = (&'n [u8], usize)>) -> Self {
            let mut indices: HashMap<&[u8], Vec<usize>> = HashMap::new();
            let mut lengths = 0;
            for (name, index) in names {
                lengths |= 1 << name.len().min(63);
                indices.entry(name).or_default().push(index);
            }
            Self { indices, lengths }
        }

        fn get(&self, name: &[u8]) -> Option<&[usize]> {
            if self.lengths & (1 << name.len().min(63)) == 0 {
                return None;
            }
            self.indices.get(name).map(Vec::as_slice)
        }
    }

    /// Where a search for names stands.
    struct Hunt<'a> {
        found: Vec<Option<TypeRef>>,
        /// Struct tags of typedefs whose struct was only declared where the typedef was seen.
        aliases: Vec<Option<&'a [u8]>>,
        missing: usize,
    }

    impl<'a> TypeReader<'a> {
        /// The definition of each wanted name, in the order given.
        pub(super) fn find(&self, wanted: &[&str]) -> Vec<Option<TypeRef>> {
            let count = wanted.len();
            let mut hunt = Hunt { found: vec![None; count], aliases: vec![None; count], missing: count };
            let names = wanted.iter().enumerate().map(|(i, name)| (name.as_bytes(), i));
            self.scan(&Names::new(names), &mut hunt);
            // A unit may define a struct and never use the typedef, so that the typedef is only seen
            // beside a forward declaration. Then the tag is what to look for.
            let aliases = std::mem::take(&mut hunt.aliases);
            let open = |i: &usize| hunt.found.get(*i).is_some_and(Option::is_none);
            let tags: Vec<(&[u8], usize)> =
                (aliases.iter().enumerate()).filter_map(|(i, tag)| Some(((*tag)?, Some(i).filter(open)?))).collect();
            if !tags.is_empty() {
                hunt.missing = tags.len();
                self.scan(&Names::new(tags.into_iter()), &mut hunt);
            }
            hunt.found
        }

        /// Goes over all units until nothing is missing.
        fn scan(&self, names: &Names<'_>, hunt: &mut Hunt<'a>) {
            // The supplementary file first: `dwz -m` moves the shared types there, nearly all of them.
            for (index, side) in self.entries.sides.iter().enumerate().rev() {
                for unit in &side.units {
                    if hunt.missing == 0 {
                        return;
                    }
                    match self.scan_unit(index, unit, names, hunt) {
                        Ok(()) => {}
                        Err(fault @ Fault::Limit(_)) => return self.note(fault),
                        Err(fault) => self.note(fault),
                    }
                }
            }
        }

        /// Looks at the names of the structs, unions and typedefs directly below the unit's root, and
        /// jumps over everything else by `DW_AT_sibling`.
        fn scan_unit(
            &self,
            index: usize,
            unit: &Unit<'a>,
            names: &Names<'_>,
            hunt: &mut Hunt<'a>,
        ) -> Result<(), Fault> {
            let abbrevs = self.entries.abbreviations(index, unit)?;
            let mut cursor = unit.header.entries_raw(abbrevs, None)?;
            match cursor.read_abbreviation()? {
                Some(root) if root.has_children() => skip(&mut cursor, root.attributes())?,
                _ => return Ok(()),
            }
            // Counted from the children of the root. Producers other than gcc emit no siblings: then
            // the levels below are read, too.
            let mut depth = 0_usize;
            while !cursor.is_empty() {
                let at = cursor.next_offset();
                let Some(abbrev) = cursor.read_abbreviation()? else {
                    match depth.checked_sub(1) {
                        None => break,
                        Some(up) => depth = up,
                    }
                    continue;
                };
                self.entries.spend_walking(abbrev)?;
                if depth > 0 {
                    skip(&mut cursor, abbrev.attributes())?;
                    depth += usize::from(abbrev.has_children());
                    continue;
                }
                let has_type_name = matches!(
                    abbrev.tag(),
                    gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type | gimli::DW_TAG_typedef
                );
                let (name, sibling) = self.entries.name_and_sibling(index, unit, &mut cursor, abbrev, has_type_name)?;
                if let Some(indices) = name.and_then(|name| names.get(name)) {
                    let at = TypeRef { side: index, offset: unit.start.saturating_add(at.0) };
                    self.consider(at, indices, hunt)?;
                    if hunt.missing == 0 {
                        break;
                    }
                }
                match sibling {
                    // Only forwards, so that the walk ends.
                    Some(to) if to >= cursor.next_offset() => {
                        cursor = unit.header.entries_raw(abbrevs, Some(to))?;
                    }
                    _ => depth += usize::from(abbrev.has_children()),
                }
            }
            Ok(())
        }

        /// Takes an entry of a wanted name if it leads to a definition.
        fn consider(&self, at: TypeRef, indices: &[usize], hunt: &mut Hunt<'a>) -> Result<(), Fault> {
            let (definition, tag) = match self.definition(at) {
                Ok(leads_to) => leads_to,
                Err(fault @ Fault::Limit(_)) => return Err(fault),
                Err(fault) => {
                    self.note(fault);
                    return Ok(());
                }
            };
            for &index in indices {
                let Some(found) = hunt.found.get_mut(index) else {
                    continue;
                };
                match (definition, tag) {
                    _ if found.is_some() => {}
                    (Some(definition), _) => {
                        *found = Some(definition);
                        hunt.missing = hunt.missing.saturating_sub(1);
                    }
                    (None, Some(tag)) => {
                        if let Some(alias) = hunt.aliases.get_mut(index) {
                            *alias = Some(tag);
                        }
                    }
                    (None, None) => {}
                }
            }
            Ok(())
        }

        /// Follows typedefs and qualifiers to a struct or union: its definition, or else the tag of the
        /// declaration where the chain ends.
        fn definition(&self, at: TypeRef) -> Result<(Option<TypeRef>, Option<&'a [u8]>), Fault> {
            let mut at = at;
            for _ in 0..MAX_TYPE_CHAIN {
                let entry = self.entries.entry(at)?;
                if let Some(target) = entry.stands_for() {
                    at = target;
                    continue;
                }
                return Ok(match (entry.is_struct(), entry.declaration) {
                    (true, false) => (Some(at), None),
                    (true, true) => (None, entry.name),
                    (false, _) => (None, None),
                });
            }
            Err(Fault::Broken("typedefs that lead nowhere"))
        }
    }
}

mod flatten {
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
}

#[cfg(test)]
mod tests {
    //! Layouts of compiled C against what the same compiler's program says of itself, and hand-written
    //! DWARF, assembled, for what gcc does not produce.

    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failing test may panic

    use std::fmt::Write as _;
    use std::fs;

    use super::*;
    use crate::image::debug_file::testing::Scratch;

    const STRUCTS: &str = r"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
typedef struct _opaque opaque_t;
typedef unsigned long word;
enum colour { RED, GREEN };
struct tagged {
    char first; const volatile word second; enum colour third; void (*call)(int);
    opaque_t *link; double reals[3][2]; long double wide; _Bool flag; struct tagged *next;
};
typedef struct { struct tagged one; struct tagged many[2]; int tail[]; } anonymous_t;
struct deep { int d0; struct { int d1; struct { int d2; struct { int d3; struct { int d4; } e; } d; } c; } b; };
struct mixed {
    unsigned before;
    union { struct { short low, high; }; int both; union { char deepest; } named; };
    unsigned b1 : 3, b2 : 7, : 5, b3 : 20;
    unsigned char c1 : 1, c2 : 1;
    struct { unsigned kind : 2, ready : 1; } state;
    char zero[0], one[1], many[255], more[256];
};
typedef union both { struct tagged t; word bits; } both_t;
typedef both_t alias_t;
struct _opaque { int inside; opaque_t *self; };
";

    /// Prints `name size` per struct and `struct.path offset size bit width` per member; a bit-field's
    /// place is found by filling it with ones.
    const TRUTH: &str = r#"
#define S(T, n) printf("%s %zu\n", n, sizeof(T));
#define M(T, n, m) printf("%s.%s %zu %zu 0 0\n", n, #m, offsetof(T, m), sizeof(((T *)0)->m));
#define B(T, n, m, size) { T t; unsigned char *p = (void *)&t; memset(&t, 0, sizeof t); t.m = -1; \
    int low = 0, width = 0; while (!(p[low / 8] >> low % 8 & 1)) low++; \
    while (low + width < 8 * (int)sizeof t && p[(low + width) / 8] >> (low + width) % 8 & 1) width++; \
    printf("%s.%s %d %d %d %d\n", n, #m, low / 8, (int)(size), low % 8, width); }
struct tagged a; anonymous_t b; struct deep c; struct mixed d; alias_t e; opaque_t f;
int main(void) {
    S(struct tagged, "tagged") M(struct tagged, "tagged", first) M(struct tagged, "tagged", second)
    M(struct tagged, "tagged", third) M(struct tagged, "tagged", call) M(struct tagged, "tagged", link)
    M(struct tagged, "tagged", reals) M(struct tagged, "tagged", wide) M(struct tagged, "tagged", flag)
    M(struct tagged, "tagged", next)
    S(anonymous_t, "anonymous_t") M(anonymous_t, "anonymous_t", one) M(anonymous_t, "anonymous_t", many)
    M(anonymous_t, "anonymous_t", one.first) M(anonymous_t, "anonymous_t", one.second)
    M(anonymous_t, "anonymous_t", one.third) M(anonymous_t, "anonymous_t", one.call)
    M(anonymous_t, "anonymous_t", one.link) M(anonymous_t, "anonymous_t", one.reals)
    M(anonymous_t, "anonymous_t", one.wide) M(anonymous_t, "anonymous_t", one.flag)
    M(anonymous_t, "anonymous_t", one.next)
    printf("anonymous_t.tail %zu 0 0 0\n", offsetof(anonymous_t, tail));
    S(struct deep, "deep") M(struct deep, "deep", d0) M(struct deep, "deep", b) M(struct deep, "deep", b.d1)
    M(struct deep, "deep", b.c) M(struct deep, "deep", b.c.d2) M(struct deep, "deep", b.c.d)
    M(struct deep, "deep", b.c.d.d3) M(struct deep, "deep", b.c.d.e)
    S(struct mixed, "mixed") M(struct mixed, "mixed", before) M(struct mixed, "mixed", low)
    M(struct mixed, "mixed", high) M(struct mixed, "mixed", both) M(struct mixed, "mixed", named)
    M(struct mixed, "mixed", named.deepest) M(struct mixed, "mixed", state)
    M(struct mixed, "mixed", zero) M(struct mixed, "mixed", one) M(struct mixed, "mixed", many)
    M(struct mixed, "mixed", more)
    B(struct mixed, "mixed", b1, sizeof(unsigned)) B(struct mixed, "mixed", b2, sizeof(unsigned))
    B(struct mixed, "mixed", b3, sizeof(unsigned)) B(struct mixed, "mixed", c1, 1)
    B(struct mixed, "mixed", c2, 1) B(struct mixed, "mixed", state.kind, sizeof(unsigned))
    B(struct mixed, "mixed", state.ready, sizeof(unsigned))
    S(alias_t, "alias_t") M(alias_t, "alias_t", bits) M(alias_t, "alias_t", t)
    M(alias_t, "alias_t", t.first) M(alias_t, "alias_t", t.second) M(alias_t, "alias_t", t.third)
    M(alias_t, "alias_t", t.call) M(alias_t, "alias_t", t.link) M(alias_t, "alias_t", t.reals)
    M(alias_t, "alias_t", t.wide) M(alias_t, "alias_t", t.flag) M(alias_t, "alias_t", t.next)
    S(opaque_t, "opaque_t") M(opaque_t, "opaque_t", inside) M(opaque_t, "opaque_t", self)
    return 0;
}
"#;
    const WANTED: [&str; 6] = ["tagged", "anonymous_t", "deep", "mixed", "alias_t", "opaque_t"];

    /// The same words that `TRUTH` prints.
    fn describe(layouts: &HashMap<String, StructLayout>) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, layout) in layouts {
            lines.push(format!("{name} {}", layout.size));
            for (path, Member { offset, size, bit }) in &layout.members {
                let (low, width) = bit.unwrap_or((0, 0));
                lines.push(format!("{name}.{path} {offset} {size} {low} {width}"));
            }
        }
        lines.sort();
        lines
    }

    fn compile(dir: &Scratch, flags: &str) -> PathBuf {
        dir.write("truth.c", format!("{STRUCTS}{TRUTH}"));
        // A unit that comes first and knows only declarations.
        dir.write("first.c", "typedef struct _opaque opaque_t; opaque_t *first; struct deep; struct deep *p;");
        dir.run("gcc", &format!("{flags} first.c truth.c -o truth"));
        dir.path().join("truth")
    }

    #[test]
    fn layouts_are_what_the_compiler_made() {
        let dir = Scratch::new("layouts");
        for flags in [
            "-g",
            "-g -O2 -flto",
            "-g -gz=zlib",
            "-gdwarf-5 -fdebug-types-section",
            "-gdwarf-5 -gdwarf64",
            "-gdwarf-4",
            "-gdwarf-4 -gstrict-dwarf",
            "-gdwarf-3 -gstrict-dwarf",
            "-gdwarf-2 -gstrict-dwarf",
        ] {
            let program = compile(&dir, flags);
            let mut truth: Vec<String> = dir.run("./truth", "").lines().map(Into::into).collect();
            truth.sort();
            assert_eq!(describe(&struct_layouts(&program, &WANTED).unwrap()), truth, "{flags}");
        }
    }

    #[test]
    fn what_is_not_defined_is_absent_and_what_has_no_dwarf_is_an_error() {
        let dir = Scratch::new("absent");
        let program = compile(&dir, "-g");
        let found = struct_layouts(&program, &["no_such", "word", "colour", "deep", "deep"]).unwrap();
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["deep"]);
        assert!(struct_layouts(&program, &[]).unwrap().is_empty());
        dir.run("strip", "truth");
        let error = struct_layouts(&program, &WANTED).unwrap_err();
        assert!(matches!(error, DwarfError::NoDwarf { .. }), "{error}");
        let error = struct_layouts(&dir.path().join("nothing"), &WANTED).unwrap_err();
        assert!(matches!(error, DwarfError::Elf(ElfError::Io { .. })), "{error}");
    }

    #[test]
    fn a_typedef_beside_a_declaration_leads_to_the_definition() {
        let dir = Scratch::new("alias");
        dir.write("a.c", "struct hidden { int a, b; } hidden;");
        dir.write("b.c", "typedef struct hidden hidden_t; hidden_t *user;");
        dir.run("gcc", "-g -shared -fPIC a.c b.c -o both.so");
        let found = struct_layouts(&dir.path().join("both.so"), &["hidden_t"]).unwrap();
        assert_eq!(found["hidden_t"].members["b"], Member { offset: 4, size: 4, bit: None });
    }

    #[test]
    fn damage_costs_an_answer_and_never_the_debugger() {
        let dir = Scratch::new("damage");
        let program = compile(&dir, "-g -O0");
        let good = fs::read(program).unwrap();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        let mut answers = 0;
        for round in 0..400 {
            let mut bad = good.clone();
            for _ in 0..=round % 8 {
                let at = random(bad.len());
                bad[at] = [0, 0xff, 0x7f, u8::try_from(random(256)).unwrap()][random(4)];
            }
            bad.truncate(if round % 5 == 0 { random(good.len()) } else { good.len() });
            let path = dir.write("bad", bad);
            answers += usize::from(struct_layouts(&path, &WANTED).is_ok());
        }
        // Most bytes of the file are not DWARF of these structs.
        assert!(answers > 200, "{answers}");
    }

    /// The abbreviations of the hand-written units. Attributes: 3 name, 0x0b byte size, 0x49 type,
    /// 0x38 member location, 0x37 count, 0x72 string offsets base. Forms: 8 string, 0x0f udata, 0x13
    /// ref4, 0x17 section offset, 0x18 exprloc, 0x25 string index, 0x1f20 and 0x1f21 a reference and a
    /// string of the supplementary file.
    const ABBREVIATIONS: &str = r#"
.section .debug_abbrev,"",@progbits
.uleb128 1,0x11,1,0,0
.uleb128 2,0x13,1,3,8,0x0b,0x0f,0,0
.uleb128 3,0x0d,0,3,8,0x49,0x13,0x38,0x0f,0,0
.uleb128 4,0x24,0,3,8,0x0b,0x0f,0,0
.uleb128 5,0x16,0,3,8,0x49,0x13,0,0
.uleb128 6,0x34,0,2,0x18,0x0b,0x0b,0,0
.uleb128 7,0x16,0,3,0x1f21,0x49,0x1f20,0,0
.uleb128 8,0x0d,0,0x49,0x13,0x38,0x0f,0,0
.uleb128 9,0x01,1,0x49,0x13,0,0
.uleb128 10,0x21,0,0x37,0x0f,0,0
.uleb128 11,0x11,1,0x72,0x17,0,0
.uleb128 12,0x13,1,3,0x25,0x0b,0x0f,0,0
.byte 0
"#;

    /// Assembles a DWARF 5 unit from the entries below its root (which are at offset 13 on).
    fn assemble(dir: &Scratch, name: &str, entries: &str, more: &str, id: &str) -> PathBuf {
        let source = format!(
            "{ABBREVIATIONS}.section .debug_info,\"\",@progbits\n\
         unit: .long end - start\nstart: .value 5\n.byte 1, 8\n.long 0\n.uleb128 1\n\
         {entries}\n.byte 0\nend:\n{more}\n"
        );
        dir.write(&format!("{name}.s"), source);
        dir.run("gcc", &format!("-shared -nostdlib -Wl,--build-id={id} {name}.s -o {name}"));
        dir.path().join(name)
    }

    fn parse(dir: &Scratch, entries: &str) -> Result<HashMap<String, StructLayout>, DwarfError> {
        let path = assemble(dir, "unit", entries, "", "none");
        struct_layouts(&path, &["wanted"])
    }

    /// clang numbers its strings.
    #[test]
    fn names_may_be_numbers() {
        let dir = Scratch::new("strx");
        let strings = ".section .debug_str,\"MS\",@progbits,1\n.asciz \"x\"\n.asciz \"wanted\"\n\
                   .section .debug_str_offsets,\"\",@progbits\n.long 12\n.value 5, 0\n.long 0, 2";
        let wanted = ".uleb128 12\n.byte 1\n.uleb128 24\n.byte 0";
        let path = assemble(&dir, "default", wanted, strings, "none");
        assert_eq!(struct_layouts(&path, &["wanted"]).unwrap()["wanted"].size, 24);
        // A second root that gives the base, one entry further on.
        let root = ".byte 0\nend:\n.long end2 - start2\nstart2: .value 5\n.byte 1, 8\n.long 0\n\
                .uleb128 11\n.long 12\n.uleb128 12\n.byte 0\n.uleb128 24\n.byte 0\n.byte 0\nend2:\n";
        let source = fs::read_to_string(dir.path().join("default.s")).unwrap();
        let (head, tail) = source.split_once(".byte 0\nend:\n").unwrap();
        let head = head.replace(".byte 1\n.uleb128 24", ".byte 0\n.uleb128 24");
        let second = dir.write("base.s", format!("{head}{root}{tail}"));
        dir.run("gcc", &format!("-shared -nostdlib {} -o base", second.display()));
        let found = struct_layouts(&dir.path().join("base"), &["wanted", "x"]).unwrap();
        assert_eq!((found["wanted"].size, found["x"].size), (24, 24));
    }

    #[test]
    fn types_that_refer_to_themselves_end() {
        let dir = Scratch::new("cycles");
        let own = "own: .uleb128 5\n.asciz \"wanted\"\n.long own - unit";
        assert!(matches!(parse(&dir, own), Err(DwarfError::Malformed { .. })));
        let member = "own: .uleb128 2\n.asciz \"wanted\"\n.uleb128 8\n\
                  .uleb128 3\n.asciz \"a\"\n.long own - unit\n.uleb128 1\n.byte 0";
        // As deep as paths go, and no further.
        let found = parse(&dir, member).unwrap();
        assert_eq!(found["wanted"].members["a.a.a.a"], Member { offset: 4, size: 8, bit: None });
        assert_eq!(found["wanted"].members.len(), 4);
        let nameless = "own: .uleb128 2\n.asciz \"wanted\"\n.uleb128 8\n\
                    .uleb128 8\n.long own - unit\n.uleb128 0\n.byte 0";
        assert!(matches!(parse(&dir, nameless), Err(DwarfError::Limit { .. })));
    }

    #[test]
    fn structs_that_multiply_end() {
        let dir = Scratch::new("multiply");
        // Each of 14 anonymous levels holds the next one 300 times.
        let mut entries = String::new();
        for level in 0..14 {
            let name = if level == 0 { "wanted" } else { "inner" };
            write!(entries, "s{level}: .uleb128 2\n.asciz \"{name}\"\n.uleb128 8\n").unwrap();
            for _ in 0..300 {
                write!(entries, ".uleb128 8\n.long s{} - unit\n.uleb128 0\n", level + 1).unwrap();
            }
            entries.push_str(".byte 0\n");
        }
        entries.push_str("s14: .uleb128 4\n.asciz \"int\"\n.uleb128 4");
        assert!(matches!(parse(&dir, &entries), Err(DwarfError::Limit { .. })));
    }

    #[test]
    fn sizes_and_lengths_that_overflow_are_no_numbers() {
        let dir = Scratch::new("overflow");
        let found = parse(
            &dir,
            "own: .uleb128 2\n.asciz \"wanted\"\n.uleb128 8\n\
         .uleb128 3\n.asciz \"a\"\n.long array - unit\n.uleb128 0\n.byte 0\n\
         int: .uleb128 4\n.asciz \"int\"\n.uleb128 4\n\
         array: .uleb128 9\n.long int - unit\n.uleb128 10, 0x7fffffffffffffff\n\
         .uleb128 10, 0x7fffffffffffffff\n.byte 0",
        );
        assert_eq!(found.unwrap()["wanted"].members["a"].size, 0);
        let far = "own: .uleb128 2\n.asciz \"wanted\"\n.uleb128 8\n\
               .uleb128 3\n.asciz \"a\"\n.long int - unit\n.uleb128 0xffffffffffffffff\n.byte 0\n\
               int: .uleb128 4\n.asciz \"int\"\n.uleb128 4\n";
        assert!(matches!(parse(&dir, far), Err(DwarfError::Malformed { .. })));
        // The length of a block that is skipped, with a byte of another attribute after it.
        let block = ".uleb128 6, 0xffffffffffffffff\n.byte 1";
        assert!(matches!(parse(&dir, block), Err(DwarfError::Malformed { .. })));
        // A section that inflates to 2^60 bytes.
        let path = compile(&dir, "-g -gz=zlib");
        let mut bytes = fs::read(&path).unwrap();
        let header = [1_u8, 0, 0, 0, 0, 0, 0, 0];
        let found: Vec<usize> =
            (0..bytes.len() - 26).filter(|&i| bytes[i..i + 8] == header && bytes[i + 24] == 0x78).collect();
        assert!(!found.is_empty());
        for at in found {
            bytes[at + 8..at + 16].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        }
        fs::write(&path, bytes).unwrap();
        let error = struct_layouts(&path, &WANTED).unwrap_err().to_string();
        assert!(error.contains("larger than this program accepts"), "{error}");
    }

    #[test]
    fn types_and_names_may_be_in_the_supplementary_file() {
        let dir = Scratch::new("dwz");
        let shared = "own: .uleb128 2\n.asciz \"shared\"\n.uleb128 8\n\
                  .uleb128 3\n.asciz \"a\"\n.long int - unit\n.uleb128 4\n.byte 0\n\
                  int: .uleb128 4\n.asciz \"int\"\n.uleb128 4";
        let strings = ".section .debug_str,\"MS\",@progbits,1\n.asciz \"x\"\n.asciz \"wanted\"";
        assemble(&dir, "common", shared, strings, "0xabcd");
        let link = ".section .gnu_debugaltlink,\"\",@progbits\n.asciz \"common\"\n.byte 0xab, 0xcd";
        let entry = ".uleb128 7\n.long 2, 13";
        let main = assemble(&dir, "main", entry, link, "none");
        let found = struct_layouts(&main, &["wanted", "shared"]).unwrap();
        let a = Member { offset: 4, size: 4, bit: None };
        assert_eq!(found["wanted"].members["a"], a);
        assert_eq!(found["shared"].members["a"], a);
        fs::remove_file(dir.path().join("common")).unwrap();
        let error = struct_layouts(&main, &["wanted"]).unwrap_err();
        assert!(error.to_string().contains("supplementary debug file common"), "{error}");
    }
}
