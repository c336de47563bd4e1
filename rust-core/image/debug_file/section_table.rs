//! The sections of an ELF file on disk, and the links between debug files that they hold.
//!
//! What it does: reads the section table, single sections, the build id and the debug links. What it
//! does not do: segments, symbols, 32-bit or big-endian files.
//!
//! Invariant: files are hostile input. They are read piece by piece with capped, fallible
//! allocations and never mapped: a mapped file that shrinks kills the debugger with SIGBUS. (The
//! `object` crate parses files that are in memory as a whole, or allocates what their headers claim;
//! so the section table is read here, and `object` only inflates.)

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use object::read::{CompressedData, CompressionFormat};
use thiserror::Error;

use crate::limits;
use crate::process::files::open_regular;

/// Most sections of one file; the largest C++ objects with a section per function stay below.
const MAX_SECTIONS: u64 = 1 << 17;
/// Largest section of names, notes or links.
const MAX_SMALL: u64 = 16 << 20;
/// Why an ELF file could not be read.
#[derive(Debug, Error)]
pub enum ElfError {
    /// The operating system says no.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The file is not what was expected, or is damaged.
    #[error("{}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// A reference from a debug file to the supplementary file that `dwz -m` made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AltLink {
    /// The path as written: absolute, or relative to the folder of the referring file.
    pub name: Vec<u8>,
    /// The build id (`.gnu_debugaltlink`) or checksum (`.debug_sup`) that the other file must have.
    pub id: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
}

/// An open little-endian ELF64 file, seen through its section table.
#[derive(Debug)]
pub struct DebugElf {
    path: PathBuf,
    file: File,
    sections: Vec<Section>,
    names: Vec<u8>,
}

// From the ELF specification (gABI); offsets are those of the 64-bit structures.
const SHT_NOBITS: u32 = 8;
const SHF_COMPRESSED: u64 = 1 << 11;
const SECTION_HEADER: usize = 64;

impl DebugElf {
    /// Opens a file and reads its section table.
    ///
    /// # Errors
    /// When the file cannot be read, is no regular file, or is not a little-endian ELF64 file.
    pub fn open(path: &Path) -> Result<Self, ElfError> {
        let io = |source| ElfError::Io { path: path.to_owned(), source };
        // Whoever owns the target's file system chooses the file.
        let file = open_regular(path, limits::ELF_FILE).map_err(io)?;
        let mut elf = Self { path: path.to_owned(), file, sections: Vec::new(), names: Vec::new() };
        elf.read_table()?;
        Ok(elf)
    }

    fn malformed(&self, what: &'static str) -> ElfError {
        ElfError::Malformed { path: self.path.clone(), what }
    }

    fn read_table(&mut self) -> Result<(), ElfError> {
        let header = self.read(0, 64, 64)?;
        if header.get(..4) != Some(b"\x7fELF") {
            return Err(self.malformed("not an ELF file"));
        }
        if header.get(4..6) != Some(&[2, 1]) {
            return Err(self.malformed("not a little-endian 64-bit ELF file"));
        }
        let (table, entry_size) = (u64_at(&header, 40), u16_at(&header, 58));
        let (mut count, mut names) = (u64::from(u16_at(&header, 60)), u32::from(u16_at(&header, 62)));
        if table == 0 {
            return Ok(());
        }
        if usize::from(entry_size) != SECTION_HEADER {
            return Err(self.malformed("section headers of an unknown size"));
        }
        // Numbers too large for the file header are in the first section's header.
        let first = self.read(table, 64, 64)?;
        if count == 0 {
            count = u64_at(&first, 32);
        }
        if names == 0xffff {
            names = u32_at(&first, 40);
        }
        let bytes = count.min(MAX_SECTIONS + 1) * 64;
        let headers = self.read(table, bytes, MAX_SECTIONS * 64)?;
        let parse = |h: &[u8]| Section {
            name: u32_at(h, 0),
            kind: u32_at(h, 4),
            flags: u64_at(h, 8),
            offset: u64_at(h, 24),
            size: u64_at(h, 32),
        };
        self.sections = headers.chunks_exact(SECTION_HEADER).map(parse).collect();
        if let Some(names) = self.sections.get(names as usize).copied() {
            self.names = self.contents(&names, MAX_SMALL)?;
        }
        Ok(())
    }

    /// Reads `size` bytes at `offset`, at most `cap`.
    fn read(&mut self, offset: u64, size: u64, cap: u64) -> Result<Vec<u8>, ElfError> {
        if size > cap {
            return Err(self.malformed("a section larger than this program accepts"));
        }
        let mut bytes = Vec::new();
        let reserved = usize::try_from(size).is_ok_and(|n| bytes.try_reserve_exact(n).is_ok());
        if !reserved {
            return Err(self.malformed("a section larger than the free memory"));
        }
        let read = (self.file.seek(SeekFrom::Start(offset)))
            .and_then(|_| self.file.by_ref().take(size).read_to_end(&mut bytes));
        match read {
            Ok(_) if bytes.len() as u64 == size => Ok(bytes),
            Ok(_) => Err(self.malformed("the file ends within its own tables")),
            Err(source) => Err(ElfError::Io { path: self.path.clone(), source }),
        }
    }

