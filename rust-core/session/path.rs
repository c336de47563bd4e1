//! What `py-print`'s paths mean in the target: `name`, then any of `.attribute` and `[key]`.
//!
//! Nothing runs in the target: what only its code could answer is refused with a sentence, and a
//! part that exists and cannot be read is never said to be missing.

use super::steps::{Action, Literal, parse};
use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::limits;
use crate::objects::lookup::Attribute;
use crate::objects::number::Integer;
use crate::objects::repr::Style;
use crate::objects::text::plain;
use crate::objects::value::Value;
use crate::objects::{Kind, Objects};
use crate::stack::{Frame, Lookup, Scope};

/// Finds what `path` means in `frame`.
///
/// # Errors
/// [`Error::User`] if it cannot be parsed, or a part of it does not exist or has no value.
pub fn resolve(objects: &Objects, frame: &Frame, path: &str, style: Style) -> Result<(Scope, Value)> {
    let (name, steps) = parse(path.trim())?;
    let (scope, start) = start(objects, frame, &name, style)?;
    let mut at = At { objects, frame, path: name, value: Value::Object(start) };
    objects.bounded(|| {
        for step in steps {
            at.value = match &step.action {
                Action::Attribute(name) => at.attribute(name)?,
                Action::Item(key) => at.item(key, &step.typed)?,
            };
            at.path.push_str(&step.typed);
        }
        Ok((scope, at.value))
    })
}

/// What may stand for the attribute at the end of `typed`, with all that is before it; `None` where
/// that is no attribute.
pub fn complete(objects: &Objects, frame: &Frame, typed: &str, style: Style) -> Option<Vec<String>> {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let head = typed.trim_end_matches(is_letter);
    let path = head.strip_suffix('.')?;
    let hidden = typed[head.len()..].starts_with("__");
    let object = match resolve(objects, frame, path, style) {
        Ok((_, Value::Object(addr) | Value::Bound { function: addr, .. })) => addr,
        _ => return Some(Vec::new()),
    };
    let names = objects.bounded(|| objects.attribute_names(object, hidden));
    // A name that no path can have is no help.
    Some(names.iter().filter(|name| name.chars().all(is_letter)).map(|name| format!("{head}{name}")).collect())
}

/// What the name at the start of a path means.
fn start(objects: &Objects, frame: &Frame, name: &str, style: Style) -> Result<(Scope, Addr)> {
    let mut found = objects.lookup(frame, name)?;
    if found == Lookup::Missing
        && is_private(name)
        && style == Style::Pyext
        && let Some(class) = class_around(frame)
    {
        found = objects.lookup(frame, &mangled(&class, name))?;
    }
    let (free, behind) = match found {
        Lookup::Found(scope, value) => return Ok((scope, value)),
        Lookup::Missing => return Err(Error::User(format!("'{}' not found", plain(name)))),
        Lookup::Unbound { free, behind } => (free, behind),
    };
    // CPython's own script goes on to the globals.
    if style == Style::Stock {
        return behind.ok_or_else(|| Error::User(format!("'{}' not found", plain(name))));
    }
    let function = frame.code.as_ref().map_or("this function", |code| code.name.as_str());
    let whose = if free { "of a function around" } else { "of" };
    let behind = behind.map_or_else(String::new, |(scope, _)| format!(" (there is a {} of that name)", scope.word()));
    Err(Error::User(format!("'{}' is a local variable {whose} {function} without a value{behind}", plain(name))))
}

/// Whether Python gives `name` another one inside of a class: two underscores before it and not two
/// behind it (`_Py_Mangle`, compile.c).
fn is_private(name: &str) -> bool {
    name.starts_with("__") && !name.ends_with("__")
}

fn mangled(class: &str, name: &str) -> String {
    match class.trim_start_matches('_') {
        "" => name.to_owned(),
        class => format!("_{class}{name}"),
    }
}

/// The innermost class that the frame's code stands in, by its qualified name (3.11 and later).
fn class_around(frame: &Frame) -> Option<String> {
    let qualname = frame.code.as_ref().ok()?.qualname.as_ref()?;
    let parts: Vec<&str> = qualname.split('.').collect();
    let class = parts.windows(2).rfind(|pair| pair[0] != "<locals>" && pair[1] != "<locals>")?;
    Some(class[0].to_owned())
}

/// A place on the way along a path.
struct At<'a> {
    objects: &'a Objects,
    frame: &'a Frame,
    path: String,
    value: Value,
}

