//! The grammar of `py-print`'s paths: `name`, then any of `.attribute` and `[literal]`, in Python's
//! spelling. What the parts mean is `path`'s business.

use crate::error::{Error, Result};
use crate::objects::number::Integer;
use crate::objects::text::plain;

/// A Python literal: what may stand between brackets.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    None,
    /// `True` and `False` too: they are equal to 1 and 0, as keys and as indices.
    Int(Integer),
    Float(f64),
    Text(Vec<u32>),
    Bytes(Vec<u8>),
    Tuple(Vec<Literal>),
}

/// What one step does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Attribute(String),
    Item(Literal),
}

/// A step, and how it was typed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Step {
    pub action: Action,
    pub typed: String,
}

/// Tuples in tuples.
const DEPTH: usize = 16;
/// Digits of a number.
const DIGITS: usize = 4096;

/// Why a path is none.
enum Wrong {
    Path,
    Slice,
}

type Parsed<T> = std::result::Result<T, Wrong>;

/// A path: its first name and its steps.
pub(super) fn parse(path: &str) -> Result<(String, Vec<Step>)> {
    if path.is_empty() {
        return Err(Error::User("'' not found".into()));
    }
    let mut parser = Parser { rest: path };
    parser.path().map_err(|wrong| {
        let shown = plain(path);
        Error::User(match wrong {
            Wrong::Slice => format!("'{shown}': slices are not supported: type one index or one key"),
            Wrong::Path => {
                let hint = if path.contains(" --") { " (options come before the name)" } else { "" };
                format!("'{shown}' is no name and no path such as self.pool[0]['key']{hint}")
            }
        })
    })
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn path(&mut self) -> Parsed<(String, Vec<Step>)> {
        let name = self.name()?;
        let mut steps = Vec::new();
        loop {
            self.blanks();
            let before = self.rest;
            let action = if before.is_empty() {
                return Ok((name, steps));
            } else if self.take(".") {
                self.blanks();
                Action::Attribute(self.name()?)
            } else if self.take("[") {
                Action::Item(self.index()?)
            } else {
                return Err(Wrong::Path);
            };
            let typed = before[..before.len() - self.rest.len()].to_owned();
            steps.push(Step { action, typed });
        }
    }

    /// A Python identifier: letters of any script, digits, underscores.
    fn name(&mut self) -> Parsed<String> {
        let end = self
            .rest
            .char_indices()
            .find(|(i, c)| !(c.is_alphanumeric() || *c == '_') || *i == 0 && c.is_ascii_digit())
            .map_or(self.rest.len(), |(i, _)| i);
        let (name, after) = self.rest.split_at(end);
        self.rest = after;
        if name.is_empty() { Err(Wrong::Path) } else { Ok(name.to_owned()) }
    }

    /// What stands between `[` and `]`: a literal, or several, which are a tuple.
    fn index(&mut self) -> Parsed<Literal> {
        self.blanks();
        if self.rest.starts_with(':') {
            return Err(Wrong::Slice);
        }
        let mut all = vec![self.literal(DEPTH)?];
        let mut tuple = false;
        loop {
            self.blanks();
            if self.take("]") {
                return Ok(if tuple { Literal::Tuple(all) } else { all.remove(0) });
            }
            if self.rest.starts_with(':') {
                return Err(Wrong::Slice);
            }
            if !self.take(",") {
                return Err(Wrong::Path);
            }
            tuple = true;
            self.blanks();
            if !self.rest.starts_with(']') {
                all.push(self.literal(DEPTH)?);
            }
        }
    }

    fn literal(&mut self, depth: usize) -> Parsed<Literal> {
        self.blanks();
        if self.take("(") {
            return self.tuple(depth.checked_sub(1).ok_or(Wrong::Path)?);
        }
        for (prefix, raw, bytes) in [
            ("", false, false),
            ("u", false, false),
            ("b", false, true),
            ("r", true, false),
            ("br", true, true),
            ("rb", true, true),
        ] {
            let head = self.rest.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
            if head && self.rest[prefix.len()..].starts_with(['\'', '"']) {
                self.rest = &self.rest[prefix.len()..];
                return self.string(raw, bytes);
            }
        }
        let end = self
            .rest
            .char_indices()
            .find(|(i, c)| {
                let exponent = self.rest[..*i].ends_with(['e', 'E']) && !self.rest.starts_with("0x");
                !(c.is_ascii_alphanumeric()
                    || matches!(c, '.' | '_')
                    || matches!(c, '-' | '+') && (*i == 0 || exponent))
            })
            .map_or(self.rest.len(), |(i, _)| i);
        let (word, after) = self.rest.split_at(end);
        self.rest = after;
        match word {
            "None" => Ok(Literal::None),
            "True" => Ok(Literal::Int(Integer::from(1))),
            "False" => Ok(Literal::Int(Integer::from(0))),
            word => number(word).ok_or(Wrong::Path),
        }
    }

    /// The rest of a tuple; one literal in parentheses without a comma is that literal.
    fn tuple(&mut self, depth: usize) -> Parsed<Literal> {
        let mut all = Vec::new();
        let mut comma = false;
        loop {
            self.blanks();
            if self.take(")") {
                return Ok(if all.len() == 1 && !comma { all.remove(0) } else { Literal::Tuple(all) });
            }
            if !all.is_empty() && !comma {
                return Err(Wrong::Path);
            }
            all.push(self.literal(depth)?);
            self.blanks();
            let one = self.take(",");
            comma = one || all.len() > 1 && self.rest.starts_with(')');
            if !one && !self.rest.starts_with(')') {
                return Err(Wrong::Path);
            }
        }
    }

    fn string(&mut self, raw: bool, bytes: bool) -> Parsed<Literal> {
        let quote = self.rest.chars().next().ok_or(Wrong::Path)?;
        let mut points = Vec::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            if c == quote {
                self.rest = &self.rest[i + 1..];
                return if bytes {
                    let bytes: Option<Vec<u8>> = points.into_iter().map(|point| u8::try_from(point).ok()).collect();
                    bytes.map(Literal::Bytes).ok_or(Wrong::Path)
                } else {
                    Ok(Literal::Text(points))
                };
            }
            if bytes && !c.is_ascii() {
                return Err(Wrong::Path);
            }
            if c != '\\' {
                points.push(u32::from(c));
                continue;
            }
            let (at, escaped) = chars.next().ok_or(Wrong::Path)?;
            let rest = &self.rest[at + escaped.len_utf8()..];
            let mut hex = |digits: usize| -> Parsed<()> {
                let text =
                    rest.get(..digits).filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit())).ok_or(Wrong::Path)?;
                points.push(u32::from_str_radix(text, 16).ok().filter(|point| *point < 0x11_0000).ok_or(Wrong::Path)?);
                let _ = chars.nth(digits - 1);
                Ok(())
            };
            match escaped {
                _ if raw => points.extend([u32::from('\\'), u32::from(escaped)]),
                'x' => hex(2)?,
                'u' if !bytes => hex(4)?,
                'U' if !bytes => hex(8)?,
                '0'..='7' => {
                    let digits = 1 + rest.bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
                    let text = &self.rest[at..at + digits];
                    points.push(u32::from_str_radix(text, 8).map_err(|_| Wrong::Path)?);
                    if digits > 1 {
                        let _ = chars.nth(digits - 2);
                    }
                }
                '\\' | '\'' | '"' => points.push(u32::from(escaped)),
                'n' => points.push(10),
                't' => points.push(9),
                'r' => points.push(13),
                'a' => points.push(7),
                'b' => points.push(8),
                'f' => points.push(12),
                'v' => points.push(11),
                // Python keeps the backslash of what is no escape.
                _ => points.extend([u32::from('\\'), u32::from(escaped)]),
            }
        }
        Err(Wrong::Path)
    }
}

