//! Holds a layout against the live process: what CPython says of its own structs.
//!
//! Two oracles need no debug info. `tp_basicsize` of the static types says how large structs are;
//! `PyMemberDef` tables (what makes `code.co_filename` an attribute) say where members are. Both
//! are data of the running interpreter.

use super::fields::{Fields, Slot};
use super::table::{FINGERPRINT, live_basicsize, predicted_basicsize};
use crate::bytes::{Addr, word};
use crate::locate::Located;
use crate::process::Cache;
use serde::Serialize;

/// What was compared, and what did not agree.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verified {
    /// Sizes of structs that agree with `tp_basicsize`.
    pub sizes: usize,
    /// Members that agree with a `PyMemberDef`.
    pub members: usize,
    /// Sentences about what does not agree.
    pub contradictions: Vec<String>,
}

/// Members of a type that have a `PyMemberDef`: the type, the attribute, the slot.
fn members(fields: &Fields) -> Vec<(&'static str, &'static str, &Slot)> {
    let (code, ty) = (&fields.code, &fields.ty);
    vec![
        ("code", "co_argcount", &code.co_argcount),
        ("code", "co_kwonlyargcount", &code.co_kwonlyargcount),
        ("code", "co_flags", &code.co_flags),
        ("code", "co_stacksize", &code.co_stacksize),
        ("code", "co_consts", &code.co_consts),
        ("code", "co_names", &code.co_names),
        ("code", "co_filename", &code.co_filename),
        ("code", "co_name", &code.co_name),
        ("code", "co_qualname", &code.co_qualname),
        ("code", "co_firstlineno", &code.co_firstlineno),
        ("code", "co_linetable", &code.co_linetable),
        ("function", "__closure__", &fields.function.func_closure),
        ("frame", "f_back", &fields.frame.f_back),
        ("frame", "f_code", &fields.frame.f_code),
        ("frame", "f_globals", &fields.frame.f_globals),
        ("frame", "f_builtins", &fields.frame.f_builtins),
        ("type", "__basicsize__", &ty.tp_basicsize),
        ("type", "__flags__", &ty.tp_flags),
        ("type", "__base__", &ty.tp_base),
        ("type", "__dictoffset__", &ty.tp_dictoffset),
        ("slice", "start", &fields.slice.start),
        ("slice", "stop", &fields.slice.stop),
        ("method", "__func__", &fields.method.im_func),
        ("method", "__self__", &fields.method.im_self),
        ("instancemethod", "__func__", &fields.method.im_func),
        ("member_descriptor", "__objclass__", &fields.descr.d_type),
        ("member_descriptor", "__name__", &fields.descr.d_name),
    ]
}

/// (name, offset) of the members that the static type at `ty` declares.
fn member_defs(fields: &Fields, ty: Addr, memory: &Cache) -> Option<Vec<(String, u64)>> {
    const MOST: usize = 64;
    let table = memory.pointer(ty + fields.ty.tp_members.at().ok()?).ok()?.non_null()?;
    let size = fields.member_def.size.at().ok()?;
    let offset = fields.member_def.offset.at().ok()?;
    let mut all = Vec::new();
    for i in 0..MOST as u64 {
        let bytes = memory.bytes(table + i * size, usize::try_from(size).ok()?).ok()?;
        let name = Addr(word(&bytes, 0)?);
        if name.is_null() {
            break;
        }
        all.push((memory.c_string(name).ok()?, word(&bytes, usize::try_from(offset).ok()?)?));
    }
    Some(all)
}

/// Compares `fields` with the process.
pub(super) fn verify(fields: &Fields, located: &Located, memory: &Cache) -> Verified {
    let mut verified = Verified::default();
    for name in FINGERPRINT {
        match (live_basicsize(located, memory, name), predicted_basicsize(fields, name)) {
            (Some(live), Some(predicted)) if live == predicted => verified.sizes += 1,
            (Some(live), Some(predicted)) => verified
                .contradictions
                .push(format!("a {name} object takes {live} bytes there, {predicted} by the layout")),
            _ => {}
        }
    }
    let mut last: (&str, Vec<(String, u64)>) = ("", Vec::new());
    for (ty, attribute, slot) in members(fields) {
        if ty == "instancemethod" && located.version.major != 2 {
            continue;
        }
        if last.0 != ty {
            let defs = located.static_type(ty, memory).and_then(|at| member_defs(fields, at, memory));
            last = (ty, defs.unwrap_or_default());
        }
        let (Some((_, live)), Ok(ours)) = (last.1.iter().find(|(name, _)| name == attribute), slot.at()) else {
            continue;
        };
        if *live == ours {
            verified.members += 1;
        } else {
            verified.contradictions.push(format!("{ty}.{attribute} lies at {live} there, at {ours} by the layout"));
        }
    }
    verified
}
