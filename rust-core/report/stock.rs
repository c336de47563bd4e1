//! The texts of CPython's own gdb script, for `set pyext style stock`.

use super::model::{Frame, FrameKind};
use super::paint::Paint;
use super::text::{file_name, frame_form};
use std::fmt::Write;

/// `MAX_OUTPUT_LEN` of Tools/gdb/libpython.py.
pub const LIMIT: usize = 1024;

/// A text cut the way that script cuts it.
pub fn cut(text: &str) -> String {
    let mut out: String = text.chars().take(LIMIT).collect();
    if out.len() < text.len() {
        out.push_str("...(truncated)");
    }
    out
}

/// `py-bt`: the form of a Python traceback, innermost first.
pub fn backtrace(frames: &[Frame]) -> String {
    let mut out = String::from("Traceback (most recent call first):\n");
    for frame in frames {
        let function = frame.function.as_deref().unwrap_or("?");
        match frame.kind {
            FrameKind::Python => {
                let file = file_name(frame);
                let line = frame.line.map_or_else(|| "?".to_owned(), |l| l.to_string());
                let _ = writeln!(out, "  File \"{file}\", line {line}, in {function}");
                if let Some(source) = &frame.source {
                    let _ = writeln!(out, "    {}", source.trim());
                }
            }
            _ => {
                let _ = writeln!(out, "  {function}");
            }
        }
    }
    out
}

/// `py-bt-full`, `py-up`, `py-down`: GDB's level, then the frame with all its locals.
pub fn full(out: &mut String, frame: &Frame) {
    let level = frame.gdb_level.unwrap_or(-1);
    let function = frame.function.as_deref().unwrap_or("?");
    if frame.kind != FrameKind::Python {
        let _ = writeln!(out, "#{level} {function}");
        return;
    }
    let mut form = String::new();
    frame_form(&mut form, frame, function, frame.locals.as_deref().unwrap_or(&[]), &Paint::default());
    let _ = writeln!(out, "#{level} {}", cut(&form));
    if let Some(source) = &frame.source {
        let _ = writeln!(out, "    {}", source.trim());
    }
}

/// `py-locals` since 3.11: each frame of the evaluation loop under a heading.
pub fn locals(frames: &[Frame], headings: bool) -> String {
    let mut out = String::new();
    for frame in frames {
        if headings {
            let _ = writeln!(out, "Locals for {}", frame.function.as_deref().unwrap_or("?"));
        }
        for variable in frame.locals.iter().flatten() {
            let _ = writeln!(out, "{} = {}", variable.name, cut(&variable.value));
        }
    }
    out
}
