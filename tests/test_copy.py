"""py-heap --detach-copy: the copy says what the process said, which runs on, and still does when that is gone."""

import json
import re

import pytest
from rig import gdbrun, interpreters, server, target
from test_heap import compare

NAMES = ("2.7-pyenv", "3.8-pyenv-stripped", "3.11-deb-stripped", "3.15-deb-stripped")
SOME = [interpreters.named(name) for name in NAMES]
HEAP = ("py-heap --by type --json", "py-heap --json", "py-heap --by generation --json", "py-heap --native --json",
        "py-heap --check --json", "py-find --type __main__.Node --limit 5000 --json", "py-dup --json",
        "py-waste --json", "py-gc --json", "py-obj --json made['nodes'][3]", "py-obj made['nodes'][3].number",
        "complete py-obj mad", "py-heap --of made['nodes'],made['blobs'][7] --json")
NOTE = re.compile(r"note: from the copy of process (\d+), taken \d+ s ago; py-heap --drop-copy ends that \(copy\)\n")


def plain(answer, pid=None):
    """What it says, without the time that it took; from the copy of process `pid`, where it has to say so."""
    command, text = answer.command, answer.text
    assert text and not answer.error, (command, answer.error)
    if "--json" in command:
        found = json.loads(text)
        if pid is not None:
            assert found["diagnostics"].pop(0)["what"].startswith(f"from the copy of process {pid},"), command
        assert "from the copy" not in json.dumps(found["diagnostics"]), command
        return {key: value for key, value in found.items() if "seconds" not in key and key != "own_bytes"}
    if pid is not None and not command.startswith("complete"):
        note = NOTE.match(text)
        assert note and int(note.group(1)) == pid, (command, text)
        text = text[note.end():]
    return text


@pytest.mark.parametrize("interpreter", SOME, ids=str)
def test_the_copy_says_what_the_process_said(interpreter):
    with target.Target(interpreter, "heap_scene.py") as scene:
        status = f"shell grep -E '^(State|TracerPid)' /proc/{scene.pid}/status"
        kill = [f"shell kill -KILL {scene.pid}", f"shell while [ -e /proc/{scene.pid}/mem ] && head -c 1 "
                f"/proc/{scene.pid}/maps | grep -q .; do :; done"]
        commands = [*HEAP, "py-heap --detach-copy", status, *kill, *HEAP, "py-bt", "py-heap --drop-copy", "py-heap"]
        answers = gdbrun.run(commands, interpreter, pid=scene.pid)
        live, (copied, running, _, _), copy = answers[:len(HEAP)], answers[len(HEAP):][:4], answers[len(HEAP) + 4:]
        for before, after in zip(live, copy):
            assert plain(after, scene.pid) == plain(before), before.command
        truth = scene.truth()
        compare({row["kind"]: row for row in plain(copy[0], scene.pid)["rows"]}, truth)
        assert re.match(rf"\d+ bytes of process {scene.pid} are copied, in \d+\.\d\d s\.\nIt is detached", copied.text)
        assert re.search(r"^State:\t[RS]", running.text, re.M) and "TracerPid:\t0" in running.text
        stack, dropped, nothing = copy[len(HEAP):]
        assert "detached" in stack.error and nothing.error == f"Process {scene.pid} has ended.\n"
        assert not dropped.text and not dropped.error


def test_the_process_runs_on():
    """What it makes of that it says itself; attached to again, it answers when the copy is dropped."""
    interpreter = interpreters.named("3.11-deb-stripped")
    ask = "py-find --type __main__.Late --json"
    with target.Target(interpreter, "snapshots_scene.py", "ask") as scene:
        gdbrun.run(["py-heap --detach-copy"], interpreter, pid=scene.pid)
        now = scene.testify()
        again = [f"attach {scene.pid}", "py-heap --detach-copy --json", f"attach {scene.pid}", "py-bt", ask,
                 "py-heap --drop-copy", ask, "py-heap --drop-copy"]
        _, copied, _, stack, first, _, second, third = gdbrun.run(again, interpreter)
        assert json.loads(copied.text)["pid"] == scene.pid and json.loads(copied.text)["bytes"] > 1 << 20
        assert stack.text.startswith("Traceback (most recent call first)") or "#0" in stack.text
        assert "copy" not in stack.text
        assert plain(first, scene.pid) == plain(second)
        assert plain(second)["matched"] == len(now["__main__.Late"]["addresses"])
        assert third.error.strip() == "py-heap: there is no copy."


def test_what_is_no_process_here_is_not_copied(tmp_path):
    interpreter = interpreters.named("3.11-deb-stripped")
    core = str(tmp_path / "core")
    with target.Target(interpreter, "heap_scene.py") as scene:
        asked = [server.pipe(scene.pid), "py-heap --detach-copy"]
        (_, remote) = gdbrun.run(asked, interpreter, setup=["set sysroot /"])
        gdbrun.gcore(scene.pid, core)
    assert "only a process on this machine can be copied" in remote.error
    (refused, table, both) = gdbrun.run(
        ["py-heap --detach-copy", "py-heap", "py-heap --detach-copy --check"], interpreter, core=core)
    assert "only a process on this machine can be copied" in refused.error
    assert table.text.startswith("Partition of a set of")
    assert "commands of their own" in both.error