/// A number in Python's spelling.
fn number(word: &str) -> Option<Literal> {
    let (negative, unsigned) = match word.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, word.strip_prefix('+').unwrap_or(word)),
    };
    // The long integers of Python 2.
    let unsigned = unsigned.strip_suffix('L').unwrap_or(unsigned);
    if unsigned.len() > DIGITS || !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if unsigned.starts_with('_') || unsigned.ends_with('_') || unsigned.contains("__") {
        return None;
    }
    let digits = unsigned.replace('_', "").to_ascii_lowercase();
    let based =
        [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find_map(|(p, radix)| Some((digits.strip_prefix(p)?, radix)));
    let (text, radix) = based.unwrap_or((&digits, 10));
    if let Some(integer) = Integer::parse(text, radix, negative) {
        return Some(Literal::Int(integer));
    }
    if based.is_some() {
        return None;
    }
    let value: f64 = digits.parse().ok()?;
    Some(Literal::Float(if negative { -value } else { value }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Option<Literal> {
        match parse(&format!("d[{text}]")).ok()?.1.pop()?.action {
            Action::Item(literal) => Some(literal),
            Action::Attribute(_) => None,
        }
    }

    fn int(value: i128) -> Literal {
        Literal::Int(Integer::from(value))
    }

    fn text(text: &str) -> Literal {
        Literal::Text(text.chars().map(u32::from).collect())
    }

    #[test]
    fn paths() {
        let (name, steps) = parse("self.pool . _queue [0] [ 'k' ]").unwrap();
        assert_eq!(name, "self");
        let typed: Vec<_> = steps.iter().map(|s| s.typed.as_str()).collect();
        assert_eq!(typed, [".pool", ". _queue", "[0]", "[ 'k' ]"]);
        assert_eq!(steps[3].action, Action::Item(text("k")));
        assert_eq!(parse("größe[-1]").unwrap().1[0].action, Action::Item(int(-1)));
        for wrong in
            ["", "1a", "a.", "a[", "a['x]", "a b", "a[x]", "a[]", "a[1", "a[1]b", "a[1 2]", "a['\\x1']", "a[--1]"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn literals() {
        assert_eq!(item("0x1F"), Some(int(31)));
        assert_eq!(item("-0b11"), Some(int(-3)));
        assert_eq!(item("1_000"), Some(int(1000)));
        assert_eq!(item("5L"), Some(int(5)));
        assert_eq!(item("True"), Some(int(1)));
        assert_eq!(item("None"), Some(Literal::None));
        assert_eq!(item("1.5e-3"), Some(Literal::Float(0.0015)));
        assert_eq!(item("-.5"), Some(Literal::Float(-0.5)));
        assert_eq!(item("1e3"), Some(Literal::Float(1000.0)));
        assert_eq!(item(r#""it's""#), Some(text("it's")));
        assert_eq!(item(r"'\x41\u20ac\n\101\q'"), Some(text("A\u{20ac}\nA\\q")));
        assert_eq!(item(r"b'\x00\xff\u'"), Some(Literal::Bytes(vec![0, 255, b'\\', b'u'])));
        assert_eq!(item(r"r'\n'"), Some(text("\\n")));
        assert_eq!(item("(1, 'a')"), Some(Literal::Tuple(vec![int(1), text("a")])));
        assert_eq!(item("1, 'a'"), Some(Literal::Tuple(vec![int(1), text("a")])));
        assert_eq!(item("(1,)"), Some(Literal::Tuple(vec![int(1)])));
        assert_eq!(item("(1)"), Some(int(1)));
        assert_eq!(item("()"), Some(Literal::Tuple(Vec::new())));
        assert_eq!(
            item("((1, 2), ())"),
            Some(Literal::Tuple(vec![Literal::Tuple(vec![int(1), int(2)]), Literal::Tuple(Vec::new())]))
        );
        assert_eq!(item(&"(".repeat(100_000)), None);
        for wrong in ["b'\u{e9}'", "1__0", "0x", "1.2.3", "(1 2)", "(,)", "1e", "nan", "'\\U00110000'"] {
            assert_eq!(item(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn slices_are_refused_in_words() {
        for path in ["a[1:2]", "a[:]", "a[::2]", "a[ 1 : ]"] {
            assert!(parse(path).unwrap_err().to_string().contains("slices are not supported"), "{path}");
        }
        assert!(parse("a[':']").is_ok());
    }
}
