"""Heaps in blocks of jemalloc and tcmalloc: against what a forked child counted, and where it has its objects."""

import glob
import json
import os

import pytest
from rig import gdbrun, interpreters, paths, target

LIBRARIES = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc_minimal.so.4"}
#: Library, interpreter, PYTHONMALLOC.
MATRIX = [
    ("jemalloc", "2.7-pyenv", None),
    ("tcmalloc", "2.7-pyenv", None),
    ("jemalloc", "3.11-deb-stripped", None),
    ("jemalloc", "3.11-deb-stripped", "malloc"),
    ("tcmalloc", "3.11-deb-stripped", "malloc"),
    ("tcmalloc", "3.15-deb-stripped", None),
    ("jemalloc", "3.15-deb-stripped", "malloc"),
]


def scene(library, name, allocator, mode="sleep"):
    found = glob.glob(os.path.join(paths.cache(), "targets", "malloc", "usr", "lib", "*", LIBRARIES[library]))
    if not found:
        raise target.TargetError(f"there is no {LIBRARIES[library]}: tools/setup.sh brings it")
    env = {"LD_PRELOAD": found[0]}
    if allocator:
        env["PYTHONMALLOC"] = allocator
    return target.Target(interpreters.named(name), "other_malloc_scene.py", mode, env=env)


def ask(truth, interpreter, more=(), **where):
    """What was found of what the truth is about, and the answers to more questions."""
    marks = truth["marks"]
    commands = ["py-heap --by type --json"]
    commands += [f"py-find --type {ty} --value '{value}' --limit 60000 --json" for ty, (value, _) in marks.items()]
    answers = gdbrun.run([*commands, *more], interpreter, **where)
    return [json.loads(answer.text) for answer in answers[: len(commands)]], answers[len(commands) :]


def compare(found, truth, library):
    """Every tracked object and every marked one, with their sizes, and what is said of the rest."""
    whole, *marked = found
    rows = {row["kind"]: row for row in whole["rows"]}
    tracked = {kind: row["tracked"] for kind, row in rows.items() if row["tracked"]}
    # gc.get_objects() leaves out the permanent generation, in which 3.12 starts with tuples (cpython gh-103793).
    tracked["tuple"] -= truth["frozen"]
    assert tracked == truth["counts"]
    exact = [kind for kind, count in truth["counts"].items() if rows[kind]["count"] == count]
    assert len(exact) > 20
    assert {kind: rows[kind]["size"] for kind in exact} == {kind: truth["sizes"][kind] for kind in exact}
    for (ty, (_, objects)), one in zip(truth["marks"].items(), marked):
        assert {int(each["address"], 16): each["size"] for each in one["objects"]} == {
            int(addr): size for addr, size in objects.items()
        }, ty
    (remark,) = whole["diagnostics"]
    assert remark["where"].startswith(f"lib{library}")
    assert "cannot be listed" in remark["what"]


@pytest.mark.parametrize(("library", "name", "allocator"), MATRIX)
def test_live(library, name, allocator):
    with scene(library, name, allocator) as process:
        truth = process.truth()
        found, _ = ask(truth, process.interpreter, pid=process.pid)
        compare(found, truth, library)


def test_kernel_core():
    with scene("jemalloc", "3.11-deb-stripped", None, "abort") as process:
        core = process.kernel_core()
        truth = process.truth()
        found, _ = ask(truth, process.interpreter, core=core)
        compare(found, truth, "jemalloc")


def test_other_commands(tmp_path):
    """The same objects for all commands; what blocks take is said to be unknown, and not made up."""
    snapshot = str(tmp_path / "snapshot")
    with scene("jemalloc", "3.13-pyenv", "malloc") as process:
        truth = process.truth()
        (addr, size) = next(iter(truth["marks"]["bytes"][1].items()))
        more = [
            "py-heap --check --json", f"py-heap --save {snapshot}", f"py-heap --diff {snapshot} --json",
            "py-dup --json", "py-waste --json", f"py-obj --json {addr}",
            "py-heap --by type --allocated --native --json",
        ]  # fmt: skip
        found, answers = ask(truth, process.interpreter, more, pid=process.pid)
        compare(found, truth, "jemalloc")
    check, _, difference, duplicates, waste, one, allocated = (
        json.loads(answer.text) if answer.text.startswith("{") else answer.text for answer in answers
    )
    # Nothing was taken for a reference, or for an object, that is none.
    assert check["counted_less"] == 0
    assert check["equal"] > 90000
    assert (difference["total"]["new"], difference["total"]["gone"]) == (0, 0)
    assert (one["size"], one["allocated"], one["block"], one["place"]) == (size, None, None, "other")
    assert not any(row["allocated"] or row["tables"] or row["native"] for row in allocated["rows"])
    for answer in (check, difference, duplicates, waste, allocated):
        assert any("count as 0" in one["what"] for one in answer["diagnostics"])
