//! A made-up CPython of any layout that the built-in table has: static types, a heap with an object
//! of each kind, an interpreter, a thread, frames. Then changes to it, from the fuzzer's bytes.
//!
//! Unlike `tests/synthetic`, which tells whether a layout is right, this takes it from the library:
//! here it only has to lead the decoders to every kind of object, whose lines make this file long.

use super::files::{self, MemoryFile};
use super::input::Input;
use super::kinds::{self, C_FRAME, EVAL_FRAME};
use crate::elf;
use pyext::bytes::Addr;
use pyext::diag::Diagnostics;
use pyext::error::{Error, FaultCause, Result};
use pyext::image::elf::Sections;
use pyext::image::unwind::Registers;
use pyext::layout::{self, DictKeys, Fields, Frames, InstanceDict, Ints, Layout, Rules, Slot, Text};
use pyext::locate::{self, Located};
use pyext::objects::Objects;
use pyext::process::{Cache, Memory, Region};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

pub const IMAGE: u64 = 0x5555_5540_0000;
const DATA: u64 = IMAGE + elf::DATA;
pub const HEAP: u64 = 0x7f00_0000_0000;
/// Bytes that are the fuzzer's own; stack pointers of the made-up threads lie there.
pub const EXTRA: u64 = 0x7f80_0000_0000;

/// Where the evaluation function begins, and a C function that it calls; and their unwind tables.
pub const EVAL: u64 = IMAGE + 0xa00;
pub const C_FUNCTION: u64 = IMAGE + 0xc00;
const TABLES: [u64; 2] = [0x800, 0x840];

const TABLE: &str = include_str!("../../rust-core/layout/tables/offsets.tsv");

/// `Py_TPFLAGS_HEAPTYPE`, `_MANAGED_DICT`, `_INLINE_VALUES`.
const HEAPTYPE: u64 = 1 << 9;
pub const MANAGED_DICT: u64 = 1 << 4;
const INLINE_VALUES: u64 = 1 << 2;

/// Frames of each thread.
const FRAMES: u64 = 6;

/// Static types whose size the library compares: name, the table's row, and what is added to it.
const SIZED: &[(&str, &str)] = &[
    ("object", "PyObject.<sizeof>"),
    ("list", "PyListObject.<sizeof>"),
    ("dict", "PyDictObject.<sizeof>"),
    ("set", "PySetObject.<sizeof>"),
    ("cell", "PyCellObject.<sizeof>"),
    ("function", "PyFunctionObject.<sizeof>"),
    ("method", "PyMethodObject.<sizeof>"),
    ("instancemethod", "PyMethodObject.<sizeof>"),
    ("module", "PyModuleObject.<sizeof>"),
    ("slice", "PySliceObject.<sizeof>"),
    ("type", "PyHeapTypeObject.<sizeof>"),
    ("tuple", "PyTupleObject.ob_item"),
    ("float", "PyFloatObject.<sizeof>"),
    ("bytearray", "PyByteArrayObject.<sizeof>"),
    ("unicode", "PyUnicodeObject.<sizeof>"),
    ("str", "PyUnicodeObject.<sizeof>"),
    ("builtin_function_or_method", "PyCFunctionObject.<sizeof>"),
    ("method_descriptor", "PyMethodDescrObject.<sizeof>"),
];

/// The other static types.
const OTHERS: &[&str] = &[
    "NoneType",
    "ellipsis",
    "NotImplementedType",
    "int",
    "long",
    "bool",
    "complex",
    "bytes",
    "frozenset",
    "BaseException",
    "exceptions.BaseException",
    "classobj",
    "instance",
    "method-wrapper",
    "wrapper_descriptor",
    "code",
    "frame",
    "generator",
    "collections.deque",
    "collections.OrderedDict",
    "collections.defaultdict",
    "_collections._tuplegetter",
    "functools.partial",
    "operator.itemgetter",
    "datetime.date",
    "datetime.time",
    "datetime.datetime",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "property",
    "staticmethod",
    "classmethod",
    "classmethod_descriptor",
    "getset_descriptor",
    "member_descriptor",
    "mappingproxy",
    "dictproxy",
    "range",
    "xrange",
    "traceback",
];

/// The bytes of a target; a copy of them can be changed.
#[derive(Clone, Default)]
pub struct Bytes {
    data: Rc<Vec<u8>>,
    heap: Rc<Vec<u8>>,
    changes: Vec<(u64, [u8; 8], usize)>,
    extra: Rc<Vec<u8>>,
}

impl Bytes {
    fn areas(&self) -> [(u64, &Rc<Vec<u8>>); 3] {
        [(DATA, &self.data), (HEAP, &self.heap), (EXTRA, &self.extra)]
    }

