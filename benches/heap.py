#!/usr/bin/env python3
"""py-heap against the tools that run in the process, and against a plain read of its memory, on the same heaps.

Ours is the time inside of GDB from the command to the printed table: the first command after the attach, so finding
CPython is part of it. Seconds of the processors are those of all threads: they tell more where other programs run
too. The others run in the process (benches/bigheap.py), their imports not counted. Each round is a
new process with all contestants, the ones first that change nothing. `make bench-heap` installs them.

    benches/heap.py [--rounds N] [--interpreters ID,...] [--units N]    compares; N units are 7 N objects
    benches/heap.py --large [--sizes MILLIONS,...]                      ours alone, on larger and larger heaps
"""

import argparse
import array
import collections
import ctypes
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from rig import interpreters, paths

DEFAULT = "3.11-pyenv-stripped,3.13-pyenv-stripped"
#: Contestants in the process, in the order in which they run: what the later ones leave behind slows the others.
INSIDE = {
    "gc": "gc.get_objects, Counter",
    "objgraph": "objgraph.show_most_common_types",
    "pympler": "pympler muppy, summary",
    "guppy": "guppy3 heap(), printed",
}
#: Objects that benches/bigheap.py makes for each unit, and bytes of each: to know beforehand what fits.
OBJECTS, BYTES = 7.06, 90
PIECE = 1 << 20

#: Seconds, and those of the processors; the kilobytes that memory grew by at most, or that were read; of py-heap, the
#: objects that it counted and the bytes that it keeps of them.
Cost = collections.namedtuple("Cost", "seconds processor kilobytes objects own", defaults=(0, 0))

TIMER = """
import gdb, json, time
def kilobytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name + ":"))
def timed():
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")
    before, start, processor = kilobytes("VmRSS"), time.perf_counter(), time.process_time()
    gdb.execute("py-heap", to_string=True)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    grown = kilobytes("VmHWM") - before
    counted = json.loads(gdb.execute("py-heap --json", to_string=True))
    print("@@ %.6f %.6f %d %d %d" % (seconds, processor, grown, counted["counted"], counted["own_bytes"]))
timed()
"""

#: How long the process stands still, from the command typed to its being detached, and what is copied.
COPIER = """
import gdb, json, time
start = time.perf_counter()
copied = json.loads(gdb.execute("py-heap --detach-copy --json", to_string=True))
print("@@ %.6f %d" % (time.perf_counter() - start, copied["bytes"]))
"""


class Heap:
    """A process with the heap, standing still."""

    def __init__(self, interpreter, units):
        packages = paths.peers(interpreter.minor)
        environment = dict(os.environ, PYTHONHASHSEED="0", PYTHONPATH=packages, **interpreter.env)
        argv = [interpreter.exe, str(ROOT / "benches/bigheap.py"), str(units)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, env=environment, stdin=pipe, stdout=pipe, text=True)
        self.pid = self.process.pid
        self.answer()

    def answer(self):
        for line in self.process.stdout:
            if line.startswith("@@ "):
                return line[3:].strip()
        sys.exit(f"{self.process.args}: it ended")

    def measure(self, tool):
        """The Cost of a tool that runs inside; None if it is not installed."""
        self.process.stdin.write(tool + "\n")
        self.process.stdin.flush()
        said = self.answer()
        if said.startswith("missing"):
            print(f"{tool}: {said}: run tools/setup.sh", file=sys.stderr)
            return None
        return Cost(*map(float, said.split()))

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.process.kill()
        self.process.wait()


def gdb(arguments, commands):
    argv = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set auto-load python-scripts off"]
    argv += ["-iex", "set height 0", *arguments]
    for command in commands:
        argv += ["-ex", command]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800)
    return done.stdout, done.stderr


def ours(arguments, directory):
    """The Cost of the first py-heap of a fresh GDB."""
    script = directory / "timer.py"
    script.write_text(TIMER)
    out, err = gdb(arguments, [f"source {ROOT / 'gdb-scripts/pyext.py'}", f"source {script}"])
    found = re.search(r"^@@ ([\d.]+) ([\d.]+) (-?\d+) (\d+) (\d+)$", out, re.M)
    if not found:
        sys.exit(f"no answer of py-heap:\n{out[-2000:]}\n{err[-2000:]}")
    return Cost(*map(float, found.groups()))


def stopped(pid, directory):
    """Seconds for which py-heap --detach-copy stops the process, and megabytes that it copies."""
    script = directory / "copier.py"
    script.write_text(COPIER)
    out, err = gdb(["-p", str(pid)], [f"source {ROOT / 'gdb-scripts/pyext.py'}", f"source {script}"])
    found = re.search(r"^@@ ([\d.]+) (\d+)$", out, re.M)
    if not found:
        sys.exit(f"no copy by py-heap:\n{out[-2000:]}\n{err[-2000:]}")
    return float(found.group(1)), int(found.group(2)) / 1e6


def populated(pid):
    """The process's writable memory that exists, as (start, end), as /proc tells."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        for line in maps:
            start, end = (int(text, 16) for text in line.split()[0].split("-"))
            if line.split()[1][:2] != "rw":
                continue
            pages = array.array("Q")
            pagemap.seek(start // 4096 * 8)
            pages.frombytes(pagemap.read((end - start) // 4096 * 8))
            for i, page in enumerate(pages):
                at = start + i * 4096
                if page >> 63 and found and found[-1][1] == at:
                    found[-1][1] = at + 4096
                elif page >> 63:
                    found.append([at, at + 4096])
    return found


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def read_live(pid):
    """The Cost of reading all of that memory once."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    unsigned = ctypes.c_ulong
    libc.process_vm_readv.argtypes = [ctypes.c_int, ctypes.c_void_p, unsigned, ctypes.c_void_p, unsigned, unsigned]
    memory = populated(pid)
    buffer = ctypes.create_string_buffer(PIECE)
    got, start, processor = 0, time.perf_counter(), time.process_time()
    for at, end in memory:
        while at < end:
            local, remote = Part(ctypes.addressof(buffer), PIECE), Part(at, min(PIECE, end - at))
            n = libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
            if n <= 0:
                break
            got, at = got + n, at + n
    return Cost(time.perf_counter() - start, time.process_time() - processor, got / 1000)


