//! The attributes that an object itself has, of whatever kind it is.

use super::{Kind, Objects};
use crate::bytes::Addr;
use crate::error::Result;

impl Objects {
    /// Calls `f` with the names and values of the attributes of the object at `addr` itself, not those of its
    /// class: its dict's, then those of its slots, until it returns false. A class's, a module's are all
    /// that it defines.
    ///
    /// # Errors
    /// [`crate::error::Error::Corrupt`], [`crate::error::Error::Fault`].
    pub fn own_each(&self, addr: Addr, f: &mut dyn FnMut(String, Addr) -> bool) -> Result<()> {
        let ty = self.type_of(addr)?;
        let mut go_on = true;
        let mut add = |key: Addr, value: Addr| {
            // Keys that are no strings are no attributes.
            go_on = self.name(key).ok().is_none_or(|name| f(name, value));
            go_on
        };
        let dict = match ty.kind {
            Kind::Module => Some(self.pointer(addr, &self.layout.module.md_dict)?),
            Kind::Type | Kind::OldClass => self.class_dict(addr)?,
            Kind::OldInstance => Some(self.pointer(addr, &self.layout.instance.in_dict)?),
            _ => {
                self.attributes_each(addr, &ty, &mut add)?;
                None
            }
        };
        if let Some(dict) = dict {
            return self.dict_each(dict, &mut add);
        }
        for (name, value) in self.slots(addr, &ty)? {
            if !go_on || !f(name, value) {
                break;
            }
        }
        Ok(())
    }
}
