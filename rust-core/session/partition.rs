//! The objects that `py-heap` puts into rows: all of them or those that are named, and what tells the rows
//! apart.

use super::attach::{Attached, Stopped};
use super::object;
use super::request::{By, Request};
use crate::bytes::Addr;
use crate::diag::{Diagnostic, Diagnostics};
use crate::error::{Error, Result};
use crate::heap::Census;
use crate::heap::groups::REST;
use crate::heap::kinds::Kind;
use crate::heap::own_sizeof::OwnSizeofs;
use crate::heap::owned::{self, Astray, Owned};
use crate::heap::scan::Tally;
use crate::heap::types::Info;
use crate::limits;
use crate::objects::Objects;
use crate::report::heap::Row;
use crate::runtime::gc;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// Objects of one type, or, by kind, of one kind.
pub(super) struct Part {
    /// What was counted of them.
    pub row: Row,
    /// What the row is called that they go into, if not as their kind.
    pub key: Option<String>,
}

/// The objects that are asked for.
///
/// # Errors
/// As [`Census::take`]; [`crate::error::Error::User`] where an object that is named is not there.
pub(super) fn parts(
    attached: &Attached,
    request: &Request,
    stopped: &Stopped,
    remarks: &Diagnostics,
) -> Result<Vec<Part>> {
    let objects = &attached.objects;
    let census = stopped.census(objects)?;
    let by = request.options.by;
    let with_tables = request.options.allocated || request.options.native;
    if with_tables && !matches!(by, By::Kind | By::Type | By::Module) {
        return Err(Error::User("--allocated and --native go with --by kind, type and module".to_owned()));
    }
    let mut parts = Parts { kinds: Kinds::new(objects), census, all: Vec::new() };
    if !request.options.of.is_empty() {
        parts.named(attached, request, stopped, remarks)?;
        return Ok(parts.all);
    }
    match by {
        By::Kind | By::Type | By::Module => {
            let (owned, astray) = if with_tables { owned::find(objects, census)? } else { Default::default() };
            remarks.extend(nowhere(&astray));
            parts.kinds(by, &owned);
        }
        By::Size => {
            for (info, size, tally) in stopped.sizes(objects)? {
                let key = if *size == REST { "other".to_owned() } else { size.to_string() };
                parts.add(info, tally, Some(key));
            }
        }
        By::Generation => parts.generations(objects, stopped, remarks)?,
    }
    Ok(parts.all)
}

fn nowhere(astray: &Astray) -> Option<Diagnostic> {
    let what = format!("{} objects have tables where nothing is mapped: nothing is counted for these", astray.count);
    let at = astray.places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    (astray.count > 0).then_some(Diagnostic { what, at })
}

/// What all kinds are called of which there are objects: by their types, and by their kinds.
pub(super) fn each_kind<'a>(attached: &'a Attached, census: &'a Census) -> impl Iterator<Item = Named<'a>> + 'a {
    let mut kinds = Kinds::new(&attached.objects);
    census.kinds().map(move |kind| kinds.named(kind))
}

/// A kind of objects, by name.
pub(super) struct Named<'a> {
    /// The kind.
    pub kind: Kind<'a>,
    /// What their type is called.
    pub type_name: String,
    /// What they are called: as their type, or as the dicts of others.
    pub name: String,
    /// Whether their sizes are known.
    pub size_decoded: bool,
}

impl Named<'_> {
    /// What was counted of them; the row is called as the kind, or as the type.
    fn row(&self, by: By) -> Row {
        row(self.name(by).to_owned(), &self.kind.tally, self.size_decoded)
    }

    /// What they are called in a table of kinds, or of types.
    pub fn name(&self, by: By) -> &str {
        if by == By::Kind { &self.name } else { &self.type_name }
    }
}

fn row(kind: String, tally: &Tally, size_decoded: bool) -> Row {
    let Tally { count, size, allocated, tracked, statics } = *tally;
    Row { kind, count, size, size_decoded, allocated, tracked, statics, ..Row::default() }
}

/// That row with what its objects have beside their blocks, where that was asked for.
fn with(row: Row, owned: Option<&Owned>) -> Row {
    let Some(Owned { tables, native, lent }) = owned.copied() else { return row };
    Row { tables: Some(tables), native: Some(native), lent: Some(lent), ..row }
}

/// What types are called, and whether the sizes of their objects are known.
struct Kinds<'a> {
    objects: &'a Objects,
    own_sizeofs: OwnSizeofs<'a>,
    known: HashMap<u64, (String, bool)>,
}

