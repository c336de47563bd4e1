//! A made-up CPython, 3.11 or 2.7, written byte by byte. All offsets are this file's own literals,
//! taken from the headers of those versions, and never from the library's table: a mistake in the
//! table must not be able to hide.

use crate::builder::{Builder, Mapped, Space};
use crate::elf;
use pyext::bytes::Addr;
use pyext::diag::Diagnostics;
use pyext::error::{Error, FaultCause};
use pyext::layout;
use pyext::locate;
use pyext::objects::Objects;
use pyext::process::{Cache, Region};
use pyext::session::{Description, Session};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const IMAGE: u64 = 0x5555_5540_0000;
const HEAP: u64 = 0x7f00_0000_0000;

/// `Py_TPFLAGS_HEAPTYPE` and `Py_TPFLAGS_MANAGED_DICT`.
pub const HEAPTYPE: u64 = 1 << 9;
pub const MANAGED_DICT: u64 = 1 << 4;

/// `tp_name`, `tp_basicsize` in 3.11 and in 2.7 (0: no such type there), `tp_itemsize`, base.
const STATIC_TYPES: &[(&str, u64, u64, u64, &str)] = &[
    ("type", 904, 872, 40, "object"),
    ("object", 16, 16, 0, ""),
    ("NoneType", 16, 16, 0, "object"),
    ("ellipsis", 16, 16, 0, "object"),
    ("NotImplementedType", 16, 16, 0, "object"),
    ("int", 24, 24, 4, "object"),
    ("long", 0, 24, 4, "object"),
    ("bool", 24, 24, 4, "int"),
    ("float", 24, 24, 0, "object"),
    ("complex", 32, 32, 0, "object"),
    ("str", 80, 37, 1, "object"),
    ("unicode", 0, 48, 0, "object"),
    ("bytes", 33, 0, 1, "object"),
    ("bytearray", 56, 48, 0, "object"),
    ("tuple", 24, 24, 8, "object"),
    ("list", 40, 40, 0, "object"),
    ("dict", 48, 248, 0, "object"),
    ("set", 200, 200, 0, "object"),
    ("frozenset", 200, 200, 0, "object"),
    ("cell", 24, 24, 0, "object"),
    ("function", 136, 88, 0, "object"),
    ("method", 48, 0, 0, "object"),
    ("instancemethod", 24, 48, 0, "object"),
    ("builtin_function_or_method", 56, 40, 0, "object"),
    ("method_descriptor", 56, 40, 0, "object"),
    ("module", 56, 24, 0, "object"),
    ("slice", 40, 40, 0, "object"),
    ("code", 184, 128, 0, "object"),
    ("frame", 120, 384, 8, "object"),
    ("generator", 152, 48, 0, "object"),
    ("BaseException", 72, 0, 0, "object"),
    ("exceptions.BaseException", 0, 40, 0, "object"),
    ("ValueError", 72, 0, 0, "BaseException"),
    ("exceptions.ValueError", 0, 40, 0, "exceptions.BaseException"),
    ("collections.deque", 216, 0, 0, "object"),
];

/// A code object to be made.
pub struct CodeParts<'a> {
    pub name: &'a str,
    pub file: &'a str,
    pub first_line: u32,
    pub arguments: u32,
    /// A tuple of names: of `localsplus`, or `co_varnames` in 2.7.
    pub names: u64,
    pub name_count: usize,
    /// The line table, a bytes object.
    pub lines: u64,
}

/// A CPython being built.
pub struct Python {
    pub b: Builder,
    /// Python 2.7 instead of 3.11.
    pub two: bool,
    pub none: u64,
    /// The only interpreter, until a test adds one.
    pub interpreter: u64,
    last_thread: Option<u64>,
}

