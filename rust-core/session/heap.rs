//! `py-heap`: from the census to the rows that are shown.

use super::attach::Attached;
use super::difference::difference;
use super::partition::{Part, parts};
use super::pattern::{compile, reason};
use super::request::{By, Request, Response, Sort};
use super::snapshot;
use crate::diag::{Diagnostic, Diagnostics};
use crate::error::{Error, Result};
use crate::heap::Census;
use crate::heap::usage::SizeClass;
use crate::report::heap::{Partition, Pools, Row, partition};
use regex::bytes::Regex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Rows that are shown where the user asks for no number, as guppy shows.
const ROWS: usize = 10;

/// Kinds that one remark names.
const UNDECODED: usize = 20;

/// Answers `py-heap`.
///
/// # Errors
/// As [`Census::take`].
pub fn heap(attached: &Attached, request: &Request) -> Result<Response> {
    let options = &request.options;
    if let Some(path) = &options.save {
        return snapshot::save(attached, request, path);
    }
    if let Some(path) = &options.diff {
        return difference(attached, request, path);
    }
    let stopped = attached.stopped()?;
    let census = stopped.census(&attached.objects)?;
    let pattern = pattern(request)?;
    let remarks = Diagnostics::default();
    let mut parts = parts(attached, request, &stopped, &remarks)?;
    parts.retain(|part| pattern.as_ref().is_none_or(|pattern| pattern.is_match(part.row.kind.as_bytes())));
    let undecoded = undecoded(parts.iter().map(|Part { row, .. }| (row.kind.as_str(), row.size_decoded)));
    let called = |Part { row, key }: Part| Row { kind: key.unwrap_or(row.kind), ..row };
    let mut rows = merged(parts.into_iter().map(called));
    match options.sort {
        Sort::Size => rows.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.kind.cmp(&b.kind))),
        Sort::Count => rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind))),
        // Numbers in their order.
        Sort::Kind if options.by == By::Size => rows.sort_by_key(|row| row.kind.parse().unwrap_or(u64::MAX)),
        Sort::Kind => rows.sort_by(|a, b| a.kind.cmp(&b.kind)),
    }
    remarks.extend(census.remarks());
    remarks.extend(undecoded);
    let answer = Partition {
        objects: rows.iter().map(|row| row.count).sum(),
        bytes: rows.iter().map(|row| row.size).fold(0, u64::saturating_add),
        by: options.by.name(),
        rows,
        counted: census.types.iter().map(|(_, tally)| tally.count).sum(),
        pools: pools(census, attached.objects.layout.rules.pool),
        seconds: census.time.as_secs_f64(),
        own_bytes: census.footprint(),
        diagnostics: attached.remarks(&stopped, &remarks),
    };
    let limit = options.limit.unwrap_or(ROWS);
    Ok(request.respond(&answer, |answer| {
        partition(answer, (options.allocated, options.native), options.skip, limit, &request.paint)
    }))
}

/// How full the pools are.
fn pools(census: &Census, pool_bytes: usize) -> Vec<Pools> {
    let class = |class: SizeClass| {
        let SizeClass { size, pools, used, available } = class;
        Pools { size, pools, used, available, bytes: used.saturating_mul(size) }
    };
    census.usage(pool_bytes).into_iter().map(class).collect()
}

/// A remark on those kinds, each with whether its sizes are known, whose sizes are not all that `sys.getsizeof` says.
pub(super) fn undecoded<'a>(kinds: impl Iterator<Item = (&'a str, bool)>) -> Option<Diagnostic> {
    let mut kinds: Vec<_> = kinds.filter(|(_, decoded)| !decoded).map(|(name, _)| name).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let more = kinds.len().saturating_sub(UNDECODED);
    kinds.truncate(UNDECODED);
    let at = kinds.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = "the sizes of these kinds (~) leave out what their own __sizeof__ adds".to_owned();
    (!kinds.is_empty()).then_some(Diagnostic { what, at })
}

/// What `--type` says.
///
/// # Errors
/// [`Error::User`].
pub(super) fn pattern(request: &Request) -> Result<Option<Regex>> {
    let pattern = request.options.type_name.as_deref().map(compile).transpose();
    pattern.map_err(|e| Error::User(format!("--type: {}", reason(&e))))
}

/// Rows of one kind become one.
fn merged(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    let mut all: HashMap<String, Row> = HashMap::new();
    for row in rows {
        match all.entry(row.kind.clone()) {
            Entry::Vacant(place) => drop(place.insert(row)),
            Entry::Occupied(mut sum) => {
                let sum = sum.get_mut();
                sum.count += row.count;
                sum.size_decoded &= row.size_decoded;
                sum.size = sum.size.saturating_add(row.size);
                sum.allocated += row.allocated;
                for (sum, more) in
                    [(&mut sum.tables, row.tables), (&mut sum.lent, row.lent), (&mut sum.native, row.native)]
                {
                    *sum = sum.zip(more).map(|(sum, more)| sum.saturating_add(more));
                }
                sum.tracked += row.tracked;
                sum.statics += row.statics;
            }
        }
    }
    all.into_values().collect()
}