    pub fn write(&mut self, at: u64, value: &[u8]) {
        for (start, bytes) in [(DATA, &mut self.data), (HEAP, &mut self.heap)] {
            let Some(skip) = at.checked_sub(start).and_then(|skip| usize::try_from(skip).ok()) else { continue };
            if skip < bytes.len() {
                Rc::make_mut(bytes)[skip..skip + value.len()].copy_from_slice(value);
            }
        }
    }

    /// Changes up to 8 bytes without copying the rest.
    pub fn change(&mut self, at: u64, value: u64, width: usize) {
        self.changes.push((at, value.to_le_bytes(), width));
    }

    /// Fills `buffer` from `at`.
    pub fn read(&self, at: u64, buffer: &mut [u8]) -> Result<()> {
        let fault = Error::Fault { addr: Addr(at), cause: FaultCause::Unmapped };
        let part = self.areas().into_iter().find_map(|(start, bytes)| {
            let skip = usize::try_from(at.checked_sub(start)?).ok()?;
            bytes.get(skip..skip.checked_add(buffer.len())?)
        });
        buffer.copy_from_slice(part.ok_or(fault)?);
        for (start, value, width) in &self.changes {
            for (place, byte) in (*start..).zip(&value[..*width]) {
                if let Some(slot) = place.checked_sub(at).and_then(|skip| buffer.get_mut(usize::try_from(skip).ok()?)) {
                    *slot = *byte;
                }
            }
        }
        Ok(())
    }

    /// What is mapped: first address and bytes, changes included.
    pub fn saved(&self) -> Vec<(u64, Vec<u8>)> {
        let whole = |(start, bytes): (u64, &Rc<Vec<u8>>)| {
            let mut copy = vec![0; bytes.len()];
            self.read(start, &mut copy).expect("an area can be read");
            (start, copy)
        };
        self.areas().into_iter().map(whole).filter(|(_, bytes)| !bytes.is_empty()).collect()
    }
}

struct Target {
    bytes: Rc<Bytes>,
    regions: Vec<Region>,
}

impl Memory for Target {
    fn read(&self, addr: Addr, buffer: &mut [u8]) -> Result<()> {
        self.bytes.read(addr.0, buffer)
    }

    fn regions(&self) -> &[Region] {
        &self.regions
    }
}

/// A made-up CPython and what was found in it.
pub struct World {
    /// Its column in the built-in table.
    pub label: &'static str,
    pub bytes: Bytes,
    /// Blocks whose change means something: objects, tables, frames, states.
    pub places: Vec<u64>,
    /// Objects.
    pub objects: Vec<u64>,
    /// Dicts, sets, instances, and their tables.
    pub tables: Vec<u64>,
    /// Objects of kinds that have parts: what the frames' variable `b` has as its items.
    pub gallery: Vec<u64>,
    /// Attributes that items of the gallery have: index and name.
    pub attributes: Vec<(usize, &'static str)>,
    pub interpreter: u64,
    /// Static types by name.
    #[cfg(test)]
    pub types: BTreeMap<&'static str, u64>,
    /// Registers of a thread whose C stack runs its Python frames.
    pub registers: Registers,
    pub runtime: u64,
    pub layout: Rc<Layout>,
    pub located: Rc<Located>,
    image: MemoryFile,
}

pub struct Building {
    pub bytes: Bytes,
    places: Vec<u64>,
    pub objects: Vec<u64>,
    pub tables: Vec<u64>,
    pub types: BTreeMap<&'static str, u64>,
    pub gallery: Vec<u64>,
    pub attributes: Vec<(usize, &'static str)>,
    pub header: u64,
    minor: u32,
}

impl Building {
    fn data(&mut self, size: u64) -> u64 {
        let bytes = Rc::make_mut(&mut self.bytes.data);
        let at = bytes.len().next_multiple_of(16);
        bytes.resize(at + size as usize, 0);
        DATA + at as u64
    }

    pub fn block(&mut self, size: u64) -> u64 {
        let bytes = Rc::make_mut(&mut self.bytes.heap);
        let at = bytes.len().next_multiple_of(16);
        bytes.resize(at + size as usize, 0);
        self.places.push(HEAP + at as u64);
        HEAP + at as u64
    }

    pub fn word(&mut self, at: u64, value: u64) {
        self.bytes.write(at, &value.to_le_bytes());
    }

    pub fn words(&mut self, at: u64, values: &[u64]) {
        for (at, value) in (at..).step_by(8).zip(values) {
            self.word(at, *value);
        }
    }

    pub fn set(&mut self, at: u64, slot: &Slot, value: u64) {
        let Some(field) = slot.field else { return };
        let at = at + u64::from(field.offset);
        let width = match field.width {
            1..=8 => field.width as usize,
            _ => 8,
        };
        match field.bits {
            Some((first, _)) => {
                let mut word = [0; 8];
                let _ = self.bytes.read(at, &mut word[..width]);
                let whole = u64::from_le_bytes(word) | value << first;
                self.bytes.write(at, &whole.to_le_bytes()[..width]);
            }
            None => self.bytes.write(at, &value.to_le_bytes()[..width]),
        }
    }

