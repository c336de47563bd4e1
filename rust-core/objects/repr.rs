//! Any object as text, within a budget.
//!
//! Built-in values read as Python's own `repr`. Everything else has the form that CPython's gdb
//! script has taught people: `<Foo(a=1) at remote 0x…>`. No recursion: a list nested a million
//! deep, or one that contains itself, costs what the budget allows. An object that cannot be read
//! costs a placeholder.

use super::datetime::Part;
use super::value::Value;
use super::{Kind, Objects, Type, number, text};
use crate::bytes::Addr;
use crate::error::Result;
use crate::limits;
use std::borrow::Cow;
use std::collections::HashSet;
use std::rc::Rc;

/// Whose words to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// Ours: values are shown wherever they can be.
    #[default]
    Pyext,
    /// Those of CPython's own gdb script, of the version that is debugged.
    Stock,
}

/// The text of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repr {
    /// The text; a cut one ends in [`CUT`].
    pub text: String,
    /// Whether it was cut, or something in it is described and not written out.
    pub truncated: bool,
}

/// The mark at the end of a text that was cut.
pub const CUT: &str = "...(truncated)";

pub(super) enum Work {
    Text(Cow<'static, str>),
    Object(Addr),
    /// The value of an instance of a subclass, as if it were of the built-in base.
    Payload(Addr, Rc<Type>),
    /// The attributes of an object, as a dict.
    Namespace(Addr),
    /// The items of a dict.
    Items(Vec<(Addr, Addr)>),
    Leave(Addr),
}

impl From<&'static str> for Work {
    fn from(text: &'static str) -> Work {
        Work::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Work {
    fn from(text: String) -> Work {
        Work::Text(Cow::Owned(text))
    }
}

pub(super) struct Writer<'a> {
    pub(super) objects: &'a Objects,
    pub(super) style: Style,
    out: String,
    chars: usize,
    limit: usize,
    pub(super) work: Vec<Work>,
    pub(super) active: HashSet<Addr>,
    /// A value was described and not written out: an int of a million digits.
    abridged: bool,
}

impl Objects {
    /// The text of the object at `addr`, of at most `limit` characters (and the mark where it is
    /// cut). Never fails: what cannot be read is a placeholder.
    pub fn repr(&self, addr: Addr, limit: usize, style: Style) -> Repr {
        self.written(Work::Object(addr), limit, style)
    }

    /// The text of a value, as [`Objects::repr`] gives that of an object.
    pub fn repr_value(&self, value: &Value, limit: usize, style: Style) -> Repr {
        let python2 = self.layout.rules.python2;
        let text = match value {
            Value::Object(addr) => return self.repr(*addr, limit, style),
            Value::Namespace(addr) => return self.written(Work::Namespace(*addr), limit, style),
            Value::Bound { function, receiver } => self
                .bound_method_repr(*function, *receiver)
                .unwrap_or_else(|_| format!("<unreadable method of {receiver}>")),
            Value::None => "None".to_owned(),
            Value::Bool(value) => if *value { "True" } else { "False" }.to_owned(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => number::repr_float(*value),
            Value::Text(points) if python2 => format!("u{}", text::repr_text(points, true, true)),
            Value::Text(points) => text::repr_text(points, true, false),
            Value::Bytes(bytes) => format!("{}{}", if python2 { "" } else { "b" }, text::repr_bytes(bytes, true)),
        };
        self.written(text.into(), limit, style)
    }

    fn written(&self, work: Work, limit: usize, style: Style) -> Repr {
        let limit = limit.min(limits::VALUE_CHARS_MAX);
        let entries = self.entries_left.replace(limits::REPR_ENTRIES);
        let mut writer = Writer {
            objects: self,
            style,
            out: String::new(),
            chars: 0,
            limit,
            work: vec![work],
            active: HashSet::new(),
            abridged: false,
        };
        let cut = writer.run();
        self.entries_left.set(entries);
        if cut {
            writer.out.push_str(CUT);
        }
        Repr { text: writer.out, truncated: cut || writer.abridged }
    }
}

impl Writer<'_> {
    /// Works until nothing is left or the budget is used up; whether it was.
    fn run(&mut self) -> bool {
        while let Some(work) = self.work.pop() {
            if self.work.len() > limits::REPR_WAITING {
                return true;
            }
            match work {
                Work::Text(text) => {
                    let count = text.chars().count();
                    if self.chars + count > self.limit {
                        let room = self.limit - self.chars;
                        self.out.extend(text.chars().take(room));
                        return true;
                    }
                    self.chars += count;
                    self.out.push_str(&text);
                }
                Work::Leave(addr) => {
                    self.active.remove(&addr);
                }
                Work::Object(addr) => self.object(addr),
                Work::Items(items) => self.dict_items(items),
                Work::Namespace(addr) => {
                    if self.namespace(addr).is_err() {
                        self.then(["<unreadable>".into()]);
                    }
                }
                Work::Payload(addr, ty) => {
                    if self.value(addr, &ty).is_err() {
                        self.then(["<unreadable>".into()]);
                    }
                }
            }
        }
        false
    }

