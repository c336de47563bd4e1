"""py-heap on cores in which known objects were overwritten: the rest is counted exactly, and what was hit is named."""

import collections
import json
import os

import conftest
import pytest
from rig import cores, gdbrun, target

NAMES = ("2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped")
# What a user waits for a table of a small broken heap.
PATIENCE = 2.0
HUGE = 1 << 60
NOWHERE = 0x4141414141414141
# What the answer says, by what was hit.
UNTYPED = "{} objects in the garbage collector's lists have no type and are not counted"
IMPOSSIBLE = "{} objects claim an impossible size: only that of their fixed part is counted"
BROKEN = "{} pools have a broken list of free blocks: some of these may be counted as objects"
MISCOUNTED = "{} pools have another number of free blocks than they say"
# Offsets that are the same in all versions.
OB_TYPE, OB_SIZE, OB_ITEM, ALLOCATED, SET_MASK, SET_TABLE = 8, 16, 24, 32, 32, 40
POOL_COUNT, POOL_FREE = 0, 8


def pytest_generate_tests(metafunc):
    conftest.parametrize_over(metafunc, "victim", NAMES)


class Victim:
    """A core of the scene, and the truth."""

    def __init__(self, interpreter, root):
        self.interpreter = interpreter
        self.minor = interpreter.minor
        self.path = str(root / "core")
        with target.Target(interpreter, "heap_damage_scene.py") as scene:
            gdbrun.gcore(scene.pid, self.path)
            self.truth = scene.truth()
            with open(scene.out + ".victims") as source:
                self.victims = json.load(source)
        self.core = cores.Core(self.path)

    def places(self, name):
        return [one["address"] for one in self.victims[name]]

    def pool(self, address):
        """The pool of a block in it."""
        return address & -(4096 if self.minor < (3, 10) else 16384)

    def ask(self, core=None):
        (answer,) = gdbrun.timed(["py-heap --by type --json"], self.interpreter, core=core or self.path)
        assert answer.seconds < PATIENCE
        return json.loads(answer.text)


@pytest.fixture(scope="module")
def victim(request, tmp_path_factory):
    victim = Victim(request.param[0], tmp_path_factory.mktemp("heap-damage"))
    yield victim
    os.unlink(victim.path)


class Hit:
    """What a damage does: `lost` objects of types, the `small`er sizes of victims, and what is said of `where`."""

    def __init__(self, said, where, lost=(), small=()):
        self.said = said
        self.where = where
        self.lost = collections.Counter(lost)
        self.small = small


def lost_types(victim):
    """No address, null, an object that is no type, itself, an address between two objects."""
    places = victim.places("lost")[:5]
    for place, word in zip(places, (NOWHERE, 0, victim.places("lists")[0], places[3], places[4] + 3)):
        victim.core.poke(place + OB_TYPE, word)
    return Hit(UNTYPED, places, lost=["__main__.Lost"] * 5)


def lost_class(victim):
    """A class that has no type is none."""
    (place,) = victim.places("class")
    victim.core.poke(place + OB_TYPE, 0)
    return Hit(UNTYPED, [*victim.places("doomed"), place], lost=["__main__.Doomed"] * 20 + ["type"])


def hit(victim, name, *words):
    """Some objects claim what cannot be."""
    places = victim.places(name)[3:5]
    for place in places:
        for offset, word in words:
            victim.core.poke(place + offset, word)
    return Hit(IMPOSSIBLE, places, small=victim.victims[name][3:5])


def long_lists(victim):
    return hit(victim, "lists", (OB_SIZE, HUGE), (OB_ITEM, NOWHERE), (ALLOCATED, HUGE))


def long_tuples(victim):
    return hit(victim, "tuples", (OB_SIZE, HUGE))


def negative_tuples(victim):
    return hit(victim, "tuples", (OB_SIZE, -HUGE))


def wild_keys(victim):
    """2.7 has no table of keys, but a mask and a table."""
    return hit(victim, "dicts", *([(32, HUGE - 1), (40, NOWHERE)] if victim.minor == (2, 7) else [(32, NOWHERE)]))


def keys_of_zeros(victim):
    """2.7 has no such table."""
    if victim.minor == (2, 7):
        return wild_keys(victim)
    blank = min(start for start, length, _, _ in victim.core.loads if victim.core.read(start, 64) == bytes(64))
    return hit(victim, "dicts", (32, blank))


def wide_sets(victim):
    return hit(victim, "sets", (SET_MASK, HUGE - 1))


def long_texts(victim):
    return hit(victim, "texts", (OB_SIZE, HUGE))


def long_numbers(victim):
    return hit(victim, "numbers", (OB_SIZE, HUGE))


def wild_free_list(victim):
    pools = sorted({victim.pool(place) for place in victim.places("wide")})
    for pool in pools[:2]:
        victim.core.poke(pool + POOL_FREE, NOWHERE)
    return Hit(BROKEN, pools[:2])


def looped_free_list(victim):
    """A free block is its own successor."""
    pools = {victim.pool(place) for place in victim.places("wide")}
    pool = next(pool for pool in sorted(pools) if victim.core.word(pool + POOL_FREE))
    free = victim.core.word(pool + POOL_FREE)
    victim.core.poke(free, free)
    return Hit(BROKEN, [pool])


