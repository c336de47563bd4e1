//! Which CPython this is.

use super::Found;
use crate::bytes::Addr;
use crate::image::Image;
use crate::process::Cache;
use serde::Serialize;
use std::fmt;

/// `xdebugpy`, the first eight bytes of `_Py_DebugOffsets` (CPython 3.13, gh-106597).
pub const COOKIE: u64 = u64::from_le_bytes(*b"xdebugpy");

/// A version of CPython.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// 2 or 3.
    pub major: u8,
    /// The minor version, which decides most layouts.
    pub minor: u8,
    /// The micro (patch) version.
    pub micro: u8,
    /// What follows, such as `rc1` or `+`; empty for a release.
    pub suffix: String,
    /// How it was found.
    pub found: Found,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}{}", self.major, self.minor, self.micro, self.suffix)
    }
}

impl Version {
    /// From `PY_VERSION_HEX`: major, minor, micro, level and serial.
    pub fn from_hex(hex: u32, found: Found) -> Version {
        let [level, micro, minor, major] = hex.to_le_bytes();
        let suffix = match level >> 4 {
            0xA => format!("a{}", level & 15),
            0xB => format!("b{}", level & 15),
            0xC => format!("rc{}", level & 15),
            _ => String::new(),
        };
        Version { major, minor, micro, suffix, found }
    }
}

fn is_plausible(hex: u32) -> bool {
    matches!(hex >> 24, 2 | 3) && (hex >> 16) & 0xff < 64
}

/// The version that `_Py_DebugOffsets` at `at` claims, if the cookie is there.
pub fn debug_offsets_version(at: Addr, memory: &Cache) -> Option<u32> {
    if !at.0.is_multiple_of(8) || memory.uint(at, 8).ok()? != COOKIE {
        return None;
    }
    let hex = u32::try_from(memory.uint(at + 8, 8).ok()?).ok()?;
    (is_plausible(hex) && hex >= 0x030d_0000).then_some(hex)
}

/// The version by the symbol `Py_Version` (3.11 and later), else by the text that
/// `Py_GetVersion()` keeps in a static buffer: `3.11.2 (main, …) [GCC …]`.
pub fn find(image: &Image, memory: &Cache) -> Option<Version> {
    if let Some(at) = image.symbol("Py_Version")
        && let Ok(hex) = memory.uint(at, 4)
        && is_plausible(hex as u32)
    {
        return Some(Version::from_hex(hex as u32, Found::Symbol));
    }
    let mut version = None;
    super::scan_windows(image, memory, &mut |_, bytes| {
        version = parse_text(bytes);
        version.is_none()
    });
    version
}

/// The first version text in `bytes`: `M.m.p`, an optional suffix, and ` (`.
fn parse_text(bytes: &[u8]) -> Option<Version> {
    let mut at = 0;
    while let Some(skip) = bytes.get(at..)?.iter().position(|b| matches!(b, b'2' | b'3')) {
        let start = at + skip;
        at = start + 1;
        let text = &bytes[start..bytes.len().min(start + 40)];
        if start > 0 && bytes[start - 1] != 0 {
            continue;
        }
        if let Some(version) = parse_version(text) {
            return Some(version);
        }
    }
    None
}

fn parse_version(text: &[u8]) -> Option<Version> {
    let end = text.windows(2).position(|w| w == b" (")?;
    let text = std::str::from_utf8(&text[..end]).ok()?;
    let mut parts = text.splitn(3, '.');
    let major: u8 = parts.next()?.parse().ok()?;
    let minor: u8 = parts.next()?.parse().ok()?;
    let rest = parts.next()?;
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let micro: u8 = rest[..digits].parse().ok()?;
    let suffix = &rest[digits..];
    let known = suffix.chars().all(|c| c.is_ascii_alphanumeric() || c == '+');
    (known && (major == 2 && minor == 7 || major == 3)).then(|| Version {
        major,
        minor,
        micro,
        suffix: suffix.to_owned(),
        found: Found::Structure,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_real_interpreters() {
        let v = parse_text(b"\0\x003.11.2 (main, Apr 28 2025, 14:11:48) [GCC 12.2.0]\0").unwrap();
        assert_eq!(v.to_string(), "3.11.2");
        let v = parse_text(b"\x002.7.18 (default, Jul  1 2024, 10:27:04) \n[GCC]").unwrap();
        assert_eq!((v.major, v.minor, v.micro), (2, 7, 18));
        let v = parse_text(b"\x003.16.0a1+ (heads/main").unwrap();
        assert_eq!(v.suffix, "a1+");
        assert!(parse_text(b"\x003.11 is a number (not a version)").is_none());
        assert!(parse_text(b"x3.11.2 (main").is_none());
        assert_eq!(Version::from_hex(0x030f_02f0, Found::Symbol).to_string(), "3.15.2");
        assert_eq!(Version::from_hex(0x0310_00a1, Found::Symbol).to_string(), "3.16.0a1");
    }
}
