"""py-heap's pools: against what the interpreter itself says of them when it is called after we have read.

GDB calls sys._debugmallocstats() in the process, which writes to its standard error and takes no block of a pool.
2.7 has that function in builds with Py_DEBUG only; there GDB reads the allocator's own list of arenas, which DWARF
names.
"""

import ast
import json
import re

import pytest
from rig import gdbrun, interpreters, target

MATRIX = [one for one in interpreters.load() if one.required and one.minor >= (3, 6)]
# The thread sleeps without the GIL.
CALL = (
    "call ((int (*)(void)) PyGILState_Ensure)()",
    'set $stats = ((void *(*)(const char *)) PySys_GetObject)("_debugmallocstats")',
    "call ((void *(*)(void *, void *)) PyObject_CallObject)($stats, (void *) 0)",
)
# class, size, pools, blocks in use, free blocks.
LINE = re.compile(r"^ +\d+ +(\d+) +(\d+) +(\d+) +(\d+)$", re.MULTILINE)
POOL_HEADER = 48

# {size: (pools, blocks in use, free blocks)} of 2.7, whose pools have 4096 bytes.
ARENAS = f"""python
def of_arenas(found):
    number = lambda text: int(gdb.parse_and_eval(text))
    header = gdb.lookup_type("struct pool_header").pointer()
    for i in range(number("maxarenas")):
        start, end = number("arenas[%d].address" % i), number("(unsigned long) arenas[%d].pool_address" % i)
        for at in range((start + 4095) // 4096 * 4096, end if start else 0, 4096):
            pool = gdb.Value(at).cast(header).dereference()
            used, size = int(pool["ref"]["count"]), (int(pool["szidx"]) + 1) * 16
            if used:
                pools, blocks, free = found.get(size, (0, 0, 0))
                found[size] = (pools + 1, blocks + used, free + (4096 - {POOL_HEADER}) // size - used)
    return found
print(of_arenas({{}}))
"""


def classes(answer):
    found = json.loads(answer.text)
    assert not found["diagnostics"]
    assert all(one["bytes"] == one["used"] * one["size"] for one in found["pools"])
    return {one["size"]: (one["pools"], one["used"], one["available"]) for one in found["pools"]}


def compare(ours, log):
    """The table, and the bytes below it, which are sums of all that the table says."""
    assert "Small block threshold" in log
    theirs = {int(size): tuple(map(int, rest)) for size, *rest in LINE.findall(log)}
    assert ours == theirs
    # Otherwise this compares little. The debug allocator leaves no blocks of 16 bytes.
    assert len(theirs) >= 31
    assert sum(free for _, _, free in theirs.values()) > 3000
    pool = int(re.search(r"^\d+ unused pools \* (\d+) bytes", log, re.MULTILINE).group(1))
    sums = {
        "bytes in allocated blocks": sum(used * size for size, (_, used, _) in ours.items()),
        "bytes in available blocks": sum(free * size for size, (_, _, free) in ours.items()),
        "bytes lost to pool headers": sum(n * POOL_HEADER for n, _, _ in ours.values()),
        "bytes lost to quantization": sum(n * ((pool - POOL_HEADER) % size) for size, (n, _, _) in ours.items()),
    }
    said = {name: re.search(rf"^# {name} +=([ \d,]+)$", log, re.MULTILINE).group(1) for name in sums}
    assert sums == {name: int(text.replace(",", "")) for name, text in said.items()}


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_live(interpreter):
    with target.Target(interpreter, "pools_scene.py") as scene:
        (answer,) = gdbrun.run(["py-heap --json"], interpreter, pid=scene.pid)
        gdbrun.call(CALL, interpreter, scene.pid)
        compare(classes(answer), scene.output())


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_gdb_core(interpreter, tmp_path):
    with target.Target(interpreter, "pools_scene.py") as scene:
        core = str(tmp_path / "core")
        gdbrun.gcore(scene.pid, core)
        gdbrun.call(CALL, interpreter, scene.pid)
        (answer,) = gdbrun.run(["py-heap --json"], interpreter, core=core)
        compare(classes(answer), scene.output())


@pytest.mark.parametrize("name", ["3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped"])
def test_debug_allocator(name):
    """Its marks make every block larger. 3.6 says nothing of pools there: it takes this for another allocator."""
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "pools_scene.py", env={"PYTHONMALLOC": "debug"}) as scene:
        (answer,) = gdbrun.run(["py-heap --json"], interpreter, pid=scene.pid)
        gdbrun.call(CALL, interpreter, scene.pid)
        compare(classes(answer), scene.output())


def test_python2():
    interpreter = interpreters.named("2.7-pyenv")
    with target.Target(interpreter, "pools_scene.py") as scene:
        answer, arenas = gdbrun.run(["py-heap --json", ARENAS], interpreter, pid=scene.pid)
    theirs = ast.literal_eval(arenas.text)
    assert classes(answer) == theirs
    assert len(theirs) == 32
