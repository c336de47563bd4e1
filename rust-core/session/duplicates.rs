//! `py-dup`: equal strings, bytes, numbers, and tuples of the same objects.

use super::attach::Attached;
use super::request::{Request, Response};
use super::room::Room;
use crate::bytes::Addr;
use crate::diag::Diagnostics;
use crate::error::{Error, Result};
use crate::heap::equal::Equal;
use crate::limits;
use crate::objects::Kind;
use crate::objects::text::plain;
use crate::report::duplicates::{Duplicates, Row, duplicates as text};
use std::time::Instant;

/// Rows that are shown where the user asks for no number.
const ROWS: usize = 20;
/// Characters of a value in a row.
const CHARS: usize = 60;

/// Answers `py-dup`.
///
/// # Errors
/// [`Error::User`] for a type that is not compared; as [`crate::heap::Census::take`].
pub fn duplicates(attached: &Attached, request: &Request) -> Result<Response> {
    let objects = &attached.objects;
    let options = &request.options;
    let python2 = objects.layout.rules.python2;
    let only = match options.type_name.as_deref() {
        None => None,
        Some("bytes") if python2 => Some(vec![Kind::Str2]),
        Some("str") => Some(vec![Kind::Str, Kind::Str2]),
        Some("bytes") => Some(vec![Kind::Bytes]),
        Some("unicode") => Some(vec![Kind::Str, Kind::Unicode2]),
        Some("int" | "long") => Some(vec![Kind::Int, Kind::Int2]),
        Some("float") => Some(vec![Kind::Float]),
        Some("tuple") => Some(vec![Kind::Tuple]),
        Some(other) => {
            let other = plain(other);
            return Err(Error::User(format!("'{other}' is not compared: only str, bytes, tuple, int and float are")));
        }
    };
    let stopped = attached.stopped()?;
    let census = stopped.census(objects)?;
    let start = Instant::now();
    let is_compared = |kind: Kind| match &only {
        Some(only) => only.contains(&kind),
        None => matches!(
            kind,
            Kind::Str | Kind::Str2 | Kind::Unicode2 | Kind::Bytes | Kind::Tuple | Kind::Int | Kind::Int2 | Kind::Float
        ),
    };
    // Objects of subclasses can be equal and mean something else.
    let kind =
        |addr: u64| objects.type_at(Addr(addr)).ok().filter(|ty| ty.exact && is_compared(ty.kind)).map(|ty| ty.kind);
    let kinds: Vec<Option<Kind>> = census.types.iter().map(|(info, _)| kind(info.addr)).collect();
    let limit = options.limit.unwrap_or(ROWS).min(limits::FOUND);
    let found = Equal::find(objects, census, &kinds, limit)?;
    let remarks = Diagnostics::default();
    remarks.extend(census.remarks());
    if found.unreadable > 0 {
        remarks.add(format!("{} objects could not be read: they are not compared", found.unreadable), "heap");
    }
    if found.full {
        remarks.add(format!("only the first {} objects were compared", found.objects), "heap");
    }
    let chars = request.chars(CHARS);
    let room = Room::new();
    let mut rows = Vec::new();
    for group in &found.groups {
        objects.memory.poll()?;
        let Some(left) = room.left(objects, &remarks) else { break };
        let repr = objects.repr(group.addr, chars.min(left), request.style());
        room.take(repr.text.len());
        rows.push(Row {
            type_name: objects.type_of(group.addr).map_or_else(|_| "?".to_owned(), |ty| ty.tp_name.clone()),
            value: repr.text,
            truncated: repr.truncated,
            copies: group.copies,
            size: group.size,
            wasted: group.wasted,
            address: group.addr,
        });
    }
    let answer = Duplicates {
        objects: found.objects,
        values: found.values,
        copies: found.copies,
        wasted: found.wasted,
        rows,
        seconds: start.elapsed().as_secs_f64(),
        diagnostics: attached.remarks(&stopped, &remarks),
    };
    Ok(request.respond(&answer, |answer| text(answer, &request.paint)))
}