def read_file(path):
    """The Cost of reading a file once."""
    buffer, got, start, processor = bytearray(PIECE), 0, time.perf_counter(), time.process_time()
    with open(path, "rb", buffering=0) as core:
        for n in iter(lambda: core.readinto(buffer), 0):
            got += n
    return Cost(time.perf_counter() - start, time.process_time() - processor, got / 1000)


def available():
    """Bytes of memory that are free or can be."""
    with open("/proc/meminfo") as info:
        return next(int(line.split()[1]) * 1024 for line in info if line.startswith("MemAvailable:"))


def load():
    return "load {:.1f} of {} cores".format(os.getloadavg()[0], os.cpu_count())


def compare(interpreter, options, directory):
    """What every contestant took, by name: its Cost of each round. And what `stopped` gave."""
    rounds, copies = {}, []

    def add(name, value):
        if value is not None:
            rounds.setdefault(name, []).append(value)

    core = directory / "core"
    for number in range(options.rounds):
        with Heap(interpreter, options.units) as heap:
            live = ["-p", str(heap.pid)]
            add("live", ours(live, directory))
            copies.append(stopped(heap.pid, directory))
            add("read of the process", read_live(heap.pid))
            if number == 0:
                gdb(live, [f"generate-core-file {core}"])
                read_file(core)
            add("core", ours([interpreter.exe, str(core)], directory))
            add("read of the core", read_file(core))
            for tool in INSIDE:
                add(tool, heap.measure(tool))
    core.unlink()
    return rounds, copies


def medians(costs):
    return Cost(*(statistics.median(column) for column in zip(*costs)))


def show(interpreter, rounds, copies):
    costs = {name: medians(values) for name, values in rounds.items()}
    live, memory = costs["live"], costs["read of the process"].kilobytes / 1000
    print(f"\n{interpreter.id}: {live.objects:.0f} objects, {memory:.0f} MB; {load()}")
    print(f"{'':34}{'median s':>10}{'least s':>10}{'x ours':>8}{'CPU s':>9}{'x ours':>8}{'peak MB':>9}")
    labels = {"live": "py-heap, live", "core": "py-heap, core", **INSIDE}
    order = ("live", "core", "read of the process", "read of the core", *INSIDE)
    for name in filter(costs.__contains__, order):
        cost, base = costs[name], costs["core" if "core" in name else "live"]
        least = min(one.seconds for one in rounds[name])
        peak = "" if "read" in name else f"{cost.kilobytes / 1000:9.0f}"
        print(f"{labels.get(name, name):34}{cost.seconds:10.3f}{least:10.3f}{cost.seconds / base.seconds:8.2f}"
              f"{cost.processor:9.3f}{cost.processor / base.processor:8.2f}{peak}")
    stop, per_gigabyte = (statistics.median(column) for column in zip(*((s, s / mb * 1000) for s, mb in copies)))
    print(f"--detach-copy stops the process for {stop:.3f} s, {per_gigabyte:.2f} s for each GB (medians)")
    print(f"{live.objects / live.seconds / 1e6:.1f} million objects a second, {live.own / live.objects:.2f} bytes of "
          "GDB's memory kept for each", flush=True)


def large(interpreter, options, directory):
    """Whether time and memory grow as the heap does."""
    print(f"\n{interpreter.id}; {load()}")
    columns = ["objects", "median s", "least s", "s/million", "CPU s/mill.", "read s", "own bytes", "peak bytes"]
    print("".join(f"{column:>12}" for column in columns))
    for millions in options.sizes:
        units = int(millions / OBJECTS * 1e6)
        need = int(millions * 1e6 * BYTES * 1.2)
        if available() < need:
            print(f"{millions:>11}M  needs {need / 1e9:.1f} GB of memory, {available() / 1e9:.1f} are there: left out")
            continue
        with Heap(interpreter, units) as heap:
            values = [ours(["-p", str(heap.pid)], directory) for _ in range(options.rounds)]
            read = medians([read_live(heap.pid) for _ in range(options.rounds)])
        cost, least = medians(values), min(one.seconds for one in values)
        million, peak = cost.objects / 1e6, cost.kilobytes * 1024
        print(f"{cost.objects:12.0f}{cost.seconds:12.3f}{least:12.3f}{cost.seconds / million:12.4f}"
              f"{cost.processor / million:12.4f}{read.seconds:12.3f}{cost.own / cost.objects:12.2f}"
              f"{peak / cost.objects:12.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--interpreters", default=DEFAULT)
    parser.add_argument("--units", type=int, default=1000000)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--sizes", type=lambda text: [float(one) for one in text.split(",")], default=[1, 7, 25, 50])
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures here")
    options = parser.parse_args()
    known = {one.id: one for one in interpreters.load()}
    results = {}
    for name in options.interpreters.split(","):
        with tempfile.TemporaryDirectory() as directory:
            if options.large:
                large(known[name], options, pathlib.Path(directory))
            else:
                rounds, copies = compare(known[name], options, pathlib.Path(directory))
                show(known[name], rounds, copies)
                results[name] = {key: [one._asdict() for one in costs] for key, costs in rounds.items()}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
