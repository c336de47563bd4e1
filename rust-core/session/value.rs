//! What the debugger's own `print` and `bt` show: values by address, and the Python frames that C
//! frames run.

use super::answer::Answering;
use super::attach::Attached;
use super::request::{Request, Response};
use crate::bytes::Addr;
use crate::error::Result;
use crate::limits;
use crate::objects::Kind;
use crate::report::{model, stock, text};
use crate::stack::Frame;

/// C types whose pointers are Python objects, by the names that debug info gives them.
const OBJECT_TYPES: &[&str] = &[
    "PyObject",
    "_object",
    "PyVarObject",
    "PyTypeObject",
    "_typeobject",
    "PyLongObject",
    "_longobject",
    "PyFloatObject",
    "PyUnicodeObject",
    "PyBytesObject",
    "PyStringObject",
    "PyIntObject",
    "PyTupleObject",
    "PyListObject",
    "PyDictObject",
    "PySetObject",
    "PyCodeObject",
    "PyFunctionObject",
    "PyMethodObject",
    "PyCFunctionObject",
    "PyModuleObject",
    "PyCellObject",
    "PyGenObject",
    "PyCoroObject",
    "PyBaseExceptionObject",
    "PyFrameObject",
    "_frame",
    "wrapperobject",
    "_PyInterpreterFrame",
];

/// The types that CPython's own script prints; in stock style there are no others.
const STOCK_TYPES: &[&str] = &["PyObject", "_object", "PyFrameObject", "_frame", "PyUnicodeObject", "wrapperobject"];

/// The names of types whose pointers [`value`] can show.
pub fn types(request: &Request) -> Response {
    let names = if request.stock { STOCK_TYPES } else { OBJECT_TYPES };
    Response { data: serde_json::json!(names), ..Response::default() }
}

/// The text of the value at the address that was asked for.
pub fn value(attached: &Attached, request: &Request) -> Response {
    let address = Addr(request.options.address.unwrap_or(0));
    let chars = request.options.chars.unwrap_or(limits::VALUE_CHARS);
    let objects = &attached.objects;
    let frame = if request.options.ctype.as_deref() == Some("_PyInterpreterFrame") {
        Frame::at(objects, address).ok()
    } else if objects.type_of(address).is_ok_and(|ty| ty.kind == Kind::Frame) {
        Frame::of_object(objects, address).ok()
    } else {
        None
    };
    let text = match (frame, Answering::new(attached, request)) {
        (Some(frame), Ok(answering)) => frame_text(&answering, &frame),
        _ => objects.repr(address, chars, request.style()).text,
    };
    Response { text, ..Response::default() }
}

fn frame_text(answering: &Answering<'_>, frame: &Frame) -> String {
    let mut shown = answering.shown(0, frame, false);
    if answering.request.stock {
        let raw = answering.attached.objects.raw_locals(frame).unwrap_or_default();
        shown.args = raw.iter().map(|v| answering.variable(v, limits::VALUE_CHARS)).collect();
    }
    let name = shown.function.clone().unwrap_or_default();
    let mut out = String::new();
    text::frame_form(&mut out, &shown, &name, &shown.args, &answering.request.paint);
    if answering.request.stock { stock::cut(&out) } else { out }
}

/// For each C frame that runs Python frames, its stack pointer and those frames: what a host needs
/// to show Python in its own backtrace.
///
/// # Errors
/// Those of [`Answering::selected_stack`].
pub fn natives(attached: &Attached, request: &Request) -> Result<Response> {
    let answering = Answering::new(attached, request)?;
    let stack = answering.selected_stack()?;
    let matching = answering.matching(request.selected(), &stack);
    let mut all: Vec<(u64, Vec<model::Frame>)> = Vec::new();
    for (index, frame) in stack.frames.iter().enumerate() {
        let Some(native) = matching.of[index].map(|i| matching.native[i]) else { continue };
        let shown = answering.shown(index, frame, request.options.locals);
        match all.last_mut() {
            Some((sp, frames)) if *sp == native.sp => frames.push(shown),
            _ => all.push((native.sp, vec![shown])),
        }
    }
    let frame = |f: &model::Frame| {
        serde_json::json!({
            "function": f.qualname.as_ref().or(f.function.as_ref()),
            "file": text::file_name(f),
            "line": f.line,
            "args": f.args.iter().map(|a| [&a.name, &a.value]).collect::<Vec<_>>(),
            "locals": f.locals.iter().flatten().map(|a| [&a.name, &a.value]).collect::<Vec<_>>(),
        })
    };
    let data = all.iter().map(|(sp, frames)| (sp, frames.iter().map(frame).collect::<Vec<_>>())).collect::<Vec<_>>();
    Ok(Response { data: serde_json::json!(data), ..Response::default() })
}