impl Python {
    /// An interpreter without threads.
    pub fn new(two: bool) -> Python {
        let b = Builder::new(IMAGE + elf::DATA, HEAP);
        let mut p = Python { b, two, none: 0, interpreter: 0, last_thread: None };
        for (name, size3, size2, itemsize, base) in STATIC_TYPES {
            let size = if two { *size2 } else { *size3 };
            if size > 0 {
                p.static_type(name, size, *itemsize, base);
            }
        }
        let code = p.ty("code");
        let members: &[(&str, u64)] = if two {
            &[("co_argcount", 16), ("co_filename", 80), ("co_name", 88), ("co_firstlineno", 96)]
        } else {
            &[("co_argcount", 56), ("co_filename", 112), ("co_qualname", 128), ("co_linetable", 136)]
        };
        p.members(code, members);
        p.none = p.b.data("None", 16);
        p.header(p.none, "NoneType");
        let version: &[u8] = if two { b"2.7.18 (default, Jul  1 2024)" } else { b"3.11.7 (main, Dec  4 2023)" };
        let text = p.b.data("version text", 64);
        p.b.put(text, version);
        p.runtime();
        p
    }

    fn runtime(&mut self) {
        self.interpreter = self.b.data("interpreter", 1024);
        if self.two {
            let head = self.b.data("interp_head", 8);
            self.b.refer(head, "interpreter");
            self.b.data("_PyThreadState_Current", 8);
        } else {
            let version = self.b.data("Py_Version", 8);
            self.b.word(version, 0x030b_07f0);
            let runtime = self.b.data("_PyRuntime", 1024);
            // interpreters.head, .main; interp.runtime
            self.b.refer(runtime + 40, "interpreter");
            self.b.refer(runtime + 48, "interpreter");
            self.b.refer(self.interpreter + 40, "_PyRuntime");
        }
        // modules, sysdict, builtins
        for offset in if self.two { [16, 24, 32] } else { [888, 904, 912] } {
            let dict = self.dict(&[]);
            self.b.word(self.interpreter + offset, dict);
        }
    }

    /// The address of a static type.
    pub fn ty(&self, name: &str) -> u64 {
        self.b.address(&format!("type {name}"))
    }

    fn c_string(&mut self, text: &str) -> u64 {
        let at = self.b.block(text.len() as u64 + 1);
        self.b.put(at, text.as_bytes());
        at
    }

    /// The fields that static and heap types share.
    fn fill_type(&mut self, at: u64, name: &str, basicsize: u64, itemsize: u64, flags: u64) {
        let name = self.c_string(name);
        self.b.words(at + 24, &[name, basicsize, itemsize]);
        self.b.word(at + 168, flags);
    }

    fn static_type(&mut self, name: &str, basicsize: u64, itemsize: u64, base: &str) {
        let at = self.b.data(&format!("type {name}"), 416);
        self.b.word(at, 1);
        self.b.refer(at + 8, "type type");
        self.fill_type(at, name, basicsize, itemsize, 0);
        if !base.is_empty() {
            self.b.refer(at + 256, &format!("type {base}"));
        }
    }

    /// A class made at run time. `dictoffset` as `tp_dictoffset`.
    pub fn class(&mut self, name: &str, base: u64, basicsize: u64, flags: u64, dictoffset: i64) -> u64 {
        let at = self.b.block(904);
        self.header(at, "type");
        self.fill_type(at, name, basicsize, 0, HEAPTYPE | flags);
        self.b.word(at + 256, base);
        self.b.word(at + 288, dictoffset as u64);
        let text = self.text(name);
        self.b.word(at + if self.two { 856 } else { 848 }, text);
        if !self.two {
            self.b.word(at + 864, text);
        }
        at
    }

    /// Gives a type a `PyMemberDef` table of `T_OBJECT_EX` members.
    pub fn members(&mut self, ty: u64, members: &[(&str, u64)]) {
        let table = self.b.block((members.len() as u64 + 1) * 40);
        for (entry, (name, offset)) in (table..).step_by(40).zip(members) {
            let name = self.c_string(name);
            self.b.words(entry, &[name, 16, *offset]);
        }
        self.b.word(ty + 240, table);
    }

    fn header(&mut self, at: u64, ty: &str) {
        self.b.word(at, 1);
        self.b.refer(at + 8, &format!("type {ty}"));
    }

    /// An object of a static type, all zeros behind its header.
    pub fn blank(&mut self, ty: &str, size: u64) -> u64 {
        let at = self.b.block(size);
        self.header(at, ty);
        at
    }

