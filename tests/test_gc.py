"""py-gc: against what a forked child of the process said of its own collector."""

import json

import pytest
from rig import cores, gdbrun, interpreters, target

MATRIX = [one for one in interpreters.load() if one.required]
WHOLE = "py-gc --json --limit 100"


def named(name):
    found = interpreters.named(name)
    assert not found.missing, f"{name}: {found.reason}"
    return found


class Scene(target.Target):
    """Without `site`: what a machine's .pth files import may want to do something in a child, after a fork."""

    def command(self, interpreter):
        return [interpreter.exe, "-S"]


def check(truth, answer):
    """One collector's answer is the truth."""
    told = json.loads(answer.text)
    assert told["diagnostics"] == []
    (one,) = told["collectors"]
    generations = one["generations"]
    assert [g["name"] for g in generations] == ["0", "1", "2"]
    assert [g["threshold"] for g in generations] == truth["threshold"]
    assert [g["count"] for g in generations] == truth["count"]
    objects = [g["objects"] for g in generations]
    if truth["objects"] is None:
        assert sum(objects) == truth["total"]
    else:
        assert objects == truth["objects"]
    assert not any("cut" in g for g in generations)
    assert (one["permanent"] and one["permanent"]["objects"]) == truth["frozen"]
    assert one["enabled"] is truth["enabled"]
    assert one["collecting"] is False
    assert one["debug"] == truth["debug"]
    assert one["debug_flags"] == (["DEBUG_SAVEALL"] if truth["debug"] else [])
    for g, stats in zip(generations, truth["stats"] or [{}] * 3, strict=True):
        for key in ("collections", "collected", "uncollectable"):
            assert g[key] == stats.get(key), key
    garbage, callbacks = one["garbage"], one["callbacks"]
    assert garbage["len"] == len(garbage["items"]) == len(truth["garbage"]) >= 16
    assert [[int(item["address"], 16), item["type"]] for item in garbage["items"]] == [
        [address, kind] for address, kind, _ in truth["garbage"]]
    # Objects of Python classes we show with their attributes.
    values = [[item["type"], item["value"]] for item in garbage["items"] if "Finalized" not in item["value"]]
    assert values == [[kind, text] for _, kind, text in truth["garbage"] if "Finalized" not in text]
    assert len(values) >= 16
    if truth["callbacks"] is None:
        assert callbacks is None
    else:
        assert [[int(item["address"], 16), item["type"]] for item in callbacks["items"]] == truth["callbacks"]
        assert callbacks["len"] == 2
        assert callbacks["items"][0]["value"].startswith("<built-in method len of module object")
        assert callbacks["items"][1]["value"].startswith("<function on_collection at remote")


@pytest.mark.parametrize("options", [[], ["off", "collected"]], ids=["on", "off"])
@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_live(interpreter, options):
    with Scene(interpreter, "gc_scene.py", extra=options) as scene:
        answer, = gdbrun.run([WHOLE], interpreter, pid=scene.pid)
        truth = scene.truth()
        assert truth["enabled"] is not ("off" in options)
        check(truth, answer)


CORES = ("2.7-pyenv", "2.7-pyenv-stripped", "3.6-pyenv-stripped", "3.11-pyenv", "3.11-deb-stripped")


@pytest.mark.parametrize("name", CORES)
def test_gdb_core(name, tmp_path):
    interpreter, path = named(name), str(tmp_path / "core")
    with Scene(interpreter, "gc_scene.py") as scene:
        gdbrun.gcore(scene.pid, path)
        truth = scene.truth()
    check(truth, gdbrun.run([WHOLE], interpreter, core=path)[0])


@pytest.mark.parametrize("name", CORES)
def test_kernel_core(name):
    interpreter = named(name)
    with Scene(interpreter, "gc_scene.py", "abort") as scene:
        core = scene.kernel_core()
        check(scene.truth(), gdbrun.run([WHOLE], interpreter, core=core)[0])


@pytest.mark.parametrize("name", ["3.11-static-nosyms", "3.11-pie", "3.11-static-pie-nosyms"])
def test_embedded(name):
    """Executables in which nothing has a name. They are not required: where one is missing, that is said."""
    interpreter = interpreters.named(name)
    if interpreter.missing:
        pytest.skip(f"{name}: {interpreter.reason}")
    with Scene(interpreter, "gc_scene.py") as scene:
        answer, = gdbrun.run([WHOLE], interpreter, pid=scene.pid)
        check(scene.truth(), answer)


