//! Words of objects that are no references although they can be the address of an object: pointers that the object
//! does not count and does not visit in its `tp_traverse`, and what nobody sets.
//!
//! What lies at `tp_weaklistoffset` is one of them in every type; it is not listed here.

/// Bytes behind `PyObject` where an object of the type called `name`, and of its subclasses, has such pointers.
pub fn borrowed(name: &str) -> &'static [u32] {
    match name {
        // wr_object, wr_prev, wr_next
        "weakref"
        | "weakref.ReferenceType"
        | "weakproxy"
        | "weakref.ProxyType"
        | "weakcallableproxy"
        | "weakref.CallableProxyType" => &[0, 24, 32],
        // prev, next of the list from the most to the least recent (bpo-14373)
        "functools._lru_list_elem" | "functools._lru_cache_wrapper" => &[0, 8],
        // placeholder (3.14, gh-119127); before, a pointer to a function
        "functools.partial" => &[40],
        // localdict
        "_thread._localdummy" | "thread._localdummy" => &[0],
        // b_bitmap and c_hash, of 32 bits each (3.7, PEP 567)
        "hamt_bitmap_node" | "hamt_collision_node" => &[8],
        // var_cached (3.7, PEP 567)
        "ContextVar" | "_contextvars.ContextVar" => &[16],
        _ => &[],
    }
}

/// For types whose structs have words that nobody sets: bytes behind `PyObject` where the only references are.
pub fn only(name: &str, python2: bool) -> Option<&'static [u32]> {
    match name {
        // Its digits are bytes.
        "decimal.Decimal" => Some(&[]),
        // groupindex, indexgroup, pattern. flags and isbytes are ints: with what was behind them before they can be an
        // address where the heap lies beside a multiple of 4 GiB.
        "re.Pattern" | "_sre.SRE_Pattern" => Some(&[16, 24, 32]),
        // locked is a char, and since 3.13 the mutex.
        "_thread.lock" | "thread.lock" => Some(&[]),
        // mbuf has the reference to the object, view.obj has none (3.3, bpo-10181); suboffsets are set where there
        // are some.
        "memoryview" if !python2 => Some(&[8]),
        _ => None,
    }
}

/// Where an object of the type called `name`, whose struct has `size` bytes behind `PyObject`, has 32 bits with as many
/// behind them that nobody sets: the `func_version` of functions, the last member (3.11).
pub fn half(name: &str, size: u64) -> Option<u64> {
    // 3.10 has 112.
    (name == "function" && size >= 120).then(|| size - 8)
}
