"""py-obj and py-dup: against what the process wrote about its own objects."""

import json
import re

import pytest
from rig import gdbrun, target
from test_find import CORES, MATRIX, Scene, parsed

#: Groups of the scene whose values read as Python's own repr.
WRITTEN = ("texts", "wides", "bytes", "numbers", "huge", "floats", "tuple", "dict", "untracked")


def described(scene, truth):
    """py-obj of a few objects of each kind."""
    for group, all_objects in truth["objects"].items():
        for one in all_objects[:3]:

            def check(answer, one=one, group=group):
                found = parsed(answer)
                assert found["address"] == one["address"]
                assert found["type"] == one["type"]
                assert found["size"] == one["size"], group
                assert found["references"] == one["references"], group
                assert not found["immortal"]
                if not (truth["python2"] and group == "old"):
                    assert found["mro"] == one["mro"]
                assert bool(found["gc"] and found["gc"]["tracked"]) == one["tracked"], group
                assert not found["gc"] or not found["gc"]["collecting"] and not found["gc"]["finalized"]
                if group in ("nodes", "tuple", "numbers", "floats"):
                    assert found["place"] == "pool" or truth["python2"]
                    assert found["allocated"] >= found["size"] - (0 if found["gc"] is None else 48)
                if group in WRITTEN and one["repr"]:
                    value = found["value"].encode("ascii", "backslashreplace").decode("ascii")
                    assert value == one["repr"]
                if one["attributes"] is not None:
                    assert sorted(a["name"] for a in found["attributes"]) == one["attributes"]
                if group == "slotted":
                    assert [a["name"] for a in found["attributes"]] == ["number", "text"]

            scene.ask(f"py-obj --json --limit 100 {one['address']}", check)


def spoken(scene, truth):
    """The text form, other ways to name an object, and addresses that are none."""
    node = truth["objects"]["nodes"][7]
    address = int(node["address"], 16)

    def text(answer):
        lines = answer.text.splitlines()
        assert lines[0] == f"{node['address']}: __main__.Node object"
        assert lines[1] == "bases: object"
        assert lines[2] == f"references: {node['references']}"
        assert re.match(r"size: %d bytes, in a block of \d+ of a pool at 0x[0-9a-f]+$" % node["size"], lines[3])
        assert lines[4] == "garbage collector: tracked"
        assert lines[-2:] == ["    number = 100007", "    name = 'node-7'"]

    for named in (node["address"], str(address), f"$pyext_a = {address}", f"(long) {address}", "made['nodes'][7]"):
        scene.ask(f"py-obj {named}", text)

    def inside(answer):
        where = f"There is no object at {hex(address + 8)}: it lies inside the object at {node['address']}"
        assert f"{where} (__main__.Node)." in answer.error

    scene.ask(f"py-obj {hex(address + 8)}", inside)
    scene.ask(
        "py-obj 64", lambda a: a.error.strip().endswith("at 0x40: nothing is mapped there.") or pytest.fail(a.error)
    )
    scene.ask("py-obj", lambda a: "which object?" in a.error or pytest.fail(a.error))
    scene.ask("py-obj nope", lambda a: "'nope' not found" in a.error or pytest.fail(a.error))

    def none(answer):
        lines = answer.text.splitlines()
        assert lines[0] == f"{truth['none']}: NoneType object"
        assert lines[-1] == "value: None"

    scene.ask(f"py-obj {truth['none']}", none)


def equal(scene, truth):
    """py-dup: every mark with the number of its copies."""
    python2 = truth["python2"]

    def check(answer):
        found = json.loads(answer.text)
        assert not found["diagnostics"]
        rows = found["rows"]
        assert found["values"] == len(rows)
        assert found["copies"] == sum(row["copies"] for row in rows)
        assert found["wasted"] == sum(row["wasted"] for row in rows)
        assert [row["wasted"] for row in rows] == sorted((row["wasted"] for row in rows), reverse=True)
        assert all(row["wasted"] == (row["copies"] - 1) * row["size"] for row in rows)
        copies = {row["value"].lstrip("u"): row["copies"] for row in rows if "dup-" in row["value"]}
        for mark, count in truth["duplicates"].items():
            if mark == "dup-long-":
                (long,) = [n for value, n in copies.items() if value.startswith("'dup-long-zzz")]
                assert long == count
            else:
                assert copies[f"'{mark}'"] == count
        assert copies["'dup-\\u20ac-mark'" if python2 else "'dup-\u20ac-mark'"] == 6
        assert copies["'dup-bytes-mark'" if python2 else "b'dup-bytes-mark'"] == 12  # and the constant
        by_value = {row["value"]: row["copies"] for row in rows}
        assert by_value["9988776655443"] == 12
        assert by_value["1234.5625"] == 9
        tuples = [
            row for row in rows if row["type"] == "tuple" and all(item in row["value"] for item in truth["items"])
        ]
        assert [row["copies"] for row in tuples] == [8]

    scene.ask("py-dup --json --limit 60000 --chars 200", check)

    def floats(answer):
        rows = json.loads(answer.text)["rows"]
        assert {row["type"] for row in rows} == {"float"} and any(row["copies"] == 9 for row in rows)

    scene.ask("py-dup --type float --json --limit 60000", floats)

    def text(answer):
        lines = answer.text.splitlines()
        assert re.match(r"\d+ values are held more than once, in \d+ of \d+ objects: \d+ bytes are wasted\.$", lines[0])
        assert lines[1].split() == ["Wasted", "Copies", "Size", "Type", "Value"]
        assert len(lines) == 6 and lines[-1].endswith(" more rows. --limit N shows more.>")

    scene.ask("py-dup --limit 3", text)


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_live(interpreter):
    with target.Target(interpreter, "find_scene.py") as process:
        truth = process.truth()
        scene = Scene()
        described(scene, truth)
        spoken(scene, truth)
        equal(scene, truth)
        scene.run(interpreter, pid=process.pid)


@pytest.mark.parametrize("interpreter", CORES, ids=str)
def test_core(interpreter, tmp_path):
    core = str(tmp_path / "core")
    with target.Target(interpreter, "find_scene.py") as process:
        gdbrun.gcore(process.pid, core)
        truth = process.truth()
        scene = Scene()
        described(scene, truth)
        equal(scene, truth)
        scene.run(interpreter, core=core)
