//! The static types of the interpreter: every object in the image's data whose type is
//! `PyType_Type` and whose `tp_name` is a name.

use crate::bytes::Addr;
use crate::image::Image;
use crate::process::Cache;
use std::collections::HashMap;

/// Static types by name and by address.
#[derive(Debug, Default)]
pub struct Statics {
    by_name: HashMap<String, Addr>,
    by_address: HashMap<Addr, String>,
}

impl Statics {
    /// Scans the image's writable data. `header` is the size of `PyObject`.
    pub fn scan(image: &Image, type_type: Addr, header: u64, memory: &Cache) -> Statics {
        let mut statics = Statics::default();
        let mut candidates = Vec::new();
        super::scan_words(image, memory, &mut |at, value| {
            if value == type_type.0 {
                candidates.push(at - (header - 8));
            }
            candidates.len() < 65_536
        });
        for at in candidates {
            // ob_size of a static type is 0, and tp_name follows it.
            let named = memory.uint(at + header, 8).is_ok_and(|size| size == 0);
            let Ok(name) = memory.pointer(at + header + 8).and_then(|name| memory.c_string(name)) else { continue };
            if named && is_type_name(&name) {
                statics.by_name.entry(name.clone()).or_insert(at);
                statics.by_address.insert(at, name);
            }
        }
        statics
    }

    /// The static type called `name` (its `tp_name`).
    pub fn get(&self, name: &str) -> Option<Addr> {
        self.by_name.get(name).copied()
    }

    /// The name of the static type at `at`.
    pub fn name(&self, at: Addr) -> Option<&str> {
        self.by_address.get(&at).map(String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Whether none was found.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }
}

fn is_type_name(name: &str) -> bool {
    !name.is_empty() && name.len() < 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}