    /// Puts `parts` before everything else that is still to do.
    pub(super) fn then<const N: usize>(&mut self, parts: [Work; N]) {
        self.work.extend(parts.into_iter().rev());
    }

    /// Characters that still fit.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.chars).saturating_add(1)
    }

    /// Characters that still fit beside what is waiting to be written: an item of a container takes
    /// three at least, an entry of a dict six.
    pub(super) fn items_room(&self) -> usize {
        self.room().saturating_sub(self.work.len() / 2)
    }

    fn object(&mut self, addr: Addr) {
        if addr.is_null() {
            return self.then(["0x0".into()]);
        }
        let ty = match self.objects.type_of(addr) {
            Ok(ty) => ty,
            Err(_) => {
                let text = match self.style {
                    Style::Pyext => format!("<unreadable {addr}>"),
                    Style::Stock => format!("<unknown at remote {addr}>"),
                };
                return self.then([text.into()]);
            }
        };
        let known = self.work.len();
        let done = if self.is_plain(&ty) { self.value(addr, &ty) } else { self.instance(addr, &ty) };
        if done.is_err() {
            self.work.truncate(known);
            self.active.remove(&addr);
            let name = &ty.tp_name;
            let text = match self.style {
                Style::Pyext => format!("<unreadable {name} at remote {addr}>"),
                Style::Stock => format!("<{name} at remote {addr}>"),
            };
            self.then([text.into()]);
        }
    }

    /// Whether the object is shown as a value of its built-in type.
    fn is_plain(&self, ty: &Type) -> bool {
        if ty.kind == Kind::OldInstance {
            return false;
        }
        ty.exact && ty.kind != Kind::Object
            || matches!(ty.kind, Kind::Exception | Kind::Type) && (self.style == Style::Pyext || !ty.heap)
            || self.style == Style::Stock && !ty.heap && ty.kind != Kind::Object
    }

    /// Marks `addr` as being written; false if it already is: the object contains itself.
    pub(super) fn enter(&mut self, addr: Addr) -> bool {
        self.active.insert(addr)
    }

    fn items(&mut self, addr: Addr, open: &'static str, items: Vec<Addr>, close: impl Into<Work>) {
        self.work.push(Work::Leave(addr));
        self.work.push(close.into());
        for (i, item) in items.into_iter().enumerate().rev() {
            self.work.push(Work::Object(item));
            if i > 0 {
                self.work.push(", ".into());
            }
        }
        self.work.push(open.into());
    }

