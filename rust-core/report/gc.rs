//! The answer of `py-gc`, as a value and as text. The JSON keys are documented in
//! `docs/json-schema.md`.

use super::paint::Paint;
use super::text::diagnostics;
use crate::bytes::Addr;
use crate::diag::Diagnostic;
use serde::Serialize;
use std::fmt::Write;

/// `py-gc`: every collector.
#[derive(Debug, Serialize)]
pub struct Collectors {
    /// One for all interpreters, or since 3.9 one for each, the main interpreter's first.
    pub collectors: Vec<Collector>,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// The state of a collector. What is `None` does not exist in that version, or is not known; a remark
/// tells the second.
#[derive(Debug, Serialize)]
pub struct Collector {
    /// Id of the interpreter; `None` where all share the collector.
    pub interpreter: Option<i64>,
    /// `gc.isenabled()`.
    pub enabled: Option<bool>,
    /// Whether a collection runs now.
    pub collecting: Option<bool>,
    /// `gc.get_debug()`.
    pub debug: Option<i64>,
    /// Its flags by name.
    pub debug_flags: Option<Vec<&'static str>>,
    /// Generations, the youngest first.
    pub generations: Vec<Generation>,
    /// What `gc.freeze()` put aside.
    pub permanent: Option<Permanent>,
    /// `gc.callbacks`.
    pub callbacks: Option<List>,
    /// `gc.garbage`.
    pub garbage: Option<List>,
}

/// A generation.
#[derive(Debug, Serialize)]
pub struct Generation {
    /// Its number; `young`, `old[0]`, `old[1]` of an incremental collector.
    pub name: &'static str,
    /// As `gc.get_threshold()`.
    pub threshold: Option<i64>,
    /// As `gc.get_count()`.
    pub count: Option<i64>,
    /// Tracked objects in it.
    pub objects: Option<u64>,
    /// Why there may be more objects than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// As `gc.get_stats()`.
    pub collections: Option<i64>,
    /// As `gc.get_stats()`.
    pub collected: Option<i64>,
    /// As `gc.get_stats()`.
    pub uncollectable: Option<i64>,
}

/// The permanent generation.
#[derive(Debug, Serialize)]
pub struct Permanent {
    /// As `gc.get_freeze_count()`.
    pub objects: u64,
    /// Why there may be more objects than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
}

/// Objects in a list.
#[derive(Debug, Serialize)]
pub struct List {
    /// How many there are.
    pub len: usize,
    /// The first of them.
    pub items: Vec<Item>,
}

/// An object.
#[derive(Debug, Serialize)]
pub struct Item {
    /// Its text.
    pub value: String,
    /// Its type's name.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// Where it is.
    pub address: Addr,
    /// Whether the text was cut.
    pub truncated: bool,
}

/// The names of the flags that `gc.set_debug()` takes (Modules/gcmodule.c; two of them only in
/// Python 2).
pub fn debug_flags(value: i64) -> Vec<&'static str> {
    const FLAGS: &[(i64, &str)] = &[
        (1, "DEBUG_STATS"),
        (2, "DEBUG_COLLECTABLE"),
        (4, "DEBUG_UNCOLLECTABLE"),
        (8, "DEBUG_INSTANCES"),
        (16, "DEBUG_OBJECTS"),
        (32, "DEBUG_SAVEALL"),
    ];
    FLAGS.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| *name).collect()
}

/// `py-gc` as text.
pub fn collectors(answer: &Collectors, paint: &Paint) -> String {
    let mut out = String::new();
    for (i, one) in answer.collectors.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        collector(&mut out, one, paint);
    }
    diagnostics(&mut out, &answer.diagnostics);
    out
}

const UNKNOWN: &str = "not known";

fn collector(out: &mut String, one: &Collector, paint: &Paint) {
    let whose = one.interpreter.map_or_else(|| "Garbage collector".to_owned(), |id| format!("Interpreter {id}"));
    let _ = writeln!(out, "{}", paint.title(&whose));
    let words = |flag: Option<bool>, yes, no| flag.map_or(UNKNOWN, |flag| if flag { yes } else { no });
    let _ = writeln!(out, "automatic collection: {}", words(one.enabled, "enabled", "disabled"));
    let _ = writeln!(out, "a collection runs now: {}", words(one.collecting, "yes", "no"));
    let _ = match (one.debug, &one.debug_flags) {
        (Some(0), _) => writeln!(out, "debug flags: none"),
        (Some(value), Some(names)) => writeln!(out, "debug flags: {} ({value})", names.join(" | ")),
        _ => writeln!(out, "debug flags: {UNKNOWN}"),
    };
    table(out, one, paint);
    if let Some(list) = &one.callbacks {
        let _ = writeln!(out, "gc.callbacks: {}", list.len);
        items(out, list);
    }
    let _ = match &one.garbage {
        Some(list) => writeln!(out, "gc.garbage: {}", list.len),
        None => writeln!(out, "gc.garbage: {UNKNOWN}"),
    };
    if let Some(list) = &one.garbage {
        items(out, list);
    }
}

fn items(out: &mut String, list: &List) {
    for item in &list.items {
        let _ = writeln!(out, "  {}", item.value);
    }
    if list.len > list.items.len() {
        let _ = writeln!(out, "  <{} more. --limit N shows more.>", list.len - list.items.len());
    }
}

fn table(out: &mut String, one: &Collector, paint: &Paint) {
    if one.generations.is_empty() {
        let _ = writeln!(out, "generations: {UNKNOWN}");
        return;
    }
    let cell = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let objects = |objects: Option<u64>, cut: &Option<String>| match objects {
        Some(count) if cut.is_some() => format!("{count}+"),
        Some(count) => count.to_string(),
        None => "-".to_owned(),
    };
    let mut rows = vec![
        ["Generation", "Threshold", "Count", "Objects", "Collections", "Collected", "Uncollectable"].map(String::from),
    ];
    for g in &one.generations {
        rows.push([
            g.name.to_owned(),
            cell(g.threshold),
            cell(g.count),
            objects(g.objects, &g.cut),
            cell(g.collections),
            cell(g.collected),
            cell(g.uncollectable),
        ]);
    }
    if let Some(Permanent { objects: count, cut }) = &one.permanent {
        let none = || "-".to_owned();
        rows.push(["permanent".to_owned(), none(), none(), objects(Some(*count), cut), none(), none(), none()]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    for (i, row) in rows.iter().enumerate() {
        let mut line = format!("{:<1$}", row[0], widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            let _ = write!(line, "  {cell:>width$}");
        }
        let _ = if i == 0 { writeln!(out, "{}", paint.title(&line)) } else { writeln!(out, "{line}") };
    }
    let cuts = one.generations.iter().filter_map(|g| Some((g.name, g.cut.as_ref()?)));
    for (name, why) in cuts.chain(one.permanent.iter().filter_map(|p| Some(("permanent", p.cut.as_ref()?)))) {
        let _ = writeln!(out, "the list of {name} breaks off: {why}");
    }
}
