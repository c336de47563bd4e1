//! One mapped ELF image: the file behind it, proven by build id, its symbols and writable data.

use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::image::Module;
use crate::limits;
use crate::process::files::{Limited, open_regular};
use crate::process::{Cache, Region};
use object::read::elf::{ElfFile64, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, ReadCache, elf};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What `.gnu_debuglink` says: the file's name and its CRC-32.
pub type DebugLink = (Vec<u8>, u32);

/// Which symbols to keep.
pub struct Wanted<'a> {
    /// Whether to keep the symbol of this name.
    pub symbol: &'a dyn Fn(&str) -> bool,
    /// The full symbol table has tens of thousands of names: it is read only where the dynamic one
    /// does not define this symbol.
    pub full_table_unless: Option<&'a str>,
}

/// An image that is mapped in the target.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its path as the target names it.
    pub path: String,
    /// The file that was opened for it.
    pub file: PathBuf,
    /// What is to be added to the file's addresses.
    pub bias: u64,
    /// The build id of the file, if it has one.
    pub build_id: Option<Vec<u8>>,
    /// Whether the target's memory showed the same build id.
    pub verified: bool,
    /// Writable segments in the target's addresses, `.bss` included: (start, end).
    pub data: Vec<(u64, u64)>,
    /// All segments in the target's addresses: (start, end).
    pub segments: Vec<(u64, u64)>,
    /// Read-only segments in the target's addresses: (start, end, offset in the file).
    pub constants: Vec<(u64, u64, u64)>,
    /// Sections with a name that was asked for, in the target's addresses: (name, start, size).
    pub sections: Vec<(String, Addr, u64)>,
    /// The separate debug file's name.
    pub debug_link: Option<DebugLink>,
    symbols: HashMap<String, Addr>,
}

/// A build id in the usual hexadecimal form.
pub fn hex(build_id: &[u8]) -> String {
    build_id.iter().map(|b| format!("{b:02x}")).collect()
}

fn file_error(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::File { path: path.display().to_string(), why: why.to_string() }
}

/// Opens an ELF file, whose name comes from the target.
fn open_file(file: &Path) -> Result<ReadCache<Limited>> {
    let handle = open_regular(file, limits::ELF_FILE).map_err(|e| file_error(file, &e))?;
    Ok(ReadCache::new(Limited::new(handle, limits::ELF_READ)))
}

impl Image {
    /// Opens `file` as the image that `module` maps and keeps the defined symbols for which
    /// `wanted` asks (`None`: no symbols), and the sections named in `sections`.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read, is no ELF file, or has another build id than
    /// the mapped image.
    pub fn open(
        module: &Module,
        file: &Path,
        memory: &Cache,
        wanted: Option<&Wanted<'_>>,
        sections: &[&str],
    ) -> Result<Image> {
        let cache = open_file(file)?;
        let parsed = ElfFile64::<Endianness, _>::parse(&cache).map_err(|e| file_error(file, &e))?;
        let endian = parsed.endian();
        let loads: Vec<_> = parsed.elf_program_headers().iter().filter(|h| h.p_type(endian) == elf::PT_LOAD).collect();
        let bias = bias(module, &memory.regions(), &loads, endian);
        let span = |h: &elf::ProgramHeader64<Endianness>| {
            let start = h.p_vaddr(endian).wrapping_add(bias);
            (start, start.saturating_add(h.p_memsz(endian)))
        };
        let mut image = Image {
            path: module.path.clone(),
            file: file.to_owned(),
            bias,
            build_id: parsed.build_id().ok().flatten().map(<[u8]>::to_vec),
            verified: false,
            data: loads.iter().filter(|h| h.p_flags(endian).0 & elf::PF_W.0 != 0).map(|h| span(h)).collect(),
            segments: loads.iter().map(|h| span(h)).collect(),
            constants: loads
                .iter()
                .filter(|h| h.p_flags(endian).0 & elf::PF_W.0 == 0)
                .map(|h| (span(h).0, span(h).0.saturating_add(h.p_filesz(endian)), h.p_offset(endian)))
                .collect(),
            sections: Vec::new(),
            debug_link: parsed.gnu_debuglink().ok().flatten().map(|(name, crc)| (name.to_vec(), crc)),
            symbols: HashMap::new(),
        };
        // The mapped image's own headers say where its id is; without them, this file's do.
        let mapped = super::mapped::build_id(module, memory).or_else(|| mapped_build_id(&image, &parsed, memory));
        if let Some(mapped) = mapped {
            if image.build_id.as_ref() != Some(&mapped) {
                let ours = image.build_id.as_deref().map_or_else(|| "none".to_owned(), hex);
                return Err(file_error(file, &format!("build id {ours}, but the mapped image has {}", hex(&mapped))));
            }
            image.verified = true;
        }
        for name in sections {
            if let Some(section) = parsed.section_by_name(name) {
                let start = Addr(section.address().wrapping_add(bias));
                image.sections.push(((*name).to_owned(), start, section.size()));
            }
        }
        if let Some(wanted) = wanted {
            image.take_symbols(parsed.dynamic_symbols(), wanted);
            if wanted.full_table_unless.is_none_or(|name| image.symbol(name).is_none()) {
                image.take_symbols(parsed.symbols(), wanted);
            }
        }
        Ok(image)
    }

