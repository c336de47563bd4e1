"""Seeded damage to real cores, and a loop in every chain that the library walks, through all commands in a real GDB.

GDB lives, every command ends in time, nothing reaches the terminal unescaped, and what was not hit is shown.
PYEXT_SEEDS sets the number of seeds for each interpreter (`make soak`), PYEXT_SEED the first one.
"""

import json
import os
import re

import conftest
import pytest
from rig import compare, cores, corruption, gdbrun, target

NAMES = ("2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped")
SEEDS = int(os.environ.get("PYEXT_SEEDS", "20"))
FIRST = int(os.environ.get("PYEXT_SEED", "1"))
# Seeds that share a test: so many that a failure still names few.
TOGETHER = 5
# What a user waits for an answer on a broken target.
PATIENCE = 2.0
WHOLE = "py-bt --all --locals --json"
# For each of three threads.
PER_THREAD = ("py-bt", "py-locals", "py-up", "py-print self", "py-list")
# For the thread with a value of each kind, whose innermost frame is selected.
PATHS = (*(f"py-print {path}" for path in (
    "plain.second[0]", "slots.left", "child.first", "computed.computed", "computed.nosuch", "error.args[0]",
    "error.__class__.__mro__", "point.x", "point.nosuch", "moment.year", "colour.name", "colour.__dict__",
    "olds[0].kind", "olds[0].nosuch", "method.__func__.__code__.co_consts", "closure.__closure__[0]",
    "suspended.gi_code.co_name", "mapping[(1, 2)]", "sparse[97]", "ordered['two']", "default['k'][0]", "queue[-1]",
    "numbers[2]", "latin[3]", "raw[1]", "piece.stop", "cplx.real", "bound.__self__[1][1]", "partial.func.__name__",
    "looped.nosuch")),
    "complete py-print plain.", "complete py-print looped.", "complete py-print olds[0].", "complete py-print sys.")
# Against a snapshot of the core before it was damaged.
DIFFERENCE = "py-heap --diff "
ONCE = ("py-bt --all", "py-bt-full", WHOLE, "py-threads", "py-threads --json", "py-info -v", "py-heap",
        "py-heap --json", "py-heap --check", "py-heap --by generation", "py-heap --by size",
        "py-heap --allocated --native", DIFFERENCE, "py-gc", "py-find --type Plain", "py-obj self", "py-dup",
        "py-waste", "py-print len", "py-print PLACES", "py-print sys.modules", "py-frame 1", "py-down",
        "py-locals --json", "complete py-print p", "bt 30")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# Offsets of links, from the headers of each version (tools/measured): of the interpreter and thread states,
# tp_base, tp_dict, tp_mro (the same in all), of a dict's table, an ordered dict's first node.
INTERPRETER_NEXT = {(2, 7): 0, (3, 8): 0, (3, 11): 0, (3, 13): 7264, (3, 15): 7264}
THREAD_NEXT = {(2, 7): 0, (3, 8): 8, (3, 11): 8, (3, 13): 8, (3, 15): 8}
TP_BASE, TP_DICT, TP_MRO = 256, 264, 344


def pytest_generate_tests(metafunc):
    conftest.parametrize_over(metafunc, "victim", NAMES)


