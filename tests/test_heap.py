"""py-heap: against what a forked child of the process counted itself."""

import json

import pytest
from rig import gdbrun, interpreters, server, target
from test_gc import Scene

MATRIX = [one for one in interpreters.load() if one.required]
#: Kinds whose own `__sizeof__` the answer says it leaves out, and why: it is written in Python.
NOT_DECODED = {"__main__.OwnInPython", "__main__.InheritsOwn", "__main__.MixedList"}
#: And: a tree of C structs. 3.10 has no such module.
NOT_DECODED_BEFORE_310 = {"parser.st"}


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
    exact = [kind for kind in kinds if rows[kind]["count"] == truth["counts"].get(kind)]
    assert len(exact) > 30
    assert {kind: rows[kind]["size"] for kind in exact} == {kind: truth["sizes"][kind] for kind in exact}


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_live(interpreter):
    with target.Target(interpreter, "heap_scene.py") as scene:
        (answer,) = gdbrun.run(["py-heap --by type --json"], interpreter, pid=scene.pid)
        compare(rows_of(answer), scene.truth())


@pytest.mark.parametrize("allocator", ["malloc", "debug", "malloc_debug"])
@pytest.mark.parametrize("name", ["3.6-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped"])
def test_other_allocators(name, allocator):
    """Everything in malloc's chunks; marks of the debug allocator around each block."""
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "heap_scene.py", env={"PYTHONMALLOC": allocator}) as scene:
        (answer,) = gdbrun.run(["py-heap --by type --json"], interpreter, pid=scene.pid)
        compare(rows_of(answer), scene.truth())


@pytest.mark.parametrize("name", ["2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped"])
def test_arenas_of_threads(name):
    """Of threads that live and of threads that have ended: each has a heap of its own."""
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "arenas_scene.py", env={"MALLOC_ARENA_MAX": "8"}) as scene:
        (answer,) = gdbrun.run(["py-heap --json"], interpreter, pid=scene.pid)
        rows, truth = rows_of(answer), scene.truth()
    # The child has no threads, and less of what belongs to them.
    for kind in ("__main__.Large", "__main__.Long"):
        assert rows[kind]["tracked"] == rows[kind]["count"] == truth["counts"][kind] == 360
        assert rows[kind]["size"] == truth["sizes"][kind]


@pytest.mark.parametrize("malloc_only", [False, True], ids=["pools", "malloc"])
@pytest.mark.parametrize("name", ["2.7-pyenv", "3.12-pyenv", "3.15-deb-stripped"])
def test_chunks_that_are_free_and_look_in_use(name, malloc_only):
    """On the lists of several threads, on fast bins: what was an object there is none. Two glibcs."""
    interpreter = interpreters.named(name)
    env = {"PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "8"} if malloc_only else {}
    with target.Target(interpreter, "freed_scene.py", env=env) as scene:
        (answer,) = gdbrun.run(["py-heap --by type --json"], interpreter, pid=scene.pid)
        rows, truth = rows_of(answer), scene.truth()
    kinds = ["__main__.Large"]
    # Small chunks are looked at where there are no pools, which 2.7 always has.
    kinds += ["__main__.Small"] if malloc_only and interpreter.minor > (2, 7) else []
    assert {kind: rows[kind]["count"] for kind in kinds} == {kind: truth[kind] for kind in kinds}


def test_more_types_than_two_bytes_can_number():
    interpreter = interpreters.named("3.11-deb-stripped")
    with target.Target(interpreter, "many_types_scene.py") as scene:
        (answer,) = gdbrun.run(["py-heap --by module --json"], interpreter, pid=scene.pid)
        assert rows_of(answer)["__main__"]["count"] == scene.truth()["objects"] == 70000


@pytest.mark.parametrize("name", ["3.11-deb-stripped", "3.15-deb-stripped"])
def test_types_whose_module_is_in_their_name(name):
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "spec_scene.py") as scene:
        (answer,) = gdbrun.run(["py-heap --by type --json"], interpreter, pid=scene.pid)
        assert {kind: row["count"] for kind, row in rows_of(answer).items() if "_cython_like" in kind} == scene.truth()


