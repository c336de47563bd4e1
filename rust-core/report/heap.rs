//! The answers of the heap commands, as values and as text. The JSON keys are documented in
//! `docs/json-schema.md`.

use super::paint::Paint;
use super::text::{diagnostics, heading_and_rows};
use crate::diag::Diagnostic;
use crate::objects::text::plain;
use serde::Serialize;
use std::fmt::Write;

/// Objects of one kind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// What they are.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Bytes, as `sys.getsizeof` says.
    pub size: u64,
    /// Whether that is all: the kind has no `__sizeof__` of its own that is not decoded.
    pub size_decoded: bool,
    /// Bytes of the memory blocks that they are in.
    pub allocated: u64,
    /// Bytes of the blocks of tables that they have alone, where that was asked for.
    pub tables: Option<u64>,
    /// Bytes of `allocated` that count as another object's `native`.
    pub lent: Option<u64>,
    /// Bytes that they have outside of Python's objects.
    pub native: Option<u64>,
    /// How many of them are in the garbage collector's lists.
    pub tracked: u64,
    /// How many of them are in static memory.
    #[serde(rename = "static")]
    pub statics: u64,
}

/// pymalloc's pools whose blocks have one size.
#[derive(Debug, Clone, Serialize)]
pub struct Pools {
    /// Bytes of a block.
    pub size: u64,
    /// Pools with a block in use.
    pub pools: u64,
    /// Blocks in use.
    pub used: u64,
    /// Free blocks of these pools.
    pub available: u64,
    /// Bytes of the blocks in use.
    pub bytes: u64,
}

/// `py-heap`: all objects by kind.
#[derive(Debug, Serialize)]
pub struct Partition {
    /// Objects of all kinds.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What a row is.
    pub by: &'static str,
    /// All rows, in the order that was asked for.
    pub rows: Vec<Row>,
    /// Objects that were counted, those included that are in no row.
    pub counted: u64,
    /// How full the pools are, the smallest blocks first.
    pub pools: Vec<Pools>,
    /// How long it took to count.
    pub seconds: f64,
    /// Bytes of the debugger's memory that the census takes.
    pub own_bytes: usize,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// A part as a whole number of hundredths, rounded as guppy does it.
fn percent(part: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { (part as f64 * 100.0 / whole as f64).round() as u64 }
}

/// What the last column is called, in guppy's words where it has any.
fn title(by: &str) -> &'static str {
    match by {
        "kind" => "Kind (class / dict of class)",
        "size" => "Individual Size",
        "generation" => "Generation",
        _ => "Kind",
    }
}

impl Row {
    /// Bytes of all blocks for Python's objects: their own, and their tables'.
    fn blocks(&self) -> u64 {
        self.allocated.saturating_add(self.tables.unwrap_or(0)).saturating_sub(self.lent.unwrap_or(0))
    }
}

/// `py-heap` as guppy's table: `limit` rows after the first `skip`, with columns for what is `allocated` and
/// what is `native`.
pub fn partition(
    answer: &Partition,
    (allocated, native): (bool, bool),
    skip: usize,
    limit: usize,
    paint: &Paint,
) -> String {
    let mut out = String::new();
    let Partition { objects, bytes, rows, .. } = answer;
    if skip == 0 {
        let _ = writeln!(out, "Partition of a set of {objects} objects. Total size = {bytes} bytes.");
    }
    let shown = rows.iter().enumerate().skip(skip).take(limit);
    let mut cumulative = rows.iter().take(skip).fold(0u64, |sum, row| sum.saturating_add(row.size));
    let with = |mut cells: Vec<String>, (blocks, outside): (String, String), kind: String| {
        cells.extend(allocated.then_some(blocks));
        cells.extend(native.then_some(outside));
        cells.push(kind);
        cells
    };
    let columns = ["Index", "Count", "%", "Size", "%", "Cumulative", "%"].map(str::to_owned).to_vec();
    let mut lines = vec![with(columns, ("Allocated".to_owned(), "Native".to_owned()), title(answer.by).to_owned())];
    for (i, row) in shown {
        cumulative = cumulative.saturating_add(row.size);
        let cells = vec![
            i.to_string(),
            row.count.to_string(),
            percent(row.count, *objects).to_string(),
            format!("{}{}", if row.size_decoded { "" } else { "~" }, row.size),
            percent(row.size, *bytes).to_string(),
            cumulative.to_string(),
            percent(cumulative, *bytes).to_string(),
        ];
        let more = (row.blocks().to_string(), row.native.unwrap_or(0).to_string());
        lines.push(with(cells, more, plain(&row.kind)));
    }
    let least: Vec<usize> =
        [6, 6, 3, 8, 3, 10, 3, 9, 9].into_iter().take(7 + usize::from(allocated) + usize::from(native)).collect();
    heading_and_rows(&mut out, &lines, &least, paint);
    let end = skip.saturating_add(limit);
    if skip > 0 && skip >= rows.len() {
        let _ = writeln!(out, "<No more rows.>");
    }
    if rows.len() > end {
        let _ = writeln!(out, "<{} more rows. Type `py-heap more` to see them.>", rows.len() - end);
    }
    if skip == 0 {
        let Partition { counted, seconds, .. } = answer;
        let each = answer.own_bytes as f64 / (*counted).max(1) as f64;
        let _ =
            writeln!(out, "({counted} objects in {seconds:.2} s, {each:.1} bytes of the debugger's memory for each)");
    }
    diagnostics(&mut out, &answer.diagnostics);
    out
}