    /// What the object says as a value of its built-in type.
    fn value(&mut self, addr: Addr, ty: &Type) -> Result<()> {
        let objects = self.objects;
        let python2 = objects.layout.rules.python2;
        let room = self.room();
        let items = self.items_room();
        if self.style == Style::Stock
            && matches!(
                ty.kind,
                Kind::Float
                    | Kind::Complex
                    | Kind::Bytearray
                    | Kind::Deque
                    | Kind::Date
                    | Kind::Time
                    | Kind::DateTime
                    | Kind::TimeDelta
                    | Kind::TimeZone
                    | Kind::Decimal
                    | Kind::Function
                    | Kind::Method
                    | Kind::Type
                    | Kind::Module
                    | Kind::Cell
                    | Kind::Code
                    | Kind::Generator
                    | Kind::Slice
                    | Kind::Ellipsis
                    | Kind::NotImplemented
                    | Kind::MethodDescriptor
                    | Kind::WrapperDescriptor
            )
        {
            self.then([format!("<{} at remote {addr}>", ty.tp_name).into()]);
            return Ok(());
        }
        let simple: String = match ty.kind {
            Kind::None => "None".into(),
            Kind::Ellipsis => "Ellipsis".into(),
            Kind::NotImplemented => "NotImplemented".into(),
            Kind::Bool => {
                let value = if python2 {
                    objects.uint(addr, &objects.layout.int.ob_ival)? != 0
                } else {
                    objects.integer(addr)?.to_i128() != Some(0)
                };
                if value { "True".into() } else { "False".into() }
            }
            Kind::Int2 => objects.int(addr, &objects.layout.int.ob_ival)?.to_string(),
            Kind::Int => {
                let mut value = objects.integer(addr)?;
                // A division for each pair of digits; small ones are as cheap as any other value.
                let few = value.digits.len() <= 64;
                if !few && !objects.spend(value.digits.len() * value.digits.len()) {
                    value.digits.drain(..value.digits.len() - 1);
                }
                self.abridged |= value.digits.len() < value.len;
                value.decimal() + if python2 { "L" } else { "" }
            }
            Kind::Float => number::repr_float(objects.float(addr)?),
            Kind::Complex => {
                let (real, imaginary) = objects.complex(addr)?;
                number::repr_complex(real, imaginary)
            }
            Kind::Str => {
                let text = objects.text(addr, room)?;
                text::repr_text(&text.points, text.len == text.points.len(), false)
            }
            Kind::Unicode2 => {
                let text = objects.text(addr, room)?;
                format!("u{}", text::repr_text(&text.points, text.len == text.points.len(), true))
            }
            Kind::Str2 | Kind::Bytes => {
                let (bytes, len) = objects.raw_bytes(addr, room)?;
                let prefix = if python2 { "" } else { "b" };
                format!("{prefix}{}", text::repr_bytes(&bytes, len == bytes.len()))
            }
            Kind::Bytearray => {
                let (bytes, len) = objects.bytearray(addr, room)?;
                let complete = len == bytes.len();
                format!("bytearray(b{}{}", text::repr_bytes(&bytes, complete), if complete { ")" } else { "" })
            }
            Kind::Tuple | Kind::List | Kind::Set | Kind::Frozenset | Kind::Deque => {
                return self.container(addr, ty, items / 3 + 1);
            }
            Kind::Dict => return self.dict(addr, items / 6 + 1),
            Kind::Date | Kind::Time | Kind::DateTime | Kind::TimeDelta | Kind::TimeZone => {
                let parts = objects.datetime_repr(addr, ty.kind)?;
                // A zone may be any object, even this one.
                if !self.enter(addr) {
                    self.then([format!("<{} at remote {addr}>", ty.tp_name).into()]);
                    return Ok(());
                }
                self.work.push(Work::Leave(addr));
                self.work.extend(parts.into_iter().rev().map(|part| match part {
                    Part::Text(text) => text.into(),
                    Part::Object(object) => Work::Object(object),
                }));
                return Ok(());
            }
            Kind::Decimal => objects.decimal_repr(addr)?,
            Kind::Exception => return self.exception(addr, ty),
            Kind::Slice => {
                let fields = &objects.layout.slice;
                let part = |slot| objects.pointer(addr, slot).map(Work::Object);
                let (start, stop, step) = (part(&fields.start)?, part(&fields.stop)?, part(&fields.step)?);
                // Code cannot make a slice of itself; damage can.
                if !self.enter(addr) {
                    self.then(["slice(...)".into()]);
                    return Ok(());
                }
                self.work.push(Work::Leave(addr));
                self.then(["slice(".into(), start, ", ".into(), stop, ", ".into(), step, ")".into()]);
                return Ok(());
            }
            Kind::Cell => {
                let value = objects.pointer(addr, &objects.layout.cell.ob_ref)?;
                if value.is_null() {
                    format!("<cell at remote {addr}: empty>")
                } else if self.enter(addr) {
                    self.then([
                        format!("<cell at remote {addr}: ").into(),
                        Work::Object(value),
                        ">".into(),
                        Work::Leave(addr),
                    ]);
                    return Ok(());
                } else {
                    format!("<cell at remote {addr}: ...>")
                }
            }
            _ => self.named(addr, ty)?,
        };
        self.then([simple.into()]);
        Ok(())
    }

    /// Objects that are shown by their name.
    fn named(&self, addr: Addr, ty: &Type) -> Result<String> {
        let objects = self.objects;
        let layout = &objects.layout;
        let name_in = |slot| objects.pointer(addr, slot).and_then(|name| objects.name(name));
        Ok(match ty.kind {
            Kind::Type => objects.type_repr(addr),
            Kind::OldClass => format!("<class {} at remote {addr}>", name_in(&layout.class.cl_name)?),
            Kind::Function => {
                let slot = &layout.function.func_qualname;
                let name = name_in(if slot.exists() { slot } else { &layout.function.func_name })?;
                format!("<function {name} at remote {addr}>")
            }
            Kind::Method => {
                let receiver = objects.pointer(addr, &layout.method.im_self)?;
                let function = objects.pointer(addr, &layout.method.im_func).unwrap_or_default();
                if receiver.is_null() {
                    format!("<unbound method {} at remote {addr}>", objects.callable_name(function))
                } else {
                    objects.bound_method_repr(function, receiver)?
                }
            }
            Kind::CFunction => objects.builtin_repr(addr)?,
            Kind::MethodDescriptor | Kind::WrapperDescriptor => {
                let class = objects.pointer(addr, &layout.descr.d_type)?;
                let word = if ty.kind == Kind::MethodDescriptor { "method" } else { "slot wrapper" };
                let name = name_in(&layout.descr.d_name)?;
                format!("<{word} '{name}' of '{}' objects>", objects.type_at(class)?.tp_name)
            }
            Kind::MethodWrapper => objects.method_wrapper_repr(addr)?,
            Kind::Module => match objects.module_name(addr) {
                Some(name) => format!("<module '{name}' at remote {addr}>"),
                None => format!("<module at remote {addr}>"),
            },
            Kind::Code => {
                let code = objects.code(addr)?;
                let file = code.file.as_ref().map_or_else(|| "?".to_owned(), text::Text::plain);
                format!("<code {}, file \"{file}\", line {}>", code.name, code.firstlineno)
            }
            Kind::Generator => {
                let name = if layout.generator.gi_name.exists() {
                    name_in(&layout.generator.gi_name)?
                } else {
                    objects.code(objects.pointer(addr, &layout.generator.gi_code)?)?.name.clone()
                };
                format!("<{} object {name} at remote {addr}>", ty.tp_name)
            }
            _ => format!("<{} at remote {addr}>", ty.tp_name),
        })
    }

