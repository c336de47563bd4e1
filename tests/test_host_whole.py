"""The user's GDB stays whole: interrupts, a target that ends, forks or becomes another one, cores that change, many
attaches. What a test types at a terminal it types at a real one.
"""

import json
import os
import random
import re
import shutil
import time

import pytest
from rig import compare, cores, gdbrun, interpreters, paths, server, target, terminal

SCENE = os.path.join(paths.TARGETS, "commands_scene.py")
DEEP = os.path.join(paths.TARGETS, "many_deep_threads.py")
# So many that no command is done before a key comes.
DEEP_THREADS = 20
HERE = "the one on the path"
# GDB's word for a command that was interrupted.
QUIT = re.compile(r"Quit$", re.MULTILINE)
WHOLE = "py-bt --all --locals --json"
# `make soak` does them all.
CYCLES = int(os.environ.get("PYEXT_CYCLES", "50"))
# What GDB itself forgets to free over so many cycles is measured without us; ours may be this much more.
GROWTH_KIB = 1024


def some_interpreter(name="3.11-deb-stripped"):
    found = interpreters.named(name)
    assert not found.missing, f"{name}: {found.reason}"
    return found


def other_executable(name):
    """An executable and its environment, as `exec` wants them."""
    found = some_interpreter(name)
    return found.exe, found.env


# ---- Ctrl-C ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deep():
    with target.Target(some_interpreter(), DEEP, "sleep", env={"DEEP_THREADS": str(DEEP_THREADS)}) as made:
        yield made


def interrupted(gdb, command, after):
    """What came after Ctrl-C at that time; None if the command was quicker."""
    gdb.type(command + "\n")
    time.sleep(after)
    gdb.interrupt()
    said = gdb.settle()
    return said if QUIT.search(said) else None


@pytest.mark.parametrize("release", [HERE, "gdb10", "gdb-18"])
def test_ctrl_c_returns_to_the_prompt(deep, release):
    commands = ["py-bt --all --locals", "py-bt --all --json --locals"]
    if release != "gdb-18":
        # It collects all that a thread prints and then looks for colours in it, which takes it half a minute here.
        commands.append("thread apply all py-bt-full")
    with terminal.Terminal(gdb=None if release == HERE else gdbrun.release(release)) as gdb:
        gdb.ask(f"attach {deep.pid}")
        for command in commands:
            start = time.monotonic()
            whole = gdb.ask(command)
            seconds = time.monotonic() - start
            assert len(whole) > 1000000
            said = None
            # The library has what it read for the first answer; a machine may be quicker the second time.
            for part in 3 * (4, 8, 16, 32):
                start = time.monotonic()
                said = interrupted(gdb, command, seconds / part)
                if said:
                    break
            assert said, f"{command}: never caught within {seconds} s"
            assert time.monotonic() - start < seconds
            assert "Traceback" not in said and "bug" not in said
            assert len(gdb.ask("py-threads").splitlines()) == DEEP_THREADS + 2
        gdb.ask("detach")


def test_ctrl_c_at_any_moment(deep):
    """Also where the answer is being put together: no traceback, no half-selected thread, and the next answer right."""
    rng = random.Random(1)
    caught = 0
    with terminal.Terminal() as gdb:
        gdb.ask(f"attach {deep.pid}")
        gdb.ask("thread 5")
        right = gdb.ask("py-threads")
        start = time.monotonic()
        gdb.ask("py-threads")
        seconds = time.monotonic() - start
        for _ in range(40):
            # Everything anew: attaching is part of the command.
            gdb.ask("python import pyext_gdb.session; pyext_gdb.session.close_all()")
            gdb.type("py-threads\n")
            time.sleep(rng.uniform(0, 2 * seconds))
            gdb.interrupt()
            said = gdb.settle()
            caught += bool(QUIT.search(said))
            if "Undefined command" not in said:
                # Else the key cut the line, and GDB took the rest for another command: none of ours ran.
                assert "Traceback" not in said and "Exception" not in said, said
            assert gdb.ask("py-threads") == right
        gdb.ask("detach")
    assert caught


