//! Values as text for a person.

use super::model::{Frame, FrameKind, Gap, Info, Listing, Locals, NoPython, Printed, Thread, Threads, Variable};
use super::paint::Paint;
use crate::diag::Diagnostic;
use crate::objects::text::{Text, plain, plain_line};
use std::fmt::Write;

/// Columns before a line's text in a listing and under a frame.
const INDENT: &str = "    ";

/// One frame: the frame form, and the source line under it.
pub fn frame(out: &mut String, frame: &Frame, paint: &Paint) {
    let name = frame.qualname.as_deref().or(frame.function.as_deref()).unwrap_or("?");
    match frame.kind {
        FrameKind::Python => {
            let _ = write!(out, "#{} ", frame.index.unwrap_or(0));
            frame_form(out, frame, name, &frame.args, paint);
            out.push('\n');
            if let Some(source) = &frame.source {
                let _ = writeln!(out, "{INDENT}{}", source.trim());
            }
        }
        FrameKind::CCall | FrameKind::Native => {
            let _ = writeln!(out, "   {name}");
        }
    }
}

/// The file's name for a person.
pub fn file_name(frame: &Frame) -> String {
    frame.file.as_ref().map_or_else(|| "?".to_owned(), Text::plain)
}

/// `Frame 0x…, for file F, line N, in f (a=1)`.
pub fn frame_form(out: &mut String, frame: &Frame, name: &str, variables: &[Variable], paint: &Paint) {
    let address = frame.address.unwrap_or_default();
    let file = file_name(frame);
    let line = frame.line.map_or_else(|| "?".to_owned(), |l| l.to_string());
    let (address, file, name) = (paint.address(&address), paint.filename(&file), paint.function(name));
    let _ = write!(out, "Frame {address}, for file {file}, line {line}, in {name} (");
    for (i, variable) in variables.iter().enumerate() {
        let comma = if i > 0 { ", " } else { "" };
        let _ = write!(out, "{comma}{}={}", paint.variable(&variable.name), variable.value);
    }
    out.push(')');
}

fn variables(out: &mut String, indent: &str, variables: &[Variable], paint: &Paint) {
    for variable in variables {
        let _ = writeln!(out, "{indent}{} = {}", paint.variable(&variable.name), variable.value);
    }
}

/// The heading of a thread.
pub fn heading(thread: &Thread) -> String {
    let mut out = match thread.gdb {
        Some(gdb) => format!("Thread {gdb}"),
        None => "Thread".to_owned(),
    };
    if let Some(name) = &thread.name {
        let _ = write!(out, " \"{name}\"");
    }
    let mut ids = Vec::new();
    ids.extend(thread.lwp.map(|lwp| format!("LWP {lwp}")));
    ids.extend(thread.thread_id.map(|id| format!("thread id {id}")));
    ids.extend(thread.interpreter.filter(|id| *id != 0).map(|id| format!("interpreter {id}")));
    let _ = write!(out, " ({})", ids.join(", "));
    let _ = write!(out, ": {}", thread.state.words());
    if thread.holds_gil {
        out.push_str(", holds the GIL");
    }
    out
}

/// The frames of one thread.
pub fn stack(out: &mut String, thread: &Thread, paint: &Paint) {
    for one in &thread.frames {
        frame(out, one, paint);
        if let Some(locals) = &one.locals {
            let more: Vec<Variable> =
                locals.iter().filter(|v| !one.args.iter().any(|a| a.name == v.name)).cloned().collect();
            variables(out, "        ", &more, paint);
        }
    }
    if let Some(total) = thread.frames_total {
        let shown = thread.frames.iter().rev().find_map(|f| f.index).map_or(0, |last| last + 1);
        let _ = writeln!(out, "(More frames follow: {} of {total} shown.)", shown);
    }
    if let Some(cut) = &thread.cut {
        let _ = writeln!(out, "(The stack ends here: {cut}.)");
    }
}

/// What is to be said of a thread that has a Python thread state and no frame: it is about to begin
/// or has ended, or C code keeps it for callbacks.
pub const NO_FRAME: &str = "this thread has a Python thread state and runs no Python function";

