//! What `sys.getsizeof` says of an object: `__sizeof__`, and what lies before the object for the
//! garbage collector and for attributes (`sys_getsizeof` in `Python/sysmodule.c`).
//!
//! Built-in types with a `__sizeof__` of their own have a rule here; all others have `object`'s:
//! `tp_basicsize`, and `tp_itemsize` for each item.

use super::types::{Info, TypeId};
use crate::bytes::{uint, word};
use crate::layout::fields::KeysFields;
use crate::layout::own_sizes::{OwnSize, Term};
use crate::layout::{CodeSize, DictKeys, Fields, Frames, Ints, RefCount, Rules, Slot};
use crate::objects::flag;
use crate::objects::keys::{self, KeysHead};
use crate::process::Source;

/// How the size of an object is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of Python's types
pub enum Rule {
    /// `tp_basicsize`.
    Fixed,
    /// `tp_itemsize` for each item more.
    Items,
    Int,
    Str,
    /// `str` of Python 2.
    Str2,
    Unicode2,
    List,
    Bytearray,
    Dict,
    /// `set`, `frozenset`.
    Set,
    /// Classes.
    Type,
    OrderedDict,
    Code,
    /// A frame with its variables and its value stack in it (3.10 and older).
    Frame,
    /// A frame object, which leads to its frame (3.11 and later).
    FrameObject,
    /// Generators and the like with a frame in them (3.11 and later).
    Generator,
    /// A type of an extension module.
    Own(&'static OwnSize),
}

/// The built-in types whose objects have a rule of their own, by `tp_name`.
pub fn own_rules(rules: &Rules) -> Vec<(&'static str, Rule)> {
    let mut all = vec![
        ("list", Rule::List),
        ("bytearray", Rule::Bytearray),
        ("dict", Rule::Dict),
        ("set", Rule::Set),
        ("frozenset", Rule::Set),
        ("code", Rule::Code),
        ("type", Rule::Type),
    ];
    all.extend(if rules.python2 {
        // `int` is a machine word there.
        [("long", Rule::Int), ("unicode", Rule::Unicode2), ("str", Rule::Str2)].as_slice()
    } else {
        [("int", Rule::Int), ("str", Rule::Str)].as_slice()
    });
    all.extend([("collections.OrderedDict", Rule::OrderedDict), ("frozendict", Rule::Dict)]);
    match rules.frames {
        Frames::Objects => all.push(("frame", Rule::Frame)),
        Frames::Interpreter { .. } => all.extend([
            ("frame", Rule::FrameObject),
            ("generator", Rule::Generator),
            ("coroutine", Rule::Generator),
            ("async_generator", Rule::Generator),
        ]),
    }
    all
}

/// A field that a scan reads: a part of the word at `offset`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) offset: usize,
    width: usize,
    first: u8,
    mask: u64,
}

impl Place {
    fn new(slot: &Slot) -> Option<Place> {
        let field = slot.field?;
        let width = field.bytes();
        let (first, bits) = field.bits.unwrap_or((0, (width * 8) as u8));
        let mask = if bits < 64 { (1 << bits) - 1 } else { u64::MAX };
        Some(Place { offset: field.offset as usize, width, first: first % 64, mask })
    }

    /// A whole word.
    fn word(offset: u64) -> Place {
        Place { offset: offset as usize, width: 8, first: 0, mask: u64::MAX }
    }

    /// The same field where the bytes begin `first` bytes later.
    fn before(self, first: u64) -> Place {
        Place { offset: self.offset.saturating_sub(first as usize), ..self }
    }

    #[inline]
    fn get(self, object: &[u8]) -> u64 {
        // A whole word is read at once; at the end of an object there may be less than that.
        let value = word(object, self.offset).or_else(|| uint(object, self.offset, self.width)).unwrap_or(0);
        value >> self.first & self.mask
    }
}

/// A part of an object's size that other memory tells.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// Where that is.
    pub at: u64,
    /// The object whose size it is, and the number of its type.
    pub of: u64,
    /// See there.
    pub id: TypeId,
    /// The object's record in a scan, counted from 1; 0 if it has none.
    pub record: u32,
    pub(super) what: What,
    /// What the object says of it: a number of items.
    pub(super) count: u64,
}