    fn container(&mut self, addr: Addr, ty: &Type, most: usize) -> Result<()> {
        let objects = self.objects;
        let python2 = objects.layout.rules.python2;
        if !self.enter(addr) {
            let cycle: Work = match ty.kind {
                Kind::List => "[...]".into(),
                Kind::Tuple => "(...)".into(),
                Kind::Deque => "[...]".into(),
                _ => format!("{}(...)", ty.name()).into(),
            };
            self.then([cycle]);
            return Ok(());
        }
        let (items, len) = match ty.kind {
            Kind::Tuple => objects.tuple(addr, most)?,
            Kind::List => objects.list(addr, most)?,
            Kind::Deque => objects.deque(addr, most)?,
            _ => objects.set(addr, most)?,
        };
        if ty.kind == Kind::Deque {
            let bound = objects.deque_bound(addr)?.map_or_else(|| "])".to_owned(), |most| format!("], maxlen={most})"));
            self.items(addr, "deque([", items, bound);
            return Ok(());
        }
        let (open, close) = match ty.kind {
            Kind::Tuple => ("(", if len == 1 { ",)" } else { ")" }),
            Kind::List => ("[", "]"),
            Kind::Set if python2 => ("set([", "])"),
            Kind::Frozenset if python2 => ("frozenset([", "])"),
            Kind::Set if len == 0 => ("set(", ")"),
            Kind::Frozenset if len == 0 => ("frozenset(", ")"),
            Kind::Set => ("{", "}"),
            _ => ("frozenset({", "})"),
        };
        self.items(addr, open, items, close);
        Ok(())
    }

    /// The attributes of an object as the dict that Python would make of them.
    fn namespace(&mut self, addr: Addr) -> Result<()> {
        let ty = self.objects.type_of(addr)?;
        let most = self.items_room() / 6 + 1;
        let mut items = Vec::new();
        self.objects.attributes_each(addr, &ty, &mut |key, value| {
            items.push((key, value));
            items.len() < most
        })?;
        // Not marked as being written: the object itself is not.
        self.dict_items(items);
        Ok(())
    }

    fn dict(&mut self, addr: Addr, most: usize) -> Result<()> {
        if !self.enter(addr) {
            self.then(["{...}".into()]);
            return Ok(());
        }
        let (items, _) = self.objects.dict(addr, most)?;
        self.work.push(Work::Leave(addr));
        self.dict_items(items);
        Ok(())
    }

    pub(super) fn dict_items(&mut self, items: Vec<(Addr, Addr)>) {
        self.work.push("}".into());
        for (i, (key, value)) in items.into_iter().enumerate().rev() {
            self.work.extend([Work::Object(value), ": ".into(), Work::Object(key)]);
            if i > 0 {
                self.work.push(", ".into());
            }
        }
        self.work.push("{".into());
    }

    fn exception(&mut self, addr: Addr, ty: &Type) -> Result<()> {
        let objects = self.objects;
        let args = objects.pointer(addr, &objects.layout.exception.args)?;
        let name = match self.style {
            Style::Pyext => ty.name().to_owned(),
            Style::Stock => ty.tp_name.clone(),
        };
        if !self.enter(addr) {
            let cycle = if self.style == Style::Stock { "(...)".to_owned() } else { format!("{name}(...)") };
            self.then([cycle.into()]);
            return Ok(());
        }
        let (items, len) =
            if args.is_null() { (Vec::new(), 0) } else { objects.tuple(args, self.items_room() / 3 + 1)? };
        let comma = len == 1 && (self.style == Style::Stock || objects.layout.rules.exception_comma);
        self.items(addr, "(", items, if comma { ",)" } else { ")" });
        self.then([name.into()]);
        Ok(())
    }
}
