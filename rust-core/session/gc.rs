//! `py-gc`: from the collectors' state to what is shown of it.

use super::attach::Attached;
use super::request::{Request, Response};
use super::room::Room;
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::Result;
use crate::limits;
use crate::objects::Objects;
use crate::report::gc::{Collector, Collectors, Generation, Item, List, Permanent, collectors, debug_flags};
use crate::runtime::gc;

/// Objects of `gc.garbage` that are shown where the user asks for no number.
const GARBAGE: usize = 10;

/// Answers `py-gc`.
///
/// # Errors
/// As [`gc::read`].
pub fn gc(attached: &Attached, request: &Request) -> Result<Response> {
    let stopped = attached.stopped()?;
    let options = &request.options;
    let remarks = Diagnostics::default();
    let most = options.limit.unwrap_or(GARBAGE).min(limits::GC_GARBAGE);
    let found = gc::read(&attached.objects, &stopped.runtime, most, &remarks)?;
    let showing = Showing { objects: &attached.objects, request, room: Room::new(), remarks: &remarks };
    let shown: Vec<Collector> = found.iter().map(|one| showing.collector(one)).collect();
    if attached.objects.layout.rules.free_threaded {
        let what =
            "a free-threaded build keeps no lists of tracked objects: how many there are in a generation is not known";
        remarks.add(what, "the collector");
    }
    let answer = Collectors { collectors: shown, diagnostics: attached.remarks(&stopped, &remarks) };
    Ok(request.respond(&answer, |answer| collectors(answer, &request.paint)))
}

/// What shows the objects of an answer.
struct Showing<'a> {
    objects: &'a Objects,
    request: &'a Request,
    room: Room,
    remarks: &'a Diagnostics,
}

impl Showing<'_> {
    fn collector(&self, one: &gc::Collector) -> Collector {
        Collector {
            interpreter: one.interpreter,
            enabled: one.enabled,
            collecting: one.collecting,
            debug: one.debug,
            debug_flags: one.debug.map(debug_flags),
            generations: one.generations.iter().map(generation).collect(),
            permanent: one.permanent.clone().map(|gc::Count { objects, cut }| Permanent { objects, cut }),
            callbacks: one.callbacks.as_ref().map(|list| self.items(list)),
            garbage: one.garbage.as_ref().map(|list| self.items(list)),
        }
    }

    fn items(&self, list: &gc::List) -> List {
        let default = if self.request.options.json { limits::VALUE_CHARS } else { limits::STACK_VALUE_CHARS };
        let chars = self.request.chars(default);
        let item = |addr: &Addr| {
            let room = self.room.left(self.objects, self.remarks)?;
            let repr = self.objects.repr(*addr, chars.min(room), self.request.style());
            self.room.take(repr.text.len() + 1);
            Some(Item {
                value: repr.text,
                type_name: self.objects.type_of(*addr).ok().map(|ty| self.objects.short_type_name(*addr, &ty)),
                address: *addr,
                truncated: repr.truncated,
            })
        };
        List { len: list.len, items: list.items.iter().map_while(item).collect() }
    }
}

fn generation(one: &gc::Generation) -> Generation {
    Generation {
        name: one.name,
        threshold: one.threshold,
        count: one.count,
        objects: one.objects.as_ref().map(|count| count.objects),
        cut: one.objects.as_ref().and_then(|count| count.cut.clone()),
        collections: one.stats.map(|stats| stats.collections),
        collected: one.stats.map(|stats| stats.collected),
        uncollectable: one.stats.map(|stats| stats.uncollectable),
    }
}
