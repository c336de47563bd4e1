//! The references found against the reference counts: what the census and the edges are worth, and what is held from
//! outside of the heap.
//!
//! An object's count is that of all references to it. More than were found means that something holds it that is no
//! object: a frame that runs, C code. Fewer means that something was taken for a reference that is
//! none, or that the target is damaged. Objects in static memory hold others, but their own counts say nothing.

use super::Census;
use super::edges::{Edges, Visitor};
use super::index::Index;
use super::roots;
use super::scan::Plan;
use crate::bytes::Addr;
use crate::error::{Error, Result};
use crate::objects::Objects;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Objects that are named of each type.
const EXAMPLES: usize = 3;

/// Objects between two questions to the user.
const POLL_EVERY: usize = 1 << 20;

/// Objects with a larger count that are looked for in static data.
const HELD: usize = 1 << 22;

/// What an immortal object has in place of a count.
const IMMORTAL: u32 = u32::MAX;

/// An object whose count is another than what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// Where it is.
    pub addr: Addr,
    /// Its reference count.
    pub count: u32,
    /// References to it that were found.
    pub found: u32,
}

/// What was found of the objects of one type.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Objects that are neither immortal nor in static memory.
    pub mortal: u64,
    /// Those of them whose count is what was found.
    pub equal: u64,
    /// Those with a larger count.
    pub more: u64,
    /// Those of them that C variables can account for.
    pub in_static: u64,
    /// Those with a smaller count.
    pub fewer: u64,
    /// Some of those with a larger count.
    pub more_examples: Vec<Example>,
    /// Some of those with a smaller count.
    pub fewer_examples: Vec<Example>,
}

/// References against counts, for all objects.
#[derive(Debug)]
pub struct Check {
    /// By type number.
    pub types: Vec<Checked>,
    /// References that lead to objects of the census.
    pub references: u64,
    /// Bytes of tables that could not be read, or that are more than memory can hold.
    pub missing: u64,
}

struct Counts<'a> {
    index: &'a Index<'a>,
    plan: Plan,
    found: Vec<AtomicU32>,
    counts: Vec<AtomicU32>,
}

impl Visitor for Counts<'_> {
    #[inline]
    fn object(&self, number: u32, bytes: &[u8]) {
        let count = self.plan.mortal(bytes);
        if let Some(place) = self.counts.get(number as usize) {
            place.store(count.and_then(|count| u32::try_from(count).ok()).unwrap_or(IMMORTAL), Ordering::Relaxed);
        }
    }

    #[inline]
    fn reference(&self, _from: u32, to: u64) {
        if let Some(place) = self.index.number(to).and_then(|number| self.found.get(number as usize)) {
            place.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn zeros(count: usize) -> Result<Vec<AtomicU32>> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).map_err(|_| Error::Limit("no memory for a count for each object"))?;
    all.resize_with(count, AtomicU32::default);
    Ok(all)
}

impl Check {
    /// Compares all.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::NoField`]; [`Error::Limit`].
    pub fn take(objects: &Objects, census: &Census) -> Result<Check> {
        let rules = &objects.layout.rules;
        let index = Index::new(census, rules.pool).ok_or(Error::Limit("more objects than can be counted"))?;
        let counts = Counts {
            index: &index,
            plan: Plan::new(&objects.layout.fields, rules)?,
            found: zeros(index.len())?,
            counts: zeros(index.len())?,
        };
        let missing = Edges::new(objects, census, &index).visit(objects, &counts)?;
        // Static objects begin with a count that nothing holds, and nothing is freed by it.
        for (addr, _) in &census.scanned.statics {
            if let Some(place) = index.number(*addr).and_then(|number| counts.counts.get(number as usize)) {
                place.store(IMMORTAL, Ordering::Relaxed);
            }
        }
        let mut check = Check { types: vec![Checked::default(); census.types.len()], references: 0, missing };
        let mut held = HashMap::new();
        for (number, (count, found)) in counts.counts.iter().zip(&counts.found).enumerate() {
            let (count, found) = (count.load(Ordering::Relaxed), found.load(Ordering::Relaxed));
            if count > found && count != IMMORTAL && held.len() < HELD {
                held.insert(number as u32, 0);
            }
        }
        roots::count_static(objects, census, &index, &mut held)?;
        let mut number = 0;
        census.each(&mut |addr, id| {
            let get = |all: &[AtomicU32]| all.get(number).map_or(0, |place| place.load(Ordering::Relaxed));
            let (count, found) = (get(&counts.counts), get(&counts.found));
            let in_static = held.get(&(number as u32)).is_some_and(|more| *more >= count.saturating_sub(found));
            number += 1;
            check.references += u64::from(found);
            if let Some(checked) = check.types.get_mut(usize::from(id)).filter(|_| count != IMMORTAL) {
                checked.add(Example { addr, count, found }, in_static);
            }
            !number.is_multiple_of(POLL_EVERY) || objects.memory.poll().is_ok()
        });
        objects.memory.poll()?;
        Ok(check)
    }
}

impl Checked {
    fn add(&mut self, one: Example, in_static: bool) {
        self.mortal += 1;
        let (sum, examples) = match one.count.cmp(&one.found) {
            std::cmp::Ordering::Equal => {
                self.equal += 1;
                return;
            }
            std::cmp::Ordering::Greater => {
                self.in_static += u64::from(in_static);
                (&mut self.more, &mut self.more_examples)
            }
            std::cmp::Ordering::Less => (&mut self.fewer, &mut self.fewer_examples),
        };
        *sum += 1;
        // Those that nothing accounts for say most.
        if !in_static && examples.len() < EXAMPLES {
            examples.push(one);
        }
    }
}
