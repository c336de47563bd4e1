//! `py-waste`: room for items that are not there, and classes that could have `__slots__`.

use super::attach::Attached;
use super::heap::pattern;
use super::request::{Request, Response};
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::Result;
use crate::heap::waste::{Container, Roomy, Waste as Found};
use crate::heap::{Census, slots};
use crate::limits;
use crate::objects::Objects;
use crate::report::waste::{Class, Object, Sum, Waste, waste as text};
use std::time::Instant;

/// Rows of each table that are shown where the user asks for no number.
const ROWS: usize = 20;

/// Answers `py-waste`.
///
/// # Errors
/// [`crate::error::Error::User`] for a pattern that is none; as [`Census::take`].
pub fn waste(attached: &Attached, request: &Request) -> Result<Response> {
    let objects = &attached.objects;
    let options = &request.options;
    let pattern = pattern(request)?;
    let stopped = attached.stopped()?;
    let census = stopped.census(objects)?;
    let start = Instant::now();
    let name = |addr: u64| objects.type_at(Addr(addr)).map(|ty| objects.class_name(&ty)).unwrap_or_default();
    let wanted: Vec<bool> = census
        .types
        .iter()
        .map(|(info, _)| pattern.as_ref().is_none_or(|pattern| pattern.is_match(name(info.addr).as_bytes())))
        .collect();
    let limit = options.limit.unwrap_or(ROWS).min(limits::FOUND);
    let found = Found::find(objects, census, &wanted, limit)?;
    let mut classes = objects.searching(|| slots::find(objects, census, &wanted))?;
    let saved = |class: &slots::Slottable| class.now.saturating_sub(class.slots);
    // Ids follow the order in which threads met the types.
    let at = |class: &slots::Slottable| census.info(class.id).map_or(0, |info| info.addr);
    classes.sort_by(|a, b| saved(b).cmp(&saved(a)).then_with(|| at(a).cmp(&at(b))));
    let remarks = Diagnostics::default();
    remarks.extend(census.remarks());
    if found.unreadable > 0 {
        let unreadable = found.unreadable;
        remarks.add(
            format!("{unreadable} objects could not be read, or contradict themselves: they do not count"),
            "heap",
        );
    }
    let sums = Container::ALL.into_iter().zip(found.sums);
    let answer = Waste {
        kinds: sums
            .map(|(kind, sum)| Sum { kind, looked_at: sum.looked_at, objects: sum.objects, wasted: sum.wasted })
            .collect(),
        objects: found.worst.iter().map(|one| object(objects, census, one)).collect(),
        classes_total: classes.len() as u64,
        instances: classes.iter().map(|class| class.instances).sum(),
        saved: classes.iter().map(saved).fold(0, u64::saturating_add),
        classes: classes
            .iter()
            .take(limit)
            .map(|class| {
                let address = Addr(at(class));
                Class {
                    type_name: name(address.0),
                    address,
                    instances: class.instances,
                    looked_at: class.looked_at,
                    attributes: class.names.iter().map(|name| (**name).to_owned()).collect(),
                    now: class.now,
                    slots: class.slots,
                    saved: saved(class),
                }
            })
            .collect(),
        seconds: start.elapsed().as_secs_f64(),
        diagnostics: attached.remarks(&stopped, &remarks),
    };
    Ok(request.respond(&answer, |answer| text(answer, &request.paint)))
}

fn object(objects: &Objects, census: &Census, one: &Roomy) -> Object {
    Object {
        address: one.addr,
        type_name: super::find::kind_name(objects, one.addr),
        kind: one.container,
        size: census.size_of(objects, one.addr, one.id),
        items: one.items,
        room: one.room,
        wasted: one.wasted,
    }
}
