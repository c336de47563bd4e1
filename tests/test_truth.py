"""Our stacks must equal what the target wrote about itself: every interpreter, live, GDB core, kernel core."""

import copy
import json
import os

import conftest
import pytest
from rig import compare, gdbrun, interpreters, target

COMMAND = "py-bt --all --locals --json"
PROGRAMS = {"scenes": "truth_scenes.py", "recursion": "truth_recursion.py", "threads": "truth_many_threads.py"}
# A process dies of either in the same way; which one kills which program only spreads them.
SIGNALS = {"scenes": "abort", "recursion": "segv", "threads": "abort"}


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        params = [
            conftest.interpreter_param(interpreter, program)
            for interpreter in conftest.chosen(metafunc.config)
            for program in PROGRAMS
        ]
        metafunc.parametrize("case", params, indirect=True, scope="module")


def answer_of(reply):
    try:
        return json.loads(reply.text)
    except ValueError as error:
        raise AssertionError(
            f"{reply.command} did not print JSON ({error})\n"
            f"--- stdout\n{reply.text[:3000]}\n--- stderr\n{reply.error[:3000]}"
        ) from None


class Case:
    """One program on one interpreter: started once, looked at before and after it wrote the truth."""

    def __init__(self, interpreter, program):
        self.interpreter = interpreter
        self.program = PROGRAMS[program]
        self.signal = SIGNALS[program]
        self.name = f"{interpreter.id}, {program}"
        self._target = self._first = self._truth = None

    def close(self):
        if self._target:
            self._target.close()

    @property
    def target(self):
        if self._target is None:
            self._target = target.Target(self.interpreter, self.program, "ask")
        return self._target

    @property
    def core(self):
        return os.path.join(self.target.dir, "by-gdb.core")

    def first_look(self):
        """The answer about the process that has not yet written, and a core of that same state: one attach for both."""
        if self._first is None:
            try:
                commands = [COMMAND, f"generate-core-file {self.core}"]
                self._first, reply = gdbrun.run(commands, self.interpreter, pid=self.target.pid)
                if gdbrun.lost_memory(reply):
                    gdbrun.gcore(self.target.pid, self.core)
            except AssertionError as error:
                self._first = error
        if isinstance(self._first, AssertionError):
            raise self._first
        return answer_of(self._first)

    def truth(self):
        """Only after the first look: writing creates frame objects and dicts, and the first look wants none."""
        if self._truth is None:
            try:
                self.first_look()
            except AssertionError:
                if not os.path.exists(self.core):
                    gdbrun.gcore(self.target.pid, self.core)
            self._truth = self.target.testify()
        return self._truth


@pytest.fixture(scope="module")
def case(request):
    made = Case(*request.param)
    yield made
    made.close()


def test_required_interpreters():
    missing = [one for one in interpreters.load() if one.required and one.missing]
    assert not missing, "required interpreters are missing:\n" + "\n".join(
        f"{one.id}: {one.reason}" for one in missing)


def test_kernel_cores_are_possible():
    assert target.kernel_cores_possible(), target.why_no_core()


def test_live_before_the_truth_is_written(case):
    truth = case.truth()
    compare.check(truth, case.first_look(), holds_gil=0, what=case.name)


def test_gdb_core(case):
    truth = case.truth()
    reply = gdbrun.run([COMMAND], case.interpreter, core=case.core)[0]
    compare.check(truth, answer_of(reply), holds_gil=0, what=case.name)


def test_live_after_the_truth_is_written(case):
    truth = case.truth()
    reply = gdbrun.run([COMMAND], case.interpreter, pid=case.target.pid)[0]
    compare.check(truth, answer_of(reply), holds_gil=0, what=case.name)


def test_kernel_core(case):
    """Written by the kernel when the target dies of its own signal; its main thread holds the GIL."""
    with target.Target(case.interpreter, case.program, case.signal) as dying:
        core = dying.kernel_core()
        truth = dying.truth()
        reply = gdbrun.run([COMMAND], case.interpreter, core=core)[0]
        compare.check(truth, answer_of(reply), holds_gil=truth["main_thread_id"], what=case.name)