def wrong_count(victim):
    """One block less in use than there are."""
    pools = {victim.pool(place) for place in victim.places("wide")}
    pool = next(pool for pool in sorted(pools) if victim.core.word(pool + POOL_COUNT) & 0xFFFFFFFF > 1)
    victim.core.poke(pool + POOL_COUNT, victim.core.word(pool + POOL_COUNT) - 1)
    return Hit(MISCOUNTED, [pool])


def nothing(_victim):
    return None


def remarks(found):
    return {remark["what"]: remark["where"].split(", ") for remark in found["diagnostics"]}


@pytest.mark.parametrize("damage", (
    nothing, lost_types, lost_class, long_lists, long_tuples, negative_tuples, wild_keys, keys_of_zeros, wide_sets,
    long_texts, long_numbers, wild_free_list, looped_free_list, wrong_count), ids=lambda damage: damage.__name__)
def test_damage(victim, damage):
    try:
        hit = damage(victim)
        found = victim.ask()
    finally:
        victim.core.restore()
    truth = victim.truth
    counts, sizes = collections.Counter(truth["counts"]), collections.Counter(truth["sizes"])
    # gc.get_objects() leaves out the permanent generation, in which 3.12 starts with tuples (cpython gh-103793).
    counts["tuple"] += truth["frozen"]
    said = remarks(found)
    if hit:
        counts -= hit.lost
        for one in hit.small:
            sizes[one["type"]] -= one["size"] - one["fixed"]
        (where,) = said.values()
        assert list(said) == [hit.said.format(len(hit.where))]
        assert len(where) == min(4, len(hit.where))
        assert {int(place, 16) for place in where} <= set(hit.where)
    else:
        assert not said
    rows = {row["kind"]: row for row in found["rows"]}
    assert {kind: row["tracked"] for kind, row in rows.items() if row["tracked"]} == dict(counts)
    # Of the other types there are objects that the child does not know.
    exact = [kind for kind, number in counts.items() if rows[kind]["count"] == number and not (hit and hit.lost[kind])]
    assert len(exact) > 20
    assert {kind: rows[kind]["size"] for kind in exact} == {kind: sizes[kind] for kind in exact}


def test_a_pool_whose_header_is_zeros(victim):
    """Its objects cannot be told, and it can: an arena's pools are taken in address order."""
    pools = collections.Counter(map(victim.pool, victim.places("untouched")))
    pool = sorted(pools)[len(pools) // 2]
    try:
        for offset in range(0, 48, 8):
            victim.core.poke(pool + offset, 0)
        found = victim.ask()
    finally:
        victim.core.restore()
    assert remarks(found)["1 pools have zeros where their header was: their objects are missing"] == [hex(pool)]
    rows = {row["kind"]: row["tracked"] for row in found["rows"]}
    assert rows["__main__.Untouched"] == victim.truth["counts"]["__main__.Untouched"] - pools[pool]


def test_tables_that_are_nowhere(victim):
    """Of sane sizes, so that the census alone does not see it."""
    lists, sets = victim.places("lists"), victim.places("sets")
    places = {lists[7]: OB_ITEM, lists[8]: OB_ITEM, sets[7]: SET_TABLE}
    try:
        for place, offset in places.items():
            victim.core.poke(place + offset, NOWHERE)
        (answer,) = gdbrun.run(["py-heap --allocated --by type --json"], victim.interpreter, core=victim.path)
    finally:
        victim.core.restore()
    said = remarks(json.loads(answer.text))
    assert list(said) == ["3 objects have tables where nothing is mapped: nothing is counted for these"]
    assert {int(place, 16) for (where,) in [said.values()] for place in where} == set(places)


def short(kind):
    """Without the module, which may be lost."""
    return kind.rpartition(".")[2]


@pytest.mark.parametrize("part", (0.2, 0.5, 0.8, 0.98))
def test_truncated(victim, part):
    """What is there is counted and nothing twice. First is said that the rest is missing."""
    with target.Target(victim.interpreter, "heap_damage_scene.py", "abort") as scene:
        core, truth = scene.kernel_core(), scene.truth()
        os.truncate(core, int(os.path.getsize(core) * part))
        (answer,) = gdbrun.timed(["py-heap --by type --json"], victim.interpreter, core=core)
    assert answer.seconds < PATIENCE
    if not answer.text:
        # The data of a shared library lies behind the heap.
        note, refused = answer.error.strip().splitlines()
        assert "the core is truncated" in note
        assert "There is no CPython in this target" in refused
        assert "deb" not in victim.interpreter.id
        return
    found = json.loads(answer.text)
    assert "truncated" in found["diagnostics"][0]["what"]
    most, there = collections.Counter({"tuple": truth["frozen"]}), collections.Counter()
    for kind, number in truth["counts"].items():
        most[short(kind)] += number
    for row in found["rows"]:
        there[short(row["kind"])] += row["tracked"]
    assert sum(there.values()) <= sum(most.values())
    assert {kind for kind in there if there[kind] > most[kind] and not kind.startswith("<unreadable")} == set()
