//! What a Python object says: its type, its value, its attributes; one file per kind of object.
//!
//! Everything here reads hostile bytes: lengths are claims, chains are capped, nothing recurses
//! over target data.

pub mod attributes;
pub mod code;
pub mod datetime;
mod decimal;
pub mod depth;
mod descriptors;
pub mod dict;
pub mod finder;
pub mod header;
mod instances;
pub mod keys;
mod kinds;
pub mod lines;
pub mod lookup;
mod members;
mod names;
pub mod number;
mod own;
pub mod repr;
pub mod sequence;
pub mod set;
mod static_types;
pub mod text;
pub mod value;

use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::layout::{Layout, Slot};
use crate::limits;
use crate::locate::Located;
use crate::process::Cache;
use code::Code;
use depth::Depths;
pub use kinds::Kind;
use kinds::inherited;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

/// Type flags of CPython (`Include/object.h`).
pub(crate) mod flag {
    pub const INLINE_VALUES: u64 = 1 << 2;
    pub const MANAGED_WEAKREF: u64 = 1 << 3;
    pub const MANAGED_DICT: u64 = 1 << 4;
    pub const HEAPTYPE: u64 = 1 << 9;
    pub const READY: u64 = 1 << 12;
    pub const HAVE_GC: u64 = 1 << 14;
    /// `Py_TPFLAGS_TUPLE_SUBCLASS`.
    pub const TUPLE_SUBCLASS: u64 = 1 << 26;
    /// `Py_TPFLAGS_BYTES_SUBCLASS`: `str` in Python 2.
    pub const BYTES_SUBCLASS: u64 = 1 << 27;
    pub const TYPE_SUBCLASS: u64 = 1 << 31;
}

/// An answer may take only so much work.
pub(crate) const TOO_MUCH: Error = Error::Limit("what one answer may take is used up");

/// What is known of a type object.
#[derive(Debug)]
pub struct Type {
    /// Where it is.
    pub addr: Addr,
    /// `tp_name`: for classes written in Python the bare name, for those in C often with the
    /// module before it.
    pub tp_name: String,
    /// What kind of object its instances are.
    pub kind: Kind,
    /// Whether this is the built-in type itself and no subclass.
    pub exact: bool,
    /// `collections.OrderedDict` in C (3.5, bpo-16991) or a subclass: the order is that of a list.
    pub ordered: bool,
    /// Made at run time (`Py_TPFLAGS_HEAPTYPE`): every class written in Python.
    pub heap: bool,
    /// `tp_basicsize`, in bytes.
    pub basicsize: u64,
    /// `tp_itemsize`, in bytes.
    pub itemsize: u64,
    /// `tp_dictoffset`.
    pub dictoffset: i64,
    /// `tp_base`.
    pub base: Option<Addr>,
    /// `tp_flags`.
    pub flags: u64,
}

impl Type {
    /// The name without the module.
    pub fn name(&self) -> &str {
        self.tp_name.rsplit('.').next().unwrap_or("")
    }

    fn managed_dict(&self) -> bool {
        self.flags & flag::MANAGED_DICT != 0
    }

    fn inline_values(&self) -> bool {
        self.flags & flag::INLINE_VALUES != 0
    }
}

/// Reads objects of one target.
pub struct Objects {
    /// The target's memory.
    pub memory: Rc<Cache>,
    /// How structs are laid out.
    pub layout: Rc<Layout>,
    /// Where things were found.
    pub located: Rc<Located>,
    types: RefCell<HashMap<Addr, Rc<Type>>>,
    codes: RefCell<HashMap<Addr, Rc<Code>>>,
    /// Bytes that more code objects may take.
    codes_room: Cell<usize>,
    depths: RefCell<HashMap<Addr, Option<Rc<Depths>>>>,
    depths_budget: Cell<usize>,
    entries_left: Cell<usize>,
    /// Work that the values of one answer may still take.
    effort: Cell<usize>,
    /// Frames that may still be walked in this stop.
    frames_room: Cell<usize>,
    interpreters: RefCell<Vec<Addr>>,
}

impl Objects {
    /// A reader with nothing remembered.
    pub fn new(memory: Rc<Cache>, layout: Rc<Layout>, located: Rc<Located>) -> Objects {
        Objects {
            memory,
            layout,
            located,
            types: RefCell::default(),
            codes: RefCell::default(),
            codes_room: Cell::new(limits::CODES),
            entries_left: Cell::new(usize::MAX),
            effort: Cell::new(usize::MAX),
            frames_room: Cell::new(limits::FRAMES_TOTAL),
            depths: RefCell::default(),
            depths_budget: Cell::new(limits::STACK_STATES_TOTAL),
            interpreters: RefCell::default(),
        }
    }

