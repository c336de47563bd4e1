//! Objects of the made-up CPython that take more than a header and a few words: values of extension
//! modules, classes with descriptors, exceptions, and what a frame calls C with.
//!
//! Each is an item of one list, which the frames have as a local variable, and beside it stand the
//! attributes that a path can ask of it.

use super::world::{Building, C_FUNCTION, EVAL, MANAGED_DICT};
use pyext::layout::{Fields, InstanceDict, Rules};

/// Attributes that C functions compute: the type and their names.
const GETTERS: &[(&str, &[&str])] = &[
    ("type", &["__name__", "__qualname__", "__module__", "__bases__", "__mro__", "__dict__"]),
    ("object", &["__class__"]),
    ("function", &["__code__", "__defaults__", "__name__", "__qualname__", "__dict__"]),
    ("BaseException", &["args", "__traceback__", "__context__", "__cause__"]),
    ("exceptions.BaseException", &["args", "message"]),
    ("generator", &["__name__", "gi_code", "gi_frame"]),
    ("frame", &["f_code", "f_globals", "f_builtins"]),
    ("traceback", &["tb_next", "tb_lineno"]),
    ("builtin_function_or_method", &["__name__", "__self__"]),
    ("int", &["real", "imag", "denominator"]),
    ("float", &["real", "imag"]),
    ("datetime.date", &["year", "month", "day"]),
    ("datetime.time", &["hour", "microsecond", "tzinfo"]),
    ("datetime.datetime", &["minute", "second", "tzinfo"]),
];

/// Types whose objects have `__get__`, and those that have `__set__` too.
const DESCRIPTORS: &[&str] =
    &["function", "method_descriptor", "wrapper_descriptor", "staticmethod", "classmethod", "classmethod_descriptor"];
const DATA_DESCRIPTORS: &[&str] = &["getset_descriptor", "member_descriptor", "property", "_collections._tuplegetter"];

/// Members of each C type, by its number (structmember.h).
const MEMBERS: &[&str] = &[
    "short",
    "int",
    "long",
    "float",
    "double",
    "string",
    "object",
    "char",
    "byte",
    "ubyte",
    "ushort",
    "uint",
    "ulong",
    "inplace",
    "bool",
    "unknown",
    "object_ex",
    "longlong",
    "ulonglong",
    "ssize",
    "none",
];

/// What `tp_base` is where it is not `object`.
const BASES: &[(&str, &str)] = &[
    ("bool", "int"),
    ("collections.OrderedDict", "dict"),
    ("collections.defaultdict", "dict"),
    ("datetime.datetime", "datetime.date"),
];

/// The size of the struct of a C type of an extension module: what its name promises.
pub fn extension_size(name: &str, header: u64, row: &dyn Fn(&str) -> Option<u64>) -> Option<u64> {
    match name {
        "collections.deque" => row("dequeobject.<sizeof>"),
        "collections.OrderedDict" => row("PyODictObject.<sizeof>"),
        "collections.defaultdict" => row("PyDictObject.<sizeof>").map(|size| size + 8),
        "datetime.date" | "datetime.timezone" => Some(header + 16),
        "datetime.time" | "datetime.timedelta" => Some(header + 24),
        "datetime.datetime" => Some(header + 32),
        "decimal.Decimal" => Some(header + 88),
        _ => None,
    }
}

/// Instructions that call with one argument, and those that enter a `with`, the call or the entering at
/// byte 6; from 3.14 on the latter is an ordinary call.
pub fn instructions(minor: u32) -> [Vec<u8>; 2] {
    let words = |load: u8, call: &[u8], leave: u8| [&[load, 0, load, 0, load, 0][..], call, &[leave, 0]].concat();
    let cached = |load: u8, call: u8, leave: u8| words(load, &[call, 1, 0, 0, 0, 0, 0, 0], leave);
    let with = |nop: u8, load: u8, enter: u8, leave: u8| vec![nop, 0, nop, 0, load, 0, enter, 0, leave, 0];
    // Its jump leads over a `return` to another one.
    let setup = |jump: u8| vec![9, 0, 9, 0, 100, 0, 143, jump, 100, 0, 83, 0, 100, 0, 83, 0];
    match minor {
        0 => [
            vec![100, 0, 0, 100, 0, 0, 131, 1, 0, 83],
            [&[9, 9, 9, 100, 0, 0, 143, 4, 0][..], &[100, 0, 0, 83, 83]].concat(),
        ],
        1..=10 => [vec![9, 0, 100, 0, 100, 0, 131, 1, 83, 0], setup(if minor == 10 { 2 } else { 4 })],
        11 => [words(100, &[166, 1, 0, 0, 171, 1, 0, 0, 0, 0, 0, 0, 0, 0], 83), with(9, 100, 53, 83)],
        12 => [cached(100, 171, 83), with(9, 100, 53, 83)],
        13 => [cached(83, 53, 36), with(30, 83, 2, 36)],
        14 => [cached(82, 52, 35), cached(82, 52, 35)],
        _ => [cached(81, 50, 33), cached(81, 50, 33)],
    }
}