    fn contents(&mut self, section: &Section, cap: u64) -> Result<Vec<u8>, ElfError> {
        let data = self.read(section.offset, section.size, cap)?;
        if section.flags & SHF_COMPRESSED == 0 {
            return Ok(data);
        }
        let format = match u32_at(&data, 0) {
            1 => CompressionFormat::Zlib,
            2 => CompressionFormat::Zstandard,
            _ => return Err(self.malformed("a section compressed in an unknown way")),
        };
        let uncompressed_size = u64_at(&data, 8);
        if uncompressed_size > cap {
            return Err(self.malformed("a section larger than this program accepts"));
        }
        let body = data.get(24..).unwrap_or_default();
        // Reserves fallibly, and inflates no more than the size given.
        let inflated = CompressedData { format, data: body, uncompressed_size }.decompress();
        inflated.map(Into::into).map_err(|_| self.malformed("a damaged compressed section"))
    }

    fn find(&self, name: &str) -> Option<Section> {
        let named = |section: &&Section| {
            let start = self.names.get(section.name as usize..)?;
            let rest = start.strip_prefix(name.as_bytes())?;
            (section.kind != SHT_NOBITS && rest.first() == Some(&0)).then_some(())
        };
        self.sections.iter().find(|s| named(s).is_some()).copied()
    }

    /// The contents of a section, inflated; `None` if there is no such section in this file, which
    /// includes sections whose contents were left in another file (`SHT_NOBITS`).
    ///
    /// # Errors
    /// When it is larger than `cap` bytes, cannot be read or is damaged.
    pub fn section(&mut self, name: &str, cap: u64) -> Result<Option<Vec<u8>>, ElfError> {
        self.find(name).map(|section| self.contents(&section, cap)).transpose()
    }

    fn small(&mut self, name: &str) -> Option<Vec<u8>> {
        self.section(name, MAX_SMALL).ok()?
    }

    /// Whether the file itself has a `.debug_info` with contents.
    #[must_use]
    pub fn has_dwarf(&self) -> bool {
        self.find(".debug_info").is_some_and(|section| section.size > 0)
    }

    /// The GNU build id, if the file has a section with it.
    pub fn build_id(&mut self) -> Option<Vec<u8>> {
        let notes = self.small(".note.gnu.build-id")?;
        let mut rest = notes.as_slice();
        // Name and contents are padded to 4 bytes each. NT_GNU_BUILD_ID is 3.
        while rest.len() >= 12 {
            let (name_size, size) = (u32_at(rest, 0) as usize, u32_at(rest, 4) as usize);
            let name_end = 12_usize.checked_add(name_size)?;
            let start = name_end.checked_next_multiple_of(4)?;
            let end = start.checked_add(size)?;
            if u32_at(rest, 8) == 3 && rest.get(12..name_end) == Some(b"GNU\0") {
                return rest.get(start..end).filter(|id| !id.is_empty()).map(<[u8]>::to_vec);
            }
            rest = rest.get(end.checked_next_multiple_of(4)?..)?;
        }
        None
    }

    /// The file name and CRC-32 of `.gnu_debuglink`.
    pub fn debug_link(&mut self) -> Option<(Vec<u8>, u32)> {
        let data = self.small(".gnu_debuglink")?;
        let end = data.iter().position(|&b| b == 0)?;
        let crc = data.get((end + 1).next_multiple_of(4)..)?.first_chunk::<4>()?;
        Some((data.get(..end)?.to_vec(), u32::from_le_bytes(*crc)))
    }

    /// The reference to a supplementary file: GNU's `.gnu_debugaltlink`, or `.debug_sup` of DWARF 5.
    pub fn alt_link(&mut self) -> Option<AltLink> {
        if let Some(data) = self.small(".gnu_debugaltlink") {
            let end = data.iter().position(|&b| b == 0)?;
            let id = data.get(end + 1..)?.to_vec();
            return Some(AltLink { name: data.get(..end)?.to_vec(), id });
        }
        self.supplementary(0)
    }

    /// `.debug_sup` (DWARF 5, section 7.3.6): version, whether this file is the supplementary one,
    /// the other file's name (empty in the supplementary one), and a checksum.
    pub(super) fn supplementary(&mut self, side: u8) -> Option<AltLink> {
        let data = self.small(".debug_sup")?;
        let rest = data.strip_prefix(&[5, 0, side])?;
        let end = rest.iter().position(|&b| b == 0)?;
        // The length is a ULEB128; checksums are shorter than 128 bytes: one byte.
        let (&length, id) = rest.get(end + 1..)?.split_first()?;
        Some(AltLink { name: rest.get(..end)?.to_vec(), id: id.get(..usize::from(length))?.to_vec() })
    }
}

fn bytes_at<const N: usize>(data: &[u8], at: usize) -> [u8; N] {
    data.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// Little-endian integers; 0 beyond the end, which callers have excluded by length or reject as a
/// value.
fn u16_at(data: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes_at(data, at))
}

fn u32_at(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(data, at))
}

fn u64_at(data: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(data, at))
}
