//! `py-heap`: from the census to the rows that are shown.

use super::attach::Attached;
use super::request::{By, Request, Response, Sort};
use crate::bytes::Addr;
use crate::error::Result;
use crate::heap::Census;
use crate::report::heap::{Partition, Row, partition};
use crate::report::json;
use std::collections::HashMap;

/// Rows that are shown where the user asks for no number, as guppy shows.
const ROWS: usize = 10;

/// Answers `py-heap`.
///
/// # Errors
/// As [`Census::take`].
pub fn heap(attached: &Attached, request: &Request) -> Result<Response> {
    let stopped = attached.stopped()?;
    let census = stopped.census(&attached.objects)?;
    let options = &request.options;
    let mut rows = by_type(attached, census);
    match options.sort {
        Sort::Size => rows.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.kind.cmp(&b.kind))),
        Sort::Count => rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind))),
        Sort::Kind => rows.sort_by(|a, b| a.kind.cmp(&b.kind)),
    }
    let mut diagnostics = attached.diagnostics.all();
    diagnostics.extend(stopped.diagnostics.all());
    diagnostics.extend(census.remarks());
    let answer = Partition {
        objects: rows.iter().map(|row| row.count).sum(),
        bytes: rows.iter().map(|row| row.size).fold(0, u64::saturating_add),
        by: match options.by {
            By::Type => "type",
        },
        rows,
        seconds: census.time.as_secs_f64(),
        own_bytes: census.footprint(),
        diagnostics,
    };
    let text = if options.json {
        json::to_ascii(&answer) + "\n"
    } else {
        partition(&answer, options.skip, options.limit.unwrap_or(ROWS), &request.paint)
    };
    Ok(Response { text, ..Response::default() })
}

/// Types that have one name are one row.
fn by_type(attached: &Attached, census: &Census) -> Vec<Row> {
    let objects = &attached.objects;
    let mut rows: HashMap<String, Row> = HashMap::new();
    for (info, tally) in census.types.iter().filter(|(_, tally)| tally.count > 0) {
        let ty = objects.type_at(Addr(info.addr));
        let kind =
            ty.map_or_else(|_| format!("<unreadable type at {}>", Addr(info.addr)), |ty| objects.class_name(&ty));
        let row = rows.entry(kind.clone()).or_insert(Row { kind, ..Row::default() });
        row.count += tally.count;
        row.size = row.size.saturating_add(tally.size);
        row.allocated += tally.allocated;
        row.tracked += tally.tracked;
    }
    rows.into_values().collect()
}