    /// An object of any type.
    pub fn instance(&mut self, ty: u64, size: u64) -> u64 {
        // 32 bytes before it for what 3.11 keeps there.
        let at = self.b.block(size + 32) + 32;
        self.b.words(at, &[1, ty]);
        at
    }

    pub fn int(&mut self, value: i64) -> u64 {
        if self.two {
            let at = self.blank("int", 24);
            self.b.word(at + 16, value as u64);
            return at;
        }
        self.long(value)
    }

    /// An int of digits; `long` in 2.7.
    pub fn long(&mut self, value: i64) -> u64 {
        let mut digits = Vec::new();
        let mut rest = value.unsigned_abs();
        while rest > 0 {
            digits.push((rest & 0x3fff_ffff) as u32);
            rest >>= 30;
        }
        let size = digits.len() as i64;
        self.digits(if value < 0 { -size } else { size }, &digits)
    }

    /// An int that says it has `size` digits.
    pub fn digits(&mut self, size: i64, digits: &[u32]) -> u64 {
        let ty = if self.two { "long" } else { "int" };
        let at = self.blank(ty, 24 + 4 * digits.len() as u64);
        self.b.word(at + 16, size as u64);
        for (at, digit) in (at + 24..).step_by(4).zip(digits) {
            self.b.half(at, *digit);
        }
        at
    }

    pub fn float(&mut self, value: f64) -> u64 {
        let at = self.blank("float", 24);
        self.b.word(at + 16, value.to_bits());
        at
    }

    pub fn complex(&mut self, real: f64, imaginary: f64) -> u64 {
        let at = self.blank("complex", 32);
        self.b.words(at + 16, &[real.to_bits(), imaginary.to_bits()]);
        at
    }

    pub fn bool(&mut self, value: bool) -> u64 {
        let at = self.blank("bool", 32);
        if self.two {
            self.b.word(at + 16, u64::from(value));
        } else {
            self.b.words(at + 16, &[u64::from(value), u64::from(value)]);
        }
        at
    }

    /// `str` as names have it: text in 3.11, bytes in 2.7.
    pub fn text(&mut self, text: &str) -> u64 {
        if self.two { self.bytes(text.as_bytes()) } else { self.unicode(text) }
    }

