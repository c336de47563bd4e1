//! The house rules that a compiler does not check: layers, places for versions and for `unsafe`,
//! headers, and words that have no place in a finished tree.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, in groups: a file uses its own group and those above it.
const LAYERS: &[&[&str]] = &[
    &["error", "diag", "bytes", "limits"],
    &["process"],
    &["image"],
    &["locate"],
    &["layout"],
    &["objects"],
    &["runtime"],
    &["stack"],
    &["allocators"],
    &["heap"],
    &["report"],
    &["session"],
    &["abi"],
];

/// Where `unsafe` may stand.
const UNSAFE: &[&str] = &["abi.rs", "process/live.rs", "image/debuginfod.rs"];

/// Lines of a file that gives no reason for being longer.
const LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `directory`, without what tools leave there.
fn files(directory: &Path) -> Vec<PathBuf> {
    const TOOLS: &[&str] = &["target", "__pycache__", "node_modules"];
    let mut all = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("the directory can be read").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if path.is_symlink() || TOOLS.contains(&name.as_str()) || name.starts_with('.') && name != ".ci" {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

/// A source file of the library.
struct Source {
    /// Its path below `rust-core/`.
    name: String,
    text: String,
    /// The text with comments and the insides of literals blanked out; lines stay where they are.
    code: String,
}

impl Source {
    /// The code without the unit tests, which stand at the end of a file.
    fn shipped(&self) -> &str {
        self.code.split("#[cfg(test)]\nmod tests").next().unwrap_or("")
    }
}

fn sources() -> Vec<Source> {
    let core = root().join("rust-core");
    files(&core)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source is UTF-8");
            let name = path.strip_prefix(&core).expect("below rust-core").to_string_lossy().into_owned();
            Source { name, code: code_of(&text), text }
        })
        .collect()
}

/// Blanks out comments, strings and characters.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    while i < chars.len() {
        let start = i;
        let word_before = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(i), at(i + 1)) {
                        ('/', '*') => (depth, i) = (depth + 1, i + 2),
                        ('*', '/') => (depth, i) = (depth - 1, i + 2),
                        _ => i += 1,
                    }
                    if depth == 0 || i >= chars.len() {
                        break;
                    }
                }
            }
            'r' if !word_before && raw_string(&chars[i + 1..]).is_some() => {
                i += 1 + raw_string(&chars[i + 1..]).unwrap_or(0);
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += if at(i) == '\\' { 2 } else { 1 };
                }
                i += 1;
            }
            // A character, not a lifetime.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += if at(i + 1) == '\\' { 3 } else { 2 };
                while i < chars.len() && at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            c => {
                out.push(c);
                i += 1;
                continue;
            }
        }
        out.extend(chars[start..i.min(chars.len())].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
    }
    out
}

/// The length of what follows the `r` of a raw string.
fn raw_string(chars: &[char]) -> Option<usize> {
    let hashes = chars.iter().take_while(|c| **c == '#').count();
    if chars.get(hashes) != Some(&'"') {
        return None;
    }
    let mut end = vec!['"'];
    end.resize(hashes + 1, '#');
    let inside = &chars[hashes + 1..];
    let length = inside.windows(end.len()).position(|w| w == end)?;
    Some(hashes + 1 + length + end.len())
}

/// Identifiers, `::`, and other characters, each with its line.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    for (line, text) in (1..).zip(code.lines()) {
        let mut word = String::new();
        for c in text.chars().chain([' ']) {
            if c.is_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                all.push((line, std::mem::take(&mut word)));
            }
            match (c, all.last_mut()) {
                (':', Some((_, last))) if last == ":" => last.push(':'),
                (c, _) if !c.is_whitespace() => all.push((line, c.to_string())),
                _ => {}
            }
        }
    }
    all
}

