"""What py-print says of names and paths. What is right is what the target itself computes for the same expression."""

import json
import os
import re

import conftest
import pytest
from rig import gdbrun, paths, target

NAMES = ("2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.15-deb-stripped")
SCENE = os.path.join(paths.TARGETS, "print_scene.py")
HEX = "0x[0-9a-f]+"
# In the order in which the scene starts them, behind the main thread.
THREADS = ("unbound",)


def pytest_generate_tests(metafunc):
    conftest.parametrize_over(metafunc, "case", NAMES)


class Case:
    """The scene on one interpreter. Tests look at it; then it computes the truth, which changes it."""

    def __init__(self, interpreter):
        self.interpreter = interpreter
        self.minor = interpreter.minor
        self.old = self.minor < (3,)
        self.scene = None

    def close(self):
        if self.scene:
            self.scene.close()

    def ask(self, thread, *commands):
        if self.scene is None:
            self.scene = target.Target(self.interpreter, SCENE, "ask")
        first = [f"thread {THREADS.index(thread) + 2}"]
        return gdbrun.run(first + list(commands), self.interpreter, pid=self.scene.pid)[1:]

    def print(self, thread, paths_):
        """{path: (text, error)} of `py-print path`."""
        answers = self.ask(thread, *(f"py-print {path}" for path in paths_))
        return {path: (a.text.strip(), a.error.strip()) for path, a in zip(paths_, answers, strict=True)}


@pytest.fixture(scope="module")
def case(request):
    made = Case(*request.param)
    yield made
    made.close()


def truth_of(case, thread, questions, tmp_path):
    """What py-print --json answers to {path: expression}, beside what the target computes: {path: (answer, truth)}."""
    file = tmp_path / "questions.json"
    file.write_text(json.dumps({thread: sorted(set(questions.values()))}))
    with target.Target(case.interpreter, SCENE, "ask", extra=[str(file)]) as scene:
        commands = [f"thread {THREADS.index(thread) + 2}", *(f"py-print --json {path}" for path in questions)]
        answers = gdbrun.run(commands, case.interpreter, pid=scene.pid)[1:]
        truth = scene.testify()[thread]
    found = {}
    for (path, expression), answer in zip(questions.items(), answers, strict=True):
        said = json.loads(answer.text) if answer.text.strip() else {"error": answer.error.strip()}
        found[path] = said, truth[expression]
    return found


def test_names_without_a_value(case):
    answers = case.print("unbound", ["shadow", "later", "only_here", "lost", "unbound", "len", "nosuch"])
    for name, of in (("shadow", "of a function around inner"), ("later", "of a function around inner"),
                     ("lost", "of inner")):
        wanted = f"'{name}' is a local variable {of} without a value (there is a global of that name)"
        assert answers[name] == ("", wanted)
    assert answers["only_here"] == ("", "'only_here' is a local variable of inner without a value")
    assert answers["unbound"][0].startswith("global 'unbound' = <function unbound ")
    assert answers["len"][0].startswith("builtin 'len' = <built-in ")
    assert answers["nosuch"] == ("", "'nosuch' not found")
    answers = case.ask("unbound", "py-up", "py-print shadow", "set pyext style stock", "py-print shadow")
    assert answers[1].error.strip() == \
        "'shadow' is a local variable of unbound without a value (there is a global of that name)"
    # Stock style has the words of CPython's own script, which looks on.
    assert answers[3].text.strip() == "global 'shadow' = 'the global one'"
