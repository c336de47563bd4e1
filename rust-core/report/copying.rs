//! What `py-heap --detach-copy` says. The JSON keys are documented in `docs/json-schema.md`.

use serde::Serialize;

/// A copy of a process was made.
#[derive(Debug, Clone, Serialize)]
pub struct Copying {
    /// The process.
    pub pid: i32,
    /// Bytes of its memory that the copy holds.
    pub bytes: u64,
    /// How long copying took.
    pub seconds: f64,
}

/// As text.
pub fn copying(answer: &Copying) -> String {
    let Copying { pid, bytes, seconds } = answer;
    format!("{bytes} bytes of process {pid} are copied, in {seconds:.2} s.\n")
}
