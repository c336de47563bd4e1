//! A core file: kernel cores and those of GDB's `generate-core-file`.
//!
//! Cores leave out what is unchanged in files: read-only pages of images are then read from the
//! files that the `NT_FILE` note names, if they are still the same files (the caller proves that
//! by build id before it attaches one with [`CoreFile::attach_file`]). The core is read in
//! windows and never mapped: a file that shrinks under a mapping would kill the debugger.

use super::files::{Limited, open_regular};
use super::maps::{Part, Region, apart};
use super::{Bulk, Memory, Source};
use crate::bytes::{self, Addr};
use crate::error::{Error, FaultCause, Result};
use crate::limits;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, ReadCache};
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};

struct Segment {
    start: u64,
    /// Bytes that are in the file.
    file_size: u64,
    /// Bytes that the header says are in the file: more, if the core was cut off.
    promised: u64,
    memory_size: u64,
    file_offset: u64,
}

impl Part for Segment {
    fn span(&self) -> (u64, u64) {
        // One without memory is none; one that claims to have more in the file than in memory ends with that.
        let size = if self.memory_size > 0 { self.memory_size.max(self.promised) } else { 0 };
        (self.start, self.start.saturating_add(size))
    }

    fn cut(&mut self, end: u64) {
        let size = end - self.start;
        self.memory_size = self.memory_size.min(size);
        self.promised = self.promised.min(size);
        self.file_size = self.file_size.min(size);
    }
}

/// A file whose pages stand in for those that the core left out.
struct Attached {
    end: u64,
    offset: u64,
    file: Arc<File>,
}

/// The bytes of a core and of the files that stand in for what it left out.
struct Contents {
    file: File,
    segments: Vec<Segment>,
    /// By first address.
    attached: RwLock<BTreeMap<u64, Attached>>,
}

/// A thread as the core's `NT_PRSTATUS` notes tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreThread {
    /// The thread id (LWP).
    pub tid: i32,
}

/// An open core file.
pub struct CoreFile {
    contents: Arc<Contents>,
    regions: Vec<Region>,
    /// The regions of each file; made when it is first asked for.
    by_path: OnceCell<HashMap<String, Vec<usize>>>,
    /// Bytes that the headers promise and the file does not have; 0 for a whole core.
    pub missing_bytes: u64,
    /// How many of its mappings, as its headers tell them, begin in another one: they are damaged.
    pub overlapping: usize,
    /// Threads, the one that died first.
    pub threads: Vec<CoreThread>,
    /// Whether the core says which files were mapped.
    pub has_file_note: bool,
    /// Where the program starts (`AT_ENTRY`): the module there is the program.
    pub entry: Option<u64>,
    /// The process id, in the process's own pid namespace if the kernel wrote the core.
    pub pid: Option<i32>,
}

/// Of the auxiliary vector (`include/uapi/linux/auxvec.h`).
const AT_ENTRY: u64 = 9;

/// Size of the part of `struct elf_prstatus` before `pr_pid` on x86-64 and aarch64 Linux.
const PRSTATUS_PID: usize = 32;

/// Where `pr_pid` is in `struct elf_prpsinfo` there.
const PRPSINFO_PID: usize = 24;

impl CoreFile {
    /// Opens the core at `path` and reads its headers and notes.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read or is no 64-bit little-endian ELF core.
    pub fn open(path: &str) -> Result<CoreFile> {
        let bad = |why: &str| Error::File { path: path.to_owned(), why: why.to_owned() };
        let file = open_regular(Path::new(path), u64::MAX).map_err(|e| bad(&e.to_string()))?;
        let size = file.metadata().map_err(|e| bad(&e.to_string()))?.len();
        let copy = file.try_clone().map_err(|e| bad(&e.to_string()))?;
        let cache = ReadCache::new(Limited::new(copy, 2 * limits::MAPS as u64));
        let header = elf::FileHeader64::<Endianness>::parse(&cache).map_err(|_| bad("not a 64-bit ELF file"))?;
        let endian = header.endian().map_err(|_| bad("not a valid ELF file"))?;
        if endian != Endianness::Little || header.e_type(endian) != elf::ET_CORE {
            return Err(bad("not a little-endian ELF core"));
        }
        let cut_off = |_| bad("its program headers are cut off");
        if header.phnum(endian, &cache).map_err(cut_off)? as usize > limits::REGIONS {
            return Err(bad("it has more program headers than any process has mappings"));
        }
        let headers = header.program_headers(endian, &cache).map_err(cut_off)?;
        let mut segments = Vec::new();
        let mut regions = Vec::new();
        let mut missing_bytes = 0u64;
        let mut notes: Vec<Vec<u8>> = Vec::new();
        let mut budget = limits::MAPS;
        for header in headers {
            let (offset, file_size) = (header.p_offset(endian), header.p_filesz(endian));
            match header.p_type(endian) {
                elf::PT_LOAD => {
                    let start = header.p_vaddr(endian);
                    let have = size.saturating_sub(offset).min(file_size);
                    missing_bytes = missing_bytes.saturating_add(file_size - have);
                    let memory_size = header.p_memsz(endian);
                    segments.push(Segment {
                        start,
                        file_size: have,
                        promised: file_size,
                        memory_size,
                        file_offset: offset,
                    });
                    let flags = header.p_flags(endian).0;
                    regions.push(Region {
                        start,
                        end: start.saturating_add(memory_size),
                        writable: flags & elf::PF_W.0 != 0,
                        executable: flags & elf::PF_X.0 != 0,
                        offset: 0,
                        path: String::new(),
                        deleted: false,
                    });
                }
                elf::PT_NOTE => {
                    let len = usize::try_from(file_size.min(size)).unwrap_or(usize::MAX).min(budget);
                    let mut bytes = Vec::new();
                    if bytes.try_reserve_exact(len).is_err() {
                        continue;
                    }
                    bytes.resize(len, 0);
                    budget -= len;
                    if file.read_exact_at(&mut bytes, offset).is_ok() {
                        notes.push(bytes);
                    } else {
                        missing_bytes = missing_bytes.saturating_add(file_size);
                    }
                }
                _ => {}
            }
        }
        apart(&mut segments);
        let overlapping = apart(&mut regions);
        let mut core = CoreFile {
            contents: Arc::new(Contents { file, segments, attached: RwLock::default() }),
            regions,
            by_path: OnceCell::new(),
            missing_bytes,
            overlapping,
            threads: Vec::new(),
            has_file_note: false,
            entry: None,
            pid: None,
        };
        for bytes in &notes {
            core.parse_notes(bytes);
        }
        Ok(core)
    }

