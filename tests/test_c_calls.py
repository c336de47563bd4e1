"""The C call of a frame: that it names the object it is called on, for every way to call, and no other object."""

import json
import os
import re

import conftest
import pytest
from rig import gdbrun, paths, target

NAMES = (
    *(f"{minor}-pyenv{kind}" for minor in ("2.7", *(f"3.{minor}" for minor in range(6, 14)))
      for kind in ("", "-stripped")),
    "3.11-deb-stripped", "3.13-deb-stripped", "3.14-deb-stripped", "3.15-deb-stripped",
)
SCENE = os.path.join(paths.TARGETS, "c_calls_scene.py")


def pytest_generate_tests(metafunc):
    conftest.parametrize_over(metafunc, "case", NAMES)


class Case:
    """Which call each thread shows, beside what it called."""

    def __init__(self, interpreter):
        self.interpreter = interpreter
        with target.Target(interpreter, SCENE) as scene:
            self.truth = scene.truth()
            text, self.all = gdbrun.run(["py-bt --all", "py-bt --all --json"], interpreter, pid=scene.pid)
        self.text = text.text
        self.threads = {thread["name"]: thread for thread in json.loads(self.all.text)["threads"]}

    def shown(self, name):
        """The call of the innermost Python frame, or None."""
        first = self.threads[name]["frames"][0]
        return first if first["kind"] == "c_call" else None


@pytest.fixture(scope="module")
def case(request):
    return Case(*request.param)


def expected(truth):
    """What the text has to match."""
    if isinstance(truth, str):
        return re.compile(re.escape(truth.replace(" at 0x", " at remote 0x")) + "$")
    return re.compile(rf"<built-in (function {truth[0]}|method {truth[0]} of module object at remote 0x[0-9a-f]+)>$")


def test_calls(case):
    wrong = []
    for name, truth in sorted(case.truth.items()):
        shown = case.shown(name)
        text = shown and shown["function"]
        if truth is None and text is not None or truth and not (text and expected(truth).match(text)):
            wrong.append(f"{name}: {text} instead of {truth}")
    assert not wrong, "\n".join(wrong)


def test_receivers(case):
    """In JSON the object that is waited for stands alone, to be compared with those of other threads."""
    for name, truth in case.truth.items():
        if isinstance(truth, str):
            assert case.shown(name)["receiver"] == re.search(r" at (0x[0-9a-f]+)>$", truth)[1], name


def test_text_says_the_same(case):
    for name in case.truth:
        shown = case.shown(name)
        assert shown is None or f"\n   {shown['function']}\n" in case.text, name


def test_outer_frames(case):
    """`sorted` has called the function in which the thread is blocked."""
    calls = [frame["function"] for frame in case.threads["in_a_key"]["frames"] if frame["kind"] == "c_call"]
    assert expected(case.truth["in_a_key"]).match(calls[0]), calls
    assert expected(["sorted"]).match(calls[1]), calls


def test_a_thread_that_is_blocked_is_in_a_c_call(case):
    for name in case.truth:
        assert case.threads[name]["state"] == "in_c_call", name
