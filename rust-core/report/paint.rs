//! Colours of text for a terminal.
//!
//! The host says what each kind of word looks like, as the parameters of an SGR escape sequence
//! (`33`, `1;34`); where it says nothing, text is plain. Nothing else in this library writes an
//! escape character: what comes from the target is escaped before it gets here.

use serde::Deserialize;
use std::fmt;

/// The look of each kind of word; empty is plain. The kinds are those of GDB's `set style`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Paint {
    function: Sgr,
    filename: Sgr,
    variable: Sgr,
    address: Sgr,
    title: Sgr,
}

/// SGR parameters; anything but digits and semicolons counts as none.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "String")]
struct Sgr(String);

impl From<String> for Sgr {
    fn from(text: String) -> Sgr {
        Sgr(if text.bytes().all(|b| b.is_ascii_digit() || b == b';') { text } else { String::new() })
    }
}

/// A word in its colour.
pub struct Painted<'a, T: ?Sized> {
    sgr: &'a str,
    text: &'a T,
}

impl<T: fmt::Display + ?Sized> fmt::Display for Painted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sgr.is_empty() {
            return self.text.fmt(f);
        }
        write!(f, "\x1b[{}m{}\x1b[m", self.sgr, self.text)
    }
}

impl Paint {
    /// A function's name.
    pub fn function<'a, T: ?Sized>(&'a self, text: &'a T) -> Painted<'a, T> {
        Painted { sgr: &self.function.0, text }
    }

    /// A file's name.
    pub fn filename<'a, T: ?Sized>(&'a self, text: &'a T) -> Painted<'a, T> {
        Painted { sgr: &self.filename.0, text }
    }

    /// A variable's name.
    pub fn variable<'a, T: ?Sized>(&'a self, text: &'a T) -> Painted<'a, T> {
        Painted { sgr: &self.variable.0, text }
    }

    /// An address.
    pub fn address<'a, T: ?Sized>(&'a self, text: &'a T) -> Painted<'a, T> {
        Painted { sgr: &self.address.0, text }
    }

    /// A heading.
    pub fn title<'a, T: ?Sized>(&'a self, text: &'a T) -> Painted<'a, T> {
        Painted { sgr: &self.title.0, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sgr_parameters_are_taken() {
        let paint: Paint = serde_json::from_str(r#"{"function": "1;33", "filename": "32m\u001b[2J"}"#).unwrap();
        assert_eq!(paint.function("f").to_string(), "\x1b[1;33mf\x1b[m");
        assert_eq!(paint.filename("a.py").to_string(), "a.py");
        assert_eq!(paint.address("0x1").to_string(), "0x1");
    }
}
