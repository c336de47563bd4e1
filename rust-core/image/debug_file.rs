//! Finds the file that holds the debug information of a mapped image.
//!
//! What it does: looks for separate debug files where GDB, dwz and debuginfod put them. What it does
//! not do: it reads no DWARF and no target memory, and changes nothing on disk.
//!
//! Invariant: a file is returned only after it has proved to belong to the image.
//!
//! Past 600 lines because the reader of section tables (`section_table`) and the tests are in it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

pub use self::section_table::{AltLink, DebugElf, ElfError};
use super::debuginfod;

/// Longest build id: libdebuginfod takes no more either (`MAX_BUILD_ID_BYTES`).
const MAX_BUILD_ID: usize = 64;
/// How long a debuginfod server may take, connection and download together.
const SERVER_TIME: Duration = Duration::from_secs(90);

/// Where to look for debug files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebugSearch {
    /// The folders of `set debug-file-directory`, in order.
    pub debug_dirs: Vec<PathBuf>,
    /// Where the target's root is seen: `set sysroot`, or `/proc/<pid>/root` of another container.
    pub sysroot: Option<PathBuf>,
    /// Whether debuginfod servers may be asked (those of `$DEBUGINFOD_URLS`). What debuginfod has
    /// in its cache is used in any case.
    pub debuginfod: bool,
}

impl Default for DebugSearch {
    /// `/usr/lib/debug`, no sysroot, no servers.
    fn default() -> Self {
        Self { debug_dirs: vec!["/usr/lib/debug".into()], sysroot: None, debuginfod: false }
    }
}

/// Finds a file with the DWARF of an image; the image itself where it has any.
///
/// `build_id` is best taken from the target's memory, so that an upgraded file on disk is not taken
/// for what runs; empty if unknown. `debuglink` is the file name and the CRC-32 of the image's
/// `.gnu_debuglink`. The order is GDB's: the image, the build id below each debug folder, the link
/// beside the image, then debuginfod's cache and servers. A file counts only if it has DWARF and
/// the same build id, or, where one of the two ids is missing, the CRC of the link. Files that
/// cannot be read count as absent.
#[must_use]
pub fn find_debug_file(
    image_path: &Path,
    build_id: &[u8],
    debuglink: Option<(&[u8], u32)>,
    search: &DebugSearch,
) -> Option<PathBuf> {
    find_debug_file_with(image_path, build_id, debuglink, search, &mut || false)
}

/// As [`find_debug_file`], asking `cancelled` now and then while a server is downloading.
#[must_use]
pub fn find_debug_file_with(
    image_path: &Path,
    build_id: &[u8],
    debuglink: Option<(&[u8], u32)>,
    search: &DebugSearch,
    cancelled: &mut dyn FnMut() -> bool,
) -> Option<PathBuf> {
    let images = [Some(image_path.to_owned()), search.under_sysroot(image_path)];
    let own = |path: &PathBuf| {
        DebugElf::open(path).is_ok_and(|mut elf| {
            elf.has_dwarf() && (build_id.is_empty() || elf.build_id().as_deref() == Some(build_id))
        })
    };
    if let Some(image) = images.into_iter().flatten().find(own) {
        return Some(image);
    }
    let same_id = |path: &PathBuf| has_id(path, build_id);
    if let Some(found) = search.build_id_paths(build_id).into_iter().find(same_id) {
        return Some(found);
    }
    if let Some((name, crc)) = debuglink {
        let linked = |path: &PathBuf| {
            DebugElf::open(path).is_ok_and(|mut elf| {
                let id = elf.build_id().filter(|_| !build_id.is_empty());
                let proven = id.map(|id| id == build_id);
                elf.has_dwarf() && proven.unwrap_or_else(|| file_crc(path).is_ok_and(|c| c == crc))
            })
        };
        if let Some(found) = search.link_paths(image_path, name).into_iter().find(linked) {
            return Some(found);
        }
    }
    from_debuginfod(build_id, search, cancelled)
}

