"""Options and parameters of the tests that run on real interpreters.

Tests of one interpreter share processes: run them in parallel with `-n 2 --dist loadgroup`.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from rig import interpreters


def pytest_addoption(parser):
    parser.addoption(
        "--interpreters",
        default=os.environ.get("PYEXT_INTERPRETERS", ""),
        help="only these, by id, comma separated (default: all of CACHE/interpreters.json)",
    )


def pytest_configure(config):
    config.addinivalue_line("markers", "xdist_group(name): tests that share a process")


def chosen(config):
    """The interpreters of this run; an unknown id is an error, and not an empty run."""
    found = interpreters.load()
    wanted = [name for name in config.getoption("--interpreters").split(",") if name]
    unknown = set(wanted) - {interpreter.id for interpreter in found}
    if unknown:
        raise pytest.UsageError("no such interpreter: {}".format(", ".join(sorted(unknown))))
    return [interpreter for interpreter in found if not wanted or interpreter.id in wanted]


def interpreter_param(interpreter, *rest):
    """Missing: a required one fails test_required_interpreters, and its other tests say why they do not run."""
    marks = [pytest.mark.xdist_group(interpreter.id)]
    if interpreter.missing:
        marks.append(pytest.mark.skip(reason=f"{interpreter.id}: {interpreter.reason}"))
    return pytest.param((interpreter,) + rest, id="-".join([interpreter.id, *map(str, rest)]), marks=marks)


def parametrize_over(metafunc, fixture, names):
    """Give `fixture` each of the chosen interpreters that `names` has."""
    if fixture in metafunc.fixturenames:
        params = [interpreter_param(one) for one in chosen(metafunc.config) if one.id in names]
        metafunc.parametrize(fixture, params, indirect=True, scope="module")
