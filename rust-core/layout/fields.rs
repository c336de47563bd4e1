//! The fields that this library reads, under CPython's own names.
//!
//! One list, which is at once the Rust type ([`Fields`]), the list of what a source (DWARF, table,
//! debug offsets) is asked for ([`Fields::visit`]), and what `tools/gen_layouts.py` takes into the
//! built-in table. A field that a build does not have stays empty and answers
//! [`Error::NoField`] when it is used.

use crate::bytes::uint;
use crate::error::{Error, Result};
use serde::Serialize;

/// Where an offset is known from, in order of trust (first is best).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The `_Py_DebugOffsets` that the target carries (CPython 3.13 and later).
    DebugOffsets,
    /// DWARF of the very image that is mapped.
    Dwarf,
    /// The built-in table.
    Table,
}

/// Where a field lies in its struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Bytes from the start of the struct.
    pub offset: u32,
    /// Bytes of the field; 0 where it is not known (an array's or a struct's place).
    pub width: u32,
    /// First bit and number of bits, for bit fields.
    pub bits: Option<(u8, u8)>,
    /// Where this is known from.
    pub origin: Origin,
}

impl Field {
    /// Bytes to read for it; of unknown width it is a word.
    pub fn bytes(&self) -> usize {
        if (1..=8).contains(&self.width) { self.width as usize } else { 8 }
    }

    /// Its value, where the bytes at its offset are `value`.
    pub fn of(&self, value: u64) -> u64 {
        match self.bits {
            Some((first, count)) => value >> (first % 64) & ((1 << count.min(63)) - 1),
            None => value,
        }
    }
}

/// A place for one [`Field`], with the name by which errors and diagnostics call it.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// `Struct.field`.
    pub name: &'static str,
    /// The field, where the build has it.
    pub field: Option<Field>,
}

impl Slot {
    /// The offset in bytes.
    ///
    /// # Errors
    /// [`Error::NoField`] where this build has no such field.
    pub fn at(&self) -> Result<u64> {
        self.field.map(|f| u64::from(f.offset)).ok_or(Error::NoField(self.name))
    }

    /// Its value in a struct of which `bytes` are the first; `None` where this build has no such field, or the bytes
    /// end before it.
    #[inline]
    pub fn get(&self, bytes: &[u8]) -> Option<u64> {
        let field = self.field?;
        Some(field.of(uint(bytes, field.offset as usize, field.bytes())?))
    }

    /// Whether this build has the field.
    pub fn exists(&self) -> bool {
        self.field.is_some()
    }
}

/// What [`Fields::visit`] hands out: the struct's C names, the member's paths, and the slot.
pub type Visitor<'a> = dyn FnMut(&[&str], &[&str], &mut Slot) + 'a;

