//! Code objects: names, arguments, where lines are.

use super::depth::Depths;
use super::lines::Lines;
use super::text::Text;
use super::{Kind, Objects};
use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::limits;
use std::rc::Rc;

/// `co_flags` (Include/code.h).
const OPTIMIZED: u64 = 0x1;
const VARARGS: u64 = 0x4;
const VARKEYWORDS: u64 = 0x8;

/// `co_localspluskinds` (Include/internal/pycore_code.h, 3.11 and later).
const FAST_HIDDEN: u8 = 0x10;
const FAST_CELL: u8 = 0x40;
const FAST_FREE: u8 = 0x80;

/// Nothing more is decoded once the room for it is used up: not to take the time either.
const FULL: Error = Error::Limit("the code objects before it take all the room that there is");

/// How a slot of a frame's locals is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The value itself.
    Fast,
    /// A cell that holds the value. Before `MAKE_CELL` has run (3.11 and later) it can still be
    /// the argument itself.
    Cell,
    /// A cell of an enclosing function.
    Free,
}

/// One slot of a frame's `localsplus`.
#[derive(Debug, Clone)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// How to read it.
    pub place: Place,
    /// Index in `localsplus`.
    pub index: usize,
    /// Not visible to the user: the iteration variable of an inlined comprehension outside of a
    /// function (3.12, PEP 709).
    pub hidden: bool,
}

/// What is known of a code object.
#[derive(Debug)]
pub struct Code {
    /// Where it is.
    pub addr: Addr,
    /// `co_name`.
    pub name: String,
    /// `co_qualname` (3.11 and later).
    pub qualname: Option<String>,
    /// `co_filename`.
    pub file: Option<Text>,
    /// `co_firstlineno`.
    pub firstlineno: i64,
    /// Slots of `localsplus`.
    pub variables: Vec<Variable>,
    /// Names of the arguments in the order of the signature, `*` and `**` ones included.
    pub arguments: Vec<String>,
    /// Locals are in `localsplus`, not in a dict (false for modules and class bodies).
    pub optimized: bool,
    /// `co_nlocals`.
    pub nlocals: usize,
    /// `co_nlocalsplus` (3.11 and later): slots of a frame before its value stack.
    pub nlocalsplus: Option<u64>,
    /// `co_stacksize`.
    pub stacksize: u64,
    /// Bytes of code before the first traceable instruction (3.11 and later).
    pub firsttraceable: u64,
    lines: Lines,
}

impl Code {
    /// The line of the instruction at byte `offset`, if the table tells.
    pub fn line(&self, offset: i64) -> Option<i64> {
        self.lines.at(offset)
    }

    /// About how many bytes it takes here.
    fn weight(&self) -> usize {
        let names = self.variables.iter().map(|v| size_of::<Variable>() + v.name.len()).sum::<usize>();
        let arguments = self.arguments.iter().map(|a| size_of::<String>() + a.len()).sum::<usize>();
        let texts = self.name.len() + self.qualname.as_ref().map_or(0, String::len);
        let file = self.file.as_ref().map_or(0, |file| file.points.len() * size_of::<u32>());
        size_of::<Code>() + names + arguments + texts + file + self.lines.size()
    }
}

