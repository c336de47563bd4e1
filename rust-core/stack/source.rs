//! Source files on this machine, found from the names that the target has.

use crate::limits;
use encoding_rs::{Encoding, UTF_8};
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Where to look for files that the target names.
#[derive(Debug, Default, Clone)]
pub struct Places {
    /// What replaces the front of a path (GDB's `set substitute-path`).
    pub substitute: Vec<(String, String)>,
    /// GDB's source directories: for names that are not absolute, and for the last part of those
    /// that do not exist.
    pub directories: Vec<PathBuf>,
    /// The target's working directory and `sys.path`: for names that are not absolute only. Another
    /// file of the same name there is another file.
    pub search_path: Vec<PathBuf>,
    /// Where the target's root is (`/proc/PID/root`), and GDB's sysroot.
    pub roots: Vec<PathBuf>,
}

/// Reads source lines, each file once.
#[derive(Debug, Default)]
pub struct Sources {
    files: RefCell<HashMap<PathBuf, Rc<Vec<String>>>>,
}

impl Sources {
    /// The lines of `name`, if it can be found and read. Where to look may change between two
    /// calls, so only what was read is remembered.
    pub fn lines(&self, name: &Path, places: &Places) -> Option<Rc<Vec<String>>> {
        candidates(name, places).into_iter().find_map(|path| {
            if let Some(known) = self.files.borrow().get(&path) {
                return Some(Rc::clone(known));
            }
            let lines = Rc::new(read(&path)?);
            self.files.borrow_mut().insert(path, Rc::clone(&lines));
            Some(lines)
        })
    }

    /// Forgets all files: they may have changed.
    pub fn clear(&self) {
        self.files.borrow_mut().clear();
    }
}

fn candidates(path: &Path, places: &Places) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let text = path.to_str().unwrap_or("");
    // CPython's own names for code without a file: <string>, <stdin>, <frozen …>.
    if path.as_os_str().is_empty() || text.starts_with('<') && text.ends_with('>') {
        return all;
    }
    for (from, to) in &places.substitute {
        if let Some(rest) = text.strip_prefix(from.as_str())
            && (rest.is_empty() || rest.starts_with('/') || from.ends_with('/'))
        {
            all.push(PathBuf::from(format!("{to}{rest}")));
        }
    }
    if path.is_absolute() {
        let inside = path.strip_prefix("/").unwrap_or(path);
        all.extend(places.roots.iter().map(|root| root.join(inside)));
        all.push(path.to_owned());
        if let Some(base) = path.file_name() {
            all.extend(places.directories.iter().map(|dir| dir.join(base)));
        }
    } else {
        all.extend(places.search_path.iter().chain(&places.directories).map(|dir| dir.join(path)));
    }
    all
}

fn read(path: &Path) -> Option<Vec<String>> {
    // The name comes from the target: it may be a device, a pipe, or a file of the kernel that has
    // no end and says that it has no size.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.len() == 0 || meta.len() > limits::SOURCE_FILE {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(limits::SOURCE_FILE).read_to_end(&mut bytes).ok()?;
    Some(decode(&bytes).lines().map(str::to_owned).collect())
}

/// The text of a source file, in the encoding that its first two lines name (PEP 263).
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let head = bytes.split(|b| *b == b'\n').take(2);
    let encoding = head.filter(|line| line.trim_ascii_start().starts_with(b"#")).find_map(cookie);
    match encoding.and_then(|name| Encoding::for_label(&label(name))) {
        Some(encoding) if encoding != UTF_8 => encoding.decode(bytes).0,
        _ => String::from_utf8_lossy(bytes),
    }
}

/// What the Encoding Standard calls what Python calls `name`: Python takes `_` for `-`, and `latin-1`.
fn label(name: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = name.iter().map(|b| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() }).collect();
    match name.strip_prefix(b"iso-latin-").or_else(|| name.strip_prefix(b"latin-")) {
        Some(number) => [b"latin", number].concat(),
        None => name,
    }
}

/// The name behind `coding:` or `coding=` in a comment.
fn cookie(line: &[u8]) -> Option<&[u8]> {
    const WORD: &[u8] = b"coding";
    let at = line.windows(WORD.len()).position(|w| w == WORD)? + WORD.len();
    let (colon, rest) = line[at..].split_first()?;
    let rest = rest.trim_ascii_start();
    let end = rest.iter().position(|b| !(b.is_ascii_alphanumeric() || b"-_.".contains(b))).unwrap_or(rest.len());
    (matches!(colon, b':' | b'=') && end > 0).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_their_encoding() {
        assert_eq!(decode(b"# -*- coding: latin-1 -*-\ngr\xfc\xdfe"), "# -*- coding: latin-1 -*-\ngr\u{fc}\u{df}e");
        assert!(decode(b"#!/usr/bin/python\n# vim: set fileencoding=koi8-r :\n\xc1").ends_with('\u{430}'));
        assert_eq!(decode("gr\u{fc}\u{df}e".as_bytes()), "gr\u{fc}\u{df}e");
        assert_eq!(decode(b"x = 1\n\n# coding: latin-1\n\xfc"), "x = 1\n\n# coding: latin-1\n\u{fffd}");
        assert_eq!(decode(b"# coding: no-such\n\xfc"), "# coding: no-such\n\u{fffd}");
    }
}
