//! The answer of `py-waste`, as a value and as text. The JSON keys are documented in `docs/json-schema.md`.

use super::paint::Paint;
use super::text::diagnostics;
use crate::bytes::Addr;
use crate::diag::Diagnostic;
use crate::heap::waste::Container;
use crate::objects::text::plain;
use serde::Serialize;
use std::fmt::Write;

/// Objects of one kind.
#[derive(Debug, Clone, Serialize)]
pub struct Sum {
    /// What they are, subclasses included.
    pub kind: Container,
    /// How many there are.
    pub looked_at: u64,
    /// How many waste something.
    pub objects: u64,
    /// Bytes that these waste.
    pub wasted: u64,
}

/// One object.
#[derive(Debug, Clone, Serialize)]
pub struct Object {
    /// Where it is.
    pub address: Addr,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What it is a subclass of.
    pub kind: Container,
    /// Its bytes, as `sys.getsizeof` says.
    pub size: u64,
    /// How many items it has.
    pub items: u64,
    /// For how many it has memory.
    pub room: u64,
    /// Bytes that a copy would not take.
    pub wasted: u64,
}

/// A class that could have `__slots__`.
#[derive(Debug, Clone, Serialize)]
pub struct Class {
    /// The class.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Where it is.
    pub address: Addr,
    /// How many instances it has.
    pub instances: u64,
    /// How many of them were looked at.
    pub looked_at: u64,
    /// The attributes that they have.
    pub attributes: Vec<String>,
    /// Bytes of all instances with their attributes.
    pub now: u64,
    /// Bytes of them with `__slots__`.
    pub slots: u64,
    /// Bytes that are saved.
    pub saved: u64,
}

/// `py-waste`.
#[derive(Debug, Serialize)]
pub struct Waste {
    /// By kind.
    pub kinds: Vec<Sum>,
    /// Those that waste most.
    pub objects: Vec<Object>,
    /// How many classes could have `__slots__`.
    pub classes_total: u64,
    /// How many instances they have.
    pub instances: u64,
    /// Bytes that they all would save.
    pub saved: u64,
    /// Those that save most.
    pub classes: Vec<Class>,
    /// How long it took, the census not counted.
    pub seconds: f64,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// Names of attributes in a line.
const NAMES: usize = 8;

/// `py-waste`: what is wasted by kind, then an object a line, then a class a line.
pub fn waste(answer: &Waste, paint: &Paint) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}", paint.title(&format!("{:>12} {:>10} {:>10}  Kind", "Wasted", "Objects", "Of")));
    for Sum { kind, looked_at, objects, wasted } in &answer.kinds {
        let _ = writeln!(out, "{wasted:>12} {objects:>10} {looked_at:>10}  {}", name(*kind));
    }
    let Waste { classes_total, instances, saved, .. } = answer;
    if *classes_total > 0 {
        let what = format!("instances of {classes_total} classes that could have __slots__");
        let _ = writeln!(out, "{saved:>12} {instances:>10} {instances:>10}  {what}");
    }
    objects(&mut out, answer, paint);
    classes(&mut out, answer, paint);
    diagnostics(&mut out, &answer.diagnostics);
    out
}

fn name(kind: Container) -> &'static str {
    match kind {
        Container::List => "list",
        Container::Bytearray => "bytearray",
        Container::Dict => "dict",
        Container::Set => "set",
    }
}

fn objects(out: &mut String, answer: &Waste, paint: &Paint) {
    if answer.objects.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", paint.title(&format!("{:>12}  {:<16} What", "Wasted", "Address")));
    for Object { address, type_name, items, room, wasted, .. } in &answer.objects {
        let type_name = plain(type_name);
        let address = address.to_string();
        let _ = writeln!(out, "{wasted:>12}  {:<16} {type_name} of {items}, room for {room}", address);
    }
    more(out, answer.kinds.iter().map(|sum| sum.objects).sum(), answer.objects.len());
}

fn classes(out: &mut String, answer: &Waste, paint: &Paint) {
    if answer.classes.is_empty() {
        return;
    }
    let title = format!("{:>12} {:>10} {:>8} {:>8}  Class with attributes", "Saved", "Instances", "Each now", "Slots");
    let _ = writeln!(out, "\n{}", paint.title(&title));
    for Class { type_name, instances, attributes, now, slots, saved, .. } in &answer.classes {
        let each = |bytes: u64| bytes / (*instances).max(1);
        let mut names: Vec<_> = attributes.iter().take(NAMES).map(|name| plain(name)).collect();
        if attributes.len() > NAMES {
            names.push(format!("and {} more", attributes.len() - NAMES));
        }
        let (type_name, names) = (plain(type_name), names.join(", "));
        let _ =
            writeln!(out, "{saved:>12} {instances:>10} {:>8} {:>8}  {type_name}: {names}", each(*now), each(*slots));
    }
    more(out, answer.classes_total, answer.classes.len());
}

fn more(out: &mut String, all: u64, shown: usize) {
    let more = all.saturating_sub(shown as u64);
    if more > 0 {
        let _ = writeln!(out, "<{more} more rows. --limit N shows more.>");
    }
}