impl Objects {
    /// The code object at `addr`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if there is none; a part of it that cannot be read is left out.
    pub fn code(&self, addr: Addr) -> Result<Rc<Code>> {
        if let Some(known) = self.codes.borrow().get(&addr) {
            return Ok(Rc::clone(known));
        }
        let ty = self.type_of(addr)?;
        if ty.kind != Kind::Code {
            return Err(Error::Corrupt { what: "a code object", addr });
        }
        let fields = &self.layout.code;
        if self.codes_room.get() == 0 {
            return Err(FULL);
        }
        let name = self
            .pointer(addr, &fields.co_name)
            .and_then(|n| self.name(n))
            .unwrap_or_else(|_| "<unreadable name>".to_owned());
        let flags = self.uint(addr, &fields.co_flags)?;
        let variables = if fields.co_localsplusnames.exists() { self.localsplus(addr) } else { self.split_names(addr) }
            .unwrap_or_default();
        let firstlineno = self.int(addr, &fields.co_firstlineno).unwrap_or(0);
        let encoding = self.layout.rules.lines;
        let code = Rc::new(Code {
            addr,
            name,
            qualname: self.pointer(addr, &fields.co_qualname).and_then(|n| self.name(n)).ok(),
            file: self
                .pointer(addr, &fields.co_filename)
                .map(|n| self.path(n).unwrap_or_else(|_| Text::from(format!("<unreadable {n}>").as_str())))
                .ok(),
            firstlineno,
            arguments: self.arguments(addr, flags, &variables).unwrap_or_default(),
            variables,
            optimized: flags & OPTIMIZED != 0,
            nlocals: self.uint(addr, &fields.co_nlocals).ok().and_then(|n| usize::try_from(n).ok()).unwrap_or(0),
            nlocalsplus: self.uint(addr, &fields.co_nlocalsplus).ok(),
            stacksize: self.uint(addr, &fields.co_stacksize).unwrap_or(0),
            firsttraceable: self.uint(addr, &fields.co_firsttraceable).unwrap_or(0).saturating_mul(2),
            lines: self.line_table(addr).map(|table| Lines::decode(&table, encoding, firstlineno)).unwrap_or_default(),
        });
        let room = self.codes_room.get().saturating_sub(code.weight());
        self.codes_room.set(room);
        if room == 0 {
            return Err(FULL);
        }
        let mut codes = self.codes.borrow_mut();
        if codes.len() < limits::CODE_NAMES {
            codes.insert(addr, Rc::clone(&code));
        }
        Ok(code)
    }

    /// How deep the value stack is at each instruction of the code object; `None` where that cannot be
    /// known.
    pub fn depths(&self, code: &Code) -> Option<Rc<Depths>> {
        if let Some(known) = self.depths.borrow().get(&code.addr) {
            return known.clone();
        }
        let depths = self.compute_depths(code).map(Rc::new);
        let mut all = self.depths.borrow_mut();
        if all.len() < limits::CODE_NAMES {
            all.insert(code.addr, depths.clone());
        }
        depths
    }

    fn compute_depths(&self, code: &Code) -> Option<Depths> {
        let fields = &self.layout.code;
        let opcodes = self.layout.rules.opcodes?;
        let instructions = match fields.co_code_adaptive.at() {
            // In the code object itself since 3.11; `ob_size` counts units of two bytes.
            Ok(offset) => {
                let units = usize::try_from(self.ob_size(code.addr).ok()?).ok()?;
                let size = units.checked_mul(2).filter(|size| *size <= limits::CODE_BYTES)?;
                self.memory.bytes(code.addr + offset, size).ok()?
            }
            Err(_) => self.whole_bytes(self.pointer(code.addr, &fields.co_code).ok()?)?,
        };
        let exceptions = match self.pointer(code.addr, &fields.co_exceptiontable) {
            Ok(table) => self.whole_bytes(table)?,
            Err(_) => Vec::new(),
        };
        let stacksize = u32::try_from(code.stacksize).ok()?;
        let mut budget = self.depths_budget.get();
        let depths = Depths::new(opcodes, &instructions, &exceptions, stacksize, &mut budget);
        self.depths_budget.set(budget);
        depths
    }

    /// A string of bytes that is not too long to be followed.
    fn whole_bytes(&self, addr: Addr) -> Option<Vec<u8>> {
        if !matches!(self.type_of(addr).ok()?.kind, Kind::Bytes | Kind::Str2) {
            return None;
        }
        let (bytes, len) = self.raw_bytes(addr, limits::CODE_BYTES).ok()?;
        (bytes.len() == len).then_some(bytes)
    }

