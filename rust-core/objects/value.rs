//! What an expression gives: an object of the target, or what Python would make of one when asked.
//!
//! Python makes many values only when they are looked up: a bound method, a number that a C struct
//! keeps as a C integer, a character of a text. Those are no objects in the target's memory and have
//! no address there.

use super::{Kind, Objects};
use crate::bytes::Addr;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An object of the target.
    Object(Addr),
    /// A method of `receiver`: a function, or a descriptor of a C function, that is looked up on it.
    Bound {
        /// What the class has.
        function: Addr,
        /// What it is looked up on.
        receiver: Addr,
    },
    /// The dict of attributes of the object there, which it has not made yet.
    Namespace(Addr),
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i128),
    /// A float.
    Float(f64),
    /// Text, as code points.
    Text(Vec<u32>),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    /// The object at `addr`; `None` for the null pointer.
    pub fn or_none(addr: Addr) -> Value {
        addr.non_null().map_or(Value::None, Value::Object)
    }

    /// Text.
    pub fn text(text: &str) -> Value {
        Value::Text(text.chars().map(u32::from).collect())
    }

    /// Where it is, if it is anywhere.
    pub fn address(&self) -> Option<Addr> {
        match self {
            Value::Object(addr) => Some(*addr),
            _ => None,
        }
    }
}

impl Objects {
    /// The name of the value's type.
    pub fn value_type(&self, value: &Value) -> Option<String> {
        let python2 = self.layout.rules.python2;
        let name = match value {
            Value::Object(addr) => return self.type_of(*addr).ok().map(|ty| self.short_type_name(*addr, &ty)),
            Value::Bound { function, .. } => match self.type_of(*function).ok()?.kind {
                Kind::MethodDescriptor => "builtin_function_or_method",
                Kind::WrapperDescriptor => "method-wrapper",
                _ if python2 => "instancemethod",
                _ => "method",
            },
            Value::Namespace(_) => "dict",
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::Text(_) if python2 => "unicode",
            Value::Text(_) => "str",
            Value::Bytes(_) if python2 => "str",
            Value::Bytes(_) => "bytes",
        };
        Some(name.to_owned())
    }
}
