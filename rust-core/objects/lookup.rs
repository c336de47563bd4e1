//! Attributes as Python looks them up, as far as no code needs to run: data descriptors of the
//! class, then the object's own attributes, then everything else that its classes have.
//!
//! What only code of the process would compute is not guessed at, and what exists and cannot be read
//! is never said to be missing.

use super::value::Value;
use super::{Kind, Objects, Type};
use crate::bytes::Addr;
use crate::error::Result;
use crate::limits;

/// What an attribute is.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// It has this value.
    Value(Value),
    /// A slot without a value.
    Unset,
    /// Code of the process would compute it: what for a descriptor that is.
    Computed(String),
    /// It is there, and only C code of the process knows its value.
    Opaque,
    /// It is nowhere that could be read; what one of the classes has could not.
    Unknown,
    /// It is nowhere that pyext looks, and the class looks attributes up with code of its own.
    Hooked,
    /// There is none.
    Missing,
}

/// What the classes of an object have under a name.
pub(super) struct InClasses {
    pub(super) found: Option<Addr>,
    /// The class that has it.
    owner: Option<Addr>,
    /// The dict of every class could be read.
    complete: bool,
}

/// Bases of old Python 2 classes that are looked at.
const OLD_BASES: usize = 256;

impl Objects {
    /// The attribute `name` of the object at `addr`, where it is an object.
    ///
    /// # Errors
    /// [`crate::error::Error::Corrupt`], [`crate::error::Error::Fault`].
    pub fn attribute(&self, addr: Addr, name: &str) -> Result<Option<Addr>> {
        Ok(match self.look_up(addr, name)? {
            Attribute::Value(value) => value.address(),
            _ => None,
        })
    }

    /// The attribute `name` of the object at `addr`.
    ///
    /// # Errors
    /// [`crate::error::Error::Corrupt`], [`crate::error::Error::Fault`].
    pub fn look_up(&self, addr: Addr, name: &str) -> Result<Attribute> {
        let ty = self.type_of(addr)?;
        match ty.kind {
            Kind::Type => return self.look_up_in_type(addr, &ty, name),
            Kind::OldInstance | Kind::OldClass => return self.look_up_old(addr, ty.kind, name),
            _ => {}
        }
        let class = self.in_classes(ty.addr, name)?;
        let descriptor = class.found.map(|found| Ok((found, self.describes(found)?))).transpose()?;
        if let Some((found, (true, true))) = descriptor {
            // Enum's own properties hand out a field.
            if matches!(name, "name" | "value")
                && let Some((name_, value)) = self.enum_member(addr, &ty)
                && class
                    .owner
                    .is_some_and(|owner| self.type_at(owner).is_ok_and(|ty| self.class_name(&ty) == "enum.Enum"))
            {
                return Ok(Attribute::Value(Value::Object(if name == "name" { name_ } else { value })));
            }
            return self.described(found, Some(addr), ty.addr);
        }
        if let Some(value) = self.own_attribute(addr, &ty, name)? {
            return Ok(Attribute::Value(Value::Object(value)));
        }
        match descriptor {
            Some((found, (true, _))) => return self.described(found, Some(addr), ty.addr),
            Some((found, _)) => return Ok(Attribute::Value(Value::Object(found))),
            None => {}
        }
        if ty.kind == Kind::Method {
            // method_getattro (classobject.c) goes on with the function's.
            let function = self.pointer(addr, &self.layout.method.im_func)?;
            if self.type_of(function)?.kind == Kind::Function {
                return self.look_up(function, name);
            }
        }
        self.missing(addr, &ty, class.complete)
    }

