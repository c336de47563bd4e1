//! What `sys.getsizeof` says of an object: `__sizeof__`, and what lies before the object for the
//! garbage collector and for attributes (`sys_getsizeof` in `Python/sysmodule.c`).
//!
//! Built-in types with a `__sizeof__` of their own have a rule here; all others have `object`'s:
//! `tp_basicsize`, and `tp_itemsize` for each item.

use super::types::Info;
use crate::bytes::{uint, word};
use crate::layout::{DictKeys, Fields, Ints, Rules, Slot};

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
    Unicode2,
    List,
    Bytearray,
    Dict,
    /// `set`, `frozenset`.
    Set,
    /// Classes.
    Type,
}

/// The built-in types whose objects have a rule of their own, by `tp_name`.
pub fn own_rules(rules: &Rules) -> &'static [(&'static str, Rule)] {
    const COMMON: &[(&str, Rule)] = &[
        ("list", Rule::List),
        ("bytearray", Rule::Bytearray),
        ("dict", Rule::Dict),
        ("set", Rule::Set),
        ("frozenset", Rule::Set),
        ("int", Rule::Int),
        ("str", Rule::Str),
        ("type", Rule::Type),
    ];
    // The last three are other types there: a machine word, bytes, and one without `__sizeof__`.
    const PYTHON2: &[(&str, Rule)] = &[
        ("list", Rule::List),
        ("bytearray", Rule::Bytearray),
        ("dict", Rule::Dict),
        ("set", Rule::Set),
        ("frozenset", Rule::Set),
        ("long", Rule::Int),
        ("unicode", Rule::Unicode2),
    ];
    if rules.python2 { PYTHON2 } else { COMMON }
}

/// A field that a scan reads: a part of the word at `offset`.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    offset: usize,
    width: usize,
    first: u8,
    mask: u64,
}

impl Place {
    fn new(slot: &Slot) -> Option<Place> {
        let field = slot.field?;
        let width = if (1..=8).contains(&field.width) { field.width as usize } else { 8 };
        let (first, bits) = field.bits.unwrap_or((0, (width * 8) as u8));
        let mask = if bits < 64 { (1 << bits) - 1 } else { u64::MAX };
        Some(Place { offset: field.offset as usize, width, first: first % 64, mask })
    }

    #[inline]
    fn get(self, object: &[u8]) -> u64 {
        // A whole word is read at once; at the end of an object there may be less than that.
        let value = word(object, self.offset).or_else(|| uint(object, self.offset, self.width)).unwrap_or(0);
        value >> self.first & self.mask
    }
}

/// The size of an object as far as the object itself tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Bytes, without those of `keys`.
    pub bytes: u64,
    /// The table of keys whose bytes belong to it, if nobody shares it.
    pub keys: Option<u64>,
    /// The object has values apart from that table, one for each key.
    pub values: bool,
}

impl Size {
    fn of(bytes: u64) -> Size {
        Size { bytes, keys: None, values: false }
    }
}

/// Where sizes are in objects of this build.
#[derive(Debug, Clone)]
pub struct Sizes {
    ob_size: Place,
    tagged: Option<Place>,
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
    set: (Place, Place, u64),
    open_dict: Option<(Place, Place, u64)>,
    dict: (Option<Place>, Option<Place>),
    /// `sizeof` of `PyTypeObject` and `PyHeapTypeObject`, and the keys that instances share.
    class: (u64, u64, Option<Place>),
    keys: Keys,
}

/// Where sizes are in a dict's table of keys.
#[derive(Debug, Clone)]
struct Keys {
    rule: DictKeys,
    refcnt: Place,
    size: Place,
    index_bytes: Place,
    kind: Place,
    usable: Place,
    entries: Place,
    header: u64,
}

/// Bytes of a table of keys that tell its size.
pub const KEYS_HEAD: usize = 40;

/// Bytes of an entry of a set (`setentry`), and of an entry of a dict with its hash.
const SET_ENTRY: u64 = 16;
const DICT_ENTRY: u64 = 24;

/// Sizes in hostile memory are claims: what an object can claim to have.
const MOST: u64 = 1 << 46;

impl Sizes {
    /// Those of this build. A field that it does not have reads as 0.
    pub fn new(fields: &Fields, rules: &Rules) -> Sizes {
        let place = |slot: &Slot| Place::new(slot).unwrap_or_default();
        let at = |slot: &Slot| slot.at().unwrap_or(0);
        let (ascii, two, keys) = (&fields.ascii, &fields.unicode2, &fields.keys);
        Sizes {
            ob_size: place(&fields.var.ob_size),
            tagged: (rules.ints == Ints::Tagged).then(|| place(&fields.long.lv_tag)),
            digits: at(&fields.long.ob_digit),
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
            set: (place(&fields.set.mask), place(&fields.set.table), at(&fields.set.smalltable)),
            open_dict: (rules.keys == DictKeys::OpenTable).then(|| {
                // `ma_smalltable` is the last member.
                let small = at(&fields.dict.size).saturating_sub(8 * DICT_ENTRY);
                (place(&fields.dict.ma_mask), place(&fields.dict.ma_table), small)
            }),
            dict: (Place::new(&fields.dict.ma_keys), Place::new(&fields.dict.ma_values)),
            class: (at(&fields.ty.size), at(&fields.heap_type.size), Place::new(&fields.heap_type.ht_cached_keys)),
            keys: Keys {
                rule: rules.keys,
                refcnt: place(&keys.dk_refcnt),
                size: place(if rules.keys == DictKeys::Log2 { &keys.dk_log2_size } else { &keys.dk_size }),
                index_bytes: place(&keys.dk_log2_index_bytes),
                kind: place(&keys.dk_kind),
                usable: place(&keys.dk_usable),
                entries: place(&keys.dk_nentries),
                header: at(&keys.dk_indices),
            },
        }
    }

