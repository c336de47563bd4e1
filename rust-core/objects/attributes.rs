//! Where instances keep their attributes: a dict wherever this version has it, or values without one.

use super::lookup::Attribute;
use super::value::Value;
use super::{Kind, Objects, Type};
use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::layout::InstanceDict;

/// Where the attributes of one instance are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In this dict.
    Dict(Addr),
    /// In these values, without a dict.
    Values(Addr),
    /// It has none.
    Nowhere,
}

impl Objects {
    /// Calls `f` with the attributes in the instance dict of the object at `addr`, in order.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn attributes_each(&self, addr: Addr, ty: &Type, f: &mut dyn FnMut(Addr, Addr) -> bool) -> Result<()> {
        match self.storage(addr, ty)? {
            Storage::Dict(dict) => {
                if self.type_of(dict)?.kind != Kind::Dict {
                    return Err(Error::Corrupt { what: "an instance dict", addr: dict });
                }
                self.dict_each(dict, f)
            }
            Storage::Values(values) => {
                let keys = self.pointer(ty.addr, &self.layout.heap_type.ht_cached_keys)?;
                self.split_each(&self.keys(keys)?, values, f)
            }
            Storage::Nowhere => Ok(()),
        }
    }

    /// Whether the object at `addr` has a place for attributes, filled or not.
    pub fn has_attributes(&self, addr: Addr, ty: &Type) -> bool {
        ty.managed_dict() && self.layout.rules.attributes_always
            || self.storage(addr, ty).is_ok_and(|place| !matches!(place, Storage::Nowhere))
    }

    /// Where the attributes of the object at `addr` are.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn storage(&self, addr: Addr, ty: &Type) -> Result<Storage> {
        let as_dict = |dict: Addr| dict.non_null().map_or(Storage::Nowhere, Storage::Dict);
        if ty.managed_dict() {
            return match self.layout.rules.attributes {
                InstanceDict::Offset => self.offset_dict(addr, ty).map(as_dict),
                InstanceDict::Words311 => Ok(match self.memory.pointer(addr - 32)?.non_null() {
                    Some(values) => Storage::Values(values),
                    None => as_dict(self.memory.pointer(addr - 24)?),
                }),
                InstanceDict::Word312 => {
                    let word = self.memory.pointer(addr - 24)?;
                    Ok(if word.0 & 1 != 0 { Storage::Values(word + 1) } else { as_dict(word) })
                }
                InstanceDict::Inline { words_before } => {
                    let dict = self.memory.pointer(addr - words_before * 8)?;
                    if dict.is_null() && ty.inline_values() {
                        let values = addr + ty.basicsize;
                        return Ok(if self.uint(values, &self.layout.values.valid)? != 0 {
                            Storage::Values(values)
                        } else {
                            Storage::Nowhere
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

    /// `__dict__` of an instance: the dict, or one that Python would make of the attributes.
    pub(super) fn instance_dict(&self, addr: Addr, ty: &Type) -> Result<Attribute> {
        Ok(match self.storage(addr, ty)? {
            Storage::Dict(dict) => Value::Object(dict).into(),
            Storage::Values(_) | Storage::Nowhere => Value::Namespace(addr).into(),
        })
    }
}