    /// What the object itself has under `name`.
    pub(super) fn own_attribute(&self, addr: Addr, ty: &Type, name: &str) -> Result<Option<Addr>> {
        if ty.kind == Kind::Module {
            return self.dict_get(self.pointer(addr, &self.layout.module.md_dict)?, name);
        }
        let mut found = None;
        self.attributes_each(addr, ty, &mut |key, value| {
            if self.is_text(key, name) {
                found = Some(value);
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// An attribute that is nowhere: whether there is none.
    fn missing(&self, addr: Addr, ty: &Type, complete: bool) -> Result<Attribute> {
        if !complete {
            return Ok(Attribute::Unknown);
        }
        let hooked = match ty.kind {
            // PEP 562.
            Kind::Module => self.dict_get(self.pointer(addr, &self.layout.module.md_dict)?, "__getattr__")?.is_some(),
            Kind::Method => false,
            kind => {
                let usual = if kind == Kind::Type { Some(self.located.type_type) } else { self.static_type("object") };
                let getattro = |class| self.pointer(class, &self.layout.ty.tp_getattro);
                match usual {
                    Some(usual) => getattro(ty.addr)? != getattro(usual)?,
                    None => false,
                }
            }
        };
        Ok(if hooked { Attribute::Hooked } else { Attribute::Missing })
    }

    /// `type_getattro` (typeobject.c): data descriptors of the metaclass, then what the class and its
    /// bases have, then the rest of the metaclass.
    fn look_up_in_type(&self, class: Addr, meta: &Type, name: &str) -> Result<Attribute> {
        let of_meta = self.in_classes(meta.addr, name)?;
        let descriptor = of_meta.found.map(|found| Ok((found, self.describes(found)?))).transpose()?;
        if let Some((found, (true, true))) = descriptor {
            return self.described(found, Some(class), meta.addr);
        }
        let own = self.in_classes(class, name)?;
        if let Some(found) = own.found {
            return if self.describes(found)?.0 {
                self.described(found, None, class)
            } else {
                Ok(Attribute::Value(Value::Object(found)))
            };
        }
        match descriptor {
            Some((found, (true, _))) => self.described(found, Some(class), meta.addr),
            Some((found, _)) => Ok(Attribute::Value(Value::Object(found))),
            None => self.missing(class, meta, own.complete && of_meta.complete),
        }
    }

    /// Instances of Python 2's old classes, and those classes: their dicts, then depth first the bases.
    fn look_up_old(&self, addr: Addr, kind: Kind, name: &str) -> Result<Attribute> {
        let class_fields = &self.layout.class;
        let mut receiver = None;
        let mut class = addr;
        if kind == Kind::OldInstance {
            class = self.pointer(addr, &self.layout.instance.in_class)?;
            let dict = self.pointer(addr, &self.layout.instance.in_dict)?;
            match name {
                "__class__" => return Ok(Attribute::Value(Value::Object(class))),
                "__dict__" => return Ok(Attribute::Value(Value::Object(dict))),
                _ => {}
            }
            if let Some(value) = self.dict_get(dict, name)? {
                return Ok(Attribute::Value(Value::Object(value)));
            }
            receiver = Some(addr);
        }
        match name {
            "__name__" if receiver.is_none() => {
                return Ok(Attribute::Value(Value::Object(self.pointer(class, &class_fields.cl_name)?)));
            }
            "__dict__" if receiver.is_none() => {
                return Ok(Attribute::Value(Value::Object(self.pointer(class, &class_fields.cl_dict)?)));
            }
            "__bases__" if receiver.is_none() => {
                return Ok(Attribute::Value(Value::Object(self.pointer(class, &class_fields.cl_bases)?)));
            }
            _ => {}
        }
        let mut hooked = false;
        for class in self.old_classes(class)? {
            let dict = self.pointer(class, &class_fields.cl_dict)?;
            if let Some(found) = self.dict_get(dict, name)? {
                return if self.describes(found)?.0 {
                    self.described(found, receiver, class)
                } else {
                    Ok(Attribute::Value(Value::Object(found)))
                };
            }
            hooked |= receiver.is_some() && self.dict_get(dict, "__getattr__")?.is_some();
        }
        Ok(if hooked { Attribute::Hooked } else { Attribute::Missing })
    }

    /// An old class and its bases, in the order in which attributes are looked up: depth first.
    pub(super) fn old_classes(&self, class: Addr) -> Result<Vec<Addr>> {
        let mut all = Vec::new();
        let mut next = vec![class];
        while let Some(class) = next.pop()
            && all.len() < OLD_BASES
        {
            // Other kinds of classes may be bases too: they say nothing here.
            if self.type_of(class)?.kind != Kind::OldClass {
                continue;
            }
            all.push(class);
            let (bases, _) = self.tuple(self.pointer(class, &self.layout.class.cl_bases)?, OLD_BASES)?;
            next.extend(bases.into_iter().rev());
        }
        Ok(all)
    }

    /// The classes along the mro of the class at `class`, itself first.
    ///
    /// # Errors
    /// [`crate::error::Error::Corrupt`], [`crate::error::Error::Fault`].
    pub fn classes(&self, class: Addr) -> Result<Vec<Addr>> {
        match self.pointer(class, &self.layout.ty.tp_mro)?.non_null() {
            Some(mro) => Ok(self.tuple(mro, limits::BASES)?.0),
            // Not ready yet: 2.7 makes some static types so only when they are first asked.
            None => Ok(vec![class]),
        }
    }

    /// What the class at `class` or one of its bases has under `name`.
    pub(super) fn in_classes(&self, class: Addr, name: &str) -> Result<InClasses> {
        let mut complete = true;
        for class in self.classes(class)? {
            let Some(dict) = self.class_dict(class)? else {
                complete = false;
                continue;
            };
            if let Some(value) = self.dict_get(dict, name)? {
                return Ok(InClasses { found: Some(value), owner: Some(class), complete });
            }
        }
        Ok(InClasses { found: None, owner: None, complete })
    }

    /// Whether a class written in Python has its own `name` in place of the built-in base's.
    ///
    /// # Errors
    /// [`crate::error::Error::Fault`], [`crate::error::Error::Corrupt`].
    pub fn is_overridden(&self, ty: &super::Type, name: &str) -> Result<bool> {
        if ty.exact {
            return Ok(false);
        }
        let found = self.in_classes(ty.addr, name)?.found;
        Ok(found.is_some_and(|at| self.type_of(at).is_ok_and(|ty| ty.kind == Kind::Function)))
    }

    /// The dict of the class at `class`, if it can be found.
    ///
    /// # Errors
    /// [`crate::error::Error::Fault`].
    pub fn class_dict(&self, class: Addr) -> Result<Option<Addr>> {
        if self.type_of(class)?.kind == Kind::OldClass {
            return self.pointer(class, &self.layout.class.cl_dict).map(Addr::non_null);
        }
        let main = self.interpreters.borrow().first().copied().unwrap_or(Addr::NULL);
        self.dict_of_class(class, main)
    }

    /// The dict that the class at `class`, which is none of Python 2's old ones, has in an interpreter.
    pub(super) fn dict_of_class(&self, class: Addr, interpreter: Addr) -> Result<Option<Addr>> {
        match self.pointer(class, &self.layout.ty.tp_dict)?.non_null() {
            Some(dict) => Ok(Some(dict)),
            None => match self.static_state(class, interpreter) {
                Ok(Some(dict)) => Ok(self.memory.pointer(dict).ok().and_then(Addr::non_null)),
                _ => Ok(None),
            },
        }
    }

    /// Where `tp_dict` of a static type is that 3.12 and later keep in each interpreter (gh-94673, PEP 684).
    /// `tp_subclasses` of the type is its index there plus one.
    pub(super) fn static_state(&self, class: Addr, interpreter: Addr) -> Result<Option<Addr>> {
        const MOST: u64 = 4096;
        if interpreter.is_null() || !self.layout.interp.types_builtins.exists() {
            return Ok(None);
        }
        let index = self.pointer(class, &self.layout.ty.tp_subclasses)?.0.wrapping_sub(1);
        if index >= MOST {
            return Ok(None);
        }
        let fields = &self.layout.interp;
        let builtins = interpreter + fields.types_builtins.at()?;
        // (the type's state, where its dict lies in it): struct types_state and managed_static_type_state
        // of pycore_interp.h. 3.13 counts the states before them and has some for types of extension
        // modules (gh-117398).
        let places = if fields.types_extensions.exists() {
            let extensions = interpreter + fields.types_extensions.at()?;
            vec![(builtins + 8 + index * 48, 24), (extensions + 16 + index * 48, 24)]
        } else {
            vec![(builtins + index * 40, 16)]
        };
        for (state, dict) in places {
            // Each state begins with its type.
            if self.memory.pointer(state)? == class {
                return Ok(Some(state + dict));
            }
        }
        Ok(None)
    }

    /// The names of attributes of the object at `addr`, its own first, for completion. `hidden`: those
    /// that begin with two underscores too.
    pub fn attribute_names(&self, addr: Addr, hidden: bool) -> Vec<String> {
        let mut names = Vec::new();
        let mut add = |key: Addr, _: Addr| {
            names.extend(self.name(key).ok().filter(|name| hidden || !name.starts_with("__")));
            names.len() < limits::CODE_NAMES
        };
        let Ok(ty) = self.type_of(addr) else { return names };
        let mut classes = Vec::new();
        let _ = match ty.kind {
            Kind::Module => {
                self.pointer(addr, &self.layout.module.md_dict).and_then(|dict| self.dict_each(dict, &mut add))
            }
            Kind::Type => {
                classes.extend(self.classes(addr).unwrap_or_default());
                Ok(())
            }
            Kind::OldClass => {
                classes.extend(self.old_classes(addr).unwrap_or_default());
                Ok(())
            }
            Kind::OldInstance => self
                .pointer(addr, &self.layout.instance.in_dict)
                .and_then(|dict| self.dict_each(dict, &mut add))
                .and_then(|()| self.pointer(addr, &self.layout.instance.in_class))
                .and_then(|class| self.old_classes(class))
                .map(|old| classes.extend(old)),
            _ => self.attributes_each(addr, &ty, &mut add),
        };
        if !matches!(ty.kind, Kind::OldInstance | Kind::OldClass) {
            classes.extend(self.classes(ty.addr).unwrap_or_default());
        }
        for class in classes {
            if let Ok(Some(dict)) = self.class_dict(class) {
                let _ = self.dict_each(dict, &mut add);
            }
        }
        names
    }
}