class Victim:
    """A core of the scene, its truth, and where things are."""

    def __init__(self, interpreter, root):
        self.interpreter = interpreter
        self.minor = interpreter.minor
        self.root = root
        self.path = str(root / "core")
        with target.Target(interpreter, "corrupted_scene.py", "ask") as scene:
            gdbrun.gcore(scene.pid, self.path)
            self.truth = scene.testify()
            with open(scene.out + ".places") as source:
                self.places = json.load(source)
        self.snapshot = str(root / "snapshot")
        gdbrun.run([f"py-heap --save {self.snapshot}"], interpreter, core=self.path)
        self.core = cores.Core(self.path)
        kinds, chains = self.places["kinds"], self.places["chains"]
        hot = [*kinds.values(), *chains.values(), *self.places["types"], *self.places["threads"], self.frame()]
        self.damage = corruption.Damage(self.core, hot, self.core.pages_with(self.places["types"]))

    def frame(self):
        """The innermost frame of the thread "kinds", as the chain of frames has it."""
        frame = self.places["chains"]["frame"]
        # PyFrameObject.f_frame (3.11 and later) is at 24.
        return frame if self.minor < (3, 11) else self.core.word(frame + 24)

    def frame_link(self):
        """Offset of f_back, or of _PyInterpreterFrame.previous."""
        return {(3, 11): 48, (3, 13): 8, (3, 15): 8}.get(self.minor, 24)

    def lwp(self, number):
        return self.places["lwps"][number]

    def switch(self, number):
        return ("python [thread.switch() for thread in gdb.selected_inferior().threads() "
                f"if thread.ptid[1] == {self.lwp(number)}]")

    def every_command(self):
        commands = [one + self.snapshot if one == DIFFERENCE else one for one in ONCE]
        for number in (1, 2, 3):
            commands += [self.switch(number), *PER_THREAD]
        commands += [self.switch(1), "py-frame 0", *PATHS]
        return commands

    def ask(self, commands, core=None):
        return gdbrun.timed(commands, self.interpreter, core=core or self.path)


@pytest.fixture(scope="module")
def victim(request, tmp_path_factory):
    return Victim(request.param[0], tmp_path_factory.mktemp("corruption"))


def complaints_about(answers):
    """What no damage may lead to. That GDB lives, the rig itself sees."""
    found = []
    for answer in answers:
        said = answer.text + answer.error
        # GDB's first `bt` reads debug information, which takes what it takes.
        if answer.seconds >= (5 * PATIENCE if answer.command.startswith("bt") else PATIENCE):
            found.append(f"{answer.command}: {answer.seconds} s")
        if "bug of pyext" in said:
            found.append(f"{answer.command}: {said[:500]}")
        # `bt` is GDB's own text.
        control = CONTROL.search(said)
        if control and answer.command.startswith("py-"):
            found.append(f"{answer.command}: {control.group()!r} reaches the terminal")
        if answer.command.endswith("--json") and answer.text.strip():
            try:
                json.loads(answer.text[answer.text.index("{"):])
            except ValueError as error:
                found.append(f"{answer.command}: no JSON: {error}")
        if answer.command.startswith("py-") and not said.strip():
            found.append(f"{answer.command}: says nothing")
    return found


def says_so_first(answer):
    """That the core is cut off is the first thing that is said of it; of one without its headers GDB makes no core."""
    if answer.command not in ("py-bt --all", "py-threads", "py-info -v", "py-bt-full"):
        return True
    first = [(text.strip().splitlines() or [""])[0] for text in (answer.text, answer.error)]
    return any("truncated" in line or "No process and no core" in line for line in first)


def run_seed(victim, seed):
    copy = str(victim.root / "copy")
    path, kind = victim.damage(f"{victim.interpreter.id} {seed}", copy)
    try:
        answers = victim.ask(victim.every_command(), core=path)
        found = complaints_about(answers)
        if kind == "truncate":
            found += [f"{one.command}: does not begin with the truncation" for one in answers if not says_so_first(one)]
    except gdbrun.GdbError as error:
        found = [str(error)[:3000]]
    finally:
        victim.core.restore()
        if os.path.exists(copy):
            os.unlink(copy)
    return [f"seed {seed} ({kind}): {line}" for line in found]


def test_undamaged(victim):
    """What the other tests compare with, and every command has something to say."""
    answers = victim.ask(victim.every_command())
    assert not complaints_about(answers)
    whole = next(answer for answer in answers if answer.command == WHOLE)
    assert compare.differences(victim.truth, json.loads(whole.text), holds_gil=0) == []


@pytest.mark.parametrize("first", range(FIRST, FIRST + SEEDS, TOGETHER))
def test_seeded_damage(victim, first):
    lines = []
    for seed in range(first, min(first + TOGETHER, FIRST + SEEDS)):
        lines += run_seed(victim, seed)
    assert not lines, "\n".join(lines)


# ---- a loop in every chain ------------------------------------------------------------------------------------------