impl<'a> Kinds<'a> {
    fn new(objects: &'a Objects) -> Kinds<'a> {
        Kinds { objects, own_sizeofs: OwnSizeofs::new(objects), known: HashMap::new() }
    }

    fn of(&mut self, info: &Info) -> (String, bool) {
        let Kinds { objects, own_sizeofs, known } = self;
        let make = || (type_name(objects, Addr(info.addr)), !own_sizeofs.is_undecoded(info));
        known.entry(info.addr).or_insert_with(make).clone()
    }

    fn named<'c>(&mut self, kind: Kind<'c>) -> Named<'c> {
        let (type_name, size_decoded) = self.of(kind.info);
        let name = if kind.info.is_dict { self.dict_of(kind.owner) } else { type_name.clone() };
        Named { kind, type_name, name, size_decoded }
    }

    /// The kind of dicts of objects of a type.
    fn dict_of(&mut self, owner: Option<&Info>) -> String {
        owner.map_or_else(|| NO_OWNER.to_owned(), |info| format!("dict of {}", self.of(info).0))
    }
}

/// The name of a type, with its module.
pub(super) fn type_name(objects: &Objects, addr: Addr) -> String {
    objects.type_at(addr).map_or_else(|_| format!("<unreadable type at {addr}>"), |ty| objects.class_name(&ty))
}

/// The name of the module in the full name of a type; of built-in types that of Python 3.
pub(super) fn module(kind: &str) -> String {
    kind.rsplit_once('.').map_or("builtins", |(module, _)| module).to_owned()
}

const NO_OWNER: &str = "dict (no owner)";

struct Parts<'a> {
    kinds: Kinds<'a>,
    census: &'a Census,
    all: Vec<Part>,
}

impl Parts<'_> {
    fn add(&mut self, info: &Info, tally: &Tally, key: Option<String>) {
        let (kind, size_decoded) = self.kinds.of(info);
        self.all.push(Part { row: row(kind, tally, size_decoded), key });
    }

    /// Every kind. A row's name is that of the kind, or of the type. What was `owned` is by the number of the kind.
    fn kinds(&mut self, by: By, owned: &[Owned]) {
        for kind in self.census.kinds() {
            let named = self.kinds.named(kind);
            let row = with(named.row(by), owned.get(kind.number));
            let key = (by == By::Module).then(|| module(&named.type_name));
            self.all.push(Part { row, key });
        }
    }

    fn generations(&mut self, objects: &Objects, stopped: &Stopped, remarks: &Diagnostics) -> Result<()> {
        // Objects are at multiples of 8: the number of the list has room in the address.
        let (members, more) = (RefCell::new(Vec::new()), Cell::new(0u64));
        let lists = Lists::read(objects, stopped, remarks, &|list, addr| {
            let mut members = members.borrow_mut();
            if members.len() < limits::LISTED {
                members.push(addr.0 & !7 | list as u64 & 7);
            } else {
                more.set(more.get() + 1);
            }
        })?;
        if more.get() > 0 {
            let what = format!("{} objects in the collector's lists are too many to be told apart by list", more.get());
            remarks.add(what, "the collector");
        }
        let mut members = members.into_inner();
        members.sort_unstable();
        let groups = Census::grouped(objects, &|record| {
            let after = members.partition_point(|member| *member < record.addr);
            match members.get(after) {
                _ if record.is_static => STATIC,
                _ if !record.tracked => UNTRACKED,
                _ if record.frozen => FROZEN,
                Some(member) if member & !7 == record.addr => member & 7,
                _ => UNLISTED,
            }
        })?;
        let mut found = 0;
        for (info, list, tally) in &groups {
            found += if *list < UNTRACKED { tally.count } else { 0 };
            self.add(info, tally, Some(lists.name(*list)));
        }
        if found < members.len() as u64 {
            let what = format!(
                "{} objects in the collector's lists are not in memory that was counted: they are in no row",
                members.len() as u64 - found
            );
            remarks.add(what, "the collector");
        }
        Ok(())
    }

    /// The objects that were named, each once.
    fn named(
        &mut self,
        attached: &Attached,
        request: &Request,
        stopped: &Stopped,
        remarks: &Diagnostics,
    ) -> Result<()> {
        let (objects, census, by) = (&attached.objects, self.census, request.options.by);
        let mut all = Vec::new();
        for which in &request.options.of {
            let addr = object::find(attached, request, which)?;
            let id = object::checked(objects, census, addr)?;
            if !all.contains(&(addr, id)) {
                all.push((addr, id));
            }
        }
        let generations = RefCell::new(HashMap::new());
        let lists = if by == By::Generation {
            Lists::read(objects, stopped, remarks, &|list, addr| {
                if all.iter().any(|(one, _)| *one == addr) {
                    generations.borrow_mut().insert(addr, list as u64);
                }
            })?
        } else {
            Lists::default()
        };
        let (owned, astray) = if request.options.allocated || request.options.native {
            owned::of_some(objects, census, &all)
        } else {
            Default::default()
        };
        remarks.extend(nowhere(&astray));
        for (i, (addr, id)) in all.iter().enumerate() {
            let ty = objects.type_of(*addr)?;
            let info = id.and_then(|id| census.info(id));
            let size = object::size(objects, census, *addr, *id);
            let gc = objects.collected(*addr, &ty).ok().flatten();
            let tracked = gc.is_some_and(|gc| gc.tracked);
            let block = id.and_then(|id| census.block(objects, *addr, id));
            let tally = Tally {
                count: 1,
                size: size.unwrap_or(0),
                allocated: block.map_or(0, |block| block.size),
                tracked: u64::from(tracked),
                statics: u64::from(census.in_static(*addr).is_some()),
            };
            let (mut kind, decoded) = match info {
                Some(info) => self.kinds.of(info),
                None => (type_name(objects, ty.addr), size.is_some()),
            };
            let key = match by {
                By::Kind if info.is_some_and(|info| info.is_dict) => {
                    kind = self.kinds.dict_of(census.owners.of(addr.0).and_then(|owner| census.info(owner)));
                    None
                }
                By::Kind | By::Type => None,
                By::Module => Some(module(&kind)),
                By::Size => Some(tally.size.to_string()),
                By::Generation => {
                    let other = match gc {
                        Some(gc) if gc.tracked && gc.frozen => FROZEN,
                        Some(gc) if gc.tracked => UNLISTED,
                        _ if tally.statics > 0 => STATIC,
                        _ => UNTRACKED,
                    };
                    Some(lists.name(generations.borrow().get(addr).copied().unwrap_or(other)))
                }
            };
            self.all.push(Part { row: with(row(kind, &tally, decoded), owned.get(i)), key });
        }
        Ok(())
    }
}

