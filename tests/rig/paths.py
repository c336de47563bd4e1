"""Where the project keeps what the tests use."""

import os

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGETS = os.path.join(PROJECT, "tests", "targets")
SCRIPT = os.path.join(PROJECT, "gdb-scripts", "pyext.py")


def cache():
    return os.path.abspath(os.environ.get("PYEXT_CACHE") or os.path.join(PROJECT, ".cache"))


def peers(minor):
    """The tools that run in a process of this version of CPython, for its PYTHONPATH."""
    return os.path.join(cache(), "peers", "{}.{}".format(*minor))
