//! Values as JSON. The output is ASCII: a host's terminal encoding must not decide what a program
//! reads.

use serde::Serialize;
use std::fmt::Write;

/// The value as JSON text in ASCII.
pub fn to_ascii(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
    if text.is_ascii() {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn beyond_ascii_is_escaped_and_comes_back() {
        let text = super::to_ascii(&"h\u{e9}\u{1f600}\n");
        assert_eq!(text, r#""h\u00e9\ud83d\ude00\n""#);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "h\u{e9}\u{1f600}\n");
    }
}
