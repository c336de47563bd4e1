//! `int`, `float`, `complex`, and Python's way to write them down.

use super::Objects;
use crate::bytes::{Addr, uint};
use crate::error::{Error, Result};
use crate::layout::Ints;
use crate::limits;

/// Bits in one digit of an int. 15 only in builds configured with `--enable-big-digits=15`, which
/// nobody ships for 64-bit Linux.
const DIGIT_BITS: u32 = 30;

const MASK: u64 = (1 << DIGIT_BITS) - 1;

/// An `int`: sign and digits of 30 bits, least significant first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Integer {
    /// Whether it is below zero.
    pub negative: bool,
    /// The digits that were read; of an int that is too long to show, the highest one.
    pub digits: Vec<u32>,
    /// Digits that it has in all.
    pub len: usize,
}

impl From<i128> for Integer {
    fn from(value: i128) -> Integer {
        let mut rest = value.unsigned_abs();
        let mut digits = Vec::new();
        while rest > 0 {
            digits.push((rest & u128::from(MASK)) as u32);
            rest >>= DIGIT_BITS;
        }
        Integer { negative: value < 0, len: digits.len(), digits }
    }
}

impl Integer {
    /// The number that `text` is in base `radix`.
    pub fn parse(text: &str, radix: u32, negative: bool) -> Option<Integer> {
        let mut digits: Vec<u32> = Vec::new();
        for c in text.chars() {
            let mut carry = u64::from(c.to_digit(radix)?);
            for digit in &mut digits {
                let value = u64::from(*digit) * u64::from(radix) + carry;
                *digit = (value & MASK) as u32;
                carry = value >> DIGIT_BITS;
            }
            if carry > 0 {
                digits.push(carry as u32);
            }
        }
        let negative = negative && !digits.is_empty();
        (!text.is_empty()).then_some(Integer { negative, len: digits.len(), digits })
    }

    /// The integer that `value` is equal to, if it is equal to one.
    pub fn from_float(value: f64) -> Option<Integer> {
        if !value.is_finite() || value.fract() != 0.0 {
            return None;
        }
        // Exact: digits come off in steps of a power of two.
        let base = f64::from(1u32 << DIGIT_BITS);
        let mut rest = value.abs();
        let mut digits = Vec::new();
        while rest > 0.0 {
            digits.push((rest % base) as u32);
            rest = (rest / base).trunc();
        }
        Some(Integer { negative: value < 0.0, len: digits.len(), digits })
    }

    /// The value, where four digits hold it.
    pub fn to_i128(&self) -> Option<i128> {
        if self.len > 4 || self.digits.len() != self.len {
            return None;
        }
        let value = self.digits.iter().rev().fold(0i128, |v, d| (v << DIGIT_BITS) | i128::from(*d));
        Some(if self.negative { -value } else { value })
    }

    /// The decimal text; of one with more than [`limits::INT_DIGITS`] digits only its size.
    pub fn decimal(&self) -> String {
        if let Some(small) = self.to_i128() {
            return small.to_string();
        }
        let sign = if self.negative { "-" } else { "" };
        if self.digits.len() < self.len {
            let unused = self.digits.last().map_or(0, |top| top.leading_zeros() as usize - 2);
            let bits = self.len * DIGIT_BITS as usize - unused;
            return format!("<{}int of {bits} bits>", if self.negative { "negative " } else { "" });
        }
        // Digits of base 10^9, least significant first.
        const BASE: u64 = 1_000_000_000;
        let mut parts: Vec<u32> = Vec::with_capacity(self.len * 31 / 29 + 1);
        for digit in self.digits.iter().rev() {
            let mut carry = u64::from(*digit);
            for part in &mut parts {
                let value = (u64::from(*part) << DIGIT_BITS) + carry;
                *part = (value % BASE) as u32;
                carry = value / BASE;
            }
            while carry > 0 {
                parts.push((carry % BASE) as u32);
                carry /= BASE;
            }
        }
        let mut out = String::from(sign);
        for (i, part) in parts.iter().rev().enumerate() {
            out.push_str(&if i == 0 { part.to_string() } else { format!("{part:09}") });
        }
        if parts.is_empty() {
            out.push('0');
        }
        out
    }
}