@pytest.mark.parametrize("name", ["3.8-pyenv", "3.9-pyenv-stripped", "3.12-pyenv", "3.15-deb-stripped"])
def test_several_interpreters(name):
    """One section for each; before 3.9 they share a collector."""
    interpreter = named(name)
    with Scene(interpreter, "gc_scene.py", extra=["interpreters"]) as scene:
        answer, text = gdbrun.run([WHOLE, "py-gc"], interpreter, pid=scene.pid)
    told = json.loads(answer.text)
    # Since 3.13 an interpreter that runs nothing has no thread state.
    assert {one["what"] for one in told["diagnostics"]} <= {"this interpreter has no thread"}
    collectors = told["collectors"]
    if interpreter.minor < (3, 9):
        assert [one["interpreter"] for one in collectors] == [None]
        assert text.text.startswith("Garbage collector\n")
        return
    assert [one["interpreter"] for one in collectors] == [0, 1]
    assert "Interpreter 0\n" in text.text and "Interpreter 1\n" in text.text
    main, sub = collectors
    assert [g["threshold"] for g in main["generations"]] == [7001, 11, 12]
    assert [g["threshold"] for g in sub["generations"]] == [123, 4, 5]
    assert (main["enabled"], sub["enabled"]) == (True, False)
    if interpreter.minor != (3, 9):
        # There interpreters share the module `gc`, and with it the two lists of the first.
        assert sub["callbacks"]["len"] == 1 and sub["garbage"] == {"len": 0, "items": []}
    assert sub["generations"][2]["objects"] > 1000 and sub["permanent"] == {"objects": 0}


TEXT = """\
Garbage collector
automatic collection: enabled
a collection runs now: no
debug flags: DEBUG_SAVEALL (32)
"""


@pytest.mark.parametrize("name", ["2.7-pyenv-stripped", "3.8-pyenv"])
def test_text(name):
    interpreter = named(name)
    with Scene(interpreter, "gc_scene.py") as scene:
        answer, cut, bad = gdbrun.run(["py-gc", "py-gc --limit 2 --chars 8", "py-gc --limit 0"], interpreter,
                                      pid=scene.pid)
        truth = scene.truth()
    assert answer.text.startswith(TEXT)
    lines = answer.text.splitlines()
    assert lines[4].split() == "Generation Threshold Count Objects Collections Collected Uncollectable".split()
    row = lines[5].split()
    assert row[:3] == ["0", "7001", str(truth["count"][0])]
    assert row[4:] == (["-"] * 3 if truth["stats"] is None else [
        str(truth["stats"][0][key]) for key in ("collections", "collected", "uncollectable")])
    assert ("permanent " in answer.text) is (truth["frozen"] is not None)
    total = len(truth["garbage"])
    at = lines.index(f"gc.garbage: {total}")
    assert lines[at + 1] == "  [0, 'text', [...]]"
    assert lines[at + 11:] == [f"  <{total - 10} more. --limit N shows more.>"]
    assert cut.text.splitlines()[-3:] == ["  [0, 'tex...(truncated)", "  [1, 'tex...(truncated)",
                                          f"  <{total - 2} more. --limit N shows more.>"]
    assert "py-gc" in bad.error


def test_a_collection_that_runs():
    """A weak reference's callback stands still inside of a collection."""
    interpreter = named("3.11-deb-stripped")
    with target.Target(interpreter, "commands_states.py", "ask", ["collecting"]) as states:
        text, answer = gdbrun.run(["py-gc", "py-gc --json"], interpreter, pid=states.pid)
    assert "a collection runs now: yes\n" in text.text
    (one,) = json.loads(answer.text)["collectors"]
    assert one["collecting"] is True
    assert all(g["objects"] is not None for g in one["generations"])


# Offset of the first link of a PyGC_Head before the object, by version: 32 bytes up to 3.7, then 16.
DAMAGED = [("2.7-pyenv-stripped", 32), ("3.11-deb-stripped", 16), ("3.15-deb-stripped", 16)]


@pytest.mark.parametrize(("name", "head"), DAMAGED)
@pytest.mark.parametrize("how", ["loop", "wild", "swapped"])
def test_damaged_list(name, head, how, tmp_path):
    """A list that loops, that leads nowhere, or that leads into another one: how far it got, in time."""
    interpreter, path = named(name), str(tmp_path / "core")
    with Scene(interpreter, "gc_scene.py") as scene:
        gdbrun.gcore(scene.pid, path)
        truth = scene.truth()
    core = cores.Core(path)
    # Objects of gc.garbage went through the last collection: they are behind one another in a list.
    link = truth["garbage"][7][0] - head
    core.poke(link, {"loop": link, "wild": 0xDEAD0000, "swapped": truth["garbage"][2][0] - head}[how])
    whole, text = gdbrun.timed([WHOLE, "py-gc"], interpreter, core=path)
    assert whole.seconds < 2
    told = json.loads(whole.text)
    (one,) = told["collectors"]
    cut = [g for g in one["generations"] if "cut" in g]
    (broken,) = cut
    assert 0 < broken["objects"] < (truth["total"] or sum(truth["objects"]))
    assert f"the list of {broken['name']} breaks off: " in text.text
    assert f" {broken['objects']}+ " in text.text
    others = [g["objects"] for g in one["generations"] if g is not broken]
    if truth["objects"]:
        assert others == [n for i, n in enumerate(truth["objects"]) if str(i) != broken["name"]]
    assert one["garbage"]["len"] == len(truth["garbage"])