/// What a [`Pending`] looks at.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    /// A dict's table of keys; the dict may have values apart from it, one for each key.
    Keys { values: bool },
    /// The table of keys that instances of a class share.
    SharedKeys,
    /// A word, so many bytes for each.
    Times(u8),
    /// The instructions of a code object, one byte for each.
    Instructions,
    /// The code object of a frame, from the first field that counts.
    Code,
    /// A pointer to that code object.
    Executable,
    /// Something of an extension type.
    Own(&'static Term),
}

/// Where sizes are in objects of this build.
#[derive(Debug, Clone)]
pub struct Sizes {
    pub(super) ob_size: Place,
    tagged: Option<Place>,
    /// Where digits begin, if that and not `tp_basicsize` is what `__sizeof__` counts.
    digits: u64,
    least_digits: bool,
    length: Place,
    kind: Place,
    compact: Place,
    ascii: Place,
    utf8: Option<(Place, Place)>,
    data: Place,
    /// `sizeof` of `PyASCIIObject`, `PyCompactUnicodeObject`, `PyUnicodeObject`.
    strings: [u64; 3],
    list: (Place, Place),
    bytearray: Place,
    /// Bytes before those of a bytearray that has some.
    bytearray_head: u64,
    set: (Place, Place, u64),
    open_dict: Option<(Place, Place, u64)>,
    dict: (Option<Place>, Option<Place>),
    /// `sizeof` of `PyTypeObject` and `PyHeapTypeObject`, and the keys that instances share; none in Python 2, whose
    /// `type` has `object`'s `__sizeof__`.
    class: Option<(u64, u64, Option<Place>)>,
    static_type_head: bool,
    keys: (KeysFields, DictKeys),
    ordered: Ordered,
    code: Code,
    frame: Frame,
    /// Where the structs of extension types begin: behind `PyObject`, and in classes.
    pub(super) starts: [u64; 2],
    /// `ob_sval` of `bytes`, and of `str` in Python 2.
    pub(super) bytes: [u64; 2],
    pub(super) ob_type: u64,
    pub(super) refcount: RefCount,
}

/// Where sizes are in an `OrderedDict`.
#[derive(Debug, Clone, Copy)]
struct Ordered {
    first: Place,
    used: Place,
    node: u64,
    /// `od_fast_nodes_size`.
    fast: Place,
}

/// Where sizes are in code objects.
#[derive(Debug, Clone, Copy)]
struct Code {
    size: CodeSize,
    extra: Option<Place>,
    cell2arg: Option<Place>,
    cellvars: Place,
    instructions: Place,
    /// The first of the next two, which lie close together.
    first: u64,
    stack: Place,
    locals: Option<Place>,
}

/// Where sizes are in frames and in generators.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Frames that are objects: `f_code`, `f_valuestack`, and where the variables begin.
    code: Place,
    value_stack: Place,
    locals: u64,
    /// `f_frame`, and in such a frame the code object.
    frame: Place,
    executable: u64,
    generator: Place,
    tag: u64,
}

/// Bytes that are looked at for a [`Pending`]: of a table of keys, an object, a struct.
pub const HEAD: usize = keys::HEAD;

/// Bytes of an entry of an inline cache of opcodes (`_PyOpcache`).
const CACHE_ENTRY: u64 = 32;

/// Bytes of an entry of a set (`setentry`).
pub(super) const SET_ENTRY: u64 = 16;

/// Sizes in hostile memory are claims: what no object can have.
pub(super) const MOST: u64 = 1 << 46;