impl Objects {
    /// The `int` (of Python 2: `long`) at `addr`.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Fault`].
    pub fn integer(&self, addr: Addr) -> Result<Integer> {
        let fields = &self.layout.long;
        let (negative, len) = match self.layout.rules.ints {
            Ints::SignedSize => {
                let size = self.ob_size(addr)?;
                (size < 0, size.unsigned_abs())
            }
            Ints::Tagged => {
                let tag = self.uint(addr, &fields.lv_tag)?;
                // The low two bits are the sign: 0 positive, 1 zero, 2 negative.
                match tag & 3 {
                    1 => (false, 0),
                    sign => (sign == 2, tag >> 3),
                }
            }
        };
        let len = self.checked_len(addr, i64::try_from(len).unwrap_or(-1), "the size of an int")?;
        let skipped = if len > limits::INT_DIGITS { len - 1 } else { 0 };
        let start = addr + fields.ob_digit.at()? + skipped as u64 * 4;
        let bytes = self.memory.bytes(start, (len - skipped) * 4)?;
        let digits: Vec<u32> = bytes.chunks_exact(4).map(|c| uint(c, 0, 4).unwrap_or(0) as u32).collect();
        if digits.iter().any(|d| *d >> DIGIT_BITS != 0) {
            return Err(Error::Corrupt { what: "an int", addr });
        }
        Ok(Integer { negative, digits, len })
    }

    /// The `float` at `addr`.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn float(&self, addr: Addr) -> Result<f64> {
        Ok(f64::from_bits(self.memory.uint(addr + self.layout.float.ob_fval.at()?, 8)?))
    }

    /// The `complex` at `addr`: real and imaginary part.
    ///
    /// # Errors
    /// [`Error::Fault`].
    pub fn complex(&self, addr: Addr) -> Result<(f64, f64)> {
        let at = addr + self.layout.complex.cval.at()?;
        Ok((f64::from_bits(self.memory.uint(at, 8)?), f64::from_bits(self.memory.uint(at + 8, 8)?)))
    }
}

/// `repr` of a float: the shortest digits that give it back, with an exponent below 1e-4 and from
/// 1e16 on (`float_repr_style = 'short'`, CPython 2.7 and 3.1 and later).
pub fn repr_float(value: f64) -> String {
    let text = shortest(value);
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') { text + ".0" } else { text }
}

fn shortest(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// `repr` of a complex number.
pub fn repr_complex(real: f64, imaginary: f64) -> String {
    let imaginary_text = shortest(imaginary);
    if real == 0.0 && real.is_sign_positive() {
        return format!("{imaginary_text}j");
    }
    let plus = if imaginary_text.starts_with('-') { "" } else { "+" };
    format!("({}{plus}{imaginary_text}j)", shortest(real))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_pythons() {
        // Each right side is CPython's repr() of the left side.
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e300, "1.5e+300"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in cases {
            assert_eq!(repr_float(value), text);
        }
        assert_eq!(repr_complex(0.0, 1.0), "1j");
        assert_eq!(repr_complex(1.0, -2.5), "(1-2.5j)");
        assert_eq!(repr_complex(-0.0, 1.0), "(-0+1j)");
        assert_eq!(repr_complex(0.0, f64::NAN), "nanj");
    }

    #[test]
    fn big_ints() {
        let digits = |len: usize, last: u32| {
            let mut digits = vec![0; len];
            digits[len - 1] = last;
            digits
        };
        let two_to_150 = Integer { negative: true, digits: digits(6, 1), len: 6 };
        assert_eq!(two_to_150.decimal(), "-1427247692705959881058285969449495136382746624");
        assert_eq!(Integer { negative: false, digits: vec![], len: 0 }.decimal(), "0");
        assert_eq!(Integer { negative: true, digits: vec![5], len: 1 }.decimal(), "-5");
        let huge = Integer { negative: true, digits: vec![1], len: 6667 };
        assert_eq!(huge.decimal(), "<negative int of 199981 bits>");
    }
}
