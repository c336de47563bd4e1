//! Which types have a `__sizeof__` that is not decoded.

use super::types::Info;
use crate::bytes::Addr;
use crate::objects::Objects;
use std::collections::HashMap;

const NAME: &str = "__sizeof__";

/// What is known of the classes of one target.
pub struct OwnSizeofs<'a> {
    objects: &'a Objects,
    object: Option<Addr>,
    known: HashMap<Addr, bool>,
}

impl<'a> OwnSizeofs<'a> {
    /// Nothing known yet.
    pub fn new(objects: &'a Objects) -> OwnSizeofs<'a> {
        let object = objects.located.static_type("object", &objects.memory);
        OwnSizeofs { objects, object, known: HashMap::new() }
    }

    /// Whether objects of this type have a `__sizeof__` of their own and not the one that their sizes were
    /// found by: of their class, or of a base that comes before the one whose rule was taken.
    pub fn is_undecoded(&mut self, info: &Info) -> bool {
        let Ok(classes) = self.objects.classes(Addr(info.addr)) else { return false };
        let mut before = classes.into_iter().take_while(|class| Some(class.0) != info.sized_as);
        before.any(|class| Some(class) != self.object && self.has_own(class))
    }

    fn has_own(&mut self, class: Addr) -> bool {
        if let Some(known) = self.known.get(&class) {
            return *known;
        }
        let in_dict = match self.objects.class_dict(class) {
            Ok(Some(dict)) => self.objects.dict_get(dict, NAME).is_ok_and(|found| found.is_some()),
            // Static types of 2.7 that nobody has used yet have their methods in a table only.
            _ => self.objects.c_method(class, NAME).is_some(),
        };
        self.known.insert(class, in_dict);
        in_dict
    }
}
