//! What kind of object a type's instances are, and how sure that is.
//!
//! A name proves nothing: anybody may call a class `collections.deque`. Types of the interpreter's
//! image are known by their address, C types of extension modules by name, origin and size.

use super::{Objects, Type, datetime, decimal};
use crate::bytes::Addr;

/// What an object is, as far as decoding it goes. Subclasses are of the kind of their nearest
/// built-in base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are those of Python's types
pub enum Kind {
    None,
    Ellipsis,
    NotImplemented,
    Bool,
    /// `int` of Python 2.
    Int2,
    Int,
    Float,
    Complex,
    /// `str` of Python 2: bytes.
    Str2,
    /// `unicode` of Python 2.
    Unicode2,
    Str,
    Bytes,
    Bytearray,
    Tuple,
    List,
    Dict,
    Set,
    Frozenset,
    Deque,
    /// `datetime.date`, and so on.
    Date,
    Time,
    DateTime,
    TimeDelta,
    TimeZone,
    Decimal,
    Exception,
    Type,
    /// A class without `object` as its base, in Python 2.
    OldClass,
    /// An instance of such a class.
    OldInstance,
    Function,
    Method,
    CFunction,
    MethodDescriptor,
    WrapperDescriptor,
    MethodWrapper,
    Module,
    Cell,
    Code,
    Frame,
    Generator,
    Slice,
    Object,
}

impl Objects {
    /// The kind that a type itself stands for. Static types of the interpreter's image go by their
    /// name.
    pub(super) fn builtin_kind(&self, addr: Addr, ty: &Type) -> Option<Kind> {
        if addr == self.located.type_type {
            return Some(Kind::Type);
        }
        if let Some(kind) = self.extension_kind(ty) {
            return Some(kind);
        }
        if ty.heap || !self.located.image.has_data(addr) {
            return None;
        }
        let python2 = self.layout.rules.python2;
        Some(match ty.tp_name.as_str() {
            "NoneType" => Kind::None,
            "ellipsis" => Kind::Ellipsis,
            "NotImplementedType" => Kind::NotImplemented,
            "bool" => Kind::Bool,
            "int" if python2 => Kind::Int2,
            "int" | "long" => Kind::Int,
            "float" => Kind::Float,
            "complex" => Kind::Complex,
            "str" if python2 => Kind::Str2,
            "unicode" => Kind::Unicode2,
            "str" => Kind::Str,
            "bytes" => Kind::Bytes,
            "bytearray" => Kind::Bytearray,
            "tuple" => Kind::Tuple,
            "list" => Kind::List,
            "dict" => Kind::Dict,
            "set" => Kind::Set,
            "frozenset" => Kind::Frozenset,
            "BaseException" | "exceptions.BaseException" => Kind::Exception,
            "classobj" => Kind::OldClass,
            "instance" => Kind::OldInstance,
            "function" => Kind::Function,
            "method" => Kind::Method,
            "instancemethod" if python2 => Kind::Method,
            "builtin_function_or_method" | "builtin_method" => Kind::CFunction,
            "method_descriptor" | "classmethod_descriptor" => Kind::MethodDescriptor,
            "wrapper_descriptor" => Kind::WrapperDescriptor,
            "method-wrapper" => Kind::MethodWrapper,
            "module" => Kind::Module,
            "cell" => Kind::Cell,
            "code" => Kind::Code,
            "frame" => Kind::Frame,
            "generator" | "coroutine" | "async_generator" => Kind::Generator,
            "slice" => Kind::Slice,
            "object" => Kind::Object,
            _ => return None,
        })
    }

    /// The few C types of extension modules that are read: known by name, and by the size of the struct
    /// that this name promises.
    fn extension_kind(&self, ty: &Type) -> Option<Kind> {
        let header = self.layout.object.size.at().ok()?;
        let (kind, size) = match ty.tp_name.as_str() {
            "collections.deque" => (Kind::Deque, self.layout.deque.size.at().ok()),
            "datetime.date" => (Kind::Date, datetime::struct_size(Kind::Date, header)),
            "datetime.time" => (Kind::Time, datetime::struct_size(Kind::Time, header)),
            "datetime.datetime" => (Kind::DateTime, datetime::struct_size(Kind::DateTime, header)),
            "datetime.timedelta" => (Kind::TimeDelta, datetime::struct_size(Kind::TimeDelta, header)),
            "datetime.timezone" => (Kind::TimeZone, datetime::struct_size(Kind::TimeZone, header)),
            "decimal.Decimal" => (Kind::Decimal, Some(decimal::struct_size(header))),
            _ => return None,
        };
        (Some(ty.basicsize) == size && !self.is_python_class(ty)).then_some(kind)
    }

    /// The static type of the interpreter's image called `name`.
    pub(super) fn static_type(&self, name: &str) -> Option<Addr> {
        self.located.static_type(name, &self.memory)
    }

    /// The name of a static type of the interpreter's image; of another type nothing.
    pub(super) fn static_name<'a>(&self, ty: &'a Type) -> &'a str {
        if ty.heap || !self.located.image.has_data(ty.addr) { "" } else { &ty.tp_name }
    }

    /// The name of a type made in C; of a class of Python nothing.
    pub fn c_name<'a>(&self, ty: &'a Type) -> &'a str {
        if self.is_python_class(ty) { "" } else { &ty.tp_name }
    }

    /// Whether a type was made by a `class` statement or a call of `type`. In C the module stands in
    /// `tp_name` and not in the name (`PyType_FromSpec`); a class of Python has one name, whatever dots
    /// are in it.
    pub(super) fn is_python_class(&self, ty: &Type) -> bool {
        if !ty.heap {
            return false;
        }
        // Only an exact `str` is looked into: kinds of types must not depend on kinds of other types.
        let name = || {
            let name = self.pointer(ty.addr, &self.layout.heap_type.ht_name).ok()?;
            let exact = self.pointer(name, &self.layout.object.ob_type).ok() == self.static_type("str");
            exact.then(|| self.name(name).ok()).flatten()
        };
        name().is_none_or(|name| name == ty.tp_name)
    }
}

/// A subclass is of the kind of its base, except where there is one object of the type and no
/// subclass can be.
pub(super) fn inherited(kind: Kind) -> Kind {
    match kind {
        Kind::None | Kind::Ellipsis | Kind::NotImplemented => Kind::Object,
        kind => kind,
    }
}
