#!/usr/bin/env python3
"""The heap commands on programs that people run: Django, Flask, pandas, a Jupyter kernel, the AWS client.

Each program counts itself when it is told to (tools/real/sitecustomize.py) and stands still; then every command runs
on it, and the numbers of tracked objects are compared. Packages are installed by pip into CACHE/real, for pyenv's
interpreters. docs/real-programs.md has what was found.

    tools/real_programs.py [NAME...]
"""

import glob
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from rig import gdbrun, paths

PACKAGES = {
    "3.11": "django==5.2.19 pandas==3.1.1",
    "3.12": "flask==3.1.3 ipykernel==7.4.0 jupyter_client==8.10.0",
    "3.13": "pandas==3.1.1 awscli==1.46.3",
}
PROGRAMS = {
    "django": ("3.11", "django_shop.py"),
    "flask": ("3.12", "flask_shop.py"),
    "pandas": ("3.11", "pandas_frames.py"),
    "pandas-3.13": ("3.13", "pandas_frames.py"),
    "kernel": ("3.12", "kernel.py"),
    "aws": ("3.13", "aws_list.py"),
}
COMMANDS = ("py-heap --json", "py-heap", "py-heap --by module", "py-bt --all", "py-bt-full --all", "py-threads",
            "py-gc", "py-find --type dict", "py-find --type function --limit 100", "py-find --type str --size '>1K'",
            "py-dup", "py-dup --type tuple", "py-info -v")
PATIENCE = 300


def python(minor):
    """The interpreter of the packages of a version."""
    home = pathlib.Path(paths.cache()) / "real" / minor
    stamp = home / ".packages"
    if not stamp.exists() or stamp.read_text() != PACKAGES[minor]:
        root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
        exe = sorted(glob.glob(f"{root}/versions/{minor}.*/bin/python{minor}"))[-1]
        subprocess.run([exe, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin/python"), "-m", "pip", "-q", "--disable-pip-version-check", "install"]
        subprocess.run(pip + PACKAGES[minor].split(), check=True)
        stamp.write_text(PACKAGES[minor])
    return home / "bin/python"


def wait_for(path, process):
    deadline = time.monotonic() + PATIENCE
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{process.args}: no {path.name}")
        time.sleep(0.05)


def look(name, directory):
    minor, program = PROGRAMS[name]
    truth, ready = directory / "truth", directory / "ready"
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "tools/real"), REAL_TRUTH=str(truth), REAL_READY=str(ready))
    argv = [str(python(minor)), str(ROOT / "tools/real" / program)]
    with open(directory / "log", "w") as log:
        process = subprocess.Popen(argv, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=directory)
    try:
        wait_for(ready, process)
        pid = int(ready.read_text() or process.pid)
        os.kill(pid, signal.SIGUSR1)
        wait_for(directory / "truth.ready", process)
        answers = gdbrun.timed(COMMANDS, pid=pid)
        return json.loads(truth.read_text()), answers
    finally:
        process.stdin.close()
        if name != "kernel":
            process.kill()
        process.wait()


def report(name, truth, answers):
    found = json.loads(answers[0].text)
    rows = {row["kind"]: row for row in found["rows"]}
    theirs = truth["counts"]
    theirs["tuple"] = theirs.get("tuple", 0) + truth["frozen"]
    differ = {kind: (rows.get(kind, {}).get("tracked", 0), theirs.get(kind, 0)) for kind in {*rows, *theirs}}
    differ = {kind: pair for kind, pair in differ.items() if pair[0] != pair[1]}
    print(f"\n{name}, CPython {PROGRAMS[name][0]}: {found['objects']} objects, {found['bytes'] / 1e6:.1f} MB, "
          f"{len(theirs)} types, {sum(theirs.values())} tracked; census {found['seconds']:.2f} s")
    print(f"  {len(differ)} types differ (ours, gc.get_objects()): {dict(sorted(differ.items())[:40])}")
    for remark in found["diagnostics"]:
        print(f"  remark: {remark['what']}: {remark['where'][:600]}")
    for answer in answers:
        # What GDB itself warns of while it loads symbols is not of the command.
        errors = [line for line in answer.error.splitlines() if line and not line.startswith("warning: ")]
        if errors or not answer.text.strip():
            print(f"  {answer.command}: {errors or 'said nothing'}")
    slow = {answer.command: answer.seconds for answer in answers if answer.seconds > 1}
    print(f"  more than a second of processor time: {slow}", flush=True)


def main():
    for name in sys.argv[1:] or PROGRAMS:
        with tempfile.TemporaryDirectory() as directory:
            report(name, *look(name, pathlib.Path(directory)))


if __name__ == "__main__":
    main()
