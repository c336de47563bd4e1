//! One attribute of many objects: what the classes have under its name is looked up once for each class.
//!
//! The result is that of [`Objects::look_up`].

use super::lookup::Attribute;
use super::value::Value;
use super::{Kind, Objects, Type};
use crate::bytes::Addr;
use crate::error::Result;
use crate::limits;
use std::collections::HashMap;

/// Keys of dicts that are remembered.
const KEYS: usize = 1 << 16;

/// Where instances of a class have the attribute.
#[derive(Clone)]
enum Way {
    /// In themselves; one that has it not has this, if that is known.
    Own(Option<Attribute>),
    /// Where this data descriptor says.
    Descriptor(Addr),
    /// Each has to be asked.
    Ask,
}

/// Looks one attribute up in many objects.
pub struct Finder<'a> {
    objects: &'a Objects,
    name: String,
    ways: HashMap<Addr, Way>,
    /// Whether the key there is the name.
    keys: HashMap<Addr, bool>,
}

impl<'a> Finder<'a> {
    /// A finder of the attribute `name`.
    pub fn new(objects: &'a Objects, name: &str) -> Finder<'a> {
        Finder { objects, name: name.to_owned(), ways: HashMap::new(), keys: HashMap::new() }
    }

    /// The attribute of the object at `addr`, which is of type `ty`.
    ///
    /// # Errors
    /// As [`Objects::look_up`].
    pub fn find(&mut self, addr: Addr, ty: &Type) -> Result<Attribute> {
        let way = match self.ways.get(&ty.addr) {
            Some(way) => way.clone(),
            None => {
                let way = self.way(ty)?;
                if self.ways.len() < limits::TYPES {
                    self.ways.insert(ty.addr, way.clone());
                }
                way
            }
        };
        match way {
            Way::Ask => self.objects.look_up(addr, &self.name),
            Way::Descriptor(descriptor) => self.objects.described(descriptor, Some(addr), ty.addr),
            Way::Own(otherwise) => {
                if let Some(value) = self.own(addr, ty)? {
                    return Ok(Attribute::Value(Value::Object(value)));
                }
                if let Some(known) = otherwise {
                    return Ok(known);
                }
                let found = self.objects.look_up(addr, &self.name)?;
                if matches!(found, Attribute::Missing | Attribute::Hooked | Attribute::Unknown) {
                    self.ways.insert(ty.addr, Way::Own(Some(found.clone())));
                }
                Ok(found)
            }
        }
    }

    fn way(&self, ty: &Type) -> Result<Way> {
        let objects = self.objects;
        if matches!(ty.kind, Kind::Type | Kind::OldInstance | Kind::OldClass | Kind::Module | Kind::Method) {
            return Ok(Way::Ask);
        }
        let class = objects.in_classes(ty.addr, &self.name)?;
        let Some(found) = class.found else { return Ok(Way::Own(None)) };
        Ok(match objects.describes(found)? {
            // Those of enums have a rule of their own.
            (true, true) if matches!(self.name.as_str(), "name" | "value") => Way::Ask,
            (true, true) => Way::Descriptor(found),
            (true, _) => Way::Own(None),
            (false, _) => Way::Own(Some(Attribute::Value(Value::Object(found)))),
        })
    }

    fn own(&mut self, addr: Addr, ty: &Type) -> Result<Option<Addr>> {
        let (objects, name, keys) = (self.objects, &self.name, &mut self.keys);
        let mut found = None;
        objects.attributes_each(addr, ty, &mut |key, value| {
            let known = keys.get(&key).copied();
            let is_name = known.unwrap_or_else(|| {
                let is_name = objects.is_text(key, name);
                if keys.len() < KEYS {
                    keys.insert(key, is_name);
                }
                is_name
            });
            if is_name {
                found = Some(value);
            }
            found.is_none()
        })?;
        Ok(found)
    }
}