impl Building {
    fn show(&mut self, object: u64, attributes: &[&'static str]) {
        self.attributes.extend(attributes.iter().map(|name| (self.gallery.len(), *name)));
        self.gallery.push(object);
    }

    /// What `f` makes is not looked at for its own sake.
    pub fn quietly<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> T {
        let count = self.objects.len();
        let made = f(self);
        self.objects.truncate(count);
        made
    }

    /// An object whose fields, behind the header, are these words.
    fn plain(&mut self, ty: &str, words: &[u64]) -> u64 {
        let at = self.object(ty, 160);
        self.words(at + self.header, words);
        at
    }

    fn list(&mut self, f: &Fields, items: &[u64], room: u64) -> u64 {
        let block = self.block(8 * room.max(items.len() as u64));
        self.words(block, items);
        let at = self.object("list", 64);
        self.set(at, &f.var.ob_size, items.len() as u64);
        self.set(at, &f.list.ob_item, block);
        at
    }

    /// A descriptor: its type, the class that has it, its name.
    fn descriptor(&mut self, f: &Fields, rules: &Rules, ty: &str, class: u64, name: &str) -> u64 {
        let at = self.object(ty, 96);
        let name = self.text(f, rules, name);
        self.set(at, &f.descr.d_type, class);
        self.set(at, &f.descr.d_name, name);
        at
    }

    fn c_text(&mut self, text: &str) -> u64 {
        let at = self.block(text.len() as u64 + 1);
        self.bytes.write(at, text.as_bytes());
        at
    }

    /// A table of `PyMemberDef`: name, type, offset; it ends in zeros.
    fn members(&mut self, all: &[(&str, u64, u64)]) -> u64 {
        let table = self.block(40 * (all.len() as u64 + 1));
        for (entry, (name, code, offset)) in (table..).step_by(40).zip(all) {
            let name = self.c_text(name);
            self.words(entry, &[name, *code, *offset]);
        }
        table
    }

    /// A table of `PyMethodDef`, of the one C function that there is.
    fn methods(&mut self, f: &Fields, names: &[&str]) -> u64 {
        let table = self.block(32 * (names.len() as u64 + 1));
        for (entry, name) in (table..).step_by(32).zip(names) {
            let name = self.c_text(name);
            self.set(entry, &f.method_def.ml_name, name);
            self.set(entry, &f.method_def.ml_meth, C_FUNCTION);
        }
        table
    }

    /// A class with these bases, the last of them first, and these attributes.
    fn class_with(&mut self, f: &Fields, rules: &Rules, name: &str, bases: &[u64], items: &[(&str, u64)]) -> u64 {
        let class = self.class(f, rules, name, bases[0], 0, 0);
        let items: Vec<_> = items.iter().map(|(name, value)| (self.text(f, rules, name), *value)).collect();
        let dict = self.dict(f, rules, "dict", &items);
        let mro = self.tuple(f, &[&[class], bases].concat());
        self.set_all(class, &[(&f.ty.tp_dict, dict), (&f.ty.tp_mro, mro), (&f.ty.tp_members, 0)]);
        class
    }

    /// Lets instances of the class have a dict where those of `object` have it, and makes one.
    pub fn instance_with(&mut self, f: &Fields, rules: &Rules, class: u64, items: &[(&str, u64)]) -> u64 {
        let items: Vec<_> = items.iter().map(|(name, value)| (self.text(f, rules, name), *value)).collect();
        let dict = self.dict(f, rules, "dict", &items);
        if rules.attributes == InstanceDict::Offset {
            self.set(class, &f.ty.tp_dictoffset, 32);
        } else {
            self.set(class, &f.ty.tp_flags, 1 << 9 | MANAGED_DICT);
        }
        let at = self.object_of(class, 128);
        self.tables.push(at);
        match rules.attributes {
            InstanceDict::Offset => self.word(at + 32, dict),
            InstanceDict::Words311 | InstanceDict::Word312 => self.word(at - 24, dict),
            InstanceDict::Inline { words_before } => self.word(at - words_before * 8, dict),
        }
        at
    }

    /// What static types have: a base, an mro, a dict with what C functions compute; 3.12 and later keep
    /// that dict in the interpreter.
    pub fn finish_types(&mut self, f: &Fields, rules: &Rules, interpreter: u64) {
        let object = self.ty("object");
        let names: Vec<&str> = self.types.keys().copied().filter(|name| *name != "object").collect();
        for name in names {
            let ty = self.ty(name);
            let base = BASES.iter().find(|(of, _)| *of == name).map_or(object, |(_, base)| self.ty(base));
            self.set(ty, &f.ty.tp_base, base);
            let mro = if base == object { vec![ty, object] } else { vec![ty, base, object] };
            let mro = self.tuple(f, &mro);
            self.set(ty, &f.ty.tp_mro, mro);
        }
        for name in DESCRIPTORS.iter().chain(DATA_DESCRIPTORS) {
            self.set(self.ty(name), &f.ty.tp_descr_get, 1);
        }
        for name in DATA_DESCRIPTORS {
            self.set(self.ty(name), &f.ty.tp_descr_set, 1);
        }
        for (index, (name, getters)) in (0..).zip(GETTERS) {
            let ty = self.ty(name);
            if ty == 0 {
                continue;
            }
            let getter = |b: &mut Self, name: &&str| {
                (b.text(f, rules, name), b.descriptor(f, rules, "getset_descriptor", ty, name))
            };
            let items: Vec<_> = getters.iter().map(|name| getter(self, name)).collect();
            let dict = self.dict(f, rules, "dict", &items);
            match f.interp.types_builtins.at() {
                Ok(at) if f.interp.types_extensions.exists() => {
                    self.set(ty, &f.ty.tp_subclasses, index + 1);
                    self.words(interpreter + at + 8 + index * 48, &[ty, 0, 0, dict]);
                }
                _ => self.set(ty, &f.ty.tp_dict, dict),
            }
        }
        let methods = self.methods(f, &["append", "__enter__"]);
        self.set(self.ty("list"), &f.ty.tp_methods, methods);
    }

    /// An object of each kind, and the list of them.
    pub fn gallery(&mut self, f: &Fields, rules: &Rules, code: u64) -> u64 {
        let list = self.list(f, &[], 64);
        let (one, two, name) = (self.int(f, rules, 1), self.int(f, rules, 77), self.text(f, rules, "name"));
        self.datetimes(f, rules, name);
        let data = self.block(16);
        self.word(data, 15);
        let decimal = self.plain("decimal.Decimal", &[0, 1, 1u64.wrapping_neg(), 2, 1, 4, data]);
        self.show(decimal, &[]);
        self.classes(f, rules, [one, two, name]);
        self.collections(f, rules, [one, two, name]);
        self.callables(f, rules, code, list);
        let arguments = self.tuple(f, &[name, one]);
        let traceback = self.plain("traceback", &[0, 0, 7 << 32, 0]);
        let base = self.ty(if rules.python2 { "exceptions.BaseException" } else { "BaseException" });
        let class = self.class(f, rules, "Failure", base, 0, f.exception.dict.at().unwrap_or(16) as i64);
        let own = self.dict(f, rules, "dict", &[(name, two)]);
        let mro = self.tuple(f, &[class, base, self.ty("object")]);
        self.set(class, &f.ty.tp_mro, mro);
        let failure = self.object_of(class, 160);
        let fields = &f.exception;
        self.set_all(
            failure,
            &[
                (&fields.dict, own),
                (&fields.args, arguments),
                (&fields.traceback, traceback),
                (&fields.context, failure),
                (&fields.cause, 0),
            ],
        );
        let more: &[&str] = if rules.python2 { &["message"] } else { &["__traceback__", "__context__", "__cause__"] };
        self.show(failure, &["args", "name", "__class__"]);
        self.attributes.extend(more.iter().map(|name| (self.gallery.len() - 1, *name)));
        self.show(traceback, &["tb_next", "tb_lineno"]);
        self.show(one, if rules.python2 { &[] } else { &["real", "imag", "denominator"] });
        let float = self.plain("float", &[1.5f64.to_bits()]);
        self.show(float, &["real", "imag"]);
        let proxied = self.dict(f, rules, "dict", &[(name, one)]);
        let proxy = self.plain(if rules.python2 { "dictproxy" } else { "mappingproxy" }, &[proxied]);
        self.show(proxy, &["__class__"]);
        let range =
            if rules.python2 { self.plain("xrange", &[1, 2, 3]) } else { self.plain("range", &[one, two, one, two]) };
        self.show(range, &["__class__"]);
        let items = self.gallery.clone();
        self.set(list, &f.var.ob_size, items.len() as u64);
        let mut block = [0; 8];
        let _ = self.bytes.read(list + f.list.ob_item.at().unwrap_or(24), &mut block);
        self.words(u64::from_le_bytes(block), &items);
        list
    }

    fn datetimes(&mut self, f: &Fields, rules: &Rules, name: u64) {
        let (hour, zero) =
            (self.plain("datetime.timedelta", &[0, 3600 << 32, 5]), self.plain("datetime.timedelta", &[]));
        let (zone, utc) = (self.plain("datetime.timezone", &[hour, name]), self.plain("datetime.timezone", &[zero, 0]));
        let value = |b: &mut Self, ty: &str, bytes: &[u8], zone: u64, at: u64| {
            let object = b.plain(ty, &[]);
            b.bytes.write(object + b.header + 8, &[&[u8::from(zone != 0)], bytes].concat());
            if zone != 0 {
                b.word(object + b.header + at, zone);
            }
            object
        };
        let date = value(self, "datetime.date", &[7, 0xea, 11, 25], 0, 0);
        let time = value(self, "datetime.time", &[13, 5, 0, 0, 0, 7, 1], zone, 16);
        let both = value(self, "datetime.datetime", &[7, 0xea, 11, 25, 13, 5, 9, 0, 0, 0, 1], utc, 24);
        self.show(date, &["year", "month", "day"]);
        self.show(time, &["hour", "microsecond", "tzinfo"]);
        self.show(both, &["year", "minute", "second", "tzinfo"]);
        let class = self.class_with(f, rules, "Stamp", &[self.ty("datetime.datetime"), self.ty("datetime.date")], &[]);
        let stamp = self.object_of(class, 96);
        self.bytes.write(stamp + self.header + 9, &[7, 0xea, 11, 25, 0, 0, 0, 0, 0, 0, 0]);
        self.show(stamp, &["day"]);
        self.show(hour, &[]);
    }

    /// Members of an enum, named tuples, a struct sequence, and one of each kind of descriptor.
    fn classes(&mut self, f: &Fields, rules: &Rules, [one, two, name]: [u64; 3]) {
        let object = self.ty("object");
        let (ty, tuple) = (self.ty("type"), self.ty("tuple"));
        let module = self.text(f, rules, "enum");
        let meta = self.class_with(f, rules, "EnumMeta", &[ty, object], &[("__module__", module)]);
        let property = self.plain("property", &[one]);
        let items = [("__module__", module), ("name", property), ("value", property)];
        let base = self.class_with(f, rules, "Enum", &[object], &items);
        let colour = self.class_with(f, rules, "Colour", &[base, object], &[]);
        for class in [base, colour] {
            self.word(class + self.header - 8, meta);
        }
        let red = self.text(f, rules, "RED");
        let member = self.instance_with(f, rules, colour, &[("_name_", red), ("_value_", one)]);
        self.show(member, &["name", "value"]);

        let first = f.tuple.ob_item.at().unwrap_or(24);
        let labels = [self.text(f, rules, "x"), self.text(f, rules, "y")];
        let labels = self.tuple(f, &labels);
        let getter = self.plain("operator.itemgetter", &[1, one]);
        let (old, new) = (self.plain("property", &[getter]), self.plain("_collections._tuplegetter", &[0]));
        let items = [("_fields", labels), ("x", new), ("y", old)];
        let point = self.class_with(f, rules, "Point", &[tuple, object], &items);
        let members = self.members(&[("st_mode", 6, first), ("st_ino", 6, first + 8)]);
        let sequence = self.class_with(f, rules, "os.stat_result", &[tuple, object], &[]);
        self.set(sequence, &f.ty.tp_members, members);
        for (class, attributes) in [(point, &["x", "y", "_fields"][..]), (sequence, &[])] {
            let at = self.object_of(class, 96);
            self.set(at, &f.var.ob_size, 2);
            self.words(at + first, &[one, two]);
            self.show(at, attributes);
        }

        // A class with descriptors, and members of every C type.
        let table: Vec<_> = MEMBERS.iter().zip(0..).map(|(name, code)| (*name, code, 80)).collect();
        let table = self.members(&table);
        let method = self.methods(f, &["method"]);
        let function = self.object("function", 256);
        self.set(function, &f.function.func_name, name);
        self.set(function, &f.function.func_qualname, name);
        let mut items = vec![("plain", two), ("function", function)];
        let class = self.class(f, rules, "Described", object, 0, 0);
        for ty in ["staticmethod", "classmethod"] {
            items.push((ty, self.plain(ty, &[function])));
        }
        for ty in ["method_descriptor", "classmethod_descriptor", "wrapper_descriptor"] {
            let at = self.descriptor(f, rules, ty, class, "name");
            self.set(at, &f.method_descr.d_method, method);
            items.push((ty, at));
        }
        for (index, name) in (0u64..).zip(MEMBERS) {
            let at = self.descriptor(f, rules, "member_descriptor", class, name);
            self.set(at, &f.member_descr.d_member, table + 40 * index);
            items.push((name, at));
        }
        items.push(("property", self.plain("property", &[function])));
        let items: Vec<_> = items.into_iter().map(|(name, value)| (self.text(f, rules, name), value)).collect();
        let dict = self.dict(f, rules, "dict", &items);
        let mro = self.tuple(f, &[class, object]);
        self.set(class, &f.ty.tp_dict, dict);
        self.set(class, &f.ty.tp_mro, mro);
        self.set(class, &f.ty.tp_members, table);
        let text = self.c_text("text");
        let described = self.instance_with(f, rules, class, &[("own", name)]);
        self.word(described + 80, text);
        self.word(described + 88, name);
        let mut shown = vec!["own", "plain", "function", "staticmethod", "classmethod", "__class__"];
        shown.extend(["method_descriptor", "classmethod_descriptor", "wrapper_descriptor"]);
        shown.extend(MEMBERS.iter().zip(0..).filter(|(_, code)| ![6, 15, 16].contains(code)).map(|(name, _)| *name));
        self.show(described, &shown);
        self.show(class, &["__name__", "__mro__", "__dict__", "plain", "method_descriptor", "property"]);
    }

    fn collections(&mut self, f: &Fields, rules: &Rules, [one, two, name]: [u64; 3]) {
        let items = [(name, one), (two, name)];
        if f.odict.od_first.exists() {
            let ordered = self.dict(f, rules, "collections.OrderedDict", &items);
            let mut next = 0;
            for key in [name, two] {
                let node = self.block(32);
                self.set(node, &f.odict_node.key, key);
                self.set(node, &f.odict_node.next, next);
                next = node;
            }
            self.set(ordered, &f.odict.od_first, next);
            self.show(ordered, &[]);
        } else if rules.python2 {
            // A class of Python: a circle of lists [previous, next, key].
            let (root, link) = (self.list(f, &[0, 0, 0], 3), self.list(f, &[0, 0, name], 3));
            for (at, next) in [(root, link), (link, root)] {
                let mut block = [0; 8];
                let _ = self.bytes.read(at + f.list.ob_item.at().unwrap_or(24), &mut block);
                self.words(u64::from_le_bytes(block), &[next, next]);
            }
            let class = self.class_with(f, rules, "OrderedDict", &[self.ty("dict"), self.ty("object")], &[]);
            let size = f.dict.size.at().unwrap_or(248);
            self.set(class, &f.ty.tp_dictoffset, size);
            let label = self.text(f, rules, "_OrderedDict__root");
            let own = self.dict(f, rules, "dict", &[(label, root)]);
            let ordered = self.dict(f, rules, "dict", &[(name, one)]);
            self.word(ordered + self.header - 8, class);
            self.word(ordered + size, own);
            self.show(ordered, &[]);
        }
        let default = self.dict(f, rules, "collections.defaultdict", &items);
        let factory = self.ty("list");
        self.word(default + f.dict.size.at().unwrap_or(48), factory);
        self.show(default, &[]);
        if f.deque.size.exists() {
            let blocks = [self.block(544), self.block(544)];
            let (data, link) = (f.deque_block.data.at().unwrap_or(8), f.deque_block.rightlink.at().unwrap_or(520));
            // One item at the end of a block, one at the start of the next.
            self.word(blocks[0] + link - 8, one);
            self.word(blocks[0] + link, blocks[1]);
            self.word(blocks[1] + data, name);
            let deque = self.object("collections.deque", 256);
            self.set(deque, &f.var.ob_size, 2);
            self.set_all(
                deque,
                &[
                    (&f.deque.len, 2),
                    (&f.deque.maxlen, 5),
                    (&f.deque.leftblock, blocks[0]),
                    (&f.deque.leftindex, (link - data) / 8 - 1),
                ],
            );
            self.show(deque, &[]);
        }
        let (start, arguments) = (self.header, self.tuple(f, &[one]));
        let members = self.members(&[("func", 6, start), ("args", 6, start + 8), ("keywords", 6, start + 16)]);
        self.set(self.ty("functools.partial"), &f.ty.tp_members, members);
        let keywords = self.dict(f, rules, "dict", &[(name, two)]);
        let partial = self.plain("functools.partial", &[factory, arguments, keywords]);
        self.show(partial, &[]);
    }

    /// Functions, methods, a generator and a frame object.
    fn callables(&mut self, f: &Fields, rules: &Rules, code: u64, receiver: u64) {
        let name = self.text(f, rules, "function");
        let function = self.object("function", 256);
        let (defaults, globals) = (self.tuple(f, &[name]), self.dict(f, rules, "dict", &[(name, code)]));
        let fields = &f.function;
        self.set_all(
            function,
            &[
                (&fields.func_code, code),
                (&fields.func_name, name),
                (&fields.func_qualname, name),
                (&fields.func_defaults, defaults),
            ],
        );
        let mut attributes = vec!["__code__", "__defaults__", "__name__", "__dict__"];
        if !rules.python2 {
            attributes.push("__qualname__");
        }
        self.show(function, &attributes);
        let method = self.object(if rules.python2 { "instancemethod" } else { "method" }, 96);
        self.set(method, &f.method.im_func, function);
        self.set(method, &f.method.im_self, receiver);
        self.show(method, &["__code__"]);
        let wrapped = self.descriptor(f, rules, "wrapper_descriptor", self.ty("list"), "__len__");
        let wrapper = self.plain("method-wrapper", &[wrapped, receiver]);
        self.show(wrapper, &[]);
        let [builtin, _] = self.called(f, rules, receiver);
        self.show(builtin, &["__name__", "__self__"]);

        let generator = self.object("generator", 640);
        for slot in [&f.generator.gi_name, &f.generator.gi_qualname] {
            self.set(generator, slot, name);
        }
        self.set(generator, &f.generator.gi_code, code);
        let Ok(inner) = f.generator.gi_iframe.at() else { return self.show(generator, &["__name__"]) };
        let (frame, inner) = (self.object("frame", 640), generator + inner);
        self.set_all(
            inner,
            &[
                (&f.iframe.executable, code),
                (&f.iframe.frame_obj, frame),
                (&f.iframe.globals, globals),
                (&f.iframe.builtins, globals),
            ],
        );
        self.set(frame, &f.frame.f_frame, inner);
        self.show(generator, &["__name__", "gi_code", "gi_frame"]);
        self.show(frame, &["f_code", "f_globals", "f_builtins"]);
    }

    /// What a frame calls: a built-in method of `receiver`, and a method of its class.
    pub fn called(&mut self, f: &Fields, rules: &Rules, receiver: u64) -> [u64; 2] {
        let methods = self.methods(f, &["append"]);
        let builtin = self.object("builtin_function_or_method", 96);
        self.set(builtin, &f.cfunction.m_ml, methods);
        self.set(builtin, &f.cfunction.m_self, receiver);
        let method = self.descriptor(f, rules, "method_descriptor", self.ty("list"), "append");
        self.set(method, &f.method_descr.d_method, methods);
        [builtin, method]
    }

    /// A C stack: the evaluation function and what it has called, as often as there are Python frames.
    /// Its stack pointer, and in each frame of the evaluation function a place for a record.
    pub fn c_stack(&mut self, frames: u64) -> (u64, Vec<u64>) {
        let (callee, caller) = (C_FRAME, EVAL_FRAME);
        let start = self.block((callee + caller) * frames + 64);
        let mut records = Vec::new();
        for i in 0..frames {
            let at = start + i * (callee + caller);
            self.word(at + callee - 8, EVAL + 0x10);
            records.push(at + callee + 64);
            let outer = if i + 1 == frames { 0 } else { C_FUNCTION + 0x10 };
            self.word(at + callee + caller - 8, outer);
        }
        (start, records)
    }
}

/// Bytes of a C frame of the made-up C function, and of the evaluation function.
pub const C_FRAME: u64 = 16;
pub const EVAL_FRAME: u64 = 1024;
