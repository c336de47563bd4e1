"""Loaded by every program of tools/real_programs.py: at SIGUSR1 it counts itself and stands still.

A forked child writes how many objects of each type gc.get_objects() has to REAL_TRUTH; REAL_TRUTH.ready says that the
parent stands still.
"""

import collections
import gc
import json
import os
import signal


def name(ty):
    module, own = getattr(ty, "__module__", None), getattr(ty, "__qualname__", ty.__name__)
    return own if module in ("builtins", None) or not isinstance(module, str) else "%s.%s" % (module, own)


def count(objects, path):
    truth = collections.Counter()
    for ty, number in collections.Counter(map(type, objects)).items():
        truth[name(ty)] += number
    with open(path, "w") as out:
        json.dump({"counts": truth, "frozen": gc.get_freeze_count()}, out)


def tell(_signal, _frame):
    path = os.environ["REAL_TRUTH"]
    gc.disable()
    # What is made by a first use is there before the fork.
    count([], path)
    child = os.fork()
    if child == 0:
        count(gc.get_objects(), path)
        os._exit(0)
    os.waitpid(child, 0)
    open(path + ".ready", "w").close()
    signal.pause()


signal.signal(signal.SIGUSR1, tell)