    /// Writes several fields of the struct at `at`.
    pub fn set_all(&mut self, at: u64, values: &[(&Slot, u64)]) {
        for (slot, value) in values {
            self.set(at, slot, *value);
        }
    }

    pub fn ty(&self, name: &str) -> u64 {
        self.types.get(name).copied().unwrap_or(0)
    }

    /// Static types: an `ob_type` in the header's last word, `ob_size`, then `tp_name`,
    /// `tp_basicsize`.
    fn static_type(&mut self, name: &'static str, basicsize: u64) {
        let at = self.data(640);
        let text = self.data(name.len() as u64 + 1);
        self.bytes.write(text, name.as_bytes());
        self.types.insert(name, at);
        self.words(at + self.header, &[0, text, basicsize]);
    }

    pub fn object(&mut self, ty: &str, size: u64) -> u64 {
        let ty = self.ty(ty);
        self.object_of(ty, size)
    }

    pub fn object_of(&mut self, ty: u64, size: u64) -> u64 {
        // Before it, what instances keep there.
        let at = self.block(size + 48) + 48;
        self.places.pop();
        self.places.push(at);
        self.word(at + self.header - 8, ty);
        self.objects.push(at);
        at
    }

    pub fn text(&mut self, f: &Fields, rules: &Rules, text: &str) -> u64 {
        if rules.text == Text::Python2 {
            return self.byte_string(f, rules, text.as_bytes());
        }
        let at = self.object("str", 128 + text.len() as u64);
        self.set(at, &f.ascii.length, text.len() as u64);
        self.set_all(at, &[(&f.ascii.kind, 1), (&f.ascii.compact, 1), (&f.ascii.ascii, 1)]);
        self.bytes.write(at + f.ascii.size.at().unwrap_or(48), text.as_bytes());
        at
    }

    fn byte_string(&mut self, f: &Fields, rules: &Rules, bytes: &[u8]) -> u64 {
        let (ty, slot) = if rules.python2 { ("str", &f.str2.ob_sval) } else { ("bytes", &f.bytes.ob_sval) };
        let at = self.object(ty, 64 + bytes.len() as u64);
        self.set(at, &f.var.ob_size, bytes.len() as u64);
        self.bytes.write(at + slot.at().unwrap_or(32), bytes);
        at
    }

    pub fn int(&mut self, f: &Fields, rules: &Rules, value: u32) -> u64 {
        let at = self.object("int", 64);
        if rules.python2 {
            self.set(at, &f.int.ob_ival, value.into());
            return at;
        }
        match rules.ints {
            Ints::SignedSize => self.set(at, &f.var.ob_size, 1),
            Ints::Tagged => self.set(at, &f.long.lv_tag, 1 << 3),
        }
        self.bytes.write(at + f.long.ob_digit.at().unwrap_or(24), &value.to_le_bytes());
        at
    }

    pub fn tuple(&mut self, f: &Fields, items: &[u64]) -> u64 {
        let at = self.object("tuple", 64 + 8 * items.len() as u64);
        self.set(at, &f.var.ob_size, items.len() as u64);
        self.words(at + f.tuple.ob_item.at().unwrap_or(24), items);
        at
    }

    fn keys(&mut self, f: &Fields, rules: &Rules, items: &[(u64, u64)], split: bool) -> u64 {
        let slots = items.len().next_power_of_two().max(8) as u64;
        let keys = self.block(512.max(64 + 25 * slots));
        self.tables.push(keys);
        self.set(keys, &f.keys.dk_size, slots);
        self.set(keys, &f.keys.dk_log2_size, slots.ilog2().into());
        self.set(keys, &f.keys.dk_log2_index_bytes, slots.ilog2().into());
        self.set(keys, &f.keys.dk_kind, if split { 2 } else { 0 });
        self.set(keys, &f.keys.dk_nentries, items.len() as u64);
        let mut entry = keys + f.keys.dk_indices.at().unwrap_or(32) + slots;
        for (key, value) in items {
            if split && rules.keys == DictKeys::Log2 {
                self.words(entry, &[*key, *value]);
                entry += 16;
            } else {
                self.words(entry, &[1, *key, *value]);
                entry += 24;
            }
        }
        keys
    }

    pub fn dict(&mut self, f: &Fields, rules: &Rules, ty: &str, items: &[(u64, u64)]) -> u64 {
        let at = self.object(ty, 320);
        self.tables.push(at);
        self.set(at, &f.dict.ma_used, items.len() as u64);
        if rules.keys == DictKeys::OpenTable {
            let slots = items.len().next_power_of_two().max(8) as u64;
            let table = self.block(slots * 24);
            self.tables.push(table);
            for (entry, (key, value)) in (table..).step_by(24).zip(items) {
                self.words(entry, &[1, *key, *value]);
            }
            self.set(at, &f.dict.ma_mask, slots - 1);
            self.set(at, &f.dict.ma_table, table);
        } else {
            let keys = self.keys(f, rules, items, false);
            self.set(at, &f.dict.ma_keys, keys);
        }
        at
    }