/// Finds the supplementary file that `debug_file` refers to by `link` (see [`DebugElf::alt_link`]).
///
/// Looks at the path as written, in the `.dwz` folder and by build id below each debug folder, and
/// in debuginfod's cache and servers; only a file with the id of the link counts.
#[must_use]
pub fn find_alt_file(debug_file: &Path, link: &AltLink, search: &DebugSearch) -> Option<PathBuf> {
    let name = Path::new(OsStr::from_bytes(&link.name));
    let mut paths = Vec::new();
    // The debug file may itself be reached through a link of `.build-id`.
    for file in [Some(debug_file.to_owned()), fs::canonicalize(debug_file).ok()].into_iter().flatten() {
        paths.push(file.parent().unwrap_or(Path::new("")).join(name));
    }
    if name.is_absolute() {
        paths.extend(search.under_sysroot(name));
    }
    let below_dwz: PathBuf = (name.components().skip_while(|c| c.as_os_str() != ".dwz")).collect();
    if below_dwz.as_os_str().is_empty() {
        let base = name.file_name().unwrap_or_default();
        paths.extend(search.all_debug_dirs().map(|dir| dir.join(".dwz").join(base)));
    } else if below_dwz.components().all(|c| matches!(c, Component::Normal(_))) {
        paths.extend(search.all_debug_dirs().map(|dir| dir.join(&below_dwz)));
    }
    paths.extend(search.build_id_paths(&link.id));
    paths.into_iter().find(|path| has_id(path, &link.id)).or_else(|| from_debuginfod(&link.id, search, &mut || false))
}

/// Whether a file has DWARF and this build id (or, as a supplementary file, this checksum).
fn has_id(path: &Path, id: &[u8]) -> bool {
    !id.is_empty()
        && DebugElf::open(path).is_ok_and(|mut elf| {
            elf.has_dwarf()
                && (elf.build_id().as_deref() == Some(id) || elf.supplementary(1).is_some_and(|sup| sup.id == id))
        })
}

fn from_debuginfod(build_id: &[u8], search: &DebugSearch, cancelled: &mut dyn FnMut() -> bool) -> Option<PathBuf> {
    if build_id.is_empty() || build_id.len() > MAX_BUILD_ID {
        return None;
    }
    let var = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    let cached = in_cache(&cache_dirs(var), build_id);
    if cached.is_some() || !search.debuginfod {
        return cached;
    }
    let fetched = debuginfod::find_debuginfo(build_id, SERVER_TIME, cancelled).ok()?;
    has_id(&fetched, build_id).then_some(fetched)
}

/// A file of debuginfod's cache. An empty one there means that the servers did not have it: it is no
/// ELF file, and so counts as absent.
fn in_cache(dirs: &[PathBuf], build_id: &[u8]) -> Option<PathBuf> {
    dirs.iter().map(|dir| dir.join(hex(build_id)).join("debuginfo")).find(|path| has_id(path, build_id))
}

/// The folders that may be debuginfod's cache (man page debuginfod-client-config(7)): a user may have moved from one to another.
fn cache_dirs(var: impl Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let home = || var("HOME").map(PathBuf::from);
    let dirs = [
        var("DEBUGINFOD_CACHE_PATH").map(PathBuf::from),
        var("XDG_CACHE_HOME").map(|dir| Path::new(&dir).join("debuginfod_client")),
        home().map(|dir| dir.join(".cache/debuginfod_client")),
        home().map(|dir| dir.join(".debuginfod_client_cache")),
    ];
    dirs.into_iter().flatten().collect()
}

impl DebugSearch {
    /// Where a path of the target is below the sysroot, unless it is there already.
    fn under_sysroot(&self, path: &Path) -> Option<PathBuf> {
        let root = self.sysroot.as_deref().filter(|root| !path.starts_with(root))?;
        let inside = path.strip_prefix("/").ok()?;
        Some(root.join(inside))
    }

    /// The debug folders, each as seen here and below the sysroot.
    fn all_debug_dirs(&self) -> impl Iterator<Item = PathBuf> {
        self.debug_dirs.iter().flat_map(|dir| [Some(dir.clone()), self.under_sysroot(dir)]).flatten()
    }

