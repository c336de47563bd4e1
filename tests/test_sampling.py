"""A busy program stopped at random: each stack is one that it can have, and the one that pystack reads there and then.

GDB stays attached: it lets the process run for a random time, interrupts it, asks us, and waits until pystack has read
the same frozen process (without ptrace, which GDB has).
"""

import json
import os
import re
import threading

import conftest
import pytest
from pystack import engine
from rig import gdbrun, paths, target

NAMES = ("2.7-pyenv", "3.8-pyenv", "3.11-deb-stripped", "3.13-pyenv", "3.14-deb-stripped")
STOPS = 40
SEED = 20260
PROGRAM = os.path.join(paths.TARGETS, "sampled.py")
# What the interpreter's own library runs below `worker`.
BOOTSTRAP = {"run", "_bootstrap_inner", "_bootstrap", "__bootstrap_inner", "__bootstrap"}

# Runs in GDB. The pauses are what is random here: nothing waits for their end to be ready.
DRIVER = """
import json, os, random, signal, threading
import gdb
gdb.execute("set pagination off")
gdb.execute("handle SIGINT stop print nopass", to_string=True)
rng = random.Random({seed})
pid = gdb.selected_inferior().pid
done = 0
while done < {stops}:
    timer = threading.Timer(rng.uniform(0.0005, 0.03), os.kill, (pid, signal.SIGINT))
    timer.start()
    gdb.execute("continue", to_string=True)
    timer.join()
    text = gdb.execute("py-bt --all --json", to_string=True)
    with open({answer!r} % done, "w") as out:
        out.write(text)
    with open({asked!r}, "w") as out:
        out.write("!")
    with open({go!r}) as source:
        source.read()
    done += 1
"""


def pytest_generate_tests(metafunc):
    if "interpreter" in metafunc.fixturenames:
        chosen = [one for one in conftest.chosen(metafunc.config) if one.id in NAMES]
        metafunc.parametrize("interpreter", [conftest.interpreter_param(one) for one in chosen], indirect=True)


@pytest.fixture
def interpreter(request):
    return request.param[0]


def call_graph():
    """{(caller, line): names that it may call}, from the comments in the program; and the lines of each function."""
    calls, extent, first = {}, {}, {}
    stack, decorators = [], []
    with open(PROGRAM) as source:
        for number, line in enumerate(source, 1):
            text = line.rstrip("\n")
            if not text.strip():
                continue
            indent = len(text) - len(text.lstrip())
            while stack and indent <= stack[-1][0]:
                stack.pop()
            match = re.match(r"\s*def (\w+)", text)
            here = stack[-1][1] if stack else "<module>"
            if text.lstrip().startswith("@"):
                # A function begins at its first decorator (co_firstlineno).
                decorators.append(number)
            elif match:
                stack.append((indent, match.group(1)))
                extent.setdefault(match.group(1), set()).update([number, *decorators])
                first.setdefault(match.group(1), set()).update([number, *decorators])
                decorators = []
            elif not text.lstrip().startswith("class "):
                extent.setdefault(here, set()).add(number)
            called = re.search(r"# call ([\w ]+)$", text)
            if called:
                calls[here, number] = set(called.group(1).split())
    return calls, extent, first


CALLS, EXTENT, FIRST = call_graph()


def complaint(frames):
    """Why `frames` [(function, file, line), innermost first] is no stack of the program; None if it can be one."""
    ours = [frame for frame in frames if frame[1] == PROGRAM]
    rest = frames[len(ours):]
    if frames[:len(ours)] != ours or not ours:
        return "frames of the program are not together at the inner end"
    for function, _, line in ours:
        if line not in EXTENT.get(function, ()):
            return f"{function} has no line {line}"
    for (callee, _, _), (caller, _, line) in zip(ours, ours[1:], strict=False):
        if callee not in CALLS.get((caller, line), ()):
            return f"{caller}, line {line}, does not call {callee}"
    names = [function for function, _, _ in ours]
    if names[-1] == "<module>":
        good = names[-2:-1] == ["main"] and not rest
    else:
        good = names[-1] == "worker" and rest and {function for function, _, _ in rest} <= BOOTSTRAP
    if not good:
        return f"it does not end where a thread begins: {names[-1]}, {[function for function, _, _ in rest]}"
    return None


def test_the_call_graph_itself():
    assert CALLS["spin", min(line for name, line in CALLS if name == "spin")] == {"recurse"}
    base = [("main", PROGRAM, max(line for name, line in CALLS if name == "main")),
            ("<module>", PROGRAM, max(line for name, line in CALLS if name == "<module>"))]
    spin = ("spin", PROGRAM, min(line for name, line in CALLS if name == "spin"))
    assert complaint([spin, *base]) is None
    assert complaint([("leaf", PROGRAM, min(EXTENT["leaf"]) + 1), spin, *base])  # spin calls recurse there
    assert complaint([spin, base[1]])
    assert complaint([spin, base[0]])
    assert complaint([("spin", PROGRAM, spin[2] - 100), *base])


