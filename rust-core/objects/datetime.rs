//! `datetime`'s values as C structs (Include/datetime.h), the same since 2.7 but for `fold` (3.6,
//! bpo-24773): a hash, then packed bytes or C ints, then the zone.

use super::value::Value;
use super::{Kind, Objects};
use crate::bytes::Addr;
use crate::error::{Error, Result};

/// A part of the text of such a value.
pub(super) enum Part {
    Text(String),
    Object(Addr),
}

/// The sizes of the structs behind a header of so many bytes, with the header.
pub fn struct_size(kind: Kind, header: u64) -> Option<u64> {
    let fields: u64 = match kind {
        // A hash, hastzinfo, bytes; then the zone, aligned.
        Kind::Date => 8 + 1 + 4,
        Kind::Time => 16 + 8,
        Kind::DateTime => 24 + 8,
        Kind::TimeDelta => 8 + 3 * 4,
        Kind::TimeZone => 8 + 8,
        _ => return None,
    };
    Some((header + fields).next_multiple_of(8))
}

impl Objects {
    fn datetime_bytes(&self, addr: Addr, count: usize) -> Result<Vec<u8>> {
        self.memory.bytes(addr + self.layout.object.size.at()? + 9, count)
    }

    /// The zone of a `time` (`at` 16 bytes behind the header) or `datetime` (24).
    fn zone(&self, addr: Addr, at: u64) -> Result<Option<Addr>> {
        let header = self.layout.object.size.at()?;
        // Without a zone the object is allocated without that field.
        if self.memory.uint(addr + header + 8, 1)? == 0 {
            return Ok(None);
        }
        self.memory.pointer(addr + header + at).map(Some)
    }

    /// Python's `repr` of a value of `kind`.
    pub(super) fn datetime_repr(&self, addr: Addr, kind: Kind) -> Result<Vec<Part>> {
        let number = |bytes: &[u8]| bytes.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let has_fold = !self.layout.rules.python2;
        let (name, mut numbers, optional, fold, zone) = match kind {
            Kind::Date => {
                let b = self.datetime_bytes(addr, 4)?;
                ("date", vec![number(&b[..2]), number(&b[2..3]), number(&b[3..])], 0, 0, None)
            }
            Kind::Time => {
                let b = self.datetime_bytes(addr, 7)?;
                let numbers = vec![number(&b[..1]), number(&b[1..2]), number(&b[2..3]), number(&b[3..6])];
                ("time", numbers, 2, b[6], self.zone(addr, 16)?)
            }
            Kind::DateTime => {
                let b = self.datetime_bytes(addr, 11)?;
                let mut numbers = vec![number(&b[..2])];
                numbers.extend(b[2..7].iter().map(|byte| u64::from(*byte)));
                numbers.push(number(&b[7..10]));
                ("datetime", numbers, 2, b[10], self.zone(addr, 24)?)
            }
            Kind::TimeDelta => return Ok(vec![Part::Text(self.timedelta_repr(addr)?)]),
            _ => return self.timezone_repr(addr),
        };
        // Seconds and microseconds are left out from the right while they are 0.
        for _ in 0..optional {
            if numbers.last() == Some(&0) {
                numbers.pop();
            } else {
                break;
            }
        }
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let mut named = Vec::new();
        if let Some(zone) = zone {
            named.push(vec![Part::Text(", tzinfo=".to_owned()), Part::Object(zone)]);
        }
        if has_fold && fold != 0 {
            // A datetime names its fold first, a time its zone (_datetimemodule.c).
            let at = if kind == Kind::DateTime { 0 } else { named.len() };
            named.insert(at, vec![Part::Text(", fold=1".to_owned())]);
        }
        let mut parts = vec![Part::Text(format!("datetime.{name}({}", numbers.join(", ")))];
        parts.extend(named.into_iter().flatten());
        parts.push(Part::Text(")".to_owned()));
        Ok(parts)
    }

    /// Days, seconds and microseconds.
    fn timedelta(&self, addr: Addr) -> Result<[i64; 3]> {
        let at = addr + self.layout.object.size.at()? + 8;
        Ok([self.memory.int(at, 4)?, self.memory.int(at + 4, 4)?, self.memory.int(at + 8, 4)?])
    }

    fn timedelta_repr(&self, addr: Addr) -> Result<String> {
        let numbers = self.timedelta(addr)?;
        let text = if self.layout.rules.timedelta_keywords {
            let named = ["days", "seconds", "microseconds"].iter().zip(numbers).filter(|(_, number)| *number != 0);
            let named: Vec<String> = named.map(|(name, number)| format!("{name}={number}")).collect();
            if named.is_empty() { "0".to_owned() } else { named.join(", ") }
        } else {
            let shown = numbers.iter().rposition(|number| *number != 0).unwrap_or(0);
            numbers[..=shown].iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
        };
        Ok(format!("datetime.timedelta({text})"))
    }

    /// `datetime.timezone` (3.2): an offset, and a name if it was given one.
    fn timezone_repr(&self, addr: Addr) -> Result<Vec<Part>> {
        let at = addr + self.layout.object.size.at()?;
        let (offset, name) = (self.memory.pointer(at)?, self.memory.pointer(at + 8)?);
        if self.type_of(offset)?.kind != Kind::TimeDelta {
            return Err(Error::Corrupt { what: "a time zone", addr });
        }
        // There is one object without offset and name.
        if name.is_null() && self.timedelta(offset)? == [0; 3] {
            return Ok(vec![Part::Text("datetime.timezone.utc".to_owned())]);
        }
        let mut parts = vec![Part::Text("datetime.timezone(".to_owned()), Part::Object(offset)];
        if !name.is_null() {
            parts.extend([Part::Text(", ".to_owned()), Part::Object(name)]);
        }
        parts.push(Part::Text(")".to_owned()));
        Ok(parts)
    }

    /// What `name` is of a date, time or datetime.
    pub(super) fn datetime_field(&self, addr: Addr, kind: Kind, name: &str) -> Result<Option<Value>> {
        let (day, clock, zone) = match kind {
            Kind::Date => (true, None, None),
            Kind::Time => (false, Some(0), Some(16)),
            Kind::DateTime => (true, Some(4), Some(24)),
            _ => return Ok(None),
        };
        let bytes = |from: usize, to: usize| -> Result<Option<Value>> {
            let number = self.datetime_bytes(addr, to)?[from..].iter().fold(0, |v, b| v << 8 | i128::from(*b));
            Ok(Some(Value::Int(number)))
        };
        match (name, day, clock, zone) {
            ("year", true, _, _) => bytes(0, 2),
            ("month", true, _, _) => bytes(2, 3),
            ("day", true, _, _) => bytes(3, 4),
            ("hour", _, Some(at), _) => bytes(at, at + 1),
            ("minute", _, Some(at), _) => bytes(at + 1, at + 2),
            ("second", _, Some(at), _) => bytes(at + 2, at + 3),
            ("microsecond", _, Some(at), _) => bytes(at + 3, at + 6),
            ("fold", _, Some(at), _) => bytes(at + 6, at + 7),
            ("tzinfo", _, _, Some(at)) => Ok(Some(self.zone(addr, at)?.map_or(Value::None, Value::Object))),
            _ => Ok(None),
        }
    }
}
