//! `py-heap --diff`: the census beside one that was saved.

use super::attach::Attached;
use super::find::shown;
use super::heap::{pattern, undecoded};
use super::partition::{Named, each_kind, module};
use super::request::{By, Request, Response, Sort};
use super::snapshot::origin;
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::{Error, Result};
use crate::heap::Census;
use crate::heap::snapshot::{Head, Origin, Snapshot};
use crate::heap::types::TypeId;
use crate::limits;
use crate::process::Cache;
use crate::report::difference::{Change, Difference, Then, difference as text};
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

/// Rows, and new objects, that are shown where the user asks for no number.
const ROWS: usize = 10;

/// Answers `py-heap --diff`.
///
/// # Errors
/// As [`Snapshot::open`] and [`Census::take`].
pub fn difference(attached: &Attached, request: &Request, path: &Path) -> Result<Response> {
    let objects = &attached.objects;
    let options = &request.options;
    let pattern = pattern(request)?;
    if !matches!(request.options.by, By::Kind | By::Type | By::Module) {
        let what = "--diff compares by kind, by type and by module: what else there was is not in the file";
        return Err(Error::User(what.to_owned()));
    }
    let mut then = Snapshot::open(path, &|| objects.memory.poll())?;
    let stopped = attached.stopped()?;
    let census = stopped.census(objects)?;
    let start = Instant::now();
    let is_wanted = |name: &str| pattern.as_ref().is_none_or(|pattern| pattern.is_match(name.as_bytes()));
    let kinds: Vec<_> = each_kind(attached, census).filter(|named| is_wanted(named.name(options.by))).collect();
    let remarks = Diagnostics::default();
    remarks.extend(census.remarks());
    remarks.extend(undecoded(kinds.iter().map(|named| (named.name(options.by), named.size_decoded))));
    let mut changes = Changes::new(options.by, census.kind_numbers());
    changes.count_now(&kinds);
    changes.count_then(&then.head, &kinds, &is_wanted);
    let Changes { mut rows, matched, .. } = changes;
    let here = origin(attached)?;
    let same_process = here.is_same(&then.head.origin);
    let limit = options.limit.unwrap_or(ROWS).min(limits::FOUND);
    let mut new = New { matched, limit, room: limits::FOUND * 16, found: vec![Vec::new(); rows.len()] };
    if same_process {
        new.find(census, &mut then, &mut rows, &objects.memory)?;
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| compare(options.sort, &rows[*a], &rows[*b]));
    if let Some(remark) = remark(&here, &then.head.origin, same_process) {
        remarks.add(remark, path.display().to_string());
    }
    let new_objects = shown(objects, census, &new.some(&order), request, &remarks)?;
    let Origin { pid, core, python, .. } = then.head.origin;
    let rows: Vec<Change> = order.into_iter().map(|i| rows[i].clone()).collect();
    let answer = Difference {
        then: Then { file: path.display().to_string(), saved: then.head.saved, pid, core, python },
        same_process,
        by: options.by.name(),
        total: rows.iter().fold(Change::default(), sum),
        rows,
        new_objects,
        seconds: start.elapsed().as_secs_f64(),
        diagnostics: attached.remarks(&stopped, &remarks),
    };
    Ok(request.respond(&answer, |answer| text(answer, options.skip, limit, &request.paint)))
}

/// What there is to know of the process of a snapshot, if it is not just the one that is looked at.
fn remark(here: &Origin, then: &Origin, same_process: bool) -> Option<String> {
    if !same_process {
        let known = here.guard.is_some() && then.guard.is_some();
        let what = if known { "the snapshot is of another process" } else { "it is not known which process this is" };
        return Some(format!("{what}: only numbers and sizes are compared, addresses tell nothing"));
    }
    let (here, then) = here.pid.zip(then.pid).filter(|(here, then)| here != then)?;
    Some(format!(
        "the snapshot is of process {then}, and this is process {here}: if one is a fork of the other, objects that both \
         have made at one place count as old"
    ))
}

fn compare(sort: Sort, a: &Change, b: &Change) -> std::cmp::Ordering {
    let by_size = || b.grown().cmp(&a.grown());
    let by_count = || b.more().cmp(&a.more());
    let first = match sort {
        Sort::Size => by_size().then_with(by_count),
        Sort::Count => by_count().then_with(by_size),
        Sort::Kind => std::cmp::Ordering::Equal,
    };
    first.then_with(|| a.kind.cmp(&b.kind))
}

fn sum(mut sum: Change, row: &Change) -> Change {
    let add = |a: Option<u64>, b: Option<u64>| b.map(|b| a.unwrap_or(0).saturating_add(b));
    sum.count = sum.count.saturating_add(row.count);
    sum.count_then = sum.count_then.saturating_add(row.count_then);
    sum.size = sum.size.saturating_add(row.size);
    sum.size_then = sum.size_then.saturating_add(row.size_then);
    sum.new = add(sum.new, row.new);
    sum.gone = add(sum.gone, row.gone);
    sum
}

