//! `py-heap`: from the census to the rows that are shown.

use super::attach::Attached;
use super::pattern::{compile, reason};
use super::request::{By, Request, Response, Sort};
use crate::bytes::Addr;
use crate::diag::{Diagnostic, Diagnostics};
use crate::error::{Error, Result};
use crate::heap::Census;
use crate::heap::own_sizeof::OwnSizeofs;
use crate::heap::scan::Tally;
use crate::heap::types::Info;
use crate::objects::Objects;
use crate::report::heap::{Partition, Row, partition};
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
    let stopped = attached.stopped()?;
    let census = stopped.census(&attached.objects)?;
    let options = &request.options;
    let pattern = options.type_name.as_deref().map(compile).transpose();
    let pattern = pattern.map_err(|e| Error::User(format!("--type: {}", reason(&e))))?;
    let mut rows = merged(rows(attached, census, options.by == By::Kind));
    rows.retain(|row| pattern.as_ref().is_none_or(|pattern| pattern.is_match(row.kind.as_bytes())));
    let undecoded = undecoded(&rows);
    let mut rows = match options.by {
        By::Kind | By::Type => rows,
        By::Module => merged(rows.into_iter().map(|row| Row { kind: module(&row.kind).to_owned(), ..row })),
    };
    match options.sort {
        Sort::Size => rows.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.kind.cmp(&b.kind))),
        Sort::Count => rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.kind.cmp(&b.kind))),
        Sort::Kind => rows.sort_by(|a, b| a.kind.cmp(&b.kind)),
    }
    let remarks = Diagnostics::default();
    remarks.extend(census.remarks());
    remarks.extend(undecoded);
    let answer = Partition {
        objects: rows.iter().map(|row| row.count).sum(),
        bytes: rows.iter().map(|row| row.size).fold(0, u64::saturating_add),
        by: match options.by {
            By::Kind => "kind",
            By::Type => "type",
            By::Module => "module",
        },
        rows,
        counted: census.types.iter().map(|(_, tally)| tally.count).sum(),
        seconds: census.time.as_secs_f64(),
        own_bytes: census.footprint(),
        diagnostics: attached.remarks(&stopped, &remarks),
    };
    let limit = options.limit.unwrap_or(ROWS);
    Ok(request.respond(&answer, |answer| partition(answer, options.skip, limit, &request.paint)))
}

/// A remark on the kinds whose sizes are not all that `sys.getsizeof` says.
fn undecoded(rows: &[Row]) -> Option<Diagnostic> {
    let mut kinds: Vec<_> = rows.iter().filter(|row| !row.size_decoded).map(|row| row.kind.as_str()).collect();
    kinds.sort_unstable();
    let more = kinds.len().saturating_sub(UNDECODED);
    kinds.truncate(UNDECODED);
    let at = kinds.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = "the sizes of these kinds (~) leave out what their own __sizeof__ adds".to_owned();
    (!kinds.is_empty()).then_some(Diagnostic { what, at })
}

/// The module in the full name of a type; of built-in types that of Python 3.
fn module(kind: &str) -> &str {
    kind.rsplit_once('.').map_or("builtins", |(module, _)| module)
}

/// A row for each type; with `owned`, dicts have one for each type of owner.
fn rows(attached: &Attached, census: &Census, owned: bool) -> Vec<Row> {
    let objects = &attached.objects;
    let mut own_sizeofs = OwnSizeofs::new(objects);
    let mut rows = Vec::new();
    for (info, tally) in census.types.iter().filter(|(_, tally)| tally.count > 0) {
        let mut row = |kind: String, tally: &Tally, size_decoded: bool| {
            let Tally { count, size, allocated, tracked } = *tally;
            rows.push(Row { kind, count, size, size_decoded, allocated, tracked });
        };
        if !(owned && info.is_dict) {
            row(type_name(objects, info), tally, !own_sizeofs.is_undecoded(info));
            continue;
        }
        let mut rest = *tally;
        for (owner, tally) in &census.owners.tallies {
            rest.subtract(tally);
            let owner = census.info(*owner).map_or_else(String::new, |info| type_name(objects, info));
            row(format!("dict of {owner}"), tally, true);
        }
        if rest.count > 0 {
            row("dict (no owner)".to_owned(), &rest, true);
        }
    }
    rows
}

/// The name of a type, with its module.
fn type_name(objects: &Objects, info: &Info) -> String {
    let addr = Addr(info.addr);
    objects.type_at(addr).map_or_else(|_| format!("<unreadable type at {addr}>"), |ty| objects.class_name(&ty))
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
                sum.tracked += row.tracked;
            }
        }
    }
    all.into_values().collect()
}
