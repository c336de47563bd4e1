//! Finds CPython in the target: the image, the runtime, `PyType_Type`, the version, the static
//! types. Decodes nothing else.
//!
//! Symbols first, because they are exact; without any, structure: `PyType_Type` is the one object
//! whose `ob_type` is itself and whose `tp_name` says `type` (measured: exactly one hit in every
//! binary tried, static and section-less ones included).

pub mod gc_flag;
pub mod gc_statics;
pub mod statics;
pub mod version;

use crate::bytes::{Addr, word};
use crate::diag::Diagnostics;
use crate::error::{Error, Result};
use crate::image::elf::Wanted;
use crate::image::{Image, Module, mapped, modules};
use crate::limits;
use crate::process::Cache;
use serde::Serialize;
use statics::Statics;
use std::path::PathBuf;
pub use version::Version;

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// By a symbol of the image.
    Symbol,
    /// By the ELF section `.PyRuntime` (3.10 and later).
    Section,
    /// By the cookie of `_Py_DebugOffsets` in writable data (3.13 and later).
    Cookie,
    /// By what its fields say about each other.
    Structure,
}

/// CPython in the target.
#[derive(Debug)]
pub struct Located {
    /// The image that holds the runtime.
    pub image: Image,
    /// The version, and how it was found.
    pub version: Version,
    /// `_PyRuntime` (3.7 and later), and how it was found. Where only structure can tell, it is
    /// found later, with a layout.
    pub runtime: Option<(Addr, Found)>,
    /// The runtime starts with a valid `_Py_DebugOffsets`.
    pub has_debug_offsets: bool,
    /// `PyType_Type`.
    pub type_type: Addr,
    /// How `PyType_Type` was found.
    pub type_type_found: Found,
    /// Bytes of `PyObject`: 16, or 32 where the build traces references or is free-threaded.
    pub header: u64,
    /// The static types.
    pub statics: Statics,
}

impl Located {
    /// The static type called `name` (its `tp_name`).
    pub fn static_type(&self, name: &str, memory: &Cache) -> Option<Addr> {
        self.statics.get(name, &self.image, memory)
    }
}

/// Symbols that say something about the runtime.
fn wanted(name: &str) -> bool {
    matches!(
        name,
        "_PyRuntime"
            | "PyType_Type"
            | "Py_Version"
            | "_PyThreadState_Current"
            | "interp_head"
            | "PyPyType_Type"
            | "collecting"
            | "PyGC_Collect"
            | "_PyGC_generation0"
            | "generations"
            | "generation_stats"
            | "garbage"
            | "callbacks"
            | "enabled"
            | "debug"
            | "PyInit_gc"
            | "initgc"
            | "PyThread_acquire_lock"
            | "PyThread_release_lock"
            | "PyEval_RestoreThread"
            | "PyEval_AcquireThread"
    ) || is_eval_symbol(name)
        || statics::is_symbol(name)
        || statics::is_singleton(name)
}

/// Names of the evaluation function, its LTO and PGO clones included.
pub fn is_eval_symbol(name: &str) -> bool {
    name.starts_with("_PyEval_EvalFrameDefault") || name.starts_with("PyEval_EvalFrameEx")
}

/// How a module's file is found on this machine, best first.
pub type Candidates<'a> = dyn Fn(&Module) -> Vec<PathBuf> + 'a;

/// Opens the file of `module`, the first candidate that is the same file.
fn open(module: &Module, memory: &Cache, candidates: &Candidates<'_>) -> Result<Image> {
    let mut error = None;
    for file in candidates(module) {
        // 3.7 and later export all that is needed; before, `interp_head` is only in the full table.
        let wanted = Wanted { symbol: &wanted, full_table_unless: Some("_PyRuntime") };
        match Image::open(module, &file, memory, Some(&wanted), &[".PyRuntime"]) {
            Ok(image) => return Ok(image),
            Err(e) => error = error.or(Some(e)),
        }
    }
    Err(error.unwrap_or_else(|| Error::File { path: module.path.clone(), why: "no such file here".into() }))
}

