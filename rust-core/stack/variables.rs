//! The variables of a frame.

use super::frame::Frame;
use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::layout::Frames;
use crate::limits;
use crate::objects::code::{Code, Place};
use crate::objects::{Kind, Objects, TOO_MUCH};
use std::collections::{HashMap, HashSet};

/// Variables of a function as people write them.
const FEW: usize = 64;

/// Where a name was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Locals, cells and free variables.
    Local,
    /// Module globals.
    Global,
    /// Built-in names.
    Builtin,
}

impl Scope {
    /// The word that CPython's own script uses.
    pub fn word(self) -> &'static str {
        match self {
            Scope::Local => "local",
            Scope::Global => "global",
            Scope::Builtin => "builtin",
        }
    }
}

/// What a name means in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    /// It has a value.
    Found(Scope, Addr),
    /// It is a variable of the frame's function and has no value.
    Unbound {
        /// A variable of an enclosing function.
        free: bool,
        /// What has that name outside of the function, which Python does not look at.
        behind: Option<(Scope, Addr)>,
    },
    /// Nothing has that name.
    Missing,
}

/// A variable that has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Addr,
}

impl Objects {
    fn frame_slot(&self, frame: &Frame, old: &crate::layout::Slot, new: &crate::layout::Slot) -> Result<Addr> {
        match self.layout.rules.frames {
            Frames::Objects => self.pointer(frame.addr, old),
            Frames::Interpreter { .. } => self.untagged(frame.addr, new),
        }
    }

