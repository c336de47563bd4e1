//! The answer of `py-dup`, as a value and as text. The JSON keys are documented in `docs/json-schema.md`.

use super::paint::Paint;
use super::text::diagnostics;
use crate::bytes::Addr;
use crate::diag::Diagnostic;
use serde::Serialize;
use std::fmt::Write;

/// Equal objects.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Their type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Their value as text.
    pub value: String,
    /// Whether the value is cut.
    pub truncated: bool,
    /// How many there are.
    pub copies: u64,
    /// Bytes of one, as `sys.getsizeof` says.
    pub size: u64,
    /// Bytes of all but one.
    pub wasted: u64,
    /// Where the first is.
    pub address: Addr,
}

/// `py-dup`.
#[derive(Debug, Default, Serialize)]
pub struct Duplicates {
    /// Objects that were compared.
    pub objects: u64,
    /// Values that more than one object has.
    pub values: u64,
    /// Objects that have these values.
    pub copies: u64,
    /// Bytes of all of these but one of each value.
    pub wasted: u64,
    /// Those that waste most.
    pub rows: Vec<Row>,
    /// How long it took, the census not counted.
    pub seconds: f64,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// `py-dup`: totals, then a value a line.
pub fn duplicates(answer: &Duplicates, paint: &Paint) -> String {
    let Duplicates { objects, values, copies, wasted, rows, .. } = answer;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{values} values are held more than once, in {copies} of {objects} objects: {wasted} bytes are wasted."
    );
    if !rows.is_empty() {
        let title = format!("{:>12} {:>10} {:>10}  {:<8} Value", "Wasted", "Copies", "Size", "Type");
        let _ = writeln!(out, "{}", paint.title(&title));
    }
    for row in rows {
        let _ =
            writeln!(out, "{:>12} {:>10} {:>10}  {:<8} {}", row.wasted, row.copies, row.size, row.type_name, row.value);
    }
    if *values > rows.len() as u64 {
        let _ = writeln!(out, "<{} more rows. --limit N shows more.>", values - rows.len() as u64);
    }
    diagnostics(&mut out, &answer.diagnostics);
    out
}