    fn parse_notes(&mut self, bytes: &[u8]) {
        let mut at = 0usize;
        // Kernel and GDB write the notes of cores with 4-byte alignment.
        while let (Some(name_size), Some(size), Some(kind)) =
            (bytes::uint(bytes, at, 4), bytes::uint(bytes, at + 4, 4), bytes::uint(bytes, at + 8, 4))
        {
            let name = at + 12;
            let start = name + (name_size as usize).next_multiple_of(4);
            let Some(content) = bytes.get(start..start + size as usize) else { return };
            match elf::NoteType(kind as u32) {
                elf::NT_PRSTATUS => {
                    if let Some(tid) = bytes::uint(content, PRSTATUS_PID, 4) {
                        self.threads.push(CoreThread { tid: tid as i32 });
                    }
                }
                elf::NT_PRPSINFO => self.pid = bytes::uint(content, PRPSINFO_PID, 4).map(|pid| pid as i32),
                elf::NT_FILE => self.parse_files(content),
                elf::NT_AUXV => {
                    let mut pairs = content.chunks_exact(16);
                    let entry = pairs.find(|pair| bytes::word(pair, 0) == Some(AT_ENTRY));
                    self.entry = entry.and_then(|pair| bytes::word(pair, 8));
                }
                _ => {}
            }
            at = start + (size as usize).next_multiple_of(4);
        }
    }

    /// `NT_FILE`: count, page size, then (start, end, offset in pages) each, then the names.
    fn parse_files(&mut self, content: &[u8]) {
        let (Some(count), Some(page)) = (bytes::word(content, 0), bytes::word(content, 8)) else { return };
        // Cores have one such note.
        if self.has_file_note {
            return;
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(content.len() / 24);
        let names = content.get(16 + count * 24..).unwrap_or(&[]);
        let mut names = names.split(|b| *b == 0).map(|n| String::from_utf8_lossy(n).into_owned());
        self.has_file_note = true;
        let mut known: HashMap<u64, usize> = self.regions.iter().enumerate().map(|(i, r)| (r.start, i)).collect();
        for i in 0..count {
            let at = 16 + i * 24;
            let (Some(start), Some(end), Some(offset), Some(path)) =
                (bytes::word(content, at), bytes::word(content, at + 8), bytes::word(content, at + 16), names.next())
            else {
                break;
            };
            let (path, deleted) = match path.strip_suffix(" (deleted)") {
                Some(path) => (path.to_owned(), true),
                None => (path, false),
            };
            let offset = offset.saturating_mul(page);
            // A core has one segment per mapping. GDB leaves out the segments of mappings it does
            // not save, so a mapping can also be missing.
            let full = self.regions.len() >= limits::REGIONS;
            match known.get(&start).map(|index| &mut self.regions[*index]) {
                Some(region) => {
                    region.path = path;
                    region.offset = offset;
                    region.deleted = deleted;
                }
                None if full => break,
                None => {
                    known.insert(start, self.regions.len());
                    self.regions.push(Region { start, end, writable: false, executable: false, offset, path, deleted })
                }
            }
        }
        self.overlapping += apart(&mut self.regions);
    }

    /// Lets `file` stand in for the pages of the mappings of `path` that the core left out.
    pub fn attach_file(&self, path: &str, file: File) {
        let index = self.by_path.get_or_init(|| {
            let mut index: HashMap<String, Vec<usize>> = HashMap::new();
            for (i, region) in self.regions.iter().enumerate().filter(|(_, r)| !r.path.is_empty()) {
                index.entry(region.path.clone()).or_default().push(i);
            }
            index
        });
        let regions = || index.get(path).into_iter().flatten().filter_map(|i| self.regions.get(*i));
        let mut attached = self.contents.attached.write().unwrap_or_else(PoisonError::into_inner);
        if regions().any(|region| attached.contains_key(&region.start)) {
            return;
        }
        let file = Arc::new(file);
        for region in regions() {
            let map = Attached { end: region.end, offset: region.offset, file: Arc::clone(&file) };
            attached.insert(region.start, map);
        }
    }

    fn cause(&self, addr: u64) -> FaultCause {
        if super::maps::find(&self.regions, addr).is_none() {
            FaultCause::Unmapped
        } else if self.missing_bytes > 0 {
            FaultCause::Truncated
        } else {
            FaultCause::NotInCore
        }
    }
}

impl Contents {
    /// How many bytes of `buffer` can be had at `addr` at once. What the core promises and has lost is not
    /// taken from a file: the process may have changed it.
    fn read_part(&self, addr: u64, buffer: &mut [u8]) -> Result<usize> {
        match self.read_saved(addr, buffer)? {
            0 => Ok(self.read_attached(addr, buffer)),
            n => Ok(n),
        }
    }

