//! `py-obj`: everything about one object.

use super::answer::Answering;
use super::attach::Attached;
use super::request::{Request, Response, Which};
use super::room::Room;
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::{Error, Result};
use crate::heap::Census;
use crate::heap::types::TypeId;
use crate::limits;
use crate::objects::text::plain;
use crate::objects::{Kind, Objects};
use crate::process::maps;
use crate::report::object::{Attribute, Collector, Object, Place, object as text};

/// Attributes that are shown where the user asks for no number.
const SHOWN: usize = 50;

/// Answers `py-obj`: of the object at the address that was asked for, or of what the path leads to.
///
/// # Errors
/// [`Error::User`] if there is no object; as [`Census::take`].
pub fn object(attached: &Attached, request: &Request) -> Result<Response> {
    let objects = &attached.objects;
    let options = &request.options;
    let addr = find(attached, request, &Which { name: options.name.clone(), address: options.address })?;
    let stopped = attached.stopped()?;
    let census = stopped.census(objects)?;
    let id = checked(objects, census, addr)?;
    let ty = objects.type_of(addr)?;
    let remarks = Diagnostics::default();
    let repr = objects.repr(addr, request.chars(limits::VALUE_CHARS), request.style());
    let limit = options.limit.unwrap_or(SHOWN).min(limits::CODE_NAMES);
    let mut found = Vec::new();
    let mut total = 0;
    let walked = objects.bounded(|| {
        objects.own_each(addr, &mut |name, value| {
            total += 1;
            if found.len() < limit {
                found.push((name, value));
            }
            true
        })
    });
    if let Err(e) = walked {
        remarks.add(format!("its attributes cannot be read: {e}"), addr.to_string());
    }
    let room = Room::new();
    let mut attributes = Vec::new();
    for (name, value) in found {
        let Some(left) = room.left(objects, &remarks) else { break };
        let shown = objects.repr(value, request.chars(limits::STACK_VALUE_CHARS).min(left), request.style());
        room.take(shown.text.len() + name.len());
        attributes.push(Attribute { name, address: value, value: shown.text, truncated: shown.truncated });
    }
    let references = objects.references(addr);
    let block = id.and_then(|id| census.block(objects, addr, id));
    let gc = objects.collected(addr, &ty).ok().flatten();
    let answer = Object {
        address: addr,
        type_name: super::find::kind_name(objects, addr),
        type_address: ty.addr,
        mro: mro(objects, addr, ty.addr),
        immortal: matches!(references, Ok(None)),
        references: references.ok().flatten(),
        size: size(objects, census, addr, id),
        allocated: block.map(|block| block.size),
        block: block.map(|block| block.addr),
        place: match (block, id) {
            (Some(block), _) if block.pool => Place::Pool,
            _ if census.in_static(addr).is_some() => Place::File,
            (None, Some(_)) if census.has_other_blocks() => Place::Other,
            (_, Some(_)) => Place::Malloc,
            _ if region(objects, addr).is_some_and(|path| path.starts_with('/')) => Place::File,
            _ => Place::Other,
        },
        gc: gc.map(|gc| Collector { tracked: gc.tracked, finalized: gc.finalized, collecting: gc.collecting }),
        value: repr.text,
        truncated: repr.truncated,
        attributes,
        attributes_total: total,
        diagnostics: attached.remarks(&stopped, &remarks),
    };
    Ok(request.respond(&answer, |answer| text(answer, &request.paint)))
}

/// Where the object is that was asked for.
///
/// # Errors
/// As what a path leads to.
pub(super) fn find(attached: &Attached, request: &Request, which: &Which) -> Result<Addr> {
    match (&which.name, which.address) {
        (Some(path), _) => at_path(attached, request, path),
        (None, Some(address)) => Ok(Addr(address)),
        (None, None) => Err(Error::Request("an address or a path is missing".into())),
    }
}

/// The number of the type of the object at `addr`; `None` if it is built into a file.
///
/// # Errors
/// [`Error::User`] if there is no object.
pub(super) fn checked(objects: &Objects, census: &Census, addr: Addr) -> Result<Option<TypeId>> {
    let id = census.find(addr);
    if id.is_none() {
        check(objects, census, addr)?;
    }
    Ok(id)
}

/// The object that a path of `py-print` leads to.
fn at_path(attached: &Attached, request: &Request, path: &str) -> Result<Addr> {
    let answering = Answering::new(attached, request)?;
    let (stack, index) = answering.current()?;
    let objects = &attached.objects;
    let (_, value) = super::path::resolve(objects, &stack.frames[index], path, request.style())?;
    value.address().ok_or_else(|| {
        let text = objects.repr_value(&value, limits::STACK_VALUE_CHARS, request.style()).text;
        let path = plain(path);
        Error::User(format!("'{path}' is no object in the process's memory: Python makes it when asked: {text}"))
    })
}

/// Refuses an address that no object of the census begins at, unless it is one that is built into a file.
fn check(objects: &Objects, census: &Census, addr: Addr) -> Result<()> {
    let no = |why: String| Err(Error::User(format!("There is no object at {addr}{why}.")));
    if let Some((around, id)) = census.around(objects, addr) {
        let info = census.info(id).map(|info| Addr(info.addr));
        let name = info.and_then(|ty| objects.type_at(ty).ok()).map(|ty| objects.class_name(&ty));
        let name = plain(name.as_deref().unwrap_or("object"));
        return no(format!(": it lies inside the object at {around} ({name})"));
    }
    if census.pool(addr).is_some() {
        return no(": it lies in a pool, in a block that holds no object".to_owned());
    }
    if region(objects, addr).is_none() {
        return no(": nothing is mapped there".to_owned());
    }
    let kind = objects.type_of(addr).map(|ty| ty.kind);
    if kind.is_err() || !objects.is_alive(addr) {
        return no(String::new());
    }
    Ok(())
}

/// The path of what is mapped at `addr`.
fn region(objects: &Objects, addr: Addr) -> Option<String> {
    maps::find(&objects.memory.regions(), addr.0).map(|region| region.path.clone())
}

/// `sys.getsizeof`, also of objects that are built into a file: as that of their type.
pub(super) fn size(objects: &Objects, census: &Census, addr: Addr, id: Option<TypeId>) -> Option<u64> {
    if let Some(id) = id {
        return Some(census.size_of(objects, addr, id));
    }
    let ty = objects.type_of(addr).ok()?;
    let same = census.types.iter().position(|(info, _)| info.addr == ty.addr.0).and_then(|i| TypeId::try_from(i).ok());
    match same {
        Some(id) => Some(census.size_of(objects, addr, id)),
        None => (ty.itemsize == 0).then_some(ty.basicsize),
    }
}

/// The names of the type and its bases, in the order in which attributes are looked up.
fn mro(objects: &Objects, addr: Addr, ty: Addr) -> Vec<String> {
    if objects.type_of(addr).is_ok_and(|ty| ty.kind == Kind::OldInstance) {
        return objects.class_names(addr);
    }
    let classes = objects.classes(ty).unwrap_or_default();
    classes.into_iter().filter_map(|class| Some(objects.class_name(&*objects.type_at(class).ok()?))).collect()
}