/// The modules of the crate that a file names: `crate::x`, `use crate::{x, y::z}`, and `super::x`
/// that leads to the crate's root. `depth` is that of the file's module.
fn used(code: &str, depth: usize) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let word = |i: usize| tokens.get(i).map_or("", |(_, t)| t.as_str());
    let mut all = Vec::new();
    for i in 0..tokens.len() {
        let mut next = i;
        if word(i) == "crate" {
            next = i + 1;
        } else if word(i) == "super" && (i == 0 || word(i - 1) != "::") {
            let mut supers = 0;
            while word(next) == "super" && word(next + 1) == "::" {
                (supers, next) = (supers + 1, next + 2);
            }
            next = if supers >= depth { next - 1 } else { i };
        }
        if next == i || word(next) != "::" {
            continue;
        }
        if word(next + 1) != "{" {
            all.extend(tokens.get(next + 1).cloned());
            continue;
        }
        let mut level = 0;
        for (j, token) in tokens.iter().enumerate().skip(next + 1) {
            match token.1.as_str() {
                "{" => level += 1,
                "}" => level -= 1,
                _ if level == 1 && matches!(word(j - 1), "{" | ",") => all.push(token.clone()),
                _ => {}
            }
            if level == 0 {
                break;
            }
        }
    }
    all
}

fn group(module: &str) -> Option<usize> {
    LAYERS.iter().position(|group| group.contains(&module))
}

/// The module of the crate's root that a file belongs to.
fn module(name: &str) -> &str {
    name.split('/').next().unwrap_or("").trim_end_matches(".rs")
}

fn complain(what: &str, complaints: &[String]) {
    assert!(complaints.is_empty(), "{what}:\n  {}", complaints.join("\n  "));
}

#[test]
fn layers_use_only_those_above() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| s.name != "lib.rs") {
        let Some(own) = group(module(&source.name)) else {
            complaints.push(format!("{}: belongs to no layer of tests/tidy.rs", source.name));
            continue;
        };
        let depth = source.name.trim_end_matches("/mod.rs").split('/').count();
        for (line, name) in used(&source.code, depth) {
            match group(&name) {
                Some(other) if other > own => complaints.push(format!("{}:{line}: uses {name}", source.name)),
                _ => {}
            }
        }
    }
    complain("a layer uses one below it", &complaints);
}

/// lib.rs tells the order to readers.
#[test]
fn the_order_of_layers_is_the_documented_one() {
    let text = fs::read_to_string(root().join("rust-core/lib.rs")).expect("lib.rs can be read");
    let documented: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("//! "))
        .filter(|l| l.starts_with(|c: char| c.is_ascii_digit()))
        .filter_map(|l| l.split("[`").nth(1)?.split("`]").next())
        .collect();
    let expected: Vec<&str> = LAYERS.iter().map(|group| group[0]).collect();
    assert_eq!(documented, expected);
    for source in sources() {
        let name = module(&source.name);
        assert!(name == "lib" || group(name).is_some(), "{} belongs to no layer", source.name);
    }
}

#[test]
fn versions_are_compared_in_layout_only() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| !["layout", "locate"].contains(&module(&s.name))) {
        for pair in tokens(source.shipped()).windows(2) {
            if pair[0].1 == "." && ["major", "minor", "micro"].contains(&pair[1].1.as_str()) {
                complaints.push(format!("{}:{}: .{}", source.name, pair[1].0, pair[1].1));
            }
        }
    }
    complain("a version of CPython is looked at outside of layout/ (make it a rule of layout/rules.rs)", &complaints);
}

#[test]
fn unsafe_stands_in_few_files() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| !UNSAFE.contains(&s.name.as_str())) {
        for (line, _) in tokens(&source.code).iter().filter(|(_, word)| word == "unsafe") {
            complaints.push(format!("{}:{line}", source.name));
        }
    }
    complain("unsafe outside of its files", &complaints);
}

