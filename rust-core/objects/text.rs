//! `str`, `bytes`, and Python's way to write them down.

use super::Objects;
use crate::bytes::{Addr, uint};
use crate::error::{Error, Result};
use crate::limits;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::ffi::OsString;
use std::fmt::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use unicode_general_category::{GeneralCategory, get_general_category};

/// Text of the target: its code points (lone surrogates included) and how many it has in all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text {
    /// The first code points.
    pub points: Vec<u32>,
    /// The length of the whole text, in code points.
    pub len: usize,
}

impl Serialize for Text {
    /// A JSON string in ASCII. Lone surrogates, which no Rust string can hold, are `\u` escapes, as
    /// Python's `json` writes and reads them.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut json = String::from("\"");
        for point in &self.points {
            match char::from_u32(*point) {
                Some(c @ ('"' | '\\')) => {
                    json.push('\\');
                    json.push(c);
                }
                Some(c @ ' '..='~') => json.push(c),
                Some(c) => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                    let _ = write!(json, "\\u{unit:04x}");
                }),
                None => {
                    let _ = write!(json, "\\u{point:04x}");
                }
            }
        }
        json.push('"');
        RawValue::from_string(json).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        let points: Vec<u32> = text.chars().map(u32::from).collect();
        Text { len: points.len(), points }
    }
}

impl Text {
    /// The text as bytes for the file system: `surrogateescape` (PEP 383) made U+DC00 + b of a
    /// byte b that was not UTF-8.
    pub fn to_path(&self) -> PathBuf {
        let mut bytes = Vec::new();
        for point in &self.points {
            match char::from_u32(*point) {
                Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                None => bytes.push((point & 0xff) as u8),
            }
        }
        PathBuf::from(OsString::from_vec(bytes))
    }

    /// The text for a person: what cannot be printed is escaped.
    pub fn plain(&self) -> String {
        let mut out = String::new();
        for point in &self.points {
            push_plain(&mut out, *point);
        }
        if self.points.len() < self.len {
            out.push_str("...");
        }
        out
    }
}

/// Whether Python's `repr` shows this character as it is (`str.isprintable`).
pub fn is_printable(c: char) -> bool {
    use GeneralCategory as G;
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    !matches!(
        get_general_category(c),
        G::Control
            | G::Format
            | G::Surrogate
            | G::PrivateUse
            | G::Unassigned
            | G::LineSeparator
            | G::ParagraphSeparator
            | G::SpaceSeparator
    )
}

fn push_plain(out: &mut String, point: u32) {
    match char::from_u32(point) {
        Some(c) if is_printable(c) => out.push(c),
        _ => push_escape(out, point),
    }
}

fn push_escape(out: &mut String, point: u32) {
    let _ = match point {
        0x09 => write!(out, "\\t"),
        0x0a => write!(out, "\\n"),
        0x0d => write!(out, "\\r"),
        0..=0xff => write!(out, "\\x{point:02x}"),
        0x100..=0xffff => write!(out, "\\u{point:04x}"),
        _ => write!(out, "\\U{point:08x}"),
    };
}

/// Names, paths and source lines for the terminal: what cannot be printed is escaped.
pub fn plain(text: &str) -> String {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        push_plain(&mut out, u32::from(c));
    }
    out
}

/// A source line for the terminal: as [`plain`], but tabs stay tabs.
pub fn plain_line(line: &str) -> String {
    line.split('\t').map(plain).collect::<Vec<_>>().join("\t")
}

/// Python's choice of the quote: double where there is a single one and no double one.
fn quote(mut points: impl Iterator<Item = u32>) -> char {
    let (mut single, mut double) = (false, false);
    for point in points.by_ref() {
        single |= point == u32::from('\'');
        double |= point == u32::from('"');
    }
    if single && !double { '"' } else { '\'' }
}

/// The `repr` of text. `ascii` escapes everything beyond ASCII, as Python 2 does.
pub fn repr_text(points: &[u32], complete: bool, ascii: bool) -> String {
    let quote = quote(points.iter().copied());
    let mut out = String::with_capacity(points.len() + 2);
    out.push(quote);
    for point in points {
        match char::from_u32(*point) {
            Some(c) if c == quote || c == '\\' => {
                out.push('\\');
                out.push(c);
            }
            Some(c) if is_printable(c) && (c.is_ascii() || !ascii) => out.push(c),
            _ => push_escape(&mut out, *point),
        }
    }
    if complete {
        out.push(quote);
    }
    out
}

/// The `repr` of bytes, without the `b`.
pub fn repr_bytes(bytes: &[u8], complete: bool) -> String {
    let quote = quote(bytes.iter().map(|b| u32::from(*b)));
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push(quote);
    for byte in bytes {
        match char::from(*byte) {
            c if c == quote || c == '\\' => {
                out.push('\\');
                out.push(c);
            }
            c @ ' '..='~' => out.push(c),
            _ => push_escape(&mut out, u32::from(*byte)),
        }
    }
    if complete {
        out.push(quote);
    }
    out
}

impl Objects {
    /// The text of the `str` (or, of Python 2, `unicode`) at `addr`, at most `most` code points.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it cannot be text; [`Error::Fault`].
    pub fn text(&self, addr: Addr, most: usize) -> Result<Text> {
        match self.layout.rules.text {
            crate::layout::Text::Flexible => self.flexible_text(addr, most),
            crate::layout::Text::Python2 => self.unicode2(addr, most),
        }
    }

