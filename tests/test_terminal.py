"""What only a terminal shows: colours, the terminal's width."""

import os
import re

import pytest
from rig import gdbrun, interpreters, paths, target, terminal

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
