"""What the programs share whose heap is looked at. Python 2.7 and 3.6 to 3.15."""

import gc
import json
import os
import struct
import sys


def type_name(ty):
    """As py-heap has it: built-in types without a module."""
    module = getattr(ty, "__module__", None)
    name = getattr(ty, "__qualname__", ty.__name__)
    return name if module in ("builtins", "__builtin__", None) else "%s.%s" % (module, name)


def count(objects, path):
    """In a forked child: what gc.get_objects() gave there, by type, as the truth."""
    counts, sizes = {}, {}
    for one in objects:
        ty = type(one)
        counts[ty] = counts.get(ty, 0) + 1
        sizes[ty] = sizes.get(ty, 0) + sys.getsizeof(one)
    truth = {"counts": {}, "sizes": {}, "frozen": getattr(gc, "get_freeze_count", int)()}
    for ty, number in counts.items():
        name = type_name(ty)
        truth["counts"][name] = truth["counts"].get(name, 0) + number
        truth["sizes"][name] = truth["sizes"].get(name, 0) + sizes[ty]
    with open(path, "w") as out:
        json.dump(truth, out)


def static_memory():
    """(start, end) of the writable data of all files with code, as their headers have it."""
    starts, code = {}, set()
    with open("/proc/self/maps") as maps:
        for line in maps:
            parts = line.split(None, 5)
            path = parts[5].strip() if len(parts) > 5 else ""
            if path.startswith("/") and int(parts[2], 16) == 0:
                starts.setdefault(path, int(parts[0].split("-")[0], 16))
            if "x" in parts[1]:
                code.add(path)
    found = []
    for path in code.intersection(starts):
        with open(path, "rb") as image:
            bytes_ = image.read(4096)
        # e_phoff, e_phnum; p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz.
        (first,), (number,) = struct.unpack_from("<Q", bytes_, 32), struct.unpack_from("<H", bytes_, 56)
        loads = [struct.unpack_from("<IIQQQQQ", bytes_, first + 56 * i) for i in range(number)]
        loads = [load for load in loads if load[0] == 1]
        bias = starts[path] - min(load[3] for load in loads) // 4096 * 4096
        found.extend((bias + load[3], bias + load[3] + load[6]) for load in loads if load[1] & 2)
    return found


def beside_4_gib():
    """From now on large memory comes from above a multiple of 4 GiB, then from below it: a pointer whose lower half was
    overwritten with a small number can be the address of an object there."""
    # A static executable has no ctypes, and other programs would have its objects.
    import ctypes

    mmap = ctypes.CDLL(None).mmap
    mmap.restype = ctypes.c_void_p
    size, number = ctypes.c_size_t, ctypes.c_int
    mmap.argtypes = [ctypes.c_void_p, size, number, number, number, ctypes.c_long]

    def reserve(length):
        # MAP_PRIVATE, MAP_ANONYMOUS and MAP_NORESERVE, and nobody may touch it.
        return mmap(None, length, 0, 0x4022, -1, 0)

    # What is so large has no room between libraries.
    reserve(reserve(8 << 20) % (1 << 32) - (4 << 20))


def ready(fifo):
    """Tell tests/rig/target.py that the truth is written and nothing changes any more."""
    os.write(os.open(fifo, os.O_WRONLY), b"!")


def end_child(fifo, mode):
    """The end of a forked child that has written the truth. It has to tell only where the parent does not die then."""
    if mode == "sleep":
        ready(fifo)
    os._exit(0)