def test_ctrl_c_in_a_typed_line():
    """None of our Python runs at the prompt, so none is interrupted there: GDB would print the exception."""
    with terminal.Terminal() as gdb:
        for turn in range(200):
            gdb.type("echo half a line")
            time.sleep(turn % 30 / 1000)
            gdb.interrupt()
            said = gdb.settle()
            assert "Exception" not in said and "Traceback" not in said, said


# Runs a command as often as it has lines to run, each time with a Ctrl-C at another one.
AT_EACH_LINE = """
import os, signal, sys, gdb, pyext_gdb.session
HOME = os.path.dirname(pyext_gdb.session.__file__)
class Clock:
    def __init__(self, at):
        self.left = at
    def __call__(self, frame, event, _):
        if not frame.f_code.co_filename.startswith(HOME):
            return None
        if event == 'line':
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)
        return self
def state():
    return gdb.selected_thread().num, gdb.selected_frame().pc()
def run(command):
    before, said = state(), gdb.execute(command, to_string=True)
    quits, at = 0, 1
    while True:
        clock = Clock(at)
        sys.settrace(clock)
        try:
            gdb.execute(command, to_string=True)
        except KeyboardInterrupt:
            quits += 1
        except gdb.error as e:
            assert 'Quit' in str(e) or 'interrupted' in str(e), (at, repr(e))
            quits += 1
        finally:
            sys.settrace(None)
        try:
            assert gdb.selected_thread() is not None
        except KeyboardInterrupt:
            pass  # GDB noticed it that late
        assert state() == before, (at, state(), before)
        assert gdb.execute(command, to_string=True) == said, at
        if clock.left > 0:
            break
        at += 1
    print('lines', at - 1, 'quits', quits)
"""


@pytest.mark.parametrize("command", ["py-threads", "py-bt --all --limit 2", "py-info", "py-locals"])
def test_ctrl_c_at_each_line_of_ours(deep, tmp_path, command):
    """No line of the commands is one where an interrupt leaves another thread or frame selected."""
    script = tmp_path / "each.py"
    script.write_text(AT_EACH_LINE)
    *_, answer, _ = gdbrun.run(
        ["thread 5", "up", f"source {script}", f"python run({command!r})", "detach"], pid=deep.pid
    )
    found = re.search(r"^lines (\d+) quits (\d+)$", answer.text, re.MULTILINE)
    assert found, answer
    lines, quits = map(int, found.groups())
    assert lines > 50 and quits > lines / 2, answer


def test_ctrl_c_through_gdbserver(deep):
    with terminal.Terminal(setup=["set sysroot /"]) as gdb:
        gdb.ask(server.pipe(deep.pid))
        gdb.type("py-bt --all --locals\n")
        time.sleep(0.3)
        gdb.interrupt()
        start = time.monotonic()
        said = gdb.settle()
        assert QUIT.search(said) and time.monotonic() - start < 5
        # What it said of its progress is erased.
        answer = gdb.ask("py-threads").rsplit("\r\x1b[K", 1)[-1]
        assert len(answer.splitlines()) == DEEP_THREADS + 2
        gdb.ask("detach")


# ---- the target changes ---------------------------------------------------------------------------------------------

FORKS = """
import os, sys
def parent(child):
    os.waitpid(child, 0)
def forked():
    os.write(1, b'')
    code = 'import os\\ndef executed():\\n    os.getppid()\\nexecuted()'
    os.execve(sys.argv[1], [sys.argv[1], '-c', code], os.environ)
child = os.fork()
if child:
    parent(child)
else:
    forked()
"""


