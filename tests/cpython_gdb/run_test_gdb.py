"""Run the test_gdb that an installed CPython ships, with that very CPython.

The interpreter under test executes this file, so it has to be valid for 2.7
as well as for 3.6 and later::

    PYEXT_SCRIPT=.../pyext.py PYEXT_GDB_STYLE=stock PATH=.../cpython_gdb:$PATH \\
        python3.11 run_test_gdb.py [-v] [-k PATTERN] [--json FILE] [NAME ...]

NAME is a test (``test_bt``), a class (``PyBtTests``), both joined by a dot, or
any longer dotted tail of the test's id. ``-k`` takes a substring of the id, or
a glob when it contains ``*``, ``?`` or ``[``. Several names and patterns add up.

An installed interpreter skips all of test_gdb: it asks for an unoptimised
build in its source tree. Those gates are opened here; the tests themselves
are CPython's, unedited.

Exit status: 0 all passed, 1 something failed or was skipped (a skip means
that the script under test printed one of the phrases that test_gdb takes for
an excuse, so it hides failures), 2 nothing could be run.
"""

# Python 2.7 executes this file too, so none of what ruff would modernise.
# ruff: noqa: UP008, UP010, UP028, UP031

from __future__ import print_function

import argparse
import fnmatch
import importlib
import json
import os
import shutil
import sys
import sysconfig
import tempfile
import time
import unittest


def open_gates():
    """Make test_gdb believe in a source build without optimisation."""
    sysconfig.is_python_build = lambda *_args, **_kwargs: True

    # get_config_vars() without arguments returns the cache itself. The tests
    # look for the last -O among these flags; they do not compile anything.
    config = sysconfig.get_config_vars()
    for name, value in list(config.items()):
        if "CFLAGS" in name and isinstance(value, str):
            kept = [flag for flag in value.split() if not flag.startswith("-O")]
            config[name] = " ".join(kept)

    # 2.7 calls the module test_support, 3.x support.
    try:
        from test import support
    except ImportError:
        from test import test_support as support
    # None is regrtest's "-u all": test_threads and the C function tests are
    # guarded by the resource "cpu".
    support.use_resources = None
    return support


def flatten(suite):
    """Yield the test cases of nested suites in their order."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            for test in flatten(item):
                yield test
        else:
            yield item


def is_wanted(test, names, patterns):
    if not names and not patterns:
        return True
    # A module that cannot be imported arrives as a stand-in test case, in
    # unittest.loader. No selection may hide it.
    if type(test).__module__.startswith("unittest"):
        return True
    test_id = test.id()
    for name in names:
        if test_id == name or test_id.endswith("." + name) or "." + name + "." in test_id:
            return True
    for pattern in patterns:
        if any(char in pattern for char in "*?["):
            if fnmatch.fnmatchcase(test_id, pattern):
                return True
        elif pattern in test_id:
            return True
    return False


class Result(unittest.TextTestResult):
    """Counts tests, not subtests, and remembers how long each one took."""

    def __init__(self, *args, **kwargs):
        super(Result, self).__init__(*args, **kwargs)
        self.durations = {}
        self._started = 0.0

    def startTest(self, test):
        self._started = time.time()
        super(Result, self).startTest(test)

    def stopTest(self, test):
        self.durations[test.id()] = round(time.time() - self._started, 2)
        super(Result, self).stopTest(test)


def owner_id(test):
    """The id of the test, also for one of its subtests."""
    return getattr(test, "test_case", test).id()


def summarise(result):
    """Reduce a result to plain data; one entry per test in each outcome."""
    failed = {}
    for kind in ("failures", "errors"):
        for test, trace in getattr(result, kind):
            failed.setdefault(owner_id(test), []).append(trace)
    for test in getattr(result, "unexpectedSuccesses", ()):
        failed.setdefault(owner_id(test), []).append("unexpected success")
    skipped = {}
    for test, reason in result.skipped:
        skipped.setdefault(owner_id(test), []).append(reason)
    for test, _ in result.expectedFailures:
        skipped.setdefault(owner_id(test), []).append("expected failure")
    return {
        "version": "%d.%d.%d" % sys.version_info[:3],
        "run": result.testsRun,
        "failed": failed,
        "skipped": skipped,
        "durations": result.durations,
    }


def run(options):
    support = open_gates()
    support.verbose = options.verbose
    try:
        module = importlib.import_module("test.test_gdb")
    except unittest.SkipTest as skip:
        print("test_gdb refuses to run: %s" % skip, file=sys.stderr)
        return None

    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    tests = [test for test in flatten(suite) if is_wanted(test, options.names, options.patterns)]
    if not tests:
        print("no test matches", file=sys.stderr)
        return None
    runner = unittest.TextTestRunner(verbosity=2 if options.verbose else 1, resultclass=Result)
    return summarise(runner.run(unittest.TestSuite(tests)))


def main():
    parser = argparse.ArgumentParser(description="Run this interpreter's test_gdb.")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-k", dest="patterns", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--json", metavar="FILE", help="write the outcome as JSON")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    json_path = os.path.abspath(options.json) if options.json else None

    # This file's directory must not shadow a module that the tests import.
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != here]

    # Core files and whatever a debugged interpreter drops land in a directory
    # of this run alone, so that several versions can run at the same time.
    start_directory = os.getcwd()
    scratch = tempfile.mkdtemp(prefix="test_gdb-")
    os.chdir(scratch)
    try:
        summary = run(options)
    finally:
        os.chdir(start_directory)
        shutil.rmtree(scratch, ignore_errors=True)

    if summary is None:
        return 2
    if json_path:
        with open(json_path, "w") as stream:
            json.dump(summary, stream, indent=1, sort_keys=True)
    return 1 if summary["failed"] or summary["skipped"] else 0


if __name__ == "__main__":
    sys.exit(main())
