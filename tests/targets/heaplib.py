"""What the programs share whose heap is looked at. Python 2.7 and 3.6 to 3.15."""

import gc
import json
import os
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


def ready(fifo):
    """Tell tests/rig/target.py that the truth is written and nothing changes any more."""
    os.write(os.open(fifo, os.O_WRONLY), b"!")


def end_child(fifo, mode):
    """The end of a forked child that has written the truth. It has to tell only where the parent does not die then."""
    if mode == "sleep":
        ready(fifo)
    os._exit(0)