def by_pystack(pid):
    """{native thread id: [(function, file, line), innermost first]}"""
    stacks = {}
    for thread in engine.get_process_threads(
        pid, stop_process=False, native_mode=engine.NativeReportingMode.OFF, locals=False,
        method=engine.StackMethod.AUTO,
    ):
        # Outermost first; a shim is an entry of 3.12's bookkeeping, and no call.
        frames = [(one.code.scope, one.code.filename, one.code.location.lineno) for one in thread.frames]
        # Line 0: a frame that is still being built, or the shim below an __init__ (3.13); Python shows neither.
        stacks[thread.tid] = [frame for frame in reversed(frames) if frame[2]]
    return stacks


def ours(answer):
    stacks = {}
    for thread in answer["threads"]:
        frames = [frame for frame in thread["frames"] if frame["kind"] == "python"]
        stacks[thread["lwp"] if "lwp" in thread else thread["native_thread_id"]] = [
            (frame["function"], frame["file"], frame["line"]) for frame in frames
        ]
        assert thread.get("diagnostics", []) == []
    return stacks


def begins(frame):
    """Does the frame stand on the first line of its function, where nothing of it has run?"""
    return frame[1] == PROGRAM and frame[2] in FIRST.get(frame[0], ())


def same(ours, peer):
    """Equal, but for two things at the innermost frame, where Python itself decides against pystack.

    A frame before its first traceable instruction, such as a generator that is just being made, is none yet
    (_PyFrame_IsIncomplete). Where nothing has run (f_lasti is -1), the line is the function's first: PyCode_Addr2Line;
    pystack gives the last one up to 3.9.
    """
    if ours == peer:
        return True
    if peer[1:] == ours and begins(peer[0]):
        return True
    return ours[1:] == peer[1:] and ours[0][0] == peer[0][0] and begins(ours[0])


class Server:
    """Answers the driver's question, "what does pystack say?", 40 times, in a thread beside the GDB that asks."""

    def __init__(self, pid, asked, go):
        self.pid, self.asked, self.go = pid, asked, go
        self.answers = []

    def serve(self):
        for _ in range(STOPS):
            with open(self.asked) as source:
                source.read()
            try:
                self.answers.append(by_pystack(self.pid))
            except Exception as error:  # noqa: BLE001 (whatever its peer did, the GDB that waits must go on)
                self.answers.append(error)
            with open(self.go, "w") as out:
                out.write("!")


def test_random_stops(interpreter, tmp_path):
    asked, go, answers = (str(tmp_path / name) for name in ("asked", "go", "answer-%d.json"))
    os.mkfifo(asked)
    os.mkfifo(go)
    driver = tmp_path / "driver.py"
    driver.write_text(DRIVER.format(seed=SEED, stops=STOPS, answer=answers, asked=asked, go=go))
    with target.Target(interpreter, PROGRAM, "sleep") as busy:
        server = Server(busy.pid, asked, go)
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        reply = gdbrun.run([f"source {driver}"], interpreter, pid=busy.pid)[0]
    assert not reply.error.strip(), reply.error
    thread.join()
    wrong, chains, torn = [], set(), []
    for number in range(STOPS):
        with open(answers % number) as source:
            stacks = ours(json.load(source))
        peer = server.answers[number]
        if len(stacks) != 2:
            wrong.append(f"stop {number}: {len(stacks)} threads")
        for lwp, frames in stacks.items():
            chains.add(tuple(function for function, _, _ in frames))
            why = complaint(frames)
            shown = " < ".join(f"{function}:{line}" for function, _, line in frames)
            if not isinstance(peer, Exception) and not peer.get(lwp) and shown.startswith("<unreadable"):
                # Between two instructions of the evaluation loop the chain can end in a frame that is gone already:
                # pystack reads nothing there, and we say that it cannot be read.
                torn.append(f"stop {number}, LWP {lwp}: {shown}")
                continue
            if why:
                wrong.append(f"stop {number}, LWP {lwp}: {why}\n    {shown}")
            if isinstance(peer, Exception):
                wrong.append(f"stop {number}: pystack failed: {peer}")
            elif not same(frames, peer.get(lwp) or []):
                other = " < ".join(f"{function}:{line}" for function, _, line in peer.get(lwp, []))
                wrong.append(f"stop {number}, LWP {lwp}: pystack differs\n    ours    {shown}\n    pystack {other}")
    assert not wrong, f"{len(wrong)} complaints:\n" + "\n".join(wrong[:20])
    assert len(torn) <= 1, torn
    # Stops that all hit the same place would prove little.
    assert len(chains) >= 5, chains