@pytest.mark.parametrize("name", ["2.7-pyenv", "3.14-deb-stripped"])
def test_through_gdbserver(name):
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "heap_scene.py", env={"HEAP_SCENE": "200"}) as scene:
        questions = [server.pipe(scene.pid), "py-heap --by type --json"]
        answer = gdbrun.run(questions, interpreter, setup=["set sysroot /"])[1]
        compare(rows_of(answer), scene.truth())


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_gdb_core(interpreter, tmp_path):
    with target.Target(interpreter, "heap_scene.py") as scene:
        core = str(tmp_path / "core")
        gdbrun.gcore(scene.pid, core)
        (answer,) = gdbrun.run(["py-heap --by type --json"], interpreter, core=core)
        compare(rows_of(answer), scene.truth())


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_kernel_core(interpreter):
    with target.Target(interpreter, "heap_scene.py", "abort") as scene:
        core = scene.kernel_core()
        (answer,) = gdbrun.run(["py-heap --by type --json"], interpreter, core=core)
        compare(rows_of(answer), scene.truth())


SIZES = ["py-heap --by type --json", "py-heap --by generation --type '^code$' --json"]


def compare_sizes(interpreter, answers, truth):
    """Every type with a `__sizeof__` of its own: exact, or named as not decoded."""
    found = json.loads(answers[0].text)
    rows = {row["kind"]: row for row in found["rows"]}
    # Frozen modules that were not imported have code that nothing leads to (3.11, 3.12).
    # Free-threaded builds track code.
    kept = "tracked" if interpreter.free_threaded else "untracked"
    (rows["code"],) = [row for row in json.loads(answers[1].text)["rows"] if row["kind"] == kept]
    undecoded = {kind for kind, row in rows.items() if not row["size_decoded"]}
    assert undecoded == NOT_DECODED | (NOT_DECODED_BEFORE_310 if interpreter.minor < (3, 10) else set())
    (remark,) = found["diagnostics"]
    assert remark["where"] == ", ".join(sorted(undecoded))
    counts, sizes = dict(truth["counts"]), dict(truth["sizes"])
    if interpreter.minor == (3, 12):
        # The code that leads from C into Python (_Py_MakeShimCode) belongs to no object. It has some instructions.
        counts["code"] += 1
        sizes["code"] += 192 + 8
    # Of types that other objects have too that the child does not know, its own subclasses are compared.
    same = {kind for kind in counts if rows[kind]["count"] == counts[kind]} - undecoded
    assert {kind: rows[kind]["size"] for kind in same} == {kind: sizes[kind] for kind in same}
    missing = [ty for ty, kinds in truth["own"].items() if not same.union(undecoded).intersection(kinds)]
    assert not missing


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_sizes_live(interpreter):
    with target.Target(interpreter, "sizes_scene.py") as scene:
        compare_sizes(interpreter, gdbrun.run(SIZES, interpreter, pid=scene.pid), scene.truth())


@pytest.mark.parametrize("interpreter", [one for one in MATRIX if one.minor in ((2, 7), (3, 11), (3, 14))], ids=str)
def test_sizes_gdb_core(interpreter, tmp_path):
    with target.Target(interpreter, "sizes_scene.py") as scene:
        core = str(tmp_path / "core")
        gdbrun.gcore(scene.pid, core)
        compare_sizes(interpreter, gdbrun.run(SIZES, interpreter, core=core), scene.truth())


def test_a_size_that_is_not_all_is_marked():
    interpreter = interpreters.named("3.11-deb-stripped")
    with target.Target(interpreter, "sizes_scene.py") as scene:
        (answer,) = gdbrun.run(["py-heap --type OwnInPython"], interpreter, pid=scene.pid)
    assert "      ~56 " in answer.text
    assert "note: the sizes of these kinds (~) leave out what their own __sizeof__ adds" in answer.text


def compare_kinds(kinds, types, truth):
    """Dicts by owner, and everything else as by type."""
    known = {kind: number for kind, number in truth["kinds"].items() if kind in truth["known"]}
    assert known == truth["known"]
    assert truth["kinds"]["module"] == truth["modules"] > 50
    owned = {kind[len("dict of "):]: row for kind, row in kinds.items() if kind.startswith("dict of ")}
    assert {kind: row["count"] for kind, row in owned.items()} == truth["kinds"]
    assert {kind: row["size"] for kind, row in owned.items()} == truth["sizes"]
    assert kinds["dict (no owner)"]["tracked"] == truth["free"] >= 500
    dicts = [row for kind, row in kinds.items() if kind.startswith("dict ")]
    whole = types.pop("dict")
    assert whole["tracked"] == truth["tracked"]
    for key in ("count", "size", "allocated", "tracked"):
        assert sum(row[key] for row in dicts) == whole[key], key
    assert {kind: row for kind, row in kinds.items() if not kind.startswith("dict ")} == types


