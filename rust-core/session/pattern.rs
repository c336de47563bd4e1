//! What users type to choose objects: a text or a regular expression between slashes, and sizes.

use crate::error::{Error, Result};
use crate::limits;
use crate::objects::text::plain;
use regex::bytes::{Regex, RegexBuilder};

/// Compiles `text`: what stands between slashes is a regular expression, all else stands for itself.
///
/// # Errors
/// [`Error::User`].
pub fn regex(text: &str) -> Result<Regex> {
    let pattern = match between_slashes(text) {
        Some(pattern) => pattern.to_owned(),
        None => regex::escape(text),
    };
    compile(&pattern).map_err(|e| match e {
        regex::Error::CompiledTooBig(_) => {
            Error::User(format!("{}: this regular expression is too large", plain(text)))
        }
        e => {
            let why = reason(&e);
            let why = why.trim_start_matches("error: ");
            Error::User(format!("{} is no regular expression: {}", plain(text), plain(why)))
        }
    })
}

/// Compiles a regular expression, within bounds of memory.
///
/// # Errors
/// That of the crate.
pub fn compile(pattern: &str) -> std::result::Result<Regex, regex::Error> {
    RegexBuilder::new(pattern).size_limit(limits::REGEX).dfa_size_limit(limits::REGEX).build()
}

/// What is wrong with a regular expression: the last line of several.
pub fn reason(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().to_owned()
}

fn between_slashes(text: &str) -> Option<&str> {
    text.strip_prefix('/')?.strip_suffix('/').filter(|pattern| !pattern.is_empty())
}

/// What a type is to be called.
pub enum Name {
    /// The whole name, or its end after a dot.
    Text(String),
    /// Any name that this matches.
    Regex(Regex),
}

impl Name {
    /// What the user typed.
    ///
    /// # Errors
    /// [`Error::User`].
    pub fn new(text: &str) -> Result<Name> {
        if between_slashes(text).is_some() {
            return regex(text).map(Name::Regex);
        }
        let bare = text.strip_prefix("builtins.").or_else(|| text.strip_prefix("__builtin__.")).unwrap_or(text);
        Ok(Name::Text(bare.to_owned()))
    }

    /// Whether a type of this name, with its module, is meant.
    pub fn fits(&self, name: &str) -> bool {
        match self {
            Name::Text(text) => {
                name.strip_suffix(text.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Name::Regex(regex) => regex.is_match(name.as_bytes()),
        }
    }
}

/// A range of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    least: u64,
    most: u64,
}

impl Sizes {
    /// `>1M`, `<=100`, `=64`: a comparison, a number, and K, M or G for powers of 1024.
    ///
    /// # Errors
    /// [`Error::User`].
    pub fn new(text: &str) -> Result<Sizes> {
        let wrong = || Error::User(format!("'{}' is no size such as >1M, <=512 or =64K", plain(text)));
        let digits = text.trim_start_matches(['<', '>', '=']);
        let (comparison, digits) = (&text[..text.len() - digits.len()], digits.trim());
        let (digits, shift) = match digits.as_bytes().last() {
            Some(b'k' | b'K') => (&digits[..digits.len() - 1], 10),
            Some(b'm' | b'M') => (&digits[..digits.len() - 1], 20),
            Some(b'g' | b'G') => (&digits[..digits.len() - 1], 30),
            _ => (digits, 0),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let size = number.checked_mul(1 << shift).ok_or_else(wrong)?;
        Ok(match comparison {
            ">" => Sizes { least: size.checked_add(1).ok_or_else(wrong)?, most: u64::MAX },
            ">=" => Sizes { least: size, most: u64::MAX },
            "<" => Sizes { least: 0, most: size.checked_sub(1).ok_or_else(wrong)? },
            "<=" => Sizes { least: 0, most: size },
            "" | "=" => Sizes { least: size, most: size },
            _ => return Err(wrong()),
        })
    }

    /// Whether `size` is in the range.
    pub fn fits(self, size: u64) -> bool {
        (self.least..=self.most).contains(&size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let sizes = |text: &str| Sizes::new(text).ok();
        assert_eq!(sizes(">1M"), Some(Sizes { least: (1 << 20) + 1, most: u64::MAX }));
        assert_eq!(sizes("<= 10"), Some(Sizes { least: 0, most: 10 }));
        assert_eq!(sizes("64k"), Some(Sizes { least: 65536, most: 65536 }));
        for wrong in ["", ">", "1T", "=>1", "-1", "<0", "99999999999G", "é"] {
            assert_eq!(sizes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn names() {
        let fits = |pattern: &str, name: &str| Name::new(pattern).is_ok_and(|wanted| wanted.fits(name));
        assert!(fits("Node", "__main__.Node") && fits("Node", "Node") && fits("a.Node", "b.a.Node"));
        assert!(!fits("Node", "__main__.SubNode") && !fits("__main__", "__main__.Node"));
        assert!(fits("builtins.str", "str") && fits("/^__main__/", "__main__.Node"));
        assert!(Name::new("/(/").is_err() && Name::new("/(a{9999}){9999}/").is_err());
    }

    #[test]
    fn texts_stand_for_themselves() {
        assert!(regex("a.c").is_ok_and(|r| r.is_match(b"xa.cx") && !r.is_match(b"abc")));
        assert!(regex("/a.c/").is_ok_and(|r| r.is_match(b"abc")));
        assert!(regex("/").is_ok_and(|r| r.is_match(b"a/b")));
    }
}