    /// `bytes`; `str` in 2.7.
    pub fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let (ty, data) = if self.two { ("str", 36) } else { ("bytes", 32) };
        let at = self.blank(ty, data + bytes.len() as u64 + 1);
        self.b.word(at + 16, bytes.len() as u64);
        self.b.put(at + data, bytes);
        at
    }

    /// `str`; `unicode` in 2.7, with 4-byte units.
    pub fn unicode(&mut self, text: &str) -> u64 {
        let points: Vec<u32> = text.chars().map(u32::from).collect();
        let widest = points.iter().copied().max().unwrap_or(0);
        let width = match widest {
            _ if self.two => 4,
            0..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        let mut units = Vec::new();
        for point in &points {
            units.extend_from_slice(&point.to_le_bytes()[..width]);
        }
        units.resize(units.len() + width, 0);
        if self.two {
            let data = self.b.block(units.len() as u64);
            self.b.put(data, &units);
            let at = self.blank("unicode", 48);
            self.b.words(at + 16, &[points.len() as u64, data]);
            return at;
        }
        let ascii = widest < 0x80;
        let data = if ascii { 48 } else { 72 };
        let at = self.blank("str", data + units.len() as u64);
        self.b.word(at + 16, points.len() as u64);
        // interned: 2 bits, kind: 3, compact: 1, ascii: 1
        self.b.half(at + 32, (width as u32) << 2 | 1 << 5 | u32::from(ascii) << 6);
        self.b.put(at + data, &units);
        at
    }

    pub fn bytearray(&mut self, bytes: &[u8]) -> u64 {
        let data = self.b.block(bytes.len() as u64 + 1);
        self.b.put(data, bytes);
        let at = self.blank("bytearray", 56);
        self.b.word(at + 16, bytes.len() as u64);
        // 3.11: ob_bytes, ob_start; 2.7: ob_bytes
        self.b.word(at + 40, data);
        if !self.two {
            self.b.word(at + 32, data);
        }
        at
    }

    pub fn tuple(&mut self, items: &[u64]) -> u64 {
        let at = self.blank("tuple", 24 + 8 * items.len() as u64);
        self.b.word(at + 16, items.len() as u64);
        self.b.words(at + 24, items);
        at
    }

    pub fn list(&mut self, items: &[u64]) -> u64 {
        let data = self.b.block(8 * items.len() as u64);
        self.b.words(data, items);
        self.list_at(items.len() as u64, data)
    }

    /// A list that says it has `size` items at `data`.
    pub fn list_at(&mut self, size: u64, data: u64) -> u64 {
        let at = self.blank("list", 40);
        self.b.words(at + 16, &[size, data, size]);
        at
    }

    /// A dict; its keys object in 3.11, its table in 2.7, come right behind it at [`Python::table`].
    pub fn dict(&mut self, items: &[(u64, u64)]) -> u64 {
        let slots = (items.len() as u64 + 1).next_power_of_two().max(8);
        if self.two {
            let table = self.b.block(slots * 24);
            for (entry, (key, value)) in (table..).step_by(24).zip(items) {
                self.b.words(entry, &[1, *key, *value]);
            }
            let at = self.blank("dict", 248);
            let used = items.len() as u64;
            self.b.words(at + 16, &[used, used, slots - 1, table]);
            return at;
        }
        let keys = self.keys(slots, items);
        let at = self.blank("dict", 48);
        self.b.word(at + 16, items.len() as u64);
        self.b.word(at + 32, keys);
        at
    }

    /// `PyDictKeysObject` of 3.11 with general entries.
    fn keys(&mut self, slots: u64, items: &[(u64, u64)]) -> u64 {
        let log2 = slots.trailing_zeros() as u8;
        let index_bytes = if log2 < 8 {
            log2
        } else if log2 < 16 {
            log2 + 1
        } else {
            log2 + 2
        };
        let keys = self.b.block(32 + (1 << index_bytes) + slots * 24);
        self.b.word(keys, 1);
        self.b.put(keys + 8, &[log2, index_bytes, 0]);
        self.b.words(keys + 16, &[slots - items.len() as u64, items.len() as u64]);
        for (entry, (key, value)) in (keys + 32 + (1 << index_bytes)..).step_by(24).zip(items) {
            self.b.words(entry, &[1, *key, *value]);
        }
        keys
    }

    /// 3.11: an instance whose attributes are split between its class and itself.
    pub fn split_instance(&mut self, name: &str, attributes: &[(&str, u64)]) -> u64 {
        let object = self.ty("object");
        let class = self.class(name, object, 16, MANAGED_DICT, -1);
        let names: Vec<(u64, u64)> = attributes.iter().map(|(name, _)| (self.text(name), 0)).collect();
        let slots = 8u64;
        let keys = self.b.block(32 + 8 + slots * 16);
        self.b.put(keys + 8, &[3, 3, 2]);
        self.b.words(keys + 16, &[slots - names.len() as u64, names.len() as u64]);
        for (entry, (key, _)) in (keys + 40..).step_by(16).zip(&names) {
            self.b.word(entry, *key);
        }
        self.b.word(class + 872, keys);
        // Before the values: their order, how many, and the size of this prefix.
        let values = self.b.block(16 + slots * 8) + 16;
        self.b.put(values - 1, &[16]);
        self.b.put(values - 2, &[names.len() as u8]);
        for (index, (_, value)) in (0u8..).zip(attributes) {
            self.b.put(values - 3 - u64::from(index), &[index]);
            self.b.word(values + 8 * u64::from(index), *value);
        }
        let at = self.instance(class, 16);
        self.b.word(at - 32, values);
        at
    }

    /// An instance with a dict of its own.
    pub fn dict_instance(&mut self, name: &str, attributes: &[(&str, u64)]) -> u64 {
        let items: Vec<(u64, u64)> = attributes.iter().map(|(name, value)| (self.text(name), *value)).collect();
        let dict = self.dict(&items);
        let object = self.ty("object");
        let (flags, offset) = if self.two { (0, 16) } else { (MANAGED_DICT, -1) };
        let class = self.class(name, object, 32, flags, offset);
        let at = self.instance(class, 32);
        self.b.word(if self.two { at + 16 } else { at - 24 }, dict);
        at
    }

    pub fn set(&mut self, ty: &str, items: &[u64]) -> u64 {
        let slots = (items.len() as u64 + 1).next_power_of_two().max(8);
        let table = self.b.block(slots * 16);
        for (entry, item) in (table..).step_by(16).zip(items) {
            self.b.words(entry, if self.two { &[7, 0] } else { &[0, 7] });
            self.b.word(if self.two { entry + 8 } else { entry }, *item);
        }
        self.set_at(ty, items.len() as u64, slots - 1, table)
    }

    /// A set with these words in it.
    pub fn set_at(&mut self, ty: &str, used: u64, mask: u64, table: u64) -> u64 {
        let at = self.blank(ty, 200);
        self.b.words(at + 16, &[used, used, mask, table]);
        at
    }

    pub fn slice(&mut self, start: u64, stop: u64, step: u64) -> u64 {
        let at = self.blank("slice", 40);
        self.b.words(at + 16, &[start, stop, step]);
        at
    }

    pub fn cell(&mut self, value: u64) -> u64 {
        let at = self.blank("cell", 24);
        self.b.word(at + 16, value);
        at
    }

    pub fn function(&mut self, name: &str) -> u64 {
        let name = self.text(name);
        let at = self.blank("function", 136);
        if self.two {
            self.b.word(at + 56, name);
        } else {
            self.b.words(at + 32, &[name, name]);
        }
        at
    }

    pub fn module(&mut self, name: &str) -> u64 {
        let name = self.text(name);
        let key = self.text("__name__");
        let dict = self.dict(&[(key, name)]);
        let at = self.blank("module", 56);
        self.b.word(at + 16, dict);
        if !self.two {
            self.b.word(at + 48, name);
        }
        at
    }

    /// A `ValueError`.
    pub fn exception(&mut self, args: u64) -> u64 {
        let at = self.blank(if self.two { "exceptions.ValueError" } else { "ValueError" }, 72);
        self.b.word(at + 24, args);
        at
    }

    pub fn code(&mut self, parts: &CodeParts<'_>) -> u64 {
        let (name, file) = (self.text(parts.name), self.text(parts.file));
        let at = self.blank("code", 256);
        if self.two {
            let empty = self.tuple(&[]);
            self.b.half(at + 16, parts.arguments);
            self.b.half(at + 28, 1);
            self.b.words(at + 56, &[parts.names, empty, empty, file, name]);
            self.b.half(at + 96, parts.first_line);
            self.b.word(at + 104, parts.lines);
        } else {
            let kinds = self.bytes(&vec![0x20; parts.name_count]);
            self.b.half(at + 48, 1);
            self.b.half(at + 56, parts.arguments);
            self.b.half(at + 72, parts.first_line);
            self.b.half(at + 76, parts.name_count as u32);
            self.b.words(at + 96, &[parts.names, kinds, file, name, name, parts.lines]);
        }
        at
    }

    /// A code object of a function with these arguments, on its first line throughout.
    pub fn simple_code(&mut self, name: &str, arguments: &[&str]) -> u64 {
        let names: Vec<u64> = arguments.iter().map(|name| self.text(name)).collect();
        let names = self.tuple(&names);
        // 3.11: one entry of 8 code units without a step; 2.7: no step at all.
        let lines = if self.two { self.bytes(&[]) } else { self.bytes(&[0x80 | 7, 0]) };
        let count = arguments.len();
        self.code(&CodeParts {
            name,
            file: "made_up.py",
            first_line: 10,
            arguments: count as u32,
            names,
            name_count: count,
            lines,
        })
    }

    /// A frame that runs `code`, called by the frame `back` (0: by none).
    pub fn frame(&mut self, code: u64, back: u64, locals: &[u64]) -> u64 {
        let empty = self.dict(&[]);
        if self.two {
            let at = self.blank("frame", 376 + 8 * locals.len() as u64);
            self.b.words(at + 24, &[back, code, empty, empty]);
            self.b.half(at + 120, 0);
            self.b.words(at + 376, locals);
            return at;
        }
        let at = self.b.block(80 + 8 * locals.len() as u64);
        // f_func, f_globals, f_builtins, f_locals, f_code, frame_obj, previous, prev_instr
        self.b.words(at, &[0, empty, empty, 0, code, 0, back, code + 184]);
        // is_entry, owner
        self.b.put(at + 68, &[u8::from(back == 0), 0]);
        self.b.words(at + 72, locals);
        at
    }

    /// Points a frame at its caller.
    pub fn set_back(&mut self, frame: u64, back: u64) {
        self.b.word(frame + if self.two { 24 } else { 48 }, back);
    }

    /// A thread state at the end of the interpreter's list; `frame` is its innermost frame.
    pub fn thread(&mut self, id: u64, frame: u64) -> u64 {
        let at = self.b.block(360);
        if self.two {
            self.b.words(at + 8, &[self.interpreter, frame]);
            self.b.word(at + 144, id);
        } else {
            let record = self.b.block(24);
            self.b.word(record + 8, frame);
            self.b.word(at + 16, self.interpreter);
            self.b.word(at + 56, record);
            self.b.words(at + 152, &[id, id]);
        }
        match self.last_thread {
            Some(last) => self.set_next_thread(last, at),
            None => self.b.word(self.interpreter + if self.two { 8 } else { 16 }, at),
        }
        self.last_thread = Some(at);
        at
    }

    /// Points a thread state at the next.
    pub fn set_next_thread(&mut self, thread: u64, next: u64) {
        self.b.word(thread + if self.two { 0 } else { 8 }, next);
    }

    /// The finished target. Without `symbols` the library has to find everything by structure.
    pub fn finish(self, symbols: bool) -> Target {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mut names = vec![("PyType_Type", "type type")];
        if self.two {
            names.extend([("interp_head", "interp_head"), ("_PyThreadState_Current", "_PyThreadState_Current")]);
        } else {
            names.extend([("_PyRuntime", "_PyRuntime"), ("Py_Version", "Py_Version")]);
        }
        let names: Vec<_> =
            names.into_iter().map(|(name, label)| (name, self.b.address(label) - IMAGE)).filter(|_| symbols).collect();
        let space = self.b.finish();
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "libpython-{}-{}.so",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::write(&file, elf::shared_object(space.data_size(), &names, &[])).expect("the ELF file is written");
        Target { space, file }
    }
}

