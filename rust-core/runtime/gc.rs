//! The state of the garbage collector: its generations and how many objects they hold, what it counted,
//! `gc.garbage`, `gc.callbacks`.
//!
//! The version does not decide where the lists are: 3.14 changed them between patch releases. They are
//! taken where each leads back to itself. Invariant: what was not found or read is `None`, and never
//! zero; a list that cannot be followed to its end says how far it was.

use super::Runtime;
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::{Error, Result};
use crate::layout::{self, GcStats, Slot};
use crate::limits;
use crate::locate::gc_statics::{GcStatics, Shape};
use crate::objects::{Kind, Objects};
use crate::process::chain::Chain;

/// Generations that can be collected.
const GENERATIONS: u64 = 3;

/// A collector: one for all interpreters, or since 3.9 one for each.
#[derive(Debug, Default)]
pub struct Collector {
    /// The interpreter that it belongs to; `None` where all share it.
    pub interpreter: Option<i64>,
    /// Whether it starts by itself.
    pub enabled: Option<bool>,
    /// Whether it collects just now.
    pub collecting: Option<bool>,
    /// The flags of `gc.set_debug()`.
    pub debug: Option<i64>,
    /// The generations, the youngest first.
    pub generations: Vec<Generation>,
    /// What `gc.freeze()` put aside (3.7 and later).
    pub permanent: Option<Count>,
    /// `gc.callbacks` (3.3 and later).
    pub callbacks: Option<List>,
    /// `gc.garbage`.
    pub garbage: Option<List>,
}

/// A generation.
#[derive(Debug)]
pub struct Generation {
    /// What it is called: its number, or CPython's name of the list where it collects incrementally.
    pub name: &'static str,
    /// `threshold`.
    pub threshold: Option<i64>,
    /// `count`: allocations, or collections of the next younger generation.
    pub count: Option<i64>,
    /// The objects in its list.
    pub objects: Option<Count>,
    /// What was counted of its collections (3.4 and later).
    pub stats: Option<Stats>,
}

/// `gc_generation_stats`, as `gc.get_stats()` has it.
#[derive(Debug, Clone, Copy)]
pub struct Stats {
    /// How often it was collected.
    pub collections: i64,
    /// Objects that were freed.
    pub collected: i64,
    /// Objects that were found to be garbage and could not be freed.
    pub uncollectable: i64,
}

/// How many objects a list holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The objects that were met.
    pub objects: u64,
    /// Why there may be more.
    pub cut: Option<String>,
}

/// A Python list that the collector holds.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// Its first items.
    pub items: Vec<Addr>,
    /// How many it has.
    pub len: usize,
}

/// What is done with each object of the lists: the name of its list, and where it is.
pub type Visit<'a> = dyn Fn(&'static str, Addr) + 'a;

/// What the list of objects is called that `gc.freeze()` put aside.
pub const PERMANENT: &str = "permanent";

/// Reads all collectors. Of `gc.garbage` the first `most` objects are taken.
///
/// # Errors
/// [`Error::Interrupted`]; [`Error::User`] where no collector is found.
pub fn read(objects: &Objects, runtime: &Runtime, most: usize, diagnostics: &Diagnostics) -> Result<Vec<Collector>> {
    visit(objects, runtime, most, diagnostics, &|_, _| ())
}

/// The same; calls `visit` with each object of the lists.
///
/// # Errors
/// As [`read`].
pub fn visit(
    objects: &Objects,
    runtime: &Runtime,
    most: usize,
    diagnostics: &Diagnostics,
    visit: &Visit<'_>,
) -> Result<Vec<Collector>> {
    let layout = &objects.layout;
    let reader = Reader { objects, runtime, most, diagnostics, visit };
    if layout.rules.collector == layout::Collector::Statics {
        return Ok(vec![reader.statics()?]);
    }
    if let Ok(offset) = layout.interp.gc.at() {
        let each = runtime.interpreters.iter().rev();
        return each.map(|one| reader.whole(Some(one.id), one.collecting, one.addr + offset)).collect();
    }
    let (Some(addr), Ok(offset)) = (runtime.addr, layout.runtime.gc.at()) else {
        return Err(Error::User("The state of the garbage collector was not found.".into()));
    };
    let collecting = runtime.interpreters.last().and_then(|one| one.collecting);
    Ok(vec![reader.whole(None, collecting, addr + offset)?])
}

struct Reader<'a> {
    objects: &'a Objects,
    runtime: &'a Runtime,
    most: usize,
    diagnostics: &'a Diagnostics,
    visit: &'a Visit<'a>,
}

/// Where the lists of one collector are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lists {
    generations: Addr,
    permanent: Option<Addr>,
}

