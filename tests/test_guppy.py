"""The table of py-heap beside that of guppy3, which a forked twin of the process prints: docs/guppy.md.

guppy finds what can be reached from its root. So nothing that it has may be missing in py-heap, but for frames; and
what py-heap has in addition is of a few kinds, for reasons that the document names.
"""

import json

import pytest
from rig import gdbrun, interpreters, paths, target

MATRIX = [interpreters.named(name) for name in ("3.11-pyenv-stripped", "3.13-pyenv-stripped")]

#: guppy asks for the frame objects of functions that run; since 3.11 nothing else makes them.
FRAMES = 2

#: Strings that are keys of dicts only; what C code alone holds; what guppy's own objects hold, which it leaves out.
MORE = {
    "bytes",
    "builtin_function_or_method",
    "builtin_method",
    "cell",
    "classmethod_descriptor",
    "code",
    "datetime.datetime",
    "datetime.timedelta",
    "dict (no owner)",
    "dict of type",
    "float",
    "function",
    "getset_descriptor",
    "int",
    "list",
    "member_descriptor",
    "method",
    "method_descriptor",
    "str",
    "tuple",
    "type",
    "weakref.ReferenceType",
    "wrapper_descriptor",
}

#: Kinds of which guppy has none: static objects that nothing leads to, and what C code alone holds.
UNREACHABLE = {
    "MemoryError",
    "NoDefaultType",
    "Token.MISSING",
    "hamt",
    "hamt_bitmap_node",
    "moduledef",
    "re.Match",
    "stderrprinter",
}


def last_names(kind):
    """guppy calls a class by its __name__, py-heap by its __qualname__."""
    of = "dict of " if kind.startswith("dict of ") else ""
    module, dot, name = kind[len(of) :].partition(".")
    return of + module + dot + name.rpartition(".<locals>.")[2].rpartition(".")[2] if "<locals>" in kind else kind


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_kinds(interpreter):
    packages = {"PYTHONPATH": paths.peers(interpreter.minor)}
    with target.Target(interpreter, "guppy_scene.py", env=packages) as scene:
        (answer,) = gdbrun.run(["py-heap --json --limit 100000"], interpreter, pid=scene.pid)
        theirs = {kind: tuple(row) for kind, row in scene.truth().items()}
    ours = {}
    for row in json.loads(answer.text)["rows"]:
        kind = last_names(row["kind"])
        count, size = ours.get(kind, (0, 0))
        ours[kind] = (count + row["count"], size + row["size"])
    differ = {kind for kind in {*ours, *theirs} if ours.get(kind) != theirs.get(kind) and "guppy." not in kind}
    own = {"__main__.Node", "__main__.Point", "__main__.Slot", "__main__.Words", "dict of __main__.Node"}
    assert {kind for kind in theirs if "__main__." in kind} == own
    assert not any("__main__." in kind for kind in differ)
    assert len(set(theirs) - differ) > 0.8 * len(theirs)
    for kind in differ:
        (count, size), (found, bytes_) = ours.get(kind, (0, 0)), theirs.get(kind, (0, 0))
        if kind == "frame":
            assert 0 <= found - count <= FRAMES
        elif kind not in theirs:
            assert kind in UNREACHABLE or kind.startswith("ast."), kind
        else:
            assert kind in MORE, kind
            assert count > found, kind
            assert size > bytes_, kind