    fn build_id_paths(&self, build_id: &[u8]) -> Vec<PathBuf> {
        match build_id.split_first() {
            Some((first, rest)) if !rest.is_empty() && rest.len() < MAX_BUILD_ID => {
                let name = format!(".build-id/{}/{}.debug", hex(&[*first]), hex(rest));
                self.all_debug_dirs().map(|dir| dir.join(&name)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn link_paths(&self, image: &Path, name: &[u8]) -> Vec<PathBuf> {
        let name = Path::new(OsStr::from_bytes(name));
        // A link is a plain file name; anything else would lead out of these folders.
        if name.file_name() != Some(name.as_os_str()) {
            return Vec::new();
        }
        let mut folders: Vec<PathBuf> = Vec::new();
        let images = [Some(image.to_owned()), self.under_sysroot(image), fs::canonicalize(image).ok()];
        for image in images.into_iter().flatten() {
            if let Some(folder) = image.parent().filter(|f| !folders.iter().any(|g| g == f)) {
                folders.push(folder.to_owned());
            }
        }
        let mut paths = Vec::new();
        for folder in &folders {
            paths.push(folder.join(name));
            paths.push(folder.join(".debug").join(name));
        }
        for folder in &folders {
            // Below a debug folder, folders are named as the target sees them.
            let inside = (self.sysroot.as_deref())
                .and_then(|root| folder.strip_prefix(root).ok())
                .or_else(|| folder.strip_prefix("/").ok());
            let inside = inside.unwrap_or(folder);
            paths.extend(self.all_debug_dirs().map(|dir| dir.join(inside).join(name)));
        }
        paths
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The CRC-32 of a whole file, as `.gnu_debuglink` has it (the polynomial of zlib).
fn file_crc(path: &Path) -> io::Result<u32> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 16];
    let mut crc = !0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(!crc),
            n => crc = crc_update(crc, buffer.get(..n).unwrap_or_default()),
        }
    }
}

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)] // evaluated by the compiler
static CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
};

#[allow(clippy::indexing_slicing)] // a byte is below 256
fn crc_update(crc: u32, data: &[u8]) -> u32 {
    data.iter().fold(crc, |crc, &byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ CRC_TABLE[usize::from(low ^ byte)]
    })
}

mod section_table {
    //! The sections of an ELF file on disk, and the links between debug files that they hold.
    //!
    //! What it does: reads the section table, single sections, the build id and the debug links. What it
    //! does not do: segments, symbols, 32-bit or big-endian files.
    //!
    //! Invariant: files are hostile input. They are read piece by piece with capped, fallible
    //! allocations and never mapped: a mapped file that shrinks kills the debugger with SIGBUS. (The
    //! `object` crate parses files that are in memory as a whole, or allocates what their headers claim;
    //! so the section table is read here, and `object` only inflates.)

    use std::fs::{self, File};
    use std::io::{self, Read, Seek, SeekFrom};
    use std::path::{Path, PathBuf};

    use object::read::{CompressedData, CompressionFormat};
    use thiserror::Error;

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
            // A FIFO would block in `open`, and whoever owns the target's file system chooses the file.
            if !fs::metadata(path).map_err(io)?.is_file() {
                return Err(ElfError::Malformed { path: path.to_owned(), what: "not a regular file" });
            }
            let file = File::open(path).map_err(io)?;
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
}

