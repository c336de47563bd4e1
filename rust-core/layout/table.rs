//! The built-in table: offsets measured on real builds, one column per build.
//!
//! A minor version does not decide a column: layouts drift between patch releases and
//! distributions. The column is chosen by what the target shows of itself, the header size and the
//! `tp_basicsize` of its static types, and only then by the nearest patch release.

use super::fields::{Field, Fields, Origin};
use crate::locate::Located;
use crate::process::Cache;
use once_cell::sync::Lazy;
use std::collections::HashMap;

const TEXT: &str = include_str!("tables/offsets.tsv");

type Cell = Option<(u32, u32, Option<(u8, u8)>)>;

struct Table {
    columns: Vec<&'static str>,
    rows: HashMap<&'static str, Vec<Cell>>,
}

static TABLE: Lazy<Table> = Lazy::new(|| {
    let mut lines = TEXT.lines();
    let columns: Vec<_> = lines.next().unwrap_or("").split('\t').skip(1).collect();
    let rows = lines
        .filter_map(|line| {
            let mut cells = line.split('\t');
            Some((cells.next()?, cells.map(parse_cell).collect()))
        })
        .collect();
    Table { columns, rows }
});

fn parse_cell(text: &str) -> Cell {
    let mut parts = text.split(':').map(str::parse::<u32>);
    let (offset, width) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let bits = match (parts.next(), parts.next()) {
        (Some(Ok(first)), Some(Ok(count))) => Some((u8::try_from(first).ok()?, u8::try_from(count).ok()?)),
        _ => None,
    };
    Some((offset, width, bits))
}

impl Table {
    fn fields(&self, column: usize) -> Fields {
        let mut fields = Fields::EMPTY;
        fields.visit(&mut |_, _, slot| {
            let cell = self.rows.get(slot.name).and_then(|cells| cells.get(column)).copied().flatten();
            slot.field = cell.map(|(offset, width, bits)| Field { offset, width, bits, origin: Origin::Table });
        });
        fields
    }
}

/// What a column's label says: major, minor, micro and whether it is a variant for special builds.
fn parse_label(label: &str) -> Option<(u8, u8, u8, bool)> {
    let numbers: String = label.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let mut parts = numbers.split('.').map(str::parse::<u8>);
    let (major, minor, micro) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let special = label.contains("debug") || label.contains("tracerefs") || label.contains("musl");
    Some((major, minor, micro, special))
}

/// The `tp_basicsize` that these fields predict for a static type.
pub(super) fn predicted_basicsize(fields: &Fields, name: &str) -> Option<u64> {
    let at = |slot: &super::Slot| slot.at().ok();
    let sum = |a: &super::Slot, b: &super::Slot| Some(at(a)? + at(b)?);
    match name {
        "object" => at(&fields.object.size),
        "list" => at(&fields.list.size),
        "dict" => at(&fields.dict.size),
        "set" => at(&fields.set.size),
        "cell" => at(&fields.cell.size),
        "function" => at(&fields.function.size),
        "method" | "instancemethod" => at(&fields.method.size),
        "module" => at(&fields.module.size),
        "slice" => at(&fields.slice.size),
        "type" => at(&fields.heap_type.size),
        "tuple" => at(&fields.tuple.ob_item),
        "float" => at(&fields.float.size),
        "bytearray" => at(&fields.bytearray.size),
        "str" | "unicode" => at(&fields.unicode2.size),
        "builtin_function_or_method" => at(&fields.cfunction.size),
        "method_descriptor" => at(&fields.method_descr.size),
        "frame" if fields.iframe.localsplus.exists() => {
            Some(at(&fields.frame.size)? - 8 + at(&fields.iframe.localsplus)?)
        }
        "frame" => at(&fields.frame.size),
        "generator" if fields.iframe.localsplus.exists() => sum(&fields.generator.gi_iframe, &fields.iframe.localsplus),
        "generator" => at(&fields.generator.size),
        "code" if fields.code.co_code_adaptive.exists() => at(&fields.code.co_code_adaptive),
        "code" => at(&fields.code.size),
        _ => None,
    }
}

/// Static types whose `tp_basicsize` is compared.
pub(super) const FINGERPRINT: &[&str] = &[
    "object",
    "list",
    "dict",
    "set",
    "cell",
    "function",
    "method",
    "instancemethod",
    "module",
    "slice",
    "type",
    "tuple",
    "float",
    "bytearray",
    "str",
    "unicode",
    "builtin_function_or_method",
    "method_descriptor",
    "frame",
    "generator",
    "code",
];

/// The static types' own `tp_basicsize`. Offset of that field: it follows `tp_name` in every
/// version.
pub(super) fn live_basicsize(located: &Located, memory: &Cache, name: &str) -> Option<u64> {
    // Names that mean another type in the other generation: `str` of 2.7 is bytes, and
    // `instancemethod` of 3.x is PyInstanceMethod_Type, which nothing here reads.
    if name == if located.version.major == 2 { "str" } else { "instancemethod" } {
        return None;
    }
    memory.uint(located.static_type(name, memory)? + located.header + 16, 8).ok()
}

/// Fills `fields` from the column that fits best and returns its label; `None` if there is no
/// column of this minor version and header size, or none that the live sizes do not contradict.
pub(super) fn fill(fields: &mut Fields, located: &Located, memory: &Cache) -> Option<String> {
    let version = &located.version;
    let mut best: Option<((usize, bool, u8), usize, Fields)> = None;
    for (column, label) in TABLE.columns.iter().enumerate() {
        let Some((major, minor, micro, special)) = parse_label(label) else { continue };
        if (major, minor) != (version.major, version.minor) {
            continue;
        }
        let candidate = TABLE.fields(column);
        if candidate.object.size.at().ok() != Some(located.header) {
            continue;
        }
        let wrong = FINGERPRINT
            .iter()
            .filter(|name| {
                let live = live_basicsize(located, memory, name);
                live.is_some() && predicted_basicsize(&candidate, name).is_some_and(|p| Some(p) != live)
            })
            .count();
        let key = (wrong, special, micro.abs_diff(version.micro));
        if best.as_ref().is_none_or(|(known, _, _)| key < *known) {
            best = Some((key, column, candidate));
        }
    }
    let (_, column, candidate) = best?;
    *fields = candidate;
    Some(TABLE.columns[column].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_asked_for_and_every_slot_has_a_row() {
        let mut names = Vec::new();
        Fields::EMPTY.clone().visit(&mut |_, _, slot| names.push(slot.name));
        for name in &names {
            assert!(TABLE.rows.contains_key(name), "{name} is not in the table: run tools/gen_layouts.py");
        }
        for name in TABLE.rows.keys() {
            assert!(names.contains(name), "{name} is in the table and in no struct");
        }
    }

    #[test]
    fn every_supported_minor_has_a_plain_column() {
        let labels: Vec<_> = TABLE.columns.iter().filter_map(|l| parse_label(l)).collect();
        for minor in [(2, 7), (3, 6), (3, 7), (3, 8), (3, 9), (3, 10), (3, 11), (3, 12), (3, 13), (3, 14), (3, 15)] {
            assert!(labels.iter().any(|l| (l.0, l.1) == minor && !l.3), "{minor:?}");
        }
    }

    #[test]
    fn cells() {
        assert_eq!(parse_cell("32:4:2:3"), Some((32, 4, Some((2, 3)))));
        assert_eq!(parse_cell("0:8"), Some((0, 8, None)));
        assert_eq!(parse_cell("-"), None);
    }
}