# ---- the comparison itself: what it lets pass no other test notices -----------------------------------------------


FRAME = {
    "function": "f", "qualname": None, "file": "/no/such/file.py", "line": 7, "args": ["a"], "order": ["a", "s", "b"],
    "optimized": True, "partial": False,
    "locals": {
        "a": {"type": "int", "id": 0x1000, "repr": "1"},
        "s": {"type": "set", "id": 0x2000, "repr": "{1, 2}", "unordered": True},
        "b": {"type": "str", "id": 0x3000, "repr": "'" + "x" * 5000 + "'"},
    },
}
TRUTH = {
    "version": [3, 11, 7],
    "gil": True,
    "main_thread_id": 0x7F01,
    "truthlib": "/truthlib.py",
    "threads": [
        {"thread_id": 0x7F01, "native_id": 5, "name": "Main", "frames": [dict(FRAME, file="/truthlib.py"), FRAME]},
        {"thread_id": 0x7F02, "native_id": 6, "name": "worker", "frames": [FRAME, FRAME]},
    ],
}


def frame_of(answer):
    return answer["threads"][1]["frames"][0]


def test_comparison_accepts_the_truth():
    answer = compare.as_answer(TRUTH, 0)
    assert compare.differences(TRUTH, answer, holds_gil=0) == []
    frame_of(answer)["locals"][1]["value"] = "{2, 1}"
    frame_of(answer)["locals"][2].update(value="'" + "x" * 1000 + "...", truncated=True)
    answer["threads"][0]["frames"][0]["line"] = 99
    answer["threads"][0]["frames"].insert(1, {"kind": "c_call"})
    assert compare.differences(TRUTH, answer, holds_gil=0) == []


@pytest.mark.parametrize("spoil", [
    lambda answer: answer["threads"].pop(),
    lambda answer: answer["threads"].append(dict(answer["threads"][1], thread_id="0x7f03")),
    lambda answer: answer["threads"][1].update(name="W"),
    lambda answer: answer["threads"][1].update(native_thread_id=7),
    lambda answer: answer["threads"][1].update(holds_gil=True),
    lambda answer: answer["threads"][1].update(holds_gil=None),
    lambda answer: answer["threads"][1]["frames"].pop(),
    lambda answer: frame_of(answer).update(function="g"),
    lambda answer: frame_of(answer).update(line=8),
    lambda answer: frame_of(answer).update(file="file.py"),
    lambda answer: frame_of(answer).update(index=1),
    lambda answer: frame_of(answer).update(source="not there"),
    lambda answer: frame_of(answer)["args"].pop(),
    lambda answer: frame_of(answer)["locals"].pop(),
    lambda answer: frame_of(answer)["locals"].reverse(),
    lambda answer: frame_of(answer)["locals"][0].update(value="2"),
    lambda answer: frame_of(answer)["locals"][0].update(type="str"),
    lambda answer: frame_of(answer)["locals"][0].update(address="0x1001"),
    lambda answer: frame_of(answer)["locals"][0].update(value="1...", truncated=True),
    lambda answer: frame_of(answer)["locals"][1].update(value="{1, 3}"),
    lambda answer: frame_of(answer)["locals"][1].update(value="frozenset({1, 2})"),
    lambda answer: frame_of(answer)["locals"][2].update(value="'" + "x" * 1000 + "'"),
    lambda answer: frame_of(answer)["locals"][2].update(value="'" + "x" * 1000, truncated=True),
    lambda answer: frame_of(answer)["locals"][2].update(value="'" + "y" * 1000 + "...", truncated=True),
    lambda answer: frame_of(answer)["locals"][2].update(value="'x...", truncated=True),
])
def test_comparison_notices(spoil):
    answer = copy.deepcopy(compare.as_answer(TRUTH, 0))
    spoil(answer)
    assert compare.differences(TRUTH, answer, holds_gil=0)
