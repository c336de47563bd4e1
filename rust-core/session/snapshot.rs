//! `py-heap --save`: the census into a file that the user names.

use super::attach::Attached;
use super::partition::{Named, each_kind};
use super::request::{Request, Response};
use crate::diag::Diagnostics;
use crate::error::Result;
use crate::heap::snapshot::{self, Head, Kind, Origin, Saved, Type};
use crate::heap::types::TypeId;
use crate::image::elf::hex;
use crate::report::difference::{Saving, saving};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Answers `py-heap --save`.
///
/// # Errors
/// As [`snapshot::save`] and [`crate::heap::Census::take`].
pub fn save(attached: &Attached, request: &Request, path: &Path) -> Result<Response> {
    let stopped = attached.stopped()?;
    let memory = &attached.objects.memory;
    let census = stopped.census(&attached.objects)?;
    let start = Instant::now();
    let mut all: Vec<_> = each_kind(attached, census).collect();
    // Small numbers for those that most objects have: they take a byte less.
    all.sort_by_key(|named| Reverse(named.kind.tally.count));
    let mut numbers = vec![None; census.kind_numbers()];
    let mut types = Vec::new();
    let mut type_numbers: HashMap<TypeId, usize> = HashMap::new();
    let mut kinds = Vec::new();
    for (number, Named { kind, type_name, name, .. }) in (0..).zip(all) {
        numbers[kind.number] = Some(number);
        let type_number = *type_numbers.entry(kind.id).or_insert_with(|| {
            types.push(Type { addr: kind.info.addr, name: type_name.clone() });
            types.len() - 1
        });
        let name = (name != type_name).then_some(name);
        kinds.push(Kind { type_number, name, count: kind.tally.count, size: kind.tally.size });
    }
    let head = Head {
        saved: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        origin: origin(attached)?,
        types,
        kinds,
    };
    let Saved { objects, bytes } = snapshot::save(path, &head, census, &numbers, &|| memory.poll())?;
    let remarks = Diagnostics::default();
    remarks.extend(census.remarks());
    let answer = Saving {
        file: path.display().to_string(),
        objects,
        bytes,
        seconds: start.elapsed().as_secs_f64(),
        diagnostics: attached.remarks(&stopped, &remarks),
    };
    Ok(request.respond(&answer, saving))
}

/// Which process this is.
///
/// # Errors
/// As [`Attached::stopped`].
pub fn origin(attached: &Attached) -> Result<Origin> {
    let (located, description) = (attached.located(), &attached.description);
    Ok(Origin {
        pid: description.pid.or_else(|| attached.core.as_ref().and_then(|core| core.pid)),
        core: description.core.clone(),
        python: located.version.to_string(),
        build_id: located.image.build_id.as_deref().map(hex),
        bias: located.image.bias,
        guard: attached.stopped()?.runtime.stack_guard(&attached.objects),
    })
}
