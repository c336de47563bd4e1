//! `py-gc`: from the collectors' state to what is shown of it.

use super::attach::Attached;
use super::request::{Request, Response};
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::Result;
use crate::limits;
use crate::report::gc::{Collector, Collectors, Generation, Item, List, Permanent, collectors, debug_flags};
use crate::report::json;
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
    let mut room = limits::ANSWER_CHARS;
    let shown: Vec<Collector> = found.iter().map(|one| collector(attached, request, one, &mut room)).collect();
    if room == 0 {
        remarks.add("the values of this answer are longer than all that is shown: some are left out", "answer");
    }
    if attached.objects.layout.rules.free_threaded {
        let what =
            "a free-threaded build keeps no lists of tracked objects: how many there are in a generation is not known";
        remarks.add(what, "the collector");
    }
    let mut diagnostics = attached.diagnostics.all();
    diagnostics.extend(stopped.diagnostics.all());
    diagnostics.extend(remarks.all());
    let answer = Collectors { collectors: shown, diagnostics };
    let text = if options.json { json::to_ascii(&answer) + "\n" } else { collectors(&answer, &request.paint) };
    Ok(Response { text, ..Response::default() })
}

fn collector(attached: &Attached, request: &Request, one: &gc::Collector, room: &mut usize) -> Collector {
    Collector {
        interpreter: one.interpreter,
        enabled: one.enabled,
        collecting: one.collecting,
        debug: one.debug,
        debug_flags: one.debug.map(debug_flags),
        generations: one.generations.iter().map(generation).collect(),
        permanent: one.permanent.clone().map(|gc::Count { objects, cut }| Permanent { objects, cut }),
        callbacks: one.callbacks.as_ref().map(|list| items(attached, request, list, room)),
        garbage: one.garbage.as_ref().map(|list| items(attached, request, list, room)),
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

fn items(attached: &Attached, request: &Request, list: &gc::List, room: &mut usize) -> List {
    let objects = &attached.objects;
    let chars = request.options.chars.unwrap_or(if request.options.json {
        limits::VALUE_CHARS
    } else {
        limits::STACK_VALUE_CHARS
    });
    let mut item = |addr: &Addr| {
        if *room == 0 {
            return None;
        }
        let repr = objects.repr(*addr, chars.min(limits::VALUE_CHARS_MAX).min(*room), request.style());
        *room = room.saturating_sub(repr.text.len() + 1);
        Some(Item {
            value: repr.text,
            type_name: objects.type_of(*addr).ok().map(|ty| objects.short_type_name(*addr, &ty)),
            address: *addr,
            truncated: repr.truncated,
        })
    };
    List { len: list.len, items: list.items.iter().map_while(&mut item).collect() }
}
