"""py-heap --allocated and --native: against pymalloc's statistics and malloc's, of more such objects."""

import json

import pytest
from rig import gdbrun, interpreters, target
from test_find import CORES, MATRIX

#: Bytes of a chunk of malloc before what the program gets.
HEADER = 8
#: Kinds whose objects have a dict, which is of another kind.
OWNERS = {"__main__.Holder": "dict of __main__.Holder"}


def compare(answer, truth):
    assert answer.text, answer.error
    found = json.loads(answer.text)
    rows = {row["kind"]: row for row in found["rows"]}
    for kind, case in truth["cases"].items():
        row = rows[kind]
        assert row["count"] >= 30
        if kind in OWNERS:
            dicts = rows.pop(OWNERS[kind])
            assert dicts["count"] == row["count"] and dicts["tables"] > 0 and row["tables"] == 0
            row = {key: row[key] if key == "count" else row[key] + dicts[key] for key in row if type(row[key]) is int}
        blocks, chunks = case["taken"]
        if chunks:
            chunks -= HEADER * (chunks // truth["deque_block"] if "Deque" in kind else 1)
        more = "native" if case["native"] else "tables"
        assert row[{"native": "tables", "tables": "native"}[more]] == 0
        # malloc leaves to a chunk what is too little for another one.
        spare = 16 * row["count"] if chunks else 0
        least = (blocks + chunks) * row["count"]
        assert least <= row["allocated"] + row[more] <= least + spare, kind
        assert row["lent"] == 0
    for kind, native in truth["native"].items():
        assert rows[kind]["native"] == native, kind


def text(answer, truth):
    lines = answer.text.splitlines()
    assert lines[1].split()[-8:] == "Allocated Native Kind (class / dict of class)".split()
    blocks, _ = truth["cases"]["__main__.Array700"]["taken"]
    (line,) = (line for line in lines if line.endswith("__main__.Array700"))
    cells = line.split()
    assert int(cells[-3]) == blocks * int(cells[1])
    assert int(cells[-2]) >= 8 * 700 * int(cells[1])


COMMANDS = (("py-heap --json --allocated --native", compare), ("py-heap --limit 500 --native --allocated", text))


def check(truth, *arguments, **options):
    answers = gdbrun.run([command for command, _ in COMMANDS], *arguments, **options)
    for answer, (_, compare_with) in zip(answers, COMMANDS):
        compare_with(answer, truth)


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_live(interpreter):
    with target.Target(interpreter, "blocks_scene.py") as process:
        check(process.truth(), interpreter, pid=process.pid)


@pytest.mark.parametrize("interpreter", CORES, ids=str)
def test_core(interpreter, tmp_path):
    core = str(tmp_path / "core")
    with target.Target(interpreter, "blocks_scene.py") as process:
        gdbrun.gcore(process.pid, core)
        check(process.truth(), interpreter, core=core)


@pytest.mark.parametrize("name", ["3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv"])
def test_debug_allocator(name):
    """Its marks lie before each block, twice where pymalloc has passed on what was too large."""
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "blocks_scene.py", env={"PYTHONMALLOC": "debug"}) as process:
        check(process.truth(), interpreter, pid=process.pid)


def test_without_options_nothing_is_looked_up():
    interpreter = interpreters.named("3.11-deb-stripped")
    with target.Target(interpreter, "blocks_scene.py") as process:
        (answer,) = gdbrun.run(["py-heap --json"], interpreter, pid=process.pid)
    assert {row[key] for row in json.loads(answer.text)["rows"] for key in ("tables", "lent", "native")} == {None}


@pytest.mark.parametrize("interpreter", CORES, ids=str)
def test_objects_that_are_named(interpreter):
    with target.Target(interpreter, "blocks_scene.py") as process:
        truth = process.truth()
        kinds = sorted(set(truth["cases"]) - set(OWNERS))
        finds = [f"py-find --type {kind} --limit 100 --json" for kind in kinds]
        found = [json.loads(one.text)["objects"] for one in gdbrun.run(finds, interpreter, pid=process.pid)]
        places = [one["address"] for objects in found for one in objects]
        assert len(places) == 30 * len(kinds)
        question = f"py-heap --json --limit 500 --allocated --native --of {','.join(places)}"
        (answer,) = gdbrun.run([question], interpreter, pid=process.pid)
        compare(answer, {**truth, "cases": {kind: truth["cases"][kind] for kind in kinds}, "native": {}})
        # One that is named twice counts once.
        (twice,) = gdbrun.run([question + "," + places[0]], interpreter, pid=process.pid)
        assert json.loads(twice.text)["rows"] == json.loads(answer.text)["rows"]
