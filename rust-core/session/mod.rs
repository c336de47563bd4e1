//! One target, kept between questions: what was found in it, and the answers to requests.

mod answer;
mod attach;
mod info;
mod path;
mod request;
mod select;
mod steps;
mod stock;
mod unreadable;
mod value;

pub use attach::{Attached, Description};
pub use request::{Command, Need, Options, Request, Response, Selection, Thread};

use crate::error::{Error, Result};
use crate::process::cache::PollFn;
use crate::process::host::ReadFn;
use once_cell::unsync::OnceCell;

/// A session with one target. What was found in it is computed at the first question.
pub struct Session {
    description: Description,
    read: Option<ReadFn>,
    poll: Option<PollFn>,
    attached: OnceCell<Attached>,
}

impl Session {
    /// Opens a session. Touches nothing of the target. `read` reads a target that only the host
    /// can; `poll` says now and then whether to go on.
    pub fn open(description: Description, read: Option<ReadFn>, poll: Option<PollFn>) -> Session {
        Session { description, read, poll, attached: OnceCell::new() }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// Any [`crate::error::Error`]; its text is for the user.
    pub fn answer(&self, request: &Request) -> Result<Response> {
        let attach = || Attached::new(&self.description, self.read.clone(), self.poll.clone());
        let attached = self.attached.get_or_try_init(attach)?;
        let answer = answer::answer(attached, request).map_err(|e| attached.explained(e));
        let answer = answer.map(|answer| attached.qualified(answer, request));
        if attached.objects.memory.take_interrupt() {
            // Reads that were cut short look like damage: nothing of that may be kept.
            attached.invalidate();
            return Err(Error::Interrupted);
        }
        answer
    }

    /// The target has run: what was read from its memory is forgotten.
    pub fn invalidate(&mut self) {
        if let Some(attached) = self.attached.get() {
            attached.invalidate();
        }
    }
}