    /// Tells where the interpreters are, the main one first: 3.12 and later keep the dicts of static types
    /// there.
    pub fn set_interpreters(&self, all: Vec<Addr>) {
        *self.interpreters.borrow_mut() = all;
    }

    /// Where the interpreters are.
    pub fn interpreters(&self) -> Vec<Addr> {
        self.interpreters.borrow().clone()
    }

    /// Forgets what was remembered: the target has run.
    pub fn clear(&self) {
        self.types.borrow_mut().clear();
        self.codes.borrow_mut().clear();
        self.codes_room.set(limits::CODES);
        self.frames_room.set(limits::FRAMES_TOTAL);
        self.depths.borrow_mut().clear();
        self.depths_budget.set(limits::STACK_STATES_TOTAL);
    }

    /// The pointer in field `slot` of the struct at `addr`.
    ///
    /// # Errors
    /// [`Error::NoField`], [`Error::Fault`].
    pub fn pointer(&self, addr: Addr, slot: &Slot) -> Result<Addr> {
        self.memory.pointer(addr + slot.at()?)
    }

    /// The unsigned integer in field `slot` of the struct at `addr`.
    ///
    /// # Errors
    /// [`Error::NoField`], [`Error::Fault`].
    pub fn uint(&self, addr: Addr, slot: &Slot) -> Result<u64> {
        let field = slot.field.ok_or(Error::NoField(slot.name))?;
        Ok(field.of(self.memory.uint(addr + u64::from(field.offset), field.bytes())?))
    }

    /// The signed integer in field `slot` of the struct at `addr`.
    ///
    /// # Errors
    /// [`Error::NoField`], [`Error::Fault`].
    pub fn int(&self, addr: Addr, slot: &Slot) -> Result<i64> {
        let field = slot.field.ok_or(Error::NoField(slot.name))?;
        self.memory.int(addr + u64::from(field.offset), field.bytes())
    }

