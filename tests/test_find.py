"""py-find: against what the process wrote about its own objects."""

import json

import pytest
from rig import gdbrun, interpreters, target

MATRIX = [one for one in interpreters.load() if one.required]
CORES = [one for one in MATRIX if one.id in ("2.7-pyenv", "3.11-deb-stripped", "3.14-deb-stripped")]
ALL = "--limit 60000 --json"


def parsed(answer):
    assert answer.text, answer.error
    found = json.loads(answer.text)
    # Some classes of the library look attributes up with code of their own.
    assert all(one["where"] == "--attr" and "only code" in one["what"] for one in found["diagnostics"])
    return found


def listed(found, key="objects"):
    assert found["matched"] == len(found[key])
    return {one["address"]: one for one in found[key]}


class Scene:
    """Commands that are put at once, and what to do with their answers."""

    def __init__(self):
        self.commands, self.checks = [], []

    def ask(self, command, check):
        self.commands.append(command)
        self.checks.append(check)

    def run(self, *arguments, **options):
        for answer, check in zip(gdbrun.run(self.commands, *arguments, **options), self.checks):
            check(answer)


def found(scene, command, expected, exact=True):
    """The objects that are found are those of the truth; sizes and texts too."""

    def check(answer):
        objects = listed(parsed(answer))
        wanted = {one["address"]: one for one in expected}
        assert set(objects) >= set(wanted), command
        if exact:
            assert set(objects) == set(wanted), command
        for address, one in wanted.items():
            assert objects[address]["type"] == one["type"]
            assert objects[address]["size"] == one["size"]

    scene.ask(command, check)


def questions(scene, truth):
    objects = truth["objects"]
    found(scene, f"py-find --type __main__.Node {ALL}", objects["nodes"])
    found(scene, f"py-find --type Leaf {ALL}", objects["leaves"])
    found(scene, f"py-find --type Node --subclasses {ALL}", objects["nodes"] + objects["leaves"])
    found(scene, f"py-find --type '/^__main__[.](Slo|Le)/' {ALL}", objects["slotted"] + objects["leaves"])
    found(scene, f"py-find --type Old {ALL}", objects["old"])
    found(scene, f"py-find --type Node --attr number=101007 {ALL}", [objects["nodes"][1007]])
    found(scene, f"py-find --type Node --attr name=node-77 {ALL}", [objects["nodes"][77]])
    found(scene, f"py-find --type Node --attr \"name='node-78'\" {ALL}", [objects["nodes"][78]])
    found(scene, f"py-find --type Node --attr 'kind=shared by all nodes' {ALL}", objects["nodes"])
    found(scene, f"py-find --type Slotted --attr number=300007 {ALL}", [objects["slotted"][7]])
    found(scene, f"py-find --type Slotted --attr text=slotted-300009 --attr number {ALL}", [objects["slotted"][9]])
    found(scene, f"py-find --type Old --attr number=400003 {ALL}", [objects["old"][3]])
    found(scene, f"py-find --attr wide_33=33 {ALL}", objects["wide"])
    found(scene, f"py-find --type Node --attr nothing {ALL}", [])
    found(scene, f"py-find --type datetime.time {ALL}", objects["times"], exact=False)
    found(scene, f"py-find --type datetime.datetime {ALL}", objects["datetimes"], exact=False)
    found(scene, f"py-find --type str --value '/^find-me-\\d+$/' {ALL}", objects["texts"])
    wide = "unicode" if truth["python2"] else "str"
    for text, number in (
        ("/^l\u00e4tin-find$/", 0),
        ("/^.uro-find$/", 1),
        ("/^.-find$/", 2),
        ("/[xy].?-find-end$/", 3),
    ):
        expected = [objects["wides"][number]] + (objects["long"] if number == 3 and wide == "str" else [])
        found(scene, f"py-find --type {wide} --value '{text}' {ALL}", expected)
    found(scene, f"py-find --type str --value 'yyy-find-end' {ALL}", objects["long"])
    raw = "str" if truth["python2"] else "bytes"
    found(scene, f"py-find --type {raw} --value '/^raw-find-[0-9]$/' {ALL}", objects["bytes"])
    found(scene, f"py-find --type int --value '/^87654321[0-9]$/' {ALL}", objects["numbers"])
    found(scene, f"py-find --value '{objects['huge'][0]['repr'].rstrip('L')[:40]}' {ALL}", objects["huge"], exact=False)
    found(scene, f"py-find --type float --value 4711. {ALL}", objects["floats"])
    found(scene, f"py-find --type list --size '>1M' {ALL}", [one for one in objects["list"] if one["size"] > 1 << 20])
    found(scene, f"py-find --type str --size '>=300000' --value find-end {ALL}", objects["long"])
    found(scene, f"py-find --type dict --size '={objects['dict'][0]['size']}' {ALL}", objects["dict"], exact=False)


def texts(scene, truth):
    """The text form, and errors."""

    def shown(answer):
        lines = answer.text.splitlines()
        assert len(lines) == 4
        assert lines[-1] == "3000 objects match; 3 are shown. --limit N shows more."
        assert all("__main__.Node" in line and "<Node(number=10" in line for line in lines[:3])

    scene.ask("py-find --type Node --limit 3", shown)

    def nothing(answer):
        assert answer.text.startswith("0 objects match.\n")
        assert "no object is of a type called NoSuchType" in answer.text

    scene.ask("py-find --type NoSuchType", nothing)

    def computed(answer):
        assert answer.text.startswith("0 objects match.\n")
        assert "40 objects have" not in answer.text and "3000 objects have an attribute whose value only" in answer.text

    scene.ask("py-find --type Node --attr computed=3", computed)
    for typed, words in (
        ("py-find", "which objects?"),
        ("py-find --size 1T --type str", "'1T' is no size"),
        ("py-find --type '/(/'", "is no regular expression"),
        ("py-find --value '/(x{9999}){9999}/'", "this regular expression is too large"),
        ("py-find --attr =3", "'=3' is no attribute"),
        ("py-find --type 'No", "A quotation has no end"),
    ):
        scene.ask(typed, lambda answer, words=words: words in answer.error or pytest.fail(answer.error + answer.text))


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_find(interpreter):
    with target.Target(interpreter, "find_scene.py") as process:
        scene = Scene()
        questions(scene, process.truth())
        texts(scene, process.truth())
        scene.run(interpreter, pid=process.pid)


def test_find_behind_the_marks_of_the_debug_allocator():
    (interpreter,) = (one for one in MATRIX if one.id == "3.11-deb-stripped")
    with target.Target(interpreter, "find_scene.py", env={"PYTHONMALLOC": "debug"}) as process:
        scene = Scene()
        questions(scene, process.truth())
        scene.run(interpreter, pid=process.pid)


@pytest.mark.parametrize("interpreter", CORES, ids=str)
def test_find_in_a_core(interpreter, tmp_path):
    core = str(tmp_path / "core")
    with target.Target(interpreter, "find_scene.py") as process:
        gdbrun.gcore(process.pid, core)
        scene = Scene()
        questions(scene, process.truth())
        scene.run(interpreter, core=core)