    fn set_object(&mut self, f: &Fields, ty: &str, items: &[u64]) -> u64 {
        let size = f.setentry.size.at().unwrap_or(16);
        let table = self.block(8 * size);
        let at = self.object(ty, 256);
        self.tables.extend([table, at]);
        for (entry, item) in (table..).step_by(size as usize).zip(items) {
            self.set(entry, &f.setentry.key, *item);
            self.set(entry, &f.setentry.hash, 7);
        }
        self.set_all(at, &[(&f.set.used, items.len() as u64), (&f.set.mask, 7), (&f.set.table, table)]);
        at
    }

    pub fn class(&mut self, f: &Fields, rules: &Rules, name: &str, base: u64, flags: u64, dictoffset: i64) -> u64 {
        let text = self.text(f, rules, name);
        let ty = self.ty("type");
        let at = self.object_of(ty, 1200);
        let c_name = self.block(64);
        self.bytes.write(c_name, name.as_bytes());
        let own = self.block(8 * 40);
        let member = self.block(32);
        self.bytes.write(member, b"slot");
        // PyMemberDef: name, T_OBJECT_EX, offset.
        self.words(own, &[member, 16, 48]);
        let dict = self.dict(f, rules, "dict", &[]);
        let mro = self.tuple(f, &[at, base]);
        self.set_all(
            at,
            &[
                (&f.ty.tp_name, c_name),
                (&f.ty.tp_basicsize, 64),
                (&f.ty.tp_flags, HEAPTYPE | flags),
                (&f.ty.tp_members, own),
                (&f.ty.tp_base, base),
                (&f.ty.tp_dict, dict),
                (&f.ty.tp_dictoffset, dictoffset as u64),
                (&f.ty.tp_mro, mro),
                (&f.heap_type.ht_name, text),
                (&f.heap_type.ht_qualname, text),
            ],
        );
        self.tables.push(at);
        at
    }

    /// Instances of classes of Python: with a dict, with values of their own, of a subclass of int.
    fn instances(&mut self, f: &Fields, rules: &Rules, items: &[(u64, u64)]) {
        let object = self.ty("object");
        let dict = self.dict(f, rules, "dict", items);
        let managed = rules.attributes != InstanceDict::Offset;
        let (flags, offset) = if managed { (MANAGED_DICT, -1) } else { (0, 32) };
        let class = self.class(f, rules, "WithDict", object, flags, offset);
        let at = self.object_of(class, 128);
        self.tables.push(at);
        match rules.attributes {
            InstanceDict::Offset => self.word(at + 32, dict),
            InstanceDict::Words311 | InstanceDict::Word312 => self.word(at - 24, dict),
            InstanceDict::Inline { words_before } => self.word(at - words_before * 8, dict),
        }
        self.word(at + 48, dict);
        let class = self.class(f, rules, "WithValues", object, flags | INLINE_VALUES, offset);
        let keys = self.keys(f, rules, items, true);
        self.set(class, &f.heap_type.ht_cached_keys, keys);
        let at = self.object_of(class, 512);
        let values = self.block(512) + 32;
        self.tables.extend([at, values]);
        match rules.attributes {
            InstanceDict::Words311 => self.word(at - 32, values),
            InstanceDict::Word312 => self.word(at - 24, values | 1),
            _ => {}
        }
        self.bytes.write(values - 5, &[2, 1, 0, 3, 16]);
        for block in [values, at + 64] {
            self.set(block, &f.values.capacity, 8);
            self.set(block, &f.values.used, items.len() as u64);
            self.set(block, &f.values.valid, 1);
            let first = f.values.values.at().unwrap_or(0);
            for (index, (_, value)) in (0u64..).zip(items) {
                self.word(block + first + index * 8, *value);
            }
        }
        let int = self.ty(if rules.python2 { "long" } else { "int" });
        let class = self.class(f, rules, "Number", int, 0, 0);
        let at = self.object_of(class, 128);
        self.set(at, &f.var.ob_size, 1);
        self.set(at, &f.long.lv_tag, 1 << 3);
    }

