//! The offsets that the target carries itself: `_Py_DebugOffsets` at the start of `_PyRuntime`
//! (3.13 and later, gh-106597).
//!
//! Positions of the entries are the same for every build of a minor version (release, debug,
//! free-threaded, every architecture); they shift between minor versions. What is read is
//! untrusted: a struct larger than 1 MiB or a field outside its struct discards the whole table,
//! as CPython's own remote debugging module does.

use super::fields::{Field, Fields, Origin};
use crate::bytes::{Addr, word};
use crate::diag::Diagnostics;
use crate::process::Cache;

/// Largest size of a struct that is believed.
const MAX_STRUCT: u64 = 1 << 20;

/// Bytes of `_Py_DebugOffsets` in 3.13, 3.14 and 3.15.
const SIZES: [usize; 3] = [584, 760, 888];

/// One field: our name, the position of its offset, the position of its struct's size; per minor
/// version 3.13, 3.14, 3.15; 0 where that version has no entry.
type Entry = (&'static str, [u16; 3], [u16; 3]);

const RUNTIME: [u16; 3] = [24, 24, 24];
const INTERP: [u16; 3] = [48, 48, 48];
const THREAD: [u16; 3] = [152, 176, 176];
const FRAME: [u16; 3] = [224, 248, 312];
const CODE: [u16; 3] = [272, 312, 376];
const OBJECT: [u16; 3] = [352, 400, 464];
const TYPE: [u16; 3] = [368, 416, 480];
const TUPLE: [u16; 3] = [400, 448, 544];
const LIST: [u16; 3] = [424, 472, 568];
const SET: [u16; 3] = [0, 496, 592];
const DICT: [u16; 3] = [448, 528, 624];
const FLOAT: [u16; 3] = [472, 552, 648];
const LONG: [u16; 3] = [488, 568, 664];
const BYTES: [u16; 3] = [512, 592, 688];
const UNICODE: [u16; 3] = [536, 616, 712];

const ENTRIES: &[Entry] = &[
    ("_PyRuntimeState.interpreters.head", [40, 40, 40], RUNTIME),
    ("PyInterpreterState.id", [56, 56, 56], INTERP),
    ("PyInterpreterState.next", [64, 64, 64], INTERP),
    ("PyInterpreterState.threads.head", [72, 72, 72], INTERP),
    ("PyInterpreterState.imports.modules", [88, 96, 96], INTERP),
    ("PyInterpreterState.sysdict", [96, 104, 104], INTERP),
    ("PyInterpreterState.builtins", [104, 112, 112], INTERP),
    ("PyInterpreterState.ceval.gil", [112, 120, 120], INTERP),
    ("PyInterpreterState.gc", GC, INTERP),
    ("PyThreadState.next", [168, 192, 192], THREAD),
    ("PyThreadState.interp", [176, 200, 200], THREAD),
    ("PyThreadState.current_frame", [184, 208, 208], THREAD),
    ("PyThreadState.thread_id", [192, 216, 240], THREAD),
    ("PyThreadState.native_thread_id", [200, 224, 248], THREAD),
    ("_PyInterpreterFrame.previous", [232, 256, 320], FRAME),
    ("_PyInterpreterFrame.f_executable", [240, 264, 328], FRAME),
    ("_PyInterpreterFrame.instr_ptr", [248, 272, 336], FRAME),
    ("_PyInterpreterFrame.localsplus", [256, 280, 344], FRAME),
    ("_PyInterpreterFrame.owner", [264, 288, 352], FRAME),
    ("_PyInterpreterFrame.stackpointer", [0, 296, 360], FRAME),
    ("PyCodeObject.co_filename", [280, 320, 384], CODE),
    ("PyCodeObject.co_name", [288, 328, 392], CODE),
    ("PyCodeObject.co_qualname", [296, 336, 400], CODE),
    ("PyCodeObject.co_linetable", [304, 344, 408], CODE),
    ("PyCodeObject.co_firstlineno", [312, 352, 416], CODE),
    ("PyCodeObject.co_argcount", [320, 360, 424], CODE),
    ("PyCodeObject.co_localsplusnames", [328, 368, 432], CODE),
    ("PyCodeObject.co_localspluskinds", [336, 376, 440], CODE),
    ("PyCodeObject.co_code_adaptive", [344, 384, 448], CODE),
    ("PyObject.ob_type", [360, 408, 472], OBJECT),
    ("PyTypeObject.tp_name", [376, 424, 488], TYPE),
    ("PyTypeObject.tp_flags", [392, 440, 504], TYPE),
    ("PyTypeObject.tp_basicsize", [0, 0, 512], TYPE),
    ("PyTypeObject.tp_dictoffset", [0, 0, 520], TYPE),
    ("PyTupleObject.ob_item", [408, 456, 552], TUPLE),
    ("PyListObject.ob_item", [432, 480, 576], LIST),
    ("PySetObject.used", [0, 504, 600], SET),
    ("PySetObject.table", [0, 512, 608], SET),
    ("PySetObject.mask", [0, 520, 616], SET),
    ("PyDictObject.ma_keys", [456, 536, 632], DICT),
    ("PyDictObject.ma_values", [464, 544, 640], DICT),
    ("PyFloatObject.ob_fval", [480, 560, 656], FLOAT),
    ("PyLongObject.lv_tag", [496, 576, 672], LONG),
    ("PyLongObject.ob_digit", [504, 584, 680], LONG),
    ("PyBytesObject.ob_sval", [528, 608, 704], BYTES),
    ("PyASCIIObject.state", [544, 624, 720], UNICODE),
    ("PyASCIIObject.length", [552, 632, 728], UNICODE),
];

/// The one field whose place is a sum of two entries; it is an `int`.
const COLLECTING_SLOT: &str = "PyInterpreterState.gc.collecting";
/// `PyInterpreterState.gc` and the offset of `collecting` in it, with the sizes of their structs.
const GC: [u16; 3] = [80, 88, 88];
const COLLECTING: [u16; 3] = [576, 656, 760];
const GC_SIZE: [u16; 3] = [568, 648, 752];

/// Takes over what the target's `_Py_DebugOffsets` says. A table that contradicts itself is left
/// alone, with a remark. Where it differs from what DWARF of the image says, both are named.
pub(super) fn fill(fields: &mut Fields, runtime: Addr, minor: u8, memory: &Cache, diagnostics: &Diagnostics) {
    let Some(generation) = minor.checked_sub(13).map(usize::from).filter(|g| *g < SIZES.len()) else { return };
    let bytes = match memory.bytes(runtime, SIZES[generation]) {
        Ok(bytes) => bytes,
        Err(e) => return diagnostics.add(e.to_string(), "_Py_DebugOffsets"),
    };
    let value = |position: u16| word(&bytes, usize::from(position));
    let entries = || ENTRIES.iter().filter(|e| e.1[generation] != 0);
    let inside = |position: [u16; 3], size: [u16; 3]| match (value(position[generation]), value(size[generation])) {
        (Some(offset), Some(size)) => size <= MAX_STRUCT && offset < size.max(1),
        _ => false,
    };
    let sound = entries().all(|(_, position, size)| inside(*position, *size))
        && inside(GC, INTERP)
        && inside(COLLECTING, GC_SIZE);
    if !sound {
        diagnostics.add("the target's own table of offsets contradicts itself and is not used", "_Py_DebugOffsets");
        return;
    }
    fields.visit(&mut |_, _, slot| {
        let offset = match entries().find(|e| e.0 == slot.name) {
            Some((_, position, _)) => value(position[generation]),
            None if slot.name == COLLECTING_SLOT => {
                value(GC[generation]).zip(value(COLLECTING[generation])).map(|(gc, inside)| gc + inside)
            }
            None => return,
        };
        let Some(offset) = offset.and_then(|v| u32::try_from(v).ok()) else { return };
        let old = slot.field;
        if let Some(old) = old
            && old.origin == Origin::Dwarf
            && old.offset != offset
        {
            diagnostics.add(
                format!("{}: the target's own offsets say {offset}, DWARF says {}", slot.name, old.offset),
                "_Py_DebugOffsets",
            );
        }
        slot.field = Some(Field {
            offset,
            width: old.map_or(if slot.name == COLLECTING_SLOT { 4 } else { 8 }, |f| f.width),
            bits: old.and_then(|f| f.bits),
            origin: Origin::DebugOffsets,
        });
    });
}
