//! Attributes of instances: their dict wherever this version keeps it, and their slots.

use super::{Kind, Objects, Type};
use crate::bytes::{Addr, sign_extend};
use crate::error::{Error, Result};
use crate::layout::InstanceDict;
use crate::limits;

/// Slots (`__slots__`) that one class is believed to have.
const SLOTS: u64 = 256;

/// `T_OBJECT_EX` of structmember.h, the type code of a `__slots__` member (`Py_T_OBJECT_EX`).
const OBJECT_EX: u64 = 16;

/// Where attributes live.
enum Place {
    Dict(Addr),
    Values(Addr),
    Nowhere,
}

impl Objects {
    /// Calls `f` with the attributes in the instance dict of the object at `addr`, in order.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn attributes_each(&self, addr: Addr, ty: &Type, f: &mut dyn FnMut(Addr, Addr) -> bool) -> Result<()> {
        match self.place(addr, ty)? {
            Place::Dict(dict) => {
                if self.type_of(dict)?.kind != Kind::Dict {
                    return Err(Error::Corrupt { what: "an instance dict", addr: dict });
                }
                self.dict_each(dict, f)
            }
            Place::Values(values) => {
                let keys = self.pointer(ty.addr, &self.layout.heap_type.ht_cached_keys)?;
                self.split_each(&self.keys(keys)?, values, f)
            }
            Place::Nowhere => Ok(()),
        }
    }

    /// Whether the object at `addr` has a place for attributes, filled or not.
    pub fn has_attributes(&self, addr: Addr, ty: &Type) -> bool {
        ty.managed_dict() && self.layout.rules.attributes_always
            || self.place(addr, ty).is_ok_and(|place| !matches!(place, Place::Nowhere))
    }

    fn place(&self, addr: Addr, ty: &Type) -> Result<Place> {
        let as_dict = |dict: Addr| dict.non_null().map_or(Place::Nowhere, Place::Dict);
        if ty.managed_dict() {
            return match self.layout.rules.attributes {
                InstanceDict::Offset => self.offset_dict(addr, ty).map(as_dict),
                InstanceDict::Words311 => Ok(match self.memory.pointer(addr - 32)?.non_null() {
                    Some(values) => Place::Values(values),
                    None => as_dict(self.memory.pointer(addr - 24)?),
                }),
                InstanceDict::Word312 => {
                    let word = self.memory.pointer(addr - 24)?;
                    Ok(if word.0 & 1 != 0 { Place::Values(word + 1) } else { as_dict(word) })
                }
                InstanceDict::Inline { words_before } => {
                    let dict = self.memory.pointer(addr - words_before * 8)?;
                    if dict.is_null() && ty.inline_values() {
                        let values = addr + ty.basicsize;
                        return Ok(if self.uint(values, &self.layout.values.valid)? != 0 {
                            Place::Values(values)
                        } else {
                            Place::Nowhere
                        });
                    }
                    Ok(as_dict(dict))
                }
            };
        }
        self.offset_dict(addr, ty).map(as_dict)
    }

    /// The dict at `tp_dictoffset`; a negative one counts from the end of a variable-size object.
    fn offset_dict(&self, addr: Addr, ty: &Type) -> Result<Addr> {
        let offset = match ty.dictoffset {
            0 => return Ok(Addr::NULL),
            offset if offset > 0 => offset.unsigned_abs(),
            offset => {
                let mut items = match (ty.kind, self.layout.rules.ints) {
                    (Kind::Int, crate::layout::Ints::Tagged) => self.uint(addr, &self.layout.long.lv_tag)? >> 3,
                    _ => self.ob_size(addr)?.unsigned_abs(),
                };
                items = items.min(1 << 40);
                let size = ty.basicsize.saturating_add(items.saturating_mul(ty.itemsize)).saturating_add(7) / 8 * 8;
                size.wrapping_sub(offset.unsigned_abs())
            }
        };
        if offset > 1 << 44 {
            return Err(Error::Corrupt { what: "an instance", addr });
        }
        self.memory.pointer(addr + offset)
    }

    /// The slots of the object at `addr`: (name, value), those of base classes first. Slots that
    /// are not set are left out.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn slots(&self, addr: Addr, ty: &Type) -> Result<Vec<(String, Addr)>> {
        let mut chain = Vec::new();
        let mut at = Some(ty.addr);
        while let Some(current) = at
            && chain.len() < limits::BASES
        {
            let info = self.type_at(current)?;
            at = info.base;
            if !info.heap {
                break;
            }
            chain.push(current);
        }
        let mut all = Vec::new();
        for class in chain.into_iter().rev() {
            all.extend(self.class_slots(addr, class)?);
        }
        Ok(all)
    }

    /// A heap type's members lie behind the type object, or where `tp_members` says.
    fn class_slots(&self, addr: Addr, class: Addr) -> Result<Vec<(String, Addr)>> {
        let def = &self.layout.member_def;
        let mut all = Vec::new();
        let Some(table) = self.pointer(class, &self.layout.ty.tp_members)?.non_null() else { return Ok(all) };
        for i in 0..SLOTS {
            let entry = table + i * def.size.at()?;
            let name = self.pointer(entry, &def.name)?;
            if name.is_null() {
                break;
            }
            // PyMemberDef: name, type (int at 8), offset, flags, doc.
            let code = self.memory.uint(entry + 8, 4)?;
            let offset = sign_extend(self.memory.uint(entry + def.offset.at()?, 8)?, 8);
            if code == OBJECT_EX && (8..1 << 32).contains(&offset) {
                let value = self.memory.pointer(addr + offset.unsigned_abs())?;
                if !value.is_null() {
                    all.push((super::text::plain(&self.memory.c_string(name)?), value));
                }
            }
        }
        Ok(all)
    }

    /// The attribute `name` of the object at `addr`: instance dict, then slots, then the classes
    /// along the mro.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn attribute(&self, addr: Addr, name: &str) -> Result<Option<Addr>> {
        let ty = self.type_of(addr)?;
        let mut found = None;
        let mut look = |key: Addr, value: Addr| {
            if self.is_text(key, name) {
                found = Some(value);
            }
            found.is_none()
        };
        match ty.kind {
            Kind::OldInstance => self.dict_each(self.pointer(addr, &self.layout.instance.in_dict)?, &mut look)?,
            Kind::OldClass => self.dict_each(self.pointer(addr, &self.layout.class.cl_dict)?, &mut look)?,
            Kind::Module => self.dict_each(self.pointer(addr, &self.layout.module.md_dict)?, &mut look)?,
            Kind::Type => return self.class_attribute(addr, name),
            _ => self.attributes_each(addr, &ty, &mut look)?,
        }
        if found.is_some() {
            return Ok(found);
        }
        if let Some((_, value)) = self.slots(addr, &ty)?.into_iter().find(|(slot, _)| slot == name) {
            return Ok(Some(value));
        }
        let class = if ty.kind == Kind::OldInstance {
            let class = self.pointer(addr, &self.layout.instance.in_class)?;
            return self.dict_get(self.pointer(class, &self.layout.class.cl_dict)?, name);
        } else {
            ty.addr
        };
        self.class_attribute(class, name)
    }

    /// What the class at `class` or one of its bases has under `name`.
    fn class_attribute(&self, class: Addr, name: &str) -> Result<Option<Addr>> {
        let mro = self.pointer(class, &self.layout.ty.tp_mro)?;
        let (classes, _) = self.tuple(mro, limits::BASES)?;
        for class in classes {
            // 3.12 keeps the dicts of static types per interpreter; those are NULL here.
            let Some(dict) = self.pointer(class, &self.layout.ty.tp_dict)?.non_null() else { continue };
            if let Some(value) = self.dict_get(dict, name)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}
