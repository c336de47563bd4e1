"""CPython's own test_gdb, of nine versions, against our script in stock style.

Who wrote scripts or habits around CPython's gdb extension must be able to
switch to ``set pyext style stock`` and notice nothing. The sharpest check of
that is not ours to write: it is the test suite of that extension. It drives a
gdb by the name "gdb" from PATH, so a wrapper of that name (cpython_gdb/gdb)
puts our script in the place of theirs, and no test is edited.

Needs a real gdb, and the interpreters under pyenv with debug information.
Running two versions at a time pays off (pytest-xdist: ``-n 2``).

Environment:
  PYEXT_SCRIPT      the script to test, default gdb-scripts/pyext.py; the word
                    ``stock`` tests CPython's own script of each version, which
                    checks this harness rather than us
  PYEXT_GDB_STYLE   default ``stock``; ignored for CPython's own scripts
"""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
RUNNER = TESTS / "cpython_gdb" / "run_test_gdb.py"
WRAPPER_DIRECTORY = TESTS / "cpython_gdb"
OUR_SCRIPT = TESTS.parent / "gdb-scripts" / "pyext.py"

# How many tests each version's test_gdb has. A smaller number means that a
# test module went missing or was skipped whole, which must not look like
# success.
EXPECTED_RUNS = {
    "2.7": 50,
    "3.6": 46,
    "3.7": 46,
    "3.8": 46,
    "3.9": 47,
    "3.10": 46,
    "3.11": 57,
    "3.12": 57,
    "3.13": 57,
}

# A failure that says nothing about us. The test wants PyCFunction_Call to be
# frame 1, and in an optimised 2.7 inlining leaves no such frame. CPython's own
# script fails it just the same.
MAY_FAIL = {"2.7": {"PyBtTests.test_pycfunction"}}

# The same for skips, but only CPython's script may: at a C call its py-print
# gives up, and its test suite takes that answer for a skip. Ours must answer.
STOCK_MAY_SKIP = {
    version: {"PyPrintTests.test_print_after_up"} for version in ("3.11", "3.12", "3.13")
}

# A version takes one to two minutes on two busy cores; a gdb that hangs should
# not eat the job's whole time.
TIMEOUT_SECONDS = 600


def pyenv_versions_directory():
    root = os.environ.get("PYENV_ROOT")
    if not root and shutil.which("pyenv"):
        root = subprocess.run(
            ["pyenv", "root"], stdout=subprocess.PIPE, check=True, text=True
        ).stdout.strip()
    return Path(root or Path.home() / ".pyenv") / "versions"


def find_interpreter(version):
    """The newest patch release of ``version`` under pyenv, or None."""
    candidates = []
    for directory in pyenv_versions_directory().glob(version + ".*"):
        patch = directory.name[len(version) + 1 :]
        interpreter = directory / "bin" / f"python{version}"
        # "3.13.0t" and "3.13-dev" are other builds with other answers.
        if patch.isdigit() and interpreter.exists():
            candidates.append((int(patch), interpreter))
    return max(candidates)[1] if candidates else None


def environment_for(script, style, index_cache):
    # PYTHON* would reach the Python inside gdb and the debugged one as well.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    environment.update(
        PATH=f"{WRAPPER_DIRECTORY}{os.pathsep}{environment.get('PATH', os.defpath)}",
        PYEXT_SCRIPT=str(script),
        PYEXT_GDB_STYLE=style,
        PYEXT_GDB_INDEX=str(index_cache),
        # test_strings compares with what this encoding can hold. 3.6 and 2.7 do
        # not coerce a C locale to UTF-8 as later ones do; give all the same.
        LC_ALL="C.UTF-8",
    )
    return environment


def run_in_own_group(command, environment):
    """Run the command; on timeout take its gdb and inferior down with it."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="backslashreplace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        pytest.fail(f"no end after {TIMEOUT_SECONDS} s\n{output}")
    return process.returncode, output


def short_name(test_id):
    """Class and method; the modules in front differ between versions."""
    return ".".join(test_id.split(".")[-2:])


@pytest.fixture(scope="session")
def index_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("gdb-index")


# Longest first, so that parallel workers end at about the same time.
@pytest.mark.parametrize(
    "version", sorted(EXPECTED_RUNS, key=lambda version: EXPECTED_RUNS[version], reverse=True)
)
def test_cpython_test_gdb(version, tmp_path, index_cache):
    interpreter = find_interpreter(version)
    # Not a skip: nine versions are what we promise, so nine have to be there.
    assert interpreter, f"no Python {version} under {pyenv_versions_directory()}"

    script = os.environ.get("PYEXT_SCRIPT", OUR_SCRIPT)
    style = os.environ.get("PYEXT_GDB_STYLE", "stock")
    may_skip = set()
    if script == "stock":
        script = interpreter.with_name(f"python{version}-gdb.py")
        style = ""
        may_skip = STOCK_MAY_SKIP.get(version, set())
    assert Path(script).is_file(), f"no script {script}"
    script = Path(script).resolve()

    report = tmp_path / "report.json"
    status, output = run_in_own_group(
        # -v: after a timeout the output tells which test hung.
        [str(interpreter), str(RUNNER), "-v", "--json", str(report)],
        environment_for(script, style, index_cache),
    )
    assert report.exists(), f"the runner ended with status {status}\n{output}"
    summary = json.loads(report.read_text())

    failed = {short_name(test) for test in summary["failed"]} - MAY_FAIL.get(version, set())
    skipped = {
        short_name(test): reasons
        for test, reasons in summary["skipped"].items()
        if short_name(test) not in may_skip
    }
    if failed or skipped or summary["run"] != EXPECTED_RUNS[version]:
        expected = EXPECTED_RUNS[version]
        details = [f"Python {summary['version']}: {summary['run']} tests run of {expected}"]
        details += [f"failed: {name}" for name in sorted(failed)]
        # A skip is a failure: test_gdb skips when the output contains phrases
        # such as "Unable to read information on python frame".
        details += [f"skipped: {name}: {reasons}" for name, reasons in sorted(skipped.items())]
        pytest.fail("\n".join(details) + "\n\n" + output, pytrace=False)
