//! `py-heap --save`: the census into a file that the user names.

use super::attach::Attached;
use super::partition::each_type;
use super::request::{Request, Response};
use crate::diag::Diagnostics;
use crate::error::Result;
use crate::heap::snapshot::{self, Head, Kind, Origin, Saved};
use crate::image::elf::hex;
use crate::report::difference::{Saving, saving};
use std::cmp::Reverse;
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
    let mut rows: Vec<_> = each_type(attached, census).collect();
    // Small numbers for those that most objects have: they take a byte less.
    rows.sort_by_key(|(_, row)| Reverse(row.count));
    let mut numbers = vec![None; census.types.len()];
    for (number, (i, _)) in (0..).zip(&rows) {
        numbers[*i] = Some(number);
    }
    let kind = |(i, row): (usize, crate::report::heap::Row)| Kind {
        addr: census.types.get(i).map_or(0, |(info, _)| info.addr),
        name: row.kind,
        count: row.count,
        size: row.size,
    };
    let head = Head {
        saved: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs()),
        origin: origin(attached)?,
        types: rows.into_iter().map(kind).collect(),
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
