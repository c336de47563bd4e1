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

mod entries;
mod flatten;
mod search;
#[cfg(test)]
mod tests;

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