    /// How many bytes of `buffer` the core itself gives at `addr`.
    fn read_saved(&self, addr: u64, buffer: &mut [u8]) -> Result<usize> {
        let after = self.segments.partition_point(|s| s.start <= addr);
        let Some(segment) = self.segments[..after].last() else { return Ok(0) };
        let skip = addr - segment.start;
        let truncated = Error::Fault { addr: Addr(addr), cause: FaultCause::Truncated };
        if skip < segment.file_size {
            let n = buffer.len().min(usize::try_from(segment.file_size - skip).unwrap_or(usize::MAX));
            let read = self.file.read_exact_at(&mut buffer[..n], segment.file_offset.saturating_add(skip));
            return read.map(|()| n).map_err(|_| truncated);
        }
        if skip < segment.promised { Err(truncated) } else { Ok(0) }
    }

    fn read_attached(&self, addr: u64, buffer: &mut [u8]) -> usize {
        let attached = self.attached.read().unwrap_or_else(PoisonError::into_inner);
        let Some((start, map)) = attached.range(..=addr).next_back().filter(|(_, map)| addr < map.end) else {
            return 0;
        };
        let n = buffer.len().min(usize::try_from(map.end - addr).unwrap_or(usize::MAX));
        let offset = map.offset.saturating_add(addr - start);
        // Beyond the end of the file the last page is zeros, as in the process.
        let mut done = 0;
        while done < n {
            match map.file.read_at(&mut buffer[done..n], offset.saturating_add(done as u64)) {
                Ok(0) => {
                    buffer[done..n].fill(0);
                    done = n;
                }
                Ok(m) => done += m,
                Err(_) => return 0,
            }
        }
        n
    }
}

impl Source for Contents {
    fn read_some(&self, addr: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            match self.read_part(addr.wrapping_add(done as u64), &mut buffer[done..]) {
                Ok(n) if n > 0 => done += n,
                _ => break,
            }
        }
        done
    }
}

impl Memory for CoreFile {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            let at = addr.0.wrapping_add(done as u64);
            let n = self.contents.read_part(at, &mut buffer[done..])?;
            if n == 0 {
                return Err(Error::Fault { addr: Addr(at), cause: self.cause(at) });
            }
            done += n;
        }
        Ok(())
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn bulk(&self) -> Option<Arc<dyn Bulk>> {
        Some(Arc::<Contents>::clone(&self.contents))
    }

    /// What the core has saved. The kernel leaves holes in the file for pages that were never touched.
    fn populated(&self, region: &Region) -> Vec<(u64, u64)> {
        let segments = &self.contents.segments;
        let first = segments.partition_point(|s| s.start < region.start);
        let here = segments[first..].iter().take_while(|s| s.start < region.end);
        here.filter(|s| s.file_size > 0)
            .map(|s| (s.start, s.start.saturating_add(s.file_size).min(region.end)))
            .collect()
    }
}

impl<M: Memory> Memory for Rc<M> {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        M::read(self, addr, buffer)
    }

    fn regions(&self) -> &[Region] {
        M::regions(self)
    }

    fn block(&self) -> u64 {
        M::block(self)
    }

    fn bulk(&self) -> Option<Arc<dyn Bulk>> {
        M::bulk(self)
    }

    fn populated(&self, region: &Region) -> Vec<(u64, u64)> {
        M::populated(self, region)
    }
}