impl Sizes {
    /// Those of this build. A field that it does not have reads as 0.
    pub fn new(fields: &Fields, rules: &Rules) -> Sizes {
        let place = |slot: &Slot| Place::new(slot).unwrap_or_default();
        let at = |slot: &Slot| slot.at().unwrap_or(0);
        let (ascii, two, code) = (&fields.ascii, &fields.unicode2, &fields.code);
        let behind = |slot: &Slot, more: u64| Place::word(at(slot) + more);
        let stack = at(&code.co_stacksize);
        let first = code.co_nlocalsplus.at().map_or(stack, |locals| stack.min(locals));
        Sizes {
            ob_size: place(&fields.var.ob_size),
            tagged: (rules.ints == Ints::Tagged).then(|| place(&fields.long.lv_tag)),
            digits: if rules.python2 { 0 } else { at(&fields.long.ob_digit) },
            least_digits: rules.int_digit,
            length: place(if rules.python2 { &two.length } else { &ascii.length }),
            kind: place(&ascii.kind),
            compact: place(&ascii.compact),
            ascii: place(&ascii.ascii),
            utf8: Place::new(&fields.compact.utf8).zip(Place::new(&fields.compact.utf8_length)),
            data: place(&two.data),
            strings: [at(&ascii.size), at(&fields.compact.size), at(&two.size)],
            list: (place(&fields.list.ob_item), place(&fields.list.allocated)),
            bytearray: place(&fields.bytearray.ob_alloc),
            bytearray_head: if rules.bytearray_of_bytes { at(&fields.bytes.ob_sval) + 1 } else { 0 },
            set: (place(&fields.set.mask), place(&fields.set.table), at(&fields.set.smalltable)),
            open_dict: (rules.keys == DictKeys::OpenTable).then(|| {
                // `ma_smalltable` is the last member.
                let small = at(&fields.dict.size).saturating_sub(8 * keys::ENTRY);
                (place(&fields.dict.ma_mask), place(&fields.dict.ma_table), small)
            }),
            dict: (Place::new(&fields.dict.ma_keys), Place::new(&fields.dict.ma_values)),
            class: (!rules.python2).then(|| {
                let keys = Place::new(&fields.heap_type.ht_cached_keys);
                (at(&fields.ty.size), at(&fields.heap_type.size), keys)
            }),
            static_type_head: rules.static_type_head,
            keys: (fields.keys, rules.keys),
            ordered: Ordered {
                first: place(&fields.odict.od_first),
                used: place(&fields.dict.ma_used),
                node: at(&fields.odict_node.size),
                fast: behind(&fields.odict.od_first, 24),
            },
            code: Code {
                size: rules.code_size,
                extra: Place::new(&code.co_extra),
                cell2arg: Place::new(&code.co_cell2arg),
                cellvars: place(&code.co_cellvars),
                instructions: place(&code.co_code),
                first,
                stack: place(&code.co_stacksize).before(first),
                locals: Place::new(&code.co_nlocalsplus).map(|place| place.before(first)),
            },
            frame: Frame {
                code: place(&fields.frame.f_code),
                value_stack: place(&fields.frame.f_valuestack),
                locals: at(&fields.frame.f_localsplus),
                frame: place(&fields.frame.f_frame),
                executable: at(&fields.iframe.executable),
                generator: behind(&fields.generator.gi_iframe, at(&fields.iframe.executable)),
                tag: rules.stackref_tag,
            },
            starts: [at(&fields.object.size), at(&fields.heap_type.size).next_multiple_of(16)],
            bytes: [at(&fields.bytes.ob_sval), at(&fields.str2.ob_sval)],
            ob_type: at(&fields.object.ob_type),
            refcount: rules.refcount,
        }
    }

    /// How many items the object has, whose type has this `info`.
    #[inline]
    pub fn items(&self, info: &Info, object: &[u8]) -> u64 {
        match self.tagged {
            Some(tag) if info.rule == Rule::Int => tag.get(object) >> 3,
            _ => (self.ob_size.get(object) as i64).unsigned_abs(),
        }
    }

    /// Bytes of the object, whose type has this `info`, up to the end of its items (`_PyObject_VAR_SIZE`).
    pub fn end(&self, info: &Info, object: &[u8]) -> u64 {
        let items = self.items(info, object).min(MOST).saturating_mul(info.itemsize).min(MOST);
        (info.basicsize + items).next_multiple_of(8)
    }

    /// Bytes that an object of a type with this `info` has at least.
    #[inline]
    pub fn least(&self, info: &Info) -> u64 {
        // Strings are shorter than their type says: what it counts lies behind short ones.
        if info.rule == Rule::Str { self.strings[0] } else { info.least }
    }

