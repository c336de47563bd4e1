//! C functions of CPython that mean something in a native backtrace, for hosts that show one with
//! names (`set pyext style stock`). Taken from what each release's own gdb script looks for; the
//! ordinary commands need no names.

/// What a C function is to a Python stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Runs Python frames.
    Eval,
    /// Waits for the GIL.
    Gil,
    /// Collects garbage.
    Gc,
    /// Calls a built-in function, which a variable of it points at.
    CCall,
    /// Calls a slot wrapper, which a variable of it points at.
    Wrapper,
}

/// A function by its name.
#[derive(Debug, Clone, Copy)]
pub struct NativeName {
    /// The name, or its beginning where it ends in `*`, or a part of it between two `*`.
    pub name: &'static str,
    /// What it is.
    pub role: Role,
    /// The variable that points at what is called.
    pub variable: &'static str,
}

impl NativeName {
    /// Whether a function called `name` is meant.
    pub fn matches(&self, name: &str) -> bool {
        match (self.name.strip_prefix('*'), self.name.strip_suffix('*')) {
            (Some(rest), Some(_)) => name.contains(rest.trim_end_matches('*')),
            (None, Some(start)) => name.starts_with(start),
            _ => name == self.name,
        }
    }
}

const fn name(name: &'static str, role: Role, variable: &'static str) -> NativeName {
    NativeName { name, role, variable }
}

const WRAPPER: NativeName = name("wrapper_call", Role::Wrapper, "wp");
const COLLECT: NativeName = name("collect", Role::Gc, "");
const EVAL: NativeName = name("_PyEval_EvalFrameDefault", Role::Eval, "");
const TAKE_GIL: NativeName = name("take_gil", Role::Gil, "");

/// 2.7. The small functions around a call are inlined into the evaluation function by optimizing
/// compilers: `call_function` is what remains of them in debug info.
const NAMES_27: &[NativeName] = &[
    name("PyEval_EvalFrameEx", Role::Eval, ""),
    name("PyThread_acquire_lock", Role::Gil, ""),
    COLLECT,
    name("PyCFunction_Call", Role::CCall, "func"),
    name("call_function", Role::CCall, "func"),
    WRAPPER,
];
const NAMES_36: &[NativeName] = &[
    EVAL,
    name("*pthread_cond_timedwait*", Role::Gil, ""),
    COLLECT,
    name("PyCFunction_Call", Role::CCall, "func"),
    name("_PyCFunction_FastCallDict", Role::CCall, "func_obj"),
    WRAPPER,
];
const NAMES_37: &[NativeName] = &[
    EVAL,
    TAKE_GIL,
    COLLECT,
    name("_PyCFunction_FastCallDict", Role::CCall, "func"),
    name("_PyCFunction_FastCallKeywords", Role::CCall, "func"),
    WRAPPER,
];
const NAMES_38: &[NativeName] = &[
    EVAL,
    TAKE_GIL,
    COLLECT,
    name("gc_collect_main", Role::Gc, ""),
    name("gc_collect_full", Role::Gc, ""),
    name("gc_collect_young", Role::Gc, ""),
    name("gc_collect_increment", Role::Gc, ""),
    name("cfunction_vectorcall_*", Role::CCall, "func"),
    name("cfunction_call", Role::CCall, "func"),
    name("cfunction_call_varargs", Role::CCall, "func"),
    WRAPPER,
];

/// The names of a minor version of CPython 3, or of 2.7 (0).
pub(super) fn native_names(minor: u8) -> &'static [NativeName] {
    match minor {
        0 => NAMES_27,
        1..=6 => NAMES_36,
        7 => NAMES_37,
        _ => NAMES_38,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_names() {
        let find = |minor, wanted: &str| native_names(minor).iter().find(|n| n.matches(wanted)).map(|n| n.role);
        assert_eq!(find(6, "__pthread_cond_timedwait64"), Some(Role::Gil));
        assert_eq!(find(11, "cfunction_vectorcall_O"), Some(Role::CCall));
        assert_eq!(find(11, "cfunction_call"), Some(Role::CCall));
        assert_eq!(find(11, "cfunction_calls"), None);
        assert_eq!(find(0, "lock_PyThread_acquire_lock"), None);
    }
}