    fn flexible_text(&self, addr: Addr, most: usize) -> Result<Text> {
        let ascii = &self.layout.ascii;
        let len = self.checked_len(addr, self.int(addr, &ascii.length)?, "the length of a str")?;
        let kind = self.uint(addr, &ascii.kind)?;
        let compact = self.uint(addr, &ascii.compact)? != 0;
        let data = match (compact, self.uint(addr, &ascii.ascii)? != 0) {
            (true, true) => addr + ascii.size.at()?,
            (true, false) => addr + self.layout.compact.size.at()?,
            (false, _) => self.pointer(addr, &self.layout.unicode2.data)?,
        };
        let width = match kind {
            1 | 2 | 4 => kind as usize,
            _ => return Err(Error::Corrupt { what: "a str", addr }),
        };
        self.units(data, len, most, width)
    }

    fn unicode2(&self, addr: Addr, most: usize) -> Result<Text> {
        let fields = &self.layout.unicode2;
        let len = self.checked_len(addr, self.int(addr, &fields.length)?, "the length of a unicode")?;
        let data = self.pointer(addr, &fields.str)?;
        // sys.maxunicode decides; Linux distributions build with 4-byte units, the upstream
        // default is 2. A 4-byte unit's highest byte is always 0 and its value a code point: the
        // terminating NUL is the only unit of an empty string, so look at the text itself.
        let wide = self
            .memory
            .bytes(data, len.saturating_add(1).min(64) * 4)
            .is_ok_and(|bytes| bytes.chunks_exact(4).all(|c| uint(c, 0, 4).is_some_and(|u| u < 0x11_0000)));
        self.units(data, len, most, if wide { 4 } else { 2 })
    }

    fn units(&self, data: Addr, len: usize, most: usize, width: usize) -> Result<Text> {
        let shown = len.min(most);
        let bytes = self.memory.bytes(data, shown * width)?;
        let points = bytes.chunks_exact(width).map(|c| uint(c, 0, width).unwrap_or(0) as u32).collect();
        Ok(Text { points, len })
    }

    /// The bytes of the `bytes` (of Python 2: `str`) at `addr`, at most `most`, and their whole
    /// number.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn raw_bytes(&self, addr: Addr, most: usize) -> Result<(Vec<u8>, usize)> {
        let len = self.checked_len(addr, self.ob_size(addr)?, "the length of bytes")?;
        let slot = if self.layout.rules.python2 { &self.layout.str2.ob_sval } else { &self.layout.bytes.ob_sval };
        Ok((self.memory.bytes(addr + slot.at()?, len.min(most))?, len))
    }

    /// The contents of the `bytearray` at `addr`.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn bytearray(&self, addr: Addr, most: usize) -> Result<(Vec<u8>, usize)> {
        let len = self.checked_len(addr, self.ob_size(addr)?, "the length of a bytearray")?;
        if len == 0 {
            return Ok((Vec::new(), 0));
        }
        let fields = &self.layout.bytearray;
        let start = if fields.ob_start.exists() { &fields.ob_start } else { &fields.ob_bytes };
        Ok((self.memory.bytes(self.pointer(addr, start)?, len.min(most))?, len))
    }

    /// A name: text of `str`, or of Python 2's `str`, for a person.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the object is no string.
    pub fn name(&self, addr: Addr) -> Result<String> {
        use super::Kind;
        let ty = self.type_of(addr)?;
        match ty.kind {
            Kind::Str | Kind::Unicode2 => Ok(self.text(addr, limits::NAME_CHARS)?.plain()),
            Kind::Str2 | Kind::Bytes => {
                let (bytes, _) = self.raw_bytes(addr, limits::NAME_CHARS)?;
                Ok(match std::str::from_utf8(&bytes) {
                    Ok(text) => plain(text),
                    Err(_) => {
                        let quoted = repr_bytes(&bytes, true);
                        quoted[1..quoted.len() - 1].to_owned()
                    }
                })
            }
            _ => Err(Error::Corrupt { what: "a name", addr }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(text: &str) -> Vec<u32> {
        text.chars().map(u32::from).collect()
    }

    #[test]
    fn quotes_and_escapes_are_pythons() {
        // Each right side is what CPython 3.11 prints for repr() of the left side.
        let cases = [
            ("it's", r#""it's""#),
            (r#"it's "x""#, r#"'it\'s "x"'"#),
            ("a\\b\n\t\r\x00\x7f", r"'a\\b\n\t\r\x00\x7f'"),
            ("h\u{e9}llo \u{20ac}", "'h\u{e9}llo \u{20ac}'"),
            ("\u{a0}\u{ad}\u{200b}\u{202e}", r"'\xa0\xad\u200b\u202e'"),
            ("\u{1f600}\u{10ffff}", "'\u{1f600}\\U0010ffff'"),
        ];
        for (text, expected) in cases {
            assert_eq!(repr_text(&points(text), true, false), expected);
        }
        assert_eq!(repr_text(&[0xdc80, 0x61], true, false), r"'\udc80a'");
        assert_eq!(repr_text(&points("h\u{e9} \u{20ac}"), true, true), r"'h\xe9 \u20ac'");
        assert_eq!(repr_bytes(b"\x00a'\xff", true), r#""\x00a'\xff""#);
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(plain("a\x1b[2Jb"), r"a\x1b[2Jb");
        assert_eq!(plain("f\u{202e}x"), r"f\u202ex");
    }
}