/// `py-bt`: one thread without a heading, or all with headings. A thread that runs several
/// interpreters has a heading for each.
pub fn backtrace(answer: &Threads, headings: bool, paint: &Paint) -> String {
    let mut out = String::new();
    for (i, thread) in answer.threads.iter().enumerate() {
        if headings {
            if i > 0 {
                out.push('\n');
            }
            let _ = writeln!(out, "{}", paint.title(&heading(thread)));
        } else if let (Some(id), true) = (thread.interpreter, answer.threads.len() > 1) {
            let _ = writeln!(out, "{}", paint.title(&format!("Interpreter {id}:")));
        }
        stack(&mut out, thread, paint);
        if thread.frames.is_empty() && thread.cut.is_none() && thread.interpreter.is_some() && !headings {
            let _ = writeln!(out, "({NO_FRAME}.)");
        }
    }
    diagnostics(&mut out, &answer.diagnostics);
    out
}

/// Remarks, after the answer.
pub fn diagnostics(out: &mut String, all: &[Diagnostic]) {
    for one in all.iter().filter(|d| !d.is_said_first()) {
        let _ = writeln!(out, "note: {} ({})", plain(&one.what), plain(&one.at));
    }
}

/// `py-threads`. `width` is the terminal's, in columns (0: no limit): file names are cut to it.
pub fn threads(answer: &Threads, current: Option<i64>, width: usize, paint: &Paint) -> String {
    let mut rows = vec![["", "GDB", "LWP", "Name", "Interp", "GIL", "State"].map(String::from)];
    for thread in &answer.threads {
        let number = |n: Option<i64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        rows.push([
            if thread.gdb.is_some() && thread.gdb == current { "*".to_owned() } else { String::new() },
            number(thread.gdb),
            number(thread.lwp),
            thread.name.clone().unwrap_or_else(|| "-".to_owned()),
            number(thread.interpreter),
            if thread.holds_gil { "yes".to_owned() } else { String::new() },
            thread.state.words().to_owned(),
        ]);
    }
    let mut lines = table(&rows);
    // The last column, behind the widest line of the others.
    let room = (width > 0).then(|| width.saturating_sub(lines.first().map_or(0, |l| l.chars().count())));
    lines[0].push_str("Innermost Python frame");
    for (line, thread) in lines[1..].iter_mut().zip(&answer.threads) {
        line.push_str(&innermost(thread, room, paint));
    }
    lines[0] = paint.title(lines[0].trim_end()).to_string();
    let mut out: String = lines.iter().map(|line| format!("{}\n", line.trim_end())).collect();
    diagnostics(&mut out, &answer.diagnostics);
    out
}

/// `function (file:line)` of the innermost Python frame. Of a file name that does not fit into `room`
/// columns the beginning is left out: its end tells more.
fn innermost(thread: &Thread, room: Option<usize>, paint: &Paint) -> String {
    let Some(frame) = thread.frames.iter().find(|f| f.kind == FrameKind::Python) else { return "-".to_owned() };
    let name = frame.qualname.as_deref().or(frame.function.as_deref()).unwrap_or("?");
    let line = frame.line.map_or_else(|| "?".to_owned(), |l| l.to_string());
    let mut file = file_name(frame);
    let (length, others) = (file.chars().count(), name.chars().count() + line.len() + " (:)".len());
    if let Some(room) = room
        && others + length > room
    {
        const FEWEST: usize = 12;
        let kept = room.saturating_sub(others + "...".len()).max(FEWEST);
        if kept + "...".len() < length {
            file = format!("...{}", file.chars().skip(length - kept).collect::<String>());
        }
    }
    format!("{} ({}:{line})", paint.function(name), paint.filename(&file))
}

/// A table whose first line is its heading: numbers to the right in columns that are at `least` so wide, then a text.
pub(super) fn heading_and_rows(out: &mut String, lines: &[impl AsRef<[String]>], least: &[usize], paint: &Paint) {
    let longest = |column: usize| lines.iter().filter_map(|line| line.as_ref().get(column)).map(String::len).max();
    let widths: Vec<usize> =
        least.iter().enumerate().map(|(column, least)| longest(column).unwrap_or(0).max(*least)).collect();
    for (i, line) in lines.iter().map(AsRef::as_ref).enumerate() {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(text, "{cell:>width$} ");
        }
        text.push_str(line.last().map_or("", String::as_str));
        let _ = if i == 0 { writeln!(out, "{}", paint.title(&text)) } else { writeln!(out, "{text}") };
    }
}

/// Lines of columns as wide as their widest cell.
fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| widths.iter().zip(row).map(|(width, cell)| format!("{cell:width$}  ")).collect();
    rows.iter().map(line).collect()
}

