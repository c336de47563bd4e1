//! Instances as text: `<Foo(a=1) at remote 0x…>`, with the value of a built-in base first, and the
//! few kinds of instances whose fields or order have a better form.

use super::members::Read;
use super::repr::{Style, Work, Writer};
use super::value::Value;
use super::{Kind, Objects, Type};
use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::limits;
use std::rc::Rc;

/// How names of attributes begin that 2.7's OrderedDict, a class written in Python, keeps its order in.
const ORDER: &str = "_OrderedDict__";

impl Writer<'_> {
    /// `<Foo(a=1) at remote 0x…>`.
    pub(super) fn instance(&mut self, addr: Addr, ty: &Rc<Type>) -> Result<()> {
        let objects = self.objects;
        let ours = self.style == Style::Pyext;
        if ours && let Some((name, value)) = objects.enum_member(addr, ty) {
            return self.enum_member(addr, ty, name, value);
        }
        let most = self.items_room() / 4 + 1;
        let mut attributes: Vec<(Work, Addr)> = Vec::new();
        let mut root = None;
        let mut name = ty.tp_name.clone();
        let hides = ours && ty.kind == Kind::Dict && !objects.layout.odict.od_first.exists();
        let mut collect = |key: Addr, value: Addr| {
            let key = match objects.name(key) {
                Ok(name) if hides && name.starts_with(ORDER) => {
                    root = root.or((name.strip_prefix(ORDER) == Some("root")).then_some(value));
                    return true;
                }
                Ok(name) => name.into(),
                // `__dict__` may have keys that are no text.
                Err(_) => Work::Object(key),
            };
            attributes.push((key, value));
            attributes.len() < most
        };
        // Whether there is a place for attributes at all, even an empty one.
        let storage;
        if ty.kind == Kind::OldInstance {
            let class = objects.pointer(addr, &objects.layout.instance.in_class)?;
            name = objects.name(objects.pointer(class, &objects.layout.class.cl_name)?)?;
            let dict = objects.pointer(addr, &objects.layout.instance.in_dict)?;
            storage = !dict.is_null();
            if storage {
                objects.dict_each(dict, &mut collect)?;
            }
        } else {
            // A damaged dict costs the attributes, not the object.
            let walked = objects.attributes_each(addr, ty, &mut collect);
            storage = walked.is_ok() && objects.has_attributes(addr, ty);
            if ours {
                let slots = objects.slots(addr, ty).unwrap_or_default();
                attributes.extend(slots.into_iter().map(|(name, value)| (name.into(), value)));
            }
        }
        let payload = if ours { self.payload(addr, ty, root, most) } else { Vec::new() };
        if (ours || !storage) && attributes.is_empty() && payload.is_empty() {
            self.then([format!("<{name} at remote {addr}>").into()]);
            return Ok(());
        }
        if !self.enter(addr) {
            let cycle = match self.style {
                Style::Pyext => format!("<{name}(...) at remote {addr}>"),
                Style::Stock => "<...>".to_owned(),
            };
            self.then([cycle.into()]);
            return Ok(());
        }
        self.work.push(Work::Leave(addr));
        self.work.push(format!(") at remote {addr}>").into());
        for (i, (attribute, value)) in attributes.into_iter().enumerate().rev() {
            self.work.extend([Work::Object(value), "=".into(), attribute]);
            if i > 0 || !payload.is_empty() {
                self.work.push(", ".into());
            }
        }
        if payload.iter().any(|work| matches!(work, Work::Payload(..))) {
            // The payload's own walk marks the object again: it must not look like a cycle.
            self.active.remove(&addr);
        }
        self.work.extend(payload.into_iter().rev());
        self.work.push(format!("<{name}(").into());
        Ok(())
    }

    /// `<Colour.RED: 1>`, as Python writes it.
    fn enum_member(&mut self, addr: Addr, ty: &Type, name: Addr, value: Addr) -> Result<()> {
        if !self.enter(addr) {
            self.then([format!("<{}(...) at remote {addr}>", ty.tp_name).into()]);
            return Ok(());
        }
        // A combination of flags may have no name.
        let name = self.objects.name(name).map_or_else(|_| String::new(), |name| format!(".{name}"));
        let head = format!("<{}{name}: ", ty.tp_name);
        self.then([head.into(), Work::Object(value), ">".into(), Work::Leave(addr)]);
        Ok(())
    }

    /// What stands before the attributes: the value of a built-in base.
    fn payload(&self, addr: Addr, ty: &Rc<Type>, root: Option<Addr>, most: usize) -> Vec<Work> {
        let objects = self.objects;
        let whole = || vec![Work::Payload(addr, Rc::clone(ty))];
        match ty.kind {
            Kind::Tuple => objects.named_fields(addr, ty, most).map_or_else(whole, |fields| {
                let mut parts = Vec::new();
                for (i, (name, value)) in fields.into_iter().enumerate() {
                    parts.extend([format!("{}{name}=", if i > 0 { ", " } else { "" }).into(), Work::Object(value)]);
                }
                parts
            }),
            Kind::Dict => {
                if let Some(items) = root.and_then(|root| objects.linked_order(addr, root, most).ok()) {
                    return vec![Work::Items(items)];
                }
                match objects.default_factory(addr, ty) {
                    Some(Value::Object(factory)) => {
                        vec![Work::Object(factory), ", ".into(), Work::Payload(addr, Rc::clone(ty))]
                    }
                    Some(_) => vec!["None, ".into(), Work::Payload(addr, Rc::clone(ty))],
                    None => whole(),
                }
            }
            Kind::Object => objects.partial(addr, ty, most).unwrap_or_default(),
            Kind::Int
            | Kind::Int2
            | Kind::Float
            | Kind::Complex
            | Kind::Str
            | Kind::Str2
            | Kind::Unicode2
            | Kind::Bytes
            | Kind::Bytearray
            | Kind::List
            | Kind::Set
            | Kind::Frozenset
            | Kind::Deque
            | Kind::Date
            | Kind::Time
            | Kind::DateTime
            | Kind::TimeDelta
            | Kind::Decimal => whole(),
            _ => Vec::new(),
        }
    }
}