    /// The dict of the frame's globals.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn frame_globals(&self, frame: &Frame) -> Result<Addr> {
        self.frame_slot(frame, &self.layout.frame.f_globals, &self.layout.iframe.globals)
    }

    /// The dict of the frame's builtins.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn frame_builtins(&self, frame: &Frame) -> Result<Addr> {
        self.frame_slot(frame, &self.layout.frame.f_builtins, &self.layout.iframe.builtins)
    }

    fn frame_namespace(&self, frame: &Frame) -> Result<Addr> {
        self.frame_slot(frame, &self.layout.frame.f_locals, &self.layout.iframe.locals)
    }

    /// The object that answers for the frame's local variables where it is no dict: `exec` and class
    /// bodies (`__prepare__`) take any mapping. What it would answer only its own code knows.
    pub fn foreign_namespace(&self, frame: &Frame) -> Option<Addr> {
        let code = frame.code.as_ref().ok()?;
        let namespace = self.frame_namespace(frame).ok()?;
        (!code.optimized && !namespace.is_null() && self.type_of(namespace).is_ok_and(|ty| ty.kind != Kind::Dict))
            .then_some(namespace)
    }

    /// The names and values of the frame's local variables: arguments first, then in the order of
    /// the code object; free variables too. Variables without a value are left out. For modules
    /// and class bodies, what their namespace holds: what `f_locals` has in Python.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn locals(&self, frame: &Frame) -> Result<Vec<Variable>> {
        let code = frame.code.as_ref().map_err(Clone::clone)?;
        let mut all = self.fast_locals(frame, code)?;
        if code.optimized {
            return Ok(all);
        }
        let names = |f: &dyn Fn(&crate::objects::code::Variable) -> bool| -> HashSet<&str> {
            code.variables.iter().filter(|c| f(c)).map(|c| c.name.as_str()).collect()
        };
        if self.layout.rules.namespace_locals {
            let hidden = names(&|c| c.hidden);
            if all.iter().any(|v| hidden.contains(v.name.as_str())) {
                return Ok(all);
            }
            all.clear();
        }
        // `f_locals` of a class body does not have the names of the enclosing function.
        let free = names(&|c| c.place == Place::Free);
        all.retain(|v| !free.contains(v.name.as_str()));
        let namespace = self.frame_namespace(frame)?;
        if !namespace.is_null() && self.type_of(namespace)?.kind == Kind::Dict {
            let fast: HashSet<String> = all.iter().map(|v| v.name.clone()).collect();
            self.dict_each(namespace, &mut |key, value| {
                if let Ok(name) = self.name(key)
                    && !fast.contains(&name)
                {
                    all.push(Variable { name, value });
                }
                all.len() < limits::CODE_NAMES
            })?;
        }
        Ok(all)
    }

    /// The frame's arguments, in the order of the signature.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn frame_arguments(&self, frame: &Frame) -> Result<Vec<Variable>> {
        let code = frame.code.as_ref().map_err(Clone::clone)?;
        let all = self.fast_locals(frame, code)?;
        // Each name occurs once there.
        let mut by_name: HashMap<String, Variable> = all.into_iter().map(|v| (v.name.clone(), v)).collect();
        Ok(code.arguments.iter().filter_map(|name| by_name.remove(name)).collect())
    }

    fn fast_locals(&self, frame: &Frame, code: &Code) -> Result<Vec<Variable>> {
        // Slots without a value show nothing and take time all the same.
        if !self.spend(code.variables.len().saturating_sub(FEW) * limits::SLOT_EFFORT) {
            return Err(TOO_MUCH);
        }
        let start = self.slots_start(frame)?;
        let words = self.pointers(start, code.variables.len())?;
        let tag = !self.layout.rules.stackref_tag;
        let closure = self.closure(frame);
        let mut all: Vec<Variable> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        let first_free = code.variables.iter().position(|v| v.place == Place::Free).unwrap_or(0);
        for (position, variable) in code.variables.iter().enumerate() {
            let word = words.get(variable.index).copied().unwrap_or_default();
            let mut value = Addr(word.0 & tag);
            if value.is_null() && variable.place == Place::Free {
                // COPY_FREE_VARS has not run yet: the function still has the cells.
                value = closure.get(position.saturating_sub(first_free)).copied().unwrap_or_default();
            }
            if variable.place != Place::Fast && !value.is_null() {
                match self.type_of(value) {
                    // A cell that cannot be read is shown as such: it costs one variable.
                    Ok(ty) if ty.kind == Kind::Cell => {
                        value = self.pointer(value, &self.layout.cell.ob_ref).unwrap_or(value);
                    }
                    _ => {}
                }
            }
            if value.is_null() {
                continue;
            }
            // 3.10 and older: an argument that inner functions use has a slot of its own (then
            // empty, 3.x, or stale, 2.7) and a cell of the same name.
            match known.get(variable.name.as_str()) {
                Some(index) => all[*index].value = value,
                None => {
                    known.insert(&variable.name, all.len());
                    all.push(Variable { name: variable.name.clone(), value });
                }
            }
        }
        // Arguments that live in cells come after plain locals in 3.10 and older.
        if self.layout.rules.frames == Frames::Objects {
            let slots = code.variables.iter().take(code.arguments.len());
            let ranks: HashMap<&str, usize> = slots.map(|v| v.name.as_str()).zip(0..).collect();
            all.sort_by_key(|v| ranks.get(v.name.as_str()).copied().unwrap_or(usize::MAX));
        }
        Ok(all)
    }

    /// What CPython's own script takes for locals: the first `co_nlocals` slots as they are.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn raw_locals(&self, frame: &Frame) -> Result<Vec<Variable>> {
        let code = frame.code.as_ref().map_err(Clone::clone)?;
        let start = self.slots_start(frame)?;
        let words = self.pointers(start, code.nlocals.min(code.variables.len()))?;
        let tag = !self.layout.rules.stackref_tag;
        let values = words.into_iter().map(|w| Addr(w.0 & tag)).zip(&code.variables);
        Ok(values
            .filter(|(value, _)| !value.is_null())
            .map(|(value, variable)| Variable { name: variable.name.clone(), value })
            .collect())
    }

    pub(super) fn slots_start(&self, frame: &Frame) -> Result<Addr> {
        Ok(match self.layout.rules.frames {
            Frames::Objects => frame.addr + self.layout.frame.f_localsplus.at()?,
            Frames::Interpreter { .. } => frame.addr + self.layout.iframe.localsplus.at()?,
        })
    }

    /// The cells of the function that the frame runs.
    fn closure(&self, frame: &Frame) -> Vec<Addr> {
        let read = || -> Result<Vec<Addr>> {
            let function = self.untagged(frame.addr, &self.layout.iframe.funcobj)?;
            if self.type_of(function)?.kind != Kind::Function {
                return Err(Error::Corrupt { what: "a function", addr: function });
            }
            let cells = self.pointer(function, &self.layout.function.func_closure)?;
            Ok(self.tuple(cells, limits::CODE_NAMES)?.0)
        };
        if self.layout.rules.frames == Frames::Objects { Vec::new() } else { read().unwrap_or_default() }
    }

    /// Finds `name` as the frame's code would: locals, globals, builtins. A variable of a function hides
    /// the global of its name even while it has no value: Python raises `UnboundLocalError` or
    /// `NameError` there.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn lookup(&self, frame: &Frame, name: &str) -> Result<Lookup> {
        // One scope that cannot be read does not hide the others.
        let mut locals = self.locals(frame).unwrap_or_default();
        let code = frame.code.as_ref().ok();
        let fast = code.map(|code| self.fast_locals(frame, code)).transpose();
        locals.extend(fast.as_ref().ok().cloned().flatten().unwrap_or_default());
        if let Some(found) = locals.into_iter().find(|v| v.name == name) {
            return Ok(Lookup::Found(Scope::Local, found.value));
        }
        let own = code.filter(|code| code.optimized).and_then(|code| code.variables.iter().find(|v| v.name == name));
        if let Some(own) = own {
            let behind = self.lookup_outside(frame, name).ok().flatten();
            // A slot that cannot be read says nothing about its value.
            return fast.map(|_| Lookup::Unbound { free: own.place == Place::Free, behind });
        }
        Ok(self.lookup_outside(frame, name)?.map_or(Lookup::Missing, |(scope, value)| Lookup::Found(scope, value)))
    }

    fn lookup_outside(&self, frame: &Frame, name: &str) -> Result<Option<(Scope, Addr)>> {
        if let Some(value) = self.dict_get(self.frame_globals(frame)?, name)? {
            return Ok(Some((Scope::Global, value)));
        }
        Ok(self.dict_get(self.frame_builtins(frame)?, name)?.map(|value| (Scope::Builtin, value)))
    }
}