/// `py-locals`.
pub fn locals(answer: &Locals, paint: &Paint) -> String {
    let mut out = String::new();
    for frame in &answer.frames {
        variables(&mut out, "", frame.locals.as_deref().unwrap_or(&[]), paint);
    }
    if out.is_empty() {
        out.push_str("No locals.\n");
    }
    diagnostics(&mut out, &answer.diagnostics);
    out
}

/// `py-print`, in the words that CPython's script has taught.
pub fn printed(answer: &Printed, paint: &Paint) -> String {
    let name = paint.variable(&answer.variable.name);
    let mut out = format!("{} '{name}' = {}\n", answer.scope, answer.variable.value);
    diagnostics(&mut out, &answer.diagnostics);
    out
}

/// `py-list`: the current line is marked.
pub fn listing(answer: &Listing) -> String {
    let mut out = String::new();
    for (number, line) in &answer.lines {
        let mark = if Some(*number) == answer.line { format!(">{number}") } else { number.to_string() };
        let _ = writeln!(out, "{mark:>4}    {}", plain_line(line));
    }
    out
}

fn gaps(out: &mut String, all: &[Gap]) {
    if !all.is_empty() {
        out.push_str("could not be read:\n");
    }
    for gap in all {
        let _ = writeln!(out, "  {}\n    {}", plain(&gap.what), plain(&gap.remedy));
    }
}

/// `py-info` where CPython was not found. All the files are listed: somebody has to copy them.
pub fn no_python(answer: &NoPython) -> String {
    let mut out = format!("{}\n", answer.error);
    gaps(&mut out, &answer.unreadable);
    out.push_str("files, with their build ids:\n");
    for file in &answer.missing_files {
        let _ = writeln!(out, "  {}  {}", plain(&file.path), file.build_id.as_deref().unwrap_or("not known"));
    }
    out
}

/// `py-info`.
pub fn info(info: &Info, verbose: bool) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "CPython {} ({}); version from {}", info.version, info.flavour, info.version_found);
    let _ = writeln!(out, "image: {}", plain(&info.image));
    let id = info.build_id.as_deref().unwrap_or("none");
    let proof = if info.build_id_verified { "same as in memory" } else { "memory does not show it" };
    let _ = writeln!(out, "file read for it: {} (build id {id}, {proof})", plain(&info.file));
    match info.runtime {
        Some(runtime) => {
            let _ = writeln!(out, "_PyRuntime: {runtime}, by {}", info.runtime_found);
        }
        None => {
            let _ = writeln!(out, "interpreters: by {}", info.runtime_found);
        }
    }
    let _ = writeln!(
        out,
        "PyType_Type: {}, by {}; {} static types",
        info.type_type, info.type_type_found, info.static_types
    );
    let _ = writeln!(out, "{} interpreter(s), {} thread(s) with Python state", info.interpreters, info.threads);
    out.push_str("offsets:\n");
    let total = |f: fn(&super::model::Source) -> usize| info.sources.iter().map(f).sum::<usize>();
    if info.debug_offsets {
        let _ = writeln!(out, "  {} from the target's own _Py_DebugOffsets", total(|s| s.debug_offsets));
    }
    match &info.dwarf {
        Some(file) => {
            let _ = writeln!(out, "  {} from DWARF of {}", total(|s| s.dwarf), plain(file));
        }
        None => out.push_str("  no DWARF of this image was found\n"),
    }
    if let Some(table) = info.table.as_ref().filter(|_| total(|s| s.table) > 0) {
        let _ = writeln!(out, "  {} from the built-in table of {table}", total(|s| s.table));
    }
    let _ = writeln!(
        out,
        "verified against live memory: {} sizes (tp_basicsize), {} members (PyMemberDef)",
        info.verified_sizes, info.verified_members
    );
    if verbose {
        out.push_str("by struct (debug offsets, DWARF, table):\n");
        for source in &info.sources {
            let _ = writeln!(out, "  {}: {}, {}, {}", source.name, source.debug_offsets, source.dwarf, source.table);
        }
    }
    gaps(&mut out, &info.unreadable);
    if let Some(c) = &info.counters {
        let _ = writeln!(
            out,
            "reads: {} ({} bytes), {} refused; answered from the cache: {}",
            c.reads, c.bytes, c.faults, c.hits
        );
    }
    for (phase, milliseconds) in info.milliseconds.iter().flatten() {
        let _ = writeln!(out, "time: {phase} {milliseconds:.1} ms");
    }
    diagnostics(&mut out, &info.diagnostics);
    out
}
