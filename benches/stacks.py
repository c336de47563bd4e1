#!/usr/bin/env python3
"""py-bt against CPython's own gdb script, pystack and py-spy, on the same processes in the same run.

Prints seconds (median of the rounds) and ratios. Times of GDB commands are taken inside GDB, from the first command
after the attach: what a user waits for. pystack and py-spy are whole processes, as their users start them.

    benches/stacks.py [--rounds N] [--interpreters ID,...]
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from rig import interpreters  # noqa: E402

CACHE = pathlib.Path(os.environ.get("PYEXT_CACHE", ROOT / ".cache"))
PROGRAMS = {
    "recursion 900": """
import sys, time
sys.setrecursionlimit(5000)
def descend(n, text="x"):
    if n == 0:
        open(sys.argv[1], "w").close()
        time.sleep(1000)
    return descend(n - 1, text) + 1
descend(900)
""",
    "200 threads x 12": """
import sys, threading, time
threading.stack_size(256 * 1024)
ready = []
def work(n, name):
    if n == 0:
        ready.append(name)
        time.sleep(1000)
    return work(n - 1, name) + 1
for i in range(200):
    t = threading.Thread(target=work, args=(8, "thread %d" % i))
    t.daemon = True
    t.start()
while len(ready) < 200:
    time.sleep(0.01)
open(sys.argv[1], "w").close()
time.sleep(1000)
""",
}
COMMANDS = {"recursion 900": ("py-bt", "py-bt"), "200 threads x 12": ("py-bt --all", "thread apply all py-bt")}
DEFAULT = ["2.7-pyenv", "3.8-pyenv", "3.11-pyenv", "3.12-pyenv", "3.13-pyenv", "3.11-deb-stripped", "3.14-deb-stripped"]

TIMER = """
import gdb, time, resource
def timed(label, *commands):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    for command in commands:
        text = gdb.execute(command, to_string=True)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("@@ %s %.6f %d %d" % (label, seconds, text.count("\\n"), after - before))
"""


def start(interpreter, program, directory):
    """The program, standing still."""
    script, ready = directory / "program.py", directory / "ready"
    script.write_text(PROGRAMS[program])
    if ready.exists():
        ready.unlink()
    environment = dict(os.environ, **interpreter.env)
    process = subprocess.Popen([interpreter.exe, str(script), str(ready)], env=environment)
    while not ready.exists():
        if process.poll() is not None:
            sys.exit(f"{interpreter.id}: the program ended")
        time.sleep(0.01)
    return process


def gdb(pid, directory, source, *timed):
    """{label: (seconds, lines, kilobytes)} of commands in one fresh GDB."""
    script = directory / "timer.py"
    calls = "\n".join("timed(%r, *%r)" % (label, commands) for label, commands in timed)
    script.write_text(TIMER + calls)
    argv = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set auto-load python-scripts off"]
    argv += ["-iex", "set height 0", "-p", str(pid), "-ex", f"source {source}", "-ex", f"source {script}"]
    output = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600).stdout
    found = re.findall(r"^@@ (.*) ([\d.]+) (\d+) (-?\d+)$", output, re.M)
    return {label: (float(seconds), int(lines), int(kilobytes)) for label, seconds, lines, kilobytes in found}


def wall(argv):
    """Seconds of a whole process, None if it fails."""
    start_time = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600)
    return time.perf_counter() - start_time if done.returncode == 0 else None


def stock_script(interpreter):
    """CPython's own script of an interpreter, where it is installed."""
    path = pathlib.Path(interpreter.exe + "-gdb.py")
    return path if path.exists() else None


def measure(interpreter, program, rounds, directory):
    """The medians of all contestants on one interpreter and program."""
    ours, stock = COMMANDS[program]
    rows = {}

    def add(label, value):
        if value is not None:
            rows.setdefault(label, []).append(value)

    process = start(interpreter, program, directory)
    try:
        for _ in range(rounds):
            timed = gdb(process.pid, directory, ROOT / "gdb-scripts/pyext.py", ("first", [ours]), ("again", [ours]))
            add("pyext", timed.get("first", (None,))[0])
            add("again", timed.get("again", (None,))[0])
            add("lines", timed.get("first", (0, 0, 0))[1])
            add("kilobytes", timed.get("first", (0, 0, 0))[2])
            backtrace = (("plain", ["bt -no-filters"]), ("plain", ["bt -no-filters"]), ("filter", ["bt"]))
            timed = gdb(process.pid, directory, ROOT / "gdb-scripts/pyext.py", *backtrace)
            add("bt", timed.get("plain", (None,))[0])
            add("bt with filter", timed.get("filter", (None,))[0])
            script = stock_script(interpreter)
            if script:
                add("stock", gdb(process.pid, directory, script, ("stock", [stock])).get("stock", (None,))[0])
            for name, argv in (
                ("pystack", ["pystack", "remote", str(process.pid)]),
                ("py-spy", ["py-spy", "dump", "--pid", str(process.pid)]),
            ):
                tool = CACHE / "venv/bin" / argv[0]
                if tool.exists() or shutil.which(argv[0]):
                    add(name, wall([str(tool)] + argv[1:]))
    finally:
        process.kill()
        process.wait()
    return {label: statistics.median(values) for label, values in rows.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--interpreters", default=",".join(DEFAULT))
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures here")
    options = parser.parse_args()
    known = {i.id: i for i in interpreters.load()}
    results = {}
    for program in PROGRAMS:
        print(f"\n{program}: seconds, and how many times as long the others take")
        columns = ["pyext", "again", "stock", "pystack", "py-spy", "bt", "bt with filter"]
        print("%-20s" % "" + "".join("%16s" % c for c in columns) + "%12s" % "library KiB")
        for name in options.interpreters.split(","):
            with tempfile.TemporaryDirectory() as directory:
                row = measure(known[name], program, options.rounds, pathlib.Path(directory))
            results[f"{program}, {name}"] = row
            cells = []
            for column in columns:
                value = row.get(column)
                base = row.get("bt") if column == "bt with filter" else row.get("pyext")
                ratio = column in ("stock", "pystack", "py-spy", "bt with filter") and value and base
                text = "-" if value is None else "%.3f" % value
                cells.append("%16s" % (text + (" (%.1fx)" % (value / base) if ratio else "")))
            print("%-20s" % name + "".join(cells) + "%12d" % row.get("kilobytes", 0), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