    fn take_symbols<'d, S: ObjectSymbol<'d>>(&mut self, symbols: impl Iterator<Item = S>, wanted: &Wanted<'_>) {
        for symbol in symbols.filter(|s| !s.is_undefined()) {
            if self.symbols.len() >= limits::SYMBOLS {
                return;
            }
            if let Ok(name) = symbol.name()
                && (wanted.symbol)(name)
            {
                let address = Addr(symbol.address().wrapping_add(self.bias));
                self.symbols.entry(name.to_owned()).or_insert(address);
            }
        }
    }

    /// The build id of a file that need not be mapped.
    pub fn file_build_id(file: &Path) -> Option<Vec<u8>> {
        let cache = open_file(file).ok()?;
        let parsed = ElfFile64::<Endianness, _>::parse(&cache).ok()?;
        parsed.build_id().ok().flatten().map(<[u8]>::to_vec)
    }

    /// Whether `file` is the one that `module` maps: the mapped build id is the file's, or the
    /// target's memory does not show one.
    pub fn is_file_of(module: &Module, file: &Path, memory: &Cache) -> bool {
        Image::open(module, file, memory, None, &[]).is_ok()
    }

    /// The address of a symbol that was asked for, if the image defines it.
    pub fn symbol(&self, name: &str) -> Option<Addr> {
        self.symbols.get(name).copied()
    }

    /// The section `name`, if it was asked for and the file has it: its address and size.
    pub fn section(&self, name: &str) -> Option<(Addr, u64)> {
        self.sections.iter().find(|(n, _, _)| n == name).map(|(_, a, s)| (*a, *s))
    }

    /// The image's writable data: first address, one past the last.
    pub fn data(&self) -> &[(u64, u64)] {
        &self.data
    }

    /// Whether `addr` lies in the image's writable data.
    pub fn has_data(&self, addr: Addr) -> bool {
        self.data.iter().any(|(start, end)| (*start..*end).contains(&addr.0))
    }

    /// Whether `addr` lies in one of the image's segments.
    pub fn contains(&self, addr: Addr) -> bool {
        self.segments.iter().any(|(start, end)| (*start..*end).contains(&addr.0))
    }
}

