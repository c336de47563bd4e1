//! Answers as values ([`model`]), and those values as text ([`text`], [`stock`]) and JSON
//! ([`json`]). No reading, no I/O: what is shown was decided before.

pub mod check;
pub mod copying;
pub mod difference;
pub mod duplicates;
pub mod find;
pub mod gc;
pub mod heap;
pub mod json;
pub mod model;
pub mod object;
pub mod paint;
pub mod stock;
pub mod text;
pub mod waste;
