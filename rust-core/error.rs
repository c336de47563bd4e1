//! What can go wrong, in the words of this library.
//!
//! Three states of a value are kept apart everywhere: it does not exist in this build
//! ([`Error::NoField`]), it exists and cannot be read ([`Error::Fault`]), or it was read and cannot
//! be true ([`Error::Corrupt`]).

use crate::bytes::Addr;
use thiserror::Error;

/// Why bytes of the target could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCause {
    /// No mapping covers the address.
    Unmapped,
    /// The mapping existed, its bytes are not in the core and in no file that matches.
    NotInCore,
    /// The core file ends before the place its headers promise.
    Truncated,
    /// The operating system or the host refused the read.
    Refused,
    /// The mapping existed when the process was copied, and is of a kind that is not copied.
    NotCopied,
}

impl std::fmt::Display for FaultCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            FaultCause::Unmapped => "not mapped",
            FaultCause::NotInCore => "not saved in the core",
            FaultCause::Truncated => "the core is truncated",
            FaultCause::Refused => "refused",
            FaultCause::NotCopied => "not in the copy of the process",
        })
    }
}

/// An error of the library. Its text is one line for a person.
#[derive(Debug, Clone, Error)]
pub enum Error {
    /// Memory of the target that cannot be read.
    #[error("cannot read memory at {addr} ({cause})")]
    Fault {
        /// Where the read failed.
        addr: Addr,
        /// Why it failed.
        cause: FaultCause,
    },
    /// The layout in use has no such field: this build of CPython does not have it.
    #[error("this CPython has no field {0}")]
    NoField(&'static str),
    /// Bytes were read and cannot be what they should be.
    #[error("{what} at {addr} is corrupt")]
    Corrupt {
        /// What was expected there.
        what: &'static str,
        /// Where.
        addr: Addr,
    },
    /// It is there, and more than is looked at; the text names the cap.
    #[error("{0}")]
    Limit(&'static str),
    /// No CPython was found in the target.
    #[error("{0}")]
    NoPython(String),
    /// CPython was found, and no known layout fits it.
    #[error("{0}")]
    NoLayout(String),
    /// A file of this machine could not be used.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What the operating system or the parser said.
        why: String,
    },
    /// The request of the host makes no sense.
    #[error("{0}")]
    Request(String),
    /// What the user asked for does not exist; the text is for the user.
    #[error("{0}")]
    User(String),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// The result type of the library.
pub type Result<T> = std::result::Result<T, Error>;
