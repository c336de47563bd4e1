//! `decimal.Decimal` of the C module (3.3, bpo-7652): libmpdec's `mpd_t` behind a hash.

use super::Objects;
use crate::bytes::{Addr, uint, word};
use crate::error::{Error, Result};
use std::fmt::Write;

/// `mpd_t.flags` (mpdecimal.h).
mod flag {
    pub const NEGATIVE: u64 = 1;
    pub const INFINITE: u64 = 2;
    pub const NAN: u64 = 4;
    pub const SIGNALLING: u64 = 8;
}

/// Decimal digits of one word (`MPD_RDIGITS` where words have 64 bits).
const WORD_DIGITS: usize = 19;
/// Words of a coefficient that is written out.
const WORDS: u64 = 4096;
/// Work that a word takes, as `limits::EFFORT` counts it.
const WORD_EFFORT: usize = 64;
/// `mpd_t`: flags, exponent, digits, words in use, words there, and where they are.
const MPD: usize = 48;

/// What follows the header in the C struct: the hash, the number, and room for four words
/// (`_Py_DEC_MINALLOC`).
pub(super) fn struct_size(header: u64) -> u64 {
    header + 8 + MPD as u64 + 4 * 8
}

impl Objects {
    /// Python's `repr` of the Decimal at `addr`.
    pub(super) fn decimal_repr(&self, addr: Addr) -> Result<String> {
        let corrupt = || Error::Corrupt { what: "a Decimal", addr };
        let number = self.memory.bytes(addr + self.layout.object.size.at()? + 8, MPD)?;
        let field = |at| word(&number, at).ok_or_else(corrupt);
        let flags = uint(&number, 0, 1).ok_or_else(corrupt)?;
        let (exponent, digits, words, data) = (field(8)?, field(16)?, field(24)?, Addr(field(40)?));
        let sign = if flags & flag::NEGATIVE != 0 { "-" } else { "" };
        let nan = flags & (flag::NAN | flag::SIGNALLING);
        if flags & flag::INFINITE != 0 {
            return Ok(format!("Decimal('{sign}Infinity')"));
        }
        // Digits and words must agree before the words are written out.
        let most = words.saturating_mul(WORD_DIGITS as u64);
        if nan == 0 && (digits > most || digits <= most.saturating_sub(WORD_DIGITS as u64) && words > 0) {
            return Err(corrupt());
        }
        let many = words > 64 && !self.spend(usize::try_from(words.min(WORDS)).map_or(0, |n| n * WORD_EFFORT));
        if (words > WORDS || many) && digits < 1 << 40 {
            return Ok(format!("<{sign}Decimal of {digits} digits>"));
        }
        let mut coefficient = String::new();
        if nan == 0 || words > 0 && digits > 0 {
            let words = self.pointers(data, usize::try_from(words.min(WORDS)).map_err(|_| corrupt())?)?;
            for (i, word) in words.iter().rev().enumerate() {
                let width = if i == 0 { 1 } else { WORD_DIGITS };
                let _ = write!(coefficient, "{:0width$}", word.0);
            }
            if coefficient.len() as u64 != digits || coefficient.len() > words.len() * WORD_DIGITS {
                return Err(corrupt());
            }
        }
        Ok(match nan {
            0 => format!("Decimal('{sign}{}')", scientific(&coefficient, exponent.cast_signed())),
            flag::NAN => format!("Decimal('{sign}NaN{coefficient}')"),
            _ => format!("Decimal('{sign}sNaN{coefficient}')"),
        })
    }
}

/// The specification's to-scientific-string.
fn scientific(coefficient: &str, exponent: i64) -> String {
    let digits = i128::try_from(coefficient.len()).unwrap_or(0);
    let left = i128::from(exponent) + digits;
    let dot = if exponent <= 0 && left > -6 { left } else { 1 };
    let mut out = String::new();
    if dot <= 0 {
        out.push_str("0.");
        (dot..0).for_each(|_| out.push('0'));
        out.push_str(coefficient);
    } else {
        let (whole, fraction) = coefficient.split_at(usize::try_from(dot.min(digits)).unwrap_or(0));
        out.push_str(whole);
        if !fraction.is_empty() {
            out.push('.');
            out.push_str(fraction);
        }
    }
    if left != dot {
        let _ = write!(out, "E{:+}", left - dot);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::scientific;

    #[test]
    fn as_the_specification_writes_them() {
        for (coefficient, exponent, text) in [
            ("0", 0, "0"),
            ("0", -2, "0.00"),
            ("0", 2, "0E+2"),
            ("0", -7, "0E-7"),
            ("123", 0, "123"),
            ("123", 1, "1.23E+3"),
            ("123", 3, "1.23E+5"),
            ("123", -1, "12.3"),
            ("123", -5, "0.00123"),
            ("123", -10, "1.23E-8"),
            ("5", -6, "0.000005"),
            ("50", -7, "0.0000050"),
            ("5", -7, "5E-7"),
            ("5", i64::MIN, "5E-9223372036854775808"),
        ] {
            assert_eq!(scientific(coefficient, exponent), text);
        }
    }
}