/// Numbers of lists that are none.
const UNTRACKED: u64 = 8;
const UNLISTED: u64 = 9;
const FROZEN: u64 = 10;
const STATIC: u64 = 11;

/// The lists of the garbage collector, by name: each interpreter may have its own.
#[derive(Default)]
struct Lists {
    names: Vec<&'static str>,
    /// There are none: objects have flags, and there is one generation (PEP 703).
    flags: bool,
}

impl Lists {
    /// Calls `f` with each object of each list, and the list's number.
    fn read(objects: &Objects, stopped: &Stopped, remarks: &Diagnostics, f: &dyn Fn(usize, Addr)) -> Result<Lists> {
        let names: RefCell<Vec<&'static str>> = RefCell::default();
        let visit = |name: &'static str, addr: Addr| {
            let known = names.borrow().iter().position(|known| *known == name);
            let list = known.unwrap_or_else(|| {
                names.borrow_mut().push(name);
                names.borrow().len() - 1
            });
            f(list, addr);
        };
        // Whatever else is wrong with a collector is what py-gc says.
        let collectors = gc::visit(objects, &stopped.runtime, 0, &Diagnostics::default(), &visit)?;
        for one in &collectors {
            let generations = one.generations.iter().map(|one| (one.name, one.objects.as_ref()));
            for (name, count) in generations.chain([(gc::PERMANENT, one.permanent.as_ref())]) {
                if let Some(why) = count.and_then(|count| count.cut.as_ref()) {
                    remarks.add(format!("the list of {} breaks off: {why}", called(name)), "the collector");
                }
            }
        }
        if collectors.iter().all(|one| one.generations.is_empty()) {
            remarks.add("the collector's lists were not found", "the collector");
        }
        Ok(Lists { names: names.into_inner(), flags: objects.layout.rules.free_threaded })
    }

    fn name(&self, list: u64) -> String {
        match (list, self.names.get(list as usize)) {
            (UNTRACKED, _) => "untracked".to_owned(),
            (FROZEN, _) => gc::PERMANENT.to_owned(),
            (UNLISTED, _) if self.flags => "tracked".to_owned(),
            (STATIC, _) => "static".to_owned(),
            (_, Some(name)) => called(name),
            (_, None) => "tracked, in none of the lists".to_owned(),
        }
    }
}

/// `generation 0`, `old[0]`, `permanent`.
fn called(list: &str) -> String {
    if list.starts_with(|c: char| c.is_ascii_digit()) { format!("generation {list}") } else { list.to_owned() }
}
