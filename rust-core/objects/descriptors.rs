//! What a descriptor gives when it is looked up, where that can be read: members of C structs,
//! fields of named tuples, methods, and those computed attributes of built-in types whose C code
//! only hands out a field.

use super::lookup::Attribute;
use super::members::Read;
use super::value::Value;
use super::{Kind, Objects, Type};
use crate::bytes::Addr;
use crate::error::{Error, Result};

impl From<Value> for Attribute {
    fn from(value: Value) -> Attribute {
        Attribute::Value(value)
    }
}

impl Objects {
    /// Whether the object at `addr` has `__get__`, and `__set__`, as a class attribute.
    pub(super) fn describes(&self, addr: Addr) -> Result<(bool, bool)> {
        let ty = self.type_of(addr)?;
        let has = |slot| self.pointer(ty.addr, slot).map(|f| !f.is_null());
        Ok((has(&self.layout.ty.tp_descr_get)?, has(&self.layout.ty.tp_descr_set)?))
    }

    /// What the descriptor at `descriptor`, an attribute of the class at `class`, gives for
    /// `receiver`; without one, for the class itself.
    pub(super) fn described(&self, descriptor: Addr, receiver: Option<Addr>, class: Addr) -> Result<Attribute> {
        let ty = self.type_of(descriptor)?;
        let itself = Attribute::Value(Value::Object(descriptor));
        let bound = |function| match receiver {
            Some(receiver) => Value::Bound { function, receiver }.into(),
            None => Value::Object(function).into(),
        };
        match ty.kind {
            Kind::Function | Kind::WrapperDescriptor => return Ok(bound(descriptor)),
            Kind::MethodDescriptor if ty.tp_name == "classmethod_descriptor" => {
                return Ok(Value::Bound { function: descriptor, receiver: class }.into());
            }
            Kind::MethodDescriptor => return Ok(bound(descriptor)),
            // It is bound already.
            Kind::Method => return Ok(itself),
            _ => {}
        }
        // The first field of staticmethod, classmethod (funcobject.c) and property (descrobject.c), in
        // every version.
        let first = || self.memory.pointer(descriptor + self.layout.object.size.at()?);
        let name = self.static_name(&ty);
        match name {
            "staticmethod" => return Ok(Value::or_none(first()?).into()),
            "classmethod" => {
                let function = first()?;
                return Ok(match self.type_of(function)?.kind {
                    Kind::Function => Value::Bound { function, receiver: class }.into(),
                    _ => Attribute::Computed(name.to_owned()),
                });
            }
            _ => {}
        }
        let Some(receiver) = receiver else {
            // Data descriptors give themselves on a class; what one written in Python does nobody knows.
            let plain =
                matches!(name, "member_descriptor" | "getset_descriptor" | "property") || self.is_tuplegetter(&ty);
            return Ok(if plain { itself } else { Attribute::Computed(self.descriptor_word(&ty)) });
        };
        match name {
            "member_descriptor" => self.member_value(descriptor, receiver),
            "getset_descriptor" => self.getset(descriptor, receiver),
            "property" => match self.property_field(first()?) {
                Some(index) => self.tuple_field(receiver, index),
                None => Ok(Attribute::Computed(self.descriptor_word(&ty))),
            },
            _ if self.is_tuplegetter(&ty) => {
                // _tuplegetterobject (_collectionsmodule.c, bpo-32492, 3.8): its index comes first.
                let index = self.memory.uint(descriptor + self.layout.object.size.at()?, 8)?;
                self.tuple_field(receiver, index)
            }
            _ => Ok(Attribute::Computed(self.descriptor_word(&ty))),
        }
    }

    /// What a person calls such a descriptor.
    fn descriptor_word(&self, ty: &Type) -> String {
        let mut at = Some(ty.addr);
        for _ in 0..crate::limits::BASES {
            let Some(ty) = at.and_then(|at| self.type_at(at).ok()) else { break };
            if self.static_name(&ty) == "property" {
                return "property".to_owned();
            }
            at = ty.base;
        }
        match ty.name() {
            name @ ("classmethod" | "staticmethod" | "cached_property") => name.to_owned(),
            name => format!("descriptor ({name})"),
        }
    }

    fn is_tuplegetter(&self, ty: &Type) -> bool {
        matches!(ty.tp_name.as_str(), "_collections._tuplegetter" | "collections._tuplegetter")
            && !self.is_python_class(ty)
    }

    /// The index that the getter of a named tuple's field takes before 3.8: `property(itemgetter(i))`.
    /// itemgetterobject (_operator.c): the number of items, then the item.
    fn property_field(&self, getter: Addr) -> Option<u64> {
        let ty = self.type_of(getter).ok()?;
        if ty.tp_name != "operator.itemgetter" || self.is_python_class(&ty) {
            return None;
        }
        let fields = getter + self.layout.object.size.at().ok()?;
        if self.memory.uint(fields, 8).ok()? != 1 {
            return None;
        }
        u64::try_from(self.whole_number(self.memory.pointer(fields + 8).ok()?)?).ok()
    }

