//! One target, kept between questions: what was found in it, and the answers to requests.

mod answer;
mod attach;
mod check;
mod copied;
mod difference;
mod duplicates;
mod files;
mod find;
mod gc;
mod heap;
mod info;
mod object;
mod partition;
mod path;
mod pattern;
mod request;
mod room;
mod select;
mod snapshot;
mod steps;
mod stock;
mod unreadable;
mod value;
mod waste;

pub use attach::{Attached, Description};
pub use request::{By, Command, Need, Options, Request, Response, Selection, Sort, Thread};

use crate::error::{Error, Result};
use crate::process::cache::PollFn;
use crate::process::host::ReadFn;
use crate::report::model::MappedFile;
use once_cell::unsync::OnceCell;

/// A session with one target. What was found in it is computed at the first question.
pub struct Session {
    description: Description,
    read: Option<ReadFn>,
    poll: Option<PollFn>,
    attached: OnceCell<Attached>,
    /// What answers from a copy of the process, once it was taken.
    copy: OnceCell<Attached>,
}

impl Session {
    /// Opens a session. Touches nothing of the target. `read` reads a target that only the host
    /// can; `poll` says now and then whether to go on.
    pub fn open(description: Description, read: Option<ReadFn>, poll: Option<PollFn>) -> Session {
        Session { description, read, poll, attached: OnceCell::new(), copy: OnceCell::new() }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// Any [`crate::error::Error`]; its text is for the user.
    pub fn answer(&self, request: &Request) -> Result<Response> {
        let attach = || Attached::new(&self.description, self.read.clone(), self.poll.clone());
        let attached = match self.copy.get().map_or_else(|| self.attached.get_or_try_init(attach), Ok) {
            Ok(attached) => attached,
            Err(e) => return self.without_python(e, request),
        };
        let answer = match request.command {
            Command::Copy => self.copy(attached, request),
            _ => answer::answer(attached, request),
        };
        let answer = answer.map_err(|e| attached.explained(e));
        let answer = answer.map(|answer| attached.qualified(answer, request));
        if attached.objects.memory.take_interrupt() {
            // Reads that were cut short look like damage: nothing of that may be kept.
            attached.invalidate();
            return Err(Error::Interrupted);
        }
        answer
    }

    /// Copies the process; answers come from the copy from now on.
    fn copy(&self, attached: &Attached, request: &Request) -> Result<Response> {
        attached.start_answer();
        let (answer, copy) = copied::copy(attached, self.poll.clone(), request)?;
        self.copy.set(copy).map_err(|_| Error::Request("this session answers from a copy".to_owned()))?;
        Ok(answer)
    }

    fn mapped(&self) -> Result<Vec<MappedFile>> {
        let memory = attach::bare_memory(&self.description, self.read.clone(), self.poll.clone())?;
        let mapped = files::mapped(&self.description, &memory);
        if memory.take_interrupt() { Err(Error::Interrupted) } else { Ok(mapped) }
    }

    /// What can be answered where CPython was not found: which files the target maps, and which of them
    /// would be needed here.
    fn without_python(&self, error: Error, request: &Request) -> Result<Response> {
        match request.command {
            Command::Info => info::without_python(&error, &self.mapped()?, request),
            Command::Files => Ok(Response { data: serde_json::json!(self.mapped()?), ..Response::default() }),
            _ => Err(error),
        }
    }

    /// The target has run: what was read from its memory is forgotten.
    pub fn invalidate(&mut self) {
        if let Some(attached) = self.attached.get() {
            attached.invalidate();
        }
    }
}
