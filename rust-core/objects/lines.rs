//! From an instruction to a line: the four encodings that CPython has had.
//!
//! Described in CPython's Objects/lnotab_notes.txt (2.7 to 3.10) and
//! Objects/locations.md (3.11 and later).

use crate::layout::LineTable;

/// Which lines the instructions of a code object are on.
#[derive(Debug, Default)]
pub struct Lines {
    first: i64,
    /// (one past the last byte of code, line), in order of the code.
    spans: Vec<(i64, Option<i64>)>,
}

impl Lines {
    /// Decodes a table. `first` is `co_firstlineno`.
    pub fn decode(table: &[u8], encoding: LineTable, first: i64) -> Lines {
        let spans = match encoding {
            LineTable::LnotabUnsigned => lnotab(table, first, i64::from),
            LineTable::LnotabSigned => lnotab(table, first, |byte| i64::from(byte as i8)),
            LineTable::Lines310 => lines310(table, first),
            LineTable::Locations => locations(table, first),
        };
        Lines { first, spans }
    }

    /// Bytes that this takes.
    pub fn size(&self) -> usize {
        std::mem::size_of_val(self.spans.as_slice())
    }

    /// The line of the instruction at byte `offset` of the code; `None` where the table has none
    /// for it. A negative offset (nothing has run yet) gives the first line.
    pub fn at(&self, offset: i64) -> Option<i64> {
        if offset < 0 {
            return Some(self.first);
        }
        let index = self.spans.partition_point(|(end, _)| *end <= offset);
        self.spans.get(index).and_then(|(_, line)| *line)
    }
}

type Spans = Vec<(i64, Option<i64>)>;

/// Pairs of (code bytes, line step): the step takes effect after the code bytes. The last line goes
/// on to the end.
fn lnotab(table: &[u8], first: i64, step: impl Fn(u8) -> i64) -> Spans {
    let (mut at, mut line) = (0i64, first);
    let mut spans = Vec::new();
    for pair in table.chunks_exact(2) {
        at += i64::from(pair[0]);
        if pair[0] != 0 {
            spans.push((at, Some(line)));
        }
        line = line.saturating_add(step(pair[1]));
    }
    spans.push((i64::MAX, Some(line)));
    spans
}

/// Pairs of (code bytes, line step): the step takes effect before the code bytes; -128 marks code
/// without a line.
fn lines310(table: &[u8], first: i64) -> Spans {
    let (mut at, mut line) = (0i64, first);
    let mut spans = Vec::new();
    for pair in table.chunks_exact(2) {
        let step = pair[1] as i8;
        if step != -128 {
            line = line.saturating_add(i64::from(step));
        }
        at += i64::from(pair[0]);
        if pair[0] != 0 {
            spans.push((at, (step != -128).then_some(line)));
        }
    }
    spans
}

/// Entries that begin with a byte whose high bit is set: 4 bits of kind, 3 bits of length (in
/// code units, less one); then variable-length integers.
fn locations(table: &[u8], first: i64) -> Spans {
    let (mut at, mut line) = (0i64, first);
    let mut spans = Vec::new();
    let mut bytes = table.iter().copied().peekable();
    while let Some(head) = bytes.next() {
        if head & 0x80 == 0 {
            break;
        }
        let kind = (head >> 3) & 15;
        let step = match kind {
            15 => None,
            13 | 14 => {
                let Some(encoded) = varint(&mut bytes) else { break };
                let value = i64::try_from(encoded >> 1).unwrap_or(0);
                Some(if encoded & 1 == 0 { value } else { -value })
            }
            10..=12 => Some(i64::from(kind) - 10),
            _ => Some(0),
        };
        line = line.saturating_add(step.unwrap_or(0));
        at += 2 * (i64::from(head & 7) + 1);
        spans.push((at, step.map(|_| line)));
        // Columns follow, in bytes without the high bit.
        while bytes.next_if(|b| b & 0x80 == 0).is_some() {}
    }
    spans
}

/// Six bits a byte, least significant first; bit 6 says that more follow.
fn varint(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..60).step_by(6) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 63) << shift;
        if byte & 64 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_at(table: &[u8], encoding: LineTable, first: i64, offset: i64) -> Option<i64> {
        Lines::decode(table, encoding, first).at(offset)
    }

    #[test]
    fn lnotab_steps() {
        // The example of lnotab_notes.txt: offsets 0, 6, 50, 350, 361 on lines 1, 2, 7, 207, 208.
        let table = [0, 1, 6, 1, 44, 5, 255, 0, 45, 200, 11, 1];
        for (offset, line) in [(0, 1), (5, 1), (6, 2), (49, 2), (50, 7), (349, 7), (350, 207), (361, 208)] {
            assert_eq!(line_at(&table, LineTable::LnotabUnsigned, 0, offset), Some(line), "{offset}");
        }
        assert_eq!(line_at(&[4, 0xff], LineTable::LnotabSigned, 10, 4), Some(9));
        assert_eq!(line_at(&[4, 0xff], LineTable::LnotabUnsigned, 10, 4), Some(265));
        assert_eq!(line_at(&[4], LineTable::LnotabSigned, 10, -1), Some(10));
    }

    #[test]
    fn lines_of_310() {
        let table = [4, 1, 6, 0x80, 2, 0xfe];
        let line = |offset| line_at(&table, LineTable::Lines310, 10, offset);
        assert_eq!([line(0), line(3), line(4), line(10), line(12)], [Some(11), Some(11), None, Some(9), None]);
    }

    #[test]
    fn locations_of_311() {
        // Short form (no step) of 2 units; one-line form, step 2; no-column form, step -3 (7 as a
        // signed varint); no location.
        let table = [0x80 | 1, 0x10, 0x80 | 12 << 3, 5, 6, 0x80 | 13 << 3, 7, 0x80 | 15 << 3];
        let line = |offset| line_at(&table, LineTable::Locations, 100, offset);
        assert_eq!([line(0), line(2), line(4), line(6), line(8)], [Some(100), Some(100), Some(102), Some(99), None]);
        assert_eq!(line(10), None);
    }

    #[test]
    fn any_bytes_end() {
        for encoding in [LineTable::LnotabSigned, LineTable::Lines310, LineTable::Locations] {
            for seed in 0..=255u8 {
                let table: Vec<u8> =
                    (0..64).map(|i: u8| seed.wrapping_mul(31).wrapping_add(i.wrapping_mul(seed))).collect();
                let _ = line_at(&table, encoding, i64::MAX, 1 << 40);
            }
        }
    }
}