impl At<'_> {
    /// `'self.pool' (Pool at 0x…)`.
    fn here(&self) -> String {
        let path = plain(&self.path);
        match &self.value {
            Value::Object(addr) => {
                let kind = self.objects.type_of(*addr).map_or_else(|_| "object".to_owned(), |ty| ty.tp_name.clone());
                format!("'{path}' ({kind} at {addr})")
            }
            value => format!("'{path}' ({})", self.objects.value_type(value).as_deref().unwrap_or("object")),
        }
    }

    fn attribute(&self, typed: &str) -> Result<Value> {
        let mut attribute = self.look_up(typed)?;
        if matches!(attribute, Attribute::Missing | Attribute::Hooked | Attribute::Unknown) && is_private(typed) {
            for name in self.private_names(typed) {
                match self.look_up(&name)? {
                    Attribute::Missing | Attribute::Hooked | Attribute::Unknown => {}
                    found => {
                        attribute = found;
                        break;
                    }
                }
            }
        }
        let (here, path) = (self.here(), plain(&self.path));
        let name = plain(typed);
        Err(Error::User(match attribute {
            Attribute::Value(value) => return Ok(value),
            Attribute::Unset => format!("{here} has no value for .{name}"),
            Attribute::Missing => format!("{here} has no .{name}"),
            Attribute::Computed(what) => format!(
                "'{path}.{name}' is a {what}: its value is what code in the process would compute; pyext runs none"
            ),
            Attribute::Opaque => {
                format!("'{path}.{name}' exists and cannot be read: only C code of the process knows its value")
            }
            Attribute::Unknown => {
                format!("'{path}.{name}' cannot be read: the attributes of its class could not be found")
            }
            Attribute::Hooked => format!(
                "{here} has no .{name} that can be read: its class looks attributes up with code of its own, and pyext runs none"
            ),
        }))
    }

    fn look_up(&self, name: &str) -> Result<Attribute> {
        let objects = self.objects;
        match &self.value {
            Value::Object(addr) => objects.look_up(*addr, name),
            Value::Bound { function, receiver } => match name {
                "__func__" | "im_func" => Ok(Attribute::Value(Value::Object(*function))),
                "__self__" | "im_self" => Ok(Attribute::Value(Value::Object(*receiver))),
                "__name__" if objects.type_of(*function)?.kind != Kind::Function => {
                    let name = objects.pointer(*function, &objects.layout.descr.d_name)?;
                    Ok(Attribute::Value(Value::Object(name)))
                }
                _ => objects.look_up(*function, name),
            },
            _ => Ok(Attribute::Opaque),
        }
    }

    /// What a private name may be called: by the class that the frame's code stands in, else by any
    /// class of the object that has it.
    fn private_names(&self, name: &str) -> Vec<String> {
        let mut names: Vec<String> = class_around(self.frame).iter().map(|class| mangled(class, name)).collect();
        if let Value::Object(addr) = self.value {
            names.extend(self.objects.class_names(addr).iter().map(|class| mangled(class, name)));
        }
        names
    }

    fn item(&self, key: &Literal, typed: &str) -> Result<Value> {
        let objects = self.objects;
        let missing = || Error::User(format!("{} has no {}", self.here(), plain(typed)));
        let index = match key {
            Literal::Int(index) => index.to_i128(),
            _ => None,
        };
        let units = |len: usize| {
            let index = index?;
            let index = if index < 0 { index.checked_add(i128::try_from(len).ok()?)? } else { index };
            usize::try_from(index).ok().filter(|i| *i < len.min(limits::DICT_ENTRIES))
        };
        let found = match &self.value {
            Value::Object(addr) => return self.item_of(*addr, key, index, &missing),
            Value::Namespace(addr) => {
                let mut found = None;
                objects.attributes_each(*addr, &*objects.type_of(*addr)?, &mut |at, value| {
                    found = found.or_else(|| equals(objects, at, key).then_some(value));
                    found.is_none()
                })?;
                found.map(Value::Object)
            }
            Value::Text(points) => units(points.len()).map(|i| Value::Text(vec![points[i]])),
            Value::Bytes(bytes) => units(bytes.len()).map(|i| byte(objects, bytes[i])),
            _ => None,
        };
        found.ok_or_else(missing)
    }

    /// The error for an item that code in the process would compute.
    fn computed(&self, what: &str) -> Error {
        Error::User(format!(
            "{}: what is in its brackets is what code in the process would find{what}; pyext runs none",
            self.here()
        ))
    }

    fn item_of(&self, addr: Addr, key: &Literal, index: Option<i128>, missing: &dyn Fn() -> Error) -> Result<Value> {
        let objects = self.objects;
        let mut addr = addr;
        let mut ty = objects.type_of(addr)?;
        if let Some(inner) = objects.proxied(addr, &ty)? {
            addr = inner;
            ty = objects.type_of(addr)?;
        }
        if objects.is_overridden(&ty, "__getitem__")? {
            return Err(self.computed(" (its __getitem__)"));
        }
        let len = match ty.kind {
            Kind::Dict => {
                let mut found = None;
                objects.dict_each(addr, &mut |at, value| {
                    found = found.or_else(|| equals(objects, at, key).then_some(value));
                    found.is_none()
                })?;
                if found.is_none() && objects.is_overridden(&ty, "__missing__")? {
                    return Err(self.computed(" (the key is not there; its __missing__)"));
                }
                return found.map(Value::Object).ok_or_else(missing);
            }
            Kind::List => objects.list(addr, 0)?.1,
            Kind::Tuple => objects.tuple(addr, 0)?.1,
            Kind::Deque => objects.deque(addr, 0)?.1,
            Kind::Str | Kind::Unicode2 => objects.text(addr, 0)?.len,
            Kind::Str2 | Kind::Bytes => objects.raw_bytes(addr, 0)?.1,
            Kind::Bytearray => objects.bytearray(addr, 0)?.1,
            _ => {
                if let Some((start, step, len)) = objects.range(addr, &ty)? {
                    let index = index.ok_or_else(missing)?;
                    let index = if index < 0 { index + len } else { index };
                    let value = step.checked_mul(index).and_then(|offset| start.checked_add(offset));
                    return value.filter(|_| (0..len).contains(&index)).map(Value::Int).ok_or_else(missing);
                }
                return Err(match objects.look_up(addr, "__getitem__")? {
                    Attribute::Missing if ty.kind != Kind::Type => missing(),
                    _ => self.computed(""),
                });
            }
        };
        let index = index.ok_or_else(missing)?;
        let index = if index < 0 { index.saturating_add(len as i128) } else { index };
        let index = usize::try_from(index).ok().filter(|i| *i < len).ok_or_else(missing)?;
        if index >= limits::DICT_ENTRIES {
            return Err(Error::User(format!(
                "{}: pyext looks at the first {} items only",
                self.here(),
                limits::DICT_ENTRIES
            )));
        }
        let item = |items: Vec<Addr>| items.get(index).map(|item| Value::Object(*item));
        let bytes = |bytes: Vec<u8>| bytes.get(index).copied();
        let found = match ty.kind {
            Kind::List => item(objects.list(addr, index + 1)?.0),
            Kind::Tuple => item(objects.tuple(addr, index + 1)?.0),
            Kind::Deque => item(objects.deque(addr, index + 1)?.0),
            Kind::Bytearray => bytes(objects.bytearray(addr, index + 1)?.0).map(|b| Value::Int(i128::from(b))),
            Kind::Str2 | Kind::Bytes => bytes(objects.raw_bytes(addr, index + 1)?.0).map(|b| byte(objects, b)),
            _ => objects.text(addr, index + 1)?.points.get(index).map(|point| Value::Text(vec![*point])),
        };
        found.ok_or_else(missing)
    }
}

