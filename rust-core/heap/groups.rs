//! Objects of one type by something else that each of them has: its size, its list of the collector.

use super::Census;
use super::owners::Record;
use super::scan::Tally;
use super::types::{Info, TypeId};
use crate::error::Result;
use crate::limits;
use crate::objects::Objects;
use std::collections::HashMap;

/// What tells the objects of one type apart.
pub type Key<'a> = dyn Fn(&Record) -> u64 + Sync + 'a;

/// The key of objects that came when there were too many others.
pub const REST: u64 = u64::MAX;

/// Objects by type and key.
#[derive(Debug, Default)]
pub struct Groups(HashMap<(TypeId, u64), Tally>);

impl Groups {
    /// Counts an object.
    pub fn add(&mut self, key: &Key<'_>, record: &Record) {
        self.count((record.id, key(record)), &record.tally());
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: Groups) {
        other.0.iter().for_each(|(place, tally)| self.count(*place, tally));
    }

    /// Takes away what is there no more.
    pub fn subtract(&mut self, other: &Groups) {
        for ((id, key), part) in &other.0 {
            let key = if self.0.contains_key(&(*id, *key)) { *key } else { REST };
            if let Some(tally) = self.0.get_mut(&(*id, key)) {
                tally.subtract(part);
            }
        }
        self.0.retain(|_, tally| tally.count > 0);
    }

    fn count(&mut self, (id, key): (TypeId, u64), tally: &Tally) {
        let room = self.0.len() < limits::GROUPS;
        let key = if room || self.0.contains_key(&(id, key)) { key } else { REST };
        self.0.entry((id, key)).or_default().add(tally);
    }
}

impl Census {
    /// Counts all objects once more, by type and `key`.
    ///
    /// # Errors
    /// As [`Census::take`].
    pub fn grouped(objects: &Objects, key: &Key<'_>) -> Result<Vec<(Info, u64, Tally)>> {
        let (types, scanned) = Census::scan(objects, Some(key))?;
        let infos = types.into_infos();
        let all = scanned.groups.0.into_iter();
        let mut all: Vec<_> =
            all.filter_map(|((id, key), tally)| Some((*infos.get(usize::from(id))?, key, tally))).collect();
        all.sort_unstable_by_key(|(info, key, _)| (info.addr, *key));
        Ok(all)
    }
}
