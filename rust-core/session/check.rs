//! `py-heap --check`: reference counts against the references that were found.

use super::attach::Attached;
use super::partition::type_name;
use super::request::{Request, Response};
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::Result;
use crate::heap::check::{self, Checked};
use crate::report::check::{Check, Example, Row, check as text};
use std::time::Instant;

/// Rows that are shown where the user asks for no number.
const ROWS: usize = 10;

/// Answers `py-heap --check`.
///
/// # Errors
/// As [`check::Check::take`] and [`crate::heap::Census::take`].
pub fn check(attached: &Attached, request: &Request) -> Result<Response> {
    let objects = &attached.objects;
    let stopped = attached.stopped()?;
    let census = stopped.census(objects)?;
    let start = Instant::now();
    let found = check::Check::take(objects, census)?;
    let mut rows: Vec<Row> = census
        .types
        .iter()
        .zip(&found.types)
        .filter(|(_, checked)| checked.mortal > 0)
        .map(|((info, _), checked)| row(attached, info.addr, checked))
        .collect();
    rows.sort_by(|a, b| {
        let key = |row: &Row| (row.counted_less, row.held_outside, row.mortal);
        key(b).cmp(&key(a)).then_with(|| a.kind.cmp(&b.kind))
    });
    let remarks = Diagnostics::default();
    remarks.extend(census.remarks());
    if found.missing > 0 {
        remarks.add(format!("{} bytes of tables of references could not be read", found.missing), "heap");
    }
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum();
    let answer = Check {
        mortal: sum(|row| row.mortal),
        equal: sum(|row| row.equal),
        held_outside: sum(|row| row.held_outside),
        held_static: sum(|row| row.held_static),
        counted_less: sum(|row| row.counted_less),
        references: found.references,
        rows,
        seconds: start.elapsed().as_secs_f64(),
        diagnostics: attached.remarks(&stopped, &remarks),
    };
    let limit = request.options.limit.unwrap_or(ROWS);
    Ok(request.respond(&answer, |answer| text(answer, limit, &request.paint)))
}

fn row(attached: &Attached, ty: u64, checked: &Checked) -> Row {
    let Checked { mortal, equal, more, in_static, fewer, .. } = *checked;
    let examples = checked.fewer_examples.iter().chain(&checked.more_examples).map(|one| Example {
        address: one.addr,
        counted: u64::from(one.count),
        found: u64::from(one.found),
    });
    Row {
        kind: type_name(&attached.objects, Addr(ty)),
        mortal,
        equal,
        held_outside: more,
        held_static: in_static,
        counted_less: fewer,
        examples: examples.collect(),
    }
}
