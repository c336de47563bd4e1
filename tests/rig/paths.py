"""Where the project keeps what the tests use."""

import os

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGETS = os.path.join(PROJECT, "tests", "targets")
SCRIPT = os.path.join(PROJECT, "gdb-scripts", "pyext.py")


def cache():
    return os.path.abspath(os.environ.get("PYEXT_CACHE") or os.path.join(PROJECT, ".cache"))