/// A finished target: its memory and the file of its only image.
pub struct Target {
    space: Space,
    file: PathBuf,
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Target {
    fn path(&self) -> String {
        self.file.to_string_lossy().into_owned()
    }

    fn end(&self) -> u64 {
        IMAGE + elf::DATA + self.space.data_size()
    }

    /// The library's reader of this target's objects.
    pub fn objects(&self) -> Objects {
        let region = Region {
            start: IMAGE,
            end: self.end(),
            writable: true,
            executable: false,
            offset: 0,
            path: self.path(),
            deleted: false,
        };
        let memory = Rc::new(Cache::new(Box::new(Mapped { space: self.space.clone(), regions: vec![region] }), None));
        let diagnostics = Diagnostics::default();
        let candidates = |_: &pyext::image::Module| vec![self.file.clone()];
        let located = locate::locate(&memory, &candidates, &|_| {}, &diagnostics).expect("CPython is found");
        let layout = layout::resolve(&located, &memory, None, &diagnostics).expect("the layout fits");
        assert!(layout.verified.sizes > 15 && layout.verified.members == 4, "{:?}", layout.verified);
        Objects::new(memory, Rc::new(layout), Rc::new(located))
    }

    /// A session with this target, read through the host.
    pub fn session(&self) -> Session {
        self.session_while(Arc::new(AtomicBool::new(true)))
    }

    /// A session with this target, which can be read while `works` holds.
    pub fn session_while(&self, works: Arc<AtomicBool>) -> Session {
        let space = self.space.clone();
        let description = Description { modules: vec![(self.path(), IMAGE, self.end(), 0)], ..Description::default() };
        let read = move |addr: Addr, buffer: &mut [u8]| match works.load(Ordering::Relaxed) {
            true => space.read(addr.0, buffer),
            false => Err(Error::Fault { addr, cause: FaultCause::Refused }),
        };
        Session::open(description, Some(Rc::new(read)), None)
    }
}