    fn tuple_field(&self, receiver: Addr, index: u64) -> Result<Attribute> {
        if self.type_of(receiver)?.kind != Kind::Tuple {
            return Err(Error::Corrupt { what: "a named tuple", addr: receiver });
        }
        let len = self.checked_len(receiver, self.ob_size(receiver)?, "the length of a tuple")?;
        if index >= len as u64 {
            return Err(Error::Corrupt { what: "a field of a named tuple", addr: receiver });
        }
        let item = self.memory.pointer(receiver + self.layout.tuple.ob_item.at()? + index * 8)?;
        Ok(Value::Object(item).into())
    }

    fn member_value(&self, descriptor: Addr, receiver: Addr) -> Result<Attribute> {
        let owner = self.pointer(descriptor, &self.layout.descr.d_type)?;
        if !self.classes(self.type_of(receiver)?.addr)?.contains(&owner) {
            return Ok(Attribute::Opaque);
        }
        let corrupt = Error::Corrupt { what: "a member of a class", addr: descriptor };
        let member = self.member_at(self.pointer(descriptor, &self.layout.member_descr.d_member)?)?.ok_or(corrupt)?;
        Ok(match self.member(receiver, &member)? {
            Read::Value(value) => value.into(),
            Read::Unset => Attribute::Unset,
            Read::Strange => Attribute::Opaque,
        })
    }

    /// Attributes that C functions compute, as far as these only hand out a field.
    fn getset(&self, descriptor: Addr, receiver: Addr) -> Result<Attribute> {
        let name = self.name(self.pointer(descriptor, &self.layout.descr.d_name)?)?;
        let owner = self.pointer(descriptor, &self.layout.descr.d_type)?;
        let ty = self.type_of(receiver)?;
        if !self.classes(ty.addr)?.contains(&owner) {
            return Ok(Attribute::Opaque);
        }
        let owner = self.type_at(owner)?;
        let owner = self.static_name(&owner);
        let layout = &self.layout;
        let field = |slot| self.pointer(receiver, slot).map(|value| Value::or_none(value).into());
        let header = layout.object.size.at()?;
        match (owner, name.as_str()) {
            ("type", name) => self.type_getset(receiver, name),
            ("object", "__class__") => Ok(Value::Object(ty.addr).into()),
            ("function", "__dict__" | "func_dict") => Ok(match self.pointer(receiver, &layout.function.func_dict)? {
                dict if dict.is_null() => Value::Namespace(receiver).into(),
                dict => Value::Object(dict).into(),
            }),
            (_, "__dict__") => self.instance_dict(receiver, &ty),
            ("function", "__code__" | "func_code") => field(&layout.function.func_code),
            ("function", "__defaults__" | "func_defaults") => field(&layout.function.func_defaults),
            ("function", "__kwdefaults__") => field(&layout.function.func_kwdefaults),
            ("function", "__name__" | "func_name") => field(&layout.function.func_name),
            // Members before 3.15.
            ("function", "__doc__") => field(&layout.function.func_doc),
            ("function", "__module__") => field(&layout.function.func_module),
            ("function", "__qualname__") => field(&layout.function.func_qualname),
            ("BaseException" | "exceptions.BaseException", name) => match name {
                "args" => field(&layout.exception.args),
                "__traceback__" => field(&layout.exception.traceback),
                "__context__" => field(&layout.exception.context),
                "__cause__" => field(&layout.exception.cause),
                // 2.7: the dict's, else behind the arguments (exceptions.c, BaseException_get_message).
                "message" => {
                    let kept = || self.memory.pointer(receiver + layout.exception.args.at()? + 8);
                    let set = self.own_attribute(receiver, &ty, "message")?;
                    Ok(Value::or_none(set.map_or_else(kept, Ok)?).into())
                }
                _ => Ok(Attribute::Opaque),
            },
            ("generator" | "coroutine" | "async_generator", name) => self.generator_getset(receiver, name),
            ("frame", name) => self.frame_getset(receiver, name),
            // PyTracebackObject (traceback.h) begins with it in every version.
            ("traceback", "tb_next") => self.memory.pointer(receiver + header).map(|v| Value::or_none(v).into()),
            ("traceback", "tb_lineno") => Ok(match self.memory.int(receiver + header + 20, 4)? {
                // 3.12 and later compute it when asked (gh-93040).
                -1 => Attribute::Opaque,
                line => Value::Int(i128::from(line)).into(),
            }),
            ("builtin_function_or_method", "__name__") => Ok(self.native_text(&self.builtin_name(receiver)?).into()),
            ("builtin_function_or_method", "__self__") => field(&layout.cfunction.m_self),
            ("int" | "long" | "bool", "real" | "numerator") if ty.exact && ty.kind != Kind::Bool => {
                Ok(Value::Object(receiver).into())
            }
            ("int" | "long" | "bool", "real" | "numerator") => {
                Ok(self.whole_number(receiver).map_or(Attribute::Opaque, |value| Value::Int(value).into()))
            }
            ("int" | "long" | "bool", "imag") => Ok(Value::Int(0).into()),
            ("int" | "long" | "bool", "denominator") => Ok(Value::Int(1).into()),
            (_, name) if matches!(ty.kind, Kind::Date | Kind::Time | Kind::DateTime) => {
                Ok(self.datetime_field(receiver, ty.kind, name)?.map_or(Attribute::Opaque, Attribute::Value))
            }
            ("float", "real") => Ok(Value::Float(self.float(receiver)?).into()),
            ("float", "imag") => Ok(Value::Float(0.0).into()),
            _ => Ok(Attribute::Opaque),
        }
    }

