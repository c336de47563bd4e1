//! Finding the definitions of names.
//!
//! What it does: goes over the units until every wanted name has a definition. What it does not do:
//! it looks at no member, and only at entries directly below a unit's root (C has no others).
//!
//! Invariant: within a unit the walk only goes forwards, and each unit is walked at most twice.

use std::collections::HashMap;

use super::entries::{Fault, TypeRef, Unit, skip};
use super::flatten::{MAX_TYPE_CHAIN, TypeReader};

/// The wanted names of one pass over the units.
struct Names<'n> {
    indices: HashMap<&'n [u8], Vec<usize>>,
    /// Bit n: some name is n bytes long (63 and more share a bit). Most names fail here, before
    /// any hashing.
    lengths: u64,
}

impl<'n> Names<'n> {
    fn new(names: impl Iterator<Item = (&'n [u8], usize)>) -> Self {
        let mut indices: HashMap<&[u8], Vec<usize>> = HashMap::new();
        let mut lengths = 0;
        for (name, index) in names {
            lengths |= 1 << name.len().min(63);
            indices.entry(name).or_default().push(index);
        }
        Self { indices, lengths }
    }

    fn get(&self, name: &[u8]) -> Option<&[usize]> {
        if self.lengths & (1 << name.len().min(63)) == 0 {
            return None;
        }
        self.indices.get(name).map(Vec::as_slice)
    }
}

/// Where a search for names stands.
struct Hunt<'a> {
    found: Vec<Option<TypeRef>>,
    /// Struct tags of typedefs whose struct was only declared where the typedef was seen.
    aliases: Vec<Option<&'a [u8]>>,
    missing: usize,
}

impl<'a> TypeReader<'a> {
    /// The definition of each wanted name, in the order given.
    pub(super) fn find(&self, wanted: &[&str]) -> Vec<Option<TypeRef>> {
        let count = wanted.len();
        let mut hunt = Hunt { found: vec![None; count], aliases: vec![None; count], missing: count };
        let names = wanted.iter().enumerate().map(|(i, name)| (name.as_bytes(), i));
        self.scan(&Names::new(names), &mut hunt);
        // A unit may define a struct and never use the typedef, so that the typedef is only seen
        // beside a forward declaration. Then the tag is what to look for.
        let aliases = std::mem::take(&mut hunt.aliases);
        let open = |i: &usize| hunt.found.get(*i).is_some_and(Option::is_none);
        let tags: Vec<(&[u8], usize)> =
            (aliases.iter().enumerate()).filter_map(|(i, tag)| Some(((*tag)?, Some(i).filter(open)?))).collect();
        if !tags.is_empty() {
            hunt.missing = tags.len();
            self.scan(&Names::new(tags.into_iter()), &mut hunt);
        }
        hunt.found
    }

    /// Goes over all units until nothing is missing.
    fn scan(&self, names: &Names<'_>, hunt: &mut Hunt<'a>) {
        // The supplementary file first: `dwz -m` moves the shared types there, nearly all of them.
        for (index, side) in self.entries.sides.iter().enumerate().rev() {
            for unit in &side.units {
                if hunt.missing == 0 {
                    return;
                }
                match self.scan_unit(index, unit, names, hunt) {
                    Ok(()) => {}
                    Err(fault @ Fault::Limit(_)) => return self.note(fault),
                    Err(fault) => self.note(fault),
                }
            }
        }
    }

    /// Looks at the names of the structs, unions and typedefs directly below the unit's root, and
    /// jumps over everything else by `DW_AT_sibling`.
    fn scan_unit(&self, index: usize, unit: &Unit<'a>, names: &Names<'_>, hunt: &mut Hunt<'a>) -> Result<(), Fault> {
        let abbrevs = self.entries.abbreviations(index, unit)?;
        let mut cursor = unit.header.entries_raw(abbrevs, None)?;
        match cursor.read_abbreviation()? {
            Some(root) if root.has_children() => skip(&mut cursor, root.attributes())?,
            _ => return Ok(()),
        }
        // Counted from the children of the root. Producers other than gcc emit no siblings: then
        // the levels below are read, too.
        let mut depth = 0_usize;
        while !cursor.is_empty() {
            let at = cursor.next_offset();
            let Some(abbrev) = cursor.read_abbreviation()? else {
                match depth.checked_sub(1) {
                    None => break,
                    Some(up) => depth = up,
                }
                continue;
            };
            self.entries.spend_walking(abbrev)?;
            if depth > 0 {
                skip(&mut cursor, abbrev.attributes())?;
                depth += usize::from(abbrev.has_children());
                continue;
            }
            let has_type_name =
                matches!(abbrev.tag(), gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type | gimli::DW_TAG_typedef);
            let (name, sibling) = self.entries.name_and_sibling(index, unit, &mut cursor, abbrev, has_type_name)?;
            if let Some(indices) = name.and_then(|name| names.get(name)) {
                let at = TypeRef { side: index, offset: unit.start.saturating_add(at.0) };
                self.consider(at, indices, hunt)?;
                if hunt.missing == 0 {
                    break;
                }
            }
            match sibling {
                // Only forwards, so that the walk ends.
                Some(to) if to >= cursor.next_offset() => {
                    cursor = unit.header.entries_raw(abbrevs, Some(to))?;
                }
                _ => depth += usize::from(abbrev.has_children()),
            }
        }
        Ok(())
    }

    /// Takes an entry of a wanted name if it leads to a definition.
    fn consider(&self, at: TypeRef, indices: &[usize], hunt: &mut Hunt<'a>) -> Result<(), Fault> {
        let (definition, tag) = match self.definition(at) {
            Ok(leads_to) => leads_to,
            Err(fault @ Fault::Limit(_)) => return Err(fault),
            Err(fault) => {
                self.note(fault);
                return Ok(());
            }
        };
        for &index in indices {
            let Some(found) = hunt.found.get_mut(index) else {
                continue;
            };
            match (definition, tag) {
                _ if found.is_some() => {}
                (Some(definition), _) => {
                    *found = Some(definition);
                    hunt.missing = hunt.missing.saturating_sub(1);
                }
                (None, Some(tag)) => {
                    if let Some(alias) = hunt.aliases.get_mut(index) {
                        *alias = Some(tag);
                    }
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// Follows typedefs and qualifiers to a struct or union: its definition, or else the tag of the
    /// declaration where the chain ends.
    fn definition(&self, at: TypeRef) -> Result<(Option<TypeRef>, Option<&'a [u8]>), Fault> {
        let mut at = at;
        for _ in 0..MAX_TYPE_CHAIN {
            let entry = self.entries.entry(at)?;
            if let Some(target) = entry.stands_for() {
                at = target;
                continue;
            }
            return Ok(match (entry.is_struct(), entry.declaration) {
                (true, false) => (Some(at), None),
                (true, true) => (None, entry.name),
                (false, _) => (None, None),
            });
        }
        Err(Fault::Broken("typedefs that lead nowhere"))
    }
}