    /// `ob_size` of a variable-size object.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn ob_size(&self, addr: Addr) -> Result<i64> {
        self.int(addr, &self.layout.var.ob_size)
    }

    /// The type of the object at `addr`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is no object: its type is no type.
    pub fn type_of(&self, addr: Addr) -> Result<Rc<Type>> {
        if !addr.is_plausible() {
            return Err(Error::Corrupt { what: "an object", addr });
        }
        let ty = self.pointer(addr, &self.layout.object.ob_type)?;
        self.type_at(ty).map_err(|e| match e {
            Error::Fault { .. } => Error::Corrupt { what: "the type of an object", addr },
            e => e,
        })
    }

    /// The type object at `addr`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is no type object.
    pub fn type_at(&self, addr: Addr) -> Result<Rc<Type>> {
        if let Some(known) = self.types.borrow().get(&addr) {
            return Ok(Rc::clone(known));
        }
        let corrupt = Error::Corrupt { what: "a type", addr };
        // From the type up to the nearest base that is known, then down again.
        let mut chain = Vec::new();
        let mut at = addr;
        let mut above: Option<Rc<Type>> = None;
        while chain.len() < limits::BASES {
            if let Some(known) = self.types.borrow().get(&at) {
                above = Some(Rc::clone(known));
                break;
            }
            let raw = self.raw_type(at)?;
            if chain.iter().any(|(seen, _): &(Addr, _)| *seen == at) {
                return Err(corrupt);
            }
            let base = raw.base;
            chain.push((at, raw));
            match base {
                Some(base) => at = base,
                None => break,
            }
        }
        for (at, mut raw) in chain.into_iter().rev() {
            match self.builtin_kind(at, &raw) {
                Some(kind) => (raw.kind, raw.exact) = (kind, true),
                None => raw.kind = above.as_ref().map_or(Kind::Object, |base| inherited(base.kind)),
            }
            raw.ordered = above.as_ref().is_some_and(|base| base.ordered)
                || raw.tp_name == "collections.OrderedDict" && self.located.image.has_data(at);
            let ty = Rc::new(raw);
            let mut types = self.types.borrow_mut();
            if types.len() < limits::TYPES {
                types.insert(at, Rc::clone(&ty));
            }
            above = Some(ty);
        }
        above.ok_or(corrupt)
    }

    /// `ty` and the types that it comes from, over `tp_base`.
    pub fn bases(&self, ty: &Rc<Type>) -> impl Iterator<Item = Rc<Type>> {
        let above = |ty: &Rc<Type>| ty.base.and_then(|base| self.type_at(base).ok());
        std::iter::successors(Some(Rc::clone(ty)), above).take(limits::BASES)
    }

    fn raw_type(&self, addr: Addr) -> Result<Type> {
        let corrupt = || Error::Corrupt { what: "a type", addr };
        if !addr.is_plausible() {
            return Err(corrupt());
        }
        let layout = &self.layout.ty;
        // Type objects are objects: their type has a type that is its own type, `type` itself or
        // a metaclass of it. Two steps are enough to refuse arbitrary bytes.
        let meta = self.pointer(addr, &self.layout.object.ob_type)?;
        let meta_type = self.pointer(meta, &self.layout.object.ob_type).map_err(|_| corrupt())?;
        if meta != self.located.type_type && meta_type != self.located.type_type {
            let above = self.pointer(meta_type, &self.layout.object.ob_type).map_err(|_| corrupt())?;
            if above != self.located.type_type {
                return Err(corrupt());
            }
        }
        let tp_name = self.memory.c_string(self.pointer(addr, &layout.tp_name)?).map_err(|_| corrupt())?;
        Ok(Type {
            addr,
            tp_name: text::plain(&tp_name),
            kind: Kind::Object,
            exact: false,
            ordered: false,
            flags: self.uint(addr, &layout.tp_flags)?,
            heap: self.uint(addr, &layout.tp_flags)? & flag::HEAPTYPE != 0,
            basicsize: self.uint(addr, &layout.tp_basicsize)?,
            itemsize: self.uint(addr, &layout.tp_itemsize)?,
            dictoffset: self.int(addr, &layout.tp_dictoffset)?,
            base: self.pointer(addr, &layout.tp_base)?.non_null(),
        })
    }

    /// Begins an answer: what follows may take so much work, however many values it has.
    pub fn start_answer(&self) {
        self.effort.set(limits::EFFORT);
    }

    /// Whether the work that one answer may take is done.
    pub fn effort_is_spent(&self) -> bool {
        self.effort.get() == 0
    }

    /// Takes work that shows nothing from the budget of the answer; false, and from then on always, if
    /// that is not enough.
    pub(crate) fn spend(&self, work: usize) -> bool {
        let left = self.effort.get();
        let enough = work < left;
        self.effort.set(if enough { left - work } else { 0 });
        enough
    }

    /// Takes one frame from the budget of the stop.
    pub(crate) fn take_frame(&self) -> bool {
        let left = self.frames_room.get();
        self.frames_room.set(left.saturating_sub(1));
        left > 0
    }

    /// Runs `f` with a budget of table entries: a path may lead through many dicts.
    pub fn bounded<T>(&self, f: impl FnOnce() -> T) -> T {
        let before = self.entries_left.replace(limits::DICT_ENTRIES);
        let result = f();
        self.entries_left.set(before);
        result
    }

    /// Runs `f`, which looks into many objects, with the budget of a search.
    pub fn searching<T>(&self, f: impl FnOnce() -> T) -> T {
        let before = (self.entries_left.replace(limits::FIND_ENTRIES), self.effort.replace(limits::FIND_ENTRIES));
        let result = f();
        self.entries_left.set(before.0);
        self.effort.set(before.1);
        result
    }

    /// Takes `count` table entries from the budget of the value that is being shown.
    fn take_entries(&self, addr: Addr, count: usize) -> Result<()> {
        let left = self.entries_left.get();
        self.entries_left.set(left.saturating_sub(count));
        if left < count { Err(Error::Corrupt { what: "a table larger than is looked at", addr }) } else { Ok(()) }
    }

    /// The number of objects that a length field may claim and memory can hold.
    fn checked_len(&self, addr: Addr, len: i64, what: &'static str) -> Result<usize> {
        usize::try_from(len).ok().filter(|n| *n < 1 << 40).ok_or(Error::Corrupt { what, addr })
    }

    /// The object pointers in `count` words from `addr`.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn pointers(&self, addr: Addr, count: usize) -> Result<Vec<Addr>> {
        let bytes = self.memory.bytes(addr, count.saturating_mul(8))?;
        Ok(bytes.chunks_exact(8).map(|c| Addr(crate::bytes::word(c, 0).unwrap_or(0))).collect())
    }
}
