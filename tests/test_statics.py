"""Objects in static memory: against what the process itself can reach there, and against symbol tables."""

import bisect
import json
import random
import struct
import subprocess

import pytest
from rig import gdbrun, interpreters, target

NAMES = ["2.7-pyenv", "3.6-pyenv", "3.8-pyenv", "3.10-pyenv", "3.11-pyenv", "3.12-pyenv", "3.13-pyenv",
         "3.11-deb-stripped", "3.14-deb-stripped", "3.15-deb-stripped"]  # fmt: skip
#: Arrays and structs of objects.
ARRAYS = {"_PyRuntime", "small_ints"}
#: What is before an object of the garbage collector's kinds in a struct of the program (`_kwtuple`, frozen code).
GC_HEAD = 16
SAMPLE = 40


def objects_of(path):
    """The objects of a snapshot of py-heap --save, and their types."""
    with open(path, "rb") as snapshot:
        bytes_ = snapshot.read()
    (length,) = struct.unpack_from("<I", bytes_, 12)
    head = json.loads(bytes_[16 : 16 + length])
    types = [head["types"][kind["type"]]["name"] for kind in head["kinds"]]
    numbers, value, shift = [], 0, 0
    for byte in bytes_[16 + length : -12]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    found, addr = {}, 0
    for distance, kind in zip(numbers[::2], numbers[1::2]):
        addr += (distance << 3 | distance >> 61) & (1 << 64) - 1
        found[addr] = types[kind]
    return found


def data_symbols(pid):
    """(start, end, name) of all data symbols of the files that a process maps, in order."""
    starts = {}
    with open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            parts = line.split(None, 5)
            if len(parts) > 5 and parts[5].startswith("/") and int(parts[2], 16) == 0:
                starts.setdefault(parts[5].strip(), int(parts[0].split("-")[0], 16))
    found = []
    for path, start in starts.items():
        out = subprocess.run(["readelf", "-lsW", path], capture_output=True, text=True).stdout.splitlines()
        loads = [line.split() for line in out if line.split()[:1] == ["LOAD"]]
        bias = start - min((int(load[2], 16) for load in loads), default=0) // 4096 * 4096
        for line in out:
            parts = line.split()
            if len(parts) >= 8 and parts[3] == "OBJECT" and parts[6] != "UND" and int(parts[2], 0):
                at = int(parts[1], 16) + bias
                found.append((at, at + int(parts[2], 0), parts[7].split("@")[0]))
    return sorted(found)


def explained(addr, symbols):
    """Whether a symbol says that an object can be there."""
    i = bisect.bisect_right(symbols, (addr, 1 << 64, "")) - 1
    # A symbol may have others in it, and a large one begins far before.
    around = (one for one in reversed(symbols[: i + 1]) if one[1] > addr)
    start, _, name = next(around, (0, 0, ""))
    return addr - start in (0, GC_HEAD) or name in ARRAYS


def ask(interpreter, path, **where):
    questions = [f"py-heap --save {path}", "py-heap --by generation --json", "py-heap --by type --json"]
    _, lists, types = gdbrun.run(questions, interpreter, **where)
    lists, types = ({row["kind"]: row for row in json.loads(one.text)["rows"]} for one in (lists, types))
    return objects_of(path), lists, types


def check(answers, truth):
    """Every object that is there is found, with its type; the rest of what was found."""
    whole, lists, types = answers
    known = {addr: kind for addr, kind, _ in truth["objects"]}
    found = {addr: kind for addr, kind in whole.items() if any(a <= addr < b for a, b in truth["memory"])}
    assert len(known) > 150
    assert {addr: found.get(addr) for addr in known} == known
    # Interpreters' states are memory of malloc's before 3.12, and have no objects there.
    assert lists["static"]["count"] == len(found) == sum(row["static"] for row in types.values())
    assert types["type"]["static"] == sum(kind == "type" for kind in found.values())
    return sorted(addr for addr in found if addr not in known)


@pytest.mark.parametrize("name", NAMES)
def test_live(name, tmp_path):
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "statics_scene.py") as scene:
        truth = scene.truth()
        others = check(ask(interpreter, str(tmp_path / "snapshot"), pid=scene.pid), truth)
        if interpreter.debug_info == "dwarf":
            symbols = data_symbols(scene.pid)
            assert not [hex(addr) for addr in others if not explained(addr, symbols)]
        some = random.Random(7).sample(truth["objects"], SAMPLE)
        names = ",".join(hex(addr) for addr, *_ in some)
        sizes, one = gdbrun.run(
            [f"py-heap --by size --json --of {names}", f"py-obj --json {hex(some[0][0])}"], interpreter, pid=scene.pid
        )
    rows = {int(row["kind"]): row["count"] for row in json.loads(sizes.text)["rows"]}
    sizes = [size for _, _, size in some]
    assert rows == {size: sizes.count(size) for size in sizes}
    one = json.loads(one.text)
    assert (one["place"], one["size"], one["block"]) == ("file", some[0][2], None)


@pytest.mark.parametrize("name", ["3.8-pyenv", "3.11-deb-stripped", "3.14-deb-stripped"])
def test_kernel_core(name, tmp_path):
    interpreter = interpreters.named(name)
    with target.Target(interpreter, "statics_scene.py", "abort") as scene:
        core = scene.kernel_core()
        check(ask(interpreter, str(tmp_path / "snapshot"), core=core), scene.truth())