    /// The size of the object at `addr` of a type with this `info` and the number `id`, as far as the object
    /// itself tells; `later` gets the rest. `object` are its bytes, at least those of its fixed part. Its
    /// block has room for `room` bytes. One that claims more than there can be has [`MOST`].
    #[inline]
    pub fn size(
        &self,
        (id, info): (TypeId, &Info),
        addr: u64,
        object: &[u8],
        room: u64,
        later: &mut Vec<Pending>,
    ) -> u64 {
        let basic = info.basicsize + u64::from(info.before);
        let table = |bytes: u64| (basic + bytes.min(MOST)).min(MOST);
        match info.rule {
            Rule::Fixed => basic,
            Rule::Items => {
                let items = (self.ob_size.get(object) as i64).unsigned_abs().min(MOST).saturating_mul(info.itemsize);
                if items <= room {
                    table(items)
                } else if info.flags & (flag::TUPLE_SUBCLASS | flag::BYTES_SUBCLASS) != 0 {
                    MOST
                } else {
                    // Some types have items and no `ob_size`.
                    basic
                }
            }
            Rule::Int => {
                let digits = self.items(info, object).max(u64::from(self.least_digits));
                let basic = if self.digits == 0 { info.basicsize } else { self.digits };
                (u64::from(info.before) + basic + digits.min(MOST) * 4).min(MOST)
            }
            Rule::Str => u64::from(info.before) + self.string(addr, object),
            // The bytes and a 0, whatever a subclass has in addition.
            Rule::Str2 => u64::from(info.before) + self.bytes[1] + 1 + self.ob_size.get(object).min(MOST),
            Rule::Unicode2 => {
                u64::from(info.before) + self.strings[2] + self.length.get(object).min(MOST).saturating_add(1) * 4
            }
            Rule::List => {
                let allocated = if self.list.0.get(object) == 0 { 0 } else { self.list.1.get(object) };
                table(allocated.min(MOST) * 8)
            }
            Rule::Bytearray => {
                let bytes = self.bytearray.get(object);
                table(if bytes > 0 { bytes.min(MOST) + self.bytearray_head } else { 0 })
            }
            Rule::Set => self.hash(&self.set, addr, object, SET_ENTRY, basic),
            Rule::Dict => self.dict(id, addr, object, basic, later),
            Rule::Type => self.class((id, info), addr, object, later),
            _ => self.rare((id, info), addr, object, room, later).min(MOST),
        }
    }

    /// The size of a dict, of which `basic` bytes are known.
    pub(super) fn dict(&self, id: TypeId, addr: u64, object: &[u8], basic: u64, later: &mut Vec<Pending>) -> u64 {
        if let Some(places) = &self.open_dict {
            return self.hash(places, addr, object, keys::ENTRY, basic);
        }
        if let Some(keys) = self.dict.0 {
            let values = self.dict.1.is_some_and(|place| place.get(object) != 0);
            later.push(Pending {
                at: keys.get(object),
                of: addr,
                id,
                record: 0,
                what: What::Keys { values },
                count: 0,
            });
        }
        basic
    }

    /// The size of an object of one of the less common types.
    #[inline(never)]
    fn rare(&self, (id, info): (TypeId, &Info), addr: u64, object: &[u8], room: u64, later: &mut Vec<Pending>) -> u64 {
        let basic = info.basicsize + u64::from(info.before);
        let mut push = |at: u64, more: u64, what: What| {
            if at != 0 {
                later.push(Pending { at: at.wrapping_add(more), of: addr, id, record: 0, what, count: 0 });
            }
        };
        match info.rule {
            Rule::OrderedDict => {
                let Ordered { first, used, node, fast } = self.ordered;
                let nodes = if first.get(object) == 0 { 0 } else { used.get(object).min(MOST) * node };
                basic + nodes.min(MOST) + fast.get(object).min(MOST) * 8 + self.dict(id, addr, object, 0, later)
            }
            Rule::Code => {
                let Code { size, extra, cell2arg, cellvars, instructions, .. } = self.code;
                let ob_size = self.ob_size.offset as u64;
                let mut bytes = basic;
                if size.rounded {
                    bytes += self.ob_size.get(object).min(MOST) * info.itemsize.min(8);
                    bytes = bytes.next_multiple_of(8);
                }
                if let Some(extra) = extra {
                    if extra.get(object) != 0 {
                        bytes += size.extra_head;
                        push(extra.get(object), 0, What::Times(8));
                    }
                    let behind = |more: u64| Place::word(extra.offset as u64 + more).get(object);
                    if size.cache && behind(16) != 0 {
                        bytes += (behind(24) >> 32 & 0xff) * CACHE_ENTRY;
                        push(instructions.get(object), ob_size, What::Instructions);
                    }
                }
                if cell2arg.is_some_and(|place| place.get(object) != 0) {
                    push(cellvars.get(object), ob_size, What::Times(8));
                }
                bytes
            }
            Rule::Frame => {
                let frame = &self.frame;
                let variables = frame.value_stack.get(object).wrapping_sub(addr.wrapping_add(frame.locals));
                push(frame.code.get(object), self.code.first, What::Code);
                // One slot is in the fixed part.
                basic.saturating_sub(8) + if variables > room.min(MOST) { 0 } else { variables }
            }
            Rule::FrameObject => {
                push(self.frame.frame.get(object), self.frame.executable, What::Executable);
                basic
            }
            Rule::Generator => {
                push(self.frame.generator.get(object) & !self.frame.tag, self.code.first, What::Code);
                basic
            }
            Rule::Own(own) => self.own(own, (id, info), addr, object, later),
            _ => basic,
        }
    }

