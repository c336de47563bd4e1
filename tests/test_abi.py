"""The GDB layer against the C header and the house rules. Needs no GDB.

`_abi.py` is the only Python file that knows the boundary; what it says must be what include/pyext.h declares, and
that is generated from the Rust source.
"""

import ast
import ctypes
import importlib.util
import os
import re

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPTS = os.path.join(ROOT, "gdb-scripts")


def scripts():
    for directory, _, names in sorted(os.walk(SCRIPTS)):
        for name in sorted(names):
            if name.endswith(".py"):
                yield os.path.join(directory, name)


def relative(path):
    return os.path.relpath(path, ROOT)


@pytest.fixture(scope="module")
def abi():
    spec = importlib.util.spec_from_file_location("_abi", os.path.join(SCRIPTS, "pyext_gdb", "_abi.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def header():
    with open(os.path.join(ROOT, "include", "pyext.h"), encoding="utf-8") as f:
        text = f.read()
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def kind_of_c(declaration):
    """(pointer, bytes, signed) of a C type; a name after it does not matter."""
    if "(*" in declaration:
        return ("function",)
    if "*" in declaration:
        return ("pointer",)
    words = [word for word in declaration.split() if word != "const"]
    known = {
        "void": None,
        "int32_t": (4, True),
        "uint32_t": (4, False),
        "uint64_t": (8, False),
        "uint8_t": (1, False),
        "pyext_status": (4, True),
    }
    return known[words[0]]


def kind_of_ctypes(kind):
    if kind is None:
        return None
    if issubclass(kind, ctypes._CFuncPtr):
        return ("function",)
    if issubclass(kind, (ctypes._Pointer, ctypes.c_void_p, ctypes.c_char_p)):
        return ("pointer",)
    return (ctypes.sizeof(kind), kind(-1).value < 0)


def arguments_of_c(text):
    return [] if text.strip() in ("", "void") else [argument.strip() for argument in text.split(",")]


def test_constants(abi, header):
    in_header = {name: int(value) for name, value in re.findall(r"#define PYEXT_(\w+) +(\d+)", header)}
    in_python = {name: value for name, value in vars(abi).items() if name.isupper() and type(value) is int}
    assert len(in_header) >= 8
    assert in_python == in_header


def test_functions(abi, header):
    declared = re.findall(r"^([\w ]+?[ *]+)(pyext_\w+)\(([^;]*)\);", header, flags=re.M)
    in_header = {
        name: (kind_of_c(result), [kind_of_c(argument) for argument in arguments_of_c(arguments)])
        for result, name, arguments in declared
    }
    in_python = {
        name: (kind_of_ctypes(result), [kind_of_ctypes(argument) for argument in arguments])
        for name, (result, arguments) in abi.FUNCTIONS.items()
    }
    assert len(in_header) >= 7
    assert in_python == in_header


def fields_of(header, struct):
    body = re.search(r"typedef struct %s \{(.*?)\} %s;" % (struct, struct), header, flags=re.S).group(1)
    fields = []
    for declaration in filter(None, (" ".join(part.split()) for part in body.split(";"))):
        name = re.search(r"\(\*(\w+)\)|(\w+)$", declaration)
        fields.append((name.group(1) or name.group(2), declaration))
    return fields


@pytest.mark.parametrize("struct, name", [("pyext_host", "Host"), ("pyext_buffer", "Buffer")])
def test_structs(abi, header, struct, name):
    in_header = [(field, kind_of_c(declaration)) for field, declaration in fields_of(header, struct)]
    in_python = [(field, kind_of_ctypes(kind)) for field, kind in getattr(abi, name)._fields_]
    assert in_python == in_header


@pytest.mark.parametrize("field, name", [("read", "READ"), ("poll", "POLL")])
def test_callbacks(abi, header, field, name):
    declaration = dict(fields_of(header, "pyext_host"))[field]
    result, arguments = re.fullmatch(r"(.*?)\(\*\w+\)\((.*)\)", declaration).groups()
    callback = getattr(abi, name)
    assert kind_of_ctypes(callback._restype_) == kind_of_c(result)
    assert [kind_of_ctypes(a) for a in callback._argtypes_] == [kind_of_c(a) for a in arguments_of_c(arguments)]


def test_every_struct_and_callback_is_compared(header):
    """A new one in the header fails here, and is then added above."""
    assert sorted(re.findall(r"typedef struct (\w+)", header)) == ["pyext_buffer", "pyext_host"]
    assert sorted(re.findall(r"\(\*(\w+)\)", header)) == ["poll", "read"]


@pytest.mark.parametrize("path", [pytest.param(path, id=relative(path)) for path in scripts()])
def test_scripts_are_python_3_6(path):
    """GDB brings its own Python: those of old distributions are 3.6."""
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read(), path, feature_version=(3, 6))
    assert ast.get_docstring(tree), "no docstring says what the module is for"
    # feature_version lets these through.
    for node in ast.walk(tree):
        assert not isinstance(node, getattr(ast, "NamedExpr", ())), "line {}: :=".format(node.lineno)
        assert not getattr(node, "posonlyargs", None), "positional-only parameters"
    future = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    assert not any(alias.name == "annotations" for node in future for alias in node.names), "3.7"


def struct_words():
    """Names of CPython's structs and members: the rows of the layout table, and the usual prefixes of members."""
    with open(os.path.join(ROOT, "rust-core", "layout", "tables", "offsets.tsv"), encoding="utf-8") as f:
        rows = [line.split("\t")[0] for line in f][1:]
    structs = {re.match(r"\w+", row).group() for row in rows}
    members = {word for row in rows for word in re.findall(r"\w+", row.partition(".")[2])}
    special = {word for word in members if re.match(r"_?(ob|tp|co|f|ma|dk|lv|gi|md|ht|im|m|cl|in|func|cval)_", word)}
    return {word for word in structs if re.match(r"_?Py|_?dict|deque", word)} | special


@pytest.mark.parametrize("path", [pytest.param(path, id=relative(path)) for path in scripts()])
def test_scripts_know_no_cpython(path):
    """All decoding is in the library: the scripts name no struct of CPython and no member of one."""
    forbidden = struct_words()
    assert {"PyObject", "ob_type", "tp_name", "_PyInterpreterFrame", "co_filename"} <= forbidden
    with open(path, encoding="utf-8") as f:
        text = f.read()
    found = [
        "line {}: {}".format(number, word)
        for number, line in enumerate(text.splitlines(), 1)
        for word in re.findall(r"\w+", line)
        if word in forbidden
    ]
    assert not found