/// What `bytes` have at an index: a number, or in Python 2 bytes again.
fn byte(objects: &Objects, byte: u8) -> Value {
    if objects.layout.rules.python2 { Value::Bytes(vec![byte]) } else { Value::Int(i128::from(byte)) }
}

/// Whether the key at `key` is equal to what was typed, as Python compares keys.
fn equals(objects: &Objects, key: Addr, typed: &Literal) -> bool {
    let Ok(kind) = objects.type_of(key).map(|ty| ty.kind) else { return false };
    let python2 = objects.layout.rules.python2;
    match (typed, kind) {
        (Literal::None, kind) => kind == Kind::None,
        (Literal::Int(value), Kind::Int) => objects.integer(key).is_ok_and(|key| key == *value),
        (Literal::Int(value), Kind::Int2 | Kind::Bool) => {
            objects.whole_number(key).is_some_and(|key| Some(key) == value.to_i128())
        }
        (Literal::Int(value), Kind::Float) => {
            objects.float(key).ok().and_then(Integer::from_float).is_some_and(|key| key == *value)
        }
        (Literal::Float(value), Kind::Float) => objects.float(key).is_ok_and(|key| key == *value),
        (Literal::Float(value), Kind::Int | Kind::Int2 | Kind::Bool) => {
            Integer::from_float(*value).is_some_and(|value| equals(objects, key, &Literal::Int(value)))
        }
        (Literal::Text(points), Kind::Str | Kind::Unicode2) => is_text(objects, key, points),
        // Python 2 compares its two kinds of text.
        (Literal::Bytes(bytes), Kind::Unicode2) => {
            is_text(objects, key, &bytes.iter().copied().map(u32::from).collect::<Vec<_>>())
        }
        (Literal::Text(points), Kind::Str2) => {
            let bytes: Option<Vec<u8>> = points.iter().map(|point| u8::try_from(*point).ok()).collect();
            let text: String = points.iter().filter_map(|point| char::from_u32(*point)).collect();
            bytes.is_some_and(|bytes| is_bytes(objects, key, &bytes)) || is_bytes(objects, key, text.as_bytes())
        }
        (Literal::Bytes(bytes), kind) => {
            kind == if python2 { Kind::Str2 } else { Kind::Bytes } && is_bytes(objects, key, bytes)
        }
        (Literal::Tuple(typed), Kind::Tuple) => objects.tuple(key, typed.len()).is_ok_and(|(items, len)| {
            len == typed.len() && items.iter().zip(typed).all(|(item, typed)| equals(objects, *item, typed))
        }),
        _ => false,
    }
}

fn is_text(objects: &Objects, key: Addr, points: &[u32]) -> bool {
    objects.text(key, points.len()).is_ok_and(|text| text.len == points.len() && text.points == points)
}

fn is_bytes(objects: &Objects, key: Addr, bytes: &[u8]) -> bool {
    objects.raw_bytes(key, bytes.len()).is_ok_and(|(key, len)| len == bytes.len() && key == bytes)
}
