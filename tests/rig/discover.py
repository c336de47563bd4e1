"""Writes CACHE/interpreters.json: every interpreter that the tests run on, and those that are missing and why.

Run by tools/setup.sh; it starts each interpreter once, so that what the file says is what really runs. An entry whose
"exe" is null is missing: "reason" says why, and "required" whether the tests must fail for it.
"""

import glob
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

PYENV_MINORS = ("2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
PROBE = "import sys; print('%d.%d.%d' % sys.version_info[:3])"
NO_DEBUG = []


def minor_of(version):
    return ".".join(version.split(".")[:2])


def version_key(path):
    return [int(number) for number in re.findall(r"\d+", os.path.basename(path))]


class Found:
    """The list under construction, in the order in which the tests are to run."""

    def __init__(self, cache):
        self.cache = cache
        self.entries = []
        self.reasons = {}
        path = os.path.join(cache, "missing.txt")
        if os.path.exists(path):
            with open(path) as lines:
                self.reasons = dict(line.rstrip("\n").split("\t", 1) for line in lines)

    def add(
        self, name, minor, exe, env=None, debug_info="none", link="shared", required=False, debug_dirs=None, why=""
    ):
        """`debug_dirs` is what GDB's debug-file-directory is set to: empty, so that "none" means none."""
        entry = {
            "id": name,
            "version": None,
            "minor": minor,
            "exe": exe if exe and os.access(exe, os.X_OK) else None,
            "env": env or {},
            "debug_info": debug_info,
            "link": link,
            "required": required,
            "debug_dirs": debug_dirs or NO_DEBUG,
        }
        if entry["exe"] is None:
            entry["reason"] = self.reasons.get(name) or why or f"no such file: {exe}"
        self.entries.append(entry)

    def made(self, *parts):
        return os.path.join(self.cache, "made", *parts)

    def targets(self, *parts):
        return os.path.join(self.cache, "targets", *parts)


def pyenv(found):
    with open(os.path.join(found.cache, "pyenv.txt")) as lines:
        installed = [line.strip() for line in lines if re.fullmatch(r"[\d.]+", os.path.basename(line.strip()))]
    newest = {}
    for root in sorted(installed, key=version_key):
        newest[minor_of(os.path.basename(root))] = root
    for minor in PYENV_MINORS:
        root = newest.get(minor)
        why = f"pyenv has no {minor}: pyenv install {minor}"
        exe = os.path.join(root, "bin", "python" + minor) if root else None
        found.add(minor + "-pyenv", minor, exe, debug_info="dwarf", required=True, why=why)
        lib = root and found.made("stripped", os.path.basename(root), "lib")
        stripped = exe if lib and glob.glob(os.path.join(lib, "libpython*")) else None
        env = {"LD_LIBRARY_PATH": lib or ""}
        found.add(minor + "-pyenv-stripped", minor, stripped, env, required=True, why=why)


def distribution(found):
    """Debian's own, and those of later suites, which run where they were unpacked."""
    why = "no python3.11 of the distribution: apt-get install python3.11"
    found.add("3.11-deb-stripped", "3.11", "/usr/bin/python3.11", link="static", required=True, why=why)
    why = found.reasons.get("new", "tools/targets.sh new has not brought it")
    for minor in ("3.13", "3.14", "3.15"):
        exe, root = suite_exe(found, ("sid", "forky"), "python" + minor)
        env = {"PYTHONHOME": os.path.join(root, "usr")} if root else {}
        found.add(minor + "-deb-stripped", minor, exe, env, link="static", required=minor != "3.13", why=why)
        debug = os.path.join(root, "usr", "lib", "debug") if root else ""
        if minor != "3.13" and os.path.isdir(debug):
            found.add(minor + "-deb-dwarf", minor, exe, env, "dwarf", "static", debug_dirs=[debug])
        if os.path.exists(os.path.join(root or "", "usr", "bin", f"python{minor}-dbg")):
            found.add(minor + "-pydebug", minor, *suite_dbg(found, root, minor), debug_dirs=[debug])


def suite_dbg(found, root, minor):
    exe = found.made(os.path.basename(root), "python2.7-dbg" if minor == "2.7" else f"python{minor}d")
    return exe, {"PYTHONHOME": os.path.join(root, "usr")}, "dwarf", "static"


def suite_exe(found, suites, name):
    for suite in suites:
        exe = found.made(suite + "-amd64", name)
        if os.path.exists(exe):
            return exe, found.targets(suite + "-amd64")
    return None, None


def older(found):
    """Of an older release, with DWARF 4 and compressed debug files; 2.7's debug build has Py_TRACE_REFS."""
    for minor in ("2.7", "3.9"):
        exe, root = suite_exe(found, ("bullseye",), "python" + minor)
        debug = os.path.join(root, "usr", "lib", "debug") if root else ""
        if not os.path.exists(found.targets(".done", "old")):
            continue
        env = {"PYTHONHOME": os.path.join(root, "usr")}
        found.add(minor + "-old-dwarf", minor, exe, env, "dwarf", "static", debug_dirs=[debug])
        found.add(minor + "-old-pydebug", minor, *suite_dbg(found, root, minor), debug_dirs=[debug])


def embedded(found):
    for name, link in (
        ("3.11-static-nosyms", "static-nosyms"),
        ("3.11-pie", "pie"),
        ("3.11-static-pie-nosyms", "static-nosyms"),
    ):
        found.add(name, "3.11", found.made("embedded", name), {"PYTHONHOME": "/usr"}, link=link)


def free_threaded(found):
    """Built from source, which takes minutes: not required."""
    why = found.reasons.get("nogil", "tools/setup.sh --all builds it")
    exe = found.targets("nogil-3.13", "bin", "python3.13t")
    exe = exe if os.path.exists(exe) else None
    found.add("3.13t-built", "3.13", exe, debug_info="dwarf", link="static", why=why)
    stripped = exe and found.made("stripped", "nogil-3.13", "python3.13t")
    env = {"PYTHONHOME": found.targets("nogil-3.13")}
    found.add("3.13t-built-stripped", "3.13", stripped, env, link="static", why=why)


def probe(entry):
    """An interpreter that does not start is as good as missing."""
    if entry["exe"] is None:
        return
    env = dict(os.environ, **entry["env"])
    try:
        run = subprocess.run(
            [entry["exe"], "-S", "-c", PROBE],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        output = run.stdout.decode("utf-8", "replace").strip()
    except OSError as error:
        output = str(error)
    if re.fullmatch(r"\d+\.\d+\.\d+", output):
        entry["version"] = output
    else:
        entry.update(exe=None, reason=f"does not start: {output.splitlines()[-1:]}")


def main():
    found = Found(os.path.abspath(sys.argv[1]))
    for family in (pyenv, distribution, embedded, older, free_threaded):
        family(found)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(probe, found.entries))
    path = os.path.join(found.cache, "interpreters.json")
    with open(path + ".new", "w") as out:
        json.dump(found.entries, out, indent=1)
        out.write("\n")
    os.replace(path + ".new", path)
    missing = [entry for entry in found.entries if entry["exe"] is None]
    print(f"setup: {len(found.entries) - len(missing)} interpreters in {path}")
    for entry in missing:
        print("setup: MISSING {}{}: {}".format(entry["id"], " (required)" * entry["required"], entry["reason"]))


if __name__ == "__main__":
    main()
