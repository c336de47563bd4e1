//! The files that are mapped, from the regions of the target.

use crate::process::Region;

/// A mapped file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// The file as the target names it.
    pub path: String,
    /// First address of the first mapping.
    pub start: u64,
    /// One past the last address of the last mapping.
    pub end: u64,
    /// Whether the file was deleted or replaced since.
    pub deleted: bool,
}

/// All mapped files, in address order.
///
/// A file that is mapped twice (ctypes can do that to a static executable, bloomberg/pystack issue
/// 255) gives one module per run of mappings that starts at file offset 0.
pub fn modules(regions: &[Region]) -> Vec<Module> {
    let mut all: Vec<Module> = Vec::new();
    for region in regions.iter().filter(|r| r.path.starts_with('/')) {
        match all.iter_mut().rev().find(|m| m.path == region.path) {
            Some(known) if region.offset != 0 || region.start == known.end => known.end = region.end,
            _ => all.push(Module {
                path: region.path.clone(),
                start: region.start,
                end: region.end,
                deleted: region.deleted,
            }),
        }
    }
    all
}