def test_inferior_forks_execs_and_exits(tmp_path):
    """Followed into a child, which becomes another CPython, which ends."""
    program = tmp_path / "forks.py"
    program.write_text(FORKS)
    other, environment = other_executable("3.8-pyenv")
    interpreter = some_interpreter()
    setup = [f"set environment {key} {value}" for key, value in environment.items()]
    answers = gdbrun.run(
        [*setup, "set startup-with-shell off", "set follow-fork-mode child", "set breakpoint pending on",
         "tbreak fork", f"run {program} {other}", "py-bt", "py-info",
         "tbreak write if $rdi == 1", "continue", "py-bt", "py-locals",
         "tbreak getppid", "continue", "py-bt", "py-info", "py-threads",
         "continue", "py-bt", "py-info", "py-locals --json"],
        interpreter, exe=interpreter.exe, start=True)[len(setup):]
    told = {}
    for number, answer in enumerate(answers):
        told[number, answer.command] = answer.text + answer.error
    bts = [text for (_, command), text in told.items() if command == "py-bt"]
    infos = [text for (_, command), text in told.items() if command == "py-info"]
    assert "in <module> ()" in bts[0] and f"CPython {interpreter.version}" in infos[0]
    assert "in forked ()" in bts[1]
    assert "in executed ()" in bts[2] and "CPython 3.8" in infos[1], bts[2] + infos[1]
    for answer in answers[-3:]:
        said = (answer.text + answer.error).strip()
        assert "No process and no core" in said and len(said.splitlines()) == 1, said


def test_inferior_is_killed_between_commands():
    with target.Target(some_interpreter(), SCENE, "ask") as scene:
        answers = gdbrun.run(["py-bt", "kill", "py-bt", "py-threads", "bt"], some_interpreter(), pid=scene.pid)
    assert "#0 Frame" in answers[0].text
    for answer in answers[2:4]:
        # It was the test that started the process: what is left of it waits for the test to take note.
        assert answer.error.strip() in (f"Process {scene.pid} has ended.", f"There is no process {scene.pid}.")


def test_memory_is_changed_by_the_user():
    """What GDB writes at the user's word is what the next command shows."""
    with target.Target(some_interpreter("3.13-pyenv"), SCENE, "ask") as scene:
        before, as_json = gdbrun.run(["thread 5", "py-print pi", "py-print --json pi"], some_interpreter("3.13-pyenv"),
                                     pid=scene.pid)[1:]
        address = int(json.loads(as_json.text)["address"], 16)
        answers = gdbrun.run(["thread 5", "py-print pi", f"set var *(double *){address + 16} = 6.5", "py-print pi",
                              f"set var *(double *){address + 16} = 3.25"], some_interpreter("3.13-pyenv"),
                             pid=scene.pid)
    assert before.text.strip() == "local 'pi' = 3.25"
    assert answers[1].text.strip() == "local 'pi' = 3.25"
    assert answers[3].text.strip() == "local 'pi' = 6.5"


def test_process_runs_on_between_commands():
    """Each answer is of its own stop."""
    states = os.path.join(paths.TARGETS, "commands_states.py")
    with target.Target(some_interpreter(), states, "sleep", ["busy"]) as scene:
        step = ["thread 2", "py-print number", f"shell (sleep 0.2; kill -INT {scene.pid}) &", "continue"]
        answers = gdbrun.run(["handle SIGINT nopass", *step * 3], some_interpreter(), pid=scene.pid)[1:]
    numbers = [int(answer.text.split("=")[1]) for answer in answers[1::len(step)]]
    assert numbers[0] < numbers[1] < numbers[2], numbers


@pytest.fixture(scope="module")
def core(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("whole") / "core")
    with target.Target(some_interpreter(), SCENE, "ask") as scene:
        gdbrun.gcore(scene.pid, path)
        truth = scene.testify()
    return path, truth


def test_core_is_cut_while_it_is_looked_at(core, tmp_path):
    path = str(tmp_path / "core")
    shutil.copy(core[0], path)
    whole, _, cut, info, threads = gdbrun.run(
        [WHOLE, f"shell truncate -s {os.path.getsize(path) // 3} {path}",
         "py-bt --all", "py-info", "py-threads"], some_interpreter(), core=path)
    compare.check(core[1], json.loads(whole.text), holds_gil=0, what="before it was cut")
    for answer in (cut, info, threads):
        assert "truncated" in answer.text + answer.error, answer.text + answer.error


