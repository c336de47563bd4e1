//! The answers of `py-heap --save` and `py-heap --diff`, as values and as text. The JSON keys are documented
//! in `docs/json-schema.md`.

use super::find::{Hit, lines};
use super::paint::Paint;
use super::text::{diagnostics, heading_and_rows};
use crate::diag::Diagnostic;
use crate::objects::text::plain;
use serde::Serialize;
use std::fmt::Write;

/// `py-heap --save`.
#[derive(Debug, Serialize)]
pub struct Saving {
    /// The file.
    pub file: String,
    /// Objects in it.
    pub objects: u64,
    /// Its bytes.
    pub bytes: u64,
    /// How long it took, the census not counted.
    pub seconds: f64,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// `py-heap --save`: one line.
pub fn saving(answer: &Saving) -> String {
    let Saving { file, objects, bytes, seconds, .. } = answer;
    let mut out = format!("{objects} objects are in {}: {bytes} bytes, in {seconds:.2} s.\n", plain(file));
    diagnostics(&mut out, &answer.diagnostics);
    out
}

/// What changed of one kind of objects.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Change {
    /// What they are.
    pub kind: String,
    /// How many there were.
    pub count_then: u64,
    /// How many there are.
    pub count: u64,
    /// Bytes then, as `sys.getsizeof` says.
    pub size_then: u64,
    /// Bytes now.
    pub size: u64,
    /// Objects where none of their type was then; `None` if addresses tell nothing.
    pub new: Option<u64>,
    /// Objects of then where none of their type is now.
    pub gone: Option<u64>,
}

impl Change {
    /// Objects more, or less.
    pub fn more(&self) -> i128 {
        i128::from(self.count) - i128::from(self.count_then)
    }

    /// Bytes more, or less.
    pub fn grown(&self) -> i128 {
        i128::from(self.size) - i128::from(self.size_then)
    }

    /// Whether anything is not as it was.
    fn is_one(&self) -> bool {
        self.more() != 0 || self.grown() != 0
    }
}

/// What a snapshot is of.
#[derive(Debug, Serialize)]
pub struct Then {
    /// The file.
    pub file: String,
    /// When it was saved, in seconds since 1970.
    pub saved: u64,
    /// The process id.
    pub pid: Option<i32>,
    /// The core.
    pub core: Option<String>,
    /// The version of Python.
    pub python: String,
}

/// `py-heap --diff`.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// What it is compared with.
    pub then: Then,
    /// Whether it is the same process, or a fork of it: addresses mean the same.
    pub same_process: bool,
    /// What a row is.
    pub by: &'static str,
    /// All rows, in the order that was asked for.
    pub rows: Vec<Change>,
    /// All rows taken together.
    pub total: Change,
    /// Some of the new objects, by kind in the order of the rows.
    pub new_objects: Vec<Hit>,
    /// How long it took, the census not counted.
    pub seconds: f64,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// `py-heap --diff` as tables: `limit` rows after the first `skip`, and what is new.
pub fn difference(answer: &Difference, skip: usize, limit: usize, paint: &Paint) -> String {
    let mut out = String::new();
    if skip == 0 {
        let Then { file, saved, pid, core, python } = &answer.then;
        let of = match (core, pid) {
            (Some(core), _) => format!("the core {}", plain(core)),
            (None, Some(pid)) => format!("process {pid}"),
            (None, None) => "a process".to_owned(),
        };
        let _ = writeln!(out, "Compared with {}: {of}, Python {}, {}.", plain(file), plain(python), utc(*saved));
    }
    let changed: Vec<&Change> = answer.rows.iter().filter(|row| row.is_one()).collect();
    let cells = |row: &Change, kind: String| {
        let Change { count_then, count, size, .. } = row;
        let signed = |value: i128| if value == 0 { "0".to_owned() } else { format!("{value:+}") };
        [count_then.to_string(), count.to_string(), signed(row.more()), size.to_string(), signed(row.grown()), kind]
    };
    let mut table = vec![["Then", "Now", "+/-", "Size", "+/-", "Kind"].map(str::to_owned)];
    table.extend(changed.iter().skip(skip).take(limit).map(|row| cells(row, plain(&row.kind))));
    if skip == 0 {
        table.push(cells(&answer.total, "(all)".to_owned()));
    }
    let shown = skip.saturating_add(limit);
    heading_and_rows(&mut out, &table, &[8; 5], paint);
    if changed.len() > shown {
        let _ = writeln!(out, "<{} more rows. Type `py-heap more` to see them.>", changed.len() - shown);
    } else if skip > 0 && changed.len() <= skip {
        let _ = writeln!(out, "<No more rows.>");
    }
    if skip == 0 {
        new(&mut out, answer, limit, paint);
    }
    diagnostics(&mut out, &answer.diagnostics);
    out
}

/// What is new, and what is gone.
fn new(out: &mut String, answer: &Difference, limit: usize, paint: &Paint) {
    let (Some(new), Some(gone)) = (answer.total.new, answer.total.gone) else { return };
    let _ = writeln!(out, "\n{new} objects are new since then, {gone} of then are gone.");
    let is_in = |row: &&Change| row.new.unwrap_or(0) + row.gone.unwrap_or(0) > 0;
    let rows: Vec<&Change> = answer.rows.iter().filter(is_in).collect();
    if rows.is_empty() {
        return;
    }
    let mut table = vec![["New", "Gone", "Kind"].map(str::to_owned)];
    let number = |value: Option<u64>| value.unwrap_or(0).to_string();
    table.extend(rows.iter().take(limit).map(|row| [number(row.new), number(row.gone), plain(&row.kind)]));
    heading_and_rows(out, &table, &[8; 2], paint);
    if rows.len() > limit {
        let _ = writeln!(out, "<{} more kinds. --limit N shows more.>", rows.len() - limit);
    }
    if !answer.new_objects.is_empty() {
        let _ = writeln!(out, "\n{} of the new objects:", answer.new_objects.len());
        lines(out, &answer.new_objects, paint);
    }
}

/// A time in seconds since 1970 as a date.
fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Eras of 400 years from March on, so that the day that comes and goes is the last of its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month, late) = (day - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1, u64::from(month >= 10));
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC", 400 * era + year + late)
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates() {
        for (seconds, date) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(super::utc(seconds), date);
        }
        assert!(super::utc(u64::MAX).ends_with(" UTC"));
    }
}