    /// What `head`, the bytes at `one.at`, adds to the size of its object; `None` if they cannot be what the
    /// object says that is there. `source` is asked for more of them,
    /// as long as `effort` lasts; `later` gets what they lead to.
    pub fn more(
        &self,
        one: &Pending,
        head: &[u8],
        source: &dyn Source,
        effort: &mut usize,
        later: &mut Vec<Pending>,
    ) -> Option<u64> {
        let some = |each: u64| word(head, 0).unwrap_or(0).min(MOST).saturating_mul(each).min(MOST);
        Some(match one.what {
            What::Keys { values } => return self.of_keys(values, head, false),
            What::SharedKeys => return self.of_keys(false, head, true),
            What::Times(each) => some(u64::from(each)),
            What::Instructions => some(1) / 2,
            What::Code => {
                let locals = self.code.locals.map_or(0, |place| place.get(head));
                (self.code.stack.get(head).min(MOST / 8) + locals.min(MOST / 8)) * 8
            }
            What::Executable => {
                let code = word(head, 0).unwrap_or(0) & !self.frame.tag;
                if code != 0 {
                    later.push(Pending { at: code.wrapping_add(self.code.first), what: What::Code, ..*one });
                }
                0
            }
            What::Own(term) => self.more_own(term, one, head, source, effort),
        })
    }

    fn string(&self, addr: u64, object: &[u8]) -> u64 {
        let [ascii, compact, legacy] = self.strings;
        let (length, kind) = (self.length.get(object).min(MOST), self.kind.get(object));
        if self.compact.get(object) == 0 {
            let data = self.data.get(object);
            return legacy + if data == 0 { 0 } else { (length + 1) * kind };
        }
        if self.ascii.get(object) != 0 {
            return ascii + length + 1;
        }
        let utf8 = match self.utf8 {
            Some((pointer, bytes)) => match pointer.get(object) {
                0 => 0,
                at if at == addr.wrapping_add(compact) => 0,
                _ => bytes.get(object).min(MOST) + 1,
            },
            None => 0,
        };
        compact + (length + 1) * kind + utf8
    }

    /// A hash table that is in the object while it is small.
    fn hash(&self, places: &(Place, Place, u64), addr: u64, object: &[u8], entry: u64, basic: u64) -> u64 {
        let (mask, table, small) = places;
        let apart = table.get(object) != addr.wrapping_add(*small);
        let entries = mask.get(object).min(MOST).saturating_add(1);
        basic + if apart { entries * entry } else { 0 }
    }

    fn class(&self, (id, info): (TypeId, &Info), addr: u64, object: &[u8], later: &mut Vec<Pending>) -> u64 {
        let before = u64::from(info.before);
        let is_heap = word(object, info.flags_at as usize).unwrap_or(0) & flag::HEAPTYPE != 0;
        let Some((plain, heap, keys)) = self.class else {
            let items = self.items(info, object).min(MOST).saturating_mul(info.itemsize);
            return (info.basicsize + items + if is_heap { before } else { 0 }).min(MOST);
        };
        if !is_heap {
            return plain + if self.static_type_head { before } else { 0 };
        }
        if let Some(at) = keys.map(|place| place.get(object)).filter(|keys| *keys != 0) {
            later.push(Pending { at, of: addr, id, record: 0, what: What::SharedKeys, count: 0 });
        }
        heap + before
    }

    /// What the table of keys that begins with `head` adds to the size of its dict, which may have `values`
    /// apart from it. Those of a class count even if they are shared.
    fn of_keys(&self, values: bool, head: &[u8], class: bool) -> Option<u64> {
        let (fields, rule) = &self.keys;
        let keys = KeysHead::read(fields, *rule, head).filter(|keys| keys.references > 0)?;
        // USABLE_FRACTION of Objects/dictobject.c.
        let usable = keys.slots * 2 / 3;
        let mut bytes = 0;
        if values {
            let shared = keys.usable.saturating_add(keys.entries).min(MOST / 8);
            bytes += 8 * if *rule == DictKeys::Log2 { shared } else { usable };
        }
        if class || keys.references == 1 {
            bytes += fields.dk_indices.at().ok()? + keys.index_bytes + usable * keys.entry;
        }
        Some(bytes)
    }
}
