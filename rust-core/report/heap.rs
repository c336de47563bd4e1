//! The answers of the heap commands, as values and as text. The JSON keys are documented in
//! `docs/json-schema.md`.

use super::paint::Paint;
use super::text::diagnostics;
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
    /// How many of them are in the garbage collector's lists.
    pub tracked: u64,
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

/// `py-heap` as guppy's table: `limit` rows after the first `skip`.
pub fn partition(answer: &Partition, skip: usize, limit: usize, paint: &Paint) -> String {
    let mut out = String::new();
    let Partition { objects, bytes, rows, .. } = answer;
    if skip == 0 {
        let _ = writeln!(out, "Partition of a set of {objects} objects. Total size = {bytes} bytes.");
    }
    let shown = rows.iter().enumerate().skip(skip).take(limit);
    let mut cumulative = rows.iter().take(skip).fold(0u64, |sum, row| sum.saturating_add(row.size));
    let mut lines: Vec<[String; 8]> =
        vec![["Index", "Count", "%", "Size", "%", "Cumulative", "%", title(answer.by)].map(str::to_owned)];
    for (i, row) in shown {
        cumulative = cumulative.saturating_add(row.size);
        lines.push([
            i.to_string(),
            row.count.to_string(),
            percent(row.count, *objects).to_string(),
            format!("{}{}", if row.size_decoded { "" } else { "~" }, row.size),
            percent(row.size, *bytes).to_string(),
            cumulative.to_string(),
            percent(cumulative, *bytes).to_string(),
            plain(&row.kind),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(|column| width(column).max([6, 6, 3, 8, 3, 10, 3][column])).collect();
    for (i, line) in lines.iter().enumerate() {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "{cell:>width$} ");
        }
        text.push_str(&line[7]);
        let _ = if i == 0 { writeln!(out, "{}", paint.title(&text)) } else { writeln!(out, "{text}") };
    }
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