def interpreters_loop(victim):
    interpreter = victim.places["chains"]["interpreter"]
    return [(interpreter + INTERPRETER_NEXT[victim.minor], interpreter)]


def threads_loop(victim):
    threads = victim.places["threads"]
    return [(threads[-1] + THREAD_NEXT[victim.minor], threads[0])]


def frames_loop(victim):
    return [(victim.frame() + victim.frame_link(), victim.frame())]


def bases_loop(victim):
    looped = victim.places["chains"]["class"]
    return [(looped + TP_BASE, looped)]


def mro_of_itself(victim):
    """The mro is a tuple that has itself for an item."""
    mro = victim.places["chains"]["mro"]
    return [(mro + 24, mro), (mro + 32, mro)]


def no_mro(victim):
    looped = victim.places["chains"]["class"]
    return [(looped + TP_MRO, looped), (looped + TP_DICT, looped)]


def dict_in_itself(victim):
    """The table of a dict is the dict."""
    mapping = victim.places["kinds"]["mapping"]
    return [(mapping + (40 if victim.minor == (2, 7) else 32), mapping)]


def huge_dict(victim):
    mapping = victim.places["kinds"]["mapping"]
    if victim.minor == (2, 7):
        return [(mapping + 32, (1 << 60) - 1), (mapping + 24, 1 << 60)]
    keys = victim.core.word(mapping + 32)
    return [(mapping + 16, 1 << 60), (keys + (8 if victim.minor < (3, 11) else 24), 1 << 60)]


def ordered_loop(victim):
    """The first node of an OrderedDict is its own successor (2.7 has it in Python)."""
    if victim.minor == (2, 7):
        return [(victim.places["kinds"]["ordered"] + 8, victim.places["kinds"]["ordered"])]
    node = victim.core.word(victim.places["kinds"]["ordered"] + 48)
    return [(node + 16, node)]


def types_of_themselves(victim):
    kinds = victim.places["kinds"]
    return [(kinds[name] + 8, kinds[name]) for name in ("plain", "items", "latin", "error", "queue")]


def sizes(victim):
    """2^60 and less than none, where objects say how long they are."""
    kinds = victim.places["kinds"]
    huge = [(kinds[name] + 16, 1 << 60) for name in ("items", "pair", "raw", "array", "latin", "queue", "big")]
    return [*huge, (kinds["single"] + 16, -5 & (1 << 64) - 1), (kinds["unique"] + 32, (1 << 60) - 1)]


CHAINS = (interpreters_loop, threads_loop, frames_loop, bases_loop, mro_of_itself, no_mro, dict_in_itself, huge_dict,
          ordered_loop, types_of_themselves, sizes)
# Loops that leave nothing of the values to complain of.
SAID = {interpreters_loop: "interpreters loops", threads_loop: "threads loops", frames_loop: "frames loops"}


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.__name__)
def test_a_chain_that_loops(victim, chain):
    try:
        for address, value in chain(victim):
            victim.core.poke(address, value)
        answers = victim.ask(victim.every_command())
    finally:
        victim.core.restore()
    assert not complaints_about(answers)
    whole = next(answer for answer in answers if answer.command == WHOLE)
    told = json.loads(whole.text)
    # Only the thread "kinds", or what it shows, was hit.
    others = [line for line in compare.differences(victim.truth, told, holds_gil=0)
              if not re.search(r"'kinds'|\bkinds: ", line)]
    assert not others, "\n".join(others)
    if chain in SAID:
        assert SAID[chain] in json.dumps(told)


def test_a_list_nested_a_million_deep(victim):
    """Live: a core of it would add nothing but size."""
    with target.Target(victim.interpreter, "nested_scene.py", "ask") as scene:
        answers = gdbrun.timed(["py-bt", "py-locals", "py-print deep", "py-print --json deep", "py-bt --all --json",
                                "py-print deep[0][0][0]"], victim.interpreter, pid=scene.pid)
    assert not complaints_about(answers)
    assert re.search(r"^deep = \[{200}", answers[1].text, re.MULTILINE), answers[1].text[:300]
    assert "...(truncated)" in answers[2].text
