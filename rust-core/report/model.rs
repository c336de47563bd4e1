//! What the commands answer, before it becomes text or JSON. The JSON keys are documented in
//! `docs/json-schema.md`; all of them may be null or absent.

use crate::bytes::Addr;
use crate::diag::Diagnostic;
use crate::objects::text::Text;
use serde::Serialize;
use std::path::PathBuf;

/// A variable and its value.
#[derive(Debug, Clone, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, as Python's `repr` where that is possible.
    pub value: String,
    /// The name of its type.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// Where the value is; nowhere if Python makes it only when asked.
    pub address: Option<Addr>,
    /// Whether `value` was cut.
    pub truncated: bool,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameKind {
    /// A Python frame.
    Python,
    /// A call from Python into a C function.
    CCall,
    /// A C frame without Python.
    Native,
}

/// A frame of a stack.
#[derive(Debug, Clone, Serialize)]
pub struct Frame {
    /// What it is.
    pub kind: FrameKind,
    /// The index that `py-frame` takes (Python frames only).
    pub index: Option<usize>,
    /// The level of the C frame that runs it in the debugger's own backtrace, where it is known.
    pub gdb_level: Option<i64>,
    /// Where the frame is; of a C call, the object that was called.
    pub address: Option<Addr>,
    /// `co_name`; for a C call, the text that names it.
    pub function: Option<String>,
    /// `co_qualname`.
    pub qualname: Option<String>,
    /// `co_filename`.
    pub file: Option<Text>,
    /// The line.
    pub line: Option<i64>,
    /// The line's text.
    pub source: Option<String>,
    /// Arguments, in the order of the signature.
    pub args: Vec<Variable>,
    /// All local variables, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locals: Option<Vec<Variable>>,
    /// Of a C call, the object whose method was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<Addr>,
}

impl Frame {
    /// A call into a C function, which `text` names.
    pub fn c_call(text: String, callable: Option<Addr>, receiver: Option<Addr>) -> Frame {
        Frame {
            kind: FrameKind::CCall,
            index: None,
            gdb_level: None,
            address: callable,
            function: Some(text),
            qualname: None,
            file: None,
            line: None,
            source: None,
            args: Vec::new(),
            locals: None,
            receiver,
        }
    }
}

/// What a thread is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It holds the GIL.
    Running,
    /// It has Python frames and has let go of the GIL: it is in a C function.
    InCCall,
    /// It waits for the GIL.
    WaitingForGil,
    /// It collects garbage.
    CollectingGarbage,
    /// It has no Python frame.
    NoPython,
    /// Its Python frames cannot be read.
    Unreadable,
}

impl State {
    /// The words for a person.
    pub fn words(self) -> &'static str {
        match self {
            State::Running => "running Python",
            State::InCCall => "in a C call",
            State::WaitingForGil => "waiting for the GIL",
            State::CollectingGarbage => "collecting garbage",
            State::NoPython => "no Python",
            State::Unreadable => "unreadable",
        }
    }
}

/// A thread and its stack.
#[derive(Debug, Clone, Serialize)]
pub struct Thread {
    /// The debugger's number for it; null if the debugger has no such thread.
    pub gdb: Option<i64>,
    /// The thread id on this host.
    pub lwp: Option<i64>,
    /// `PyThreadState.thread_id`: what `pthread_self()` gives in it.
    pub thread_id: Option<Addr>,
    /// `PyThreadState.native_thread_id`, in the target's own pid namespace.
    pub native_thread_id: Option<u64>,
    /// Its name in Python.
    pub name: Option<String>,
    /// The interpreter's id.
    pub interpreter: Option<i64>,
    /// Whether it holds the interpreter's GIL.
    pub holds_gil: bool,
    /// What it is doing.
    pub state: State,
    /// Frames, innermost first.
    pub frames: Vec<Frame>,
    /// How many Python frames there are in all, where `--limit` cut the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames_total: Option<usize>,
    /// Why the stack may go on beyond what is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
}

