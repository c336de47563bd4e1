//! The answer of `py-heap --check`, as a value and as text. The JSON keys are documented in
//! `docs/json-schema.md`.

use super::paint::Paint;
use super::text::diagnostics;
use crate::bytes::Addr;
use crate::diag::Diagnostic;
use crate::objects::text::plain;
use serde::Serialize;
use std::fmt::Write;

/// An object whose count is another than what was found.
#[derive(Debug, Clone, Serialize)]
pub struct Example {
    /// Where it is.
    pub address: Addr,
    /// Its reference count.
    pub counted: u64,
    /// References to it that were found.
    pub found: u64,
}

/// The objects of one type.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The type.
    pub kind: String,
    /// Objects that are not immortal.
    pub mortal: u64,
    /// Those of them whose count is what was found.
    pub equal: u64,
    /// Those with a larger count: something outside of the heap holds them.
    pub held_outside: u64,
    /// Those of them that C variables can account for.
    pub held_static: u64,
    /// Those with a smaller count.
    pub counted_less: u64,
    /// Some of those with another count.
    pub examples: Vec<Example>,
}

/// `py-heap --check`.
#[derive(Debug, Serialize)]
pub struct Check {
    /// Objects that are neither immortal nor in static memory.
    pub mortal: u64,
    /// Those of them whose count is what was found.
    pub equal: u64,
    /// Those with a larger count.
    pub held_outside: u64,
    /// Those of them that C variables can account for.
    pub held_static: u64,
    /// Those with a smaller count.
    pub counted_less: u64,
    /// References that lead to objects.
    pub references: u64,
    /// The types, those that do not agree first.
    pub rows: Vec<Row>,
    /// How long it took, the census not counted.
    pub seconds: f64,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// `py-heap --check`: the share that agrees, then the types that do not, at most `limit`.
pub fn check(answer: &Check, limit: usize, paint: &Paint) -> String {
    let Check { mortal, equal, held_outside, held_static, counted_less, references, rows, seconds, .. } = answer;
    let mut out = String::new();
    // Never rounded up to all.
    let share = |part: u64| {
        if *mortal == part { 100.0 } else { (part as f64 * 100_000.0 / *mortal as f64).floor() / 1000.0 }
    };
    let (alone, with) = (share(*equal), share(equal + held_static));
    let _ = writeln!(out, "{equal} of {mortal} mortal objects ({alone} %) have as many references as they count.");
    let others = held_outside - held_static;
    let _ = writeln!(
        out,
        "{held_outside} count more: C variables hold {held_static} of them, with which {with} % are accounted for,"
    );
    let _ = writeln!(out, "  frames that run and memory of C code the other {others}.");
    let why = ": they are damaged, or not all that was found are references";
    let _ = writeln!(out, "{counted_less} count less{}.", if *counted_less > 0 { why } else { "" });
    let unequal = rows.iter().filter(|row| row.held_outside + row.counted_less > 0);
    let count = unequal.clone().count();
    if count > 0 {
        let title =
            format!("{:>10} {:>10} {:>10} {:>10}  Kind: count/found at ...", "Objects", "More", "Static", "Less");
        let _ = writeln!(out, "{}", paint.title(&title));
    }
    for row in unequal.take(limit) {
        let mut examples = String::new();
        for (i, one) in row.examples.iter().enumerate() {
            let before = if i == 0 { ": " } else { ", " };
            let _ = write!(examples, "{before}{}/{} at {}", one.counted, one.found, one.address);
        }
        let Row { mortal, held_outside, held_static, counted_less, .. } = row;
        let kind = plain(&row.kind);
        let _ = writeln!(out, "{mortal:>10} {held_outside:>10} {held_static:>10} {counted_less:>10}  {kind}{examples}");
    }
    if count > limit {
        let _ = writeln!(out, "<{} more kinds: --limit shows more.>", count - limit);
    }
    let _ = writeln!(out, "({references} references in {seconds:.2} s)");
    diagnostics(&mut out, &answer.diagnostics);
    out
}
