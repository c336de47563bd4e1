//! The files that are mapped, from the regions of the target.

use crate::limits;
use crate::process::Region;
use std::collections::HashMap;

/// A mapped file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// The file as the target names it.
    pub path: String,
    /// First address of the first mapping.
    pub start: u64,
    /// One past the last address of the first mapping.
    pub first_end: u64,
    /// One past the last address of the last mapping.
    pub end: u64,
    /// Whether the file was deleted or replaced since.
    pub deleted: bool,
}

/// All mapped files, in address order, at most [`limits::MODULES`].
///
/// A file that is mapped twice (ctypes can do that to a static executable, bloomberg/pystack issue
/// 255) gives one module per run of mappings that starts at file offset 0.
pub fn modules(regions: &[Region]) -> Vec<Module> {
    let mut all: Vec<Module> = Vec::new();
    // The last module of each path.
    let mut last: HashMap<&str, usize> = HashMap::new();
    for region in regions.iter().filter(|r| r.path.starts_with('/')) {
        let full = all.len() >= limits::MODULES;
        match last.get(region.path.as_str()).map(|index| &mut all[*index]) {
            Some(known) if region.offset != 0 || region.start == known.end => known.end = region.end,
            _ if full => {}
            _ => {
                last.insert(&region.path, all.len());
                all.push(Module {
                    path: region.path.clone(),
                    start: region.start,
                    first_end: region.end,
                    end: region.end,
                    deleted: region.deleted,
                });
            }
        }
    }
    all
}
