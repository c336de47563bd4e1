//! What an image in the target's memory says of itself, without a file: that it is ELF, its build id, and where its
//! writable data is. Linkers put the headers and the notes into the first page, which cores keep by default
//! (`coredump_filter` bit 4).

use super::elf::build_id_note;
use super::modules::Module;
use crate::bytes::{Addr, uint, word};
use crate::process::Cache;
use object::elf;

/// Program headers that are looked at; real images have some 10.
const HEADERS: u64 = 64;
/// Bytes of one note segment.
const NOTES: u64 = 1 << 16;

/// `Elf64_Ehdr` and `Elf64_Phdr`: sizes and offsets of fields.
mod header {
    pub const SIZE: usize = 64;
    pub const E_PHOFF: usize = 32;
    pub const E_PHNUM: usize = 56;
    pub const PHDR: u64 = 56;
    pub const P_FLAGS: usize = 4;
    pub const P_OFFSET: usize = 8;
    pub const P_VADDR: usize = 16;
    pub const P_FILESZ: usize = 32;
    pub const P_MEMSZ: usize = 40;
    pub const P_ALIGN: usize = 48;
}

/// Whether an ELF image is mapped there; `None` where the target's memory does not show it.
pub fn is_elf(module: &Module, memory: &Cache) -> Option<bool> {
    memory.bytes(Addr(module.start), elf::ELFMAG.len()).ok().map(|magic| magic == elf::ELFMAG)
}

/// The build id of the image that is mapped there.
pub fn build_id(module: &Module, memory: &Cache) -> Option<Vec<u8>> {
    let headers = Headers::read(module, memory)?;
    headers.of_kind(elf::PT_NOTE).find_map(|note| {
        let size = word(note, header::P_FILESZ)?.min(NOTES) as usize;
        let bytes = memory.bytes(headers.bias + word(note, header::P_VADDR)?, size).ok()?;
        build_id_note(&bytes, word(note, header::P_ALIGN)?.max(4) as usize)
    })
}

/// The writable segments of the image that is mapped there, their zeros included: first address, one past the last.
pub fn data(module: &Module, memory: &Cache) -> Vec<(u64, u64)> {
    let Some(headers) = Headers::read(module, memory) else { return Vec::new() };
    let is_data = |h: &&[u8]| uint(h, header::P_FLAGS, 4).is_some_and(|flags| flags & u64::from(elf::PF_W.0) != 0);
    let segments = headers.of_kind(elf::PT_LOAD).filter(is_data).filter_map(|h| {
        let start = (headers.bias + word(h, header::P_VADDR)?).0;
        Some((start, start.checked_add(word(h, header::P_MEMSZ)?)?))
    });
    segments.collect()
}

/// The program headers of a mapped image.
struct Headers {
    bytes: Vec<u8>,
    /// Mapped addresses are linked ones plus this.
    bias: Addr,
}

impl Headers {
    fn read(module: &Module, memory: &Cache) -> Option<Headers> {
        let start = Addr(module.start);
        let ehdr = memory.bytes(start, header::SIZE).ok()?;
        if !ehdr.starts_with(&elf::ELFMAG) {
            return None;
        }
        let table = start + word(&ehdr, header::E_PHOFF)?;
        let count = uint(&ehdr, header::E_PHNUM, 2)?.min(HEADERS);
        let bytes = memory.bytes(table, (count * header::PHDR) as usize).ok()?;
        let mut headers = Headers { bytes, bias: start };
        // The first segment holds the header.
        let first = headers.of_kind(elf::PT_LOAD).find(|h| word(h, header::P_OFFSET) == Some(0))?;
        headers.bias = start - word(first, header::P_VADDR)?;
        Some(headers)
    }

    fn of_kind(&self, kind: elf::ProgramType) -> impl Iterator<Item = &[u8]> {
        let headers = self.bytes.chunks_exact(header::PHDR as usize);
        headers.filter(move |h| uint(h, 0, 4) == Some(u64::from(kind.0)))
    }
}
