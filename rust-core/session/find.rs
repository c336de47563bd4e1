//! `py-find`: from the census to the objects that were asked for.
//!
//! Filters run from the cheapest on: the type needs no memory of the target, values and sizes are read in
//! bulk, attributes last.

use super::attach::Attached;
use super::pattern::{Name, Sizes, regex};
use super::request::{Request, Response};
use super::room::Room;
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::{Error, Result};
use crate::heap::contents::{Seen, Texts};
use crate::heap::types::TypeId;
use crate::heap::{Census, one, sizes};
use crate::limits;
use crate::objects::finder::Finder;
use crate::objects::lookup::Attribute;
use crate::objects::repr::Style;
use crate::objects::value::Value;
use crate::objects::{Kind, Objects, Type};
use crate::report::find::{Found, Hit, found};
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

/// Objects that are shown where the user asks for no number.
const SHOWN: usize = 20;
/// Characters of a value in a line.
const CHARS: usize = 80;

/// Answers `py-find`.
///
/// # Errors
/// [`Error::User`] for what makes no sense; as [`Census::take`].
pub fn find(attached: &Attached, request: &Request) -> Result<Response> {
    let options = &request.options;
    let objects = &attached.objects;
    let name = options.type_name.as_deref().filter(|name| !name.is_empty()).map(Name::new).transpose()?;
    let value = options.value.as_deref().map(regex).transpose()?;
    let size = options.size.as_deref().map(Sizes::new).transpose()?;
    let mut attributes = options.attr.iter().map(|typed| Wanted::new(objects, typed)).collect::<Result<Vec<_>>>()?;
    let stopped = attached.stopped()?;
    let census = stopped.census(objects)?;
    let start = Instant::now();
    let remarks = Diagnostics::default();
    remarks.extend(census.remarks());
    let mut types = Types::new(objects, census, name.as_ref(), options.subclasses);
    if value.is_some() {
        types.keep(|kind| {
            matches!(kind, Kind::Str | Kind::Unicode2 | Kind::Str2 | Kind::Bytes | Kind::Int | Kind::Int2 | Kind::Float)
        });
    }
    let limit = options.limit.unwrap_or(SHOWN).min(limits::FOUND);
    let mut hits: Vec<(Addr, TypeId)> = Vec::new();
    let (mut matched, unreadable, mut unknown) = (0u64, Cell::new(0u64), 0u64);
    let mut has_attributes = |addr: Addr, ty: &Type| {
        attributes.iter_mut().all(|wanted| match wanted.is_in(addr, ty, request.style()) {
            Ok(Some(found)) => found,
            Ok(None) => {
                unknown += 1;
                false
            }
            Err(_) => {
                unreadable.update(|count| count + 1);
                false
            }
        })
    };
    let mut hit = |addr: Addr, id: TypeId| {
        matched += 1;
        if hits.len() < limit {
            hits.push((addr, id));
        }
    };
    let missed = objects.searching(|| {
        let mut texts = Texts::new(objects);
        let sizing = sizes::Sizes::new(&objects.layout.fields, &objects.layout.rules);
        if value.is_none() && size.is_none() {
            let mut looked_at = 0u64;
            census.each(&mut |addr, id| {
                let Some(ty) = types.of(objects, addr, id) else { return true };
                if has_attributes(addr, &ty) {
                    hit(addr, id);
                }
                looked_at += 1;
                !looked_at.is_multiple_of(1 << 12) || objects.memory.poll().is_ok()
            });
            return Ok(0);
        }
        let wanted = types.wanted();
        let look = &mut |seen: &Seen<'_>| {
            let Some(ty) = types.of(objects, seen.addr, seen.id) else { return true };
            let has_text = value.as_ref().is_none_or(|regex| {
                let text = texts.of(ty.kind, seen);
                unreadable.update(|count| count + u64::from(text.is_none()));
                text.is_some_and(|text| regex.is_match(text))
            });
            let fits = has_text && size.is_none_or(|range| range.fits(size_of(objects, census, &sizing, seen)));
            if fits && has_attributes(seen.addr, &ty) {
                hit(seen.addr, seen.id);
            }
            true
        };
        census.read_each(objects, &wanted, look)
    })?;
    objects.memory.poll()?;
    if types.are_unknown()
        && let Some(typed) = &options.type_name
    {
        let typed = crate::objects::text::plain(typed);
        remarks.add(format!("no object is of a type called {typed}: py-heap lists the types"), "--type");
    }
    let unreadable = unreadable.get() + missed;
    if unreadable > 0 {
        remarks.add(format!("{unreadable} objects could not be read: some may be missing"), "heap");
    }
    if unknown > 0 {
        let what = "objects have an attribute whose value only code of the process knows: they do not count";
        remarks.add(format!("{unknown} {what}"), "--attr");
    }
    let shown = shown(objects, census, &hits, request, &remarks)?;
    let (seconds, diagnostics) = (start.elapsed().as_secs_f64(), attached.remarks(&stopped, &remarks));
    let answer = Found { matched, objects: shown, seconds, diagnostics };
    Ok(request.respond(&answer, |answer| found(answer, &request.paint)))
}

