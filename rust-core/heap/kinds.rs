//! Kinds of objects: their types, and of dicts the types of their owners too.
//!
//! A kind has a number: that of its type; behind those of all types come the dicts of objects, by the type of their
//! owners. The dicts that have the type's own number are nobody's.

use super::Census;
use super::scan::Tally;
use super::types::{Info, TypeId};
use crate::bytes::Addr;

/// Objects of one kind.
#[derive(Debug, Clone, Copy)]
pub struct Kind<'a> {
    /// The number of the kind.
    pub number: usize,
    /// The number of their type.
    pub id: TypeId,
    /// Their type.
    pub info: &'a Info,
    /// Of dicts of objects, the type of these.
    pub owner: Option<&'a Info>,
    /// What was counted of them.
    pub tally: Tally,
}

impl Census {
    /// How many numbers kinds have.
    pub fn kind_numbers(&self) -> usize {
        self.types.len() + self.owners.tallies.len()
    }

    /// All kinds of which there are objects.
    pub fn kinds(&self) -> impl Iterator<Item = Kind<'_>> {
        let dicts = self.types.iter().position(|(info, _)| info.is_dict);
        let numbered = (0..).map(TypeId).zip(&self.types).enumerate();
        let types = numbered.map(move |(number, (id, (info, tally)))| {
            let mut tally = *tally;
            if Some(number) == dicts {
                self.owners.tallies.iter().for_each(|(_, owned)| tally.subtract(owned));
            }
            Kind { number, id, info, owner: None, tally }
        });
        let owned = self.owners.tallies.iter().zip(self.types.len()..).filter_map(move |((owner, tally), number)| {
            let id = TypeId::try_from(dicts?).ok()?;
            Some(Kind { number, id, info: self.info(id)?, owner: self.info(*owner), tally: *tally })
        });
        types.chain(owned).filter(|kind| kind.tally.count > 0)
    }

    /// The number of the kind of the object of this type at `addr`.
    pub fn kind_of(&self, addr: Addr, id: TypeId) -> usize {
        let owner = self.info(id).filter(|info| info.is_dict).and_then(|_| self.owners.of(addr.0));
        let place = owner.and_then(|owner| self.owners.tallies.binary_search_by_key(&owner, |(id, _)| *id).ok());
        place.map_or(usize::from(id), |place| self.types.len() + place)
    }
}
