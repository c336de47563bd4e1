"""The heap of free-threaded builds, which is mimalloc's: as test_heap.py, and against what the interpreter counts.

Building one takes minutes: it is not required. Where it is missing, that is said.
"""

import json

import pytest
import test_check
import test_find
import test_heap
import test_objects
import test_snapshots
import test_waste
from rig import gdbrun, interpreters, target

BUILT, STRIPPED = (interpreters.named(name) for name in ("3.13t-built", "3.13t-built-stripped"))
pytestmark = pytest.mark.skipif(BUILT.missing, reason=f"{BUILT.id}: {BUILT.reason}")
QUESTIONS = ["py-heap --by type --json", "py-heap --by generation --json"]
# The thread waits without its thread state.
BLOCKS = (
    "call ((int (*)(void)) PyGILState_Ensure)()",
    'set $blocks = ((void *(*)(const char *)) PySys_GetObject)("getallocatedblocks")',
    "print ((long (*)(void *)) PyLong_AsLong)(((void *(*)(void *, void *)) PyObject_CallObject)($blocks, (void *) 0))",
)


def compare(types, lists, truth):
    rows, lists = test_heap.rows_of(types), test_heap.rows_of(lists)
    tracked = {kind: row["tracked"] for kind, row in rows.items()}
    # What was frozen gc.get_objects() leaves out.
    assert tracked["__main__.Frozen"] == 100
    assert lists["permanent"]["count"] == lists["permanent"]["tracked"] == truth["frozen"] > 9000
    own = [kind for kind in truth["counts"] if kind.startswith("__main__.")]
    assert len(own) == 5
    assert {kind: tracked[kind] for kind in own} == {kind: truth["counts"][kind] for kind in own}
    assert {kind: rows[kind]["size"] for kind in own} == {kind: truth["sizes"][kind] for kind in own}
    assert lists["tracked"]["count"] + truth["frozen"] == sum(tracked.values())
    # The child has no threads, and less of what belongs to them.
    child = sum(truth["counts"].values())
    assert 0 <= lists["tracked"]["count"] - child < 0.01 * child


@pytest.mark.parametrize("interpreter", [BUILT, STRIPPED], ids=str)
def test_threads(interpreter):
    """Pages of threads that live and of those that have ended, blocks that others gave back, objects of all sizes."""
    with target.Target(interpreter, "free_threaded_scene.py") as scene:
        types, lists = gdbrun.run(QUESTIONS, interpreter, pid=scene.pid)
        *_, blocks = gdbrun.call(BLOCKS, interpreter, scene.pid)
        compare(types, lists, scene.truth())
        used = sum(one["used"] for one in json.loads(types.text)["pools"])
        assert used == int(blocks.text.split("=")[1]) > 90_000


def test_threads_in_a_kernel_core():
    with target.Target(STRIPPED, "free_threaded_scene.py", "abort") as scene:
        types, lists = gdbrun.run(QUESTIONS, STRIPPED, core=scene.kernel_core())
        compare(types, lists, scene.truth())


@pytest.mark.parametrize("allocator", ["mimalloc", "debug"])
def test_live(allocator):
    with target.Target(STRIPPED, "heap_scene.py", env={"PYTHONMALLOC": allocator}) as scene:
        (answer,) = gdbrun.run(QUESTIONS[:1], STRIPPED, pid=scene.pid)
        test_heap.compare(test_heap.rows_of(answer), scene.truth())


def test_gdb_core(tmp_path):
    test_heap.test_gdb_core(STRIPPED, tmp_path)


def test_kinds():
    test_heap.test_kinds_live(STRIPPED)


def test_sizes():
    test_heap.test_sizes_live(STRIPPED)


def test_by_size():
    test_heap.test_by_size(STRIPPED)


def test_references():
    test_check.test_live(STRIPPED)


def test_contents():
    test_find.test_find(STRIPPED)


def test_objects_and_duplicates():
    test_objects.test_live(STRIPPED)


def test_snapshot(tmp_path):
    test_snapshots.test_live(STRIPPED, tmp_path)


def test_unused_memory():
    test_waste.test_live(STRIPPED)


def test_blocks_beside_objects():
    with target.Target(STRIPPED, "free_threaded_blocks_scene.py") as scene:
        (answer,) = gdbrun.run(["py-heap --by type --allocated --native --json"], STRIPPED, pid=scene.pid)
        rows, truth = test_heap.rows_of(answer), scene.truth()
    for kind, size in truth.items():
        row = rows["__main__." + kind]
        assert sorted((row["tables"], row["native"])) == [0, size], kind