    /// An object of every type, its words leading to what is there already.
    fn zoo(&mut self, f: &Fields, rules: &Rules) {
        let name = self.text(f, rules, "name");
        let (one, two) = (self.int(f, rules, 1), self.int(f, rules, 77));
        let bytes = self.byte_string(f, rules, b"it's\0\xff");
        let tuple = self.tuple(f, &[one, name]);
        let items = [(name, one), (one, tuple), (bytes, two)];
        let dict = self.dict(f, rules, "dict", &items);
        let set = self.set_object(f, "set", &[name, two]);
        self.set_object(f, "frozenset", &[tuple]);
        let list_items = self.block(64);
        self.words(list_items, &[one, name, dict, set, tuple]);
        let list = self.object("list", 64);
        self.set(list, &f.var.ob_size, 5);
        self.set(list, &f.list.ob_item, list_items);
        self.word(list_items + 40, list);
        self.instances(f, rules, &items);
        let known = [name, dict, one, tuple, list, bytes, name, dict, one, tuple];
        for ty in SIZED.iter().map(|(name, _)| *name).chain(OTHERS.iter().copied()) {
            if ty == "type" || self.ty(ty) == 0 {
                continue;
            }
            let at = self.object(ty, 448);
            for (i, word) in (0..48).zip(known.iter().cycle()) {
                self.word(at + self.header + 8 * i, *word);
            }
            self.set(at, &f.var.ob_size, 2);
        }
    }

    /// Code objects with arguments, and frames that run them: the innermost one, the stack pointer of the
    /// C stack that they run on, and the innermost record there.
    fn frames(&mut self, f: &Fields, rules: &Rules) -> (u64, u64, u64) {
        let names: Vec<u64> = ["a", "b", "rest", "c"].iter().map(|n| self.text(f, rules, n)).collect();
        let (names, none) = (self.tuple(f, &names), self.tuple(f, &[]));
        let name = self.text(f, rules, "function");
        let file = self.text(f, rules, "made_up.py");
        let kinds = self.byte_string(f, rules, &[0x20, 0x20, 0x40, 0x80]);
        let lines = self.byte_string(f, rules, &[0x80 | 7, 0, 0x80 | 13 << 3, 5, 4, 1, 6, 0xff, 0x80 | 15 << 3]);
        let [call, with] = kinds::instructions(self.minor);
        let nothing = self.byte_string(f, rules, &[]);
        let fields = &f.code;
        let code_of = |b: &mut Self, instructions: &[u8]| {
            let code = b.object("code", 640);
            let whole = b.byte_string(f, rules, instructions);
            b.set_all(
                code,
                &[
                    (&fields.co_argcount, 2),
                    (&fields.co_kwonlyargcount, 1),
                    (&fields.co_nlocals, 4),
                    (&fields.co_nlocalsplus, 4),
                    (&fields.co_stacksize, 12),
                    (&fields.co_flags, 0x1 | 0x4),
                    (&fields.co_varnames, names),
                    (&fields.co_cellvars, none),
                    (&fields.co_freevars, none),
                    (&fields.co_localsplusnames, names),
                    (&fields.co_localspluskinds, kinds),
                    (&fields.co_filename, file),
                    (&fields.co_name, name),
                    (&fields.co_qualname, name),
                    (&fields.co_firstlineno, 10),
                    (&fields.co_lnotab, lines),
                    (&fields.co_linetable, lines),
                    (&fields.co_code, whole),
                    (&fields.co_exceptiontable, nothing),
                ],
            );
            if let Ok(start) = fields.co_code_adaptive.at() {
                b.set(code, &f.var.ob_size, instructions.len() as u64 / 2);
                b.bytes.write(code + start, instructions);
            }
            code
        };
        let codes = [code_of(self, &with), code_of(self, &call), code_of(self, &call)];
        let globals = self.dict(f, rules, "dict", &[(name, codes[2])]);
        // Of the gallery's objects only the items are looked at for their own sake: each costs time.
        let (gallery, [builtin, method]) = self.quietly(|b| {
            let gallery = b.gallery(f, rules, codes[2]);
            (gallery, b.called(f, rules, gallery))
        });
        self.objects.push(gallery);
        self.objects.extend_from_slice(&self.gallery);
        let callables = [gallery, method, builtin];
        let (sp, records) = self.c_stack(FRAMES);
        let mut back = 0;
        // Each pair of frames has an evaluation loop of its own, with a record on the C stack: since 3.12
        // that is the outer frame of the pair. All are at the call or the `with` at byte 6.
        for i in 0..FRAMES {
            let pair = (i / 2) as usize;
            let (code, record) = (codes[pair], records[2 - pair]);
            let (frame, inner) = (&f.frame, &f.iframe);
            let shim = i % 2 == 0 && matches!(rules.frames, Frames::Interpreter { shim_owner: Some(_) });
            let at = if shim { record } else { self.object("frame", 640) };
            let values = [name, gallery, names, globals, callables[pair], gallery, name, name];
            if inner.previous.exists() {
                if !shim {
                    self.words(at, &[0; 80]);
                }
                let first = inner.localsplus.at().unwrap_or(72);
                self.set_all(
                    at,
                    &[
                        (&inner.executable, code),
                        (&inner.previous, back),
                        (&inner.globals, globals),
                        (&inner.builtins, globals),
                        (&inner.instr, code + fields.co_code_adaptive.at().unwrap_or(0) + 6),
                        (&inner.is_entry, i & 1),
                        (&inner.owner, if shim { 3 } else { 0 }),
                        (&inner.stackpointer, at + first + 8 * 7),
                    ],
                );
                self.words(at + first, &values);
            } else {
                let first = frame.f_localsplus.at().unwrap_or(376);
                self.set_all(
                    at,
                    &[
                        (&frame.f_back, back),
                        (&frame.f_code, code),
                        (&frame.f_globals, globals),
                        (&frame.f_builtins, globals),
                        (&frame.f_valuestack, at + first + 8 * 4),
                        (&frame.f_lasti, 6 / rules.lasti_unit as u64),
                        (&frame.f_trace, 0),
                    ],
                );
                self.words(at + first, &values);
            }
            back = at;
        }
        if f.cframe.current_frame.exists() && f.iframe.is_entry.exists() {
            let outer = records.iter().skip(1).copied().chain([0]);
            for (record, previous) in records.iter().zip(outer).take(3) {
                self.set(*record, &f.cframe.current_frame, back);
                self.set(*record, &f.cframe.previous, previous);
            }
        }
        (back, sp, records[0])
    }

