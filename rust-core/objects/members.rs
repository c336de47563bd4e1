//! `PyMemberDef`: fields of C structs that are attributes, `__slots__` among them.
//!
//! A member says its C type and its place in the object, so its value can be read without running
//! anything.

use super::value::Value;
use super::{Objects, Type};
use crate::bytes::{Addr, sign_extend};
use crate::error::{Error, Result};
use crate::limits;

/// Members that one class is believed to have.
const MEMBERS: u64 = 256;

/// C types of members (`T_INT` and its like of structmember.h; `Py_T_INT` since 3.12). The numbers
/// have been the same since 2.7.
mod code {
    pub const SHORT: u64 = 0;
    pub const INT: u64 = 1;
    pub const LONG: u64 = 2;
    pub const FLOAT: u64 = 3;
    pub const DOUBLE: u64 = 4;
    pub const STRING: u64 = 5;
    pub const OBJECT: u64 = 6;
    pub const CHAR: u64 = 7;
    pub const BYTE: u64 = 8;
    pub const UBYTE: u64 = 9;
    pub const USHORT: u64 = 10;
    pub const UINT: u64 = 11;
    pub const ULONG: u64 = 12;
    pub const STRING_INPLACE: u64 = 13;
    pub const BOOL: u64 = 14;
    /// A slot: without a value there is no attribute.
    pub const OBJECT_EX: u64 = 16;
    pub const LONGLONG: u64 = 17;
    pub const ULONGLONG: u64 = 18;
    pub const SSIZE: u64 = 19;
    pub const NONE: u64 = 20;
}

/// `Py_RELATIVE_OFFSET` (3.12, gh-103509): the offset counts from where the base class ends. Types
/// that are ready have no such members.
const RELATIVE: u64 = 8;

/// One entry of a table of members.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    name: Addr,
    code: u64,
    pub(super) offset: u64,
}

/// What a member says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Read {
    Value(Value),
    Unset,
    /// A C type that is not known.
    Strange,
}

impl Objects {
    /// The `PyMemberDef` at `addr`; `None` at the end of a table.
    pub(super) fn member_at(&self, addr: Addr) -> Result<Option<Member>> {
        let def = &self.layout.member_def;
        let name = self.pointer(addr, &def.name)?;
        if name.is_null() {
            return Ok(None);
        }
        // Builds whose headers were measured without it have it there all the same.
        let code =
            if def.type_code.exists() { self.uint(addr, &def.type_code)? } else { self.memory.uint(addr + 8, 4)? };
        let flags = if def.flags.exists() { self.uint(addr, &def.flags)? } else { 0 };
        let offset = sign_extend(self.memory.uint(addr + def.offset.at()?, 8)?, 8);
        if !(8..1 << 32).contains(&offset) || flags & RELATIVE != 0 {
            return Err(Error::Corrupt { what: "a member of a class", addr });
        }
        Ok(Some(Member { name, code, offset: offset.unsigned_abs() }))
    }

    /// What the object at `addr` has in `member`.
    pub(super) fn member(&self, addr: Addr, member: &Member) -> Result<Read> {
        let at = addr + member.offset;
        let unsigned = |width| self.memory.uint(at, width).map(|v| Read::Value(Value::Int(i128::from(v))));
        let signed = |width| self.memory.int(at, width).map(|v| Read::Value(Value::Int(i128::from(v))));
        let text = |at| self.memory.c_string(at).map(|text| Read::Value(self.native_text(&text)));
        match member.code {
            code::OBJECT => Ok(Read::Value(Value::or_none(self.memory.pointer(at)?))),
            code::OBJECT_EX => {
                Ok(self.memory.pointer(at)?.non_null().map_or(Read::Unset, |v| Read::Value(Value::Object(v))))
            }
            code::SHORT => signed(2),
            code::INT => signed(4),
            code::LONG | code::LONGLONG | code::SSIZE => signed(8),
            code::BYTE => signed(1),
            code::UBYTE => unsigned(1),
            code::USHORT => unsigned(2),
            code::UINT => unsigned(4),
            code::ULONG | code::ULONGLONG => unsigned(8),
            code::BOOL => Ok(Read::Value(Value::Bool(self.memory.uint(at, 1)? != 0))),
            code::FLOAT => {
                let bits = self.memory.uint(at, 4)?;
                Ok(Read::Value(Value::Float(f64::from(f32::from_bits(u32::try_from(bits).unwrap_or(0))))))
            }
            code::DOUBLE => Ok(Read::Value(Value::Float(f64::from_bits(self.memory.uint(at, 8)?)))),
            code::CHAR => {
                let byte = self.memory.uint(at, 1)? as u8;
                Ok(Read::Value(self.native_text(&char::from(byte).to_string())))
            }
            code::STRING => match self.memory.pointer(at)?.non_null() {
                Some(at) => text(at),
                None => Ok(Read::Value(Value::None)),
            },
            code::STRING_INPLACE => text(at),
            code::NONE => Ok(Read::Value(Value::None)),
            _ => Ok(Read::Strange),
        }
    }

    /// A C string as the `str` that this Python makes of it.
    pub(super) fn native_text(&self, text: &str) -> Value {
        if self.layout.rules.python2 { Value::Bytes(text.as_bytes().to_vec()) } else { Value::text(text) }
    }

    /// The slots (`__slots__`) of the object at `addr`: (name, value), those of base classes first.
    /// Slots that are not set are left out.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn slots(&self, addr: Addr, ty: &Type) -> Result<Vec<(String, Addr)>> {
        let mut all = Vec::new();
        for class in self.heap_classes(ty)?.into_iter().rev() {
            for member in self.members(class)? {
                if member.code == code::OBJECT_EX
                    && let Read::Value(Value::Object(value)) = self.member(addr, &member)?
                {
                    all.push((self.member_name(&member)?, value));
                }
            }
        }
        Ok(all)
    }

    /// The type and its bases up to the first static one.
    fn heap_classes(&self, ty: &Type) -> Result<Vec<Addr>> {
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
        Ok(chain)
    }

    /// The members of the class at `class` itself. A heap type's lie behind the type object, or where
    /// `tp_members` says.
    pub(super) fn members(&self, class: Addr) -> Result<Vec<Member>> {
        let mut all = Vec::new();
        let Some(table) = self.pointer(class, &self.layout.ty.tp_members)?.non_null() else { return Ok(all) };
        let size = self.layout.member_def.size.at()?;
        for i in 0..MEMBERS {
            match self.member_at(table + i * size) {
                Ok(Some(member)) => all.push(member),
                Ok(None) => break,
                // One that makes no sense hides none of the others.
                Err(Error::Corrupt { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(all)
    }

    pub(super) fn member_name(&self, member: &Member) -> Result<String> {
        Ok(super::text::plain(&self.memory.c_string(member.name)?))
    }
}
