"""py-heap --check: references found against the target's own reference counts."""

import json

import pytest
from rig import gdbrun, interpreters, target

MATRIX = [one for one in interpreters.load() if one.required]
#: A module's specification of 3.6 and 3.7 that is in two tables and counts one.
LESS = {(3, 6): {"_frozen_importlib.ModuleSpec": 1}, (3, 7): {"_frozen_importlib.ModuleSpec": 1}}


def check(interpreter, answer, truth, exact=True):
    assert not answer.error
    found = json.loads(answer.text)
    if exact:
        assert not found["diagnostics"]
    rows = {row["kind"]: row for row in found["rows"]}
    less = {kind: row["counted_less"] for kind, row in rows.items() if row["counted_less"]}
    assert less.pop("__main__.Less") == truth["less"]
    for kind, number in LESS.get(interpreter.minor, {}).items():
        assert less.pop(kind, 0) <= number
    if exact:
        assert not less
    else:
        assert sum(less.values()) < 0.001 * found["mortal"]
    more = rows["__main__.More"]
    assert (more["mortal"], more["held_outside"]) == (truth["more"], truth["more"])
    # Stale words in C variables can look as if they held some.
    assert more["held_static"] < truth["more"] - 2
    assert {one["counted"] - one["found"] for one in more["examples"]} == {1}
    in_frame = rows["__main__.InFrame"]
    # Frames are objects up to 3.10.
    assert (in_frame["mortal"], in_frame["held_outside"]) == (1, 1 if interpreter.minor >= (3, 11) else 0)
    nodes = rows["__main__.Node"]
    assert (nodes["mortal"], nodes["equal"]) == (truth["nodes"], truth["nodes"])
    assert (rows["__main__.Zone"]["mortal"], rows["__main__.Zone"]["equal"]) == (1000, 1000)
    # What C variables hold is named. What is left is what frames that run and tables of C code hold.
    assert found["mortal"] > 150_000
    assert found["equal"] + found["held_static"] >= 0.999 * found["mortal"]
    assert found["equal"] >= 0.99 * found["mortal"]
    parts = found["equal"] + found["held_outside"] + found["counted_less"]
    assert parts == found["mortal"] == sum(row["mortal"] for row in found["rows"])


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_live(interpreter):
    with target.Target(interpreter, "check_scene.py") as scene:
        (answer,) = gdbrun.run(["py-heap --check --json"], interpreter, pid=scene.pid)
        check(interpreter, answer, scene.truth())


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_kernel_core(interpreter):
    with target.Target(interpreter, "check_scene.py", "abort") as scene:
        core = scene.kernel_core()
        (answer,) = gdbrun.run(["py-heap --check --json"], interpreter, core=core)
        check(interpreter, answer, scene.truth())


@pytest.mark.parametrize("name", ["2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.14-deb-stripped"])
def test_gdb_core(name, tmp_path):
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "check_scene.py") as scene:
        core = str(tmp_path / "core")
        gdbrun.gcore(scene.pid, core)
        (answer,) = gdbrun.run(["py-heap --check --json"], interpreter, core=core)
        check(interpreter, answer, scene.truth())


@pytest.mark.parametrize("allocator", ["malloc", "debug"])
@pytest.mark.parametrize("name", ["3.6-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped"])
def test_other_allocators(name, allocator):
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "check_scene.py", env={"PYTHONMALLOC": allocator}) as scene:
        (answer,) = gdbrun.run(["py-heap --check --json"], interpreter, pid=scene.pid)
        # A chunk that malloc keeps for the next to ask looks in use: it may have what was an object.
        check(interpreter, answer, scene.truth(), exact=False)


def test_as_text():
    interpreter = interpreters.named("3.11-deb-stripped")
    with target.Target(interpreter, "check_scene.py") as scene:
        answers = gdbrun.run(
            ["py-heap --check --limit 2", "py-heap --check --json", "py-heap --check more"], interpreter, pid=scene.pid
        )
    found = json.loads(answers[1].text)
    lines = answers[0].text.splitlines()
    assert lines[0].startswith(f"{found['equal']} of {found['mortal']} mortal objects (")
    assert lines[3].startswith(f"{found['counted_less']} count less")
    assert "__main__.Less: 2/3 at 0x" in lines[5]
    assert lines[7].endswith("more kinds: --limit shows more.>")
    assert answers[2].error
