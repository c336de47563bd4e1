#!/usr/bin/env python3
"""The randomised tests whole, where `make test` runs a share: 2,000 damaged cores through all commands, 2,000 attaches,
200 times `bt full`. Writes docs/soak.md.

    tools/soak.py [--seed N]     the first seed; each seed gives the same damage each time
"""

import argparse
import collections
import datetime
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs/soak.md"
SEEDS, CYCLES, BT_FULL = 400, 2000, 200
TESTS = (
    "tests/test_corruption.py",
    "tests/test_host_whole.py::test_many_attaches",
    "tests/test_hosts.py::test_bt_full_never_ends_gdb",
)


def run(seed, results):
    environment = dict(
        os.environ, PYEXT_SEEDS=str(SEEDS), PYEXT_SEED=str(seed), PYEXT_CYCLES=str(CYCLES), PYEXT_BT_FULL=str(BT_FULL)
    )
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", f"--junitxml={results}", *TESTS]
    subprocess.run(command, cwd=ROOT, env=environment, check=False)


def rows(results):
    """{(test, on): [passed, failed, seconds]}, and the messages of what failed."""
    table = collections.OrderedDict()
    failed = []
    for case in xml.etree.ElementTree.parse(results).iter("testcase"):
        name, _, inside = case.get("name").partition("[")
        on = re.sub(r"-?\d+\]$|\]$", "", inside) if name == "test_seeded_damage" else inside.rstrip("]")
        if name == "test_a_chain_that_loops":
            on = ""
        row = table.setdefault((name, on), [0, 0, 0.0])
        problem = case.find("failure") if case.find("failure") is not None else case.find("error")
        row[problem is not None] += 1
        row[2] += float(case.get("time"))
        if problem is not None:
            failed.append(f"{case.get('name')}: {problem.get('message')}")
    return table, failed


def first_line(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]


def report(seed, table, failed):
    lines = [
        "# Soak",
        "",
        "Written by `make soak` (tools/soak.py).",
        "",
        f"- Date: {datetime.date.today()}",
        f"- Commit: {first_line('git', '-C', str(ROOT), 'describe', '--always', '--dirty')}",
        f"- Seeds: {seed} to {seed + SEEDS - 1} on each interpreter; a test has five of them",
        f"- Attaches: {CYCLES} with `py-bt`, {CYCLES} without, after ten to warm up",
        f"- `bt full` on 3.13: {BT_FULL} runs",
        f"- {first_line('gdb', '--version')}, Linux {platform.release()}, {os.cpu_count()} processors",
        "",
        "| Test | On | Passed | Failed | Seconds |",
        "|---|---|---|---|---|",
    ]
    for (name, on), (passed, wrong, seconds) in table.items():
        lines.append(f"| {name} | {on} | {passed} | {wrong} | {seconds:.0f} |")
    if failed:
        lines += ["", "## Failed", "", *(f"    {line}" for text in failed for line in text.splitlines())]
    REPORT.write_text("\n".join(lines) + "\n")
    print(f"{REPORT}: {len(failed)} failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = os.path.join(folder, "results.xml")
        run(options.seed, results)
        table, failed = rows(results)
    report(options.seed, table, failed)
    sys.exit(bool(failed) or not table)


if __name__ == "__main__":
    main()
