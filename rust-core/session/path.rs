//! `py-print`'s paths: `name`, then any of `.attribute`, `[index]`, `['key']`.

use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::limits;
use crate::objects::repr::Style;
use crate::objects::text::plain;
use crate::objects::{Kind, Objects};
use crate::stack::{Frame, Lookup, Scope};

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Attribute(String),
    Index(i64),
    Key(String),
}

/// Finds what `path` means in `frame`.
///
/// # Errors
/// [`Error::User`] if it cannot be parsed or a part of it does not exist.
pub fn resolve(objects: &Objects, frame: &Frame, path: &str, style: Style) -> Result<(Scope, Addr)> {
    let (name, steps) = parse(path.trim())?;
    let (scope, mut value) = start(objects, frame, &name, style)?;
    let mut so_far = name;
    for step in steps {
        let (next, text) = match &step {
            Step::Attribute(name) => (objects.attribute(value, name)?, format!(".{name}")),
            Step::Index(index) => (item(objects, value, &step)?, format!("[{index}]")),
            Step::Key(key) => (item(objects, value, &step)?, format!("['{key}']")),
        };
        value = next.ok_or_else(|| {
            let kind = objects.type_of(value).map_or_else(|_| "object".to_owned(), |ty| ty.tp_name.clone());
            Error::User(format!("'{so_far}' ({kind} at {value}) has no {text}"))
        })?;
        so_far.push_str(&text);
    }
    Ok((scope, value))
}

/// What the name at the start of a path means.
fn start(objects: &Objects, frame: &Frame, name: &str, style: Style) -> Result<(Scope, Addr)> {
    let (free, behind) = match objects.lookup(frame, name)? {
        Lookup::Found(scope, value) => return Ok((scope, value)),
        Lookup::Missing => return Err(Error::User(format!("'{}' not found", plain(name)))),
        Lookup::Unbound { free, behind } => (free, behind),
    };
    // CPython's own script goes on to the globals.
    if style == Style::Stock {
        return behind.ok_or_else(|| Error::User(format!("'{}' not found", plain(name))));
    }
    let function = frame.code.as_ref().map_or("this function", |code| code.name.as_str());
    let whose = if free { "of a function around" } else { "of" };
    let behind = behind.map_or_else(String::new, |(scope, _)| format!(" (there is a {} of that name)", scope.word()));
    Err(Error::User(format!("'{}' is a local variable {whose} {function} without a value{behind}", plain(name))))
}

fn item(objects: &Objects, container: Addr, step: &Step) -> Result<Option<Addr>> {
    let kind = objects.type_of(container)?.kind;
    if kind == Kind::Dict {
        let mut found = None;
        objects.dict_each(container, &mut |key, value| {
            if is_key(objects, key, step) {
                found = Some(value);
            }
            found.is_none()
        })?;
        return Ok(found);
    }
    let Step::Index(index) = step else { return Ok(None) };
    let read = |most| match kind {
        Kind::List => objects.list(container, most),
        Kind::Tuple => objects.tuple(container, most),
        Kind::Deque => objects.deque(container, most),
        _ => Ok((Vec::new(), 0)),
    };
    let (_, len) = read(0)?;
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    let index = if *index < 0 { index.saturating_add(len) } else { *index };
    if !(0..len).contains(&index) || index >= limits::DICT_ENTRIES as i64 {
        return Ok(None);
    }
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    Ok(read(index.saturating_add(1))?.0.get(index).copied())
}

fn is_key(objects: &Objects, key: Addr, step: &Step) -> bool {
    match step {
        Step::Key(text) => objects.is_text(key, text),
        Step::Index(index) => match objects.type_of(key).map(|ty| ty.kind) {
            Ok(Kind::Int2 | Kind::Bool) if objects.layout.rules.python2 => {
                objects.int(key, &objects.layout.int.ob_ival).is_ok_and(|value| value == *index)
            }
            Ok(Kind::Int | Kind::Bool) => {
                objects.integer(key).is_ok_and(|value| value.to_i128() == Some(i128::from(*index)))
            }
            _ => false,
        },
        Step::Attribute(_) => false,
    }
}

fn parse(path: &str) -> Result<(String, Vec<Step>)> {
    let wrong = || {
        let hint = if path.contains(" --") { " (options come before the name)" } else { "" };
        let path = crate::objects::text::plain(path);
        Error::User(format!("'{path}' is no name and no path such as self.pool[0]['key']{hint}"))
    };
    let mut rest = path;
    let name = take_name(&mut rest);
    if name.is_empty() {
        return Err(if path.is_empty() { Error::User("'' not found".into()) } else { wrong() });
    }
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            let name = take_name(&mut rest);
            if name.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Attribute(name));
        } else if let Some(after) = rest.strip_prefix('[') {
            let (step, after) = take_index(after.trim_start()).ok_or_else(wrong)?;
            steps.push(step);
            rest = after.trim_start().strip_prefix(']').ok_or_else(wrong)?;
        } else {
            return Err(wrong());
        }
    }
    Ok((name, steps))
}

/// A Python identifier: letters of any script, digits, underscores.
fn take_name(rest: &mut &str) -> String {
    let end = rest
        .char_indices()
        .find(|(i, c)| !(c.is_alphanumeric() || *c == '_') || *i == 0 && c.is_ascii_digit())
        .map_or(rest.len(), |(i, _)| i);
    let (name, after) = rest.split_at(end);
    *rest = after;
    name.to_owned()
}

fn take_index(text: &str) -> Option<(Step, &str)> {
    let quote = text.chars().next()?;
    if quote == '\'' || quote == '"' {
        let mut key = String::new();
        let mut chars = text.char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '\\' => key.push(match chars.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    c @ ('\\' | '\'' | '"') => c,
                    _ => return None,
                }),
                c if c == quote => return Some((Step::Key(key), &text[i + 1..])),
                c => key.push(c),
            }
        }
        return None;
    }
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '-')).unwrap_or(text.len());
    Some((Step::Index(text[..end].parse().ok()?), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let (name, steps) = parse("self.pool._queue[0]['k']").unwrap();
        assert_eq!(name, "self");
        let expected =
            [Step::Attribute("pool".into()), Step::Attribute("_queue".into()), Step::Index(0), Step::Key("k".into())];
        assert_eq!(steps, expected);
        assert_eq!(parse("größe[-1]").unwrap().1, [Step::Index(-1)]);
        assert_eq!(parse(r#"d[ "it's" ]"#).unwrap().1, [Step::Key("it's".into())]);
        for wrong in ["", "1a", "a.", "a[", "a['x]", "a b", "a[x]"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
