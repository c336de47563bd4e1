//! `py-heap --detach-copy`: from here on the session answers from a copy of the process.

use super::attach::Attached;
use super::request::{Request, Response};
use crate::diag::{COPIED, Diagnostic};
use crate::error::{Error, Result};
use crate::process::Cache;
use crate::process::cache::PollFn;
use crate::process::copy::Copied;
use crate::report::copying::{Copying, copying};
use std::time::Instant;

/// Where a copy comes from.
pub(super) struct Origin {
    pid: i32,
    taken: Instant,
}

impl Origin {
    /// What every answer from the copy says.
    pub fn remark(&self) -> Diagnostic {
        let seconds = self.taken.elapsed().as_secs();
        let age = match seconds {
            0..120 => format!("{seconds} s"),
            120..7200 => format!("{} minutes", seconds / 60),
            _ => format!("{} hours", seconds / 3600),
        };
        let what = format!("{COPIED} {}, taken {age} ago; py-heap --drop-copy ends that", self.pid);
        Diagnostic { what, at: "copy".to_owned() }
    }
}

/// Copies the process. Returns the answer, and what answers from the copy.
///
/// # Errors
/// [`Error::User`] if it is no process of this machine, or threads of it run; as [`Copied::take`].
pub(super) fn copy(attached: &Attached, poll: Option<PollFn>, request: &Request) -> Result<(Response, Attached)> {
    let Some(pid) = attached.description.pid else {
        let what = if attached.core.is_some() { "A core is a copy already" } else { "Only GDB can read this process" };
        return Err(Error::User(format!("{what}: only a process on this machine can be copied.")));
    };
    if request.threads.iter().any(|thread| thread.running) {
        return Err(Error::User("Threads of the process run. Type first: interrupt -a".to_owned()));
    }
    let start = Instant::now();
    let copied = Copied::take(&attached.objects.memory)?;
    let (bytes, seconds) = (copied.size(), start.elapsed().as_secs_f64());
    let answer = Copying { pid, bytes, seconds };
    let response = request.respond(&answer, copying);
    let memory = Cache::new(Box::new(copied), poll);
    Ok((response, attached.over(memory, Origin { pid, taken: Instant::now() })))
}
