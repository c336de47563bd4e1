//! What an analysis has to say beside its value.

use crate::limits;
use serde::Serialize;
use std::cell::RefCell;

/// One remark: something that could not be read, or two sources that disagree.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Diagnostic {
    /// A sentence for a person.
    pub what: String,
    /// The place it speaks of: an address, a file, a thread.
    #[serde(rename = "where")]
    pub at: String,
}

impl Diagnostic {
    /// Whether it says what all of the answer is about, and is said before everything else: the core is cut
    /// off or damaged, or this is a copy.
    pub fn is_said_first(&self) -> bool {
        [TRUNCATED, DAMAGED, COPIED].iter().any(|one| self.what.starts_with(one))
    }
}

/// How the remark about a core that is cut off begins.
pub const TRUNCATED: &str = "the core is truncated";

/// How the remark on a core with impossible headers begins.
pub const DAMAGED: &str = "the core is damaged";

/// How the remark about a copy begins.
pub const COPIED: &str = "from the copy of process";

/// Collects remarks, each once and at most [`limits::DIAGNOSTICS`] of them.
#[derive(Debug, Default)]
pub struct Diagnostics(RefCell<Vec<Diagnostic>>);

impl Diagnostics {
    /// Adds a remark; one that is there already is not added again.
    pub fn add(&self, what: impl Into<String>, at: impl Into<String>) {
        let new = Diagnostic { what: what.into(), at: at.into() };
        let mut all = self.0.borrow_mut();
        if all.len() < limits::DIAGNOSTICS && !all.contains(&new) {
            all.push(new);
        }
    }

    /// Adds remarks that another analysis made.
    pub fn extend(&self, more: impl IntoIterator<Item = Diagnostic>) {
        more.into_iter().for_each(|one| self.add(one.what, one.at));
    }

    /// All remarks so far.
    pub fn all(&self) -> Vec<Diagnostic> {
        self.0.borrow().clone()
    }
}