    /// A file name. Python 2's are bytes: taken as UTF-8, other bytes by `surrogateescape`.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the object is no string; [`Error::Fault`].
    pub fn path(&self, addr: Addr) -> Result<Text> {
        match self.type_of(addr)?.kind {
            Kind::Str | Kind::Unicode2 => self.text(addr, limits::NAME_CHARS),
            Kind::Str2 | Kind::Bytes => {
                let mut points = Vec::new();
                for chunk in self.raw_bytes(addr, limits::NAME_CHARS)?.0.utf8_chunks() {
                    points.extend(chunk.valid().chars().map(u32::from));
                    points.extend(chunk.invalid().iter().map(|b| 0xdc00 + u32::from(*b)));
                }
                Ok(Text { len: points.len(), points })
            }
            _ => Err(Error::Corrupt { what: "a file name", addr }),
        }
    }

    fn line_table(&self, addr: Addr) -> Result<Vec<u8>> {
        let fields = &self.layout.code;
        let slot = if fields.co_linetable.exists() { &fields.co_linetable } else { &fields.co_lnotab };
        let table = self.pointer(addr, slot)?;
        if !matches!(self.type_of(table)?.kind, Kind::Bytes | Kind::Str2) {
            return Err(Error::Corrupt { what: "a line table", addr: table });
        }
        Ok(self.raw_bytes(table, limits::LINE_TABLE)?.0)
    }

    fn names(&self, tuple: Addr) -> Result<Vec<String>> {
        let (items, len) = self.tuple(tuple, limits::CODE_NAMES)?;
        if len > limits::CODE_NAMES {
            return Err(Error::Corrupt { what: "a tuple of names", addr: tuple });
        }
        let mut room = limits::CODE_NAME_CHARS;
        let one = |item| {
            let name = if room > 0 { self.name(item).ok() } else { None };
            room = room.saturating_sub(name.as_ref().map_or(0, String::len));
            name.unwrap_or_else(|| "<unreadable name>".to_owned())
        };
        Ok(items.into_iter().map(one).collect())
    }

    /// 3.11 and later: one tuple of names, one byte of kind for each.
    fn localsplus(&self, addr: Addr) -> Result<Vec<Variable>> {
        let fields = &self.layout.code;
        let names = self.names(self.pointer(addr, &fields.co_localsplusnames)?)?;
        let kinds = self.raw_bytes(self.pointer(addr, &fields.co_localspluskinds)?, names.len())?.0;
        Ok(names
            .into_iter()
            .zip(kinds)
            .enumerate()
            .map(|(index, (name, kind))| Variable {
                name,
                place: match kind {
                    k if k & FAST_FREE != 0 => Place::Free,
                    k if k & FAST_CELL != 0 => Place::Cell,
                    _ => Place::Fast,
                },
                index,
                hidden: kind & FAST_HIDDEN != 0,
            })
            .collect())
    }

    /// 3.10 and older: three tuples, and one slot of a frame for each of their names.
    fn split_names(&self, addr: Addr) -> Result<Vec<Variable>> {
        let fields = &self.layout.code;
        let mut all = Vec::new();
        for (slot, place) in
            [(&fields.co_varnames, Place::Fast), (&fields.co_cellvars, Place::Cell), (&fields.co_freevars, Place::Free)]
        {
            for name in self.names(self.pointer(addr, slot)?)? {
                all.push(Variable { name, place, index: all.len(), hidden: false });
            }
        }
        Ok(all)
    }

    fn arguments(&self, addr: Addr, flags: u64, variables: &[Variable]) -> Result<Vec<String>> {
        let fields = &self.layout.code;
        let positional = self.uint(addr, &fields.co_argcount)?;
        let keyword = if fields.co_kwonlyargcount.exists() { self.uint(addr, &fields.co_kwonlyargcount)? } else { 0 };
        let stars = u64::from(flags & VARARGS != 0) + u64::from(flags & VARKEYWORDS != 0);
        let size = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let mut names: Vec<String> = variables
            .iter()
            .take(size(positional.saturating_add(keyword).saturating_add(stars)))
            .map(|v| v.name.clone())
            .collect();
        // `*args` has its slot behind the keyword-only ones; the signature has it before them.
        if let (true, Some(rest)) = (flags & VARARGS != 0, names.get_mut(size(positional)..)) {
            let last = size(keyword).saturating_add(1).min(rest.len());
            rest[..last].rotate_right(usize::from(last > 0));
        }
        Ok(names)
    }
}