macro_rules! fields {
    ($( $member:ident: $ty:ident = $cname:literal $(| $calt:literal)* {
        $( $field:ident = $path:literal $(| $alt:literal)* ),* $(,)?
    } )*) => {
        $(
            #[doc = concat!("Fields of `", $cname, "`.")]
            #[derive(Debug, Clone, Copy)]
            pub struct $ty {
                /// `sizeof` of the struct, as a field at offset `size`.
                pub size: Slot,
                $( #[doc = concat!("`", $path, "`")] pub $field: Slot, )*
            }
        )*

        /// Every field this library reads, by struct.
        #[derive(Debug, Clone, Copy)]
        pub struct Fields {
            $( #[doc = concat!("`", $cname, "`")] pub $member: $ty, )*
        }

        impl Fields {
            /// All slots empty.
            pub const EMPTY: Fields = Fields {
                $( $member: $ty {
                    size: Slot { name: concat!($cname, ".<sizeof>"), field: None },
                    $( $field: Slot { name: concat!($cname, ".", $path), field: None }, )*
                }, )*
            };

            /// The C names of all structs, typedefs and tags alike.
            pub const STRUCTS: &'static [&'static str] = &[ $( $cname, $( $calt, )* )* ];

            /// Calls `f` for every slot. A struct and a member may have several names, one per
            /// generation of CPython.
            pub fn visit(&mut self, f: &mut Visitor<'_>) {
                $(
                    let structs: &[&str] = &[ $cname $(, $calt)* ];
                    f(structs, &["<sizeof>"], &mut self.$member.size);
                    $( f(structs, &[ $path $(, $alt)* ], &mut self.$member.$field); )*
                )*
            }
        }
    };
}

fields! {
    object: ObjectFields = "PyObject" | "_object" {
        ob_type = "ob_type",
    }
    var: VarFields = "PyVarObject" {
        ob_size = "ob_size",
    }
    ty: TypeFields = "PyTypeObject" | "_typeobject" {
        tp_name = "tp_name",
        tp_basicsize = "tp_basicsize",
        tp_itemsize = "tp_itemsize",
        tp_flags = "tp_flags",
        tp_methods = "tp_methods",
        tp_getattro = "tp_getattro",
        tp_members = "tp_members",
        tp_base = "tp_base",
        tp_dict = "tp_dict",
        tp_descr_get = "tp_descr_get",
        tp_descr_set = "tp_descr_set",
        tp_weaklistoffset = "tp_weaklistoffset",
        tp_dictoffset = "tp_dictoffset",
        tp_bases = "tp_bases",
        tp_mro = "tp_mro",
        tp_subclasses = "tp_subclasses",
    }
    heap_type: HeapTypeFields = "PyHeapTypeObject" | "_heaptypeobject" {
        ht_name = "ht_name",
        ht_qualname = "ht_qualname",
        ht_cached_keys = "ht_cached_keys",
        spec_cache = "_spec_cache",
    }
    member_def: MemberDefFields = "PyMemberDef" {
        name = "name",
        type_code = "type",
        offset = "offset",
        flags = "flags",
    }
    int: IntFields = "PyIntObject(2.7)" | "PyIntObject" {
        ob_ival = "ob_ival",
    }
    long: LongFields = "PyLongObject" | "_longobject" {
        ob_digit = "ob_digit" | "long_value.ob_digit",
        lv_tag = "lv_tag" | "long_value.lv_tag",
    }
    float: FloatFields = "PyFloatObject" {
        ob_fval = "ob_fval",
    }
    complex: ComplexFields = "PyComplexObject" {
        cval = "cval" | "cval.real",
    }
    bytes: BytesFields = "PyBytesObject" {
        ob_sval = "ob_sval",
    }
    str2: Str2Fields = "PyStringObject(2.7)" | "PyStringObject" {
        ob_sval = "ob_sval",
    }
    unicode2: Unicode2Fields = "PyUnicodeObject" {
        length = "length",
        str = "str",
        data = "data" | "data.any",
    }
    ascii: AsciiFields = "PyASCIIObject" {
        length = "length",
        state = "state",
        kind = "state.kind",
        compact = "state.compact",
        ascii = "state.ascii",
    }
    compact: CompactFields = "PyCompactUnicodeObject" {
        utf8_length = "utf8_length",
        utf8 = "utf8",
    }
    bytearray: BytearrayFields = "PyByteArrayObject" {
        ob_alloc = "ob_alloc",
        ob_start = "ob_start",
        ob_bytes = "ob_bytes",
    }
    tuple: TupleFields = "PyTupleObject" {
        ob_item = "ob_item",
    }
    list: ListFields = "PyListObject" {
        ob_item = "ob_item",
        allocated = "allocated",
    }
    dict: DictFields = "PyDictObject" | "_dictobject" {
        ma_used = "ma_used",
        ma_keys = "ma_keys",
        ma_values = "ma_values",
        ma_mask = "ma_mask",
        ma_table = "ma_table",
    }
    odict: OdictFields = "PyODictObject" | "_odictobject" {
        od_first = "od_first",
    }
    odict_node: OdictNodeFields = "_odictnode" {
        key = "key",
        next = "next",
    }
    keys: KeysFields = "PyDictKeysObject" | "_dictkeysobject" {
        dk_refcnt = "dk_refcnt",
        dk_size = "dk_size",
        dk_log2_size = "dk_log2_size",
        dk_log2_index_bytes = "dk_log2_index_bytes",
        dk_kind = "dk_kind",
        dk_usable = "dk_usable",
        dk_nentries = "dk_nentries",
        dk_indices = "dk_indices",
    }
    values: ValuesFields = "PyDictValues" | "_dictvalues" {
        values = "values",
        capacity = "capacity",
        used = "size",
        valid = "valid",
    }
    set: SetFields = "PySetObject" {
        used = "used",
        mask = "mask",
        table = "table",
        smalltable = "smalltable",
    }
    setentry: SetentryFields = "setentry" {
        key = "key",
        hash = "hash",
    }
    cell: CellFields = "PyCellObject" {
        ob_ref = "ob_ref",
    }
    function: FunctionFields = "PyFunctionObject" {
        func_name = "func_name",
        func_qualname = "func_qualname",
        func_code = "func_code",
        func_defaults = "func_defaults",
        func_kwdefaults = "func_kwdefaults",
        func_closure = "func_closure",
        func_doc = "func_doc",
        func_dict = "func_dict",
        func_module = "func_module",
    }
    method: MethodFields = "PyMethodObject" {
        im_func = "im_func",
        im_self = "im_self",
    }
    cfunction: CFunctionFields = "PyCFunctionObject" {
        m_ml = "m_ml",
        m_self = "m_self",
        vectorcall = "vectorcall",
    }
    method_def: MethodDefFields = "PyMethodDef" {
        ml_name = "ml_name",
        ml_meth = "ml_meth",
    }
    descr: DescrFields = "PyDescrObject" {
        d_type = "d_type",
        d_name = "d_name",
    }
    method_descr: MethodDescrFields = "PyMethodDescrObject" {
        d_method = "d_method",
        vectorcall = "vectorcall",
    }
    member_descr: MemberDescrFields = "PyMemberDescrObject" {
        d_member = "d_member",
    }
    module: ModuleFields = "PyModuleObject" {
        md_dict = "md_dict",
        md_name = "md_name",
    }
    exception: ExceptionFields = "PyBaseExceptionObject" {
        dict = "dict",
        args = "args",
        traceback = "traceback",
        context = "context",
        cause = "cause",
    }
    slice: SliceFields = "PySliceObject" {
        start = "start",
        stop = "stop",
        step = "step",
    }
    deque: DequeFields = "dequeobject" {
        leftblock = "leftblock",
        leftindex = "leftindex",
        len = "len",
        maxlen = "maxlen",
    }
    deque_block: DequeBlockFields = "deque.BLOCK" {
        data = "data",
        rightlink = "rightlink",
    }
    instance: InstanceFields = "PyInstanceObject(2.7)" | "PyInstanceObject" {
        in_class = "in_class",
        in_dict = "in_dict",
    }
    class: ClassFields = "PyClassObject(2.7)" | "PyClassObject" {
        cl_bases = "cl_bases",
        cl_name = "cl_name",
        cl_dict = "cl_dict",
    }
    generator: GeneratorFields = "PyGenObject" {
        gi_iframe = "gi_iframe",
        gi_name = "gi_name",
        gi_qualname = "gi_qualname",
        gi_code = "gi_code",
        gi_frame_state = "gi_frame_state",
    }
    code: CodeFields = "PyCodeObject" {
        co_argcount = "co_argcount",
        co_kwonlyargcount = "co_kwonlyargcount",
        co_nlocals = "co_nlocals",
        co_nlocalsplus = "co_nlocalsplus",
        co_stacksize = "co_stacksize",
        co_flags = "co_flags",
        co_consts = "co_consts",
        co_names = "co_names",
        co_varnames = "co_varnames",
        co_cellvars = "co_cellvars",
        co_freevars = "co_freevars",
        co_localsplusnames = "co_localsplusnames",
        co_localspluskinds = "co_localspluskinds",
        co_filename = "co_filename",
        co_name = "co_name",
        co_qualname = "co_qualname",
        co_firstlineno = "co_firstlineno",
        co_lnotab = "co_lnotab",
        co_linetable = "co_linetable",
        co_code = "co_code",
        co_exceptiontable = "co_exceptiontable",
        co_firsttraceable = "_co_firsttraceable",
        co_code_adaptive = "co_code_adaptive",
        co_tlbc = "co_tlbc",
        co_extra = "co_extra",
        co_cached = "_co_cached",
        co_cell2arg = "co_cell2arg",
    }
    frame: FrameFields = "PyFrameObject" | "_frame" {
        f_back = "f_back",
        f_code = "f_code",
        f_builtins = "f_builtins",
        f_globals = "f_globals",
        f_locals = "f_locals",
        f_valuestack = "f_valuestack",
        f_stacktop = "f_stacktop",
        f_stackdepth = "f_stackdepth",
        f_gen = "f_gen",
        f_lasti = "f_lasti",
        f_lineno = "f_lineno",
        f_trace = "f_trace",
        f_localsplus = "f_localsplus",
        f_frame = "f_frame",
    }
    iframe: InterpreterFrameFields = "_PyInterpreterFrame" {
        executable = "f_executable" | "f_code",
        previous = "previous",
        funcobj = "f_funcobj" | "f_func",
        globals = "f_globals",
        builtins = "f_builtins",
        locals = "f_locals",
        instr = "instr_ptr" | "prev_instr",
        frame_obj = "frame_obj",
        tlbc_index = "tlbc_index",
        stackpointer = "stackpointer",
        stacktop = "stacktop",
        is_entry = "is_entry",
        owner = "owner",
        localsplus = "localsplus",
    }
    cframe: CFrameFields = "_PyCFrame" | "_cframe" {
        current_frame = "current_frame",
        previous = "previous",
    }
    tstate: ThreadStateFields = "PyThreadState" | "_ts" {
        next = "next",
        interp = "interp",
        frame = "frame",
        cframe = "cframe",
        root_cframe = "root_cframe",
        current_frame = "current_frame",
        thread_id = "thread_id",
        native_thread_id = "native_thread_id",
    }
    interp: InterpreterFields = "PyInterpreterState" | "_is" {
        next = "next",
        id = "id",
        threads_head = "threads.head" | "tstate_head",
        modules = "imports.modules" | "modules",
        sysdict = "sysdict",
        builtins = "builtins",
        runtime = "runtime",
        gil = "ceval.gil",
        gc = "gc",
        gc_collecting = "gc.collecting",
        types_builtins = "types.builtins",
        types_extensions = "types.for_extensions",
    }
    runtime: RuntimeFields = "_PyRuntimeState" | "pyruntimestate" {
        interpreters_head = "interpreters.head",
        interpreters_main = "interpreters.main",
        tstate_current = "gilstate.tstate_current",
        gil = "ceval.gil",
        gc = "gc",
        gc_collecting = "gc.collecting",
    }
    gc: GcFields = "_gc_runtime_state" {
        enabled = "enabled",
        debug = "debug",
        generations = "generations" | "young",
        generation0 = "generation0",
        permanent_generation = "permanent_generation",
        generation_stats = "generation_stats",
        collecting = "collecting",
        garbage = "garbage",
        callbacks = "callbacks",
    }
    gc_generation: GcGenerationFields = "gc_generation" {
        head = "head",
        threshold = "threshold",
        count = "count",
    }
    gc_stats: GcStatsFields = "gc_generation_stats" {
        collections = "collections",
        collected = "collected",
        uncollectable = "uncollectable",
    }
    gil: GilFields = "_gil_runtime_state" {
        last_holder = "last_holder",
        locked = "locked",
    }
}
