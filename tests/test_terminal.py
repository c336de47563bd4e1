"""What only a terminal shows: colours, the terminal's width, how far long work is."""

import os
import re

import pytest
from rig import gdbrun, interpreters, paths, server, target, terminal

SCENE = os.path.join(paths.TARGETS, "commands_scene.py")
HERE = "the one on the path"
SGR = re.compile(r"\x1b\[([0-9;]*)m")


def plain(text):
    return SGR.sub("", text)


def sgr(parameters):
    """An escape sequence that begins with these; GDB 16 and later add those that undo all others."""
    return rf"\x1b\[{parameters}[0-9;]*m"


@pytest.fixture(scope="module")
def scene():
    interpreter = interpreters.named("3.11-deb-stripped")
    assert not interpreter.missing, interpreter.reason
    with target.Target(interpreter, SCENE, "ask") as made:
        yield made


@pytest.mark.parametrize("release", (HERE, *gdbrun.RELEASES))
def test_colours_are_gdbs(scene, release):
    with terminal.Terminal(gdb=None if release == HERE else gdbrun.release(release)) as gdb:
        gdb.ask(f"attach {scene.pid}")
        gdb.ask(gdbrun.switch(scene.pid, 2))
        coloured = gdb.ask("py-bt --limit 1")
        gdb.ask("set style function foreground red")
        gdb.ask("set style function intensity bold")
        red = gdb.ask("py-bt --limit 1")
        gdb.ask("set style enabled off")
        without = gdb.ask("py-bt --limit 1")
        gdb.ask("set style enabled on")
        script = gdb.ask("python print(ascii(gdb.execute('py-bt --limit 1', False, True)))")
        script += gdb.ask("python print(ascii(gdb.execute('py-bt --limit 1', True, True)))")
        piped = gdb.ask("pipe py-bt --limit 1 | cat -v")
        as_json = gdb.ask("py-locals --json")
        gdb.ask("set pyext style stock")
        stock = gdb.ask("py-bt")
        gdb.ask("detach")
    assert "\x1b" not in without
    frame = re.search(r"#0 Frame 0x[0-9a-f]+, for file .*", without).group(0)
    # The same words with and without.
    assert frame in plain(coloured) and frame in plain(red)
    # GDB's own colours for these kinds of words: `show style function` and its kin.
    assert re.search(rf"in {sgr('33')}[^\x1b]*keyed\x1b\[m", coloured), coloured
    assert re.search(rf"{sgr('32')}{re.escape(SCENE)}\x1b\[m", coloured)
    assert re.search(rf"Frame {sgr('34')}0x[0-9a-f]+\x1b\[m", coloured)
    assert re.search(rf"{sgr('36')}item\x1b\[m=1", coloured)
    assert re.search(rf"in (?:{sgr('1;31')}|{sgr('31;49;1')})[^\x1b]*keyed\x1b\[m", red), red
    # What a script reads, and JSON, and the words of CPython's own script are without.
    assert "x1b" not in script and "#0 Frame" in script
    assert "^[" not in piped and "#0 Frame" in piped
    assert "\x1b" not in as_json and "\x1b" not in stock


def test_a_table_fits_the_width(scene):
    with terminal.Terminal(columns=100) as gdb:
        gdb.ask(f"attach {scene.pid}")
        narrow = plain(gdb.ask("py-threads"))
        gdb.ask("set width 0")
        whole = plain(gdb.ask("py-threads"))
        gdb.ask("detach")
    assert max(map(len, narrow.splitlines())) <= 100
    assert max(map(len, whole.splitlines())) > 100
    assert SCENE in whole and SCENE not in narrow
    # The end of the file's name and the line stay.
    for one, other in zip(narrow.splitlines()[1:], whole.splitlines()[1:], strict=True):
        assert one[-12:] == other[-12:]


def test_stock_script_sourced_by_hand_after():
    """Without an executable, and twice: the commands are ours again at the next prompt, and one line says so."""
    stock = os.path.join(os.path.dirname(interpreters.named("3.13-pyenv").exe), "python3.13-gdb.py")
    with terminal.Terminal() as gdb:
        said = gdb.ask(f"source {stock}")
        assert said.count("CPython's own GDB script is loaded too") == 1, said
        assert "--json" in gdb.ask("help py-bt")
        assert "CPython's own" not in gdb.ask(f"source {stock}")
        assert "--json" in gdb.ask("help py-bt")
        gdb.ask(f"source {paths.SCRIPT}")
        assert "PyLocals" in gdb.ask("python print(PyLocals.__name__)")
        assert "--json" in gdb.ask("help py-bt")