/// The kinds of the heap beside those of the snapshot.
struct Matched {
    /// By the number of a kind, its number in the snapshot.
    numbers: Vec<Option<usize>>,
    /// By the number of a kind, the row.
    now: Vec<Option<usize>>,
    /// By the number of a kind in the snapshot, the row.
    then: Vec<Option<usize>>,
}

/// Rows, and where the row of a kind is.
struct Changes {
    by: By,
    rows: Vec<Change>,
    places: HashMap<String, usize>,
    matched: Matched,
}

impl Changes {
    fn new(by: By, numbers: usize) -> Changes {
        let matched = Matched { numbers: vec![None; numbers], now: vec![None; numbers], then: Vec::new() };
        Changes { by, rows: Vec::new(), places: HashMap::new(), matched }
    }

    /// The row of the kind or the type of this name.
    fn at(&mut self, name: &str) -> usize {
        let key = if self.by == By::Module { module(name) } else { name.to_owned() };
        let rows = &mut self.rows;
        *self.places.entry(key).or_insert_with_key(|kind| {
            rows.push(Change { kind: kind.clone(), ..Change::default() });
            rows.len() - 1
        })
    }

    fn count_now(&mut self, kinds: &[Named<'_>]) {
        for named in kinds {
            let at = self.at(named.name(self.by));
            self.matched.now[named.kind.number] = Some(at);
            let (change, tally) = (&mut self.rows[at], &named.kind.tally);
            change.count = change.count.saturating_add(tally.count);
            change.size = change.size.saturating_add(tally.size);
        }
    }

    /// Counts what the snapshot has of the kinds that are wanted, and matches its kinds with those of now.
    fn count_then(&mut self, then: &Head, now: &[Named<'_>], is_wanted: &dyn Fn(&str) -> bool) {
        let numbers = now.iter().map(|Named { kind, type_name, name, .. }| {
            ((kind.info.addr, type_name.as_str(), name.as_str()), kind.number)
        });
        let numbers: HashMap<_, _> = numbers.collect();
        for (number, kind) in then.kinds.iter().enumerate() {
            let ty = then.type_of(kind);
            let kind_name = kind.name.as_ref().unwrap_or(&ty.name);
            let name = if self.by == By::Kind { kind_name } else { &ty.name };
            let at = is_wanted(name).then(|| self.at(name));
            self.matched.then.push(at);
            if let Some(at) = at {
                let change = &mut self.rows[at];
                change.count_then = change.count_then.saturating_add(kind.count);
                change.size_then = change.size_then.saturating_add(kind.size);
            }
            if let Some(now) = numbers.get(&(ty.addr, ty.name.as_str(), kind_name.as_str())) {
                self.matched.numbers[*now] = Some(number);
            }
        }
    }
}

/// What is at addresses where nothing was, or an object of another kind: a dict's memory is often that of a dict that
/// is gone.
struct New {
    matched: Matched,
    /// How many are kept of each row.
    limit: usize,
    /// How many more are kept of all rows.
    room: usize,
    /// Those, by row.
    found: Vec<Vec<(Addr, TypeId)>>,
}

impl New {
    /// Compares object by object.
    ///
    /// # Errors
    /// As [`Snapshot::object`]; [`crate::error::Error::Interrupted`].
    fn find(&mut self, census: &Census, then: &mut Snapshot, rows: &mut [Change], memory: &Cache) -> Result<()> {
        rows.iter_mut().for_each(|row| (row.new, row.gone) = (Some(0), Some(0)));
        let count = |counter: &mut Option<u64>| *counter = counter.map(|count| count + 1);
        let Matched { numbers, now, then: before } = &self.matched;
        let mut old = then.object()?;
        for (i, (addr, id)) in census.in_order().enumerate() {
            if i % 4096 == 0 {
                memory.poll()?;
            }
            let (mut known, kind) = (false, census.kind_of(addr, id));
            while let Some((at, number)) = old.filter(|(at, _)| *at <= addr.0) {
                known = at == addr.0 && numbers.get(kind) == Some(&Some(number));
                if let (Some(row), false) = (before[number], known) {
                    count(&mut rows[row].gone);
                }
                old = then.object()?;
            }
            let row = now.get(kind).copied().flatten();
            if let (Some(row), false) = (row, known) {
                count(&mut rows[row].new);
                if self.found[row].len() < self.limit && self.room > 0 {
                    self.found[row].push((addr, id));
                    self.room -= 1;
                }
            }
        }
        while let Some((_, number)) = old {
            if let Some(row) = before[number] {
                count(&mut rows[row].gone);
            }
            old = then.object()?;
        }
        Ok(())
    }

    /// `limit` of the new ones, as many of each row as of the others while it has some; in the order of rows.
    fn some(&self, order: &[usize]) -> Vec<(Addr, TypeId)> {
        let mut takes = vec![0; order.len()];
        let mut left = self.limit;
        for round in 0..self.limit {
            let more = order.iter().zip(&mut takes).filter(|(row, _)| self.found[**row].len() > round);
            let taken = more.take(left).map(|(_, take)| *take += 1).count();
            left -= taken;
            if taken == 0 || left == 0 {
                break;
            }
        }
        order.iter().zip(takes).flat_map(|(row, take)| self.found[*row][..take].iter().copied()).collect()
    }
}
