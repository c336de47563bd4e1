//! Finds the file that holds the debug information of a mapped image.
//!
//! What it does: looks for separate debug files where GDB, dwz and debuginfod put them. What it does
//! not do: it reads no DWARF and no target memory, and changes nothing on disk.
//!
//! Invariant: a file is returned only after it has proved to belong to the image.

mod section_table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

pub use self::section_table::{AltLink, DebugElf, ElfError};
use super::debuginfod;
use crate::limits;
use crate::process::files::open_regular;

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
    let mut file = open_regular(path, limits::ELF_FILE)?;
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