impl Reader<'_> {
    /// A `_gc_runtime_state`.
    fn whole(&self, interpreter: Option<i64>, collecting: Option<bool>, at: Addr) -> Result<Collector> {
        let (objects, fields) = (self.objects, &self.objects.layout.gc);
        let whose = interpreter.map_or_else(|| "the collector".to_owned(), |id| format!("interpreter {id}"));
        let lists = self.lists(at, collecting == Some(true), &whose);
        // Where the lists are not where they should be, nothing else is.
        let trusted = lists.is_none_or(|(_, moved)| !moved);
        let number = |slot: &Slot| objects.int(at, slot).ok().filter(|_| trusted);
        let list = |slot: &Slot, most, name: &str| {
            let list = objects.pointer(at, slot).and_then(|list| self.list(list, most));
            self.known(list.ok().filter(|_| trusted), name, &whose)
        };
        Ok(Collector {
            interpreter,
            enabled: self.known(number(&fields.enabled), "whether it is enabled", &whose).map(|value| value != 0),
            collecting,
            debug: self.known(number(&fields.debug), "its debug flags", &whose),
            generations: match lists {
                Some((lists, _)) => {
                    let names = self.names(at, lists.generations);
                    let stats =
                        |i| objects.layout.gc.generation_stats.at().ok().and_then(|offset| self.stats(at + offset, i));
                    let stats = |i| if trusted { stats(i) } else { None };
                    self.generations(lists.generations, names, collecting == Some(true), &stats)?
                }
                None => Vec::new(),
            },
            permanent: match lists.and_then(|(lists, _)| lists.permanent) {
                Some(at) => self.count(at, PERMANENT, false)?,
                None => None,
            },
            callbacks: list(&fields.callbacks, limits::GC_CALLBACKS, "gc.callbacks"),
            garbage: list(&fields.garbage, self.most, "gc.garbage"),
        })
    }

    /// Static variables.
    fn statics(&self) -> Result<Collector> {
        let (objects, rules) = (self.objects, &self.objects.layout.rules);
        let memory = &objects.memory;
        let whose = "the collector";
        let size = objects.layout.gc_stats.size.at().ok().map(|size| size * GENERATIONS);
        let found = GcStatics::find(&objects.located.image, memory, self.shape()?, size);
        let number = |at: Option<Addr>| at.and_then(|at| memory.int(at, 4).ok());
        let collecting = self.runtime.interpreters.last().and_then(|one| one.collecting);
        let stats = |i: u64| found.stats.and_then(|at| self.stats(at, i));
        if found.stats.is_none() && rules.gc_stats != GcStats::None {
            self.known(None::<()>, "what it counted of collections", whose);
        }
        // The first variables that are, or can become, a list.
        let mut lists =
            found.lists.iter().filter_map(|at| Some((*at, self.list(memory.pointer(*at).ok()?, self.most).ok()?)));
        let (garbage, callbacks) = (lists.next(), lists.next());
        let named = |i: usize| {
            let list = memory.pointer(found.named_lists[i]?).ok()?;
            self.list(list, self.most).ok()
        };
        let garbage = garbage.map(|(_, list)| list).or_else(|| named(0)).or_else(|| self.of_module("garbage"));
        let callbacks = callbacks.map(|(_, list)| list).or_else(|| named(1)).or_else(|| self.of_module("callbacks"));
        Ok(Collector {
            interpreter: None,
            enabled: self.known(number(found.enabled), "whether it is enabled", whose).map(|value| value != 0),
            collecting,
            debug: self.known(number(found.debug), "its debug flags", whose),
            generations: match self.known(found.generations, "its lists", whose) {
                Some(at) => self.generations(at, NUMBERS, collecting == Some(true), &stats)?,
                None => Vec::new(),
            },
            permanent: None,
            callbacks: if rules.python2 { None } else { self.known(callbacks, "gc.callbacks", whose) },
            garbage: self.known(garbage, "gc.garbage", whose),
        })
    }

    /// Says so where something is not known.
    fn known<T>(&self, value: Option<T>, what: &str, whose: &str) -> Option<T> {
        if value.is_none() {
            self.diagnostics.add(format!("{what}: not known"), whose);
        }
        value
    }

    fn shape(&self) -> Result<Shape> {
        let fields = &self.objects.layout.gc_generation;
        Ok(Shape {
            size: fields.size.at()?,
            head: fields.head.at()?,
            threshold: fields.threshold.at()?,
            count: fields.count.at()?,
            tag: self.objects.layout.rules.gc_link_tag,
        })
    }

    /// Where the lists of the struct at `at` are, and whether that is elsewhere than the layout says.
    fn lists(&self, at: Addr, collecting: bool, whose: &str) -> Option<(Lists, bool)> {
        let (fields, memory) = (&self.objects.layout.gc, &self.objects.memory);
        let shape = self.shape().ok()?;
        let of_layout = || {
            let permanent = fields.permanent_generation.at().ok().map(|offset| at + offset);
            Some(Lists { generations: at + fields.generations.at().ok()?, permanent })
        };
        // A free-threaded build has generations without lists; in a collection the links that lead back
        // are counts.
        if self.objects.layout.rules.free_threaded || collecting {
            return of_layout().map(|lists| (lists, false));
        }
        let fits = |lists: &Lists| {
            shape.fits_all(lists.generations, memory) && lists.permanent.is_none_or(|at| shape.fits(at, memory))
        };
        if let Some(lists) = of_layout().filter(fits) {
            return Some((lists, false));
        }
        let found = (0..fields.size.at().ok()?).step_by(8).find_map(|offset| {
            let generations = at + offset;
            let behind = generations + shape.size * GENERATIONS;
            // Up to 3.13 and in free-threaded builds `generation0` is between.
            let permanent = [behind, behind + 8].into_iter().find(|at| shape.fits(*at, memory))?;
            let lists = Lists { generations, permanent: Some(permanent) };
            fits(&lists).then_some(lists)
        });
        match found {
            Some(lists) => {
                let what = "the lists are not where the layout has them, and were found by their structure: the rest is not known";
                self.diagnostics.add(what, whose);
                Some((lists, true))
            }
            None => {
                // Of a damaged one, what can be followed is shown.
                self.diagnostics.add("not every list leads back to itself: the memory is damaged, or the process was stopped while it changed one", whose);
                of_layout().map(|lists| (lists, false))
            }
        }
    }

    /// What the lists are called.
    fn names(&self, at: Addr, generations: Addr) -> [&'static str; 3] {
        let (objects, fields) = (self.objects, &self.objects.layout.gc);
        let youngest = || {
            let head = self.shape().ok()?.head;
            Some(objects.pointer(at, &fields.generation0).ok()? == generations + head)
        };
        let incremental =
            objects.layout.rules.collector == layout::Collector::MaybeIncremental && youngest() != Some(true);
        if incremental { ["young", "old[0]", "old[1]"] } else { NUMBERS }
    }

    fn generations(
        &self,
        first: Addr,
        names: [&'static str; 3],
        collecting: bool,
        stats: &dyn Fn(u64) -> Option<Stats>,
    ) -> Result<Vec<Generation>> {
        let (objects, fields) = (self.objects, &self.objects.layout.gc_generation);
        let size = fields.size.at()?;
        let generation = |(i, name): (u64, &'static str)| {
            let at = first + i * size;
            Ok(Generation {
                name,
                threshold: objects.int(at, &fields.threshold).ok(),
                count: objects.int(at, &fields.count).ok(),
                objects: self.count(at, name, collecting)?,
                stats: stats(i),
            })
        };
        (0..).zip(names).map(generation).collect()
    }

    /// The numbers of generation `i`, where all are at `at`.
    fn stats(&self, at: Addr, i: u64) -> Option<Stats> {
        let (objects, fields) = (self.objects, &self.objects.layout.gc_stats);
        let size = fields.size.at().ok()?;
        let one = match objects.layout.rules.gc_stats {
            GcStats::None => return None,
            GcStats::Array => at + i * size,
            GcStats::Rings(lengths) => {
                // The index is one byte, and padded.
                let ring = |length: u64| length * size + 8;
                let start = objects.memory.pointer(at).ok()?.non_null()?;
                let start = start + lengths.iter().take(i as usize).map(|length| ring(*length)).sum::<u64>();
                let length = *lengths.get(i as usize)?;
                let newest = objects.memory.uint(start + length * size, 1).ok().filter(|newest| *newest < length)?;
                start + newest * size
            }
        };
        Some(Stats {
            collections: objects.int(one, &fields.collections).ok()?,
            collected: objects.int(one, &fields.collected).ok()?,
            uncollectable: objects.int(one, &fields.uncollectable).ok()?,
        })
    }

    /// Counts the list of the generation at `at`, which has this name.
    fn count(&self, at: Addr, name: &'static str, collecting: bool) -> Result<Option<Count>> {
        let rules = &self.objects.layout.rules;
        if rules.free_threaded {
            return Ok(None);
        }
        let head = at + self.objects.layout.gc_generation.head.at()?;
        let mut chain = Chain::new(&self.objects.memory);
        let visit = |head: Addr| (self.visit)(name, head + rules.before.gc_head);
        follow(&mut |at| chain.pair(at), head, rules.gc_link_tag, !collecting, &visit).map(Some)
    }

    /// The list object at `addr`; the null pointer is a list that was not made yet.
    fn list(&self, addr: Addr, most: usize) -> Result<List> {
        if addr.is_null() {
            return Ok(List::default());
        }
        if self.objects.type_of(addr)?.kind != Kind::List {
            return Err(Error::Corrupt { what: "a list", addr });
        }
        let (items, len) = self.objects.list(addr, most)?;
        Ok(List { items, len })
    }

    /// What the module `gc` has under `name`, if a program has imported it.
    fn of_module(&self, name: &str) -> Option<List> {
        let objects = self.objects;
        let modules = objects.pointer(self.runtime.interpreters.last()?.addr, &objects.layout.interp.modules).ok()?;
        let module = objects.dict_get(modules, "gc").ok()??;
        let dict = objects.pointer(module, &objects.layout.module.md_dict).ok()?;
        self.list(objects.dict_get(dict, name).ok()??, self.most).ok()
    }
}

