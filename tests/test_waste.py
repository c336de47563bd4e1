"""py-waste: against what copies of the objects take, and more instances of the classes, in the process itself."""

import json

import pytest
from rig import gdbrun, target
from test_find import CORES, MATRIX

KINDS = ("list", "dict", "set", "bytearray")


def compare(answer, truth):
    assert answer.text, answer.error
    found = json.loads(answer.text)
    assert not found["diagnostics"]
    rows = {row["address"]: row for row in found["objects"]}
    for kind in KINDS:
        for address, wasted, items in truth["objects"][kind]:
            row = rows.get(address, {"wasted": 0, "kind": kind, "items": items, "room": items})
            assert (row["wasted"], row["kind"], row["items"]) == (wasted, kind, items), address
            assert row["room"] >= items
    assert [row["wasted"] for row in rows.values()] == sorted((row["wasted"] for row in rows.values()), reverse=True)
    sums = {one["kind"]: one for one in found["kinds"]}
    for kind in KINDS:
        of_kind = [row["wasted"] for row in rows.values() if row["kind"] == kind]
        assert (sums[kind]["objects"], sums[kind]["wasted"]) == (len(of_kind), sum(of_kind))
    classes(found, truth)


def classes(found, truth):
    rows = {row["type"]: row for row in found["classes"]}
    assert not set(rows).intersection(truth["not"])
    assert found["classes_total"] == len(rows)
    assert found["saved"] == sum(row["saved"] for row in rows.values())
    for name, one in truth["classes"].items():
        row = rows[name]
        count = one["instances"]
        assert row["instances"] == count
        assert row["looked_at"] == (count if count <= 1000 else 834)
        assert sorted(row["attributes"]) == one["attributes"]
        if one["now"] is not None:
            assert row["now"] == one["now"] * count, name
        assert row["slots"] == one["slots"] * count, name
        assert row["saved"] == row["now"] - row["slots"]


def total(answer, truth):
    """All lists and sets of the process."""
    found = json.loads(answer.text)
    sums = {one["kind"]: (one["looked_at"], one["wasted"]) for one in found["kinds"] if one["looked_at"]}
    assert sums == {kind: tuple(one) for kind, one in truth["total"].items()}
    assert not found["classes"]


def text(answer, truth):
    """The worst list and the class with most instances."""
    wasted, items, address = max((wasted, items, address) for address, wasted, items in truth["objects"]["list"])
    lines = answer.text.splitlines()
    assert lines[0].split() == ["Wasted", "Objects", "Of", "Kind"]
    (line,) = (line for line in lines if address in line)
    assert line.split(maxsplit=2) == [str(wasted), address, f"list of {items}, room for {items + wasted // 8}"]
    one = truth["classes"]["__main__.Plain"]
    (line,) = (line for line in lines if "__main__.Plain:" in line)
    saved = (one["now"] - one["slots"]) * 2500
    assert line.split()[:5] == [str(saved), "2500", str(one["now"]), str(one["slots"]), "__main__.Plain:"]
    assert any(line.endswith("more rows. --limit N shows more.>") for line in lines)


def only(answer, truth):
    found = json.loads(answer.text)
    assert {row["type"] for row in found["classes"]} == {"__main__.Rows"}
    assert {row["type"] for row in found["objects"]} == {"__main__.Rows"}
    assert found["kinds"][0]["looked_at"] == truth["classes"]["__main__.Rows"]["instances"]


COMMANDS = (
    ("py-waste --limit 60000 --json", compare),
    ("py-waste --limit 12", text),
    ("py-waste --json --type ^__main__.Rows$", only),
    ("py-waste --limit 60000 --json --type ^(list|set)$", total),
)


def check(truth, *arguments, **options):
    answers = gdbrun.run([command for command, _ in COMMANDS], *arguments, **options)
    for answer, (_, compare_with) in zip(answers, COMMANDS):
        compare_with(answer, truth)


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_live(interpreter):
    with target.Target(interpreter, "waste_scene.py") as process:
        check(process.truth(), interpreter, pid=process.pid)


@pytest.mark.parametrize("interpreter", CORES, ids=str)
def test_core(interpreter, tmp_path):
    core = str(tmp_path / "core")
    with target.Target(interpreter, "waste_scene.py") as process:
        gdbrun.gcore(process.pid, core)
        check(process.truth(), interpreter, core=core)


def test_a_pattern_that_is_none():
    (interpreter,) = (one for one in MATRIX if one.id == "3.11-deb-stripped")
    with target.Target(interpreter, "waste_scene.py") as process:
        (answer,) = gdbrun.run(["py-waste --type ("], interpreter, pid=process.pid, status=None)
    assert "--type: error: unclosed group" in answer.error
