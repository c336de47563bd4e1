//! Python stacks: frames, lines, variables.

mod calls;
pub mod frame;
mod held;
pub mod native;
pub mod source;
pub mod variables;
mod walk;

pub use frame::Frame;
pub use variables::{Lookup, Scope, Variable};
pub use walk::{Stack, walk};
