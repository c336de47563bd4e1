"""Nothing that a target holds reaches the terminal as it is; and nothing is too long to be asked about."""

import json
import re

import conftest
import pytest
from rig import gdbrun, target, terminal

NAMES = ("2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped")
COMMANDS = ("py-bt", "py-bt --all", "py-bt-full", "py-bt --all --locals", "py-threads", "py-locals", "py-info -v",
            "py-print local", "py-print nonsense", "py-list", "py-up", "py-locals", "py-print escape", "py-print bidi",
            "py-print surrogate", "py-print raw", "py-print keys", "py-print error", "py-print big", "py-print pieces",
            "py-print thing", "py-frame 1", "py-bt --all --locals --json", "py-threads --json", "py-locals --json",
            "complete py-print thing.", "bt")
# C0 and C1 controls but for the end of a line, and what turns the direction of text or shows nothing.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
MOST = 300000


def pytest_generate_tests(metafunc):
    conftest.parametrize_over(metafunc, "hostile", NAMES)


@pytest.fixture(scope="module")
def hostile(request):
    with target.Target(request.param[0], "hostile_scene.py", "sleep") as made:
        yield made


def test_nothing_gets_through(hostile):
    answers = gdbrun.timed(["thread 2", *COMMANDS], hostile.interpreter, pid=hostile.pid)[1:]
    told = {}
    for answer in answers:
        said = answer.text + answer.error
        unsafe = UNSAFE.search(said)
        assert not unsafe, f"{answer.command}: {unsafe.group()!r} in {said[max(0, unsafe.start() - 80):][:200]!r}"
        assert len(said) < MOST and answer.seconds < 2, answer.command
        told[answer.command] = said
    old = hostile.interpreter.minor < (3,)
    assert r"\x1b[2J" in told["py-bt"] and r"thread\x1b[2J\nname\x07" in told["py-threads"]
    assert told["py-print escape"].strip() == r"local 'escape' = '\x1b[2J\x1b[31m\x07\x00\r\n\x9b1m\x7f'"
    mark = "u" if old else ""
    assert told["py-print bidi"].strip() == rf"local 'bidi' = {mark}'\u202eevil\u2066\u200e\ufeff\u2028'"
    assert told["py-print surrogate"].strip() == rf"local 'surrogate' = {mark}'a\ud800b\udcff'"
    # Cut, with the mark; never read as a whole.
    assert re.fullmatch(r"local 'big' = 'x{1000,}\.\.\.\(truncated\)", told["py-print big"].strip())
    assert told["py-print pieces"].strip().endswith("...(truncated)")
    assert r"T\x1b[31m\nnewline" in told["py-print thing"]


def test_json_has_the_text_itself(hostile):
    """Escaped once, by JSON; what a program reads is what the target has."""
    answer = gdbrun.run(["thread 2", "py-print --json escape", "py-bt --json", "py-threads --json"],
                        hostile.interpreter, pid=hostile.pid)
    files = [frame["file"] for thread in json.loads(answer[2].text)["threads"] for frame in thread["frames"]]
    assert "file\x1b[2J\n\x07.py" in files
    for one in answer[1:]:
        assert one.text.isascii()


def test_at_a_terminal(hostile):
    """With colours, the only escapes are those of colours."""
    with terminal.Terminal() as gdb:
        gdb.ask(f"attach {hostile.pid}")
        gdb.ask("thread 2")
        for command in ("py-bt", "py-threads", "py-locals", "py-up", "py-locals", "py-print keys"):
            said = re.sub(r"\x1b\[[0-9;]*m", "", gdb.ask(command))
            assert not UNSAFE.search(said), f"{command}: {said!r}"
        gdb.ask("detach")