const NUMBERS: [&str; 3] = ["0", "1", "2"];

/// Follows a list from its head back to its head. `links` gives the two links at an address; `both`:
/// whether each object has to lead back to the one before it. `visit` is called with each of its heads.
fn follow(
    links: &mut dyn FnMut(Addr) -> Result<(u64, u64)>,
    head: Addr,
    tag: u64,
    both: bool,
    visit: &dyn Fn(Addr),
) -> Result<Count> {
    let cut = |objects, why: String| Ok(Count { objects, cut: Some(why) });
    let (mut objects, mut previous) = (0, head);
    let mut at = match links(head) {
        Ok((next, _)) => Addr(next & !tag),
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        Err(e) => return cut(0, e.to_string()),
    };
    // Brent's: a place that is met again is a loop; it moves on after 1, 2, 4, 8 ... steps.
    let (mut marked, mut steps, mut until) = (head, 0u64, 1u64);
    while at != head {
        if !at.is_plausible() {
            return cut(objects, format!("the list leads to {at}, where no object can be"));
        }
        let (next, back) = match links(at) {
            Ok(pair) => pair,
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(e) => return cut(objects, e.to_string()),
        };
        if both && back & !tag != previous.0 {
            return cut(objects, format!("{at} does not lead back to {previous}"));
        }
        if at == marked {
            return cut(objects, format!("the list loops at {at}"));
        }
        objects += 1;
        visit(at);
        if objects >= limits::GC_OBJECTS {
            return cut(objects, "no more are looked at".to_owned());
        }
        steps += 1;
        if steps == until {
            (marked, steps, until) = (at, 0, until * 2);
        }
        (previous, at) = (at, Addr(next & !tag));
    }
    Ok(Count { objects, cut: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A list of heads at these addresses, with tags in their links.
    fn ring(places: &[u64]) -> HashMap<u64, (u64, u64)> {
        let n = places.len();
        let links = |i: usize| (places[(i + 1) % n] | 1, places[(i + n - 1) % n] | 2);
        (0..n).map(|i| (places[i], links(i))).collect()
    }

    fn count(links: &HashMap<u64, (u64, u64)>, both: bool) -> Count {
        let fault = |addr| Error::Fault { addr, cause: crate::error::FaultCause::Unmapped };
        follow(&mut |at| links.get(&at.0).copied().ok_or(fault(at)), Addr(0x1000), 3, both, &|_| ()).unwrap()
    }

    #[test]
    fn a_whole_list() {
        assert_eq!(count(&ring(&[0x1000]), true), Count { objects: 0, cut: None });
        assert_eq!(count(&ring(&[0x1000, 0x5000, 0x3000]), true), Count { objects: 2, cut: None });
    }

    #[test]
    fn lists_that_do_not_end() {
        let places: Vec<u64> = (1..100).map(|i| i * 0x1000).collect();
        for target in 1..99 {
            let mut links = ring(&places);
            links.insert(places[98], (places[target], places[97]));
            let Count { objects, cut } = count(&links, true);
            assert_eq!((objects, cut.is_some()), (98, true), "back to {target}");
            assert!(count(&links, false).cut.unwrap().contains("loops"), "back to {target}");
        }
    }

    #[test]
    fn lists_that_break_off() {
        let mut links = ring(&[0x1000, 0x2000, 0x3000, 0x4000]);
        links.insert(0x3000, (0x8000, 0x2000));
        assert_eq!(
            count(&links, true),
            Count { objects: 2, cut: Some("cannot read memory at 0x8000 (not mapped)".into()) }
        );
        links.insert(0x3000, (1, 0x2000));
        assert_eq!(count(&links, true).objects, 2);
        assert!(count(&links, true).cut.unwrap().contains("0x0"));
    }
}