    /// Bytes that an object of a type with this `info` has at least.
    #[inline]
    pub fn least(&self, info: &Info) -> u64 {
        // Strings are shorter than their type says: what it counts lies behind short ones.
        if info.rule == Rule::Str { self.strings[0] } else { info.basicsize }
    }

    /// The size of the object at `addr` of a type with this `info`; `object` are its bytes, at least those of
    /// its fixed part. Its block has room for `room` bytes.
    #[inline]
    pub fn size(&self, info: &Info, addr: u64, object: &[u8], room: u64) -> Size {
        let basic = info.basicsize + u64::from(info.before);
        let table = |bytes: u64| Size::of((basic + bytes.min(MOST)).min(MOST));
        match info.rule {
            Rule::Fixed => Size::of(basic),
            Rule::Items => {
                let items = (self.ob_size.get(object) as i64).unsigned_abs().min(MOST).saturating_mul(info.itemsize);
                // Frames and generators have items and no `ob_size`.
                if items > room { Size::of(basic) } else { table(items) }
            }
            Rule::Int => {
                let digits = match self.tagged {
                    Some(tag) => tag.get(object) >> 3,
                    None => (self.ob_size.get(object) as i64).unsigned_abs(),
                };
                let digits = digits.max(u64::from(self.least_digits));
                let basic = if self.digits == 0 { info.basicsize } else { self.digits };
                Size::of((u64::from(info.before) + basic + digits.min(MOST) * 4).min(MOST))
            }
            Rule::Str => Size::of(u64::from(info.before) + self.string(addr, object)),
            Rule::Unicode2 => table(self.length.get(object).min(MOST).saturating_add(1) * 4),
            Rule::List => {
                let allocated = if self.list.0.get(object) == 0 { 0 } else { self.list.1.get(object) };
                table(allocated.min(MOST) * 8)
            }
            Rule::Bytearray => table(self.bytearray.get(object)),
            Rule::Set => self.hash(&self.set, addr, object, SET_ENTRY, basic),
            Rule::Dict => match &self.open_dict {
                Some(places) => self.hash(places, addr, object, DICT_ENTRY, basic),
                None => Size {
                    bytes: basic,
                    keys: self.dict.0.map(|place| place.get(object)),
                    values: self.dict.1.is_some_and(|place| place.get(object) != 0),
                },
            },
            Rule::Type => self.class(info, object),
        }
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
    fn hash(&self, places: &(Place, Place, u64), addr: u64, object: &[u8], entry: u64, basic: u64) -> Size {
        let (mask, table, small) = places;
        let apart = table.get(object) != addr.wrapping_add(*small);
        let entries = mask.get(object).min(MOST).saturating_add(1);
        Size::of(basic + if apart { entries * entry } else { 0 })
    }

    fn class(&self, info: &Info, object: &[u8]) -> Size {
        let (plain, heap, keys) = self.class;
        let flags = word(object, info.flags_at as usize).unwrap_or(0);
        if flags & super::types::HEAPTYPE == 0 {
            return Size::of(plain);
        }
        let keys = keys.map(|place| place.get(object)).filter(|keys| *keys != 0);
        Size { bytes: heap + u64::from(info.before), keys, values: false }
    }

    /// What the table of keys that begins with `head` adds to `size`. Those of a class count even if
    /// they are shared.
    pub fn of_keys(&self, size: &Size, head: &[u8], class: bool) -> u64 {
        let keys = &self.keys;
        let (slots, index, general) = match keys.rule {
            DictKeys::Log2 => {
                let (size, index) = (keys.size.get(head), keys.index_bytes.get(head));
                if size > 40 || index > 44 {
                    return 0;
                }
                (1u64 << size, 1u64 << index, keys.kind.get(head) == 0)
            }
            DictKeys::Sized | DictKeys::OpenTable => {
                let slots = keys.size.get(head);
                if !slots.is_power_of_two() || slots > 1 << 40 {
                    return 0;
                }
                let width = match slots {
                    0..=0xff => 1,
                    0x100..=0xffff => 2,
                    0x1_0000..=0xffff_ffff => 4,
                    _ => 8,
                };
                (slots, slots * width, true)
            }
        };
        // USABLE_FRACTION of Objects/dictobject.c.
        let usable = slots * 2 / 3;
        let mut bytes = 0;
        if size.values {
            let shared = keys.usable.get(head).saturating_add(keys.entries.get(head)).min(MOST / 8);
            bytes += 8 * if keys.rule == DictKeys::Log2 { shared } else { usable };
        }
        if class || keys.refcnt.get(head) == 1 {
            bytes += keys.header + index + usable * if general { DICT_ENTRY } else { 16 };
        }
        bytes
    }
}