/// The difference between mapped and linked addresses: the mapping that starts the module is that
/// of the segment whose page holds the same file offset.
fn bias(module: &Module, regions: &[Region], loads: &[&elf::ProgramHeader64<Endianness>], endian: Endianness) -> u64 {
    const PAGE: u64 = 4096;
    let first = regions.partition_point(|r| r.start < module.start);
    let offset = regions.get(first).filter(|r| r.start == module.start).map_or(0, |r| r.offset);
    let segment = loads
        .iter()
        .find(|h| {
            let first = h.p_offset(endian) / PAGE * PAGE;
            (first..h.p_offset(endian).saturating_add(h.p_filesz(endian)).max(first + 1)).contains(&offset)
        })
        .or_else(|| loads.first());
    segment.map_or(module.start, |h| {
        let first = h.p_offset(endian) / PAGE * PAGE;
        let linked = (h.p_vaddr(endian) / PAGE * PAGE).wrapping_add(offset - first.min(offset));
        module.start.wrapping_sub(linked)
    })
}

/// The build id in the target's memory, where the file says that its note should be.
fn mapped_build_id<'a>(
    image: &Image,
    parsed: &ElfFile64<'a, Endianness, &'a ReadCache<Limited>>,
    memory: &Cache,
) -> Option<Vec<u8>> {
    let endian = parsed.endian();
    for header in parsed.elf_program_headers() {
        if header.p_type(endian) != elf::PT_NOTE {
            continue;
        }
        let size = usize::try_from(header.p_filesz(endian)).ok()?.min(1 << 16);
        let address = Addr(header.p_vaddr(endian).wrapping_add(image.bias));
        let Ok(bytes) = memory.bytes(address, size) else { continue };
        if let Some(id) = build_id_note(&bytes, header.p_align(endian).max(4) as usize) {
            return Some(id);
        }
    }
    None
}

/// The build id among the notes in `bytes`.
pub(super) fn build_id_note(bytes: &[u8], align: usize) -> Option<Vec<u8>> {
    let mut at = 0usize;
    let align = if align == 8 { 8 } else { 4 };
    while let (Some(name_size), Some(size), Some(kind)) =
        (crate::bytes::uint(bytes, at, 4), crate::bytes::uint(bytes, at + 4, 4), crate::bytes::uint(bytes, at + 8, 4))
    {
        let start = (at + 12 + name_size as usize).next_multiple_of(align);
        let content = bytes.get(start..start + size as usize)?;
        if kind == u64::from(elf::NT_GNU_BUILD_ID.0) && bytes.get(at + 12..at + 16) == Some(b"GNU\0") {
            return Some(content.to_vec());
        }
        at = (start + size as usize).next_multiple_of(align);
    }
    None
}

/// The unwind tables of an image, at the file's own addresses.
#[derive(Debug, Clone, Default)]
pub struct Sections {
    /// What is to be added to the file's addresses.
    pub bias: u64,
    /// `.eh_frame`: address and bytes.
    pub eh_frame: Option<(u64, Vec<u8>)>,
    /// `.eh_frame_hdr`: address and bytes.
    pub eh_frame_hdr: Option<(u64, Vec<u8>)>,
    /// `.text`.
    pub text: Option<std::ops::Range<u64>>,
}

impl Image {
    /// The unwind tables in the file of `module`.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read or is not the mapped one.
    pub fn unwind_tables(module: &Module, file: &Path, memory: &Cache) -> Result<Sections> {
        let image = Image::open(module, file, memory, None, &[])?;
        let cache = open_file(file)?;
        let parsed = ElfFile64::<Endianness, _>::parse(&cache).map_err(|e| file_error(file, &e))?;
        let section = |name: &str| {
            let section = parsed.section_by_name(name)?;
            // As it is: what is mapped is never compressed.
            Some((section.address(), section.data().ok()?.to_vec()))
        };
        Ok(Sections {
            bias: image.bias,
            eh_frame: section(".eh_frame"),
            eh_frame_hdr: section(".eh_frame_hdr"),
            text: parsed.section_by_name(".text").map(|s| s.address()..s.address().saturating_add(s.size())),
        })
    }

    /// Where the symbols that were asked for and for which `f` holds are.
    pub fn symbols_where(&self, f: impl Fn(&str) -> bool) -> Vec<Addr> {
        self.symbols.iter().filter(|(name, _)| f(name)).map(|(_, at)| *at).collect()
    }
}
