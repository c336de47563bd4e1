//! Objects that are known by a name: classes, modules, functions and their like.

use super::{Kind, Objects, Type, text};
use crate::bytes::Addr;
use crate::error::Result;

impl Objects {
    /// `<class 'module.Name'>`, as Python writes it.
    pub fn type_repr(&self, addr: Addr) -> String {
        let Ok(ty) = self.type_at(addr) else { return format!("<unreadable type at remote {addr}>") };
        let python2 = self.layout.rules.python2;
        let word = if python2 && !ty.heap { "type" } else { "class" };
        format!("<{word} '{}'>", self.class_name(&ty))
    }

    /// The name of a class with its module, as Python writes it; without the module where that is
    /// `builtins`.
    pub fn class_name(&self, ty: &Type) -> String {
        if !ty.heap {
            return ty.tp_name.clone();
        }
        let layout = &self.layout;
        let slot = &layout.heap_type.ht_qualname;
        let name = self
            .pointer(ty.addr, if slot.exists() { slot } else { &layout.heap_type.ht_name })
            .and_then(|name| self.name(name))
            .unwrap_or_else(|_| ty.tp_name.clone());
        let stored = self.pointer(ty.addr, &layout.ty.tp_dict).and_then(|dict| self.dict_get(dict, "__module__"));
        let stored = stored.ok().flatten();
        let module = stored.and_then(|module| self.name(module).ok());
        // Types of Cython's have the attribute of their instances there; their metaclass gives the module that is in
        // the name they were made with.
        if module.is_none() && stored.is_some() && ty.tp_name.ends_with(&format!(".{name}")) {
            return ty.tp_name.clone();
        }
        match module.as_deref() {
            None | Some("builtins" | "__builtin__") => name,
            Some(module) => format!("{module}.{name}"),
        }
    }

    /// The name of something that can be called, for a bound method's text.
    pub(super) fn callable_name(&self, addr: Addr) -> String {
        let slots = [&self.layout.function.func_qualname, &self.layout.function.func_name];
        let is_function = self.type_of(addr).is_ok_and(|ty| ty.kind == Kind::Function);
        slots
            .iter()
            .filter(|slot| is_function && slot.exists())
            .find_map(|slot| self.pointer(addr, slot).and_then(|name| self.name(name)).ok())
            .unwrap_or_else(|| "?".to_owned())
    }

    /// A method of `receiver`, as one that is stored is written.
    pub(super) fn bound_method_repr(&self, function: Addr, receiver: Addr) -> Result<String> {
        let (kind, ty) = (self.type_of(function).map(|ty| ty.kind), self.type_of(receiver)?);
        let descriptor = || self.pointer(function, &self.layout.descr.d_name).and_then(|name| self.name(name));
        Ok(match kind {
            Ok(Kind::MethodDescriptor) => {
                format!("<built-in method {} of {} object at remote {receiver}>", descriptor()?, ty.tp_name)
            }
            Ok(Kind::WrapperDescriptor) => {
                format!("<method-wrapper '{}' of {} object at {receiver}>", descriptor()?, ty.tp_name)
            }
            _ => {
                let name = self.callable_name(function);
                format!("<bound method {name} of {} object at remote {receiver}>", ty.tp_name)
            }
        })
    }

    /// The bare names of the classes of the object at `addr`, its own first.
    pub fn class_names(&self, addr: Addr) -> Vec<String> {
        let Ok(ty) = self.type_of(addr) else { return Vec::new() };
        if ty.kind == Kind::OldInstance {
            let classes = self.pointer(addr, &self.layout.instance.in_class).and_then(|class| self.old_classes(class));
            let name = |class| self.pointer(class, &self.layout.class.cl_name).and_then(|name| self.name(name)).ok();
            return classes.unwrap_or_default().into_iter().filter_map(name).collect();
        }
        let class = if ty.kind == Kind::Type { addr } else { ty.addr };
        let classes = self.classes(class).unwrap_or_default();
        classes.into_iter().filter_map(|class| Some(self.type_at(class).ok()?.name().to_owned())).collect()
    }

    /// The name of a module: `md_name`, or `__name__` in its dict.
    pub fn module_name(&self, addr: Addr) -> Option<String> {
        let fields = &self.layout.module;
        let direct = self.pointer(addr, &fields.md_name).ok().and_then(Addr::non_null).and_then(|n| self.name(n).ok());
        direct.or_else(|| {
            let dict = self.pointer(addr, &fields.md_dict).ok()?;
            self.name(self.dict_get(dict, "__name__").ok()??).ok()
        })
    }

    /// The `ml_name` of a built-in function.
    ///
    /// # Errors
    /// [`crate::error::Error::Fault`], [`crate::error::Error::Corrupt`].
    pub fn builtin_name(&self, addr: Addr) -> Result<String> {
        let def = self.pointer(addr, &self.layout.cfunction.m_ml)?;
        Ok(text::plain(&self.memory.c_string(self.pointer(def, &self.layout.method_def.ml_name)?)?))
    }

    /// `<built-in function len>`, or `<built-in method append of list object at remote 0x…>`.
    ///
    /// # Errors
    /// [`crate::error::Error::Fault`], [`crate::error::Error::Corrupt`].
    pub fn builtin_repr(&self, addr: Addr) -> Result<String> {
        let name = self.builtin_name(addr)?;
        let receiver = self.pointer(addr, &self.layout.cfunction.m_self)?;
        Ok(if receiver.is_null() { format!("<built-in function {name}>") } else { self.bound_repr(&name, receiver)? })
    }

    /// What the built-in method `name` of `receiver` is called: `<built-in method acquire of
    /// _thread.lock object at remote 0x…>`.
    ///
    /// # Errors
    /// [`crate::error::Error::Fault`], [`crate::error::Error::Corrupt`].
    pub fn bound_repr(&self, name: &str, receiver: Addr) -> Result<String> {
        let ty = self.type_of(receiver)?;
        Ok(format!("<built-in method {name} of {} object at remote {receiver}>", ty.tp_name))
    }

    /// `<method-wrapper '__init__' of Foo object at 0x…>`. `wrapperobject` (descrobject.c)
    /// is the object header, the descriptor and the receiver in every version; its name is that of
    /// the descriptor.
    pub(super) fn method_wrapper_repr(&self, addr: Addr) -> Result<String> {
        let header = self.layout.object.size.at()?;
        let descriptor = self.memory.pointer(addr + header)?;
        let receiver = self.memory.pointer(addr + header + 8)?;
        let name = self.name(self.pointer(descriptor, &self.layout.descr.d_name)?)?;
        let ty = self.type_of(receiver)?;
        Ok(format!("<method-wrapper '{name}' of {} object at {receiver}>", ty.tp_name))
    }
}

impl Objects {
    /// The name of an object's type for a person: `Foo`, without the module; the class of an old
    /// Python 2 instance.
    pub fn short_type_name(&self, addr: Addr, ty: &Type) -> String {
        if ty.kind == Kind::OldInstance
            && let Ok(name) = self
                .pointer(addr, &self.layout.instance.in_class)
                .and_then(|class| self.pointer(class, &self.layout.class.cl_name))
                .and_then(|name| self.name(name))
        {
            return name;
        }
        ty.name().to_owned()
    }
}