/// Objects as they are shown, each in a line.
///
/// # Errors
/// [`Error::Interrupted`].
pub(super) fn shown(
    objects: &Objects,
    census: &Census,
    hits: &[(Addr, TypeId)],
    request: &Request,
    remarks: &Diagnostics,
) -> Result<Vec<Hit>> {
    let chars = request.chars(CHARS);
    let room = Room::new();
    let mut shown = Vec::new();
    for (addr, id) in hits {
        objects.memory.poll()?;
        let Some(left) = room.left(objects, remarks) else { break };
        let repr = objects.repr(*addr, chars.min(left), request.style());
        room.take(repr.text.len());
        shown.push(Hit {
            address: *addr,
            type_name: kind_name(objects, *addr),
            size: census.size_of(objects, *addr, *id),
            value: repr.text,
            truncated: repr.truncated,
        });
    }
    Ok(shown)
}

/// The name of the object's class with its module.
pub(super) fn kind_name(objects: &Objects, addr: Addr) -> String {
    match objects.type_of(addr) {
        Ok(ty) if ty.kind == Kind::OldInstance => {
            let class = objects.pointer(addr, &objects.layout.instance.in_class).ok();
            class.and_then(|class| old_name(objects, class)).unwrap_or_else(|| ty.tp_name.clone())
        }
        Ok(ty) => objects.class_name(&ty),
        Err(_) => "<unreadable type>".to_owned(),
    }
}

/// The name of an old Python 2 class, with the module.
fn old_name(objects: &Objects, class: Addr) -> Option<String> {
    let name = objects.pointer(class, &objects.layout.class.cl_name).and_then(|name| objects.name(name)).ok()?;
    let module = objects.class_dict(class).ok().flatten().and_then(|dict| objects.dict_get(dict, "__module__").ok()?);
    Some(match module.and_then(|module| objects.name(module).ok()) {
        Some(module) if module != "__builtin__" => format!("{module}.{name}"),
        _ => name,
    })
}

fn size_of(objects: &Objects, census: &Census, sizing: &sizes::Sizes, seen: &Seen<'_>) -> u64 {
    match census.info(seen.id) {
        Some(info) if seen.pool => {
            one::size(objects, sizing, (seen.id, info), seen.addr, seen.bytes, seen.bytes.len() as u64)
        }
        _ => census.size_of(objects, seen.addr, seen.id),
    }
}

/// Which types are meant.
struct Types<'a> {
    /// By type number.
    types: Vec<Option<Rc<Type>>>,
    /// The type of instances of Python 2's old classes, where these have to be asked for their class.
    old: Option<(TypeId, &'a Name)>,
    classes: HashMap<Addr, bool>,
    /// Whether one of the types has the name, old classes not counted.
    named: bool,
}