/// How promising a module is: the name tells where to look first, never what is true.
fn rank(index: usize, module: &Module) -> usize {
    let name = module.path.rsplit('/').next().unwrap_or("");
    match () {
        () if name.starts_with("libpython") => 0,
        () if index == 0 || name.starts_with("python") => 1,
        () if name.contains("python") => 2,
        () => 3,
    }
}

/// Finds CPython.
///
/// `candidates` gives the files that may be a module's; `opened` is called with each image whose
/// file was proven to be the mapped one, before anything is read from it (a core then lets that
/// file stand in for the pages it does not have).
///
/// # Errors
/// [`Error::NoPython`] with a sentence for the user.
pub fn locate(
    memory: &Cache,
    candidates: &Candidates<'_>,
    opened: &dyn Fn(&Image),
    diagnostics: &Diagnostics,
) -> Result<Located> {
    let mut all: Vec<(usize, Module)> = modules::modules(&memory.regions()).into_iter().enumerate().collect();
    if all.is_empty() {
        return Err(Error::NoPython(
            "Nothing is known of what this target has mapped, so Python cannot be found.".into(),
        ));
    }
    all.sort_by_key(|(i, m)| (rank(*i, m), *i));
    let mut images = Vec::new();
    let mut not_started = None;
    // The most promising module whose file is not here.
    let mut missing = None;
    for (index, module) in &all {
        match open(module, memory, candidates) {
            Ok(image) => {
                opened(&image);
                if image.symbol("PyPyType_Type").is_some() {
                    return Err(Error::NoPython(format!("{} is PyPy: pyext reads CPython only.", module.path)));
                }
                if let Some(type_type) = image.symbol("PyType_Type") {
                    match from_type(image.clone(), type_type, Found::Symbol, memory) {
                        Ok(located) => return Ok(located),
                        Err(NoCPython::NoVersion) => not_started = Some(module.path.clone()),
                        Err(NoCPython::NoType) => {}
                    }
                }
                images.push(image);
            }
            // A file of data, such as a locale: static programs can have it before themselves.
            Err(_) if mapped::is_elf(module, memory) == Some(false) => {}
            Err(e) => {
                if rank(*index, module) < 2 {
                    missing = missing.or(Some(module));
                }
                if let (Error::File { path, why }, true) = (e, rank(1, module) < 3 || images.is_empty()) {
                    diagnostics.add(format!("its file cannot be used: {why}"), path);
                }
            }
        }
    }
    for image in images {
        let Some((type_type, _)) = scan_type_type(&image, memory) else { continue };
        let path = image.path.clone();
        match from_type(image, type_type, Found::Structure, memory) {
            Ok(located) => return Ok(located),
            Err(NoCPython::NoVersion) => not_started = Some(path),
            Err(NoCPython::NoType) => {}
        }
    }
    if let Some(path) = not_started {
        return Err(Error::NoPython(format!(
            "CPython is there ({path}) and does not say which version it is: it has not started yet, or its memory is \
             missing."
        )));
    }
    if let Some(module) = missing {
        return Err(Error::NoPython(format!(
            "The files of this target are not here, {} among them: copy them from where it ran and type \
             `set sysroot DIR`, or debug it there.",
            module.path
        )));
    }
    Err(Error::NoPython("There is no CPython in this target (no image has a type object that is its own type).".into()))
}

/// Why an image is not taken for CPython's.
enum NoCPython {
    /// There is no type object that is its own type.
    NoType,
    /// There is one, and no version. 2.7 to 3.10 write the text of it when they start.
    NoVersion,
}

/// Completes what is known once `PyType_Type` is.
fn from_type(image: Image, type_type: Addr, found: Found, memory: &Cache) -> std::result::Result<Located, NoCPython> {
    let header = header_size(type_type, memory).ok_or(NoCPython::NoType)?;
    let (runtime, offsets_version) = find_runtime(&image, memory);
    let version = match offsets_version {
        Some(hex) => Version::from_hex(hex, Found::Cookie),
        None => version::find(&image, memory).ok_or(NoCPython::NoVersion)?,
    };
    let statics = Statics::new(&image, type_type, header, memory);
    Ok(Located {
        version,
        has_debug_offsets: offsets_version.is_some(),
        runtime,
        type_type,
        type_type_found: found,
        header,
        statics,
        image,
    })
}

