//! The static types of the interpreter: objects in the image's data whose type is `PyType_Type` and
//! whose `tp_name` is a name.
//!
//! Those that are asked for by name are found by their symbols. Only where the image has none are
//! they looked for in all of its data, which through a slow connection would be most of the work.

use crate::bytes::Addr;
use crate::image::Image;
use crate::process::Cache;
use once_cell::unsync::OnceCell;
use std::collections::HashMap;

/// Names of static types (`tp_name`), and the symbols that they have; several where generations
/// differ, the older one first.
const SYMBOLS: &[(&str, &[&str])] = &[
    ("object", &["PyBaseObject_Type"]),
    ("type", &["PyType_Type"]),
    ("int", &["PyInt_Type", "PyLong_Type"]),
    ("long", &["PyLong_Type"]),
    ("frozenset", &["PyFrozenSet_Type"]),
    ("list", &["PyList_Type"]),
    ("dict", &["PyDict_Type"]),
    ("set", &["PySet_Type"]),
    ("cell", &["PyCell_Type"]),
    ("function", &["PyFunction_Type"]),
    ("method", &["PyMethod_Type"]),
    ("instancemethod", &["PyMethod_Type", "PyInstanceMethod_Type"]),
    ("module", &["PyModule_Type"]),
    ("instance", &["PyInstance_Type"]),
    ("classobj", &["PyClass_Type"]),
    ("slice", &["PySlice_Type"]),
    ("tuple", &["PyTuple_Type"]),
    ("float", &["PyFloat_Type"]),
    ("bytearray", &["PyByteArray_Type"]),
    ("str", &["PyString_Type", "PyUnicode_Type"]),
    ("unicode", &["PyUnicode_Type"]),
    ("builtin_function_or_method", &["PyCFunction_Type"]),
    ("method_descriptor", &["PyMethodDescr_Type"]),
    ("member_descriptor", &["PyMemberDescr_Type"]),
    ("frame", &["PyFrame_Type"]),
    ("generator", &["PyGen_Type"]),
    ("coroutine", &["PyCoro_Type"]),
    ("async_generator", &["PyAsyncGen_Type"]),
    ("collections.OrderedDict", &["PyODict_Type"]),
    ("frozendict", &["PyFrozenDict_Type"]),
    ("code", &["PyCode_Type"]),
    ("moduledef", &["PyModuleDef_Type"]),
];

/// Whether `name` is the symbol of a static type that is asked for by name.
pub(super) fn is_symbol(name: &str) -> bool {
    name.ends_with("_Type") && SYMBOLS.iter().any(|(_, symbols)| symbols.contains(&name))
}

/// Objects whose symbols are exported everywhere (`Include/object.h`, `Include/boolobject.h`,
/// `Include/sliceobject.h`).
pub const SINGLETONS: [&str; 6] = [
    "_Py_NoneStruct",
    "_Py_NotImplementedStruct",
    "_Py_EllipsisObject",
    "_Py_TrueStruct",
    "_Py_FalseStruct",
    "_Py_ZeroStruct",
];

/// Whether `name` is the symbol of a static object that is no type.
pub(super) fn is_singleton(name: &str) -> bool {
    SINGLETONS.contains(&name)
}

/// Static types by name.
#[derive(Debug)]
pub struct Statics {
    type_type: Addr,
    header: u64,
    by_symbol: HashMap<&'static str, Addr>,
    scanned: OnceCell<HashMap<String, Addr>>,
}

impl Statics {
    /// Those of `image`. `header` is the size of `PyObject`.
    pub(super) fn new(image: &Image, type_type: Addr, header: u64, memory: &Cache) -> Statics {
        let mut statics = Statics { type_type, header, by_symbol: HashMap::new(), scanned: OnceCell::new() };
        for (name, symbols) in SYMBOLS {
            let mut found = symbols.iter().filter_map(|symbol| image.symbol(symbol));
            if let Some(at) = found.find(|at| statics.type_name(*at, memory).as_deref() == Some(*name)) {
                statics.by_symbol.insert(name, at);
            }
        }
        statics
    }

    /// The `tp_name` of the static type at `at`, if there is one.
    fn type_name(&self, at: Addr, memory: &Cache) -> Option<String> {
        let header = self.header;
        // ob_size of a static type is 0, and tp_name follows it.
        let is_type = memory.pointer(at + (header - 8)).ok()? == self.type_type;
        let name = memory.pointer(at + header + 8).and_then(|name| memory.c_string(name)).ok()?;
        (is_type && memory.uint(at + header, 8).ok()? == 0 && is_type_name(&name)).then_some(name)
    }

    /// The static type called `name` (its `tp_name`).
    pub fn get(&self, name: &str, image: &Image, memory: &Cache) -> Option<Addr> {
        match self.by_symbol.get(name) {
            Some(at) => Some(*at),
            // An image that exports its types and not this one has no such type.
            None if self.by_symbol.len() > SYMBOLS.len() / 2 => None,
            None => self.all(image, memory).get(name).copied(),
        }
    }

    /// All static types: the first of each name. Reads all of the image's writable data, once.
    pub fn all(&self, image: &Image, memory: &Cache) -> &HashMap<String, Addr> {
        self.scanned.get_or_init(|| {
            const MOST: usize = 65_536;
            let mut candidates = Vec::new();
            super::scan_words(image, memory, &mut |at, value| {
                if value == self.type_type.0 {
                    candidates.push(at - (self.header - 8));
                }
                candidates.len() < MOST
            });
            let mut all = HashMap::new();
            for at in candidates {
                if let Some(name) = self.type_name(at, memory) {
                    all.entry(name).or_insert(at);
                }
            }
            all
        })
    }
}

fn is_type_name(name: &str) -> bool {
    !name.is_empty() && name.len() < 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}