impl Thread {
    /// A native thread that runs no Python.
    pub fn without_python(gdb: i64, lwp: i64, pthread: Option<u64>) -> Thread {
        Thread {
            gdb: Some(gdb),
            lwp: Some(lwp),
            thread_id: pthread.map(Addr),
            native_thread_id: None,
            name: None,
            interpreter: None,
            holds_gil: false,
            state: State::NoPython,
            frames: Vec::new(),
            frames_total: None,
            cut: None,
        }
    }
}

/// An answer with remarks.
#[derive(Debug, Serialize)]
pub struct Threads {
    /// The threads.
    pub threads: Vec<Thread>,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// `py-locals`.
#[derive(Debug, Serialize)]
pub struct Locals {
    /// The frames and their locals: the selected frame, or in stock style all of its loop.
    pub frames: Vec<Frame>,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// `py-print`.
#[derive(Debug, Serialize)]
pub struct Printed {
    /// `local`, `global` or `builtin`.
    pub scope: &'static str,
    /// The value; `name` is what was asked for.
    #[serde(flatten)]
    pub variable: Variable,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}

/// `py-list`.
#[derive(Debug, Serialize)]
pub struct Listing {
    /// The file.
    pub file: Text,
    /// The line that the frame is at.
    pub line: Option<i64>,
    /// Line numbers and texts.
    pub lines: Vec<(i64, String)>,
}

/// Where a group of offsets comes from.
#[derive(Debug, Clone, Serialize)]
pub struct Source {
    /// The struct.
    #[serde(rename = "struct")]
    pub name: String,
    /// How many fields each source gave: debug offsets, DWARF, table.
    pub debug_offsets: usize,
    /// Fields from DWARF.
    pub dwarf: usize,
    /// Fields from the built-in table.
    pub table: usize,
}

/// Something of the target that could not be read.
#[derive(Debug, Serialize)]
pub struct Gap {
    /// What.
    pub what: String,
    /// What the user can do about it.
    pub remedy: String,
}

/// A file with code in it that the target maps.
#[derive(Debug, Clone, Serialize)]
pub struct MappedFile {
    /// Its path, as the target names it.
    pub path: String,
    /// Its build id, as the target's memory shows it.
    pub build_id: Option<String>,
    /// The same file on this machine, if it is here.
    pub file: Option<PathBuf>,
}

/// `py-info` where CPython was not found and files of the target are not here.
#[derive(Debug, Serialize)]
pub struct NoPython {
    /// Why it was not found.
    pub error: String,
    /// What is not here.
    pub missing_files: Vec<MappedFile>,
    /// The same, with the remedy.
    pub unreadable: Vec<Gap>,
}

/// `py-info`.
#[derive(Debug, Serialize)]
pub struct Info {
    /// The version.
    pub version: String,
    /// How it was found.
    pub version_found: String,
    /// `release`, `free-threaded`, `reference-tracing`.
    pub flavour: String,
    /// The image that holds the interpreter, as the target names it.
    pub image: String,
    /// The file that was read for it.
    pub file: String,
    /// Its build id.
    pub build_id: Option<String>,
    /// Whether the mapped image showed the same build id.
    pub build_id_verified: bool,
    /// `_PyRuntime`.
    pub runtime: Option<Addr>,
    /// How it was found.
    pub runtime_found: String,
    /// `PyType_Type`.
    pub type_type: Addr,
    /// How it was found.
    pub type_type_found: String,
    /// The table's column.
    pub table: Option<String>,
    /// The file whose DWARF was used.
    pub dwarf: Option<String>,
    /// The target carries its own offsets.
    pub debug_offsets: bool,
    /// Where each struct's offsets come from.
    pub sources: Vec<Source>,
    /// Sizes that agree with the live types.
    pub verified_sizes: usize,
    /// Members that agree with live member tables.
    pub verified_members: usize,
    /// Static types found.
    pub static_types: usize,
    /// Interpreters.
    pub interpreters: usize,
    /// Thread states.
    pub threads: usize,
    /// Files that the target maps and that are not here.
    pub missing_files: Vec<MappedFile>,
    /// What could not be read.
    pub unreadable: Vec<Gap>,
    /// Reads and bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<crate::process::Counters>,
    /// Milliseconds by phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<Vec<(String, f64)>>,
    /// Remarks.
    pub diagnostics: Vec<Diagnostic>,
}