/// `PyObject`'s size by where `PyType_Type` points to itself: 8 bytes into a plain header, 24 into
/// one that is 32 bytes long.
fn header_size(type_type: Addr, memory: &Cache) -> Option<u64> {
    [16u64, 32].into_iter().find(|header| {
        memory.pointer(type_type + (header - 8)).is_ok_and(|t| t == type_type)
            && is_named_type(type_type, *header, memory)
    })
}

fn is_named_type(at: Addr, header: u64, memory: &Cache) -> bool {
    memory.pointer(at + header + 8).and_then(|name| memory.c_string(name)).is_ok_and(|name| name == "type")
}

/// The self-reference scan over the image's writable data.
fn scan_type_type(image: &Image, memory: &Cache) -> Option<(Addr, u64)> {
    let mut hit = None;
    scan_words(image, memory, &mut |at, value| {
        for header in [16u64, 32] {
            if value == at.0.wrapping_sub(header - 8) && is_named_type(Addr(value), header, memory) {
                hit = Some((Addr(value), header));
                return false;
            }
        }
        true
    });
    hit
}

/// Calls `f` with every aligned word of the image's writable data, until `f` returns false.
/// Pages that cannot be read are passed over.
pub fn scan_words(image: &Image, memory: &Cache, f: &mut dyn FnMut(Addr, u64) -> bool) {
    scan_windows(image, memory, &mut |start, bytes| {
        (0..bytes.len() / 8).all(|i| word(bytes, i * 8).is_none_or(|value| f(start + i as u64 * 8, value)))
    });
}

/// Calls `f` with windows of the image's writable data, until `f` returns false. Windows begin at
/// page boundaries.
pub fn scan_windows(image: &Image, memory: &Cache, f: &mut dyn FnMut(Addr, &[u8]) -> bool) {
    const WINDOW: u64 = 1 << 20;
    const PAGE: u64 = 4096;
    let mut buffer = vec![0u8; WINDOW as usize];
    let mut budget = limits::SCAN;
    for (start, end) in &image.data {
        let mut at = start / PAGE * PAGE;
        // Not rounded up where that is beyond all addresses.
        let end = end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX / PAGE * PAGE);
        while at < end && budget > 0 {
            let n = WINDOW.min(end - at);
            budget = budget.saturating_sub(n);
            let whole = memory.read_uncached(Addr(at), &mut buffer[..n as usize]).is_ok();
            if whole {
                if !f(Addr(at), &buffer[..n as usize]) {
                    return;
                }
            } else {
                for page in (0..n).step_by(PAGE as usize) {
                    let bytes = &mut buffer[..PAGE as usize];
                    if memory.read_uncached(Addr(at + page), bytes).is_ok() && !f(Addr(at + page), bytes) {
                        return;
                    }
                }
            }
            at += n;
        }
    }
}

/// `_PyRuntime`, and the version from its `_Py_DebugOffsets` if it has them.
fn find_runtime(image: &Image, memory: &Cache) -> (Option<(Addr, Found)>, Option<u32>) {
    let by_name = image
        .symbol("_PyRuntime")
        .map(|a| (a, Found::Symbol))
        .or_else(|| image.section(".PyRuntime").map(|(a, _)| (a, Found::Section)));
    if let Some((at, found)) = by_name {
        return (Some((at, found)), version::debug_offsets_version(at, memory));
    }
    // The cookie's bytes also occur unaligned in code (it is a constant there); only aligned words
    // of writable data count, and only with a plausible version behind them.
    let mut hit = None;
    scan_words(image, memory, &mut |at, value| {
        if value == version::COOKIE
            && let Some(hex) = version::debug_offsets_version(at, memory)
        {
            hit = Some((at, hex));
            return false;
        }
        true
    });
    match hit {
        Some((at, hex)) => (Some((at, Found::Cookie)), Some(hex)),
        None => (None, None),
    }
}
