//! The static types: they are in no allocator's memory, and their dicts are.

use super::{Kind, Objects};
use crate::bytes::Addr;
use crate::error::Result;
use crate::limits;
use std::collections::HashSet;

impl Objects {
    /// Calls `f` with every static type that is a subclass of `object`, and its dict, once for each
    /// interpreter where each has dicts of its own.
    pub fn static_types_each(&self, f: &mut dyn FnMut(Addr, Addr)) {
        let interpreters = self.interpreters.borrow().clone();
        if let Some(object) = self.static_type("object") {
            self.bounded(|| interpreters.into_iter().for_each(|one| self.static_types_in(object, one, f)));
        }
    }

    fn static_types_in(&self, object: Addr, interpreter: Addr, f: &mut dyn FnMut(Addr, Addr)) {
        let mut seen = HashSet::from([object]);
        let mut rest = vec![object];
        while let Some(class) = rest.pop() {
            if let Ok(Some(dict)) = self.dict_of_class(class, interpreter) {
                f(class, dict);
            }
            let mut add = |class: Addr| {
                if seen.len() < limits::TYPES && self.type_at(class).is_ok_and(|ty| !ty.heap) && seen.insert(class) {
                    rest.push(class);
                }
            };
            // A table that is damaged costs the types in it.
            let _ = self.subclasses_each(class, interpreter, &mut add);
        }
    }

    /// Calls `f` with the direct subclasses of a class: `tp_subclasses` is a list of weak references, since
    /// 3.4 (bpo-17936) a dict of them.
    fn subclasses_each(&self, class: Addr, interpreter: Addr, f: &mut dyn FnMut(Addr)) -> Result<()> {
        let all = match self.static_state(class, interpreter)? {
            // `tp_subclasses` follows `tp_dict` there.
            Some(dict) => self.memory.pointer(dict + 8)?,
            None => self.pointer(class, &self.layout.ty.tp_subclasses)?,
        };
        let Some(all) = all.non_null() else { return Ok(()) };
        // `wr_object` follows the object's header.
        let header = self.layout.object.size.at()?;
        let mut add = |weak: Addr| {
            if let Ok(class) = self.memory.pointer(weak + header) {
                f(class);
            }
        };
        match self.type_of(all)?.kind {
            Kind::Dict => self.dict_each(all, &mut |_, weak| {
                add(weak);
                true
            })?,
            Kind::List => {
                let weak = self.list(all, limits::TYPES)?.0;
                self.take_entries(all, weak.len())?;
                weak.into_iter().for_each(add);
            }
            _ => {}
        }
        Ok(())
    }
}