#[test]
fn every_file_says_what_it_is() {
    let mut complaints = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//! ") {
            complaints.push(source.name.clone());
        }
    }
    for path in files(&root().join("tests")).iter().filter(|p| p.extension().is_some_and(|e| e == "rs")) {
        if !fs::read_to_string(path).is_ok_and(|text| text.starts_with("//! ")) {
            complaints.push(path.display().to_string());
        }
    }
    complain("no `//!` header", &complaints);
}

#[test]
fn long_files_have_a_reason() {
    let mut complaints = Vec::new();
    for source in sources() {
        let count = source.text.lines().count();
        let header: String = source.text.lines().take_while(|l| l.starts_with("//!")).collect();
        if count > LINES && !header.contains("lines") {
            complaints.push(format!("{}: {count} lines", source.name));
        }
    }
    complain("long files whose header does not say why", &complaints);
}

#[test]
fn the_library_never_prints() {
    let mut complaints = Vec::new();
    for source in sources() {
        for pair in tokens(source.shipped()).windows(2) {
            let prints = ["print", "println", "eprint", "eprintln", "dbg"].contains(&pair[0].1.as_str());
            if prints && pair[1].1 == "!" {
                complaints.push(format!("{}:{}: {}!", source.name, pair[0].0, pair[0].1));
            }
        }
    }
    complain("the library prints", &complaints);
}

/// Sources, scripts, pages and settings of the project. Not what it takes over from elsewhere.
fn project_files() -> Vec<(String, String)> {
    const KINDS: &[&str] = &["rs", "py", "sh", "md", "toml", "yml", "yaml", "h", "c", "txt", "tsv", "json", ""];
    const TAKEN_OVER: &[&str] = &["tests/cpython_gdb/"];
    files(root())
        .into_iter()
        .filter(|path| KINDS.contains(&path.extension().map_or("", |e| e.to_str().unwrap_or("?"))))
        .filter_map(|path| {
            let name = path.strip_prefix(root()).ok()?.to_string_lossy().into_owned();
            let taken_over = TAKEN_OVER.iter().any(|t| name.starts_with(t));
            Some((name, fs::read_to_string(path).ok()?)).filter(|_| !taken_over)
        })
        .collect()
}

#[test]
fn nothing_is_left_to_do() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X ")];
    let mut complaints = Vec::new();
    for (name, text) in project_files() {
        for (line, text) in (1..).zip(text.lines()) {
            complaints.extend(words.iter().filter(|w| text.contains(*w)).map(|w| format!("{name}:{line}: {w}")));
        }
    }
    complain("left to do", &complaints);
}

#[test]
fn no_path_of_one_machine() {
    let mut complaints = Vec::new();
    for (name, text) in project_files() {
        for (line, text) in (1..).zip(text.lines()) {
            for directory in ["work", "root", "home"] {
                let path = format!("/{directory}/");
                // Not the end of a longer path, such as /proc/PID/root/.
                let absolute =
                    |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}])/%$~".contains(c));
                if text.match_indices(&path).any(|(at, _)| absolute(at)) {
                    complaints.push(format!("{name}:{line}: {path}"));
                }
            }
        }
    }
    complain("paths of one machine", &complaints);
}

#[test]
fn this_file_reads_rust() {
    let text = "a(\"crate::x\") // crate::y\n/* /* */ crate::z */ r#\"\"crate::q\"# '\\'' 'a str '\"' crate::b";
    let words: Vec<String> = tokens(&code_of(text)).into_iter().map(|(_, word)| word).collect();
    assert_eq!(words, ["a", "(", ")", "'", "a", "str", "crate", "::", "b"]);
    let names = |code: &str, depth| used(code, depth).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(names("use crate::a::b; use crate::{c, d::{e, f}, g}; x(crate::h::i)", 1), ["a", "c", "d", "g", "h"]);
    assert_eq!(names("use super::a; use super::super::b::c;", 2), ["b"]);
    assert_eq!(names("use super::{a, b};", 1), ["a", "b"]);
}