KINDS = ["py-heap --json", "py-heap --by type --json"]


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_kinds_live(interpreter):
    with target.Target(interpreter, "kinds_scene.py") as scene:
        kinds, types = gdbrun.run(KINDS, interpreter, pid=scene.pid)
        compare_kinds(rows_of(kinds), rows_of(types), scene.truth())


SOME = [one for one in MATRIX if one.minor in ((2, 7), (3, 10), (3, 12), (3, 15))]


@pytest.mark.parametrize("interpreter", SOME, ids=str)
def test_kinds_core(interpreter, tmp_path):
    with target.Target(interpreter, "kinds_scene.py") as scene:
        core = str(tmp_path / "core")
        gdbrun.gcore(scene.pid, core)
        kinds, types = gdbrun.run(KINDS, interpreter, core=core)
        compare_kinds(rows_of(kinds), rows_of(types), scene.truth())


def counts(rows):
    return {kind: row["count"] for kind, row in rows.items()}


def same_sum(rows, types):
    for key in ("count", "size", "allocated", "tracked"):
        assert sum(row[key] for row in rows.values()) == sum(row[key] for row in types.values()), key


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_by_size(interpreter):
    questions = ["py-heap --by size --json", "py-heap --by size --type '^__main__[.]' --json --sort kind", KINDS[1]]
    with target.Target(interpreter, "kinds_scene.py") as scene:
        whole, own, types = map(rows_of, gdbrun.run(questions, interpreter, pid=scene.pid))
        truth = scene.truth()
    assert counts(own) == truth["individual"]
    assert list(own) == sorted(own, key=int)
    assert len(own) > 20
    same_sum(whole, types)
    assert all(row["size"] == row["count"] * int(size) for size, row in whole.items())


def test_by_size_text():
    interpreter = interpreters.named("3.11-deb-stripped")
    with target.Target(interpreter, "kinds_scene.py") as scene:
        commands = ["py-heap --by size --limit 2", "py-heap more", "py-heap --json more"]
        first, more, as_json = gdbrun.run(commands, interpreter, pid=scene.pid)
    assert json.loads(as_json.text)["by"] == "size"
    assert first.text.splitlines()[1].endswith(" % Individual Size")
    assert [line.split()[0] for line in more.text.splitlines()[1:3]] == ["2", "3"]


def generations(interpreter, **where):
    questions = ["py-heap --by generation --json", "py-gc --json", KINDS[1]]
    rows, collector, types = gdbrun.run(questions, interpreter, **where)
    (collector,) = json.loads(collector.text)["collectors"]
    return rows_of(rows), collector, rows_of(types)


def compare_generations(interpreter, answers, truth):
    """Against the child of gc_scene.py, and what py-gc says of the same lists."""
    rows, collector, types = answers
    lists = {"generation " + one["name"]: one["objects"] for one in collector["generations"]}
    lists["permanent"] = collector["permanent"]["objects"] if collector["permanent"] else 0
    found = counts(rows)
    untracked, static = found.pop("untracked"), found.pop("static")
    assert found == {name: number for name, number in lists.items() if number}
    assert all(rows[name]["tracked"] == number for name, number in found.items())
    assert rows["untracked"]["tracked"] == rows["untracked"]["static"] == 0 < untracked
    assert (rows["static"]["tracked"], rows["static"]["static"], rows["static"]["allocated"]) == (0, static, 0)
    assert static > 100
    same_sum(rows, types)
    if truth["objects"] is None:
        assert sum(found.get("generation %d" % i, 0) for i in range(3)) == truth["total"]
    else:
        assert [found.get("generation %d" % i, 0) for i in range(3)] == truth["objects"]
    assert found.get("permanent", 0) == (truth["frozen"] or 0)


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_by_generation(interpreter):
    with Scene(interpreter, "gc_scene.py") as scene:
        compare_generations(interpreter, generations(interpreter, pid=scene.pid), scene.truth())