LINE = re.compile(r"\rpyext: ([^\r\x1b]*)\.\.\.\x1b\[K")
GONE = "\r\x1b[K"


def test_long_work_tells_how_far_it_is():
    """Through gdbserver, where each read is a round trip: seconds on any machine."""
    interpreter = interpreters.named("3.11-deb-stripped")
    env = {"DEEP_THREADS": "40"}
    with target.Target(interpreter, "many_deep_threads.py", "ask", env=env) as made, terminal.Terminal() as gdb:
        gdb.ask(server.pipe(made.pid))
        said = gdb.ask("py-bt --all --limit 1")
        # It is gone before the answer, and comes at most every 0.2 s.
        lines, answer = said.rsplit(GONE, 1)
        told = LINE.findall(lines)
        assert told and not LINE.sub("", lines), said
        seconds = [float(re.search(r", (\d+\.\d) s$", one).group(1)) for one in told]
        assert seconds[0] >= 1 and all(b - a > 0.1 for a, b in zip(seconds, seconds[1:]))
        assert all(re.match(r"[\d.]+ [kM]B, ", one) for one in told)
        assert "pyext:" not in answer and plain(answer).startswith("Thread ")
        # Known by now: at once, without a line.
        assert "pyext:" not in gdb.ask("py-bt --limit 1")
        gdb.ask("python import sys; sys.modules['pyext_gdb.session'].close_all()")
        gdb.type("py-bt --all --limit 1\n")
        said = gdb.wait_for("pyext: ")
        gdb.interrupt()
        said += gdb.settle()
        assert GONE in said.rpartition("pyext: ")[2]
        assert "Thread " in plain(gdb.ask("py-threads"))


def test_who_sees_how_far_it_is(tmp_path):
    """The line is written from the first moment on here: who must not see it would."""
    interpreter = interpreters.named("3.13-pyenv")
    log = tmp_path / "log"
    env = {"HEAP_SCENE": "20000"}
    with target.Target(interpreter, "heap_scene.py", env=env) as made, terminal.Terminal() as gdb:
        gdb.ask(f"attach {made.pid}")
        gdb.ask("python import sys; progress = sys.modules['pyext_gdb.progress']; progress.FIRST = progress.AGAIN = 0")
        said = gdb.ask("py-heap --limit 1")
        told = LINE.findall(said)
        assert told and said.count(GONE) == 1 and LINE.sub("", said).startswith(GONE + "Partition of a set of")
        counted = [re.match(r"([\d.]+) ([kM]?) ?objects, [\d.]+ [kM]B, 0\.\d s$", one) for one in told]
        objects = [float(one.group(1)) * {"k": 1e3, "M": 1e6, "": 1}[one.group(2)] for one in counted if one]
        assert objects and objects == sorted(objects)
        whole = int(re.search(r"Partition of a set of (\d+)", said).group(1))
        assert objects[-1] <= whole * 1.05
        find = "py-find --type Node --attr nothing"
        assert LINE.search(gdb.ask(find))
        hidden = [
            f"{find} --json",
            f"pipe {find} | cat",
            f"python print(gdb.execute('{find}', False, True))",
            f"python gdb.execute('{find}', True)",
        ]
        for command in hidden:
            said = gdb.ask(command)
            assert "pyext:" not in said and ("match" in said), command
        gdb.ask(f"set logging file {log}")
        gdb.ask("set logging enabled on")
        assert "pyext:" not in gdb.ask(find)
        gdb.ask("set logging enabled off")
        assert "objects match" in log.read_text() and "pyext:" not in log.read_text()
        gdb.ask("detach")


def test_no_line_without_a_terminal():
    interpreter = interpreters.named("3.13-pyenv")
    first = "python import sys; progress = sys.modules['pyext_gdb.progress']; progress.FIRST = progress.AGAIN = 0"
    with target.Target(interpreter, "heap_scene.py") as made:
        _, answer = gdbrun.run([first, "py-heap"], interpreter, pid=made.pid)
    assert answer.text.startswith("Partition of a set of") and "pyext:" not in answer.text