impl Objects {
    /// Whether the type or one of its bases is the C type of that name.
    fn is_c_type(&self, ty: &Type, name: &str) -> bool {
        if !ty.heap && ty.tp_name == name {
            return true;
        }
        let mut at = Some(ty.addr);
        for _ in 0..limits::BASES {
            let Some(ty) = at.and_then(|at| self.type_at(at).ok()) else { return false };
            if ty.tp_name == name {
                return !self.is_python_class(&ty);
            }
            at = ty.base;
        }
        false
    }

    /// Name and value of a member of an `enum.Enum`: `_name_` and `_value_`, by its metaclass.
    pub(super) fn enum_member(&self, addr: Addr, ty: &Type) -> Option<(Addr, Addr)> {
        if !ty.heap {
            return None;
        }
        let mut meta = self.type_of(ty.addr).ok()?;
        let mut steps = 0;
        // `EnumMeta` is called `EnumType` since 3.11.
        while !(matches!(meta.tp_name.as_str(), "EnumMeta" | "EnumType")
            && matches!(self.class_name(&meta).as_str(), "enum.EnumMeta" | "enum.EnumType"))
        {
            steps += 1;
            if !meta.heap || steps > limits::BASES {
                return None;
            }
            meta = self.type_at(meta.base?).ok()?;
        }
        let name = self.own_attribute(addr, ty, "_name_").ok()??;
        let value = self.own_attribute(addr, ty, "_value_").ok()??;
        Some((name, value))
    }

    /// The fields of a named tuple (`_fields` of its class) or of a struct sequence (members that lie
    /// where a tuple has its items).
    fn named_fields(&self, addr: Addr, ty: &Type, most: usize) -> Option<Vec<(String, Addr)>> {
        let (items, len) = self.tuple(addr, most).ok()?;
        let names: Vec<String> = match self.attribute(ty.addr, "_fields").ok()? {
            Some(fields) if self.type_of(fields).ok()?.kind == Kind::Tuple => {
                let (names, count) = self.tuple(fields, most).ok()?;
                if count != len {
                    return None;
                }
                names.into_iter().map(|name| self.name(name).ok()).collect::<Option<_>>()?
            }
            Some(_) => return None,
            None => {
                let first = self.layout.tuple.ob_item.at().ok()?;
                let members = self.members(ty.addr).ok()?;
                let name =
                    |i: u64| members.iter().find(|m| m.offset == first + i * 8).and_then(|m| self.member_name(m).ok());
                (0..items.len() as u64).map(name).collect::<Option<_>>()?
            }
        };
        (len > 0).then(|| names.into_iter().zip(items).collect())
    }

    /// `default_factory` of a `collections.defaultdict`, which follows the dict (_collectionsmodule.c).
    fn default_factory(&self, addr: Addr, ty: &Type) -> Option<Value> {
        if !self.is_c_type(ty, "collections.defaultdict") {
            return None;
        }
        let factory = self.memory.pointer(addr + self.layout.dict.size.at().ok()?).ok()?;
        Some(Value::or_none(factory))
    }

    /// The function and the arguments of a `functools.partial`, as in Python's `repr`.
    fn partial(&self, addr: Addr, ty: &Type, most: usize) -> Option<Vec<Work>> {
        if !self.is_c_type(ty, "functools.partial") {
            return None;
        }
        let mut class = self.type_at(ty.addr).ok()?;
        while class.tp_name != "functools.partial" {
            class = self.type_at(class.base?).ok()?;
        }
        let members = self.members(class.addr).ok()?;
        let member = |name| {
            let member = members.iter().find(|m| self.member_name(m).is_ok_and(|n| n == name))?;
            match self.member(addr, member).ok()? {
                Read::Value(Value::Object(value)) => Some(value),
                _ => None,
            }
        };
        let mut parts = vec![Work::Object(member("func")?)];
        for argument in self.tuple(member("args")?, most).ok()?.0 {
            parts.extend([", ".into(), Work::Object(argument)]);
        }
        // 2.7 has none where there are none.
        if let Some(keywords) = member("keywords")
            && self.type_of(keywords).ok()?.kind == Kind::Dict
        {
            for (key, value) in self.dict(keywords, most).ok()?.0 {
                parts.extend([format!(", {}=", self.name(key).ok()?).into(), Work::Object(value)]);
            }
        }
        Some(parts)
    }

    /// The items of 2.7's OrderedDict in order: a circle of lists [previous, next, key] that begins and
    /// ends at `root` (collections.py).
    fn linked_order(&self, addr: Addr, root: Addr, most: usize) -> Result<Vec<(Addr, Addr)>> {
        let corrupt = || Error::Corrupt { what: "an OrderedDict", addr };
        let mut values = self.by_key(addr)?;
        let link = |at: Addr| match self.type_of(at)?.kind {
            Kind::List => match self.list(at, 3)?.0.as_slice() {
                [_, next, key] => Ok((*next, *key)),
                _ => Err(corrupt()),
            },
            _ => Err(corrupt()),
        };
        let mut items = Vec::new();
        let mut at = link(root)?.0;
        while at != root && items.len() < most {
            let (next, key) = link(at)?;
            // Each key comes once: a circle that does not come back ends here.
            items.push((key, values.remove(&key).ok_or_else(corrupt)?));
            at = next;
        }
        Ok(items)
    }
}