@pytest.mark.parametrize("interpreter", SOME, ids=str)
def test_by_generation_core(interpreter):
    with Scene(interpreter, "gc_scene.py", "abort") as scene:
        compare_generations(interpreter, generations(interpreter, core=scene.kernel_core()), scene.truth())


def of(by, names):
    return "py-heap --json --by %s --of %s" % (by, ",".join(names))


@pytest.mark.parametrize("interpreter", MATRIX, ids=str)
def test_of(interpreter):
    """Objects by their paths, one of them twice."""
    with target.Target(interpreter, "kinds_scene.py") as scene:
        chosen = scene.truth()["chosen"]
        names = [name for name, *_ in chosen]
        kinds = ["kind", "type", "size", "generation", "module"]
        answers = gdbrun.run([of(by, [*names, names[0]]) for by in kinds], interpreter, pid=scene.pid)
    kinds, types, sizes, lists, modules = map(rows_of, answers)
    truth = {}
    for _, kind, size, *_ in chosen:
        count, whole = truth.get(kind, (0, 0))
        truth[kind] = count + 1, whole + size
    assert {kind: (row["count"], row["size"]) for kind, row in kinds.items()} == truth
    assert counts(types)["dict"] == sum(kind.startswith("dict ") for _, kind, *_ in chosen)
    assert {int(size): row["count"] for size, row in sizes.items()} == {
        size: [one[2] for one in chosen].count(size) for _, _, size, *_ in chosen}
    tracked, static = sum(one[3] for one in chosen), sum(one[4] for one in chosen)
    others = len(chosen) - tracked - static
    rows = {"generation 2": tracked, "untracked": others, "static": static}
    assert counts(lists) == {kind: number for kind, number in rows.items() if number}
    assert counts(modules)["__main__"] == sum(kind.startswith("__main__") for _, kind, *_ in chosen)


def test_of_what_is_not_there():
    interpreter = interpreters.named("3.11-deb-stripped")
    with target.Target(interpreter, "kinds_scene.py") as scene:
        answers = gdbrun.run(["py-heap --of made['held'] more", "py-heap --of made,nothing",
                              "py-heap --of made['free'][0", "py-heap --of 0x10"],
                             interpreter, pid=scene.pid)  # fmt: skip
    assert [answer.error for answer in answers] == [
        "py-heap more: no table was shown. Type: py-heap\n",
        "'nothing' not found\n",
        "'made['free'][0' is no name and no path such as self.pool[0]['key']\n",
        "There is no object at 0x10: nothing is mapped there.\n",
    ]


def test_what_does_not_go_together(tmp_path):
    interpreter = interpreters.named("3.11-deb-stripped")
    refused = {
        "py-heap --check --type str": "--type does not go with --check",
        "py-heap --check --limit 3 --by type": "--by does not go with --check",
        f"py-heap --save {tmp_path}/file --of made": "--of does not go with --save",
        f"py-heap --diff {tmp_path}/file --native": "--native does not go with --diff",
        "py-heap --limit 3 more": "--limit does not go with more",
        "py-heap --check more": "--check does not go with more",
        "py-heap --drop-copy --json": "--json does not go with --drop-copy",
    }
    with target.Target(interpreter, "kinds_scene.py") as scene:
        answers = gdbrun.run(["py-heap", *refused], interpreter, pid=scene.pid)
    said = [f"py-heap: {why}. Type: help py-heap\n" for why in refused.values()]
    assert [answer.error for answer in answers[1:]] == said
    assert not any(answer.text for answer in answers[1:]) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["2.7-pyenv", "3.11-deb-stripped", "3.14-deb-stripped"])
def test_what_was_never_touched_stays_so(name):
    """Reading a page of it would map it: the kernel counts the page tables that this takes."""

    def page_tables(pid):
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmPTE:"))

    interpreter = interpreters.named(name)
    with target.Target(interpreter, "sparse_scene.py") as scene:
        before = page_tables(scene.pid)
        commands = ["py-heap --json", "py-heap --check --json", "py-heap --native --json", "py-dup --json"]
        answers = gdbrun.run(commands, interpreter, pid=scene.pid)
        # One page has the addresses of 2 MiB: all of the mapping takes 2048.
        assert page_tables(scene.pid) - before < 100
    assert all(json.loads(answer.text) for answer in answers)