    fn type_getset(&self, class: Addr, name: &str) -> Result<Attribute> {
        let ty = self.type_at(class)?;
        let layout = &self.layout;
        let dict = self.class_dict(class)?;
        let stored = |name| match dict {
            Some(dict) => Ok(self.dict_get(dict, name)?.map_or(Attribute::Opaque, |v| Value::Object(v).into())),
            None => Ok(Attribute::Opaque),
        };
        match name {
            "__name__" if ty.heap => Ok(Value::Object(self.pointer(class, &layout.heap_type.ht_name)?).into()),
            "__qualname__" if ty.heap => Ok(Value::Object(self.pointer(class, &layout.heap_type.ht_qualname)?).into()),
            "__name__" | "__qualname__" => Ok(self.native_text(ty.name()).into()),
            "__module__" if !ty.heap => {
                let builtins = if layout.rules.python2 { "__builtin__" } else { "builtins" };
                Ok(self.native_text(ty.tp_name.rsplit_once('.').map_or(builtins, |(module, _)| module)).into())
            }
            "__bases__" => Ok(Value::or_none(self.pointer(class, &layout.ty.tp_bases)?).into()),
            "__mro__" => Ok(Value::or_none(self.pointer(class, &layout.ty.tp_mro)?).into()),
            "__dict__" => Ok(dict.map_or(Attribute::Opaque, |dict| Value::Object(dict).into())),
            "__doc__" | "__module__" | "__annotations__" | "__abstractmethods__" | "__type_params__" => stored(name),
            _ => Ok(Attribute::Opaque),
        }
    }

    fn generator_getset(&self, generator: Addr, name: &str) -> Result<Attribute> {
        let fields = &self.layout.generator;
        // 3.11 and later: the frame lies inside of the generator (bpo-44590).
        let frame = || fields.gi_iframe.at().map(|offset| generator + offset);
        match name {
            "__name__" if fields.gi_name.exists() => {
                Ok(Value::or_none(self.pointer(generator, &fields.gi_name)?).into())
            }
            // 2.7.
            "__name__" => {
                let code = self.pointer(generator, &fields.gi_code)?;
                Ok(Value::Object(self.pointer(code, &self.layout.code.co_name)?).into())
            }
            "__qualname__" => Ok(Value::or_none(self.pointer(generator, &fields.gi_qualname)?).into()),
            "gi_code" | "cr_code" | "ag_code" => self.frame_field(frame()?, &self.layout.iframe.executable),
            // A frame object is made when somebody asks for it.
            "gi_frame" | "cr_frame" | "ag_frame" => {
                Ok(match self.pointer(frame()?, &self.layout.iframe.frame_obj)? {
                    object if self.type_of(object).is_ok_and(|ty| ty.kind == Kind::Frame) => {
                        Value::Object(object).into()
                    }
                    _ => Attribute::Opaque,
                })
            }
            _ => Ok(Attribute::Opaque),
        }
    }

    /// Attributes of frame objects of 3.11 and later, which point at the interpreter's own frame; older
    /// ones have members.
    fn frame_getset(&self, object: Addr, name: &str) -> Result<Attribute> {
        let fields = &self.layout.iframe;
        let slot = match name {
            "f_code" => &fields.executable,
            "f_globals" => &fields.globals,
            "f_builtins" => &fields.builtins,
            _ => return Ok(Attribute::Opaque),
        };
        if !self.layout.frame.f_frame.exists() {
            return Ok(Attribute::Opaque);
        }
        self.frame_field(self.pointer(object, &self.layout.frame.f_frame)?, slot)
    }

    fn frame_field(&self, frame: Addr, slot: &crate::layout::Slot) -> Result<Attribute> {
        let value = Addr(self.pointer(frame, slot)?.0 & !self.layout.rules.stackref_tag);
        Ok(if value.is_null() { Attribute::Opaque } else { Value::Object(value).into() })
    }

    /// The value of an int or bool, of Python 2 or 3, if it has at most four digits.
    pub fn whole_number(&self, addr: Addr) -> Option<i128> {
        match self.type_of(addr).ok()?.kind {
            Kind::Int2 => self.int(addr, &self.layout.int.ob_ival).ok().map(i128::from),
            Kind::Bool if self.layout.rules.python2 => self.int(addr, &self.layout.int.ob_ival).ok().map(i128::from),
            Kind::Int | Kind::Bool => self.integer(addr).ok()?.to_i128(),
            _ => None,
        }
    }
}