#[cfg(test)]
pub(crate) mod testing {
    //! What tests of files need: a folder of their own, and the system's compiler.

    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failing test may panic

    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{self, Command};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A folder that is gone when the test is over.
    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let dir = std::env::temp_dir().join(format!("pyext-{name}-{}-{count}", process::id()));
            fs::create_dir_all(&dir).unwrap();
            // Debug links are looked for beside the real path.
            Self(dir.canonicalize().unwrap())
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }

        /// Writes a file, making its folders, and returns its path.
        pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, contents).unwrap();
            path
        }

        /// Runs a program in the folder and returns what it printed. Arguments are split at spaces.
        pub(crate) fn run(&self, program: &str, arguments: &str) -> String {
            let output = Command::new(program)
                .args(arguments.split_whitespace())
                .current_dir(&self.0)
                .output()
                .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
            assert!(output.status.success(), "{program} {arguments}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Separate debug files, made with gcc, objcopy and strip as distributions make them.

    #![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a failing test may panic

    use super::testing::Scratch;
    use super::*;

    const ID: [u8; 20] = [
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23,
        0x45, 0x67,
    ];
    const ID_PATH: &str = ".build-id/01/23456789abcdef0123456789abcdef01234567.debug";
    const OTHER_ID: [u8; 2] = [0xfe, 0xdc];

    /// `bin/full.so` with DWARF, `bin/image.so` without and with a debug link, `image.debug` with the
    /// rest.
    fn build(name: &str, id: &str) -> Scratch {
        let dir = Scratch::new(name);
        dir.write("a.c", "struct thing { int a; } thing;");
        fs::create_dir(dir.path().join("bin")).unwrap();
        let link = format!("-g -shared -fPIC -nostdlib -Wl,--build-id={id} a.c -o bin/full.so");
        dir.run("gcc", &link);
        dir.run("objcopy", "--only-keep-debug bin/full.so image.debug");
        dir.run("objcopy", "--strip-debug --add-gnu-debuglink=image.debug bin/full.so bin/image.so");
        dir
    }

    fn build_with_id(name: &str) -> Scratch {
        build(name, "0x0123456789abcdef0123456789abcdef01234567")
    }

    fn search(dir: &Scratch) -> DebugSearch {
        DebugSearch { debug_dirs: vec![dir.path().join("debug")], sysroot: None, debuginfod: false }
    }

    fn install(dir: &Scratch, name: &str) -> PathBuf {
        dir.write(name, fs::read(dir.path().join("image.debug")).unwrap())
    }

    #[test]
    fn an_elf_file_says_who_it_is_and_where_its_dwarf_is() {
        let dir = build_with_id("identity");
        let mut image = DebugElf::open(&dir.path().join("bin/image.so")).unwrap();
        let mut debug = DebugElf::open(&dir.path().join("image.debug")).unwrap();
        assert_eq!(image.build_id().as_deref(), Some(&ID[..]));
        assert_eq!(debug.build_id().as_deref(), Some(&ID[..]));
        assert!(!image.has_dwarf() && debug.has_dwarf());
        // The contents of .text stayed in the image.
        assert_eq!(debug.section(".bss", 1 << 20).unwrap(), None);
        let (name, crc) = image.debug_link().unwrap();
        assert_eq!(name, b"image.debug");
        assert_eq!(file_crc(&dir.path().join("image.debug")).unwrap(), crc);
        assert_eq!(debug.debug_link(), None);
        assert_eq!(image.alt_link(), None);
    }

    #[test]
    fn the_image_comes_first() {
        let dir = build_with_id("own");
        install(&dir, &format!("debug/{ID_PATH}"));
        let image = dir.path().join("bin/full.so");
        assert_eq!(find_debug_file(&image, &ID, None, &search(&dir)), Some(image.clone()));
        assert_eq!(find_debug_file(&image, &[], None, &search(&dir)), Some(image.clone()));
        // Upgraded on disk while the old one runs.
        assert_eq!(find_debug_file(&image, &OTHER_ID, None, &search(&dir)), None);
    }

    #[test]
    fn the_build_id_comes_before_the_link() {
        let dir = build_with_id("buildid");
        let image = dir.path().join("bin/image.so");
        let link = Some((&b"image.debug"[..], 0));
        assert_eq!(find_debug_file(&image, &ID, link, &search(&dir)), None);
        let beside = install(&dir, "bin/image.debug");
        assert_eq!(find_debug_file(&image, &ID, link, &search(&dir)), Some(beside));
        let by_id = install(&dir, &format!("debug/{ID_PATH}"));
        assert_eq!(find_debug_file(&image, &ID, link, &search(&dir)), Some(by_id.clone()));
        assert_eq!(find_debug_file(Path::new("/gone"), &ID, None, &search(&dir)), Some(by_id));
    }

    #[test]
    fn a_file_of_another_build_is_refused() {
        let dir = build_with_id("mismatch");
        let image = dir.path().join("bin/image.so");
        install(&dir, "debug/.build-id/fe/dc.debug");
        install(&dir, "bin/image.debug");
        let crc = file_crc(&dir.path().join("image.debug")).unwrap();
        // The build id decides even where the CRC is right.
        let link = Some((&b"image.debug"[..], crc));
        assert_eq!(find_debug_file(&image, &OTHER_ID, link, &search(&dir)), None);
    }

    #[test]
    fn links_are_looked_for_where_gdb_does() {
        let dir = build("link", "none");
        let image = dir.path().join("bin/image.so");
        let crc = file_crc(&dir.path().join("image.debug")).unwrap();
        let inside = dir.path().strip_prefix("/").unwrap().to_str().unwrap().to_owned();
        let find = |crc| find_debug_file(&image, &[], Some((&b"image.debug"[..], crc)), &search(&dir));
        for place in
            [format!("debug/{inside}/bin/image.debug"), "bin/.debug/image.debug".into(), "bin/image.debug".into()]
        {
            assert_eq!(find(crc), None);
            let path = install(&dir, &place);
            assert_eq!(find(crc), Some(path.clone()));
            assert_eq!(find(crc ^ 1), None, "the CRC counts where there is no build id");
            fs::remove_file(path).unwrap();
        }
        install(&dir, "debug/image.debug");
        let outside = Some((&b"../debug/image.debug"[..], crc));
        assert_eq!(find_debug_file(&image, &[], outside, &search(&dir)), None);
    }

    #[test]
    fn an_image_below_a_sysroot_has_its_debug_files_there() {
        let dir = build_with_id("sysroot");
        let root = dir.path().join("root");
        let here =
            DebugSearch { debug_dirs: vec!["/usr/lib/debug".into()], sysroot: Some(root.clone()), debuginfod: false };
        let image = dir.write("root/bin/image.so", fs::read(dir.path().join("bin/image.so")).unwrap());
        let link = Some((&b"image.debug"[..], 0));
        let expected = install(&dir, "root/usr/lib/debug/bin/image.debug");
        for path in [&image, Path::new("/bin/image.so")] {
            assert_eq!(find_debug_file(path, &ID, link, &here), Some(expected.clone()));
        }
        let by_id = install(&dir, &format!("root/usr/lib/debug/{ID_PATH}"));
        assert_eq!(find_debug_file(Path::new("/x"), &ID, None, &here), Some(by_id));
    }

    #[test]
    fn an_empty_file_of_the_cache_counts_as_absent() {
        let dir = build_with_id("cache");
        let entry = "new/0123456789abcdef0123456789abcdef01234567/debuginfo";
        let dirs = ["old", "new"].map(|name| dir.path().join(name));
        dir.write(entry, "");
        assert_eq!(in_cache(&dirs, &ID), None);
        let path = install(&dir, entry);
        assert_eq!(in_cache(&dirs, &ID), Some(path));
        assert_eq!(in_cache(&dirs, &OTHER_ID), None);
    }

    #[test]
    fn the_cache_is_where_the_environment_says() {
        let vars = |set: &'static [&'static str]| {
            cache_dirs(move |name| set.contains(&name).then(|| format!("/{name}").into()))
        };
        assert!(vars(&[]).is_empty());
        let home = ["/HOME/.cache/debuginfod_client", "/HOME/.debuginfod_client_cache"];
        assert_eq!(vars(&["HOME"]), home.map(PathBuf::from));
        let all = vars(&["HOME", "XDG_CACHE_HOME", "DEBUGINFOD_CACHE_PATH"]);
        assert_eq!(all[0], Path::new("/DEBUGINFOD_CACHE_PATH"));
        assert_eq!(all[1], Path::new("/XDG_CACHE_HOME/debuginfod_client"));
    }

    #[test]
    fn a_supplementary_file_is_found_by_path_and_by_id() {
        let dir = build_with_id("alt");
        let main = dir.write("a/main.debug", "");
        let link = |name: &str, id: &[u8]| AltLink { name: name.into(), id: id.to_vec() };
        let find = |name: &str| find_alt_file(&main, &link(name, &ID), &search(&dir));
        assert_eq!(find("../.dwz/common"), None);
        let by_id = install(&dir, &format!("debug/{ID_PATH}"));
        assert_eq!(find("../.dwz/common"), Some(by_id));
        let shared = install(&dir, "debug/.dwz/common");
        assert_eq!(find("../.dwz/common"), Some(shared.clone()));
        assert_eq!(find("common"), Some(shared));
        install(&dir, ".dwz/common");
        assert_eq!(find("../.dwz/common"), Some(dir.path().join("a/../.dwz/common")));
        let absolute = dir.path().join(".dwz/common");
        assert_eq!(find(absolute.to_str().unwrap()), Some(absolute.clone()));
        let other = link(absolute.to_str().unwrap(), &OTHER_ID);
        assert_eq!(find_alt_file(&main, &other, &search(&dir)), None);
    }

    #[test]
    fn what_is_no_elf_file_is_an_error_not_a_crash() {
        let dir = build_with_id("damage");
        dir.run("mkfifo", "fifo");
        let open = |name: &str| DebugElf::open(&dir.path().join(name)).unwrap_err().to_string();
        assert!(open("fifo").contains("not a regular file"));
        assert!(open("").contains("not a regular file"));
        assert!(open("a.c").contains("the file ends within its own tables"));
        assert!(open("nothing").contains("cannot read"));
        let good = fs::read(dir.path().join("bin/image.so")).unwrap();
        for length in (0..good.len()).step_by(97) {
            let path = dir.write("cut", &good[..length]);
            assert!(DebugElf::open(&path).is_err() || length == good.len());
        }
        // 2^48 sections, in a file that is no larger than before.
        let mut liar = good.clone();
        let table = usize::try_from(u64::from_le_bytes(good[40..48].try_into().unwrap())).unwrap();
        liar[60..62].fill(0);
        liar[table + 32..table + 40].copy_from_slice(&(1_u64 << 48).to_le_bytes());
        let error = DebugElf::open(&dir.write("liar", liar)).unwrap_err().to_string();
        assert!(error.contains("larger than this program accepts"), "{error}");
    }

    #[test]
    fn the_crc_is_the_one_of_zlib() {
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(!crc_update(!0, b"123456789"), 0xcbf4_3926);
    }
}