impl<'a> Types<'a> {
    fn new(objects: &Objects, census: &Census, name: Option<&'a Name>, subclasses: bool) -> Types<'a> {
        let mut old = None;
        let is_named = |ty: &Type| name.is_none_or(|name| name.fits(&objects.class_name(ty)));
        let mut all = Vec::new();
        for (i, (info, tally)) in census.types.iter().enumerate() {
            let ty = objects.type_at(Addr(info.addr)).ok().filter(|_| tally.count > 0);
            all.push(ty.filter(|ty| {
                if is_named(ty) {
                    return true;
                }
                if let (Kind::OldInstance, Some(name)) = (ty.kind, name) {
                    old = TypeId::try_from(i).ok().map(|id| (id, name));
                    return true;
                }
                let bases = if subclasses { objects.classes(ty.addr).unwrap_or_default() } else { Vec::new() };
                bases.into_iter().any(|base| objects.type_at(base).is_ok_and(|base| is_named(&base)))
            }));
        }
        let of_old = usize::from(old.is_some());
        let named = all.iter().flatten().count() > of_old;
        Types { types: all, old, classes: HashMap::new(), named }
    }

    /// Whether no object's type has the name.
    fn are_unknown(&self) -> bool {
        !self.named && !self.classes.values().any(|fits| *fits)
    }

    fn keep(&mut self, f: impl Fn(Kind) -> bool) {
        for ty in &mut self.types {
            *ty = ty.take().filter(|ty| f(ty.kind));
        }
    }

    /// By type number, whether it is meant.
    fn wanted(&self) -> Vec<bool> {
        self.types.iter().map(Option::is_some).collect()
    }

    /// The type of the object at `addr`, if it is one of those that are meant.
    fn of(&mut self, objects: &Objects, addr: Addr, id: TypeId) -> Option<Rc<Type>> {
        let ty = self.types.get(usize::from(id))?.as_ref()?;
        if let Some((old, name)) = self.old
            && old == id
        {
            let class = objects.pointer(addr, &objects.layout.instance.in_class).ok()?;
            let known = self.classes.get(&class).copied();
            let fits = known.unwrap_or_else(|| old_name(objects, class).is_some_and(|class| name.fits(&class)));
            if known.is_none() && self.classes.len() < limits::TYPES {
                self.classes.insert(class, fits);
            }
            return fits.then(|| Rc::clone(ty));
        }
        Some(Rc::clone(ty))
    }
}

/// An attribute that objects are to have, and its value.
struct Wanted<'a> {
    objects: &'a Objects,
    finder: Finder<'a>,
    value: Option<String>,
}

impl<'a> Wanted<'a> {
    /// `name` or `name=value`.
    fn new(objects: &'a Objects, typed: &str) -> Result<Wanted<'a>> {
        let (name, value) = match typed.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.to_owned())),
            None => (typed.trim(), None),
        };
        if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            let typed = crate::objects::text::plain(typed);
            return Err(Error::User(format!("'{typed}' is no attribute and no ATTRIBUTE=VALUE")));
        }
        Ok(Wanted { objects, finder: Finder::new(objects, name), value })
    }

    /// Whether the object has it; `None` where only code of the process knows.
    fn is_in(&mut self, addr: Addr, ty: &Type, style: Style) -> Result<Option<bool>> {
        let found = self.finder.find(addr, ty)?;
        Ok(match (found, &self.value) {
            (Attribute::Value(value), Some(text)) => Some(self.equals(&value, text, style)),
            (Attribute::Value(_), None) => Some(true),
            (Attribute::Computed(_) | Attribute::Opaque, Some(_)) => None,
            (Attribute::Computed(_) | Attribute::Opaque, None) => Some(true),
            (Attribute::Unset | Attribute::Missing, _) => Some(false),
            (Attribute::Unknown | Attribute::Hooked, _) => None,
        })
    }

    /// Whether a value is the text `text`, or is written so.
    fn equals(&self, value: &Value, text: &str, style: Style) -> bool {
        if let Value::Object(addr) = value
            && let Ok(ty) = self.objects.type_of(*addr)
        {
            match ty.kind {
                Kind::Str | Kind::Unicode2 | Kind::Str2 if self.objects.is_text(*addr, text) => return true,
                Kind::Bytes => {
                    let bytes = self.objects.raw_bytes(*addr, text.len() + 1);
                    if bytes.is_ok_and(|(bytes, _)| bytes == text.as_bytes()) {
                        return true;
                    }
                }
                Kind::Int if ty.exact => {
                    return self.objects.integer(*addr).is_ok_and(|int| int.decimal() == text);
                }
                _ => {}
            }
        }
        let repr = self.objects.repr_value(value, text.chars().count() + 1, style);
        !repr.truncated && repr.text == text
    }
}
