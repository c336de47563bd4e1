"""py-heap: against what a forked child of the process counted itself."""

import json

import pytest
from rig import gdbrun, interpreters, target

MATRIX = [one for one in interpreters.load() if one.required]
#: Types whose sizes are not exact yet: they have a `__sizeof__` of their own.
INEXACT = {
    "frame", "generator", "__main__.Text", "collections.deque", "collections.OrderedDict", "frozendict",
    "_struct.Struct", "_io.BufferedReader", "_io.BufferedWriter",
}  # fmt: skip


def rows_of(answer):
    found = json.loads(answer.text)
    assert not found["diagnostics"]
    return {row["kind"]: row for row in found["rows"]}


def compare(rows, truth):
    """Tracked objects of every type, no more and no less, and the sizes of those that are always tracked."""
    kinds = set(rows) | set(truth["counts"])
    more = {kind: rows[kind]["tracked"] - truth["counts"].get(kind, 0) for kind in kinds if kind in rows}
    more.update({kind: -truth["counts"][kind] for kind in kinds - set(rows)})
    more = {kind: number for kind, number in more.items() if number}
    # gc.get_objects() leaves out the permanent generation, in which 3.12 starts with tuples (cpython gh-103793).
    assert more == ({"tuple": truth["frozen"]} if truth["frozen"] else {})
    exact = [kind for kind in kinds - INEXACT if rows[kind]["count"] == truth["counts"].get(kind)]
    assert len(exact) > 30
    assert {kind: rows[kind]["size"] for kind in exact} == {kind: truth["sizes"][kind] for kind in exact}


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_live(interpreter):
    with target.Target(interpreter, "heap_scene.py") as scene:
        (answer,) = gdbrun.run(["py-heap --json"], interpreter, pid=scene.pid)
        compare(rows_of(answer), scene.truth())


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_gdb_core(interpreter, tmp_path):
    with target.Target(interpreter, "heap_scene.py") as scene:
        core = str(tmp_path / "core")
        gdbrun.gcore(scene.pid, core)
        (answer,) = gdbrun.run(["py-heap --json"], interpreter, core=core)
        compare(rows_of(answer), scene.truth())


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_kernel_core(interpreter):
    with target.Target(interpreter, "heap_scene.py", "abort") as scene:
        core = scene.kernel_core()
        (answer,) = gdbrun.run(["py-heap --json"], interpreter, core=core)
        compare(rows_of(answer), scene.truth())
