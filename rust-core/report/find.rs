//! The answer of `py-find`, as a value and as text. The JSON keys are documented in `docs/json-schema.md`.

use super::paint::Paint;
use super::text::diagnostics;
use crate::bytes::Addr;
use crate::diag::Diagnostic;
use crate::objects::text::plain;
use serde::Serialize;
use std::fmt::Write;

/// An object that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Hit {
    /// Where it is.
    pub address: Addr,
    /// Its type, with the module.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Bytes, as `sys.getsizeof` says.
    pub size: u64,
    /// Its value as text.
    pub value: String,
    /// Whether the value is cut.
    pub truncated: bool,
}

/// `py-find`.
#[derive(Debug, Serialize)]
pub struct Found {
    /// Objects that match.
    pub matched: u64,
    /// The first of them.
    pub objects: Vec<Hit>,
    /// How long the search took, the census not counted.
    pub seconds: f64,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// Objects, one a line.
pub fn lines(out: &mut String, objects: &[Hit], paint: &Paint) {
    let width = |f: &dyn Fn(&Hit) -> usize| objects.iter().map(f).max().unwrap_or(0);
    let types = width(&|hit| hit.type_name.chars().count().min(40));
    let sizes = width(&|hit| hit.size.to_string().len());
    let addresses = width(&|hit| hit.address.to_string().len());
    for Hit { address, type_name, size, value, .. } in objects {
        let name = plain(type_name);
        let pad = |width: usize, length: usize| " ".repeat(width.saturating_sub(length));
        let (after, behind) = (pad(addresses, address.to_string().len()), pad(types, name.chars().count()));
        let _ = writeln!(out, "{}{after}  {name}{behind}  {size:>sizes$}  {value}", paint.address(address));
    }
}

/// `py-find`: one object a line.
pub fn found(answer: &Found, paint: &Paint) -> String {
    let mut out = String::new();
    lines(&mut out, &answer.objects, paint);
    let (matched, shown) = (answer.matched, answer.objects.len());
    let objects = if matched == 1 { "object matches" } else { "objects match" };
    let _ = if matched > shown as u64 {
        writeln!(out, "{matched} {objects}; {shown} are shown. --limit N shows more.")
    } else {
        writeln!(out, "{matched} {objects}.")
    };
    diagnostics(&mut out, &answer.diagnostics);
    out
}
