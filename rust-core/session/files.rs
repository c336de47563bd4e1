//! The files that the target maps: which they are, and where on this machine the same ones are.
//!
//! Invariant: a file counts as the mapped one only if its build id is that of the mapped bytes, or if
//! the target's memory does not show one.

use super::attach::Description;
use crate::image::elf::hex;
use crate::image::{Image, Module, mapped, modules};
use crate::process::Cache;
use crate::report::model::MappedFile;
use std::path::{Path, PathBuf};

/// The code that the target maps, in address order, each file once.
pub fn mapped(description: &Description, memory: &Cache) -> Vec<MappedFile> {
    let mut all: Vec<MappedFile> = Vec::new();
    for module in modules::modules(&memory.regions()).iter().filter(|m| is_code(m, memory)) {
        if all.iter().any(|known| known.path == module.path) {
            continue;
        }
        let here = candidates(description, module).into_iter().find(|file| Image::is_file_of(module, file, memory));
        let build_id = mapped::build_id(module, memory);
        all.push(MappedFile { path: module.path.clone(), build_id: build_id.as_deref().map(hex), file: here });
    }
    all
}

/// Fonts, locales and shared memory are mapped too.
fn is_code(module: &Module, memory: &Cache) -> bool {
    let executable = || memory.regions().iter().any(|r| r.executable && (module.start..module.end).contains(&r.start));
    mapped::is_elf(module, memory).unwrap_or_else(executable)
}

/// Files of this machine that can be the one that `module` maps, best first.
pub fn candidates(description: &Description, module: &Module) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = Vec::new();
    let inside = module.path.trim_start_matches('/');
    if let Some(pid) = description.pid {
        if !module.deleted {
            all.push(format!("/proc/{pid}/root/{inside}").into());
        }
        // The kernel's own link to what is mapped, where the name leads elsewhere by now.
        all.push(format!("/proc/{pid}/map_files/{:x}-{:x}", module.start, module.first_end).into());
    }
    if !description.sysroot.is_empty() && description.sysroot != "target:" {
        all.push(Path::new(&description.sysroot).join(inside));
    }
    all.push(module.path.clone().into());
    if let Some(executable) = &description.executable {
        let same_name = Path::new(executable).file_name() == Path::new(&module.path).file_name();
        if same_name || !Path::new(&module.path).exists() {
            all.push(executable.into());
        }
    }
    all.retain(|p| p.exists());
    all.dedup();
    all
}
