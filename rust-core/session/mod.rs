//! One target, kept between questions: what was found in it, and the answers to requests.

mod answer;
mod attach;
mod info;
mod path;
mod request;
mod select;
mod stock;
mod value;

pub use attach::{Attached, Description};
pub use request::{Command, Need, Options, Request, Response, Selection, Thread};

use crate::error::Result;
use crate::process::host::ReadFn;
use once_cell::unsync::OnceCell;

/// A session with one target. What was found in it is computed at the first question.
pub struct Session {
    description: Description,
    read: std::cell::RefCell<Option<ReadFn>>,
    attached: OnceCell<Attached>,
}

impl Session {
    /// Opens a session. Touches nothing of the target.
    pub fn open(description: Description, read: Option<ReadFn>) -> Session {
        Session { description, read: std::cell::RefCell::new(read), attached: OnceCell::new() }
    }

    /// Answers one request.
    ///
    /// # Errors
    /// Any [`crate::error::Error`]; its text is for the user.
    pub fn answer(&self, request: &Request) -> Result<Response> {
        let attached = self.attached.get_or_try_init(|| Attached::new(&self.description, self.read.take()))?;
        answer::answer(attached, request)
    }

    /// The target has run: what was read from its memory is forgotten.
    pub fn invalidate(&mut self) {
        if let Some(attached) = self.attached.get() {
            attached.invalidate();
        }
    }
}
