//! Where fields are in this build of CPython, and what an offset cannot say.
//!
//! Versions are data: a CPython version is compared in this folder only. A [`Layout`] is merged
//! per field from the target's own `_Py_DebugOffsets`, DWARF of the mapped image and the built-in
//! table, each field keeping its [`Origin`], and is verified against live memory before anything is
//! decoded with it. A layout that fails verification is refused.

pub mod borrowed;
mod debug_offsets;
pub mod fields;
mod native_names;
pub mod opcodes;
pub mod own_sizes;
mod rules;
mod table;
mod verify;

use crate::diag::Diagnostics;
use crate::error::{Error, Result};
use crate::image::dwarf::StructLayout;
use crate::locate::Located;
use crate::process::Cache;
pub use fields::{Field, Fields, Origin, Slot};
pub use native_names::{NativeName, Role};
pub use rules::{
    Before, CodeSize, Collector, DictKeys, Frames, GcStats, GilPlace, InstanceDict, Ints, LineTable, Living, RefCount,
    Rules, Text,
};
use std::collections::HashMap;
use std::path::PathBuf;
pub use verify::Verified;

/// How to read this build's structs.
#[derive(Debug)]
pub struct Layout {
    /// Offsets.
    pub fields: Fields,
    /// What offsets cannot say.
    pub rules: Rules,
    /// The table's column that was taken, by its label.
    pub table: Option<String>,
    /// The file whose DWARF was used.
    pub dwarf: Option<PathBuf>,
    /// What was compared with live memory.
    pub verified: Verified,
}

impl std::ops::Deref for Layout {
    type Target = Fields;
    fn deref(&self) -> &Fields {
        &self.fields
    }
}

/// Comparisons below which a layout is used with a warning. Every interpreter tried gives 30 to 50.
const VERIFIED_ENOUGH: usize = 10;

/// DWARF's structs and the file they come from.
pub type DwarfStructs = (PathBuf, HashMap<String, StructLayout>);

/// Builds the layout for what was located.
///
/// # Errors
/// [`Error::NoLayout`] with a sentence for the user: a version that is not known, or a layout that
/// live memory contradicts.
pub fn resolve(
    located: &Located,
    memory: &Cache,
    dwarf: Option<DwarfStructs>,
    diagnostics: &Diagnostics,
) -> Result<Layout> {
    let rules = rules::rules(&located.version, located.header).ok_or_else(|| {
        Error::NoLayout(format!(
            "This is CPython {}, which this pyext does not know: it reads 2.7 and 3.6 to 3.15.",
            located.version
        ))
    })?;
    let mut fields = Fields::EMPTY;
    let table = table::fill(&mut fields, located, memory);
    let dwarf = dwarf.map(|(file, structs)| {
        fill_dwarf(&mut fields, &structs);
        file
    });
    if table.is_none() && dwarf.is_none() && !located.has_debug_offsets {
        return Err(Error::NoLayout(format!(
            "No built-in layout fits this build of CPython {}: install its debug info, or pass it with `set debug-file-directory`.",
            located.version
        )));
    }
    if located.has_debug_offsets
        && let Some((runtime, _)) = located.runtime
    {
        debug_offsets::fill(&mut fields, runtime, located.version.minor, memory, diagnostics);
    }
    let verified = verify::verify(&fields, located, memory);
    if let Some(contradiction) = verified.contradictions.first() {
        return Err(Error::NoLayout(format!(
            "The layout chosen for CPython {} ({}) is contradicted by the process: {contradiction}. Its debug info would give the exact one.",
            located.version,
            table.as_deref().unwrap_or("debug info"),
        )));
    }
    if verified.sizes + verified.members < VERIFIED_ENOUGH {
        diagnostics.add(
            format!(
                "only {} sizes and {} members could be held against the process: values may be wrong",
                verified.sizes, verified.members
            ),
            "layout",
        );
    }
    Ok(Layout { fields, rules, table, dwarf, verified })
}

/// The C names to look for in the debug info of what was located: a search that knows when it has
/// everything reads a third of the file. Where no column of the table fits, all names.
pub fn wanted_structs(located: &Located, memory: &Cache) -> Vec<&'static str> {
    let mut fields = Fields::EMPTY;
    if table::fill(&mut fields, located, memory).is_none() {
        return Fields::STRUCTS.to_vec();
    }
    let mut wanted = Vec::new();
    fields.visit(&mut |names, paths, slot| {
        if paths != ["<sizeof>"] || !slot.exists() {
            return;
        }
        // `deque.BLOCK` and its like are structs of extension modules; `(2.7)` is the table's mark.
        let known = names.iter().find(|n| !n.contains(['.', '(']) && **n != "dequeobject");
        wanted.extend(known.and_then(|name| Fields::STRUCTS.iter().find(|s| *s == name)));
    });
    wanted
}

/// Takes what DWARF of the mapped image says over what the table says. A struct that DWARF
/// describes and a member that it does not have: this build has no such member.
fn fill_dwarf(fields: &mut Fields, structs: &HashMap<String, StructLayout>) {
    fields.visit(&mut |names, paths, slot| {
        let Some(layout) = names.iter().find_map(|n| structs.get(*n).filter(|l| l.size > 0)) else { return };
        if paths == ["<sizeof>"] {
            slot.field = Some(Field { offset: layout.size, width: layout.size, bits: None, origin: Origin::Dwarf });
            return;
        }
        let member = paths.iter().find_map(|path| {
            ["", "ob_base.", "ob_base.ob_base.", "_base._base.", "_base."]
                .iter()
                .find_map(|prefix| layout.members.get(&format!("{prefix}{path}")))
        });
        slot.field = member.map(|m| Field { offset: m.offset, width: m.size, bits: m.bit, origin: Origin::Dwarf });
    });
}
