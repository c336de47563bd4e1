//! The answer of `py-obj`, as a value and as text. The JSON keys are documented in `docs/json-schema.md`.

use super::paint::Paint;
use super::text::diagnostics;
use crate::bytes::Addr;
use crate::diag::Diagnostic;
use crate::objects::text::plain;
use serde::Serialize;
use std::fmt::Write;

/// Where an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// In a block of a pool.
    Pool,
    /// In a chunk of malloc.
    Malloc,
    /// In a mapped file: built into the interpreter or a module.
    File,
    /// Elsewhere.
    Other,
}

/// What the garbage collector has to do with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Collector {
    /// It is in one of the collector's lists.
    pub tracked: bool,
    /// Its finalizer has run; null where this CPython keeps no record.
    pub finalized: Option<bool>,
    /// A collection is under way that has it in hand.
    pub collecting: bool,
}

/// An attribute.
#[derive(Debug, Clone, Serialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Where its value is.
    pub address: Addr,
    /// Its value as text.
    pub value: String,
    /// Whether the value is cut.
    pub truncated: bool,
}

/// `py-obj`.
#[derive(Debug, Serialize)]
pub struct Object {
    /// Where it is.
    pub address: Addr,
    /// Its type, with the module.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The type object.
    pub type_address: Addr,
    /// The type and its bases, in the order of attribute lookup.
    pub mro: Vec<String>,
    /// References to it; null where they are not known.
    pub references: Option<u64>,
    /// It lives for ever, and its references are not counted.
    pub immortal: bool,
    /// Bytes, as `sys.getsizeof` says.
    pub size: Option<u64>,
    /// Bytes of its block.
    pub allocated: Option<u64>,
    /// Where its block begins.
    pub block: Option<Addr>,
    /// What kind of memory it is in.
    pub place: Place,
    /// Null for types that the garbage collector never knows.
    pub gc: Option<Collector>,
    /// Its value as text.
    pub value: String,
    /// Whether the value is cut.
    pub truncated: bool,
    /// Its own attributes.
    pub attributes: Vec<Attribute>,
    /// How many attributes it has.
    pub attributes_total: usize,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// `py-obj`: one property a line.
pub fn object(answer: &Object, paint: &Paint) -> String {
    let mut out = String::new();
    let type_name = plain(&answer.type_name);
    let _ = writeln!(out, "{}: {} object", paint.address(&answer.address), paint.title(&type_name));
    let bases: Vec<String> = answer.mro.iter().skip(1).map(|name| plain(name)).collect();
    if !bases.is_empty() {
        let _ = writeln!(out, "bases: {}", bases.join(", "));
    }
    let _ = match (answer.references, answer.immortal) {
        (_, true) => writeln!(out, "references: not counted, it is immortal"),
        (Some(count), _) => writeln!(out, "references: {count}"),
        (None, _) => writeln!(out, "references: not known"),
    };
    let size = answer.size.map_or_else(|| "not known".to_owned(), |size| format!("{size} bytes"));
    let place = match (answer.place, answer.allocated, answer.block) {
        (Place::Pool, Some(bytes), Some(at)) => format!(", in a block of {bytes} of a pool at {at}"),
        (Place::Malloc, Some(bytes), Some(at)) => format!(", in a chunk of {bytes} of malloc at {at}"),
        (Place::Pool, ..) => ", in a pool".to_owned(),
        (Place::Malloc, ..) => ", in a chunk of malloc".to_owned(),
        (Place::File, ..) => ", built into a mapped file".to_owned(),
        (Place::Other, ..) => ", in memory whose blocks are not known".to_owned(),
    };
    let _ = writeln!(out, "size: {size}{place}");
    let gc = match answer.gc {
        None => "never tracked".to_owned(),
        Some(gc) => {
            let mut words = vec![if gc.tracked { "tracked" } else { "not tracked" }];
            words.extend((gc.finalized == Some(true)).then_some("finalized"));
            words.extend(gc.collecting.then_some("being collected"));
            words.join(", ")
        }
    };
    let _ = writeln!(out, "garbage collector: {gc}");
    let _ = writeln!(out, "value: {}", answer.value);
    if !answer.attributes.is_empty() {
        let _ = writeln!(out, "attributes:");
    }
    for Attribute { name, value, .. } in &answer.attributes {
        let _ = writeln!(out, "    {} = {value}", paint.variable(&plain(name)));
    }
    if answer.attributes.len() < answer.attributes_total {
        let rest = answer.attributes_total - answer.attributes.len();
        let _ = writeln!(out, "    <{rest} more. --limit N shows more.>");
    }
    diagnostics(&mut out, &answer.diagnostics);
    out
}