def test_core_is_replaced_while_it_is_looked_at(core, tmp_path):
    """Another file of the same name is another core: what GDB has loaded is the old one, what pyext reads is new."""
    path = str(tmp_path / "core")
    shutil.copy(core[0], path)
    other = cores.Core(core[0])
    answers = gdbrun.run([WHOLE, f"shell cp {core[0]} {path}.new && mv {path}.new {path}", WHOLE,
                          f"shell head -c 5000 {core[0]} > {path}", "py-bt", "py-threads", f"shell rm {path}",
                          "py-bt", "py-info"], some_interpreter(), core=path)
    assert other.size() > 5000
    for number in (0, 2):
        compare.check(core[1], json.loads(answers[number].text), holds_gil=0, what=f"answer {number}")
    for number in (4, 5, 7, 8):
        said = answers[number].text + answers[number].error
        assert said.strip() and "bug" not in said and "Traceback" not in said, said


def test_several_inferiors():
    """Each has a session of its own; the selected one is the one that is asked."""
    first, second = some_interpreter("3.11-deb-stripped"), some_interpreter("3.8-pyenv")
    with target.Target(first, SCENE, "ask") as one, target.Target(second, SCENE, "ask") as two:
        answers = gdbrun.run(
            ["add-inferior", "inferior 2", "py-bt", f"attach {two.pid}", "py-info", WHOLE, "inferior 1", "py-info",
             WHOLE, "detach", "py-bt", "inferior 2", "py-threads", "thread apply all -q py-bt"], first, pid=one.pid)
        truths = one.testify(), two.testify()
    assert "No process and no core" in answers[2].error
    assert answers[4].text.startswith(f"CPython {second.version}")
    assert answers[7].text.startswith(f"CPython {first.version}")
    compare.check(truths[1], json.loads(answers[5].text), holds_gil=0, what="the second")
    compare.check(truths[0], json.loads(answers[8].text), holds_gil=0, what="the first")
    assert "No process and no core" in answers[10].error
    assert len(answers[12].text.splitlines()) == 6
    assert len(re.findall(r"^#0 Frame ", answers[13].text, re.MULTILINE)) == 5


# ---- attach, ask, detach, again -------------------------------------------------------------------------------------

CYCLE = """python
import os
def pyext_test_size():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4
def pyext_test_cycles(count, ask):
    for _ in range(count):
        gdb.execute("attach {pid}", to_string=True)
        if ask:
            gdb.execute("py-bt", to_string=True)
        gdb.execute("detach", to_string=True)
pyext_test_cycles({warm}, {ask})
before = pyext_test_size()
pyext_test_cycles({count}, {ask})
print(before, pyext_test_size())
"""


def growth(interpreter, scene, ask, tmp_path, warm=10):
    script = tmp_path / "cycles.gdb"
    script.write_text(CYCLE.format(pid=scene.pid, warm=warm, count=CYCLES, ask=ask) + "end\n")
    answer = gdbrun.run([f"source {script}"], interpreter, timeout=60 + 2 * CYCLES)[0]
    assert not answer.error.strip(), answer.error
    before, after = (int(number) for number in answer.text.split()[-2:])
    return after - before


@pytest.mark.parametrize("name", ["3.11-deb-stripped", "3.8-pyenv"])
def test_many_attaches(name, tmp_path):
    """The process is unharmed, and GDB grows no more than it does without us."""
    interpreter = some_interpreter(name)
    with target.Target(interpreter, SCENE, "ask") as scene:
        without = growth(interpreter, scene, False, tmp_path)
        with_us = growth(interpreter, scene, True, tmp_path)
        truth = scene.testify()
    # All its threads stand where they stood.
    functions = {frame["function"] for thread in truth["threads"] for frame in thread["frames"]}
    assert {"keyed", "Body", "values"} <= functions
    # Memory that GDB gives back between two measurements is no credit.
    assert with_us - max(0, without) <= GROWTH_KIB, f"{with_us} KiB with us, {without} KiB without"