    /// Threads with the same frames, and their stack pointer.
    fn threads(&mut self, f: &Fields, rules: &Rules, runtime: u64, head: u64, interpreter: u64) -> u64 {
        let (frame, sp, outer) = self.frames(f, rules);
        let mut next = 0;
        for id in [77u64, 78] {
            let at = self.block(f.tstate.size.at().unwrap_or(512).min(1 << 16));
            let mut record = outer;
            if !f.iframe.is_entry.exists() {
                record = self.block(64);
                self.set(record, &f.cframe.current_frame, frame);
            }
            self.set_all(
                at,
                &[
                    (&f.tstate.next, next),
                    (&f.tstate.interp, interpreter),
                    (&f.tstate.frame, frame),
                    (&f.tstate.current_frame, frame),
                    (&f.tstate.cframe, record),
                    (&f.tstate.thread_id, id),
                    (&f.tstate.native_thread_id, id),
                ],
            );
            next = at;
        }
        // modules["threading"]._active: {77: a thread with a name}.
        let (threading, active) = (self.text(f, rules, "threading"), self.text(f, rules, "_active"));
        let id = self.int(f, rules, 77);
        let object = self.ty("object");
        let class = self.class(f, rules, "Thread", object, 0, 0);
        let thread = self.instance_with(f, rules, class, &[("_name", threading), ("_Thread__name", threading)]);
        let by_id = self.dict(f, rules, "dict", &[(id, thread)]);
        let inside = self.dict(f, rules, "dict", &[(active, by_id)]);
        let module = self.object("module", 256);
        self.set(module, &f.module.md_dict, inside);
        let modules = self.dict(f, rules, "dict", &[(threading, module)]);
        let empty = self.dict(f, rules, "dict", &[]);
        self.set_all(
            interpreter,
            &[
                (&f.interp.threads_head, next),
                (&f.interp.modules, modules),
                (&f.interp.sysdict, empty),
                (&f.interp.builtins, empty),
                (&f.interp.runtime, runtime),
            ],
        );
        self.set(runtime, &f.runtime.interpreters_head, interpreter);
        self.set(runtime, &f.runtime.interpreters_main, interpreter);
        self.word(head, interpreter);
        sp
    }

    /// A garbage collector with two objects in each generation, and a list that is `gc.garbage`.
    fn collector(&mut self, f: &Fields, interpreter: u64, runtime: u64, statics: u64) {
        let places = [(interpreter, &f.interp.gc), (runtime, &f.runtime.gc)];
        let at = places.into_iter().find_map(|(start, slot)| Some(start + slot.at().ok()?)).unwrap_or(statics);
        let first = at + f.gc.generations.at().unwrap_or(0);
        let size = f.gc_generation.size.at().unwrap_or(48);
        let permanent = f.gc.permanent_generation.at().ok().map(|offset| at + offset);
        for head in (0..3).map(|i| first + i * size).chain(permanent) {
            let (one, other) = (self.block(64), self.block(64));
            self.words(head, &[one, other]);
            self.words(one, &[other, head]);
            self.words(other, &[head, one]);
            self.set(head, &f.gc_generation.threshold, 10);
        }
        self.set(at, &f.gc.generation0, first);
        let garbage = self.object("list", 64);
        self.set(at, &f.gc.garbage, garbage);
        self.places.push(at);
    }
}

/// The unwind tables of the made-up image.
pub fn unwind_tables() -> Sections {
    let functions = [(EVAL - IMAGE, EVAL_FRAME), (C_FUNCTION - IMAGE, C_FRAME)];
    let [header, frame] = files::unwind_tables(TABLES[0], TABLES[1], &functions);
    let (eh_frame_hdr, eh_frame) = (Some((TABLES[0], header)), Some((TABLES[1], frame)));
    Sections { bias: IMAGE, eh_frame, eh_frame_hdr, text: None }
}

fn labels() -> impl Iterator<Item = &'static str> {
    TABLE.lines().next().unwrap_or("").split('\t').skip(1)
}

fn row(name: &str, column: usize) -> Option<u64> {
    let line = TABLE.lines().find(|line| line.split('\t').next() == Some(name))?;
    line.split('\t').nth(column + 1)?.split(':').next()?.parse().ok()
}

thread_local! {
    static WORLDS: RefCell<HashMap<usize, Rc<World>>> = RefCell::default();
}

impl World {
    /// The world of one of the table's columns, made at its first use.
    pub fn get(number: u8) -> Rc<World> {
        let column = usize::from(number) % labels().count();
        WORLDS.with(|all| Rc::clone(all.borrow_mut().entry(column).or_insert_with(|| Rc::new(World::new(column)))))
    }

