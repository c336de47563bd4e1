"""gdbserver, over TCP and over a pipe: a target that only GDB can read."""

import json
import os
import re

import conftest
import pytest
from rig import compare, gdbrun, interpreters, paths, server, target

NAMES = ("2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv-stripped", "3.15-deb-stripped")
SCENE = os.path.join(paths.TARGETS, "commands_scene.py")
WHOLE = "py-bt --all --locals --json"
EVERY = ("py-bt", "py-bt-full", "py-bt --all", "py-threads", "py-info -v", "py-up", "py-list", "py-locals",
         "py-print a", "py-print self.pool._queue[0]['k']", "py-frame 2", "py-down", "bt", "complete py-print shad",
         "thread apply all -q py-bt", "py-threads --json", WHOLE)
# `py-bt` of a dozen frames, from the first byte on.
ROUND_TRIPS = 200


def pytest_generate_tests(metafunc):
    conftest.parametrize_over(metafunc, "case", NAMES)


@pytest.fixture(scope="module")
def case(request):
    return request.param[0]


def no_error(answers):
    for answer in answers:
        assert not answer.error.strip(), f"{answer.command}: {answer.error}"


def test_every_command_over_a_pipe_says_what_the_target_says(case):
    with target.Target(case, SCENE, "ask") as scene:
        # As GDB advises: the files of this machine, and not those that gdbserver sends.
        answers = gdbrun.run([server.pipe(scene.pid), gdbrun.switch(scene.pid, 2), *EVERY], case,
                             setup=["set sysroot /"])[2:]
        truth = scene.testify()
    no_error(answers)
    told = {answer.command: answer.text for answer in answers}
    compare.check(truth, json.loads(told[WHOLE]), holds_gil=0, what=f"{case.id}, gdbserver")
    assert re.search(r"^#0 Frame .* in \S*keyed \(item=1\)$", told["py-bt"], re.MULTILINE)
    assert told["py-print self.pool._queue[0]['k']"].strip() == "local 'self.pool._queue[0]['k']' = 5"
    assert re.search(r"\bkeyed \(item=1\) at ", told["bt"])
    assert "py-print shadowed" in told["complete py-print shad"]
    assert told["py-info -v"].startswith(f"CPython {case.version}")
    assert len(re.findall(r"^#0 Frame ", told["thread apply all -q py-bt"], re.MULTILINE)) == 5


def test_over_tcp_with_the_servers_files(case):
    """Without `set sysroot`, GDB reads programs through gdbserver too; pyext needs the files that are here."""
    with target.Target(case, SCENE, "ask") as scene, server.Server(scene.pid) as remote:
        answers = gdbrun.run([remote.connect(), gdbrun.switch(scene.pid, 2), "py-bt", "py-threads", WHOLE], case)[2:]
        truth = scene.testify()
    no_error(answers)
    compare.check(truth, json.loads(answers[2].text), holds_gil=0, what=f"{case.id}, gdbserver over TCP")
    assert len(answers[1].text.splitlines()) == 6


def test_few_round_trips(case):
    with target.Target(case, SCENE, "ask") as scene:
        answers = gdbrun.run(
            [server.pipe(scene.pid), gdbrun.switch(scene.pid, 2), "set debug remote 1", "py-bt", "py-up",
             "set debug remote 0"], case, setup=["set sysroot /"])
    first, second = answers[3:5]
    assert "#0 Frame " in first.text and "#1 Frame " in second.text
    packets = len(re.findall(r"Sending packet: ", first.error))
    assert 10 < packets < ROUND_TRIPS, f"{packets} packets"
    # What was read once is not asked for again.
    assert len(re.findall(r"Sending packet: ", second.error)) < 60


def test_the_connection_is_lost():
    """A sentence, and GDB goes on; the next target is read as if nothing had been."""
    interpreter = interpreters.named("3.11-deb-stripped")
    with target.Target(interpreter, SCENE, "ask") as scene, server.Server(scene.pid) as remote:
        answers = gdbrun.run(
            [remote.connect(), "py-threads", f"shell kill -9 {remote.process.pid}", "py-bt --all --locals", "py-bt",
             "py-info", "py-locals --json", f"attach {scene.pid}", "py-threads", "detach"], interpreter)
    before, lost, after = answers[1], answers[3:7], answers[8]
    assert "keyed" in before.text
    for answer in lost:
        said = answer.text + answer.error
        assert said.strip() and "bug of pyext" not in said, f"{answer.command}: {said}"
    assert re.search(r"connection|[Rr]emote|No process", lost[0].error + lost[0].text), lost[0].error
    assert "keyed" in after.text