    /// How many there are.
    #[cfg(test)]
    pub fn count() -> u8 {
        labels().count() as u8
    }

    /// The number of the column with this label.
    pub fn number(label: &str) -> u8 {
        labels().position(|known| known == label).unwrap_or_else(|| panic!("no column {label}")) as u8
    }

    fn new(column: usize) -> World {
        let label = labels().nth(column).expect("a column");
        let digits: String = label.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        let version: Vec<u32> = digits.split('.').filter_map(|part| part.parse().ok()).collect();
        let header = row("PyObject.<sizeof>", column).expect("a header");
        let python2 = version[0] == 2;
        let mut b = Building {
            bytes: Bytes::default(),
            places: Vec::new(),
            objects: Vec::new(),
            tables: Vec::new(),
            types: BTreeMap::new(),
            gallery: Vec::new(),
            attributes: Vec::new(),
            header,
            minor: if python2 { 0 } else { version[1] },
        };
        for (name, source) in SIZED {
            // Names that mean something else, or nothing, in the other Python.
            let size = match (*name, python2) {
                ("str", true) => Some(37),
                ("method", true) => None,
                ("unicode" | "instancemethod", false) => None,
                _ => row(source, column),
            };
            if let Some(size) = size {
                b.static_type(name, size);
            }
        }
        for name in OTHERS {
            let inner = row("_PyInterpreterFrame.localsplus", column);
            let size = match (*name, inner) {
                ("frame", Some(inner)) => row("PyFrameObject.<sizeof>", column).map(|size| size - 8 + inner),
                ("frame", None) => row("PyFrameObject.<sizeof>", column),
                ("generator", Some(inner)) => row("PyGenObject.gi_iframe", column).map(|at| at + inner),
                ("generator", None) => row("PyGenObject.<sizeof>", column),
                ("code", _) => {
                    row("PyCodeObject.co_code_adaptive", column).or_else(|| row("PyCodeObject.<sizeof>", column))
                }
                _ => kinds::extension_size(name, header, &|name| row(name, column)),
            };
            b.static_type(name, size.unwrap_or(64));
        }
        let type_type = b.ty("type");
        for at in b.types.values().copied().collect::<Vec<_>>() {
            b.word(at + header - 8, type_type);
        }
        let version_at = b.data(8);
        b.word(version_at, (version[0] << 24 | version[1] << 16 | version[2] << 8 | 0xf0).into());
        let runtime_size = row("_PyRuntimeState.<sizeof>", column).unwrap_or(0).clamp(1024, 1 << 18);
        let (runtime, head) = (b.data(runtime_size), b.data(8));
        let generations = b.data(256);
        b.data(64);
        let whole = b.bytes.data.len().next_multiple_of(4096);
        Rc::make_mut(&mut b.bytes.data).resize(whole, 0);

        let mut symbols = vec![("PyType_Type", type_type), ("Py_Version", version_at)];
        symbols.push((if python2 { "PyEval_EvalFrameEx" } else { "_PyEval_EvalFrameDefault" }, EVAL));
        symbols.push(if python2 || version[1] < 7 { ("interp_head", head) } else { ("_PyRuntime", runtime) });
        let symbols: Vec<_> = symbols.into_iter().map(|(name, at)| (name, at - IMAGE)).collect();
        let Sections { eh_frame_hdr: Some((header_at, unwind_header)), eh_frame: Some((at, unwind)), .. } =
            unwind_tables()
        else {
            panic!("there are tables")
        };
        let sections = [(".eh_frame_hdr", header_at, &*unwind_header), (".eh_frame", at, &*unwind)];
        let image = MemoryFile::new(&elf::shared_object(whole as u64, &symbols, &sections));
        let (located, layout) = find(&Rc::new(b.bytes.clone()), &image).unwrap_or_else(|e| panic!("{label}: {e}"));
        // Builds whose types have the same sizes cannot be told apart here; any of their layouts will do.

        let (f, rules) = (layout.fields, layout.rules);
        // What a type object says beyond its size needs the layout.
        let interpreter = b.block(f.interp.size.at().unwrap_or(1024).min(1 << 18));
        b.quietly(|b| b.finish_types(&f, &rules, interpreter));
        b.zoo(&f, &rules);
        let sp = b.threads(&f, &rules, runtime, head, interpreter);
        b.collector(&f, interpreter, runtime, generations);
        // Blocks of the image are places too: types, the runtime.
        b.places.extend([runtime, head]);
        b.places.extend(b.types.values().copied());
        b.places.sort_unstable();
        World {
            label,
            bytes: b.bytes,
            places: b.places,
            objects: b.objects,
            tables: b.tables,
            gallery: b.gallery,
            attributes: b.attributes,
            interpreter,
            #[cfg(test)]
            types: b.types,
            registers: Registers { pc: C_FUNCTION + 0x10, sp, bp: 0 },
            runtime,
            layout,
            located,
            image,
        }
    }

    /// The path, first address and end of the image.
    pub fn module(&self) -> (String, u64, u64) {
        (self.image.path(), IMAGE, DATA + self.bytes.data.len() as u64)
    }

    /// The bytes with changes at `places`; what is left of the input is memory of its own.
    pub fn changed(&self, input: &mut Input<'_>, places: &[u64]) -> Bytes {
        let mut bytes = self.bytes.clone();
        for _ in 0..input.u8() % 33 {
            let at = places[input.below(places.len())];
            let (skip, form) = (u64::from(input.u8()), input.u8());
            let value = match form >> 4 {
                0..=3 => places[input.below(places.len())],
                4..=5 => EXTRA + u64::from(input.u16()),
                6 => at,
                _ => input.word(&[EXTRA]),
            };
            // Mostly words; sometimes single bytes, and the bytes before a block.
            match form & 15 {
                0..=9 => bytes.change(at + skip * 8, value, 8),
                10..=11 => bytes.change(at + skip, value, 1),
                12 => bytes.change(at + skip, value, 4),
                _ => bytes.change(at - skip, value, 8),
            }
        }
        let mut extra = input.0.to_vec();
        extra.resize(extra.len().next_multiple_of(4096), 0);
        bytes.extra = Rc::new(extra);
        bytes
    }

    /// The bytes with memory of its own at [`EXTRA`].
    #[cfg(test)]
    pub fn with_extra(&self, extra: Vec<u8>) -> Bytes {
        Bytes { extra: Rc::new(extra), ..self.bytes.clone() }
    }

    /// The bytes with others at the start of `_PyRuntime`.
    pub fn with_runtime(&self, words: &[u64]) -> Bytes {
        let mut bytes = self.bytes.clone();
        for (at, word) in (self.runtime..).step_by(8).zip(words) {
            bytes.change(at, *word, 8);
        }
        bytes
    }

    /// The bytes without the pointer to the youngest generation.
    #[cfg(test)]
    pub fn without_generation0(&self) -> Bytes {
        let mut bytes = self.bytes.clone();
        let f = &self.layout.fields;
        let at = f.interp.gc.at().and_then(|gc| Ok(gc + f.gc.generation0.at()?)).expect("the pointer's place");
        bytes.change(self.interpreter + at, 0, 8);
        bytes
    }

    /// A reader of these bytes.
    pub fn objects(&self, bytes: Bytes) -> Objects {
        let memory = cache(&Rc::new(bytes), &self.image);
        Objects::new(memory, Rc::clone(&self.layout), Rc::clone(&self.located))
    }

    /// Finds CPython and its layout in these bytes, as if for the first time.
    pub fn find(&self, bytes: Bytes) -> Result<Objects> {
        let bytes = Rc::new(bytes);
        let (located, layout) = find(&bytes, &self.image)?;
        Ok(Objects::new(cache(&bytes, &self.image), layout, located))
    }
}

fn cache(bytes: &Rc<Bytes>, image: &MemoryFile) -> Rc<Cache> {
    let region = Region {
        start: IMAGE,
        end: DATA + bytes.data.len() as u64,
        writable: true,
        executable: false,
        offset: 0,
        path: image.path(),
        deleted: false,
    };
    Rc::new(Cache::new(Box::new(Target { bytes: Rc::clone(bytes), regions: vec![region] }), None))
}

fn find(bytes: &Rc<Bytes>, image: &MemoryFile) -> Result<(Rc<Located>, Rc<Layout>)> {
    let memory = cache(bytes, image);
    let diagnostics = Diagnostics::default();
    let candidates = |_: &pyext::image::Module| vec![image.path().into()];
    let located = locate::locate(&memory, &candidates, &|_| {}, &diagnostics)?;
    let layout = layout::resolve(&located, &memory, None, &diagnostics)?;
    Ok((Rc::new(located), Rc::new(layout)))
}
